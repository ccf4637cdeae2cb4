#include <gtest/gtest.h>

#include "config/load.h"

namespace entrepot::config {
namespace {

std::vector<std::string> problems_of(std::string_view text) {
    std::vector<std::string> out;
    for (const Problem& problem : load_text(text, "test.yaml", Environment{}).problems)
        out.push_back(problem.cause);
    return out;
}

TEST(Vertex, NeedsAProjectAPlaceAndCredentials) {
    const auto problems = problems_of("clouds: {g: {kind: vertex}}\n");
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_EQ(problems[0],
        "'service_account' is missing: vertex refuses requests without "
        "credentials");
    EXPECT_EQ(problems[1], "'project' is missing: a vertex path names it");
    EXPECT_EQ(problems[2], "'region' is missing: a vertex path names it");
    EXPECT_TRUE(
        problems_of("clouds: {g: {kind: vertex, project: acme-1, region: eu, credentials: "
                    "{from: metadata}}}\n")
            .empty());
}

TEST(Vertex, AKeyAloneIsExpressModeWhichSellsGooglesModelsAnywhere) {
    EXPECT_TRUE(problems_of("clouds: {g: {kind: vertex, api_key: k}}\n").empty());
    const auto placed = problems_of("clouds: {g: {kind: vertex, api_key: k, region: eu}}\n");
    ASSERT_EQ(placed.size(), 1U);
    EXPECT_NE(placed[0].find("express mode"), std::string::npos);
    const auto foreign = problems_of(
        "clouds: {g: {kind: vertex, api_key: k}}\n"
        "models: {m: {offers: {a: {cloud: g, id: claude-opus-4-8, "
        "max_output_tokens: 9, context_tokens: 99}}}}\n");
    ASSERT_EQ(foreign.size(), 1U);
    EXPECT_NE(foreign[0].find("one of anthropic's"), std::string::npos);
}

TEST(Vertex, AnOfferCannotBeElsewhereThanItsCloud) {
    const auto problems = problems_of(
        "clouds: {g: {kind: vertex, project: acme-1, region: eu, credentials: {from: metadata}}}\n"
        "models: {m: {offers: {a: {cloud: g, id: gemini-2.5-pro, region: global}}}}\n");
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0], "the cloud 'g' processes in 'eu', as its address says");
}

}  // namespace
}  // namespace entrepot::config
