#include "control/offer_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "json/value.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

constexpr std::string_view kKind = "offer";
constexpr seconds kHour{3600};

reports::OfferFacts facts_of(const routing::Offer& offer) {
    return {offer.kind, offer.residency.region, offer.provider_model_id, std::string(offer.author)};
}

std::string to_json(const reports::OfferFacts& facts) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object();
    if (facts.kind) writer.member("kind", catalog::cloud_kind_name(*facts.kind));
    writer.member("region", facts.region).member("id", facts.id_at_cloud);
    writer.member("author", facts.author).end_object();
    return out;
}

Result<reports::OfferFacts> from_json(std::string text) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::move(text)));
    const json::Value& root = document.root();
    reports::OfferFacts facts;
    const auto names = catalog::cloud_kind_names();
    const auto kind = std::ranges::find(names, root["kind"].string());
    if (kind != names.end()) facts.kind = static_cast<catalog::CloudKind>(kind - names.begin());
    facts.region = root["region"].string();
    facts.id_at_cloud = root["id"].string();
    facts.author = root["author"].string();
    return facts;
}

/// `1764000000000000000 claude-sonnet-4-5/aws`: the time has one width until the year 2286, so that
/// names sort by it.
std::string entry_name(std::string_view offer, Instant from) {
    return fmt::format("{} {}", from.ns, offer);
}

using ByTime = std::map<std::int64_t, reports::OfferFacts>;

Result<std::map<std::string, ByTime, std::less<>>> noted(const store::SettingsStore& store) {
    std::map<std::string, ByTime, std::less<>> all;
    ENTREPOT_TRY(std::vector<store::Setting> entries, store.list(kKind));
    for (store::Setting& entry : entries) {
        const std::string_view name = entry.name;
        const auto space = name.find(' ');
        std::int64_t from = 0;
        if (space == std::string_view::npos ||
            std::from_chars(name.data(), name.data() + space, from).ptr != name.data() + space)
            return fail(ErrorCode::kIo,
                fmt::format("books.db: '{}' is not what an offer is noted under", name));
        ENTREPOT_TRY(
            all[std::string(name.substr(space + 1))][from], from_json(std::move(entry.json)));
    }
    return all;
}

}  // namespace

Result<OfferFactsAt> OfferFactsAt::load(Backend& backend) {
    OfferFactsAt all;
    ENTREPOT_TRY(all.offers_, noted(backend.store()));
    const routing::OfferTable& offers = backend.offers();
    for (std::uint32_t i = 0; i < offers.size(); ++i) {
        ByTime& known = all.offers_[offers.offer(i).id.str()];
        if (known.empty()) known[0] = facts_of(offers.offer(i));
    }
    for (const config::CloudSettings& cloud : backend.settings().clouds)
        all.clouds_[cloud.id.str()] = {cloud.kind, cloud.region, {}, {}};
    return all;
}

const reports::OfferFacts& OfferFactsAt::of(
    std::string_view offer, std::string_view cloud, Instant hour) const {
    if (const auto found = offers_.find(offer); found != offers_.end()) {
        const ByTime& known = found->second;
        const auto after = known.lower_bound((hour + kHour).ns);
        return after == known.begin() ? after->second : std::prev(after)->second;
    }
    static const reports::OfferFacts nothing;
    const auto found = clouds_.find(cloud);
    return found == clouds_.end() ? nothing : found->second;
}

Status note_offers(store::SettingsStore& store, const routing::OfferTable& offers, Instant now) {
    ENTREPOT_TRY(const auto all, noted(store));
    for (std::uint32_t i = 0; i < offers.size(); ++i) {
        const routing::Offer& offer = offers.offer(i);
        const reports::OfferFacts facts = facts_of(offer);
        const auto known = all.find(offer.id.view());
        if (known != all.end() && std::prev(known->second.end())->second == facts) continue;
        ENTREPOT_TRY_DO(
            store.put({std::string(kKind), entry_name(offer.id.view(), now), to_json(facts), now}));
    }
    return {};
}

}  // namespace entrepot::control
