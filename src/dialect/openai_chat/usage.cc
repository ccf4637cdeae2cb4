#include "dialect/openai_chat/usage.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "dialect/openai_chat/request.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {
namespace {

using canon::Meter;

// Far above any real count, far below what overflows when a few are added.
constexpr std::int64_t kCountMax = std::int64_t{1} << 50;

/// What the object says, under its own names.
struct Stated {
    std::int64_t prompt = 0;
    std::int64_t completion = 0;
    std::int64_t total = 0;
    std::int64_t cached = 0;
    std::int64_t cache_write = 0;
    std::int64_t cache_write_long = 0;
    std::int64_t audio_in = 0;
    std::int64_t reasoning = 0;
    std::int64_t audio_out = 0;
    std::int64_t image_out = 0;
    std::int64_t searches = 0;
    std::int64_t audio_seconds = 0;
    bool has_cached = false;
    bool has_cache_write = false;
    bool has_counts = false;  // of the prompt, the completion or both together
};

std::int64_t count(json::Cursor& cursor) {
    if (cursor.peek() != json::Kind::kNumber) {
        cursor.skip();
        return 0;
    }
    const std::string_view text = cursor.number();
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [at, code] = std::from_chars(text.data(), end, value);
    if (code != std::errc() || value < 0) return 0;
    // `12.0` is twelve; `1e3` is nobody's spelling of a count.
    if (at != end && *at != '.') return 0;
    return std::min(value, kCountMax);
}

/// Hands the key of each member of the object that comes next to `read`, which consumes its value.
/// Passes over anything else, and says so.
template <typename Read>
bool read_object(json::Cursor& cursor, Read read) {
    if (cursor.peek() != json::Kind::kObject) {
        cursor.skip();
        return false;
    }
    cursor.enter_object();
    while (cursor.next_member()) read(cursor.key());
    return true;
}

void read_prompt_details(json::Cursor& cursor, Stated& stated) {
    read_object(cursor, [&](std::string_view key) {
        if (key == "cached_tokens") {
            stated.cached = count(cursor);
            stated.has_cached = true;
        } else if (key == "cache_write_tokens" || key == "cache_creation_tokens") {
            stated.cache_write = count(cursor);
            stated.has_cache_write = true;
        } else if (key == "audio_tokens") {
            stated.audio_in = count(cursor);
        } else {
            cursor.skip();
        }
    });
}

void read_completion_details(json::Cursor& cursor, Stated& stated) {
    read_object(cursor, [&](std::string_view key) {
        if (key == "reasoning_tokens")
            stated.reasoning = count(cursor);
        else if (key == "audio_tokens")
            stated.audio_out = count(cursor);
        else if (key == "image_tokens")
            stated.image_out = count(cursor);
        else
            cursor.skip();
    });
}

/// The one count of the object that comes next that is of interest; 0 when it is not there.
std::int64_t count_within(json::Cursor& cursor, std::string_view name) {
    std::int64_t found = 0;
    read_object(cursor, [&](std::string_view key) {
        if (key == name)
            found = count(cursor);
        else
            cursor.skip();
    });
    return found;
}

void read_member(json::Cursor& cursor, std::string_view key, Stated& stated) {
    if (key == "prompt_tokens" || key == "completion_tokens" || key == "total_tokens")
        stated.has_counts = stated.has_counts || cursor.peek() == json::Kind::kNumber;
    if (key == "prompt_tokens") {
        stated.prompt = count(cursor);
    } else if (key == "completion_tokens") {
        stated.completion = count(cursor);
    } else if (key == "total_tokens") {
        stated.total = count(cursor);
    } else if (key == "prompt_tokens_details") {
        read_prompt_details(cursor, stated);
    } else if (key == "completion_tokens_details") {
        read_completion_details(cursor, stated);
    } else if (key == "prompt_cache_hit_tokens" || key == "cache_read_input_tokens") {
        const std::int64_t hits = count(cursor);  // DeepSeek; gateways in front of Claude
        if (!stated.has_cached) stated.cached = std::max(stated.cached, hits);
    } else if (key == "cache_creation_input_tokens") {
        const std::int64_t written = count(cursor);
        if (!stated.has_cache_write) stated.cache_write = std::max(stated.cache_write, written);
    } else if (key == "cache_creation") {
        // Gateways in front of Claude repeat its own names beside OpenAI's.
        stated.cache_write_long = count_within(cursor, "ephemeral_1h_input_tokens");
    } else if (key == "num_sources_used") {
        stated.searches = count(cursor);  // xAI sells live search by the source
    } else if (key == "server_tool_use_details" || key == "server_tool_use") {
        stated.searches = count_within(cursor, "web_search_requests");
    } else if (key == "prompt_audio_seconds") {
        stated.audio_seconds = count(cursor);
    } else {
        cursor.skip();
    }
}

/// Brings back inside what the supplier counts outside `prompt` and `completion`.
void include_what_was_left_out(Stated& stated) {
    const std::int64_t extra = stated.total - stated.prompt - stated.completion;
    if (extra <= 0) {
        // What is larger than the whole is no part of it: Vercel's gateway leaves Gemini's thoughts
        // out of both sums, and its `cost` has them.
        if (stated.reasoning > stated.completion) stated.completion += stated.reasoning;
        return;
    }
    if (extra == stated.reasoning) {
        stated.completion += extra;
    } else if (extra == stated.audio_in) {
        stated.prompt += extra;
    } else if (extra == stated.reasoning + stated.audio_in) {
        stated.prompt += stated.audio_in;
        stated.completion += stated.reasoning;
    } else if (stated.reasoning == 0 && stated.audio_in == 0) {
        // Google's shim counts thoughts in the total and nowhere else, and bills them as output.
        stated.completion += extra;
        stated.reasoning = extra;
    }
}

/// The members of `object` that are not `written`, and are something.
void write_rest(json::Writer& writer, const json::Value& object,
    std::initializer_list<std::string_view> written) {
    for (const json::Member& member : object.members())
        if (!member.value.is_null() && std::ranges::find(written, member.key) == written.end())
            writer.member_raw(member.key, member.value.raw());
}

canon::Usage to_normal_form(Stated stated) {
    include_what_was_left_out(stated);
    stated.cache_write_long = std::min(stated.cache_write_long, stated.cache_write);
    canon::Usage usage;
    usage[Meter::kCacheRead] = stated.cached;
    usage[Meter::kCacheWrite] = stated.cache_write - stated.cache_write_long;
    usage[Meter::kCacheWriteLong] = stated.cache_write_long;
    // OpenRouter reports tokens that were written and read in one call under both names, and bills
    // both: then they overlap in the prompt.
    const bool overlaps = stated.cached + stated.cache_write > stated.prompt;
    const std::int64_t beside_caches = stated.prompt -
        (overlaps ? std::max(stated.cached, stated.cache_write)
                  : stated.cached + stated.cache_write);
    // Sound that was read from the cache is counted as read; what remains is fresh.
    usage[Meter::kAudioIn] =
        std::clamp<std::int64_t>(std::min(stated.audio_in, beside_caches), 0, stated.audio_in);
    usage[Meter::kInput] = std::max<std::int64_t>(0, beside_caches - usage[Meter::kAudioIn]);
    usage[Meter::kAudioOut] = std::min(stated.audio_out, stated.completion);
    usage[Meter::kImageOut] =
        std::min(stated.image_out, stated.completion - usage[Meter::kAudioOut]);
    usage[Meter::kOutput] = stated.completion - usage[Meter::kAudioOut] - usage[Meter::kImageOut];
    usage[Meter::kReasoning] = std::min(stated.reasoning, stated.completion);
    usage[Meter::kSearches] = stated.searches;
    usage[Meter::kAudioSeconds] = stated.audio_seconds;
    return usage;
}

}  // namespace

canon::Usage read_usage(json::Cursor& cursor, bool* has_counts) {
    Stated stated;
    const auto read = [&](std::string_view key) { read_member(cursor, key, stated); };
    if (!read_object(cursor, read)) return {};
    if (has_counts != nullptr) *has_counts = stated.has_counts;
    return to_normal_form(stated);
}

canon::Usage read_usage(std::string_view object) {
    json::Cursor cursor(object, json::Numbers::kPadded);
    return read_usage(cursor);
}

void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::optional<canon::Opaque>& stated) {
    const auto document = stated && is_ours(stated->origin)
        ? json::Document::parse(stated->json)
        : Result<json::Document>(fail(ErrorCode::kUnsupported, ""));
    static const json::Value kNothing;
    const json::Value& home = document ? document->root() : kNothing;
    const std::int64_t prompt = usage.prompt_tokens();
    const std::int64_t answer = usage.answer_tokens();
    const std::int64_t written = usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
    const json::Value& of_prompt = home["prompt_tokens_details"];
    const json::Value& of_answer = home["completion_tokens_details"];
    writer.begin_object()
        .member("prompt_tokens", prompt)
        .member("completion_tokens", answer)
        .member("total_tokens", prompt + answer)
        .key("prompt_tokens_details")
        .begin_object()
        .member("cached_tokens", usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead])
        .member("audio_tokens", usage[Meter::kAudioIn] + usage[Meter::kAudioCacheRead]);
    if (written != 0) writer.member("cache_write_tokens", written);
    write_rest(writer, of_prompt,
        {"cached_tokens", "audio_tokens", written != 0 ? "cache_write_tokens" : ""});
    const bool has_images = usage[Meter::kImageOut] != 0;
    writer.end_object()
        .key("completion_tokens_details")
        .begin_object()
        .member("reasoning_tokens", usage[Meter::kReasoning])
        .member("audio_tokens", usage[Meter::kAudioOut]);
    if (has_images) writer.member("image_tokens", usage[Meter::kImageOut]);
    for (const std::string_view key : {"accepted_prediction_tokens", "rejected_prediction_tokens"})
        writer.member(key, of_answer[key].as_int().value_or(0));
    write_rest(writer, of_answer,
        {"reasoning_tokens", "audio_tokens", "accepted_prediction_tokens",
            "rejected_prediction_tokens", has_images ? "image_tokens" : ""});
    writer.end_object();
    write_rest(writer, home,
        {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details",
            "completion_tokens_details"});
    writer.end_object();
}

}  // namespace entrepot::dialect::openai_chat
