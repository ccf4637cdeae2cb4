#include "store/backup.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <vector>

#include "base/text.h"
#include "crypto/hash.h"
#include "json/value.h"
#include "json/writer.h"
#include "ledger/ledger.h"
#include "store/books_db.h"
#include "store/compactor.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/projections.h"
#include "store/replacement.h"

namespace entrepot::store {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "manifest.json";
constexpr std::int64_t kFormat = 1;
/// One line for each file of the journal: 64 GiB of the smallest are a million.
constexpr std::uint64_t kManifestBytesMax = 256ULL << 20;

struct FileFacts {
    std::string name;
    std::uint64_t bytes = 0;
    std::string sha256;
};

struct Manifest {
    BackupFacts facts;
    std::vector<FileFacts> files;
};

std::unexpected<Error> damaged(const fs::path& path, std::string_view what) {
    return fail(ErrorCode::kIo,
        fmt::format(
            "{}: {}. This backup cannot be used; nothing was changed", path.string(), what));
}

Result<FileFacts> facts_of(const fs::path& folder, const std::string& name) {
    FileFacts facts{name, 0, {}};
    std::ifstream in(folder / name, std::ios::binary);
    if (!in) return damaged(folder / name, "it is missing or cannot be read");
    crypto::Sha256Stream hash;
    std::string buffer(1 << 20, '\0');
    while (in) {
        in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        const auto count = static_cast<std::size_t>(in.gcount());
        hash.add(std::string_view(buffer).substr(0, count));
        facts.bytes += count;
    }
    if (!in.eof()) return damaged(folder / name, "it cannot be read to its end");
    facts.sha256 = crypto::hex(hash.finish());
    return facts;
}

/// What belongs to a backup, by names that stay inside its folder.
bool is_name(std::string_view name) {
    constexpr std::string_view kJournal = "journal/";
    constexpr std::string_view kSuffix = ".journal";
    if (name == "books.db" || name == "kept.db") return true;
    if (!name.starts_with(kJournal) || !name.ends_with(kSuffix)) return false;
    name.remove_prefix(kJournal.size());
    name.remove_suffix(std::min(name.size(), kSuffix.size()));
    return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

Result<std::vector<std::string>> names_in(const fs::path& folder) {
    std::vector<std::string> names{"books.db", "kept.db"};
    std::error_code error;
    for (fs::directory_iterator at(folder / "journal", error), end; !error && at != end;
        at.increment(error))
        names.push_back("journal/" + at->path().filename().string());
    if (error) return damaged(folder / "journal", error.message());
    std::ranges::sort(names);
    return names;
}

std::string encode(const Manifest& manifest) {
    std::string out;
    json::Writer writer(out);
    const auto number = [](std::uint64_t n) { return std::to_string(n); };
    writer.begin_object()
        .member("format", kFormat)
        .member("made_at", to_rfc3339(manifest.facts.made))
        .member("books_position", number(manifest.facts.books_position))
        .member("position", number(manifest.facts.position))
        .member("open_attempts", number(manifest.facts.open_attempts))
        .member("debits", manifest.facts.debits.to_decimal())
        .member("credits", manifest.facts.credits.to_decimal());
    writer.key("files").begin_array();
    for (const FileFacts& file : manifest.files)
        writer.begin_object()
            .member("name", file.name)
            .member("bytes", number(file.bytes))
            .member("sha256", file.sha256)
            .end_object();
    writer.end_array().end_object();
    return out;
}

Result<std::uint64_t> number_in(const json::Value& value, const fs::path& path) {
    const std::string_view text = value.string();
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty())
        return damaged(path, fmt::format("'{}' is no number", excerpt(text)));
    return number;
}

Result<Manifest> read_manifest(const fs::path& folder) {
    const fs::path path = folder / kManifest;
    std::error_code error;
    const std::uint64_t size = fs::file_size(path, error);
    if (error) {
        return fail(ErrorCode::kNotFound,
            fmt::format("{} is no backup: it has no {}", folder.string(), kManifest));
    }
    if (size > kManifestBytesMax) return damaged(path, "it is too long for a manifest");
    std::ifstream in(path, std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(in), {});
    const auto document = json::Document::parse(std::move(bytes));
    if (!document) return damaged(path, document.error().message);
    const json::Value& root = document->root();
    if (root["format"].as_int().value_or(0) != kFormat)
        return damaged(path, fmt::format("this program reads backups of format {}", kFormat));
    Manifest manifest;
    ENTREPOT_TRY(manifest.facts.books_position, number_in(root["books_position"], path));
    ENTREPOT_TRY(manifest.facts.position, number_in(root["position"], path));
    ENTREPOT_TRY(manifest.facts.open_attempts, number_in(root["open_attempts"], path));
    const auto debits = Money::parse(root["debits"].string());
    const auto credits = Money::parse(root["credits"].string());
    const auto made = parse_instant(root["made_at"].string());
    if (!debits || !credits || !made) return damaged(path, "it does not say what it should");
    manifest.facts.debits = *debits;
    manifest.facts.credits = *credits;
    manifest.facts.made = *made;
    for (const json::Value& file : root["files"].items()) {
        FileFacts facts{
            std::string(file["name"].string()), 0, std::string(file["sha256"].string())};
        if (!is_name(facts.name))
            return damaged(path, fmt::format("'{}' is no file of a backup", excerpt(facts.name)));
        ENTREPOT_TRY(facts.bytes, number_in(file["bytes"], path));
        manifest.facts.bytes += facts.bytes;
        manifest.files.push_back(std::move(facts));
    }
    const auto has = [&](std::string_view name) {
        return std::ranges::find(manifest.files, name, &FileFacts::name) != manifest.files.end();
    };
    if (!has("books.db") || !has("kept.db"))
        return damaged(path, "it names no books.db, or no kept.db");
    return manifest;
}

Status check_files(const fs::path& folder, const Manifest& manifest) {
    for (const FileFacts& said : manifest.files) {
        ENTREPOT_TRY(const FileFacts there, facts_of(folder, said.name));
        if (there.bytes != said.bytes) {
            return damaged(folder / said.name,
                fmt::format("it has {} bytes and had {}", there.bytes, said.bytes));
        }
        if (there.sha256 != said.sha256)
            return damaged(folder / said.name, "it is not what was written");
    }
    return {};
}

/// Applies records to books in memory; nobody decides anything.
struct ReadOnlyLog final : ledger::Log {
    explicit ReadOnlyLog(const BooksDb& from) : db(from) {}
    Result<std::uint64_t> append(std::string_view, ledger::LogClass, std::size_t) override {
        return fail(ErrorCode::kInternal, "records are only read here");
    }
    Result<std::optional<ledger::Account>> recall(
        std::uint32_t budget, ledger::NameId end_user, Instant begin) override {
        return db.account(budget, end_user, begin);
    }
    Result<std::optional<ledger::Account>> recall(ledger::AccountId account) override {
        return db.account(account);
    }
    const BooksDb& db;
};

/// What the books in a folder come to, `position` being the end of its journal.
Result<BackupFacts> prove_books_in(const fs::path& folder, std::uint64_t position) {
    ENTREPOT_TRY(
        const Database kept, Database::open(folder / "kept.db", Database::Mode::kReadOnly));
    ENTREPOT_TRY_DO(kept.check());
    ENTREPOT_TRY(BooksDb db, BooksDb::open_to_read(folder));
    ENTREPOT_TRY_DO(db.database().check());
    ENTREPOT_TRY(const Checkpoint checkpoint, db.load());
    ReadOnlyLog log(db);
    ledger::Ledger books(log);
    ENTREPOT_TRY_DO(books.load(checkpoint.changes));
    ENTREPOT_TRY(const UsageTable usage, db.usage({}));
    if (usage.total.cost != books.debits()) {
        return damaged(folder / "books.db",
            fmt::format("its usage comes to {}, its accounts were debited {}",
                usage.total.cost.to_decimal(), books.debits().to_decimal()));
    }
    BackupFacts facts;
    facts.books_position = checkpoint.position;
    facts.position = position;
    std::uint64_t reached = checkpoint.position;
    ENTREPOT_TRY_DO(Journal::read_files(folder / "journal", checkpoint.position, position,
        [&](std::uint64_t end, std::string_view payload) {
            reached = end;
            return books.apply(payload);
        }));
    if (reached != position) {
        return damaged(folder / "journal",
            fmt::format("its records end at {} and should at {}", reached, position));
    }
    if (const std::vector<std::string> wrong = books.verify(); !wrong.empty())
        return damaged(folder / "books.db", wrong.front());
    facts.open_attempts = books.open_attempts();
    facts.debits = books.debits();
    facts.credits = books.credits();
    return facts;
}

Result<BackupFacts> prove_with(const fs::path& folder, const Manifest& manifest) {
    ENTREPOT_TRY_DO(check_files(folder, manifest));
    ENTREPOT_TRY(BackupFacts facts, prove_books_in(folder, manifest.facts.position));
    facts.made = manifest.facts.made;
    facts.bytes = manifest.facts.bytes;
    if (facts == manifest.facts) return facts;
    return damaged(folder / kManifest,
        fmt::format("it says {} debited up to {}, the books in it {} up to {}",
            manifest.facts.debits.to_decimal(), manifest.facts.position, facts.debits.to_decimal(),
            facts.position));
}

Status make_empty(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (!error && !fs::is_empty(folder, error) && !error) {
        return fail(ErrorCode::kInvalidField,
            fmt::format(
                "{} is not empty: name a folder that is, or is not there", folder.string()));
    }
    if (!error) fs::permissions(folder, fs::perms::owner_all, error);
    if (!error) fs::create_directory(folder / "journal", error);
    if (error)
        return fail(
            ErrorCode::kIo, fmt::format("cannot make {}: {}", folder.string(), error.message()));
    return {};
}

Status force(const fs::path& path) {
    const int error = sync_path(path);
    if (error == 0) return {};
    return fail(
        ErrorCode::kIo, fmt::format("cannot sync {}: {}", path.string(), std::strerror(error)));
}

}  // namespace

Result<BackupFacts> make_backup(const BackupSource& from, Instant now) {
    const fs::path& folder = from.folder;
    ENTREPOT_TRY_DO(make_empty(folder));
    // What keeps holds alive first: a hold it does not know yet ends as after a crash, at its
    // bound.
    {
        ENTREPOT_TRY(
            const Database kept, Database::open(from.data / "kept.db", Database::Mode::kReadWrite));
        ENTREPOT_TRY_DO(copy_database(kept, folder / "kept.db"));
    }
    {
        ENTREPOT_TRY(const Database books,
            Database::open(database_path(from.data), Database::Mode::kReadOnly));
        ENTREPOT_TRY_DO(copy_database(books, folder / "books.db"));
    }
    ENTREPOT_TRY(
        const Database copy, Database::open(folder / "books.db", Database::Mode::kReadOnly));
    ENTREPOT_TRY(const std::uint64_t books_position, position_of(copy));
    const std::uint64_t position = from.journal.end();
    ENTREPOT_TRY_DO(from.journal.copy_to(folder / "journal", books_position, position));
    Manifest manifest;
    ENTREPOT_TRY(manifest.facts, prove_books_in(folder, position));
    manifest.facts.made = now;
    ENTREPOT_TRY(const std::vector<std::string> names, names_in(folder));
    for (const std::string& name : names) {
        ENTREPOT_TRY_DO(force(folder / name));
        ENTREPOT_TRY(FileFacts facts, facts_of(folder, name));
        manifest.facts.bytes += facts.bytes;
        manifest.files.push_back(std::move(facts));
    }
    const fs::path part = folder / "manifest.part";
    ENTREPOT_TRY_DO(write_file(part, encode(manifest)));
    std::error_code error;
    fs::rename(part, folder / kManifest, error);
    if (error) return fail(ErrorCode::kIo, fmt::format("{}: {}", part.string(), error.message()));
    ENTREPOT_TRY_DO(force(folder));
    return manifest.facts;
}

Result<BackupFacts> prove_backup(const fs::path& folder) {
    ENTREPOT_TRY(const Manifest manifest, read_manifest(folder));
    return prove_with(folder, manifest);
}

Result<BackupFacts> restore_backup(const RestoreOptions& options) {
    const fs::path& data = options.data;
    ENTREPOT_TRY(const Manifest manifest, read_manifest(options.folder));
    ENTREPOT_TRY_DO(check_files(options.folder, manifest));
    ENTREPOT_TRY(const auto lock, DataLock::take(data));
    ENTREPOT_TRY_DO(Replacement::finish(data, options.files));
    std::error_code error;
    if (!options.replace &&
        (fs::exists(database_path(data), error) || fs::exists(data / "journal", error))) {
        return fail(ErrorCode::kInvalidField,
            fmt::format("there are books in {}: say --replace to put the backup in their place; "
                        "they are kept in {}",
                data.string(), replaced_path(data).string()));
    }
    ENTREPOT_TRY(const Replacement replacement, Replacement::begin(data, options.files));
    const fs::path& arriving = replacement.folder();
    const auto prepare = [&]() -> Result<BackupFacts> {
        fs::create_directory(arriving / "journal", error);
        for (const FileFacts& file : manifest.files) {
            if (error) break;
            fs::copy_file(options.folder / file.name, arriving / file.name, error);
        }
        if (error)
            return fail(ErrorCode::kIo,
                fmt::format("cannot copy {} to {}: {}", options.folder.string(), arriving.string(),
                    error.message()));
        ENTREPOT_TRY(const BackupFacts facts, prove_with(arriving, manifest));
        // The journal begins where these books stand: they are its base.
        ENTREPOT_TRY(
            Database books, Database::open(arriving / "books.db", Database::Mode::kReadOnly));
        ENTREPOT_TRY_DO(copy_projections(books, base_path(arriving)));
        return facts;
    };
    Result<BackupFacts> facts = prepare();
    if (facts) {
        if (const Status done = replacement.commit(); !done) return std::unexpected(done.error());
    } else {
        fs::remove_all(arriving, error);
    }
    return facts;
}

}  // namespace entrepot::store
