// The books made again from base and journal: the same to the byte, whatever the gateway went
// through; and what is missing or damaged is named, with nothing changed.
#include "store/rebuild.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <random>
#include <thread>

#include "store/compactor.h"
#include "store/replacement.h"
#include "store/settings.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::exchange_id;
using test::Folder;
using test::kNow;
using test::small_books;
using test::usd;

/// A journal of four files: it is compacted again and again.
BooksOptions tight_books(const std::filesystem::path& data) {
    BooksOptions options = small_books(data);
    options.segment_bytes = 128 * 1024;
    options.journal_bytes_max = 4 * options.segment_bytes;
    options.checkpoint_interval = seconds(0);
    return options;
}

/// As a gateway does whose journal is full for a moment: it goes on ticking.
template <typename Call>
bool insist(Books& books, const Call& call) {
    for (int tries = 0; tries < 10'000; ++tries) {
        const auto done = call();
        if (done) return true;
        if (done.error().code != ErrorCode::kJournalFull) {
            ADD_FAILURE() << done.error().message;
            return false;
        }
        books.tick(kNow);
        std::this_thread::sleep_for(milliseconds(1));  // room is being made
    }
    ADD_FAILURE() << "no room was made";
    return false;
}

/// In the budgets of one of forty days, back and forth.
Result<ledger::HoldTicket> hold(Books& books, std::uint64_t n) {
    ledger::HoldRequest request;
    request.exchange = exchange_id(n);
    ENTREPOT_TRY(request.path, books.path("key", "team", "org"));
    ENTREPOT_TRY(request.route, books.route("model", "model/cloud", "cloud"));
    request.amount = usd("2.00");
    request.dispatch = kNow + seconds(static_cast<std::int64_t>(n * 7 % 40) * 86'400);
    return books.hold(request);
}

/// What a gateway does in a life: exchanges of several ends, corrections of either sign, names,
/// other limits. Exchanges [first, last).
bool live(Books& books, std::uint64_t first, std::uint64_t last) {
    for (std::uint64_t n = first; n < last; ++n) {
        if (!insist(books, [&] { return books.name(fmt::format("{:0>400}", n)); })) return false;
        if (!insist(books, [&] { return hold(books, n); })) return false;
        if (n % 97 == 9) continue;  // stays open
        const bool ended = n % 5 == 4
            ? insist(books, [&] { return books.release(exchange_id(n), 1, kNow); })
            : insist(books, [&] {
                  return test::settle(books, n,
                      Money::from_pico(static_cast<Int128>(n % 13 + 1) * 123'456'789'012));
              });
        if (!ended) return false;
        if (n % 7 != 6 && !insist(books, [&] { return test::close(books, n); })) return false;
        if (n % 17 == 3) {
            ledger::AdjustRequest correction;
            correction.id = ExchangeId::make(kNow, {n, ~n});
            correction.at = kNow + seconds(static_cast<std::int64_t>(n % 50) * 86'400);
            correction.cost = correction.list_cost = n % 2 == 0 ? usd("0.70") : -usd("0.35");
            correction.reason = books.name("late").value();
            if (!insist(books, [&] { return books.adjust(correction); })) return false;
        }
        if (n % 100 == 50) {
            auto budgets = test::wide_budgets();
            budgets[0].limit = usd("100000.00") + Money::from_pico(static_cast<Int128>(n));
            if (!insist(books, [&] { return books.set_budgets(budgets); })) return false;
        }
        // Days go by, so that periods leave the memory and come back.
        if (n % 20 == 19) books.tick(kNow + seconds(static_cast<std::int64_t>(n % 400) * 7'200));
    }
    return true;
}

std::vector<TableDigest> digest_of(const std::filesystem::path& data) {
    const auto database = Database::open(database_path(data), Database::Mode::kReadOnly);
    EXPECT_TRUE(database);
    const auto digests = digest_projections(*database);
    EXPECT_TRUE(digests) << digests.error().message;
    return digests.value_or(std::vector<TableDigest>());
}

std::string first_difference(
    const std::vector<TableDigest>& left, const std::vector<TableDigest>& right) {
    for (std::size_t i = 0; i < left.size() && i < right.size(); ++i)
        if (!(left[i] == right[i])) return left[i].table;
    return left.size() == right.size() ? "" : "the number of tables";
}

std::uint64_t rows_of(const std::vector<TableDigest>& digests, std::string_view table) {
    const auto found = std::ranges::find(digests, table, &TableDigest::table);
    return found == digests.end() ? 0 : found->rows;
}

void make_books(const BooksOptions& options, std::uint64_t first, std::uint64_t last) {
    Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
    ASSERT_TRUE(books) << books.error().message;
    ASSERT_TRUE(insist(**books, [&] { return (*books)->set_budgets(test::wide_budgets()); }));
    ASSERT_TRUE(live(**books, first, last));
}

TEST(Rebuild, GivesTheBooksThatTheGatewayMadeToTheByte) {
    const Folder folder("rebuild-same");
    for (const std::uint64_t bytes_max : {64ULL << 20, 512ULL << 10}) {
        SCOPED_TRACE(bytes_max);
        const std::filesystem::path data = folder.path() / std::to_string(bytes_max);
        BooksOptions options = tight_books(data);
        options.journal_bytes_max = bytes_max;
        make_books(options, 0, 900);
        {
            const auto settings = SettingsStore::open(data);
            ASSERT_TRUE((*settings)->put({"key", "mine", "{}", kNow}));
        }
        make_books(options, 900, 1'500);
        const bool is_compacted = std::filesystem::exists(base_path(data));
        EXPECT_EQ(is_compacted, bytes_max < 1ULL << 20);
        const std::vector<TableDigest> made = digest_of(data);
        EXPECT_GT(rows_of(made, "accounts"), 20);
        EXPECT_GT(rows_of(made, "charges"), 20);
        EXPECT_GT(rows_of(made, "unverified"), 5);
        const Result<RebuildReport> report = rebuild_books({.data = data}, kNow);
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_TRUE(report->differences.empty()) << report->differences.front();
        EXPECT_EQ(report->old_unread, "");
        EXPECT_EQ(report->from != 0, is_compacted);
        EXPECT_EQ(first_difference(made, report->tables), "");
        EXPECT_EQ(first_difference(made, digest_of(data)), "");
        EXPECT_TRUE((*SettingsStore::open(data))->get("key", "mine").value().has_value());
        Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
        ASSERT_TRUE(books) << books.error().message;
        const VerifyReport proof = (*books)->verify();
        EXPECT_TRUE(proof.ok()) << proof.differences.front();
        EXPECT_GT(proof.records_proved, 0);
    }
}

TEST(Rebuild, MendsBooksThatWereChangedLostOrDamaged) {
    const Folder folder("rebuild-mend");
    const std::filesystem::path& data = folder.path();
    make_books(tight_books(data), 0, 600);
    const std::vector<TableDigest> made = digest_of(data);
    {
        auto database = Database::open(database_path(data), Database::Mode::kReadWrite);
        ASSERT_TRUE(
            database->execute("UPDATE accounts SET settled_pico='990000000000' WHERE id=1"));
        ASSERT_TRUE(
            database->execute("DELETE FROM charges WHERE hour=(SELECT MIN(hour) FROM charges)"));
    }
    Result<RebuildReport> report = rebuild_books({.data = data}, kNow);
    ASSERT_TRUE(report) << report.error().message;
    ASSERT_EQ(report->differences.size(), 2);
    EXPECT_NE(
        report->differences[0].find("accounts, row 1: the old books.db has 1|"), std::string::npos)
        << report->differences[0];
    EXPECT_EQ(first_difference(made, digest_of(data)), "");
    EXPECT_TRUE(std::filesystem::exists(replaced_path(data) / "books.db"));

    std::filesystem::remove(database_path(data));
    report = rebuild_books({.data = data}, kNow);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->old_unread, "there was no books.db");
    EXPECT_EQ(first_difference(made, digest_of(data)), "");

    // Damaged beyond its first page: what is in it besides the books is given up only on request.
    {
        std::fstream file(database_path(data), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4'096);
        file << std::string(std::filesystem::file_size(database_path(data)) - 4'096, '\x55');
    }
    report = rebuild_books({.data = data}, kNow);
    ASSERT_FALSE(report);
    EXPECT_NE(report.error().message.find("--without-settings"), std::string::npos)
        << report.error().message;
    report = rebuild_books({.data = data, .without_settings = true}, kNow);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_NE(report->old_unread, "");
    EXPECT_EQ(first_difference(made, digest_of(data)), "");
}

TEST(Rebuild, SaysWhatIsMissingAndChangesNothing) {
    const Folder folder("rebuild-missing");
    const std::filesystem::path& data = folder.path();
    make_books(tight_books(data), 0, 900);
    ASSERT_TRUE(std::filesystem::exists(base_path(data)));
    const std::vector<TableDigest> made = digest_of(data);
    const auto refused = [&](std::string_view named) {
        const Result<RebuildReport> report = rebuild_books({.data = data}, kNow);
        ASSERT_FALSE(report);
        EXPECT_NE(report.error().message.find(named), std::string::npos) << report.error().message;
        EXPECT_EQ(first_difference(made, digest_of(data)), "");
    };
    const std::filesystem::path aside = data / "aside.db";
    std::filesystem::rename(base_path(data), aside);
    refused("base.db is not there");
    // The gateway goes on, proves what it can and keeps every file.
    {
        Result<std::unique_ptr<Books>> books = Books::open(tight_books(data), kNow);
        ASSERT_TRUE(books) << books.error().message;
        const VerifyReport proof = (*books)->verify();
        ASSERT_FALSE(proof.ok());
        EXPECT_NE(proof.differences.back().find("base.db is missing"), std::string::npos)
            << proof.differences.back();
    }
    std::filesystem::copy_file(aside, base_path(data));
    const std::vector<TableDigest> later = digest_of(data);
    {
        std::fstream file(base_path(data), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4'096 + 700);
        file << '\x55';
    }
    const Result<RebuildReport> damaged = rebuild_books({.data = data}, kNow);
    ASSERT_FALSE(damaged);
    EXPECT_NE(damaged.error().message.find("base.db"), std::string::npos)
        << damaged.error().message;
    EXPECT_EQ(first_difference(later, digest_of(data)), "");
}

TEST(Rebuild, IsRefusedBesideAGateway) {
    const Folder folder("rebuild-locked");
    Result<std::unique_ptr<Books>> books = Books::open(tight_books(folder.path()), kNow);
    ASSERT_TRUE(books);
    const Result<RebuildReport> report = rebuild_books({.data = folder.path()}, kNow);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::kStoreLocked);
}

TEST(Rebuild, ArchivedFilesAreAllThere) {
    const Folder folder("rebuild-archive");
    BooksOptions options = tight_books(folder.path() / "data");
    options.journal_archive = folder.path() / "archive";
    std::vector<std::string> names;
    // When a file goes is the compactor's business.
    for (std::uint64_t begin = 0; begin < 24'000 && names.size() < 3; begin += 1'200) {
        make_books(options, begin, begin + 1'200);
        names.clear();
        for (const auto& entry : std::filesystem::directory_iterator(options.journal_archive))
            names.push_back(entry.path().filename());
    }
    std::ranges::sort(names);
    ASSERT_GE(names.size(), 3);
    for (std::size_t i = 0; i < names.size(); ++i)
        EXPECT_EQ(names[i], fmt::format("{:010}.journal", i + 1));
    // Put back, they are the whole journal again.
    for (const std::string& name : names)
        std::filesystem::rename(options.journal_archive / name, options.data / "journal" / name);
    std::filesystem::remove(base_path(options.data));
    const std::vector<TableDigest> made = digest_of(options.data);
    const Result<RebuildReport> report = rebuild_books({.data = options.data}, kNow);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->from, 0);
    EXPECT_EQ(first_difference(made, report->tables), "");
}

TEST(Rebuild, FilesGoByTheirAge) {
    const Folder folder("rebuild-age");
    BooksOptions options = small_books(folder.path());
    options.checkpoint_interval = seconds(0);
    options.journal_keep = seconds(86'400);
    Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
    ASSERT_TRUE(books && (*books)->set_budgets(test::wide_budgets()));
    ASSERT_TRUE(live(**books, 0, 15));
    const std::uint64_t bytes = (*books)->stats().journal_bytes;
    for (std::uint64_t n = 100'000; n < 100'600; ++n)
        ASSERT_TRUE(insist(**books, [&] { return (*books)->name(fmt::format("{:0>200}", n)); }));
    EXPECT_GT((*books)->stats().journal_bytes, bytes);
    (*books)->tick(kNow + seconds(200'000));
    ASSERT_TRUE((*books)->name("a record of today"));
    ASSERT_TRUE((*books)->checkpoint());
    bool gone = false;
    for (int i = 0; i < 5'000 && !gone; ++i) {
        std::this_thread::sleep_for(milliseconds(1));
        gone = (*books)->stats().journal_bytes == bytes;
    }
    EXPECT_TRUE(gone) << (*books)->stats().last_failure;
    EXPECT_TRUE((*books)->verify().ok());
}

/// Fails or kills at the Nth step.
class AtStep final : public FileOps {
public:
    enum class Then : std::uint8_t { kFail, kKill };
    AtStep(std::uint64_t n, Then then) : left_(n), then_(then) {}
    int before(Step) override {
        if (left_.fetch_sub(1) != 1) return 0;
        if (then_ == Then::kFail) return EIO;
        ::kill(::getpid(), SIGKILL);
        for (;;) ::pause();
    }
    [[nodiscard]] bool came() const { return static_cast<std::int64_t>(left_.load()) <= 0; }

private:
    std::atomic<std::uint64_t> left_;
    const Then then_;
};

// A child lives with a journal that is compacted all the time and is killed at a random step of
// files; what it leaves opens, is proved, and is rebuilt to the same bytes.
TEST(Rebuild, AfterAKillAtAnyStepOfCompaction) {
    const char* const given = std::getenv("ENTREPOT_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE(fmt::format("ENTREPOT_SEED={}", seed));
    std::mt19937_64 random(seed);
    const bool is_full = std::getenv("ENTREPOT_MONEY") != nullptr;
    int killed = 0;
    int compacted = 0;
    for (int round = 0; round < (is_full ? 100 : 6); ++round) {
        const Folder folder("rebuild-kill");
        const BooksOptions options = tight_books(folder.path());
        std::uint64_t first = 0;
        for (int life = 0; life < 3; ++life, first += 500) {
            const std::uint64_t at = 1 + random() % 12'000;
            const pid_t child = ::fork();
            if (child == 0) {
                AtStep files(at, AtStep::Then::kKill);
                BooksOptions own = options;
                own.files = &files;
                Result<std::unique_ptr<Books>> books = Books::open(own, kNow);
                if (!books) ::_exit(3);
                if (!insist(**books, [&] { return (*books)->set_budgets(test::wide_budgets()); }))
                    ::_exit(4);
                if (!live(**books, first, first + 500)) ::_exit(5);
                books->reset();
                ::_exit(0);
            }
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
            killed += WIFSIGNALED(status) ? 1 : 0;
            {
                Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
                ASSERT_TRUE(books) << books.error().message;
                const VerifyReport proof = (*books)->verify();
                ASSERT_TRUE(proof.ok()) << round << ": " << proof.differences.front();
            }
            const Result<RebuildReport> report = rebuild_books({.data = folder.path()}, kNow);
            ASSERT_TRUE(report) << round << ": " << report.error().message;
            ASSERT_TRUE(report->differences.empty()) << round << ": " << report->differences[0];
            ASSERT_EQ(report->old_unread, "");
            compacted += report->from != 0 ? 1 : 0;
        }
    }
    EXPECT_GT(killed, 3);
    EXPECT_GT(compacted, 5);
}

TEST(Rebuild, ThatFailsAtAnyStepLeavesBooksThatOpen) {
    const Folder folder("rebuild-fails");
    const std::filesystem::path& data = folder.path();
    make_books(tight_books(data), 0, 600);
    make_books(tight_books(data), 600, 600);  // nothing is open any more
    const std::vector<TableDigest> made = digest_of(data);
    bool came = true;
    std::uint64_t n = 1;
    for (; came; ++n) {
        SCOPED_TRACE(n);
        AtStep files(n, AtStep::Then::kFail);
        const Result<RebuildReport> report = rebuild_books({.data = data, .files = &files}, kNow);
        came = files.came();
        if (!came) {
            EXPECT_TRUE(report) << report.error().message;
        }
        // A start goes on with what was interrupted, or finds what was there.
        Result<std::unique_ptr<Books>> books = Books::open(tight_books(data), kNow);
        ASSERT_TRUE(books) << books.error().message;
        ASSERT_TRUE((*books)->verify().ok());
        books->reset();
        ASSERT_EQ(first_difference(made, digest_of(data)), "");
        ASSERT_FALSE(std::filesystem::exists(data / "arrived"));
    }
    EXPECT_GT(n, 12);
}

}  // namespace
}  // namespace entrepot::store
