#include "cloudsim/shelf.h"

#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using json::Value;

constexpr std::size_t kResponsesMax = 4096;  // each with all its prompt: the oldest are forgotten

Shelf::Reply missing(std::string_view message, std::string_view code = {}) {
    return {404,
        fmt::format(R"({{"error":{{"message":{},"type":"invalid_request_error","param":null,)"
                    R"("code":{}}}}})",
            json::quoted(message), code.empty() ? "null" : json::quoted(code)),
        "application/json"};
}

std::unexpected<ResponsesFault> fault(std::string message, std::string param, std::string code) {
    return std::unexpected(ResponsesFault{std::move(message), std::move(param), std::move(code)});
}

std::int64_t number_in(std::string_view query, std::string_view name, std::int64_t otherwise) {
    for (const std::string_view pair : split(query, '&')) {
        if (!pair.starts_with(name) || pair.size() <= name.size() || pair[name.size()] != '=')
            continue;
        std::int64_t value = otherwise;
        std::from_chars(pair.data() + name.size() + 1, pair.data() + pair.size(), value);
        return value;
    }
    return otherwise;
}

std::string id_of_conversation(const Value& value) {
    return std::string(value.is_object() ? value["id"].string() : value.string());
}

std::string list_of(const std::vector<std::string>& items) {
    std::string out = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < items.size(); ++i) out += (i == 0 ? "" : ",") + items[i];
    return out + R"(],"first_id":null,"last_id":null,"has_more":false})";
}

}  // namespace

std::expected<void, ResponsesFault> Shelf::recall(const Value& root, Ask& ask) const {
    ask.is_background = root["background"].as_bool().value_or(false);
    ask.is_stored = root["store"].as_bool().value_or(true);
    if (ask.is_background && !ask.is_stored)
        return fault("Background mode requires 'store' to be true.", "background", "invalid_value");
    ask.previous = root["previous_response_id"].string();
    ask.conversation = id_of_conversation(root["conversation"]);
    ask.input = root["input"].is_string()
        ? fmt::format(R"([{{"type":"message","role":"user","content":[{{"type":"input_text",)"
                      R"("text":{}}}]}}])",
              root["input"].raw())
        : std::string(root["input"].raw());
    if (!ask.previous.empty()) {
        const auto found = responses_.find(ask.previous);
        if (found == responses_.end())
            return fault(fmt::format("Previous response with id '{}' not found.", ask.previous),
                "previous_response_id", "previous_response_not_found");
        ask.prompt += found->second.prompt;
        ask.called = found->second.calls;
    }
    if (!ask.conversation.empty()) {
        const auto found = conversations_.find(ask.conversation);
        if (found == conversations_.end())
            return fault(fmt::format("Conversation with id '{}' not found.", ask.conversation),
                "conversation", "conversation_not_found");
        ask.prompt += found->second.prompt;
    }
    return {};
}

std::expected<void, ResponsesFault> Shelf::recall_item(
    const Value& item, Ask& ask, std::set<std::string, std::less<>>& called) const {
    const auto found = items_.find(item["id"].string());
    if (found == items_.end())
        return fault(fmt::format("Item with id '{}' not found.", item["id"].string()), "input",
            "item_not_found");
    ask.prompt += found->second.text;
    if (!found->second.call_id.empty()) called.insert(found->second.call_id);
    return {};
}

void Shelf::keep(const Ask& ask, const Answer& answer, const Control& control,
    std::string_view model, bool has_usage, Instant now) {
    if (!ask.is_stored) return;
    Response kept;
    kept.done = whole_response(ask, answer, model, has_usage, now);
    kept.pending = pending_response(ask, answer, model, "queued", now);
    kept.cancelled = pending_response(ask, answer, model, "cancelled", now);
    kept.events = stream_response(ask, answer, control, model, has_usage, now);
    kept.ready = ask.is_background ? now + milliseconds(control.background_ms) : now;
    kept.input = ask.input;
    kept.prompt = ask.prompt + answer.text;
    const auto document = json::Document::parse(kept.done);
    for (const Value& item : document->root()["output"].items()) {
        const std::string call_id(item["call_id"].string());
        kept.items.emplace_back(item["id"].string());
        items_[kept.items.back()] = {std::string(item.raw()), call_id};
        if (!call_id.empty()) kept.calls.insert(call_id);
        if (!ask.conversation.empty())
            conversations_[ask.conversation].items.emplace_back(item.raw());
    }
    if (!ask.conversation.empty()) conversations_[ask.conversation].prompt = kept.prompt;
    if (in_order_.size() >= kResponsesMax) {
        forget(in_order_.front());
        in_order_.pop_front();
    }
    in_order_.emplace_back(document->root()["id"].string());
    responses_[in_order_.back()] = std::move(kept);
}

void Shelf::forget(std::string_view id) {
    const auto found = responses_.find(id);
    if (found == responses_.end()) return;
    for (const std::string& item : found->second.items) items_.erase(item);
    responses_.erase(found);
}

std::string Shelf::queued(std::string_view id) const {
    const auto found = responses_.find(id);
    return found == responses_.end() ? std::string() : found->second.pending;
}

std::optional<Shelf::Reply> Shelf::serve(std::string_view method, std::string_view path,
    std::string_view query, std::string_view body, Instant now) {
    for (const std::string_view collection : {"/responses/", "/conversations"}) {
        const auto at = path.find(collection);
        if (at == std::string_view::npos) continue;
        std::string_view rest = path.substr(at + collection.size());
        if (rest.starts_with('/')) rest.remove_prefix(1);
        const std::string id(rest.substr(0, rest.find('/')));
        rest.remove_prefix(id.size());
        return collection == "/responses/" ? serve_response(method, id, rest, query, now)
                                           : serve_conversation(method, id, rest, body, now);
    }
    return std::nullopt;
}

Shelf::Reply Shelf::serve_response(std::string_view method, const std::string& id,
    std::string_view rest, std::string_view query, Instant now) {
    const auto found = responses_.find(id);
    if (found == responses_.end())
        return missing(fmt::format("Response with id '{}' not found.", id));
    Response& response = found->second;
    const bool is_ready = now >= response.ready;
    if (rest == "/input_items" && method == "GET")
        return {200,
            fmt::format(R"({{"object":"list","data":{},"first_id":null,"last_id":null,)"
                        R"("has_more":false}})",
                response.input),
            "application/json"};
    if (rest == "/cancel" && method == "POST") {
        response.is_cancelled = response.is_cancelled || !is_ready;
    } else if (!rest.empty()) {
        return missing(fmt::format("Invalid URL ({} ...)", method));
    }
    if (method == "DELETE") {
        forget(id);
        return {200, fmt::format(R"({{"id":"{}","object":"response","deleted":true}})", id),
            "application/json"};
    }
    if (number_in(query, "starting_after", -2) >= -1 ||
        query.find("stream=true") != std::string_view::npos) {
        const std::int64_t after = number_in(query, "starting_after", -1);
        std::string out;
        for (std::size_t i = 0; i < response.events.size(); ++i)
            if (static_cast<std::int64_t>(i) > after) out += response.events[i];
        return {200, std::move(out), "text/event-stream; charset=utf-8"};
    }
    return {200,
        response.is_cancelled ? response.cancelled
            : is_ready        ? response.done
                              : response.pending,
        "application/json"};
}

Shelf::Reply Shelf::serve_conversation(std::string_view method, const std::string& id,
    std::string_view rest, std::string_view body, Instant now) {
    const auto parsed = json::Document::parse(std::string(body.empty() ? "{}" : body));
    if (id.empty()) {
        Conversation made;
        const std::string name = id_of("conv_", ++serial_);
        const Value& metadata = parsed ? parsed->root()["metadata"] : Value();
        made.metadata = metadata.is_object() ? std::string(metadata.raw()) : "{}";
        if (parsed)
            for (const Value& item : parsed->root()["items"].items())
                made.prompt += item["content"].raw();
        conversations_[name] = std::move(made);
        return serve_conversation("GET", name, "", "", now);
    }
    const auto found = conversations_.find(id);
    if (found == conversations_.end())
        return missing(fmt::format("Conversation with id '{}' not found.", id));
    if (rest == "/items") return {200, list_of(found->second.items), "application/json"};
    if (!rest.empty()) return missing("Item not found.");
    if (method == "DELETE") {
        conversations_.erase(found);
        return {200,
            fmt::format(R"({{"id":"{}","object":"conversation.deleted","deleted":true}})", id),
            "application/json"};
    }
    if (method == "POST" && parsed && parsed->root()["metadata"].is_object())
        found->second.metadata = parsed->root()["metadata"].raw();
    return {200,
        fmt::format(R"({{"id":"{}","object":"conversation","created_at":{},"metadata":{}}})", id,
            now.ns / 1'000'000'000, found->second.metadata),
        "application/json"};
}

}  // namespace entrepot::cloudsim
