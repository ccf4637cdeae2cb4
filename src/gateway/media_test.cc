// Work by the piece: what is held, passed and booked.
#include "gateway/testing.h"

namespace entrepot::gateway {
namespace {

using canon::Meter;

class MediaTest : public GatewayTest {
protected:
    void serve(
        std::string_view price, std::string_view more = "", std::string_view budget = kBudget) {
        start_with(fmt::format(R"(clouds:
  first: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1"}}
models:
  tiny:
    offers:
      first: {{cloud: first, id: tiny-2026, price: {{{}, currency: USD}}{}}}
)",
                       first.port, price, more),
            budget);
        first.on_request = [this](const net::ServerRequest& request) {
            target_ = request.target;
            body_ = request.body;
            type_ = request.headers.find("content-type").value_or("none");
        };
    }
    Reply post(
        std::string_view path, std::string_view body, std::string_view type = "application/json") {
        return call(
            gateway_->port(), "POST", path, body, fmt::format("sk-test\r\ncontent-type: {}", type));
    }
    canon::Usage used(const Reply& reply) { return report_of(reply).attempts.at(0).usage; }

    bool is_estimated(const Reply& reply) {
        return (report_of(reply).attempts.at(0).flags & ledger::settle_flag::kEstimated) != 0;
    }

    std::string target_, body_, type_;
};

Script answer(std::string content_type, std::string body) {
    Script script;
    script.content_type = std::move(content_type);
    script.pieces = {std::move(body)};
    return script;
}

constexpr std::string_view kSpeak = R"({"model":"tiny","voice":"v","input":"hello"})";

TEST_F(MediaTest, SoundPassesByteForByteAndCostsItsCharacters) {
    serve(R"(characters: "15.00")");
    std::string sound = "ID3";
    for (int i = 0; i < 100'000; ++i) sound += static_cast<char>(i * 7);
    first.plan(answer("audio/mpeg", sound));
    const Reply reply = post("/v1/audio/speech", kSpeak);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("content-type"), "audio/mpeg");
    EXPECT_EQ(reply.body, sound);
    EXPECT_EQ(target_, "/v1/audio/speech");
    EXPECT_EQ(body_, R"({"model":"tiny-2026","voice":"v","input":"hello"})");
    EXPECT_EQ(used(reply)[Meter::kCharacters], 5);
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.000075");
    EXPECT_FALSE(is_estimated(reply));
    expect_books_in_order();
}

TEST_F(MediaTest, SpeechSoldByTokensThatNobodyCountsIsAnEstimateWithinItsHold) {
    serve(R"(input: "0.60", audio_out: "12.00")", ", max_output_tokens: 1000");
    first.plan(answer("audio/mpeg", "ID3 sound"));
    const Reply reply = post("/v1/audio/speech", kSpeak);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(used(reply)[Meter::kAudioOut], 8);
    EXPECT_TRUE(is_estimated(reply));
    expect_books_in_order();
}

TEST_F(MediaTest, TokensWithoutABoundAreRefusedUnderABudgetBeforeAnythingIsSent) {
    serve(R"(input: "0.60", audio_out: "12.00")");
    const Reply reply = post("/v1/audio/speech", kSpeak);
    EXPECT_EQ(reply.status, 400);
    EXPECT_NE(reply.body.find("max_output_tokens"), std::string::npos) << reply.body;
    EXPECT_EQ(first.served(), 0u);
    expect_books_in_order();
}

TEST_F(MediaTest, AHoldThatTheBudgetCannotBearIsRefused) {
    serve(R"(images: "20000")", "", "0.05");
    const Reply reply = post("/v1/images/generations", R"({"model":"tiny","prompt":"a","n":3})");
    EXPECT_EQ(reply.status, 429) << reply.body;
    EXPECT_EQ(first.served(), 0u);
    first.plan(answer("application/json", R"({"created":1,"data":[{"url":"u"},{"url":"v"}]})"));
    const Reply two = post("/v1/images/generations", R"({"model":"tiny","prompt":"a","n":2})");
    EXPECT_EQ(two.status, 200) << two.body;
    EXPECT_EQ(report_of(two).cost.to_decimal(), "0.04");
    expect_books_in_order();
}

// Ten images in base64 are more than is kept of a reply; what they took stands behind them.
TEST_F(MediaTest, ImagesTooLargeToBeKeptAreBookedByWhatTheEndOfTheReplyStates) {
    const auto reply_of = [](std::size_t bytes) {
        return R"({"created":1,"data":[{"b64_json":")" + std::string(bytes, 'A') +
            R"("}],"usage":{"input_tokens":10,"output_tokens":1000,"total_tokens":1010,)"
            R"("input_tokens_details":{"text_tokens":10,"image_tokens":0}}})";
    };
    serve(R"(input: "1.00", image_out: "10.00")", ", max_output_tokens: 100000");
    constexpr std::size_t kKept = 16 * 1024 * 1024;
    // Far behind what is kept, and with its beginning in it.
    for (const std::size_t bytes : {kKept + 100'000, kKept - 60}) {
        first.plan(answer("application/json", reply_of(bytes)));
        const Reply reply = post("/v1/images/generations", R"({"model":"tiny","prompt":"a"})");
        EXPECT_EQ(reply.status, 200);
        EXPECT_EQ(reply.body.size(), reply_of(bytes).size());
        EXPECT_EQ(used(reply)[Meter::kImageOut], 1000);
        EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.01001");
        EXPECT_FALSE(is_estimated(reply));
    }
    expect_books_in_order();
}

TEST_F(MediaTest, ImagesThatDidNotComeAreNotPaid) {
    serve(R"(images: "20000")");
    first.plan(answer("application/json", R"({"created":1,"data":[{"url":"u"}]})"));
    const Reply reply = post("/v1/images/generations", R"({"model":"tiny","prompt":"a","n":3})");
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.02");
}

constexpr std::string_view kFormType = "multipart/form-data; boundary=XX";
const std::string kSound =
    "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n"
    "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\nID3" +
    std::string(1997, '\xfe') + "\r\n--XX--\r\n";

TEST_F(MediaTest, AFormPassesWithItsModelRenamedAndItsSecondsBooked) {
    serve(R"(audio_seconds: "100")");
    first.plan(
        answer("application/json", R"({"text":"hello","usage":{"type":"duration","seconds":2}})"));
    const Reply reply = post("/v1/audio/transcriptions", kSound, kFormType);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(type_, kFormType);
    std::string renamed = kSound;
    renamed.replace(renamed.find("tiny"), 4, "tiny-2026");
    EXPECT_EQ(body_, renamed);
    EXPECT_EQ(used(reply)[Meter::kAudioSeconds], 2);
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.0002");
    // A text says nothing: what the file may last is booked, as an estimate.
    first.plan(answer("text/plain; charset=utf-8", "hello\n"));
    const Reply text = post("/v1/audio/transcriptions", kSound, kFormType);
    EXPECT_EQ(text.body, "hello\n");
    EXPECT_EQ(text.headers.at("content-type"), "text/plain; charset=utf-8");
    EXPECT_EQ(used(text)[Meter::kAudioSeconds], 2);
    EXPECT_TRUE(is_estimated(text));
    expect_books_in_order();
}

TEST_F(MediaTest, AFormThatIsNoneIsRefusedBeforeAnythingIsSent) {
    serve(R"(audio_seconds: "100")");
    EXPECT_EQ(post("/v1/audio/transcriptions", kSound.substr(0, 300), kFormType).status, 400);
    EXPECT_EQ(post("/v1/audio/transcriptions", kSound, "text/plain").status, 400);
    EXPECT_EQ(post("/v1/audio/transcriptions", "{}").status, 400);
    EXPECT_EQ(first.served(), 0u);
}

TEST_F(MediaTest, ARecordingThatLastsLongerThanItSaysCostsItsOwnerAndNotTheOffer) {
    serve(R"(audio_seconds: "100")");
    std::string form = kSound;
    std::string flac = "fLaC" + std::string(30, '\0');
    flac.replace(18, 8, std::string("\x03\xe8\0\0\0\0\x3e\x80", 8));  // a second of 16 kHz
    form.replace(form.find("ID3"), 2000, flac);
    for (int i = 0; i < 2; ++i) {
        first.plan(answer("application/json", R"({"text":"hi","usage":{"seconds":500}})"));
        const Reply reply = post("/v1/audio/transcriptions", form, kFormType);
        EXPECT_EQ(reply.status, 200) << reply.body;
        EXPECT_EQ(used(reply)[Meter::kAudioSeconds], 500);
        EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.05");
    }
    expect_books_in_order();
}

TEST_F(MediaTest, AStreamThatTheModelDoesNotKnowIsAnsweredWhole) {
    serve(R"(audio_seconds: "100")");
    std::string form = kSound;
    form.insert(0, "--XX\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n");
    first.plan(answer("application/json", R"({"text":"hi","usage":{"seconds":1}})"));
    const Reply reply = post("/v1/audio/transcriptions", form, kFormType);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.headers.at("content-type"), "application/json");
    EXPECT_EQ(used(reply)[Meter::kAudioSeconds], 1);
    first.plan(stream_of({"data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n",
        "data: "
        "{\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"seconds\":1}}\n\n"}));
    const Reply streamed = post("/v1/audio/transcriptions", form, kFormType);
    EXPECT_TRUE(streamed.headers.at("content-type").starts_with("text/event-stream"));
    EXPECT_EQ(used(streamed)[Meter::kAudioSeconds], 1);
    expect_books_in_order();
}

// It counts seconds beside tokens, and ends a stream in its own words.
TEST_F(MediaTest, ATranscriptionOfMistralIsBookedByWhatItStates) {
    serve(R"(audio_seconds: "100")");
    const std::string usage = R"("usage":{"prompt_audio_seconds":3,"prompt_tokens":4,)"
                              R"("completion_tokens":20,"total_tokens":70})";
    first.plan(answer("application/json", R"({"model":"x","text":"hi",)" + usage + "}"));
    const Reply reply = post("/v1/audio/transcriptions", kSound, kFormType);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(used(reply)[Meter::kAudioSeconds], 3);
    EXPECT_EQ(used(reply)[Meter::kOutput], 20);
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.0003");
    EXPECT_FALSE(is_estimated(reply));
    std::string form = kSound;
    form.insert(0, "--XX\r\nContent-Disposition: form-data; name=\"stream\"\r\n\r\ntrue\r\n");
    const std::string done =
        "event: transcription.done\ndata: {\"type\":\"transcription.done\","
        "\"text\":\"hi\"," +
        usage + "}\n\n";
    first.plan(
        stream_of({"event: transcription.text.delta\ndata: "
                   "{\"type\":\"transcription.text.delta\",\"text\":\"hi\"}\n\n",
            done}));
    const Reply streamed = post("/v1/audio/transcriptions", form, kFormType);
    EXPECT_TRUE(streamed.body.ends_with(done)) << streamed.body;
    EXPECT_EQ(used(streamed)[Meter::kAudioSeconds], 3);
    EXPECT_FALSE(is_estimated(streamed));
    expect_books_in_order();
}

TEST_F(MediaTest, AStreamedCompletionIsAskedForItsUsageAndTheClientDoesNotSeeIt) {
    serve(R"(input: "1.00", output: "2.00")", ", max_output_tokens: 50");
    const std::string chunk =
        R"(data: {"id":"c","object":"text_completion","choices":[{"text":"hi","index":0,)"
        R"("logprobs":null,"finish_reason":"stop"}],"usage":null})"
        "\n\n";
    const std::string usage =
        R"(data: {"id":"c","object":"text_completion","choices":[],"usage":{"prompt_tokens":3,)"
        R"("completion_tokens":4,"total_tokens":7}})"
        "\n\n";
    first.plan(stream_of({chunk, usage, "data: [DONE]\n\n"}));
    const Reply reply = post("/v1/completions", R"({"model":"tiny","prompt":"a","stream":true})");
    EXPECT_NE(body_.find(R"("stream_options":{"include_usage":true})"), std::string::npos) << body_;
    EXPECT_NE(body_.find(R"("max_tokens":50)"), std::string::npos) << body_;
    EXPECT_EQ(reply.body.find("usage"), std::string::npos) << reply.body;
    EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
    EXPECT_EQ(used(reply)[Meter::kOutput], 4);
    first.plan(stream_of({chunk, usage, "data: [DONE]\n\n"}));
    const Reply asked = post("/v1/completions",
        R"({"model":"tiny","prompt":"a","stream":true,"max_tokens":9,)"
        R"("stream_options":{"include_usage":true}})");
    EXPECT_EQ(asked.body, chunk + usage + "data: [DONE]\n\n");
    expect_books_in_order();
}

TEST_F(MediaTest, ModerationsCostNothingAndNeedNoPrice) {
    serve(R"(searches: "1")");
    first.plan(answer("application/json", R"({"id":"modr-1","results":[]})"));
    const Reply reply = post("/v1/moderations", R"({"model":"tiny","input":"a"})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(used(reply)[Meter::kRequests], 1);
    EXPECT_EQ(report_of(reply).cost.to_decimal(), "0.00");
}

TEST_F(MediaTest, ARankingIsCarriedBetweenItsVersions) {
    serve(R"(input: "1.00", output: "0")");
    first.plan(answer("application/json",
        R"({"model":"x","usage":{"total_tokens":12},"results":[{"index":1,"relevance_score":0.90,)"
        R"("document":{"text":"b"}},{"index":0,"relevance_score":1e-3}]})"));
    const Reply reply = post("/v2/rerank",
        R"({"model":"tiny","query":"q","documents":["a","b"],"top_n":2,"priority":1})");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(target_, "/v1/rerank");
    EXPECT_EQ(body_, R"({"model":"tiny-2026","query":"q","documents":["a","b"],"top_n":2})");
    EXPECT_NE(reply.body.find(R"("results":[{"index":1,"relevance_score":0.90},)"
                              R"({"index":0,"relevance_score":1e-3}])"),
        std::string::npos)
        << reply.body;
    EXPECT_EQ(reply.headers.at("x-entrepot-dropped"), "priority");
    EXPECT_EQ(used(reply)[Meter::kInput], 12);
    const Reply cut = post(
        "/v2/rerank", R"({"model":"tiny","query":"q","documents":["a"],"max_tokens_per_doc":9})");
    EXPECT_EQ(cut.status, 400) << cut.body;
    EXPECT_TRUE(cut.body.starts_with("{\"message\":")) << cut.body;
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
