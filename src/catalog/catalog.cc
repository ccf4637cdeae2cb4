#include "catalog/catalog.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "catalog/embedded.h"

namespace entrepot::catalog {
namespace {

std::string key_of(std::string_view seller, std::string_view how, std::string_view id) {
    return fmt::format("{} {} {}", seller, how, id);
}

bool is_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// Cohere's `-08-2025`.
bool ends_with_month(std::string_view id) {
    if (id.size() <= 8) return false;
    const std::string_view tail = id.substr(id.size() - 8);
    return tail[0] == '-' && is_digits(tail.substr(1, 2)) && tail.substr(3, 3) == "-20" &&
        is_digits(tail.substr(6, 2));
}

/// `-20250929`, `-2025-09-29`, `-08-2025` or `-latest` at the end.
std::string_view without_date(std::string_view id) {
    if (id.ends_with("-latest")) return id.substr(0, id.size() - 7);
    // The first snapshots of Command R cost more than those that bear the name now.
    if (id == "command-r-03-2024" || id == "command-r-plus-04-2024") return id;
    if (ends_with_month(id)) return id.substr(0, id.size() - 8);
    if (id.size() > 9 && id[id.size() - 9] == '-' && id.substr(id.size() - 8, 2) == "20" &&
        is_digits(id.substr(id.size() - 8)))
        return id.substr(0, id.size() - 9);
    if (id.size() > 11) {
        const std::string_view tail = id.substr(id.size() - 11);
        if (tail.starts_with("-20") && is_digits(tail.substr(1, 4)) && tail[5] == '-' &&
            is_digits(tail.substr(6, 2)) && tail[8] == '-' && is_digits(tail.substr(9, 2)))
            return id.substr(0, id.size() - 11);
    }
    return id;
}

/// `anthropic.claude-x` -> `claude-x`. Only authors that Bedrock names so: a point is common inside
/// model names.
std::string_view without_author(std::string_view id) {
    for (const std::string_view author : {"ai21", "amazon", "anthropic", "cohere", "deepseek",
             "google", "luma", "meta", "minimax", "mistral", "moonshot", "moonshotai", "nvidia",
             "openai", "qwen", "stability", "twelvelabs", "writer", "xai", "zai"})
        if (id.size() > author.size() + 1 && id.starts_with(author) && id[author.size()] == '.')
            return id.substr(author.size() + 1);
    return id;
}

}  // namespace

std::string normal_model_id(std::string_view id) {
    const std::string lower = to_lower(id);
    std::string_view rest = lower;
    if (const auto slash = rest.rfind('/'); slash != std::string_view::npos)
        rest.remove_prefix(slash + 1);
    if (const std::string_view zone = profile_zone(rest); !zone.empty() &&
        without_author(rest.substr(zone.size() + 1)) != rest.substr(zone.size() + 1))
        rest.remove_prefix(zone.size() + 1);
    const std::string_view plain = without_author(rest);
    const bool had_author = plain != rest;
    rest = plain;
    if (const auto at = rest.find('@'); at != std::string_view::npos) rest = rest.substr(0, at);
    // Bedrock versions are `-v1:0`. A word after a colon (`:free`, `:extended`) is another product,
    // and `-v2` is another model (Titan); `claude-v1` is a name.
    if (const auto colon = rest.rfind(':');
        colon != std::string_view::npos && is_digits(rest.substr(colon + 1)))
        rest = rest.substr(0, colon);
    if (had_author && rest.ends_with("-v1") && rest != "claude-v1" && rest != "claude-instant-v1")
        rest.remove_suffix(3);
    std::string normal(without_date(rest));
    std::ranges::replace(normal, '.', '-');
    std::ranges::replace(normal, '_', '-');
    return normal;
}

std::string Offer::id() const {
    std::string name(model);
    if (const auto slash = name.find('/'); slash != std::string::npos) name[slash] = '.';
    std::string out = fmt::format("{}:{}:{}:{}", seller, surface, region, name);
    if (!variant.empty()) out += fmt::format(":{}", variant);
    return out;
}

bool Offer::has_flag(std::string_view flag) const {
    for (std::string_view rest = flags; !rest.empty();) {
        const auto plus = rest.find('+');
        if (rest.substr(0, plus) == flag) return true;
        rest.remove_prefix(plus == std::string_view::npos ? rest.size() : plus + 1);
    }
    return false;
}

const Catalog& Catalog::embedded() {
    static const Catalog kCatalog = [] {
        Result<Catalog> parsed = parse(embedded_data());
        ENTREPOT_CHECK(parsed.has_value());  // a test reads the same data
        return *std::move(parsed);
    }();
    return kCatalog;
}

void Catalog::build_indexes() {
    model_index_.reserve(models_.size());
    for (std::uint32_t i = 0; i < models_.size(); ++i) {
        model_index_.emplace(models_[i].name, i);
        normal_model_index_.emplace(normal_model_id(models_[i].name), i);
    }
    meter_index_.reserve(meters_.size());
    for (std::uint32_t i = 0; i < meters_.size(); ++i)
        meter_index_.emplace(fmt::format("{} {}", meters_[i].seller, to_lower(meters_[i].name)), i);
    offer_index_.reserve(offers_.size() * 4);
    for (std::uint32_t i = 0; i < offers_.size(); ++i) {
        const Offer& offer = offers_[i];
        const auto add = [&](std::string_view how, std::string_view id) {
            auto& list = offer_index_[key_of(offer.seller, how, id)];
            if (list.empty() || list.back() != i) list.push_back(i);
        };
        add("id", to_lower(offer.provider_model_id));
        add("model", offer.model);
        // A variant has a price of its own, so only its own id may lead to it.
        if (!offer.variant.empty()) continue;
        add("normal", normal_model_id(offer.provider_model_id));
        add("normal", normal_model_id(offer.model));
    }
}

std::span<const Rate> Catalog::rates(const Offer& offer) const {
    return std::span(rates_).subspan(offer.first_rate, offer.rate_count);
}

const ModelFacts* Catalog::find_model(std::string_view name) const {
    const auto at = model_index_.find(name);
    return at == model_index_.end() ? nullptr : &models_[at->second];
}

const Offer* Catalog::find_offer_id(std::string_view id) const {
    const auto at = std::ranges::find_if(offers_,
        [&](const Offer& offer) { return id.starts_with(offer.seller) && offer.id() == id; });
    return at == offers_.end() ? nullptr : &*at;
}

bool Catalog::knows(std::string_view name) const {
    const bool is_offer_id = name.find(':') != std::string_view::npos;
    return is_offer_id ? find_offer_id(name) != nullptr : find_model(name) != nullptr;
}

std::string Catalog::nearest_name(std::string_view name) const {
    const std::string wanted = to_lower(name);
    std::vector<std::string> names;
    if (wanted.find(':') != std::string::npos) {
        for (const Offer& offer : offers_) names.push_back(offer.id());
        return std::string(nearest(wanted, names));
    }
    const bool has_author = wanted.find('/') != std::string::npos;
    for (const ModelFacts& model : models_)
        names.emplace_back(has_author ? model.name : model.name.substr(model.name.find('/') + 1));
    const std::string_view near = nearest(wanted, names);
    if (near.empty()) return {};
    const auto at = std::ranges::find(names, near) - names.begin();
    return std::string(models_[static_cast<std::size_t>(at)].name);
}

const SellerMeter* Catalog::find_meter(std::string_view seller, std::string_view name) const {
    const auto at = meter_index_.find(fmt::format("{} {}", seller, to_lower(name)));
    return at == meter_index_.end() ? nullptr : &meters_[at->second];
}

std::vector<const Offer*> Catalog::search(const Filter& filter) const {
    const std::string wanted = to_lower(filter.model);
    std::vector<const Offer*> found;
    for (const Offer& offer : offers_) {
        if (!filter.seller.empty() && offer.seller != filter.seller) continue;
        if (!filter.region.empty() && offer.region != filter.region) continue;
        if (!wanted.empty() && to_lower(offer.model).find(wanted) == std::string::npos &&
            to_lower(offer.provider_model_id).find(wanted) == std::string::npos)
            continue;
        found.push_back(&offer);
    }
    return found;
}

}  // namespace entrepot::catalog
