#include "gateway/state.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "catalog/catalog.h"
#include "contracts/compile.h"
#include "dialect/registry.h"

namespace entrepot::gateway {
namespace {

/// The host of `https://host[:port]/path`, for price lists known by host.
std::string_view host_of(std::string_view url) {
    if (const auto scheme = url.find("://"); scheme != std::string_view::npos)
        url.remove_prefix(scheme + 3);
    return url.substr(0, url.find_first_of(":/"));
}

/// The list of an offer; nothing where none is known.
Result<std::optional<pricing::RateCard>> list_of(const config::OfferSettings& offer,
    const catalog::Match& match, const config::Settings& settings, Instant known) {
    if (offer.price) {
        std::vector<pricing::NamedPrice> prices;
        for (std::size_t m = 0; m < canon::kMeterCount; ++m) {
            if (const auto& price = offer.price->per_unit[m])
                prices.emplace_back(std::string(canon::meter_name(static_cast<canon::Meter>(m))),
                    price->to_per_million());
        }
        ENTREPOT_TRY(
            pricing::RateCard card, pricing::RateCard::from_prices(prices, offer.price->currency));
        return std::optional(std::move(card));
    }
    // List prices are in USD; without an exchange rate they say nothing about other books.
    if (match.offer == nullptr || settings.currency.code() != "USD")
        return std::optional<pricing::RateCard>();
    return std::optional(pricing::RateCard::compile(
        catalog::Catalog::embedded(), *match.offer, match.uplift, known));
}

/// The list with own rates, under what was signed; null where none of them has a price.
Result<std::shared_ptr<const pricing::RateCard>> card_of(const routing::Offer& offer,
    std::optional<pricing::RateCard> list, const config::Settings& settings,
    std::span<const contracts::Contract> contracts) {
    const contracts::Place place{
        offer.cloud.view(), offer.model.view(), offer.id.view(), offer.residency.region};
    ENTREPOT_TRY(
        list, contracts::list_with(settings.own_rates, place, std::move(list), settings.currency));
    const bool is_listed = list.has_value();
    const bool is_covered = std::ranges::any_of(
        contracts, [&](const contracts::Contract& contract) { return contract.covers(place); });
    if (!is_listed && !is_covered) return nullptr;
    if (!is_listed) {
        ENTREPOT_TRY(list, pricing::RateCard().scaled(Ratio{}, settings.currency));
    }
    ENTREPOT_TRY(pricing::RateCard card, contracts::card_under(contracts, place, std::move(*list)));
    if (!is_listed && !card.has_prices()) return nullptr;
    return std::make_shared<const pricing::RateCard>(std::move(card));
}

void add_budgets(std::vector<ledger::BudgetSpec>& specs, ledger::OwnerKind kind,
    const std::string& owner, const std::vector<config::BudgetSettings>& budgets) {
    for (const config::BudgetSettings& budget : budgets)
        specs.push_back({kind, owner, budget.limit, budget.period, budget.zone, budget.raise,
            budget.raise_until});
}

/// By team, and by team and project: the limits that keys share, each chain made once.
using LimitChains = std::unordered_map<std::string, std::shared_ptr<const auth::LimitChain>>;

std::string chain_name(const TeamId& team, const ProjectId& project) {
    return fmt::format("{}/{}", team.view(), project.view());
}

LimitChains limit_chains(const config::Settings& settings) {
    LimitChains chains;
    const auto add_chain = [&](const config::TeamSettings& team,
                               const config::ProjectSettings* project) {
        auth::LimitChain chain;
        const auto add = [&](auth::LimitLevel level, std::string_view owner,
                             const auth::Limits& limits) {
            if (limits != auth::Limits{}) chain.push_back({level, std::string(owner), limits});
        };
        if (project != nullptr)
            add(auth::LimitLevel::kProject, project->id.view(), project->limits);
        add(auth::LimitLevel::kTeam, team.id.view(), team.limits);
        if (const config::OrgSettings* org = settings.find_org(team.org.view()))
            add(auth::LimitLevel::kOrg, org->id.view(), org->limits);
        if (!chain.empty())
            chains[chain_name(team.id, project == nullptr ? ProjectId() : project->id)] =
                std::make_shared<const auth::LimitChain>(std::move(chain));
    };
    for (const config::TeamSettings& team : settings.teams) add_chain(team, nullptr);
    for (const config::ProjectSettings& project : settings.projects)
        if (const config::TeamSettings* team = settings.find_team(project.team.view()))
            add_chain(*team, &project);
    return chains;
}

auth::KeyEntry key_entry(
    const config::Settings& settings, const config::KeySettings& key, const LimitChains& above) {
    auth::KeyEntry entry;
    auth::Principal& principal = entry.principal;
    principal.key = key.id;
    principal.team = key.team;
    principal.project = key.project;
    principal.tag_headers = key.tag_headers;
    principal.end_user_header = key.end_users.header;
    principal.end_user_in_body = key.end_users.is_in_body;
    principal.needs_end_user = key.end_users.is_required;
    const config::TeamSettings* team = settings.find_team(key.team.view());
    if (team != nullptr) principal.org = team->org;
    principal.scope.models = key.models;
    principal.scope.clouds = key.clouds;
    principal.scope.regions = key.regions;
    if (team != nullptr) {
        principal.scope.team_models = team->models;
        principal.scope.team_clouds = team->clouds;
        principal.scope.team_regions = team->regions;
    }
    principal.policy = key.policy;
    principal.limits = key.limits;
    if (const auto found = above.find(chain_name(key.team, key.project)); found != above.end())
        principal.limits_above = found->second;
    principal.expires = key.expires;
    principal.disabled = key.disabled;
    principal.tags = key.tags;
    entry.digests = key.digests;
    entry.access_key = key.access_key;
    return entry;
}

}  // namespace

std::string tags_text(const std::map<std::string, std::string>& tags) {
    std::string text;
    for (const auto& [name, value] : tags)
        text += fmt::format("{}{}={}", text.empty() ? "" : ";", name, value);
    return text;
}

routing::Reach reach_of(const auth::Principal& principal) {
    routing::Reach reach;
    const auth::Scope& scope = principal.scope;
    if (!scope.team_clouds.allows_all()) reach.restrict_clouds(scope.team_clouds.patterns());
    if (!scope.clouds.allows_all()) reach.restrict_clouds(scope.clouds.patterns());
    if (!scope.team_regions.allows_all()) reach.restrict_regions(scope.team_regions.names());
    if (!scope.regions.allows_all()) reach.restrict_regions(scope.regions.names());
    return reach;
}

Result<std::shared_ptr<const auth::KeyIndex>> compile_keys(
    const config::Settings& settings, std::span<const config::KeySettings> stored_keys) {
    std::vector<auth::KeyEntry> entries;
    const LimitChains above = limit_chains(settings);
    for (const config::KeySettings& key : settings.keys)
        entries.push_back(key_entry(settings, key, above));
    for (const config::KeySettings& key : stored_keys) {
        if (settings.find_key(key.id.view()) != nullptr)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("key '{}' is in the file and in the store; remove or rename one",
                    key.id.view()));
        if (settings.find_team(key.team.view()) == nullptr)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("key '{}' of the store belongs to team '{}', which the file does not "
                            "define; add the team or disable the key",
                    key.id.view(), key.team.view()));
        entries.push_back(key_entry(settings, key, above));
    }
    return auth::KeyIndex::build(std::move(entries));
}

Result<routing::OfferTable> compile_offers(const config::Settings& settings, Instant known) {
    const catalog::Catalog& book = catalog::Catalog::embedded();
    const std::vector<contracts::Contract> contracts =
        contracts::contracts_with(settings.own_rates, settings.contracts);
    std::vector<routing::Offer> offers;
    std::string problems;
    for (const config::ModelSettings& model : settings.models) {
        for (const config::OfferSettings& offer : model.offers) {
            const config::CloudSettings* cloud = settings.find_cloud(offer.cloud.view());
            if (cloud == nullptr) continue;  // the loader has said so
            const std::string& region = offer.region.empty() ? cloud->region : offer.region;
            routing::Offer out;
            out.id = offer.id;
            out.model = model.id;
            out.cloud = offer.cloud;
            out.kind = cloud->kind;
            out.provider_model_id = offer.model_at_cloud;
            out.residency = catalog::residency_of(out.kind, region, offer.model_at_cloud);
            const catalog::Match match = book.find_offer({.kind = out.kind,
                .region = region,
                .provider_model_id = offer.model_at_cloud,
                .catalog_model = offer.catalog,
                .endpoint_host = host_of(cloud->endpoint),
                .service = cloud->service});
            const auto tell = [&](const Error& error) {
                problems += fmt::format(
                    "models.{}.offers.{}: {}\n", model.id.view(), offer.name, error.message);
            };
            auto list = list_of(offer, match, settings, known);
            if (!list) {
                tell(list.error());
                continue;
            }
            if (*list && (*list)->currency() != settings.currency) {
                problems += fmt::format(
                    "models.{}.offers.{}.price: the books are in {}, this price is in {}; state it "
                    "in {}\n",
                    model.id.view(), offer.name, settings.currency.code(),
                    (*list)->currency().code(), settings.currency.code());
                continue;
            }
            auto card = card_of(out, std::move(*list), settings, contracts);
            if (!card) {
                tell(card.error());
                continue;
            }
            out.card = std::move(*card);
            if (!offer.price) {
                out.price_note = match.offer != nullptr && out.card == nullptr
                    ? fmt::format("list prices are in USD, the books in {}; state a price",
                          settings.currency.code())
                    : match.note;
                out.is_price_approximate = out.card != nullptr && match.is_approximate;
            }
            out.limits.context_tokens = offer.context_tokens;
            out.limits.output_tokens_max = offer.max_output_tokens;
            const std::int64_t known_max =
                match.model == nullptr ? 0 : match.model->output_tokens_max;
            out.limits.must_state_output_cap = offer.max_output_tokens > 0 &&
                (known_max == 0 || offer.max_output_tokens < known_max);
            if (match.model != nullptr) {
                out.author = match.model->name.substr(0, match.model->name.find('/'));
                if (out.limits.context_tokens == 0)
                    out.limits.context_tokens = match.model->context_tokens_max;
                if (out.limits.output_tokens_max == 0)
                    out.limits.output_tokens_max = match.model->output_tokens_max;
            }
            out.embed_purpose = offer.input_type;
            out.expansion = routing::expansion_of(out.kind, offer.model_at_cloud);
            offers.push_back(std::move(out));
        }
    }
    if (!problems.empty()) {
        problems.pop_back();
        return fail(ErrorCode::kBadConfiguration, std::move(problems));
    }
    return routing::OfferTable(std::move(offers));
}

namespace {

config::ApiFormat api_format_of(const config::Settings& settings, const routing::Offer& offer) {
    const config::ModelSettings* model = settings.find_model(offer.model.view());
    if (model == nullptr) return config::ApiFormat::kByModel;
    const auto found = std::ranges::find(model->offers, offer.id, &config::OfferSettings::id);
    return found == model->offers.end() ? config::ApiFormat::kByModel : found->api_format;
}

}  // namespace

Result<std::shared_ptr<const State>> compile_state(const config::Settings& settings,
    std::span<const config::KeySettings> stored_keys, store::Books& books,
    upstream::CredentialKeeper& credentials) {
    auto state = std::make_shared<State>();
    state->settings = settings;
    std::string problems;
    for (const config::CloudSettings& cloud : settings.clouds) {
        auto supplier = upstream::make_supplier(cloud);
        if (!supplier) {
            problems += supplier.error().message + "\n";
            continue;
        }
        Cloud compiled;
        compiled.settings = cloud;
        compiled.supplier = std::move(*supplier);
        auto source = upstream::make_credential_source(cloud);
        if (!source) {
            problems +=
                fmt::format("clouds.{}.credentials: {}\n", cloud.id.view(), source.error().message);
            continue;
        }
        // What is held already stays; what is new begins to be fetched here, and is let go when the
        // settings are refused.
        if (*source != nullptr) compiled.credentials = credentials.keep(cloud.id.view(), *source);
        state->clouds.push_back(std::move(compiled));
    }
    if (!problems.empty()) {
        problems.pop_back();
        return fail(ErrorCode::kBadConfiguration, std::move(problems));
    }
    for (Cloud& cloud : state->clouds) {
        const std::string_view name = cloud.settings.id.view();
        const std::string offer = fmt::format("passthrough/{}", name);
        ENTREPOT_TRY(cloud.passed, books.route("passthrough", offer, name));
    }
    ENTREPOT_TRY(state->table, compile_offers(settings));
    ENTREPOT_TRY(state->keys, compile_keys(settings, stored_keys));

    for (std::uint32_t i = 0; i < state->table.size(); ++i) {
        const routing::Offer& offer = state->table.offer(i);
        OfferState compiled;
        while (state->clouds[compiled.cloud].settings.id != offer.cloud) ++compiled.cloud;
        compiled.name = offer.id.str();
        compiled.model_at_cloud = offer.provider_model_id;
        compiled.voices = state->clouds[compiled.cloud].supplier->voices_in(
            offer.provider_model_id, api_format_of(settings, offer));
        compiled.voices.shrink_to_fit();
        canon::Tasks tasks = 0;
        for (upstream::Voice& voice : compiled.voices) {
            if (voice.model_id.empty()) voice.model_id = offer.provider_model_id;
            tasks |= static_cast<canon::Tasks>(voice.dialect->tasks & voice.tasks);
        }
        state->table.set_tasks(i, tasks);
        ENTREPOT_TRY(
            compiled.route, books.route(offer.model.view(), offer.id.view(), offer.cloud.view()));
        if (offer.card != nullptr) {
            for (const pricing::RateCard::Epoch& epoch : offer.card->epochs()) {
                RateNames names;
                ENTREPOT_TRY(names.version, books.name(epoch.version.view()));
                if (!epoch.contract.empty()) {
                    ENTREPOT_TRY(names.contract, books.name(epoch.contract));
                }
                compiled.rate_names.push_back(names);
            }
        }
        state->offers.push_back(std::move(compiled));
    }
    for (const contracts::Contract& contract : settings.contracts)
        for (std::size_t i = 0; i < contract.volumes.size(); ++i)
            state->volume_counters.push_back(
                {fmt::format("{}/{}", contract.name, i), contract.volumes[i].per});
    for (const auth::Principal& principal : state->keys->principals()) {
        KeyState compiled;
        ENTREPOT_TRY(compiled.path,
            books.path({principal.key.view(), principal.team.view(), principal.project.view(),
                principal.org.view()}));
        ENTREPOT_TRY(compiled.spender.key, books.name(principal.key.view()));
        ENTREPOT_TRY(compiled.spender.team, books.name(principal.team.view()));
        ENTREPOT_TRY(compiled.spender.org, books.name(principal.org.view()));
        if (!principal.project.empty()) {
            ENTREPOT_TRY(compiled.spender.project, books.name(principal.project.view()));
        }
        if (const std::string tags = tags_text(principal.tags); !tags.empty()) {
            ENTREPOT_TRY(compiled.spender.tags, books.scoped_name(compiled.spender.key, tags));
        }
        compiled.has_limits = principal.is_limited();
        compiled.reach = reach_of(principal);
        state->key_states.push_back(std::move(compiled));
    }
    for (const std::string_view name : dialect::dialect_names()) {
        ENTREPOT_TRY(const ledger::NameId id, books.name(name));
        state->dialect_names.push_back(id);
    }

    // Last of all that can fail: settings that are refused leave the budgets as they were.
    std::vector<ledger::BudgetSpec> budgets;
    for (const config::OrgSettings& org : settings.orgs)
        add_budgets(budgets, ledger::OwnerKind::kOrg, org.id.str(), org.budgets);
    for (const config::TeamSettings& team : settings.teams)
        add_budgets(budgets, ledger::OwnerKind::kTeam, team.id.str(), team.budgets);
    for (const config::ProjectSettings& project : settings.projects)
        add_budgets(budgets, ledger::OwnerKind::kProject, project.id.str(), project.budgets);
    for (const config::KeySettings& key : settings.keys) {
        add_budgets(budgets, ledger::OwnerKind::kKey, key.id.str(), key.budgets);
        add_budgets(budgets, ledger::OwnerKind::kEndUser, key.id.str(), key.end_users.budgets);
    }
    for (const config::KeySettings& key : stored_keys)
        add_budgets(budgets, ledger::OwnerKind::kKey, key.id.str(), key.budgets);
    ENTREPOT_TRY_DO(books.set_budgets(budgets));
    std::unordered_set<std::string_view> of_end_users;
    for (const ledger::BudgetSpec& budget : budgets)
        if (budget.owner_kind == ledger::OwnerKind::kEndUser) of_end_users.insert(budget.owner);
    for (KeyState& key : state->key_states)
        key.has_budget =
            books.has_budget(key.path) || of_end_users.contains(books.name_of(key.spender.key));
    return state;
}

}  // namespace entrepot::gateway
