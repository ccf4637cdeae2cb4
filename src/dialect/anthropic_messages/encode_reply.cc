#include "dialect/anthropic_messages/encode_reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "dialect/anthropic_messages/failure.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/anthropic_messages/usage.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::PartKind;
using canon::StopReason;

std::string_view word_of(StopReason reason) {
    switch (reason) {
        case StopReason::kStop:
        case StopReason::kOther: return "end_turn";
        case StopReason::kStopSequence: return "stop_sequence";
        case StopReason::kLength: return "max_tokens";
        case StopReason::kToolCalls:
        case StopReason::kMalformed: return "tool_use";
        case StopReason::kContentFilter:
        case StopReason::kRefusal: return "refusal";
        case StopReason::kPause: return "pause_turn";
        case StopReason::kContextExceeded: return "model_context_window_exceeded";
    }
    return "end_turn";
}

bool is_ours(const std::optional<canon::Signature>& signature) {
    return signature && signature->origin == kName;
}

// An object, always: what the model wrote may have been cut, and a client's SDK reads an object.
bool is_object(std::string_view json) {
    const auto document = json::Document::parse(std::string(json));
    return document && document->root().is_object();
}

// What both forms share: the parts of the message, and what has no place in it.
class EncoderBase : public ReplyEncoder {
public:
    explicit EncoderBase(const ReplyContext& context) : context_(context) {}
    const std::vector<std::string>& dropped() const override { return dropped_; }

protected:
    void drop(std::string name) {
        if (std::ranges::find(dropped_, name) == dropped_.end())
            dropped_.push_back(std::move(name));
    }

    void write_envelope_head(json::Writer& writer, const canon::Started& started) const {
        writer.member("id", started.id.empty() ? context_.id : started.id);
        writer.member("type", "message");
        writer.member("role", "assistant");
        writer.member("model", context_.model.empty() ? started.model : context_.model);
    }

    static void write_stop(json::Writer& writer, const std::optional<canon::Finished>& finished) {
        if (!finished) {
            writer.member_null("stop_reason").member_null("stop_sequence");
            return;
        }
        writer.member("stop_reason", word_of(finished->reason));
        if (finished->stop_sequence.empty()) {
            writer.member_null("stop_sequence");
        } else {
            writer.member("stop_sequence", finished->stop_sequence);
        }
    }

    // Asides of this dialect that belong to the message and not to one of its blocks.
    static bool is_envelope_key(std::string_view key) {
        return key == "stop_details" || key == "container" || key == "context_management";
    }

    ReplyContext context_;
    std::vector<std::string> dropped_;
};

class WholeEncoder final : public EncoderBase {
public:
    using EncoderBase::EncoderBase;

    void add(const canon::Event& event, std::string& out) override {
        if (const auto* aside = std::get_if<canon::Aside>(&event)) {
            keep(*aside);
            return;
        }
        if (is_of_other_choice(event)) {
            drop("choices");
            return;
        }
        reply_.add(event);
        if (std::holds_alternative<canon::PartStarted>(event)) {
            citations_.emplace_back();
            callers_.emplace_back();
        }
        if (reply_.failure) {
            out += encode_failure(*reply_.failure);
        } else if (std::holds_alternative<canon::Ended>(event)) {
            write(out);
        }
    }

    static bool is_of_other_choice(const canon::Event& event) {
        return std::visit(
            [](const auto& e) {
                if constexpr (requires { std::uint32_t{e.choice}; }) {
                    return e.choice != 0;
                } else {
                    return false;
                }
            },
            event);
    }

private:
    void keep(const canon::Aside& aside) {
        if (aside.origin != kName) {
            drop(aside.key);
        } else if (is_envelope_key(aside.key)) {
            envelope_.emplace_back(aside.key, aside.json);
        } else if (aside.key == "citations" && !citations_.empty()) {
            citations_.back().push_back(aside.json);
        } else if (aside.key == "caller" && !callers_.empty()) {
            callers_.back() = aside.json;
        } else {
            drop(aside.key);
        }
    }

    void write(std::string& out) {
        json::Writer writer(out);
        writer.begin_object();
        write_envelope_head(writer, reply_.started);
        writer.key("content").begin_array();
        const canon::Reply::Choice none;
        const canon::Reply::Choice& choice = reply_.choices.empty() ? none : reply_.choices.front();
        for (std::size_t i = 0; i < choice.parts.size(); ++i)
            write_part(writer, choice.parts[i], i);
        writer.end_array();
        write_stop(writer, choice.finished);
        for (const auto& [key, json] : envelope_) writer.member_raw(key, json);
        writer.key("usage");
        write_usage(writer, reply_.usage);
        writer.end_object();
    }

    void write_part(json::Writer& writer, const canon::Reply::Part& part, std::size_t index) {
        switch (part.start.kind) {
            case PartKind::kText:
            case PartKind::kRefusal: write_text(writer, part, index); return;
            case PartKind::kThought: write_thought(writer, part); return;
            case PartKind::kToolCall: write_call(writer, part, index); return;
            case PartKind::kMedia: drop("media"); return;
            case PartKind::kOpaque:
                if (part.start.opaque && part.start.opaque->origin == kName) {
                    writer.raw(part.start.opaque->json);
                } else {
                    drop(part.start.opaque ? part.start.opaque->kind : "opaque");
                }
                return;
        }
    }

    void write_text(json::Writer& writer, const canon::Reply::Part& part, std::size_t index) {
        if (part.text.empty()) return;  // such a block could not be sent back
        writer.begin_object().member("type", "text").member("text", part.text);
        if (!citations_[index].empty()) {
            writer.key("citations").begin_array();
            for (const std::string& citation : citations_[index]) writer.raw(citation);
            writer.end_array();
        }
        writer.end_object();
    }

    void write_thought(json::Writer& writer, const canon::Reply::Part& part) {
        if (part.start.is_redacted) {
            if (!is_ours(part.signature)) {
                drop("reasoning.encrypted");
                return;
            }
            writer.begin_object().member("type", "redacted_thinking");
            writer.member("data", part.signature->data).end_object();
            return;
        }
        if (part.signature && !is_ours(part.signature)) drop("reasoning.signature");
        if (part.text.empty() && !is_ours(part.signature)) return;  // nothing of it is shown
        writer.begin_object().member("type", "thinking").member("thinking", part.text);
        writer.member("signature", is_ours(part.signature) ? part.signature->data : "");
        writer.end_object();
    }

    void write_call(json::Writer& writer, const canon::Reply::Part& part, std::size_t index) {
        writer.begin_object().member("type", "tool_use").member("id", part.start.call_id);
        writer.member("name", part.start.name);
        writer.key("input");
        if (part.start.is_custom) {
            writer.begin_object().member("input", part.text).end_object();
        } else if (part.text.empty()) {
            writer.raw("{}");
        } else if (is_object(part.text)) {
            writer.raw(part.text);
        } else {
            drop("tool_calls.arguments");
            writer.raw("{}");
        }
        if (!callers_[index].empty()) writer.member_raw("caller", callers_[index]);
        writer.end_object();
    }

    canon::Reply reply_;
    std::vector<std::vector<std::string>> citations_;  // by part, in order of start
    std::vector<std::string> callers_;
    std::vector<std::pair<std::string, std::string>> envelope_;
};

// Blocks of this dialect never overlap. Text gives way to what starts after it and is opened again
// if more comes; a tool call cannot be, so what starts beside one waits until it has ended.
class StreamEncoder final : public EncoderBase {
public:
    using EncoderBase::EncoderBase;

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_) return;
        if (WholeEncoder::is_of_other_choice(event)) {
            drop("choices");
            return;
        }
        out_ = &out;
        if (const auto* started = std::get_if<canon::Started>(&event)) {
            started_ = *started;
            return;  // until the next event, which may bring the prompt's usage
        }
        if (const auto* usage = std::get_if<canon::UsageReported>(&event)) usage_ = usage->usage;
        open_message();
        if (const auto* part = std::get_if<canon::PartStarted>(&event)) {
            start(*part);
        } else if (const auto* more = std::get_if<canon::PartDelta>(&event)) {
            feed(more->part, [&](Part& p) { p.waiting += more->text; });
        } else if (const auto* proof = std::get_if<canon::PartSignature>(&event)) {
            feed(proof->part, [&](Part& p) { p.signature = proof->signature; });
        } else if (const auto* ended = std::get_if<canon::PartEnded>(&event)) {
            feed(ended->part, [&](Part& p) { p.has_ended = true; });
        } else if (const auto* finished = std::get_if<canon::Finished>(&event)) {
            finished_ = *finished;
            end_parts();
        } else if (const auto* aside = std::get_if<canon::Aside>(&event)) {
            keep(*aside);
        } else if (const auto* failed = std::get_if<canon::Failed>(&event)) {
            framing::append_sse(out, "error", encode_failure(failed->failure));
            is_over_ = true;
        } else if (std::holds_alternative<canon::Ended>(event)) {
            end_message();
        }
    }

private:
    struct Part {
        canon::PartStarted start;
        std::string waiting;  // text that is not written yet
        std::optional<canon::Signature> signature;
        std::vector<std::string> citations;
        bool is_open = false;
        bool has_ended = false;
    };

    template <typename Write>
    void event(std::string_view type, Write write) {
        std::string data;
        json::Writer writer(data);
        writer.begin_object().member("type", type);
        write(writer);
        writer.end_object();
        framing::append_sse(*out_, type, data);
    }

    void open_message() {
        if (is_message_open_) return;
        is_message_open_ = true;
        event("message_start", [&](json::Writer& writer) {
            writer.key("message").begin_object();
            write_envelope_head(writer, started_);
            writer.key("content").begin_array().end_array();
            write_stop(writer, std::nullopt);
            writer.key("usage");
            write_usage(writer, usage_);
            writer.end_object();
        });
    }

    void start(const canon::PartStarted& started) {
        // What is not a tool call gives way at once.
        if (!parts_.empty() && parts_.front().is_open &&
            parts_.front().start.kind != PartKind::kToolCall) {
            close(parts_.front());
            past_.push_back(parts_.front().start);
            parts_.pop_front();
        }
        parts_.push_back({.start = started});
        advance();
    }

    template <typename Change>
    void feed(std::uint32_t number, Change change) {
        auto found = std::ranges::find_if(
            parts_, [&](const Part& part) { return part.start.part == number; });
        if (found == parts_.end()) {
            const auto past = std::ranges::find_if(
                past_, [&](const canon::PartStarted& start) { return start.part == number; });
            if (past == past_.end()) return;
            Part again{.start = *past};
            change(again);
            if (again.waiting.empty()) return;  // its end only, which it had
            past_.erase(past);
            parts_.push_back(std::move(again));
        } else {
            change(*found);
        }
        advance();
    }

    // Writes what the front part may show; when it has ended, the next one's turn has come.
    void advance() {
        while (!parts_.empty()) {
            Part& part = parts_.front();
            if (!write(part)) return;
            if (!part.has_ended) return;
            close(part);
            parts_.pop_front();
        }
    }

    // False: it waits for its signature.
    bool write(Part& part) {
        const bool is_redacted = part.start.kind == PartKind::kThought && part.start.is_redacted;
        if (is_redacted && !part.signature && !part.has_ended) return false;
        if (is_redacted && !is_ours(part.signature)) {
            drop("reasoning.encrypted");
            return true;
        }
        if (part.start.kind == PartKind::kMedia) {
            drop("media");
            return true;
        }
        if (part.start.kind == PartKind::kOpaque) return write_opaque(part);
        // A block that never gets text (or, of a thought, a signature) is not opened: it could not
        // be sent back.
        const bool is_empty = part.start.kind != PartKind::kToolCall && part.waiting.empty() &&
            part.citations.empty() && !is_ours(part.signature);
        if (!part.is_open && !is_empty) {
            open(part);
        }
        if (!part.is_open) return true;
        for (const std::string& citation : part.citations) {
            delta("citations_delta", [&](json::Writer& w) { w.member_raw("citation", citation); });
        }
        part.citations.clear();
        if (!part.waiting.empty()) write_text(part);
        if (part.signature && !is_redacted) {
            if (is_ours(part.signature)) {
                delta("signature_delta",
                    [&](json::Writer& w) { w.member("signature", part.signature->data); });
            } else {
                drop("reasoning.signature");
            }
            part.signature.reset();
        }
        return true;
    }

    void write_text(Part& part) {
        if (part.start.kind == PartKind::kToolCall && part.start.is_custom && !part.has_ended) {
            return;  // free text becomes a JSON string, which is written whole
        }
        std::string text = std::move(part.waiting);
        part.waiting.clear();
        switch (part.start.kind) {
            case PartKind::kThought:
                delta("thinking_delta", [&](json::Writer& w) { w.member("thinking", text); });
                break;
            case PartKind::kToolCall:
                if (part.start.is_custom) text = "{\"input\":" + json::quoted(text) + "}";
                delta("input_json_delta", [&](json::Writer& w) { w.member("partial_json", text); });
                break;
            default: delta("text_delta", [&](json::Writer& w) { w.member("text", text); }); break;
        }
    }

    void open(Part& part) {
        part.is_open = true;
        event("content_block_start", [&](json::Writer& writer) {
            writer.member("index", index_);
            writer.key("content_block").begin_object();
            switch (part.start.kind) {
                case PartKind::kThought:
                    if (part.start.is_redacted) {
                        writer.member("type", "redacted_thinking");
                        writer.member("data", part.signature->data);
                    } else {
                        writer.member("type", "thinking").member("thinking", "");
                        writer.member("signature", "");
                    }
                    break;
                case PartKind::kToolCall:
                    writer.member("type", "tool_use").member("id", part.start.call_id);
                    writer.member("name", part.start.name).member_raw("input", "{}");
                    break;
                default: writer.member("type", "text").member("text", ""); break;
            }
            writer.end_object();
        });
    }

    bool write_opaque(Part& part) {
        if (part.is_open) return true;
        if (!part.start.opaque || part.start.opaque->origin != kName) {
            drop(part.start.opaque ? part.start.opaque->kind : "opaque");
            return true;
        }
        part.is_open = true;
        event("content_block_start", [&](json::Writer& writer) {
            writer.member("index", index_);
            writer.member_raw("content_block", part.start.opaque->json);
        });
        return true;
    }

    template <typename Write>
    void delta(std::string_view type, Write write) {
        event("content_block_delta", [&](json::Writer& writer) {
            writer.member("index", index_);
            writer.key("delta").begin_object().member("type", type);
            write(writer);
            writer.end_object();
        });
    }

    void close(Part& part) {
        if (!part.is_open) return;
        part.is_open = false;
        event("content_block_stop", [&](json::Writer& writer) { writer.member("index", index_); });
        ++index_;
    }

    void end_parts() {
        for (Part& part : parts_) part.has_ended = true;
        advance();
    }

    void keep(const canon::Aside& aside) {
        if (aside.origin == kName && is_envelope_key(aside.key)) {
            envelope_.emplace_back(aside.key, aside.json);
        } else if (aside.origin == kName && aside.key == "citations" && !parts_.empty()) {
            parts_.back().citations.push_back(aside.json);
            advance();
        } else {
            drop(aside.key);
        }
    }

    void end_message() {
        end_parts();
        event("message_delta", [&](json::Writer& writer) {
            writer.key("delta").begin_object();
            write_stop(writer, finished_);
            for (const auto& [key, json] : envelope_) {
                if (key != "context_management") writer.member_raw(key, json);
            }
            writer.end_object();
            for (const auto& [key, json] : envelope_) {
                if (key == "context_management") writer.member_raw(key, json);
            }
            writer.key("usage");
            write_usage(writer, usage_);
        });
        event("message_stop", [](json::Writer&) {});
        is_over_ = true;
    }

    std::string* out_ = nullptr;
    canon::Started started_;
    canon::Usage usage_;
    std::optional<canon::Finished> finished_;
    std::deque<Part> parts_;
    std::vector<canon::PartStarted> past_;  // gave way before they had ended
    std::vector<std::pair<std::string, std::string>> envelope_;
    std::int64_t index_ = 0;
    bool is_message_open_ = false;
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyEncoder> make_reply_encoder(ReplyForm form, const ReplyContext& context) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeEncoder>(context);
    return std::make_unique<StreamEncoder>(context);
}

}  // namespace entrepot::dialect::anthropic_messages
