#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "dialect/embed.h"
#include "dialect/openai_embeddings/openai_embeddings.h"
#include "dialect/wrong.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_embeddings {
namespace {

using canon::EmbedInput;
using canon::EmbedPurpose;
using json::Value;

constexpr std::string_view kInputs =
    "a text, a list of texts, a list of token ids, or a list of such lists";

Result<EmbedInput> decode_tokens(const Value& list, const std::string& field) {
    EmbedInput input;
    input.tokens.reserve(list.items().size());
    for (const Value& item : list.items()) {
        const auto id = item.as_int();
        if (!id || *id < 0) return wrong(field, list, kInputs);
        input.tokens.push_back(*id);
    }
    return input;
}

EmbedInput text_input(std::string_view text) {
    EmbedInput input;
    input.parts.emplace_back(canon::Text{std::string(text)});
    return input;
}

Status decode_inputs(const Value& seen, canon::Embed& embed) {
    if (seen.is_string()) {
        embed.inputs.push_back(text_input(seen.string()));
        return {};
    }
    const auto items = seen.items();
    if (items.empty()) return wrong("input", seen, kInputs);
    if (items.front().is_number()) {
        ENTREPOT_TRY(EmbedInput tokens, decode_tokens(seen, "input"));
        embed.inputs.push_back(std::move(tokens));
        return {};
    }
    embed.inputs.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (items[i].kind() != items.front().kind() ||
            (items[i].is_array() && items[i].items().empty()))
            return wrong(fmt::format("input[{}]", i), items[i], "of the kind of the others");
        if (items[i].is_string()) {
            embed.inputs.push_back(text_input(items[i].string()));
        } else if (items[i].is_array()) {
            ENTREPOT_TRY(EmbedInput tokens, decode_tokens(items[i], fmt::format("input[{}]", i)));
            embed.inputs.push_back(std::move(tokens));
        } else {
            return wrong("input", seen, kInputs);
        }
    }
    return {};
}

/// The word of servers whose models know what a text is for.
EmbedPurpose purpose_of(std::string_view word) {
    if (word == "query" || word == "search_query") return EmbedPurpose::kQuery;
    if (word == "document" || word == "search_document" || word == "passage")
        return EmbedPurpose::kDocument;
    if (word == "classification") return EmbedPurpose::kClassification;
    if (word == "clustering") return EmbedPurpose::kClustering;
    return EmbedPurpose::kUnsaid;
}

}  // namespace

Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    const Value& root = body.root();
    if (!root.is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format("the body must be a JSON object, not {}", json::kind_name(root.kind())));
    canon::Request request;
    request.task = canon::Task::kEmbed;
    request.origin = kName;
    request.family = "float";
    canon::Embed embed;
    ENTREPOT_TRY_DO(decode_inputs(root["input"], embed));
    for (const json::Member& member : root.members()) {
        const std::string_view key = member.key;
        const Value& value = member.value;
        if (key == "input" || value.is_null()) continue;
        if (key == "model") {
            if (!value.is_string()) return wrong("model", value, "the name of a model");
            request.model = value.string();
        } else if (key == "encoding_format") {
            if (value.string() == "base64")
                request.family = "base64";
            else if (value.string() != "float")
                request.extras.push_back({"encoding_format", std::string(value.raw())});
        } else if (key == "dimensions") {
            embed.dimensions = value.as_int();
            if (!embed.dimensions || *embed.dimensions < 1)
                return wrong("dimensions", value, "a whole number from 1");
        } else if (key == "user") {
            if (!value.is_string()) return wrong("user", value, "a text");
            request.user = value.string();
        } else {
            if (key == "input_type") embed.purpose = purpose_of(value.string());
            request.extras.push_back({std::string(key), std::string(value.raw())});
        }
    }
    if (context.model && !context.model->empty()) request.model = *context.model;
    embed.forms.push_back(
        request.family == "base64" ? canon::VectorForm::kBase64 : canon::VectorForm::kFloat);
    request.work = std::move(embed);
    return request;
}

namespace {

Status name_the_rest(const canon::Request& request, const canon::Embed& embed, Losses& losses) {
    for (const EmbedInput& input : embed.inputs)
        if (!input.title.empty())
            ENTREPOT_TRY_DO(losses.of_hint("title", "it has no place for titles"));
    const bool is_home = request.origin == kName;
    if (embed.purpose != EmbedPurpose::kUnsaid && !is_home)
        ENTREPOT_TRY_DO(
            losses.of_hint(purpose_field(request), "its models do not ask what a text is for"));
    // A text that is too long is refused there, as `none` asks.
    if (!embed.truncate.empty() && embed.truncate != "none")
        ENTREPOT_TRY_DO(losses.of_hint("truncate", "a text that is too long is refused there"));
    if (embed.normalize == false)
        ENTREPOT_TRY_DO(losses.of_answer("normalize", "its vectors are of unit length"));
    ENTREPOT_TRY_DO(need_floats(embed, losses));
    return is_home ? Status() : lose_extras(request, losses);
}

}  // namespace

Result<EncodedRequest> encode_request(const canon::Request& request, const EncodeTarget& target) {
    Losses losses(target.on_lossy, "OpenAI's embeddings");
    const auto& embed = std::get<canon::Embed>(request.work);
    EncodedRequest encoded;
    json::Writer writer(encoded.body);
    writer.begin_object().member("model", target.model_id).key("input").begin_array();
    for (const EmbedInput& input : embed.inputs) {
        if (input.tokens.empty()) {
            ENTREPOT_TRY(const std::string_view text, text_of(input, losses));
            writer.string(text);
            continue;
        }
        writer.begin_array();
        for (const std::int64_t id : input.tokens) writer.number(id);
        writer.end_array();
    }
    writer.end_array();
    if (request.family == "base64" && request.origin == kName)
        writer.member("encoding_format", "base64");
    if (embed.dimensions) writer.member("dimensions", *embed.dimensions);
    if (!request.user.empty()) writer.member("user", request.user);
    if (request.origin == kName)
        for (const canon::Extra& extra : request.extras) writer.member_raw(extra.path, extra.json);
    writer.end_object();
    ENTREPOT_TRY_DO(name_the_rest(request, embed, losses));
    encoded.dropped = losses.take();
    return encoded;
}

}  // namespace entrepot::dialect::openai_embeddings
