#include "dialect/bedrock_converse/parts.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/bedrock_converse/bedrock_converse.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Media;
using canon::Meter;
using canon::StopReason;

struct StopWord {
    std::string_view word;
    StopReason reason;
};
// For a reason with several words the first is written.
constexpr std::array kStopWords{
    StopWord{"end_turn", StopReason::kStop},
    StopWord{"tool_use", StopReason::kToolCalls},
    StopWord{"max_tokens", StopReason::kLength},
    StopWord{"stop_sequence", StopReason::kStopSequence},
    StopWord{"content_filtered", StopReason::kContentFilter},
    StopWord{"guardrail_intervened", StopReason::kContentFilter},
    StopWord{"malformed_model_output", StopReason::kMalformed},
    StopWord{"malformed_tool_use", StopReason::kMalformed},
    StopWord{"model_context_window_exceeded", StopReason::kContextExceeded},
    StopWord{"refusal", StopReason::kRefusal},
};

struct Format {
    Media::Kind kind;
    std::string_view format;
    std::string_view media_type;
};
// The first row of a format is the type it is read as; further rows are other spellings.
constexpr std::array kFormats{
    Format{Media::Kind::kImage, "png", "image/png"},
    Format{Media::Kind::kImage, "jpeg", "image/jpeg"},
    Format{Media::Kind::kImage, "jpeg", "image/jpg"},
    Format{Media::Kind::kImage, "gif", "image/gif"},
    Format{Media::Kind::kImage, "webp", "image/webp"},
    Format{Media::Kind::kDocument, "pdf", "application/pdf"},
    Format{Media::Kind::kDocument, "csv", "text/csv"},
    Format{Media::Kind::kDocument, "doc", "application/msword"},
    Format{Media::Kind::kDocument, "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    Format{Media::Kind::kDocument, "xls", "application/vnd.ms-excel"},
    Format{Media::Kind::kDocument, "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    Format{Media::Kind::kDocument, "html", "text/html"},
    Format{Media::Kind::kDocument, "txt", "text/plain"},
    Format{Media::Kind::kDocument, "md", "text/markdown"},
    Format{Media::Kind::kAudio, "mp3", "audio/mpeg"},
    Format{Media::Kind::kAudio, "mp3", "audio/mp3"},
    Format{Media::Kind::kAudio, "wav", "audio/wav"},
    Format{Media::Kind::kAudio, "wav", "audio/x-wav"},
    Format{Media::Kind::kAudio, "opus", "audio/opus"},
    Format{Media::Kind::kAudio, "aac", "audio/aac"},
    Format{Media::Kind::kAudio, "flac", "audio/flac"},
    Format{Media::Kind::kAudio, "mp4", "audio/mp4"},
    Format{Media::Kind::kAudio, "ogg", "audio/ogg"},
    Format{Media::Kind::kAudio, "webm", "audio/webm"},
    Format{Media::Kind::kVideo, "mp4", "video/mp4"},
    Format{Media::Kind::kVideo, "mov", "video/quicktime"},
    Format{Media::Kind::kVideo, "mkv", "video/x-matroska"},
    Format{Media::Kind::kVideo, "webm", "video/webm"},
    Format{Media::Kind::kVideo, "flv", "video/x-flv"},
    Format{Media::Kind::kVideo, "mpeg", "video/mpeg"},
    Format{Media::Kind::kVideo, "wmv", "video/x-ms-wmv"},
    Format{Media::Kind::kVideo, "three_gp", "video/3gpp"},
};

// A supplier's count is no reason to compute with a negative one.
std::int64_t count(const json::Value& value) {
    return std::max<std::int64_t>(value.as_int().value_or(0), 0);
}

/// A meter that has an old name and a new one, of which the reply may state either or both.
std::int64_t count_of_either(
    const json::Value& usage, std::string_view name, std::string_view old_name) {
    const json::Value* value = usage.find(name);
    return count(value != nullptr && value->is_number() ? *value : usage[old_name]);
}

}  // namespace

const Dialect kDialect{
    .name = kName,
    .stream_content_type = "application/vnd.amazon.eventstream",
    .has_model_in_path = true,
    .model_field = "",
    .request_id_header = "x-amzn-requestid",
    .decode_request = decode_request,
    .encode_request = encode_request,
    .reply_decoder = reply_decoder,
    .reply_encoder = reply_encoder,
    .decode_failure = decode_failure,
    .encode_failure = encode_failure,
    .adopt_failure = adopt_failure,
    .failure_headers = [](const canon::Failure& failure) -> std::vector<Header> {
        return {{"x-amzn-errortype", std::string(error_type(failure))}};
    },
};

StopReason stop_reason(std::string_view word) {
    const auto* found = std::ranges::find(kStopWords, word, &StopWord::word);
    return found == kStopWords.end() ? StopReason::kOther : found->reason;
}

std::string_view stop_word(StopReason reason) {
    if (reason == StopReason::kRefusal)
        return "content_filtered";  // an older client knows no other
    const auto* found = std::ranges::find(kStopWords, reason, &StopWord::reason);
    return found == kStopWords.end() ? "end_turn" : found->word;
}

canon::Usage usage_of(const json::Value& usage) {
    canon::Usage out;
    std::int64_t input = count(usage["inputTokens"]);
    const std::int64_t output = count(usage["outputTokens"]);
    const std::int64_t read =
        count_of_either(usage, "cacheReadInputTokens", "cacheReadInputTokenCount");
    const std::int64_t written =
        count_of_either(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount");
    // `inputTokens` excludes what the cache held, and the total says so. Where the total shows that
    // it was counted inside (streams of some models), it is taken out, or the client would pay for
    // it twice.
    const std::int64_t cached = read + written;
    if (cached > 0 && usage["totalTokens"].is_number() &&
        count(usage["totalTokens"]) == input + output && cached <= input)
        input -= cached;
    std::int64_t written_long = 0;
    for (const json::Value& detail : usage["cacheDetails"].items())
        if (detail["ttl"].string() == "1h") written_long += count(detail["inputTokens"]);
    written_long = std::min(written_long, written);
    out[Meter::kInput] = input;
    out[Meter::kOutput] = output;
    out[Meter::kCacheRead] = read;
    out[Meter::kCacheWrite] = written - written_long;
    out[Meter::kCacheWriteLong] = written_long;
    return out;
}

void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::optional<canon::Opaque>& stated) {
    if (stated && stated->origin == kName) {
        // Its clients' types demand these three.
        const auto own = json::Document::parse(stated->json);
        const auto has = [&](std::string_view key) { return own->root()[key].is_number(); };
        if (own && has("inputTokens") && has("outputTokens") && has("totalTokens")) {
            writer.raw(stated->json);
            return;
        }
    }
    const std::int64_t read = usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead];
    const std::int64_t shorter = usage[Meter::kCacheWrite];
    const std::int64_t longer = usage[Meter::kCacheWriteLong];
    const std::int64_t prompt = usage.prompt_tokens();
    const std::int64_t answer = usage.answer_tokens();
    writer.begin_object();
    writer.member("inputTokens", prompt - read - shorter - longer);
    writer.member("outputTokens", answer);
    writer.member("totalTokens", prompt + answer);
    if (read + shorter + longer > 0) {
        writer.member("cacheReadInputTokens", read);
        writer.member("cacheWriteInputTokens", shorter + longer);
    }
    if (longer > 0) {
        writer.key("cacheDetails").begin_array();
        if (shorter > 0)
            writer.begin_object().member("ttl", "5m").member("inputTokens", shorter).end_object();
        writer.begin_object().member("ttl", "1h").member("inputTokens", longer).end_object();
        writer.end_array();
    }
    writer.end_object();
}

std::string_view format_of(const Media& media) {
    const std::string type = to_lower(trim(split(media.media_type, ';').front()));
    for (const Format& row : kFormats)
        if (row.kind == media.kind && row.media_type == type) return row.format;
    return {};
}

std::string media_type_of(Media::Kind kind, std::string_view format) {
    for (const Format& row : kFormats)
        if (row.kind == kind && row.format == format) return std::string(row.media_type);
    if (format.find('/') != std::string_view::npos) return std::string(format);
    return std::string(kind == Media::Kind::kDocument ? "application" : block_name(kind)) + "/" +
        std::string(format);
}

std::string_view block_name(Media::Kind kind) {
    switch (kind) {
        case Media::Kind::kImage: return "image";
        case Media::Kind::kAudio: return "audio";
        case Media::Kind::kVideo: return "video";
        case Media::Kind::kDocument: return "document";
    }
    return "image";
}

bool is_object(std::string_view text) {
    const auto parsed = json::Document::parse(std::string(text));
    return parsed && parsed->root().is_object();
}

}  // namespace entrepot::dialect::bedrock_converse
