#pragma once

// What the tests of the gateway share: scripted suppliers, a client, a gateway before them.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "config/load.h"
#include "gateway/gateway.h"
#include "json/value.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "runtime/scope.h"

namespace entrepot::gateway {

using namespace std::chrono_literals;

inline constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"tiny-2026","choices":[)"
    R"({"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})";

inline std::string chunk(std::string_view text) {
    return fmt::format(R"(data: {{"id":"c","object":"chat.completion.chunk","created":1,)"
                       R"("model":"tiny-2026","choices":[{{"index":0,"delta":{{"content":"{}"}},)"
                       R"("finish_reason":null}}],"usage":null}})"
                       "\n\n",
        text);
}
inline const std::string kFinish =
    R"(data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"tiny-2026",)"
    R"("choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null})"
    "\n\n";
inline const std::string kUsage =
    R"(data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"tiny-2026",)"
    R"("choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}})"
    "\n\n";
inline const std::string kDone = "data: [DONE]\n\n";

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

inline Script stream_of(std::vector<std::string> pieces) {
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
            if (on_request) on_request(request);
            script = by_request ? by_request(request) : answer;
            if (!by_request && !queue.empty()) {
                script = std::move(queue.front());
                queue.pop_front();
            }
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
        else if (const Status ended = co_await response.finish(); ended)
            ++finished;
        else
            ++cancelled;
    }

    /// Called with each request before it is answered, one at a time; set it before the first.
    std::function<void(const net::ServerRequest&)> on_request;
    /// What to do with each, instead of what was planned; likewise.
    std::function<Script(const net::ServerRequest&)> by_request;

    void plan(Script script) {
        const std::lock_guard lock(mutex);
        answer = std::move(script);
    }
    /// For the next requests, one each; then what `plan` says.
    void plan_next(std::deque<Script> scripts) {
        const std::lock_guard lock(mutex);
        queue = std::move(scripts);
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
    std::atomic<int> finished{0};  ///< streams that were sent to their end

private:
    Co<void> drain(std::promise<void>& done) {
        co_await server_->drain(cores_[0].after(0ms));
        done.set_value();
    }
    std::mutex mutex;
    Script answer;
    std::deque<Script> queue;
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
inline Reply call(std::uint16_t port, std::string_view method, std::string_view path,
    std::string_view body, std::string_view key = "sk-test", int reads_max = 0,
    std::string_view header_lines = "") {
    Reply reply;
    Core core;
    net::HttpClient client(core);
    net::OriginPool* pool = *client.origin(net::Origin{false, "127.0.0.1", port, "", ""});
    const std::string lines = fmt::format("authorization: Bearer {}\r\n{}", key, header_lines);
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

    /// `extra`, `orgs`, `teams`: more keys, orgs and teams, in YAML, two columns in.
    void start(std::string_view budget, std::string_view extra = "", std::string_view orgs = "",
        std::string_view teams = "") {
        const std::string suppliers = fmt::format(R"(clouds:
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
)",
            first.port, second.port);
        start_with(suppliers, budget, extra, orgs, teams);
    }

    /// `suppliers`: the sections `clouds` and `models`, in YAML.
    void start_with(std::string_view suppliers, std::string_view budget = kBudget,
        std::string_view extra = "", std::string_view orgs = "", std::string_view teams = "") {
        gateway_.reset();
        const std::string yaml = fmt::format(R"(
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
data: {}
threads: 2
{}
orgs:
  acme: {{budgets: [{{limit: "{}", currency: USD, period: month, timezone: UTC}}]}}
  free: {{}}
{}teams:
  search: {{org: acme}}
  free: {{org: free}}
{}keys:
  test: {{team: search, secret: sk-test, models: ["*"]}}
  eu: {{team: search, secret: sk-eu, models: ["*"], regions: [eu]}}
  mate: {{team: search, secret: sk-mate, models: ["*"], policy: {{kept: team}}}}
{})",
            data_.string(), suppliers, budget, orgs, teams, extra);
        config::Loaded loaded =
            config::load_text(yaml, "test.yaml", config::Environment::of_process());
        ASSERT_TRUE(loaded.ok()) << config::format_problems(loaded.problems);
        books_options_.data = data_;
        books_options_.segment_bytes = 1 << 20;
        books_options_.durability = loaded.settings->durability == config::Durability::kPower
            ? store::Durability::kPower
            : store::Durability::kProcess;
        Result<std::unique_ptr<store::Books>> books =
            store::Books::open(books_options_, wall_now());
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
    store::BooksOptions books_options_;  ///< beyond what the settings say
    std::unique_ptr<Gateway> gateway_;
};

inline constexpr std::string_view kAsk =
    R"({"model":"tiny","messages":[{"role":"user","content":"hi"}]})";
inline constexpr std::string_view kAskStream =
    R"({"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true})";

}  // namespace entrepot::gateway
