#pragma once

// What the files of this folder share.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/reply.h"
#include "canon/request.h"
#include "canon/usage.h"
#include "dialect/dialect.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_converse {

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
/// Dialect::adopt_failure.
void adopt_failure(canon::Failure& failure);

/// A failure of that exception type, in any spelling (`validationException`,
/// `com.amazon#ThrottlingException:http`). `status` 0: the type's own.
[[nodiscard]] canon::Failure failure_of(
    std::string_view type, std::string_view message, int status = 0);
/// The name of the exception frame for a failure: `throttlingException`.
[[nodiscard]] std::string exception_type(const canon::Failure& failure);

[[nodiscard]] canon::StopReason stop_reason(std::string_view word);
[[nodiscard]] std::string_view stop_word(canon::StopReason reason);

/// `usage` of a reply to the normal form.
[[nodiscard]] canon::Usage usage_of(const json::Value& usage);
/// The object as it was `stated`, where it was this dialect's.
void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::optional<canon::Opaque>& stated);

/// `png` for `image/png`; empty when Converse has no such format. And back.
[[nodiscard]] std::string_view format_of(const canon::Media& media);
[[nodiscard]] std::string media_type_of(canon::Media::Kind kind, std::string_view format);
/// `image`, `audio`, `video`, `document`.
[[nodiscard]] std::string_view block_name(canon::Media::Kind kind);

/// The id itself, or one that Bedrock and its clients take: the same for a call and its result, and
/// in every turn.
[[nodiscard]] std::string legal_call_id(std::string_view id);

/// Whether `text` is one JSON object.
[[nodiscard]] bool is_object(std::string_view text);

}  // namespace entrepot::dialect::bedrock_converse
