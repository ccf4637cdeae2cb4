#include "cloudsim/responses.h"

#include <fmt/format.h>

#include <set>

#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

constexpr std::int64_t kOutputTokensMin = 16;
constexpr std::string_view kCipher = "gAAAAAc2lt";  // what our encrypted thoughts begin with

std::unexpected<ResponsesFault> fault(std::string message, std::string param) {
    return std::unexpected(ResponsesFault{std::move(message), std::move(param)});
}

std::expected<void, ResponsesFault> read_parts(
    const Value& content, const std::string& path, std::string_view role, Ask& ask) {
    std::string text;
    if (content.is_string()) text = content.string();
    for (std::size_t i = 0; i < content.items().size(); ++i) {
        const Value& part = content.items()[i];
        const std::string_view type = part["type"].string();
        const std::string_view wanted = role == "assistant" ? "output_text" : "input_text";
        if (type == wanted || (type == "refusal" && role == "assistant")) {
            text += part["text"].string();
        } else if (type == "input_image" && role != "assistant") {
            if (!part["image_url"].is_string())
                return fault(
                    "Missing required parameter: 'image_url'.", fmt::format("{}[{}]", path, i));
            ++ask.images;
        } else if (type != "input_file" && type != "input_audio") {
            return fault(
                fmt::format("Invalid value: '{}'.", type), fmt::format("{}[{}].type", path, i));
        }
    }
    ask.prompt += role;
    ask.prompt += text;
    if (role == "user") ask.last_user_text = text;
    return {};
}

std::expected<void, ResponsesFault> read_items(
    const Value& input, const ResponseMemory& memory, Ask& ask) {
    std::set<std::string, std::less<>> called = ask.called;
    for (std::size_t i = 0; i < input.items().size(); ++i) {
        const Value& item = input.items()[i];
        const std::string path = fmt::format("input[{}]", i);
        const std::string_view type = item["type"].string();
        if (type.empty() || type == "message") {
            const std::string_view role = item["role"].string();
            static const std::set<std::string_view> kRoles{
                "user", "assistant", "system", "developer"};
            if (!kRoles.contains(role))
                return fault(fmt::format("Invalid value: '{}'.", role), path + ".role");
            if (auto read = read_parts(item["content"], path + ".content", role, ask); !read)
                return read;
        } else if (type == "function_call") {
            if (!item["arguments"].is_string() || !item["name"].is_string())
                return fault("Missing required parameter: 'arguments'.", path + ".arguments");
            called.emplace(item["call_id"].string());
            ask.prompt += item["name"].string();
            ask.prompt += item["arguments"].string();
        } else if (type == "function_call_output") {
            if (!called.contains(item["call_id"].string()))
                return fault(fmt::format("No tool call found for function call output with call_id "
                                         "{}.",
                                 item["call_id"].string()),
                    "input");
            ask.prompt += item["output"].raw();
            ask.last_user_text.clear();
        } else if (type == "reasoning") {
            const Value& cipher = item["encrypted_content"];
            if (!item["summary"].is_array())
                return fault(fmt::format("Missing required parameter: '{}.summary'.", path),
                    path + ".summary");
            if (cipher.is_string() && !cipher.string().starts_with(kCipher))
                return fault(fmt::format("The encrypted content for item {} could not be verified.",
                                 item["id"].string()),
                    path);
            // What is neither sent nor kept is nowhere.
            if (cipher.is_string())
                ++ask.thoughts;
            else if (auto recalled = memory.recall_item(item, ask, called); !recalled)
                return recalled;
            ask.prompt += item.raw();
        } else if (type == "item_reference") {
            if (auto recalled = memory.recall_item(item, ask, called); !recalled) return recalled;
        } else {
            return fault(fmt::format("Invalid value: '{}'.", type), path + ".type");
        }
    }
    for (const std::string& id : called) {
        bool is_answered = false;
        for (const Value& item : input.items())
            is_answered = is_answered ||
                (item["type"].string() == "function_call_output" && item["call_id"].string() == id);
        if (!is_answered)
            return fault(fmt::format("No tool output found for function call {}.", id), "input");
    }
    return {};
}

std::expected<void, ResponsesFault> read_tools(const Value& root, Ask& ask) {
    for (std::size_t i = 0; i < root["tools"].items().size(); ++i) {
        const Value& tool = root["tools"].items()[i];
        if (tool["type"].string() != "function") continue;
        const std::string_view name = tool["name"].string();
        if (name.empty() || name.size() > 64)
            return fault(
                "Missing required parameter: 'tools[].name'.", fmt::format("tools[{}].name", i));
        const Value& schema = tool["parameters"];
        // Strict is the default here, and a strict schema closes its objects.
        if (tool["strict"].as_bool().value_or(true) &&
            schema["additionalProperties"].as_bool().value_or(true))
            return fault(fmt::format("Invalid schema for function '{}': In context=(), "
                                     "'additionalProperties' is required to be supplied and to be "
                                     "false.",
                             name),
                fmt::format("tools[{}].parameters", i));
        ask.tools.push_back(
            {std::string(name), schema.is_object() ? std::string(schema.raw()) : std::string()});
        ask.prompt += tool.raw();
    }
    const Value& choice = root["tool_choice"];
    if (!choice.is_null() && root["tools"].items().empty() && choice.string() != "none" &&
        choice.string() != "auto")
        return fault("Tool choice is only allowed when tools are specified.", "tool_choice");
    if (choice.string() == "none") ask.tool_mode = Ask::ToolMode::kNone;
    if (choice.string() == "required") ask.tool_mode = Ask::ToolMode::kRequired;
    if (choice["type"].string() == "function") {
        ask.tool_mode = Ask::ToolMode::kNamed;
        ask.tool_named = choice["name"].string();
    }
    ask.is_parallel_allowed = root["parallel_tool_calls"].as_bool().value_or(true);
    return {};
}

std::expected<void, ResponsesFault> read_settings(const Value& root, Ask& ask) {
    ask.is_stream = root["stream"].as_bool().value_or(false);
    static const std::set<std::string_view> kForeign{
        "messages", "max_tokens", "max_completion_tokens", "response_format", "n", "stop", "seed"};
    for (const json::Member& member : root.members())
        if (kForeign.contains(member.key))
            return fault(
                fmt::format("Unknown parameter: '{}'.", member.key), std::string(member.key));
    if (const Value& cap = root["max_output_tokens"]; !cap.is_null()) {
        if (!cap.as_int() || *cap.as_int() < kOutputTokensMin)
            return fault(fmt::format("Invalid 'max_output_tokens': integer below minimum value. "
                                     "Expected a value >= {}.",
                             kOutputTokensMin),
                "max_output_tokens");
        ask.output_tokens_max = cap.as_int();
    }
    const Value& format = root["text"]["format"];
    if (format["type"].string() == "json_object") ask.wants_json = true;
    if (format["type"].string() == "json_schema") {
        if (!format["schema"].is_object() || !format["name"].is_string())
            return fault("Missing required parameter: 'text.format.schema'.", "text.format");
        ask.schema = format["schema"].raw();
        ask.prompt += ask.schema;
    }
    const std::string_view effort = root["reasoning"]["effort"].string();
    ask.wants_reasoning = !effort.empty() && effort != "none";
    for (const Value& more : root["include"].items())
        ask.wants_cipher = ask.wants_cipher || more.string() == "reasoning.encrypted_content";
    return {};
}

/// The encrypted form of a thought, where it was asked for.
std::string cipher_of(const Ask& ask, const Answer& answer) {
    return ask.wants_cipher ? id_of(kCipher, answer.serial) : std::string();
}

/// One item of the output, in the two states a stream shows.
struct Item {
    std::string id;
    std::string begun;
    std::string done;
};

std::string reasoning_of(std::string_view id, std::string_view summary, std::string_view cipher) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id).member("type", "reasoning");
    writer.key("summary").begin_array();
    if (!summary.empty())
        writer.begin_object().member("type", "summary_text").member("text", summary).end_object();
    writer.end_array();
    if (!cipher.empty()) writer.member("encrypted_content", cipher);
    writer.end_object();
    return out;
}

std::string part_of(std::string_view text) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("type", "output_text").key("annotations").begin_array();
    writer.end_array().key("logprobs").begin_array().end_array();
    writer.member("text", text).end_object();
    return out;
}

std::string message_of(std::string_view id, std::string_view status, const std::string* text) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id).member("type", "message").member("status", status);
    writer.key("content").begin_array();
    if (text != nullptr) writer.raw(part_of(*text));
    writer.end_array().member("role", "assistant").end_object();
    return out;
}

std::string call_of(
    std::string_view id, std::string_view status, const SimCall& call, std::string_view arguments) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id).member("type", "function_call");
    writer.member("status", status).member("arguments", arguments);
    writer.member("call_id", "call_" + call.id).member("name", call.name).end_object();
    return out;
}

std::string_view end_of(const Answer& answer) {
    return answer.finish == Finish::kLength ? "incomplete" : "completed";
}

void write_usage(Writer& writer, const canon::Usage& usage) {
    const std::int64_t prompt = usage.prompt_tokens();
    const std::int64_t answer = usage.answer_tokens();
    writer.begin_object().member("input_tokens", prompt).key("input_tokens_details");
    writer.begin_object().member("cached_tokens", usage[Meter::kCacheRead]).end_object();
    writer.member("output_tokens", answer).key("output_tokens_details").begin_object();
    writer.member("reasoning_tokens", usage[Meter::kReasoning]).end_object();
    writer.member("total_tokens", prompt + answer).end_object();
}

std::string envelope(const Ask& ask, const Answer& answer, std::string_view model,
    std::string_view status, const std::vector<std::string>& output, bool has_usage, Instant now) {
    std::string out;
    Writer writer(out);
    writer.begin_object().member("id", id_of("resp_", answer.serial)).member("object", "response");
    writer.member("created_at", now.ns / 1'000'000'000).member("status", status);
    writer.member_bool("background", ask.is_background).member_null("error");
    if (status == "incomplete")
        writer.member_raw("incomplete_details", R"({"reason":"max_output_tokens"})");
    else
        writer.member_null("incomplete_details");
    writer.member_null("instructions");
    ask.output_tokens_max ? writer.member("max_output_tokens", *ask.output_tokens_max)
                          : writer.member_null("max_output_tokens");
    writer.member("model", model).key("output").begin_array();
    for (const std::string& item : output) writer.raw(item);
    writer.end_array().member_bool("parallel_tool_calls", ask.is_parallel_allowed);
    ask.previous.empty() ? writer.member_null("previous_response_id")
                         : writer.member("previous_response_id", ask.previous);
    if (!ask.conversation.empty())
        writer.key("conversation").begin_object().member("id", ask.conversation).end_object();
    writer.member("service_tier", "default").member_bool("store", ask.is_stored);
    writer.member_raw("text", R"({"format":{"type":"text"},"verbosity":"medium"})");
    writer.member("tool_choice", "auto").key("tools").begin_array().end_array();
    writer.member_raw("temperature", "1.0").member_raw("top_p", "1.0");
    writer.member("truncation", "disabled");
    if (has_usage)
        write_usage(writer.key("usage"), answer.usage);
    else
        writer.member_null("usage");
    writer.member_raw("metadata", "{}").end_object();
    return out;
}

std::vector<std::string> output_of(const Ask& ask, const Answer& answer) {
    std::vector<std::string> output;
    if (!answer.reasoning.empty())
        output.push_back(
            reasoning_of(id_of("rs_", answer.serial), answer.reasoning, cipher_of(ask, answer)));
    if (answer.calls.empty() || !answer.text.empty())
        output.push_back(message_of(id_of("msg_", answer.serial), end_of(answer), &answer.text));
    for (const SimCall& call : answer.calls)
        output.push_back(call_of("fc_" + call.id, "completed", call, call.arguments));
    return output;
}

/// Numbers the events and writes them.
class Events {
public:
    void add(std::string_view type, std::string_view members) {
        out_.push_back(
            fmt::format("event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1}"
                        "{2}{3}}}\n\n",
                type, out_.size(), members.empty() ? "" : ",", members));
    }
    std::vector<std::string> take() { return std::move(out_); }

private:
    std::vector<std::string> out_;
};

}  // namespace

std::expected<void, ResponsesFault> read_responses(
    const Value& root, const ResponseMemory& memory, Ask& ask) {
    if (auto recalled = memory.recall(root, ask); !recalled) return recalled;
    ask.prompt += root["instructions"].string();
    const Value& input = root["input"];
    if (input.is_string()) {
        ask.prompt += input.string();
        ask.last_user_text = input.string();
    } else if (!input.is_array() || input.items().empty()) {
        return fault("Missing required parameter: 'input'.", "input");
    } else if (auto read = read_items(input, memory, ask); !read) {
        return read;
    }
    if (auto read = read_tools(root, ask); !read) return read;
    return read_settings(root, ask);
}

std::string whole_response(
    const Ask& ask, const Answer& answer, std::string_view model, bool has_usage, Instant now) {
    return envelope(ask, answer, model, end_of(answer), output_of(ask, answer), has_usage, now);
}

std::string pending_response(const Ask& ask, const Answer& answer, std::string_view model,
    std::string_view status, Instant now) {
    return envelope(ask, answer, model, status, {}, false, now);
}

std::vector<std::string> stream_response(const Ask& ask, const Answer& answer,
    const Control& control, std::string_view model, bool has_usage, Instant now) {
    Events events;
    const std::string begun = envelope(ask, answer, model, "in_progress", {}, false, now);
    events.add("response.created", "\"response\":" + begun);
    events.add("response.in_progress", "\"response\":" + begun);
    const std::vector<std::string> output = output_of(ask, answer);
    std::size_t at = 0;
    const auto item_done = [&] {
        events.add("response.output_item.done",
            fmt::format("\"output_index\":{},\"item\":{}", at, output[at]));
        ++at;
    };
    const auto item_added = [&](const std::string& item) {
        events.add(
            "response.output_item.added", fmt::format("\"output_index\":{},\"item\":{}", at, item));
    };
    const auto place = [&](std::string_view id, std::string_view part) {
        return fmt::format("\"item_id\":\"{}\",\"output_index\":{},\"{}\":0", id, at, part);
    };
    if (!answer.reasoning.empty()) {
        const std::string id = id_of("rs_", answer.serial);
        const std::string where = place(id, "summary_index");
        item_added(reasoning_of(id, {}, {}));
        events.add("response.reasoning_summary_part.added",
            where + R"(,"part":{"type":"summary_text","text":""})");
        for (const std::string_view piece : pieces_of(answer.reasoning, control.chunks))
            events.add("response.reasoning_summary_text.delta",
                fmt::format("{},\"delta\":{}", where, json::quoted(piece)));
        const std::string text = json::quoted(answer.reasoning);
        events.add(
            "response.reasoning_summary_text.done", fmt::format("{},\"text\":{}", where, text));
        events.add("response.reasoning_summary_part.done",
            fmt::format("{},\"part\":{{\"type\":\"summary_text\",\"text\":{}}}", where, text));
        item_done();
    }
    if (answer.calls.empty() || !answer.text.empty()) {
        const std::string id = id_of("msg_", answer.serial);
        const std::string where = place(id, "content_index");
        item_added(message_of(id, "in_progress", nullptr));
        events.add(
            "response.content_part.added", fmt::format("{},\"part\":{}", where, part_of("")));
        for (const std::string_view piece : pieces_of(answer.text, control.chunks))
            events.add("response.output_text.delta",
                fmt::format("{},\"delta\":{},\"logprobs\":[],\"obfuscation\":\"aB3\"", where,
                    json::quoted(piece)));
        events.add("response.output_text.done",
            fmt::format("{},\"text\":{},\"logprobs\":[]", where, json::quoted(answer.text)));
        events.add("response.content_part.done",
            fmt::format("{},\"part\":{}", where, part_of(answer.text)));
        item_done();
    }
    for (const SimCall& call : answer.calls) {
        const std::string where =
            fmt::format("\"item_id\":\"fc_{}\",\"output_index\":{}", call.id, at);
        item_added(call_of("fc_" + call.id, "in_progress", call, ""));
        for (const std::string_view piece : pieces_of(call.arguments, control.chunks))
            events.add("response.function_call_arguments.delta",
                fmt::format("{},\"delta\":{}", where, json::quoted(piece)));
        events.add("response.function_call_arguments.done",
            fmt::format("{},\"arguments\":{}", where, json::quoted(call.arguments)));
        item_done();
    }
    const std::string_view status = end_of(answer);
    events.add(fmt::format("response.{}", status),
        "\"response\":" + envelope(ask, answer, model, status, output, has_usage, now));
    return events.take();
}

}  // namespace entrepot::cloudsim
