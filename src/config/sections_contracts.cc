// Contracts: what a company signed with its suppliers.

#include <fmt/format.h>

#include "config/sections.h"
#include "contracts/presets.h"

namespace entrepot::config {
namespace {

using contracts::Commitment;
using contracts::Constraints;
using contracts::Contract;
using contracts::Discount;
using contracts::Marketplace;
using contracts::Milestone;
using contracts::Provisioned;
using contracts::Selector;
using contracts::Shortfall;
using contracts::StatedPrices;
using contracts::Volume;
using Step = pricing::TermVolume::Step;

// Every term is held against every other one: these bound the work that a file can ask for.
constexpr std::size_t kItemsMax = 256;
constexpr std::size_t kNamesMax = 64;

bool has_room(Reader& reader, const Node& node, std::size_t size, std::size_t most) {
    if (size < most) return true;
    if (size == most)
        reader.error(node, fmt::format("there are more than {} entries", most),
            "put what they have in common into one, or part the contract");
    return false;
}

// ---- values ----

/// `12%`, `0.12` or `3/25`; its bounds are judged with the contract.
std::optional<Ratio> ratio(Reader& reader, const Node& node) {
    const auto value = reader.text(node);
    if (!value) return std::nullopt;
    std::string_view digits = *value;
    const bool is_percent = digits.ends_with('%');
    if (is_percent) digits = trim(digits.substr(0, digits.size() - 1));
    Result<Ratio> parsed = Ratio::parse(digits);
    if (parsed && is_percent) parsed = multiply(*parsed, {1, 100});
    if (parsed) return *parsed;
    reader.error(node, fmt::format("'{}' is not a share", excerpt(node.text, 40)),
        "write a percentage such as \"12%\", a decimal such as \"0.12\" or a quotient");
    return std::nullopt;
}

std::optional<Money> money(Reader& reader, const Node& node) {
    const auto value = reader.text(node);
    if (!value) return std::nullopt;
    const auto parsed = Money::parse(*value);
    if (!parsed) {
        reader.error(node, fmt::format("'{}' is not an amount", excerpt(node.text, 40)),
            "write a decimal such as \"100000.00\"");
        return std::nullopt;
    }
    // Sums of such amounts stay far inside 128 bits.
    const Money most = Money::from_pico(Int128{1'000'000'000'000'000} * 1'000'000'000'000);
    if (*parsed <= most && -*parsed <= most) return *parsed;
    reader.error(node, fmt::format("{} is beyond any contract", excerpt(node.text, 40)),
        fmt::format("write an amount of at most {}", most.to_decimal()));
    return std::nullopt;
}

std::optional<Instant> date(Reader& reader, const Node& node) {
    const auto value = reader.text(node);
    if (!value) return std::nullopt;
    if (const auto at = parse_instant(*value)) return *at;
    reader.error(node, fmt::format("'{}' is not a date", excerpt(node.text, 60)),
        "write 2026-11-23 (midnight UTC) or 2026-11-23T09:00:00+01:00");
    return std::nullopt;
}

void tell_price(Reader& reader, const Node& node) {
    reader.error(node, fmt::format("'{}' is not a price", excerpt(node.text, 40)),
        "write a decimal per million tokens, not negative, at most six decimals: \"0.15\"");
}

template <typename T, auto Member>
void read_ratio(Reader& reader, const Node& node, T& out) {
    if (const auto value = ratio(reader, node)) out.*Member = *value;
}
template <typename T, auto Member>
void read_money(Reader& reader, const Node& node, T& out) {
    if (const auto value = money(reader, node)) out.*Member = *value;
}
template <typename T, auto Member>
void read_date(Reader& reader, const Node& node, T& out) {
    if (const auto value = date(reader, node)) out.*Member = *value;
}
template <typename T, auto Member>
void read_names(Reader& reader, const Node& node, T& out) {
    out.*Member = reader.texts(node);
    if ((out.*Member).size() > kNamesMax) (void)has_room(reader, node, kNamesMax, kNamesMax);
    if (node.kind == Node::Kind::kList && node.items.empty())
        reader.error(node, "the list is empty, so it takes nothing",
            "name what is meant, or leave it out for everything");
}

// ---- selectors ----

template <std::vector<std::string> Selector::* Names>
void read_selected(Reader& reader, const Node& node, Selector& out) {
    read_names<Selector, Names>(reader, node, out);
}

void read_tiers(Reader& reader, const Node& node, Selector& out) {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (std::size_t t = 0; t < catalog::kTierCount; ++t)
            all.emplace_back(catalog::tier_name(static_cast<catalog::Tier>(t)));
        return all;
    }();
    out.tiers = 0;
    reader.each_item(node, [&](const Node& item) {
        if (const auto index = reader.choice(item, names))
            out.tiers |= pricing::bit_of(static_cast<catalog::Tier>(*index));
    });
}

const std::vector<std::string>& meter_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (std::size_t m = 0; m < canon::kMeterCount; ++m)
            all.emplace_back(canon::meter_name(static_cast<canon::Meter>(m)));
        return all;
    }();
    return names;
}

void read_meters(Reader& reader, const Node& node, Selector& out) {
    out.meters = 0;
    reader.each_item(node, [&](const Node& item) {
        if (const auto index = reader.choice(item, meter_names()))
            out.meters |= pricing::bit_of(static_cast<canon::Meter>(*index));
    });
}

constexpr Field<Selector> kClouds{"clouds", "list of names, `*` at the end", "the contract's",
    "Of the contract's clouds, these.", read_selected<&Selector::clouds>};
constexpr Field<Selector> kModels{"models", "list of names, `*` at the end", "the contract's",
    "Of its models, these, by the names that clients use.", read_selected<&Selector::models>};
constexpr Field<Selector> kOffers{"offers", "list of `model/name`, `*` at the end", "all",
    "These offers.", read_selected<&Selector::offers>};
constexpr Field<Selector> kRegions{"regions", "list of names, `*` at the end", "all",
    "Offers that are processed there, as their region is written.",
    read_selected<&Selector::regions>};

/// The fields of a selector, as those of what holds it.
template <typename T, Selector T::* Of, typename... More>
std::vector<Field<T>> with_selector(More... more) {
    const auto lift = []<const Field<Selector> * F>() {
        return Field<T>{F->name, F->form, F->absent, F->help,
            [](Reader& reader, const Node& node, T& out) { F->read(reader, node, out.*Of); }};
    };
    return {
        lift.template operator()<&kClouds>(),
        lift.template operator()<&kModels>(),
        lift.template operator()<&kOffers>(),
        lift.template operator()<&kRegions>(),
        more...
    };
}

template <typename T, Selector T::* Of>
Field<T> tiers_field(std::string_view absent) {
    return {"tiers", "list of standard, batch, flex, priority, fast", absent, "",
        [](Reader& r, const Node& n, T& out) { read_tiers(r, n, out.*Of); }};
}

template <typename T, Selector T::* Of>
Field<T> meters_field() {
    return {"meters", "list of meters", "all", "`input`, `cache_read`, `output`, ...",
        [](Reader& r, const Node& n, T& out) { read_meters(r, n, out.*Of); }};
}

template <typename T>
Field<T> from_field() {
    return {
        "from", "date or RFC 3339 time", "the contract's", "From then on.", read_date<T, &T::from>};
}
template <typename T>
Field<T> to_field() {
    return {"to", "date or RFC 3339 time", "the contract's", "Until then; that day is out.",
        read_date<T, &T::to>};
}

// ---- commitment ----

void read_charged(Reader& reader, const Node& node, Shortfall& out) {
    read_ratio<Shortfall, &Shortfall::charged>(reader, node, out);
}
void read_returned(Reader& reader, const Node& node, Shortfall& out) {
    read_ratio<Shortfall, &Shortfall::returned>(reader, node, out);
}

constexpr Field<Shortfall> kShortfallFields[] = {
    {"charged", "share", "by the kind, else \"100%\"", "Of the missing amount, what falls due.",
        read_charged},
    {"returned", "share", "by the kind, else \"0%\"",
        "Of the charge, what comes back as credit for later use.", read_returned},
};

constexpr Field<Milestone> kMilestoneFields[] = {
    {"by", "date or RFC 3339 time", "required", "Before then; that day is out.",
        read_date<Milestone, &Milestone::by>},
    {"amount", "decimal", "required", "What eligible spend since the term began must have reached.",
        read_money<Milestone, &Milestone::amount>},
};

void read_market_cap(Reader& reader, const Node& node, Marketplace& out) {
    out.cap = ratio(reader, node);
}

std::span<const Field<Marketplace>> marketplace_fields() {
    static const auto fields = with_selector<Marketplace, &Marketplace::bought>(
        Field<Marketplace>{"counts", "share", "by the kind, else \"100%\"",
            "Of its spend, what counts.", read_ratio<Marketplace, &Marketplace::counts>},
        Field<Marketplace>{"cap", "share", "by the kind, else none",
            "Of a window's amount, the most that it may fill.", read_market_cap});
    return fields;
}

std::span<const Field<Selector>> eligible_fields() {
    static const std::vector<Field<Selector>> fields{kClouds, kModels, kOffers, kRegions};
    return fields;
}

void read_amounts(Reader& reader, const Node& node, Commitment& out) {
    const auto read_one = [&](const Node& item) {
        if (const auto value = money(reader, item)) out.amounts.push_back(*value);
    };
    if (node.kind == Node::Kind::kList)
        reader.each_item(node, read_one);
    else
        read_one(node);
}

void read_per(Reader& reader, const Node& node, Commitment& out) {
    static const std::vector<std::string> names{"term", "year", "quarter", "month"};
    if (const auto index = reader.choice(node, names))
        out.per = static_cast<contracts::Per>(*index);
}

void read_milestones(Reader& reader, const Node& node, Commitment& out) {
    reader.each_item(node, [&](const Node& item) {
        if (!has_room(reader, item, out.milestones.size(), kItemsMax)) return;
        Milestone milestone;
        reader.section(milestone_section(), item, milestone);
        out.milestones.push_back(milestone);
    });
}

void read_eligible(Reader& reader, const Node& node, Commitment& out) {
    reader.section(eligible_section(), node, out.eligible);
}

void read_marketplace(Reader& reader, const Node& node, Commitment& out) {
    if (!out.marketplace) out.marketplace.emplace();
    reader.section(marketplace_section(), node, *out.marketplace);
}

void read_counts_on(Reader& reader, const Node& node, Commitment& out) {
    static const std::vector<std::string> names{"use", "invoice"};
    if (const auto index = reader.choice(node, names))
        out.counts_on = static_cast<contracts::CountsOn>(*index);
}

void read_shortfall(Reader& reader, const Node& node, Commitment& out) {
    reader.section(shortfall_section(), node, out.shortfall);
}

constexpr Field<Commitment> kCommitmentFields[] = {
    {"amount", "decimal, or a list of them", "milestones alone",
        "What has to be bought in each window; a list gives each window its own, in order.",
        read_amounts},
    {"per", "term, year, quarter or month", "by the kind, else term",
        "How long a window is. They follow each other from the first day of the term.", read_per},
    {"milestones", "list: [milestone](#contractsnamecommitmentmilestones)", "none",
        "What has to be reached by a day, counted from the first day of the term.",
        read_milestones},
    {"eligible", "map: [eligible](#contractsnamecommitmenteligible)", "all that it covers",
        "Which spend counts.", read_eligible},
    {"marketplace", "map: [marketplace](#contractsnamecommitmentmarketplace)", "none",
        "Offers that are billed through the seller's marketplace, which count in part.",
        read_marketplace},
    {"counts_on", "use or invoice", "by the kind, else invoice",
        "With the use, or with the invoice of its month.", read_counts_on},
    {"shortfall", "map: [shortfall](#contractsnamecommitmentshortfall)", "by the kind",
        "What falls due when a window ends below its amount.", read_shortfall},
    {"elsewhere_per_day", "decimal", "0",
        "Eligible spend that does not pass through the gateway, on a day.",
        read_money<Commitment, &Commitment::elsewhere_per_day>},
};

void read_commitment(Reader& reader, const Node& node, Contract& out) {
    const contracts::Preset& preset = contracts::preset_of(out.kind);
    Commitment commitment;
    commitment.per = preset.per;
    commitment.counts_on = preset.counts_on;
    commitment.shortfall = preset.shortfall;
    Marketplace marketplace;
    marketplace.counts = preset.marketplace_counts;
    marketplace.cap = preset.marketplace_cap;
    if (node.is_map() && std::ranges::any_of(node.members, [](const Node::Member& member) {
            return member.key == "marketplace";
        }))
        commitment.marketplace = std::move(marketplace);
    reader.section(commitment_section(), node, commitment);
    out.commitment = std::move(commitment);
}

// ---- discounts, volume, prices ----

void read_of(Reader& reader, const Node& node, Discount& out) {
    static const std::vector<std::string> names{"list", "net"};
    if (const auto index = reader.choice(node, names)) out.is_of_net = *index == 1;
}

std::span<const Field<Discount>> discount_fields() {
    static const auto fields = with_selector<Discount, &Discount::of>(
        tiers_field<Discount, &Discount::of>("all"), meters_field<Discount, &Discount::of>(),
        Field<Discount>{"off", "share", "required", "What is taken off: \"12%\".",
            read_ratio<Discount, &Discount::off>},
        Field<Discount>{"of", "list or net", "list",
            "Those of the list add up and leave stated prices alone; those of the net come after, "
            "on what is left, whatever it came from.",
            read_of},
        from_field<Discount>(), to_field<Discount>());
    return fields;
}

void read_discounts(Reader& reader, const Node& node, Contract& out) {
    reader.each_item(node, [&](const Node& item) {
        if (!has_room(reader, item, out.discounts.size(), kItemsMax)) return;
        Discount discount;
        reader.section(discount_section(), item, discount);
        out.discounts.push_back(std::move(discount));
    });
}

void read_over(Reader& reader, const Node& node, Step& out) {
    if (const auto value = money(reader, node)) out.over = value->pico();
}

void read_step_price(Reader& reader, const Node& node, Step& out) {
    const auto value = reader.text(node);
    if (!value) return;
    if (const auto price = UnitPrice::parse_per_million(*value))
        out.price = *price;
    else
        tell_price(reader, node);
}

constexpr Field<Step> kStepFields[] = {
    {"over", "decimal", "required", "Above so much list spend, or so many units, in the period.",
        read_over},
    {"off", "share", "`off` or `price` is required", "What is taken off the list there.",
        read_ratio<Step, &Step::off>},
    {"price", "decimal per million, at most six decimals", "the list's less `off`",
        "What is paid there in place of the list's price and its uplifts, where `meters` names "
        "one.",
        read_step_price},
};

void read_volume_per(Reader& reader, const Node& node, Volume& out) {
    static const std::vector<std::string> names{"month", "quarter", "year"};
    static constexpr PeriodKind kKinds[] = {
        PeriodKind::kMonth, PeriodKind::kQuarter, PeriodKind::kYear};
    if (const auto index = reader.choice(node, names)) out.per = kKinds[*index];
}

void read_measure(Reader& reader, const Node& node, Volume& out) {
    static const std::vector<std::string> names{"spend", "units"};
    if (const auto index = reader.choice(node, names))
        out.measure = static_cast<Volume::Measure>(*index);
}

void read_reprices(Reader& reader, const Node& node, Volume& out) {
    static const std::vector<std::string> names{"marginal", "whole"};
    if (const auto index = reader.choice(node, names))
        out.reprices = static_cast<Volume::Reprices>(*index);
}

void read_steps(Reader& reader, const Node& node, Volume& out) {
    reader.each_item(node, [&](const Node& item) {
        if (!has_room(reader, item, out.steps.size(), kItemsMax)) return;
        Step step;
        reader.section(step_section(), item, step);
        const auto has = [&](std::string_view name) {
            return item.is_map() && std::ranges::count(item.members, name, &Node::Member::key) > 0;
        };
        if (has("off") == has("price"))
            reader.error(item, "a step has either 'off' or 'price'",
                "write {over: \"100000\", off: \"5%\"}, or price: in place of off");
        out.steps.push_back(step);
    });
}

std::span<const Field<Volume>> volume_fields() {
    static const auto fields = with_selector<Volume, &Volume::of>(
        tiers_field<Volume, &Volume::of>("all"), meters_field<Volume, &Volume::of>(),
        Field<Volume>{"per", "month, quarter or year", "month",
            "The calendar period (UTC) after which counting begins anew.", read_volume_per},
        Field<Volume>{"measure", "spend or units", "spend",
            "What is counted: list cost, or what the meters count; all tokens where none is named.",
            read_measure},
        Field<Volume>{"reprices", "marginal or whole", "marginal",
            "A step's discount is of what lies above its threshold; or of all that follows once it "
            "is reached.",
            read_reprices},
        Field<Volume>{"steps", "list: [step](#contractsnamevolumesteps)", "required",
            "In rising order.", read_steps});
    return fields;
}

void read_volumes(Reader& reader, const Node& node, Contract& out) {
    constexpr Int128 kWhole = 1'000'000'000'000;
    reader.each_item(node, [&](const Node& item) {
        if (!has_room(reader, item, out.volumes.size(), kItemsMax)) return;
        Volume volume;
        reader.section(volume_section(), item, volume);
        // Tokens, images and requests do not add up: unless it says more, tokens are counted.
        if (volume.measure == Volume::Measure::kUnits && volume.of.meters == pricing::kAllMeters)
            volume.of.meters = pricing::bit_of(canon::Meter::kRequests) - 1;
        if (volume.measure == Volume::Measure::kUnits)
            for (Step& step : volume.steps) {
                if (step.over % kWhole != 0)
                    reader.error(
                        item, "a threshold in units is a whole number", "write over: \"1000000\"");
                step.over /= kWhole;
            }
        out.volumes.push_back(std::move(volume));
    });
}

template <std::size_t I>
void read_stated_price(Reader& reader, const Node& node, StatedPrices& out) {
    const auto value = reader.text(node);
    if (!value) return;
    if (const auto price = UnitPrice::parse_per_million(*value)) {
        out.prices.emplace_back(static_cast<canon::Meter>(I), *price);
    } else {
        tell_price(reader, node);
    }
}

std::span<const Field<StatedPrices>> stated_price_fields() {
    static const std::vector<Field<StatedPrices>> fields = [] {
        std::vector<Field<StatedPrices>> all;
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (all.push_back({canon::meter_name(static_cast<canon::Meter>(I)),
                 "decimal per million, at most six decimals", "the list's", "",
                 read_stated_price<I>}),
                ...);
        }(std::make_index_sequence<canon::kMeterCount>());
        return all;
    }();
    return fields;
}

void read_price_map(Reader& reader, const Node& node, StatedPrices& out) {
    reader.section(stated_price_section(), node, out);
}

void read_prompts_over(Reader& reader, const Node& node, StatedPrices& out) {
    if (const auto value = reader.integer(node, 0, 100'000'000)) out.prompts_over = *value;
}

std::span<const Field<StatedPrices>> stated_fields() {
    static const auto fields = with_selector<StatedPrices, &StatedPrices::of>(
        tiers_field<StatedPrices, &StatedPrices::of>("[standard]"),
        Field<StatedPrices>{"prompts_over", "integer, 0 to 100000000", "0",
            "For prompts of more tokens than this. Without an entry of their own, long prompts "
            "cost what short ones do.",
            read_prompts_over},
        Field<StatedPrices>{"price", "map: [price](#contractsnamepricesprice)", "required",
            "What is paid in place of the list's price and its uplifts.", read_price_map},
        from_field<StatedPrices>(), to_field<StatedPrices>());
    return fields;
}

void read_prices(Reader& reader, const Node& node, Contract& out) {
    reader.each_item(node, [&](const Node& item) {
        if (!has_room(reader, item, out.prices.size(), kItemsMax)) return;
        StatedPrices stated;
        stated.of.tiers = pricing::bit_of(catalog::Tier::kStandard);
        reader.section(stated_section(), item, stated);
        out.prices.push_back(std::move(stated));
    });
}

// ---- rounding, provisioned capacity, constraints ----

void read_mode(Reader& reader, const Node& node, RoundingRule& out) {
    static const std::vector<std::string> names{"half_even", "half_up", "up", "down"};
    if (const auto index = reader.choice(node, names)) out.mode = static_cast<Rounding>(*index);
}

void read_decimals(Reader& reader, const Node& node, RoundingRule& out) {
    if (const auto value = reader.integer(node, 0, RoundingRule::kDecimalsMax))
        out.decimals = static_cast<std::uint8_t>(*value);
}

constexpr Field<RoundingRule> kRoundingFields[] = {
    {"mode", "half_even, half_up, up or down", "half_even", "Of each line of a charge, once.",
        read_mode},
    {"decimals", "integer, 0 to 12", "12", "Of the currency.", read_decimals},
};

template <auto Member>
void read_weight(Reader& reader, const Node& node, Provisioned& out) {
    const auto value = ratio(reader, node);
    if (!value) return;
    if (value->numerator < 0)
        reader.error(node, "a weight is not below zero", "write \"0\" for what takes up nothing");
    else
        out.*Member = *value;
}

template <auto Member>
void read_count(Reader& reader, const Node& node, Provisioned& out) {
    if (const auto value = reader.integer(node, 1, 1'000'000'000)) out.*Member = *value;
}

void read_spill_over(Reader& reader, const Node& node, Provisioned& out) {
    if (auto value = reader.text(node)) out.spill_over = std::move(*value);
}

std::span<const Field<Provisioned>> provisioned_fields() {
    static const std::vector<Field<Provisioned>> fields{
        {"offers", "list of `model/name`", "required",
            "What it serves. While it runs, a token of these offers costs nothing more.",
            read_names<Provisioned, &Provisioned::offers>},
        {"units", "integer, 1 to 1000000000", "required", "How many are paid.",
            read_count<&Provisioned::units>},
        {"hourly", "decimal", "required", "One unit for an hour, used or not.",
            read_money<Provisioned, &Provisioned::hourly>},
        {"tokens_per_minute", "integer, 1 to 1000000000", "sold by spend",
            "What one unit serves, counted in input tokens.",
            read_count<&Provisioned::tokens_per_minute>},
        {"list_per_minute", "decimal", "sold by tokens",
            "What one unit serves, counted in list cost.",
            read_money<Provisioned, &Provisioned::list_per_minute>},
        {"output_weight", "decimal", "1", "Input tokens that one token of output takes up.",
            read_weight<&Provisioned::output_weight>},
        {"cached_weight", "decimal", "0", "The same of a token read from a cache.",
            read_weight<&Provisioned::cached_weight>},
        {"cache_write_weight", "decimal", "1", "The same of a token written to one.",
            read_weight<&Provisioned::cache_write_weight>},
        {"spill_over", "`model/name`", "none", "The offer that takes what does not fit.",
            read_spill_over},
        from_field<Provisioned>(),
        to_field<Provisioned>(),
    };
    return fields;
}

void read_provisioned(Reader& reader, const Node& node, Contract& out) {
    reader.each(node, [&](const Node::Member& member) {
        if (!has_room(reader, member.value, out.provisioned.size(), kItemsMax)) return;
        check_name(reader, member);
        Provisioned capacity;
        capacity.name = member.key;
        reader.section(provisioned_section(), member.value, capacity);
        out.provisioned.push_back(std::move(capacity));
    });
}

constexpr Field<Constraints::Only> kOnlyFields[] = {
    {"models", "list of names, `*` at the end", "required", "",
        read_names<Constraints::Only, &Constraints::Only::models>},
    {"clouds", "list of names, `*` at the end", "required", "",
        read_names<Constraints::Only, &Constraints::Only::clouds>},
};

void read_only(Reader& reader, const Node& node, Constraints& out) {
    reader.each_item(node, [&](const Node& item) {
        if (!has_room(reader, item, out.only_through.size(), kItemsMax)) return;
        Constraints::Only only;
        reader.section(only_section(), item, only);
        out.only_through.push_back(std::move(only));
    });
}

constexpr Field<Constraints> kConstraintFields[] = {
    {"only_through", "list: [only_through](#contractsnameconstraintsonly_through)", "none",
        "Models that may go through some clouds alone.", read_only},
    {"regions", "list of regions", "any", "Where what it covers may be processed.",
        read_names<Constraints, &Constraints::regions>},
};

// ---- the contract ----

const std::vector<std::string>& kind_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (std::size_t k = 0; k < contracts::kKindCount; ++k)
            all.emplace_back(contracts::kind_name(static_cast<contracts::Kind>(k)));
        return all;
    }();
    return names;
}

void read_kind(Reader& reader, const Node& node, Contract& out) {
    if (const auto index = reader.choice(node, kind_names()))
        out.kind = static_cast<contracts::Kind>(*index);
}

void read_contract_currency(Reader& reader, const Node& node, Contract& out) {
    read_books_currency(reader, node, "contract", out.currency);
}

void read_rounding(Reader& reader, const Node& node, Contract& out) {
    reader.section(rounding_section(), node, out.rounding);
}
void read_constraints(Reader& reader, const Node& node, Contract& out) {
    reader.section(constraints_section(), node, out.constraints);
}

constexpr Field<Contract> kContractFields[] = {
    {"kind",
        "azure_macc, aws_edp, google_commit, oracle_credits, openai_reserved, anthropic_ccu or "
        "other",
        "other",
        "Whose paper it is: what its commitment counts, when, and what a shortfall costs, where "
        "the contract does not say. `docs/reference/contracts.md` has what each takes for granted.",
        read_kind},
    {"clouds", "list of names, `*` at the end", "required", "Which clouds it covers.",
        read_names<Contract, &Contract::clouds>},
    {"models", "list of names, `*` at the end", "all", "Which models there.",
        read_names<Contract, &Contract::models>},
    {"from", "date or RFC 3339 time", "required", "The first day; midnight is UTC's.",
        read_date<Contract, &Contract::from>},
    {"to", "date or RFC 3339 time", "required", "The first day after it.",
        read_date<Contract, &Contract::to>},
    {"currency", "ISO 4217 code", "the books' currency", "Must be the books' in this build.",
        read_contract_currency},
    {"commitment", "map: [commitment](#contractsnamecommitment)", "none", "What has to be bought.",
        read_commitment},
    {"discounts", "list: [discount](#contractsnamediscounts)", "none", "", read_discounts},
    {"volume", "list: [volume](#contractsnamevolume)", "none",
        "Discounts that grow with what is bought.", read_volumes},
    {"prices", "list: [prices](#contractsnameprices)", "the list's",
        "Prices that stand in place of the list's.", read_prices},
    {"rounding", "map: [rounding](#contractsnamerounding)", "half_even at 12",
        "How a line is rounded.", read_rounding},
    {"provisioned", "map by name: [provisioned](#contractsnameprovisionedname)", "none",
        "Capacity that is paid by the hour.", read_provisioned},
    {"constraints", "map: [constraints](#contractsnameconstraints)", "none",
        "What the planner keeps to.", read_constraints},
};

}  // namespace

const Section<Shortfall>& shortfall_section() {
    static const Section<Shortfall> section{
        "contracts.<name>.commitment.shortfall", "", kShortfallFields};
    return section;
}
const Section<Milestone>& milestone_section() {
    static const Section<Milestone> section{
        "contracts.<name>.commitment.milestones", "A list, by day.", kMilestoneFields};
    return section;
}
const Section<Marketplace>& marketplace_section() {
    static const Section<Marketplace> section{
        "contracts.<name>.commitment.marketplace", "", marketplace_fields()};
    return section;
}
const Section<Selector>& eligible_section() {
    static const Section<Selector> section{
        "contracts.<name>.commitment.eligible", "All of them must hold.", eligible_fields()};
    return section;
}
const Section<Commitment>& commitment_section() {
    static const Section<Commitment> section{"contracts.<name>.commitment", "", kCommitmentFields};
    return section;
}
const Section<Discount>& discount_section() {
    static const Section<Discount> section{"contracts.<name>.discounts",
        "A list; every one that fits a line is taken. A share is written \"12%\", \"0.12\" or "
        "\"3/25\".",
        discount_fields()};
    return section;
}
const Section<Step>& step_section() {
    static const Section<Step> section{"contracts.<name>.volume.steps", "A list.", kStepFields};
    return section;
}
const Section<Volume>& volume_section() {
    static const Section<Volume> section{"contracts.<name>.volume",
        "A list; no line is on two of them. Stated prices and provisioned capacity are outside.",
        volume_fields()};
    return section;
}
const Section<StatedPrices>& stated_price_section() {
    static const Section<StatedPrices> section{"contracts.<name>.prices.price",
        "Decimals per million. A meter that is not given costs what it does at the list, or what "
        "the part of the prompt or answer does to which it belongs.",
        stated_price_fields()};
    return section;
}
const Section<StatedPrices>& stated_section() {
    static const Section<StatedPrices> section{
        "contracts.<name>.prices", "A list; no line has two prices.", stated_fields()};
    return section;
}
const Section<RoundingRule>& rounding_section() {
    static const Section<RoundingRule> section{"contracts.<name>.rounding", "", kRoundingFields};
    return section;
}
const Section<Provisioned>& provisioned_section() {
    static const Section<Provisioned> section{"contracts.<name>.provisioned.<name>",
        "PTUs, GSUs, model units, reserved tokens or dollars per minute. One of "
        "`tokens_per_minute` and `list_per_minute` says what a unit serves.",
        provisioned_fields()};
    return section;
}
const Section<Constraints::Only>& only_section() {
    static const Section<Constraints::Only> section{
        "contracts.<name>.constraints.only_through", "A list.", kOnlyFields};
    return section;
}
const Section<Constraints>& constraints_section() {
    static const Section<Constraints> section{
        "contracts.<name>.constraints", "", kConstraintFields};
    return section;
}
const Section<Contract>& contract_section() {
    static const Section<Contract> section{"contracts.<name>",
        "What was signed with a supplier. An offer is under at most one contract at a time.",
        kContractFields};
    return section;
}

void read_contract(Reader& reader, const Node::Member& member, Contract& out) {
    check_name(reader, member);
    out.name = member.key;
    out.currency = reader.currency();
    // What the kind takes for granted holds wherever it stands in the map.
    for (const Node::Member& field : member.value.members)
        if (field.key == "kind" && field.value.is_scalar())
            for (std::size_t k = 0; k < contracts::kKindCount; ++k)
                if (field.value.text == kind_names()[k]) out.kind = static_cast<contracts::Kind>(k);
    reader.section(contract_section(), member.value, out);
}

}  // namespace entrepot::config
