#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/money.h"
#include "base/time.h"
#include "canon/usage.h"

namespace entrepot::ledger {

/// A name as the journal holds it: the number that a NAME record gave it. 0 is "no name".
enum class NameId : std::uint32_t { kNone = 0 };
/// A key with its team and org, resolved to budgets once per configuration. Valid as long as the
/// ledger lives.
enum class PathId : std::uint32_t { kNone = 0 };
/// One period of one budget. Never reused.
enum class AccountId : std::uint32_t { kNone = 0 };

/// No amount is larger: 10^18 units. Sums of a billion of them stay far inside 128 bits.
inline constexpr Money kAmountMax =
    Money::from_pico(static_cast<Int128>(1'000'000'000'000) * 1'000'000'000 * 1'000'000'000);
/// No count of a meter is larger; what a supplier claims beyond it is booked as this.
inline constexpr std::int64_t kCountMax = 1LL << 48;

/// Whose money a budget limits. The owner of a kEndUser budget is a key: each of the key's end
/// users has that limit for itself.
enum class OwnerKind : std::uint8_t { kKey, kTeam, kOrg, kProject, kEndUser };
inline constexpr std::size_t kOwnerKindCount = 5;
[[nodiscard]] std::string_view owner_kind_name(OwnerKind kind);
/// As people read it: `end user`.
[[nodiscard]] std::string_view owner_kind_words(OwnerKind kind);

/// A limit of money per calendar period.
struct BudgetSpec {
    OwnerKind owner_kind = OwnerKind::kKey;
    std::string owner;
    Money limit;
    PeriodKind period = PeriodKind::kMonth;
    TimeZone zone = TimeZone::utc();
    Money raise{};  ///< >= 0, on top of the limit for what is dispatched before `raise_until`
    Instant raise_until{};
};
/// How many budgets one owner may have.
inline constexpr std::size_t kBudgetsPerOwnerMax = 5;
inline constexpr std::size_t kAccountsPerPathMax = kOwnerKindCount * kBudgetsPerOwnerMax;
/// No name in the books is longer.
inline constexpr std::size_t kNameBytesMax = 512;
/// How many end users and sets of tags one key may bring into the books: they are chosen by its
/// clients, and names stay.
inline constexpr std::uint32_t kScopedNamesMax = 1'000'000;

/// Who spends, from the org down to the end user; kNone where there is none.
struct Spender {
    NameId org = NameId::kNone;
    NameId team = NameId::kNone;
    NameId project = NameId::kNone;
    NameId key = NameId::kNone;
    NameId end_user = NameId::kNone;  ///< scoped by the key
    NameId tags = NameId::kNone;      ///< `name=value` joined by `;` in order; scoped by the key
    friend auto operator<=>(const Spender&, const Spender&) = default;
};

/// The names that a key's requests are booked under; what is not there is empty.
struct PathNames {
    std::string_view key, team, project, org;
};

/// Where an attempt goes, by interned names; made once per configuration.
struct Route {
    NameId model = NameId::kNone;
    NameId offer = NameId::kNone;
    NameId cloud = NameId::kNone;
    friend bool operator==(const Route&, const Route&) = default;
};

/// 128 bits of a SHA-256: enough to tell apart what one client's requests ask.
using Fingerprint = std::array<std::uint8_t, 16>;

/// A client's own name for one request (`Idempotency-Key`), so that it is not done twice.
struct Idempotency {
    Fingerprint key{};      ///< of the client key and what it sent as `Idempotency-Key`
    Fingerprint request{};  ///< of what is asked
    friend bool operator==(const Idempotency&, const Idempotency&) = default;
};
/// How long it is remembered, from the dispatch of its first attempt; one that is under way is
/// remembered until it has ended.
inline constexpr seconds kIdempotencyLife{24 * 3600};
/// How many are remembered, of one client key and of all; together some 100 MB.
inline constexpr std::uint32_t kIdempotencyPerKeyMax = 100'000;
inline constexpr std::uint32_t kIdempotencyMax = 500'000;

/// `attempt N may be sent`: reserves its bound in every budget of the path, all or none.
struct HoldRequest {
    ExchangeId exchange;
    std::uint16_t attempt = 1;  ///< from 1
    PathId path = PathId::kNone;
    Route route;
    std::optional<Money> amount;  ///< >= 0; absent only for a path under no budget
    Instant dispatch;  ///< chooses the budget period; the settlement goes to the same one
    NameId end_user = NameId::kNone;              ///< of Ledger::scoped_name
    NameId tags = NameId::kNone;                  ///< likewise
    std::optional<Idempotency> idempotency = {};  ///< the same for all attempts of the exchange
};

/// What a hold stands at. `position` is the journal's end after it: with `durability: power` the
/// attempt may be sent once `Books::durable_up_to()` has reached it.
struct HoldTicket {
    ExchangeId exchange;
    std::uint16_t attempt = 1;
    Money amount;
    bool repeated = false;  ///< this hold was already there
    std::uint64_t position = 0;
};

/// Why a hold was refused: the budget that has no room, in the caller's terms.
struct Refusal {
    OwnerKind owner_kind = OwnerKind::kKey;
    std::string owner;
    PeriodKind period_kind = PeriodKind::kMonth;
    std::string zone;
    Money limit;
    Money settled;
    Money held;
    Money available;  ///< limit - settled - held; below zero after an overdraft
    Money asked;
    std::optional<Instant> renews;  ///< absent for a total budget
    bool only_holds = false;        ///< it would fit in every budget if the open holds ended
    /// kIdempotencyConflict, kIdempotencyMismatch: who has the idempotency key.
    std::optional<ExchangeId> earlier = {};
    bool earlier_is_open = false;
};

namespace settle_flag {
inline constexpr std::uint8_t kEstimated = 1;   ///< the supplier did not report the usage
inline constexpr std::uint8_t kUnverified = 2;  ///< settled at its hold after a crash
inline constexpr std::uint8_t kClientGone = 4;
inline constexpr std::uint8_t kUnpriced =
    8;  ///< the cost is not known; `cost` is zero and says nothing
inline constexpr std::uint8_t kOverdraft =
    16;  ///< set by the ledger: the cost went beyond the hold
}  // namespace settle_flag

/// What one attempt used.
struct SettleRequest {
    canon::Usage usage;
    Money cost;       ///< >= 0, what the contract makes us pay
    Money list_cost;  ///< >= 0, at list price
    NameId rate_version = NameId::kNone;
    NameId contract = NameId::kNone;    ///< under which the cloud is owed
    std::uint8_t tier = 0;              ///< of catalog::Tier: what it was served at
    std::int64_t ctx_over = 0;          ///< the context band it was priced at
    std::uint8_t flags = 0;             ///< of settle_flag
    std::uint16_t upstream_status = 0;  ///< 0 when no status line came
    Instant at;
    friend bool operator==(const SettleRequest&, const SettleRequest&) = default;
};

/// The part of a settlement that one meter costs: a line of the supplier's bill.
struct MeterCost {
    std::int64_t quantity = 0;  ///< billed; less than the usage where a part is billed apart
    Money cost;
    Money list_cost;
    friend bool operator==(const MeterCost&, const MeterCost&) = default;
};

/// A settlement by meter; what the lines leave of its cost is booked under no meter.
struct MeterCosts {
    std::array<MeterCost, canon::kMeterCount> of{};
    std::uint32_t present = 0;  ///< bit per meter

    void add(canon::Meter meter, const MeterCost& line) {
        MeterCost& sum = of[static_cast<std::size_t>(meter)];
        sum.quantity += line.quantity;
        sum.cost += line.cost;
        sum.list_cost += line.list_cost;
        present |= 1U << static_cast<unsigned>(meter);
    }
    [[nodiscard]] bool has(std::size_t meter) const { return (present >> meter & 1U) != 0; }
};

/// The posting a settlement made.
struct Posting {
    Money cost;
    Money overdraft;  ///< what went beyond the hold
    Money returned;   ///< what the hold gave back
    bool repeated = false;
};

enum class EndedBy : std::uint8_t { kNone, kSupplier, kClient, kGateway, kCrash };
enum class Phase : std::uint8_t {
    kNone,
    kParse,
    kAuthenticate,
    kAuthorise,
    kDecode,
    kLimit,
    kPlan,
    kHold,
    kConnect,
    kSend,
    kFirstByte,
    kRelay,
    kSettle
};
[[nodiscard]] std::string_view ended_by_name(EndedBy by);
[[nodiscard]] std::string_view phase_name(Phase phase);

/// The end of an exchange: its access record as the books keep it. Names that are not known stay
/// kNone.
struct ExchangeClose {
    ExchangeId exchange;
    Instant at;
    Spender spender;
    Route route;                     ///< of the attempt that answered; model alone when none did
    NameId dialect = NameId::kNone;  ///< the client's
    std::uint16_t status = 0;        ///< sent to the client; 0 when none was
    EndedBy ended_by = EndedBy::kNone;
    Phase phase = Phase::kNone;  ///< where it ended
    std::uint16_t attempts = 0;
    std::uint8_t error = 0;  ///< 0, or 1 + ErrorCode
    bool streamed = false;
    std::uint64_t ttft_us = 0;  ///< 0 when no byte came
    std::uint64_t duration_us = 0;
    friend bool operator==(const ExchangeClose&, const ExchangeClose&) = default;
};

/// A correction of what is booked: late or other rates, what an unverified attempt truly cost, a
/// difference to the supplier's bill. It goes into the period that is open `at`, never into an old
/// one.
struct AdjustRequest {
    ExchangeId id;  ///< the adjustment's own: repeating it posts nothing
    Instant at;
    Spender spender;
    Route route;
    NameId contract = NameId::kNone;
    Money cost;       ///< signed
    Money list_cost;  ///< signed
    NameId reason = NameId::kNone;
    ExchangeId exchange;        ///< what it corrects; all zero when no single exchange
    std::uint16_t attempt = 0;  ///< of that exchange; 0: none
    friend bool operator==(const AdjustRequest&, const AdjustRequest&) = default;
};

}  // namespace entrepot::ledger
