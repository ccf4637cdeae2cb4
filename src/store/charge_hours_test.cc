#include "store/charge_hours.h"

#include <gtest/gtest.h>

#include "ledger/state.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::exchange_id;
using test::kNow;
using test::usd;

constexpr std::int64_t kHourNs = 3'600'000'000'000;

void book(Books& books, std::string_view key, std::string_view cloud, Instant at, std::uint64_t n) {
    ledger::HoldRequest hold;
    hold.exchange = exchange_id(n);
    hold.path = books.path(key, "team", "org").value();
    hold.route = books.route("m", std::string("m/") + std::string(cloud), cloud).value();
    hold.amount = usd("5.00");
    hold.dispatch = at;
    ASSERT_TRUE(books.hold(hold));
    ledger::SettleRequest settle;
    settle.at = at;
    settle.cost = settle.list_cost = usd("1.75");
    settle.usage[canon::Meter::kInput] = 10;
    ledger::MeterCosts lines;
    lines.add(canon::Meter::kInput, {10, usd("1.50"), usd("1.50")});
    ASSERT_TRUE(books.settle(hold.exchange, 1, settle, lines));
    ledger::ExchangeClose close;
    close.exchange = hold.exchange;
    close.at = at;
    ASSERT_TRUE(books.close(close));
}

// What a closed month put off stands apart from what was dispatched in the first hour open.
TEST(ChargeHours, WhatAClosedMonthPutOffIsARowOfItsOwn) {
    const test::Folder folder("charge-moved");
    const auto books = Books::open(test::small_books(folder.path()), kNow).value();
    const Instant open{kNow.ns - kNow.ns % (24 * kHourNs)};
    ASSERT_TRUE(books->seal(open, kNow, "controller"));
    book(*books, "a", "aws", Instant{open.ns - kHourNs}, 1);
    book(*books, "a", "aws", open, 2);
    ASSERT_TRUE(books->checkpoint());

    const auto rows = charge_hours(books->folder(), {}).value().rows;
    ASSERT_EQ(rows.size(), 3u);
    Money sum;
    int moved = 0;
    for (const ChargeHour& row : rows) {
        EXPECT_EQ(row.hour, open);
        sum += row.cost;
        if (!row.is_moved) continue;
        ++moved;
        EXPECT_EQ(row.meter, static_cast<std::uint8_t>(canon::Meter::kInput));
        EXPECT_EQ(row.quantity, 10);
        EXPECT_EQ(row.cost, usd("1.50"));
    }
    EXPECT_EQ(moved, 1);
    EXPECT_EQ(sum, usd("3.50"));
    EXPECT_EQ(sum, books->usage({}).value().total.cost);

    ChargeReader corrections = books->charges(open, kNow, ChargeKinds::kCorrections).value();
    ChargeRow row;
    EXPECT_FALSE(corrections.next(row).value());
    EXPECT_TRUE(books->verify().ok());
}

// A seller's bill does not know whose keys they are.
TEST(ChargeHours, SumOverAllWhoSpentAndComePageByPage) {
    const test::Folder folder("charge-hours");
    const auto books = Books::open(test::small_books(folder.path()), kNow).value();
    const Instant hour{kNow.ns - kNow.ns % kHourNs};
    std::uint64_t n = 0;
    for (int i = 0; i < 4; ++i)
        for (const char* key : {"a", "b", "c"})
            for (const char* cloud : {"aws", "gcp"})
                book(*books, key, cloud, Instant{hour.ns - i * 2 * kHourNs}, ++n);
    ASSERT_TRUE(books->checkpoint());

    ChargeHoursQuery query;
    query.clouds = {"aws"};
    query.rows_max = 1;
    query.until = Instant{hour.ns - kHourNs};
    std::vector<ChargeHour> rows;
    int pages = 0;
    for (bool is_more = true; is_more; ++pages) {
        const auto page = charge_hours(books->folder(), query).value();
        rows.insert(rows.end(), page.rows.begin(), page.rows.end());
        is_more = page.next.has_value();
        query.since = page.next;
    }
    EXPECT_EQ(pages, 3);
    ASSERT_EQ(rows.size(), 6U) << "three hours, tokens and what no line tells of";
    EXPECT_EQ(rows[0].hour, Instant{hour.ns - 6 * kHourNs});
    EXPECT_EQ(rows[0].offer, "m/aws");
    EXPECT_EQ(rows[0].meter, static_cast<std::uint8_t>(canon::Meter::kInput));
    EXPECT_EQ(rows[0].quantity, 30);
    EXPECT_EQ(rows[0].cost, usd("4.50"));
    EXPECT_EQ(rows[1].meter, ledger::kRestMeter);
    EXPECT_EQ(rows[1].cost, usd("0.75"));

    Money all;
    for (const ChargeHour& row : charge_hours(books->folder(), {}).value().rows) all += row.cost;
    EXPECT_EQ(all, books->usage({}).value().total.cost);
}

TEST(PostedAdjustments, ComePageByPageWithWhatTheyAreFor) {
    const test::Folder folder("posted-adjustments");
    const auto books = Books::open(test::small_books(folder.path()), kNow).value();
    for (std::uint64_t n = 1; n <= 5; ++n) {
        ledger::AdjustRequest request;
        request.id = exchange_id(n);
        request.at = kNow;
        request.cost = usd("-0.25");
        request.reason = books->name("because").value();
        request.route = books->route("m", "m/aws", "aws").value();
        ASSERT_TRUE(books->adjust(request));
    }
    ASSERT_TRUE(books->checkpoint());
    std::optional<ExchangeId> after;
    std::size_t count = 0;
    do {
        const auto page = posted_adjustments(books->folder(), after, 2).value();
        for (const PostedAdjustment& row : page.rows) {
            EXPECT_EQ(row.id, exchange_id(++count));
            EXPECT_EQ(row.reason, "because");
            EXPECT_EQ(row.cloud, "aws");
            EXPECT_EQ(row.cost, usd("-0.25"));
        }
        after = page.next;
    } while (after);
    EXPECT_EQ(count, 5U);
}

}  // namespace
}  // namespace entrepot::store
