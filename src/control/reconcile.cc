#include "control/reconcile.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "control/late_rates.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

using reconcile::Adjustment;
using reconcile::BookedLine;

/// How many postings go in one request: well below the API's bound on bodies.
constexpr std::size_t kPostingsPerRequest = 500;
constexpr std::size_t kFindingNamesMax = 5;
constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;
constexpr std::string_view kReasonWord = "reconciliation";

/// `2026-11-01`, or the whole time where it is no midnight.
std::string time_text(Instant at) {
    const std::string text = to_rfc3339(at);
    return text.ends_with("T00:00:00.000Z") ? text.substr(0, 10) : text;
}

std::optional<Instant> time_of(std::string_view text) {
    const auto at = parse_instant(text);
    return at ? std::optional(*at) : std::nullopt;
}

bool contains(const Period& outer, const Period& inner) {
    return outer.begin <= inner.begin && inner.end <= outer.end;
}
bool contains(const Period& outer, Instant at) { return outer.begin <= at && at < outer.end; }

bool has(const std::vector<std::string>& list, std::string_view item) {
    return std::ranges::find(list, item) != list.end();
}

std::string joined(const std::vector<std::string>& list) {
    std::string out;
    for (std::size_t i = 0; i < std::min(list.size(), kFindingNamesMax); ++i)
        out += fmt::format("{}{}", i == 0 ? "" : ", ", list[i]);
    return list.size() > kFindingNamesMax ? out + ", ..." : out;
}

/// A member that must be there. Errors: kUpstreamProtocol.
Result<Money> money_of(const json::Value& row, std::string_view name) {
    auto amount = Money::parse(row[name].string());
    if (amount) return *amount;
    return fail(ErrorCode::kUpstreamProtocol,
        fmt::format(
            "the gateway answered a row whose '{}' is no amount; is it of another version?", name));
}

Result<Instant> instant_of(const json::Value& row, std::string_view name) {
    auto at = parse_instant(row[name].string());
    if (at) return *at;
    return fail(ErrorCode::kUpstreamProtocol,
        fmt::format(
            "the gateway answered a row whose '{}' is no time; is it of another version?", name));
}

std::optional<canon::Meter> meter_of(std::string_view name) {
    for (std::size_t i = 0; i < canon::kMeterCount; ++i)
        if (const auto meter = static_cast<canon::Meter>(i); canon::meter_name(meter) == name)
            return meter;
    return std::nullopt;
}

/// What corrections of late rates are told apart by.
std::string late_rate_key(
    std::string_view cloud, std::string_view offer, const LateRateReason& reason) {
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", cloud, offer, to_date(reason.day),
        canon::meter_name(reason.meter), catalog::tier_name(reason.tier), reason.ctx_over,
        reason.was);
}

std::string place_of(std::string_view cloud, std::string_view offer) {
    return fmt::format("{}\n{}", cloud, offer);
}

}  // namespace

std::string PostingReason::to_string() const {
    return fmt::format("{} {}/{} {} {} {}", kReasonWord, time_text(bill.begin), time_text(bill.end),
        time_text(day), reconcile::type_name(type), seller);
}

std::optional<PostingReason> PostingReason::parse(std::string_view text) {
    const auto word = [&] {
        const std::string_view first = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(text.size(), first.size() + 1));
        return first;
    };
    if (word() != kReasonWord) return std::nullopt;
    const std::string_view period = word();
    const auto slash = std::min(period.find('/'), period.size() - 1);
    const auto begin = time_of(period.substr(0, slash));
    const auto end = time_of(period.substr(slash + 1));
    const auto day = time_of(word());
    const auto type = reconcile::parse_type(word());
    if (period.empty() || !begin || !end || !day || !type || text.empty()) return std::nullopt;
    return PostingReason{{*begin, *end}, *day, *type, std::string(text)};
}

Result<std::unique_ptr<Reconciliation>> Reconciliation::begin(
    ReconcileOptions options, AskApi ask) {
    auto made =
        std::unique_ptr<Reconciliation>(new Reconciliation(std::move(options), std::move(ask)));
    ENTREPOT_TRY_DO(made->learn_books());
    return made;
}

Status Reconciliation::learn_books() {
    ENTREPOT_TRY(const json::Document answer, ask_("GET", "/api/charges?limit=0", {}));
    ENTREPOT_TRY(const Currency currency, Currency::parse(answer.root()["currency"].string()));
    for (const json::Value& cloud : answer.root()["clouds"].items())
        sellers_[std::string(cloud["cloud"].string())] = std::string(cloud["seller"].string());
    reconcile::CompareOptions compare;
    compare.currency = currency;
    compare.cloud = options_.cloud;
    compare.period = options_.period;
    compare.exchange = options_.exchange;
    compare.as_of = options_.as_of;
    std::map<std::string, std::size_t> clouds_per_seller;
    for (const auto& [cloud, seller] : sellers_) {
        if (++clouds_per_seller[seller] == 1)
            compare.cloud_of_seller[seller] = cloud;
        else
            compare.cloud_of_seller.erase(seller);
    }
    comparison_ = std::make_unique<reconcile::Comparison>(std::move(compare));
    reconcile::ReaderOptions reading;
    reading.format = options_.format;
    reading.lines_max = options_.lines_max;
    reading.on_progress = options_.on_progress;
    reader_ = std::make_unique<reconcile::BillReader>(std::move(reading),
        [this](const reconcile::BillLine& line) { return comparison_->add(line); });
    return {};
}

Status Reconciliation::feed(std::string_view bytes) { return reader_->feed(bytes); }

/// The clouds whose charges the bill is about.
Result<std::vector<std::string>> Reconciliation::clouds_of(
    const std::vector<std::string>& sellers) {
    std::vector<std::string> clouds;
    if (!options_.cloud.empty()) {
        const auto known = sellers_.find(options_.cloud);
        const std::string seller = known == sellers_.end() ? std::string() : known->second;
        if (!seller.empty() && !has(sellers, seller))
            return fail_field(ErrorCode::kInvalidField, "cloud",
                fmt::format("the bill is of {}, and cloud '{}' is of {}", joined(sellers),
                    options_.cloud, seller));
        if (seller.empty() && sellers.size() != 1)
            return fail(ErrorCode::kInvalidField,
                fmt::format("the bill is of several sellers ({}), and of which cloud '{}' is only "
                            "its endpoint tells; split the bill by seller",
                    joined(sellers), options_.cloud));
        if (seller.empty()) only_seller_ = sellers.front();
        clouds.push_back(options_.cloud);
        return clouds;
    }
    for (const auto& [cloud, seller] : sellers_)
        if (has(sellers, seller)) clouds.push_back(cloud);
    if (clouds.empty())
        return fail(ErrorCode::kInvalidField,
            fmt::format("the bill is of {}, and no cloud of the configuration is; name the one it "
                        "is of with --cloud",
                joined(sellers)));
    return clouds;
}

Status Reconciliation::add_charge(const json::Value& row) {
    const std::string_view meter = row["meter"].string();
    if (meter == "correction") return {};  // they come by themselves, with what they are for
    BookedLine line;
    line.cloud = row["cloud"].string();
    line.seller = only_seller_.empty() ? row["seller"].string() : std::string_view(only_seller_);
    line.offer = row["offer"].string();
    line.provider_model_id = row["id"].string();
    line.model = row["canonical"].string();
    if (line.model.empty() && line.provider_model_id.empty()) line.model = row["model"].string();
    line.meter = meter_of(meter);
    if (const auto tier = catalog::parse_tier(row["tier"].string())) line.tier = *tier;
    line.ctx_over = row["context"].as_int().value_or(0);
    line.region = row["region"].string();
    ENTREPOT_TRY(line.hour, instant_of(row, "hour"));
    line.quantity = row["quantity"].as_int().value_or(0);
    line.rate_version = row["rate_version"].string();
    ENTREPOT_TRY(line.contracted, money_of(row, "cost"));
    ENTREPOT_TRY(line.list, money_of(row, "list_cost"));
    // How many requests it sums is not kept; each had a unit at least.
    line.charges = static_cast<std::uint64_t>(std::max<std::int64_t>(line.quantity, 1));
    const std::string contract(row["contract"].string());
    for (const std::string_view offer : {line.offer, std::string_view()}) {
        const auto [known, is_new] = contracts_.try_emplace(place_of(line.cloud, offer), contract);
        if (!is_new && known->second != contract) known->second.clear();
    }
    // What was dispatched in a closed month has no part in the corrections of the day.
    if (!late_rates_.empty() && line.meter && !row["moved"].as_bool().value_or(false)) {
        const LateRateReason reason{
            std::string(line.rate_version), {}, line.hour, *line.meter, line.tier, line.ctx_over};
        const auto due = late_rates_.find(late_rate_key(line.cloud, line.offer, reason));
        if (due != late_rates_.end()) {
            LateRate& late = due->second;
            late.hours.emplace_back(line.hour, line.quantity);
            late.cloud = std::string(line.cloud);
            late.seller = std::string(line.seller);
            late.offer = std::string(line.offer);
            late.model = std::string(line.model);
            late.id = std::string(line.provider_model_id);
            late.region = std::string(line.region);
        }
    }
    return comparison_->add(line);
}

/// A correction is of a day; a bill may have hours. At one price the parts by quantity are exact.
Status Reconciliation::add_late_rates() {
    for (const auto& [key, late] : late_rates_) {
        Int128 quantity = 0;
        for (const auto& [hour, part] : late.hours) quantity += part;
        Money left = late.amount;
        for (std::size_t i = 0; i < late.hours.size(); ++i) {
            const auto& [hour, part] = late.hours[i];
            Int128 product = 0;
            const bool fits =
                !__builtin_mul_overflow(late.amount.pico(), static_cast<Int128>(part), &product);
            Money share;
            if (fits && quantity > 0) share = Money::from_pico(product / quantity);
            if (i + 1 == late.hours.size()) share = left;
            left -= share;
            BookedLine line;
            line.cloud = late.cloud;
            line.seller = late.seller;
            line.offer = late.offer;
            line.model = late.model;
            line.provider_model_id = late.id;
            line.region = late.region;
            line.hour = hour;
            line.meter = late.meter;
            line.tier = late.tier;
            line.ctx_over = late.ctx_over;
            line.contracted = share;
            ENTREPOT_TRY_DO(comparison_->add(line));
        }
        if (!left.is_zero()) {
            ++other_count_;
            other_corrections_ += left;
        }
    }
    return {};
}

Status Reconciliation::add_charges(const Period& period, const std::vector<std::string>& clouds) {
    std::string list;
    for (const std::string& cloud : clouds)
        list += fmt::format("{}{}", list.empty() ? "" : ",", percent_encode(cloud));
    const std::string path = fmt::format("/api/charges?since={}&until={}&cloud={}",
        to_rfc3339(period.begin), to_rfc3339(period.end), list);
    std::string after;
    bool has_charges = false;
    for (;;) {
        ENTREPOT_TRY(const json::Document page,
            ask_("GET", after.empty() ? path : fmt::format("{}&after={}", path, after), {}));
        for (const json::Value& row : page.root()["rows"].items()) ENTREPOT_TRY_DO(add_charge(row));
        has_charges = has_charges || !page.root()["rows"].items().empty();
        after = std::string(page.root()["next"].string());
        if (after.empty()) break;
    }
    // One that left the configuration still has its bills.
    if (has_charges || options_.cloud.empty() || sellers_.contains(options_.cloud)) return {};
    std::vector<std::string> names;
    for (const auto& [name, seller] : sellers_) names.push_back(name);
    const std::string_view near = nearest(options_.cloud, names);
    return fail_field(ErrorCode::kInvalidField, "cloud",
        fmt::format("there is no cloud '{}'{}, and the books have nothing of one in that time; "
                    "there are: {}",
            excerpt(options_.cloud), near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near),
            joined(names)));
}

Status Reconciliation::add_correction(
    const json::Value& row, const Period& period, const std::vector<std::string>& clouds) {
    const std::string cloud(row["cloud"].string());
    if (!has(clouds, cloud)) return {};
    ENTREPOT_TRY(const Money amount, money_of(row, "cost"));
    ENTREPOT_TRY(const Instant at, instant_of(row, "at"));
    const std::string text(row["reason"].string());
    const std::string offer(row["offer"].string());
    if (auto reason = PostingReason::parse(text)) {
        if (reason->type == reconcile::Type::kMissing && !contains(period, reason->day) &&
            !contains(period, reason->bill))
            comparison_->add_taken_off(
                {reason->day, reason->seller, cloud, offer, reason->type, amount});
        const bool is_of_it = contains(period, reason->bill) ||
            (contains(reason->bill, period) && contains(period, reason->day));
        if (is_of_it) {
            comparison_->add_posted(
                {reason->day, reason->seller, cloud, offer, reason->type, amount});
            posted_.push_back({std::move(*reason), text, cloud, offer, amount});
        } else if (contains(period, reason->day) && reason->bill.begin < period.end &&
            period.begin < reason->bill.end && !contains(reason->bill, period)) {
            overlapping_.push_back(text);
        }
        return {};
    }
    if (const auto reason = LateRateReason::parse(text)) {
        if (!contains(period, reason->day)) return {};
        LateRate& late = late_rates_[late_rate_key(cloud, offer, *reason)];
        late.amount += amount;
        late.meter = reason->meter;
        late.tier = reason->tier;
        late.ctx_over = reason->ctx_over;
        return {};
    }
    if (row.find("exchange") == nullptr) {
        if (at < period.begin) return {};
        ++other_count_;
        other_corrections_ += amount;
        return {};
    }
    // What one request truly cost: booked in the hour it was made.
    ENTREPOT_TRY(const Instant asked, instant_of(row, "exchange_at"));
    if (!contains(period, asked)) return {};
    BookedLine line;
    line.cloud = cloud;
    line.offer = offer;
    const std::string seller = only_seller_.empty() ? sellers_.at(cloud) : only_seller_;
    line.seller = seller;
    line.provider_model_id = row["id"].string();
    line.model = row["canonical"].string();
    if (line.model.empty() && line.provider_model_id.empty()) line.model = row["model"].string();
    line.meter = std::nullopt;
    line.hour = Instant{asked.ns - asked.ns % kHourNs};
    line.contracted = amount;
    return comparison_->add(line);
}

Status Reconciliation::add_corrections(
    const Period& period, const std::vector<std::string>& clouds) {
    std::string after;
    for (;;) {
        ENTREPOT_TRY(const json::Document page,
            ask_(
                "GET", after.empty() ? "/api/adjustments" : "/api/adjustments?after=" + after, {}));
        for (const json::Value& row : page.root()["rows"].items())
            ENTREPOT_TRY_DO(add_correction(row, period, clouds));
        after = std::string(page.root()["next"].string());
        if (after.empty()) return {};
    }
}

Status Reconciliation::post(Reconciled& outcome) {
    const reconcile::Report& report = outcome.report;
    if (!overlapping_.empty())
        return fail(ErrorCode::kConflict,
            fmt::format("{} adjustments were posted for bills that share days with this one and "
                        "are not within it ({}); nothing was posted. Reconcile bills of whole days "
                        "or months",
                overlapping_.size(), joined(overlapping_)));
    std::vector<std::string> nobodys;
    for (const Adjustment& adjustment : report.adjustments)
        if (adjustment.cloud.empty() && !has(nobodys, adjustment.seller))
            nobodys.push_back(adjustment.seller);
    if (!nobodys.empty())
        return fail(ErrorCode::kConflict,
            fmt::format("several clouds are of {}, and it cannot be told which of them owes a part "
                        "of the adjustments; nothing was posted. Reconcile the bill of each cloud "
                        "by itself, with --cloud",
                joined(nobodys)));
    for (std::size_t first = 0; first < report.adjustments.size(); first += kPostingsPerRequest) {
        std::string body;
        json::Writer writer(body);
        writer.begin_object().key("adjustments").begin_array();
        const std::size_t end = std::min(report.adjustments.size(), first + kPostingsPerRequest);
        Money amount;
        for (std::size_t i = first; i < end; ++i) {
            const Adjustment& adjustment = report.adjustments[i];
            const std::string reason =
                PostingReason{report.period, adjustment.day, adjustment.type, adjustment.seller}
                    .to_string();
            const auto before = std::ranges::count_if(posted_, [&](const PostedBefore& posted) {
                return posted.text == reason && posted.cloud == adjustment.cloud &&
                    posted.offer == adjustment.offer;
            });
            const std::string_view offer = adjustment.offer;
            writer.begin_object().member("reason", reason).member("number", std::int64_t{before});
            writer.member("cloud", adjustment.cloud).member("offer", offer);
            writer.member("contract", contracts_[place_of(adjustment.cloud, offer)]);
            writer.member("amount", adjustment.amount.to_decimal()).end_object();
            amount += adjustment.amount;
        }
        writer.end_array().end_object();
        ENTREPOT_TRY(const json::Document answer, ask_("POST", "/api/adjustments", body));
        outcome.posted += end - first;
        outcome.posted_amount += amount;
    }
    return {};
}

Result<Reconciled> Reconciliation::finish() {
    ENTREPOT_TRY_DO(reader_->finish());
    const reconcile::Comparison::Wanted wanted = comparison_->wanted();
    const bool has_period = wanted.period.begin < wanted.period.end;
    if (has_period && !options_.as_of && wanted.period.end > options_.now)
        comparison_->set_as_of(std::min(options_.now, wanted.last));
    if (has_period && !wanted.sellers.empty()) {
        ENTREPOT_TRY(const std::vector<std::string> clouds, clouds_of(wanted.sellers));
        ENTREPOT_TRY_DO(add_corrections(wanted.period, clouds));
        ENTREPOT_TRY_DO(add_charges(wanted.period, clouds));
        ENTREPOT_TRY_DO(add_late_rates());
    }
    Reconciled outcome;
    ENTREPOT_TRY(outcome.report, comparison_->finish(reader_->facts()));
    reconcile::Report& report = outcome.report;
    if (other_count_ > 0)
        report.findings.push_back({0,
            fmt::format("{} corrections of these clouds, {} together, were posted since for other "
                        "reasons; they are not part of the comparison",
                other_count_, other_corrections_.to_decimal())});
    if (options_.adjusts) ENTREPOT_TRY_DO(post(outcome));
    const bool is_open = report.differences_left_out > 0 ||
        std::ranges::any_of(report.differences, [](const reconcile::Difference& difference) {
            return difference.is_disputable || difference.is_pending;
        });
    const bool is_posted = outcome.posted > 0 || !report.adjusted.is_zero();
    const Money booked = report.booked + report.adjusted + outcome.posted_amount;
    outcome.agrees = report.is_equal() ||
        (is_posted && !is_open && report.billed == booked &&
            outcome.posted == report.adjustments.size());
    return outcome;
}

std::string to_json(const Reconciled& outcome) {
    std::string out = reconcile::to_json(outcome.report);
    out.pop_back();
    std::string more;
    json::Writer writer(more);
    writer.begin_object().member("posted", static_cast<std::int64_t>(outcome.posted));
    writer.member("posted_amount", outcome.posted_amount.to_decimal());
    writer.member_bool("agrees", outcome.agrees).end_object();
    return out + "," + more.substr(1);
}

}  // namespace entrepot::control
