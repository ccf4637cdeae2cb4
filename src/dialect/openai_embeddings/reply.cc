#include <algorithm>

#include "canon/vectors.h"
#include "dialect/embed.h"
#include "dialect/openai_embeddings/openai_embeddings.h"
#include "dialect/whole.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_embeddings {
namespace {

using canon::Meter;
using json::Value;

/// Voyage states the total alone; some servers state zeros, which is to state nothing.
void read_usage(const Value& usage, std::vector<canon::Event>& events) {
    std::int64_t tokens = usage["prompt_tokens"].as_int().value_or(0);
    if (tokens <= 0) tokens = usage["total_tokens"].as_int().value_or(0);
    if (tokens <= 0) return;
    canon::UsageReported report;
    report.usage[Meter::kInput] = std::min(tokens, std::int64_t{1} << 50);
    report.stated = canon::Opaque{std::string(kName), "usage", std::string(usage.raw())};
    events.emplace_back(std::move(report));
}

class Decoder final : public WholeDecoder {
public:
    explicit Decoder(const Dialect& errors) : errors_(errors) {}

private:
    Status read(const Value& root, std::vector<canon::Event>& events) override {
        if (!root["data"].is_array()) {
            if (root["error"].is_null()) return malformed("has no 'data'");
            events.emplace_back(canon::Failed{errors_.decode_failure(502, {}, root.raw())});
            return {};
        }
        events.emplace_back(canon::Started{.id = std::string(root["id"].string()),
            .model = std::string(root["model"].string()),
            .origin = std::string(kName)});
        const auto data = root["data"].items();
        for (std::size_t i = 0; i < data.size(); ++i) {
            const Value& numbers = data[i]["embedding"];
            if (!numbers.is_array() && !numbers.is_string())
                return malformed("has an item without 'embedding'");
            canon::Vector vector;
            const auto index = data[i]["index"].as_int();
            vector.index = index && *index >= 0 && *index < static_cast<std::int64_t>(data.size())
                ? static_cast<std::uint32_t>(*index)
                : static_cast<std::uint32_t>(i);
            if (numbers.is_string()) {
                if (!canon::numbers_of_base64(numbers.string()))
                    return malformed("has a vector that is no float32 in base64");
                vector.form = canon::VectorForm::kBase64;
                vector.numbers = numbers.string();
            } else {
                vector.numbers = numbers.raw();
            }
            events.emplace_back(canon::Outcome{std::move(vector)});
        }
        read_usage(root["usage"], events);
        return {};
    }

    const Dialect& errors_;
};

class Encoder final : public WholeEncoder {
public:
    Encoder(const Dialect& errors, const ReplyContext& context)
        : WholeEncoder(context), errors_(errors) {}

private:
    void write(const canon::Reply& reply, std::string& out) override {
        json::Writer writer(out);
        writer.begin_object().member("object", "list").key("data").begin_array();
        for (const canon::Vector* vector : vectors_of(reply)) {
            writer.begin_object().member("object", "embedding").member("index", vector->index);
            write_numbers(*vector, writer);
            writer.end_object();
        }
        writer.end_array();
        writer.member("model", context_.model.empty() ? reply.started.model : context_.model);
        writer.key("usage");
        if (reply.stated_usage && reply.stated_usage->origin == kName) {
            writer.raw(reply.stated_usage->json);
        } else {
            const std::int64_t tokens =
                reply.has_usage ? reply.usage.prompt_tokens() : context_.prompt_tokens_estimate;
            writer.begin_object();
            writer.member("prompt_tokens", tokens).member("total_tokens", tokens).end_object();
        }
        writer.end_object();
    }

    void write_numbers(const canon::Vector& vector, json::Writer& writer) const {
        const bool wants_base64 = context_.family == "base64";
        const auto made = wants_base64 ? canon::as_base64(vector) : canon::as_numbers(vector);
        // What cannot be the one stays the other: SDKs read both.
        const bool is_text = vector.form == canon::VectorForm::kBase64 ? wants_base64 || !made
                                                                       : wants_base64 && made;
        if (is_text)
            writer.member("embedding", made ? *made : vector.numbers);
        else
            writer.member_raw("embedding", made ? *made : vector.numbers);
    }

    std::string failed(const canon::Failure& failure) override {
        return errors_.encode_failure(failure);
    }

    const Dialect& errors_;
};

}  // namespace

std::unique_ptr<ReplyDecoder> reply_decoder(const Dialect& errors) {
    return std::make_unique<Decoder>(errors);
}

std::unique_ptr<ReplyEncoder> reply_encoder(const Dialect& errors, const ReplyContext& context) {
    return std::make_unique<Encoder>(errors, context);
}

std::optional<canon::Usage> usage_of_tail(std::string_view tail) {
    std::vector<canon::Event> events;
    if (const auto stated = last_usage(tail)) read_usage(stated->root()["usage"], events);
    if (events.empty()) return std::nullopt;
    return std::get<canon::UsageReported>(events.front()).usage;
}

bool passes_reply(std::string_view body, std::string_view family) {
    constexpr std::string_view kKey = "\"embedding\"";
    for (std::size_t at = body.find(kKey); at != std::string_view::npos;
        at = body.find(kKey, at + kKey.size())) {
        // It is a value as well: of `object`.
        std::size_t next = body.find_first_not_of(" \t\r\n", at + kKey.size());
        if (next == std::string_view::npos || body[next] != ':') continue;
        next = body.find_first_not_of(" \t\r\n", next + 1);
        if (next == std::string_view::npos) return true;
        if ((body[next] == '"') == (family == "base64")) return true;
        // Some encode numbers as they like, unasked: what is no float32 is not ours to decode.
        const std::size_t end =
            body[next] == '"' ? body.find('"', next + 1) : std::string_view::npos;
        return end != std::string_view::npos &&
            !canon::numbers_of_base64(body.substr(next + 1, end - next - 1));
    }
    return true;  // an error, or nothing that we know
}

}  // namespace entrepot::dialect::openai_embeddings
