#include "cloudsim/schema.h"

#include <algorithm>
#include <vector>

#include "base/text.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;

constexpr int kDepthMax = 24;  // deeper only a schema that requires itself goes

class Sampler {
public:
    explicit Sampler(const Value& root) : root_(root) {}

    std::string value(const Value& schema, int depth) {
        if (depth > kDepthMax) return "null";
        if (const Value* ref = schema.find("$ref"); ref != nullptr && ref->is_string())
            return value(resolve(ref->string()), depth + 1);
        for (const char* key : {"const", "default"})
            if (const Value* fixed = schema.find(key)) return std::string(fixed->raw());
        if (const Value& choices = schema["enum"]; !choices.items().empty())
            return std::string(choices.items().front().raw());
        if (const Value& all = schema["allOf"]; all.items().size() == 1)
            return value(all.items().front(), depth + 1);
        for (const char* key : {"anyOf", "oneOf"})
            for (const Value& one : schema[key].items())
                if (one["type"].string() != "null") return value(one, depth + 1);
        const std::string_view type = type_of(schema);
        if (type == "object") return object(schema, depth);
        if (type == "array") return array(schema, depth);
        if (type == "string") return json::quoted(text(schema));
        if (type == "integer" || type == "number") return number(schema);
        if (type == "boolean") return "true";
        return type == "null" ? "null" : json::quoted("anything");
    }

private:
    static std::string_view type_of(const Value& schema) {
        const Value& type = schema["type"];
        if (type.is_string()) return type.string();
        for (const Value& one : type.items())
            if (one.string() != "null") return one.string();
        if (schema["properties"].is_object()) return "object";
        if (schema["items"].is_object()) return "array";
        return {};
    }

    const Value& resolve(std::string_view ref) const {
        static const Value kNothing;
        if (ref == "#") return root_;
        if (!ref.starts_with("#/")) return kNothing;
        const Value* at = &root_;
        for (const std::string_view step : split(ref.substr(2), '/')) {
            at = at->find(step);
            if (at == nullptr) return kNothing;
        }
        return *at;
    }

    std::string object(const Value& schema, int depth) {
        std::vector<std::string_view> required;
        for (const Value& name : schema["required"].items()) required.push_back(name.string());
        std::string out;
        json::Writer writer(out);
        writer.begin_object();
        for (const json::Member& property : schema["properties"].members()) {
            const bool is_required = std::ranges::find(required, property.key) != required.end();
            if (is_required || (required.empty() && depth < 4))
                writer.member_raw(property.key, value(property.value, depth + 1));
        }
        writer.end_object();
        return out;
    }

    std::string array(const Value& schema, int depth) {
        const std::int64_t least = std::clamp<std::int64_t>(
            schema["minItems"].as_int().value_or(depth < 8 ? 1 : 0), 0, 64);
        std::string out = "[";
        for (std::int64_t i = 0; i < least; ++i) {
            if (i > 0) out += ',';
            out += value(schema["items"], depth + 1);
        }
        return out + "]";
    }

    static std::string text(const Value& schema) {
        const std::string_view format = schema["format"].string();
        if (format == "date") return "2026-01-02";
        if (format == "date-time") return "2026-01-02T03:04:05Z";
        if (format == "time") return "03:04:05";
        if (format == "email") return "user@example.com";
        if (format == "uri") return "https://example.com/";
        if (format == "uuid") return "00000000-0000-4000-8000-000000000000";
        std::string out = "text";
        const auto least = static_cast<std::size_t>(
            std::clamp<std::int64_t>(schema["minLength"].as_int().value_or(0), 0, 4096));
        const auto most = static_cast<std::size_t>(
            std::clamp<std::int64_t>(schema["maxLength"].as_int().value_or(4096), 0, 4096));
        while (out.size() < least) out += 'x';
        out.resize(std::min(out.size(), most));
        return out;
    }

    static std::string number(const Value& schema) {
        if (const auto least = schema["minimum"].as_int()) return std::to_string(*least);
        if (const auto above = schema["exclusiveMinimum"].as_int())
            return std::to_string(*above + 1);
        if (const auto most = schema["maximum"].as_int())
            return std::to_string(std::min<std::int64_t>(*most, 1));
        return "1";
    }

    const Value& root_;
};

}  // namespace

std::string sample(const json::Value& schema) { return Sampler(schema).value(schema, 0); }

}  // namespace entrepot::cloudsim
