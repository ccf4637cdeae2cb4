#include "pricing/ladder.h"

#include <algorithm>

namespace entrepot::pricing {
namespace {

/// A product or sum in 128 bits that remembers whether it left them.
class Wide {
public:
    Wide(Int128 value) : value_(value) {}  // implicit: it reads as a number
    Wide operator*(Int128 by) const {
        Wide out = *this;
        out.failed_ = out.failed_ || __builtin_mul_overflow(value_, by, &out.value_);
        return out;
    }
    Wide operator+(const Wide& other) const {
        Wide out = *this;
        out.failed_ =
            failed_ || other.failed_ || __builtin_add_overflow(value_, other.value_, &out.value_);
        return out;
    }
    [[nodiscard]] bool failed() const { return failed_; }
    [[nodiscard]] Int128 value() const { return value_; }

private:
    Int128 value_;
    bool failed_ = false;
};

/// The rate at each unit of `amount` that lies at `running`, times how many: `rate(0)` is below the
/// first threshold.
template <typename Rate>
Wide sum_over_steps(const RateCard::Ladder& ladder, Int128 running, Int128 amount, Rate&& rate) {
    Wide sum = 0;
    for (std::size_t k = 0; k < ladder.numerators.size() && amount > 0; ++k) {
        Int128 here = amount;
        if (k < ladder.over.size()) here = std::clamp<Int128>(ladder.over[k] - running, 0, amount);
        sum = sum + Wide(here) * rate(k);
        running += here;
        amount -= here;
    }
    return sum;
}

}  // namespace

Result<Money> climb_of(const Climb& climb, const RoundingRule& rule) {
    const RateCard::Ladder& ladder = climb.ladder;
    const auto rate = [&](std::size_t k) { return Int128{ladder.numerators[k]}; };
    const Int128 price = climb.price.pico();
    Wide numerator = 0;
    Wide denominator = Wide(ladder.denominator) * climb.more.denominator;
    if (ladder.reprices == TermVolume::Reprices::kWhole) {
        std::size_t reached = 0;
        while (reached < ladder.over.size() && climb.running >= ladder.over[reached]) ++reached;
        numerator = Wide(climb.quantity) * price * rate(reached) * climb.more.numerator;
    } else if (ladder.measure == TermVolume::Measure::kUnits) {
        numerator = sum_over_steps(ladder, climb.running, climb.quantity, rate) * price *
            climb.more.numerator;
    } else {
        // The discount is a function of list cost; what this line adds to it is taken off.
        const auto off = [&](std::size_t k) { return rate(k) - rate(0); };
        numerator = Wide(climb.quantity) * price * rate(0) * climb.list_factor.numerator *
                climb.more.numerator +
            sum_over_steps(ladder, climb.running, climb.list.pico(), off) *
                climb.list_factor.denominator * climb.more.denominator;
        denominator = denominator * climb.list_factor.numerator;
        // The list amount is rounded: at a step far above the list a part of a pico-unit is much.
        // No line costs more than all of it would at the dearest step, which is what is held.
        const Int128 dearest = *std::ranges::max_element(ladder.numerators);
        const Wide most = Wide(climb.quantity) * price * dearest * climb.list_factor.numerator *
            climb.more.numerator;
        if (!most.failed() && !numerator.failed() && most.value() < numerator.value())
            numerator = most;
    }
    if (numerator.failed() || denominator.failed())
        return fail(ErrorCode::kOverflow, "a volume discount of a line leaves 128 bits");
    // The list amount is rounded, so that the whole of it may be a part of a pico-unit too much.
    return divide(std::max<Int128>(numerator.value(), 0), denominator.value(), rule);
}

}  // namespace entrepot::pricing
