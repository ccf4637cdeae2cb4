// The supplier's bytes become events, the events the client's bytes.
#include <algorithm>

#include "gateway/failure.h"
#include "gateway/lane.h"

namespace entrepot::gateway {
void Seen::add(const canon::Event& event) {
    if (consumed.names != nullptr) consumed.names->add(event);
    if (const auto* reported = std::get_if<canon::UsageReported>(&event)) {
        consumed.usage = reported->usage;
        if (!reported->service_tier.empty()) consumed.service_tier = reported->service_tier;
        consumed.is_reported = true;
    } else if (const auto* delta = std::get_if<canon::PartDelta>(&event)) {
        consumed.answer_bytes += static_cast<std::int64_t>(delta->text.size());
        if (media_.empty() ||
            std::ranges::find(media_, std::pair(delta->choice, delta->part)) == media_.end())
            text_bytes += static_cast<std::int64_t>(delta->text.size());
        has_content = true;
    } else if (const auto* failed = std::get_if<canon::Failed>(&event)) {
        failure = failed->failure;
    } else if (const auto* part = std::get_if<canon::PartStarted>(&event)) {
        if (part->kind == canon::PartKind::kMedia) media_.emplace_back(part->choice, part->part);
        has_content = true;
    } else if (std::holds_alternative<canon::Finished>(event) ||
        std::holds_alternative<canon::Outcome>(event)) {
        has_content = true;
    } else if (std::holds_alternative<canon::Ended>(event)) {
        has_ended = true;
    }
}

std::int64_t Seen::answer_tokens_min() const {
    return std::max(consumed.usage.answer_tokens(), text_bytes / kBytesPerTokenMax);
}

Consumption Seen::consumption(bool is_over) const {
    Consumption result = consumed;
    // The reports of a stream that did not end are of its beginning (Anthropic's message_start):
    // not the usage.
    result.is_reported = result.is_reported && (is_over || has_ended);
    return result;
}

namespace {

class TranslatedLane final : public StreamLane {
public:
    TranslatedLane(const dialect::Dialect& from, const dialect::Dialect& to,
        const dialect::ReplyContext& context)
        : decoder_(from.reply_decoder(dialect::ReplyForm::kStream)),
          encoder_(to.reply_encoder(dialect::ReplyForm::kStream, context)) {}

    void take_headers(std::span<const dialect::Header> headers) override {
        decoder_->take_headers(headers);
    }
    void keep_names() override { seen_.keep_names(); }
    Status feed(std::string_view bytes, bool is_over, std::string_view& out) override {
        if (has_begun()) out_.clear();
        thread_local std::vector<canon::Event> events;  // used up within this call
        events.clear();
        Status fed;
        if (!bytes.empty()) fed = decoder_->feed(bytes, events);
        if (fed && is_over) fed = decoder_->finish(events);
        for (const canon::Event& event : events) {
            seen_.add(event);
            if (past_) past_->add(event);
            // A failure is not encoded yet: before the first byte it may be another offer's turn.
            if (!std::holds_alternative<canon::Failed>(event)) encoder_->add(event, out_);
        }
        out = out_;
        if (seen_.failure) return std::unexpected(error_of(*seen_.failure));
        return fed;
    }
    bool has_begun() const override { return seen_.has_content; }
    bool is_complete() const override { return seen_.has_ended; }
    bool may_end_here() const override { return seen_.has_ended || decoder_->may_end_here(); }
    const canon::Failure* failure() const override {
        return seen_.failure ? &*seen_.failure : nullptr;
    }
    Consumption consumption(bool is_over) const override { return seen_.consumption(is_over); }
    void prepare_cut() override { past_.emplace(false); }
    std::int64_t answer_tokens_min() const override { return seen_.answer_tokens_min(); }
    const canon::Usage* usage_so_far() const override { return seen_.usage_so_far(); }
    bool may_cut() const override { return past_.has_value(); }
    std::string cut(const canon::Usage& used) override {
        return out_ + past_->end(*encoder_, used);
    }
    std::string_view keep_alive() override {
        out_ = encoder_->keep_alive();
        return out_;
    }
    std::string last_event(const canon::Failure& failure) override {
        std::string out;
        const canon::Event event = canon::Failed{failure};
        encoder_->add(event, out);
        return out;
    }
    std::span<const std::string> dropped() const override { return encoder_->dropped(); }

private:
    std::unique_ptr<dialect::ReplyDecoder> decoder_;
    std::unique_ptr<dialect::ReplyEncoder> encoder_;
    Seen seen_;
    std::optional<Past> past_;
    std::string out_;
};

}  // namespace

std::unique_ptr<StreamLane> make_translated_lane(const dialect::Dialect& from,
    const dialect::Dialect& to, const dialect::ReplyContext& context) {
    return std::make_unique<TranslatedLane>(from, to, context);
}

WholeReply carry_translated(const dialect::Dialect& from, const dialect::Dialect& to,
    const dialect::ReplyContext& context, std::span<const dialect::Header> head,
    std::string_view body, bool keeps_names) {
    WholeReply reply;
    Seen seen;
    if (keeps_names) seen.keep_names();
    std::vector<canon::Event> events;
    events.reserve(16);
    const auto decoder = from.reply_decoder(dialect::ReplyForm::kWhole);
    if (!head.empty()) decoder->take_headers(head);
    reply.status = decoder->feed(body, events);
    if (reply.status) reply.status = decoder->finish(events);
    const auto encoder = to.reply_encoder(dialect::ReplyForm::kWhole, context);
    std::string& out = reply.made.emplace();
    out.reserve(body.size() + 256);  // the dialects say the same in about as many words
    for (const canon::Event& event : events) {
        seen.add(event);
        encoder->add(event, out);
    }
    reply.failure = std::move(seen.failure);
    reply.consumed = std::move(seen.consumed);
    // What a reply that broke off states is no more than a floor.
    if (!reply.status) reply.consumed.is_reported = reply.consumed.is_reported && seen.has_ended;
    reply.dropped = encoder->dropped();
    reply.headers = encoder->headers();
    reply.content_type = encoder->content_type();
    return reply;
}

}  // namespace entrepot::gateway
