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
    const char* dialect;
};
constexpr Source kSources[]{{"openai-chat", "openai-chat"}, {"openai-compatible", "openai-chat"},
    {"azure-openai", "azure-openai"}, {"openai-responses", "openai-responses"},
    {"anthropic-messages", "anthropic-messages"}, {"vertex-anthropic", "vertex-anthropic"},
    {"bedrock-converse", "bedrock-converse"}, {"bedrock-invoke", "bedrock-invoke"},
    {"gemini", "gemini"}, {"vertex", "vertex"}, {"cohere", "cohere"}};

struct Recorded {
    const Dialect* dialect;
    ReplyForm form;
    int status;
    std::string bytes;
};

std::vector<Recorded> all_recorded() {
    std::vector<Recorded> all;
    for (const Source& source : kSources)
        for (Exchange& exchange : read_corpus(source.file, [](std::string_view operation) {
                 return operation.find("mbed") == operation.npos && operation != "models";
             })) {
            const bool is_responses = exchange.operation.starts_with("responses");
            all.push_back(
                {dialect::find_dialect(is_responses ? "openai-responses" : source.dialect),
                    exchange.is_stream ? ReplyForm::kStream : ReplyForm::kWhole, exchange.status,
                    std::move(exchange.response)});
        }
    return all;
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
        EXPECT_EQ(tells_failure, has_failed_)
            << from_.name << " to " << to_.name << ": " << failure_.message << "\n"
            << out_.substr(0, 600);
    }

    [[nodiscard]] bool has_failed() const { return has_failed_; }
    [[nodiscard]] std::size_t told() const { return out_.size(); }

private:
    void pass() {
        for (const Event& event : events_) {
            if (has_failed_) break;
            encoder_->add(event, out_);
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
    bool has_failed_ = false;
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
    const std::size_t bytes_wanted = from_environment("ENTREPOT_NOISE_MIB", 4) << 20;
    const std::uint64_t seed = from_environment("ENTREPOT_NOISE_SEED", 20261123);
    const std::vector<Recorded> recorded = all_recorded();
    ASSERT_GT(recorded.size(), 2500u);
    Noise noise(seed);
    std::map<std::string_view, Tally> tallies;
    const std::size_t memory_before = memory_mib("VmHWM:");
    std::size_t bytes = 0;
    while (bytes < bytes_wanted && !HasFailure()) {
        const Recorded& base = recorded[noise.below(recorded.size())];
        const std::string& other = recorded[noise.below(recorded.size())].bytes;
        const bool is_invoke = base.dialect->name == "bedrock-invoke";
        const bool has_frames = is_invoke || base.dialect->name == "bedrock-converse";
        std::string input;
        if (noise.below(12) == 0)
            input = noise.random_bytes(1 + noise.below(16384));
        else if (has_frames && base.form == ReplyForm::kStream && noise.below(8) != 0)
            input = noise.mutated_frames(base.bytes, other, is_invoke);
        else
            input = noise.mutated(base.bytes, other);
        const Dialect& to = *dialect::find_dialect(kClients[noise.below(kClients.size())]);
        SCOPED_TRACE(fmt::format("seed {}, {} bytes before", seed, bytes));
        const Clock::time_point started = Clock::now();
        Tally& tally = tallies[base.dialect->name];
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
            ++(passage.has_failed() ? tally.failed : tally.whole_replies);
            if (base.dialect->name.ends_with("openai") || base.dialect->name == "openai-chat")
                through_the_native_lane(base.form, input);
        }
        const std::chrono::duration<double> spent = Clock::now() - started;
        tally.slowest_s = std::max(tally.slowest_s, spent.count());
        tally.bytes += input.size();
        ++tally.inputs;
        bytes += input.size();
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
