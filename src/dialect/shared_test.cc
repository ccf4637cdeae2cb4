// What dialects share without knowing each other: sealed signatures, sets of allowed tools, how
// a full context is said.
#include <gtest/gtest.h>

#include <map>

#include "dialect/dropped.h"
#include "dialect/google_file.h"
#include "dialect/overflow.h"
#include "dialect/registry.h"
#include "dialect/sealed_signature.h"
#include "json/value.h"

namespace entrepot::dialect {
namespace {

// One account's files are read by whoever names them, so a name is found however it is written.
TEST(GoogleFile, IsOneWhereverGoogleMayLookForIt) {
    for (const std::string uri : {"files/a", "/files/a", "v1beta/files/a", "https:/v1beta/files/a",
             "https://generativelanguage.googleapis.com/v1beta/files/a",
             "HTTPS://GenerativeLanguage.googleapis.com:443/v1beta/file%73/a?alt=media",
             "https://generativelanguage.mtls.googleapis.com/v1beta/files/a:download",
             "//us-central1-aiplatform.googleapis.com./v1/files/a",
             "https://a.test%2F@generativelanguage.googleapis.com/v1beta/files/a",
             "https://a.test\\@generativelanguage.googleapis.com/v1beta/files/a"})
        EXPECT_EQ(google_file_name(uri), "files/a") << uri;
    EXPECT_EQ(google_file_name("files/a/../b"), "files/a/../b");
    for (const std::string uri : {"https://a.test/files/a.png", "gs://bucket/files/a.png",
             "https://storage.googleapis.com/bucket/files/a.png",
             "https://bucket.storage.googleapis.com/files/a.png",
             "https://www.googleapis.com/profiles/a", "https://notgoogleapis.com/files/a",
             "data:image/png;base64,iVBO/files/a", "https://youtu.be/x", ""})
        EXPECT_EQ(google_file_name(uri), "") << uri;
}

TEST(SealedSignature, ComesBackAsItWasWhateverIsInIt) {
    for (const Sealed::Of of :
        {Sealed::Of::kThought, Sealed::Of::kRedacted, Sealed::Of::kPart, Sealed::Of::kEmptyText})
        for (const std::string call : {"", "call_1", "a:b:3:"})
            for (const std::string data : {"", "Eq/+==", ":12:x"}) {
                const Sealed sealed{{"anthropic-messages", data}, of, call};
                EXPECT_EQ(unseal(seal(sealed)), sealed) << seal(sealed);
            }
}

// A turn of a million parts is looked through once, not once for each proof of a call that is none.
TEST(SealedSignature, AProofIsLookedForNearWhereItStands) {
    const auto is_signed = [](std::size_t between) {
        std::vector<canon::Item> items{{.turn = 1, .body = canon::ToolCall{"c1", "f", "{}"}}};
        for (std::size_t i = 0; i < between; ++i)
            items.push_back({.turn = 1, .body = canon::Text{"a"}});
        put_back({{"gemini", "s"}, Sealed::Of::kPart, "c1"}, 1, items);
        return items.front().signature.has_value();
    };
    EXPECT_TRUE(is_signed(0));
    EXPECT_TRUE(is_signed(60));
    EXPECT_FALSE(is_signed(100));
}

TEST(Dropped, NamesEachOnceAndSaysThatThereWereMore) {
    Dropped dropped;
    for (int i = 0; i < 300; ++i) dropped.add(fmt::format("messages[{}].name", i / 2));
    EXPECT_EQ(dropped.names().size(), Dropped::kNamesMax + 1);
    EXPECT_EQ(dropped.names()[1], "messages[1].name");
    EXPECT_EQ(dropped.names().back(), Dropped::kMore);
}

TEST(SealedSignature, WhatWasNotSealedHereIsNot) {
    for (const std::string text :
        {"", "gAAAAABo", "epot1:", "epot1::t:0:", "epot1:gemini", "epot1:gemini:", "epot1:gemini:t",
            "epot1:gemini:x:0:a", "epot1:gemini:t:a:", "epot1:gemini:t:5", "epot1:gemini:t:5:abcd",
            "epot1:gemini:t:-1:abcd", "epot1:gemini:t:99999999999999999999:"})
        EXPECT_FALSE(unseal(text)) << text;
}

canon::Request read_back(const Dialect& client, const std::string& message) {
    const bool is_converse = client.name == "bedrock-converse";
    const std::string body = is_converse
        ? R"({"messages":[{"role":"user","content":[{"text":"hi"}]},)" + message + "]}"
        : R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},)" + message +
            "]}";
    const auto document = json::Document::parse(body);
    RequestContext context;
    if (is_converse) context.model = "m";
    auto request = client.decode_request(*document, context);
    EXPECT_TRUE(request) << request.error().message << body;
    return request ? *std::move(request) : canon::Request{};
}

// The whole way: a maker's reply, shown to a client of another dialect, and sent back by it.
TEST(SealedSignature, ThoughtsAndCallsComeBackWithTheirMakersProofFromOtherDialectsClients) {
    canon::PartStarted thought{.part = 0, .kind = canon::PartKind::kThought};
    canon::PartStarted call{
        .part = 1, .kind = canon::PartKind::kToolCall, .call_id = "c1", .name = "f"};
    canon::PartStarted hidden{.part = 2, .kind = canon::PartKind::kThought, .is_redacted = true};
    canon::PartStarted unsigned_thought{.part = 3, .kind = canon::PartKind::kThought};
    const std::vector<canon::Event> events{canon::Started{"id", "m"}, thought,
        canon::PartDelta{0, 0, "hm"}, canon::PartSignature{0, 0, {"gemini", "s1"}},
        canon::PartEnded{0, 0}, call, canon::PartDelta{0, 1, "{}"},
        canon::PartSignature{0, 1, {"gemini", "s2"}}, canon::PartEnded{0, 1}, hidden,
        canon::PartSignature{0, 2, {"openai-responses", "s3"}}, canon::PartEnded{0, 2},
        unsigned_thought, canon::PartDelta{0, 3, "bare"}, canon::PartEnded{0, 3},
        canon::Finished{.reason = canon::StopReason::kToolCalls}, canon::Ended{}};
    for (const std::string_view name : {"anthropic-messages", "bedrock-converse"}) {
        const Dialect& client = *find_dialect(name);
        const auto encoder = client.reply_encoder(ReplyForm::kWhole, {});
        std::string reply;
        for (const canon::Event& event : events) encoder->add(event, reply);
        const auto document = json::Document::parse(reply);
        ASSERT_TRUE(document) << reply;
        const json::Value& message = document->root()["output"]["message"].is_object()
            ? document->root()["output"]["message"]
            : document->root();
        const canon::Request request = read_back(client,
            R"({"role":"assistant","content":)" + std::string(message["content"].raw()) + "}");
        EXPECT_TRUE(request.holds_sealed);
        std::map<std::string, std::string> proofs;  // by what they are of
        for (const canon::Item& item : request.items) {
            std::string of = "text";
            if (const auto* seen = std::get_if<canon::Thought>(&item.body))
                of = seen->is_redacted ? "hidden" : seen->text;
            if (std::holds_alternative<canon::ToolCall>(item.body)) of = "call";
            if (item.role == canon::Role::kAssistant)
                proofs[of] =
                    item.signature ? item.signature->origin + " " + item.signature->data : "none";
        }
        const std::map<std::string, std::string> expected{{"hm", "gemini s1"},
            {"call", "gemini s2"}, {"hidden", "openai-responses s3"}, {"bare", "none"}};
        EXPECT_EQ(proofs, expected) << name << reply;
    }
}

TEST(FullContext, IsKnownByEverybodysWords) {
    struct Said {
        std::string_view message;
        std::int64_t prompt, limit;  // 0: not said
    };
    const std::array kSaid{
        Said{"This model's maximum context length is 8192 tokens. However, you requested 10000 "
             "tokens (2000 in the messages, 8000 in the completion).",
            10000, 8192},
        Said{"prompt is too long: 210011 tokens > 200000 maximum", 210011, 200000},
        Said{"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", 210000,
            200000},
        Said{"The input token count (1,200,000) exceeds the maximum number of tokens allowed "
             "(1,048,576).",
            1200000, 1048576},
        Said{"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received "
             "4292.",
            4292, 4081},
        Said{"Input is too long for requested model.", 0, 0},
        Said{"gpt-4-0613: messages.3 is beyond the context window of 8192 tokens", 0, 0},
        Said{"the request exceeds the available context size, try increasing it", 0, 0},
    };
    for (const Said& said : kSaid) {
        EXPECT_TRUE(says_overflow(said.message)) << said.message;
        const auto counts = overflow_in(said.message);
        EXPECT_EQ(counts ? counts->prompt_tokens : 0, said.prompt) << said.message;
        EXPECT_EQ(counts ? counts->tokens_max : 0, said.limit) << said.message;
    }
    for (const std::string_view other : {"temperature: range: 0..1",
             "max_tokens is too large: 200000. This model supports at most 16384 completion tokens",
             "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 41200"})
        EXPECT_FALSE(says_overflow(other)) << other;
}

// Coding agents send eight in every request, and mean nothing by most of them elsewhere.
TEST(Betas, AreNamedElsewhereOnlyWhereTheyAskForSomethingByThemselves) {
    const auto document = json::Document::parse(
        R"({"model":"m","max_tokens":99,"messages":[{"role":"user","content":"hi"}]})");
    const auto carry = [&](std::string_view to, std::string betas) {
        const std::vector<Header> headers{{"anthropic-beta", std::move(betas)}};
        RequestContext context;
        context.headers = headers;
        const auto request = find_dialect("anthropic-messages")->decode_request(*document, context);
        EXPECT_TRUE(request);
        EncodeTarget target;
        target.model_id = "m";
        target.on_lossy = OnLossy::kRefuse;
        return find_dialect(to)->encode_request(*request, target).has_value();
    };
    for (const std::string_view to :
        {"openai-chat", "openai-responses", "bedrock-converse", "gemini", "cohere"}) {
        EXPECT_TRUE(carry(to,
            "claude-code-20250219,interleaved-thinking-2025-05-14, "
            "prompt-caching-scope-2026-01-05,effort-2025-11-24"))
            << to;
        EXPECT_FALSE(carry(to, "effort-2025-11-24,fast-mode-2026-02-01")) << to;
        EXPECT_FALSE(carry(to, "effort-of-another-kind-2025-11-24")) << to;
    }
}

// Who knows no such set is not offered the others.
TEST(AllowedTools, AreTheOnlyOnesThatReachASupplier) {
    const std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}],)"
                             R"("max_tokens":9,"tools":[)"
                             R"({"type":"function","function":{"name":"a"}},)"
                             R"({"type":"function","function":{"name":"b"}}],)"
                             R"("tool_choice":{"type":"allowed_tools","allowed_tools":)"
                             R"({"mode":"required","tools":[{"type":"function","function":)"
                             R"({"name":"b"}}]}}})";
    const auto carry = [&](std::string_view to) {
        const auto carried =
            translate(*find_dialect("openai-chat"), *find_dialect(to), BodyKind::kRequest, body,
                {.model_id = "claude-sonnet-4-5", .on_lossy = OnLossy::kRefuse});
        EXPECT_TRUE(carried) << carried.error().message;
        return carried ? carried->bytes : std::string();
    };
    EXPECT_NE(carry("openai-chat")
                  .find(R"("tool_choice":{"type":"allowed_tools",)"
                        R"("allowed_tools":{"mode":"required","tools":[)"
                        R"({"type":"function","function":{"name":"b"}}]}})"),
        std::string::npos);
    const std::string messages = carry("anthropic-messages");
    EXPECT_EQ(messages.find(R"("name":"a")"), std::string::npos) << messages;
    EXPECT_NE(messages.find(R"("tool_choice":{"type":"any"})"), std::string::npos) << messages;
    const std::string converse = carry("bedrock-converse");
    EXPECT_EQ(converse.find(R"("name":"a")"), std::string::npos) << converse;
    EXPECT_NE(converse.find(R"("toolChoice":{"any":{}})"), std::string::npos) << converse;
}

// Unknown fields ride along by their path. `x.max_tokens` inside an object must not come out as
// that object's `max_tokens`, which nobody has held money for.
TEST(OddNames, AreRefusedByEveryDialectBecauseTheyCouldBeTakenForOtherFields) {
    constexpr std::string_view kMessages = R"("messages":[{"role":"user","content":"hi"}])";
    constexpr std::string_view kBlocks =
        R"("messages":[{"role":"user","content":[{"text":"hi"}]}])";
    constexpr std::string_view kContents = R"("contents":[{"parts":[{"text":"hi"}]}])";
    struct Case {
        std::string_view dialect;
        std::string_view model;
        std::string_view rest;
        std::string field;
    };
    const Case cases[]{
        {"openai-chat", "m", kMessages, "a%2Eb"},
        {"openai-responses", "m", R"("input":"hi")", "a%2Eb"},
        {"anthropic-messages", "m", R"("max_tokens":9,"messages":[{"role":"user","content":"hi"}])",
            "a%2Eb"},
        {"anthropic-messages", "m",
            R"("max_tokens":9,"metadata":{"x[y":1},"messages":[{"role":"user","content":"hi"}])",
            "metadata.x%5By"},
        {"bedrock-converse", "m", kBlocks, "a%2Eb"},
        {"bedrock-invoke", "amazon.nova-lite-v1:0", kBlocks, "additionalModelRequestFields.a%2Eb"},
        {"bedrock-invoke", "meta.llama3-8b-instruct-v1:0", R"("prompt":"hi")", "a%2Eb"},
        {"bedrock-invoke", "cohere.command-r-v1:0", R"("message":"hi")", "a%2Eb"},
        {"gemini", "m", kContents, "a%2Eb"},
        {"cohere", "m", kMessages, "a%2Eb"},
    };
    for (const Case& odd : cases) {
        const std::string added = odd.field.find("a%2Eb") != std::string::npos ? R"("a.b":1,)" : "";
        const auto decoded = [&](const std::string& extra) {
            const auto body = json::Document::parse(
                "{" + extra + R"("model":"m",)" + std::string(odd.rest) + "}");
            RequestContext context;
            const Dialect& dialect = *find_dialect(odd.dialect);
            if (dialect.has_model_in_path) context.model = odd.model;
            return dialect.decode_request(*body, context);
        };
        const auto refused = decoded(added);
        ASSERT_FALSE(refused) << odd.dialect;
        EXPECT_EQ(refused.error().field, odd.field) << odd.dialect;
        if (added.empty()) continue;
        EXPECT_TRUE(decoded(R"("a-b":1,)")) << odd.dialect;
    }
}

}  // namespace
}  // namespace entrepot::dialect
