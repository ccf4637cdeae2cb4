#include "runtime/scope.h"

#include <exception>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/check.h"

namespace entrepot {

struct Scope::Child : ListNode {
    asio::cancellation_signal signal;
};

namespace {
Co<void> child_root(Co<void> work) {
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await std::move(work);
}
}  // namespace

Scope::~Scope() { ENTREPOT_CHECK(children_count_ == 0); }

void Scope::spawn(Co<void> work) {
    auto* child = new Child;
    children_.push_back(*child);
    ++children_count_;
    auto ended_handler = [this, child](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
        ended(*child);
    };
    asio::co_spawn(core_.executor(), child_root(std::move(work)),
        asio::bind_cancellation_slot(child->signal.slot(), std::move(ended_handler)));
}

void Scope::ended(Child& child) {
    delete &child;
    if (--children_count_ == 0) joined_.wake();
}

void Scope::cancel(ErrorCode reason) {
    token_.cancel(reason);
    core_.cancel_reason_ = reason;
    for (ListNode* at = children_.front(); at != children_.end();) {
        auto& child = static_cast<Child&>(*at);
        at = at->next;
        child.signal.emit(asio::cancellation_type::terminal);
    }
}

Co<void> Scope::join() {
    while (children_count_ != 0) {
        // A cancel of whoever joins must not end the join: the children still use what surrounds
        // the scope.
        co_await joined_.wait({});
    }
}

}  // namespace entrepot
