#include "dialect/openai_responses/decode_reply.h"

#include <optional>

#include "base/text.h"
#include "dialect/openai_responses/failure.h"
#include "dialect/openai_responses/reply_reader.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {
namespace {

using Events = std::vector<canon::Event>;
using json::Value;

class WholeDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, Events&) override {
        body_ += bytes;
        return {};
    }

    Status finish(Events& events) override {
        const auto document = json::Document::parse(std::move(body_));
        if (!document)
            return fail(ErrorCode::kUpstreamProtocol, "the supplier's reply is not whole JSON",
                document.error().message);
        const Value& response = document->root();
        if (!response["output"].is_array()) {
            const Value& error = response["error"];
            if (error.is_null())
                return fail(ErrorCode::kUpstreamProtocol, "the supplier's reply is no response",
                    excerpt(response.raw(), 200));
            canon::Failure failure = failure_of(error, 200);
            events.emplace_back(canon::Failed{std::move(failure)});
            return {};
        }
        Events* out = &events;
        ReplyReader reader(out);
        reader.start(response);
        reader.end(response);
        return {};
    }

private:
    std::string body_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, Events& events) override {
        out_ = &events;
        seen_.clear();
        const Status fed = parser_.feed(bytes, seen_);
        for (const framing::SseEvent& event : seen_) ENTREPOT_TRY_DO(take(event));
        return fed;
    }

    Status finish(Events& events) override {
        out_ = &events;
        seen_.clear();
        parser_.finish(seen_);
        // Some servers leave out the last empty line; what parses was whole all the same.
        for (const framing::SseEvent& event : seen_) ENTREPOT_TRY_DO(take(event));
        if (!is_done_ && failure_) fail_now();
        if (is_done_) return {};
        return fail(ErrorCode::kUpstreamProtocol,
            "the supplier's stream stopped before its end (no response.completed)");
    }

private:
    void fail_now() {
        out_->emplace_back(canon::Failed{*std::move(failure_)});
        is_done_ = true;
    }

    Status take(const framing::SseEvent& event) {
        if (is_done_ || !event.has_data || event.data.empty()) return {};
        if (event.data == "[DONE]") {  // of servers that came from chat completions
            if (failure_) fail_now();
            return {};
        }
        const auto document = json::Document::parse_in_place(event.data);
        if (!document) {
            return fail(ErrorCode::kUpstreamProtocol,
                event.is_complete ? "an event of the supplier's stream is not JSON"
                                  : "the supplier's stream stopped inside an event",
                excerpt(event.data, 200));
        }
        const Value& data = document->root();
        const std::string_view type = data["type"].is_string() ? data["type"].string() : event.name;
        if (type == "response.completed" || type == "response.incomplete" ||
            type == "response.failed" || type == "response.cancelled") {
            reader_.end(data["response"], failure_);
            is_done_ = true;
        } else if (type == "error" || data["error"].is_object()) {
            // `response.failed` follows and may state what was used.
            const Value& error = data["error"].is_null() ? data : data["error"];
            failure_ = failure_of(error, 200);
        } else {
            if (failure_) fail_now();
            if (!is_done_) reader_.take(type, data);
        }
        return {};
    }

    framing::SseParser parser_;
    std::vector<framing::SseEvent> seen_;
    Events* out_ = nullptr;
    ReplyReader reader_{out_};
    std::optional<canon::Failure> failure_;
    bool is_done_ = false;
};

}  // namespace

std::unique_ptr<ReplyDecoder> make_reply_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>();
    return std::make_unique<StreamDecoder>();
}

}  // namespace entrepot::dialect::openai_responses
