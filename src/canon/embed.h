#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace entrepot::canon {

/// What vectors are for. It changes them, where a supplier asks for it at all.
enum class EmbedPurpose : std::uint8_t {
    kUnsaid,
    kQuery,     ///< to search with
    kDocument,  ///< to be found
    kSimilarity,
    kClassification,
    kClustering,
    kQuestionAnswering,
    kFactVerification,
    kCodeQuery,
};
/// `query`, `document`, `similarity`, ...: as the configuration writes it.
[[nodiscard]] std::string_view embed_purpose_name(EmbedPurpose purpose);
[[nodiscard]] std::optional<EmbedPurpose> parse_embed_purpose(std::string_view name);

/// How the numbers of a vector are written.
enum class VectorForm : std::uint8_t {
    kFloat,   ///< a JSON array of numbers
    kBase64,  ///< float32, little-endian, in base64
    kInt8,    ///< a JSON array; so are the rest
    kUint8,
    kBinary,   ///< eight signs to a signed byte
    kUbinary,  ///< likewise, unsigned
};

/// One vector of an answer.
struct Vector {
    std::uint32_t index = 0;  ///< of its input
    VectorForm form = VectorForm::kFloat;
    std::string numbers;  ///< JSON array, spelled as the supplier did; or the base64 text
    friend bool operator==(const Vector&, const Vector&) = default;
};

/// How many tokens a request would be.
struct TokensCounted {
    std::int64_t input_tokens = 0;
    friend bool operator==(const TokensCounted&, const TokensCounted&) = default;
};

}  // namespace entrepot::canon
