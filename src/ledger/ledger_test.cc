// The ledger against a naive oracle, against its own records, and against a second reading of them.
// The rules of money themselves are scripts in tests/scenario.
#include "ledger/ledger.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <cstdlib>
#include <random>

#include "ledger/audit.h"

namespace entrepot::ledger {
namespace {

constexpr std::int64_t kHourNs = 3'600'000'000'000;

/// Keeps the records in memory; refuses those that begin something while `full`.
class MemoryLog final : public Log {
public:
    Result<std::uint64_t> append(
        std::string_view payload, LogClass log_class, std::size_t) override {
        if (full && log_class == LogClass::kBegin) return fail(ErrorCode::kJournalFull, "full");
        records.emplace_back(payload);
        return records.size();
    }
    Result<std::optional<Account>> recall(
        std::uint32_t budget, NameId end_user, Instant begin) override {
        for (const auto& [id, account] : saved) {
            if (account.budget == budget && account.end_user == end_user &&
                account.period.begin == begin)
                return std::optional<Account>(account);
        }
        return std::optional<Account>();
    }
    Result<std::optional<Account>> recall(AccountId id) override {
        const auto found = saved.find(id);
        return found == saved.end() ? std::optional<Account>()
                                    : std::optional<Account>(found->second);
    }
    std::vector<std::string> records;
    std::map<AccountId, Account> saved;
    bool full = false;
};

Money cents(std::int64_t amount) {
    return Money::from_pico(static_cast<Int128>(amount) * 10'000'000'000);
}

/// One period of one budget; of a budget that each end user has, also whose.
using Place = std::tuple<std::size_t, std::int64_t, std::string>;
/// Names by OwnerKind; last the end user.
using Who = std::array<std::string, kOwnerKindCount>;

/// What a reader would write on paper: every hold with its budgets, sums made afresh for every
/// question.
struct Oracle {
    struct Hold {
        Money amount, cost;
        int state = 0;  // held, settled, released
        bool bounded = true;
        std::vector<Place> places;
        Instant dispatch;
    };
    std::vector<BudgetSpec> budgets;
    std::map<std::pair<ExchangeId, std::uint16_t>, Hold> holds;
    std::vector<Hold> past;  // closed, and corrections

    [[nodiscard]] Money used(const Place& place, bool with_holds) const {
        Money sum;
        const auto add = [&](const Hold& hold) {
            if (std::ranges::find(hold.places, place) == hold.places.end()) return;
            if (hold.state == 0 && with_holds) sum += hold.amount;
            if (hold.state == 1) sum += hold.cost;
        };
        for (const auto& [id, hold] : holds) add(hold);
        for (const Hold& hold : past) add(hold);
        return sum;
    }
    [[nodiscard]] std::vector<Place> places(const Who& who, Instant at) const {
        std::vector<Place> all;
        for (std::size_t i = 0; i < budgets.size(); ++i) {
            const bool is_own = budgets[i].owner_kind == OwnerKind::kEndUser;
            const auto kind = is_own ? OwnerKind::kKey : budgets[i].owner_kind;
            if (who[static_cast<std::size_t>(kind)] != budgets[i].owner) continue;
            if (is_own && who.back().empty()) continue;
            all.emplace_back(i, budgets[i].zone.period_of(budgets[i].period, at).begin.ns,
                is_own ? who.back() : "");
        }
        return all;
    }
    [[nodiscard]] bool has_room(const std::vector<Place>& at, Money asked, Instant dispatch) const {
        return std::ranges::all_of(at, [&](const Place& place) {
            const BudgetSpec& spec = budgets[std::get<0>(place)];
            const Money limit = dispatch < spec.raise_until ? spec.limit + spec.raise : spec.limit;
            return used(place, true) + asked <= limit;
        });
    }
};

/// Of AgreesWithPaperOnRandomCalls; the clock of a race begins here.
constexpr Instant kRaceStart{1'763'900'000'000'000'000};

std::vector<BudgetSpec> some_budgets() {
    const auto zone = [](const char* name) { return TimeZone::find(name).value(); };
    return {{OwnerKind::kKey, "k0", cents(500), PeriodKind::kDay, zone("Europe/Stockholm")},
        {OwnerKind::kKey, "k1", cents(800), PeriodKind::kDay, zone("America/New_York")},
        {OwnerKind::kKey, "k1", cents(2'500), PeriodKind::kWeek, zone("UTC")},
        {OwnerKind::kTeam, "t0", cents(1'500), PeriodKind::kDay, zone("Asia/Kolkata")},
        {OwnerKind::kOrg, "o0", cents(6'000), PeriodKind::kMonth, zone("Europe/Stockholm")},
        {OwnerKind::kOrg, "o0", cents(40'000), PeriodKind::kTotal, zone("UTC")},
        {OwnerKind::kProject, "p0", cents(900), PeriodKind::kDay, zone("UTC"), cents(300),
            kRaceStart + nanoseconds(80 * kHourNs)},
        {OwnerKind::kEndUser, "k1", cents(450), PeriodKind::kDay, zone("UTC")},
        {OwnerKind::kEndUser, "k3", cents(700), PeriodKind::kMonth, zone("America/New_York")}};
}

std::uint64_t seed_of_the_day() {
    if (const char* const given = std::getenv("ENTREPOT_SEED"))
        return std::strtoull(given, nullptr, 10);
    return std::random_device{}();
}

/// Random calls to a ledger and to the oracle, which must agree on every answer.
class Race {
public:
    explicit Race(std::uint64_t seed) : random_(seed) {
        oracle_.budgets = some_budgets();
        EXPECT_TRUE(ledger_.set_budgets(oracle_.budgets));
        for (const Who& who : paths_) {
            handles_.push_back(ledger_.path({who[0], who[1], who[3], who[2]}).value());
            end_users_.push_back(who.back().empty()
                    ? NameId::kNone
                    : ledger_.scoped_name(ledger_.name(who[0]).value(), who.back()).value());
        }
        route_ = {
            ledger_.name("m").value(), ledger_.name("m/a").value(), ledger_.name("a").value()};
    }
    void step() {
        now_.ns += static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(kHourNs));
        const auto choice = random_() % 100;
        if (choice < 40 || oracle_.holds.empty()) return hold();
        if (choice < 65) return settle();
        if (choice < 75) return release();
        if (choice < 85) return resize();
        if (choice < 88) return adjust();
        close();
    }
    void check() {
        const std::vector<std::string> wrong = ledger_.verify();
        ASSERT_TRUE(wrong.empty()) << wrong.front();
        ASSERT_EQ(ledger_.debits(), ledger_.credits());
        for (const Ledger::Standing& standing : ledger_.budgets(now_)) {
            for (std::size_t i = 0; i < oracle_.budgets.size(); ++i) {
                const BudgetSpec& spec = oracle_.budgets[i];
                if (spec.owner != ledger_.name_of(standing.budget->owner) ||
                    spec.owner_kind != standing.budget->owner_kind ||
                    spec.period != standing.budget->period)
                    continue;
                const Place place(i, standing.period.begin.ns, ledger_.name_of(standing.end_user));
                ASSERT_EQ(standing.settled + standing.held, oracle_.used(place, true));
                ASSERT_EQ(standing.settled, oracle_.used(place, false));
            }
        }
    }
    MemoryLog log_;
    Ledger ledger_{log_};

private:
    using Held = std::map<std::pair<ExchangeId, std::uint16_t>, Oracle::Hold>::iterator;
    Money amount(std::int64_t cents_max) {
        return cents(
            static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(cents_max + 1)));
    }
    Held pick() {
        return std::next(
            oracle_.holds.begin(), static_cast<std::ptrdiff_t>(random_() % oracle_.holds.size()));
    }

    void hold() {
        HoldRequest request;
        request.exchange = ExchangeId::make(now_, {++made_, made_});
        if (random_() % 4 == 0 && !open_.empty())
            request.exchange = open_[random_() % open_.size()];
        while (oracle_.holds.contains({request.exchange, request.attempt})) ++request.attempt;
        const std::size_t path = random_() % paths_.size();
        request.path = handles_[path];
        request.route = route_;
        request.dispatch = now_ - nanoseconds(static_cast<std::int64_t>(random_() % 5) * kHourNs);
        request.end_user = end_users_[path];
        const std::vector<Place> places = oracle_.places(paths_[path], request.dispatch);
        if (random_() % 20 != 0) request.amount = amount(400);
        Refusal refusal;
        const Result<HoldTicket> ticket = ledger_.hold(request, &refusal);
        if (!request.amount && !places.empty()) {
            ASSERT_EQ(ticket.error().code, ErrorCode::kUnbounded);
            return;
        }
        const Money asked = request.amount.value_or(Money());
        ASSERT_EQ(ticket.has_value(), oracle_.has_room(places, asked, request.dispatch));
        if (!ticket) {
            ASSERT_EQ(ticket.error().code, ErrorCode::kInsufficientBalance);
            ASSERT_LT(refusal.available, asked);
            ASSERT_EQ(refusal.available, refusal.limit - refusal.settled - refusal.held);
            return;
        }
        oracle_.holds[{request.exchange, request.attempt}] = {
            asked, Money(), 0, request.amount.has_value(), places, request.dispatch};
        open_.push_back(request.exchange);
        ASSERT_TRUE(ledger_.hold(request, nullptr).value().repeated);
    }
    void settle() {
        const Held at = pick();
        SettleRequest request;
        request.cost = at->second.state == 1 && random_() % 2 == 0 ? at->second.cost : amount(450);
        request.at = now_;
        const Result<Posting> posting = ledger_.settle(at->first.first, at->first.second, request);
        if (at->second.state == 2 || (at->second.state == 1 && at->second.cost != request.cost)) {
            ASSERT_EQ(posting.error().code, ErrorCode::kSettleConflict);
            return;
        }
        ASSERT_TRUE(posting);
        ASSERT_EQ(posting->repeated, at->second.state == 1);
        const Money beyond = request.cost - at->second.amount;
        ASSERT_EQ(
            posting->overdraft, at->second.bounded && !beyond.is_negative() ? beyond : Money());
        at->second.state = 1;
        at->second.cost = request.cost;
    }
    void release() {
        const Held at = pick();
        const Status released = ledger_.release({at->first.first, at->first.second, 0, 0, now_});
        ASSERT_EQ(released.has_value(), at->second.state != 1);
        if (released) at->second.state = 2;
    }
    void resize() {
        const Held at = pick();
        const Money to = amount(450);
        const bool up = to > at->second.amount;
        const bool changeable = at->second.state == 0 && at->second.bounded;
        const bool fits = changeable &&
            oracle_.has_room(at->second.places, to - at->second.amount, at->second.dispatch);
        const bool done = up
            ? ledger_.extend(at->first.first, at->first.second, to, nullptr).has_value()
            : ledger_.shrink(at->first.first, at->first.second, to).has_value();
        ASSERT_EQ(done, up ? fits : changeable);
        if (done) at->second.amount = to;
    }
    void close() {
        if (open_.empty()) return;
        const ExchangeId id = open_[random_() % open_.size()];
        ExchangeClose facts;
        facts.exchange = id;
        facts.at = now_;
        bool busy = false;
        for (const auto& [key, hold] : oracle_.holds)
            busy = busy || (key.first == id && hold.state == 0);
        ASSERT_EQ(ledger_.close(facts).has_value(), !busy);
        if (busy) return;
        std::erase(open_, id);
        // What is closed stays in the sums, under a name nobody picks.
        for (auto at = oracle_.holds.begin(); at != oracle_.holds.end();) {
            if (at->first.first != id) {
                ++at;
                continue;
            }
            oracle_.past.push_back(at->second);
            at = oracle_.holds.erase(at);
        }
    }

    // A correction may be of either sign, is never refused, and counts once.
    void adjust() {
        const std::size_t path = random_() % paths_.size();
        AdjustRequest request;
        request.id = ExchangeId::make(now_, {++made_, made_});
        request.at = now_;
        const Who& who = paths_[path];
        const auto name = [&](std::size_t at) {
            return who[at].empty() ? NameId::kNone : ledger_.name(who[at]).value();
        };
        request.spender = {name(2), name(1), name(3), name(0), end_users_[path], NameId::kNone};
        request.route = route_;
        request.cost = request.list_cost = amount(300) - amount(300);
        request.reason = ledger_.name("rate").value();
        ASSERT_TRUE(ledger_.adjust(request).value());
        ASSERT_FALSE(ledger_.adjust(request).value());
        oracle_.past.push_back({Money(), request.cost, 1, true, oracle_.places(who, now_), now_});
        request.cost += cents(1);
        ASSERT_EQ(ledger_.adjust(request).error().code, ErrorCode::kSettleConflict);
    }

    std::mt19937_64 random_;
    Oracle oracle_;
    const std::vector<Who> paths_{{"k0", "t0", "o0", "", ""}, {"k1", "t0", "o0", "p0", ""},
        {"k1", "t0", "o0", "p0", "ann"}, {"k1", "t0", "o0", "p0", "bob"},
        {"k2", "t1", "o0", "", "ann"}, {"k3", "t1", "o1", "", "ann"}};
    std::vector<NameId> end_users_;
    std::vector<PathId> handles_;
    Route route_;
    std::vector<ExchangeId> open_;
    std::uint64_t made_ = 0;
    Instant now_ = kRaceStart;
};

// Every answer as on paper; the same records give the same state; a second reading of them the same
// sums.
TEST(Ledger, AgreesWithPaperOnRandomCalls) {
    const std::uint64_t first = seed_of_the_day();
    for (std::uint64_t seed = first; seed < first + 30; ++seed) {
        SCOPED_TRACE(fmt::format("ENTREPOT_SEED={}", seed));
        Race race(seed);
        for (int i = 0; i < 400; ++i) {
            race.step();
            if (testing::Test::HasFatalFailure()) return;
            if (i % 20 == 0) race.check();
            if (testing::Test::HasFatalFailure()) return;
        }
        MemoryLog unused;
        Ledger replayed(unused);
        Audit audit;
        for (const std::string& record : race.log_.records) {
            ASSERT_TRUE(replayed.apply(record));
            ASSERT_TRUE(audit.read(record));
        }
        ASSERT_EQ(replayed.dump(), race.ledger_.dump());
        ASSERT_TRUE(audit.differences().empty()) << audit.differences().front();
        for (const Account& account : race.ledger_.accounts()) {
            const Audit::Sums sums{account.held, account.settled, account.overdraft, account.open};
            ASSERT_EQ(audit.accounts().at(account.id), sums);
        }
        ASSERT_EQ(audit.open_attempts(), race.ledger_.open_attempts());
    }
}

// A checkpoint at any moment and the records after it are the same as all the records.
TEST(Ledger, FromACheckpointAndTheRestIsTheSameState) {
    const std::uint64_t seed = seed_of_the_day();
    SCOPED_TRACE(fmt::format("ENTREPOT_SEED={}", seed));
    Race race(seed);
    Changes whole;
    std::map<AccountId, Account> accounts;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 50; ++i) race.step();
        Changes changes = race.ledger_.take_changes(Instant{INT64_MIN});
        whole.names.insert(whole.names.end(), changes.names.begin(), changes.names.end());
        whole.budgets.insert(whole.budgets.end(), changes.budgets.begin(), changes.budgets.end());
        for (const Account& account : changes.accounts) accounts[account.id] = account;
        whole.accounts.clear();
        for (const auto& [id, account] : accounts) whole.accounts.push_back(account);
        whole.balances = race.ledger_.balances();
        whole.adjustments.insert(
            whole.adjustments.end(), changes.adjustments.begin(), changes.adjustments.end());
        whole.attempts = changes.attempts;
        whole.accounts_made = changes.accounts_made;
        whole.horizon = changes.horizon;
        MemoryLog unused;
        Ledger loaded(unused);
        ASSERT_TRUE(loaded.load(whole));
        ASSERT_EQ(loaded.dump(), race.ledger_.dump());
        ASSERT_TRUE(loaded.verify().empty());
    }
}

TEST(Ledger, ThatCannotWriteChangesNothing) {
    MemoryLog log;
    Ledger ledger(log);
    ASSERT_TRUE(ledger.set_budgets(some_budgets()));
    HoldRequest request;
    request.exchange = ExchangeId::make(Instant{kHourNs}, {1, 1});
    request.path = ledger.path({"k0", "t0", {}, "o0"}).value();
    request.amount = cents(100);
    request.dispatch = Instant{kHourNs};
    ASSERT_TRUE(ledger.hold(request, nullptr));
    log.full = true;
    const std::string before = ledger.dump();
    request.attempt = 2;
    EXPECT_EQ(ledger.hold(request, nullptr).error().code, ErrorCode::kJournalFull);
    EXPECT_EQ(ledger.extend(request.exchange, 1, cents(200), nullptr).error().code,
        ErrorCode::kJournalFull);
    EXPECT_EQ(ledger.name("new").error().code, ErrorCode::kJournalFull);
    EXPECT_EQ(ledger.dump(), before);
    SettleRequest settle;
    settle.cost = cents(1);
    EXPECT_TRUE(ledger.settle(request.exchange, 1, settle)) << "room is kept for what ends";
}

TEST(Ledger, RefusesARecordThatDoesNotFollow) {
    MemoryLog log;
    Ledger ledger(log);
    const auto refused = [&ledger](const auto& record) {
        EncodedRecord encoded;
        encode(record, encoded);
        const Status applied = ledger.apply(encoded.view());
        return !applied && applied.error().code == ErrorCode::kJournalCorrupt;
    };
    const ExchangeId id = ExchangeId::make(Instant{kHourNs}, {1, 1});
    EXPECT_TRUE(refused(NameRecord{static_cast<NameId>(2), "out of order"}));
    EXPECT_TRUE(refused(SettleRecord{id, 1, {}}));
    EXPECT_TRUE(refused(ReleaseRecord{id, 1, 0, 0, {}}));
    EXPECT_TRUE(refused(ResizeRecord{id, 1, cents(1)}));
    EXPECT_TRUE(refused(AccountRecord{static_cast<AccountId>(1), 1, {{0}, {1}}}));
    HoldRecord hold;
    hold.exchange = id;
    EXPECT_FALSE(refused(hold));
    EXPECT_TRUE(refused(hold)) << "twice";
    EXPECT_TRUE(refused(CloseRecord{{.exchange = id}})) << "over an open hold";
    hold.attempt = 2;
    hold.bounded = true;
    hold.account_count = 1;
    hold.accounts[0] = static_cast<AccountId>(5);
    EXPECT_TRUE(refused(hold)) << "in an account that is not there";
}

TEST(Ledger, BooksASuppliersWildClaimWithinItsRange) {
    MemoryLog log;
    Ledger ledger(log);
    HoldRequest request;
    request.exchange = ExchangeId::make(Instant{kHourNs}, {1, 1});
    request.path = ledger.path({.key = "k"}).value();
    request.dispatch = Instant{kHourNs};
    ASSERT_TRUE(ledger.hold(request, nullptr));
    SettleRequest settle;
    settle.usage.counts.fill(INT64_MAX);
    settle.usage[canon::Meter::kInput] = -5;
    ASSERT_TRUE(ledger.settle(request.exchange, 1, settle));
    EXPECT_EQ(ledger.find(request.exchange, 1)->settled.usage[canon::Meter::kOutput], kCountMax);
    EXPECT_EQ(ledger.find(request.exchange, 1)->settled.usage[canon::Meter::kInput], 0);
    EXPECT_TRUE(ledger.settle(request.exchange, 1, settle).value().repeated);
}

}  // namespace
}  // namespace entrepot::ledger
