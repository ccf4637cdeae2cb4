#include "store/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "ledger/record.h"

namespace entrepot::store {

namespace {

constexpr std::string_view kSuffix = ".journal";
/// A segment keeps this part of itself for records that end what was begun.
constexpr std::uint64_t kReservePart = 8;

}  // namespace

std::filesystem::path Journal::path_of(std::uint64_t sequence) const {
    return options_.folder / fmt::format("{:010}{}", sequence, kSuffix);
}

Result<std::unique_ptr<Journal>> Journal::open(
    const JournalOptions& options, std::uint64_t from, Instant now, const Visitor& visit) {
    if (options.segment_bytes < 64 * 1024 || options.segment_bytes % 4096 != 0 ||
        options.bytes_max < 2 * options.segment_bytes) {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("journal files of {} bytes within {} bytes: a file takes at least 65536 "
                        "and a multiple of "
                        "4096, the whole at least two files",
                options.segment_bytes, options.bytes_max));
    }
    std::unique_ptr<Journal> journal(new Journal(options));
    ENTREPOT_TRY_DO(journal->recover(from, now, visit));
    // Signals belong to the program; this thread is also the one whose writes could meet a file
    // size limit.
    sigset_t all, old;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &old);
    journal->thread_ = std::thread([raw = journal.get()] { raw->run(); });
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
    return journal;
}

Journal::~Journal() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }
    if (Segment* const unused = next_.exchange(nullptr)) {
        ::unlink(unused->path().c_str());
        delete unused;
    }
}

Result<std::uint64_t> Journal::append(
    std::string_view payload, ledger::LogClass log_class, std::size_t open_attempts) {
    ENTREPOT_CHECK(!payload.empty() && payload.size() <= ledger::kRecordBytesMax);
    const std::uint64_t size = record_bytes(payload.size());
    if (log_class == ledger::LogClass::kBegin) {
        // What is begun must find room to end: this one too.
        std::uint64_t room = writing_->bytes() - offset_;
        if (next_.load(std::memory_order_acquire) != nullptr) [[likely]]
            room += options_.segment_bytes;
        const std::uint64_t reserve = std::max<std::uint64_t>(
            options_.segment_bytes / kReservePart, (open_attempts + 1) * ledger::kEndingBytesMax);
        if (room < size + reserve) return full();
    }
    if (offset_ + size > writing_->bytes() && !roll()) return full();
    if (const std::optional<std::uint64_t> ms = exchange_ms(payload)) writing_->note_time(*ms);
    char* const to = writing_->data() + offset_ + kRecordHeaderBytes;
    if (options_.files != nullptr) [[unlikely]] {
        (void)options_.files->before(Step::kRecordBegin);
        std::memcpy(to, payload.data(), payload.size() / 2);
        (void)options_.files->before(Step::kRecordHalf);
        std::memcpy(to + payload.size() / 2, payload.data() + payload.size() / 2,
            payload.size() - payload.size() / 2);
        (void)options_.files->before(Step::kRecordPayload);
    } else {
        std::memcpy(to, payload.data(), payload.size());
    }
    const std::uint64_t position = writing_base_ + offset_ - kSegmentHeaderBytes;
    const std::uint64_t check = record_check(payload.data(), payload.size(), position);
    writing_->publish(offset_, check << 32 | payload.size());
    if (options_.files != nullptr) [[unlikely]]
        (void)options_.files->before(Step::kRecordHeader);
    offset_ += size;
    const std::uint64_t end = position + size;
    if (!options_.sync_each) {
        end_.store(end, std::memory_order_release);
        return end;
    }
    // Sequentially consistent on both sides, or the thread could sleep through this record.
    end_.store(end, std::memory_order_seq_cst);
    if (idle_.load(std::memory_order_seq_cst)) {
        const std::lock_guard lock(mutex_);
        wake_.notify_one();
    }
    return end;
}

std::unexpected<Error> Journal::full() const {
    const std::string why = last_failure();
    return fail(ErrorCode::kJournalFull,
        "the gateway's journal has no room for a new request; try again later",
        fmt::format("the room left in {} is kept for what is open{}{}", options_.folder.string(),
            why.empty() ? "" : ": ", why));
}

bool Journal::roll() {
    Segment* const next = next_.exchange(nullptr, std::memory_order_acq_rel);
    if (next == nullptr) return false;
    if (options_.files != nullptr) [[unlikely]]
        (void)options_.files->before(Step::kSegmentHeader);
    const std::uint64_t end = writing_base_ + offset_ - kSegmentHeaderBytes;
    const std::lock_guard lock(mutex_);
    next->begin(
        current_header_.sequence + 1, end, Instant{now_ns_.load(std::memory_order_relaxed)});
    sealed_.push_back({current_header_, current_->path(), end, current_->mark()});
    unsynced_.push_back(std::move(current_));
    current_.reset(next);
    current_header_ = next->header();
    writing_ = next;
    writing_base_ = end;
    offset_ = kSegmentHeaderBytes;
    called_ = true;
    wake_.notify_one();
    return true;
}

bool Journal::has_room() {
    const std::lock_guard lock(mutex_);
    if (sealed_.size() + 2 <= options_.bytes_max / options_.segment_bytes) return true;
    failure_ = fmt::format("the journal has reached its {} bytes", options_.bytes_max);
    return false;
}

std::optional<std::uint64_t> Journal::surplus() const {
    // Room for some files is made at once: each time the base is read.
    constexpr std::uint64_t kAtOncePart = 8;
    const std::lock_guard lock(mutex_);
    const std::uint64_t files_max = options_.bytes_max / options_.segment_bytes - 2;
    const std::uint64_t at_once = files_max / kAtOncePart;
    std::size_t going = 0;
    if (options_.recycle_oldest && sealed_.size() > files_max - at_once)
        going = sealed_.size() - (files_max - 2 * at_once);
    if (options_.keep.count() > 0) {
        const std::int64_t oldest =
            now_ns_.load(std::memory_order_relaxed) - nanoseconds(options_.keep).count();
        for (std::size_t i = going; i < sealed_.size(); ++i) {
            // Its last record is not younger than the file after it.
            const SegmentHeader& next =
                i + 1 < sealed_.size() ? sealed_[i + 1].header : current_header_;
            if (next.created_ns >= oldest) break;
            going = i + 1;
        }
    }
    while (going > 0 && sealed_[going - 1].end > released_) --going;
    if (going == 0) return std::nullopt;
    return sealed_[going - 1].end;
}

Status Journal::let_go(const std::filesystem::path& file) const {
    int error = before(options_.files, Step::kSegmentUnlink);
    if (error == 0 && options_.archive.empty() && ::unlink(file.c_str()) != 0) error = errno;
    if (error == 0 && !options_.archive.empty()) {
        std::error_code moved;
        const std::filesystem::path to = options_.archive / file.filename();
        std::filesystem::create_directories(options_.archive, moved);
        if (!moved) std::filesystem::rename(file, to, moved);
        if (moved == std::errc::cross_device_link) {
            const std::filesystem::path part = to.string() + ".part";
            std::filesystem::copy_file(
                file, part, std::filesystem::copy_options::overwrite_existing, moved);
            if (!moved) error = sync_path(part);
            if (!moved && error == 0) std::filesystem::rename(part, to, moved);
            if (!moved && error == 0) error = sync_path(options_.archive);
            if (!moved && error == 0 && ::unlink(file.c_str()) != 0) error = errno;
        }
        if (moved) error = moved.value();
    }
    if (error == 0) return {};
    return fail(ErrorCode::kIo,
        fmt::format("cannot {} {}: {}",
            options_.archive.empty() ? "remove"
                                     : "move to " + options_.archive.string() + " the file",
            file.string(), std::strerror(error)));
}

Status Journal::forget_before(std::uint64_t position) {
    for (;;) {
        std::filesystem::path path;
        {
            const std::lock_guard lock(mutex_);
            if (sealed_.empty() || sealed_.front().end > position) break;
            path = sealed_.front().path;
        }
        ENTREPOT_TRY_DO(let_go(path));
        const std::lock_guard lock(mutex_);
        sealed_.erase(sealed_.begin());
        called_ = true;
        wake_.notify_one();
    }
    return {};
}

std::optional<std::uint64_t> Journal::oldest_end() const {
    const std::lock_guard lock(mutex_);
    if (sealed_.empty()) return std::nullopt;
    return sealed_.front().end;
}

Result<std::unique_ptr<Segment>> Journal::prepare() {
    std::uint64_t sequence = 0;
    {
        const std::lock_guard lock(mutex_);
        sequence = current_header_.sequence + 1;
    }
    ENTREPOT_TRY(
        auto segment, Segment::create(path_of(sequence), options_.segment_bytes, options_.files));
    ENTREPOT_TRY_DO(sync_folder());
    return segment;
}

Status Journal::sync_folder() const {
    int error = before(options_.files, Step::kDirectorySync);
    if (error == 0) error = sync_path(options_.folder);
    if (error == 0) return {};
    return fail(ErrorCode::kIo,
        fmt::format("cannot sync {}: {}", options_.folder.string(), std::strerror(error)));
}

int Journal::force(Segment& file, std::uint64_t used) {
    int error = 0;
    if (must_rewrite_) {
        error = before(options_.files, Step::kSegmentRewrite);
        if (error == 0) error = file.write_again(used);
    }
    if (error == 0) error = before(options_.files, Step::kSegmentSync);
    if (error == 0 && ::fdatasync(file.fd()) != 0) error = errno;
    if (error == 0 && options_.files != nullptr) [[unlikely]]
        options_.files->forced(file.path());
    return error;
}

Status Journal::sync() {
    const std::lock_guard one_at_a_time(sync_mutex_);
    std::vector<std::shared_ptr<Segment>> files;
    std::uint64_t position = 0;
    std::uint64_t used_in_last = 0;
    {
        const std::lock_guard lock(mutex_);
        // The position first: what is appended meanwhile may be forced too, which promises nothing.
        position = end_.load(std::memory_order_seq_cst);
        files = unsynced_;
        files.push_back(current_);
        used_in_last = kSegmentHeaderBytes + position - current_header_.base;
    }
    for (const std::shared_ptr<Segment>& file : files) {
        const std::uint64_t used = file == files.back() ? used_in_last : file->bytes();
        if (const int error = force(*file, used); error != 0) {
            std::string what =
                fmt::format("cannot sync {}: {}", file->path().string(), std::strerror(error));
            note_failure(what);
            must_rewrite_ = true;
            sync_failed_.store(std::max(position, sync_failed_.load(std::memory_order_relaxed)),
                std::memory_order_release);
            if (synced_callback_) synced_callback_();
            return fail(ErrorCode::kIo, std::move(what));
        }
    }
    must_rewrite_ = false;
    files.back()->set_synced(position);
    {
        // Not the last one, though it may have been sealed meanwhile: what was appended to it since
        // the position was taken is not on the disk.
        const std::lock_guard lock(mutex_);
        files.pop_back();
        std::erase_if(unsynced_,
            [&](const auto& file) { return std::ranges::find(files, file) != files.end(); });
    }
    const bool grew = position > durable_.load(std::memory_order_relaxed);
    durable_.store(
        std::max(position, durable_.load(std::memory_order_relaxed)), std::memory_order_release);
    if (grew && synced_callback_) synced_callback_();
    return {};
}

void Journal::on_synced(std::function<void()> callback) {
    const std::lock_guard lock(sync_mutex_);
    synced_callback_ = std::move(callback);
}

void Journal::run() {
    constexpr std::chrono::milliseconds kRetry(500);
    std::unique_lock lock(mutex_);
    bool failed = false;
    while (!stop_) {
        const bool wants_file = next_.load(std::memory_order_acquire) == nullptr;
        const bool wants_sync = !unsynced_.empty() ||
            (options_.sync_each && end_.load() > durable_.load(std::memory_order_relaxed));
        if (failed) {
            waits_to_retry_ = true;
            wake_.wait_for(lock, kRetry, [&] { return stop_ || called_; });
            waits_to_retry_ = false;
            // What comes from here on is not seen for certain by the attempt that follows.
            called_ = false;
            failed = false;
        } else if (wants_sync) {
            lock.unlock();
            failed = !sync().has_value();
            lock.lock();
        } else if (wants_file) {
            lock.unlock();
            failed = !has_room();
            if (!failed) {
                if (Result<std::unique_ptr<Segment>> made = prepare()) {
                    next_.store(made->release(), std::memory_order_release);
                    note_failure({});
                } else {
                    note_failure(made.error().message);
                    failed = true;
                }
            }
            lock.lock();
        } else {
            idle_.store(true, std::memory_order_seq_cst);
            if (!options_.sync_each || end_.load(std::memory_order_seq_cst) <= durable_.load())
                wake_.wait(lock);
            idle_.store(false, std::memory_order_seq_cst);
        }
    }
}

void Journal::note_failure(std::string what) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(what);
}

bool Journal::is_stuck() const {
    const std::lock_guard lock(mutex_);
    return waits_to_retry_ && !called_;
}

std::string Journal::last_failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

void Journal::release_before(std::uint64_t position) {
    const std::lock_guard lock(mutex_);
    released_ = std::max(released_, position);
    called_ = true;
    wake_.notify_one();
}

std::uint64_t Journal::begin() const {
    const std::lock_guard lock(mutex_);
    return sealed_.empty() ? current_header_.base : sealed_.front().header.base;
}

std::uint64_t Journal::bytes() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t sum = current_->bytes();
    for (const Sealed& file : sealed_) sum += file.header.segment_bytes;
    return sum;
}

std::vector<Journal::Range> Journal::files_of(Instant at) const {
    constexpr std::int64_t kNsPerMs = 1'000'000;
    const auto ms = static_cast<std::uint64_t>(at.ns / kNsPerMs);
    std::vector<Range> ranges;
    const auto add = [&](const SegmentMark& mark, std::uint64_t from, std::uint64_t to) {
        const bool is_there = mark.oldest_ms <= ms && ms <= mark.newest_ms;
        // A file whose mark says nothing may hold anything.
        if (is_there || mark.oldest_ms == 0) ranges.push_back({from, to});
    };
    const std::lock_guard lock(mutex_);
    for (const Sealed& file : sealed_) add(file.mark, file.header.base, file.end);
    add(current_->mark(), current_header_.base, end_.load(std::memory_order_acquire));
    return ranges;
}

void Journal::wait_ready(milliseconds timeout) const {
    constexpr milliseconds kStep(1);
    for (milliseconds waited(0); waited < timeout; waited += kStep) {
        if (is_ready() || !last_failure().empty()) return;
        std::this_thread::sleep_for(kStep);
    }
}

}  // namespace entrepot::store
