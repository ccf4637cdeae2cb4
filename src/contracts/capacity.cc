#include "contracts/capacity.h"

#include <algorithm>
#include <numeric>

namespace entrepot::contracts {
namespace {

using canon::Meter;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kDay = 86'400 * kSecond;

struct Span {
    Instant begin;
    Instant end;
    [[nodiscard]] std::int64_t seconds() const {
        return end <= begin ? 0 : (end - begin).count() / kSecond;
    }
};

/// The part of [begin, end) in which the capacity is there.
Span presence(const Contract& contract, const Provisioned& capacity, Instant begin, Instant end) {
    return {
        std::max({begin, capacity.from, contract.from}), std::min({end, capacity.to, contract.to})};
}

/// Weighted tokens over one denominator, which all rows of one capacity share.
class Weights {
public:
    explicit Weights(const Provisioned& capacity) {
        for (const Ratio* weight :
            {&capacity.output_weight, &capacity.cached_weight, &capacity.cache_write_weight})
            is_good_ = is_good_ &&
                !__builtin_mul_overflow(denominator_,
                    weight->denominator / std::gcd(denominator_, weight->denominator),
                    &denominator_);
        if (!is_good_) return;
        const auto over = [&](const Ratio& weight) {
            return Int128{weight.numerator} * (denominator_ / weight.denominator);
        };
        output_ = over(capacity.output_weight);
        cached_ = over(capacity.cached_weight);
        written_ = over(capacity.cache_write_weight);
    }
    [[nodiscard]] bool is_good() const { return is_good_; }
    [[nodiscard]] std::int64_t denominator() const { return denominator_; }

    /// In parts of a token; false when it leaves 128 bits.
    [[nodiscard]] bool weigh(const canon::Usage& usage, Int128& sum) const {
        const Int128 cached = Int128{usage[Meter::kCacheRead]} + usage[Meter::kAudioCacheRead];
        const Int128 written = Int128{usage[Meter::kCacheWrite]} + usage[Meter::kCacheWriteLong];
        const Int128 plain = Int128{usage.prompt_tokens()} - cached - written;
        return add(plain, denominator_, sum) && add(cached, cached_, sum) &&
            add(written, written_, sum) && add(usage.answer_tokens(), output_, sum);
    }

private:
    static bool add(Int128 count, Int128 weight, Int128& sum) {
        Int128 product = 0;
        return !__builtin_mul_overflow(count, weight, &product) &&
            !__builtin_add_overflow(sum, product, &sum);
    }
    std::int64_t denominator_ = 1;
    Int128 output_ = 0, cached_ = 0, written_ = 0;
    bool is_good_ = true;
};

std::unexpected<Error> too_much(const Provisioned& capacity) {
    return fail(ErrorCode::kOverflow,
        "the use of the capacity '" + capacity.name + "' leaves 128 bits; write shorter weights");
}

/// What a row takes up: parts of a token, or list cost.
Result<Int128> load_of(const Provisioned& capacity, const Weights& weights, const Bought& row) {
    if (capacity.tokens_per_minute == 0) return row.list.pico();
    Int128 sum = 0;
    if (!weights.is_good() || !weights.weigh(row.usage, sum)) return too_much(capacity);
    return sum;
}

/// What the capacity could serve in so many seconds, in the measure of `load_of`.
Result<Int128> room_of(const Provisioned& capacity, const Weights& weights, std::int64_t seconds) {
    const Int128 a_minute = capacity.tokens_per_minute == 0
        ? capacity.list_per_minute.pico()
        : Int128{capacity.tokens_per_minute} * weights.denominator();
    Int128 room = 0;
    if (!weights.is_good() || __builtin_mul_overflow(a_minute, Int128{capacity.units}, &room) ||
        __builtin_mul_overflow(room, Int128{seconds}, &room))
        return too_much(capacity);
    return room / 60;
}

}  // namespace

Result<Money> fee_of(
    const Contract& contract, const Provisioned& capacity, Instant begin, Instant end) {
    const std::int64_t seconds = presence(contract, capacity, begin, end).seconds();
    Int128 product = 0;
    if (__builtin_mul_overflow(capacity.hourly.pico(), Int128{capacity.units} * seconds, &product))
        return fail(ErrorCode::kOverflow,
            "the hours of the capacity '" + capacity.name + "' cost more than 128 bits hold");
    return divide(product, 3600, {});
}

Result<Utilisation> utilisation_of(const Contract& contract, const Provisioned& capacity,
    std::span<const Bought> bought, Instant begin, Instant end) {
    const Span there = presence(contract, capacity, begin, end);
    const Weights weights(capacity);
    Utilisation use;
    use.minutes = there.seconds() / 60;
    ENTREPOT_TRY(use.paid, fee_of(contract, capacity, begin, end));
    ENTREPOT_TRY(const Int128 room, room_of(capacity, weights, there.seconds()));
    Int128 load = 0;
    for (const Bought& row : bought) {
        if (!takes(capacity.offers, row.offer) || !is_within(row.day, there.begin, there.end))
            continue;
        ENTREPOT_TRY(const Int128 more, load_of(capacity, weights, row));
        if (__builtin_add_overflow(load, more, &load)) return too_much(capacity);
        use.list += row.list;
    }
    const std::int64_t parts = capacity.tokens_per_minute == 0 ? 1 : weights.denominator();
    use.capacity = room / parts;
    use.served = load / parts;
    Int128 scaled = 0;
    if (__builtin_mul_overflow(load, Int128{1'000'000}, &scaled)) return too_much(capacity);
    if (room > 0) use.used_ppm = static_cast<std::int64_t>(scaled / room);
    return use;
}

Result<std::vector<Money>> split(Money fee, std::span<const Int128> weights) {
    Int128 whole = 0;
    for (const Int128 weight : weights)
        if (__builtin_add_overflow(whole, weight, &whole))
            return fail(ErrorCode::kOverflow, "the weights of a split leave 128 bits");
    if (whole == 0) return std::vector<Money>();
    std::vector<Money> parts(weights.size());
    std::vector<Int128> remainders(weights.size());
    Int128 left = fee.pico();
    for (std::size_t i = 0; i < weights.size(); ++i) {
        // fee x weight / whole in two steps: what the whole holds of the fee, and the rest of it.
        const Int128 each = fee.pico() / whole;
        const Int128 rest = fee.pico() % whole;
        Int128 base = 0;
        Int128 product = 0;
        if (__builtin_mul_overflow(each, weights[i], &base) ||
            __builtin_mul_overflow(rest, weights[i], &product))
            return fail(ErrorCode::kOverflow, "a part of a fee leaves 128 bits");
        parts[i] = Money::from_pico(base + product / whole);
        remainders[i] = product % whole;
        left -= parts[i].pico();
    }
    std::vector<std::size_t> order(weights.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(
        order, [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
    for (std::size_t i = 0; left > 0; ++i, --left) parts[order[i]] += Money::from_pico(1);
    return parts;
}

namespace {

/// Lays one capacity's hours of one day over the rows that it served.
Status lay_over(const Contract& contract, const Provisioned& capacity, const Weights& weights,
    std::span<const Bought> bought, std::span<const std::size_t> rows, Span day, Effective& out) {
    ENTREPOT_TRY(const Money fee, fee_of(contract, capacity, day.begin, day.end));
    if (fee.is_zero()) return {};
    std::vector<Int128> loads;
    Int128 load = 0;
    for (const std::size_t row : rows) {
        ENTREPOT_TRY(const Int128 more, load_of(capacity, weights, bought[row]));
        if (__builtin_add_overflow(load, more, &load)) return too_much(capacity);
        loads.push_back(more);
    }
    const std::int64_t seconds = presence(contract, capacity, day.begin, day.end).seconds();
    ENTREPOT_TRY(const Int128 room, room_of(capacity, weights, seconds));
    // The hours that served, and those that did not, are one more weight.
    loads.push_back(std::max<Int128>(room - load, 0));
    ENTREPOT_TRY(const std::vector<Money> parts, split(fee, loads));
    if (parts.empty()) {
        out.unused += fee;
        return {};
    }
    for (std::size_t i = 0; i < rows.size(); ++i) out.costs[rows[i]] += parts[i];
    out.unused += parts.back();
    return {};
}

}  // namespace

Result<Effective> effective_of(
    const Contract& contract, std::span<const Bought> bought, Instant begin, Instant end) {
    Effective out;
    for (const Bought& row : bought) out.costs.push_back(row.cost);
    for (const Provisioned& capacity : contract.provisioned) {
        const Weights weights(capacity);
        const Span there = presence(contract, capacity, begin, end);
        std::vector<std::size_t> rows;
        for (std::size_t i = 0; i < bought.size(); ++i)
            if (takes(capacity.offers, bought[i].offer) &&
                is_within(bought[i].day, there.begin, there.end))
                rows.push_back(i);
        std::ranges::stable_sort(
            rows, [&](std::size_t a, std::size_t b) { return bought[a].day < bought[b].day; });
        std::size_t next = 0;
        for (Instant at = there.begin; at < there.end;) {
            const Instant midnight{at.ns - ((at.ns % kDay) + kDay) % kDay};
            const Span day{at, std::min(there.end, midnight + nanoseconds(kDay))};
            const std::size_t first = next;
            while (next < rows.size() && bought[rows[next]].day <= midnight) ++next;
            ENTREPOT_TRY_DO(lay_over(contract, capacity, weights, bought,
                std::span(rows).subspan(first, next - first), day, out));
            at = day.end;
        }
    }
    return out;
}

}  // namespace entrepot::contracts
