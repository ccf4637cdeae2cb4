#pragma once

// What the files of this folder share.

#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "canon/reply.h"
#include "canon/request.h"
#include "canon/usage.h"
#include "dialect/dialect.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::cohere {

inline constexpr std::string_view kName = "cohere";

/// The mark of a thought that stood in `tool_plan`, beside the calls that it leads to.
inline constexpr std::string_view kToolPlan = "tool_plan";

[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context);
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target);
[[nodiscard]] std::unique_ptr<ReplyDecoder> reply_decoder(ReplyForm form);
[[nodiscard]] std::unique_ptr<ReplyEncoder> reply_encoder(
    ReplyForm form, const ReplyContext& context);
[[nodiscard]] canon::Failure decode_failure(
    int status, std::span<const Header> headers, std::string_view body);
[[nodiscard]] std::string encode_failure(const canon::Failure& failure);

[[nodiscard]] canon::StopReason stop_reason_of(std::string_view word);
[[nodiscard]] std::string_view stop_word_of(canon::StopReason reason);

/// What is billed. The tokens that the model processed besides (templates, of which much is cached)
/// are counted by the maker for information; where it states nothing else, they are all there is.
[[nodiscard]] canon::Usage usage_of(const json::Value& usage);
/// As this maker stated it, where it did; else from the normal form.
void write_usage(json::Writer& writer, const canon::UsageReported& report);

[[nodiscard]] bool is_plan(std::span<const canon::Extra> marks);

}  // namespace entrepot::dialect::cohere
