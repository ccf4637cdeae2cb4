// bench_supplier PORT EVENTS INTERVAL_MS: a supplier that costs as little as it can.
// A request whose body asks for a stream gets EVENTS events, INTERVAL_MS apart, each bearing the
// nanosecond of CLOCK_MONOTONIC at which it was written in its text; any other gets one fixed
// answer of about 600 bytes.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <string>

#include "net/http_server.h"
#include "runtime/core.h"

namespace {

using namespace std::string_view_literals;
using entrepot::Co;
using entrepot::Core;

constexpr std::string_view kAnswer =
    R"({"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini",)"
    R"("choices":[{"index":0,"message":{"role":"assistant","content":"Every crate that crosses the )"
    R"(quay is weighed, and its weight is written down before the ship may leave; at dusk the book )"
    R"(is added up and must agree with what lies in the sheds, to the last pound, or nobody goes )"
    R"(home. That is the whole of the trade.","refusal":null},"logprobs":null,"finish_reason":)"
    R"("stop"}],"usage":{"prompt_tokens":120,"completion_tokens":50,"total_tokens":170,)"
    R"("prompt_tokens_details":{"cached_tokens":0}},"system_fingerprint":"fp_bench"})";
constexpr std::string_view kEnd =
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
    "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}"
    "\n\n"
    "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
    "\"model\":\"gpt-4o-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":120,"
    "\"completion_tokens\":50,\"total_tokens\":170}}\n\ndata: [DONE]\n\n";

class Supplier final : public entrepot::net::Handler {
public:
    Supplier(Core& core, int events, entrepot::milliseconds interval)
        : core_(core), events_(events), interval_(interval) {}

    Co<void> handle(
        entrepot::net::ServerRequest& request, entrepot::net::ResponseWriter& response) override {
        if (request.body.find("\"stream\":true"sv) == std::string::npos) {
            (void)co_await response.send(200, "content-type: application/json\r\n", kAnswer);
            co_return;
        }
        response.start(200, "content-type: text/event-stream\r\n");
        entrepot::MonotonicTime due = core_.now();
        for (int sent = 0; sent < events_; ++sent) {
            due = due + interval_;
            const entrepot::Until until{entrepot::Deadline::at(due), request.cancel};
            if (const auto slept = co_await core_.sleep(until); !slept) co_return;
            const std::string event = fmt::format(
                "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\","
                "\"created\":1790000000,\"model\":\"gpt-4o-mini\",\"choices\":[{{\"index\":0,"
                "\"delta\":{{\"content\":\" t={:020}\"}},\"finish_reason\":null}}]}}\n\n",
                entrepot::monotonic_now().ns);
            if (const auto wrote = co_await response.write(event); !wrote) co_return;
        }
        (void)co_await response.finish(kEnd);
    }

private:
    Core& core_;
    int events_;
    entrepot::milliseconds interval_;
};

Co<void> serve(entrepot::net::HttpServer& server) {
    if (const auto started = server.start(); !started) {
        fmt::print(stderr, "{}\n", started.error().message);
        co_return;
    }
    Core& core = *Core::current();
    for (;;) {
        const entrepot::Until until{core.after(std::chrono::hours(1)), nullptr};
        (void)co_await core.sleep(until);
    }
}

int number(const char* text) {
    int value = 0;
    const std::string_view view(text);
    std::from_chars(view.data(), view.data() + view.size(), value);
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        fmt::print(stderr, "usage: bench_supplier PORT EVENTS INTERVAL_MS\n");
        return 2;
    }
    Core core;
    auto listener = entrepot::net::Listener::bind(fmt::format("127.0.0.1:{}", number(argv[1])));
    if (!listener) {
        fmt::print(stderr, "{}\n", listener.error().message);
        return 1;
    }
    Supplier supplier(core, number(argv[2]), entrepot::milliseconds(number(argv[3])));
    entrepot::net::HttpServer server(core, std::move(*listener), supplier);
    core.run_until_done(serve(server));
}
