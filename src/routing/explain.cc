#include "routing/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "json/writer.h"

namespace entrepot::routing {
namespace {

using canon::Meter;

struct Rates {
    std::string input = "-";
    std::string output = "-";
    std::string version = "-";
    std::string contract;
};

std::string times_factor(std::int64_t pico, const Ratio& factor) {
    if (pico == pricing::RateCard::kUnknownPrice) return "-";
    const std::string price = UnitPrice::from_pico(pico).to_per_million();
    return factor == Ratio{} ? price : fmt::format("{} x {}", price, factor.to_string());
}

/// What is paid in the band the expected prompt falls in.
Rates rates_of(const Attempt& attempt, const Offer& offer, Now now) {
    Rates rates;
    if (offer.card == nullptr) return rates;
    const pricing::RateCard::Epoch* epoch = offer.card->at(now.wall);
    if (epoch == nullptr) return rates;
    rates.version = epoch->version.view();
    rates.contract = epoch->contract;
    for (const pricing::RateCard::Band& band : epoch->tier(pricing::Tier::kStandard)) {
        if (band.ctx_over != 0 && attempt.expected_prompt_tokens <= band.ctx_over) break;
        const pricing::RateCard::Contracted* terms = epoch->terms_of(band);
        const auto paid = [&](Meter meter) {
            const auto m = static_cast<std::size_t>(meter);
            if (terms == nullptr) return times_factor(band.used[m], offer.card->factor());
            return times_factor(terms->price[m], epoch->factors[terms->factor[m]]);
        };
        rates.input = paid(Meter::kInput);
        rates.output = paid(Meter::kOutput);
    }
    return rates;
}

std::string region_of(const Offer& offer) {
    return offer.residency.region.empty() ? "unknown" : offer.residency.region;
}

std::string money_of(bool is_known, Money amount, const Offer& offer) {
    if (!is_known) return "unknown";
    return fmt::format("{} {}", amount.to_decimal(), offer.card->currency().code());
}

/// ` (available in 4.2 s)`, or nothing.
std::string waiting(MonotonicTime until, Now now) {
    if (until <= now.steady) return {};
    const auto tenths = ((until - now.steady).count() + 99'999'999) / 100'000'000;
    return fmt::format(" (available in {}.{} s)", tenths / 10, tenths % 10);
}

using Row = std::array<std::string, 8>;

std::string table_of(const std::vector<Row>& rows) {
    std::array<std::size_t, std::tuple_size_v<Row>> widths{};
    for (const Row& row : rows)
        for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
    std::string out;
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t c = 0; c < row.size(); ++c) {
            if (c != 0) line += "  ";
            line += c + 1 == row.size() ? row[c] : fmt::format("{:<{}}", row[c], widths[c]);
        }
        while (line.ends_with(' ')) line.pop_back();
        out += line + "\n";
    }
    return out;
}

}  // namespace

std::string explain_text(const Plan& plan, const OfferTable& table, Now now) {
    std::vector<Row> rows;
    rows.push_back({"", "offer", "region", "expected", "at most", "input/M", "output/M", "why"});
    std::size_t place = 0;
    for (const Attempt& attempt : plan.attempts) {
        const Offer& offer = table.offer(attempt.offer);
        const Rates rates = rates_of(attempt, offer, now);
        rows.push_back({fmt::format("{}", ++place), offer.id.str(), region_of(offer),
            money_of(attempt.is_priced, attempt.expected, offer),
            money_of(attempt.is_bounded, attempt.hold, offer), rates.input, rates.output,
            std::string(reason_text(attempt.reason)) +
                (rates.contract.empty() ? "" : fmt::format(", under {}", rates.contract)) +
                waiting(attempt.not_before, now)});
    }
    for (const Exclusion& exclusion : plan.excluded) {
        const Offer& offer = table.offer(exclusion.offer);
        rows.push_back({"-", offer.id.str(), region_of(offer), "", "", "", "",
            std::string(reason_text(exclusion.reason)) + waiting(exclusion.until, now)});
    }
    std::string out = table_of(rows);
    const auto note = [&](const Offer& offer) {
        if (!offer.price_note.empty() && (offer.card == nullptr || offer.is_price_approximate))
            out += fmt::format("{}: {}{}\n", offer.id.view(),
                offer.card == nullptr ? "" : "priced as ", offer.price_note);
    };
    for (const Attempt& attempt : plan.attempts) note(table.offer(attempt.offer));
    for (const Exclusion& exclusion : plan.excluded) note(table.offer(exclusion.offer));
    return out;
}

std::string explain_json(const Plan& plan, const OfferTable& table, Now now) {
    std::string out;
    json::Writer json(out);
    const auto name = [&](const Offer& offer, Reason reason) {
        json.member("offer", offer.id.view()).member("cloud", offer.cloud.view());
        json.member("model_id", offer.provider_model_id).member("region", region_of(offer));
        json.member("reason", reason_name(reason)).member("why", reason_text(reason));
        if (!offer.price_note.empty())
            json.member("price_note", offer.price_note)
                .member_bool("price_approximate", offer.is_price_approximate);
    };
    const auto money = [&](std::string_view key, bool is_known, Money amount) {
        if (is_known)
            json.member(key, amount.to_decimal());
        else
            json.member_null(key);
    };
    const auto wait = [&](MonotonicTime until) {
        if (until > now.steady)
            json.member("available_in_ms", (until - now.steady).count() / 1'000'000 + 1);
    };
    json.begin_object().key("attempts").begin_array();
    for (const Attempt& attempt : plan.attempts) {
        const Offer& offer = table.offer(attempt.offer);
        const Rates rates = rates_of(attempt, offer, now);
        json.begin_object();
        name(offer, attempt.reason);
        money("expected", attempt.is_priced, attempt.expected);
        money("hold", attempt.is_bounded, attempt.hold);
        if (offer.card != nullptr) json.member("currency", offer.card->currency().code());
        json.member("input_per_million", rates.input).member("output_per_million", rates.output);
        json.member("rate_version", rates.version);
        if (!rates.contract.empty()) json.member("contract", rates.contract);
        json.member("expected_prompt_tokens", attempt.expected_prompt_tokens);
        json.member("expected_cache_read_tokens", attempt.expected_cache_read);
        json.member("expected_output_tokens", attempt.expected_output_tokens);
        if (attempt.is_bounded) {
            json.member("prompt_tokens_max", attempt.bounds.prompt_tokens_max);
            json.member("output_tokens_max", attempt.bounds.output_tokens_max);
        }
        json.member_bool("clamped", attempt.is_clamped);
        wait(attempt.not_before);
        json.end_object();
    }
    json.end_array().key("excluded").begin_array();
    for (const Exclusion& exclusion : plan.excluded) {
        json.begin_object();
        name(table.offer(exclusion.offer), exclusion.reason);
        wait(exclusion.until);
        json.end_object();
    }
    json.end_array().end_object();
    return out;
}

}  // namespace entrepot::routing
