#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "cloudsim/cloud.h"
#include "cloudsim/identity.h"
#include "crypto/sigv4.h"
#include "framing/event_stream.h"
#include "json/value.h"
#include "json/writer.h"

// AWS Bedrock's Converse and ConverseStream.
namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;
namespace sigv4 = crypto::sigv4;

class Bedrock final : public Cloud {
public:
    Bedrock() {
        address_.name = address_.kind = "bedrock";
        address_.api_key = "bedrock-sim-bearer-0001";
        address_.region = "us-east-1";
        address_.access_key_id = "AKIASIMULATED0000001";
        address_.secret_access_key = "simulated/secret/access/key/0000000000001";
        address_.models = {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0",
            "amazon.nova-pro-v1:0", "openai.gpt-oss-120b-1:0"};
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (auto known = authenticate(in); !known) return std::unexpected(std::move(known.error()));
        Ask ask;
        constexpr std::string_view kBefore = "/model/";
        const std::size_t slash = in.path.rfind('/');
        if (!in.path.starts_with(kBefore) || slash < kBefore.size() ||
            (!in.path.ends_with("/converse") && !in.path.ends_with("/converse-stream")))
            return std::unexpected(
                error(404, "UnknownOperationException", "The requested operation is not known."));
        if (in.method != "POST")
            return std::unexpected(
                error(405, "UnknownOperationException", "The method is not allowed."));
        ask.model = percent_decoded(in.path.substr(kBefore.size(), slash - kBefore.size()));
        ask.is_stream = in.path.ends_with("-stream");
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if (!has_model(address_, ask.model))
            return fail(invalid("The provided model identifier is invalid."));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return fail(error(400, "SerializationException", "The body is no JSON object."));
        if (auto read = read_tools(parsed->root(), ask); !read)
            return fail(std::move(read.error()));
        if (auto read = read_messages(parsed->root(), ask); !read)
            return fail(std::move(read.error()));
        if (auto read = read_parameters(parsed->root(), ask); !read)
            return fail(std::move(read.error()));
        return ask;
    }

    std::string content_type(bool is_stream) const override {
        return is_stream ? "application/vnd.amazon.eventstream" : "application/json";
    }

    void add_headers(net::HeaderLines& lines, const Answer& answer, const Quota&) const override {
        lines.add("x-amzn-requestid", reply_id(answer));
    }

    /// Converse gives replies no id; the request's own is what both sides can name.
    std::string reply_id(const Answer& answer) const override {
        return fmt::format("00000000-0000-4000-8000-{:012x}", answer.serial);
    }

    std::string whole(const Ask&, const Answer& answer, bool has_usage, Instant) const override {
        std::string out;
        Writer writer(out);
        writer.begin_object().key("metrics").begin_object().member("latencyMs", 12).end_object();
        writer.key("output").begin_object().key("message").begin_object();
        writer.key("content").begin_array();
        if (!answer.reasoning.empty())
            writer.raw(fmt::format(
                R"({{"reasoningContent":{{"reasoningText":{{"signature":{},"text":{}}}}}}})",
                json::quoted(signature_of(answer)), json::quoted(answer.reasoning)));
        if (!answer.text.empty()) writer.begin_object().member("text", answer.text).end_object();
        for (const SimCall& call : answer.calls) {
            const bool is_object = json::Document::parse(call.arguments).has_value();
            writer.raw(fmt::format(R"({{"toolUse":{{"input":{},"name":{},"toolUseId":{}}}}})",
                is_object ? call.arguments : "{}", json::quoted(call.name),
                json::quoted(call_id(call))));
        }
        writer.end_array().member("role", "assistant").end_object().end_object();
        writer.member("stopReason", stop_of(answer));
        if (has_usage) write_usage(writer.key("usage"), answer.usage);
        writer.end_object();
        return out;
    }

    std::vector<std::string> stream(const Ask&, const Answer& answer, const Control& control,
        bool has_usage, Instant) const override {
        std::vector<std::string> out;
        const auto put = [&](std::string_view type, std::string_view members) {
            // Padding of any length means nothing.
            static constexpr std::string_view kPadding = "abcdefghijklmnopqrstuvwxyz";
            std::string frame;
            framing::append_event_stream_event(frame, type,
                fmt::format(R"({{{},"p":"{}"}})", members,
                    kPadding.substr(0, 1 + out.size() * 7 % kPadding.size())));
            out.push_back(std::move(frame));
        };
        int index = 0;
        const auto delta = [&](std::string_view content) {
            put("contentBlockDelta",
                fmt::format(R"("contentBlockIndex":{},"delta":{{{}}})", index, content));
        };
        const auto close = [&] {
            put("contentBlockStop", fmt::format(R"("contentBlockIndex":{})", index++));
        };
        put("messageStart", R"("role":"assistant")");
        if (!answer.reasoning.empty()) {
            for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
                delta(fmt::format(R"("reasoningContent":{{"text":{}}})", json::quoted(piece)));
            delta(fmt::format(
                R"("reasoningContent":{{"signature":{}}})", json::quoted(signature_of(answer))));
            close();
        }
        if (!answer.text.empty()) {
            for (const std::string_view piece : pieces_of(answer.text, control.chunks))
                delta(fmt::format(R"("text":{})", json::quoted(piece)));
            close();
        }
        for (const SimCall& call : answer.calls) {
            put("contentBlockStart",
                fmt::format(R"("contentBlockIndex":{},"start":{{"toolUse":{{"name":{},)"
                            R"("toolUseId":{}}}}})",
                    index, json::quoted(call.name), json::quoted(call_id(call))));
            for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
                delta(fmt::format(R"("toolUse":{{"input":{}}})", json::quoted(piece)));
            close();
        }
        put("messageStop", fmt::format(R"("stopReason":"{}")", stop_of(answer)));
        std::string usage;
        if (has_usage) {
            Writer writer(usage);
            write_usage(writer, answer.usage);
        }
        put("metadata",
            R"("metrics":{"latencyMs":12})" + (has_usage ? R"(,"usage":)" + usage : usage));
        return out;
    }

    canon::Usage reported(canon::Usage usage) const override {
        usage[Meter::kReasoning] = 0;  // is counted in the output and not told apart
        return usage;
    }

    std::string stream_error() const override {
        std::string out;
        framing::append_event_stream_exception(out, "modelStreamErrorException",
            R"({"message":"The model returned an error while it streamed."})");
        return out;
    }

    std::string damaged(std::string event) const override {
        if (!event.empty()) event.back() = static_cast<char>(event.back() ^ 1);
        return event;
    }

    Refusal refuse(int status, std::string_view message) const override {
        switch (status) {
            case 401:
            case 403: return error(status, "AccessDeniedException", message);
            case 404: return error(404, "ResourceNotFoundException", message);
            case 408: return error(408, "ModelTimeoutException", message);
            case 424: return error(424, "ModelErrorException", message);
            case 429: return error(429, "ThrottlingException", message);
            case 503: return error(503, "ServiceUnavailableException", message);
            default:
                return error(status,
                    status >= 500 ? "InternalServerException" : "ValidationException", message);
        }
    }

    Refusal trouble(Trouble what, const Control&, const Quota&) const override {
        // Bedrock names no time to wait and no limits.
        if (what == Trouble::kBroken)
            return error(500, "InternalServerException", "The system encountered an error.");
        if (what == Trouble::kOverloaded)
            return error(
                503, "ServiceUnavailableException", "Bedrock is unable to process your request.");
        return error(
            429, "ThrottlingException", "Too many requests, please wait before trying again.");
    }

private:
    static Refusal error(int status, std::string_view type, std::string_view message) {
        Refusal out;
        out.status = status;
        out.headers.add("x-amzn-errortype",
            fmt::format("{}:http://internal.amazon.com/coral/com.amazon.bedrock/", type));
        Writer writer(out.body);
        writer.begin_object().member("message", message).end_object();
        return out;
    }
    static Refusal invalid(std::string_view message) {
        return error(400, "ValidationException", message);
    }

    Answered<void> authenticate(const Incoming& in) {
        const auto header = in.headers.find("authorization");
        if (!header)
            return std::unexpected(
                error(403, "MissingAuthenticationTokenException", "Missing Authentication Token"));
        if (header->starts_with("Bearer ")) {
            if (has_key(in, "", address_.api_key)) return {};
            return std::unexpected(error(403, "AccessDeniedException",
                "Authentication failed: Please make sure your API Key is valid."));
        }
        const auto claim = sigv4::parse_authorization(*header);
        if (!claim)
            return std::unexpected(
                error(403, "IncompleteSignatureException", claim.error().message));
        const Identity::Keys* issued =
            in.identity == nullptr ? nullptr : in.identity->find_keys(claim->access_key_id);
        if (issued != nullptr) {
            if (in.now >= issued->expires)
                return std::unexpected(error(403, "ExpiredTokenException",
                    "The security token included in the request is expired"));
            if (in.headers.find("x-amz-security-token").value_or("") != issued->session_token)
                return std::unexpected(error(403, "UnrecognizedClientException",
                    "The security token included in the request is invalid."));
        } else if (claim->access_key_id != address_.access_key_id) {
            return std::unexpected(error(403, "UnrecognizedClientException",
                "The security token included in the request is invalid."));
        }
        if (claim->region != address_.region || claim->service != "bedrock")
            return std::unexpected(error(403, "InvalidSignatureException",
                fmt::format("Credential should be scoped to a valid region and service: "
                            "'{}', 'bedrock'.",
                    address_.region)));
        std::vector<sigv4::HeaderView> headers;
        for (std::size_t i = 0; i < in.headers.size(); ++i)
            headers.push_back({in.headers[i].name, in.headers[i].value});
        const std::string body = crypto::hex(crypto::sha256(in.body));
        const sigv4::Verdict verdict = sigv4::verify(*claim,
            Secret(issued == nullptr ? address_.secret_access_key : issued->secret),
            {in.method, in.path, in.query, headers, body}, in.now, keys_);
        if (verdict == sigv4::Verdict::kValid) return {};
        if (verdict == sigv4::Verdict::kClockSkew)
            return std::unexpected(error(403, "InvalidSignatureException",
                "Signature expired: it is more than 5 minutes off."));
        return std::unexpected(error(403, "InvalidSignatureException",
            fmt::format("The request signature we calculated does not match the signature you "
                        "provided. Check your AWS Secret Access Key and signing method. ({})",
                sigv4::verdict_name(verdict))));
    }

    Answered<void> read_tools(const Value& root, Ask& ask) const {
        const Value& config = root["toolConfig"];
        if (config.is_null()) return {};
        if (config["tools"].items().empty())
            return std::unexpected(invalid("toolConfig.tools must have at least 1 item."));
        for (const Value& tool : config["tools"].items()) {
            const Value& spec = tool["toolSpec"];
            if (tool["cachePoint"].is_object()) mark(tool, ask);
            if (!spec.is_object()) continue;
            const std::string_view name = spec["name"].string();
            const bool is_legal = !name.empty() && name.size() <= 64 &&
                std::ranges::all_of(name,
                    [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
            if (!is_legal)
                return std::unexpected(invalid(fmt::format(
                    "Value '{}' at 'toolConfig.tools.toolSpec.name' failed to satisfy constraint: "
                    "Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+",
                    name)));
            if (spec.find("description") != nullptr && spec["description"].string().empty())
                return std::unexpected(
                    invalid("toolSpec.description must have length greater than or equal to 1"));
            if (!spec["inputSchema"]["json"].is_object())
                return std::unexpected(invalid("toolSpec.inputSchema.json must be an object"));
            ask.tools.push_back(
                {std::string(name), std::string(spec["inputSchema"]["json"].raw())});
            ask.prompt += spec.raw();
        }
        const Value& choice = config["toolChoice"];
        if (choice["any"].is_object()) ask.tool_mode = Ask::ToolMode::kRequired;
        if (choice["tool"].is_object()) {
            ask.tool_mode = Ask::ToolMode::kNamed;
            ask.tool_named = choice["tool"]["name"].string();
        }
        if (choice.is_object() && !choice["any"].is_object() && !choice["tool"].is_object() &&
            !choice["auto"].is_object())
            return std::unexpected(invalid("toolChoice must be one of auto, any, tool"));
        return {};
    }

    static void mark(const Value& block, Ask& ask) {
        ask.marked_bytes = ask.prompt.size();
        ask.is_mark_long = block["cachePoint"]["ttl"].string() == "1h";
    }

    Answered<void> read_messages(const Value& root, Ask& ask) const {
        for (const Value& block : root["system"].items()) {
            if (block["cachePoint"].is_object()) {
                mark(block, ask);
                continue;
            }
            if (trim(block["text"].string()).empty() && block.find("text") != nullptr)
                return std::unexpected(invalid(
                    "The text field in the ContentBlock object at system is blank. Add text to "
                    "the text field, and try again."));
            ask.prompt += block["text"].string();
        }
        const Value& messages = root["messages"];
        if (messages.items().empty())
            return std::unexpected(
                invalid("The value at messages is empty. Add values to messages, and try again."));
        std::string_view before;
        std::set<std::string, std::less<>> waiting;
        for (std::size_t i = 0; i < messages.items().size(); ++i) {
            const Value& message = messages.items()[i];
            const std::string_view role = message["role"].string();
            if (role != "user" && role != "assistant")
                return std::unexpected(invalid(fmt::format(
                    "Value '{}' at 'messages.{}.member.role' failed to satisfy constraint: Member "
                    "must satisfy enum value set: [user, assistant]",
                    role, i + 1)));
            if (i == 0 && role != "user")
                return std::unexpected(
                    invalid("A conversation must start with a user message. Try again with a "
                            "conversation that starts with a user message."));
            if (role == before)
                return std::unexpected(
                    invalid("A conversation must alternate between user and assistant roles."));
            before = role;
            ask.prompt += role;
            if (message["content"].items().empty())
                return std::unexpected(invalid(fmt::format(
                    "The content field in the Message object at messages.{} is empty.", i)));
            auto read = read_blocks(message["content"], i, role == "user", waiting, ask);
            if (!read) return read;
        }
        if (ask.has_tool_blocks && root["toolConfig"].is_null())
            return std::unexpected(
                invalid("The toolConfig field must be defined when using "
                        "toolUse and toolResult content blocks."));
        return {};
    }

    Answered<void> read_blocks(const Value& content, std::size_t i, bool is_user,
        std::set<std::string, std::less<>>& waiting, Ask& ask) const {
        std::string text;
        std::set<std::string, std::less<>> answered, calls;
        for (std::size_t j = 0; j < content.items().size(); ++j) {
            const Value& block = content.items()[j];
            const std::string path = fmt::format("messages.{}.content.{}", i, j);
            if (block.find("text") != nullptr) {
                if (trim(block["text"].string()).empty())
                    return std::unexpected(invalid(fmt::format(
                        "The text field in the ContentBlock object at {} is blank. Add text to "
                        "the text field, and try again.",
                        path)));
                text += block["text"].string();
                ask.prompt += block["text"].string();
            } else if (const Value* use = block.find("toolUse")) {
                ask.has_tool_blocks = true;
                if (!(*use)["input"].is_object())
                    return std::unexpected(invalid(
                        fmt::format("The format of the value at {}.toolUse.input is invalid. "
                                    "Provide a json object for the field and try again.",
                            path)));
                calls.emplace((*use)["toolUseId"].string());
                ask.prompt += use->raw();
            } else if (const Value* result = block.find("toolResult")) {
                ask.has_tool_blocks = true;
                const std::string id((*result)["toolUseId"].string());
                if (!waiting.contains(id))
                    return std::unexpected(invalid(fmt::format(
                        "The number of toolResult blocks at messages.{}.content exceeds the "
                        "number of toolUse blocks of previous turn.",
                        i)));
                answered.insert(id);
                ask.prompt += (*result)["content"].raw();
            } else if (block.find("image") != nullptr) {
                const Value& source = block["image"]["source"];
                if (!source["bytes"].is_string() && !source["s3Location"].is_object())
                    return std::unexpected(invalid(path + ".image.source must be set."));
                ++ask.images;
            } else if (block.find("cachePoint") != nullptr) {
                mark(block, ask);
            } else if (block.members().empty()) {
                return std::unexpected(invalid(path + " must set one of the members."));
            }
        }
        for (const std::string& id : waiting)
            if (!answered.contains(id))
                return std::unexpected(invalid(fmt::format(
                    "Expected toolResult blocks at messages.{}.content for the following Ids: {}",
                    i, id)));
        waiting = std::move(calls);
        if (is_user) ask.last_user_text = text;
        return {};
    }

    Answered<void> read_parameters(const Value& root, Ask& ask) const {
        const Value& config = root["inferenceConfig"];
        if (const Value& cap = config["maxTokens"]; !cap.is_null()) {
            if (cap.as_int().value_or(0) < 1)
                return std::unexpected(
                    invalid("inferenceConfig.maxTokens must be greater than or equal to 1"));
            ask.output_tokens_max = cap.as_int();
        }
        if (config["temperature"].as_int().value_or(0) > 1)
            return std::unexpected(
                invalid("inferenceConfig.temperature must be less than or equal to 1"));
        for (const Value& stop : config["stopSequences"].items())
            ask.stop.emplace_back(stop.string());
        const Value& more = root["additionalModelRequestFields"];
        const Value& thinking = more["thinking"];
        ask.wants_reasoning = thinking["type"].string() == "enabled" ||
            thinking["type"].string() == "adaptive" || more["reasoning_effort"].is_string();
        if (const auto budget = thinking["budget_tokens"].as_int();
            budget && *budget >= ask.output_tokens_max.value_or(4096))
            return std::unexpected(invalid(
                "The model returned the following errors: `max_tokens` must be greater than "
                "`thinking.budget_tokens`."));
        const Value& schema = root["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
        if (schema.is_object()) {
            if (!schema["schema"].is_string())
                return std::unexpected(invalid("jsonSchema.schema must be a string"));
            ask.schema = schema["schema"].string();
            ask.prompt += ask.schema;
        }
        return {};
    }

    static std::string call_id(const SimCall& call) { return "tooluse_" + call.id; }
    static std::string signature_of(const Answer& answer) {
        return id_of("U2ltdWxhdGVk", answer.serial);
    }
    static std::string_view stop_of(const Answer& answer) {
        switch (answer.finish) {
            case Finish::kLength: return "max_tokens";
            case Finish::kToolCalls: return "tool_use";
            case Finish::kStopSequence: return "stop_sequence";
            default: return "end_turn";
        }
    }

    static void write_usage(Writer& writer, const canon::Usage& usage) {
        const std::int64_t read = usage[Meter::kCacheRead];
        const std::int64_t longer = usage[Meter::kCacheWriteLong];
        const std::int64_t written = usage[Meter::kCacheWrite] + longer;
        writer.begin_object();
        if (read + written > 0) {  // under the new names and the old
            if (longer > 0)
                writer.member_raw(
                    "cacheDetails", fmt::format(R"([{{"inputTokens":{},"ttl":"1h"}}])", longer));
            writer.member("cacheReadInputTokenCount", read).member("cacheReadInputTokens", read);
            writer.member("cacheWriteInputTokenCount", written);
            writer.member("cacheWriteInputTokens", written);
        }
        writer.member("inputTokens", usage[Meter::kInput]);
        writer.member("outputTokens", usage[Meter::kOutput]);
        writer.member_raw("serverToolUsage", "{}");
        writer.member("totalTokens", usage.prompt_tokens() + usage.answer_tokens());
        writer.end_object();
    }

    CloudAddress address_;
    sigv4::KeyCache keys_;
};

}  // namespace

std::unique_ptr<Cloud> make_bedrock() { return std::make_unique<Bedrock>(); }

}  // namespace entrepot::cloudsim
