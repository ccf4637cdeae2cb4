#include "control/stored_rates.h"

#include <gtest/gtest.h>

namespace entrepot::control {
namespace {

constexpr Instant kNow{1'795'176'000'000'000'000};  // 2026-11-20T12:00:00Z

TEST(StoredRates, ReadWhatTheyWrote) {
    const auto rates = read_rates(
        R"({"rates":[{"offer":"m/*","contract":"acme","region":"eu","tier":"batch",)"
        R"("prompts_over":200000,"uplift":"1.1","prices":{"input":"2.50","cache_write_long":"5"},)"
        R"("from":"2026-12-01","to":"2027-01-01"}]})",
        kNow);
    ASSERT_TRUE(rates) << rates.error().message;
    contracts::OwnRate rate = rates->at(0);
    EXPECT_EQ(rate.prices[0].second.to_per_million(), "2.75");
    EXPECT_FALSE(rate.is_late());
    rate.number = 3;
    const std::string json = rate_to_json(rate);
    EXPECT_NE(json.find(R"("input":"2.50")"), std::string::npos) << json;
    const auto again = rate_of_store(json);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(rate_to_json(*again), json);
    EXPECT_EQ(again->prices, rate.prices);
}

TEST(StoredRates, WithoutADayApplyFromTheNextMidnightOn) {
    const auto rates = read_rates(R"({"offer":"m/a","prices":{"input":"1"}})", kNow);
    ASSERT_TRUE(rates);
    EXPECT_EQ(to_rfc3339(rates->at(0).from), "2026-11-21T00:00:00.000Z");
}

TEST(StoredRates, AStatementThatIsNoneIsRefusedByItsPlace) {
    const struct {
        std::string_view text, place, words;
    } cases[] = {
        {R"({"rates":[{"offer":"m/a","prices":{"input":"1"}},{"offer":"m/a","prices":{"inpt":"1"}}]})",
            "rates[1].prices.inpt", "did you mean 'input'"},
        {R"({"offer":"m/a","prices":{"input":"one"}})", "prices.input", "no price"},
        {R"({"offer":"m/a","prices":{"input":1.5}})", "prices.input", "no price"},
        {R"({"offer":"m/a","prices":{"input":"-1"}})", "prices.input", "no price"},
        {R"({"offer":"m/a","prices":{"input":"1","input":"2"}})", "prices.input", "twice"},
        {R"({"offer":"m/a","prices":{"input":"0.000001"},"uplift":"1.1"})", "prices.input",
            "more than six decimals"},
        {R"({"offer":"m/a","prices":{}})", "prices", "no price is stated"},
        {R"({"prices":{"input":"1"}})", "offer", "missing"},
        {R"({"offer":"m/a","prices":{"input":"1"},"from":"2026-11-20T09:00:00Z"})", "from",
            "midnight"},
        {R"({"offer":"m/a","prices":{"input":"1"},"from":"2026-12-02","to":"2026-12-02"})", "to",
            "does not come after"},
        {R"({"offer":"m/a","prices":{"input":"1"},"tier":"cheap"})", "tier", "no tier"},
        {R"({"offer":"m/a","prices":{"input":"1"},"uplift":"0"})", "uplift", "no factor"},
        {R"({"offer":"m/a","prices":{"input":"1"},"prompts_over":-1})", "prompts_over",
            "no number"},
        {R"({"offer":"m/a","prices":{"input":"1"},"known":"2020-01-01"})", "known",
            "no such member"},
        {R"({"rates":[]})", "rates", "1 to 500"},
        {R"([1])", "", "must be an object"},
    };
    for (const auto& [text, place, words] : cases) {
        const auto rates = read_rates(text, kNow);
        ASSERT_FALSE(rates) << text;
        EXPECT_EQ(rates.error().field, place) << text;
        EXPECT_NE(rates.error().message.find(words), std::string::npos) << rates.error().message;
    }
}

}  // namespace
}  // namespace entrepot::control
