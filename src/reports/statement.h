#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/money.h"
#include "base/time.h"

namespace entrepot::reports {

/// What one owner's use of a month cost, for whoever pays it.
struct Statement {
    struct Line {
        std::string name;  ///< empty: what has none
        std::uint64_t attempts = 0;
        std::int64_t tokens = 0;
        Money list_cost;
        Money cost;  ///< as contracted, corrections included
    };
    /// The same total, taken apart in one way. Lines add up to it.
    struct Section {
        std::string title;
        std::vector<Line> lines;
    };
    struct Correction {
        Instant at;
        std::string reason;
        std::string corrects;  ///< an exchange, or empty
        Money list_cost;
        Money cost;
    };

    std::string owner_kind;  ///< `team`
    std::string owner;
    std::string month;  ///< `2026-11`, of UTC
    std::string currency;
    Instant made;
    bool is_closed = false;  ///< nothing can be added to the month any more
    Line total;
    std::vector<Section> sections;
    std::vector<Correction> corrections;  ///< contained in the lines
    std::uint64_t unpriced = 0;  ///< attempts whose cost is not known, and not in the total
    Money unverified;            ///< the part of the total that is settled at a bound
};

[[nodiscard]] std::string statement_json(const Statement& statement);
/// One table: section, name, amounts. For people's spreadsheets.
[[nodiscard]] std::string statement_csv(const Statement& statement);
/// A page that stands alone, for screen and A4 paper; no scripts, everything escaped.
[[nodiscard]] std::string statement_html(const Statement& statement);

}  // namespace entrepot::reports
