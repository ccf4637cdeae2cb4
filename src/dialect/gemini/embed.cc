// Replies with vectors, in Google's three forms.
#include "dialect/gemini/embed.h"

#include "canon/vectors.h"
#include "dialect/embed.h"
#include "dialect/gemini/embed_parts.h"
#include "dialect/whole.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

enum class Form : std::uint8_t { kOne, kBatch, kPredict };

class Decoder final : public WholeDecoder {
public:
    explicit Decoder(Form form) : form_(form) {}

private:
    Status read(const Value& root, std::vector<canon::Event>& events) override {
        if (const Value& error = get(root, "error"); error.is_object()) {
            events.emplace_back(canon::Failed{failure_of(error)});
            return {};
        }
        events.emplace_back(canon::Started{.id = {}, .model = {}, .origin = std::string(kOrigin)});
        switch (form_) {
            case Form::kOne: ENTREPOT_TRY_DO(take(get(root, "embedding"), 0, events)); break;
            case Form::kBatch: {
                if (get(root, "embeddings").is_null()) return malformed("has no 'embeddings'");
                const auto list = items_of(get(root, "embeddings"));
                for (std::size_t i = 0; i < list.size(); ++i)
                    ENTREPOT_TRY_DO(take(list[i], i, events));
                break;
            }
            case Form::kPredict: return read_predictions(root, events);
        }
        if (const Value& metadata = get(root, "usageMetadata"); metadata.is_object()) {
            UsageReader reader;
            if (reader.lay_over(metadata)) {
                canon::UsageReported report{reader.usage()};
                report.stated =
                    canon::Opaque{std::string(kOrigin), "usage", std::string(metadata.raw())};
                events.emplace_back(std::move(report));
            }
        }
        return {};
    }

    static Status take(
        const Value& embedding, std::size_t index, std::vector<canon::Event>& events) {
        const Value& values = get(embedding, "values");
        if (!values.is_array()) return malformed("has an embedding without 'values'");
        canon::Vector vector;
        vector.index = static_cast<std::uint32_t>(index);
        vector.numbers = values.raw();
        events.emplace_back(canon::Outcome{std::move(vector)});
        return {};
    }

    static Status read_predictions(const Value& root, std::vector<canon::Event>& events) {
        if (get(root, "predictions").is_null()) return malformed("has no 'predictions'");
        const auto list = items_of(get(root, "predictions"));
        canon::Usage usage;
        bool is_counted = !list.empty();
        for (std::size_t i = 0; i < list.size(); ++i) {
            const Value& embeddings = get(list[i], "embeddings");
            ENTREPOT_TRY_DO(take(embeddings, i, events));
            const auto tokens = get(get(embeddings, "statistics"), "tokenCount").as_int();
            is_counted = is_counted && tokens && *tokens >= 0;
            if (is_counted) usage[Meter::kInput] += std::min(*tokens, std::int64_t{1} << 40);
        }
        if (is_counted) events.emplace_back(canon::UsageReported{usage});
        return {};
    }

    Form form_;
};

class Encoder final : public WholeEncoder {
public:
    Encoder(const ReplyContext& context, Form form) : WholeEncoder(context), form_(form) {}

private:
    void write(const canon::Reply& reply, std::string& out) override {
        const auto vectors = vectors_of(reply);
        Writer writer(out);
        writer.begin_object();
        if (form_ == Form::kPredict) {
            write_predictions(reply, vectors, writer);
            writer.end_object();
            return;
        }
        if (form_ == Form::kBatch) {
            writer.key("embeddings").begin_array();
            for (const canon::Vector* vector : vectors) write_values(*vector, writer);
            writer.end_array();
        } else {
            writer.key("embedding");
            write_values(vectors.empty() ? canon::Vector{0, {}, "[]"} : *vectors.front(), writer);
        }
        if (reply.has_usage) {
            writer.key("usageMetadata");
            if (reply.stated_usage && reply.stated_usage->origin == kOrigin) {
                writer.raw(reply.stated_usage->json);
            } else {
                const std::int64_t tokens = reply.usage.prompt_tokens();
                writer.begin_object().member("promptTokenCount", tokens);
                writer.member("totalTokenCount", tokens).end_object();
            }
        }
        writer.end_object();
    }

    static void write_numbers(const canon::Vector& vector, Writer& writer) {
        const auto numbers = canon::as_numbers(vector);
        writer.member_raw("values", numbers ? *numbers : "[]");
    }
    static void write_values(const canon::Vector& vector, Writer& writer) {
        writer.begin_object();
        write_numbers(vector, writer);
        writer.end_object();
    }

    // Clients read a count for each text, and nobody else's reply has one: they get shares of the
    // whole, so that their sum is what was counted.
    void write_predictions(const canon::Reply& reply,
        const std::vector<const canon::Vector*>& vectors, Writer& writer) const {
        const std::int64_t tokens =
            reply.has_usage ? reply.usage.prompt_tokens() : context_.prompt_tokens_estimate;
        const auto count = static_cast<std::int64_t>(vectors.size());
        writer.key("predictions").begin_array();
        for (std::int64_t i = 0; i < count; ++i) {
            writer.begin_object().key("embeddings").begin_object();
            write_numbers(*vectors[static_cast<std::size_t>(i)], writer);
            writer.key("statistics").begin_object().member_bool("truncated", false);
            writer.member("token_count", tokens / count + (i < tokens % count ? 1 : 0));
            writer.end_object().end_object().end_object();
        }
        writer.end_array();
    }

    std::string failed(const canon::Failure& failure) override { return encode_failure(failure); }

    Form form_;
};

template <Form form>
constexpr Dialect make(std::string_view name, auto decode, auto encode) {
    return {.name = name,
        .tasks = canon::task_bit(canon::Task::kEmbed),
        .has_model_in_path = true,
        .model_field = "",
        .decode_request = decode,
        .encode_request = encode,
        .rename_model = rename_in_body,
        .reply_decoder = [](ReplyForm) -> std::unique_ptr<ReplyDecoder> {
            return std::make_unique<Decoder>(form);
        },
        .reply_encoder = [](ReplyForm, const ReplyContext& context)
            -> std::unique_ptr<ReplyEncoder> { return std::make_unique<Encoder>(context, form); },
        .decode_failure = decode_failure,
        .encode_failure = encode_failure};
}

constexpr Dialect kOne = make<Form::kOne>("gemini-embed", decode_embed, encode_embed);
constexpr Dialect kBatch = make<Form::kBatch>("gemini-embed-batch", decode_batch, encode_batch);
constexpr Dialect kPredict = make<Form::kPredict>("vertex-predict", decode_predict, encode_predict);

}  // namespace

const Dialect& embed() { return kOne; }
const Dialect& embed_batch() { return kBatch; }
const Dialect& embed_predict() { return kPredict; }

}  // namespace entrepot::dialect::gemini
