#pragma once

#include <string_view>

#include "dialect/dialect.h"

namespace entrepot::dialect::bedrock_converse {

inline constexpr std::string_view kName = "bedrock-converse";

/// AWS Bedrock's Converse (whole) and ConverseStream (binary event stream), both ways. The model
/// and whether to stream stand in the path, not in the body: `decode_request` takes both from its
/// context, and `encode_request` writes neither.
extern const Dialect kDialect;

/// The value of `x-amzn-errortype` for a failure, e.g. `ThrottlingException`: Bedrock's clients
/// read it before the body.
[[nodiscard]] std::string_view error_type(canon::FailureKind kind);
/// The word that AWS itself used, where it was AWS that failed.
[[nodiscard]] std::string_view error_type(const canon::Failure& failure);

}  // namespace entrepot::dialect::bedrock_converse
