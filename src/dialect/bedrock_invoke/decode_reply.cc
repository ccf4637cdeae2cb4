#include <fmt/format.h>

#include <array>

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

using canon::Event;
using json::Value;
using Events = std::vector<Event>;

constexpr std::size_t kBodyBytesMax = std::size_t{32} << 20;

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's reply {}", what));
}

/// What the model says goes on as it comes; its end waits for what Bedrock says of it: a guardrail
/// that changes the reason, counts that the model left out.
class Ending {
public:
    void take_headers(std::span<const Header> headers) { of_headers_ = counts_of_headers(headers); }

    /// Moves on what is not of the end.
    void pass(Events& from, Events& to) {
        for (Event& event : from) {
            if (auto* finished = std::get_if<canon::Finished>(&event)) {
                finished_.push_back(std::move(*finished));
            } else if (std::holds_alternative<canon::Ended>(event)) {
                has_ended_ = true;
            } else {
                has_usage_ |= std::holds_alternative<canon::UsageReported>(event);
                has_failed_ |= std::holds_alternative<canon::Failed>(event);
                to.push_back(std::move(event));
            }
        }
        from.clear();
    }

    void note(const Parted& parted, Events& events) {
        for (const auto& [name, json] : parted.bedrock) {
            if (name == kMetrics)
                if (const auto metrics = json::Document::parse(json))
                    of_metrics_ = counts_of_metrics(metrics->root());
            if (name == kGuardrailAction) has_intervened_ |= json == R"("INTERVENED")";
            events.emplace_back(canon::Aside{std::string(kName), name, json, std::nullopt});
        }
    }

    /// What the body states of its own counts, where it is not for a delegate to say.
    void count(const TextReader& reader) {
        of_body_.input = reader.input();
        of_body_.output = reader.output();
    }

    [[nodiscard]] bool has_failed() const { return has_failed_; }
    [[nodiscard]] bool has_ended() const { return has_ended_; }
    [[nodiscard]] bool has_intervened() const { return has_intervened_; }
    [[nodiscard]] bool has_metrics() const { return !of_metrics_.is_empty(); }

    void write(Events& events) {
        for (canon::Finished& finished : finished_) {
            if (has_intervened_) {
                finished.reason = canon::StopReason::kContentFilter;
                if (finished.raw_reason.empty()) finished.raw_reason = "INTERVENED";
            }
            events.emplace_back(std::move(finished));
        }
        const std::array ranked{of_body_, of_metrics_, of_headers_};
        const bool is_stated =
            !of_body_.is_empty() || !of_metrics_.is_empty() || !of_headers_.is_empty();
        if (!has_usage_ && is_stated) events.emplace_back(canon::UsageReported{usage_of(ranked)});
        events.emplace_back(canon::Ended{});
    }

private:
    std::vector<canon::Finished> finished_;
    Counts of_body_;
    Counts of_metrics_;
    Counts of_headers_;
    bool has_usage_ = false;
    bool has_failed_ = false;
    bool has_ended_ = false;
    bool has_intervened_ = false;
};

class WholeDecoder final : public ReplyDecoder {
public:
    explicit WholeDecoder(const Delegates& delegates) : delegates_(delegates) {}

    void take_headers(std::span<const Header> headers) override { ending_.take_headers(headers); }

    Status feed(std::string_view bytes, Events&) override {
        if (body_.size() + bytes.size() > kBodyBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kBodyBytesMax));
        body_ += bytes;
        return {};
    }

    Status finish(Events& events) override {
        const auto document = json::Document::parse(std::move(body_));
        if (!document) return malformed("is no JSON: " + document.error().message);
        if (!document->root().is_object()) return malformed("is no JSON object");
        const Parted parted = part_from_bedrock(document->root());
        const std::string own =
            parted.own.empty() ? std::string(document->root().raw()) : parted.own;
        const auto reply = json::Document::parse(own);
        if (!reply) return malformed("is no JSON: " + reply.error().message);
        Events given;
        ENTREPOT_TRY_DO(read(reply->root(), own, given));
        ending_.pass(given, events);
        if (ending_.has_failed()) return {};
        ending_.note(parted, events);
        ending_.write(events);
        return {};
    }

private:
    Status read(const Value& reply, const std::string& text, Events& events) {
        const Family family = family_of_reply(reply);
        switch (family) {
            case Family::kMessages: return through(*delegates_.messages, text, events);
            case Family::kNova: return through(*delegates_.converse, text, events);
            case Family::kChat:
            case Family::kMistralChat:
                return through(*delegates_.chat, chat_of_mistral(reply, ReplyForm::kWhole), events);
            case Family::kCohereEmbed: return through(*delegates_.embed, text, events);
            case Family::kTitanEmbed: return read_titan_embed(reply, events);
            case Family::kNone: return malformed("is none of a conversation");
            case Family::kUnknown:
                // An error under a 200 has the shape of Bedrock's errors.
                if (reply["message"].is_string())
                    return through(*delegates_.converse, text, events);
                return malformed(
                    "has the shape of no family of models that is known: " + excerpt(text, 80));
            default: break;
        }
        TextReader reader(family);
        reader.read(reply, events);
        reader.end(events);
        ending_.count(reader);
        return {};
    }

    static Status through(const Dialect& dialect, std::string_view text, Events& events) {
        const auto decoder = dialect.reply_decoder(ReplyForm::kWhole);
        ENTREPOT_TRY_DO(decoder->feed(text, events));
        return decoder->finish(events);
    }

    const Delegates delegates_;
    std::string body_;
    Ending ending_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    explicit StreamDecoder(const Delegates& delegates) : delegates_(delegates) {}

    void take_headers(std::span<const Header> headers) override { ending_.take_headers(headers); }

    Status feed(std::string_view bytes, Events& events) override {
        messages_.clear();
        const Status fed = parser_.feed(bytes, messages_);
        for (const framing::EventStreamMessage& message : messages_)
            ENTREPOT_TRY_DO(take(message, events));
        return fed;
    }

    Status finish(Events& events) override {
        ENTREPOT_TRY_DO(parser_.finish());
        if (ending_.has_failed()) return {};
        if (inner_ != nullptr) {
            const Status finished = inner_->finish(given_);
            ending_.pass(given_, events);
            if (ending_.has_failed()) return {};
            // A guardrail ends a stream where it steps in.
            if (!finished && !ending_.has_intervened()) return finished;
        } else if (text_) {
            if (!text_->is_complete() && !ending_.has_metrics() && !ending_.has_intervened())
                return malformed("ended before its last event");
            text_->end(given_);
            ending_.pass(given_, events);
            ending_.count(*text_);
        } else {
            return malformed("ended before its first event");
        }
        ending_.write(events);
        return {};
    }

private:
    Status take(const framing::EventStreamMessage& message, Events& events) {
        if (ending_.has_failed()) return {};
        const std::string_view type = message.find(":message-type");
        if (type == "exception" || type == "error") {
            // The five that a stream may end with are Converse's as well.
            const auto decoder = delegates_.converse->reply_decoder(ReplyForm::kStream);
            ENTREPOT_TRY_DO(decoder->feed(message.raw, given_));
            ending_.pass(given_, events);
            return {};
        }
        if (message.find(":event-type") != "chunk") return {};  // none that we know
        const auto payload = json::Document::parse(std::string(message.payload));
        std::string chunk;
        if (!payload || !base64_decode(payload->root()["bytes"].string(), chunk))
            return malformed("holds a chunk whose bytes are not base64 in JSON");
        return take_chunk(std::move(chunk), events);
    }

    Status take_chunk(std::string chunk, Events& events) {
        auto document = json::Document::parse(std::move(chunk));
        if (!document || !document->root().is_object())
            return malformed("holds a chunk that is no JSON object");
        const Parted parted = part_from_bedrock(document->root());
        if (!parted.own.empty()) {
            document = json::Document::parse(parted.own);
            if (!document) return malformed("holds a chunk that is no JSON object");
        }
        if (parted.has_more) ENTREPOT_TRY_DO(read(document->root(), events));
        ending_.note(parted, events);
        return {};
    }

    Status read(const Value& reply, Events& events) {
        if (family_ == Family::kUnknown) ENTREPOT_TRY_DO(begin(reply));
        if (text_) {
            text_->read(reply, given_);
            ending_.pass(given_, events);
            return {};
        }
        framed_.clear();
        if (family_ == Family::kNova) {
            for (const json::Member& member : reply.members())
                framing::append_event_stream_event(framed_, member.key, member.value.raw());
        } else if (family_ == Family::kMessages) {
            framing::append_sse(framed_, reply["type"].string(), reply.raw());
        } else {
            framing::append_sse(framed_, {}, chat_of_mistral(reply, ReplyForm::kStream));
        }
        const Status fed = inner_->feed(framed_, given_);
        ending_.pass(given_, events);
        return fed;
    }

    /// The first chunk says which family's stream it is.
    Status begin(const Value& reply) {
        const Family family = family_of_reply(reply);
        switch (family) {
            case Family::kMessages: delegate(*delegates_.messages); break;
            case Family::kNova: delegate(*delegates_.converse); break;
            case Family::kChat:
            case Family::kMistralChat: delegate(*delegates_.chat); break;
            case Family::kTitanEmbed:
            case Family::kCohereEmbed:
            case Family::kNone:
            case Family::kUnknown:
                return malformed("has the shape of no family of models that is known: " +
                    excerpt(reply.raw(), 80));
            default: text_.emplace(family); break;
        }
        family_ = family;
        return {};
    }

    void delegate(const Dialect& dialect) { inner_ = dialect.reply_decoder(ReplyForm::kStream); }

    const Delegates delegates_;
    framing::EventStreamParser parser_;
    std::vector<framing::EventStreamMessage> messages_;
    Family family_ = Family::kUnknown;
    std::unique_ptr<ReplyDecoder> inner_;
    std::optional<TextReader> text_;
    Events given_;
    std::string framed_;
    Ending ending_;
};

}  // namespace

std::unique_ptr<ReplyDecoder> reply_decoder(const Delegates& delegates, ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>(delegates);
    return std::make_unique<StreamDecoder>(delegates);
}

}  // namespace entrepot::dialect::bedrock_invoke
