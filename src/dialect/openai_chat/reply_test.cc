#include <gtest/gtest.h>

#include "dialect/dialect.h"
#include "dialect/openai_chat/openai_chat.h"
#include "dialect/openai_chat/reply_asides.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {
namespace {

struct Carried {
    std::string bytes;
    std::vector<std::string> dropped;
    json::Document document = json::Document::parse("null").value();  // of a whole reply
};

Result<std::vector<canon::Event>> decode(ReplyForm form, std::string_view bytes) {
    const auto decoder = openai_chat().reply_decoder(form);
    std::vector<canon::Event> events;
    ENTREPOT_TRY_DO(decoder->feed(bytes, events));
    ENTREPOT_TRY_DO(decoder->finish(events));
    return events;
}

/// Upstream bytes of chat completions as a client of the translation lane sees them.
Carried carry(ReplyForm form, std::string_view bytes) {
    const auto events = decode(form, bytes);
    EXPECT_TRUE(events) << events.error().message;
    Carried carried;
    const auto encoder =
        openai_chat().reply_encoder(form, {.model = "m", .id = "x", .created_s = 1});
    for (const canon::Event& event : events.value()) encoder->add(event, carried.bytes);
    carried.dropped = encoder->dropped();
    if (form == ReplyForm::kWhole) carried.document = json::Document::parse(carried.bytes).value();
    return carried;
}

const json::Value& first_choice(const Carried& carried) {
    return carried.document.root()["choices"].items()[0];
}

using Names = std::vector<std::string>;

// The SDK's type has six words and refuses the reply over any other.
TEST(ChatReply, AServiceTierIsSaidInOpenAisWordsOrNamedAsDropped) {
    const auto with_tier = [](std::string_view tier) {
        return carry(ReplyForm::kWhole,
            R"({"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}],)"
            R"("service_tier":)" +
                std::string(tier) + "}");
    };
    for (const std::string tier : {"auto", "default", "flex", "scale", "priority", "fast"})
        EXPECT_EQ(with_tier("\"" + tier + "\"").document.root()["service_tier"].string(), tier);
    EXPECT_EQ(with_tier("\"on_demand\"").document.root()["service_tier"].string(), "default");
    for (const std::string tier : {"\"provisioned\"", "7"}) {
        const Carried dropped = with_tier(tier);
        EXPECT_EQ(dropped.document.root().find("service_tier"), nullptr);
        EXPECT_EQ(dropped.dropped, Names{"service_tier"});
    }
    const Carried silent = with_tier("\"\"");
    EXPECT_EQ(silent.document.root().find("service_tier"), nullptr);
    EXPECT_TRUE(silent.dropped.empty());
}

TEST(ChatReply, AChoiceThatEndsWithoutAReasonGetsTheOneItsContentTells) {
    const Carried text = carry(ReplyForm::kWhole,
        R"({"choices":[{"index":0,"message":{"content":"a"},"finish_reason":null}]})");
    EXPECT_EQ(first_choice(text)["finish_reason"].string(), "stop");
    const Carried call = carry(ReplyForm::kWhole,
        R"({"choices":[{"index":0,"finish_reason":"","message":{"content":"","tool_calls":)"
        R"([{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}}]})");
    EXPECT_EQ(first_choice(call)["finish_reason"].string(), "tool_calls");
    const Carried stream = carry(ReplyForm::kStream,
        "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n"
        "data: [DONE]\n\n");
    EXPECT_NE(stream.bytes.find(R"("delta":{},"finish_reason":"stop")"), std::string::npos)
        << stream.bytes;
}

TEST(ChatReply, AnEncoderToldOfNoReasonStillGivesOne) {
    for (const ReplyForm form : {ReplyForm::kWhole, ReplyForm::kStream}) {
        const auto encoder = openai_chat().reply_encoder(form, {.model = "m", .id = "x"});
        std::string out;
        canon::PartStarted call;
        call.kind = canon::PartKind::kToolCall;
        call.call_id = "c";
        call.name = "f";
        for (const canon::Event& event :
            std::vector<canon::Event>{canon::Started{}, call, canon::PartEnded{}, canon::Ended{}})
            encoder->add(event, out);
        EXPECT_NE(out.find(R"("finish_reason":"tool_calls")"), std::string::npos) << out;
    }
}

TEST(ChatReply, AnnotationsThatAreNoUrlCitationsAreNamedAndTheOthersStay) {
    const std::string url = R"({"type":"url_citation","url_citation":{"url":"u","title":"t",)"
                            R"("start_index":0,"end_index":3}})";
    const auto with = [](const std::string& list) {
        return carry(ReplyForm::kWhole,
            R"({"choices":[{"index":0,"finish_reason":"stop","message":{"content":"abc",)"
            R"("annotations":)" +
                list + "}}]}");
    };
    const Carried kept = with("[" + url + "]");
    EXPECT_EQ(first_choice(kept)["message"]["annotations"].raw(), "[" + url + "]");
    EXPECT_TRUE(kept.dropped.empty());
    const Carried mixed = with(R"([{"type":"file","file":{}},)" + url + "]");
    EXPECT_EQ(first_choice(mixed)["message"]["annotations"].raw(), "[" + url + "]");
    EXPECT_EQ(mixed.dropped, Names{"annotations"});
    for (const std::string list : {R"([{"type":"file","file":{}}])",
             R"([{"type":"url_citation","url_citation":{"url":"u"}}])", R"("words")"}) {
        const Carried none = with(list);
        EXPECT_EQ(first_choice(none)["message"].find("annotations"), nullptr) << list;
        EXPECT_EQ(none.dropped, Names{"annotations"}) << list;
    }
}

// SDKs fold lists of deltas by their entries' `index` and give up on one without.
TEST(ChatReply, ListsInADeltaAreNumberedThroughTheWholeStream) {
    const auto chunk = [](std::string_view details) {
        return "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\","
               "\"reasoning_details\":" +
            std::string(details) + "}}]}\n\n";
    };
    const Carried stream = carry(ReplyForm::kStream,
        chunk(R"([{"text":"a"},{"text":"b"}])") + chunk(R"([{"text":"c"}])") +
            chunk(R"([{"text":"d","index":7}])") + chunk(R"([{"index":null,"text":"e"}])") +
            "data: [DONE]\n\n");
    for (const std::string entry :
        {R"([{"index":0,"text":"a"},{"index":1,"text":"b"}])", R"([{"index":2,"text":"c"}])",
            R"([{"text":"d","index":7}])", R"([{"index":8,"text":"e"}])"})
        EXPECT_NE(stream.bytes.find("\"reasoning_details\":" + entry), std::string::npos)
            << stream.bytes;
    std::int64_t next = 0;
    EXPECT_EQ(with_indexes(R"(["a",1])", next), R"(["a",1])");
    EXPECT_EQ(with_indexes("{", next), "{");
    EXPECT_EQ(next, 0);
}

TEST(ChatReply, TheTierThatServedIsReportedWithTheUsage) {
    const auto tier_of = [](ReplyForm form, std::string_view bytes) {
        canon::Reply reply;
        const auto events = decode(form, bytes);
        EXPECT_TRUE(events);
        for (const canon::Event& event : *events) reply.add(event);
        return reply.service_tier;
    };
    EXPECT_EQ(tier_of(ReplyForm::kWhole,
                  R"({"choices":[],"usage":{"prompt_tokens":1},"service_tier":"flex"})"),
        "flex");
    // Groq's word stays its own here; the chunk with the usage need not repeat it.
    EXPECT_EQ(tier_of(ReplyForm::kStream,
                  "data: {\"id\":\"1\",\"service_tier\":\"on_demand\",\"choices\":[{\"index\":0,"
                  "\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                  "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
                  "data: [DONE]\n\n"),
        "on_demand");
}

TEST(ChatReply, AStreamWithoutAnyChoiceIsNoAnswerThoughItSaysThatItIsDone) {
    EXPECT_FALSE(decode(ReplyForm::kStream, "data: [DONE]\n\n"));
    EXPECT_FALSE(decode(ReplyForm::kStream,
        "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"
        "data: [DONE]\n\n"));
}

// As the native lane forgives it: a server's clock in its events, printed at a fixed width.
TEST(ChatReply, ACounterPaddedWithZerosIsNoReasonToBreakAnAnswerOff) {
    const Carried carried = carry(ReplyForm::kWhole,
        R"({"t":0007,"choices":[{"index":00,"message":{"content":"a"},"finish_reason":"stop"}],)"
        R"("usage":{"prompt_tokens":0012,"completion_tokens":3}})");
    EXPECT_EQ(first_choice(carried)["message"]["content"].string(), "a");
    EXPECT_EQ(carried.document.root()["usage"]["prompt_tokens"].as_int(), 12);
}

TEST(ChatReply, AnErrorBodyWithoutErrorIsAnErrorAllTheSame) {
    const auto events = decode(
        ReplyForm::kWhole, R"({"code":400,"message":"Temperature is 100","type":"Bad Request"})");
    ASSERT_TRUE(events);
    ASSERT_EQ(events->size(), 1u);
    const auto* failed = std::get_if<canon::Failed>(&events->front());
    ASSERT_NE(failed, nullptr);
    EXPECT_EQ(failed->failure.kind, canon::FailureKind::kInvalidRequest);
    EXPECT_EQ(failed->failure.status, 400);
    EXPECT_EQ(failed->failure.message, "Temperature is 100");
    EXPECT_FALSE(decode(ReplyForm::kWhole, R"({"code":200,"message":"ok"})"));
}

}  // namespace
}  // namespace entrepot::dialect::openai_chat
