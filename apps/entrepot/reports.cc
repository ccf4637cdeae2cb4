// export, statement: the books as files for other systems.

#include <fmt/format.h>

#include "command.h"
#include "target.h"

namespace entrepot::cli {
namespace {

int run_export_focus(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    return fetch_to_output(arguments, *target,
        "/api/export/focus" +
            query_of(arguments, {{"--since", "since"}, {"--until", "until"}, {"--spec", "spec"}}));
}

int run_export_commitments(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    return fetch_to_output(arguments, *target,
        "/api/export/commitments" +
            query_of(arguments, {{"--since", "since"}, {"--until", "until"}}));
}

int run_statement(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    std::string path = "/api/statement" +
        query_of(arguments,
            {{"--org", "org"}, {"--team", "team"}, {"--project", "project"}, {"--month", "month"}});
    path += fmt::format("&format={}",
        arguments.has("--html")      ? "html"
            : arguments.has("--csv") ? "csv"
                                     : "json");
    return fetch_to_output(arguments, *target, path);
}

}  // namespace

std::vector<Command> report_commands() {
    const Option since{"--since", "TIME", "From the hour of that time on.", true};
    const Option until{
        "--until", "TIME", "Up to that time, without its hour when it begins one.", true};
    const Option out{"--out", "FILE", "Into this file, whole or not at all; stdout when absent."};
    return {
        {"export focus",
            "Charges and corrections as rows of FOCUS, CSV: one per hour, meter and what usage is "
            "kept by.",
            target_options({since, until,
                {"--spec", "VERSION", "Of the specification; 1.2 when absent.", false,
                    {"1.2", "1.3"}},
                out}),
            run_export_focus},
        {"export commitments",
            "Commitments and capacities of the contracts as FOCUS 1.3 has them, CSV.",
            target_options({since, until, out}), run_export_commitments},
        {"statement",
            "What one org, team or project owes for a month, by model, key, project, contract and "
            "each tag; JSON unless told otherwise.",
            target_options({{"--month", "MONTH", "Such as 2026-11, of UTC.", true},
                {"--org", "NAME", "Of this org."}, {"--team", "NAME", "Of this team."},
                {"--project", "NAME", "Of this project."}, {"--csv", "", "Comma-separated."},
                {"--html", "", "A page that stands alone, fit for sending and printing."}, out}),
            run_statement},
    };
}

}  // namespace entrepot::cli
