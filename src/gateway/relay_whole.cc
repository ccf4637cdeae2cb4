// An answer that comes whole: booked before the client gets it.
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/lane.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kTranslatedBytesMax = 64 * 1024 * 1024;

/// An answer passed on that is larger than the reply buffer is relayed as it comes; up to this much
/// of it is kept to be metered.
constexpr std::size_t kMeteredBytesMax = 16 * 1024 * 1024;

constexpr std::string_view kContentType = "content-type: application/json\r\n";

WholeReply carry(const Exchange& x, const net::ClientExchange& upstream, std::string_view body) {
    const dialect::Dialect& from = *x.voice->dialect;
    std::vector<dialect::Header> head;
    if (from.reads_reply_headers) head = headers_of(upstream);
    switch (x.lane) {
        case Lane::kChat: return carry_chat(body);
        case Lane::kPassing: return carry_passing(from, head, body);
        case Lane::kTranslated: break;
    }
    return carry_translated(from, *x.client, reply_context_of(x), head, body);
}

}  // namespace

Co<Failed> Worker::relay_whole(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response) {
    const bool is_passed = x.lane != Lane::kTranslated;
    const std::size_t bytes_max = is_passed
        ? static_cast<std::size_t>(x.state->settings.reply_buffer_bytes)
        : kTranslatedBytesMax;
    // Small answers come in one read and are never copied.
    std::string_view body;
    std::string collected;
    do {
        Result<std::optional<std::string_view>> more = upstream.try_read_body();
        while (more && !*more) {
            const Wake wake = co_await upstream.wait_body();
            more = upstream.try_read_body(wake);
        }
        if (!more) {
            Failed failure = failed_with(std::move(more).error());
            failure->consumed.answer_bytes = static_cast<std::int64_t>(body.size());
            co_return failure;
        }
        if (body.empty() && upstream.body_ended()) {
            body = **more;
            break;
        }
        collected += **more;
        body = collected;
        if (body.size() <= bytes_max) continue;
        if (!is_passed)
            co_return failed_with(Error{ErrorCode::kUpstreamProtocol,
                fmt::format("the supplier's answer is longer than {} bytes", bytes_max), {}, {}});
        std::string head = std::move(collected);
        co_return co_await relay_large(x, upstream, response, std::move(head));
    } while (!upstream.body_ended());

    WholeReply reply = carry(x, upstream, body);
    if (reply.failure) co_return failed_in_answer(*reply.failure, std::move(reply.consumed));
    if (!reply.status) {
        Error error = std::move(reply.status).error();
        error.message =
            fmt::format("the supplier's answer ({} bytes, content type '{}') is no {} reply: {}",
                body.size(), excerpt(upstream.headers().find("content-type").value_or("")),
                x.voice->dialect->name, error.message);
        Failed failure = failed_with(std::move(error));
        failure->consumed = std::move(reply.consumed);
        co_return failure;
    }
    x.consumed = std::move(reply.consumed);
    if (!settle_here(x)) co_await settle(x);
    end_attempt(x, routing::Outcome::kServed, std::nullopt);
    mark_first_byte(x);
    note_dropped(x, reply.dropped);
    std::string lines(kContentType);
    append_headers(x, true, lines);
    for (const dialect::Header& header : reply.headers) {
        net::HeaderLines own;
        own.add(header.name, header.value);
        lines += own.text();
    }
    x.phase = ledger::Phase::kRelay;
    const Status sent = co_await response.send(200, lines, reply.body());
    x.ended_by = ended_by(sent);
    co_return nullptr;
}

Co<Failed> Worker::relay_large(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response, std::string head) {
    std::string lines(kContentType);
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
    x.consumed = Consumption{};
    x.consumed.answer_bytes = static_cast<std::int64_t>(head.size());
    if (read && wrote) {
        WholeReply reply = carry(x, upstream, head);
        if (reply.status) x.consumed = std::move(reply.consumed);
    }
    x.consumed.is_client_gone = is_client_gone;
    if (!settle_here(x)) co_await settle(x);
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

}  // namespace entrepot::gateway
