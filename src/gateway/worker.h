#pragma once

#include <array>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/rate_limit.h"
#include "auth/signed_request.h"
#include "gateway/books_port.h"
#include "gateway/door.h"
#include "gateway/exchange.h"
#include "gateway/kept.h"
#include "gateway/kept_door.h"
#include "gateway/metrics.h"
#include "gateway/passthrough.h"
#include "gateway/state.h"
#include "net/http_client.h"
#include "net/server.h"
#include "routing/health.h"
#include "routing/memory.h"
#include "runtime/scope.h"
#include "runtime/side_thread.h"
#include "runtime/snapshot.h"
#include "telemetry/access_log.h"

namespace entrepot {
class Scope;
}

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

/// Limits of requests, tokens and concurrency, by key and by all that stands above it. Lives with
/// the books on their core: one place counts for all.
class Limiters {
public:
    /// At every level or at none. The refusal says whose limit it is, what is left, when to retry.
    [[nodiscard]] std::optional<auth::LimitRefusal> admit(
        const auth::Principal& principal, std::int64_t tokens, MonotonicTime now);
    void finish(const auth::Principal& principal, std::int64_t tokens_expected,
        std::int64_t tokens_used, MonotonicTime now);

private:
    struct NameHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view name) const {
            return std::hash<std::string_view>()(name);
        }
    };
    using ByName = std::unordered_map<std::string, auth::Limiter, NameHash, std::equal_to<>>;
    /// The levels of a request, from its key up, that have limits.
    struct Path {
        std::array<auth::LimitStep, auth::kLimitLevels> steps;
        std::size_t count = 0;
        [[nodiscard]] std::span<const auth::LimitStep> used() const {
            return {steps.data(), count};
        }
    };
    [[nodiscard]] Path path_of(const auth::Principal& principal);
    void add(Path& path, auth::LimitOwner owner, const auth::Limits& limits);

    std::array<ByName, auth::kLimitLevels> by_level_;  // who was ever limited; some 100 bytes each
};

/// One call of a cloud that is no generation.
struct CloudCall {
    std::uint32_t cloud = 0;
    std::string method;
    std::string target;
    std::string_view body;
    std::string content_type = "application/json";
    std::vector<dialect::Header> headers;
    milliseconds total_max{0};  ///< 0: the cloud's own
};

[[nodiscard]] std::optional<std::uint32_t> cloud_index(const State& state, std::string_view name);

/// The data plane of one core: serves every request of its listener, in the order that the files
/// beside this one tell (admit, plan, hold, attempt, relay, settle, record).
class Worker final : public net::Handler {
public:
    using TakeOut = std::function<void(const std::shared_ptr<const State>&, std::uint32_t offer)>;
    using Watch = std::function<void(const store::Kept&)>;

    Worker(Core& core, const Snapshot<State>& states, BooksPort& books, Limiters& limiters,
        Metrics& metrics, telemetry::AccessLog* access_log, const std::atomic<bool>& draining,
        upstream::CredentialKeeper& credentials, KeptPort& kept, Scope& chores,
        TakeOut take_out_everywhere, Watch watch);

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

    /// On core 0: looks after what suppliers still work on, until `stop`.
    [[nodiscard]] Co<void> keep_watch(Cancel& stop);
    void watch(const store::Kept& thing);

private:
    // worker.cc
    [[nodiscard]] Co<void> serve_generate(
        Door door, net::ServerRequest& request, net::ResponseWriter& response);
    /// Until the client has its answer, or a stream of it has begun: `x.stream`.
    [[nodiscard]] Co<void> answer(
        Exchange& x, const Door& door, net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> serve_probe(net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> serve_options(
        Door door, net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> serve_nothing(
        net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Co<void> refuse(Exchange& x, net::ResponseWriter& response, Error error);
    [[nodiscard]] Co<void> send_failure(Exchange& x, net::ResponseWriter& response,
        const canon::Failure& failure, std::string body);
    /// One that no client asks for: the gateway looks after something.
    [[nodiscard]] Exchange begin_exchange(const dialect::Dialect& client);
    [[nodiscard]] Exchange begin_exchange(
        const dialect::Dialect& client, const net::ServerRequest& request);
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
    /// What the request's headers say of its end user and tags, as far as its key lets them.
    [[nodiscard]] static Status attribute(Exchange& x, const net::ServerRequest& request);
    /// The same of the body, once it was read. Errors: kInvalidField.
    [[nodiscard]] static Status attribute_body(Exchange& x);
    /// That the key knows who stands behind what is about to be paid. Errors: kInvalidField.
    [[nodiscard]] static Status check_end_user(const Exchange& x);
    [[nodiscard]] Status admit(
        Exchange& x, const net::ServerRequest& request, std::optional<std::string_view> body);
    [[nodiscard]] Result<const auth::Principal*> admit_signed(const Exchange& x,
        std::string_view authorization, const net::ServerRequest& request,
        std::optional<std::string_view> body);
    [[nodiscard]] Status admit_generate(Exchange& x, const Door& door, net::ServerRequest& request);
    [[nodiscard]] static Status read_request(
        Exchange& x, const Door& door, const net::ServerRequest& request);
    [[nodiscard]] Task<void> limit(Exchange& x);

    // idempotency.cc: what is not done twice
    /// Takes the client's name for the request, where it has one. Errors: kInvalidField.
    [[nodiscard]] static Status name_request(Exchange& x, const net::ServerRequest& request);
    /// After a hold was refused: by whom, if it was because of the name.
    static void note_earlier(Exchange& x, const ledger::Refusal& refusal);

    // kept.cc: what suppliers keep, in requests and answers
    [[nodiscard]] static Status read_kept(Exchange& x);
    /// Whose what the request names is, and where all of it lies. Errors: kNotFound, kInvalidField.
    [[nodiscard]] Task<void> locate_kept(Exchange& x);
    /// The same, and cuts the plan to that cloud. Errors: kUnsupported.
    [[nodiscard]] Task<void> find_kept(Exchange& x);
    /// What is this key's to use; nothing when it is not there or somebody else's.
    [[nodiscard]] Task<std::optional<store::Kept>> find_own(
        Exchange& x, store::KeptKind kind, const std::string& id);
    /// The same for everything that a body names which is no generation. Errors: as locate_kept.
    [[nodiscard]] Task<void> locate_named(Exchange& x, std::string_view body);
    void note_kept(Exchange& x);
    /// Leaves the attempt open, to be ended when its supplier has worked it off. False: it cannot
    /// be, and has to be settled now.
    [[nodiscard]] Co<bool> defer(Exchange& x);
    /// What its supplier goes on with is deferred; where that cannot be, booked as lost.
    [[nodiscard]] Co<void> leave_open(Exchange& x);
    /// Defers under a name; `dialect`: of what will say what it took. Completes `thing`.
    [[nodiscard]] Co<bool> defer_as(Exchange& x, store::Kept& thing, std::string_view dialect);

    // kept_serve.cc: what is asked about them
    [[nodiscard]] Co<void> serve_kept(net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Task<void> answer_kept(Exchange& x, const KeptDoor& door,
        net::ServerRequest& request, net::ResponseWriter& response);
    /// Whether the key may have one more. Errors: kForbidden, kIo.
    [[nodiscard]] Task<void> check_room(Exchange& x, store::KeptKind kind);
    [[nodiscard]] Task<void> create_kept(Exchange& x, const KeptDoor& door,
        net::ServerRequest& request, net::ResponseWriter& response);
    /// The body as it goes on. Errors: kUnbounded, kNotFound.
    [[nodiscard]] static Result<std::string> for_cache(
        Exchange& x, std::uint32_t cloud, const std::string& body);
    /// Sends it, and notes what was made; `noted`: JSON of ours that is kept with a file.
    [[nodiscard]] Task<void> make_kept(Exchange& x, const KeptDoor& door, const CloudCall& call,
        std::string_view noted, Cancel* cancel, net::ResponseWriter& response);
    void note_parts(Exchange& x, const store::Kept& whole, std::string_view body);
    /// The first cloud of the configuration that keeps things in that style and that the key
    /// reaches; or `wanted`. Errors: kUnsupported, kNotFound.
    [[nodiscard]] static Result<std::uint32_t> cloud_for(
        const Exchange& x, upstream::KeepingStyle style, std::string_view wanted);
    [[nodiscard]] static CloudCall kept_call(const Exchange& x, const KeptDoor& door,
        std::uint32_t cloud, const net::ServerRequest& request);
    /// A GET of something below where a cloud keeps things.
    [[nodiscard]] static CloudCall plain_call(const Exchange& x, std::uint32_t cloud,
        const dialect::Dialect& dialect, std::string_view path);
    [[nodiscard]] Task<net::ClientExchange> call_cloud(
        Exchange& x, const CloudCall& call, Cancel* cancel);
    [[nodiscard]] Task<void> refuse_kept(Exchange& x, std::uint32_t cloud,
        net::ClientExchange& upstream, net::ResponseWriter& response);
    /// `body`: what was read of it, whole; empty: it is passed on as it comes.
    [[nodiscard]] Task<void> relay_raw(Exchange& x, net::ClientExchange& upstream,
        net::ResponseWriter& response, std::string_view body);

    // kept_list.cc: lists of one's own
    [[nodiscard]] Task<void> list_kept(Exchange& x, const KeptDoor& door,
        net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Task<std::vector<store::Kept>> own_things(Exchange& x, const KeptDoor& door);
    /// As its supplier shows it now; nothing: it cannot be had now, or it is gone, and then it is
    /// forgotten and loses its id. Errors: kIo.
    [[nodiscard]] Task<std::optional<std::string>> ask_object(
        Exchange& x, store::Kept& thing, const KeptDoor& door, Cancel* cancel);

    // kept_batch.cc: files of requests, and what becomes of them
    [[nodiscard]] Task<BatchPlan> plan_batch(Exchange& x, upstream::KeepingStyle style,
        std::string_view wanted, std::string_view text, std::string& rewritten);
    [[nodiscard]] Task<void> create_file(Exchange& x, const KeptDoor& door,
        net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Task<void> create_batch(Exchange& x, const KeptDoor& door,
        net::ServerRequest& request, net::ResponseWriter& response);
    /// It may have been done and nobody can say what it took: the hold stands in for it.
    [[nodiscard]] Co<void> settle_lost(Exchange& x);
    /// The files that a batch has made are its maker's.
    [[nodiscard]] Task<void> note_results(const store::Kept& batch, std::string_view body);
    /// Whether a batch has ended; then it is settled.
    [[nodiscard]] Co<bool> take_batch(Exchange& x, const store::Kept& thing, std::uint32_t cloud,
        std::string_view body, Cancel* cancel);
    [[nodiscard]] Task<BatchTally> count_results(Exchange& x, const store::Kept& thing,
        std::uint32_t cloud, std::string_view path, Cancel* cancel);

    // passthrough_serve.cc: the rest of each supplier's API
    struct PassHold {
        ledger::Route route;
        Money ceiling;
        bool is_open = false;
        bool is_stated = false;  ///< the cost, by the supplier's own count
    };
    struct PassCost {
        Money cost;  ///< contracted
        Money list;
        RateNames names = {};
        catalog::Tier tier = catalog::Tier::kStandard;
        std::int64_t ctx_over = 0;
        ledger::MeterCosts lines = {};
    };
    [[nodiscard]] Co<void> serve_passthrough(
        net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Task<void> pass_through(Exchange& x, const PassPath& path,
        net::ServerRequest& request, net::ResponseWriter& response);
    /// What the answer says it used, where it is an offer's, has a price, and nothing asked for is
    /// billed apart.
    [[nodiscard]] static std::optional<PassCost> stated_cost(
        Exchange& x, std::uint32_t cloud, std::string_view asked, std::string_view body);
    [[nodiscard]] Task<void> hold_pass(Exchange& x, PassHold& held);
    /// Settles at `cost`; nothing: releases, because nothing was or could have been billed.
    [[nodiscard]] Co<void> end_pass(
        Exchange& x, PassHold& held, std::optional<PassCost> cost, int status);

    // kept_sweep.cc: what goes on when nobody waits for it
    struct Watched {
        store::Kept thing;
        Deadline at;
        seconds pause{0};
        bool is_looked_at = false;
        bool is_over = false;
    };
    /// What a run before this one left open. False: it cannot be read at present.
    [[nodiscard]] Co<bool> watch_left();
    /// Begins to; a few at each cloud at a time.
    void look_after_due(Scope& looks);
    [[nodiscard]] Co<void> look_once(Watched& entry, Cancel& stop);
    /// Asks how far it is. True: it is over, and settled.
    [[nodiscard]] Co<bool> look_after(const store::Kept& watched, Cancel* cancel);
    [[nodiscard]] Co<bool> take_look(const store::Kept& thing, std::string_view body);
    /// Ends its hold; null: nobody can say what it took, and the hold stands in for it.
    /// `tally`: of a batch, priced. False: it is still open, and has to be tried again.
    [[nodiscard]] Co<bool> end_deferred(
        const store::Kept& thing, const Consumption* consumed, const BatchTally* tally = nullptr);

    // plan.cc: where it may go, cheapest first
    [[nodiscard]] Status plan(Exchange& x);

    // hold.cc: the worst case, in every budget
    // What the books do is done at once on the core that owns them: hold_here, settle_here and
    // record_here, which need no coroutine. False: it has to wait, for which the other is there.
    [[nodiscard]] bool hold_here(Exchange& x, const routing::Attempt& step, Status& status);
    [[nodiscard]] Task<void> hold(Exchange& x, const routing::Attempt& step, Cancel* cancel);
    /// On the books' core: with the names that the client chose.
    [[nodiscard]] static Result<ledger::HoldTicket> hold_in(store::Books& books, const Exchange& x,
        ledger::HoldRequest& request, ledger::Refusal& refusal);
    [[nodiscard]] ledger::HoldRequest hold_request_of(
        const Exchange& x, const routing::Attempt& step);
    static void held(Exchange& x, const routing::Attempt& step, const ledger::HoldRequest& request);
    /// Which budget has no room, and how little it has.
    [[nodiscard]] static std::string refusal_words(
        const Exchange& x, const ledger::Refusal& refusal);
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
    /// Lets go of the client's long request once the body for its last offer is made. False: there
    /// is nothing to gain.
    [[nodiscard]] static bool leave_request(Exchange& x);
    [[nodiscard]] static Status encode_chat(
        Exchange& x, const routing::Attempt& step, bool must_state);
    [[nodiscard]] static Status encode_passing(Exchange& x);
    [[nodiscard]] static Status rename_in_raw(Exchange& x);
    [[nodiscard]] static Status encode_translated(
        Exchange& x, const routing::Attempt& step, bool must_state);

    // relay.cc, relay_whole.cc: bytes and events to the client, metered
    [[nodiscard]] Co<Failed> open_stream(
        Exchange& x, const routing::Attempt& step, net::ClientExchange& upstream);
    [[nodiscard]] Co<void> relay_stream(Exchange& x, net::ResponseWriter& response);
    void begin_stream(Exchange& x, net::ResponseWriter& response);
    [[nodiscard]] bool books_first(Exchange& x);
    /// stream_bound.cc: whether the answer went beyond its hold, and can be ended here.
    [[nodiscard]] static bool must_cut(const Exchange& x);
    /// Tokens that the answer's hold has room for; 0: nothing has to be cut.
    [[nodiscard]] static std::int64_t answer_bound(const Exchange& x, const routing::Attempt& step);
    [[nodiscard]] Co<void> cut_stream(Exchange& x, net::ResponseWriter& response);
    /// Of a stream that has begun: what its hold has to be now; nothing: no less than it is.
    [[nodiscard]] static std::optional<Money> smaller_hold(
        const Exchange& x, const routing::Attempt& step);
    [[nodiscard]] Co<void> shrink(Exchange& x, Money amount);
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
    [[nodiscard]] static RateNames rate_names_of(
        const Exchange& x, std::uint32_t offer, Instant at);
    [[nodiscard]] Settlement settlement_of(Exchange& x);
    /// Where the books are: prices what lies on volume steps, where it stands now, and settles.
    [[nodiscard]] Result<ledger::Posting> book(
        const Exchange& x, Settlement& settlement, store::Books& books);
    void price_on_steps(const Exchange& x, Settlement& settlement, store::Books& books);
    void count_on_steps(const Exchange& x, const Settlement& settlement);
    /// Back on the exchange's core: what it cost, if that was made anew.
    void take_cost(Exchange& x, Money expected, const Settlement& settlement);
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
    /// The end of a deferred attempt: what it used, and a second line of its exchange.
    void recorded_late(
        const Exchange& x, const ledger::ExchangeClose& facts, const store::Kept& thing);
    /// Views `x`; who asked and the cost are the caller's to add.
    [[nodiscard]] static telemetry::AccessRecord line_of(
        const Exchange& x, const ledger::ExchangeClose& facts);

    Core& core_;
    Snapshot<State>::Reader states_;
    BooksPort& books_;
    Limiters& limiters_;
    Metrics& metrics_;
    telemetry::AccessLog* access_log_;  // null: off
    const std::atomic<bool>& draining_;
    upstream::CredentialKeeper& credentials_;
    KeptPort& kept_;
    Scope& chores_;  // what is left to do of exchanges that are over; joined before this goes
    TakeOut take_out_everywhere_;
    Watch watch_everywhere_;
    std::list<Watched> watched_;  // core 0's alone; at most what is held
    net::HttpClient client_;
    SideThread side_;     // for signatures that would hold up the core
    SideThread batches_;  // reads them, which takes seconds that no signature may wait for
    std::shared_ptr<CoreState> core_state_;
    crypto::sigv4::KeyCache signing_keys_;
    routing::OutputLengths lengths_;
    routing::WarmCaches caches_;
    std::vector<std::unique_ptr<Workbench>> benches_;  // at most kBenchesMax
};

}  // namespace entrepot::gateway
