#include "meaning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "json/writer.h"

namespace entrepot::exchange {
namespace {

using Node = Tree::Node;

// `1`, `1.0` and `1e0` are one number; a test's precision suffices to tell others apart.
std::string number_text(std::string_view raw) {
    if (raw.find_first_of(".eE") == std::string_view::npos) return std::string(raw);
    return fmt::format("{}", std::strtod(std::string(raw).c_str(), nullptr));
}

Node node_of(
    const json::Value& value, const std::vector<std::string_view>& verbatim, bool is_verbatim) {
    Node node;
    node.kind = value.kind();
    switch (value.kind()) {
        case json::Kind::kString: node.text = value.string(); break;
        case json::Kind::kNumber: node.text = number_text(value.raw()); break;
        case json::Kind::kBool: node.text = value.raw(); break;
        case json::Kind::kNull: break;
        case json::Kind::kArray:
            for (const json::Value& item : value.items())
                node.items.push_back(node_of(item, verbatim, is_verbatim));
            break;
        case json::Kind::kObject:
            for (const json::Member& member : value.members()) {
                if (member.value.is_null() && !is_verbatim) continue;
                const bool is_passed =
                    is_verbatim || std::ranges::find(verbatim, member.key) != verbatim.end();
                node.members[std::string(member.key)] = node_of(member.value, verbatim, is_passed);
            }
            break;
    }
    return node;
}

std::string below(std::string_view path, std::string_view key) {
    return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

/// Every member of every object, with its path; `take` says whether the member stays.
void walk(Node& node, const std::string& path,
    const std::function<bool(const std::string& path, Node& member)>& take) {
    const std::string inside = path + "[]";
    for (Node& item : node.items) walk(item, inside, take);
    for (auto at = node.members.begin(); at != node.members.end();) {
        const std::string name = below(path, at->first);
        walk(at->second, name, take);
        at = take(name, at->second) ? std::next(at) : node.members.erase(at);
    }
}

void walk_objects(Node& node, const std::string& path,
    const std::function<void(const std::string& path, Node& object)>& visit) {
    for (Node& item : node.items) walk_objects(item, path + "[]", visit);
    for (auto& [key, member] : node.members) walk_objects(member, below(path, key), visit);
    if (node.kind == json::Kind::kObject) visit(path, node);
}

void compare(
    const Node& before, const Node& after, const std::string& path, std::vector<Difference>& out) {
    if (before.kind != after.kind || before.text != after.text ||
        before.items.size() != after.items.size()) {
        out.push_back({path, before.json(), after.json()});
        return;
    }
    for (std::size_t i = 0; i < before.items.size(); ++i)
        compare(before.items[i], after.items[i], path + "[]", out);
    for (const auto& [key, member] : before.members) {
        if (const Node* found = after.find(key))
            compare(member, *found, below(path, key), out);
        else
            out.push_back({below(path, key), member.json(), {}});
    }
    for (const auto& [key, member] : after.members)
        if (before.find(key) == nullptr) out.push_back({below(path, key), {}, member.json()});
}

}  // namespace

const Node* Tree::Node::find(const std::string& key) const {
    const auto found = members.find(key);
    return found == members.end() ? nullptr : &found->second;
}

std::string Tree::Node::json() const {
    switch (kind) {
        case json::Kind::kNull: return "null";
        case json::Kind::kString: return json::quoted(text);
        case json::Kind::kNumber:
        case json::Kind::kBool: return text;
        case json::Kind::kArray: {
            std::string out = "[";
            for (const Node& item : items) out += (out.size() > 1 ? "," : "") + item.json();
            return out + "]";
        }
        case json::Kind::kObject: {
            std::string out = "{";
            for (const auto& [key, member] : members)
                out += (out.size() > 1 ? "," : "") + json::quoted(key) + ":" + member.json();
            return out + "}";
        }
    }
    return {};
}

Tree::Tree(const json::Value& root, const std::vector<std::string_view>& verbatim)
    : root_(node_of(root, verbatim, false)) {}

void Tree::absent(std::string_view pattern, std::string_view json) {
    walk(root_, "", [&](const std::string& path, Node& member) {
        return member.json() != json || !matches(pattern, path);
    });
}

void Tree::listed(std::string_view pattern) {
    walk(root_, "", [&](const std::string& path, Node& member) {
        if (member.kind == json::Kind::kArray || !matches(pattern, path)) return true;
        Node list;
        list.kind = json::Kind::kArray;
        list.items.push_back(std::move(member));
        member = std::move(list);
        return true;
    });
}

void Tree::text_as_part(std::string_view pattern, std::string_view key, std::string_view object) {
    walk(root_, "", [&](const std::string& path, Node& member) {
        if (member.kind != json::Kind::kString || !matches(pattern, path)) return true;
        const auto document = json::Document::parse(std::string(object));
        Node part = node_of(document->root(), {}, false);
        part.members[std::string(key)] = std::move(member);
        Node list;
        list.kind = json::Kind::kArray;
        list.items.push_back(std::move(part));
        member = std::move(list);
        return true;
    });
}

void Tree::renamed(std::string_view pattern, std::string_view name) {
    walk_objects(root_, "", [&](const std::string& path, Node& object) {
        for (auto at = object.members.begin(); at != object.members.end(); ++at) {
            if (at->first == name || !matches(pattern, below(path, at->first))) continue;
            Node moved = std::move(at->second);
            object.members.erase(at);
            object.members.try_emplace(std::string(name), std::move(moved));
            return;
        }
    });
}

void Tree::each(std::string_view pattern, const std::function<void(Node& object)>& change) {
    walk_objects(root_, "", [&](const std::string& path, Node& object) {
        if (matches(pattern, path)) change(object);
    });
}

std::vector<Difference> differences(const Tree& before, const Tree& after) {
    std::vector<Difference> out;
    compare(before.root(), after.root(), "", out);
    return out;
}

bool matches(std::string_view pattern, std::string_view text) {
    const std::size_t star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == text;
    if (!text.starts_with(pattern.substr(0, star))) return false;
    const std::string_view rest = pattern.substr(star + 1);
    for (std::size_t at = star; at <= text.size(); ++at)
        if (matches(rest, text.substr(at))) return true;
    return false;
}

}  // namespace entrepot::exchange
