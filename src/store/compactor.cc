#include "store/compactor.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "store/projections.h"
#include "store/replayer.h"

namespace entrepot::store {

namespace {

constexpr std::chrono::milliseconds kRetry(500);

}  // namespace

std::filesystem::path base_path(const std::filesystem::path& data) { return data / "base.db"; }

Result<std::uint64_t> base_position(
    const std::filesystem::path& data, std::uint64_t journal_begin) {
    const std::filesystem::path path = base_path(data);
    std::error_code none;
    std::uint64_t position = 0;
    if (std::filesystem::exists(path, none)) {
        ENTREPOT_TRY(const Database base, Database::open(path, Database::Mode::kReadOnly));
        ENTREPOT_TRY(position, position_of(base));
    } else if (journal_begin != 0) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format("{} is missing, and the journal begins at {}: what came before is in no "
                        "file. Restore it from a backup, or the journal's first files from the "
                        "archive",
                path.string(), journal_begin));
    }
    if (position < journal_begin) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format("{} ends at {}, and the journal begins at {}: what lies between is in no "
                        "file. Restore the base from a backup, or the journal's first files from "
                        "the archive",
                path.string(), position, journal_begin));
    }
    return position;
}

Compactor::Compactor(std::filesystem::path data, Journal& journal, FileOps* files)
    : data_(std::move(data)), journal_(journal), files_(files) {
    sigset_t all, old;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &old);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

Compactor::~Compactor() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void Compactor::wake() {
    {
        const std::lock_guard lock(mutex_);
        woken_ = true;
    }
    wake_.notify_all();
}

std::string Compactor::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

bool Compactor::is_idle() const {
    const std::lock_guard lock(mutex_);
    return idle_ && !woken_;
}

Status Compactor::let_go(std::uint64_t target) {
    ENTREPOT_TRY(const std::uint64_t position, base_position(data_, journal_.begin()));
    ENTREPOT_TRY_DO(journal_.forget_before(std::min(position, target)));
    if (position >= target) return {};
    ENTREPOT_TRY(const auto base, Replayer::open(base_path(data_), files_));
    // On the disk before the records go that it is made of.
    ENTREPOT_TRY_DO(base->database().execute("PRAGMA synchronous=FULL"));
    // File by file: who waits for room waits for one of them, not for all.
    for (auto end = journal_.oldest_end(); end && *end <= target; end = journal_.oldest_end()) {
        ENTREPOT_TRY_DO(journal_.scan(
            base->position(), *end, [&](std::uint64_t at, std::string_view payload) -> Status {
                ENTREPOT_TRY_DO(base->apply(at, payload));
                const std::lock_guard lock(mutex_);
                return stop_ ? Status(fail(ErrorCode::kCancelled, {})) : Status();
            }));
        ENTREPOT_TRY_DO(base->flush());
        ENTREPOT_TRY_DO(journal_.forget_before(*end));
    }
    return {};
}

void Compactor::run() {
    std::unique_lock lock(mutex_);
    bool again = false;
    while (!stop_) {
        const auto is_called = [&] { return stop_ || woken_; };
        // A checkpoint that was written meanwhile says that the disk works again.
        if (again) wake_.wait_for(lock, kRetry, is_called);
        idle_ = !again;
        if (!again) wake_.wait(lock, is_called);
        idle_ = false;
        if (stop_) return;
        woken_ = false;
        lock.unlock();
        Status done;
        {
            const std::lock_guard at_work(at_work_);
            if (const std::optional<std::uint64_t> target = journal_.surplus())
                done = let_go(*target);
        }
        lock.lock();
        again = !done;
        failure_ = done ? std::string() : done.error().message;
    }
}

}  // namespace entrepot::store
