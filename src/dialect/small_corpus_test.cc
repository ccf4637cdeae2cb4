// The recorded small endpoints: requests are read, replies metered to what they state.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/text.h"
#include "dialect/registry.h"

namespace entrepot::dialect {
namespace {

using canon::Meter;

std::filesystem::path corpus() {
    if (const char* shared = std::getenv("ENTREPOT_SHARED"))
        return std::filesystem::path(shared) / "corpus";
    return std::filesystem::path(ENTREPOT_SOURCE_DIR) / "../shared/corpus";
}

std::string dialect_of(std::string_view path) {
    static const std::map<std::string_view, std::string_view> kPaths{
        {"/completions", "openai-completions"}, {"/moderations", "openai-moderations"},
        {"/images/generations", "openai-images"}, {"/audio/speech", "openai-speech"},
        {"/audio/transcriptions", "openai-transcriptions"}, {"/v1/rerank", "rerank"},
        {"/v2/rerank", "rerank-v2"}};
    if (path.find("/organization/") != std::string_view::npos ||
        path.find("/chat/") != std::string_view::npos)
        return {};
    for (const auto& [end, name] : kPaths)
        if (path.ends_with(end)) return std::string(name);
    return {};
}

std::string text_of(const json::Value& side) {
    std::string bytes;
    if (side["body_base64"].is_string()) {
        EXPECT_TRUE(base64_decode(side["body_base64"].string(), bytes));
        return bytes;
    }
    const json::Value& body = side["body"];
    return std::string(body.is_string() ? body.string() : body.raw());
}

std::int64_t stated(const json::Value& usage, std::string_view field) {
    return usage[field].as_int().value_or(0);
}

class Corpus : public testing::Test {
protected:
    void each(const std::function<void(const json::Value&, const Dialect&)>& look) {
        if (!std::filesystem::exists(corpus()))
            GTEST_SKIP() << "the recorded exchanges are not here: " << corpus();
        for (const std::string_view file :
            {"openai-other", "openai-compatible", "cohere", "azure-openai"}) {
            std::ifstream lines(corpus() / (std::string(file) + ".jsonl"));
            for (std::string line; std::getline(lines, line);) {
                const json::Document record = *json::Document::parse(line);
                const std::string name = dialect_of(record.root()["request"]["path"].string());
                if (!name.empty()) look(record.root(), *find_dialect(name));
            }
        }
    }
};

TEST_F(Corpus, EveryRecordedRequestOfTheSmallEndpointsIsRead) {
    std::map<std::string_view, int> read;
    each([&](const json::Value& record, const Dialect& dialect) {
        const std::string body = text_of(record["request"]);
        if (body == "null") return;
        const std::string type(record["request"]["headers"]["content-type"].string());
        RequestContext context;
        context.raw_body = body;
        context.content_type = type;
        const bool is_form = type.starts_with("multipart/");
        const auto request =
            dialect.decode_request(*json::Document::parse(is_form ? "null" : body), context);
        EXPECT_TRUE(request) << record["id"].string() << ": " << request.error().message;
        ++read[dialect.name];
    });
    if (IsSkipped()) return;
    EXPECT_GE(read["openai-completions"], 22);
    EXPECT_GE(read["openai-moderations"], 7);
    EXPECT_GE(read["openai-images"], 6);
    EXPECT_EQ(read["rerank"], 3);
    EXPECT_EQ(read["rerank-v2"], 3);
}

TEST_F(Corpus, EveryRecordedReplyIsMeteredToWhatItStates) {
    int metered = 0;
    each([&](const json::Value& record, const Dialect& dialect) {
        const json::Value& response = record["response"];
        if (response["status"].as_int() != 200) return;
        const bool is_stream = record["stream"].as_bool().value_or(false);
        const std::string bytes = text_of(response);
        const auto usage =
            meter(dialect, is_stream ? BodyKind::kStream : BodyKind::kResponse, bytes);
        ASSERT_TRUE(usage) << record["id"].string() << ": " << usage.error().message;
        ++metered;
        const json::Value& body = response["body"];
        if (dialect.name == "openai-completions" && !is_stream) {
            EXPECT_EQ((*usage)[Meter::kInput], stated(body["usage"], "prompt_tokens"));
            EXPECT_EQ((*usage)[Meter::kOutput], stated(body["usage"], "completion_tokens"));
        } else if (dialect.name == "openai-completions") {
            const std::size_t at = bytes.rfind("\"usage\":{");
            EXPECT_EQ((*usage)[Meter::kOutput] > 0, at != std::string::npos);
        } else if (dialect.name == "openai-images") {
            EXPECT_EQ(
                (*usage)[Meter::kImages], static_cast<std::int64_t>(body["data"].items().size()));
        } else if (dialect.name == "openai-transcriptions") {
            EXPECT_EQ((*usage)[Meter::kAudioSeconds], 6);
        } else if (dialect.name.starts_with("rerank")) {
            EXPECT_EQ(
                (*usage)[Meter::kSearches], stated(body["meta"]["billed_units"], "search_units"));
        } else {
            EXPECT_TRUE(usage->is_zero());
        }
    });
    if (IsSkipped()) return;
    EXPECT_GE(metered, 30);
}

TEST_F(Corpus, ARecordedStreamGivesTheSameSplitAtEveryByte) {
    each([&](const json::Value& record, const Dialect& dialect) {
        if (!record["stream"].as_bool().value_or(false)) return;
        const std::string bytes = text_of(record["response"]);
        const auto whole = decode_all(dialect, ReplyForm::kStream, bytes);
        ASSERT_TRUE(whole) << record["id"].string();
        const auto decoder = dialect.reply_decoder(ReplyForm::kStream);
        std::vector<canon::Event> events;
        for (const char byte : bytes) ASSERT_TRUE(decoder->feed({&byte, 1}, events));
        ASSERT_TRUE(decoder->finish(events));
        EXPECT_EQ(events, *whole) << record["id"].string();
        // Written again for a client that asks for usage it is the same, event by event.
        ReplyContext context;
        const auto encoder = dialect.reply_encoder(ReplyForm::kStream, context);
        std::string again;
        for (const canon::Event& event : events) encoder->add(event, again);
        EXPECT_EQ(again, bytes) << record["id"].string();
    });
}

}  // namespace
}  // namespace entrepot::dialect
