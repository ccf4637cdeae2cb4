#include "store/audit_log.h"

#include <gtest/gtest.h>

#include "crypto/hash.h"
#include "store/settings.h"
#include "store/sqlite.h"
#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

const AuditBy kAlice{test::kNow, "alice", "cli"};

std::unique_ptr<SettingsStore> opened(const test::Folder& folder) {
    return SettingsStore::open(folder.path()).value();
}

TEST(ChangesBetween, TellsWhatCameWentAndChangedInTheOrderOfPaths) {
    const StatedValues before{{"a", "1"}, {"b", "2"}, {"d", "4"}};
    const StatedValues after{{"b", "2"}, {"c", "3"}, {"d", "5"}};
    const auto changes = changes_between(before, after, kAlice);
    ASSERT_EQ(changes.size(), 3U);
    EXPECT_EQ(changes[0].path, "a");
    EXPECT_EQ(changes[0].from, "1");
    EXPECT_EQ(changes[0].to, std::nullopt);
    EXPECT_EQ(changes[1].path, "c");
    EXPECT_EQ(changes[1].from, std::nullopt);
    EXPECT_EQ(changes[1].to, "3");
    EXPECT_EQ(changes[2].from, "4");
    EXPECT_EQ(changes[2].to, "5");
    EXPECT_TRUE(changes_between(before, before, kAlice).empty());
}

TEST(AuditLog, ASettingAndItsRowsAreWrittenTogether) {
    const test::Folder folder("audit-put");
    const auto store = opened(folder);
    const std::vector<AuditEntry> rows{{kAlice, "keys.ci.team", std::nullopt, "t"}};
    ASSERT_TRUE(store->put({"key", "ci", "{}", test::kNow}, rows));
    const std::vector<AuditEntry> gone{{kAlice, "keys.ci.team", "t", std::nullopt}};
    EXPECT_TRUE(store->remove("key", "ci", gone).value());
    EXPECT_FALSE(store->remove("key", "ci", gone).value()) << "nothing changed, nothing is noted";
    const auto read = store->audit({}).value();
    ASSERT_EQ(read.size(), 2U);
    EXPECT_EQ(read[0].number, 1U);
    EXPECT_EQ(read[0].entry.by.actor, "alice");
    EXPECT_EQ(read[0].entry.by.cause, "cli");
    EXPECT_EQ(read[0].entry.from, std::nullopt);
    EXPECT_EQ(read[0].entry.to, "t");
    EXPECT_EQ(read[1].entry.to, std::nullopt);
    const AuditReport report = store->verify_audit().value();
    EXPECT_TRUE(report.ok());
    EXPECT_EQ(report.rows, 2U);
    EXPECT_EQ(report.head, read[1].hash);
}

// What docs/reference/audit.md says, so that anybody can check the chain.
TEST(AuditLog, TheHashIsOverTheRowBeforeAndEveryColumn) {
    const test::Folder folder("audit-hash");
    const auto store = opened(folder);
    const std::vector<AuditEntry> rows{{kAlice, "p", std::nullopt, "ü"}};
    ASSERT_TRUE(store->put({"key", "ci", "{}", test::kNow}, rows));
    const std::string before(64, '0');
    EXPECT_EQ(store->audit({}).value()[0].hash,
        crypto::hex(crypto::sha256(
            "64:" + before + ",1:1,19:1763900000000000000,5:alice,3:cli,1:p,-,2:ü,")));
}

TEST(AuditLog, TheFileIsComparedWithWhatItStatedLastAlsoByAnotherProcess) {
    const test::Folder folder("audit-file");
    const AuditBy start{test::kNow, "/etc/e.yaml", "start"};
    {
        const auto store = opened(folder);
        EXPECT_EQ(store->note_file({{"a", "1"}, {"b", "2"}}, start).value(), 2U);
        EXPECT_EQ(store->note_file({{"a", "1"}, {"b", "2"}}, start).value(), 0U);
    }
    const auto store = opened(folder);
    EXPECT_EQ(store->note_file({{"b", "3"}}, start).value(), 2U);
    const auto rows = store->audit({.after = 2}).value();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].entry.path, "a");
    EXPECT_EQ(rows[0].entry.to, std::nullopt);
    EXPECT_EQ(rows[1].entry.from, "2");
    EXPECT_EQ(rows[1].entry.to, "3");
}

TEST(AuditLog, IsAskedByTimeAndInPages) {
    const test::Folder folder("audit-pages");
    const auto store = opened(folder);
    for (int i = 0; i < 5; ++i) {
        const AuditBy by{test::kNow + seconds(i), "a", "start"};
        ASSERT_TRUE(store->note_file({{"x", std::to_string(i)}}, by));
    }
    EXPECT_EQ(store->audit({.since = test::kNow + seconds(1), .until = test::kNow + seconds(3)})
                  .value()
                  .size(),
        2U);
    const auto page = store->audit({.after = 1, .rows_max = 2}).value();
    ASSERT_EQ(page.size(), 2U);
    EXPECT_EQ(page[1].number, 3U);
}

class Tampered : public testing::Test {
protected:
    Tampered() : folder_("audit-tampered") {
        const auto store = opened(folder_);
        const StatedValues values{{"a", "1"}, {"b", "2"}, {"c", "3"}};
        EXPECT_TRUE(store->note_file(values, kAlice));
        head_ = store->verify_audit().value().head;
    }
    Status tamper(const char* sql) {
        Database database =
            Database::open(database_path(folder_.path()), Database::Mode::kReadWrite).value();
        return database.execute(sql);
    }
    AuditReport verified(std::string_view head = {}) {
        return opened(folder_)->verify_audit(head).value();
    }
    test::Folder folder_;
    std::string head_;
};

TEST_F(Tampered, TheDatabaseItselfRefusesToChangeOrRemoveARow) {
    for (const char* sql : {"UPDATE audit SET actor='bob'", "DELETE FROM audit WHERE number=2"}) {
        const Status refused = tamper(sql);
        ASSERT_FALSE(refused) << sql;
        EXPECT_NE(refused.error().message.find("only grows"), std::string::npos);
    }
    EXPECT_TRUE(verified(head_).ok());
}

TEST_F(Tampered, WhoRemovesTheGuardIsFoundOut) {
    const struct {
        const char* sql;
        const char* found;
    } kWays[] = {
        {"DROP TRIGGER audit_keeps_words; UPDATE audit SET became='9' WHERE number=2",
            "row 2 of the audit log (b) has the hash"},
        {"DROP TRIGGER audit_keeps_rows; DELETE FROM audit WHERE number=2",
            "row 2 is number 3: rows are missing"},
        {"DROP TRIGGER audit_keeps_rows; DELETE FROM audit WHERE number=3",
            "ends at row 2, 3 were written"},
    };
    for (const auto& way : kWays) {
        const test::Folder folder("audit-way");
        std::filesystem::copy(database_path(folder_.path()), database_path(folder.path()));
        Database database =
            Database::open(database_path(folder.path()), Database::Mode::kReadWrite).value();
        ASSERT_TRUE(database.execute(way.sql)) << way.sql;
        const AuditReport report = opened(folder)->verify_audit().value();
        ASSERT_FALSE(report.ok()) << way.sql;
        EXPECT_NE(report.differences[0].find(way.found), std::string::npos)
            << report.differences[0];
    }
}

// Who rewrites all of it, counter included, cannot make a hash that was noted elsewhere.
TEST_F(Tampered, AChainWrittenAnewLacksTheHeadThatWasNotedBefore) {
    ASSERT_TRUE(
        tamper("DROP TRIGGER audit_keeps_rows; DELETE FROM audit WHERE number=3; "
               "UPDATE meta SET value=2 WHERE name='audit_rows'"));
    EXPECT_TRUE(verified().ok());
    const AuditReport report = verified(head_);
    ASSERT_FALSE(report.ok());
    EXPECT_NE(report.differences[0].find("no row of the audit log has the hash " + head_),
        std::string::npos);
}

}  // namespace
}  // namespace entrepot::store
