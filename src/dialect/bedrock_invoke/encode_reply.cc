#include <fmt/format.h>

#include "base/text.h"
#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/bedrock_invoke/formats.h"
#include "dialect/bedrock_invoke/metrics.h"
#include "dialect/bedrock_invoke/text_reply.h"
#include "dialect/bedrock_invoke/titan_embed.h"
#include "framing/event_stream.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

/// The family in which the client wants its answer: that of its own body; else its model's.
Family family_for(const ReplyContext& context) {
    Family family = family_named(context.family);
    if (family == Family::kUnknown) family = family_of_model(context.model);
    const bool is_one = family != Family::kUnknown && family != Family::kNone;
    return is_one ? family : Family::kMessages;
}

const Dialect* delegate_of(const Delegates& delegates, Family family) {
    switch (family) {
        case Family::kMessages: return delegates.messages;
        case Family::kNova: return delegates.converse;
        case Family::kChat:
        case Family::kMistralChat: return delegates.chat;
        case Family::kCohereEmbed: return delegates.embed;
        default: return nullptr;
    }
}

/// Embed 4 answers by type where older ones give one list.
std::string embed_form(const ReplyContext& context) {
    return context.model.find("embed-v4") == std::string::npos ? "floats" : "types";
}

/// Adds a member to a JSON object's text.
void append_member(std::string& object, std::string_view name, std::string_view json) {
    if (!object.ends_with('}')) return;
    object.pop_back();
    if (!object.ends_with('{')) object += ',';
    object += json::quoted(name);
    object += ':';
    object += json;
    object += '}';
}

class Encoder final : public ReplyEncoder {
public:
    Encoder(const Delegates& delegates, ReplyForm form, const ReplyContext& context)
        : delegates_(delegates),
          form_(form),
          family_(family_for(context)),
          text_(family_, context.id) {
        if (const Dialect* inside = delegate_of(delegates, family_); inside != nullptr) {
            ReplyContext inner = context;
            inner.wants_usage = true;  // the body's own, which no client here can ask away
            if (family_ == Family::kCohereEmbed) inner.family = embed_form(context);
            inner_ = inside->reply_encoder(form, inner);
        } else if (family_ == Family::kTitanEmbed) {
            inner_ = titan_embed_encoder(context);
        }
    }

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_) return;
        if (const auto* aside = std::get_if<canon::Aside>(&event);
            aside != nullptr && aside->origin == kName && aside->key.starts_with(kOwnPrefix)) {
            keep(*aside);
            return;
        }
        if (const auto* reported = std::get_if<canon::UsageReported>(&event))
            usage_ = reported->usage;
        if (const auto* failed = std::get_if<canon::Failed>(&event)) {
            is_over_ = true;
            fail_with(event, failed->failure, out);
            return;
        }
        documents_.clear();
        write(event);
        is_over_ = std::holds_alternative<canon::Ended>(event);
        if (form_ == ReplyForm::kStream)
            put_stream(out);
        else if (is_over_)
            put_whole(out);
    }

    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return inner_ != nullptr ? inner_->dropped() : text_.dropped();
    }

    [[nodiscard]] std::vector<Header> headers() const override {
        return form_ == ReplyForm::kWhole && has_written_ ? headers_of(usage_)
                                                          : std::vector<Header>();
    }

private:
    void keep(const canon::Aside& aside) {
        if (aside.key == kMetrics) {
            metrics_ = aside.json;
            return;
        }
        if (aside.key == kGuardrailAction && aside.json == R"("INTERVENED")") text_.keep_words();
        kept_.emplace_back(aside.key, aside.json);
    }

    void fail_with(const canon::Event& event, const canon::Failure& failure, std::string& out) {
        if (form_ == ReplyForm::kWhole)
            out += delegates_.converse->encode_failure(failure);
        else
            delegates_.converse->reply_encoder(ReplyForm::kStream, {})->add(event, out);
    }

    /// The family's own documents for an event.
    void write(const canon::Event& event) {
        if (inner_ == nullptr) {
            if (form_ == ReplyForm::kStream)
                text_.add_to_stream(event, documents_);
            else
                text_.add_to_whole(event, documents_);
            return;
        }
        std::string bytes;
        inner_->add(event, bytes);
        if (bytes.empty()) return;
        if (form_ == ReplyForm::kWhole) {
            if (family_ == Family::kNova) bytes = nova_of_converse(bytes);
            if (family_ == Family::kMistralChat) bytes = mistral_of_chat(bytes, form_);
            documents_.push_back(std::move(bytes));
        } else if (family_ == Family::kNova) {
            unframe_converse(bytes);
        } else {
            unframe_sse(bytes);
        }
    }

    void unframe_converse(std::string_view bytes) {
        framing::EventStreamParser parser;
        std::vector<framing::EventStreamMessage> messages;
        if (!parser.feed(bytes, messages)) return;
        for (const framing::EventStreamMessage& message : messages) {
            const std::string_view type = message.find(":event-type");
            std::string payload(message.payload);
            if (type == "metadata") {
                payload = nova_of_converse(payload);
                append_member(payload, "metrics", "{}");
                append_member(payload, "trace", "{}");
            }
            std::string document = "{}";
            append_member(document, type, payload);
            documents_.push_back(std::move(document));
        }
    }

    void unframe_sse(std::string_view bytes) {
        framing::SseParser parser;
        std::vector<framing::SseEvent> events;
        if (!parser.feed(bytes, events)) return;
        for (const framing::SseEvent& event : events) {
            if (!event.has_data || event.data == "[DONE]") continue;
            documents_.push_back(family_ == Family::kMistralChat
                    ? mistral_of_chat(std::string(event.data), form_)
                    : std::string(event.data));
        }
    }

    void put_stream(std::string& out) {
        if (is_over_) {
            if (documents_.empty()) documents_.emplace_back("{}");
            for (const auto& [name, json] : kept_) append_member(documents_.back(), name, json);
            append_member(documents_.back(), kMetrics, metrics_of(usage_, metrics_));
        }
        for (const std::string& document : documents_)
            framing::append_event_stream_event(
                out, "chunk", fmt::format(R"({{"bytes":"{}"}})", base64_encode(document)));
    }

    void put_whole(std::string& out) {
        std::string body = documents_.empty() ? std::string("{}") : std::move(documents_.back());
        for (const auto& [name, json] : kept_) append_member(body, name, json);
        out += body;
        has_written_ = true;
    }

    const Delegates delegates_;
    ReplyForm form_;
    Family family_;
    TextWriter text_;
    std::unique_ptr<ReplyEncoder> inner_;
    std::vector<std::pair<std::string, std::string>> kept_;
    std::vector<std::string> documents_;
    canon::Usage usage_;
    std::string metrics_;  ///< as the supplier stated them
    bool is_over_ = false;
    bool has_written_ = false;
};

}  // namespace

std::unique_ptr<ReplyEncoder> reply_encoder(
    const Delegates& delegates, ReplyForm form, const ReplyContext& context) {
    return std::make_unique<Encoder>(delegates, form, context);
}

}  // namespace entrepot::dialect::bedrock_invoke
