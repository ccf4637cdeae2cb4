#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>

#include "base/check.h"
#include "base/result.h"
#include "runtime/deadline.h"
#include "runtime/list.h"

namespace entrepot {

class Core;

/// How a wait ended: `ready`, or the reason why not (kCancelled, kClientGone, kRequestTimeout for a
/// deadline, ...).
struct Wake {
    bool ready = true;
    ErrorCode reason = ErrorCode::kInternal;
};

/// Something that is due at a time. Owned by whoever waits; unlinks itself when it goes.
struct TimerNode : ListNode {
    std::int64_t due_tick = 0;
    void (*fire)(TimerNode&) = nullptr;
};

/// A wish to stop, with its reason, which stays once made: waits that begin later fail at once.
/// Belongs to one core.
class Cancel {
public:
    Cancel() = default;
    Cancel(const Cancel&) = delete;
    Cancel& operator=(const Cancel&) = delete;
    ~Cancel() { ENTREPOT_CHECK(waiters_.empty()); }

    /// Wakes every wait that depends on this with `reason`. The first reason stays.
    void cancel(ErrorCode reason);
    [[nodiscard]] bool cancelled() const { return cancelled_; }
    [[nodiscard]] ErrorCode reason() const { return reason_; }
    /// Forgets, for the next request of a connection. No wait may depend on it.
    void reset() {
        ENTREPOT_CHECK(waiters_.empty());
        cancelled_ = false;
    }

private:
    friend class Waiter;
    List waiters_;
    ErrorCode reason_ = ErrorCode::kCancelled;
    bool cancelled_ = false;
};

/// The place where one coroutine at a time can wait for an event on its core. It allocates nothing:
/// it holds the suspended coroutine, its timer and its link to a `Cancel` in itself.
///
///     const Wake wake = co_await waiter.wait(until);   // elsewhere: waiter.wake();
class Waiter {
public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter() { ENTREPOT_CHECK(!waiting_ && !queued_); }

    [[nodiscard]] bool waiting() const { return waiting_; }

    /// A wait to be awaited, at once and once.
    struct Operation {
        Waiter* waiter;
        Until until;
        bool next_turn;
        // Asio also probes with a pointer to the awaiting frame; that is not a completion token.
        template <typename Token>
            requires(!std::is_pointer_v<std::remove_cvref_t<Token>>)
        auto operator()(Token&& token) {
            return boost::asio::async_initiate<Token, void(Wake)>(
                [](auto handler, Waiter* at, Until bounds, bool is_turn) {
                    at->begin(std::move(handler), bounds, is_turn);
                },
                token, waiter, until, next_turn);
        }
    };

    /// An operation to be awaited: suspends until `wake`, the deadline, a cancel, or the
    /// cancellation of the Scope.
    [[nodiscard]] Operation wait(Until until) { return Operation{this, until, false}; }
    /// An operation of the same type that only lets everything else go first: it ends in the next
    /// turn of the loop, after a look at what has become ready.
    [[nodiscard]] Operation wait_turn() { return Operation{this, {}, true}; }

    /// The same for an object that is no coroutine: `tell(argument, wake)` is called from the loop
    /// when the wait has ended, and may wait again or destroy this.
    void call(Until until, void (*tell)(void*, Wake), void* argument);
    void call_next_turn(void (*tell)(void*, Wake), void* argument);
    /// Takes such a call back, also one that is due already.
    void forget();

    /// Ends the wait; the coroutine resumes from the loop, not inside this call. Nothing happens
    /// when nobody waits.
    void wake(Wake wake = {});
    /// The same, but resumes inside this call: for the event loop itself, which has nothing on its
    /// stack.
    void wake_now(Wake wake = {});

private:
    friend class Core;
    friend class Cancel;

    static constexpr std::size_t kHandlerBytes = 32;

    struct Hook {
        Waiter* waiter;
        void operator()(boost::asio::cancellation_type_t type) const;
    };

    template <typename Handler>
    void begin(Handler handler, Until until, bool is_turn) {
        static_assert(sizeof(Handler) <= kHandlerBytes);
        ENTREPOT_CHECK(!waiting_);
        auto slot = boost::asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) slot.template emplace<Hook>(Hook{this});
        new (static_cast<void*>(handler_)) Handler(std::move(handler));
        resume_ = [](Waiter& self) {
            Handler* held = std::launder(reinterpret_cast<Handler*>(self.handler_));
            Handler moved(std::move(*held));
            held->~Handler();
            Wake result = self.result_;
            std::move(moved)(result);
        };
        if (is_turn)
            arm_turn();
        else
            arm(until);
    }
    void hold(void (*tell)(void*, Wake), void* argument);
    void arm(Until until);
    void arm_turn();
    void settle(Wake wake);

    alignas(std::max_align_t) std::byte handler_[kHandlerBytes];
    void (*resume_)(Waiter&) = nullptr;
    struct Timer : TimerNode {
        Waiter* owner = nullptr;
    } timer_;
    struct Link : ListNode {
        Waiter* owner = nullptr;
    } cancel_link_, ready_link_;
    Wake result_;
    bool waiting_ = false;
    bool queued_ = false;
};

}  // namespace entrepot
