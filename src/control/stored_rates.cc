#include "control/stored_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/value.h"

namespace entrepot::control {
namespace {

using catalog::kForever;
using contracts::OwnRate;

constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
/// Dates of rates lie between these years.
constexpr std::string_view kFirstDay = "1970-01-01";
constexpr std::string_view kLastDay = "2200-01-01";
constexpr std::int64_t kPromptMax = 1'000'000'000;

std::string date_of(Instant at) { return to_date(at); }

/// The price without the uplift that it holds, which divides it by how it was made.
UnitPrice as_stated(UnitPrice price, const Ratio& uplift) {
    if (uplift.numerator == 0) return price;
    return UnitPrice::from_pico(static_cast<std::int64_t>(
        static_cast<Int128>(price.pico()) * uplift.denominator / uplift.numerator));
}

/// Reads one rate; every error names the place below `at`.
class RateReader {
public:
    RateReader(const json::Value& value, std::string at) : value_(value), at_(std::move(at)) {}

    Result<OwnRate> read(Instant now) const {
        if (!value_.is_object())
            return wrong("", "a rate must be an object",
                R"(write {"offer": "MODEL/OFFER", "prices": {"input": "2.50"}})");
        ENTREPOT_TRY_DO(check_names());
        OwnRate rate;
        rate.known = Instant{now.ns - now.ns % 1'000'000};  // as the store writes it
        ENTREPOT_TRY(rate.offer, text("offer", kNameMax));
        if (rate.offer.empty())
            return wrong("offer", "it is missing", "name the offer, MODEL/OFFER; it may end in *");
        ENTREPOT_TRY(rate.region, text("region", kNameMax));
        ENTREPOT_TRY(rate.contract, text("contract", kNameMax));
        ENTREPOT_TRY_DO(read_place(rate));
        ENTREPOT_TRY_DO(read_dates(rate, now));
        ENTREPOT_TRY_DO(read_prices(rate));
        return rate;
    }

private:
    static constexpr std::size_t kNameMax = 256;

    std::unexpected<Error> wrong(
        std::string_view member, std::string_view cause, std::string_view remedy) const {
        const std::string field = member.empty() ? at_
            : at_.empty()                        ? std::string(member)
                                                 : at_ + "." + std::string(member);
        return fail_field(ErrorCode::kInvalidField, field,
            fmt::format("{}: {}; {}", field.empty() ? "the rate" : field, cause, remedy));
    }

    Status check_names() const {
        static const std::vector<std::string> known{"offer", "region", "contract", "tier",
            "prompts_over", "uplift", "prices", "from", "to"};
        std::vector<std::string_view> seen;
        for (const json::Member& member : value_.members()) {
            if (std::ranges::find(known, member.key) == known.end()) {
                const std::string_view near = nearest(member.key, known);
                return wrong(excerpt(member.key), "a rate has no such member",
                    near.empty() ? fmt::format("known are {}", fmt::join(known, ", "))
                                 : fmt::format("did you mean '{}'?", near));
            }
            if (std::ranges::find(seen, member.key) != seen.end())
                return wrong(member.key, "it stands there twice", "write it once");
            seen.push_back(member.key);
        }
        return {};
    }

    Result<std::string> text(std::string_view member, std::size_t bytes_max) const {
        const json::Value& value = value_[member];
        if (value.is_null()) return std::string();
        if (!value.is_string() || value.string().size() > bytes_max)
            return wrong(member, fmt::format("{} is no name", excerpt(value.raw())),
                fmt::format("write a text of at most {} bytes", bytes_max));
        return std::string(value.string());
    }

    Status read_place(OwnRate& rate) const {
        if (const json::Value& tier = value_["tier"]; !tier.is_null()) {
            bool is_known = false;
            for (std::size_t t = 0; t < catalog::kTierCount; ++t) {
                rate.tier = static_cast<catalog::Tier>(t);
                if ((is_known = tier.string() == catalog::tier_name(rate.tier))) break;
            }
            if (!is_known)
                return wrong("tier", fmt::format("{} is no tier", excerpt(tier.raw())),
                    "write standard, batch, flex, priority or fast");
        }
        if (const json::Value& over = value_["prompts_over"]; !over.is_null()) {
            rate.prompts_over = over.as_int().value_or(-1);
            if (rate.prompts_over < 0 || rate.prompts_over > kPromptMax)
                return wrong("prompts_over",
                    fmt::format("{} is no number of tokens", excerpt(over.raw())),
                    fmt::format("write a whole number from 0 to {}", kPromptMax));
        }
        if (const json::Value& uplift = value_["uplift"]; !uplift.is_null()) {
            const Result<Ratio> ratio = Ratio::parse(uplift.string());
            if (!uplift.is_string() || !ratio || ratio->numerator <= 0)
                return wrong("uplift", fmt::format("{} is no factor", excerpt(uplift.raw())),
                    R"(write it as a text, "1.1" or "11/10")");
            rate.uplift = *ratio;
        }
        return {};
    }

    Result<Instant> day(std::string_view member, Instant absent) const {
        const json::Value& value = value_[member];
        if (value.is_null()) return absent;
        const Result<Instant> at = parse_instant(value.string());
        if (!at || at->ns % kDayNs != 0 || *at < *parse_instant(kFirstDay) ||
            *at > *parse_instant(kLastDay))
            return wrong(member, fmt::format("{} is no day", excerpt(value.raw())),
                fmt::format("write a date such as \"2026-12-01\", from {} to {}: rates begin and "
                            "end at midnight UTC, as the days of the books do",
                    kFirstDay, kLastDay));
        return *at;
    }

    Status read_dates(OwnRate& rate, Instant now) const {
        const Instant midnight{now.ns - now.ns % kDayNs + kDayNs};
        ENTREPOT_TRY(rate.from, day("from", midnight));
        ENTREPOT_TRY(rate.to, day("to", kForever));
        if (rate.from < rate.to) return {};
        return wrong("to",
            fmt::format("{} does not come after {}, when the rate begins", date_of(rate.to),
                date_of(rate.from)),
            "write a later day, or leave it out");
    }

    Status read_prices(OwnRate& rate) const {
        const json::Value& prices = value_["prices"];
        if (!prices.is_object() || prices.members().empty())
            return wrong("prices", "no price is stated",
                R"(write {"input": "2.50", "output": "10.00"}, per million)");
        for (const json::Member& member : prices.members()) {
            const std::string field = fmt::format("prices.{}", excerpt(member.key));
            std::size_t m = 0;
            while (m < canon::kMeterCount &&
                canon::meter_name(static_cast<canon::Meter>(m)) != member.key)
                ++m;
            if (m == canon::kMeterCount) return unknown_meter(field, member.key);
            const auto meter = static_cast<canon::Meter>(m);
            if (std::ranges::any_of(
                    rate.prices, [&](const auto& price) { return price.first == meter; }))
                return wrong(field, "it is priced twice", "write it once");
            const auto price = UnitPrice::parse_per_million(member.value.string());
            if (!member.value.is_string() || !price)
                return wrong(field, fmt::format("{} is no price", excerpt(member.value.raw())),
                    R"(write it as a text of at most six decimals per million, "2.50")");
            const Int128 lifted = static_cast<Int128>(price->pico()) * rate.uplift.numerator;
            if (lifted % rate.uplift.denominator != 0 ||
                lifted / rate.uplift.denominator > INT64_MAX)
                return wrong(field,
                    fmt::format("{} times the uplift of {} has more than six decimals",
                        member.value.string(), rate.uplift.to_string()),
                    "write the price that is paid, without an uplift");
            rate.prices.emplace_back(meter,
                UnitPrice::from_pico(static_cast<std::int64_t>(lifted / rate.uplift.denominator)));
        }
        return {};
    }

    std::unexpected<Error> unknown_meter(const std::string& field, std::string_view name) const {
        std::vector<std::string> meters;
        for (std::size_t m = 0; m < canon::kMeterCount; ++m)
            meters.emplace_back(canon::meter_name(static_cast<canon::Meter>(m)));
        const std::string_view near = nearest(name, meters);
        return wrong(field, "there is no such meter",
            near.empty() ? fmt::format("known are {}", fmt::join(meters, ", "))
                         : fmt::format("did you mean '{}'?", near));
    }

    const json::Value& value_;
    std::string at_;
};

/// A time that the store wrote; absent is `otherwise`.
Result<Instant> stored_time(const json::Value& value, Instant otherwise) {
    if (value.is_null()) return otherwise;
    return parse_instant(value.string());
}

}  // namespace

void write_rate(json::Writer& writer, const OwnRate& rate) {
    writer.begin_object().member("number", rate.number).member("offer", rate.offer);
    if (!rate.region.empty()) writer.member("region", rate.region);
    if (!rate.contract.empty()) writer.member("contract", rate.contract);
    writer.member("tier", catalog::tier_name(rate.tier));
    if (rate.prompts_over != 0) writer.member("prompts_over", rate.prompts_over);
    if (rate.uplift != Ratio{}) writer.member("uplift", rate.uplift.to_string());
    writer.key("prices").begin_object();
    for (const auto& [meter, price] : rate.prices)
        writer.member(canon::meter_name(meter), as_stated(price, rate.uplift).to_per_million());
    writer.end_object().member("from", date_of(rate.from));
    if (rate.to != kForever) writer.member("to", date_of(rate.to));
    writer.member("known", to_rfc3339(rate.known));
    if (rate.withdrawn != kForever) writer.member("withdrawn", to_rfc3339(rate.withdrawn));
    if (rate.corrects_until != catalog::kBeginning)
        writer.member("corrects_until", to_rfc3339(rate.corrects_until));
    writer.end_object();
}

std::string rate_to_json(const OwnRate& rate) {
    std::string out;
    json::Writer writer(out);
    write_rate(writer, rate);
    return out;
}

Result<OwnRate> rate_of_store(std::string_view json) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(json)));
    const json::Value& root = document.root();
    // What the store adds to a statement is left out for the reader of statements.
    std::string stated;
    json::Writer writer(stated);
    writer.begin_object();
    for (const json::Member& member : root.members())
        if (member.key != "number" && member.key != "known" && member.key != "withdrawn" &&
            member.key != "corrects_until")
            writer.member_raw(member.key, member.value.raw());
    writer.end_object();
    ENTREPOT_TRY(const json::Document statement, json::Document::parse(std::move(stated)));
    ENTREPOT_TRY(const Instant known, parse_instant(root["known"].string()));
    ENTREPOT_TRY(OwnRate rate, RateReader(statement.root(), "").read(known));
    rate.number = root["number"].as_int().value_or(0);
    ENTREPOT_TRY(rate.withdrawn, stored_time(root["withdrawn"], kForever));
    ENTREPOT_TRY(rate.corrects_until, stored_time(root["corrects_until"], catalog::kBeginning));
    return rate;
}

Result<std::vector<OwnRate>> load_own_rates(const store::SettingsStore& store) {
    ENTREPOT_TRY(const std::vector<store::Setting> entries, store.list("rate"));
    std::vector<OwnRate> rates;
    for (const store::Setting& entry : entries) {
        Result<OwnRate> rate = rate_of_store(entry.json);
        if (!rate)
            return fail(ErrorCode::kIo,
                fmt::format("rate {} of the store does not read as one: {}", entry.name,
                    rate.error().message));
        rates.push_back(std::move(*rate));
    }
    return rates;
}

Result<std::vector<OwnRate>> read_rates(std::string_view json, Instant now) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(json)));
    const json::Value& root = document.root();
    std::vector<OwnRate> rates;
    const json::Value* const list = root.find("rates");
    if (list == nullptr) {
        ENTREPOT_TRY(OwnRate rate, RateReader(root, "").read(now));
        rates.push_back(std::move(rate));
        return rates;
    }
    if (root.members().size() != 1 || !list->is_array() || list->items().empty() ||
        list->items().size() > kRatesAtOnceMax)
        return fail_field(ErrorCode::kInvalidField, "rates",
            fmt::format(
                "'rates' must stand alone and be a list of 1 to {} rates", kRatesAtOnceMax));
    for (std::size_t i = 0; i < list->items().size(); ++i) {
        ENTREPOT_TRY(
            OwnRate rate, RateReader(list->items()[i], fmt::format("rates[{}]", i)).read(now));
        rates.push_back(std::move(rate));
    }
    return rates;
}

std::string rate_name(std::int64_t number) { return fmt::format("{:08}", number); }

store::StatedValues stated_of(const OwnRate& rate) {
    const std::string path = fmt::format("rates.{}", rate.number);
    store::StatedValues values;
    const auto add = [&](std::string_view member, std::string value) {
        values.emplace_back(fmt::format("{}.{}", path, member), std::move(value));
    };
    if (!rate.contract.empty()) add("contract", rate.contract);
    add("from", date_of(rate.from));
    add("offer", rate.offer);
    for (const auto& [meter, price] : rate.prices)
        add(fmt::format("prices.{}", canon::meter_name(meter)), price.to_per_million());
    if (rate.prompts_over != 0) add("prompts_over", fmt::format("{}", rate.prompts_over));
    if (!rate.region.empty()) add("region", rate.region);
    add("tier", std::string(catalog::tier_name(rate.tier)));
    if (rate.to != kForever) add("to", date_of(rate.to));
    if (rate.withdrawn != kForever) add("withdrawn", to_rfc3339(rate.withdrawn));
    std::ranges::sort(values);
    return values;
}

}  // namespace entrepot::control
