// Lines under contract against exact rationals: lists and rates of one's own by date, tier and
// context band, stated prices, discounts, volume steps and rounding rules, all at random. The
// oracle knows what was written and none of how it is compiled.
#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>

#include "pricing/price.h"
#include "rig.h"

namespace entrepot {
namespace {

// Rationals are never divided by an integer here: Boost 1.81 makes 1 of 1 / n.
using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;
using canon::Meter;
using pricing::TermVolume;
using rig::Random;

constexpr std::array kMeters{Meter::kInput, Meter::kCacheRead, Meter::kOutput};
constexpr std::array<std::int64_t, 3> kBands{0, 1'000, 50'000};
constexpr std::array<std::int64_t, 5> kBorders{0, 1'000, 3'000, 50'000, 200'000};
constexpr Instant day(std::int64_t n) { return {n * 86'400LL * 1'000'000'000}; }
constexpr Instant kOwnFrom = day(50);
constexpr Instant kContractFrom = day(100);

cpp_rational exact(const Ratio& ratio) { return {ratio.numerator, ratio.denominator}; }
cpp_int exact(Int128 value) { return cpp_int(to_string(value)); }

cpp_int rounded(const cpp_rational& value, const RoundingRule& rule) {
    cpp_int step = 1;
    for (int i = rule.decimals; i < RoundingRule::kDecimalsMax; ++i) step *= 10;
    const cpp_int under = denominator(value) * step;
    cpp_int floor = numerator(value) / under;  // no value is below zero
    const cpp_int twice = 2 * (numerator(value) - floor * under);
    bool is_up = false;
    switch (rule.mode) {
        case Rounding::kDown: break;
        case Rounding::kUp: is_up = twice > 0; break;
        case Rounding::kHalfUp: is_up = twice >= under; break;
        case Rounding::kHalfEven:
            is_up = twice > under || (twice == under && floor % 2 != 0);
            break;
    }
    if (is_up) ++floor;
    return floor * step;
}

/// What was written down, by people and sellers.
struct World {
    struct OwnRate {
        std::size_t tier, band, meter;
        std::int64_t pico;
    };
    /// By tier, band and meter.
    std::array<std::array<std::array<std::int64_t, 3>, 3>, catalog::kTierCount> list{};
    Ratio uplift;
    std::vector<OwnRate> own;  ///< the later the stronger
    pricing::Terms terms;
    pricing::RateCard card;
};

Ratio share(Random& random, std::int64_t most, std::int64_t of) {
    return Ratio::parse(fmt::format("{}/{}", random.between(0, most), of)).value();
}

void write_contract(Random& random, pricing::Terms& terms) {
    terms.contract = "c";
    terms.from = kContractFrom;
    terms.rounding = {
        static_cast<Rounding>(random.below(4)), static_cast<std::uint8_t>(random.between(4, 12))};
    for (std::uint64_t i = random.below(4); i > 0; --i)
        terms.discounts.push_back(
            {.tiers = static_cast<pricing::TierSet>(random.between(0, pricing::kAllTiers)),
                .meters = static_cast<pricing::MeterSet>(random.between(0, pricing::kAllMeters)),
                .off = share(random, 200, 1000),
                .is_of_net = random.one_in(2)});
    for (const std::int64_t border : kBorders)
        if (random.one_in(4))
            terms.prices.push_back(
                {.tiers = static_cast<pricing::TierSet>(random.between(0, pricing::kAllTiers)),
                    .ctx_over = border,
                    .meter = kMeters[random.below(3)],
                    .price = UnitPrice::from_pico(random.spread(27))});
    if (random.one_in(2)) return;
    TermVolume volume;
    volume.tiers = static_cast<pricing::TierSet>(random.between(0, pricing::kAllTiers));
    volume.measure = static_cast<TermVolume::Measure>(random.below(2));
    volume.reprices = static_cast<TermVolume::Reprices>(random.below(2));
    const bool is_priced = random.one_in(3);
    volume.meters = is_priced
        ? pricing::bit_of(kMeters[random.below(3)])
        : static_cast<pricing::MeterSet>(random.between(0, pricing::kAllMeters));
    const Int128 unit = volume.measure == TermVolume::Measure::kUnits ? 1 : 20'000'000;
    Int128 over = 0;
    for (std::uint64_t i = random.below(3) + 1; i > 0; --i) {
        over += unit * random.between(1, 1'000'000);
        TermVolume::Step step{over, share(random, 40, 100)};
        if (is_priced) step.price = UnitPrice::from_pico(random.spread(26));
        volume.steps.push_back(step);
    }
    terms.volumes.push_back(std::move(volume));
}

World random_world(Random& random) {
    static constexpr std::array kUplifts{Ratio{}, Ratio{11, 10}, Ratio{6, 5}, Ratio{23, 7}};
    World world;
    const bool has_own = random.one_in(2);
    // Beside rates of one's own an uplift must make whole pico-units of the list.
    world.uplift = kUplifts[random.below(has_own ? 3 : 4)];
    std::vector<catalog::Rate> rates;
    for (std::size_t t = 0; t < catalog::kTierCount; ++t)
        for (std::size_t b = 0; b < kBands.size(); ++b)
            for (std::size_t m = 0; m < kMeters.size(); ++m) {
                std::int64_t& pico = world.list[t][b][m] = 10 * (random.spread(23) + 1);
                rates.push_back({.tier = static_cast<catalog::Tier>(t),
                    .ctx_over = kBands[b],
                    .meter = kMeters[m],
                    .price = UnitPrice::from_pico(pico)});
            }
    pricing::RateCard card = pricing::RateCard::from_rates(rates, "w", world.uplift);
    if (has_own) {
        std::vector<catalog::Rate> own;
        for (std::uint64_t i = random.below(6) + 1; i > 0; --i) {
            const World::OwnRate& rate =
                world.own.emplace_back(World::OwnRate{random.below(catalog::kTierCount),
                    random.below(3), random.below(3), random.spread(26) + 1});
            own.push_back({.tier = static_cast<catalog::Tier>(rate.tier),
                .ctx_over = kBands[rate.band],
                .meter = kMeters[rate.meter],
                .price = UnitPrice::from_pico(rate.pico),
                .from = kOwnFrom,
                .seen = Instant{static_cast<std::int64_t>(world.own.size())}});
        }
        card = card.with(own, "w").value();
    }
    write_contract(random, world.terms);
    world.card = card.under(std::span(&world.terms, 1)).value();
    return world;
}

/// What a unit costs by the list and the rates beside it, uplift included.
cpp_rational list_price(
    const World& world, std::size_t tier, std::size_t m, std::int64_t prompt, Instant at) {
    std::size_t band = 0;
    for (std::size_t b = 0; b < kBands.size(); ++b)
        if (kBands[b] < prompt) band = b;
    cpp_rational price = world.list[tier][band][m] * exact(world.uplift);
    if (at < kOwnFrom) return price;
    for (const World::OwnRate& rate : world.own)
        if (rate.tier == tier && rate.band == band && rate.meter == m) price = rate.pico;
    return price;
}

/// The sum over `amount` that begins at `running` of what each part's step says.
template <typename OfStep>
cpp_rational over_steps(
    const TermVolume& volume, const cpp_int& running, const cpp_int& amount, OfStep&& of_step) {
    cpp_rational sum = 0;
    const cpp_int end = running + amount;
    for (std::size_t k = 0; k <= volume.steps.size(); ++k) {
        const cpp_int low = k == 0 ? cpp_int(0) : exact(volume.steps[k - 1].over);
        const cpp_int high = k == volume.steps.size() ? end : exact(volume.steps[k].over);
        if (volume.reprices == TermVolume::Reprices::kWhole) {
            const bool is_last = k == volume.steps.size();
            if (running >= low && (is_last || running < high)) return of_step(k) * amount;
            continue;
        }
        const cpp_int from = low > running ? low : running;
        const cpp_int to = high < end ? high : end;
        if (to > from) sum += of_step(k) * (to - from);
    }
    return sum;
}

class Oracle {
public:
    Oracle(const World& world, std::size_t tier, std::int64_t prompt, Instant at, Int128 running)
        : world_(world), tier_(tier), prompt_(prompt), at_(at), counted_(exact(running)) {}

    struct Amounts {
        cpp_int list, cost;
    };
    Amounts line(std::size_t m, std::int64_t quantity) {
        const cpp_rational price = list_price(world_, tier_, m, prompt_, at_);
        const cpp_int list = rounded(price * quantity, {});
        if (at_ < kContractFrom) return {list, list};
        return {list, rounded(paid(m, quantity, price, list), world_.terms.rounding)};
    }

private:
    cpp_rational paid(
        std::size_t m, std::int64_t quantity, const cpp_rational& price, const cpp_int& list) {
        const pricing::Terms& terms = world_.terms;
        const auto is_of = [&](const auto& term) {
            return (term.tiers >> tier_ & 1U) != 0 &&
                (term.meters & pricing::bit_of(kMeters[m])) != 0;
        };
        cpp_rational left = 1;
        cpp_rational net = 1;
        for (const pricing::TermDiscount& discount : terms.discounts) {
            if (!is_of(discount)) continue;
            if (discount.is_of_net)
                net *= 1 - exact(discount.off);
            else
                left -= exact(discount.off);
        }
        const pricing::TermPrice* stated = nullptr;
        for (const pricing::TermPrice& one : terms.prices)
            if ((one.tiers >> tier_ & 1U) != 0 && one.meter == kMeters[m] &&
                (one.ctx_over == 0 || one.ctx_over < prompt_))
                stated = &one;  // they ascend
        if (stated != nullptr) return cpp_rational(stated->price.pico()) * quantity * net;
        if (terms.volumes.empty() || !is_of(terms.volumes[0])) return price * quantity * left * net;
        const TermVolume& volume = terms.volumes[0];
        const bool by_units = volume.measure == TermVolume::Measure::kUnits;
        const cpp_int amount = by_units ? cpp_int(quantity) : list;
        // What is left of the list's price on a step; below the first, what the discounts leave.
        const auto left_on = [&](std::size_t k) -> cpp_rational {
            if (k == 0) return left;
            const TermVolume::Step& step = volume.steps[k - 1];
            return step.price ? cpp_rational(step.price->pico()) / price : left - exact(step.off);
        };
        cpp_rational cost;
        if (by_units || volume.reprices == TermVolume::Reprices::kWhole) {
            cost = amount == 0 ? cpp_rational(left * price * quantity)
                               : cpp_rational(over_steps(volume, counted_, amount, left_on) /
                                     cpp_rational(amount) * price * quantity);
        } else {
            // A part of the rounded list amount is taken off the exact one.
            const auto off_on = [&](std::size_t k) -> cpp_rational { return left - left_on(k); };
            cost = left * price * quantity - over_steps(volume, counted_, amount, off_on);
            // Which may be a part of a pico-unit more or less than there was.
            cpp_rational most = left;
            for (std::size_t k = 1; k <= volume.steps.size(); ++k)
                if (left_on(k) > most) most = left_on(k);
            if (cost > most * price * quantity) cost = most * price * quantity;
        }
        counted_ += amount;
        return cost < 0 ? cpp_rational(0) : cpp_rational(cost * net);
    }

    const World& world_;
    std::size_t tier_;
    std::int64_t prompt_;
    Instant at_;
    cpp_int counted_;
};

/// The lines of one charge that are as they should be.
std::uint64_t lines_of_one_charge(Random& random, const World& world) {
    static constexpr std::array kTimes{day(10), kOwnFrom, day(99), kContractFrom, day(200)};
    canon::Usage usage;
    for (const Meter meter : kMeters) usage[meter] = random.spread(21);
    const std::size_t tier = random.below(catalog::kTierCount);
    const Instant at = kTimes[random.below(kTimes.size())];
    const bool by_units = world.terms.volumes.empty() ||
        world.terms.volumes[0].measure == TermVolume::Measure::kUnits;
    const Int128 running = Int128{random.between(0, 3'000'000)} * (by_units ? 1 : 20'000'000);
    pricing::PriceOptions options{.tier = static_cast<catalog::Tier>(tier)};
    options.running = std::span(&running, 1);
    const auto charge = pricing::price(usage, world.card, options, at);
    if (!charge || !charge->is_known || !charge->is_list_known) {
        ADD_FAILURE() << (charge ? "not known" : charge.error().message);
        return 0;
    }
    Oracle oracle(world, tier, usage.prompt_tokens(), at, running);
    cpp_int total = 0;
    std::uint64_t lines = 0;
    for (const pricing::ChargeLine& line : charge->lines()) {
        const auto m =
            static_cast<std::size_t>(std::ranges::find(kMeters, line.meter) - kMeters.begin());
        const Oracle::Amounts wanted = oracle.line(m, line.quantity);
        if (exact(line.list.pico()) != wanted.list || exact(line.cost.pico()) != wanted.cost) {
            ADD_FAILURE() << line.quantity << " " << canon::meter_name(line.meter) << " at "
                          << catalog::tier_name(options.tier) << ", prompt "
                          << usage.prompt_tokens() << ", " << to_date(at) << ": list "
                          << wanted.list << " and cost " << wanted.cost << ", not "
                          << exact(line.list.pico()) << " and " << exact(line.cost.pico());
            return lines;
        }
        total += wanted.cost;
        ++lines;
    }
    EXPECT_EQ(exact(charge->total.pico()), total);
    // And what was held would have been enough, whatever the steps stood at.
    const pricing::Quote hold =
        pricing::worst_case({.prompt_tokens_max = usage.prompt_tokens(),
                                .output_tokens_max = usage[Meter::kOutput],
                                .tiers = pricing::Bounds::tier_bit(options.tier)},
            world.card, {}, at);
    EXPECT_TRUE(hold.is_known && hold.amount >= charge->total);
    return lines;
}

TEST(Arithmetic, EveryLineUnderContractIsExactAtItsDateTierBandAndStep) {
    Random random(rig::seed_of("contracts"));
    const std::uint64_t wanted = rig::is_full() ? 10'000'000 : 50'000;
    constexpr int kChargesOfOneWorld = 40;
    std::uint64_t lines = 0;
    while (lines < wanted && !HasFailure()) {
        const World world = random_world(random);
        for (int i = 0; i < kChargesOfOneWorld && !HasFailure(); ++i)
            lines += lines_of_one_charge(random, world);
    }
    fmt::print("contracts: {} lines, no difference\n", lines);
}

}  // namespace
}  // namespace entrepot
