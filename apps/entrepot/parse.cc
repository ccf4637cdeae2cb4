// The command line, read by CLI11 from our table.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <list>

#include "base/text.h"
#include "command.h"

namespace entrepot::cli {
namespace {

// Where CLI11 puts what it reads; the addresses must stay.
struct Slot {
    const Command* command = nullptr;
    const Option* option = nullptr;
    std::vector<std::string> values;
    bool is_set = false;
};

void add_option(CLI::App& app, Slot& slot) {
    const Option& option = *slot.option;
    const std::string name(option.name);
    const std::string help(option.help);
    if (option.name.starts_with("--") && option.value.empty()) {
        app.add_flag(name, slot.is_set, help);
        return;
    }
    // CLI11 takes a name without dashes for a positional.
    CLI::Option* added = app.add_option(name, slot.values, help);
    added->expected(1)->option_text(std::string(option.value));
    if (option.is_repeatable) {
        added->expected(1, 1000)->allow_extra_args(false)->multi_option_policy(
            CLI::MultiOptionPolicy::TakeAll);
    }
    if (option.is_required) added->required();
    if (!option.choices.empty())
        added->check(
            CLI::IsMember(std::vector<std::string>(option.choices.begin(), option.choices.end())));
}

/// What is wrong with the words that should name a command, or nothing when they name one.
std::string unknown_command(std::string_view first, std::string_view second) {
    std::vector<std::string> words;
    std::vector<std::string> below;  // of the group `first`
    for (const Command& command : commands()) {
        const auto space = command.name.find(' ');
        words.emplace_back(command.name.substr(0, space));
        if (words.back() != first) continue;
        if (space == std::string_view::npos) return {};
        below.emplace_back(command.name.substr(space + 1));
    }
    const bool is_group = !below.empty();
    const std::vector<std::string>& known = is_group ? below : words;
    const std::string_view word = is_group ? second : first;
    if (word.empty() || word.starts_with('-') || std::ranges::find(known, word) != known.end())
        return {};
    const std::string_view close = nearest(word, known);
    const std::string before = is_group ? fmt::format("{} ", first) : std::string();
    return fmt::format("there is no command '{}{}'", before, word) +
        (close.empty() ? "" : fmt::format("; did you mean '{}{}'?", before, close));
}

int run_parsed(const Command& command, const std::list<Slot>& slots) {
    Arguments arguments;
    for (const Slot& slot : slots) {
        if (slot.command != &command) continue;
        if (slot.is_set) arguments.add(slot.option->name, "");
        for (const std::string& value : slot.values) arguments.add(slot.option->name, value);
    }
    return command.run(arguments);
}

}  // namespace

int run(int argc, char** argv) {
    CLI::App app{"Entrepot: one endpoint for every AI supplier, routed by price, billed exactly."};
    app.name("entrepot");
    app.require_subcommand(1);
    app.set_version_flag("--version", ENTREPOT_VERSION);
    std::list<Slot> slots;
    std::map<std::string, CLI::App*> groups;
    std::vector<std::pair<CLI::App*, const Command*>> leaves;
    for (const Command& command : commands()) {
        const auto space = command.name.find(' ');
        CLI::App* parent = &app;
        std::string word(command.name);
        if (space != std::string_view::npos) {
            const std::string group(command.name.substr(0, space));
            word = std::string(command.name.substr(space + 1));
            if (!groups.contains(group)) {
                // A command of one word may have others below it.
                const auto above = std::ranges::find_if(
                    leaves, [&](const auto& leaf) { return leaf.second->name == group; });
                if (above != leaves.end()) {
                    groups[group] = above->first;
                } else {
                    groups[group] = app.add_subcommand(group, fmt::format("Commands on {}", group));
                    groups[group]->require_subcommand(1);
                }
            }
            parent = groups[group];
        }
        CLI::App* leaf = parent->add_subcommand(word, std::string(command.help));
        leaves.emplace_back(leaf, &command);
        for (const Option& option : command.options) {
            slots.push_back({&command, &option, {}, false});
            add_option(*leaf, slots.back());
        }
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        const std::string unknown =
            argc > 1 ? unknown_command(argv[1], argc > 2 ? argv[2] : "") : "name a command";
        fmt::print(stderr, "entrepot: {}\n", unknown.empty() ? error.what() : unknown);
        fmt::print(stderr, "'entrepot --help' lists the commands; each has a --help of its own.\n");
        return kUsage;
    }
    for (const auto& [leaf, command] : leaves)
        if (leaf->parsed() && leaf->get_subcommands().empty()) return run_parsed(*command, slots);
    return kUsage;
}

}  // namespace entrepot::cli
