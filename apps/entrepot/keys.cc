// keys: what clients present.

#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "json/writer.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string joined(const json::Value& list) {
    std::string out;
    for (const json::Value& item : list.items()) {
        if (!out.empty()) out += ",";
        out += item.string();
    }
    return out;
}

int run_list(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", "/api/keys");
    if (!answer) return report(answer.error());
    if (arguments.has("--json"))
        return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
    Table table{{{"KEY"}, {"TEAM"}, {"ORG"}, {"ORIGIN"}, {"STATE"}, {"MODELS"}, {"CLOUDS"},
                    {"REGIONS"}, {"EXPIRES"}},
        {}};
    for (const json::Value& key : answer->root()["keys"].items())
        table.rows.push_back({std::string(key["name"].string()), std::string(key["team"].string()),
            std::string(key["org"].string()), std::string(key["origin"].string()),
            std::string(key["state"].string()), joined(key["models"]), joined(key["clouds"]),
            joined(key["regions"]), std::string(key["expires"].string())});
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int run_get(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", "/api/keys/" + percent_encode(arguments.get("NAME")));
    if (!answer) return report(answer.error());
    return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
}

// The secret alone on stdout, so that a script can take it; the rest is talk.
int tell_secret(const Arguments& arguments, const json::Document& answer, std::string_view what) {
    if (arguments.has("--json"))
        return write_output(std::string(answer.text()) + "\n") ? kOk : kFailed;
    const json::Value& root = answer.root();
    fmt::print(stderr, "{} key '{}' of team '{}'. This is its secret; it is not shown again:\n",
        what, root["name"].string(), root["team"].string());
    return write_output(std::string(root["secret"].string()) + "\n") ? kOk : kFailed;
}

void write_list(json::Writer& writer, std::string_view name, std::span<const std::string> values) {
    if (values.empty()) return;
    writer.key(name).begin_array();
    for (const std::string& value : values)
        for (const std::string_view part : split(value, ',')) writer.string(part);
    writer.end_array();
}

int run_create(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    std::string body;
    json::Writer writer(body);
    writer.begin_object()
        .member("name", arguments.get("NAME"))
        .member("team", arguments.get("--team"));
    if (arguments.has("--expires")) writer.member("expires", arguments.get("--expires"));
    write_list(writer, "models", arguments.all("--models"));
    write_list(writer, "clouds", arguments.all("--clouds"));
    write_list(writer, "regions", arguments.all("--regions"));
    if (arguments.has("--budget")) {
        // `20.00/day`: an amount and a period.
        const std::string_view budget = arguments.get("--budget");
        const auto slash = budget.find('/');
        writer.key("budgets").begin_array().begin_object();
        writer.member("limit", budget.substr(0, slash));
        writer.member(
            "period", slash == std::string_view::npos ? "month" : budget.substr(slash + 1));
        writer.end_object().end_array();
    }
    if (arguments.has("--requests-per-minute"))
        writer.key("limits")
            .begin_object()
            .member("requests_per_minute", arguments.get("--requests-per-minute"))
            .end_object();
    if (!arguments.all("--tag").empty()) {
        writer.key("tags").begin_object();
        for (const std::string& tag : arguments.all("--tag")) {
            const auto equals = tag.find('=');
            writer.member(tag.substr(0, equals),
                equals == std::string::npos ? std::string() : tag.substr(equals + 1));
        }
        writer.end_object();
    }
    writer.end_object();
    const auto answer = ask(*target, "POST", "/api/keys", body);
    if (!answer) return report(answer.error());
    return tell_secret(arguments, *answer, "Made");
}

int run_rotate(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "POST",
        fmt::format("/api/keys/{}/rotate{}", percent_encode(arguments.get("NAME")),
            arguments.has("--drop-old") ? "?drop_old=true" : ""));
    if (!answer) return report(answer.error());
    return tell_secret(arguments, *answer, "Rotated");
}

int switch_key(const Arguments& arguments, std::string_view verb) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "POST",
        fmt::format("/api/keys/{}/{}", percent_encode(arguments.get("NAME")), verb));
    if (!answer) return report(answer.error());
    fmt::print(stderr, "key '{}' is {}\n", arguments.get("NAME"), answer->root()["state"].string());
    return kOk;
}

int run_disable(const Arguments& arguments) { return switch_key(arguments, "disable"); }
int run_enable(const Arguments& arguments) { return switch_key(arguments, "enable"); }

}  // namespace

std::vector<Command> key_commands() {
    const Option name{"NAME", "", "The key's name.", true};
    const Option as_json{"--json", "", "JSON as the API gives it."};
    return {
        {"keys list", "Every key, of the file and of the store.",
            target_options({as_json, {"--csv", "", "Comma-separated."}}), run_list},
        {"keys get", "One key, as JSON.", target_options({name}), run_get},
        {"keys create", "Make a key; its secret is printed once, on stdout.",
            target_options({name, {"--team", "TEAM", "To which it belongs.", true},
                {"--models", "LIST", "What it may ask for, by commas.", false, {}, true},
                {"--clouds", "LIST", "Where its requests may go.", false, {}, true},
                {"--regions", "LIST", "Where they may be processed.", false, {}, true},
                {"--budget", "AMOUNT/PERIOD", "Its limit: 20.00/day."},
                {"--requests-per-minute", "N", "Its rate."},
                {"--tag", "NAME=VALUE", "For reports.", false, {}, true},
                {"--expires", "TIME", "From then on it is refused."}, as_json}),
            run_create},
        {"keys rotate", "A new secret; the one before stays valid until the next rotation.",
            target_options({name, {"--drop-old", "", "Refuse the old secret at once."}, as_json}),
            run_rotate},
        {"keys disable", "Refuse the key from now on.", target_options({name}), run_disable},
        {"keys enable", "Accept the key again.", target_options({name}), run_enable},
    };
}

}  // namespace entrepot::cli
