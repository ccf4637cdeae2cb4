#pragma once

// What the files of this folder share.

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/reply.h"
#include "canon/request.h"
#include "canon/usage.h"
#include "dialect/dialect.h"
#include "dialect/losses.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::oci {

inline constexpr std::string_view kName = "oci";

[[nodiscard]] Result<EncodedRequest> encode_generic(
    const canon::Request& request, const EncodeTarget& target);
[[nodiscard]] Result<EncodedRequest> encode_cohere(
    const canon::Request& request, const EncodeTarget& target);
[[nodiscard]] Result<EncodedRequest> encode_cohere_v2(
    const canon::Request& request, const EncodeTarget& target);
/// The two know each other's replies as well; what differs is how a stream ends.
[[nodiscard]] std::unique_ptr<ReplyDecoder> generic_decoder(ReplyForm form);
[[nodiscard]] std::unique_ptr<ReplyDecoder> cohere_decoder(ReplyForm form);
[[nodiscard]] canon::Failure decode_failure(
    int status, std::span<const Header> headers, std::string_view body);
[[nodiscard]] std::string encode_failure(const canon::Failure& failure);

/// The body around a chat request: whose compartment, which model, and `write`'s members behind
/// `apiFormat`. An OCID of an endpoint is a dedicated one.
[[nodiscard]] Result<EncodedRequest> in_envelope(const canon::Request& request,
    const EncodeTarget& target, std::string_view api_format, Losses& losses,
    const std::function<Status(json::Writer&)>& write);

/// `messages[2]`, by the item's turn.
[[nodiscard]] std::string path_of(const canon::Item& item);
/// What rides beside an item and has no place in any of the formats.
[[nodiscard]] Status lose_riders(const canon::Item& item, Losses& losses);
/// The same of a tool.
[[nodiscard]] Status lose_riders(const canon::Tool& tool, std::string_view path, Losses& losses);
/// The tools that are offered: those that the client's choice allows, without what only another
/// supplier runs. `named`: whether the choice of one is said otherwise. Errors: kUnsupported.
[[nodiscard]] Result<std::vector<const canon::Tool*>> offered_tools(
    const canon::Request& request, bool can_name_one, Losses& losses);
/// The cap to state, if any.
[[nodiscard]] std::optional<std::int64_t> cap_of(
    const canon::Request& request, const EncodeTarget& target);
/// Temperature, `topP`, `topK`, seed and penalties, which all formats have under one name.
void write_sampling(json::Writer& writer, const canon::Request& request);
/// Errors: kUnsupported for a penalty that Cohere's models do not know, which is from 0 to 1.
[[nodiscard]] Status check_penalties(const canon::Request& request, const Losses& losses);
/// A text as a part of a message.
[[nodiscard]] std::string text_part(std::string_view text);
/// `data:image/png;base64,...`, or the URL itself.
[[nodiscard]] std::string url_of(const canon::Media& media, std::string_view fallback_type);
/// `AUTO`, `LOW` or `HIGH`; empty for others.
[[nodiscard]] std::string_view detail_of(const canon::Media& media);
/// The fields of canon that none of the formats has.
[[nodiscard]] Status lose_common(const canon::Request& request, Losses& losses);
/// The fields that only the client's own dialect knows.
[[nodiscard]] Status lose_extras(const canon::Request& request, Losses& losses);

/// A reason in any of the words that makers are known to use there, in any case.
[[nodiscard]] canon::StopReason stop_reason_of(std::string_view word);
[[nodiscard]] canon::Usage usage_of(const json::Value& usage);

}  // namespace entrepot::dialect::oci
