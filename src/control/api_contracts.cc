// Contracts and how far they are met.

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/text.h"
#include "contracts/burn.h"
#include "contracts/capacity.h"
#include "contracts/compile.h"
#include "contracts/standing.h"
#include "control/routes.h"
#include "json/writer.h"
#include "store/charge_query.h"

namespace entrepot::control {
namespace {

using contracts::Bought;
using contracts::Contract;

/// `2026-01-01`, or the whole time where it is no midnight.
std::string date_of(Instant at) {
    const std::string text = to_rfc3339(at);
    return text.ends_with("T00:00:00.000Z") ? text.substr(0, 10) : text;
}

/// Ratios as people wrote them: exact, as a quotient where they are no whole number.
void share(json::Writer& writer, std::string_view name, const Ratio& ratio) {
    writer.member(name, ratio.to_string());
}

void names(json::Writer& writer, std::string_view name, const std::vector<std::string>& list) {
    if (list.empty()) return;
    writer.key(name).begin_array();
    for (const std::string& item : list) writer.string(item);
    writer.end_array();
}

void selector(json::Writer& writer, const contracts::Selector& of) {
    names(writer, "clouds", of.clouds);
    names(writer, "models", of.models);
    names(writer, "offers", of.offers);
    names(writer, "regions", of.regions);
    if (of.tiers != pricing::kAllTiers) {
        writer.key("tiers").begin_array();
        for (std::size_t t = 0; t < catalog::kTierCount; ++t)
            if ((of.tiers >> t & 1U) != 0)
                writer.string(catalog::tier_name(static_cast<catalog::Tier>(t)));
        writer.end_array();
    }
    if (of.meters != pricing::kAllMeters) {
        writer.key("meters").begin_array();
        for (std::size_t m = 0; m < canon::kMeterCount; ++m)
            if ((of.meters >> m & 1U) != 0)
                writer.string(canon::meter_name(static_cast<canon::Meter>(m)));
        writer.end_array();
    }
}

void dates(json::Writer& writer, Instant from, Instant to) {
    if (from != catalog::kBeginning) writer.member("from", date_of(from));
    if (to != catalog::kForever) writer.member("to", date_of(to));
}

void write_commitment(json::Writer& writer, const contracts::Commitment& commitment) {
    writer.key("commitment").begin_object();
    writer.key("amounts").begin_array();
    for (const Money amount : commitment.amounts) writer.string(amount.to_decimal());
    writer.end_array().member("per", contracts::per_name(commitment.per));
    if (!commitment.milestones.empty()) {
        writer.key("milestones").begin_array();
        for (const contracts::Milestone& milestone : commitment.milestones)
            writer.begin_object()
                .member("by", date_of(milestone.by))
                .member("amount", milestone.amount.to_decimal())
                .end_object();
        writer.end_array();
    }
    writer.key("eligible").begin_object();
    selector(writer, commitment.eligible);
    writer.end_object();
    if (commitment.marketplace) {
        writer.key("marketplace").begin_object();
        selector(writer, commitment.marketplace->bought);
        share(writer, "counts", commitment.marketplace->counts);
        if (commitment.marketplace->cap) share(writer, "cap", *commitment.marketplace->cap);
        writer.end_object();
    }
    writer.member("counts_on", contracts::counts_on_name(commitment.counts_on));
    writer.key("shortfall").begin_object();
    share(writer, "charged", commitment.shortfall.charged);
    share(writer, "returned", commitment.shortfall.returned);
    writer.end_object();
    if (!commitment.elsewhere_per_day.is_zero())
        writer.member("elsewhere_per_day", commitment.elsewhere_per_day.to_decimal());
    writer.end_object();
}

void write_discounts(json::Writer& writer, const Contract& contract) {
    writer.key("discounts").begin_array();
    for (const contracts::Discount& discount : contract.discounts) {
        writer.begin_object();
        selector(writer, discount.of);
        share(writer, "off", discount.off);
        writer.member("of", discount.is_of_net ? "net" : "list");
        dates(writer, discount.from, discount.to);
        writer.end_object();
    }
    writer.end_array().key("volume").begin_array();
    for (const contracts::Volume& volume : contract.volumes) {
        const bool by_spend = volume.measure == contracts::Volume::Measure::kSpend;
        writer.begin_object();
        selector(writer, volume.of);
        writer.member("per", period_kind_name(volume.per));
        writer.member("measure", by_spend ? "spend" : "units");
        writer.member("reprices",
            volume.reprices == contracts::Volume::Reprices::kWhole ? "whole" : "marginal");
        writer.key("steps").begin_array();
        for (const pricing::TermVolume::Step& step : volume.steps) {
            writer.begin_object().member(
                "over", by_spend ? Money::from_pico(step.over).to_decimal() : to_string(step.over));
            if (step.price)
                writer.member("price", step.price->to_per_million());
            else
                share(writer, "off", step.off);
            writer.end_object();
        }
        writer.end_array().end_object();
    }
    writer.end_array();
}

void write_prices(json::Writer& writer, const Contract& contract) {
    writer.key("prices").begin_array();
    for (const contracts::StatedPrices& stated : contract.prices) {
        writer.begin_object();
        selector(writer, stated.of);
        if (stated.prompts_over > 0) writer.member("prompts_over", stated.prompts_over);
        writer.key("price").begin_object();
        for (const auto& [meter, price] : stated.prices)
            writer.member(canon::meter_name(meter), price.to_per_million());
        writer.end_object();
        dates(writer, stated.from, stated.to);
        writer.end_object();
    }
    writer.end_array();
}

void write_provisioned(json::Writer& writer, const Contract& contract) {
    writer.key("provisioned").begin_object();
    for (const contracts::Provisioned& capacity : contract.provisioned) {
        writer.key(capacity.name).begin_object();
        names(writer, "offers", capacity.offers);
        writer.member("units", capacity.units).member("hourly", capacity.hourly.to_decimal());
        if (capacity.tokens_per_minute > 0) {
            writer.member("tokens_per_minute", capacity.tokens_per_minute);
            share(writer, "output_weight", capacity.output_weight);
            share(writer, "cached_weight", capacity.cached_weight);
            share(writer, "cache_write_weight", capacity.cache_write_weight);
        } else {
            writer.member("list_per_minute", capacity.list_per_minute.to_decimal());
        }
        if (!capacity.spill_over.empty()) writer.member("spill_over", capacity.spill_over);
        dates(writer, capacity.from, capacity.to);
        writer.end_object();
    }
    writer.end_object();
}

void write_contract(json::Writer& writer, const Contract& contract, Instant now) {
    static constexpr std::array kModes{"half_even", "half_up", "up", "down"};
    writer.begin_object().member("contract", contract.name);
    writer.member("kind", contracts::kind_name(contract.kind));
    writer.member("state", now < contract.from ? "ahead" : now < contract.to ? "running" : "ended");
    names(writer, "clouds", contract.clouds);
    names(writer, "models", contract.models);
    dates(writer, contract.from, contract.to);
    writer.member("currency", contract.currency.code());
    if (contract.commitment) write_commitment(writer, *contract.commitment);
    write_discounts(writer, contract);
    write_prices(writer, contract);
    writer.key("rounding").begin_object();
    writer.member("mode", kModes[static_cast<std::size_t>(contract.rounding.mode)]);
    writer.member("decimals", std::int64_t{contract.rounding.decimals}).end_object();
    write_provisioned(writer, contract);
    writer.key("constraints").begin_object().key("only_through").begin_array();
    for (const auto& only : contract.constraints.only_through) {
        writer.begin_object();
        names(writer, "models", only.models);
        names(writer, "clouds", only.clouds);
        writer.end_object();
    }
    writer.end_array();
    names(writer, "regions", contract.constraints.regions);
    writer.end_object().end_object();
}

Result<const Contract*> find(const ApiCall& call) {
    const auto& all = call.backend.settings().contracts;
    const auto found = std::ranges::find(all, call.name, &Contract::name);
    if (found != all.end()) return &*found;
    std::vector<std::string> known;
    for (const Contract& contract : all) known.push_back(contract.name);
    const std::string_view close = nearest(call.name, known);
    return fail(ErrorCode::kNotFound,
        fmt::format("There is no contract '{}'{}.", excerpt(call.name),
            close.empty() ? "" : fmt::format("; did you mean '{}'?", close)));
}

/// Where offers are processed, by their name. Those that have left the settings are nowhere.
std::map<std::string, std::string, std::less<>> regions_of(const routing::OfferTable& offers) {
    std::map<std::string, std::string, std::less<>> regions;
    for (std::uint32_t i = 0; i < offers.size(); ++i)
        regions.emplace(offers.offer(i).id.str(), offers.offer(i).residency.region);
    return regions;
}

/// What the books have of the contract's clouds and term, up to now.
Result<std::vector<Bought>> bought_of(const ApiCall& call, const Contract& contract, Instant now) {
    using store::UsageColumn;
    store::UsageQuery query;
    query.group_by = {
        UsageColumn::kDay, UsageColumn::kCloud, UsageColumn::kModel, UsageColumn::kOffer};
    query.since = contract.from;
    query.until = std::min(now, contract.to);
    if (now <= contract.from) return std::vector<Bought>();
    ENTREPOT_TRY(const std::filesystem::path folder, checkpointed(call.backend));
    ENTREPOT_TRY(const store::UsageTable table, store::query_usage(folder, query));
    const auto regions = regions_of(call.backend.offers());
    std::vector<Bought> bought;
    for (const store::UsageRow& row : table.rows) {
        Bought one;
        ENTREPOT_TRY(one.day, parse_instant(row.group[0]));
        one.cloud = row.group[1];
        one.model = row.group[2];
        one.offer = row.group[3];
        if (const auto region = regions.find(one.offer); region != regions.end())
            one.region = region->second;
        one.cost = row.cost;
        one.list = row.list_cost;
        one.usage = row.usage;
        if (contract.covers(one.place())) bought.push_back(std::move(one));
    }
    return bought;
}

void write_burn(json::Writer& writer, const contracts::Burn& burn) {
    writer.begin_object();
    writer.member("begins", date_of(burn.window.begin)).member("ends", date_of(burn.window.end));
    writer.member_bool("milestone", burn.window.is_milestone);
    writer.member("state", contracts::burn_state_name(burn.state));
    writer.member("committed", burn.window.amount.to_decimal());
    writer.member("spent", burn.spent.to_decimal());
    writer.member("counted", burn.counted.to_decimal());
    writer.member("marketplace", burn.marketplace.to_decimal());
    writer.member("remaining", burn.remaining.to_decimal());
    writer.member("days_left", burn.days_left);
    if (burn.has_forecast) {
        writer.member("forecast", burn.forecast.to_decimal());
        writer.member("shortfall", burn.shortfall.to_decimal());
        writer.member("charge", burn.charge.to_decimal());
        writer.member("returned", burn.returned.to_decimal());
    } else {
        writer.member_null("forecast");  // nothing has passed that it could rest on
    }
    writer.end_object();
}

void write_standing(
    json::Writer& writer, const contracts::Volume& volume, const contracts::Standing& standing) {
    const bool by_spend = volume.measure == contracts::Volume::Measure::kSpend;
    const auto measure = [&](Int128 amount) {
        return by_spend ? Money::from_pico(amount).to_decimal() : to_string(amount);
    };
    writer.begin_object();
    writer.member("begins", date_of(standing.period.begin));
    writer.member("ends", date_of(standing.period.end));
    writer.member("measure", by_spend ? "spend" : "units");
    writer.member("counted", measure(standing.counted));
    writer.member("steps_reached", static_cast<std::int64_t>(standing.reached));
    if (standing.reached < volume.steps.size())
        writer.member("next_over", measure(volume.steps[standing.reached].over));
    writer.end_object();
}

/// What the volume steps of a contract count in the periods that run now.
Result<std::vector<Int128>> counted_of(const ApiCall& call, const Contract& contract, Instant now) {
    std::vector<Int128> counted(contract.volumes.size());
    if (counted.empty()) return counted;
    const auto& all = call.backend.settings().contracts;
    const std::size_t first =
        contracts::first_counter(all, static_cast<std::size_t>(&contract - all.data()));
    std::vector<Period> periods(first);  // those of other contracts are empty
    store::ChargeQuery query{{INT64_MAX}, {INT64_MIN}, {}, {}};
    for (const contracts::Volume& volume : contract.volumes) {
        periods.push_back(TimeZone::utc().period_of(volume.per, now));
        query.since = std::min(query.since, periods.back().begin);
        query.until = std::max(query.until, periods.back().end);
    }
    std::map<ledger::NameId, const pricing::RateCard*> cards;
    std::filesystem::path folder;
    ENTREPOT_TRY_DO(ask<Status>(call.backend, [&](store::Books& books) -> Status {
        const routing::OfferTable& table = call.backend.offers();
        for (std::uint32_t i = 0; i < table.size(); ++i) {
            ENTREPOT_TRY(const ledger::NameId name, books.name(table.offer(i).id.view()));
            cards[name] = table.offer(i).card.get();
        }
        ENTREPOT_TRY(const ledger::NameId name, books.name(contract.name));
        query.contracts = {name};
        folder = books.folder();
        return books.checkpoint();
    }));
    std::vector<Int128> counts(periods.size());
    ENTREPOT_TRY_DO(store::read_charges(folder, query, [&](const store::DayCharge& row) -> Status {
        const auto card = cards.find(row.dimensions.route.offer);
        if (card == cards.end() || card->second == nullptr || row.meter >= canon::kMeterCount ||
            row.quantity <= 0)
            return {};
        constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
        return contracts::count_line(
            {{static_cast<catalog::Tier>(row.dimensions.tier), row.dimensions.ctx_over,
                 static_cast<canon::Meter>(row.meter), row.quantity},
                row.list_cost, Instant{row.day * kDayNs}},
            *card->second, periods, counts);
    }));
    std::ranges::copy(std::span(counts).subspan(first), counted.begin());
    return counted;
}

Status write_capacity(json::Writer& writer, const Contract& contract,
    const contracts::Provisioned& capacity, std::span<const Bought> bought, Instant now) {
    ENTREPOT_TRY(const contracts::Utilisation use,
        contracts::utilisation_of(contract, capacity, bought, contract.from, now));
    const bool by_tokens = capacity.tokens_per_minute > 0;
    const auto measure = [&](Int128 amount) {
        return by_tokens ? to_string(amount) : Money::from_pico(amount).to_decimal();
    };
    writer.begin_object().member("capacity", capacity.name);
    writer.member("units", capacity.units).member("minutes", use.minutes);
    writer.member("paid", use.paid.to_decimal());
    writer.member("measure", by_tokens ? "tokens" : "list");
    writer.member("could_serve", measure(use.capacity)).member("served", measure(use.served));
    writer.member(
        "used_percent", fmt::format("{}.{:02}", use.used_ppm / 10'000, use.used_ppm / 100 % 100));
    writer.member("list_cost", use.list.to_decimal()).end_object();
    return {};
}

}  // namespace

Result<ApiAnswer> list_contracts(const ApiCall& call) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("contracts").begin_array();
    for (const Contract& contract : call.backend.settings().contracts)
        write_contract(writer, contract, call.backend.now());
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> get_contract(const ApiCall& call) {
    ENTREPOT_TRY(const Contract* contract, find(call));
    std::string out;
    json::Writer writer(out);
    write_contract(writer, *contract, call.backend.now());
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> get_contract_status(const ApiCall& call) {
    ENTREPOT_TRY(const Contract* contract, find(call));
    const Instant now = call.backend.now();
    ENTREPOT_TRY(const std::vector<Bought> bought, bought_of(call, *contract, now));
    ENTREPOT_TRY(
        const std::vector<contracts::Burn> burns, contracts::burn_of(*contract, bought, now));
    ENTREPOT_TRY(const contracts::Effective effective,
        contracts::effective_of(*contract, bought, contract->from, std::min(now, contract->to)));
    Money list;
    Money cost;
    Money laid;
    for (std::size_t i = 0; i < bought.size(); ++i) {
        list += bought[i].list;
        cost += bought[i].cost;
        laid += effective.costs[i];
    }
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("contract", contract->name);
    writer.member("currency", contract->currency.code()).member("as_of", to_rfc3339(now));
    dates(writer, contract->from, contract->to);
    writer.member("list_cost", list.to_decimal()).member("cost", cost.to_decimal());
    writer.member("effective_cost", laid.to_decimal());
    writer.member("unused", effective.unused.to_decimal());
    writer.key("commitment").begin_array();
    for (const contracts::Burn& burn : burns) write_burn(writer, burn);
    writer.end_array().key("provisioned").begin_array();
    for (const contracts::Provisioned& capacity : contract->provisioned)
        ENTREPOT_TRY_DO(write_capacity(writer, *contract, capacity, bought, now));
    writer.end_array().key("volume").begin_array();
    ENTREPOT_TRY(const std::vector<Int128> counted, counted_of(call, *contract, now));
    const std::vector<contracts::Standing> standings =
        contracts::standings_of(*contract, counted, now);
    for (std::size_t i = 0; i < standings.size(); ++i)
        write_standing(writer, contract->volumes[i], standings[i]);
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

}  // namespace entrepot::control
