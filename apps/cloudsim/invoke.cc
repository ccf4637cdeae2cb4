#include "cloudsim/invoke.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cloudsim/converse.h"
#include "cloudsim/messages.h"
#include "json/writer.h"

namespace entrepot::cloudsim::invoke {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;
using Read = std::expected<void, std::string>;

constexpr std::string_view kMetrics = "amazon-bedrock-invocationMetrics";

enum class Format : std::uint8_t {
    kMessages,
    kNova,
    kTitan,
    kLlama,
    kMistral,
    kCommand,
    kCommandR,
    kNone
};

Format format_of(std::string_view model) {
    for (const std::string_view region : {"us.", "eu.", "apac.", "global."})
        if (model.starts_with(region)) model.remove_prefix(region.size());
    constexpr std::array kMakers{std::pair{"anthropic.claude", Format::kMessages},
        std::pair{"amazon.nova", Format::kNova}, std::pair{"amazon.titan-text", Format::kTitan},
        std::pair{"meta.llama", Format::kLlama}, std::pair{"mistral.mistral-7b", Format::kMistral},
        std::pair{"cohere.command-r", Format::kCommandR},
        std::pair{"cohere.command", Format::kCommand}};
    for (const auto& [prefix, format] : kMakers)
        if (model.starts_with(prefix)) return format;
    return Format::kNone;
}

std::unexpected<std::string> malformed(std::string_view problem) {
    return std::unexpected(fmt::format(
        "Malformed input request: {}, please reformat your input and try again.", problem));
}

/// Bedrock knows each body's schema and takes nothing beside it.
Read only(const Value& object, std::string_view path, std::span<const std::string_view> keys) {
    for (const json::Member& member : object.members())
        if (std::ranges::find(keys, member.key) == keys.end())
            return malformed(
                fmt::format("{}: extraneous key [{}] is not permitted", path, member.key));
    return {};
}

/// A request that is one text.
struct Prompt {
    Format format;
    std::string_view text;
    std::string_view settings;  ///< the object that holds the cap and the stops; empty: the body
    std::string_view cap;
    std::int64_t cap_max;
    std::string_view stops;  ///< empty: the model takes none
    std::array<std::string_view, 6> others;
};
constexpr std::array kPrompts{
    Prompt{Format::kTitan, "inputText", "textGenerationConfig", "maxTokenCount", 8192,
        "stopSequences", {"temperature", "topP"}},
    Prompt{Format::kLlama, "prompt", "", "max_gen_len", 2048, "", {"temperature", "top_p"}},
    Prompt{Format::kMistral, "prompt", "", "max_tokens", 8192, "stop",
        {"temperature", "top_p", "top_k"}},
    Prompt{Format::kCommand, "prompt", "", "max_tokens", 4096, "stop_sequences",
        {"temperature", "p", "k", "return_likelihoods", "num_generations", "stream"}},
    Prompt{Format::kCommandR, "message", "", "max_tokens", 4000, "stop_sequences", {}},
};
constexpr std::array<std::string_view, 15> kCommandRKeys{"message", "chat_history", "documents",
    "search_queries_only", "preamble", "max_tokens", "temperature", "p", "k", "prompt_truncation",
    "frequency_penalty", "presence_penalty", "seed", "return_prompt", "stop_sequences"};

Read read_prompt(const Prompt& format, const Value& root, Ask& ask) {
    const Value& settings = format.settings.empty() ? root : root[format.settings];
    if (format.format == Format::kCommandR) {
        if (Read known = only(root, "#", kCommandRKeys); !known) return known;
    } else {
        std::vector<std::string_view> keys{format.cap};
        for (const std::string_view key : format.others)
            if (!key.empty()) keys.push_back(key);
        if (!format.stops.empty()) keys.push_back(format.stops);
        if (!format.settings.empty()) {
            const std::array kBody{format.text, format.settings};
            if (Read known = only(root, "#", kBody); !known) return known;
        } else {
            keys.push_back(format.text);
        }
        const std::string path =
            format.settings.empty() ? "#" : fmt::format("#/{}", format.settings);
        if (Read known = only(settings, path, keys); !known) return known;
    }
    if (!root[format.text].is_string())
        return malformed(fmt::format("#: required key [{}] not found", format.text));
    const std::string_view text = root[format.text].string();
    if (text.empty())
        return malformed(fmt::format("#/{}: expected minLength: 1, actual: 0", format.text));
    for (const Value& turn : root["chat_history"].items()) {
        const std::string_view role = turn["role"].string();
        if (role != "USER" && role != "CHATBOT" && role != "SYSTEM")
            return malformed(fmt::format("#/chat_history: {} is not a valid enum value", role));
        ask.prompt += turn["message"].string();
    }
    ask.prompt += root["preamble"].string();
    ask.prompt += text;
    ask.last_user_text = text;
    if (const Value& cap = settings[format.cap]; !cap.is_null()) {
        const std::int64_t tokens = cap.as_int().value_or(0);
        if (tokens < 1 || tokens > format.cap_max)
            return malformed(fmt::format(
                "#/{}: {} is not within 1 and {}", format.cap, cap.raw(), format.cap_max));
        ask.output_tokens_max = tokens;
    }
    if (!format.stops.empty())
        for (const Value& stop : settings[format.stops].items())
            ask.stop.emplace_back(stop.string());
    return {};
}

Read read_messages(const Value& root, Ask& ask) {
    constexpr std::array<std::string_view, 16> kKeys{"anthropic_version", "anthropic_beta",
        "max_tokens", "messages", "system", "temperature", "top_p", "top_k", "stop_sequences",
        "tools", "tool_choice", "thinking", "metadata", "output_config", "context_management",
        "mcp_servers"};
    if (Read known = only(root, "#", kKeys); !known) return known;
    if (!root["anthropic_version"].is_string())
        return malformed("#: required key [anthropic_version] not found");
    if (root["anthropic_version"].string() != "bedrock-2023-05-31")
        return malformed("#/anthropic_version: is not a valid enum value");
    const bool is_stream = ask.is_stream;  // the path says it
    const Read read = messages::read(root, ask);
    ask.is_stream = is_stream;
    return read;
}

Read read_nova(const Value& root, Ask& ask) {
    constexpr std::array<std::string_view, 5> kKeys{
        "schemaVersion", "messages", "system", "inferenceConfig", "toolConfig"};
    if (Read known = only(root, "#", kKeys); !known) return known;
    constexpr std::array<std::string_view, 8> kSettings{"maxTokens", "max_new_tokens",
        "temperature", "topP", "top_p", "topK", "top_k", "stopSequences"};
    if (Read known = only(root["inferenceConfig"], "#/inferenceConfig", kSettings); !known)
        return known;
    Read read = converse::read(root, ask);
    const Value& older = root["inferenceConfig"]["max_new_tokens"];
    if (read && older.is_number()) ask.output_tokens_max = older.as_int();
    return read;
}

const Prompt* prompt_of(Format format) {
    const auto* found = std::ranges::find(kPrompts, format, &Prompt::format);
    return found == kPrompts.end() ? nullptr : found;
}

/// What Bedrock tells: thoughts are in the output, and models by prompt have no caches.
canon::Usage told(const Answer& answer) {
    canon::Usage usage = answer.usage;
    usage[Meter::kReasoning] = 0;
    return usage;
}

std::string message_id(const Answer& answer) { return id_of("msg_bdrk_", answer.serial); }

std::string generation_id(const Answer& answer) {
    return fmt::format("10000000-0000-4000-8000-{:012x}", answer.serial);
}

std::string_view word_for(const Answer& answer, std::string_view stop, std::string_view length) {
    return answer.finish == Finish::kLength ? length : stop;
}

std::string nova_usage(const canon::Usage& usage, bool has_total) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("inputTokens", usage[Meter::kInput]);
    writer.member("outputTokens", usage[Meter::kOutput]);
    if (has_total) writer.member("totalTokens", usage.prompt_tokens() + usage[Meter::kOutput]);
    writer.member("cacheReadInputTokenCount", usage[Meter::kCacheRead]);
    writer.member(
        "cacheWriteInputTokenCount", usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong]);
    writer.end_object();
    return out;
}

std::string command_r_reply(const Answer& answer, bool has_usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("response_id", "379ed018/" + generation_id(answer));
    writer.member("text", answer.text).member("generation_id", generation_id(answer));
    writer.member("finish_reason", word_for(answer, "COMPLETE", "MAX_TOKENS"));
    if (has_usage) {
        writer.key("meta").begin_object().member_raw("api_version", R"({"version":"1"})");
        writer.key("billed_units").begin_object();
        writer.member("input_tokens", answer.usage.prompt_tokens());
        writer.member("output_tokens", answer.usage[Meter::kOutput]).end_object().end_object();
    }
    writer.end_object();
    return out;
}

std::string prompt_reply(Format format, const Ask& ask, const Answer& answer, bool has_usage) {
    const std::int64_t input = answer.usage.prompt_tokens();
    const std::int64_t output = answer.usage[Meter::kOutput];
    std::string out;
    Writer writer(out);
    writer.begin_object();
    switch (format) {
        case Format::kTitan:
            if (has_usage) writer.member("inputTextTokenCount", input);
            writer.key("results").begin_array().begin_object();
            if (has_usage) writer.member("tokenCount", output);
            writer.member("outputText", answer.text);
            writer.member("completionReason", word_for(answer, "FINISH", "LENGTH"));
            writer.end_object().end_array();
            break;
        case Format::kLlama:
            writer.member("generation", answer.text);
            if (has_usage)
                writer.member("prompt_token_count", input).member("generation_token_count", output);
            writer.member("stop_reason", word_for(answer, "stop", "length"));
            break;
        case Format::kMistral:
            writer.key("outputs").begin_array().begin_object().member("text", answer.text);
            writer.member("stop_reason", word_for(answer, "stop", "length"));
            writer.end_object().end_array();
            break;
        default:
            writer.key("generations").begin_array().begin_object();
            writer.member("finish_reason", word_for(answer, "COMPLETE", "MAX_TOKENS"));
            writer.member("id", generation_id(answer)).member("text", answer.text);
            writer.end_object().end_array().member("id", generation_id(answer));
            writer.member("prompt", ask.last_user_text);
            break;
    }
    writer.end_object();
    return out;
}

std::string piece_event(
    Format format, std::string_view piece, bool is_first, std::int64_t n, std::int64_t input) {
    const std::string text = json::quoted(piece);
    switch (format) {
        case Format::kTitan:
            return fmt::format(R"({{"outputText":{},"index":0,"totalOutputTextTokenCount":null,)"
                               R"("completionReason":null,"inputTextTokenCount":{}}})",
                text, is_first ? fmt::to_string(input) : "null");
        case Format::kLlama:
            return fmt::format(R"({{"generation":{},"prompt_token_count":{},)"
                               R"("generation_token_count":{},"stop_reason":null}})",
                text, is_first ? fmt::to_string(input) : "null", n);
        case Format::kMistral:
            return fmt::format(R"({{"outputs":[{{"text":{},"stop_reason":null}}]}})", text);
        case Format::kCommandR:
            return fmt::format(
                R"({{"is_finished":false,"event_type":"text-generation","text":{}}})", text);
        default: return fmt::format(R"({{"index":0,"is_finished":false,"text":{}}})", text);
    }
}

std::string last_event(Format format, const Answer& answer, bool has_usage) {
    const std::int64_t output = answer.usage[Meter::kOutput];
    switch (format) {
        case Format::kTitan:
            return fmt::format(R"({{"outputText":"","index":0,"totalOutputTextTokenCount":{},)"
                               R"("completionReason":"{}","inputTextTokenCount":null}})",
                has_usage ? fmt::to_string(output) : "null", word_for(answer, "FINISH", "LENGTH"));
        case Format::kLlama:
            return fmt::format(R"({{"generation":"","prompt_token_count":null,)"
                               R"("generation_token_count":{},"stop_reason":"{}"}})",
                has_usage ? fmt::to_string(output) : "null", word_for(answer, "stop", "length"));
        case Format::kMistral:
            return fmt::format(R"({{"outputs":[{{"text":"","stop_reason":"{}"}}]}})",
                word_for(answer, "stop", "length"));
        case Format::kCommandR:
            return fmt::format(R"({{"is_finished":true,"event_type":"stream-end","response":{},)"
                               R"("finish_reason":"{}"}})",
                command_r_reply(answer, has_usage), word_for(answer, "COMPLETE", "MAX_TOKENS"));
        default:
            return fmt::format(R"({{"finish_reason":"{}","is_finished":true}})",
                word_for(answer, "COMPLETE", "MAX_TOKENS"));
    }
}

std::string metrics_of(Format format, const canon::Usage& usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("inputTokenCount",
        format == Format::kMessages || format == Format::kNova ? usage[Meter::kInput]
                                                               : usage.prompt_tokens());
    writer.member("outputTokenCount", usage[Meter::kOutput]);
    writer.member("invocationLatency", 12).member("firstByteLatency", 3);
    const std::int64_t written = usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
    if (format == Format::kNova || usage[Meter::kCacheRead] + written > 0)
        writer.member("cacheReadInputTokenCount", usage[Meter::kCacheRead])
            .member("cacheWriteInputTokenCount", written);
    writer.end_object();
    return out;
}

std::vector<std::string> prompt_stream(
    Format format, const Answer& answer, const Control& control, bool has_usage) {
    std::vector<std::string> out;
    std::int64_t n = 0;
    for (const std::string_view piece : pieces_of(answer.text, control.chunks)) {
        const bool is_first = out.empty() && has_usage;
        out.push_back(piece_event(format, piece, is_first, ++n, answer.usage.prompt_tokens()));
    }
    out.push_back(last_event(format, answer, has_usage));
    return out;
}

std::vector<std::string> nova_stream(const Answer& answer, const Control& control, bool has_usage) {
    std::vector<std::string> out;
    for (const converse::Event& event : converse::stream(answer, control, has_usage)) {
        if (event.type != "metadata")
            out.push_back(fmt::format(R"({{"{}":{{{}}}}})", event.type, event.members));
    }
    const std::string usage =
        has_usage ? fmt::format(R"("usage":{},)", nova_usage(told(answer), false)) : std::string();
    out.push_back(fmt::format(R"({{"metadata":{{{}"metrics":{{}},"trace":{{}}}}}})", usage));
    return out;
}

}  // namespace

Read read(const Value& root, Ask& ask) {
    const Format format = format_of(ask.model);
    if (format == Format::kMessages) return read_messages(root, ask);
    if (format == Format::kNova) return read_nova(root, ask);
    if (const Prompt* prompt = prompt_of(format)) return read_prompt(*prompt, root, ask);
    return std::unexpected(
        fmt::format("The simulation has no InvokeModel for {}; use Converse.", ask.model));
}

std::string whole(const Ask& ask, const Answer& answer, bool has_usage) {
    const Format format = format_of(ask.model);
    if (format == Format::kMessages) {
        Answer plain = answer;
        plain.usage = told(answer);
        return messages::whole(ask, plain, message_id(answer), has_usage);
    }
    if (format == Format::kNova)
        return fmt::format(R"({{"output":{{"message":{}}},"stopReason":"{}"{}}})",
            converse::message_of(answer), converse::stop_of(answer),
            has_usage ? R"(,"usage":)" + nova_usage(told(answer), true) : "");
    if (format == Format::kCommandR) return command_r_reply(answer, has_usage);
    return prompt_reply(format, ask, answer, has_usage);
}

std::vector<std::string> stream(
    const Ask& ask, const Answer& answer, const Control& control, bool has_usage) {
    const Format format = format_of(ask.model);
    std::vector<std::string> out;
    if (format == Format::kMessages) {
        Answer plain = answer;
        plain.usage = told(answer);
        for (messages::Event& event :
            messages::stream(ask, plain, control, message_id(answer), has_usage))
            if (event.type != "ping") out.push_back(std::move(event.data));
    } else {
        out = format == Format::kNova ? nova_stream(answer, control, has_usage)
                                      : prompt_stream(format, answer, control, has_usage);
    }
    if (!has_usage) return out;
    std::string& last = out.back();
    last.pop_back();
    last += fmt::format(R"(,"{}":{}}})", kMetrics, metrics_of(format, told(answer)));
    return out;
}

std::vector<std::pair<std::string_view, std::int64_t>> counts_of(
    const Ask& ask, const Answer& answer) {
    const Format format = format_of(ask.model);
    const bool has_caches = format == Format::kMessages || format == Format::kNova;
    const canon::Usage& usage = answer.usage;
    std::vector<std::pair<std::string_view, std::int64_t>> out{
        {"x-amzn-bedrock-input-token-count",
            has_caches ? usage[Meter::kInput] : usage.prompt_tokens()},
        {"x-amzn-bedrock-output-token-count", usage[Meter::kOutput]}};
    if (has_caches) {
        out.emplace_back("x-amzn-bedrock-cache-read-input-token-count", usage[Meter::kCacheRead]);
        out.emplace_back("x-amzn-bedrock-cache-write-input-token-count",
            usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong]);
    }
    return out;
}

}  // namespace entrepot::cloudsim::invoke
