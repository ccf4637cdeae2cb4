#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "canon/usage.h"
#include "catalog/region.h"
#include "catalog/tier.h"

namespace entrepot::catalog {

/// Ends of time in validity dates: an open start and an open end.
inline constexpr Instant kBeginning{INT64_MIN};
inline constexpr Instant kForever{INT64_MAX};

/// One list price: what it was, when it applied, when a source showed it.
struct Rate {
    Tier tier = Tier::kStandard;
    std::int64_t ctx_over = 0;  ///< applies to prompts of more tokens than this
    canon::Meter meter = canon::Meter::kInput;
    UnitPrice price;
    Instant from = kBeginning;  ///< half open
    Instant to = kForever;
    Instant seen;  ///< when it was known; a source that gives a month counts as its first day
    std::string_view sources;  ///< names of `Source`s joined by `+`
};

/// A model as one seller sells it, at list price in USD.
struct Offer {
    std::string_view seller;             ///< who sends the bill: `aws`
    std::string_view surface;            ///< `bedrock-runtime`, `foundry`, `api`, ...
    std::string_view region;             ///< `global`, a zone, a region code, `regional`, `base`
    std::string_view provider_model_id;  ///< what the seller calls it
    std::string_view model;              ///< canonical, `author/model`
    std::string_view variant;
    std::int64_t context_tokens = 0;  ///< 0: unknown
    std::string_view as_of;
    std::string_view basis;  ///< `published`, or `rule`
    std::string_view flags;  ///< `one-source`, `disputed`, `outlier`, joined by `+`
    std::uint32_t first_rate = 0;
    std::uint32_t rate_count = 0;

    [[nodiscard]] std::string id() const;  ///< seller:surface:region:author.model[:variant]
    [[nodiscard]] bool has_flag(std::string_view flag) const;
    /// One source that is far off every other seller: probably wrong.
    [[nodiscard]] bool is_doubtful() const { return has_flag("outlier") && has_flag("one-source"); }
};

/// What is known of a model itself. 0: unknown.
struct ModelFacts {
    std::string_view name;  ///< `author/model`
    std::int64_t context_tokens_max = 0;
    std::int64_t output_tokens_max = 0;
};

struct Source {
    std::string_view name, what, repository, commit, as_of, licence;
};

/// A multiplier a price list states, e.g. 1.1 for `data-residency:eu`.
struct Uplift {
    std::string_view seller, surface, model, condition;
    Ratio factor;
};

/// A model some cloud is known to sell although its price is not known.
struct Availability {
    std::string_view model, seller, surface, status, since, note;
};

/// A meter as a seller's bill names it, and what it counts (Azure's `meterName`).
struct SellerMeter {
    std::string_view seller, name;
    std::string_view unit;        ///< what one of it is: `1K`, `1M`
    std::string_view model;       ///< canonical, `author/model`
    std::string_view deployment;  ///< `global`, `datazone`, `regional`
    Tier tier = Tier::kStandard;
    std::int64_t ctx_over = 0;
    canon::Meter meter = canon::Meter::kInput;
};

/// What configuration says of an offer, as far as prices depend on it.
struct OfferQuery {
    CloudKind kind = CloudKind::kOpenai;
    std::string_view region;             ///< of the cloud; may be empty
    std::string_view provider_model_id;  ///< `offers.<name>.id`
    std::string_view catalog_model;      ///< `offers.<name>.catalog`: canonical name, or empty
    std::string_view endpoint_host;      ///< host of a configured endpoint, or empty
    std::string_view service = {};       ///< Bedrock's, where the configuration names it
};

/// Where the price of a configured offer stands in the catalogue, if anywhere.
struct Match {
    const Offer* offer = nullptr;       ///< null: no price is known
    const ModelFacts* model = nullptr;  ///< also found where only the price is unknown
    Ratio uplift;                       ///< exact multiplier on every rate, 1 when none applies
    bool is_approximate = false;        ///< the row stands for another region; `note` says which
    std::string note;  ///< a sentence for people: what was matched, or why nothing was
};

struct Filter {
    std::string_view model;   ///< part of the canonical name or provider id, any case; empty: all
    std::string_view seller;  ///< exact; empty: all
    std::string_view region;  ///< exact; empty: all
};

/// The project's own price data. Immutable; never touched on the request path.
class Catalog {
public:
    /// The data built into this binary, read at first use (a few ms). Thread-safe.
    [[nodiscard]] static const Catalog& embedded();
    /// `text` is in the form tools/generate_catalog.py writes and must outlive the catalogue.
    /// Errors: kBadConfiguration, naming the line.
    [[nodiscard]] static Result<Catalog> parse(std::string_view text);

    [[nodiscard]] std::span<const Offer> offers() const { return offers_; }
    [[nodiscard]] std::span<const Rate> rates(const Offer& offer) const;
    [[nodiscard]] std::span<const ModelFacts> models() const { return models_; }
    [[nodiscard]] std::span<const Source> sources() const { return sources_; }
    [[nodiscard]] std::span<const Uplift> uplifts() const { return uplifts_; }
    [[nodiscard]] std::span<const Availability> availability() const { return availability_; }

    /// Canonical `author/model`; null when unknown.
    [[nodiscard]] const ModelFacts* find_model(std::string_view name) const;
    /// The offer with exactly this id (`seller:surface:region:author.model[:variant]`), or null.
    [[nodiscard]] const Offer* find_offer_id(std::string_view id) const;
    /// Whether `offers.<name>.catalog` may say this: a model's name or an offer's id.
    [[nodiscard]] bool knows(std::string_view name) const;
    /// What `name`, which is not known, was probably meant to be: for "did you mean". An author
    /// that was left out is found too. Empty when nothing is close.
    [[nodiscard]] std::string nearest_name(std::string_view name) const;
    /// The row that prices a configured offer. Rules by cloud kind stand in src/catalog/README.md.
    [[nodiscard]] Match find_offer(const OfferQuery& query) const;
    /// The meter a seller's bill calls so, in any case; null when it is not known.
    [[nodiscard]] const SellerMeter* find_meter(
        std::string_view seller, std::string_view name) const;
    [[nodiscard]] std::span<const SellerMeter> meters() const { return meters_; }
    /// Offers that pass the filter, in the order of the data (by id).
    [[nodiscard]] std::vector<const Offer*> search(const Filter& filter) const;

private:
    struct Place {
        std::string_view seller, surface, region;  ///< an empty surface is any
        bool is_approximate = false;               ///< stands for another region
    };
    [[nodiscard]] std::vector<Place> places_of(const OfferQuery& query, std::string& note) const;
    [[nodiscard]] const Offer* find_at(
        const Place& place, const OfferQuery& query, bool may_be_doubtful) const;
    [[nodiscard]] const Offer* pick(
        std::string key, const Place& place, bool exact, bool may_be_doubtful) const;
    [[nodiscard]] const ModelFacts* facts_of(const OfferQuery& query) const;
    [[nodiscard]] Ratio uplift_of(
        const OfferQuery& query, const Offer& offer, std::string& note) const;
    [[nodiscard]] const Availability* sold_at(
        const OfferQuery& query, const ModelFacts* model) const;
    void build_indexes();

    std::vector<Offer> offers_;
    std::vector<Rate> rates_;
    std::vector<ModelFacts> models_;
    std::vector<Source> sources_;
    std::vector<Uplift> uplifts_;
    std::vector<Availability> availability_;
    std::vector<SellerMeter> meters_;
    std::unordered_map<std::string_view, std::uint32_t> model_index_;
    std::unordered_map<std::string, std::uint32_t> normal_model_index_;
    std::unordered_map<std::string, std::vector<std::uint32_t>>
        offer_index_;                                             ///< `seller how id` -> offers
    std::unordered_map<std::string, std::uint32_t> meter_index_;  ///< `seller name`, lower case
};

/// An id brought to the form in which sellers' spellings of one model agree: lower case, `.` as
/// `-`, without author and inference-profile prefixes, dates, `-latest` and version suffixes.
[[nodiscard]] std::string normal_model_id(std::string_view id);

}  // namespace entrepot::catalog
