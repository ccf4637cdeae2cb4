#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "dialect/openai_chat/native.h"

// What the native lane costs per request, per whole reply and per streamed event.
namespace entrepot::dialect::openai_chat {
namespace {

/// A whole reply as OpenAI writes it today; 700 bytes with the shortest content.
std::string reply_of(std::size_t content_bytes) {
    return fmt::format(
        R"({{"id":"chatcmpl-BcYhRtZkWq0a1b2c3d4e5f6g7h8i9","object":"chat.completion","created":1748000000,"model":"gpt-5.6-luna-2026-01-15","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":24,"completion_tokens":11,"total_tokens":35,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}})",
        std::string(content_bytes, 'x'));
}

const std::string kEvent =
    R"(data: {"id":"chatcmpl-BcYhRtZkWq0a1b2c3d4e5f6g7h8i9","object":"chat.completion.chunk","created":1748000000,"model":"gpt-5.6-luna-2026-01-15","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x9Tq"})"
    "\n\n";

std::string request_of(std::size_t content_bytes) {
    return fmt::format(
        R"({{"model":"gpt-5.6-luna","messages":[{{"role":"system","content":"You are brief."}},{{"role":"user","content":"{}"}}],"max_completion_tokens":200,"temperature":0.2,"stream":true,"stream_options":{{"include_usage":true}},"user":"u-1"}})",
        std::string(content_bytes, 'x'));
}

void meter_a_whole_reply(benchmark::State& state) {
    const std::string body = reply_of(static_cast<std::size_t>(state.range(0)));
    for (auto _ : state) benchmark::DoNotOptimize(meter_whole(body));
    state.counters["bytes"] = static_cast<double>(body.size());
}
BENCHMARK(meter_a_whole_reply)->Arg(16)->Arg(4000);

/// range(0): events a read brings; range(1): whether usage is stripped again.
void relay_events(benchmark::State& state) {
    std::string bytes;
    for (std::int64_t i = 0; i < state.range(0); ++i) bytes += kEvent;
    StreamMeter meter({.strips_usage = state.range(1) != 0});
    std::vector<std::string_view> out;
    for (auto _ : state) {
        out.clear();
        benchmark::DoNotOptimize(meter.feed(bytes, out));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
    state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(relay_events)->ArgNames({"events", "strips"})->Args({1, 0})->Args({1, 1})->Args({8, 0});

void inspect_a_request(benchmark::State& state) {
    const std::string body = request_of(static_cast<std::size_t>(state.range(0)));
    RequestFacts facts;
    for (auto _ : state) benchmark::DoNotOptimize(inspect(body, facts));
    state.counters["bytes"] = static_cast<double>(body.size());
}
BENCHMARK(inspect_a_request)->Arg(100)->Arg(4000)->Arg(64'000);

}  // namespace
}  // namespace entrepot::dialect::openai_chat
