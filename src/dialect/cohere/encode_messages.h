#pragma once

#include "canon/request.h"
#include "dialect/losses.h"
#include "json/writer.h"

namespace entrepot::dialect::cohere {

/// Canon's items as the member `messages`. Errors: kUnsupported, as the policy says.
[[nodiscard]] Status write_messages(
    json::Writer& writer, const canon::Request& request, Losses& losses);

}  // namespace entrepot::dialect::cohere
