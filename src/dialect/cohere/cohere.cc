#include "dialect/cohere/cohere.h"

#include <algorithm>
#include <array>

#include "dialect/cohere/parts.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::Meter;
using canon::StopReason;

struct Word {
    std::string_view word;
    StopReason reason;
};
// For a reason with several words the first is written.
constexpr std::array kWords{
    Word{"COMPLETE", StopReason::kStop},
    Word{"STOP_SEQUENCE", StopReason::kStopSequence},
    Word{"MAX_TOKENS", StopReason::kLength},
    Word{"TOOL_CALL", StopReason::kToolCalls},
};

std::int64_t count(const json::Value& value) {
    // A supplier's count is no reason to compute with a negative one; the bound keeps sums in 64
    // bits.
    return std::clamp<std::int64_t>(value.as_int().value_or(0), 0, std::int64_t{1} << 50);
}

}  // namespace

const Dialect& dialect() {
    static constexpr Dialect kDialect{
        .name = kName,
        .stream_content_type = "text/event-stream",
        .decode_request = decode_request,
        .encode_request = encode_request,
        .reply_decoder = reply_decoder,
        .reply_encoder = reply_encoder,
        .decode_failure = decode_failure,
        .encode_failure = encode_failure,
    };
    return kDialect;
}

StopReason stop_reason_of(std::string_view word) {
    const auto* found = std::ranges::find(kWords, word, &Word::word);
    return found == kWords.end() ? StopReason::kOther : found->reason;
}

std::string_view stop_word_of(StopReason reason) {
    if (reason == StopReason::kContextExceeded) return "MAX_TOKENS";
    const auto* found = std::ranges::find(kWords, reason, &Word::reason);
    return found == kWords.end() ? "COMPLETE" : found->word;
}

canon::Usage usage_of(const json::Value& usage) {
    const json::Value& billed = usage["billed_units"];
    const json::Value& counts = billed["input_tokens"].is_number() ? billed : usage["tokens"];
    canon::Usage out;
    out[Meter::kInput] = count(counts["input_tokens"]);
    out[Meter::kOutput] = count(counts["output_tokens"]);
    out[Meter::kReasoning] =
        std::min(count(usage["tokens"]["reasoning_tokens"]), out[Meter::kOutput]);
    return out;
}

void write_usage(json::Writer& writer, const canon::UsageReported& report) {
    if (report.stated && report.stated->origin == kName) {
        writer.raw(report.stated->json);
        return;
    }
    const canon::Usage& usage = report.usage;
    writer.begin_object().key("billed_units").begin_object();
    writer.member("input_tokens", usage.prompt_tokens());
    writer.member("output_tokens", usage.answer_tokens());
    writer.end_object().key("tokens").begin_object();
    writer.member("input_tokens", usage.prompt_tokens());
    writer.member("output_tokens", usage.answer_tokens());
    if (usage[Meter::kReasoning] > 0) writer.member("reasoning_tokens", usage[Meter::kReasoning]);
    writer.end_object().end_object();
}

bool is_plan(std::span<const canon::Extra> marks) {
    return std::ranges::find(marks, kToolPlan, &canon::Extra::path) != marks.end();
}

}  // namespace entrepot::dialect::cohere
