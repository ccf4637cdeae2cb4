// version, completion.

#include <fmt/format.h>

#include <set>

#include "command.h"

namespace entrepot::cli {
namespace {

// First words, and for each the second words or the options.
struct Words {
    std::set<std::string> first;
    std::map<std::string, std::set<std::string>> second;
    std::map<std::string, std::set<std::string>> options;  ///< by full name
};

Words words() {
    Words all;
    for (const Command& command : commands()) {
        const std::string name(command.name);
        const auto space = name.find(' ');
        all.first.insert(name.substr(0, space));
        if (space != std::string::npos)
            all.second[name.substr(0, space)].insert(name.substr(space + 1));
        for (const Option& option : command.options)
            if (option.name.starts_with("--")) all.options[name].emplace(option.name);
    }
    return all;
}

std::string bash_script() {
    const Words all = words();
    std::string out =
        "# bash completion for entrepot\n_entrepot() {\n"
        "    local current=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n"
        "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n";
    // Options of two words come first: `keys list --json`.
    for (const auto& [name, options] : all.options)
        if (name.find(' ') != std::string::npos)
            out += fmt::format("        \"{}\") words=\"{}\" ;;\n", name, fmt::join(options, " "));
    for (const auto& [name, second] : all.second)
        out += fmt::format("        \"{} \"*) words=\"{}\" ;;\n", name, fmt::join(second, " "));
    for (const auto& [name, options] : all.options)
        if (name.find(' ') == std::string::npos)
            out +=
                fmt::format("        \"{} \"*) words=\"{}\" ;;\n", name, fmt::join(options, " "));
    out += fmt::format(
        "    esac\n    [ \"$COMP_CWORD\" -eq 1 ] && words=\"{}\"\n"
        "    if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$current\")); fi\n"
        "    if [ ${{#COMPREPLY[@]}} -eq 0 ]; then COMPREPLY=($(compgen -f -- \"$current\")); fi\n"
        "}}\ncomplete -F _entrepot entrepot\n",
        fmt::join(all.first, " "));
    return out;
}

std::string zsh_script() {
    return "#compdef entrepot\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script();
}

std::string fish_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string fish_script() {
    std::string out = "# fish completion for entrepot\ncomplete -c entrepot -f\n";
    for (const Command& command : commands()) {
        const std::string name(command.name);
        const auto space = name.find(' ');
        const std::string first = name.substr(0, space);
        if (space == std::string::npos) {
            out += fmt::format("complete -c entrepot -n __fish_use_subcommand -a {} -d {}\n", first,
                fish_quoted(command.help));
        } else {
            out += fmt::format("complete -c entrepot -n __fish_use_subcommand -a {}\n", first);
            out += fmt::format(
                "complete -c entrepot -n '__fish_seen_subcommand_from {}' -a {} -d {}\n", first,
                name.substr(space + 1), fish_quoted(command.help));
        }
        for (const Option& option : command.options)
            if (option.name.starts_with("--"))
                out += fmt::format(
                    "complete -c entrepot -n '__fish_seen_subcommand_from {}' -l {}{} "
                    "-d {}\n",
                    first, option.name.substr(2), option.value.empty() ? "" : " -r -F",
                    fish_quoted(option.help));
    }
    return out;
}

int run_version(const Arguments&) {
    write_output("entrepot " ENTREPOT_VERSION "\n");
    return kOk;
}

int run_completion(const Arguments& arguments) {
    const std::string_view shell = arguments.get("SHELL");
    return write_output(shell == "markdown" ? reference_markdown() : completion_script(shell))
        ? kOk
        : kFailed;
}

}  // namespace

std::string completion_script(std::string_view shell) {
    if (shell == "zsh") return zsh_script();
    if (shell == "fish") return fish_script();
    return bash_script();
}

std::vector<Command> about_commands() {
    return {
        {"version", "Tell the version.", {}, run_version},
        {"completion", "Print a completion script for a shell (or the reference page, markdown).",
            {{"SHELL", "", "For whom.", true, {"bash", "zsh", "fish", "markdown"}}},
            run_completion},
    };
}

}  // namespace entrepot::cli
