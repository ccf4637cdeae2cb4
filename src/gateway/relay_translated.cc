// The translation lane: the supplier's bytes become events, the events the client's bytes.
#include <fmt/format.h>

#include "base/text.h"
#include "dialect/registry.h"
#include "gateway/failure.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kWholeBytesMax = 64 * 1024 * 1024;

/// What the events said, as far as settling and relaying need it.
struct Seen {
    canon::Usage usage;
    std::string service_tier;
    bool has_usage = false;
    bool has_ended = false;
    bool has_content = false;  ///< something a client would notice
    std::int64_t answer_bytes = 0;
    std::optional<canon::Failure> failure;

    void add(const canon::Event& event) {
        if (const auto* reported = std::get_if<canon::UsageReported>(&event)) {
            usage = reported->usage;
            if (!reported->service_tier.empty()) service_tier = reported->service_tier;
            has_usage = true;
        } else if (const auto* delta = std::get_if<canon::PartDelta>(&event)) {
            answer_bytes += static_cast<std::int64_t>(delta->text.size());
            has_content = true;
        } else if (const auto* failed = std::get_if<canon::Failed>(&event)) {
            failure = failed->failure;
        } else if (std::holds_alternative<canon::PartStarted>(event) ||
            std::holds_alternative<canon::Finished>(event)) {
            has_content = true;
        } else if (std::holds_alternative<canon::Ended>(event)) {
            has_ended = true;
        }
    }
};

dialect::ReplyContext context_of(const Exchange& x) {
    dialect::ReplyContext context;
    context.model = x.model;
    context.id = "chatcmpl-" + x.id.to_string();
    context.created_s = x.began_wall.ns / 1'000'000'000;
    context.wants_usage = x.wants_usage;
    context.wants_function_call = x.uses_functions;
    return context;
}

Failed failure_from(const Seen& seen, Error error) {
    auto failure = std::make_unique<AttemptFailure>();
    failure->error = std::move(error);
    failure->usage = seen.usage;
    failure->has_usage = seen.has_usage;
    failure->is_usage_final = seen.has_ended;
    failure->answer_bytes = seen.answer_bytes;
    if (seen.failure) {
        failure->failure = *seen.failure;
        failure->has_failure = true;
        failure->status =
            static_cast<std::uint16_t>(seen.failure->status >= 400 ? seen.failure->status : 502);
        if (seen.failure->retry_after) failure->retry_after = *seen.failure->retry_after;
    }
    return failure;
}

Error stated(const canon::Failure& failure) {
    const ErrorCode code = failure.kind == canon::FailureKind::kRateLimited
        ? ErrorCode::kUpstreamRateLimited
        : failure.kind == canon::FailureKind::kOverloaded     ? ErrorCode::kUpstreamOverloaded
        : failure.kind == canon::FailureKind::kInvalidRequest ? ErrorCode::kUpstreamRefused
                                                              : ErrorCode::kUpstreamError;
    return Error{code,
        fmt::format(
            "the supplier answered 200 and then an error: {}", excerpt(failure.message, 300)),
        {}, {}};
}

bool has_content_type(const net::ClientExchange& upstream, std::string_view wanted) {
    return to_lower(upstream.headers().find("content-type").value_or("")).starts_with(wanted);
}

void note_dropped(Exchange& x, const dialect::ReplyEncoder& encoder) {
    x.dropped.insert(x.dropped.end(), encoder.dropped().begin(), encoder.dropped().end());
}

}  // namespace

Co<Failed> Worker::relay_translated_whole(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response) {
    const dialect::Dialect& from =
        x.state->clouds[x.state->offers[x.attempt.offer].cloud].supplier->dialect();
    Seen seen;
    Result<std::string> body = co_await upstream.read_whole_body(kWholeBytesMax);
    if (!body) {
        auto failure = std::make_unique<AttemptFailure>();
        failure->error = std::move(body).error();
        co_return failure;
    }
    std::vector<canon::Event> events;
    const auto decoder = from.reply_decoder(dialect::ReplyForm::kWhole);
    Status decoded = decoder->feed(*body, events);
    if (decoded) decoded = decoder->finish(events);
    const auto encoder = dialect::find_dialect("openai-chat")
                             ->reply_encoder(dialect::ReplyForm::kWhole, context_of(x));
    std::string out;
    for (const canon::Event& event : events) {
        seen.add(event);
        encoder->add(event, out);
    }
    if (seen.failure) co_return failure_from(seen, stated(*seen.failure));
    if (!decoded) co_return failure_from(seen, std::move(decoded).error());

    const Consumption consumption{
        seen.usage, seen.has_usage, seen.answer_bytes, false, seen.service_tier};
    co_await settle(x, consumption);
    end_attempt(x, routing::Outcome::kServed, std::nullopt);
    mark_first_byte(x);
    note_dropped(x, *encoder);
    std::string lines = "content-type: application/json\r\n";
    append_headers(x, true, lines);
    const Status sent = co_await response.send(200, lines, out);
    x.ended_by = ended_by(sent);
    co_return nullptr;
}

Co<Failed> Worker::relay_translated_stream(
    Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response) {
    const dialect::Dialect& from =
        x.state->clouds[x.state->offers[x.attempt.offer].cloud].supplier->dialect();
    if (!has_content_type(upstream, from.stream_content_type)) {
        auto failure = std::make_unique<AttemptFailure>();
        failure->error = Error{ErrorCode::kUpstreamProtocol,
            fmt::format(
                "the supplier answered a streamed request with content type '{}' instead of {}",
                excerpt(upstream.headers().find("content-type").value_or("")),
                from.stream_content_type),
            {}, {}};
        co_return failure;
    }
    const auto decoder = from.reply_decoder(dialect::ReplyForm::kStream);
    const auto encoder = dialect::find_dialect("openai-chat")
                             ->reply_encoder(dialect::ReplyForm::kStream, context_of(x));
    Seen seen;
    Status broken;
    Status wrote;
    bool is_over = false;
    std::vector<canon::Event> events;
    std::string out;
    while (!is_over && wrote && broken) {
        const Result<std::string_view> chunk = co_await upstream.read_body();
        if (!chunk) {
            broken = std::unexpected(chunk.error());
            break;
        }
        is_over = chunk->empty() || upstream.body_ended();
        events.clear();
        if (!chunk->empty()) broken = decoder->feed(*chunk, events);
        if (broken && is_over) broken = decoder->finish(events);
        for (const canon::Event& event : events) {
            seen.add(event);
            // A failure is not encoded yet: before the first byte it may be another offer's turn.
            if (!std::holds_alternative<canon::Failed>(event)) encoder->add(event, out);
        }
        if (seen.failure) break;
        if (!broken) break;
        if (out.empty() && !is_over) continue;
        if (!response.started()) {
            // What the decoder has not brought yet is nothing a client would notice.
            if (!seen.has_content && !is_over) continue;
            std::string lines =
                "content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n";
            append_headers(x, false, lines);
            response.start(200, lines);
            mark_first_byte(x);
        }
        if ((is_over || seen.has_ended) && x.attempt.is_open) {
            const Consumption consumption{
                seen.usage, seen.has_usage, seen.answer_bytes, false, seen.service_tier};
            co_await settle(x, consumption);
        }
        // Not `a ? co_await b : co_await c`: g++ 12.2 destroys the branch that was not taken.
        if (is_over)
            wrote = co_await response.finish(out);
        else
            wrote = co_await response.write(out);
        out.clear();
    }
    if (broken && seen.failure) broken = std::unexpected(stated(*seen.failure));
    const bool is_complete = broken && is_over;
    if (!response.started()) {
        if (broken)
            broken =
                fail(ErrorCode::kUpstreamProtocol, "the supplier's stream ended without an event");
        co_return failure_from(seen, broken.error());
    }
    if (!wrote && wrote.error().code == ErrorCode::kDraining && broken)
        broken = std::unexpected(wrote.error());  // we hung up on a client that was slow to read
    const bool is_drained = !broken && broken.error().code == ErrorCode::kDraining;
    const bool is_client_gone =
        !is_drained && (!wrote || (!broken && broken.error().code == ErrorCode::kClientGone));
    // The reports of a stream that did not end are of its beginning (Anthropic's message_start):
    // not the usage.
    const Consumption consumption{seen.usage, seen.has_usage && (is_complete || seen.has_ended),
        seen.answer_bytes, is_client_gone, seen.service_tier};
    co_await settle(x, consumption);
    end_attempt(x,
        is_complete                        ? routing::Outcome::kServed
            : is_client_gone || is_drained ? routing::Outcome::kAbandoned
                                           : routing::Outcome::kFailed,
        std::nullopt);
    note_dropped(x, *encoder);
    if (is_client_gone) {
        x.ended_by = ledger::EndedBy::kClient;
        if (!is_complete) x.error = ErrorCode::kClientGone;
        response.abort();
    } else if (is_complete && wrote) {
        x.ended_by = ledger::EndedBy::kSupplier;
        if (!response.finished()) (void)co_await response.finish();
    } else {
        canon::Failed failed{seen.failure ? *seen.failure : failure_of(broken.error())};
        failed.failure.message = scrub_account(failed.failure.message);
        const canon::Event event = failed;
        encoder->add(event, out);
        co_await end_broken_stream(x, response, broken.error(), std::move(out));
    }
    co_return nullptr;
}

}  // namespace entrepot::gateway
