#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "canon/usage.h"
#include "catalog/tier.h"

namespace entrepot::reconcile {

using canon::Meter;
using catalog::Tier;

/// What one name on a bill sells. What it does not say is absent, and not compared.
struct Sku {
    std::string model;           ///< canonical, else as the bill says in lower case; empty: none
    std::optional<Meter> meter;  ///< what is counted; none: no usage that we meter
    std::optional<Tier> tier;
    std::optional<bool> is_long;  ///< priced for long prompts
    std::string region;
    std::int64_t unit = 1;  ///< of the meter's units in one that is billed; 0: not known
    /// Sold by value: units that cost a fixed price, whatever model they were spent on.
    bool is_consumption_unit = false;
    bool is_model_use = true;  ///< false: another service of the seller
};

/// How many units one of `text` is: `1K tokens` 1,000, `1M` 1,000,000, `Tokens` 1. 0: no count at
/// all (hours, gigabytes), or unknown.
[[nodiscard]] std::int64_t unit_of(std::string_view text);

/// What words say of tokens: meter, tier, band, and `global` as region.
[[nodiscard]] Sku sku_of_words(std::string_view text);

struct AwsNames {
    std::string_view usage_type;   ///< `USE1-MP:USE1_InputTokenCount-Units`
    std::string_view product;      ///< `Claude Sonnet 4.5 (Amazon Bedrock Edition)`
    std::string_view service;      ///< `AmazonBedrock`
    std::string_view description;  ///< of the line
    std::string_view unit;         ///< `1M tokens`
    std::string_view region;       ///< `us-east-1`, where a column says so
};
[[nodiscard]] Sku aws_sku(const AwsNames& names);

struct AzureNames {
    std::string_view meter;     ///< `gpt 4.1 Inp glbl Tokens`
    std::string_view unit;      ///< `1K`
    std::string_view category;  ///< `Azure OpenAI`, `Foundry Models`
    std::string_view region;
};
[[nodiscard]] Sku azure_sku(const AzureNames& names);

struct GoogleNames {
    std::string_view description;  ///< `Gemini 2.5 Flash GA Text Input - Predictions`
    std::string_view service;      ///< `Vertex AI`
    std::string_view unit;         ///< `count`
    std::string_view region;
};
[[nodiscard]] Sku google_sku(const GoogleNames& names);

/// OpenAI's `line_item`: `priority | gpt-5.6-sol, cached input, long context`.
[[nodiscard]] Sku openai_sku(std::string_view line_item);

/// `claude-sonnet-4-5`, `cache_creation.ephemeral_5m_input_tokens` or the console's words.
[[nodiscard]] Sku anthropic_sku(std::string_view model, std::string_view token_type,
    std::string_view context_window, std::string_view tier);

/// A name of any other seller, model and words in one.
[[nodiscard]] Sku plain_sku(std::string_view text, std::string_view unit);

}  // namespace entrepot::reconcile
