#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "dialect/cohere/parts.h"
#include "dialect/dropped.h"
#include "framing/sse.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::PartKind;
using json::Writer;

bool is_text(PartKind kind) { return kind == PartKind::kText || kind == PartKind::kRefusal; }

/// Whether the part can be shown; else it is named.
bool is_shown(const canon::PartStarted& start, Dropped& dropped) {
    if (start.choice > 0) {
        dropped.add(fmt::format("choices[{}]", start.choice));
    } else if (start.kind == PartKind::kMedia) {
        dropped.add("media");
    } else if (start.kind == PartKind::kOpaque) {
        dropped.add(start.opaque ? start.opaque->kind : "opaque");
    } else if (start.is_redacted) {
        dropped.add("reasoning.encrypted");
    } else {
        return true;
    }
    return false;
}

bool is_own(const canon::Aside& aside, std::string_view key) {
    return aside.origin == kName && aside.key == key && aside.choice.value_or(0) == 0;
}

std::string_view word_of(const canon::Finished& finished) {
    return stop_reason_of(finished.raw_reason) == finished.reason &&
            finished.reason != canon::StopReason::kOther
        ? std::string_view(finished.raw_reason)
        : stop_word_of(finished.reason);
}

class WholeEncoder final : public ReplyEncoder {
public:
    explicit WholeEncoder(const ReplyContext& context) : id_(context.id) {}

    void add(const canon::Event& event, std::string& out) override {
        reply_.add(event);
        if (const auto* usage = std::get_if<canon::UsageReported>(&event)) usage_ = *usage;
        if (std::holds_alternative<canon::Ended>(event)) write(out);
        if (const auto* failed = std::get_if<canon::Failed>(&event))
            out += encode_failure(failed->failure);
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    void write(std::string& out) {
        for (std::size_t i = 1; i < reply_.choices.size(); ++i)
            dropped_.add(fmt::format("choices[{}]", i));
        if (reply_.choices.empty()) reply_.choices.emplace_back();
        const canon::Reply::Choice& choice = reply_.choices.front();
        Writer writer(out);
        writer.begin_object();
        writer.member("id", reply_.started.id.empty() ? id_ : reply_.started.id);
        writer.key("message").begin_object().member("role", "assistant");
        write_parts(writer, choice);
        write_citations(writer, choice);
        writer.end_object();
        writer.member("finish_reason",
            choice.finished ? word_of(*choice.finished) : std::string_view("COMPLETE"));
        writer.key("usage");
        write_usage(writer, usage_);
        for (const canon::Aside& aside : choice.asides)
            if (is_own(aside, "logprobs")) writer.member_raw("logprobs", aside.json);
        for (const canon::Aside& aside : reply_.asides) dropped_.add(aside.key);
        writer.end_object();
    }

    void write_parts(Writer& writer, const canon::Reply::Choice& choice) {
        std::string content;
        std::string calls;
        std::string plan;
        for (const canon::Reply::Part& part : choice.parts) {
            if (!is_shown(part.start, dropped_)) continue;
            if (part.start.kind == PartKind::kToolCall) {
                if (!calls.empty()) calls += ',';
                Writer call(calls);
                call.begin_object().member("id", part.start.call_id).member("type", "function");
                call.key("function").begin_object().member("name", part.start.name);
                call.member("arguments", part.text.empty() ? "{}" : part.text);
                call.end_object().end_object();
            } else if (is_plan(part.start.marks)) {
                plan += part.text;
            } else {
                const std::string_view type = is_text(part.start.kind) ? "text" : "thinking";
                if (part.signature) dropped_.add("reasoning.signature");
                if (!content.empty()) content += ',';
                Writer block(content);
                block.begin_object().member("type", type).member(type, part.text).end_object();
            }
        }
        if (!content.empty()) writer.member_raw("content", "[" + content + "]");
        if (!plan.empty()) writer.member(kToolPlan, plan);
        if (!calls.empty()) writer.member_raw("tool_calls", "[" + calls + "]");
    }

    void write_citations(Writer& writer, const canon::Reply::Choice& choice) {
        std::string citations;
        for (const canon::Aside& aside : choice.asides) {
            if (is_own(aside, "citations"))
                citations += (citations.empty() ? "" : ",") + aside.json;
            else if (!is_own(aside, "logprobs"))
                dropped_.add(aside.key);
        }
        if (!citations.empty()) writer.member_raw("citations", "[" + citations + "]");
    }

    std::string id_;
    canon::Reply reply_;
    canon::UsageReported usage_;
    Dropped dropped_;
};

class StreamEncoder final : public ReplyEncoder {
public:
    explicit StreamEncoder(const ReplyContext& context) : id_(context.id) {}

    void add(const canon::Event& event, std::string& out) override {
        out_ = &out;
        std::visit([&](const auto& e) { put(e); }, event);
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    struct Open {
        PartKind kind = PartKind::kText;
        bool is_plan = false;
        std::int64_t index = 0;
    };

    template <typename Write>
    void event(std::string_view type, Write write) {
        std::string data;
        Writer writer(data);
        writer.begin_object().member("type", type);
        write(writer);
        writer.end_object();
        framing::append_sse(*out_, type, data);
    }

    /// `"index":i,"delta":{"message":{ member }}`
    void delta_event(std::string_view type, std::optional<std::int64_t> index,
        std::string_view member, std::string_view json) {
        event(type, [&](Writer& writer) {
            if (index) writer.member("index", *index);
            writer.key("delta").begin_object().key("message").begin_object();
            writer.member_raw(member, json).end_object().end_object();
        });
    }

    void put(const canon::Started& e) {
        event("message-start", [&](Writer& writer) {
            writer.member("id", e.id.empty() ? id_ : e.id);
            writer.member_raw("delta",
                R"({"message":{"role":"assistant","content":[],"tool_plan":"",)"
                R"("tool_calls":[],"citations":[]}})");
        });
    }

    void put(const canon::PartStarted& e) {
        if (!is_shown(e, dropped_)) return;
        Open open{e.kind, is_plan(e.marks), 0};
        if (e.kind == PartKind::kToolCall) {
            open.index = calls_++;
            std::string call;
            Writer writer(call);
            writer.begin_object().member("id", e.call_id).member("type", "function");
            writer.key("function").begin_object().member("name", e.name).member("arguments", "");
            writer.end_object().end_object();
            delta_event("tool-call-start", open.index, "tool_calls", call);
        } else if (!open.is_plan) {
            open.index = contents_++;
            delta_event("content-start", open.index, "content",
                is_text(e.kind) ? R"({"type":"text","text":""})"
                                : R"({"type":"thinking","thinking":""})");
        }
        open_[e.part] = open;
    }

    Open* find(std::uint32_t choice, std::uint32_t part) {
        if (choice != 0) return nullptr;
        const auto found = open_.find(part);
        return found == open_.end() ? nullptr : &found->second;
    }

    void put(const canon::PartDelta& e) {
        const Open* open = find(e.choice, e.part);
        if (open == nullptr) return;
        const std::string text = json::quoted(e.text);
        if (open->kind == PartKind::kToolCall)
            delta_event("tool-call-delta", open->index, "tool_calls",
                fmt::format(R"({{"function":{{"arguments":{}}}}})", text));
        else if (open->is_plan)
            delta_event("tool-plan-delta", std::nullopt, kToolPlan, text);
        else
            delta_event("content-delta", open->index, "content",
                fmt::format(R"({{"{}":{}}})", is_text(open->kind) ? "text" : "thinking", text));
    }

    void put(const canon::PartSignature&) { dropped_.add("reasoning.signature"); }

    void put(const canon::PartEnded& e) {
        const Open* open = find(e.choice, e.part);
        if (open == nullptr) return;
        if (!open->is_plan)
            event(open->kind == PartKind::kToolCall ? "tool-call-end" : "content-end",
                [&](Writer& writer) { writer.member("index", open->index); });
        open_.erase(e.part);
    }

    void put(const canon::Finished& e) {
        if (e.choice == 0) word_ = word_of(e);
    }
    void put(const canon::UsageReported& e) { usage_ = e; }

    void put(const canon::Aside& e) {
        if (is_own(e, "citations")) {
            delta_event("citation-start", citations_, "citations", e.json);
            event("citation-end", [&](Writer& writer) { writer.member("index", citations_); });
            ++citations_;
        } else if (is_own(e, "logprobs")) {
            logprobs_ = e.json;
        } else {
            dropped_.add(e.key);
        }
    }

    void put(const canon::Failed& e) {
        end_message([&](Writer& writer) {
            writer.member("error", e.failure.message).member("finish_reason", "ERROR");
        });
    }

    static void put(const canon::Outcome&) {}  // of no conversation

    void put(const canon::Ended&) {
        end_message([&](Writer& writer) {
            writer.member("finish_reason", word_);
            if (!logprobs_.empty()) writer.member_raw("logprobs", logprobs_);
        });
    }

    template <typename Write>
    void end_message(Write write) {
        event("message-end", [&](Writer& writer) {
            writer.key("delta").begin_object();
            write(writer);
            writer.key("usage");
            write_usage(writer, usage_);
            writer.end_object();
        });
        framing::append_sse(*out_, {}, "[DONE]");
    }

    std::string id_;
    std::string* out_ = nullptr;
    std::map<std::uint32_t, Open> open_;
    std::int64_t contents_ = 0;
    std::int64_t calls_ = 0;
    std::int64_t citations_ = 0;
    std::string logprobs_;
    std::string word_ = "COMPLETE";
    canon::UsageReported usage_;
    Dropped dropped_;
};

}  // namespace

std::unique_ptr<ReplyEncoder> reply_encoder(ReplyForm form, const ReplyContext& context) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeEncoder>(context);
    return std::make_unique<StreamEncoder>(context);
}

}  // namespace entrepot::dialect::cohere
