#include "runtime/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace entrepot {

void TimerWheel::arm(TimerNode& node, MonotonicTime due) {
    node.unlink();
    // Rounded up, and never into a slot that has been passed: that one comes round again after 8
    // seconds only.
    node.due_tick = std::max(due.ns / kTickNs + 1, tick_ + 1);
    const auto slot = static_cast<std::size_t>(node.due_tick) % kSlots;
    slots_[slot].push_back(node);
    occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::advance(MonotonicTime now) {
    const std::int64_t target = now.ns / kTickNs;
    if (target <= tick_) return;
    const std::int64_t from = std::max(tick_ + 1, target - static_cast<std::int64_t>(kSlots) + 1);
    tick_ = target;
    List due;
    for (std::int64_t tick = from; tick <= target; ++tick) {
        const auto slot = static_cast<std::size_t>(tick) % kSlots;
        if ((occupied_[slot / 64] >> (slot % 64) & 1) == 0) continue;
        List& list = slots_[slot];
        for (ListNode* at = list.front(); at != list.end();) {
            auto& node = static_cast<TimerNode&>(*at);
            at = at->next;
            if (node.due_tick > target) continue;
            node.unlink();
            due.push_back(node);
        }
        if (list.empty()) occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    }
    while (!due.empty()) {
        auto& node = static_cast<TimerNode&>(*due.front());
        node.unlink();
        node.fire(node);
    }
}

int TimerWheel::timeout_ms(MonotonicTime now) {
    const std::int64_t base = tick_ < 0 ? now.ns / kTickNs : tick_;
    for (std::int64_t ahead = 1; ahead <= static_cast<std::int64_t>(kSlots);) {
        const auto slot = static_cast<std::size_t>(base + ahead) % kSlots;
        const std::uint64_t rest = occupied_[slot / 64] >> (slot % 64);
        if (rest == 0) {
            ahead += static_cast<std::int64_t>(64 - slot % 64);
            continue;
        }
        const int skip = std::countr_zero(rest);
        const std::size_t found = slot + static_cast<std::size_t>(skip);
        ahead += skip;
        if (ahead > static_cast<std::int64_t>(kSlots)) break;
        if (slots_[found].empty()) {  // what was armed here has been disarmed
            occupied_[found / 64] &= ~(std::uint64_t{1} << (found % 64));
            continue;
        }
        const std::int64_t due_ns = (base + ahead) * kTickNs - now.ns;
        return due_ns <= 0 ? 0 : static_cast<int>((due_ns + 999'999) / 1'000'000);
    }
    return -1;
}

}  // namespace entrepot
