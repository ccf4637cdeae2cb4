// budgets: what may be spent, and more of it for a while.

#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "json/writer.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string path_of(const Arguments& arguments, std::string_view tail = {}) {
    return fmt::format("/api/budgets/{}{}", percent_encode(arguments.get("OWNER")), tail);
}

std::string limit_shown(const json::Value& budget) {
    const json::Value& raise = budget["raise"];
    if (!raise.is_object()) return std::string(budget["limit"].string());
    return fmt::format("{} (+{} until {})", budget["limit"].string(), raise["by"].string(),
        raise["until"].string());
}

int run_list(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", "/api/budgets");
    if (!answer) return report(answer.error());
    if (arguments.has("--json"))
        return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
    Table table{{{"OWNER"}, {"PERIOD"}, {"ORIGIN"}, {"RENEWS"}, {"LIMIT", true}, {"SPENT", true},
                    {"HELD", true}, {"LEFT", true}},
        {}};
    for (const json::Value& budget : answer->root()["budgets"].items())
        table.rows.push_back(
            {fmt::format("{}:{}", budget["owner_kind"].string(), budget["owner"].string()),
                fmt::format("{} {}", budget["period"].string(), budget["timezone"].string()),
                std::string(budget["origin"].string()), std::string(budget["renews"].string()),
                limit_shown(budget), std::string(budget["settled"].string()),
                std::string(budget["held"].string()), std::string(budget["available"].string())});
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int send(const Arguments& arguments, std::string_view method, const std::string& path,
    const std::string& body) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, method, path, body);
    if (!answer) return report(answer.error());
    return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
}

int run_get(const Arguments& arguments) { return send(arguments, "GET", path_of(arguments), {}); }

// What was given of these, as members of that name.
void write_given(json::Writer& writer, const Arguments& arguments,
    std::initializer_list<std::pair<std::string_view, std::string_view>> names) {
    for (const auto& [option, name] : names)
        if (arguments.has(option)) writer.member(name, arguments.get(option));
}

int run_set(const Arguments& arguments) {
    std::string body;
    json::Writer writer(body);
    writer.begin_object();
    write_given(writer, arguments,
        {{"--limit", "limit"}, {"--period", "period"}, {"--timezone", "timezone"}});
    if (arguments.has("--webhook")) {
        writer.key("notify").begin_object().member("webhook", arguments.get("--webhook"));
        if (arguments.has("--notify")) {
            writer.key("at").begin_array();
            for (const std::string_view share : split(arguments.get("--notify"), ','))
                writer.string(share);
            writer.end_array();
        }
        writer.end_object();
    } else if (arguments.has("--notify")) {
        return report({ErrorCode::kInvalidField, "--notify needs --webhook NAME, who is told", {},
            "--webhook"});
    }
    writer.end_object();
    return send(arguments, "PUT", path_of(arguments), body);
}

std::string which(const Arguments& arguments) {
    return query_of(arguments, {{"--period", "period"}, {"--timezone", "timezone"}});
}

int run_remove(const Arguments& arguments) {
    return send(arguments, "DELETE", path_of(arguments) + which(arguments), {});
}

int run_raise(const Arguments& arguments) {
    const std::string path = path_of(arguments, "/raise");
    if (arguments.has("--end")) return send(arguments, "DELETE", path + which(arguments), {});
    std::string body;
    json::Writer writer(body);
    writer.begin_object();
    write_given(writer, arguments,
        {{"--by", "by"}, {"--until", "until"}, {"--period", "period"}, {"--timezone", "timezone"}});
    writer.end_object();
    return send(arguments, "POST", path, body);
}

}  // namespace

std::vector<Command> budget_commands() {
    const Option owner{"OWNER", "", "org:NAME, team:NAME, project:NAME or key:NAME.", true};
    const Option period{"--period", "PERIOD", "Which of its budgets, when it has several."};
    const Option zone{"--timezone", "ZONE", "The same."};
    return {
        {"budgets list", "Every budget: limit, spent, held, left.",
            target_options(
                {{"--json", "", "JSON as the API gives it."}, {"--csv", "", "Comma-separated."}}),
            run_list},
        {"budgets get", "The budgets of one owner, as JSON.", target_options({owner}), run_get},
        {"budgets set",
            "Make or change a budget that lives in the store; one of the file is changed there.",
            target_options({owner, {"--limit", "AMOUNT", "The most of one period.", true},
                {"--period", "PERIOD", "day, week, month (when absent), quarter, year or total."},
                {"--timezone", "ZONE", "Whose midnight ends it; UTC when absent."},
                {"--webhook", "NAME", "Who is told when shares of it are spent."},
                {"--notify", "PERCENTS", "Which: 50,80,100 when absent."}}),
            run_set},
        {"budgets remove", "Remove a budget of the store.", target_options({owner, period, zone}),
            run_remove},
        {"budgets raise", "Raise a budget, of the file too, for a while.",
            target_options({owner, {"--by", "AMOUNT", "How much more."},
                {"--until", "TIME", "When it ends, to the moment of a request's dispatch."}, period,
                zone, {"--end", "", "End it now."}}),
            run_raise},
    };
}

}  // namespace entrepot::cli
