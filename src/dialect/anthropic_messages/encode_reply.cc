#include "dialect/anthropic_messages/encode_reply.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "dialect/anthropic_messages/failure.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/anthropic_messages/reply_writing.h"
#include "dialect/anthropic_messages/usage.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::PartKind;

// An object, always: what the model wrote may have been cut, and a client's SDK reads an object.
bool is_object(std::string_view json) {
    const auto document = json::Document::parse(std::string(json));
    return document && document->root().is_object();
}

class WholeEncoder final : public ReplyWriting {
public:
    using ReplyWriting::ReplyWriting;

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_ || is_of_other_choice(event)) return;
        if (const auto* aside = std::get_if<canon::Aside>(&event)) {
            keep(*aside);
            return;
        }
        reply_.add(event);
        if (std::holds_alternative<canon::PartStarted>(event)) citations_.emplace_back();
        if (reply_.failure) {
            out += encode_failure(*reply_.failure);
            is_over_ = true;
        } else if (std::holds_alternative<canon::Ended>(event)) {
            write(out);
            is_over_ = true;
        }
    }

private:
    void keep(const canon::Aside& aside) {
        if (keep_in_envelope(aside)) return;
        if (aside.origin == kName && aside.key == "citations" && !citations_.empty()) {
            citations_.back().push_back(aside.json);
        } else {
            drop(aside.key);
        }
    }

    void write(std::string& out) {
        id_ = reply_.started.id.empty() ? context_.id : reply_.started.id;
        json::Writer writer(out);
        writer.begin_object();
        write_envelope_head(writer, reply_.started);
        writer.key("content").begin_array();
        const canon::Reply::Choice none;
        const canon::Reply::Choice& choice = reply_.choices.empty() ? none : reply_.choices.front();
        for (std::size_t i = 0; i < choice.parts.size(); ++i)
            write_part(writer, choice.parts[i], i);
        writer.end_array();
        const bool has_calls = std::ranges::any_of(
            choice.parts, [](const auto& part) { return part.start.kind == PartKind::kToolCall; });
        write_stop(writer, ending(choice.finished, has_calls));
        for (const auto& [key, json] : envelope_) writer.member_raw(key, json);
        writer.key("usage");
        write_usage(writer, reply_.usage, reply_.stated_usage);
        writer.end_object();
    }

    void write_part(json::Writer& writer, const canon::Reply::Part& part, std::size_t index) {
        switch (part.start.kind) {
            case PartKind::kText:
            case PartKind::kRefusal: write_text(writer, part, index); break;
            case PartKind::kThought: write_thought(writer, part); break;
            case PartKind::kToolCall: write_call(writer, part); break;
            case PartKind::kMedia: drop("media"); break;
            case PartKind::kOpaque:
                if (const std::string* block = own_block(part.start)) writer.raw(*block);
                break;
        }
        const bool has_block = !is_text(part.start.kind) || !part.text.empty();
        const std::string proof = proof_behind(part.start, has_block, part.signature);
        if (proof.empty()) return;
        writer.begin_object().member("type", "redacted_thinking").member("data", proof);
        writer.end_object();
    }

    void write_text(json::Writer& writer, const canon::Reply::Part& part, std::size_t index) {
        if (part.text.empty()) return;  // such a block could not be sent back
        writer.begin_object().member("type", "text").member("text", part.text);
        if (!citations_[index].empty()) {
            writer.key("citations").begin_array();
            for (const std::string& citation : citations_[index]) writer.raw(citation);
            writer.end_array();
        }
        write_riders(writer, part.start);
        writer.end_object();
    }

    void write_thought(json::Writer& writer, const canon::Reply::Part& part) {
        const std::string proof = proof_of(part.signature, part.start.is_redacted);
        if (part.start.is_redacted && proof.empty()) {
            drop("reasoning.encrypted");
            return;
        }
        if (part.text.empty() && !part.signature) return;  // nothing of it is shown
        writer.begin_object();
        if (part.start.is_redacted) {
            writer.member("type", "redacted_thinking").member("data", proof);
        } else {
            writer.member("type", "thinking").member("thinking", part.text);
            writer.member("signature", proof);
        }
        write_riders(writer, part.start);
        writer.end_object();
    }

    void write_call(json::Writer& writer, const canon::Reply::Part& part) {
        writer.begin_object();
        write_call_head(writer, part.start);
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
        write_riders(writer, part.start);
        writer.end_object();
    }

    canon::Reply reply_;
    std::vector<std::vector<std::string>> citations_;  // by part, in order of start
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyEncoder> make_reply_encoder(ReplyForm form, const ReplyContext& context) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeEncoder>(context);
    return make_stream_encoder(context);
}

}  // namespace entrepot::dialect::anthropic_messages
