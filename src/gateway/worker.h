#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "auth/rate_limit.h"
#include "auth/signed_request.h"
#include "gateway/books_port.h"
#include "gateway/door.h"
#include "gateway/exchange.h"
#include "gateway/metrics.h"
#include "gateway/state.h"
#include "net/http_client.h"
#include "net/server.h"
#include "routing/health.h"
#include "routing/memory.h"
#include "runtime/side_thread.h"
#include "runtime/snapshot.h"
#include "telemetry/access_log.h"

namespace entrepot::gateway {

struct WholeReply;

/// What one core adds to one `State`: connections, signing keys and what it learned of the offers.
struct CoreState {
    std::shared_ptr<const State> state;
    std::vector<net::OriginPool*> pools;  ///< by cloud
    std::vector<std::unique_ptr<upstream::Signer>>
        signers;  ///< by cloud; null where none is needed
    routing::Health health;
};

/// Limits of requests, tokens and concurrency, by key. Lives with the books on their core: one
/// place counts for all.
class Limiters {
public:
    /// Errors: kRateLimited with what is left and when to retry.
    [[nodiscard]] Status admit(const auth::Principal& principal, std::int64_t tokens,
        MonotonicTime now, milliseconds* retry_after);
    void finish(const auth::Principal& principal, std::int64_t tokens_expected,
        std::int64_t tokens_used, MonotonicTime now);

private:
    std::unordered_map<std::string, auth::KeyLimiter> by_key_;
};

/// The data plane of one core: serves every request of its listener, in the order that the files
/// beside this one tell (admit, plan, hold, attempt, relay, settle, record).
class Worker final : public net::Handler {
public:
    using TakeOut = std::function<void(const std::shared_ptr<const State>&, std::uint32_t offer)>;

    Worker(Core& core, const Snapshot<State>& states, BooksPort& books, Limiters& limiters,
        Metrics& metrics, telemetry::AccessLog* access_log, const std::atomic<bool>& draining,
        upstream::CredentialKeeper& credentials, TakeOut take_out_everywhere);

    [[nodiscard]] Co<void> handle(
        net::ServerRequest& request, net::ResponseWriter& response) override;
    /// Refuses who is not known, and what is served nowhere, before a body is kept for them.
    [[nodiscard]] Co<bool> check_head(
        net::ServerRequest& head, net::ResponseWriter& response) override;
    /// In the dialect that the path suggests.
    [[nodiscard]] std::string refusal_body(
        const Error& error, int status, std::string_view target) override;

    /// Takes an offer of `state` out of use here; `take_out_everywhere` asks
    /// every core to.
    void take_out(const State& state, std::uint32_t offer);

private:
    // worker.cc
    [[nodiscard]] Co<void> serve_generate(
        Door door, net::ServerRequest& request, net::ResponseWriter& response);
    /// Until the client has its answer, or a stream of it has begun: `x.stream`.
    [[nodiscard]] Co<void> answer(
        Exchange& x, const Door& door, net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> serve_probe(net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> serve_nothing(
        net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> refuse(Exchange& x, net::ResponseWriter& response, Error error);
    [[nodiscard]] Co<void> send_failure(Exchange& x, net::ResponseWriter& response,
        const canon::Failure& failure, std::string body);
    [[nodiscard]] Exchange begin_exchange(const dialect::Dialect& client);
    [[nodiscard]] const std::shared_ptr<CoreState>& core_state();
    [[nodiscard]] std::unique_ptr<Workbench> take_bench();
    void give_bench(std::unique_ptr<Workbench> bench);

    // models.cc: what the key may use
    [[nodiscard]] Co<void> serve_models(
        Door door, net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] static Result<std::string> list_models(
        const Exchange& x, const Door& door, const net::ServerRequest& request);

    // admit.cc: who asks, and may they
    /// `body`: absent while it has not come; a signature over it is then still open.
    [[nodiscard]] Status admit(
        Exchange& x, const net::ServerRequest& request, std::optional<std::string_view> body);
    [[nodiscard]] Result<const auth::Principal*> admit_signed(const Exchange& x,
        std::string_view authorization, const net::ServerRequest& request,
        std::optional<std::string_view> body);
    [[nodiscard]] Status admit_generate(Exchange& x, const Door& door, net::ServerRequest& request);
    [[nodiscard]] static Status read_request(
        Exchange& x, const Door& door, const net::ServerRequest& request);
    [[nodiscard]] Task<void> limit(Exchange& x);

    // plan.cc: where it may go, cheapest first
    [[nodiscard]] Status plan(Exchange& x);

    // hold.cc: the worst case, in every budget
    // What the books do is done at once on the core that owns them: hold_here, settle_here and
    // record_here, which need no coroutine. False: it has to wait, for which the other is there.
    [[nodiscard]] bool hold_here(Exchange& x, const routing::Attempt& step, Status& status);
    [[nodiscard]] Task<void> hold(Exchange& x, const routing::Attempt& step, Cancel* cancel);
    [[nodiscard]] ledger::HoldRequest hold_request_of(
        const Exchange& x, const routing::Attempt& step);
    static void held(Exchange& x, const routing::Attempt& step, const ledger::HoldRequest& request);
    [[nodiscard]] Error explain_refusal(const Exchange& x, const routing::Attempt& step,
        const ledger::Refusal& refusal, Error error);

    // attempt.cc: one offer after the other, until the answer begins
    [[nodiscard]] Task<void> attempts(
        Exchange& x, net::ServerRequest& request, net::ResponseWriter& response);
    /// The supplier's answer, relayed; a failure when the client has seen nothing of it.
    [[nodiscard]] Co<Failed> attempt(Exchange& x, const routing::Attempt& step,
        net::ServerRequest& request, net::ResponseWriter& response);
    /// Null when the offer's cloud can be called; what is missing is told to the operator.
    [[nodiscard]] Failed lacks_credentials(Exchange& x, const routing::Attempt& step);
    /// Headers of a call with that body, signed but for what `finish_head` has to do, if anything.
    [[nodiscard]] Result<upstream::Signer::Rest> write_head(Exchange& x, std::string_view body);
    [[nodiscard]] Task<void> finish_head(Exchange& x, upstream::Signer::Rest rest);
    [[nodiscard]] static net::ClientRequest upstream_request_of(
        const Exchange& x, std::string_view body);
    [[nodiscard]] net::ExchangeLimits limits_of(const Exchange& x, Cancel* cancel) const;
    [[nodiscard]] static Status check_plain(const net::ClientExchange& upstream);
    /// Books what a failed attempt may have cost, or gives its hold back.
    [[nodiscard]] Co<void> end_failed(
        Exchange& x, const AttemptFailure& failure, const routing::Decision& decision);
    /// Tells the client; an error is for `refuse`.
    [[nodiscard]] Task<void> give_up(
        Exchange& x, AttemptFailure& failure, net::ResponseWriter& response);
    [[nodiscard]] Co<Failed> read_failure(Exchange& x, net::ClientExchange& upstream);

    // encode.cc: the request in a voice of the offer
    [[nodiscard]] static Status encode(Exchange& x, const routing::Attempt& step);
    [[nodiscard]] static Status encode_chat(
        Exchange& x, const routing::Attempt& step, bool must_state);
    [[nodiscard]] static Status encode_passing(Exchange& x);
    [[nodiscard]] static Status rename_in_raw(Exchange& x);
    [[nodiscard]] static Status encode_translated(
        Exchange& x, const routing::Attempt& step, bool must_state);

    // relay.cc, relay_whole.cc: bytes and events to the client, metered
    [[nodiscard]] Co<Failed> open_stream(Exchange& x, net::ClientExchange& upstream);
    [[nodiscard]] Co<void> relay_stream(Exchange& x, net::ResponseWriter& response);
    void begin_stream(Exchange& x, net::ResponseWriter& response);
    [[nodiscard]] bool books_first(Exchange& x);
    [[nodiscard]] Co<void> end_stream(Exchange& x, net::ResponseWriter& response);
    [[nodiscard]] Co<Failed> relay_whole(
        Exchange& x, net::ClientExchange& upstream, net::ResponseWriter& response);
    /// relay_parts.cc: an attempt of several calls, of which `upstream` is the first.
    [[nodiscard]] Co<Failed> relay_parts(Exchange& x, net::ClientExchange& upstream,
        net::ServerRequest& request, net::ResponseWriter& response);
    /// The headers of a whole answer that is booked and about to be sent.
    [[nodiscard]] std::string begin_whole(
        Exchange& x, const WholeReply& reply, std::string content_type_line);
    [[nodiscard]] Co<Failed> relay_large(Exchange& x, net::ClientExchange& upstream,
        net::ResponseWriter& response, std::string head);
    [[nodiscard]] static std::unique_ptr<StreamLane> lane_of(const Exchange& x);
    void mark_first_byte(Exchange& x);

    // settle.cc: what was used (`x.consumed`), once
    [[nodiscard]] bool settle_here(Exchange& x);
    [[nodiscard]] Co<void> settle(Exchange& x);
    [[nodiscard]] ledger::SettleRequest settlement_of(Exchange& x);
    void settled(const Exchange& x, const Result<ledger::Posting>& posting);
    [[nodiscard]] Co<void> release(Exchange& x, std::optional<ErrorCode> error);
    void end_attempt(Exchange& x, routing::Outcome outcome, std::optional<nanoseconds> retry_after);

    // record.cc: headers of the answer, and what is written down at the end
    void append_headers(const Exchange& x, bool with_cost, std::string& lines) const;
    [[nodiscard]] bool record_here(const Exchange& x, std::string_view peer);
    [[nodiscard]] Co<void> record(const Exchange& x, std::string_view peer);
    [[nodiscard]] ledger::ExchangeClose close_of(const Exchange& x) const;
    void recorded(const Exchange& x, const ledger::ExchangeClose& facts, const Status& closed,
        std::string_view peer);

    Core& core_;
    Snapshot<State>::Reader states_;
    BooksPort& books_;
    Limiters& limiters_;
    Metrics& metrics_;
    telemetry::AccessLog* access_log_;  // null: off
    const std::atomic<bool>& draining_;
    upstream::CredentialKeeper& credentials_;
    TakeOut take_out_everywhere_;
    net::HttpClient client_;
    SideThread side_;  // for signatures that would hold up the core
    std::shared_ptr<CoreState> core_state_;
    crypto::sigv4::KeyCache signing_keys_;
    routing::OutputLengths lengths_;
    routing::WarmCaches caches_;
    std::vector<std::unique_ptr<Workbench>> benches_;  // at most kBenchesMax
};

}  // namespace entrepot::gateway
