// models, prices.

#include <fmt/format.h>

#include "base/text.h"
#include "command.h"
#include "control/routes.h"
#include "gateway/state.h"
#include "table.h"
#include "target.h"

namespace entrepot::cli {
namespace {

/// Answers what needs no books: settings, offers, the catalogue.
class CatalogBackend final : public control::Backend {
public:
    explicit CatalogBackend(const config::Settings& settings) : settings_(settings) {}
    Status compile() {
        ENTREPOT_TRY(offers_, gateway::compile_offers(settings_));
        return {};
    }
    const config::Settings& settings() override { return settings_; }
    const config::Settings& file_settings() override { return settings_; }
    const routing::OfferTable& offers() override { return offers_; }
    Result<routing::OfferTable> offers_with(
        std::span<const contracts::OwnRate>, Instant known) override {
        return gateway::compile_offers(settings_, known);
    }
    void with_books(const std::function<void(store::Books&)>&) override { std::abort(); }
    store::SettingsStore& store() override { std::abort(); }
    Status apply_stored() override { return {}; }
    std::string metrics() override { return {}; }
    bool draining() override { return false; }
    Instant now() override { return wall_now(); }

private:
    const config::Settings& settings_;
    routing::OfferTable offers_;
};

std::string number(const json::Value& value) {
    const auto whole = value.as_int();
    return whole && *whole > 0 ? std::to_string(*whole) : "-";
}

std::string price_of(const json::Value& entry, std::string_view meter) {
    const json::Value* price = entry["price"].find(meter);
    return price == nullptr ? "-" : std::string(price->string());
}

int print_table(const Arguments& arguments, const Table& table) {
    return write_output(arguments.has("--csv") ? table.to_csv() : table.to_text()) ? kOk : kFailed;
}

int run_models(const Arguments& arguments) {
    const auto target = open_target(arguments);
    if (!target) return report(target.error());
    CatalogBackend backend(target->settings);
    if (const Status compiled = backend.compile(); !compiled) return report(compiled.error());
    std::map<std::string, std::string> query;
    if (arguments.has("MODEL")) query["model"] = arguments.get("MODEL");
    const auto answer = control::list_models({backend, {}, std::move(query), {}});
    if (!answer) return report(answer.error());
    if (arguments.has("--json")) return write_output(answer->json + "\n") ? kOk : kFailed;
    const auto document = json::Document::parse(answer->json);
    if (!document) return report(document.error());
    Table table{{{"MODEL"}, {"OFFER"}, {"CLOUD"}, {"REGION"}, {"ID"}, {"CONTEXT", true},
                    {"OUTPUT MAX", true}, {"INPUT/M", true}, {"CACHED/M", true}, {"OUTPUT/M", true},
                    {"CURRENCY"}},
        {}};
    for (const json::Value& model : document->root()["models"].items())
        for (const json::Value& offer : model["offers"].items())
            table.rows.push_back({std::string(model["model"].string()),
                std::string(offer["offer"].string()), std::string(offer["cloud"].string()),
                std::string(offer["region"].string()), std::string(offer["id"].string()),
                number(offer["context_tokens"]), number(offer["max_output_tokens"]),
                price_of(offer, "input"), price_of(offer, "cache_read"), price_of(offer, "output"),
                std::string(offer["price"]["currency"].string())});
    return print_table(arguments, table);
}

int run_prices(const Arguments& arguments) {
    const config::Settings none;
    CatalogBackend backend(none);
    std::map<std::string, std::string> query;
    for (const auto& [option, name] : {std::pair("MODEL", "model"), std::pair("--seller", "seller"),
             std::pair("--region", "region"), std::pair("--limit", "limit")})
        if (arguments.has(option)) query[name] = arguments.get(option);
    const auto answer = control::list_prices({backend, {}, std::move(query), {}});
    if (!answer) return report(answer.error());
    if (arguments.has("--json")) return write_output(answer->json + "\n") ? kOk : kFailed;
    const auto document = json::Document::parse(answer->json);
    if (!document) return report(document.error());
    Table table{{{"MODEL"}, {"SELLER"}, {"SURFACE"}, {"REGION"}, {"INPUT/M", true},
                    {"CACHED/M", true}, {"OUTPUT/M", true}, {"CURRENCY"}, {"AS OF"}, {"FLAGS"}},
        {}};
    const auto rows = document->root()["prices"].items();
    for (const json::Value& row : rows)
        table.rows.push_back(
            {std::string(row["model"].string()), std::string(row["seller"].string()),
                std::string(row["surface"].string()), std::string(row["region"].string()),
                price_of(row, "input"), price_of(row, "cache_read"), price_of(row, "output"),
                std::string(row["price"]["currency"].string()), std::string(row["as_of"].string()),
                std::string(row["flags"].string())});
    const auto found = document->root()["found"].as_int().value_or(0);
    if (rows.empty()) {
        fmt::print(
            stderr, "entrepot: the catalogue has no price for that; try a part of the name\n");
        return kFailed;
    }
    if (static_cast<std::size_t>(found) > rows.size())
        fmt::print(stderr, "{} of {} rows; narrow it, or raise --limit\n", rows.size(), found);
    return print_table(arguments, table);
}

}  // namespace

std::vector<Command> catalog_commands() {
    const Option as_json{"--json", "", "JSON as the API gives it."};
    const Option as_csv{"--csv", "", "Comma-separated."};
    return {
        {"models",
            "Models and their offers, with the prices in force (standard tier, short prompt).",
            target_options({{"MODEL", "", "This one alone."}, as_json, as_csv}), run_models},
        {"prices", "List prices of the catalogue, per million tokens.",
            {{"MODEL", "", "A part of the name."},
                {"--seller", "NAME", "openai, azure, aws, anthropic, google, oracle, ..."},
                {"--region", "NAME", "As the seller writes it."},
                {"--limit", "N", "At most so many rows (200)."}, as_json, as_csv},
            run_prices},
    };
}

}  // namespace entrepot::cli
