#include "command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

namespace entrepot::cli {

const std::vector<Command>& commands() {
    static const std::vector<Command> all = [] {
        std::vector<Command> list;
        for (auto family : {server_commands(), dev_commands(), config_commands(),
                 explain_commands(), dialect_commands(), key_commands(), catalog_commands(),
                 rate_commands(), books_commands(), ledger_commands(), bill_commands(),
                 budget_commands(), contract_commands(), contract_entry_commands(),
                 entry_commands(), audit_commands(), report_commands(), about_commands()})
            for (Command& command : family) list.push_back(std::move(command));
        return list;
    }();
    return all;
}

namespace {

void tell(const Error& error) {
    fmt::print(stderr, "entrepot: {}\n", error.message);
    if (!error.cause.empty()) fmt::print(stderr, "  ({})\n", error.cause);
}

}  // namespace

int report_input(const Error& error) {
    tell(error);
    return kFailed;
}

int report(const Error& error) {
    tell(error);
    switch (error.code) {
        case ErrorCode::kInvalidField: return kUsage;
        case ErrorCode::kBadConfiguration: return kBadConfiguration;
        case ErrorCode::kUpstreamUnreachable: return kUnreachable;
        default: return kFailed;
    }
}

Result<std::string> read_input(std::string_view path) {
    if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
    std::ifstream file{std::string(path), std::ios::binary};
    if (!file)
        return fail(
            ErrorCode::kIo, fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
    return std::string(std::istreambuf_iterator<char>(file), {});
}

bool write_output(std::string_view text) {
    while (!text.empty()) {
        const auto wrote = ::write(STDOUT_FILENO, text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

std::string reference_markdown() {
    std::string out =
        "# Commands\n\n"
        "<!-- Made by `entrepot completion markdown`, from the table that the parser reads. -->\n\n"
        "stdout carries data, stderr talk. Exit codes: 0 ok, 1 failed, 2 usage, 3 bad "
        "configuration,\n"
        "4 a check found differences, 5 unreachable.\n\n"
        "Commands that look at settings or books take `--config FILE` or `--data DIR`. A gateway "
        "that\n"
        "runs on that data answers them through the Unix socket `control.sock` in it; otherwise "
        "they work\n"
        "under its lock.\n";
    for (const Command& command : commands()) {
        std::string usage = fmt::format("entrepot {}", command.name);
        for (const Option& option : command.options) {
            std::string part(option.name);
            if (option.name.starts_with("--") && !option.value.empty())
                part += fmt::format(" {}", option.value);
            usage += option.is_required ? " " + part : fmt::format(" [{}]", part);
        }
        out += fmt::format("\n## {}\n\n{}\n\n```\n{}\n```\n", command.name, command.help, usage);
        if (command.options.empty()) continue;
        out += "\n| | |\n|---|---|\n";
        for (const Option& option : command.options) {
            std::string help(option.help);
            if (!option.choices.empty())
                help += fmt::format(" One of {}.", fmt::join(option.choices, ", "));
            out += fmt::format("| `{}{}{}` | {} |\n", option.name,
                option.name.starts_with("--") && !option.value.empty() ? " " : "",
                option.name.starts_with("--") ? option.value : "", help);
        }
    }
    return out;
}

}  // namespace entrepot::cli
