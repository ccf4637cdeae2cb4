// The supplier's own bytes, but for the closed list of edits, and what they say.
#include <algorithm>

#include "dialect/openai_chat/native.h"
#include "dialect/registry.h"
#include "gateway/lane.h"

namespace entrepot::gateway {
namespace {

namespace chat = dialect::openai_chat;

class ChatLane final : public StreamLane {
public:
    ChatLane(const chat::StreamMeterOptions& options, const dialect::ReplyContext& context)
        : meter_(options), context_(context) {}

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
        if (is_cuttable_ && !has_begun_) note_start(out);
        has_begun_ = has_begun_ || !out.empty();
        last_ = out;
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
    void prepare_cut() override { is_cuttable_ = true; }
    std::int64_t answer_tokens_min() const override {
        return std::max(meter_.usage().answer_tokens(), meter_.answer_bytes() / kBytesPerTokenMax);
    }
    const canon::Usage* usage_so_far() const override {
        return meter_.has_usage() ? &meter_.usage() : nullptr;
    }
    bool may_cut() const override { return is_cuttable_ && whole_events(last_) > 0; }
    std::string cut(const canon::Usage& used) override {
        const dialect::Dialect& own = *dialect::find_dialect("openai-chat");
        const auto encoder = own.reply_encoder(dialect::ReplyForm::kStream, context_);
        Past past(false);
        past.add(start_);
        const auto open = meter_.open_choices();
        for (std::uint32_t choice = 0; choice < open.size(); ++choice) {
            if (!open[choice]) continue;
            canon::PartStarted part;
            part.choice = choice;
            past.add(part);
            past.add(canon::PartDelta{choice, 0, " "});
        }
        return std::string(last_.substr(0, whole_events(last_))) + past.end_anew(*encoder, used);
    }
    std::string last_event(const canon::Failure& failure) override {
        return chat::stream_failure(failure, true);
    }
    std::span<const std::string> dropped() const override { return {}; }

private:
    /// What every chunk repeats of the reply.
    void note_start(std::string_view out) {
        const std::size_t begin = out.find("data: {");
        const std::size_t end = out.find('\n', begin);
        if (begin == std::string_view::npos || end == std::string_view::npos) return;
        const auto chunk =
            json::Document::parse(std::string(out.substr(begin + 6, end - begin - 6)));
        if (!chunk) return;
        start_.id = chunk->root()["id"].string();
        start_.model = chunk->root()["model"].string();
        start_.created_s = chunk->root()["created"].as_int().value_or(0);
    }

    chat::StreamMeter meter_;
    dialect::ReplyContext context_;
    canon::Started start_;
    std::string_view last_;  // what the last feed gave out
    bool is_cuttable_ = false;
    std::string joined_;
    bool has_begun_ = false;
};

}  // namespace

std::unique_ptr<StreamLane> make_chat_lane(
    const chat::StreamMeterOptions& options, const dialect::ReplyContext& context) {
    return std::make_unique<ChatLane>(options, context);
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
