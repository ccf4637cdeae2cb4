// The simulated Bedrock and the gateway's dialect were written apart; here they meet.

#include <gtest/gtest.h>

#include "cloudsim/cloud.h"
#include "dialect/bedrock_converse/bedrock_converse.h"

namespace entrepot::cloudsim {
namespace {

using dialect::ReplyForm;
using dialect::bedrock_converse::kDialect;

constexpr Instant kNow{1'700'000'000'000'000'000};

struct Read {
    canon::Reply reply;
    bool is_good = false;
};

Read read(ReplyForm form, std::string_view bytes) {
    std::vector<canon::Event> events;
    const auto decoder = kDialect.reply_decoder(form);
    Status status = decoder->feed(bytes, events);
    if (status) status = decoder->finish(events);
    Read out;
    for (const canon::Event& event : events) out.reply.add(event);
    out.is_good = status.has_value();
    return out;
}

std::string text_of(const canon::Reply& reply, canon::PartKind kind) {
    std::string out;
    for (const auto& choice : reply.choices)
        for (const auto& part : choice.parts)
            if (part.start.kind == kind) out += part.start.name + part.text;
    return out;
}

TEST(CloudsimBedrock, IsReadAsItWasMeant) {
    const auto cloud = make_bedrock();
    Brain brain;
    Ask plain;
    plain.model = cloud->address().models.front();
    plain.prompt = "Say hello.";
    Ask calls = plain;
    calls.tools = {{"a", R"({"type":"object","properties":{"x":{"type":"string"}}})"}, {"b", ""}};
    calls.last_user_text = "call a and b";
    Ask thinks = plain;
    thinks.wants_reasoning = true;
    Ask marked = plain;
    marked.prompt = std::string(4096, 'p');
    marked.marked_bytes = 4000;
    marked.is_mark_long = true;
    for (const Ask& ask : {plain, calls, thinks, marked, marked}) {
        const Answer answer = brain.think(ask, Control());
        std::string stream;
        for (const std::string& event : cloud->stream(ask, answer, Control(), true, kNow))
            stream += event;
        const std::string whole = cloud->whole(ask, answer, true, kNow);
        std::string calls_said;
        for (const SimCall& call : answer.calls) calls_said += call.name + call.arguments;
        for (const Read& got : {read(ReplyForm::kWhole, whole), read(ReplyForm::kStream, stream)}) {
            ASSERT_TRUE(got.is_good);
            EXPECT_TRUE(got.reply.has_ended);
            EXPECT_EQ(
                canon::to_json(got.reply.usage), canon::to_json(cloud->reported(answer.usage)));
            EXPECT_EQ(text_of(got.reply, canon::PartKind::kText), answer.text);
            EXPECT_EQ(text_of(got.reply, canon::PartKind::kThought), answer.reasoning);
            EXPECT_EQ(text_of(got.reply, canon::PartKind::kToolCall), calls_said);
        }
    }
}

TEST(CloudsimBedrock, BreaksItsStreamsSoThatItShows) {
    const auto cloud = make_bedrock();
    Brain brain;
    Ask ask;
    ask.model = cloud->address().models.front();
    ask.prompt = "Say hello.";
    const Answer answer = brain.think(ask, Control());
    const std::vector<std::string> events = cloud->stream(ask, answer, Control(), true, kNow);
    const Read damaged = read(ReplyForm::kStream, events[0] + cloud->damaged(events[1]));
    EXPECT_FALSE(damaged.is_good);
    const Read failed = read(ReplyForm::kStream, events[0] + cloud->stream_error({}));
    EXPECT_TRUE(failed.is_good);
    ASSERT_TRUE(failed.reply.failure);
    EXPECT_EQ(failed.reply.failure->kind, canon::FailureKind::kServer);
    EXPECT_FALSE(read(ReplyForm::kStream, events[0] + events[1]).is_good);
}

}  // namespace
}  // namespace entrepot::cloudsim
