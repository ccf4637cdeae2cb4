// Requests for embeddings, in Google's three forms.
#include <array>

#include "dialect/embed.h"
#include "dialect/gemini/decode.h"
#include "dialect/gemini/embed_parts.h"

namespace entrepot::dialect::gemini {
namespace {

using canon::EmbedInput;
using canon::EmbedPurpose;
using json::Value;
using json::Writer;

struct Word {
    EmbedPurpose purpose;
    std::string_view word;
};
constexpr std::array kWords{
    Word{EmbedPurpose::kQuery, "RETRIEVAL_QUERY"},
    Word{EmbedPurpose::kDocument, "RETRIEVAL_DOCUMENT"},
    Word{EmbedPurpose::kSimilarity, "SEMANTIC_SIMILARITY"},
    Word{EmbedPurpose::kClassification, "CLASSIFICATION"},
    Word{EmbedPurpose::kClustering, "CLUSTERING"},
    Word{EmbedPurpose::kQuestionAnswering, "QUESTION_ANSWERING"},
    Word{EmbedPurpose::kFactVerification, "FACT_VERIFICATION"},
    Word{EmbedPurpose::kCodeQuery, "CODE_RETRIEVAL_QUERY"},
};

std::string_view word_of(EmbedPurpose purpose) {
    const auto* found = std::ranges::find(kWords, purpose, &Word::purpose);
    return found == kWords.end() ? std::string_view() : found->word;
}

/// What one of several requests asks of its vector.
struct Wish {
    EmbedInput input;
    EmbedPurpose purpose = EmbedPurpose::kUnsaid;
    std::optional<std::int64_t> dimensions;
};

Status read_purpose(
    const Value& seen, const std::string& path, Wish& wish, std::vector<canon::Extra>& extras) {
    if (seen.is_null() || seen.string() == "TASK_TYPE_UNSPECIFIED") return {};
    if (!seen.is_string()) return wrong(path, seen, "the name of a task type");
    const auto* found = std::ranges::find(kWords, seen.string(), &Word::word);
    if (found == kWords.end())
        extras.push_back({path, std::string(seen.raw())});
    else
        wish.purpose = found->purpose;
    return {};
}

Status read_dimensions(const Value& seen, const std::string& path, Wish& wish) {
    if (seen.is_null()) return {};
    wish.dimensions = seen.as_int();
    if (!wish.dimensions || *wish.dimensions < 1) return wrong(path, seen, "a whole number from 1");
    return {};
}

Status read_parts(const Value& content, const std::string& path, EmbedInput& input,
    std::vector<canon::Extra>& extras) {
    if (content.is_string()) {  // as the SDKs allow it
        input.parts.emplace_back(canon::Text{std::string(content.string())});
        return {};
    }
    const auto parts = items_of(get(content, "parts"));
    if (parts.empty()) return wrong(path + ".parts", get(content, "parts"), "a list of parts");
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string at = fmt::format("{}.parts[{}]", path, i);
        const Value& data = get(parts[i], "inlineData");
        const Value& file = get(parts[i], "fileData");
        if (const Value& text = get(parts[i], "text"); text.is_string()) {
            input.parts.emplace_back(canon::Text{std::string(text.string())});
        } else if (data.is_object() || file.is_object()) {
            const Value& source = data.is_object() ? data : file;
            canon::Media media;
            media.media_type = get(source, "mimeType").string();
            media.kind = media_kind(media.media_type);
            media.data = get(source, data.is_object() ? "data" : "fileUri").string();
            if (!data.is_object()) media.source = source_of(media.data);
            input.parts.emplace_back(std::move(media));
        } else {
            extras.push_back({at, std::string(parts[i].raw())});
        }
    }
    if (input.parts.empty()) return wrong(path + ".parts", content, "a list of texts or media");
    return {};
}

/// One `EmbedContentRequest`; `path` is empty or ends in a point.
Result<Wish> read_wish(
    const Value& seen, const std::string& path, std::vector<canon::Extra>& extras) {
    Wish wish;
    if (!seen.is_object())
        return wrong(path.empty() ? "body" : path, seen, "an object with 'content'");
    ENTREPOT_TRY_DO(read_parts(get(seen, "content"), path + "content", wish.input, extras));
    ENTREPOT_TRY_DO(read_purpose(get(seen, "taskType"), path + "taskType", wish, extras));
    ENTREPOT_TRY_DO(
        read_dimensions(get(seen, "outputDimensionality"), path + "outputDimensionality", wish));
    wish.input.title = get(seen, "title").string();
    for (const json::Member& member : seen.members()) {
        if (member.value.is_null()) continue;
        const std::string name = camel_of(member.key);
        constexpr std::array<std::string_view, 5> kKnown{
            "model", "content", "taskType", "title", "outputDimensionality"};
        if (std::ranges::find(kKnown, name) == kKnown.end())
            extras.push_back({path + name, std::string(member.value.raw())});
    }
    return wish;
}

/// Of requests that are not alike, canon has no word: what differs stays behind as an extra, which
/// goes home and nowhere else.
void add(Wish wish, const std::string& path, canon::Embed& embed, canon::Request& request) {
    if (embed.inputs.empty()) {
        embed.purpose = wish.purpose;
        embed.dimensions = wish.dimensions;
    }
    if (wish.purpose != embed.purpose)
        request.extras.push_back({path + "taskType", json::quoted(word_of(wish.purpose))});
    if (wish.dimensions != embed.dimensions)
        request.extras.push_back({path + "outputDimensionality",
            wish.dimensions ? std::to_string(*wish.dimensions) : "null"});
    embed.inputs.push_back(std::move(wish.input));
}

canon::Request begin(const RequestContext& context) {
    canon::Request request;
    request.task = canon::Task::kEmbed;
    request.origin = kOrigin;
    request.model = context.model.value_or("");
    return request;
}

}  // namespace

Result<canon::Request> decode_embed(const json::Document& body, const RequestContext& context) {
    canon::Request request = begin(context);
    canon::Embed embed;
    ENTREPOT_TRY(Wish wish, read_wish(body.root(), "", request.extras));
    add(std::move(wish), "", embed, request);
    request.work = std::move(embed);
    return request;
}

Result<canon::Request> decode_batch(const json::Document& body, const RequestContext& context) {
    canon::Request request = begin(context);
    canon::Embed embed;
    const auto items = items_of(get(body.root(), "requests"));
    if (items.empty()) return wrong("requests", get(body.root(), "requests"), "a list of requests");
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::string path = fmt::format("requests[{}].", i);
        std::vector<canon::Extra> extras;
        ENTREPOT_TRY(Wish wish, read_wish(items[i], path, extras));
        add(std::move(wish), path, embed, request);
        std::ranges::move(extras, std::back_inserter(request.extras));
    }
    request.work = std::move(embed);
    return request;
}

Result<canon::Request> decode_predict(const json::Document& body, const RequestContext& context) {
    canon::Request request = begin(context);
    canon::Embed embed;
    const Value& root = body.root();
    const auto instances = items_of(get(root, "instances"));
    if (instances.empty())
        return wrong("instances", get(root, "instances"), "a list of texts with 'content'");
    for (std::size_t i = 0; i < instances.size(); ++i) {
        const std::string path = fmt::format("instances[{}].", i);
        const Value& content = get(instances[i], "content");
        // `predict` runs other models as well, whose instances are none of texts.
        if (!content.is_string()) return wrong(path + "content", content, "a text");
        Wish wish;
        wish.input.parts.emplace_back(canon::Text{std::string(content.string())});
        wish.input.title = get(instances[i], "title").string();
        ENTREPOT_TRY_DO(
            read_purpose(get(instances[i], "taskType"), path + "taskType", wish, request.extras));
        add(std::move(wish), path, embed, request);
        keep_rest(instances[i], path.substr(0, path.size() - 1), {"content", "title", "taskType"},
            request.extras);
    }
    const Value& parameters = get(root, "parameters");
    Wish all;
    ENTREPOT_TRY_DO(read_dimensions(
        get(parameters, "outputDimensionality"), "parameters.outputDimensionality", all));
    embed.dimensions = all.dimensions;
    if (const auto truncates = get(parameters, "autoTruncate").as_bool())
        embed.truncate = *truncates ? "end" : "none";
    keep_rest(parameters, "parameters", {"outputDimensionality", "autoTruncate"}, request.extras);
    keep_rest(root, "", {"instances", "parameters"}, request.extras);
    request.work = std::move(embed);
    return request;
}

namespace {

Status write_part(const std::variant<canon::Text, canon::Media>& part, bool is_own, Writer& writer,
    const Losses& losses) {
    if (const auto* text = std::get_if<canon::Text>(&part)) {
        writer.begin_object().member("text", text->text).end_object();
        return {};
    }
    const auto& media = std::get<canon::Media>(part);
    if (media.source == canon::Media::Source::kBase64)
        writer.begin_object().key("inlineData").begin_object();
    else if (media.source == canon::Media::Source::kStorage || is_own)
        writer.begin_object().key("fileData").begin_object();
    else
        return losses.refuse("content.parts", "Google embeds media in base64 alone");
    if (!media.media_type.empty()) writer.member("mimeType", media.media_type);
    writer.member(media.source == canon::Media::Source::kBase64 ? "data" : "fileUri", media.data);
    writer.end_object().end_object();
    return {};
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request),
          embed_(std::get<canon::Embed>(request.work)),
          target_(target),
          purpose_(embed_.purpose != EmbedPurpose::kUnsaid ? embed_.purpose : target.embed_purpose),
          losses_(target.on_lossy, "Google's embeddings"),
          writer_(encoded_.body) {}

    Result<EncodedRequest> one() {
        if (embed_.inputs.size() != 1)
            return losses_.refuse("input", "this call of the model takes one text");
        ENTREPOT_TRY_DO(write(embed_.inputs.front(), false));
        return end();
    }
    Result<EncodedRequest> batch() {
        writer_.begin_object().key("requests").begin_array();
        for (const EmbedInput& input : embed_.inputs) ENTREPOT_TRY_DO(write(input, true));
        writer_.end_array().end_object();
        return end();
    }
    Result<EncodedRequest> predict() {
        writer_.begin_object().key("instances").begin_array();
        for (const EmbedInput& input : embed_.inputs) {
            ENTREPOT_TRY(const std::string_view text, text_of(input, losses_));
            writer_.begin_object().member("content", text);
            if (purpose_ != EmbedPurpose::kUnsaid) writer_.member("task_type", word_of(purpose_));
            if (!input.title.empty()) writer_.member("title", input.title);
            writer_.end_object();
        }
        writer_.end_array();
        const bool says_truncate = embed_.truncate == "none" || embed_.truncate == "end";
        if (embed_.dimensions || says_truncate) {
            writer_.key("parameters").begin_object();
            if (embed_.dimensions) writer_.member("outputDimensionality", *embed_.dimensions);
            if (says_truncate) writer_.member_bool("autoTruncate", embed_.truncate == "end");
            writer_.end_object();
        }
        writer_.end_object();
        if (says_truncate) truncates_ = true;
        return end();
    }

private:
    Status write(const EmbedInput& input, bool names_model) {
        writer_.begin_object();
        if (names_model) writer_.member("model", embed_model_name(target_.model_id));
        writer_.key("content").begin_object().key("parts").begin_array();
        if (!input.tokens.empty()) ENTREPOT_TRY_DO(text_of(input, losses_));
        for (const auto& part : input.parts)
            ENTREPOT_TRY_DO(write_part(part, request_.origin == kOrigin, writer_, losses_));
        writer_.end_array().end_object();
        if (purpose_ != EmbedPurpose::kUnsaid) writer_.member("taskType", word_of(purpose_));
        if (!input.title.empty()) writer_.member("title", input.title);
        if (embed_.dimensions) writer_.member("outputDimensionality", *embed_.dimensions);
        writer_.end_object();
        return {};
    }

    Result<EncodedRequest> end() {
        ENTREPOT_TRY_DO(need_floats(embed_, losses_));
        if (!request_.user.empty())
            ENTREPOT_TRY_DO(losses_.of_hint("user", "it has no place for users"));
        if (!embed_.truncate.empty() && !truncates_)
            ENTREPOT_TRY_DO(losses_.of_hint("truncate", "it is not asked what to do there"));
        if (embed_.normalize)  // what is asked by default is no other answer
            ENTREPOT_TRY_DO(*embed_.normalize
                    ? losses_.of_hint("normalize", "it is not asked for that")
                    : losses_.of_answer("normalize", "it is not asked for that"));
        ENTREPOT_TRY_DO(lose_extras(request_, losses_));
        encoded_.dropped = losses_.take();
        return std::move(encoded_);
    }

    const canon::Request& request_;
    const canon::Embed& embed_;
    const EncodeTarget& target_;
    EmbedPurpose purpose_;
    Losses losses_;
    EncodedRequest encoded_;
    Writer writer_;
    bool truncates_ = false;
};

}  // namespace

Result<EncodedRequest> encode_embed(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).one();
}
Result<EncodedRequest> encode_batch(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).batch();
}
Result<EncodedRequest> encode_predict(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).predict();
}

std::string embed_model_name(std::string_view model_id) {
    if (model_id.find('/') != std::string_view::npos) return std::string(model_id);
    return fmt::format("models/{}", model_id);
}

// The path names the model, and what the body says of it has to agree.
Result<std::string> rename_in_body(
    std::string_view body, std::string_view, std::string_view model) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(body)));
    std::vector<std::string_view> names;
    const auto note = [&](const Value& object) {
        for (const json::Member& member : object.members())
            if (member.key == "model" && member.value.is_string())
                names.push_back(member.value.raw());
    };
    const Value& root = document.root();
    note(root);
    for (const Value& item : items_of(get(root, "requests"))) note(item);
    note(get(root, "generateContentRequest"));
    std::ranges::sort(names, {}, &std::string_view::data);
    const std::string_view text = document.text();
    std::string out;
    std::size_t from = 0;
    for (const std::string_view name : names) {
        const auto at = static_cast<std::size_t>(name.data() - text.data());
        out.append(text, from, at - from);
        out += json::quoted(embed_model_name(model));
        from = at + name.size();
    }
    out.append(text, from);
    return out;
}

}  // namespace entrepot::dialect::gemini
