#pragma once

#include <array>
#include <string_view>
#include <variant>

#include "ledger/types.h"

namespace entrepot::ledger {

/// The journal's records. Payload: type (1 byte), version (1 byte), then the fields in the order
/// below; numbers are LEB128 (signed ones zigzag), ids 16 bytes, text a length and its bytes. A new
/// field comes at the end under a new version; an old version never changes.
enum class RecordType : std::uint8_t {
    kName = 1,
    kBudget = 2,
    kAccount = 3,
    kHold = 4,
    kResize = 5,
    kSettle = 6,
    kRelease = 7,
    kClose = 8,
    kAdjust = 9,
    kSeal = 10
};
inline constexpr std::uint8_t kRecordVersion = 2;
/// No record is longer: a settlement in which every meter has a line at its largest.
inline constexpr std::size_t kRecordBytesMax = 1024;
/// A settlement, a close, and the names of rate version and contract: what an open attempt may
/// still have to write.
inline constexpr std::size_t kEndingBytesMax = 1536;

/// Gives `id` to a name; ids count up from 1. Names of one scope (a key, or kNone for what the
/// configuration names) differ.
struct NameRecord {
    NameId id = NameId::kNone;
    std::string_view name;
    NameId scope = NameId::kNone;
};

/// A budget as the configuration has it from here on. The same owner, period and zone keep the same
/// id.
struct BudgetRecord {
    std::uint32_t id = 0;
    OwnerKind owner_kind = OwnerKind::kKey;
    NameId owner = NameId::kNone;
    PeriodKind period = PeriodKind::kMonth;
    NameId zone = NameId::kNone;
    Money limit;
    bool active = true;
    Money raise{};  ///< on top, for what is dispatched before `raise_until`
    Instant raise_until{};
    [[nodiscard]] Money limit_at(Instant dispatch) const {
        return dispatch < raise_until ? limit + raise : limit;
    }
};

/// Opens the account of one period of a budget. The period is written down: a later time zone
/// database cannot move it.
struct AccountRecord {
    AccountId id = AccountId::kNone;
    std::uint32_t budget = 0;
    Period period;
    NameId end_user = NameId::kNone;  ///< of a budget that each end user has for himself
};

/// Attempt N may be sent.
struct HoldRecord {
    ExchangeId exchange;
    std::uint16_t attempt = 1;
    Spender spender;
    Route route;
    bool bounded = false;
    Money amount;
    Instant dispatch;
    std::uint8_t account_count = 0;
    std::array<AccountId, kAccountsPerPathMax> accounts{};
    std::optional<Idempotency> idempotency;
};

/// The hold is now `amount`, more or less than before.
struct ResizeRecord {
    ExchangeId exchange;
    std::uint16_t attempt = 1;
    Money amount;
};

struct SettleRecord {
    ExchangeId exchange;
    std::uint16_t attempt = 1;
    SettleRequest request;
    MeterCosts lines;
};

/// Nothing was or could have been billed.
struct ReleaseRecord {
    ExchangeId exchange;
    std::uint16_t attempt = 1;
    std::uint16_t upstream_status = 0;
    std::uint8_t error = 0;  ///< 0, or 1 + ErrorCode
    Instant at;
};

struct CloseRecord {
    ExchangeClose facts;
};

/// A correction, in the accounts of the budget periods that are open then.
struct AdjustRecord {
    AdjustRequest request;
    std::uint8_t account_count = 0;
    std::array<AccountId, kAccountsPerPathMax> accounts{};
};

/// What was dispatched before `until` is booked on the first day after it from here on: the months
/// before are closed.
struct SealRecord {
    Instant until;
    Instant at;
    NameId by = NameId::kNone;
};

using Record = std::variant<NameRecord, BudgetRecord, AccountRecord, HoldRecord, ResizeRecord,
    SettleRecord, ReleaseRecord, CloseRecord, AdjustRecord, SealRecord>;

/// A record's bytes, on the stack.
struct EncodedRecord {
    std::array<char, kRecordBytesMax> bytes;
    std::size_t size = 0;
    [[nodiscard]] std::string_view view() const { return {bytes.data(), size}; }
};

void encode(const NameRecord& record, EncodedRecord& out);
void encode(const BudgetRecord& record, EncodedRecord& out);
void encode(const AccountRecord& record, EncodedRecord& out);
void encode(const HoldRecord& record, EncodedRecord& out);
void encode(const ResizeRecord& record, EncodedRecord& out);
void encode(const SettleRecord& record, EncodedRecord& out);
void encode(const ReleaseRecord& record, EncodedRecord& out);
void encode(const CloseRecord& record, EncodedRecord& out);
void encode(const AdjustRecord& record, EncodedRecord& out);
void encode(const SealRecord& record, EncodedRecord& out);

/// Reads one payload; a NameRecord borrows from it. Errors: kJournalCorrupt (unknown type or
/// version, short, long, or a value out of its range).
[[nodiscard]] Result<Record> decode(std::string_view payload);

/// The exchange a payload speaks of, without decoding the rest; nullopt for records of no exchange.
[[nodiscard]] std::optional<ExchangeId> exchange_of(std::string_view payload);

}  // namespace entrepot::ledger
