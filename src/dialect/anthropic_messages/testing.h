#pragma once

// Recorded exchanges of the Messages API, for tests of this folder and of the one above.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dialect/dialect.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect::anthropic_messages {

inline std::filesystem::path corpus_file(const std::string& name) {
    const char* shared = std::getenv("ENTREPOT_SHARED");
    const std::filesystem::path root = shared != nullptr
        ? std::filesystem::path(shared)
        : std::filesystem::path(ENTREPOT_SOURCE_DIR) / "../shared";
    return root / "corpus" / (name + ".jsonl");
}

/// Its recorded exchanges; none when the file is not there.
inline std::vector<json::Document> read_corpus(const std::string& name) {
    std::ifstream in(corpus_file(name));
    std::vector<json::Document> exchanges;
    for (std::string line; std::getline(in, line);) {
        auto document = json::Document::parse(std::move(line));
        EXPECT_TRUE(document);
        if (document) exchanges.push_back(std::move(*document));
    }
    return exchanges;
}

#define ENTREPOT_NEEDS_CORPUS(name)                                                           \
    if (!std::filesystem::exists(::entrepot::dialect::anthropic_messages::corpus_file(name))) \
    GTEST_SKIP() << "the recorded exchanges are not beside the project; ENTREPOT_SHARED "     \
                    "names the folder that holds corpus/"

struct Answer {
    ReplyForm form = ReplyForm::kWhole;
    std::string bytes;
};

/// The bodies of a 200 as bytes. Decoded events are framed again; two of the recordings hold the
/// events of several replies, one after the other, which are taken apart.
inline std::vector<Answer> answers_of(const json::Value& exchange) {
    const json::Value& response = exchange["response"];
    if (exchange["operation"].string().find("count") != std::string_view::npos) return {};
    if (exchange["operation"].string() == "models") return {};
    if (response["status"].as_int().value_or(200) != 200) return {};
    if (response["body"].is_object()) {
        return {{ReplyForm::kWhole, std::string(response["body"].raw())}};
    }
    if (response["body"].is_string()) {
        return {{ReplyForm::kStream, std::string(response["body"].string())}};
    }
    std::vector<Answer> answers;
    for (const json::Value& event : response["events"].items()) {
        const std::string_view type = event["type"].string();
        if (answers.empty() || type == "message_start") answers.push_back({ReplyForm::kStream, ""});
        framing::append_sse(answers.back().bytes, type, event.raw());
    }
    return answers;
}

}  // namespace entrepot::dialect::anthropic_messages
