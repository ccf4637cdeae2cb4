#include "dialect/oci/oci.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/oci/parts.h"

namespace entrepot::dialect::oci {
namespace {

using canon::Meter;
using canon::StopReason;

constexpr Dialect made(std::string_view name,
    Result<EncodedRequest> (*encode)(const canon::Request&, const EncodeTarget&),
    std::unique_ptr<ReplyDecoder> (*decoder)(ReplyForm)) {
    return {
        .name = name,
        .stream_content_type = "text/event-stream",
        .model_field = "",
        .request_id_header = "opc-request-id",
        .reads_reply_headers = true,
        .encode_request = encode,
        .reply_decoder = decoder,
        .decode_failure = decode_failure,
        .encode_failure = encode_failure,
    };
}

struct Word {
    std::string_view word;
    StopReason reason;
};
// Oracle passes on what each maker says.
constexpr auto kWords = std::to_array<Word>({
    {"stop", StopReason::kStop},
    {"complete", StopReason::kStop},
    {"end_turn", StopReason::kStop},
    {"eos", StopReason::kStop},
    {"stop_sequence", StopReason::kStopSequence},
    {"length", StopReason::kLength},
    {"max_tokens", StopReason::kLength},
    {"tool_calls", StopReason::kToolCalls},
    {"tool_call", StopReason::kToolCalls},
    {"tool_use", StopReason::kToolCalls},
    {"function_call", StopReason::kToolCalls},
    {"content_filter", StopReason::kContentFilter},
    {"error_toxic", StopReason::kContentFilter},
    {"safety", StopReason::kContentFilter},
    {"recitation", StopReason::kContentFilter},
    {"prohibited_content", StopReason::kContentFilter},
    {"blocklist", StopReason::kContentFilter},
    {"spii", StopReason::kContentFilter},
    {"refusal", StopReason::kRefusal},
    {"error_limit", StopReason::kContextExceeded},
    {"malformed_function_call", StopReason::kMalformed},
});

std::int64_t count(const json::Value& value) {
    // A supplier's count is no reason to compute with a negative one; the bound keeps sums in 64
    // bits.
    return std::clamp<std::int64_t>(value.as_int().value_or(0), 0, std::int64_t{1} << 50);
}

}  // namespace

const Dialect& generic() {
    static constexpr Dialect kDialect = made(kName, encode_generic, generic_decoder);
    return kDialect;
}

const Dialect& cohere() {
    static constexpr Dialect kDialect = made("oci-cohere", encode_cohere, cohere_decoder);
    return kDialect;
}

const Dialect& cohere_v2() {
    static constexpr Dialect kDialect = made("oci-cohere-v2", encode_cohere_v2, cohere_decoder);
    return kDialect;
}

StopReason stop_reason_of(std::string_view word) {
    const std::string lower = to_lower(word);
    const auto* found = std::ranges::find(kWords, std::string_view(lower), &Word::word);
    return found == kWords.end() ? StopReason::kOther : found->reason;
}

canon::Usage usage_of(const json::Value& usage) {
    const std::int64_t prompt = count(usage["promptTokens"]);
    std::int64_t completion = count(usage["completionTokens"]);
    const std::int64_t total = count(usage["totalTokens"]);
    std::int64_t reasoning = count(usage["completionTokensDetails"]["reasoningTokens"]);
    // xAI counts reasoning outside the completion, Google in the total and nowhere else; both bill
    // it as output, and the arithmetic of the total shows it. What else stands there alone was
    // consumed all the same.
    const std::int64_t left_out = total - prompt - completion;
    if (left_out > 0) {
        completion += left_out;
        if (reasoning == 0) reasoning = left_out;
    } else if (reasoning > completion) {
        completion += reasoning;
    }
    canon::Usage out;
    out[Meter::kCacheRead] = std::min(count(usage["promptTokensDetails"]["cachedTokens"]), prompt);
    out[Meter::kInput] = prompt - out[Meter::kCacheRead];
    out[Meter::kOutput] = completion;
    out[Meter::kReasoning] = std::min(reasoning, completion);
    return out;
}

}  // namespace entrepot::dialect::oci
