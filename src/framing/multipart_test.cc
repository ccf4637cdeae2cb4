#include "framing/multipart.h"

#include <gtest/gtest.h>

namespace entrepot::framing {
namespace {

using namespace std::literals;

constexpr std::string_view kType = "multipart/form-data; boundary=XX";
constexpr std::string_view kBody =
    "--XX\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n"
    "--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".wav\"\r\n"
    "Content-Type: audio/wav\r\n\r\nRIFF\r\n--X\r\n\0\xff\r\n"
    "--XX\r\nContent-Disposition: form-data; name=image[]; filename=x.png\r\n\r\n\r\n--XX--\r\n"sv;

Form read(std::string_view body, std::string_view type = kType) {
    Result<Form> form = read_form(body, type);
    EXPECT_TRUE(form) << form.error().message;
    return form ? *form : Form{};
}

TEST(Multipart, FieldsAndFilesAreReadWhereTheyStand) {
    const std::string body(kBody.data(), kBody.size());
    const Form form = read(body);
    ASSERT_EQ(form.parts.size(), 3u);
    EXPECT_EQ(form.find("model")->data, "whisper-1");
    EXPECT_FALSE(form.find("model")->is_file);
    EXPECT_EQ(form.parts[1].file_name, "a \"b\".wav");
    EXPECT_TRUE(form.parts[1].is_file);
    EXPECT_EQ(form.parts[1].content_type, "audio/wav");
    EXPECT_TRUE(form.parts[1].data.starts_with("RIFF\r\n--X"));
    EXPECT_EQ(form.count("image[]"), 1u);
    EXPECT_EQ(form.parts[2].data, "");
}

TEST(Multipart, OneFieldIsReplacedAndEverythingElseStays) {
    const std::string body(kBody);
    const std::string changed = read(body).with("model", "my-whisper");
    EXPECT_EQ(read(changed).find("model")->data, "my-whisper");
    const std::size_t at = body.find("whisper-1");
    EXPECT_EQ(changed.substr(0, at), body.substr(0, at));
    EXPECT_EQ(changed.substr(at + 10), body.substr(at + 9));
}

TEST(Multipart, AFieldThatIsNotThereIsAdded) {
    const std::string body(kBody);
    const std::string changed = read(body).with("language", "sv");
    const Form form = read(changed);
    EXPECT_EQ(form.find("language")->data, "sv");
    EXPECT_EQ(form.parts.size(), 4u);
    EXPECT_EQ(form.find("model")->data, "whisper-1");
}

TEST(Multipart, QuotedBoundariesPreamblesAndPaddingAreRead) {
    const Form form = read(
        "hello\r\n--a b \t\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1"
        "\r\n--a b--",
        "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"");
    ASSERT_EQ(form.parts.size(), 1u);
    EXPECT_EQ(form.parts[0].data, "1");
}

TEST(Multipart, WhatIsNoFormIsRefusedInWords) {
    const auto refused = [](std::string_view body, std::string_view type = kType) {
        const Result<Form> form = read_form(body, type);
        EXPECT_FALSE(form) << body;
        return !form && form.error().code == ErrorCode::kBadRequest;
    };
    EXPECT_TRUE(refused(kBody, "application/json"));
    EXPECT_TRUE(refused(kBody, "multipart/form-data"));
    EXPECT_TRUE(refused(kBody, "multipart/form-data; boundary="));
    EXPECT_TRUE(refused(kBody, "multipart/form-data; boundary=YY"));
    EXPECT_TRUE(refused(kBody.substr(0, kBody.size() - 12)));
    EXPECT_TRUE(refused(""));
    EXPECT_TRUE(refused("--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--"));
    EXPECT_TRUE(refused("--XX\r\nContent-Type: a/b\r\n\r\n1\r\n--XX--"));
    EXPECT_TRUE(refused("--XXmore\r\n\r\n1\r\n--XX--"));
    EXPECT_TRUE(
        refused(std::string("--XX\r\na: ") + std::string(9000, 'a') + "\r\n\r\n1\r\n--XX--"));
}

TEST(Multipart, PartsAreBounded) {
    std::string body;
    for (int i = 0; i < 300; ++i)
        body += "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    EXPECT_FALSE(read_form(body + "--XX--", kType));
    EXPECT_TRUE(read_form(body + "--XX--", kType, {.parts_max = 300}));
}

TEST(Multipart, ABodyCutAnywhereIsNeverAWholeForm) {
    const std::string body(kBody);
    for (std::size_t n = 0; n < body.rfind("--XX--") + 6; ++n)
        EXPECT_FALSE(read_form(std::string_view(body).substr(0, n), kType)) << n;
}

}  // namespace
}  // namespace entrepot::framing
