#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialect/dropped.h"
#include "json/writer.h"

// What stands beside the answer in a reply of chat completions, brought to what OpenAI's own types
// accept: a client that checks its replies refuses the whole of one over a single word.
namespace entrepot::dialect::openai_chat {

/// Asides of one place, to be written beside its own members.
using Asides = std::vector<std::pair<std::string, std::string>>;  // name, JSON

/// Lays what came in pieces over what is there: lists are joined, log probabilities list by list,
/// objects laid over each other; else the last stands.
void merge_aside(Asides& asides, std::string_view name, const std::string& json);
void write_asides(json::Writer& writer, const Asides& asides);

/// The value of the aside `key` (as canon has it) as OpenAI's types take it; nothing when nothing
/// of it can be shown. What was taken away is named in `dropped`; an empty service tier says
/// nothing, so it goes without.
[[nodiscard]] std::optional<std::string> fit_aside(
    std::string_view key, const std::string& json, Dropped& dropped);

/// OpenAI's word for a service tier of any supplier (Groq's `on_demand` is `default`), empty when
/// it has none.
[[nodiscard]] std::string_view service_tier_word(std::string_view tier);

/// The list with an `index` in every object that has none, from `next` on, which moves behind the
/// largest. SDKs that fold deltas demand one. Anything but a list of objects stays as it is.
[[nodiscard]] std::string with_indexes(const std::string& json, std::int64_t& next);

}  // namespace entrepot::dialect::openai_chat
