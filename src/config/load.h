#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace entrepot::config {

/// One thing that is wrong with a configuration, and what to do about it.
struct Problem {
    enum class Severity : std::uint8_t { kError, kWarning };
    Severity severity = Severity::kError;
    std::string file;
    Location at;
    std::string path;    ///< `keys.search-prod.limits.concurrent`
    std::string cause;   ///< what is wrong, with the value seen
    std::string remedy;  ///< what to write instead

    /// `file:12:5: error: keys.a.team: ... ; remedy`
    [[nodiscard]] std::string to_string() const;
};

/// What the outside gives for `${env:X}` and `${file:/path}`. Tests and the fuzzer hand in their
/// own.
struct Environment {
    std::function<std::optional<std::string>(const std::string& name)> variable;
    std::function<Result<std::string>(const std::string& path)>
        file;  ///< content, one trailing newline removed
    /// False when something stands in for variables and files that are not there, for commands that
    /// only look: then credentials are not judged by what they hold.
    bool is_whole = true;

    [[nodiscard]] static Environment of_process();
};

/// Settings and everything found on the way. `settings` is present exactly when no problem is an
/// error.
struct Loaded {
    std::optional<Settings> settings;
    std::vector<Problem> problems;  ///< in the order of the file

    [[nodiscard]] bool ok() const { return settings.has_value(); }
};

/// Reads YAML text of at most 4 MiB. Strict: an unknown key, a duplicate key, a value of another
/// type, a name that refers to nothing are errors; all of them are reported at once. Never throws.
[[nodiscard]] Loaded load_text(
    std::string_view text, const std::string& file, const Environment& environment);

/// Reads the file; `data` and other relative paths are taken relative to the file's folder. A file
/// that cannot be read is a problem like any other.
[[nodiscard]] Loaded load_file(
    const std::string& path, const Environment& environment = Environment::of_process());

/// One key as JSON in the form of `keys.<name>`, by the same table and the same checks as a key of
/// the file; what it names must exist in `settings`, and its name and secrets must not be there
/// already. `${...}` is not replaced. Errors: kBadConfiguration with every problem; `field` is the
/// first one's path within the key. `stated`, when given, gets the values by path.
[[nodiscard]] Result<KeySettings> read_key(std::string_view name, std::string_view json,
    const Settings& settings, Stated* stated = nullptr);

/// One budget as JSON in the form of `budgets`, likewise; `name` stands for it in messages and,
/// below `budgets.`, in `stated`. Errors: kBadConfiguration with every problem.
[[nodiscard]] Result<BudgetSettings> read_budget(std::string_view name, std::string_view json,
    const Settings& settings, Stated* stated = nullptr);

/// One entry of orgs, teams, projects, models or contracts that does not stand in the file, as JSON
/// (or YAML) in the form that it has there.
struct StoredEntry {
    std::string section;  ///< of kStoredSections
    std::string name;
    std::string json;
};
inline constexpr std::array<std::string_view, 5> kStoredSections{
    "orgs", "teams", "projects", "models", "contracts"};

/// The settings of a file with those entries beside its own: read by the same table, and checked as
/// if they stood there; they may refer to each other. `${...}` is not replaced. Errors:
/// kBadConfiguration with every problem; `field` is the first one's path. `stated`, when given,
/// gets the values of the entries by path.
[[nodiscard]] Result<Settings> with_entries(
    const Settings& of_file, std::span<const StoredEntry> entries, Stated* stated = nullptr);

/// A YAML document as JSON, its scalars as texts. Errors: kBadConfiguration with line and column.
[[nodiscard]] Result<std::string> yaml_to_json(const std::string& text);

/// Every problem on its own line(s), for people.
[[nodiscard]] std::string format_problems(const std::vector<Problem>& problems);
/// `[{"severity","file","line","column","path","cause","remedy"}]`
[[nodiscard]] std::string problems_json(const std::vector<Problem>& problems);

/// docs/reference/configuration.md, made from the same table that the parser reads.
[[nodiscard]] std::string reference_markdown();

}  // namespace entrepot::config
