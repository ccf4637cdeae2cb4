// prices list, get, preview, set, remove: rates of one's own.

#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "json/writer.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string shown(const json::Value& value) { return std::string(value.string()); }

int print(const Arguments& arguments, const json::Document& answer, const Table& table) {
    if (arguments.has("--json"))
        return write_output(std::string(answer.text()) + "\n") ? kOk : kFailed;
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int run_list(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer =
        ask(*target, "GET", "/api/rates" + query_of(arguments, {{"--known", "known"}}));
    if (!answer) return report(answer.error());
    Table table{
        {{"NUMBER", true}, {"OFFER"}, {"CONTRACT"}, {"REGION"}, {"TIER"}, {"PROMPTS OVER", true},
            {"METER"}, {"PRICE/M", true}, {"UPLIFT"}, {"FROM"}, {"TO"}, {"KNOWN"}, {"TAKEN BACK"}},
        {}};
    for (const json::Value& rate : answer->root()["rates"].items())
        for (const json::Member& price : rate["prices"].members())
            table.rows.push_back({fmt::format("{}", rate["number"].as_int().value_or(0)),
                shown(rate["offer"]), shown(rate["contract"]), shown(rate["region"]),
                shown(rate["tier"]), fmt::format("{}", rate["prompts_over"].as_int().value_or(0)),
                std::string(price.key), shown(price.value), shown(rate["uplift"]),
                shown(rate["from"]), shown(rate["to"]), shown(rate["known"]),
                shown(rate["withdrawn"])});
    return print(arguments, *answer, table);
}

int run_get(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET",
        fmt::format("/api/rates/{}{}", percent_encode(arguments.get("OFFER")),
            query_of(arguments, {{"--at", "at"}, {"--known", "known"}})));
    if (!answer) return report(answer.error());
    Table table{{{"TIER"}, {"PROMPTS OVER", true}, {"METER"}, {"LIST/M", true}, {"PRICE/M", true},
                    {"TIMES"}, {"CONTRACT"}, {"RATE VERSION"}},
        {}};
    const json::Value& root = answer->root();
    for (const json::Value& rate : root["rates"].items())
        table.rows.push_back(
            {shown(rate["tier"]), fmt::format("{}", rate["prompts_over"].as_int().value_or(0)),
                shown(rate["meter"]), shown(rate["list"]), shown(rate["price"]),
                rate["steps"].as_bool().value_or(false) ? "volume steps" : shown(rate["factor"]),
                shown(root["contract"]), shown(root["rate_version"])});
    return print(arguments, *answer, table);
}

/// What is stated: a file, or one rate of options.
Result<std::string> statement_of(const Arguments& arguments) {
    if (arguments.has("FILE")) {
        if (arguments.has("--offer") || arguments.has("--price"))
            return fail_field(ErrorCode::kInvalidField, "--offer",
                "rates stand in the FILE or are stated by --offer and --price, not both");
        return read_input(arguments.get("FILE"));
    }
    std::string body;
    json::Writer writer(body);
    writer.begin_object();
    for (const auto& [option, name] :
        {std::pair("--offer", "offer"), std::pair("--contract", "contract"),
            std::pair("--region", "region"), std::pair("--tier", "tier"),
            std::pair("--uplift", "uplift"), std::pair("--from", "from"), std::pair("--to", "to")})
        if (arguments.has(option)) writer.member(name, arguments.get(option));
    if (arguments.has("--prompts-over")) {
        const std::string_view tokens = arguments.get("--prompts-over");
        if (tokens.empty() || tokens.size() > 12 ||
            tokens.find_first_not_of("0123456789") != std::string_view::npos ||
            (tokens.size() > 1 && tokens[0] == '0'))
            return fail_field(ErrorCode::kInvalidField, "--prompts-over",
                fmt::format(
                    "--prompts-over takes a number of tokens, '{}' is none", excerpt(tokens)));
        writer.member_raw("prompts_over", tokens);
    }
    writer.key("prices").begin_object();
    for (const std::string& price : arguments.all("--price")) {
        const auto equals = price.find('=');
        if (equals == std::string::npos)
            return fail_field(ErrorCode::kInvalidField, "--price",
                fmt::format("--price takes METER=DECIMAL, such as input=2.50; '{}' is none",
                    excerpt(price)));
        writer.member(price.substr(0, equals), price.substr(equals + 1));
    }
    writer.end_object().end_object();
    return body;
}

Table table_of(const json::Value& reckoning) {
    Table table{{{"CONTRACT"}, {"MODEL"}, {"OFFER"}, {"TEAM"}, {"BOOKED", true}, {"BECOMES", true},
                    {"DIFFERENCE", true}, {"AT THE LIST", true}, {"NOT TOLD", true}},
        {}};
    const auto add = [&](const json::Value& row, std::string_view name) {
        table.rows.push_back({name.empty() ? shown(row["contract"]) : std::string(name),
            shown(row["model"]), shown(row["offer"]), shown(row["team"]), shown(row["booked"]),
            shown(row["becomes"]), shown(row["difference"]), shown(row["list_difference"]),
            shown(row["untold"])});
    };
    for (const json::Value& row : reckoning["rows"].items()) add(row, {});
    add(reckoning["total"], "TOTAL");
    return table;
}

int run_preview(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto body = statement_of(arguments);
    if (!body) return report(body.error());
    const auto answer = ask(*target, "POST",
        "/api/rates/preview" + query_of(arguments, {{"--since", "since"}, {"--until", "until"}}),
        *body);
    if (!answer) return report(answer.error());
    const json::Value& root = answer->root();
    if (!arguments.has("--json") && !arguments.has("--csv")) {
        fmt::print(stderr, "had they been in force from {} to {}:\n",
            root["as_if"]["since"].string(), root["as_if"]["until"].string());
    }
    const int done = print(arguments, *answer, table_of(root["as_if"]));
    if (arguments.has("--json") || arguments.has("--csv")) return done;
    if (!root["corrects"]["rows"].items().empty()) {
        fmt::print(stderr, "what is booked already and would be corrected in the open period:\n");
        return print(arguments, *answer, table_of(root["corrects"]));
    }
    return done;
}

int print_stated(const Arguments& arguments, const json::Document& answer) {
    if (arguments.has("--json"))
        return write_output(std::string(answer.text()) + "\n") ? kOk : kFailed;
    for (const json::Value& rate : answer.root()["rates"].items())
        write_output(fmt::format("rate {} {}\n", rate["number"].as_int().value_or(0),
            rate["withdrawn"].is_null()
                ? fmt::format("applies from {}", rate["from"].string())
                : fmt::format("was taken back at {}", rate["withdrawn"].string())));
    const json::Value& corrected = answer.root()["corrected"];
    if (corrected["rows"].items().empty()) return kOk;
    write_output(fmt::format(
        "booked lines were corrected by {}\n", corrected["total"]["difference"].string()));
    return write_output(table_of(corrected).to_text()) ? kOk : kFailed;
}

std::string confirmed(const Arguments& arguments) {
    return arguments.has("--confirm") ? "?confirm=true" : "";
}

int run_set(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto body = statement_of(arguments);
    if (!body) return report(body.error());
    const auto answer = ask(*target, "POST", "/api/rates" + confirmed(arguments), *body);
    if (!answer) return report(answer.error());
    return print_stated(arguments, *answer);
}

int run_remove(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "DELETE",
        fmt::format(
            "/api/rates/{}{}", percent_encode(arguments.get("NUMBER")), confirmed(arguments)));
    if (!answer) return report(answer.error());
    return print_stated(arguments, *answer);
}

/// What states a rate, before `own`.
std::vector<Option> statement_options(std::vector<Option> own) {
    std::vector<Option> all{
        {"FILE", "", "Rates as JSON, {\"rates\": [...]}; - is stdin."},
        {"--offer", "OFFER", "MODEL/OFFER; may end in *."},
        {"--price", "METER=DECIMAL", "Per million: input=2.50.", false, {}, true},
        {"--contract", "NAME", "Whose stated price it is; a list price when absent."},
        {"--region", "REGION", "Where it is processed."},
        {"--tier", "TIER", "standard (when absent), batch, flex, priority or fast."},
        {"--prompts-over", "N", "For prompts of more tokens than this."},
        {"--uplift", "FACTOR", "That the prices are multiplied by: 1.1."},
        {"--from", "DAY", "UTC; tomorrow when absent."},
        {"--to", "DAY", "The first day on which it no longer applies."},
    };
    for (Option& option : own) all.push_back(std::move(option));
    return target_options(std::move(all));
}

}  // namespace

std::vector<Command> rate_commands() {
    const Option as_json{"--json", "", "JSON as the API gives it."};
    const Option as_csv{"--csv", "", "Comma-separated."};
    const Option confirm{"--confirm", "", "Also when it corrects what is booked."};
    return {
        {"prices list", "Rates of one's own: what was stated, and when it was known.",
            target_options({{"--known", "TIME", "Those that were known then."}, as_json, as_csv}),
            run_list},
        {"prices get", "The rates of an offer in force, as they are or were known.",
            target_options({{"OFFER", "", "MODEL/OFFER.", true},
                {"--at", "TIME", "When they apply; now when absent."},
                {"--known", "TIME", "As they were known then; now when absent."}, as_json, as_csv}),
            run_get},
        {"prices preview",
            "What rates would have changed last month, by contract, model, offer and team, and "
            "what "
            "they would correct. Changes nothing.",
            statement_options({{"--since", "TIME", "Another period than last month."},
                {"--until", "TIME", "Its end."}, as_json, as_csv}),
            run_preview},
        {"prices set",
            "State rates. What was booked since they apply is corrected in the open period, with "
            "--confirm.",
            statement_options({confirm, as_json}), run_set},
        {"prices remove",
            "Take a rate back that was wrong; what it priced is corrected, with --confirm. To end "
            "one, state another.",
            target_options({{"NUMBER", "", "Of 'prices list'.", true}, confirm, as_json}),
            run_remove},
    };
}

}  // namespace entrepot::cli
