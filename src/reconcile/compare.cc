#include "reconcile/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "base/check.h"
#include "base/text.h"
#include "reconcile/bill_time.h"
#include "reconcile/cells.h"
#include "reconcile/columns.h"
#include "reconcile/names.h"
#include "reconcile/seen.h"

namespace entrepot::reconcile {
namespace {

constexpr std::size_t kFindingsMax = 100;
constexpr std::size_t kNameBytesMax = 120;
constexpr std::string_view kByValue = "(by value)";

Span span_of(const Period& at) {
    const std::int64_t length = at.end.ns - at.begin.ns;
    if (length <= kHourNs) return Span::kHour;
    return length <= kDayNs ? Span::kDay : Span::kLonger;
}

std::int64_t floor_to(std::int64_t ns, std::int64_t unit) {
    const std::int64_t rest = ns % unit;
    return ns - (rest < 0 ? rest + unit : rest);
}

/// Reasoning is a part of the output, which the books may price apart and no bill does.
std::uint8_t metered(Meter meter) {
    return static_cast<std::uint8_t>(meter == Meter::kReasoning ? Meter::kOutput : meter);
}

/// Which attributes of a model's lines the bill states on every one of them.
struct Told {
    bool meter = true, tier = true, is_long = true, region = true;
    std::set<std::string> regions;
};

struct Key {
    std::uint32_t series = 0;
    Span span = Span::kHour;
    std::int64_t begin = 0;
    friend bool operator==(const Key&, const Key&) = default;
};

struct KeyHash {
    std::size_t operator()(const Key& key) const {
        return std::hash<std::int64_t>{}(key.begin / kHourNs * 3 + std::int64_t(key.span)) ^
            (std::size_t{key.series} * 0x9E37'79B9'7F4A'7C15ULL);
    }
};

/// Numbers of distinct series.
class SeriesTable {
public:
    std::uint32_t number(Series series) {
        const auto [at, is_new] =
            numbers_.emplace(std::move(series), static_cast<std::uint32_t>(numbers_.size()));
        if (is_new) all_.push_back(&at->first);
        return at->second;
    }
    [[nodiscard]] const Series& operator[](std::uint32_t number) const { return *all_[number]; }

private:
    std::map<Series, std::uint32_t> numbers_;
    std::vector<const Series*> all_;
};

}  // namespace

void BilledSums::operator+=(const BilledSums& other) {
    quantity_pico += other.quantity_pico;
    plain_pico += other.plain_pico;
    cost += other.cost;
    twice_pico += other.twice_pico;
    twice_cost += other.twice_cost;
    twice_lines += other.twice_lines;
    if (twice_line == 0) twice_line = other.twice_line;
    lines += other.lines;
    if (line == 0 || (other.line != 0 && other.line < line)) line = other.line;
    has_cost = has_cost || other.has_cost;
    has_quantity = has_quantity || other.has_quantity;
    has_plain = has_plain || other.has_plain;
}

void BookedSums::operator+=(const BookedSums& other) {
    quantity_pico += other.quantity_pico;
    cost += other.cost;
    charges += other.charges;
    lines += other.lines;
    is_unverified = is_unverified || other.is_unverified;
    is_estimated = is_estimated || other.is_estimated;
    if (!other.offer.empty() && (offer.empty() || other.offer < offer)) {
        cloud = other.cloud;
        offer = other.offer;
    }
}

struct Comparison::State {
    explicit State(CompareOptions with)
        : options(std::move(with)), identities(options.repeats_max) {}

    CompareOptions options;
    SeriesTable bill_series, booked_series;
    std::unordered_map<const Sku*, std::unordered_map<std::string, std::uint32_t>> of_sku;
    std::unordered_map<Key, std::pair<BilledSums, std::int64_t>, KeyHash> billed;  // and the end
    std::unordered_map<Key, BookedSums, KeyHash> booked;
    Seen identities;
    std::unordered_map<std::string, std::string> canonical;  // names that the books use
    std::optional<Currency> currency;
    std::uint64_t currency_line = 0;
    std::optional<Period> stated;  // of the bill
    Instant first{INT64_MAX}, last{INT64_MIN};
    std::vector<Adjustment> posted;
    std::map<std::pair<std::string, std::int64_t>, Money> taken_off;  // by seller and day
    Report report;
    Differences differences;

    [[nodiscard]] Result<Money> converted(const BillLine& line);
    [[nodiscard]] Status add_usage(const BillLine& line, Money cost);
    void add_credit(const BillLine& line, Money cost);
    [[nodiscard]] std::uint32_t series_of(const BillLine& line);
    [[nodiscard]] std::unexpected<Error> too_many() const;
    [[nodiscard]] Period period() const;
    void find(std::uint64_t line, std::string text);
    void note_facts(const BillFacts& facts);
    void note_overlaps();
    void note_gaps(Grid& grid);
    [[nodiscard]] Money priced(const Grid& grid, const Cell& cell);
    [[nodiscard]] Grid grid();
};

std::unexpected<Error> Comparison::State::too_many() const {
    return fail(ErrorCode::kInvalidField,
        fmt::format(
            "more than {} pairs of SKU and hour; reconcile shorter periods", options.cells_max));
}

void Comparison::State::find(std::uint64_t line, std::string text) {
    if (report.findings.size() < kFindingsMax) report.findings.push_back({line, std::move(text)});
}

Result<Money> Comparison::State::converted(const BillLine& line) {
    if (!line.cost) return Money{};
    if (currency && *currency != *line.currency)
        return fail(ErrorCode::kInvalidField,
            fmt::format("line {} is in {} and line {} in {}; split the bill by currency, or export "
                        "it in one",
                line.line, line.currency->code(), currency_line, currency->code()));
    if (!currency) {
        currency = *line.currency;
        currency_line = line.line;
        if (*currency != options.currency && !options.exchange)
            return fail(ErrorCode::kInvalidField,
                fmt::format("line {} is in {}, and the books are in {}; export the bill in {}, or "
                            "give the rate of exchange",
                    line.line, currency->code(), options.currency.code(), options.currency.code()));
    }
    if (*currency == options.currency) return *line.cost;
    const Ratio& rate = *options.exchange;
    Int128 product = 0;
    if (__builtin_mul_overflow(line.cost->pico(), static_cast<Int128>(rate.numerator), &product))
        return fail(ErrorCode::kInvalidField,
            fmt::format("line {}: its cost is too large to convert", line.line));
    // Once per line; a half away from zero, as banks convert.
    const Int128 whole = product / rate.denominator;
    const Int128 rest = magnitude(product % rate.denominator);
    const bool is_up = rest * 2 >= rate.denominator;
    return Money::from_pico(is_up ? whole + (product < 0 ? -1 : 1) : whole);
}

std::uint32_t Comparison::State::series_of(const BillLine& line) {
    // SKUs live as long as the reader, and there are few of them.
    auto& numbers = of_sku[line.sku];
    const Sku& sku = *line.sku;
    const bool is_named = sku.meter || sku.is_consumption_unit || !sku.model.empty();
    std::string what = is_named ? std::string() : excerpt(line.sku_name, 120);
    if (const auto at = numbers.find(what); at != numbers.end()) return at->second;
    Series series;
    // Names come from the file, and go to terminals.
    series.seller = excerpt(line.seller, kNameBytesMax);
    series.model =
        sku.is_consumption_unit ? std::string(kByValue) : excerpt(sku.model, kNameBytesMax);
    if (sku.meter) series.meter = metered(*sku.meter);
    if (sku.tier && sku.meter) series.tier = static_cast<std::uint8_t>(*sku.tier);
    if (sku.is_long && sku.meter) series.is_long = *sku.is_long ? 1 : 0;
    if (sku.meter) series.region = sku.region;
    series.sku = what;
    return numbers.emplace(what, bill_series.number(std::move(series))).first->second;
}

Status Comparison::State::add_usage(const BillLine& line, Money cost) {
    ++report.bill_lines;
    const Span span = span_of(line.at);
    const Key key{
        series_of(line), span, floor_to(line.at.begin.ns, span == Span::kDay ? kDayNs : kHourNs)};
    if (billed.size() >= options.cells_max && !billed.contains(key)) return too_many();
    auto& [sums, end] = billed[key];
    end = std::max(end, line.at.end.ns);
    BilledSums added;
    added.lines = 1;
    added.line = line.line;
    added.cost = cost;
    added.has_cost = line.cost.has_value();
    if (line.quantity_pico) {
        (added.has_cost ? added.quantity_pico : added.plain_pico) = *line.quantity_pico;
        (added.has_cost ? added.has_quantity : added.has_plain) = true;
    }
    const bool is_new = identities.add(line.identity);
    if (!is_new) {
        added.twice_lines = 1;
        added.twice_line = line.line;
        added.twice_cost = cost;
        added.twice_pico = line.quantity_pico.value_or(0);
    }
    sums += added;
    first = std::min(first, line.at.begin);
    last = std::max(last, line.at.end);
    return {};
}

void Comparison::State::add_credit(const BillLine& line, Money cost) {
    ++report.bill_lines;
    report.billed += cost;
    Difference difference;
    const bool is_correction = line.category == Category::kAdjustment && !cost.is_negative();
    difference.type = is_correction ? Type::kLate : Type::kCredit;
    // Less than a cent that a seller adds to make a sum come out.
    if (line.category == Category::kAdjustment && magnitude(cost.pico()) < 10'000'000'000)
        difference.type = Type::kRounding;
    difference.seller = excerpt(line.seller, kNameBytesMax);
    difference.model = excerpt(line.sku->model, kNameBytesMax);
    if (line.sku->meter) difference.meter = std::string(canon::meter_name(*line.sku->meter));
    difference.at = line.at;
    difference.amount = cost;
    difference.line = line.line;
    const std::string name = excerpt(line.sku_name.empty() ? "no name" : line.sku_name, 120);
    difference.why = is_correction
        ? fmt::format("the seller corrected earlier usage ({})", name)
        : fmt::format("{} '{}'",
              difference.type == Type::kRounding ? "the seller rounded its own sum"
                                                 : "the seller "
                                                   "granted",
              name);
    const std::string key = fmt::format("c{}{}{}{}{}", static_cast<int>(difference.type),
        line.seller, name, difference.model, difference.meter);
    differences.add(key, std::move(difference), 1);
}

Comparison::Comparison(CompareOptions options)
    : state_(std::make_unique<State>(std::move(options))) {}
Comparison::~Comparison() = default;

Status Comparison::add(const BillLine& line) {
    State& state = *state_;
    ENTREPOT_TRY(const Money cost, state.converted(line));
    if (line.category == Category::kPurchase) {
        state.report.purchases += cost;
        return {};
    }
    if (line.category == Category::kTax) {
        state.report.taxes += cost;
        return {};
    }
    if (!line.sku->is_model_use) {
        state.report.other_services += cost;
        return {};
    }
    if (line.billing) {
        if (!state.stated) state.stated = line.billing;
        state.stated->begin = std::min(state.stated->begin, line.billing->begin);
        state.stated->end = std::max(state.stated->end, line.billing->end);
    }
    if (line.category == Category::kUsage) return state.add_usage(line, cost);
    state.add_credit(line, cost);
    return {};
}

Status Comparison::add(const BookedLine& line) {
    State& state = *state_;
    Series series;
    series.seller = std::string(line.seller);
    const std::string_view name = line.model.empty() ? line.provider_model_id : line.model;
    auto [known, is_new] = state.canonical.try_emplace(std::string(name));
    if (is_new) known->second = ModelNames::embedded().canonical(name);
    series.model = known->second;
    if (line.meter) {
        series.meter = metered(*line.meter);
        series.tier = static_cast<std::uint8_t>(line.tier);
        series.is_long = line.ctx_over > 0 ? 1 : 0;
        series.region = std::string(line.region);
    } else {
        series.sku = fmt::format("{}, usage not known", series.model);
    }
    const Key key{state.booked_series.number(std::move(series)), Span::kHour,
        floor_to(line.hour.ns, kHourNs)};
    if (state.booked.size() >= state.options.cells_max && !state.booked.contains(key))
        return state.too_many();
    BookedSums added;
    added.quantity_pico = Int128{line.quantity} * 1'000'000'000'000;
    added.cost = line.contracted;
    added.charges = line.charges;
    added.lines = 1;
    added.is_unverified = line.is_unverified;
    added.is_estimated = line.is_estimated;
    BookedSums& sums = state.booked[key];
    if (sums.lines == 0 || line.offer < sums.offer) {
        added.cloud = std::string(line.cloud);
        added.offer = std::string(line.offer);
    }
    sums += added;
    return {};
}

Period Comparison::State::period() const {
    if (options.period) return *options.period;
    if (stated) return *stated;
    return {Instant{floor_to(first.ns, kDayNs)}, Instant{floor_to(last.ns - 1, kDayNs) + kDayNs}};
}

void Comparison::State::note_facts(const BillFacts& facts) {
    report.has_costs = facts.has_costs;
    report.has_quantities = facts.has_quantities;
    if (facts.rounded_amounts > 0)
        find(0,
            fmt::format("{} numbers had more than 12 decimals and were rounded to the 12th",
                facts.rounded_amounts));
    if (!facts.unknown_columns.empty()) {
        std::string names;
        for (std::size_t i = 0; i < std::min<std::size_t>(facts.unknown_columns.size(), 8); ++i)
            names += fmt::format("{}{}", i == 0 ? "" : ", ", facts.unknown_columns[i]);
        find(1,
            fmt::format("{} columns are not read: {}{}", facts.unknown_columns.size(), names,
                facts.unknown_columns.size() > 8 ? ", ..." : ""));
    }
    if (facts.is_cut_short)
        find(0,
            "the answer has further pages (`has_more`) that are not in the file; fetch them "
            "too, or what they hold is missing here");
    if (!facts.has_costs)
        find(0, "the file has quantities without money; they are priced as the books price them");
    if (!facts.has_quantities)
        find(0, "the file has money without quantities; rates can only be guessed from it");
}

/// A day's line beside lines of its hours is most likely two exports in one file.
void Comparison::State::note_overlaps() {
    std::set<std::pair<std::uint32_t, std::int64_t>> days;
    // Usage and costs may come as two files, of hours and of days.
    for (const auto& [key, entry] : billed)
        if (key.span == Span::kHour && entry.first.has_cost)
            days.emplace(key.series, floor_to(key.begin, kDayNs));
    std::uint64_t count = 0, line = 0;
    std::uint32_t twice = 0;
    std::uint64_t twice_line = 0;
    for (const auto& [key, entry] : billed) {
        const BilledSums& sums = entry.first;
        twice += sums.twice_lines;
        if (sums.twice_lines > 0 && (twice_line == 0 || sums.twice_line < twice_line))
            twice_line = sums.twice_line;
        if (key.span != Span::kDay || !sums.has_cost) continue;
        if (!days.contains({key.series, key.begin})) continue;
        ++count;
        if (line == 0 || sums.line < line) line = sums.line;
    }
    if (identities.is_full())
        find(0,
            fmt::format(
                "repeated lines were looked for among the first {} alone", options.repeats_max));
    if (count > 0)
        find(line,
            fmt::format("{} lines bill a whole day of which single hours are billed too; do "
                        "two exports overlap?",
                count));
    if (twice > 0)
        find(twice_line,
            fmt::format("{} lines say the same as a line before; do two exports "
                        "overlap?",
                twice));
}

/// Both sides at the finest common grain: attributes that the bill does not tell of a model, or
/// regions that the two sides name differently, are left out for it.
Grid Comparison::State::grid() {
    const Period within = period();
    std::map<std::string, Span> spans;
    std::map<std::pair<std::string, std::string>, Told> told;
    std::map<std::string, bool> has_models;
    std::set<std::pair<std::string, std::uint8_t>> shared;  // meters billed for all models at once
    for (const auto& [key, entry] : billed) {
        const Series& series = bill_series[key.series];
        // What is not metered has no say in it: a fee of a month would hide the hours.
        Span& span = spans.try_emplace(series.seller, Span::kHour).first->second;
        if (series.sku.empty()) span = std::max(span, key.span);
        bool& has_model = has_models[series.seller];
        has_model = has_model || (!series.model.empty() && series.sku.empty());
        if (series.model.empty() && series.meter != kAny)
            shared.emplace(series.seller, series.meter);
        Told& of = told[{series.seller, series.model}];
        of.meter = of.meter && series.meter != kAny;
        of.tier = of.tier && series.tier != kAny;
        of.is_long = of.is_long && series.is_long != kAny;
        of.region = of.region && !series.region.empty();
        of.regions.insert(series.region);
    }
    std::map<std::pair<std::string, std::string>, std::set<std::string>> booked_regions;
    std::map<std::pair<std::uint32_t, std::int64_t>, Cell> cells;
    SeriesTable joined;
    // Claude is what sellers bill by value.
    const auto by_value = [&](const Series& series) {
        return told.contains({series.seller, std::string(kByValue)}) &&
            (series.model == kByValue || series.model.find("claude") != std::string::npos);
    };
    for (const auto& [key, sums] : booked)
        booked_regions[{booked_series[key.series].seller, booked_series[key.series].model}].insert(
            booked_series[key.series].region);
    const auto join = [&](Series series) {
        if (shared.contains({series.seller, series.meter}))
            series = Series{series.seller, {}, series.meter};
        const auto at = told.find({series.seller, series.model});
        if (by_value(series)) {
            series = Series{series.seller, std::string(kByValue)};
        } else if (!has_models[series.seller]) {
            // Nothing names a model: all of it is one sum.
            series = Series{series.seller};
        } else if (at != told.end()) {
            const Told& of = at->second;
            if (!of.meter) series.meter = kAny;
            if (!of.tier) series.tier = kAny;
            if (!of.is_long) series.is_long = kAny;
            const auto regions = booked_regions.find(at->first);
            const bool agree =
                of.region && regions != booked_regions.end() && regions->second == of.regions;
            if (!agree) series.region.clear();
        }
        return joined.number(std::move(series));
    };
    const auto place = [&](const std::string& seller, std::int64_t begin, std::int64_t end) {
        switch (spans[seller]) {
            case Span::kHour: return Period{Instant{begin}, Instant{begin + kHourNs}};
            case Span::kDay: {
                const std::int64_t day = floor_to(begin, kDayNs);
                return Period{Instant{day}, Instant{day + kDayNs}};
            }
            case Span::kLonger: break;
        }
        (void)end;
        return within;
    };
    const auto is_out = [&](const Key& key, std::int64_t end) {
        return key.begin >= within.end.ns || end <= within.begin.ns;
    };
    std::map<std::pair<std::string, std::int64_t>, Money> outside;
    for (const auto& [key, entry] : billed)
        if (is_out(key, entry.second))
            outside[{bill_series[key.series].seller, floor_to(key.begin, kDayNs)}] +=
                entry.first.cost;
    for (const auto& [key, entry] : billed) {
        const Series& series = bill_series[key.series];
        const bool is_outside = is_out(key, entry.second);
        report.billed += entry.first.cost;
        if (is_outside) {
            Difference late;
            late.type = Type::kLate;
            late.seller = series.seller;
            late.model = series.model;
            if (series.meter != kAny)
                late.meter = std::string(canon::meter_name(Meter(series.meter)));
            late.at = {Instant{key.begin}, Instant{entry.second}};
            late.quantity_pico = entry.first.quantity_pico;
            late.amount = entry.first.cost;
            late.line = entry.first.line;
            // It is booked on its day, unless that was taken back.
            const std::pair day(series.seller, floor_to(key.begin, kDayNs));
            const auto taken = taken_off.find(day);
            late.is_pending = taken == taken_off.end() || taken->second < outside.at(day);
            late.why = fmt::format("{} of {} is on this bill, which is of {}", series_text(series),
                period_text(late.at), period_text(within));
            differences.add({}, std::move(late), entry.first.lines);
            continue;
        }
        const std::uint32_t number = join(series);
        const Period at = place(series.seller, key.begin, entry.second);
        Cell& cell = cells[{number, at.begin.ns}];
        cell.series = number;
        cell.at = at;
        cell.billed += entry.first;
    }
    std::uint64_t unbilled = 0;
    for (const auto& [key, sums] : booked) {
        const Series& series = booked_series[key.series];
        if (!spans.contains(series.seller)) {
            ++unbilled;
            continue;
        }
        if (key.begin < within.begin.ns || key.begin >= within.end.ns) continue;
        const std::uint32_t number = join(series);
        const Period at = place(series.seller, key.begin, key.begin + kHourNs);
        Cell& cell = cells[{number, at.begin.ns}];
        cell.series = number;
        cell.at = at;
        cell.booked += sums;
        report.booked += sums.cost;
    }
    if (unbilled > 0)
        find(0,
            fmt::format("{} hours of other sellers in the books were left out: the bill has "
                        "none of theirs",
                unbilled));
    Grid grid;
    grid.late_ns = options.late_days * kDayNs;
    if (options.as_of) grid.still_due = *options.as_of - nanoseconds(grid.late_ns);
    grid.cells.reserve(cells.size());
    std::uint32_t count = 0;
    for (const auto& [at, cell] : cells) count = std::max(count, at.first + 1);
    for (std::uint32_t i = 0; i < count; ++i) grid.series.push_back(joined[i]);
    for (auto& [at, cell] : cells) grid.cells.push_back(std::move(cell));
    return grid;
}

/// What a quantity without money costs at the books' price of the same hour, else of the series.
Money Comparison::State::priced(const Grid& grid, const Cell& cell) {
    if (cell.billed.quantity_pico == cell.booked.quantity_pico) return cell.booked.cost;
    BookedSums sums = cell.booked;
    if (sums.quantity_pico == 0)
        for (const Cell& other : std::ranges::equal_range(
                 grid.cells, cell.series, {}, [](const Cell& c) { return c.series; }))
            sums += other.booked;
    const auto rate = rate_of(sums.cost, sums.quantity_pico);
    const auto cost = rate ? money_of(cell.billed.quantity_pico, *rate) : std::nullopt;
    if (!cost)
        find(cell.billed.line,
            fmt::format("{} has no price in the books, and the file none either: its amount is not "
                        "known and counts as nothing",
                series_text(grid.series[cell.series])));
    return cost.value_or(Money{});
}

/// Times at which the books have a seller's usage and the bill has nothing at all of it.
void Comparison::State::note_gaps(Grid& grid) {
    std::map<std::pair<std::string, std::int64_t>, std::pair<Period, bool>> times;
    for (const Cell& cell : grid.cells) {
        const auto key = std::pair(grid.series[cell.series].seller, cell.at.begin.ns);
        auto& [at, is_billed] = times.try_emplace(key, cell.at, false).first->second;
        is_billed = is_billed || cell.billed.lines > 0;
    }
    for (Cell& cell : grid.cells)
        cell.is_gap = !times.at({grid.series[cell.series].seller, cell.at.begin.ns}).second;
    std::string_view seller;
    Period gap;
    const auto tell = [&] {
        if (gap.end.ns > gap.begin.ns)
            find(0,
                fmt::format("{} billed nothing from {} to {}, where the books have usage; is "
                            "the export complete?",
                    seller, to_rfc3339(gap.begin), to_rfc3339(gap.end)));
        gap = Period{};
    };
    for (const auto& [key, time] : times) {
        if (time.second || key.first != seller) tell();
        seller = key.first;
        if (time.second) continue;
        if (gap.end.ns == 0) gap.begin = time.first.begin;
        gap.end = time.first.end;
    }
    tell();
}

void Comparison::add_taken_off(const Adjustment& posted) {
    state_->taken_off[{posted.seller, floor_to(posted.day.ns, kDayNs)}] -= posted.amount;
}

void Comparison::add_posted(const Adjustment& posted) { state_->posted.push_back(posted); }

void Comparison::set_as_of(Instant exported) { state_->options.as_of = exported; }

Comparison::Wanted Comparison::wanted() const {
    Wanted wanted;
    if (state_->report.bill_lines == 0) return wanted;
    std::set<std::string> sellers;
    for (const auto& [key, entry] : state_->billed)
        sellers.insert(state_->bill_series[key.series].seller);
    wanted.sellers.assign(sellers.begin(), sellers.end());
    if (state_->first.ns != INT64_MAX || state_->stated || state_->options.period)
        wanted.period = state_->period();
    wanted.last = state_->last;
    return wanted;
}

Result<Report> Comparison::finish(const BillFacts& facts) {
    State& state = *state_;
    if (state.report.bill_lines == 0)
        return fail(ErrorCode::kInvalidField,
            "the bill has no line of a model service; is it of another account or product?");
    // Credits alone, of no stated month.
    if (state.first.ns == INT64_MAX && !state.stated && !state.options.period)
        return fail(ErrorCode::kInvalidField,
            "the bill has credits alone and does not say of which month; give its period");
    Report& report = state.report;
    report.currency = state.options.currency;
    report.period = state.period();
    state.note_facts(facts);
    state.note_overlaps();
    Grid grid = state.grid();
    state.note_gaps(grid);
    Int128 unit = 1'000'000'000'000;
    for (int i = 0; i < std::min<int>(facts.cost_decimals_max, 12); ++i) unit /= 10;
    grid.cost_unit = Money::from_pico(unit);
    for (Cell& cell : grid.cells) {
        BilledSums& billed = cell.billed;
        const BookedSums& booked = cell.booked;
        if (!billed.has_quantity && billed.has_plain) billed.quantity_pico = billed.plain_pico;
        cell.has_quantity = billed.has_quantity || billed.has_plain || billed.lines == 0;
        if (!facts.has_quantities || grid.series[cell.series].meter == kAny)
            cell.has_quantity = false;
        if (!facts.has_costs && billed.lines > 0) {
            billed.cost = state.priced(grid, cell);
            report.billed += billed.cost;
        }
        cell.dq = cell.has_quantity ? billed.quantity_pico - booked.quantity_pico : 0;
        cell.dm = billed.cost - booked.cost;
        ++report.cells;
        if (cell.dq == 0 && cell.dm.is_zero()) ++report.cells_equal;
    }
    explain(grid, state.differences);
    state.differences.give(report, state.options, state.posted);
    Money explained;
    for (const TypeTotal& total : report.totals) explained += total.amount;
    ENTREPOT_CHECK(report.billed == report.booked + explained);
    return std::move(report);
}

}  // namespace entrepot::reconcile
