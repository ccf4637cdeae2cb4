// contracts: what was signed, and how far it is met.

#include <fmt/format.h>

#include "base/money.h"
#include "base/text.h"
#include "command.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string text_of(const json::Value& value) { return std::string(value.string()); }

std::string joined(const json::Value& list) {
    std::string out;
    for (const json::Value& item : list.items()) {
        if (!out.empty()) out += ",";
        out += item.string();
    }
    return out;
}

/// An amount to the hundredth for people; `--csv` and `--json` have it whole.
std::string amount_of(const Arguments& arguments, const json::Value& value) {
    const auto amount = Money::parse(value.string());
    if (!amount || arguments.has("--csv")) return text_of(value);
    const auto rounded = divide(amount->pico(), 1, {Rounding::kHalfEven, 2});
    return rounded ? rounded->to_decimal() : text_of(value);
}

std::string path_of(std::string_view contract) {
    return "/api/contracts/" + percent_encode(contract);
}

int print_table(const Arguments& arguments, const Table& table) {
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int run_list(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", "/api/contracts");
    if (!answer) return report(answer.error());
    if (arguments.has("--json"))
        return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
    Table table{{{"CONTRACT"}, {"KIND"}, {"STATE"}, {"CLOUDS"}, {"FROM"}, {"TO"},
                    {"COMMITTED", true}, {"PER"}, {"CURRENCY"}},
        {}};
    for (const json::Value& contract : answer->root()["contracts"].items()) {
        const json::Value& commitment = contract["commitment"];
        table.rows.push_back(
            {text_of(contract["contract"]), text_of(contract["kind"]), text_of(contract["state"]),
                joined(contract["clouds"]), text_of(contract["from"]), text_of(contract["to"]),
                commitment.is_object() ? joined(commitment["amounts"]) : std::string("-"),
                commitment.is_object() ? text_of(commitment["per"]) : std::string("-"),
                text_of(contract["currency"])});
    }
    return print_table(arguments, table);
}

int run_get(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", path_of(arguments.get("NAME")));
    if (!answer) return report(answer.error());
    return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
}

/// One row per window and per capacity.
void add_rows(const Arguments& arguments, const json::Value& status, Table& table) {
    const std::string contract = text_of(status["contract"]);
    for (const json::Value& window : status["commitment"].items()) {
        const auto amount = [&](std::string_view name) {
            return amount_of(arguments, window[name]);
        };
        const bool has_forecast = !window["forecast"].is_null();
        table.rows.push_back(
            {contract, window["milestone"].as_bool().value_or(false) ? "milestone" : "commitment",
                text_of(window["begins"]), text_of(window["ends"]), text_of(window["state"]),
                amount("committed"), amount("spent"), amount("counted"), amount("remaining"),
                std::to_string(window["days_left"].as_int().value_or(0)),
                has_forecast ? amount("forecast") : std::string("-"),
                has_forecast ? amount("shortfall") : std::string("-"),
                has_forecast ? amount("charge") : std::string("-"), "-"});
    }
    for (const json::Value& capacity : status["provisioned"].items())
        table.rows.push_back({contract, text_of(capacity["capacity"]), text_of(status["from"]),
            text_of(status["to"]), "capacity", "-", amount_of(arguments, capacity["paid"]), "-",
            "-", "-", "-", "-", "-", text_of(capacity["used_percent"])});
}

int run_status(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    std::vector<std::string> names;
    if (arguments.has("NAME")) {
        names.emplace_back(arguments.get("NAME"));
    } else {
        const auto list = ask(*target, "GET", "/api/contracts");
        if (!list) return report(list.error());
        for (const json::Value& contract : list->root()["contracts"].items())
            names.push_back(text_of(contract["contract"]));
    }
    Table table{{{"CONTRACT"}, {"OF"}, {"BEGINS"}, {"ENDS"}, {"STATE"}, {"COMMITTED", true},
                    {"SPENT", true}, {"COUNTED", true}, {"LEFT", true}, {"DAYS", true},
                    {"FORECAST", true}, {"SHORTFALL", true}, {"CHARGE", true}, {"USED %", true}},
        {}};
    std::string json;
    for (const std::string& name : names) {
        const auto answer = ask(*target, "GET", path_of(name) + "/status");
        if (!answer) return report(answer.error());
        json += fmt::format("{}{}", json.empty() ? "" : ",", answer->text());
        add_rows(arguments, answer->root(), table);
    }
    if (arguments.has("--json"))
        return write_output(fmt::format("{{\"contracts\":[{}]}}\n", json)) ? kOk : kFailed;
    return print_table(arguments, table);
}

}  // namespace

std::vector<Command> contract_commands() {
    const Option as_json{"--json", "", "JSON as the API gives it."};
    const Option as_csv{"--csv", "", "Comma-separated."};
    return {
        {"contracts list", "Every contract: term, clouds, commitment.",
            target_options({as_json, as_csv}), run_list},
        {"contracts get", "One contract whole, as JSON.",
            target_options({{"NAME", "", "Of the contract.", true}}), run_get},
        {"contracts status",
            "How far commitments are burned down, what is forecast and what a shortfall costs; how "
            "far provisioned capacity is used.",
            target_options({{"NAME", "", "This contract alone."}, as_json, as_csv}), run_status},
    };
}

}  // namespace entrepot::cli
