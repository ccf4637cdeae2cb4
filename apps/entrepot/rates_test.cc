// Rates of one's own, from their statement to the books: what is late is corrected, once.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "config/load.h"
#include "control/admin_api.h"
#include "control/late_rates.h"
#include "control/stored_rates.h"
#include "gateway/state.h"
#include "json/value.h"
#include "pricing/price.h"

namespace entrepot::cli {
namespace {

using canon::Meter;

constexpr std::int64_t kDayNs = 86'400LL * 1'000'000'000;
/// 2026-11-20T12:00:00Z.
constexpr Instant kNow{1'795'176'000'000'000'000};
constexpr std::string_view kSettings = R"(
clouds: {lab: {kind: openai_compatible, endpoint: 'http://h', region: eu}}
models:
  m:
    offers:
      lab: {cloud: lab, price: {input: "1.00", output: "2.00"}}
      spare: {cloud: lab, price: {input: "5.00", output: "5.00"}}
orgs: {o: {}}
teams: {t: {org: o}, u: {org: o}}
keys: {a: {team: t, secret: s-a}, b: {team: u, secret: s-b}}
contracts:
  acme: {clouds: [lab], from: 2026-01-01, to: 2027-01-01, discounts: [{off: 10%}]}
)";

config::Settings settings_of(std::string_view text) {
    config::Environment none;
    none.variable = [](const std::string&) { return std::nullopt; };
    none.file = [](const std::string&) -> Result<std::string> { return fail(ErrorCode::kIo, ""); };
    config::Loaded loaded = config::load_text(text, "test.yaml", none);
    EXPECT_TRUE(loaded.ok()) << config::format_problems(loaded.problems);
    return *loaded.settings;
}

/// A gateway's admin side at a clock of the test, which can die at a call to its books.
class Desk final : public control::Backend {
public:
    explicit Desk(const std::filesystem::path& data, std::string_view settings = kSettings)
        : settings_(settings_of(settings)) {
        store_ = store::SettingsStore::open(data).value();
        store::BooksOptions options;
        options.data = data;
        books_ = store::Books::open(options, now_).value();
        EXPECT_TRUE(apply_stored());
    }
    const config::Settings& settings() override { return settings_; }
    const config::Settings& file_settings() override { return settings_; }
    const routing::OfferTable& offers() override { return offers_; }
    Result<routing::OfferTable> offers_with(
        std::span<const contracts::OwnRate> rates, Instant known) override {
        config::Settings settings = settings_;
        settings.own_rates.assign(rates.begin(), rates.end());
        return gateway::compile_offers(settings, known);
    }
    void with_books(const std::function<void(store::Books&)>& work) override {
        if (dies_after-- == 0) ::_exit(9);
        work(*books_);
    }
    store::SettingsStore& store() override { return *store_; }
    Status apply_stored() override {
        ENTREPOT_TRY(const auto rates, control::load_own_rates(*store_));
        ENTREPOT_TRY(offers_, offers_with(contracts::known_at(rates, now_), catalog::kForever));
        return {};
    }
    std::string metrics() override { return {}; }
    bool draining() override { return false; }
    Instant now() override { return now_; }
    void later(nanoseconds time) { now_ = now_ + time; }
    store::Books& books() { return *books_; }

    control::AdminResponse ask(std::string_view method, std::string_view path,
        std::string_view body = {}, std::string_view query = {}) {
        return control::handle(*this, Secret(),
            {.method = method,
                .path = path,
                .query = query,
                .body = body,
                .is_trusted = true,
                .peer = "unix:0"});
    }

    int dies_after = -1;

private:
    config::Settings settings_;
    routing::OfferTable offers_;
    std::unique_ptr<store::SettingsStore> store_;
    std::unique_ptr<store::Books> books_;
    Instant now_ = kNow;
};

class OwnRates : public testing::Test {
protected:
    OwnRates()
        : folder_((std::filesystem::is_directory("/dev/shm")
                          ? std::filesystem::path("/dev/shm")  // no kill touches a disk
                          : std::filesystem::temp_directory_path()) /
              fmt::format("entrepot-rates-{}", ::getpid())) {
        std::filesystem::remove_all(folder_);
    }
    ~OwnRates() override { std::filesystem::remove_all(folder_); }

    /// One exchange of a key, settled at the rates in force there at `dispatch`.
    static Money book(Desk& desk, std::uint64_t n, std::string_view key, const canon::Usage& usage,
        Instant dispatch, std::string_view offer = "m/lab") {
        const routing::OfferTable& table = desk.offers();
        std::uint32_t index = 0;
        while (table.offer(index).id.view() != offer) ++index;
        const pricing::RateCard& card = *table.offer(index).card;
        const pricing::Charge charge = pricing::price(usage, card, {}, dispatch).value();
        store::Books& books = desk.books();
        ledger::HoldRequest hold;
        hold.exchange = ExchangeId::make(dispatch, {n * 0x9e3779b97f4a7c15ULL, n});
        hold.path = books.path(key, key == "a" ? "t" : "u", "o").value();
        hold.route = books.route("m", offer, "lab").value();
        hold.dispatch = dispatch;
        EXPECT_TRUE(books.hold(hold));
        ledger::SettleRequest settle;
        settle.usage = usage;
        settle.cost = charge.total;
        settle.list_cost = charge.list_total;
        settle.rate_version = books.name(charge.version.view()).value();
        settle.contract = books.name("acme").value();
        settle.tier = static_cast<std::uint8_t>(charge.tier);
        settle.ctx_over = charge.ctx_over;
        settle.at = dispatch;
        ledger::MeterCosts lines;
        for (const pricing::ChargeLine& line : charge.lines())
            lines.add(line.meter, {line.quantity, line.cost, line.list});
        EXPECT_TRUE(books.settle(hold.exchange, 1, settle, lines));
        ledger::ExchangeClose close;
        close.exchange = hold.exchange;
        close.at = dispatch;
        EXPECT_TRUE(books.close(close));
        return charge.total;
    }
    static canon::Usage usage(std::int64_t input, std::int64_t output) {
        canon::Usage usage;
        usage[Meter::kInput] = input;
        usage[Meter::kOutput] = output;
        return usage;
    }
    /// Four days of two keys, 1000 tokens in and 100 out more each day: the first day is the 17th.
    static void fill(Desk& desk) {
        for (std::int64_t day = 0; day < 4; ++day)
            for (const std::string_view key : {"a", "b"})
                book(desk, static_cast<std::uint64_t>(day * 2 + (key == "b")), key,
                    usage(1000 * (day + 1), 100 * (day + 1)),
                    kNow - nanoseconds((3 - day) * kDayNs));
    }
    static std::string booked(Desk& desk) {
        return desk.books().usage({}).value().total.cost.to_decimal();
    }
    static std::string member(
        const control::AdminResponse& answer, std::initializer_list<std::string_view> path) {
        const auto document = json::Document::parse(answer.body);
        if (!document) return "no JSON: " + answer.body;
        const json::Value* value = &document->root();
        for (const std::string_view name : path) value = &(*value)[name];
        return value->is_null() ? "nothing in " + answer.body : std::string(value->string());
    }

    std::filesystem::path folder_;
};

// 20000 tokens in at 1.00 and 2000 out at 2.00 less a tenth are 0.0216; from the 19th on they are
// 14000 in: half a unit per million more, less a tenth, is 0.0063.
constexpr std::string_view kLate =
    R"({"offer":"m/lab","from":"2026-11-19","prices":{"input":"1.50"}})";

TEST_F(OwnRates, ALateRateCorrectsWhatIsBookedInTheOpenPeriodAndOnlyWhenItIsConfirmed) {
    Desk desk(folder_);
    fill(desk);
    ASSERT_EQ(booked(desk), "0.0216");
    const auto preview = desk.ask("POST", "/api/rates/preview", kLate);
    ASSERT_EQ(preview.status, 200) << preview.body;
    EXPECT_EQ(member(preview, {"corrects", "total", "difference"}), "0.0063");
    EXPECT_EQ(member(preview, {"corrects", "total", "list_difference"}), "0.007");
    const auto refused = desk.ask("POST", "/api/rates", kLate);
    EXPECT_EQ(refused.status, 409);
    EXPECT_NE(refused.body.find("by 0.0063"), std::string::npos) << refused.body;
    EXPECT_EQ(booked(desk), "0.0216");

    const auto set = desk.ask("POST", "/api/rates", kLate, "confirm=true");
    ASSERT_EQ(set.status, 200) << set.body;
    EXPECT_EQ(member(set, {"corrected", "total", "difference"}), "0.0063");
    EXPECT_EQ(booked(desk), "0.0279");
    // Old entries are as they were; the corrections stand on the day that is open.
    store::UsageQuery by_day;
    by_day.group_by = {store::UsageColumn::kDay};
    const store::UsageTable days = desk.books().usage(by_day).value();
    ASSERT_EQ(days.rows.size(), 4u);
    EXPECT_EQ(days.rows[2].cost.to_decimal(), "0.00648");
    EXPECT_EQ(days.rows[3].adjusted.to_decimal(), "0.0063");
    EXPECT_TRUE(desk.books().verify().ok());
}

// Of the hours of that day: the correction is of the day, the bill has hours.
TEST_F(OwnRates, ABillAtTheCorrectedRateReconciles) {
    Desk desk(folder_);
    const auto hour = [](std::int64_t n) { return kNow - nanoseconds(n * 3'600'000'000'000); };
    for (std::int64_t n = 0; n < 3; ++n)
        book(desk, static_cast<std::uint64_t>(n), "a", usage(1000 * n + 7, 0), hour(n));
    std::string bill =
        "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
        "ChargePeriodEnd,ChargeCategory,ProviderName,x_Meter,x_Model,ConsumedQuantity,"
        "ConsumedUnit\n";
    for (std::int64_t n = 0; n < 3; ++n)
        bill += fmt::format("{},USD,2026-11-01,2026-12-01,{},{},Usage,Lab,input,m,{},Tokens\n",
            Money::from_pico((1000 * n + 7) * 1'350'000).to_decimal(), to_rfc3339(hour(n)),
            to_rfc3339(hour(n - 1)), 1000 * n + 7);
    const auto before = desk.ask("POST", "/api/reconcile", bill, "cloud=lab");
    ASSERT_EQ(before.status, 200) << before.body;
    EXPECT_NE(before.body.find("\"agrees\":false"), std::string::npos) << before.body;
    ASSERT_EQ(desk.ask("POST", "/api/rates", kLate, "confirm=true").status, 200);
    const auto after = desk.ask("POST", "/api/reconcile", bill, "cloud=lab");
    EXPECT_NE(after.body.find("\"agrees\":true"), std::string::npos) << after.body;
    EXPECT_NE(after.body.find("\"findings\":[]"), std::string::npos) << after.body;
}

TEST_F(OwnRates, WhatWasPostedIsNotPostedAgainAndWhatComesLaterIs) {
    Desk desk(folder_);
    fill(desk);
    ASSERT_EQ(desk.ask("POST", "/api/rates", kLate, "confirm=true").status, 200);
    ASSERT_TRUE(control::post_late_rates(desk));
    EXPECT_EQ(booked(desk), "0.0279");
    // Under way when the rate was stated, at the rates of its dispatch: on the same line of the
    // books as what was corrected before.
    Desk* const one = &desk;
    const auto rates = control::load_own_rates(desk.store()).value();
    ASSERT_EQ(rates.size(), 1u);
    store::Books& books = one->books();
    ledger::HoldRequest hold;
    hold.exchange = ExchangeId::make(kNow, {77, 77});
    hold.path = books.path("a", "t", "o").value();
    hold.route = books.route("m", "m/lab", "lab").value();
    hold.dispatch = kNow;
    ASSERT_TRUE(books.hold(hold));
    const auto old = desk.offers_with({}, catalog::kForever).value();
    const auto charge = pricing::price(usage(1000, 0), *old.offer(0).card, {}, kNow).value();
    ledger::SettleRequest settle;
    settle.usage = usage(1000, 0);
    settle.cost = charge.total;
    settle.list_cost = charge.list_total;
    settle.rate_version = books.name(charge.version.view()).value();
    settle.contract = books.name("acme").value();
    settle.at = kNow;
    ledger::MeterCosts lines;
    lines.add(Meter::kInput, {1000, charge.total, charge.list_total});
    ASSERT_TRUE(books.settle(hold.exchange, 1, settle, lines));
    ASSERT_TRUE(control::post_late_rates(desk));
    EXPECT_EQ(booked(desk), "0.02925");  // 0.0009 as settled, 0.00045 as corrected
    desk.later(std::chrono::hours(3));
    ASSERT_TRUE(control::post_late_rates(desk));
    EXPECT_EQ(booked(desk), "0.02925");
    EXPECT_EQ(control::load_own_rates(desk.store()).value()[0].corrects_until, catalog::kBeginning);
    // What is dispatched from now on is booked at the new rate to begin with.
    EXPECT_EQ(book(desk, 99, "a", usage(1000, 0), desk.now()).to_decimal(), "0.00135");
}

TEST_F(OwnRates, ARateThatIsTakenBackLeavesTheBooksAsTheyWouldHaveBeen) {
    Desk desk(folder_);
    fill(desk);
    ASSERT_EQ(desk.ask("POST", "/api/rates", kLate, "confirm=true").status, 200);
    book(desk, 50, "a", usage(1000, 0), kNow);
    EXPECT_EQ(booked(desk), "0.02925");
    EXPECT_EQ(desk.ask("DELETE", "/api/rates/1").status, 409);
    const auto removed = desk.ask("DELETE", "/api/rates/1", {}, "confirm=true");
    ASSERT_EQ(removed.status, 200) << removed.body;
    EXPECT_EQ(booked(desk), "0.0225");  // 0.0216 and 0.0009
    // And a third opinion of the same days.
    ASSERT_EQ(
        desk.ask("POST", "/api/rates",
                R"({"offer":"m/*","from":"2026-11-18","prices":{"input":"0.00"}})", "confirm=true")
            .status,
        200);
    EXPECT_EQ(booked(desk), "0.0054");  // 0.0018 of the 17th, 0.0036 of answers: no more
    EXPECT_TRUE(desk.books().verify().ok());
}

TEST_F(OwnRates, ARateWithinAContractLeavesTheListAlone) {
    Desk desk(folder_);
    fill(desk);
    const auto set = desk.ask("POST", "/api/rates",
        R"({"offer":"m/lab","contract":"acme","from":"2026-11-20","prices":{"output":"1.00"}})",
        "confirm=true");
    ASSERT_EQ(set.status, 200) << set.body;
    // 800 tokens of answers of the 20th: 1.80 a million was paid, 1.00 is.
    EXPECT_EQ(member(set, {"corrected", "total", "difference"}), "-0.00064");
    EXPECT_EQ(member(set, {"corrected", "total", "list_difference"}), "0.00");
}

// Booked on the first day open, under the same terms as what was dispatched in that hour.
TEST_F(OwnRates, WhatAClosedMonthPutOffIsNeverPricedAnew) {
    constexpr Instant kNovember{kNow.ns - kNow.ns % kDayNs - 19 * kDayNs};
    const nanoseconds half_hour = std::chrono::minutes(30);
    Desk desk(folder_);
    ASSERT_TRUE(desk.books().seal(kNovember, kNow, "controller"));
    book(desk, 1, "a", usage(5000, 300), kNovember - half_hour);
    book(desk, 2, "a", usage(1000, 100), kNovember + half_hour);
    ASSERT_EQ(booked(desk), "0.00612");
    store::UsageQuery by_day;
    by_day.group_by = {store::UsageColumn::kDay};
    ASSERT_EQ(desk.books().usage(by_day).value().rows.size(), 1u);

    // From the day open on, and from a day before the seal on: only the 1000 are the rate's.
    for (const std::string_view from : {"2026-11-01", "2026-10-30"}) {
        const std::string rate =
            fmt::format(R"({{"offer":"m/lab","from":"{}","prices":{{"input":"1.50"}}}})", from);
        const auto preview =
            desk.ask("POST", "/api/rates/preview", rate, "since=2026-11-01&until=2026-11-02");
        EXPECT_EQ(member(preview, {"as_if", "total", "difference"}), "0.00045") << preview.body;
        const auto set = desk.ask("POST", "/api/rates", rate, "confirm=true");
        ASSERT_EQ(set.status, 200) << set.body;
        EXPECT_EQ(member(set, {"corrected", "total", "difference"}), "0.00045");
        EXPECT_EQ(booked(desk), "0.00657");
        ASSERT_TRUE(control::post_late_rates(desk));
        EXPECT_EQ(booked(desk), "0.00657");
        const auto rates = control::load_own_rates(desk.store()).value();
        const auto removed = desk.ask(
            "DELETE", fmt::format("/api/rates/{}", rates.back().number), {}, "confirm=true");
        ASSERT_EQ(removed.status, 200) << removed.body;
        EXPECT_EQ(booked(desk), "0.00612");
    }

    // The lines stand apart and add up.
    store::ChargeReader reader = desk.books().charges(kNovember, kNow).value();
    std::int64_t input = 0;
    Money sum;
    for (store::ChargeRow row; reader.next(row).value();) {
        sum += row.cost;
        EXPECT_LE(row.meter, ledger::kAdjustMeter);
        if (row.meter == static_cast<std::uint8_t>(Meter::kInput)) input += row.quantity;
    }
    EXPECT_EQ(input, 6000);
    EXPECT_EQ(sum.to_decimal(), "0.00612");
    EXPECT_TRUE(desk.books().verify().ok());
}

// What was put off has no part in the day's correction, of which a bill by hours has its own.
TEST_F(OwnRates, ABillAtTheCorrectedRateReconcilesBesideWhatAClosedMonthPutOff) {
    constexpr Instant kNovember{kNow.ns - kNow.ns % kDayNs - 19 * kDayNs};
    const auto hour = [&](std::int64_t n) {
        return kNovember + nanoseconds(n * 3'600'000'000'000);
    };
    Desk desk(folder_);
    ASSERT_TRUE(desk.books().seal(kNovember, kNow, "controller"));
    book(desk, 1, "a", usage(5000, 0), hour(-3));
    book(desk, 2, "a", usage(1000, 0), hour(0));
    book(desk, 3, "a", usage(3000, 0), hour(5));
    ASSERT_EQ(desk.ask("POST", "/api/rates",
                      R"({"offer":"m/lab","from":"2026-11-01","prices":{"input":"1.50"}})",
                      "confirm=true")
                  .status,
        200);
    // A bill that has the late hours where the books have them.
    std::string bill =
        "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
        "ChargePeriodEnd,ChargeCategory,ProviderName,x_Meter,x_Model,ConsumedQuantity,"
        "ConsumedUnit\n";
    for (const auto& [cost, n, tokens] :
        {std::tuple("0.00585", 0, 6000), std::tuple("0.00405", 5, 3000)})
        bill += fmt::format("{},USD,2026-11-01,2026-12-01,{},{},Usage,Lab,input,m,{},Tokens\n",
            cost, to_rfc3339(hour(n)), to_rfc3339(hour(n + 1)), tokens);
    const auto compared = desk.ask("POST", "/api/reconcile", bill, "cloud=lab");
    EXPECT_NE(compared.body.find("\"agrees\":true"), std::string::npos) << compared.body;
    EXPECT_NE(compared.body.find("\"findings\":[]"), std::string::npos) << compared.body;
}

TEST_F(OwnRates, APreviewPricesLastMonthAsIfTheRatesHadBeenInForce) {
    Desk desk(folder_);
    fill(desk);
    const auto preview = desk.ask("POST", "/api/rates/preview",
        R"({"offer":"m/lab","from":"2027-01-01","prices":{"input":"3.00"}})",
        "since=2026-11-17&until=2026-11-19");
    ASSERT_EQ(preview.status, 200) << preview.body;
    EXPECT_EQ(member(preview, {"as_if", "total", "booked"}), "0.0054");
    EXPECT_EQ(member(preview, {"as_if", "total", "becomes"}), "0.0162");
    EXPECT_EQ(member(preview, {"corrects", "total", "difference"}), "0.00");
    EXPECT_NE(preview.body.find(R"("team":"u")"), std::string::npos) << preview.body;
    EXPECT_EQ(control::load_own_rates(desk.store()).value().size(), 0u);
}

TEST_F(OwnRates, TheBookSaysWhatARateWasAndWhenThatWasKnown) {
    Desk desk(folder_);
    desk.later(std::chrono::hours(1));
    ASSERT_EQ(desk.ask("POST", "/api/rates", kLate, "confirm=true").status, 200);
    const auto price = [&](const std::string& query) {
        const auto answer = desk.ask("GET", "/api/rates/m%2Flab", {}, query);
        const auto document = json::Document::parse(answer.body);
        return std::string(document->root()["rates"].items()[0]["price"].string());
    };
    EXPECT_EQ(price("at=2026-11-18"), "1.00");
    EXPECT_EQ(price("at=2026-11-19"), "1.50");
    EXPECT_EQ(price("at=2026-11-19&known=2026-11-20T12:30:00Z"), "1.00");
    EXPECT_EQ(price("at=2026-11-19&known=2026-11-20T13:30:00Z"), "1.50");
}

TEST_F(OwnRates, WhatTheBooksCannotTellIsRefused) {
    Desk desk(folder_);
    fill(desk);
    const auto long_prompts = desk.ask("POST", "/api/rates",
        R"({"offer":"m/lab","from":"2026-11-19","prompts_over":5000,"prices":{"input":"2"}})",
        "confirm=true");
    EXPECT_EQ(long_prompts.status, 409) << long_prompts.body;
    const auto reasoning = desk.ask("POST", "/api/rates",
        R"({"offer":"m/lab","from":"2026-11-19","prices":{"reasoning":"2","output":"3"}})",
        "confirm=true");
    EXPECT_EQ(reasoning.status, 409) << reasoning.body;
    EXPECT_EQ(booked(desk), "0.0216");
    EXPECT_EQ(
        desk.ask("POST", "/api/rates", R"({"offer":"m/lap","prices":{"input":"1"}})").status, 400);
}

// Killed at every call to the books: whoever starts next posts what is missing and nothing twice.
TEST_F(OwnRates, AProcessThatDiesInTheMiddleHasPostedNothingTwice) {
    int deaths = 0;
    for (int dies_after = 0;; ++dies_after) {
        std::filesystem::remove_all(folder_);
        {
            Desk desk(folder_);
            fill(desk);
        }
        const pid_t child = ::fork();
        if (child == 0) {
            Desk desk(folder_);
            desk.dies_after = dies_after;
            const bool set = desk.ask("POST", "/api/rates", kLate, "confirm=true").status == 200;
            ::_exit(set ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFEXITED(status));
        Desk desk(folder_);
        ASSERT_TRUE(control::post_late_rates(desk));
        const bool is_stated = !control::load_own_rates(desk.store()).value().empty();
        EXPECT_EQ(booked(desk), is_stated ? "0.0279" : "0.0216") << "died after " << dies_after;
        EXPECT_TRUE(desk.books().verify().ok());
        if (WEXITSTATUS(status) == 0) break;
        ASSERT_EQ(WEXITSTATUS(status), 9);
        ++deaths;
    }
    EXPECT_GT(deaths, 5);
}

}  // namespace
}  // namespace entrepot::cli
