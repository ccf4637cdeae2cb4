#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "dialect/openai_chat/failure.h"
#include "dialect/openai_chat/reply.h"
#include "dialect/openai_chat/request.h"
#include "dialect/openai_chat/usage.h"
#include "framing/sse.h"
#include "json/value.h"

namespace entrepot::dialect::openai_chat {
namespace {

using canon::Event;
using canon::PartKind;
using json::Value;

constexpr std::uint32_t kChoicesMax = 128;
// More calls in one reply than any model makes; keeps a hostile index from growing a table.
constexpr std::size_t kCallsMax = 1024;

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

/// The members of a chunk that are read by name, found in one walk; of two alike the last.
struct Chunk {
    Value id, object, created, model, choices, usage, service_tier, x_groq, error, detail;

    Value* slot_of(std::string_view key) {
        switch (key.size()) {
            case 2: return key == "id" ? &id : nullptr;
            case 5:
                return key == "model" ? &model
                    : key == "usage"  ? &usage
                    : key == "error"  ? &error
                                      : nullptr;
            case 6:
                return key == "object" ? &object
                    : key == "x_groq"  ? &x_groq
                    : key == "detail"  ? &detail
                                       : nullptr;
            case 7: return key == "choices" ? &choices : key == "created" ? &created : nullptr;
            case 12: return key == "service_tier" ? &service_tier : nullptr;
            default: return nullptr;
        }
    }
    /// False: `failure_in` finds none at status 200.
    [[nodiscard]] bool may_be_failure() const {
        return !error.is_null() || !detail.is_null() || choices.is_null() ||
            object.string() == "error";
    }
    /// What goes beside the answer: all that has no place of its own in it.
    static bool is_aside(std::string_view key) {
        switch (key.size()) {
            case 1: return key != "p";
            case 2: return key != "id";
            case 5: return key != "model" && key != "usage" && key != "error";
            case 6: return key != "object" && key != "detail";
            case 7: return key != "choices" && key != "created";
            case 11: return key != "obfuscation";
            case 14: return key != "stream_options";
            default: return true;
        }
    }
};

/// Chunks, or one whole reply, to events. A whole reply is one chunk whose deltas are messages.
class ReplyReader {
public:
    explicit ReplyReader(bool is_whole) : is_whole_(is_whole) {}

    void read(const Value& value, std::vector<Event>& events);
    /// The supplier said that the reply is complete.
    void end(std::vector<Event>& events);
    [[nodiscard]] bool has_failed() const { return has_failed_; }
    [[nodiscard]] bool has_choices() const { return !choices_.empty(); }
    /// Every choice that began has its finish reason, and there was one.
    [[nodiscard]] bool is_answered() const {
        return !choices_.empty() &&
            std::ranges::all_of(choices_, [](const auto& c) { return c.second.is_finished; });
    }
    void fail_with(canon::Failure failure, std::vector<Event>& events) {
        has_failed_ = true;
        events.emplace_back(canon::Failed{std::move(failure)});
    }

private:
    struct Call {
        std::uint32_t part = 0;
        bool is_started = false;
        bool is_custom = false;
        std::string id;
        std::string name;
        std::string waiting;  // arguments that came before the name
    };
    struct Choice {
        std::uint32_t next_part = 0;
        std::optional<std::pair<PartKind, std::uint32_t>> open;  // text, refusal or thought
        std::vector<Call> calls;                                 // in order of their start
        std::map<std::int64_t, std::size_t> call_at;             // a delta's index -> calls
        std::optional<std::size_t> legacy_call;
        bool has_plain_thought = false;  // so `reasoning_details` only repeats it
        bool is_finished = false;
    };

    void start(const Chunk& chunk, std::vector<Event>& events);
    void read_choice(const Value& value, std::uint32_t position, std::vector<Event>& events);
    void read_message(
        std::uint32_t index, Choice& choice, const Value& message, std::vector<Event>& events);
    void read_content(
        std::uint32_t index, Choice& choice, const Value& content, std::vector<Event>& events);
    void read_thought(
        std::uint32_t index, Choice& choice, const Value& message, std::vector<Event>& events);
    void read_calls(
        std::uint32_t index, Choice& choice, const Value& calls, std::vector<Event>& events);
    std::size_t find_call(Choice& choice, const Value& delta);
    void add_to_call(std::uint32_t index, Choice& choice, Call& call, const Value& function,
        std::vector<Event>& events);
    void add_text(std::uint32_t index, Choice& choice, PartKind kind, std::string_view text,
        std::vector<Event>& events);
    void close_text(std::uint32_t index, Choice& choice, std::vector<Event>& events);
    void close_all(std::uint32_t index, Choice& choice, std::vector<Event>& events);
    void add_aside(std::string key, const Value& value, std::optional<std::uint32_t> choice,
        std::vector<Event>& events);
    void report_usage(const Chunk& chunk, std::vector<Event>& events);

    bool is_whole_;
    std::string id_;
    std::string service_tier_;  // last stated
    bool is_started_ = false;
    bool has_failed_ = false;
    bool has_ended_ = false;
    std::map<std::uint32_t, Choice> choices_;
    std::map<std::string, std::string> last_asides_;  // of the whole reply: repeated by each chunk
    std::vector<Event> waiting_asides_;               // before Started
};

void ReplyReader::add_aside(std::string key, const Value& value,
    std::optional<std::uint32_t> choice, std::vector<Event>& events) {
    if (value.is_null()) return;
    if (!choice) {
        std::string& last = last_asides_[key];
        if (last == value.raw()) return;
        last = value.raw();
    }
    canon::Aside aside{std::string(kName), std::move(key), std::string(value.raw()), choice};
    (is_started_ ? events : waiting_asides_).emplace_back(std::move(aside));
}

void ReplyReader::start(const Chunk& chunk, std::vector<Event>& events) {
    is_started_ = true;
    canon::Started started;
    started.id = chunk.id.string();
    started.model = chunk.model.string();
    started.created_s = chunk.created.as_int().value_or(0);
    id_ = started.id;
    events.emplace_back(std::move(started));
    for (Event& aside : waiting_asides_) events.push_back(std::move(aside));
    waiting_asides_.clear();
}

void ReplyReader::report_usage(const Chunk& chunk, std::vector<Event>& events) {
    if (!chunk.service_tier.string().empty()) service_tier_ = chunk.service_tier.string();
    for (const Value& usage : {chunk.usage, chunk.x_groq["usage"]}) {
        if (!usage.is_object() || usage.members().empty()) continue;
        events.emplace_back(canon::UsageReported{read_usage(usage.raw()), service_tier_,
            canon::Opaque{std::string(kName), "usage", std::string(usage.raw())}});
        return;
    }
}

void ReplyReader::read(const Value& value, std::vector<Event>& events) {
    if (has_failed_ || has_ended_) return;
    Chunk chunk;
    for (const json::Member& member : value.members())
        if (Value* slot = chunk.slot_of(member.key)) *slot = member.value;
    // Azure's first chunk has filter results and nothing else: no id, no model, no choices.
    const bool says_something =
        !chunk.id.string().empty() || !chunk.choices.items().empty() || chunk.usage.is_object();
    std::optional<canon::Failure> failure;
    if (chunk.may_be_failure()) failure = failure_in(value, 200);
    if (!is_started_ && says_something && !failure) start(chunk, events);
    for (const json::Member& member : value.members())
        if (Chunk::is_aside(member.key))
            add_aside(std::string(member.key), member.value, std::nullopt, events);
    std::uint32_t position = 0;
    for (const Value& choice : chunk.choices.items()) read_choice(choice, position++, events);
    report_usage(chunk, events);
    if (failure) fail_with(*failure, events);
}

void ReplyReader::read_choice(
    const Value& value, std::uint32_t position, std::vector<Event>& events) {
    if (!value.is_object()) return;
    const auto stated = value["index"].as_int();
    const auto index = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(stated.value_or(position), 0, kChoicesMax - 1));
    for (const json::Member& member : value.members())
        if (!is_one_of(member.key, {"index", "delta", "message", "finish_reason"}))
            add_aside(std::string(member.key), member.value, index, events);
    const Value& message = value[is_whole_ ? "message" : "delta"];
    const Value& answer = message.is_object() ? message : value[is_whole_ ? "delta" : "message"];
    const Value& reason = value["finish_reason"];
    const bool is_finish = reason.is_string() && !reason.string().empty();
    if (!answer.is_object() && !is_finish) return;  // a late filter result
    Choice& choice = choices_[index];
    if (answer.is_object()) read_message(index, choice, answer, events);
    if (!is_finish || choice.is_finished) return;
    close_all(index, choice, events);
    choice.is_finished = true;
    canon::Finished finished;
    finished.choice = index;
    finished.reason = stop_reason_of(reason.string());
    finished.raw_reason = reason.string();
    events.emplace_back(std::move(finished));
}

void ReplyReader::read_message(
    std::uint32_t index, Choice& choice, const Value& message, std::vector<Event>& events) {
    for (const json::Member& member : message.members())
        if (!is_one_of(member.key,
                {"role", "content", "refusal", "tool_calls", "function_call", "reasoning_content",
                    "reasoning", "index"}) &&
            !(member.value.is_array() && member.value.items().empty()))
            add_aside(
                std::string(kMessageAside) + std::string(member.key), member.value, index, events);
    read_thought(index, choice, message, events);
    read_content(index, choice, message["content"], events);
    add_text(index, choice, PartKind::kRefusal, message["refusal"].string(), events);
    read_calls(index, choice, message["tool_calls"], events);
    if (const Value& call = message["function_call"]; call.is_object()) {
        close_text(index, choice, events);
        if (!choice.legacy_call) {
            choice.legacy_call = choice.calls.size();
            choice.calls.emplace_back().part = choice.next_part++;
        }
        add_to_call(index, choice, choice.calls[*choice.legacy_call], call, events);
    }
}

void ReplyReader::read_thought(
    std::uint32_t index, Choice& choice, const Value& message, std::vector<Event>& events) {
    // The same text may come under several names; the first that has any is taken.
    for (const std::string_view key : {"reasoning_content", "reasoning"}) {
        const std::string_view text = message[key].string();
        if (text.empty()) continue;
        choice.has_plain_thought = true;
        add_text(index, choice, PartKind::kThought, text, events);
        return;
    }
    if (choice.has_plain_thought) return;
    for (const Value& detail : message["reasoning_details"].items()) {
        const Value& text = detail["text"].is_string() ? detail["text"] : detail["summary"];
        add_text(index, choice, PartKind::kThought, text.string(), events);
    }
}

void ReplyReader::read_content(
    std::uint32_t index, Choice& choice, const Value& content, std::vector<Event>& events) {
    add_text(index, choice, PartKind::kText, content.string(), events);
    for (const Value& part : content.items()) {
        const std::string_view type = part["type"].string();
        if (part.is_string()) {
            add_text(index, choice, PartKind::kText, part.string(), events);
        } else if (type == "text") {
            add_text(index, choice, PartKind::kText, part["text"].string(), events);
        } else if (type == "thinking") {
            add_text(index, choice, PartKind::kThought, part["thinking"].string(), events);
            for (const Value& thought : part["thinking"].items())
                add_text(index, choice, PartKind::kThought, thought["text"].string(), events);
        } else {
            close_text(index, choice, events);
            canon::PartStarted started;
            started.choice = index;
            started.part = choice.next_part++;
            started.kind = PartKind::kOpaque;
            started.opaque =
                canon::Opaque{std::string(kName), std::string(type), std::string(part.raw())};
            const canon::PartEnded ended{index, started.part};
            events.emplace_back(std::move(started));
            events.emplace_back(ended);
        }
    }
}

std::size_t ReplyReader::find_call(Choice& choice, const Value& delta) {
    const std::string_view id = delta["id"].string();
    const auto stated = delta["index"].as_int();
    std::optional<std::size_t> found;
    if (stated) {
        if (const auto at = choice.call_at.find(*stated); at != choice.call_at.end())
            found = at->second;
    } else if (!choice.calls.empty()) {
        found = choice.calls.size() - 1;
    }
    // Mistral sends calls whole and may leave the index out; others repeat index 0 for every call.
    const auto is_another = [&](const Call& call) {
        if (is_whole_) return true;
        const bool has_other_id = !id.empty() && !call.id.empty() && id != call.id;
        return has_other_id && delta["function"]["name"].is_string();
    };
    if (found && !is_another(choice.calls[*found])) return *found;
    if (choice.calls.size() >= kCallsMax) return kCallsMax - 1;
    choice.calls.emplace_back().part = choice.next_part++;
    found = choice.calls.size() - 1;
    if (stated) choice.call_at[*stated] = *found;
    return *found;
}

void ReplyReader::read_calls(
    std::uint32_t index, Choice& choice, const Value& calls, std::vector<Event>& events) {
    for (const Value& delta : calls.items()) {
        if (!delta.is_object()) continue;
        close_text(index, choice, events);
        Call& call = choice.calls[find_call(choice, delta)];
        if (call.id.empty()) call.id = delta["id"].string();
        call.is_custom = call.is_custom || delta["type"].string() == "custom";
        add_to_call(index, choice, call, delta[call.is_custom ? "custom" : "function"], events);
        const Value& signature = delta["extra_content"]["google"]["thought_signature"];
        if (signature.is_string() && call.is_started)
            events.emplace_back(canon::PartSignature{
                index, call.part, canon::Signature{"gemini", std::string(signature.string())}});
    }
}

void ReplyReader::add_to_call(
    std::uint32_t index, Choice&, Call& call, const Value& function, std::vector<Event>& events) {
    if (call.name.empty()) call.name = function["name"].string();
    const Value& arguments = function[call.is_custom ? "input" : "arguments"];
    // Ollama and a few more write the object itself.
    call.waiting += arguments.is_object() ? arguments.raw() : arguments.string();
    if (call.name.empty()) return;
    if (!call.is_started) {
        call.is_started = true;
        // The old form has no ids, and the answer to a call must name it.
        if (call.id.empty()) call.id = fmt::format("call_{}_{}_{}", id_, index, call.part);
        canon::PartStarted started;
        started.choice = index;
        started.part = call.part;
        started.kind = PartKind::kToolCall;
        started.call_id = call.id;
        started.name = call.name;
        started.is_custom = call.is_custom;
        events.emplace_back(std::move(started));
    }
    if (call.waiting.empty()) return;
    events.emplace_back(canon::PartDelta{index, call.part, std::move(call.waiting)});
    call.waiting.clear();
}

void ReplyReader::add_text(std::uint32_t index, Choice& choice, PartKind kind,
    std::string_view text, std::vector<Event>& events) {
    if (text.empty()) return;
    if (choice.open && choice.open->first != kind) close_text(index, choice, events);
    if (!choice.open) {
        choice.open = {kind, choice.next_part++};
        canon::PartStarted started;
        started.choice = index;
        started.part = choice.open->second;
        started.kind = kind;
        events.emplace_back(std::move(started));
    }
    events.emplace_back(canon::PartDelta{index, choice.open->second, std::string(text)});
}

void ReplyReader::close_text(std::uint32_t index, Choice& choice, std::vector<Event>& events) {
    if (!choice.open) return;
    events.emplace_back(canon::PartEnded{index, choice.open->second});
    choice.open.reset();
}

void ReplyReader::close_all(std::uint32_t index, Choice& choice, std::vector<Event>& events) {
    close_text(index, choice, events);
    for (const Call& call : choice.calls)
        if (call.is_started) events.emplace_back(canon::PartEnded{index, call.part});
    choice.calls.clear();
    choice.call_at.clear();
    choice.legacy_call.reset();
}

void ReplyReader::end(std::vector<Event>& events) {
    if (has_failed_ || has_ended_) return;
    has_ended_ = true;
    for (auto& [index, choice] : choices_) {
        const bool has_calls = std::ranges::any_of(choice.calls, &Call::is_started);
        close_all(index, choice, events);
        if (choice.is_finished) continue;
        choice.is_finished = true;
        events.emplace_back(canon::Finished{index, unstated_reason(has_calls), "", ""});
    }
    events.emplace_back(canon::Ended{});
}

std::unexpected<Error> broken(std::string message, std::string_view bytes) {
    return fail(ErrorCode::kUpstreamProtocol, std::move(message), excerpt(bytes, 200));
}

class StreamDecoder : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, std::vector<Event>& events) override {
        if (is_broken_) return broken("the stream was given up", {});
        parsed_.clear();
        const Status framed = parser_.feed(bytes, parsed_);
        ENTREPOT_TRY_DO(read_parsed(events));
        is_broken_ = !framed;
        return framed;
    }

    Status finish(std::vector<Event>& events) override {
        if (is_broken_) return broken("the stream was given up", {});
        parsed_.clear();
        parser_.finish(parsed_);
        ENTREPOT_TRY_DO(read_parsed(events));
        if (is_done_ || reader_.has_failed()) return {};
        // Perplexity ends without [DONE]; a finish reason for every choice says as much.
        if (!reader_.is_answered())
            return broken("the supplier's stream ended before its answer did", {});
        reader_.end(events);
        return {};
    }

private:
    Status read_parsed(std::vector<Event>& events) {
        for (const framing::SseEvent& event : parsed_) {
            if (is_done_ || reader_.has_failed()) return {};
            if (trim(event.data) == "[DONE]") {
                is_broken_ = !reader_.has_choices() && !reader_.has_failed();
                if (is_broken_)
                    return broken("the supplier's stream has no answer before its [DONE]", {});
                is_done_ = true;
                reader_.end(events);
                continue;
            }
            auto document = json::Document::parse_in_place(event.data, json::Numbers::kPadded);
            if (!document || !document->root().is_object()) {
                is_broken_ = true;
                return broken(
                    "the supplier sent a stream event that is not a JSON object", event.data);
            }
            reader_.read(document->root(), events);
            if (event.name == "error" && !reader_.has_failed())
                reader_.fail_with(decode_failure(502, {}, event.data), events);
        }
        return {};
    }

    framing::SseParser parser_;
    std::vector<framing::SseEvent> parsed_;
    ReplyReader reader_{false};
    bool is_done_ = false;
    bool is_broken_ = false;
};

class WholeDecoder : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, std::vector<Event>&) override {
        body_ += bytes;
        return {};
    }

    Status finish(std::vector<Event>& events) override {
        auto document = json::Document::parse(std::move(body_), json::Numbers::kPadded);
        if (!document || !document->root().is_object())
            return broken("the supplier's reply is not a JSON object",
                document ? document->text() : std::string_view(document.error().message));
        ReplyReader reader(true);
        reader.read(document->root(), events);
        if (reader.has_failed()) return {};
        if (!document->root()["choices"].is_array())
            return broken("the supplier's reply has no 'choices'", document->text());
        reader.end(events);
        return {};
    }

private:
    std::string body_;
};

}  // namespace

std::unique_ptr<ReplyDecoder> make_reply_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>();
    return std::make_unique<StreamDecoder>();
}

}  // namespace entrepot::dialect::openai_chat
