#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "dialect/logprobs.h"
#include "dialect/losses.h"
#include "dialect/openai_chat/failure.h"
#include "dialect/openai_chat/reply.h"
#include "dialect/openai_chat/reply_asides.h"
#include "dialect/openai_chat/request.h"
#include "dialect/openai_chat/usage.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_chat {
namespace {

/// Another dialect's log probabilities as the aside that is ours; nothing for any other aside.
std::optional<canon::Aside> logprobs_as_ours(const canon::Aside& aside) {
    const auto tokens = logprobs_of(aside);
    if (!tokens) return std::nullopt;
    return canon::Aside{std::string(kName), "logprobs",
        fmt::format(R"({{"content":{},"refusal":null}})", *tokens), aside.choice.value_or(0)};
}

using canon::PartKind;

/// Google's own place for it, and the only maker's whose signatures fit into a call.
bool is_googles(const canon::Signature& signature) { return signature.origin == "gemini"; }
void write_signature(json::Writer& writer, const canon::Signature& signature) {
    writer.key("extra_content").begin_object().key("google").begin_object();
    writer.member("thought_signature", signature.data).end_object().end_object();
}

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};

std::string call_id_of(const canon::PartStarted& start, std::string_view reply_id) {
    if (!start.call_id.empty()) return start.call_id;
    return fmt::format("call_{}_{}_{}", reply_id, start.choice, start.part);
}

std::string media_url(const canon::Media& media) {
    if (media.source != canon::Media::Source::kBase64) return media.data;
    return fmt::format("data:{};base64,{}", media.media_type, media.data);
}

std::string_view finish_word(
    canon::StopReason reason, bool has_refusal, const ReplyContext& context) {
    // Without words of a refusal, `stop` would pass a refused answer off as a finished one.
    if (reason == canon::StopReason::kRefusal && !has_refusal) return "content_filter";
    const std::string_view word = finish_reason_word(reason);
    return context.wants_function_call && word == "tool_calls" ? "function_call" : word;
}

/// Who the reply says it is: the supplier's id and time where it gave them, the client's model
/// name.
struct Identity {
    std::string id;
    std::string model;
    std::int64_t created_s = 0;

    explicit Identity(const ReplyContext& context)
        : id(context.id), model(context.model), created_s(context.created_s) {}
    void learn(const canon::Started& started) {
        if (!started.id.empty()) id = started.id;
        if (model.empty()) model = started.model;
        if (started.created_s != 0) created_s = started.created_s;
    }
    void write(json::Writer& writer, std::string_view object) const {
        writer.member("id", id).member("object", object);
        writer.member("created", created_s).member("model", model);
    }
};

class StreamEncoder : public ReplyEncoder {
    using Fill = std::function<void(json::Writer&)>;
    using FillCall = std::function<void(json::Writer&, const char*)>;

public:
    explicit StreamEncoder(const ReplyContext& context) : context_(context), identity_(context) {}

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_) return;
        std::visit([&](const auto& e) { on(e, out); }, event);
    }
    [[nodiscard]] std::string keep_alive() override {
        return is_over_ ? std::string() : ": keep-alive\n\n";
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    struct Call {
        std::int64_t index = 0;
        bool is_custom = false;
        bool has_arguments = false;
        bool is_signed = false;
    };
    struct Choice {
        bool has_role = false;
        bool is_finished = false;
        std::int64_t calls = 0;
        std::map<std::uint32_t, PartKind> parts;
        std::map<std::uint32_t, Call> call_of;
        Asides waiting;                                  // of the choice, for its next chunk
        Asides waiting_message;                          // of the delta
        std::map<std::string, std::int64_t> next_index;  // of lists in the delta, by their name
    };

    void on(const canon::Started& e, std::string&) { identity_.learn(e); }
    void on(const canon::PartStarted& e, std::string& out);
    void on(const canon::PartDelta& e, std::string& out);
    void on(const canon::PartSignature& e, std::string& out);
    void on(const canon::PartEnded& e, std::string& out);
    void on(const canon::Finished& e, std::string& out);
    void on(const canon::UsageReported& e, std::string&) { usage_ = e; }
    void on(const canon::Aside& e, std::string& out);
    void on(const canon::Failed& e, std::string& out) {
        framing::append_sse(out, {}, encode_failure(e.failure));
        is_over_ = true;
    }
    void on(const canon::Ended&, std::string& out);
    static void on(const canon::Outcome&, std::string&) {}  // of no conversation

    /// Writes a chunk of one choice; `fill` writes the delta's members. The first one of a choice
    /// is preceded by its role.
    void chunk(std::uint32_t index, std::string_view finish, std::string& out, const Fill& fill);
    /// `fill` gets the word for the kind of call, or nullptr in the old form.
    void call_chunk(std::uint32_t index, const Call& call, std::string& out, const FillCall& fill);
    void finish(std::uint32_t index, canon::StopReason reason, std::string& out);
    /// The old form of calls has no place for it.
    [[nodiscard]] bool may_sign(const canon::Signature& signature) const {
        return is_googles(signature) && !context_.wants_function_call;
    }

    ReplyContext context_;
    Identity identity_;
    std::map<std::uint32_t, Choice> choices_;
    Asides waiting_;  // of the whole reply, for the next chunk
    Asides sticky_;   // on every chunk, as OpenAI has them
    std::optional<canon::UsageReported> usage_;
    Dropped dropped_;
    bool is_over_ = false;
};

void write_role(json::Writer& writer) { writer.member("role", "assistant").member("content", ""); }

void StreamEncoder::chunk(
    std::uint32_t index, std::string_view finish, std::string& out, const Fill& fill) {
    Choice& choice = choices_[index];
    if (!choice.has_role) {
        choice.has_role = true;
        // What waits belongs to the content that follows.
        Asides of_choice;
        Asides of_message;
        of_choice.swap(choice.waiting);
        of_message.swap(choice.waiting_message);
        chunk(index, {}, out, write_role);
        of_choice.swap(choice.waiting);
        of_message.swap(choice.waiting_message);
    }
    std::string data;
    json::Writer writer(data);
    writer.begin_object();
    identity_.write(writer, "chat.completion.chunk");
    write_asides(writer, sticky_);
    write_asides(writer, waiting_);
    waiting_.clear();
    writer.key("choices").begin_array().begin_object();
    writer.member("index", std::int64_t{index}).key("delta").begin_object();
    fill(writer);
    for (auto& [name, json] : choice.waiting_message)
        writer.member_raw(name, with_indexes(json, choice.next_index[name]));
    choice.waiting_message.clear();
    writer.end_object();
    write_asides(writer, choice.waiting);
    choice.waiting.clear();
    if (finish.empty())
        writer.member_null("finish_reason");
    else
        writer.member("finish_reason", finish);
    writer.end_object().end_array();
    if (context_.wants_usage) writer.member_null("usage");
    writer.end_object();
    framing::append_sse(out, {}, data);
}

void StreamEncoder::call_chunk(
    std::uint32_t index, const Call& call, std::string& out, const FillCall& fill) {
    chunk(index, {}, out, [&](json::Writer& writer) {
        if (context_.wants_function_call) {
            writer.key("function_call").begin_object();
            fill(writer, nullptr);
            writer.end_object();
            return;
        }
        writer.key("tool_calls").begin_array().begin_object().member("index", call.index);
        fill(writer, call.is_custom ? "custom" : "function");
        writer.end_object().end_array();
    });
}

void StreamEncoder::on(const canon::PartStarted& e, std::string& out) {
    Choice& choice = choices_[e.choice];
    choice.parts[e.part] = e.kind;
    if (e.is_redacted) dropped_.add("redacted_thinking");
    if (e.opaque && !is_ours(e.opaque->origin))
        name_riders(e, [&](std::string_view name) { dropped_.add(name); });
    if (e.kind == PartKind::kToolCall) {
        Call call{choice.calls++, e.is_custom};
        call.is_signed = e.signature && may_sign(*e.signature);
        choice.call_of[e.part] = call;
        call_chunk(e.choice, call, out, [&](json::Writer& writer, const char* kind) {
            if (kind != nullptr) {
                writer.member("id", call_id_of(e, identity_.id)).member("type", kind);
                writer.key(kind).begin_object();
            }
            writer.member("name", e.name).member(e.is_custom ? "input" : "arguments", "");
            if (kind != nullptr) writer.end_object();
            if (call.is_signed) write_signature(writer, *e.signature);
        });
    } else if (e.kind == PartKind::kMedia && e.media) {
        if (e.media->kind != canon::Media::Kind::kImage) {
            dropped_.add("media");
            return;
        }
        chunk(e.choice, {}, out, [&](json::Writer& writer) {  // OpenRouter's place for them
            writer.key("images").begin_array().begin_object().member("type", "image_url");
            writer.key("image_url").begin_object().member("url", media_url(*e.media));
            writer.end_object().end_object().end_array();
        });
    } else if (e.kind == PartKind::kOpaque && e.opaque) {
        if (!is_ours(e.opaque->origin)) {
            dropped_.add(e.opaque->kind);
            return;
        }
        chunk(e.choice, {}, out, [&](json::Writer& writer) {
            writer.key("content").begin_array().raw(e.opaque->json).end_array();
        });
    }
}

void StreamEncoder::on(const canon::PartDelta& e, std::string& out) {
    Choice& choice = choices_[e.choice];
    const auto part = choice.parts.find(e.part);
    if (part == choice.parts.end()) return;
    if (part->second == PartKind::kToolCall) {
        Call& call = choice.call_of[e.part];
        call.has_arguments = true;
        call_chunk(e.choice, call, out, [&](json::Writer& writer, const char* kind) {
            if (kind != nullptr) writer.key(kind).begin_object();
            writer.member(call.is_custom ? "input" : "arguments", e.text);
            if (kind != nullptr) writer.end_object();
        });
        return;
    }
    const std::string_view key = part->second == PartKind::kThought ? "reasoning_content"
        : part->second == PartKind::kRefusal                        ? "refusal"
                                                                    : "content";
    chunk(e.choice, {}, out, [&](json::Writer& writer) { writer.member(key, e.text); });
}

void StreamEncoder::on(const canon::PartSignature& e, std::string& out) {
    Choice& choice = choices_[e.choice];
    const auto call = choice.call_of.find(e.part);
    if (call == choice.call_of.end() || !may_sign(e.signature)) {
        dropped_.add("signature");
        return;
    }
    if (std::exchange(call->second.is_signed, true)) return;
    // Clients add up the pieces of each chunk's function without asking whether it has one.
    call_chunk(e.choice, call->second, out, [&](json::Writer& writer, const char* kind) {
        writer.key(kind).begin_object();
        writer.member(call->second.is_custom ? "input" : "arguments", "").end_object();
        write_signature(writer, e.signature);
    });
}

void StreamEncoder::on(const canon::PartEnded& e, std::string& out) {
    Choice& choice = choices_[e.choice];
    const auto found = choice.call_of.find(e.part);
    if (found == choice.call_of.end() || found->second.has_arguments || found->second.is_custom)
        return;
    // A call without arguments: clients parse what they were sent, and "" is no JSON.
    found->second.has_arguments = true;
    call_chunk(e.choice, found->second, out, [](json::Writer& writer, const char* kind) {
        if (kind != nullptr) writer.key(kind).begin_object();
        writer.member("arguments", "{}");
        if (kind != nullptr) writer.end_object();
    });
}

void StreamEncoder::finish(std::uint32_t index, canon::StopReason reason, std::string& out) {
    Choice& choice = choices_[index];
    choice.is_finished = true;
    const bool has_refusal = std::ranges::any_of(
        choice.parts, [](const auto& part) { return part.second == PartKind::kRefusal; });
    chunk(index, finish_word(reason, has_refusal, context_), out, [](json::Writer&) {});
}

void StreamEncoder::on(const canon::Finished& e, std::string& out) {
    finish(e.choice, e.reason, out);
}

void StreamEncoder::on(const canon::Aside& e, std::string& out) {
    if (!is_ours(e.origin)) {
        if (const auto own = logprobs_as_ours(e))
            on(*own, out);
        else
            dropped_.add(e.key);
        return;
    }
    const auto json = fit_aside(e.key, e.json, dropped_);
    if (!json) return;
    if (!e.choice) {
        const bool is_sticky = e.key == "system_fingerprint" || e.key == "service_tier";
        merge_aside(is_sticky ? sticky_ : waiting_, e.key, *json);
        return;
    }
    Choice& choice = choices_[*e.choice];
    if (e.key.starts_with(kMessageAside))
        merge_aside(choice.waiting_message, e.key.substr(kMessageAside.size()), *json);
    else
        merge_aside(choice.waiting, e.key, *json);
    (void)out;  // it goes with the next chunk, which is of the same moment
}

void StreamEncoder::on(const canon::Ended&, std::string& out) {
    is_over_ = true;
    // Asides that came behind the last content of a choice still have to be said.
    for (auto& [index, choice] : choices_)
        if (!choice.is_finished)
            finish(index, unstated_reason(choice.calls != 0), out);
        else if (!choice.waiting.empty() || !choice.waiting_message.empty())
            chunk(index, {}, out, [](json::Writer&) {});
    if ((context_.wants_usage && usage_) || !waiting_.empty()) {
        std::string data;
        json::Writer writer(data);
        writer.begin_object();
        identity_.write(writer, "chat.completion.chunk");
        write_asides(writer, sticky_);
        write_asides(writer, waiting_);
        writer.key("choices").begin_array().end_array();
        if (context_.wants_usage && usage_) {
            writer.key("usage");
            write_usage(writer, usage_->usage, usage_->stated);
        }
        writer.end_object();
        framing::append_sse(out, {}, data);
    }
    framing::append_sse(out, {}, "[DONE]");
}

class WholeEncoder : public ReplyEncoder {
public:
    explicit WholeEncoder(const ReplyContext& context) : context_(context), identity_(context) {}

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
    void write(std::string& out);
    void write_choice(json::Writer& writer, const canon::Reply::Choice& choice);
    void write_call(json::Writer& writer, const canon::Reply::Part& part);
    Asides collect(const std::vector<canon::Aside>& asides, bool of_message);

    ReplyContext context_;
    Identity identity_;
    canon::Reply reply_;
    Dropped dropped_;
    bool is_over_ = false;
};

Asides WholeEncoder::collect(const std::vector<canon::Aside>& asides, bool of_message) {
    Asides collected;
    for (const canon::Aside& aside : asides) {
        if (!is_ours(aside.origin)) {
            const auto own = logprobs_as_ours(aside);
            if (!own)
                dropped_.add(aside.key);
            else if (!of_message)
                merge_aside(collected, own->key, own->json);
            continue;
        }
        const bool is_message = aside.key.starts_with(kMessageAside);
        if (is_message != of_message) continue;
        const auto json = fit_aside(aside.key, aside.json, dropped_);
        if (!json) continue;
        merge_aside(
            collected, is_message ? aside.key.substr(kMessageAside.size()) : aside.key, *json);
    }
    return collected;
}

void WholeEncoder::write_call(json::Writer& writer, const canon::Reply::Part& part) {
    const std::string_view arguments = part.text.empty() ? "{}" : std::string_view(part.text);
    if (context_.wants_function_call) {
        writer.begin_object().member("name", part.start.name).member("arguments", arguments);
        writer.end_object();
        if (part.signature) dropped_.add("signature");
        return;
    }
    writer.begin_object().member("id", call_id_of(part.start, identity_.id));
    if (part.start.is_custom) {
        writer.member("type", "custom").key("custom").begin_object();
        writer.member("name", part.start.name).member("input", part.text).end_object();
    } else {
        writer.member("type", "function").key("function").begin_object();
        writer.member("name", part.start.name).member("arguments", arguments).end_object();
    }
    if (part.signature && is_googles(*part.signature))
        write_signature(writer, *part.signature);
    else if (part.signature)
        dropped_.add("signature");
    writer.end_object();
}

void WholeEncoder::write_choice(json::Writer& writer, const canon::Reply::Choice& choice) {
    std::string text;
    std::string refusal;
    std::string thought;
    std::vector<const canon::Reply::Part*> calls;
    std::vector<std::string> images;
    bool has_text = false;
    for (const canon::Reply::Part& part : choice.parts) {
        if (part.start.opaque && !is_ours(part.start.opaque->origin))
            name_riders(part.start, [&](std::string_view name) { dropped_.add(name); });
        switch (part.start.kind) {
            case PartKind::kText:
                text += part.text;
                has_text = true;
                break;
            case PartKind::kRefusal: refusal += part.text; break;
            case PartKind::kThought:
                thought += part.text;
                if (part.start.is_redacted) dropped_.add("redacted_thinking");
                if (part.signature) dropped_.add("signature");
                break;
            case PartKind::kToolCall: calls.push_back(&part); break;
            case PartKind::kMedia:
                if (part.start.media && part.start.media->kind == canon::Media::Kind::kImage)
                    images.push_back(media_url(*part.start.media));
                else
                    dropped_.add("media");
                break;
            case PartKind::kOpaque:
                if (part.start.opaque) dropped_.add(part.start.opaque->kind);
                break;
        }
    }
    writer.key("message").begin_object().member("role", "assistant");
    if (has_text || (calls.empty() && refusal.empty()))
        writer.member("content", text);
    else
        writer.member_null("content");
    if (refusal.empty())
        writer.member_null("refusal");
    else
        writer.member("refusal", refusal);
    if (!thought.empty()) writer.member("reasoning_content", thought);
    if (!images.empty()) {
        writer.key("images").begin_array();
        for (const std::string& url : images) {
            writer.begin_object().member("type", "image_url").key("image_url").begin_object();
            writer.member("url", url).end_object().end_object();
        }
        writer.end_array();
    }
    if (!calls.empty() && context_.wants_function_call) {
        writer.key("function_call");
        write_call(writer, *calls.front());
        if (calls.size() > 1) dropped_.add("tool_calls");
    } else if (!calls.empty()) {
        writer.key("tool_calls").begin_array();
        for (const canon::Reply::Part* call : calls) write_call(writer, *call);
        writer.end_array();
    }
    write_asides(writer, collect(choice.asides, true));
    writer.end_object();
    const Asides asides = collect(choice.asides, false);
    if (std::ranges::find(asides, "logprobs", &Asides::value_type::first) == asides.end())
        writer.member_null("logprobs");
    write_asides(writer, asides);
    const canon::StopReason reason =
        choice.finished ? choice.finished->reason : unstated_reason(!calls.empty());
    writer.member("finish_reason", finish_word(reason, !refusal.empty(), context_));
}

void WholeEncoder::write(std::string& out) {
    identity_.learn(reply_.started);
    json::Writer writer(out);
    writer.begin_object();
    identity_.write(writer, "chat.completion");
    writer.key("choices").begin_array();
    std::int64_t index = 0;
    for (const canon::Reply::Choice& choice : reply_.choices) {
        writer.begin_object().member("index", index++);
        write_choice(writer, choice);
        writer.end_object();
    }
    writer.end_array();
    if (reply_.has_usage) {
        writer.key("usage");
        write_usage(writer, reply_.usage, reply_.stated_usage);
    }
    write_asides(writer, collect(reply_.asides, false));
    writer.end_object();
}

}  // namespace

std::unique_ptr<ReplyEncoder> make_reply_encoder(ReplyForm form, const ReplyContext& context) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeEncoder>(context);
    return std::make_unique<StreamEncoder>(context);
}

}  // namespace entrepot::dialect::openai_chat
