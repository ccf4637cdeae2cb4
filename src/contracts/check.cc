#include "contracts/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "contracts/presets.h"
#include "contracts/windows.h"

namespace entrepot::contracts {
namespace {

/// 2201-01-01.
constexpr Instant kLatest{7'289'654'400'000'000'000};

bool is_share(const Ratio& ratio) {
    return ratio.numerator >= 0 && ratio.numerator <= ratio.denominator;
}

/// A date as people wrote it: without the time where that is midnight.
std::string words_of(Instant at) {
    const std::string text = to_rfc3339(at);
    return text.ends_with("T00:00:00.000Z") ? text.substr(0, 10) : text;
}

bool overlap(const auto& a, const auto& b) { return a.from < b.to && b.from < a.to; }

/// Whether the shares are more than the whole. Sums of ratios are taken over one denominator; one
/// that does not fit has too many digits to be a discount.
bool is_beyond_whole(std::span<const Ratio> shares) {
    Int128 numerator = 0;
    Int128 denominator = 1;
    for (const Ratio& share : shares) {
        Int128 left = 0;
        Int128 right = 0;
        if (__builtin_mul_overflow(numerator, Int128{share.denominator}, &left) ||
            __builtin_mul_overflow(Int128{share.numerator}, denominator, &right) ||
            __builtin_add_overflow(left, right, &numerator) ||
            __builtin_mul_overflow(denominator, Int128{share.denominator}, &denominator))
            return true;
    }
    return numerator > denominator;
}

class Checker {
public:
    Checker(
        const Contract& contract, std::span<const CloudFact> clouds, std::vector<Finding>& findings)
        : contract_(contract),
          clouds_(clouds),
          findings_(findings),
          path_(fmt::format("contracts.{}", contract.name)) {}

    void run() {
        if (contract_.to <= contract_.from) {
            tell(".to",
                fmt::format("the term ends on {} and begins on {}", words_of(contract_.to),
                    words_of(contract_.from)),
                "write a 'to' after 'from'; the day of 'to' is no longer in the term");
            return;  // everything below is about dates within it
        }
        if (contract_.from == catalog::kBeginning || contract_.to == catalog::kForever) {
            tell("", "the term has no first day or no last one", "state both: from and to");
            return;
        }
        // Windows are counted on in months from the first day: nanoseconds end in 2262.
        for (const auto& [name, at] :
            {std::pair(".from", contract_.from), std::pair(".to", contract_.to)})
            if (at < Instant{0} || at > kLatest) {
                tell(name, fmt::format("{} is no day of a contract", words_of(at)),
                    "write one from 1970 to 2200");
                return;
            }
        if (contract_.commitment) check_commitment(*contract_.commitment);
        check_discounts();
        check_volumes();
        check_prices();
        check_provisioned();
        check_constraints();
    }

private:
    void tell(std::string_view below, std::string cause, std::string remedy) {
        findings_.push_back(
            {fmt::format("{}{}", path_, below), std::move(cause), std::move(remedy)});
    }

    void check_share(const std::string& below, const Ratio& share, std::string_view what) {
        if (is_share(share)) return;
        tell(below, fmt::format("{} of {} is not between nothing and all", what, share.to_string()),
            "write a share from 0 to 1, such as \"12%\" or \"0.12\"");
    }

    /// Whether the dates make a period within the term.
    bool check_dates(const std::string& below, const auto& item) {
        if (item.to <= item.from) {
            tell(below + ".to",
                fmt::format(
                    "it ends on {} and begins on {}", words_of(item.to), words_of(item.from)),
                "write a 'to' after 'from'");
            return false;
        }
        if (!overlap(item, contract_)) {
            tell(below + (item.from >= contract_.to ? ".from" : ".to"),
                fmt::format("it never holds: the contract runs from {} to {}",
                    words_of(contract_.from), words_of(contract_.to)),
                "write dates within the term, or leave them out");
            return false;
        }
        return true;
    }

    void check_eligible(const Commitment& commitment) {
        const Preset& preset = preset_of(contract_.kind);
        bool is_any_named = false;
        for (const CloudFact& cloud : clouds_) {
            if (!takes(contract_.clouds, cloud.name) ||
                !takes(commitment.eligible.clouds, cloud.name))
                continue;
            is_any_named = true;
            if (preset.eligible.empty() ||
                std::ranges::find(preset.eligible, cloud.kind) != preset.eligible.end())
                return;
        }
        if (!is_any_named) {
            tell(commitment.eligible.clouds.empty() ? ".clouds" : ".commitment.eligible.clouds",
                "no cloud counts towards the commitment",
                "name clouds that the contract covers under 'eligible', or leave it out");
            return;
        }
        std::vector<std::string_view> kinds;
        for (const catalog::CloudKind kind : preset.eligible)
            kinds.push_back(catalog::cloud_kind_name(kind));
        tell(".clouds",
            fmt::format("no cloud counts towards the commitment: those of kind {} do under {}",
                fmt::join(kinds, ", "), kind_name(contract_.kind)),
            "name such a cloud, or choose another 'kind' of contract (other takes any)");
    }

    void check_commitment(const Commitment& commitment) {
        check_eligible(commitment);
        const std::string below = ".commitment";
        if (commitment.amounts.empty() && commitment.milestones.empty())
            tell(below, "the commitment has neither an amount nor milestones",
                "add amount: \"100000.00\"");
        for (std::size_t i = 0; i < commitment.amounts.size(); ++i)
            if (commitment.amounts[i].is_negative() || commitment.amounts[i].is_zero())
                tell(commitment.amounts.size() == 1 ? below + ".amount"
                                                    : fmt::format("{}.amount[{}]", below, i),
                    fmt::format("a commitment of {} is none", commitment.amounts[i].to_decimal()),
                    "write what has to be bought, above 0");
        const std::size_t windows = periods_of(commitment.per, contract_.from, contract_.to).size();
        if (windows >= kWindowsMax)
            tell(".to", fmt::format("the term has more than {} periods", kWindowsMax),
                "end it sooner");
        if (commitment.amounts.size() > 1 && commitment.amounts.size() != windows)
            tell(below + ".amount",
                fmt::format("{} amounts for the {} periods of a {} in the term",
                    commitment.amounts.size(), windows, per_name(commitment.per)),
                "write one amount for all of them, or one for each");
        check_milestones(commitment);
        check_share(below + ".shortfall.charged", commitment.shortfall.charged, "a charge");
        check_share(below + ".shortfall.returned", commitment.shortfall.returned, "a return");
        if (commitment.elsewhere_per_day.is_negative())
            tell(below + ".elsewhere_per_day", "spend below zero adds nothing to a commitment",
                "write what is bought beside the gateway on one day, or leave it out");
        if (!commitment.marketplace) return;
        check_share(below + ".marketplace.counts", commitment.marketplace->counts, "a share");
        if (commitment.marketplace->cap)
            check_share(below + ".marketplace.cap", *commitment.marketplace->cap, "a cap");
        if (!commitment.marketplace->bought.meets(contract_.scope()))
            tell(below + ".marketplace", "nothing that the contract covers is bought that way",
                "name models, offers or clouds of the contract");
    }

    void check_milestones(const Commitment& commitment) {
        Money total;
        for (const Window& window : windows_of(commitment, contract_.from, contract_.to))
            if (!window.is_milestone) total += window.amount;
        const Milestone* before = nullptr;
        for (std::size_t i = 0; i < commitment.milestones.size(); ++i) {
            const Milestone& milestone = commitment.milestones[i];
            const std::string below = fmt::format(".commitment.milestones[{}]", i);
            if (milestone.by <= contract_.from || milestone.by > contract_.to)
                tell(below + ".by",
                    fmt::format("{} is not within the term, {} to {}", words_of(milestone.by),
                        words_of(contract_.from), words_of(contract_.to)),
                    "write a day of the term");
            if (milestone.amount.is_negative() || milestone.amount.is_zero())
                tell(below + ".amount",
                    fmt::format("a milestone of {} is none", milestone.amount.to_decimal()),
                    "write an amount above 0");
            if (before != nullptr && milestone.by <= before->by)
                tell(below + ".by",
                    fmt::format("{} does not come after the milestone of {}",
                        words_of(milestone.by), words_of(before->by)),
                    "write milestones in the order of their days");
            if (before != nullptr && milestone.amount < before->amount)
                tell(below + ".amount",
                    fmt::format("{} is less than the {} of the milestone before it",
                        milestone.amount.to_decimal(), before->amount.to_decimal()),
                    "write what is due since the term began, which never falls");
            if (!total.is_zero() && milestone.amount > total)
                tell(below + ".amount",
                    fmt::format("{} is more than the {} of the whole commitment",
                        milestone.amount.to_decimal(), total.to_decimal()),
                    "lower it, or raise the amount");
            before = &milestone;
        }
    }

    /// Discounts off the list that may fall on one line with `of`, from the one after `first` on.
    std::vector<Ratio> list_discounts_with(
        const Selector& of, Instant from, Instant to, std::size_t first) const {
        std::vector<Ratio> found;
        for (std::size_t i = first; i < contract_.discounts.size(); ++i) {
            const Discount& discount = contract_.discounts[i];
            if (!discount.is_of_net && discount.from < to && from < discount.to &&
                discount.of.meets(of))
                found.push_back(discount.off);
        }
        return found;
    }

    void check_discounts() {
        for (std::size_t i = 0; i < contract_.discounts.size(); ++i) {
            const Discount& discount = contract_.discounts[i];
            const std::string below = fmt::format(".discounts[{}]", i);
            check_share(below + ".off", discount.off, "a discount");
            check_selector(below, discount.of);
            if (!check_dates(below, discount) || discount.is_of_net || !is_share(discount.off))
                continue;
            std::vector<Ratio> together =
                list_discounts_with(discount.of, discount.from, discount.to, i + 1);
            together.push_back(discount.off);
            if (is_beyond_whole(together))
                tell(below + ".off",
                    "this and the other discounts off the list that it meets take more than the "
                    "whole price",
                    "lower them, or write of: net where one comes after the other");
        }
    }

    void check_volumes() {
        for (std::size_t i = 0; i < contract_.volumes.size(); ++i) {
            const Volume& volume = contract_.volumes[i];
            const std::string below = fmt::format(".volume[{}]", i);
            check_selector(below, volume.of);
            if (volume.steps.empty())
                tell(below + ".steps", "there are no steps", "add {over: ..., off: ...}");
            for (std::size_t k = 0; k < volume.steps.size(); ++k)
                check_step(volume, k, fmt::format("{}.steps[{}]", below, k));
            for (std::size_t j = 0; j < i; ++j)
                if (contract_.volumes[j].of.meets(volume.of))
                    tell(below,
                        fmt::format("it meets volume[{}]: one line would be on two steps", j),
                        "part them by clouds, models, offers, regions, tiers or meters");
        }
    }

    void check_step(const Volume& volume, std::size_t k, const std::string& below) {
        const pricing::TermVolume::Step& step = volume.steps[k];
        const auto amount = [&](Int128 over) {
            return volume.measure == Volume::Measure::kSpend ? Money::from_pico(over).to_decimal()
                                                             : to_string(over);
        };
        check_share(below + ".off", step.off, "a discount");
        if (step.price && std::popcount(volume.of.meters) != 1)
            tell(below + ".price", "a price is of one meter, and these steps are of several",
                "name one under 'meters', or write off: ...");
        if (step.over <= 0)
            tell(below + ".over", fmt::format("a step over {} is none", amount(step.over)),
                "write a threshold above 0; what holds from the first unit on is a discount");
        if (k > 0 && step.over <= volume.steps[k - 1].over)
            tell(below + ".over",
                fmt::format("{} does not come after the step over {}", amount(step.over),
                    amount(volume.steps[k - 1].over)),
                "write steps in rising order");
        std::vector<Ratio> together =
            list_discounts_with(volume.of, contract_.from, contract_.to, 0);
        together.push_back(step.off);
        if (is_share(step.off) && is_beyond_whole(together))
            tell(below + ".off",
                "this and the discounts off the list that it meets take more than the whole price",
                "lower them");
    }

    static Selector selector_of(const StatedPrices& stated) {
        Selector selector = stated.of;
        selector.meters = 0;
        for (const auto& [meter, price] : stated.prices) selector.meters |= pricing::bit_of(meter);
        return selector;
    }

    void check_prices() {
        for (std::size_t i = 0; i < contract_.prices.size(); ++i) {
            const StatedPrices& stated = contract_.prices[i];
            const std::string below = fmt::format(".prices[{}]", i);
            check_selector(below, stated.of);
            if (stated.prices.empty())
                tell(below + ".price", "no price is stated",
                    "add {input: \"2.40\", output: \"9.60\"}");
            if (!check_dates(below, stated)) continue;
            for (std::size_t j = 0; j < i; ++j) {
                const StatedPrices& other = contract_.prices[j];
                if (other.prompts_over == stated.prompts_over && overlap(other, stated) &&
                    selector_of(other).meets(selector_of(stated)))
                    tell(below,
                        fmt::format("it meets prices[{}]: one line would have two prices", j),
                        "part them by clouds, models, offers, regions, tiers, meters, dates or "
                        "prompts_over");
            }
        }
    }

    void check_provisioned() {
        for (std::size_t i = 0; i < contract_.provisioned.size(); ++i) {
            const Provisioned& capacity = contract_.provisioned[i];
            const std::string below = fmt::format(".provisioned.{}", capacity.name);
            if (capacity.offers.empty())
                tell(below + ".offers", "it serves no offer", "name the offers that it serves");
            if (capacity.units <= 0)
                tell(below + ".units", fmt::format("{} units serve nothing", capacity.units),
                    "write how many are paid");
            if (capacity.hourly.is_negative())
                tell(below + ".hourly", "the price of an hour is below zero",
                    "write what one unit costs in an hour");
            if ((capacity.tokens_per_minute > 0) == !capacity.list_per_minute.is_zero())
                tell(below, "what a unit serves is not clear",
                    "state tokens_per_minute, or list_per_minute where it is sold by spend; not "
                    "both");
            if (takes(capacity.offers, capacity.spill_over) && !capacity.spill_over.empty())
                tell(below + ".spill_over",
                    fmt::format("'{}' is what is full already", capacity.spill_over),
                    "name another offer");
            if (!check_dates(below, capacity)) continue;
            for (std::size_t j = 0; j < i; ++j) {
                const Provisioned& other = contract_.provisioned[j];
                if (overlap(other, capacity) && !other.offers.empty() && !capacity.offers.empty() &&
                    may_meet(other.offers, capacity.offers))
                    tell(below + ".offers",
                        fmt::format("'{}' serves one of them at the same time", other.name),
                        "give each offer one capacity, and add up the units");
            }
        }
    }

    void check_constraints() {
        const auto& only = contract_.constraints.only_through;
        for (std::size_t i = 0; i < only.size(); ++i) {
            const std::string below = fmt::format(".constraints.only_through[{}]", i);
            if (only[i].clouds.empty() || only[i].models.empty())
                tell(below, "it names no models or no clouds",
                    "write {models: [...], clouds: [...]}");
            for (std::size_t j = 0; j < i; ++j)
                if (may_meet(only[i].models, only[j].models) &&
                    !may_meet(only[i].clouds, only[j].clouds))
                    tell(below,
                        fmt::format("a model of it may go through the clouds of only_through[{}] "
                                    "alone, and those are others",
                            j),
                        "name each model once");
        }
    }

    /// A selector that takes nothing of the contract is a mistake.
    void check_selector(const std::string& below, const Selector& selector) {
        if (!may_meet(selector.clouds, contract_.clouds))
            tell(below + ".clouds", "the contract covers none of these clouds",
                "name clouds of the contract, or leave them out");
        if (!may_meet(selector.models, contract_.models))
            tell(below + ".models", "the contract covers none of these models",
                "name models of the contract, or leave them out");
    }

    const Contract& contract_;
    std::span<const CloudFact> clouds_;
    std::vector<Finding>& findings_;
    std::string path_;
};

}  // namespace

std::vector<Finding> check(std::span<const Contract> contracts, std::span<const CloudFact> clouds) {
    std::vector<Finding> findings;
    for (const Contract& contract : contracts) Checker(contract, clouds, findings).run();
    for (std::size_t i = 0; i < contracts.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const Contract& a = contracts[j];
            const Contract& b = contracts[i];
            if (a.from >= a.to || b.from >= b.to || !overlap(a, b) || !a.scope().meets(b.scope()))
                continue;
            std::string at;
            for (const CloudFact& cloud : clouds)
                if (at.empty() && takes(a.clouds, cloud.name) && takes(b.clouds, cloud.name))
                    at = fmt::format(" '{}'", cloud.name);
            findings.push_back({fmt::format("contracts.{}.clouds", b.name),
                fmt::format("the cloud{} is under the contract '{}' too, from {} to {}", at, a.name,
                    words_of(std::max(a.from, b.from)), words_of(std::min(a.to, b.to))),
                "part them by clouds or models, or end one before the other begins"});
        }
    return findings;
}

}  // namespace entrepot::contracts
