// The native lane: the supplier's bytes to the client, untouched but for the closed list of edits,
// and metered.
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

namespace chat = dialect::openai_chat;

/// A whole reply larger than the reply buffer is relayed as it comes; up to this much of it is kept
/// to be metered.
constexpr std::size_t kMeteredBytesMax = 16 * 1024 * 1024;

std::string_view content_type(const net::ClientExchange& upstream) {
    return upstream.headers().find("content-type").value_or("");
}

Failed protocol_failure(std::string message) {
    auto failure = std::make_unique<AttemptFailure>();
    failure->error = Error{ErrorCode::kUpstreamProtocol, std::move(message), {}, {}};
    return failure;
}

Failed stated_failure(const canon::Failure& stated, std::int64_t answer_bytes) {
    auto failure = std::make_unique<AttemptFailure>();
    failure->answer_bytes = answer_bytes;
    failure->error = Error{ErrorCode::kUpstreamError,
        fmt::format(
            "the supplier answered 200 and then an error: {}", excerpt(stated.message, 300)),
        {}, {}};
    failure->failure = stated;
    failure->has_failure = true;
    failure->status = static_cast<std::uint16_t>(stated.status >= 400 ? stated.status : 502);
    return failure;
}

}  // namespace

Worker::Consumption Worker::consumption_of(
    const chat::StreamMeter& meter, bool is_complete, bool is_client_gone) {
    Consumption consumption;
    consumption.usage = meter.usage();
    // Some servers report usage as they go: it is the usage only once the answer has finished.
    consumption.is_reported = meter.has_usage() && (is_complete || meter.finished_choices() > 0);
    consumption.answer_bytes = meter.answer_bytes();
    consumption.is_client_gone = is_client_gone;
    consumption.service_tier = meter.service_tier();
    return consumption;
}

void Worker::mark_first_byte(Exchange& x) {
    x.first_byte = monotonic_now();
    x.status = 200;
    if (x.bench != nullptr) give_bench(std::move(x.bench));
}

Co<Failed> Worker::relay_whole(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response) {
    Result<std::string_view> first = co_await upstream.read_body();
    if (!first) {
        auto failure = std::make_unique<AttemptFailure>();
        failure->error = std::move(first).error();
        co_return failure;
    }
    // Small answers come in one read and are never copied.
    std::string_view body = *first;
    std::string collected;
    const auto buffer_max = static_cast<std::size_t>(x.state->settings.reply_buffer_bytes);
    while (!upstream.body_ended()) {
        if (collected.empty()) collected = body;
        Result<std::string_view> more = co_await upstream.read_body();
        if (!more) {
            auto failure = std::make_unique<AttemptFailure>();
            failure->error = std::move(more).error();
            failure->answer_bytes = static_cast<std::int64_t>(collected.size());
            co_return failure;
        }
        collected += *more;
        body = collected;
        if (collected.size() > buffer_max) {
            std::string head = std::move(collected);
            co_return co_await relay_large(x, upstream, response, std::move(head));
        }
    }
    Result<chat::MeteredReply> metered = chat::meter_whole(body);
    if (!metered) {
        co_return protocol_failure(fmt::format(
            "the supplier's answer ({} bytes, content type '{}') is not a chat completion: {}",
            body.size(), excerpt(content_type(upstream)), metered.error().message));
    }
    if (metered->failure) co_return stated_failure(*metered->failure, metered->answer_bytes);

    const Consumption consumption{
        metered->usage, metered->has_usage, metered->answer_bytes, false, metered->service_tier};
    co_await settle(x, consumption);
    end_attempt(x, routing::Outcome::kServed, std::nullopt);
    mark_first_byte(x);
    std::string lines = "content-type: application/json\r\n";
    append_headers(x, true, lines);
    x.phase = ledger::Phase::kRelay;
    const Status sent = co_await response.send(200, lines, body);
    x.ended_by = ended_by(sent);
    co_return nullptr;
}

Co<Failed> Worker::relay_large(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response, std::string head) {
    std::string lines = "content-type: application/json\r\n";
    append_headers(x, false, lines);
    response.start(200, lines);
    mark_first_byte(x);
    Status wrote = co_await response.write(head);
    Status read;
    while (wrote && !upstream.body_ended()) {
        Result<std::string_view> more = co_await upstream.read_body();
        if (!more) {
            read = std::unexpected(more.error());
            break;
        }
        if (head.size() < kMeteredBytesMax) head += *more;
        wrote = co_await response.write(*more);
    }
    const bool is_drained = (!read && read.error().code == ErrorCode::kDraining) ||
        (!wrote && wrote.error().code == ErrorCode::kDraining);
    const bool is_client_gone =
        !is_drained && (!wrote || (!read && read.error().code == ErrorCode::kClientGone));
    Consumption consumption;
    consumption.answer_bytes = static_cast<std::int64_t>(head.size());
    consumption.is_client_gone = is_client_gone;
    if (read && wrote) {
        if (const Result<chat::MeteredReply> metered = chat::meter_whole(head); metered) {
            consumption.usage = metered->usage;
            consumption.is_reported = metered->has_usage;
            consumption.service_tier = metered->service_tier;
        }
    }
    co_await settle(x, consumption);
    end_attempt(x,
        is_client_gone || is_drained ? routing::Outcome::kAbandoned
            : read                   ? routing::Outcome::kServed
                                     : routing::Outcome::kFailed,
        std::nullopt);
    if (wrote && read)
        wrote = co_await response.finish();
    else
        response.abort();  // a body cut short must not look whole
    if (!read) x.error = read.error().code;
    x.ended_by = is_client_gone ? ledger::EndedBy::kClient
        : is_drained            ? ledger::EndedBy::kGateway
                                : ended_by(wrote);
    co_return nullptr;
}

Co<Failed> Worker::relay_stream(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response) {
    const OfferState& offer = x.state->offers[x.attempt.offer];
    const Cloud& cloud = x.state->clouds[offer.cloud];
    if (!to_lower(content_type(upstream)).starts_with("text/event-stream")) {
        co_return protocol_failure(
            fmt::format("the supplier answered a streamed request with content type '{}' instead "
                        "of text/event-stream",
                excerpt(content_type(upstream))));
    }
    const chat::StreamMeterOptions options{.strips_usage = !x.wants_usage,
        .hides_filter_chunks = cloud.settings.kind == config::CloudKind::kAzure};
    chat::StreamMeter meter(options);
    Status broken;         // the supplier's side
    Status wrote;          // the client's side
    bool is_over = false;  // the whole body has come
    std::string joined;
    while (!is_over && wrote) {
        const Result<std::string_view> chunk = co_await upstream.read_body();
        if (!chunk) {
            broken = std::unexpected(chunk.error());
            break;
        }
        is_over = chunk->empty() || upstream.body_ended();
        std::string_view out;
        {
            // `pieces_` is shared by the core's exchanges: it is used up before the next await.
            pieces_.clear();
            if (!chunk->empty()) broken = meter.feed(*chunk, pieces_);
            if (broken && is_over) broken = meter.finish(pieces_);
            if (pieces_.size() == 1) {
                out = pieces_.front();
            } else if (pieces_.size() > 1) {
                joined.clear();
                for (const std::string_view piece : pieces_) joined += piece;
                out = joined;
            }
        }
        if (!response.started()) {
            if (meter.failure()) {
                Failed failure = stated_failure(*meter.failure(), meter.answer_bytes());
                failure->usage = meter.usage();
                failure->has_usage = meter.has_usage() && meter.finished_choices() > 0;
                co_return failure;
            }
            if (!broken) break;
            if (out.empty()) continue;
            std::string lines =
                "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n";
            append_headers(x, false, lines);
            response.start(200, lines);
            mark_first_byte(x);
        }
        if (broken && (is_over || meter.is_done()) && x.attempt.is_open) {
            // The books know before the client sees the end.
            const Consumption consumption = consumption_of(meter, true, false);
            co_await settle(x, consumption);
        }
        if (is_over && broken) {
            wrote = co_await response.finish(out);
        } else if (!out.empty()) {
            wrote = co_await response.write(out);
        }
        if (!broken) break;
    }
    if (!response.started()) {
        if (broken)
            broken =
                fail(ErrorCode::kUpstreamProtocol, "the supplier's stream ended without an event");
        auto failure = std::make_unique<AttemptFailure>();
        failure->error = broken.error();
        failure->usage = meter.usage();
        failure->has_usage = meter.has_usage() && meter.finished_choices() > 0;
        failure->answer_bytes = meter.answer_bytes();
        co_return failure;
    }
    // After a complete answer neither side's end changes anything.
    const bool is_complete = meter.is_done() || (broken && is_over);
    if (!wrote && wrote.error().code == ErrorCode::kDraining && broken)
        broken = std::unexpected(wrote.error());  // we hung up on a client that was slow to read
    const bool is_drained = !broken && broken.error().code == ErrorCode::kDraining;
    const bool is_client_gone =
        !is_drained && (!wrote || (!broken && broken.error().code == ErrorCode::kClientGone));
    const Consumption consumption = consumption_of(meter, is_complete, is_client_gone);
    co_await settle(x, consumption);
    end_attempt(x,
        is_complete && !meter.failure()    ? routing::Outcome::kServed
            : is_client_gone || is_drained ? routing::Outcome::kAbandoned
                                           : routing::Outcome::kFailed,
        std::nullopt);
    if (is_client_gone) {
        x.ended_by = ledger::EndedBy::kClient;
        if (!is_complete) x.error = ErrorCode::kClientGone;
        response.abort();
    } else if (is_complete && wrote) {
        x.ended_by = ledger::EndedBy::kSupplier;
        if (!response.finished()) (void)co_await response.finish();
    } else {
        canon::Failure shown = failure_of(broken.error());
        shown.message = scrub_account(shown.message);
        std::string event = chat::stream_failure(shown, true);
        co_await end_broken_stream(x, response, broken.error(), std::move(event));
    }
    co_return nullptr;
}

Co<void> Worker::end_broken_stream(
    Exchange& x, net::ResponseWriter& response, const Error& error, std::string event) {
    x.error = error.code;
    x.error_cause = error.cause.empty() ? error.message : error.cause;
    x.ended_by =
        error.code == ErrorCode::kDraining ? ledger::EndedBy::kGateway : ledger::EndedBy::kSupplier;
    (void)co_await response.finish(event);
}

}  // namespace entrepot::gateway
