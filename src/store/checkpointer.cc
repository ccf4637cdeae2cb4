#include "store/checkpointer.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>

#include "base/check.h"

namespace entrepot::store {

Checkpointer::Checkpointer(BooksDb db, Journal& journal, std::function<void()> written)
    : db_(std::move(db)), journal_(journal), written_(std::move(written)) {
    sigset_t all, old;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &old);
    thread_ = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

Checkpointer::~Checkpointer() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

bool Checkpointer::has_room() const {
    const std::lock_guard lock(mutex_);
    return queue_.size() < kQueueMax;
}

bool Checkpointer::is_idle() const {
    const std::lock_guard lock(mutex_);
    return queue_.empty();
}

void Checkpointer::push(Checkpoint checkpoint) {
    {
        const std::lock_guard lock(mutex_);
        ENTREPOT_CHECK(queue_.size() < kQueueMax);
        queue_.emplace_back(std::move(checkpoint));
    }
    wake_.notify_all();
}

// Accounts leave the ledger's memory only without open holds.
void Checkpointer::Waiting::sort() {
    if (is_sorted) return;
    is_sorted = true;
    const std::vector<ledger::Account>& accounts = checkpoint.changes.accounts;
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        if (accounts[i].open != 0) continue;
        by_id.emplace_back(accounts[i].id, i);
        by_period.emplace_back(
            Period{accounts[i].budget, accounts[i].end_user, accounts[i].period.begin}, i);
    }
    std::ranges::sort(by_id);
    std::ranges::sort(by_period);
}

namespace {

template <typename Key>
std::optional<std::size_t> find_in(
    const std::vector<std::pair<Key, std::size_t>>& sorted, const Key& key) {
    const auto found = std::ranges::lower_bound(sorted, std::pair<Key, std::size_t>(key, 0));
    if (found == sorted.end() || found->first != key) return std::nullopt;
    return found->second;
}

}  // namespace

std::optional<ledger::Account> Checkpointer::waiting(ledger::AccountId id) {
    const std::lock_guard lock(mutex_);
    for (auto waits = queue_.rbegin(); waits != queue_.rend(); ++waits) {
        waits->sort();
        if (const auto at = find_in(waits->by_id, id))
            return waits->checkpoint.changes.accounts[*at];
    }
    return std::nullopt;
}

std::optional<ledger::Account> Checkpointer::waiting(const Period& period) {
    const std::lock_guard lock(mutex_);
    for (auto waits = queue_.rbegin(); waits != queue_.rend(); ++waits) {
        waits->sort();
        if (const auto at = find_in(waits->by_period, period))
            return waits->checkpoint.changes.accounts[*at];
    }
    return std::nullopt;
}

Status Checkpointer::wait() {
    std::unique_lock lock(mutex_);
    const std::uint64_t failures = state_.failures;
    done_.wait(lock, [&] { return queue_.empty() || state_.failures != failures; });
    if (queue_.empty()) return {};
    return fail(ErrorCode::kIo, state_.failure);
}

Checkpointer::State Checkpointer::state() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

Status Checkpointer::write(const Checkpoint& checkpoint) {
    // The journal first: the books must never know more than a power cut would leave of it.
    ENTREPOT_TRY_DO(journal_.sync());
    ENTREPOT_TRY_DO(db_.write(checkpoint));
    journal_.release_before(checkpoint.position);
    written_();
    return {};
}

void Checkpointer::run() {
    constexpr std::chrono::milliseconds kRetry(500);
    std::unique_lock lock(mutex_);
    bool failed = false;
    for (;;) {
        if (failed && !stop_) wake_.wait_for(lock, kRetry, [&] { return stop_; });
        wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
        if (queue_.empty()) return;
        // Stays put: only this thread removes.
        const Checkpoint& checkpoint = queue_.front().checkpoint;
        lock.unlock();
        const Status wrote = write(checkpoint);
        lock.lock();
        failed = !wrote;
        if (wrote) {
            queue_.pop_front();
            ++state_.written;
            state_.failure.clear();
        } else {
            ++state_.failures;
            state_.failure = wrote.error().message;
        }
        done_.notify_all();
        if (failed && stop_) return;
    }
}

}  // namespace entrepot::store
