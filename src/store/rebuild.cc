#include "store/rebuild.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "ledger/audit.h"
#include "store/compactor.h"
#include "store/lock.h"
#include "store/replacement.h"
#include "store/replayer.h"

namespace entrepot::store {

namespace {

namespace fs = std::filesystem;

/// A file that a crash may have left is in nobody's way.
void remove_database(const fs::path& path) {
    std::error_code none;
    for (const char* const part : {"-wal", "-shm", ""}) fs::remove(path.string() + part, none);
}

/// The base, or empty books, as a new file to replay into.
Result<std::unique_ptr<Replayer>> begin_at_base(
    const fs::path& data, const fs::path& to, FileOps* files) {
    std::error_code none;
    if (fs::exists(base_path(data), none)) {
        ENTREPOT_TRY(
            const Database base, Database::open(base_path(data), Database::Mode::kReadOnly));
        ENTREPOT_TRY_DO(copy_database(base, to));
    }
    return Replayer::open(to, files);
}

/// The old books.db, once the replay has come to where it stands.
class Old {
public:
    explicit Old(const fs::path& data) {
        std::error_code none;
        if (!fs::exists(database_path(data), none)) {
            unread_ = "there was no books.db";
            return;
        }
        Result<Database> opened = Database::open(database_path(data), Database::Mode::kReadOnly);
        Result<std::uint64_t> position =
            opened ? position_of(*opened) : Result<std::uint64_t>(std::unexpected(opened.error()));
        if (!position) {
            unread_ = position.error().message;
            return;
        }
        database_.emplace(*std::move(opened));
        position_ = *position;
    }
    [[nodiscard]] bool stands_at(std::uint64_t position) const {
        return database_ && !is_compared_ && position_ == position;
    }
    Status compare(Replayer& replayer) {
        ENTREPOT_TRY_DO(replayer.flush());
        is_compared_ = true;
        Result<std::vector<std::string>> differences = compare_projections(
            {"the old books.db", *database_}, {"the journal", replayer.database()});
        if (differences)
            differences_ = *std::move(differences);
        else
            unread_ = differences.error().message;
        return {};
    }
    void tell(RebuildReport& report) {
        report.differences = std::move(differences_);
        report.old_unread = std::move(unread_);
        if (database_ && !is_compared_)
            report.old_unread =
                fmt::format("it stands at {}, where no record of the journal ends", position_);
    }
    void close() { database_.reset(); }

private:
    std::optional<Database> database_;
    std::uint64_t position_ = 0;
    bool is_compared_ = false;
    std::vector<std::string> differences_;
    std::string unread_;
};

/// The journal through a reader that shares no bookkeeping with the ledger.
Status audit_books(BooksDb& db, const Journal& journal, std::uint64_t to, VerifyReport& report) {
    ledger::Audit audit;
    const Status read = journal.scan(
        0, to, [&](std::uint64_t, std::string_view payload) { return audit.read(payload); });
    report.records_audited = audit.records();
    std::vector<std::string>& wrong = report.differences;
    if (!read) {
        wrong.push_back(read.error().message);
        return {};
    }
    wrong.insert(wrong.end(), audit.differences().begin(), audit.differences().end());
    ENTREPOT_TRY(const Checkpoint books, db.load());
    ENTREPOT_TRY(const std::vector<ledger::Account> rows, db.accounts());
    std::map<ledger::AccountId, ledger::Account> accounts;
    for (const ledger::Account& row : rows) accounts[row.id] = row;
    std::map<ledger::NameId, std::string_view> names;
    for (const ledger::NameRow& row : books.changes.names) names[row.id] = row.name;
    for (const auto& [id, sums] : audit.accounts()) {
        const auto found = accounts.find(id);
        const ledger::Account account = found != accounts.end() ? found->second : ledger::Account{};
        if (sums ==
            ledger::Audit::Sums{account.held, account.settled, account.overdraft, account.open})
            continue;
        wrong.push_back(
            fmt::format("account {}: the books have {} settled and {} held, the journal {} and {}",
                static_cast<std::uint32_t>(id), account.settled.to_decimal(),
                account.held.to_decimal(), sums.settled.to_decimal(), sums.held.to_decimal()));
    }
    if (accounts.size() != audit.accounts().size()) {
        wrong.push_back(fmt::format("the books have {} accounts, the journal {}", accounts.size(),
            audit.accounts().size()));
    }
    for (const ledger::Balance& balance : books.changes.balances) {
        Money there;
        if (balance.side == ledger::Balance::Side::kExpense) {
            ledger::Spender spender;
            spender.key = balance.key;
            spender.team = balance.team;
            spender.project = balance.project;
            spender.org = balance.org;
            const auto found = audit.expenses().find(spender);
            if (found != audit.expenses().end()) there = found->second;
        } else if (const auto found = audit.payables().find({balance.cloud, balance.contract});
            found != audit.payables().end()) {
            there = found->second;
        }
        if (there == balance.amount) continue;
        wrong.push_back(fmt::format("{} '{}' stands at {}, the journal gives {}",
            balance.side == ledger::Balance::Side::kExpense ? "the expense of" : "the payable to",
            names[balance.side == ledger::Balance::Side::kExpense ? balance.key : balance.cloud],
            balance.amount.to_decimal(), there.to_decimal()));
    }
    const std::size_t balances = books.changes.balances.size();
    if (balances != audit.expenses().size() + audit.payables().size()) {
        wrong.push_back(fmt::format("the books have {} balances, the journal {}", balances,
            audit.expenses().size() + audit.payables().size()));
    }
    const auto open = static_cast<std::uint64_t>(std::ranges::count(
        books.changes.attempts, ledger::Attempt::State::kHeld, &ledger::Attempt::state));
    if (audit.open_attempts() != open) {
        wrong.push_back(fmt::format(
            "the books have {} open attempts, the journal {}", open, audit.open_attempts()));
    }
    return {};
}

}  // namespace

Result<RebuildReport> rebuild_books(const RebuildOptions& options, Instant now) {
    const fs::path& data = options.data;
    if (!fs::is_directory(data / "journal"))
        return fail(ErrorCode::kNotFound, fmt::format("there is no journal in {}", data.string()));
    ENTREPOT_TRY(const auto lock, DataLock::take(data));
    ENTREPOT_TRY(const Replacement replacement, Replacement::begin(data, options.files));
    const fs::path path = database_path(replacement.folder());
    RebuildReport report;
    Old old(data);
    {
        ENTREPOT_TRY(const auto replayer, begin_at_base(data, path, options.files));
        report.from = replayer->position();
        if (old.stands_at(report.from)) ENTREPOT_TRY_DO(old.compare(*replayer));
        JournalOptions journal;
        journal.folder = data / "journal";
        journal.files = options.files;
        const auto opened = Journal::open(
            journal, report.from, now, [&](std::uint64_t end, std::string_view payload) -> Status {
                ENTREPOT_TRY_DO(replayer->apply(end, payload));
                return old.stands_at(end) ? old.compare(*replayer) : Status();
            });
        if (!opened) {
            // Said in the words of the base, where that is what is missing.
            const Error& error = opened.error();
            std::error_code none;
            if (fs::exists(base_path(data), none)) return std::unexpected(error);
            return fail(error.code,
                fmt::format("{} ({} is not there)", error.message, base_path(data).string()));
        }
        ENTREPOT_TRY_DO(replayer->flush());
        report.bytes_cut = (*opened)->bytes_cut();
        report.records = replayer->records();
        report.position = replayer->position();
        old.tell(report);
        ENTREPOT_TRY(report.tables, digest_projections(replayer->database()));
        old.close();
        std::error_code none;
        if (!options.without_settings && fs::exists(database_path(data), none)) {
            if (const Status copied = copy_other_tables(replayer->database(), database_path(data));
                !copied) {
                return fail(ErrorCode::kIo,
                    fmt::format("the settings and the audit log in the old books.db cannot be "
                                "read: {}. Restore a backup, or rebuild the books "
                                "--without-settings; nothing was changed",
                        copied.error().message));
            }
        }
        // One file, which can be moved.
        ENTREPOT_TRY_DO(replayer->database().execute("PRAGMA wal_checkpoint(TRUNCATE)"));
        ENTREPOT_TRY_DO(replayer->database().execute("PRAGMA journal_mode=DELETE"));
    }
    ENTREPOT_TRY_DO(replacement.commit());
    return report;
}

void prove_books(const fs::path& data, const Journal& journal, VerifyReport& report) {
    const fs::path path = data / "proof.db";
    const auto prove = [&]() -> Status {
        ENTREPOT_TRY(const std::uint64_t from, base_position(data, journal.begin()));
        ENTREPOT_TRY(BooksDb books, BooksDb::open_to_read(data));
        ENTREPOT_TRY_DO(books.database().check());
        // One state of the books, however long it takes to come to it.
        ENTREPOT_TRY_DO(books.database().execute("BEGIN"));
        ENTREPOT_TRY(const std::uint64_t to, position_of(books.database()));
        if (from > to) {
            report.differences.push_back(
                fmt::format("base.db stands at {}, the books at {}", from, to));
            return {};
        }
        remove_database(path);
        ENTREPOT_TRY(const auto replayer, begin_at_base(data, path, nullptr));
        ENTREPOT_TRY_DO(replayer->database().execute("PRAGMA synchronous=OFF"));
        ENTREPOT_TRY_DO(journal.scan(from, to, [&](std::uint64_t end, std::string_view payload) {
            return replayer->apply(end, payload);
        }));
        ENTREPOT_TRY_DO(replayer->flush());
        report.records_proved = replayer->records();
        ENTREPOT_TRY(std::vector<std::string> differences,
            compare_projections(
                {"books.db", books.database()}, {"the journal", replayer->database()}));
        for (std::string& difference : differences)
            report.differences.push_back(std::move(difference));
        return journal.begin() == 0 ? audit_books(books, journal, to, report) : Status();
    };
    if (const Status proved = prove(); !proved)
        report.differences.push_back(proved.error().message);
    remove_database(path);
}

}  // namespace entrepot::store
