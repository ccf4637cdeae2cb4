#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "cloudsim/identity.h"
#include "crypto/http_signature.h"
#include "json/value.h"
#include "json/writer.h"

// Oracle's Generative AI: endpoints that copy OpenAI's, and native chat in three formats. A
// Generative AI API key, or a signature over every request.
namespace entrepot::cloudsim {
namespace {

namespace http_signature = crypto::http_signature;
using canon::Meter;
using json::Value;
using json::Writer;
using Fields = std::set<std::string_view>;

constexpr std::string_view kCompartment = "ocid1.compartment.oc1..simulated";
constexpr std::string_view kEndpoint = "ocid1.generativeaiendpoint.oc1.eu-frankfurt-1.simulated";
constexpr std::string_view kNative = "/20231130/actions/chat";

std::string padded(std::string_view members, std::size_t n) {
    return fmt::format("data: {{{},\"pad\":\"{}\"}}\n\n", members, std::string(1 + n % 10, 'a'));
}

class Oci final : public Cloud {
public:
    Oci() {
        address_.name = address_.kind = "oci";
        address_.api_key = "sk-sim-oci-0001";
        address_.region = "eu-frankfurt-1";
        address_.compartment = kCompartment;
        address_.models = {"xai.grok-4", "openai.gpt-oss-120b", "meta.llama-3.3-70b-instruct",
            "cohere.command-a-03-2025", "cohere.command-a-reasoning-08-2025",
            "cohere.command-r-08-2024", std::string(kEndpoint)};
        CloudAddress behind = address_;
        std::erase_if(
            behind.models, [](const std::string& id) { return id.starts_with("cohere."); });
        openai_ = make_openai_behind(std::move(behind));
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (!has_key(in, "", address_.api_key)) {
            if (auto is_signed = check_signature(in); !is_signed)
                return std::unexpected(std::move(is_signed.error()));
        }
        if (in.path == kNative) {
            if (in.method != "POST") return std::unexpected(error(405, "MethodNotAllowed", "no"));
            return read_native(in);
        }
        for (const std::string_view base : {"/openai", "/20231130/actions"})
            if (in.path.starts_with(base) && in.path.substr(base.size()).starts_with("/v1/")) {
                const auto compartment = in.headers.find("opc-compartment-id");
                if (!has_key(in, "", address_.api_key) && compartment != kCompartment)
                    return std::unexpected(not_found());
                Incoming behind = in;
                behind.path = in.path.substr(base.size());
                return openai_->read(behind);
            }
        return std::unexpected(not_found());
    }

    std::string content_type(const Ask& ask) const override {
        return ask.is_stream ? "text/event-stream" : "application/json";
    }

    void add_headers(net::HeaderLines& lines, const Answer& answer, const Quota&) const override {
        lines.add("opc-request-id", fmt::format("SIM{:029X}/SIM/SIM", answer.serial));
    }

    std::string reply_id(const Answer& answer) const override { return openai_->reply_id(answer); }

    std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant now) const override {
        if (ask.api_format.empty()) return openai_->whole(ask, answer, has_usage, now);
        const std::string usage =
            has_usage ? fmt::format(R"(,"usage":{})", usage_of(answer.usage)) : std::string();
        const std::string said = ask.api_format == "GENERIC" ? generic_members(ask, answer, now)
                                                             : cohere_members(ask, answer);
        return fmt::format(R"({{"modelId":{},"modelVersion":"1.0","chatResponse":{{"apiFormat":)"
                           R"("{}",{}{}}}}})",
            json::quoted(ask.model), ask.api_format, said, usage);
    }

    std::vector<std::string> stream(const Ask& ask, const Answer& answer, const Control& control,
        bool has_usage, Instant now) const override {
        if (ask.api_format.empty()) return openai_->stream(ask, answer, control, has_usage, now);
        std::vector<std::string> out;
        const auto put = [&](std::string_view members) {
            out.push_back(padded(members, out.size()));
        };
        const std::string usage = has_usage && ask.wants_usage
            ? fmt::format(R"("usage":{})", usage_of(answer.usage))
            : std::string();
        if (ask.api_format == "GENERIC") {
            for (std::int64_t i = 0; i < ask.choices; ++i)
                stream_choice(ask, answer, control, i, put);
            if (!usage.empty()) put(usage);
            out.emplace_back("data: [DONE]\n\n");
            return out;
        }
        const std::string format = fmt::format(R"("apiFormat":"{}")", ask.api_format);
        const bool is_first = ask.api_format == "COHERE";
        const auto say = [&](std::string_view kind, std::string_view key, std::string_view text) {
            for (const std::string_view piece : pieces_of(text, control.chunks))
                put(fmt::format(R"({},"message":{{"role":"ASSISTANT","content":[{{"type":"{}",)"
                                R"("{}":{}}}]}})",
                    format, kind, key, json::quoted(piece)));
        };
        if (is_first) {
            for (const std::string_view piece : pieces_of(answer.text, control.chunks))
                put(fmt::format(R"({},"text":{})", format, json::quoted(piece)));
        } else {
            if (!answer.reasoning.empty()) say("THINKING", "thinking", answer.reasoning);
            if (!answer.text.empty()) say("TEXT", "text", answer.text);
            for (const SimCall& call : answer.calls)
                put(fmt::format(R"({},"message":{{"role":"ASSISTANT","toolCalls":[{}]}})", format,
                    cohere_call(answer, call)));
        }
        // The last one says everything once more.
        put(fmt::format("{},{}", format, cohere_members(ask, answer)));
        if (!usage.empty()) put(fmt::format("{},{}", format, usage));
        return out;
    }

    canon::Usage reported(canon::Usage usage) const override { return openai_->reported(usage); }

    std::string stream_error(const Ask&) const override {
        return padded(R"("code":"InternalServerError","message":"The service broke off")", 3);
    }
    std::string damaged(std::string) const override { return "data: {\"index\":0,\"mess\n\n"; }

    Refusal refuse(int status, std::string_view message) const override {
        switch (status) {
            case 401: return error(401, "NotAuthenticated", message);
            case 403: return error(403, "NotAuthorized", message);
            case 404: return error(404, "NotAuthorizedOrNotFound", message);
            case 409: return error(409, "IncorrectState", message);
            case 413: return error(413, "RequestEntityTooLarge", message);
            case 429: return error(429, "TooManyRequests", message);
            default: break;
        }
        return error(status, status >= 500 ? "InternalServerError" : "InvalidParameter", message);
    }

    Refusal trouble(Trouble what, const Control& control, const Quota&) const override {
        if (what == Trouble::kBroken)
            return error(500, "InternalServerError", "Internal Server Error");
        if (what == Trouble::kOverloaded)
            return error(503, "ServiceUnavailable", "The service is currently unavailable.");
        Refusal out = error(429, "TooManyRequests",
            "Request throttled, too many requests for the given model or tenancy.");
        if (control.retry_after_s > 0)
            out.headers.add("retry-after", static_cast<std::uint64_t>(control.retry_after_s));
        return out;
    }

private:
    static Refusal error(int status, std::string_view code, std::string_view message) {
        Refusal out;
        out.status = status;
        Writer(out.body)
            .begin_object()
            .member("code", code)
            .member("message", message)
            .end_object();
        out.headers.add("opc-request-id", "SIM/REFUSED/0");
        return out;
    }
    static Refusal bad(std::string_view message) { return error(400, "InvalidParameter", message); }
    static Refusal not_found() {
        return error(
            404, "NotAuthorizedOrNotFound", "Authorization failed or requested resource not found");
    }

    static Answered<void> check_signature(const Incoming& in) {
        constexpr std::string_view kFailed = "Failed to verify the HTTP(S) Signature";
        const auto refused = [&](std::string_view why) {
            return std::unexpected(
                error(401, "NotAuthenticated", fmt::format("{}: {}", kFailed, why)));
        };
        const auto given = in.headers.find("authorization");
        if (!given) return refused("there is none");
        const auto claim = http_signature::parse_authorization(*given);
        if (!claim) return refused(claim.error().message);
        const bool has_body = in.method == "POST" || in.method == "PUT" || in.method == "PATCH";
        const auto text = http_signature::claimed_string(*claim, in.method,
            in.query.empty() ? std::string(in.path) : fmt::format("{}?{}", in.path, in.query),
            has_body, [&](std::string_view name) { return in.headers.find(name); });
        if (!text) return refused(text.error().message);
        const auto date = parse_http_date(in.headers.find("date").value_or(""));
        if (!date) return refused("the date is not one of HTTP");
        const nanoseconds off = *date > in.now ? *date - in.now : in.now - *date;
        if (off > http_signature::kClockSkewMax) return refused("the date is off");
        if (has_body &&
            in.headers.find("x-content-sha256") != http_signature::content_sha256(in.body))
            return refused("the body is another one");
        if (has_body && in.headers.find("content-length") != std::to_string(in.body.size()))
            return refused("the body has another length");
        const crypto::RsaPublicKey* key =
            in.identity == nullptr ? nullptr : in.identity->find_oci_key(claim->key_id, in.now);
        if (key == nullptr) return refused("the key is not known");
        if (!key->verify_sha256(*text, claim->signature)) return refused("it is another one");
        return {};
    }

    /// Members that the format does not have. Errors: the field.
    static Answered<void> only(const Value& object, const Fields& known, std::string_view where) {
        for (const json::Member& member : object.members())
            if (!known.contains(member.key))
                return std::unexpected(
                    bad(fmt::format("{}: unrecognized field '{}'", where, member.key)));
        return {};
    }

    Answered<Ask> read_native(const Incoming& in) const {
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return std::unexpected(error(400, "CannotParseRequest", "Unable to parse the body"));
        const Value& root = parsed->root();
        if (auto known = only(root, {"compartmentId", "servingMode", "chatRequest"}, "chatDetails");
            !known)
            return std::unexpected(known.error());
        if (root["compartmentId"].string() != kCompartment) return std::unexpected(not_found());
        const Value& mode = root["servingMode"];
        Ask ask;
        const bool is_dedicated = mode["servingType"].string() == "DEDICATED";
        ask.model = mode[is_dedicated ? "endpointId" : "modelId"].string();
        if (!is_dedicated && mode["servingType"].string() != "ON_DEMAND")
            return std::unexpected(bad("servingMode.servingType is invalid"));
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if (!has_model(address_, ask.model) || is_dedicated != ask.model.starts_with("ocid1."))
            return fail(error(404, "NotAuthorizedOrNotFound",
                fmt::format("Entity with key {} not found", ask.model)));
        const Value& chat = root["chatRequest"];
        ask.api_format = chat["apiFormat"].string();
        const bool is_cohere = ask.model.starts_with("cohere.");
        if (ask.api_format != "GENERIC" && ask.api_format != "COHERE" &&
            ask.api_format != "COHEREV2")
            return fail(bad("chatRequest.apiFormat is invalid"));
        if (is_cohere != ask.api_format.starts_with("COHERE"))
            return fail(bad(fmt::format(
                "apiFormat {} is not supported for model {}", ask.api_format, ask.model)));
        auto read = ask.api_format == "COHERE" ? read_cohere(chat, ask) : read_messages(chat, ask);
        if (!read) return fail(std::move(read.error()));
        if (auto set = read_parameters(chat, ask); !set) return fail(std::move(set.error()));
        return ask;
    }

    static Answered<void> read_cohere(const Value& chat, Ask& ask) {
        static const Fields kFields{"apiFormat", "message", "chatHistory", "documents",
            "responseFormat", "isSearchQueriesOnly", "preambleOverride", "isStream",
            "streamOptions", "maxTokens", "maxInputTokens", "temperature", "topK", "topP",
            "promptTruncation", "frequencyPenalty", "presencePenalty", "seed", "isEcho", "tools",
            "toolResults", "isForceSingleStep", "stopSequences", "isRawPrompting",
            "citationQuality", "safetyMode"};
        if (auto known = only(chat, kFields, "cohereChatRequest"); !known) return known;
        if (!chat["message"].is_string()) return std::unexpected(bad("message must not be null"));
        const bool has_results = !chat["toolResults"].items().empty();
        if (chat["message"].string().empty() && !has_results)
            return std::unexpected(
                bad("message must be at least 1 token long or tool results "
                    "must be specified"));
        for (const Value& entry : chat["chatHistory"].items()) {
            static const Fields kRoles{"USER", "CHATBOT", "SYSTEM", "TOOL"};
            if (!kRoles.contains(entry["role"].string()))
                return std::unexpected(bad("chatHistory: the role is invalid"));
            ask.prompt += entry.raw();
            ask.has_tool_blocks = ask.has_tool_blocks || !entry["toolCalls"].is_null();
        }
        for (const Value& result : chat["toolResults"].items())
            if (!result["call"]["parameters"].is_object() || !result["outputs"].is_array() ||
                !std::ranges::all_of(result["outputs"].items(), &Value::is_object))
                return std::unexpected(bad("toolResults: a call and outputs, which are objects"));
        ask.prompt += chat["preambleOverride"].string();
        ask.prompt += chat["message"].string();
        ask.prompt += chat["toolResults"].raw();
        if (!has_results) ask.last_user_text = chat["message"].string();
        for (const Value& tool : chat["tools"].items()) {
            if (tool["name"].string().empty() || tool["description"].string().empty())
                return std::unexpected(bad("tools: name and description must not be null"));
            std::string schema = R"({"type":"object","properties":{)";
            std::string required;
            for (const json::Member& parameter : tool["parameterDefinitions"].members()) {
                const std::string_view type = parameter.value["type"].string();
                if (type.empty())
                    return std::unexpected(bad("tools: a parameter's type must not be null"));
                if (!schema.ends_with('{')) schema += ',';
                schema += fmt::format(R"({}:{{"type":"{}"}})", json::quoted(parameter.key),
                    type == "int"        ? "integer"
                        : type == "bool" ? "boolean"
                                         : "string");
                if (parameter.value["isRequired"].as_bool().value_or(false))
                    required += (required.empty() ? "" : ",") + json::quoted(parameter.key);
            }
            ask.tools.push_back({std::string(tool["name"].string()),
                fmt::format("{}}},\"required\":[{}]}}", schema, required)});
            ask.prompt += tool.raw();
        }
        return {};
    }

    static Answered<void> read_messages(const Value& chat, Ask& ask) {
        static const Fields kGeneric{"apiFormat", "messages", "reasoningEffort", "verbosity",
            "metadata", "isStream", "streamOptions", "numGenerations", "seed", "isEcho", "topK",
            "topP", "temperature", "frequencyPenalty", "presencePenalty", "stop", "logProbs",
            "maxTokens", "maxCompletionTokens", "logitBias", "prediction", "responseFormat",
            "toolChoice", "isParallelToolCalls", "tools", "webSearchOptions", "serviceTier"};
        static const Fields kV2{"apiFormat", "messages", "documents", "citationOptions",
            "toolsChoice", "tools", "isStrictToolsEnabled", "isLogProbsEnabled", "thinking",
            "responseFormat", "isSearchQueriesOnly", "streamOptions", "isStream", "maxTokens",
            "temperature", "topK", "topP", "frequencyPenalty", "presencePenalty", "seed",
            "stopSequences", "priority", "isRawPrompting", "safetyMode"};
        const bool is_generic = ask.api_format == "GENERIC";
        if (auto known = only(chat, is_generic ? kGeneric : kV2, "chatRequest"); !known)
            return known;
        if (chat["messages"].items().empty())
            return std::unexpected(bad("messages must not be empty"));
        std::set<std::string, std::less<>> waiting;
        for (const Value& message : chat["messages"].items()) {
            const std::string_view role = message["role"].string();
            static const Fields kRoles{"SYSTEM", "DEVELOPER", "USER", "ASSISTANT", "TOOL"};
            if (!kRoles.contains(role) || (!is_generic && role == "DEVELOPER"))
                return std::unexpected(bad("messages: the role is invalid"));
            if (role == "TOOL") {
                if (waiting.erase(std::string(message["toolCallId"].string())) == 0)
                    return std::unexpected(bad("messages: a result of no call"));
            } else if (!waiting.empty()) {
                return std::unexpected(bad("messages: a call without a result"));
            }
            if (!message["content"].is_array() && message["toolCalls"].items().empty())
                return std::unexpected(bad("messages: content must be a list"));
            std::string text;
            for (const Value& part : message["content"].items()) {
                const std::string_view type = part["type"].string();
                if (type == "TEXT") {
                    text += part["text"].string();
                } else if (type == "THINKING" && !is_generic) {
                    text += part["thinking"].string();
                } else if (type == (is_generic ? "IMAGE" : "IMAGE_URL") &&
                    part["imageUrl"]["url"].string().starts_with("data:image/")) {
                    ++ask.images;
                } else {
                    return std::unexpected(
                        bad(fmt::format("messages: the content type {} is invalid", type)));
                }
            }
            ask.prompt += role;
            ask.prompt += text;
            if (role == "USER") ask.last_user_text = text;
            if (role == "TOOL") ask.last_user_text.clear();
            for (const Value& call : message["toolCalls"].items()) {
                const Value& function = is_generic ? call : call["function"];
                if (call["type"].string() != "FUNCTION" || !function["arguments"].is_string())
                    return std::unexpected(bad("messages: a call is malformed"));
                waiting.emplace(call["id"].string());
                ask.prompt += call.raw();
            }
        }
        if (!waiting.empty()) return std::unexpected(bad("messages: a call without a result"));
        for (const Value& tool : chat["tools"].items()) {
            const Value& function = is_generic ? tool : tool["function"];
            if (tool["type"].string() != "FUNCTION" || function["name"].string().empty())
                return std::unexpected(bad("tools: a tool is a FUNCTION with a name"));
            ask.tools.push_back({std::string(function["name"].string()),
                std::string(function["parameters"].raw())});
            ask.prompt += tool.raw();
        }
        return {};
    }

    static Answered<void> read_parameters(const Value& chat, Ask& ask) {
        ask.is_stream = chat["isStream"].as_bool().value_or(false);
        ask.wants_usage =
            !ask.is_stream || chat["streamOptions"]["isIncludeUsage"].as_bool().value_or(false);
        ask.is_cached_unasked = true;
        for (const std::string_view key : {"maxTokens", "maxCompletionTokens"}) {
            if (chat[key].is_null()) continue;
            if (chat[key].as_int().value_or(0) < 1)
                return std::unexpected(bad(fmt::format("{} must be at least 1", key)));
            ask.output_tokens_max = chat[key].as_int();
        }
        for (const std::string_view key : {"stop", "stopSequences"})
            for (const Value& stop : chat[key].items()) ask.stop.emplace_back(stop.string());
        ask.choices = std::clamp<std::int64_t>(chat["numGenerations"].as_int().value_or(1), 1, 5);
        const std::string_view choice = chat["toolsChoice"].is_string()
            ? chat["toolsChoice"].string()
            : chat["toolChoice"]["type"].string();
        if (choice == "NONE") ask.tool_mode = Ask::ToolMode::kNone;
        if (choice == "REQUIRED") ask.tool_mode = Ask::ToolMode::kRequired;
        if (choice == "FUNCTION") {
            ask.tool_mode = Ask::ToolMode::kNamed;
            ask.tool_named = chat["toolChoice"]["name"].string();
        }
        ask.is_parallel_allowed = chat["isParallelToolCalls"].as_bool().value_or(true);
        const Value& format = chat["responseFormat"];
        ask.wants_json = format["type"].string().starts_with("JSON");
        for (const Value* schema : {&format["schema"], &format["jsonSchema"]["schema"]})
            if (schema->is_object()) ask.schema = schema->raw();
        ask.prompt += ask.schema;
        const std::string_view effort = chat["reasoningEffort"].string();
        static const Fields kEfforts{"", "NONE", "MINIMAL", "LOW", "MEDIUM", "HIGH"};
        if (!kEfforts.contains(effort)) return std::unexpected(bad("reasoningEffort is invalid"));
        ask.wants_reasoning =
            (!effort.empty() && effort != "NONE") || chat["thinking"]["type"].string() == "ENABLED";
        return {};
    }

    static std::string text_of(std::string_view text) {
        return fmt::format(R"([{{"type":"TEXT","text":{}}}])", json::quoted(text));
    }

    /// Some makers' calls have no ids there.
    static bool has_ids(const Ask& ask) { return !ask.model.starts_with("meta."); }

    static std::string generic_call(
        const Ask& ask, const SimCall& call, std::string_view id, std::string_view arguments) {
        return fmt::format(R"({{{}"type":"FUNCTION","name":{},"arguments":{}}})",
            has_ids(ask) ? fmt::format(R"("id":{},)", json::quoted(id)) : std::string(),
            json::quoted(call.name), json::quoted(arguments));
    }

    static std::string generic_calls(const Ask& ask, const Answer& answer) {
        std::string out = "[";
        for (const SimCall& call : answer.calls)
            out += (out.size() > 1 ? "," : "") +
                generic_call(ask, call, "call_" + call.id, call.arguments);
        return out + "]";
    }

    static std::string generic_members(const Ask& ask, const Answer& answer, Instant now) {
        std::string choices;
        Writer writer(choices);
        writer.begin_array();
        for (std::int64_t i = 0; i < ask.choices; ++i) {
            writer.begin_object().member("index", i).key("message").begin_object();
            writer.member("role", "ASSISTANT");
            if (!answer.text.empty()) writer.member_raw("content", text_of(answer.text));
            if (!answer.reasoning.empty()) writer.member("reasoningContent", answer.reasoning);
            if (!answer.calls.empty()) writer.member_raw("toolCalls", generic_calls(ask, answer));
            writer.end_object().member("finishReason", generic_word(ask, answer)).end_object();
        }
        writer.end_array();
        return fmt::format(R"("timeCreated":"{}","choices":{})", to_rfc3339(now), choices);
    }

    static std::string_view generic_word(const Ask& ask, const Answer& answer) {
        if (answer.finish == Finish::kLength) return "length";
        // As recorded of some makers.
        if (answer.finish == Finish::kToolCalls) return has_ids(ask) ? "tool_calls" : "stop";
        return "stop";
    }

    template <typename Put>
    static void stream_choice(const Ask& ask, const Answer& answer, const Control& control,
        std::int64_t index, const Put& put) {
        const auto say = [&](std::string_view members) {
            put(fmt::format(R"("index":{},"message":{{"role":"ASSISTANT",{}}})", index, members));
        };
        for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
            say(fmt::format(R"("reasoningContent":{})", json::quoted(piece)));
        for (const std::string_view piece : pieces_of(answer.text, control.chunks))
            say(fmt::format(R"("content":{})", text_of(piece)));
        for (const SimCall& call : answer.calls) {
            say(fmt::format(R"("toolCalls":[{}])", generic_call(ask, call, "call_" + call.id, "")));
            int fragment = 0;
            // Each fragment with an id of its own, as recorded.
            for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
                say(fmt::format(
                    R"("toolCalls":[{{"id":"{}-{}","type":"FUNCTION","arguments":{}}}])", call.id,
                    fragment++, json::quoted(piece)));
        }
        put(fmt::format(R"("index":{},"finishReason":"{}")", index, generic_word(ask, answer)));
    }

    static std::string cohere_call(const Answer& answer, const SimCall& call) {
        return fmt::format(
            R"({{"id":{},"type":"FUNCTION","function":{{"name":{},"arguments":{}}}}})",
            json::quoted(fmt::format("{}_{}{}", call.name, answer.serial, call.id)),
            json::quoted(call.name), json::quoted(call.arguments));
    }

    /// What both the whole reply and the last event say.
    static std::string cohere_members(const Ask& ask, const Answer& answer) {
        const bool is_first = ask.api_format == "COHERE";
        std::string calls;
        for (const SimCall& call : answer.calls)
            calls += (calls.empty() ? "" : ",") +
                (is_first ? fmt::format(R"({{"name":{},"parameters":{}}})", json::quoted(call.name),
                                call.arguments)
                          : cohere_call(answer, call));
        std::string_view word = "COMPLETE";
        if (answer.finish == Finish::kLength) word = "MAX_TOKENS";
        if (!is_first && answer.finish == Finish::kToolCalls) word = "TOOL_CALL";
        if (!is_first && answer.finish == Finish::kStopSequence) word = "STOP_SEQUENCE";
        if (is_first)
            return fmt::format(R"("text":{},"finishReason":"{}","chatHistory":[]{})",
                json::quoted(answer.text), word,
                calls.empty() ? "" : fmt::format(R"(,"toolCalls":[{}])", calls));
        std::string content;
        if (!answer.reasoning.empty())
            content += fmt::format(
                R"({{"type":"THINKING","thinking":{}}})", json::quoted(answer.reasoning));
        if (!answer.text.empty())
            content += fmt::format(R"({}{{"type":"TEXT","text":{}}})", content.empty() ? "" : ",",
                json::quoted(answer.text));
        return fmt::format(R"("id":"sim-{}","message":{{"role":"ASSISTANT","content":[{}]{}}},)"
                           R"("finishReason":"{}")",
            answer.serial, content, calls.empty() ? "" : fmt::format(R"(,"toolCalls":[{}])", calls),
            word);
    }

    static std::string usage_of(const canon::Usage& usage) {
        return fmt::format(R"({{"promptTokens":{},"completionTokens":{},"totalTokens":{},)"
                           R"("promptTokensDetails":{{"cachedTokens":{}}},)"
                           R"("completionTokensDetails":{{"reasoningTokens":{}}}}})",
            usage.prompt_tokens(), usage.answer_tokens(),
            usage.prompt_tokens() + usage.answer_tokens(), usage[Meter::kCacheRead],
            usage[Meter::kReasoning]);
    }

    CloudAddress address_;
    std::unique_ptr<Cloud> openai_;
};

}  // namespace

std::unique_ptr<Cloud> make_oci() { return std::make_unique<Oci>(); }

}  // namespace entrepot::cloudsim
