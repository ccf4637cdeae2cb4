// The events of a streamed message, in the order in which Anthropic's own clients put a message
// together: message_start, each block from its start to its stop, message_delta, message_stop.
#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <variant>

#include "dialect/anthropic_messages/failure.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/anthropic_messages/reply_writing.h"
#include "dialect/anthropic_messages/usage.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::PartKind;

// Blocks of this dialect never overlap. Text gives way to what starts after it and is opened again
// if more comes; a tool call cannot be, so what starts beside one waits until it has ended.
class StreamEncoder final : public ReplyWriting {
public:
    using ReplyWriting::ReplyWriting;

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_ || is_of_other_choice(event)) return;
        out_ = &out;
        if (const auto* started = std::get_if<canon::Started>(&event)) {
            started_ = *started;
            return;  // until the next event, which may bring the prompt's usage
        }
        if (const auto* failed = std::get_if<canon::Failed>(&event)) {
            framing::append_sse(out, "error", encode_failure(failed->failure));
            is_over_ = true;
            return;
        }
        if (const auto* usage = std::get_if<canon::UsageReported>(&event)) usage_ = *usage;
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
        } else if (std::holds_alternative<canon::Ended>(event)) {
            end_message();
        }
    }

    std::string keep_alive() override {
        std::string out;
        if (!is_over_) framing::append_sse(out, "ping", R"({"type": "ping"})");
        return out;
    }

private:
    struct Part {
        canon::PartStarted start;
        std::string waiting;  // text that is not written yet
        std::optional<canon::Signature> signature;
        bool has_proof = false;  // of a thought, told
        std::vector<std::string> citations;
        bool is_open = false;
        bool has_written = false;
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
        id_ = started_.id.empty() ? context_.id : started_.id;
        event("message_start", [&](json::Writer& writer) {
            writer.key("message").begin_object();
            write_envelope_head(writer, started_);
            writer.key("content").begin_array().end_array();
            write_stop(writer, std::nullopt);
            writer.key("usage");
            write_usage(writer, usage_.usage, usage_.stated);
            writer.end_object();
        });
    }

    void start(const canon::PartStarted& started) {
        has_calls_ |= started.kind == PartKind::kToolCall;
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
            if (again.waiting.empty() && !again.signature) return;  // its end only, which it had
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

    // False: it waits for its ciphertext.
    bool write(Part& part) {
        switch (part.start.kind) {
            case PartKind::kThought:
                if (part.start.is_redacted) return write_redacted(part);
                // Nor one of a thought of which nothing is shown.
                if (!part.waiting.empty() || part.signature) open(part);
                write_waiting(part);
                if (part.signature) {
                    delta("signature_delta", [&](json::Writer& w) {
                        w.member("signature", proof_of(part.signature, false));
                    });
                    part.has_proof = true;
                    part.signature.reset();
                }
                return true;
            case PartKind::kMedia: drop("media"); return true;
            case PartKind::kOpaque: write_opaque(part); return true;
            case PartKind::kToolCall:
                open(part);
                write_waiting(part);
                break;
            case PartKind::kText:
            case PartKind::kRefusal:
                // A block that never gets text is not opened: it could not be sent back.
                if (!part.waiting.empty() || !part.citations.empty()) open(part);
                for (const std::string& citation : part.citations) {
                    delta("citations_delta",
                        [&](json::Writer& w) { w.member_raw("citation", citation); });
                }
                part.citations.clear();
                write_waiting(part);
                break;
        }
        return true;
    }

    bool write_redacted(Part& part) {
        if (part.is_open) return true;
        if (!part.signature && !part.has_ended) return false;
        if (part.signature) {
            open(part);
        } else {
            drop("reasoning.encrypted");
        }
        return true;
    }

    void write_waiting(Part& part) {
        const PartKind kind = part.start.kind;
        const bool is_custom = kind == PartKind::kToolCall && part.start.is_custom;
        // Free text becomes a JSON string, which is written whole.
        if (is_custom ? !part.has_ended || part.has_written : part.waiting.empty()) return;
        std::string text = std::move(part.waiting);
        part.waiting.clear();
        part.has_written = true;
        if (is_custom) text = "{\"input\":" + json::quoted(text) + "}";
        if (kind == PartKind::kThought) {
            delta("thinking_delta", [&](json::Writer& w) { w.member("thinking", text); });
        } else if (kind == PartKind::kToolCall) {
            delta("input_json_delta", [&](json::Writer& w) { w.member("partial_json", text); });
        } else {
            delta("text_delta", [&](json::Writer& w) { w.member("text", text); });
        }
    }

    void open(Part& part) {
        if (part.is_open) return;
        part.is_open = true;
        event("content_block_start", [&](json::Writer& writer) {
            writer.member("index", index_);
            writer.key("content_block").begin_object();
            if (part.start.kind == PartKind::kToolCall) {
                write_call_head(writer, part.start);
                writer.member_raw("input", "{}");
            } else if (is_text(part.start.kind)) {
                writer.member("type", "text").member("text", "");
            } else if (part.start.is_redacted) {
                writer.member("type", "redacted_thinking");
                writer.member("data", proof_of(part.signature, true));
            } else {
                writer.member("type", "thinking").member("thinking", "").member("signature", "");
            }
            write_riders(writer, part.start);
            writer.end_object();
        });
    }

    void write_opaque(Part& part) {
        if (part.is_open) return;
        const std::string* block = own_block(part.start);
        if (block == nullptr) return;
        part.is_open = true;
        event("content_block_start", [&](json::Writer& writer) {
            writer.member("index", index_).member_raw("content_block", *block);
        });
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
        const bool has_block = part.is_open || part.has_written;
        const bool is_unsigned = part.start.kind == PartKind::kThought && part.is_open &&
            !part.start.is_redacted && !part.has_proof;
        if (is_unsigned)
            delta("signature_delta",
                [&](json::Writer& w) { w.member("signature", proof_of(std::nullopt, false)); });
        if (part.is_open) stop_block();
        part.is_open = false;
        const std::string proof = proof_behind(part.start, has_block, part.signature);
        if (proof.empty()) return;
        event("content_block_start", [&](json::Writer& writer) {
            writer.member("index", index_).key("content_block").begin_object();
            writer.member("type", "redacted_thinking").member("data", proof).end_object();
        });
        stop_block();
    }

    void stop_block() {
        event("content_block_stop", [&](json::Writer& writer) { writer.member("index", index_); });
        ++index_;
    }

    void end_parts() {
        for (Part& part : parts_) part.has_ended = true;
        advance();
    }

    void keep(const canon::Aside& aside) {
        if (keep_in_envelope(aside)) return;
        if (aside.origin == kName && aside.key == "citations" && !parts_.empty()) {
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
            write_stop(writer, ending(finished_, has_calls_));
            for (const auto& [key, json] : envelope_) {
                if (key != "context_management") writer.member_raw(key, json);
            }
            writer.end_object();
            for (const auto& [key, json] : envelope_) {
                if (key == "context_management") writer.member_raw(key, json);
            }
            writer.key("usage");
            write_usage(writer, usage_.usage, usage_.stated);
        });
        event("message_stop", [](json::Writer&) {});
        is_over_ = true;
    }

    std::string* out_ = nullptr;
    canon::Started started_;
    canon::UsageReported usage_;
    std::optional<canon::Finished> finished_;
    std::deque<Part> parts_;
    std::vector<canon::PartStarted> past_;  // gave way before they had ended
    std::int64_t index_ = 0;
    bool has_calls_ = false;
    bool is_message_open_ = false;
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyEncoder> make_stream_encoder(const ReplyContext& context) {
    return std::make_unique<StreamEncoder>(context);
}

}  // namespace entrepot::dialect::anthropic_messages
