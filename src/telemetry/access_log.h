#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "canon/usage.h"

namespace entrepot::telemetry {

/// What one line tells of a request. Never prompts, answers or secrets. Views are borrowed for the
/// call.
struct AccessRecord {
    Instant at;
    ExchangeId exchange;
    std::string_view peer, key, team, org, dialect, model, offer;
    int status = 0;
    std::uint16_t attempts = 0;
    bool is_stream = false;
    std::optional<milliseconds> ttft;  ///< to the first byte of the answer
    milliseconds duration{0};
    canon::Usage usage;
    std::optional<std::string_view> cost;  ///< exact decimal; nothing when it is not known
    std::string_view currency;
    bool is_estimated = false;
    std::string_view ended_by;  ///< `client`, `supplier`, `gateway`
    std::string_view phase;     ///< in which it ended
    std::string_view error;     ///< the code's name, or empty
    std::string_view cause;     ///< for our eyes
};

/// The record as one line of JSON with its line break. Absent facts are absent members.
void append_json(std::string& out, const AccessRecord& record);

/// Lines from every core to one file by a thread of its own: `write` copies into the core's buffer
/// and returns. A buffer holds at most `buffer_bytes_max`; what does not fit is dropped and
/// counted, the request never waits.
class AccessLog {
public:
    static constexpr std::size_t kBufferBytesMax = 4u << 20;  ///< per core

    /// `target`: `stderr`, or a path that is appended to (made with mode 0640). Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<AccessLog>> open(const std::string& target,
        std::size_t cores, std::size_t buffer_bytes_max = kBufferBytesMax);
    /// Writes what is left.
    ~AccessLog();
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;

    /// From the thread of that core.
    void write(std::size_t core, const AccessRecord& record);
    /// Waits until everything written before is in the file. Any thread.
    void flush();
    /// Opens the path again: after a rotation. Errors: kIo, then the old file stays in use.
    [[nodiscard]] Status reopen();
    [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

private:
    struct Buffer {
        std::mutex mutex;  // the core's and the writer's; held for a copy or a swap
        std::string lines;
        std::string scratch;
    };
    AccessLog(std::string target, int descriptor, std::size_t cores, std::size_t buffer_bytes_max);
    void run();
    void write_out();

    std::string target_;
    std::size_t buffer_bytes_max_;
    std::vector<std::unique_ptr<Buffer>> buffers_;
    std::atomic<std::uint64_t> dropped_{0};
    std::mutex mutex_;
    std::condition_variable wake_, written_;
    std::uint64_t asked_ = 0, done_ = 0;  // flush generations
    bool stopping_ = false;
    int descriptor_;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace entrepot::telemetry
