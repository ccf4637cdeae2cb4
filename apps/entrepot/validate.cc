// validate: every problem of a configuration, with its place and what to do about it.

#include <fmt/format.h>

#include "command.h"
#include "config/load.h"

namespace entrepot::cli {
namespace {

int run_validate(const Arguments& arguments) {
    if (arguments.has("--reference"))
        return write_output(config::reference_markdown()) ? kOk : kFailed;
    if (!arguments.has("FILE")) {
        fmt::print(stderr, "entrepot: name the FILE to be checked\n");
        return kUsage;
    }
    const config::Loaded loaded = config::load_file(std::string(arguments.get("FILE")));
    if (arguments.has("--json")) {
        write_output(config::problems_json(loaded.problems) + "\n");
    } else {
        write_output(config::format_problems(loaded.problems));
    }
    std::size_t errors = 0;
    for (const auto& problem : loaded.problems)
        errors += problem.severity == config::Problem::Severity::kError ? 1 : 0;
    const std::size_t warnings = loaded.problems.size() - errors;
    if (loaded.ok()) {
        fmt::print(stderr, "valid: {} clouds, {} models, {} keys{}\n",
            loaded.settings->clouds.size(), loaded.settings->models.size(),
            loaded.settings->keys.size(),
            warnings == 0 ? "" : fmt::format("; {} warnings", warnings));
        return kOk;
    }
    fmt::print(stderr, "not valid: {} errors, {} warnings\n", errors, warnings);
    return kBadConfiguration;
}

}  // namespace

std::vector<Command> config_commands() {
    return {
        {"validate", "Every problem of a configuration file, with line, column, cause and remedy.",
            {{"FILE", "", "The configuration."}, {"--json", "", "Problems as JSON."},
                {"--reference", "", "Print the reference of every key instead."}},
            run_validate}};
}

}  // namespace entrepot::cli
