#pragma once

// Recorded exchanges of the Responses API, for tests of this folder and of the one above.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "dialect/dialect.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {

inline std::filesystem::path corpus_file(const std::string& name) {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / "../shared";
    return root / "corpus" / (name + ".jsonl");
}

#define ENTREPOT_NEEDS_RESPONSES_CORPUS()                                                       \
    for (const char* name : {"openai-responses", "azure-openai"})                               \
        if (!std::filesystem::exists(::entrepot::dialect::openai_responses::corpus_file(name))) \
    GTEST_SKIP() << "the recorded exchanges are not beside the project; ENTREPOT_SHARED "       \
                    "names the folder that holds corpus/"

/// The recorded exchanges whose operation is an answer: of OpenAI's own file and of Azure's.
inline std::vector<json::Document> read_corpus() {
    std::vector<json::Document> exchanges;
    for (const char* name : {"openai-responses", "azure-openai"}) {
        std::ifstream in(corpus_file(name));
        for (std::string line; std::getline(in, line);) {
            auto document = json::Document::parse(std::move(line));
            EXPECT_TRUE(document);
            if (document && document->root()["operation"].string() == "responses")
                exchanges.push_back(std::move(*document));
        }
    }
    return exchanges;
}

struct Answer {
    ReplyForm form = ReplyForm::kWhole;
    std::string bytes;
};

/// The bodies of a 200 as bytes. Decoded events are framed again; a few recordings hold the events
/// of several replies, one after the other, which are taken apart.
inline std::vector<Answer> answers_of(const json::Value& exchange) {
    const json::Value& response = exchange["response"];
    if (response["status"].as_int().value_or(200) != 200) return {};
    if (response["body"].is_object())
        return {{ReplyForm::kWhole, std::string(response["body"].raw())}};
    if (response["body"].is_string())
        return {{ReplyForm::kStream, std::string(response["body"].string())}};
    std::vector<Answer> answers;
    for (const json::Value& event : response["events"].items()) {
        const std::string_view type = event["type"].string();
        if (answers.empty() || type == "response.created")
            answers.push_back({ReplyForm::kStream, ""});
        framing::append_sse(answers.back().bytes, type, event.raw());
    }
    return answers;
}

/// What a body comes to, found without the code under test: the response object it ends with, and
/// of a stream the items as their own events told them last.
struct Final {
    std::string response;
    std::map<std::int64_t, std::string> items;  ///< by their place
};

inline Final final_of(const Answer& answer) {
    Final found;
    if (answer.form == ReplyForm::kWhole) {
        found.response = answer.bytes;
        return found;
    }
    std::size_t at = 0;
    while (at < answer.bytes.size()) {
        std::size_t end = answer.bytes.find('\n', at);
        if (end == std::string::npos) end = answer.bytes.size();
        const std::string_view line = std::string_view(answer.bytes).substr(at, end - at);
        at = end + 1;
        if (!line.starts_with("data:")) continue;
        const auto document = json::Document::parse(std::string(line.substr(5)));
        if (!document) continue;
        const std::string_view type = document->root()["type"].string();
        if (type == "response.output_item.done")
            found.items[document->root()["output_index"].as_int().value_or(-1)] =
                std::string(document->root()["item"].raw());
        if (type == "response.completed" || type == "response.incomplete" ||
            type == "response.failed")
            found.response = std::string(document->root()["response"].raw());
    }
    return found;
}

}  // namespace entrepot::dialect::openai_responses
