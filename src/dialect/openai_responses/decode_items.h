#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "canon/request.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {

/// Reads `input` (a text, or a list of items) into `request.items`: each item is a turn of its own,
/// the first is turn 1. What only servers write (ids, status, phase, citations) becomes
/// `Item::marks`; items that only this dialect knows stay opaque. Signatures that were sealed for
/// another maker stand where they stood.
/// Errors: kInvalidField with the field.
[[nodiscard]] Status decode_input(const json::Value& input, canon::Request& request);

/// The source of a `data:` URL or another URL.
void set_source(canon::Media& media, std::string_view url);

}  // namespace entrepot::dialect::openai_responses
