#include "reconcile/reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "reconcile/amounts.h"
#include "reconcile/bill_time.h"

namespace entrepot::reconcile {
namespace {

std::string told(const BillLine& line) {
    const Sku& sku = *line.sku;
    std::string out =
        fmt::format("{} {} {} {} {}", line.line, category_name(line.category), line.seller,
            sku.model.empty() ? "-" : sku.model, sku.meter ? canon::meter_name(*sku.meter) : "-");
    out += fmt::format(" {}+{}h", to_rfc3339(line.at.begin).substr(0, 13),
        (line.at.end - line.at.begin).count() / kHourNs);
    if (line.quantity_pico) out += " q=" + decimal_text(*line.quantity_pico);
    if (line.per_million_pico) out += " r=" + decimal_text(*line.per_million_pico);
    if (line.cost) out += " c=" + line.cost->to_decimal();
    if (line.currency) out += fmt::format(" {}", line.currency->code());
    return out + "\n";
}

struct Read {
    std::string lines;
    std::string error;
    BillFacts facts;
};

Read read(std::string_view text, ReaderOptions options = {}, std::size_t piece = 1 << 16) {
    Read result;
    BillReader reader(std::move(options), [&](const BillLine& line) -> Status {
        result.lines += told(line);
        return {};
    });
    Status status;
    for (std::size_t at = 0; status && at < text.size(); at += piece)
        status = reader.feed(text.substr(at, piece));
    if (status) status = reader.finish();
    if (!status) result.error = status.error().message;
    result.facts = reader.facts();
    return result;
}

constexpr std::string_view kFocus =
    "\xEF\xBB\xBF"
    "BilledCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ChargeCategory,ProviderName,"
    "ServiceName,SkuMeter,PricingQuantity,PricingUnit,ContractedUnitPrice,RegionId,x_UsageType,"
    "x_Sparkle\r\n"
    "0.0037,USD,2026-11-01T05:00:00Z,2026-11-01T06:00:00Z,Usage,AWS,Claude Sonnet 4.5 (Amazon "
    "Bedrock Edition),,0.001234,1M tokens,3,us-east-1,USE1-MP:USE1_InputTokenCount-Units,yes\r\n"
    "-5,USD,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,Credit,AWS,Amazon Bedrock,,,,,,,no\r\n";

constexpr std::string_view kAws =
    "identity_line_item_id,line_item_usage_type,line_item_line_item_type,line_item_product_code,"
    "line_item_unblended_cost,line_item_usage_amount,line_item_unblended_rate,"
    "line_item_currency_code,line_item_usage_start_date,line_item_usage_end_date,"
    "line_item_usage_account_id,pricing_unit,product\n"
    "a1,USE1-NovaLite-input-tokens,Usage,AmazonBedrock,0.0000600000,1.0000000000,0.0000600000,USD,"
    "2026-11-01T05:00:00Z,2026-11-01T06:00:00Z,111122223333,1K tokens,{}\n"
    "a2,USE1-MP:USE1_OutputTokenCount-Units,Usage,xyz,0.015,0.001,15,USD,2026-11-01T05:00:00Z,"
    "2026-11-01T06:00:00Z,111122223333,Units,\"{\"\"product_name\"\":\"\"Claude Sonnet 4.5 (Amazon "
    "Bedrock Edition)\"\"}\"\n"
    "a3,USE1-NovaLite-input-tokens,EdpDiscount,AmazonBedrock,-0.000006,0,,USD,"
    "2026-11-01T05:00:00Z,2026-11-01T06:00:00Z,111122223333,1K tokens,{}\n"
    "a4,BoxUsage:m5.large,Usage,AmazonEC2,0.096,1,0.096,USD,2026-11-01T05:00:00Z,"
    "2026-11-01T06:00:00Z,111122223333,Hrs,{}\n"
    "a5,,Tax,AmazonBedrock,1.20,0,,USD,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,111122223333,,{}"
    "\n";

constexpr std::string_view kAzure =
    "invoiceId,date,meterName,meterCategory,meterSubCategory,unitOfMeasure,quantity,effectivePrice,"
    "costInBillingCurrency,billingCurrency,chargeType,resourceLocation,SubscriptionId,"
    "billingPeriodStartDate,billingPeriodEndDate\n"
    "G1,11/01/2026,gpt 4.1 Inp glbl Tokens,Foundry Models,Azure OpenAI,1K,1234.567,0.002,2.469134,"
    "USD,Usage,swedencentral,s1,11/01/2026,11/30/2026\n"
    "G1,11/02/2026,Provisioned Managed Global Unit,Foundry Models,Azure OpenAI,1/Hour,15,1,15,USD,"
    "Usage,swedencentral,s1,11/01/2026,11/30/2026\n"
    "G1,11/02/2026,PTU reservation,Foundry Models,Azure OpenAI,1,1,100,100,USD,Purchase,,s1,,\n";

constexpr std::string_view kGoogle =
    R"({"billing_account_id":"01","service":{"id":"C7E2","description":"Vertex AI"},"sku":{"id":"X","description":"Gemini 2.5 Flash GA Text Input - Predictions"},"usage_start_time":"2026-11-01 05:00:00 UTC","usage_end_time":"2026-11-01 06:00:00 UTC","project":{"id":"acme"},"location":{"location":"europe-west4","region":"europe-west4"},"cost":0.30000000000000004,"currency":"USD","usage":{"amount":1000000.0,"unit":"requests","amount_in_pricing_units":1000000.0,"pricing_unit":"count"},"credits":[{"name":"Committed","amount":-0.03,"type":"DISCOUNT"}],"invoice":{"month":"202611"},"cost_type":"regular"}
{"service":{"description":"Compute Engine"},"sku":{"description":"N2 Core"},"usage_start_time":"2026-11-01T05:00:00Z","usage_end_time":"2026-11-01T06:00:00Z","cost":"1.5","currency":"USD","usage":{"amount":"3600","unit":"seconds"},"credits":[],"invoice":{"month":"202611"}}
)";

constexpr std::string_view kOpenaiCosts =
    R"({"object":"page","data":[{"object":"bucket","start_time":1793491200,"end_time":1793577600,"results":[
 {"object":"organization.costs.result","amount":{"value":0.06,"currency":"usd"},"line_item":"gpt-4.1-2025-04-14, cached input","project_id":"p1","quantity":120000},
 {"object":"organization.costs.result","amount":{"value":-1.5,"currency":"usd"},"line_item":"Promotional credit","project_id":null}]}],
"has_more":true,"next_page":"x"})";

constexpr std::string_view kOpenaiUsage =
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,batch,"
    "service_tier,input_tokens,output_tokens,input_cached_tokens,input_audio_tokens\n"
    "1793491200,1793494800,2026-11-01T00:00:00+00:00,2026-11-01T01:00:00+00:00,p1,3.0,"
    "gpt-4.1-2025-04-14,false,default,7162,300,1280,0\n";

constexpr std::string_view kAnthropicCost =
    R"({"data":[{"starting_at":"2026-11-01T00:00:00Z","ending_at":"2026-11-02T00:00:00Z","results":[
{"amount":"123.78912","currency":"USD","cost_type":"tokens","description":"Claude Sonnet 4.5 Usage - Input Tokens","model":"claude-sonnet-4-5-20250929","token_type":"uncached_input_tokens","service_tier":"standard","context_window":"0-200k","workspace_id":"w1","inference_geo":"global"}]}],"has_more":false,"next_page":null})";

constexpr std::string_view kAnthropicUsage =
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,"
    "usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
    "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,"
    "web_search_count,inference_geo,speed\n"
    "2026-11-01,claude-sonnet-4-5-20250929,k,Default,batch,≤ 200k,100,20,30,40,50,2,"
    "not_available,\n";

TEST(BillReader, FocusIsRead) {
    const Read bill = read(kFocus);
    EXPECT_EQ(bill.error, "");
    EXPECT_EQ(bill.lines,
        "2 usage aws anthropic/claude-sonnet-4.5 input 2026-11-01T05+1h q=1234 r=3 c=0.0037 USD\n"
        "3 credit aws - - 2026-11-01T00+720h c=-5.00 USD\n");
    EXPECT_EQ(bill.facts.format, Format::kFocus);
    EXPECT_EQ(bill.facts.unknown_columns, std::vector<std::string>{"x_Sparkle"});
}

TEST(BillReader, AwsCostAndUsageIsRead) {
    const Read bill = read(kAws);
    EXPECT_EQ(bill.error, "");
    EXPECT_EQ(bill.lines,
        "2 usage aws amazon/nova-lite input 2026-11-01T05+1h q=1000 r=0.06 c=0.00006 USD\n"
        "3 usage aws anthropic/claude-sonnet-4.5 output 2026-11-01T05+1h q=1000 r=15 c=0.015 USD\n"
        "4 usage aws amazon/nova-lite input 2026-11-01T05+1h c=-0.000006 USD\n"
        "5 usage aws - - 2026-11-01T05+1h c=0.096 USD\n"
        "6 tax aws - - 2026-11-01T00+720h c=1.20 USD\n");
}

TEST(BillReader, AzureCostExportIsRead) {
    const Read bill = read(kAzure);
    EXPECT_EQ(bill.error, "");
    EXPECT_EQ(bill.lines,
        "2 usage azure openai/gpt-4.1 input 2026-11-01T00+24h q=1234567 r=2 c=2.469134 USD\n"
        "3 usage azure - - 2026-11-02T00+24h c=15.00 USD\n"
        "4 purchase azure - - 2026-11-02T00+24h c=100.00 USD\n");
}

TEST(BillReader, GoogleBillingExportIsRead) {
    const Read bill = read(kGoogle);
    EXPECT_EQ(bill.error, "");
    EXPECT_EQ(bill.lines,
        "1 usage gcp google/gemini-2.5-flash input 2026-11-01T05+1h q=1000000 c=0.30 USD\n"
        "1 credit gcp google/gemini-2.5-flash input 2026-11-01T05+1h c=-0.03 USD\n"
        "2 usage gcp - - 2026-11-01T05+1h c=1.50 USD\n");
    EXPECT_EQ(bill.facts.rounded_amounts, 1U);
    const Read csv = read(
        "sku.description,service.description,usage_start_time,usage_end_time,cost,currency,"
        "usage.amount_in_pricing_units,usage.pricing_unit,credits\n"
        "Gemini 2.5 Flash GA Text Input - Predictions,Vertex AI,2026-11-01 05:00:00 UTC,"
        "2026-11-01 06:00:00 UTC,0.3,USD,1000000,count,\"[{\"\"amount\"\":-0.1}]\"\n");
    EXPECT_EQ(csv.error, "");
    EXPECT_EQ(csv.lines,
        "2 usage gcp google/gemini-2.5-flash input 2026-11-01T05+1h q=1000000 c=0.30 USD\n"
        "2 credit gcp google/gemini-2.5-flash input 2026-11-01T05+1h c=-0.10 USD\n");
}

TEST(BillReader, OpenaiReportsAreRead) {
    const Read costs = read(kOpenaiCosts);
    EXPECT_EQ(costs.error, "");
    EXPECT_EQ(costs.lines,
        "1 usage openai openai/gpt-4.1 cache_read 2026-11-01T00+24h q=120000 c=0.06 USD\n"
        "1 credit openai - - 2026-11-01T00+24h c=-1.50 USD\n");
    EXPECT_TRUE(costs.facts.is_cut_short);
    const Read usage = read(kOpenaiUsage);
    EXPECT_EQ(usage.error, "");
    EXPECT_EQ(usage.lines,
        "2 usage openai openai/gpt-4.1 input 2026-11-01T00+1h q=5882\n"
        "2 usage openai openai/gpt-4.1 cache_read 2026-11-01T00+1h q=1280\n"
        "2 usage openai openai/gpt-4.1 output 2026-11-01T00+1h q=300\n");
    EXPECT_FALSE(usage.facts.has_costs);
}

TEST(BillReader, AnthropicReportsAreRead) {
    const Read costs = read(kAnthropicCost);
    EXPECT_EQ(costs.error, "");
    EXPECT_EQ(costs.lines,
        "1 usage anthropic anthropic/claude-sonnet-4.5 input 2026-11-01T00+24h c=1.2378912 USD\n");
    EXPECT_FALSE(costs.facts.is_cut_short);
    const Read usage = read(kAnthropicUsage);
    EXPECT_EQ(usage.error, "");
    const std::string sonnet = "2 usage anthropic anthropic/claude-sonnet-4.5 ";
    EXPECT_EQ(usage.lines,
        sonnet + "input 2026-11-01T00+24h q=100\n" + sonnet +
            "cache_read 2026-11-01T00+24h q=40\n" + sonnet +
            "cache_write 2026-11-01T00+24h q=20\n" + sonnet +
            "cache_write_long 2026-11-01T00+24h q=30\n" + sonnet +
            "output 2026-11-01T00+24h q=50\n" + sonnet + "searches 2026-11-01T00+24h q=2\n");
}

TEST(BillReader, PiecesAndPackingMakeNoDifference) {
    for (const std::string_view text : {kFocus, kAws, kAzure, kGoogle, kOpenaiCosts, kOpenaiUsage,
             kAnthropicCost, kAnthropicUsage}) {
        const std::string whole = read(text).lines;
        EXPECT_FALSE(whole.empty());
        EXPECT_EQ(read(text, {}, 1).lines, whole);
        EXPECT_EQ(read(text, {}, 17).lines, whole);
        std::string packed(compressBound(text.size()) + 64, '\0');
        z_stream stream{};
        ASSERT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
        stream.avail_in = static_cast<uInt>(text.size());
        stream.next_out = reinterpret_cast<Bytef*>(packed.data());
        stream.avail_out = static_cast<uInt>(packed.size());
        ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
        packed.resize(stream.total_out);
        deflateEnd(&stream);
        EXPECT_EQ(read(packed).lines, whole);
        EXPECT_EQ(read(packed, {}, 1).lines, whole);
        EXPECT_NE(read(packed.substr(0, packed.size() - 9)).error, "");
        packed[packed.size() / 2] ^= 0x55;
        EXPECT_NE(read(packed).error, "");
    }
}

std::string with(std::string_view text, std::string_view what, std::string_view instead) {
    std::string changed(text);
    const auto at = changed.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return changed.replace(at, what.size(), instead);
}

TEST(BillReader, BadInputNamesItsLineAndTheRemedy) {
    const auto error = [](std::string_view text) { return read(text).error; };
    EXPECT_EQ(error("name,age\nx,1\n"),
        "line 1: no bill has these columns (name, ...); name the format with --format (focus, "
        "aws-cur, azure, gcp, openai, anthropic)");
    EXPECT_EQ(error("PAR1xxxxxxxxxxxxxxxxxxxx"),
        "this is a Parquet file, which is not read; export the report as CSV (gzip is fine)");
    EXPECT_NE(
        error("PK\x03\x04 a spreadsheet of some kind").find("save it as CSV"), std::string::npos);
    EXPECT_EQ(error(""), "the file holds no charges; is the export empty, or of another period?");
    EXPECT_NE(error("start_time,end_time,start_time_iso,end_time_iso,input_tokens\n")
                  .find("holds no charges"),
        std::string::npos);
    EXPECT_NE(error(with(kFocus, "0.0037,", "cheap,"))
                  .find("line 2: BilledCost: 'cheap' is not a number"),
        std::string::npos);
    EXPECT_NE(
        error(with(kFocus, "0.0037,", ",")).find("line 2: BilledCost is empty"), std::string::npos);
    EXPECT_NE(error(with(kFocus, "USD,2026", "dollar,2026")).find("line 2: 'dollar' is not a cur"),
        std::string::npos);
    EXPECT_NE(error(with(kFocus, "2026-11-01T06:00:00Z", "2026-11-01T05:00:00Z"))
                  .find("line 2: its period ends at"),
        std::string::npos);
    EXPECT_NE(error(with(kFocus, "Usage,AWS", "Gift,AWS")).find("line 2: ChargeCategory 'Gift'"),
        std::string::npos);
    EXPECT_NE(error(with(kFocus, ",yes", "")).find("line 2: 13 fields, and the header has 14"),
        std::string::npos);
    EXPECT_NE(error(with(kFocus, "BilledCost", "BilledKost")).find("no bill has these columns"),
        std::string::npos);
    EXPECT_EQ(read(with(kFocus, "BillingCurrency", "Money")).error,
        "line 1: columns that this format needs are missing: 'billingcurrency'; export with them, "
        "or name the format with --format");
    EXPECT_NE(error(with(kFocus, "x_Sparkle", "BilledCost")).find("stands there twice"),
        std::string::npos);
    EXPECT_NE(error(with(kAws, "Usage,AmazonBedrock", "Odd,AmazonBedrock")).find("line 2: line_it"),
        std::string::npos);
    EXPECT_NE(error(with(kAws, ",1.0000000000,", ",999999999999999999,"))
                  .find("line 2: its quantity is more than 10^18 input; is the unit right?"),
        std::string::npos);
    EXPECT_NE(error(with(kAzure, "11/01/2026,gpt", "2026.11.01,gpt")).find("line 2: beginning of"),
        std::string::npos);
    EXPECT_NE(error(with(kGoogle, "\"currency\":\"USD\"", "\"coin\":1")).find("line 1: 'currency'"),
        std::string::npos);
    EXPECT_NE(error(with(kGoogle, "202611\"},\"cost_type", "209911\"]")).find("line 1"),
        std::string::npos);
    EXPECT_NE(error(with(kOpenaiUsage, ",1280,", ",9999,")).find("line 2: its parts exceed"),
        std::string::npos);
    EXPECT_NE(error(kOpenaiCosts.substr(0, kOpenaiCosts.size() - 40)).find("the file ends inside"),
        std::string::npos);
    EXPECT_NE(error(kGoogle.substr(0, 300)).find("the file ends inside JSON that began on line 1"),
        std::string::npos);
    EXPECT_NE(error("[1,2]            ").find("where an object should begin"), std::string::npos);
    EXPECT_NE(
        error("{\"a\":" + std::string(100, '[')).find("nested too deeply"), std::string::npos);
    EXPECT_NE(
        error("{\"hello\":\"there, world\"}").find("no bill has such objects"), std::string::npos);
}

TEST(BillReader, BoundsHold) {
    EXPECT_NE(
        read(kAws, {.lines_max = 2}).error.find("line 4: more than 2 charges"), std::string::npos);
    EXPECT_NE(
        read(kAws, {.skus_max = 1}).error.find("more than 1 different SKUs"), std::string::npos);
    EXPECT_NE(read(kGoogle, {.row_bytes_max = 100}).error.find("an object of more than 100 bytes"),
        std::string::npos);
    EXPECT_NE(read(kFocus, {.row_bytes_max = 100}).error.find("a record of more than 100 bytes"),
        std::string::npos);
}

TEST(BillReader, AFormatThatIsNamedOverrulesTheHeader) {
    EXPECT_NE(read(kFocus, {.format = Format::kAzure}).error.find("columns that this format needs"),
        std::string::npos);
    EXPECT_EQ(*parse_format("aws-cur"), Format::kAwsCur);
    EXPECT_NE(
        parse_format("aws").error().message.find("there are: focus, aws-cur"), std::string::npos);
}

}  // namespace
}  // namespace entrepot::reconcile
