// How many tokens a conversation would be, asked as each maker has it: a request is that of the
// conversation in a wrapping of its own, a reply is a number.
#include "dialect/count_tokens.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "dialect/anthropic_messages/anthropic_messages.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/composed.h"
#include "dialect/gemini/embed.h"
#include "dialect/gemini/gemini.h"
#include "dialect/openai_responses/openai_responses.h"
#include "dialect/whole.h"
#include "json/writer.h"

namespace entrepot::dialect {
namespace {

using json::Value;
using json::Writer;

/// At Vertex AI Claude's counter takes the maker's own body, model and all, in a place of its own.
enum class Maker : std::uint8_t { kAnthropic, kOpenai, kGemini, kVertex, kBedrock, kVertexClaude };

struct Counter {
    std::string_view name;
    const Dialect* conversation;
    /// Of a request of the conversation, what the counter takes: the rest shapes the answer.
    std::span<const std::string_view> fields;
    std::string_view count;  ///< the field of the reply
};

constexpr std::array<std::string_view, 9> kAnthropicFields{"model", "messages", "system", "tools",
    "tool_choice", "thinking", "mcp_servers", "cache_control", "context_management"};
constexpr std::array<std::string_view, 11> kOpenaiFields{"model", "input", "instructions", "tools",
    "tool_choice", "text", "reasoning", "truncation", "parallel_tool_calls", "previous_response_id",
    "conversation"};
constexpr std::array<std::string_view, 4> kGeminiFields{
    "contents", "systemInstruction", "tools", "toolConfig"};
constexpr std::array<std::string_view, 3> kVertexFields{"contents", "systemInstruction", "tools"};
constexpr std::array<std::string_view, 4> kBedrockFields{
    "messages", "system", "toolConfig", "additionalModelRequestFields"};

const Counter& counter_of(Maker maker) {
    static const std::array kCounters{
        Counter{"anthropic-count-tokens", &anthropic_messages::dialect(), kAnthropicFields,
            "input_tokens"},
        Counter{"openai-input-tokens", &openai_responses::dialect(), kOpenaiFields, "input_tokens"},
        Counter{"gemini-count-tokens", &gemini::gemini(), kGeminiFields, "totalTokens"},
        Counter{"vertex-count-tokens", &gemini::vertex(), kVertexFields, "totalTokens"},
        Counter{"bedrock-count-tokens", &bedrock_converse::kDialect, kBedrockFields, "inputTokens"},
        Counter{"vertex-anthropic-count-tokens", &anthropic_messages::dialect(), kAnthropicFields,
            "input_tokens"},
    };
    return kCounters[static_cast<std::size_t>(maker)];
}

std::unexpected<Error> wrong(std::string_view field, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::string(field),
        fmt::format("'{}' is missing or wrong; it must be {}", field, accepted));
}

/// The same object without members but those.
std::string only(const Value& root, std::span<const std::string_view> fields) {
    std::string out;
    Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : root.members())
        if (std::ranges::find(fields, member.key) != fields.end())
            writer.member_raw(member.key, member.value.raw());
    writer.end_object();
    return out;
}

Result<canon::Request> decode_with(
    const Dialect& conversation, std::string body, const RequestContext& context) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::move(body)));
    return conversation.decode_request(document, context);
}

/// Anthropic's conversations have to state a cap, and its counts cannot; Google's clients say which
/// version they mean.
Result<canon::Request> decode_anthropic(
    const Counter& counter, const Value& root, const RequestContext& context) {
    std::string body;
    Writer writer(body);
    writer.begin_object();
    for (const json::Member& member : root.members())
        if (member.key != "max_tokens" && member.key != "anthropic_version")
            writer.member_raw(member.key, member.value.raw());
    // More than any budget for thinking, which has to be below it.
    writer.member("max_tokens", std::int64_t{1} << 30).end_object();
    ENTREPOT_TRY(
        canon::Request request, decode_with(*counter.conversation, std::move(body), context));
    request.output_tokens_max.reset();
    return request;
}

Result<canon::Request> decode_google(
    const Counter& counter, const json::Document& body, const RequestContext& context) {
    const Value& inner = body.root()["generateContentRequest"];
    const Value& snake = body.root()["generate_content_request"];
    if (!inner.is_object() && !snake.is_object())
        return counter.conversation->decode_request(body, context);
    std::string own;
    Writer writer(own);
    writer.begin_object();
    for (const json::Member& member : (inner.is_object() ? inner : snake).members())
        if (member.key != "model") writer.member_raw(member.key, member.value.raw());
    writer.end_object();
    return decode_with(*counter.conversation, std::move(own), context);
}

Result<canon::Request> decode_bedrock(
    const Counter& counter, const Value& root, const RequestContext& context) {
    const Value& input = root["input"];
    if (input["converse"].is_object())
        return decode_with(*counter.conversation, std::string(input["converse"].raw()), context);
    std::string body;
    if (!input["invokeModel"].is_object() ||
        !base64_decode(input["invokeModel"]["body"].string(), body))
        return wrong("input",
            "an object with 'converse', or with 'invokeModel' whose 'body' is a "
            "request in base64");
    return decode_with(invoke_dialect(), std::move(body), context);
}

template <Maker maker>
Result<canon::Request> decode_request(const json::Document& body, const RequestContext& context) {
    const Counter& counter = counter_of(maker);
    if (!body.root().is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format(
                "the body must be a JSON object, not {}", json::kind_name(body.root().kind())));
    RequestContext whole = context;
    if (counter.conversation->has_model_in_path) whole.is_stream = false;
    Result<canon::Request> request = fail(ErrorCode::kUnsupported, "");
    switch (maker) {
        case Maker::kAnthropic:
        case Maker::kVertexClaude: request = decode_anthropic(counter, body.root(), whole); break;
        case Maker::kOpenai: request = counter.conversation->decode_request(body, whole); break;
        case Maker::kGemini:
        case Maker::kVertex: request = decode_google(counter, body, whole); break;
        case Maker::kBedrock: request = decode_bedrock(counter, body.root(), whole); break;
    }
    if (!request) return request;
    request->task = canon::Task::kCountTokens;
    request->is_stream = false;
    return request;
}

template <Maker maker>
Result<EncodedRequest> encode_request(const canon::Request& given, const EncodeTarget& target) {
    const Counter& counter = counter_of(maker);
    canon::Request request = given;
    request.is_stream = false;
    ENTREPOT_TRY(EncodedRequest encoded, counter.conversation->encode_request(request, target));
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::move(encoded.body)));
    const std::string own = only(document.root(), counter.fields);
    encoded.body.clear();
    Writer writer(encoded.body);
    if (maker == Maker::kGemini) {
        // Only in this wrapping it takes more than the contents.
        writer.begin_object().key("generateContentRequest").begin_object();
        writer.member("model", fmt::format("models/{}", target.model_id));
        for (const json::Member& member : document.root().members())
            if (std::ranges::find(counter.fields, member.key) != counter.fields.end())
                writer.member_raw(member.key, member.value.raw());
        writer.end_object().end_object();
    } else if (maker == Maker::kBedrock) {
        writer.begin_object().key("input").begin_object().member_raw("converse", own);
        writer.end_object().end_object();
    } else {
        encoded.body = own;
    }
    return encoded;
}

class Decoder final : public WholeDecoder {
public:
    explicit Decoder(const Counter& counter) : counter_(counter) {}

private:
    Status read(const Value& root, std::vector<canon::Event>& events) override {
        const Value& count = root[counter_.count];
        const auto tokens = count.as_int();
        // Google leaves a zero out.
        const bool is_zero =
            count.is_null() && counter_.count == "totalTokens" && root["error"].is_null();
        if (!is_zero && (!tokens || *tokens < 0)) {
            if (root["error"].is_null() && root["message"].is_null())
                return malformed(fmt::format("has no '{}'", counter_.count));
            events.emplace_back(
                canon::Failed{counter_.conversation->decode_failure(502, {}, root.raw())});
            return {};
        }
        events.emplace_back(canon::Outcome{canon::TokensCounted{tokens.value_or(0)}});
        return {};
    }

    const Counter& counter_;
};

class Encoder final : public WholeEncoder {
public:
    Encoder(const Counter& counter, const ReplyContext& context)
        : WholeEncoder(context), counter_(counter) {}

private:
    void write(const canon::Reply& reply, std::string& out) override {
        std::int64_t tokens = 0;
        for (const canon::Outcome& outcome : reply.outcomes)
            if (const auto* counted = std::get_if<canon::TokensCounted>(&outcome.body))
                tokens = counted->input_tokens;
        Writer writer(out);
        writer.begin_object();
        if (counter_.name == "openai-input-tokens")
            writer.member("object", "response.input_tokens");
        writer.member(counter_.count, tokens).end_object();
    }
    std::string failed(const canon::Failure& failure) override {
        return counter_.conversation->encode_failure(failure);
    }

    const Counter& counter_;
};

/// The conversation's own names, headers and errors, around another request and reply.
template <Maker maker>
Dialect make() {
    const Counter& counter = counter_of(maker);
    Dialect dialect = *counter.conversation;
    dialect.name = counter.name;
    dialect.tasks = canon::task_bit(canon::Task::kCountTokens);
    dialect.reads_reply_headers = false;
    dialect.tells_full_context_in_stream = false;
    dialect.decode_request = decode_request<maker>;
    dialect.encode_request = encode_request<maker>;
    dialect.echo_of = nullptr;
    dialect.takes_family = nullptr;
    dialect.wants_json_array = nullptr;
    if (maker == Maker::kGemini || maker == Maker::kVertex)
        dialect.rename_model = gemini::embed().rename_model;
    dialect.reply_decoder = [](ReplyForm) -> std::unique_ptr<ReplyDecoder> {
        return std::make_unique<Decoder>(counter_of(maker));
    };
    dialect.reply_encoder = [](ReplyForm,
                                const ReplyContext& context) -> std::unique_ptr<ReplyEncoder> {
        return std::make_unique<Encoder>(counter_of(maker), context);
    };
    return dialect;
}

}  // namespace

std::span<const Dialect* const> count_tokens_dialects() {
    static const std::array kDialects{make<Maker::kAnthropic>(), make<Maker::kOpenai>(),
        make<Maker::kGemini>(), make<Maker::kVertex>(), make<Maker::kBedrock>(),
        make<Maker::kVertexClaude>()};
    static const std::array<const Dialect*, 6> kPointers{
        &kDialects[0], &kDialects[1], &kDialects[2], &kDialects[3], &kDialects[4], &kDialects[5]};
    return kPointers;
}

}  // namespace entrepot::dialect
