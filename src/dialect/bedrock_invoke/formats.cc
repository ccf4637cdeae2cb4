#include "dialect/bedrock_invoke/formats.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using json::Value;

constexpr std::string_view kCachePoint = "cachePoint";
constexpr std::string_view kAdditional = "additionalModelRequestFields";
constexpr std::string_view kInference = "inferenceConfig";
constexpr std::string_view kAnthropicVersion = "bedrock-2023-05-31";  // there is no other
constexpr std::string_view kBetaHeader = "anthropic-beta";
constexpr std::string_view kBetaField = "anthropic_beta";

template <typename Names>
bool is_among(const Names& names, std::string_view name) {
    return std::ranges::find(names, name) != std::end(names);
}

// --- Nova ----------------------------------------------------------------------------------------

struct Spelling {
    std::string_view nova;
    std::string_view converse;
};
// Nova's first documentation had other names; both are taken.
constexpr std::array kInferenceNames{
    Spelling{"maxTokens", "maxTokens"},
    Spelling{"max_new_tokens", "maxTokens"},
    Spelling{"temperature", "temperature"},
    Spelling{"topP", "topP"},
    Spelling{"top_p", "topP"},
    Spelling{"stopSequences", "stopSequences"},
    Spelling{"stop_sequences", "stopSequences"},
};

/// A list of blocks with every cache point in a block of its own.
void write_apart(json::Writer& writer, const Value& blocks) {
    writer.begin_array();
    for (const Value& block : blocks.items()) {
        const Value* point = block.find(kCachePoint);
        if (point == nullptr || block.members().size() == 1) {
            writer.raw(block.raw());
            continue;
        }
        writer.begin_object();
        for (const json::Member& member : block.members())
            if (member.key != kCachePoint) writer.member_raw(member.key, member.value.raw());
        writer.end_object();
        writer.begin_object().member_raw(kCachePoint, point->raw()).end_object();
    }
    writer.end_array();
}

/// A list of blocks with every cache point inside of the block before it.
void write_together(json::Writer& writer, const Value& blocks) {
    writer.begin_array();
    const auto items = blocks.items();
    for (std::size_t i = 0; i < items.size(); ++i) {
        const Value* point = i + 1 < items.size() ? items[i + 1].find(kCachePoint) : nullptr;
        if (point == nullptr || !items[i].is_object()) {
            writer.raw(items[i].raw());
            continue;
        }
        writer.begin_object();
        for (const json::Member& member : items[i].members())
            writer.member_raw(member.key, member.value.raw());
        writer.member_raw(kCachePoint, point->raw()).end_object();
        ++i;
    }
    writer.end_array();
}

using WriteBlocks = void (*)(json::Writer&, const Value&);

void write_messages(json::Writer& writer, const Value& messages, WriteBlocks write_blocks) {
    writer.begin_array();
    for (const Value& message : messages.items()) {
        if (!message["content"].is_array()) {
            writer.raw(message.raw());
            continue;
        }
        writer.begin_object();
        for (const json::Member& member : message.members()) {
            writer.key(member.key);
            if (member.key == "content")
                write_blocks(writer, member.value);
            else
                writer.raw(member.value.raw());
        }
        writer.end_object();
    }
    writer.end_array();
}

void write_prompt_member(json::Writer& writer, const json::Member& member, WriteBlocks blocks) {
    writer.key(member.key);
    if (!member.value.is_array())
        writer.raw(member.value.raw());
    else if (member.key == "system")
        blocks(writer, member.value);
    else
        write_messages(writer, member.value, blocks);
}

/// A field of Converse's that Nova's own request has no place for.
Status lose_of_converse(std::string_view key, const Value& value, Losses& losses) {
    if (key == "outputConfig" && !value["textFormat"].is_null())
        return losses.of_answer("response_format", "Nova takes no schema by InvokeModel");
    if (key == "promptVariables")
        return losses.of_answer(key, "stored prompts are Converse's alone");
    return losses.of_hint(
        key == "requestMetadata" ? "metadata" : key, "InvokeModel has no such parameter");
}

// --- Messages ------------------------------------------------------------------------------------

// Those that Bedrock knows; it refuses a request that names any other.
constexpr std::array<std::string_view, 13> kBedrockBetas{"computer-use-2024-10-22",
    "computer-use-2025-01-24", "computer-use-2025-11-24", "token-efficient-tools-2025-02-19",
    "interleaved-thinking-2025-05-14", "output-128k-2025-02-19", "dev-full-thinking-2025-05-14",
    "context-1m-2025-08-07", "context-management-2025-06-27", "effort-2025-11-24",
    "tool-search-tool-2025-10-19", "tool-examples-2025-10-29",
    "fine-grained-tool-streaming-2025-05-14"};

Result<std::string> betas_of(const EncodedRequest& encoded, bool is_foreign, Losses& losses) {
    std::string betas;
    json::Writer writer(betas);
    writer.begin_array();
    for (const Header& header : encoded.headers) {
        if (header.name != kBetaHeader) continue;
        for (const std::string_view beta : split(header.value, ',')) {
            if (is_foreign && !is_among(kBedrockBetas, beta))
                ENTREPOT_TRY_DO(losses.of_hint(
                    fmt::format("{}: {}", kBetaHeader, beta), "Bedrock does not know it"));
            else
                writer.string(beta);
        }
    }
    writer.end_array();
    return betas;
}

/// Tools that Anthropic runs and Bedrock does not.
bool is_run_by_anthropic(std::string_view type) {
    constexpr std::array<std::string_view, 5> kTools{
        "web_search_", "web_fetch_", "code_execution_", "mcp_toolset", "advisor_"};
    return std::ranges::any_of(
        kTools, [&](std::string_view tool) { return type.starts_with(tool); });
}

// --- Chat ----------------------------------------------------------------------------------------

// What a model takes. What else OpenAI's API has belongs to its accounts.
constexpr std::array<std::string_view, 21> kOfModels{"messages", "max_tokens",
    "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "n", "frequency_penalty",
    "presence_penalty", "seed", "tools", "tool_choice", "parallel_tool_calls", "response_format",
    "reasoning_effort", "logit_bias", "logprobs", "top_logprobs", "documents", "min_p"};

void write_choice_as_chat(json::Writer& writer, const Value& choice, ReplyForm form) {
    writer.begin_object();
    for (const json::Member& member : choice.members()) {
        std::string_view key = member.key;
        if (key == "stop_reason" && choice["finish_reason"].is_null()) key = "finish_reason";
        if (key == "message" && form == ReplyForm::kStream && choice["delta"].is_null())
            key = "delta";
        if (key == "finish_reason" && member.value.is_null() && !choice["stop_reason"].is_null())
            continue;
        writer.member_raw(key, member.value.raw());
    }
    writer.end_object();
}

void write_choice_as_mistral(json::Writer& writer, const Value& choice, ReplyForm form) {
    writer.begin_object();
    for (const json::Member& member : choice.members()) {
        std::string_view key = member.key;
        if (key == "finish_reason") key = "stop_reason";
        if (key == "delta" && form == ReplyForm::kStream) key = "message";
        writer.member_raw(key, member.value.raw());
    }
    writer.end_object();
}

template <typename WriteChoice>
std::string with_choices(const Value& reply, ReplyForm form, WriteChoice write_choice) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : reply.members()) {
        writer.key(member.key);
        if (member.key != "choices" || !member.value.is_array()) {
            writer.raw(member.value.raw());
            continue;
        }
        writer.begin_array();
        for (const Value& choice : member.value.items()) write_choice(writer, choice, form);
        writer.end_array();
    }
    writer.end_object();
    return out;
}

void write_nova_usage(json::Writer& writer, const Value& usage) {
    writer.begin_object();
    bool has_cache = false;
    for (const json::Member& member : usage.members()) {
        std::string key(member.key);
        const bool is_cache = key.starts_with("cacheRead") || key.starts_with("cacheWrite");
        // Converse has both names for a count, Nova the older one.
        if (is_cache && key.ends_with("Tokens")) key = key.substr(0, key.size() - 1) + "Count";
        if (key != member.key && usage.find(key) != nullptr) continue;
        has_cache |= is_cache;
        writer.member_raw(key, member.value.raw());
    }
    if (!has_cache)
        writer.member("cacheReadInputTokenCount", std::int64_t{0})
            .member("cacheWriteInputTokenCount", std::int64_t{0});
    writer.end_object();
}

}  // namespace

std::string converse_request_of_nova(const Value& body) {
    std::string inference;
    json::Writer known(inference);
    known.begin_object();
    std::string more;
    json::Writer unknown(more);
    unknown.begin_object();
    for (const json::Member& member : body[kInference].members()) {
        const auto* found = std::ranges::find(kInferenceNames, member.key, &Spelling::nova);
        if (found != kInferenceNames.end())
            known.member_raw(found->converse, member.value.raw());
        else
            unknown.member_raw(member.key == "top_k" ? "topK" : member.key, member.value.raw());
    }
    known.end_object();
    unknown.end_object();

    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    std::string additional;
    json::Writer fields(additional);
    fields.begin_object();
    for (const json::Member& member : body.members()) {
        if (member.key == "messages" || member.key == "system") {
            write_prompt_member(writer, member, write_apart);
        } else if (member.key == "toolConfig") {
            writer.member_raw(member.key, member.value.raw());
        } else if (member.key == kInference) {
            writer.member_raw(kInference,
                member.value.is_object() ? std::string_view(inference) : member.value.raw());
        } else if (member.key != "schemaVersion" && !member.value.is_null()) {
            fields.member_raw(member.key, member.value.raw());
        }
    }
    if (more != "{}") fields.member_raw(kInference, more);
    fields.end_object();
    if (additional != "{}") writer.member_raw(kAdditional, additional);
    writer.end_object();
    return out;
}

Result<std::string> nova_request_of_converse(const std::string& body, Losses& losses) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(body));
    const Value& root = document.root();
    std::string inference;
    json::Writer settings(inference);
    settings.begin_object();
    for (const Value* source : {&root[kInference], &root[kAdditional][kInference]})
        for (const json::Member& member : source->members())
            settings.member_raw(member.key, member.value.raw());
    settings.end_object();

    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("schemaVersion", "messages-v1");
    for (const json::Member& member : root.members()) {
        if (member.key == "messages" || member.key == "system") {
            write_prompt_member(writer, member, write_together);
        } else if (member.key == "toolConfig") {
            writer.member_raw(member.key, member.value.raw());
        } else if (member.key != kInference && member.key != kAdditional) {
            ENTREPOT_TRY_DO(lose_of_converse(member.key, member.value, losses));
        }
    }
    if (inference != "{}") writer.member_raw(kInference, inference);
    for (const json::Member& member : root[kAdditional].members())
        if (member.key != kInference) writer.member_raw(member.key, member.value.raw());
    writer.end_object();
    return out;
}

Result<std::string> bedrock_messages(
    const EncodedRequest& encoded, bool is_foreign, Losses& losses) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(encoded.body));
    ENTREPOT_TRY(const std::string betas, betas_of(encoded, is_foreign, losses));
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("anthropic_version", kAnthropicVersion);
    if (betas != "[]") writer.member_raw(kBetaField, betas);
    for (const json::Member& member : document.root().members()) {
        const std::string_view key = member.key;
        if (key == "model" || key == "stream" || key == "anthropic_version") continue;
        for (std::size_t i = 0; key == "tools" && i < member.value.items().size(); ++i)
            if (is_foreign && is_run_by_anthropic(member.value.items()[i]["type"].string()))
                return losses.refuse(fmt::format("tools[{}]", i), "only Anthropic runs this tool");
        if (is_foreign && (key == "container" || key == "mcp_servers"))
            return losses.refuse(key, "it is kept, or run, by Anthropic itself");
        writer.member_raw(key, member.value.raw());
    }
    writer.end_object();
    return out;
}

Result<std::string> bedrock_chat(
    const std::string& body, Family family, bool is_foreign, Losses& losses) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(body));
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : document.root().members()) {
        const std::string_view key = member.key;
        if (key == "model" || key == "stream" || key == "stream_options") continue;
        if (is_foreign && !is_among(kOfModels, key)) {
            const bool is_of_answer =
                key == "audio" || key == "modalities" || key == "web_search_options";
            const std::string_view why = "the model has no such parameter at Bedrock";
            ENTREPOT_TRY_DO(is_of_answer ? losses.of_answer(key, why) : losses.of_hint(key, why));
            continue;
        }
        const bool is_forced = key == "tool_choice" && member.value.string() == "required";
        if (is_forced && family == Family::kMistralChat)
            writer.member(key, "any");
        else
            writer.member_raw(key, member.value.raw());
    }
    writer.end_object();
    return out;
}

std::string chat_request_of_mistral(const Value& body) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : body.members()) {
        if (member.key == "tool_choice" && member.value.string() == "any")
            writer.member(member.key, "required");
        else
            writer.member_raw(member.key, member.value.raw());
    }
    writer.end_object();
    return out;
}

std::string chat_of_mistral(const Value& reply, ReplyForm form) {
    return with_choices(reply, form, write_choice_as_chat);
}

std::string mistral_of_chat(const std::string& reply, ReplyForm form) {
    const auto document = json::Document::parse(reply);
    return document ? with_choices(document->root(), form, write_choice_as_mistral) : reply;
}

std::string nova_of_converse(const std::string& reply) {
    const auto document = json::Document::parse(reply);
    if (!document) return reply;
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    for (const json::Member& member : document->root().members()) {
        if (member.key == "usage") {
            writer.key("usage");
            write_nova_usage(writer, member.value);
        } else if (member.key == "output" || member.key == "stopReason") {
            writer.member_raw(member.key, member.value.raw());
        }
    }
    writer.end_object();
    return out;
}

}  // namespace entrepot::dialect::bedrock_invoke
