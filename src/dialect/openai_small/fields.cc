#include "dialect/openai_small/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace entrepot::dialect::openai_small {
namespace {

/// What decides on money: given twice, the supplier might read the other one.
constexpr std::array<std::string_view, 19> kSingle{"model", "n", "best_of", "max_tokens", "size",
    "quality", "partial_images", "stream", "prompt", "input", "stream_format", "instructions",
    "file", "file_url", "file_id", "url", "input_audio", "images", "mask"};

/// A form says nowhere what of its fields is the name of a stored file, so whose it is cannot be
/// looked up; nested fields are `images[0][file_id]`.
Status refuse_stored_files(const framing::Form& form) {
    for (const framing::FormPart& part : form.parts)
        if (part.name.find("file_id") != std::string::npos)
            return fail_field(ErrorCode::kUnsupported, "file_id",
                fmt::format("'{}': stored files cannot be named in a form; send the file itself",
                    excerpt(part.name, 60)));
    return {};
}

}  // namespace

std::int64_t characters_of(std::string_view text) {
    return std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

Result<Fields> Fields::read(const json::Document& body, const RequestContext& context) {
    Fields fields;
    fields.root_ = &body.root();
    if (framing::is_form(context.content_type)) {
        ENTREPOT_TRY(fields.form_, framing::read_form(context.raw_body, context.content_type));
        ENTREPOT_TRY_DO(refuse_stored_files(*fields.form_));
    } else if (!body.root().is_object()) {
        return fail(ErrorCode::kBadRequest,
            body.root().is_null() && !context.content_type.empty()
                ? fmt::format("the content type '{}' is not served here; send JSON, or a form "
                              "(multipart/form-data) where the endpoint takes files",
                      excerpt(context.content_type))
                : fmt::format("the body must be a JSON object, not {}",
                      json::kind_name(body.root().kind())));
    }
    for (const std::string_view name : kSingle) {
        const auto members = fields.root_->members();
        const auto count = fields.form_
            ? static_cast<std::ptrdiff_t>(fields.form_->count(name))
            : std::ranges::count(members, name, [](const json::Member& m) { return m.key; });
        if (count > 1)
            return fail_field(ErrorCode::kBadRequest, std::string(name),
                fmt::format("'{}' is given twice; give it once", name));
    }
    return fields;
}

Result<std::optional<std::string>> Fields::text(std::string_view name) const {
    if (form_) {
        const framing::FormPart* part = form_->find(name);
        if (part == nullptr) return std::nullopt;
        return std::string(part->data);
    }
    const json::Value& value = (*root_)[name];
    if (value.is_null()) return std::nullopt;
    if (!value.is_string()) return wrong(name, value.raw(), "a text");
    return std::string(value.string());
}

Result<std::optional<std::int64_t>> Fields::whole(
    std::string_view name, std::int64_t least, std::int64_t most) const {
    const std::string accepted = fmt::format("a whole number from {} to {}", least, most);
    std::optional<std::int64_t> value;
    std::string_view seen;
    if (form_) {
        const framing::FormPart* part = form_->find(name);
        if (part == nullptr || part->data.empty()) return std::nullopt;
        seen = part->data;
        std::int64_t number = 0;
        const auto parsed = std::from_chars(seen.data(), seen.data() + seen.size(), number);
        if (parsed.ec == std::errc() && parsed.ptr == seen.data() + seen.size()) value = number;
    } else {
        const json::Value& member = (*root_)[name];
        if (member.is_null()) return std::nullopt;
        seen = member.raw();
        value = member.as_int();
    }
    if (!value || *value < least || *value > most) return wrong(name, seen, accepted);
    return value;
}

Result<bool> Fields::flag(std::string_view name) const {
    std::string_view seen;
    if (form_) {
        const framing::FormPart* part = form_->find(name);
        if (part == nullptr || part->data.empty()) return false;
        seen = part->data;
        for (const std::string_view word : {"true", "True", "1"})
            if (seen == word) return true;
        for (const std::string_view word : {"false", "False", "0"})
            if (seen == word) return false;
    } else {
        const json::Value& member = (*root_)[name];
        if (member.is_null()) return false;
        if (const auto value = member.as_bool()) return *value;
        seen = member.raw();
    }
    return wrong(name, seen, "true or false");
}

}  // namespace entrepot::dialect::openai_small
