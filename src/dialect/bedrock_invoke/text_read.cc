#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/bedrock_invoke/text_reply.h"
#include "dialect/bedrock_invoke/words.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::PartKind;
using json::Value;

// A supplier's count is no reason to compute with a negative one; the bound keeps sums in 64 bits.
void take(const Value& value, std::optional<std::int64_t>& count) {
    const std::optional<std::int64_t> stated = value.as_int();
    if (stated && *stated >= 0) count = std::min<std::int64_t>(*stated, std::int64_t{1} << 50);
}

// Of a request for several answers; a broken index fills no memory.
constexpr std::uint32_t kChoicesMax = 64;

std::uint32_t index_of(const Value& value) {
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(value.as_int().value_or(0), 0, kChoicesMax - 1));
}

}  // namespace

void TextReader::start(std::string_view id, Events& events) {
    if (has_started_) return;
    has_started_ = true;
    events.emplace_back(canon::Started{std::string(id), "", 0});
}

void TextReader::text(std::uint32_t index, const Value& words, Events& events) {
    Choice& choice = choices_[index];
    if (words.string().empty()) return;
    choice.has_text = true;
    if (!choice.part) {
        choice.part = choice.parts++;
        canon::PartStarted started;
        started.choice = index;
        started.part = *choice.part;
        events.emplace_back(std::move(started));
    }
    events.emplace_back(canon::PartDelta{index, *choice.part, std::string(words.string())});
}

void TextReader::finish(std::uint32_t index, const Value& word, std::string_view sequence) {
    Choice& choice = choices_[index];
    if (!word.is_string()) return;
    is_complete_ = true;
    choice.finished.raw_reason = word.string();
    choice.finished.reason = stop_reason_of(word.string(), sequence);
    choice.finished.stop_sequence = sequence;
}

void TextReader::aside(const Value& parent, std::string_view key, Events& events,
    std::optional<std::uint32_t> choice) {
    const Value& value = parent[key];
    if (!value.is_null())
        events.emplace_back(
            canon::Aside{std::string(kName), std::string(key), std::string(value.raw()), choice});
}

void TextReader::read(const Value& reply, Events& events) {
    const Value& id = reply["id"];
    // J2's ids are numbers.
    const std::string_view started = id.is_string() ? id.string()
        : id.is_number()                            ? id.raw()
                                                    : std::string_view();
    if (family_ != Family::kCohereChat) start(started, events);
    switch (family_) {
        case Family::kClaudeText:
            text(0, reply["completion"], events);
            finish(0, reply["stop_reason"], reply["stop"].string());
            break;
        case Family::kTitan: read_titan(reply, events); break;
        case Family::kLlama:
            text(0, reply["generation"], events);
            finish(0, reply["stop_reason"]);
            take(reply["prompt_token_count"], input_);
            take(reply["generation_token_count"], output_);
            break;
        case Family::kMistralText: {
            std::uint32_t index = 0;
            for (const Value& output : reply["outputs"].items()) {
                if (index >= kChoicesMax) break;
                text(index, output["text"], events);
                finish(index++, output["stop_reason"]);
            }
            break;
        }
        case Family::kDeepseekText:
            for (const Value& choice : reply["choices"].items()) {
                const std::uint32_t index = index_of(choice["index"]);
                text(index, choice["text"], events);
                finish(index, choice["stop_reason"]);
                finish(index, choice["finish_reason"]);
            }
            break;
        case Family::kCohereText: read_cohere_text(reply, events); break;
        case Family::kJurassic: read_jurassic(reply, events); break;
        default: read_cohere_chat(reply, events); break;
    }
    // None of them has it in AWS's pages; what is there counts all the same.
    const Value& usage = reply["usage"];
    for (const std::string_view key : {"prompt_tokens", "input_tokens"}) take(usage[key], input_);
    for (const std::string_view key : {"completion_tokens", "output_tokens"})
        take(usage[key], output_);
}

void TextReader::read_titan(const Value& reply, Events& events) {
    take(reply["inputTextTokenCount"], input_);
    take(reply["totalOutputTextTokenCount"], output_);
    if (reply["outputText"].is_string()) {
        const std::uint32_t index = index_of(reply["index"]);
        text(index, reply["outputText"], events);
        finish(index, reply["completionReason"]);
    }
    std::uint32_t index = 0;
    for (const Value& result : reply["results"].items()) {
        if (index >= kChoicesMax) break;
        text(index, result["outputText"], events);
        finish(index++, result["completionReason"]);
        std::optional<std::int64_t> tokens;
        take(result["tokenCount"], tokens);
        if (tokens) output_ = output_.value_or(0) + *tokens;
    }
}

void TextReader::read_cohere_text(const Value& reply, Events& events) {
    if (reply["generations"].is_array()) {
        std::uint32_t index = 0;
        for (const Value& generation : reply["generations"].items()) {
            if (index >= kChoicesMax) break;
            text(index, generation["text"], events);
            for (const std::string_view key : {"id", "likelihood", "token_likelihoods"})
                aside(generation, key, events, index);
            finish(index++, generation["finish_reason"]);
        }
        aside(reply, "prompt", events);
        return;
    }
    const Value& index = reply["index"];
    if (reply["text"].is_string()) text(index_of(index), reply["text"], events);
    if (reply["is_finished"].as_bool() != true) return;
    is_complete_ = true;
    if (index.is_number() || choices_.empty()) {
        finish(index_of(index), reply["finish_reason"]);
        return;
    }
    // One event ends them all.
    for (auto& [number, choice] : choices_)
        if (choice.finished.raw_reason.empty()) finish(number, reply["finish_reason"]);
}

void TextReader::read_jurassic(const Value& reply, Events& events) {
    std::uint32_t index = 0;
    for (const Value& completion : reply["completions"].items()) {
        if (index >= kChoicesMax) break;
        text(index, completion["data"]["text"], events);
        aside(completion["data"], "tokens", events, index);
        const Value& reason = completion["finishReason"];
        finish(index++, reason["reason"], reason["sequence"].string());
    }
    aside(reply, "prompt", events);
}

void TextReader::read_cohere_chat(const Value& reply, Events& events) {
    const std::string_view type = reply["event_type"].string();
    if (type.empty()) {
        start(reply["response_id"].string(), events);
        text(0, reply["text"], events);
        read_cohere_end(reply, events);
        return;
    }
    if (type == "stream-start") {
        start(reply["generation_id"].string(), events);
    } else if (type == "text-generation") {
        start("", events);
        text(0, reply["text"], events);
    } else if (type == "citation-generation") {
        start("", events);
        cite(reply["citations"], events);
    } else if (type == "tool-calls-generation") {
        start("", events);
        text(0, reply["text"], events);
        read_calls(reply["tool_calls"], events);
    } else if (type == "stream-end") {
        const Value& response = reply["response"];
        start(response["response_id"].string(), events);
        // It repeats what was streamed.
        if (!choices_[0].has_text) text(0, response["text"], events);
        read_cohere_end(response, events);
        finish(0, reply["finish_reason"]);
        is_complete_ = true;
    } else if (type == "search-queries-generation" || type == "search-results") {
        start("", events);
        aside(reply, "search_queries", events, 0);
        aside(reply, "search_results", events, 0);
        aside(reply, "documents", events, 0);
    }
}

void TextReader::read_cohere_end(const Value& response, Events& events) {
    read_calls(response["tool_calls"], events);
    if (!is_cited_) cite(response["citations"], events);
    for (const std::string_view key : {"response_id", "generation_id", "chat_history"})
        aside(response, key, events);
    finish(0, response["finish_reason"]);
    const Value& meta = response["meta"];
    const Value& counts = meta["billed_units"].is_object() ? meta["billed_units"] : meta["tokens"];
    take(counts["input_tokens"], input_);
    take(counts["output_tokens"], output_);
}

void TextReader::read_calls(const Value& calls, Events& events) {
    if (has_calls_ || calls.items().empty()) return;
    has_calls_ = true;
    Choice& choice = choices_[0];
    if (choice.part) events.emplace_back(canon::PartEnded{0, *choice.part});
    choice.part.reset();
    std::size_t number = 0;
    for (const Value& call : calls.items()) {
        canon::PartStarted started;
        started.part = choice.parts++;
        started.kind = PartKind::kToolCall;
        started.name = call["name"].string();
        // This API's calls have no ids; the next turn finds them by name and order.
        started.call_id = fmt::format("call_{}_{}", number++, started.name);
        const std::uint32_t part = started.part;
        events.emplace_back(std::move(started));
        const Value& parameters = call["parameters"];
        events.emplace_back(canon::PartDelta{
            0, part, std::string(parameters.is_object() ? parameters.raw() : "{}")});
        events.emplace_back(canon::PartEnded{0, part});
    }
}

void TextReader::cite(const Value& citations, Events& events) {
    const Choice& choice = choices_[0];
    for (const Value& citation : citations.items()) {
        is_cited_ = true;
        events.emplace_back(canon::Aside{
            std::string(kName), "citations", std::string(citation.raw()), 0, choice.part});
    }
}

void TextReader::end(Events& events) {
    if (choices_.empty()) choices_[0];
    start("", events);
    for (auto& [index, choice] : choices_)
        if (choice.part) events.emplace_back(canon::PartEnded{index, *choice.part});
    for (auto& [index, choice] : choices_) {
        choice.part.reset();
        choice.finished.choice = index;
        if (choice.finished.raw_reason.empty()) choice.finished.reason = canon::StopReason::kOther;
        if (has_calls_ && choice.finished.reason == canon::StopReason::kStop)
            choice.finished.reason = canon::StopReason::kToolCalls;
        events.emplace_back(choice.finished);
    }
}

}  // namespace entrepot::dialect::bedrock_invoke
