#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <vector>

#include "config/load.h"
#include "control/admin_api.h"
#include "control/offer_facts.h"
#include "json/value.h"
#include "reconcile/csv.h"

namespace entrepot::control {
namespace {

const Instant kNow = parse_instant("2026-11-24T10:30:00Z").value();

Money usd(const char* text) { return Money::parse(text).value(); }

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

class BooksBackend final : public Backend {
public:
    explicit BooksBackend(const std::filesystem::path& data)
        : settings_(settings_of(
              "clouds: {aws: {kind: bedrock, region: eu-north-1, api_key: k}, lab: {kind: "
              "openai_compatible, endpoint: 'http://h', region: eu}}\n"
              "models: {m: {offers: {lab: {cloud: lab}, aws: {cloud: aws, id: anthropic.m}}}}\n"
              "orgs: {o: {}, p: {}}\nteams: {t: {org: o}, u: {org: p}}\n"
              "contracts: {edp: {clouds: [aws], from: 2026-01-01, to: 2028-01-01,\n"
              "  commitment: {amount: '365'}, discounts: [{off: 10%}]}}\n")) {
        store_ = *store::SettingsStore::open(data);
        store::BooksOptions options;
        options.data = data;
        books_ = *store::Books::open(options, kNow);
        set_offers("eu-north-1");
    }
    void set_offers(const std::string& region) {
        std::vector<routing::Offer> offers(2);
        offers[0].id = OfferId("m/lab");
        offers[0].model = ModelId("m");
        offers[0].cloud = CloudId("lab");
        offers[0].kind = catalog::CloudKind::kOpenaiCompatible;
        offers[0].residency.region = "eu";
        offers[1].id = OfferId("m/aws");
        offers[1].model = ModelId("m");
        offers[1].cloud = CloudId("aws");
        offers[1].kind = catalog::CloudKind::kBedrock;
        offers[1].provider_model_id = "anthropic.m";
        offers[1].author = "anthropic";
        offers[1].residency.region = region;
        offers_ = routing::OfferTable(std::move(offers));
    }
    const config::Settings& settings() override { return settings_; }
    const config::Settings& file_settings() override { return settings_; }
    Result<routing::OfferTable> offers_with(std::span<const contracts::OwnRate>, Instant) override {
        return routing::OfferTable();
    }
    const routing::OfferTable& offers() override { return offers_; }
    void with_books(const std::function<void(store::Books&)>& work) override { work(*books_); }
    store::SettingsStore& store() override { return *store_; }
    Status apply_stored() override { return {}; }
    std::string metrics() override { return {}; }
    bool draining() override { return false; }
    Instant now() override { return kNow; }

private:
    config::Settings settings_;
    routing::OfferTable offers_;
    std::unique_ptr<store::SettingsStore> store_;
    std::unique_ptr<store::Books> books_;
};

using Row = std::map<std::string, std::string>;

class Export : public testing::Test {
protected:
    Export()
        : folder_(std::filesystem::temp_directory_path() /
              fmt::format("entrepot-export-{}", ::getpid())) {
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_);
        backend_ = std::make_unique<BooksBackend>(folder_);
    }
    ~Export() override {
        backend_.reset();
        std::filesystem::remove_all(folder_);
    }

    AdminResponse ask(std::string_view path, std::string_view query) {
        AdminRequest request;
        request.method = "GET";
        request.path = path;
        request.query = query;
        request.is_trusted = true;
        request.peer = "unix:0";
        return handle(*backend_, Secret(), request);
    }

    std::vector<Row> rows_of(std::string_view query) {
        const AdminResponse answer = ask("/api/export/focus", query);
        EXPECT_EQ(answer.status, 200) << answer.body;
        std::vector<Row> rows;
        std::vector<std::string> names;
        reconcile::CsvReader reader(',', {}, [&](const reconcile::CsvRecord& record) -> Status {
            if (names.empty()) {
                names.assign(record.fields.begin(), record.fields.end());
                return {};
            }
            EXPECT_EQ(record.fields.size(), names.size());
            Row& row = rows.emplace_back();
            for (std::size_t i = 0; i < record.fields.size(); ++i) row[names[i]] = record.fields[i];
            return {};
        });
        for (std::string part; answer.more; part.clear()) {
            const auto more = answer.more(part);
            EXPECT_TRUE(more) << more.error().message;
            EXPECT_TRUE(reader.feed(part));
            if (!more || !*more) break;
        }
        EXPECT_TRUE(reader.finish());
        return rows;
    }

    struct Spent {
        const char* key = "k";
        const char* team = "t";
        const char* org = "o";
        const char* offer = "m/lab";
        const char* end_user = nullptr;
        const char* tags = nullptr;
        const char* contract = nullptr;
        std::uint8_t tier = 0;
        Instant at = kNow;
        bool has_lines = true;
    };
    /// One exchange: two meters, at amounts that no two exchanges share.
    void spend(const Spent& what) {
        const std::uint64_t n = ++exchanges_;
        backend_->with_books([&](store::Books& books) {
            ledger::HoldRequest hold;
            hold.exchange = ExchangeId::make(what.at, {n, n});
            hold.path = books.path(what.key, what.team, what.org).value();
            const std::string offer = what.offer;
            hold.route = books.route("m", offer, offer.substr(offer.find('/') + 1)).value();
            hold.amount = usd("5.00");
            hold.dispatch = what.at;
            const ledger::NameId key = books.name(what.key).value();
            if (what.end_user != nullptr)
                hold.end_user = books.scoped_name(key, what.end_user).value();
            if (what.tags != nullptr) hold.tags = books.scoped_name(key, what.tags).value();
            ASSERT_TRUE(books.hold(hold));
            ledger::SettleRequest settle;
            settle.at = what.at;
            settle.tier = what.tier;
            settle.rate_version = books.name("0123456789ab@2026-01-01").value();
            if (what.contract != nullptr) settle.contract = books.name(what.contract).value();
            ledger::MeterCosts lines;
            const auto count = static_cast<std::int64_t>(1000 + n);
            lines.add(canon::Meter::kInput,
                {count, Money::from_pico(Int128{count} * 2'700'001),
                    Money::from_pico(Int128{count} * 3'000'000)});
            lines.add(canon::Meter::kOutput,
                {7 * count, Money::from_pico(Int128{7} * count * 13'500'000 + 1),
                    Money::from_pico(Int128{7} * count * 15'000'000)});
            for (const ledger::MeterCost& line : lines.of) {
                settle.cost += line.cost;
                settle.list_cost += line.list_cost;
            }
            settle.usage[canon::Meter::kInput] = count;
            settle.usage[canon::Meter::kOutput] = 7 * count;
            ASSERT_TRUE(books.settle(
                hold.exchange, 1, settle, what.has_lines ? lines : ledger::MeterCosts{}));
        });
    }
    void correct(const char* cost, const char* list, const char* reason, Instant exchange_at) {
        const std::uint64_t n = ++exchanges_;
        backend_->with_books([&](store::Books& books) {
            ledger::AdjustRequest request;
            request.id = ExchangeId::make(kNow, {n, 0});
            request.at = kNow;
            request.spender.key = books.name("k").value();
            request.spender.team = books.name("t").value();
            request.spender.org = books.name("o").value();
            request.route = books.route("m", "m/lab", "lab").value();
            request.cost = usd(cost);
            request.list_cost = usd(list);
            request.reason = books.name(reason).value();
            request.exchange = ExchangeId::make(exchange_at, {n, 1});
            ASSERT_TRUE(books.adjust(request));
        });
    }
    store::UsageRow usage_of(std::vector<store::UsageFilter> filters = {}) {
        store::UsageQuery query;
        query.filters = std::move(filters);
        store::UsageRow total;
        backend_->with_books([&](store::Books& books) { total = books.usage(query)->total; });
        return total;
    }
    /// A day with a little of everything.
    void rich_day() {
        for (int hour = 0; hour < 3; ++hour) {
            const Instant at = kNow - seconds(hour * 3600);
            spend({.at = at});
            spend({.at = at});
            spend({.end_user = "ann", .tags = "cost_center=4711;note=a,\"b\"", .at = at});
            spend({.key = "k2",
                .team = "u",
                .org = "p",
                .offer = "m/aws",
                .contract = "edp",
                .at = at});
            spend({.offer = "m/aws", .contract = "edp", .tier = 1, .at = at});
            spend({.at = at, .has_lines = false});
        }
        correct("-0.000000000007", "-0.25", "late rate", kNow - seconds(40 * 86'400));
        correct("0.33", "0.33", "bill of October", kNow - seconds(3600));
    }

    std::filesystem::path folder_;
    std::unique_ptr<BooksBackend> backend_;
    std::uint64_t exchanges_ = 0;
};

TEST_F(Export, ItsSumsAreTheLedgersToTheLastUnit) {
    rich_day();
    Money billed;
    Money of_team;
    Money list;
    std::size_t corrections = 0;
    const std::vector<Row> rows = rows_of("since=2026-11-24&until=2026-11-25");
    for (const Row& row : rows) {
        const Money cost = usd(row.at("BilledCost").c_str());
        billed += cost;
        list += usd(row.at("ListCost").c_str());
        if (row.at("SubAccountId") == "u") of_team += cost;
        if (row.at("ChargeCategory") == "Adjustment") ++corrections;
    }
    EXPECT_EQ(billed, usage_of().cost);
    EXPECT_EQ(of_team, usage_of({{store::UsageColumn::kTeam, "u"}}).cost);
    EXPECT_GT(of_team, Money());
    EXPECT_EQ(list, usage_of().list_cost);
    EXPECT_EQ(corrections, 2) << "two in one hour and place are told apart";
    // Three hours of: two alike (two meters), tagged, of the other team, batch, and one charge.
    EXPECT_EQ(rows.size(), 3 * (2 + 2 + 2 + 2 + 1) + 2);
}

TEST_F(Export, APartOfTheDayAndItsRestAreTheDay) {
    rich_day();
    const auto whole = rows_of("since=2026-11-24&until=2026-11-25");
    auto parts = rows_of("since=2026-11-24&until=2026-11-24T09:00:00Z");
    EXPECT_FALSE(parts.empty());
    for (Row& row : rows_of("since=2026-11-24T09:00:00Z&until=2026-11-25"))
        parts.push_back(std::move(row));
    EXPECT_EQ(parts, whole);
}

TEST_F(Export, ACorrectionSaysWhatItCorrectsAndWhetherOfAMonthBefore) {
    rich_day();
    std::map<std::string, Row> by_reason;
    for (Row& row : rows_of("since=2026-11-24&until=2026-11-25"))
        if (row.at("ChargeCategory") == "Adjustment")
            by_reason[row.at("ChargeDescription")] = std::move(row);
    ASSERT_EQ(by_reason.size(), 2);
    const Row& late = by_reason.at("Correction of m/lab: late rate");
    EXPECT_EQ(late.at("BilledCost"), "-0.000000000007");
    EXPECT_EQ(late.at("ChargeClass"), "Correction");
    EXPECT_EQ(by_reason.at("Correction of m/lab: bill of October").at("ChargeClass"), "");
}

TEST_F(Export, AnOfferIsToldAsItWasInThatHourAlsoAfterItMoved) {
    spend({.offer = "m/aws", .at = kNow - seconds(7200)});
    ASSERT_TRUE(note_offers(backend_->store(), backend_->offers(), kNow - seconds(9000)));
    ASSERT_TRUE(note_offers(backend_->store(), backend_->offers(), kNow - seconds(8000)))
        << "again: nothing new";
    backend_->set_offers("us-east-1");
    ASSERT_TRUE(note_offers(backend_->store(), backend_->offers(), kNow - seconds(3600)));
    spend({.offer = "m/aws"});
    EXPECT_EQ(backend_->store().list("offer")->size(), 3);
    const auto rows = rows_of("since=2026-11-24&until=2026-11-25");
    ASSERT_EQ(rows.size(), 4);
    EXPECT_EQ(rows.front().at("RegionId"), "eu-north-1");
    EXPECT_EQ(rows.back().at("RegionId"), "us-east-1");
    EXPECT_EQ(rows.back().at("ProviderName"), "Amazon Web Services");
    EXPECT_EQ(rows.back().at("PublisherName"), "Anthropic");
}

TEST_F(Export, AStatementAddsUpToTheLedgerAndShowsItsOwnersUseAlone) {
    rich_day();
    const AdminResponse answer = ask("/api/statement", "team=t&month=2026-11");
    ASSERT_EQ(answer.status, 200) << answer.body;
    const auto document = json::Document::parse(answer.body);
    ASSERT_TRUE(document);
    const json::Value& root = document->root();
    const Money total = usage_of({{store::UsageColumn::kTeam, "t"}}).cost;
    EXPECT_EQ(root["total"]["cost"].string(), total.to_decimal());
    std::size_t sections = 0;
    for (const json::Value& section : root["sections"].items()) {
        Money sum;
        for (const json::Value& line : section["lines"].items())
            sum += usd(std::string(line["cost"].string()).c_str());
        EXPECT_EQ(sum, total) << section["by"].string();
        ++sections;
    }
    EXPECT_EQ(sections, 6) << "model, key, project, contract and two tags";
    EXPECT_EQ(root["corrections"].items().size(), 2);
    EXPECT_EQ(answer.body.find("k2"), std::string::npos) << "another team's key";
    const AdminResponse other = ask("/api/statement", "org=p&month=2026-11");
    EXPECT_EQ(other.body.find("late rate"), std::string::npos) << "another org's correction";
    EXPECT_NE(other.body.find("k2"), std::string::npos);
}

TEST_F(Export, AStatementAsAPageEscapesAllThatIsNotItsOwn) {
    spend({.tags = "note=<script>alert('1')</script>&"});
    const AdminResponse page = ask("/api/statement", "team=t&month=2026-11&format=html");
    ASSERT_EQ(page.status, 200);
    EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
    EXPECT_EQ(page.body.find("<script"), std::string::npos);
    EXPECT_NE(page.body.find("&lt;script&gt;alert(&#39;1&#39;)"), std::string::npos);
    spend({.tags = "note==1+1"});
    const AdminResponse table = ask("/api/statement", "team=t&month=2026-11&format=csv");
    EXPECT_NE(table.body.find("tag:note,'=1+1,"), std::string::npos) << table.body;
    for (const char* query : {"month=2026-11", "team=t&org=o&month=2026-11", "team=t",
             "team=t&month=2026-13", "team=t&month=2026-11&format=pdf"})
        EXPECT_EQ(ask("/api/statement", query).status, 400) << query;
}

TEST_F(Export, ATimeThatIsNoneIsRefusedByName) {
    for (const auto& [query, field] :
        {std::pair("until=2026-11-25", "since"), std::pair("since=2026-11-24", "until"),
            std::pair("since=2026-11-24&until=2026-11-24", "until"),
            std::pair("since=2026-11-24&until=2026-11-25&spec=2.0", "2.0")}) {
        const AdminResponse answer = ask("/api/export/focus", query);
        EXPECT_EQ(answer.status, 400) << query;
        EXPECT_NE(answer.body.find(field), std::string::npos) << answer.body;
    }
    EXPECT_EQ(ask("/api/export/commitments", "since=2026-11-24&until=2026-11-25").status, 200);
}

}  // namespace
}  // namespace entrepot::control
