#include "cloudsim/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "json/writer.h"

namespace entrepot::cloudsim::generate {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

constexpr std::string_view kSkip = "skip_thought_signature_validator";
constexpr std::string_view kSignature = "c2lnbmVk";  // what ours begin with

std::string event(std::string_view data) { return fmt::format("data: {}\r\n\r\n", data); }

/// A member in camelCase or snake_case, as Google's servers read them.
const Value& get(const Value& object, std::string_view camel) {
    std::string snake;
    for (const char c : camel)
        if (c >= 'A' && c <= 'Z')
            snake += {'_', static_cast<char>(c - 'A' + 'a')};
        else
            snake += c;
    const Value* found = object.find(camel);
    return found != nullptr ? *found : object[snake];
}

Refusal bad(std::string_view message) { return error(400, "INVALID_ARGUMENT", message); }

Refusal unknown(std::string_view name, std::string_view place) {
    return bad(
        fmt::format("Invalid JSON payload received. Unknown name \"{}\"{}{}: Cannot "
                    "find field.",
            name, place.empty() ? "" : " at ", place.empty() ? "" : fmt::format("'{}'", place)));
}

/// Google's JSON is its protocol buffers': a name that is none of the message's is an error.
Answered<void> check_names(const Value& root, Service service) {
    static constexpr std::array<std::string_view, 8> kNames{"contents", "systemInstruction",
        "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent", "model"};
    // Each has some of its own.
    const std::array<std::string_view, 2> own = service == Service::kVertex
        ? std::array<std::string_view, 2>{"labels", "modelArmorConfig"}
        : std::array<std::string_view, 2>{"serviceTier", "store"};
    for (const json::Member& member : root.members()) {
        const auto names_it = [&](std::string_view name) {
            return &get(root, name) == &member.value;
        };
        const bool is_known =
            std::ranges::any_of(kNames, names_it) || std::ranges::any_of(own, names_it);
        if (!is_known) return std::unexpected(unknown(member.key, ""));
    }
    return {};
}

Answered<void> read_tools(const Value& root, Ask& ask) {
    const Value& tools = root["tools"];
    for (std::size_t i = 0; i < tools.items().size(); ++i) {
        const Value& functions = get(tools.items()[i], "functionDeclarations");
        for (std::size_t j = 0; j < functions.items().size(); ++j) {
            const Value& function = functions.items()[j];
            const std::string place = fmt::format("tools[{}].function_declarations[{}]", i, j);
            const std::string_view name = function["name"].string();
            if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
                return std::unexpected(
                    bad(fmt::format("GenerateContentRequest.{}.name: [Invalid function name. Must "
                                    "start with a letter or an underscore.]",
                        place)));
            const Value& own = function["parameters"];
            for (const std::string_view word : {"$schema", "additionalProperties", "const"})
                if (own.find(word) != nullptr)
                    return std::unexpected(unknown(word, place + ".parameters"));
            const Value& schema = get(function, "parametersJsonSchema");
            ask.tools.push_back(
                {std::string(name), std::string(own.is_null() ? schema.raw() : own.raw())});
            if (ask.tools.back().schema == "null") ask.tools.back().schema.clear();
            ask.prompt += function.raw();
        }
    }
    const Value& calling = get(get(root, "toolConfig"), "functionCallingConfig");
    const std::string_view mode = calling["mode"].string();
    const Value& names = get(calling, "allowedFunctionNames");
    if (!names.items().empty() && mode != "ANY" && mode != "VALIDATED")
        return std::unexpected(
            bad("Function calling config: allowed_function_names needs the mode ANY."));
    if (mode == "ANY") ask.tool_mode = Ask::ToolMode::kRequired;
    if (mode == "NONE") ask.tool_mode = Ask::ToolMode::kNone;
    if (mode == "ANY" && names.items().size() == 1) {
        ask.tool_mode = Ask::ToolMode::kNamed;
        ask.tool_named = names.items()[0].string();
    }
    return {};
}

Answered<void> read_part(const Value& part, const std::string& place, std::string_view role,
    std::size_t& calls, std::size_t& results, Ask& ask) {
    const Value& signature = get(part, "thoughtSignature");
    if (signature.is_string() && signature.string() != kSkip &&
        !signature.string().starts_with(kSignature))
        return std::unexpected(bad("Corrupted thought signature."));
    if (signature.string().starts_with(kSignature)) ++ask.thoughts;
    if (const Value& call = get(part, "functionCall"); call.is_object()) {
        if (!call["args"].is_null() && !call["args"].is_object())
            return std::unexpected(bad(fmt::format("contents {}: args is no object", place)));
        if (calls++ == 0 && signature.is_null() && ask.model.starts_with("gemini-3"))
            return std::unexpected(bad(fmt::format(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly. Function call `{}`, position {}.",
                call["name"].string(), place)));
        ask.prompt += call.raw();
    } else if (const Value& result = get(part, "functionResponse"); result.is_object()) {
        if (!result["response"].is_object() || result["name"].string().empty())
            return std::unexpected(bad(
                fmt::format("contents {}: function_response needs a name and an object", place)));
        ++results;
        ask.prompt += result["response"].raw();
    } else if (part["text"].is_string()) {
        ask.prompt += part["text"].string();
        if (role != "model") ask.last_user_text += part["text"].string();
    } else if (const Value& data = get(part, "inlineData"); data.is_object()) {
        if (get(data, "mimeType").string().empty())
            return std::unexpected(bad("mime_type of inline_data must be set"));
        ++ask.images;
    } else if (!get(part, "fileData").is_object() && signature.is_null()) {
        return std::unexpected(bad(fmt::format(
            "* GenerateContentRequest.contents[{}]: required oneof field 'data' must have one "
            "initialized field\n",
            place)));
    }
    return {};
}

Answered<void> read_contents(const Value& root, Service service, Ask& ask) {
    for (const Value& part : get(root, "systemInstruction")["parts"].items())
        ask.prompt += part["text"].string();
    const Value& contents = root["contents"];
    if (contents.items().empty())
        return std::unexpected(
            bad("* GenerateContentRequest.contents: contents is not specified\n"));
    std::size_t waiting = 0;  // calls of the turn before
    for (std::size_t i = 0; i < contents.items().size(); ++i) {
        const Value& content = contents.items()[i];
        const std::string_view role = content["role"].string();
        if (service == Service::kVertex && role.empty())
            return std::unexpected(bad("Please use a valid role: user, model."));
        if (!role.empty() && role != "user" && role != "model" && role != "function")
            return std::unexpected(bad("Please use a valid role: user, model."));
        if (content["parts"].items().empty())
            return std::unexpected(bad(fmt::format(
                "* GenerateContentRequest.contents[{}].parts: contents.parts must not be "
                "empty.\n",
                i)));
        std::size_t calls = 0, results = 0;
        if (role == "user") ask.last_user_text.clear();
        for (std::size_t j = 0; j < content["parts"].items().size(); ++j) {
            auto read = read_part(
                content["parts"].items()[j], fmt::format("{}.{}", i, j), role, calls, results, ask);
            if (!read) return read;
        }
        if (waiting != results)
            return std::unexpected(
                bad("Please ensure that the number of function response parts is equal to the "
                    "number of function call parts of the function call turn."));
        waiting = calls;
    }
    return {};
}

Answered<void> read_thinking(const Value& thinking, Ask& ask) {
    const Value& level = get(thinking, "thinkingLevel");
    const auto budget = get(thinking, "thinkingBudget").as_int();
    if (level.is_string() && budget)
        return std::unexpected(
            bad("You can only set only one of thinking budget and thinking level."));
    if (level.is_string() && ask.model.starts_with("gemini-2"))
        return std::unexpected(bad("Thinking level is not supported for this model."));
    if (budget == 0 && ask.model.ends_with("-pro"))
        return std::unexpected(bad("Budget 0 is invalid. This model only works in thinking mode."));
    ask.shows_reasoning = get(thinking, "includeThoughts").as_bool().value_or(false);
    ask.wants_reasoning = budget != 0 && (budget || level.is_string() || ask.shows_reasoning);
    return {};
}

Answered<void> read_config(const Value& config, Ask& ask) {
    static constexpr std::array<std::string_view, 17> kNames{"temperature", "topP", "topK",
        "maxOutputTokens", "stopSequences", "candidateCount", "seed", "frequencyPenalty",
        "presencePenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema",
        "responseJsonSchema", "thinkingConfig", "responseModalities", "mediaResolution"};
    for (const json::Member& member : config.members()) {
        const bool is_known = std::ranges::any_of(
            kNames, [&](std::string_view name) { return &get(config, name) == &member.value; });
        if (!is_known) return std::unexpected(unknown(member.key, "generation_config"));
    }
    ask.output_tokens_max = get(config, "maxOutputTokens").as_int();
    if (ask.output_tokens_max && *ask.output_tokens_max < 1)
        return std::unexpected(bad("max_output_tokens must be positive."));
    ask.choices = get(config, "candidateCount").as_int().value_or(1);
    if (ask.choices > 8)
        return std::unexpected(bad("The number of candidates must be from 1 to 8."));
    for (const Value& stop : get(config, "stopSequences").items())
        ask.stop.emplace_back(stop.string());
    if (ask.stop.size() > 5)
        return std::unexpected(bad("The number of stop_sequences must be at most 5."));
    const bool is_json = get(config, "responseMimeType").string() == "application/json";
    for (const std::string_view name : {"responseSchema", "responseJsonSchema"})
        if (const Value& schema = get(config, name); schema.is_object()) {
            if (!is_json) return std::unexpected(bad("Response schema needs a JSON mime type."));
            ask.schema = schema.raw();
            ask.prompt += ask.schema;
        }
    ask.wants_json = is_json && ask.schema.empty();
    return read_thinking(get(config, "thinkingConfig"), ask);
}

std::string call_part(const Answer& answer, std::size_t i) {
    const SimCall& call = answer.calls[i];
    const bool is_object = json::Document::parse(call.arguments).has_value();
    // Of calls side by side only the first is signed.
    return fmt::format(R"({{"functionCall":{{"name":{},"args":{}}}{}}})", json::quoted(call.name),
        is_object ? call.arguments : "{}",
        i == 0 ? fmt::format(R"(,"thoughtSignature":"{}")", id_of(kSignature, answer.serial)) : "");
}

std::string_view finish_of(const Answer& answer) {
    return answer.finish == Finish::kLength ? "MAX_TOKENS" : "STOP";
}

void write_usage(Writer& writer, const canon::Usage& usage) {
    const std::int64_t prompt = usage.prompt_tokens();
    const std::int64_t thoughts = usage[Meter::kReasoning];
    const std::int64_t answer = usage[Meter::kOutput] - thoughts;
    const auto member = [&](std::string_view name, std::int64_t tokens) {
        if (tokens != 0) writer.member(name, tokens);  // zeros are left out
    };
    writer.begin_object();
    member("promptTokenCount", prompt);
    member("candidatesTokenCount", answer);
    member("totalTokenCount", prompt + answer + thoughts);
    member("cachedContentTokenCount", usage[Meter::kCacheRead]);
    writer.key("promptTokensDetails").begin_array().begin_object();
    writer.member("modality", "TEXT").member("tokenCount", prompt);
    writer.end_object().end_array();
    member("thoughtsTokenCount", thoughts);
    writer.end_object();
}

std::string chunk(const Ask& ask, std::string_view id, const std::vector<std::string>& parts,
    std::string_view finish, const canon::Usage* usage) {
    std::string out;
    Writer writer(out);
    writer.begin_object().key("candidates").begin_array();
    for (std::int64_t index = 0; index < ask.choices; ++index) {
        writer.begin_object().key("content").begin_object();
        if (!parts.empty()) {
            writer.key("parts").begin_array();
            for (const std::string& part : parts) writer.raw(part);
            writer.end_array();
        }
        writer.member("role", "model").end_object();
        if (!finish.empty()) writer.member("finishReason", finish);
        writer.member("index", index).end_object();
    }
    writer.end_array();
    if (usage != nullptr) write_usage(writer.key("usageMetadata"), reported(*usage));
    writer.member("modelVersion", ask.model).member("responseId", id);
    writer.end_object();
    return out;
}

}  // namespace

Answered<void> read(const Value& root, Service service, Ask& ask) {
    ask.is_cached_unasked = true;
    if (auto read = check_names(root, service); !read) return read;
    if (auto read = read_tools(root, ask); !read) return read;
    if (auto read = read_contents(root, service, ask); !read) return read;
    return read_config(get(root, "generationConfig"), ask);
}

std::string whole(const Ask& ask, const Answer& answer, std::string_view id, bool has_usage) {
    std::vector<std::string> parts;
    if (!answer.reasoning.empty() && ask.shows_reasoning)
        parts.push_back(
            fmt::format(R"({{"text":{},"thought":true}})", json::quoted(answer.reasoning)));
    if (!answer.text.empty())
        parts.push_back(fmt::format(R"({{"text":{}}})", json::quoted(answer.text)));
    for (std::size_t i = 0; i < answer.calls.size(); ++i) parts.push_back(call_part(answer, i));
    return chunk(ask, id, parts, finish_of(answer), has_usage ? &answer.usage : nullptr);
}

std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
    std::string_view id, bool has_usage) {
    std::vector<std::string> out;
    canon::Usage so_far = answer.usage;
    so_far[Meter::kOutput] = so_far[Meter::kReasoning];
    const auto send = [&](const std::string& part) {
        so_far[Meter::kOutput] = std::min(so_far[Meter::kOutput] + 1, answer.usage[Meter::kOutput]);
        out.push_back(event(chunk(ask, id, {part}, "", has_usage ? &so_far : nullptr)));
    };
    if (!answer.reasoning.empty() && ask.shows_reasoning)
        for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
            send(fmt::format(R"({{"text":{},"thought":true}})", json::quoted(piece)));
    for (const std::string_view piece : pieces_of(answer.text, control.chunks))
        send(fmt::format(R"({{"text":{}}})", json::quoted(piece)));
    for (std::size_t i = 0; i < answer.calls.size(); ++i) send(call_part(answer, i));
    // The last chunk says nothing more; what is signed there is an empty text.
    std::vector<std::string> last;
    if (answer.calls.empty())
        last.push_back(fmt::format(
            R"({{"text":"","thoughtSignature":"{}"}})", id_of(kSignature, answer.serial)));
    out.push_back(
        event(chunk(ask, id, last, finish_of(answer), has_usage ? &answer.usage : nullptr)));
    return out;
}

canon::Usage reported(canon::Usage usage) {
    // No words for what is written to a cache.
    usage[Meter::kInput] += usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
    usage[Meter::kCacheWrite] = usage[Meter::kCacheWriteLong] = 0;
    return usage;
}

Refusal error(
    int status, std::string_view word, std::string_view message, std::string_view details) {
    Refusal out;
    out.status = status;
    Writer writer(out.body);
    writer.begin_object().key("error").begin_object();
    writer.member("code", std::int64_t{status}).member("message", message);
    writer.member("status", word);
    if (!details.empty()) writer.member_raw("details", details);
    writer.end_object().end_object();
    return out;
}

Refusal refuse(int status, std::string_view message) {
    std::string_view word = status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
    switch (status) {
        case 401: word = "UNAUTHENTICATED"; break;
        case 403: word = "PERMISSION_DENIED"; break;
        case 404: word = "NOT_FOUND"; break;
        case 409: word = "ABORTED"; break;
        case 429: word = "RESOURCE_EXHAUSTED"; break;
        case 499: word = "CANCELLED"; break;
        case 501: word = "UNIMPLEMENTED"; break;
        case 503: word = "UNAVAILABLE"; break;
        case 504: word = "DEADLINE_EXCEEDED"; break;
        default: break;
    }
    return error(status, word, message);
}

}  // namespace entrepot::cloudsim::generate
