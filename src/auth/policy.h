#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::auth {

/// What to do with a part of a request that the chosen offer cannot carry.
enum class OnLossy : std::uint8_t {
    kRefuse,   ///< refuse the request
    kMeaning,  ///< refuse what changes the answer, name the rest in `x-entrepot-dropped`
    kName,     ///< drop and name
};

/// What to do with a request whose cost has no upper bound.
enum class OnUnbounded : std::uint8_t {
    kRefuse,
    kClamp,  ///< bound it by the context window, or inject the cap
};

/// Who besides the key itself may use what suppliers keep of its requests: answers, files, batches.
enum class KeptScope : std::uint8_t { kKey, kTeam, kOrg };

/// How a key wants its requests treated where there is a choice.
struct Policy {
    OnLossy on_lossy = OnLossy::kMeaning;
    OnUnbounded on_unbounded = OnUnbounded::kRefuse;
    std::int64_t budget_wait_ms = 0;  ///< how long a request refused by other open holds may wait
    bool fail_open = false;           ///< go on when a shared store is away
    bool expose_offer = true;         ///< answer with `x-entrepot-offer` and `x-entrepot-attempts`
    bool expose_cost = true;          ///< answer with `x-entrepot-cost`
    /// Whose kept things this key may use: its own, those of its team's keys, or its org's.
    KeptScope kept = KeptScope::kKey;
    friend bool operator==(const Policy&, const Policy&) = default;
};

/// Rates of a key, or of all keys of whoever stands above it; 0 means no limit.
struct Limits {
    std::int64_t requests_per_minute = 0;
    std::int64_t tokens_per_minute = 0;
    std::int64_t concurrent = 0;
    friend bool operator==(const Limits&, const Limits&) = default;
};

/// Who may have limits. A request passes those of its key and of all above it.
enum class LimitLevel : std::uint8_t { kKey, kProject, kTeam, kOrg };
inline constexpr std::size_t kLimitLevels = 4;
[[nodiscard]] std::string_view limit_level_name(LimitLevel level);

/// The limits of one of them.
struct LevelLimits {
    LimitLevel level = LimitLevel::kKey;
    std::string owner;
    Limits limits;
};
/// Those above a key, from below; at most one of each level.
using LimitChain = std::vector<LevelLimits>;

[[nodiscard]] Result<OnLossy> parse_on_lossy(std::string_view text);
[[nodiscard]] Result<OnUnbounded> parse_on_unbounded(std::string_view text);
[[nodiscard]] Result<KeptScope> parse_kept_scope(std::string_view text);
[[nodiscard]] std::string_view kept_scope_name(KeptScope value);
[[nodiscard]] std::string_view on_lossy_name(OnLossy value);
[[nodiscard]] std::string_view on_unbounded_name(OnUnbounded value);

/// Names that may be reached: exact names, or patterns with one `*` at the end (`*`, `claude-*`).
/// An empty set allows nothing.
class NameSet {
public:
    NameSet() = default;
    explicit NameSet(std::vector<std::string> patterns);
    [[nodiscard]] static NameSet all();
    [[nodiscard]] bool allows(std::string_view name) const;
    [[nodiscard]] bool allows_all() const { return all_; }
    /// Whether everything `other` allows is allowed here too.
    [[nodiscard]] bool covers(const NameSet& other) const;
    [[nodiscard]] bool covers_pattern(std::string_view pattern) const;
    [[nodiscard]] const std::vector<std::string>& patterns() const { return patterns_; }

private:
    std::vector<std::string> patterns_;
    bool all_ = false;
};

/// Names of regions and zones that may be reached; `*` is everywhere. What a name stands for is
/// known to `catalog`, which the router asks.
class RegionSet {
public:
    RegionSet() = default;
    explicit RegionSet(std::vector<std::string> names);
    [[nodiscard]] static RegionSet all();
    [[nodiscard]] bool allows_all() const { return all_; }
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

private:
    std::vector<std::string> names_;
    bool all_ = false;
};

}  // namespace entrepot::auth
