#include "dialect/bedrock_invoke/titan_embed.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "canon/vectors.h"
#include "dialect/embed.h"
#include "dialect/whole.h"
#include "dialect/wrong.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::VectorForm;
using json::Value;
using json::Writer;

canon::Outcome outcome_of(VectorForm form, const Value& numbers) {
    return canon::Outcome{canon::Vector{0, form, std::string(numbers.raw())}};
}

class TitanEncoder final : public WholeEncoder {
public:
    using WholeEncoder::WholeEncoder;

private:
    void write(const canon::Reply& reply, std::string& out) override {
        Writer writer(out);
        writer.begin_object();
        std::string by_type;
        Writer types(by_type);
        types.begin_object();
        for (const canon::Vector* vector : vectors_of(reply)) {
            const auto numbers = canon::as_numbers(*vector);
            if (!numbers) continue;
            if (vector->form == VectorForm::kBinary) {
                types.member_raw("binary", *numbers);
                continue;
            }
            writer.member_raw("embedding", *numbers);
            types.member_raw("float", *numbers);
        }
        types.end_object();
        writer.member_raw("embeddingsByType", by_type);
        writer.member("inputTextTokenCount",
            reply.has_usage ? reply.usage.prompt_tokens() : context_.prompt_tokens_estimate);
        writer.end_object();
    }
    // The envelope writes errors.
    std::string failed(const canon::Failure&) override { return {}; }
};

}  // namespace

Result<canon::Request> decode_titan_embed(const Value& body, const RequestContext& context) {
    canon::Request request;
    request.task = canon::Task::kEmbed;
    request.origin = "bedrock-invoke";
    request.model = context.model.value_or("");
    canon::Embed embed;
    const Value& text = body["inputText"];
    if (!text.is_string()) return wrong("inputText", text, "a text");
    canon::EmbedInput input;
    input.parts.emplace_back(canon::Text{std::string(text.string())});
    embed.inputs.push_back(std::move(input));
    for (const json::Member& member : body.members()) {
        const Value& value = member.value;
        if (member.key == "inputText" || value.is_null()) continue;
        if (member.key == "dimensions") {
            embed.dimensions = value.as_int();
            if (!embed.dimensions) return wrong("dimensions", value, "a whole number");
        } else if (member.key == "normalize") {
            embed.normalize = value.as_bool();
            if (!embed.normalize) return wrong("normalize", value, "true or false");
        } else if (member.key == "embeddingTypes") {
            for (const Value& type : value.items()) {
                if (type.string() != "float" && type.string() != "binary")
                    return wrong("embeddingTypes", value, "a list of float and binary");
                embed.forms.push_back(
                    type.string() == "float" ? VectorForm::kFloat : VectorForm::kBinary);
            }
        } else {
            request.extras.push_back({std::string(member.key), std::string(value.raw())});
        }
    }
    request.work = std::move(embed);
    return request;
}

Result<EncodedRequest> encode_titan_embed(
    const canon::Request& request, const EncodeTarget& target) {
    Losses named(target.on_lossy, "Titan's embeddings");
    const auto& embed = std::get<canon::Embed>(request.work);
    if (embed.inputs.size() != 1) return named.refuse("input", "it takes one text a call");
    ENTREPOT_TRY(const std::string_view text, text_of(embed.inputs.front(), named));
    EncodedRequest encoded;
    Writer writer(encoded.body);
    writer.begin_object().member("inputText", text);
    if (embed.dimensions) writer.member("dimensions", *embed.dimensions);
    if (embed.normalize) writer.member_bool("normalize", *embed.normalize);
    const bool wants_binary =
        std::ranges::find(embed.forms, VectorForm::kBinary) != embed.forms.end();
    for (const VectorForm form : embed.forms)
        if (form != VectorForm::kFloat && form != VectorForm::kBase64 &&
            form != VectorForm::kBinary)
            return named.refuse("embedding_types", "its vectors are of floats, or binary");
    if (wants_binary) {
        writer.key("embeddingTypes").begin_array();
        if (embed.forms.size() > 1) writer.string("float");
        writer.string("binary").end_array();
    }
    writer.end_object();
    if (embed.purpose != canon::EmbedPurpose::kUnsaid)
        ENTREPOT_TRY_DO(
            named.of_hint(purpose_field(request), "its models do not ask what a text is for"));
    if (!embed.truncate.empty() && embed.truncate != "none")
        ENTREPOT_TRY_DO(named.of_hint("truncate", "a text that is too long is refused there"));
    if (!embed.inputs.front().title.empty())
        ENTREPOT_TRY_DO(named.of_hint("title", "it has no place for titles"));
    if (!request.user.empty()) ENTREPOT_TRY_DO(named.of_hint("user", "it has no place for users"));
    ENTREPOT_TRY_DO(lose_extras(request, named));
    encoded.dropped = named.take();
    return encoded;
}

Status read_titan_embed(const Value& reply, std::vector<canon::Event>& events) {
    events.emplace_back(canon::Started{});
    const Value& types = reply["embeddingsByType"];
    const Value& floats = types["float"].is_array() ? types["float"] : reply["embedding"];
    if (floats.is_array()) events.emplace_back(outcome_of(VectorForm::kFloat, floats));
    if (types["binary"].is_array())
        events.emplace_back(outcome_of(VectorForm::kBinary, types["binary"]));
    if (!floats.is_array() && !types["binary"].is_array())
        return fail(ErrorCode::kUpstreamProtocol, "the supplier's reply has no vector");
    if (const auto tokens = reply["inputTextTokenCount"].as_int(); tokens && *tokens > 0) {
        canon::UsageReported report;
        report.usage[canon::Meter::kInput] = std::min(*tokens, std::int64_t{1} << 50);
        events.emplace_back(std::move(report));
    }
    events.emplace_back(canon::Ended{});
    return {};
}

std::unique_ptr<ReplyEncoder> titan_embed_encoder(const ReplyContext& context) {
    return std::make_unique<TitanEncoder>(context);
}

}  // namespace entrepot::dialect::bedrock_invoke
