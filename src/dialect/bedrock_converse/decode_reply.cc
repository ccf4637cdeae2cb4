#include <fmt/format.h>

#include <map>

#include "base/text.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_converse/parts.h"
#include "framing/event_stream.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Event;
using canon::PartKind;
using json::Value;

constexpr std::size_t kBodyBytesMax = std::size_t{32} << 20;

std::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorCode::kUpstreamProtocol, fmt::format("the supplier's reply {}", what));
}

void report_aside(const Value& parent, std::string_view key, std::vector<Event>& events,
    std::optional<std::uint32_t> part = std::nullopt) {
    const Value* value = parent.find(key);
    if (value == nullptr || value->is_null()) return;
    canon::Aside aside{std::string(kName), std::string(key), std::string(value->raw()), {}};
    if (part) aside.choice = 0;
    aside.part = part;
    events.emplace_back(std::move(aside));
}

canon::UsageReported usage_report_of(const Value& reply) {
    const Value& usage = reply["usage"];
    return {usage_of(usage), std::string(reply["serviceTier"]["type"].string()),
        canon::Opaque{std::string(kName), "usage", std::string(usage.raw())}};
}

canon::Finished finished_of(const Value& reply) {
    canon::Finished finished;
    finished.raw_reason = reply["stopReason"].string();
    finished.reason = stop_reason(finished.raw_reason);
    // Asked for by additionalModelResponseFieldPaths; models place it in one of two ways.
    const Value& more = reply["additionalModelResponseFields"];
    for (const Value* sequence : {&more["stop_sequence"], &more["delta"]["stop_sequence"]})
        if (sequence->is_string()) finished.stop_sequence = sequence->string();
    return finished;
}

/// Writes the events of parts, which are numbered as they start.
class Parts {
public:
    explicit Parts(std::vector<Event>& events) : events_(&events) {}
    void into(std::vector<Event>& events) { events_ = &events; }

    std::uint32_t start(canon::PartStarted part) {
        part.part = next_++;
        events_->emplace_back(part);
        return part.part;
    }
    void delta(std::uint32_t part, std::string_view text) {
        if (!text.empty()) events_->emplace_back(canon::PartDelta{0, part, std::string(text)});
    }
    void sign(std::uint32_t part, std::string_view data) {
        events_->emplace_back(
            canon::PartSignature{0, part, canon::Signature{std::string(kName), std::string(data)}});
    }
    void end(std::uint32_t part) { events_->emplace_back(canon::PartEnded{0, part}); }
    void whole(canon::PartStarted part) { end(start(std::move(part))); }

private:
    std::vector<Event>* events_;
    std::uint32_t next_ = 0;
};

canon::PartStarted part_of(PartKind kind) {
    canon::PartStarted part;
    part.kind = kind;
    return part;
}

canon::PartStarted call_of(const Value& use) {
    canon::PartStarted part = part_of(PartKind::kToolCall);
    part.call_id = use["toolUseId"].string();
    part.name = use["name"].string();
    return part;
}

canon::PartStarted opaque_of(std::string_view kind, std::string json) {
    canon::PartStarted part = part_of(PartKind::kOpaque);
    part.opaque = canon::Opaque{std::string(kName), std::string(kind), std::move(json)};
    return part;
}

canon::PartStarted image_of(std::string_view format, std::string_view bytes) {
    canon::PartStarted part = part_of(PartKind::kMedia);
    canon::Media media;
    media.media_type = media_type_of(canon::Media::Kind::kImage, format);
    media.data = bytes;
    part.media = std::move(media);
    return part;
}

bool is_server_tool(const Value& use) { return use["type"].string() == "server_tool_use"; }

void decode_block(const Value& block, Parts& parts, std::vector<Event>& events) {
    if (const Value* text = block.find("text")) {
        if (text->string().empty()) return;
        const std::uint32_t part = parts.start(part_of(PartKind::kText));
        parts.delta(part, text->string());
        parts.end(part);
    } else if (const Value* use = block.find("toolUse"); use != nullptr && !is_server_tool(*use)) {
        const std::uint32_t part = parts.start(call_of(*use));
        const Value& input = (*use)["input"];
        parts.delta(part, input.is_null() ? "{}" : input.raw());
        parts.end(part);
    } else if (const Value* thought = block.find("reasoningContent")) {
        canon::PartStarted start = part_of(PartKind::kThought);
        const Value& redacted = (*thought)["redactedContent"];
        start.is_redacted = redacted.is_string();
        const std::uint32_t part = parts.start(std::move(start));
        const Value& text_of = (*thought)["reasoningText"];
        parts.delta(part, text_of["text"].string());
        if (redacted.is_string()) parts.sign(part, redacted.string());
        if (text_of["signature"].is_string()) parts.sign(part, text_of["signature"].string());
        parts.end(part);
    } else if (const Value* cited = block.find("citationsContent")) {
        std::string words;
        for (const Value& piece : (*cited)["content"].items()) words += piece["text"].string();
        const auto citations = (*cited)["citations"].items();
        if (words.empty() && citations.empty()) return;
        const std::uint32_t part = parts.start(part_of(PartKind::kText));
        parts.delta(part, words);
        for (const Value& citation : citations)  // one by one, as a stream has them
            events.emplace_back(
                canon::Aside{std::string(kName), "citation", std::string(citation.raw()), 0, part});
        parts.end(part);
    } else if (const Value* image = block.find("image");
        image != nullptr && (*image)["source"]["bytes"].is_string()) {
        parts.whole(image_of((*image)["format"].string(), (*image)["source"]["bytes"].string()));
    } else {
        for (const json::Member& member : block.members())
            if (member.key != "type") {
                parts.whole(opaque_of(member.key, std::string(block.raw())));
                break;
            }
    }
}

class WholeDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, std::vector<Event>&) override {
        if (body_.size() + bytes.size() > kBodyBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kBodyBytesMax));
        body_ += bytes;
        return {};
    }

    Status finish(std::vector<Event>& events) override {
        const auto parsed = json::Document::parse(std::move(body_));
        if (!parsed) return malformed("is no JSON: " + parsed.error().message);
        const Value& root = parsed->root();
        const Value& message = root["output"]["message"];
        if (!message.is_object()) {
            if (!root["message"].is_string())
                return malformed("has neither an output nor a message of error");
            events.emplace_back(canon::Failed{failure_of(root["__type"].string(),
                root["message"].string(), root["__type"].is_string() ? 0 : 400)});
            return {};
        }
        if (!root["stopReason"].is_string()) return malformed("has no stopReason");
        events.emplace_back(canon::Started{.origin = std::string(kName)});
        Parts parts(events);
        for (const Value& block : message["content"].items()) decode_block(block, parts, events);
        report_aside(root, "additionalModelResponseFields", events);
        events.emplace_back(finished_of(root));
        if (root["usage"].is_object()) events.emplace_back(usage_report_of(root));
        for (const std::string_view key : {"metrics", "trace", "serviceTier", "performanceConfig"})
            report_aside(root, key, events);
        events.emplace_back(canon::Ended{});
        return {};
    }

private:
    std::string body_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, std::vector<Event>& events) override {
        messages_.clear();
        const Status fed = parser_.feed(bytes, messages_);
        parts_.into(events);
        for (const framing::EventStreamMessage& message : messages_)
            ENTREPOT_TRY_DO(read(message, events));
        return fed;
    }

    Status finish(std::vector<Event>& events) override {
        ENTREPOT_TRY_DO(parser_.finish());
        if (is_over_) return {};
        if (!has_stopped_) return malformed("ended before its messageStop");
        events.emplace_back(canon::Ended{});  // the usage never came
        is_over_ = true;
        return {};
    }

private:
    struct Block {
        std::optional<std::uint32_t> part;
        PartKind kind = PartKind::kText;
        bool has_text = false;
        // Blocks that are whole before they mean anything: server tools, their results, images.
        std::string opaque_key;
        std::string start;  // raw JSON of what the start event gave
        std::string held;   // deltas
    };

    Status read(const framing::EventStreamMessage& message, std::vector<Event>& events) {
        if (is_over_) return {};
        const std::string_view type = message.find(":message-type");
        if (type == "error") {
            fail_with(message.find(":error-code"), message.find(":error-message"), events);
            return {};
        }
        const std::string_view text = message.payload.empty() ? "{}" : message.payload;
        const auto parsed = json::Document::parse(std::string(text));
        if (!parsed || !parsed->root().is_object())
            return malformed("holds an event that is no JSON object");
        const Value& payload = parsed->root();
        if (type == "exception") {
            const std::string_view words = payload["message"].string();
            fail_with(message.find(":exception-type"),
                words.empty() ? payload["Message"].string() : words, events);
            return {};
        }
        return read_event(message.find(":event-type"), payload, events);
    }

    void fail_with(std::string_view type, std::string_view message, std::vector<Event>& events) {
        is_over_ = true;
        events.emplace_back(canon::Failed{failure_of(type, message)});
    }

    Status read_event(std::string_view type, const Value& payload, std::vector<Event>& events) {
        if (type == "messageStart") {
            start(events);
        } else if (type == "contentBlockStart") {
            start(events);
            start_block(block_of(payload), payload["start"]);
        } else if (type == "contentBlockDelta") {
            start(events);
            delta(block_of(payload), payload["delta"], events);
        } else if (type == "contentBlockStop") {
            const auto found = blocks_.find(index_of(payload));
            if (found == blocks_.end()) return {};
            end_block(found->second);
            blocks_.erase(found);
        } else if (type == "messageStop") {
            start(events);
            for (auto& [index, block] : blocks_) end_block(block);
            blocks_.clear();
            report_aside(payload, "additionalModelResponseFields", events);
            if (!has_stopped_) events.emplace_back(finished_of(payload));
            has_stopped_ = true;
        } else if (type == "metadata") {
            if (payload["usage"].is_object()) events.emplace_back(usage_report_of(payload));
            for (const std::string_view key :
                {"metrics", "trace", "serviceTier", "performanceConfig"})
                report_aside(payload, key, events);
            if (has_stopped_) {
                events.emplace_back(canon::Ended{});
                is_over_ = true;
            }
        }
        return {};  // events that we do not know are none of ours
    }

    void start(std::vector<Event>& events) {
        if (has_started_) return;
        has_started_ = true;
        events.emplace_back(canon::Started{.origin = std::string(kName)});
    }

    static std::int64_t index_of(const Value& payload) {
        return payload["contentBlockIndex"].as_int().value_or(0);
    }
    Block& block_of(const Value& payload) { return blocks_[index_of(payload)]; }

    void start_block(Block& block, const Value& given) {
        if (const Value* use = given.find("toolUse"); use != nullptr && !is_server_tool(*use)) {
            block.kind = PartKind::kToolCall;
            block.part = parts_.start(call_of(*use));
            return;
        }
        if (given.members().empty())
            return;  // text and reasoning need no start, and some send an empty one
        block.opaque_key = given.members().front().key;
        block.start = given.members().front().value.raw();
    }

    /// The part of that kind in the block: text and reasoning begin with their first delta.
    std::uint32_t open(Block& block, PartKind kind, bool is_redacted = false) {
        if (block.part && block.kind == kind) return *block.part;
        if (block.part) parts_.end(*block.part);
        canon::PartStarted part = part_of(kind);
        part.is_redacted = is_redacted;
        block.kind = kind;
        block.part = parts_.start(std::move(part));
        return *block.part;
    }

    void delta(Block& block, const Value& given, std::vector<Event>& events) {
        if (const Value* text = given.find("text")) {
            if (!text->string().empty()) parts_.delta(open(block, PartKind::kText), text->string());
        } else if (const Value* use = given.find("toolUse")) {
            const std::string_view fragment = (*use)["input"].string();
            if (!block.opaque_key.empty()) {
                block.held += fragment;
            } else if (block.part && block.kind == PartKind::kToolCall && !fragment.empty()) {
                block.has_text = true;
                parts_.delta(*block.part, fragment);
            }
        } else if (const Value* thought = given.find("reasoningContent")) {
            const Value& redacted = (*thought)["redactedContent"];
            const Value& signature = (*thought)["signature"];
            if (redacted.is_string()) {
                parts_.sign(open(block, PartKind::kThought, true), redacted.string());
            } else if (signature.is_string()) {
                parts_.sign(open(block, PartKind::kThought), signature.string());
            } else if (const Value& words = (*thought)["text"]; !words.string().empty()) {
                parts_.delta(open(block, PartKind::kThought), words.string());
            }
        } else if (const Value* image = given.find("image")) {
            block.held += (*image)["source"]["bytes"].string();
        } else if (const Value* result = given.find("toolResult")) {
            for (const Value& item : result->items()) {
                if (!block.held.empty()) block.held += ',';
                block.held += item.raw();
            }
        } else if (given.find("citation") != nullptr) {
            const std::uint32_t part = block.part ? *block.part : open(block, PartKind::kText);
            report_aside(given, "citation", events, part);
        }
    }

    void end_block(Block& block) {
        if (block.opaque_key == "image") {
            const auto given = json::Document::parse(block.start);
            parts_.whole(image_of(given ? given->root()["format"].string() : "png", block.held));
        } else if (!block.opaque_key.empty()) {
            parts_.whole(opaque_of(block.opaque_key, whole_of(block)));
        }
        if (!block.part) return;
        // A call without arguments streams an empty text; its arguments are an empty object all the
        // same.
        if (block.kind == PartKind::kToolCall && !block.has_text) parts_.delta(*block.part, "{}");
        parts_.end(*block.part);
    }

    /// The block as a whole reply would have it: the start's members, and the deltas as input or
    /// content.
    static std::string whole_of(const Block& block) {
        std::string out;
        json::Writer writer(out);
        writer.begin_object().key(block.opaque_key).begin_object();
        if (const auto given = json::Document::parse(block.start))
            for (const json::Member& member : given->root().members())
                writer.member_raw(member.key, member.value.raw());
        if (block.opaque_key == "toolUse")
            writer.member_raw("input", is_object(block.held) ? block.held : "{}");
        if (block.opaque_key == "toolResult") writer.member_raw("content", "[" + block.held + "]");
        writer.end_object().end_object();
        return out;
    }

    framing::EventStreamParser parser_;
    std::vector<framing::EventStreamMessage> messages_;
    std::vector<Event> none_;
    Parts parts_{none_};
    std::map<std::int64_t, Block> blocks_;
    bool has_started_ = false;
    bool has_stopped_ = false;
    bool is_over_ = false;
};

}  // namespace

std::unique_ptr<ReplyDecoder> reply_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>();
    return std::make_unique<StreamDecoder>();
}

}  // namespace entrepot::dialect::bedrock_converse
