#include "dialect/bedrock_invoke/envelope.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

constexpr std::string_view kConverse = "bedrock-converse";
constexpr std::string_view kGuardrail = "guardrailConfig";
constexpr std::string_view kPerformance = "performanceConfig";

constexpr std::string_view kTierHeader = "x-amzn-bedrock-service-tier";
constexpr std::string_view kLatencyHeader = "x-amzn-bedrock-performanceconfig-latency";

struct Named {
    std::string_view header;
    std::string_view field;
};
constexpr std::array kGuardrailFields{
    Named{"x-amzn-bedrock-guardrailidentifier", "guardrailIdentifier"},
    Named{"x-amzn-bedrock-guardrailversion", "guardrailVersion"},
    Named{"x-amzn-bedrock-trace", "trace"},
};

std::string_view find(std::span<const Header> headers, std::string_view name) {
    for (const Header& header : headers)
        if (equals_ignoring_case(header.name, name)) return header.value;
    return {};
}

bool is_of_envelope(const canon::Extra& extra) {
    return extra.path == kGuardrail || extra.path == kPerformance;
}

void write_guardrail(const canon::Extra& extra, std::vector<Header>& headers) {
    const auto config = json::Document::parse(extra.json);
    if (!config) return;
    for (const Named& named : kGuardrailFields) {
        const std::string_view value = config->root()[named.field].string();
        if (value.empty()) continue;
        // The same switch, in small letters at Converse and in capitals here.
        std::string spelled(value);
        if (named.field == "trace")
            std::ranges::transform(
                spelled, spelled.begin(), [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
        headers.push_back({std::string(named.header), std::move(spelled)});
    }
}

}  // namespace

void read_envelope(std::span<const Header> headers, canon::Request& request) {
    if (const std::string_view tier = find(headers, kTierHeader); !tier.empty())
        request.service_tier = tier;
    if (const std::string_view latency = find(headers, kLatencyHeader); !latency.empty())
        request.extras.push_back({std::string(kPerformance),
            "{\"latency\":" + json::quoted(latency) + "}", std::string(kConverse)});
    canon::Extra guardrail{std::string(kGuardrail), {}, std::string(kConverse)};
    json::Writer writer(guardrail.json);
    writer.begin_object();
    for (const Named& named : kGuardrailFields) {
        const std::string_view value = find(headers, named.header);
        if (value.empty()) continue;
        writer.member(named.field, named.field == "trace" ? to_lower(value) : std::string(value));
    }
    writer.end_object();
    // A trace alone asks for no guardrail.
    if (guardrail.json.find("guardrailIdentifier") != std::string::npos)
        request.extras.push_back(std::move(guardrail));
}

Status open_envelope(const canon::Request& request, Losses& losses, Opened& opened) {
    opened.request = &request;
    const bool has_extras = std::ranges::any_of(request.extras, is_of_envelope);
    if (!has_extras && request.service_tier.empty()) return {};
    for (const canon::Extra& extra : request.extras) {
        if (extra.path == kGuardrail) write_guardrail(extra, opened.headers);
        if (extra.path == kPerformance) {
            const auto config = json::Document::parse(extra.json);
            if (config && config->root()["latency"].is_string())
                opened.headers.push_back(
                    {std::string(kLatencyHeader), std::string(config->root()["latency"].string())});
        }
    }
    const std::string_view tier = request.service_tier;
    if (tier == "default" || tier == "flex" || tier == "priority" || tier == "reserved") {
        opened.headers.push_back({std::string(kTierHeader), std::string(tier)});
    } else if (!tier.empty() && tier != "auto" && tier != "standard_only") {
        ENTREPOT_TRY_DO(losses.of_hint("service_tier", "Bedrock sells no such tier"));
    }
    opened.changed = request;
    opened.changed.service_tier.clear();
    std::erase_if(opened.changed.extras, is_of_envelope);
    opened.request = &opened.changed;
    return {};
}

}  // namespace entrepot::dialect::bedrock_invoke
