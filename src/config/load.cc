#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "config/reader.h"
#include "config/schema.h"
#include "config/sections.h"
#include "config/yaml.h"
#include "json/writer.h"

namespace entrepot::config {
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;

// At most `bytes_max`, so that a device or a growing file cannot fill the memory.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        return fail(ErrorCode::kIo, fmt::format("'{}' is a folder", path));
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return fail(
            ErrorCode::kIo, fmt::format("cannot read '{}': {}", path, std::strerror(errno)));
    std::string text(bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > bytes_max)
        return fail(ErrorCode::kIo, fmt::format("'{}' is larger than {} bytes", path, bytes_max));
    return text;
}

}  // namespace

std::string Problem::to_string() const {
    std::string out = fmt::format("{}:{}:{}: {}: ", file, at.line, at.column,
        severity == Severity::kError ? "error" : "warning");
    if (!path.empty()) out += path + ": ";
    out += cause;
    if (!remedy.empty()) out += fmt::format("\n    {}", remedy);
    return out;
}

Environment Environment::of_process() {
    Environment environment;
    environment.variable = [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
    };
    environment.file = [](const std::string& path) -> Result<std::string> {
        ENTREPOT_TRY(std::string text, read_file(path, 1u << 20));
        if (text.ends_with('\n')) text.pop_back();
        if (text.ends_with('\r')) text.pop_back();
        return text;
    };
    return environment;
}

Loaded load_text(std::string_view text, const std::string& file, const Environment& environment) {
    Loaded loaded;
    Reader reader(file, environment, loaded.problems);
    if (text.size() > kFileBytesMax) {
        reader.error({1, 1}, "", fmt::format("the file is larger than {} bytes", kFileBytesMax),
            "move keys into the store with `entrepot keys create`");
        return loaded;
    }
    const YamlDocument document = parse_yaml(std::string(text));
    for (const YamlProblem& problem : document.problems)
        reader.error(problem.at, "", problem.cause, problem.remedy);

    Settings settings;
    settings.file = file;
    // Prices and budgets take the books' currency where they name none, wherever it stands in the
    // file.
    for (const Node::Member& member : document.root.members)
        if (member.key == "currency" && member.value.is_scalar())
            if (const auto currency = Currency::parse(member.value.text))
                reader.set_currency(*currency);
    reader.section(root_section(), document.root, settings);
    resolve(reader, settings);

    std::ranges::stable_sort(loaded.problems, [](const Problem& a, const Problem& b) {
        return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
    });
    const bool failed = std::ranges::any_of(
        loaded.problems, [](const Problem& p) { return p.severity == Problem::Severity::kError; });
    if (failed) return loaded;
    settings.stated = std::make_shared<const Stated>(reader.stated());
    loaded.settings = std::move(settings);
    return loaded;
}

Loaded load_file(const std::string& path, const Environment& environment) {
    auto text = read_file(path, kFileBytesMax);
    if (!text) {
        Loaded loaded;
        loaded.problems.push_back({Problem::Severity::kError, path, {1, 1}, "",
            text.error().message, "check the path and that this user may read the file"});
        return loaded;
    }
    const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
    const auto beside = [&](const std::string& name) {
        return name.empty() ? name : (folder / name).lexically_normal().string();
    };
    Environment here = environment;
    here.file = [&](const std::string& name) { return environment.file(beside(name)); };
    Loaded loaded = load_text(*text, path, here);
    if (!loaded.settings) return loaded;
    Settings& settings = *loaded.settings;
    settings.data = beside(settings.data);
    if (settings.access_log != "stderr") settings.access_log = beside(settings.access_log);
    for (ListenSettings* listen : {&settings.listen, &settings.admin}) {
        if (!listen->tls) continue;
        listen->tls->cert_file = beside(listen->tls->cert_file);
        listen->tls->key_file = beside(listen->tls->key_file);
        listen->tls->client_ca_file = beside(listen->tls->client_ca_file);
    }
    for (CloudSettings& cloud : settings.clouds)
        for (std::string* file : {&cloud.ca_file, &cloud.client_cert_file, &cloud.client_key_file,
                 &cloud.credentials.ca_file, &cloud.credentials.credentials_file,
                 &cloud.credentials.config_file, &cloud.credentials.token_file})
            *file = beside(*file);
    for (WebhookSettings& webhook : settings.webhooks) webhook.ca_file = beside(webhook.ca_file);
    return loaded;
}

namespace {

/// Whoever sends a setting over the API must not read this process's variables and files.
Environment closed_environment() {
    Environment closed;
    closed.variable = [](const std::string&) { return std::nullopt; };
    closed.file = [](const std::string&) -> Result<std::string> {
        return fail(ErrorCode::kInvalidField, "files are not read here");
    };
    return closed;
}

Node map_of(std::string key, Node value) {
    Node map;
    map.kind = Node::Kind::kMap;
    map.at = {1, 1};
    map.members.push_back({std::move(key), {1, 1}, std::move(value)});
    return map;
}

/// JSON, which YAML holds; what is wrong with it is told to the reader.
Node parse_entry(Reader& reader, const std::string& path, std::string_view json) {
    YamlDocument document = parse_yaml(std::string(json));
    for (const YamlProblem& problem : document.problems)
        reader.error(problem.at, path, problem.cause, problem.remedy);
    return std::move(document.root);
}

/// Errors: kBadConfiguration with every problem, when there is one.
Status check(const std::vector<Problem>& problems) {
    std::string all;
    std::string field;
    for (const Problem& problem : problems) {
        if (problem.severity != Problem::Severity::kError) continue;
        if (all.empty()) field = problem.path;
        all += fmt::format(
            "{}{}: {}; {}", all.empty() ? "" : "\n", problem.path, problem.cause, problem.remedy);
    }
    if (all.empty()) return {};
    return std::unexpected(Error{ErrorCode::kBadConfiguration, std::move(all), {}, field});
}

}  // namespace

Result<KeySettings> read_key(
    std::string_view name, std::string_view json, const Settings& settings, Stated* stated) {
    const Environment closed = closed_environment();
    std::vector<Problem> problems;
    Reader reader("key", closed, problems);
    reader.set_currency(settings.currency);
    const Node root = map_of("keys", map_of(std::string(name), parse_entry(reader, {}, json)));

    Settings with = settings;
    with.keys.clear();
    reader.section(root_section(), root, with);
    // The file's own keys take part in the comparison of secrets and nothing else.
    if (settings.find_key(name) != nullptr)
        reader.error({1, 1}, fmt::format("keys.{}", name),
            fmt::format("the file has a key '{}' already", name), "choose another name");
    if (!with.keys.empty())
        for (const KeySettings& other : settings.keys)
            for (const auth::Digest& digest : other.digests)
                if (std::ranges::find(with.keys[0].digests, digest) != with.keys[0].digests.end())
                    reader.error({1, 1}, fmt::format("keys.{}", name),
                        fmt::format("the secret is that of the key '{}' too", other.id.view()),
                        "give each key a secret of its own");
    if (!with.keys.empty() && with.keys[0].access_key)
        reader.error({1, 1}, fmt::format("keys.{}.aws", name),
            "an access key pair is in the configuration file only: its secret would have to be "
            "kept readable",
            "write it under keys in the file");
    resolve_keys(reader, with);
    ENTREPOT_TRY_DO(check(problems));
    if (stated != nullptr) *stated = reader.stated();
    return std::move(with.keys.at(0));
}

Result<BudgetSettings> read_budget(
    std::string_view name, std::string_view json, const Settings& settings, Stated* stated) {
    const Environment closed = closed_environment();
    std::vector<Problem> problems;
    Reader reader("budget", closed, problems);
    reader.set_currency(settings.currency);
    const Node root = map_of("budgets", map_of(std::string(name), parse_entry(reader, {}, json)));
    BudgetSettings budget;
    budget.currency = settings.currency;
    const auto read = [&](const Node::Member& member) {
        reader.section(budget_section(), member.value, budget);
        if (!budget.notify || settings.find_webhook(budget.notify->webhook) != nullptr) return;
        reader.error(member.value,
            fmt::format("there is no webhook '{}'", excerpt(budget.notify->webhook)),
            "add it below `webhooks` in the configuration file");
    };
    reader.each(root, [&](const Node::Member& all) { reader.each(all.value, read); });
    ENTREPOT_TRY_DO(check(problems));
    if (stated != nullptr) *stated = reader.stated();
    return budget;
}

Result<Settings> with_entries(
    const Settings& of_file, std::span<const StoredEntry> entries, Stated* stated) {
    if (entries.empty()) return of_file;
    const Environment closed = closed_environment();
    std::vector<Problem> problems;
    Reader reader("store", closed, problems);
    reader.set_currency(of_file.currency);
    Settings whole = of_file;
    const EntryCounts counts = EntryCounts::of(of_file);
    for (const std::string_view section : kStoredSections) {
        Node all;
        all.kind = Node::Kind::kMap;
        all.at = {1, 1};
        for (const StoredEntry& entry : entries)
            if (entry.section == section)
                all.members.push_back({entry.name, {1, 1},
                    parse_entry(
                        reader, fmt::format("{}.{}", section, excerpt(entry.name)), entry.json)});
        if (all.members.empty()) continue;
        reader.section(root_section(), map_of(std::string(section), std::move(all)), whole);
    }
    resolve_entries(reader, whole, counts);
    ENTREPOT_TRY_DO(check(problems));
    if (stated != nullptr) *stated = reader.stated();
    return whole;
}

namespace {

void write_node(json::Writer& writer, const Node& node) {
    switch (node.kind) {
        case Node::Kind::kNull: writer.null(); return;
        case Node::Kind::kScalar: writer.string(node.text); return;
        case Node::Kind::kList:
            writer.begin_array();
            for (const Node& item : node.items) write_node(writer, item);
            writer.end_array();
            return;
        case Node::Kind::kMap:
            writer.begin_object();
            for (const Node::Member& member : node.members) {
                writer.key(member.key);
                write_node(writer, member.value);
            }
            writer.end_object();
            return;
    }
}

}  // namespace

Result<std::string> yaml_to_json(const std::string& text) {
    const YamlDocument document = parse_yaml(text);
    if (!document.problems.empty()) {
        const YamlProblem& problem = document.problems.front();
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("line {} column {}: {}; {}", problem.at.line, problem.at.column,
                problem.cause, problem.remedy));
    }
    std::string out;
    json::Writer writer(out);
    write_node(writer, document.root);
    return out;
}

std::string format_problems(const std::vector<Problem>& problems) {
    std::string out;
    for (const Problem& problem : problems) out += problem.to_string() + "\n";
    return out;
}

std::string problems_json(const std::vector<Problem>& problems) {
    std::string out;
    json::Writer writer(out);
    writer.begin_array();
    for (const Problem& problem : problems) {
        writer.begin_object()
            .member("severity", problem.severity == Problem::Severity::kError ? "error" : "warning")
            .member("file", problem.file)
            .member("line", problem.at.line)
            .member("column", problem.at.column)
            .member("path", problem.path)
            .member("cause", problem.cause)
            .member("remedy", problem.remedy)
            .end_object();
    }
    writer.end_array();
    return out;
}

std::string reference_markdown() {
    std::string out =
        "# Configuration\n\n"
        "<!-- Made by `entrepot validate --reference`, from the table that the parser reads. "
        "-->\n\n"
        "One YAML file. It is strict: an unknown key, a key given twice, a value of another type "
        "and a\n"
        "name that refers to nothing are errors, and `entrepot validate FILE` lists all of them "
        "with line,\n"
        "column and remedy. Everything that has a name is a map by name. In any value "
        "`${env:NAME}` stands\n"
        "for an environment variable and `${file:/path}` for a file's content without its last "
        "line break;\n"
        "`$${` stands for `${` itself. Relative paths start at the file's own folder.\n\n"
        "The file is read again on SIGHUP and when it changes, all or nothing.\n";
    const auto cell = [](std::string_view text) {
        std::string escaped;
        for (const char c : text) {
            if (c == '|') escaped += '\\';
            escaped += c;
        }
        return escaped;
    };
    for (const SectionRows& section : reference_sections()) {
        out += fmt::format("\n## {}\n\n", section.title);
        if (!section.help.empty()) out += fmt::format("{}\n\n", section.help);
        out += "| key | value | when absent | |\n|---|---|---|---|\n";
        for (const FieldRow& row : section.fields)
            out += fmt::format("| `{}` | {} | {} | {} |\n", row.name, cell(row.form),
                cell(row.absent), cell(row.help));
    }
    return out;
}

}  // namespace entrepot::config
