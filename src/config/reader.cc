#include "config/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "crypto/hash.h"

namespace entrepot::config {
namespace {

constexpr std::size_t kProblemsMax = 200;
constexpr std::size_t kStatedBytesMax = 1024;
constexpr std::string_view kDigestPrefix = "sha256:";
constexpr std::size_t kDigestLettersShown = 8;

/// Enough to tell two secrets apart, too little to find one that was not guessed already.
std::string shown_digest(std::string_view hex) {
    return std::string(kDigestPrefix) + std::string(hex.substr(0, kDigestLettersShown));
}

std::string digest_shown_of(std::string_view secret) {
    return shown_digest(crypto::hex(crypto::sha256(secret)));
}

}  // namespace

Reader::Step::Step(Reader& reader, std::string_view name, Location at)
    : reader_(reader), length_(reader.path_.size()) {
    if (!reader_.path_.empty()) reader_.path_ += '.';
    reader_.path_ += excerpt(name);
    reader_.places_.emplace(reader_.path_, at);
}

Reader::Step::Step(Reader& reader, std::size_t item, Location at)
    : reader_(reader), length_(reader.path_.size()) {
    reader_.path_ += fmt::format("[{}]", item);
    reader_.places_.emplace(reader_.path_, at);
}

void Reader::error(Location at, std::string path, std::string cause, std::string remedy) {
    if (problems_.size() >= kProblemsMax) return;
    problems_.push_back({Problem::Severity::kError, file_, at, std::move(path), std::move(cause),
        std::move(remedy)});
}

void Reader::warning(Location at, std::string path, std::string cause, std::string remedy) {
    // A warning must not take the place of an error when there are too many.
    if (problems_.size() >= kProblemsMax / 2) return;
    problems_.push_back({Problem::Severity::kWarning, file_, at, std::move(path), std::move(cause),
        std::move(remedy)});
}

Location Reader::place_of(const std::string& path) const {
    // A value that is absent stands where its map stands.
    for (std::string at = path;;) {
        if (const auto found = places_.find(at); found != places_.end()) return found->second;
        const auto dot = at.find_last_of(".[");
        if (dot == std::string::npos) return {1, 1};
        at.resize(dot);
    }
}

void Reader::error_at(const std::string& path, std::string cause, std::string remedy) {
    error(place_of(path), path, std::move(cause), std::move(remedy));
}

void Reader::warning_at(const std::string& path, std::string cause, std::string remedy) {
    warning(place_of(path), path, std::move(cause), std::move(remedy));
}

bool Reader::expect(const Node& node, Node::Kind kind, std::string_view remedy) {
    if (node.kind == kind) return true;
    error(node,
        fmt::format("expected {}, found {}", node_kind_name(kind),
            node.is_scalar() ? fmt::format("'{}'", excerpt(node.text, 40))
                             : std::string(node_kind_name(node.kind))),
        std::string(remedy));
    return false;
}

std::optional<std::string> Reader::interpolate(const Node& node) {
    const std::string& raw = node.text;
    if (raw.find("${") == std::string::npos) return raw;
    std::string out;
    bool ok = true;
    for (std::size_t i = 0; i < raw.size();) {
        if (raw.compare(i, 3, "$${") == 0) {  // `$${` stands for the two characters `${`
            out += "${";
            i += 3;
            continue;
        }
        if (raw.compare(i, 2, "${") != 0) {
            out += raw[i++];
            continue;
        }
        const auto end = raw.find('}', i);
        const std::string inside =
            end == std::string::npos ? raw.substr(i + 2) : raw.substr(i + 2, end - i - 2);
        if (end == std::string::npos) {
            error(node, fmt::format("'${{{}' has no closing brace", excerpt(inside, 40)),
                "write ${env:NAME} or ${file:/path}; write $${ for the characters ${ themselves");
            return std::nullopt;
        }
        i = end + 1;
        if (inside.starts_with("env:")) {
            const std::string name = inside.substr(4);
            if (const auto value = environment_.variable(name)) {
                out += *value;
            } else {
                ok = false;
                error(node, fmt::format("the environment variable '{}' is not set", excerpt(name)),
                    fmt::format("set {} before starting, or write the value", excerpt(name)));
            }
        } else if (inside.starts_with("file:")) {
            auto content = environment_.file(inside.substr(5));
            if (content) {
                out += *content;
            } else {
                ok = false;
                error(node, content.error().message,
                    "check the path and that this user may read the file");
            }
        } else {
            ok = false;
            error(node, fmt::format("'${{{}}}' is not known", excerpt(inside, 40)),
                "write ${env:NAME} or ${file:/path}; write $${ for the characters ${ themselves");
        }
    }
    return ok ? std::optional(std::move(out)) : std::nullopt;
}

// A long value is told apart by its digest; one that is a digest of a secret is shown as secrets
// are.
void Reader::state(std::string_view value) {
    constexpr std::size_t kDigestBytes = 64;
    if (value.starts_with(kDigestPrefix) && value.size() == kDigestPrefix.size() + kDigestBytes)
        stated_[path_] = shown_digest(value.substr(kDigestPrefix.size()));
    else if (value.size() > kStatedBytesMax)
        stated_[path_] =
            fmt::format("{} ({})", excerpt(value, kStatedBytesMax), digest_shown_of(value));
    else
        stated_[path_] = value;
}

// An entry without settings is an entry: `orgs: {acme: {}}`.
void Reader::state_empty(const Node& node) {
    if (node.kind == Node::Kind::kNull || (node.is_map() && node.members.empty()))
        stated_[path_] = "{}";
}

std::optional<std::string> Reader::text(const Node& node) {
    if (!expect(node, Node::Kind::kScalar, "write one value")) return std::nullopt;
    std::optional<std::string> value = interpolate(node);
    if (value) state(*value);
    return value;
}

std::optional<Secret> Reader::secret(const Node& node) {
    if (!node.is_scalar()) {
        error(node, fmt::format("expected text, found {}", node_kind_name(node.kind)),
            "write \"${env:NAME}\" or \"${file:/path}\"");
        return std::nullopt;
    }
    std::optional<std::string> value = interpolate(node);
    if (!value) return std::nullopt;
    stated_[path_] = digest_shown_of(*value);
    if (value->empty()) {
        error(node, "the value is empty", "give it a value, or remove the key");
        return std::nullopt;
    }
    return Secret(std::move(*value));
}

std::optional<std::int64_t> Reader::integer(
    const Node& node, std::int64_t least, std::int64_t most) {
    const std::optional<std::string> value = text(node);
    if (!value) return std::nullopt;
    std::int64_t number = 0;
    const char* end = value->data() + value->size();
    const auto [stopped, failure] = std::from_chars(value->data(), end, number);
    if (failure != std::errc() || stopped != end || number < least || number > most) {
        error(node,
            fmt::format(
                "'{}' is not a whole number from {} to {}", excerpt(node.text, 40), least, most),
            fmt::format("write a whole number from {} to {}", least, most));
        return std::nullopt;
    }
    return number;
}

std::optional<bool> Reader::boolean(const Node& node) {
    const std::optional<std::string> value = text(node);
    if (!value) return std::nullopt;
    if (*value == "true") return true;
    if (*value == "false") return false;
    error(node, fmt::format("'{}' is neither true nor false", excerpt(node.text, 40)),
        "write true or false");
    return std::nullopt;
}

std::optional<std::size_t> Reader::choice(const Node& node, std::span<const std::string> choices) {
    const std::optional<std::string> value = text(node);
    if (!value) return std::nullopt;
    const auto found = std::ranges::find(choices, *value);
    if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
    const std::string_view close = nearest(*value, choices);
    error(node,
        fmt::format("'{}' is not one of {}", excerpt(node.text, 40), fmt::join(choices, ", ")),
        close.empty() ? "write one of them" : fmt::format("did you mean '{}'?", close));
    return std::nullopt;
}

std::vector<std::string> Reader::texts(const Node& node) {
    std::vector<std::string> values;
    if (node.is_scalar()) {
        if (auto value = text(node)) values.push_back(std::move(*value));
        return values;
    }
    each_item(node, [&](const Node& item) {
        if (auto value = text(item)) values.push_back(std::move(*value));
    });
    return values;
}

void Reader::each(const Node& node, const std::function<void(const Node::Member&)>& read) {
    if (node.kind == Node::Kind::kNull) return;  // `orgs:` with nothing below it
    if (!expect(node, Node::Kind::kMap, "write a map by name: {name: {...}}")) return;
    for (const Node::Member& member : node.members) {
        const Step step(*this, member.key, member.key_at);
        state_empty(member.value);
        read(member);
    }
}

void Reader::each_item(const Node& node, const std::function<void(const Node&)>& read) {
    if (!expect(node, Node::Kind::kList, "write a list: [a, b]")) return;
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        const Step step(*this, i, node.items[i].at);
        read(node.items[i]);
    }
}

void Reader::unknown_key(const Node::Member& member, std::span<const std::string> known) {
    const std::string_view close = nearest(member.key, known);
    const std::string where = path_.empty() ? "at the top" : fmt::format("in {}", path_);
    error(member.key_at, path_.empty() ? excerpt(member.key) : path_ + "." + excerpt(member.key),
        fmt::format("unknown key '{}' {}", excerpt(member.key), where),
        close.empty() ? fmt::format("the keys known here are {}", fmt::join(known, ", "))
                      : fmt::format("did you mean '{}'?", close));
}

void Reader::missing_key(const Node& node, std::string_view name, std::string_view form) {
    error(node.at, path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name),
        fmt::format("'{}' is missing", name), fmt::format("add {}: <{}>", name, form));
}

}  // namespace entrepot::config
