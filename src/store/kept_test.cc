#include "store/kept.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include "store/store_test_support.h"

namespace entrepot::store {
namespace {

using test::kNow;

Kept response(std::string id, std::string cloud = "openai", std::string key = "alice") {
    Kept thing;
    thing.id = std::move(id);
    thing.cloud = std::move(cloud);
    thing.model = "tiny";
    thing.key = std::move(key);
    thing.team = "search";
    thing.org = "acme";
    thing.made = kNow;
    thing.expires = kNow + std::chrono::hours(24);
    return thing;
}

Kept file(std::string id, nanoseconds later = {}, std::string key = "alice") {
    Kept thing = response(std::move(id), "openai", std::move(key));
    thing.kind = KeptKind::kFile;
    thing.made = kNow + later;
    thing.expires = {};
    return thing;
}

TEST(Kept, WhatIsNotedIsFoundAtOnceAndAfterAnotherStart) {
    const test::Folder folder("kept-noted");
    {
        const auto store = KeptStore::open({.data = folder.path()});
        ASSERT_TRUE(store) << store.error().message;
        EXPECT_TRUE((*store)->note({response("resp_1"), response("resp_2")}));
        EXPECT_EQ((*store)->find("resp_1").value(), std::vector{response("resp_1")});
        EXPECT_TRUE((*store)->find("resp_3").value().empty());
    }
    const auto again = KeptStore::open({.data = folder.path()});
    EXPECT_EQ((*again)->find("resp_2").value(), std::vector{response("resp_2")});
}

// Servers that count from one give the same id to different things.
TEST(Kept, OneIdAtTwoCloudsIsTwoThingsAndAtOneCloudTheLast) {
    const test::Folder folder("kept-clouds");
    const auto opened = KeptStore::open({.data = folder.path()});
    KeptStore& store = **opened;
    EXPECT_TRUE(store.note({response("resp_1", "openai"), response("resp_1", "lab")}));
    EXPECT_EQ(store.find("resp_1")->size(), 2u);
    EXPECT_TRUE(store.note({response("resp_1", "lab", "bob")}));
    ASSERT_TRUE(store.flush());
    const std::vector<Kept> found = store.find("resp_1").value();
    ASSERT_EQ(found.size(), 2u);
    for (const Kept& thing : found) EXPECT_EQ(thing.key, thing.cloud == "lab" ? "bob" : "alice");
    EXPECT_TRUE(store.remove("resp_1", "lab").value());
    EXPECT_FALSE(store.remove("resp_1", "lab").value());
    EXPECT_EQ(store.find("resp_1")->size(), 1u);
}

TEST(Kept, ListsAreOfOneKindAndOneOwnerNewestFirst) {
    const test::Folder folder("kept-lists");
    const auto opened = KeptStore::open({.data = folder.path()});
    KeptStore& store = **opened;
    ASSERT_TRUE(store.put(file("file-1")));
    ASSERT_TRUE(store.put(file("file-2", seconds(2))));
    ASSERT_TRUE(store.put(file("file-3", seconds(1), "bob")));
    ASSERT_TRUE(store.note({response("resp_1")}));
    const std::vector<Kept> own = store.list({.key = "alice", .team = "search"}).value();
    ASSERT_EQ(own.size(), 2u);
    EXPECT_EQ(own[0].id, "file-2");
    EXPECT_EQ(own[1].id, "file-1");
    EXPECT_EQ(store.list({.team = "search"})->size(), 3u);
    EXPECT_TRUE(store.list({.org = "other"})->empty());
    EXPECT_TRUE(store.list({.kind = KeptKind::kBatch})->empty());
}

TEST(Kept, WhatHasExpiredGoesAndWhatIsStillHeldStays) {
    const test::Folder folder("kept-expiry");
    const auto opened = KeptStore::open({.data = folder.path()});
    KeptStore& store = **opened;
    Kept held = response("resp_held");
    held.exchange = ExchangeId::make(kNow, {1, 2}).to_string();
    ASSERT_TRUE(store.put(held));
    ASSERT_TRUE(store.put(file("file-1")));
    ASSERT_TRUE(store.note({response("resp_1")}));
    ASSERT_TRUE(store.flush());
    const Instant late = kNow + std::chrono::hours(25);
    ASSERT_TRUE(store.prune(late));
    EXPECT_TRUE(store.find("resp_1")->empty());
    EXPECT_EQ(store.find("file-1")->size(), 1u) << "a file stays until it is deleted";
    EXPECT_EQ(store.held()->size(), 1u);
    ASSERT_TRUE(store.end_hold("resp_held", "openai"));
    EXPECT_TRUE(store.held()->empty());
    ASSERT_TRUE(store.prune(late));
    EXPECT_TRUE(store.find("resp_held")->empty());
}

TEST(Kept, TheOldestGoWhereThereAreTooMany) {
    const test::Folder folder("kept-many");
    const auto opened = KeptStore::open({.data = folder.path(), .rows_max = 10});
    KeptStore& store = **opened;
    ASSERT_TRUE(store.put(file("file-1")));
    for (int i = 0; i < 30; ++i) {
        Kept thing = response(fmt::format("resp_{}", i));
        thing.expires = thing.expires + seconds(i);
        ASSERT_TRUE(store.note({thing}));
    }
    ASSERT_TRUE(store.flush());
    ASSERT_TRUE(store.prune(kNow));
    EXPECT_TRUE(store.find("resp_0")->empty());
    EXPECT_EQ(store.find("resp_29")->size(), 1u);
    EXPECT_EQ(store.find("file-1")->size(), 1u);
}

// What is made by name is bounded where it is made, and takes nobody's answers with it.
TEST(Kept, FilesAndConversationsPushNoAnswersOut) {
    const test::Folder folder("kept-pushed");
    const auto opened = KeptStore::open({.data = folder.path(), .rows_max = 10});
    KeptStore& store = **opened;
    ASSERT_TRUE(store.note({response("resp_1")}));
    for (int i = 0; i < 30; ++i) {
        Kept thing = file(fmt::format("conv_{}", i));
        thing.kind = KeptKind::kConversation;
        ASSERT_TRUE(store.put(thing));
    }
    ASSERT_TRUE(store.prune(kNow));
    EXPECT_EQ(store.find("resp_1")->size(), 1u);
    EXPECT_EQ(store.find("conv_0")->size(), 1u);
}

TEST(Kept, WhatIsReplacedOrRemovedCountsOnce) {
    const test::Folder folder("kept-once");
    const auto opened = KeptStore::open({.data = folder.path(), .rows_max = 3});
    KeptStore& store = **opened;
    ASSERT_TRUE(store.put(response("resp_1")));
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(store.put(response("resp_2")));
        ASSERT_TRUE(store.put(response("resp_3")));
        ASSERT_TRUE(store.remove("resp_3", "openai").value());
    }
    ASSERT_TRUE(store.prune(kNow));
    EXPECT_EQ(store.find("resp_1")->size(), 1u);
    EXPECT_EQ(store.find("resp_2")->size(), 1u);
}

TEST(Kept, WhatOneKeyHasIsCounted) {
    const test::Folder folder("kept-counted");
    const auto opened = KeptStore::open({.data = folder.path()});
    KeptStore& store = **opened;
    ASSERT_TRUE(store.note({file("a"), file("b"), file("c"), file("d", {}, "bob"), response("e")}));
    KeptStore::Query query{
        .kind = KeptKind::kFile, .key = "alice", .team = "search", .org = "acme"};
    EXPECT_EQ(store.count(query).value(), 3u);
    query.count_max = 2;
    EXPECT_EQ(store.count(query).value(), 2u);
    query.org = "other";
    EXPECT_EQ(store.count(query).value(), 0u);
}

TEST(Kept, TooMuchThatWaitsIsForgottenAndSaidSo) {
    const test::Folder folder("kept-waiting");
    const auto opened = KeptStore::open({.data = folder.path(), .waiting_max = 3});
    KeptStore& store = **opened;
    EXPECT_FALSE(store.note({response("a"), response("b"), response("c"), response("d")}));
    EXPECT_TRUE(store.find("a")->empty());
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(store.note({response("a")})) << "the same again takes no more room";
    }
}

// The one promise that needs the disk: what is put is there after kill -9.
TEST(Kept, WhatIsPutSurvivesTheEndOfTheProcess) {
    const test::Folder folder("kept-kill");
    const pid_t child = ::fork();
    if (child == 0) {
        const auto store = KeptStore::open({.data = folder.path()});
        Kept held = response("resp_held");
        held.exchange = ExchangeId::make(kNow, {1, 2}).to_string();
        if (!(*store)->put(held)) ::_exit(1);
        ::raise(SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(held_exchanges(folder.path()).value(), std::vector{ExchangeId::make(kNow, {1, 2})});
}

// A batch lasts a day, and a gateway is restarted more often than that.
TEST(Kept, AHoldThatAKeptThingNamesOutlivesACrash) {
    const test::Folder folder("kept-hold");
    const ExchangeId kept = ExchangeId::make(kNow, {1, 2});
    const ExchangeId lost = ExchangeId::make(kNow, {3, 4});
    {
        auto books = Books::open(test::small_books(folder.path()), kNow).value();
        const auto path = books->path("alice", "search", "acme").value();
        const auto route = books->route("tiny", "tiny/a", "openai").value();
        for (const ExchangeId& id : {kept, lost}) {
            ledger::HoldRequest hold;
            hold.exchange = id;
            hold.path = path;
            hold.route = route;
            hold.amount = test::usd("1.00");
            hold.dispatch = kNow;
            ASSERT_TRUE(books->hold(hold));
        }
        const auto store = KeptStore::open({.data = folder.path()}).value();
        Kept thing = response("resp_1");
        thing.exchange = kept.to_string();
        ASSERT_TRUE(store->put(thing));
    }
    auto books = Books::open(test::small_books(folder.path()), kNow + seconds(9)).value();
    ASSERT_EQ(books->recovery().unverified.size(), 1u);
    EXPECT_EQ(books->recovery().unverified[0].exchange, lost);
    EXPECT_EQ(books->stats().open_attempts, 1u);
    ledger::SettleRequest settle;
    settle.cost = settle.list_cost = test::usd("0.25");
    settle.at = kNow + seconds(10);
    EXPECT_EQ(books->settle(kept, 1, settle)->returned, test::usd("0.75"));
    EXPECT_TRUE(books->verify().ok());
}

}  // namespace
}  // namespace entrepot::store
