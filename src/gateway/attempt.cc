// One offer after the other, until the client's answer begins.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dialect/sealed_signature.h"
#include "gateway/failure.h"
#include "gateway/worker.h"
#include "json/writer.h"

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
        code == ErrorCode::kBadRequest || code == ErrorCode::kUnbounded;
}

/// Whether the bytes of one are the bytes of the other: a format may go by several names.
bool speak_alike(const dialect::Dialect& client, const dialect::Dialect& supplier) {
    return client.decode_request == supplier.decode_request &&
        client.encode_request == supplier.encode_request &&
        client.reply_decoder == supplier.reply_decoder;
}

/// The offer's voice in the client's dialect, where it has one.
const upstream::Voice& voice_for(const dialect::Dialect& client, const OfferState& offer) {
    const auto own = std::ranges::find_if(offer.voices,
        [&](const upstream::Voice& voice) { return speak_alike(client, *voice.dialect); });
    return own == offer.voices.end() ? offer.voices.front() : *own;
}

Lane lane_between(const dialect::Dialect& client, const dialect::Dialect& supplier) {
    if (!speak_alike(client, supplier)) return Lane::kTranslated;
    return dialect::openai_chat::speaks_chat(client) ? Lane::kChat : Lane::kPassing;
}

}  // namespace

Task<void> Worker::attempts(
    Exchange& x, net::ServerRequest& request, net::ResponseWriter& response) {
    // The bench, which holds the plan, is given back when an answer begins; then we are done.
    const routing::Plan& plan = x.bench->plan;
    std::optional<Error> refused;  // by a budget, or by what an offer cannot carry
    Failed failed;                 // the last word of a supplier
    std::int32_t at_offer = 0;
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
        Status ready = encode(x, step);
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
        // An account that has run dry is ours to mend, whatever the status.
        facts.http_status =
            failed->error.code == ErrorCode::kUpstreamAuth ? 402 : std::int32_t{failed->status};
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
        if (!settle_here(x)) co_await settle(x);
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
        if (code == ErrorCode::kUpstreamAuth)
            failure.error.message =
                "no supplier accepted the gateway's own credentials for this model; its operator "
                "has been alarmed";
        co_return std::unexpected(std::move(failure.error));
    }
    failure.failure.message = scrub_account(failure.failure.message);
    std::string body = scrub_account(failure.native_body);
    co_await send_failure(x, response, failure.failure, std::move(body));
    co_return Status{};
}

Status Worker::encode(Exchange& x, const routing::Attempt& step) {
    const OfferState& offer = x.state->offers[step.offer];
    const Cloud& cloud = x.state->clouds[offer.cloud];
    x.bench->dialect_headers.clear();
    x.dropped.clear();
    const routing::Limits& limits = x.state->table.offer(step.offer).limits;
    // The hold rests on this cap. The maker's own API enforces its model's by itself; a lower one
    // of the configuration, and a server of unknown make, have to be told.
    const bool must_state = step.is_clamped ||
        (step.is_bounded &&
            (limits.must_state_output_cap ||
                cloud.settings.kind == config::CloudKind::kOpenaiCompatible));
    x.voice = &voice_for(*x.client, offer);
    // One dialect, but the model takes another body than the client's: to be translated, and best
    // through the voice that speaks to every model alike.
    const bool is_other_family = speak_alike(*x.client, *x.voice->dialect) &&
        x.client->takes_family != nullptr &&
        !x.client->takes_family(offer.model_at_cloud, x.family);
    if (is_other_family) x.voice = &offer.voices.front();
    x.lane = is_other_family ? Lane::kTranslated : lane_between(*x.client, *x.voice->dialect);
    // A cap of ours is a change that only a dialect's own encoder knows how to make; suppliers are
    // asked for events, never for an array; and what another maker signed is not for this one.
    if (x.lane == Lane::kPassing &&
        (x.wants_json_array || (must_state && step.inject_output_cap > 0) ||
            dialect::may_hold_sealed(x.bench->body)))
        x.lane = Lane::kTranslated;
    // In another dialect, what the supplier would run by itself stays behind.
    if (x.key->has_budget && !x.bench->facts.open_ended_field.empty() &&
        speak_alike(*x.client, *x.voice->dialect)) {
        const std::string field(x.bench->facts.open_ended_field);
        return fail_field(ErrorCode::kUnbounded, field,
            fmt::format("'{}' lets the supplier do what is billed apart (searches, code), and "
                        "nothing bounds how often, so the budget of this key cannot be held; leave "
                        "it out, or use a key without a budget",
                field));
    }
    switch (x.lane) {
        case Lane::kChat: return encode_chat(x, step, must_state);
        case Lane::kPassing: return encode_passing(x);
        case Lane::kTranslated: return encode_translated(x, step, must_state);
    }
    return {};
}

Status Worker::encode_chat(Exchange& x, const routing::Attempt& step, bool must_state) {
    const upstream::Quirks& quirks = x.voice->quirks;
    Workbench& bench = *x.bench;
    dialect::openai_chat::Edits edits;
    if (bench.facts.model != x.voice->model_id || x.client->has_model_in_path)
        edits.model_id = x.voice->model_id;
    if (must_state && step.inject_output_cap > 0) edits.output_tokens_max = step.inject_output_cap;
    edits.injects_max_completion_tokens = quirks.takes_max_completion_tokens;
    edits.asks_stream_usage = quirks.can_ask_stream_usage && x.is_stream && !x.wants_usage;
    dialect::openai_chat::splice(bench.body, bench.facts, edits, bench.splice);
    if (bench.splice.is_unchanged()) {
        bench.upstream_view = bench.body;
        return {};
    }
    bench.upstream_body.clear();
    bench.splice.append_to(bench.upstream_body);
    bench.upstream_view = bench.upstream_body;
    return {};
}

// The only edit is the model's name: everything else goes as it came.
Status Worker::encode_passing(Exchange& x) {
    Workbench& bench = *x.bench;
    for (const dialect::OwnHeader& own : x.client->own_headers) {
        const auto sent = std::ranges::find(bench.own_headers, own.name, &dialect::Header::name);
        if (sent != bench.own_headers.end())
            bench.dialect_headers.push_back(*sent);
        else if (!own.fallback.empty())
            bench.dialect_headers.push_back({std::string(own.name), std::string(own.fallback)});
    }
    bench.upstream_view = bench.body;
    const std::string_view field = x.voice->dialect->model_field;
    const json::Value& name = bench.document->root()[field];
    if (field.empty() || !name.is_string() || name.string() == x.voice->model_id) return {};
    const auto count = std::ranges::count(bench.document->root().members(), field,
        [](const json::Member& member) { return member.key; });
    if (count > 1)
        return fail_field(ErrorCode::kBadRequest, std::string(field),
            fmt::format("'{}' is given twice; give it once", field));
    const auto at = static_cast<std::size_t>(name.raw().data() - bench.document->text().data());
    bench.upstream_body.assign(bench.body, 0, at);
    bench.upstream_body += json::quoted(x.voice->model_id);
    bench.upstream_body.append(bench.body, at + name.raw().size());
    bench.upstream_view = bench.upstream_body;
    return {};
}

Status Worker::encode_translated(Exchange& x, const routing::Attempt& step, bool must_state) {
    const upstream::Quirks& quirks = x.voice->quirks;
    const routing::Limits& limits = x.state->table.offer(step.offer).limits;
    Workbench& bench = *x.bench;
    if (!bench.canonical) {
        ENTREPOT_TRY(const json::Document document, json::Document::parse_in_place(bench.body));
        dialect::RequestContext context;
        if (x.client->has_model_in_path) context.model = x.model;
        ENTREPOT_TRY(bench.canonical, x.client->decode_request(document, context));
        x.uses_functions = bench.canonical->uses_functions;  // the bench is gone when it answers
    }
    // The bench is gone when it answers.
    if (x.client->echo_of != nullptr && x.echo.empty())
        x.echo = x.client->echo_of(*bench.canonical);
    dialect::EncodeTarget target;
    target.model_id = x.voice->model_id;
    target.account = x.voice->account;
    target.on_lossy = on_lossy_of(x.principal->policy.on_lossy);
    if (limits.output_tokens_max > 0) target.output_tokens_default = limits.output_tokens_max;
    if (step.inject_output_cap > 0) target.output_tokens_default = step.inject_output_cap;
    target.states_output_cap = must_state && step.inject_output_cap > 0;
    target.can_ask_stream_usage = quirks.can_ask_stream_usage;
    target.takes_max_completion_tokens = quirks.takes_max_completion_tokens;
    const dialect::Dialect& to = *x.voice->dialect;
    ENTREPOT_TRY(dialect::EncodedRequest encoded, to.encode_request(*bench.canonical, target));
    bench.upstream_body = std::move(encoded.body);
    bench.upstream_view = bench.upstream_body;
    bench.dialect_headers = std::move(encoded.headers);
    for (const dialect::OwnHeader& own : to.own_headers) {
        const bool is_there = std::ranges::find(bench.dialect_headers, own.name,
                                  &dialect::Header::name) != bench.dialect_headers.end();
        if (!is_there && !own.fallback.empty())
            bench.dialect_headers.push_back({std::string(own.name), std::string(own.fallback)});
    }
    x.dropped = std::move(encoded.dropped);
    return {};
}

Co<Failed> Worker::attempt(Exchange& x, const routing::Attempt& step, net::ServerRequest& request,
    net::ResponseWriter& response) {
    const OfferState& offer = x.state->offers[step.offer];
    const Cloud& cloud = x.state->clouds[offer.cloud];
    x.phase = ledger::Phase::kSend;
    x.attempt.began = core_.now();
    x.core->health.began(step.offer, core_.now());

    const std::string& target = x.is_stream ? x.voice->target_stream : x.voice->target_whole;
    const std::string_view body = x.bench->upstream_view;
    std::string& lines = x.bench->upstream_headers;
    lines = x.voice->header_lines;
    for (const dialect::Header& header : x.bench->dialect_headers) {
        net::HeaderLines line;
        line.add(header.name, header.value);
        lines += line.text();
    }
    if (upstream::Signer* signer = x.core->signers[offer.cloud].get(); signer != nullptr) {
        net::HeaderLines signature;
        // They may have expired while the budgets were asked.
        Status is_signed = signer->sign(target, body, core_.wall(), signature);
        if (!is_signed) co_return failed_with(std::move(is_signed).error());
        lines += signature.text();
        if (upstream::Signer::Rest rest = signer->take_rest()) {
            Result<std::string> line = co_await side_.run(core_, std::move(rest));
            if (!line) co_return failed_with(std::move(line).error());
            lines += *line;
        }
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
    // We ask for none; what came all the same cannot be metered.
    if (const auto encoding = upstream.headers().find("content-encoding");
        encoding && !equals_ignoring_case(trim(*encoding), "identity")) {
        co_return failed_with(Error{ErrorCode::kUpstreamProtocol,
            fmt::format("the supplier's answer is compressed ('{}'), though that was not asked for",
                excerpt(*encoding)),
            {}, {}});
    }
    x.phase = ledger::Phase::kRelay;
    if (x.is_stream) co_return co_await open_stream(x, upstream);
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
    // Also recorded on answers that were no refusal: the status decides.
    if (out.status == 429 || out.status >= 500)
        out.retry_after = routing::parse_retry_after(after, after_ms, core_.wall());
    Result<std::string> body = co_await upstream.read_whole_body(kFailureBytesMax);
    const std::string text = body ? std::move(*body) : std::string();
    out.failure = x.voice->dialect->decode_failure(out.status, headers, text);
    out.has_failure = true;
    if (out.retry_after)
        out.failure.retry_after = std::chrono::duration_cast<milliseconds>(*out.retry_after);
    out.is_content_filter = out.failure.kind == canon::FailureKind::kContentFilter;
    if (x.lane != Lane::kTranslated && text.starts_with('{')) out.native_body = text;
    // Fetched credentials may have been withdrawn before their time.
    const Cloud& cloud = x.state->clouds[x.state->offers[x.attempt.offer].cloud];
    if ((out.status == 401 || out.status == 403) && cloud.credentials != nullptr)
        credentials_.doubt(cloud.credentials);
    ErrorCode code = ErrorCode::kUpstreamRefused;
    if (out.status == 401 || out.status == 402 || out.status == 403)
        code = ErrorCode::kUpstreamAuth;
    else if (out.failure.kind == canon::FailureKind::kQuotaExhausted ||
        out.failure.kind == canon::FailureKind::kBilling)
        code = ErrorCode::kUpstreamAuth;  // our account has run dry: no retry of the client helps
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
    co_return result;
}

}  // namespace entrepot::gateway
