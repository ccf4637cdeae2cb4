#include "ledger/record.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace entrepot::ledger {
namespace {

ExchangeId exchange_id(std::uint64_t n) {
    return ExchangeId::make(Instant{1'700'000'000'000'000'000}, {n, n * 31});
}

std::vector<EncodedRecord> samples() {
    std::vector<EncodedRecord> all;
    const auto add = [&all](const auto& record) { encode(record, all.emplace_back()); };
    add(NameRecord{static_cast<NameId>(1), "claude-sonnet-4-5/aws"});
    add(NameRecord{static_cast<NameId>(0xffff'ffff), std::string_view("\0\xff", 2)});
    add(BudgetRecord{7, OwnerKind::kTeam, static_cast<NameId>(300), PeriodKind::kQuarter,
        static_cast<NameId>(2), kAmountMax, false});
    add(AccountRecord{static_cast<AccountId>(9), 7, {{-5}, {INT64_MAX}}});
    HoldRecord hold;
    hold.exchange = exchange_id(1);
    hold.attempt = 65535;
    hold.spender.key = static_cast<NameId>(128);
    hold.spender.tags = static_cast<NameId>(0xffff'ffff);
    hold.route = {static_cast<NameId>(1), static_cast<NameId>(2), static_cast<NameId>(3)};
    hold.bounded = true;
    hold.amount = Money::from_pico(123'456'789'012'345);
    hold.dispatch = {1'700'000'000'000'000'000};
    hold.account_count = kAccountsPerPathMax;
    for (std::size_t i = 0; i < kAccountsPerPathMax; ++i)
        hold.accounts[i] = static_cast<AccountId>(0xffff'0000 + i);
    hold.idempotency.emplace().key.fill(0xff);
    add(hold);
    add(ResizeRecord{exchange_id(1), 1, Money::from_pico(1)});
    SettleRecord settle;
    settle.exchange = exchange_id(2);
    settle.request.usage.counts.fill(kCountMax);
    settle.request.cost = kAmountMax;
    settle.request.list_cost = kAmountMax;
    settle.request.flags = 31;
    settle.request.upstream_status = 65535;
    settle.request.rate_version = static_cast<NameId>(0xffff'ffff);
    settle.request.at = {INT64_MAX};
    settle.request.contract = static_cast<NameId>(0xffff'ffff);
    settle.request.tier = 15;
    settle.request.ctx_over = kCountMax;
    for (std::size_t i = 0; i < canon::kMeterCount; ++i)
        settle.lines.add(static_cast<canon::Meter>(i), {kCountMax, kAmountMax, kAmountMax});
    add(settle);
    add(ReleaseRecord{exchange_id(3), 2, 429, 18, {0}});
    CloseRecord close;
    close.facts.exchange = exchange_id(4);
    close.facts.status = 200;
    close.facts.ended_by = EndedBy::kCrash;
    close.facts.phase = Phase::kSettle;
    close.facts.streamed = true;
    close.facts.ttft_us = UINT64_MAX;
    close.facts.duration_us = 1;
    add(close);
    AdjustRecord adjust;
    adjust.request.id = exchange_id(5);
    adjust.request.cost = -kAmountMax;
    adjust.request.list_cost = kAmountMax;
    adjust.request.exchange = exchange_id(2);
    adjust.request.attempt = 65535;
    adjust.account_count = kAccountsPerPathMax;
    add(adjust);
    add(SealRecord{{1'700'000'000'000'000'000}, {INT64_MAX}, static_cast<NameId>(1)});
    return all;
}

TEST(Record, ReadsBackWhatItWrote) {
    for (const EncodedRecord& sample : samples()) {
        const Result<Record> record = decode(sample.view());
        ASSERT_TRUE(record) << record.error().message;
        EncodedRecord again;
        std::visit([&](const auto& one) { encode(one, again); }, *record);
        EXPECT_EQ(again.view(), sample.view());
    }
}

TEST(Record, KeepsTheLargestWithinItsRoom) {
    std::size_t ending = 0;
    for (const EncodedRecord& sample : samples()) {
        EXPECT_LE(sample.size, kRecordBytesMax);
        const auto type = static_cast<RecordType>(sample.bytes[0]);
        if (type == RecordType::kSettle || type == RecordType::kClose) ending += sample.size + 16;
    }
    EXPECT_LE(ending, kEndingBytesMax)
        << "the room kept for an open attempt must hold its settlement and its close";
}

TEST(Record, IsRefusedWhenCutAnywhereOrTooLong) {
    for (const EncodedRecord& sample : samples()) {
        for (std::size_t size = 0; size < sample.size; ++size) {
            const Result<Record> record = decode(sample.view().substr(0, size));
            ASSERT_FALSE(record) << "type " << int{sample.bytes[0]} << " cut at " << size;
            EXPECT_EQ(record.error().code, ErrorCode::kJournalCorrupt);
        }
        EXPECT_FALSE(decode(std::string(sample.view()) + '\0'));
    }
}

TEST(Record, OfAnotherVersionOrTypeIsRefusedByName) {
    std::string bytes(samples()[0].view());
    bytes[1] = 1;
    EXPECT_NE(decode(bytes).error().message.find("version 1"), std::string::npos);
    bytes[0] = 99;
    bytes[1] = kRecordVersion;
    EXPECT_NE(decode(bytes).error().message.find("type 99"), std::string::npos);
}

TEST(Record, HasOneSpellingForEachValue) {
    // 0x80 0x00 is a long way to say 0.
    const std::string name{1, kRecordVersion, static_cast<char>(0x81), 0, 1, 'a', 0};
    EXPECT_FALSE(decode(name));
    EXPECT_TRUE(decode(std::string{1, kRecordVersion, 1, 1, 'a', 0}));
}

TEST(Record, WithAByteChangedReadsAsItselfOrNotAtAll) {
    std::mt19937 random(7);
    for (const EncodedRecord& sample : samples()) {
        for (int round = 0; round < 2'000; ++round) {
            std::string bytes(sample.view());
            bytes[random() % bytes.size()] = static_cast<char>(random());
            const Result<Record> record = decode(bytes);
            if (!record) continue;
            EncodedRecord again;
            std::visit([&](const auto& one) { encode(one, again); }, *record);
            ASSERT_EQ(again.view(), bytes);
        }
    }
}

}  // namespace
}  // namespace entrepot::ledger
