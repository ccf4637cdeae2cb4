#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/openai_small/openai_small.h"
#include "dialect/openai_small/usage.h"
#include "dialect/whole.h"
#include "framing/sse.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_small {
namespace {

using json::Value;

constexpr std::int64_t kCountMax = std::int64_t{1} << 50;  // sums of it stay in 64 bits

class Decoder : public ReplyDecoder {
public:
    Decoder(Endpoint endpoint, const Dialect& errors) : endpoint_(endpoint), errors_(errors) {}

protected:
    /// Appends what a JSON object says: an error, or a passage and what it used.
    void tell(const Value& root, std::string name, std::vector<canon::Event>& events) {
        const bool is_error = !root["error"].is_null() ||
            (root["type"].string() == "error" && !root["message"].is_null());
        if (is_error) {
            has_failed_ = true;
            events.emplace_back(canon::Failed{errors_.decode_failure(502, {}, root.raw())});
            return;
        }
        events.emplace_back(canon::Outcome{canon::Passage{
            std::string(name_of(endpoint_)), std::move(name), std::string(root.raw())}});
        if (const auto used = usage_of(endpoint_, root)) {
            // Of several images each tells its own.
            usage_ = endpoint_ == Endpoint::kCompletions ? *used : usage_ + *used;
            for (std::int64_t& count : usage_.counts) count = std::min(count, kCountMax);
            events.emplace_back(canon::UsageReported{
                .usage = usage_, .service_tier = std::string(root["service_tier"].string())});
        }
    }
    void begin(const Value& root, std::vector<canon::Event>& events) {
        if (has_begun_) return;
        has_begun_ = true;
        events.emplace_back(canon::Started{.id = std::string(root["id"].string()),
            .model = std::string(root["model"].string()),
            .created_s = root["created"].as_int().value_or(0),
            .origin = std::string(name_of(endpoint_))});
    }

    Endpoint endpoint_;
    bool has_begun_ = false;
    bool has_failed_ = false;

private:
    const Dialect& errors_;
    canon::Usage usage_;
};

class WholeReplyDecoder final : public Decoder {
public:
    using Decoder::Decoder;
    void take_headers(std::span<const Header> headers) override {
        const auto type = std::ranges::find(headers, "content-type", &Header::name);
        if (type == headers.end()) return;
        const std::string name =
            to_lower(trim(std::string_view(type->value).substr(0, type->value.find(';'))));
        is_json_ = name.ends_with("json");
    }
    Status feed(std::string_view bytes, std::vector<canon::Event>&) override {
        // What is no JSON says nothing that is read.
        if (is_json_ == false) return {};
        if (body_.size() + bytes.size() > kWholeBytesMax)
            return malformed(fmt::format("is larger than {} bytes", kWholeBytesMax));
        body_ += bytes;
        return {};
    }
    Status finish(std::vector<canon::Event>& events) override {
        const bool may_be_other = endpoint_ == Endpoint::kSpeech ||
            endpoint_ == Endpoint::kTranscriptions || endpoint_ == Endpoint::kTranslations;
        if (is_json_ == false || (!is_json_ && may_be_other && !body_.starts_with('{'))) {
            if (!may_be_other) return malformed("is no JSON");
            events.emplace_back(canon::Started{.origin = std::string(name_of(endpoint_))});
            events.emplace_back(canon::Ended{});
            return {};
        }
        const auto document = json::Document::parse(std::move(body_));
        if (!document) return malformed("is no JSON: " + document.error().message);
        if (!document->root().is_object()) return malformed("is no JSON object");
        begin(document->root(), events);
        tell(document->root(), {}, events);
        if (!has_failed_) events.emplace_back(canon::Ended{});
        return {};
    }

private:
    std::string body_;
    std::optional<bool> is_json_;  ///< by its content type; absent: not said
};

class StreamDecoder final : public Decoder {
public:
    using Decoder::Decoder;
    Status feed(std::string_view bytes, std::vector<canon::Event>& events) override {
        blocks_.clear();
        ENTREPOT_TRY_DO(parser_.feed(bytes, blocks_));
        return read(events);
    }
    Status finish(std::vector<canon::Event>& events) override {
        blocks_.clear();
        parser_.finish(blocks_);
        ENTREPOT_TRY_DO(read(events));
        if (has_failed_ || has_ended_) return {};
        if (!is_complete_) return malformed("broke off before its last event");
        has_ended_ = true;
        events.emplace_back(canon::Ended{});
        return {};
    }

private:
    Status read(std::vector<canon::Event>& events) {
        for (const framing::SseEvent& block : blocks_) {
            if (!block.has_data || has_failed_ || has_ended_) continue;
            if (trim(block.data) == "[DONE]") {
                has_ended_ = true;
                events.emplace_back(canon::Ended{});
                continue;
            }
            const auto document = json::Document::parse(std::string(block.data));
            if (!document || !document->root().is_object())
                return malformed(fmt::format(
                    "holds an event that is no JSON object: {}", excerpt(block.data, 60)));
            const Value& root = document->root();
            begin(root, events);
            tell(root, std::string(block.name), events);
            end_with(root, block.name, events);
        }
        return {};
    }

    /// Completions end with `[DONE]`; the others with an event of their own, of which a request
    /// for several images has several.
    void end_with(const Value& root, std::string_view name, std::vector<canon::Event>& events) {
        const std::string_view type = root["type"].is_string() ? root["type"].string() : name;
        if (type.ends_with(".completed")) is_complete_ = true;
        if (endpoint_ == Endpoint::kCompletions) {
            for (const Value& choice : root["choices"].items())
                if (choice["finish_reason"].is_string()) is_complete_ = true;
            return;
        }
        constexpr std::array<std::string_view, 3> kLast{
            "speech.audio.done", "transcript.text.done", "transcription.done"};  // Mistral's
        if (std::ranges::find(kLast, type) == kLast.end()) return;
        has_ended_ = true;
        events.emplace_back(canon::Ended{});
    }

    framing::SseParser parser_{{.event_bytes_max = std::size_t{32} << 20}};
    std::vector<framing::SseEvent> blocks_;
    bool is_complete_ = false;
    bool has_ended_ = false;
};

class Encoder final : public ReplyEncoder {
public:
    Encoder(Endpoint endpoint, ReplyForm form, const ReplyContext& context, const Dialect& errors)
        : endpoint_(endpoint), form_(form), context_(context), errors_(errors) {}

    void add(const canon::Event& event, std::string& out) override {
        if (const auto* failed = std::get_if<canon::Failed>(&event)) {
            const std::string body = errors_.encode_failure(failed->failure);
            if (form_ == ReplyForm::kWhole)
                out += body;
            else
                framing::append_sse(out, endpoint_ == Endpoint::kCompletions ? "" : "error", body);
        } else if (std::holds_alternative<canon::Ended>(event)) {
            if (form_ == ReplyForm::kStream && endpoint_ == Endpoint::kCompletions)
                framing::append_sse(out, "", "[DONE]");
        } else if (const auto* outcome = std::get_if<canon::Outcome>(&event)) {
            if (const auto* passage = std::get_if<canon::Passage>(&outcome->body))
                pass(*passage, out);
        }
    }
    [[nodiscard]] const std::vector<std::string>& dropped() const override { return dropped_; }

private:
    void pass(const canon::Passage& passage, std::string& out) const {
        if (form_ == ReplyForm::kWhole) {
            out += passage.json;
            return;
        }
        std::string kept;
        if (endpoint_ == Endpoint::kCompletions && !context_.wants_usage) {
            kept = without_usage(passage.json);
            if (kept.empty()) return;
        }
        framing::append_sse(out, passage.name, kept.empty() ? passage.json : kept);
    }

    /// A chunk as it is for a client that did not ask for usage; empty: it gets none.
    static std::string without_usage(const std::string& json) {
        const auto document = json::Document::parse(json);
        if (!document || document->root().find("usage") == nullptr) return json;
        const Value& root = document->root();
        if (root["choices"].items().empty() && root["usage"].is_object()) return {};
        std::string out;
        json::Writer writer(out);
        writer.begin_object();
        for (const json::Member& member : root.members())
            if (member.key != "usage") writer.member_raw(member.key, member.value.raw());
        writer.end_object();
        return out;
    }

    Endpoint endpoint_;
    ReplyForm form_;
    ReplyContext context_;
    const Dialect& errors_;
    std::vector<std::string> dropped_;
};

}  // namespace

std::optional<canon::Usage> usage_of_images_tail(std::string_view tail) {
    const auto stated = last_usage(tail);
    return stated ? usage_of(Endpoint::kImages, stated->root()) : std::nullopt;
}

std::unique_ptr<ReplyDecoder> reply_decoder(
    Endpoint endpoint, ReplyForm form, const Dialect& errors) {
    if (form == ReplyForm::kStream) return std::make_unique<StreamDecoder>(endpoint, errors);
    return std::make_unique<WholeReplyDecoder>(endpoint, errors);
}

std::unique_ptr<ReplyEncoder> reply_encoder(
    Endpoint endpoint, ReplyForm form, const ReplyContext& context, const Dialect& errors) {
    return std::make_unique<Encoder>(endpoint, form, context, errors);
}

}  // namespace entrepot::dialect::openai_small
