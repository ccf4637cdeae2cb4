#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "canon/reply.h"
#include "canon/request.h"
#include "dialect/openai_chat/native.h"
#include "gateway/state.h"
#include "json/value.h"
#include "ledger/types.h"
#include "net/http_client.h"
#include "net/server.h"
#include "pricing/price.h"
#include "routing/plan.h"
#include "routing/retry.h"

namespace entrepot::gateway {

struct CoreState;
struct KeptUse;
class StreamLane;

/// How bytes get from one side to the other.
enum class Lane : std::uint8_t {
    kChat,        ///< both sides speak chat completions: scanned and spliced, never parsed whole
    kPassing,     ///< both sides speak the same dialect: passed on, and read beside
    kTranslated,  ///< through canon
};

/// What a request needs until its answer begins, borrowed from the core so that its buffers are
/// reused; given back before a stream is relayed, so that an open stream does not hold it.
struct Workbench {
    dialect::openai_chat::RequestFacts facts;  ///< of any dialect: their neutral part
    std::optional<json::Document> document;    ///< the body, where it was read whole
    std::vector<dialect::Header> own_headers;  ///< of the client's dialect, as it sent them
    dialect::openai_chat::Splice splice;
    routing::Plan plan;
    std::string body;                      ///< of the client, with JSON padding
    std::string client_type;               ///< its content type, where it may be other than JSON
    std::string upstream_body;             ///< when it had to be edited or translated
    std::string_view upstream_view;        ///< the body to send: of the client, or edited
    std::string content_type;              ///< of that body; empty: JSON
    std::vector<std::string> more_bodies;  ///< to send after it: an attempt in parts
    std::vector<dialect::Header> dialect_headers;
    std::string upstream_headers;
    std::optional<canon::Request> canonical;  ///< chat: made when a translated attempt needs it
    std::string scratch;
};

/// The attempt that is under way, as far as its settlement needs it.
struct AttemptState {
    std::uint16_t number = 0;  ///< from 1
    std::uint32_t offer = 0;
    bool is_open = false;  ///< held, and neither settled nor released
    bool is_bounded = false;
    Money hold;        ///< as it is now
    Money first_hold;  ///< before the supplier counted the prompt
    Instant dispatch;
    MonotonicTime began;
    catalog::Tier tier = catalog::Tier::kStandard;
    std::int64_t prompt_tokens_estimate = 0;
    std::uint16_t upstream_status = 0;
    net::ExchangeReport report;
};

/// What a reply calls itself and its items, where its supplier keeps them.
struct ReplyNames {
    std::string reply;
    std::vector<std::string> items;
    std::vector<std::string> containers;  ///< in which its tools ran
    bool is_pending = false;              ///< there is no answer yet: it will be fetched
    void add(const canon::Event& event);
};

/// What an attempt consumed, as far as it is known.
struct Consumption {
    canon::Usage usage;
    bool is_reported = false;  ///< by the supplier; else an estimate is made of what was seen
    std::int64_t answer_bytes = 0;
    bool is_client_gone = false;
    bool is_cut = false;            ///< by us, when it went beyond its hold
    std::string service_tier = {};  ///< that served it, in the supplier's word; often not said
    std::shared_ptr<ReplyNames> names = {};  ///< null: nobody asked for them
};

/// How an attempt ended when the client has not got its answer from it.
struct AttemptFailure {
    Error error;
    std::uint16_t status = 0;  ///< HTTP status of the supplier, 0 when none came
    std::optional<nanoseconds> retry_after;
    canon::Failure failure;  ///< in the supplier's words, when it had any
    bool has_failure = false;
    std::string native_body;  ///< the supplier's error body when the lanes' dialects agree
    bool is_content_filter = false;
    Consumption consumed;  ///< all the same
};

/// Null: the client has its answer. On the heap, because it is seldom there and every open stream
/// would carry its place otherwise.
using Failed = std::unique_ptr<AttemptFailure>;

[[nodiscard]] Failed failed_with(Error error);

/// An answer that has begun and is relayed as it comes.
struct OpenStream {
    OpenStream(net::ClientExchange&& from, std::unique_ptr<StreamLane> through);
    ~OpenStream();

    /// Takes what has come, and what the lane makes of it. False: nothing has; `upstream.wait_body`
    /// has to be awaited, whose result the next call gets.
    [[nodiscard]] bool take(Wake wake);
    /// From here on `take` also ends when the supplier has been silent for some seconds, with a
    /// sign of life for the client; after `idle` it is given up as before.
    void begin_pings(milliseconds idle);
    /// The supplier's body is over, and nothing was wrong with it.
    [[nodiscard]] bool ends_well() const { return is_over && broken.has_value(); }
    /// Nothing that the client gets can follow `out`.
    [[nodiscard]] bool is_last() const;

    net::ClientExchange upstream;
    std::unique_ptr<StreamLane> lane;
    std::string_view out;  ///< of the lane, for the client
    bool is_over = false;  ///< the supplier's whole body has come
    /// Tokens that its hold has room for; beyond them it may have to be cut. 0: no matter.
    std::int64_t answer_tokens_max = 0;
    Status broken;  ///< the supplier's side
    Status wrote;   ///< the client's side
    /// When the silence would be the supplier's end; 0: nobody is told of it before.
    milliseconds idle_max{0};
    milliseconds silent_for{0};  ///< at least
};

/// What an attempt is booked at, and what of it each meter cost.
struct Settlement {
    ledger::SettleRequest request;
    ledger::MeterCosts lines;
    bool is_stepped = false;   ///< on volume steps: where the books are its price is made anew
    bool is_estimate = false;  ///< never beyond the hold
    std::string trouble;       ///< why it was priced at the first step after all
};

/// Adds what each line of a charge costs.
void add_lines(ledger::MeterCosts& to, const pricing::Charge& charge);

/// Who stands behind a request and what it is for, in the client's words.
struct Attribution {
    std::string end_user;  ///< empty: nobody in particular
    std::string tags;      ///< with the key's own, of `tags_text`; empty: those alone
};

/// A request that its client names (`Idempotency-Key`), so that it is not done twice.
struct Named {
    ledger::Idempotency claim;
    std::optional<ExchangeId> earlier;  ///< who has the name, when that is another one
};

/// One client request, from its first byte to its record.
struct Exchange {
    ExchangeId id;
    MonotonicTime began;
    Instant began_wall;
    std::shared_ptr<const State> state;
    std::shared_ptr<CoreState> core;
    const auth::Principal* principal = nullptr;
    const KeyState* key = nullptr;
    std::unique_ptr<Workbench> bench;

    const dialect::Dialect* client = nullptr;  ///< the dialect that the client speaks
    const upstream::Voice* voice = nullptr;    ///< what the attempt is made in
    Lane lane = Lane::kChat;                   ///< from the one to the other
    canon::Task task = canon::Task::kConverse;
    bool is_stream = false;
    bool wants_usage = false;        ///< the client asked for usage in its stream
    bool wants_json_array = false;   ///< its stream is one JSON array (Google's)
    bool leaves_open_ended = false;  ///< tools that the supplier runs stay behind, for a budget
    bool uses_functions = false;     ///< canon::Request::uses_functions, once translated
    std::string family;              ///< canon::Request::family
    /// What the request itself says that it costs (characters, images, searches); null: nothing.
    std::unique_ptr<const canon::Usage> counted;
    std::string echo;  ///< of the request, for the reply; once translated
    std::string model;
    std::string_view origin;           ///< of the page that asks, when it may; of `state`
    std::string_view allow;            ///< the methods that its path takes, once one was refused
    std::int64_t tokens_admitted = 0;  ///< what the limits of tokens were charged
    bool is_admitted = false;          ///< by all limits over it: to be finished
    std::uint64_t length_key = 0;
    std::uint64_t prompt_hash = 0;
    std::shared_ptr<KeptUse> kept;  ///< null: it has nothing to do with what suppliers keep
    std::optional<ledger::Route> own_route;  ///< of what went to no offer
    bool is_deferred = false;                ///< its attempt ends later, and with it its record

    /// What the client says that the books tell apart; null: nothing.
    std::unique_ptr<Attribution> attribution;
    std::unique_ptr<Named> named;  ///< null: its client has no name for it
    bool has_name = false;         ///< it sent one

    AttemptState attempt;
    std::uint16_t attempts_made = 0;
    Money cost;  ///< over all attempts
    bool is_cost_known = true;
    bool is_estimated = false;
    Consumption consumed;  ///< by the attempt that answered
    std::unique_ptr<OpenStream> stream;
    std::vector<std::string> dropped;

    // For the record.
    ledger::Phase phase = ledger::Phase::kParse;
    ledger::EndedBy ended_by = ledger::EndedBy::kNone;
    std::uint16_t status = 0;
    std::optional<ErrorCode> error;
    std::string error_cause;
    MonotonicTime first_byte;                 ///< to the client; 0: none
    std::optional<milliseconds> retry_after;  ///< for a refusal of ours
    bool is_hopeless = false;                 ///< it would be refused again at any time
};

/// The supplier said its own failure under a 200.
[[nodiscard]] Failed failed_in_answer(const canon::Failure& stated, Consumption consumed);

/// A reply's headers, their names in lower case.
[[nodiscard]] std::vector<dialect::Header> headers_of(const net::ClientExchange& upstream);
[[nodiscard]] dialect::ReplyContext reply_context_of(const Exchange& x);
void note_dropped(Exchange& x, std::span<const std::string> dropped);

}  // namespace entrepot::gateway
