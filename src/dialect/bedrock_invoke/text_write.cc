#include <fmt/format.h>

#include <algorithm>

#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/bedrock_invoke/text_reply.h"
#include "dialect/bedrock_invoke/words.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::Meter;
using canon::PartKind;
using json::Writer;

bool is_text(PartKind kind) { return kind == PartKind::kText || kind == PartKind::kRefusal; }

void member_or_null(Writer& writer, std::string_view key, std::string_view text) {
    if (text.empty())
        writer.member_null(key);
    else
        writer.member(key, text);
}

void raw_member(Writer& writer, std::string_view key, std::string_view json) {
    if (!json.empty()) writer.member_raw(key, json);
}

}  // namespace

bool TextWriter::has_choices() const {
    return family_ == Family::kTitan || family_ == Family::kCohereText ||
        family_ == Family::kJurassic || family_ == Family::kMistralText ||
        family_ == Family::kDeepseekText;
}

void TextWriter::drop(std::string_view name) { dropped_.add(name); }

void TextWriter::keep(const canon::Event& event) {
    reply_.add(event);
    if (const auto* started = std::get_if<canon::PartStarted>(&event)) {
        if (started->choice > 0 && !has_choices()) {
            drop(fmt::format("choices[{}]", started->choice));
            return;
        }
        const bool is_call = started->kind == PartKind::kToolCall && family_ == Family::kCohereChat;
        if (is_text(started->kind) || is_call) return;
        switch (started->kind) {
            case PartKind::kThought: drop("reasoning"); break;
            case PartKind::kToolCall: drop("tool_calls"); break;
            case PartKind::kMedia: drop("media"); break;
            default: drop(started->opaque ? started->opaque->kind : "opaque"); break;
        }
    } else if (const auto* aside = std::get_if<canon::Aside>(&event);
        aside != nullptr && aside->origin != kName) {
        drop(aside->key);
    }
}

void TextWriter::add_to_stream(const canon::Event& event, std::vector<std::string>& documents) {
    keep(event);
    // J2 has no stream: who asks for one gets its whole reply in one event.
    if (family_ == Family::kJurassic) {
        if (std::holds_alternative<canon::Ended>(event)) documents.push_back(whole());
        return;
    }
    if (const auto* delta = std::get_if<canon::PartDelta>(&event)) {
        if (delta->choice >= reply_.choices.size() || (delta->choice > 0 && !has_choices())) return;
        const auto& parts = reply_.choices[delta->choice].parts;
        const auto part = std::ranges::find_if(
            parts, [&](const canon::Reply::Part& p) { return p.start.part == delta->part; });
        if (part != parts.end() && is_text(part->start.kind))
            documents.push_back(text_event(delta->choice, delta->text));
    } else if (std::holds_alternative<canon::Ended>(event)) {
        const std::size_t choices =
            has_choices() ? std::max<std::size_t>(reply_.choices.size(), 1) : 1;
        // Command ends all of its answers at once.
        const std::size_t ends = family_ == Family::kCohereText ? 1 : choices;
        for (std::size_t i = 0; i < ends; ++i)
            documents.push_back(last_event(static_cast<std::uint32_t>(i)));
    }
}

void TextWriter::add_to_whole(const canon::Event& event, std::vector<std::string>& documents) {
    keep(event);
    if (std::holds_alternative<canon::Ended>(event)) documents.push_back(whole());
}

std::string TextWriter::text_event(std::uint32_t choice, std::string_view text) const {
    std::string out;
    Writer writer(out);
    writer.begin_object();
    switch (family_) {
        case Family::kClaudeText:
            writer.member("type", "completion").member("completion", text);
            writer.member_null("stop_reason").member_null("stop");
            break;
        case Family::kTitan:
            writer.member("outputText", text).member("index", std::int64_t{choice});
            writer.member_null("totalOutputTextTokenCount").member_null("completionReason");
            writer.member_null("inputTextTokenCount");
            break;
        case Family::kLlama:
            writer.member("generation", text).member_null("prompt_token_count");
            writer.member_null("generation_token_count").member_null("stop_reason");
            break;
        case Family::kCohereText:
            writer.member("index", std::int64_t{choice}).member_bool("is_finished", false);
            writer.member("text", text);
            break;
        case Family::kCohereChat:
            writer.member_bool("is_finished", false).member("event_type", "text-generation");
            writer.member("text", text);
            break;
        default: {
            // The place in the list is the number of the answer.
            writer.key(family_ == Family::kMistralText ? "outputs" : "choices").begin_array();
            if (family_ == Family::kMistralText)
                for (std::uint32_t i = 0; i < choice; ++i)
                    writer.begin_object()
                        .member("text", "")
                        .member_null("stop_reason")
                        .end_object();
            writer.begin_object();
            if (family_ == Family::kDeepseekText) writer.member("index", std::int64_t{choice});
            writer.member("text", text).member_null("stop_reason");
            writer.end_object().end_array();
            break;
        }
    }
    writer.end_object();
    return out;
}

std::string TextWriter::last_event(std::uint32_t choice) const {
    const Words words = words_of(choice);
    std::string out;
    Writer writer(out);
    writer.begin_object();
    switch (family_) {
        case Family::kClaudeText:
            writer.member("type", "completion").member("completion", "");
            writer.member("stop_reason", words.reason);
            member_or_null(writer, "stop", words.sequence);
            break;
        case Family::kTitan:
            writer.member("outputText", "").member("index", std::int64_t{choice});
            writer.member("totalOutputTextTokenCount", reply_.usage.answer_tokens());
            writer.member("completionReason", words.reason);
            writer.member("inputTextTokenCount", reply_.usage.prompt_tokens());
            break;
        case Family::kLlama:
            writer.member("generation", "");
            writer.member("prompt_token_count", reply_.usage.prompt_tokens());
            writer.member("generation_token_count", reply_.usage.answer_tokens());
            writer.member("stop_reason", words.reason);
            break;
        case Family::kCohereText:
            writer.member("finish_reason", words.reason).member_bool("is_finished", true);
            break;
        case Family::kCohereChat:
            writer.member_bool("is_finished", true).member("event_type", "stream-end");
            writer.member_raw("response", cohere_response());
            writer.member("finish_reason", words.reason);
            break;
        default:
            writer.key(family_ == Family::kMistralText ? "outputs" : "choices").begin_array();
            if (family_ == Family::kMistralText)
                for (std::uint32_t i = 0; i < choice; ++i)
                    writer.begin_object()
                        .member("text", "")
                        .member_null("stop_reason")
                        .end_object();
            writer.begin_object();
            if (family_ == Family::kDeepseekText) writer.member("index", std::int64_t{choice});
            writer.member("text", "").member("stop_reason", words.reason);
            writer.end_object().end_array();
            break;
    }
    writer.end_object();
    return out;
}

std::string TextWriter::text_of(std::size_t choice) const {
    std::string out;
    if (choice >= reply_.choices.size()) return out;
    for (const canon::Reply::Part& part : reply_.choices[choice].parts)
        if (is_text(part.start.kind)) out += part.text;
    return out;
}

TextWriter::Words TextWriter::words_of(std::size_t choice) const {
    Words words;
    const canon::Finished* finished =
        choice < reply_.choices.size() && reply_.choices[choice].finished
        ? &*reply_.choices[choice].finished
        : nullptr;
    if (finished == nullptr) {
        words.reason = stop_word_of(family_, canon::StopReason::kStop);
    } else {
        words.reason = stop_word_of(family_, finished->reason);
        // Mistral has two words for one thing; behind a guardrail the word says nothing.
        const bool is_synonym =
            family_ == Family::kMistralText && finished->raw_reason == "max_tokens";
        if (!finished->raw_reason.empty() && (keeps_words_ || is_synonym))
            words.reason = finished->raw_reason;
        words.sequence = finished->stop_sequence;
    }
    if (family_ == Family::kClaudeText && words.sequence.empty() &&
        words.reason == stop_word_of(family_, canon::StopReason::kStop))
        words.sequence = kHumanTurn;
    return words;
}

std::string_view TextWriter::aside(std::string_view key, std::optional<std::size_t> choice) const {
    if (choice && *choice >= reply_.choices.size()) return {};
    for (const canon::Aside& aside : choice ? reply_.choices[*choice].asides : reply_.asides)
        if (aside.origin == kName && aside.key == key) return aside.json;
    return {};
}

std::string TextWriter::reply_id() const {
    return reply_.started.id.empty() ? id_ : reply_.started.id;
}

void TextWriter::write_choice(Writer& writer, std::size_t choice) const {
    const Words words = words_of(choice);
    const std::string text = text_of(choice);
    writer.begin_object();
    switch (family_) {
        case Family::kTitan:
            // One count for all of them; the first has it.
            writer.member(
                "tokenCount", choice == 0 ? reply_.usage.answer_tokens() : std::int64_t{0});
            writer.member("outputText", text).member("completionReason", words.reason);
            break;
        case Family::kCohereText:
            if (const std::string_view id = aside("id", choice); !id.empty())
                writer.member_raw("id", id);
            else
                writer.member("id", fmt::format("{}-{}", reply_id(), choice));
            writer.member("text", text).member("finish_reason", words.reason);
            raw_member(writer, "likelihood", aside("likelihood", choice));
            raw_member(writer, "token_likelihoods", aside("token_likelihoods", choice));
            break;
        case Family::kJurassic:
            writer.key("data").begin_object().member("text", text);
            raw_member(writer, "tokens", aside("tokens", choice));
            writer.end_object().key("finishReason").begin_object();
            writer.member("reason", words.reason);
            if (words.reason == "length") writer.member("length", reply_.usage.answer_tokens());
            if (!words.sequence.empty()) writer.member("sequence", words.sequence);
            writer.end_object();
            break;
        default:
            if (family_ == Family::kDeepseekText)
                writer.member("index", static_cast<std::int64_t>(choice));
            writer.member("text", text).member("stop_reason", words.reason);
            break;
    }
    writer.end_object();
}

std::string TextWriter::whole() const {
    const std::size_t choices = std::max<std::size_t>(reply_.choices.size(), 1);
    const auto write_choices = [&](Writer& writer, std::string_view key) {
        writer.key(key).begin_array();
        for (std::size_t i = 0; i < choices; ++i) write_choice(writer, i);
        writer.end_array();
    };
    if (family_ == Family::kCohereChat) return cohere_response();
    std::string out;
    Writer writer(out);
    writer.begin_object();
    const Words words = words_of(0);
    switch (family_) {
        case Family::kClaudeText:
            writer.member("type", "completion").member("completion", text_of(0));
            writer.member("stop_reason", words.reason);
            member_or_null(writer, "stop", words.sequence);
            break;
        case Family::kTitan:
            writer.member("inputTextTokenCount", reply_.usage.prompt_tokens());
            write_choices(writer, "results");
            break;
        case Family::kLlama:
            writer.member("generation", text_of(0));
            writer.member("prompt_token_count", reply_.usage.prompt_tokens());
            writer.member("generation_token_count", reply_.usage.answer_tokens());
            writer.member("stop_reason", words.reason);
            break;
        case Family::kMistralText: write_choices(writer, "outputs"); break;
        case Family::kDeepseekText: write_choices(writer, "choices"); break;
        case Family::kCohereText:
            writer.member("id", reply_id());
            write_choices(writer, "generations");
            raw_member(writer, "prompt", aside("prompt"));
            break;
        default:
            writer.member("id", reply_id());
            raw_member(writer, "prompt", aside("prompt"));
            write_choices(writer, "completions");
            break;
    }
    writer.end_object();
    return out;
}

std::string TextWriter::cohere_response() const {
    std::string out;
    Writer writer(out);
    writer.begin_object();
    if (const std::string_view id = aside("response_id"); !id.empty())
        writer.member_raw("response_id", id);
    else
        writer.member("response_id", reply_id());
    writer.member("text", text_of(0));
    raw_member(writer, "generation_id", aside("generation_id"));
    raw_member(writer, "chat_history", aside("chat_history"));
    writer.member("finish_reason", words_of(0).reason);
    const std::vector<canon::Reply::Part> none;
    const auto& parts = reply_.choices.empty() ? none : reply_.choices[0].parts;
    std::string calls;
    std::string citations;
    for (const canon::Reply::Part& part : parts) {
        if (part.start.kind != PartKind::kToolCall) continue;
        const auto parameters = json::Document::parse(part.text);
        Writer call(calls);
        if (!calls.empty()) calls += ',';
        call.begin_object().member("name", part.start.name);
        if (parameters && parameters->root().is_object())
            call.member_raw("parameters", part.text);
        else
            call.member("parameters", part.text);  // cut: as the model wrote it
        call.end_object();
    }
    if (!reply_.choices.empty())
        for (const canon::Aside& aside : reply_.choices[0].asides)
            if (aside.origin == kName && aside.key == "citations")
                citations += (citations.empty() ? "" : ",") + aside.json;
    if (!calls.empty()) writer.member_raw("tool_calls", "[" + calls + "]");
    if (!citations.empty()) writer.member_raw("citations", "[" + citations + "]");
    writer.key("meta").begin_object().key("billed_units").begin_object();
    writer.member("input_tokens", reply_.usage.prompt_tokens());
    writer.member("output_tokens", reply_.usage.answer_tokens());
    writer.end_object().end_object();
    writer.end_object();
    return out;
}

}  // namespace entrepot::dialect::bedrock_invoke
