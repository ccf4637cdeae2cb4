#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/text.h"
#include "config/load.h"
#include "config/yaml.h"

namespace entrepot::config {

class Reader;

/// One key of the file, defined once: how it is read, and what people are told about it.
template <typename T>
struct Field {
    std::string_view name;
    std::string_view form;    ///< what may be written: `text`, `integer, 1 to 65535`
    std::string_view absent;  ///< what holds without it; `required` makes its absence an error
    std::string_view help;
    void (*read)(Reader& reader, const Node& node, T& out);
};

/// A map with a fixed set of keys.
template <typename T>
struct Section {
    std::string_view title;  ///< of its part of the reference: `clouds.<name>`
    std::string_view help;
    std::span<const Field<T>> fields;
};

/// Reads nodes into values, collects every problem, and knows where it stands. Nothing here throws.
class Reader {
public:
    Reader(std::string file, const Environment& environment, std::vector<Problem>& problems)
        : file_(std::move(file)), environment_(environment), problems_(problems) {}

    void error(Location at, std::string path, std::string cause, std::string remedy);
    void error(const Node& node, std::string cause, std::string remedy) {
        error(node.at, path_, std::move(cause), std::move(remedy));
    }
    void warning(Location at, std::string path, std::string cause, std::string remedy);
    /// A problem of the value at `path`, read before: what the checks across entries use.
    void error_at(const std::string& path, std::string cause, std::string remedy);
    void warning_at(const std::string& path, std::string cause, std::string remedy);
    [[nodiscard]] Location place_of(const std::string& path) const;
    /// Whether the file has a value at `path`, good or bad.
    [[nodiscard]] bool was_given(const std::string& path) const { return places_.contains(path); }

    /// A scalar with `${env:X}` and `${file:/path}` replaced, or nothing after a problem.
    [[nodiscard]] std::optional<std::string> text(const Node& node);
    /// Like `text`, not empty and without control characters; problems never show the value.
    [[nodiscard]] std::optional<Secret> secret(const Node& node);
    [[nodiscard]] std::optional<std::int64_t> integer(
        const Node& node, std::int64_t least, std::int64_t most);
    [[nodiscard]] std::optional<bool> boolean(const Node& node);
    /// One of `choices`, else a problem that offers the nearest.
    [[nodiscard]] std::optional<std::size_t> choice(
        const Node& node, std::span<const std::string> choices);
    /// A list of texts; one text stands for a list of one.
    [[nodiscard]] std::vector<std::string> texts(const Node& node);
    [[nodiscard]] bool expect(const Node& node, Node::Kind kind, std::string_view remedy);

    /// Reads `node`, a map, field by field.
    template <typename T>
    void section(const Section<T>& section, const Node& node, T& out);
    /// Calls `read(name, value)` for each member of `node`, a map by name, with the path set.
    void each(const Node& node, const std::function<void(const Node::Member&)>& read);
    /// Calls `read(item)` for each item of `node`, a list.
    void each_item(const Node& node, const std::function<void(const Node&)>& read);

    [[nodiscard]] std::size_t problem_count() const { return problems_.size(); }
    [[nodiscard]] const std::string& path() const { return path_; }
    /// Every value read so far, by its path.
    [[nodiscard]] Stated stated() const { return {stated_.begin(), stated_.end()}; }
    [[nodiscard]] const Environment& environment() const { return environment_; }
    [[nodiscard]] const Currency& currency() const { return currency_; }
    void set_currency(Currency currency) { currency_ = currency; }

private:
    /// The path is one step longer while it lives.
    class Step {
    public:
        Step(Reader& reader, std::string_view name, Location at);
        Step(Reader& reader, std::size_t item, Location at);
        ~Step() { reader_.path_.resize(length_); }
        Step(const Step&) = delete;
        Step& operator=(const Step&) = delete;

    private:
        Reader& reader_;
        std::size_t length_;
    };

    void unknown_key(const Node::Member& member, std::span<const std::string> known);
    void missing_key(const Node& node, std::string_view name, std::string_view form);
    [[nodiscard]] std::optional<std::string> interpolate(const Node& node);
    void state(std::string_view value);
    void state_empty(const Node& node);

    std::string file_;
    const Environment& environment_;
    std::vector<Problem>& problems_;
    std::string path_;
    std::unordered_map<std::string, Location> places_;
    std::map<std::string, std::string> stated_;
    Currency currency_;
};

template <typename T>
void Reader::section(const Section<T>& section, const Node& node, T& out) {
    if (!expect(node, Node::Kind::kMap, "write {key: value, ...} or indented lines of key: value"))
        return;
    for (const Node::Member& member : node.members) {
        const Field<T>* field = nullptr;
        for (const Field<T>& candidate : section.fields)
            if (candidate.name == member.key) field = &candidate;
        if (field == nullptr) {
            std::vector<std::string> known;
            for (const Field<T>& candidate : section.fields) known.emplace_back(candidate.name);
            unknown_key(member, known);
            continue;
        }
        const Step step(*this, member.key, member.value.at);
        field->read(*this, member.value, out);
    }
    for (const Field<T>& field : section.fields) {
        if (field.absent != "required") continue;
        bool found = false;
        for (const Node::Member& member : node.members) found = found || member.key == field.name;
        if (!found) missing_key(node, field.name, field.form);
    }
}

}  // namespace entrepot::config
