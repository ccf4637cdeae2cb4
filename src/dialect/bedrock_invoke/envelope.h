#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "canon/request.h"
#include "dialect/dialect.h"
#include "dialect/losses.h"

// What a request says in the headers of InvokeModel, where Converse has fields of the body:
// guardrail, latency, tier. In canon they are Converse's fields, so both operations meet there.
namespace entrepot::dialect::bedrock_invoke {

/// The envelope's headers into the request: `service_tier`, and extras of Converse's.
void read_envelope(std::span<const Header> headers, canon::Request& request);

/// A request without its envelope, and the envelope as headers.
struct Opened {
    const canon::Request* request = nullptr;  ///< the given one, or `changed`
    canon::Request changed;
    std::vector<Header> headers;
};
/// Takes out what goes into headers. Copies the request only where there is something to take.
/// `opened.request` lives as long as both the given request and `opened`.
/// Errors: kUnsupported, as `on_lossy` says.
[[nodiscard]] Status open_envelope(const canon::Request& request, Losses& losses, Opened& opened);

}  // namespace entrepot::dialect::bedrock_invoke
