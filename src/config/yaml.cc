#include "config/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>
#include <unordered_set>

#include "base/text.h"

namespace entrepot::config {

std::string_view node_kind_name(Node::Kind kind) {
    switch (kind) {
        case Node::Kind::kNull: return "nothing";
        case Node::Kind::kScalar: return "text";
        case Node::Kind::kList: return "a list";
        case Node::Kind::kMap: return "a map";
    }
    return "nothing";
}

namespace {

Location location_of(const YAML::Mark& mark) {
    if (mark.is_null()) return {};
    return {static_cast<std::uint32_t>(mark.line) + 1, static_cast<std::uint32_t>(mark.column) + 1};
}

struct Stop {};  // thrown through yaml-cpp when a bound is passed, caught in parse_yaml

// Builds our tree from yaml-cpp's events. yaml-cpp's own Node is not used: it hides duplicate keys.
class TreeBuilder : public YAML::EventHandler {
public:
    TreeBuilder(YamlDocument& out, const YamlLimits& limits) : out_(out), limits_(limits) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        place(leaf(Node::Kind::kNull, mark, {}), anchor);
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
        const std::string& value) override {
        check_tag(mark, tag);
        place(leaf(Node::Kind::kScalar, mark, value), anchor);
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) {
            problem(mark, "this alias stands inside the value that it names",
                "write the value out instead of the alias");
            place(leaf(Node::Kind::kNull, mark, {}), 0);
            return;
        }
        alias_bytes_ += bytes_of(found->second, mark);
        if (alias_bytes_ > limits_.alias_bytes_max) stop(mark, "the aliases expand to too much");
        place(found->second, 0);
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
        YAML::EmitterStyle::value) override {
        check_tag(mark, tag);
        open(leaf(Node::Kind::kList, mark, {}), anchor, mark);
    }
    void OnSequenceEnd() override { close(); }

    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
        YAML::EmitterStyle::value) override {
        check_tag(mark, tag);
        open(leaf(Node::Kind::kMap, mark, {}), anchor, mark);
    }
    void OnMapEnd() override { close(); }

private:
    struct Level {
        Node node;
        YAML::anchor_t anchor = 0;
        bool has_key = false;  // of a map: a key waits for its value
        std::string key;
        Location key_at;
        std::unordered_set<std::string> keys;
    };

    void problem(const YAML::Mark& mark, std::string cause, std::string remedy) {
        if (out_.problems.size() < 100)
            out_.problems.push_back({location_of(mark), std::move(cause), std::move(remedy)});
    }

    [[noreturn]] void stop(const YAML::Mark& mark, std::string cause) {
        problem(mark, std::move(cause),
            fmt::format("keep the file below {} values and {} levels", limits_.nodes_max,
                limits_.depth_max));
        throw Stop{};
    }

    Node leaf(Node::Kind kind, const YAML::Mark& mark, std::string text) {
        if (++nodes_ > limits_.nodes_max) stop(mark, "the file holds too many values");
        Node node;
        node.kind = kind;
        node.at = location_of(mark);
        node.text = std::move(text);
        return node;
    }

    // The size of a copied tree, each of whose values counts against the bound.
    std::size_t bytes_of(const Node& node, const YAML::Mark& mark) {
        if (++nodes_ > limits_.nodes_max) stop(mark, "the aliases expand to too many values");
        std::size_t bytes = sizeof(Node) + node.text.size();
        for (const Node& item : node.items) bytes += bytes_of(item, mark);
        for (const Node::Member& member : node.members)
            bytes += member.key.size() + bytes_of(member.value, mark);
        return bytes;
    }

    void check_tag(const YAML::Mark& mark, const std::string& tag) {
        if (tag.empty() || tag == "?" || tag == "!") return;
        problem(mark, fmt::format("the tag '{}' has no meaning here", excerpt(tag)),
            "remove the tag; quote the value if it must be text");
    }

    void open(Node node, YAML::anchor_t anchor, const YAML::Mark& mark) {
        if (levels_.size() >= limits_.depth_max) stop(mark, "the file is nested too deeply");
        Level level;
        level.node = std::move(node);
        level.anchor = anchor;
        levels_.push_back(std::move(level));
    }

    void close() {
        Level level = std::move(levels_.back());
        levels_.pop_back();
        place(std::move(level.node), level.anchor);
    }

    void place(Node node, YAML::anchor_t anchor) {
        if (anchor != 0) anchors_[anchor] = node;
        if (levels_.empty()) {
            out_.root = std::move(node);
            return;
        }
        Level& parent = levels_.back();
        if (parent.node.kind == Node::Kind::kList) {
            parent.node.items.push_back(std::move(node));
        } else if (!parent.has_key) {
            parent.has_key = true;
            parent.key = std::move(node.text);
            parent.key_at = node.at;
            if (node.kind == Node::Kind::kScalar) {
                if (!parent.keys.insert(parent.key).second) duplicate(parent);
            } else {
                out_.problems.push_back({node.at,
                    fmt::format("a key must be text, this is {}", node_kind_name(node.kind)),
                    "quote the key"});
            }
        } else {
            parent.has_key = false;
            parent.node.members.push_back({std::move(parent.key), parent.key_at, std::move(node)});
        }
    }

    void duplicate(const Level& parent) {
        Location first;
        for (const Node::Member& member : parent.node.members)
            if (member.key == parent.key) first = member.key_at;
        if (out_.problems.size() < 100)
            out_.problems.push_back({parent.key_at,
                fmt::format("the key '{}' is given twice, first on line {}", excerpt(parent.key),
                    first.line),
                "keep one of them"});
    }

    YamlDocument& out_;
    const YamlLimits& limits_;
    std::vector<Level> levels_;
    std::map<YAML::anchor_t, Node> anchors_;
    std::size_t nodes_ = 0;
    std::size_t alias_bytes_ = 0;
};

}  // namespace

YamlDocument parse_yaml(const std::string& text, const YamlLimits& limits) {
    YamlDocument document;
    document.root.kind = Node::Kind::kMap;
    document.root.at = {1, 1};
    if (text.find('\0') != std::string::npos) {
        document.problems.push_back({{1, 1}, "the file holds a zero byte, so it is not text",
            "save the file as UTF-8 text"});
        return document;
    }
    TreeBuilder builder(document, limits);
    try {
        std::istringstream stream(text);
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) return document;
        if (document.root.kind == Node::Kind::kNull) document.root.kind = Node::Kind::kMap;
        YamlDocument second;
        TreeBuilder second_builder(second, limits);
        if (parser.HandleNextDocument(second_builder))
            document.problems.push_back({second.root.at, "the file holds a second document",
                "keep one document per file; remove the line '---' and what follows"});
    } catch (const Stop&) {
        // The problem is listed already.
    } catch (const YAML::Exception& error) {
        document.problems.push_back(
            {location_of(error.mark), fmt::format("this is not valid YAML: {}", error.msg),
                "check indentation, quotes and brackets on this line and the one above"});
    } catch (const std::exception& error) {
        document.problems.push_back({{1, 1},
            fmt::format("this is not valid YAML: {}", error.what()), "check the file's encoding"});
    }
    return document;
}

}  // namespace entrepot::config
