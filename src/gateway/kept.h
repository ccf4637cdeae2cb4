#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principal.h"
#include "gateway/exchange.h"
#include "routing/offers.h"
#include "runtime/side_thread.h"
#include "store/kept.h"

// What suppliers keep for clients: who made it, where it lies, what of it is still to be paid. See
// docs/adr/0008-kept-things.md.
namespace entrepot::gateway {

/// Something kept that a request names, and where in the request.
struct KeptReference {
    store::KeptKind kind = store::KeptKind::kResponse;
    std::string id;
    std::string field;
    /// The supplier looks for it only where it serves this dialect itself: elsewhere what the
    /// request says beside it is enough.
    bool is_native_only = false;
};

/// What one exchange has to do with kept things.
struct KeptUse {
    std::vector<KeptReference> named;
    routing::Reach reach;    ///< cut to where they lie; when something is named
    std::string cloud;       ///< likewise
    std::string field;       ///< likewise: of the first, for words
    std::string lost;        ///< a native-only one that is nobody's or somebody else's; empty: none
    bool is_stored = false;  ///< the answer is to be kept
    bool is_background = false;  ///< and made when nobody waits for it
    bool has_tools = false;      ///< tools of the supplier's, which may leave a container behind
};

/// Everything kept that is named anywhere in a JSON of a supplier's own, by the members that do so.
void read_kept_names(const json::Value& value, std::vector<KeptReference>& out);

/// The items that a list of them (`items`) names by their own ids, holding nothing else.
void read_item_names(std::span<const json::Value> items, std::vector<KeptReference>& out);

/// Of what is native-only and lost, where the supplier would look for it itself, among everybody's.
[[nodiscard]] Error not_kept(std::string_view id);

/// Everything kept that the request names. Errors: kUnsupported for what nobody can own,
/// kInvalidField.
[[nodiscard]] Result<std::vector<KeptReference>> kept_references(const canon::Request& request);

/// Whether that client may know that it is there.
[[nodiscard]] bool may_see(const auth::Principal& principal, const store::Kept& thing);

/// The owner's part of something that `principal` makes.
[[nodiscard]] store::Kept made_by(const auth::Principal& principal, Instant now);

/// The answer, or what its tools ran in, will lie at its supplier under the names it gives.
[[nodiscard]] bool is_kept_there(const Exchange& x);
[[nodiscard]] bool is_background(const Exchange& x);
/// The reply says that there is no answer yet.
[[nodiscard]] bool is_pending(const Exchange& x);

/// What the end of a deferred attempt needs, as it stands in store::Kept::detail.
struct Deferred {
    std::uint16_t attempt = 1;
    std::string offer;
    catalog::Tier tier = catalog::Tier::kStandard;
    Money hold;
    bool is_bounded = false;
    Instant dispatch;
    std::int64_t prompt_tokens_estimate = 0;
    std::uint16_t status = 0;
    std::string dialect = "openai-responses";  ///< of what will say what it took
};
[[nodiscard]] std::string to_json(const Deferred& deferred);
/// Errors: kIo, when it does not read as one.
[[nodiscard]] Result<Deferred> read_deferred(std::string_view json);

/// What is known of a batch before it is started.
struct BatchPlan {
    std::uint32_t offer = 0;
    std::string model;    ///< the client's name of it
    std::string dialect;  ///< of every request in it
    std::int64_t lines = 0;
    Money hold;             ///< no answers to these requests can cost more
    std::string unbounded;  ///< not empty: why `hold` bounds nothing, in words for the client
    std::string terms;      ///< what that rests on; of other terms it says nothing
};

/// What the answers of a batch that has ended took together.
struct BatchTally {
    canon::Usage usage;
    Money cost;
    Money list_cost;
    ledger::MeterCosts lines;
    /// The context band of every answer, nothing before the first; 0 when they were in several.
    std::optional<std::int64_t> ctx_over;
    bool is_priced = true;    ///< every answer has a price
    bool is_reported = true;  ///< every answer says what it used
};

/// What is read whole of a supplier's reply, because something in it has to be known.
inline constexpr std::size_t kKeptBytesMax = 16 * 1024 * 1024;
/// How long OpenAI keeps an answer, and with it all that continues it.
inline constexpr std::chrono::hours kResponseLife{30 * 24};
/// Of files, and of conversations, that one key may have: nothing but their maker ends them.
inline constexpr std::size_t kOwnMax = 100'000;
/// How long a batch and its results are looked for; at OpenAI and Anthropic results go before.
inline constexpr std::chrono::hours kBatchLife{30 * 24};

/// The way from any core to the index, whose thread waits for the disk in their stead.
class KeptPort {
public:
    explicit KeptPort(std::unique_ptr<store::KeptStore> store) : store_(std::move(store)) {}

    /// At once. False: forgotten, because too much waits.
    [[nodiscard]] bool note(std::vector<store::Kept> things) {
        return store_->note(std::move(things));
    }
    /// Runs `work(store)`, which returns a Result, on the thread. As SideThread::run.
    template <typename Work>
    [[nodiscard]] Co<std::invoke_result_t<Work&, store::KeptStore&>> call(Core& here, Work work) {
        const auto there = [this, &work] { return work(*store_); };
        co_return co_await thread_.run(here, there);
    }

private:
    std::unique_ptr<store::KeptStore> store_;
    SideThread thread_;  // last: its work uses the store
};

}  // namespace entrepot::gateway
