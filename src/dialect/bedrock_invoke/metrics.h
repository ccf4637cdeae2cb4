#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "canon/usage.h"
#include "dialect/dialect.h"
#include "json/value.h"

// What Bedrock says around a model's own reply: counts, guardrails.
namespace entrepot::dialect::bedrock_invoke {

/// Members of a reply that are Bedrock's and not the model's begin so.
inline constexpr std::string_view kOwnPrefix = "amazon-bedrock-";
inline constexpr std::string_view kMetrics = "amazon-bedrock-invocationMetrics";
inline constexpr std::string_view kGuardrailAction = "amazon-bedrock-guardrailAction";

/// Token counts as Bedrock states them; each may be absent. Cached tokens are beside the input.
struct Counts {
    std::optional<std::int64_t> input;
    std::optional<std::int64_t> output;
    std::optional<std::int64_t> cache_read;
    std::optional<std::int64_t> cache_write;

    [[nodiscard]] bool is_empty() const { return !input && !output; }
};
[[nodiscard]] Counts counts_of_metrics(const json::Value& metrics);
/// `x-amzn-bedrock-{input,output,cache-read-input,cache-write-input}-token-count`.
[[nodiscard]] Counts counts_of_headers(std::span<const Header> headers);
/// The first that states one, meter by meter.
[[nodiscard]] canon::Usage usage_of(std::span<const Counts> by_rank);

/// `{"inputTokenCount":..}` for the last event of a stream. Latencies are not ours to state: they
/// are those of the supplier's own metrics (`stated`, JSON; empty: it stated none).
[[nodiscard]] std::string metrics_of(const canon::Usage& usage, const std::string& stated);
[[nodiscard]] std::vector<Header> headers_of(const canon::Usage& usage);

/// A model's reply and what Bedrock laid into it.
struct Parted {
    std::string own;  ///< the reply without Bedrock's members; empty when it has none of them
    std::vector<std::pair<std::string, std::string>> bedrock;  ///< name, JSON
    bool has_more = false;                                     ///< the model itself said something
};
[[nodiscard]] Parted part_from_bedrock(const json::Value& reply);

}  // namespace entrepot::dialect::bedrock_invoke
