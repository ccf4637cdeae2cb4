#pragma once

// What the files of this folder share.

#include <initializer_list>
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
#include "dialect/sealed_signature.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::gemini {

/// Which of Google's two services is spoken to, or spoken as.
enum class Service : std::uint8_t { kGemini, kVertex };

[[nodiscard]] Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context, Service service);
[[nodiscard]] Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target, Service service);
[[nodiscard]] std::unique_ptr<ReplyDecoder> reply_decoder(ReplyForm form, Service service);
[[nodiscard]] std::unique_ptr<ReplyEncoder> reply_encoder(
    ReplyForm form, const ReplyContext& context, Service service);
[[nodiscard]] canon::Failure decode_failure(
    int status, std::span<const Header> headers, std::string_view body);
[[nodiscard]] std::string encode_failure(const canon::Failure& failure);
/// Dialect::adopt_failure.
void adopt_failure(canon::Failure& failure);
/// The failure of an `error` object; its `code` is the status unless one is given.
[[nodiscard]] canon::Failure failure_of(const json::Value& error, int status = 0);

/// Whether a request of this origin was written in this dialect.
[[nodiscard]] bool is_own(std::string_view origin);

// ---- members, which Google's servers take in camelCase and in snake_case

/// Whether `key` spells `camel` (`maxOutputTokens`) in either case.
[[nodiscard]] bool spells(std::string_view key, std::string_view camel);
/// The member of that name that is not null, in either spelling, or nullptr.
[[nodiscard]] const json::Value* find(const json::Value& object, std::string_view camel);
/// The same, with a shared null for nothing, so that look-ups chain.
[[nodiscard]] const json::Value& get(const json::Value& object, std::string_view camel);
/// Items of a list; a lone value is a list of one, as Google's servers read it; none for null.
[[nodiscard]] std::span<const json::Value> items_of(const json::Value& list);
/// What the known names leave over and is not null, as extras under `path`, in camelCase.
void keep_rest(const json::Value& object, std::string_view path,
    std::initializer_list<std::string_view> known, std::vector<canon::Extra>& extras);
/// `max_output_tokens` to `maxOutputTokens`.
[[nodiscard]] std::string camel_of(std::string_view key);
/// The member's own name at the end of an extra's path.
[[nodiscard]] std::string_view last_key(std::string_view path);
/// An enum by its name, in any case, or by its number among `words`; empty for none of them.
[[nodiscard]] std::string enum_word(
    const json::Value& value, std::span<const std::string_view> words);

/// Whether `text` is one JSON object.
[[nodiscard]] bool is_object(std::string_view text);
/// Ids that we made up, because Google gave none, begin so; they are never shown to Google.
/// The mark of a call that another supplier made and nobody signed.
inline constexpr std::string_view kMadeElsewhereMark = "made_elsewhere";
inline constexpr std::string_view kMadeUpId = "gcall_";

/// The same JSON without line ends, which Google's own clients cannot read in a stream.
[[nodiscard]] std::string one_line(std::string json);

// ---- media

/// What a part of that type is to canon: `application/pdf` is a document.
[[nodiscard]] canon::Media::Kind media_kind(std::string_view media_type);

// ---- signatures

/// The signature in `thoughtSignature` of a request: Google's own, or another maker's that was
/// sealed for a client of Google's, who hands it back unread.
[[nodiscard]] Sealed read_signature(std::string_view text);
/// The other way: Google's own as it is, others sealed. The clients read base64.
[[nodiscard]] std::string signature_text(const canon::Signature& signature, Sealed::Of of);

// ---- replies

/// The finish reason's name, whether spelled or numbered.
[[nodiscard]] std::string finish_word(const json::Value& value, Service service);
[[nodiscard]] std::string block_word(const json::Value& value, Service service);
[[nodiscard]] canon::StopReason stop_reason(std::string_view word);
[[nodiscard]] std::string_view stop_word(canon::StopReason reason);

/// Counts of a reply as they come, chunk by chunk: each names some fields, the last of each stands.
class UsageReader {
public:
    /// Takes over what `metadata` (`usageMetadata`) states. False when it states no count.
    bool lay_over(const json::Value& metadata);
    /// In normal form. `searches` and `tool_calls` are the caller's.
    [[nodiscard]] canon::Usage usage() const;
    /// `flex`, `ON_DEMAND_PRIORITY`: in the supplier's word, empty while it has not said.
    [[nodiscard]] std::string_view tier() const { return tier_; }

private:
    struct Modalities {
        std::int64_t audio = 0;
        std::int64_t image = 0;
    };
    static Modalities modalities_of(const json::Value& details);

    std::int64_t prompt_ = 0;
    std::int64_t cached_ = 0;
    std::optional<std::int64_t> candidates_;
    std::int64_t thoughts_ = 0;
    std::int64_t tool_use_ = 0;
    std::int64_t total_ = 0;
    Modalities prompt_of_;
    Modalities cached_of_;
    Modalities tool_use_of_;
    Modalities candidates_of_;
    std::string tier_;
};

/// `usageMetadata`: as Google stated it where it did and that is all of it, else written anew.
void write_usage(json::Writer& writer, const canon::UsageReported& report, Service service);

}  // namespace entrepot::dialect::gemini
