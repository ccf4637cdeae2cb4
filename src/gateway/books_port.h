#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "gateway/budget_queue.h"
#include "gateway/volumes.h"
#include "runtime/core.h"
#include "runtime/task.h"
#include "runtime/waiter.h"
#include "store/books.h"

namespace entrepot::gateway {

/// The way from any core to the books, which one core owns. On that core a call is a call; from
/// another it is a message there and one back, and messages of one loop turn share a wake-up.
class BooksPort {
public:
    BooksPort(Core& owner, store::Books& books, std::size_t cores)
        : owner_(owner), books_(books), waiting_(cores) {
        books_.on_room([this] {
            if (queue_.empty() || is_going_on_) return;
            is_going_on_ = true;  // once a turn, when whoever made the room is done
            owner_.post([this] {
                is_going_on_ = false;
                queue_.go_on(books_);
            });
        });
    }
    ~BooksPort() { books_.on_room({}); }
    BooksPort(const BooksPort&) = delete;
    BooksPort& operator=(const BooksPort&) = delete;

    [[nodiscard]] bool is_local(const Core& here) const { return &here == &owner_; }
    /// Owner's core alone.
    [[nodiscard]] store::Books& local() { return books_; }

    /// Owner's core alone, or before there are any.
    [[nodiscard]] Volumes& volumes() { return volumes_; }
    /// Of those who wait for room. Owner's core alone.
    [[nodiscard]] BudgetQueue& queue() { return queue_; }

    /// Runs `work(books)` on the owner and returns its result. Never cancelled: what was asked of
    /// the books happens, and the caller learns of it. `work` is a named value; what it refers to
    /// must outlive the await.
    template <typename Work>
    [[nodiscard]] Co<std::invoke_result_t<Work&, store::Books&>> call(Core& here, Work work) {
        using Answer = std::invoke_result_t<Work&, store::Books&>;
        if (is_local(here)) co_return work(books_);
        struct Message {
            Work work;
            std::optional<Answer> answer;
            bool answered = false;
            Waiter waiter;
        };
        Message message{std::move(work), std::nullopt, false, {}};
        owner_.post([this, &message, &here] {
            message.answer.emplace(message.work(books_));
            here.post([&message] {
                message.answered = true;
                message.waiter.wake();
            });
        });
        while (!message.answered) (void)co_await message.waiter.wait(Until{});
        co_return std::move(*message.answer);
    }

    /// `durability: power`: waits until the journal is on disk up to `position`. Never cancelled.
    /// Errors: kNotDurable when the disk refuses it.
    [[nodiscard]] Task<void> durable(Core& here, std::uint64_t position) {
        std::vector<Waiter*>& waiting = waiting_[here.index()];
        while (books_.durable_up_to() < position) {
            if (books_.sync_failed_up_to() >= position)
                co_return fail(ErrorCode::kNotDurable,
                    "the gateway could not secure its books on disk, so nothing was sent and "
                    "nothing is billed; try again later",
                    books_.journal_failure());
            Waiter waiter;
            waiting.push_back(&waiter);
            // The deadline makes up for a wake-up that came between the look and the wait.
            const Until until{here.after(milliseconds(20)), nullptr};
            (void)co_await waiter.wait(until);
            std::erase(waiting, &waiter);
        }
        co_return Status{};
    }
    /// On a core: wakes what waits there for the disk.
    void wake_durable(const Core& here) {
        for (Waiter* waiter : waiting_[here.index()]) waiter->wake();
    }

private:
    Core& owner_;
    store::Books& books_;
    Volumes volumes_;
    BudgetQueue queue_;
    bool is_going_on_ = false;
    std::vector<std::vector<Waiter*>> waiting_;  // by core, each touched by its core alone
};

}  // namespace entrepot::gateway
