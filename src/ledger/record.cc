#include "ledger/record.h"

#include <fmt/format.h>

#include <cstring>

#include "ledger/codec.h"

namespace entrepot::ledger {

namespace {

constexpr std::uint8_t kPeriodKindMax = static_cast<std::uint8_t>(PeriodKind::kTotal);
constexpr std::uint8_t kOwnerKindMax = static_cast<std::uint8_t>(OwnerKind::kEndUser);
constexpr std::uint8_t kEndedByMax = static_cast<std::uint8_t>(EndedBy::kCrash);
constexpr std::uint8_t kPhaseMax = static_cast<std::uint8_t>(Phase::kSettle);
constexpr std::uint8_t kSettleFlagsMax = 31;
constexpr std::uint8_t kTierMax = 15;

std::uint64_t number_of(NameId id) { return static_cast<std::uint32_t>(id); }
std::uint64_t number_of(AccountId id) { return static_cast<std::uint32_t>(id); }

/// Encodes type and version, then what `body` writes.
template <typename Body>
void encode_with(RecordType type, EncodedRecord& out, Body body) {
    Encoder to(out.bytes.data(), out.bytes.size());
    to.byte(static_cast<std::uint8_t>(type));
    to.byte(kRecordVersion);
    body(to);
    out.size = to.size();
}

void put_attempt(Encoder& to, const ExchangeId& exchange, std::uint16_t attempt) {
    to.raw(exchange.bytes.data(), exchange.bytes.size());
    to.number(attempt);
}

void put_route(Encoder& to, const Route& route) {
    to.number(number_of(route.model));
    to.number(number_of(route.offer));
    to.number(number_of(route.cloud));
}

void put_spender(Encoder& to, const Spender& spender) {
    for (const NameId id :
        {spender.org, spender.team, spender.project, spender.key, spender.end_user, spender.tags})
        to.number(number_of(id));
}

void put_accounts(
    Encoder& to, std::uint8_t count, const std::array<AccountId, kAccountsPerPathMax>& accounts) {
    to.number(count);
    for (std::size_t i = 0; i < count; ++i) to.number(number_of(accounts[i]));
}

void put_lines(Encoder& to, const MeterCosts& lines) {
    to.number(lines.present);
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) {
        if (!lines.has(i)) continue;
        to.number(static_cast<std::uint64_t>(lines.of[i].quantity));
        to.money(lines.of[i].cost);
        to.money(lines.of[i].list_cost);
    }
}

void put_usage(Encoder& to, const canon::Usage& usage) {
    std::uint64_t present = 0;
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) {
        if (usage.counts[i] != 0) present |= 1ULL << i;
    }
    to.number(present);
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) {
        if (usage.counts[i] != 0) to.number(static_cast<std::uint64_t>(usage.counts[i]));
    }
}

ExchangeId get_exchange(Decoder& from) {
    ExchangeId id;
    from.raw(id.bytes.data(), id.bytes.size());
    return id;
}

std::uint16_t get_attempt(Decoder& from) {
    const std::uint64_t attempt = from.number_up_to(0xffff);
    if (attempt == 0) from.fail();
    return static_cast<std::uint16_t>(attempt);
}

Route get_route(Decoder& from) {
    Route route;
    route.model = from.id<NameId>();
    route.offer = from.id<NameId>();
    route.cloud = from.id<NameId>();
    return route;
}

Spender get_spender(Decoder& from) {
    Spender spender;
    for (NameId* const id : {&spender.org, &spender.team, &spender.project, &spender.key,
             &spender.end_user, &spender.tags})
        *id = from.id<NameId>();
    return spender;
}

std::uint8_t get_accounts(Decoder& from, std::array<AccountId, kAccountsPerPathMax>& accounts) {
    const auto count = static_cast<std::uint8_t>(from.number_up_to(kAccountsPerPathMax));
    for (std::size_t i = 0; i < count; ++i) accounts[i] = from.id<AccountId>();
    return count;
}

canon::Usage get_usage(Decoder& from) {
    canon::Usage usage;
    const std::uint64_t present = from.number_up_to((1ULL << canon::kMeterCount) - 1);
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) {
        if ((present >> i & 1) == 0) continue;
        usage.counts[i] = static_cast<std::int64_t>(from.number_up_to(kCountMax));
        if (usage.counts[i] == 0) from.fail();
    }
    return usage;
}

Money get_amount(Decoder& from) {
    const Money amount = from.money();
    if (amount.is_negative() || amount > kAmountMax) from.fail();
    return amount;
}

Money get_signed_amount(Decoder& from) {
    const Money amount = from.money();
    if (amount > kAmountMax || amount < -kAmountMax) from.fail();
    return amount;
}

MeterCosts get_lines(Decoder& from) {
    MeterCosts lines;
    lines.present = static_cast<std::uint32_t>(from.number_up_to((1U << canon::kMeterCount) - 1));
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) {
        if (!lines.has(i)) continue;
        lines.of[i].quantity = static_cast<std::int64_t>(from.number_up_to(kCountMax));
        lines.of[i].cost = get_amount(from);
        lines.of[i].list_cost = get_amount(from);
    }
    return lines;
}

template <typename E>
E get_enum(Decoder& from, std::uint8_t max) {
    return static_cast<E>(from.number_up_to(max));
}

bool get_bool(Decoder& from) { return from.number_up_to(1) == 1; }

Record decode_name(Decoder& from) {
    NameRecord record;
    record.id = from.id<NameId>();
    record.name = from.text(kNameBytesMax);
    record.scope = from.id<NameId>();
    if (record.id == NameId::kNone || record.name.empty()) from.fail();
    return record;
}

Record decode_budget(Decoder& from) {
    BudgetRecord record;
    record.id = from.id<std::uint32_t>();
    record.owner_kind = get_enum<OwnerKind>(from, kOwnerKindMax);
    record.owner = from.id<NameId>();
    record.period = get_enum<PeriodKind>(from, kPeriodKindMax);
    record.zone = from.id<NameId>();
    record.limit = get_amount(from);
    record.active = get_bool(from);
    record.raise = get_amount(from);
    record.raise_until.ns = from.signed_number();
    return record;
}

Record decode_account(Decoder& from) {
    AccountRecord record;
    record.id = from.id<AccountId>();
    record.budget = from.id<std::uint32_t>();
    record.period.begin.ns = from.signed_number();
    record.period.end.ns = from.signed_number();
    record.end_user = from.id<NameId>();
    if (record.id == AccountId::kNone || record.period.begin >= record.period.end) from.fail();
    return record;
}

Record decode_hold(Decoder& from) {
    HoldRecord record;
    record.exchange = get_exchange(from);
    record.attempt = get_attempt(from);
    record.spender = get_spender(from);
    record.route = get_route(from);
    record.bounded = get_bool(from);
    record.amount = get_amount(from);
    record.dispatch.ns = from.signed_number();
    record.account_count = get_accounts(from, record.accounts);
    if (get_bool(from)) {
        Idempotency& idempotency = record.idempotency.emplace();
        from.raw(idempotency.key.data(), idempotency.key.size());
        from.raw(idempotency.request.data(), idempotency.request.size());
    }
    if (!record.bounded && (record.account_count != 0 || !record.amount.is_zero())) from.fail();
    return record;
}

Record decode_resize(Decoder& from) {
    ResizeRecord record;
    record.exchange = get_exchange(from);
    record.attempt = get_attempt(from);
    record.amount = get_amount(from);
    return record;
}

Record decode_settle(Decoder& from) {
    SettleRecord record;
    record.exchange = get_exchange(from);
    record.attempt = get_attempt(from);
    record.request.at.ns = from.signed_number();
    record.request.flags = static_cast<std::uint8_t>(from.number_up_to(kSettleFlagsMax));
    record.request.upstream_status = static_cast<std::uint16_t>(from.number_up_to(0xffff));
    record.request.cost = get_amount(from);
    record.request.list_cost = get_amount(from);
    record.request.rate_version = from.id<NameId>();
    record.request.usage = get_usage(from);
    record.request.contract = from.id<NameId>();
    record.request.tier = static_cast<std::uint8_t>(from.number_up_to(kTierMax));
    record.request.ctx_over = static_cast<std::int64_t>(from.number_up_to(kCountMax));
    record.lines = get_lines(from);
    return record;
}

Record decode_release(Decoder& from) {
    ReleaseRecord record;
    record.exchange = get_exchange(from);
    record.attempt = get_attempt(from);
    record.at.ns = from.signed_number();
    record.upstream_status = static_cast<std::uint16_t>(from.number_up_to(0xffff));
    record.error = static_cast<std::uint8_t>(from.number_up_to(0xff));
    return record;
}

Record decode_close(Decoder& from) {
    ExchangeClose facts;
    facts.exchange = get_exchange(from);
    facts.at.ns = from.signed_number();
    facts.spender = get_spender(from);
    facts.route = get_route(from);
    facts.dialect = from.id<NameId>();
    facts.status = static_cast<std::uint16_t>(from.number_up_to(0xffff));
    facts.ended_by = get_enum<EndedBy>(from, kEndedByMax);
    facts.phase = get_enum<Phase>(from, kPhaseMax);
    facts.attempts = static_cast<std::uint16_t>(from.number_up_to(0xffff));
    facts.error = static_cast<std::uint8_t>(from.number_up_to(0xff));
    facts.streamed = get_bool(from);
    facts.ttft_us = from.number();
    facts.duration_us = from.number();
    return CloseRecord{facts};
}

Record decode_adjust(Decoder& from) {
    AdjustRecord record;
    AdjustRequest& request = record.request;
    request.id = get_exchange(from);
    request.at.ns = from.signed_number();
    request.spender = get_spender(from);
    request.route = get_route(from);
    request.contract = from.id<NameId>();
    request.cost = get_signed_amount(from);
    request.list_cost = get_signed_amount(from);
    request.reason = from.id<NameId>();
    request.exchange = get_exchange(from);
    request.attempt = static_cast<std::uint16_t>(from.number_up_to(0xffff));
    record.account_count = get_accounts(from, record.accounts);
    return record;
}

Record decode_seal(Decoder& from) {
    SealRecord record;
    record.until.ns = from.signed_number();
    record.at.ns = from.signed_number();
    record.by = from.id<NameId>();
    return record;
}

}  // namespace

std::string_view owner_kind_name(OwnerKind kind) {
    switch (kind) {
        case OwnerKind::kKey: return "key";
        case OwnerKind::kTeam: return "team";
        case OwnerKind::kOrg: return "org";
        case OwnerKind::kProject: return "project";
        case OwnerKind::kEndUser: return "end_user";
    }
    return "?";
}

std::string_view owner_kind_words(OwnerKind kind) {
    return kind == OwnerKind::kEndUser ? "end user" : owner_kind_name(kind);
}

std::string_view ended_by_name(EndedBy by) {
    switch (by) {
        case EndedBy::kNone: return "none";
        case EndedBy::kSupplier: return "supplier";
        case EndedBy::kClient: return "client";
        case EndedBy::kGateway: return "gateway";
        case EndedBy::kCrash: return "crash";
    }
    return "?";
}

std::string_view phase_name(Phase phase) {
    switch (phase) {
        case Phase::kNone: return "none";
        case Phase::kParse: return "parse";
        case Phase::kAuthenticate: return "authenticate";
        case Phase::kAuthorise: return "authorise";
        case Phase::kDecode: return "decode";
        case Phase::kLimit: return "limit";
        case Phase::kPlan: return "plan";
        case Phase::kHold: return "hold";
        case Phase::kConnect: return "connect";
        case Phase::kSend: return "send";
        case Phase::kFirstByte: return "first_byte";
        case Phase::kRelay: return "relay";
        case Phase::kSettle: return "settle";
    }
    return "?";
}

void encode(const NameRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kName, out, [&](Encoder& to) {
        to.number(number_of(record.id));
        to.text(record.name);
        to.number(number_of(record.scope));
    });
}

void encode(const BudgetRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kBudget, out, [&](Encoder& to) {
        to.number(record.id);
        to.number(static_cast<std::uint8_t>(record.owner_kind));
        to.number(number_of(record.owner));
        to.number(static_cast<std::uint8_t>(record.period));
        to.number(number_of(record.zone));
        to.money(record.limit);
        to.number(record.active ? 1 : 0);
        to.money(record.raise);
        to.signed_number(record.raise_until.ns);
    });
}

void encode(const AccountRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kAccount, out, [&](Encoder& to) {
        to.number(number_of(record.id));
        to.number(record.budget);
        to.signed_number(record.period.begin.ns);
        to.signed_number(record.period.end.ns);
        to.number(number_of(record.end_user));
    });
}

void encode(const HoldRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kHold, out, [&](Encoder& to) {
        put_attempt(to, record.exchange, record.attempt);
        put_spender(to, record.spender);
        put_route(to, record.route);
        to.number(record.bounded ? 1 : 0);
        to.money(record.amount);
        to.signed_number(record.dispatch.ns);
        put_accounts(to, record.account_count, record.accounts);
        to.number(record.idempotency ? 1 : 0);
        if (!record.idempotency) return;
        to.raw(record.idempotency->key.data(), record.idempotency->key.size());
        to.raw(record.idempotency->request.data(), record.idempotency->request.size());
    });
}

void encode(const ResizeRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kResize, out, [&](Encoder& to) {
        put_attempt(to, record.exchange, record.attempt);
        to.money(record.amount);
    });
}

void encode(const SettleRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kSettle, out, [&](Encoder& to) {
        put_attempt(to, record.exchange, record.attempt);
        to.signed_number(record.request.at.ns);
        to.number(record.request.flags);
        to.number(record.request.upstream_status);
        to.money(record.request.cost);
        to.money(record.request.list_cost);
        to.number(number_of(record.request.rate_version));
        put_usage(to, record.request.usage);
        to.number(number_of(record.request.contract));
        to.number(record.request.tier);
        to.number(static_cast<std::uint64_t>(record.request.ctx_over));
        put_lines(to, record.lines);
    });
}

void encode(const ReleaseRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kRelease, out, [&](Encoder& to) {
        put_attempt(to, record.exchange, record.attempt);
        to.signed_number(record.at.ns);
        to.number(record.upstream_status);
        to.number(record.error);
    });
}

void encode(const CloseRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kClose, out, [&](Encoder& to) {
        const ExchangeClose& facts = record.facts;
        to.raw(facts.exchange.bytes.data(), facts.exchange.bytes.size());
        to.signed_number(facts.at.ns);
        put_spender(to, facts.spender);
        put_route(to, facts.route);
        to.number(number_of(facts.dialect));
        to.number(facts.status);
        to.number(static_cast<std::uint8_t>(facts.ended_by));
        to.number(static_cast<std::uint8_t>(facts.phase));
        to.number(facts.attempts);
        to.number(facts.error);
        to.number(facts.streamed ? 1 : 0);
        to.number(facts.ttft_us);
        to.number(facts.duration_us);
    });
}

void encode(const AdjustRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kAdjust, out, [&](Encoder& to) {
        const AdjustRequest& request = record.request;
        to.raw(request.id.bytes.data(), request.id.bytes.size());
        to.signed_number(request.at.ns);
        put_spender(to, request.spender);
        put_route(to, request.route);
        to.number(number_of(request.contract));
        to.money(request.cost);
        to.money(request.list_cost);
        to.number(number_of(request.reason));
        to.raw(request.exchange.bytes.data(), request.exchange.bytes.size());
        to.number(request.attempt);
        put_accounts(to, record.account_count, record.accounts);
    });
}

void encode(const SealRecord& record, EncodedRecord& out) {
    encode_with(RecordType::kSeal, out, [&](Encoder& to) {
        to.signed_number(record.until.ns);
        to.signed_number(record.at.ns);
        to.number(number_of(record.by));
    });
}

Result<Record> decode(std::string_view payload) {
    Decoder from(payload);
    const std::uint8_t type = from.byte();
    const std::uint8_t version = from.byte();
    if (!from.ok() || version != kRecordVersion) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format("a record of type {} has version {}, this program reads version {}", type,
                version, kRecordVersion));
    }
    Record record;
    switch (static_cast<RecordType>(type)) {
        case RecordType::kName: record = decode_name(from); break;
        case RecordType::kBudget: record = decode_budget(from); break;
        case RecordType::kAccount: record = decode_account(from); break;
        case RecordType::kHold: record = decode_hold(from); break;
        case RecordType::kResize: record = decode_resize(from); break;
        case RecordType::kSettle: record = decode_settle(from); break;
        case RecordType::kRelease: record = decode_release(from); break;
        case RecordType::kClose: record = decode_close(from); break;
        case RecordType::kAdjust: record = decode_adjust(from); break;
        case RecordType::kSeal: record = decode_seal(from); break;
        default:
            return fail(
                ErrorCode::kJournalCorrupt, fmt::format("a record has the unknown type {}", type));
    }
    if (!from.ok() || !from.at_end()) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format(
                "a record of type {} and {} bytes does not read as one", type, payload.size()));
    }
    return record;
}

std::optional<ExchangeId> exchange_of(std::string_view payload) {
    constexpr std::size_t kIdAt = 2;  // after type and version
    ExchangeId id;
    if (payload.size() < kIdAt + id.bytes.size()) return std::nullopt;
    const auto type = static_cast<std::uint8_t>(payload[0]);
    if (type < static_cast<std::uint8_t>(RecordType::kHold) ||
        type > static_cast<std::uint8_t>(RecordType::kClose)) {
        return std::nullopt;
    }
    std::memcpy(id.bytes.data(), payload.data() + kIdAt, id.bytes.size());
    return id;
}

}  // namespace entrepot::ledger
