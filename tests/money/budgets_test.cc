// A thousand exchanges at once over budgets of every level, with cancels, retries, faults, restarts
// and a clock that jumps; beside the books stands a single ledger so simple that it can be read at
// once, with a calendar of its own. What it grants the books grant, what it refuses they refuse.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <queue>

#include "disk.h"
#include "rig.h"
#include "store/books.h"
#include "store/file_ops.h"

namespace entrepot::rig {
namespace {

using store::Books;
using store::BooksOptions;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDay = 86'400;

/// Days since 1970 of a civil date, and back, by counting leap days.
std::int64_t day_number(std::int64_t year, std::int64_t month, std::int64_t day) {
    const std::int64_t y = month <= 2 ? year - 1 : year;
    const std::int64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719'468;
}
struct Date {
    std::int64_t year, month;
};
Date date_of(std::int64_t day) {
    std::int64_t year = 1970 + day / 366;
    while (day_number(year + 1, 1, 1) <= day) ++year;
    std::int64_t month = 1;
    while (month < 12 && day_number(year, month + 1, 1) <= day) ++month;
    return {year, month};
}

enum class Zone : std::uint8_t { kUtc, kStockholm, kKolkata };
constexpr std::array<std::string_view, 3> kZoneNames{"UTC", "Europe/Stockholm", "Asia/Kolkata"};

/// Seconds that the zone's clocks are ahead at `seconds`. Summer time in Europe lasts from the last
/// Sunday of March to that of October, from one o'clock UTC.
std::int64_t ahead(Zone zone, std::int64_t seconds) {
    if (zone == Zone::kUtc) return 0;
    if (zone == Zone::kKolkata) return 19'800;
    const std::int64_t year = date_of(seconds / kDay).year;
    const auto last_sunday = [&](std::int64_t month) {
        const std::int64_t last = day_number(year, month, 31);
        return (last - (last + 4) % 7) * kDay + 3'600;
    };
    return seconds >= last_sunday(3) && seconds < last_sunday(10) ? 7'200 : 3'600;
}

/// A number that is the same within one period and another in every other.
std::int64_t period_number(PeriodKind kind, Zone zone, Instant at) {
    const std::int64_t seconds = at.ns / kSecond;
    const std::int64_t day = (seconds + ahead(zone, seconds)) / kDay;
    const Date date = date_of(day);
    switch (kind) {
        case PeriodKind::kDay: return day;
        case PeriodKind::kWeek: return (day + 3) / 7;
        case PeriodKind::kMonth: return date.year * 12 + date.month;
        case PeriodKind::kQuarter: return date.year * 4 + (date.month - 1) / 3;
        case PeriodKind::kYear: return date.year;
        case PeriodKind::kTotal: return 0;
    }
    return 0;
}

/// The single ledger.
class Oracle {
public:
    struct Budget {
        ledger::OwnerKind owner_kind;
        std::string owner;
        PeriodKind period;
        Zone zone;
        Int128 limit;
        Int128 raise = 0;
        Instant raise_until{};
        [[nodiscard]] Int128 limit_at(Instant at) const {
            return at < raise_until ? limit + raise : limit;
        }
    };
    struct Sums {
        Int128 held = 0, settled = 0, corrected = 0;
        std::int64_t open = 0;
    };
    /// The budgets over a key, and whose request it is (0: nobody's in particular).
    struct Who {
        std::span<const std::size_t> budgets;
        std::size_t end_user = 0;
    };

    std::vector<Budget> budgets;

    [[nodiscard]] bool is_each(std::size_t budget) const {
        return budgets[budget].owner_kind == ledger::OwnerKind::kEndUser;
    }
    Sums& sums(std::size_t budget, std::size_t end_user, Instant at) {
        const Budget& there = budgets[budget];
        return sums_[{
            budget, is_each(budget) ? end_user : 0, period_number(there.period, there.zone, at)}];
    }
    bool fits(const Who& who, Instant at, Int128 more) {
        return holds_for(who, at, [&](const Budget& budget, const Sums& there) {
            return there.held + there.settled + there.corrected + more <= budget.limit_at(at);
        });
    }
    bool would_fit_alone(const Who& who, Instant at, Int128 more) {
        return holds_for(who, at, [&](const Budget& budget, const Sums& there) {
            return there.settled + there.corrected + more <= budget.limit_at(at);
        });
    }
    void change(const Who& who, Instant at, const Sums& by) {
        for (const std::size_t budget : who.budgets) {
            if (is_each(budget) && who.end_user == 0) continue;
            Sums& there = sums(budget, who.end_user, at);
            there.held += by.held;
            there.settled += by.settled;
            there.corrected += by.corrected;
            there.open += by.open;
        }
    }

private:
    template <typename Holds>
    bool holds_for(const Who& who, Instant at, const Holds& holds) {
        return std::ranges::all_of(who.budgets, [&](std::size_t budget) {
            return (is_each(budget) && who.end_user == 0) ||
                holds(budgets[budget], sums(budget, who.end_user, at));
        });
    }
    std::map<std::tuple<std::size_t, std::size_t, std::int64_t>, Sums> sums_;
};

/// A disk that refuses all but memory while it is on.
class Refusing final : public store::FileOps {
public:
    int before(store::Step step) override {
        if (!on) return 0;
        return step == store::Step::kSegmentAllocate ? ENOSPC : EIO;
    }
    std::atomic<bool> on{false};
};

struct Counts {
    std::uint64_t exchanges = 0, granted = 0, refused = 0, by_holds = 0, extended = 0;
    std::uint64_t extensions_refused = 0, shrunk = 0, released = 0, overdrafts = 0, repeats = 0;
    std::uint64_t corrections = 0, without_disk = 0, stops = 0, crashes = 0, unverified = 0,
                  jumps = 0;
};

class World {
public:
    World(std::uint64_t seed, std::uint64_t exchanges)
        : random_(seed),
          exchanges_(exchanges),
          folder_(fmt::format("/dev/shm/entrepot-budgets-{}", ::getpid())) {
        std::filesystem::remove_all(folder_);
        make_budgets();
        open();
        for (std::size_t slot = 0; slot < kConcurrent; ++slot) schedule(slot);
    }
    ~World() {
        books_.reset();
        std::filesystem::remove_all(folder_);
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    Counts run() {
        std::uint64_t events = 0;
        while (!queue_.empty() && !testing::Test::HasFailure()) {
            const auto [at, slot] = queue_.top();
            queue_.pop();
            steady_ = std::max(steady_, at);
            now_ = Instant{steady_ + skew_};
            step(slot);
            if (++events % std::max<std::uint64_t>(200, exchanges_ / 200) == 0) housekeeping();
            if (crash_in_ != 0 && --crash_in_ == 0) crash();
        }
        refusing_.on = false;
        if (!testing::Test::HasFailure()) {
            compare();
            EXPECT_EQ(books_->stats().open_attempts, 0) << "leaked holds";
            const store::VerifyReport report = books_->verify();
            EXPECT_TRUE(report.ok()) << report.differences.front();
            EXPECT_EQ(report.debits, Money::from_pico(spent_));
        }
        return counts_;
    }

private:
    static constexpr std::size_t kConcurrent = 1'000;
    static constexpr std::size_t kKeys = 60, kProjects = 24, kTeams = 12, kOrgs = 3;
    static constexpr std::size_t kEndUsers = 9;  ///< of each key
    enum class At : std::uint8_t { kIdle, kHeld, kOver };
    struct Slot {
        At at = At::kIdle;
        ExchangeId exchange;
        std::uint16_t attempt = 1;
        std::size_t key = 0;
        std::size_t end_user = 0;
        Instant dispatch;
        Int128 held = 0;
    };

    void make_budgets() {
        using ledger::OwnerKind;
        // So that the budgets are used up now and then, not at once.
        const Int128 scale = Int128(exchanges_ > 100'000 ? 20 : 1) * 1'000'000'000'000;
        const auto add = [&](OwnerKind kind, std::string owner, PeriodKind period, Zone zone,
                             std::int64_t dollars) {
            oracle_.budgets.push_back(
                {kind, std::move(owner), period, zone, static_cast<Int128>(dollars) * scale});
        };
        const auto period = [](std::size_t n) { return static_cast<PeriodKind>(n % 6); };
        const auto zone = [](std::size_t n) { return static_cast<Zone>(n % 3); };
        for (std::size_t n = 0; n < kKeys; ++n) {
            add(OwnerKind::kKey, fmt::format("key-{}", n), PeriodKind::kDay, zone(n), 40);
            add(OwnerKind::kKey, fmt::format("key-{}", n), period(n), Zone::kStockholm, 900);
            add(OwnerKind::kEndUser, fmt::format("key-{}", n), PeriodKind::kDay, zone(n + 1), 9);
            if (n % 4 == 0)
                add(OwnerKind::kEndUser, fmt::format("key-{}", n), period(n / 4), zone(n), 120);
        }
        for (std::size_t n = 0; n < kProjects; ++n)
            add(OwnerKind::kProject, fmt::format("project-{}", n), period(n + 1), zone(n), 700);
        for (std::size_t n = 0; n < kTeams; ++n) {
            add(OwnerKind::kTeam, fmt::format("team-{}", n), PeriodKind::kWeek, zone(n), 900);
            add(OwnerKind::kTeam, fmt::format("team-{}", n), PeriodKind::kMonth, zone(n + 1),
                3'000);
        }
        for (std::size_t n = 0; n < kOrgs; ++n) {
            add(OwnerKind::kOrg, fmt::format("org-{}", n), PeriodKind::kDay, zone(n), 400);
            add(OwnerKind::kOrg, fmt::format("org-{}", n), period(n + 2), zone(n), 60'000);
        }
        for (std::size_t key = 0; key < kKeys; ++key) {
            const PathNames names = names_of(key);
            std::vector<std::size_t> path;
            for (std::size_t b = 0; b < oracle_.budgets.size(); ++b) {
                const Oracle::Budget& budget = oracle_.budgets[b];
                const std::string& owner = budget.owner_kind == OwnerKind::kProject ? names.project
                    : budget.owner_kind == OwnerKind::kTeam                         ? names.team
                    : budget.owner_kind == OwnerKind::kOrg                          ? names.org
                                                                                    : names.key;
                if (budget.owner != owner) continue;
                // Two of one owner, period and zone are one: the lower.
                const auto same = std::ranges::find_if(path, [&](std::size_t other) {
                    const Oracle::Budget& there = oracle_.budgets[other];
                    return there.owner_kind == budget.owner_kind && there.owner == budget.owner &&
                        there.period == budget.period && there.zone == budget.zone;
                });
                if (same == path.end()) path.push_back(b);
            }
            paths_.push_back(std::move(path));
        }
    }
    struct PathNames {
        std::string key, project, team, org;
    };
    static PathNames names_of(std::size_t key) {
        const std::size_t project = key % kProjects;
        const std::size_t team = project % kTeams;
        return {fmt::format("key-{}", key), fmt::format("project-{}", project),
            fmt::format("team-{}", team), fmt::format("org-{}", team % kOrgs)};
    }
    Oracle::Who who_of(const Slot& slot) const { return {paths_[slot.key], slot.end_user}; }
    static std::string end_user_name(std::size_t end_user) {
        return fmt::format("user-{}", end_user);
    }

    void open() {
        BooksOptions options;
        options.data = folder_;
        options.segment_bytes = 4ULL << 20;
        options.journal_bytes_max = 64ULL << 20;
        options.checkpoint_interval = seconds(0);
        options.files = &refusing_;
        Result<std::unique_ptr<Books>> books = Books::open(options, now_);
        ASSERT_TRUE(books) << books.error().message;
        books_ = *std::move(books);
        configure();
        ids_.clear();
        spenders_.clear();
        for (std::size_t key = 0; key < kKeys; ++key) {
            const PathNames names = names_of(key);
            ids_.push_back(books_->path({names.key, names.team, names.project, names.org}).value());
            spenders_.push_back({books_->name(names.org).value(), books_->name(names.team).value(),
                books_->name(names.project).value(), books_->name(names.key).value()});
        }
        route_ = books_->route("model", "model/cloud", "cloud").value();
    }
    void configure() {
        std::vector<ledger::BudgetSpec> specs;
        for (const Oracle::Budget& budget : oracle_.budgets) {
            specs.push_back(
                {budget.owner_kind, budget.owner, Money::from_pico(budget.limit), budget.period,
                    TimeZone::find(kZoneNames[static_cast<std::size_t>(budget.zone)]).value(),
                    Money::from_pico(budget.raise), budget.raise_until});
        }
        const Status set = books_->set_budgets(specs);
        ASSERT_TRUE(set) << set.error().message;
    }

    void schedule(std::size_t slot) {
        queue_.emplace(steady_ + random_.between(1'000'000, 40 * kSecond), slot);
    }

    void step(std::size_t n) {
        Slot& slot = slots_[n];
        switch (slot.at) {
            case At::kIdle:
                if (counts_.exchanges == exchanges_) return;
                ++counts_.exchanges;
                slot.exchange = ExchangeId::make(now_, {random_.word(), random_.word()});
                slot.attempt = 1;
                slot.key = random_.one_in(3) ? 0 : random_.below(kKeys);
                slot.end_user = random_.one_in(4) ? 0 : 1 + random_.below(kEndUsers);
                hold(slot);
                break;
            case At::kHeld: go_on(slot); break;
            case At::kOver:
                if (slot.attempt < 3 && random_.one_in(2)) {
                    ++slot.attempt;
                    hold(slot);
                } else {
                    close(slot);
                }
                break;
        }
        schedule(n);
    }

    void hold(Slot& slot) {
        ledger::HoldRequest request;
        request.exchange = slot.exchange;
        request.attempt = slot.attempt;
        request.path = ids_[slot.key];
        request.route = route_;
        slot.dispatch = request.dispatch = now_;
        slot.held = random_.between(0, 900'000'000'000);
        request.amount = Money::from_pico(slot.held);
        if (slot.end_user != 0) {
            const auto name =
                books_->scoped_name(spenders_[slot.key].key, end_user_name(slot.end_user));
            if (!name) {
                EXPECT_EQ(name.error().code, ErrorCode::kJournalFull);
                ++counts_.without_disk;
                finish(slot);
                return;
            }
            request.end_user = *name;
        }
        const bool fits = oracle_.fits(who_of(slot), now_, slot.held);
        ledger::Refusal refusal;
        const auto ticket = books_->hold(request, &refusal);
        // Without a disk: no room in the journal, or a period of long ago that cannot be read back.
        if (!ticket &&
            (ticket.error().code == ErrorCode::kJournalFull || is_without_disk(ticket))) {
            ++counts_.without_disk;
            finish(slot);
            return;
        }
        if (ticket.has_value() != fits) {
            ADD_FAILURE() << "the oracle " << (fits ? "grants" : "refuses") << " what the books "
                          << (fits ? "refuse: " + ticket.error().message : "grant");
            return;
        }
        if (ticket) {
            ++counts_.granted;
            oracle_.change(who_of(slot), now_, {.held = slot.held, .open = 1});
            slot.at = At::kHeld;
            if (random_.one_in(50)) {
                const auto again = books_->hold(request);
                EXPECT_TRUE(again && again->repeated);
                ++counts_.repeats;
            }
            return;
        }
        ++counts_.refused;
        EXPECT_EQ(ticket.error().code, ErrorCode::kInsufficientBalance);
        const bool alone = oracle_.would_fit_alone(who_of(slot), now_, slot.held);
        EXPECT_EQ(refusal.only_holds, alone);
        counts_.by_holds += alone ? 1 : 0;
        finish(slot);
    }
    bool is_without_disk(const Result<ledger::HoldTicket>& ticket) const {
        return ticket.error().code == ErrorCode::kIo && refusing_.on;
    }
    void finish(Slot& slot) {
        if (slot.attempt > 1)
            slot.at = At::kOver, slot.attempt = 3;
        else
            slot.at = At::kIdle;
    }

    void go_on(Slot& slot) {
        const Oracle::Who path = who_of(slot);
        const std::uint64_t choice = random_.below(20);
        if (choice < 3) {
            const Int128 more = random_.between(1, 500'000'000'000);
            const bool fits = oracle_.fits(path, slot.dispatch, more);
            const auto ticket =
                books_->extend(slot.exchange, slot.attempt, Money::from_pico(slot.held + more));
            if (!ticket && ticket.error().code == ErrorCode::kJournalFull) return;
            EXPECT_EQ(ticket.has_value(), fits) << "an extension";
            ++(fits ? counts_.extended : counts_.extensions_refused);
            if (!fits) return;
            oracle_.change(path, slot.dispatch, {.held = more});
            slot.held += more;
        } else if (choice < 7) {
            const Int128 less = slot.held / 3;
            if (!books_->shrink(slot.exchange, slot.attempt, Money::from_pico(less))) return;
            ++counts_.shrunk;
            oracle_.change(path, slot.dispatch, {.held = less - slot.held});
            slot.held = less;
        } else if (choice < 10) {
            EXPECT_TRUE(books_->release(
                slot.exchange, slot.attempt, now_, 429, ErrorCode::kUpstreamRateLimited));
            ++counts_.released;
            oracle_.change(path, slot.dispatch, {.held = -slot.held, .open = -1});
            slot.at = At::kOver;
        } else {
            settle(slot);
        }
    }

    void settle(Slot& slot) {
        ledger::SettleRequest request;
        const bool over = random_.one_in(100);
        const Int128 cost = over ? slot.held + random_.between(1, 1'000'000'000'000)
                                 : slot.held * random_.between(0, 1'000) / 1'000;
        request.cost = request.list_cost = Money::from_pico(cost);
        request.usage[canon::Meter::kOutput] = random_.between(0, 1'000);
        request.flags = random_.one_in(8) ? ledger::settle_flag::kClientGone : 0;
        request.at = now_;
        const auto posting = books_->settle(slot.exchange, slot.attempt, request);
        ASSERT_TRUE(posting) << posting.error().message;
        EXPECT_EQ(
            posting->overdraft, Money::from_pico(cost > slot.held ? cost - slot.held : Int128(0)));
        counts_.overdrafts += over ? 1 : 0;
        spent_ += cost;
        oracle_.change(
            who_of(slot), slot.dispatch, {.held = -slot.held, .settled = cost, .open = -1});
        slot.at = At::kOver;
        if (random_.one_in(50)) {
            const auto again = books_->settle(slot.exchange, slot.attempt, request);
            EXPECT_TRUE(again && again->repeated && again->cost == posting->cost);
            ++counts_.repeats;
        }
        slot.attempt = 3;
    }

    void close(Slot& slot) {
        ledger::ExchangeClose facts;
        facts.exchange = slot.exchange;
        facts.at = now_;
        facts.status = 200;
        const Status closed = books_->close(facts);
        ASSERT_TRUE(closed) << closed.error().message;
        slot.at = At::kIdle;
    }

    /// A late rate or a supplier's credit: no limit stops it, and it counts in what is open now.
    void correct() {
        Slot whose;
        whose.key = random_.below(kKeys);
        whose.end_user = random_.one_in(2) ? 0 : 1 + random_.below(kEndUsers);
        ledger::AdjustRequest request;
        request.id = ExchangeId::make(now_, {random_.word(), random_.word()});
        request.at = now_;
        request.spender = spenders_[whose.key];
        request.route = route_;
        const Int128 cost = random_.between(-400'000'000'000, 400'000'000'000);
        request.cost = request.list_cost = Money::from_pico(cost);
        if (whose.end_user != 0) {
            const auto name =
                books_->scoped_name(request.spender.key, end_user_name(whose.end_user));
            if (!name) return;
            request.spender.end_user = *name;
        }
        const auto posted = books_->adjust(request);
        if (!posted) {
            // Without a disk, as for a hold.
            EXPECT_TRUE(posted.error().code == ErrorCode::kJournalFull ||
                (posted.error().code == ErrorCode::kIo && refusing_.on))
                << posted.error().message;
            return;
        }
        EXPECT_TRUE(*posted);
        ++counts_.corrections;
        spent_ += cost;
        oracle_.change(who_of(whose), now_, {.corrected = cost});
        if (random_.one_in(5)) {
            const auto again = books_->adjust(request);
            EXPECT_TRUE(again && !*again) << "posted twice";
            ++counts_.repeats;
        }
    }

    void housekeeping() {
        correct();
        refusing_.on = random_.one_in(6);
        books_->tick(now_);
        if (random_.one_in(10)) {
            // The clock is set: forward by weeks, back by days.
            skew_ +=
                (random_.one_in(3) ? -random_.between(1, 3 * kDay) : random_.between(1, 6 * kDay)) *
                kSecond;
            ++counts_.jumps;
        }
        if (random_.one_in(12)) {
            for (Oracle::Budget& budget : oracle_.budgets)
                if (random_.one_in(10)) budget.limit = budget.limit * random_.between(8, 13) / 10;
            for (Oracle::Budget& budget : oracle_.budgets)
                if (random_.one_in(20)) {
                    budget.raise = budget.limit * random_.between(1, 5) / 10;
                    budget.raise_until =
                        Instant{now_.ns + random_.between(kSecond, 2 * kDay * kSecond)};
                }
            refusing_.on = false;
            configure_when_there_is_room();
        }
        if (random_.one_in(25)) stop();
        if (crash_in_ == 0 && random_.one_in(25)) {
            // What is on disk is copied while nothing writes it: some events after a checkpoint.
            refusing_.on = false;
            for (int tries = 0; tries < 100 && !books_->checkpoint(); ++tries) {
            }
            crash_in_ = random_.below(exchanges_ / 250) + 1;
        }
    }
    void configure_when_there_is_room() {
        for (int tries = 0; tries < 100 && !books_->checkpoint(); ++tries) {
        }
        configure();
    }
    void end_open() {
        for (Slot& slot : slots_) {
            if (slot.at == At::kHeld) {
                ++counts_.unverified;
                spent_ += slot.held;
                oracle_.change(who_of(slot), slot.dispatch,
                    {.held = -slot.held, .settled = slot.held, .open = -1});
            }
            slot.at = At::kIdle;
        }
    }
    void stop() {
        refusing_.on = false;
        ++counts_.stops;
        crash_in_ = 0;
        books_.reset();
        open();
        end_open();
        compare();
    }
    void crash() {
        refusing_.on = false;
        ++counts_.crashes;
        const auto left = read_folder_at_rest(folder_);
        books_.reset();
        write_folder(folder_, left);
        open();
        end_open();
        compare();
    }
    /// Every budget of now, to the last pico-unit.
    void compare() {
        std::size_t found = 0;
        for (const store::BudgetStanding& there : books_->budgets(now_)) {
            for (std::size_t b = 0; b < oracle_.budgets.size(); ++b) {
                const Oracle::Budget& budget = oracle_.budgets[b];
                if (budget.owner_kind != there.owner_kind || budget.owner != there.owner ||
                    budget.period != there.period_kind ||
                    kZoneNames[static_cast<std::size_t>(budget.zone)] != there.zone)
                    continue;
                std::size_t end_user = 0;
                while (oracle_.is_each(b) && end_user_name(++end_user) != there.end_user) {
                    ASSERT_LT(end_user, kEndUsers) << there.end_user;
                }
                const Oracle::Sums sums = oracle_.sums(b, end_user, now_);
                EXPECT_EQ(there.settled, Money::from_pico(sums.settled + sums.corrected))
                    << there.owner << " " << there.end_user;
                EXPECT_EQ(there.held, Money::from_pico(sums.held)) << there.owner;
                EXPECT_EQ(there.open_holds, static_cast<std::uint64_t>(sums.open));
                EXPECT_EQ(there.limit, Money::from_pico(budget.limit_at(now_))) << there.owner;
                found += oracle_.is_each(b) ? 0 : 1;
                break;
            }
        }
        const auto shared = std::ranges::count_if(oracle_.budgets,
            [](const auto& budget) { return budget.owner_kind != ledger::OwnerKind::kEndUser; });
        EXPECT_GE(found, static_cast<std::size_t>(shared) - kKeys / 6);
    }

    Random random_;
    const std::uint64_t exchanges_;
    const std::filesystem::path folder_;
    Refusing refusing_;
    Oracle oracle_;
    std::vector<std::vector<std::size_t>> paths_;
    std::unique_ptr<Books> books_;
    std::vector<ledger::PathId> ids_;
    std::vector<ledger::Spender> spenders_;  ///< without end users
    ledger::Route route_;
    std::vector<Slot> slots_ = std::vector<Slot>(kConcurrent);
    using Event = std::pair<std::int64_t, std::size_t>;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
    std::int64_t steady_ = 1'763'900'000'000'000'000;
    std::int64_t skew_ = 0;
    Instant now_{1'763'900'000'000'000'000};
    std::uint64_t crash_in_ = 0;
    Int128 spent_ = 0;
    Counts counts_;
};

TEST(Budgets, GrantAndRefuseAsASingleLedgerDoes) {
    const std::uint64_t seed = seed_of("budgets");
    const auto began = std::chrono::steady_clock::now();
    World world(seed, is_full() ? 1'000'000 : 10'000);
    const Counts c = world.run();
    const auto took =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - began);
    fmt::print(
        "budgets: {} exchanges, {} holds granted, {} refused ({} by holds alone), {} and {} "
        "extensions, {} shrunk, {} released, {} overdrafts, {} repeats, {} corrections, {} refused "
        "without a disk, "
        "{} stops, {} crashes, {} settled unverified, {} clock jumps; {} ms\n",
        c.exchanges, c.granted, c.refused, c.by_holds, c.extended, c.extensions_refused, c.shrunk,
        c.released, c.overdrafts, c.repeats, c.corrections, c.without_disk, c.stops, c.crashes,
        c.unverified, c.jumps, took.count());
    EXPECT_GT(c.refused, c.exchanges / 100);
    EXPECT_GT(c.granted, c.exchanges / 10);
}

}  // namespace
}  // namespace entrepot::rig
