#include "dialect/bedrock_invoke/cohere_chat.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/bedrock_invoke/prompts.h"
#include "dialect/losses.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::Item;
using canon::Role;
using json::Value;

constexpr std::string_view kHistory = "chat_history";

std::unexpected<Error> wrong(std::string field, const Value& seen, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::move(field),
        fmt::format("expected {}, got {} ({})", accepted, excerpt(seen.raw(), 60),
            json::kind_name(seen.kind())));
}

Status read_history(const Value& body, std::uint32_t& turn, canon::Request& request) {
    const Value& history = body[kHistory];
    if (history.is_null()) return {};
    if (!history.is_array()) return wrong(std::string(kHistory), history, "a list of messages");
    for (std::size_t i = 0; i < history.items().size(); ++i) {
        const Value& entry = history.items()[i];
        const std::string path = fmt::format("{}[{}]", kHistory, i);
        const std::string_view word = entry["role"].string();
        Item item;
        item.turn = ++turn;
        if (word == "CHATBOT") {
            item.role = Role::kAssistant;
        } else if (word == "SYSTEM") {
            item.role = Role::kSystem;
        } else if (word == "TOOL") {
            item.role = Role::kTool;
        } else if (word != "USER") {
            return wrong(path + ".role", entry["role"], "USER, CHATBOT, SYSTEM or TOOL");
        }
        // Calls without ids and their results are this API's alone.
        const bool is_plain = entry["message"].is_string() && entry["tool_calls"].is_null() &&
            entry["tool_results"].is_null();
        if (is_plain) {
            item.body = canon::Text{std::string(entry["message"].string())};
        } else if (entry["tool_calls"].is_array() || entry["tool_results"].is_array()) {
            item.body =
                canon::Opaque{std::string(kName), std::string(kHistory), std::string(entry.raw())};
        } else {
            return wrong(path + ".message", entry["message"], "a string");
        }
        request.items.push_back(std::move(item));
    }
    return {};
}

Status read_number(const Value& body, std::string_view key, std::optional<canon::NumberText>& to) {
    const Value& value = body[key];
    if (value.is_null()) return {};
    if (!value.is_number()) return wrong(std::string(key), value, "a number");
    to = value.raw();
    return {};
}

Status read_whole_number(const Value& body, std::string_view key, std::optional<std::int64_t>& to) {
    const Value& value = body[key];
    if (value.is_null()) return {};
    to = value.as_int();
    if (!to) return wrong(std::string(key), value, "a whole number");
    return {};
}

/// Canon's items as a message and what was said before it.
class Conversation {
public:
    Conversation(const canon::Request& request, Losses& losses)
        : request_(request), losses_(losses) {}

    Status read() {
        for (const Item& item : request_.items) ENTREPOT_TRY_DO(read_item(item));
        if (entries_.empty() || entries_.back().role != "USER")
            return losses_.refuse(
                "messages", "a request to this model ends with a text of the user");
        return {};
    }

    void write(json::Writer& writer) const {
        writer.member("message", entries_.back().text);
        if (!preamble_.empty()) writer.member("preamble", preamble_);
        if (entries_.size() == 1) return;
        writer.key(kHistory).begin_array();
        for (std::size_t i = 0; i + 1 < entries_.size(); ++i) {
            const Entry& entry = entries_[i];
            if (!entry.raw.empty()) {
                writer.raw(entry.raw);
                continue;
            }
            writer.begin_object().member("role", entry.role).member("message", entry.text);
            writer.end_object();
        }
        writer.end_array();
    }

private:
    struct Entry {
        std::string_view role;
        std::uint32_t turn = 0;
        std::string text;
        std::string raw;  // of this API's own
    };

    Status read_item(const Item& item) {
        const std::string field = fmt::format("messages[{}].content", item.turn);
        const bool is_system = item.role == Role::kSystem || item.role == Role::kDeveloper;
        std::string text;
        if (const auto* words = std::get_if<canon::Text>(&item.body)) {
            text = words->text;
        } else if (const auto* refusal = std::get_if<canon::Refusal>(&item.body)) {
            text = refusal->text;
        } else if (const auto* own = std::get_if<canon::Opaque>(&item.body);
            own != nullptr && own->origin == kName && own->kind == kHistory) {
            entries_.push_back({"", item.turn, "", own->json});
            return {};
        } else if (std::holds_alternative<canon::Thought>(item.body)) {
            return losses_.of_hint(field, "the model takes no thoughts back");
        } else {
            return losses_.of_answer(field, "the model takes texts by InvokeModel");
        }
        if (item.cache)
            ENTREPOT_TRY_DO(losses_.of_hint(
                field + ".cache_control", "there are no caches of the client's choosing"));
        if (is_system && entries_.empty()) {
            preamble_ += (preamble_.empty() ? "" : "\n\n") + text;
            return {};
        }
        std::string_view role = "USER";
        if (is_system) role = "SYSTEM";
        if (item.role == Role::kAssistant) role = "CHATBOT";
        if (!entries_.empty() && entries_.back().role == role &&
            entries_.back().turn == item.turn) {
            entries_.back().text += text;
        } else {
            entries_.push_back({role, item.turn, std::move(text), ""});
        }
        return {};
    }

    const canon::Request& request_;
    Losses& losses_;
    std::string preamble_;
    std::vector<Entry> entries_;
};

void write_number(
    json::Writer& writer, std::string_view key, const std::optional<canon::NumberText>& number) {
    if (number) writer.member_raw(key, *number);
}

}  // namespace

Result<canon::Request> decode_cohere_chat(const Value& body) {
    canon::Request request;
    request.origin = kName;
    request.family = family_name(Family::kCohereChat);
    request.wants_usage = true;
    if (const Value& preamble = body["preamble"]; preamble.is_string()) {
        request.items.push_back({.role = Role::kSystem,
            .turn = 0,
            .body = canon::Text{std::string(preamble.string())}});
    } else if (!preamble.is_null()) {
        return wrong("preamble", preamble, "a string");
    }
    std::uint32_t turn = 0;
    ENTREPOT_TRY_DO(read_history(body, turn, request));
    const Value& message = body["message"];
    if (!message.is_string()) return wrong("message", message, "the user's message");
    request.items.push_back({.turn = turn + 1, .body = canon::Text{std::string(message.string())}});
    ENTREPOT_TRY_DO(read_whole_number(body, "max_tokens", request.output_tokens_max));
    ENTREPOT_TRY_DO(read_whole_number(body, "k", request.top_k));
    ENTREPOT_TRY_DO(read_whole_number(body, "seed", request.seed));
    ENTREPOT_TRY_DO(read_number(body, "temperature", request.temperature));
    ENTREPOT_TRY_DO(read_number(body, "p", request.top_p));
    ENTREPOT_TRY_DO(read_number(body, "frequency_penalty", request.frequency_penalty));
    ENTREPOT_TRY_DO(read_number(body, "presence_penalty", request.presence_penalty));
    for (const Value& stop : body["stop_sequences"].items()) {
        if (!stop.is_string()) return wrong("stop_sequences", stop, "strings");
        request.stop.emplace_back(stop.string());
    }
    constexpr std::array<std::string_view, 11> kKnown{"preamble", kHistory, "message", "max_tokens",
        "k", "seed", "temperature", "p", "frequency_penalty", "presence_penalty", "stop_sequences"};
    for (const json::Member& member : body.members())
        if (!member.value.is_null() && std::ranges::find(kKnown, member.key) == kKnown.end())
            request.extras.push_back(
                {canon::path_step(member.key), std::string(member.value.raw())});
    ENTREPOT_TRY_DO(canon::refuse_odd_names(request));
    return request;
}

Result<std::string> encode_cohere_chat(
    const canon::Request& request, const EncodeTarget& target, Losses& losses) {
    const bool is_own =
        request.origin == kName && request.family == family_name(Family::kCohereChat);
    Conversation conversation(request, losses);
    ENTREPOT_TRY_DO(conversation.read());
    if (!request.tools.empty())
        ENTREPOT_TRY_DO(losses.of_answer(
            "tools", "this model's calls have no ids by InvokeModel; reach it by Converse"));
    if (request.choices.value_or(1) > 1)
        ENTREPOT_TRY_DO(losses.of_answer("n", "the model gives one answer to a request"));
    ENTREPOT_TRY_DO(lose_common(request, losses));
    std::string body;
    json::Writer writer(body);
    writer.begin_object();
    conversation.write(writer);
    std::optional<std::int64_t> cap = request.output_tokens_max;
    if (!cap && target.states_output_cap) cap = target.output_tokens_default;
    if (cap) writer.member("max_tokens", *cap);
    write_number(writer, "temperature", request.temperature);
    write_number(writer, "p", request.top_p);
    if (request.top_k) writer.member("k", *request.top_k);
    write_number(writer, "frequency_penalty", request.frequency_penalty);
    write_number(writer, "presence_penalty", request.presence_penalty);
    if (request.seed) writer.member("seed", *request.seed);
    if (!request.stop.empty()) {
        writer.key("stop_sequences").begin_array();
        for (const std::string& stop : request.stop) writer.string(stop);
        writer.end_array();
    }
    for (const canon::Extra& extra : request.extras) {
        constexpr std::string_view kWhy = "the model has no such parameter";
        if (is_own && extra.origin.empty()) {
            writer.member_raw(extra.path, extra.json);
        } else if (!is_needless_elsewhere(extra)) {
            ENTREPOT_TRY_DO(asks_for_another_answer(extra) ? losses.of_answer(extra.path, kWhy)
                                                           : losses.of_hint(extra.path, kWhy));
        }
    }
    writer.end_object();
    return body;
}

}  // namespace entrepot::dialect::bedrock_invoke
