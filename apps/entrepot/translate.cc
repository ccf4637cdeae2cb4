// translate, meter: stdin to stdout, no network, no configuration.

#include <fmt/format.h>

#include <algorithm>

#include "canon/usage.h"
#include "command.h"
#include "dialect/registry.h"
#include "json/writer.h"

namespace entrepot::cli {
namespace {

std::vector<std::string_view> names() {
    const auto all = dialect::dialect_names();
    return {all.begin(), all.end()};
}

void append_outcome(std::string& out, const Result<dialect::Translated>& translated) {
    json::Writer writer(out);
    writer.begin_object();
    if (translated) {
        writer.member("body", translated->bytes);
        writer.key("dropped").begin_array();
        for (const std::string& name : translated->dropped) writer.string(name);
        writer.end_array();
    } else {
        writer.key("error").begin_object();
        writer.member("field", translated.error().field);
        writer.member("message", translated.error().message);
        writer.end_object();
    }
    writer.end_object();
    out += '\n';
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
    if (arguments.has("--lines")) {
        std::string out;
        for (std::string_view rest = *input; !rest.empty();) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            append_outcome(out, dialect::translate(**from, **to, *kind, line, options));
        }
        return write_output(out) ? kOk : kFailed;
    }
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
                {"--model", "ID", "The model's id to write into a request."},
                {"--lines", "",
                    "Each line is a body by itself; each line of the output says what became of "
                    "it, as JSON: {body, dropped} or {error: {field, message}}."}},
            run_translate},
        {"meter", "The usage that a reply states, stdin to JSON in normal form.",
            {{"--dialect", "DIALECT", "Of the input.", true, names()},
                {"--kind", "KIND", "What the input is.", true, {"response", "stream"}}},
            run_meter},
    };
}

}  // namespace entrepot::cli
