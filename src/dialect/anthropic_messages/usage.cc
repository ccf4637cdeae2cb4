#include "dialect/anthropic_messages/usage.h"

#include <algorithm>

#include "dialect/anthropic_messages/names.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Meter;

// A count that is absent, null or negative leaves what was known. The bound keeps sums in 64 bits.
bool take(const json::Value& value, std::int64_t& count) {
    const std::optional<std::int64_t> stated = value.as_int();
    if (!stated || *stated < 0) return false;
    count = std::min<std::int64_t>(*stated, std::int64_t{1} << 50);
    return true;
}

}  // namespace

bool UsageCounts::read(const json::Value& usage, Tokens& tokens) {
    bool has_any = take(usage["input_tokens"], tokens.input);
    has_any |= take(usage["cache_read_input_tokens"], tokens.cache_read);
    has_any |= take(usage["output_tokens"], tokens.output);
    take(usage["output_tokens_details"]["thinking_tokens"], tokens.thinking);
    const bool was_all_long =
        tokens.cache_write_long > 0 && tokens.cache_write_long == tokens.cache_write;
    const bool has_writes = take(usage["cache_creation_input_tokens"], tokens.cache_write);
    const json::Value& split = usage["cache_creation"];
    std::int64_t brief = 0;
    std::int64_t lasting = 0;
    const bool has_brief = take(split["ephemeral_5m_input_tokens"], brief);
    const bool has_lasting = take(split["ephemeral_1h_input_tokens"], lasting);
    if (has_brief || has_lasting) {
        tokens.cache_write_long = lasting;
        // Old replies have the sum alone; where both are there the split is a detail of the sum.
        if (!has_writes) tokens.cache_write = brief + lasting;
    } else if (has_writes && was_all_long) {
        // A stream's last usage has the sum without the split: the lifetime in use is still that.
        tokens.cache_write_long = tokens.cache_write;
    }
    tokens.cache_write_long = std::min(tokens.cache_write_long, tokens.cache_write);
    return has_any || has_writes;
}

canon::Usage UsageCounts::normal(const Tokens& tokens) {
    canon::Usage usage;
    usage[Meter::kInput] = tokens.input;
    usage[Meter::kCacheRead] = tokens.cache_read;
    usage[Meter::kCacheWrite] = tokens.cache_write - tokens.cache_write_long;
    usage[Meter::kCacheWriteLong] = tokens.cache_write_long;
    usage[Meter::kOutput] = tokens.output;
    usage[Meter::kReasoning] = std::min(tokens.thinking, tokens.output);
    return usage;
}

void UsageCounts::overlay(const json::Value& usage) {
    if (!usage.is_object()) return;
    has_any_ |= read(usage, top_);
    take(usage["server_tool_use"]["web_search_requests"], searches_);
    take(usage["server_tool_use"]["web_fetch_requests"], fetches_);

    const auto passes = usage["iterations"].items();
    if (passes.empty()) return;
    // The top level counts the passes of type `message`, or the fallback that answered in their
    // stead. A compaction, an advisor (another model) or a refused first pass is billed beside it.
    const json::Value* fallback = nullptr;
    for (const json::Value& pass : passes) {
        if (pass["type"].string() == "fallback_message") fallback = &pass;
    }
    passes_beside_ = {};
    for (const json::Value& pass : passes) {
        const bool is_counted =
            fallback != nullptr ? &pass == fallback : pass["type"].string() == "message";
        if (is_counted) continue;
        Tokens tokens;
        read(pass, tokens);
        passes_beside_ = passes_beside_ + normal(tokens);
    }
}

canon::Usage UsageCounts::total() const {
    canon::Usage usage = normal(top_) + passes_beside_;
    usage[Meter::kSearches] = searches_;
    usage[Meter::kToolCalls] = fetches_;
    return usage;
}

void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::optional<canon::Opaque>& stated) {
    if (stated && stated->origin == kName) {
        // Its clients' types demand these two.
        const auto own = json::Document::parse(stated->json);
        if (own && own->root()["input_tokens"].is_number() &&
            own->root()["output_tokens"].is_number()) {
            writer.raw(stated->json);
            return;
        }
    }
    const std::int64_t brief = usage[Meter::kCacheWrite];
    const std::int64_t lasting = usage[Meter::kCacheWriteLong];
    const std::int64_t cache_read = usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead];
    writer.begin_object();
    writer.member("input_tokens", usage.prompt_tokens() - brief - lasting - cache_read);
    writer.member("cache_creation_input_tokens", brief + lasting);
    writer.member("cache_read_input_tokens", cache_read);
    writer.key("cache_creation").begin_object();
    writer.member("ephemeral_5m_input_tokens", brief);
    writer.member("ephemeral_1h_input_tokens", lasting);
    writer.end_object();
    writer.member("output_tokens", usage.answer_tokens());
    if (usage[Meter::kReasoning] != 0) {
        writer.key("output_tokens_details").begin_object();
        writer.member("thinking_tokens", usage[Meter::kReasoning]);
        writer.end_object();
    }
    if (usage[Meter::kSearches] != 0 || usage[Meter::kToolCalls] != 0) {
        writer.key("server_tool_use").begin_object();
        writer.member("web_search_requests", usage[Meter::kSearches]);
        writer.member("web_fetch_requests", usage[Meter::kToolCalls]);
        writer.end_object();
    }
    writer.end_object();
}

}  // namespace entrepot::dialect::anthropic_messages
