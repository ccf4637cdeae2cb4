// What suppliers never sent: recorded replies, mutated and truncated, and bytes of no meaning, into
// every decoder, and what comes of them on to a client of every dialect. ENTREPOT_NOISE_MIB says
// how much (`./test --full`: 1024), ENTREPOT_NOISE_SEED which.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include "corpus.h"
#include "dialect/openai_chat/native.h"
#include "dialect/registry.h"
#include "noise.h"

namespace entrepot::exchange {
namespace {

using canon::Event;
using dialect::Dialect;
using dialect::ReplyForm;
using Clock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 8> kClients{"openai-chat", "azure-openai",
    "openai-responses", "anthropic-messages", "bedrock-converse", "bedrock-invoke", "gemini",
    "vertex"};

struct Source {
    const char* file;
    const char* operation;  ///< how its name begins
    const char* dialect;
};
constexpr Source kSources[]{{"openai-chat", "", "openai-chat"},
    {"openai-compatible", "chat.", "openai-chat"}, {"azure-openai", "chat.", "azure-openai"},
    {"openai-responses", "responses", "openai-responses"},
    {"azure-openai", "responses", "openai-responses"},
    {"anthropic-messages", "messages", "anthropic-messages"},
    {"vertex-anthropic", "", "vertex-anthropic"}, {"bedrock-converse", "conv", "bedrock-converse"},
    {"bedrock-invoke", "", "bedrock-invoke"}, {"gemini", "generateContent", "gemini"},
    {"gemini", "streamGenerateContent", "gemini"}, {"vertex", "generateContent", "vertex"},
    {"vertex", "streamGenerateContent", "vertex"}, {"cohere", "v2/chat", "cohere"},
    {"openai-embeddings", "embeddings", "openai-embeddings"},
    {"azure-openai", "embeddings", "openai-embeddings"},
    {"openai-responses", "responses.input_tokens", "openai-input-tokens"},
    {"anthropic-messages", "messages.count_tokens", "anthropic-count-tokens"},
    {"bedrock-converse", "count-tokens", "bedrock-count-tokens"},
    {"gemini", "countTokens", "gemini-count-tokens"},
    {"vertex", "countTokens", "vertex-count-tokens"}, {"gemini", "embedContent", "gemini-embed"},
    {"gemini", "batchEmbedContents", "gemini-embed-batch"}, {"vertex", "predict", "vertex-predict"},
    {"cohere", "v2/embed", "cohere-embed"}, {"openai-other", "completions", "openai-completions"},
    {"openai-other", "moderations", "openai-moderations"},
    {"openai-other", "images.generations", "openai-images"},
    {"openai-other", "audio.speech", "openai-speech"},
    {"openai-other", "audio.transcriptions", "openai-transcriptions"},
    {"cohere", "v2/rerank", "rerank-v2"}};

struct Unrecorded {
    const char* dialect;
    ReplyForm form;
    const char* bytes;
};
/// Of whom there are no recordings.
constexpr Unrecorded kUnrecorded[]{
    {"oci", ReplyForm::kWhole,
        R"({"modelId":"xai.grok-4","modelVersion":"1","chatResponse":{"apiFormat":"GENERIC",)"
        R"("timeCreated":"2026-11-23T12:00:00.000Z","choices":[{"index":0,"message":{"role":)"
        R"("ASSISTANT","content":[{"type":"TEXT","text":"Rain."}],"reasoningContent":"hm",)"
        R"("toolCalls":[{"id":"c1","type":"FUNCTION","name":"weather","arguments":"{}"}]},)"
        R"("finishReason":"tool_calls"}],"usage":{"promptTokens":20,"completionTokens":8,)"
        R"("totalTokens":28}}})"},
    {"oci", ReplyForm::kStream,
        "data: "
        R"({"index":0,"message":{"role":"ASSISTANT","content":[{"type":"TEXT","text":"Ra"}]}})"
        "\n\ndata: "
        R"({"index":0,"message":{"toolCalls":[{"id":"a1","name":"w","arguments":"{}"}]}})"
        "\n\ndata: "
        R"({"index":0,"finishReason":"stop"})"
        "\n\ndata: "
        R"({"usage":{"promptTokens":20,"completionTokens":8,"totalTokens":28}})"
        "\n\n"},
    {"oci-cohere", ReplyForm::kWhole,
        R"({"modelId":"cohere.command-r","chatResponse":{"apiFormat":"COHERE","text":"I look.",)"
        R"("finishReason":"COMPLETE","toolCalls":[{"name":"w","parameters":{"city":"Oslo"}}],)"
        R"("chatHistory":[],"usage":{"promptTokens":20,"completionTokens":8,"totalTokens":28}}})"},
    {"oci-cohere", ReplyForm::kStream,
        "data: "
        R"({"apiFormat":"COHERE","text":"It "})"
        "\n\ndata: "
        R"({"apiFormat":"COHERE","text":"rains."})"
        "\n\ndata: "
        R"({"apiFormat":"COHERE","text":"It rains.","finishReason":"COMPLETE","usage":)"
        R"({"promptTokens":20,"completionTokens":8,"totalTokens":28}})"
        "\n\n"},
    {"oci-cohere-v2", ReplyForm::kWhole,
        R"({"modelId":"cohere.command-a","chatResponse":{"apiFormat":"COHEREV2","id":"x","message":)"
        R"({"role":"ASSISTANT","content":[{"type":"TEXT","text":"Rain."}]},"finishReason":)"
        R"("COMPLETE","usage":{"promptTokens":20,"completionTokens":8,"totalTokens":28}}})"},
    {"oci-cohere-v2", ReplyForm::kStream,
        "data: "
        R"({"apiFormat":"COHEREV2","message":{"role":"ASSISTANT","content":[{"type":"TEXT",)"
        R"("text":"Rain."}]}})"
        "\n\ndata: "
        R"({"apiFormat":"COHEREV2","finishReason":"COMPLETE","usage":{"promptTokens":20,)"
        R"("completionTokens":8,"totalTokens":28}})"
        "\n\n"},
};

struct Recorded {
    const Dialect* dialect;
    ReplyForm form;
    int status;
    std::string bytes;
};

/// A list for each dialect that suppliers speak: few recordings are worth as much noise as many.
std::vector<std::vector<Recorded>> all_recorded() {
    std::map<std::string_view, std::vector<Recorded>> by_dialect;
    for (const Source& source : kSources)
        for (Exchange& exchange : read_corpus(source.file, [&](std::string_view operation) {
                 return operation.starts_with(source.operation);
             }))
            by_dialect[source.dialect].push_back({dialect::find_dialect(source.dialect),
                exchange.is_stream ? ReplyForm::kStream : ReplyForm::kWhole, exchange.status,
                std::move(exchange.response)});
    for (const Unrecorded& reply : kUnrecorded)
        by_dialect[reply.dialect].push_back(
            {dialect::find_dialect(reply.dialect), reply.form, 200, reply.bytes});
    std::vector<std::vector<Recorded>> all;
    for (auto& [name, replies] : by_dialect) all.push_back(std::move(replies));
    return all;
}

/// To whom a dialect's replies go: the clients of conversations, or its own.
const Dialect& client_of(const Dialect& from, Noise& noise) {
    if ((from.tasks & canon::task_bit(canon::Task::kConverse)) != 0)
        return *dialect::find_dialect(kClients[noise.below(kClients.size())]);
    std::vector<const Dialect*> peers;
    for (const std::string_view name : dialect::dialect_names()) {
        const Dialect* peer = dialect::find_dialect(name);
        if (peer != nullptr && peer->tasks == from.tasks && peer->reply_encoder != nullptr)
            peers.push_back(peer);
    }
    return *peers[noise.below(peers.size())];
}

/// Of this process, in MiB: `VmRSS`, `VmHWM`.
std::size_t memory_mib(std::string_view what) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(what))
            return std::strtoull(line.c_str() + what.size() + 1, nullptr, 10) / 1024;
    return 0;
}

struct Tally {
    std::size_t bytes = 0;
    std::size_t inputs = 0;
    std::size_t whole_replies = 0;  ///< that stayed complete
    std::size_t failed = 0;
    std::size_t told = 0;  ///< bytes to clients
    double slowest_s = 0;
};

/// One answer of a supplier, as a client sees it.
class Passage {
public:
    Passage(const Dialect& from, const Dialect& to, ReplyForm form)
        : from_(from),
          to_(to),
          form_(form),
          encoder_(to.reply_encoder(form, {.model = "m", .id = "x"})) {}

    /// Feeds `bytes` in pieces and ends as the gateway does: with the supplier's failure, or with
    /// its own when the reply is none.
    void run(std::string_view bytes, Noise& noise) {
        const auto decoder = from_.reply_decoder(form_);
        Status status;
        while (!bytes.empty() && status && !has_failed_) {
            const std::string piece(bytes.substr(0, 1 + noise.below(4096)));
            bytes.remove_prefix(piece.size());
            taken_ += piece.size();
            status = decoder->feed(piece, events_);
            pass();
        }
        if (status && !has_failed_) status = decoder->finish(events_);
        pass();
        if (has_failed_) return;
        if (!status) {
            EXPECT_FALSE(status.error().message.empty());
            failure_ = {.kind = canon::FailureKind::kServer,
                .status = 502,
                .message = status.error().message};
            has_failed_ = true;
            encoder_->add(canon::Failed{failure_}, out_);
        }
    }

    /// What the client got can be read by what reads that dialect, to the end or to the error.
    void expect_sound() const {
        if (has_failed_) expect_sound_error();
        if (form_ == ReplyForm::kWhole && has_failed_) return;
        const auto reader = to_.reply_decoder(form_);
        reader->take_headers(encoder_->headers());
        std::vector<Event> seen;
        Status status = reader->feed(out_, seen);
        if (status) status = reader->finish(seen);
        EXPECT_TRUE(status) << from_.name << " to " << to_.name << ": " << status.error().message
                            << "\n"
                            << out_.substr(out_.size() - std::min<std::size_t>(out_.size(), 600));
        const bool tells_failure = std::ranges::any_of(
            seen, [](const Event& event) { return std::holds_alternative<canon::Failed>(event); });
        // What comes behind the end of an answer is no part of it.
        EXPECT_TRUE(tells_failure == has_failed_ || (has_failed_ && has_ended_))
            << from_.name << " to " << to_.name << ": " << failure_.message << "\n"
            << out_.substr(out_.size() - std::min<std::size_t>(out_.size(), 2000));
    }

    [[nodiscard]] bool has_failed() const { return has_failed_; }
    [[nodiscard]] std::size_t told() const { return out_.size(); }
    /// Bytes until the decoder had enough of them.
    [[nodiscard]] std::size_t taken() const { return taken_; }

private:
    void pass() {
        for (const Event& event : events_) {
            if (has_failed_) break;
            encoder_->add(event, out_);
            has_ended_ |= std::holds_alternative<canon::Ended>(event);
            if (const auto* failed = std::get_if<canon::Failed>(&event)) {
                has_failed_ = true;
                failure_ = failed->failure;
            }
        }
        events_.clear();
    }

    void expect_sound_error() const {
        const std::string body = to_.encode_failure(failure_);
        const auto document = json::Document::parse(body);
        ASSERT_TRUE(document) << to_.name << ": " << body.substr(0, 600);
        EXPECT_TRUE(document->root().is_object());
        EXPECT_GE(failure_.status, 400);
        EXPECT_FALSE(to_.decode_failure(failure_.status, {}, body).message.empty()) << body;
    }

    const Dialect& from_;
    const Dialect& to_;
    ReplyForm form_;
    std::unique_ptr<dialect::ReplyEncoder> encoder_;
    std::vector<Event> events_;
    canon::Failure failure_;
    std::string out_;
    std::size_t taken_ = 0;
    bool has_failed_ = false;
    bool has_ended_ = false;  ///< the answer is whole
};

/// The lane where both sides speak chat completions: it passes what it can read, and never fails
/// otherwise than by saying so.
void through_the_native_lane(ReplyForm form, std::string_view bytes) {
    if (form == ReplyForm::kWhole) {
        const auto metered = dialect::openai_chat::meter_whole(bytes);
        EXPECT_TRUE(metered || !metered.error().message.empty());
        return;
    }
    dialect::openai_chat::StreamMeter meter({});
    std::vector<std::string_view> out;
    if (meter.feed(bytes, out)) (void)meter.finish(out);
}

class Noises : public testing::Test {
protected:
    void SetUp() override {
        if (corpus_folder().empty())
            GTEST_SKIP()
                << "the recorded exchanges are not beside the project; set ENTREPOT_SHARED";
    }

    static std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
        const char* text = std::getenv(name);
        return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
    }
};

TEST_F(Noises, OfSuppliersNeverBreakADecoderAndReachEveryClientAsAWellFormedError) {
    constexpr double kSecondsMax = 10;
    constexpr std::size_t kGrowthMibMax = 512;
    const std::size_t bytes_wanted = from_environment("ENTREPOT_NOISE_MIB", 256) << 20;
    const std::uint64_t seed = from_environment("ENTREPOT_NOISE_SEED", 20261123);
    const std::vector<std::vector<Recorded>> recorded = all_recorded();
    ASSERT_GE(recorded.size(), 27u);
    Noise noise(seed);
    std::map<std::string_view, Tally> tallies;
    const std::size_t memory_before = memory_mib("VmHWM:");
    std::size_t bytes = 0;
    while (bytes < bytes_wanted && !HasFailure()) {
        const std::vector<Recorded>& of_one = recorded[noise.below(recorded.size())];
        const Recorded& base = of_one[noise.below(of_one.size())];
        const std::vector<Recorded>& of_other = recorded[noise.below(recorded.size())];
        const std::string& other = of_other[noise.below(of_other.size())].bytes;
        const bool is_invoke = base.dialect->name == "bedrock-invoke";
        const bool has_frames = is_invoke || base.dialect->name == "bedrock-converse";
        std::string input;
        if (noise.below(12) == 0)
            input = noise.random_bytes(1 + noise.below(16384));
        else if (has_frames && base.form == ReplyForm::kStream && noise.below(8) != 0)
            input = noise.mutated_frames(base.bytes, other, is_invoke);
        else
            input = noise.mutated(base.bytes, other);
        const Dialect& to = client_of(*base.dialect, noise);
        SCOPED_TRACE(fmt::format("seed {}, {} bytes before", seed, bytes));
        const Clock::time_point started = Clock::now();
        Tally& tally = tallies[base.dialect->name];
        std::size_t taken = input.size();
        if (base.status >= 400 || noise.below(16) == 0) {
            const canon::Failure failure =
                base.dialect->decode_failure(base.status >= 400 ? base.status : 503, {}, input);
            EXPECT_GE(failure.status, 400);
            const auto told = json::Document::parse(to.encode_failure(failure));
            EXPECT_TRUE(told) << base.dialect->name << " to " << to.name << ": "
                              << to.encode_failure(failure).substr(0, 600);
            ++tally.failed;
        } else {
            Passage passage(*base.dialect, to, base.form);
            passage.run(input, noise);
            passage.expect_sound();
            tally.told += passage.told();
            taken = passage.taken();
            ++(passage.has_failed() ? tally.failed : tally.whole_replies);
            if (base.dialect->name.ends_with("openai") || base.dialect->name == "openai-chat")
                through_the_native_lane(base.form, input);
        }
        const std::chrono::duration<double> spent = Clock::now() - started;
        tally.slowest_s = std::max(tally.slowest_s, spent.count());
        tally.bytes += taken;
        ++tally.inputs;
        bytes += taken;
    }
    for (const auto& [name, tally] : tallies) {
        std::printf(
            "%s: %.1f MiB in %zu replies, %zu complete and %zu errors to clients (%.1f MiB), "
            "the slowest %.2f s\n",
            std::string(name).c_str(), static_cast<double>(tally.bytes) / (1 << 20), tally.inputs,
            tally.whole_replies, tally.failed, static_cast<double>(tally.told) / (1 << 20),
            tally.slowest_s);
        EXPECT_LT(tally.slowest_s, kSecondsMax) << name;
        EXPECT_GT(tally.failed, 0u) << name;
    }
    const std::size_t memory_after = memory_mib("VmHWM:");
    std::printf("seed %llu: %.1f MiB of noise, peak memory %zu MiB (%zu before)\n",
        static_cast<unsigned long long>(seed), static_cast<double>(bytes) / (1 << 20), memory_after,
        memory_before);
    EXPECT_LT(memory_after - memory_before, kGrowthMibMax);
    EXPECT_GE(bytes, bytes_wanted);
}

}  // namespace
}  // namespace entrepot::exchange
