// audit: who changed which setting, and the proof that nobody changed that.

#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string shown(const json::Value& value, std::string_view absent) {
    return std::string(value.is_null() ? absent : value.string());
}

int verify(const Arguments& arguments, const Target& target) {
    const auto answer =
        ask(target, "GET", "/api/audit/verify" + query_of(arguments, {{"--head", "head"}}));
    if (!answer) return report(answer.error());
    const json::Value& root = answer->root();
    const bool is_whole = root["ok"].as_bool().value_or(false);
    if (arguments.has("--json")) {
        if (!write_output(std::string(answer->text()) + "\n")) return kFailed;
        return is_whole ? kOk : kDifferences;
    }
    for (const json::Value& difference : root["differences"].items())
        write_output(std::string(difference.string()) + "\n");
    write_output(fmt::format("{}: {} rows, head {}\n",
        is_whole ? "the audit log is whole" : "THE AUDIT LOG WAS CHANGED",
        root["rows"].as_int().value_or(0), root["head"].string()));
    return is_whole ? kOk : kDifferences;
}

// Page by page, so that a long log neither fills the memory nor keeps the gateway busy.
int list(const Arguments& arguments, const Target& target) {
    const bool is_json = arguments.has("--json");
    const std::string_view absent = arguments.has("--csv") ? "" : "-";
    const std::string range = query_of(arguments, {{"--since", "since"}, {"--until", "until"}});
    Table table{{{"NUMBER", true}, {"AT"}, {"BY"}, {"CAUSE"}, {"SETTING"}, {"FROM"}, {"TO"}}, {}};
    std::int64_t after = 0;
    for (bool has_more = true; has_more;) {
        const auto answer = ask(target, "GET",
            fmt::format("/api/audit{}{}after={}", range, range.empty() ? "?" : "&", after));
        if (!answer) return report(answer.error());
        has_more = answer->root()["has_more"].as_bool().value_or(false);
        for (const json::Value& row : answer->root()["rows"].items()) {
            after = row["number"].as_int().value_or(0);
            if (is_json && !write_output(std::string(row.raw()) + "\n")) return kFailed;
            if (is_json) continue;
            table.rows.push_back({std::to_string(after), std::string(row["at"].string()),
                std::string(row["actor"].string()), std::string(row["cause"].string()),
                std::string(row["path"].string()), shown(row["from"], absent),
                shown(row["to"], absent)});
        }
    }
    if (is_json) return kOk;
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int run_audit(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    return arguments.has("ACTION") ? verify(arguments, *target) : list(arguments, *target);
}

}  // namespace

std::vector<Command> audit_commands() {
    return {{"audit",
        "Every change of a setting: when, by whom, from what to what. `audit verify` proves that "
        "no row was changed or removed; exit 4 when one was.",
        target_options({{"ACTION", "", "`verify` instead of the list.", false, {"verify"}},
            {"--since", "TIME", "From then on."}, {"--until", "TIME", "Up to then, without it."},
            {"--head", "HASH",
                "verify: a head that was printed before; it must still be in the chain."},
            {"--json", "", "One row of JSON a line; verify: JSON as the API gives it."},
            {"--csv", "", "Comma-separated."}}),
        run_audit}};
}

}  // namespace entrepot::cli
