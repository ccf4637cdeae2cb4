#include <gtest/gtest.h>

#include "dialect/openai_responses/openai_responses.h"
#include "dialect/sealed_signature.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::Item;
using Names = std::vector<std::string>;

Result<canon::Request> decode(const std::string& body) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(body));
    return dialect().decode_request(document, {});
}

/// A request whose members beside the model are these.
canon::Request request_of(const std::string& members) {
    auto request = decode(R"({"model":"gpt-5",)" + members + "}");
    EXPECT_TRUE(request) << request.error().message;
    return request ? *std::move(request) : canon::Request{};
}

std::string field_of(const std::string& members) {
    const auto request = decode(R"({"model":"gpt-5",)" + members + "}");
    if (request) return "";
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidField);
    EXPECT_NE(request.error().message.find(request.error().field), std::string::npos);
    return request.error().field;
}

EncodedRequest encode(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning) {
    auto encoded = dialect().encode_request(request, {.model_id = "gpt-5", .on_lossy = on_lossy});
    EXPECT_TRUE(encoded) << encoded.error().message;
    return encoded ? *std::move(encoded) : EncodedRequest{};
}

std::string refused_field(const canon::Request& request, OnLossy on_lossy = OnLossy::kMeaning) {
    const auto encoded =
        dialect().encode_request(request, {.model_id = "gpt-5", .on_lossy = on_lossy});
    if (encoded) return "";
    EXPECT_EQ(encoded.error().code, ErrorCode::kUnsupported);
    return encoded.error().field;
}

/// A member of the encoded body, as JSON text.
std::string member(const EncodedRequest& encoded, std::string_view key) {
    const auto document = json::Document::parse(encoded.body);
    EXPECT_TRUE(document) << encoded.body;
    const json::Value* value = document ? document->root().find(key) : nullptr;
    return value == nullptr ? "" : std::string(value->raw());
}

/// What a request of another dialect may look like: one question.
canon::Request foreign() {
    canon::Request request;
    request.origin = "anthropic-messages";
    request.model = "m";
    request.items.push_back(Item{.turn = 1, .body = canon::Text{"hi"}});
    return request;
}

TEST(ResponsesRequest, ABareTextIsAQuestionOfTheUser) {
    const canon::Request request = request_of(R"("input":"hi","instructions":"be brief")");
    ASSERT_EQ(request.items.size(), 2u);
    EXPECT_EQ(request.items[0].role, canon::Role::kSystem);
    EXPECT_EQ(request.items[0].turn, 0u);
    EXPECT_EQ(std::get<canon::Text>(request.items[1].body).text, "hi");
    EXPECT_EQ(request.items[1].role, canon::Role::kUser);
    EXPECT_TRUE(request.wants_usage);
    const EncodedRequest encoded = encode(request);
    EXPECT_EQ(member(encoded, "instructions"), R"("be brief")");
    EXPECT_EQ(member(encoded, "input"), R"([{"type":"message","role":"user","content":"hi"}])");
    EXPECT_EQ(member(encoded, "store"), "") << "its own clients know the default";
}

TEST(ResponsesRequest, WhatServersWroteIntoAHistoryGoesBackAndIsNoLossElsewhere) {
    const std::string input = R"([{"type":"message","role":"assistant","content":[)"
                              R"({"type":"output_text","text":"a","annotations":[{"type":"x"}]}],)"
                              R"("id":"msg_1","status":"completed","phase":"final_answer"}])";
    const canon::Request request = request_of(R"("input":)" + input);
    ASSERT_EQ(request.items.size(), 1u);
    EXPECT_TRUE(request.items[0].extras.empty());
    EXPECT_EQ(request.items[0].marks.size(), 4u);
    EXPECT_EQ(member(encode(request), "input"), input);
}

// A fuzzer's find: it became an item of its own.
TEST(ResponsesRequest, APartThatOnlyItsServersKnowStaysInItsMessage) {
    const std::string input =
        R"([{"type":"message","role":"user","content":[{"type":"input_text","text":"a"},)"
        R"({"type":"function_call","x":1},{"type":"input_text","text":"b"}]}])";
    EXPECT_EQ(member(encode(request_of(R"("input":)" + input)), "input"), input);
    const std::string alone =
        R"([{"type":"message","role":"user","content":[{"type":"input_map","x":1}]}])";
    EXPECT_EQ(member(encode(request_of(R"("input":)" + alone)), "input"), alone);
}

TEST(ResponsesRequest, IdsThatWeMadeReachNoSupplier) {
    const canon::Request request = request_of(
        R"("input":[{"role":"user","content":"q"},{"type":"function_call","id":"fc_epot_x_1",)"
        R"("call_id":"c1","name":"f","arguments":"{}","status":"completed"},)"
        R"({"type":"function_call_output","call_id":"c1","output":"r"}])");
    const std::string input = member(encode(request), "input");
    EXPECT_EQ(input.find("epot"), std::string::npos) << input;
    EXPECT_NE(input.find(R"("call_id":"c1")"), std::string::npos) << input;
}

TEST(ResponsesRequest, ThoughtsGoBackToWhoHasTheirKey) {
    const std::string own = R"([{"type":"reasoning","summary":[{"type":"summary_text","text":"s"},)"
                            R"({"type":"summary_text","text":"t"}],"encrypted_content":"gAAA",)"
                            R"("id":"rs_1"}])";
    canon::Request request = request_of(R"("input":)" + own);
    ASSERT_EQ(request.items.size(), 2u);
    EXPECT_EQ(request.items[0].turn, request.items[1].turn);
    EXPECT_FALSE(request.items[0].signature);
    ASSERT_TRUE(request.items[1].signature);
    EXPECT_EQ(request.items[1].signature->origin, "openai-responses");
    EXPECT_FALSE(request.holds_sealed);
    EXPECT_EQ(member(encode(request), "input"), own);

    // Of another maker: it is that maker's again, and a Responses supplier never sees it.
    const std::string sealed = seal({{"anthropic-messages", "Eq=="}, Sealed::Of::kThought, ""});
    request = request_of(R"("input":[{"type":"reasoning","id":"rs_epot_a_0","summary":[)"
                         R"({"type":"summary_text","text":"hm"}],"encrypted_content":")" +
        sealed + R"("},{"role":"user","content":"q"}])");
    ASSERT_EQ(request.items.size(), 2u);
    EXPECT_TRUE(request.holds_sealed);
    EXPECT_EQ(request.items[0].signature->origin, "anthropic-messages");
    EXPECT_EQ(request.items[0].signature->data, "Eq==");
    EXPECT_FALSE(std::get<canon::Thought>(request.items[0].body).is_summary);
    EXPECT_FALSE(std::get<canon::Thought>(request.items[0].body).is_redacted);
    const EncodedRequest encoded = encode(request);
    EXPECT_EQ(encoded.dropped, Names{"thinking"});
    EXPECT_EQ(member(encoded, "input"), R"([{"type":"message","role":"user","content":"q"}])");
}

TEST(ResponsesRequest, AnItemThatWasNamedHereIsNotForASupplierAsItCame) {
    const auto holds = [](std::string_view id) {
        return request_of(fmt::format(R"("input":[{{"type":"message","role":"assistant","id":"{}",)"
                                      R"("content":"a"}},{{"role":"user","content":"q_epot_1"}}])",
                              id))
            .holds_sealed;
    };
    EXPECT_TRUE(holds("msg_epot_a_0"));
    EXPECT_FALSE(holds("msg_68af"));
}

TEST(ResponsesRequest, ASealedSignatureOfACallFindsItsCallAgain) {
    const std::string sealed = seal({{"gemini", "sig"}, Sealed::Of::kPart, "c1"});
    const canon::Request request =
        request_of(R"("input":[{"type":"function_call","call_id":"c1","name":"f",)"
                   R"("arguments":""},{"type":"function_call","call_id":"c2","name":"f",)"
                   R"("arguments":"{}"},{"type":"reasoning","summary":[],"encrypted_content":")" +
            sealed + R"("}])");
    ASSERT_EQ(request.items.size(), 2u);
    ASSERT_TRUE(request.items[0].signature);
    EXPECT_EQ(request.items[0].signature->data, "sig");
    EXPECT_FALSE(request.items[1].signature);
    EXPECT_EQ(std::get<canon::ToolCall>(request.items[0].body).arguments, "{}") << "healed";
}

TEST(ResponsesRequest, StoredStateGoesHomeAndIsRefusedByNameElsewhere) {
    for (const std::string state : {R"("previous_response_id":"resp_1")", R"("background":true)",
             R"("conversation":"conv_1")", R"("prompt":{"id":"pmpt_1"})"}) {
        const canon::Request request = request_of(R"("input":"hi",)" + state);
        const std::string key = state.substr(1, state.find('"', 1) - 1);
        EXPECT_EQ("\"" + key + "\":" + member(encode(request), key), state);
        ASSERT_EQ(request.extras.size(), 1u);
        EXPECT_EQ(request.extras[0].path, key);
    }
    // With them there may be nothing to say.
    EXPECT_EQ(field_of(R"("previous_response_id":"resp_1")"), "");
    EXPECT_EQ(field_of(R"("input":null)"), "input");
    const canon::Request request =
        request_of(R"("input":[{"type":"item_reference","id":"msg_1"},{"id":"msg_2"}])");
    EXPECT_EQ(std::get<canon::Opaque>(request.items[1].body).kind, "item_reference");
    EXPECT_EQ(member(encode(request), "input"),
        R"([{"type":"item_reference","id":"msg_1"},{"id":"msg_2"}])");
}

TEST(ResponsesRequest, ResultsOfCustomCallsStayThose) {
    const std::string input =
        R"([{"type":"custom_tool_call","call_id":"c","name":"patch","input":"*** x"},)"
        R"({"type":"custom_tool_call_output","call_id":"c","output":"ok"},)"
        R"({"type":"custom_tool_call_output","call_id":"earlier","output":[)"
        R"({"type":"input_image","image_url":"https://x/y.png","detail":"low"}]}])";
    const canon::Request request = request_of(R"("input":)" + input);
    EXPECT_TRUE(std::get<canon::ToolCall>(request.items[0].body).is_custom);
    EXPECT_EQ(member(encode(request), "input"), input);
}

TEST(ResponsesRequest, AWrongFieldIsNamed) {
    EXPECT_EQ(field_of(R"("input":7)"), "input");
    EXPECT_EQ(field_of(R"("input":[7])"), "input[0]");
    EXPECT_EQ(field_of(R"("input":[{}])"), "input[0].type");
    EXPECT_EQ(field_of(R"("input":[{"role":"robot","content":"x"}])"), "input[0].role");
    EXPECT_EQ(field_of(R"("input":[{"role":"user","content":[{"type":"input_image"}]}])"),
        "input[0].content[0].image_url");
    EXPECT_EQ(
        field_of(R"("input":[{"role":"user","content":[{"text":"x"}]}])"), "input[0].content[0]");
    EXPECT_EQ(field_of(R"("input":[{"type":"function_call","name":"f","arguments":"{}"}])"),
        "input[0].call_id");
    EXPECT_EQ(
        field_of(R"("input":[{"type":"function_call_output","call_id":"c"}])"), "input[0].output");
    EXPECT_EQ(field_of(R"("input":"x","tools":[{"type":"function"}])"), "tools[0].name");
    EXPECT_EQ(field_of(R"("input":"x","tool_choice":"any")"), "tool_choice");
    EXPECT_EQ(field_of(R"("input":"x","max_output_tokens":0)"), "max_output_tokens");
    EXPECT_EQ(field_of(R"("input":"x","include":"all")"), "include");
    EXPECT_EQ(
        field_of(R"("input":"x","text":{"format":{"type":"json_schema"}})"), "text.format.schema");
    EXPECT_EQ(field_of(R"("input":"x","include.":[])"), "include%2E");
    EXPECT_FALSE(decode("[]"));
    EXPECT_FALSE(decode(R"({"input":"x"})"));
}

TEST(ResponsesRequest, SetsOfToolsAreReadWhereTheClientRunsThemAll) {
    const std::string tools = R"("tools":[{"type":"function","name":"a","parameters":{}},)"
                              R"({"type":"custom","name":"b"},{"type":"web_search"}])";
    const std::string allowed = R"({"type":"allowed_tools","mode":"required","tools":[)"
                                R"({"type":"function","name":"a"},{"type":"custom","name":"b"}]})";
    const canon::Request request =
        request_of(R"("input":"x",)" + tools + R"(,"tool_choice":)" + allowed);
    ASSERT_TRUE(request.tool_choice);
    EXPECT_EQ(request.tool_choice->mode, canon::ToolChoice::Mode::kRequired);
    EXPECT_EQ(request.tool_choice->names, (Names{"a", "b"}));
    EXPECT_EQ(member(encode(request), "tool_choice"), allowed);
    const std::string hosted =
        R"({"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]})";
    const canon::Request other =
        request_of(R"("input":"x",)" + tools + R"(,"tool_choice":)" + hosted);
    EXPECT_FALSE(other.tool_choice);
    EXPECT_EQ(member(encode(other), "tool_choice"), hosted);
}

TEST(ResponsesRequest, DefaultsThatDifferAreSaid) {
    canon::Request request = foreign();
    request.tools.push_back({.name = "f"});
    const EncodedRequest encoded = encode(request);
    EXPECT_EQ(member(encoded, "store"), "false");
    EXPECT_EQ(member(encoded, "tools"),
        R"([{"type":"function","name":"f","parameters":{"type":"object","properties":{}},)"
        R"("strict":false}])");
}

TEST(ResponsesRequest, WhatHasNoPlaceIsRefusedOrNamed) {
    const auto with = [](auto&& change) {
        canon::Request request = foreign();
        change(request);
        return request;
    };
    EXPECT_EQ(refused_field(with([](auto& r) { r.stop = {"x"}; })), "stop");
    EXPECT_EQ(refused_field(with([](auto& r) { r.top_k = 3; })), "top_k");
    EXPECT_EQ(refused_field(with([](auto& r) { r.choices = 2; })), "n");
    EXPECT_EQ(refused_field(with([](auto& r) { r.presence_penalty = "0.5"; })), "presence_penalty");
    EXPECT_EQ(refused_field(with([](auto& r) { r.presence_penalty = "0.0"; })), "");
    EXPECT_EQ(refused_field(with([](auto& r) { r.output_tokens_max = 9; })), "max_tokens");
    EXPECT_EQ(refused_field(with([](auto& r) {
        r.items[0].body = canon::Media{.kind = canon::Media::Kind::kVideo};
    })),
        "messages[1].content");
    EXPECT_EQ(refused_field(with([](auto& r) {
        r.items[0].body = canon::Opaque{"anthropic-messages", "server_tool_use", "{}"};
    })),
        "messages[1].server_tool_use");
    EXPECT_EQ(encode(with([](auto& r) { r.seed = 1; })).dropped, Names{"seed"});
    EXPECT_EQ(refused_field(with([](auto& r) { r.seed = 1; }), OnLossy::kRefuse), "seed");
    EXPECT_EQ(encode(with([](auto& r) { r.user = std::string(65, 'u'); })).dropped, Names{"user"});
    EXPECT_EQ(
        encode(with([](auto& r) { r.items[0].cache.emplace(); })).dropped, Names{"cache_control"});
    const EncodedRequest budget =
        encode(with([](auto& r) { r.reasoning = {.budget_tokens = 20000, .is_enabled = true}; }));
    EXPECT_EQ(budget.dropped, Names{"thinking.budget_tokens"});
    EXPECT_EQ(member(budget, "reasoning"), R"({"effort":"high"})");
}

TEST(ResponsesRequest, ToolsThatAreAllLostTakeTheirChoiceWithThem) {
    canon::Request request = foreign();
    request.tools.push_back(
        {.name = "s", .server = canon::Opaque{"anthropic-messages", "web_search", "{}"}});
    request.tool_choice.emplace();
    request.parallel_tool_calls = false;
    EXPECT_EQ(refused_field(request), "tools[0]");
    const EncodedRequest encoded = encode(request, OnLossy::kName);
    EXPECT_EQ(encoded.dropped, Names{"tools[0]"});
    for (const char* key : {"tools", "tool_choice", "parallel_tool_calls"})
        EXPECT_EQ(member(encoded, key), "") << key;
}

TEST(ResponsesRequest, ResultsWithImagesAreLists) {
    canon::Request request = foreign();
    canon::ToolResult result{.call_id = "c"};
    result.content.push_back(Item{.role = canon::Role::kTool, .body = canon::Text{"see"}});
    result.content.push_back(Item{.role = canon::Role::kTool,
        .body = canon::Media{.media_type = "image/png", .data = "QUJD"}});
    result.is_error = true;
    request.items.push_back(Item{.role = canon::Role::kAssistant,
        .turn = 2,
        .body = canon::ToolCall{.id = "c", .name = "f", .arguments = "{}"}});
    request.items.push_back(Item{.role = canon::Role::kTool, .turn = 3, .body = std::move(result)});
    const EncodedRequest encoded = encode(request);
    EXPECT_NE(member(encoded, "input")
                  .find(R"("output":[{"type":"input_text","text":"see"},{"type":"input_image",)"
                        R"("image_url":"data:image/png;base64,QUJD","detail":"auto"}])"),
        std::string::npos)
        << encoded.body;
    EXPECT_EQ(encoded.dropped, Names{"is_error"});
}

}  // namespace
}  // namespace entrepot::dialect::openai_responses
