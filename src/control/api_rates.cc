// Rates that a company states itself: what they would change, and what they are.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "control/late_rates.h"
#include "control/routes.h"
#include "control/stored_rates.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

using contracts::OwnRate;

/// Exchanges that were under way when a rate was stated have ended by then.
constexpr nanoseconds kUnderWayMax = std::chrono::hours(2);

Result<Instant> time_of(const ApiCall& call, const std::string& argument, Instant absent) {
    const std::string_view text = call.argument(argument);
    if (text.empty()) return absent;
    Result<Instant> at = parse_instant(text);
    if (!at) at.error().field = argument;
    return at;
}

/// Stated after all others: what was stated last holds.
void give_numbers(std::span<OwnRate> rates, std::span<const OwnRate> all) {
    std::int64_t number = all.empty() ? 0 : all.back().number;
    for (OwnRate& rate : rates) rate.number = ++number;
}

bool is_confirmed(const ApiCall& call) { return call.argument("confirm") == "true"; }

/// Names that lead nowhere are mistakes.
Status check_names(const ApiCall& call, std::span<const OwnRate> rates) {
    const auto& contracts = call.backend.settings().contracts;
    const routing::OfferTable& table = call.backend.offers();
    std::vector<std::string> offers;
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < table.size(); ++i) offers.push_back(table.offer(i).id.str());
    for (const contracts::Contract& contract : contracts) names.push_back(contract.name);
    const auto unknown = [](std::string_view field, std::string_view what, std::string_view name,
                             const std::vector<std::string>& known) {
        const std::string_view near = nearest(name, known);
        return fail_field(ErrorCode::kInvalidField, std::string(field),
            fmt::format("there is no {} '{}' in the configuration{}", what, excerpt(name),
                near.empty() ? "; name one that it has"
                             : fmt::format("; did you mean '{}'?", near)));
    };
    for (const OwnRate& rate : rates) {
        if (!rate.contract.empty() && std::ranges::find(names, rate.contract) == names.end())
            return unknown("contract", "contract", rate.contract, names);
        if (std::ranges::none_of(offers,
                [&](const std::string& offer) { return contracts::matches(rate.offer, offer); }))
            return unknown("offer", "offer", rate.offer, offers);
    }
    return {};
}

void write_reckoned(json::Writer& writer, const Reckoned& row) {
    writer.member("booked", row.booked.to_decimal())
        .member("becomes", row.becomes.to_decimal())
        .member("difference", (row.becomes - row.booked).to_decimal())
        .member("list_booked", row.booked_list.to_decimal())
        .member("list_becomes", row.becomes_list.to_decimal())
        .member("list_difference", (row.becomes_list - row.booked_list).to_decimal())
        .member("lines", static_cast<std::int64_t>(row.lines));
    if (row.untold_lines > 0)
        writer.member("untold", row.untold.to_decimal())
            .member("untold_lines", static_cast<std::int64_t>(row.untold_lines));
}

void write_reckoning(json::Writer& writer, const Reckoning& reckoning) {
    writer.key("rows").begin_array();
    for (const Reckoned& row : reckoning.rows) {
        writer.begin_object();
        writer.member("contract", row.contract).member("model", row.model);
        writer.member("offer", row.offer).member("team", row.team);
        write_reckoned(writer, row);
        writer.end_object();
    }
    writer.end_array().key("total").begin_object();
    write_reckoned(writer, reckoning.total);
    writer.end_object();
}

/// Of the rates, those whose statement, or end, lies behind what is booked.
std::vector<OwnRate> late_of(std::span<const OwnRate> rates, Instant now) {
    std::vector<OwnRate> late;
    std::ranges::copy_if(
        rates, std::back_inserter(late), [&](const OwnRate& rate) { return rate.from < now; });
    return late;
}

/// Refuses to change money that is booked unless it was asked for by name, and what the books
/// cannot tell in any case.
Status check_late(const ApiCall& call, const Reckoning& behind) {
    const Reckoned& total = behind.total;
    if (total.untold_lines > 0)
        return fail(ErrorCode::kConflict,
            fmt::format("the books cannot tell what {} lines of {} would cost: they do not part "
                        "prompts by length or answers by reasoning as these rates do, or lie on "
                        "volume steps; let the rates begin on a day to come",
                total.untold_lines, total.untold.to_decimal()));
    const Money cost = total.becomes - total.booked;
    const Money list = total.becomes_list - total.booked_list;
    if ((cost.is_zero() && list.is_zero()) || is_confirmed(call)) return {};
    return fail(ErrorCode::kConflict,
        fmt::format("this corrects {} lines that are booked, by {} (at the list by {}), in the "
                    "open period; look at the preview, then ask again with confirm=true",
            total.lines, cost.to_decimal(), list.to_decimal()));
}

Result<ApiAnswer> stated(
    const ApiCall& call, std::span<const OwnRate> rates, const Reckoning& corrected) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("rates").begin_array();
    for (const OwnRate& rate : rates) write_rate(writer, rate);
    writer.end_array();
    writer.member("currency", call.backend.settings().currency.code());
    writer.key("corrected").begin_object();
    write_reckoning(writer, corrected);
    writer.end_object().end_object();
    return ApiAnswer{200, std::move(out)};
}

/// The store first, with what is still to be posted; then the gateway; then the books. Who dies in
/// between leaves what the next start goes on with.
Status put_and_apply(
    const ApiCall& call, std::span<const OwnRate> before, std::span<const OwnRate> after) {
    std::vector<store::Setting> rows;
    std::vector<store::AuditEntry> audit;
    for (std::size_t i = 0; i < after.size(); ++i) {
        rows.push_back(
            {"rate", rate_name(after[i].number), rate_to_json(after[i]), call.backend.now()});
        const auto changes =
            store::changes_between(i < before.size() ? stated_of(before[i]) : store::StatedValues(),
                stated_of(after[i]), call.by);
        audit.insert(audit.end(), changes.begin(), changes.end());
    }
    store::SettingsStore& store = call.backend.store();
    ENTREPOT_TRY_DO(store.put_all(rows, audit));
    if (Status applied = call.backend.apply_stored(); !applied) {
        // What the gateway refuses goes out of the store again, or the next start would fail.
        for (const OwnRate& rate : before)
            ENTREPOT_TRY_DO(store.put(
                {"rate", rate_name(rate.number), rate_to_json(rate), call.backend.now()}));
        if (before.empty())
            for (const store::Setting& row : rows)
                ENTREPOT_TRY_DO(store.remove(row.kind, row.name));
        ENTREPOT_TRY_DO(call.backend.apply_stored());
        return applied;
    }
    return post_late_rates(call.backend);
}

}  // namespace

Result<ApiAnswer> list_own_rates(const ApiCall& call) {
    ENTREPOT_TRY(std::vector<OwnRate> rates, load_own_rates(call.backend.store()));
    if (!call.argument("known").empty()) {
        ENTREPOT_TRY(const Instant known, time_of(call, "known", {}));
        rates = contracts::known_at(rates, known);
    }
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", call.backend.settings().currency.code());
    writer.key("rates").begin_array();
    for (const OwnRate& rate : rates) write_rate(writer, rate);
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> get_rates_of(const ApiCall& call) {
    const Instant now = call.backend.now();
    ENTREPOT_TRY(const Instant at, time_of(call, "at", now));
    ENTREPOT_TRY(const Instant known, time_of(call, "known", now));
    ENTREPOT_TRY(const std::vector<OwnRate> all, load_own_rates(call.backend.store()));
    ENTREPOT_TRY(const routing::OfferTable table,
        call.backend.offers_with(contracts::known_at(all, known), known));
    std::uint32_t index = 0;
    while (index < table.size() && table.offer(index).id.view() != call.name) ++index;
    if (index == table.size())
        return fail_field(ErrorCode::kNotFound, "offer",
            fmt::format("There is no offer '{}' in the configuration.", excerpt(call.name)));
    const pricing::RateCard* const card = table.offer(index).card.get();
    const pricing::RateCard::Epoch* const epoch = card == nullptr ? nullptr : card->at(at);
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("offer", call.name).member("at", to_rfc3339(at));
    writer.member("known", to_rfc3339(known));
    writer.member("currency", call.backend.settings().currency.code());
    if (epoch != nullptr) {
        writer.member("rate_version", epoch->version.view());
        if (!epoch->contract.empty()) writer.member("contract", epoch->contract);
    }
    writer.key("rates").begin_array();
    for (std::size_t t = 0; epoch != nullptr && t < catalog::kTierCount; ++t) {
        const auto tier = static_cast<catalog::Tier>(t);
        for (const auto& band : epoch->tier(tier))
            for (std::size_t m = 0; m < canon::kMeterCount; ++m) {
                const auto meter = static_cast<canon::Meter>(m);
                ENTREPOT_TRY(const pricing::ChargeLine line,
                    pricing::price_line({tier, band.ctx_over, meter, 1}, *card, at));
                if (!line.is_known || line.priced_as != meter) continue;
                writer.begin_object().member("tier", catalog::tier_name(tier));
                writer.member("prompts_over", band.ctx_over);
                writer.member("meter", canon::meter_name(meter));
                if (line.is_list_known) writer.member("list", line.list_price.to_per_million());
                writer.member("price", line.price.to_per_million());
                if (line.factor != Ratio{}) writer.member("factor", line.factor.to_string());
                if (line.is_stepped) writer.member_bool("steps", true);
                writer.end_object();
            }
    }
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> preview_rates(const ApiCall& call) {
    const Instant now = call.backend.now();
    const Period month = TimeZone::utc().period_of(PeriodKind::kMonth, now);
    ENTREPOT_TRY(const Instant since, time_of(call, "since", add_months(month.begin, -1)));
    ENTREPOT_TRY(const Instant until, time_of(call, "until", month.begin));
    if (since >= until)
        return fail_field(ErrorCode::kInvalidField, "until",
            fmt::format("{} does not come after {}", to_rfc3339(until), to_rfc3339(since)));
    ENTREPOT_TRY(std::vector<OwnRate> rates, read_rates(call.body, now));
    ENTREPOT_TRY_DO(check_names(call, rates));
    ENTREPOT_TRY(const std::vector<OwnRate> all, load_own_rates(call.backend.store()));
    give_numbers(rates, all);
    std::vector<OwnRate> known = contracts::known_at(all, now);
    ENTREPOT_TRY(const Reckoning month_of, as_if(call.backend, known, rates, since, until));
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", call.backend.settings().currency.code());
    writer.key("as_if").begin_object();
    writer.member("since", to_rfc3339(since)).member("until", to_rfc3339(until));
    write_reckoning(writer, month_of);
    writer.end_object();
    const std::vector<OwnRate> late = late_of(rates, now);
    writer.key("corrects").begin_object();
    if (!late.empty()) {
        known.insert(known.end(), rates.begin(), rates.end());
        ENTREPOT_TRY(const Reckoning corrects, behind(call.backend, known, late, now));
        write_reckoning(writer, corrects);
    } else {
        write_reckoning(writer, {});
    }
    writer.end_object().end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> set_rates(const ApiCall& call) {
    const Instant now = call.backend.now();
    ENTREPOT_TRY(std::vector<OwnRate> rates, read_rates(call.body, now));
    ENTREPOT_TRY_DO(check_names(call, rates));
    ENTREPOT_TRY(const std::vector<OwnRate> all, load_own_rates(call.backend.store()));
    if (all.size() + rates.size() > kOwnRatesMax)
        return fail(ErrorCode::kConflict,
            fmt::format("the store keeps {} rates and no more than {}; state prices that last in "
                        "the configuration file",
                all.size(), kOwnRatesMax));
    give_numbers(rates, all);
    for (OwnRate& rate : rates)
        if (rate.is_late()) rate.corrects_until = now + kUnderWayMax;
    std::vector<OwnRate> known = contracts::known_at(all, now);
    known.insert(known.end(), rates.begin(), rates.end());
    // What the gateway would refuse is not kept.
    ENTREPOT_TRY_DO(call.backend.offers_with(known));
    Reckoning corrects;
    if (const std::vector<OwnRate> late = late_of(rates, now); !late.empty()) {
        ENTREPOT_TRY(corrects, behind(call.backend, known, late, now));
        ENTREPOT_TRY_DO(check_late(call, corrects));
    }
    ENTREPOT_TRY_DO(put_and_apply(call, {}, rates));
    return stated(call, rates, corrects);
}

Result<ApiAnswer> remove_rate(const ApiCall& call) {
    const Instant now = call.backend.now();
    std::int64_t number = 0;
    const auto [end, failure] =
        std::from_chars(call.name.data(), call.name.data() + call.name.size(), number);
    ENTREPOT_TRY(const std::vector<OwnRate> all, load_own_rates(call.backend.store()));
    const auto found = std::ranges::find(all, number, &OwnRate::number);
    if (failure != std::errc() || end != call.name.data() + call.name.size() || found == all.end())
        return fail_field(ErrorCode::kNotFound, "number",
            fmt::format("There is no own rate '{}'; 'prices own' lists them.", excerpt(call.name)));
    if (found->withdrawn != catalog::kForever)
        return fail(ErrorCode::kConflict,
            fmt::format(
                "rate {} was taken back on {} already", number, to_rfc3339(found->withdrawn)));
    OwnRate rate = *found;
    rate.withdrawn = Instant{now.ns - now.ns % 1'000'000};
    Reckoning corrects;
    if (rate.from < now) {
        rate.corrects_until = now + kUnderWayMax;
        std::vector<OwnRate> known = contracts::known_at(all, now);
        std::erase_if(known, [&](const OwnRate& one) { return one.number == number; });
        ENTREPOT_TRY(corrects, behind(call.backend, known, {&rate, 1}, now));
        ENTREPOT_TRY_DO(check_late(call, corrects));
    }
    ENTREPOT_TRY_DO(put_and_apply(call, {&*found, 1}, {&rate, 1}));
    return stated(call, {&rate, 1}, corrects);
}

}  // namespace entrepot::control
