// orgs, teams, projects, models, contracts: what the store has of them is made and changed here.

#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "config/load.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

std::string path_of(const Arguments& arguments, std::string_view section) {
    return fmt::format("/api/{}/{}", section, percent_encode(arguments.get("NAME")));
}

/// Asks, and prints what the API answers.
int tell(const Arguments& arguments, std::string_view method, const std::string& path,
    std::string_view body = {}) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, method, path, body);
    if (!answer) return report(answer.error());
    return write_output(std::string(answer->text()) + "\n") ? kOk : kFailed;
}

template <std::size_t Section>
int run_list(const Arguments& arguments) {
    constexpr std::string_view kSection = config::kStoredSections[Section];
    if (arguments.has("--json")) return tell(arguments, "GET", fmt::format("/api/{}", kSection));
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    const auto answer = ask(*target, "GET", fmt::format("/api/{}", kSection));
    if (!answer) return report(answer.error());
    Table table{{{"NAME"}, {"ORIGIN"}}, {}};
    for (const json::Value& entry : answer->root()[kSection].items())
        table.rows.push_back(
            {std::string(entry["name"].string()), std::string(entry["origin"].string())});
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

template <std::size_t Section>
int run_get(const Arguments& arguments) {
    return tell(arguments, "GET", path_of(arguments, config::kStoredSections[Section]));
}

template <std::size_t Section>
int run_set(const Arguments& arguments) {
    const auto text = read_input(arguments.get("--from"));
    if (!text) return report_input(text.error());
    const auto json = config::yaml_to_json(*text);
    if (!json) return report_input(json.error());
    return tell(arguments, "PUT", path_of(arguments, config::kStoredSections[Section]), *json);
}

template <std::size_t Section>
int run_remove(const Arguments& arguments) {
    return tell(arguments, "DELETE", path_of(arguments, config::kStoredSections[Section]));
}

const Option kName{"NAME", "", "Which.", true};

std::vector<Option> from_options() {
    return target_options({kName,
        {"--from", "FILE",
            "The entry as it would stand below its name in the configuration: YAML or JSON; `-` is "
            "stdin.",
            true}});
}

/// The words of one section, and its commands.
struct Words {
    std::string_view list, get, set, remove;
    std::string_view list_help, get_help, set_help, remove_help;
};

template <std::size_t Section>
void add(std::vector<Command>& commands, const Words& words) {
    if (!words.list.empty())
        commands.push_back({words.list, words.list_help,
            target_options(
                {{"--json", "", "JSON as the API gives it."}, {"--csv", "", "Comma-separated."}}),
            run_list<Section>});
    if (!words.get.empty())
        commands.push_back({words.get, words.get_help, target_options({kName}), run_get<Section>});
    commands.push_back({words.set, words.set_help, from_options(), run_set<Section>});
    commands.push_back(
        {words.remove, words.remove_help, target_options({kName}), run_remove<Section>});
}

}  // namespace

std::vector<Command> entry_commands() {
    std::vector<Command> commands;
    add<0>(commands,
        {"orgs list", "orgs get", "orgs set", "orgs remove",
            "Every org, of the file and of the store.", "What is stated of one org, as JSON.",
            "Make or change an org that lives in the store; one of the file is changed there.",
            "Remove an org of the store."});
    add<1>(commands,
        {"teams list", "teams get", "teams set", "teams remove",
            "Every team, of the file and of the store.", "What is stated of one team, as JSON.",
            "Make or change a team that lives in the store; one of the file is changed there.",
            "Remove a team of the store."});
    add<2>(commands,
        {"projects list", "projects get", "projects set", "projects remove",
            "Every project, of the file and of the store.",
            "What is stated of one project, as JSON.",
            "Make or change a project that lives in the store; one of the file is changed there.",
            "Remove a project of the store."});
    return commands;
}

std::vector<Command> contract_entry_commands() {
    std::vector<Command> commands;
    add<4>(commands,
        {{}, {}, "contracts set", "contracts remove", {}, {},
            "Make or change a contract that lives in the store; one of the file is changed there.",
            "Remove a contract of the store."});
    return commands;
}

}  // namespace entrepot::cli
