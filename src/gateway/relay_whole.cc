// An answer that comes whole: booked before the client gets it.
#include <fmt/format.h>

#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/lane.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kTranslatedBytesMax = 64 * 1024 * 1024;

/// An answer passed on that is larger than the reply buffer is relayed as it comes; up to this much
/// of it is kept to be metered.
constexpr std::size_t kMeteredBytesMax = 16 * 1024 * 1024;

/// Of what is behind that, the end, where some replies state their usage.
constexpr std::size_t kTailBytes = 4096;

void keep_tail(std::string_view more, std::string& tail) {
    tail += more;
    if (tail.size() > kTailBytes) tail.erase(0, tail.size() - kTailBytes);
}

constexpr std::string_view kContentType = "content-type: application/json\r\n";

/// Of an answer: the supplier's, where its bytes pass and may be anything.
std::string content_type_line(
    const Exchange& x, const net::ClientExchange& upstream, std::string_view written) {
    std::string_view type = written;
    if (x.lane == Lane::kPassing && x.voice->dialect->passes_reply_type)
        type = upstream.headers().find("content-type").value_or("application/octet-stream");
    if (type.empty() || type == "application/json") return std::string(kContentType);
    net::HeaderLines line;
    line.add("content-type", type);
    return std::string(line.text());
}

bool is_json(const net::ClientExchange& upstream) {
    const std::string_view type = upstream.headers().find("content-type").value_or("");
    return to_lower(trim(type.substr(0, type.find(';')))).ends_with("json");
}

/// Whether the answer, of which `body` is the beginning, is for the client as it stands.
bool passes(const Exchange& x, std::string_view body) {
    return x.lane == Lane::kChat ||
        (x.lane == Lane::kPassing &&
            (x.client->passes_reply == nullptr || x.client->passes_reply(body, x.family)));
}

WholeReply carry(const Exchange& x, const net::ClientExchange& upstream, std::string_view body) {
    const dialect::Dialect& from = *x.voice->dialect;
    std::vector<dialect::Header> head;
    if (from.reads_reply_headers) head = headers_of(upstream);
    const bool keeps_names = is_kept_there(x);
    switch (x.lane) {
        case Lane::kChat: return carry_chat(body);
        case Lane::kPassing:
            if (passes(x, body)) return carry_passing(from, head, body, keeps_names);
            break;
        case Lane::kTranslated: break;
    }
    return carry_translated(from, *x.client, reply_context_of(x), head, body, keeps_names);
}

}  // namespace

Co<Failed> Worker::relay_whole(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response) {
    const std::size_t buffer_bytes = static_cast<std::size_t>(x.state->settings.reply_buffer_bytes);
    // Sound is listened to while it comes.
    const bool is_sound =
        x.lane == Lane::kPassing && x.voice->dialect->passes_reply_type && !is_json(upstream);
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
        if (body.size() <= buffer_bytes && !is_sound) continue;
        if (!passes(x, body)) {
            if (body.size() <= kTranslatedBytesMax) continue;
            co_return failed_with(Error{ErrorCode::kUpstreamProtocol,
                fmt::format("the supplier's answer is longer than {} bytes", kTranslatedBytesMax),
                {}, {}});
        }
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
    note_kept(x);
    if (is_pending(x))
        co_await leave_open(x);
    else if (!settle_here(x))
        co_await settle(x);
    const std::string lines =
        begin_whole(x, reply, content_type_line(x, upstream, reply.content_type));
    const Status sent = co_await response.send(200, lines, reply.body());
    x.ended_by = ended_by(sent);
    co_return nullptr;
}

std::string Worker::begin_whole(Exchange& x, const WholeReply& reply, std::string lines) {
    end_attempt(x, routing::Outcome::kServed, std::nullopt);
    mark_first_byte(x);
    note_dropped(x, reply.dropped);
    append_headers(x, true, lines);
    for (const dialect::Header& header : reply.headers) {
        net::HeaderLines own;
        own.add(header.name, header.value);
        lines += own.text();
    }
    x.phase = ledger::Phase::kRelay;
    return lines;
}

Co<Failed> Worker::relay_large(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response, std::string head) {
    std::string lines = content_type_line(x, upstream, {});
    append_headers(x, false, lines);
    response.start(200, lines);
    mark_first_byte(x);
    Status wrote = co_await response.write(head);
    Status read;
    std::string tail;
    while (wrote && !upstream.body_ended()) {
        Result<std::string_view> more = co_await upstream.read_body();
        if (!more) {
            read = std::unexpected(more.error());
            break;
        }
        if (head.size() < kMeteredBytesMax)
            head += *more;
        else
            keep_tail(*more, tail);
        wrote = co_await response.write(*more);
    }
    const bool is_drained = (!read && read.error().code == ErrorCode::kDraining) ||
        (!wrote && wrote.error().code == ErrorCode::kDraining);
    const bool is_client_gone =
        !is_drained && (!wrote || (!read && read.error().code == ErrorCode::kClientGone));
    x.consumed = Consumption{};
    x.consumed.answer_bytes = static_cast<std::int64_t>(head.size());
    if (read && wrote) {
        const auto usage_of_tail = x.voice->dialect->usage_of_tail;
        if (tail.empty()) {
            WholeReply reply = carry(x, upstream, head);
            if (reply.status) x.consumed = std::move(reply.consumed);
        } else if (usage_of_tail != nullptr) {
            if (tail.size() < kTailBytes)  // what it states may have begun before it
                tail.insert(0, head, head.size() - (kTailBytes - tail.size()));
            if (const auto usage = usage_of_tail(tail)) {
                x.consumed.usage = *usage;
                x.consumed.is_reported = true;
            }
        }
    }
    x.consumed.is_client_gone = is_client_gone;
    // What repeats a long prompt may be large and no answer yet.
    const bool goes_on = is_kept_there(x) && is_background(x) &&
        (x.consumed.names == nullptr || x.consumed.names->is_pending);
    if (goes_on)
        co_await leave_open(x);
    else if (!settle_here(x))
        co_await settle(x);
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
