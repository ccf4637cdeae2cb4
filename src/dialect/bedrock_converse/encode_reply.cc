#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_converse/parts.h"
#include "dialect/dropped.h"
#include "dialect/losses.h"
#include "dialect/sealed_signature.h"
#include "framing/event_stream.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::PartKind;
using json::Writer;

/// Arguments as the model wrote them. What was cut and is no object goes as a string, so that
/// nothing is lost.
std::string input_of(std::string_view arguments) {
    if (arguments.empty()) return "{}";
    return is_object(arguments) ? std::string(arguments) : json::quoted(arguments);
}

/// What proves a thought that is shown: Bedrock's own as it is, another maker's sealed, so that the
/// client hands it back and it returns to who signed it, and the seal of nobody where there is
/// none.
std::string proof_of(const std::optional<canon::Signature>& signature) {
    if (signature && signature->origin == kName) return signature->data;
    const canon::Signature nobody{std::string(kNobody), {}};
    return seal({signature.value_or(nobody), Sealed::Of::kThought, {}});
}

/// A thought that is not shown, as a blob: base64.
std::string hidden(const canon::Signature& signature, bool is_redacted) {
    if (signature.origin == kName) return signature.data;
    return base64_encode(
        seal({signature, is_redacted ? Sealed::Of::kRedacted : Sealed::Of::kThought, {}}));
}

/// Whether all that there is of a thought is another maker's proof, or ciphertext.
bool is_hidden(bool is_redacted, bool has_text, const canon::Signature& signature) {
    return is_redacted || (!has_text && signature.origin != kName);
}

/// What proves another part stands in a block of its own behind it, since only thoughts have a
/// place for it. `has_block`: the part has one itself. Empty: there is nothing to prove, or nobody
/// who wants it back.
std::string proof_behind(PartKind kind, std::string_view call_id, bool has_block,
    const std::optional<canon::Signature>& signature) {
    const bool is_text = kind == PartKind::kText || kind == PartKind::kRefusal;
    const bool is_call = kind == PartKind::kToolCall;
    if (!signature || signature->origin == kName || (!is_text && !is_call)) return {};
    const auto of = has_block ? Sealed::Of::kPart : Sealed::Of::kEmptyText;
    return base64_encode(seal({*signature, of, is_call ? legal_call_id(call_id) : std::string()}));
}

constexpr std::string_view kMoreFields = "additionalModelResponseFields";

/// Members that stand beside the answer: whole replies have them at the top, streams in `metadata`.
bool is_top_level(std::string_view key) {
    return key == "metrics" || key == "trace" || key == "serviceTier" ||
        key == "performanceConfig" || key == kMoreFields;
}

/// Of an image that can be shown; empty for anything else. A client of AWS throws the whole reply
/// away for bytes that are no base64.
std::string_view image_format(const std::optional<canon::Media>& media) {
    std::string bytes;
    const bool is_image = media && media->kind == canon::Media::Kind::kImage &&
        media->source == canon::Media::Source::kBase64 && base64_decode(media->data, bytes);
    return is_image ? format_of(*media) : std::string_view();
}

class WholeEncoder final : public ReplyEncoder {
public:
    void add(const canon::Event& event, std::string& out) override {
        reply_.add(event);
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
        bool has_metrics = false;
        for (const canon::Aside& aside : reply_.asides) {
            if (aside.origin == kName && is_top_level(aside.key)) {
                has_metrics = has_metrics || aside.key == "metrics";
                writer.member_raw(aside.key, aside.json);
            } else {
                dropped_.add(aside.key);
            }
        }
        if (!has_metrics) writer.member_raw("metrics", R"({"latencyMs":0})");
        writer.key("output").begin_object().key("message").begin_object();
        writer.key("content").begin_array();
        for (const canon::Aside& aside : choice.asides) keep_citations(aside, choice);
        for (const canon::Reply::Part& part : choice.parts) {
            write_part(part, writer);
            write_proof(part, writer);
        }
        writer.end_array().member("role", "assistant").end_object().end_object();
        writer.member("stopReason",
            choice.finished ? stop_word_of(*choice.finished) : std::string_view("end_turn"));
        writer.key("usage");
        write_usage(writer, reply_.usage, reply_.stated_usage);
        writer.end_object();
    }

    void keep_citations(const canon::Aside& aside, const canon::Reply::Choice& choice) {
        const bool is_of_text =
            aside.part && std::ranges::any_of(choice.parts, [&](const canon::Reply::Part& part) {
                return part.start.part == *aside.part && part.start.kind == PartKind::kText;
            });
        if (aside.origin == kName && is_of_text && aside.key == "citation")
            citations_[*aside.part].push_back(aside.json);
        else
            dropped_.add(aside.key);
    }

    static void write_cited(
        const std::string& text, const std::vector<std::string>& citations, Writer& writer) {
        writer.begin_object().key("citationsContent").begin_object();
        writer.key("content").begin_array();
        if (!text.empty()) writer.begin_object().member("text", text).end_object();
        writer.end_array().key("citations").begin_array();
        for (const std::string& citation : citations) writer.raw(citation);
        writer.end_array().end_object().end_object();
    }

    static std::string_view stop_word_of(const canon::Finished& finished) {
        // A word of our own dialect goes back as it came.
        if (stop_reason(finished.raw_reason) == finished.reason &&
            finished.reason != canon::StopReason::kOther)
            return finished.raw_reason;
        return stop_word(finished.reason);
    }

    void write_part(const canon::Reply::Part& part, Writer& writer) {
        name_riders(part.start, [&](std::string_view name) { dropped_.add(name); });
        switch (part.start.kind) {
            case PartKind::kText:
            case PartKind::kRefusal:
                if (const auto cited = citations_.find(part.start.part); cited != citations_.end())
                    write_cited(part.text, cited->second, writer);
                else if (!part.text.empty())
                    writer.begin_object().member("text", part.text).end_object();
                break;
            case PartKind::kToolCall:
                writer.begin_object().key("toolUse").begin_object();
                writer.member("toolUseId", legal_call_id(part.start.call_id));
                writer.member("name", part.start.name);
                writer.member_raw("input", input_of(part.text));
                writer.end_object().end_object();
                break;
            case PartKind::kThought: write_thought(part, writer); break;
            case PartKind::kMedia: write_media(part, writer); break;
            case PartKind::kOpaque:
                if (part.start.opaque && part.start.opaque->origin == kName) {
                    writer.raw(part.start.opaque->json);
                } else if (part.start.opaque) {
                    dropped_.add(part.start.opaque->kind);
                }
                break;
        }
    }

    void write_thought(const canon::Reply::Part& part, Writer& writer) {
        const bool has_text = !part.text.empty();
        if (!part.signature && (part.start.is_redacted || !has_text)) {
            if (part.start.is_redacted) dropped_.add("redacted reasoning");
            return;  // nothing of it is shown
        }
        if (part.signature && is_hidden(part.start.is_redacted, has_text, *part.signature)) {
            write_hidden(hidden(*part.signature, part.start.is_redacted), writer);
            return;
        }
        writer.begin_object().key("reasoningContent").begin_object();
        writer.key("reasoningText").begin_object().member("text", part.text);
        if (part.signature || reply_.started.origin != kName)
            writer.member("signature", proof_of(part.signature));
        writer.end_object().end_object().end_object();
    }

    static void write_hidden(std::string_view data, Writer& writer) {
        writer.begin_object().key("reasoningContent").begin_object();
        writer.member("redactedContent", data).end_object().end_object();
    }

    void write_proof(const canon::Reply::Part& part, Writer& writer) {
        const bool is_shown = part.start.kind == PartKind::kToolCall || !part.text.empty() ||
            citations_.contains(part.start.part);
        const std::string proof =
            proof_behind(part.start.kind, part.start.call_id, is_shown, part.signature);
        if (proof.empty()) {
            if (part.signature && part.start.kind != PartKind::kThought) dropped_.add("signature");
            return;
        }
        write_hidden(proof, writer);
    }

    void write_media(const canon::Reply::Part& part, Writer& writer) {
        const auto& media = part.start.media;
        const std::string_view format = image_format(media);
        if (format.empty()) {
            dropped_.add("media");
            return;
        }
        writer.begin_object().key("image").begin_object().member("format", format);
        writer.key("source").begin_object().member("bytes", media->data).end_object();
        writer.end_object().end_object();
    }

    canon::Reply reply_;
    std::map<std::uint32_t, std::vector<std::string>> citations_;  // by their part
    Dropped dropped_;
};

class StreamEncoder final : public ReplyEncoder {
public:
    void add(const canon::Event& event, std::string& out) override {
        std::visit([&](const auto& e) { put(e, out); }, event);
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    struct Open {
        std::int64_t index = 0;
        PartKind kind = PartKind::kText;
        bool is_redacted = false;
        bool is_silent = false;  // nothing of it can be shown
        bool has_content = false;
        bool has_proof = false;  // of a thought, told
        std::string call_id = {};
        std::optional<canon::Signature> signature = {};  // for a block behind it
    };

    static void event(std::string& out, std::string_view type, std::string_view payload) {
        framing::append_event_stream_event(out, type, payload);
    }
    static void block_event(
        std::string& out, std::string_view type, std::int64_t index, std::string_view members) {
        event(out, type, fmt::format(R"({{"contentBlockIndex":{}{}}})", index, members));
    }
    static void delta_event(std::string& out, std::int64_t index, std::string_view delta) {
        block_event(out, "contentBlockDelta", index, fmt::format(R"(,"delta":{{{}}})", delta));
    }

    void put(const canon::Started& e, std::string& out) {
        is_own_reply_ = e.origin == kName;
        event(out, "messageStart", R"({"role":"assistant"})");
    }

    void put(const canon::PartStarted& e, std::string& out) {
        if (e.choice != 0) {
            dropped_.add(fmt::format("choices[{}]", e.choice));
            return;
        }
        name_riders(e, [&](std::string_view name) { dropped_.add(name); });
        Open open{.index = next_index_,
            .kind = e.kind,
            .is_redacted = e.is_redacted,
            .has_content = e.kind == PartKind::kToolCall,
            .call_id = e.call_id};
        if (e.kind == PartKind::kToolCall) {
            block_event(out, "contentBlockStart", open.index,
                fmt::format(R"(,"start":{{"toolUse":{{"toolUseId":{},"name":{}}}}})",
                    json::quoted(legal_call_id(e.call_id)), json::quoted(e.name)));
        } else if (e.kind == PartKind::kMedia) {
            open.is_silent = !put_image(e, open.index, out);
        } else if (e.kind == PartKind::kOpaque) {
            open.is_silent = !put_opaque(e, open.index, out);
        }
        if (!open.is_silent) ++next_index_;
        open_[e.part] = open;
    }

    static void put_proof(
        std::string& out, std::int64_t index, std::string_view key, const std::string& proof) {
        delta_event(
            out, index, fmt::format(R"("reasoningContent":{{"{}":{}}})", key, json::quoted(proof)));
    }

    bool put_image(const canon::PartStarted& e, std::int64_t index, std::string& out) {
        const std::string_view format = image_format(e.media);
        if (format.empty()) {
            dropped_.add("media");
            return false;
        }
        block_event(out, "contentBlockStart", index,
            fmt::format(R"(,"start":{{"image":{{"format":"{}"}}}})", format));
        delta_event(out, index,
            fmt::format(R"("image":{{"source":{{"bytes":{}}}}})", json::quoted(e.media->data)));
        return true;
    }

    bool put_opaque(const canon::PartStarted& e, std::int64_t index, std::string& out) {
        if (!e.opaque) return false;
        const auto block = e.opaque->origin == kName
            ? json::Document::parse(e.opaque->json)
            : Result<json::Document>(fail(ErrorCode::kUnsupported, ""));
        const std::string_view key = e.opaque->kind;
        if (!block || (key != "toolUse" && key != "toolResult")) {
            dropped_.add(key);
            return false;
        }
        const json::Value& value = block->root()[key];
        std::string start;
        Writer writer(start);
        writer.begin_object();
        for (const json::Member& member : value.members())
            if (member.key != "input" && member.key != "content")
                writer.member_raw(member.key, member.value.raw());
        writer.end_object();
        block_event(
            out, "contentBlockStart", index, fmt::format(R"(,"start":{{"{}":{}}})", key, start));
        if (key == "toolUse") {
            delta_event(out, index,
                fmt::format(R"("toolUse":{{"input":{}}})", json::quoted(value["input"].raw())));
        } else {
            delta_event(out, index, fmt::format(R"("toolResult":{})", value["content"].raw()));
        }
        return true;
    }

    Open* find(std::uint32_t choice, std::uint32_t part) {
        if (choice != 0) return nullptr;
        const auto found = open_.find(part);
        return found == open_.end() || found->second.is_silent ? nullptr : &found->second;
    }

    void put(const canon::PartDelta& e, std::string& out) {
        Open* open = find(e.choice, e.part);
        if (open == nullptr) return;
        open->has_content = open->has_content || !e.text.empty();
        const std::string text = json::quoted(e.text);
        switch (open->kind) {
            case PartKind::kToolCall:
                delta_event(out, open->index, fmt::format(R"("toolUse":{{"input":{}}})", text));
                break;
            case PartKind::kThought:
                delta_event(
                    out, open->index, fmt::format(R"("reasoningContent":{{"text":{}}})", text));
                break;
            default: delta_event(out, open->index, fmt::format(R"("text":{})", text));
        }
    }

    void put(const canon::PartSignature& e, std::string& out) {
        Open* open = find(e.choice, e.part);
        if (open == nullptr) {
            dropped_.add("signature");
        } else if (open->kind == PartKind::kThought) {
            open->has_proof = true;
            if (is_hidden(open->is_redacted, open->has_content, e.signature))
                put_proof(
                    out, open->index, "redactedContent", hidden(e.signature, open->is_redacted));
            else
                put_proof(out, open->index, "signature", proof_of(e.signature));
        } else {
            open->signature = e.signature;
        }
    }

    void put(const canon::PartEnded& e, std::string& out) {
        if (const Open* open = find(e.choice, e.part)) {
            const bool is_unsigned = open->kind == PartKind::kThought && open->has_content &&
                !open->has_proof && !is_own_reply_;
            if (is_unsigned) put_proof(out, open->index, "signature", proof_of(std::nullopt));
            block_event(out, "contentBlockStop", open->index, "");
            const std::string proof =
                proof_behind(open->kind, open->call_id, open->has_content, open->signature);
            if (!proof.empty()) {
                put_proof(out, next_index_, "redactedContent", proof);
                block_event(out, "contentBlockStop", next_index_++, "");
            } else if (open->signature) {
                dropped_.add("signature");
            }
        }
        if (e.choice == 0) open_.erase(e.part);
    }

    void put(const canon::Finished& e, std::string& out) {
        if (e.choice != 0) return;
        const bool is_ours =
            e.reason != canon::StopReason::kOther && stop_reason(e.raw_reason) == e.reason;
        event(out, "messageStop",
            fmt::format(R"({{"stopReason":{}{}}})",
                json::quoted(is_ours ? std::string_view(e.raw_reason) : stop_word(e.reason)),
                more_fields_.empty() ? "" : fmt::format(R"(,"{}":{})", kMoreFields, more_fields_)));
    }

    void put(const canon::UsageReported& e, std::string&) { usage_ = e; }

    void put(const canon::Aside& e, std::string& out) {
        if (e.origin != kName) {
            dropped_.add(e.key);
        } else if (e.key == kMoreFields) {
            more_fields_ = e.json;
        } else if (is_top_level(e.key)) {
            metadata_[e.key] = e.json;
        } else if (e.key == "citation") {
            put_citation(e, out);
        } else {
            dropped_.add(e.key);
        }
    }

    void put_citation(const canon::Aside& e, std::string& out) {
        const Open* open = e.part ? find(e.choice.value_or(0), *e.part) : nullptr;
        if (open == nullptr)
            dropped_.add(e.key);
        else
            delta_event(out, open->index, fmt::format(R"("citation":{})", e.json));
    }

    void put(const canon::Failed& e, std::string& out) {
        framing::append_event_stream_exception(out, exception_type(e.failure),
            fmt::format(R"({{"message":{}}})", json::quoted(e.failure.message)));
    }

    static void put(const canon::Outcome&, std::string&) {}  // of no conversation

    void put(const canon::Ended&, std::string& out) {
        std::string payload;
        Writer writer(payload);
        writer.begin_object().key("usage");
        write_usage(writer, usage_.usage, usage_.stated);
        if (!metadata_.contains("metrics")) metadata_["metrics"] = R"({"latencyMs":0})";
        for (const auto& [key, value] : metadata_) writer.member_raw(key, value);
        writer.end_object();
        event(out, "metadata", payload);
    }

    std::map<std::uint32_t, Open> open_;
    std::map<std::string, std::string> metadata_;
    std::string more_fields_;
    std::int64_t next_index_ = 0;
    bool is_own_reply_ = false;
    canon::UsageReported usage_;
    Dropped dropped_;
};

}  // namespace

std::unique_ptr<ReplyEncoder> reply_encoder(ReplyForm form, const ReplyContext&) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeEncoder>();
    return std::make_unique<StreamEncoder>();
}

}  // namespace entrepot::dialect::bedrock_converse
