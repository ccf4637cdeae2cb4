#pragma once

// For tests and the fuzzer of this folder: simdjson's parser, which shares nothing with ours but
// the check of UTF-8.

#include <simdjson.h>

#include <string>
#include <string_view>

#include "json/value.h"

namespace entrepot::json::oracle {

/// A value as one text: containers by their members in order, strings by their bytes, numbers by
/// their value as a double.
inline void tell(simdjson::dom::element value, std::string& out) {
    using Type = simdjson::dom::element_type;
    switch (value.type()) {
        case Type::OBJECT:
            out += '{';
            for (const auto& [key, member] : simdjson::dom::object(value)) {
                out.append(key).append("\x1f");
                tell(member, out);
            }
            out += '}';
            return;
        case Type::ARRAY:
            out += '[';
            for (const auto item : simdjson::dom::array(value)) tell(item, out);
            out += ']';
            return;
        case Type::STRING: out.append("\"").append(std::string_view(value)).append("\""); return;
        case Type::BOOL: out += bool(value) ? 't' : 'f'; return;
        case Type::NULL_VALUE: out += 'n'; return;
        default: out += '#'; return;
    }
}

inline void tell(const Value& value, std::string& out) {
    switch (value.kind()) {
        case Kind::kObject:
            out += '{';
            for (const Member& member : value.members()) {
                out.append(member.key).append("\x1f");
                tell(member.value, out);
            }
            out += '}';
            return;
        case Kind::kArray:
            out += '[';
            for (const Value& item : value.items()) tell(item, out);
            out += ']';
            return;
        case Kind::kString: out.append("\"").append(value.string()).append("\""); return;
        case Kind::kBool: out += *value.as_bool() ? 't' : 'f'; return;
        case Kind::kNull: out += 'n'; return;
        case Kind::kNumber: out += '#'; return;
    }
}

/// What simdjson makes of the text; `has_number_error`: it is JSON but for a number that its types
/// cannot hold, which ours keeps as spelled.
struct Verdict {
    bool is_json = false;
    bool has_number_error = false;
    std::string told;
};

inline Verdict read(std::string_view text) {
    Verdict verdict;
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    auto code = parser.allocate(text.size() + 64, 201);
    if (code == simdjson::SUCCESS) code = parser.parse(simdjson::padded_string(text)).get(root);
    verdict.is_json = code == simdjson::SUCCESS;
    verdict.has_number_error = code == simdjson::NUMBER_ERROR;
    if (verdict.is_json) tell(root, verdict.told);
    return verdict;
}

}  // namespace entrepot::json::oracle
