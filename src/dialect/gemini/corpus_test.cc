// Every recorded exchange with Gemini and Vertex: metered to what its body states, and requests and
// replies that come back as they were. tests/exchange splits the streams at every byte.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/gemini/schema.h"
#include "dialect/gemini/testing.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Meter;
using json::Value;

std::filesystem::path corpus_file(std::string_view name) {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / ".." / "shared";
    return root / "corpus" / (std::string(name) + ".jsonl");
}

#define SKIP_WITHOUT_CORPUS()                            \
    if (!std::filesystem::exists(corpus_file("gemini"))) \
    GTEST_SKIP() << "the recorded exchanges are not here; set ENTREPOT_SHARED to find them"

struct Recorded {
    json::Document document;
    const Dialect* dialect;
};

std::vector<Recorded> exchanges() {
    std::vector<Recorded> all;
    for (const Dialect* dialect : {&gemini(), &vertex()}) {
        std::ifstream file(corpus_file(dialect->name));
        for (std::string line; std::getline(file, line);) {
            json::Document document = *json::Document::parse(std::move(line));
            const std::string_view operation = document.root()["operation"].string();
            if (operation == "generateContent" || operation == "streamGenerateContent")
                all.push_back({std::move(document), dialect});
        }
    }
    return all;
}

/// Some recordings hold an answer of another operation.
bool is_reply(const Value& body) {
    for (const std::string_view key : {"candidates", "promptFeedback", "usageMetadata"})
        if (find(body, key) != nullptr) return true;
    return false;
}

std::string bytes_of(const Value& response) {
    if (response["events"].is_array()) {
        std::string out;
        for (const Value& event : response["events"].items())
            framing::append_sse(out, {}, event.raw());
        return out;
    }
    const Value& body = response["body"];
    return std::string(body.is_string() ? body.string() : body.raw());
}

/// Every response object of an answer, found without the code under test.
std::vector<json::Document> objects_of(const std::string& bytes) {
    std::vector<json::Document> objects;
    if (auto whole = json::Document::parse(bytes)) {
        if (!whole->root().is_array()) {
            objects.push_back(*std::move(whole));
            return objects;
        }
        for (const Value& item : whole->root().items())
            objects.push_back(*json::Document::parse(std::string(item.raw())));
        return objects;
    }
    std::size_t at = 0;
    while (at < bytes.size()) {
        std::size_t end = bytes.find_first_of("\r\n", at);
        if (end == std::string::npos) end = bytes.size();
        const std::string_view line = std::string_view(bytes).substr(at, end - at);
        if (line.starts_with("data:"))
            if (auto document = json::Document::parse(std::string(line.substr(5))))
                objects.push_back(*std::move(document));
        at = end + 1;
    }
    return objects;
}

/// What the answer itself states, field by field, the last of each.
struct Stated {
    std::int64_t prompt = 0, cached = 0, candidates = 0, thoughts = 0, tool_use = 0, total = 0;
    bool has_usage = false;
    std::string text;
    std::string thought;
    std::string calls;  ///< names and arguments
    std::set<std::string> signatures;
    std::string finish;

    explicit Stated(const std::vector<json::Document>& objects) {
        for (const json::Document& object : objects) {
            const Value& usage = object.root()["usageMetadata"];
            const auto number = [&](std::string_view key) {
                return usage[key].as_int().value_or(0);
            };
            const auto take = [&](std::string_view key, std::int64_t& into) {
                if (!usage[key].is_number()) return;
                into = *usage[key].as_int();
                has_usage = true;
            };
            // The last account stands alone where its total says that it is complete.
            if (number("totalTokenCount") != 0 &&
                number("totalTokenCount") ==
                    number("promptTokenCount") + number("candidatesTokenCount") +
                        number("thoughtsTokenCount") + number("toolUsePromptTokenCount"))
                prompt = cached = candidates = thoughts = tool_use = total = 0;
            take("promptTokenCount", prompt);
            take("cachedContentTokenCount", cached);
            take("candidatesTokenCount", candidates);
            take("thoughtsTokenCount", thoughts);
            take("toolUsePromptTokenCount", tool_use);
            take("totalTokenCount", total);
            for (const Value& candidate : object.root()["candidates"].items()) {
                if (!candidate["finishReason"].is_null())
                    finish = std::string(candidate["finishReason"].string());
                for (const Value& part : candidate["content"]["parts"].items()) {
                    (part["thought"].as_bool() == true ? thought : text) += part["text"].string();
                    if (const Value& call = part["functionCall"]; call.is_object())
                        calls += fmt::format("{} {}\n", call["name"].string(),
                            call["args"].is_object() ? call["args"].raw() : "{}");
                    if (!part["thoughtSignature"].string().empty())
                        signatures.emplace(part["thoughtSignature"].string());
                }
            }
        }
    }
};

/// What an answer means to its reader, ids aside.
std::string meaning(const canon::Reply& reply) {
    std::string out;
    for (const auto& choice : reply.choices) {
        std::string text, thought, rest;
        std::set<std::string> signatures;
        for (const auto& part : choice.parts) {
            if (part.signature) signatures.insert(part.signature->data);
            if (part.start.kind == canon::PartKind::kText)
                text += part.text;
            else if (part.start.kind == canon::PartKind::kThought)
                thought += part.text;
            else if (part.start.kind == canon::PartKind::kToolCall)
                rest += fmt::format("call {} {}\n", part.start.name, part.text);
            else if (part.start.opaque)
                rest += part.start.opaque->kind + " " + part.start.opaque->json + "\n";
            else if (part.start.media)
                rest += part.start.media->media_type + " " + part.start.media->data + "\n";
        }
        out += fmt::format("{}\n{}\n{}{}\n{}\n", text, thought, rest, fmt::join(signatures, " "),
            choice.finished ? choice.finished->raw_reason : "-");
        std::set<std::string> asides;
        for (const canon::Aside& aside : choice.asides) asides.insert(aside.key);
        out += fmt::format("{}\n", fmt::join(asides, " "));
    }
    canon::Usage usage = reply.usage;
    return out + canon::to_json(usage);
}

TEST(GeminiCorpus, RepliesAreReadMeteredAsStatedAndWrittenAgain) {
    SKIP_WITHOUT_CORPUS();
    int whole = 0, streams = 0, arrays = 0, metered = 0, others = 0, unfinished = 0;
    for (const Recorded& recorded : exchanges()) {
        const Value& exchange = recorded.document.root();
        if (exchange["response"]["status"].as_int() != 200) continue;
        SCOPED_TRACE(exchange["id"].string());
        const ReplyForm form =
            exchange["stream"].as_bool() == true ? ReplyForm::kStream : ReplyForm::kWhole;
        const std::string bytes = bytes_of(exchange["response"]);
        const std::vector<json::Document> objects = objects_of(bytes);
        ASSERT_FALSE(objects.empty());
        const Decoded decoded = decode(form, bytes, bytes.size(), *recorded.dialect);
        if (form == ReplyForm::kWhole && !is_reply(objects.front().root())) {
            EXPECT_FALSE(decoded.status);  // a count of tokens, a schema
            ++others;
            continue;
        }
        const Stated stated(objects);
        const canon::Reply reply = fold(decoded.events);
        if (!decoded.status) {
            EXPECT_TRUE(stated.finish.empty()) << decoded.status.error().message;
            ++unfinished;
            continue;
        }
        ++(form == ReplyForm::kWhole ? whole : bytes.starts_with('[') ? arrays : streams);
        EXPECT_TRUE(reply.has_ended);
        EXPECT_EQ(reply.has_usage, stated.has_usage);
        if (stated.has_usage) {
            ++metered;
            EXPECT_EQ(reply.usage.prompt_tokens(), stated.prompt + stated.tool_use);
            EXPECT_EQ(reply.usage[Meter::kCacheRead] + reply.usage[Meter::kAudioCacheRead],
                stated.cached);
            EXPECT_EQ(reply.usage.answer_tokens(), stated.candidates + stated.thoughts);
            EXPECT_EQ(reply.usage[Meter::kReasoning], stated.thoughts);
            if (stated.total != 0 && stated.prompt != 0) {
                EXPECT_EQ(reply.usage.prompt_tokens() + reply.usage.answer_tokens(), stated.total);
            }
        }
        std::string text, thought, calls;
        std::set<std::string> signatures;
        for (const auto& choice : reply.choices)
            for (const auto& part : choice.parts) {
                if (part.start.kind == canon::PartKind::kToolCall)
                    calls += fmt::format("{} {}\n", part.start.name, part.text);
                if (part.start.kind == canon::PartKind::kText) text += part.text;
                if (part.start.kind == canon::PartKind::kThought) thought += part.text;
                if (part.signature) signatures.insert(part.signature->data);
            }
        EXPECT_EQ(text, stated.text);
        EXPECT_EQ(thought, stated.thought);
        EXPECT_EQ(signatures, stated.signatures);
        if (bytes.find("partialArgs") == std::string::npos) {
            EXPECT_EQ(calls, stated.calls);
        }

        // Written and read again it says the same, in every form.
        for (const ReplyForm written : {ReplyForm::kWhole, ReplyForm::kStream})
            for (const bool is_array : {false, true}) {
                // A whole reply may lack its end; a stream may not.
                const bool has_end = !reply.choices.empty() && reply.choices[0].finished;
                if (written == ReplyForm::kWhole ? is_array : !has_end) continue;
                ReplyContext context;
                context.wants_json_array = is_array;
                std::vector<std::string> dropped;
                const std::string out =
                    encode(written, decoded.events, context, &dropped, *recorded.dialect);
                EXPECT_TRUE(dropped.empty()) << dropped.front();
                EXPECT_EQ(out.starts_with('['), is_array);
                const Decoded again = decode(written, out, out.size(), *recorded.dialect);
                ASSERT_TRUE(again.status) << again.status.error().message << out;
                if (has_end) {
                    EXPECT_EQ(meaning(fold(again.events)), meaning(reply));
                }
            }
    }
    EXPECT_GT(whole, 350);
    EXPECT_GT(streams, 120);
    EXPECT_GT(arrays, 10);
    EXPECT_LE(unfinished, 6);
    std::cout << whole << " whole replies, " << streams << " streams of events, " << arrays
              << " arrays, " << metered << " metered as stated; " << others << " other answers, "
              << unfinished << " recordings without an end\n";
}

TEST(GeminiCorpus, EveryCutStreamIsIncomplete) {
    SKIP_WITHOUT_CORPUS();
    int cut = 0;
    for (const Recorded& recorded : exchanges()) {
        const Value& exchange = recorded.document.root();
        if (exchange["stream"].as_bool() != true) continue;
        const std::string bytes = bytes_of(exchange["response"]);
        const std::size_t first_reason = bytes.find("\"finishReason\"");
        if (first_reason == std::string::npos || !decode(ReplyForm::kStream, bytes, 4096).status)
            continue;
        SCOPED_TRACE(exchange["id"].string());
        for (std::size_t n = 1; n < first_reason; n += 997) {
            EXPECT_FALSE(
                decode(ReplyForm::kStream, std::string_view(bytes).substr(0, n), 4096).status);
            ++cut;
        }
    }
    EXPECT_GT(cut, 100);
    std::cout << cut << " cuts\n";
}

/// JSON by sorted names in camelCase, without what means nothing: what requests are compared by.
class Normal {
public:
    static std::string of(const Value& root) { return Normal().write(root, ""); }

private:
    // What stands in these is the client's own.
    static bool is_verbatim(std::string_view key) {
        return key == "args" || key == "response" || key == "parametersJsonSchema" ||
            key == "responseJsonSchema" || key == "parameters" || key == "responseSchema" ||
            key == "labels";
    }

    std::string write(const Value& value, std::string_view name) {
        if (value.is_string()) {
            // Enums are taken in either case.
            if (name == "mode" || name == "thinkingLevel") {
                std::string upper(value.string());
                for (char& c : upper) c = static_cast<char>(std::toupper(c));
                return json::quoted(upper);
            }
            return json::quoted(value.string());
        }
        if (value.is_number()) {
            const auto whole = value.as_int();
            return whole ? std::to_string(*whole) : std::string(value.raw());
        }
        if (value.is_array()) {
            std::string out = "[";
            if (name == "tools") return tools(value);
            for (const Value& item : value.items()) out += write(item, name) + ",";
            return out + "]";
        }
        if (!value.is_object()) return std::string(value.raw());
        std::vector<std::string> members;
        for (const json::Member& member : value.members()) {
            const std::string key = camel_of(member.key);
            if (member.value.is_null() || is_default(key, member.value, name)) continue;
            // A signature may stand alone or beside an empty text.
            if (key == "text" && member.value.string().empty() &&
                find(value, "thoughtSignature") != nullptr)
                continue;
            if (key == "role") {
                // Results come from the user; the oldest clients say `function`.
                members.push_back(member.value.string() == "function"
                        ? "role:\"user\""
                        : "role:" + json::quoted(member.value.string()));
            } else if (is_verbatim(key)) {
                members.push_back(key + ":" + std::string(member.value.raw()));
            } else if (key == "parts" && member.value.is_object()) {
                members.push_back("parts:[" + write(member.value, "parts") + ",]");
            } else if (std::string text = write(member.value, key);
                text != "{}" || !key.ends_with("Config")) {
                members.push_back(key + ":" + text);
            }
        }
        std::ranges::sort(members);
        std::string out = "{";
        for (const std::string& member : members) out += member + ",";
        return out + "}";
    }

    /// Functions and Google's own tools may stand in one entry or in many.
    std::string tools(const Value& list) {
        std::vector<std::string> all;
        for (const Value& entry : list.items())
            for (const json::Member& member : entry.members()) {
                const std::string key = camel_of(member.key);
                if (member.value.is_null()) continue;
                if (key != "functionDeclarations")
                    all.push_back(key + ":" + std::string(member.value.raw()));
                for (const Value& function : member.value.items())
                    if (key == "functionDeclarations") all.push_back(write(function, key));
            }
        std::ranges::sort(all);
        return fmt::format("[{}]", fmt::join(all, ","));
    }

    static bool is_default(std::string_view key, const Value& value, std::string_view parent) {
        const bool is_empty = (value.is_object() && value.members().empty()) ||
            (value.is_array() && value.items().empty());
        if (key == "thought" || key == "includeThoughts") return value.as_bool() == false;
        if (key == "role" && parent == "systemInstruction") return true;
        if (key == "responseModalities") return value.raw() == R"(["TEXT"])";
        if (key == "model" || key == "responseMimeType")
            return key == "model" || value.string() == "text/plain";
        if (key == "args" || key == "response") return is_empty;
        if (key == "description") return value.string().empty();
        return is_empty && (parent.empty() || key == "stopSequences" || key == "thinkingConfig");
    }
};

/// Where two texts part, with what stands there; empty when they are the same.
std::string apart(std::string_view text, std::string_view expected) {
    if (text == expected) return {};
    const auto at =
        static_cast<std::size_t>(std::ranges::mismatch(text, expected).in1 - text.begin());
    const std::size_t from = at - std::min<std::size_t>(at, 60);
    return fmt::format(
        "at {}: '{}' is not '{}'", at, text.substr(from, 160), expected.substr(from, 160));
}

TEST(GeminiCorpus, RequestsComeBackAsTheyWentIn) {
    SKIP_WITHOUT_CORPUS();
    int requests = 0, refused = 0;
    for (const Recorded& recorded : exchanges()) {
        const Value& exchange = recorded.document.root();
        const Value& body = exchange["request"]["body"];
        if (!body.is_object()) continue;
        SCOPED_TRACE(exchange["id"].string());
        const auto parsed = json::Document::parse(std::string(body.raw()));
        RequestContext context;
        context.model = exchange["model"].string();
        const auto request = recorded.dialect->decode_request(*parsed, context);
        if (!request) {
            EXPECT_GE(exchange["response"]["status"].as_int().value_or(0), 400)
                << request.error().message;
            ++refused;
            continue;
        }
        EncodeTarget target;
        target.model_id = exchange["model"].string();
        target.on_lossy = OnLossy::kRefuse;
        const auto encoded = recorded.dialect->encode_request(*request, target);
        ASSERT_TRUE(encoded) << encoded.error().message;
        EXPECT_TRUE(encoded->dropped.empty());
        const auto again = json::Document::parse(encoded->body);
        ASSERT_TRUE(again) << again.error().message << "\n" << encoded->body;
        EXPECT_EQ(apart(Normal::of(again->root()), Normal::of(body)), "");
        ++requests;
    }
    EXPECT_GT(requests, 450);
    std::cout << requests << " requests carried, " << refused << " refused\n";
}

TEST(GeminiCorpus, ErrorsAreUnderstood) {
    SKIP_WITHOUT_CORPUS();
    int errors = 0;
    for (const Recorded& recorded : exchanges()) {
        const Value& exchange = recorded.document.root();
        const auto status = static_cast<int>(exchange["response"]["status"].as_int().value_or(0));
        if (status < 400) continue;
        SCOPED_TRACE(exchange["id"].string());
        ++errors;
        const Value& error = exchange["response"]["body"]["error"];
        const canon::Failure failure =
            gemini().decode_failure(status, {}, exchange["response"]["body"].raw());
        EXPECT_EQ(failure.status, status);
        EXPECT_EQ(failure.message, error["message"].string());
        const bool is_key = error["message"].string().find("API key") != std::string_view::npos;
        EXPECT_EQ(failure.kind == canon::FailureKind::kAuthentication,
            status == 401 || (status == 400 && is_key));
        EXPECT_EQ(failure.kind == canon::FailureKind::kNotFound, status == 404);
        EXPECT_EQ(failure.kind == canon::FailureKind::kRateLimited, status == 429);
        const canon::Failure again =
            gemini().decode_failure(status, {}, gemini().encode_failure(failure));
        EXPECT_EQ(again.kind, failure.kind) << gemini().encode_failure(failure);
        EXPECT_EQ(again.message, failure.message);
        EXPECT_EQ(again.retry_after, failure.retry_after);
    }
    EXPECT_GT(errors, 20);
    std::cout << errors << " errors\n";
}

}  // namespace
}  // namespace entrepot::dialect::gemini
