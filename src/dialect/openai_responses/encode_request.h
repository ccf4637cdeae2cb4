#pragma once

#include <span>

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_responses {

/// Canon to a request of a supplier; see Dialect::encode_request. Nothing is stored there unless
/// the client asked for it in this dialect, or says so.
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target);

/// The tool, choice and format members as this dialect writes them, for requests and for replies
/// that repeat them.
void write_function(json::Writer& writer, const canon::Tool& tool, bool is_own);
void write_choice(json::Writer& writer, const canon::Request& request);
/// Of `extras` those that stood in the format are written too.
void write_format(json::Writer& writer, const canon::ResponseFormat& format,
    std::span<const canon::Extra> extras = {});

}  // namespace entrepot::dialect::openai_responses
