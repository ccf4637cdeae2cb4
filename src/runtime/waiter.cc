#include "runtime/waiter.h"

#include "runtime/core.h"

namespace entrepot {

namespace {
// Waiter's link in a Cancel's list is the first base of a struct that knows its owner.
template <typename Link>
auto* owner_of(ListNode* node) {
    return static_cast<Link*>(node)->owner;
}
}  // namespace

void Cancel::cancel(ErrorCode reason) {
    if (cancelled_) return;
    cancelled_ = true;
    reason_ = reason;
    while (!waiters_.empty()) owner_of<Waiter::Link>(waiters_.front())->wake(Wake{false, reason});
}

void Waiter::Hook::operator()(boost::asio::cancellation_type_t) const {
    Core* core = Core::current();
    ENTREPOT_CHECK(core != nullptr);
    waiter->wake(Wake{false, core->cancel_reason_});
}

void Waiter::hold(void (*tell)(void*, Wake), void* argument) {
    struct Call {
        void (*tell)(void*, Wake);
        void* argument;
    };
    static_assert(sizeof(Call) <= kHandlerBytes && std::is_trivially_destructible_v<Call>);
    ENTREPOT_CHECK(!waiting_);
    new (static_cast<void*>(handler_)) Call{tell, argument};
    resume_ = [](Waiter& self) {
        const Call call = *std::launder(reinterpret_cast<Call*>(self.handler_));
        const Wake result = self.result_;
        call.tell(call.argument, result);
    };
}

void Waiter::call(Until until, void (*tell)(void*, Wake), void* argument) {
    hold(tell, argument);
    arm(until);
}

void Waiter::call_next_turn(void (*tell)(void*, Wake), void* argument) {
    hold(tell, argument);
    arm_turn();
}

void Waiter::forget() {
    settle({});
    ready_link_.unlink();
    queued_ = false;
}

void Waiter::arm(Until until) {
    waiting_ = true;
    if (until.cancel != nullptr) {
        if (until.cancel->cancelled()) {
            wake(Wake{false, until.cancel->reason()});
            return;
        }
        cancel_link_.owner = this;
        until.cancel->waiters_.push_back(cancel_link_);
    }
    if (!until.deadline.is_never()) {
        timer_.owner = this;
        timer_.fire = [](TimerNode& node) {
            static_cast<Timer&>(node).owner->wake(Wake{false, ErrorCode::kRequestTimeout});
        };
        Core::current()->timers().arm(timer_, until.deadline.time());
    }
}

void Waiter::arm_turn() {
    settle({});
    queued_ = true;
    Core::current()->enqueue_next_turn(*this);
}

void Waiter::settle(Wake wake) {
    waiting_ = false;
    result_ = wake;
    timer_.unlink();
    cancel_link_.unlink();
}

void Waiter::wake(Wake wake) {
    if (!waiting_) return;
    settle(wake);
    queued_ = true;
    Core::current()->enqueue_ready(*this);
}

void Waiter::wake_now(Wake wake) {
    if (!waiting_) return;
    settle(wake);
    resume_(*this);
}

}  // namespace entrepot
