// What can only be judged when the whole file has been read.

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "catalog/catalog.h"
#include "catalog/publisher.h"
#include "catalog/region.h"
#include "config/schema.h"
#include "contracts/check.h"

namespace entrepot::config {
namespace {

template <typename T>
std::vector<std::string> ids_of(const std::vector<T>& entries) {
    std::vector<std::string> ids;
    for (const T& entry : entries) ids.push_back(entry.id.str());
    return ids;
}

class Resolver {
public:
    Resolver(Reader& reader, Settings& settings)
        : reader_(reader),
          settings_(settings),
          clouds_(ids_of(settings.clouds)),
          models_(ids_of(settings.models)),
          teams_(ids_of(settings.teams)),
          orgs_(ids_of(settings.orgs)),
          cloud_set_(clouds_.begin(), clouds_.end()),
          model_set_(models_.begin(), models_.end()) {
        for (std::size_t i = 0; i < teams_.size(); ++i) team_index_.emplace(teams_[i], i);
        for (std::size_t i = 0; i < clouds_.size(); ++i) cloud_index_.emplace(clouds_[i], i);
        for (const CloudSettings& cloud : settings.clouds) add_region(cloud.region);
        for (const ModelSettings& model : settings.models)
            for (const OfferSettings& offer : model.offers) add_region(offer.region);
    }

    void run() {
        for (CloudSettings& cloud : settings_.clouds) {
            resolve_credentials(reader_, cloud);
            check_cloud(cloud);
        }
        for (ModelSettings& model : settings_.models)
            for (OfferSettings& offer : model.offers) check_offer(model, offer);
        for (const WebhookSettings& webhook : settings_.webhooks) check_webhook(webhook);
        for (const OrgSettings& org : settings_.orgs)
            check_notices(fmt::format("orgs.{}", excerpt(org.id.view())), org.budgets);
        for (const TeamSettings& team : settings_.teams) check_team(team);
        for (const ProjectSettings& project : settings_.projects) check_project(project);
        run_keys();
        check_contracts();
        check_admin();
    }

    void run_entries(const EntryCounts& of_file) {
        const auto added = [](auto& all, std::size_t from) { return std::span(all).subspan(from); };
        check_fresh("models", models_, of_file.models);
        check_fresh("orgs", orgs_, of_file.orgs);
        check_fresh("teams", teams_, of_file.teams);
        check_fresh("projects", ids_of(settings_.projects), of_file.projects);
        std::vector<std::string> contracts;
        for (const contracts::Contract& contract : settings_.contracts)
            contracts.push_back(contract.name);
        check_fresh("contracts", contracts, of_file.contracts);
        for (ModelSettings& model : added(settings_.models, of_file.models))
            for (OfferSettings& offer : model.offers) check_offer(model, offer);
        for (const OrgSettings& org : added(settings_.orgs, of_file.orgs))
            check_notices(fmt::format("orgs.{}", excerpt(org.id.view())), org.budgets);
        for (const TeamSettings& team : added(settings_.teams, of_file.teams)) check_team(team);
        for (const ProjectSettings& project : added(settings_.projects, of_file.projects))
            check_project(project);
        check_contracts();
    }

    void run_keys() {
        for (const KeySettings& key : settings_.keys) check_key(key);
    }

private:
    void check_fresh(
        std::string_view section, const std::vector<std::string>& names, std::size_t from) {
        for (std::size_t i = from; i < names.size(); ++i)
            if (const auto other = std::ranges::find(names, names[i]);
                other < names.begin() + static_cast<std::ptrdiff_t>(i))
                reader_.error_at(fmt::format("{}.{}", section, excerpt(names[i])),
                    fmt::format("the configuration file has '{}' too", excerpt(names[i])),
                    fmt::format("remove one: in the file, or with 'entrepot {} remove'", section));
    }

    void add_region(const std::string& region) {
        if (!region.empty()) regions_.insert(to_lower(region));
    }

    static std::string did_you_mean(
        std::string_view word, const std::vector<std::string>& known, std::string_view kind) {
        const std::string_view close = nearest(word, known);
        if (!close.empty()) return fmt::format("did you mean '{}'?", close);
        if (known.empty()) return fmt::format("add it below `{}`", kind);
        const std::size_t shown = std::min<std::size_t>(known.size(), 10);
        return fmt::format("the {} known here are {}{}", kind,
            fmt::join(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
            shown < known.size() ? ", ..." : "");
    }

    void need(bool given, const std::string& path, std::string_view name, std::string_view why,
        std::string_view remedy) {
        if (!given)
            reader_.error_at(fmt::format("{}.{}", path, name),
                fmt::format("'{}' is missing: {}", name, why), std::string(remedy));
    }

    void check_cloud(const CloudSettings& cloud) {
        const std::string path = fmt::format("clouds.{}", excerpt(cloud.id.view()));
        const std::string_view kind = cloud_kind_name(cloud.kind);
        const auto needs_key = [&] {
            // With a wrong value the problem is told already; do not tell it twice.
            if (cloud.api_key.empty() && !was_given(path + ".api_key") &&
                !was_given(path + ".credentials"))
                need(false, path, "api_key", fmt::format("{} refuses requests without one", kind),
                    "add api_key: \"${env:NAME}\"");
        };
        if (reader_.environment().is_whole)
            for (const auto& [name, file] : {std::pair("ca_file", &cloud.ca_file),
                     std::pair("client_cert", &cloud.client_cert_file),
                     std::pair("client_key", &cloud.client_key_file)}) {
                if (file->empty()) continue;
                if (const auto text = reader_.environment().file(*file); !text)
                    reader_.error_at(fmt::format("{}.{}", path, name), text.error().message,
                        "check the path and that this user may read the file");
            }
        for (const auto& [given, missing] :
            {std::pair("client_cert", "client_key"), std::pair("client_key", "client_cert")})
            if (was_given(fmt::format("{}.{}", path, given)))
                need(was_given(fmt::format("{}.{}", path, missing)), path, missing,
                    "a certificate is shown with its key", fmt::format("add {}: <path>", missing));
        if (was_given(path + ".service") && cloud.kind != CloudKind::kBedrock)
            reader_.error_at(path + ".service",
                fmt::format("'service' means nothing to kind {}", kind), "remove it");
        switch (cloud.kind) {
            case CloudKind::kOpenai:
            case CloudKind::kAnthropic:
            case CloudKind::kGemini:
            case CloudKind::kCohere: needs_key(); break;
            case CloudKind::kOpenaiCompatible:
                need(!cloud.endpoint.empty() || was_given(path + ".endpoint"), path, "endpoint",
                    "an openai_compatible cloud has no address of its own",
                    "add endpoint: \"http://host:port/v1\"");
                break;
            case CloudKind::kAzure:
                need(!cloud.endpoint.empty() || was_given(path + ".endpoint"), path, "endpoint",
                    "every azure resource has its own",
                    "add endpoint: \"https://<resource>.openai.azure.com\"");
                needs_key();
                break;
            case CloudKind::kBedrock: check_bedrock(cloud, path); break;
            case CloudKind::kVertex: check_vertex(cloud, path); break;
            case CloudKind::kOci: check_oci(cloud, path); break;
        }
    }

    void check_vertex(const CloudSettings& cloud, const std::string& path) {
        const bool has_key = was_given(path + ".api_key");
        if (!has_key && !was_given(path + ".service_account") && !was_given(path + ".credentials"))
            need(false, path, "service_account", "vertex refuses requests without credentials",
                "add service_account: \"${file:/path/to/key.json}\", or credentials: {from: "
                "metadata}, or api_key in express mode");
        if (has_key && !was_given(path + ".project")) {
            // Express mode: no project, and so no place.
            if (!cloud.region.empty() && cloud.region != "global")
                reader_.error_at(path + ".region",
                    fmt::format("'{}' needs a project: an api_key alone is express mode, which "
                                "processes anywhere",
                        cloud.region),
                    "add project: <the project's id>, or write region: global");
            return;
        }
        need(was_given(path + ".project"), path, "project", "a vertex path names it",
            "add project: <the project's id>");
        need(was_given(path + ".region"), path, "region", "a vertex path names it",
            "add region: europe-west4 (or where you buy), eu, us or global");
    }

    void check_bedrock(const CloudSettings& cloud, const std::string& path) {
        need(!cloud.region.empty() || was_given(path + ".region"), path, "region",
            "a bedrock request is signed for one", "add region: us-east-1 (or where you buy)");
        if (was_given(path + ".credentials")) return;
        const bool id = was_given(path + ".access_key_id");
        const bool secret = was_given(path + ".secret_access_key");
        if (was_given(path + ".api_key")) {
            if (id || secret)
                reader_.error_at(path + ".api_key",
                    "both a bearer token and an access key pair are given",
                    "keep `api_key`, or `access_key_id` and `secret_access_key`");
            return;
        }
        need(id, path, "access_key_id", "bedrock refuses unsigned requests",
            "add access_key_id and secret_access_key, or credentials: {from: ...}, or api_key: a "
            "Bedrock bearer token");
        if (id)
            need(secret, path, "secret_access_key", "the access key cannot sign without it",
                "add secret_access_key: \"${env:AWS_SECRET_ACCESS_KEY}\"");
    }

    void check_oci(const CloudSettings& cloud, const std::string& path) {
        need(!cloud.region.empty() || was_given(path + ".region"), path, "region",
            "keys and endpoints of oci belong to one",
            "add region: eu-frankfurt-1 (or where you buy)");
        const bool has_key = was_given(path + ".api_key");
        const bool has_profile = was_given(path + ".config_file");
        const bool has_credentials = was_given(path + ".credentials");
        if (!has_key && !has_profile && !has_credentials)
            need(false, path, "config_file", "oci refuses requests without a signature or a key",
                "add config_file: \"~/.oci/config\", or credentials: {from: ...}, or api_key: a "
                "Generative AI API key");
        if (has_profile && (has_key || has_credentials))
            reader_.error_at(path + ".config_file",
                fmt::format(
                    "both 'config_file' and '{}' are given", has_key ? "api_key" : "credentials"),
                "keep one of them");
        if (!has_key)
            need(was_given(path + ".compartment"), path, "compartment",
                "a signed request is made under one",
                "add compartment: ocid1.compartment.oc1..<id>");
    }

    void check_api_format(
        const std::string& path, const OfferSettings& offer, const CloudSettings& cloud) {
        if (offer.api_format == ApiFormat::kByModel) return;
        const bool is_known = cloud.kind == CloudKind::kOci ||
            (cloud.kind == CloudKind::kBedrock && offer.api_format == ApiFormat::kOpenai);
        if (!is_known)
            reader_.error_at(path + ".api_format",
                fmt::format("'{}' means nothing to kind {}", api_format_name(offer.api_format),
                    cloud_kind_name(cloud.kind)),
                "remove it");
    }

    // Native chat has a place for the compartment that must not be empty.
    void check_native(
        const std::string& path, const OfferSettings& offer, const CloudSettings& cloud) {
        if (cloud.kind != CloudKind::kOci || !cloud.compartment.empty() ||
            was_given(fmt::format("clouds.{}.compartment", excerpt(cloud.id.view()))) ||
            oci_format(offer.api_format, offer.model_at_cloud) == ApiFormat::kOpenai)
            return;
        reader_.error_at(path + ".cloud",
            fmt::format("native chat of oci names a compartment, and the cloud '{}' has none",
                excerpt(cloud.id.view())),
            "add compartment to the cloud, or api_format: openai to the offer where the model is "
            "served so");
    }

    [[nodiscard]] bool was_given(const std::string& path) const { return reader_.was_given(path); }

    void check_offer(const ModelSettings& model, OfferSettings& offer) {
        const std::string path =
            fmt::format("models.{}.offers.{}", excerpt(model.id.view()), excerpt(offer.name));
        if (!offer.cloud.empty()) {
            const auto found = cloud_index_.find(offer.cloud.str());
            if (found == cloud_index_.end()) {
                reader_.error_at(path + ".cloud",
                    fmt::format("there is no cloud '{}'", excerpt(offer.cloud.view())),
                    did_you_mean(offer.cloud.view(), clouds_, "clouds"));
            } else {
                const CloudSettings& cloud = settings_.clouds[found->second];
                check_api_format(path, offer, cloud);
                check_native(path, offer, cloud);
                if (cloud.kind == CloudKind::kVertex) check_vertex_offer(path, offer, cloud);
                if (offer.region.empty()) offer.region = region_of(offer, cloud);
            }
        }
        if (!offer.catalog.empty() && !catalog::Catalog::embedded().knows(offer.catalog)) {
            const std::string near = catalog::Catalog::embedded().nearest_name(offer.catalog);
            reader_.error_at(path + ".catalog",
                fmt::format("the catalogue has no '{}'", excerpt(offer.catalog)),
                near.empty() ? "`entrepot prices` lists its models and offers"
                             : fmt::format("did you mean '{}'?", near));
        }
        if (offer.price) check_price(path + ".price", *offer.price);
        if (offer.context_tokens > 0 && offer.max_output_tokens > offer.context_tokens)
            reader_.error_at(path + ".max_output_tokens",
                fmt::format("an answer of {} tokens does not fit a context of {}",
                    offer.max_output_tokens, offer.context_tokens),
                "lower max_output_tokens or raise context_tokens");
    }

    void check_vertex_offer(
        const std::string& path, const OfferSettings& offer, const CloudSettings& cloud) {
        if (!offer.region.empty() && !equals_ignoring_case(offer.region, cloud.region))
            reader_.error_at(path + ".region",
                fmt::format("the cloud '{}' processes in '{}', as its address says",
                    cloud.id.view(), cloud.region.empty() ? "global" : cloud.region),
                fmt::format("add a cloud with region: {} and name that", excerpt(offer.region)));
        const std::string publisher = catalog::publisher_model(offer.model_at_cloud).publisher;
        if (cloud.project.empty() && publisher != "google" && !cloud.api_key.empty())
            reader_.error_at(path + ".id",
                fmt::format("express mode sells Google's models alone, and '{}' is {}",
                    excerpt(offer.model_at_cloud),
                    publisher.empty() ? "of a project" : fmt::format("one of {}'s", publisher)),
                fmt::format("add project: and region: to the cloud '{}'", cloud.id.view()));
    }

    // A Bedrock id may name a profile that processes beyond the endpoint's region: residency goes
    // by the profile.
    static std::string region_of(const OfferSettings& offer, const CloudSettings& cloud) {
        if (cloud.kind == CloudKind::kBedrock)
            if (const auto zone = catalog::profile_zone(offer.model_at_cloud); !zone.empty())
                return std::string(zone);
        return cloud.region;
    }

    void check_price(const std::string& path, const PriceOverride& price) {
        if (price.currency != settings_.currency)
            reader_.error_at(path + ".currency",
                fmt::format("the price is in {}, the books are in {}", price.currency.code(),
                    settings_.currency.code()),
                fmt::format("write the price in {}: dated exchange rates (`fx`) are not read by "
                            "this build",
                    settings_.currency.code()));
        using canon::Meter;
        const auto has_any = [&](std::initializer_list<Meter> meters) {
            return std::ranges::any_of(meters, [&](Meter meter) {
                return price.per_unit[static_cast<std::size_t>(meter)] ||
                    was_given(fmt::format("{}.{}", path, canon::meter_name(meter)));
            });
        };
        // What is sold by the piece has no price by the token.
        if (has_any({Meter::kRequests, Meter::kImages, Meter::kAudioSeconds, Meter::kCharacters,
                Meter::kSearches}) &&
            !has_any({Meter::kInput, Meter::kOutput}))
            return;
        for (const Meter meter : {Meter::kInput, Meter::kOutput}) {
            const std::string name(canon::meter_name(meter));
            const bool is_there = has_any({meter}) ||
                (meter == Meter::kOutput && has_any({Meter::kAudioOut, Meter::kImageOut}));
            if (!is_there)
                reader_.error_at(path, fmt::format("the price has no '{}'", name),
                    fmt::format(
                        "add {}: \"<decimal per million tokens>\"; \"0\" if it is free", name));
        }
    }

    void check_names(const std::string& path, const auth::NameSet& set,
        const std::unordered_set<std::string>& known, const std::vector<std::string>& list,
        std::string_view kind) {
        for (std::size_t i = 0; i < set.patterns().size(); ++i) {
            const std::string& pattern = set.patterns()[i];
            const std::string place = item_path(path, i);
            const auto star = pattern.find('*');
            if (star != std::string::npos) {
                if (star + 1 != pattern.size())
                    reader_.error_at(place,
                        fmt::format("'{}' has a '*' that is not at its end", excerpt(pattern)),
                        "write a name, or the beginning of names and '*'");
            } else if (!known.contains(pattern)) {
                reader_.error_at(place,
                    fmt::format(
                        "there is no {} '{}'", kind.substr(0, kind.size() - 1), excerpt(pattern)),
                    did_you_mean(pattern, list, kind));
            }
        }
    }

    // A list's items have places of their own; one text instead of a list stands at the list's.
    [[nodiscard]] std::string item_path(const std::string& path, std::size_t item) const {
        const std::string with_item = fmt::format("{}[{}]", path, item);
        return was_given(with_item) ? with_item : path;
    }

    void check_regions(const std::string& path, const auth::RegionSet& set) {
        for (std::size_t i = 0; i < set.names().size(); ++i) {
            const std::string& name = set.names()[i];
            if (name == "*" || !catalog::zones_of(name).is_unknown() || regions_.contains(name))
                continue;
            std::vector<std::string> known(
                catalog::zone_names().begin(), catalog::zone_names().end());
            known.insert(known.end(), regions_.begin(), regions_.end());
            reader_.error_at(item_path(path, i),
                fmt::format(
                    "'{}' is no region that we or an offer of this file know", excerpt(name)),
                did_you_mean(name, known, "regions"));
        }
    }

    void check_team(const TeamSettings& team) {
        const std::string path = fmt::format("teams.{}", excerpt(team.id.view()));
        if (!team.org.empty() && std::ranges::find(orgs_, team.org.str()) == orgs_.end())
            reader_.error_at(path + ".org",
                fmt::format("there is no org '{}'", excerpt(team.org.view())),
                did_you_mean(team.org.view(), orgs_, "orgs"));
        check_names(path + ".models", team.models, model_set_, models_, "models");
        check_names(path + ".clouds", team.clouds, cloud_set_, clouds_, "clouds");
        check_regions(path + ".regions", team.regions);
        check_notices(path, team.budgets);
    }

    void check_project(const ProjectSettings& project) {
        const std::string path = fmt::format("projects.{}", excerpt(project.id.view()));
        if (!project.team.empty() && !team_index_.contains(project.team.str()))
            reader_.error_at(path + ".team",
                fmt::format("there is no team '{}'", excerpt(project.team.view())),
                did_you_mean(project.team.view(), teams_, "teams"));
        check_notices(path, project.budgets);
    }

    void check_key_project(const std::string& path, const KeySettings& key) {
        if (key.project.empty()) return;
        const ProjectSettings* const project = settings_.find_project(key.project.view());
        if (project == nullptr) {
            reader_.error_at(path + ".project",
                fmt::format("there is no project '{}'", excerpt(key.project.view())),
                did_you_mean(key.project.view(), ids_of(settings_.projects), "projects"));
        } else if (project->team != key.team) {
            reader_.error_at(path + ".project",
                fmt::format("project '{}' is of team '{}', the key of team '{}'",
                    excerpt(key.project.view()), excerpt(project->team.view()),
                    excerpt(key.team.view())),
                "name a project of the key's own team");
        }
    }

    void check_webhook(const WebhookSettings& webhook) {
        if (webhook.ca_file.empty() || !reader_.environment().is_whole) return;
        if (const auto text = reader_.environment().file(webhook.ca_file); !text)
            reader_.error_at(fmt::format("webhooks.{}.ca_file", excerpt(webhook.name)),
                text.error().message, "check the path and that this user may read the file");
    }

    void check_notices(const std::string& path, const std::vector<BudgetSettings>& budgets) {
        for (std::size_t i = 0; i < budgets.size(); ++i) {
            const auto& notify = budgets[i].notify;
            if (!notify || notify->webhook.empty()) continue;  // its absence has been told
            if (settings_.find_webhook(notify->webhook) != nullptr) continue;
            std::vector<std::string> names;
            for (const WebhookSettings& webhook : settings_.webhooks) names.push_back(webhook.name);
            reader_.error_at(fmt::format("{}.budgets[{}].notify.webhook", path, i),
                fmt::format("there is no webhook '{}'", excerpt(notify->webhook)),
                did_you_mean(notify->webhook, names, "webhooks"));
        }
    }

    void check_key(const KeySettings& key) {
        const std::string path = fmt::format("keys.{}", excerpt(key.id.view()));
        check_names(path + ".models", key.models, model_set_, models_, "models");
        check_names(path + ".clouds", key.clouds, cloud_set_, clouds_, "clouds");
        check_regions(path + ".regions", key.regions);
        check_notices(path, key.budgets);
        for (std::size_t i = 0; i < key.end_users.budgets.size(); ++i)
            if (key.end_users.budgets[i].notify)
                reader_.error_at(fmt::format("{}.end_users.budgets[{}].notify", path, i),
                    "nobody is told of what each end user has spent",
                    "remove notify here; the key's own budgets may have it");
        check_key_project(path, key);
        check_passthrough(path, key);
        check_secrets(path, key);
        if (key.team.empty()) return;
        const auto found = team_index_.find(key.team.str());
        if (found == team_index_.end()) {
            reader_.error_at(path + ".team",
                fmt::format("there is no team '{}'", excerpt(key.team.view())),
                did_you_mean(key.team.view(), teams_, "teams"));
            return;
        }
        const TeamSettings& team = settings_.teams[found->second];
        check_width(path + ".models", key.models.patterns(), team,
            [&](const std::string& name) { return team.models.covers_pattern(name); });
        check_width(path + ".clouds", key.clouds.patterns(), team,
            [&](const std::string& name) { return team.clouds.covers_pattern(name); });
        const catalog::RegionRule rule(team.regions.names());
        check_width(path + ".regions", key.regions.names(), team,
            [&](const std::string& name) { return rule.covers(name); });
    }

    // `*` at a key is all that the team may; anything else must not go beyond it.
    template <typename Covers>
    void check_width(const std::string& path, const std::vector<std::string>& names,
        const TeamSettings& team, const Covers& covers) {
        for (std::size_t i = 0; i < names.size(); ++i)
            if (names[i] != "*" && !covers(names[i]))
                reader_.error_at(item_path(path, i),
                    fmt::format("'{}' is wider than what the team '{}' may reach",
                        excerpt(names[i]), team.id.view()),
                    "widen the team, or remove it here");
    }

    void check_passthrough(const std::string& path, const KeySettings& key) {
        for (std::size_t i = 0; i < key.passthrough.size(); ++i) {
            const PassRule& rule = key.passthrough[i];
            if (rule.cloud.empty() || settings_.find_cloud(rule.cloud.view()) != nullptr) continue;
            reader_.error_at(fmt::format("{}.passthrough[{}].cloud", path, i),
                fmt::format("there is no cloud '{}'", excerpt(rule.cloud.view())),
                did_you_mean(rule.cloud.view(), clouds_, "clouds"));
        }
    }

    void check_secrets(const std::string& path, const KeySettings& key) {
        const bool tried = was_given(path + ".secret") || was_given(path + ".secret_hash");
        if (key.digests.empty() && !key.access_key && !tried && !was_given(path + ".aws"))
            reader_.error_at(path, "the key has no secret",
                "add secret: \"${env:NAME}\" or secret_hash: \"sha256:...\"");
        if (key.digests.size() > 2)
            reader_.error_at(path + ".secret",
                fmt::format("the key has {} live secrets", key.digests.size()), "keep two");
        for (const auth::Digest& digest : key.digests) {
            const std::string text(digest.begin(), digest.end());
            const auto [holder, fresh] = secrets_.emplace(text, key.id.str());
            if (!fresh)
                reader_.error_at(path + (was_given(path + ".secret") ? ".secret" : ".secret_hash"),
                    fmt::format("the secret is that of the key '{}' too", holder->second),
                    "give each key a secret of its own");
        }
    }

    void check_contracts() {
        std::vector<std::string> offers;
        std::vector<contracts::CloudFact> clouds;
        for (const ModelSettings& model : settings_.models)
            for (const OfferSettings& offer : model.offers) offers.push_back(offer.id.str());
        for (const CloudSettings& cloud : settings_.clouds)
            clouds.push_back({cloud.id.view(), cloud.kind});
        const std::unordered_set<std::string> offer_set(offers.begin(), offers.end());
        const auto names = [&](const std::string& path, const std::vector<std::string>& list,
                               const std::unordered_set<std::string>& known,
                               const std::vector<std::string>& all, std::string_view kind) {
            if (!list.empty()) check_names(path, auth::NameSet(list), known, all, kind);
        };
        const auto selector = [&](const std::string& path, const contracts::Selector& of) {
            names(path + ".clouds", of.clouds, cloud_set_, clouds_, "clouds");
            names(path + ".models", of.models, model_set_, models_, "models");
            names(path + ".offers", of.offers, offer_set, offers, "offers");
        };
        for (const contracts::Contract& contract : settings_.contracts) {
            const std::string path = fmt::format("contracts.{}", excerpt(contract.name));
            names(path + ".clouds", contract.clouds, cloud_set_, clouds_, "clouds");
            names(path + ".models", contract.models, model_set_, models_, "models");
            if (const auto& commitment = contract.commitment) {
                selector(path + ".commitment.eligible", commitment->eligible);
                if (commitment->marketplace)
                    selector(path + ".commitment.marketplace", commitment->marketplace->bought);
            }
            for (std::size_t i = 0; i < contract.discounts.size(); ++i)
                selector(fmt::format("{}.discounts[{}]", path, i), contract.discounts[i].of);
            for (std::size_t i = 0; i < contract.volumes.size(); ++i)
                selector(fmt::format("{}.volume[{}]", path, i), contract.volumes[i].of);
            for (std::size_t i = 0; i < contract.prices.size(); ++i)
                selector(fmt::format("{}.prices[{}]", path, i), contract.prices[i].of);
            for (const contracts::Provisioned& capacity : contract.provisioned) {
                const std::string at = fmt::format("{}.provisioned.{}", path, capacity.name);
                names(at + ".offers", capacity.offers, offer_set, offers, "offers");
                if (!capacity.spill_over.empty())
                    names(at + ".spill_over", {capacity.spill_over}, offer_set, offers, "offers");
            }
            const auto& only = contract.constraints.only_through;
            for (std::size_t i = 0; i < only.size(); ++i) {
                const std::string at = fmt::format("{}.constraints.only_through[{}]", path, i);
                names(at + ".models", only[i].models, model_set_, models_, "models");
                names(at + ".clouds", only[i].clouds, cloud_set_, clouds_, "clouds");
            }
            if (!contract.constraints.regions.empty())
                check_regions(
                    path + ".constraints.regions", auth::RegionSet(contract.constraints.regions));
        }
        for (const contracts::Finding& finding : contracts::check(settings_.contracts, clouds))
            reader_.error_at(finding.path, finding.cause, finding.remedy);
    }

    void check_admin() {
        const bool loopback =
            settings_.admin.address.starts_with("127.") || settings_.admin.address == "::1";
        if (!loopback && !settings_.admin.tls)
            reader_.warning_at("admin.listen",
                "the admin plane listens beyond this machine without TLS, so its token can be read",
                "listen on 127.0.0.1, or add tls");
        if (settings_.admin.port != 0 && settings_.admin.port == settings_.listen.port &&
            settings_.admin.address == settings_.listen.address)
            reader_.error_at("admin.listen", "listen and admin.listen are the same address",
                "give the admin plane a port of its own");
    }

    Reader& reader_;
    Settings& settings_;
    std::vector<std::string> clouds_, models_, teams_, orgs_;
    std::unordered_set<std::string> cloud_set_, model_set_;
    std::set<std::string> regions_;  ///< that clouds and offers name
    std::unordered_map<std::string, std::size_t> team_index_, cloud_index_;
    std::unordered_map<std::string, std::string> secrets_;
};

}  // namespace

void resolve(Reader& reader, Settings& settings) { Resolver(reader, settings).run(); }

EntryCounts EntryCounts::of(const Settings& settings) {
    return {settings.models.size(), settings.orgs.size(), settings.teams.size(),
        settings.projects.size(), settings.contracts.size()};
}

void resolve_entries(Reader& reader, Settings& settings, const EntryCounts& of_file) {
    Resolver(reader, settings).run_entries(of_file);
}

void resolve_keys(Reader& reader, Settings& settings) { Resolver(reader, settings).run_keys(); }

}  // namespace entrepot::config
