// An answer that is made of several calls, one after the other: vectors of more texts than the
// supplier takes at once. One attempt, one hold, one settlement of what all of them used.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "gateway/failure.h"
#include "gateway/lane.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// Of all the replies together: 2048 vectors of 3072 numbers are some 90 MB.
constexpr std::size_t kPartsBytesMax = 128 * 1024 * 1024;

/// By form and by text of the part.
using Answered = std::set<std::pair<canon::VectorForm, std::uint32_t>>;

/// Vectors are told apart by their place alone: one that is missing would give all that follow to
/// the wrong texts.
Status check_whole(const Answered& answered, std::size_t inputs) {
    std::size_t forms = 0;
    bool is_inside = true;
    for (auto at = answered.begin(); at != answered.end(); ++at) {
        forms += at == answered.begin() || std::prev(at)->first != at->first ? 1 : 0;
        is_inside = is_inside && at->second < inputs;
    }
    if (is_inside && forms > 0 && answered.size() == forms * inputs) return {};
    return fail(ErrorCode::kUpstreamProtocol,
        fmt::format("the supplier answered {} texts with {} vectors", inputs,
            forms > 1 ? answered.size() / forms : answered.size()));
}

/// The replies so far, as one.
struct Joined {
    std::vector<canon::Event> events;
    Consumption consumed{.usage = {}, .is_reported = true};
    std::uint32_t vectors = 0;

    /// `inputs`: texts that this reply is about.
    [[nodiscard]] Status add(const dialect::Dialect& from, std::span<const dialect::Header> head,
        std::string_view body, std::size_t inputs, Seen& seen) {
        std::vector<canon::Event> part;
        const auto decoder = from.reply_decoder(dialect::ReplyForm::kWhole);
        if (!head.empty()) decoder->take_headers(head);
        Status read = decoder->feed(body, part);
        if (read) read = decoder->finish(part);
        const bool is_first = events.empty();
        Answered answered;
        for (canon::Event& event : part) {
            seen.add(event);
            if (auto* outcome = std::get_if<canon::Outcome>(&event)) {
                if (auto* vector = std::get_if<canon::Vector>(&outcome->body)) {
                    answered.emplace(vector->form, vector->index);
                    vector->index += vectors;
                }
                events.push_back(std::move(event));
            } else if (is_first && std::holds_alternative<canon::Started>(event)) {
                events.push_back(std::move(event));
            }
        }
        vectors += static_cast<std::uint32_t>(inputs);
        consumed.usage = consumed.usage + seen.consumed.usage;
        consumed.is_reported = consumed.is_reported && seen.consumed.is_reported;
        if (read && !seen.failure) read = check_whole(answered, inputs);
        return read;
    }
};

}  // namespace

Co<Failed> Worker::relay_parts(Exchange& x, net::ClientExchange& upstream,
    net::ServerRequest& request, net::ResponseWriter& response) {
    const dialect::Dialect& from = *x.voice->dialect;
    const std::vector<std::string> more = std::move(x.bench->more_bodies);
    // As encode_parts cut them: all but the last are full.
    const std::size_t inputs_max = x.voice->inputs_max;
    std::size_t inputs_left = std::get<canon::Embed>(x.bench->canonical->work).inputs.size();
    net::OriginPool& pool = *x.core->pools[x.state->offers[x.attempt.offer].cloud];
    Joined joined;
    std::size_t room = kPartsBytesMax;
    Failed failed;
    for (std::size_t i = 0;; ++i) {
        Result<std::string> body = co_await upstream.read_whole_body(room);
        if (!body) {
            failed = failed_with(std::move(body).error());
            break;
        }
        room -= body->size();
        Seen seen;
        const std::vector<dialect::Header> head = headers_of(upstream);
        const std::size_t inputs = std::min(inputs_max, inputs_left);
        inputs_left -= inputs;
        Status read = joined.add(from, head, *body, inputs, seen);
        if (seen.failure)
            failed = failed_in_answer(*seen.failure, {});
        else if (!read)
            failed = failed_with(std::move(read).error());
        if (failed || i == more.size()) break;
        Status is_signed;
        Result<upstream::Signer::Rest> rest = write_head(x, more[i]);
        if (!rest)
            is_signed = std::unexpected(std::move(rest).error());
        else if (*rest)
            is_signed = co_await finish_head(x, std::move(*rest));
        if (!is_signed) {
            failed = failed_with(std::move(is_signed).error());
            break;
        }
        const net::ClientRequest next = upstream_request_of(x, more[i]);
        const net::ExchangeLimits limits = limits_of(x, request.cancel);
        Result<net::ClientExchange> exchanged =
            co_await client_.exchange(pool, next, limits, &x.attempt.report);
        if (!exchanged) {
            failed = failed_with(std::move(exchanged).error());
            break;
        }
        upstream = std::move(*exchanged);
        x.attempt.upstream_status = static_cast<std::uint16_t>(upstream.status());
        if (upstream.status() < 200 || upstream.status() >= 300) {
            failed = co_await read_failure(x, upstream);
            break;
        }
        Status plain = check_plain(upstream);
        if (!plain) {
            failed = failed_with(std::move(plain).error());
            break;
        }
    }
    if (failed) {
        // What was answered is billed. Of a call that a status refused, nothing is; of one that
        // broke off, nobody knows, and no more than the estimate of all is booked.
        failed->consumed = std::move(joined.consumed);
        if (failed->status < 300 && x.attempt.report.sent) {
            failed->consumed.is_reported = false;
            std::int64_t& input = failed->consumed.usage[canon::Meter::kInput];
            input = std::max(input, x.attempt.prompt_tokens_estimate);
        }
        co_return failed;
    }
    if (!joined.consumed.is_reported) {
        std::int64_t& input = joined.consumed.usage[canon::Meter::kInput];
        input = std::max(input, x.attempt.prompt_tokens_estimate);
    } else {
        joined.events.emplace_back(canon::UsageReported{joined.consumed.usage});
    }
    joined.events.emplace_back(canon::Ended{});
    WholeReply reply;
    const auto encoder = x.client->reply_encoder(dialect::ReplyForm::kWhole, reply_context_of(x));
    std::string& out = reply.made.emplace();
    for (const canon::Event& event : joined.events) encoder->add(event, out);
    reply.dropped = encoder->dropped();
    reply.headers = encoder->headers();
    x.consumed = std::move(joined.consumed);
    if (!settle_here(x)) co_await settle(x);
    const std::string lines = begin_whole(x, reply, "content-type: application/json\r\n");
    const Status sent = co_await response.send(200, lines, reply.body());
    x.ended_by = ended_by(sent);
    co_return nullptr;
}

}  // namespace entrepot::gateway
