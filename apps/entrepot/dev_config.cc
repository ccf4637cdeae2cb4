#include "dev_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "base/text.h"
#include "catalog/catalog.h"
#include "config/load.h"
#include "gateway/state.h"
#include "json/writer.h"

namespace entrepot::cli {
namespace {

struct Entry {
    const DevCloud* cloud = nullptr;
    std::string id;
};

// `us.anthropic.claude-sonnet-4-5-20250929-v1:0` and `claude-sonnet-4-5` are one model; its name is
// how people write it: with the dots of `gpt-4.1` where some cloud has them.
std::map<std::string, std::vector<Entry>> models_of(const std::vector<DevCloud>& clouds) {
    std::map<std::string, std::vector<Entry>> by_normal;
    for (const DevCloud& cloud : clouds)
        for (const std::string& id : cloud.models)
            by_normal[catalog::normal_model_id(id)].push_back({&cloud, id});
    std::map<std::string, std::vector<Entry>> by_name;
    for (auto& [normal, entries] : by_normal) {
        std::string name = normal;
        for (const Entry& entry : entries) {
            std::string dashed = to_lower(entry.id);
            std::replace(dashed.begin(), dashed.end(), '.', '-');
            if (dashed == normal) name = entry.id;
        }
        by_name[name] = std::move(entries);
    }
    return by_name;
}

// JSON strings are YAML strings.
std::string q(std::string_view text) { return json::quoted(text); }

using Needs = std::map<std::string, std::string>;  ///< offer id -> what to add to its entry

std::string text_of(const DevOptions& options, const Needs& needs) {
    std::string out = "# Made by `entrepot dev` at every start; changes here are lost.\n";
    const int admin_port = options.port == 0 ? 0 : options.port + 1;
    out += fmt::format("listen: 127.0.0.1:{}\nadmin: {{listen: 127.0.0.1:{}}}\ndata: .\n",
        options.port, admin_port);
    out += "clouds:\n";
    for (const DevCloud& cloud : options.clouds) {
        out += fmt::format("  {}: {{kind: {}", cloud.name, cloud.kind);
        const auto member = [&](std::string_view key, const std::string& value) {
            if (!value.empty()) out += fmt::format(", {}: {}", key, q(value));
        };
        member("endpoint", cloud.endpoint);
        member("region", cloud.region);
        member("compartment", cloud.compartment);
        member("service", cloud.service);
        member("project", cloud.project);
        const bool pair = cloud.kind == "bedrock" && !cloud.access_key_id.empty();
        if (!pair) member("api_key", cloud.api_key);
        if (pair) {
            member("access_key_id", cloud.access_key_id);
            member("secret_access_key", cloud.secret_access_key);
            member("session_token", cloud.session_token);
        }
        out += "}\n";
    }
    out += "models:\n";
    for (const auto& [name, entries] : models_of(options.clouds)) {
        out += fmt::format("  {}:\n    offers:\n", q(name));
        std::set<std::string> used;
        for (const Entry& entry : entries) {
            std::string offer = entry.cloud->name;
            for (int n = 2; !used.insert(offer).second; ++n)
                offer = fmt::format("{}-{}", entry.cloud->name, n);
            const auto extra = needs.find(fmt::format("{}/{}", name, offer));
            out += fmt::format("      {}: {{cloud: {}, id: {}{}}}{}\n", offer, entry.cloud->name,
                q(entry.id), extra == needs.end() ? "" : extra->second,
                extra == needs.end() ? "" : "  # made up: no list price or size is known");
        }
    }
    out += fmt::format(
        "orgs: {{dev: {{}}}}\nteams: {{dev: {{org: dev}}}}\n"
        "keys:\n  dev:\n    team: dev\n    secret: {}\n    models: [\"*\"]\n"
        "    budgets: [{{limit: \"{}\", period: day}}]\n"
        "    policy: {{on_unbounded: clamp}}  # stored answers and files are held by the window\n",
        q(options.client_key), options.budget_per_day);
    return out;
}

// What the catalogue does not know of the offers: they could not be held or priced without it.
Result<Needs> needs_of(const config::Settings& settings) {
    ENTREPOT_TRY(const routing::OfferTable table, gateway::compile_offers(settings));
    Needs needs;
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        const routing::Offer& offer = table.offer(i);
        std::string extra;
        if (offer.limits.context_tokens == 0) extra += ", context_tokens: 128000";
        if (offer.limits.output_tokens_max == 0) extra += ", max_output_tokens: 16384";
        if (!offer.card || !offer.card->has_prices())
            extra += ", price: {input: \"0.10\", cache_read: \"0.05\", output: \"0.40\"}";
        if (!extra.empty()) needs[offer.id.str()] = std::move(extra);
    }
    return needs;
}

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

Result<std::string> dev_config(const DevOptions& options) {
    const std::string first = text_of(options, {});
    const config::Loaded loaded =
        config::load_text(first, "entrepot.yaml", config::Environment::of_process());
    if (!loaded.ok())
        return fail(ErrorCode::kBadConfiguration, config::format_problems(loaded.problems));
    ENTREPOT_TRY(const Needs needs, needs_of(*loaded.settings));
    return text_of(options, needs);
}

std::vector<DevCloud> clouds_of_environment() {
    std::vector<DevCloud> clouds;
    if (const std::string key = variable("OPENAI_API_KEY"); !key.empty())
        clouds.push_back({.name = "openai",
            .kind = "openai",
            .api_key = key,
            .models = {"gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1", "gpt-5-mini", "gpt-5"}});
    if (const std::string key = variable("ANTHROPIC_API_KEY"); !key.empty())
        clouds.push_back({.name = "claude",
            .kind = "anthropic",
            .api_key = key,
            .models = {"claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929"}});
    if (const std::string key = variable("GEMINI_API_KEY"); !key.empty())
        clouds.push_back({.name = "studio",
            .kind = "gemini",
            .api_key = key,
            .models = {"gemini-2.5-flash-lite", "gemini-2.5-flash", "gemini-2.5-pro"}});
    const std::string endpoint = variable("AZURE_OPENAI_ENDPOINT");
    const std::string azure_key = variable("AZURE_OPENAI_API_KEY");
    const std::string deployment = variable("AZURE_OPENAI_DEPLOYMENT");
    if (!endpoint.empty() && !azure_key.empty() && !deployment.empty())
        clouds.push_back({.name = "azure",
            .kind = "azure",
            .endpoint = endpoint,
            .region = variable("AZURE_OPENAI_REGION"),
            .api_key = azure_key,
            .models = {deployment}});
    const std::string region =
        variable("AWS_REGION").empty() ? variable("AWS_DEFAULT_REGION") : variable("AWS_REGION");
    const std::string bearer = variable("AWS_BEARER_TOKEN_BEDROCK");
    const std::string id = variable("AWS_ACCESS_KEY_ID");
    if (!region.empty() && (!bearer.empty() || !id.empty())) {
        const std::string zone = region.starts_with("eu-") ? "eu" : "us";
        clouds.push_back({.name = "aws",
            .kind = "bedrock",
            .region = region,
            .api_key = bearer,
            .access_key_id = bearer.empty() ? id : std::string(),
            .secret_access_key = variable("AWS_SECRET_ACCESS_KEY"),
            .session_token = variable("AWS_SESSION_TOKEN"),
            .models = {zone + ".anthropic.claude-haiku-4-5-20251001-v1:0",
                zone + ".anthropic.claude-sonnet-4-5-20250929-v1:0"}});
    }
    return clouds;
}

}  // namespace entrepot::cli
