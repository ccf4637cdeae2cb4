// Orgs, teams, keys, budgets, limits, policy.

#include <fmt/format.h>

#include "config/sections.h"

namespace entrepot::config {
namespace {

constexpr std::size_t kBudgetsMax = 5;  // ledger::kBudgetsPerOwnerMax
constexpr std::size_t kTagHeadersMax = 8;
constexpr std::size_t kTagsBytesMax = 512;  // of a name in the books

void read_limit(Reader& reader, const Node& node, BudgetSettings& out) {
    const auto value = reader.text(node);
    if (!value) return;
    const auto money = Money::parse(*value);
    if (!money) {
        reader.error(node, fmt::format("'{}' is not an amount", excerpt(node.text, 40)),
            "write a decimal such as \"500.00\"");
    } else if (money->is_negative()) {
        reader.error(node, fmt::format("a budget of {} is below zero", excerpt(node.text, 40)),
            "write an amount of 0 or more; 0 refuses everything");
    } else {
        out.limit = *money;
    }
}

void read_budget_currency(Reader& reader, const Node& node, BudgetSettings& out) {
    read_books_currency(reader, node, "budget", out.currency);
}

void read_period(Reader& reader, const Node& node, BudgetSettings& out) {
    static const std::vector<std::string> names{"day", "week", "month", "quarter", "year", "total"};
    static constexpr PeriodKind kKinds[] = {PeriodKind::kDay, PeriodKind::kWeek, PeriodKind::kMonth,
        PeriodKind::kQuarter, PeriodKind::kYear, PeriodKind::kTotal};
    if (const auto index = reader.choice(node, names)) out.period = kKinds[*index];
}

void read_time_zone(Reader& reader, const Node& node, BudgetSettings& out) {
    const auto value = reader.text(node);
    if (!value) return;
    const auto zone = TimeZone::find(*value);
    if (zone) {
        out.zone = *zone;
    } else {
        reader.error(node, fmt::format("'{}' is not a time zone", excerpt(node.text, 60)),
            "write an IANA name such as Europe/Stockholm or UTC");
    }
}

void read_notify(Reader& reader, const Node& node, BudgetSettings& out) {
    NotifySettings notify;
    reader.section(notify_section(), node, notify);
    out.notify = std::move(notify);
}

constexpr Field<BudgetSettings> kBudgetFields[] = {
    {"limit", "decimal", "required", "The most that may be held and spent in one period.",
        read_limit},
    {"currency", "ISO 4217 code", "the books' currency", "Must be the books' in this build.",
        read_budget_currency},
    {"period", "day, week, month, quarter, year or total", "month",
        "A calendar period; weeks begin on Monday; `total` never renews.", read_period},
    {"timezone", "IANA name", "UTC", "Whose midnight ends the period.", read_time_zone},
    {"notify", "map: [notify](#budgetsnotify)", "nobody is told",
        "Who is told when shares of it are spent.", read_notify},
};

void read_budget_list(Reader& reader, const Node& node, std::vector<BudgetSettings>& out) {
    reader.each_item(node, [&](const Node& item) {
        BudgetSettings budget;
        budget.currency = reader.currency();
        budget.at = item.at;
        reader.section(budget_section(), item, budget);
        if (out.size() == kBudgetsMax) {
            reader.error(item, fmt::format("there are more than {} budgets here", kBudgetsMax),
                fmt::format("keep the {} that bind", kBudgetsMax));
        } else {
            out.push_back(std::move(budget));
        }
    });
}

template <typename T>
void read_budgets(Reader& reader, const Node& node, T& out) {
    read_budget_list(reader, node, out.budgets);
}

// An empty list would close every door, which nobody writes on purpose.
std::vector<std::string> read_some(Reader& reader, const Node& node) {
    std::vector<std::string> names = reader.texts(node);
    if (node.kind == Node::Kind::kList && node.items.empty())
        reader.error(node, "the list is empty, so nothing could be reached",
            "name what may be reached, or write [\"*\"]; `disabled: true` closes a key");
    return names;
}

template <typename T>
void read_models(Reader& reader, const Node& node, T& out) {
    out.models = auth::NameSet(read_some(reader, node));
}

template <typename T>
void read_clouds(Reader& reader, const Node& node, T& out) {
    out.clouds = auth::NameSet(read_some(reader, node));
}

template <typename T>
void read_regions(Reader& reader, const Node& node, T& out) {
    out.regions = auth::RegionSet(read_some(reader, node));
}

constexpr std::string_view kRegionsHelp =
    "Regions, or zones of them: `eu` (the European Union alone), `europe`, `uk`, `ch`, `no`, `us`, "
    "`us-gov`, `ca`, `br`, `mx`, `apac`, `jp`, `kr`, `in`, `au`, `nz`, `sg`, `ae`, `cn`, "
    "`datazone-eu`, `datazone-us`, and `global` for what may be processed anywhere. `*` is "
    "everywhere, also where the region is not known.";

template <typename T>
void read_limits(Reader& reader, const Node& node, T& out) {
    reader.section(limits_section(), node, out.limits);
}

constexpr Field<OrgSettings> kOrgFields[] = {
    {"budgets", "list: [budget](#budgets)", "no limit", "Of all its teams together.",
        read_budgets<OrgSettings>},
    {"limits", "map: [limits](#limits)", "no limits", "Rates of all its keys together.",
        read_limits<OrgSettings>},
};

void read_team_org(Reader& reader, const Node& node, TeamSettings& out) {
    if (auto value = reader.text(node)) out.org = OrgId(std::move(*value));
}

constexpr Field<TeamSettings> kTeamFields[] = {
    {"org", "name of an org", "required", "To which it belongs.", read_team_org},
    {"budgets", "list: [budget](#budgets)", "no limit", "Of all its keys together.",
        read_budgets<TeamSettings>},
    {"limits", "map: [limits](#limits)", "no limits", "Rates of all its keys together.",
        read_limits<TeamSettings>},
    {"models", "list of names, `*` at the end", "[\"*\"]", "What its keys may ask for.",
        read_models<TeamSettings>},
    {"clouds", "list of names, `*` at the end", "[\"*\"]", "Where its requests may go.",
        read_clouds<TeamSettings>},
    {"regions", "list of regions", "[\"*\"]", kRegionsHelp, read_regions<TeamSettings>},
};

template <typename T>
void read_team(Reader& reader, const Node& node, T& out) {
    if (auto value = reader.text(node)) out.team = TeamId(std::move(*value));
}

constexpr Field<ProjectSettings> kProjectFields[] = {
    {"team", "name of a team", "required", "To which it belongs.", read_team<ProjectSettings>},
    {"budgets", "list: [budget](#budgets)", "no limit", "Of all its keys together.",
        read_budgets<ProjectSettings>},
    {"limits", "map: [limits](#limits)", "no limits", "Rates of all its keys together.",
        read_limits<ProjectSettings>},
};

/// The name of a request header, in lower case; nothing where it is none or has a meaning here.
std::optional<std::string> read_header_name(Reader& reader, const Node& node) {
    const auto value = reader.text(node);
    if (!value) return std::nullopt;
    std::string name = to_lower(*value);
    static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    static constexpr std::string_view kTaken[] = {"authorization", "x-api-key", "api-key",
        "x-goog-api-key", "cookie", "host", "content-length", "transfer-encoding"};
    if (name.empty() || name.size() > 64 || name.find_first_not_of(kLetters) != std::string::npos ||
        std::ranges::find(kTaken, name) != std::end(kTaken)) {
        reader.error(node, fmt::format("'{}' is no header for this", excerpt(*value, 60)),
            "write a header's name such as x-end-user; those of credentials and of the "
            "connection are not read");
        return std::nullopt;
    }
    return name;
}

void read_end_user_header(Reader& reader, const Node& node, EndUserSettings& out) {
    if (auto name = read_header_name(reader, node)) out.header = std::move(*name);
}

void read_end_user_body(Reader& reader, const Node& node, EndUserSettings& out) {
    if (const auto value = reader.boolean(node)) out.is_in_body = *value;
}

void read_end_user_required(Reader& reader, const Node& node, EndUserSettings& out) {
    if (const auto value = reader.boolean(node)) out.is_required = *value;
}

constexpr Field<EndUserSettings> kEndUserFields[] = {
    {"header", "name of a header", "none",
        "The request header in which the client says who stands behind the request: at most 256 "
        "printable characters. It is not sent on. This or `body` is needed.",
        read_end_user_header},
    {"body", "true or false", "false",
        "Where the header says nothing, the request's own field does: `safety_identifier` or "
        "`user` (OpenAI), `metadata.user_id` (Anthropic). It is sent on as it came.",
        read_end_user_body},
    {"required", "true or false", "false", "Refuse requests that do not say.",
        read_end_user_required},
    {"budgets", "list: [budget](#budgets)", "no limit", "Each end user's own.",
        read_budgets<EndUserSettings>},
};

template <std::int64_t auth::Limits::* Member>
void read_rate(Reader& reader, const Node& node, auth::Limits& out) {
    if (const auto value = reader.integer(node, 1, 1'000'000'000)) out.*Member = *value;
}

constexpr Field<auth::Limits> kLimitFields[] = {
    {"requests_per_minute", "integer, 1 to 1000000000", "no limit", "",
        read_rate<&auth::Limits::requests_per_minute>},
    {"tokens_per_minute", "integer, 1 to 1000000000", "no limit",
        "Prompt and answer; the answer's cap is counted until the true number is known.",
        read_rate<&auth::Limits::tokens_per_minute>},
    {"concurrent", "integer, 1 to 1000000000", "no limit", "Requests in flight.",
        read_rate<&auth::Limits::concurrent>},
};

void read_on_lossy(Reader& reader, const Node& node, auth::Policy& out) {
    static const std::vector<std::string> names{"refuse", "meaning", "name"};
    if (const auto index = reader.choice(node, names))
        out.on_lossy = static_cast<auth::OnLossy>(*index);
}

void read_on_unbounded(Reader& reader, const Node& node, auth::Policy& out) {
    static const std::vector<std::string> names{"refuse", "clamp"};
    if (const auto index = reader.choice(node, names))
        out.on_unbounded = static_cast<auth::OnUnbounded>(*index);
}

void read_budget_wait(Reader& reader, const Node& node, auth::Policy& out) {
    if (const auto value = reader.integer(node, 0, 600'000)) out.budget_wait_ms = *value;
}

void read_fail_open(Reader& reader, const Node& node, auth::Policy& out) {
    if (const auto value = reader.boolean(node)) out.fail_open = *value;
}

void read_expose(Reader& reader, const Node& node, auth::Policy& out) {
    static const std::vector<std::string> names{"offer", "cost"};
    out.expose_offer = out.expose_cost = false;
    reader.each_item(node, [&](const Node& item) {
        if (const auto index = reader.choice(item, names))
            (*index == 0 ? out.expose_offer : out.expose_cost) = true;
    });
}

void read_kept(Reader& reader, const Node& node, auth::Policy& out) {
    static const std::vector<std::string> names{"key", "team", "org"};
    if (const auto index = reader.choice(node, names))
        out.kept = static_cast<auth::KeptScope>(*index);
}

constexpr Field<auth::Policy> kPolicyFields[] = {
    {"on_lossy", "refuse, meaning or name", "meaning",
        "What cannot be carried to the chosen offer: refuse the request; refuse what changes the "
        "answer and name the rest; or drop and name it in `x-entrepot-dropped`.",
        read_on_lossy},
    {"on_unbounded", "refuse or clamp", "refuse",
        "A request whose cost has no bound: refuse it, or bound it by the context window.",
        read_on_unbounded},
    {"budget_wait_ms", "integer, 0 to 600000", "0",
        "How long a request that fails only because of other open holds may wait.",
        read_budget_wait},
    {"fail_open", "true or false", "false", "Go on when a shared store is away.", read_fail_open},
    {"expose", "list of offer, cost", "[offer, cost]",
        "Which of `x-entrepot-offer` and `x-entrepot-cost` its answers bear.", read_expose},
    {"kept", "key, team or org", "key",
        "Whose stored answers, files, batches and caches it may use: what it made itself, or what "
        "any key of its team or org made. To everybody else they do not exist (404).",
        read_kept},
};

void read_one_secret(Reader& reader, const Node& node, KeySettings& out) {
    const auto value = reader.secret(node);
    if (!value) return;
    for (const char c : value->reveal())
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
            reader.error(node, "the secret holds a character that a header cannot carry",
                "use printable ASCII without spaces; `entrepot keys create` makes a good one");
            return;
        }
    out.digests.push_back(auth::digest_of(value->reveal()));
}

void read_secret(Reader& reader, const Node& node, KeySettings& out) {
    if (node.kind == Node::Kind::kList) {
        reader.each_item(node, [&](const Node& item) { read_one_secret(reader, item, out); });
    } else {
        read_one_secret(reader, node, out);
    }
}

void read_secret_hash(Reader& reader, const Node& node, KeySettings& out) {
    const auto read_one = [&](const Node& item) {
        const auto value = reader.text(item);
        if (!value) return;
        if (const auto digest = auth::parse_digest(*value)) {
            out.digests.push_back(*digest);
        } else {
            reader.error(item, "this is not a hash of a secret",
                "write sha256: and 64 hex digits, as `printf %s SECRET | sha256sum` prints");
        }
    };
    if (node.kind == Node::Kind::kList) {
        reader.each_item(node, read_one);
    } else {
        read_one(node);
    }
}

void read_access_key_id(Reader& reader, const Node& node, auth::AccessKeyPair& out) {
    auto value = reader.text(node);
    if (!value) return;
    const bool is_word = std::ranges::all_of(*value, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
            c == '_';
    });
    if (!is_word || value->size() < 4 || value->size() > 128)
        reader.error(node, fmt::format("'{}' cannot be an access key id", excerpt(*value, 60)),
            "use 4 to 128 letters, digits and '_'");
    else
        out.id = std::move(*value);
}

void read_access_key_secret(Reader& reader, const Node& node, auth::AccessKeyPair& out) {
    auto value = reader.secret(node);
    if (!value) return;
    if (value->reveal().size() < 16)
        reader.error(node, "the secret of the access key is shorter than 16 characters",
            "use a long random one; `openssl rand -base64 30` makes it");
    else
        out.secret = std::move(*value);
}

void read_aws(Reader& reader, const Node& node, KeySettings& out) {
    static constexpr Field<auth::AccessKeyPair> kFields[] = {
        {"access_key_id", "text", "required", "", read_access_key_id},
        {"secret", "secret", "required", "", read_access_key_secret},
    };
    auth::AccessKeyPair pair;
    reader.section(Section<auth::AccessKeyPair>{"keys.<name>.aws", "", kFields}, node, pair);
    if (!pair.id.empty() && !pair.secret.empty()) out.access_key = std::move(pair);
}

void read_expires(Reader& reader, const Node& node, KeySettings& out) {
    const auto value = reader.text(node);
    if (!value) return;
    if (const auto at = parse_instant(*value)) {
        out.expires = *at;
    } else {
        reader.error(node, fmt::format("'{}' is not a time", excerpt(node.text, 60)),
            "write 2026-11-23 (midnight UTC) or 2026-11-23T09:00:00+01:00");
    }
}

void read_disabled(Reader& reader, const Node& node, KeySettings& out) {
    if (const auto value = reader.boolean(node)) out.disabled = *value;
}

void read_policy(Reader& reader, const Node& node, KeySettings& out) {
    reader.section(policy_section(), node, out.policy);
}

void read_tags(Reader& reader, const Node& node, KeySettings& out) {
    reader.each(node, [&](const Node::Member& member) {
        check_name(reader, member);
        auto value = reader.text(member.value);
        if (!value) return;
        if (value->size() > 256 || out.tags.size() == 32) {
            reader.error(member.value, "there are more than 32 tags, or one is above 256 bytes",
                "keep at most 32 tags of at most 256 bytes");
            return;
        }
        // The books join tags by `;`: a value with one would read as further tags.
        if (std::ranges::any_of(*value, [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == ';';
            })) {
            reader.error(member.value,
                fmt::format("the value of the tag '{}' holds a ';' or a control character",
                    excerpt(member.key, 60)),
                "write it without");
            return;
        }
        out.tags.emplace(member.key, std::move(*value));
    });
    std::size_t bytes = 0;
    for (const auto& [name, value] : out.tags) bytes += name.size() + value.size() + 2;
    if (bytes > kTagsBytesMax)
        reader.error(node,
            fmt::format(
                "the tags have {} bytes together; at most {} can be booked", bytes, kTagsBytesMax),
            "keep those that reports need");
}

void read_pass_cloud(Reader& reader, const Node& node, PassRule& out) {
    if (auto value = reader.text(node)) out.cloud = CloudId(std::move(*value));
}

void read_pass_methods(Reader& reader, const Node& node, PassRule& out) {
    static const std::vector<std::string> names{"GET", "POST", "PUT", "PATCH", "DELETE"};
    const auto read_one = [&](const Node& item) {
        if (const auto index = reader.choice(item, names)) out.methods.push_back(names[*index]);
    };
    if (node.kind == Node::Kind::kList)
        reader.each_item(node, read_one);
    else
        read_one(node);
}

void read_pass_path(Reader& reader, const Node& node, PassRule& out) {
    auto value = reader.text(node);
    if (!value) return;
    const std::size_t rest = value->find("**");
    if (!value->starts_with('/') || value->find_first_of("?#%\\") != std::string::npos ||
        value->find("//") != std::string::npos || value->find("/../") != std::string::npos ||
        (rest != std::string::npos && (rest + 2 != value->size() || (*value)[rest - 1] != '/')))
        reader.error(node, fmt::format("'{}' is no path pattern", excerpt(*value, 100)),
            "write /name/*/name, where * is one segment, or /name/** for everything below");
    else
        out.path = std::move(*value);
}

void read_pass_ceiling(Reader& reader, const Node& node, PassRule& out) {
    const auto value = reader.text(node);
    if (!value) return;
    const auto money = Money::parse(*value);
    if (!money || money->is_negative())
        reader.error(node, fmt::format("'{}' is no amount", excerpt(node.text, 40)),
            "write what one call costs at most, such as \"0.10\", or \"0\" for what is free");
    else
        out.ceiling = *money;
}

constexpr Field<PassRule> kPassFields[] = {
    {"cloud", "name of a cloud", "required", "Whose API.", read_pass_cloud},
    {"methods", "list of GET, POST, PUT, PATCH, DELETE", "required", "", read_pass_methods},
    {"path", "path pattern", "required",
        "Below the cloud's endpoint, from `/`: `*` is one segment, `**` at the end everything "
        "below. Case matters.",
        read_pass_path},
    {"ceiling", "decimal", "required",
        "What one call costs at most, in the books' currency: held before it and booked after it, "
        "as an estimate, unless the answer states usage that the gateway can price. \"0\" for "
        "what is free.",
        read_pass_ceiling},
};

void read_passthrough(Reader& reader, const Node& node, KeySettings& out) {
    reader.each_item(node, [&](const Node& item) {
        PassRule rule;
        rule.at = item.at;
        reader.section(pass_section(), item, rule);
        out.passthrough.push_back(std::move(rule));
    });
}

void read_key_project(Reader& reader, const Node& node, KeySettings& out) {
    if (auto value = reader.text(node)) out.project = ProjectId(std::move(*value));
}

void read_end_users(Reader& reader, const Node& node, KeySettings& out) {
    reader.section(end_user_section(), node, out.end_users);
    const bool has_header =
        std::ranges::find(node.members, "header", &Node::Member::key) != node.members.end();
    if (!has_header && !out.end_users.is_in_body)
        reader.error(node, "nothing says where end users are named",
            "add header with the name of a request header, or body: true");
}

void read_tag_headers(Reader& reader, const Node& node, KeySettings& out) {
    reader.each(node, [&](const Node::Member& member) {
        if (out.tag_headers.size() == kTagHeadersMax) {
            reader.error(member.value,
                fmt::format("there are more than {} tags from headers", kTagHeadersMax),
                "keep those that reports need");
            return;
        }
        if (member.key.find_first_of("=;") != std::string::npos)
            reader.error(member.value,
                fmt::format("'{}' is no name of a tag", excerpt(member.key, 60)),
                "write it without '=' and ';'");
        else if (auto name = read_header_name(reader, member.value))
            out.tag_headers[member.key] = std::move(*name);
    });
}

constexpr Field<KeySettings> kKeyFields[] = {
    {"team", "name of a team", "required", "To which it belongs.", read_team<KeySettings>},
    {"project", "name of a project", "none", "Of the same team: its budgets and limits bind too.",
        read_key_project},
    {"end_users", "map: [end_users](#keysnameend_users)", "not told apart",
        "Who stands behind its requests.", read_end_users},
    {"tag_headers", "map of header names", "{}",
        "Tags that a request may set itself, and the header of each; they stand in the books "
        "beside "
        "the key's own `tags` and are not sent on.",
        read_tag_headers},
    {"secret", "secret, or a list of two", "`secret` or `secret_hash` is required",
        "What the client presents. Two live secrets let a client move from one to the other.",
        read_secret},
    {"secret_hash", "`sha256:` and 64 hex digits, or a list of two", "none",
        "The hash in place of the secret, so that the file holds nothing that opens a door.",
        read_secret_hash},
    {"aws", "map: access_key_id, secret", "none",
        "An access key pair of the gateway's own making, for clients that sign (AWS SDKs). Real "
        "credentials of AWS do not belong here.",
        read_aws},
    {"expires", "date or RFC 3339 time", "never", "From then on it is refused.", read_expires},
    {"disabled", "true or false", "false", "Refuse it now.", read_disabled},
    {"models", "list of names, `*` at the end", "[\"*\"]", "What it may ask for.",
        read_models<KeySettings>},
    {"clouds", "list of names, `*` at the end", "[\"*\"]", "Where its requests may go.",
        read_clouds<KeySettings>},
    {"regions", "list of regions", "[\"*\"]", kRegionsHelp, read_regions<KeySettings>},
    {"budgets", "list: [budget](#budgets)", "no limit", "Its own; the team's and org's bind too.",
        read_budgets<KeySettings>},
    {"limits", "map: [limits](#limits)", "no limits",
        "Its own rates; the team's and org's bind too.", read_limits<KeySettings>},
    {"tags", "map of text", "none", "Carried into the books, for reports.", read_tags},
    {"policy", "map: [policy](#keysnamepolicy)", "see there", "What to do where there is a choice.",
        read_policy},
    {"passthrough", "list: [passthrough](#keysnamepassthrough)", "nothing passes",
        "What of suppliers' other APIs it may call at `/passthrough/{cloud}/...`.",
        read_passthrough},
};

}  // namespace

const Section<BudgetSettings>& budget_section() {
    static const Section<BudgetSettings> section{
        "budgets", "A list, at an org, a team or a key; every one of them binds.", kBudgetFields};
    return section;
}

const Section<OrgSettings>& org_section() {
    static const Section<OrgSettings> section{
        "orgs.<name>", "A company, or whoever owns budgets.", kOrgFields};
    return section;
}

const Section<TeamSettings>& team_section() {
    static const Section<TeamSettings> section{"teams.<name>", "A part of an org.", kTeamFields};
    return section;
}

const Section<ProjectSettings>& project_section() {
    static const Section<ProjectSettings> section{
        "projects.<name>", "A part of a team's work; keys name it.", kProjectFields};
    return section;
}

const Section<EndUserSettings>& end_user_section() {
    static const Section<EndUserSettings> section{"keys.<name>.end_users",
        "Reports tell end users apart, and each may have a budget.", kEndUserFields};
    return section;
}

const Section<auth::Limits>& limits_section() {
    static const Section<auth::Limits> section{"limits",
        "At an org, a team or a key. A request passes all of them or takes from none; the refusal "
        "names the one that holds longest. A bucket holds one minute's allowance.",
        kLimitFields};
    return section;
}

const Section<auth::Policy>& policy_section() {
    static const Section<auth::Policy> section{"keys.<name>.policy", "", kPolicyFields};
    return section;
}

const Section<PassRule>& pass_section() {
    static const Section<PassRule> section{"keys.<name>.passthrough",
        "A list; the first entry that fits a call lets it through. What the gateway keeps book of "
        "(files, batches, stored answers, caches) never passes: it has its own paths.",
        kPassFields};
    return section;
}

const Section<KeySettings>& key_section() {
    static const Section<KeySettings> section{"keys.<name>",
        "What a client presents. It reaches what it and its team both allow.", kKeyFields};
    return section;
}

}  // namespace entrepot::config
