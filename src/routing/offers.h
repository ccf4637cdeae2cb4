#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "canon/embed.h"
#include "canon/task.h"
#include "catalog/region.h"
#include "pricing/rate_card.h"
#include "routing/bound.h"

namespace entrepot::routing {

/// What a request needs of an offer, or an offer can do.
enum class Feature : std::uint16_t {
    kTools = 1 << 0,
    kImages = 1 << 1,
    kAudioIn = 1 << 2,
    kAudioOut = 1 << 3,
    kDocuments = 1 << 4,
    kStructuredOutput = 1 << 5,
    kReasoning = 1 << 6,
    kStreaming = 1 << 7,
    kLogprobs = 1 << 8,
    kChoices = 1 << 9,  ///< more than one choice
};
using Features = std::uint16_t;
[[nodiscard]] constexpr Features operator|(Feature a, Feature b) {
    return static_cast<Features>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr Features operator|(Features a, Feature b) {
    return static_cast<Features>(a | static_cast<unsigned>(b));
}
[[nodiscard]] std::string_view feature_name(Feature feature);
inline constexpr Features kAllFeatures = 0xffff;

/// One offer as the router sees it. Immutable, part of a published table.
struct Offer {
    OfferId id;
    ModelId model;
    CloudId cloud;
    catalog::CloudKind kind = catalog::CloudKind::kOpenai;
    std::string provider_model_id;
    std::string_view author;  ///< of the model, as the catalogue names them; empty: not known
    catalog::Residency residency;
    std::shared_ptr<const pricing::RateCard> card;  ///< null: no price is known
    std::string price_note;  ///< for people: where the list price stands, or why there is none
    bool is_price_approximate = false;  ///< the list price is another region's, or doubtful
    Limits limits;
    Expansion expansion;
    Features features = kAllFeatures;
    canon::Tasks tasks = canon::kAllTasks;
    canon::EmbedPurpose embed_purpose = canon::EmbedPurpose::kUnsaid;
    std::uint8_t dialect = 0;      ///< the gateway's own number of the dialect spoken upstream
    std::uint64_t stable_key = 0;  ///< hash of `id`; set by the table; survives reloads
};

/// Every configured offer, indexed by model: offers of other models cost a request nothing.
class OfferTable {
public:
    OfferTable() = default;
    /// Order within a model is kept and breaks ties.
    explicit OfferTable(std::vector<Offer> offers);

    /// Indexes (into `offer()`) of a model's offers; empty for an unknown model.
    [[nodiscard]] std::span<const std::uint32_t> of_model(std::string_view model) const;
    [[nodiscard]] const Offer& offer(std::uint32_t index) const { return offers_[index]; }
    [[nodiscard]] std::size_t size() const { return offers_.size(); }
    /// While it is being made: what the offer's supplier can be asked for.
    void set_tasks(std::uint32_t index, canon::Tasks tasks) { offers_[index].tasks = tasks; }
    /// Model names, sorted.
    [[nodiscard]] std::span<const std::string> models() const { return models_; }
    /// For "did you mean"; empty when nothing is near.
    [[nodiscard]] std::string_view nearest_model(std::string_view model) const;

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>()(text);
        }
    };
    std::vector<Offer> offers_;
    std::vector<std::string> models_;
    std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>> by_model_;
};

/// What a key may reach: each list of the key and of its team must allow an offer. Made once per
/// key.
class Reach {
public:
    Reach() = default;
    /// Adds one level (a team, a key): names, `*`, or a prefix ending in `*`; empty means
    /// everything.
    void restrict_clouds(const std::vector<std::string>& clouds);
    void restrict_regions(const std::vector<std::string>& regions);
    [[nodiscard]] bool allows_cloud(std::string_view cloud) const;
    [[nodiscard]] bool allows_region(const catalog::Residency& residency) const;

private:
    std::vector<std::vector<std::string>> clouds_;
    std::vector<catalog::RegionRule> regions_;
};

}  // namespace entrepot::routing
