#include "dialect/bedrock_invoke/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::Meter;

constexpr std::int64_t kCountMax = std::int64_t{1} << 50;  // keeps sums in 64 bits

std::optional<std::int64_t> count_of(const json::Value& value) {
    const std::optional<std::int64_t> stated = value.as_int();
    if (!stated || *stated < 0) return std::nullopt;
    return std::min(*stated, kCountMax);
}

std::optional<std::int64_t> count_of(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return std::min(value, kCountMax);
}

struct CountHeader {
    std::string_view name;
    std::optional<std::int64_t> Counts::* count;
};
constexpr std::array kCountHeaders{
    CountHeader{"x-amzn-bedrock-input-token-count", &Counts::input},
    CountHeader{"x-amzn-bedrock-output-token-count", &Counts::output},
    CountHeader{"x-amzn-bedrock-cache-read-input-token-count", &Counts::cache_read},
    CountHeader{"x-amzn-bedrock-cache-write-input-token-count", &Counts::cache_write},
};

Counts counts_of(const canon::Usage& usage) {
    Counts counts;
    counts.cache_read = usage[Meter::kCacheRead] + usage[Meter::kAudioCacheRead];
    counts.cache_write = usage[Meter::kCacheWrite] + usage[Meter::kCacheWriteLong];
    counts.input = usage.prompt_tokens() - *counts.cache_read - *counts.cache_write;
    counts.output = usage.answer_tokens();
    return counts;
}

}  // namespace

Counts counts_of_metrics(const json::Value& metrics) {
    return {count_of(metrics["inputTokenCount"]), count_of(metrics["outputTokenCount"]),
        count_of(metrics["cacheReadInputTokenCount"]),
        count_of(metrics["cacheWriteInputTokenCount"])};
}

Counts counts_of_headers(std::span<const Header> headers) {
    Counts counts;
    for (const Header& header : headers)
        for (const CountHeader& row : kCountHeaders)
            if (equals_ignoring_case(header.name, row.name))
                counts.*row.count = count_of(header.value);
    return counts;
}

canon::Usage usage_of(std::span<const Counts> by_rank) {
    canon::Usage usage;
    const auto first = [&](std::optional<std::int64_t> Counts::* count) {
        for (const Counts& counts : by_rank)
            if (counts.*count) return *(counts.*count);
        return std::int64_t{0};
    };
    usage[Meter::kInput] = first(&Counts::input);
    usage[Meter::kOutput] = first(&Counts::output);
    usage[Meter::kCacheRead] = first(&Counts::cache_read);
    usage[Meter::kCacheWrite] = first(&Counts::cache_write);
    return usage;
}

std::string metrics_of(const canon::Usage& usage, const std::string& stated) {
    const Counts counts = counts_of(usage);
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    writer.member("inputTokenCount", *counts.input).member("outputTokenCount", *counts.output);
    if (*counts.cache_read + *counts.cache_write > 0) {
        writer.member("cacheReadInputTokenCount", *counts.cache_read);
        writer.member("cacheWriteInputTokenCount", *counts.cache_write);
    }
    if (const auto document = json::Document::parse(stated))
        for (const json::Member& member : document->root().members())
            if (!member.key.ends_with("TokenCount"))
                writer.member_raw(member.key, member.value.raw());
    writer.end_object();
    return out;
}

std::vector<Header> headers_of(const canon::Usage& usage) {
    const Counts counts = counts_of(usage);
    const bool has_cache = *counts.cache_read + *counts.cache_write > 0;
    std::vector<Header> headers;
    for (const CountHeader& row : kCountHeaders)
        if (has_cache || row.count == &Counts::input || row.count == &Counts::output)
            headers.push_back({std::string(row.name), std::to_string(*(counts.*row.count))});
    return headers;
}

Parted part_from_bedrock(const json::Value& reply) {
    Parted parted;
    const bool has_any = std::ranges::any_of(reply.members(),
        [](const json::Member& member) { return member.key.starts_with(kOwnPrefix); });
    if (!has_any) {
        parted.has_more = !reply.members().empty();
        return parted;
    }
    json::Writer writer(parted.own);
    writer.begin_object();
    for (const json::Member& member : reply.members()) {
        if (member.key.starts_with(kOwnPrefix)) {
            parted.bedrock.emplace_back(member.key, member.value.raw());
        } else {
            parted.has_more = true;
            writer.member_raw(member.key, member.value.raw());
        }
    }
    writer.end_object();
    return parted;
}

}  // namespace entrepot::dialect::bedrock_invoke
