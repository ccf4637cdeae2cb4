#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "runtime/core.h"

namespace entrepot {

/// One thread for what would hold up an event loop: reading a file, an RSA signature. It begins
/// with the first work.
class SideThread {
public:
    static constexpr std::size_t kWaitingMax = 256;  ///< work not begun

    SideThread() = default;
    /// Waits for the work at hand; nobody may wait for any more.
    ~SideThread();
    SideThread(const SideThread&) = delete;
    SideThread& operator=(const SideThread&) = delete;

    /// Runs `work`, which returns a Result, there, and resumes here with what it returned. Never
    /// cancelled: the thread holds what is in the caller's frame. `work` is a named value; what it
    /// refers to must outlive the await. Errors: work's own, kUpstreamOverloaded when kWaitingMax
    /// wait already.
    template <typename Work>
    [[nodiscard]] Co<std::invoke_result_t<Work&>> run(Core& here, Work work) {
        using Answer = std::invoke_result_t<Work&>;
        struct Message {
            Work work;
            std::optional<Answer> answer;
            bool answered = false;
            Waiter waiter;
        };
        Message message{std::move(work), std::nullopt, false, {}};
        const bool taken = submit([&message, &here] {
            message.answer.emplace(message.work());
            here.post([&message] {
                message.answered = true;
                message.waiter.wake();
            });
        });
        if (!taken)
            co_return fail(ErrorCode::kUpstreamOverloaded, "too much waits for the side thread");
        while (!message.answered) (void)co_await message.waiter.wait(Until{});
        co_return std::move(*message.answer);
    }

private:
    [[nodiscard]] bool submit(std::function<void()> work);
    void loop();

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<std::function<void()>> waiting_;
    std::optional<std::thread> thread_;
    bool is_stopping_ = false;
};

}  // namespace entrepot
