#include <fmt/format.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/load.h"
#include "crypto/testing.h"

namespace entrepot::config {
namespace {

Environment fixed_environment() {
    Environment environment;
    environment.variable = [](const std::string& name) -> std::optional<std::string> {
        if (name == "MISSING") return std::nullopt;
        if (name == "EMPTY") return "";
        return "value-of-" + name;
    };
    environment.file = [](const std::string& path) -> Result<std::string> {
        if (path.ends_with("/.oci/config")) return std::string(crypto::testing::kOciConfig);
        if (path == "/keys/oci.pem") return std::string(crypto::testing::kPublishedKey);
        if (path.ends_with("missing")) return fail(ErrorCode::kIo, "cannot read '" + path + "'");
        return "content-of-" + path;
    };
    return environment;
}

Loaded load(std::string_view text) { return load_text(text, "test.yaml", fixed_environment()); }

// The example of the design document, word for word.
constexpr std::string_view kDesignExample =
    R"(listen: 127.0.0.1:4100      # or {address: ..., tls: {cert: ..., key: ..., client_ca: ...}, trusted_proxies: [...]}
admin: {listen: 127.0.0.1:4101}
data: ./var/entrepot
threads: 0                  # one event loop per CPU the process may use
durability: process         # holds survive kill -9; 'power' also a power cut
currency: USD               # of the books; others need a dated rate in `fx`
clouds:
  openai:   {kind: openai, api_key: "${env:OPENAI_API_KEY}"}
  azure-se: {kind: azure, endpoint: "https://acme.openai.azure.com", api_key: "${env:AZURE_KEY}", region: swedencentral}
  aws:      {kind: bedrock, region: us-east-1, access_key_id: "${env:AWS_ACCESS_KEY_ID}", secret_access_key: "${file:/run/secrets/aws}"}
  claude:   {kind: anthropic, api_key: "${env:ANTHROPIC_API_KEY}"}
  gcp:      {kind: vertex, project: acme, region: europe-west4, service_account: "${file:/run/secrets/gcp.json}"}
  studio:   {kind: gemini, api_key: "${env:GEMINI_API_KEY}"}
  oracle:   {kind: oci, region: eu-frankfurt-1, compartment: ocid1..., config_file: "~/.oci/config"}
  lab:      {kind: openai_compatible, endpoint: "http://127.0.0.1:8000/v1", proxy: "http://egress:3128"}
models:
  claude-sonnet-4-5:
    offers:
      direct: {cloud: claude, id: claude-sonnet-4-5-20250929}
      aws:    {cloud: aws, id: us.anthropic.claude-sonnet-4-5-20250929-v1:0}
      lab:    {cloud: lab, id: tiny, context_tokens: 32768, max_output_tokens: 4096, price: {input: "0.10", output: "0.40", currency: USD}}
orgs:  {acme: {budgets: [{limit: "10000.00", currency: USD, period: month, timezone: Europe/Stockholm}]}}
teams: {search: {org: acme, budgets: [{limit: "500.00", period: month}], regions: [eu], clouds: ["*"]}}
keys:
  search-prod:
    team: search
    secret: "${env:SEARCH_KEY}"        # or secret_hash; `aws: {access_key_id, secret}` for SigV4 clients; `expires`; two live secrets
    models: ["*"]                      # and regions, clouds: what a request may reach, never widened below the team
    budgets: [{limit: "20.00", period: day}]
    limits: {requests_per_minute: 600, tokens_per_minute: 200000, concurrent: 64}
    tags: {cost_center: "4711"}
    policy: {on_lossy: meaning, on_unbounded: refuse, budget_wait_ms: 0, fail_open: false, expose: [offer, cost]}
contracts: {}
)";

TEST(Load, ReadsTheExampleOfTheDesign) {
    Environment environment = fixed_environment();
    environment.is_whole = false;  // there is no key file here
    const Loaded loaded = load_text(kDesignExample, "test.yaml", environment);
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    const Settings& s = *loaded.settings;
    EXPECT_EQ(s.listen.address, "127.0.0.1");
    EXPECT_EQ(s.listen.port, 4100);
    EXPECT_EQ(s.admin.port, 4101);
    ASSERT_EQ(s.clouds.size(), 8U);
    EXPECT_EQ(s.clouds[0].api_key.reveal(), "value-of-OPENAI_API_KEY");
    EXPECT_EQ(s.find_cloud("aws")->secret_access_key.reveal(), "content-of-/run/secrets/aws");
    EXPECT_EQ(s.find_cloud("lab")->proxy, "http://egress:3128");
    const ModelSettings& model = *s.find_model("claude-sonnet-4-5");
    ASSERT_EQ(model.offers.size(), 3U);
    EXPECT_EQ(model.offers[1].id, OfferId("claude-sonnet-4-5/aws"));
    EXPECT_EQ(model.offers[1].region, "us");  // a cross-region profile, not us-east-1 alone
    EXPECT_EQ(model.offers[2].max_output_tokens, 4096);
    EXPECT_EQ(model.offers[2].price->per_unit[static_cast<std::size_t>(canon::Meter::kOutput)],
        *UnitPrice::parse_per_million("0.40"));
    EXPECT_EQ(s.orgs[0].budgets[0].limit, *Money::parse("10000"));
    EXPECT_EQ(s.orgs[0].budgets[0].zone.name(), "Europe/Stockholm");
    EXPECT_EQ(s.teams[0].regions.names(), (std::vector<std::string>{"eu"}));
    const KeySettings& key = *s.find_key("search-prod");
    ASSERT_EQ(key.digests.size(), 1U);
    EXPECT_EQ(key.digests[0], auth::digest_of("value-of-SEARCH_KEY"));
    EXPECT_EQ(key.limits.concurrent, 64);
    EXPECT_EQ(key.budgets[0].period, PeriodKind::kDay);
    EXPECT_EQ(key.tags.at("cost_center"), "4711");
}

TEST(Load, TakesTheEmptyFileForDefaults) {
    const Loaded loaded = load("");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    EXPECT_EQ(loaded.settings->admin.port, 4101);
    EXPECT_EQ(loaded.settings->reply_buffer_bytes, 1'048'576);
    EXPECT_TRUE(load("# nothing but a comment\n").ok());
}

TEST(Load, ReadsTheBoundsOfClientsHttp2) {
    const Loaded loaded =
        load("http2: {enabled: false, streams_max: 7, requests_max: 9, age_ms: 11}\n");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    EXPECT_EQ(loaded.settings->http2, (ClientHttp2{false, 7, 9, 11}));
    EXPECT_EQ(load("").settings->http2, ClientHttp2{});
}

TEST(Load, ReadsTheHttpVersionThatACloudIsAskedIn) {
    const auto version_of = [](std::string_view text) {
        const Loaded loaded =
            load("clouds: {lab: {kind: openai_compatible, endpoint: 'http://h/v1'" +
                std::string(text) + "}}\n");
        EXPECT_TRUE(loaded.ok()) << format_problems(loaded.problems);
        return loaded.settings->find_cloud("lab")->http;
    };
    EXPECT_EQ(version_of(""), CloudHttp::k1);
    EXPECT_EQ(version_of(", http: 1"), CloudHttp::k1);
    EXPECT_EQ(version_of(", http: 2"), CloudHttp::k2);
    EXPECT_EQ(version_of(", http: auto"), CloudHttp::kAuto);
}

struct BadCase {
    const char* name;
    const char* text;
    std::uint32_t line, column;
    const char* cause;
    const char* remedy;
};

class BadConfig : public testing::TestWithParam<BadCase> {};

TEST_P(BadConfig, IsNamedWithItsPlaceCauseAndRemedy) {
    const BadCase& bad = GetParam();
    const Loaded loaded = load(bad.text);
    EXPECT_FALSE(loaded.ok());
    ASSERT_EQ(loaded.problems.size(), 1U) << format_problems(loaded.problems);
    const Problem& problem = loaded.problems[0];
    EXPECT_EQ(problem.at, (Location{bad.line, bad.column})) << problem.to_string();
    EXPECT_NE(problem.cause.find(bad.cause), std::string::npos) << problem.to_string();
    EXPECT_NE(problem.remedy.find(bad.remedy), std::string::npos) << problem.to_string();
}

#define PEOPLE        \
    "orgs: {o: {}}\n" \
    "teams: {t: {org: o}}\n"
#define CLOUDS                                                                        \
    "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h/v1', region: eu}}\n" \
    "models: {m: {offers: {lab: {cloud: lab}}}}\n"

INSTANTIATE_TEST_SUITE_P(Table, BadConfig,
    testing::Values(BadCase{"UnknownKey", "threds: 2\n", 1, 1, "unknown key 'threds'", "'threads'"},
        BadCase{"UnknownDeepKey", PEOPLE "keys:\n  k: {team: t, secret: s, limit: 3}\n", 4, 27,
            "unknown key 'limit' in keys.k", "'limits'"},
        BadCase{"TagWithASeparator",
            PEOPLE "keys:\n  k: {team: t, secret: s, tags: {a: 'x;cost_center=1'}}\n", 4, 37,
            "tag 'a' holds a ';'", "without"},
        BadCase{"UnknownFarKey", "zzzzzzzzzz: 2\n", 1, 1, "unknown key", "known here are listen"},
        BadCase{"DuplicateKey", "threads: 1\ndata: x\nthreads: 2\n", 3, 1,
            "'threads' is given twice, first on line 1", "keep one"},
        BadCase{"DuplicateCloud",
            "clouds:\n  a: {kind: openai, api_key: k}\n  a: {kind: openai, api_key: k}\n", 3, 3,
            "'a' is given twice", "keep one"},
        BadCase{"Syntax", "listen: [1\n", 2, 1, "not valid YAML", "check indentation"},
        BadCase{"Tab", "clouds:\n\ta: b\n", 2, 3, "not valid YAML", "check indentation"},
        BadCase{"SecondDocument", "threads: 1\n---\nthreads: 2\n", 3, 1, "a second document",
            "one document"},
        BadCase{"Tag", "threads: !!str 1\n", 1, 10, "tag", "remove the tag"},
        BadCase{"NotANumber", "threads: many\n", 1, 10, "'many' is not a whole number",
            "from 0 to 1024"},
        BadCase{"NumberTooLarge", "threads: 1025\n", 1, 10, "'1025'", "from 0 to 1024"},
        BadCase{"FloatForInteger", "threads: 2.0\n", 1, 10, "'2.0'", "whole number"},
        BadCase{"ListForMap", "clouds: [a]\n", 1, 9, "expected a map, found a list", "by name"},
        BadCase{"MapForText", "data: {a: b}\n", 1, 7, "expected text, found a map", "one value"},
        BadCase{"TextForSection", "admin: 4101\n", 1, 8, "expected a map, found '4101'", "{key"},
        BadCase{"Address", "listen: localhost:80\n", 1, 9, "'localhost:80' is not an IP address",
            "127.0.0.1:4100"},
        BadCase{"Port", "listen: 127.0.0.1:70000\n", 1, 9, "not an IP address and a port", "4100"},
        BadCase{"ListenMap", "listen: {tls: {cert: c, key: k}}\n", 1, 9, "'address' is missing",
            "add address"},
        BadCase{"TlsKey", "listen:\n  address: 127.0.0.1:1\n  tls: {cert: c}\n", 3, 8,
            "'key' is missing", "add key"},
        BadCase{"Proxy", "listen: {address: '127.0.0.1:1', trusted_proxies: [10.0.0.0/33]}\n", 1,
            52, "'10.0.0.0/33' is no address", "10.0.0.0/8"},
        BadCase{"HttpVersion",
            "clouds: {a: {kind: openai_compatible, endpoint: 'http://h/v1', http: 1.1}}\n", 1, 70,
            "'1.1' is not one of 1, 2, auto", "did you mean '1'?"},
        BadCase{"CorsOrigin", "cors_origins: ['*', 'https://app.example/']\n", 1, 21,
            "'https://app.example/' is no origin", "https://app.example"},
        BadCase{"SameAddress", "admin: {listen: 127.0.0.1:4100}\n", 1, 17, "are the same address",
            "port of its own"},
        BadCase{"Choice", "durability: proces\n", 1, 13, "'proces' is not one of process, power",
            "'process'"},
        BadCase{"Currency", "currency: usd\n", 1, 11, "'usd' is not a currency", "USD"},
        BadCase{
            "EnvMissing", "data: '${env:MISSING}'\n", 1, 7, "'MISSING' is not set", "set MISSING"},
        BadCase{"FileMissing", "data: '${file:/missing}'\n", 1, 7, "cannot read '/missing'",
            "check the path"},
        BadCase{"InterpolationUnknown", "data: '${evn:X}'\n", 1, 7, "'${evn:X}' is not known",
            "${env:NAME}"},
        BadCase{"InterpolationOpen", "data: '${env:X'\n", 1, 7, "no closing brace", "$${"},
        BadCase{"Kind", "clouds: {a: {kind: opneai, api_key: k}}\n", 1, 20, "'opneai'",
            "did you mean 'openai'"},
        BadCase{
            "KindMissing", "clouds: {a: {api_key: k}}\n", 1, 13, "'kind' is missing", "add kind"},
        BadCase{"ApiKeyMissing", "clouds: {a: {kind: openai}}\n", 1, 10, "'api_key' is missing",
            "add api_key"},
        BadCase{"ApiKeyEmpty", "clouds: {a: {kind: openai, api_key: '${env:EMPTY}'}}\n", 1, 37,
            "the value is empty", "give it a value"},
        BadCase{"ApiKeyLineBreak", "clouds: {a: {kind: openai, api_key: \"k\\n\"}}\n", 1, 37,
            "control character", "line break"},
        BadCase{"EndpointMissing", "clouds: {a: {kind: openai_compatible}}\n", 1, 10,
            "'endpoint' is missing", "add endpoint"},
        BadCase{"EndpointScheme", "clouds: {a: {kind: openai_compatible, endpoint: 'ftp://x'}}\n",
            1, 49, "does not begin with http", "https://host"},
        BadCase{"EndpointUser",
            "clouds: {a: {kind: openai_compatible, endpoint: 'http://u:p@x/v1'}}\n", 1, 49,
            "user name", "https://host"},
        BadCase{"EndpointQuery",
            "clouds: {a: {kind: openai_compatible, endpoint: 'http://x/v1?a=b'}}\n", 1, 49,
            "a query", "https://host"},
        BadCase{"EndpointPort",
            "clouds: {a: {kind: openai_compatible, endpoint: 'http://x:0/v1'}}\n", 1, 49,
            "its port", "https://host"},
        // A region goes into host names and signatures.
        BadCase{"RegionInjected",
            "clouds: {a: {kind: bedrock, region: 'x.evil.example/#', api_key: k}}\n", 1, 37,
            "not one plain word", "letters"},
        BadCase{"BedrockRegion", "clouds: {a: {kind: bedrock, api_key: k}}\n", 1, 10,
            "'region' is missing", "us-east-1"},
        BadCase{"BedrockSecret",
            "clouds: {a: {kind: bedrock, region: eu-west-1, access_key_id: k}}\n", 1, 10,
            "'secret_access_key' is missing", "add secret_access_key"},
        BadCase{"BedrockBoth",
            "clouds: {a: {kind: bedrock, region: eu-west-1, api_key: k, access_key_id: k}}\n", 1,
            57, "both a bearer token", "keep"},
        BadCase{"OfferCloud",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lba}}}}\n",
            2, 34, "there is no cloud 'lba'", "'lab'"},
        BadCase{"OfferNone", CLOUDS "models2: {}\n", 3, 1, "unknown key", "'models'"},
        BadCase{"NoOffers", "models: {m: {offers: {}}}\n", 1, 22, "has no offer", "add"},
        BadCase{"PriceMissing",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, price: {input: '1'}}}}}\n",
            2, 46, "the price has no 'output'", "add output"},
        BadCase{"PriceInvalid",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, price: {input: '-1', output: '2'}}}}}\n",
            2, 54, "'-1' is not a price", "decimal per million"},
        BadCase{"PriceDecimals",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, price: {input: '0.1234567', output: '2'}}}}}\n",
            2, 54, "is not a price", "six decimals"},
        BadCase{"PriceCurrency",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, price: {input: '1', output: '2', currency: "
            "EUR}}}}}\n",
            2, 82, "the price is in EUR, the books are in USD", "write the price in USD"},
        BadCase{"OutputAboveContext",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, context_tokens: 10, max_output_tokens: 11}}}}\n",
            2, 78, "does not fit a context of 10", "lower max_output_tokens"},
        BadCase{"CatalogModel",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, catalog: openai/gpt-4o-mni}}}}\n",
            2, 48, "the catalogue has no 'openai/gpt-4o-mni'", "'openai/gpt-4o-mini'"},
        BadCase{"CatalogModelWithoutItsAuthor",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, catalog: gpt-4o-mini}}}}\n",
            2, 48, "the catalogue has no 'gpt-4o-mini'", "'openai/gpt-4o-mini'"},
        BadCase{"CatalogOffer",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, catalog: "
            "'azure:foundry:datazone-eu:openai.gpt-4o-mni'}}}}\n",
            2, 48, "the catalogue has no", "'azure:foundry:datazone-eu:openai.gpt-4o-mini'"},
        BadCase{"CatalogUnlikeAnything",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {m: {offers: {a: {cloud: lab, catalog: qqqqqqqqqqqqqqqqqqqqqqqq}}}}\n",
            2, 48, "the catalogue has no", "entrepot prices"},
        BadCase{"TeamOrg", "orgs: {acme: {}}\nteams: {t: {org: acmee}}\n", 2, 18,
            "there is no org 'acmee'", "'acme'"},
        BadCase{"KeyTeam", PEOPLE "keys: {k: {team: u, secret: s}}\n", 3, 18,
            "there is no team 'u'", "t"},
        BadCase{"KeyProject", PEOPLE "keys: {k: {team: t, secret: s, project: p}}\n", 3, 41,
            "there is no project 'p'", "add it below `projects`"},
        BadCase{"KeyProjectOfAnotherTeam",
            PEOPLE "projects: {p: {team: t}}\nkeys: {k: {team: t, secret: s, project: q}}\n", 4, 41,
            "there is no project 'q'", "p"},
        BadCase{"EndUsersWithoutAHeader",
            PEOPLE "keys: {k: {team: t, secret: s, end_users: {required: true}}}\n", 3, 43,
            "nothing says where end users are named", "add header"},
        BadCase{"EndUsersOfACredential",
            PEOPLE "keys: {k: {team: t, secret: s, end_users: {header: Authorization}}}\n", 3, 52,
            "no header for this", "x-end-user"},
        BadCase{"KeySecretMissing", PEOPLE "keys: {k: {team: t}}\n", 3, 8, "has no secret",
            "add secret"},
        BadCase{"KeySecretTwice",
            PEOPLE "keys:\n  a: {team: t, secret: s}\n  b: {team: t, secret: s}\n", 5, 24,
            "that of the key 'a' too", "of its own"},
        BadCase{"KeySecretHash", PEOPLE "keys: {k: {team: t, secret_hash: abc}}\n", 3, 34,
            "not a hash", "sha256sum"},
        BadCase{"KeySecrets", PEOPLE "keys: {k: {team: t, secret: [a, b, c]}}\n", 3, 29,
            "3 live secrets", "keep two"},
        BadCase{"KeyModel", CLOUDS PEOPLE "keys: {k: {team: t, secret: s, models: [mm]}}\n", 5, 41,
            "there is no model 'mm'", "'m'"},
        BadCase{"KeyCloud", CLOUDS PEOPLE "keys: {k: {team: t, secret: s, clouds: [lb]}}\n", 5, 41,
            "there is no cloud 'lb'", "'lab'"},
        BadCase{"KeyStar", CLOUDS PEOPLE "keys: {k: {team: t, secret: s, models: ['*m']}}\n", 5, 41,
            "not at its end", "beginning of names"},
        BadCase{"KeyRegion", PEOPLE "keys: {k: {team: t, secret: s, regions: [eur]}}\n", 3, 42,
            "'eur' is no region", "did you mean 'eu'"},
        // A word that routing does not enforce as a zone would deny everything, in silence.
        BadCase{"KeyRegionGroup", PEOPLE "keys: {k: {team: t, secret: s, regions: [eea]}}\n", 3, 42,
            "'eea' is no region", "did you mean"},
        BadCase{"KeyWiderRegion",
            "orgs: {o: {}}\nteams: {t: {org: o, regions: [eu]}}\n"
            "keys: {k: {team: t, secret: s, regions: [swedencentral, us]}}\n",
            3, 57, "'us' is wider than what the team 't' may reach", "widen the team"},
        BadCase{"KeyWiderZone",
            "orgs: {o: {}}\nteams: {t: {org: o, regions: [eu]}}\n"
            "keys: {k: {team: t, secret: s, regions: [eu-west-1, datazone-eu, europe]}}\n",
            3, 66, "'europe' is wider than what the team 't' may reach", "widen the team"},
        BadCase{"KeyWiderCloud",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}, b: {kind: openai, "
            "api_key: k}}\n"
            "orgs: {o: {}}\nteams: {t: {org: o, clouds: [b]}}\n"
            "keys: {k: {team: t, secret: s, clouds: lab}}\n",
            4, 40, "'lab' is wider", "widen the team"},
        BadCase{"EmptyList", PEOPLE "keys: {k: {team: t, secret: s, clouds: []}}\n", 3, 40,
            "the list is empty", "disabled: true"},
        BadCase{"Aws",
            PEOPLE "keys: {k: {team: t, secret: s, aws: {access_key_id: 'a b', secret: "
                   "abcdefghijklmnopqrst}}}\n",
            3, 53, "cannot be an access key id", "letters, digits"},
        BadCase{"AwsSecretMissing", PEOPLE "keys: {k: {team: t, aws: {access_key_id: EKID1}}}\n", 3,
            26, "'secret' is missing", "add secret"},
        BadCase{"BudgetNegative", "orgs: {o: {budgets: [{limit: '-1'}]}}\n", 1, 30, "below zero",
            "0 or more"},
        BadCase{"BudgetExponent", "orgs: {o: {budgets: [{limit: 1e3}]}}\n", 1, 30,
            "'1e3' is not an amount", "500.00"},
        BadCase{"BudgetLimitMissing", "orgs: {o: {budgets: [{period: day}]}}\n", 1, 22,
            "'limit' is missing", "add limit"},
        BadCase{"BudgetZone", "orgs: {o: {budgets: [{limit: 1, timezone: Mars/Olympus}]}}\n", 1, 43,
            "'Mars/Olympus' is not a time zone", "Europe/Stockholm"},
        BadCase{"BudgetPeriod", "orgs: {o: {budgets: [{limit: 1, period: moth}]}}\n", 1, 41,
            "'moth'", "'month'"},
        BadCase{"BudgetCurrency", "orgs: {o: {budgets: [{limit: 1, currency: EUR}]}}\n", 1, 43,
            "the budget is in EUR, the books are in USD", "in USD"},
        BadCase{"Expires", PEOPLE "keys: {k: {team: t, secret: s, expires: soon}}\n", 3, 41,
            "'soon' is not a time", "2026-11-23"},
        BadCase{"Expose", PEOPLE "keys: {k: {team: t, secret: s, policy: {expose: [price]}}}\n", 3,
            50, "'price'", "one of them"},
        BadCase{"Boolean", PEOPLE "keys: {k: {team: t, secret: s, disabled: yes}}\n", 3, 42,
            "'yes' is neither", "true or false"},
        BadCase{"Name", "orgs: {'a/b': {}}\n", 1, 8, "'a/b' cannot be a name", "letters"},
        BadCase{"ModelName",
            "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h'}}\n"
            "models: {'a b': {offers: {a: {cloud: lab}}}}\n",
            2, 10, "cannot be a model's name", "without spaces"},
        BadCase{"OfferOfUnsupportedKind",
            "clouds:\n  g: {kind: openai, api_key: k}\n"
            "models: {m: {offers: {a: {cloud: g}, b: {cloud: h}}}}\n",
            3, 49, "there is no cloud 'h'", "g"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Load, WhatIsSoldByThePieceNeedsNoPriceByTheToken) {
    const auto problems_of = [](std::string_view price) {
        return load(
            fmt::format("clouds: {{lab: {{kind: openai_compatible, endpoint: 'http://h'}}}}\n"
                        "models: {{m: {{offers: {{a: {{cloud: lab, price: {{{}}}}}}}}}}}\n",
                price))
            .problems.size();
    };
    EXPECT_EQ(problems_of("images: '20000'"), 0u);
    EXPECT_EQ(problems_of("characters: '15'"), 0u);
    EXPECT_EQ(problems_of("input: '0.6', audio_out: '12'"), 0u);
    EXPECT_EQ(problems_of("input: '0.6', images: '12'"), 1u);
    EXPECT_EQ(problems_of("audio_out: '12'"), 1u);
}

TEST(Load, ListsEveryProblemAtOnceInTheFilesOrder) {
    const Loaded loaded = load(
        "threads: x\n"
        "clouds: {a: {kind: openia}}\n"
        "teams: {t: {org: o}}\n"
        "orgs: {p: {budgets: [{limit: x}, {limit: -2}]}}\n"
        "nonsense: 1\n");
    EXPECT_FALSE(loaded.ok());
    std::vector<std::uint32_t> lines;
    for (const Problem& problem : loaded.problems) lines.push_back(problem.at.line);
    EXPECT_EQ(lines, (std::vector<std::uint32_t>{1, 2, 2, 3, 4, 4, 5}))
        << format_problems(loaded.problems);
}

TEST(Load, AClientCertificateStandsWithItsKeyAndBothCanBeRead) {
    const auto told = [](std::string_view more) {
        return format_problems(
            load(fmt::format("clouds: {{c: {{kind: openai, api_key: k, {}}}}}\n", more)).problems);
    };
    EXPECT_EQ(told("ca_file: ca.pem, client_cert: c.pem, client_key: k.pem"), "");
    EXPECT_NE(told("client_cert: c.pem").find("'client_key' is missing"), std::string::npos);
    EXPECT_NE(told("client_key: k.pem").find("'client_cert' is missing"), std::string::npos);
    EXPECT_NE(told("ca_file: missing").find("clouds.c.ca_file: cannot read 'missing'"),
        std::string::npos);
}

TEST(Load, NeverShowsASecret) {
    const Loaded loaded = load(PEOPLE
        "clouds: {a: {kind: openai, api_key: 'hush hush'}}\n"
        "keys: {k: {team: t, secret: 'hush\x01hush'}}\n"
        "data: {x: '${env:HUSH}'}\n"
        "threads: '${env:HUSH}'\n");
    EXPECT_FALSE(loaded.ok());
    const std::string told = format_problems(loaded.problems) + problems_json(loaded.problems);
    EXPECT_EQ(told.find("hush"), std::string::npos) << told;
    EXPECT_EQ(told.find("value-of-HUSH"), std::string::npos) << told;
    EXPECT_NE(told.find("'${env:HUSH}' is not a whole number"), std::string::npos) << told;
}

TEST(Load, RegionsOfOffersComeFromTheProfileThenTheCloud) {
    const Loaded loaded = load(
        "clouds: {b: {kind: bedrock, region: eu-central-1, api_key: k}}\n"
        "models: {m: {offers: {plain: {cloud: b, id: x.y-v1:0}, eu: {cloud: b, id: eu.x.y},\n"
        "  global: {cloud: b, id: global.x.y}, said: {cloud: b, id: x.y, region: eu-west-3},\n"
        "  arn: {cloud: b, id: 'arn:aws:bedrock:eu-central-1:1:inference-profile/us.x.y'}}}}\n");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    std::vector<std::string> regions;
    for (const OfferSettings& offer : loaded.settings->models[0].offers)
        regions.push_back(offer.region);
    EXPECT_EQ(
        regions, (std::vector<std::string>{"eu-central-1", "eu", "global", "eu-west-3", "us"}));
}

TEST(Load, AnOfferMaySayWhatItIsInTheCatalogue) {
    const Loaded loaded = load(
        "clouds: {a: {kind: azure, endpoint: 'https://x', api_key: k}}\n"
        "models: {m: {offers: {model: {cloud: a, id: ours, catalog: openai/gpt-4o-mini},\n"
        "  offer: {cloud: a, catalog: 'azure:foundry:datazone-eu:openai.gpt-4o-mini'}}}}\n");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    EXPECT_EQ(loaded.settings->models[0].offers[0].catalog, "openai/gpt-4o-mini");
    EXPECT_EQ(loaded.settings->models[0].offers[1].catalog,
        "azure:foundry:datazone-eu:openai.gpt-4o-mini");
}

TEST(Load, AliasesAreReadButCannotGrowWithoutBound) {
    EXPECT_TRUE(load("orgs: {a: {budgets: &b [{limit: 1}]}, c: {budgets: *b}}\n").ok());
    std::string bomb = "orgs:\n  a0: &a0 {budgets: [{limit: 1}]}\n";
    for (int i = 1; i < 40; ++i)
        bomb += "  a" + std::to_string(i) + ": &a" + std::to_string(i) + " {x: *a" +
            std::to_string(i - 1) + ", y: *a" + std::to_string(i - 1) + "}\n";
    const Loaded loaded = load(bomb);
    EXPECT_FALSE(loaded.ok());
    EXPECT_NE(format_problems(loaded.problems).find("expand"), std::string::npos);
    EXPECT_FALSE(load("orgs: &x {a: *x}\n").ok());
    EXPECT_FALSE(load(std::string(5000, '[')).ok());
}

TEST(Load, InterpolationIsLiteralAfterADoubledDollar) {
    const Loaded loaded = load("data: 'a$${env:X}b${env:X}'\n");
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded.settings->data, "a${env:X}bvalue-of-X");
}

TEST(LoadFile, TakesPathsRelativeToTheFilesOwnFolder) {
    const auto folder =
        std::filesystem::temp_directory_path() / ("entrepot-config-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "e.yaml")
        << "data: ./books\nclouds: {a: {kind: openai, api_key: '${file:key}'}}\n";
    std::ofstream(folder / "key") << "k-1\n";
    const Loaded loaded = load_file((folder / "e.yaml").string());
    std::filesystem::remove_all(folder);
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    EXPECT_EQ(loaded.settings->data, (folder / "books").string());
    EXPECT_EQ(loaded.settings->clouds[0].api_key.reveal(), "k-1");
    const Loaded gone = load_file("/nonexistent/e.yaml");
    EXPECT_FALSE(gone.ok());
    EXPECT_NE(gone.problems[0].cause.find("cannot read"), std::string::npos);
}

TEST(NeedsRestart, NamesWhatARunningProcessCannotTakeOver) {
    const Settings running = *load("threads: 1\n").settings;
    EXPECT_TRUE(needs_restart(running,
        *load("threads: 1\nreply_buffer_bytes: 2048\nlog_level: debug\norgs: {o: {}}\n").settings)
            .empty());
    const Settings changed =
        *load("threads: 2\ndata: ./other\nlisten: 127.0.0.1:9\nadmin: {listen: '127.0.0.1:8'}\n")
             .settings;
    EXPECT_EQ(needs_restart(running, changed),
        (std::vector<std::string>{"listen", "admin", "data", "threads"}));
    // Each alone: what is applied to nothing must not be called taken over.
    for (const char* text : {"durability: power", "currency: EUR", "body_bytes_max: 2048",
             "header_bytes_max: 2048", "connections_max: 7", "access_log: stderr",
             "timeouts: {header_ms: 1}", "timeouts: {body_ms: 1}", "timeouts: {keep_alive_ms: 1}",
             "timeouts: {write_ms: 1}", "timeouts: {drain_ms: 1}", "http2: {enabled: false}",
             "http2: {streams_max: 1}", "http2: {requests_max: 1}", "http2: {age_ms: 1}"}) {
        const Loaded loaded = load(std::string("threads: 1\n") + text + "\n");
        ASSERT_TRUE(loaded.ok()) << text;
        const std::string_view line = text;
        EXPECT_EQ(needs_restart(running, *loaded.settings),
            (std::vector<std::string>{std::string(line.substr(0, line.find(':')))}));
    }
}

TEST(Reference, IsTheCommittedPage) {
    std::ifstream file(std::string(ENTREPOT_SOURCE_DIR) + "/docs/reference/configuration.md");
    std::stringstream committed;
    committed << file.rdbuf();
    EXPECT_EQ(committed.str(), reference_markdown())
        << "run: entrepot validate --reference > docs/reference/configuration.md";
}

// What comes over the API passes the same table, and must not read this process's variables.
TEST(ReadKey, TakesJsonByTheSameRulesAsTheFile) {
    const Settings settings = *load(PEOPLE CLOUDS "keys: {a: {team: t, secret: s}}\n").settings;
    const std::string hash = auth::to_string(auth::digest_of("other"));
    const auto key = read_key("b",
        R"({"team":"t","secret_hash":")" + hash +
            R"(","models":["m"],"budgets":[{"limit":"1.50"}]})",
        settings);
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->id, KeyId("b"));
    EXPECT_EQ(key->budgets[0].limit, *Money::parse("1.50"));
    const struct {
        const char* name;
        std::string json;
        const char* message;
    } kBad[] = {
        {"a", R"({"team":"t","secret_hash":")" + hash + R"("})", "the file has a key 'a' already"},
        {"b", R"({"team":"u","secret_hash":")" + hash + R"("})", "there is no team 'u'"},
        {"b", R"({"team":"t","secret":"s"})", "that of the key 'a' too"},
        {"b", R"({"team":"t","secret":"${env:HOME}"})", "is not set"},
        {"b", R"({"team":"t","secret":"x","modles":[]})", "did you mean 'models'"},
        {"b/c", R"({"team":"t","secret":"x"})", "cannot be a name"},
        {"b", R"({"team":)", "not valid YAML"},
        {"b", R"([])", "expected a map"},
    };
    for (const auto& bad : kBad) {
        const auto refused = read_key(bad.name, bad.json, settings);
        ASSERT_FALSE(refused) << bad.json;
        EXPECT_NE(refused.error().message.find(bad.message), std::string::npos)
            << refused.error().message;
    }
}

TEST(ProblemsJson, IsOneObjectPerProblem) {
    const std::string json = problems_json(load("threads: x\n").problems);
    EXPECT_TRUE(
        json.starts_with(R"([{"severity":"error","file":"test.yaml","line":1,"column":10,)"))
        << json;
}

TEST(Limits, StandAtOrgsTeamsAndKeys) {
    const Loaded loaded = load(
        "orgs: {o: {limits: {requests_per_minute: 900}}}\n"
        "teams: {t: {org: o, limits: {tokens_per_minute: 5000, concurrent: 8}}}\n"
        "keys: {k: {team: t, secret: s, limits: {concurrent: 2}}}\n");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    EXPECT_EQ(loaded.settings->orgs[0].limits.requests_per_minute, 900);
    EXPECT_EQ(loaded.settings->teams[0].limits.tokens_per_minute, 5000);
    EXPECT_EQ(loaded.settings->teams[0].limits.concurrent, 8);
    EXPECT_EQ(loaded.settings->keys[0].limits.concurrent, 2);
}

TEST(Notices, BudgetsNameSharesAndAWebhookThatExists) {
    const std::string hooks =
        "webhooks: {ops: {url: 'https://hooks.example/a?token=t', secret: "
        "whsec_MDEyMzQ1Njc4OWFiY2RlZg==}}\n";
    const Loaded loaded = load(hooks +
        "orgs: {o: {budgets: [{limit: 5, notify: {webhook: ops}}, {limit: 9, period: day, notify: "
        "{at: [90, 20], webhook: ops}}]}}\n");
    ASSERT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    const auto& budgets = loaded.settings->orgs[0].budgets;
    EXPECT_EQ(budgets[0].notify->at, (std::vector<std::int64_t>{50, 80, 100}));
    EXPECT_EQ(budgets[1].notify->at, (std::vector<std::int64_t>{20, 90}));
    EXPECT_EQ(loaded.settings->find_webhook("ops")->signing_key().reveal(), "0123456789abcdef");
    for (const auto& [path, value] : *loaded.settings->stated)
        EXPECT_EQ(value.find("token"), std::string::npos) << path;

    const struct {
        std::string text;
        const char* found;
    } kBad[] = {
        {hooks + "orgs: {o: {budgets: [{limit: 5, notify: {webhook: obs}}]}}\n",
            "orgs.o.budgets[0].notify.webhook: there is no webhook 'obs'\n    did you mean 'ops'?"},
        {hooks + "orgs: {o: {budgets: [{limit: 5, notify: {at: [], webhook: ops}}]}}\n",
            "nobody would ever be told"},
        {hooks + "orgs: {o: {budgets: [{limit: 5, notify: {at: [101], webhook: ops}}]}}\n",
            "'101' is not a whole number from 1 to 100"},
        {hooks + "orgs: {o: {budgets: [{limit: 5, notify: {at: [5, 5], webhook: ops}}]}}\n",
            "5 is there twice"},
        {"webhooks: {a: {url: 'ftp://x/secret-path', secret: 0123456789abcdef}}\n",
            "webhooks.a.url: this is not an address: it does not begin with http"},
        {"webhooks: {a: {url: 'http://x', secret: short}}\n", "fewer than 16 bytes"},
        {"webhooks: {a: {url: 'http://x', secret: whsec_a}}\n", "is not base64"},
        {"webhooks: {a: {url: 'http://x'}}\n", "'secret' is missing"},
        {"webhooks: {a: {url: 'http://x', secret: 0123456789abcdef, ca_file: missing}}\n",
            "webhooks.a.ca_file: cannot read"},
    };
    for (const auto& bad : kBad) {
        const Loaded refused = load(bad.text);
        EXPECT_FALSE(refused.ok()) << bad.text;
        const std::string told = format_problems(refused.problems);
        EXPECT_NE(told.find(bad.found), std::string::npos) << told;
        EXPECT_EQ(told.find("secret-path"), std::string::npos);
    }
}

std::map<std::string, std::string> stated_in(std::string_view text) {
    const Loaded loaded = load(text);
    EXPECT_TRUE(loaded.ok()) << format_problems(loaded.problems);
    return {loaded.settings->stated->begin(), loaded.settings->stated->end()};
}

TEST(Stated, EveryValueStandsAtItsPathAndEntriesWithoutSettingsToo) {
    const auto stated = stated_in(
        "threads: 2\norgs: {acme: {budgets: [{limit: '5.00'}, {limit: 7, period: day}]}, o: {}}\n"
        "teams: {t: {org: acme, regions: [eu, us]}}\n"
        "keys: {k: {team: t, secret: \"${env:K}\", tags: {x: \"${env:TAG}\"}}}\n");
    EXPECT_EQ(stated.at("threads"), "2");
    EXPECT_EQ(stated.at("orgs.acme.budgets[1].limit"), "7");
    EXPECT_EQ(stated.at("orgs.acme.budgets[1].period"), "day");
    EXPECT_EQ(stated.at("orgs.o"), "{}");
    EXPECT_EQ(stated.at("teams.t.regions[1]"), "us");
    EXPECT_EQ(stated.at("keys.k.tags.x"), "value-of-TAG");
    EXPECT_FALSE(stated.contains("keys.k.budgets[0].limit"));
}

TEST(Stated, ASecretIsEightDigitsOfItsDigestHoweverItIsWritten) {
    const std::string digest = auth::to_string(auth::digest_of("value-of-K"));
    const std::string shown = digest.substr(0, 15);
    const std::string people = "orgs: {o: {}}\nteams: {t: {org: o}}\n";
    EXPECT_EQ(
        stated_in(people + "keys: {k: {team: t, secret: \"${env:K}\"}}\n").at("keys.k.secret"),
        shown);
    EXPECT_EQ(stated_in(people + "keys: {k: {team: t, secret_hash: \"" + digest + "\"}}\n")
                  .at("keys.k.secret_hash"),
        shown);
    for (const auto& [path, value] :
        stated_in("clouds: {a: {kind: openai, api_key: \"${env:A}\"}}\n"))
        EXPECT_EQ(value.find("value-of"), std::string::npos) << path;
}

TEST(Stated, ALongValueIsCutAndToldApartByItsDigest) {
    const std::string people = "orgs: {o: {}}\nteams: {t: {org: o}}\ncors_origins: ['https://";
    const auto one = stated_in(people + std::string(3000, 'a') + "']\n").at("cors_origins[0]");
    const auto other = stated_in(people + std::string(2999, 'a') + "b']\n").at("cors_origins[0]");
    EXPECT_LT(one.size(), 1100U);
    EXPECT_NE(one, other);
}

}  // namespace
}  // namespace entrepot::config
