// What is booked, at other rates: what it would come to, and what is posted of it.
#include "control/late_rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "control/routes.h"
#include "control/stored_rates.h"
#include "crypto/hash.h"
#include "pricing/price.h"

namespace entrepot::control {
namespace {

using contracts::OwnRate;

constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
/// So many lines are looked at before the books' owner sees to its other work.
constexpr std::size_t kAtOnce = 200;

/// The offers under some own rates.
class Cards {
public:
    static Result<Cards> of(Backend& backend, std::span<const OwnRate> rates) {
        ENTREPOT_TRY(routing::OfferTable table, backend.offers_with(rates));
        return Cards(std::move(table));
    }
    [[nodiscard]] const pricing::RateCard* find(std::string_view offer) const {
        const auto found = by_name_.find(offer);
        return found == by_name_.end() ? nullptr : found->second;
    }

private:
    explicit Cards(routing::OfferTable table)
        : table_(std::make_unique<routing::OfferTable>(std::move(table))) {
        for (std::uint32_t i = 0; i < table_->size(); ++i)
            by_name_[table_->offer(i).id.view()] = table_->offer(i).card.get();
    }
    std::unique_ptr<routing::OfferTable> table_;
    std::map<std::string_view, const pricing::RateCard*> by_name_;
};

/// The rates on top of `known`, each price higher by `more` pico-units.
std::vector<OwnRate> on_top(
    std::span<const OwnRate> known, std::span<const OwnRate> rates, std::int64_t more) {
    std::vector<OwnRate> all(known.begin(), known.end());
    std::int64_t number = 0;
    for (const OwnRate& rate : all) number = std::max(number, rate.number);
    for (OwnRate rate : rates) {
        rate.number = ++number;
        for (auto& [meter, price] : rate.prices)
            price = UnitPrice::from_pico(
                price.pico() < INT64_MAX - more ? price.pico() + more : price.pico() - more);
        all.push_back(std::move(rate));
    }
    return all;
}

/// Prices lines anew. A line is the rates' own when a change of theirs would change it.
class Reckoner {
public:
    static Result<Reckoner> make(Backend& backend, std::span<const OwnRate> target,
        std::span<const OwnRate> known, std::span<const OwnRate> rates) {
        ENTREPOT_TRY(Cards now, Cards::of(backend, target));
        ENTREPOT_TRY(Cards low, Cards::of(backend, on_top(known, rates, 0)));
        ENTREPOT_TRY(Cards high, Cards::of(backend, on_top(known, rates, 1)));
        ENTREPOT_TRY(Cards bare, Cards::of(backend, {}));
        return Reckoner(std::move(now), std::move(low), std::move(high), std::move(bare), rates);
    }

    enum class Say : std::uint8_t { kNotTheirs, kUntold, kPriced };
    struct Line {
        Say say = Say::kNotTheirs;
        Money cost, list;
        std::string version;
    };
    /// Errors: kOverflow.
    [[nodiscard]] Result<Line> reckon(std::string_view offer, const store::DayCharge& row) const {
        Line line;
        // What was dispatched in a closed month keeps what it cost there.
        if (row.is_moved || row.meter >= canon::kMeterCount) return line;
        const Instant at{row.day * kDayNs};
        const auto tier = static_cast<catalog::Tier>(row.dimensions.tier);
        const pricing::LineAt place{
            tier, row.dimensions.ctx_over, static_cast<canon::Meter>(row.meter), row.quantity};
        const pricing::RateCard* const card = now_.find(offer);
        if (card == nullptr || row.quantity < 0) return line;
        ENTREPOT_TRY(const bool is_too_coarse, parts(offer, tier, place, at));
        ENTREPOT_TRY(const bool is_theirs, prices(offer, place, at));
        if (!is_too_coarse && !is_theirs) return line;
        line.say = Say::kUntold;
        const Instant last{at.ns + kDayNs - 1};
        ENTREPOT_TRY(const pricing::ChargeLine priced, pricing::price_line(place, *card, at));
        if (is_too_coarse || !priced.is_known || priced.is_stepped ||
            card->at(at) != card->at(last))
            return line;
        line.say = Say::kPriced;
        line.cost = priced.cost;
        line.list = priced.is_list_known ? priced.list : priced.cost;
        line.version = std::string(card->at(at)->version.view());
        return line;
    }

private:
    Reckoner(Cards now, Cards low, Cards high, Cards bare, std::span<const OwnRate> rates)
        : now_(std::move(now)),
          low_(std::move(low)),
          high_(std::move(high)),
          bare_(std::move(bare)),
          rates_(rates) {}

    /// Whether a unit there would cost something else if the rates said so.
    [[nodiscard]] Result<bool> prices(
        std::string_view offer, pricing::LineAt line, Instant at) const {
        const pricing::RateCard* const low = low_.find(offer);
        const pricing::RateCard* const high = high_.find(offer);
        if (low == nullptr || high == nullptr) return low != high;
        line.quantity = 1;
        ENTREPOT_TRY(const pricing::ChargeLine a, pricing::price_line(line, *low, at));
        ENTREPOT_TRY(const pricing::ChargeLine b, pricing::price_line(line, *high, at));
        return a.price != b.price || a.list_price != b.list_price || a.is_known != b.is_known;
    }

    /// Whether the rates are about a part of the line that the books do not tell: they part prompts
    /// by length where the list does not, or reasoning from the rest of the answer.
    [[nodiscard]] Result<bool> parts(
        std::string_view offer, catalog::Tier tier, const pricing::LineAt& line, Instant at) const {
        const pricing::RateCard* const bare = bare_.find(offer);
        const pricing::RateCard::Epoch* const epoch = bare == nullptr ? nullptr : bare->at(at);
        for (const OwnRate& rate : rates_) {
            if (rate.tier != tier || !contracts::matches(rate.offer, offer)) continue;
            if (line.meter == canon::Meter::kOutput &&
                std::ranges::any_of(rate.prices,
                    [](const auto& price) { return price.first == canon::Meter::kReasoning; }))
                return true;
            const bool is_parted =
                epoch != nullptr && std::ranges::any_of(epoch->tier(tier), [&](const auto& band) {
                    return line.ctx_over < band.ctx_over && band.ctx_over <= rate.prompts_over;
                });
            if (rate.prompts_over <= line.ctx_over || is_parted) continue;
            pricing::LineAt above = line;
            above.ctx_over = rate.prompts_over;
            ENTREPOT_TRY(const bool is_theirs, prices(offer, above, at));
            if (is_theirs) return true;
        }
        return false;
    }

    Cards now_, low_, high_, bare_;
    std::span<const OwnRate> rates_;
};

/// The books' names, each asked for once.
class Names {
public:
    explicit Names(Backend& backend) : backend_(backend) {}
    const std::string& of(ledger::NameId id) {
        const auto [slot, is_new] = known_.try_emplace(id);
        if (is_new)
            slot->second = ask<std::string>(
                backend_, [&](store::Books& books) { return std::string(books.name_of(id)); });
        return slot->second;
    }

private:
    Backend& backend_;
    std::map<ledger::NameId, std::string> known_;
};

/// The offers that the rates are about, as the books name them.
Result<std::vector<ledger::NameId>> offers_of(Backend& backend, std::span<const OwnRate> rates) {
    std::vector<std::string> names;
    const routing::OfferTable& table = backend.offers();
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        const std::string& name = table.offer(i).id.str();
        if (std::ranges::any_of(
                rates, [&](const OwnRate& rate) { return contracts::matches(rate.offer, name); }))
            names.push_back(name);
    }
    return ask<Result<std::vector<ledger::NameId>>>(
        backend, [&](store::Books& books) -> Result<std::vector<ledger::NameId>> {
            std::vector<ledger::NameId> ids;
            for (const std::string& name : names) {
                ENTREPOT_TRY(const ledger::NameId id, books.name(name));
                ids.push_back(id);
            }
            return ids;
        });
}

/// The days on which one of the rates applies, up to `now`.
struct Days {
    Instant since{INT64_MAX};
    Instant until{INT64_MIN};
};
Days days_of(std::span<const OwnRate> rates, Instant now) {
    Days days;
    const Instant tomorrow{now.ns - now.ns % kDayNs + kDayNs};
    for (const OwnRate& rate : rates) {
        days.since = std::min(days.since, rate.from);
        days.until = std::max(days.until, std::min(rate.to, tomorrow));
    }
    return days;
}

/// One line that is to come to other amounts, or of which nobody can tell.
struct Due {
    store::DayCharge row;
    Reckoner::Line line;
    std::string reason;
    std::string cell;
};

Due due_of(const store::DayCharge& row, Reckoner::Line line, Names& names) {
    const ledger::Dimensions& of = row.dimensions;
    Due due{row, std::move(line), {}, {}};
    due.reason = LateRateReason{names.of(of.rate_version), std::string(due.line.version),
        Instant{row.day * kDayNs}, static_cast<canon::Meter>(row.meter),
        static_cast<catalog::Tier>(of.tier), of.ctx_over}
                     .to_string();
    // Numbers of names never change and are never used again.
    const ledger::Spender& who = of.spender;
    due.cell = fmt::format("{}|{}|{}|{}", row.day, row.meter, of.tier, of.ctx_over);
    for (const ledger::NameId id : {who.org, who.team, who.project, who.key, who.end_user, who.tags,
             of.route.model, of.route.offer, of.route.cloud, of.contract, of.rate_version})
        due.cell += fmt::format("|{}", static_cast<std::uint32_t>(id));
    return due;
}

/// The id of the n-th correction of a line: the same in every process, so that it is posted once.
ExchangeId id_of(const Due& due, std::uint64_t n) {
    const crypto::Sha256 digest = crypto::sha256(fmt::format("late rate|{}|{}", due.cell, n));
    std::array<std::uint64_t, 2> halves{};
    for (std::size_t i = 0; i < 16; ++i)
        halves[i / 8] = halves[i / 8] << 8 | static_cast<std::uint8_t>(digest[i]);
    return ExchangeId::make(Instant{due.row.day * kDayNs}, halves);
}

/// What a line has come to by its own corrections.
struct Stand {
    Money cost, list;
    std::uint64_t corrections = 0;
};
Stand stand_of(const store::Books& books, const Due& due) {
    Stand stand{due.row.cost, due.row.list_cost, 0};
    while (const auto posted = books.adjustment(id_of(due, stand.corrections))) {
        stand.cost += posted->cost;
        stand.list += posted->list_cost;
        ++stand.corrections;
    }
    return stand;
}

/// Hands out the lines of the days that are the rates' own, some at a time, where the books are.
Status for_lines(Backend& backend, const Reckoner& reckoner, std::span<const OwnRate> rates,
    const Days& days, Names& names,
    const std::function<Status(store::Books&, std::span<const Due>)>& work) {
    if (days.since >= days.until) return {};
    ENTREPOT_TRY(const std::filesystem::path folder, checkpointed(backend));
    store::ChargeQuery query{days.since, days.until, {}, {}};
    ENTREPOT_TRY(query.offers, offers_of(backend, rates));
    if (query.offers.empty()) return {};
    std::vector<Due> some;
    const auto flush = [&]() -> Status {
        const Status done =
            ask<Status>(backend, [&](store::Books& books) { return work(books, some); });
        some.clear();
        return done;
    };
    ENTREPOT_TRY_DO(store::read_charges(folder, query, [&](const store::DayCharge& row) -> Status {
        ENTREPOT_TRY(
            Reckoner::Line line, reckoner.reckon(names.of(row.dimensions.route.offer), row));
        if (line.say == Reckoner::Say::kNotTheirs) return {};
        some.push_back(due_of(row, std::move(line), names));
        return some.size() < kAtOnce ? Status() : flush();
    }));
    return flush();
}

void add(Reckoned& to, const Due& due, const Stand& stand) {
    if (due.line.say == Reckoner::Say::kUntold) {
        to.untold += stand.cost;
        ++to.untold_lines;
        return;
    }
    to.booked += stand.cost;
    to.becomes += due.line.cost;
    to.booked_list += stand.list;
    to.becomes_list += due.line.list;
    ++to.lines;
}

Result<Reckoning> reckoned(
    Backend& backend, const Reckoner& reckoner, std::span<const OwnRate> rates, const Days& days) {
    Names names(backend);
    std::map<std::array<std::string, 4>, Reckoned> rows;
    Reckoning out;
    const auto add_up = [&](store::Books& books, std::span<const Due> some) -> Status {
        for (const Due& due : some) {
            const ledger::Dimensions& of = due.row.dimensions;
            const auto name = [&](ledger::NameId id) { return std::string(books.name_of(id)); };
            const Stand stand = stand_of(books, due);
            add(rows[{name(of.contract), name(of.route.model), name(of.route.offer),
                    name(of.spender.team)}],
                due, stand);
            add(out.total, due, stand);
        }
        return {};
    };
    ENTREPOT_TRY_DO(for_lines(backend, reckoner, rates, days, names, add_up));
    for (auto& [group, row] : rows) {
        row.contract = group[0];
        row.model = group[1];
        row.offer = group[2];
        row.team = group[3];
        out.rows.push_back(std::move(row));
    }
    return out;
}

/// Posts what a line lacks; the cost of that.
Result<Money> post(store::Books& books, const Due& due, Instant now) {
    const Stand stand = stand_of(books, due);
    ledger::AdjustRequest request;
    request.cost = due.line.cost - stand.cost;
    request.list_cost = due.line.list - stand.list;
    if (request.cost.is_zero() && request.list_cost.is_zero()) return Money();
    request.id = id_of(due, stand.corrections);
    request.at = now;
    request.spender = due.row.dimensions.spender;
    request.route = due.row.dimensions.route;
    request.contract = due.row.dimensions.contract;
    ENTREPOT_TRY(request.reason, books.name(due.reason));
    ENTREPOT_TRY_DO(books.adjust(request));
    return request.cost;
}

}  // namespace

std::string LateRateReason::to_string() const {
    return fmt::format("rate {} -> {} of {}, {}, {}, prompts over {}", was, is, to_date(day),
        canon::meter_name(meter), catalog::tier_name(tier), ctx_over);
}

std::optional<LateRateReason> LateRateReason::parse(std::string_view text) {
    const auto up_to = [&](std::string_view mark) -> std::optional<std::string_view> {
        const auto at = text.find(mark);
        if (at == std::string_view::npos) return std::nullopt;
        const std::string_view part = text.substr(0, at);
        text.remove_prefix(at + mark.size());
        return part;
    };
    if (!text.starts_with("rate ")) return std::nullopt;
    text.remove_prefix(5);
    const auto was = up_to(" -> ");
    const auto is = was ? up_to(" of ") : std::nullopt;
    const auto date = is ? up_to(", ") : std::nullopt;
    const auto meter_name = date ? up_to(", ") : std::nullopt;
    const auto tier_name = meter_name ? up_to(", prompts over ") : std::nullopt;
    if (!tier_name) return std::nullopt;
    LateRateReason reason{std::string(*was), std::string(*is), {}, {}, {}, 0};
    const auto day = parse_instant(*date);
    const auto tier = catalog::parse_tier(*tier_name);
    const auto [end, failure] =
        std::from_chars(text.data(), text.data() + text.size(), reason.ctx_over);
    std::size_t meter = 0;
    while (meter < canon::kMeterCount &&
        canon::meter_name(static_cast<canon::Meter>(meter)) != *meter_name)
        ++meter;
    if (!day || !tier || failure != std::errc{} || end != text.data() + text.size() ||
        meter == canon::kMeterCount)
        return std::nullopt;
    reason.day = *day;
    reason.tier = *tier;
    reason.meter = static_cast<canon::Meter>(meter);
    return reason;
}

Result<Reckoning> as_if(Backend& backend, std::span<const OwnRate> known,
    std::span<const OwnRate> rates, Instant since, Instant until) {
    std::vector<OwnRate> always(rates.begin(), rates.end());
    for (OwnRate& rate : always) {
        rate.from = Instant{0};
        rate.to = catalog::kForever;
    }
    ENTREPOT_TRY(
        const Reckoner reckoner, Reckoner::make(backend, on_top(known, always, 0), known, always));
    return reckoned(backend, reckoner, always, {since, until});
}

Result<Reckoning> behind(
    Backend& backend, std::span<const OwnRate> known, std::span<const OwnRate> rates, Instant now) {
    ENTREPOT_TRY(const Reckoner reckoner, Reckoner::make(backend, known, known, rates));
    return reckoned(backend, reckoner, rates, days_of(rates, now));
}

Result<Money> post_behind(
    Backend& backend, std::span<const OwnRate> known, std::span<const OwnRate> rates, Instant now) {
    ENTREPOT_TRY(const Reckoner reckoner, Reckoner::make(backend, known, known, rates));
    Names names(backend);
    Money sum;
    const auto post_all = [&](store::Books& books, std::span<const Due> some) -> Status {
        for (const Due& due : some) {
            if (due.line.say != Reckoner::Say::kPriced) continue;
            ENTREPOT_TRY(const Money posted, post(books, due, now));
            sum += posted;
        }
        return {};
    };
    ENTREPOT_TRY_DO(for_lines(backend, reckoner, rates, days_of(rates, now), names, post_all));
    return sum;
}

Status post_late_rates(Backend& backend) {
    ENTREPOT_TRY(std::vector<OwnRate> all, load_own_rates(backend.store()));
    std::vector<OwnRate> due;
    std::ranges::copy_if(all, std::back_inserter(due),
        [](const OwnRate& rate) { return rate.corrects_until != catalog::kBeginning; });
    if (due.empty()) return {};
    const Instant now = backend.now();
    ENTREPOT_TRY_DO(post_behind(backend, contracts::known_at(all, now), due, now));
    for (OwnRate& rate : due) {
        if (now < rate.corrects_until) continue;
        rate.corrects_until = catalog::kBeginning;
        ENTREPOT_TRY_DO(
            backend.store().put({"rate", rate_name(rate.number), rate_to_json(rate), now}));
    }
    return {};
}

}  // namespace entrepot::control
