#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "canon/audio_length.h"
#include "dialect/openai_small/fields.h"
#include "dialect/openai_small/openai_small.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_small {
namespace {

using canon::Piecework;
using canon::Request;
using json::Value;

constexpr std::int64_t kChoicesMax = 10'000;
constexpr std::int64_t kImagesMax = 100;

struct Row {
    std::string_view name;
    canon::Task task;
};
constexpr std::array<Row, kEndpointCount> kRows{
    {{"openai-completions", canon::Task::kComplete}, {"openai-moderations", canon::Task::kModerate},
        {"openai-images", canon::Task::kMakeImage}, {"openai-image-edits", canon::Task::kMakeImage},
        {"openai-speech", canon::Task::kSpeak}, {"openai-transcriptions", canon::Task::kTranscribe},
        {"openai-translations", canon::Task::kTranscribe}}};

const Row& row_of(Endpoint endpoint) { return kRows[static_cast<std::size_t>(endpoint)]; }

std::int64_t bytes_of(std::string_view text) { return static_cast<std::int64_t>(text.size()); }

constexpr std::string_view kPrompts =
    "a text, a list of texts, a list of token ids, or a list of such lists";

Status read_prompts(const Value& prompt, Piecework& work) {
    // None is the beginning of a document.
    if (prompt.is_null()) return {};
    if (prompt.is_string()) {
        work.prompt_bytes = bytes_of(prompt.string());
        return {};
    }
    const auto items = prompt.items();
    if (items.empty()) return wrong("prompt", prompt.raw(), kPrompts);
    const auto count_tokens = [&](const Value& list) {
        const bool are_ids = std::ranges::all_of(
            list.items(), [](const Value& id) { return id.as_int().value_or(-1) >= 0; });
        if (are_ids) work.prompt_tokens += static_cast<std::int64_t>(list.items().size());
        return are_ids && !list.items().empty();
    };
    if (items.front().is_number())
        return count_tokens(prompt) ? Status{} : wrong("prompt", prompt.raw(), kPrompts);
    work.prompts = static_cast<std::int64_t>(items.size());
    for (const Value& item : items) {
        if (item.is_string())
            work.prompt_bytes += bytes_of(item.string());
        else if (!item.is_array() || !count_tokens(item))
            return wrong("prompt", item.raw(), kPrompts);
    }
    return {};
}

Status read_completions(const Fields& fields, Piecework& work, Request& request) {
    if (fields.is_form())
        return fail(ErrorCode::kBadRequest, "a form is not served here; send JSON");
    ENTREPOT_TRY_DO(read_prompts(fields.root()["prompt"], work));
    ENTREPOT_TRY(const auto suffix, fields.text("suffix"));
    if (suffix) work.prompt_bytes += bytes_of(*suffix);
    ENTREPOT_TRY(request.output_tokens_max, fields.whole("max_tokens", 0, 1'000'000'000));
    ENTREPOT_TRY(const auto n, fields.whole("n", 1, kChoicesMax));
    ENTREPOT_TRY(const auto best_of, fields.whole("best_of", 1, kChoicesMax));
    // Every candidate is written and billed, also those that are not shown.
    request.choices = std::max(n.value_or(1), best_of.value_or(1)) * work.prompts;
    ENTREPOT_TRY(request.is_stream, fields.flag("stream"));
    request.wants_usage =
        fields.root()["stream_options"]["include_usage"].as_bool().value_or(false);
    const Value& logprobs = fields.root()["logprobs"];
    request.logprobs = logprobs.is_number() || logprobs.as_bool().value_or(false);
    return {};
}

Status read_images(const Fields& fields, bool is_edit, Piecework& work, Request& request) {
    ENTREPOT_TRY(const auto prompt, fields.text("prompt"));
    if (!prompt) return wrong("prompt", "", "a text");
    work.prompt_bytes = bytes_of(*prompt);
    ENTREPOT_TRY(const auto n, fields.whole("n", 1, kImagesMax));
    work.images = n.value_or(1);
    ENTREPOT_TRY(request.is_stream, fields.flag("stream"));
    ENTREPOT_TRY(const auto partial, fields.whole("partial_images", 0, 10));
    if (request.is_stream) work.partial_images = partial.value_or(0);
    if (!is_edit) return {};
    if (fields.is_form()) {
        for (const framing::FormPart& part : fields.form().parts)
            if (part.is_file || part.name == "image" || part.name == "image[]" ||
                part.name == "mask")
                ++work.images_in;
        if (work.images_in == 0) return wrong("image", "", "a file, or several as 'image[]'");
        return {};
    }
    const Value& images = fields.root()["images"];
    if (images.items().empty()) return wrong("images", images.raw(), "a list of images");
    work.images_in = static_cast<std::int64_t>(images.items().size());
    for (const Value& image : images.items())
        if (!image["file_id"].is_null()) ++work.file_ids;
    const Value& mask = fields.root()["mask"];
    if (!mask.is_null()) ++work.images_in;
    if (!mask["file_id"].is_null()) ++work.file_ids;
    return {};
}

Status read_speech(const Fields& fields, Piecework& work, Request& request) {
    ENTREPOT_TRY(const auto input, fields.text("input"));
    if (!input || input->empty()) return wrong("input", "", "the text to be spoken");
    ENTREPOT_TRY(const auto instructions, fields.text("instructions"));
    work.characters = characters_of(*input);
    work.prompt_bytes = bytes_of(*input) + (instructions ? bytes_of(*instructions) : 0);
    ENTREPOT_TRY(const auto form, fields.text("stream_format"));
    request.is_stream = form == "sse";
    return {};
}

/// Some servers fetch a URL, or keep files: of unknown length. Which of two sounds is heard where
/// one is sent beside, is theirs to say.
constexpr std::array<std::string_view, 3> kElsewhere{"file_url", "file_id", "url"};

bool names_elsewhere(const Value& object) {
    return std::ranges::any_of(object.members(), [](const json::Member& member) {
        return !member.value.is_null() &&
            std::ranges::find(kElsewhere, member.key) != kElsewhere.end();
    });
}

Status read_transcription(const Fields& fields, Piecework& work, Request& request) {
    ENTREPOT_TRY(const auto prompt, fields.text("prompt"));
    work.prompt_bytes = prompt ? bytes_of(*prompt) : 0;
    ENTREPOT_TRY(request.is_stream, fields.flag("stream"));
    if (fields.is_form()) {
        const framing::Form& form = fields.form();
        const framing::FormPart* file = form.find("file");
        const bool is_elsewhere =
            std::ranges::any_of(kElsewhere, [&](auto name) { return form.find(name) != nullptr; });
        if (file == nullptr && !is_elsewhere) return wrong("file", "", "a sound file");
        if (file != nullptr) work.audio_seconds_max = canon::audio_seconds_max(file->data);
        if (is_elsewhere) ++work.file_ids;
        return {};
    }
    const Value& audio = fields.root()["input_audio"];
    std::string sound;
    const bool is_here = audio["data"].is_string() && base64_decode(audio["data"].string(), sound);
    if (is_here) work.audio_seconds_max = canon::audio_seconds_max(sound);
    const bool is_alone = std::ranges::count(audio.members(), "data", &json::Member::key) == 1;
    const Value& root = fields.root();
    if (!is_here || !is_alone || !root["file"].is_null() || names_elsewhere(root) ||
        names_elsewhere(audio))
        ++work.file_ids;
    return {};
}

/// The client's own, with the wish for usage.
void write_stream_options(const Request& request, json::Writer& writer) {
    writer.key("stream_options").begin_object();
    const auto own = std::ranges::find(request.extras, "stream_options", &canon::Extra::path);
    if (own != request.extras.end())
        if (const auto options = json::Document::parse(own->json))
            for (const json::Member& member : options->root().members())
                if (member.key != "include_usage")
                    writer.member_raw(member.key, member.value.raw());
    writer.member_bool("include_usage", true).end_object();
}

/// `omni-moderation-latest` is what OpenAI takes when nobody says; elsewhere the model is named.
constexpr std::string_view kModerationModel = "omni-moderation-latest";

}  // namespace

std::string_view name_of(Endpoint endpoint) { return row_of(endpoint).name; }
canon::Task task_of(Endpoint endpoint) { return row_of(endpoint).task; }

Result<Request> decode_request(
    Endpoint endpoint, const json::Document& body, const RequestContext& context) {
    ENTREPOT_TRY(const Fields fields, Fields::read(body, context));
    Request request;
    request.task = task_of(endpoint);
    request.origin = name_of(endpoint);
    ENTREPOT_TRY(const auto model, fields.text("model"));
    if (model) request.model = *model;
    if (context.model && !context.model->empty()) request.model = *context.model;
    ENTREPOT_TRY(const auto user, fields.text("user"));
    if (user) request.user = *user;
    Piecework work;
    Status read;
    switch (endpoint) {
        case Endpoint::kCompletions: read = read_completions(fields, work, request); break;
        case Endpoint::kModerations:
            if (fields.root()["input"].is_null())
                read = wrong("input", "", "a text, a list of texts, or a list of parts");
            if (request.model.empty()) request.model = kModerationModel;
            break;
        case Endpoint::kImages: read = read_images(fields, false, work, request); break;
        case Endpoint::kImageEdits: read = read_images(fields, true, work, request); break;
        case Endpoint::kSpeech: read = read_speech(fields, work, request); break;
        case Endpoint::kTranscriptions:
        case Endpoint::kTranslations: read = read_transcription(fields, work, request); break;
    }
    if (!read) return std::unexpected(std::move(read).error());
    request.work = work;
    if (fields.is_form()) return request;
    for (const json::Member& member : body.root().members())
        request.extras.push_back({std::string(member.key), std::string(member.value.raw())});
    return request;
}

Result<EncodedRequest> encode_request(
    Endpoint endpoint, const Request& request, const EncodeTarget& target) {
    if (request.origin != name_of(endpoint) || request.extras.empty())
        return fail_field(ErrorCode::kUnsupported, "model",
            fmt::format(
                "the supplier of '{}' has no call of the kind of {}, and this one cannot be "
                "carried to another",
                target.model_id, request.origin));
    const bool asks_usage =
        endpoint == Endpoint::kCompletions && request.is_stream && target.can_ask_stream_usage;
    EncodedRequest encoded;
    json::Writer writer(encoded.body);
    writer.begin_object().member("model", target.model_id);
    for (const canon::Extra& extra : request.extras)
        if (extra.path != "model" && !(asks_usage && extra.path == "stream_options") &&
            !(target.states_output_cap && extra.path == "max_tokens"))
            writer.member_raw(extra.path, extra.json);
    if (target.states_output_cap)
        writer.member(
            "max_tokens", request.output_tokens_max.value_or(target.output_tokens_default));
    if (asks_usage) write_stream_options(request, writer);
    writer.end_object();
    return encoded;
}

Result<std::string> rename_model(
    std::string_view body, std::string_view content_type, std::string_view model) {
    ENTREPOT_TRY(const framing::Form form, framing::read_form(body, content_type));
    return form.with("model", model);
}

}  // namespace entrepot::dialect::openai_small
