#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace entrepot {

/// Publishes an immutable value to every core.
template <typename T>
class Snapshot {
public:
    explicit Snapshot(std::shared_ptr<const T> value) : value_(std::move(value)) {}

    /// Any thread.
    void publish(std::shared_ptr<const T> value) {
        {
            const std::lock_guard lock(mutex_);
            value_.swap(value);
        }
        version_.fetch_add(1, std::memory_order_release);
    }
    /// Any thread; takes a lock.
    [[nodiscard]] std::shared_ptr<const T> load() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

    /// One core's copy: reading costs one atomic load while nothing was published.
    class Reader {
    public:
        explicit Reader(const Snapshot& source)
            : source_(&source), version_(source.version()), held_(source.load()) {}
        /// The newest value. Hold a copy across awaits.
        [[nodiscard]] const std::shared_ptr<const T>& get() {
            if (const std::uint64_t now = source_->version(); now != version_) [[unlikely]] {
                version_ = now;
                held_ = source_->load();
            }
            return held_;
        }

    private:
        const Snapshot* source_;
        std::uint64_t version_;
        std::shared_ptr<const T> held_;
    };

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> value_;
    std::atomic<std::uint64_t> version_{1};
};

}  // namespace entrepot
