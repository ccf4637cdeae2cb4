#include <gtest/gtest.h>

#include "dialect/openai_small/openai_small.h"

namespace entrepot::dialect::openai_small {
namespace {

Result<canon::Request> decode(
    Endpoint endpoint, std::string_view body, std::string_view content_type = "") {
    RequestContext context;
    context.raw_body = body;
    context.content_type = content_type;
    const json::Document document =
        *json::Document::parse(content_type.empty() ? std::string(body) : "null");
    return decode_request(endpoint, document, context);
}
canon::Piecework work_of(const canon::Request& request) {
    return std::get<canon::Piecework>(request.work);
}

constexpr std::string_view kForm = "multipart/form-data; boundary=XX";
std::string form(std::initializer_list<std::pair<std::string_view, std::string_view>> fields,
    std::string_view file_field = "file", std::size_t file_bytes = 0, int files = 1) {
    std::string out;
    for (const auto& [name, value] : fields)
        out += "--XX\r\nContent-Disposition: form-data; name=\"" + std::string(name) +
            "\"\r\n\r\n" + std::string(value) + "\r\n";
    for (int i = 0; i < files; ++i)
        out += "--XX\r\nContent-Disposition: form-data; name=\"" + std::string(file_field) +
            "\"; filename=\"a\"\r\nContent-Type: audio/wav\r\n\r\n" + std::string(file_bytes, 'x') +
            "\r\n";
    return out + "--XX--\r\n";
}

TEST(SmallRequest, ACompletionCountsPromptsAndEveryCandidate) {
    const auto one = decode(Endpoint::kCompletions,
        R"({"model":"m","prompt":"hello","n":2,"best_of":5,"max_tokens":7,"stream":true,)"
        R"("stream_options":{"include_usage":true}})");
    ASSERT_TRUE(one);
    EXPECT_EQ(one->task, canon::Task::kComplete);
    EXPECT_EQ(work_of(*one).prompt_bytes, 5);
    EXPECT_EQ(one->choices, 5);
    EXPECT_EQ(one->output_tokens_max, 7);
    EXPECT_TRUE(one->is_stream && one->wants_usage);
    const auto many = decode(
        Endpoint::kCompletions, R"({"model":"m","prompt":[[1,2,3],[4]],"n":3,"logprobs":0})");
    EXPECT_EQ(work_of(*many).prompt_tokens, 4);
    EXPECT_EQ(many->choices, 6);
    EXPECT_TRUE(many->logprobs);
    const auto ids = decode(Endpoint::kCompletions, R"({"model":"m","prompt":[1,2,3]})");
    EXPECT_EQ(work_of(*ids).prompt_tokens, 3);
    EXPECT_EQ(ids->choices, 1);
}

TEST(SmallRequest, WhatDecidesOnMoneyIsReadStrictly) {
    for (const std::string_view body :
        {R"({"prompt":["a",1]})", R"({"prompt":[]})", R"({"prompt":{"a":1}})",
            R"({"prompt":[[-1]]})", R"({"prompt":"a","n":0})", R"({"prompt":"a","n":"2"})",
            R"({"prompt":"a","best_of":1.5})", R"({"prompt":"a","max_tokens":-1})",
            R"({"prompt":"a","n":1,"n":9})", R"({"prompt":"a","stream":"yes"})", R"([1])"})
        EXPECT_FALSE(decode(Endpoint::kCompletions, body)) << body;
    EXPECT_FALSE(decode(Endpoint::kImages, R"({"model":"m"})"));
    EXPECT_FALSE(decode(Endpoint::kImages, R"({"prompt":"a","n":101})"));
    EXPECT_FALSE(decode(Endpoint::kSpeech, R"({"model":"m","input":""})"));
    EXPECT_FALSE(decode(Endpoint::kModerations, R"({"model":"m"})"));
    EXPECT_FALSE(decode(Endpoint::kTranscriptions, "x=1", "application/x-www-form-urlencoded"));
}

TEST(SmallRequest, ImagesAreCountedWithThoseShownOnTheWay) {
    const auto request = decode(Endpoint::kImages,
        R"({"model":"m","prompt":"a cat","n":3,"stream":true,"partial_images":2})");
    ASSERT_TRUE(request);
    EXPECT_EQ(work_of(*request).images, 3);
    EXPECT_EQ(work_of(*request).partial_images, 2);
    EXPECT_EQ(work_of(*request).prompt_bytes, 5);
    EXPECT_EQ(work_of(*decode(Endpoint::kImages, R"({"prompt":"a"})")).images, 1);
}

TEST(SmallRequest, AnEditCountsTheImagesOfItsFormAndItsMask) {
    const auto request = decode(Endpoint::kImageEdits,
        form({{"model", "m"}, {"prompt", "a cat"}, {"n", "2"}}, "image[]", 10, 3), kForm);
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->model, "m");
    EXPECT_EQ(work_of(*request).images_in, 3);
    EXPECT_EQ(work_of(*request).images, 2);
    EXPECT_FALSE(decode(Endpoint::kImageEdits, form({{"prompt", "a"}}, "file", 0, 0), kForm));
    const auto stored = decode(Endpoint::kImageEdits,
        R"({"prompt":"a","images":[{"file_id":"f"},{"image_url":"u"}],"mask":{"file_id":"g"}})");
    EXPECT_EQ(work_of(*stored).images_in, 3);
    EXPECT_EQ(work_of(*stored).file_ids, 2);
}

TEST(SmallRequest, SpeechIsCountedInCharactersAndNotInBytes) {
    const auto request = decode(Endpoint::kSpeech,
        R"({"model":"m","voice":"v","input":"åäö!","instructions":"slow","stream_format":"sse"})");
    ASSERT_TRUE(request);
    EXPECT_EQ(work_of(*request).characters, 4);
    EXPECT_EQ(work_of(*request).prompt_bytes, 7 + 4);
    EXPECT_TRUE(request->is_stream);
}

TEST(SmallRequest, ATranscriptionLastsAsLongAsItsFileMay) {
    const auto request = decode(
        Endpoint::kTranscriptions, form({{"model", "m"}, {"stream", "true"}}, "file", 5000), kForm);
    ASSERT_TRUE(request);
    EXPECT_EQ(work_of(*request).audio_seconds_max, 10);
    EXPECT_TRUE(request->is_stream);
    EXPECT_FALSE(decode(Endpoint::kTranscriptions, form({{"model", "m"}}, "file", 0, 0), kForm));
    const auto fetched = decode(Endpoint::kTranscriptions,
        form({{"model", "m"}, {"file_url", "https://a"}}, "file", 0, 0), kForm);
    EXPECT_EQ(work_of(*fetched).file_ids, 1);
    const auto inside = decode(Endpoint::kTranscriptions,
        R"({"model":"m","input_audio":{"data":"eHh4eA==","format":"mp3"}})");
    EXPECT_EQ(work_of(*inside).audio_seconds_max, 1);
}

// A server may read the other one: with a file of three hours behind one of a second, the hold of a
// second bounds nothing.
TEST(SmallRequest, WhatIsToBeHeardIsGivenOnceOrHasNoBound) {
    const auto asked = [](std::string_view body) {
        return decode(Endpoint::kTranscriptions, body);
    };
    EXPECT_FALSE(decode(Endpoint::kTranscriptions, form({{"model", "m"}}, "file", 5000, 2), kForm));
    EXPECT_FALSE(asked(R"({"model":"m","input_audio":{"data":"eA=="},"input_audio":{}})"));
    const auto beside = decode(Endpoint::kTranscriptions,
        form({{"model", "m"}, {"url", "https://a"}}, "file", 5000), kForm);
    ASSERT_TRUE(beside) << beside.error().message;
    EXPECT_EQ(work_of(*beside).file_ids, 1);
    for (const std::string_view body : {R"({"input_audio":{"data":"eA=="},"file_url":"https://a"})",
             R"({"input_audio":{"data":"eA==","url":"https://a"}})",
             R"({"input_audio":{"data":"eA==","data":"eHh4"}})",
             R"({"input_audio":{"data":"eA=="},"file":"eHh4"})"})
        EXPECT_EQ(work_of(*asked(body)).file_ids, 1) << body;
    EXPECT_EQ(work_of(*asked(R"({"input_audio":{"data":"eA=="},"url":null})")).file_ids, 0);
}

TEST(SmallRequest, AFormNamesNoStoredFiles) {
    for (const std::string_view name : {"file_id", "images[0][file_id]", "mask[file_id]"})
        for (const Endpoint endpoint : {Endpoint::kTranscriptions, Endpoint::kImageEdits}) {
            const auto named =
                decode(endpoint, form({{"prompt", "a"}, {name, "file-1"}}, "file", 10), kForm);
            ASSERT_FALSE(named) << name;
            EXPECT_EQ(named.error().code, ErrorCode::kUnsupported) << name;
        }
}

TEST(SmallRequest, OpenAisOwnModerationModelIsTakenWhereNoneIsNamed) {
    EXPECT_EQ(decode(Endpoint::kModerations, R"({"input":"a"})")->model, "omni-moderation-latest");
    EXPECT_EQ(decode(Endpoint::kModerations, R"({"input":"a","model":"m"})")->model, "m");
}

TEST(SmallRequest, WrittenAgainItSaysTheSameAndAsksForUsage) {
    const auto request = decode(Endpoint::kCompletions,
        R"({"model":"m","prompt":"a","stream":true,"stream_options":{"include_usage":false,)"
        R"("include_obfuscation":false},)"
        R"("temperature":0.50,"unknown":[1, 2]})");
    EncodeTarget target;
    target.model_id = "own";
    target.states_output_cap = true;
    target.output_tokens_default = 99;
    const auto encoded = encode_request(Endpoint::kCompletions, *request, target);
    ASSERT_TRUE(encoded);
    EXPECT_EQ(encoded->body,
        R"({"model":"own","prompt":"a","stream":true,"temperature":0.50,"unknown":[1, 2],)"
        R"("max_tokens":99,"stream_options":{"include_obfuscation":false,"include_usage":true}})");
}

TEST(SmallRequest, NothingIsCarriedToAnotherEndpoint) {
    const auto request = decode(Endpoint::kImages, R"({"model":"m","prompt":"a"})");
    const auto refused = encode_request(Endpoint::kImageEdits, *request, {});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
}

TEST(SmallRequest, AFormIsRenamedAndNothingElseOfItTouched) {
    const std::string body = form({{"prompt", "p"}, {"model", "m"}}, "file", 9);
    const auto renamed = rename_model(body, kForm, "whisper-of-mine");
    ASSERT_TRUE(renamed);
    EXPECT_EQ(decode(Endpoint::kTranscriptions, *renamed, kForm)->model, "whisper-of-mine");
    EXPECT_EQ(renamed->size(), body.size() + 14);
}

}  // namespace
}  // namespace entrepot::dialect::openai_small
