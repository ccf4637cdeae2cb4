#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/text.h"
#include "catalog/catalog.h"

namespace entrepot::catalog {
namespace {

/// Splits a line at tabs, without copies. Returns the number of fields, or N + 1 when there are
/// more.
template <std::size_t N>
std::size_t fields_of(std::string_view line, std::array<std::string_view, N>& fields) {
    std::size_t count = 0;
    for (;;) {
        const auto tab = line.find('\t');
        if (count == N) return N + 1;
        fields[count++] = line.substr(0, tab);
        if (tab == std::string_view::npos) return count;
        line.remove_prefix(tab + 1);
    }
}

Result<std::int64_t> parse_count(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0)
        return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not a count", excerpt(text)));
    return value;
}

/// Days since the epoch of a civil date (Howard Hinnant's days_from_civil).
constexpr std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) {
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = year / 400;
    const std::int64_t of_era = year - era * 400;
    const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}
static_assert(days_of(1970, 1, 1) == 0 && days_of(2026, 7, 30) == 20'664);

/// `2026-07-30`, or `2026-10`: its first day. `parse_instant` is too slow for some 10,000 of them
/// at start.
Result<Instant> parse_day(std::string_view text, Instant if_empty) {
    if (text.empty()) return if_empty;
    const auto number = [&](std::size_t at, std::size_t length) {
        std::int64_t value = 0;
        for (const char c : text.substr(at, length)) {
            if (c < '0' || c > '9') return std::int64_t{-1};
            value = value * 10 + (c - '0');
        }
        return value;
    };
    const bool has_day = text.size() == 10;
    if ((text.size() != 7 && !has_day) || text[4] != '-' || (has_day && text[7] != '-'))
        return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not a date", excerpt(text)));
    const std::int64_t year = number(0, 4), month = number(5, 2), day = has_day ? number(8, 2) : 1;
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > 31)
        return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not a date", excerpt(text)));
    return Instant{days_of(year, month, day) * 86'400'000'000'000};
}

Result<canon::Meter> parse_meter(std::string_view name) {
    for (std::size_t m = 0; m < canon::kMeterCount; ++m)
        if (canon::meter_name(static_cast<canon::Meter>(m)) == name)
            return static_cast<canon::Meter>(m);
    return fail(ErrorCode::kInvalidField, fmt::format("'{}' is not a meter", excerpt(name)));
}

/// One `R` line: what its rates share, then `meter=price` pairs. Appends to `rates`.
Status parse_rates(std::span<const std::string_view> fields, std::vector<Rate>& rates) {
    Rate rate;
    const auto tier = parse_tier(fields[1]);
    if (!tier)
        return fail(
            ErrorCode::kInvalidField, fmt::format("'{}' is not a tier", excerpt(fields[1])));
    rate.tier = *tier;
    ENTREPOT_TRY(rate.ctx_over, parse_count(fields[2]));
    ENTREPOT_TRY(rate.from, parse_day(fields[3], kBeginning));
    ENTREPOT_TRY(rate.to, parse_day(fields[4], kForever));
    ENTREPOT_TRY(rate.seen, parse_day(fields[5], kBeginning));
    rate.sources = fields[6];
    std::string_view pairs = fields[7];
    while (!pairs.empty()) {
        const auto space = pairs.find(' ');
        const std::string_view pair = pairs.substr(0, space);
        pairs.remove_prefix(space == std::string_view::npos ? pairs.size() : space + 1);
        const auto equals = pair.find('=');
        if (equals == std::string_view::npos)
            return fail(
                ErrorCode::kInvalidField, fmt::format("'{}' is not meter=price", excerpt(pair)));
        ENTREPOT_TRY(rate.meter, parse_meter(pair.substr(0, equals)));
        ENTREPOT_TRY(rate.price, UnitPrice::parse_per_million(pair.substr(equals + 1)));
        rates.push_back(rate);
    }
    return {};
}

}  // namespace

Result<Catalog> Catalog::parse(std::string_view text) {
    Catalog catalog;
    catalog.offers_.reserve(4096);
    catalog.rates_.reserve(16'384);
    catalog.models_.reserve(2048);
    std::array<std::string_view, 11> f;
    std::size_t line_number = 0;

    const auto add = [&](char kind, std::size_t count) -> Status {
        const auto wants = [&](std::size_t wanted) -> Status {
            if (count == wanted) return {};
            return fail(ErrorCode::kInvalidField,
                fmt::format("a record '{}' has {} fields, not {}", kind, wanted, count));
        };
        switch (kind) {
            case 'S':
                ENTREPOT_TRY_DO(wants(7));
                catalog.sources_.push_back({f[1], f[2], f[3], f[4], f[5], f[6]});
                return {};
            case 'U': {
                ENTREPOT_TRY_DO(wants(6));
                ENTREPOT_TRY(const Ratio factor, Ratio::parse(f[5]));
                catalog.uplifts_.push_back({f[1], f[2], f[3], f[4], factor});
                return {};
            }
            case 'V':
                ENTREPOT_TRY_DO(wants(7));
                catalog.availability_.push_back({f[1], f[2], f[3], f[4], f[5], f[6]});
                return {};
            case 'M': {
                ENTREPOT_TRY_DO(wants(4));
                ModelFacts model{f[1], 0, 0};
                ENTREPOT_TRY(model.context_tokens_max, parse_count(f[2]));
                ENTREPOT_TRY(model.output_tokens_max, parse_count(f[3]));
                catalog.models_.push_back(model);
                return {};
            }
            case 'O': {
                ENTREPOT_TRY_DO(wants(11));
                Offer offer{f[1], f[2], f[3], f[4], f[5], f[6], 0, f[8], f[9], f[10]};
                ENTREPOT_TRY(offer.context_tokens, parse_count(f[7]));
                offer.first_rate = static_cast<std::uint32_t>(catalog.rates_.size());
                catalog.offers_.push_back(offer);
                return {};
            }
            case 'B': {
                ENTREPOT_TRY_DO(wants(9));
                SellerMeter meter{f[1], f[2], f[3], f[4], f[5]};
                const auto tier = parse_tier(f[6]);
                if (!tier)
                    return fail(
                        ErrorCode::kInvalidField, fmt::format("'{}' is not a tier", excerpt(f[6])));
                meter.tier = *tier;
                ENTREPOT_TRY(meter.ctx_over, parse_count(f[7]));
                ENTREPOT_TRY(meter.meter, parse_meter(f[8]));
                catalog.meters_.push_back(meter);
                return {};
            }
            case 'R': {
                ENTREPOT_TRY_DO(wants(8));
                if (catalog.offers_.empty())
                    return fail(ErrorCode::kInvalidField, "rates stand before any offer");
                ENTREPOT_TRY_DO(parse_rates(f, catalog.rates_));
                Offer& offer = catalog.offers_.back();
                offer.rate_count =
                    static_cast<std::uint32_t>(catalog.rates_.size()) - offer.first_rate;
                return {};
            }
            default:
                return fail(
                    ErrorCode::kInvalidField, fmt::format("unknown record '{}'", excerpt(f[0])));
        }
    };

    while (!text.empty()) {
        const auto end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++line_number;
        if (line.empty() || line.front() == '#') continue;
        const std::size_t count = fields_of(line, f);
        const Status added = add(f[0].size() == 1 ? f[0].front() : '?', count);
        if (!added)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("price catalogue, line {}: {}", line_number, added.error().message));
    }
    catalog.build_indexes();
    return catalog;
}

}  // namespace entrepot::catalog
