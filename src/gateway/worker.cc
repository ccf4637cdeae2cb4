#include "gateway/worker.h"

#include <fmt/format.h>

#include "base/text.h"
#include "gateway/cors.h"
#include "gateway/failure.h"

namespace entrepot::gateway {
namespace {

constexpr std::size_t kBenchesMax = 64;
constexpr std::size_t kBenchBytesMax = 256 * 1024;  // a larger buffer is not worth keeping

net::ClientOptions client_options() { return {}; }

/// Lists of models share paths, and the headers tell whose client it is.
std::optional<Door> door_of(const net::ServerRequest& request) {
    std::optional<Door> door = find_door(request.path);
    if (door && door->operation == Operation::kModels)
        door->dialect = &dialect_of_list(*door, request.headers, request.query);
    return door;
}

Error nothing_at(const net::ServerRequest& request) {
    if (request.path.starts_with("/v1/realtime") || request.path.starts_with("/openai/realtime") ||
        request.path.starts_with("/openai/v1/realtime"))
        return Error{ErrorCode::kNotFound,
            "realtime sessions are not served: neither WebSockets nor WebRTC pass this gateway; "
            "use /v1/responses or /v1/chat/completions with stream",
            {}, {}};
    return Error{ErrorCode::kNotFound,
        fmt::format("there is nothing at {} {}; this gateway serves {} and more (docs/dialects)",
            excerpt(request.method), excerpt(request.path), doors_near(request.path)),
        {}, {}};
}

}  // namespace

Worker::Worker(Core& core, const Snapshot<State>& states, BooksPort& books, Limiters& limiters,
    Metrics& metrics, telemetry::AccessLog* access_log, const std::atomic<bool>& draining,
    upstream::CredentialKeeper& credentials, KeptPort& kept, Scope& chores,
    TakeOut take_out_everywhere, Watch watch)
    : core_(core),
      states_(states),
      books_(books),
      limiters_(limiters),
      metrics_(metrics),
      access_log_(access_log),
      draining_(draining),
      credentials_(credentials),
      kept_(kept),
      chores_(chores),
      take_out_everywhere_(std::move(take_out_everywhere)),
      watch_everywhere_(std::move(watch)),
      client_(core, client_options()) {}

const std::shared_ptr<CoreState>& Worker::core_state() {
    const std::shared_ptr<const State>& state = states_.get();
    if (core_state_ != nullptr && core_state_->state == state) [[likely]]
        return core_state_;
    auto fresh = std::make_shared<CoreState>();
    fresh->state = state;
    for (const Cloud& cloud : state->clouds) {
        // A pool that cannot be made (an unreadable CA file) was refused when the settings were
        // checked.
        const Result<net::OriginPool*> pool = client_.origin(cloud.supplier->origin());
        if (!pool) metrics_.alarm(cloud.settings.id.view(), pool.error().message);
        fresh->pools.push_back(pool ? *pool : nullptr);
        fresh->signers.push_back(cloud.supplier->make_signer(cloud.credentials));
    }
    fresh->health = core_state_ == nullptr
        ? routing::Health(state->table)
        : core_state_->health.carried_to(core_state_->state->table, state->table);
    core_state_ = std::move(fresh);
    return core_state_;
}

std::unique_ptr<Workbench> Worker::take_bench() {
    if (benches_.empty()) return std::make_unique<Workbench>();
    std::unique_ptr<Workbench> bench = std::move(benches_.back());
    benches_.pop_back();
    return bench;
}

void Worker::give_bench(std::unique_ptr<Workbench> bench) {
    if (benches_.size() >= kBenchesMax) return;
    bench->canonical.reset();
    bench->document.reset();
    if (bench->body.capacity() > kBenchBytesMax) std::string().swap(bench->body);
    if (bench->upstream_body.capacity() > kBenchBytesMax) std::string().swap(bench->upstream_body);
    benches_.push_back(std::move(bench));
}

Exchange Worker::begin_exchange(const dialect::Dialect& client) {
    Exchange x;
    x.client = &client;
    x.began = core_.now();
    x.began_wall = core_.wall();
    x.id = ExchangeId::make(x.began_wall, {core_.random()(), core_.random()()});
    x.core = core_state();
    x.state = x.core->state;
    return x;
}

Exchange Worker::begin_exchange(const dialect::Dialect& client, const net::ServerRequest& request) {
    Exchange x = begin_exchange(client);
    x.origin = allowed_origin(*x.state, request);
    return x;
}

Co<void> Worker::handle(net::ServerRequest& request, net::ResponseWriter& response) {
    // No coroutine itself: every open stream would carry its frame.
    if (std::optional<Door> door = door_of(request)) [[likely]] {
        if (request.method == "OPTIONS") return serve_options(std::move(*door), request, response);
        switch (door->operation) {
            case Operation::kGenerate: return serve_generate(std::move(*door), request, response);
            case Operation::kModels: return serve_models(std::move(*door), request, response);
            case Operation::kKept: return serve_kept(request, response);
            case Operation::kPass: return serve_passthrough(request, response);
        }
    }
    const bool is_probe = request.path == "/livez" || request.path == "/readyz" ||
        (request.path == "/" && request.method == "HEAD");  // how Claude Code looks who is there
    return is_probe ? serve_probe(request, response) : serve_nothing(request, response);
}

Co<void> Worker::serve_probe(net::ServerRequest& request, net::ResponseWriter& response) {
    const bool is_ready = request.path != "/readyz" || !draining_.load(std::memory_order_relaxed);
    (void)co_await response.send(
        is_ready ? 200 : 503, "content-type: text/plain\r\n", is_ready ? "ok\n" : "draining\n");
}

Co<void> Worker::serve_options(
    Door door, net::ServerRequest& request, net::ResponseWriter& response) {
    Exchange x = begin_exchange(*door.dialect, request);
    x.allow = methods_of(door.operation);
    if (const auto lines = preflight_lines(x.origin, x.allow, request)) {
        (void)co_await response.send(204, *lines, {});
        co_return;
    }
    Error error = not_allowed(request.method, request.path, x.allow);
    co_await refuse(x, response, std::move(error));
}

Co<void> Worker::serve_nothing(net::ServerRequest& request, net::ResponseWriter& response) {
    Exchange x = begin_exchange(dialect_of_prefix(request.path), request);
    Error error = nothing_at(request);
    co_await refuse(x, response, std::move(error));
}

Co<bool> Worker::check_head(net::ServerRequest& head, net::ResponseWriter& response) {
    const std::optional<Door> door = door_of(head);
    Exchange x = begin_exchange(door ? *door->dialect : dialect_of_prefix(head.path), head);
    x.bench = take_bench();
    // Everything with a key has a door; the rest takes no body worth waiting for.
    Status admitted;
    if (door)
        admitted = admit(x, head, std::nullopt);
    else
        admitted = std::unexpected(nothing_at(head));
    give_bench(std::move(x.bench));
    if (admitted) co_return true;
    Error error = std::move(admitted).error();
    co_await refuse(x, response, std::move(error));
    if (!record_here(x, head.peer)) co_await record(x, head.peer);
    co_return false;
}

std::string Worker::refusal_body(const Error& error, int status, std::string_view target) {
    canon::Failure failure;
    failure.kind = canon::kind_of_status(status);
    failure.status = status;
    failure.message = error.message;
    failure.code = error_code_name(error.code);
    return dialect_of_prefix(target).encode_failure(failure);
}

void Worker::take_out(const State& state, std::uint32_t offer) {
    // A state published since then was made by somebody who looked.
    const std::shared_ptr<CoreState>& here = core_state();
    if (here->state.get() == &state) here->health.take_out(offer);
}

Co<void> Worker::serve_generate(
    Door door, net::ServerRequest& request, net::ResponseWriter& response) {
    Exchange x = begin_exchange(*door.dialect, request);
    x.bench = take_bench();
    co_await answer(x, door, request, response);
    if (x.stream != nullptr) co_await relay_stream(x, response);
    if (x.bench != nullptr) give_bench(std::move(x.bench));
    if (!record_here(x, request.peer)) co_await record(x, request.peer);
}

Co<void> Worker::answer(
    Exchange& x, const Door& door, net::ServerRequest& request, net::ResponseWriter& response) {
    Status served = admit_generate(x, door, request);
    if (served && x.key->has_limits) served = co_await limit(x);
    if (served && x.kept != nullptr && !x.kept->named.empty()) served = co_await find_kept(x);
    if (served) served = plan(x);
    if (served) served = co_await attempts(x, request, response);
    if (!served) {
        Error error = std::move(served).error();
        co_await refuse(x, response, std::move(error));
    }
}

Co<void> Worker::refuse(Exchange& x, net::ResponseWriter& response, Error error) {
    x.error = error.code;
    if (x.error_cause.empty()) x.error_cause = error.cause;
    if (error.code == ErrorCode::kClientGone) {
        x.ended_by = ledger::EndedBy::kClient;
        response.abort();
        co_return;
    }
    if (x.ended_by == ledger::EndedBy::kNone) x.ended_by = ledger::EndedBy::kGateway;
    canon::Failure failure = failure_of(error);
    if (x.retry_after) failure.retry_after = x.retry_after;
    // A budget is no limit that a client may wait out: what it takes for one differs.
    if (failure.kind == canon::FailureKind::kQuotaExhausted && x.client->adopt_failure != nullptr)
        x.client->adopt_failure(failure);
    co_await send_failure(x, response, failure, {});
}

Co<void> Worker::send_failure(
    Exchange& x, net::ResponseWriter& response, const canon::Failure& failure, std::string body) {
    const bool is_in_stream = x.is_stream && body.empty() &&
        x.client->tells_full_context_in_stream &&
        failure.kind == canon::FailureKind::kContextExceeded;
    std::string lines = "content-type: application/json\r\n";
    int status = failure.status;
    if (is_in_stream) {
        status = 200;
        lines = fmt::format("content-type: {}\r\n", x.client->stream_content_type);
        const auto encoder =
            x.client->reply_encoder(dialect::ReplyForm::kStream, reply_context_of(x));
        const canon::Event failed = canon::Failed{failure};
        encoder->add(failed, body);
    } else if (body.empty()) {
        body = x.client->encode_failure(failure);
    }
    x.status = static_cast<std::uint16_t>(status);
    append_headers(x, is_in_stream, lines);
    if (status == 405 && !x.allow.empty()) lines += fmt::format("allow: {}\r\n", x.allow);
    if (x.client->failure_headers != nullptr) {
        net::HeaderLines own;
        for (const dialect::Header& header : x.client->failure_headers(failure))
            own.add(header.name, header.value);
        lines += own.text();
    }
    if (failure.retry_after) {
        lines += fmt::format("retry-after: {}\r\nretry-after-ms: {}\r\n",
            (failure.retry_after->count() + 999) / 1000, failure.retry_after->count());
    }
    // No retry of ours or the client's brings back money or rights: spare both the attempts.
    if (failure.kind == canon::FailureKind::kQuotaExhausted || x.is_hopeless)
        lines += "x-should-retry: false\r\n";
    x.first_byte = monotonic_now();
    (void)co_await response.send(status, lines, body);
}

}  // namespace entrepot::gateway
