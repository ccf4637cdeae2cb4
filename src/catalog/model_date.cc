#include "catalog/model_date.h"

#include <algorithm>
#include <string>

#include "base/time.h"

namespace entrepot::catalog {

std::optional<std::int64_t> date_in_id(std::string_view model_id) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    for (std::size_t i = 1; i < model_id.size(); ++i) {
        if (model_id[i - 1] != '-' && model_id[i - 1] != '@') continue;
        const std::string_view rest = model_id.substr(i);
        if (!rest.starts_with("20")) continue;
        for (const std::string_view form : {"0000-00-00", "00000000"}) {
            const bool fits = rest.size() >= form.size() &&
                (rest.size() == form.size() || !is_digit(rest[form.size()])) &&
                std::ranges::equal(rest.substr(0, form.size()), form,
                    [&](char c, char f) { return f == '-' ? c == '-' : is_digit(c); });
            if (!fits) continue;
            std::string day(rest.substr(0, form.size()));
            if (form.size() == 8) day.insert(6, "-").insert(4, "-");
            if (const Result<Instant> at = parse_instant(day)) return at->ns / 1'000'000'000;
        }
    }
    return std::nullopt;
}

}  // namespace entrepot::catalog
