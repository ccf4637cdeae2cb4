// translate, meter: stdin to stdout, no network, no configuration.

#include <fmt/format.h>

#include "canon/usage.h"
#include "command.h"
#include "dialect/registry.h"

namespace entrepot::cli {
namespace {

std::vector<std::string_view> names() {
    const auto all = dialect::dialect_names();
    return {all.begin(), all.end()};
}

int run_translate(const Arguments& arguments) {
    const auto from = dialect::require_dialect(arguments.get("--from"));
    if (!from) return report(from.error());
    const auto to = dialect::require_dialect(arguments.get("--to"));
    if (!to) return report(to.error());
    const auto kind = dialect::parse_body_kind(arguments.get("--kind"));
    if (!kind) return report(kind.error());
    const auto input = read_input("-");
    if (!input) return report(input.error());
    dialect::TranslateOptions options;
    options.model_id = arguments.get("--model");
    const auto translated = dialect::translate(**from, **to, *kind, *input, options);
    if (!translated) {
        if (!translated.error().field.empty())
            fmt::print(stderr, "field: {}\n", translated.error().field);
        return report_input(translated.error());
    }
    for (const std::string& name : translated->dropped) fmt::print(stderr, "dropped: {}\n", name);
    return write_output(translated->bytes) ? kOk : kFailed;
}

int run_meter(const Arguments& arguments) {
    const auto dialect = dialect::require_dialect(arguments.get("--dialect"));
    if (!dialect) return report(dialect.error());
    const auto kind = dialect::parse_body_kind(arguments.get("--kind"));
    if (!kind) return report(kind.error());
    const auto input = read_input("-");
    if (!input) return report(input.error());
    const auto usage = dialect::meter(**dialect, *kind, *input);
    if (!usage) return report_input(usage.error());
    return write_output(canon::to_json(*usage) + "\n") ? kOk : kFailed;
}

}  // namespace

std::vector<Command> dialect_commands() {
    return {
        {"translate",
            "Carry a body from one dialect to another, stdin to stdout; what is dropped is told on "
            "stderr.",
            {{"--from", "DIALECT", "Of the input.", true, names()},
                {"--to", "DIALECT", "Of the output.", true, names()},
                {"--kind", "KIND", "What the input is.", true, {"request", "response", "stream"}},
                {"--model", "ID", "The model's id to write into a request."}},
            run_translate},
        {"meter", "The usage that a reply states, stdin to JSON in normal form.",
            {{"--dialect", "DIALECT", "Of the input.", true, names()},
                {"--kind", "KIND", "What the input is.", true, {"response", "stream"}}},
            run_meter},
    };
}

}  // namespace entrepot::cli
