#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "base/time.h"
#include "runtime/random.h"
#include "runtime/task.h"
#include "runtime/timer_wheel.h"
#include "runtime/waiter.h"

namespace entrepot {

/// A descriptor that a core watches, edge-triggered, registered once for reading and writing.
class Watched {
public:
    /// `events` are EPOLL* bits. Called from the loop; may destroy the watched object.
    virtual void on_events(std::uint32_t events) = 0;

protected:
    ~Watched() = default;
};

/// A buffer that a core lends to a connection between two waits. `kBytes` long.
using ReadBuffer = std::unique_ptr<char[]>;

/// One thread's event loop: an epoll set of our own under Asio's coroutines. Asio's reactor would
/// call epoll_ctl at every wait for readability; ours registers a descriptor once (docs/adr has the
/// figures). Thread rule: everything but `post` and `stop` belongs to the thread that runs it.
class Core {
public:
    static constexpr std::size_t kReadBufferBytes = 16 * 1024;

    explicit Core(unsigned index = 0);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// The core of this thread while it runs; null elsewhere.
    [[nodiscard]] static Core* current();

    /// Runs until `stop`. A core can be run again.
    void run();
    /// Runs until `root` has ended. For tests and small programs.
    void run_until_done(Co<void> root);
    /// Any thread.
    void stop();
    /// Any thread: runs `work` on this core's loop. Calls made in one turn share one wake-up.
    void post(std::function<void()> work);

    [[nodiscard]] unsigned index() const { return index_; }
    [[nodiscard]] Executor executor() { return io_.get_executor(); }
    /// Steady time of this turn of the loop.
    [[nodiscard]] MonotonicTime now() const { return now_; }
    /// Civil time of this turn of the loop.
    [[nodiscard]] Instant wall() const { return {now_.ns + wall_offset_ns_}; }
    [[nodiscard]] Deadline after(nanoseconds delay) const { return Deadline::after(now_, delay); }
    [[nodiscard]] Random& random() { return random_; }
    [[nodiscard]] TimerWheel& timers() { return timers_; }

    /// Suspends until `until.deadline` (then ok) or a cancel (then its reason).
    [[nodiscard]] Task<void> sleep(Until until);
    /// Lets everything else that is ready run first, also what the next look at the descriptors
    /// shows.
    [[nodiscard]] Co<void> yield();

    /// Starts a coroutine whose end is told to `done(argument)`. The caller owns the join: use
    /// Scope unless you count ends yourself. An exception that leaves `work` stops the process.
    void spawn(Co<void> work, void (*done)(void*), void* argument);

    /// Errors: kIo.
    [[nodiscard]] Status watch(int descriptor, Watched& watched, std::uint32_t events);
    /// Must precede close(), which takes the descriptor out of the epoll set; drops events already
    /// collected for it.
    void unwatch(const Watched& watched);

    [[nodiscard]] ReadBuffer take_read_buffer();
    void give_read_buffer(ReadBuffer buffer);

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, made once a second.
    [[nodiscard]] std::string_view http_date();

    /// System calls the loop itself made (epoll_wait), for benchmarks.
    [[nodiscard]] std::uint64_t turns() const { return turns_; }

private:
    friend class Waiter;
    friend class Scope;

    void read_clocks();
    void turn(int timeout_ms);
    void dispatch();
    void drain_posted();
    void enqueue_ready(Waiter& waiter);
    void enqueue_next_turn(Waiter& waiter);

    asio::io_context io_;
    asio::executor_work_guard<Executor> work_;
    unsigned index_;
    int epoll_ = -1;
    int wakeup_ = -1;
    std::atomic<bool> stopping_{false};
    MonotonicTime now_;
    std::int64_t wall_offset_ns_ = 0;
    std::int64_t wall_checked_ns_ = 0;
    std::int64_t date_second_ = -1;
    char date_[32] = {};
    Random random_;
    TimerWheel timers_;
    List ready_;
    List next_turn_;
    ErrorCode cancel_reason_ = ErrorCode::kCancelled;
    std::vector<ReadBuffer> read_buffers_;  // at most kIdleBuffersMax
    std::uint64_t turns_ = 0;
    struct Collected;
    std::unique_ptr<Collected> collected_;
    std::mutex posted_mutex_;
    std::vector<std::function<void()>> posted_;
};

}  // namespace entrepot
