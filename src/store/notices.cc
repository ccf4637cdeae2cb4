#include "store/notices.h"

#include <fmt/format.h>

#include <unordered_map>

#include "crypto/hash.h"
#include "store/sqlite.h"

namespace entrepot::store {
namespace {

constexpr seconds kLateMax{24 * 3600};  ///< an ended period is looked at for so long

constexpr const char* kSchema = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS notices(budget TEXT NOT NULL, begin_ns INTEGER NOT NULL,
    share INTEGER NOT NULL, end_ns INTEGER NOT NULL, id TEXT NOT NULL, webhook TEXT NOT NULL,
    body TEXT NOT NULL, noted_ns INTEGER NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL,
    next_ns INTEGER NOT NULL, trouble TEXT NOT NULL,
    PRIMARY KEY(budget, begin_ns, share)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS notices_due ON notices(state, webhook, noted_ns);
INSERT OR IGNORE INTO meta VALUES('installation', abs(random() / 2));
COMMIT;
)sql";

std::int64_t number_of(NoticeState state) { return static_cast<std::int64_t>(state); }

// The newest two periods of a budget: the present one, and the one that may just have ended.
constexpr std::string_view kPeriods =
    "SELECT a.begin_ns,a.end_ns,b.limit_pico,a.settled_pico,a.held_pico,b.raise_pico,"
    "b.raise_until_ns FROM budgets b JOIN accounts a ON a.budget=b.id WHERE b.id=? "
    "ORDER BY a.begin_ns DESC LIMIT 2";

Result<BudgetPeriod> read_period(const Statement& row, Instant now) {
    BudgetPeriod read;
    read.period = {{row.number(0)}, {row.number(1)}};
    ENTREPOT_TRY(read.limit, row.money(2));
    ENTREPOT_TRY(read.settled, row.money(3));
    ENTREPOT_TRY(read.held, row.money(4));
    ENTREPOT_TRY(const Money raise, row.money(5));
    if (now < Instant{row.number(6)}) read.limit += raise;
    return read;
}

bool has_reached(const BudgetPeriod& at, std::int64_t share) {
    // A budget of nothing refuses everything: there is no share of it to reach. Amounts are below
    // 2^120, so a hundred times as much fits.
    return at.limit.pico() > 0 && at.settled.pico() * 100 >= at.limit.pico() * share;
}

}  // namespace

std::string WatchedBudget::name() const {
    return fmt::format(
        "{}/{}/{}/{}", ledger::owner_kind_name(owner_kind), owner, period_kind_name(period), zone);
}

struct NoticeStore::Impl {
    Database database;
    std::int64_t installation = 0;
    std::int64_t version = -1;
    std::vector<WatchedBudget> watched;
    std::vector<std::int64_t> ids;  ///< of the watched in the books; 0: not there yet
    std::int64_t ids_up_to = -1;    ///< the newest budget that the search for them has seen

    [[nodiscard]] Result<std::int64_t> number(const char* sql) const {
        ENTREPOT_TRY(Statement query, database.prepare(sql));
        ENTREPOT_TRY(const bool row, query.step());
        return row ? query.number(0) : 0;
    }
    [[nodiscard]] Status find_ids();
    [[nodiscard]] Result<bool> is_noted(
        const WatchedBudget& budget, Instant begin, std::int64_t share) const;
    [[nodiscard]] std::string id_of(
        const std::string& budget, Instant begin, std::int64_t share) const;
};

// One reading of all budgets whenever new ones came and some watched one is not known yet.
Status NoticeStore::Impl::find_ids() {
    if (std::ranges::find(ids, 0) == ids.end()) return {};
    ENTREPOT_TRY(const std::int64_t newest, number("SELECT coalesce(max(id),0) FROM budgets"));
    if (newest == ids_up_to) return {};
    std::unordered_map<std::string, std::size_t> wanted;
    for (std::size_t i = 0; i < watched.size(); ++i)
        if (ids[i] == 0) wanted.emplace(watched[i].name(), i);
    ENTREPOT_TRY(Statement query,
        database.prepare(
            "SELECT b.id,b.owner_kind,o.name,b.period,z.name FROM budgets b JOIN names "
            "o ON o.id=b.owner JOIN names z ON z.id=b.zone"));
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) break;
        WatchedBudget budget;
        budget.owner_kind = static_cast<ledger::OwnerKind>(query.number(1));
        budget.owner = query.text(2);
        budget.period = static_cast<PeriodKind>(query.number(3));
        budget.zone = query.text(4);
        if (const auto found = wanted.find(budget.name()); found != wanted.end())
            ids[found->second] = query.number(0);
    }
    ids_up_to = newest;
    return {};
}

Result<bool> NoticeStore::Impl::is_noted(
    const WatchedBudget& budget, Instant begin, std::int64_t share) const {
    ENTREPOT_TRY(Statement query,
        database.prepare("SELECT 1 FROM notices WHERE budget=? AND begin_ns=? AND share=?"));
    const std::string name = budget.name();
    query.bind(std::string_view(name)).bind(begin.ns).bind(share);
    return query.step();
}

// From what it is about, so that one sent before a power cut and noted again after it is one.
std::string NoticeStore::Impl::id_of(
    const std::string& budget, Instant begin, std::int64_t share) const {
    const std::string text = fmt::format("{}\n{}\n{}\n{}", installation, budget, begin.ns, share);
    return "ntc_" + crypto::hex(crypto::sha256(text)).substr(0, 32);
}

NoticeStore::NoticeStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NoticeStore::~NoticeStore() = default;

Result<std::unique_ptr<NoticeStore>> NoticeStore::open(const std::filesystem::path& data) {
    ENTREPOT_TRY(
        Database database, Database::open(database_path(data), Database::Mode::kReadWrite));
    ENTREPOT_TRY_DO(make_schema(database));
    ENTREPOT_TRY_DO(database.execute(kSchema));
    auto impl = std::make_unique<Impl>(std::move(database));
    ENTREPOT_TRY(
        impl->installation, impl->number("SELECT value FROM meta WHERE name='installation'"));
    return std::unique_ptr<NoticeStore>(new NoticeStore(std::move(impl)));
}

Status NoticeStore::watch(std::vector<WatchedBudget> budgets) {
    impl_->watched = std::move(budgets);
    impl_->ids.assign(impl_->watched.size(), 0);
    impl_->ids_up_to = -1;
    impl_->version = -1;
    return impl_->find_ids();
}

Result<bool> NoticeStore::has_changed() {
    ENTREPOT_TRY(const std::int64_t version, impl_->number("PRAGMA data_version"));
    return std::exchange(impl_->version, version) != version;
}

Result<std::vector<Crossing>> NoticeStore::crossings(Instant now) {
    ENTREPOT_TRY_DO(impl_->find_ids());
    std::vector<Crossing> found;
    ENTREPOT_TRY(Statement periods, impl_->database.prepare(kPeriods));
    for (std::size_t i = 0; i < impl_->watched.size(); ++i) {
        if (impl_->ids[i] == 0) continue;
        const WatchedBudget& budget = impl_->watched[i];
        periods.bind(impl_->ids[i]);
        for (;;) {
            ENTREPOT_TRY(const bool row, periods.step());
            if (!row) break;
            ENTREPOT_TRY(const BudgetPeriod at, read_period(periods, now));
            if (at.period.end < now && now - at.period.end > kLateMax) continue;
            for (const std::int64_t share : budget.shares) {
                if (!has_reached(at, share)) break;
                ENTREPOT_TRY(const bool noted, impl_->is_noted(budget, at.period.begin, share));
                if (!noted)
                    found.push_back(
                        {budget, at, share, impl_->id_of(budget.name(), at.period.begin, share)});
            }
        }
        periods.reset();
    }
    return found;
}

Result<std::size_t> NoticeStore::note(std::span<const Notice> notices) {
    if (notices.empty()) return std::size_t{0};
    ENTREPOT_TRY(std::int64_t waiting, pending());
    ENTREPOT_TRY(Statement insert,
        impl_->database.prepare("INSERT OR IGNORE INTO notices VALUES(?,?,?,?,?,?,?,?,?,0,?,?)"));
    ENTREPOT_TRY_DO(impl_->database.execute("BEGIN IMMEDIATE"));
    std::size_t left_out = 0;
    Status done;
    for (const Notice& notice : notices) {
        const bool has_room = waiting < kPendingMax;
        insert.bind(std::string_view(notice.budget)).bind(notice.period_begin.ns);
        insert.bind(notice.share).bind(notice.period_end.ns).bind(std::string_view(notice.id));
        insert.bind(std::string_view(notice.webhook)).bind(std::string_view(notice.body));
        insert.bind(notice.noted.ns);
        insert.bind(number_of(has_room ? NoticeState::kPending : NoticeState::kGivenUp));
        insert.bind(notice.noted.ns).bind(std::string_view(has_room ? "" : "too many wait"));
        done = insert.run();
        if (!done) break;
        if (impl_->database.changes() == 0) continue;
        if (has_room)
            ++waiting;
        else
            ++left_out;
    }
    if (done) done = impl_->database.execute("COMMIT");
    if (done) return left_out;
    (void)impl_->database.execute("ROLLBACK");
    return std::unexpected(done.error());
}

Result<std::vector<Notice>> NoticeStore::due(
    std::string_view webhook, Instant now, std::size_t rows_max) const {
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare(
            "SELECT budget,begin_ns,end_ns,share,id,webhook,body,noted_ns,tries FROM notices WHERE "
            "state=0 AND webhook=? AND next_ns<=? ORDER BY noted_ns,budget,share LIMIT ?"));
    query.bind(webhook).bind(now.ns).bind(static_cast<std::uint64_t>(rows_max));
    std::vector<Notice> rows;
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return rows;
        Notice notice;
        notice.budget = query.text(0);
        notice.period_begin = {query.number(1)};
        notice.period_end = {query.number(2)};
        notice.share = query.number(3);
        notice.id = query.text(4);
        notice.webhook = query.text(5);
        notice.body = query.text(6);
        notice.noted = {query.number(7)};
        notice.tries = query.number(8);
        rows.push_back(std::move(notice));
    }
}

Status NoticeStore::tried(
    const Notice& notice, NoticeState state, Instant next, std::string_view trouble) {
    ENTREPOT_TRY(Statement update,
        impl_->database.prepare(
            "UPDATE notices SET state=?,tries=tries+1,next_ns=?,trouble=? WHERE "
            "budget=? AND begin_ns=? AND share=?"));
    update.bind(number_of(state)).bind(next.ns).bind(trouble);
    update.bind(std::string_view(notice.budget)).bind(notice.period_begin.ns).bind(notice.share);
    return update.run();
}

Result<std::int64_t> NoticeStore::pending() const {
    return impl_->number("SELECT count(*) FROM notices WHERE state=0");
}

Result<std::int64_t> NoticeStore::give_up_others(std::span<const std::string> known) {
    std::vector<std::string> gone;
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare("SELECT DISTINCT webhook FROM notices WHERE state=0"));
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) break;
        std::string name(query.text(0));
        if (std::ranges::find(known, name) == known.end()) gone.push_back(std::move(name));
    }
    std::int64_t count = 0;
    for (const std::string& name : gone) {
        ENTREPOT_TRY(Statement update,
            impl_->database.prepare("UPDATE notices SET state=2,trouble='there is no such webhook "
                                    "any more' WHERE state=0 AND webhook=?"));
        ENTREPOT_TRY_DO(update.bind(std::string_view(name)).run());
        count += impl_->database.changes();
    }
    return count;
}

Status NoticeStore::forget_before(Instant end) {
    ENTREPOT_TRY(Statement remove,
        impl_->database.prepare("DELETE FROM notices WHERE end_ns<? AND state<>0"));
    return remove.bind(end.ns).run();
}

Result<std::vector<NoticeStore::Standing>> NoticeStore::shared_budgets(
    Instant now, std::size_t rows_max) const {
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare(
            "SELECT b.id,b.owner_kind,o.name,b.period,z.name,b.limit_pico,b.raise_pico,"
            "b.raise_until_ns FROM budgets b JOIN names o ON o.id=b.owner JOIN names z ON "
            "z.id=b.zone WHERE b.active=1 AND b.owner_kind IN "
            "(?,?,?) ORDER BY b.id LIMIT ?"));
    query.bind(static_cast<std::int64_t>(ledger::OwnerKind::kProject));
    query.bind(static_cast<std::int64_t>(ledger::OwnerKind::kTeam));
    query.bind(static_cast<std::int64_t>(ledger::OwnerKind::kOrg));
    query.bind(static_cast<std::uint64_t>(rows_max));
    ENTREPOT_TRY(Statement periods, impl_->database.prepare(kPeriods));
    std::vector<Standing> rows;
    for (;;) {
        ENTREPOT_TRY(const bool has_row, query.step());
        if (!has_row) return rows;
        Standing row;
        row.budget.owner_kind = static_cast<ledger::OwnerKind>(query.number(1));
        row.budget.owner = query.text(2);
        row.budget.period = static_cast<PeriodKind>(query.number(3));
        row.budget.zone = query.text(4);
        ENTREPOT_TRY(row.at.limit, query.money(5));
        ENTREPOT_TRY(const Money raise, query.money(6));
        if (now < Instant{query.number(7)}) row.at.limit += raise;
        periods.bind(query.number(0));
        ENTREPOT_TRY(const bool has_period, periods.step());
        if (has_period) {
            ENTREPOT_TRY(const BudgetPeriod at, read_period(periods, now));
            // Nothing was spent yet of a period that no request has opened.
            if (at.period.begin <= now && now < at.period.end) row.at = at;
        }
        periods.reset();
        rows.push_back(std::move(row));
    }
}

}  // namespace entrepot::store
