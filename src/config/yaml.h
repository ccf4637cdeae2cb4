#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace entrepot::config {

/// A YAML value with its place. Only what a configuration needs: no tags, no merge keys, keys are
/// scalars.
struct Node {
    enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
    struct Member;

    Kind kind = Kind::kNull;
    Location at;
    std::string text;             ///< of a scalar
    std::vector<Node> items;      ///< of a list
    std::vector<Member> members;  ///< of a map, in the file's order, keys unique

    [[nodiscard]] bool is_map() const { return kind == Kind::kMap; }
    [[nodiscard]] bool is_scalar() const { return kind == Kind::kScalar; }
};

struct Node::Member {
    std::string key;
    Location key_at;
    Node value;
};

/// `a map`, `a list`, `text`, `nothing`: for messages.
[[nodiscard]] std::string_view node_kind_name(Node::Kind kind);

/// What is wrong with the YAML itself, at its place.
struct YamlProblem {
    Location at;
    std::string cause;
    std::string remedy;
};

/// Bounds on one document. Aliases are copied, and the copies count: a small file cannot grow
/// without end.
struct YamlLimits {
    std::size_t nodes_max = 400'000;
    std::size_t depth_max = 24;
    std::size_t alias_bytes_max = 16u << 20;
};

/// Parses one document. The empty text is an empty map. Problems that leave a usable tree (a
/// duplicate key, a tag) are all listed; a syntax error ends the reading.
struct YamlDocument {
    Node root;
    std::vector<YamlProblem> problems;
};
[[nodiscard]] YamlDocument parse_yaml(const std::string& text, const YamlLimits& limits = {});

}  // namespace entrepot::config
