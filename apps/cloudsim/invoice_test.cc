#include "cloudsim/invoice.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace entrepot::cloudsim {
namespace {

using canon::Meter;

canon::Usage usage_of(std::int64_t input, std::int64_t cached, std::int64_t output) {
    canon::Usage usage;
    usage[Meter::kInput] = input;
    usage[Meter::kCacheRead] = cached;
    usage[Meter::kOutput] = output;
    return usage;
}

const Instant kMorning = parse_instant("2026-12-31T23:10:00Z").value();

TEST(Invoices, SumAnHourBySkuAndPriceItToTheLastUnit) {
    Invoices invoices;
    invoices.add("azure", "gpt-4o-mini", usage_of(1, 1, 0), kMorning);
    invoices.add("azure", "gpt-4o-mini", usage_of(2, 0, 0), kMorning + std::chrono::minutes(20));
    const std::string bill = invoices.bill("azure").value();
    EXPECT_EQ(std::ranges::count(bill, '\n'), 3) << bill;
    // Three tokens at 0.165 a million; the period ends with the year.
    EXPECT_NE(bill.find("\r\n0.000000495,0.000000495,"), std::string::npos) << bill;
    EXPECT_NE(bill.find(",2026-12-01T00:00:00Z,2027-01-01T00:00:00Z,2026-12-31T23:00:00Z,"
                        "2027-01-01T00:00:00Z,Usage,,gpt-4o-mini-0718-Inp-regnl Tokens,Microsoft,"),
        std::string::npos)
        << bill;
    EXPECT_NE(bill.find(",0.003,1K tokens,3,Tokens,swedencentral,"), std::string::npos) << bill;
    EXPECT_NE(bill.find("\r\n0.000000083,"), std::string::npos) << bill;
}

TEST(Invoices, CostsOfOpenAiAndAnthropicComeByTheDayInTheirUnits) {
    Invoices invoices;
    for (const int minutes : {0, -120}) {
        const Instant at = kMorning + std::chrono::minutes(minutes);
        invoices.add("openai", "gpt-4o-mini", usage_of(10, 0, 0), at);
        invoices.add("anthropic", "claude-haiku-4-5-20251001", usage_of(0, 0, 3), at);
    }
    const std::string openai = invoices.bill("openai").value();
    EXPECT_NE(openai.find(R"({"value":0.000003,"currency":"usd"},"line_item":)"
                          R"("gpt-4o-mini-2024-07-18, input","quantity":20})"),
        std::string::npos)
        << openai;
    const std::string anthropic = invoices.bill("anthropic").value();
    EXPECT_EQ(std::ranges::count(anthropic, '\n'), 2);
    EXPECT_NE(anthropic.find(R"("amount":"0.003")"), std::string::npos) << "cents: " << anthropic;
    EXPECT_NE(anthropic.find(R"("output_tokens":3)"), std::string::npos) << anthropic;
    EXPECT_EQ(invoices.sellers(), (std::vector<std::string>{"anthropic", "openai"}));
}

TEST(Invoices, UsageWithoutAPriceIsAnErrorThatNamesIt) {
    Invoices invoices;
    EXPECT_EQ(invoices.bill("oci").error().code, ErrorCode::kNotFound);
    canon::Usage usage;
    usage[Meter::kAudioIn] = 5;
    invoices.add("gemini", "gemini-2.5-flash", usage, kMorning);
    const auto bill = invoices.bill("gcp");
    ASSERT_FALSE(bill);
    EXPECT_NE(
        bill.error().message.find("no audio_in of gemini-2.5-flash at gemini"), std::string::npos)
        << bill.error().message;
    invoices.clear();
    EXPECT_TRUE(invoices.sellers().empty());
}

}  // namespace
}  // namespace entrepot::cloudsim
