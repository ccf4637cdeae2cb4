#pragma once

#include <set>
#include <string>

#include "canon/request.h"
#include "dialect/losses.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {

/// `cache_control` of a block or a tool.
void write_cache(json::Writer& writer, const canon::CacheMark& mark);

/// Extras of this dialect that stood directly under `prefix`, written back as members.
void write_extras(
    json::Writer& writer, const std::vector<canon::Extra>& extras, std::string_view prefix);

/// The name of a field that rode along with a block or a tool (`messages[0].content[1].caller`).
[[nodiscard]] std::string_view key_of(const canon::Extra& extra);

/// Marks that are to be written: a request from elsewhere keeps its last four.
/// Errors: as `losses` says.
[[nodiscard]] Result<std::set<const canon::CacheMark*>> choose_marks(
    const canon::Request& request, Losses& losses);

/// Writes the members `system` and `messages`.
/// Errors: kUnsupported with the field, as `losses` says and where the supplier takes no such
/// thing.
[[nodiscard]] Status write_conversation(json::Writer& writer, const canon::Request& request,
    const std::set<const canon::CacheMark*>& marks, Losses& losses);

}  // namespace entrepot::dialect::anthropic_messages
