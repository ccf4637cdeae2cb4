#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "catalog/catalog.h"

// Which row of the price data belongs to a configured offer. README.md states the rules.

namespace entrepot::catalog {
namespace {

struct Host {
    std::string_view suffix;  ///< of the endpoint's host
    std::string_view seller;
    std::string_view surface;
};

// Sellers that speak OpenAI's API under a host of their own. Any other host is a server of the
// user's: no price.
constexpr auto kHosts = std::to_array<Host>({
    {"api.openai.com", "openai", "api"},
    {"api.mistral.ai", "mistral", "api"},
    {"api.groq.com", "groq", "api"},
    {"api.x.ai", "xai", "api"},
    {"api.deepseek.com", "deepseek", "api"},
    {"openrouter.ai", "openrouter", "api"},
    {"api.together.xyz", "together", "api"},
    {"api.together.ai", "together", "api"},
    {"api.fireworks.ai", "fireworks", "api"},
    {"api.cerebras.ai", "cerebras", "api"},
    {"api.perplexity.ai", "perplexity", "api"},
    {"api.sambanova.ai", "sambanova", "api"},
    {"api.cohere.ai", "cohere", "api"},
    {"api.cohere.com", "cohere", "api"},
    {"api.deepinfra.com", "deepinfra", "api"},
    {"api.novita.ai", "novita", "api"},
    {"api.studio.nebius.com", "nebius", "api"},
    {"api.studio.nebius.ai", "nebius", "api"},
    {"api.tokenfactory.nebius.com", "nebius", "api"},
    {"api.moonshot.ai", "moonshot", "api"},
    {"api.moonshot.cn", "moonshot", "api"},
    {"api.z.ai", "zai", "api"},
    {"api.minimax.io", "minimax", "api"},
    {"api.hyperbolic.xyz", "hyperbolic", "api"},
    {"inference.baseten.co", "baseten", "api"},
    {"api.scaleway.ai", "scaleway", "api"},
    {"api.ai21.com", "ai21", "api"},
    {"api.inference.wandb.ai", "wandb", "inference"},
    {"dashscope.aliyuncs.com", "alibaba", "model-studio"},
    {"dashscope-intl.aliyuncs.com", "alibaba", "model-studio"},
    {"generativelanguage.googleapis.com", "gcp", "gemini-api"},
    {"api.anthropic.com", "anthropic", "api"},
});

const Host* host_of(std::string_view endpoint_host) {
    const std::string host = to_lower(endpoint_host);
    const auto* at = std::ranges::find_if(kHosts, [&](const Host& known) {
        return host == known.suffix ||
            (host.ends_with(known.suffix) && host[host.size() - known.suffix.size() - 1] == '.');
    });
    return at == kHosts.end() ? nullptr : at;
}

bool is_in(std::string_view region, std::string_view zone) {
    return zones_of(region).within(zones_of(zone));
}

}  // namespace

std::vector<Catalog::Place> Catalog::places_of(const OfferQuery& query, std::string& note) const {
    const std::string_view region = query.region;
    const bool is_anywhere = region.empty() || equals_ignoring_case(region, "global");
    std::vector<Place> places;
    switch (query.kind) {
        case CloudKind::kOpenai:
            if (!is_anywhere) places.push_back({"openai", "api", "regional"});
            places.push_back({"openai", "api", "global"});
            break;
        case CloudKind::kAnthropic: places.push_back({"anthropic", "api", "global"}); break;
        case CloudKind::kAzure:
            if (!is_anywhere) {
                const bool is_zone = equals_ignoring_case(region, "eu") ||
                    equals_ignoring_case(region, "us") || to_lower(region).starts_with("datazone-");
                if (!is_zone) places.push_back({"azure", "foundry", "regional"});
                if (is_in(region, "eu"))
                    places.push_back({"azure", "foundry", "datazone-eu", !is_zone});
                if (is_in(region, "us"))
                    places.push_back({"azure", "foundry", "datazone-us", !is_zone});
            }
            places.push_back({"azure", "foundry", "global", !is_anywhere});
            break;
        case CloudKind::kBedrock:
            if (query.service == "bedrock-mantle" ||
                (query.service.empty() && query.endpoint_host.starts_with("bedrock-mantle.")))
                places.push_back({"aws", "bedrock-mantle", "base", !is_anywhere});
            if (const std::string_view zone = profile_zone(query.provider_model_id); !zone.empty())
                places.push_back({"aws", "bedrock-runtime", zone});
            else if (!is_anywhere)
                places.push_back({"aws", "bedrock-runtime", region});
            // Lists use `base` loosely, for some models it is the price of the global profile.
            places.push_back({"aws", "bedrock-runtime", "base", !places.empty()});
            break;
        case CloudKind::kVertex:
            if (!is_anywhere) {
                places.push_back({"gcp", "vertex", region});
                if (is_in(region, "eu")) places.push_back({"gcp", "vertex", "eu", true});
                if (is_in(region, "us")) places.push_back({"gcp", "vertex", "us", true});
                // Where a model is dearer within a region it is so in all of them, and few are
                // listed: another region's price is nearer than that of `global`.
                for (const bool is_same_zone : {true, false})
                    for (const Offer& offer : offers_)
                        if (offer.surface == "vertex" && offer.region != "global" &&
                            is_in(offer.region, region) == is_same_zone &&
                            std::ranges::find(places, offer.region, &Place::region) == places.end())
                            places.push_back({"gcp", "vertex", offer.region, true});
            }
            places.push_back({"gcp", "vertex", "global", !is_anywhere});
            break;
        case CloudKind::kCohere: places.push_back({"cohere", "api", "global"}); break;
        case CloudKind::kGemini: places.push_back({"gcp", "gemini-api", "global"}); break;
        case CloudKind::kOci:
            if (!is_anywhere) places.push_back({"oci", "generative-ai", region});
            places.push_back({"oci", "generative-ai", "global"});
            break;
        case CloudKind::kOpenaiCompatible:
            if (const Host* host = host_of(query.endpoint_host)) {
                if (!is_anywhere) places.push_back({host->seller, host->surface, region});
                places.push_back({host->seller, host->surface, "global"});
            } else if (query.endpoint_host.starts_with("bedrock-mantle.")) {
                places.push_back({"aws", "bedrock-mantle", "base"});
            } else if (query.endpoint_host.starts_with("bedrock-runtime.")) {
                places.push_back({"aws", "bedrock-runtime", "base"});
            } else {
                note = fmt::format(
                    "'{}' is not a seller in the catalogue; state a price", query.endpoint_host);
            }
            break;
    }
    return places;
}

const Offer* Catalog::pick(
    std::string key, const Place& place, bool exact, bool may_be_doubtful) const {
    const auto at = offer_index_.find(key);
    if (at == offer_index_.end()) return nullptr;
    const Offer* best = nullptr;
    for (const std::uint32_t index : at->second) {
        const Offer& offer = offers_[index];
        if (offer.region != place.region) continue;
        if (!place.surface.empty() && offer.surface != place.surface) continue;
        if (offer.is_doubtful() && !may_be_doubtful) continue;
        if (!exact && !offer.variant.empty()) continue;
        if (best == nullptr || (!best->variant.empty() && offer.variant.empty())) best = &offer;
    }
    return best;
}

const Offer* Catalog::find_at(
    const Place& place, const OfferQuery& query, bool may_be_doubtful) const {
    const auto look = [&](std::string_view how, std::string_view id, bool exact) {
        return pick(fmt::format("{} {} {}", place.seller, how, id), place, exact, may_be_doubtful);
    };
    if (!query.catalog_model.empty()) return look("model", query.catalog_model, false);
    std::string_view id = query.provider_model_id;
    if (query.kind == CloudKind::kBedrock)
        if (const auto slash = id.rfind('/'); slash != std::string_view::npos)
            id.remove_prefix(slash + 1);
    if (const Offer* offer = look("id", to_lower(id), true)) return offer;
    return look("normal", normal_model_id(id), false);
}

const ModelFacts* Catalog::facts_of(const OfferQuery& query) const {
    if (!query.catalog_model.empty()) return find_model(query.catalog_model);
    // Somebody's own server may run any size under any name.
    if (query.kind == CloudKind::kOpenaiCompatible && host_of(query.endpoint_host) == nullptr)
        return nullptr;
    const auto at = normal_model_index_.find(normal_model_id(query.provider_model_id));
    return at == normal_model_index_.end() ? nullptr : &models_[at->second];
}

const Availability* Catalog::sold_at(const OfferQuery& query, const ModelFacts* model) const {
    if (model == nullptr) return nullptr;
    const std::string_view seller = query.kind == CloudKind::kBedrock ? "aws"
        : query.kind == CloudKind::kAzure                             ? "azure"
        : query.kind == CloudKind::kVertex                            ? "gcp"
        : query.kind == CloudKind::kOci                               ? "oci"
                                                                      : "";
    const auto at = std::ranges::find_if(availability_, [&](const Availability& known) {
        return known.seller == seller && known.model == model->name;
    });
    return at == availability_.end() ? nullptr : &*at;
}

Ratio Catalog::uplift_of(const OfferQuery& query, const Offer& offer, std::string& note) const {
    const bool has_residency_terms =
        query.kind == CloudKind::kOpenai || query.kind == CloudKind::kAnthropic;
    if (!has_residency_terms || offer.region != "global" || query.region.empty()) return {};
    for (const Uplift& uplift : uplifts_) {
        if (uplift.seller != offer.seller || uplift.surface != offer.surface ||
            uplift.model != offer.model)
            continue;
        constexpr std::string_view kCondition = "data-residency:";
        if (!uplift.condition.starts_with(kCondition)) continue;
        if (!is_in(query.region, uplift.condition.substr(kCondition.size()))) continue;
        note += fmt::format(", times {} for {}", uplift.factor.to_string(), uplift.condition);
        return uplift.factor;
    }
    return {};
}

Match Catalog::find_offer(const OfferQuery& query) const {
    Match match;
    if (query.catalog_model.find(':') != std::string_view::npos) {
        match.offer = find_offer_id(query.catalog_model);
        if (match.offer == nullptr)
            match.note = fmt::format("the catalogue has no offer '{}'", query.catalog_model);
    } else {
        const std::vector<Place> places = places_of(query, match.note);
        for (const bool may_be_doubtful : {false, true}) {
            for (const Place& place : places) {
                match.offer = find_at(place, query, may_be_doubtful);
                if (match.offer == nullptr) continue;
                match.is_approximate = place.is_approximate || may_be_doubtful;
                break;
            }
            if (match.offer != nullptr) break;
        }
    }
    if (match.offer == nullptr) {
        match.model = facts_of(query);
        if (match.note.empty())
            match.note = fmt::format(
                "the catalogue has no price for '{}' at {}; state a price, or "
                "name its model with `catalog:`",
                query.provider_model_id, cloud_kind_name(query.kind));
        if (const Availability* sold = sold_at(query, match.model))
            match.note += fmt::format(". It is known to be sold there ({}{}{}: {})", sold->status,
                sold->since.empty() ? "" : " since ", sold->since, sold->note);
        return match;
    }
    match.model = find_model(match.offer->model);
    match.note = match.offer->id();
    if (match.is_approximate)
        match.note += match.offer->is_doubtful()
            ? ", which no other source confirms"
            : fmt::format(", the nearest to '{}' that has a price", query.region);
    match.uplift = uplift_of(query, *match.offer, match.note);
    return match;
}

}  // namespace entrepot::catalog
