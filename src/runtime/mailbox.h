#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/core.h"

namespace entrepot {

/// Moves values to the core that owns it. Any thread sends; the owner receives. Values sent in one
/// turn share a wake-up. Holds at most `items_max`.
template <typename T>
class Mailbox {
public:
    Mailbox(Core& owner, std::size_t items_max) : owner_(owner), items_max_(items_max) {}

    /// False when full: the sender must refuse or slow down.
    [[nodiscard]] bool send(T value) {
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            if (items_.size() >= items_max_) return false;
            first = items_.empty();
            items_.push_back(std::move(value));
        }
        if (first) owner_.post([this] { arrived_.wake(); });
        return true;
    }

    /// Owner only. Errors: the reason of the deadline or cancel.
    [[nodiscard]] Task<T> receive(Until until) {
        for (;;) {
            if (std::optional<T> value = take()) co_return std::move(*value);
            const Wake wake = co_await arrived_.wait(until);
            if (!wake.ready) co_return fail(wake.reason, "stopped waiting for a message");
        }
    }

    /// Owner only: what is there, without waiting.
    [[nodiscard]] std::optional<T> take() {
        const std::lock_guard lock(mutex_);
        if (items_.empty()) return std::nullopt;
        std::optional<T> value(std::move(items_.front()));
        items_.pop_front();
        return value;
    }

private:
    Core& owner_;
    std::size_t items_max_;
    std::mutex mutex_;
    std::deque<T> items_;
    Waiter arrived_;
};

}  // namespace entrepot
