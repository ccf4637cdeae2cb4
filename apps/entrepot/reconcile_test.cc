// `entrepot reconcile` as people run it: bills of every format against booked charges.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "json/value.h"
#include "store/books.h"

namespace entrepot::cli {
namespace {

using canon::Meter;

struct Ran {
    int code = -1;
    std::string out, err;
};

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

Money usd(std::string_view text) { return Money::parse(text).value(); }

Instant at(std::string_view text) { return parse_instant(text).value(); }

/// What one meter costs per million here, whatever the model.
std::int64_t per_million(Meter meter) {
    switch (meter) {
        case Meter::kCacheRead: return 1;
        case Meter::kOutput: return 10;
        default: return 2;
    }
}

struct Bought {
    std::string_view cloud, model;
    std::string_view hour;
    std::int64_t input = 0, cache_read = 0, output = 0;
};

/// Two hours of two days at every seller.
std::vector<Bought> bought_at(std::string_view cloud) {
    const std::string_view model = cloud == "aws" || cloud == "claude" ? "sonnet"
        : cloud == "gcp"                                               ? "flash"
                                                                       : "mini";
    return {{cloud, model, "2026-10-05T07:00:00Z", 1000, 200, 50},
        {cloud, model, "2026-10-05T08:00:00Z", 3000, 0, 150},
        {cloud, model, "2026-10-06T07:00:00Z", 500, 100, 25}};
}

constexpr std::string_view kClouds[] = {"aws", "azure", "gcp", "openai", "claude"};

class ReconcileCommand : public testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() /
            fmt::format("entrepot-reconcile-{}", ::getpid());
        std::filesystem::remove_all(folder_);
        std::filesystem::create_directories(folder_ / "data");
        std::ofstream(folder_ / "e.yaml")
            << "data: data\nclouds:\n"
               "  aws: {kind: bedrock, region: us-east-1, api_key: k}\n"
               "  azure: {kind: azure, endpoint: 'https://x', api_key: k, region: swedencentral}\n"
               "  gcp: {kind: gemini, api_key: k}\n"
               "  openai: {kind: openai, api_key: k}\n"
               "  claude: {kind: anthropic, api_key: k}\n"
               "models:\n"
               "  sonnet: {offers: {aws: {cloud: aws, id: "
               "'us.anthropic.claude-sonnet-4-5-20250929-v1:0'},\n"
               "    claude: {cloud: claude, id: claude-sonnet-4-5-20250929}}}\n"
               "  mini: {offers: {azure: {cloud: azure, id: ours, catalog: openai/gpt-4o-mini}, "
               "openai: {cloud: openai, id: gpt-4o-mini}}}\n"
               "  flash: {offers: {gcp: {cloud: gcp, id: gemini-2.5-flash}}}\n"
               "orgs: {o: {budgets: [{limit: '10000', period: month}]}}\nteams: {t: {org: o}}\n"
               "keys: {filed: {team: t, secret: s-1}}\n";
        with_books(at("2026-10-07"), [](store::Books& books) {
            std::uint64_t serial = 0;
            for (const std::string_view cloud : kClouds)
                for (const Bought& bought : bought_at(cloud)) book(books, bought, ++serial);
        });
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    void with_books(Instant now, const std::function<void(store::Books&)>& work) {
        store::BooksOptions options;
        options.data = folder_ / "data";
        const auto books = store::Books::open(options, now).value();
        work(*books);
    }

    static void book(store::Books& books, const Bought& bought, std::uint64_t serial) {
        ledger::HoldRequest hold;
        hold.dispatch = at(bought.hour);
        hold.exchange = ExchangeId::make(hold.dispatch, {serial, serial});
        hold.path = books.path("filed", "t", "o").value();
        hold.route =
            books
                .route(bought.model, fmt::format("{}/{}", bought.model, bought.cloud), bought.cloud)
                .value();
        hold.amount = usd("100");
        ASSERT_TRUE(books.hold(hold));
        ledger::SettleRequest settle;
        settle.at = hold.dispatch;
        settle.rate_version = books.name("v1").value();
        ledger::MeterCosts lines;
        const auto add = [&](Meter meter, std::int64_t quantity) {
            if (quantity == 0) return;
            settle.usage[meter] = quantity;
            const Money cost = Money::from_pico(Int128{quantity} * per_million(meter) * 1'000'000);
            lines.add(meter, {quantity, cost, cost});
            settle.cost += cost;
            settle.list_cost += cost;
        };
        add(Meter::kInput, bought.input);
        add(Meter::kCacheRead, bought.cache_read);
        add(Meter::kOutput, bought.output);
        ASSERT_TRUE(books.settle(hold.exchange, 1, settle, lines));
        ledger::ExchangeClose close;
        close.exchange = hold.exchange;
        close.at = hold.dispatch;
        ASSERT_TRUE(books.close(close));
    }

    Ran run(const std::string& arguments) {
        const auto out = folder_ / "out", err = folder_ / "err";
        const int status = std::system(fmt::format("{} {} --config {} >{} 2>{} </dev/null",
            ENTREPOT_PROGRAM, arguments, (folder_ / "e.yaml").string(), out.string(), err.string())
                .c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(out), text_of(err)};
    }
    Ran reconcile(std::string_view bill, const std::string& options = {}) {
        std::ofstream(folder_ / "bill", std::ios::binary) << bill;
        return run(fmt::format("reconcile {} {}", (folder_ / "bill").string(), options));
    }
    /// Everything that the books hold, as text.
    std::string books() {
        return run("usage --by day,model,offer,cloud,rate_version --json").out +
            run("ledger verify --json").out;
    }
    /// The journal as it lies on the disk.
    std::string journal_bytes() {
        std::set<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder_ / "data/journal"))
            files.insert(entry.path());
        std::string bytes;
        for (const auto& file : files) bytes += text_of(file);
        return bytes;
    }
    std::string total() {
        const auto usage = json::Document::parse(run("usage --json").out);
        return usage ? std::string(usage->root()["total"]["cost"].string()) : "no usage";
    }

    std::filesystem::path folder_;
};

struct Charge {
    Bought of;
    Meter meter;
    std::int64_t quantity;
    std::string cost;
};

/// The lines of a bill that says what was booked.
std::vector<Charge> charges_of(std::string_view cloud) {
    std::vector<Charge> charges;
    for (const Bought& bought : bought_at(cloud))
        for (const auto& [meter, quantity] : {std::pair(Meter::kInput, bought.input),
                 std::pair(Meter::kCacheRead, bought.cache_read),
                 std::pair(Meter::kOutput, bought.output)})
            if (quantity > 0)
                charges.push_back({bought, meter, quantity,
                    Money::from_pico(Int128{quantity} * per_million(meter) * 1'000'000)
                        .to_decimal()});
    return charges;
}

std::string hour_after(std::string_view hour) {
    return to_rfc3339(at(hour) + std::chrono::hours(1));
}

std::string aws_bill() {
    std::string out =
        "bill_billing_period_start_date,bill_billing_period_end_date,line_item_usage_start_date,"
        "line_item_usage_end_date,line_item_line_item_type,line_item_product_code,"
        "line_item_usage_type,line_item_usage_amount,line_item_currency_code,"
        "line_item_unblended_cost,pricing_unit,product_region_code\n";
    for (const Charge& charge : charges_of("aws")) {
        const std::string_view name = charge.meter == Meter::kInput ? "input-tokens"
            : charge.meter == Meter::kCacheRead                     ? "cache-read-input-token-count"
                                                                    : "output-tokens";
        out += fmt::format(
            "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,{},{},Usage,AmazonBedrock,"
            "USE1-Claude4.5Sonnet-{},{},USD,{},1K tokens,us-east-1\n",
            charge.of.hour, hour_after(charge.of.hour), name,
            Money::from_pico(Int128{charge.quantity} * 1'000'000'000).to_decimal(), charge.cost);
    }
    return out;
}

std::string azure_bill() {
    std::string out =
        "date,billingPeriodStartDate,billingPeriodEndDate,meterName,meterCategory,unitOfMeasure,"
        "quantity,costInBillingCurrency,billingCurrency,chargeType\n";
    for (const Charge& charge : charges_of("azure")) {
        const std::string_view name = charge.meter == Meter::kInput
            ? "gpt-4o-mini-0718-Inp-glbl Tokens"
            : charge.meter == Meter::kCacheRead ? "gpt 4o mini 0718 cached Inp glbl Tokens"
                                                : "gpt-4o-mini-0718-Outp-glbl Tokens";
        out += fmt::format("10/{}/2026,10/01/2026,10/31/2026,{},Azure OpenAI,1K,{},{},USD,Usage\n",
            charge.of.hour.substr(8, 2), name,
            Money::from_pico(Int128{charge.quantity} * 1'000'000'000).to_decimal(), charge.cost);
    }
    return out;
}

std::string google_bill() {
    std::string out;
    for (const Charge& charge : charges_of("gcp")) {
        const std::string_view name = charge.meter == Meter::kInput ? "Text Input"
            : charge.meter == Meter::kCacheRead                     ? "Input Text Caching"
                                                                    : "Text Output";
        out += fmt::format(R"({{"service":{{"description":"Vertex AI"}},"sku":{{"description":)"
                           R"("Gemini 2.5 Flash GA {} - Predictions"}},"usage_start_time":"{}",)"
                           R"("usage_end_time":"{}","cost":{},"currency":"USD","usage":{{)"
                           R"("amount_in_pricing_units":{},"pricing_unit":"count"}},"credits":[],)"
                           R"("invoice":{{"month":"202610"}}}})"
                           "\n",
            name, charge.of.hour, hour_after(charge.of.hour), charge.cost, charge.quantity);
    }
    return out;
}

std::string openai_bill() {
    std::string out = R"({"object":"page","data":[)";
    for (const Charge& charge : charges_of("openai")) {
        const std::int64_t day = at(charge.of.hour.substr(0, 10)).ns / 1'000'000'000;
        const std::string_view name = charge.meter == Meter::kInput ? "input"
            : charge.meter == Meter::kCacheRead                     ? "cached input"
                                                                    : "output";
        out += fmt::format(
            R"({}{{"start_time":{},"end_time":{},"results":[{{"amount":{{"value":{},)"
            R"("currency":"usd"}},"line_item":"gpt-4o-mini-2024-07-18, {}","quantity":{}}}]}})",
            out.ends_with('[') ? "" : ",", day, day + 86'400, charge.cost, name, charge.quantity);
    }
    return out + R"(],"has_more":false,"next_page":null})";
}

std::string anthropic_bill() {
    std::string out = R"({"data":[)";
    for (const Charge& charge : charges_of("claude")) {
        const std::string day(charge.of.hour.substr(0, 10));
        const std::string_view name = charge.meter == Meter::kInput ? "uncached_input_tokens"
            : charge.meter == Meter::kCacheRead                     ? "cache_read_input_tokens"
                                                                    : "output_tokens";
        out += fmt::format(
            R"({}{{"starting_at":"{}T00:00:00Z","ending_at":"{}T00:00:00Z","results":[{{)"
            R"("amount":"{}","currency":"USD","cost_type":"tokens","model":)"
            R"("claude-sonnet-4-5-20250929","token_type":"{}","service_tier":"standard",)"
            R"("context_window":"0-200k"}}]}})",
            out.ends_with('[') ? "" : ",", day, to_date(at(day) + std::chrono::hours(24)),
            Money::from_pico(usd(charge.cost).pico() * 100).to_decimal(), name);
    }
    return out + R"(],"has_more":false,"next_page":null})";
}

std::string focus_row(const Charge& charge, std::string_view cost) {
    const std::string_view name = charge.meter == Meter::kInput ? "InputTokenCount"
        : charge.meter == Meter::kCacheRead                     ? "CacheReadInputTokenCount"
                                                                : "OutputTokenCount";
    return fmt::format(
        "{},USD,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,{},{},Usage,,AWS,"
        "Claude Sonnet 4.5 (Amazon Bedrock Edition),"
        "USE1-MP:USE1_{}-Units,us-east-1,,,{},1M tokens\r\n",
        cost, charge.of.hour, hour_after(charge.of.hour), name,
        Money::from_pico(Int128{charge.quantity} * 1'000'000).to_decimal());
}

constexpr std::string_view kFocusHeader =
    "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,"
    "ChargePeriodEnd,ChargeCategory,ChargeClass,ProviderName,ServiceName,x_UsageType,RegionId,"
    "ConsumedQuantity,ConsumedUnit,PricingQuantity,PricingUnit\r\n";

std::string focus_bill() {
    std::string out(kFocusHeader);
    for (const Charge& charge : charges_of("aws")) out += focus_row(charge, charge.cost);
    return out;
}

TEST_F(ReconcileCommand, ABillOfEveryFormatAgreesWithWhatWasBooked) {
    const std::pair<std::string_view, std::string> bills[] = {{"aws-cur", aws_bill()},
        {"azure", azure_bill()}, {"gcp", google_bill()}, {"openai", openai_bill()},
        {"anthropic", anthropic_bill()}, {"focus", focus_bill()}};
    for (const auto& [format, bill] : bills) {
        const Ran told = reconcile(bill);
        EXPECT_EQ(told.code, 0) << format << '\n' << told.out << told.err;
        EXPECT_NE(told.out.find("billed"), std::string::npos) << told.out;
        const Ran named = reconcile(bill, fmt::format("--json --format {}", format));
        EXPECT_EQ(named.code, 0) << named.out << named.err;
        const auto report = json::Document::parse(named.out);
        ASSERT_TRUE(report) << named.out;
        EXPECT_EQ(report->root()["billed"].string(), report->root()["booked"].string());
        EXPECT_NE(report->root()["billed"].string(), "0.00") << named.out;
    }
    // A format that the file is not of is told by what is missing.
    const Ran other = reconcile(aws_bill(), "--format azure");
    EXPECT_EQ(other.code, 1);
    EXPECT_NE(other.err.find("meter"), std::string::npos) << other.err;
}

TEST_F(ReconcileCommand, ADifferenceIsToldAndTheBooksStayAsTheyWere) {
    const std::string before = books(), journal = journal_bytes();
    std::string bill = aws_bill();
    const std::string line = "0.05,USD,0.0005,";  // the output of one hour
    ASSERT_NE(bill.find(line), std::string::npos) << bill;
    bill.replace(bill.find(line), line.size(), "0.05,USD,0.00057,");
    const Ran ran = reconcile(bill);
    EXPECT_EQ(ran.code, 4) << ran.out << ran.err;
    EXPECT_NE(ran.out.find("+0.00007"), std::string::npos) << ran.out;
    EXPECT_NE(ran.out.find("rate"), std::string::npos) << ran.out;
    const Ran csv = reconcile(bill, "--csv");
    EXPECT_EQ(csv.code, 4);
    EXPECT_TRUE(csv.out.starts_with("type,amount,currency,")) << csv.out;
    EXPECT_TRUE(journal == journal_bytes());
    EXPECT_EQ(before, books());
}

TEST_F(ReconcileCommand, WhatIsAdjustedIsPostedOnceAndIsInTheOpenPeriod) {
    ASSERT_EQ(run("ledger close 2026-10").code, 0);
    std::string bill = focus_bill();
    // A credit, and usage of an hour that the books have less of.
    bill +=
        "-0.5,USD,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,2026-10-05T00:00:00Z,"
        "2026-10-06T00:00:00Z,Credit,,AWS,Amazon Bedrock,,,,,,\r\n";
    bill +=
        focus_row({{"aws", "sonnet", "2026-10-05T08:00:00Z"}, Meter::kOutput, 1000, {}}, "0.01");
    const std::string was = total();
    const Ran looked = reconcile(bill);
    EXPECT_EQ(looked.code, 4) << looked.out << looked.err;
    EXPECT_NE(looked.err.find("--adjust posts."), std::string::npos) << looked.err;
    EXPECT_EQ(total(), was);

    const Ran posted = reconcile(bill, "--adjust");
    EXPECT_EQ(posted.code, 0) << posted.out << posted.err;
    EXPECT_NE(posted.err.find("posted 2 adjustments, -0.49 USD together"), std::string::npos)
        << posted.err;
    EXPECT_EQ(total(), (usd(was) - usd("0.49")).to_decimal());
    const std::string after = books();
    EXPECT_EQ(run("ledger verify").code, 0);
    // October is closed: it has what it had.
    const auto october =
        json::Document::parse(run("usage --json --since 2026-10-01 --until 2026-11-01").out);
    EXPECT_EQ(october->root()["total"]["cost"].string(), was);
    EXPECT_EQ(october->root()["total"]["adjusted"].string(), "0.00");

    for (const char* again : {"--adjust", "", "--adjust --cloud aws"}) {
        const Ran second = reconcile(bill, again);
        EXPECT_EQ(second.code, 0) << again << '\n' << second.out << second.err;
        EXPECT_NE(second.out.find("adjusted"), std::string::npos) << second.out;
        EXPECT_EQ(after, books()) << again;
    }

    // The seller takes the credit back: the next export of that month is followed too, and back.
    std::string without = focus_bill();
    without +=
        focus_row({{"aws", "sonnet", "2026-10-05T08:00:00Z"}, Meter::kOutput, 1000, {}}, "0.01");
    EXPECT_EQ(reconcile(without, "--adjust").code, 0);
    EXPECT_EQ(total(), (usd(was) + usd("0.01")).to_decimal());
    EXPECT_EQ(reconcile(bill, "--adjust").code, 0);
    EXPECT_EQ(total(), (usd(was) - usd("0.49")).to_decimal());
    EXPECT_EQ(reconcile(bill, "--adjust").code, 0);
    EXPECT_EQ(total(), (usd(was) - usd("0.49")).to_decimal());
    EXPECT_EQ(run("ledger verify").code, 0);
}

TEST_F(ReconcileCommand, ABillThatCannotBeReadNamesItsLineAndChangesNothing) {
    const std::string before = books();
    std::string mixed = focus_bill();
    mixed.replace(mixed.rfind(",USD,"), 5, ",EUR,");
    std::string no_number = focus_bill();
    no_number.replace(no_number.rfind("\n0.") + 1, 3, "x.");
    std::string no_cost = focus_bill();
    no_cost.replace(0, 10, "BilledCos,");
    const struct {
        std::string bill;
        std::string_view says;
    } cases[] = {
        {mixed, "line 9 is in EUR and line 2 in USD"},
        {no_number, "line 9"},
        {no_cost, "(BilledCos, ...)"},
        {"a,b,c\n1,2,3\n", "line 1: no bill has these columns"},
        {"PAR1 and more bytes than sixteen\n", "Parquet"},
        {std::string(kFocusHeader), "no charges"},
        {focus_bill() + "1,2,3\n", "line 10"},
    };
    for (const auto& [bill, says] : cases)
        for (const char* options : {"", "--adjust"}) {
            const Ran ran = reconcile(bill, options);
            EXPECT_EQ(ran.code, 1) << bill << ran.err;
            EXPECT_NE(ran.err.find(says), std::string::npos) << says << '\n' << ran.err;
            EXPECT_EQ(ran.out, "");
        }
    EXPECT_EQ(before, books());
    // An unknown column is told, and no reason to stop.
    std::string more = focus_bill();
    more.insert(0, "x_Mystery,");
    std::size_t at_line = more.find('\n') + 1;
    while (at_line < more.size()) {
        more.insert(at_line, "7,");
        at_line = more.find('\n', at_line) + 1;
    }
    const Ran told = reconcile(more);
    EXPECT_EQ(told.code, 0) << told.err;
    EXPECT_NE(told.out.find("x_Mystery"), std::string::npos) << told.out;
}

// Half a month's export, with --adjust by mistake: what is not billed yet stays booked.
TEST_F(ReconcileCommand, WhatMayStillBeBilledIsNeverPostedAway) {
    std::string bill(kFocusHeader);
    for (const Charge& charge : charges_of("aws"))
        if (charge.of.hour < "2026-10-06") bill += focus_row(charge, charge.cost);
    const std::string before = total();
    for (const char* options : {"--adjust", "--adjust --as-of 2026-10-06T00:00:00Z"}) {
        const Ran ran = reconcile(bill, options);
        EXPECT_EQ(ran.code, 4) << ran.out << ran.err;
        EXPECT_NE(ran.err.find("nothing was to be posted"), std::string::npos) << ran.err;
        EXPECT_EQ(total(), before) << options;
    }
}

// Used in October, billed in November: taken off with the one bill, put back with the other.
TEST_F(ReconcileCommand, UsageThatIsBilledAMonthLateIsBookedOnce) {
    std::string october(kFocusHeader), late;
    for (const Charge& charge : charges_of("aws")) {
        const bool is_late = charge.meter == Meter::kOutput && charge.of.output == 150;
        (is_late ? late : october) += focus_row(charge, charge.cost);
    }
    const std::string_view month = "2026-10-01T00:00:00Z,2026-11-01T00:00:00Z";
    ASSERT_NE(late.find(month), std::string::npos);
    late.replace(late.find(month), month.size(), "2026-11-01T00:00:00Z,2026-12-01T00:00:00Z");
    const std::string november = std::string(kFocusHeader) + late;
    const std::string before = total();
    const Ran early = reconcile(november, "--adjust");
    EXPECT_EQ(early.code, 4) << early.out << early.err;
    EXPECT_EQ(total(), before) << "it is booked in October";
    EXPECT_EQ(reconcile(october, "--adjust").code, 0);
    EXPECT_EQ(total(), (usd(before) - usd("0.0015")).to_decimal());
    for (int i = 0; i < 2; ++i) {
        const Ran put_back = reconcile(november, "--adjust");
        EXPECT_EQ(put_back.code, 0) << put_back.out << put_back.err;
        EXPECT_EQ(total(), before);
        EXPECT_EQ(reconcile(october, "--adjust").code, 0);
        EXPECT_EQ(total(), before);
    }
    EXPECT_EQ(run("ledger verify").code, 0);
}

TEST_F(ReconcileCommand, OptionsThatCannotBeAreMisuse) {
    for (const char* options : {"--since 2026-10-01", "--since 2026-10-02 --until 2026-10-01",
             "--since yesterday --until 2026-10-01", "--exchange -1", "--exchange many",
             "--format excel", "--cloud awz", "--as-of soon"}) {
        const Ran ran = reconcile(focus_bill(), options);
        EXPECT_EQ(ran.code, 2) << options << ran.out << ran.err;
    }
    EXPECT_NE(
        reconcile(focus_bill(), "--cloud awz").err.find("did you mean 'aws'?"), std::string::npos);
    const Ran other = reconcile(focus_bill(), "--cloud azure");
    EXPECT_EQ(other.code, 2);
    EXPECT_NE(
        other.err.find("the bill is of aws, and cloud 'azure' is of azure"), std::string::npos)
        << other.err;
    EXPECT_EQ(run("reconcile /nonexistent/bill").code, 1);
    EXPECT_EQ(run("reconcile").code, 2);
}

TEST_F(ReconcileCommand, AnotherCurrencyTakesARateOfExchange) {
    std::string bill(kFocusHeader);
    for (const Charge& charge : charges_of("aws")) {
        std::string row =
            focus_row(charge, Money::from_pico(usd(charge.cost).pico() * 2).to_decimal());
        row.replace(row.find(",USD,"), 5, ",XTS,");
        bill += row;
    }
    const Ran without = reconcile(bill);
    EXPECT_EQ(without.code, 1);
    EXPECT_NE(without.err.find("give the rate of exchange"), std::string::npos) << without.err;
    const Ran with = reconcile(bill, "--exchange 0.5");
    EXPECT_EQ(with.code, 0) << with.out << with.err;
}

TEST_F(ReconcileCommand, AHoldThatACrashLeftIsComparedUntilItIsResolved) {
    const Instant hour = at("2026-10-06T09:10:00Z");
    const ExchangeId exchange = ExchangeId::make(hour, {77, 77});
    with_books(at("2026-10-07"), [&](store::Books& books) {
        ledger::HoldRequest hold;
        hold.dispatch = hour;
        hold.exchange = exchange;
        hold.path = books.path("filed", "t", "o").value();
        hold.route = books.route("sonnet", "sonnet/aws", "aws").value();
        hold.amount = usd("1.00");
        ASSERT_TRUE(books.hold(hold));
    });
    std::string bill = focus_bill();
    bill +=
        focus_row({{"aws", "sonnet", "2026-10-06T09:00:00Z"}, Meter::kOutput, 1000, {}}, "0.01");
    const Ran unresolved = reconcile(bill, "--json");
    EXPECT_EQ(unresolved.code, 4);
    EXPECT_NE(unresolved.out.find("ledger resolve"), std::string::npos) << unresolved.out;
    // Posted by both ways it would be corrected twice.
    EXPECT_NE(unresolved.out.find("\"adjustments\":[]"), std::string::npos) << unresolved.out;
    ASSERT_EQ(run(fmt::format("ledger resolve {} --cost 0.01", exchange.to_string())).code, 0);
    const Ran resolved = reconcile(bill, "--json");
    EXPECT_EQ(resolved.code, 0) << resolved.out << resolved.err;
    EXPECT_NE(resolved.out.find("\"differences\":[]"), std::string::npos) << resolved.out;
}

}  // namespace
}  // namespace entrepot::cli
