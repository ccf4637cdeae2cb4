#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/books_db.h"
#include "store/journal.h"

namespace entrepot::store {

/// The thread that writes checkpoints. The owner hands over copies; a checkpoint that fails is
/// tried again until it succeeds, so nothing taken from the ledger is lost, and the journal keeps
/// what it does not hold yet.
class Checkpointer {
public:
    /// Checkpoints that may wait, each with the rows changed since the one before.
    static constexpr std::size_t kQueueMax = 2;

    /// `written`: on the thread, after each that was written.
    Checkpointer(BooksDb db, Journal& journal, std::function<void()> written);
    /// Tries what waits once more, then stops.
    ~Checkpointer();
    Checkpointer(const Checkpointer&) = delete;
    Checkpointer& operator=(const Checkpointer&) = delete;

    [[nodiscard]] bool has_room() const;
    /// Nothing waits to be written.
    [[nodiscard]] bool is_idle() const;
    /// Needs room.
    void push(Checkpoint checkpoint);
    struct Period {
        std::uint32_t budget = 0;
        ledger::NameId end_user = ledger::NameId::kNone;
        Instant begin;
        friend auto operator<=>(const Period&, const Period&) = default;
    };
    /// An account without open holds as the newest checkpoint that waits has it; nothing when none
    /// does: then the file has it, if anybody. Never waits for the disk.
    [[nodiscard]] std::optional<ledger::Account> waiting(ledger::AccountId id);
    [[nodiscard]] std::optional<ledger::Account> waiting(const Period& period);
    /// Until everything pushed is written. Errors: kIo when an attempt at it fails meanwhile.
    [[nodiscard]] Status wait();

    struct State {
        std::uint64_t written = 0;
        std::uint64_t failures = 0;
        std::string failure;  ///< of the last attempt, empty when it succeeded
    };
    [[nodiscard]] State state() const;

private:
    void run();
    [[nodiscard]] Status write(const Checkpoint& checkpoint);

    BooksDb db_;
    Journal& journal_;
    const std::function<void()> written_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    /// What waits, and the accounts in it that may be asked for, sorted at the first question.
    struct Waiting {
        explicit Waiting(Checkpoint from) : checkpoint(std::move(from)) {}
        const Checkpoint checkpoint;
        bool is_sorted = false;
        std::vector<std::pair<ledger::AccountId, std::size_t>> by_id;
        std::vector<std::pair<Period, std::size_t>> by_period;
        void sort();
    };
    std::deque<Waiting> queue_;  ///< guarded by mutex_; only the thread removes
    State state_;                ///< guarded by mutex_
    bool stop_ = false;          ///< guarded by mutex_
    std::thread thread_;
};

}  // namespace entrepot::store
