#include "runtime/core.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/check.h"

namespace entrepot {

namespace {

thread_local Core* t_core = nullptr;

constexpr std::size_t kIdleBuffersMax = 64;  // 1 MiB per core
constexpr int kEventsPerTurn = 256;

Co<void> rooted(Co<void> work) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await std::move(work);
}

}  // namespace

struct Core::Collected {
    std::array<epoll_event, kEventsPerTurn> events;
    int count = 0;
    int at = 0;
};

// The context is Asio's without locks: nothing but this thread touches it, `post` goes through our
// own mailbox.
Core::Core(unsigned index)
    : io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE),
      work_(io_.get_executor()),
      index_(index),
      random_(Random::seeded()),
      collected_(std::make_unique<Collected>()) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    wakeup_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ENTREPOT_CHECK(epoll_ >= 0 && wakeup_ >= 0);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;  // never read: each write to it is an edge of its own
    event.data.ptr = nullptr;
    ENTREPOT_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, wakeup_, &event) == 0);
    read_clocks();
}

Core::~Core() {
    ::close(wakeup_);
    ::close(epoll_);
}

Core* Core::current() { return t_core; }

void Core::read_clocks() {
    now_ = monotonic_now();
    if (now_.ns - wall_checked_ns_ > 100'000'000 || wall_checked_ns_ == 0) {
        wall_offset_ns_ = wall_now().ns - now_.ns;
        wall_checked_ns_ = now_.ns;
    }
}

void Core::run() {
    Core* const before = std::exchange(t_core, this);
    while (!stopping_.load(std::memory_order_acquire)) turn(timers_.timeout_ms(now_));
    stopping_.store(false, std::memory_order_relaxed);
    t_core = before;
}

void Core::run_until_done(Co<void> root) {
    Core* const before = std::exchange(t_core, this);
    bool done = false;
    spawn(std::move(root), [](void* flag) { *static_cast<bool*>(flag) = true; }, &done);
    turn(0);
    while (!done) turn(timers_.timeout_ms(now_));
    t_core = before;
}

void Core::stop() {
    stopping_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wakeup_, &one, sizeof one);
}

void Core::post(std::function<void()> work) {
    bool first = false;
    {
        const std::lock_guard lock(posted_mutex_);
        first = posted_.empty();
        posted_.push_back(std::move(work));
    }
    if (!first) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wakeup_, &one, sizeof one);
}

void Core::drain_posted() {
    std::vector<std::function<void()>> taken;
    {
        const std::lock_guard lock(posted_mutex_);
        taken.swap(posted_);
    }
    for (std::function<void()>& work : taken) work();
}

// Everything resumes inside one handler of the io_context, where Asio recycles coroutine frames.
void Core::turn(int timeout_ms) {
    if (!next_turn_.empty()) timeout_ms = 0;
    const int count = ::epoll_wait(epoll_, collected_->events.data(), kEventsPerTurn, timeout_ms);
    ENTREPOT_CHECK(count >= 0 || errno == EINTR);
    ++turns_;
    collected_->count = std::max(count, 0);
    collected_->at = 0;
    read_clocks();
    ready_.take(next_turn_);
    do {
        asio::post(io_, [this] { dispatch(); });
        io_.poll();
    } while (!ready_.empty());
}

void Core::dispatch() {
    while (collected_->at < collected_->count) {
        const epoll_event& event = collected_->events[static_cast<std::size_t>(collected_->at++)];
        if (event.data.ptr == nullptr) {
            drain_posted();
        } else if (event.data.ptr != this) {  // `this` marks an event that unwatch took back
            static_cast<Watched*>(event.data.ptr)->on_events(event.events);
        }
    }
    timers_.advance(now_);
    while (!ready_.empty()) {
        auto& link = static_cast<Waiter::Link&>(*ready_.front());
        link.unlink();
        Waiter& waiter = *link.owner;
        waiter.queued_ = false;
        waiter.resume_(waiter);
    }
}

void Core::enqueue_ready(Waiter& waiter) {
    waiter.ready_link_.owner = &waiter;
    ready_.push_back(waiter.ready_link_);
}

void Core::enqueue_next_turn(Waiter& waiter) {
    waiter.ready_link_.owner = &waiter;
    next_turn_.push_back(waiter.ready_link_);
}

Task<void> Core::sleep(Until until) {
    Waiter waiter;
    const Wake wake = co_await waiter.wait(until);
    if (!wake.ready && wake.reason != ErrorCode::kRequestTimeout)
        co_return fail(wake.reason, "stopped while waiting");
    co_return Result<void>();
}

Co<void> Core::yield() {
    Waiter waiter;
    co_await waiter.wait_turn();
}

void Core::spawn(Co<void> work, void (*done)(void*), void* argument) {
    asio::co_spawn(
        io_.get_executor(), rooted(std::move(work)), [done, argument](std::exception_ptr thrown) {
            if (thrown)
                std::rethrow_exception(
                    thrown);  // leaves the loop: a bug, which must not be swallowed
            done(argument);
        });
}

Status Core::watch(int descriptor, Watched& watched, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watched;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0)
        return fail(ErrorCode::kIo, "cannot watch a socket", std::strerror(errno));
    return {};
}

void Core::unwatch(const Watched& watched) {
    for (int i = collected_->at; i < collected_->count; ++i) {
        epoll_event& event = collected_->events[static_cast<std::size_t>(i)];
        if (event.data.ptr == &watched) event.data.ptr = this;
    }
}

ReadBuffer Core::take_read_buffer() {
    if (read_buffers_.empty()) return ReadBuffer(new char[kReadBufferBytes]);
    ReadBuffer buffer = std::move(read_buffers_.back());
    read_buffers_.pop_back();
    return buffer;
}

void Core::give_read_buffer(ReadBuffer buffer) {
    if (buffer && read_buffers_.size() < kIdleBuffersMax)
        read_buffers_.push_back(std::move(buffer));
}

std::string_view Core::http_date() {
    const std::int64_t second = wall().ns / 1'000'000'000;
    if (second != date_second_) {
        date_second_ = second;
        const std::time_t time = second;
        std::tm parts{};
        ::gmtime_r(&time, &parts);
        std::strftime(date_, sizeof date_, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
    return {date_, 29};
}

}  // namespace entrepot
