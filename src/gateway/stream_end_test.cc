// Where a client's stream ends, and what becomes of the supplier's then.
#include <mutex>
#include <set>

#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kWhole =
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,"
    "\"model\":\"tiny-2026\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"},"
    "\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,"
    "\"model\":\"tiny-2026\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
    "\"completion_tokens\":3,\"total_tokens\":12}}\n\n"
    "data: [DONE]\n\n";

/// A supplier that says all at once, and does not end its body before it may.
class Lingering final : public net::Handler {
public:
    Lingering() : cores_(1) {
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
    ~Lingering() override {
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
        {
            const std::lock_guard lock(mutex);
            connections.insert(std::string(request.peer));
        }
        response.start(200, "content-type: text/event-stream\r\n");
        Status wrote = co_await response.write(kWhole);
        while (wrote && !may_end) {
            const Until until{cores_[0].after(10ms), request.cancel};
            wrote = co_await cores_[0].sleep(until);
        }
        if (wrote) wrote = co_await response.finish();
        ++(wrote ? finished : cancelled);
    }

    std::uint16_t port = 0;
    std::atomic<bool> may_end{false};
    std::atomic<int> finished{0}, cancelled{0};
    std::mutex mutex;
    std::set<std::string> connections;

private:
    Co<void> drain(std::promise<void>& done) {
        co_await server_->drain(cores_[0].after(0ms));
        done.set_value();
    }
    Cores cores_;
    std::unique_ptr<net::HttpServer> server_;
};

class StreamEndTest : public GatewayTest {
protected:
    void SetUp() override {
        GatewayTest::SetUp();
        start_with(fmt::format(R"(clouds:
  lab: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1"}}
models:
  tiny:
    offers:
      lab:
        cloud: lab
        id: tiny-2026
        context_tokens: 8000
        max_output_tokens: 1000
        price: {{input: "1.00", output: "2.00", currency: USD}}
)",
            supplier.port));
    }
    static bool becomes(const std::atomic<int>& counter, int value) {
        for (int tries = 0; tries < 500 && counter != value; ++tries)
            std::this_thread::sleep_for(10ms);
        return counter == value;
    }
    Lingering supplier;
};

TEST_F(StreamEndTest, ItsOwnLastEventEndsItThoughTheSuppliersBodyGoesOn) {
    for (int i = 1; i <= 6; ++i) {
        supplier.may_end = false;
        const Reply reply = ask(kAskStream);  // else it would not return
        supplier.may_end = true;
        EXPECT_FALSE(reply.truncated);
        EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n")) << reply.body;
        EXPECT_EQ(report_of(reply).attempts.back().state, store::AttemptFacts::State::kSettled);
        EXPECT_TRUE(becomes(supplier.finished, i)) << "its end was not waited for";
        std::this_thread::sleep_for(50ms);  // for its end to be read
    }
    EXPECT_EQ(supplier.cancelled, 0);
    const std::lock_guard lock(supplier.mutex);
    EXPECT_LE(supplier.connections.size(), 2u) << "one for each core";
    expect_books_in_order();
}

TEST_F(StreamEndTest, ASupplierThatDoesNotEndIsLeft) {
    const Reply reply = ask(kAskStream);
    EXPECT_FALSE(reply.truncated);
    EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n")) << reply.body;
    EXPECT_TRUE(becomes(supplier.cancelled, 1));
    EXPECT_EQ(supplier.finished, 0);
    expect_books_in_order();
}

TEST_F(StreamEndTest, AStopDoesNotWaitForATail) {
    const Reply reply = ask(kAskStream);
    EXPECT_FALSE(reply.truncated);
    gateway_.reset();
    EXPECT_TRUE(becomes(supplier.cancelled, 1));
}

}  // namespace
}  // namespace entrepot::gateway
