#include "reconcile/csv.h"

#include <gtest/gtest.h>

#include <random>

namespace entrepot::reconcile {
namespace {

/// Records as `line:[a|b]`, or the error, whatever pieces the text comes in.
std::string read(std::string_view text, std::size_t piece = 4096, CsvReader::Limits limits = {}) {
    std::string seen;
    CsvReader reader(csv_separator(text), limits, [&](const CsvRecord& record) -> Status {
        seen += std::to_string(record.line) + ":[";
        for (std::size_t i = 0; i < record.fields.size(); ++i)
            seen += (i == 0 ? "" : "|") + std::string(record.fields[i]);
        seen += "]";
        return {};
    });
    for (std::size_t at = 0; at < text.size(); at += piece)
        if (const Status fed = reader.feed(text.substr(at, piece)); !fed)
            return seen + fed.error().message;
    if (const Status ended = reader.finish(); !ended) return seen + ended.error().message;
    return seen;
}

TEST(Csv, RecordsComeWithTheirLines) {
    EXPECT_EQ(read("a,b\n1,2\n\n3,4"), "1:[a|b]2:[1|2]4:[3|4]");
    EXPECT_EQ(read("a,b\r\n1,2\r\n"), "1:[a|b]2:[1|2]");
    EXPECT_EQ(read(",\n"), "1:[|]");
    EXPECT_EQ(read("a;b\n1;2,5\n"), "1:[a|b]2:[1|2,5]");
    EXPECT_EQ(read("a\tb\n1\t2\n"), "1:[a|b]2:[1|2]");
    EXPECT_EQ(read(""), "");
}

TEST(Csv, QuotedFieldsHoldSeparatorsQuotesAndBreaks) {
    EXPECT_EQ(read("a,b\n\"1,\"\"x\"\"\",\"two\r\nlines\"\n3,4\n"),
        "1:[a|b]2:[1,\"x\"|two\r\nlines]4:[3|4]");
    EXPECT_EQ(read("5\" disk,b\n"), "1:[5\" disk|b]");
    EXPECT_EQ(read("\"\",\"\"\n"), "1:[|]");
}

TEST(Csv, AByteOrderMarkIsNoPartOfTheFirstName) {
    EXPECT_EQ(read("\xEF\xBB\xBF"
                   "a,b\n1,2\n"),
        "1:[a|b]2:[1|2]");
    EXPECT_EQ(read("\xEF\xBB"), "1:[\xEF\xBB]");
    EXPECT_EQ(read("\xEF\xBBx,y\n"), "1:[\xEF\xBBx|y]");
}

TEST(Csv, BrokenFilesNameTheLine) {
    EXPECT_NE(read("a,b\n1,\"2\n3,4\n").find("line 2: the file ends inside"), std::string::npos);
    EXPECT_NE(
        read("a,b\n\"1\"x,2\n").find("line 2: text behind a closing quote"), std::string::npos);
    EXPECT_NE(
        read(std::string_view("a,b\n1,\0 2\n", 10)).find("line 2: a zero byte"), std::string::npos);
    EXPECT_NE(read("a,b\n" + std::string(100, 'x'), 7, {.record_bytes_max = 50})
                  .find("line 2: a record of more than 50 bytes"),
        std::string::npos);
    EXPECT_NE(read("a,b\n\"" + std::string(100, 'x'), 7, {.record_bytes_max = 50})
                  .find("line 2: a quoted field"),
        std::string::npos);
    EXPECT_NE(read("a,b,c,d\n", 7, {.fields_max = 3}).find("line 1: more than 3 columns"),
        std::string::npos);
}

TEST(Csv, BytesSplitAnywhereGiveTheSameRecords) {
    std::mt19937 random(7);
    static constexpr std::string_view kAlphabet = "ab,\"\r\n;\xEF\xBB\xBF";
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = 0; i < 24; ++i) text += kAlphabet[random() % kAlphabet.size()];
        EXPECT_EQ(read(text, 1), read(text)) << text;
        EXPECT_EQ(read(text, 3), read(text)) << text;
    }
}

TEST(Csv, WhatIsWrittenReadsBack) {
    for (const std::string_view field : {"plain", "a,b", "say \"x\"", "two\nlines", " edge", ""}) {
        std::string row;
        append_csv(row, field);
        row += ",z\n";
        EXPECT_EQ(read(row), "1:[" + std::string(field) + "|z]");
    }
}

}  // namespace
}  // namespace entrepot::reconcile
