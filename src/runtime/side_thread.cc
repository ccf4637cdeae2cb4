#include "runtime/side_thread.h"

namespace entrepot {

SideThread::~SideThread() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
    }
    arrived_.notify_all();
    if (thread_) thread_->join();
}

bool SideThread::submit(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= kWaitingMax) return false;
    if (!thread_) thread_.emplace([this] { loop(); });
    waiting_.push_back(std::move(work));
    arrived_.notify_one();
    return true;
}

void SideThread::loop() {
    for (;;) {
        std::function<void()> work;
        {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
            if (is_stopping_) return;
            work = std::move(waiting_.front());
            waiting_.pop_front();
        }
        work();
    }
}

}  // namespace entrepot
