#include "store/settings.h"

#include <gtest/gtest.h>

#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

TEST(Settings, AreListedReplacedAndRemovedByKindAndName) {
    const test::Folder folder("settings");
    const auto store = SettingsStore::open(folder.path());
    ASSERT_TRUE(store) << store.error().message;
    SettingsStore& settings = **store;
    EXPECT_EQ(settings.revision().value(), 0);
    ASSERT_TRUE(settings.put({"key", "b", R"({"team":"t"})", test::kNow}));
    ASSERT_TRUE(settings.put({"key", "a'; DROP TABLE settings; --", "{}", test::kNow}));
    ASSERT_TRUE(settings.put({"team", "b", "[]", test::kNow}));
    ASSERT_TRUE(settings.put({"key", "b", "{}", test::kNow + seconds(1)}));
    const auto keys = settings.list("key");
    ASSERT_EQ(keys->size(), 2);
    EXPECT_EQ((*keys)[0].name, "a'; DROP TABLE settings; --");
    EXPECT_EQ((*keys)[1].json, "{}");
    EXPECT_EQ((*keys)[1].updated, test::kNow + seconds(1));
    EXPECT_EQ(settings.get("team", "b").value()->json, "[]");
    EXPECT_FALSE(settings.get("team", "a").value());
    EXPECT_TRUE(settings.remove("key", "b").value());
    EXPECT_FALSE(settings.remove("key", "b").value());
    EXPECT_EQ(settings.revision().value(), 5) << "changes only";
}

TEST(Settings, AreSeenBesideTheBooksAndByAnotherConnection) {
    const test::Folder folder("settings-beside");
    const auto books = Books::open(test::small_books(folder.path()), test::kNow);
    ASSERT_TRUE(books);
    const auto one = SettingsStore::open(folder.path());
    const auto other = SettingsStore::open(folder.path());
    ASSERT_TRUE((*one)->put({"key", "k", "{}", test::kNow}));
    EXPECT_TRUE((*other)->get("key", "k").value());
    EXPECT_EQ((*other)->revision().value(), 1);
    EXPECT_TRUE((*books)->checkpoint());
}

}  // namespace
}  // namespace entrepot::store
