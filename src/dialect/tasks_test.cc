// Embeddings and token counts: every recorded exchange, and what crosses from one maker to another.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "canon/vectors.h"
#include "dialect/registry.h"
#include "json/value.h"

namespace entrepot::dialect {
namespace {

using canon::Meter;
using json::Value;

std::filesystem::path corpus() {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus";
}

#define SKIP_WITHOUT_CORPUS()               \
    if (!std::filesystem::exists(corpus())) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

/// The dialect of a recorded exchange besides conversations; null for all others.
const Dialect* dialect_of(const Value& exchange) {
    const std::string_view file = exchange["dialect"].string();
    const std::string_view operation = exchange["operation"].string();
    if (exchange["request"]["method"].string() != "POST") return nullptr;
    if (operation == "embeddings") return find_dialect("openai-embeddings");
    if (operation == "embedContent") return find_dialect("gemini-embed");
    if (operation == "batchEmbedContents") return find_dialect("gemini-embed-batch");
    if (operation == "predict") return find_dialect("vertex-predict");
    if (operation == "v1/embed" || operation == "v2/embed") return find_dialect("cohere-embed");
    if (operation == "messages.count_tokens") return find_dialect("anthropic-count-tokens");
    if (operation == "responses.input_tokens") return find_dialect("openai-input-tokens");
    if (operation == "count-tokens") return find_dialect("bedrock-count-tokens");
    if (operation == "countTokens")
        return find_dialect(file == "vertex" ? "vertex-count-tokens" : "gemini-count-tokens");
    const std::string_view model = exchange["model"].string();
    const bool is_nova = model.find("nova") != std::string_view::npos;
    if (operation == "invoke" && model.find("embed") != std::string_view::npos && !is_nova)
        return find_dialect("bedrock-invoke");
    return nullptr;
}

struct Recorded {
    std::string id;
    const Dialect* dialect;
    json::Document line;
    [[nodiscard]] const Value& request() const { return line.root()["request"]["body"]; }
    [[nodiscard]] const Value& reply() const { return line.root()["response"]["body"]; }
    [[nodiscard]] bool is_answered() const {
        return line.root()["response"]["status"].raw() == "200";
    }
    [[nodiscard]] std::vector<Header> reply_headers() const {
        std::vector<Header> headers;
        for (const json::Member& member : line.root()["response"]["headers"].members())
            headers.push_back({std::string(member.key), std::string(member.value.string())});
        return headers;
    }
};

std::vector<Recorded> recorded() {
    std::vector<Recorded> all;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(corpus()))
        if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
    std::ranges::sort(files);
    for (const auto& path : files) {
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            auto document = json::Document::parse(std::move(line));
            const Dialect* dialect = dialect_of(document->root());
            if (dialect == nullptr) continue;
            std::string id(document->root()["id"].string());
            all.push_back({std::move(id), dialect, std::move(*document)});
        }
    }
    return all;
}

Result<canon::Request> decode(
    const Dialect& dialect, std::string_view body, std::string_view model = "m") {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(body)));
    RequestContext context;
    if (dialect.has_model_in_path) {
        context.model = model;
        context.is_stream = false;
    }
    return dialect.decode_request(document, context);
}

struct Read {
    canon::Reply reply;
    Status status;
};

Read read_reply(
    const Dialect& dialect, std::string_view body, const std::vector<Header>& headers = {}) {
    const auto decoder = dialect.reply_decoder(ReplyForm::kWhole);
    decoder->take_headers(headers);
    std::vector<canon::Event> events;
    Read read;
    read.status = decoder->feed(body, events);
    if (read.status) read.status = decoder->finish(events);
    for (const canon::Event& event : events) read.reply.add(event);
    return read;
}

/// What a request for embeddings asks, in words.
std::string asked(const canon::Request& request) {
    std::string out = fmt::format("{} ", canon::task_name(request.task));
    if (const auto* embed = std::get_if<canon::Embed>(&request.work)) {
        out += fmt::format("{} {} {} ", canon::embed_purpose_name(embed->purpose),
            embed->dimensions.value_or(0), embed->truncate);
        for (const canon::EmbedInput& input : embed->inputs) {
            for (const auto& part : input.parts)
                out += std::holds_alternative<canon::Text>(part)
                    ? "[" + std::get<canon::Text>(part).text + "]"
                    : "<" + std::get<canon::Media>(part).data + ">";
            for (const std::int64_t id : input.tokens) out += fmt::format("#{}", id);
            out += input.title + ";";
        }
    } else {
        for (const canon::Item& item : request.items) {
            out += canon::role_name(item.role);
            if (const auto* text = std::get_if<canon::Text>(&item.body)) out += text->text;
            out += ';';
        }
        for (const canon::Tool& tool : request.tools) out += tool.name;
    }
    return out;
}

/// What a reply says: its vectors, or its count.
std::string said(const canon::Reply& reply) {
    std::string out;
    for (const canon::Outcome& outcome : reply.outcomes) {
        if (const auto* vector = std::get_if<canon::Vector>(&outcome.body))
            out += fmt::format("{}:{}:{};", vector->index, static_cast<int>(vector->form),
                canon::as_numbers(*vector).value_or("none"));
        if (const auto* counted = std::get_if<canon::TokensCounted>(&outcome.body))
            out += fmt::format("count {}", counted->input_tokens);
    }
    return out + canon::to_json(reply.usage);
}

TEST(Tasks, EveryRecordedRequestComesHomeTheSame) {
    SKIP_WITHOUT_CORPUS();
    int count = 0;
    for (const Recorded& exchange : recorded()) {
        if (!exchange.request().is_object()) continue;
        // What no supplier took, nobody has to read.
        const auto request = decode(
            *exchange.dialect, exchange.request().raw(), exchange.line.root()["model"].string());
        ASSERT_TRUE(request || !exchange.is_answered())
            << exchange.id << ": " << request.error().message;
        if (!request) continue;
        EncodeTarget target{.model_id = exchange.line.root()["model"].string()};
        target.on_lossy = OnLossy::kName;
        const auto home = exchange.dialect->encode_request(*request, target);
        if (!home && !exchange.is_answered()) continue;
        ASSERT_TRUE(home) << exchange.id << ": " << home.error().message;
        const auto again = decode(*exchange.dialect, home->body, target.model_id);
        ASSERT_TRUE(again) << exchange.id << ": " << again.error().message << "\n" << home->body;
        if (asked(*request) != asked(*again)) {
            // Bedrock counts what it is asked in a body of its maker's, which we ask in Converse:
            // there it has no tools of the server's, and refused this one as well.
            EXPECT_FALSE(exchange.is_answered() || home->dropped.empty())
                << exchange.id << ": " << asked(*again) << "\n"
                << asked(*request);
            continue;
        }
        ++count;
    }
    EXPECT_GT(count, 80);
}

/// What the recorded body states was used, by its own field.
std::int64_t stated_tokens(const Recorded& exchange) {
    const Value& body = exchange.reply();
    for (const Value* usage :
        {&body["usage"]["prompt_tokens"], &body["usageMetadata"]["promptTokenCount"],
            &body["inputTextTokenCount"], &body["meta"]["billed_units"]["input_tokens"]})
        if (usage->is_number()) return *usage->as_int();
    std::int64_t sum = 0;
    for (const Value& prediction : body["predictions"].items())
        sum += prediction["embeddings"]["statistics"]["token_count"].as_int().value_or(0);
    for (const Header& header : exchange.reply_headers())
        if (header.name == "x-amzn-bedrock-input-token-count") sum = std::stoll(header.value);
    return sum;
}

TEST(Tasks, EveryRecordedReplyIsMeteredToWhatItStatesAndWrittenAgainTheSame) {
    SKIP_WITHOUT_CORPUS();
    int count = 0;
    for (const Recorded& exchange : recorded()) {
        if (!exchange.is_answered() || !exchange.reply().is_object()) continue;
        const std::string body(exchange.reply().raw());
        const Read read = read_reply(*exchange.dialect, body, exchange.reply_headers());
        ASSERT_TRUE(read.status) << exchange.id << ": " << read.status.error().message;
        EXPECT_TRUE(read.reply.has_ended) << exchange.id;
        EXPECT_FALSE(read.reply.outcomes.empty()) << exchange.id;
        EXPECT_EQ(read.reply.usage.prompt_tokens(), stated_tokens(exchange)) << exchange.id;

        ReplyContext context;
        context.model = exchange.line.root()["model"].string();
        if (exchange.dialect->name == "bedrock-invoke")
            context.family =
                exchange.reply()["embedding"].is_null() ? "cohere-embed" : "titan-embed";
        if (exchange.dialect->name == "openai-embeddings" && exchange.request().is_object())
            context.family = exchange.request()["encoding_format"].string();
        if (exchange.dialect->name == "cohere-embed")
            context.family = exchange.reply()["embeddings"].is_array() ? "floats" : "types";
        const auto encoder = exchange.dialect->reply_encoder(ReplyForm::kWhole, context);
        std::string written;
        encoder->add(canon::Event{read.reply.started}, written);
        for (const canon::Outcome& outcome : read.reply.outcomes)
            encoder->add(canon::Event{outcome}, written);
        canon::UsageReported usage{read.reply.usage};
        usage.stated = read.reply.stated_usage;
        if (read.reply.has_usage) encoder->add(canon::Event{usage}, written);
        encoder->add(canon::Event{canon::Ended{}}, written);
        std::vector<Header> headers;
        for (const Header& header : encoder->headers())
            headers.push_back({to_lower(header.name), header.value});
        const Read again = read_reply(*exchange.dialect, written, headers);
        ASSERT_TRUE(again.status) << exchange.id << "\n" << written.substr(0, 200);
        EXPECT_EQ(said(read.reply), said(again.reply)) << exchange.id;
        ++count;
    }
    EXPECT_GT(count, 80);
}

TEST(Tasks, EveryRecordedErrorIsAFailureWithItsOwnWords) {
    SKIP_WITHOUT_CORPUS();
    int count = 0;
    for (const Recorded& exchange : recorded()) {
        const Value& status = exchange.line.root()["response"]["status"];
        if (exchange.is_answered() || !exchange.reply().is_object()) continue;
        const canon::Failure failure = exchange.dialect->decode_failure(
            static_cast<int>(*status.as_int()), exchange.reply_headers(), exchange.reply().raw());
        EXPECT_EQ(failure.status, *status.as_int()) << exchange.id;
        EXPECT_FALSE(failure.message.empty()) << exchange.id;
        ++count;
    }
    EXPECT_GT(count, 15);
}

// ---- from one maker to another

std::string carried(std::string_view from, std::string_view to, std::string_view body,
    canon::EmbedPurpose purpose = canon::EmbedPurpose::kUnsaid,
    std::vector<std::string>* dropped = nullptr) {
    const auto request = decode(*find_dialect(from), body);
    if (!request) return "client: " + request.error().message;
    EncodeTarget target{.model_id = "anthropic.claude-x"};
    if (to == "gemini-embed-batch" || to == "cohere-embed") target.model_id = "m";
    if (from == "openai-embeddings" && to == "bedrock-invoke")
        target.model_id = "amazon.titan-embed-text-v2:0";
    target.embed_purpose = purpose;
    auto encoded = find_dialect(to)->encode_request(*request, target);
    if (!encoded) return encoded.error().field + ": " + encoded.error().message;
    if (dropped != nullptr) *dropped = encoded->dropped;
    return encoded->body;
}

TEST(Tasks, TextsOfOpenaiBecomeRequestsOfGoogle) {
    EXPECT_EQ(carried("openai-embeddings", "gemini-embed-batch",
                  R"({"model":"x","input":["a","b"],"dimensions":256})"),
        R"({"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]},)"
        R"("outputDimensionality":256},{"model":"models/m","content":{"parts":[{"text":"b"}]},)"
        R"("outputDimensionality":256}]})");
    EXPECT_EQ(carried("openai-embeddings", "vertex-predict", R"({"model":"x","input":"a"})",
                  canon::EmbedPurpose::kDocument),
        R"({"instances":[{"content":"a","task_type":"RETRIEVAL_DOCUMENT"}]})");
}

// It changes the vector, so nobody guesses it.
TEST(Tasks, CohereIsToldWhatATextIsForByTheRequestOrTheOfferAndElseRefuses) {
    const std::string_view ask = R"({"model":"x","input":["a"]})";
    EXPECT_TRUE(carried("openai-embeddings", "cohere-embed", ask).starts_with("input_type: "));
    EXPECT_EQ(carried("openai-embeddings", "cohere-embed", ask, canon::EmbedPurpose::kQuery),
        R"({"model":"m","texts":["a"],"input_type":"search_query","embedding_types":["float"]})");
    EXPECT_EQ(carried("gemini-embed", "cohere-embed",
                  R"({"content":{"parts":[{"text":"a"}]},"taskType":"CLUSTERING"})",
                  canon::EmbedPurpose::kQuery),
        R"({"model":"m","texts":["a"],"input_type":"clustering","embedding_types":["float"]})");
    EXPECT_TRUE(carried("gemini-embed", "cohere-embed",
        R"({"content":{"parts":[{"text":"a"}]},"taskType":"FACT_VERIFICATION"})")
            .starts_with("taskType: "));
}

TEST(Tasks, TokenIdsGoToTheirOwnMakerOnly) {
    const std::string_view ask = R"({"model":"x","input":[[1,2],[3]]})";
    EXPECT_EQ(carried("openai-embeddings", "openai-embeddings", ask),
        R"({"model":"anthropic.claude-x","input":[[1,2],[3]]})");
    for (const std::string_view to : {"gemini-embed-batch", "vertex-predict", "cohere-embed"})
        EXPECT_TRUE(carried("openai-embeddings", to, ask).starts_with("input: ")) << to;
}

TEST(Tasks, TitanTakesOneTextACall) {
    EXPECT_EQ(carried("openai-embeddings", "bedrock-invoke",
                  R"({"model":"x","input":["a"],"dimensions":256})"),
        R"({"inputText":"a","dimensions":256})");
    EXPECT_TRUE(carried("openai-embeddings", "bedrock-invoke", R"({"model":"x","input":["a","b"]})")
            .starts_with("input: "));
}

TEST(Tasks, RequestsOfGoogleThatAreNotAlikeGoHomeOnly) {
    const std::string answer = carried("gemini-embed-batch", "openai-embeddings",
        R"({"requests":[{"content":{"parts":[{"text":"a"}]}},)"
        R"({"content":{"parts":[{"text":"b"}]},"taskType":"CLUSTERING"}]})");
    EXPECT_TRUE(answer.starts_with("requests[1].taskType: ")) << answer;
}

TEST(Tasks, NumbersAndBase64AreTheSameVector) {
    EXPECT_EQ(canon::base64_of_numbers("[0.5, -0.25]"), "AAAAPwAAgL4=");
    EXPECT_EQ(canon::numbers_of_base64("AAAAPwAAgL4="), "[0.5,-0.25]");
    EXPECT_EQ(canon::base64_of_numbers("[]"), "");
    EXPECT_EQ(canon::base64_of_numbers("[1e-60]"), "AAAAAA==");
    for (const std::string_view broken :
        {"[0.5", "0.5]", "[0.5,]", "[a]", "[0.5 0.5]", "[1e999]", "[1e60]", "[NaN]"})
        EXPECT_FALSE(canon::base64_of_numbers(broken)) << broken;
    for (const std::string_view broken : {"AAAA", "AAAAPwAAgL4", "AADAfw=="})
        EXPECT_FALSE(canon::numbers_of_base64(broken)) << broken;
}

// Bytes of another kind would be read as floats that no model makes.
TEST(Tasks, VectorsInAServersOwnEncodingPassAndAreNeverDecoded) {
    const auto passes = find_dialect("openai-embeddings")->passes_reply;
    const auto reply = [](std::string_view numbers) {
        return fmt::format(
            R"({{"data":[{{"object":"embedding","index":0,"embedding":{}}}]}})", numbers);
    };
    const std::string floats = R"("AAAAPwAAgL4=")";
    const std::string int8 = R"("f4CBfn+AgX4=")";
    EXPECT_TRUE(passes(reply(floats), "base64"));
    EXPECT_FALSE(passes(reply(floats), "float"));
    EXPECT_TRUE(passes(reply("[0.5]"), "float"));
    EXPECT_FALSE(passes(reply("[0.5]"), "base64"));
    EXPECT_TRUE(passes(reply(int8), "float"));
    EXPECT_TRUE(read_reply(*find_dialect("openai-embeddings"), reply(floats)).status);
    EXPECT_FALSE(read_reply(*find_dialect("openai-embeddings"), reply(int8)).status);
}

// A reply of thousands of vectors is not kept; its usage is the last that it says.
TEST(Tasks, TheEndOfAReplyOfOpenaiStatesItsUsage) {
    const auto tail = find_dialect("openai-embeddings")->usage_of_tail;
    const auto usage =
        tail(R"(0.25]}],"model":"x","usage":{"prompt_tokens":7,"total_tokens":7}} )");
    ASSERT_TRUE(usage);
    EXPECT_EQ((*usage)[Meter::kInput], 7);
    for (const std::string_view none : {R"(0.5]}],"usage":{"prompt_tokens":7)", "0.5]}]}", "",
             R"("usage":null})", R"("usage":{"prompt_tokens":0,"total_tokens":0}})"})
        EXPECT_FALSE(tail(none)) << none;
}

TEST(Tasks, AConversationIsCountedInEachMakersWords) {
    const std::string_view ask = R"({"model":"x","system":"Be brief.","messages":[)"
                                 R"({"role":"user","content":"hi"}],"tools":[{"name":"now",)"
                                 R"("input_schema":{"type":"object"}}]})";
    const std::string google = carried("anthropic-count-tokens", "gemini-count-tokens", ask);
    EXPECT_TRUE(google.starts_with(R"({"generateContentRequest":{"model":"models/)")) << google;
    EXPECT_NE(google.find(R"("systemInstruction":{)"), std::string::npos) << google;
    EXPECT_EQ(google.find("maxOutputTokens"), std::string::npos) << google;
    const std::string vertex = carried("vertex-anthropic-count-tokens", "anthropic-count-tokens",
        R"({"anthropic_version":"vertex-2023-10-16","model":"x","messages":[)"
        R"({"role":"user","content":"hi"}]})");
    EXPECT_NE(vertex.find(R"("model":)"), std::string::npos) << vertex;
    EXPECT_EQ(vertex.find("anthropic_version"), std::string::npos) << vertex;
    const std::string aws = carried("anthropic-count-tokens", "bedrock-count-tokens", ask);
    EXPECT_TRUE(aws.starts_with(R"({"input":{"converse":{)")) << aws;
    EXPECT_EQ(aws.find("inferenceConfig"), std::string::npos) << aws;
    const std::string openai = carried("anthropic-count-tokens", "openai-input-tokens", ask);
    EXPECT_NE(openai.find(R"("instructions":"Be brief.")"), std::string::npos) << openai;
    EXPECT_EQ(openai.find("max_output_tokens"), std::string::npos) << openai;
    EXPECT_EQ(openai.find("store"), std::string::npos) << openai;
    const std::string back = carried("openai-input-tokens", "anthropic-count-tokens",
        R"({"model":"x","input":"hi","instructions":"Be brief."})");
    EXPECT_EQ(back.find("max_tokens"), std::string::npos) << back;
    EXPECT_NE(back.find(R"("messages":[)"), std::string::npos) << back;
}

// What was paid for is shown, whatever its model usually answers.
TEST(Tasks, VectorsOfEveryFormReachAClientOfBedrock) {
    ReplyContext context;
    context.model = "cohere.embed-english-v3";
    context.family = "cohere-embed";
    const auto shown = [&](std::vector<canon::Vector> vectors) {
        const auto encoder =
            find_dialect("bedrock-invoke")->reply_encoder(ReplyForm::kWhole, context);
        std::string out;
        encoder->add(canon::Started{.id = "i"}, out);
        for (canon::Vector& vector : vectors) encoder->add(canon::Outcome{std::move(vector)}, out);
        encoder->add(canon::Ended{}, out);
        const auto document = json::Document::parse(out);
        return document ? std::string(document->root()["embeddings"].raw()) : out;
    };
    using canon::VectorForm;
    const canon::Vector floats{0, VectorForm::kFloat, "[0.5,-0.25]"};
    const canon::Vector base64{0, VectorForm::kBase64, "AAAAPwAAgL4="};
    const canon::Vector int8{0, VectorForm::kInt8, "[64,-32]"};
    EXPECT_EQ(shown({floats}), "[[0.5,-0.25]]");
    EXPECT_EQ(shown({base64}), "[[0.5,-0.25]]");
    EXPECT_EQ(shown({floats, base64}), "[[0.5,-0.25]]");
    EXPECT_EQ(shown({int8}), R"({"int8":[[64,-32]]})");
    EXPECT_EQ(shown({floats, base64, int8}), R"({"float":[[0.5,-0.25]],"int8":[[64,-32]]})");
}

std::int64_t searches(std::string_view dialect, std::string_view more, std::size_t bytes) {
    std::string documents;
    for (int i = 0; i < 100; ++i)
        documents += fmt::format("{}\"{}\"", i == 0 ? "" : ",", std::string(bytes, 'x'));
    const auto document = json::Document::parse(
        fmt::format(R"({{"model":"m","query":"q","documents":[{}]{}}})", documents, more));
    const auto request = find_dialect(dialect)->decode_request(*document, {});
    return request ? std::get<canon::Piecework>(request->work).searches : -1;
}

// The hold of a ranking: what asks for less may be a field of the other version, or not be read.
TEST(Tasks, ARankingIsBoundedByTheMostThatAnyServerReadsOfADocument) {
    for (const std::string_view dialect : {"rerank", "rerank-v2"}) {
        EXPECT_EQ(searches(dialect, "", 100), 1);
        const std::int64_t unasked = searches(dialect, "", 20'000);
        EXPECT_GE(unasked, 10);
        EXPECT_EQ(searches(dialect, R"(,"max_chunks_per_doc":1)", 20'000), unasked);
        EXPECT_EQ(searches(dialect, R"(,"max_tokens_per_doc":9)", 20'000), unasked);
        EXPECT_GT(searches(dialect, R"(,"max_chunks_per_doc":30)", 20'000), unasked);
        EXPECT_GT(
            searches(dialect, R"(,"max_tokens_per_doc":15000,"max_chunks_per_doc":1)", 20'000),
            unasked);
        for (const std::string_view wrong : {R"(,"max_chunks_per_doc":"9")",
                 R"(,"max_chunks_per_doc":1.5)", R"(,"max_chunks_per_doc":0)",
                 R"(,"max_tokens_per_doc":9,"max_tokens_per_doc":9)", R"(,"documents":["a"])"})
            EXPECT_EQ(searches(dialect, wrong, 1), -1) << wrong;
    }
}

TEST(Tasks, ARequestForOneTaskIsNotCarriedToADialectOfAnother) {
    const auto translated = translate(*find_dialect("openai-embeddings"),
        *find_dialect("openai-chat"), BodyKind::kRequest, R"({"model":"x","input":"a"})", {});
    ASSERT_FALSE(translated);
    EXPECT_EQ(translated.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace entrepot::dialect
