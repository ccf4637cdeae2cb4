#include "dialect/cohere/embed.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "canon/vectors.h"
#include "dialect/cohere/parts.h"
#include "dialect/embed.h"
#include "dialect/whole.h"
#include "dialect/wrong.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::EmbedInput;
using canon::EmbedPurpose;
using canon::Meter;
using canon::VectorForm;
using json::Value;
using json::Writer;

constexpr std::string_view kEmbedName = "cohere-embed";

struct FormWord {
    VectorForm form;
    std::string_view word;
};
constexpr std::array kForms{FormWord{VectorForm::kFloat, "float"},
    FormWord{VectorForm::kBase64, "base64"}, FormWord{VectorForm::kInt8, "int8"},
    FormWord{VectorForm::kUint8, "uint8"}, FormWord{VectorForm::kBinary, "binary"},
    FormWord{VectorForm::kUbinary, "ubinary"}};

struct PurposeWord {
    EmbedPurpose purpose;
    std::string_view word;
};
constexpr std::array kPurposes{PurposeWord{EmbedPurpose::kQuery, "search_query"},
    PurposeWord{EmbedPurpose::kDocument, "search_document"},
    PurposeWord{EmbedPurpose::kClassification, "classification"},
    PurposeWord{EmbedPurpose::kClustering, "clustering"}};

constexpr std::string_view kImage = "image";

canon::Media image_of(std::string_view url) {
    canon::Media media;
    media.source = canon::Media::Source::kUrl;
    media.data = url;
    constexpr std::string_view kScheme = "data:";
    constexpr std::string_view kBase64 = ";base64,";
    const std::size_t comma = url.find(kBase64);
    if (url.starts_with(kScheme) && comma != std::string_view::npos) {
        media.source = canon::Media::Source::kBase64;
        media.media_type = url.substr(kScheme.size(), comma - kScheme.size());
        media.data = url.substr(comma + kBase64.size());
    }
    return media;
}

Status read_texts(const Value& texts, canon::Embed& embed) {
    for (std::size_t i = 0; i < texts.items().size(); ++i) {
        const Value& text = texts.items()[i];
        if (!text.is_string()) return wrong(fmt::format("texts[{}]", i), text, "a text");
        EmbedInput input;
        input.parts.emplace_back(canon::Text{std::string(text.string())});
        embed.inputs.push_back(std::move(input));
    }
    return {};
}

Status read_images(const Value& images, canon::Embed& embed) {
    for (std::size_t i = 0; i < images.items().size(); ++i) {
        const Value& image = images.items()[i];
        if (!image.is_string()) return wrong(fmt::format("images[{}]", i), image, "a data URL");
        EmbedInput input;
        input.parts.emplace_back(image_of(image.string()));
        embed.inputs.push_back(std::move(input));
    }
    return {};
}

Status read_inputs(const Value& inputs, canon::Embed& embed) {
    for (std::size_t i = 0; i < inputs.items().size(); ++i) {
        const std::string path = fmt::format("inputs[{}].content", i);
        const Value& content = inputs.items()[i]["content"];
        EmbedInput input;
        for (const Value& part : content.items()) {
            if (part["text"].is_string())
                input.parts.emplace_back(canon::Text{std::string(part["text"].string())});
            else if (part["image_url"]["url"].is_string())
                input.parts.emplace_back(image_of(part["image_url"]["url"].string()));
            else
                return wrong(path, part, "a list of texts and images");
        }
        if (input.parts.empty()) return wrong(path, content, "a list of texts and images");
        embed.inputs.push_back(std::move(input));
    }
    return {};
}

Status read_forms(const Value& types, canon::Embed& embed) {
    for (const Value& type : types.items()) {
        const auto* found = std::ranges::find(kForms, type.string(), &FormWord::word);
        if (found == kForms.end())
            return wrong("embedding_types", type,
                "a list of float, base64, int8, uint8, binary "
                "and ubinary");
        embed.forms.push_back(found->form);
    }
    return {};
}

Result<canon::Request> decode(const json::Document& body, const RequestContext& context) {
    const Value& root = body.root();
    if (!root.is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format("the body must be a JSON object, not {}", json::kind_name(root.kind())));
    canon::Request request;
    request.task = canon::Task::kEmbed;
    request.origin = kName;
    request.family = root["embedding_types"].is_array() ? "types" : "floats";
    request.model =
        context.model && !context.model->empty() ? *context.model : root["model"].string();
    canon::Embed embed;
    ENTREPOT_TRY_DO(read_texts(root["texts"], embed));
    ENTREPOT_TRY_DO(read_images(root["images"], embed));
    ENTREPOT_TRY_DO(read_inputs(root["inputs"], embed));
    if (embed.inputs.empty())
        return wrong("texts", root["texts"], "a list of texts; or give images, or inputs");
    ENTREPOT_TRY_DO(read_forms(root["embedding_types"], embed));
    for (const json::Member& member : root.members()) {
        const std::string_view key = member.key;
        const Value& value = member.value;
        constexpr std::array<std::string_view, 5> kRead{
            "model", "texts", "images", "inputs", "embedding_types"};
        if (value.is_null() || std::ranges::find(kRead, key) != kRead.end()) continue;
        if (key == "input_type") {
            const auto* found = std::ranges::find(kPurposes, value.string(), &PurposeWord::word);
            if (found != kPurposes.end())
                embed.purpose = found->purpose;
            else if (value.string() != kImage)  // which the images say
                request.extras.push_back({std::string(key), std::string(value.raw())});
        } else if (key == "output_dimension") {
            embed.dimensions = value.as_int();
            if (!embed.dimensions || *embed.dimensions < 1)
                return wrong("output_dimension", value, "a whole number from 1");
        } else if (key == "truncate") {
            embed.truncate = to_lower(value.string());
        } else {
            request.extras.push_back({std::string(key), std::string(value.raw())});
        }
    }
    request.work = std::move(embed);
    return request;
}

class RequestWriter {
public:
    RequestWriter(const canon::Request& request, const EncodeTarget& target)
        : request_(request),
          embed_(std::get<canon::Embed>(request.work)),
          target_(target),
          losses_(target.on_lossy, "Cohere's embed"),
          writer_(encoded_.body) {}

    Result<EncodedRequest> run() {
        writer_.begin_object();
        if (!target_.model_id.empty()) writer_.member("model", target_.model_id);
        ENTREPOT_TRY_DO(write_inputs());
        ENTREPOT_TRY_DO(write_purpose());
        write_forms();
        if (embed_.dimensions) writer_.member("output_dimension", *embed_.dimensions);
        if (!embed_.truncate.empty()) {
            std::string word = embed_.truncate;
            for (char& c : word)
                if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
            writer_.member("truncate", word);
        }
        if (embed_.normalize)  // what is asked by default is no other answer
            ENTREPOT_TRY_DO(*embed_.normalize
                    ? losses_.of_hint("normalize", "it is not asked for that")
                    : losses_.of_answer("normalize", "it is not asked for that"));
        if (!request_.user.empty())
            ENTREPOT_TRY_DO(losses_.of_hint("user", "it has no place for users"));
        if (is_home()) {
            for (const canon::Extra& extra : request_.extras)
                writer_.member_raw(extra.path, extra.json);
        } else {
            ENTREPOT_TRY_DO(lose_extras(request_, losses_));
        }
        writer_.end_object();
        encoded_.dropped = losses_.take();
        return std::move(encoded_);
    }

private:
    [[nodiscard]] bool is_home() const { return request_.origin == kName; }

    void write_forms() {
        // Bedrock, which names the model in the path, makes floats of itself; elsewhere it is to be
        // said.
        if (embed_.forms.empty() && target_.model_id.empty()) return;
        writer_.key("embedding_types").begin_array();
        if (embed_.forms.empty()) writer_.string("float");
        for (const VectorForm form : embed_.forms)
            // Floats in base64 are made of floats: only the newest models have them.
            writer_.string(form == VectorForm::kBase64 && !is_home()
                    ? "float"
                    : std::ranges::find(kForms, form, &FormWord::form)->word);
        writer_.end_array();
    }

    static bool is_text(const EmbedInput& input) {
        return input.parts.size() == 1 && std::holds_alternative<canon::Text>(input.parts.front());
    }

    Status write_inputs() {
        if (std::ranges::all_of(embed_.inputs, is_text)) {
            writer_.key("texts").begin_array();
            for (const EmbedInput& input : embed_.inputs)
                writer_.string(std::get<canon::Text>(input.parts.front()).text);
            writer_.end_array();
        } else {
            writer_.key("inputs").begin_array();
            for (const EmbedInput& input : embed_.inputs) {
                if (!input.tokens.empty()) ENTREPOT_TRY_DO(text_of(input, losses_));
                writer_.begin_object().key("content").begin_array();
                for (const auto& part : input.parts) ENTREPOT_TRY_DO(write_part(part));
                writer_.end_array().end_object();
            }
            writer_.end_array();
        }
        for (const EmbedInput& input : embed_.inputs)
            if (!input.title.empty())
                ENTREPOT_TRY_DO(losses_.of_hint("title", "it has no place for titles"));
        return {};
    }

    Status write_part(const std::variant<canon::Text, canon::Media>& part) {
        if (const auto* text = std::get_if<canon::Text>(&part)) {
            writer_.begin_object().member("type", "text").member("text", text->text).end_object();
            return {};
        }
        const auto& media = std::get<canon::Media>(part);
        const bool is_here = media.source == canon::Media::Source::kBase64;
        if (media.kind != canon::Media::Kind::kImage ||
            (!is_here && media.source != canon::Media::Source::kUrl))
            return losses_.refuse("content.parts", "it takes texts, and images in base64");
        writer_.begin_object().member("type", "image_url").key("image_url").begin_object();
        writer_.member("url",
            is_here ? fmt::format("data:{};base64,{}", media.media_type, media.data) : media.data);
        writer_.end_object().end_object();
        return {};
    }

    Status write_purpose() {
        if (says_own_purpose()) return {};  // among the extras
        const bool has_texts = std::ranges::any_of(embed_.inputs, [](const EmbedInput& input) {
            return std::ranges::any_of(input.parts,
                [](const auto& part) { return std::holds_alternative<canon::Text>(part); });
        });
        const EmbedPurpose purpose =
            embed_.purpose != EmbedPurpose::kUnsaid ? embed_.purpose : target_.embed_purpose;
        const auto* found = std::ranges::find(kPurposes, purpose, &PurposeWord::purpose);
        if (found != kPurposes.end()) {
            writer_.member("input_type", found->word);
        } else if (!has_texts) {
            writer_.member("input_type", kImage);
        } else if (purpose != EmbedPurpose::kUnsaid) {
            return losses_.refuse(purpose_field(request_),
                fmt::format("its models know no vectors for '{}'; ask for query, document, "
                            "classification or clustering",
                    canon::embed_purpose_name(purpose)));
        } else {
            return losses_.refuse("input_type",
                "its models must be told what a text is for, and the request does not say; set "
                "input_type of the offer in the configuration");
        }
        return {};
    }

    /// One of a model that is newer than this code.
    [[nodiscard]] bool says_own_purpose() const {
        return is_home() &&
            std::ranges::find(request_.extras, "input_type", &canon::Extra::path) !=
            request_.extras.end();
    }

    const canon::Request& request_;
    const canon::Embed& embed_;
    const EncodeTarget& target_;
    Losses losses_;
    EncodedRequest encoded_;
    Writer writer_;
};

Result<EncodedRequest> encode(const canon::Request& request, const EncodeTarget& target) {
    return RequestWriter(request, target).run();
}

class Decoder final : public WholeDecoder {
private:
    Status read(const Value& root, std::vector<canon::Event>& events) override {
        const Value& embeddings = root["embeddings"];
        if (embeddings.is_null()) {
            if (!root["message"].is_string()) return malformed("has no 'embeddings'");
            events.emplace_back(canon::Failed{decode_failure(502, {}, root.raw())});
            return {};
        }
        events.emplace_back(canon::Started{
            .id = std::string(root["id"].string()), .model = {}, .origin = std::string(kName)});
        if (embeddings.is_array()) {
            ENTREPOT_TRY_DO(take(embeddings, VectorForm::kFloat, events));
        } else {
            for (const json::Member& member : embeddings.members()) {
                const auto* found = std::ranges::find(kForms, member.key, &FormWord::word);
                if (found != kForms.end()) ENTREPOT_TRY_DO(take(member.value, found->form, events));
            }
        }
        const Value& billed = root["meta"]["billed_units"];
        if (!billed.is_object()) return {};
        canon::UsageReported report;
        const auto count = [&](std::string_view name) {
            return std::clamp<std::int64_t>(
                billed[name].as_int().value_or(0), 0, std::int64_t{1} << 50);
        };
        report.usage[Meter::kInput] = count("input_tokens");
        report.usage[Meter::kImageIn] = count("image_tokens");
        report.usage[Meter::kImages] = count("images");
        report.stated = canon::Opaque{std::string(kName), "meta", std::string(root["meta"].raw())};
        events.emplace_back(std::move(report));
        return {};
    }

    static Status take(const Value& list, VectorForm form, std::vector<canon::Event>& events) {
        for (std::size_t i = 0; i < list.items().size(); ++i) {
            const Value& numbers = list.items()[i];
            if (!numbers.is_array() && !numbers.is_string())
                return malformed("has a vector that is no list of numbers");
            canon::Vector vector;
            vector.index = static_cast<std::uint32_t>(i);
            vector.form = form;
            vector.numbers = numbers.is_string() ? numbers.string() : numbers.raw();
            events.emplace_back(canon::Outcome{std::move(vector)});
        }
        return {};
    }
};

class Encoder final : public WholeEncoder {
public:
    using WholeEncoder::WholeEncoder;

private:
    void write(const canon::Reply& reply, std::string& out) override {
        const auto vectors = vectors_of(reply);
        // A list has no word for what its vectors are, so it holds floats or none.
        const bool is_list = context_.family == "floats" &&
            std::ranges::all_of(vectors, [](const canon::Vector* vector) {
                return vector->form == VectorForm::kFloat || vector->form == VectorForm::kBase64;
            });
        Writer writer(out);
        writer.begin_object();
        writer.member("id", reply.started.id.empty() ? context_.id : reply.started.id);
        writer.key("embeddings");
        if (is_list)
            write_list(vectors,
                has(vectors, VectorForm::kFloat) ? VectorForm::kFloat : VectorForm::kBase64,
                writer);
        else
            write_by_type(vectors, writer);
        if (!context_.echo.empty()) writer.member_raw("texts", context_.echo);
        writer.member("response_type", is_list ? "embeddings_floats" : "embeddings_by_type");
        if (reply.stated_usage && reply.stated_usage->origin == kName) {
            writer.member_raw("meta", reply.stated_usage->json);
        } else if (reply.has_usage) {
            writer.key("meta").begin_object().key("billed_units").begin_object();
            writer.member("input_tokens", reply.usage.prompt_tokens());
            writer.end_object().end_object();
        }
        writer.end_object();
    }

    static bool has(const std::vector<const canon::Vector*>& vectors, VectorForm form) {
        return std::ranges::find(vectors, form, &canon::Vector::form) != vectors.end();
    }

    static void write_by_type(const std::vector<const canon::Vector*>& vectors, Writer& writer) {
        writer.begin_object();
        for (const FormWord& named : kForms) {
            if (!has(vectors, named.form)) continue;
            const bool is_base64 = named.form == VectorForm::kBase64;
            if (is_base64 && has(vectors, VectorForm::kFloat)) continue;  // the same numbers
            writer.key(is_base64 ? "float" : named.word);
            write_list(vectors, named.form, writer);
        }
        writer.end_object();
    }

    static void write_list(
        const std::vector<const canon::Vector*>& vectors, VectorForm form, Writer& writer) {
        writer.begin_array();
        for (const canon::Vector* vector : vectors) {
            if (vector->form != form) continue;
            const auto numbers = canon::as_numbers(*vector);
            writer.raw(numbers ? *numbers : "[]");
        }
        writer.end_array();
    }

    std::string failed(const canon::Failure& failure) override { return encode_failure(failure); }
};

/// The texts, which a reply repeats.
std::string echo(const canon::Request& request) {
    std::string out;
    Writer writer(out);
    writer.begin_array();
    for (const EmbedInput& input : std::get<canon::Embed>(request.work).inputs)
        for (const auto& part : input.parts)
            if (const auto* text = std::get_if<canon::Text>(&part)) writer.string(text->text);
    writer.end_array();
    return out;
}

}  // namespace

const Dialect& embed() {
    static constexpr Dialect kDialect{
        .name = kEmbedName,
        .tasks = canon::task_bit(canon::Task::kEmbed),
        .decode_request = decode,
        .encode_request = encode,
        .echo_of = echo,
        .reply_decoder = [](ReplyForm) -> std::unique_ptr<ReplyDecoder> {
            return std::make_unique<Decoder>();
        },
        .reply_encoder = [](ReplyForm, const ReplyContext& context)
            -> std::unique_ptr<ReplyEncoder> { return std::make_unique<Encoder>(context); },
        .decode_failure = decode_failure,
        .encode_failure = encode_failure,
    };
    return kDialect;
}

}  // namespace entrepot::dialect::cohere
