#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.h"

namespace entrepot::exchange {

/// A JSON value taken apart for comparing: members without order, numbers by value, members that
/// are null left out, save in what is passed on as it is (schemas, arguments).
///
/// What two spellings of one meaning there are besides, a dialect's row says with the functions
/// below. A *path* is the way from the root: `messages[].content[].type`; in a pattern `*` stands
/// for any run of characters. Every call brings one more spelling to one form, in both texts that
/// are compared, so what remains different is a loss.
class Tree {
public:
    struct Node {
        json::Kind kind = json::Kind::kNull;
        std::string text;  ///< of a string; the spelling of a number, `true` or `false`
        std::vector<Node> items;
        std::map<std::string, Node> members;

        [[nodiscard]] const Node* find(const std::string& key) const;
        /// As JSON, members sorted.
        [[nodiscard]] std::string json() const;
    };

    /// Below members of the names in `verbatim` a null is a value.
    Tree(const json::Value& root, const std::vector<std::string_view>& verbatim);

    /// A member that has this value might as well not be there.
    void absent(std::string_view pattern, std::string_view json);
    /// A value might as well stand in a list that holds nothing else.
    void listed(std::string_view pattern);
    /// A string might as well be a list of one object: `{"type":"text","text":...}`, where `object`
    /// gives the members beside the one named `key`.
    void text_as_part(std::string_view pattern, std::string_view key, std::string_view object);
    /// The member has an older name, or another server's.
    void renamed(std::string_view pattern, std::string_view name);
    /// All else: `change` may edit each object whose own path matches (the root's is empty).
    void each(std::string_view pattern, const std::function<void(Node& object)>& change);

    [[nodiscard]] const Node& root() const { return root_; }

private:
    Node root_;
};

/// One place where two trees differ.
struct Difference {
    std::string path;  ///< with `[]` for every index, so that equal causes have equal names
    std::string before;
    std::string after;  ///< empty: it is gone
};

[[nodiscard]] std::vector<Difference> differences(const Tree& before, const Tree& after);

/// Whether `text` is what `pattern` describes; `*` stands for any run of characters.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);

}  // namespace entrepot::exchange
