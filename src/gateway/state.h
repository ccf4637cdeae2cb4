#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "auth/key_index.h"
#include "config/settings.h"
#include "ledger/types.h"
#include "routing/offers.h"
#include "store/books.h"
#include "upstream/credentials/keeper.h"
#include "upstream/supplier.h"

namespace entrepot::gateway {

/// One configured cloud, ready to be called.
struct Cloud {
    config::CloudSettings settings;
    std::unique_ptr<const upstream::Supplier> supplier;
    ledger::Route passed;  ///< what is booked of the pass-through
    /// Where its fetched credentials are published; null where they are constants.
    std::shared_ptr<const upstream::CredentialCell> credentials;
};

/// What the books call the rates of some time, and the contract they are under.
struct RateNames {
    ledger::NameId version = ledger::NameId::kNone;
    ledger::NameId contract = ledger::NameId::kNone;
};

/// One offer, beside what the router knows of it (same index).
struct OfferState {
    std::uint32_t cloud = 0;
    std::string name;  ///< `claude-sonnet-4-5/aws`
    std::string model_at_cloud;
    std::vector<upstream::Voice> voices;  ///< at least one
    ledger::Route route;
    std::vector<RateNames> rate_names;  ///< one per epoch of the rate card, in its order
};

/// What belongs to one key, beside its principal (same index).
struct KeyState {
    ledger::PathId path = ledger::PathId::kNone;
    ledger::Spender spender;  ///< without an end user; the tags are the key's own
    bool has_budget = false;
    bool has_limits = false;
    routing::Reach reach;
};

/// What volume steps of a contract are counted by.
struct VolumeCounter {
    std::string key;  ///< `contract/0`
    PeriodKind per = PeriodKind::kMonth;
};

/// Everything a request reads, compiled from the settings and never changed: a reload publishes
/// another one, and exchanges in flight keep theirs.
struct State {
    config::Settings settings;
    std::vector<Cloud> clouds;
    routing::OfferTable table;
    std::vector<OfferState> offers;
    std::vector<VolumeCounter> volume_counters;  ///< by TermVolume::counter
    std::shared_ptr<const auth::KeyIndex> keys;
    std::vector<KeyState> key_states;
    /// What the books call each dialect, by the order of `dialect_names`.
    std::vector<ledger::NameId> dialect_names;
};

/// As the books have them: `cost_center=4711;stage=prod`, in order of the names.
[[nodiscard]] std::string tags_text(const std::map<std::string, std::string>& tags);

/// Compiles settings, has their credentials fetched, and takes their budgets and names into the
/// books. Owner's thread of the books.
/// Errors: kBadConfiguration with every problem on a line of its own; then nothing was changed.
[[nodiscard]] Result<std::shared_ptr<const State>> compile_state(const config::Settings& settings,
    std::span<const config::KeySettings> stored_keys, store::Books& books,
    upstream::CredentialKeeper& credentials);

/// The principals of all keys, file and store. Errors: kBadConfiguration.
[[nodiscard]] Result<std::shared_ptr<const auth::KeyIndex>> compile_keys(
    const config::Settings& settings, std::span<const config::KeySettings> stored_keys);

/// The offers as the router sees them, without any books: what `explain` and `models` need as well;
/// of the catalogue, what it knew at `known`. Errors: kBadConfiguration.
[[nodiscard]] Result<routing::OfferTable> compile_offers(
    const config::Settings& settings, Instant known = catalog::kForever);

/// What a key may reach, from its own lists and its team's.
[[nodiscard]] routing::Reach reach_of(const auth::Principal& principal);

}  // namespace entrepot::gateway
