// A child runs the books and is killed at the Nth step that touches the files, for every N; then
// the files are opened as they are. What a call had promised must be there, nothing twice, and the
// proof must hold.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include "store/file_ops.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::exchange_id;
using test::Folder;
using test::kNow;
using test::usd;

/// How far the child came with each exchange, in memory that outlives it.
enum Progress : std::uint8_t {
    kNothing,
    kHolding,
    kHeld,
    kSettling,
    kSettled,
    kReleasing,
    kReleased,
    kClosing,
    kClosed
};
constexpr std::size_t kExchangesMax = 60'000;

class Shared {
public:
    Shared()
        : at_(static_cast<std::atomic<std::uint8_t>*>(::mmap(nullptr, kExchangesMax,
              PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
    ~Shared() { ::munmap(at_, kExchangesMax); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    std::atomic<std::uint8_t>& operator[](std::size_t n) { return at_[n]; }

private:
    std::atomic<std::uint8_t>* at_;
};

/// Kills its process at the Nth step, or at the Nth step of one kind.
class KillAt final : public FileOps {
public:
    explicit KillAt(std::uint64_t n, std::optional<Step> kind = std::nullopt)
        : left_(n), kind_(kind) {}
    int before(Step step) override {
        if (kind_ && *kind_ != step) return 0;
        if (left_.fetch_sub(1) == 1) {
            ::kill(::getpid(), SIGKILL);
            for (;;) ::pause();
        }
        return 0;
    }

private:
    std::atomic<std::uint64_t> left_;
    const std::optional<Step> kind_;
};

Money held_of(std::uint64_t n) {
    return Money::from_pico(static_cast<Int128>(n % 7 + 2) * 1'000'000'000);
}
Money cost_of(std::uint64_t n) {
    return Money::from_pico(static_cast<Int128>(n % 7 + 1) * 1'000'000'000 + 1);
}
/// Every fifth exchange is released rather than settled.
bool is_released(std::uint64_t n) { return n % 5 == 4; }

bool run_exchange(Books& books, std::uint64_t n, Shared& progress) {
    progress[n] = kHolding;
    if (!test::hold(books, n, held_of(n))) return false;
    progress[n] = kHeld;
    if (n % 3 == 0 && !books.shrink(exchange_id(n), 1, held_of(n))) return false;
    if (is_released(n)) {
        progress[n] = kReleasing;
        if (!books.release(exchange_id(n), 1, kNow)) return false;
        progress[n] = kReleased;
    } else {
        progress[n] = kSettling;
        if (!test::settle(books, n, cost_of(n))) return false;
        progress[n] = kSettled;
    }
    if (n % 11 == 10) return true;  // its exchange stays open
    progress[n] = kClosing;
    if (!test::close(books, n)) return false;
    progress[n] = kClosed;
    return true;
}

/// Runs exchanges [first, last) in a child. True when it was killed, false when it came to its end.
bool run_child(BooksOptions options, std::uint64_t first, std::uint64_t last, Shared& progress,
    FileOps* files, std::uint64_t kill_at = UINT64_MAX) {
    const pid_t child = ::fork();
    if (child == 0) {
        options.files = files;
        options.checkpoint_interval = seconds(0);
        {
            Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
            if (!books || !(*books)->set_budgets(test::wide_budgets())) ::_exit(3);
            for (std::uint64_t n = first; n < last; ++n) {
                if (!run_exchange(**books, n, progress)) ::_exit(4);
                if (n % 4 == 3) (*books)->tick(exchange_id(n).time());
            }
        }
        ::_exit(0);
    }
    int status = 0;
    bool ended = false;
    // From outside, as soon as exchange `kill_at` was begun: wherever the child is by then.
    while (kill_at != UINT64_MAX && !ended && progress[kill_at] == kNothing) {
        std::this_thread::sleep_for(milliseconds(1));
        ended = ::waitpid(child, &status, WNOHANG) == child;
    }
    if (!ended) {
        if (kill_at != UINT64_MAX) ::kill(child, SIGKILL);
        EXPECT_EQ(::waitpid(child, &status, 0), child);
    }
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << WEXITSTATUS(status);
    return WIFSIGNALED(status);
}

/// Opens what is left and holds each `stride`th exchange of [0, last) against what the child had
/// been promised, and all of them in number.
void check(
    const BooksOptions& options, std::uint64_t last, Shared& progress, std::uint64_t stride = 1) {
    Money debits;
    {
        Result<std::unique_ptr<Books>> opened = Books::open(options, kNow);
        ASSERT_TRUE(opened) << opened.error().message;
        Books& books = **opened;
        Money sum;
        std::uint64_t begun = 0;
        std::uint64_t promised = 0;
        for (std::uint64_t n = 0; n < last; ++n) {
            const std::uint8_t reached = progress[n];
            if (reached == kNothing) continue;
            ++begun;
            if (reached >= kHeld) ++promised;
            if (n % stride != 0) continue;
            const Result<ExchangeReport> report = books.exchange(exchange_id(n));
            if (!report) {
                ASSERT_EQ(report.error().code, ErrorCode::kNotFound);
                ASSERT_EQ(reached, kHolding) << "exchange " << n << " is lost";
                continue;
            }
            ASSERT_TRUE(report->closed) << n;
            ASSERT_EQ(report->attempts.size(), 1) << n;
            const AttemptFacts& attempt = report->attempts[0];
            sum += attempt.cost;
            const bool unverified = (attempt.flags & ledger::settle_flag::kUnverified) != 0;
            const bool may_be_unverified = reached <= kSettling || reached == kReleasing;
            ASSERT_FALSE(unverified && !may_be_unverified) << n;
            if (unverified) {
                ASSERT_EQ(attempt.cost, held_of(n)) << n;
            } else if (is_released(n)) {
                ASSERT_EQ(attempt.state, AttemptFacts::State::kReleased) << n;
            } else {
                ASSERT_EQ(attempt.cost, cost_of(n)) << n;
                ASSERT_GE(reached, kSettling) << n;
            }
        }
        const VerifyReport report = books.verify();
        ASSERT_TRUE(report.ok()) << report.differences.front();
        if (stride == 1) {
            ASSERT_EQ(report.debits, sum);
        }
        const Result<UsageTable> usage = books.usage({});
        ASSERT_TRUE(usage);
        const std::uint64_t ended = usage->total.attempts + usage->total.released;
        ASSERT_GE(ended, promised);
        ASSERT_LE(ended, begun);
        ASSERT_EQ(usage->total.exchanges, ended);
        ASSERT_EQ(report.open_attempts, 0);
        debits = report.debits;
    }
    Result<std::unique_ptr<Books>> again = Books::open(options, kNow);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE((*again)->recovery().clean_stop);
    EXPECT_TRUE((*again)->recovery().unverified.empty()) << "a second start finds nothing more";
    EXPECT_EQ((*again)->verify().debits, debits);
}

TEST(Crash, AtEveryStepLosesNothingAndDoublesNothing) {
    constexpr std::uint64_t kExchanges = 12;
    std::uint64_t n = 1;
    for (;; ++n) {
        const Folder folder("crash-every");
        Shared progress;
        KillAt files(n);
        const BooksOptions options = test::small_books(folder.path());
        const bool killed = run_child(options, 0, kExchanges, progress, &files);
        SCOPED_TRACE(fmt::format("killed at step {}", n));
        check(options, kExchanges, progress);
        if (testing::Test::HasFatalFailure()) return;
        if (!killed) break;
    }
    EXPECT_GT(n, 150) << "the script has that many steps";
}

// With enough traffic to change files: each kind of step, its first times.
TEST(Crash, AtEachKindOfStepUnderTraffic) {
    constexpr std::uint64_t kExchanges = 700;
    for (std::uint8_t kind = 0; kind <= static_cast<std::uint8_t>(Step::kBooksCommit); ++kind) {
        for (const std::uint64_t times : {1, 2, 3, 40, 1'500}) {
            const Folder folder("crash-kind");
            Shared progress;
            KillAt files(times, static_cast<Step>(kind));
            BooksOptions options = test::small_books(folder.path());
            (void)run_child(options, 0, kExchanges, progress, &files);
            SCOPED_TRACE(fmt::format("step {} the {}th time", kind, times));
            check(options, kExchanges, progress);
            if (testing::Test::HasFatalFailure()) return;
        }
    }
}

// The same books, killed from outside again and again.
TEST(Crash, AtAnyMomentOverManyRoundsKeepsTheBooks) {
    const char* const given = std::getenv("ENTREPOT_SEED");
    const std::uint64_t seed =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE(fmt::format("ENTREPOT_SEED={}", seed));
    std::mt19937_64 random(seed);
    const Folder folder("crash-rounds");
    Shared progress;
    BooksOptions options = test::small_books(folder.path());
    // Every eleventh exchange stays open and has room kept for its ending: a child that runs on for
    // a while on a busy machine must not be refused for want of it.
    options.segment_bytes = 2 * 1024 * 1024;
    options.journal_bytes_max = 1ULL << 30;
    std::uint64_t first = 0;
    for (int round = 0; round < 25; ++round) {
        const std::uint64_t kill_at = first + random() % 400;
        (void)run_child(options, first, kExchangesMax, progress, nullptr, kill_at);
        while (first < kExchangesMax && progress[first] != kNothing) ++first;
        Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
        ASSERT_TRUE(books) << books.error().message;
        const VerifyReport report = (*books)->verify();
        ASSERT_TRUE(report.ok()) << "round " << round << ": " << report.differences.front();
        ASSERT_LT(first + 1'000, kExchangesMax);
    }
    ASSERT_GT(first, 100);
    check(options, first, progress, first / 200 + 1);
}

}  // namespace
}  // namespace entrepot::store
