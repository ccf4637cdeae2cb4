#include "cloudsim/invoice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/money.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using canon::Meter;

constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;
constexpr std::int64_t kMillion = 1'000'000;

/// One thing that is sold. Prices in 10^-12 of a dollar a token, as the sellers' public lists had
/// them in November 2026.
struct Priced {
    std::string_view cloud, model;
    Meter meter;
    std::string_view sku;  ///< what the seller's bill calls it
    std::int64_t unit;     ///< tokens in one that is billed
    std::int64_t pico;     ///< a token
};

constexpr std::string_view kSonnet = "claude-sonnet-4-5-20250929";
constexpr std::string_view kHaiku = "claude-haiku-4-5-20251001";
constexpr std::string_view kUsSonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
constexpr std::string_view kVertexSonnet = "claude-sonnet-4-5@20250929";

constexpr Priced kPrices[] = {
    {"openai", "gpt-4o-mini", Meter::kInput, "gpt-4o-mini-2024-07-18, input", 1, 150'000},
    {"openai", "gpt-4o-mini", Meter::kCacheRead, "gpt-4o-mini-2024-07-18, cached input", 1, 75'000},
    {"openai", "gpt-4o-mini", Meter::kOutput, "gpt-4o-mini-2024-07-18, output", 1, 600'000},
    {"openai", "gpt-4.1-mini", Meter::kInput, "gpt-4.1-mini-2025-04-14, input", 1, 400'000},
    {"openai", "gpt-4.1-mini", Meter::kCacheRead, "gpt-4.1-mini-2025-04-14, cached input", 1,
        100'000},
    {"openai", "gpt-4.1-mini", Meter::kOutput, "gpt-4.1-mini-2025-04-14, output", 1, 1'600'000},
    // A deployment in one region, a tenth dearer than the global one.
    {"azure", "gpt-4o-mini", Meter::kInput, "gpt-4o-mini-0718-Inp-regnl Tokens", 1'000, 165'000},
    {"azure", "gpt-4o-mini", Meter::kCacheRead, "gpt 4o mini 0718 cached Inp regnl Tokens", 1'000,
        83'000},
    {"azure", "gpt-4o-mini", Meter::kOutput, "gpt-4o-mini-0718-Outp-regnl Tokens", 1'000, 660'000},
    {"anthropic", kSonnet, Meter::kInput, "uncached_input_tokens", 1, 3'000'000},
    {"anthropic", kSonnet, Meter::kCacheRead, "cache_read_input_tokens", 1, 300'000},
    {"anthropic", kSonnet, Meter::kCacheWrite, "cache_creation.ephemeral_5m_input_tokens", 1,
        3'750'000},
    {"anthropic", kSonnet, Meter::kCacheWriteLong, "cache_creation.ephemeral_1h_input_tokens", 1,
        6'000'000},
    {"anthropic", kSonnet, Meter::kOutput, "output_tokens", 1, 15'000'000},
    {"anthropic", kHaiku, Meter::kInput, "uncached_input_tokens", 1, 1'000'000},
    {"anthropic", kHaiku, Meter::kCacheRead, "cache_read_input_tokens", 1, 100'000},
    {"anthropic", kHaiku, Meter::kCacheWrite, "cache_creation.ephemeral_5m_input_tokens", 1,
        1'250'000},
    {"anthropic", kHaiku, Meter::kCacheWriteLong, "cache_creation.ephemeral_1h_input_tokens", 1,
        2'000'000},
    {"anthropic", kHaiku, Meter::kOutput, "output_tokens", 1, 5'000'000},
    // By a profile of the United States: a tenth dearer than the global one.
    {"bedrock", kUsSonnet, Meter::kInput, "USE1-MP:USE1_InputTokenCount-Units", kMillion,
        3'300'000},
    {"bedrock", kUsSonnet, Meter::kCacheRead, "USE1-MP:USE1_CacheReadInputTokenCount-Units",
        kMillion, 330'000},
    {"bedrock", kUsSonnet, Meter::kCacheWrite, "USE1-MP:USE1_CacheWriteInputTokenCount-Units",
        kMillion, 4'125'000},
    {"bedrock", kUsSonnet, Meter::kOutput, "USE1-MP:USE1_OutputTokenCount-Units", kMillion,
        16'500'000},
    {"bedrock", "amazon.nova-lite-v1:0", Meter::kInput, "USE1-NovaLite-input-tokens", 1'000,
        60'000},
    {"bedrock", "amazon.nova-lite-v1:0", Meter::kOutput, "USE1-NovaLite-output-tokens", 1'000,
        240'000},
    {"gemini", "gemini-2.5-flash", Meter::kInput, "Gemini 2.5 Flash GA Text Input - Predictions", 1,
        300'000},
    {"gemini", "gemini-2.5-flash", Meter::kCacheRead,
        "Gemini 2.5 Flash GA Input Text Caching - Predictions", 1, 30'000},
    {"gemini", "gemini-2.5-flash", Meter::kOutput, "Gemini 2.5 Flash GA Text Output - Predictions",
        1, 2'500'000},
    {"vertex", "gemini-2.5-flash", Meter::kInput, "Gemini 2.5 Flash GA Text Input - Predictions", 1,
        300'000},
    {"vertex", "gemini-2.5-flash", Meter::kCacheRead,
        "Gemini 2.5 Flash GA Input Text Caching - Predictions", 1, 30'000},
    {"vertex", "gemini-2.5-flash", Meter::kOutput, "Gemini 2.5 Flash GA Text Output - Predictions",
        1, 2'500'000},
    {"vertex", kVertexSonnet, Meter::kInput, "Claude Sonnet 4.5 - Input Tokens", 1, 3'300'000},
    {"vertex", kVertexSonnet, Meter::kCacheRead, "Claude Sonnet 4.5 - Cache Read Input Tokens", 1,
        330'000},
    {"vertex", kVertexSonnet, Meter::kCacheWrite, "Claude Sonnet 4.5 - 5m Cache Write Input Tokens",
        1, 4'130'000},
    {"vertex", kVertexSonnet, Meter::kOutput, "Claude Sonnet 4.5 - Output Tokens", 1, 16'500'000},
    {"oci", "xai.grok-4", Meter::kInput,
        "Oracle Cloud Infrastructure Generative AI - xAI Grok 4 - Input Tokens", 1, 3'000'000},
    {"oci", "xai.grok-4", Meter::kCacheRead,
        "Oracle Cloud Infrastructure Generative AI - xAI Grok 4 - Cached Input Tokens", 1, 750'000},
    {"oci", "xai.grok-4", Meter::kOutput,
        "Oracle Cloud Infrastructure Generative AI - xAI Grok 4 - Output Tokens", 1, 15'000'000},
};

/// Who sends the bill for a cloud, and what FOCUS has of him.
struct Seller {
    std::string_view cloud, name, provider, service, region;
};
constexpr Seller kSellers[] = {
    {"openai", "openai", "OpenAI", "", ""},
    {"anthropic", "anthropic", "Anthropic", "", ""},
    {"azure", "azure", "Microsoft", "Azure OpenAI", "swedencentral"},
    {"bedrock", "aws", "AWS", "Amazon Bedrock", "us-east-1"},
    {"gemini", "gcp", "Google Cloud", "Gemini API", "global"},
    {"vertex", "gcp", "Google Cloud", "Vertex AI", "europe-west4"},
    {"oci", "oci", "Oracle", "Generative AI", "eu-frankfurt-1"},
};

const Seller* seller_of_cloud(std::string_view cloud) {
    const auto at = std::ranges::find(kSellers, cloud, &Seller::cloud);
    return at == std::end(kSellers) ? nullptr : at;
}

const Priced* price_of(std::string_view cloud, std::string_view model, Meter meter) {
    for (const Priced& priced : kPrices)
        if (priced.cloud == cloud && priced.model == model && priced.meter == meter) return &priced;
    return nullptr;
}

/// A count of 10^-`decimals`, written out.
std::string decimal(Int128 value, int decimals) {
    std::string digits;
    for (; value > 0 || digits.size() <= static_cast<std::size_t>(decimals); value /= 10)
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    if (decimals == 0) return digits;
    digits.insert(digits.end() - decimals, '.');
    while (digits.ends_with('0')) digits.pop_back();
    if (digits.ends_with('.')) digits.pop_back();
    return digits;
}

std::string time_text(std::int64_t hour) {
    return to_rfc3339(Instant{hour * kHourNs}).substr(0, 19) + "Z";
}

/// The calendar month of an hour.
Period month_of(std::int64_t hour) {
    return TimeZone::utc().period_of(PeriodKind::kMonth, Instant{hour * kHourNs});
}

std::string month_text(Instant edge) { return to_rfc3339(edge).substr(0, 19) + "Z"; }

}  // namespace

struct Invoices::Line {
    std::int64_t hour = 0;
    const Seller* seller = nullptr;
    const Priced* priced = nullptr;
    std::int64_t quantity = 0;
    [[nodiscard]] Int128 cost_pico() const { return Int128{quantity} * priced->pico; }
};

void Invoices::add(
    std::string_view cloud, std::string_view model, const canon::Usage& usage, Instant at) {
    for (std::size_t meter = 0; meter < canon::kMeterCount; ++meter) {
        if (static_cast<Meter>(meter) == Meter::kReasoning) continue;  // a part of the output
        if (usage.counts[meter] <= 0) continue;
        counted_[{at.ns / kHourNs, std::string(cloud), std::string(model), meter}] +=
            usage.counts[meter];
    }
}

std::vector<std::string> Invoices::sellers() const {
    std::vector<std::string> names;
    for (const auto& [place, quantity] : counted_)
        if (const Seller* const seller = seller_of_cloud(place.cloud);
            seller != nullptr && std::ranges::find(names, seller->name) == names.end())
            names.emplace_back(seller->name);
    std::ranges::sort(names);
    return names;
}

std::string Invoices::file_of(std::string_view seller) {
    const bool is_api = seller == "openai" || seller == "anthropic";
    return fmt::format("{}.{}", seller, is_api ? "json" : "csv");
}

Result<std::vector<Invoices::Line>> Invoices::lines_of(std::string_view seller) const {
    std::vector<Line> lines;
    for (const auto& [place, quantity] : counted_) {
        const Seller* const of = seller_of_cloud(place.cloud);
        if (of == nullptr || of->name != seller) continue;
        const auto meter = static_cast<Meter>(place.meter);
        const Priced* const priced = price_of(place.cloud, place.model, meter);
        if (priced == nullptr)
            return fail(ErrorCode::kUnsupported,
                fmt::format("the price list has no {} of {} at {}; add it to invoice.cc",
                    canon::meter_name(meter), place.model, place.cloud));
        lines.push_back({place.hour, of, priced, quantity});
    }
    if (lines.empty())
        return fail(ErrorCode::kNotFound, fmt::format("'{}' has nothing to bill", seller));
    return lines;
}

namespace {

/// Sums of a day, by what the seller prints: costs come by the day.
template <typename Line>
std::map<std::pair<std::int64_t, const Priced*>, std::int64_t> by_day(
    const std::vector<Line>& lines) {
    std::map<std::pair<std::int64_t, const Priced*>, std::int64_t> days;
    for (const Line& line : lines) days[{line.hour / 24, line.priced}] += line.quantity;
    return days;
}

template <typename Line>
std::string focus_bill(const std::vector<Line>& lines) {
    std::string out =
        "BilledCost,EffectiveCost,ListCost,ContractedCost,BillingCurrency,BillingPeriodStart,"
        "BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ChargeClass,"
        "ChargeDescription,ProviderName,PublisherName,InvoiceIssuerName,ServiceName,"
        "ServiceCategory,SkuId,SkuMeter,PricingQuantity,PricingUnit,ConsumedQuantity,ConsumedUnit,"
        "RegionId,x_UsageType,x_SkuMeterName,x_SkuDescription\r\n";
    for (const Line& line : lines) {
        const Priced& priced = *line.priced;
        const Seller& seller = *line.seller;
        const std::string cost = decimal(line.cost_pico(), 12);
        const bool is_claude = priced.model == kUsSonnet;
        const bool is_aws = seller.name == "aws", is_azure = seller.name == "azure";
        const std::string unit = priced.unit == 1 ? "Tokens"
            : priced.unit == 1'000                ? "1K tokens"
                                                  : "1M tokens";
        out += fmt::format(
            "{0},{0},{0},{0},USD,{1},{2},{3},{4},Usage,,{5},{6},{6},{6},{7},"
            "AI and Machine Learning,{8},{5},{9},{10},{11},Tokens,{12},{13},{14},"
            "{15}\r\n",
            cost, month_text(month_of(line.hour).begin), month_text(month_of(line.hour).end),
            time_text(line.hour), time_text(line.hour + 1), priced.sku, seller.provider,
            is_claude ? "Claude Sonnet 4.5 (Amazon Bedrock Edition)" : seller.service,
            fmt::format("{}-{}", seller.cloud, &priced - kPrices),
            decimal(Int128{line.quantity} * (kMillion / priced.unit), 6), unit, line.quantity,
            seller.region, is_aws ? priced.sku : "", is_azure ? priced.sku : "",
            seller.name == "gcp" ? priced.sku : "");
    }
    return out;
}

template <typename Line>
std::string openai_bill(const std::vector<Line>& lines) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("object", "page").key("data").begin_array();
    std::int64_t open = -1;
    for (const auto& [place, quantity] : by_day(lines)) {
        const auto& [day, priced] = place;
        if (day != open && open >= 0) writer.end_array().end_object();
        if (day != open)
            writer.begin_object()
                .member("object", "bucket")
                .member("start_time", day * 86'400)
                .member("end_time", (day + 1) * 86'400)
                .key("results")
                .begin_array();
        open = day;
        writer.begin_object().member("object", "organization.costs.result");
        writer.key("amount").begin_object();
        writer.member_raw("value", decimal(Int128{quantity} * priced->pico, 12));
        writer.member("currency", "usd").end_object();
        writer.member("line_item", priced->sku).member_raw("quantity", std::to_string(quantity));
        writer.end_object();
    }
    writer.end_array().end_object().end_array();
    writer.member_bool("has_more", false).member_null("next_page").end_object();
    return out + "\n";
}

/// Two answers, one behind the other: the usage report by the hour, the cost report by the day.
template <typename Line>
std::string anthropic_bill(const std::vector<Line>& lines) {
    std::string out;
    json::Writer usage(out);
    const auto tail = [](json::Writer& writer) {
        writer.end_array().member_bool("has_more", false).member_null("next_page").end_object();
    };
    usage.begin_object().key("data").begin_array();
    for (std::size_t i = 0; i < lines.size();) {
        // One model in one hour: lines come by hour, cloud, model and meter.
        const Line& first = lines[i];
        usage.begin_object().member("starting_at", time_text(first.hour));
        usage.member("ending_at", time_text(first.hour + 1)).key("results").begin_array();
        usage.begin_object().member("model", first.priced->model);
        usage.member("service_tier", "standard").member("context_window", "0-200k");
        std::array<std::int64_t, canon::kMeterCount> counts{};
        for (; i < lines.size() && lines[i].hour == first.hour &&
            lines[i].priced->model == first.priced->model;
            ++i)
            counts[static_cast<std::size_t>(lines[i].priced->meter)] = lines[i].quantity;
        const auto of = [&](Meter meter) { return counts[static_cast<std::size_t>(meter)]; };
        usage.member("uncached_input_tokens", of(Meter::kInput));
        usage.key("cache_creation").begin_object();
        usage.member("ephemeral_5m_input_tokens", of(Meter::kCacheWrite));
        usage.member("ephemeral_1h_input_tokens", of(Meter::kCacheWriteLong)).end_object();
        usage.member("cache_read_input_tokens", of(Meter::kCacheRead));
        usage.member("output_tokens", of(Meter::kOutput)).end_object().end_array().end_object();
    }
    tail(usage);
    std::string costs;
    json::Writer writer(costs);
    writer.begin_object().key("data").begin_array();
    for (const auto& [place, quantity] : by_day(lines)) {
        const auto& [day, priced] = place;
        writer.begin_object().member("starting_at", time_text(day * 24));
        writer.member("ending_at", time_text(day * 24 + 24)).key("results").begin_array();
        // Cents, as a text.
        writer.begin_object().member("amount", decimal(Int128{quantity} * priced->pico, 10));
        writer.member("currency", "USD").member("cost_type", "tokens");
        writer.member("description", fmt::format("{} {}", priced->model, priced->sku));
        writer.member("model", priced->model).member("token_type", priced->sku);
        writer.member("service_tier", "standard").member("context_window", "0-200k");
        writer.end_object().end_array().end_object();
    }
    tail(writer);
    return out + "\n" + costs + "\n";
}

}  // namespace

Result<std::string> Invoices::bill(std::string_view seller) const {
    ENTREPOT_TRY(const std::vector<Line> lines, lines_of(seller));
    if (seller == "openai") return openai_bill(lines);
    if (seller == "anthropic") return anthropic_bill(lines);
    return focus_bill(lines);
}

}  // namespace entrepot::cloudsim
