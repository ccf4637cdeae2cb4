#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "catalog/catalog.h"
#include "control/routes.h"
#include "json/writer.h"
#include "pricing/rate_card.h"

namespace entrepot::control {
namespace {

// Standard tier, lowest context band: what a short request pays.
void write_prices(json::Writer& writer, const pricing::RateCard& card, Instant now) {
    const pricing::RateCard::Epoch* epoch = card.at(now);
    if (epoch == nullptr || epoch->tier(catalog::Tier::kStandard).empty()) {
        writer.member_null("price");
        return;
    }
    const auto& band = epoch->tier(catalog::Tier::kStandard).front();
    writer.key("price").begin_object();
    for (std::size_t i = 0; i < canon::kMeterCount; ++i)
        if (band.own[i] != pricing::RateCard::kUnknownPrice)
            writer.member(canon::meter_name(static_cast<canon::Meter>(i)),
                UnitPrice::from_pico(band.own[i]).to_per_million());
    writer.member("currency", card.currency().code());
    if (card.factor() != Ratio{}) writer.member("factor", card.factor().to_string());
    writer.end_object();
    writer.member("rate_version", epoch->version.view());
    if (!epoch->contract.empty()) writer.member("contract", epoch->contract);
}

}  // namespace

Result<ApiAnswer> list_models(const ApiCall& call) {
    const config::Settings& settings = call.backend.settings();
    const routing::OfferTable& table = call.backend.offers();
    const std::string_view wanted = call.argument("model");
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("models").begin_array();
    bool found = wanted.empty();
    for (const config::ModelSettings& model : settings.models) {
        if (!wanted.empty() && model.id.view() != wanted) continue;
        found = true;
        writer.begin_object().member("model", model.id.view()).key("offers").begin_array();
        for (const std::uint32_t index : table.of_model(model.id.view())) {
            const routing::Offer& offer = table.offer(index);
            writer.begin_object()
                .member("offer", offer.id.view())
                .member("cloud", offer.cloud.view())
                .member("id", offer.provider_model_id)
                .member("region", offer.residency.region)
                .member("context_tokens", offer.limits.context_tokens)
                .member("max_output_tokens", offer.limits.output_tokens_max);
            if (offer.card) {
                write_prices(writer, *offer.card, call.backend.now());
            } else {
                writer.member_null("price");
            }
            writer.end_object();
        }
        writer.end_array().end_object();
    }
    writer.end_array().end_object();
    if (!found) {
        const std::string_view close = table.nearest_model(wanted);
        return fail_field(ErrorCode::kNotFound, "model",
            fmt::format("There is no model '{}'{}.", excerpt(wanted),
                close.empty() ? "" : fmt::format("; did you mean '{}'?", close)));
    }
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> list_prices(const ApiCall& call) {
    const catalog::Catalog& catalog = catalog::Catalog::embedded();
    std::size_t limit = 200;
    if (const auto text = call.argument("limit"); !text.empty()) {
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), limit);
        if (failure != std::errc() || end != text.data() + text.size())
            return fail_field(ErrorCode::kInvalidField, "limit",
                fmt::format("'{}' is not a number of rows", excerpt(text)));
    }
    const auto offers = catalog.search({.model = call.argument("model"),
        .seller = call.argument("seller"),
        .region = call.argument("region")});
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("found", static_cast<std::int64_t>(offers.size()));
    writer.key("prices").begin_array();
    for (std::size_t i = 0; i < offers.size() && i < limit; ++i) {
        const catalog::Offer& offer = *offers[i];
        const auto card = pricing::RateCard::compile(catalog, offer);
        writer.begin_object()
            .member("model", offer.model)
            .member("seller", offer.seller)
            .member("surface", offer.surface)
            .member("region", offer.region)
            .member("id", offer.provider_model_id)
            .member("context_tokens", offer.context_tokens)
            .member("as_of", offer.as_of);
        if (!offer.flags.empty()) writer.member("flags", offer.flags);
        write_prices(writer, card, call.backend.now());
        writer.end_object();
    }
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

}  // namespace entrepot::control
