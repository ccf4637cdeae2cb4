#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace entrepot::dialect {

/// Names for `x-entrepot-dropped`, each once, in order. Clients make as many as they like
/// (`messages[7].name`), and a header and the search for a name want few: behind the last of
/// kNamesMax stands that there were more.
class Dropped {
public:
    static constexpr std::size_t kNamesMax = 100;
    static constexpr std::string_view kMore = "and more";

    void add(std::string_view name) {
        if (names_.size() > kNamesMax || std::ranges::find(names_, name) != names_.end()) return;
        names_.emplace_back(names_.size() < kNamesMax ? name : kMore);
    }
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    [[nodiscard]] std::vector<std::string> take() { return std::move(names_); }

private:
    std::vector<std::string> names_;
};

}  // namespace entrepot::dialect
