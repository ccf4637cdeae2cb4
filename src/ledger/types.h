#pragma once

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

enum class OwnerKind : std::uint8_t { kKey, kTeam, kOrg };
[[nodiscard]] std::string_view owner_kind_name(OwnerKind kind);

/// A limit of money per calendar period on a key, team or org.
struct BudgetSpec {
    OwnerKind owner_kind = OwnerKind::kKey;
    std::string owner;
    Money limit;
    PeriodKind period = PeriodKind::kMonth;
    TimeZone zone = TimeZone::utc();
};
/// How many budgets one owner may have; a path therefore passes at most three times as many
/// accounts.
inline constexpr std::size_t kBudgetsPerOwnerMax = 5;
inline constexpr std::size_t kAccountsPerPathMax = 3 * kBudgetsPerOwnerMax;

/// Where an attempt goes, by interned names; made once per configuration.
struct Route {
    NameId model = NameId::kNone;
    NameId offer = NameId::kNone;
    NameId cloud = NameId::kNone;
    friend bool operator==(const Route&, const Route&) = default;
};

/// `attempt N may be sent`: reserves its bound in every budget of the path, all or none.
struct HoldRequest {
    ExchangeId exchange;
    std::uint16_t attempt = 1;  ///< from 1
    PathId path = PathId::kNone;
    Route route;
    std::optional<Money> amount;  ///< >= 0; absent only for a path under no budget
    Instant dispatch;  ///< chooses the budget period; the settlement goes to the same one
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
    std::uint8_t flags = 0;             ///< of settle_flag
    std::uint16_t upstream_status = 0;  ///< 0 when no status line came
    Instant at;
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
    NameId key = NameId::kNone;
    NameId team = NameId::kNone;
    NameId org = NameId::kNone;
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

}  // namespace entrepot::ledger
