// Bits of books.db are changed under SQLite: nobody may be told a figure that was never written.
#include "store/checked_vfs.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <fstream>
#include <random>

#include "store/books_db.h"
#include "store/projections.h"
#include "store/sqlite.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::Folder;
using test::kNow;
using test::small_books;
using test::usd;

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/// Books of some exchanges, all of it in one file.
void make_books(const BooksOptions& options) {
    {
        Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
        ASSERT_TRUE(books) << books.error().message;
        ASSERT_TRUE((*books)->set_budgets(test::wide_budgets()));
        for (std::uint64_t n = 0; n < 200; ++n) {
            ASSERT_TRUE((*books)->name(fmt::format("a name of some length, number {}", n)));
            ASSERT_TRUE(test::hold(**books, n, usd("2.00")));
            ASSERT_TRUE(test::settle(**books, n, usd("1.00")));
            ASSERT_TRUE(test::close(**books, n));
        }
    }
    Result<Database> database =
        Database::open(database_path(options.data), Database::Mode::kReadWrite);
    ASSERT_TRUE(database && database->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
}

TEST(CheckedPages, TellEachFlippedBit) {
    const Folder folder("checked-flip");
    const BooksOptions options = small_books(folder.path());
    make_books(options);
    const std::filesystem::path path = database_path(options.data);
    const std::string whole = read_file(path);
    constexpr std::size_t kPage = 4'096;
    ASSERT_EQ(whole.size() % kPage, 0);
    ASSERT_GT(whole.size(), 10 * kPage);
    std::mt19937_64 random(20'261'124);
    std::size_t found = 0;
    for (std::size_t page = 0; page < whole.size() / kPage; ++page) {
        std::string damaged = whole;
        // Beside the beginning of the first page, which says that there are checksums at all.
        const std::size_t at =
            page * kPage + (page == 0 ? 100 + random() % (kPage - 100) : random() % kPage);
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << random() % 8);
        const std::string_view written = std::string_view(whole).substr(page * kPage, kPage);
        if (written.find_first_not_of(char{}) == std::string_view::npos) continue;
        write_file(path, damaged);
        const Result<Database> database = Database::open(path, Database::Mode::kReadOnly);
        const Status checked =
            database ? database->check() : Status(std::unexpected(database.error()));
        ASSERT_FALSE(checked) << "a bit at " << at << " is taken for what was written";
        EXPECT_NE(
            checked.error().message.find(fmt::format("offset {}", page * kPage)), std::string::npos)
            << checked.error().message;
        EXPECT_NE(checked.error().message.find("ledger rebuild"), std::string::npos);
        ++found;
    }
    EXPECT_GT(found, 10);
}

TEST(CheckedPages, RefuseAStartThatWouldReadADamagedBalance) {
    const Folder folder("checked-start");
    const BooksOptions options = small_books(folder.path());
    make_books(options);
    const std::filesystem::path path = database_path(options.data);
    std::string bytes = read_file(path);
    // 200.00 settled, in pico-units as they stand in the row.
    const std::size_t at = bytes.find("200000000000000");
    ASSERT_NE(at, std::string::npos);
    bytes[at] = '1';
    write_file(path, bytes);
    const Result<std::unique_ptr<Books>> books = Books::open(options, kNow);
    ASSERT_FALSE(books);
    EXPECT_EQ(books.error().code, ErrorCode::kIo);
    EXPECT_NE(books.error().message.find("does not check"), std::string::npos)
        << books.error().message;
    EXPECT_EQ(read_file(path), bytes) << "nothing was changed";
}

// Larger than SQLite's cache: pages are written before the first one says how they are made.
TEST(CheckedPages, AreWholeInTheCopyOfALargeFile) {
    const Folder folder("checked-copy");
    Result<Database> database =
        Database::open(folder.path() / "large.db", Database::Mode::kReadWrite);
    ASSERT_TRUE(database) << database.error().message;
    ASSERT_TRUE(database->execute("CREATE TABLE t(a)"));
    ASSERT_TRUE(
        database->execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
                          "WHERE i<20000) INSERT INTO t SELECT hex(randomblob(400)) FROM "
                          "n"));
    const std::filesystem::path copy = folder.path() / "copy.db";
    ASSERT_TRUE(copy_database(*database, copy));
    ASSERT_GT(std::filesystem::file_size(copy), 8 << 20);
    const Result<Database> copied = Database::open(copy, Database::Mode::kReadOnly);
    ASSERT_TRUE(copied) << copied.error().message;
    const Status checked = copied->check();
    EXPECT_TRUE(checked) << checked.error().message;
}

TEST(CheckedPages, ReadAFileThatWasMadeWithoutThem) {
    const Folder folder("checked-old");
    const std::filesystem::path path = folder.path() / "old.db";
    {
        sqlite3* raw = nullptr;
        ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
        ASSERT_EQ(sqlite3_exec(
                      raw, "CREATE TABLE t(a); INSERT INTO t VALUES(7)", nullptr, nullptr, nullptr),
            SQLITE_OK);
        sqlite3_close(raw);
    }
    Result<Database> database = Database::open(path, Database::Mode::kReadWrite);
    ASSERT_TRUE(database) << database.error().message;
    ASSERT_TRUE(database->execute("INSERT INTO t VALUES(8)"));
    EXPECT_TRUE(database->check());
    Result<Statement> sum = database->prepare("SELECT SUM(a) FROM t");
    ASSERT_TRUE(sum && sum->step());
    EXPECT_EQ(sum->number(0), 15);
}

}  // namespace
}  // namespace entrepot::store
