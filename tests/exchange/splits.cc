#include "splits.h"

#include <fmt/format.h>

#include <numeric>

#include "corpus.h"
#include "dialect/registry.h"

namespace entrepot::exchange {
namespace {

using canon::Event;
using dialect::ReplyForm;
using dialect::openai_chat::StreamMeter;
using dialect::openai_chat::StreamMeterOptions;

std::string told(const Status& status) {
    if (status) return {};
    const Error& error = status.error();
    return fmt::format(
        "{}: {} ({}) {}", error_code_name(error.code), error.message, error.cause, error.field);
}

/// The edits under which the gateway relays replies of this dialect to clients of chat completions.
std::vector<StreamMeterOptions> edits_of(const dialect::Dialect& dialect) {
    std::vector<StreamMeterOptions> edits;
    if (dialect.name != "openai-chat" && dialect.name != "azure-openai") return edits;
    for (const bool hides_filter_chunks : {false, true})
        for (const bool strips_usage : {false, true})
            if (!hides_filter_chunks || dialect.name == "azure-openai")
                edits.push_back(
                    {.strips_usage = strips_usage, .hides_filter_chunks = hides_filter_chunks});
    return edits;
}

/// Calls `feed` with the bytes in pieces until it returns false. Each piece has memory of its own,
/// which ends with the call: what views it for longer is seen by the sanitizers.
template <typename Feed>
void feed_pieces(std::string_view bytes, std::span<const std::size_t> cuts, const Feed& feed) {
    std::size_t from = 0;
    for (std::size_t i = 0; i <= cuts.size(); ++i) {
        const std::size_t to = i < cuts.size() ? cuts[i] : bytes.size();
        const std::string piece(bytes.substr(from, to - from));
        if (!feed(std::string_view(piece), to)) return;
        from = to;
    }
}

}  // namespace

CutStream::Metered::Metered(const StreamMeter& meter, const Status& status)
    : usage(meter.usage()),
      has_usage(meter.has_usage()),
      is_done(meter.is_done()),
      stop_reason(meter.stop_reason()),
      finished_choices(meter.finished_choices()),
      failure(meter.failure() == nullptr ? std::nullopt : std::optional(*meter.failure())),
      service_tier(meter.service_tier()),
      events(meter.events()),
      malformed_events(meter.malformed_events()),
      answer_bytes(meter.answer_bytes()),
      ending(told(status)) {}

CutStream::CutStream(const dialect::Dialect& dialect, std::string bytes)
    : dialect_(&dialect), bytes_(std::move(bytes)) {
    const auto decoder = dialect.reply_decoder(ReplyForm::kStream);
    Status status = decoder->feed(bytes_, events_);
    if (status) status = decoder->finish(events_);
    ending_ = told(status);
    for (const StreamMeterOptions& options : edits_of(dialect)) {
        Lane lane{options, {}, {}, {}};
        StreamMeter meter(options);
        std::vector<std::string_view> out;
        status = meter.feed(bytes_, out);
        for (const std::string_view span : out) lane.sent += span;
        out.clear();
        if (status) status = meter.finish(out);
        for (const std::string_view span : out) lane.sent += span;
        lane.metered.emplace(meter, status);
        lanes_.push_back(std::move(lane));
    }
}

std::string CutStream::read_byte_by_byte() {
    std::vector<std::size_t> cuts(bytes_.empty() ? 0 : bytes_.size() - 1);
    std::iota(cuts.begin(), cuts.end(), std::size_t{1});
    Progress noted;
    std::string difference = decoder_differs(cuts, &noted);
    events_by_ = std::move(noted);
    for (Lane& lane : lanes_) {
        if (!difference.empty()) return difference;
        noted.clear();
        difference = lane_differs(lane, cuts, &noted);
        lane.sent_by = std::move(noted);
    }
    return difference.empty() ? client_bytes_differ() : difference;
}

std::string CutStream::differs(std::span<const std::size_t> cuts) const {
    std::string difference = decoder_differs(cuts, nullptr);
    for (const Lane& lane : lanes_) {
        if (!difference.empty()) break;
        difference = lane_differs(lane, cuts, nullptr);
    }
    return difference;
}

std::string CutStream::decoder_differs(std::span<const std::size_t> cuts, Progress* noted) const {
    const auto decoder = dialect_->reply_decoder(ReplyForm::kStream);
    if (noted != nullptr) noted->assign(bytes_.size() + 1, 0);
    std::vector<Event> events;
    std::size_t seen = 0;
    std::string difference;
    const auto is_same = [&](std::size_t fed) {
        for (const Event& event : events) {
            if (seen < events_.size() && event == events_[seen]) {
                ++seen;
                continue;
            }
            difference = fmt::format("event {} after {} bytes: '{}' is not '{}'", seen, fed,
                describe(event), seen < events_.size() ? describe(events_[seen]) : "");
            return false;
        }
        events.clear();
        return true;
    };
    Status status;
    feed_pieces(bytes_, cuts, [&](std::string_view piece, std::size_t fed) {
        status = decoder->feed(piece, events);
        if (!is_same(fed)) return false;
        if (noted != nullptr)
            (*noted)[fed] = static_cast<std::uint32_t>(seen);
        else if (status && !events_by_.empty() && seen != events_by_[fed])
            difference = fmt::format(
                "{} events after {} bytes, {} byte by byte", seen, fed, events_by_[fed]);
        return status && difference.empty();
    });
    if (!difference.empty()) return difference;
    if (status) status = decoder->finish(events);
    if (!is_same(bytes_.size())) return difference;
    if (seen != events_.size()) return fmt::format("{} events and not {}", seen, events_.size());
    if (const std::string ending = told(status); ending != ending_)
        return fmt::format("ended as '{}' and not '{}'", ending, ending_);
    return {};
}

std::string CutStream::lane_differs(
    const Lane& lane, std::span<const std::size_t> cuts, Progress* noted) const {
    const bool edits = lane.options.strips_usage || lane.options.hides_filter_chunks;
    const auto where = [&](std::size_t fed) {
        return fmt::format("native lane (strips usage {}, hides filter chunks {}) after {} bytes: ",
            lane.options.strips_usage, lane.options.hides_filter_chunks, fed);
    };
    StreamMeter meter(lane.options);
    if (noted != nullptr) noted->assign(bytes_.size() + 1, 0);
    std::vector<std::string_view> out;
    std::size_t sent = 0;
    std::string difference;
    const auto is_same = [&](std::size_t fed) {
        for (const std::string_view span : out) {
            if (std::string_view(lane.sent).substr(sent, span.size()) != span) {
                difference = where(fed) + fmt::format("'{}' is sent at {}", span, sent);
                return false;
            }
            sent += span.size();
        }
        out.clear();
        return true;
    };
    Status status;
    feed_pieces(bytes_, cuts, [&](std::string_view piece, std::size_t fed) {
        status = meter.feed(piece, out);
        if (!is_same(fed)) return false;
        if (!edits && sent != fed) difference = where(fed) + fmt::format("{} are sent", sent);
        if (noted != nullptr)
            (*noted)[fed] = static_cast<std::uint32_t>(sent);
        else if (status && !lane.sent_by.empty() && sent != lane.sent_by[fed])
            difference =
                where(fed) + fmt::format("{} are sent, {} byte by byte", sent, lane.sent_by[fed]);
        return status && difference.empty();
    });
    if (!difference.empty()) return difference;
    if (status) status = meter.finish(out);
    if (!is_same(bytes_.size())) return difference;
    if (sent != lane.sent.size())
        return where(bytes_.size()) + fmt::format("{} are sent, not {}", sent, lane.sent.size());
    if (Metered(meter, status) != *lane.metered)
        return where(bytes_.size()) + "something is metered otherwise";
    return {};
}

std::string CutStream::client_bytes_differ() const {
    struct Client {
        explicit Client(ReplyForm form)
            : encoder(dialect::find_dialect("openai-chat")
                      ->reply_encoder(form, {.model = "the-model", .id = "x", .created_s = 1})) {}
        void show(const std::vector<Event>& events) {
            for (const Event& event : events) encoder->add(event, bytes);
        }
        std::unique_ptr<dialect::ReplyEncoder> encoder;
        std::string bytes;
    };
    constexpr ReplyForm kForms[] = {ReplyForm::kWhole, ReplyForm::kStream};
    std::vector<Client> clients(std::begin(kForms), std::end(kForms));
    const auto decoder = dialect_->reply_decoder(ReplyForm::kStream);
    Status status;
    std::vector<Event> events;
    for (std::size_t i = 0; i <= bytes_.size() && status; ++i) {
        status = i < bytes_.size() ? decoder->feed(std::string_view(bytes_).substr(i, 1), events)
                                   : decoder->finish(events);
        for (Client& client : clients) client.show(events);
        events.clear();
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        Client at_once(kForms[i]);
        at_once.show(events_);
        if (clients[i].bytes != at_once.bytes)
            return fmt::format("a client is shown '{}'", clients[i].bytes);
        if (clients[i].encoder->dropped() != at_once.encoder->dropped())
            return "other things are named as dropped";
    }
    return {};
}

std::vector<std::string> CutStream::sent() const {
    std::vector<std::string> sent;
    for (const Lane& lane : lanes_) sent.push_back(lane.sent);
    return sent;
}

std::vector<std::size_t> event_ends(const dialect::Dialect& dialect, std::string_view bytes) {
    std::vector<std::size_t> ends;
    std::size_t at = 0;
    if (dialect.stream_content_type == "application/vnd.amazon.eventstream") {
        while (at + 4 <= bytes.size()) {
            std::size_t length = 0;
            for (const char c : bytes.substr(at, 4))
                length = length << 8 | static_cast<std::uint8_t>(c);
            if (length == 0) break;
            at += length;
            ends.push_back(std::min(at, bytes.size()));
        }
    }
    while (at < bytes.size()) {
        std::size_t length = 1;
        for (const std::string_view empty_line : {"\r\n\r\n", "\n\n", "\r\r"})
            if (bytes.substr(at).starts_with(empty_line)) length = empty_line.size();
        at += length;
        if (length > 1) ends.push_back(at);
    }
    if (ends.empty() || ends.back() < bytes.size()) ends.push_back(bytes.size());
    return ends;
}

std::vector<std::size_t> cuts_of_run(
    std::span<const std::size_t> ends, std::size_t run, std::size_t runs) {
    std::vector<std::size_t> cuts;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
        for (std::size_t at = begin + run; at <= end; at += runs)
            if (at < ends.back()) cuts.push_back(at);
        begin = end;
    }
    return cuts;
}

}  // namespace entrepot::exchange
