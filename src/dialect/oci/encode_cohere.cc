// COHERE: after the first version of Cohere's Chat. One message with what was said before it; calls
// have no ids, and a tool's parameters are names with types.
#include <algorithm>
#include <array>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "dialect/oci/parts.h"

namespace entrepot::dialect::oci {
namespace {

using canon::Item;
using canon::Role;
using json::Value;

struct TypeWord {
    std::string_view schema;
    std::string_view word;
};
constexpr std::array kTypes{TypeWord{"string", "str"}, TypeWord{"integer", "int"},
    TypeWord{"number", "float"}, TypeWord{"boolean", "bool"}, TypeWord{"array", "List"},
    TypeWord{"object", "Dict"}};

std::string_view word_of(std::string_view type) {
    const auto* found = std::ranges::find(kTypes, type, &TypeWord::schema);
    return found == kTypes.end() ? "str" : found->word;
}

/// `List[int]`; what it leaves out is for the caller to name.
std::string type_of(const Value& schema) {
    const std::string_view type = schema["type"].string();
    const std::string_view inner = schema["items"]["type"].string();
    if (type == "array" && !inner.empty()) return fmt::format("List[{}]", word_of(inner));
    return std::string(word_of(type));
}

/// Whether a name, a type and a description say all of it.
bool is_told(const Value& schema) {
    return std::ranges::all_of(schema.members(), [](const json::Member& member) {
        if (member.key == "items")
            return std::ranges::all_of(member.value.members(),
                [](const json::Member& inner) { return inner.key == "type"; });
        return (member.key == "type" && member.value.is_string()) || member.key == "description" ||
            member.key == "title";
    });
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request), target_(target), losses_(target.on_lossy, "Oracle's native chat") {}

    Result<EncodedRequest> run() {
        return in_envelope(request_, target_, "COHERE", losses_,
            [&](json::Writer& writer) { return write(writer); });
    }

private:
    struct Entry {
        std::string_view role;
        std::uint32_t turn = 0;
        std::string text;
        std::vector<std::string> calls;    // JSON
        std::vector<std::string> results;  // JSON
    };

    Status write(json::Writer& writer) {
        for (const Item& item : request_.items) ENTREPOT_TRY_DO(add(item));
        const bool ends_well =
            !entries_.empty() && (entries_.back().role == "USER" || entries_.back().role == "TOOL");
        if (!ends_well)
            return losses_.refuse(
                "messages", "in this format a request ends with the user's words or with results");
        const Entry last = std::move(entries_.back());
        entries_.pop_back();
        writer.member("message", last.text);
        if (!entries_.empty()) {
            writer.key("chatHistory").begin_array();
            for (const Entry& entry : entries_) put(writer, entry);
            writer.end_array();
        }
        if (!last.results.empty()) put_list(writer, "toolResults", last.results);
        if (!preamble_.empty()) writer.member("preambleOverride", preamble_);
        ENTREPOT_TRY_DO(write_tools(writer));
        if (const auto cap = cap_of(request_, target_)) writer.member("maxTokens", *cap);
        ENTREPOT_TRY_DO(check_answer());
        write_sampling(writer, request_);
        if (!request_.stop.empty()) {
            writer.key("stopSequences").begin_array();
            for (const std::string& stop : request_.stop) writer.string(stop);
            writer.end_array();
        }
        return write_format(writer);
    }

    static void put_list(
        json::Writer& writer, std::string_view key, std::span<const std::string> list) {
        writer.key(key).begin_array();
        for (const std::string& one : list) writer.raw(one);
        writer.end_array();
    }

    static void put(json::Writer& writer, const Entry& entry) {
        writer.begin_object().member("role", entry.role);
        if (entry.role != "TOOL") writer.member("message", entry.text);
        if (!entry.calls.empty()) put_list(writer, "toolCalls", entry.calls);
        if (!entry.results.empty()) put_list(writer, "toolResults", entry.results);
        writer.end_object();
    }

    Entry& entry_for(std::string_view role, std::uint32_t turn) {
        // Results of one round stand together, whatever messages they came in.
        const bool is_same = !entries_.empty() && entries_.back().role == role &&
            (role == "TOOL" || entries_.back().turn == turn);
        if (!is_same) entries_.push_back({role, turn, "", {}, {}});
        return entries_.back();
    }

    Status add(const Item& item) {
        ENTREPOT_TRY_DO(lose_riders(item, losses_));
        if (!item.author.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(path_of(item) + ".name", "turns have no names there"));
        if (const auto* result = std::get_if<canon::ToolResult>(&item.body))
            return add_result(item, *result);
        if (const auto* call = std::get_if<canon::ToolCall>(&item.body))
            return add_call(item, *call);
        if (const auto* thought = std::get_if<canon::Thought>(&item.body)) {
            if (thought->text.empty() && !item.signature) return {};
            return losses_.of_hint(
                path_of(item) + ".reasoning_content", "the model takes no thoughts back");
        }
        std::string text;
        if (!text_of(item, text))
            return losses_.of_answer(
                path_of(item) + ".content", "this format takes texts; try api_format cohere_v2");
        const bool is_system = item.role == Role::kSystem || item.role == Role::kDeveloper;
        if (is_system && entries_.empty()) {
            preamble_ += (preamble_.empty() ? "" : "\n\n") + text;
            return {};
        }
        std::string_view role = "USER";
        if (is_system) role = "SYSTEM";
        if (item.role == Role::kAssistant) role = "CHATBOT";
        Entry& entry = entry_for(role, item.turn);
        // Parts of one turn were apart.
        if (!entry.text.empty() && !text.empty()) entry.text += '\n';
        entry.text += text;
        return {};
    }

    static bool text_of(const Item& item, std::string& text) {
        if (const auto* words = std::get_if<canon::Text>(&item.body)) {
            text = words->text;
        } else if (const auto* refusal = std::get_if<canon::Refusal>(&item.body)) {
            text = refusal->text;
        } else if (const auto* media = std::get_if<canon::Media>(&item.body);
            media != nullptr && media->source == canon::Media::Source::kText) {
            text = media->data;
        } else {
            return false;
        }
        return true;
    }

    static std::string call_of(const canon::ToolCall& call) {
        std::string out;
        json::Writer writer(out);
        writer.begin_object().member("name", call.name);
        writer.member_raw("parameters", call.arguments.empty() ? "{}" : call.arguments);
        writer.end_object();
        return out;
    }

    Status add_call(const Item& item, const canon::ToolCall& call) {
        const std::string field = path_of(item) + ".tool_calls";
        const auto arguments =
            json::Document::parse(call.arguments.empty() ? "{}" : call.arguments);
        if (call.is_custom || !arguments || !arguments->root().is_object())
            return losses_.of_answer(field, "a call's arguments are a JSON object there");
        if (item.signature)
            ENTREPOT_TRY_DO(losses_.of_hint(
                path_of(item) + ".signature", "there is no place for a call's signature"));
        entry_for("CHATBOT", item.turn).calls.push_back(call_of(call));
        calls_.try_emplace(call.id, call_of(call));
        return {};
    }

    Status add_result(const Item& item, const canon::ToolResult& result) {
        const std::string field = path_of(item) + ".content";
        const auto call = calls_.find(result.call_id);
        if (call == calls_.end())
            return losses_.refuse(path_of(item) + ".tool_call_id",
                "a result stands beside its call there, and no such call came before it");
        if (result.is_error)
            ENTREPOT_TRY_DO(losses_.of_hint(
                path_of(item) + ".is_error", "results are not told apart from errors there"));
        std::string out;
        json::Writer writer(out);
        writer.begin_object().key("call").raw(call->second).key("outputs").begin_array();
        for (const Item& part : result.content) {
            std::string text;
            if (!text_of(part, text)) {
                ENTREPOT_TRY_DO(losses_.of_answer(field, "a tool's result is text there"));
                continue;
            }
            // An output is an object; what is none becomes one.
            const auto object = json::Document::parse(text);
            if (object && object->root().is_object())
                writer.raw(object->root().raw());
            else
                writer.begin_object().member("output", text).end_object();
        }
        writer.end_array().end_object();
        entry_for("TOOL", item.turn).results.push_back(std::move(out));
        return {};
    }

    Status write_tools(json::Writer& writer) {
        using Mode = canon::ToolChoice::Mode;
        if (request_.parallel_tool_calls == false)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "parallel_tool_calls", "the model cannot be kept to one call at a time"));
        const Mode mode = request_.tool_choice ? request_.tool_choice->mode : Mode::kAuto;
        if (mode == Mode::kRequired || mode == Mode::kNamed)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "tool_choice", "in this format nothing makes the model call a tool"));
        if (mode == Mode::kNone) return {};  // none is offered, so none is called
        ENTREPOT_TRY(const auto tools, offered_tools(request_, false, losses_));
        if (tools.empty()) return {};
        writer.key("tools").begin_array();
        for (const canon::Tool* tool : tools) {
            if (tool->is_strict.value_or(false))
                ENTREPOT_TRY_DO(losses_.of_hint("tools.strict", "tools are not strict there"));
            writer.begin_object().member("name", tool->name);
            // The format demands one.
            writer.member(
                "description", tool->description.empty() ? tool->name : tool->description);
            ENTREPOT_TRY_DO(write_parameters(writer, *tool));
            writer.end_object();
        }
        writer.end_array();
        return {};
    }

    Status write_parameters(json::Writer& writer, const canon::Tool& tool) {
        const auto schema = json::Document::parse(tool.parameters.empty() ? "{}" : tool.parameters);
        if (!schema || schema->root()["properties"].members().empty()) return {};
        std::unordered_set<std::string_view> required;
        for (const Value& name : schema->root()["required"].items()) required.insert(name.string());
        writer.key("parameterDefinitions").begin_object();
        for (const json::Member& property : schema->root()["properties"].members()) {
            if (!is_told(property.value))
                ENTREPOT_TRY_DO(
                    losses_.of_hint(fmt::format("tools.{}.parameters.{}", tool.name, property.key),
                        "of a parameter's schema the type alone has a place there"));
            writer.key(property.key).begin_object();
            if (const std::string_view about = property.value["description"].string();
                !about.empty())
                writer.member("description", about);
            writer.member("type", type_of(property.value));
            writer.member_bool("isRequired", required.contains(property.key));
            writer.end_object();
        }
        writer.end_object();
        return {};
    }

    Status check_answer() {
        ENTREPOT_TRY_DO(check_penalties(request_, losses_));
        constexpr std::string_view kWhy = "there is no such field there";
        if (request_.logprobs.value_or(false) || request_.top_logprobs.value_or(0) > 0)
            ENTREPOT_TRY_DO(losses_.of_answer("logprobs", kWhy));
        if (request_.choices.value_or(1) > 1)
            ENTREPOT_TRY_DO(losses_.of_answer("n", "there is one answer to a request there"));
        if (!request_.logit_bias.empty() && request_.logit_bias != "{}")
            ENTREPOT_TRY_DO(losses_.of_answer("logit_bias", kWhy));
        const auto lose = [&](bool is_set, std::string_view field) -> Status {
            return is_set ? losses_.of_hint(field, kWhy) : Status();
        };
        if (request_.reasoning) {
            const canon::Reasoning& asked = *request_.reasoning;
            const bool is_off =
                asked.effort == "none" || asked.is_enabled == false || asked.budget_tokens == 0;
            ENTREPOT_TRY_DO(lose(!is_off, "reasoning_effort"));
        }
        const std::string& tier = request_.service_tier;
        ENTREPOT_TRY_DO(lose(!tier.empty() && tier != "auto" && tier != "default", "service_tier"));
        ENTREPOT_TRY_DO(lose(!request_.metadata.empty() && request_.metadata != "{}", "metadata"));
        return lose(!request_.verbosity.empty() && request_.verbosity != "medium", "verbosity");
    }

    Status write_format(json::Writer& writer) {
        using Kind = canon::ResponseFormat::Kind;
        if (!request_.format || request_.format->kind == Kind::kText) return {};
        const canon::ResponseFormat& format = *request_.format;
        if (!format.description.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(
                "response_format.json_schema.description", "a format has no description there"));
        writer.key("responseFormat").begin_object().member("type", "JSON_OBJECT");
        if (format.kind == Kind::kJsonSchema && !format.schema.empty())
            writer.member_raw("schema", format.schema);
        writer.end_object();
        return {};
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses losses_;
    std::string preamble_;
    std::vector<Entry> entries_;
    std::unordered_map<std::string, std::string> calls_;  // by id, as they were
};

}  // namespace

Result<EncodedRequest> encode_cohere(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).run();
}

}  // namespace entrepot::dialect::oci
