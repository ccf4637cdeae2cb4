#include "config/schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/sections.h"

namespace entrepot::config {
namespace {

void read_listen_here(Reader& reader, const Node& node, Settings& out) {
    read_listen(reader, node, out.listen);
}

void read_admin_here(Reader& reader, const Node& node, Settings& out) {
    read_admin(reader, node, out.admin);
}

void read_data(Reader& reader, const Node& node, Settings& out) {
    auto value = reader.text(node);
    if (!value) return;
    if (value->empty()) {
        reader.error(node, "the folder's name is empty", "write a path such as ./var/entrepot");
    } else {
        out.data = std::move(*value);
    }
}

void read_threads(Reader& reader, const Node& node, Settings& out) {
    if (const auto value = reader.integer(node, 0, 1024)) out.threads = *value;
}

void read_durability(Reader& reader, const Node& node, Settings& out) {
    static const std::vector<std::string> names{"process", "power"};
    if (const auto index = reader.choice(node, names))
        out.durability = static_cast<Durability>(*index);
}

void read_currency(Reader& reader, const Node& node, Settings& out) {
    const auto value = reader.text(node);
    if (!value) return;
    if (const auto currency = Currency::parse(*value)) {
        out.currency = *currency;
    } else {
        reader.error(node, fmt::format("'{}' is not a currency", excerpt(node.text, 40)),
            "write three capital letters such as USD");
    }
}

// Parts of the product that the schema knows and this build does not: empty is fine, content is not
// ignored.
void read_not_yet(Reader& reader, const Node& node, std::string_view what, std::string remedy) {
    if (node.kind == Node::Kind::kNull || (node.is_map() && node.members.empty())) return;
    reader.error(
        node, fmt::format("{} are not supported yet by this build", what), std::move(remedy));
}

void read_fx(Reader& reader, const Node& node, Settings&) {
    read_not_yet(reader, node, "exchange rates",
        "remove `fx` and write every price and budget in the books' currency");
}

/// Each is held against every other.
constexpr std::size_t kContractsMax = 256;

void read_contracts(Reader& reader, const Node& node, Settings& out) {
    reader.each(node, [&](const Node::Member& member) {
        if (out.contracts.size() == kContractsMax) {
            reader.error(member.key_at, reader.path(),
                fmt::format("there are more than {} contracts", kContractsMax),
                "remove those that have ended");
            return;
        }
        contracts::Contract contract;
        const std::size_t before = reader.problem_count();
        read_contract(reader, member, contract);
        // What could not be read is not judged as if it had been left out.
        if (reader.problem_count() == before) out.contracts.push_back(std::move(contract));
    });
}

void read_clouds(Reader& reader, const Node& node, Settings& out) {
    reader.each(node, [&](const Node::Member& member) {
        CloudSettings cloud;
        read_cloud(reader, member, cloud);
        out.clouds.push_back(std::move(cloud));
    });
}

void read_models(Reader& reader, const Node& node, Settings& out) {
    reader.each(node, [&](const Node::Member& member) {
        ModelSettings model;
        read_model(reader, member, model);
        out.models.push_back(std::move(model));
    });
}

template <typename T, typename Id>
void read_entries(
    Reader& reader, const Node& node, const Section<T>& section, std::vector<T>& out) {
    reader.each(node, [&](const Node::Member& member) {
        check_name(reader, member);
        T entry;
        entry.id = Id(member.key);
        entry.at = member.key_at;
        // `acme:` with nothing behind it is an entry without settings.
        if (member.value.kind != Node::Kind::kNull) {
            reader.section(section, member.value, entry);
        } else {
            Node empty;
            empty.kind = Node::Kind::kMap;
            empty.at = member.key_at;
            reader.section(section, empty, entry);
        }
        out.push_back(std::move(entry));
    });
}

void read_orgs(Reader& reader, const Node& node, Settings& out) {
    read_entries<OrgSettings, OrgId>(reader, node, org_section(), out.orgs);
}

void read_teams(Reader& reader, const Node& node, Settings& out) {
    read_entries<TeamSettings, TeamId>(reader, node, team_section(), out.teams);
}

void read_projects(Reader& reader, const Node& node, Settings& out) {
    read_entries<ProjectSettings, ProjectId>(reader, node, project_section(), out.projects);
}

void read_keys(Reader& reader, const Node& node, Settings& out) {
    read_entries<KeySettings, KeyId>(reader, node, key_section(), out.keys);
}

void read_webhooks(Reader& reader, const Node& node, Settings& out) {
    constexpr std::size_t kWebhooksMax = 32;
    reader.each(node, [&](const Node::Member& member) {
        check_name(reader, member);
        if (out.webhooks.size() == kWebhooksMax) {
            reader.error(member.value, fmt::format("there are more than {} webhooks", kWebhooksMax),
                "let one receiver pass them on");
            return;
        }
        WebhookSettings webhook;
        webhook.name = member.key;
        webhook.at = member.key_at;
        reader.section(webhook_section(), member.value, webhook);
        out.webhooks.push_back(std::move(webhook));
    });
}

void read_timeouts(Reader& reader, const Node& node, Settings& out) {
    reader.section(client_timeouts_section(), node, out.timeouts);
}

void read_http2(Reader& reader, const Node& node, Settings& out) {
    reader.section(client_http2_section(), node, out.http2);
}

// As browsers write it: scheme, host, and the port if it is not the scheme's own.
bool is_origin(std::string_view text) {
    const bool is_web = text.starts_with("https://") || text.starts_with("http://");
    const std::string_view host = is_web ? text.substr(text.find("//") + 2) : std::string_view();
    return !host.empty() && host.find_first_of("/?#@* \t\r\n") == std::string_view::npos &&
        std::ranges::none_of(host, [](char c) { return c >= 'A' && c <= 'Z'; });
}

void read_cors_origins(Reader& reader, const Node& node, Settings& out) {
    reader.each_item(node, [&](const Node& item) {
        auto value = reader.text(item);
        if (!value) return;
        if (*value == "*" || is_origin(*value)) {
            out.cors_origins.push_back(std::move(*value));
        } else {
            reader.error(item, fmt::format("'{}' is no origin", excerpt(item.text, 60)),
                "write it as browsers do, scheme and host in lower case and nothing behind them: "
                "https://app.example, or *");
        }
    });
}

template <std::int64_t Settings::* Member, std::int64_t kLeast, std::int64_t kMost>
void read_bound(Reader& reader, const Node& node, Settings& out) {
    if (const auto value = reader.integer(node, kLeast, kMost)) out.*Member = *value;
}

void read_access_log(Reader& reader, const Node& node, Settings& out) {
    if (auto value = reader.text(node)) out.access_log = std::move(*value);
}

void read_log_level(Reader& reader, const Node& node, Settings& out) {
    static const std::vector<std::string> names{"debug", "info", "warning", "error", "off"};
    if (const auto index = reader.choice(node, names)) out.log_level = names[*index];
}

constexpr Field<Settings> kFields[] = {
    {"listen", "address:port, or a map: [listen](#listen)", "127.0.0.1:4100",
        "Where clients connect. A change needs a restart.", read_listen_here},
    {"admin", "map: [admin](#admin)", "{listen: 127.0.0.1:4101}",
        "The admin plane. A change needs a restart.", read_admin_here},
    {"data", "path", "./var/entrepot",
        "The folder of the books, taken relative to the file's own. A change needs a restart.",
        read_data},
    {"threads", "integer, 0 to 1024", "0",
        "Event loops; 0 is one per CPU the process may use. A change needs a restart.",
        read_threads},
    {"durability", "process or power", "process",
        "What holds survive: `kill -9`, or a power cut too. A change needs a restart.",
        read_durability},
    {"currency", "ISO 4217 code", "USD", "Of the books. A change needs a restart.", read_currency},
    {"fx", "map", "{}", "Dated exchange rates. Only the empty map in this build.", read_fx},
    {"clouds", "map by name: [cloud](#cloudsname)", "{}", "The suppliers' endpoints.", read_clouds},
    {"models", "map by name: [model](#modelsname)", "{}", "What clients may ask for.", read_models},
    {"orgs", "map by name: [org](#orgsname)", "{}", "Who pays.", read_orgs},
    {"teams", "map by name: [team](#teamsname)", "{}", "Parts of orgs.", read_teams},
    {"projects", "map by name: [project](#projectsname)", "{}", "Parts of a team's work.",
        read_projects},
    {"keys", "map by name: [key](#keysname)", "{}",
        "What clients present. Keys made by `entrepot keys create` live in `data` instead.",
        read_keys},
    {"webhooks", "map by name: [webhook](#webhooksname)", "{}",
        "Where notices are posted ([docs](notices.md)).", read_webhooks},
    {"contracts", "map by name: [contract](#contractsname)", "{}",
        "What was signed with suppliers. `docs/reference/contracts.md` explains it.",
        read_contracts},
    {"timeouts", "map: [timeouts](#timeouts)", "see there",
        "Of the client's side. A change needs a restart.", read_timeouts},
    {"http2", "map: [http2](#http2)", "see there",
        "Of the client's side. A change needs a restart.", read_http2},
    {"cors_origins", "list of origins, or [\"*\"]", "none",
        "Web pages whose scripts may call the data plane from a browser (CORS), each with a key of "
        "its own.",
        read_cors_origins},
    {"reply_buffer_bytes", "integer, 0 to 1073741824", "1048576",
        "Whole answers up to this size wait for their cost, so that `x-entrepot-cost` can bear it.",
        read_bound<&Settings::reply_buffer_bytes, 0, 1 << 30>},
    {"body_bytes_max", "integer, 1024 to 1073741824", "33554432",
        "The largest request body. A change needs a restart.",
        read_bound<&Settings::body_bytes_max, 1024, 1 << 30>},
    {"header_bytes_max", "integer, 1024 to 1048576", "32768",
        "The largest request head. A change needs a restart.",
        read_bound<&Settings::header_bytes_max, 1024, 1 << 20>},
    {"connections_max", "integer, 1 to 1000000", "16384",
        "Open client connections per core. A change needs a restart.",
        read_bound<&Settings::connections_max, 1, 1'000'000>},
    {"access_log", "path, or stderr", "off",
        "One line of JSON per request, a second where the cost is known later; SIGHUP opens the "
        "path anew. A change needs a restart.",
        read_access_log},
    {"log_level", "debug, info, warning, error or off", "info", "The process's own log, on stderr.",
        read_log_level},
};

template <typename T>
SectionRows rows_of(const Section<T>& section) {
    SectionRows rows{section.title, section.help, {}};
    for (const Field<T>& field : section.fields)
        rows.fields.push_back({field.name, field.form, field.absent, field.help});
    return rows;
}

}  // namespace

const Section<Settings>& root_section() {
    static const Section<Settings> section{"The file", "", kFields};
    return section;
}

std::vector<SectionRows> reference_sections() {
    return {rows_of(root_section()), rows_of(listen_section()), rows_of(tls_section()),
        rows_of(admin_section()), rows_of(cloud_section()), rows_of(credentials_section()),
        rows_of(upstream_timeouts_section()), rows_of(model_section()), rows_of(offer_section()),
        rows_of(price_section()), rows_of(org_section()), rows_of(team_section()),
        rows_of(project_section()), rows_of(key_section()), rows_of(end_user_section()),
        rows_of(limits_section()), rows_of(policy_section()), rows_of(pass_section()),
        rows_of(budget_section()), rows_of(notify_section()), rows_of(webhook_section()),
        rows_of(contract_section()), rows_of(commitment_section()), rows_of(milestone_section()),
        rows_of(eligible_section()), rows_of(marketplace_section()), rows_of(shortfall_section()),
        rows_of(discount_section()), rows_of(volume_section()), rows_of(step_section()),
        rows_of(stated_section()), rows_of(stated_price_section()), rows_of(rounding_section()),
        rows_of(provisioned_section()), rows_of(constraints_section()), rows_of(only_section()),
        rows_of(client_timeouts_section()), rows_of(client_http2_section())};
}

}  // namespace entrepot::config
