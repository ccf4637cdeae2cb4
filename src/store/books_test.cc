// The books as the gateway uses them: what they tell, and how they fail. Rules of money:
// tests/scenario; kills: crash_test.cc.
#include "store/books.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <thread>

#include "store/file_ops.h"
#include "store/sqlite.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::close;
using test::exchange_id;
using test::Folder;
using test::hold;
using test::kNow;
using test::settle;
using test::small_books;
using test::usd;

std::unique_ptr<Books> open_books(const BooksOptions& options) {
    Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
    EXPECT_TRUE(books) << books.error().message;
    if (!books) return nullptr;
    EXPECT_TRUE((*books)->set_budgets(test::wide_budgets()));
    return *std::move(books);
}

TEST(Books, TellAllThatIsKnownOfAnExchange) {
    const Folder folder("books-exchange");
    BooksOptions options = small_books(folder.path());
    for (const std::size_t ring : {std::size_t{1'000}, std::size_t{1}}) {
        options.recent_exchanges = ring;  // 1: everything is an older exchange
        const std::unique_ptr<Books> books = open_books(options);
        const std::uint64_t first = ring * 10;
        ASSERT_TRUE(hold(*books, first, usd("2.00")));
        ASSERT_TRUE(
            books->release(exchange_id(first), 1, kNow, 429, ErrorCode::kUpstreamRateLimited));
        ASSERT_TRUE(hold(*books, first, usd("3.00"), 2));
        ASSERT_TRUE(books->shrink(exchange_id(first), 2, usd("2.50")));
        ledger::SettleRequest request;
        request.usage[canon::Meter::kCacheRead] = 11;
        request.cost = usd("2.75");
        request.list_cost = usd("3.10");
        request.rate_version = books->name("2026-11-01/aws").value();
        request.flags = ledger::settle_flag::kEstimated;
        request.upstream_status = 200;
        request.at = kNow + seconds(2);
        ASSERT_TRUE(books->settle(exchange_id(first), 2, request));
        ledger::ExchangeClose facts;
        facts.exchange = exchange_id(first);
        facts.at = kNow + seconds(3);
        facts.spender.key = books->name("key").value();
        facts.dialect = books->name("openai-chat").value();
        facts.status = 200;
        facts.attempts = 2;
        facts.streamed = true;
        facts.ttft_us = 123;
        ASSERT_TRUE(books->close(facts));
        for (std::uint64_t n = first + 1; n < first + 5; ++n) {
            ASSERT_TRUE(hold(*books, n, usd("1.00")));
            ASSERT_TRUE(settle(*books, n, usd("0.50")));
            ASSERT_TRUE(close(*books, n));
        }
        const Result<ExchangeReport> report = books->exchange(exchange_id(first));
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_EQ(report->key, "key");
        EXPECT_EQ(report->team, "team");
        EXPECT_EQ(report->org, "org");
        EXPECT_EQ(report->dialect, "openai-chat");
        EXPECT_EQ(report->cost, usd("2.75"));
        ASSERT_TRUE(report->closed);
        EXPECT_EQ(books->name_of(report->close.route.offer), "model/cloud")
            << "filled in from the last attempt";
        facts.spender = report->close.spender;
        facts.route = report->close.route;
        EXPECT_EQ(report->close, facts);
        ASSERT_EQ(report->attempts.size(), 2);
        EXPECT_EQ(report->attempts[0].state, AttemptFacts::State::kReleased);
        EXPECT_EQ(report->attempts[0].upstream_status, 429);
        EXPECT_EQ(report->attempts[0].error, 1 + static_cast<int>(ErrorCode::kUpstreamRateLimited));
        const AttemptFacts& second = report->attempts[1];
        EXPECT_EQ(second.state, AttemptFacts::State::kSettled);
        EXPECT_EQ(second.offer, "model/cloud");
        EXPECT_EQ(second.usage, request.usage);
        EXPECT_EQ(second.list_cost, usd("3.10"));
        EXPECT_EQ(second.overdraft, usd("0.25"));
        EXPECT_EQ(second.rate_version, "2026-11-01/aws");
        EXPECT_EQ(second.flags, ledger::settle_flag::kEstimated | ledger::settle_flag::kOverdraft);
        EXPECT_EQ(books->exchange(exchange_id(999'999)).error().code, ErrorCode::kNotFound);
    }
}

TEST(Books, GroupAndFilterUsageAcrossCheckpointsAndRestarts) {
    const Folder folder("books-usage");
    const BooksOptions options = small_books(folder.path());
    for (int round = 0; round < 3; ++round) {
        const std::unique_ptr<Books> books = open_books(options);
        for (std::uint64_t n = 0; n < 10; ++n) {
            const std::uint64_t id = static_cast<std::uint64_t>(round) * 10 + n;
            ASSERT_TRUE(hold(*books, id, usd("3.00")));
            ASSERT_TRUE(settle(*books, id, usd("1.000000000001")));
            ASSERT_TRUE(close(*books, id));
            if (n == 4) {
                ASSERT_TRUE(books->checkpoint());
            }
        }
        const auto total = books->usage({});
        ASSERT_TRUE(total) << total.error().message;
        const auto done = static_cast<std::uint64_t>(10 * (round + 1));
        EXPECT_EQ(total->total.exchanges, done);
        EXPECT_EQ(total->total.attempts, done);
        EXPECT_EQ(
            total->total.cost, Money::from_pico(static_cast<Int128>(done) * 1'000'000'000'001));
        EXPECT_EQ(total->total.usage[canon::Meter::kOutput], static_cast<std::int64_t>(done) * 7);
        const auto by =
            books->usage({{UsageColumn::kDay, UsageColumn::kKey, UsageColumn::kOffer}, {}, {}, {}});
        ASSERT_EQ(by->rows.size(), 1);
        EXPECT_EQ(
            by->rows[0].group, (std::vector<std::string>{to_date(kNow), "key", "model/cloud"}));
        EXPECT_EQ(
            books->usage({{}, {}, {}, {{UsageColumn::kTeam, "team"}}})->total.exchanges, done);
        EXPECT_EQ(books->usage({{}, {}, {}, {{UsageColumn::kTeam, "other"}}})->total.exchanges, 0);
        EXPECT_EQ(books->usage({{}, kNow, {}, {}})->total.exchanges, done);
        EXPECT_EQ(books->usage({{}, kNow + seconds(86'400), {}, {}})->total.exchanges, 0);
        EXPECT_EQ(books->usage({{}, {}, kNow - seconds(86'400), {}})->total.exchanges, 0);
        EXPECT_EQ(query_usage(options.data, {})->total.exchanges, done)
            << "as another process sees it";
        EXPECT_TRUE(books->verify().ok());
    }
    EXPECT_EQ(query_usage(folder.path() / "nowhere", {}).error().code, ErrorCode::kNotFound);
    EXPECT_NE(parse_usage_key("modle").error().message.find("'model'"), std::string::npos);
}

TEST(Books, TellUsageByOneTagAndTheTotalsAreTheLedgers) {
    const Folder folder("books-tags");
    const std::unique_ptr<Books> books = open_books(small_books(folder.path()));
    const ledger::NameId key = books->name("key").value();
    // The value of one tag is the name of another, and begins as another value does.
    const std::array tags{"", "cost_center=4711;stage=prod", "cost_center=4711;stage=test",
        "stage=prod", "stage=production;unstage=prod", "x=stage=prod"};
    Money spent;
    for (std::uint64_t n = 0; n < 12; ++n) {
        ledger::HoldRequest request;
        request.exchange = exchange_id(n);
        request.path = books->path("key", "team", "org").value();
        request.route = books->route("model", "model/cloud", "cloud").value();
        request.amount = usd("3.00");
        request.dispatch = kNow;
        if (n % 6 > 0) request.tags = books->scoped_name(key, tags[n % 6]).value();
        ASSERT_TRUE(books->hold(request));
        ASSERT_TRUE(settle(*books, n, Money::from_pico(Int128{1} << n)));
        spent += Money::from_pico(Int128{1} << n);
    }
    const auto of = [](std::initializer_list<int> numbers) {
        Int128 pico = 0;
        for (const int n : numbers) pico += (Int128{1} << n) + (Int128{1} << (n + 6));
        return Money::from_pico(pico);
    };
    const auto table = books->usage({{UsageKey::of_tag("stage")}, {}, {}, {}});
    ASSERT_TRUE(table) << table.error().message;
    ASSERT_EQ(table->rows.size(), 4);
    const std::array expected{std::pair("", of({0, 5})), std::pair("prod", of({1, 3})),
        std::pair("production", of({4})), std::pair("test", of({2}))};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(table->rows[i].group, std::vector<std::string>{expected[i].first});
        EXPECT_EQ(table->rows[i].cost, expected[i].second) << expected[i].first;
        const auto one =
            books->usage({{}, {}, {}, {{UsageKey::of_tag("stage"), expected[i].first}}});
        EXPECT_EQ(one->total.cost, expected[i].second) << "chosen: " << expected[i].first;
    }
    EXPECT_EQ(table->total.cost, spent);
    EXPECT_EQ(books->verify().debits, spent);
    EXPECT_EQ(table->columns[0].name(), "tag:stage");
    EXPECT_EQ(parse_usage_key("tag:stage")->tag, "stage");
    EXPECT_FALSE(parse_usage_key("tag:"));
    EXPECT_FALSE(parse_usage_key("tag:a=b"));
}

TEST(Books, HaveOneOwner) {
    const Folder folder("books-lock");
    const std::unique_ptr<Books> books = open_books(small_books(folder.path()));
    const Result<std::unique_ptr<Books>> second = Books::open(small_books(folder.path()), kNow);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::kStoreLocked);
    EXPECT_NE(second.error().message.find(fmt::format("process {}", ::getpid())), std::string::npos)
        << second.error().message;
}

TEST(Books, SayWhatIsLeftWhatWasAskedAndWhenTheBudgetRenews) {
    const Folder folder("books-refusal");
    const std::unique_ptr<Books> books = open_books(small_books(folder.path()));
    ASSERT_TRUE(books->set_budgets(std::vector<ledger::BudgetSpec>{
        {ledger::OwnerKind::kTeam, "team", usd("5.00"), PeriodKind::kDay, TimeZone::utc()}}));
    ASSERT_TRUE(hold(*books, 1, usd("4.00")));
    const auto refused = hold(*books, 2, usd("1.01"));
    ASSERT_EQ(refused.error().code, ErrorCode::kInsufficientBalance);
    EXPECT_EQ(refused.error().message,
        "the day budget of team 'team' has 1.00 left of 5.00 (4.00 held by open requests); this "
        "request may cost up to "
        "1.01, and it renews at 2025-11-24T00:00:00.000Z. Try again when open requests have ended, "
        "or lower the output "
        "limit.");
    EXPECT_EQ(books->stats().refused_by_holds, 1);
    ASSERT_TRUE(settle(*books, 1, usd("4.00")));
    EXPECT_FALSE(hold(*books, 2, usd("1.01")));
    EXPECT_EQ(books->stats().refused_by_spend, 1);
}

TEST(Books, FindADifferenceWhenTheStoreWasTamperedWith) {
    const Folder folder("books-tamper");
    const BooksOptions options = small_books(folder.path());
    {
        const std::unique_ptr<Books> books = open_books(options);
        ASSERT_TRUE(hold(*books, 1, usd("4.00")));
        ASSERT_TRUE(settle(*books, 1, usd("1.00")));
        ASSERT_TRUE(close(*books, 1));
        EXPECT_TRUE(books->verify().ok());
    }
    {
        Result<Database> database =
            Database::open(database_path(options.data), Database::Mode::kReadWrite);
        ASSERT_TRUE(database->execute("UPDATE accounts SET settled_pico='990000000000'"));
        ASSERT_TRUE(database->execute("UPDATE usage SET cost_pico=cost_pico+1"));
    }
    const std::unique_ptr<Books> books = open_books(options);
    const VerifyReport report = books->verify();
    ASSERT_EQ(report.differences.size(), 5);
    EXPECT_NE(report.differences[0].find("usage rows cost 1.000000000001"), std::string::npos)
        << report.differences[0];
    EXPECT_NE(report.differences[1].find("accounts, row 1: books.db has 1|"), std::string::npos)
        << report.differences[1];
    EXPECT_NE(report.differences[3].find("the books have 0.99 settled"), std::string::npos)
        << report.differences[1];
}

/// Fails every step of one kind while it is on.
class Failing final : public FileOps {
public:
    int before(Step step) override { return on && step == failing ? EIO : 0; }
    std::atomic<bool> on{false};
    Step failing = Step::kBooksCommit;
};

// A disk that fails under the checkpoint costs nothing but the checkpoint: it is made up for when
// the disk is back.
TEST(Books, GoOnWhileTheStoreFailsAndCatchUp) {
    const Folder folder("books-eio");
    for (const Step step :
        {Step::kBooksBegin, Step::kBooksWrite, Step::kBooksCommit, Step::kSegmentSync}) {
        Failing files;
        files.failing = step;
        BooksOptions options = small_books(folder.path());
        options.files = &files;
        const auto first = static_cast<std::uint64_t>(step) * 100;
        {
            const std::unique_ptr<Books> books = open_books(options);
            ASSERT_TRUE(books->checkpoint());
            files.on = true;
            for (std::uint64_t n = first; n < first + 20; ++n) {
                ASSERT_TRUE(hold(*books, n, usd("2.00")));
                ASSERT_TRUE(settle(*books, n, usd("1.00")));
                ASSERT_TRUE(close(*books, n));
                books->tick(kNow + seconds(static_cast<std::int64_t>(n - first) * 10));
            }
            EXPECT_EQ(books->checkpoint().error().code, ErrorCode::kIo);
            EXPECT_FALSE(books->stats().last_failure.empty());
            files.on = false;
            bool caught_up = false;
            for (int i = 0; i < 20 && !caught_up; ++i) caught_up = books->checkpoint().has_value();
            ASSERT_TRUE(caught_up);
            EXPECT_TRUE(books->verify().ok());
        }
        const std::unique_ptr<Books> books = open_books(options);
        EXPECT_TRUE(books->recovery().clean_stop);
        EXPECT_TRUE(books->verify().ok());
    }
}

// A period of long ago is asked for again, and what the file has of it waits for a disk that fails.
TEST(Books, LookBackWithoutWaitingForAFailingDisk) {
    const Folder folder("books-back");
    Failing files;
    BooksOptions options = small_books(folder.path());
    options.files = &files;
    const std::unique_ptr<Books> books = open_books(options);
    ASSERT_TRUE(books->set_budgets(std::vector<ledger::BudgetSpec>{
        {ledger::OwnerKind::kKey, "key", usd("5.00"), PeriodKind::kDay, TimeZone::utc()}}));
    ASSERT_TRUE(hold(*books, 1, usd("4.00")));
    ASSERT_TRUE(settle(*books, 1, usd("4.00")));
    ASSERT_TRUE(close(*books, 1));
    files.on = true;
    // Days later the period leaves the memory, while its account is on its way to the disk.
    constexpr seconds kDays{4 * 86'400};
    books->tick(kNow + kDays);
    const auto began = std::chrono::steady_clock::now();
    const auto refused = hold(*books, 2, usd("1.01"));
    ASSERT_EQ(refused.error().code, ErrorCode::kInsufficientBalance);
    EXPECT_NE(refused.error().message.find("1.00 left of 5.00"), std::string::npos)
        << refused.error().message;
    EXPECT_TRUE(hold(*books, 3, usd("1.00")));
    EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(250));
    files.on = false;
}

TEST(Books, FindAnExchangeWhicheverWayTheClockWasSet) {
    const Folder folder("books-clock");
    BooksOptions options = small_books(folder.path());
    options.recent_exchanges = 1;  // everything is an older exchange
    const auto id = [](std::uint64_t n) {
        // Forward by a day, back by three, in turns; each jump a file or more.
        const std::int64_t jump = n / 300 % 3 == 0 ? 0 : n / 300 % 3 == 1 ? 86'400 : -3 * 86'400;
        return ExchangeId::make(
            kNow + seconds(jump) + nanoseconds(static_cast<std::int64_t>(n) * 1'000'000), {n, n});
    };
    constexpr std::uint64_t kExchanges = 2'700;
    for (const bool again : {false, true}) {
        const std::unique_ptr<Books> books = open_books(options);
        for (std::uint64_t n = 0; !again && n < kExchanges; ++n) {
            ledger::ExchangeClose facts;
            facts.exchange = id(n);
            facts.at = id(n).time();
            facts.status = 200;
            if (n % 300 == 0) books->tick(facts.at);
            while (!books->close(facts)) std::this_thread::sleep_for(milliseconds(1));
        }
        for (std::uint64_t n = 0; n < kExchanges; n += 7) {
            const Result<ExchangeReport> report = books->exchange(id(n));
            ASSERT_TRUE(report) << n << ": " << report.error().message;
            ASSERT_TRUE(report->closed);
        }
        EXPECT_EQ(books->exchange(id(kExchanges)).error().code, ErrorCode::kNotFound);
    }
}

TEST(Books, RefuseToStartWhenAStepOfOpeningFails) {
    for (const Step step : {Step::kSegmentCreate, Step::kSegmentAllocate, Step::kSegmentMap,
             Step::kDirectorySync, Step::kBooksOpen}) {
        const Folder folder("books-start");
        Failing files;
        files.failing = step;
        files.on = true;
        BooksOptions options = small_books(folder.path());
        options.files = &files;
        const Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
        ASSERT_FALSE(books) << static_cast<int>(step);
        EXPECT_EQ(books.error().code, ErrorCode::kIo);
        files.on = false;
        EXPECT_TRUE(Books::open(options, kNow)) << "and start once it works";
    }
}

/// Holds until refused, then ends everything; false when an ending was refused.
bool fill_and_end(Books& books, std::uint64_t& n, std::vector<std::uint64_t>& open) {
    for (; n < 100'000; ++n) {
        const auto held = hold(books, n, usd("0.01"));
        if (!held) {
            if (held.error().code != ErrorCode::kJournalFull) return false;
            break;
        }
        open.push_back(n);
        if (open.size() > 20) {
            if (!settle(books, open.front(), usd("0.01")) || !close(books, open.front()))
                return false;
            open.erase(open.begin());
        }
    }
    for (const std::uint64_t id : open) {
        if (!settle(books, id, usd("0.01")) || !close(books, id)) return false;
    }
    open.clear();
    return true;
}

TEST(Books, FailClosedWhenTheJournalIsFullAndEndWhatIsOpen) {
    const Folder folder("books-full");
    BooksOptions options = small_books(folder.path());
    options.journal_bytes_max = 2 * options.segment_bytes;
    options.recycle_oldest = false;
    std::uint64_t n = 1;
    std::vector<std::uint64_t> open;
    {
        const std::unique_ptr<Books> books = open_books(options);
        ASSERT_TRUE(fill_and_end(*books, n, open));
        ASSERT_LT(n, 100'000);
        EXPECT_GT(books->stats().refused_by_journal, 0);
        EXPECT_TRUE(books->verify().ok());
    }
    EXPECT_TRUE(open_books(options)->verify().ok()) << "also after a restart over full files";
    options.recycle_oldest = true;
    const std::unique_ptr<Books> books = open_books(options);
    bool held = false;
    for (int i = 0; i < 5'000 && !held; ++i) {
        held = hold(*books, 200'000, usd("0.01")).has_value();
        std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_TRUE(held) << "files that the books hold make room";
}

/// Budgets that no configuration before had.
std::vector<ledger::BudgetSpec> new_budgets() {
    std::vector<ledger::BudgetSpec> budgets = test::wide_budgets();
    for (int n = 0; n < 40; ++n) {
        budgets.push_back({ledger::OwnerKind::kTeam, fmt::format("new-team-{}", n), usd("1.00"),
            PeriodKind::kDay, TimeZone::utc()});
    }
    return budgets;
}

/// Until nothing is open and nothing more can begin.
bool fill_up(Books& books, std::uint64_t& n) {
    std::vector<std::uint64_t> open;
    if (!fill_and_end(books, n, open)) return false;
    for (; hold(books, n, usd("0.01")); ++n)
        if (!settle(books, n, usd("0.01")) || !close(books, n)) return false;
    return n < 100'000;
}

// Room is made by threads that are yet to be started then, from files that a checkpoint which is
// yet to be written holds.
TEST(Books, StartOverAFullJournalAndTakeAConfigurationAtOnce) {
    for (const std::uint64_t files : {2, 3, 16}) {
        const Folder folder("books-full-start");
        BooksOptions options = small_books(folder.path());
        options.journal_bytes_max = files * options.segment_bytes;
        options.recycle_oldest = false;
        std::uint64_t n = 1;
        {
            const std::unique_ptr<Books> books = open_books(options);
            ASSERT_TRUE(fill_up(*books, n));
        }
        options.recycle_oldest = true;
        const Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
        ASSERT_TRUE(books) << books.error().message;
        const Status set = (*books)->set_budgets(new_budgets());
        EXPECT_TRUE(set) << files << ": " << set.error().message;
        EXPECT_TRUE(hold(**books, n, usd("0.01")));
        EXPECT_TRUE(settle(**books, n, usd("0.01")));
        EXPECT_TRUE(close(**books, n));
        const VerifyReport report = (*books)->verify();
        EXPECT_TRUE(report.ok()) << report.differences.front();
    }
}

TEST(Books, TakeAConfigurationWhileFilesAreStillOnTheirWayOut) {
    const Folder folder("books-full-live");
    BooksOptions options = small_books(folder.path());
    options.journal_bytes_max = 4 * options.segment_bytes;
    const std::unique_ptr<Books> books = open_books(options);
    std::uint64_t n = 1;
    // No checkpoint meanwhile: no file may go.
    ASSERT_TRUE(fill_up(*books, n));
    const Status set = books->set_budgets(new_budgets());
    EXPECT_TRUE(set) << set.error().message;
    const VerifyReport report = books->verify();
    EXPECT_TRUE(report.ok()) << report.differences.front();
}

TEST(Books, WaitForNoRoomThatCannotCome) {
    const Folder folder("books-full-stuck");
    BooksOptions options = small_books(folder.path());
    options.journal_bytes_max = 2 * options.segment_bytes;
    options.recycle_oldest = false;
    std::uint64_t n = 1;
    {
        const std::unique_ptr<Books> books = open_books(options);
        ASSERT_TRUE(fill_up(*books, n));
    }
    const auto began = std::chrono::steady_clock::now();
    const std::unique_ptr<Books> books = open_books(options);
    EXPECT_FALSE(books->set_budgets(new_budgets()));
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
}

// The file size limit stands for a full disk: no file can grow, which the kernel says as it says
// ENOSPC.
TEST(Books, FailClosedWhenTheDiskIsFull) {
    const Folder folder("books-disk");
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGXFSZ, SIG_IGN);
        BooksOptions options = small_books(folder.path());
        std::uint64_t n = 1;
        std::vector<std::uint64_t> open;
        int outcome = 0;
        {
            const std::unique_ptr<Books> books = open_books(options);
            if (!books || !hold(*books, 0, usd("0.01"))) ::_exit(10);
            const rlimit limit{32 * 1024, 32 * 1024};
            ::setrlimit(RLIMIT_FSIZE, &limit);
            if (!fill_and_end(*books, n, open)) outcome = 11;
            if (n == 100'000) outcome = 12;
            // The thread that prepares files says so when it gets to it.
            for (int i = 0; i < 5'000 && books->stats().last_failure.empty(); ++i)
                std::this_thread::sleep_for(milliseconds(1));
            if (books->stats().last_failure.empty()) outcome = 13;
            // The process ends here as by kill -9: with its store behind and its disk full.
            if (outcome != 0) ::_exit(outcome);
            ::_exit(42);
        }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    ASSERT_EQ(WEXITSTATUS(status), 42);
    const std::unique_ptr<Books> books = open_books(small_books(folder.path()));
    EXPECT_EQ(books->recovery().unverified.size(), 1)
        << "the one that was held before the disk was full";
    const VerifyReport report = books->verify();
    EXPECT_TRUE(report.ok()) << report.differences.front();
    EXPECT_GT(report.records_audited, 200);
}

}  // namespace
}  // namespace entrepot::store
