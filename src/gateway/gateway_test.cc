#include "gateway/gateway.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "config/load.h"
#include "json/value.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "runtime/scope.h"

namespace entrepot::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"tiny-2026","choices":[)"
    R"({"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})";

std::string chunk(std::string_view text) {
    return fmt::format(R"(data: {{"id":"c","object":"chat.completion.chunk","created":1,)"
                       R"("model":"tiny-2026","choices":[{{"index":0,"delta":{{"content":"{}"}},)"
                       R"("finish_reason":null}}],"usage":null}})"
                       "\n\n",
        text);
}
const std::string kFinish =
    R"(data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"tiny-2026",)"
    R"("choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null})"
    "\n\n";
const std::string kUsage =
    R"(data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"tiny-2026",)"
    R"("choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})"
    "\n\n";
const std::string kDone = "data: [DONE]\n\n";

/// What a scripted supplier does with a request.
struct Script {
    int status = 200;
    std::string content_type = "application/json";
    std::string headers;
    std::vector<std::string> pieces{std::string(kAnswer)};
    bool breaks_off = false;  ///< closes the connection after the pieces
    milliseconds before{0};   ///< before the head
    milliseconds between{0};  ///< between pieces
};

Script stream_of(std::vector<std::string> pieces) {
    Script script;
    script.content_type = "text/event-stream";
    script.pieces = std::move(pieces);
    return script;
}

/// A supplier on a thread of its own that answers by script and remembers what it was asked.
class Supplier final : public net::Handler {
public:
    Supplier() : cores_(1) {
        net::Listener listener = *net::Listener::bind("127.0.0.1:0");
        port = listener.port();
        std::promise<void> ready;
        cores_.start([&](Core& core) {
            server_ = std::make_unique<net::HttpServer>(core, std::move(listener), *this);
            EXPECT_TRUE(server_->start());
            ready.set_value();
        });
        ready.get_future().wait();
    }
    ~Supplier() override {
        std::promise<void> drained;
        cores_[0].post([&] { cores_[0].spawn(drain(drained), [](void*) {}, nullptr); });
        drained.get_future().wait();
        std::promise<void> gone;
        cores_[0].post([&] {
            server_.reset();
            gone.set_value();
        });
        gone.get_future().wait();
        cores_.stop();
    }

    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override {
        Script script;
        {
            const std::lock_guard lock(mutex);
            bodies.push_back(request.body);
            script = answer;
        }
        if (script.before.count() > 0) {
            const Until until{cores_[0].after(script.before), request.cancel};
            if (const Status slept = co_await cores_[0].sleep(until); !slept) {
                ++cancelled;
                co_return;
            }
        }
        const std::string lines = "content-type: " + script.content_type + "\r\n" + script.headers;
        if (script.pieces.size() == 1 && !script.breaks_off) {
            (void)co_await response.send(script.status, lines, script.pieces.front());
            co_return;
        }
        response.start(script.status, lines);
        for (const std::string& piece : script.pieces) {
            const Status wrote = co_await response.write(piece);
            if (!wrote) {
                ++cancelled;
                co_return;
            }
            if (script.between.count() > 0) {
                const Until until{cores_[0].after(script.between), request.cancel};
                if (const Status slept = co_await cores_[0].sleep(until); !slept) {
                    ++cancelled;
                    co_return;
                }
            }
        }
        if (script.breaks_off)
            response.abort();
        else
            (void)co_await response.finish();
    }

    void plan(Script script) {
        const std::lock_guard lock(mutex);
        answer = std::move(script);
    }
    std::size_t served() {
        const std::lock_guard lock(mutex);
        return bodies.size();
    }
    std::string last_body() {
        const std::lock_guard lock(mutex);
        return bodies.empty() ? "" : bodies.back();
    }

    std::uint16_t port = 0;
    std::atomic<int> cancelled{0};

private:
    Co<void> drain(std::promise<void>& done) {
        co_await server_->drain(cores_[0].after(0ms));
        done.set_value();
    }
    std::mutex mutex;
    Script answer;
    std::vector<std::string> bodies;
    Cores cores_;
    std::unique_ptr<net::HttpServer> server_;
};

struct Reply {
    int status = 0;
    std::string body;
    std::map<std::string, std::string> headers;
    bool truncated = false;
};

/// One request from a client of its own; `reads_max` > 0 hangs up after that many reads.
Reply call(std::uint16_t port, std::string_view method, std::string_view path,
    std::string_view body, std::string_view key = "sk-test", int reads_max = 0) {
    Reply reply;
    Core core;
    net::HttpClient client(core);
    net::OriginPool* pool = *client.origin(net::Origin{false, "127.0.0.1", port, "", ""});
    const std::string lines = fmt::format("authorization: Bearer {}\r\n", key);
    const auto run = [&]() -> Co<void> {
        net::ClientRequest request;
        request.method = method;
        request.target = path;
        request.header_lines = lines;
        request.body = body;
        net::ExchangeLimits limits;
        Result<net::ClientExchange> exchange = co_await client.exchange(*pool, request, limits);
        if (!exchange) {
            reply.truncated = true;
            co_return;
        }
        reply.status = exchange->status();
        for (std::size_t i = 0; i < exchange->headers().size(); ++i) {
            const net::Header header = exchange->headers()[i];
            reply.headers[std::string(header.name)] = header.value;
        }
        for (int reads = 1; !exchange->body_ended(); ++reads) {
            const Result<std::string_view> more = co_await exchange->read_body();
            if (!more) {
                reply.truncated = true;
                co_return;
            }
            reply.body += *more;
            if (reads == reads_max) co_return;
        }
    };
    core.run_until_done(run());
    return reply;
}

class GatewayTest : public testing::Test {
protected:
    void SetUp() override {
        data_ = std::filesystem::temp_directory_path() /
            fmt::format("entrepot-gateway-{}-{}", getpid(), counter_++);
        start(kBudget);
    }
    void TearDown() override {
        gateway_.reset();
        std::filesystem::remove_all(data_);
    }

    void start(std::string_view budget, std::string_view extra = "") {
        gateway_.reset();
        const std::string yaml = fmt::format(R"(
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
data: {}
threads: 2
clouds:
  first:
    kind: openai_compatible
    endpoint: "http://127.0.0.1:{}/v1"
    region: eu-west-1
    timeouts: {{first_byte_ms: 300}}
  second: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1", region: us-east-1}}
models:
  tiny:
    offers:
      first:
        cloud: first
        id: tiny-2026
        context_tokens: 8000
        max_output_tokens: 1000
        price: {{input: "1.00", output: "2.00", currency: USD}}
      second:
        cloud: second
        id: tiny-2026
        context_tokens: 8000
        max_output_tokens: 1000
        price: {{input: "3.00", output: "6.00", currency: USD}}
orgs: {{acme: {{budgets: [{{limit: "{}", currency: USD, period: month, timezone: UTC}}]}}}}
teams: {{search: {{org: acme}}}}
keys:
  test: {{team: search, secret: sk-test, models: ["*"]}}
  eu: {{team: search, secret: sk-eu, models: ["*"], regions: [eu]}}
{})",
            data_.string(), first.port, second.port, budget, extra);
        config::Loaded loaded =
            config::load_text(yaml, "test.yaml", config::Environment::of_process());
        ASSERT_TRUE(loaded.ok()) << config::format_problems(loaded.problems);
        store::BooksOptions options;
        options.data = data_;
        options.segment_bytes = 1 << 20;
        Result<std::unique_ptr<store::Books>> books = store::Books::open(options, wall_now());
        ASSERT_TRUE(books) << books.error().message;
        auto started = Gateway::start(*loaded.settings, std::move(*books), {});
        ASSERT_TRUE(started) << started.error().message;
        gateway_ = std::move(*started);
    }

    Reply ask(std::string_view body, std::string_view key = "sk-test", int reads_max = 0) {
        return call(gateway_->port(), "POST", "/v1/chat/completions", body, key, reads_max);
    }

    /// The exchange as the books have it, once it is closed.
    store::ExchangeReport report_of(const Reply& reply) {
        const auto id = ExchangeId::parse(reply.headers.at("x-entrepot-exchange"));
        store::ExchangeReport report;
        for (int tries = 0; tries < 400; ++tries) {
            Result<store::ExchangeReport> found = fail(ErrorCode::kNotFound, "");
            gateway_->with_books([&](store::Books& books) { found = books.exchange(*id); });
            if (found && found->closed) return *found;
            std::this_thread::sleep_for(10ms);
        }
        ADD_FAILURE() << "the exchange was never closed";
        return report;
    }

    void expect_books_in_order() {
        gateway_->with_books([](store::Books& books) {
            EXPECT_EQ(books.stats().open_attempts, 0u);
            EXPECT_TRUE(books.verify().ok());
        });
    }

    static constexpr std::string_view kBudget = "100.00";
    static inline int counter_ = 0;
    Supplier first, second;
    std::filesystem::path data_;
    std::unique_ptr<Gateway> gateway_;
};

constexpr std::string_view kAsk = R"({"model":"tiny","messages":[{"role":"user","content":"hi"}]})";
constexpr std::string_view kAskStream =
    R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true})";

TEST_F(GatewayTest, AWholeAnswerComesByteForByteAndIsBookedAtWhatTheSupplierReported) {
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, kAnswer);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/first");
    EXPECT_EQ(reply.headers.at("x-entrepot-attempts"), "1");
    EXPECT_EQ(reply.headers.at("x-entrepot-cost"), "0.00002 USD");
    const store::ExchangeReport report = report_of(reply);
    EXPECT_EQ(report.cost.to_decimal(), "0.00002");
    EXPECT_EQ(report.attempts.at(0).flags, 0);
    expect_books_in_order();
}

TEST_F(GatewayTest, OnlyTheModelIsEditedInTheBodyThatGoesUpstream) {
    (void)ask(R"({ "model" : "tiny", "messages":[{"role":"user","content":"hi"}], )"
              R"("max_tokens" :7, "x_own": [1, 2.50] })");
    EXPECT_EQ(first.last_body(),
        R"({ "model" : "tiny-2026", "messages":[{"role":"user","content":"hi"}], )"
        R"("max_tokens" :7, "x_own": [1, 2.50] })");
}

// Else it would answer up to its context window, far beyond the hold.
TEST_F(GatewayTest, AServerOfUnknownMakeIsToldTheCapThatTheHoldRestsOn) {
    (void)ask(kAsk);
    EXPECT_NE(first.last_body().find("\"max_tokens\":1000"), std::string::npos);
    (void)ask(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],)"
              R"("max_completion_tokens":5})");
    EXPECT_NE(first.last_body().find("\"max_tokens\":5"), std::string::npos);
}

TEST_F(GatewayTest, UsageIsAskedForUpstreamAndStrippedForTheClientThatDidNotAsk) {
    first.plan(stream_of({chunk("hel"), chunk("lo"), kFinish, kUsage, kDone}));
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_NE(first.last_body().find("include_usage"), std::string::npos);
    EXPECT_EQ(reply.body.find("usage"), std::string::npos) << reply.body;
    EXPECT_NE(reply.body.find("hel"), std::string::npos);
    EXPECT_TRUE(reply.body.ends_with(kDone));
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(GatewayTest, AClientThatAskedForUsageGetsTheStreamUntouched) {
    first.plan(stream_of({chunk("hello"), kFinish, kUsage, kDone}));
    const Reply reply =
        ask(R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true,)"
            R"("stream_options":{"include_usage":true}})");
    EXPECT_EQ(reply.body, chunk("hello") + kFinish + kUsage + kDone);
}

TEST_F(GatewayTest, AFailureBeforeTheFirstByteMovesToTheNextOffer) {
    for (const int status : {500, 503, 429, 401}) {
        Script script;
        script.status = status;
        script.pieces = {R"({"error":{"message":"no"}})"};
        first.plan(script);
        const Reply reply = ask(kAsk);
        EXPECT_EQ(reply.status, 200) << status;
        EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second") << status;
    }
    expect_books_in_order();
}

TEST_F(GatewayTest, AStreamThatBreaksBeforeItsFirstEventMovesToTheNextOffer) {
    Script broken = stream_of({": wait\n\n"});
    broken.pieces.clear();
    broken.breaks_off = true;
    first.plan(broken);
    second.plan(stream_of({chunk("hello"), kFinish, kUsage, kDone}));
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    EXPECT_EQ(reply.headers.at("x-entrepot-attempts"), "2");
    expect_books_in_order();
}

TEST_F(GatewayTest, AStreamCutAfterContentEndsInTheDialectsErrorAndIsBookedAsAnEstimate) {
    Script cut = stream_of({chunk("hello"), chunk(" world")});
    cut.breaks_off = true;
    first.plan(cut);
    const Reply reply = ask(kAskStream);
    EXPECT_EQ(reply.status, 200);
    EXPECT_FALSE(reply.truncated);
    EXPECT_NE(reply.body.find("data: {\"error\":"), std::string::npos) << reply.body;
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    EXPECT_FALSE(report.cost.is_zero());
    EXPECT_LE(report.cost, report.attempts.at(0).held);
    expect_books_in_order();
}

TEST_F(GatewayTest, AClientThatHangsUpCancelsUpstreamAndIsStillBooked) {
    Script slow = stream_of({chunk("a"), chunk("b"), chunk("c"), chunk("d"), chunk("e")});
    slow.between = 100ms;
    first.plan(slow);
    const Reply reply = ask(kAskStream, "sk-test", 1);
    const store::ExchangeReport report = report_of(reply);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kClientGone);
    EXPECT_TRUE(report.attempts.at(0).flags & ledger::settle_flag::kEstimated);
    for (int tries = 0; tries < 200 && first.cancelled == 0; ++tries)
        std::this_thread::sleep_for(10ms);
    EXPECT_EQ(first.cancelled, 1);
    expect_books_in_order();
}

TEST_F(GatewayTest, ASupplierThatSaysNothingTimesOutAndTheNextOneAnswers) {
    Script silent;
    silent.before = 2s;
    first.plan(silent);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("x-entrepot-offer"), "tiny/second");
    // The first attempt was sent, so it may have been billed: it is in the books, as an estimate.
    const store::ExchangeReport report = report_of(reply);
    ASSERT_EQ(report.attempts.size(), 2u);
    EXPECT_TRUE(report.attempts[0].flags & ledger::settle_flag::kEstimated);
    expect_books_in_order();
}

TEST_F(GatewayTest, AKeyOfTheEuNeverReachesTheUsAlsoNotOnFailover) {
    Script down;
    down.status = 500;
    first.plan(down);
    const Reply reply = ask(kAsk, "sk-eu");
    EXPECT_GE(reply.status, 500);
    EXPECT_EQ(second.served(), 0u);
    expect_books_in_order();
}

TEST_F(GatewayTest, ARefusalByTheBudgetSaysWhatIsLeftAndWhatWouldFit) {
    start("0.001");  // the worst case is about 0.002: a thousand tokens of output
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 429);
    const auto document = json::Document::parse(reply.body);
    ASSERT_TRUE(document) << reply.body;
    const std::string message((*document).root()["error"]["message"].string());
    EXPECT_NE(message.find("0.001 USD left"), std::string::npos) << message;
    EXPECT_NE(message.find("max_tokens up to "), std::string::npos) << message;
    EXPECT_NE(message.find("renews at"), std::string::npos) << message;
    EXPECT_EQ(first.served(), 0u);
    expect_books_in_order();
}

TEST_F(GatewayTest, BadInputIsRefusedInTheClientsDialectAndBilledNothing) {
    struct Case {
        std::string_view body;
        int status;
        std::string_view says;
    };
    for (const Case& c : std::initializer_list<Case>{
             {"{", 400, "JSON"},
             {R"({"messages":[{"role":"user","content":"hi"}]})", 400, "model"},
             {R"({"model":"tny","messages":[{"role":"user","content":"hi"}]})", 404, "tiny"},
             {R"({"model":"tiny","messages":"hi"})", 400, "messages"},
             {R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],)"
              R"("temperature":"hot"})",
                 400, "temperature"},
             {R"({"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url",)"
              R"("image_url":{"url":"nonsense"}}]}]})",
                 400, "image_url"},
         }) {
        const Reply reply = ask(c.body);
        EXPECT_EQ(reply.status, c.status) << c.body;
        EXPECT_NE(reply.body.find(c.says), std::string::npos) << reply.body;
        EXPECT_TRUE(reply.body.starts_with("{\"error\":")) << reply.body;
    }
    EXPECT_EQ(first.served(), 0u);
    EXPECT_EQ(call(gateway_->port(), "POST", "/v1/chat/completions", kAsk, "sk-wrong").status, 401);
    EXPECT_EQ(call(gateway_->port(), "GET", "/v1/chat/completions", "").status, 405);
    EXPECT_EQ(call(gateway_->port(), "GET", "/nowhere", "").status, 404);
    expect_books_in_order();
}

TEST_F(GatewayTest, ASuppliers400BelongsToTheClientWithoutOurAccount) {
    Script refused;
    refused.status = 400;
    refused.pieces = {R"({"error":{"message":"bad seed for org-abcdefgh123",)"
                      R"("type":"invalid_request_error","param":"seed","code":null}})"};
    first.plan(refused);
    const Reply reply = ask(kAsk);
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("bad seed"), std::string::npos);
    EXPECT_EQ(reply.body.find("abcdefgh123"), std::string::npos) << reply.body;
    EXPECT_EQ(second.served(), 0u);
    expect_books_in_order();
}

TEST_F(GatewayTest, ModelsListsWhatTheKeyMayUse) {
    const Reply reply = call(gateway_->port(), "GET", "/v1/models", "");
    EXPECT_EQ(reply.status, 200);
    EXPECT_NE(reply.body.find("\"id\":\"tiny\""), std::string::npos) << reply.body;
    EXPECT_EQ(call(gateway_->port(), "GET", "/v1/models", "", "nobody").status, 401);
}

}  // namespace
}  // namespace entrepot::gateway
