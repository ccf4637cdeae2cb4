#include "dialect/closed_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dialect/registry.h"

namespace entrepot::dialect {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ClosedSchema closed(std::string_view text) {
    const auto document = json::Document::parse(std::string(text));
    return closed_schema(document->root());
}

TEST(ClosedSchema, EveryObjectSaysThatItHasNoOtherMembers) {
    const ClosedSchema out = closed(R"({"type":"object","properties":{"items":{"type":"array",
        "items":{"type":["object","null"],"properties":{"a":{"$ref":"#/$defs/n"}}}}},
        "required":["items"],"$defs":{"n":{"anyOf":[{"type":"object","additionalProperties":true,
        "properties":{"b":true}},{"type":"null"}]}}})");
    EXPECT_EQ(out.json,
        R"({"type":"object","properties":{"items":{"type":"array","items":{"type":)"
        R"(["object","null"],"properties":{"a":{"$ref":"#/$defs/n"}},)"
        R"("additionalProperties":false}}},"required":["items"],"$defs":{"n":{"anyOf":[)"
        R"({"type":"object","properties":{"b":true},"additionalProperties":false},)"
        R"({"type":"null"}]}},"additionalProperties":false})");
    EXPECT_FALSE(out.is_narrower);
    EXPECT_FALSE(out.tells_bounds);
}

TEST(ClosedSchema, AMapBecomesAnotherThingAndIsTold) {
    EXPECT_TRUE(closed(R"({"type":"object"})").is_narrower);
    EXPECT_TRUE(closed(R"({"type":"object","properties":{"a":true},
        "additionalProperties":{"type":"string"}})")
            .is_narrower);
    EXPECT_FALSE(closed(R"({"type":"object","additionalProperties":false})").is_narrower);
}

TEST(ClosedSchema, BoundsAreToldInWords) {
    const ClosedSchema out = closed(R"({"type":"object","properties":{
        "minimum":{"type":"integer","minimum":1,"maximum":5,"description":"How many."},
        "d":{"type":"string","format":"date"},"k":{"type":"string","format":"ipv9"},
        "l":{"type":"array","minItems":1,"maxItems":3}}})");
    EXPECT_EQ(out.json,
        R"({"type":"object","properties":{"minimum":{"type":"integer",)"
        R"("description":"How many.\n\n{minimum: 1, maximum: 5}"},)"
        R"("d":{"type":"string","format":"date"},)"
        R"("k":{"type":"string","description":"{format: \"ipv9\"}"},)"
        R"("l":{"type":"array","minItems":1,"description":"{maxItems: 3}"}},)"
        R"("additionalProperties":false})");
    EXPECT_TRUE(out.tells_bounds);
}

Result<EncodedRequest> sent(std::string_view to, std::string body) {
    const auto document = json::Document::parse(std::move(body));
    ENTREPOT_TRY(
        const canon::Request request, find_dialect("openai-chat")->decode_request(*document, {}));
    return find_dialect(to)->encode_request(request, {.model_id = "claude"});
}

Result<EncodedRequest> asked(std::string_view to, std::string_view schema) {
    return sent(to,
        fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"a"}}],)"
                    R"("response_format":{{"type":"json_schema","json_schema":{{"name":"x",)"
                    R"("schema":{}}}}}}})",
            schema));
}

// Both suppliers answer an open schema with 400.
TEST(ClosedSchema, StandsWhereAnswersOfAnthropicsModelsAreBound) {
    for (const char* to : {"anthropic-messages", "vertex-anthropic", "bedrock-converse"}) {
        SCOPED_TRACE(to);
        const auto plain = asked(to, R"({"type":"object","properties":{"a":{"type":"string"}}})");
        ASSERT_TRUE(plain);
        EXPECT_NE(plain->body.find("additionalProperties"), std::string::npos) << plain->body;
        EXPECT_THAT(plain->dropped, IsEmpty());
        const auto bounded =
            asked(to, R"({"type":"object","properties":{"a":{"type":"integer","minimum":3}}})");
        ASSERT_TRUE(bounded);
        EXPECT_THAT(bounded->body, HasSubstr("{minimum: 3}"));
        EXPECT_THAT(bounded->dropped, ElementsAre("response_format.json_schema.schema"));
        const auto map = asked(to, R"({"type":"object","additionalProperties":true})");
        ASSERT_FALSE(map);
        EXPECT_EQ(map.error().code, ErrorCode::kUnsupported);
        EXPECT_THAT(map.error().message, HasSubstr("response_format.json_schema.schema"));
    }
}

TEST(ClosedSchema, BindsCallsOfStrictToolsAndNoOthers) {
    for (const char* to : {"anthropic-messages", "bedrock-converse"})
        for (const bool is_strict : {true, false}) {
            const auto tool = sent(to,
                fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"a"}}],)"
                            R"("tools":[{{"type":"function","function":{{"name":"f",)"
                            R"("strict":{},"parameters":{{"type":"object","properties":)"
                            R"({{"n":{{"type":"integer","minimum":3}}}}}}}}}}]}})",
                    is_strict));
            ASSERT_TRUE(tool) << tool.error().message;
            EXPECT_EQ(tool->body.find("additionalProperties") != std::string::npos, is_strict)
                << tool->body;
            EXPECT_EQ(tool->dropped.empty(), !is_strict);
        }
}

}  // namespace
}  // namespace entrepot::dialect
