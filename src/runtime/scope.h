#pragma once

#include <memory>

#include "runtime/core.h"
#include "runtime/task.h"

namespace entrepot {

/// Owns the coroutines it spawns: it can cancel them, and must be joined before it goes (the last
/// member, so that what the children use outlives them). Nothing in this project runs outside one.
class Scope {
public:
    explicit Scope(Core& core) : core_(core) {}
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// Starts a child: on the core's own thread it runs at once, up to its first wait.
    void spawn(Co<void> work);
    /// Wakes the wait each child is in with `reason`, and trips `token()`, which fails the waits
    /// that begin later.
    void cancel(ErrorCode reason);
    /// Waits until no child is left.
    [[nodiscard]] Co<void> join();
    /// A Cancel that trips with the scope, for waits that begin later.
    [[nodiscard]] Cancel& token() { return token_; }
    [[nodiscard]] std::size_t size() const { return children_count_; }

private:
    struct Child;
    void ended(Child& child);
    Core& core_;
    Cancel token_;
    List children_;
    std::size_t children_count_ = 0;
    Waiter joined_;
};

}  // namespace entrepot
