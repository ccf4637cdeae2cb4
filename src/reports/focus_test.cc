#include "reports/focus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "json/value.h"
#include "reports/csv.h"
#include "reports/decimal.h"

namespace entrepot::reports {
namespace {

constexpr Instant kHour{1'795'478'400'000'000'000};  // 2026-11-24T00:00:00Z

Money usd(const char* text) { return Money::parse(text).value(); }

std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (is_quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
            cells.back() += '"';
            ++i;
        } else if (c == '"') {
            is_quoted = !is_quoted;
        } else if (c == ',' && !is_quoted) {
            cells.emplace_back();
        } else if (c != '\n' || is_quoted) {
            cells.back() += c;
        }
    }
    return cells;
}

std::map<std::string, std::string> row_of(
    const FocusCharge& charge, FocusSpec spec = FocusSpec::k12) {
    const FocusWriter writer(spec, Currency());
    std::string header;
    std::string line;
    writer.header(header);
    writer.row(charge, line);
    const auto names = cells_of(header);
    const auto values = cells_of(line);
    EXPECT_EQ(names.size(), values.size());
    std::map<std::string, std::string> row;
    for (std::size_t i = 0; i < names.size() && i < values.size(); ++i) row[names[i]] = values[i];
    EXPECT_EQ(row.size(), names.size()) << "no column stands twice";
    return row;
}

const OfferFacts& facts() {
    static const OfferFacts all{
        catalog::CloudKind::kBedrock, "eu-north-1", "anthropic.claude-sonnet-4-5", "anthropic"};
    return all;
}

FocusCharge charge() {
    FocusCharge one;
    one.hour = kHour;
    one.org = "acme";
    one.team = "search";
    one.project = "crawler";
    one.key = "search-prod";
    one.end_user = "=cmd|' /C calc'!A0";
    one.tags = "cost_center=4711;note=a,\"b\"=c";
    one.model = "claude-sonnet-4-5";
    one.offer = "claude-sonnet-4-5/aws";
    one.cloud = "aws";
    one.contract = "edp";
    one.rate_version = "0123456789ab@2026-01-01";
    one.meter = canon::Meter::kOutput;
    one.quantity = 1234;
    one.cost = usd("0.016659");
    one.list_cost = usd("0.01851");
    one.facts = &facts();
    return one;
}

TEST(Focus, ARowSaysWhatWasBoughtOfWhomAtWhichPrice) {
    const auto row = row_of(charge());
    EXPECT_EQ(row.at("BilledCost"), "0.016659");
    EXPECT_EQ(row.at("ContractedCost"), "0.016659");
    EXPECT_EQ(row.at("ListCost"), "0.01851");
    EXPECT_EQ(row.at("ListUnitPrice"), "15.00");
    EXPECT_EQ(row.at("ContractedUnitPrice"), "13.50");
    EXPECT_EQ(row.at("PricingQuantity"), "0.001234");
    EXPECT_EQ(row.at("PricingUnit"), "1000000 Tokens");
    EXPECT_EQ(row.at("ConsumedQuantity"), "1234.0");
    EXPECT_EQ(row.at("ConsumedUnit"), "Tokens");
    EXPECT_EQ(row.at("ChargeCategory"), "Usage");
    EXPECT_EQ(row.at("ChargeClass"), "");
    EXPECT_EQ(row.at("ChargePeriodStart"), "2026-11-24T00:00:00Z");
    EXPECT_EQ(row.at("ChargePeriodEnd"), "2026-11-24T01:00:00Z");
    EXPECT_EQ(row.at("BillingPeriodStart"), "2026-11-01T00:00:00Z");
    EXPECT_EQ(row.at("BillingPeriodEnd"), "2026-12-01T00:00:00Z");
    EXPECT_EQ(row.at("ProviderName"), "Amazon Web Services");
    EXPECT_EQ(row.at("PublisherName"), "Anthropic");
    EXPECT_EQ(row.at("ServiceName"), "Amazon Bedrock");
    EXPECT_EQ(row.at("RegionId"), "eu-north-1");
    EXPECT_EQ(row.at("SkuId"), "aws/eu-north-1/anthropic.claude-sonnet-4-5/output");
    EXPECT_EQ(
        row.at("SkuPriceId"), "aws/eu-north-1/anthropic.claude-sonnet-4-5/output/standard/over-0");
    EXPECT_EQ(row.at("SubAccountId"), "search");
    EXPECT_EQ(row.at("InvoiceId"), "aws/2026-11");
    EXPECT_FALSE(row.contains("ContractApplied"));
}

TEST(Focus, TagsAreOneObjectInWhichNothingBreaksOut) {
    const auto row = row_of(charge());
    const auto tags = json::Document::parse(row.at("Tags"));
    ASSERT_TRUE(tags) << row.at("Tags");
    EXPECT_EQ(tags->root()["cost_center"].string(), "4711");
    EXPECT_EQ(tags->root()["note"].string(), "a,\"b\"=c");
    EXPECT_EQ(tags->root()["entrepot/end_user"].string(), "=cmd|' /C calc'!A0");
    EXPECT_EQ(tags->root()["entrepot/key"].string(), "search-prod");
    for (const auto& [name, value] : row)
        EXPECT_TRUE(value.empty() || std::string("=+-@").find(value[0]) == std::string::npos)
            << name << " begins as a formula does: " << value;
}

TEST(Focus, ACorrectionOfAMonthBeforeHasNoQuantityAndPointsAtWhatItCorrects) {
    FocusCharge one = charge();
    one.kind = FocusCharge::Kind::kCorrection;
    one.cost = usd("-0.25");
    one.list_cost = usd("-0.30");
    one.correction = ExchangeId::make(kHour, {1, 2});
    one.reason = "late rate";
    one.corrected = ExchangeId::make(kHour - seconds(30 * 86'400), {3, 4});
    const auto row = row_of(one);
    EXPECT_EQ(row.at("ChargeCategory"), "Adjustment");
    EXPECT_EQ(row.at("ChargeClass"), "Correction");
    EXPECT_EQ(row.at("BilledCost"), "-0.25");
    for (const char* name : {"PricingQuantity", "ConsumedQuantity", "SkuId", "ListUnitPrice"})
        EXPECT_EQ(row.at(name), "") << name;
    EXPECT_EQ(row.at("x_CorrectedExchange"), one.corrected->to_string());
    EXPECT_EQ(row.at("x_AdjustmentId"), one.correction.to_string());
    one.corrected = ExchangeId::make(kHour - seconds(86'400), {3, 4});
    EXPECT_EQ(row_of(one).at("ChargeClass"), "") << "of the same month it is no correction";
}

TEST(Focus, ACostWithoutLinesIsOneCharge) {
    FocusCharge one = charge();
    one.kind = FocusCharge::Kind::kUnmetered;
    one.quantity = 0;
    const auto row = row_of(one);
    EXPECT_EQ(row.at("PricingQuantity"), "1.0");
    EXPECT_EQ(row.at("ContractedUnitPrice"), row.at("BilledCost"));
    EXPECT_EQ(row.at("PricingUnit"), "Charges");
}

TEST(Focus, ASellerWhomNobodyKnowsAnyMoreIsCalledByItsCloud) {
    FocusCharge one = charge();
    const OfferFacts nothing;
    one.facts = &nothing;
    const auto row = row_of(one);
    EXPECT_EQ(row.at("ProviderName"), "aws");
    EXPECT_EQ(row.at("PublisherName"), "aws");
    EXPECT_EQ(row.at("RegionId"), "");
    EXPECT_EQ(row.at("RegionName"), "");
}

TEST(Focus, UnitPricesAreExactWhereTheyEndAndNearestWhereTheyDoNot) {
    EXPECT_EQ(unit_price_text(usd("0.000012"), 4, 1'000'000), "3.00");
    EXPECT_EQ(unit_price_text(usd("1.00"), 3, 1), "0.333333333333333333333333");
    EXPECT_EQ(unit_price_text(usd("2.00"), 3, 1), "0.666666666666666666666667");
    EXPECT_EQ(unit_price_text(usd("0.999999999999"), 999'999'999'999, 1), "0.000000000001");
    EXPECT_EQ(unit_price_text(usd("-1.00"), 4, 1), "-0.25");
    EXPECT_EQ(unit_price_text(Money(), 7, 1'000'000), "0.00");
    EXPECT_EQ(unit_price_text(usd("1000000000000.00"), 1, 1'000'000), "1000000000000000000.00");
    EXPECT_EQ(quantity_text(4, 1), "4.0");
    EXPECT_EQ(quantity_text(1'500'000, 1'000'000), "1.5");
    EXPECT_EQ(quantity_text(20, 1), "20.0");
    EXPECT_EQ(quantity_text(1, 1'000'000), "0.000001");
}

contracts::Contract macc() {
    contracts::Contract contract;
    contract.name = "macc";
    contract.clouds = {"aws"};
    contract.from = parse_instant("2026-01-01").value();
    contract.to = parse_instant("2028-01-01").value();
    contract.commitment.emplace();
    contract.commitment->amounts = {usd("1000.00"), usd("2000.00")};
    contract.commitment->per = contracts::Per::kYear;
    contract.commitment->milestones = {{parse_instant("2026-07-01").value(), usd("300.00")}};
    contracts::Provisioned capacity;
    capacity.name = "ptu";
    capacity.offers = {"claude-sonnet-4-5/aws"};
    capacity.units = 15;
    capacity.hourly = usd("1.00");
    contract.provisioned = {capacity};
    return contract;
}

TEST(Focus, CommitmentsHaveARowPerWindowAndCapacity) {
    const std::vector<contracts::Contract> all{macc()};
    std::string out;
    ASSERT_TRUE(write_commitments(all, all[0].from, all[0].to, out));
    std::vector<std::vector<std::string>> rows;
    for (std::string_view rest = out; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rows.push_back(cells_of(line));
        rest.remove_prefix(line.size() + 1);
    }
    ASSERT_EQ(rows.size(), 5) << out;
    for (const auto& row : rows) EXPECT_EQ(row.size(), 13);
    EXPECT_EQ(rows[1][4], "macc/2026-01-01");
    EXPECT_EQ(rows[1][2], "1000.00");
    EXPECT_EQ(rows[2][4], "macc/2027-01-01");
    EXPECT_EQ(rows[2][2], "2000.00");
    EXPECT_EQ(rows[3][4], "macc/by-2026-07-01");
    EXPECT_EQ(rows[4][1], "Usage");
    EXPECT_EQ(rows[4][2], "262800.00") << "15 units, 730 days";
    EXPECT_EQ(rows[4][7], "262800");
    out.clear();
    ASSERT_TRUE(write_commitments(all, all[0].to, all[0].to + seconds(1), out));
    EXPECT_EQ(std::ranges::count(out, '\n'), 1) << "nothing after the term";
}

TEST(Focus, InVersion13ARowSaysWhichCommitmentItCountsTo) {
    const contracts::Contract contract = macc();
    FocusCharge one = charge();
    one.contract = "macc";
    one.terms = &contract;
    const auto row = row_of(one, FocusSpec::k13);
    EXPECT_EQ(row.at("ContractApplied"),
        R"({"Elements":[{"ContractId":"macc","ContractCommitmentId":"macc/2026-01-01",)"
        R"("ContractCommitmentAppliedCost":0.016659,"ContractCommitmentAppliedQuantity":null,)"
        R"("ContractCommitmentAppliedUnit":null}]})");
    EXPECT_EQ(row.at("ServiceProviderName"), "Amazon Web Services");
    EXPECT_EQ(row.at("CapacityReservationId"), "macc/ptu");
    EXPECT_EQ(row.at("CapacityReservationStatus"), "Used");
    EXPECT_EQ(parse_focus_spec("1.1").error().code, ErrorCode::kInvalidField);
}

TEST(Csv, CellsForSpreadsheetsHoldNoFormula) {
    std::string out;
    append_safe_cell(out, "=1+1");
    out += '|';
    append_safe_cell(out, "@a,\"b\"");
    EXPECT_EQ(out, "'=1+1|\"'@a,\"\"b\"\"\"");
}

}  // namespace
}  // namespace entrepot::reports
