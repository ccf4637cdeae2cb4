// One offer after the other, until the client's answer begins.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/worker.h"
#include "json/writer.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kFailureBytesMax = 256 * 1024;

/// A refusal of ours while preparing an attempt: it says nothing about the supplier's health.
bool is_ours(ErrorCode code) {
    return code == ErrorCode::kUnsupported || code == ErrorCode::kInvalidField ||
        code == ErrorCode::kBadRequest || code == ErrorCode::kUnbounded ||
        code == ErrorCode::kNotFound;
}

/// In the place of the one that stands there.
void set_content_type(std::string& lines, std::string_view type) {
    constexpr std::string_view kName = "content-type: ";
    const std::size_t at = lines.starts_with(kName) ? 0 : lines.find("\ncontent-type: ") + 1;
    if (lines.compare(at, kName.size(), kName) == 0) lines.erase(at, lines.find('\n', at) + 1 - at);
    net::HeaderLines line;
    line.add("content-type", type);
    lines += line.text();
}

/// The status that says what the failure is: some suppliers file a limit of the rate, or an account
/// that has run dry, under another.
std::int32_t status_meant(const AttemptFailure& failure) {
    if (failure.error.code == ErrorCode::kUpstreamAuth) return 402;
    if (failure.status >= 400 && failure.error.code == ErrorCode::kUpstreamRateLimited) return 429;
    if (failure.status >= 400 && failure.error.code == ErrorCode::kUpstreamOverloaded) return 503;
    return failure.status;
}

std::string_view target_of(const Exchange& x) {
    return x.is_stream ? x.voice->target_stream : x.voice->target_whole;
}

}  // namespace

// We ask for none; what came all the same cannot be metered.
Status Worker::check_plain(const net::ClientExchange& upstream) {
    const auto encoding = upstream.headers().find("content-encoding");
    if (!encoding || equals_ignoring_case(trim(*encoding), "identity")) return {};
    return fail(ErrorCode::kUpstreamProtocol,
        fmt::format("the supplier's answer is compressed ('{}'), though that was not asked for",
            excerpt(*encoding)));
}

Task<void> Worker::attempts(
    Exchange& x, net::ServerRequest& request, net::ResponseWriter& response) {
    // The bench, which holds the plan, is given back when an answer begins; then we are done.
    const routing::Plan& plan = x.bench->plan;
    std::optional<Error> refused;  // by a budget, or by what an offer cannot carry
    Failed failed;                 // the last word of a supplier
    std::int32_t at_offer = 0;
    bool is_left = false;  // the client's request, for what was made of it
    for (std::size_t i = 0; i < plan.attempts.size();) {
        const routing::Attempt& step = plan.attempts[i];
        // A cloud without credentials is out until they return: nothing is held or sent for it.
        if (Failed lacking = lacks_credentials(x, step)) {
            if (!failed) failed = std::move(lacking);
            ++i;
            at_offer = 0;
            continue;
        }
        if (step.not_before > core_.now()) {
            const Until until{
                Deadline::at(step.not_before).sooner(core_.after(seconds(2))), request.cancel};
            ENTREPOT_CO_TRY_DO(co_await core_.sleep(until));
        }
        // What this offer cannot carry, or the budgets cannot hold, another one may.
        Status ready = is_left ? Status{} : encode(x, step);
        if (ready && i + 1 == plan.attempts.size()) is_left = is_left || leave_request(x);
        if (ready && !hold_here(x, step, ready)) ready = co_await hold(x, step, request.cancel);
        if (!ready) {
            const ErrorCode code = ready.error().code;
            if (code != ErrorCode::kInsufficientBalance && !is_ours(code)) co_return ready;
            if (!refused) refused = std::move(ready).error();
            ++i;
            at_offer = 0;
            continue;
        }
        Failed failure = co_await attempt(x, step, request, response);
        if (!failure) co_return Status{};
        failed = std::move(failure);
        ++at_offer;
        routing::Failure facts;
        facts.code = failed->error.code;
        facts.http_status = status_meant(*failed);
        facts.retry_after = failed->retry_after;
        facts.is_content_filter = failed->is_content_filter;
        facts.reached_client = response.started();
        facts.may_have_been_billed = x.attempt.report.sent;
        const routing::Progress progress{
            x.attempts_made, at_offer, i + 1 < plan.attempts.size(), seconds(600)};
        const routing::Decision decision = routing::decide(facts, progress);
        failed->error.code = failed->error.code == ErrorCode::kUpstreamAuth
            ? ErrorCode::kUpstreamAuth
            : decision.client_code;
        co_await end_failed(x, *failed, decision);
        if (decision.step == routing::Step::kGiveUp)
            co_return co_await give_up(x, *failed, response);
        if (decision.step == routing::Step::kNextOffer) {
            ++i;
            at_offer = 0;
        }
        if (decision.wait > nanoseconds(0)) {
            const Until until{core_.after(decision.wait), request.cancel};
            ENTREPOT_CO_TRY_DO(co_await core_.sleep(until));
        }
    }
    // A supplier that failed may serve the same request later; a refusal would only hide that.
    if (failed) co_return co_await give_up(x, *failed, response);
    if (refused) co_return std::unexpected(std::move(*refused));
    co_return fail(ErrorCode::kNoOffer, fmt::format("no offer of '{}' could be reached", x.model));
}

Failed Worker::lacks_credentials(Exchange& x, const routing::Attempt& step) {
    upstream::Signer* signer = x.core->signers[x.state->offers[step.offer].cloud].get();
    if (signer == nullptr) return nullptr;
    Status ready = signer->ready(core_.wall());
    if (ready) return nullptr;
    Error error = std::move(ready).error();
    metrics_.alarm(x.state->offers[step.offer].name, error.cause);
    return failed_with(std::move(error));
}

Co<void> Worker::end_failed(
    Exchange& x, const AttemptFailure& failure, const routing::Decision& decision) {
    const Consumption& consumed = failure.consumed;
    // A status line means that the supplier refused before it worked; silence after sending may
    // have been billed.
    const bool may_be_billed = !consumed.usage.is_zero() || consumed.answer_bytes > 0 ||
        (x.attempt.report.sent && failure.status < 300);
    if (may_be_billed) {
        x.consumed = consumed;
        x.consumed.is_client_gone = failure.error.code == ErrorCode::kClientGone;
        // What works in the background needs nobody who listens.
        const bool goes_on = is_background(x) && is_kept_there(x) && failure.status < 300;
        if (goes_on && decision.step == routing::Step::kGiveUp)
            co_await leave_open(x);
        else if (goes_on)
            co_await settle_lost(x);  // the exchange goes on as well, and is left open once
        else if (!settle_here(x))
            co_await settle(x);
    } else {
        co_await release(x, failure.error.code);
    }
    end_attempt(x, decision.outcome, failure.retry_after);
    if (decision.raise_alarm)
        metrics_.alarm(x.state->offers[x.attempt.offer].name, failure.error.message);
}

Task<void> Worker::give_up(Exchange& x, AttemptFailure& failure, net::ResponseWriter& response) {
    const ErrorCode code = failure.error.code;
    x.error_cause = failure.error.cause.empty() ? failure.error.message : failure.error.cause;
    if (code == ErrorCode::kClientGone || code == ErrorCode::kDraining)
        co_return std::unexpected(failure.error);
    x.ended_by = ledger::EndedBy::kSupplier;
    x.error = code;
    if (failure.retry_after)
        x.retry_after = std::chrono::duration_cast<milliseconds>(*failure.retry_after);
    if (code == ErrorCode::kUpstreamAuth || !failure.has_failure || failure.status < 400 ||
        failure.status > 599) {
        if (code == ErrorCode::kUpstreamAuth) failure.error.message = kNoAccount;
        co_return std::unexpected(std::move(failure.error));
    }
    failure.failure.message = scrub_account(failure.failure.message);
    if (x.lane == Lane::kTranslated)
        failure.failure = carried_to(*x.client, std::move(failure.failure));
    std::string body = scrub_account(failure.native_body);
    co_await send_failure(x, response, failure.failure, std::move(body));
    co_return Status{};
}

Result<upstream::Signer::Rest> Worker::write_head(Exchange& x, std::string_view body) {
    const OfferState& offer = x.state->offers[x.attempt.offer];
    std::string& lines = x.bench->upstream_headers;
    lines = x.voice->header_lines;
    if (!x.bench->content_type.empty()) set_content_type(lines, x.bench->content_type);
    for (const dialect::Header& header : x.bench->dialect_headers) {
        net::HeaderLines line;
        line.add(header.name, header.value);
        lines += line.text();
    }
    upstream::Signer::Rest rest;
    if (upstream::Signer* signer = x.core->signers[offer.cloud].get(); signer != nullptr) {
        net::HeaderLines signature;
        // They may have expired while the budgets were asked.
        upstream::Signer::Request sent{.target = target_of(x), .body = body};
        if (!x.bench->content_type.empty()) sent.content_type = x.bench->content_type;
        ENTREPOT_TRY_DO(signer->sign(sent, core_.wall(), signature));
        lines += signature.text();
        rest = signer->take_rest();
    }
    // Lets a supplier's log, or our simulated cloud, be matched with the books.
    const std::size_t id_at = lines.size() + std::string_view("x-entrepot-exchange: ").size();
    lines += "x-entrepot-exchange: 00000000-0000-0000-0000-000000000000\r\n";
    x.id.write(lines.data() + id_at);
    return rest;
}

Task<void> Worker::finish_head(Exchange& x, upstream::Signer::Rest rest) {
    ENTREPOT_CO_TRY(const std::string line, co_await side_.run(core_, std::move(rest)));
    x.bench->upstream_headers += line;
    co_return Status{};
}

net::ClientRequest Worker::upstream_request_of(const Exchange& x, std::string_view body) {
    return {.method = "POST",
        .target = target_of(x),
        .header_lines = x.bench->upstream_headers,
        .body = body,
        .host = {}};
}

net::ExchangeLimits Worker::limits_of(const Exchange& x, Cancel* cancel) const {
    const Cloud& cloud = x.state->clouds[x.state->offers[x.attempt.offer].cloud];
    const config::UpstreamTimeouts& timeouts = cloud.settings.timeouts;
    net::ExchangeLimits limits;
    limits.deadline = core_.after(milliseconds(timeouts.total_ms));
    limits.cancel = cancel;
    limits.connect_timeout = milliseconds(timeouts.connect_ms);
    limits.first_byte_timeout = milliseconds(timeouts.first_byte_ms);
    limits.idle_timeout = milliseconds(timeouts.idle_ms);
    return limits;
}

Co<Failed> Worker::attempt(Exchange& x, const routing::Attempt& step, net::ServerRequest& request,
    net::ResponseWriter& response) {
    const OfferState& offer = x.state->offers[step.offer];
    x.phase = ledger::Phase::kSend;
    x.attempt.began = core_.now();
    x.core->health.began(step.offer, core_.now());

    const std::string_view body = x.bench->upstream_view;
    Result<upstream::Signer::Rest> rest = write_head(x, body);
    if (!rest) co_return failed_with(std::move(rest).error());
    if (*rest) {
        Status is_signed = co_await finish_head(x, std::move(*rest));
        if (!is_signed) co_return failed_with(std::move(is_signed).error());
    }
    const net::ClientRequest upstream_request = upstream_request_of(x, body);
    const net::ExchangeLimits limits = limits_of(x, request.cancel);

    x.phase = ledger::Phase::kFirstByte;
    net::OriginPool* pool = x.core->pools[offer.cloud];
    if (pool == nullptr)  // its files have gone since they were checked; the log has the reason
        co_return failed_with(Error{ErrorCode::kUpstreamUnreachable,
            "the gateway has no way to this supplier at present", {}, {}});
    Result<net::ClientExchange> exchanged =
        co_await client_.exchange(*pool, upstream_request, limits, &x.attempt.report);
    if (!exchanged) co_return failed_with(std::move(exchanged).error());
    net::ClientExchange upstream = std::move(*exchanged);
    x.attempt.upstream_status = static_cast<std::uint16_t>(upstream.status());
    if (upstream.status() < 200 || upstream.status() >= 300) {
        Failed failure = co_await read_failure(x, upstream);
        co_return failure;
    }
    if (Status plain = check_plain(upstream); !plain)
        co_return failed_with(std::move(plain).error());
    x.phase = ledger::Phase::kRelay;
    if (!x.bench->more_bodies.empty())
        co_return co_await relay_parts(x, upstream, request, response);
    // Models that do not stream answer whole though they were asked to (whisper-1).
    if (x.is_stream && x.lane == Lane::kPassing && x.voice->dialect->passes_reply_type &&
        !to_lower(upstream.headers().find("content-type").value_or(""))
            .starts_with(x.voice->dialect->stream_content_type))
        x.is_stream = false;
    if (x.is_stream) co_return co_await open_stream(x, step, upstream);
    co_return co_await relay_whole(x, upstream, response);
}

Co<Failed> Worker::read_failure(Exchange& x, net::ClientExchange& upstream) {
    auto result = std::make_unique<AttemptFailure>();
    AttemptFailure& out = *result;
    out.status = static_cast<std::uint16_t>(upstream.status());
    const std::vector<dialect::Header> headers = headers_of(upstream);
    std::string_view after, after_ms;
    for (const dialect::Header& header : headers) {
        if (header.name == "retry-after") after = header.value;
        if (header.name == "retry-after-ms") after_ms = header.value;
    }
    Result<std::string> body = co_await upstream.read_whole_body(kFailureBytesMax);
    const std::string text = body ? std::move(*body) : std::string();
    out.failure = x.voice->dialect->decode_failure(out.status, headers, text);
    out.has_failure = true;
    out.error.code = code_of(out.failure, out.status);
    // Headers say it also on answers that are no refusal: only one to be repeated is to wait.
    if (out.status >= 500 || out.error.code == ErrorCode::kUpstreamRateLimited) {
        out.retry_after = routing::parse_retry_after(after, after_ms, core_.wall());
        if (!out.retry_after && out.failure.retry_after) out.retry_after = *out.failure.retry_after;
    }
    out.failure.retry_after.reset();
    if (out.retry_after)
        out.failure.retry_after = std::chrono::duration_cast<milliseconds>(*out.retry_after);
    out.is_content_filter = out.failure.kind == canon::FailureKind::kContentFilter;
    if (x.lane != Lane::kTranslated && text.starts_with('{')) out.native_body = text;
    // Fetched credentials may have been withdrawn before their time.
    const Cloud& cloud = x.state->clouds[x.state->offers[x.attempt.offer].cloud];
    if ((out.status == 401 || out.status == 403) && cloud.credentials != nullptr)
        credentials_.doubt(cloud.credentials);
    out.error = Error{out.error.code,
        fmt::format("the supplier answered {}: {}", out.status,
            excerpt(scrub_account(out.failure.message), 300)),
        fmt::format(
            "{}: {} {}", x.state->offers[x.attempt.offer].name, out.status, excerpt(text, 500)),
        {}};
    co_return result;
}

}  // namespace entrepot::gateway
