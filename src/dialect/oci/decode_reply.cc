#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <ranges>

#include "base/text.h"
#include "base/time.h"
#include "dialect/oci/parts.h"
#include "framing/sse.h"

namespace entrepot::dialect::oci {
namespace {

using canon::Event;
using canon::PartKind;
using json::Value;
using Events = std::vector<Event>;

constexpr std::size_t kBodyBytesMax = std::size_t{32} << 20;
constexpr std::uint32_t kChoicesMax = 128;
// More calls in one reply than any model makes; keeps a broken stream from growing a table.
constexpr std::size_t kCallsMax = 1024;

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's reply {}", what));
}

/// Of a choice, which may leave out where it stands.
std::uint32_t index_of(const Value& choice, std::uint32_t position) {
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(choice["index"].as_int().value_or(position), 0, kChoicesMax - 1));
}

/// FNV-1a, for ids that have to differ and prove nothing.
class Mix {
public:
    void add(std::string_view bytes) {
        for (const char c : bytes)
            value_ = (value_ ^ static_cast<unsigned char>(c)) * 1'099'511'628'211ULL;
    }
    [[nodiscard]] std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 14'695'981'039'346'656'037ULL;
};

/// Both forms of a reply, of all three formats. A whole reply is the last event of its stream.
class Reader {
public:
    Reader(bool is_whole, bool is_cohere) : is_whole_(is_whole), is_cohere_(is_cohere) {}

    void into(Events& events) { events_ = &events; }
    void take_request_id(std::string_view id) {
        request_id_ = id;
        seed_.add(id);
    }

    /// One event, or the `chatResponse` of a whole reply; `envelope`: what stands around it.
    void read(const Value& event, const Value& envelope);
    /// The supplier said that the reply is complete.
    void end();
    void fail_with(canon::Failure failure) {
        is_over_ = true;
        events_->emplace_back(canon::Failed{std::move(failure)});
    }
    [[nodiscard]] bool is_over() const { return is_over_; }
    [[nodiscard]] bool has_choices() const { return !choices_.empty(); }
    /// Every choice that began has its finish reason, and there was one.
    [[nodiscard]] bool is_answered() const {
        return !choices_.empty() &&
            std::ranges::all_of(choices_, [](const auto& c) { return c.second.is_finished; });
    }
    /// Cohere's formats have no end but the finish reason, and usage may still follow it. What
    /// GENERIC says that all of a reply used is followed by [DONE] alone; a count beside one choice
    /// may be followed by another choice.
    [[nodiscard]] bool may_end_here() const {
        return !is_over_ && is_answered() && (is_cohere_ || has_total_);
    }

private:
    struct Call {
        std::uint32_t part = 0;
        bool is_started = false;
        std::string id, name, arguments;
        std::string waiting;  // arguments that came before the name
    };
    struct Choice {
        std::uint32_t next_part = 0;
        std::optional<std::pair<PartKind, std::uint32_t>> open;
        std::optional<std::uint32_t> last_text;
        std::vector<Call> calls;
        std::string said;  // of a Cohere stream, whose last event says it once more
        bool is_finished = false;
    };

    void start(const Value& event, const Value& envelope);
    void read_choice(const Value& value, std::uint32_t position);
    void read_cohere(const Value& event);
    void read_message(std::uint32_t index, Choice& choice, const Value& message);
    void read_calls(std::uint32_t index, Choice& choice, const Value& calls);
    Call* find_call(Choice& choice, const Value& value, bool is_one_of_many);
    void add_to_call(std::uint32_t index, Choice& choice, Call& call, std::string_view arguments);
    void add_text(std::uint32_t index, Choice& choice, PartKind kind, std::string_view text);
    void add_new_text(std::uint32_t index, Choice& choice, std::string_view text, bool is_last);
    void close_text(std::uint32_t index, Choice& choice);
    void close_all(std::uint32_t index, Choice& choice);
    void finish(std::uint32_t index, Choice& choice, std::string_view word);
    void add_aside(std::string_view key, const Value& value, std::uint32_t index,
        std::optional<std::uint32_t> part);
    void report_usage(const Value& usage, const Value& tier);
    void report_usage_of_choices(const Value& event);
    void report_usage_of_choice(const Value& event);
    void report_sum(const Value& tier);
    [[nodiscard]] std::string made_id(std::uint32_t index, std::uint32_t part) const {
        Mix mix = seed_;
        mix.add(fmt::format("{}/{}", index, part));
        return fmt::format("call_{:016x}", mix.value());
    }

    bool is_whole_;
    bool is_cohere_;
    bool is_started_ = false;
    bool has_usage_ = false;
    bool has_total_ = false;  ///< of the whole reply
    bool is_over_ = false;
    Events* events_ = nullptr;
    std::string request_id_;
    Mix seed_;  // of what has come
    std::map<std::uint32_t, Choice> choices_;
    std::map<std::uint32_t, canon::Usage> usage_of_choices_;
};

void Reader::start(const Value& event, const Value& envelope) {
    if (is_started_) return;
    is_started_ = true;
    canon::Started started;
    started.id = event["id"].is_string() ? event["id"].string() : std::string_view(request_id_);
    started.model = envelope["modelId"].string();
    if (const auto at = parse_instant(event["timeCreated"].string()))
        started.created_s = at->ns / 1'000'000'000;
    events_->emplace_back(std::move(started));
}

/// What choices say of themselves, each by itself: of one prompt.
void Reader::report_usage_of_choices(const Value& event) {
    std::uint32_t position = 0;
    for (const Value& choice : event["choices"].items()) {
        const std::uint32_t index = index_of(choice, position++);
        const Value& usage = choice["usage"];
        if (usage.is_object() && !usage.members().empty())
            usage_of_choices_[index] = usage_of(usage);
    }
    report_sum(event["serviceTier"]);
}

/// Likewise, of an event that is one choice. What stands beside none is of the whole reply.
void Reader::report_usage_of_choice(const Value& event) {
    const Value& usage = event["usage"];
    if (usage.members().empty() || has_total_) return;
    const bool is_beside_one = !is_cohere_ && !event["choices"].is_array() &&
        (event["message"].is_object() || event["finishReason"].is_string() ||
            event["index"].is_number());
    if (!is_beside_one) {
        has_total_ = !is_cohere_;
        report_usage(usage, event["serviceTier"]);
        return;
    }
    const std::uint32_t index = index_of(event, 0);
    usage_of_choices_[index] = usage_of(usage);
    if (usage_of_choices_.size() == 1)
        report_usage(usage, event["serviceTier"]);
    else
        report_sum(event["serviceTier"]);
}

void Reader::report_sum(const Value& tier) {
    if (usage_of_choices_.empty()) return;
    canon::Usage sum = usage_of_choices_.begin()->second;
    for (const auto& [index, one] : usage_of_choices_ | std::views::drop(1))
        for (const auto meter : {canon::Meter::kOutput, canon::Meter::kReasoning})
            sum[meter] += one[meter];
    has_usage_ = true;
    events_->emplace_back(canon::UsageReported{sum, to_lower(tier.string()), std::nullopt});
}

void Reader::report_usage(const Value& usage, const Value& tier) {
    if (!usage.is_object() || usage.members().empty()) return;
    has_usage_ = true;
    events_->emplace_back(canon::UsageReported{usage_of(usage), to_lower(tier.string()),
        canon::Opaque{std::string(kName), "usage", std::string(usage.raw())}});
}

void Reader::read(const Value& event, const Value& envelope) {
    if (is_over_) return;
    seed_.add(event.raw());
    // An error under a 200 has a text where an answer has an object.
    const bool is_error = event["message"].is_string() && event["choices"].is_null() &&
        event["text"].is_null() && (event["code"].is_string() || event["code"].is_number());
    if (is_error) {
        fail_with(decode_failure(502, {}, event.raw()));
        return;
    }
    is_cohere_ = is_cohere_ || to_lower(event["apiFormat"].string()).starts_with("cohere") ||
        event["text"].is_string();
    start(event, envelope);
    if (event["choices"].is_array()) {
        std::uint32_t position = 0;
        for (const Value& choice : event["choices"].items()) read_choice(choice, position++);
    } else if (is_cohere_) {
        read_cohere(event);
    } else {
        read_choice(event, 0);
    }
    if (is_over_) return;
    if (event["usage"].is_object())
        report_usage_of_choice(event);
    else if (is_whole_)
        report_usage_of_choices(event);
    // Nothing else is waited for.
    if (is_cohere_ && is_answered() && has_usage_) end();
}

void Reader::read_choice(const Value& value, std::uint32_t position) {
    const Value& message = value["message"];
    const std::string_view word = value["finishReason"].string();
    if (!message.is_object() && word.empty()) return;  // usage alone
    const std::uint32_t index = index_of(value, position);
    Choice& choice = choices_[index];
    if (choice.is_finished) return;
    if (message.is_object()) read_message(index, choice, message);
    for (const std::string_view key : {"logprobs", "groundingMetadata"})
        add_aside(key, value[key], index, std::nullopt);
    if (!word.empty()) finish(index, choice, word);
}

void Reader::read_cohere(const Value& event) {
    const std::string_view word = event["finishReason"].string();
    const Value& message = event["message"];
    const bool says_something = message.is_object() || event["text"].is_string() ||
        !event["toolCalls"].items().empty() || !word.empty();
    if (!says_something) return;
    Choice& choice = choices_[0];
    if (choice.is_finished) return;
    const bool is_last = !word.empty();
    if (message.is_object()) {
        for (const Value& part : message["content"].items())
            if (to_lower(part["type"].string()) == "thinking" && !(is_last && !choice.said.empty()))
                add_text(0, choice, PartKind::kThought, part["thinking"].string());
        if (!(is_last && !choice.said.empty()))
            add_text(0, choice, PartKind::kThought, message["toolPlan"].string());
        std::string text(message["content"].string());
        for (const Value& part : message["content"].items())
            if (const std::string kind = to_lower(part["type"].string());
                kind == "text" || kind.empty())
                text += part["text"].string();
        add_new_text(0, choice, text, is_last);
    }
    add_new_text(0, choice, event["text"].string(), is_last);
    for (const Value* calls : {&message["toolCalls"], &event["toolCalls"]})
        // Those of the last event are the whole list once more.
        if (!is_last || choice.calls.empty() || is_whole_) read_calls(0, choice, *calls);
    for (const Value* citations : {&message["citations"], &event["citations"]})
        for (const Value& citation : citations->items())
            add_aside("citations", citation, 0, choice.last_text);
    add_aside("logProbabilities", event["logProbabilities"], 0, std::nullopt);
    if (!is_last) return;
    const std::string lower = to_lower(word);
    if (lower == "error" || lower == "user_cancel") {
        report_usage(event["usage"], event["serviceTier"]);
        canon::Failure failure;
        failure.kind = canon::FailureKind::kServer;
        failure.status = 500;
        failure.code = word;
        failure.message = event["errorMessage"].string();
        if (failure.message.empty()) failure.message = "the model broke off its answer";
        fail_with(std::move(failure));
        return;
    }
    finish(0, choice, word);
}

/// Text of a Cohere format: the last event repeats what the others said.
void Reader::add_new_text(
    std::uint32_t index, Choice& choice, std::string_view text, bool is_last) {
    if (is_last && text.starts_with(choice.said)) text.remove_prefix(choice.said.size());
    if (text.empty()) return;
    if (!is_whole_) choice.said += text;
    add_text(index, choice, PartKind::kText, text);
}

void Reader::read_message(std::uint32_t index, Choice& choice, const Value& message) {
    add_text(index, choice, PartKind::kThought, message["reasoningContent"].string());
    add_text(index, choice, PartKind::kText, message["content"].string());
    for (const Value& part : message["content"].items()) {
        const std::string type = to_lower(part["type"].string());
        if (part["text"].is_string()) {
            add_text(index, choice, PartKind::kText, part["text"].string());
        } else if (part["thinking"].is_string()) {
            add_text(index, choice, PartKind::kThought, part["thinking"].string());
        } else if (part.is_object() && !type.empty() && type != "text") {
            close_text(index, choice);
            canon::PartStarted started;
            started.choice = index;
            started.part = choice.next_part++;
            started.kind = PartKind::kOpaque;
            started.opaque = canon::Opaque{std::string(kName), type, std::string(part.raw())};
            const canon::PartEnded ended{index, started.part};
            events_->emplace_back(std::move(started));
            events_->emplace_back(ended);
        }
    }
    add_text(index, choice, PartKind::kRefusal, message["refusal"].string());
    for (const std::string_view key : {"annotations", "citations"})
        for (const Value& one : message[key].items()) add_aside(key, one, index, choice.last_text);
    read_calls(index, choice, message["toolCalls"]);
}

Reader::Call* Reader::find_call(Choice& choice, const Value& value, bool is_one_of_many) {
    const std::string_view id = value["id"].string();
    const std::string_view name =
        value["name"].is_string() ? value["name"].string() : value["function"]["name"].string();
    if (!choice.calls.empty() && !is_whole_) {
        if (!id.empty())
            for (Call& call : choice.calls)
                if (call.id == id) return &call;
        Call& last = choice.calls.back();
        // A fragment may have an id of its own, and the name once more; a call begins where the
        // one before it is whole.
        if (name.empty()) return &last;
        const bool is_open = !last.name.empty() && last.name == name && !last.arguments.empty() &&
            !json::Document::parse(last.arguments);
        if (is_open && !is_one_of_many) return &last;
    }
    if (choice.calls.size() >= kCallsMax) return nullptr;
    choice.calls.emplace_back().part = choice.next_part++;
    return &choice.calls.back();
}

void Reader::read_calls(std::uint32_t index, Choice& choice, const Value& calls) {
    for (const Value& value : calls.items()) {
        if (!value.is_object()) continue;
        Call* call = find_call(choice, value, calls.items().size() > 1);
        if (call == nullptr) return;
        close_text(index, choice);
        const Value& function = value["function"].is_object() ? value["function"] : value;
        if (call->id.empty()) call->id = value["id"].string();
        if (call->name.empty()) call->name = function["name"].string();
        // A text in GENERIC, an object in Cohere's first version.
        const Value& arguments =
            function["arguments"].is_null() ? function["parameters"] : function["arguments"];
        add_to_call(
            index, choice, *call, arguments.is_object() ? arguments.raw() : arguments.string());
    }
}

void Reader::add_to_call(std::uint32_t index, Choice&, Call& call, std::string_view arguments) {
    call.waiting += arguments;
    call.arguments += arguments;
    if (call.name.empty()) return;
    if (!call.is_started) {
        call.is_started = true;
        if (call.id.empty()) call.id = made_id(index, call.part);
        canon::PartStarted started;
        started.choice = index;
        started.part = call.part;
        started.kind = PartKind::kToolCall;
        started.call_id = call.id;
        started.name = call.name;
        events_->emplace_back(std::move(started));
    }
    if (call.waiting.empty()) return;
    events_->emplace_back(canon::PartDelta{index, call.part, std::move(call.waiting)});
    call.waiting.clear();
}

void Reader::add_text(std::uint32_t index, Choice& choice, PartKind kind, std::string_view text) {
    if (text.empty()) return;
    if (choice.open && choice.open->first != kind) close_text(index, choice);
    if (!choice.open) {
        choice.open = {kind, choice.next_part++};
        canon::PartStarted started;
        started.choice = index;
        started.part = choice.open->second;
        started.kind = kind;
        events_->emplace_back(std::move(started));
        if (kind == PartKind::kText) choice.last_text = choice.open->second;
    }
    events_->emplace_back(canon::PartDelta{index, choice.open->second, std::string(text)});
}

void Reader::close_text(std::uint32_t index, Choice& choice) {
    if (!choice.open) return;
    events_->emplace_back(canon::PartEnded{index, choice.open->second});
    choice.open.reset();
}

void Reader::close_all(std::uint32_t index, Choice& choice) {
    close_text(index, choice);
    for (const Call& call : choice.calls) {
        if (!call.is_started) continue;
        if (call.arguments.empty()) events_->emplace_back(canon::PartDelta{index, call.part, "{}"});
        events_->emplace_back(canon::PartEnded{index, call.part});
    }
}

void Reader::finish(std::uint32_t index, Choice& choice, std::string_view word) {
    close_all(index, choice);
    choice.is_finished = true;
    const bool has_calls = std::ranges::any_of(choice.calls, &Call::is_started);
    canon::StopReason reason = word.empty() ? canon::StopReason::kStop : stop_reason_of(word);
    // Makers are recorded saying a natural end where the turn is the tools'.
    if (has_calls && (reason == canon::StopReason::kStop || reason == canon::StopReason::kOther))
        reason = canon::StopReason::kToolCalls;
    events_->emplace_back(canon::Finished{index, reason, std::string(word), ""});
}

void Reader::add_aside(std::string_view key, const Value& value, std::uint32_t index,
    std::optional<std::uint32_t> part) {
    if (value.is_null() || (value.is_array() && value.items().empty())) return;
    events_->emplace_back(
        canon::Aside{std::string(kName), std::string(key), std::string(value.raw()), index, part});
}

void Reader::end() {
    if (is_over_) return;
    for (auto& [index, choice] : choices_)
        if (!choice.is_finished) finish(index, choice, "");
    is_over_ = true;
    events_->emplace_back(canon::Ended{});
}

class WholeDecoder final : public ReplyDecoder {
public:
    explicit WholeDecoder(bool is_cohere) : reader_(true, is_cohere) {}
    void take_headers(std::span<const Header> headers) override {
        for (const Header& header : headers)
            if (header.name == "opc-request-id") reader_.take_request_id(header.value);
    }
    Status feed(std::string_view bytes, Events&) override {
        if (body_.size() + bytes.size() > kBodyBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kBodyBytesMax));
        body_ += bytes;
        return {};
    }
    Status finish(Events& events) override {
        const auto document = json::Document::parse(std::move(body_));
        if (!document) return malformed("is no JSON: " + document.error().message);
        const Value& root = document->root();
        if (!root.is_object()) return malformed("is no JSON object");
        reader_.into(events);
        const Value& reply = root["chatResponse"].is_object() ? root["chatResponse"] : root;
        reader_.read(reply, root);
        if (reader_.is_over()) return {};
        if (!reader_.is_answered()) return malformed("has no finished answer");
        reader_.end();
        return {};
    }

private:
    Reader reader_;
    std::string body_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    explicit StreamDecoder(bool is_cohere) : reader_(false, is_cohere) {}
    void take_headers(std::span<const Header> headers) override {
        for (const Header& header : headers)
            if (header.name == "opc-request-id") reader_.take_request_id(header.value);
    }
    Status feed(std::string_view bytes, Events& events) override {
        if (is_broken_) return malformed("was given up");
        reader_.into(events);
        seen_.clear();
        const Status fed = parser_.feed(bytes, seen_);
        ENTREPOT_TRY_DO(take_seen());
        is_broken_ = !fed;
        return fed;
    }
    Status finish(Events& events) override {
        if (is_broken_) return malformed("was given up");
        reader_.into(events);
        seen_.clear();
        parser_.finish(seen_);
        ENTREPOT_TRY_DO(take_seen());
        if (reader_.is_over()) return {};
        if (!reader_.is_answered()) return malformed("stopped before its end (no finish reason)");
        reader_.end();
        return {};
    }
    bool may_end_here() const override { return !is_broken_ && reader_.may_end_here(); }

private:
    Status take_seen() {
        for (const framing::SseEvent& event : seen_) {
            if (reader_.is_over()) return {};
            if (!event.has_data) continue;
            if (trim(event.data) == "[DONE]") {
                is_broken_ = !reader_.has_choices();
                if (is_broken_) return malformed("has no answer before its [DONE]");
                reader_.end();
                continue;
            }
            const auto document = json::Document::parse_in_place(event.data);
            if (!document || !document->root().is_object()) {
                is_broken_ = true;
                return malformed(event.is_complete ? "holds an event that is no JSON object"
                                                   : "stopped inside an event");
            }
            const Value& root = document->root();
            reader_.read(root["chatResponse"].is_object() ? root["chatResponse"] : root, root);
        }
        return {};
    }

    framing::SseParser parser_;
    std::vector<framing::SseEvent> seen_;
    Reader reader_;
    bool is_broken_ = false;
};

}  // namespace

std::unique_ptr<ReplyDecoder> generic_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>(false);
    return std::make_unique<StreamDecoder>(false);
}

std::unique_ptr<ReplyDecoder> cohere_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>(true);
    return std::make_unique<StreamDecoder>(true);
}

}  // namespace entrepot::dialect::oci
