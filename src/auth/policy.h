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

/// How a key wants its requests treated where there is a choice.
struct Policy {
    OnLossy on_lossy = OnLossy::kMeaning;
    OnUnbounded on_unbounded = OnUnbounded::kRefuse;
    std::int64_t budget_wait_ms = 0;  ///< how long a request refused by other open holds may wait
    bool fail_open = false;           ///< go on when a shared store is away
    bool expose_offer = true;         ///< answer with `x-entrepot-offer` and `x-entrepot-attempts`
    bool expose_cost = true;          ///< answer with `x-entrepot-cost`
    friend bool operator==(const Policy&, const Policy&) = default;
};

/// Rates of one key; 0 means no limit.
struct Limits {
    std::int64_t requests_per_minute = 0;
    std::int64_t tokens_per_minute = 0;
    std::int64_t concurrent = 0;
    friend bool operator==(const Limits&, const Limits&) = default;
};

[[nodiscard]] Result<OnLossy> parse_on_lossy(std::string_view text);
[[nodiscard]] Result<OnUnbounded> parse_on_unbounded(std::string_view text);
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

/// Regions that may be reached: a supplier's region (`eu-central-1`, `swedencentral`), or a group
/// of them (`eu`, `us`, `uk`, `ch`, `ca`, `apac`, ...); `*` is everywhere. A cloud whose region is
/// unknown is reached by `*` alone.
class RegionSet {
public:
    RegionSet() = default;
    explicit RegionSet(std::vector<std::string> names);
    [[nodiscard]] static RegionSet all();
    /// `region` is the supplier's name of the place where the request is processed; `global` and
    /// the empty string stand for "anywhere".
    [[nodiscard]] bool allows(std::string_view region) const;
    [[nodiscard]] bool allows_all() const { return all_; }
    [[nodiscard]] bool covers(const RegionSet& other) const;
    [[nodiscard]] bool covers_name(std::string_view name) const;
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

private:
    std::vector<std::string> names_;
    bool all_ = false;
};

/// The group that holds a supplier's region (`eu` for `swedencentral`, `eu-west-1`, `europe-west4`,
/// `eu`), or empty when we do not know it. The European Union is meant in law: London and Zurich
/// are not in `eu`.
[[nodiscard]] std::string_view region_group(std::string_view region);

/// Every group's name, sorted.
[[nodiscard]] const std::vector<std::string>& region_groups();

/// Whether the word is a group, `*`, `global`, or a region we know or whose form we know.
[[nodiscard]] bool is_region_name(std::string_view name);

}  // namespace entrepot::auth
