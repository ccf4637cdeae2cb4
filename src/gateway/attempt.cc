// One offer after the other, until the client's answer begins.
#include <fmt/format.h>

#include "base/text.h"
#include "dialect/registry.h"
#include "gateway/failure.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kFailureBytesMax = 256 * 1024;

dialect::OnLossy on_lossy_of(auth::OnLossy policy) {
    switch (policy) {
        case auth::OnLossy::kRefuse: return dialect::OnLossy::kRefuse;
        case auth::OnLossy::kMeaning: return dialect::OnLossy::kMeaning;
        case auth::OnLossy::kName: return dialect::OnLossy::kName;
    }
    return dialect::OnLossy::kMeaning;
}

/// A refusal of ours while preparing an attempt: it says nothing about the supplier's health.
bool is_ours(ErrorCode code) {
    return code == ErrorCode::kUnsupported || code == ErrorCode::kInvalidField ||
        code == ErrorCode::kBadRequest;
}

}  // namespace

Task<void> Worker::attempts(
    Exchange& x, net::ServerRequest& request, net::ResponseWriter& response) {
    const routing::Plan& plan =
        x.bench->plan;  // the bench is given back when an answer begins; then we are done
    std::optional<Error>
        refused;  // by a budget or by what the offer cannot carry: another offer may still do
    std::int32_t at_offer = 0;
    for (std::size_t i = 0; i < plan.attempts.size();) {
        const routing::Attempt& step = plan.attempts[i];
        if (step.not_before > core_.now()) {
            const Until until{
                Deadline::at(step.not_before).sooner(core_.after(seconds(2))), request.cancel};
            ENTREPOT_CO_TRY_DO(co_await core_.sleep(until));
        }
        Status held = co_await hold(x, step, request.cancel);
        if (!held) {
            if (held.error().code != ErrorCode::kInsufficientBalance) co_return held;
            if (!refused) refused = held.error();
            ++i;
            at_offer = 0;
            continue;
        }
        std::optional<AttemptFailure> failure = co_await attempt(x, step, request, response);
        if (!failure) co_return Status{};
        ++at_offer;

        if (is_ours(failure->error.code)) {
            co_await release(x, failure->error.code);
            end_attempt(x, routing::Outcome::kAbandoned, std::nullopt);
            --x.attempts_made;  // nothing was sent
            if (!refused) refused = failure->error;
            ++i;
            at_offer = 0;
            continue;
        }
        routing::Failure facts;
        facts.code = failure->error.code;
        facts.http_status = failure->status;
        facts.retry_after = failure->retry_after;
        facts.is_content_filter = failure->is_content_filter;
        facts.reached_client = response.started();
        facts.may_have_been_billed = x.attempt.report.sent;
        const routing::Progress progress{
            x.attempts_made, at_offer, i + 1 < plan.attempts.size(), seconds(600)};
        const routing::Decision decision = routing::decide(facts, progress);

        // A status line means that the supplier refused before it worked; silence after sending may
        // have been billed.
        const bool may_be_billed = failure->has_usage || failure->answer_bytes > 0 ||
            (x.attempt.report.sent && failure->status < 400);
        if (may_be_billed) {
            const Consumption consumption{failure->usage,
                failure->has_usage && failure->is_usage_final, failure->answer_bytes,
                failure->error.code == ErrorCode::kClientGone};
            co_await settle(x, consumption);
        } else {
            co_await release(x, failure->error.code);
        }
        end_attempt(x, decision.outcome, failure->retry_after);
        if (decision.raise_alarm)
            metrics_.alarm(x.state->offers[step.offer].name, failure->error.message);

        if (decision.step == routing::Step::kGiveUp) {
            x.error_cause =
                failure->error.cause.empty() ? failure->error.message : failure->error.cause;
            if (failure->error.code == ErrorCode::kClientGone ||
                failure->error.code == ErrorCode::kDraining)
                co_return std::unexpected(failure->error);
            x.ended_by = ledger::EndedBy::kSupplier;
            x.error = decision.client_code;
            if (decision.client_code == ErrorCode::kUpstreamAuth || !failure->has_failure) {
                Error error{decision.client_code, failure->error.message, failure->error.cause, {}};
                if (decision.client_code == ErrorCode::kUpstreamAuth)
                    error.message =
                        "no supplier accepted the gateway's own credentials for this model; its "
                        "operator has been alarmed";
                if (failure->retry_after)
                    x.retry_after = std::chrono::duration_cast<milliseconds>(*failure->retry_after);
                co_return std::unexpected(std::move(error));
            }
            if (failure->failure.retry_after) x.retry_after = failure->failure.retry_after;
            failure->failure.message = scrub_account(failure->failure.message);
            std::string body = scrub_account(failure->native_body);
            co_await send_failure(x, response, failure->failure, std::move(body));
            co_return Status{};
        }
        if (decision.step == routing::Step::kNextOffer) {
            ++i;
            at_offer = 0;
        }
        if (decision.wait > nanoseconds(0)) {
            const Until until{core_.after(decision.wait), request.cancel};
            ENTREPOT_CO_TRY_DO(co_await core_.sleep(until));
        }
    }
    if (refused) co_return std::unexpected(std::move(*refused));
    co_return fail(ErrorCode::kNoOffer, fmt::format("no offer of '{}' could be reached", x.model));
}

Status Worker::encode(Exchange& x, const routing::Attempt& step, std::string_view& body,
    std::vector<dialect::Header>& headers) {
    const OfferState& offer = x.state->offers[step.offer];
    const Cloud& cloud = x.state->clouds[offer.cloud];
    Workbench& bench = *x.bench;
    if (cloud.is_native_chat) {
        dialect::openai_chat::Edits edits;
        if (bench.facts.model != offer.model_at_cloud) edits.model_id = offer.model_at_cloud;
        // An unclamped hold rests on a cap that the supplier enforces by itself.
        if (step.is_clamped && step.inject_output_cap > 0)
            edits.output_tokens_max = step.inject_output_cap;
        edits.injects_max_completion_tokens = cloud.quirks.takes_max_completion_tokens;
        edits.asks_stream_usage =
            cloud.quirks.can_ask_stream_usage && x.is_stream && !x.wants_usage;
        dialect::openai_chat::splice(bench.body, bench.facts, edits, bench.splice);
        if (bench.splice.is_unchanged()) {
            body = bench.body;
        } else {
            bench.upstream_body.clear();
            bench.splice.append_to(bench.upstream_body);
            body = bench.upstream_body;
        }
        return {};
    }
    if (!bench.canonical) {
        ENTREPOT_TRY(const json::Document document, json::Document::parse(bench.body));
        ENTREPOT_TRY(
            bench.canonical, dialect::find_dialect("openai-chat")->decode_request(document));
        x.uses_functions = bench.canonical->uses_functions;  // the bench is gone when it answers
    }
    const routing::Limits& limits = x.state->table.offer(step.offer).limits;
    dialect::EncodeTarget target;
    target.model_id = offer.model_at_cloud;
    target.on_lossy = on_lossy_of(x.principal->policy.on_lossy);
    if (limits.output_tokens_max > 0) target.output_tokens_default = limits.output_tokens_max;
    if (step.inject_output_cap > 0) target.output_tokens_default = step.inject_output_cap;
    target.can_ask_stream_usage = cloud.quirks.can_ask_stream_usage;
    target.takes_max_completion_tokens = cloud.quirks.takes_max_completion_tokens;
    ENTREPOT_TRY(dialect::EncodedRequest encoded,
        cloud.supplier->dialect().encode_request(*bench.canonical, target));
    bench.upstream_body = std::move(encoded.body);
    body = bench.upstream_body;
    headers = std::move(encoded.headers);
    x.dropped = std::move(encoded.dropped);
    return {};
}

Co<std::optional<AttemptFailure>> Worker::attempt(Exchange& x, const routing::Attempt& step,
    net::ServerRequest& request, net::ResponseWriter& response) {
    const OfferState& offer = x.state->offers[step.offer];
    const Cloud& cloud = x.state->clouds[offer.cloud];
    x.phase = ledger::Phase::kSend;
    x.attempt.began = core_.now();
    x.core->health.began(step.offer, core_.now());

    std::string_view body;
    std::vector<dialect::Header> headers;
    if (Status encoded = encode(x, step, body, headers); !encoded) {
        AttemptFailure failure;
        failure.error = std::move(encoded).error();
        co_return failure;
    }
    const std::string& target =
        x.is_stream ? offer.request.target_stream : offer.request.target_whole;
    std::string& lines = x.bench->upstream_headers;
    lines = offer.request.header_lines;
    for (const dialect::Header& header : headers) {
        net::HeaderLines line;
        line.add(header.name, header.value);
        lines += line.text();
    }
    if (upstream::Signer* signer = x.core->signers[offer.cloud].get(); signer != nullptr) {
        net::HeaderLines signature;
        signer->sign(target, body, core_.wall(), signature);
        lines += signature.text();
    }
    // Lets a supplier's log, or our simulated cloud, be matched with the books.
    const std::size_t id_at = lines.size() + std::string_view("x-entrepot-exchange: ").size();
    lines += "x-entrepot-exchange: 00000000-0000-0000-0000-000000000000\r\n";
    x.id.write(lines.data() + id_at);

    const net::ClientRequest upstream_request{
        .method = "POST", .target = target, .header_lines = lines, .body = body, .host = {}};
    const config::UpstreamTimeouts& timeouts = cloud.settings.timeouts;
    net::ExchangeLimits limits;
    limits.deadline = core_.after(milliseconds(timeouts.total_ms));
    limits.cancel = request.cancel;
    limits.connect_timeout = milliseconds(timeouts.connect_ms);
    limits.first_byte_timeout = milliseconds(timeouts.first_byte_ms);
    limits.idle_timeout = milliseconds(timeouts.idle_ms);

    x.phase = ledger::Phase::kFirstByte;
    Result<net::ClientExchange> exchanged = co_await client_.exchange(
        *x.core->pools[offer.cloud], upstream_request, limits, &x.attempt.report);
    if (!exchanged) {
        AttemptFailure failure;
        failure.error = std::move(exchanged).error();
        co_return failure;
    }
    net::ClientExchange upstream = std::move(*exchanged);
    x.attempt.upstream_status = static_cast<std::uint16_t>(upstream.status());
    if (upstream.status() < 200 || upstream.status() >= 300) {
        AttemptFailure failure = co_await read_failure(x, upstream);
        co_return failure;
    }
    x.phase = ledger::Phase::kRelay;
    if (cloud.is_native_chat) {
        if (x.is_stream) co_return co_await relay_stream(x, upstream, response);
        co_return co_await relay_whole(x, upstream, response);
    }
    if (x.is_stream) co_return co_await relay_translated_stream(x, upstream, response);
    co_return co_await relay_translated_whole(x, upstream, response);
}

Co<AttemptFailure> Worker::read_failure(Exchange& x, net::ClientExchange& upstream) {
    const Cloud& cloud = x.state->clouds[x.state->offers[x.attempt.offer].cloud];
    AttemptFailure out;
    out.status = static_cast<std::uint16_t>(upstream.status());
    std::vector<dialect::Header> headers;
    std::string_view after, after_ms;
    for (std::size_t i = 0; i < upstream.headers().size(); ++i) {
        const net::Header header = upstream.headers()[i];
        headers.push_back({to_lower(header.name), std::string(header.value)});
    }
    for (const dialect::Header& header : headers) {
        if (header.name == "retry-after") after = header.value;
        if (header.name == "retry-after-ms") after_ms = header.value;
    }
    // Also recorded on answers that were no refusal: the status decides.
    if (out.status == 429 || out.status >= 500)
        out.retry_after = routing::parse_retry_after(after, after_ms, core_.wall());
    Result<std::string> body = co_await upstream.read_whole_body(kFailureBytesMax);
    const std::string text = body ? std::move(*body) : std::string();
    out.failure = cloud.supplier->dialect().decode_failure(out.status, headers, text);
    out.has_failure = true;
    if (out.retry_after && !out.failure.retry_after)
        out.failure.retry_after = std::chrono::duration_cast<milliseconds>(*out.retry_after);
    out.is_content_filter = out.failure.kind == canon::FailureKind::kContentFilter;
    if (cloud.is_native_chat && text.starts_with('{')) out.native_body = text;
    ErrorCode code = ErrorCode::kUpstreamRefused;
    if (out.status == 401 || out.status == 402 || out.status == 403)
        code = ErrorCode::kUpstreamAuth;
    else if (out.status == 429)
        code = ErrorCode::kUpstreamRateLimited;
    else if (out.status == 503 || out.status == 529)
        code = ErrorCode::kUpstreamOverloaded;
    else if (out.status >= 500 || out.status < 400)
        code = ErrorCode::kUpstreamError;
    out.error = Error{code,
        fmt::format("the supplier answered {}: {}", out.status,
            excerpt(scrub_account(out.failure.message), 300)),
        fmt::format(
            "{}: {} {}", x.state->offers[x.attempt.offer].name, out.status, excerpt(text, 500)),
        {}};
    co_return out;
}

}  // namespace entrepot::gateway
