// Files and batches: whose they are, what they may cost, and what they did.
#include <gtest/gtest.h>

#include <array>

#include "gateway/batch.h"
#include "gateway/testing.h"
#include "store/kept.h"

namespace entrepot::gateway {
namespace {

using namespace std::string_view_literals;

TEST(BatchLines, AreCutWhereverTheyArrive) {
    const std::string text = "{\"a\":1}\n\n  \r\n{\"b\":2}\r\n{\"c\":3}";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        std::vector<std::string> seen;
        const auto take = [&](std::string_view line) -> Status {
            seen.emplace_back(line.substr(0, 7));
            return {};
        };
        Lines lines(100);
        for (std::size_t at = 0; at < text.size(); at += size)
            ASSERT_TRUE(lines.feed(std::string_view(text).substr(at, size), take));
        ASSERT_TRUE(lines.finish(take));
        EXPECT_EQ(seen, (std::vector<std::string>{"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"})) << size;
    }
    Lines small(4);
    const auto none = [](std::string_view) -> Status { return {}; };
    EXPECT_FALSE(small.feed("12345", none));
}

TEST(BatchLines, OnlyTheModelOfTheBodyIsReplaced) {
    const std::string text =
        R"({"custom_id":"a","url":"/v1/chat/completions","model":"x","body":{"model" : "tiny","messages":[{"role":"user","content":"\"model\":\"tiny\""}]}})"
        "\n"
        R"({"custom_id":"b","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"hi"}],"model":"tiny"}})"
        "\n";
    std::vector<std::string_view> tokens;
    const TakeAsk take = [&](BatchAsk& ask) -> Status {
        tokens.push_back(ask.model_token);
        return {};
    };
    ASSERT_TRUE(read_batch_lines(text, take));
    EXPECT_EQ(with_strings(text, tokens, "big\"one"),
        R"({"custom_id":"a","url":"/v1/chat/completions","model":"x","body":{"model" : "big\"one","messages":[{"role":"user","content":"\"model\":\"tiny\""}]}})"
        "\n"
        R"({"custom_id":"b","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"hi"}],"model":"big\"one"}})"
        "\n");
}

TEST(BatchLines, ALineThatIsNoRequestIsNamed) {
    const TakeAsk take = [](BatchAsk&) -> Status { return {}; };
    for (const auto& [text, words] :
        std::array{std::pair{"\n{\"url\":\"/v1/chat/completions\",\"body\":3}"sv, "line 2"sv},
            std::pair{"{"sv, "line 1"sv},
            std::pair{"{\"url\":\"/v1/images/generations\",\"body\":{}}"sv, "/v1/images"sv},
            std::pair{"{\"url\":\"/v1/responses\",\"body\":{\"input\":\"hi\"}}"sv, "model"sv},
            std::pair{"{\"url\":\"/v1/responses\",\"body\":{\"model\":\"m\",\"input\":\"x\","
                      "\"max_output_tokens\":9999,\"max_output_tokens\":1}}"sv,
                "'max_output_tokens' is given twice"sv},
            std::pair{"{\"url\":\"/v1/responses\",\"body\":{},\"body\":{\"model\":\"m\"}}"sv,
                "'body' is given twice"sv},
            std::pair{
                "{\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\",\"messages\":3}}"sv,
                "line 1"sv}}) {
        const Status read = read_batch_lines(text, take);
        ASSERT_FALSE(read) << text;
        EXPECT_NE(read.error().message.find(words), std::string::npos) << read.error().message;
    }
}

Script whole(std::string body, int status = 200) {
    Script script;
    script.status = status;
    script.pieces = {std::move(body)};
    return script;
}

std::string line_of(std::string_view model, int cap = 100) {
    return fmt::format(
        R"({{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{{"model":"{}",)"
        R"("max_tokens":{},"messages":[{{"role":"user","content":"hi"}}]}}}})"
        "\n",
        model, cap);
}

std::string result_of(int prompt, int answer) {
    return fmt::format(
        R"({{"id":"r","custom_id":"a","response":{{"status_code":200,"body":{{"id":"c","object":)"
        R"("chat.completion","model":"tiny-2026","choices":[{{"index":0,"message":{{"role":)"
        R"("assistant","content":"hi"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{},)"
        R"("completion_tokens":{},"total_tokens":{}}}}}}},"error":null}})"
        "\n",
        prompt, answer, prompt + answer);
}

class BatchTest : public GatewayTest {
protected:
    void SetUp() override {
        GatewayTest::SetUp();
        serve("100.00");
    }

    void serve(std::string_view budget, std::string_view output = "2.00") {
        start_with(fmt::format(R"(clouds:
  first: {{kind: openai, endpoint: "http://127.0.0.1:{}/v1", api_key: sk-up-first, region: us}}
  second: {{kind: anthropic, endpoint: "http://127.0.0.1:{}", api_key: sk-up-second}}
  third: {{kind: gemini, endpoint: "http://127.0.0.1:{}", api_key: sk-up-third}}
models:
  tiny:
    offers:
      first: {{cloud: first, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {{input: "1.00", output: "{}", currency: USD}}}}
  other:
    offers:
      first: {{cloud: first, id: other-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {{input: "1.00", output: "2.00", currency: USD}}}}
  flash:
    offers:
      third: {{cloud: third, id: flash-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {{input: "1.00", output: "2.00", currency: USD}}}}
  claude:
    offers:
      second: {{cloud: second, id: claude-2026, context_tokens: 8000, max_output_tokens: 1000,
               price: {{input: "1.00", output: "2.00", currency: USD}}}}
)",
                       first.port, second.port, second.port, output),
            budget,
            "  clamp: {team: search, secret: sk-clamp, models: [\"*\"], policy: {kept: team, "
            "on_unbounded: clamp}}\n"
            "  mateeu: {team: search, secret: sk-mateeu, models: [\"*\"], regions: [eu], policy: "
            "{kept: team}}\n"
            "  foreign: {team: search, secret: sk-foreign, models: [\"*\"]}\n"
            "  free: {team: free, secret: sk-free, models: [\"*\"]}\n"
            "  other: {team: free, secret: sk-other, models: [\"*\"]}\n");
    }

    Reply at(std::string_view method, std::string_view path, std::string_view body = "",
        std::string_view key = "sk-test") {
        return call(gateway_->port(), method, path, body, key);
    }
    Reply upload(std::string_view lines, std::string_view purpose = "batch",
        std::string_view key = "sk-test") {
        const std::string body = fmt::format(
            "--xx\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{}\r\n--xx\r\n"
            "content-disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n"
            "content-type: application/jsonl\r\n\r\n{}\r\n--xx--\r\n",
            purpose, lines);
        return call(gateway_->port(), "POST", "/v1/files", body, key, 0,
            "content-type: multipart/form-data; boundary=xx\r\n");
    }
    std::uint64_t open_attempts() {
        std::uint64_t open = 0;
        gateway_->with_books([&](store::Books& books) { open = books.stats().open_attempts; });
        return open;
    }

    /// A cloud that has one file and one batch.
    Script cloud(const net::ServerRequest& request) {
        const std::string_view path = request.path;
        if (path == "/v1/files")
            return whole(R"({"id":"file-in","object":"file","purpose":"batch","bytes":1})");
        if (path == "/v1/files/file-out/content") return whole(results);
        if (path.starts_with("/v1/files/"))
            return whole(request.method == "DELETE"
                    ? R"({"id":"file-in","object":"file","deleted":true})"
                    : R"({"id":"file-in","object":"file","purpose":"batch"})");
        if (path == "/v1/batches" || path.starts_with("/v1/batches/"))
            return whole(fmt::format(
                R"({{"id":"batch_1","object":"batch","status":"{}","output_file_id":{}}})",
                request.method == "POST" ? "validating" : status.load(),
                is_done() ? R"("file-out")" : "null"));
        return whole("{}", 500);
    }
    bool is_done() const { return std::string_view(status.load()) == "completed"; }

    std::atomic<const char*> status{"in_progress"};
    std::string results = result_of(10, 5) + result_of(20, 7) +
        R"({"id":"r","custom_id":"c","response":{"status_code":429,"body":{"error":{}}}})";
};

constexpr std::string_view kStart =
    R"({"input_file_id":"file-in","endpoint":"/v1/chat/completions","completion_window":"24h"})";

TEST_F(BatchTest, AFileIsItsMakersAlone) {
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    const Reply made = upload("whatever", "assistants");
    ASSERT_EQ(made.status, 200) << made.body;
    EXPECT_NE(first.last_body().find("whatever"), std::string::npos);
    EXPECT_EQ(at("GET", "/v1/files/file-in").status, 200);
    EXPECT_NE(at("GET", "/v1/files").body.find("file-in"), std::string::npos);
    EXPECT_NE(at("GET", "/v1/files?purpose=batch").body.find("file-in"), std::string::npos);
    EXPECT_EQ(at("GET", "/v1/files?purpose=vision").body.find("file-in"), std::string::npos);
    const std::size_t before = first.served();
    for (const std::string_view path : {"/v1/files/file-in", "/v1/files/file-in/content"})
        EXPECT_EQ(at("GET", path, "", "sk-foreign").status, 404) << path;
    EXPECT_EQ(at("GET", "/v1/files", "", "sk-foreign").body,
        R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})");
    EXPECT_EQ(at("DELETE", "/v1/files/file-in", "", "sk-foreign").status, 404);
    EXPECT_EQ(at("POST", "/v1/batches", kStart, "sk-foreign").status, 404);
    EXPECT_EQ(first.served(), before);
    EXPECT_NE(at("GET", "/v1/files", "", "sk-mate").body.find("file-in"), std::string::npos);
    EXPECT_EQ(at("DELETE", "/v1/files/file-in").status, 200);
    EXPECT_EQ(at("GET", "/v1/files/file-in").status, 404);
    expect_books_in_order();
}

TEST_F(BatchTest, ItsRequestsAreWrittenForTheirSupplierAndBoundedBeforeTheyGo) {
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    ASSERT_EQ(upload(line_of("tiny") + line_of("tiny")).status, 200);
    EXPECT_EQ(first.last_body().find(R"("model":"tiny")"), std::string::npos);
    EXPECT_NE(first.last_body().find(R"("model":"tiny-2026")"), std::string::npos);
    EXPECT_NE(first.last_body().find("--xx--"), std::string::npos);
    const Reply started = at("POST", "/v1/batches", kStart);
    ASSERT_EQ(started.status, 200) << started.body;
    EXPECT_EQ(started.headers.at("x-entrepot-offer"), "tiny/first");
    EXPECT_EQ(open_attempts(), 1u);
    EXPECT_EQ(at("GET", "/v1/batches/batch_1", "", "sk-foreign").status, 404);
    EXPECT_EQ(at("GET", "/v1/files/file-out/content").status, 404) << "it is not there yet";
    status = "completed";
    const store::ExchangeReport report = report_of(started);
    EXPECT_EQ(report.cost.to_decimal(), "0.000054") << "30 in, 12 out";
    EXPECT_EQ(report.attempts.at(0).usage[canon::Meter::kInput], 30);
    EXPECT_EQ(report.attempts.at(0).usage[canon::Meter::kOutput], 12);
    EXPECT_GT(report.attempts.at(0).held, report.cost);
    EXPECT_EQ(at("GET", "/v1/files/file-out/content").body, results);
    EXPECT_EQ(at("GET", "/v1/files/file-out/content", "", "sk-foreign").status, 404);
    EXPECT_NE(at("GET", "/v1/batches").body.find("batch_1"), std::string::npos);
    EXPECT_EQ(at("GET", "/v1/batches", "", "sk-foreign").body.find("batch_1"), std::string::npos);
    expect_books_in_order();
}

TEST_F(BatchTest, ItsHoldOutlivesARestart) {
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    ASSERT_EQ(upload(line_of("tiny")).status, 200);
    const Reply started = at("POST", "/v1/batches", kStart);
    ASSERT_EQ(started.status, 200);
    serve("100.00");
    EXPECT_EQ(open_attempts(), 1u);
    status = "completed";
    EXPECT_EQ(report_of(started).cost.to_decimal(), "0.000054");
    expect_books_in_order();
}

TEST_F(BatchTest, WhatTheBudgetCannotHoldIsNotStarted) {
    serve("0.01");
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    std::string lines;
    for (int i = 0; i < 50; ++i) lines += line_of("tiny", 1000);
    ASSERT_EQ(upload(lines).status, 200);
    const std::size_t before = first.served();
    const Reply started = at("POST", "/v1/batches", kStart);
    EXPECT_EQ(started.status, 429) << started.body;
    EXPECT_EQ(started.body.find("max_tokens"), std::string::npos) << started.body;
    EXPECT_EQ(first.served(), before);
    expect_books_in_order();
}

TEST_F(BatchTest, WhatHasNoBoundIsRefusedWhenItIsStarted) {
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    const std::string line =
        R"({"custom_id":"a","url":"/v1/responses","body":{"model":"tiny","input":"hi",)"
        R"("tools":[{"type":"web_search"}]}})";
    ASSERT_EQ(upload(line).status, 200);
    const Reply started = at("POST", "/v1/batches", kStart);
    EXPECT_EQ(started.status, 400) << started.body;
    EXPECT_NE(started.body.find("line 1"), std::string::npos) << started.body;
    expect_books_in_order();
}

TEST_F(BatchTest, OneModelOneFormatAndNothingOfStrangers) {
    for (const auto& [lines, words] :
        std::array{std::pair{line_of("tiny") + line_of("other"), "line 2"sv},
            std::pair{line_of("nothing"), "nothing"sv},
            std::pair{line_of("claude"), "takes batches"sv},
            std::pair{std::string("\n"), "no requests"sv},
            std::pair{std::string(R"({"url":"/v1/responses","body":{"model":"tiny","input":[)"
                                  R"({"type":"item_reference","id":"msg_1"}]}})"),
                "msg_1"sv},
            std::pair{std::string(R"({"url":"/v1/responses","body":{"model":"tiny","input":[)"
                                  R"({"id":"msg_2"}]}})"),
                "msg_2"sv},
            std::pair{std::string(R"({"url":"/v1/responses","body":{"model":"tiny","input":[)"
                                  R"({"type":"reasoning","id":"rs_1","summary":[]}]}})"),
                "rs_1"sv},
            std::pair{std::string(R"({"url":"/v1/responses","body":{"model":"tiny","input":[)"
                                  R"({"type":"image_generation_call","id":"ig_1"}]}})"),
                "ig_1"sv}}) {
        const Reply reply = upload(lines);
        EXPECT_GE(reply.status, 400) << lines;
        EXPECT_NE(reply.body.find(words), std::string::npos) << reply.body;
    }
    EXPECT_EQ(first.served(), 0u);
    expect_books_in_order();
}

/// Things of the key `test`, the newest last.
void put_things(const std::filesystem::path& data, store::KeptKind kind, int count) {
    const auto opened = store::KeptStore::open({.data = data});
    ASSERT_TRUE(opened);
    for (int i = 0; i < count; ++i) {
        store::Kept thing;
        thing.id = fmt::format("thing-{}", i);
        thing.kind = kind;
        thing.cloud = "first";
        thing.key = "test";
        thing.team = "search";
        thing.org = "acme";
        thing.made = Instant{1'763'900'000'000'000'000 + i};
        ASSERT_TRUE((*opened)->note({thing}));
    }
}

// One request of a client is so many calls of a supplier at most, whatever it answers.
TEST_F(BatchTest, AListAsksForOnePageAndForgetsWhatIsGone) {
    gateway_.reset();
    put_things(data_, store::KeptKind::kBatch, 50);
    serve("100.00");
    first.plan(whole("{}", 500));
    EXPECT_EQ(at("GET", "/v1/batches").body,
        R"({"object":"list","data":[],"first_id":"thing-49","last_id":"thing-30","has_more":true})");
    EXPECT_EQ(first.served(), 20u);
    EXPECT_EQ(at("GET", "/v1/batches?after=thing-30&limit=100").body,
        R"({"object":"list","data":[],"first_id":"thing-29","last_id":"thing-10","has_more":true})");
    EXPECT_EQ(first.served(), 40u);
    first.plan(whole("{}", 404));
    EXPECT_EQ(at("GET", "/v1/batches?after=thing-30").body,
        R"({"object":"list","data":[],"first_id":null,"last_id":"thing-30","has_more":true})");
    EXPECT_EQ(at("GET", "/v1/batches?after=thing-30").body,
        R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})");
    EXPECT_EQ(first.served(), 70u);
    EXPECT_EQ(at("GET", "/v1/batches/thing-0").status, 404);
    EXPECT_EQ(first.served(), 70u);
}

// Those that a batch made are noted when they are first seen.
TEST_F(BatchTest, AFileIsAskedForOnceByItsLists) {
    gateway_.reset();
    put_things(data_, store::KeptKind::kFile, 21);
    serve("100.00");
    first.by_request = [](const net::ServerRequest& request) {
        return whole(fmt::format(R"({{"id":"{}","object":"file","purpose":"batch_output"}})",
            request.path.substr(request.path.rfind('/') + 1)));
    };
    const Reply page = at("GET", "/v1/files?purpose=batch_output");
    EXPECT_TRUE(page.body.ends_with(R"("last_id":"thing-1","has_more":true})")) << page.body;
    EXPECT_EQ(first.served(), 20u);
    const Reply all = at("GET", "/v1/files");
    EXPECT_TRUE(all.body.ends_with(R"("last_id":"thing-0","has_more":false})")) << all.body;
    EXPECT_EQ(first.served(), 21u);
    EXPECT_EQ(at("GET", "/v1/files?purpose=batch").body,
        R"({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false})");
    EXPECT_EQ(first.served(), 21u);
}

// The hold was sized for another day, or for another key.
TEST_F(BatchTest, ItIsStartedOnTheTermsItWasBoundedByOnly) {
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    ASSERT_EQ(upload(line_of("tiny"), "batch", "sk-clamp").status, 200);
    const std::size_t before = first.served();
    const Reply mate = at("POST", "/v1/batches", kStart, "sk-mate");
    EXPECT_EQ(mate.status, 400) << mate.body;
    EXPECT_NE(mate.body.find("upload them again"), std::string::npos) << mate.body;
    ASSERT_EQ(upload(line_of("tiny")).status, 200);
    const Reply elsewhere = at("POST", "/v1/batches", kStart, "sk-mateeu");
    EXPECT_EQ(elsewhere.status, 400) << elsewhere.body;
    EXPECT_NE(elsewhere.body.find("may not reach"), std::string::npos) << elsewhere.body;
    serve("100.00", "20.00");
    const Reply later = at("POST", "/v1/batches", kStart);
    EXPECT_EQ(later.status, 400) << later.body;
    EXPECT_NE(later.body.find("upload them again"), std::string::npos) << later.body;
    EXPECT_EQ(first.served(), before + 1) << "the second upload";
    ASSERT_EQ(upload(line_of("tiny")).status, 200);
    EXPECT_EQ(at("POST", "/v1/batches", kStart, "sk-mate").status, 200);
    status = "completed";
}

// Whoever else is served by that core waits for none of it.
TEST_F(BatchTest, ItsReferencesAreCounted) {
    const auto naming = [](std::size_t count) {
        std::string line = R"({"url":"/v1/responses","body":{"model":"tiny","input":[)";
        for (std::size_t i = 0; i < count; ++i)
            line += fmt::format(R"({}{{"type":"item_reference","id":"msg_{}"}})", i ? "," : "", i);
        return line + "]}}";
    };
    const Reply many = upload(naming(10'001));
    EXPECT_EQ(many.status, 400) << many.body;
    EXPECT_NE(many.body.find("at most 10000"), std::string::npos) << many.body;
    const Reply few = upload(naming(10'000));
    EXPECT_EQ(few.status, 404) << few.body;
    EXPECT_EQ(first.served(), 0u);
}

TEST_F(BatchTest, AFormThatSaysOneThingTwiceIsRefused) {
    first.by_request = [this](const net::ServerRequest& request) { return cloud(request); };
    for (const std::string_view name : {"purpose", "file"}) {
        const std::string more =
            fmt::format("{}\r\n--xx\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n{}",
                line_of("tiny"), name, name == "file" ? line_of("tiny", 1000) : "batch");
        const Reply reply = upload(more, "batch");
        EXPECT_EQ(reply.status, 400) << reply.body;
        EXPECT_NE(reply.body.find(fmt::format("'{}' is given twice", name)), std::string::npos)
            << reply.body;
    }
    EXPECT_EQ(first.served(), 0u);
}

// The supplier refused before anything was done.
TEST_F(BatchTest, ARefusedBatchCostsNothing) {
    first.by_request = [this](const net::ServerRequest& request) {
        if (request.path == "/v1/batches")
            return whole(R"({"error":{"message":"no","type":"invalid_request_error"}})", 400);
        return cloud(request);
    };
    ASSERT_EQ(upload(line_of("tiny")).status, 200);
    const Reply started = at("POST", "/v1/batches", kStart);
    EXPECT_EQ(started.status, 400);
    EXPECT_EQ(open_attempts(), 0u);
    EXPECT_TRUE(report_of(started).cost.is_zero());
    expect_books_in_order();
}

TEST_F(BatchTest, AnthropicsBatchIsItsBody) {
    std::atomic<bool> is_ended{false};
    second.by_request = [&](const net::ServerRequest& request) {
        EXPECT_TRUE(request.headers.find("anthropic-version"));
        if (request.path.ends_with("/results"))
            return whole(
                R"({"custom_id":"a","result":{"type":"succeeded","message":{"id":"m","type":)"
                R"("message","role":"assistant","model":"claude-2026","content":[{"type":"text",)"
                R"("text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":10,)"
                R"("output_tokens":5}}}})"
                "\n"
                R"({"custom_id":"b","result":{"type":"errored","error":{"type":"error"}}})");
        return whole(
            fmt::format(R"({{"id":"msgbatch_1","type":"message_batch","processing_status":"{}"}})",
                is_ended ? "ended" : "in_progress"));
    };
    const Reply started = call(gateway_->port(), "POST", "/v1/messages/batches",
        R"({"requests":[{"custom_id":"a","params":{"model":"claude","max_tokens":50,)"
        R"("messages":[{"role":"user","content":"hi"}]}}]})",
        "sk-test", 0, "anthropic-version: 2023-06-01\r\n");
    ASSERT_EQ(started.status, 200) << started.body;
    EXPECT_NE(second.last_body().find(R"("model":"claude-2026")"), std::string::npos);
    EXPECT_EQ(open_attempts(), 1u);
    EXPECT_EQ(at("GET", "/v1/messages/batches/msgbatch_1/results", "", "sk-foreign").status, 404);
    is_ended = true;
    EXPECT_EQ(report_of(started).cost.to_decimal(), "0.00002");
    EXPECT_EQ(at("GET", "/v1/messages/batches/msgbatch_1/results").status, 200);
    EXPECT_EQ(at("GET", "/v1/messages/batches").body,
        R"({"data":[{"id":"msgbatch_1","type":"message_batch","processing_status":"ended"}],)"
        R"("has_more":false,"first_id":"msgbatch_1","last_id":"msgbatch_1"})");
    expect_books_in_order();
}

// Gemini's: what it costs while it is kept has no price, so that no budget can hold it.
TEST_F(BatchTest, CachedContentIsItsMakersAndNeedsNoBudget) {
    const auto cache = [](std::string_view expires) {
        return whole(fmt::format(R"({{"name":"cachedContents/abc","model":"models/flash-2026",)"
                                 R"("expireTime":"{}"}})",
            expires));
    };
    std::vector<std::string> asked;
    second.by_request = [&](const net::ServerRequest& request) {
        asked.push_back(fmt::format("{} {}", request.method, request.target));
        if (request.path.contains(":generateContent"))
            return whole(R"({"candidates":[{"content":{"role":"model","parts":[{"text":"hi"}]},)"
                         R"("finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,)"
                         R"("cachedContentTokenCount":4,"candidatesTokenCount":5}})");
        return cache(request.method == "PATCH" ? "2020-01-01T00:00:00Z" : "2099-01-01T00:00:00Z");
    };
    constexpr std::string_view kMake =
        R"({"model":"models/flash","contents":[{"role":"user","parts":[{"text":"long"}]}]})";
    const Reply refused = at("POST", "/v1beta/cachedContents", kMake);
    constexpr std::string_view kNamed =
        R"({"model":"models/flash","contents":[{"role":"user","parts":[{"fileData":)"
        R"({"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a"}}]}]})";
    EXPECT_EQ(at("POST", "/v1beta/cachedContents", kNamed, "sk-free").status, 404);
    EXPECT_EQ(refused.status, 400);
    EXPECT_NE(refused.body.find("no price"), std::string::npos) << refused.body;
    const Reply made = at("POST", "/v1beta/cachedContents?key=sk-free", kMake, "sk-free");
    ASSERT_EQ(made.status, 200) << made.body;
    EXPECT_EQ(asked, std::vector<std::string>{"POST /v1beta/cachedContents"});
    EXPECT_NE(second.last_body().find("models/flash-2026"), std::string::npos);
    constexpr std::string_view kAsk =
        R"({"cachedContent":"cachedContents/abc","contents":[{"role":"user","parts":[)"
        R"({"text":"and?"}]}]})";
    constexpr std::string_view kPath = "/v1beta/models/flash:generateContent";
    EXPECT_EQ(at("POST", kPath, kAsk, "sk-free").status, 200);
    EXPECT_EQ(at("POST", kPath, kAsk, "sk-other").status, 404);
    EXPECT_EQ(at("GET", "/v1beta/cachedContents/abc", "", "sk-other").status, 404);
    EXPECT_EQ(at("GET", "/v1beta/cachedContents", "", "sk-other").body, R"({"cachedContents":[]})");
    EXPECT_NE(at("GET", "/v1beta/cachedContents", "", "sk-free").body.find("cachedContents/abc"),
        std::string::npos);
    EXPECT_EQ(at("PATCH", "/v1beta/cachedContents/abc", R"({"ttl":"1s"})", "sk-free").status, 200);
    EXPECT_EQ(asked.back(), "PATCH /v1beta/cachedContents/abc");
    EXPECT_EQ(at("POST", kPath, kAsk, "sk-free").status, 404) << "it has ended";
    expect_books_in_order();
}

}  // namespace
}  // namespace entrepot::gateway
