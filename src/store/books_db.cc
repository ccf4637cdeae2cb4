#include "store/books_db.h"

#include <fmt/format.h>

#include <cstring>

namespace entrepot::store {

namespace {

using ledger::Account;
using ledger::AccountId;
using ledger::Attempt;
using ledger::Balance;
using ledger::BudgetRecord;
using ledger::NameId;

template <typename Id>
std::uint32_t number_of(Id id) {
    return static_cast<std::uint32_t>(id);
}

constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;

/// Binds whole units and the pico-units beside them: SQLite adds both, and a row takes 9 million
/// additions before the second could overflow, a checkpoint each.
void bind_split(Statement& to, Money amount) {
    to.bind(static_cast<std::int64_t>(amount.pico() / kPicoPerUnit));
    to.bind(static_cast<std::int64_t>(amount.pico() % kPicoPerUnit));
}

template <typename R>
void put_record(std::string& out, const R& record) {
    ledger::EncodedRecord encoded;
    ledger::encode(record, encoded);
    const auto size = static_cast<std::uint16_t>(encoded.size);
    out.push_back(static_cast<char>(size & 0xff));
    out.push_back(static_cast<char>(size >> 8));
    out.append(encoded.view());
}

/// An attempt as the records that would make it.
std::string encode_attempt(const Attempt& attempt) {
    std::string out;
    put_record(out, attempt.hold);
    if (attempt.amount != attempt.hold.amount) {
        put_record(
            out, ledger::ResizeRecord{attempt.hold.exchange, attempt.hold.attempt, attempt.amount});
    }
    if (attempt.state == Attempt::State::kSettled) {
        put_record(out,
            ledger::SettleRecord{attempt.hold.exchange, attempt.hold.attempt, attempt.settled});
    } else if (attempt.state == Attempt::State::kReleased) {
        put_record(
            out, ledger::ReleaseRecord{attempt.hold.exchange, attempt.hold.attempt, 0, 0, {}});
    }
    return out;
}

Result<Attempt> decode_attempt(std::string_view bytes) {
    Attempt attempt;
    while (bytes.size() >= 2) {
        const auto size = static_cast<std::size_t>(
            static_cast<std::uint8_t>(bytes[0]) | static_cast<std::uint8_t>(bytes[1]) << 8);
        bytes.remove_prefix(2);
        if (size > bytes.size()) break;
        ENTREPOT_TRY(const ledger::Record record, ledger::decode(bytes.substr(0, size)));
        bytes.remove_prefix(size);
        if (const auto* hold = std::get_if<ledger::HoldRecord>(&record)) {
            attempt.hold = *hold;
            attempt.amount = hold->amount;
        } else if (const auto* resize = std::get_if<ledger::ResizeRecord>(&record)) {
            attempt.amount = resize->amount;
        } else if (const auto* settle = std::get_if<ledger::SettleRecord>(&record)) {
            attempt.state = Attempt::State::kSettled;
            attempt.settled = settle->request;
        } else if (std::holds_alternative<ledger::ReleaseRecord>(record)) {
            attempt.state = Attempt::State::kReleased;
        }
    }
    if (!bytes.empty())
        return fail(ErrorCode::kIo, "books.db: an open attempt does not read as one");
    return attempt;
}

std::string_view bytes_of(const ExchangeId& id) {
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

Result<Account> read_account(const Statement& row) {
    Account account;
    account.id = static_cast<AccountId>(row.number(0));
    account.budget = static_cast<std::uint32_t>(row.number(1));
    account.period = {{row.number(2)}, {row.number(3)}};
    ENTREPOT_TRY(account.limit_max, row.money(4));
    ENTREPOT_TRY(account.held, row.money(5));
    ENTREPOT_TRY(account.settled, row.money(6));
    ENTREPOT_TRY(account.overdraft, row.money(7));
    account.open = static_cast<std::uint32_t>(row.number(8));
    return account;
}

constexpr std::string_view kAccountColumns =
    "id,budget,begin_ns,end_ns,limit_max_pico,held_pico,settled_pico,overdraft_pico,open";

std::string usage_upsert() {
    std::string columns =
        "exchanges,attempts,released,estimated,unverified,unpriced,cost_units,cost_pico,list_units,"
        "list_pico,estimated_units,estimated_pico,unverified_units,unverified_pico,overdraft_units,"
        "overdraft_pico";
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) columns += fmt::format(",m{}", i);
    std::string sums;
    std::string marks = "?,?,?,?,?,?,?";
    std::string_view rest = columns;
    while (!rest.empty()) {
        const std::string_view column = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), column.size() + 1));
        sums += fmt::format("{}{}={}+excluded.{}", sums.empty() ? "" : ",", column, column, column);
        marks += ",?";
    }
    return fmt::format(
        "INSERT INTO usage(day,org,team,key,model,offer,cloud,{}) VALUES({}) ON CONFLICT DO UPDATE "
        "SET {}",
        columns, marks, sums);
}

}  // namespace

Result<BooksDb> BooksDb::open(const std::filesystem::path& data, FileOps* files) {
    if (const int error = before(files, Step::kBooksOpen)) {
        return fail(ErrorCode::kIo,
            fmt::format("cannot open {}: {}", database_path(data).string(), std::strerror(error)));
    }
    ENTREPOT_TRY(
        Database database, Database::open(database_path(data), Database::Mode::kReadWrite));
    ENTREPOT_TRY_DO(make_schema(database));
    return BooksDb(std::move(database), files);
}

Status BooksDb::step(Step step) const {
    const int error = before(files_, step);
    if (error == 0) return {};
    return fail(ErrorCode::kIo, fmt::format("books.db: {}", std::strerror(error)));
}

Result<Checkpoint> BooksDb::load() {
    Checkpoint checkpoint;
    ledger::Changes& rows = checkpoint.changes;
    rows.horizon = {INT64_MIN};
    ENTREPOT_TRY(Statement meta, database_.prepare("SELECT name,value FROM meta"));
    for (;;) {
        ENTREPOT_TRY(const bool row, meta.step());
        if (!row) break;
        if (meta.text(0) == "position")
            checkpoint.position = static_cast<std::uint64_t>(meta.number(1));
        if (meta.text(0) == "clean_stop") checkpoint.clean_stop = meta.number(1) != 0;
        if (meta.text(0) == "accounts_made")
            rows.accounts_made = static_cast<std::uint32_t>(meta.number(1));
        if (meta.text(0) == "horizon_ns") rows.horizon = {meta.number(1)};
    }
    ENTREPOT_TRY(Statement names, database_.prepare("SELECT id,name FROM names ORDER BY id"));
    for (;;) {
        ENTREPOT_TRY(const bool row, names.step());
        if (!row) break;
        rows.names.push_back({static_cast<NameId>(names.number(0)), std::string(names.text(1))});
    }
    ENTREPOT_TRY(Statement budgets,
        database_.prepare(
            "SELECT id,owner_kind,owner,period,zone,limit_pico,active FROM budgets ORDER BY id"));
    for (;;) {
        ENTREPOT_TRY(const bool row, budgets.step());
        if (!row) break;
        BudgetRecord budget;
        budget.id = static_cast<std::uint32_t>(budgets.number(0));
        budget.owner_kind = static_cast<ledger::OwnerKind>(budgets.number(1));
        budget.owner = static_cast<NameId>(budgets.number(2));
        budget.period = static_cast<PeriodKind>(budgets.number(3));
        budget.zone = static_cast<NameId>(budgets.number(4));
        ENTREPOT_TRY(budget.limit, budgets.money(5));
        budget.active = budgets.number(6) != 0;
        rows.budgets.push_back(budget);
    }
    ENTREPOT_TRY(Statement accounts,
        database_.prepare(fmt::format(
            "SELECT {} FROM accounts WHERE end_ns>=? OR open>0 ORDER BY id", kAccountColumns)));
    accounts.bind(rows.horizon.ns);
    for (;;) {
        ENTREPOT_TRY(const bool row, accounts.step());
        if (!row) break;
        ENTREPOT_TRY(const Account account, read_account(accounts));
        rows.accounts.push_back(account);
    }
    ENTREPOT_TRY(Statement balances,
        database_.prepare("SELECT side,key,team,org,cloud,amount_pico FROM balances"));
    for (;;) {
        ENTREPOT_TRY(const bool row, balances.step());
        if (!row) break;
        Balance balance;
        balance.side = static_cast<Balance::Side>(balances.number(0));
        balance.key = static_cast<NameId>(balances.number(1));
        balance.team = static_cast<NameId>(balances.number(2));
        balance.org = static_cast<NameId>(balances.number(3));
        balance.cloud = static_cast<NameId>(balances.number(4));
        ENTREPOT_TRY(balance.amount, balances.money(5));
        rows.balances.push_back(balance);
    }
    ENTREPOT_TRY(Statement attempts,
        database_.prepare("SELECT state FROM attempts ORDER BY exchange,attempt"));
    for (;;) {
        ENTREPOT_TRY(const bool row, attempts.step());
        if (!row) break;
        ENTREPOT_TRY(const Attempt attempt, decode_attempt(attempts.blob(0)));
        rows.attempts.push_back(attempt);
    }
    return checkpoint;
}

Status BooksDb::write(const Checkpoint& checkpoint) {
    ENTREPOT_TRY_DO(step(Step::kBooksBegin));
    ENTREPOT_TRY_DO(database_.execute("BEGIN IMMEDIATE"));
    Status wrote = write_rows(checkpoint);
    if (wrote) wrote = step(Step::kBooksCommit);
    if (wrote) return database_.execute("COMMIT");
    (void)database_.execute("ROLLBACK");
    return wrote;
}

Status BooksDb::write_rows(const Checkpoint& checkpoint) {
    const ledger::Changes& rows = checkpoint.changes;
    ENTREPOT_TRY(Statement names, database_.prepare("INSERT OR REPLACE INTO names VALUES(?,?)"));
    for (const ledger::NameRow& row : rows.names) {
        ENTREPOT_TRY_DO(names.bind(number_of(row.id)).bind(row.name).run());
    }
    ENTREPOT_TRY(Statement budgets,
        database_.prepare("INSERT OR REPLACE INTO budgets VALUES(?,?,?,?,?,?,?)"));
    for (const BudgetRecord& row : rows.budgets) {
        budgets.bind(row.id)
            .bind(static_cast<std::uint32_t>(row.owner_kind))
            .bind(number_of(row.owner));
        budgets.bind(static_cast<std::uint32_t>(row.period))
            .bind(number_of(row.zone))
            .bind(row.limit);
        ENTREPOT_TRY_DO(budgets.bind(row.active ? 1 : 0).run());
    }
    ENTREPOT_TRY_DO(step(Step::kBooksWrite));
    ENTREPOT_TRY(Statement accounts,
        database_.prepare(fmt::format(
            "INSERT OR REPLACE INTO accounts({}) VALUES(?,?,?,?,?,?,?,?,?)", kAccountColumns)));
    for (const Account& row : rows.accounts) {
        accounts.bind(number_of(row.id))
            .bind(row.budget)
            .bind(row.period.begin.ns)
            .bind(row.period.end.ns);
        accounts.bind(row.limit_max)
            .bind(row.held)
            .bind(row.settled)
            .bind(row.overdraft)
            .bind(row.open);
        ENTREPOT_TRY_DO(accounts.run());
    }
    ENTREPOT_TRY(Statement balances,
        database_.prepare("INSERT OR REPLACE INTO balances VALUES(?,?,?,?,?,?)"));
    for (const Balance& row : rows.balances) {
        balances.bind(static_cast<std::uint32_t>(row.side))
            .bind(number_of(row.key))
            .bind(number_of(row.team));
        ENTREPOT_TRY_DO(
            balances.bind(number_of(row.org)).bind(number_of(row.cloud)).bind(row.amount).run());
    }
    ENTREPOT_TRY(Statement usage, database_.prepare(usage_upsert()));
    for (const ledger::UsageChange& row : rows.usage) {
        usage.bind(row.key.day);
        for (const NameId id :
            {row.key.org, row.key.team, row.key.key, row.key.model, row.key.offer, row.key.cloud}) {
            usage.bind(number_of(id));
        }
        const ledger::UsageDelta& delta = row.delta;
        usage.bind(delta.exchanges).bind(delta.attempts).bind(delta.released);
        usage.bind(delta.estimated).bind(delta.unverified).bind(delta.unpriced);
        for (const Money amount : {delta.cost, delta.list_cost, delta.estimated_cost,
                 delta.unverified_cost, delta.overdraft}) {
            bind_split(usage, amount);
        }
        for (const std::int64_t count : delta.usage.counts) usage.bind(count);
        ENTREPOT_TRY_DO(usage.run());
    }
    ENTREPOT_TRY_DO(step(Step::kBooksWrite));
    ENTREPOT_TRY_DO(database_.execute("DELETE FROM attempts"));
    ENTREPOT_TRY(Statement attempts, database_.prepare("INSERT INTO attempts VALUES(?,?,?)"));
    for (const Attempt& row : rows.attempts) {
        attempts.bind_blob(bytes_of(row.hold.exchange))
            .bind(static_cast<std::uint32_t>(row.hold.attempt));
        ENTREPOT_TRY_DO(attempts.bind_blob(encode_attempt(row)).run());
    }
    ENTREPOT_TRY(Statement unverified,
        database_.prepare("INSERT OR IGNORE INTO unverified VALUES(?,?,?,?,0)"));
    for (const ledger::Unverified& row : rows.unverified) {
        ledger::EncodedRecord hold;
        ledger::encode(row.hold, hold);
        unverified.bind_blob(bytes_of(row.hold.exchange))
            .bind(static_cast<std::uint32_t>(row.hold.attempt));
        ENTREPOT_TRY_DO(unverified.bind_blob(hold.view()).bind(row.amount).run());
    }
    ENTREPOT_TRY(Statement meta, database_.prepare("INSERT OR REPLACE INTO meta VALUES(?,?)"));
    ENTREPOT_TRY_DO(meta.bind("position").bind(checkpoint.position).run());
    ENTREPOT_TRY_DO(meta.bind("clean_stop").bind(checkpoint.clean_stop ? 1 : 0).run());
    ENTREPOT_TRY_DO(meta.bind("accounts_made").bind(rows.accounts_made).run());
    return meta.bind("horizon_ns").bind(rows.horizon.ns).run();
}

Result<std::vector<BooksDb::UnverifiedRow>> BooksDb::unverified() const {
    std::vector<UnverifiedRow> rows;
    ENTREPOT_TRY(Statement query,
        database_.prepare(
            "SELECT hold,amount_pico FROM unverified WHERE resolved=0 ORDER BY exchange,attempt"));
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return rows;
        ENTREPOT_TRY(const ledger::Record record, ledger::decode(query.blob(0)));
        const auto* hold = std::get_if<ledger::HoldRecord>(&record);
        if (hold == nullptr)
            return fail(ErrorCode::kIo, "books.db: an unverified attempt does not read as one");
        ENTREPOT_TRY(const Money amount, query.money(1));
        rows.push_back({*hold, amount});
    }
}

Result<std::vector<Account>> BooksDb::accounts() const {
    std::vector<Account> rows;
    ENTREPOT_TRY(Statement query,
        database_.prepare(fmt::format("SELECT {} FROM accounts ORDER BY id", kAccountColumns)));
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return rows;
        ENTREPOT_TRY(const Account account, read_account(query));
        rows.push_back(account);
    }
}

namespace {

Result<std::optional<Account>> one_account(Statement& query) {
    ENTREPOT_TRY(const bool row, query.step());
    if (!row) return std::optional<Account>();
    ENTREPOT_TRY(const Account account, read_account(query));
    return std::optional<Account>(account);
}

}  // namespace

Result<std::optional<Account>> BooksDb::account(std::uint32_t budget, Instant begin) const {
    ENTREPOT_TRY(Statement query,
        database_.prepare(
            fmt::format("SELECT {} FROM accounts WHERE budget=? AND begin_ns=?", kAccountColumns)));
    query.bind(budget).bind(begin.ns);
    return one_account(query);
}

Result<std::optional<Account>> BooksDb::account(AccountId id) const {
    ENTREPOT_TRY(Statement query,
        database_.prepare(fmt::format("SELECT {} FROM accounts WHERE id=?", kAccountColumns)));
    query.bind(number_of(id));
    return one_account(query);
}

Result<UsageTable> BooksDb::usage(const UsageQuery& query) const {
    return run_usage_query(database_, query);
}

}  // namespace entrepot::store
