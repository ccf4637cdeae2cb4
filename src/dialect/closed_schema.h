#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect {

/// A JSON Schema as Anthropic and Bedrock take it where it binds the model: every object says that
/// it has no other members, and nothing bounds numbers, lengths or counts. What keeps to the closed
/// schema keeps to the original, but for the bounds, which are told to the model in descriptions.
struct ClosedSchema {
    std::string json;
    bool is_narrower = false;  ///< an object of any members became one of named members alone
    bool tells_bounds = false;
};

namespace closing {

using json::Value;
using json::Writer;

constexpr std::array<std::string_view, 11> kBounds{"minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems", "uniqueItems",
    "minProperties", "maxProperties"};
constexpr std::array<std::string_view, 10> kFormats{
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"};

inline bool is_bound(const json::Member& member) {
    if (member.key == "minItems") return member.value.as_int().value_or(2) > 1;
    if (member.key == "format")
        return std::ranges::find(kFormats, member.value.string()) == kFormats.end();
    return std::ranges::find(kBounds, member.key) != kBounds.end();
}

inline bool is_of_objects(const Value& schema) {
    const Value& type = schema["type"];
    const auto is_object = [](const Value& word) { return word.string() == "object"; };
    return is_object(type) || std::ranges::any_of(type.items(), is_object) ||
        schema["properties"].is_object();
}

// A writer nests up to 64 deep, a schema deeper: each level has a writer of its own, onto one text.
// An empty value makes the outer one ready for what the inner one writes.
inline void close(const Value& schema, ClosedSchema& out);

inline void close_each(const Value& schemas, ClosedSchema& out) {
    Writer writer(out.json);
    if (schemas.is_array()) {
        writer.begin_array();
        for (const Value& one : schemas.items()) {
            writer.raw("");
            close(one, out);
        }
        writer.end_array();
        return;
    }
    writer.begin_object();
    for (const json::Member& member : schemas.members()) {
        writer.member_raw(member.key, "");
        close(member.value, out);
    }
    writer.end_object();
}

inline void close(const Value& schema, ClosedSchema& out) {
    if (!schema.is_object()) {
        out.json += schema.raw();
        return;
    }
    const bool is_object = is_of_objects(schema);
    Writer writer(out.json);
    writer.begin_object();
    std::string bounds;
    for (const json::Member& member : schema.members()) {
        const auto is = [&](auto... names) { return ((member.key == names) || ...); };
        const Value& value = member.value;
        if (is("properties", "$defs", "definitions") && value.is_object()) {
            writer.member_raw(member.key, "");
            close_each(value, out);
        } else if (is("anyOf", "oneOf", "prefixItems", "items") && value.is_array()) {
            writer.member_raw(member.key, "");
            close_each(value, out);
        } else if (is("items")) {
            writer.member_raw(member.key, "");
            close(value, out);
        } else if (is_bound(member)) {
            bounds += fmt::format("{}{}: {}", bounds.empty() ? "" : ", ", member.key, value.raw());
        } else if (!is("description") && !(is_object && is("additionalProperties"))) {
            writer.member_raw(member.key, value.raw());
        }
    }
    if (is_object) {
        const Value* others = schema.find("additionalProperties");
        // A map of any names, or one of nothing but such.
        const bool is_closed = others != nullptr && others->as_bool() == false;
        const bool is_schema = others != nullptr && others->is_object();
        if (is_schema || (!is_closed && schema.find("properties") == nullptr))
            out.is_narrower = true;
        writer.member_bool("additionalProperties", false);
    }
    std::string description(schema["description"].string());
    if (!bounds.empty()) {
        out.tells_bounds = true;
        description += fmt::format("{}{{{}}}", description.empty() ? "" : "\n\n", bounds);
    }
    if (!description.empty()) writer.member("description", description);
    writer.end_object();
}

}  // namespace closing

[[nodiscard]] inline ClosedSchema closed_schema(const json::Value& schema) {
    ClosedSchema out;
    closing::close(schema, out);
    return out;
}

}  // namespace entrepot::dialect
