#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include "config/load.h"
#include "control/admin_api.h"
#include "control/admin_server.h"
#include "control/socket_client.h"
#include "control/stored_budgets.h"
#include "control/stored_entries.h"
#include "control/stored_keys.h"
#include "control/token.h"
#include "control/watch.h"
#include "json/value.h"

namespace entrepot::control {
namespace {

constexpr Instant kNow{1'800'000'000'000'000'000};

std::filesystem::path fresh_folder(const char* name) {
    const auto folder = std::filesystem::temp_directory_path() /
        (std::string("entrepot-") + name + "-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    return folder;
}

config::Settings settings_of(const std::string& text) {
    config::Environment none;
    none.variable = [](const std::string&) { return std::nullopt; };
    none.file = [](const std::string&) -> Result<std::string> {
        return fail(ErrorCode::kIo, "none");
    };
    config::Loaded loaded = config::load_text(text, "test.yaml", none);
    EXPECT_TRUE(loaded.ok()) << config::format_problems(loaded.problems);
    return *loaded.settings;
}

class FakeBackend final : public Backend {
public:
    explicit FakeBackend(const std::filesystem::path& data)
        : settings_(settings_of(
              "clouds: {lab: {kind: openai_compatible, endpoint: 'http://h', region: eu}}\n"
              "models: {m: {offers: {lab: {cloud: lab}}}}\n"
              "orgs: {o: {}}\nteams: {t: {org: o, regions: [eu]}, full: {org: o, budgets: ["
              "{limit: 1}, {limit: 1, period: day}, {limit: 1, period: week}, {limit: 1, period: "
              "year}, {limit: 1, period: quarter}]}}\n"
              "keys: {filed: {team: t, secret: s-1}}\n"
              "contracts: {acme-2027: {clouds: [lab], from: 2027-01-01, to: 2028-01-01,\n"
              "  commitment: {amount: '365'}, discounts: [{off: 10%}], provisioned: {ptu: {\n"
              "  offers: [m/lab], units: 2, hourly: '0.50', tokens_per_minute: 1000}}}}\n")) {
        store_ = *store::SettingsStore::open(data);
        options_.data = data;
        books_ = *store::Books::open(options_, kNow);
        whole_ = settings_;
    }
    /// What is open is found at the next start, as after a crash.
    void reopen() {
        books_.reset();
        books_ = *store::Books::open(options_, kNow);
    }
    const config::Settings& settings() override { return whole_; }
    const config::Settings& file_settings() override { return settings_; }
    const routing::OfferTable& offers() override { return offers_; }
    Result<routing::OfferTable> offers_with(std::span<const contracts::OwnRate>, Instant) override {
        return routing::OfferTable();
    }
    void with_books(const std::function<void(store::Books&)>& work) override { work(*books_); }
    store::SettingsStore& store() override { return *store_; }
    Status apply_stored() override {
        ++applied;
        if (refuses) return fail(ErrorCode::kBadConfiguration, "the gateway refuses");
        ENTREPOT_TRY(whole_, with_stored_entries(*store_, settings_));
        return {};
    }
    std::string metrics() override { return "entrepot_up 1\n"; }
    bool draining() override { return is_draining; }
    Instant now() override { return kNow; }

    int applied = 0;
    bool is_draining = false;
    bool refuses = false;

private:
    config::Settings settings_;  ///< of the file
    config::Settings whole_;
    routing::OfferTable offers_;
    std::unique_ptr<store::SettingsStore> store_;
    store::BooksOptions options_;
    std::unique_ptr<store::Books> books_;
};

class AdminApi : public testing::Test {
protected:
    AdminApi() : folder_(fresh_folder("admin")), backend_(folder_) {}
    ~AdminApi() override { std::filesystem::remove_all(folder_); }

    AdminResponse ask(std::string_view method, std::string_view path, std::string_view body = {},
        std::string_view query = {}) {
        return handle(backend_, token_,
            {.method = method,
                .path = path,
                .query = query,
                .body = body,
                .authorization = "Bearer the-admin-token-1",
                .is_trusted = false,
                .peer = "127.0.0.1:5"});
    }
    static std::string member(const AdminResponse& response, std::string_view name) {
        const auto document = json::Document::parse(response.body);
        return document ? std::string(document->root()[name].string())
                        : "no JSON: " + response.body;
    }

    std::filesystem::path folder_;
    FakeBackend backend_;
    Secret token_{"the-admin-token-1"};
};

TEST_F(AdminApi, NeedsItsTokenForEverythingButTheProbes) {
    const AdminRequest without{.method = "GET", .path = "/api/keys"};
    EXPECT_EQ(handle(backend_, token_, without).status, 401);
    AdminRequest wrong = without;
    wrong.authorization = "Bearer the-admin-token-2";
    EXPECT_EQ(handle(backend_, token_, wrong).status, 401);
    // An empty token opens nothing, also when none was presented.
    EXPECT_EQ(handle(backend_, Secret(), without).status, 401);
    EXPECT_EQ(handle(backend_, token_, {.method = "GET", .path = "/metrics"}).status, 401);
    EXPECT_EQ(handle(backend_, token_, {.method = "GET", .path = "/livez"}).status, 200);
    EXPECT_EQ(ask("GET", "/api/keys").status, 200);
    EXPECT_EQ(ask("GET", "/metrics").body, "entrepot_up 1\n");
    AdminRequest by_socket = without;
    by_socket.is_trusted = true;
    EXPECT_EQ(handle(backend_, token_, by_socket).status, 200);
}

TEST_F(AdminApi, IsNotReadyWhileDrainingButAlive) {
    EXPECT_EQ(ask("GET", "/readyz").status, 200);
    backend_.is_draining = true;
    EXPECT_EQ(ask("GET", "/readyz").status, 503);
    EXPECT_EQ(ask("GET", "/livez").status, 200);
}

TEST_F(AdminApi, TellsUnknownPathsMethodsAndArgumentsApart) {
    EXPECT_EQ(ask("GET", "/api/kyes").status, 404);
    EXPECT_EQ(ask("DELETE", "/api/keys").status, 405);
    const AdminResponse argument = ask("GET", "/api/usage", {}, "by=key&sinse=2026-01-01");
    EXPECT_EQ(argument.status, 400);
    EXPECT_NE(argument.body.find("'sinse' is no argument"), std::string::npos) << argument.body;
    EXPECT_EQ(ask("GET", "/api/exchanges/not-a-uuid").status, 400);
    EXPECT_EQ(ask("GET", "/api/exchanges/01890a5d-ac96-774b-bcce-b302099a8057").status, 404);
}

TEST_F(AdminApi, DescribesEveryRouteInItsOpenApiDocument) {
    const AdminResponse response = ask("GET", "/api/openapi.json");
    const auto document = json::Document::parse(response.body);
    ASSERT_TRUE(document) << response.body;
    const json::Value& paths = document->root()["paths"];
    for (const char* path : {"/api/keys", "/api/keys/{name}/rotate", "/api/usage",
             "/api/exchanges/{id}", "/api/ledger/verify", "/api/models", "/api/prices"})
        EXPECT_NE(paths.find(path), nullptr) << path;
    EXPECT_NE(paths["/api/keys"].find("post"), nullptr);
}

TEST_F(AdminApi, KeysAreMadeRotatedAndDisabledAndKeepNoSecret) {
    const AdminResponse made =
        ask("POST", "/api/keys", R"({"name":"ci","team":"t","budgets":[{"limit":"1.00"}]})");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(backend_.applied, 1);
    const std::string secret = member(made, "secret");
    const auto stored = load_stored_keys(backend_.store(), backend_.settings());
    ASSERT_TRUE(stored);
    ASSERT_EQ(stored->size(), 1U);
    EXPECT_EQ(stored->at(0).digests, std::vector{auth::digest_of(secret)});
    EXPECT_EQ((*backend_.store().get("key", "ci"))->json.find(secret), std::string::npos);

    const std::string second = member(ask("POST", "/api/keys/ci/rotate"), "secret");
    const std::string third = member(ask("POST", "/api/keys/ci/rotate"), "secret");
    const auto rotated = *load_stored_keys(backend_.store(), backend_.settings());
    EXPECT_EQ(rotated[0].digests, (std::vector{auth::digest_of(second), auth::digest_of(third)}));
    EXPECT_EQ(rotated[0].budgets[0].limit, *Money::parse("1.00"));
    const std::string fourth =
        member(ask("POST", "/api/keys/ci/rotate", {}, "drop_old=true"), "secret");
    EXPECT_EQ((*load_stored_keys(backend_.store(), backend_.settings()))[0].digests,
        std::vector{auth::digest_of(fourth)});

    EXPECT_EQ(member(ask("POST", "/api/keys/ci/disable"), "state"), "disabled");
    EXPECT_EQ(member(ask("POST", "/api/keys/ci/enable"), "state"), "live");
    EXPECT_EQ(ask("GET", "/api/keys").body.find(fourth), std::string::npos);
    EXPECT_EQ(ask("GET", "/api/keys").body.find("sha256"), std::string::npos);
}

TEST_F(AdminApi, EveryChangeOfAKeyIsInTheAuditLogWithoutItsSecret) {
    const AdminResponse made = ask("POST", "/api/keys",
        R"({"name":"ci","team":"t","budgets":[{"limit":"1.00"}],"tags":{"a":"b"}})");
    ASSERT_EQ(made.status, 201) << made.body;
    const std::string secret = member(made, "secret");
    ASSERT_EQ(ask("POST", "/api/keys/ci/disable").status, 200);
    const AdminResponse log = ask("GET", "/api/audit");
    ASSERT_EQ(log.status, 200) << log.body;
    const auto document = json::Document::parse(log.body);
    std::map<std::string, std::string> changed;
    for (const json::Value& row : document->root()["rows"].items()) {
        EXPECT_EQ(row["actor"].string(), "admin token from 127.0.0.1:5");
        EXPECT_EQ(row["cause"].string(), "api");
        EXPECT_TRUE(row["from"].is_null());
        changed[std::string(row["path"].string())] = row["to"].string();
    }
    const std::string digest = auth::to_string(auth::digest_of(secret));
    EXPECT_EQ(changed["keys.ci.secret_hash[0]"], digest.substr(0, 15));
    EXPECT_EQ(changed["keys.ci.budgets[0].limit"], "1.00");
    EXPECT_EQ(changed["keys.ci.tags.a"], "b");
    EXPECT_EQ(changed["keys.ci.disabled"], "true");
    EXPECT_EQ(log.body.find(secret), std::string::npos);
    EXPECT_EQ(log.body.find(digest), std::string::npos);

    const AdminResponse verified = ask("GET", "/api/audit/verify");
    EXPECT_NE(verified.body.find("\"ok\":true"), std::string::npos) << verified.body;
    EXPECT_NE(ask("GET", "/api/audit/verify", {}, "head=00ff").body.find("\"ok\":false"),
        std::string::npos);
    EXPECT_EQ(ask("GET", "/api/audit", {}, "limit=many").status, 400);
    EXPECT_EQ(ask("GET", "/api/audit", {}, "since=yesterday").status, 400);
    const AdminResponse page = ask("GET", "/api/audit", {}, "limit=1&after=1");
    EXPECT_NE(page.body.find("\"rows\":[{\"number\":2,"), std::string::npos) << page.body;
    EXPECT_NE(page.body.find("\"has_more\":true"), std::string::npos) << page.body;
}

TEST_F(AdminApi, WhoAsksByTheSocketIsNotedByName) {
    AdminRequest request{.method = "POST",
        .path = "/api/keys",
        .body = R"({"name":"ci","team":"t"})",
        .is_trusted = true,
        .peer = "unix:0"};
    ASSERT_EQ(handle(backend_, token_, request).status, 201);
    const auto rows = backend_.store().audit({}).value();
    ASSERT_FALSE(rows.empty());
    EXPECT_EQ(rows[0].entry.by.actor, "root");
    EXPECT_EQ(rows[0].entry.by.cause, "cli");
}

TEST_F(AdminApi, RefusesKeysThatCannotBeAndTellsWhy) {
    const struct {
        const char* body;
        int status;
        const char* message;
    } kBad[] = {
        {"{", 400, ""},
        {"[]", 400, "must be an object"},
        {R"({"team":"t"})", 400, "'name' is missing"},
        {R"({"name":"a","team":"x"})", 400, "there is no team 'x'"},
        {R"({"name":"a","team":"t","regions":["us"]})", 400, "wider than what the team"},
        {R"({"name":"a","team":"t","secret":"mine"})", 400, "The gateway makes the secret"},
        {R"({"name":"filed","team":"t"})", 400, "the file has a key 'filed' already"},
        {R"({"name":"a","team":"t","expires":"${env:HOME}"})", 400, "is not set"},
    };
    for (const auto& bad : kBad) {
        const AdminResponse response = ask("POST", "/api/keys", bad.body);
        EXPECT_EQ(response.status, bad.status) << bad.body << response.body;
        EXPECT_NE(response.body.find(bad.message), std::string::npos) << response.body;
    }
    EXPECT_EQ(backend_.applied, 0);
    EXPECT_EQ(ask("POST", "/api/keys/filed/disable").status, 409);
    EXPECT_EQ(ask("POST", "/api/keys/nobody/disable").status, 404);
    ASSERT_EQ(ask("POST", "/api/keys", R"({"name":"a","team":"t"})").status, 201);
    EXPECT_EQ(ask("POST", "/api/keys", R"({"name":"a","team":"t"})").status, 409);
}

TEST_F(AdminApi, AKeyOfTheStoreKeepsAllThatItWasMadeWithWhenItIsRotated) {
    ASSERT_EQ(ask("PUT", "/api/projects/p", R"({"team":"t"})").status, 201);
    ASSERT_EQ(ask("POST", "/api/keys",
                  R"({"name":"ci","team":"t","project":"p","tag_headers":{"job":"x-job"},)"
                  R"("end_users":{"header":"x-user","budgets":[{"limit":"2.00"}]},"passthrough":)"
                  R"([{"cloud":"lab","methods":["GET"],"path":"/v1/files","ceiling":"0.10"}]})")
                  .status,
        201);
    for (const char* change : {"rotate", "disable", "enable"}) {
        ASSERT_EQ(ask("POST", fmt::format("/api/keys/ci/{}", change)).status, 200) << change;
        const auto keys = load_stored_keys(backend_.store(), backend_.settings());
        ASSERT_TRUE(keys && keys->size() == 1U);
        const config::KeySettings& key = keys->front();
        EXPECT_EQ(key.project.view(), "p");
        EXPECT_EQ(key.tag_headers.at("job"), "x-job");
        EXPECT_EQ(key.end_users.header, "x-user");
        ASSERT_EQ(key.end_users.budgets.size(), 1U);
        EXPECT_EQ(key.end_users.budgets[0].limit, *Money::parse("2.00"));
        EXPECT_EQ(key.passthrough.size(), 1U);
    }
}

TEST_F(AdminApi, TeamsAndContractsAreObjectsOfTheStoreToo) {
    EXPECT_EQ(ask("PUT", "/api/orgs/sub", "{}").status, 201);
    const auto made = ask("PUT", "/api/teams/night",
        R"({"org":"sub","regions":["eu"],"budgets":[{"limit":"5.00","period":"day"}]})");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(member(made, "origin"), "store");
    ASSERT_NE(backend_.settings().find_team("night"), nullptr);
    EXPECT_EQ(backend_.settings().find_team("night")->budgets.at(0).limit, *Money::parse("5.00"));
    EXPECT_EQ(backend_.file_settings().find_team("night"), nullptr);
    // What stands in the file is looked at here and changed there.
    const auto filed = ask("GET", "/api/teams/t");
    EXPECT_EQ(member(filed, "origin"), "file");
    EXPECT_NE(filed.body.find(R"("stated":{"org":"o","regions[0]":"eu"})"), std::string::npos)
        << filed.body;
    EXPECT_EQ(ask("PUT", "/api/teams/t", R"({"org":"o"})").status, 409);
    EXPECT_EQ(ask("DELETE", "/api/teams/t").status, 409);
    // A contract counts from now on.
    const auto contract = ask("PUT", "/api/contracts/lab-2028",
        R"({"clouds":["lab"],"from":"2028-01-01","to":"2029-01-01","discounts":[{"off":"5%"}]})");
    ASSERT_EQ(contract.status, 201) << contract.body;
    EXPECT_EQ(backend_.settings().contracts.size(), 2U);
    EXPECT_EQ(ask("GET", "/api/contracts/lab-2028").status, 200);
    EXPECT_EQ(ask("DELETE", "/api/contracts/lab-2028").status, 200);
    EXPECT_EQ(backend_.settings().contracts.size(), 1U);
    // Who did it stands in the audit log.
    const auto audit = ask("GET", "/api/audit").body;
    EXPECT_NE(audit.find("contracts.lab-2028.discounts[0].off"), std::string::npos) << audit;
    EXPECT_NE(audit.find("teams.night.budgets[0].limit"), std::string::npos) << audit;
}

TEST_F(AdminApi, AnEntryThatDoesNotFitIsRefusedAndTheStoreStaysAsItWas) {
    ASSERT_EQ(ask("PUT", "/api/teams/night", R"({"org":"o"})").status, 201);
    ASSERT_EQ(ask("POST", "/api/keys", R"({"name":"ci","team":"night"})").status, 201);
    const struct {
        const char* method;
        const char* path;
        const char* body;
        int status;
        const char* word;
    } cases[] = {
        {"PUT", "/api/teams/x", R"({"org":"nobody"})", 400, "there is no org 'nobody'"},
        {"PUT", "/api/teams/x", R"({"organisation":"o"})", 400, "organisation"},
        {"PUT", "/api/teams/x", R"({"org":"o","budgets":[{"limit":"-1"}]})", 400, "below zero"},
        {"PUT", "/api/teams/x", "[]", 400, "object"},
        {"PUT", "/api/contracts/c2",
            R"({"clouds":["nowhere"],"from":"2027-01-01","to":"2028-01-01"})", 400, "nowhere"},
        {"PUT", "/api/contracts/c2", R"({"clouds":["lab"],"from":"2027-01-01","to":"2026-01-01"})",
            400, "2026-01-01"},
        {"PUT", "/api/teams/night", R"({"org":"o","clouds":["other"]})", 400, "other"},
        {"DELETE", "/api/teams/night", "", 409, "night"},
        {"DELETE", "/api/teams/nigth", "", 404, "did you mean 'night'?"},
    };
    const auto before = backend_.store().list("team");
    for (const auto& bad : cases) {
        const auto answer = ask(bad.method, bad.path, bad.body);
        EXPECT_EQ(answer.status, bad.status) << bad.path << " " << answer.body;
        EXPECT_NE(answer.body.find(bad.word), std::string::npos) << answer.body;
    }
    ASSERT_EQ(backend_.store().list("team")->size(), before->size());
    EXPECT_EQ(backend_.store().list("team")->at(0).json, before->at(0).json);
    EXPECT_TRUE(backend_.store().list("contract")->empty());
}

TEST_F(AdminApi, ABudgetOfTheStoreIsSetChangedRaisedAndRemoved) {
    const AdminResponse made = ask("PUT", "/api/budgets/team%3At", R"({"limit":"5.00"})");
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(member(made, "period"), "month");
    EXPECT_EQ(ask("PUT", "/api/budgets/team:t", R"({"limit":"7.00"})").status, 200);
    EXPECT_EQ(backend_.applied, 2);
    const AdminResponse raised =
        ask("POST", "/api/budgets/team:t/raise", R"({"by":"3.00","until":"2027-02-01"})");
    ASSERT_EQ(raised.status, 200) << raised.body;

    config::Settings settings = backend_.settings();
    std::vector<config::KeySettings> keys;
    const auto end = add_stored_budgets(backend_.store(), settings, keys, kNow);
    ASSERT_TRUE(end && *end);
    EXPECT_EQ(to_date(**end), "2027-02-01");
    ASSERT_EQ(settings.teams[0].budgets.size(), 1U);
    EXPECT_EQ(settings.teams[0].budgets[0].limit.to_decimal(), "7.00");
    EXPECT_EQ(settings.teams[0].budgets[0].raise.to_decimal(), "3.00");
    EXPECT_EQ(settings.teams[0].budgets[0].raise_until, **end);
    // When the raise is over, what was set holds again.
    settings = backend_.settings();
    EXPECT_FALSE(*add_stored_budgets(backend_.store(), settings, keys, **end));
    EXPECT_TRUE(settings.teams[0].budgets[0].raise.is_zero());

    EXPECT_EQ(ask("DELETE", "/api/budgets/team:t/raise").status, 200);
    EXPECT_EQ(ask("DELETE", "/api/budgets/team:t/raise").status, 404);
    EXPECT_EQ(ask("DELETE", "/api/budgets/team:t", {}, "period=month").status, 200);
    EXPECT_EQ(ask("DELETE", "/api/budgets/team:t").status, 404);
    std::vector<std::string> log;
    const auto rows = backend_.store().audit({}).value();
    for (const store::AuditRow& row : rows)
        log.push_back(fmt::format("{} {} > {}", row.entry.path, row.entry.from.value_or("-"),
            row.entry.to.value_or("-")));
    EXPECT_NE(std::ranges::find(log, "budgets.team/t/month/UTC.limit 5.00 > 7.00"), log.end());
    EXPECT_NE(std::ranges::find(log, "budgets.team/t/month/UTC.raise.by - > 3.00"), log.end());
    EXPECT_NE(std::ranges::find(log, "budgets.team/t/month/UTC.limit 7.00 > -"), log.end());
}

TEST_F(AdminApi, ABudgetThatTheGatewayRefusesIsNotLeftInTheStore) {
    backend_.refuses = true;
    EXPECT_EQ(ask("PUT", "/api/budgets/team:t", R"({"limit":"5.00"})").status, 400);
    backend_.refuses = false;
    EXPECT_TRUE(backend_.store().list("budget").value().empty());
    EXPECT_TRUE(backend_.store().verify_audit().value().ok());
}

TEST_F(AdminApi, BudgetsThatCannotBeAreRefusedAndTellWhy) {
    ASSERT_EQ(ask("PUT", "/api/budgets/org:o", R"({"limit":"5.00"})").status, 201);
    ASSERT_EQ(ask("PUT", "/api/budgets/org:o", R"({"limit":"1.00","period":"day"})").status, 201);
    const struct {
        const char* method;
        const char* path;
        const char* body;
        int status;
        const char* message;
    } kBad[] = {
        {"PUT", "/api/budgets/t", R"({"limit":"5"})", 400,
            "write org:NAME, team:NAME, project:NAME or key:NAME"},
        {"PUT", "/api/budgets/team:x", R"({"limit":"5"})", 404, "There is no team 'x'"},
        {"PUT", "/api/budgets/team:t", "[]", 400, "must be an object"},
        {"PUT", "/api/budgets/team:t", R"({"limit":"-5"})", 400, "is below zero"},
        {"PUT", "/api/budgets/team:t", R"({"limit":"many"})", 400, "'many' is not an amount"},
        {"PUT", "/api/budgets/team:t", R"({"limt":"5"})", 400, "did you mean 'limit'?"},
        {"PUT", "/api/budgets/team:t", R"({"limit":"5","period":"moth"})", 400, "'month'?"},
        {"PUT", "/api/budgets/team:t", R"({"limit":"5","notify":{"webhook":"w"}})", 400,
            "there is no webhook 'w'"},
        {"PUT", "/api/budgets/team:t", R"({"limit":"${env:HOME}"})", 400, "is not set"},
        {"PUT", "/api/budgets/team:full", R"({"limit":"5"})", 409, "is stated where team:full is"},
        {"PUT", "/api/budgets/team:full", R"({"limit":"5","period":"total"})", 409,
            "has 5 budgets already"},
        {"POST", "/api/budgets/org:o/raise", R"({"by":"0","until":"2027-02-01"})", 400,
            "no amount to raise by"},
        {"POST", "/api/budgets/org:o/raise", R"({"by":"1","until":"2020-01-01"})", 400,
            "no time to come"},
        {"POST", "/api/budgets/org:o/raise", R"({"by":"1","until":"2027-02-01"})", 400,
            "2 budgets of org:o fit; it has: day UTC, month UTC"},
        {"POST", "/api/budgets/team:t/raise", R"({"by":"1","until":"2027-02-01"})", 404,
            "0 budgets of team:t fit; it has: none"},
        {"POST", "/api/budgets/org:o/raise", R"({"by":"1","til":"2027-02-01"})", 400,
            "'til' is no member of a raise"},
    };
    const std::size_t noted = backend_.store().audit({}).value().size();
    for (const auto& bad : kBad) {
        const AdminResponse response = ask(bad.method, bad.path, bad.body);
        EXPECT_EQ(response.status, bad.status) << bad.path << bad.body << response.body;
        EXPECT_NE(response.body.find(bad.message), std::string::npos) << response.body;
    }
    EXPECT_EQ(backend_.store().audit({}).value().size(), noted);
    EXPECT_EQ(backend_.store().list("budget").value().size(), 2U);
    EXPECT_EQ(ask("POST", "/api/budgets/team:full/raise",
                  R"({"by":"1","until":"2027-02-01","period":"day"})")
                  .status,
        200)
        << "of the file too";
}

TEST_F(AdminApi, WhatACrashHidIsSettledOnceAndAMonthIsClosedOnce) {
    backend_.with_books([&](store::Books& books) {
        ledger::HoldRequest hold;
        hold.exchange = ExchangeId::make(kNow, {1, 2});
        hold.path = books.path("filed", "t", "o").value();
        hold.route = books.route("m", "m/lab", "lab").value();
        hold.amount = Money::parse("1.00").value();
        hold.dispatch = kNow;
        ASSERT_TRUE(books.hold(hold));
    });
    const std::string exchange = ExchangeId::make(kNow, {1, 2}).to_string();
    const auto resolve = [&](std::string_view cost) {
        return ask("POST", "/api/ledger/resolve",
            fmt::format(R"({{"exchange":"{}","cost":"{}"}})", exchange, cost));
    };
    EXPECT_EQ(resolve("0.25").status, 404) << "it is still open";
    backend_.reopen();
    EXPECT_NE(ask("GET", "/api/ledger/verify").body.find(exchange), std::string::npos);
    EXPECT_EQ(resolve("-1").status, 400);
    const AdminResponse resolved = resolve("0.25");
    EXPECT_EQ(resolved.status, 200) << resolved.body;
    EXPECT_EQ(member(resolved, "corrected"), "-0.75");
    EXPECT_EQ(resolve("0.25").status, 404);
    EXPECT_EQ(ask("GET", "/api/ledger/verify").body.find(exchange), std::string::npos);

    EXPECT_EQ(ask("POST", "/api/ledger/close", R"({"month":"2026-13"})").status, 400);
    EXPECT_EQ(ask("POST", "/api/ledger/close", R"({"month":"2999-01"})").status, 400);
    const AdminResponse closed = ask("POST", "/api/ledger/close", R"({"month":"2024-12"})");
    EXPECT_EQ(closed.status, 200) << closed.body;
    EXPECT_EQ(member(closed, "closed_until"), "2025-01-01T00:00:00.000Z");
    EXPECT_EQ(ask("POST", "/api/ledger/close", R"({"month":"2024-12"})").status, 400);
}

TEST_F(AdminApi, ABillIsComparedByTheApiAndItsAdjustmentsArePostedOnce) {
    backend_.with_books([](store::Books& books) {
        ledger::HoldRequest hold;
        hold.exchange = ExchangeId::make(kNow, {1, 2});
        hold.path = books.path("filed", "t", "o").value();
        hold.route = books.route("m", "m/lab", "lab").value();
        hold.amount = Money::parse("1.00").value();
        hold.dispatch = kNow;
        ASSERT_TRUE(books.hold(hold));
        ledger::SettleRequest settle;
        settle.at = kNow;
        settle.cost = settle.list_cost = Money::parse("0.5").value();
        ledger::MeterCosts lines;
        lines.add(canon::Meter::kInput, {100, settle.cost, settle.cost});
        ASSERT_TRUE(books.settle(hold.exchange, 1, settle, lines));
    });
    const std::string hour = to_rfc3339(Instant{kNow.ns - kNow.ns % 3'600'000'000'000});
    const auto charges = json::Document::parse(ask("GET", "/api/charges", {}, "cloud=lab").body);
    ASSERT_TRUE(charges);
    ASSERT_EQ(charges->root()["rows"].items().size(), 1U);
    EXPECT_EQ(charges->root()["rows"].items()[0]["meter"].string(), "input");
    EXPECT_EQ(charges->root()["rows"].items()[0]["hour"].string(), hour);

    const auto bill_of = [&](std::string_view begin, std::string_view end, std::string_view cost) {
        return fmt::format(
            "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
            "ChargePeriodEnd,ChargeCategory,ProviderName,x_Meter,x_Model,ConsumedQuantity,"
            "ConsumedUnit\n{},USD,{},{},{},{},Usage,Lab,input,m,100,Tokens\n"
            "-0.25,USD,{},{},{},{},Credit,Lab,input,m,,\n",
            cost, begin, end, hour, to_rfc3339(Instant{kNow.ns + 3'600'000'000'000}), begin, end,
            hour, hour.substr(0, 11) + "23:59:59Z");
    };
    const std::string month = bill_of("2027-01-01", "2027-02-01", "0.5");
    EXPECT_EQ(ask("POST", "/api/reconcile", month).status, 400) << "whose it is must be said";
    const AdminResponse looked = ask("POST", "/api/reconcile", month, "cloud=lab");
    EXPECT_EQ(looked.status, 200) << looked.body;
    EXPECT_NE(looked.body.find("\"agrees\":false"), std::string::npos) << looked.body;
    const AdminResponse posted = ask("POST", "/api/reconcile", month, "cloud=lab&adjust=true");
    EXPECT_EQ(member(posted, "posted_amount"), "-0.25") << posted.body;
    EXPECT_NE(posted.body.find("\"agrees\":true"), std::string::npos) << posted.body;
    const AdminResponse again = ask("POST", "/api/reconcile", month, "cloud=lab&adjust=true");
    EXPECT_EQ(member(again, "posted_amount"), "0.00") << again.body;
    EXPECT_EQ(member(again, "adjusted"), "-0.25") << again.body;
    EXPECT_NE(ask("GET", "/api/adjustments").body.find("2027-01-01/2027-02-01"), std::string::npos);
    // A bill that shares some of those days cannot be told apart.
    const AdminResponse other = ask("POST", "/api/reconcile",
        bill_of("2027-01-10", "2027-02-10", "0.5"), "cloud=lab&adjust=true");
    EXPECT_EQ(other.status, 409) << other.body;
    EXPECT_EQ(ask("POST", "/api/reconcile", "no bill", "cloud=lab").status, 400);
    EXPECT_EQ(ask("POST", "/api/reconcile", month, "cloud=lab&adjust=yes").status, 400);
    EXPECT_EQ(ask("POST", "/api/reconcile", month, "cloud=lab&since=2027-01-01").status, 400);
}

TEST_F(AdminApi, AdjustmentsThatNoReconciliationProposedAreRefusedWhole) {
    const std::string good = R"({"reason":"reconciliation 2026-11-01/2026-12-01 2026-11-05 late )"
                             R"(aws","cloud":"lab","offer":"m/lab","amount":"1","number":0})";
    for (const std::string& bad : {std::string(R"({"reason":"gift","cloud":"lab","amount":"1"})"),
             std::string("{}"), good.substr(0, good.size() - 1) + R"(,"key":"filed"})",
             std::string(good).replace(good.find(R"("1")"), 3, R"("0")"),
             std::string(good).replace(good.find("2026-12"), 7, "2026-13")}) {
        const AdminResponse refused =
            ask("POST", "/api/adjustments", fmt::format(R"({{"adjustments":[{},{}]}})", good, bad));
        EXPECT_EQ(refused.status, 400) << bad << refused.body;
    }
    EXPECT_NE(ask("GET", "/api/adjustments").body.find("\"rows\":[]"), std::string::npos);
    const std::string body = fmt::format(R"({{"adjustments":[{}]}})", good);
    EXPECT_NE(ask("POST", "/api/adjustments", body).body.find("\"posted\":1"), std::string::npos);
    EXPECT_NE(ask("POST", "/api/adjustments", body).body.find("\"repeated\":1"), std::string::npos);
    EXPECT_EQ(
        ask("POST", "/api/adjustments", std::string(body).replace(body.find(R"("1")"), 3, R"("2")"))
            .status,
        409);
}

TEST_F(AdminApi, EmptyBooksAddUp) {
    const AdminResponse verified = ask("GET", "/api/ledger/verify");
    EXPECT_NE(verified.body.find("\"ok\":true"), std::string::npos) << verified.body;
    const AdminResponse usage = ask("GET", "/api/usage", {}, "by=key,model");
    EXPECT_NE(usage.body.find("\"by\":[\"key\",\"model\"],\"rows\":[]"), std::string::npos)
        << usage.body;
    EXPECT_NE(ask("GET", "/api/prices", {}, "model=gpt-4o-mini&limit=3").body.find("\"input\""),
        std::string::npos);
}

TEST_F(AdminApi, AContractTellsHowFarItIsMet) {
    backend_.with_books([](store::Books& books) {
        ledger::HoldRequest hold;
        hold.exchange = *ExchangeId::parse("01890a5d-ac96-774b-bcce-b302099a8057");
        hold.attempt = 1;
        hold.path = *books.path("filed", "t", "o");
        hold.route = *books.route("m", "m/lab", "lab");
        hold.amount = *Money::parse("20");
        hold.dispatch = kNow - std::chrono::hours(24);
        ASSERT_TRUE(books.hold(hold));
        ledger::SettleRequest settle;
        settle.at = kNow;
        settle.usage[canon::Meter::kInput] = 20'640'000;
        settle.cost = *Money::parse("3.50");
        settle.list_cost = *Money::parse("4.00");
        ASSERT_TRUE(books.settle(hold.exchange, 1, settle));
    });
    const AdminResponse list = ask("GET", "/api/contracts");
    EXPECT_NE(list.body.find("\"contract\":\"acme-2027\""), std::string::npos) << list.body;
    EXPECT_NE(list.body.find("\"off\":\"1/10\""), std::string::npos) << list.body;
    EXPECT_EQ(member(ask("GET", "/api/contracts/acme-2027"), "state"), "running");
    const AdminResponse missing = ask("GET", "/api/contracts/acme-2026/status");
    EXPECT_EQ(missing.status, 404);
    EXPECT_NE(missing.body.find("did you mean 'acme-2027'"), std::string::npos) << missing.body;

    // Two units at half a dollar, fourteen days and eight hours of them; 344 hours serve 41.28
    // million tokens, half of which were used.
    const AdminResponse status = ask("GET", "/api/contracts/acme-2027/status");
    const auto document = json::Document::parse(status.body);
    ASSERT_TRUE(document) << status.body;
    const json::Value& root = document->root();
    EXPECT_EQ(root["list_cost"].string(), "4.00");
    EXPECT_EQ(root["cost"].string(), "3.50");
    const json::Value& window = root["commitment"].items()[0];
    EXPECT_EQ(window["committed"].string(), "365.00");
    EXPECT_EQ(window["spent"].string(), "347.50");
    EXPECT_EQ(window["counted"].string(), "0.00");  // by invoice: January has not ended
    EXPECT_EQ(window["state"].string(), "on_track");
    const json::Value& capacity = root["provisioned"].items()[0];
    EXPECT_EQ(capacity["paid"].string(), "344.00");
    EXPECT_EQ(capacity["used_percent"].string(), "50.00");
}

// The whole way: HTTP over the Unix socket, without a token; over TCP, with one.
TEST_F(AdminApi, IsServedByTheSocketOfTheDataFolder) {
    config::ListenSettings listen;
    auto server = AdminServer::start(listen, folder_, token_, backend_);
    ASSERT_TRUE(server) << server.error().message;
    EXPECT_NE((*server)->port(), 0);
    struct stat facts{};
    ASSERT_EQ(::stat((folder_ / "control.sock").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600U);
    const auto answer =
        ask_running_gateway(folder_, "POST", "/api/keys", R"({"name":"s","team":"t"})");
    ASSERT_TRUE(answer && *answer) << (answer ? "none" : answer.error().message);
    EXPECT_EQ((*answer)->status, 201) << (*answer)->body;
    server->reset();
    EXPECT_FALSE(std::filesystem::exists(folder_ / "control.sock"));
    const auto gone = ask_running_gateway(folder_, "GET", "/livez");
    ASSERT_TRUE(gone);
    EXPECT_FALSE(*gone);
}

TEST(AdminToken, IsMadeOnceAndMustBePrivate) {
    const auto folder = fresh_folder("token");
    const auto made = load_or_make_admin_token(folder);
    ASSERT_TRUE(made);
    const auto again = load_or_make_admin_token(folder);
    ASSERT_TRUE(again);
    EXPECT_EQ(made->reveal(), again->reveal());
    struct stat facts{};
    ::stat((folder / "admin.token").c_str(), &facts);
    EXPECT_EQ(facts.st_mode & 0777, 0600U);
    ::chmod((folder / "admin.token").c_str(), 0644);
    const auto open = load_or_make_admin_token(folder);
    ASSERT_FALSE(open);
    EXPECT_NE(open.error().message.find("chmod 600"), std::string::npos);
    std::filesystem::remove_all(folder);
}

TEST(ChangeWatch, SeesNewContentANewInodeAndSignals) {
    const auto folder = fresh_folder("watch");
    const auto file = folder / "e.yaml";
    std::ofstream(file) << "a";
    auto watch = ChangeWatch::open(file);
    ASSERT_TRUE(watch);
    EXPECT_EQ((*watch)->wait(milliseconds(0)), std::nullopt);
    std::ofstream(file) << "bb";
    EXPECT_EQ((*watch)->wait(milliseconds(5000)), ChangeEvent::kChanged);
    std::ofstream(folder / "new") << "ccc";
    std::filesystem::rename(folder / "new", file);
    EXPECT_EQ((*watch)->wait(milliseconds(5000)), ChangeEvent::kChanged);
    // Another file of the folder is nobody's business.
    std::ofstream(folder / "other") << "x";
    EXPECT_EQ((*watch)->wait(milliseconds(300)), std::nullopt);
    ::kill(::getpid(), SIGHUP);
    EXPECT_EQ((*watch)->wait(milliseconds(5000)), ChangeEvent::kHangUp);
    ::kill(::getpid(), SIGTERM);
    EXPECT_EQ((*watch)->wait(milliseconds(5000)), ChangeEvent::kStop);
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace entrepot::control
