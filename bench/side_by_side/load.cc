// bench_load json PORT CONNECTIONS SECONDS BODY_BYTES [messages]
//     requests one after the other on each connection
// bench_load sse PORT STREAMS SECONDS [messages]
//     streams, begun anew when they end
// bench_load hold PORT STREAMS SECONDS [messages]
//     as many streams at once, each read to its end once
//
// Chat completions, or Anthropic's Messages. Prints one JSON object. Latencies in microseconds;
// delays are one-way, from the time stamp in the event's text.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "runtime/core.h"
#include "runtime/cores.h"
#include "runtime/scope.h"

namespace {

using entrepot::Co;
using entrepot::Core;

struct Run {
    Core& core;
    entrepot::net::HttpClient client;
    entrepot::net::OriginPool* origin = nullptr;
    entrepot::MonotonicTime until;
    bool repeats = true;
    std::string target = "/v1/chat/completions";
    std::string body;
    std::vector<std::int64_t> samples_ns;
    std::uint64_t requests = 0, events = 0, bad = 0;
};

entrepot::net::ClientRequest request_of(const Run& run) {
    entrepot::net::ClientRequest request;
    request.target = run.target;
    request.header_lines = "content-type: application/json\r\nauthorization: Bearer sk-bench\r\n";
    request.body = run.body;
    return request;
}

Co<void> ask(Run& run) {
    const entrepot::net::ClientRequest request = request_of(run);
    while (entrepot::monotonic_now() < run.until) {
        const auto began = entrepot::monotonic_now();
        entrepot::net::ExchangeLimits limits;
        auto exchange = co_await run.client.exchange(*run.origin, request, limits);
        bool is_good = exchange && exchange->status() == 200;
        while (is_good && !exchange->body_ended()) {
            const auto read = co_await exchange->read_body();
            is_good = read.has_value();
        }
        run.samples_ns.push_back((entrepot::monotonic_now() - began).count());
        ++run.requests;
        if (!is_good) ++run.bad;
    }
}

void count_events(Run& run, std::string_view bytes, entrepot::MonotonicTime now) {
    constexpr std::string_view kStamp = " t=";
    for (std::size_t at = bytes.find(kStamp); at != std::string_view::npos;
        at = bytes.find(kStamp, at + 1)) {
        const std::string_view digits = bytes.substr(at + kStamp.size(), 20);
        std::int64_t stamped_ns = 0;
        if (digits.size() == 20)
            std::from_chars(digits.data(), digits.data() + digits.size(), stamped_ns);
        if (stamped_ns == 0) continue;  // cut by a read: seldom, and not worth a buffer per stream
        run.samples_ns.push_back(now.ns - stamped_ns);
        ++run.events;
    }
}

Co<void> listen(Run& run, entrepot::nanoseconds start_after) {
    const entrepot::Until start{run.core.after(start_after), nullptr};
    (void)co_await run.core.sleep(start);
    const entrepot::net::ClientRequest request = request_of(run);
    do {
        entrepot::net::ExchangeLimits limits;
        auto exchange = co_await run.client.exchange(*run.origin, request, limits);
        bool is_good = exchange && exchange->status() == 200;
        while (is_good && !exchange->body_ended()) {
            const auto read = co_await exchange->read_body();
            is_good = read.has_value();
            if (is_good) count_events(run, *read, entrepot::monotonic_now());
        }
        ++run.requests;
        if (!is_good) ++run.bad;
    } while (run.repeats && entrepot::monotonic_now() < run.until);
}

Co<void> drive(Run& run, std::string_view mode, int width) {
    entrepot::Scope scope(run.core);
    const entrepot::nanoseconds ramp = std::chrono::seconds(mode == "hold" ? 5 : 1);
    for (int i = 0; i < width; ++i) {
        if (mode == "json")
            scope.spawn(ask(run));
        else
            scope.spawn(listen(run, ramp * i / width));
    }
    co_await scope.join();
}

int number(const char* text) {
    int value = 0;
    const std::string_view view(text);
    std::from_chars(view.data(), view.data() + view.size(), value);
    return value;
}

std::int64_t percentile_us(std::vector<std::int64_t>& samples_ns, std::size_t per_mille) {
    if (samples_ns.empty()) return 0;
    const auto at = samples_ns.begin() +
        static_cast<std::ptrdiff_t>((samples_ns.size() - 1) * per_mille / 1000);
    std::nth_element(samples_ns.begin(), at, samples_ns.end());
    return *at / 1000;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    const bool is_messages = argc > 5 && std::string_view(argv[argc - 1]) == "messages";
    const int given = is_messages ? argc - 1 : argc;
    if ((mode != "json" || given != 6) && ((mode != "sse" && mode != "hold") || given != 5)) {
        fmt::print(stderr,
            "usage: bench_load json PORT CONNECTIONS SECONDS BODY_BYTES [messages]\n"
            "       bench_load sse|hold PORT STREAMS SECONDS [messages]\n");
        return 2;
    }
    entrepot::raise_descriptor_limit();
    Core core;
    Run run{
        .core = core, .client = entrepot::net::HttpClient(core, {.idle_per_origin_max = 32768})};
    entrepot::net::Origin origin;
    origin.host = "127.0.0.1";
    origin.port = static_cast<std::uint16_t>(number(argv[2]));
    auto pool = run.client.origin(origin);
    if (!pool) return 1;
    run.origin = *pool;
    run.repeats = mode == "sse";
    run.until = entrepot::monotonic_now() + std::chrono::seconds(number(argv[4]));
    if (is_messages) run.target = "/v1/messages";
    const std::string_view usage = is_messages ? "" : R"(,"stream_options":{"include_usage":true})";
    run.body = fmt::format(
        R"({{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"{}"}}]{}{}{}}})",
        std::string(mode == "json" ? static_cast<std::size_t>(number(argv[5])) : 400, 'x'),
        is_messages ? R"(,"max_tokens":1024)" : "", mode == "json" ? "" : R"(,"stream":true)",
        mode == "json" ? "" : usage);
    const auto began = entrepot::monotonic_now();
    core.run_until_done(drive(run, mode, number(argv[3])));
    const std::int64_t elapsed_us = (entrepot::monotonic_now() - began).count() / 1000;
    fmt::print(
        "{{\"requests\":{},\"events\":{},\"bad\":{},\"elapsed_us\":{},\"p50_us\":{},"
        "\"p99_us\":{},\"max_us\":{}}}\n",
        run.requests, run.events, run.bad, elapsed_us, percentile_us(run.samples_ns, 500),
        percentile_us(run.samples_ns, 990), percentile_us(run.samples_ns, 1000));
}
