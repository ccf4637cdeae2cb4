#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/time.h"

namespace entrepot::control {

enum class ChangeEvent : std::uint8_t {
    kStop,     ///< SIGTERM, SIGINT
    kHangUp,   ///< SIGHUP
    kChanged,  ///< the file has new content, in place or under a new inode
};

/// Waits for what a running process must follow: signals, and a file's changes. Make it before any
/// thread is started: it blocks the signals for the threads that come after it.
class ChangeWatch {
public:
    /// `file` may be empty: signals alone. Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<ChangeWatch>> open(
        const std::filesystem::path& file);
    ~ChangeWatch();
    ChangeWatch(const ChangeWatch&) = delete;
    ChangeWatch& operator=(const ChangeWatch&) = delete;

    /// The next event, or nothing when `patience` is over. Changes that follow each other within
    /// 100 ms are one.
    [[nodiscard]] std::optional<ChangeEvent> wait(milliseconds patience);
    /// Who sent the last signal, by number.
    [[nodiscard]] std::uint32_t sender() const { return sender_; }

private:
    ChangeWatch() = default;
    [[nodiscard]] bool drain_changes();
    /// What tells one content from another: inode, size and time of change.
    struct Stamp {
        std::uint64_t inode = 0;
        std::int64_t size = -1;
        std::int64_t changed_ns = 0;
        friend bool operator==(const Stamp&, const Stamp&) = default;
    };
    [[nodiscard]] Stamp stamp() const;

    std::filesystem::path file_;
    Stamp seen_;
    std::uint32_t sender_ = 0;
    int signals_ = -1;
    int inotify_ = -1;
};

}  // namespace entrepot::control
