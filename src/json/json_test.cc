#include <gtest/gtest.h>

#include "json/value.h"
#include "json/writer.h"

namespace entrepot::json {
namespace {

TEST(Json, EveryValueKeepsItsOwnBytes) {
    auto doc = Document::parse(R"( {"a": [1, 2.50, {"b":"x\ny"} ] , "n":12345678901234567890123, )"
                               R"("s":"plain","t":true,"z":null} )");
    ASSERT_TRUE(doc) << doc.error().message;
    const Value& root = doc->root();
    EXPECT_EQ(root["a"].raw(), R"([1, 2.50, {"b":"x\ny"} ])");
    EXPECT_EQ(root["a"].items()[1].raw(), "2.50");
    EXPECT_EQ(root["a"].items()[2].raw(), R"({"b":"x\ny"})");
    EXPECT_EQ(root["a"].items()[2]["b"].string(), "x\ny");
    EXPECT_EQ(root["n"].raw(), "12345678901234567890123");
    EXPECT_FALSE(root["n"].as_int());
    EXPECT_EQ(root["s"].string(), "plain");
    EXPECT_EQ(root["s"].raw(), "\"plain\"");
    EXPECT_EQ(root["t"].as_bool(), true);
    EXPECT_TRUE(root["z"].is_null());
    EXPECT_EQ(root.raw().front(), '{');
    EXPECT_EQ(root.raw().back(), '}');
    EXPECT_TRUE(root["absent"]["deeper"].is_null());
}

TEST(Json, MalformedTextIsRefusedWithItsPlace) {
    for (const auto* text :
        {"", "  ", "{", "{\"a\":}", "[1,]", "{\"a\":1}x", "{\"a\":01}", "{\"a\":tru}", "\"\x01\"",
            "{\"a\" 1}", "[1 2]", "nul", "{\"a\":1}}", "\"\xff\"", "-", "[1.]"}) {
        auto doc = Document::parse(text);
        EXPECT_FALSE(doc) << text;
        if (!doc) {
            EXPECT_EQ(doc.error().code, ErrorCode::kBadRequest);
        }
    }
}

TEST(Json, ScalarsAreDocumentsToo) {
    EXPECT_EQ(Document::parse("\"x\"")->root().string(), "x");
    EXPECT_EQ(Document::parse(" 12 ")->root().as_int(), 12);
    EXPECT_TRUE(Document::parse("null")->root().is_null());
}

TEST(Json, NestingIsBounded) {
    const auto nested = [](std::size_t depth) {
        return Document::parse(std::string(depth, '[') + std::string(depth, ']')).has_value();
    };
    EXPECT_TRUE(nested(200));
    EXPECT_FALSE(nested(201));
    EXPECT_FALSE(nested(1000));
}

TEST(Json, HalfASurrogatePairIsNoText) {
    for (const char* text :
        {R"("\ud83d")", R"("\ud83dx")", R"("\udc00")", R"("\ud83d\ud83d")", R"({"\ud83d":1})"})
        EXPECT_FALSE(Document::parse(text)) << text;
    EXPECT_EQ(Document::parse(R"("\ud83d\ude00")")->root().string(), "\xF0\x9F\x98\x80");
}

TEST(Json, ADocumentMayLieOverBytesThatAreNotItsOwn) {
    const std::string text = R"({"a":"b\nc"})";
    const auto document = Document::parse_in_place(text);
    ASSERT_TRUE(document);
    EXPECT_EQ(document->root()["a"].string(), "b\nc");
    EXPECT_EQ(document->root()["a"].raw().data(), text.data() + 5);
    EXPECT_EQ(document->text().data(), text.data());
}

TEST(Json, ZerosInFrontOfANumberAreForgivenWhereAskedAndNotWrittenOn) {
    const std::string text = R"({"t":00000123,"zero":000,"f":00.5,"e":-1})";
    EXPECT_FALSE(Document::parse(text));
    const auto document = Document::parse(text, Numbers::kPadded);
    ASSERT_TRUE(document);
    const Value& root = document->root();
    EXPECT_EQ(root["t"].raw(), "123");
    EXPECT_EQ(root["t"].as_int(), 123);
    EXPECT_EQ(root["zero"].raw(), "0");
    EXPECT_EQ(root["f"].raw(), "0.5");
    EXPECT_EQ(root["e"].raw(), "-1");
}

TEST(Json, WhatMustBeEscapedIsEscapedWhereverItStands) {
    for (std::size_t length = 0; length < 200; length += length < 70 ? 1 : 31) {
        for (std::size_t at = 0; at <= length; ++at) {
            for (int byte = 0; byte < 0x80; ++byte) {
                std::string text(length, 'a');
                if (at < length) text[at] = static_cast<char>(byte);
                const auto back = Document::parse(json::quoted(text));
                ASSERT_TRUE(back) << byte << " at " << at << " of " << length;
                ASSERT_EQ(back->root().string(), text);
            }
        }
    }
    EXPECT_EQ(json::quoted("\b\f\n\r\t\x01\"\\/\x7f"),
        R"("\b\f\n\r\t\u0001\"\\/)"
        "\x7f\"");
}

// Found by a fuzzer: simdjson's is_null() throws when its result is taken for a bool.
TEST(Json, WhatBeginsLikeNullAndIsNotIsAnErrorAndNoException) {
    for (const char* text : {"[nnnnz]", "nul", "nnnn", "{\"a\":nulL}", "[nullx]"})
        EXPECT_FALSE(Document::parse(text)) << text;
}

TEST(Json, TheWriterPlacesCommasAndEscapes) {
    std::string out;
    Writer w(out);
    w.begin_object()
        .member("a", "x\"\n\x01")
        .key("b")
        .begin_array()
        .number(1)
        .boolean(false)
        .null()
        .begin_object()
        .end_object()
        .end_array()
        .member("c", -5)
        .end_object();
    EXPECT_EQ(out, R"({"a":"x\"\n\u0001","b":[1,false,null,{}],"c":-5})");
}

TEST(Json, KeysAndWordsOfEveryLengthAreWrittenAsLongTextsAre) {
    for (std::size_t size = 0; size <= 70; ++size) {
        for (std::size_t at = 0; at <= size; ++at) {
            for (const char c : {'"', '\\', '\n', '\x1f', '\x7f', '\xff', 'y'}) {
                std::string text(size, 'x');
                if (at < size) text[at] = c;
                std::string out;
                Writer(out).begin_object().member("a", 1).member(text, text).end_object();
                const std::string spelled = json::quoted(text);
                ASSERT_EQ(out, "{\"a\":1," + spelled + ":" + spelled + "}");
            }
        }
    }
}

}  // namespace
}  // namespace entrepot::json
