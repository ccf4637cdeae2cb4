#include "store/kept.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "store/sqlite.h"

namespace entrepot::store {
namespace {

constexpr milliseconds kGather{20};  // what is noted meanwhile shares a transaction
constexpr std::int64_t kPruneRows = 2'000;

constexpr const char* kSchema = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS kept(id TEXT NOT NULL, cloud TEXT NOT NULL, kind INTEGER NOT NULL,
    model TEXT NOT NULL, key TEXT NOT NULL, team TEXT NOT NULL, org TEXT NOT NULL,
    made_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, exchange TEXT NOT NULL,
    detail TEXT NOT NULL, PRIMARY KEY(id, cloud)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS kept_expiry ON kept(expires_ns);
CREATE INDEX IF NOT EXISTS kept_listed ON kept(kind, team, made_ns) WHERE kind > 2;
CREATE INDEX IF NOT EXISTS kept_owned ON kept(org, team, key, kind, made_ns) WHERE kind > 2;
CREATE INDEX IF NOT EXISTS kept_held ON kept(exchange) WHERE exchange <> '';
PRAGMA user_version = 1;
COMMIT;
)sql";

constexpr std::string_view kColumns =
    "SELECT id,cloud,kind,model,key,team,org,made_ns,expires_ns,exchange,detail FROM kept ";

/// What is noted unasked, and what is made by name: the numbers of KeptKind.
constexpr std::string_view kUnasked = "kind IN (1,2,5)";
constexpr std::string_view kByName = "kind NOT IN (1,2,5)";

bool is_unasked(const Kept& thing) {
    return thing.kind == KeptKind::kResponse || thing.kind == KeptKind::kItem ||
        thing.kind == KeptKind::kContainer;
}

std::filesystem::path path_of(const std::filesystem::path& data) { return data / "kept.db"; }

Kept read_row(const Statement& row) {
    Kept thing;
    thing.id = row.text(0);
    thing.cloud = row.text(1);
    thing.kind = static_cast<KeptKind>(row.number(2));
    thing.model = row.text(3);
    thing.key = row.text(4);
    thing.team = row.text(5);
    thing.org = row.text(6);
    thing.made = Instant{row.number(7)};
    thing.expires = Instant{row.number(8)};
    thing.exchange = row.text(9);
    thing.detail = row.text(10);
    return thing;
}

Result<std::vector<Kept>> rows_of(Statement& query) {
    std::vector<Kept> all;
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return all;
        all.push_back(read_row(query));
    }
}

Status insert(Statement& statement, const Kept& thing) {
    statement.bind(std::string_view(thing.id)).bind(std::string_view(thing.cloud));
    statement.bind(static_cast<std::int64_t>(thing.kind)).bind(std::string_view(thing.model));
    statement.bind(std::string_view(thing.key)).bind(std::string_view(thing.team));
    statement.bind(std::string_view(thing.org)).bind(thing.made.ns).bind(thing.expires.ns);
    statement.bind(std::string_view(thing.exchange)).bind(std::string_view(thing.detail));
    return statement.run();
}

}  // namespace

std::string_view kept_kind_name(KeptKind kind) {
    switch (kind) {
        case KeptKind::kResponse: return "response";
        case KeptKind::kItem: return "item";
        case KeptKind::kConversation: return "conversation";
        case KeptKind::kCache: return "cached content";
        case KeptKind::kContainer: return "container";
        case KeptKind::kFile: return "file";
        case KeptKind::kBatch: return "batch";
    }
    return "thing";
}

struct KeptStore::Impl {
    Impl(Database opened, const KeptOptions& from)
        : database(std::move(opened)), options(from), writer([this] { write_all(); }) {}
    ~Impl() {
        {
            const std::lock_guard lock(waiting_mutex);
            is_stopping = true;
        }
        arrived.notify_all();
        writer.join();
    }

    Status write(const std::vector<Kept>& things) {
        const std::lock_guard lock(database_mutex);
        ENTREPOT_TRY_DO(database.execute("BEGIN IMMEDIATE"));
        const std::uint64_t before = rows;
        Status done = [&]() -> Status {
            ENTREPOT_TRY(Statement removal, unasked_removal());
            ENTREPOT_TRY(Statement statement,
                database.prepare("INSERT OR REPLACE INTO kept VALUES(?,?,?,?,?,?,?,?,?,?,?)"));
            for (const Kept& thing : things) {
                // What is replaced must not count twice: it would push others out.
                ENTREPOT_TRY_DO(remove_unasked(removal, thing.id, thing.cloud));
                ENTREPOT_TRY_DO(insert(statement, thing));
                if (is_unasked(thing)) ++rows;
            }
            return {};
        }();
        if (done) done = database.execute("COMMIT");
        if (!done) {
            (void)database.execute("ROLLBACK");
            rows = before;
        }
        return done;
    }

    Result<Statement> unasked_removal() {
        return database.prepare(
            fmt::format("DELETE FROM kept WHERE id=? AND cloud=? AND {}", kUnasked));
    }

    /// Under the lock. Whether it was there.
    Result<bool> remove_unasked(Statement& removal, std::string_view id, std::string_view cloud) {
        ENTREPOT_TRY_DO(removal.bind(id).bind(cloud).run());
        const bool was_there = database.changes() > 0;
        rows -= was_there && rows > 0 ? 1 : 0;
        return was_there;
    }

    std::uint64_t too_many() {
        const std::lock_guard lock(database_mutex);
        return rows > options.rows_max ? rows - options.rows_max : 0;
    }

    void write_all() {
        std::unique_lock lock(waiting_mutex);
        for (;;) {
            arrived.wait(lock, [&] { return is_stopping || !waiting.empty(); });
            if (waiting.empty()) return;
            if (!is_stopping) arrived.wait_for(lock, kGather, [&] { return is_stopping; });
            std::vector<Kept> batch;
            for (const auto& [id, things] : waiting)
                batch.insert(batch.end(), things.begin(), things.end());
            const std::uint64_t up_to = noted;
            lock.unlock();
            Status done = write(batch);
            lock.lock();
            // Not before they are on disk: whoever looks finds them here or there. A disk that
            // refuses them is not asked for ever.
            for (const Kept& thing : batch) {
                const auto found = waiting.find(thing.id);
                if (found == waiting.end()) continue;
                waiting_count -= std::erase(found->second, thing);
                if (found->second.empty()) waiting.erase(found);
            }
            last = std::move(done);
            written = up_to;
            flushed.notify_all();
        }
    }

    std::mutex database_mutex;
    Database database;
    const KeptOptions options;
    std::uint64_t rows = 0;  // unasked

    std::mutex waiting_mutex;
    std::condition_variable arrived, flushed;
    std::unordered_map<std::string, std::vector<Kept>> waiting;
    std::size_t waiting_count = 0;
    std::uint64_t noted = 0, written = 0;  // calls of `note`
    Status last;                           // of the writer
    bool is_stopping = false;
    std::thread writer;  // last: it uses all the rest
};

KeptStore::KeptStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KeptStore::~KeptStore() = default;

Result<std::unique_ptr<KeptStore>> KeptStore::open(const KeptOptions& options) {
    ENTREPOT_TRY(
        Database database, Database::open(path_of(options.data), Database::Mode::kReadWrite));
    ENTREPOT_TRY_DO(database.execute(kSchema));
    std::uint64_t rows = 0;
    {
        ENTREPOT_TRY(Statement count,
            database.prepare(fmt::format("SELECT COUNT(*) FROM kept WHERE {}", kUnasked)));
        ENTREPOT_TRY_DO(count.step());
        rows = static_cast<std::uint64_t>(count.number(0));
    }
    auto impl = std::make_unique<Impl>(std::move(database), options);
    impl->rows = rows;
    return std::unique_ptr<KeptStore>(new KeptStore(std::move(impl)));
}

bool KeptStore::note(std::vector<Kept> things) {
    {
        const std::lock_guard lock(impl_->waiting_mutex);
        if (impl_->waiting_count + things.size() > impl_->options.waiting_max) return false;
        for (Kept& thing : things) {
            // Named again before it was written: what is said last counts, as in the file.
            auto& same = impl_->waiting[thing.id];
            impl_->waiting_count -=
                std::erase_if(same, [&](const Kept& other) { return other.cloud == thing.cloud; });
            ++impl_->waiting_count;
            same.push_back(std::move(thing));
        }
        ++impl_->noted;
    }
    impl_->arrived.notify_one();
    return true;
}

Status KeptStore::put(const Kept& thing) {
    // What was noted of it before must not be written over it.
    ENTREPOT_TRY_DO(flush());
    return impl_->write({thing});
}

Result<std::vector<Kept>> KeptStore::find(std::string_view id) {
    std::vector<Kept> all;
    {
        const std::lock_guard lock(impl_->waiting_mutex);
        if (const auto found = impl_->waiting.find(std::string(id)); found != impl_->waiting.end())
            all = found->second;
    }
    const std::lock_guard lock(impl_->database_mutex);
    ENTREPOT_TRY(Statement query,
        impl_->database.prepare(fmt::format("{}WHERE id=? ORDER BY made_ns DESC", kColumns)));
    query.bind(id);
    ENTREPOT_TRY(std::vector<Kept> stored, rows_of(query));
    for (Kept& thing : stored)
        if (std::ranges::none_of(
                all, [&](const Kept& other) { return other.cloud == thing.cloud; }))
            all.push_back(std::move(thing));
    return all;
}

Result<bool> KeptStore::remove(std::string_view id, std::string_view cloud) {
    ENTREPOT_TRY_DO(flush());
    const std::lock_guard lock(impl_->database_mutex);
    ENTREPOT_TRY(Statement unasked, impl_->unasked_removal());
    ENTREPOT_TRY(const bool was_there, impl_->remove_unasked(unasked, id, cloud));
    if (was_there) return true;
    ENTREPOT_TRY(
        Statement remove, impl_->database.prepare("DELETE FROM kept WHERE id=? AND cloud=?"));
    ENTREPOT_TRY_DO(remove.bind(id).bind(cloud).run());
    return impl_->database.changes() > 0;
}

Result<std::vector<Kept>> KeptStore::list(const Query& query) {
    ENTREPOT_TRY_DO(flush());
    const std::lock_guard lock(impl_->database_mutex);
    std::string where = "WHERE kind=? AND kind > 2";
    for (const auto& [column, value] :
        {std::pair{"cloud", &query.cloud}, std::pair{"key", &query.key},
            std::pair{"team", &query.team}, std::pair{"org", &query.org}})
        if (!value->empty()) where += fmt::format(" AND {}=?", column);
    ENTREPOT_TRY(Statement rows,
        impl_->database.prepare(
            fmt::format("{}{} ORDER BY made_ns DESC, id LIMIT ?", kColumns, where)));
    rows.bind(static_cast<std::int64_t>(query.kind));
    for (const std::string* value : {&query.cloud, &query.key, &query.team, &query.org})
        if (!value->empty()) rows.bind(std::string_view(*value));
    rows.bind(static_cast<std::int64_t>(query.count_max));
    return rows_of(rows);
}

Result<std::size_t> KeptStore::count(const Query& query) {
    ENTREPOT_TRY_DO(flush());
    const std::lock_guard lock(impl_->database_mutex);
    ENTREPOT_TRY(Statement rows,
        impl_->database.prepare("SELECT COUNT(*) FROM (SELECT 1 FROM kept INDEXED BY kept_owned "
                                "WHERE org=? AND team=? AND key=? AND kind=? AND kind>2 LIMIT ?)"));
    rows.bind(std::string_view(query.org)).bind(std::string_view(query.team));
    rows.bind(std::string_view(query.key)).bind(static_cast<std::int64_t>(query.kind));
    rows.bind(static_cast<std::int64_t>(query.count_max));
    ENTREPOT_TRY_DO(rows.step());
    return static_cast<std::size_t>(rows.number(0));
}

Result<std::vector<Kept>> KeptStore::held() {
    ENTREPOT_TRY_DO(flush());
    const std::lock_guard lock(impl_->database_mutex);
    ENTREPOT_TRY(Statement rows,
        impl_->database.prepare(fmt::format("{}WHERE exchange<>'' ORDER BY made_ns", kColumns)));
    return rows_of(rows);
}

Status KeptStore::end_hold(std::string_view id, std::string_view cloud) {
    const std::lock_guard lock(impl_->database_mutex);
    ENTREPOT_TRY(Statement end,
        impl_->database.prepare("UPDATE kept SET exchange='' WHERE id=? AND cloud=?"));
    return end.bind(id).bind(cloud).run();
}

Status KeptStore::prune(Instant now) {
    // The lock is given back between pieces, so that who looks for something waits for one at most.
    const auto remove = [&](std::string_view kinds, Instant until,
                            std::int64_t rows_max) -> Result<std::int64_t> {
        const std::lock_guard lock(impl_->database_mutex);
        ENTREPOT_TRY(Statement statement,
            impl_->database.prepare(fmt::format(
                "DELETE FROM kept WHERE (id,cloud) IN (SELECT id,cloud FROM kept WHERE expires_ns "
                "BETWEEN 1 AND ? AND {} AND exchange='' ORDER BY expires_ns LIMIT ?)",
                kinds)));
        ENTREPOT_TRY_DO(statement.bind(until.ns).bind(rows_max).run());
        const std::int64_t gone = impl_->database.changes();
        if (kinds == kUnasked)
            impl_->rows -= std::min(impl_->rows, static_cast<std::uint64_t>(gone));
        return gone;
    };
    for (const std::string_view kinds : {kUnasked, kByName})
        for (;;) {
            ENTREPOT_TRY(const std::int64_t gone, remove(kinds, now, kPruneRows));
            if (gone < kPruneRows) break;
        }
    while (const std::uint64_t too_many = impl_->too_many()) {
        const std::int64_t piece = std::min(kPruneRows, static_cast<std::int64_t>(too_many));
        ENTREPOT_TRY(const std::int64_t gone,
            remove(kUnasked, Instant{std::numeric_limits<std::int64_t>::max()}, piece));
        if (gone == 0) break;
    }
    return {};
}

Status KeptStore::flush() {
    std::unique_lock lock(impl_->waiting_mutex);
    const std::uint64_t wanted = impl_->noted;
    if (impl_->waiting.empty()) return {};
    impl_->flushed.wait(lock, [&] { return impl_->written >= wanted; });
    return impl_->last;
}

Result<std::vector<ExchangeId>> held_exchanges(const std::filesystem::path& data) {
    std::vector<ExchangeId> all;
    std::error_code none;
    if (!std::filesystem::exists(path_of(data), none)) return all;
    ENTREPOT_TRY(Database database, Database::open(path_of(data), Database::Mode::kReadWrite));
    ENTREPOT_TRY_DO(database.execute(kSchema));
    ENTREPOT_TRY(Statement rows, database.prepare("SELECT exchange FROM kept WHERE exchange<>''"));
    for (;;) {
        ENTREPOT_TRY(const bool row, rows.step());
        if (!row) return all;
        if (const auto id = ExchangeId::parse(rows.text(0))) all.push_back(*id);
    }
}

}  // namespace entrepot::store
