#include "telemetry/access_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "json/writer.h"

namespace entrepot::telemetry {

void append_json(std::string& out, const AccessRecord& record) {
    json::Writer writer(out);
    writer.begin_object();
    writer.member("at", to_rfc3339(record.at)).member("exchange", record.exchange.to_string());
    const auto text = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) writer.member(name, value);
    };
    text("peer", record.peer);
    text("key", record.key);
    text("team", record.team);
    text("org", record.org);
    text("dialect", record.dialect);
    text("model", record.model);
    text("offer", record.offer);
    writer.member("status", record.status).member("attempts", record.attempts);
    if (record.is_stream) writer.member_bool("stream", true);
    if (record.ttft) writer.member("ttft_ms", record.ttft->count());
    writer.member("duration_ms", record.duration.count());
    if (!record.usage.is_zero()) writer.member_raw("usage", canon::to_json(record.usage));
    if (record.cost) {
        writer.member("cost", *record.cost);
        text("currency", record.currency);
    }
    if (record.is_estimated) writer.member_bool("estimated", true);
    text("ended_by", record.ended_by);
    text("phase", record.phase);
    text("error", record.error);
    text("cause", record.cause);
    writer.end_object();
    out += '\n';
}

namespace {

Result<int> open_target(const std::string& target) {
    if (target == "stderr") return STDERR_FILENO;
    const int descriptor = ::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (descriptor < 0)
        return fail(ErrorCode::kIo,
            fmt::format("cannot write the access log '{}': {}", target, std::strerror(errno)));
    return descriptor;
}

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(
    const std::string& target, std::size_t cores, std::size_t buffer_bytes_max) {
    ENTREPOT_TRY(const int descriptor, open_target(target));
    return std::unique_ptr<AccessLog>(new AccessLog(target, descriptor, cores, buffer_bytes_max));
}

AccessLog::AccessLog(
    std::string target, int descriptor, std::size_t cores, std::size_t buffer_bytes_max)
    : target_(std::move(target)), buffer_bytes_max_(buffer_bytes_max), descriptor_(descriptor) {
    for (std::size_t i = 0; i < cores; ++i) buffers_.push_back(std::make_unique<Buffer>());
    thread_ = std::thread([this] { run(); });
}

AccessLog::~AccessLog() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
    if (descriptor_ != STDERR_FILENO) ::close(descriptor_);
}

void AccessLog::write(std::size_t core, const AccessRecord& record) {
    Buffer& buffer = *buffers_[core];
    buffer.scratch.clear();
    append_json(buffer.scratch, record);
    const std::lock_guard lock(buffer.mutex);
    if (buffer.lines.size() + buffer.scratch.size() > buffer_bytes_max_) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    buffer.lines += buffer.scratch;
}

void AccessLog::flush() {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = ++asked_;
    wake_.notify_all();
    written_.wait(lock, [&] { return done_ >= mine; });
}

Status AccessLog::reopen() {
    if (target_ == "stderr") return {};
    ENTREPOT_TRY(const int fresh, open_target(target_));
    flush();
    const std::lock_guard lock(mutex_);
    ::dup3(fresh, descriptor_, O_CLOEXEC);  // in place: the writer needs no word of it
    ::close(fresh);
    return {};
}

void AccessLog::write_out() {
    std::string lines;
    for (const auto& buffer : buffers_) {
        {
            const std::lock_guard lock(buffer->mutex);
            lines.swap(buffer->lines);
        }
        std::string_view left = lines;
        while (!left.empty()) {
            const auto wrote = ::write(descriptor_, left.data(), left.size());
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote < 0) {  // a full disk must not stop the gateway
                for (const char c : left) dropped_ += c == '\n' ? 1 : 0;
                break;
            }
            left.remove_prefix(static_cast<std::size_t>(wrote));
        }
        lines.clear();
    }
}

void AccessLog::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        // Often enough to follow with `tail -f`, seldom enough to cost nothing.
        wake_.wait_for(lock, milliseconds(100), [&] { return stopping_ || asked_ > done_; });
        const std::uint64_t upto = asked_;
        const bool last = stopping_;
        lock.unlock();
        write_out();
        lock.lock();
        done_ = upto;
        written_.notify_all();
        if (last) return;
    }
}

}  // namespace entrepot::telemetry
