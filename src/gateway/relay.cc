// A streamed answer, from its first event to its end.
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/lane.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

constexpr milliseconds kTailTimeMax{1'000};
constexpr std::size_t kTailBytesMax = 16 * 1024;

/// Reads what still comes of a body whose answer is complete: nearly always its end, and nothing
/// else. A supplier that goes on loses its connection.
Co<void> see_out(Core& core, net::ClientExchange upstream) {
    const Deadline end = core.after(kTailTimeMax);
    upstream.set_cancel(nullptr);  // the request is gone
    upstream.set_idle_timeout(kTailTimeMax);
    std::size_t bytes = 0;
    Wake wake;
    while (bytes <= kTailBytesMax && !end.passed(core.now())) {
        const Result<std::optional<std::string_view>> piece = upstream.try_read_body(wake);
        if (!piece || (*piece && (*piece)->empty())) co_return;
        wake = {};
        if (*piece)
            bytes += (*piece)->size();
        else
            wake = co_await upstream.wait_body();
    }
}

}  // namespace

std::unique_ptr<StreamLane> Worker::lane_of(const Exchange& x) {
    const dialect::Dialect& from = *x.voice->dialect;
    if (x.lane == Lane::kTranslated)
        return make_translated_lane(from, *x.client, reply_context_of(x));
    if (x.lane == Lane::kPassing) return make_passing_lane(from, reply_context_of(x));
    const Cloud& cloud = x.state->clouds[x.state->offers[x.attempt.offer].cloud];
    dialect::openai_chat::StreamMeterOptions options;
    options.strips_usage = !x.wants_usage;
    options.hides_filter_chunks =
        cloud.settings.kind == config::CloudKind::kAzure && x.client->name != "azure-openai";
    return make_chat_lane(options, reply_context_of(x));
}

void Worker::mark_first_byte(Exchange& x) {
    x.first_byte = monotonic_now();
    x.status = 200;
    if (x.bench != nullptr) give_bench(std::move(x.bench));
}

// Until something comes that the client would notice, a failure is another offer's turn.
Co<Failed> Worker::open_stream(
    Exchange& x, const routing::Attempt& step, net::ClientExchange& upstream) {
    const std::string_view wanted = x.voice->dialect->stream_content_type;
    const std::string_view type = upstream.headers().find("content-type").value_or("");
    if (!to_lower(type).starts_with(wanted)) {
        co_return failed_with(Error{ErrorCode::kUpstreamProtocol,
            fmt::format(
                "the supplier answered a streamed request with content type '{}' instead of {}",
                excerpt(type), wanted),
            {}, {}});
    }
    std::unique_ptr<StreamLane> through = lane_of(x);
    if (x.voice->dialect->reads_reply_headers) through->take_headers(headers_of(upstream));
    if (is_kept_there(x)) through->keep_names();
    const std::int64_t tokens_max = answer_bound(x, step);
    if (tokens_max > 0) through->prepare_cut();
    upstream.forget_head();
    auto stream = std::make_unique<OpenStream>(std::move(upstream), std::move(through));
    stream->answer_tokens_max = tokens_max;
    StreamLane& lane = *stream->lane;
    while (!lane.has_begun()) {
        Wake wake;
        while (!stream->take(wake)) wake = co_await stream->upstream.wait_body();
        if (lane.failure() != nullptr)
            co_return failed_in_answer(*lane.failure(), lane.consumption(false));
        if (stream->broken && stream->is_over && !lane.has_begun())
            stream->broken =
                fail(ErrorCode::kUpstreamProtocol, "the supplier's stream ended without an event");
        if (!stream->broken) {
            Failed failure = failed_with(std::move(stream->broken).error());
            failure->consumed = lane.consumption(false);
            co_return failure;
        }
    }
    x.stream = std::move(stream);
    if (const std::optional<Money> less = smaller_hold(x, step)) co_await shrink(x, *less);
    co_return nullptr;
}

// Its frame and serve_generate's are what an open stream costs: what is large lives elsewhere.
Co<void> Worker::relay_stream(Exchange& x, net::ResponseWriter& response) {
    OpenStream& stream = *x.stream;
    begin_stream(x, response);
    for (;;) {
        if (must_cut(x)) co_return co_await cut_stream(x, response);
        if (!books_first(x)) co_await settle(x);
        const bool is_last = stream.is_last();
        if (is_last)
            stream.wrote = co_await response.finish(stream.out);
        else if (!stream.out.empty())
            stream.wrote = co_await response.write(stream.out);
        if (is_last || !stream.wrote || !stream.broken) break;
        Wake wake;
        while (!stream.take(wake)) wake = co_await stream.upstream.wait_body();
    }
    co_await end_stream(x, response);
}

void Worker::begin_stream(Exchange& x, net::ResponseWriter& response) {
    const std::string_view type =
        x.wants_json_array ? "application/json" : x.client->stream_content_type;
    std::string lines = "content-type: ";
    lines += type;
    if (type.starts_with("text/")) lines += "; charset=utf-8";
    lines += "\r\ncache-control: no-cache\r\n";
    append_headers(x, false, lines);
    response.start(200, lines);
    mark_first_byte(x);
    const Cloud& cloud = x.state->clouds[x.state->offers[x.attempt.offer].cloud];
    x.stream->begin_pings(milliseconds(cloud.settings.timeouts.idle_ms));
}

// The books know before the client sees the end. False: they are elsewhere, and `settle` goes
// there.
bool Worker::books_first(Exchange& x) {
    const OpenStream& stream = *x.stream;
    if (!x.attempt.is_open || !stream.is_last()) return true;
    x.consumed = stream.lane->consumption(true);
    note_kept(x);
    return settle_here(x);
}

Co<void> Worker::end_stream(Exchange& x, net::ResponseWriter& response) {
    OpenStream& stream = *x.stream;
    StreamLane& lane = *stream.lane;
    Status& broken = stream.broken;
    Status& wrote = stream.wrote;
    // After a complete answer neither side's end changes anything.
    const bool is_complete = lane.is_complete() || stream.ends_well();
    if (!wrote && wrote.error().code == ErrorCode::kDraining && broken)
        broken = std::unexpected(wrote.error());  // we hung up on a client that was slow to read
    const bool is_drained = !broken && broken.error().code == ErrorCode::kDraining;
    const bool is_client_gone =
        !is_drained && (!wrote || (!broken && broken.error().code == ErrorCode::kClientGone));
    if (x.attempt.is_open) {
        x.consumed = lane.consumption(is_complete);
        x.consumed.is_client_gone = is_client_gone;
        note_kept(x);
        // What works in the background goes on when nobody listens; its end will be looked for.
        const bool goes_on =
            !is_complete && lane.failure() == nullptr && is_background(x) && is_kept_there(x);
        if (goes_on)
            co_await leave_open(x);
        else if (!settle_here(x))
            co_await settle(x);
    }
    end_attempt(x,
        is_complete && lane.failure() == nullptr ? routing::Outcome::kServed
            : is_client_gone || is_drained       ? routing::Outcome::kAbandoned
                                                 : routing::Outcome::kFailed,
        std::nullopt);
    note_dropped(x, lane.dropped());
    if (is_client_gone) {
        x.ended_by = ledger::EndedBy::kClient;
        if (!is_complete) x.error = ErrorCode::kClientGone;
        response.abort();
    } else if (is_complete && wrote) {
        x.ended_by = ledger::EndedBy::kSupplier;
        if (!response.finished()) (void)co_await response.finish();
    } else {
        const Error& error = broken.error();
        x.error = error.code;
        x.error_cause = error.cause.empty() ? error.message : error.cause;
        x.ended_by = is_drained ? ledger::EndedBy::kGateway : ledger::EndedBy::kSupplier;
        canon::Failure shown = lane.failure() != nullptr ? *lane.failure() : failure_of(error);
        shown.message = scrub_account(shown.message);
        if (lane.failure() != nullptr && x.lane == Lane::kTranslated)
            shown = carried_to(*x.client, std::move(shown));
        const std::string event = lane.last_event(shown);
        (void)co_await response.finish(event);
    }
    // The client has all of it; its connection may be of use again once the supplier has ended too.
    if (is_complete && !stream.is_over && broken && !draining_.load(std::memory_order_relaxed))
        chores_.spawn(see_out(core_, std::move(stream.upstream)));
    x.stream.reset();
}

}  // namespace entrepot::gateway
