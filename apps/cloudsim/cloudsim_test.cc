#include "cloudsim/cloudsim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "cloudsim/brain.h"
#include "cloudsim/replay.h"
#include "cloudsim/schema.h"
#include "crypto/sigv4.h"
#include "json/value.h"
#include "net/http_client.h"

namespace entrepot::cloudsim {
namespace {

using testing::HasSubstr;
namespace sigv4 = crypto::sigv4;

struct Reply {
    int status = 0;  // 0: there was no head
    std::string type;
    std::string retry_after;
    std::string body;
    bool is_whole = false;
};

struct Call {
    std::string method = "POST";
    std::string url;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    int pieces_max = 1'000'000;  // hangs up after that many
};

/// Runs the clouds and one client on the test's own core.
class Sim : public testing::Test {
protected:
    void start(const Options& options = {}) {
        auto started = Cloudsim::start(core_, options);
        ASSERT_TRUE(started) << started.error().message;
        sim_ = std::move(*started);
    }
    void TearDown() override {
        if (!sim_) return;
        core_.run_until_done(drain());
        client_.reset();
        sim_.reset();
    }

    Reply send(Call call) {
        Reply reply;
        core_.run_until_done(exchange(call, reply));
        return reply;
    }
    Reply control(std::string method, std::string path, std::string body = {}) {
        return send({std::move(method), sim_->control_url() + path, std::move(body), {}});
    }
    void set(std::string_view control_json) {
        const Reply reply =
            control("PUT", "/_sim/config", R"({"all":)" + std::string(control_json) + "}");
        ASSERT_EQ(reply.status, 200) << reply.body;
    }
    std::vector<json::Document> served() {
        std::vector<json::Document> out;
        const std::string text = control("GET", "/_sim/served").body;
        std::size_t at = 0;
        while (at < text.size()) {
            const std::size_t end = text.find('\n', at);
            out.push_back(*json::Document::parse(text.substr(at, end - at)));
            at = end + 1;
        }
        return out;
    }

    const CloudAddress& cloud(std::string_view name) {
        for (const CloudAddress& one : sim_->clouds())
            if (one.name == name) return one;
        ADD_FAILURE() << name;
        return sim_->clouds().front();
    }

    Call openai(std::string rest, std::string_view name = "openai") {
        const CloudAddress& at = cloud(name);
        return {"POST", at.endpoint + "/chat/completions",
            R"({"model":"gpt-4o-mini",)" + std::move(rest) + "}",
            {{"authorization", "Bearer " + at.api_key}, {"x-entrepot-exchange", "E1"}}};
    }
    Call anthropic(std::string rest) {
        const CloudAddress& at = cloud("anthropic");
        return {"POST", at.endpoint + "/v1/messages",
            R"({"model":"claude-sonnet-4-5-20250929","max_tokens":64,)" + std::move(rest) + "}",
            {{"x-api-key", at.api_key}, {"anthropic-version", "2023-06-01"}}};
    }
    Call bedrock(std::string body, std::string_view secret, std::string_view path) {
        const CloudAddress& at = cloud("bedrock");
        sigv4::Signer signer(
            {at.access_key_id, Secret(std::string(secret)), Secret()}, at.region, "bedrock");
        const std::string host = at.endpoint.substr(7);
        const std::string hash = crypto::hex(crypto::sha256(body));
        const std::vector<sigv4::HeaderView> headers{
            {"host", host}, {"content-type", "application/json"}};
        Call call{"POST", at.endpoint + std::string(path), std::move(body),
            {{"content-type", "application/json"}}};
        for (const sigv4::Header& header :
            signer.sign({"POST", path, "", headers, hash}, wall_now()))
            call.headers.emplace_back(header.name, header.value);
        return call;
    }

    Core core_;
    std::unique_ptr<Cloudsim> sim_;
    std::unique_ptr<net::HttpClient> client_;

private:
    Co<void> drain() {
        const Deadline deadline = core_.after(seconds(2));
        co_await sim_->drain(deadline);
    }

    Co<void> exchange(Call& call, Reply& reply) {
        if (!client_) client_ = std::make_unique<net::HttpClient>(core_);
        const std::size_t slash =
            std::min(call.url.find('/', 7), call.url.size());  // behind http://
        const std::string base = call.url.substr(slash);
        const auto origin = net::Origin::parse(call.url.substr(0, slash));
        const auto pool = client_->origin(*origin);
        net::HeaderLines lines;
        for (const auto& [name, value] : call.headers) lines.add(name, value);
        net::ClientRequest request;
        request.method = call.method;
        request.target = base;
        request.header_lines = lines.text();
        request.body = call.body;
        net::ExchangeLimits limits;
        limits.deadline = core_.after(seconds(5));
        Result<net::ClientExchange> answered = co_await client_->exchange(**pool, request, limits);
        if (!answered) co_return;
        reply.status = answered->status();
        reply.type = answered->headers().find("content-type").value_or("");
        reply.retry_after = answered->headers().find("retry-after").value_or("");
        for (int i = 0; i < call.pieces_max; ++i) {
            const Result<std::string_view> piece = co_await answered->read_body();
            if (!piece) co_return;
            if (piece->empty()) {
                reply.is_whole = true;
                co_return;
            }
            reply.body += *piece;
        }
        answered->close();
    }
};

const std::string kSay = R"("messages":[{"role":"user","content":"hi"}])";
const std::string kConverse = R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})";
constexpr std::string_view kPath = "/model/amazon.nova-lite-v1%3A0/converse";

TEST_F(Sim, VerifiesCredentialsWithEachCloudsOwnError) {
    start();
    EXPECT_EQ(send(openai(kSay)).status, 200);
    Call wrong = openai(kSay);
    wrong.headers[0].second = "Bearer x";
    const Reply refused = send(wrong);
    EXPECT_EQ(refused.status, 401);
    EXPECT_THAT(refused.body, HasSubstr("invalid_api_key"));

    EXPECT_EQ(send(anthropic(kSay)).status, 200);
    wrong = anthropic(kSay);
    wrong.headers[0].second = "x";
    EXPECT_THAT(send(wrong).body, HasSubstr("authentication_error"));

    const std::string secret = cloud("bedrock").secret_access_key;
    EXPECT_EQ(send(bedrock(kConverse, secret, kPath)).status, 200);
    EXPECT_EQ(send(bedrock(kConverse, "another", kPath)).status, 403);
    Call changed = bedrock(kConverse, secret, kPath);
    changed.body += " ";  // behind the signature's back
    EXPECT_THAT(send(changed).body, HasSubstr("signature"));
    Call bearer{"POST", cloud("bedrock").endpoint + std::string(kPath), kConverse,
        {{"authorization", "Bearer " + cloud("bedrock").api_key}}};
    EXPECT_EQ(send(bearer).status, 200);

    Call azure{"POST",
        cloud("azure").endpoint +
            "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        "{" + kSay + "}", {{"api-key", cloud("azure").api_key}}};
    EXPECT_THAT(send(azure).body, HasSubstr("prompt_filter_results"));
    Call old = azure;
    old.url.replace(old.url.find("2024-10-21"), 10, "2024-02-01");
    old.body = "{" + kSay + R"(,"stream":true,"stream_options":{"include_usage":true}})";
    EXPECT_THAT(send(old).body, HasSubstr("stream_options"));
    azure.url.resize(azure.url.find('?'));
    EXPECT_EQ(send(azure).status, 404);  // without its version Azure knows no such resource
}

TEST_F(Sim, RefusesWhatTheCloudsRefuse) {
    start();
    EXPECT_EQ(send(openai(R"("messages":[])")).status, 400);
    EXPECT_EQ(send(openai(R"("messages":[{"role":"wizard","content":"x"}])")).status, 400);
    EXPECT_EQ(
        send(openai(R"("messages":[{"role":"tool","tool_call_id":"a","content":"x"}])")).status,
        400);
    EXPECT_THAT(send(anthropic(R"("messages":[{"role":"assistant","content":"x"}])")).body,
        HasSubstr("first message"));
    EXPECT_THAT(
        send(anthropic(R"("messages":[{"role":"user","content":[{"type":"text","text":""}]}])"))
            .body,
        HasSubstr("non-empty"));
    const std::string secret = cloud("bedrock").secret_access_key;
    const auto converse = [&](std::string body) { return send(bedrock(body, secret, kPath)).body; };
    EXPECT_THAT(
        converse(R"({"messages":[{"role":"user","content":[{"text":" "}]}]})"), HasSubstr("blank"));
    EXPECT_THAT(converse(R"({"messages":[{"role":"user","content":[{"text":"a"}]},)"
                         R"({"role":"user","content":[{"text":"b"}]}]})"),
        HasSubstr("alternate"));
    EXPECT_THAT(converse(R"({"messages":[{"role":"user","content":[{"text":"a"}]},{"role":)"
                         R"("assistant","content":[{"toolUse":{"toolUseId":"i","name":"n","input":)"
                         R"({}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"i",)"
                         R"("content":[{"text":"r"}]}}]}]})"),
        HasSubstr("toolConfig"));
    for (const json::Document& entry : served()) EXPECT_EQ(entry.root()["usage"].raw(), "{}");
}

TEST_F(Sim, ReportsUsageInStreamsOnlyWhenAsked) {
    start();
    EXPECT_EQ(send(openai(kSay + R"(,"stream":true)")).body.find("\"usage\""), std::string::npos);
    const Reply asked =
        send(openai(kSay + R"(,"stream":true,"stream_options":{"include_usage":true})"));
    EXPECT_THAT(asked.body, HasSubstr("\"usage\":null"));
    EXPECT_THAT(asked.body, HasSubstr("\"total_tokens\":26"));
    const auto entries = served();
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[0].root()["reported"].as_bool(), false);
    EXPECT_EQ(entries[1].root()["reported"].as_bool(), true);
    EXPECT_EQ(entries[1].root()["usage"].raw(), R"({"input":2,"output":24})");
    EXPECT_EQ(entries[1].root()["exchange"].string(), "E1");
    EXPECT_EQ(control("DELETE", "/_sim/served").status, 200);
    EXPECT_TRUE(served().empty());
}

TEST_F(Sim, BreaksAsItWasTold) {
    start();
    struct Case {
        std::string fault;
        int status;
        bool is_whole;
    };
    for (const Case& c : {Case{"dead", 0, false}, Case{"throttle", 429, true},
             Case{"overload", 529, true}, Case{"error500", 500, true},
             Case{"truncate_stream", 200, false}, Case{"stream_error", 200, true},
             Case{"bad_crc", 200, true}, Case{"empty", 200, true}}) {
        set(R"({"fault":")" + c.fault + R"(","retry_after_s":7})");
        const Reply reply = send(anthropic(kSay + R"(,"stream":true)"));
        EXPECT_EQ(reply.status, c.status) << c.fault;
        EXPECT_EQ(reply.is_whole, c.is_whole) << c.fault;
        EXPECT_EQ(reply.body.find("message_stop"), std::string::npos) << c.fault;
        EXPECT_EQ(reply.retry_after, c.status == 429 ? "7" : "");
        const auto entries = served();
        EXPECT_EQ(entries.back().root()["fault"].string(), c.fault);
        EXPECT_EQ(entries.back().root()["reported"].as_bool(), false) << c.fault;
    }
    set(R"({"fault":"error500","every":3})");
    std::vector<int> statuses;
    for (int i = 0; i < 6; ++i) statuses.push_back(send(anthropic(kSay)).status);
    EXPECT_THAT(statuses, testing::ElementsAre(200, 200, 500, 200, 200, 500));
    set(R"({"requests_per_minute":2})");
    statuses.clear();
    for (int i = 0; i < 4; ++i) statuses.push_back(send(openai(kSay)).status);
    // The minute may turn between two requests, so the count is at least bounded.
    EXPECT_GE(std::ranges::count(statuses, 200), 2);
    EXPECT_EQ(control("PUT", "/_sim/config", R"({"all":{"nonsense":1}})").status, 400);
}

TEST_F(Sim, KnowsThatTheClientWentAway) {
    start();
    set(R"({"chunk_ms":40,"output_tokens":200})");
    Call call = openai(kSay + R"(,"stream":true)");
    call.pieces_max = 2;
    const Reply reply = send(call);
    EXPECT_FALSE(reply.is_whole);
    for (int i = 0; i < 200 && served().back().root()["client_gone"].as_bool() != true; ++i) {
    }
    const auto entries = served();
    EXPECT_EQ(entries.back().root()["client_gone"].as_bool(), true);
    EXPECT_EQ(entries.back().root()["completed"].as_bool(), false);
}

TEST_F(Sim, AnswersAsRecordedInReplay) {
    const auto file = std::filesystem::temp_directory_path() /
        ("cloudsim-replay-" + std::to_string(::getpid()) + ".jsonl");
    std::ofstream(file)
        << R"({"id":"a","dialect":"openai-chat","stream":false,"request":{"method":"POST","path":)"
           R"("/v1/chat/completions","body":{"model":"m","messages":[1]}},"response":{"status":200,)"
           R"("headers":{"content-type":"application/json","x-request-id":"r"},"body":{"id": "one"}}})"
           "\n"
           R"({"id":"b","dialect":"bedrock-converse","stream":true,"request":{"method":"POST","path":)"
           R"("/model/m/converse-stream","body":null},"response":{"status":200,"headers":{},)"
           R"("body_base64":"AAECAw=="}})"
           "\n";
    Options options;
    options.replay_file = file.string();
    start(options);
    std::filesystem::remove(file);
    Call call = openai(R"("messages":[1])");
    call.body = R"({ "messages": [1], "model": "m" })";  // the same JSON in other words
    EXPECT_EQ(send(call).body, R"({"id": "one"})");
    Call stream{"POST", cloud("bedrock").endpoint + "/model/m/converse-stream", "{}", {}};
    const Reply reply = send(stream);
    EXPECT_EQ(reply.body, std::string("\0\1\2\3", 4));
    EXPECT_EQ(reply.type, "application/vnd.amazon.eventstream");
    EXPECT_EQ(send(openai(kSay)).status, 404);  // of another model
    EXPECT_EQ(control("GET", "/_sim/unmatched").body, "POST /v1/chat/completions\n");
}

TEST(CloudsimSchema, FillsWhatASchemaRequires) {
    const auto made = [](std::string schema) {
        return sample(json::Document::parse(std::move(schema))->root());
    };
    EXPECT_EQ(made(R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer",)"
                   R"("minimum":5},"c":{"enum":["x","y"]},"d":{"type":["null","boolean"]}},)"
                   R"("required":["a","b","c","d"]})"),
        R"({"a":"text","b":5,"c":"x","d":true})");
    EXPECT_EQ(made(R"({"$defs":{"n":{"type":"object","properties":{"v":{"type":"number"},"next":)"
                   R"({"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v"]}},)"
                   R"("$ref":"#/$defs/n"})"),
        R"({"v":1})");
    EXPECT_EQ(made(R"({"type":"array","minItems":2,"items":{"const":7}})"), "[7,7]");
    EXPECT_EQ(made(R"({"type":"string","minLength":6})"), R"("textxx")");
}

TEST(CloudsimBrain, HonoursTheCapAndCountsWhatItSays) {
    Brain brain;
    Ask ask;
    ask.prompt = std::string(400, 'p');
    ask.output_tokens_max = 5;
    const Answer cut = brain.think(ask, Control());
    EXPECT_EQ(cut.finish, Finish::kLength);
    EXPECT_EQ(cut.text.size(), 20U);
    EXPECT_EQ(canon::to_json(cut.usage), R"({"input":100,"output":5})");
    ask.output_tokens_max.reset();
    ask.stop = {"ten"};
    EXPECT_EQ(brain.think(ask, Control()).text, "one two six ");
    EXPECT_EQ(brain.think(ask, Control()).finish, Finish::kStopSequence);
}

TEST(CloudsimBrain, CallsWhatItIsAskedTo) {
    Brain brain;
    Ask ask;
    ask.tools = {{"get_weather",
                     R"({"type":"object","properties":{"city":{"type":"string"}},)"
                     R"("required":["city"]})"},
        {"get_time", ""}};
    ask.last_user_text = "call get_weather and get_time";
    const Answer two = brain.think(ask, Control());
    ASSERT_EQ(two.calls.size(), 2U);
    EXPECT_EQ(two.calls[0].arguments, R"({"city":"text"})");
    EXPECT_EQ(two.calls[1].arguments, "{}");
    EXPECT_NE(two.calls[0].id, two.calls[1].id);
    ask.is_parallel_allowed = false;
    EXPECT_EQ(brain.think(ask, Control()).calls.size(), 1U);
    ask.tool_mode = Ask::ToolMode::kNone;
    EXPECT_TRUE(brain.think(ask, Control()).calls.empty());
}

TEST(CloudsimBrain, ReadsAMarkedPrefixFromItsCacheTheSecondTime) {
    Brain brain;
    Ask ask;
    ask.prompt = std::string(4000, 'p') + "question";
    ask.marked_bytes = 4000;
    EXPECT_EQ(canon::to_json(brain.think(ask, Control()).usage),
        R"({"input":2,"cache_write":1000,"output":24})");
    EXPECT_EQ(canon::to_json(brain.think(ask, Control()).usage),
        R"({"input":2,"cache_read":1000,"output":24})");
}

TEST(CloudsimBrain, SplitsTextBetweenCharacters) {
    const std::string text = "åäö – 日本語 🙂 end";
    for (std::int64_t chunks = 1; chunks < 40; ++chunks) {
        std::string together;
        for (const std::string_view piece : pieces_of(text, chunks)) {
            EXPECT_TRUE(json::Document::parse("\"" + std::string(piece) + "\"")) << piece;
            together += piece;
        }
        EXPECT_EQ(together, text);
    }
}

}  // namespace
}  // namespace entrepot::cloudsim
