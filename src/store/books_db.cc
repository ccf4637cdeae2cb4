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

/// Binds whole units and the pico-units beside them; `add_columns` keeps the second below one unit.
/// Rounded down, so that the second is never below zero: whatever the order in which amounts of
/// either sign were added, one sum has one form.
void bind_split(Statement& to, Money amount) {
    Int128 units = amount.pico() / kPicoPerUnit;
    if (amount.pico() % kPicoPerUnit < 0) --units;
    to.bind(static_cast<std::int64_t>(units));
    to.bind(static_cast<std::int64_t>(amount.pico() - units * kPicoPerUnit));
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
    account.end_user = static_cast<NameId>(row.number(2));
    account.period = {{row.number(3)}, {row.number(4)}};
    ENTREPOT_TRY(account.limit_max, row.money(5));
    ENTREPOT_TRY(account.held, row.money(6));
    ENTREPOT_TRY(account.settled, row.money(7));
    ENTREPOT_TRY(account.overdraft, row.money(8));
    ENTREPOT_TRY(account.adjusted, row.money(9));
    ENTREPOT_TRY(account.adjusted_up, row.money(10));
    account.open = static_cast<std::uint32_t>(row.number(11));
    return account;
}

constexpr std::string_view kAccountColumns =
    "id,budget,end_user,begin_ns,end_ns,limit_max_pico,held_pico,settled_pico,overdraft_pico,"
    "adjusted_pico,adjusted_up_pico,open";

/// An INSERT whose values are added to the row that is there. Columns `x_units,x_pico` are one
/// amount: what the second has beyond one unit goes over to the first.
std::string add_columns(
    std::string_view table, std::string_view keys, std::size_t key_count, std::string_view sums) {
    std::string marks = "?";
    for (std::size_t i = 1; i < key_count; ++i) marks += ",?";
    std::string set;
    std::string_view rest = sums;
    while (!rest.empty()) {
        const std::string_view column = rest.substr(0, rest.find(','));
        rest.remove_prefix(std::min(rest.size(), column.size() + 1));
        marks += ",?";
        if (!set.empty()) set += ',';
        if (column.ends_with("_units")) {
            const std::string_view name = column.substr(0, column.size() - 6);
            set += fmt::format(
                "{0}_units={0}_units+excluded.{0}_units+({0}_pico+excluded.{0}_pico)"
                "/{1}",
                name, kPicoPerUnit);
        } else if (column.ends_with("_pico")) {
            set += fmt::format("{0}=({0}+excluded.{0})%{1}", column, kPicoPerUnit);
        } else {
            set += fmt::format("{0}={0}+excluded.{0}", column);
        }
    }
    return fmt::format("INSERT INTO {}({},{}) VALUES({}) ON CONFLICT DO UPDATE SET {}", table, keys,
        sums, marks, set);
}

std::string usage_columns() {
    std::string columns =
        "exchanges,attempts,released,estimated,unverified,unpriced,cost_units,cost_pico,list_units,"
        "list_pico,estimated_units,estimated_pico,unverified_units,unverified_pico,overdraft_units,"
        "overdraft_pico,adjusted_units,adjusted_pico";
    for (std::size_t i = 0; i < canon::kMeterCount; ++i) columns += fmt::format(",m{}", i);
    return columns;
}

constexpr std::string_view kDimensionColumns =
    "org,team,project,key,end_user,tags,model,offer,cloud,contract,rate_version,tier,ctx_over";

void bind_dimensions(Statement& to, const ledger::Dimensions& row) {
    const ledger::Spender& spender = row.spender;
    for (const NameId id :
        {spender.org, spender.team, spender.project, spender.key, spender.end_user, spender.tags,
            row.route.model, row.route.offer, row.route.cloud, row.contract, row.rate_version})
        to.bind(number_of(id));
    to.bind(static_cast<std::uint32_t>(row.tier)).bind(row.ctx_over);
}

}  // namespace

Result<BooksDb> BooksDb::open(const std::filesystem::path& data, FileOps* files) {
    return open_file(database_path(data), files);
}

Result<BooksDb> BooksDb::open_file(const std::filesystem::path& file, FileOps* files) {
    if (const int error = before(files, Step::kBooksOpen)) {
        return fail(
            ErrorCode::kIo, fmt::format("cannot open {}: {}", file.string(), std::strerror(error)));
    }
    ENTREPOT_TRY(Database database, Database::open(file, Database::Mode::kReadWrite));
    ENTREPOT_TRY_DO(make_schema(database));
    return BooksDb(std::move(database), files);
}

Result<BooksDb> BooksDb::open_to_read(const std::filesystem::path& data) {
    ENTREPOT_TRY(Database database, Database::open(database_path(data), Database::Mode::kReadOnly));
    return BooksDb(std::move(database), nullptr);
}

Status BooksDb::step(Step step) const {
    const int error = before(files_, step);
    if (error == 0) return {};
    return fail(ErrorCode::kIo, fmt::format("books.db: {}", std::strerror(error)));
}

Result<Checkpoint> BooksDb::load() {
    Checkpoint checkpoint;
    ledger::Changes& rows = checkpoint.changes;
    rows.horizon = rows.sealed_until = {INT64_MIN};
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
        if (meta.text(0) == "sealed_until_ns") rows.sealed_until = {meta.number(1)};
    }
    ENTREPOT_TRY(Statement names, database_.prepare("SELECT id,name,scope FROM names ORDER BY id"));
    for (;;) {
        ENTREPOT_TRY(const bool row, names.step());
        if (!row) break;
        rows.names.push_back({static_cast<NameId>(names.number(0)), std::string(names.text(1)),
            static_cast<NameId>(names.number(2))});
    }
    ENTREPOT_TRY(Statement budgets,
        database_.prepare(
            "SELECT id,owner_kind,owner,period,zone,limit_pico,active,raise_pico,raise_until_ns "
            "FROM budgets ORDER BY id"));
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
        ENTREPOT_TRY(budget.raise, budgets.money(7));
        budget.raise_until = {budgets.number(8)};
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
        database_.prepare(
            "SELECT side,key,team,project,org,cloud,contract,amount_pico FROM balances"));
    for (;;) {
        ENTREPOT_TRY(const bool row, balances.step());
        if (!row) break;
        Balance balance;
        balance.side = static_cast<Balance::Side>(balances.number(0));
        balance.key = static_cast<NameId>(balances.number(1));
        balance.team = static_cast<NameId>(balances.number(2));
        balance.project = static_cast<NameId>(balances.number(3));
        balance.org = static_cast<NameId>(balances.number(4));
        balance.cloud = static_cast<NameId>(balances.number(5));
        balance.contract = static_cast<NameId>(balances.number(6));
        ENTREPOT_TRY(balance.amount, balances.money(7));
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
    ENTREPOT_TRY(
        Statement adjustments, database_.prepare("SELECT record FROM adjustments ORDER BY id"));
    for (;;) {
        ENTREPOT_TRY(const bool row, adjustments.step());
        if (!row) break;
        ENTREPOT_TRY(const ledger::Record record, ledger::decode(adjustments.blob(0)));
        const auto* adjust = std::get_if<ledger::AdjustRecord>(&record);
        if (adjust == nullptr)
            return fail(ErrorCode::kIo, "books.db: a correction does not read as one");
        rows.adjustments.push_back(adjust->request);
    }
    ENTREPOT_TRY(rows.idempotency, idempotency());
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
    ENTREPOT_TRY(Statement names, database_.prepare("INSERT OR REPLACE INTO names VALUES(?,?,?)"));
    for (const ledger::NameRow& row : rows.names) {
        ENTREPOT_TRY_DO(
            names.bind(number_of(row.id)).bind(row.name).bind(number_of(row.scope)).run());
    }
    ENTREPOT_TRY(Statement budgets,
        database_.prepare("INSERT OR REPLACE INTO budgets VALUES(?,?,?,?,?,?,?,?,?)"));
    for (const BudgetRecord& row : rows.budgets) {
        budgets.bind(row.id)
            .bind(static_cast<std::uint32_t>(row.owner_kind))
            .bind(number_of(row.owner));
        budgets.bind(static_cast<std::uint32_t>(row.period))
            .bind(number_of(row.zone))
            .bind(row.limit);
        budgets.bind(row.active ? 1 : 0).bind(row.raise).bind(row.raise_until.ns);
        ENTREPOT_TRY_DO(budgets.run());
    }
    ENTREPOT_TRY_DO(step(Step::kBooksWrite));
    ENTREPOT_TRY(Statement accounts,
        database_.prepare(
            fmt::format("INSERT OR REPLACE INTO accounts({}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)",
                kAccountColumns)));
    for (const Account& row : rows.accounts) {
        accounts.bind(number_of(row.id))
            .bind(row.budget)
            .bind(number_of(row.end_user))
            .bind(row.period.begin.ns)
            .bind(row.period.end.ns);
        accounts.bind(row.limit_max)
            .bind(row.held)
            .bind(row.settled)
            .bind(row.overdraft)
            .bind(row.adjusted)
            .bind(row.adjusted_up)
            .bind(row.open);
        ENTREPOT_TRY_DO(accounts.run());
    }
    ENTREPOT_TRY(Statement balances,
        database_.prepare("INSERT OR REPLACE INTO balances VALUES(?,?,?,?,?,?,?,?)"));
    for (const Balance& row : rows.balances) {
        balances.bind(static_cast<std::uint32_t>(row.side))
            .bind(number_of(row.key))
            .bind(number_of(row.team))
            .bind(number_of(row.project))
            .bind(number_of(row.org))
            .bind(number_of(row.cloud))
            .bind(number_of(row.contract))
            .bind(row.amount);
        ENTREPOT_TRY_DO(balances.run());
    }
    ENTREPOT_TRY_DO(write_usage(rows));
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
    ENTREPOT_TRY_DO(write_adjustments(rows));
    ENTREPOT_TRY_DO(write_idempotency(rows));
    ENTREPOT_TRY(Statement meta, database_.prepare("INSERT OR REPLACE INTO meta VALUES(?,?)"));
    ENTREPOT_TRY_DO(meta.bind("position").bind(checkpoint.position).run());
    ENTREPOT_TRY_DO(meta.bind("clean_stop").bind(checkpoint.clean_stop ? 1 : 0).run());
    ENTREPOT_TRY_DO(meta.bind("accounts_made").bind(rows.accounts_made).run());
    ENTREPOT_TRY_DO(meta.bind("sealed_until_ns").bind(rows.sealed_until.ns).run());
    return meta.bind("horizon_ns").bind(rows.horizon.ns).run();
}

Status BooksDb::write_usage(const ledger::Changes& rows) {
    const std::string all(kDimensionColumns);
    ENTREPOT_TRY(Statement known,
        database_.prepare("SELECT id FROM dimensions WHERE org=? AND team=? AND project=? AND "
                          "key=? AND end_user=? AND tags=? AND model=? AND offer=? AND cloud=? AND "
                          "contract=? AND rate_version=? AND tier=? AND ctx_over=?"));
    ENTREPOT_TRY(Statement fresh,
        database_.prepare(fmt::format(
            "INSERT INTO dimensions({}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?) RETURNING id", all)));
    std::vector<std::int64_t> ids;
    ids.reserve(rows.dimensions.size());
    for (const ledger::Dimensions& row : rows.dimensions) {
        bind_dimensions(known, row);
        ENTREPOT_TRY(const bool is_known, known.step());
        if (is_known) {
            ids.push_back(known.number(0));
        } else {
            bind_dimensions(fresh, row);
            ENTREPOT_TRY(const bool made, fresh.step());
            ids.push_back(made ? fresh.number(0) : 0);
            fresh.reset();
        }
        known.reset();
    }
    ENTREPOT_TRY(Statement usage,
        database_.prepare(add_columns("usage", "day,dimensions", 2, usage_columns())));
    for (const ledger::UsageChange& row : rows.usage) {
        usage.bind(row.day).bind(ids[row.dimensions]);
        const ledger::UsageDelta& delta = row.delta;
        usage.bind(delta.exchanges).bind(delta.attempts).bind(delta.released);
        usage.bind(delta.estimated).bind(delta.unverified).bind(delta.unpriced);
        for (const Money amount : {delta.cost, delta.list_cost, delta.estimated_cost,
                 delta.unverified_cost, delta.overdraft, delta.adjusted}) {
            bind_split(usage, amount);
        }
        for (const std::int64_t count : delta.usage.counts) usage.bind(count);
        ENTREPOT_TRY_DO(usage.run());
    }
    ENTREPOT_TRY(Statement charges,
        database_.prepare(add_columns("charges", "hour,dimensions,meter", 3,
            "quantity,cost_units,cost_pico,list_units,list_pico")));
    for (const ledger::ChargeChange& row : rows.charges) {
        charges.bind(row.hour)
            .bind(ids[row.dimensions])
            .bind(static_cast<std::uint32_t>(row.meter))
            .bind(row.quantity);
        bind_split(charges, row.cost);
        bind_split(charges, row.list_cost);
        ENTREPOT_TRY_DO(charges.run());
    }
    return {};
}

Status BooksDb::write_adjustments(const ledger::Changes& rows) {
    ENTREPOT_TRY(
        Statement adjustments, database_.prepare("INSERT OR IGNORE INTO adjustments VALUES(?,?)"));
    ENTREPOT_TRY(Statement resolved,
        database_.prepare("UPDATE unverified SET resolved=1 WHERE exchange=? AND attempt=?"));
    for (const ledger::AdjustRequest& row : rows.adjustments) {
        ledger::EncodedRecord record;
        ledger::encode(ledger::AdjustRecord{row, 0, {}}, record);
        ENTREPOT_TRY_DO(adjustments.bind_blob(bytes_of(row.id)).bind_blob(record.view()).run());
        if (row.attempt == 0) continue;
        resolved.bind_blob(bytes_of(row.exchange)).bind(static_cast<std::uint32_t>(row.attempt));
        ENTREPOT_TRY_DO(resolved.run());
    }
    return {};
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

Result<std::optional<Account>> BooksDb::account(
    std::uint32_t budget, ledger::NameId end_user, Instant begin) const {
    ENTREPOT_TRY(Statement query,
        database_.prepare(
            fmt::format("SELECT {} FROM accounts WHERE budget=? AND end_user=? AND begin_ns=?",
                kAccountColumns)));
    query.bind(budget).bind(number_of(end_user)).bind(begin.ns);
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
