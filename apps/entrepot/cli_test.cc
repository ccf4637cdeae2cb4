#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "command.h"
#include "json/value.h"
#include "table.h"

namespace entrepot::cli {
namespace {

std::string read_all(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

struct Outcome {
    int code = -1;
    std::string out, err;
};

// Runs the program itself, as a script would.
Outcome run_program(const std::string& arguments, const std::string& input = {}) {
    const auto folder = std::filesystem::temp_directory_path();
    const std::string id = "entrepot-cli-" + std::to_string(::getpid());
    const auto in = folder / (id + ".in"), out = folder / (id + ".out"),
               err = folder / (id + ".err");
    std::ofstream(in) << input;
    const std::string line = std::string(ENTREPOT_PROGRAM) + " " + arguments + " <" + in.string() +
        " >" + out.string() + " 2>" + err.string();
    const int status = std::system(line.c_str());
    Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_all(out), read_all(err)};
    for (const auto& path : {in, out, err}) std::filesystem::remove(path);
    return outcome;
}

TEST(Table, AlignsNumbersToTheRightAndCountsCharactersNotBytes) {
    const Table table{{{"NAME"}, {"COST", true}}, {{"é", "1.00"}, {"long", "10.00"}}};
    EXPECT_EQ(table.to_text(), "NAME   COST\né      1.00\nlong  10.00\n");
}

TEST(Table, CsvQuotesAndDisarmsFormulas) {
    const Table table{{{"A"}, {"B", true}}, {{"x,\"y\"", "-1"}, {"=HYPERLINK()", "2"}}};
    EXPECT_EQ(table.to_csv(), "A,B\n\"x,\"\"y\"\"\",-1\n'=HYPERLINK(),2\n");
}

TEST(Commands, HaveNamesAndOptionsOfTheirOwn) {
    std::set<std::string_view> names;
    for (const Command& command : commands()) {
        EXPECT_TRUE(names.insert(command.name).second) << command.name;
        EXPECT_NE(command.run, nullptr);
        EXPECT_TRUE(
            command.help.ends_with('.') || command.help.ends_with(')') || !command.help.empty());
        std::set<std::string_view> options;
        for (const Option& option : command.options)
            EXPECT_TRUE(options.insert(option.name).second) << command.name << option.name;
    }
    for (const char* promised : {"dev", "serve", "validate", "explain", "translate", "meter",
             "keys list", "keys get", "keys create", "keys rotate", "keys disable", "models",
             "prices", "usage", "budgets list", "budgets get", "budgets set", "budgets remove",
             "budgets raise", "orgs set", "teams set", "projects set", "contracts set", "audit",
             "ledger verify", "version", "completion"})
        EXPECT_TRUE(names.contains(promised)) << promised;
}

TEST(Reference, IsTheCommittedPage) {
    EXPECT_EQ(
        read_all(std::string(ENTREPOT_SOURCE_DIR) + "/docs/reference/cli.md"), reference_markdown())
        << "run: entrepot completion markdown > docs/reference/cli.md";
}

TEST(Program, TellsUsageErrorsWithCodeTwoAndTheNearestCommand) {
    const Outcome outcome = run_program("validat x");
    EXPECT_EQ(outcome.code, 2);
    EXPECT_NE(outcome.err.find("did you mean 'validate'?"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(run_program("").code, 2);
    EXPECT_EQ(run_program("meter --dialect nonsense --kind response").code, 2);
    EXPECT_EQ(run_program("explain --model m").code, 2);
    EXPECT_EQ(run_program("version").out.substr(0, 9), "entrepot ");
    EXPECT_EQ(run_program("--help").code, 0);
}

TEST(Program, ABadValueOfAnOptionIsMisuseAndABadBodyAFailure) {
    const std::string data =
        "--data " + (std::filesystem::temp_directory_path() / "entrepot-cli-none").string();
    for (const std::string& arguments : std::vector<std::string>{"prices --limit many",
             "dev --port 99999 " + data, "explain --model m --in few --out 1 " + data, "usage"})
        EXPECT_EQ(run_program(arguments).code, 2) << arguments;
    EXPECT_EQ(run_program("usage " + data).code, 1) << "a folder that is not there";
    const Outcome body =
        run_program("translate --from openai-chat --to anthropic-messages --kind request",
            R"({"model":"m","messages":"none"})");
    EXPECT_EQ(body.code, 1) << body.err;
    EXPECT_NE(body.err.find("field: messages"), std::string::npos) << body.err;
}

TEST(Program, TranslatesLineByLineAndTellsOfEachWhatBecameOfIt) {
    const Outcome outcome =
        run_program("translate --from openai-chat --to anthropic-messages --kind request --lines",
            R"({"model":"m","seed":7,"max_tokens":5,"messages":[{"role":"user","content":"x"}]})"
            "\n{\"model\":\"m\",\"messages\":1}\n");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const std::size_t second = outcome.out.find('\n') + 1;
    EXPECT_TRUE(outcome.out.starts_with(R"({"body":"{\"model\":\"m\",)")) << outcome.out;
    EXPECT_NE(outcome.out.find(R"("dropped":["seed"]})"), std::string::npos) << outcome.out;
    EXPECT_TRUE(outcome.out.substr(second).starts_with(R"({"error":{"field":"messages",)"))
        << outcome.out;
    EXPECT_EQ(std::ranges::count(outcome.out, '\n'), 2);
}

TEST(Program, AWordThatIsNoCommandOfItsGroupIsNamedWithTheNearestOne) {
    const Outcome verify = run_program("ledger verfy");
    EXPECT_EQ(verify.code, 2);
    EXPECT_NE(verify.err.find("no command 'ledger verfy'; did you mean 'ledger verify'?"),
        std::string::npos)
        << verify.err;
    EXPECT_NE(run_program("keys lst").err.find("'keys list'?"), std::string::npos);
    EXPECT_EQ(run_program("keys").code, 2);
    EXPECT_NE(run_program("").err.find("name a command"), std::string::npos);
}

TEST(Program, ValidateListsEveryProblemAndExitsThree) {
    const auto path = std::filesystem::temp_directory_path() /
        ("entrepot-bad-" + std::to_string(::getpid()) + ".yaml");
    std::ofstream(path) << "threads: x\nlisten: nowhere\n";
    const Outcome outcome = run_program("validate " + path.string());
    std::filesystem::remove(path);
    EXPECT_EQ(outcome.code, 3);
    EXPECT_NE(outcome.out.find(path.string() + ":1:10: error: threads"), std::string::npos)
        << outcome.out;
    EXPECT_NE(outcome.out.find(path.string() + ":2:9: error: listen"), std::string::npos);
    EXPECT_EQ(run_program("serve --config /nonexistent.yaml").code, 3);
}

TEST(Program, MetersAReplyFromStdin) {
    const Outcome outcome = run_program("meter --dialect openai-chat --kind response",
        R"({"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":)"
        R"({"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,)"
        R"("completion_tokens":3,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":4}}})");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "{\"input\":6,\"cache_read\":4,\"output\":3}\n");
}

class WithBooks : public testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() /
            ("entrepot-books-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_ / "data");
        std::ofstream(folder_ / "e.yaml")
            << "data: data\nclouds: {lab: {kind: openai_compatible, endpoint: "
               "'http://127.0.0.1:9/v1'},\n"
               "  hq: {kind: openai, api_key: '${env:NOT_SET_HERE}'}}\n"
               "models: {m: {offers: {lab: {cloud: lab, context_tokens: 1000, max_output_tokens: "
               "500,\n"
               "    price: {input: '1', output: '2'}},\n"
               "  hq: {cloud: hq, context_tokens: 1000, max_output_tokens: 500, price: {input: "
               "'3', output: '4'}}}}}\n"
               "orgs: {o: {}}\nteams: {t: {org: o}}\n"
               "keys: {filed: {team: t, secret: s-1, clouds: [hq]}}\n";
        config_ = " --config " + (folder_ / "e.yaml").string();
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path folder_;
    std::string config_;
};

// An azure deployment has any name: what it is must be said once, and prices and sizes follow.
TEST_F(WithBooks, CatalogGivesADeploymentItsPriceAndSizes) {
    const auto file = folder_ / "catalog.yaml";
    std::ofstream(file)
        << "data: data\nclouds: {a: {kind: azure, endpoint: 'https://x', api_key: k, region: "
           "swedencentral}}\n"
           "models: {m: {offers: {unnamed: {cloud: a, id: ours},\n"
           "  model: {cloud: a, id: ours, catalog: openai/gpt-4o-mini},\n"
           "  offer: {cloud: a, id: ours, catalog: 'openai:api:global:openai.gpt-4o-mini'}}}}\n";
    const Outcome models = run_program("models --csv --config " + file.string());
    EXPECT_NE(models.out.find("m,m/unnamed,a,swedencentral,ours,-,-,-,-,-,"), std::string::npos)
        << models.out << models.err;
    EXPECT_NE(
        models.out.find("m,m/model,a,swedencentral,ours,128000,16384,0.165,"), std::string::npos)
        << models.out << models.err;
    EXPECT_NE(
        models.out.find("m,m/offer,a,swedencentral,ours,128000,16384,0.15,"), std::string::npos)
        << models.out << models.err;

    // Valid, and still told: without a price no budget can be held.
    const Outcome validated = run_program("validate " + file.string());
    EXPECT_EQ(validated.code, 0);
    EXPECT_NE(validated.out.find(":3:23: warning: models.m.offers.unnamed: no price is known: the "
                                 "catalogue has no price for 'ours' at azure"),
        std::string::npos)
        << validated.out;
    EXPECT_NE(validated.out.find("models.m.offers.unnamed: how much one answer can hold"),
        std::string::npos);
    EXPECT_NE(
        validated.out.find("models.m.offers.unnamed: how large its context"), std::string::npos);
    EXPECT_EQ(validated.out.find("models.m.offers.model"), std::string::npos) << validated.out;
    EXPECT_NE(validated.err.find("3 warnings"), std::string::npos) << validated.err;
}

// Without a running gateway the commands work under the lock; looking needs no credentials.
TEST_F(WithBooks, KeysAreMadeRotatedDisabledAndListed) {
    const Outcome made =
        run_program("keys create ci --team t --budget 5.00/day --tag cost=1" + config_);
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(made.out.substr(0, 3), "ek-");
    const Outcome rotated = run_program("keys rotate ci" + config_);
    ASSERT_EQ(rotated.code, 0) << rotated.err;
    EXPECT_NE(rotated.out, made.out);
    ASSERT_EQ(run_program("keys disable ci" + config_).code, 0);
    const Outcome listed = run_program("keys list --csv" + config_);
    EXPECT_NE(listed.out.find("filed,t,o,file,live,*,hq,*,"), std::string::npos)
        << listed.out << listed.err;
    EXPECT_NE(listed.out.find("ci,t,o,store,disabled,*,*,*,"), std::string::npos) << listed.out;
    const Outcome got = run_program("keys get ci" + config_);
    EXPECT_NE(got.out.find("\"live_secrets\":2"), std::string::npos) << got.out;
    // No secret is ever shown again.
    EXPECT_EQ(got.out.find(made.out.substr(3, 20)), std::string::npos);
    const Outcome twice = run_program("keys create ci --team t" + config_);
    EXPECT_EQ(twice.code, 1);
    EXPECT_NE(twice.err.find("already"), std::string::npos);
    EXPECT_NE(run_program("keys rotate filed" + config_).err.find("configuration file"),
        std::string::npos);
    EXPECT_NE(
        run_program("keys create x --team u" + config_).err.find("no team 'u'"), std::string::npos);
    EXPECT_NE(
        run_program("keys get cy" + config_).err.find("did you mean 'ci'"), std::string::npos);
}

// What was set in the store counts for the next command as if the file said it.
TEST_F(WithBooks, TeamsAndContractsOfTheStoreCountBesideTheFile) {
    const std::filesystem::path entry = folder_ / "entry.yaml";
    const auto set = [&](const char* what, const char* yaml) {
        std::ofstream(entry) << yaml;
        return run_program(what + (" --from " + entry.string()) + config_);
    };
    const Outcome made = set("teams set night", "# by night\norg: o\nbudgets: [{limit: 5}]\n");
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_NE(made.out.find("\"origin\":\"store\""), std::string::npos) << made.out;
    EXPECT_EQ(run_program("keys create n --team night" + config_).code, 0);
    EXPECT_NE(run_program("teams list --csv" + config_).out.find("night,store"), std::string::npos);
    const Outcome needed = run_program("teams remove night" + config_);
    EXPECT_EQ(needed.code, 1);
    EXPECT_NE(needed.err.find("keys.n.team"), std::string::npos) << needed.err;
    EXPECT_EQ(set("teams set u", "org: [\n").code, 1);
    EXPECT_EQ(set("teams set u", "org: nobody\n").code, 2);
    const Outcome filed = run_program("teams remove t" + config_);
    EXPECT_EQ(filed.code, 1);
    EXPECT_NE(filed.err.find("configuration file"), std::string::npos) << filed.err;
}

TEST_F(WithBooks, EmptyBooksAddUpAndHaveNoUsage) {
    const Outcome verified = run_program("ledger verify" + config_);
    EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
    EXPECT_NE(verified.out.find("the books add up"), std::string::npos);
    const Outcome usage = run_program("usage --by model --json" + config_);
    EXPECT_EQ(usage.code, 0) << usage.err;
    EXPECT_NE(usage.out.find("\"rows\":[]"), std::string::npos) << usage.out;
    EXPECT_EQ(run_program("usage --by nonsense" + config_).code, 2);
    const Outcome chosen = run_program(
        "usage --by day,tag:stage --project p --end-user u --tag stage=prod --tag team= "
        "--contract c --tier batch --context 200000 --csv" +
        config_);
    EXPECT_EQ(chosen.code, 0) << chosen.err;
    EXPECT_TRUE(chosen.out.starts_with("DAY,TAG:STAGE,EXCHANGES")) << chosen.out;
    EXPECT_EQ(run_program("usage --tier cheap" + config_).code, 2);
    EXPECT_EQ(run_program("usage --data /nonexistent/place").code, 1);
}

TEST_F(WithBooks, ModelsAndExplainTellPricesAndReasons) {
    const Outcome models = run_program("models --csv" + config_);
    EXPECT_NE(models.out.find("m,m/lab,lab,,m,1000,500,1.00"), std::string::npos)
        << models.out << models.err;
    const Outcome plan = run_program("explain --model m --in 100 --out 50 --json" + config_);
    EXPECT_EQ(plan.code, 0) << plan.err;
    const auto lab = plan.out.find("m/lab"), hq = plan.out.find("m/hq");
    EXPECT_LT(lab, hq) << plan.out;
    // The key may not go to the cheaper one.
    const Outcome keyed =
        run_program("explain --model m --in 100 --out 50 --key filed --json" + config_);
    EXPECT_NE(keyed.out.find("cloud_not_allowed"), std::string::npos) << keyed.out << keyed.err;
    const Outcome request = run_program("explain --request -" + config_,
        R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(request.code, 0) << request.err;
    EXPECT_EQ(run_program("explain --model nn --in 1 --out 1" + config_).code, 1);
    // A rate of one's own counts for the next command.
    const Outcome rate = run_program(
        "prices set --offer m/lab --price input=77.25 --from 2026-01-01 --confirm" + config_);
    ASSERT_EQ(rate.code, 0) << rate.err;
    const Outcome dearer = run_program("models --csv" + config_);
    EXPECT_NE(dearer.out.find("m,m/lab,lab,,m,1000,500,77.25"), std::string::npos) << dearer.out;
    const Outcome other = run_program("explain --model m --in 100 --out 50 --json" + config_);
    EXPECT_GT(other.out.find("m/lab"), other.out.find("m/hq")) << other.out;
}

// The same facts that the gateway tells its router: the tier decides the price, and a key under no
// budget needs no price at all.
TEST_F(WithBooks, ExplainWeighsARequestAsTheGatewayDoes) {
    const auto file = folder_ / "tiers.yaml";
    std::ofstream(file) << "data: data\nclouds: {hq: {kind: openai, api_key: k}, lab: {kind: "
                           "openai_compatible, endpoint: 'http://h'}}\n"
                           "models: {gpt-4o-mini: {offers: {hq: {cloud: hq}}}, own: {offers: "
                           "{lab: {cloud: lab, context_tokens: 9000, max_output_tokens: 900}}}}\n"
                           "orgs: {o: {}}\nteams: {t: {org: o}}\nkeys: {free: {team: t, secret: a},"
                           " held: {team: t, secret: b, budgets: [{limit: '1'}]}}\n";
    const auto explain = [&](const std::string& options, std::string_view body) {
        return run_program("explain --json --config " + file.string() + " --request - " + options,
            std::string(body));
    };
    constexpr std::string_view kPlain =
        R"({"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":"hi"}]})";
    constexpr std::string_view kPriority =
        R"({"model":"gpt-4o-mini","max_tokens":9,"service_tier":"priority","messages":[{"role":"user","content":"hi"}]})";
    const auto hold_of = [](const Outcome& outcome) {
        const auto document = json::Document::parse(outcome.out);
        if (!document || document->root()["attempts"].items().empty()) return outcome.err;
        return std::string(document->root()["attempts"].items()[0]["hold"].string());
    };
    EXPECT_EQ(hold_of(explain("", kPlain)).substr(0, 2), "0.");
    EXPECT_LT(hold_of(explain("", kPlain)), hold_of(explain("", kPriority)));
    constexpr std::string_view kOwn =
        R"({"model":"own","max_tokens":9,"messages":[{"role":"user","content":"hi"}]})";
    EXPECT_EQ(explain("--key free", kOwn).code, 0) << explain("--key free", kOwn).out;
    EXPECT_NE(explain("--key held", kOwn).out.find("price_unknown"), std::string::npos);
}

TEST_F(WithBooks, APriceOfAnotherRegionIsToldByValidateAndExplain) {
    const auto file = folder_ / "far.yaml";
    std::ofstream(file) << "data: data\nclouds: {aws: {kind: bedrock, region: eu-north-1, api_key: "
                           "k}}\nmodels:\n  m:\n    offers:\n      aws: {cloud: aws, id: "
                           "'deepseek.v3-v1:0', context_tokens: 9, max_output_tokens: 9}\n";
    const Outcome validated = run_program("validate " + file.string());
    EXPECT_EQ(validated.code, 0);
    EXPECT_NE(validated.out.find("the list price is that of aws:bedrock-runtime:base:"),
        std::string::npos)
        << validated.out;
    EXPECT_NE(validated.err.find("1 warnings"), std::string::npos) << validated.err;
    const std::string ask = "explain --model m --in 1 --out 1 --config " + file.string();
    EXPECT_NE(
        run_program(ask).out.find("m/aws: priced as aws:bedrock-runtime:base:"), std::string::npos)
        << run_program(ask).out;
    EXPECT_NE(
        run_program(ask + " --json").out.find("\"price_approximate\":true"), std::string::npos);
}

// logrotate renames the file and sends SIGHUP; lines then go to a new file of the old name.
TEST_F(WithBooks, ServeOpensTheAccessLogAnewOnHangUp) {
    const auto file = folder_ / "logs.yaml";
    std::ofstream(file) << "data: data\nlisten: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n"
                           "threads: 1\naccess_log: access.log\n";
    const std::string log = (folder_ / "access.log").string();
    const std::string appears = "n=0; while [ ! -e " + log +
        " ]; do n=$((n+1)); [ $n -gt 400 ] && break; sleep 0.05; done; ";
    const std::string script = std::string(ENTREPOT_PROGRAM) + " serve --config " + file.string() +
        " 2>/dev/null & pid=$!; " + appears + "mv " + log + " " + log + ".1; kill -HUP $pid; " +
        appears + "kill -TERM $pid; wait $pid";
    const int status = std::system(script.c_str());
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_TRUE(std::filesystem::exists(log + ".1"));
    EXPECT_TRUE(std::filesystem::exists(log));
}

}  // namespace
}  // namespace entrepot::cli
