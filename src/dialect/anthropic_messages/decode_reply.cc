#include "dialect/anthropic_messages/decode_reply.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>

#include "base/text.h"
#include "dialect/anthropic_messages/failure.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/anthropic_messages/usage.h"
#include "framing/sse.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::Event;
using canon::PartKind;
using canon::StopReason;
using Events = std::vector<Event>;

// A supplier opens one block at a time; these keep a broken one from filling the memory.
constexpr std::size_t kOpenBlocksMax = 64;
constexpr std::size_t kOpaqueInputBytesMax = std::size_t{8} << 20;

canon::Signature signature_of(std::string_view data) {
    return {std::string(kName), std::string(data)};
}

// What both forms of a reply share: blocks become parts, the message's own fields become events.
class ReplyReader {
public:
    explicit ReplyReader(Events*& events) : events_(events) {}

    void start(const json::Value& message) {
        emit(canon::Started{
            std::string(message["id"].string()), std::string(message["model"].string()), 0});
        report_usage(message["usage"]);
        note_envelope(message);
    }

    // What a message holds at once: all of a whole reply; in a stream, a call that code of the
    // supplier's has made comes finished inside `message_start`.
    void take_content(const json::Value& message) {
        std::int64_t index = 0;
        for (const json::Value& block : message["content"].items()) {
            start_block(index, block);
            end_block(index++);
        }
        stop(message);
    }

    void start_block(std::int64_t index, const json::Value& block) {
        end_block(index);
        if (blocks_.size() >= kOpenBlocksMax) end_blocks();
        Block& opened = blocks_[index];
        opened.part = next_part_;
        const std::string_view type = block["type"].string();
        if (type == "text") {
            begin(opened, PartKind::kText);
            delta(opened, block["text"].string());
            for (const json::Value& citation : block["citations"].items()) cite(opened, citation);
        } else if (type == "thinking") {
            begin(opened, PartKind::kThought);
            delta(opened, block["thinking"].string());
            sign(opened, block["signature"].string());
        } else if (type == "redacted_thinking") {
            begin(opened, PartKind::kThought, true);
            sign(opened, block["data"].string());
        } else if (type == "tool_use") {
            canon::PartStarted started;
            started.part = next_part_++;
            started.kind = PartKind::kToolCall;
            started.call_id = std::string(block["id"].string());
            started.name = std::string(block["name"].string());
            opened.kind = PartKind::kToolCall;
            // A stream opens with `{}` and writes the input in deltas; a whole block has it here.
            opened.whole_input = block["input"].is_object() ? block["input"].raw() : "{}";
            const json::Value& caller = block["caller"];
            if (caller.is_object() && caller["type"].string() != "direct") {
                started.opaque = canon::Opaque{std::string(kName), "tool_use",
                    fmt::format(R"({{"caller":{}}})", caller.raw())};
            }
            emit(std::move(started));
        } else {
            // Only this dialect knows the block, so it goes out whole, when it is.
            opened.kind = PartKind::kOpaque;
            opened.opaque_kind = std::string(type);
            for (const json::Member& m : block.members()) {
                opened.members.emplace_back(m.key, m.value.raw());
            }
        }
    }

    Status apply_delta(std::int64_t index, const json::Value& change) {
        const auto found = blocks_.find(index);
        if (found == blocks_.end()) {
            return fail(ErrorCode::kUpstreamProtocol,
                fmt::format("the supplier's stream continues block {}, which is not open", index));
        }
        Block& block = found->second;
        const std::string_view type = change["type"].string();
        if (type == "input_json_delta") {
            const std::string_view json = change["partial_json"].string();
            if (block.kind == PartKind::kToolCall) {
                delta(block, json);
            } else if (block.opaque_input.size() + json.size() > kOpaqueInputBytesMax) {
                return fail(ErrorCode::kUpstreamProtocol,
                    fmt::format("the supplier's stream holds a server tool call of more than {} "
                                "bytes",
                        kOpaqueInputBytesMax));
            } else {
                block.opaque_input += json;
            }
        } else if (block.kind == PartKind::kOpaque) {
            for (const json::Member& m : change.members()) {
                if (m.key != "type") set_member(block.members, m.key, m.value.raw());
            }
        } else if (type == "text_delta") {
            delta(block, change["text"].string());
        } else if (type == "thinking_delta") {
            delta(block, change["thinking"].string());
        } else if (type == "signature_delta") {
            sign(block, change["signature"].string());
        } else if (type == "citations_delta") {
            cite(block, change["citation"]);
        }
        return {};
    }

    void end_block(std::int64_t index) {
        const auto found = blocks_.find(index);
        if (found == blocks_.end()) return;
        Block block = std::move(found->second);
        blocks_.erase(found);
        if (block.kind == PartKind::kToolCall && !block.has_delta) delta(block, block.whole_input);
        if (block.kind == PartKind::kOpaque) emit_opaque(block);
        emit(canon::PartEnded{0, block.part});
    }

    void end_blocks() {
        while (!blocks_.empty()) end_block(blocks_.begin()->first);
    }

    void stop(const json::Value& fields) {
        const auto word = fields["stop_reason"].as_string();
        if (!word || has_finished_) return;
        has_finished_ = true;
        emit(canon::Finished{0, stop_reason_of(*word), std::string(*word),
            std::string(fields["stop_sequence"].string())});
    }

    // What stands beside the content of a message, in its last event where it is streamed.
    void note_envelope(const json::Value& fields) {
        for (const std::string_view key : {"stop_details", "container", "context_management"}) {
            if (!fields[key].is_null()) aside(key, fields[key].raw(), std::nullopt);
        }
    }

    void report_usage(const json::Value& usage) {
        usage_.overlay(usage);
        const std::string_view tier = usage["service_tier"].string();
        if (!tier.empty()) tier_ = tier;  // a stream's last usage leaves it out
        if (!usage_.is_empty()) {
            emit(canon::UsageReported{usage_.total(), tier_, stated(usage)});
        }
        // Both change the price, so they are not kept back where they differ from the usual.
        if (!tier.empty() && tier != "standard") {
            aside("usage.service_tier", usage["service_tier"].raw(), std::nullopt);
        }
        const std::string_view place = usage["inference_geo"].string();
        if (!place.empty() && place != "global" && place != "not_available") {
            aside("usage.inference_geo", usage["inference_geo"].raw(), std::nullopt);
        }
    }

    void end() {
        end_blocks();
        if (!has_finished_) emit(canon::Finished{0, StopReason::kOther, "", ""});
        has_finished_ = true;
        emit(canon::Ended{});
    }

    void fail_with(const json::Value& body) { emit(canon::Failed{failure_of(body, 0)}); }

private:
    struct Block {
        PartKind kind = PartKind::kText;
        std::uint32_t part = 0;
        bool has_delta = false;
        std::string whole_input;
        std::string opaque_kind;
        std::string opaque_input;
        std::vector<std::pair<std::string, std::string>> members;  // of an opaque block, raw
    };

    template <typename E>
    void emit(E event) {
        events_->emplace_back(std::move(event));
    }

    void begin(Block& block, PartKind kind, bool is_redacted = false) {
        block.kind = kind;
        canon::PartStarted started;
        started.part = next_part_++;
        started.kind = kind;
        started.is_redacted = is_redacted;
        emit(std::move(started));
    }

    void delta(Block& block, std::string_view text) {
        if (text.empty()) return;
        block.has_delta = true;
        emit(canon::PartDelta{0, block.part, std::string(text)});
    }

    void sign(const Block& block, std::string_view data) {
        if (!data.empty()) emit(canon::PartSignature{0, block.part, signature_of(data)});
    }

    void aside(std::string_view key, std::string_view json, std::optional<std::uint32_t> choice,
        std::optional<std::uint32_t> part = std::nullopt) {
        emit(canon::Aside{std::string(kName), std::string(key), std::string(json), choice, part});
    }

    void cite(const Block& block, const json::Value& citation) {
        if (!citation.is_null()) aside("citations", citation.raw(), 0, block.part);
    }

    // The usage objects so far laid over each other, since a stream's last one may be a part.
    canon::Opaque stated(const json::Value& usage) {
        for (const json::Member& m : usage.members()) {
            if (!m.value.is_null()) set_member(stated_, m.key, m.value.raw());
        }
        return {std::string(kName), "usage", object_of(stated_)};
    }

    using Members = std::vector<std::pair<std::string, std::string>>;  // raw

    static std::string object_of(const Members& members) {
        std::string text;
        json::Writer writer(text);
        writer.begin_object();
        for (const auto& [name, raw] : members) writer.member_raw(name, raw);
        writer.end_object();
        return text;
    }

    static void set_member(Members& members, std::string_view key, std::string_view raw) {
        for (auto& [name, value] : members) {
            if (name == key) {
                value = std::string(raw);
                return;
            }
        }
        members.emplace_back(key, raw);
    }

    void emit_opaque(Block& block) {
        if (!block.opaque_input.empty()) {
            // A server's own call, cut in the middle, is not JSON: it stays as the text it is.
            const bool is_json = json::Document::parse(block.opaque_input).has_value();
            set_member(block.members, "input",
                is_json ? block.opaque_input : json::quoted(block.opaque_input));
        }
        canon::PartStarted started;
        started.part = block.part = next_part_++;
        started.kind = PartKind::kOpaque;
        started.opaque =
            canon::Opaque{std::string(kName), block.opaque_kind, object_of(block.members)};
        emit(std::move(started));
    }

    Events*& events_;
    std::map<std::int64_t, Block> blocks_;
    std::uint32_t next_part_ = 0;
    UsageCounts usage_;
    Members stated_;
    std::string tier_;  // last stated
    bool has_finished_ = false;
};

class WholeDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, Events&) override {
        body_ += bytes;
        return {};
    }

    Status finish(Events& events) override {
        const auto document = json::Document::parse(std::move(body_));
        if (!document) {
            return fail(ErrorCode::kUpstreamProtocol, "the supplier's reply is not whole JSON",
                document.error().message);
        }
        const json::Value& message = document->root();
        Events* out = &events;
        ReplyReader reader(out);
        if (message["type"].string() == "error" || message["error"].is_object()) {
            reader.fail_with(message);
            return {};
        }
        if (!message["content"].is_array()) {
            return fail(ErrorCode::kUpstreamProtocol, "the supplier's reply is no message",
                excerpt(message.raw(), 200));
        }
        reader.start(message);
        reader.take_content(message);
        reader.end();
        return {};
    }

private:
    std::string body_;
};

class StreamDecoder final : public ReplyDecoder {
public:
    Status feed(std::string_view bytes, Events& events) override {
        out_ = &events;
        seen_.clear();
        const Status fed = parser_.feed(bytes, seen_);
        for (const framing::SseEvent& event : seen_) ENTREPOT_TRY_DO(take(event));
        return fed;
    }

    Status finish(Events& events) override {
        out_ = &events;
        seen_.clear();
        parser_.finish(seen_);
        // Some servers leave out the last empty line; what parses was whole all the same.
        for (const framing::SseEvent& event : seen_) ENTREPOT_TRY_DO(take(event));
        if (is_done_) return {};
        return fail(ErrorCode::kUpstreamProtocol,
            "the supplier's stream stopped before its end (no message_stop)");
    }

private:
    Status take(const framing::SseEvent& event) {
        if (is_done_ || !event.has_data) return {};
        const auto document = json::Document::parse_in_place(event.data);
        if (!document) {
            return fail(ErrorCode::kUpstreamProtocol,
                event.is_complete ? "an event of the supplier's stream is not JSON"
                                  : "the supplier's stream stopped inside an event",
                excerpt(event.data, 200));
        }
        const json::Value& data = document->root();
        const std::string_view type = data["type"].is_string() ? data["type"].string() : event.name;
        const std::int64_t index = data["index"].as_int().value_or(0);
        if (type == "content_block_delta") return reader_.apply_delta(index, data["delta"]);
        if (type == "content_block_start") {
            reader_.start_block(index, data["content_block"]);
        } else if (type == "content_block_stop") {
            reader_.end_block(index);
        } else if (type == "message_start") {
            reader_.start(data["message"]);
            reader_.take_content(data["message"]);
        } else if (type == "message_delta") {
            reader_.end_blocks();
            reader_.stop(data["delta"]);
            reader_.note_envelope(data["delta"]);
            if (data["context_management"].is_object()) reader_.note_envelope(data);
            reader_.report_usage(data["usage"]);
        } else if (type == "message_stop") {
            reader_.end();
            is_done_ = true;
        } else if (type == "error") {
            reader_.fail_with(data);
            is_done_ = true;
        }
        return {};  // `ping`, and what a later version adds
    }

    framing::SseParser parser_;
    std::vector<framing::SseEvent> seen_;
    Events* out_ = nullptr;
    ReplyReader reader_{out_};
    bool is_done_ = false;
};

}  // namespace

StopReason stop_reason_of(std::string_view word) {
    struct Entry {
        std::string_view word;
        StopReason reason;
    };
    static constexpr std::array<Entry, 8> kReasons{{
        {"end_turn", StopReason::kStop},
        {"tool_use", StopReason::kToolCalls},
        {"max_tokens", StopReason::kLength},
        {"stop_sequence", StopReason::kStopSequence},
        {"pause_turn", StopReason::kPause},
        {"compaction", StopReason::kPause},
        {"refusal", StopReason::kRefusal},
        {"model_context_window_exceeded", StopReason::kContextExceeded},
    }};
    for (const Entry& entry : kReasons) {
        if (entry.word == word) return entry.reason;
    }
    return StopReason::kOther;
}

std::unique_ptr<ReplyDecoder> make_reply_decoder(ReplyForm form) {
    if (form == ReplyForm::kWhole) return std::make_unique<WholeDecoder>();
    return std::make_unique<StreamDecoder>();
}

}  // namespace entrepot::dialect::anthropic_messages
