#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "runtime/cores.h"
#include "runtime/mailbox.h"
#include "runtime/scope.h"
#include "runtime/snapshot.h"

namespace entrepot {
namespace {

using namespace std::chrono_literals;

struct Ring : TimerNode {
    int fired = 0;
    Ring() {
        fire = [](TimerNode& node) { ++static_cast<Ring&>(node).fired; };
    }
};

TEST(TimerWheel, FiresAtItsTimeOrOneTickLateAndNeverEarly) {
    TimerWheel wheel;
    const MonotonicTime start{1'000'000'000'000};
    wheel.advance(start);
    for (const std::int64_t delay_ms : {1, 15, 16, 17, 100, 5'000, 8'192, 20'000, 100'000}) {
        Ring ring;
        const MonotonicTime due = start + std::chrono::milliseconds(delay_ms);
        TimerWheel own;
        own.advance(start);
        own.arm(ring, due);
        MonotonicTime now = start;
        while (ring.fired == 0) {
            const int timeout = own.timeout_ms(now);
            ASSERT_GE(timeout, 0);
            now = now + std::chrono::milliseconds(std::max(timeout, 1));
            own.advance(now);
            ASSERT_LT(now, due + nanoseconds(2 * TimerWheel::kTickNs)) << delay_ms;
        }
        EXPECT_GE(now, due) << delay_ms;
        EXPECT_LE(now, due + nanoseconds(2 * TimerWheel::kTickNs)) << delay_ms;
        EXPECT_EQ(own.timeout_ms(now), -1);
    }
}

TEST(TimerWheel, ADisarmedTimerDoesNotFireAndDoesNotKeepTheLoopAwake) {
    TimerWheel wheel;
    const MonotonicTime start{5'000'000'000};
    wheel.advance(start);
    Ring ring;
    wheel.arm(ring, start + 50ms);
    TimerWheel::disarm(ring);
    EXPECT_EQ(wheel.timeout_ms(start), -1);
    wheel.advance(start + 1s);
    EXPECT_EQ(ring.fired, 0);
}

TEST(TimerWheel, ADeadlineThatHasPassedFiresAtTheNextTickNotAfterARound) {
    TimerWheel wheel;
    const MonotonicTime start{5'000'000'000};
    wheel.advance(start);
    Ring ring;
    wheel.arm(ring, MonotonicTime{start.ns - 1'000'000'000});
    wheel.advance(start + 16ms);
    EXPECT_EQ(ring.fired, 1);
}

TEST(Core, SleepEndsAfterItsDeadline) {
    Core core;
    core.run_until_done([](Core& at) -> Co<void> {
        const MonotonicTime before = monotonic_now();
        const Until until{at.after(40ms), nullptr};
        const Result<void> slept = co_await at.sleep(until);
        EXPECT_TRUE(slept);
        EXPECT_GE((monotonic_now() - before).count(), nanoseconds(40ms).count());
        EXPECT_LT((monotonic_now() - before).count(), nanoseconds(1s).count());
    }(core));
}

TEST(Cancel, WakesWithItsReasonAndStays) {
    Core core;
    core.run_until_done([](Core& at) -> Co<void> {
        Cancel cancel;
        Scope scope(at);
        auto waits = [](Core& inner, Cancel& by) -> Co<void> {
            const Until until{inner.after(10s), &by};
            const Result<void> slept = co_await inner.sleep(until);
            EXPECT_FALSE(slept);
            EXPECT_EQ(slept ? ErrorCode::kInternal : slept.error().code, ErrorCode::kClientGone);
        };
        scope.spawn(waits(at, cancel));
        scope.spawn(waits(at, cancel));
        co_await at.yield();
        cancel.cancel(ErrorCode::kClientGone);
        cancel.cancel(ErrorCode::kDraining);  // the first reason stays
        co_await scope.join();
        co_await waits(at, cancel);  // and later waits fail at once
    }(core));
}

// How an object without a coroutine waits.
TEST(Waiter, CallsOnceWithHowTheWaitEndedAndNotAtAllWhenForgotten) {
    struct Told {
        int times = 0;
        Wake wake;
        static void tell(void* self, Wake how) {
            auto& told = *static_cast<Told*>(self);
            ++told.times;
            told.wake = how;
        }
    };
    Core core;
    core.run_until_done([](Core& at) -> Co<void> {
        Waiter waiters[5];
        Told told[5];
        Cancel cancel;
        waiters[0].call(Until{}, Told::tell, &told[0]);
        waiters[0].wake();
        waiters[1].call(Until{at.after(5ms), nullptr}, Told::tell, &told[1]);
        waiters[2].call(Until{{}, &cancel}, Told::tell, &told[2]);
        cancel.cancel(ErrorCode::kClientGone);
        waiters[3].call_next_turn(Told::tell, &told[3]);
        waiters[4].call(Until{at.after(5ms), nullptr}, Told::tell, &told[4]);
        waiters[4].wake();
        waiters[4].forget();          // due already
        EXPECT_EQ(told[0].times, 0);  // only from the loop
        const Until moment{at.after(40ms), nullptr};
        const Result<void> slept = co_await at.sleep(moment);
        EXPECT_TRUE(slept);
        for (int i = 0; i < 4; ++i) EXPECT_EQ(told[i].times, 1) << i;
        EXPECT_TRUE(told[0].wake.ready && told[3].wake.ready);
        EXPECT_EQ(told[1].wake.reason, ErrorCode::kRequestTimeout);
        EXPECT_EQ(told[2].wake.reason, ErrorCode::kClientGone);
        EXPECT_EQ(told[4].times, 0);
        waiters[4].call_next_turn(Told::tell, &told[4]);  // and it can wait anew
        for (int i = 0; i < 3; ++i) co_await at.yield();
        EXPECT_EQ(told[4].times, 1);
    }(core));
}

TEST(Scope, CancelReachesAWaitThatWasNotToldOfIt) {
    Core core;
    core.run_until_done([](Core& at) -> Co<void> {
        Scope scope(at);
        int ended = 0;
        auto child = [](Core& inner, int& count) -> Co<void> {
            const Until forever{};
            const Result<void> slept = co_await inner.sleep(forever);
            EXPECT_FALSE(slept);
            EXPECT_EQ(slept ? ErrorCode::kInternal : slept.error().code, ErrorCode::kDraining);
            const Until moment{inner.after(1ms), nullptr};  // cleaning up may still wait
            const Result<void> again = co_await inner.sleep(moment);
            EXPECT_TRUE(again);
            ++count;
        };
        for (int i = 0; i < 5; ++i) scope.spawn(child(at, ended));
        co_await at.yield();
        EXPECT_EQ(scope.size(), 5U);
        scope.cancel(ErrorCode::kDraining);
        co_await scope.join();
        EXPECT_EQ(ended, 5);
    }(core));
}

TEST(Mailbox, MovesEveryValueInOrderAndRefusesWhenFull) {
    Core core;
    Mailbox<int> box(core, 100);
    constexpr int kCount = 20'000;
    std::thread sender([&] {
        for (int i = 0; i < kCount;) {
            if (box.send(i)) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    });
    core.run_until_done([](Core& at, Mailbox<int>& from) -> Co<void> {
        for (int i = 0; i < kCount; ++i) {
            const Until until{at.after(20s), nullptr};
            const Result<int> got = co_await from.receive(until);
            EXPECT_TRUE(got);
            if (!got) co_return;
            EXPECT_EQ(*got, i);
        }
    }(core, box));
    sender.join();
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(box.send(i));
    EXPECT_FALSE(box.send(100));
}

TEST(Cores, EachRunsItsSetupOnItsOwnThreadAndStops) {
    Cores cores(3);
    std::atomic<int> ready{0};
    cores.start([&](Core& core) {
        EXPECT_EQ(Core::current(), &core);
        ready.fetch_add(1);
    });
    while (ready.load() < 3) std::this_thread::yield();
    std::atomic<int> sum{0};
    for (std::size_t i = 0; i < cores.size(); ++i)
        for (int n = 0; n < 1000; ++n) cores[i].post([&sum] { sum.fetch_add(1); });
    while (sum.load() < 3000) std::this_thread::yield();
    cores.stop();
    EXPECT_EQ(Cores::usable_cpus() >= 1, true);
}

TEST(Snapshot, AReaderSeesTheNewestAndKeepsWhatItCopied) {
    Snapshot<int> snapshot(std::make_shared<const int>(1));
    Snapshot<int>::Reader reader(snapshot);
    const std::shared_ptr<const int> old = reader.get();
    snapshot.publish(std::make_shared<const int>(2));
    EXPECT_EQ(*reader.get(), 2);
    EXPECT_EQ(*old, 1);
}

TEST(Random, IsTheGeneratorItClaimsToBeAndStaysInBounds) {
    Random a(42), b(42), c(43);
    EXPECT_EQ(a(), b());
    EXPECT_NE(a(), c());
    std::array<int, 7> counts{};
    for (int i = 0; i < 70'000; ++i) ++counts[a.below(7)];
    for (const int count : counts) EXPECT_NEAR(count, 10'000, 600);
}

TEST(Core, TellsTheDateAsHttpWritesIt) {
    Core core;
    const std::string_view date = core.http_date();
    ASSERT_EQ(date.size(), 29U);
    EXPECT_EQ(date.substr(3, 2), ", ");
    EXPECT_EQ(date.substr(25), " GMT");
}

}  // namespace
}  // namespace entrepot
