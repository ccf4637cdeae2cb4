#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config/load.h"
#include "contracts/presets.h"

namespace entrepot::config {
namespace {

using contracts::Contract;

/// Four lines of a file; contracts begin on the sixth.
constexpr std::string_view kHouse =
    "clouds:\n"
    "  openai: {kind: openai, api_key: k}\n"
    "  azure: {kind: azure, endpoint: 'https://h', region: swedencentral, api_key: k}\n"
    "models: {gpt-5: {offers: {direct: {cloud: openai}, ptu: {cloud: azure}, payg: {cloud: "
    "azure}}}}\n"
    "contracts:\n";

Loaded load(std::string_view contracts) {
    Environment none;
    none.variable = [](const std::string&) { return std::nullopt; };
    none.file = [](const std::string&) -> Result<std::string> {
        return fail(ErrorCode::kIo, "no files here");
    };
    return load_text(fmt::format("{}{}", kHouse, contracts), "f.yaml", none);
}

TEST(Contracts, AWholeOneIsRead) {
    const Loaded loaded = load(R"(  azure-2026:
    kind: azure_macc
    clouds: [azure]
    models: ["gpt-*"]
    from: 2026-01-01
    to: 2029-01-01
    currency: USD
    commitment:
      amount: ["1000000", "1500000", "2000000"]
      per: year
      milestones: [{by: 2027-01-01, amount: "900000"}, {by: 2028-01-01, amount: "2000000"}]
      eligible: {models: [gpt-5]}
      marketplace: {offers: [gpt-5/payg], counts: "50%", cap: "1/4"}
      shortfall: {returned: "80%"}
      elsewhere_per_day: "1200.50"
    discounts:
      - {off: "12%", meters: [input, output], tiers: [standard, batch]}
      - {off: "0.05", of: net, from: 2027-01-01}
    volume:
      - {per: quarter, measure: units, reprices: whole, steps: [{over: "1000000", off: "1%"}]}
    prices:
      - {offers: [gpt-5/payg], price: {input: "1.10"}, prompts_over: 200000}
    rounding: {mode: half_up, decimals: 6}
    provisioned:
      sweden: {offers: [gpt-5/ptu], units: 50, hourly: "1.00", tokens_per_minute: 4750,
               output_weight: "8", spill_over: gpt-5/payg}
    constraints: {only_through: [{models: [gpt-5], clouds: [azure]}], regions: [eu]}
)");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    ASSERT_EQ(loaded.settings->contracts.size(), 1u);
    const Contract& contract = loaded.settings->contracts[0];
    EXPECT_EQ(contract.name, "azure-2026");
    EXPECT_EQ(contract.from, *parse_instant("2026-01-01"));
    ASSERT_TRUE(contract.commitment);
    EXPECT_EQ(contract.commitment->amounts.size(), 3u);
    EXPECT_EQ(contract.commitment->counts_on, contracts::CountsOn::kInvoice);
    EXPECT_EQ(contract.commitment->shortfall.charged, (Ratio{1, 1}));
    EXPECT_EQ(contract.commitment->shortfall.returned, (Ratio{4, 5}));
    EXPECT_EQ(contract.commitment->marketplace->cap, (Ratio{1, 4}));
    EXPECT_EQ(contract.discounts[0].off, (Ratio{3, 25}));
    EXPECT_TRUE(contract.discounts[1].is_of_net);
    EXPECT_EQ(contract.volumes[0].steps[0].over, Int128{1'000'000});
    EXPECT_EQ(contract.prices[0].of.tiers, pricing::bit_of(catalog::Tier::kStandard));
    EXPECT_EQ(contract.rounding, (RoundingRule{Rounding::kHalfUp, 6}));
    EXPECT_EQ(contract.provisioned[0].output_weight, (Ratio{8, 1}));
    EXPECT_EQ(contract.constraints.regions, std::vector<std::string>{"eu"});
}

TEST(Contracts, TheKindSaysWhatTheContractDoesNot) {
    const Loaded loaded = load(
        "  e: {kind: azure_macc, clouds: [azure], from: 2026-01-01, to: 2027-01-01,\n"
        "      commitment: {amount: 5}}\n"
        "  o: {clouds: [openai], from: 2026-01-01, to: 2027-01-01,\n"
        "      commitment: {amount: 5, marketplace: {}}, kind: openai_reserved}\n");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    const auto& azure = *loaded.settings->contracts[0].commitment;
    EXPECT_EQ(azure.shortfall.returned, (Ratio{1, 1}));
    EXPECT_FALSE(azure.marketplace);
    const auto& openai = *loaded.settings->contracts[1].commitment;
    EXPECT_EQ(openai.counts_on, contracts::CountsOn::kUse);
    EXPECT_EQ(openai.shortfall.returned, (Ratio{0, 1}));
    for (std::size_t kind = 0; kind < contracts::kKindCount; ++kind)
        EXPECT_EQ(contracts::presets()[kind].kind, static_cast<contracts::Kind>(kind));
}

struct BadContract {
    const char* name;
    const char* text;  ///< of the contract `c` of the cloud azure, from line 6 on
    std::uint32_t line;
    const char* path;
    const char* cause;
    const char* remedy;
};

class BadContracts : public testing::TestWithParam<BadContract> {};

// A contract that contradicts itself is refused with the line at fault and what to write, and no
// settings come of it: the books stay as they were.
TEST_P(BadContracts, AreToldWithLineAndRemedy) {
    const BadContract& bad = GetParam();
    const Loaded loaded = load(bad.text);
    EXPECT_FALSE(loaded.ok());
    std::vector<Problem> errors;
    for (const Problem& each : loaded.problems)
        if (each.severity == Problem::Severity::kError) errors.push_back(each);
    ASSERT_EQ(errors.size(), 1u) << format_problems(loaded.problems);
    const Problem& problem = errors[0];
    EXPECT_EQ(problem.at.line, bad.line) << problem.to_string();
    EXPECT_EQ(problem.path, bad.path);
    EXPECT_NE(problem.cause.find(bad.cause), std::string::npos) << problem.cause;
    EXPECT_NE(problem.remedy.find(bad.remedy), std::string::npos) << problem.remedy;
}

#define YEAR "  c:\n    clouds: [azure]\n    from: 2026-01-01\n    to: 2027-01-01\n"

INSTANTIATE_TEST_SUITE_P(Table, BadContracts,
    testing::Values(BadContract{"UnknownKey", YEAR "    discount: []\n", 10, "contracts.c.discount",
                        "unknown key 'discount'", "'discounts'"},
        BadContract{"UnknownKind", YEAR "    kind: azure_mac\n", 10, "contracts.c.kind",
            "'azure_mac'", "'azure_macc'"},
        BadContract{"NoDates", "  c: {clouds: [azure], from: 2026-01-01}\n", 6, "contracts.c.to",
            "'to' is missing", "add to"},
        BadContract{"EndsBeforeItBegins",
            "  c:\n    clouds: [azure]\n    from: 2027-01-01\n    to: 2026-01-01\n", 9,
            "contracts.c.to", "ends on 2026-01-01 and begins on 2027-01-01", "after 'from'"},
        BadContract{"UnknownCloud", "  c: {clouds: [azur], from: 2026-01-01, to: 2027-01-01}\n", 6,
            "contracts.c.clouds[0]", "no cloud 'azur'", "'azure'"},
        BadContract{"OtherCurrency", YEAR "    currency: EUR\n", 10, "contracts.c.currency",
            "in EUR, the books are in USD", "in USD"},
        BadContract{"RateIsNoNumber", YEAR "    prices:\n      - {price: {input: cheap}}\n", 11,
            "contracts.c.prices[0].price.input", "'cheap' is not a price", "decimal per million"},
        BadContract{"RateIsNegative", YEAR "    prices:\n      - {price: {input: '-1'}}\n", 11,
            "contracts.c.prices[0].price.input", "'-1' is not a price", "not negative"},
        BadContract{"DiscountIsNoNumber", YEAR "    discounts:\n      - {off: ten}\n", 11,
            "contracts.c.discounts[0].off", "'ten' is not a share", "12%"},
        BadContract{"DiscountAboveOne", YEAR "    discounts:\n      - {off: '101%'}\n", 11,
            "contracts.c.discounts[0].off", "a discount of 101/100", "0 to 1"},
        BadContract{"DiscountBelowZero", YEAR "    discounts:\n      - {off: '-0.1'}\n", 11,
            "contracts.c.discounts[0].off", "a discount of -1/10", "0 to 1"},
        BadContract{"DiscountsTogetherAboveOne",
            YEAR "    discounts:\n      - {off: '60%'}\n      - {off: '41%', models: [gpt-5]}\n",
            11, "contracts.c.discounts[0].off", "more than the whole", "of: net"},
        BadContract{"DiscountOutsideTheTerm",
            YEAR "    discounts:\n      - {off: '6%', from: 2027-01-01}\n", 11,
            "contracts.c.discounts[0].from", "it never holds", "within the term"},
        BadContract{"DiscountOfAnotherCloud",
            YEAR "    discounts:\n      - {off: '6%', clouds: [openai]}\n", 11,
            "contracts.c.discounts[0].clouds", "covers none of these clouds", "of the contract"},
        BadContract{"OverlappingPrices",
            YEAR "    prices:\n      - {models: ['gpt-*'], price: {input: '1'}}\n"
                 "      - {models: [gpt-5], price: {input: '2', output: '3'}}\n",
            12, "contracts.c.prices[1]", "meets prices[0]", "part them"},
        BadContract{"NoPrice", YEAR "    prices:\n      - {price: {}}\n", 11,
            "contracts.c.prices[0].price", "no price", "input"},
        BadContract{"TiersOutOfOrder",
            YEAR "    volume:\n      - steps:\n          - {over: '200', off: '1%'}\n"
                 "          - {over: '100', off: '2%'}\n",
            13, "contracts.c.volume[0].steps[1].over", "100.00 does not come after", "rising"},
        BadContract{"StepWithDiscountAndPrice",
            YEAR "    volume:\n      - {steps: [{over: '1', off: '1%', price: '1'}]}\n", 11,
            "contracts.c.volume[0].steps[0]", "either 'off' or 'price'", "in place of"},
        BadContract{"PriceOfSeveralMeters",
            YEAR "    volume:\n      - {steps: [{over: '1', price: '1'}]}\n", 11,
            "contracts.c.volume[0].steps[0].price", "of one meter", "meters"},
        BadContract{"BeyondTheCalendar",
            "  c: {clouds: [azure], from: 2260-01-01, to: 2261-12-31, commitment: {amount: '5'}}\n",
            6, "contracts.c.from", "no day of a contract", "1970 to 2200"},
        BadContract{"NoSteps", YEAR "    volume:\n      - {steps: []}\n", 11,
            "contracts.c.volume[0].steps", "no steps", "over"},
        BadContract{"PartOfAUnit",
            YEAR "    volume:\n      - {measure: units, steps: [{over: '1.5', off: '1%'}]}\n", 11,
            "contracts.c.volume[0]", "whole number", "1000000"},
        BadContract{"VolumesMeet",
            YEAR "    volume:\n      - {steps: [{over: '1', off: '1%'}]}\n"
                 "      - {meters: [output], steps: [{over: '1', off: '1%'}]}\n",
            12, "contracts.c.volume[1]", "meets volume[0]", "part them"},
        BadContract{"CommitmentOfNothing", YEAR "    commitment: {amount: '0'}\n", 10,
            "contracts.c.commitment.amount", "a commitment of 0.00", "above 0"},
        BadContract{"CommitmentWithoutAmount", YEAR "    commitment: {per: year}\n", 10,
            "contracts.c.commitment", "neither an amount nor milestones", "amount"},
        BadContract{"CommitmentWithoutEligibleClouds",
            YEAR "    commitment: {amount: '5', eligible: {clouds: [openai]}}\n", 10,
            "contracts.c.commitment.eligible.clouds", "no cloud counts", "the contract covers"},
        BadContract{"CommitmentOfAnotherSeller",
            "  c:\n    kind: aws_edp\n    clouds: [azure]\n    from: 2026-01-01\n"
            "    to: 2027-01-01\n    commitment: {amount: '5'}\n",
            8, "contracts.c.clouds", "those of kind bedrock do under aws_edp", "kind"},
        BadContract{"AmountsDoNotFitTheWindows",
            YEAR "    commitment: {amount: ['5', '6'], per: year}\n", 10,
            "contracts.c.commitment.amount", "2 amounts for the 1 periods", "one for each"},
        BadContract{"MilestonesOutOfOrder",
            YEAR "    commitment:\n      milestones:\n        - {by: 2026-06-01, amount: '5'}\n"
                 "        - {by: 2026-05-01, amount: '6'}\n",
            13, "contracts.c.commitment.milestones[1].by", "does not come after", "order"},
        BadContract{"MilestonesFall",
            YEAR "    commitment:\n      milestones:\n        - {by: 2026-05-01, amount: '5'}\n"
                 "        - {by: 2026-06-01, amount: '4'}\n",
            13, "contracts.c.commitment.milestones[1].amount", "less than the 5.00", "never falls"},
        BadContract{"MilestoneBeyondTheTerm",
            YEAR "    commitment: {milestones: [{by: 2028-01-01, amount: '5'}]}\n", 10,
            "contracts.c.commitment.milestones[0].by", "not within the term", "day of the term"},
        BadContract{"ShortfallAboveOne",
            YEAR "    commitment: {amount: '5', shortfall: {charged: '2'}}\n", 10,
            "contracts.c.commitment.shortfall.charged", "a charge of 2", "0 to 1"},
        BadContract{"CapacityOfNoOffer",
            YEAR "    provisioned: {p: {offers: [gpt-5/ptv], units: 1, hourly: '1', "
                 "tokens_per_minute: 1}}\n",
            10, "contracts.c.provisioned.p.offers[0]", "no offer 'gpt-5/ptv'", "gpt-5/ptu"},
        BadContract{"CapacityThatServesNothing",
            YEAR "    provisioned: {p: {offers: [gpt-5/ptu], units: 1, hourly: '1'}}\n", 10,
            "contracts.c.provisioned.p", "not clear", "tokens_per_minute"},
        BadContract{"CapacitySpillsIntoItself",
            YEAR
            "    provisioned: {p: {offers: [gpt-5/ptu], units: 1, hourly: '1', tokens_per_minute: "
            "1, spill_over: gpt-5/ptu}}\n",
            10, "contracts.c.provisioned.p.spill_over", "full already", "another offer"},
        BadContract{"TwoCapacitiesOfOneOffer",
            YEAR "    provisioned:\n"
                 "      p: {offers: [gpt-5/ptu], units: 1, hourly: '1', tokens_per_minute: 1}\n"
                 "      q: {offers: ['gpt-5/p*'], units: 1, hourly: '1', tokens_per_minute: 1}\n",
            12, "contracts.c.provisioned.q.offers", "'p' serves one", "one capacity"},
        BadContract{"ConstraintsThatContradict",
            "  c:\n    clouds: ['*']\n    from: 2026-01-01\n    to: 2027-01-01\n"
            "    constraints:\n      only_through:\n"
            "        - {models: [gpt-5], clouds: [azure]}\n"
            "        - {models: ['gpt-*'], clouds: [openai]}\n",
            13, "contracts.c.constraints.only_through[1]", "those are others", "once"},
        BadContract{"ACloudUnderTwoContracts",
            YEAR "  d: {clouds: ['a*'], from: 2026-12-31, to: 2028-01-01}\n", 10,
            "contracts.d.clouds",
            "the cloud 'azure' is under the contract 'c' too, from 2026-12-31 to 2027-01-01",
            "end one before"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Contracts, TermsAreBoundedInNumber) {
    std::string text = YEAR "    discounts:\n";
    for (int i = 0; i < 300; ++i) text += "      - {off: '0%'}\n";
    const Loaded loaded = load(text);
    EXPECT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.problems.at(0).at.line, 11u + 256u);
    EXPECT_NE(loaded.problems[0].cause.find("more than 256"), std::string::npos);
}

TEST(Contracts, TheExampleOfTheReferenceIsRead) {
    std::ifstream file(std::string(ENTREPOT_SOURCE_DIR) + "/docs/reference/contracts.md");
    std::stringstream page;
    page << file.rdbuf();
    const std::string text = page.str();
    const auto begin = text.find("```yaml\n") + 8;
    Environment any;
    any.variable = [](const std::string&) { return "value"; };
    any.file = [](const std::string&) -> Result<std::string> { return fail(ErrorCode::kIo, ""); };
    const Loaded loaded =
        load_text(text.substr(begin, text.find("```\n", begin) - begin), "contracts.md", any);
    EXPECT_EQ(format_problems(loaded.problems), "");
}

TEST(Contracts, OneAfterTheOtherOrOfOtherModelsIsNoContradiction) {
    const auto told = [](std::string_view more) {
        return format_problems(load(fmt::format("{}{}", YEAR, more)).problems);
    };
    EXPECT_EQ(told("  d: {clouds: [azure], from: 2027-01-01, to: 2028-01-01}\n"), "");
    EXPECT_EQ(told("  d: {clouds: [openai], from: 2026-01-01, to: 2028-01-01}\n"), "");
    EXPECT_NE(
        told("  d: {clouds: ['*'], models: [gpt-5], from: 2026-01-01, to: 2028-01-01}\n"), "");
    // Long prompts, another tier and another time are other lines.
    EXPECT_EQ(told("    prices:\n"
                   "      - {price: {input: '1'}}\n"
                   "      - {price: {input: '1'}, prompts_over: 200000}\n"
                   "      - {price: {input: '1'}, tiers: [batch], to: 2026-06-01}\n"
                   "      - {price: {input: '1'}, tiers: [batch], from: 2026-06-01}\n"),
        "");
}

}  // namespace
}  // namespace entrepot::config
