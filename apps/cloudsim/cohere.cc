#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "cloudsim/cloud.h"
#include "cloudsim/embeddings.h"
#include "cloudsim/small.h"
#include "json/value.h"
#include "json/writer.h"

// Cohere's Chat, version 2.
namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

constexpr std::int64_t kMonthlyCalls = 1000;  // what a trial key may call in a month
constexpr std::int64_t kTemplateTokens = 64;  // what the model reads beside what is billed
constexpr std::string_view kPlan = "I will use the tools to find the answer.";
constexpr std::string_view kReference =
    "For proper usage, please refer to https://docs.cohere.com/v2/reference/chat";

std::string event(std::string_view type, std::string_view members) {
    return fmt::format("event: {0}\ndata: {{{1}{2}\"type\":\"{0}\"}}\n\n", type, members,
        members.empty() ? "" : ",");
}

bool is_thinker(std::string_view model) { return model.find("reasoning") != std::string::npos; }

class Cohere final : public Cloud {
public:
    Cohere() {
        address_.name = address_.kind = "cohere";
        address_.api_key = "cohere-sim-key-0001";
        address_.models = {"command-a-03-2025", "command-a-reasoning-08-2025",
            "command-a-vision-07-2025", "embed-v4.0", "rerank-v3.5"};
    }

    const CloudAddress& address() const override { return address_; }

    Answered<Ask> read(const Incoming& in) override {
        if (!in.headers.find("authorization"))
            return std::unexpected(error(401, "no api key supplied"));
        if (!has_key(in, "", address_.api_key))
            return std::unexpected(error(401, "invalid api token"));
        const bool is_rerank = in.path == "/v2/rerank" || in.path == "/v1/rerank";
        if (in.path != "/v2/chat" && in.path != "/v2/embed" && !is_rerank)
            return std::unexpected(error(404, "page not found"));
        if (in.method != "POST") return std::unexpected(error(405, "method not allowed"));
        const auto parsed = json::Document::parse(std::string(in.body));
        if (!parsed || !parsed->root().is_object())
            return std::unexpected(bad("invalid json syntax: the body is no object"));
        const Value& root = parsed->root();
        Ask ask;
        ask.model = root["model"].string();
        if (ask.model.empty()) return std::unexpected(bad("model is a required parameter"));
        const auto fail = [&](Refusal refusal) {
            refusal.model = ask.model;
            return std::unexpected(std::move(refusal));
        };
        if (!has_model(address_, ask.model))
            return fail(error(404,
                fmt::format("model '{}' not found, make sure the correct model ID was used and "
                            "that you have access to the model.",
                    ask.model)));
        if (is_rerank) {
            if (!does_small(ask.model, "rerank"))
                return fail(bad("model is not supported by the rerank endpoint"));
            if (auto read = read_small("rerank", in, true, ask); !read)
                return fail(bad(read.error().message));
            return ask;
        }
        if (in.path == "/v2/embed") {
            if (auto read = read_cohere_embeddings(root, true, ask); !read)
                return fail(bad(read.error()));
            return ask;
        }
        if (auto read = read_fields(root); !read) return fail(std::move(read.error()));
        if (auto read = read_tools(root, ask); !read) return fail(std::move(read.error()));
        if (auto read = read_messages(root, ask); !read) return fail(std::move(read.error()));
        if (auto read = read_parameters(root, ask); !read) return fail(std::move(read.error()));
        return ask;
    }

    std::string content_type(const Ask& ask) const override {
        return ask.is_stream ? "text/event-stream" : "application/json";
    }

    void add_headers(
        net::HeaderLines& lines, const Answer& answer, const Quota& quota) const override {
        lines.add("x-debug-trace-id", fmt::format("{:032x}", answer.serial));
        lines.add("num_tokens",
            static_cast<std::uint64_t>(
                answer.usage.prompt_tokens() + answer.usage.answer_tokens()));
        add_limits(lines, quota);
    }

    std::string reply_id(const Answer& answer) const override {
        return fmt::format("20000000-0000-4000-8000-{:012x}", answer.serial);
    }

    std::string whole(const Ask&, const Answer& answer, bool has_usage, Instant) const override {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("id", reply_id(answer));
        writer.key("message").begin_object().member("role", "assistant");
        if (!answer.calls.empty() && answer.reasoning.empty()) writer.member("tool_plan", kPlan);
        if (!answer.reasoning.empty() || !answer.text.empty()) {
            writer.key("content").begin_array();
            if (!answer.reasoning.empty())
                writer.begin_object()
                    .member("type", "thinking")
                    .member("thinking", answer.reasoning)
                    .end_object();
            if (!answer.text.empty())
                writer.begin_object()
                    .member("type", "text")
                    .member("text", answer.text)
                    .end_object();
            writer.end_array();
        }
        if (!answer.calls.empty()) {
            writer.key("tool_calls").begin_array();
            for (const SimCall& call : answer.calls)
                writer.raw(call_of(answer, call, call.arguments));
            writer.end_array();
        }
        writer.end_object().member("finish_reason", word_of(answer));
        if (has_usage) write_usage(writer.key("usage"), answer.usage);
        writer.end_object();
        return out;
    }

    std::vector<std::string> stream(const Ask&, const Answer& answer, const Control& control,
        bool has_usage, Instant) const override {
        std::vector<std::string> out;
        const auto message = [](std::string_view members) {
            return fmt::format(R"("delta":{{"message":{{{}}}}})", members);
        };
        out.push_back(event("message-start",
            fmt::format(R"({},"id":"{}")",
                message(R"("citations":[],"content":[],"role":"assistant","tool_calls":[],)"
                        R"("tool_plan":"")"),
                reply_id(answer))));
        int index = 0;
        const auto content = [&](std::string_view kind, std::string_view text) {
            out.push_back(event("content-start",
                fmt::format(R"({},"index":{})",
                    message(fmt::format(R"("content":{{"{0}":"","type":"{0}"}})", kind)), index)));
            for (const std::string_view piece : pieces_of(text, control.chunks))
                out.push_back(event("content-delta",
                    fmt::format(R"({},"index":{})",
                        message(fmt::format(R"("content":{{"{}":{}}})", kind, json::quoted(piece))),
                        index)));
            out.push_back(event("content-end", fmt::format(R"("index":{})", index++)));
        };
        if (!answer.reasoning.empty()) content("thinking", answer.reasoning);
        if (!answer.text.empty()) content("text", answer.text);
        if (!answer.calls.empty() && answer.reasoning.empty())
            for (const std::string_view piece : pieces_of(kPlan, control.chunks))
                out.push_back(event("tool-plan-delta",
                    message(fmt::format(R"("tool_plan":{})", json::quoted(piece)))));
        int number = 0;
        for (const SimCall& call : answer.calls) {
            const std::string place = fmt::format(R"("index":{})", number++);
            out.push_back(event("tool-call-start",
                message(R"("tool_calls":)" + call_of(answer, call, "")) + "," + place));
            for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
                out.push_back(event("tool-call-delta",
                    fmt::format("{},{}",
                        message(fmt::format(R"("tool_calls":{{"function":{{"arguments":{}}}}})",
                            json::quoted(piece))),
                        place)));
            out.push_back(event("tool-call-end", place));
        }
        std::string usage;
        if (has_usage) {
            usage = R"(,"usage":)";
            Writer writer(usage);
            write_usage(writer, answer.usage);
        }
        out.push_back(event("message-end",
            fmt::format(R"("delta":{{"finish_reason":"{}"{}}})", word_of(answer), usage)));
        out.emplace_back("data: [DONE]\n\n");
        return out;
    }

    std::string stream_error(const Ask&) const override {
        return event("message-end",
            R"("delta":{"error":"the model broke off its answer","finish_reason":"ERROR"})");
    }

    std::string damaged(std::string) const override {
        return "event: content-delta\ndata: {\"delta\":{\"mess\n\n";
    }

    Refusal refuse(int status, std::string_view message) const override {
        return error(status, message);
    }

    Refusal trouble(Trouble what, const Control& control, const Quota& quota) const override {
        if (what == Trouble::kBroken) return error(500, "internal server error");
        if (what == Trouble::kOverloaded) return error(503, "the service is overloaded");
        Refusal out = error(429,
            "You are using a Trial key, which is limited to 20 API calls / minute. You can "
            "continue to use the Trial key for free or upgrade to a Production key with higher "
            "rate limits.");
        add_limits(out.headers, quota);
        if (control.retry_after_s > 0)
            out.headers.add("retry-after", static_cast<std::uint64_t>(control.retry_after_s));
        return out;
    }

private:
    static Refusal error(int status, std::string_view message) {
        Refusal out;
        out.status = status;
        Writer writer(out.body);
        writer.begin_object().member("id", "30000000-0000-4000-8000-000000000000");
        writer.member("message", message).end_object();
        return out;
    }
    static Refusal bad(std::string_view message) {
        return error(400, fmt::format("invalid request: {}.", message));
    }
    static Refusal unknown_field(std::string_view field) {
        return error(422,
            fmt::format(
                "unknown field: parameter '{}' is not a valid field. {}", field, kReference));
    }

    static void add_limits(net::HeaderLines& lines, const Quota& quota) {
        if (quota.limit == 0) return;
        lines.add("x-endpoint-monthly-call-limit", static_cast<std::uint64_t>(kMonthlyCalls));
        lines.add("x-trial-endpoint-call-limit", static_cast<std::uint64_t>(quota.limit));
        lines.add("x-trial-endpoint-call-remaining",
            static_cast<std::uint64_t>(std::max<std::int64_t>(quota.remaining, 0)));
    }

    static Answered<void> read_fields(const Value& root) {
        static const std::set<std::string_view> kFields{"stream", "model", "messages", "tools",
            "strict_tools", "documents", "citation_options", "response_format", "safety_mode",
            "max_tokens", "stop_sequences", "temperature", "seed", "frequency_penalty",
            "presence_penalty", "k", "p", "logprobs", "tool_choice", "thinking", "priority"};
        for (const json::Member& member : root.members())
            if (!kFields.contains(member.key)) return std::unexpected(unknown_field(member.key));
        return {};
    }

    static Answered<void> read_tools(const Value& root, Ask& ask) {
        for (const Value& tool : root["tools"].items()) {
            if (tool["type"].string() != "function")
                return std::unexpected(bad("tools: type must be function"));
            const Value& function = tool["function"];
            static const std::set<std::string_view> kFields{"name", "description", "parameters"};
            for (const json::Member& member : function.members())
                if (!kFields.contains(member.key))
                    return std::unexpected(unknown_field(member.key));
            const std::string_view name = function["name"].string();
            const bool is_legal = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
                return std::isalnum(c) != 0 || c == '_' || c == '-';
            });
            if (!is_legal)
                return std::unexpected(bad(fmt::format(
                    "tools: '{}' is no name: only letters, numbers, '_' and '-' may be used",
                    name)));
            if (!function["parameters"].is_object())
                return std::unexpected(
                    bad(fmt::format("tools: {} has no parameters, a JSON schema", name)));
            ask.tools.push_back({std::string(name), std::string(function["parameters"].raw())});
            ask.prompt += function.raw();
        }
        const Value& choice = root["tool_choice"];
        if (choice.is_null()) return {};
        if (choice.string() != "REQUIRED" && choice.string() != "NONE")
            return std::unexpected(bad("tool_choice must be one of REQUIRED, NONE"));
        if (ask.tools.empty())
            return std::unexpected(bad("tool_choice is set, and there are no tools"));
        ask.tool_mode = choice.string() == "NONE" ? Ask::ToolMode::kNone : Ask::ToolMode::kRequired;
        return {};
    }

    static Answered<void> read_messages(const Value& root, Ask& ask) {
        const Value& messages = root["messages"];
        if (messages.items().empty())
            return std::unexpected(bad("messages must have at least one element"));
        std::set<std::string, std::less<>> waiting;
        for (std::size_t i = 0; i < messages.items().size(); ++i) {
            const Value& message = messages.items()[i];
            const std::string_view role = message["role"].string();
            const auto wrong = [&](std::string_view what) {
                return std::unexpected(bad(fmt::format("messages[{}]: {}", i, what)));
            };
            if (role != "user" && role != "assistant" && role != "system" && role != "tool")
                return wrong("role must be one of user, assistant, system, tool");
            ask.prompt += role;
            if (role == "tool") {
                if (waiting.erase(std::string(message["tool_call_id"].string())) == 0)
                    return wrong("tool_call_id is of no call of the turn before");
            } else if (!waiting.empty()) {
                return wrong("a call has no result: " + *waiting.begin());
            }
            const Value& calls = message["tool_calls"];
            if (message["content"].is_null() && calls.items().empty())
                return wrong("content is a required parameter");
            std::string text;
            if (auto read = read_content(message["content"], text, ask); !read)
                return wrong(read.error().body);
            if (role == "user" && text.empty() && ask.images == 0)
                return wrong("content must be at least one token long");
            if (role == "user") ask.last_user_text = text;
            ask.prompt += text;
            ask.prompt += message["tool_plan"].string();
            for (const Value& call : calls.items()) {
                const Value& arguments = call["function"]["arguments"];
                const auto parsed = json::Document::parse(std::string(arguments.string()));
                if (!parsed || !parsed->root().is_object())
                    return wrong("the arguments of a call are no JSON object");
                waiting.emplace(call["id"].string());
                ask.prompt += call.raw();
            }
        }
        if (!waiting.empty())
            return std::unexpected(bad("a call has no result: " + *waiting.begin()));
        return {};
    }

    /// The error's body is what is wrong, without more.
    static Answered<void> read_content(const Value& content, std::string& text, Ask& ask) {
        if (content.is_string()) text += content.string();
        for (const Value& block : content.items()) {
            const std::string_view type = block["type"].string();
            if (type == "text" || type == "thinking") {
                text += block[type].string();
                if (type == "thinking") ++ask.thoughts;
            } else if (type == "image_url") {
                if (ask.model.find("vision") == std::string::npos)
                    return std::unexpected(
                        Refusal{400, "this model does not support image inputs", {}, {}});
                ++ask.images;
            } else if (type == "document") {
                text += block["document"].raw();
            } else {
                return std::unexpected(
                    Refusal{400, fmt::format("'{}' is no type of content", type), {}, {}});
            }
        }
        return {};
    }

    static Answered<void> read_parameters(const Value& root, Ask& ask) {
        ask.is_stream = root["stream"].as_bool().value_or(false);
        if (const Value& cap = root["max_tokens"]; !cap.is_null()) {
            if (cap.as_int().value_or(-1) < 1)
                return std::unexpected(bad("max_tokens must be greater than or equal to 1"));
            ask.output_tokens_max = cap.as_int();
        }
        if (root["stop_sequences"].items().size() > 5)
            return std::unexpected(bad("stop_sequences: at most 5 may be given"));
        for (const Value& stop : root["stop_sequences"].items())
            ask.stop.emplace_back(stop.string());
        const auto within = [&](std::string_view key, double low, double high) {
            if (!root[key].is_number()) return true;
            double value = 0;
            const std::string_view spelled = root[key].raw();
            std::from_chars(spelled.data(), spelled.data() + spelled.size(), value);
            return value >= low && value <= high;
        };
        if (!within("p", 0.01, 0.99))
            return std::unexpected(bad("p must be between 0.01 and 0.99 inclusive"));
        if (!within("k", 0, 500)) return std::unexpected(bad("k must be between 0 and 500"));
        for (const std::string_view penalty : {"frequency_penalty", "presence_penalty"})
            if (!within(penalty, 0, 1))
                return std::unexpected(bad(fmt::format("{} must be between 0 and 1", penalty)));
        const Value& thinking = root["thinking"];
        if (!thinking.is_null() && !is_thinker(ask.model))
            return std::unexpected(
                bad(fmt::format("thinking is not supported for model {}", ask.model)));
        ask.wants_reasoning = is_thinker(ask.model) && thinking["type"].string() != "disabled";
        const Value& format = root["response_format"];
        if (format.is_null()) return {};
        if (format["type"].string() != "json_object" && format["type"].string() != "text")
            return std::unexpected(bad("response_format.type must be one of text, json_object"));
        if (!ask.tools.empty() && format["type"].string() == "json_object")
            return std::unexpected(bad("response_format and tools cannot be used together"));
        ask.wants_json = format["type"].string() == "json_object";
        if (const Value& schema = format["json_schema"]; !schema.is_null()) {
            if (schema["type"].string() != "object")
                return std::unexpected(bad("json_schema: the top level must be of type object"));
            ask.schema = schema.raw();
            ask.prompt += ask.schema;
        }
        return {};
    }

    static std::string call_of(
        const Answer& answer, const SimCall& call, std::string_view arguments) {
        return fmt::format(
            R"({{"function":{{"arguments":{},"name":{}}},"id":{},"type":"function"}})",
            json::quoted(arguments), json::quoted(call.name),
            json::quoted(fmt::format("{}_{}{}", call.name, answer.serial, call.id)));
    }

    static std::string_view word_of(const Answer& answer) {
        switch (answer.finish) {
            case Finish::kLength: return "MAX_TOKENS";
            case Finish::kToolCalls: return "TOOL_CALL";
            case Finish::kStopSequence: return "STOP_SEQUENCE";
            default: return "COMPLETE";
        }
    }

    static void write_usage(Writer& writer, const canon::Usage& usage) {
        writer.begin_object().key("billed_units").begin_object();
        writer.member("input_tokens", usage.prompt_tokens());
        writer.member("output_tokens", usage[Meter::kOutput]).end_object();
        writer.member("cached_tokens", std::int64_t{0}).key("tokens").begin_object();
        writer.member("input_tokens", usage.prompt_tokens() + kTemplateTokens);
        writer.member("output_tokens", usage[Meter::kOutput] + 2);
        if (usage[Meter::kReasoning] > 0)
            writer.member("reasoning_tokens", usage[Meter::kReasoning]);
        writer.end_object().end_object();
    }

    CloudAddress address_;
};

}  // namespace

std::unique_ptr<Cloud> make_cohere() { return std::make_unique<Cohere>(); }

}  // namespace entrepot::cloudsim
