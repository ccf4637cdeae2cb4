// Every recorded stream gives the same result when it is split at every byte.
//   As a rule: byte by byte, and in runs that cut every event at one offset and, in long events,
//   every kRuns bytes behind it, so that every place between two bytes is a cut in one of them.
//   With ENTREPOT_SPLITS=every (./test --full, in an optimised build): byte by byte, and in two
//   pieces at each single place, one place at a time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

#include "corpus.h"
#include "dialect/registry.h"
#include "splits.h"

namespace entrepot::exchange {
namespace {

constexpr std::size_t kRuns = 32;

bool tries_every_split() {
    const char* splits = std::getenv("ENTREPOT_SPLITS");
    return splits != nullptr && std::string_view(splits) == "every";
}

struct File {
    const char* name;
    const char* dialect;
    std::size_t streams_min;
};

std::ostream& operator<<(std::ostream& out, const File& file) { return out << file.name; }

/// What went wrong first, from many threads, and how much was tried.
struct Tally {
    std::atomic<std::size_t> places = 0;  ///< that were a cut
    std::atomic<std::size_t> runs = 0;    ///< of a stream from its first byte to its last
    std::atomic<std::size_t> fed_bytes = 0;
    std::mutex mutex;
    std::string first_difference;  // under the mutex
    std::atomic<bool> has_difference = false;

    void note(std::string_view id, std::span<const std::size_t> cuts, std::string difference) {
        if (difference.empty()) return;
        const std::scoped_lock lock(mutex);
        if (first_difference.empty())
            first_difference = fmt::format("{} {}{}: {}", id,
                cuts.empty() ? "byte by byte" : fmt::format("cut at {}", cuts[0]),
                cuts.size() > 1 ? fmt::format(" and {} more", cuts.size() - 1) : "", difference);
        has_difference = true;
    }

    void run(std::string_view id, const CutStream& stream, std::span<const std::size_t> cuts) {
        note(id, cuts, stream.differs(cuts));
        places += cuts.size();
        ++runs;
        fed_bytes += stream.bytes().size();
    }
};

struct Named {
    std::string id;
    std::unique_ptr<CutStream> stream;
};

/// Cuts each stream at every place, a few places in a run.
void sweep(const dialect::Dialect& dialect, const std::vector<Named>& streams, Tally& tally) {
    for (const auto& [id, stream] : streams) {
        const std::vector<std::size_t> ends = event_ends(dialect, stream->bytes());
        const std::size_t before = tally.places;
        for (std::size_t run = 1; run <= kRuns && !tally.has_difference; ++run)
            if (const auto cuts = cuts_of_run(ends, run, kRuns); !cuts.empty())
                tally.run(id, *stream, cuts);
        if (tally.has_difference) return;
        ASSERT_EQ(tally.places - before, stream->bytes().size() - 1) << id;
    }
}

/// Cuts each stream in two at every place, one place at a time, on every core.
void split_one_by_one(const std::vector<Named>& streams, Tally& tally) {
    struct Stretch {
        const Named* stream;
        std::size_t begin;
        std::size_t end;
    };
    constexpr std::size_t kStretchBytes = std::size_t{64} << 20;  // fed: about half a second
    constexpr std::size_t kStretchesTold = 100;
    std::vector<Stretch> stretches;
    for (const Named& named : streams) {
        const std::size_t bytes = named.stream->bytes().size();
        const std::size_t places = kStretchBytes / bytes + 1;
        for (std::size_t at = 1; at < bytes; at += places)
            stretches.push_back({&named, at, std::min(bytes, at + places)});
    }
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        while (!tally.has_difference) {
            const std::size_t i = next++;
            if (i >= stretches.size()) return;
            const auto& [named, begin, end] = stretches[i];
            for (std::size_t at = begin; at < end && !tally.has_difference; ++at)
                tally.run(named->id, *named->stream, std::span(&at, 1));
            if (i % kStretchesTold == kStretchesTold - 1) {
                std::printf("%zu %%\n", 100 * (i + 1) / stretches.size());
                std::fflush(stdout);
            }
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
        threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
}

/// Tries all ways of cutting, and prints how many those were.
void expect_the_same_at_every_split(
    const char* what, const dialect::Dialect& dialect, std::vector<Named> streams, Tally& tally) {
    const auto started = std::chrono::steady_clock::now();
    std::size_t places = 0;
    for (const auto& [id, stream] : streams) {
        tally.note(id, {}, stream->read_byte_by_byte());
        places += stream->bytes().size() - 1;
    }
    ASSERT_EQ(tally.first_difference, "");
    if (tries_every_split())
        split_one_by_one(streams, tally);
    else
        sweep(dialect, streams, tally);
    ASSERT_EQ(tally.first_difference, "");
    EXPECT_EQ(tally.places, places);
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
    std::printf(
        "%s: %zu streams byte by byte and split at %zu places in %zu runs of %.1f MB, "
        "%.1f s\n",
        what, streams.size(), tally.places.load(), tally.runs.load(),
        static_cast<double>(tally.fed_bytes) / 1e6, spent.count());
    std::fflush(stdout);
}

class Splits : public testing::TestWithParam<File> {
protected:
    void SetUp() override {
        if (corpus_folder().empty())
            GTEST_SKIP()
                << "the recorded exchanges are not beside the project; set ENTREPOT_SHARED";
        dialect_ = dialect::find_dialect(GetParam().dialect);
        ASSERT_NE(dialect_, nullptr);
    }

    /// The recorded streams of the file's dialect.
    [[nodiscard]] std::vector<Exchange> recorded() const {
        std::vector<Exchange> exchanges = read_corpus(GetParam().name, [](std::string_view name) {
            return name == "chat.completions" || name == "messages" || name == "streamrawpredict" ||
                name == "converse-stream" || name == "invoke-with-response-stream" ||
                name == "streamGenerateContent" || name == "responses" || name == "v2/chat";
        });
        // Azure's file holds both chat completions and responses.
        const bool is_responses = std::string_view(GetParam().name) == "openai-responses";
        std::erase_if(exchanges, [&](const Exchange& e) {
            return !e.is_stream || (e.operation == "responses") != is_responses;
        });
        return exchanges;
    }

    const dialect::Dialect* dialect_ = nullptr;
};

class TextSplits : public Splits {};  // frames have no lines

TEST_P(Splits, EveryStreamGivesTheSameAtEverySplit) {
    std::vector<Named> streams;
    for (Exchange& exchange : recorded()) {
        ASSERT_GT(exchange.response.size(), 1u) << exchange.id;
        streams.push_back(
            {exchange.id, std::make_unique<CutStream>(*dialect_, std::move(exchange.response))});
        EXPECT_FALSE(streams.back().stream->events().empty()) << exchange.id;
    }
    EXPECT_GE(streams.size(), GetParam().streams_min);
    Tally tally;
    expect_the_same_at_every_split(GetParam().name, *dialect_, std::move(streams), tally);
}

/// The stream with its lines ended otherwise. Inside JSON a line end is escaped.
std::string with_line_ends(std::string_view bytes, std::string_view line_end) {
    std::string out;
    for (const char c : bytes) {
        if (c == '\n')
            out += line_end;
        else
            out += c;
    }
    return out;
}

/// Where two texts part, with what stands there; empty when they are the same.
std::string apart(std::string_view text, std::string_view expected) {
    if (text == expected) return {};
    const auto at =
        static_cast<std::size_t>(std::ranges::mismatch(text, expected).in1 - text.begin());
    const std::size_t from = at - std::min<std::size_t>(at, 40);
    return fmt::format(
        "at {}: {:?} is not {:?}", at, text.substr(from, 80), expected.substr(from, 80));
}

// No supplier of the recordings ends its lines with CR LF or CR alone, and nearly all write the
// last empty line; servers that do otherwise exist, and the standard allows it.
TEST_P(TextSplits, OtherLineEndsGiveTheSameAtEverySplit) {
    constexpr std::size_t kBytesMax = 3000;  // others are read byte by byte
    std::vector<Named> streams;
    for (const Exchange& exchange : recorded()) {
        const CutStream plain(*dialect_, exchange.response);
        const auto add = [&](std::string_view name, std::string bytes, auto&& expected_to_send) {
            auto stream = std::make_unique<CutStream>(*dialect_, std::move(bytes));
            const std::string id = fmt::format("{} {}", exchange.id, name);
            EXPECT_EQ(stream->ending(), plain.ending()) << id;
            EXPECT_TRUE(stream->events() == plain.events()) << id;
            for (std::size_t i = 0; i < plain.sent().size(); ++i)
                EXPECT_EQ(apart(stream->sent()[i], expected_to_send(plain.sent()[i])), "")
                    << id << ", edits " << i;
            if (stream->bytes().size() <= kBytesMax)
                streams.push_back({id, std::move(stream)});
            else
                EXPECT_EQ(stream->read_byte_by_byte(), "") << id;
        };
        const std::string_view bytes = exchange.response;
        for (const std::string_view line_end : {"\r\n", "\r"})
            add(line_end.size() == 2 ? "in CR LF" : "in CR", with_line_ends(bytes, line_end),
                [&](std::string_view sent) { return with_line_ends(sent, line_end); });
        const std::size_t end = bytes.find_last_not_of('\n') + 1;
        for (std::size_t last = end; last < bytes.size(); ++last)
            add(fmt::format("without its last {} LF", bytes.size() - last),
                std::string(bytes.substr(0, last)), [&](std::string_view sent) {
                    return std::string(sent.substr(0, sent.size() - (bytes.size() - last)));
                });
    }
    EXPECT_GE(streams.size(), 4u);
    Tally tally;
    expect_the_same_at_every_split(fmt::format("{} in other line ends", GetParam().name).c_str(),
        *dialect_, std::move(streams), tally);
}

constexpr File kTextFiles[] = {{"openai-chat", "openai-chat", 211},
    {"openai-compatible", "openai-chat", 78}, {"azure-openai", "azure-openai", 21},
    {"anthropic-messages", "anthropic-messages", 171},
    {"vertex-anthropic", "anthropic-messages", 3}, {"openai-responses", "openai-responses", 105},
    {"gemini", "gemini", 123}, {"vertex", "vertex", 29}, {"cohere", "cohere", 23}};
constexpr File kFrameFiles[] = {
    {"bedrock-converse", "bedrock-converse", 79}, {"bedrock-invoke", "bedrock-invoke", 75}};

std::string test_name(const testing::TestParamInfo<File>& file) {
    std::string name = file.param.name;
    std::ranges::replace(name, '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Recorded, Splits, testing::ValuesIn(kTextFiles), test_name);
INSTANTIATE_TEST_SUITE_P(RecordedFrames, Splits, testing::ValuesIn(kFrameFiles), test_name);
INSTANTIATE_TEST_SUITE_P(Recorded, TextSplits, testing::ValuesIn(kTextFiles), test_name);

// The runs of a sweep cut at every place, once.
TEST(SplitRuns, CutAtEveryPlaceOnce) {
    const auto* chat = dialect::find_dialect("openai-chat");
    const std::string stream = "data: 1\n\n:\r\n\r\ndata: 22\r\rdata";
    const std::vector<std::size_t> ends = event_ends(*chat, stream);
    EXPECT_EQ(ends, (std::vector<std::size_t>{9, 14, 24, 28}));
    std::vector<std::size_t> all;
    for (std::size_t run = 1; run <= 4; ++run)
        for (const std::size_t cut : cuts_of_run(ends, run, 4)) all.push_back(cut);
    std::ranges::sort(all);
    std::vector<std::size_t> expected;
    for (std::size_t at = 1; at < stream.size(); ++at) expected.push_back(at);
    EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace entrepot::exchange
