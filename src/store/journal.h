#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "ledger/log.h"
#include "store/file_ops.h"
#include "store/segment.h"

namespace entrepot::store {

struct JournalOptions {
    std::filesystem::path folder;
    std::uint64_t segment_bytes = 64ULL << 20;
    std::uint64_t bytes_max = 64ULL << 30;
    bool recycle_oldest = true;
    std::filesystem::path archive;  ///< where files go that are let go of; empty: they are removed
    seconds keep{0};                ///< files whose last record is older may go; 0: none by its age
    bool sync_each = false;         ///< durability: power
    FileOps* files = nullptr;
};

/// An append-only log of records in preallocated, memory-mapped files. An append copies the record
/// into the mapping, its length and checksum last in one store: it survives the end of the process,
/// by whatever means, without a system call. A thread of its own prepares the next file, forces
/// records to the disk and removes what may go. Positions count record bytes from the journal's
/// beginning and never go back. Thread rule: one owner, except where a member says otherwise.
class Journal {
public:
    /// Called with each record and the position after it; an error stops the reading.
    using Visitor = std::function<Status(std::uint64_t end, std::string_view payload)>;

    /// Reads every record after `from` into `visit`, cuts a torn last one, and stands ready to
    /// append. Errors: kJournalCorrupt (file, offset, what to do), kIo.
    [[nodiscard]] static Result<std::unique_ptr<Journal>> open(
        const JournalOptions& options, std::uint64_t from, Instant now, const Visitor& visit);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// As ledger::Log::append. Errors: kJournalFull.
    [[nodiscard]] Result<std::uint64_t> append(
        std::string_view payload, ledger::LogClass log_class, std::size_t open_attempts);
    [[nodiscard]] std::uint64_t end() const { return end_.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint64_t bytes_cut() const { return bytes_cut_; }
    /// The position of the oldest record still there.
    [[nodiscard]] std::uint64_t begin() const;

    /// Forces everything up to now to the disk. Any thread. Errors: kIo.
    [[nodiscard]] Status sync();
    /// Any thread.
    [[nodiscard]] std::uint64_t durable_up_to() const {
        return durable_.load(std::memory_order_acquire);
    }
    /// How far the journal reached when a sync last failed: what of it is not durable by now waits
    /// for a disk that works again. Any thread.
    [[nodiscard]] std::uint64_t sync_failed_up_to() const {
        return sync_failed_.load(std::memory_order_acquire);
    }
    /// `callback`: on the syncing thread, whenever one of the two grew.
    void on_synced(std::function<void()> callback);
    /// The books hold everything before `position`: files that end there may go once the base has
    /// them too. Any thread.
    void release_before(std::uint64_t position);
    /// Up to where files should go, for want of room or by their age, and may. Any thread.
    [[nodiscard]] std::optional<std::uint64_t> surplus() const;
    /// Where the oldest file ends that nothing is added to any more.
    [[nodiscard]] std::optional<std::uint64_t> oldest_end() const;
    /// Removes the files that end before `position`, or moves them to the archive. One thread.
    /// Errors: kIo.
    [[nodiscard]] Status forget_before(std::uint64_t position);

    /// Reads records of [from, to). Any thread. Errors: kIo, kJournalCorrupt, and those of `visit`.
    [[nodiscard]] Status scan(std::uint64_t from, std::uint64_t to, const Visitor& visit) const;
    /// Copies the files that hold [from, to) into a folder that is there, forced to the disk; the
    /// last one ends at `to`. No file may go meanwhile (Compactor::hold_still). Any thread. Errors:
    /// kIo.
    [[nodiscard]] Status copy_to(
        const std::filesystem::path& folder, std::uint64_t from, std::uint64_t to) const;
    /// Reads the records of [from, to) in files that nobody writes and that were checked as files.
    /// Errors: kJournalCorrupt, kIo, and those of `visit`.
    [[nodiscard]] static Status read_files(const std::filesystem::path& folder, std::uint64_t from,
        std::uint64_t to, const Visitor& visit);
    struct Range {
        std::uint64_t from = 0;
        std::uint64_t to = 0;
    };
    /// The files that hold records of exchanges whose ids say that time, by their positions, in
    /// order. Whichever way the clock was set meanwhile: a file knows what is in it. Any thread.
    [[nodiscard]] std::vector<Range> files_of(Instant at) const;
    /// Waits until a further file is ready, or preparing one failed, or `timeout` has passed.
    void wait_ready(milliseconds timeout) const;
    /// Preparing or syncing a file failed, and nothing has changed since. Any thread.
    [[nodiscard]] bool is_stuck() const;
    /// Whether a further file is ready. Any thread.
    [[nodiscard]] bool is_ready() const { return next_.load(std::memory_order_acquire) != nullptr; }
    [[nodiscard]] std::uint64_t bytes() const;
    /// Empty when the last attempt to prepare or sync a file went well. Any thread.
    [[nodiscard]] std::string last_failure() const;
    /// The clock for files made from now on; the owner sets it now and then.
    void set_time(Instant now) { now_ns_.store(now.ns, std::memory_order_relaxed); }

private:
    struct Sealed {
        SegmentHeader header;
        std::filesystem::path path;
        std::uint64_t end = 0;
        SegmentMark mark{};  ///< as it was found, or at its end
    };

    explicit Journal(const JournalOptions& options) : options_(options) {}
    [[nodiscard]] Status recover(std::uint64_t from, Instant now, const Visitor& visit);
    [[nodiscard]] static Status remove_unused(std::vector<std::filesystem::path>& paths);
    [[nodiscard]] Result<std::vector<Sealed>> list_files() const;
    /// Removes the files that come after files[last].
    [[nodiscard]] Status remove_after(std::vector<Sealed>& files, std::size_t last) const;
    [[nodiscard]] Status read_sealed(
        const Sealed& file, std::uint64_t from, const Visitor& visit) const;
    /// As read_sealed on start: also widens the file's mark where a power cut took what it said.
    [[nodiscard]] Status replay_sealed(Sealed& file, std::uint64_t& from, const Visitor& visit);
    [[nodiscard]] Status adopt_last(const Sealed& last, std::uint64_t from, const Visitor& visit);
    /// Whether a whole record stands anywhere from `offset` on; `last_byte` is the offset after the
    /// last byte in use.
    [[nodiscard]] static bool record_follows(
        const Segment& segment, std::uint64_t offset, std::uint64_t base, std::uint64_t& last_byte);
    [[nodiscard]] Result<std::unique_ptr<Segment>> prepare();
    [[nodiscard]] bool has_room();
    [[nodiscard]] Status let_go(const std::filesystem::path& file) const;
    [[nodiscard]] std::unexpected<Error> full() const;
    /// One file to the disk: 0 or the errno. `used`: its bytes in use.
    [[nodiscard]] int force(Segment& file, std::uint64_t used);
    bool roll();
    void run();
    void note_failure(std::string what);
    [[nodiscard]] std::filesystem::path path_of(std::uint64_t sequence) const;
    [[nodiscard]] Status sync_folder() const;

    const JournalOptions options_;
    Segment* writing_ = nullptr;  ///< the owner's own pointer to current_
    std::uint64_t offset_ = 0;    ///< in it, of the next record
    std::uint64_t writing_base_ = 0;
    std::uint64_t bytes_cut_ = 0;
    std::atomic<std::uint64_t> end_{0};
    std::atomic<std::uint64_t> durable_{0};
    std::atomic<std::uint64_t> sync_failed_{0};
    std::atomic<std::int64_t> now_ns_{0};
    std::atomic<Segment*> next_{nullptr};  ///< prepared; owned by whoever exchanges it out
    std::atomic<bool> idle_{false};  ///< the thread sleeps and wants to be told of new records

    std::mutex sync_mutex_;  ///< one sync at a time; taken before mutex_
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    // Guarded by mutex_:
    std::shared_ptr<Segment> current_;
    SegmentHeader current_header_;
    std::vector<Sealed> sealed_;                      ///< oldest first
    std::vector<std::shared_ptr<Segment>> unsynced_;  ///< sealed, not forced to the disk yet
    std::uint64_t released_ = 0;
    std::string failure_;
    bool called_ = false;  ///< something changed: what failed is worth another attempt
    bool waits_to_retry_ = false;
    bool stop_ = false;

    // Guarded by sync_mutex_:
    std::function<void()> synced_callback_;
    bool must_rewrite_ = false;  ///< a sync failed: the kernel may have dropped what it held
    std::thread thread_;         ///< last: everything above outlives it
};

}  // namespace entrepot::store
