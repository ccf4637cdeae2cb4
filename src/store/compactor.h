#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "store/journal.h"

namespace entrepot::store {

/// `base.db` beside the books: what the records come to that the journal no longer has. Made from
/// these records and from nothing else, before a file of the journal is let go of; so the base and
/// the journal give the books at any time.
[[nodiscard]] std::filesystem::path base_path(const std::filesystem::path& data);
/// The position at which the base stands; 0 where there is none and the journal is whole. Errors:
/// kIo, kJournalCorrupt (the base is missing, or older than what the journal begins with).
[[nodiscard]] Result<std::uint64_t> base_position(
    const std::filesystem::path& data, std::uint64_t journal_begin);

/// The thread that makes room: it takes the oldest files of the journal into the base, then has
/// them removed, or moved to the archive.
class Compactor {
public:
    Compactor(std::filesystem::path data, Journal& journal, FileOps* files);
    ~Compactor();
    Compactor(const Compactor&) = delete;
    Compactor& operator=(const Compactor&) = delete;

    /// There may be something to do. Any thread.
    void wake();
    /// While it is held no file goes, and the base stays as it is. Any thread.
    [[nodiscard]] std::unique_lock<std::mutex> hold_still() { return std::unique_lock(at_work_); }
    /// Nothing to do is known of, and nothing is tried again. Any thread.
    [[nodiscard]] bool is_idle() const;
    /// Why nothing goes; empty when all is well. Any thread.
    [[nodiscard]] std::string failure() const;

private:
    void run();
    [[nodiscard]] Status let_go(std::uint64_t target);

    const std::filesystem::path data_;
    Journal& journal_;
    FileOps* const files_;
    std::mutex at_work_;  ///< taken before mutex_
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::string failure_;  ///< guarded by mutex_
    bool woken_ = false;   ///< guarded by mutex_
    bool idle_ = false;    ///< guarded by mutex_
    bool stop_ = false;    ///< guarded by mutex_
    std::thread thread_;
};

}  // namespace entrepot::store
