// Both sides speak one dialect: the supplier's own bytes, and what its decoder reads in them.
#include <algorithm>

#include "gateway/failure.h"
#include "gateway/lane.h"

namespace entrepot::gateway {
namespace {

/// Where the last event of a text stream begins; 0 when one is all there is.
std::size_t last_event_of(std::string_view bytes) {
    std::size_t end = bytes.find_last_not_of("\r\n");
    if (end == std::string_view::npos) return 0;
    for (const std::string_view gap : {"\n\n", "\r\n\r\n"})
        if (const auto at = bytes.rfind(gap, end); at != std::string_view::npos)
            return at + gap.size();
    return 0;
}

/// Where the frames of an AWS event stream end; each begins with its length.
class Frames {
public:
    void feed(std::string_view bytes) {
        while (!bytes.empty()) {
            if (left_ == 0) {
                length_ = length_ << 8 | static_cast<std::uint8_t>(bytes.front());
                bytes.remove_prefix(1);
                ++pending_;
                if (++length_bytes_ < kLengthBytes) continue;
                // Of less than its own length it is none; then it never ends.
                left_ = length_ > kLengthBytes ? length_ - kLengthBytes : SIZE_MAX;
                length_ = length_bytes_ = 0;
                continue;
            }
            const std::size_t taken = std::min(left_, bytes.size());
            bytes.remove_prefix(taken);
            left_ -= taken;
            pending_ = left_ == 0 ? 0 : pending_ + taken;
        }
    }
    /// Bytes of the frame that is not complete.
    [[nodiscard]] std::size_t pending() const { return pending_; }

private:
    static constexpr std::size_t kLengthBytes = 4;
    std::size_t left_ = 0;
    std::size_t length_ = 0;
    std::size_t length_bytes_ = 0;
    std::size_t pending_ = 0;
};

class PassingLane final : public StreamLane {
public:
    PassingLane(const dialect::Dialect& dialect, const dialect::ReplyContext& context)
        : dialect_(dialect),
          decoder_(dialect.reply_decoder(dialect::ReplyForm::kStream)),
          context_(context) {}

    void take_headers(std::span<const dialect::Header> headers) override {
        decoder_->take_headers(headers);
    }
    void keep_names() override { seen_.keep_names(); }
    Status feed(std::string_view bytes, bool is_over, std::string_view& out) override {
        thread_local std::vector<canon::Event> events;  // used up within this call
        events.clear();
        const bool had_begun = has_begun();
        Status fed;
        if (!bytes.empty()) fed = decoder_->feed(bytes, events);
        if (fed && is_over) fed = decoder_->finish(events);
        for (const canon::Event& event : events) seen_.add(event);
        if (past_) remember(bytes, events);
        out = last_ = {};
        if (seen_.failure && !had_begun) return std::unexpected(error_of(*seen_.failure));
        if (!fed) return fed;
        if (had_begun && !seen_.failure) {
            out = last_ = bytes;
            return {};
        }
        if (had_begun) kept_.clear();
        kept_ += bytes;
        if (seen_.failure && dialect_.stream_content_type == "text/event-stream") {
            const std::size_t at = last_event_of(kept_);
            const std::string shown = scrub_account(std::string_view(kept_).substr(at));
            kept_.replace(at, std::string::npos, shown);
        }
        if (has_begun()) out = last_ = kept_;
        return {};
    }
    bool has_begun() const override { return seen_.has_content; }
    // A failure that was passed on is the end that the client sees.
    bool is_complete() const override { return seen_.has_ended || seen_.failure.has_value(); }
    const canon::Failure* failure() const override {
        return seen_.failure ? &*seen_.failure : nullptr;
    }
    Consumption consumption(bool is_over) const override {
        return seen_.consumption(is_over && !seen_.failure);
    }
    void prepare_cut() override { past_.emplace(dialect_.name == kRepeatsAnswers); }
    std::int64_t answer_tokens_min() const override { return seen_.answer_tokens_min(); }
    const canon::Usage* usage_so_far() const override { return seen_.usage_so_far(); }
    bool may_cut() const override { return past_.has_value() && whole_bytes() > 0; }
    std::string cut(const canon::Usage& used) override {
        const auto encoder = dialect_.reply_encoder(dialect::ReplyForm::kStream, context_);
        return std::string(last_.substr(0, whole_bytes())) + past_->end_anew(*encoder, used);
    }
    std::string last_event(const canon::Failure& failure) override {
        // An encoder that has seen nothing: the event is all that it is asked for.
        const auto encoder = dialect_.reply_encoder(dialect::ReplyForm::kStream, context_);
        std::string out;
        const canon::Event event = canon::Failed{failure};
        encoder->add(event, out);
        return out;
    }
    std::span<const std::string> dropped() const override { return {}; }

private:
    /// The dialect whose last event has the whole answer in it.
    static constexpr std::string_view kRepeatsAnswers = "openai-responses";

    void remember(std::string_view bytes, const std::vector<canon::Event>& events) {
        if (is_framed()) frames_.feed(bytes);
        for (const canon::Event& event : events) past_->add(event);
    }
    bool is_framed() const { return dialect_.stream_content_type != "text/event-stream"; }
    /// Of the last feed's.
    std::size_t whole_bytes() const {
        if (!is_framed()) return whole_events(last_);
        return last_.size() - std::min(last_.size(), frames_.pending());
    }

    const dialect::Dialect& dialect_;
    std::unique_ptr<dialect::ReplyDecoder> decoder_;
    dialect::ReplyContext context_;
    Seen seen_;
    std::string kept_;  // what came before something that the client would notice
    std::optional<Past> past_;
    Frames frames_;
    std::string_view last_;  // what the last feed gave out
};

}  // namespace

std::unique_ptr<StreamLane> make_passing_lane(
    const dialect::Dialect& dialect, const dialect::ReplyContext& context) {
    return std::make_unique<PassingLane>(dialect, context);
}

WholeReply carry_passing(const dialect::Dialect& dialect, std::span<const dialect::Header> head,
    std::string_view body, bool keeps_names) {
    WholeReply reply;
    reply.passed = body;
    std::vector<canon::Event> events;
    const auto decoder = dialect.reply_decoder(dialect::ReplyForm::kWhole);
    if (!head.empty()) decoder->take_headers(head);
    const std::string_view own = dialect.reply_header_prefix;
    for (const dialect::Header& header : head)
        if (!own.empty() && header.name.starts_with(own)) reply.headers.push_back(header);
    reply.status = decoder->feed(body, events);
    if (reply.status) reply.status = decoder->finish(events);
    Seen seen;
    if (keeps_names) seen.keep_names();
    for (const canon::Event& event : events) seen.add(event);
    reply.failure = std::move(seen.failure);
    reply.consumed = seen.consumption(reply.status.has_value());
    return reply;
}

}  // namespace entrepot::gateway
