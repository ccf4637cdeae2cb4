// Copies of the books while they are in use; what is damaged is refused by name.
#include "store/backup.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "store/kept.h"
#include "store/projections.h"
#include "store/rebuild.h"
#include "store/replacement.h"
#include "store/settings.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

namespace fs = std::filesystem;

using test::Folder;
using test::kNow;
using test::small_books;
using test::usd;

/// Books in use by a thread of their own, as a gateway's core does.
class Used {
public:
    explicit Used(const BooksOptions& options) {
        Result<std::unique_ptr<Books>> opened = Books::open(options, kNow);
        EXPECT_TRUE(opened) << opened.error().message;
        books_ = *std::move(opened);
        EXPECT_TRUE(books_->set_budgets(test::wide_budgets()));
        thread_ = std::thread([this] { run(); });
    }
    ~Used() { stop(); }
    Used(const Used&) = delete;
    Used& operator=(const Used&) = delete;
    void stop() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    [[nodiscard]] const Books& books() const { return *books_; }
    [[nodiscard]] std::uint64_t exchanges() const { return n_; }

private:
    void run() {
        for (; !stop_; ++n_) {
            while (!test::hold(*books_, n_, usd("2.00"))) books_->tick(kNow);
            if (!test::settle(*books_, n_, usd("1.00")) || !test::close(*books_, n_)) ++failed_;
            if (n_ % 50 == 0) books_->tick(kNow + seconds(static_cast<std::int64_t>(n_ / 10)));
            if (n_ % 200 == 0) std::this_thread::sleep_for(milliseconds(1));
        }
        EXPECT_EQ(failed_, 0);
    }
    std::unique_ptr<Books> books_;
    std::atomic<std::uint64_t> n_{0};
    std::atomic<bool> stop_{false};
    std::uint64_t failed_ = 0;
    std::thread thread_;
};

BooksOptions books_in(const fs::path& data) {
    BooksOptions options = small_books(data);
    options.segment_bytes = 256 * 1024;
    options.journal_bytes_max = 8 * options.segment_bytes;
    return options;
}

TEST(Backup, OfBooksInUseIsRestoredToWhatTheyWereThen) {
    const Folder folder("backup-use");
    const fs::path data = folder.path() / "data";
    BackupFacts facts;
    {
        Used used(books_in(data));
        const auto settings = SettingsStore::open(data);
        ASSERT_TRUE((*settings)->put({"key", "mine", "{}", kNow}));
        for (int i = 0; i < 3; ++i) {
            const std::uint64_t wanted = used.exchanges() + 50;
            while (used.exchanges() < wanted) std::this_thread::sleep_for(milliseconds(5));
            const fs::path to = folder.path() / fmt::format("backup-{}", i);
            const Result<BackupFacts> made = used.books().backup(to, kNow);
            ASSERT_TRUE(made) << made.error().message;
            EXPECT_GT(made->position, facts.position);
            EXPECT_GE(made->position, made->books_position);
            EXPECT_EQ(made->debits, made->credits);
            facts = *made;
            EXPECT_EQ(prove_backup(to).value(), facts);
        }
        EXPECT_GT(used.exchanges(), 100);
        const Result<BackupFacts> again = used.books().backup(folder.path() / "backup-0", kNow);
        ASSERT_FALSE(again) << "a backup is never written over";
        EXPECT_EQ(again.error().code, ErrorCode::kInvalidField);
    }
    const fs::path elsewhere = folder.path() / "elsewhere";
    const RestoreOptions restore{folder.path() / "backup-2", elsewhere, false, nullptr};
    const Result<BackupFacts> restored = restore_backup(restore);
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(*restored, facts);
    {
        Result<std::unique_ptr<Books>> books = Books::open(books_in(elsewhere), kNow);
        ASSERT_TRUE(books) << books.error().message;
        Money unverified;
        for (const UnverifiedAttempt& attempt : (*books)->recovery().unverified)
            unverified += attempt.amount;
        const VerifyReport proof = (*books)->verify();
        EXPECT_TRUE(proof.ok()) << proof.differences.front();
        EXPECT_EQ(proof.debits, facts.debits + unverified);
        EXPECT_EQ((*books)->recovery().unverified.size(), facts.open_attempts);
        // Life goes on, with a journal of its own.
        ASSERT_TRUE((*books)->set_budgets(test::wide_budgets()));
        for (std::uint64_t n = 1'000'000; n < 1'000'100; ++n) {
            ASSERT_TRUE(test::hold(**books, n, usd("2.00")));
            ASSERT_TRUE(test::settle(**books, n, usd("1.00")));
        }
        EXPECT_TRUE((*books)->verify().ok());
    }
    EXPECT_TRUE((*SettingsStore::open(elsewhere))->get("key", "mine").value().has_value());
    const Result<RebuildReport> rebuilt = rebuild_books({.data = elsewhere}, kNow);
    ASSERT_TRUE(rebuilt) << rebuilt.error().message;
    EXPECT_TRUE(rebuilt->differences.empty()) << rebuilt->differences.front();
    EXPECT_EQ(rebuilt->old_unread, "");

    // Over books that are there: only when told so, and they are kept.
    EXPECT_EQ(restore_backup(restore).error().code, ErrorCode::kInvalidField);
    const RestoreOptions over{folder.path() / "backup-0", elsewhere, true, nullptr};
    ASSERT_TRUE(restore_backup(over));
    EXPECT_TRUE(fs::exists(replaced_path(elsewhere) / "books.db"));
    EXPECT_TRUE(fs::exists(replaced_path(elsewhere) / "journal"));
    Result<std::unique_ptr<Books>> books = Books::open(books_in(elsewhere), kNow);
    ASSERT_TRUE(books) << books.error().message;
    EXPECT_LT((*books)->verify().debits, facts.debits);
    EXPECT_EQ(restore_backup(over).error().code, ErrorCode::kStoreLocked) << "beside a gateway";
}

TEST(Backup, ThatIsDamagedIsRefusedByName) {
    const Folder folder("backup-bad");
    const fs::path data = folder.path() / "data";
    const fs::path whole = folder.path() / "whole";
    {
        Used used(books_in(data));
        std::this_thread::sleep_for(milliseconds(50));
        used.stop();
        ASSERT_TRUE(used.books().backup(whole, kNow));
    }
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(whole))
        if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), whole));
    ASSERT_GE(names.size(), 4);
    enum class How { kGone, kShort, kFlipped };
    for (const std::string& name : names) {
        for (const How how : {How::kGone, How::kShort, How::kFlipped}) {
            SCOPED_TRACE(fmt::format("{} {}", name, static_cast<int>(how)));
            const fs::path bad = folder.path() / "bad";
            const fs::path target = folder.path() / "target";
            fs::remove_all(bad);
            fs::remove_all(target);
            fs::copy(whole, bad, fs::copy_options::recursive);
            const std::uint64_t size = fs::file_size(bad / name);
            if (how == How::kGone) fs::remove(bad / name);
            if (how == How::kShort) fs::resize_file(bad / name, size - size / 3 - 1);
            if (how == How::kFlipped) {
                std::fstream file(bad / name, std::ios::in | std::ios::out | std::ios::binary);
                file.seekg(static_cast<std::streamoff>(size / 2));
                const auto byte = static_cast<char>(file.get() ^ 4);
                file.seekp(static_cast<std::streamoff>(size / 2));
                file.put(byte);
            }
            const Result<BackupFacts> restored = restore_backup({bad, target, false, nullptr});
            ASSERT_FALSE(restored);
            EXPECT_NE(restored.error().message.find(bad.string()), std::string::npos)
                << restored.error().message;
            if (name != "manifest.json") {
                EXPECT_NE(restored.error().message.find(name), std::string::npos)
                    << restored.error().message;
            }
            EXPECT_FALSE(fs::exists(database_path(target)));
            EXPECT_FALSE(fs::exists(target / "journal"));
        }
    }
    EXPECT_EQ(prove_backup(folder.path() / "nowhere").error().code, ErrorCode::kNotFound);
}

/// Fails at the Nth step.
class FailAt final : public FileOps {
public:
    explicit FailAt(int n) : left_(n) {}
    int before(Step) override { return left_-- == 1 ? EIO : 0; }
    [[nodiscard]] bool came() const { return left_ <= 0; }

private:
    std::atomic<int> left_;
};

TEST(Backup, WhoseRestoreStopsAnywhereLeavesOldBooksOrNew) {
    const Folder folder("backup-stop");
    const fs::path data = folder.path() / "data";
    const fs::path backup = folder.path() / "backup";
    BackupFacts facts;
    {
        Used used(books_in(data));
        std::this_thread::sleep_for(milliseconds(30));
        used.stop();
        facts = used.books().backup(backup, kNow).value();
    }
    bool came = true;
    int n = 1;
    for (; came; ++n) {
        SCOPED_TRACE(n);
        const fs::path target = folder.path() / "target";
        fs::remove_all(target);
        {
            Used used(books_in(target));
            std::this_thread::sleep_for(milliseconds(5));
        }
        Money before;
        {
            Result<std::unique_ptr<Books>> books = Books::open(books_in(target), kNow);
            before = (*books)->verify().debits;
        }
        FailAt files(n);
        const Result<BackupFacts> restored = restore_backup({backup, target, true, &files});
        came = files.came();
        Result<std::unique_ptr<Books>> books = Books::open(books_in(target), kNow);
        ASSERT_TRUE(books) << books.error().message;
        const VerifyReport proof = (*books)->verify();
        ASSERT_TRUE(proof.ok()) << proof.differences.front();
        EXPECT_TRUE(proof.debits == facts.debits || (!restored && proof.debits == before));
        if (restored) {
            EXPECT_EQ(proof.debits, facts.debits);
        }
    }
    EXPECT_GT(n, 8);
}

}  // namespace
}  // namespace entrepot::store
