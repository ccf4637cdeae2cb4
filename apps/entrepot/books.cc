// usage, ledger verify.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "command.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string count(const json::Value& value) { return std::to_string(value.as_int().value_or(0)); }

std::vector<std::string> usage_row(
    const json::Value& row, const std::vector<std::string>& by, bool is_total) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < by.size(); ++i)
        cells.emplace_back(is_total ? (i == 0 ? "total" : "") : std::string(row[by[i]].string()));
    const json::Value& usage = row["usage"];
    const auto prompt = [&](std::initializer_list<std::string_view> meters) {
        std::int64_t sum = 0;
        for (const std::string_view meter : meters) sum += usage[meter].as_int().value_or(0);
        return std::to_string(sum);
    };
    cells.push_back(count(row["exchanges"]));
    cells.push_back(count(row["attempts"]));
    cells.push_back(prompt({"input", "audio_in", "image_in"}));
    cells.push_back(prompt({"cache_read", "audio_cache_read"}));
    cells.push_back(prompt({"cache_write", "cache_write_long"}));
    cells.push_back(prompt({"output", "audio_out", "image_out"}));
    cells.emplace_back(row["cost"].string());
    cells.push_back(count(row["estimated"]));
    cells.push_back(count(row["unverified"]));
    cells.push_back(count(row["unpriced"]));
    return cells;
}

int run_usage(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    std::string path = "/api/usage" +
        query_of(arguments,
            {{"--by", "by"}, {"--since", "since"}, {"--until", "until"}, {"--key", "key"},
                {"--team", "team"}, {"--project", "project"}, {"--org", "org"},
                {"--end-user", "end_user"}, {"--model", "model"}, {"--offer", "offer"},
                {"--cloud", "cloud"}, {"--contract", "contract"}, {"--tier", "tier"},
                {"--context", "context"}, {"--rate-version", "rate_version"}});
    if (arguments.has("--tag")) {
        const auto tags = arguments.all("--tag");
        path += fmt::format("{}tag={}", path.find('?') == std::string::npos ? "?" : "&",
            percent_encode(fmt::format("{}", fmt::join(tags, ";"))));
    }
    const auto answer = ask(*target, "GET", path);
    if (!answer) return report(answer.error());
    if (arguments.has("--json"))
        return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
    const json::Value& root = answer->root();
    std::vector<std::string> by;
    Table table;
    for (const json::Value& column : root["by"].items()) {
        by.emplace_back(column.string());
        std::string heading = by.back();
        for (char& c : heading) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        table.columns.push_back({heading});
    }
    for (const char* name : {"EXCHANGES", "ATTEMPTS", "INPUT", "CACHED", "WRITTEN", "OUTPUT"})
        table.columns.push_back({name, true});
    table.columns.push_back({fmt::format("COST {}", root["currency"].string()), true});
    for (const char* name : {"ESTIMATED", "UNVERIFIED", "UNPRICED"})
        table.columns.push_back({name, true});
    for (const json::Value& row : root["rows"].items())
        if (!by.empty()) table.rows.push_back(usage_row(row, by, false));
    if (arguments.has("--csv") && !by.empty()) return write_output(table.to_csv()) ? kOk : kFailed;
    table.rows.push_back(usage_row(root["total"], by, true));
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

}  // namespace

std::vector<Command> books_commands() {
    const Option as_json{"--json", "", "JSON as the API gives it."};
    const Option as_csv{"--csv", "", "Comma-separated."};
    return {
        {"usage", "Spend and tokens.",
            target_options({{"--by", "COLUMNS",
                                "Group by any of day, month, org, team, project, key, end_user, "
                                "tags, tag:NAME, model, offer, "
                                "cloud, contract, tier, context, rate_version."},
                {"--since", "TIME", "From that UTC day on."},
                {"--until", "TIME", "Up to that UTC day, without it."},
                {"--key", "NAME", "Of this key alone."}, {"--team", "NAME", "Of this team alone."},
                {"--project", "NAME", "Of this project alone."},
                {"--org", "NAME", "Of this org alone."},
                {"--end-user", "NAME", "Of this end user alone."},
                {"--tag", "NAME=VALUE",
                    "With this tag alone; without a value: what has no such tag. Several must all "
                    "hold.",
                    false, {}, true},
                {"--model", "NAME", "Of this model alone."},
                {"--offer", "NAME", "Of this offer alone."},
                {"--cloud", "NAME", "Of this cloud alone."},
                {"--contract", "NAME", "Under this contract alone; empty: under none."},
                {"--tier", "NAME", "At this tier alone: standard, batch, flex, priority, fast."},
                {"--context", "TOKENS", "Of this context band alone: 0, or its lower bound."},
                {"--rate-version", "NAME", "Priced with these rates alone."}, as_json, as_csv}),
            run_usage},
    };
}

}  // namespace entrepot::cli
