#include <cstdint>
#include <string>

#include "base/check.h"
#include "framing/multipart.h"

// A form that can be read can be read again once a field was set, and says that text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using entrepot::framing::read_form;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto line = text.find('\n');
    const std::string type = "multipart/form-data; " + std::string(text.substr(0, line));
    const std::string body(line == std::string_view::npos ? text : text.substr(line + 1));
    const auto form = read_form(body, type);
    if (!form) return 0;
    for (const auto& part : form->parts) {
        ENTREPOT_CHECK(part.data.data() >= body.data());
        ENTREPOT_CHECK(part.data.data() + part.data.size() <= body.data() + body.size());
    }
    const std::string changed = form->with("model", "m");
    const auto again = read_form(changed, type);
    ENTREPOT_CHECK(again.has_value() || form->parts.size() == 256);
    if (again) ENTREPOT_CHECK(again->find("model")->data == "m");
    return 0;
}
