#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "json/writer.h"
#include "reconcile/amounts.h"
#include "reconcile/bill_time.h"
#include "reconcile/compare.h"
#include "reconcile/csv.h"
#include "reconcile/reader.h"

// Bills of every format are made from random books, with errors of every kind put into them; each
// has to be found, called by its name, and account for its money to the last pico-unit.

namespace entrepot::reconcile {
namespace {

constexpr std::int64_t kFirstDay = 20'758;  // 2026-11-01
constexpr int kDays = 28;
constexpr Int128 kPico = 1'000'000'000'000;

/// One thing on sale, and how one format names it.
struct Item {
    std::string model;  ///< canonical
    Meter meter = Meter::kInput;
    Tier tier = Tier::kStandard;
    std::int64_t price_pico = 0;
    std::string name, product, unit_text = "Tokens";
    std::int64_t unit = 1;
};

/// A line of a bill before it is written.
struct Row {
    const Item* item = nullptr;
    Period at;
    std::int64_t quantity = 0;
    Money cost;
    std::string credit;  ///< its name, where it is one
};

struct Shape {
    std::string name;
    std::string seller, region;
    std::vector<Item> items;
    bool is_hourly = true;
    bool has_quantities = true, has_costs = true;
    std::set<Type> types;
    std::function<std::string(const std::vector<Row>&)> write;
};

std::int64_t price_of(Meter meter) {
    switch (meter) {
        case Meter::kInput: return 3'000'000;
        case Meter::kCacheRead: return 300'000;
        case Meter::kCacheWrite: return 3'750'000;
        default: return 15'000'000;
    }
}

Money cost_of(const Item& item, std::int64_t quantity) {
    return Money::from_pico(Int128{quantity} * item.price_pico);
}

std::string amount(std::int64_t quantity, std::int64_t unit) {
    return decimal_text(Int128{quantity} * (kPico / unit));
}

std::string when(Instant at) { return to_rfc3339(at).substr(0, 19) + "Z"; }

/// Items of some models in two tiers, named by `name`.
std::vector<Item> items_of(const std::vector<std::pair<std::string, std::string>>& models,
    const std::vector<Meter>& meters, Tier other, std::int64_t unit, std::string unit_text,
    const std::function<std::string(const std::string&, Meter, Tier)>& name) {
    std::vector<Item> items;
    for (const auto& [model, called] : models)
        for (const Tier tier : {Tier::kStandard, other})
            for (const Meter meter : meters) {
                Item item{model, meter, tier, price_of(meter), name(called, meter, tier), called,
                    unit_text, unit};
                if (tier == Tier::kBatch) item.price_pico /= 2;
                if (tier == Tier::kPriority) item.price_pico *= 2;
                items.push_back(item);
            }
    return items;
}

const std::vector<Meter> kThree{Meter::kInput, Meter::kCacheRead, Meter::kOutput};
const std::set<Type> kAll{Type::kLate, Type::kMissing, Type::kDuplicate, Type::kCache, Type::kRate,
    Type::kTier, Type::kUplift, Type::kRounding, Type::kCredit};

Shape aws() {
    Shape shape{"aws-cur", "aws", "us-east-1"};
    shape.types = kAll;
    shape.items = items_of({{"anthropic/claude-sonnet-4.5", "Claude Sonnet 4.5"},
                               {"anthropic/claude-haiku-4.5", "Claude Haiku 4.5"},
                               {"anthropic/claude-opus-4.5", "Claude Opus 4.5"}},
        kThree, Tier::kBatch, 1'000'000, "Units", [](const std::string&, Meter meter, Tier tier) {
            const std::string_view kind = meter == Meter::kInput ? "InputTokenCount"
                : meter == Meter::kCacheRead                     ? "CacheReadInputTokenCount"
                                                                 : "OutputTokenCount";
            return fmt::format(
                "USE1-MP:USE1_{}{}-Units", kind, tier == Tier::kBatch ? "_Batch" : "");
        });
    shape.write = [](const std::vector<Row>& rows) {
        std::string out =
            "identity_line_item_id,bill_billing_period_start_date,bill_billing_period_end_date,"
            "line_item_usage_type,line_item_line_item_type,line_item_product_code,"
            "line_item_unblended_cost,line_item_usage_amount,line_item_currency_code,"
            "line_item_usage_start_date,line_item_usage_end_date,product_product_name,pricing_"
            "unit\n";
        std::map<std::string, int> ids;
        for (const Row& row : rows) {
            const bool is_credit = !row.credit.empty();
            const std::string what = fmt::format("{},{},{},{},{},{},USD,{},{},{},{}\n",
                "2026-11-01T00:00:00Z,2026-12-01T00:00:00Z",
                is_credit ? row.credit : row.item->name, is_credit ? "Credit" : "Usage",
                "AmazonBedrock", row.cost.to_decimal(), amount(row.quantity, row.item->unit),
                when(row.at.begin), when(row.at.end),
                row.item->product + " (Amazon Bedrock Edition)", row.item->unit_text);
            out += fmt::format("id{},", ids.emplace(what, ids.size()).first->second);
            out += what;
        }
        return out;
    };
    return shape;
}

Shape azure() {
    Shape shape{"azure", "azure", "global"};
    shape.types = kAll;
    shape.is_hourly = false;
    shape.items = items_of({{"openai/gpt-4.1", "gpt 4.1"}, {"openai/gpt-4.1-mini", "gpt 4.1 mini"},
                               {"openai/gpt-4.1-nano", "gpt 4.1 nano"}},
        kThree, Tier::kBatch, 1000, "1K", [](const std::string& model, Meter meter, Tier tier) {
            const std::string_view kind = meter == Meter::kInput ? "Inp"
                : meter == Meter::kCacheRead                     ? "cached Inp"
                                                                 : "Outp";
            return fmt::format(
                "{} {}{} glbl Tokens", model, tier == Tier::kBatch ? "Batch " : "", kind);
        });
    // Batches are not cached there.
    std::erase_if(shape.items, [](const Item& item) {
        return item.tier == Tier::kBatch && item.meter == Meter::kCacheRead;
    });
    shape.write = [](const std::vector<Row>& rows) {
        std::string out =
            "date,billingPeriodStartDate,billingPeriodEndDate,meterName,meterCategory,"
            "unitOfMeasure,quantity,costInBillingCurrency,billingCurrency,chargeType\n";
        for (const Row& row : rows) {
            const std::string day = to_date(row.at.begin);
            out += fmt::format("{}/{}/{},11/01/2026,11/30/2026,{},Azure OpenAI,{},{},{},USD,{}\n",
                day.substr(5, 2), day.substr(8, 2), day.substr(0, 4), row.item->name,
                row.item->unit_text, amount(row.quantity, row.item->unit), row.cost.to_decimal(),
                row.credit.empty() ? "Usage" : "Refund");
        }
        return out;
    };
    return shape;
}

Shape google() {
    Shape shape{"gcp", "gcp", "europe-west4"};
    shape.types = kAll;
    shape.items = items_of({{"google/gemini-2.5-flash", "Gemini 2.5 Flash"},
                               {"google/gemini-2.5-pro", "Gemini 2.5 Pro"},
                               {"google/gemini-2.5-flash-lite", "Gemini 2.5 Flash Lite"}},
        kThree, Tier::kBatch, 1, "count", [](const std::string& model, Meter meter, Tier tier) {
            const std::string_view kind = meter == Meter::kInput ? "Text Input"
                : meter == Meter::kCacheRead                     ? "Input Text Caching"
                                                                 : "Text Output";
            return fmt::format(
                "{} GA {} -{} Predictions", model, kind, tier == Tier::kBatch ? " Batch" : "");
        });
    shape.write = [](const std::vector<Row>& rows) {
        std::string out;
        for (const Row& row : rows) {
            json::Writer writer(out);
            writer.begin_object().key("service").begin_object();
            writer.member("description", "Vertex AI").end_object().key("sku").begin_object();
            writer.member("description", row.item->name).end_object();
            writer.member("usage_start_time", when(row.at.begin));
            writer.member("usage_end_time", when(row.at.end)).key("location").begin_object();
            writer.member("region", "europe-west4").end_object();
            const bool is_credit = !row.credit.empty();
            writer.member_raw("cost", is_credit ? "0" : row.cost.to_decimal());
            writer.member("currency", "USD").key("usage").begin_object();
            writer.member_raw("amount_in_pricing_units", amount(row.quantity, 1));
            writer.member("pricing_unit", "count").end_object();
            writer.key("credits").begin_array();
            if (is_credit) {
                writer.begin_object().member("name", row.credit);
                writer.member_raw("amount", row.cost.to_decimal()).end_object();
            }
            writer.end_array().key("invoice").begin_object().member("month", "202611");
            writer.end_object().end_object();
            out += '\n';
        }
        return out;
    };
    return shape;
}

Shape focus() {
    Shape shape = aws();
    shape.name = "focus";
    shape.write = [](const std::vector<Row>& rows) {
        std::string out =
            "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
            "ChargePeriodEnd,ChargeCategory,ChargeClass,ProviderName,ServiceName,x_UsageType,"
            "RegionId,ConsumedQuantity,ConsumedUnit,PricingQuantity,PricingUnit\r\n";
        for (const Row& row : rows)
            out += fmt::format(
                "{},USD,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,{},{},{},,AWS,{} (Amazon Bedrock "
                "Edition),{},us-east-1,,,{},1M tokens\r\n",
                row.cost.to_decimal(), when(row.at.begin), when(row.at.end),
                row.credit.empty() ? "Usage" : "Credit", row.item->product, row.item->name,
                amount(row.quantity, row.item->unit));
        return out;
    };
    return shape;
}

/// One page of an API for each day.
std::string pages(const std::vector<Row>& rows, bool is_unix,
    const std::function<void(json::Writer&, const Row&)>& result) {
    std::map<std::int64_t, std::vector<const Row*>> days;
    for (const Row& row : rows) days[row.at.begin.ns].push_back(&row);
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("object", "page").key("data").begin_array();
    for (const auto& [day, of_day] : days) {
        const Instant end{day + kDayNs};
        writer.begin_object();
        if (is_unix) {
            writer.member("start_time", day / 1'000'000'000);
            writer.member("end_time", end.ns / 1'000'000'000);
        } else {
            writer.member("starting_at", when({day})).member("ending_at", when(end));
        }
        writer.key("results").begin_array();
        for (const Row* row : of_day) result(writer, *row);
        writer.end_array().end_object();
    }
    writer.end_array().member_bool("has_more", false).member_null("next_page").end_object();
    return out;
}

Shape openai() {
    Shape shape{"openai", "openai", ""};
    shape.types = kAll;
    shape.is_hourly = false;
    shape.items = items_of(
        {{"openai/gpt-4.1", "gpt-4.1-2025-04-14"}, {"openai/gpt-5.4", "gpt-5.4-2026-03-05"},
            {"openai/gpt-5.6-sol", "gpt-5.6-sol"}},
        kThree, Tier::kPriority, 1, "", [](const std::string& model, Meter meter, Tier tier) {
            const std::string_view kind = meter == Meter::kInput ? "input"
                : meter == Meter::kCacheRead                     ? "cached input"
                                                                 : "output";
            return fmt::format(
                "{}{}, {}", tier == Tier::kPriority ? "priority | " : "", model, kind);
        });
    shape.write = [](const std::vector<Row>& rows) {
        return pages(rows, true, [](json::Writer& writer, const Row& row) {
            writer.begin_object().member("object", "organization.costs.result");
            writer.key("amount").begin_object().member_raw("value", row.cost.to_decimal());
            writer.member("currency", "usd").end_object();
            writer.member("line_item", row.credit.empty() ? row.item->name : row.credit);
            if (row.credit.empty())
                writer.member_raw("quantity", amount(row.quantity, 1));
            else
                writer.member_null("quantity");
            writer.end_object();
        });
    };
    return shape;
}

const std::vector<std::pair<std::string, std::string>> kClaudes{
    {"anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"},
    {"anthropic/claude-haiku-4.5", "claude-haiku-4-5-20251001"},
    {"anthropic/claude-opus-4.5", "claude-opus-4-5-20251101"}};

Shape anthropic_costs() {
    Shape shape{"anthropic costs", "anthropic", ""};
    shape.types = kAll;
    shape.types.erase(Type::kCache);  // neither shows in money alone
    shape.types.erase(Type::kRate);
    shape.is_hourly = false;
    shape.has_quantities = false;
    shape.items =
        items_of(kClaudes, kThree, Tier::kBatch, 1, "", [](const std::string&, Meter meter, Tier) {
            return std::string(meter == Meter::kInput ? "uncached_input_tokens"
                    : meter == Meter::kCacheRead      ? "cache_read_input_tokens"
                                                      : "output_tokens");
        });
    shape.write = [](const std::vector<Row>& rows) {
        return pages(rows, false, [](json::Writer& writer, const Row& row) {
            const Money cents = Money::from_pico(row.cost.pico() * 100);
            writer.begin_object().member("amount", cents.to_decimal()).member("currency", "USD");
            writer.member("cost_type", "tokens").member("model", row.item->product);
            writer.member("token_type", row.item->name);
            writer.member("service_tier", catalog::tier_name(row.item->tier));
            writer.member("context_window", "0-200k").member("description", row.credit);
            writer.end_object();
        });
    };
    return shape;
}

Shape anthropic_usage() {
    Shape shape = anthropic_costs();
    shape.name = "anthropic usage";
    shape.has_quantities = true;
    shape.has_costs = false;
    shape.types = {Type::kLate, Type::kMissing, Type::kDuplicate, Type::kCache, Type::kTier};
    shape.write = [](const std::vector<Row>& rows) {
        std::string out =
            "usage_date_utc,model_version,api_key,usage_type,context_window,"
            "usage_input_tokens_no_cache,usage_input_tokens_cache_read,usage_output_tokens\n";
        for (const Row& row : rows) {
            const auto cell = [&](Meter meter) {
                return row.item->meter == meter ? row.quantity : 0;
            };
            out += fmt::format("{},{},key,{},≤ 200k,{},{},{}\n", to_date(row.at.begin),
                row.item->product, catalog::tier_name(row.item->tier), cell(Meter::kInput),
                cell(Meter::kCacheRead), cell(Meter::kOutput));
        }
        return out;
    };
    return shape;
}

/// What was put into one bill.
struct Seeded {
    std::array<std::uint64_t, kTypeCount> count{};
    std::array<Money, kTypeCount> amount{};
    void add(Type type, Money sum) {
        ++count[static_cast<std::size_t>(type)];
        amount[static_cast<std::size_t>(type)] += sum;
    }
};

/// Books, and the bill that a seller without errors would send.
struct Scene {
    const Shape& shape;
    std::mt19937_64 random;
    std::vector<Row> books, bill;
    Seeded seeded;

    Scene(const Shape& with, std::uint64_t seed) : shape(with), random(seed) {
        const int hours = shape.is_hourly ? 24 : 1;
        for (const Item& item : shape.items)
            for (int slot = 0; slot < kDays * hours; ++slot) {
                if (shape.is_hourly && random() % 3 == 0) continue;
                const std::int64_t length = kDayNs / hours;
                const Instant begin{kFirstDay * kDayNs + slot * length};
                const auto quantity = static_cast<std::int64_t>(random() % 5'000'000 + 10'000);
                books.push_back({&item, {begin, Instant{begin.ns + length}}, quantity,
                    cost_of(item, quantity), {}});
            }
        bill = books;
    }

    /// A line of that model on that day, standard tier, of the meter wished; null: none left.
    Row* pick(const std::string& model, int day, std::optional<Meter> meter) {
        std::vector<Row*> fits;
        for (Row& row : bill)
            if (row.item->model == model && row.item->tier == Tier::kStandard &&
                row.at.begin.ns / kDayNs == kFirstDay + day &&
                (!meter || row.item->meter == *meter))
                fits.push_back(&row);
        return fits.empty() ? nullptr : fits[random() % fits.size()];
    }
    const Item* sibling(const Item& item, Meter meter, bool same_tier) {
        for (const Item& other : shape.items)
            if (other.model == item.model && other.meter == meter &&
                (other.tier == item.tier) == same_tier)
                return &other;
        return nullptr;
    }
    void drop_from_books(const Row& row) {
        std::erase_if(books,
            [&](const Row& booked) { return booked.item == row.item && booked.at == row.at; });
    }
    void scale(Row& row, Type type, std::int64_t numerator, std::int64_t denominator) {
        const Money before = row.cost;
        row.cost = Money::from_pico(before.pico() * numerator / denominator);
        seeded.add(type, row.cost - before);
    }
    void put(Type type, const std::string& model, int day);
};

void Scene::put(Type type, const std::string& model, int day) {
    const bool is_cache = type == Type::kCache;
    Row* row = pick(
        model, day, is_cache || type == Type::kTier ? std::optional(Meter::kInput) : std::nullopt);
    if (row == nullptr) return;
    const std::int64_t length = row->at.end.ns - row->at.begin.ns;
    const std::int64_t part = row->quantity / 3;
    switch (type) {
        case Type::kLate: {
            Row late = *row;
            late.quantity = part;
            late.cost = cost_of(*row->item, part);
            late.at = {Instant{row->at.begin.ns + length}, Instant{row->at.end.ns + length}};
            row->quantity -= part;
            row->cost -= late.cost;
            seeded.add(type, Money{});
            bill.push_back(late);
            return;
        }
        case Type::kMissing:
            if (random() % 2 == 0) {
                drop_from_books(*row);
                seeded.add(type, row->cost);
                return;
            }
            seeded.add(type, -row->cost);
            bill.erase(bill.begin() + (row - bill.data()));
            return;
        case Type::kDuplicate: {
            seeded.add(type, row->cost);
            const Row twice = *row;
            bill.push_back(twice);
            return;
        }
        case Type::kCache: {
            const Item* cached = sibling(*row->item, Meter::kCacheRead, true);
            Row moved{cached, row->at, part, cost_of(*cached, part), {}};
            row->quantity -= part;
            row->cost -= cost_of(*row->item, part);
            seeded.add(type, moved.cost - cost_of(*row->item, part));
            bill.push_back(moved);
            return;
        }
        case Type::kRate: scale(*row, type, 107, 100); return;
        case Type::kUplift: scale(*row, type, 11, 10); return;
        case Type::kTier: {
            const Item* other = sibling(*row->item, Meter::kInput, false);
            if (!shape.has_quantities) {
                scale(*row, type, 1, 2);
                return;
            }
            const Row moved{other, row->at, row->quantity, cost_of(*other, row->quantity), {}};
            seeded.add(type, moved.cost - row->cost);
            *row = moved;
            return;
        }
        case Type::kRounding:
            row->cost += Money::from_pico(1);
            seeded.add(type, Money::from_pico(1));
            return;
        case Type::kCredit: {
            Row credit{row->item, row->at, 0,
                Money::from_pico(-static_cast<Int128>(random() % 1'000'000'000'000) - 1),
                "Goodwill"};
            seeded.add(type, credit.cost);
            bill.push_back(credit);
            return;
        }
        case Type::kUnknown: return;
    }
}

Report compare(const Shape& shape, const Scene& scene, std::uint64_t& lines) {
    Comparison comparison({.late_days = 1});
    BillReader reader({}, [&](const BillLine& line) { return comparison.add(line); });
    const std::string text = shape.write(scene.bill);
    Status status = reader.feed(text);
    if (status) status = reader.finish();
    EXPECT_TRUE(status) << shape.name << ": " << (status ? "" : status.error().message);
    lines = reader.facts().lines;
    for (const Row& row : scene.books) {
        BookedLine line;
        line.cloud = "cloud";
        line.seller = shape.seller;
        line.offer = "offer";
        line.model = row.item->model;
        line.meter = row.item->meter;
        line.tier = row.item->tier;
        line.region = shape.region;
        line.hour = row.at.begin;
        line.quantity = row.quantity;
        line.price = UnitPrice::from_pico(row.item->price_pico);
        line.list = line.contracted = row.cost;
        EXPECT_TRUE(comparison.add(line));
    }
    auto report = comparison.finish(reader.facts());
    EXPECT_TRUE(report) << shape.name;
    return report ? *std::move(report) : Report{};
}

class SeededBills : public testing::TestWithParam<Shape (*)()> {};

TEST_P(SeededBills, AgreeWithTheBooksWhenNothingIsWrong) {
    const Shape shape = GetParam()();
    const Scene scene(shape, 11);
    std::uint64_t lines = 0;
    const Report report = compare(shape, scene, lines);
    EXPECT_TRUE(report.is_equal()) << shape.name << "\n" << to_table(report).substr(0, 2000);
    EXPECT_EQ(report.billed, report.booked);
    EXPECT_GT(report.cells, 100U);
    EXPECT_EQ(report.cells, report.cells_equal);
}

TEST_P(SeededBills, HaveTheirErrorsFoundAndNamed) {
    const Shape shape = GetParam()();
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        Scene scene(shape, seed);
        std::set<std::string> models;
        for (const Item& item : shape.items) models.insert(item.model);
        // Every other day of every model has one error, so that none hides another.
        std::vector<std::pair<std::string, int>> slots;
        for (const std::string& model : models)
            for (int day = 1; day + 1 < kDays; day += 2) slots.emplace_back(model, day);
        std::shuffle(slots.begin(), slots.end(), scene.random);
        std::size_t next = 0;
        while (next < slots.size())
            for (const Type type : shape.types)
                if (next < slots.size()) {
                    scene.put(type, slots[next].first, slots[next].second);
                    ++next;
                }
        std::uint64_t lines = 0;
        const Report report = compare(shape, scene, lines);
        for (std::size_t type = 0; type < kTypeCount; ++type) {
            EXPECT_EQ(
                report.totals[type].amount.to_decimal(), scene.seeded.amount[type].to_decimal())
                << shape.name << " seed " << seed << " " << type_name(Type(type));
            // Errors of price are told once for each SKU, the others each.
            EXPECT_EQ(report.totals[type].count > 0, scene.seeded.count[type] > 0);
            EXPECT_LE(report.totals[type].count, scene.seeded.count[type])
                << shape.name << " " << type_name(Type(type));
        }
        for (const Type type : {Type::kLate, Type::kMissing, Type::kDuplicate, Type::kCache})
            EXPECT_EQ(report.total(type).count, scene.seeded.count[static_cast<std::size_t>(type)])
                << shape.name << " " << type_name(type);
        EXPECT_EQ(report.unknown_lines, 0U) << shape.name;
        if (HasFailure()) {
            std::cerr << to_table(report).substr(0, 6000);
            break;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Formats, SeededBills,
    testing::Values(&aws, &azure, &google, &focus, &openai, &anthropic_costs, &anthropic_usage));

}  // namespace
}  // namespace entrepot::reconcile
