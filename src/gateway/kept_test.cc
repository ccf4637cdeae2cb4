// What suppliers keep belongs to who made it, and is paid for when it ends.
#include "gateway/kept.h"

#include <gtest/gtest.h>

#include <fstream>

#include "gateway/kept_door.h"
#include "gateway/testing.h"
#include "store/sqlite.h"

namespace entrepot::gateway {
namespace {

std::string response(std::string_view id, std::string_view status, bool has_usage = true) {
    return fmt::format(
        R"({{"id":"{0}","object":"response","created_at":1,"status":"{1}","model":"tiny-2026",)"
        R"("background":true,"error":null,"output":[{2}],"usage":{3}}})",
        id, status,
        status == "completed"
            ? fmt::format(R"({{"id":"msg_{}","type":"message","role":"assistant","status":)"
                          R"("completed","content":[{{"type":"output_text","text":"hello",)"
                          R"("annotations":[]}}]}})",
                  id)
            : "",
        has_usage ? R"({"input_tokens":10,"output_tokens":5,"total_tokens":15})" : "null");
}

Script whole(std::string body, int status = 200) {
    Script script;
    script.status = status;
    script.pieces = {std::move(body)};
    return script;
}

class KeptTest : public GatewayTest {
protected:
    void SetUp() override {
        GatewayTest::SetUp();
        serve();
    }

    /// `more`: sections of the configuration.
    void serve(std::string_view more = "") {
        start_with(fmt::format(R"({}clouds:
  first: {{kind: openai, endpoint: "http://127.0.0.1:{}/v1", api_key: sk-up-first}}
  second: {{kind: openai, endpoint: "http://127.0.0.1:{}/v1", api_key: sk-up-second}}
  other: {{kind: openai_compatible, endpoint: "http://127.0.0.1:{}/v1"}}
models:
  tiny:
    offers:
      first: {{cloud: first, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {{input: "1.00", output: "2.00", currency: USD}}}}
      second: {{cloud: second, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
               price: {{input: "3.00", output: "6.00", currency: USD}}}}
  dear:
    offers:
      second: {{cloud: second, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
               price: {{input: "3.00", output: "6.00", currency: USD}}}}
  alone:
    offers:
      other: {{cloud: other, id: tiny-2026, context_tokens: 8000, max_output_tokens: 1000,
              price: {{input: "1.00", output: "2.00", currency: USD}}}}
)",
                       more, first.port, second.port, second.port),
            "100.00", kClamping);
    }

    /// Keys that may name what has no bound: the hold is as large as the context.
    static constexpr std::string_view kClamping =
        "  clamp: {team: search, secret: sk-clamp, models: [\"*\"], policy: {on_unbounded: "
        "clamp}}\n"
        "  foreign: {team: search, secret: sk-foreign, models: [\"*\"], policy: {on_unbounded: "
        "clamp}}\n"
        "  free: {team: free, secret: sk-free, models: [\"*\"]}\n"
        "  other: {team: free, secret: sk-other, models: [\"*\"]}\n";

    Reply at(std::string_view method, std::string_view path, std::string_view body = "",
        std::string_view key = "sk-clamp") {
        return call(gateway_->port(), method, path, body, key);
    }
    Reply post(std::string_view body, std::string_view key = "sk-clamp") {
        return at("POST", "/v1/responses", body, key);
    }
    /// A client that waits no longer than that.
    void leave_after(milliseconds patience, std::string_view body) {
        Core core;
        net::HttpClient client(core);
        net::OriginPool* pool =
            *client.origin(net::Origin{false, "127.0.0.1", gateway_->port(), "", ""});
        const auto run = [&]() -> Co<void> {
            net::ClientRequest request;
            request.method = "POST";
            request.target = "/v1/responses";
            request.header_lines = "authorization: Bearer sk-clamp\r\n";
            request.body = body;
            net::ExchangeLimits limits;
            limits.deadline = core.after(patience);
            const Result<net::ClientExchange> none =
                co_await client.exchange(*pool, request, limits);
            EXPECT_FALSE(none);
        };
        core.run_until_done(run());
    }
    /// Does something to the index beside the gateway.
    void index(const char* sql) {
        auto database = store::Database::open(data_ / "kept.db", store::Database::Mode::kReadWrite);
        ASSERT_TRUE(database);
        const Status done = database->execute(sql);
        EXPECT_TRUE(done) << done.error().message;
    }
    std::uint64_t open_attempts() {
        std::uint64_t open = 0;
        gateway_->with_books([&](store::Books& books) { open = books.stats().open_attempts; });
        return open;
    }
};

constexpr std::string_view kAskStored = R"({"model":"tiny","input":"hi","max_output_tokens":100})";
constexpr std::string_view kAskBackground =
    R"({"model":"tiny","input":"hi","background":true,"max_output_tokens":1000})";

TEST_F(KeptTest, AStoredAnswerIsReadAndRemovedByWhoMadeItAndByNobodyElse) {
    std::vector<std::string> asked;
    first.by_request = [&](const net::ServerRequest& request) {
        asked.push_back(fmt::format("{} {}", request.method, request.target));
        EXPECT_EQ(request.headers.find("authorization"), "Bearer sk-up-first");
        return whole(request.method == "DELETE"
                ? R"({"id":"resp_1","object":"response","deleted":true})"
                : response("resp_1", "completed"));
    };
    ASSERT_EQ(post(kAskStored).status, 200);
    const Reply read = at("GET", "/v1/responses/resp_1?include[]=reasoning.encrypted_content");
    EXPECT_EQ(read.status, 200);
    EXPECT_EQ(read.body, response("resp_1", "completed"));
    EXPECT_EQ(asked.back(), "GET /v1/responses/resp_1?include[]=reasoning.encrypted_content");
    const std::size_t before = asked.size();
    const Reply foreign = at("GET", "/v1/responses/resp_1", "", "sk-foreign");
    const Reply unknown = at("GET", "/v1/responses/resp_9", "", "sk-foreign");
    EXPECT_EQ(foreign.status, 404);
    EXPECT_EQ(unknown.status, 404);
    std::string same = unknown.body;
    same.replace(same.find("resp_9"), 6, "resp_1");
    EXPECT_EQ(foreign.body, same) << "whether it is there cannot be told";
    EXPECT_EQ(at("DELETE", "/v1/responses/resp_1", "", "sk-foreign").status, 404);
    EXPECT_EQ(asked.size(), before) << "the supplier is not asked for strangers";
    EXPECT_EQ(at("GET", "/v1/responses/resp_1", "", "sk-mate").status, 200)
        << "a key that shares with its team";
    EXPECT_EQ(at("GET", "/v1/responses/resp_1/input_items").status, 200);
    EXPECT_EQ(asked.back(), "GET /v1/responses/resp_1/input_items");
    EXPECT_EQ(at("DELETE", "/v1/responses/resp_1").status, 200);
    EXPECT_EQ(at("GET", "/v1/responses/resp_1").status, 404);
    EXPECT_EQ(at("PUT", "/v1/responses/resp_1").status, 405);
    expect_books_in_order();
}

// The cheaper supplier knows nothing of it.
TEST_F(KeptTest, WhatContinuesAStoredAnswerGoesWhereItLies) {
    first.plan(whole(R"({"error":{"message":"no","type":"server_error"}})", 500));
    second.by_request = [](const net::ServerRequest&) {
        return whole(response("resp_2", "completed"));
    };
    ASSERT_EQ(post(kAskStored).headers["x-entrepot-offer"], "tiny/second");
    first.plan(whole(response("resp_1", "completed")));
    for (const std::string_view named :
        {R"("previous_response_id":"resp_2","input":"and then?")",
            R"("input":[{"type":"item_reference","id":"msg_resp_2"},{"role":"user","content":"?"}])",
            R"("input":[{"type":"reasoning","id":"msg_resp_2","summary":[]},)"
            R"({"role":"user","content":"?"}])"}) {
        const std::string ask = fmt::format(R"({{"model":"tiny",{}}})", named);
        const Reply next = post(ask);
        EXPECT_EQ(next.status, 200) << next.body;
        EXPECT_EQ(next.headers.at("x-entrepot-offer"), "tiny/second") << named;
        EXPECT_EQ(second.last_body().find("tiny-2026") != std::string::npos, true);
        const Reply foreign = post(ask, "sk-foreign");
        EXPECT_EQ(foreign.status, 404) << foreign.body;
        EXPECT_EQ(foreign.body.find("second"), std::string::npos);
    }
    const Reply elsewhere =
        post(R"({"model":"alone","previous_response_id":"resp_2","input":"hi"})");
    EXPECT_EQ(elsewhere.status, 400);
    EXPECT_NE(elsewhere.body.find("previous_response_id"), std::string::npos) << elsewhere.body;
    expect_books_in_order();
}

TEST_F(KeptTest, StateHasNoBoundAndIsRefusedUnderABudgetThatDoesNotClamp) {
    first.plan(whole(response("resp_1", "completed")));
    ASSERT_EQ(post(kAskStored, "sk-test").status, 200);
    const Reply next =
        post(R"({"model":"tiny","previous_response_id":"resp_1","input":"hi"})", "sk-test");
    EXPECT_EQ(next.status, 400);
    EXPECT_NE(next.body.find("unbounded"), std::string::npos) << next.body;
    expect_books_in_order();
}

TEST_F(KeptTest, ASuppliersTemplateAndFilesOfNobodyAreRefusedByName) {
    const Reply prompt = post(R"({"model":"tiny","prompt":{"id":"pmpt_1"},"input":"hi"})");
    EXPECT_EQ(prompt.status, 400);
    EXPECT_NE(prompt.body.find(R"("param":"prompt")"), std::string::npos) << prompt.body;
    const Reply file = at("POST", "/v1/chat/completions",
        R"({"model":"tiny","messages":[{"role":"user","content":[{"type":"file",)"
        R"("file":{"file_id":"file-1"}}]}]})");
    EXPECT_EQ(file.status, 404) << file.body;
    const Reply conversation = post(R"({"model":"tiny","conversation":"conv_1","input":"hi"})");
    EXPECT_EQ(conversation.status, 404) << conversation.body;
    EXPECT_EQ(first.served(), 0u);
    expect_books_in_order();
}

TEST_F(KeptTest, AConversationIsMadeContinuedAndItsOwnersAlone) {
    first.by_request = [](const net::ServerRequest& request) {
        if (request.path.starts_with("/v1/conversations"))
            return whole(R"({"id":"conv_1","object":"conversation","metadata":{}})");
        return whole(response("resp_1", "completed"));
    };
    const Reply made = at("POST", "/v1/conversations", R"({"metadata":{}})");
    ASSERT_EQ(made.status, 200) << made.body;
    EXPECT_EQ(at("GET", "/v1/conversations/conv_1").status, 200);
    EXPECT_EQ(at("GET", "/v1/conversations/conv_1", "", "sk-foreign").status, 404);
    EXPECT_EQ(post(R"({"model":"tiny","conversation":{"id":"conv_1"},"input":"hi"})").status, 200);
    EXPECT_EQ(
        post(R"({"model":"tiny","conversation":"conv_1","input":"hi"})", "sk-foreign").status, 404);
}

// Nothing but their maker ends them.
TEST_F(KeptTest, AKeyHasSoManyConversationsAndFilesAtMost) {
    gateway_.reset();
    {
        auto opened = store::KeptStore::open({.data = data_});
        ASSERT_TRUE(opened);
        for (std::size_t i = 0; i < kOwnMax;) {
            std::vector<store::Kept> some(kOwnMax / 10);
            for (store::Kept& thing : some) {
                thing.id = fmt::format("conv_{}", i++);
                thing.kind = store::KeptKind::kConversation;
                thing.cloud = "first";
                thing.key = "clamp";
                thing.team = "search";
                thing.org = "acme";
            }
            ASSERT_TRUE((*opened)->note(std::move(some)));
            ASSERT_TRUE((*opened)->flush());
        }
    }
    serve();
    const Reply refused = at("POST", "/v1/conversations", "{}");
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_NE(refused.body.find("delete"), std::string::npos) << refused.body;
    EXPECT_EQ(first.served(), 0u);
    first.plan(whole(R"({"id":"conv_0","object":"conversation","deleted":true})"));
    EXPECT_EQ(at("DELETE", "/v1/conversations/conv_0").status, 200);
    first.plan(whole(R"({"id":"conv_new","object":"conversation"})"));
    EXPECT_EQ(at("POST", "/v1/conversations", "{}").status, 200);
}

// A conversation shows what was put into it: naming is reading.
TEST_F(KeptTest, WhatIsPutIntoAConversationIsItsMakersToo) {
    first.by_request = [](const net::ServerRequest& request) {
        if (request.path.starts_with("/v1/conversations"))
            return whole(fmt::format(R"({{"id":"conv_{}","object":"conversation"}})",
                request.body.find("item_reference") == std::string::npos ? 1 : 2));
        return whole(response("resp_1", "completed"));
    };
    ASSERT_EQ(post(kAskStored).status, 200);
    constexpr std::string_view kItems =
        R"({"items":[{"type":"item_reference","id":"msg_resp_1"}]})";
    ASSERT_EQ(at("POST", "/v1/conversations", "{}", "sk-foreign").status, 200);
    const std::size_t before = first.served();
    for (const std::string_view path : {"/v1/conversations", "/v1/conversations/conv_1/items"})
        EXPECT_EQ(at("POST", path, kItems, "sk-foreign").status, 404) << path;
    EXPECT_EQ(first.served(), before);
    EXPECT_EQ(at("POST", "/v1/conversations", kItems).status, 200);
    EXPECT_EQ(first.last_body(), kItems);
}

// The supplier looks up whatever has an id and holds nothing, with or without a word for it.
TEST_F(KeptTest, AnItemThatIsAllIdIsItsMakersAlone) {
    first.by_request = [](const net::ServerRequest& request) {
        if (request.path.starts_with("/v1/conversations"))
            return whole(fmt::format(R"({{"id":"conv_{}","object":"conversation"}})",
                request.body.find("msg_resp_1") == std::string::npos ? 1 : 2));
        return whole(response("resp_1", "completed"));
    };
    ASSERT_EQ(post(kAskStored).status, 200);
    ASSERT_EQ(at("POST", "/v1/conversations", "{}", "sk-foreign").status, 200);
    for (const std::string_view item :
        {R"({"id":"msg_resp_1"})", R"({"type":null,"id":"msg_resp_1","content":"x"})",
            R"({"type":"message","role":"assistant","id":"msg_resp_1"})",
            R"({"id":"msg_resp_1","role":"assistant","content":null})",
            R"({"type":"reasoning","id":"msg_resp_1","summary":[{"type":"summary_text",)"
            R"("text":"x"}]})",
            R"({"type":"image_generation_call","id":"msg_resp_1"})",
            R"({"type":"image_generation_call","id":"msg_resp_1","size":"1x1","result":null})",
            R"({"type":"web_search_call","id":"msg_resp_1","status":"completed"})"}) {
        const std::string ask = fmt::format(R"({{"model":"tiny","input":[{}]}})", item);
        const std::string items = fmt::format(R"({{"items":[{}]}})", item);
        const std::size_t before = first.served();
        EXPECT_EQ(post(ask, "sk-foreign").status, 404) << item;
        EXPECT_EQ(at("POST", "/v1/conversations", items, "sk-foreign").status, 404) << item;
        EXPECT_EQ(at("POST", "/v1/conversations/conv_1/items", items, "sk-foreign").status, 404)
            << item;
        EXPECT_EQ(first.served(), before) << item;
        EXPECT_EQ(post(ask).status, 200) << item;
        EXPECT_EQ(at("POST", "/v1/conversations", items).status, 200) << item;
    }
    for (const std::string_view item :
        {R"({"type":"image_generation_call","id":"ig_1","result":"iVBORw0KGgo="})",
            R"({"type":"web_search_call","id":"ws_1","action":{"type":"search","query":"x"}})"})
        EXPECT_EQ(
            post(fmt::format(R"({{"model":"tiny","input":[{}]}})", item), "sk-foreign").status, 200)
            << item;
    expect_books_in_order();
}

// In it lies what its maker's code left there; an answer that is not stored leaves one all the
// same.
TEST_F(KeptTest, AContainerIsWhoseToolsRanInIt) {
    first.by_request = [](const net::ServerRequest&) {
        return whole(R"({"id":"resp_1","object":"response","created_at":1,"status":"completed",)"
                     R"("model":"tiny-2026","output":[{"id":"ci_1","type":)"
                     R"("code_interpreter_call","status":"completed","code":"1",)"
                     R"("container_id":"cntr_1","outputs":[]}],"usage":{"input_tokens":1,)"
                     R"("output_tokens":1,"total_tokens":2}})");
    };
    const auto ask = [&](std::string_view input, std::string_view key, std::string_view container) {
        return post(
            fmt::format(R"({{"model":"tiny","store":false,"input":{},"tools":[{}]}})", input,
                fmt::format(R"({{"type":"code_interpreter","container":{}}})", container)),
            key);
    };
    constexpr std::string_view kAuto = R"({"type":"auto"})";
    constexpr std::string_view kCall =
        R"([{"type":"code_interpreter_call","id":"ci_1","code":"1","container_id":"cntr_1"}])";
    EXPECT_EQ(ask(kCall, "sk-free", kAuto).status, 404);
    ASSERT_EQ(ask(R"("hi")", "sk-free", kAuto).status, 200);
    const std::size_t before = first.served();
    EXPECT_EQ(ask(kCall, "sk-other", kAuto).status, 404);
    EXPECT_EQ(ask(R"("hi")", "sk-other", R"("cntr_1")").status, 404);
    EXPECT_EQ(first.served(), before);
    EXPECT_EQ(ask(kCall, "sk-free", kAuto).status, 200);
    EXPECT_EQ(ask(R"("hi")", "sk-free", R"("cntr_1")").status, 200);
    EXPECT_EQ(at("GET", "/v1/responses/resp_1", "", "sk-free").status, 404) << "not stored";
}

// Wherever in a request it stands, and however it is spelled.
TEST_F(KeptTest, FilesOfNobodyAreFoundInEveryDialect) {
    const auto anthropic = [](std::string_view part) {
        return fmt::format(
            R"({{"model":"tiny","max_tokens":9,"messages":[{{"role":"user","content":[{}]}}]}})",
            part);
    };
    const auto google = [](std::string_view uri) {
        return fmt::format(
            R"({{"contents":[{{"role":"user","parts":[{{"fileData":{{"fileUri":"{}"}}}}]}}]}})",
            uri);
    };
    const auto embed = [](std::string_view uri) {
        return fmt::format(R"({{"content":{{"parts":[{{"text":"a"}},{{"fileData":{{"mimeType":)"
                           R"("image/png","fileUri":"{}"}}}}]}}}})",
            uri);
    };
    const auto edit = [](std::string_view named) {
        return fmt::format(R"({{"model":"tiny","prompt":"a cat",{}}})", named);
    };
    constexpr std::string_view kEdits = "/v1/images/edits";
    constexpr std::string_view kTranscribe = "/v1/audio/transcriptions";
    constexpr std::string_view kMessages = "/v1/messages";
    constexpr std::string_view kGenerate = "/v1beta/models/tiny:generateContent";
    constexpr std::string_view kEmbed = "/v1beta/models/tiny:embedContent";
    constexpr std::string_view kEmbedAll = "/v1beta/models/tiny:batchEmbedContents";
    const std::vector<std::pair<std::string_view, std::string>> cases{
        {kMessages, anthropic(R"({"type":"image","source":{"type":"file","file_id":"file_1"}})")},
        {kMessages, anthropic(R"({"type":"container_upload","file_id":"file_1"})")},
        {kGenerate, google("https://generativelanguage.googleapis.com/v1beta/files/a")},
        {kGenerate, google("https://GenerativeLanguage.googleapis.com/v1beta/file%73/a")},
        {kEmbed, embed("files/a")},
        {kEmbedAll, fmt::format(R"({{"requests":[{}]}})", embed("files/a"))},
        {"/v1/responses",
            R"({"model":"tiny","input":[{"role":"user","content":[{"type":"input_image",)"
            R"("file_id":"file-1"}]}]})"},
        {"/v1/chat/completions",
            R"({"model":"tiny","messages":[{"role":"assistant","content":"hm","audio":{"id":"audio_1"}},)"
            R"({"role":"user","content":"And?"}]})"},
        {kEdits, edit(R"("images":[{"image_url":"u"},{"file_id":"file-1"}])")},
        {kEdits, edit(R"("images":[{"image_url":"u"}],"mask":{"file_id":"file-1"})")},
        {kTranscribe, R"({"model":"tiny","file_id":"file-1"})"},
        {kTranscribe, R"({"model":"tiny","input_audio":{"data":"eHh4eA==","file_id":"file-1"}})"},
    };
    for (const auto& [path, body] : cases) {
        const Reply reply = at("POST", path, body);
        EXPECT_EQ(reply.status, 404) << body << reply.body;
    }
    EXPECT_EQ(first.served(), 0u);
}

TEST_F(KeptTest, AStreamsAnswerIsKeptUnderItsNameToo) {
    const std::string done = response("resp_s", "completed");
    first.by_request = [&](const net::ServerRequest& request) {
        if (request.method == "GET") return whole(done);
        return stream_of({fmt::format("event: response.created\ndata: {{\"type\":"
                                      "\"response.created\",\"response\":{}}}\n\n",
                              response("resp_s", "in_progress", false)),
            fmt::format("event: response.completed\ndata: {{\"type\":\"response.completed\","
                        "\"response\":{}}}\n\n",
                done)});
    };
    ASSERT_EQ(post(R"({"model":"tiny","input":"hi","stream":true})").status, 200);
    EXPECT_EQ(at("GET", "/v1/responses/resp_s").status, 200);
    EXPECT_EQ(post(R"({"model":"tiny","stream":true,"input":[{"type":"item_reference",)"
                   R"("id":"msg_resp_s"}]})")
                  .status,
        200);
    expect_books_in_order();
}

TEST_F(KeptTest, NothingIsRememberedOfWhatIsNotStored) {
    first.by_request = [](const net::ServerRequest&) {
        return whole(response("resp_1", "completed"));
    };
    ASSERT_EQ(post(R"({"model":"tiny","input":"hi","store":false})").status, 200);
    EXPECT_EQ(at("GET", "/v1/responses/resp_1").status, 404);
}

// Its hold stays until somebody sees its end: here the client that polls.
TEST_F(KeptTest, ABackgroundAnswerIsHeldAtItsSubmissionAndSettledWhenAPollSeesItsEnd) {
    std::atomic<bool> is_done{false};
    first.by_request = [&](const net::ServerRequest& request) {
        if (request.body.find("item_reference") != std::string::npos)
            return whole(response("resp_c", "completed"));
        if (request.method == "POST") return whole(response("resp_b", "queued", false));
        return whole(response("resp_b", is_done ? "completed" : "in_progress", is_done));
    };
    const Reply asked =
        post(R"({"model":"tiny","input":"hi","background":true,"max_output_tokens":100})");
    ASSERT_EQ(asked.status, 200) << asked.body;
    EXPECT_EQ(asked.body, response("resp_b", "queued", false));
    EXPECT_EQ(open_attempts(), 1u);
    EXPECT_EQ(at("GET", "/v1/responses/resp_b").body, response("resp_b", "in_progress", false));
    EXPECT_EQ(open_attempts(), 1u);
    is_done = true;
    EXPECT_EQ(at("GET", "/v1/responses/resp_b").body, response("resp_b", "completed"));
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    EXPECT_EQ(
        post(R"({"model":"tiny","input":[{"type":"item_reference","id":"msg_resp_b"}]})").status,
        200);
    expect_books_in_order();
}

TEST_F(KeptTest, TheSweepSettlesWhatNobodyPolls) {
    first.by_request = [&](const net::ServerRequest& request) {
        return whole(request.method == "POST" ? response("resp_b", "queued", false)
                                              : response("resp_b", "completed"));
    };
    const Reply asked =
        post(R"({"model":"tiny","input":"hi","background":true,"max_output_tokens":100})");
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(KeptTest, ABackgroundHoldOutlivesARestartAndIsSettledAfterIt) {
    std::atomic<bool> is_done{false};
    first.by_request = [&](const net::ServerRequest& request) {
        if (request.method == "POST") return whole(response("resp_b", "queued", false));
        return whole(response("resp_b", is_done ? "completed" : "in_progress", is_done));
    };
    const Reply asked =
        post(R"({"model":"tiny","input":"hi","background":true,"max_output_tokens":100})");
    ASSERT_EQ(asked.status, 200);
    serve();
    EXPECT_EQ(open_attempts(), 1u);
    EXPECT_EQ(at("GET", "/v1/responses/resp_b", "", "sk-foreign").status, 404);
    is_done = true;
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

// A cost that is not known is a state, never zero.
TEST_F(KeptTest, WhatABackgroundAnswerUsedIsLoggedAndCountedWhenItIsKnown) {
    const std::filesystem::path log = data_ / "access.log";
    serve(fmt::format("access_log: {}\n", log.string()));
    first.by_request = [](const net::ServerRequest& request) {
        return whole(request.method == "POST" ? response("resp_b", "queued", false)
                                              : response("resp_b", "completed"));
    };
    const Reply asked = post(kAskBackground);
    EXPECT_EQ(asked.headers.count("x-entrepot-cost"), 0u);
    ASSERT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    const std::string metrics = gateway_->metrics();
    EXPECT_NE(metrics.find("entrepot_usage_total{meter=\"output\"} 5\n"), metrics.npos) << metrics;
    EXPECT_NE(metrics.find("entrepot_exchanges_total{class=\"2xx\"} 1\n"), metrics.npos) << metrics;
    gateway_.reset();
    std::ifstream file(log);
    std::string begun, ended, none;
    std::getline(file, begun);
    std::getline(file, ended);
    EXPECT_FALSE(std::getline(file, none)) << none;
    EXPECT_EQ(begun.find("\"cost\""), begun.npos) << begun;
    for (const std::string_view part : {"\"cost\":\"0.00002\"", "\"key\":\"clamp\"",
             "\"offer\":\"tiny/first\"", "\"phase\":\"settle\""})
        EXPECT_NE(ended.find(part), ended.npos) << ended;
    const std::string& id = asked.headers.at("x-entrepot-exchange");
    EXPECT_NE(begun.find(id), begun.npos);
    EXPECT_NE(ended.find(id), ended.npos);
}

// Whoever waits for another's supplier waits for nothing.
TEST_F(KeptTest, ASupplierThatDoesNotAnswerKeepsNoOtherHoldOpen) {
    std::atomic<int> made{0};
    const auto serves = [&](std::string_view stalls, const net::ServerRequest& request) {
        if (request.method == "POST")
            return whole(response(fmt::format("resp_{}", ++made), "queued", false));
        const std::string_view id = request.path.substr(request.path.rfind('/') + 1);
        Script script = whole(response(id, "completed"));
        if (stalls.find(id) != std::string_view::npos) script.before = 20s;
        return script;
    };
    second.by_request = [&](const net::ServerRequest& request) { return serves("", request); };
    first.by_request = [&](const net::ServerRequest& request) {
        return serves("resp_1 resp_2 resp_3", request);
    };
    for (int i = 0; i < 3; ++i) EXPECT_EQ(post(kAskBackground).status, 200);
    const Reply same = post(kAskBackground);
    const Reply other = post(R"({"model":"dear","input":"hi","background":true})");
    EXPECT_EQ(report_of(other).cost.to_decimal(), "0.00006");
    EXPECT_EQ(report_of(same).cost.to_decimal(), "0.00002");
    EXPECT_EQ(open_attempts(), 3u);
}

// Its hold must not be forgotten with it.
TEST_F(KeptTest, AHoldThatCannotBeEndedYetIsTriedAgain) {
    std::atomic<int> looks{0};
    first.by_request = [&](const net::ServerRequest& request) {
        looks += request.method == "GET" ? 1 : 0;
        return whole(request.method == "POST" ? response("resp_b", "queued", false)
                                              : response("resp_b", "completed"));
    };
    const Reply asked = post(kAskBackground);
    gateway_.reset();
    index("UPDATE kept SET detail = 'x' || detail WHERE id = 'resp_b'");
    const int before = looks;
    serve();
    for (int i = 0; i < 300 && looks == before; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_EQ(open_attempts(), 1u);
    index("UPDATE kept SET detail = substr(detail, 2) WHERE id = 'resp_b'");
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(KeptTest, ARemovedAnswerIsForgottenOnlyWithItsHold) {
    std::atomic<bool> is_gone{false};
    first.by_request = [&](const net::ServerRequest& request) {
        if (is_gone) return whole(R"({"error":{"message":"gone"}})", 404);
        if (request.method == "DELETE") {
            is_gone = true;
            return whole(R"({"id":"resp_b","object":"response","deleted":true})");
        }
        return whole(response("resp_b", "in_progress", false));
    };
    const Reply asked = post(kAskBackground);
    index("UPDATE kept SET detail = 'x' || detail WHERE id = 'resp_b'");
    EXPECT_EQ(at("DELETE", "/v1/responses/resp_b").status, 200);
    EXPECT_EQ(open_attempts(), 1u);
    index("UPDATE kept SET detail = substr(detail, 2) WHERE id = 'resp_b'");
    const store::ExchangeReport report = report_of(asked);
    EXPECT_EQ(report.cost, report.attempts.at(0).held);
    expect_books_in_order();
}

TEST_F(KeptTest, ABackgroundAnswerOfAnOfferThatIsGoneCostsItsHold) {
    first.by_request = [](const net::ServerRequest& request) {
        return whole(request.method == "POST" ? response("resp_b", "queued", false)
                                              : response("resp_b", "completed"));
    };
    const Reply asked = post(kAskBackground);
    start_with(fmt::format(R"(clouds:
  first: {{kind: openai, endpoint: "http://127.0.0.1:{}/v1", api_key: sk-up-first}}
models: {{}}
)",
                   first.port),
        "100.00", kClamping);
    const store::ExchangeReport report = report_of(asked);
    EXPECT_EQ(report.cost, report.attempts.at(0).held);
    EXPECT_EQ(report.attempts.at(0).offer, "tiny/first");
    expect_books_in_order();
}

// Nobody will ever say what it took.
TEST_F(KeptTest, ABackgroundAnswerThatIsRemovedUnderWayCostsItsHold) {
    first.by_request = [&](const net::ServerRequest& request) {
        return whole(request.method == "DELETE"
                ? R"({"id":"resp_b","object":"response","deleted":true})"
                : response("resp_b", "in_progress", false));
    };
    const Reply asked =
        post(R"({"model":"tiny","input":"hi","background":true,"max_output_tokens":100})");
    ASSERT_EQ(open_attempts(), 1u);
    EXPECT_EQ(at("DELETE", "/v1/responses/resp_b").status, 200);
    const store::ExchangeReport report = report_of(asked);
    EXPECT_EQ(report.cost, report.attempts.at(0).held);
    EXPECT_EQ(report.attempts.at(0).flags, ledger::settle_flag::kEstimated);
    EXPECT_EQ(at("GET", "/v1/responses/resp_b").status, 404);
    expect_books_in_order();
}

TEST_F(KeptTest, AStreamMadeInTheBackgroundGoesOnWhenItsClientHangsUp) {
    first.by_request = [&](const net::ServerRequest& request) {
        if (request.query.find("stream=true") != std::string_view::npos)
            return stream_of({"event: response.completed\ndata: {}\n\n"});
        if (request.method == "GET") return whole(response("resp_b", "completed"));
        Script script = stream_of({fmt::format("event: response.created\ndata: "
                                               "{{\"type\":\"response.created\","
                                               "\"response\":{}}}\n\n",
                                       response("resp_b", "in_progress", false)),
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
            "\"item_id\":\"msg_resp_b\",\"output_index\":0,\"content_index\":0,\"delta\":\"he\"}"
            "\n\n",
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
            "\"item_id\":\"msg_resp_b\",\"output_index\":0,\"content_index\":0,\"delta\":\"llo\"}"
            "\n\n"});
        script.between = 100ms;
        return script;
    };
    const Reply asked = call(gateway_->port(), "POST", "/v1/responses",
        R"({"model":"tiny","input":"hi","background":true,"stream":true})", "sk-clamp", 1);
    for (int i = 0; i < 300 && at("GET", "/v1/responses/resp_b").status == 404; ++i)
        std::this_thread::sleep_for(10ms);
    const Reply resumed = at("GET", "/v1/responses/resp_b?stream=true&starting_after=1");
    EXPECT_EQ(resumed.headers.at("content-type"), "text/event-stream");
    EXPECT_EQ(resumed.body, "event: response.completed\ndata: {}\n\n");
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

// Silence after a submission: it may be worked on, and nobody knows its name.
TEST_F(KeptTest, ABackgroundAnswerWhoseNameNeverCameCostsItsHold) {
    Script broken = whole(R"({"id":"resp_b","object":)");
    broken.breaks_off = true;
    Script silent =
        stream_of({fmt::format("event: response.created\ndata: {{\"type\":"
                               "\"response.created\",\"response\":{}}}\n\n",
            response("resp_b", "in_progress", false))});
    silent.breaks_off = true;
    for (const auto& [script, more] :
        {std::pair{broken, ""}, std::pair{silent, R"("stream":true,)"}}) {
        first.plan(script);
        second.plan(*more == '\0' ? whole(response("resp_2", "completed"))
                                  : stream_of({fmt::format("event: response.completed\ndata: {{"
                                                           "\"type\":\"response.completed\","
                                                           "\"response\":{}}}\n\n",
                                        response("resp_2", "completed"))}));
        const Reply asked = post(fmt::format("{{{}{}", more, kAskBackground.substr(1)));
        ASSERT_EQ(asked.status, 200) << asked.body;
        const store::ExchangeReport report = report_of(asked);
        ASSERT_EQ(report.attempts.size(), 2u);
        EXPECT_EQ(report.attempts[0].cost, report.attempts[0].held);
        EXPECT_GT(report.attempts[0].held.to_decimal(), "0.002");
        EXPECT_EQ(report.attempts[0].flags, ledger::settle_flag::kEstimated);
        EXPECT_EQ(report.attempts[1].cost.to_decimal(), "0.00006");
    }
    expect_books_in_order();
}

TEST_F(KeptTest, ABackgroundAnswerWhoseClientHangsUpBeforeItsNameCostsItsHold) {
    const auto id = std::make_shared<std::string>();
    first.by_request = [id](const net::ServerRequest& request) {
        *id = request.headers.find("x-entrepot-exchange").value_or("");
        Script script = whole(response("resp_b", "queued", false));
        script.before = 5s;
        return script;
    };
    leave_after(150ms, kAskBackground);
    Reply asked;
    asked.headers["x-entrepot-exchange"] = *id;
    const store::ExchangeReport report = report_of(asked);
    EXPECT_EQ(report.cost, report.attempts.at(0).held);
    EXPECT_EQ(report.attempts.at(0).flags,
        ledger::settle_flag::kEstimated | ledger::settle_flag::kClientGone);
    expect_books_in_order();
}

// Its name has come, though nothing that the client would have got.
TEST_F(KeptTest, ABackgroundStreamWhoseClientHangsUpBeforeItBeginsIsLookedFor) {
    const auto id = std::make_shared<std::string>();
    first.by_request = [id](const net::ServerRequest& request) {
        if (request.method == "GET") return whole(response("resp_b", "completed"));
        *id = request.headers.find("x-entrepot-exchange").value_or("");
        Script script = stream_of({fmt::format("event: response.created\ndata: {{\"type\":"
                                               "\"response.created\",\"response\":{}}}\n\n",
                                       response("resp_b", "in_progress", false)),
            ": nothing\n\n"});
        script.between = 5s;
        return script;
    };
    leave_after(150ms, fmt::format(R"({{"stream":true,{})", kAskBackground.substr(1)));
    Reply asked;
    asked.headers["x-entrepot-exchange"] = *id;
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST_F(KeptTest, ABackgroundAnswerThatCannotBeNotedCostsItsHold) {
    first.plan(whole(response("resp_b", "queued", false)));
    index("CREATE TRIGGER full BEFORE INSERT ON kept BEGIN SELECT RAISE(ABORT, 'full'); END");
    const Reply asked = post(kAskBackground);
    EXPECT_EQ(asked.status, 200);
    const store::ExchangeReport report = report_of(asked);
    EXPECT_EQ(report.cost, report.attempts.at(0).held);
    EXPECT_EQ(asked.headers.count("x-entrepot-cost"), 0u) << "it is not known";
    expect_books_in_order();
}

// A reply repeats the request's instructions, which may be long.
TEST_F(KeptTest, ALargeReplyThatIsNoAnswerYetIsDeferredToo) {
    std::string large = response("resp_b", "queued", false);
    large.insert(1, fmt::format(R"("instructions":"{}",)", std::string(1'200'000, 'x')));
    Script script = whole(large.substr(0, 600'000));
    script.pieces.push_back(large.substr(600'000));
    first.by_request = [script](const net::ServerRequest& request) {
        return request.method == "POST" ? script : whole(response("resp_b", "completed"));
    };
    const Reply asked = post(kAskBackground);
    EXPECT_EQ(asked.body, large);
    EXPECT_EQ(report_of(asked).cost.to_decimal(), "0.00002");
    expect_books_in_order();
}

TEST(KeptDoors, AreOpenAisAndAzures) {
    for (const std::string_view path : {"/v1/responses/resp_1", "/openai/v1/responses/resp_1",
             "/openai/responses/resp_1", "//v1//responses/resp_1/"}) {
        const auto door = find_kept_door(path, "GET");
        ASSERT_TRUE(door) << path;
        EXPECT_EQ(door->id, "resp_1");
        EXPECT_EQ(door->collection, "responses");
    }
    EXPECT_EQ(find_kept_door("/v1/responses/resp_1/cancel", "POST")->rest, "/cancel");
    EXPECT_EQ(kept_methods("/v1/responses/resp_1"), "GET or DELETE");
}

// An id goes into a path at the supplier, with our credentials.
TEST(KeptDoors, NoIdIsAPath) {
    for (const std::string_view path : {"/v1/responses/..", "/v1/responses/%2e%2e",
             "/v1/responses/a%2Fb", "/v1/responses/a%3Fb", "/v1/responses/a%252Fb",
             "/v1/responses/a%0d%0ab", "/v1/conversations/c/items/..", "/v1/responses/a;b"})
        EXPECT_FALSE(find_kept_door(path, "")) << path;
}

TEST(Kept, WhatEndsAHoldReadsBackAsItWasWritten) {
    Deferred deferred;
    deferred.attempt = 3;
    deferred.offer = "tiny/\"first\"";
    deferred.tier = catalog::Tier::kBatch;
    deferred.hold = *Money::parse("1.000000000001");
    deferred.is_bounded = true;
    deferred.dispatch = Instant{1'763'900'000'123'456'789};
    deferred.prompt_tokens_estimate = 77;
    deferred.status = 200;
    const Deferred again = read_deferred(to_json(deferred)).value();
    EXPECT_EQ(to_json(again), to_json(deferred));
    EXPECT_EQ(again.hold, deferred.hold);
    EXPECT_EQ(again.dispatch, deferred.dispatch);
    EXPECT_FALSE(read_deferred("{}"));
}

}  // namespace
}  // namespace entrepot::gateway
