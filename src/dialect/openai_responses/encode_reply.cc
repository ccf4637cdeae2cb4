#include "dialect/openai_responses/encode_reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/text.h"
#include "dialect/dropped.h"
#include "dialect/logprobs.h"
#include "dialect/openai_responses/failure.h"
#include "dialect/openai_responses/names.h"
#include "dialect/openai_responses/response_body.h"
#include "dialect/sealed_signature.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::PartKind;
using json::Writer;
using Kind = ReplyItem::Kind;

template <typename... F>
struct Overloaded : F... {
    using F::operator()...;
};

Kind kind_of(const canon::PartStarted& start) {
    switch (start.kind) {
        case PartKind::kThought: return Kind::kReasoning;
        case PartKind::kToolCall: return start.is_custom ? Kind::kCustomCall : Kind::kCall;
        case PartKind::kMedia: return Kind::kImage;
        case PartKind::kOpaque: return Kind::kOpaque;
        default: return Kind::kMessage;
    }
}

std::string_view id_prefix(Kind kind) {
    switch (kind) {
        case Kind::kReasoning: return "rs";
        case Kind::kCall: return "fc";
        case Kind::kCustomCall: return "ctc";
        case Kind::kImage: return "ig";
        default: return "msg";
    }
}

/// Builds the items of the reply out of its events; of a stream it tells each step. Items are told
/// as whole when the next one begins or the answer ends: only then it is known whether the answer
/// was cut inside of them, and whether more parts of them come.
class Encoder final : public ReplyEncoder {
public:
    Encoder(ReplyForm form, const ReplyContext& context)
        : is_stream_(form == ReplyForm::kStream), envelope_(context) {}

    void add(const canon::Event& event, std::string& out) override {
        if (is_over_) return;
        out_ = &out;
        std::visit(Overloaded{
                       [&](const canon::Started& e) {
                           envelope_.learn(e);
                           open();
                       },
                       [&](const canon::Aside& e) {
                           if (is_open_)
                               on(e);
                           else
                               early_.push_back(e);
                       },
                       [&](const canon::Failed& e) { fail_with(e.failure); },
                       [](const canon::Outcome&) {},  // of no conversation
                       [&](const auto& e) {
                           open();
                           on(e);
                       },
                   },
            event);
    }

    // An event of OpenAI's own: coding agents count no comment as a sign of life.
    [[nodiscard]] std::string keep_alive() override {
        std::string out;
        out_ = &out;
        if (!is_over_) event("keepalive", [](Writer&) {});
        out_ = nullptr;
        return out;
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override {
        return dropped_.names();
    }

private:
    /// A part of the events, and where it stands in the reply.
    struct Place {
        canon::PartStarted start;
        std::optional<std::size_t> item;  // absent until it is opened
        std::optional<std::size_t> part;  // in its item
        std::size_t list_index = 0;       // content_index or summary_index
        std::string logprobs;             // of the next delta
        std::optional<canon::Signature> signature;
        bool has_no_place = false;
        bool has_ended = false;
    };

    void drop(std::string_view name) { dropped_.add(name); }

    template <typename Write>
    void event(std::string_view type, Write write) {
        if (!is_stream_) return;
        std::string data;
        Writer writer(data);
        writer.begin_object().member("type", type).member("sequence_number", sequence_++);
        write(writer);
        writer.end_object();
        framing::append_sse(*out_, type, data);
    }

    void response_event(
        std::string_view type, std::string_view status, const canon::Failure* failure = nullptr) {
        event(type, [&](Writer& writer) {
            writer.key("response");
            envelope_.write(writer, items_, status, failure);
        });
    }

    void item_event(std::string_view type, std::size_t index, Told told) {
        event(type, [&](Writer& writer) {
            writer.member("output_index", static_cast<std::int64_t>(index)).key("item");
            write_item(writer, items_[index], told);
        });
    }

    void open() {
        if (is_open_) return;
        is_open_ = true;
        response_event("response.created", "in_progress");
        response_event("response.in_progress", "in_progress");
        for (const canon::Aside& aside : early_) on(aside);
        early_.clear();
    }

    Place* find(std::uint32_t choice, std::uint32_t part) {
        if (choice != 0) return nullptr;
        const auto found = places_.find(part);
        return found == places_.end() || found->second.has_no_place || found->second.has_ended
            ? nullptr
            : &found->second;
    }

    ReplyItem& item_of(const Place& place) { return items_[*place.item]; }
    ReplyPart& part_of(const Place& place) { return item_of(place).parts[*place.part]; }

    // ---- items and parts begin

    /// Gives the part an item: one that its origin says it shares, or its own.
    void open_item(Place& place) {
        if (place.item) return;
        const Kind kind = kind_of(place.start);
        const bool is_own = envelope_.is_own();
        if (place.start.item && is_own) {
            const auto shared = item_of_.find(*place.start.item);
            if (shared != item_of_.end() && !items_[shared->second].is_done &&
                (items_[shared->second].kind == kind || kind == Kind::kOpaque)) {
                place.item = shared->second;
                ++item_of(place).open_parts;
                return;
            }
        }
        ReplyItem item;
        item.kind = kind;
        item.name = place.start.name;
        if (place.start.media) item.media_type = place.start.media->media_type;
        if (is_own) {
            item.marks = place.start.marks;
            if (place.start.opaque) item.json = place.start.opaque->json;
            const auto id = std::ranges::find(item.marks, "id", &canon::Extra::path);
            if (id != item.marks.end() && id->json.size() > 2)
                item.id = id->json.substr(1, id->json.size() - 2);
        }
        if (item.id.empty()) item.id = made_item_id(id_prefix(kind), envelope_.id(), items_.size());
        item.call_id = place.start.call_id.empty() ? "call_" + item.id : place.start.call_id;
        place.item = add_item(std::move(item));
        item_of(place).open_parts = 1;
        if (place.start.item) item_of_[*place.start.item] = *place.item;
    }

    std::size_t add_item(ReplyItem item) {
        finish_ended_items();
        items_.push_back(std::move(item));
        item_event("response.output_item.added", items_.size() - 1, Told::kBegun);
        return items_.size() - 1;
    }

    void open_part(Place& place) {
        open_item(place);
        if (place.part) return;
        ReplyPart part;
        part.kind = place.start.kind;
        // Another maker's thoughts have no other place than the summary.
        part.is_summary =
            part.kind == PartKind::kThought && (place.start.is_summary || !envelope_.is_own());
        if (place.start.opaque) part.json = place.start.opaque->json;
        auto& parts = item_of(place).parts;
        place.list_index = static_cast<std::size_t>(
            std::ranges::count(parts, part.is_summary, &ReplyPart::is_summary));
        place.part = parts.size();
        parts.push_back(std::move(part));
        part_event(place, "added", Told::kBegun);
    }

    void where(Writer& writer, const Place& place) {
        writer.member("item_id", item_of(place).id);
        writer.member("output_index", static_cast<std::int64_t>(*place.item));
        if (place.start.kind == PartKind::kToolCall) return;
        writer.member(part_of(place).is_summary ? "summary_index" : "content_index",
            static_cast<std::int64_t>(place.list_index));
    }

    void part_event(const Place& place, std::string_view what, Told told) {
        const PartKind kind = place.start.kind;
        const bool is_summary = kind == PartKind::kThought && part_of(place).is_summary;
        if (kind != PartKind::kText && kind != PartKind::kRefusal && !is_summary) return;
        const std::string_view name = is_summary ? "reasoning_summary_part" : "content_part";
        event(fmt::format("response.{}.{}", name, what), [&](Writer& writer) {
            where(writer, place);
            writer.key("part");
            write_part(writer, part_of(place), told);
        });
    }

    // ---- what they say

    void text_event(
        Place& place, std::string_view what, std::string_view key, std::string_view text) {
        const PartKind kind = place.start.kind;
        std::string_view name = "output_text";
        if (kind == PartKind::kRefusal) name = "refusal";
        if (kind == PartKind::kThought)
            name = part_of(place).is_summary ? "reasoning_summary_text" : "reasoning_text";
        if (kind == PartKind::kToolCall)
            name = place.start.is_custom ? "custom_tool_call_input" : "function_call_arguments";
        const bool is_done = what == "done";
        event(fmt::format("response.{}.{}", name, what), [&](Writer& writer) {
            where(writer, place);
            writer.member(key, text);
            if (kind == PartKind::kText)
                writer.member_raw(
                    "logprobs", "[" + (is_done ? part_of(place).logprobs : place.logprobs) + "]");
            if (kind == PartKind::kToolCall && is_done && !place.start.is_custom)
                writer.member("name", place.start.name);
        });
    }

    static void add_to_list(std::string& list, std::string_view more) {
        if (!list.empty() && !more.empty()) list += ',';
        list += more;
    }

    void take_waiting_logprobs(Place& place) {
        if (place.start.kind != PartKind::kText) return;
        add_to_list(place.logprobs, waiting_logprobs_);
        waiting_logprobs_.clear();
    }

    void say(Place& place, std::string_view text) {
        open_part(place);
        ReplyPart& part = part_of(place);
        part.text += text;
        if (place.start.kind == PartKind::kMedia) return;  // told when it is whole
        take_waiting_logprobs(place);
        add_to_list(part.logprobs, place.logprobs);
        text_event(place, "delta", "delta", text);
        place.logprobs.clear();
    }

    void on(const canon::PartStarted& e) {
        if (e.choice != 0) return drop("choices");
        Place& place = places_[e.part] = Place{.start = e};
        const bool is_own = envelope_.is_own();
        switch (e.kind) {
            case PartKind::kToolCall: open_part(place); break;
            // Of another dialect's parts some never say anything.
            case PartKind::kText:
            case PartKind::kRefusal:
                if (is_own) open_part(place);
                break;
            // An item whose thoughts nobody is shown has no part.
            case PartKind::kThought:
                if (is_own) open_item(place);
                break;
            case PartKind::kOpaque:
                place.has_no_place = !is_own || !e.opaque;
                if (place.has_no_place)
                    drop(e.opaque ? e.opaque->kind : "opaque");
                else
                    open_part(place);
                break;
            case PartKind::kMedia: open_media(place); break;
        }
    }

    void open_media(Place& place) {
        const auto& media = place.start.media;
        const bool is_told = envelope_.is_own() && place.start.opaque;
        const bool is_image = media && media->kind == canon::Media::Kind::kImage &&
            media->source == canon::Media::Source::kBase64;
        place.has_no_place = !is_told && !is_image;
        if (place.has_no_place) return drop("media");
        open_part(place);
        if (media) say(place, media->data);
    }

    void on(const canon::PartDelta& e) {
        if (Place* place = find(e.choice, e.part)) say(*place, e.text);
    }

    void on(const canon::PartSignature& e) {
        if (Place* place = find(e.choice, e.part)) place->signature = e.signature;
    }

    void on(const canon::PartEnded& e) {
        if (Place* place = find(e.choice, e.part)) end(*place);
    }

    void on(const canon::UsageReported& e) {
        envelope_.learn(e);
        if (!envelope_.foreign_tier().empty()) drop("service_tier");
    }

    void on(const canon::Aside& e) {
        if (envelope_.learn(e)) return;
        Place* place = e.part ? find(e.choice.value_or(0), *e.part) : nullptr;
        const bool is_own =
            e.origin == kName && place != nullptr && place->start.kind == PartKind::kText;
        if (is_own && e.key == "annotations") {
            open_part(*place);
            auto& annotations = part_of(*place).annotations;
            annotations.push_back(e.json);
            event("response.output_text.annotation.added", [&](Writer& writer) {
                where(writer, *place);
                writer.member(
                    "annotation_index", static_cast<std::int64_t>(annotations.size() - 1));
                writer.member_raw("annotation", e.json);
            });
        } else if (is_own && e.key == "logprobs") {
            add_to_list(place->logprobs, inside(e.json));
        } else if (const auto tokens = e.origin == kName ? std::nullopt : logprobs_of(e);
            tokens && e.choice.value_or(0) == 0) {
            add_to_list(waiting_logprobs_, inside(*tokens));  // of the choice, in other dialects
        } else {
            drop(e.key);
        }
    }

    /// The items of a list as JSON text, without its brackets.
    static std::string_view inside(std::string_view list) {
        list = trim(list);
        return list.size() < 2 || list.front() != '[' ? "" : trim(list.substr(1, list.size() - 2));
    }

    // ---- parts, items and the reply end

    void end(Place& place) {
        place.has_ended = true;
        const PartKind kind = place.start.kind;
        const bool is_thought = kind == PartKind::kThought;
        if (is_thought && place.signature) open_item(place);
        if (!place.item) {
            if (place.signature) carry(place, Sealed::Of::kEmptyText);
            return;
        }
        if (kind == PartKind::kToolCall && !place.start.is_custom && part_of(place).text.empty())
            say(place, "{}");
        if (place.part) {
            ReplyPart& part = part_of(place);
            take_waiting_logprobs(place);
            add_to_list(part.logprobs, place.logprobs);
            part.has_ended = true;
            if (kind != PartKind::kMedia && kind != PartKind::kOpaque) {
                const std::string_view key = kind == PartKind::kRefusal ? "refusal"
                    : kind != PartKind::kToolCall                       ? "text"
                    : place.start.is_custom                             ? "input"
                                                                        : "arguments";
                text_event(place, "done", key, part.text);
                part_event(place, "done", Told::kWhole);
            }
        }
        --item_of(place).open_parts;
        if (!place.signature) return;
        if (!is_thought) return carry(place, Sealed::Of::kPart);
        item_of(place).cipher = place.signature->origin == kName
            ? place.signature->data
            : seal({*place.signature,
                  place.start.is_redacted ? Sealed::Of::kRedacted : Sealed::Of::kThought, ""});
    }

    /// A signature of a part that has no place for one goes into an item of its own behind it.
    void carry(const Place& place, Sealed::Of of) {
        ReplyItem item;
        item.kind = Kind::kReasoning;
        item.id = made_item_id("rs", envelope_.id(), items_.size());
        item.cipher = seal({*place.signature, of, place.start.call_id});
        (void)add_item(std::move(item));
    }

    void finish_ended_items() {
        for (std::size_t i = first_open_; i < items_.size(); ++i) {
            ReplyItem& item = items_[i];
            if (item.is_done || item.open_parts > 0) continue;
            item.is_done = true;
            item_event("response.output_item.done", i, Told::kWhole);
        }
        while (first_open_ < items_.size() && items_[first_open_].is_done) ++first_open_;
    }

    void end_all() {
        for (auto& [number, place] : places_)
            if (!place.has_ended && !place.has_no_place) end(place);
        if (envelope_.is_incomplete() && !items_.empty() && !items_.back().is_done)
            items_.back().is_cut = true;
        finish_ended_items();
    }

    void on(const canon::Finished& e) {
        if (e.choice != 0) return;
        envelope_.learn(e);
        end_all();
    }

    void on(const canon::Ended&) {
        end_all();
        if (!waiting_logprobs_.empty()) drop("logprobs");
        is_over_ = true;
        const std::string_view status = envelope_.status();
        if (is_stream_) {
            response_event(
                envelope_.is_incomplete() ? "response.incomplete" : "response.completed", status);
            return;
        }
        Writer writer(*out_);
        envelope_.write(writer, items_, status, nullptr);
    }

    void fail_with(const canon::Failure& failure) {
        is_over_ = true;
        if (!is_stream_) {
            *out_ += encode_failure(failure);
            return;
        }
        open();
        response_event("response.failed", "failed", &failure);
    }

    bool is_stream_;
    Envelope envelope_;
    std::string* out_ = nullptr;
    std::int64_t sequence_ = 0;
    std::deque<ReplyItem> items_;
    std::size_t first_open_ = 0;                    // all items before it are done
    std::map<std::uint32_t, std::size_t> item_of_;  // the origin's items -> ours
    std::map<std::uint32_t, Place> places_;         // by part
    std::vector<canon::Aside> early_;               // before Started
    Dropped dropped_;
    bool is_open_ = false;
    std::string waiting_logprobs_;  // of the choice, for the text that they belong to
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyEncoder> make_reply_encoder(ReplyForm form, const ReplyContext& context) {
    return std::make_unique<Encoder>(form, context);
}

}  // namespace entrepot::dialect::openai_responses
