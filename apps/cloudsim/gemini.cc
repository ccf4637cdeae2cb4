#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "cloudsim/cloud.h"
#include "json/value.h"
#include "json/writer.h"

// Google's Gemini API: generateContent, and its stream as events (`alt=sse`).
namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

constexpr std::string_view kModels = "/v1beta/models";
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

class Gemini final : public Cloud {
public:
    Gemini() {
        address_.name = address_.kind = "gemini";
        address_.api_key = "AIzaSim0001";
        address_.models = {"gemini-2.5-flash", "gemini-2.5-pro", "gemini-3-flash-preview"};
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (auto checked = check_key(in); !checked) return std::unexpected(checked.error());
        if (in.path == kModels && in.method == "GET") return std::unexpected(models());
        const std::size_t colon = in.path.rfind(':');
        if (!in.path.starts_with(kModels) || in.path.size() <= kModels.size() ||
            colon == std::string_view::npos || in.method != "POST")
            return std::unexpected(error(404, "NOT_FOUND", "Requested entity was not found."));
        const std::string_view verb = in.path.substr(colon + 1);
        Ask ask;
        ask.model = percent_decoded(in.path.substr(kModels.size() + 1, colon - kModels.size() - 1));
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if ((verb != "generateContent" && verb != "streamGenerateContent") ||
            !has_model(address_, ask.model))
            return fail(error(404, "NOT_FOUND",
                fmt::format("models/{} is not found for API version v1beta, or is not supported "
                            "for {}. Call ListModels to see the list of available models and "
                            "their supported methods.",
                    ask.model, verb)));
        ask.is_stream = verb == "streamGenerateContent";
        if (ask.is_stream && in.query.find("alt=sse") == std::string_view::npos)
            return fail(error(501, "UNIMPLEMENTED", "this simulation streams with alt=sse alone"));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return fail(bad("Invalid JSON payload received. Unexpected token."));
        const Value& root = parsed->root();
        ask.is_cached_unasked = true;
        if (auto read = check_names(root); !read) return fail(std::move(read.error()));
        if (auto read = read_tools(root, ask); !read) return fail(std::move(read.error()));
        if (auto read = read_contents(root, ask); !read) return fail(std::move(read.error()));
        if (auto read = read_config(get(root, "generationConfig"), ask); !read)
            return fail(std::move(read.error()));
        return ask;
    }

    std::string content_type(bool is_stream) const override {
        return is_stream ? "text/event-stream" : "application/json; charset=UTF-8";
    }
    // Google's answers have no headers of limits or ids.
    void add_headers(net::HeaderLines&, const Answer&, const Quota&) const override {}
    std::string reply_id(const Answer& answer) const override { return id_of("", answer.serial); }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant) const override {
        std::vector<std::string> parts;
        if (!answer.reasoning.empty() && ask.shows_reasoning)
            parts.push_back(
                fmt::format(R"({{"text":{},"thought":true}})", json::quoted(answer.reasoning)));
        if (!answer.text.empty())
            parts.push_back(fmt::format(R"({{"text":{}}})", json::quoted(answer.text)));
        for (std::size_t i = 0; i < answer.calls.size(); ++i) parts.push_back(call_part(answer, i));
        return chunk(ask, answer, parts, finish_of(answer), has_usage ? &answer.usage : nullptr);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant) const override {
        std::vector<std::string> out;
        canon::Usage so_far = answer.usage;
        so_far[Meter::kOutput] = so_far[Meter::kReasoning];
        const auto send = [&](const std::string& part) {
            so_far[Meter::kOutput] =
                std::min(so_far[Meter::kOutput] + 1, answer.usage[Meter::kOutput]);
            out.push_back(event(chunk(ask, answer, {part}, "", has_usage ? &so_far : nullptr)));
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
        out.push_back(event(
            chunk(ask, answer, last, finish_of(answer), has_usage ? &answer.usage : nullptr)));
        return out;
    }

    canon::Usage reported(canon::Usage usage) const override {
        // No words for what is written to a cache.
        usage[Meter::kInput] += usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
        usage[Meter::kCacheWrite] = usage[Meter::kCacheWriteLong] = 0;
        return usage;
    }

    std::string stream_error() const override {
        return error(503, "UNAVAILABLE", kOverloaded).body + "\n";  // bare
    }
    std::string damaged(std::string) const override {
        return "data: {\"candidates\": [{\"content\"\r\n\r\n";
    }

    Refusal refuse(int status, std::string_view message) const override {
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

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken)
            return error(500, "INTERNAL",
                "An internal error has occurred. Please retry or report in "
                "https://developers.generativeai.google/guide/troubleshooting");
        if (what == Trouble::kOverloaded) return error(503, "UNAVAILABLE", kOverloaded);
        const std::int64_t wait = quota.reset_s > 0 ? quota.reset_s : control.retry_after_s;
        const std::string details = fmt::format(
            R"([{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[)"
            R"({{"quotaMetric":"generativelanguage.googleapis.com/generate_content_requests",)"
            R"("quotaId":"GenerateRequestsPerMinutePerProjectPerModel","quotaValue":"{}"}}]}},)"
            R"({{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{}s"}}])",
            quota.limit, wait);
        return error(429, "RESOURCE_EXHAUSTED",
            fmt::format("You exceeded your current quota, please check your plan and billing "
                        "details.\nPlease retry in {}s.",
                wait),
            details);
    }

private:
    static constexpr std::string_view kOverloaded =
        "The model is overloaded. Please try again later.";

    static Refusal error(int status, std::string_view word, std::string_view message,
        std::string_view details = {}) {
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
    static Refusal bad(std::string_view message) { return error(400, "INVALID_ARGUMENT", message); }

    Answered<void> check_key(const Incoming& in) const {
        const auto header = in.headers.find("x-goog-api-key");
        const std::size_t at = in.query.find("key=");
        if (!header && at == std::string_view::npos)
            return std::unexpected(error(403, "PERMISSION_DENIED",
                "Method doesn't allow unregistered callers (callers without established "
                "identity). Please use API Key or other form of API consumer identity to call "
                "this API."));
        const std::string_view key =
            header ? *header : in.query.substr(at + 4, in.query.find('&', at) - at - 4);
        if (key == address_.api_key) return {};
        return std::unexpected(error(400, "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.",
            R"([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",)"
            R"("domain":"googleapis.com","metadata":{"service":)"
            R"("generativelanguage.googleapis.com"}}])"));
    }

    Refusal models() const {
        Refusal out;
        out.status = 200;
        Writer writer(out.body);
        writer.begin_object().key("models").begin_array();
        for (const std::string& model : address_.models)
            writer.begin_object().member("name", "models/" + model).end_object();
        writer.end_array().end_object();
        return out;
    }

    /// Google's JSON is its protocol buffers': a name that is none of the message's is an error.
    static Answered<void> check_names(const Value& root) {
        static constexpr std::array<std::string_view, 10> kNames{"contents", "systemInstruction",
            "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent", "model",
            "serviceTier", "store"};
        for (const json::Member& member : root.members()) {
            const bool is_known = std::ranges::any_of(
                kNames, [&](std::string_view name) { return &get(root, name) == &member.value; });
            if (!is_known) return std::unexpected(unknown(member.key, ""));
        }
        return {};
    }
    static Refusal unknown(std::string_view name, std::string_view place) {
        return bad(fmt::format(
            "Invalid JSON payload received. Unknown name \"{}\"{}{}: Cannot "
            "find field.",
            name, place.empty() ? "" : " at ", place.empty() ? "" : fmt::format("'{}'", place)));
    }

    static Answered<void> read_tools(const Value& root, Ask& ask) {
        const Value& tools = root["tools"];
        for (std::size_t i = 0; i < tools.items().size(); ++i) {
            const Value& functions = get(tools.items()[i], "functionDeclarations");
            for (std::size_t j = 0; j < functions.items().size(); ++j) {
                const Value& function = functions.items()[j];
                const std::string place = fmt::format("tools[{}].function_declarations[{}]", i, j);
                const std::string_view name = function["name"].string();
                if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
                    return std::unexpected(bad(
                        fmt::format("GenerateContentRequest.{}.name: [Invalid function name. Must "
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

    static Answered<void> read_contents(const Value& root, Ask& ask) {
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
                auto read = read_part(content["parts"].items()[j], fmt::format("{}.{}", i, j), role,
                    calls, results, ask);
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

    static Answered<void> read_part(const Value& part, const std::string& place,
        std::string_view role, std::size_t& calls, std::size_t& results, Ask& ask) {
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
                return std::unexpected(bad(fmt::format(
                    "contents {}: function_response needs a name and an object", place)));
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

    static Answered<void> read_config(const Value& config, Ask& ask) {
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
                if (!is_json)
                    return std::unexpected(bad("Response schema needs a JSON mime type."));
                ask.schema = schema.raw();
                ask.prompt += ask.schema;
            }
        ask.wants_json = is_json && ask.schema.empty();
        return read_thinking(get(config, "thinkingConfig"), ask);
    }

    static Answered<void> read_thinking(const Value& thinking, Ask& ask) {
        const Value& level = get(thinking, "thinkingLevel");
        const auto budget = get(thinking, "thinkingBudget").as_int();
        if (level.is_string() && budget)
            return std::unexpected(
                bad("You can only set only one of thinking budget and thinking level."));
        if (level.is_string() && ask.model.starts_with("gemini-2"))
            return std::unexpected(bad("Thinking level is not supported for this model."));
        if (budget == 0 && ask.model.ends_with("-pro"))
            return std::unexpected(
                bad("Budget 0 is invalid. This model only works in thinking mode."));
        ask.shows_reasoning = get(thinking, "includeThoughts").as_bool().value_or(false);
        ask.wants_reasoning = budget != 0 && (budget || level.is_string() || ask.shows_reasoning);
        return {};
    }

    static std::string call_part(const Answer& answer, std::size_t i) {
        const SimCall& call = answer.calls[i];
        const bool is_object = json::Document::parse(call.arguments).has_value();
        // Of calls side by side only the first is signed.
        return fmt::format(R"({{"functionCall":{{"name":{},"args":{}}}{}}})",
            json::quoted(call.name), is_object ? call.arguments : "{}",
            i == 0 ? fmt::format(R"(,"thoughtSignature":"{}")", id_of(kSignature, answer.serial))
                   : "");
    }

    static std::string_view finish_of(const Answer& answer) {
        return answer.finish == Finish::kLength ? "MAX_TOKENS" : "STOP";
    }

    std::string chunk(const Ask& ask, const Answer& answer, const std::vector<std::string>& parts,
        std::string_view finish, const canon::Usage* usage) const {
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
        writer.member("modelVersion", ask.model).member("responseId", reply_id(answer));
        writer.end_object();
        return out;
    }

    static void write_usage(Writer& writer, const canon::Usage& usage) {
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

    CloudAddress address_;
};

}  // namespace

std::unique_ptr<Cloud> make_gemini() { return std::make_unique<Gemini>(); }

}  // namespace entrepot::cloudsim
