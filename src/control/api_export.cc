// The books as files for other systems.

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "control/offer_facts.h"
#include "control/routes.h"
#include "ledger/state.h"
#include "reports/focus.h"

namespace entrepot::control {
namespace {

/// A part of an answer is begun anew when it has grown beyond this.
constexpr std::size_t kPartBytes = 256 * 1024;

struct Span {
    Instant since{};
    Instant until{};
};

/// Both ends must be said: an export is of a time, and one that grows with each call is none.
Result<Span> span_of(const ApiCall& call) {
    Span span;
    for (const auto& [name, to] :
        {std::pair("since", &span.since), std::pair("until", &span.until)}) {
        const std::string_view text = call.argument(name);
        if (text.empty())
            return fail_field(ErrorCode::kInvalidField, name,
                fmt::format("'{}' is missing: say from when up to when, such as "
                            "since=2026-11-01&until=2026-12-01",
                    name));
        ENTREPOT_TRY(*to, parse_instant(text));
    }
    if (span.until <= span.since)
        return fail_field(ErrorCode::kInvalidField, "until",
            fmt::format("until ({}) is not after since ({})", call.argument("until"),
                call.argument("since")));
    return span;
}

/// Rows of an export, part by part, with all that they need of the settings at its begin.
class FocusExport {
public:
    FocusExport(store::ChargeReader reader, reports::FocusSpec spec, Currency currency,
        OfferFactsAt facts, std::vector<contracts::Contract> contracts)
        : reader_(std::move(reader)),
          writer_(spec, currency),
          facts_(std::move(facts)),
          contracts_(std::move(contracts)) {}

    Result<bool> next(std::string& out) {
        if (!is_begun_) writer_.header(out);
        is_begun_ = true;
        store::ChargeRow row;
        while (out.size() < kPartBytes) {
            ENTREPOT_TRY(const bool more, reader_.next(row));
            if (!more) return false;
            write(row, out);
        }
        return true;
    }

private:
    void write(const store::ChargeRow& row, std::string& out) {
        reports::FocusCharge charge;
        charge.hour = row.hour;
        charge.org = row.org;
        charge.team = row.team;
        charge.project = row.project;
        charge.key = row.key;
        charge.end_user = row.end_user;
        charge.tags = row.tags;
        charge.model = row.model;
        charge.offer = row.offer;
        charge.cloud = row.cloud;
        charge.contract = row.contract;
        charge.rate_version = row.rate_version;
        charge.tier = row.tier;
        charge.ctx_over = row.ctx_over;
        charge.quantity = row.quantity;
        charge.cost = row.cost;
        charge.list_cost = row.list_cost;
        if (row.meter == ledger::kAdjustMeter) {
            charge.kind = reports::FocusCharge::Kind::kCorrection;
            charge.reason = row.reason;
            if (row.correction != nullptr) {
                charge.correction = row.correction->id;
                if (row.correction->exchange != ExchangeId{})
                    charge.corrected = row.correction->exchange;
            }
        } else if (row.meter == ledger::kRestMeter) {
            charge.kind = reports::FocusCharge::Kind::kUnmetered;
        } else {
            charge.meter = static_cast<canon::Meter>(row.meter);
        }
        charge.facts = &facts_.of(row.offer, row.cloud, row.hour);
        const auto terms = std::ranges::find(contracts_, row.contract, &contracts::Contract::name);
        charge.terms = terms == contracts_.end() ? nullptr : &*terms;
        writer_.row(charge, out);
    }

    store::ChargeReader reader_;
    reports::FocusWriter writer_;
    OfferFactsAt facts_;
    std::vector<contracts::Contract> contracts_;
    bool is_begun_ = false;
};

}  // namespace

Result<ApiAnswer> export_focus(const ApiCall& call) {
    ENTREPOT_TRY(const Span span, span_of(call));
    reports::FocusSpec spec = reports::FocusSpec::k12;
    if (const std::string_view text = call.argument("spec"); !text.empty()) {
        ENTREPOT_TRY(spec, reports::parse_focus_spec(text));
    }
    ENTREPOT_TRY(OfferFactsAt facts, OfferFactsAt::load(call.backend));
    ENTREPOT_TRY(store::ChargeReader reader,
        (ask<Result<store::ChargeReader>>(call.backend,
            [&](store::Books& books) { return books.charges(span.since, span.until); })));
    const config::Settings& settings = call.backend.settings();
    const auto rows = std::make_shared<FocusExport>(
        std::move(reader), spec, settings.currency, std::move(facts), settings.contracts);
    ApiAnswer answer;
    answer.content_type = "text/csv; charset=utf-8";
    answer.more = [rows](std::string& out) { return rows->next(out); };
    answer.file_name = fmt::format("focus-{}.csv", to_date(span.since));
    return answer;
}

Result<ApiAnswer> export_commitments(const ApiCall& call) {
    ENTREPOT_TRY(const Span span, span_of(call));
    ApiAnswer answer;
    answer.content_type = "text/csv; charset=utf-8";
    answer.file_name = fmt::format("focus-commitments-{}.csv", to_date(span.since));
    ENTREPOT_TRY_DO(reports::write_commitments(
        call.backend.settings().contracts, span.since, span.until, answer.json));
    return answer;
}

}  // namespace entrepot::control
