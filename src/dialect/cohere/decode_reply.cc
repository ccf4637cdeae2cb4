#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "dialect/cohere/parts.h"
#include "framing/sse.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::Event;
using canon::PartKind;
using json::Value;
using Events = std::vector<Event>;

constexpr std::size_t kBodyBytesMax = std::size_t{32} << 20;
constexpr std::size_t kOpenPartsMax = 256;  // a broken stream fills no memory

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's reply {}", what));
}

/// What both forms of a reply share.
class Reader {
public:
    void into(Events& events) { events_ = &events; }

    void start(std::string_view id) {
        if (has_started_) return;
        has_started_ = true;
        events_->emplace_back(canon::Started{std::string(id), "", 0});
    }

    std::uint32_t begin(PartKind kind, const Value& call = {}) {
        canon::PartStarted started;
        started.part = next_part_++;
        started.kind = kind;
        started.call_id = call["id"].string();
        started.name = call["function"]["name"].string();
        events_->emplace_back(started);
        return started.part;
    }

    std::uint32_t begin_plan() {
        canon::PartStarted started;
        started.part = next_part_++;
        started.kind = PartKind::kThought;
        started.marks.push_back({std::string(kToolPlan), "true", std::string(kName)});
        events_->emplace_back(started);
        return started.part;
    }

    void delta(std::uint32_t part, std::string_view text) {
        if (!text.empty()) events_->emplace_back(canon::PartDelta{0, part, std::string(text)});
    }

    void end(std::uint32_t part) { events_->emplace_back(canon::PartEnded{0, part}); }

    void cite(const Value& citation, std::optional<std::uint32_t> part) {
        if (citation.is_object())
            events_->emplace_back(canon::Aside{
                std::string(kName), "citations", std::string(citation.raw()), 0, part});
    }

    void fail_with(canon::Failure failure) {
        events_->emplace_back(canon::Failed{std::move(failure)});
    }

    /// `fields`: the reply, or the delta of a stream's last event.
    void finish(const Value& fields) {
        if (fields["usage"].is_object())
            events_->emplace_back(canon::UsageReported{usage_of(fields["usage"]), "",
                canon::Opaque{std::string(kName), "usage", std::string(fields["usage"].raw())}});
        if (!fields["logprobs"].is_null())
            events_->emplace_back(canon::Aside{
                std::string(kName), "logprobs", std::string(fields["logprobs"].raw()), 0});
        const std::string_view word = fields["finish_reason"].string();
        const std::string_view error = fields["error"].string();
        if (word == "ERROR" || word == "TIMEOUT" || !error.empty()) {
            canon::Failure failure;
            failure.kind =
                word == "TIMEOUT" ? canon::FailureKind::kTimeout : canon::FailureKind::kServer;
            failure.status = word == "TIMEOUT" ? 504 : 500;
            failure.code = word;
            failure.message = error.empty() ? "the model broke off its answer" : error;
            fail_with(std::move(failure));
            return;
        }
        events_->emplace_back(canon::Finished{0, stop_reason_of(word), std::string(word), ""});
        events_->emplace_back(canon::Ended{});
    }

private:
    Events* events_ = nullptr;
    std::uint32_t next_part_ = 0;
    bool has_started_ = false;
};

class WholeDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, Events&) override {
        if (body_.size() + bytes.size() > kBodyBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kBodyBytesMax));
        body_ += bytes;
        return {};
    }

    Status finish(Events& events) override {
        const auto document = json::Document::parse(std::move(body_));
        if (!document) return malformed("is no JSON: " + document.error().message);
        const Value& reply = document->root();
        const Value& message = reply["message"];
        if (message.is_string()) {  // an error under a 200
            events.emplace_back(canon::Failed{decode_failure(500, {}, reply.raw())});
            return {};
        }
        if (!message.is_object()) return malformed("has no message");
        Reader reader;
        reader.into(events);
        reader.start(reply["id"].string());
        if (const std::string_view plan = message[kToolPlan].string(); !plan.empty()) {
            const std::uint32_t part = reader.begin_plan();
            reader.delta(part, plan);
            reader.end(part);
        }
        std::int64_t index = 0;
        bool is_first_text = true;
        for (const Value& block : message["content"].items()) {
            const bool is_thought = block["type"].string() == "thinking";
            const std::uint32_t part =
                reader.begin(is_thought ? PartKind::kThought : PartKind::kText);
            reader.delta(part, (is_thought ? block["thinking"] : block["text"]).string());
            if (!is_thought) {
                // Older models say no block: they write one text.
                for (const Value& citation : message["citations"].items())
                    if (citation["content_index"].as_int().value_or(is_first_text ? index : -1) ==
                        index)
                        reader.cite(citation, part);
                is_first_text = false;
            }
            reader.end(part);
            ++index;
        }
        for (const Value& call : message["tool_calls"].items()) {
            const std::uint32_t part = reader.begin(PartKind::kToolCall, call);
            const std::string_view arguments = call["function"]["arguments"].string();
            reader.delta(part, arguments.empty() ? "{}" : arguments);
            reader.end(part);
        }
        reader.finish(reply);
        return {};
    }

private:
    std::string body_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, Events& events) override {
        reader_.into(events);
        seen_.clear();
        const Status fed = parser_.feed(bytes, seen_);
        for (const framing::SseEvent& event : seen_) ENTREPOT_TRY_DO(take(event));
        return fed;
    }

    Status finish(Events& events) override {
        reader_.into(events);
        seen_.clear();
        parser_.finish(seen_);
        for (const framing::SseEvent& event : seen_) ENTREPOT_TRY_DO(take(event));
        if (!is_over_) return malformed("stopped before its end (no message-end)");
        return {};
    }

private:
    struct Open {
        std::uint32_t part = 0;
        bool has_text = false;
    };

    Status take(const framing::SseEvent& event) {
        if (is_over_ || !event.has_data || event.data == "[DONE]") return {};
        const auto document = json::Document::parse_in_place(event.data);
        if (!document || !document->root().is_object())
            return malformed(event.is_complete ? "holds an event that is no JSON object"
                                               : "stopped inside an event");
        return read(document->root(), event.name);
    }

    Status read(const Value& data, std::string_view name) {
        const std::string_view type = data["type"].is_string() ? data["type"].string() : name;
        const Value& delta = data["delta"];
        const Value& message = delta["message"];
        const std::int64_t index = data["index"].as_int().value_or(0);
        if (type == "message-start") {
            reader_.start(data["id"].string());
        } else if (type == "tool-plan-delta") {
            plan(message[kToolPlan].string());
        } else if (type == "content-start") {
            return start_content(index, message["content"]);
        } else if (type == "content-delta") {
            add(content_, index, message["content"]);
        } else if (type == "content-end") {
            end(content_, index);
        } else if (type == "tool-call-start") {
            return start_call(index, message["tool_calls"]);
        } else if (type == "tool-call-delta") {
            const Value& fragment = message["tool_calls"]["function"]["arguments"];
            if (const auto open = calls_.find(index); open != calls_.end()) {
                open->second.has_text |= !fragment.string().empty();
                reader_.delta(open->second.part, fragment.string());
            }
        } else if (type == "tool-call-end") {
            end_call(index);
        } else if (type == "citation-start") {
            cite(message["citations"]);
        } else if (type == "message-end") {
            end_all();
            reader_.start("");
            reader_.finish(delta);
            is_over_ = true;
        } else if (type.empty() && data["message"].is_string()) {
            reader_.fail_with(decode_failure(500, {}, data.raw()));
            is_over_ = true;
        }
        return {};  // what a later version adds
    }

    Status check_open() const {
        if (content_.size() + calls_.size() < kOpenPartsMax) return {};
        return malformed(fmt::format("has more than {} parts open", kOpenPartsMax));
    }

    void plan(std::string_view text) {
        reader_.start("");
        if (text.empty()) return;
        if (!plan_) plan_ = reader_.begin_plan();
        reader_.delta(*plan_, text);
    }

    void end_plan() {
        if (plan_) reader_.end(*plan_);
        plan_.reset();
    }

    Status start_content(std::int64_t index, const Value& content) {
        ENTREPOT_TRY_DO(check_open());
        reader_.start("");
        end_plan();
        end(content_, index);
        const bool is_thought = content["type"].string() == "thinking";
        Open open{reader_.begin(is_thought ? PartKind::kThought : PartKind::kText)};
        if (!is_thought) last_text_ = open.part;
        texts_[index] = open.part;
        if (texts_.size() > kOpenPartsMax) texts_.erase(texts_.begin());
        reader_.delta(open.part, (is_thought ? content["thinking"] : content["text"]).string());
        content_[index] = open;
        return {};
    }

    void add(std::map<std::int64_t, Open>& parts, std::int64_t index, const Value& content) {
        const auto open = parts.find(index);
        if (open == parts.end()) return;
        reader_.delta(open->second.part, content["text"].string());
        reader_.delta(open->second.part, content["thinking"].string());
    }

    void end(std::map<std::int64_t, Open>& parts, std::int64_t index) {
        const auto open = parts.find(index);
        if (open == parts.end()) return;
        reader_.end(open->second.part);
        parts.erase(open);
    }

    Status start_call(std::int64_t index, const Value& call) {
        ENTREPOT_TRY_DO(check_open());
        reader_.start("");
        end_plan();
        end_call(index);
        Open open{reader_.begin(PartKind::kToolCall, call)};
        const std::string_view arguments = call["function"]["arguments"].string();
        open.has_text = !arguments.empty();
        reader_.delta(open.part, arguments);
        calls_[index] = open;
        return {};
    }

    void end_call(std::int64_t index) {
        const auto open = calls_.find(index);
        if (open == calls_.end()) return;
        // A call without arguments has none in its stream.
        if (!open->second.has_text) reader_.delta(open->second.part, "{}");
        end(calls_, index);
    }

    void cite(const Value& citations) {
        reader_.start("");
        // One, but the name says that there may be more.
        const auto part_of = [&](const Value& citation) {
            const auto index = citation["content_index"].as_int();
            const auto text = index ? texts_.find(*index) : texts_.end();
            return text == texts_.end() ? last_text_ : std::optional(text->second);
        };
        reader_.cite(citations, part_of(citations));
        for (const Value& citation : citations.items()) reader_.cite(citation, part_of(citation));
    }

    void end_all() {
        end_plan();
        while (!content_.empty()) end(content_, content_.begin()->first);
        while (!calls_.empty()) end_call(calls_.begin()->first);
    }

    framing::SseParser parser_;
    std::vector<framing::SseEvent> seen_;
    Reader reader_;
    std::optional<std::uint32_t> plan_;
    std::optional<std::uint32_t> last_text_;
    std::map<std::int64_t, Open> content_;
    std::map<std::int64_t, Open> calls_;
    std::map<std::int64_t, std::uint32_t> texts_;  // parts by their index in the message
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyDecoder> reply_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>();
    return std::make_unique<StreamDecoder>();
}

}  // namespace entrepot::dialect::cohere
