#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/core.h"

namespace entrepot {

/// The cores of the process, one thread each.
class Cores {
public:
    /// `threads` 0: one per CPU the process may use (sched_getaffinity).
    explicit Cores(unsigned threads);
    ~Cores();

    [[nodiscard]] std::size_t size() const { return cores_.size(); }
    [[nodiscard]] Core& operator[](std::size_t index) { return *cores_[index]; }

    /// Starts the threads; each runs `setup(core)` on its core first.
    void start(const std::function<void(Core&)>& setup);
    /// Asks every core to stop and waits for the threads.
    void stop();

    [[nodiscard]] static unsigned usable_cpus();

private:
    std::vector<std::unique_ptr<Core>> cores_;
    std::vector<std::thread> threads_;
};

/// Raises the soft limit of open descriptors to the hard one; returns the limit now in force.
std::size_t raise_descriptor_limit();

}  // namespace entrepot
