// The supplier's own bytes, but for the closed list of edits, and what they say.
#include "dialect/openai_chat/native.h"
#include "gateway/lane.h"

namespace entrepot::gateway {
namespace {

namespace chat = dialect::openai_chat;

class ChatLane final : public StreamLane {
public:
    explicit ChatLane(const chat::StreamMeterOptions& options) : meter_(options) {}

    Status feed(std::string_view bytes, bool is_over, std::string_view& out) override {
        thread_local std::vector<std::string_view> pieces;  // used up within this call
        pieces.clear();
        Status fed;
        if (!bytes.empty()) fed = meter_.feed(bytes, pieces);
        if (fed && is_over) fed = meter_.finish(pieces);
        out = {};
        if (pieces.size() == 1) {
            out = pieces.front();
        } else if (pieces.size() > 1) {
            joined_.clear();
            for (const std::string_view piece : pieces) joined_ += piece;
            out = joined_;
        }
        has_begun_ = has_begun_ || !out.empty();
        return fed;
    }
    bool has_begun() const override { return has_begun_; }
    bool is_complete() const override { return meter_.is_done(); }
    const canon::Failure* failure() const override { return meter_.failure(); }
    Consumption consumption(bool is_over) const override {
        Consumption consumed;
        consumed.usage = meter_.usage();
        // Some servers report usage as they go: it is the usage only once the answer has finished.
        consumed.is_reported =
            meter_.has_usage() && (is_over || meter_.is_done() || meter_.finished_choices() > 0);
        consumed.answer_bytes = meter_.answer_bytes();
        consumed.service_tier = meter_.service_tier();
        return consumed;
    }
    std::string last_event(const canon::Failure& failure) override {
        return chat::stream_failure(failure, true);
    }
    std::span<const std::string> dropped() const override { return {}; }

private:
    chat::StreamMeter meter_;
    std::string joined_;
    bool has_begun_ = false;
};

}  // namespace

std::unique_ptr<StreamLane> make_chat_lane(const chat::StreamMeterOptions& options) {
    return std::make_unique<ChatLane>(options);
}

WholeReply carry_chat(std::string_view body) {
    WholeReply reply;
    reply.passed = body;
    Result<chat::MeteredReply> metered = chat::meter_whole(body);
    if (!metered) {
        reply.status = std::unexpected(std::move(metered).error());
        return reply;
    }
    if (!metered->has_choices && !metered->failure)
        reply.status = fail(ErrorCode::kUpstreamProtocol, "the supplier's reply has no 'choices'");
    reply.failure = std::move(metered->failure);
    reply.consumed.usage = metered->usage;
    reply.consumed.is_reported = metered->has_usage;
    reply.consumed.answer_bytes = metered->answer_bytes;
    reply.consumed.service_tier = std::move(metered->service_tier);
    return reply;
}

}  // namespace entrepot::gateway
