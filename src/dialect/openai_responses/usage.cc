#include "dialect/openai_responses/usage.h"

#include <algorithm>
#include <cstdint>

namespace entrepot::dialect::openai_responses {
namespace {

using canon::Meter;
using json::Value;

// More than any reply holds; keeps sums of hostile counts within 64 bits.
constexpr std::int64_t kCountMax = std::int64_t{1} << 50;

std::int64_t count(const Value& value) {
    const std::int64_t number = value.as_int().value_or(0);
    return number > kCountMax ? 0 : std::max<std::int64_t>(number, 0);
}

/// What the output shows of the supplier's own tools.
void count_items(const Value& response, canon::Usage& usage) {
    for (const Value& item : response["output"].items()) {
        const std::string_view type = item["type"].string();
        const std::string_view action = item["action"]["type"].string();
        if (type == "web_search_call" && (action.empty() || action == "search"))
            ++usage[Meter::kSearches];
        if (type == "image_generation_call" && !item["result"].string().empty())
            ++usage[Meter::kImages];
        if (type == "file_search_call" || type == "code_interpreter_call" || type == "mcp_call")
            ++usage[Meter::kToolCalls];
    }
}

}  // namespace

canon::Usage usage_of(const Value& response) {
    const Value& stated = response["usage"];
    canon::Usage usage;
    const std::int64_t input = count(stated["input_tokens"]);
    const Value& in = stated["input_tokens_details"];
    const std::int64_t read = std::min(count(in["cached_tokens"]), input);
    const std::int64_t written = std::min(count(in["cache_write_tokens"]), input);
    // The same tokens may be told as read and as written in one call; both are billed.
    const std::int64_t cached = read + written <= input ? read + written : std::max(read, written);
    usage[Meter::kInput] = input - cached;
    usage[Meter::kCacheRead] = read;
    const std::int64_t written_long =
        std::min(count(in["cache_write_tokens_details"]["ttl_12h_tokens"]), written);
    usage[Meter::kCacheWrite] = written - written_long;
    usage[Meter::kCacheWriteLong] = written_long;
    usage[Meter::kOutput] = count(stated["output_tokens"]);
    usage[Meter::kReasoning] =
        std::min(count(stated["output_tokens_details"]["reasoning_tokens"]), usage[Meter::kOutput]);
    count_items(response, usage);
    if (const Value& search = response["tool_usage"]["web_search"]["num_requests"];
        search.is_number())
        usage[Meter::kSearches] = count(search);
    if (const Value& details = stated["server_side_tool_usage_details"]; details.is_object()) {
        usage[Meter::kSearches] =
            count(details["web_search_calls"]) + count(details["x_search_calls"]);
        usage[Meter::kToolCalls] = count(details["code_interpreter_calls"]) +
            count(details["file_search_calls"]) + count(details["document_search_calls"]) +
            count(details["mcp_calls"]);
        usage[Meter::kImages] = count(details["image_generation_calls"]);
    }
    return usage;
}

bool is_counted(std::string_view key) {
    return key == "input_tokens" || key == "input_tokens_details" || key == "output_tokens" ||
        key == "output_tokens_details" || key == "total_tokens";
}

void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::vector<canon::Aside>& beside) {
    constexpr std::string_view kPrefix = "usage.";
    const std::int64_t prompt = usage.prompt_tokens();
    const std::int64_t answer = usage.answer_tokens();
    writer.begin_object().member("input_tokens", prompt);
    writer.key("input_tokens_details").begin_object();
    writer.member("cached_tokens", usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead]);
    writer.member("cache_write_tokens", usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong]);
    if (usage[Meter::kCacheWriteLong] != 0) {
        writer.key("cache_write_tokens_details").begin_object();
        writer.member("ttl_12h_tokens", usage[Meter::kCacheWriteLong]);
        writer.member("ttl_30m_tokens", usage[Meter::kCacheWrite]).end_object();
    }
    writer.end_object().member("output_tokens", answer);
    writer.key("output_tokens_details").begin_object();
    writer.member("reasoning_tokens", usage[Meter::kReasoning]).end_object();
    writer.member("total_tokens", prompt + answer);
    for (const canon::Aside& aside : beside)
        writer.member_raw(std::string_view(aside.key).substr(kPrefix.size()), aside.json);
    writer.end_object();
}

}  // namespace entrepot::dialect::openai_responses
