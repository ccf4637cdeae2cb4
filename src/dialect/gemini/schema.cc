#include "dialect/gemini/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/text.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {
namespace {

using json::Value;
using json::Writer;

constexpr std::array<std::string_view, 8> kTypes{
    "TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"};
constexpr std::array<std::string_view, 6> kWholeNumbers{
    "minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"};
constexpr std::array<std::string_view, 5> kWidths{"int32", "int64", "float", "double", "enum"};

class Rewriter {
public:
    static std::string of(const Value& schema) {
        std::string out;
        Rewriter().schema(schema, out);
        return out;
    }

private:
    // A writer nests up to 64 deep, a schema deeper: each level has a writer of its own, onto one
    // text. An empty value makes the outer one ready for what the inner one writes.
    void schema(const Value& value, std::string& out) {
        if (!value.is_object()) {
            out += value.raw();  // `true`, which is JSON Schema for anything
            return;
        }
        const bool is_nullable = get(value, "nullable").as_bool().value_or(false);
        Writer writer(out);
        writer.begin_object();
        for (const json::Member& member : value.members()) {
            if (member.value.is_null()) continue;
            const auto is = [&](std::string_view name) { return spells(member.key, name); };
            if (is("type")) {
                type(member.value, is_nullable, writer);
            } else if (is("properties") || is("$defs") || is("defs")) {
                writer.member_raw(is("properties") ? "properties" : "$defs", "");
                named_schemas(member.value, get(value, "propertyOrdering"), out);
            } else if (is("items") || is("additionalProperties")) {
                writer.member_raw(camel_of(member.key), "");
                schema(member.value, out);
            } else if (is("anyOf") || is("oneOf") || is("allOf") || is("prefixItems")) {
                writer.member_raw(camel_of(member.key), "");
                const bool is_choice = is("anyOf") || is("oneOf");
                list(member.value, is_nullable && is_choice && !takes_null(member.value), out);
            } else if (is("enum") && is_nullable) {
                writer.key("enum").begin_array();
                for (const Value& word : member.value.items()) writer.raw(word.raw());
                writer.null().end_array();
            } else if (is("ref")) {
                writer.member_raw("$ref", member.value.raw());
            } else if (is("nullable") || is("propertyOrdering") || is_width(member)) {
                continue;
            } else if (is_whole_number(member)) {
                writer.member_raw(camel_of(member.key), member.value.string());
            } else {
                writer.member_raw(member.key, member.value.raw());
            }
        }
        writer.end_object();
    }

    /// How wide Google's numbers are and that a text is one of an `enum`: nothing that a value has
    /// to keep to, and no format of JSON Schema, which strict suppliers refuse.
    static bool is_width(const json::Member& member) {
        return spells(member.key, "format") &&
            std::ranges::find(kWidths, member.value.string()) != kWidths.end();
    }

    /// One of the counts, as Google's JSON writes numbers of 64 bits.
    static bool is_whole_number(const json::Member& member) {
        const std::string_view digits = member.value.string();
        if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos ||
            (digits.size() > 1 && digits.front() == '0'))
            return false;
        return std::ranges::any_of(
            kWholeNumbers, [&](std::string_view name) { return spells(member.key, name); });
    }

    static void type(const Value& value, bool is_nullable, Writer& writer) {
        if (value.is_array()) {
            const auto is_null = [](const Value& word) {
                return equals_ignoring_case(word.string(), "null");
            };
            writer.key("type").begin_array();
            for (const Value& word : value.items()) writer.string(to_lower(word.string()));
            if (is_nullable && std::ranges::none_of(value.items(), is_null)) writer.string("null");
            writer.end_array();
            return;
        }
        const std::string word = to_lower(enum_word(value, kTypes));
        if (word.empty() || word == "type_unspecified") return;
        if (!is_nullable || word == "null") {
            writer.member("type", word);
            return;
        }
        writer.key("type").begin_array().string(word).string("null").end_array();
    }

    /// What the order says comes first: models write members in the order in which they are told.
    void named_schemas(const Value& value, const Value& order, std::string& out) {
        std::map<std::string_view, const Value*> by_name;
        for (const json::Member& member : value.members()) by_name[member.key] = &member.value;
        Writer writer(out);
        writer.begin_object();
        const auto write = [&](std::string_view name) {
            const auto found = by_name.find(name);
            if (found == by_name.end()) return;
            writer.member_raw(name, "");
            schema(*found->second, out);
            by_name.erase(found);
        };
        for (const Value& name : order.items()) write(name.string());
        for (const json::Member& member : value.members()) write(member.key);
        writer.end_object();
    }

    /// Whether null is among the alternatives.
    static bool takes_null(const Value& alternatives) {
        return std::ranges::any_of(items_of(alternatives), [](const Value& item) {
            return equals_ignoring_case(get(item, "type").string(), "null") ||
                get(item, "nullable").as_bool().value_or(false);
        });
    }

    void list(const Value& value, bool and_null, std::string& out) {
        Writer writer(out);
        writer.begin_array();
        for (const Value& item : items_of(value)) {
            writer.raw("");
            schema(item, out);
        }
        if (and_null) writer.begin_object().member("type", "null").end_object();
        writer.end_array();
    }
};

}  // namespace

Result<std::string> json_schema_of(const Value& schema, const std::string& path) {
    if (!schema.is_object())
        return fail_field(ErrorCode::kInvalidField, path,
            fmt::format("{} must be an object, not {}", path, json::kind_name(schema.kind())));
    return Rewriter::of(schema);
}

}  // namespace entrepot::dialect::gemini
