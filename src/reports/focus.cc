#include "reports/focus.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/writer.h"
#include "reconcile/csv.h"
#include "reports/decimal.h"
#include "reports/sellers.h"

namespace entrepot::reports {

namespace {

using canon::Meter;
using Kind = FocusCharge::Kind;

constexpr std::int64_t kPerMillion = 1'000'000;
constexpr seconds kHour{3600};
constexpr std::string_view kNobody = "unattributed";

/// What a meter counts, and how many of them a price is for.
struct Unit {
    std::string_view name;
    std::string_view priced_in;
    std::int64_t per = 1;
};

Unit unit_of(const FocusCharge& charge) {
    if (charge.kind == Kind::kUnmetered) return {"Charges", "Charges", 1};
    switch (charge.meter) {
        case Meter::kRequests: return {"Requests", "Requests", 1};
        case Meter::kImages: return {"Images", "Images", 1};
        case Meter::kAudioSeconds: return {"Seconds", "Seconds", 1};
        case Meter::kCharacters: return {"Characters", "1000000 Characters", kPerMillion};
        case Meter::kSearches: return {"Searches", "Searches", 1};
        case Meter::kToolCalls: return {"Calls", "Calls", 1};
        default: return {"Tokens", "1000000 Tokens", kPerMillion};
    }
}

std::string_view meter_words(const FocusCharge& charge) {
    if (charge.kind == Kind::kUnmetered) return "unmetered";
    return canon::meter_name(charge.meter);
}

std::string time_text(Instant at) {
    std::string text = to_rfc3339(at);
    if (const auto dot = text.find('.'); dot != std::string::npos) text.replace(dot, 4, "");
    return text;
}

/// A row with what several of its columns need.
struct Row {
    const FocusCharge& charge;
    std::string_view currency;
    Seller seller;
    Unit unit;
    std::int64_t quantity = 0;
    Period month;

    [[nodiscard]] bool is_usage() const { return charge.kind != Kind::kCorrection; }
    [[nodiscard]] std::string_view provider() const {
        if (!seller.name.empty()) return seller.name;
        return charge.cloud.empty() ? kNobody : charge.cloud;
    }
    [[nodiscard]] std::string_view service() const {
        return seller.service.empty() ? provider() : seller.service;
    }
    /// `aws/eu-north-1/anthropic.claude-.../output`: the same whoever bought it, and when.
    [[nodiscard]] std::string sku() const {
        const OfferFacts& facts = *charge.facts;
        const std::string_view region =
            facts.region.empty() ? std::string_view("-") : std::string_view(facts.region);
        const std::string_view id = !facts.id_at_cloud.empty() ? facts.id_at_cloud
            : !charge.model.empty()                            ? charge.model
                                                               : "passthrough";
        return fmt::format("{}/{}/{}/{}", seller.code.empty() ? provider() : seller.code, region,
            id, meter_words(charge));
    }
    [[nodiscard]] std::string sku_price() const {
        return fmt::format(
            "{}/{}/over-{}", sku(), catalog::tier_name(charge.tier), charge.ctx_over);
    }
    /// The capacity that serves the offer, paid by the hour.
    [[nodiscard]] const contracts::Provisioned* capacity() const {
        if (charge.terms == nullptr || !is_usage()) return nullptr;
        const auto& all = charge.terms->provisioned;
        const auto found = std::ranges::find_if(all, [&](const contracts::Provisioned& one) {
            return contracts::takes(one.offers, charge.offer) && !one.offers.empty() &&
                one.from <= charge.hour && charge.hour < one.to;
        });
        return found == all.end() ? nullptr : &*found;
    }
    [[nodiscard]] bool is_of_a_month_before() const {
        return !charge.corrected || charge.corrected->time() < month.begin;
    }
};

void write_tags(const Row& row, std::string& out) {
    const FocusCharge& charge = row.charge;
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    for (std::string_view rest = charge.tags; !rest.empty();) {
        const std::string_view one = rest.substr(0, rest.find(';'));
        rest.remove_prefix(std::min(rest.size(), one.size() + 1));
        const auto equals = one.find('=');
        if (equals != std::string_view::npos)
            writer.member(one.substr(0, equals), one.substr(equals + 1));
    }
    // Ours bear a prefix, as the specification wants of tags that no user set.
    const auto own = [&](std::string_view name, std::string_view value) {
        if (!value.empty()) writer.member(name, value);
    };
    own("entrepot/org", charge.org);
    own("entrepot/project", charge.project);
    own("entrepot/key", charge.key);
    own("entrepot/end_user", charge.end_user);
    writer.end_object();
    reconcile::append_csv(out, text);
}

void write_price_details(const Row& row, std::string& out) {
    if (!row.is_usage()) return;
    std::string text;
    json::Writer writer(text);
    writer.begin_object();
    writer.member("x_ContextTokensOver", row.charge.ctx_over);
    writer.member("x_Meter", meter_words(row.charge));
    writer.member("x_ServiceTier", catalog::tier_name(row.charge.tier));
    writer.end_object();
    reconcile::append_csv(out, text);
}

/// What of the charge took its part off commitments: FOCUS 1.3.
void write_contract_applied(const Row& row, std::string& out) {
    const FocusCharge& charge = row.charge;
    if (charge.terms == nullptr || !charge.terms->commitment) return;
    const contracts::Contract& contract = *charge.terms;
    const contracts::Commitment& commitment = *contract.commitment;
    const contracts::Place place{charge.cloud, charge.model, charge.offer, charge.facts->region};
    if (charge.hour < contract.from || charge.hour >= contract.to ||
        !commitment.eligible.takes(place))
        return;
    std::string text;
    json::Writer writer(text);
    writer.begin_object().key("Elements").begin_array();
    bool is_applied = false;
    for (const contracts::Window& window :
        contracts::windows_of(commitment, contract.from, contract.to)) {
        if (charge.hour < window.begin || charge.hour >= window.end) continue;
        is_applied = true;
        writer.begin_object().member("ContractId", contract.name);
        writer.member("ContractCommitmentId", commitment_id(contract.name, window));
        writer.member_raw("ContractCommitmentAppliedCost", charge.cost.to_decimal());
        writer.member_null("ContractCommitmentAppliedQuantity");
        writer.member_null("ContractCommitmentAppliedUnit").end_object();
    }
    writer.end_array().end_object();
    if (is_applied) reconcile::append_csv(out, text);
}

void write_description(const Row& row, std::string& out) {
    const FocusCharge& charge = row.charge;
    const std::string_view what = charge.offer.empty() ? charge.cloud : charge.offer;
    if (charge.kind == Kind::kCorrection) {
        reconcile::append_csv(out,
            fmt::format("Correction of {}: {}", what.empty() ? row.provider() : what,
                charge.reason.empty() ? "several" : charge.reason));
    } else if (charge.kind == Kind::kUnmetered) {
        reconcile::append_csv(out, fmt::format("Charge of {} that no meter explains", what));
    } else {
        reconcile::append_csv(out,
            fmt::format("{} of {}", row.unit.name, what) +
                fmt::format(", {} ({})", meter_words(charge), catalog::tier_name(charge.tier)));
    }
}

/// The price that this row was at: its amount by its quantity. Where a line was rounded, or lies
/// on several volume steps, that is no price of a list; x_RateVersion names the list.
void write_unit_price(const Row& row, Money amount, std::string& out) {
    if (row.is_usage()) out += unit_price_text(amount, row.quantity, row.unit.per);
}

using Write = void (*)(const Row& row, std::string& out);

struct Column {
    std::string_view name;
    Write write;
    bool is_of_13 = false;  ///< new in 1.3
};

void nothing(const Row&, std::string&) {}
void billed(const Row& row, std::string& out) { out += row.charge.cost.to_decimal(); }
void provider(const Row& row, std::string& out) { reconcile::append_csv(out, row.provider()); }

constexpr Column kColumns[] = {
    {"AllocatedMethodDetails", nothing, true},
    {"AllocatedMethodId", nothing, true},
    {"AllocatedResourceId", nothing, true},
    {"AllocatedResourceName", nothing, true},
    {"AllocatedTags", nothing, true},
    {"AvailabilityZone", nothing},
    {"BilledCost", billed},
    {"BillingAccountId",
        [](const Row& row, std::string& out) {
            reconcile::append_csv(out, row.charge.cloud.empty() ? kNobody : row.charge.cloud);
        }},
    {"BillingAccountName",
        [](const Row& row, std::string& out) {
            reconcile::append_csv(out, row.charge.cloud.empty() ? kNobody : row.charge.cloud);
        }},
    {"BillingAccountType", [](const Row&, std::string& out) { out += "Cloud"; }},
    {"BillingCurrency", [](const Row& row, std::string& out) { out += row.currency; }},
    {"BillingPeriodEnd", [](const Row& row, std::string& out) { out += time_text(row.month.end); }},
    {"BillingPeriodStart",
        [](const Row& row, std::string& out) { out += time_text(row.month.begin); }},
    {"CapacityReservationId",
        [](const Row& row, std::string& out) {
            if (const auto* capacity = row.capacity())
                reconcile::append_csv(
                    out, fmt::format("{}/{}", row.charge.contract, capacity->name));
        }},
    {"CapacityReservationStatus",
        [](const Row& row, std::string& out) {
            if (row.capacity() != nullptr) out += "Used";
        }},
    {"ChargeCategory",
        [](const Row& row, std::string& out) { out += row.is_usage() ? "Usage" : "Adjustment"; }},
    {"ChargeClass",
        [](const Row& row, std::string& out) {
            if (!row.is_usage() && row.is_of_a_month_before()) out += "Correction";
        }},
    {"ChargeDescription", write_description},
    {"ChargeFrequency",
        [](const Row& row, std::string& out) {
            out += row.is_usage() ? "Usage-Based" : "One-Time";
        }},
    {"ChargePeriodEnd",
        [](const Row& row, std::string& out) { out += time_text(row.charge.hour + kHour); }},
    {"ChargePeriodStart",
        [](const Row& row, std::string& out) { out += time_text(row.charge.hour); }},
    {"CommitmentDiscountCategory", nothing},
    {"CommitmentDiscountId", nothing},
    {"CommitmentDiscountName", nothing},
    {"CommitmentDiscountQuantity", nothing},
    {"CommitmentDiscountStatus", nothing},
    {"CommitmentDiscountType", nothing},
    {"CommitmentDiscountUnit", nothing},
    {"ConsumedQuantity",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += quantity_text(row.quantity, 1);
        }},
    {"ConsumedUnit",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += row.unit.name;
        }},
    {"ContractApplied", write_contract_applied, true},
    {"ContractedCost", billed},
    {"ContractedUnitPrice",
        [](const Row& row, std::string& out) { write_unit_price(row, row.charge.cost, out); }},
    {"EffectiveCost", billed},
    {"HostProviderName", provider, true},
    {"InvoiceId",
        // The bill that is to come, as we expect it: readers take a charge without one for lost.
        [](const Row& row, std::string& out) {
            reconcile::append_csv(out,
                fmt::format("{}/{}", row.charge.cloud.empty() ? kNobody : row.charge.cloud,
                    to_date(row.month.begin).substr(0, 7)));
        }},
    {"InvoiceIssuerName", provider},
    {"ListCost",
        [](const Row& row, std::string& out) { out += row.charge.list_cost.to_decimal(); }},
    {"ListUnitPrice",
        [](const Row& row, std::string& out) { write_unit_price(row, row.charge.list_cost, out); }},
    {"PricingCategory",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += "Standard";
        }},
    {"PricingCurrency", [](const Row& row, std::string& out) { out += row.currency; }},
    {"PricingCurrencyContractedUnitPrice",
        [](const Row& row, std::string& out) { write_unit_price(row, row.charge.cost, out); }},
    {"PricingCurrencyEffectiveCost", billed},
    {"PricingCurrencyListUnitPrice",
        [](const Row& row, std::string& out) { write_unit_price(row, row.charge.list_cost, out); }},
    {"PricingQuantity",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += quantity_text(row.quantity, row.unit.per);
        }},
    {"PricingUnit",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += row.unit.priced_in;
        }},
    {"ProviderName", provider},
    {"PublisherName",
        [](const Row& row, std::string& out) {
            const std::string_view author = author_name(row.charge.facts->author);
            reconcile::append_csv(out, author.empty() ? row.provider() : author);
        }},
    {"RegionId",
        [](const Row& row, std::string& out) {
            reconcile::append_csv(out, row.charge.facts->region);
        }},
    {"RegionName",
        [](const Row& row, std::string& out) {
            reconcile::append_csv(out, row.charge.facts->region);
        }},
    {"ResourceId",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.offer); }},
    {"ResourceName",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.offer); }},
    {"ResourceType",
        [](const Row& row, std::string& out) {
            if (!row.charge.offer.empty()) out += "Model Offer";
        }},
    {"ServiceCategory", [](const Row&, std::string& out) { out += "AI and Machine Learning"; }},
    {"ServiceName",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.service()); }},
    {"ServiceProviderName", provider, true},
    {"ServiceSubcategory", [](const Row&, std::string& out) { out += "Generative AI"; }},
    {"SkuId",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) reconcile::append_csv(out, row.sku());
        }},
    {"SkuMeter",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += meter_words(row.charge);
        }},
    {"SkuPriceDetails", write_price_details},
    {"SkuPriceId",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) reconcile::append_csv(out, row.sku_price());
        }},
    {"SubAccountId",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.team); }},
    {"SubAccountName",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.team); }},
    {"SubAccountType",
        [](const Row& row, std::string& out) {
            if (!row.charge.team.empty()) out += "Team";
        }},
    {"Tags", write_tags},
    {"x_AdjustmentId",
        [](const Row& row, std::string& out) {
            if (row.charge.correction != ExchangeId{}) out += row.charge.correction.to_string();
        }},
    {"x_Contract",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.contract); }},
    {"x_CorrectedExchange",
        [](const Row& row, std::string& out) {
            if (row.charge.corrected) out += row.charge.corrected->to_string();
        }},
    {"x_CtxBand",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += std::to_string(row.charge.ctx_over);
        }},
    {"x_Meter",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += meter_words(row.charge);
        }},
    {"x_Model",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.model); }},
    {"x_Offer",
        [](const Row& row, std::string& out) { reconcile::append_csv(out, row.charge.offer); }},
    {"x_RateVersion",
        [](const Row& row, std::string& out) {
            reconcile::append_csv(out, row.charge.rate_version);
        }},
    {"x_ServiceTier",
        [](const Row& row, std::string& out) {
            if (row.is_usage()) out += catalog::tier_name(row.charge.tier);
        }},
};

}  // namespace

Result<FocusSpec> parse_focus_spec(std::string_view text) {
    if (text == "1.2") return FocusSpec::k12;
    if (text == "1.3") return FocusSpec::k13;
    return fail(ErrorCode::kInvalidField,
        fmt::format("FOCUS {} is not written; 1.2 and 1.3 are", excerpt(text)));
}

void FocusWriter::header(std::string& out) const {
    bool is_first = true;
    for (const Column& column : kColumns) {
        if (column.is_of_13 && spec_ == FocusSpec::k12) continue;
        if (!is_first) out += ',';
        out += column.name;
        is_first = false;
    }
    out += '\n';
}

void FocusWriter::row(const FocusCharge& charge, std::string& out) const {
    const Row row{charge, currency_.code(), seller_of(charge.facts->kind), unit_of(charge),
        // A cost without a count is one charge: no row may lack a quantity.
        charge.kind == Kind::kMetered && charge.quantity > 0 ? charge.quantity : 1,
        TimeZone::utc().period_of(PeriodKind::kMonth, charge.hour)};
    bool is_first = true;
    for (const Column& column : kColumns) {
        if (column.is_of_13 && spec_ == FocusSpec::k12) continue;
        if (!is_first) out += ',';
        column.write(row, out);
        is_first = false;
    }
    out += '\n';
}

std::string commitment_id(std::string_view contract, const contracts::Window& window) {
    return window.is_milestone ? fmt::format("{}/by-{}", contract, to_date(window.end))
                               : fmt::format("{}/{}", contract, to_date(window.begin));
}

}  // namespace entrepot::reports
