#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "canon/reply.h"
#include "json/value.h"
#include "json/writer.h"

// Log probabilities between dialects. OpenAI's two APIs tell them token by token, each with its
// alternatives; Google lists the chosen tokens and, beside them, the alternatives of each. The list
// of OpenAI's form, as the text of a JSON array, is what the two meet in.
namespace entrepot::dialect {

namespace logprobs {

inline void write_token(json::Writer& writer, const json::Value& candidate) {
    const std::string token(candidate["token"].string());
    writer.member("token", token);
    const json::Value& value = candidate["logProbability"];
    writer.member_raw("logprob", value.is_number() ? value.raw() : "0");
    writer.key("bytes").begin_array();
    for (const char c : token) writer.number(static_cast<std::uint8_t>(c));
    writer.end_array();
}

inline std::optional<std::string> of_google(const json::Value& result) {
    const auto chosen = result["chosenCandidates"].items();
    const auto tops = result["topCandidates"].items();
    if (chosen.empty()) return std::nullopt;
    std::string out;
    json::Writer writer(out);
    writer.begin_array();
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        writer.begin_object();
        write_token(writer, chosen[i]);
        writer.key("top_logprobs").begin_array();
        if (i < tops.size())
            for (const json::Value& other : tops[i]["candidates"].items()) {
                writer.begin_object();
                write_token(writer, other);
                writer.end_object();
            }
        writer.end_array().end_object();
    }
    writer.end_array();
    return out;
}

}  // namespace logprobs

/// The tokens that an aside of OpenAI's or Google's tells, in OpenAI's form: the text of a JSON
/// array. Nothing when it tells none.
inline std::optional<std::string> logprobs_of(const canon::Aside& aside) {
    const bool is_googles = aside.origin == "gemini" && aside.key == "logprobsResult";
    if (!is_googles && aside.key != "logprobs") return std::nullopt;
    const auto parsed = json::Document::parse(aside.json);
    if (!parsed) return std::nullopt;
    const json::Value& root = parsed->root();
    if (is_googles) return logprobs::of_google(root);
    const json::Value* list = aside.origin == "openai-responses" ? &root
        : aside.origin == "openai-chat"                          ? &root["content"]
                                                                 : nullptr;
    if (list == nullptr || list->items().empty()) return std::nullopt;
    return std::string(list->raw());
}

/// Google's `logprobsResult` of a list in OpenAI's form.
inline std::string google_logprobs(std::string_view list) {
    const auto parsed = json::Document::parse(std::string(list));
    const auto tokens = parsed ? parsed->root().items() : std::span<const json::Value>();
    std::string out;
    json::Writer writer(out);
    const auto write = [&](const json::Value& token) {
        writer.begin_object().member("token", token["token"].string());
        const json::Value& value = token["logprob"];
        writer.member_raw("logProbability", value.is_number() ? value.raw() : "0").end_object();
    };
    writer.begin_object().key("topCandidates").begin_array();
    for (const json::Value& token : tokens) {
        writer.begin_object().key("candidates").begin_array();
        for (const json::Value& other : token["top_logprobs"].items()) write(other);
        writer.end_array().end_object();
    }
    writer.end_array().key("chosenCandidates").begin_array();
    for (const json::Value& token : tokens) write(token);
    writer.end_array().end_object();
    return out;
}

}  // namespace entrepot::dialect
