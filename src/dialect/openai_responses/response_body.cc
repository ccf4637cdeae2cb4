#include "dialect/openai_responses/response_body.h"

#include <algorithm>

#include "dialect/openai_responses/encode_request.h"
#include "dialect/openai_responses/failure.h"
#include "dialect/openai_responses/names.h"
#include "dialect/openai_responses/usage.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::PartKind;
using json::Writer;
using Kind = ReplyItem::Kind;

std::string_view status_of(const ReplyItem& item, Told told) {
    if (told == Told::kBegun) return "in_progress";
    return item.is_cut ? "incomplete" : "completed";
}

bool is_tier(std::string_view tier) {
    return tier == "auto" || tier == "default" || tier == "flex" || tier == "scale" ||
        tier == "priority" || tier == "fast" || tier == "ultrafast";
}

void write_parts(Writer& writer, const ReplyItem& item, Told told, bool is_summary) {
    writer.begin_array();
    if (told == Told::kWhole)
        for (const ReplyPart& part : item.parts)
            if (part.is_summary == is_summary) write_part(writer, part, told);
    writer.end_array();
}

/// An image that no Responses server made, in the form of its own.
void write_image(Writer& writer, const ReplyItem& item, Told told) {
    const std::string& data = item.parts.front().text;
    writer.member("status", told == Told::kWhole ? "completed" : "in_progress");
    if (told == Told::kBegun) {
        writer.member_null("result");
        return;
    }
    const std::size_t slash = item.media_type.find('/');
    if (slash != std::string::npos)
        writer.member("output_format", std::string_view(item.media_type).substr(slash + 1));
    writer.member("result", data);
}

}  // namespace

void write_part(Writer& writer, const ReplyPart& part, Told told) {
    const std::string_view text = told == Told::kWhole ? std::string_view(part.text) : "";
    if (part.kind == PartKind::kOpaque) {
        writer.raw(part.json);
        return;
    }
    writer.begin_object();
    switch (part.kind) {
        case PartKind::kRefusal: writer.member("type", "refusal").member("refusal", text); break;
        case PartKind::kThought:
            writer.member("type", part.is_summary ? "summary_text" : "reasoning_text");
            writer.member("text", text);
            break;
        default:
            writer.member("type", "output_text").member("text", text);
            writer.key("annotations").begin_array();
            if (told == Told::kWhole)
                for (const std::string& annotation : part.annotations) writer.raw(annotation);
            writer.end_array();
            writer.key("logprobs")
                .raw(told == Told::kWhole ? "[" + part.logprobs + "]" : std::string("[]"));
    }
    writer.end_object();
}

void write_item(Writer& writer, const ReplyItem& item, Told told) {
    if (!item.json.empty()) {
        writer.raw(item.json);
        return;
    }
    const bool is_whole = told == Told::kWhole;
    writer.begin_object().member("id", item.id);
    bool has_status = true;
    switch (item.kind) {
        case Kind::kMessage:
            writer.member("type", "message").member("role", "assistant").key("content");
            write_parts(writer, item, told, false);
            break;
        case Kind::kReasoning: {
            writer.member("type", "reasoning").key("summary");
            write_parts(writer, item, told, true);
            const bool has_content = std::ranges::any_of(
                item.parts, [](const ReplyPart& part) { return !part.is_summary; });
            if (has_content) {
                writer.key("content");
                write_parts(writer, item, told, false);
            }
            if (is_whole && !item.cipher.empty()) writer.member("encrypted_content", item.cipher);
            has_status =
                std::ranges::find(item.marks, "status", &canon::Extra::path) != item.marks.end();
            break;
        }
        case Kind::kCall:
        case Kind::kCustomCall: {
            const bool is_custom = item.kind == Kind::kCustomCall;
            writer.member("type", is_custom ? "custom_tool_call" : "function_call");
            writer.member("call_id", item.call_id).member("name", item.name);
            writer.member(is_custom ? "input" : "arguments",
                is_whole ? std::string_view(item.parts.front().text) : "");
            break;
        }
        case Kind::kImage:
            writer.member("type", "image_generation_call");
            write_image(writer, item, told);
            has_status = false;
            break;
        case Kind::kOpaque: break;
    }
    if (has_status) writer.member("status", status_of(item, told));
    for (const canon::Extra& mark : item.marks)
        if (mark.path != "status" && mark.path != "id") writer.member_raw(mark.path, mark.json);
    writer.end_object();
}

std::string echo_of(const canon::Request& request) {
    std::string out;
    Writer writer(out);
    writer.begin_object();
    const auto text = [&](std::string_view key, std::string_view value) {
        value.empty() ? writer.member_null(key) : writer.member(key, value);
    };
    const auto number = [&](std::string_view key, const std::optional<canon::NumberText>& value) {
        value ? writer.member_raw(key, *value) : writer.member_null(key);
    };
    const auto* instructions = !request.items.empty() && request.items.front().turn == 0
        ? std::get_if<canon::Text>(&request.items.front().body)
        : nullptr;
    text("instructions", instructions == nullptr ? "" : std::string_view(instructions->text));
    if (request.output_tokens_max)
        writer.member("max_output_tokens", *request.output_tokens_max);
    else
        writer.member_null("max_output_tokens");
    writer.member_raw("metadata", request.metadata.empty() ? "{}" : request.metadata);
    writer.member_bool("parallel_tool_calls", request.parallel_tool_calls.value_or(true));
    writer.member_null("previous_response_id");
    const canon::Reasoning asked = request.reasoning.value_or(canon::Reasoning{});
    writer.key("reasoning").begin_object();
    text("effort", asked.effort);
    text("summary", asked.summary);
    writer.end_object();
    // Whatever was asked: what another dialect's supplier answered is stored nowhere.
    writer.member_bool("store", false);
    number("temperature", request.temperature);
    writer.key("text").begin_object().key("format");
    write_format(writer, request.format.value_or(canon::ResponseFormat{}));
    if (!request.verbosity.empty()) writer.member("verbosity", request.verbosity);
    writer.end_object();
    writer.key("tool_choice");
    write_choice(writer, request);
    writer.key("tools").begin_array();
    for (const canon::Tool& tool : request.tools) {
        if (!tool.server)
            write_function(writer, tool, request.origin == kName);
        else if (tool.server->origin == kName)
            writer.raw(tool.server->json);
    }
    writer.end_array();
    number("top_p", request.top_p);
    writer.member("truncation", "disabled").end_object();
    return out;
}

Envelope::Envelope(const ReplyContext& context)
    : id_(context.id), model_(context.model), created_s_(context.created_s) {
    const auto echo =
        json::Document::parse(context.echo.empty() ? echo_of(canon::Request{}) : context.echo);
    if (!echo) return;
    for (const json::Member& member : echo->root().members())
        repeated_.emplace_back(member.key, member.value.raw());
}

void Envelope::learn(const canon::Started& started) {
    is_own_ = started.origin == kName;
    if (!started.id.empty()) id_ = started.id;
    if (!id_.starts_with("resp_") && !is_own_) id_ = "resp_" + id_;
    if (model_.empty()) model_ = started.model;
    if (started.created_s != 0) created_s_ = started.created_s;
    if (!is_own_ || started.echo.empty()) return;
    repeated_.clear();
    for (const canon::Extra& member : started.echo)
        repeated_.emplace_back(member.path, member.json);
}

bool Envelope::learn(const canon::Aside& aside) {
    if (aside.origin != kName || aside.choice) return false;
    if (aside.key == "status") {
        status_ = aside.json.size() < 2 ? "" : aside.json.substr(1, aside.json.size() - 2);
    } else if (aside.key.starts_with("usage.")) {
        usage_beside_.push_back(aside);
    } else {
        const auto found =
            std::ranges::find(repeated_, aside.key, &std::pair<std::string, std::string>::first);
        if (found == repeated_.end())
            repeated_.emplace_back(aside.key, aside.json);
        else
            found->second = aside.json;
    }
    return true;
}

void Envelope::learn(const canon::UsageReported& report) {
    usage_ = report.usage;
    has_usage_ = true;
    if (!report.service_tier.empty()) tier_ = report.service_tier;
}

void Envelope::learn(const canon::Finished& finished) {
    using canon::StopReason;
    switch (finished.reason) {
        case StopReason::kLength:
        case StopReason::kContextExceeded:
            status_ = "incomplete";
            incomplete_reason_ = "max_output_tokens";
            break;
        case StopReason::kContentFilter:
            status_ = "incomplete";
            incomplete_reason_ = "content_filter";
            break;
        case StopReason::kMalformed: status_ = "incomplete"; break;
        case StopReason::kOther:
            if (!is_own_ || finished.raw_reason == "completed") break;
            status_ = finished.raw_reason == "cancelled" ? "cancelled" : "incomplete";
            if (status_ == "incomplete") incomplete_reason_ = finished.raw_reason;
            break;
        default: break;
    }
}

std::string Envelope::foreign_tier() const {
    return is_own_ || tier_.empty() || is_tier(tier_) ? std::string() : tier_;
}

void Envelope::write_repeated(Writer& writer) const {
    for (const auto& [key, json] : repeated_) writer.member_raw(key, json);
}

void Envelope::write(Writer& writer, const std::deque<ReplyItem>& output, std::string_view status,
    const canon::Failure* failure) const {
    writer.begin_object().member("id", id_).member("object", "response");
    writer.member("created_at", created_s_).member("status", status).key("error");
    if (failure == nullptr) {
        writer.null();
    } else {
        writer.begin_object().member("code", response_error_code(*failure));
        writer.member("message", failure->message).end_object();
    }
    writer.key("incomplete_details");
    if (status == "incomplete" && !incomplete_reason_.empty())
        writer.begin_object().member("reason", incomplete_reason_).end_object();
    else
        writer.null();
    writer.member("model", model_).key("output").begin_array();
    for (const ReplyItem& item : output)
        if (item.is_done) write_item(writer, item, Told::kWhole);
    writer.end_array();
    write_repeated(writer);
    if (!tier_.empty() && (is_own_ || is_tier(tier_))) writer.member("service_tier", tier_);
    writer.key("usage");
    if (has_usage_)
        write_usage(writer, usage_, usage_beside_);
    else
        writer.null();
    writer.end_object();
}

}  // namespace entrepot::dialect::openai_responses
