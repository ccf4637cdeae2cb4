#include "store/checkpointer.h"

#include <pthread.h>
#include <signal.h>

#include "base/check.h"

namespace entrepot::store {

Checkpointer::Checkpointer(BooksDb db, Journal& journal) : db_(std::move(db)), journal_(journal) {
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

void Checkpointer::push(Checkpoint checkpoint) {
    {
        const std::lock_guard lock(mutex_);
        ENTREPOT_CHECK(queue_.size() < kQueueMax);
        queue_.push_back(std::move(checkpoint));
    }
    wake_.notify_all();
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
        const Checkpoint& checkpoint = queue_.front();  // stays put: only this thread removes
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
