#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/time.h"
#include "dialect/dropped.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/logprobs.h"
#include "framing/sse.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::PartKind;
using json::Writer;

/// Who the reply says it is: the supplier's id and time where it gave them, the client's model.
struct Identity {
    std::string id;
    std::string model;
    std::int64_t created_s = 0;
    std::vector<canon::Extra> echo;  // of Google's own envelope

    explicit Identity(const ReplyContext& context)
        : id(context.id), model(context.model), created_s(context.created_s) {}
    void learn(const canon::Started& started) {
        if (!started.id.empty()) id = started.id;
        if (model.empty()) model = started.model;
        if (started.created_s != 0) created_s = started.created_s;
        if (started.origin == kOrigin) echo = started.echo;
    }
    void write(Writer& writer, Service service) const {
        if (!model.empty()) writer.member("modelVersion", model);
        for (const canon::Extra& own : echo) writer.member_raw(own.path, own.json);
        if (echo.empty() && service == Service::kVertex && created_s > 0)
            writer.member("createTime", to_rfc3339(Instant{created_s * 1'000'000'000}));
        if (!id.empty()) writer.member("responseId", id);
    }
};

/// Asides of one place. What comes in pieces is laid together: lists of citations and of tokens
/// grow, of anything else the last stands.
class Asides {
    using Value = std::pair<std::string, std::string>;

public:
    void add(const std::string& key, const std::string& json) {
        const auto found = std::ranges::find(values_, key, &Value::first);
        if (found == values_.end()) {
            values_.emplace_back(key, json);
            return;
        }
        const bool grows = key == "citationMetadata" || key == "logprobsResult";
        found->second = grows ? joined(found->second, json) : json;
    }
    void write(Writer& writer) const {
        for (const auto& [key, json] : values_) writer.member_raw(key, json);
    }
    [[nodiscard]] bool empty() const { return values_.empty(); }
    void clear() { values_.clear(); }

private:
    static std::string joined(const std::string& first, const std::string& second) {
        const auto a = json::Document::parse(first);
        const auto b = json::Document::parse(second);
        if (!a || !b) return second;
        std::string out;
        Writer writer(out);
        writer.begin_object();
        for (const json::Member& member : a->root().members()) {
            const json::Value* more = b->root().find(member.key);
            if (!member.value.is_array() || more == nullptr) {
                if (more == nullptr) writer.member_raw(member.key, member.value.raw());
                continue;
            }
            writer.key(member.key).begin_array();
            for (const json::Value& item : member.value.items()) writer.raw(item.raw());
            for (const json::Value& item : more->items()) writer.raw(item.raw());
            writer.end_array();
        }
        for (const json::Member& member : b->root().members()) {
            const json::Value* before = a->root().find(member.key);
            if (before == nullptr || !before->is_array())
                writer.member_raw(member.key, member.value.raw());
        }
        writer.end_object();
        return out;
    }

    std::vector<Value> values_;  // as they came
};

/// `thoughtSignature` of a part; another maker's is sealed, so that it finds its way back.
std::string signature_of(const canon::PartStarted& start, const canon::Signature& signature) {
    const Sealed::Of of = start.is_redacted ? Sealed::Of::kRedacted
        : start.kind == PartKind::kThought  ? Sealed::Of::kThought
                                            : Sealed::Of::kPart;
    return signature_text(signature, of);
}

/// Google's own word where the supplier was Google.
std::string_view word_of(const canon::Finished& finished) {
    const std::string_view raw = finished.raw_reason;
    const canon::StopReason said = stop_reason(raw);
    if (said == finished.reason && (said != canon::StopReason::kOther || !raw.empty())) {
        const bool is_known = said != canon::StopReason::kOther || raw == "OTHER" ||
            raw == "LANGUAGE" || raw == "IMAGE_OTHER" || raw == "NO_IMAGE";
        if (is_known && raw != "JAILBREAK") return raw;
    }
    return stop_word(finished.reason);
}

/// Whether `promptFeedback` says that there will be no candidates.
bool blocks_prompt(const std::string& feedback) {
    const auto parsed = json::Document::parse(feedback);
    return parsed &&
        (find(parsed->root(), "blockReason") != nullptr ||
            find(parsed->root(), "blockReasonMessage") != nullptr);
}

/// Writes parts that mean something only when they are whole.
class PartWriter {
public:
    /// `origin`: of the reply, canon::Started's.
    PartWriter(Dropped& dropped, std::string_view origin)
        : dropped_(dropped), is_foreign_(origin != kOrigin) {}

    /// The part as JSON; empty when it cannot be shown. A call whose arguments are no object is
    /// told in `malformed`, as Google tells it: nobody may run it.
    std::string write(const canon::Reply::Part& part, std::string& malformed) {
        std::string out;
        Writer writer(out);
        switch (part.start.kind) {
            case PartKind::kText:
            case PartKind::kRefusal:
            case PartKind::kThought: {
                const bool is_thought = part.start.kind == PartKind::kThought;
                if (part.text.empty() && !part.signature) return {};
                writer.begin_object().member("text", part.text);
                if (is_thought) writer.member_bool("thought", true);
                break;
            }
            case PartKind::kToolCall:
                if (!write_call(writer, part, malformed)) return {};
                break;
            case PartKind::kMedia:
                if (!part.start.media || !write_media(writer, part)) return {};
                break;
            case PartKind::kOpaque:
                if (!part.start.opaque || !write_opaque(writer, *part.start.opaque)) return {};
                break;
        }
        if (part.signature)
            writer.member("thoughtSignature", signature_of(part.start, *part.signature));
        else if (is_foreign_ && part.start.kind == PartKind::kToolCall)
            // Newer models refuse a call without one: it comes back, and is told from Google's own.
            writer.member(
                "thoughtSignature", signature_text({std::string(kNobody), {}}, Sealed::Of::kPart));
        writer.end_object();
        return out;
    }

private:
    bool write_call(Writer& writer, const canon::Reply::Part& part, std::string& malformed) {
        std::string args = part.text.empty() ? "{}" : part.text;
        if (part.start.is_custom) {
            args = fmt::format(R"({{"input":{}}})", json::quoted(part.text));
        } else if (!is_object(args)) {
            dropped_.add("tool_calls");
            malformed = fmt::format("Malformed function call: {}({})", part.start.name, args);
            return false;
        }
        writer.begin_object().key("functionCall").begin_object();
        if (!part.start.call_id.empty() && !part.start.call_id.starts_with(kMadeUpId))
            writer.member("id", part.start.call_id);
        writer.member("name", part.start.name).member_raw("args", args).end_object();
        return true;
    }

    static bool write_media(Writer& writer, const canon::Reply::Part& part) {
        const canon::Media& media = *part.start.media;
        const bool is_inline = media.source == canon::Media::Source::kBase64;
        writer.begin_object().key(is_inline ? "inlineData" : "fileData").begin_object();
        if (!media.media_type.empty()) writer.member("mimeType", media.media_type);
        // Sound that is streamed comes as deltas.
        writer.member(is_inline ? "data" : "fileUri", media.data.empty() ? part.text : media.data);
        if (!media.name.empty()) writer.member("displayName", media.name);
        writer.end_object();
        return true;
    }

    bool write_opaque(Writer& writer, const canon::Opaque& opaque) {
        const auto parsed = json::Document::parse(opaque.json);
        if (opaque.origin != kOrigin || !parsed || !parsed->root().is_object()) {
            dropped_.add(opaque.kind);
            return false;
        }
        writer.begin_object();
        for (const json::Member& member : parsed->root().members())
            writer.member_raw(member.key, member.value.raw());
        return true;
    }

    Dropped& dropped_;
    bool is_foreign_;
};

void write_finish(
    Writer& writer, const std::optional<canon::Finished>& finished, const std::string& malformed) {
    if (!malformed.empty()) {
        writer.member("finishReason", "MALFORMED_FUNCTION_CALL").member("finishMessage", malformed);
        return;
    }
    writer.member("finishReason", finished ? word_of(*finished) : "STOP");
}

class WholeEncoder final : public ReplyEncoder {
public:
    WholeEncoder(const ReplyContext& context, Service service)
        : service_(service), identity_(context) {}

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_) return;
        reply_.add(event);
        if (const auto* failed = std::get_if<canon::Failed>(&event)) {
            out += encode_failure(failed->failure);
            is_over_ = true;
        } else if (std::holds_alternative<canon::Ended>(event)) {
            write(out);
            is_over_ = true;
        }
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    Asides collect(const std::vector<canon::Aside>& asides) {
        Asides collected;
        for (const canon::Aside& aside : asides) {
            if (aside.origin == kOrigin)
                collected.add(aside.key, aside.json);
            else if (const auto tokens = logprobs_of(aside))
                collected.add("logprobsResult", google_logprobs(*tokens));
            else
                dropped_.add(aside.key);
        }
        return collected;
    }

    bool is_blocked() const {
        if (reply_.choices.size() > 1 ||
            (reply_.choices.size() == 1 && !reply_.choices.front().parts.empty()))
            return false;
        return std::ranges::any_of(reply_.asides, [](const canon::Aside& aside) {
            return aside.origin == kOrigin && aside.key == "promptFeedback" &&
                blocks_prompt(aside.json);
        });
    }

    void write_choice(Writer& writer, const canon::Reply::Choice& choice, std::int64_t index) {
        std::string malformed;
        PartWriter parts(dropped_, reply_.started.origin);
        std::vector<std::string> written;
        for (const canon::Reply::Part& part : choice.parts)
            if (std::string text = parts.write(part, malformed); !text.empty())
                written.push_back(std::move(text));
        writer.begin_object().key("content").begin_object();
        if (!written.empty()) {
            writer.key("parts").begin_array();
            for (const std::string& text : written) writer.raw(text);
            writer.end_array();
        }
        writer.member("role", "model").end_object();
        write_finish(writer, choice.finished, malformed);
        writer.member("index", index);
        collect(choice.asides).write(writer);
        writer.end_object();
    }

    void write(std::string& out) {
        identity_.learn(reply_.started);
        Writer writer(out);
        writer.begin_object();
        if (!is_blocked()) {
            writer.key("candidates").begin_array();
            std::int64_t index = 0;
            for (const canon::Reply::Choice& choice : reply_.choices)
                write_choice(writer, choice, index++);
            writer.end_array();
        }
        collect(reply_.asides).write(writer);
        if (reply_.has_usage) {
            writer.key("usageMetadata");
            write_usage(writer, {reply_.usage, reply_.service_tier, reply_.stated_usage}, service_);
        }
        identity_.write(writer, service_);
        writer.end_object();
    }

    Service service_;
    Identity identity_;
    canon::Reply reply_;
    Dropped dropped_;
    bool is_over_ = false;
};

class StreamEncoder final : public ReplyEncoder {
public:
    StreamEncoder(const ReplyContext& context, Service service)
        : service_(service), is_array_(context.wants_json_array), identity_(context) {}

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_) return;
        std::visit([&](const auto& e) { on(e, out); }, event);
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    struct Choice {
        std::map<std::uint32_t, canon::Reply::Part> open;
        Asides waiting;
        std::optional<canon::Finished> finished;
        std::string malformed;
        bool has_parts = false;
    };

    /// Frames one chunk; Google's own clients read an event as one line.
    void frame(std::string json, std::string& out) {
        json = one_line(std::move(json));
        if (!is_array_) {
            framing::append_sse(out, {}, json);
            return;
        }
        out += has_written_ ? ",\r\n" : "[";
        out += json;
        has_written_ = true;
    }

    void part_chunk(std::uint32_t index, std::string_view part, std::string& out) {
        Choice& choice = choices_[index];
        choice.has_parts = true;
        std::string json;
        Writer writer(json);
        writer.begin_object().key("candidates").begin_array().begin_object();
        writer.key("content").begin_object().key("parts").begin_array().raw(part).end_array();
        writer.member("role", "model").end_object().member("index", std::int64_t{index});
        choice.waiting.write(writer);
        choice.waiting.clear();
        writer.end_object().end_array();
        waiting_.write(writer);
        waiting_.clear();
        identity_.write(writer, service_);
        writer.end_object();
        frame(std::move(json), out);
    }

    static bool is_said_at_once(PartKind kind) {
        return kind == PartKind::kText || kind == PartKind::kRefusal || kind == PartKind::kThought;
    }

    void on(const canon::Started& e, std::string&) {
        identity_.learn(e);
        origin_ = e.origin;
    }

    void on(const canon::PartStarted& e, std::string&) {
        choices_[e.choice].open[e.part] = {e, {}, {}};
    }

    canon::Reply::Part* find_part(std::uint32_t choice, std::uint32_t part) {
        const auto found = choices_.find(choice);
        if (found == choices_.end()) return nullptr;
        const auto open = found->second.open.find(part);
        return open == found->second.open.end() ? nullptr : &open->second;
    }

    /// A piece of a text or a thought, with the signature that waits for it.
    void say(
        std::uint32_t choice, canon::Reply::Part& part, std::string_view text, std::string& out) {
        std::string json;
        Writer writer(json);
        writer.begin_object().member("text", text);
        if (part.start.kind == PartKind::kThought) writer.member_bool("thought", true);
        if (part.signature)
            writer.member("thoughtSignature", signature_of(part.start, *part.signature));
        writer.end_object();
        part.signature.reset();
        part_chunk(choice, json, out);
    }

    void on(const canon::PartDelta& e, std::string& out) {
        canon::Reply::Part* part = find_part(e.choice, e.part);
        if (part == nullptr) return;
        if (!is_said_at_once(part->start.kind)) {
            part->text += e.text;
            return;
        }
        said_.insert({e.choice, e.part});
        say(e.choice, *part, e.text, out);
    }

    void on(const canon::PartSignature& e, std::string& out) {
        canon::Reply::Part* part = find_part(e.choice, e.part);
        if (part == nullptr) return;
        part->signature = e.signature;
        // Behind what was said it stands on an empty text, as Google itself has it.
        if (is_said_at_once(part->start.kind) && said_.contains({e.choice, e.part}))
            say(e.choice, *part, "", out);
    }

    void on(const canon::PartEnded& e, std::string& out) {
        canon::Reply::Part* part = find_part(e.choice, e.part);
        if (part == nullptr) return;
        Choice& choice = choices_[e.choice];
        if (is_said_at_once(part->start.kind)) {
            if (part->signature) say(e.choice, *part, "", out);
        } else {
            const std::string json = PartWriter(dropped_, origin_).write(*part, choice.malformed);
            if (!json.empty()) part_chunk(e.choice, json, out);
        }
        said_.erase({e.choice, e.part});
        choice.open.erase(e.part);
    }

    void on(const canon::Finished& e, std::string&) { choices_[e.choice].finished = e; }

    void on(const canon::UsageReported& e, std::string&) { usage_ = e; }

    void on(const canon::Aside& e, std::string&) {
        if (e.origin != kOrigin) {
            if (const auto tokens = logprobs_of(e))
                choices_[e.choice.value_or(0)].waiting.add(
                    "logprobsResult", google_logprobs(*tokens));
            else
                dropped_.add(e.key);
            return;
        }
        if (e.key == "promptFeedback") is_blocked_ = is_blocked_ || blocks_prompt(e.json);
        (e.choice ? choices_[*e.choice].waiting : waiting_).add(e.key, e.json);
    }

    void on(const canon::Failed& e, std::string& out) {
        is_over_ = true;
        const std::string body = one_line(encode_failure(e.failure));
        if (!is_array_) {
            // Google sends it bare at times, which its own clients see only when it comes in a read
            // of its own; as an event they all see it.
            out += "data: " + body + "\n\n";
            return;
        }
        out += has_written_ ? ",\r\n" : "[";
        out += body + "]";
    }

    static void on(const canon::Outcome&, std::string&) {}  // of no conversation

    void on(const canon::Ended&, std::string& out) {
        is_over_ = true;
        std::string json;
        Writer writer(json);
        writer.begin_object();
        const bool has_content = std::ranges::any_of(
            choices_, [](const auto& choice) { return choice.second.has_parts; });
        if (!is_blocked_ || has_content) {
            writer.key("candidates").begin_array();
            for (auto& [index, choice] : choices_) {
                writer.begin_object().key("content").begin_object().member("role", "model");
                writer.end_object();
                write_finish(writer, choice.finished, choice.malformed);
                writer.member("index", std::int64_t{index});
                choice.waiting.write(writer);
                writer.end_object();
            }
            writer.end_array();
        }
        waiting_.write(writer);
        if (usage_) {
            writer.key("usageMetadata");
            write_usage(writer, *usage_, service_);
        }
        identity_.write(writer, service_);
        writer.end_object();
        frame(std::move(json), out);
        if (is_array_) out += "]";
    }

    Service service_;
    bool is_array_;
    Identity identity_;
    std::string origin_;  // of the reply
    std::map<std::uint32_t, Choice> choices_;
    std::set<std::pair<std::uint32_t, std::uint32_t>> said_;  // open parts that have said something
    Asides waiting_;
    std::optional<canon::UsageReported> usage_;
    Dropped dropped_;
    bool is_blocked_ = false;
    bool has_written_ = false;
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyEncoder> reply_encoder(
    ReplyForm form, const ReplyContext& context, Service service) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeEncoder>(context, service);
    return std::make_unique<StreamEncoder>(context, service);
}

}  // namespace entrepot::dialect::gemini
