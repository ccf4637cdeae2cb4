#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::cli {

/// What commands exit with; scripts rely on it.
enum ExitCode : int {
    kOk = 0,
    kFailed = 1,
    kUsage = 2,
    kBadConfiguration = 3,
    kDifferences = 4,
    kUnreachable = 5,
};

/// One option of a command: defined once, here; the parser, the help, the completion and
/// docs/reference/cli.md derive from it.
struct Option {
    std::string_view name;   ///< `--config`; without dashes a positional, `FILE`
    std::string_view value;  ///< what it takes: `FILE`; empty for a flag
    std::string_view help;
    bool is_required = false;
    std::vector<std::string_view> choices;  ///< when only these may be given
    bool is_repeatable = false;
};

/// What was given on the command line.
class Arguments {
public:
    [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }
    [[nodiscard]] std::string_view get(std::string_view name) const {
        const auto found = values_.find(name);
        return found == values_.end() ? std::string_view() : std::string_view(found->second.back());
    }
    [[nodiscard]] std::span<const std::string> all(std::string_view name) const {
        const auto found = values_.find(name);
        return found == values_.end() ? std::span<const std::string>() : found->second;
    }
    void add(std::string_view name, std::string value) {
        values_[std::string(name)].push_back(std::move(value));
    }

private:
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

struct Command {
    std::string_view name;  ///< one or two words: `serve`, `keys list`
    std::string_view help;
    std::vector<Option> options;
    int (*run)(const Arguments& arguments) = nullptr;
};

/// Every command, in the order in which people read them.
[[nodiscard]] const std::vector<Command>& commands();

/// docs/reference/cli.md, from the table.
[[nodiscard]] std::string reference_markdown();
/// A completion script for `bash`, `zsh` or `fish`, from the table.
[[nodiscard]] std::string completion_script(std::string_view shell);

/// Parses and runs.
[[nodiscard]] int run(int argc, char** argv);

// One file per family.
[[nodiscard]] std::vector<Command> server_commands();          // serve.cc
[[nodiscard]] std::vector<Command> dev_commands();             // dev.cc
[[nodiscard]] std::vector<Command> config_commands();          // validate.cc
[[nodiscard]] std::vector<Command> explain_commands();         // explain.cc
[[nodiscard]] std::vector<Command> dialect_commands();         // translate.cc
[[nodiscard]] std::vector<Command> key_commands();             // keys.cc
[[nodiscard]] std::vector<Command> catalog_commands();         // catalog.cc
[[nodiscard]] std::vector<Command> rate_commands();            // rates.cc
[[nodiscard]] std::vector<Command> books_commands();           // books.cc
[[nodiscard]] std::vector<Command> ledger_commands();          // ledger.cc
[[nodiscard]] std::vector<Command> bill_commands();            // reconcile.cc
[[nodiscard]] std::vector<Command> budget_commands();          // budgets.cc
[[nodiscard]] std::vector<Command> contract_commands();        // contracts.cc
[[nodiscard]] std::vector<Command> entry_commands();           // entries.cc
[[nodiscard]] std::vector<Command> contract_entry_commands();  // entries.cc
[[nodiscard]] std::vector<Command> audit_commands();           // audit.cc
[[nodiscard]] std::vector<Command> report_commands();          // reports.cc
[[nodiscard]] std::vector<Command> about_commands();           // about.cc

/// Tells an error on stderr and gives the exit code that fits it: a bad value (kInvalidField) is
/// one of the command line.
[[nodiscard]] int report(const Error& error);
/// The same for what was read from a file or from stdin: a bad value there is no misuse, it fails.
[[nodiscard]] int report_input(const Error& error);
/// All of stdin or of a file (`-` is stdin). Errors: kIo.
[[nodiscard]] Result<std::string> read_input(std::string_view path);
/// Writes to stdout whole; false when nobody reads any more.
bool write_output(std::string_view text);

}  // namespace entrepot::cli
