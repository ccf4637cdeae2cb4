#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "command.h"
#include "config/settings.h"
#include "control/admin_api.h"
#include "json/value.h"

namespace entrepot::cli {

/// What a look-up command works on: `--config FILE`, or `--data DIR` whose configuration is found
/// there.
struct Target {
    config::Settings settings;       ///< with what the store adds: teams, models, contracts
    config::Settings file_settings;  ///< without
    std::filesystem::path data;
    bool has_settings = false;  ///< false: only the books are known
};

/// The options by which a command takes its target.
[[nodiscard]] std::vector<Option> target_options(std::vector<Option> own);

/// Errors: kBadConfiguration (with every problem), kInvalidField (neither option given).
/// Secrets that stand in variables of another process are not needed to look: they may be unset
/// here.
[[nodiscard]] Result<Target> open_target(const Arguments& arguments);

/// Asks the gateway that runs on the data, else answers under the books' lock. Errors: what the API
/// refused with, kIo, kStoreLocked, kNotFound (no books there).
[[nodiscard]] Result<json::Document> ask(const Target& target, std::string_view method,
    const std::string& path, std::string_view body = {});

/// Several questions in a row: the lock is taken once, and held until this goes.
class Conversation {
public:
    /// `target` outlives it.
    explicit Conversation(const Target& target);
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;
    ~Conversation();
    /// Errors: as of `cli::ask`.
    [[nodiscard]] Result<json::Document> ask(
        std::string_view method, const std::string& path, std::string_view body = {});

private:
    const Target& target_;
    std::unique_ptr<control::Backend> own_;  ///< where no gateway runs
};

/// As `ask`, for what is no JSON, and may be long: its text goes to `sink` as it comes, which says
/// false when nobody wants more. Errors: as `ask`; then what came is not the whole.
[[nodiscard]] Status fetch(const Target& target, const std::string& path,
    const std::function<bool(std::string_view part)>& sink);

/// Fetches to stdout, or to the file that `--out` names, which is there whole or not at all; the
/// exit code.
[[nodiscard]] int fetch_to_output(
    const Arguments& arguments, const Target& target, const std::string& path);

/// `?a=b&c=d` of those options that were given: {"--since", "since"}, ...
[[nodiscard]] std::string query_of(const Arguments& arguments,
    std::initializer_list<std::pair<std::string_view, std::string_view>> names);

/// Where a running gateway notes the configuration that it was started with.
[[nodiscard]] std::filesystem::path config_note(const std::filesystem::path& data);

}  // namespace entrepot::cli
