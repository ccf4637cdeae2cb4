#include "runtime/cores.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>

namespace entrepot {

unsigned Cores::usable_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

Cores::Cores(unsigned threads) {
    const unsigned count = threads == 0 ? usable_cpus() : threads;
    for (unsigned i = 0; i < count; ++i) cores_.push_back(std::make_unique<Core>(i));
}

Cores::~Cores() { stop(); }

void Cores::start(const std::function<void(Core&)>& setup) {
    for (auto& core : cores_) {
        core->post([setup, at = core.get()] { setup(*at); });
        threads_.emplace_back([at = core.get()] { at->run(); });
    }
}

void Cores::stop() {
    for (std::size_t i = 0; i < threads_.size(); ++i) cores_[i]->stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

}  // namespace entrepot
