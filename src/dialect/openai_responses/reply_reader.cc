#include "dialect/openai_responses/reply_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "dialect/openai_responses/failure.h"
#include "dialect/openai_responses/names.h"
#include "dialect/openai_responses/usage.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::PartKind;
using canon::StopReason;
using json::Value;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

/// Unix seconds; a few servers write them with a fraction.
std::int64_t seconds_of(const Value& value) {
    if (const auto whole = value.as_int()) return *whole;
    double number = 0;
    const std::string_view raw = value.raw();
    std::from_chars(raw.data(), raw.data() + raw.size(), number);
    constexpr double kMax = 1e15;  // far beyond any clock, and safe to convert
    return number > 0 && number < kMax ? static_cast<std::int64_t>(number) : 0;
}

/// What is said of an item beside its parts. That it states a status is kept, since only some do;
/// which one, is told by how it ends.
std::vector<canon::Extra> marks_of(const Value& item) {
    std::vector<canon::Extra> marks;
    for (const json::Member& member : item.members()) {
        if (member.value.is_null() ||
            is_one_of(member.key,
                {"type", "role", "content", "summary", "encrypted_content", "arguments", "input",
                    "name", "call_id"}))
            continue;
        marks.push_back({std::string(member.key), std::string(member.value.raw())});
    }
    return marks;
}

/// Calls that the client has to answer although only this dialect knows them.
bool waits_for_client(const Value& item, std::string_view type) {
    if (type == "shell_call") return item["environment"]["type"].string() != "container_auto";
    return is_one_of(
        type, {"mcp_approval_request", "computer_call", "local_shell_call", "apply_patch_call"});
}

std::string_view media_type_of(const Value& item) {
    const std::string_view format = item["output_format"].string();
    if (format == "jpeg") return "image/jpeg";
    return format == "webp" ? "image/webp" : "image/png";
}

}  // namespace

void ReplyReader::aside(
    std::string_view key, std::string_view json, std::optional<std::uint32_t> part) {
    const std::optional<std::uint32_t> choice =
        part ? std::optional<std::uint32_t>(0) : std::nullopt;
    emit(canon::Aside{std::string(kName), std::string(key), std::string(json), choice, part});
}

void ReplyReader::start(const Value& response) {
    if (is_started_) return;
    is_started_ = true;
    canon::Started started;
    started.id = response["id"].string();
    started.model = response["model"].string();
    started.created_s = seconds_of(response["created_at"]);
    started.origin = kName;
    for (const json::Member& member : response.members()) {
        if (!is_echo(member.key)) continue;
        echo_[std::string(member.key)] = member.value.raw();
        started.echo.push_back({std::string(member.key), std::string(member.value.raw())});
    }
    emit(std::move(started));
}

ReplyReader::Item& ReplyReader::item_number(std::int64_t index) {
    const auto [found, is_new] = items_.try_emplace(index);
    if (is_new) found->second.number = next_item_++;
    last_index_ = index;
    return found->second;
}

ReplyReader::Item& ReplyReader::item_at(const Value& event, bool is_new) {
    const std::int64_t next = items_.empty() ? 0 : items_.rbegin()->first;
    const std::int64_t assumed = is_new && !items_.empty() && next < INT64_MAX ? next + 1 : next;
    return item_number(event["output_index"].as_int().value_or(is_new ? assumed : last_index_));
}

void ReplyReader::learn(Item& item, const Value& value) {
    if (!item.type.empty() || !value.is_object()) return;
    item.type = value["type"].string();
    item.marks = marks_of(value);
}

ReplyReader::Part ReplyReader::begin(Item& item, canon::PartStarted started) {
    started.part = next_part_++;
    started.item = item.number;
    started.marks = std::move(item.marks);
    item.marks.clear();
    Part part;
    part.number = started.part;
    emit(std::move(started));
    return part;
}

ReplyReader::Part& ReplyReader::part_of(
    Item& item, Place place, std::int64_t index, PartKind kind) {
    auto& parts = place == Place::kSummary ? item.summaries : item.contents;
    if (const auto found = parts.find(index); found != parts.end()) return found->second;
    if (item.open_thought != nullptr) end_part(*std::exchange(item.open_thought, nullptr));
    canon::PartStarted started;
    started.kind = kind;
    started.is_summary = place == Place::kSummary;
    Part& part = parts[index] = begin(item, std::move(started));
    if (kind == PartKind::kThought) item.open_thought = &part;
    return part;
}

void ReplyReader::say(Part& part, std::string_view text) {
    if (text.empty() || part.has_ended) return;
    part.said += text;
    emit(canon::PartDelta{0, part.number, std::string(text)});
}

void ReplyReader::say_rest(Part& part, std::string_view whole) {
    if (whole.starts_with(part.said)) say(part, whole.substr(part.said.size()));
}

void ReplyReader::end_part(Part& part) {
    if (part.has_ended) return;
    part.has_ended = true;
    emit(canon::PartEnded{0, part.number});
}

void ReplyReader::cite(Part& part, const Value& annotation) {
    if (part.has_ended || annotation.is_null()) return;
    ++part.citations;
    aside("annotations", annotation.raw(), part.number);
}

void ReplyReader::take_call(Item& item, const Value& value) {
    if (item.call) return;
    canon::PartStarted started;
    started.kind = PartKind::kToolCall;
    started.is_custom = item.type == "custom_tool_call";
    started.call_id =
        value["call_id"].is_string() ? value["call_id"].string() : value["id"].string();
    started.name = value["name"].string();
    has_call_ = true;
    item.call = begin(item, std::move(started));
}

void ReplyReader::take(std::string_view type, const Value& event) {
    constexpr std::string_view kPrefix = "response.";
    if (!type.starts_with(kPrefix)) return;  // `keepalive`, and what a later version adds
    type.remove_prefix(kPrefix.size());
    if (type == "created" || type == "in_progress" || type == "queued") {
        start(event["response"]);
        return;
    }
    if (type == "output_item.added" || type == "output_item.done") {
        const Value& value = event["item"];
        if (!value.is_object()) return;
        start(Value());
        Item& item = item_at(event, type == "output_item.added");
        if (item.is_done) return;
        learn(item, value);
        if (type == "output_item.done") return complete(item, value);
        if (item.type == "function_call" || item.type == "custom_tool_call") take_call(item, value);
        return;
    }
    take_delta(type, event);
}

/// Deltas and the ends of parts; they say which item and which part of it they are of.
void ReplyReader::take_delta(std::string_view type, const Value& event) {
    const bool is_text = type.starts_with("output_text.");
    const bool is_refusal = type.starts_with("refusal.");
    const bool is_summary = type.starts_with("reasoning_summary_");
    const bool is_thought = type.starts_with("reasoning_text.");
    const bool is_content = type.starts_with("content_part.");
    const bool is_call =
        type.starts_with("function_call_arguments.") || type.starts_with("custom_tool_call_input.");
    if (!is_text && !is_refusal && !is_summary && !is_thought && !is_content && !is_call) return;
    start(Value());
    Item& item = item_at(event);
    if (item.is_done) return;
    const std::string_view delta = event["delta"].string();
    if (is_call) {
        if (item.call) say(*item.call, delta);
        return;
    }
    const std::int64_t index =
        event[is_summary ? "summary_index" : "content_index"].as_int().value_or(0);
    if (is_content) {
        const std::string_view kind = event["part"]["type"].string();
        // Only these can be told in pieces; another kind of part is told when it is whole.
        if (kind != "output_text" && kind != "refusal") return;
        Part& part = part_of(
            item, Place::kContent, index, kind == "refusal" ? PartKind::kRefusal : PartKind::kText);
        if (type != "content_part.done") return;
        say_rest(part, event["part"][kind == "refusal" ? "refusal" : "text"].string());
        const auto annotations = event["part"]["annotations"].items();
        for (std::size_t i = part.citations; i < annotations.size(); ++i)
            cite(part, annotations[i]);
        end_part(part);
        return;
    }
    Part& part = part_of(item, is_summary ? Place::kSummary : Place::kContent, index,
        is_text          ? PartKind::kText
            : is_refusal ? PartKind::kRefusal
                         : PartKind::kThought);
    if (type == "output_text.annotation.added") {
        cite(part, event["annotation"]);
    } else if (type.ends_with(".delta")) {
        if (!event["logprobs"].items().empty() && !part.has_ended) {
            part.has_logprobs = true;
            aside("logprobs", event["logprobs"].raw(), part.number);
        }
        say(part, delta);
    } else if (type.ends_with("text.done")) {
        say_rest(part, event["text"].string());
    }
}

void ReplyReader::complete(Item& item, const Value& value) {
    item.is_done = true;
    // Some say more of an item when it is whole.
    if (!item.call && item.contents.empty() && item.summaries.empty()) item.marks = marks_of(value);
    if (const std::string_view id = value["id"].string(); !id.empty())
        done_ids_.insert(std::string(id));
    if (item.type == "message" && value["role"].string() != "user" &&
        (!value["content"].items().empty() || !item.contents.empty()))
        return complete_message(item, value);
    if (item.type == "reasoning") return complete_reasoning(item, value);
    if (item.type != "function_call" && item.type != "custom_tool_call")
        return complete_opaque(item, value);
    take_call(item, value);
    const Value& said = value[item.call && item.type == "custom_tool_call" ? "input" : "arguments"];
    // A few write the object itself.
    say_rest(*item.call, said.is_object() ? said.raw() : said.string());
    end_part(*item.call);
}

void ReplyReader::complete_message(Item& item, const Value& value) {
    std::int64_t index = 0;
    for (const Value& content : value["content"].items()) {
        const std::string_view kind = content["type"].string();
        const std::int64_t at = index++;
        if (kind != "output_text" && kind != "refusal" && kind != "text") {
            canon::PartStarted started;
            started.kind = PartKind::kOpaque;
            started.opaque =
                canon::Opaque{std::string(kName), std::string(kind), std::string(content.raw())};
            Part part = begin(item, std::move(started));
            end_part(part);
            continue;
        }
        const bool is_refusal = kind == "refusal";
        Part& part =
            part_of(item, Place::kContent, at, is_refusal ? PartKind::kRefusal : PartKind::kText);
        if (!part.has_ended && !part.has_logprobs && !content["logprobs"].items().empty())
            aside("logprobs", content["logprobs"].raw(), part.number);
        say_rest(part, content[is_refusal ? "refusal" : "text"].string());
        const auto annotations = content["annotations"].items();
        for (std::size_t i = part.citations; i < annotations.size(); ++i)
            cite(part, annotations[i]);
        end_part(part);
    }
    for (auto& [at, part] : item.contents) end_part(part);
}

void ReplyReader::end_thought(Item& item, const Value& cipher) {
    if (item.open_thought == nullptr) return;
    if (!cipher.string().empty())
        emit(canon::PartSignature{0, item.open_thought->number,
            canon::Signature{std::string(kName), std::string(cipher.string())}});
    end_part(*std::exchange(item.open_thought, nullptr));
}

void ReplyReader::complete_reasoning(Item& item, const Value& value) {
    const auto add = [&](const Value& list, Place place) {
        std::int64_t index = 0;
        for (const Value& text : list.items()) {
            say_rest(part_of(item, place, index++, PartKind::kThought), text["text"].string());
        }
    };
    add(value["summary"], Place::kSummary);
    add(value["content"], Place::kContent);
    const Value& cipher = value["encrypted_content"];
    if (item.summaries.empty() && item.contents.empty()) {
        canon::PartStarted started;
        started.kind = PartKind::kThought;
        started.is_summary = true;
        started.is_redacted = !cipher.string().empty();
        item.open_thought = &(item.summaries[0] = begin(item, std::move(started)));
    }
    end_thought(item, cipher);
}

void ReplyReader::complete_opaque(Item& item, const Value& value) {
    wants_answer_ = wants_answer_ || waits_for_client(value, item.type);
    canon::PartStarted started;
    started.kind = PartKind::kOpaque;
    started.opaque = canon::Opaque{std::string(kName), item.type, std::string(value.raw())};
    const std::string_view image = value["result"].string();
    if (item.type == "image_generation_call" && !image.empty()) {
        started.kind = PartKind::kMedia;
        started.media = canon::Media{.kind = canon::Media::Kind::kImage,
            .source = canon::Media::Source::kBase64,
            .media_type = std::string(media_type_of(value)),
            .data = std::string(image)};
    }
    item.marks.clear();  // they stand in its own form
    Part part = begin(item, std::move(started));
    end_part(part);
}

StopReason ReplyReader::stop_reason(const Value& response) const {
    const std::string_view status = response["status"].string();
    const std::string_view reason = response["incomplete_details"]["reason"].string();
    if (reason == "max_output_tokens") return StopReason::kLength;
    if (reason == "content_filter") return StopReason::kContentFilter;
    if (status == "incomplete" || status == "cancelled") return StopReason::kOther;
    if (has_call_) return StopReason::kToolCalls;
    return wants_answer_ ? StopReason::kPause : StopReason::kStop;
}

/// What the whole object says beside its output: what differs from its beginning, and what is no
/// repetition of the request.
void ReplyReader::end_envelope(const Value& response) {
    for (const json::Member& member : response.members()) {
        const std::string key(member.key);
        if (const auto told = echo_.find(key); told != echo_.end() || is_echo(key)) {
            if (told == echo_.end() || told->second != member.value.raw())
                aside(key, member.value.raw());
            continue;
        }
        if (member.value.is_null() ||
            is_one_of(key,
                {"id", "object", "created_at", "completed_at", "status", "model", "output", "usage",
                    "error", "incomplete_details", "service_tier", "output_text"}))
            continue;
        aside(key, member.value.raw());
    }
    for (const json::Member& member : response["usage"].members())
        if (!is_counted(member.key) && !member.value.is_null())
            aside("usage." + std::string(member.key), member.value.raw());
}

void ReplyReader::end(const Value& response, const std::optional<canon::Failure>& told) {
    start(response);
    // What was streamed is known by its place, or by its id where the places differ. In a whole
    // reply ids are no help: some servers give one id to many items.
    const bool was_streamed = !items_.empty();
    std::int64_t index = 0;
    for (const Value& value : response["output"].items()) {
        const std::int64_t at = index++;
        if (!value.is_object()) continue;
        if (const auto known = items_.find(at); known != items_.end() && known->second.is_done)
            continue;
        if (was_streamed && done_ids_.contains(std::string(value["id"].string()))) continue;
        Item& item = item_number(at);
        learn(item, value);
        complete(item, value);
    }
    const std::string_view status = response["status"].string();
    // What began and is told nowhere to be whole has ended all the same.
    for (auto& [at, item] : items_) {
        if (item.is_done) continue;
        end_thought(item, Value());
        if (item.call) end_part(*item.call);
        for (auto& [place, part] : item.contents) end_part(part);
    }
    end_envelope(response);
    const bool is_pending = status == "queued" || status == "in_progress";
    if (is_pending)
        aside("status", response["status"].raw());
    else if (status != "failed")
        emit(canon::Finished{0, stop_reason(response),
            std::string(status == "incomplete" ? response["incomplete_details"]["reason"].string()
                                               : status),
            ""});
    if (!response["usage"].is_object() && response["service_tier"].is_string() && is_pending)
        aside("service_tier", response["service_tier"].raw());
    if (response["usage"].is_object())
        emit(canon::UsageReported{
            usage_of(response), std::string(response["service_tier"].string())});
    if (status == "failed")
        emit(canon::Failed{
            told && response["error"].is_null() ? *told : failure_of(response["error"], 200)});
    else
        emit(canon::Ended{});
}

}  // namespace entrepot::dialect::openai_responses
