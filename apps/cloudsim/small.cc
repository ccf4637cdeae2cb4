#include "cloudsim/small.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "base/text.h"
#include "framing/multipart.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

using canon::Meter;
using json::Value;
using json::Writer;

constexpr std::string_view kPixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg==";
constexpr std::string_view kSpoken = "The sun was setting slowly.";
constexpr std::int64_t kImageTokens = 272;       // a square one at low quality
constexpr std::int64_t kImageInTokens = 323;     // one that is edited
constexpr std::int64_t kPartialTokens = 100;     // one that is shown on the way
constexpr std::int64_t kCompletionTokens = 12;   // of an invented text
constexpr std::int64_t kCompletionDefault = 16;  // OpenAI's `max_tokens`
constexpr std::int64_t kSoundBytes = 32'000;     // a second: 16 kHz, 16 bits, one channel
constexpr std::int64_t kSoundTokens = 10;        // a second

struct Call {
    std::string_view path;
    std::array<std::string_view, 2> models;  ///< a part of the names of those that can
};
constexpr std::array<Call, 8> kCalls{
    {{"completions", {"instruct", "davinci"}}, {"moderations", {"moderation", "moderation"}},
        {"images/generations", {"image", "dall-e"}}, {"images/edits", {"image", "dall-e-2"}},
        {"audio/speech", {"tts", "tts"}}, {"audio/transcriptions", {"whisper", "transcribe"}},
        {"audio/translations", {"whisper", "whisper"}}, {"rerank", {"rerank", "rerank"}}}};

std::unexpected<SmallFault> wrong(std::string message, std::string param) {
    return std::unexpected(SmallFault{std::move(message), std::move(param)});
}

/// Fields of a form or of a JSON body, as texts; files by their sizes.
struct Body {
    std::optional<json::Document> document;
    std::map<std::string, std::string, std::less<>> fields;
    std::map<std::string, std::vector<std::size_t>, std::less<>> files;
    std::string fault;  ///< of a form that is none

    explicit Body(const Incoming& in) {
        const std::string_view type = in.headers.find("content-type").value_or("");
        if (!framing::is_form(type)) {
            if (auto parsed = json::Document::parse(std::string(in.body)))
                document = std::move(*parsed);
            return;
        }
        const auto form = framing::read_form(in.body, type);
        if (!form) {
            fault = form.error().message;
            return;
        }
        for (const framing::FormPart& part : form->parts) {
            if (part.is_file)
                files[part.name].push_back(part.data.size());
            else
                fields[part.name] = part.data;
        }
    }
    [[nodiscard]] std::string text(std::string_view name) const {
        if (document) return std::string(document->root()[name].string());
        const auto found = fields.find(name);
        return found == fields.end() ? std::string() : found->second;
    }
    [[nodiscard]] std::int64_t whole(std::string_view name, std::int64_t otherwise) const {
        if (document) return document->root()[name].as_int().value_or(otherwise);
        const std::string seen = text(name);
        std::int64_t value = otherwise;
        std::from_chars(seen.data(), seen.data() + seen.size(), value);
        return value;
    }
    [[nodiscard]] bool flag(std::string_view name) const {
        return document ? document->root()[name].as_bool().value_or(false) : text(name) == "true";
    }
    [[nodiscard]] std::size_t sizes(std::string_view name) const {
        const auto found = files.find(name);
        return found == files.end() ? 0 : found->second.size();
    }
};

std::int64_t tokens_of(std::size_t bytes) { return static_cast<std::int64_t>((bytes + 3) / 4); }

std::string words(std::int64_t tokens) {
    std::string out;
    for (std::int64_t i = 0; i < tokens; ++i) out += "sea ";
    return out;
}

std::expected<void, SmallFault> read_completions(const Body& body, Ask& ask) {
    if (!body.document) return wrong("We could not parse the JSON body of your request.", "");
    const Value& root = body.document->root();
    const Value& prompt = root["prompt"];
    std::int64_t prompts = 1;
    canon::Usage usage;
    if (prompt.is_string()) {
        usage[Meter::kInput] = tokens_of(prompt.string().size());
    } else if (!prompt.items().empty() && prompt.items().front().is_number()) {
        usage[Meter::kInput] = static_cast<std::int64_t>(prompt.items().size());
    } else {
        prompts = static_cast<std::int64_t>(prompt.items().size());
        for (const Value& item : prompt.items())
            usage[Meter::kInput] += item.is_string()
                ? tokens_of(item.string().size())
                : static_cast<std::int64_t>(item.items().size());
    }
    if (prompts == 0) return wrong("you must provide a prompt", "prompt");
    const std::int64_t n = body.whole("n", 1);
    const std::int64_t best_of = std::max(body.whole("best_of", n), n);
    const std::int64_t cap = body.whole("max_tokens", kCompletionDefault);
    const std::int64_t length = std::min(cap, kCompletionTokens);
    usage[Meter::kOutput] = length * best_of * prompts;
    ask.usage = usage;
    ask.is_stream = body.flag("stream");
    ask.wants_usage =
        !ask.is_stream || root["stream_options"]["include_usage"].as_bool().value_or(false);
    if (!root["stream_options"].is_null() && !ask.is_stream)
        return wrong("The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options");
    const auto head = [model = ask.model](Writer& writer) {
        writer.begin_object().member("id", "cmpl-sim").member("object", "text_completion");
        writer.member("created", 1'700'000'000).member("model", model);
    };
    const auto write_usage = [](Writer& writer, const canon::Usage& used) {
        writer.key("usage").begin_object().member("prompt_tokens", used[Meter::kInput]);
        writer.member("completion_tokens", used[Meter::kOutput]);
        writer.member("total_tokens", used[Meter::kInput] + used[Meter::kOutput]).end_object();
    };
    const std::string finish = cap < kCompletionTokens ? "length" : "stop";
    ask.reply = [=, choices = n * prompts](const Answer& answer, bool has_usage) {
        std::string out;
        Writer writer(out);
        head(writer);
        writer.key("choices").begin_array();
        for (std::int64_t i = 0; i < choices; ++i)
            writer.begin_object()
                .member("text", words(length))
                .member("index", i)
                .member_null("logprobs")
                .member("finish_reason", finish)
                .end_object();
        writer.end_array();
        if (has_usage) write_usage(writer, answer.usage);
        writer.end_object();
        return out;
    };
    ask.reply_events = [=, choices = n * prompts, wants = ask.wants_usage](
                           const Answer& answer, bool has_usage) {
        std::vector<std::string> out;
        const auto event = [&](const auto& rest) {
            std::string json;
            Writer writer(json);
            head(writer);
            rest(writer);
            writer.end_object();
            out.push_back(fmt::format("data: {}\n\n", json));
        };
        for (std::int64_t i = 0; i < choices; ++i) {
            for (std::int64_t t = 0; t <= length; ++t)
                event([&](Writer& writer) {
                    writer.key("choices").begin_array().begin_object();
                    writer.member("text", t < length ? "sea " : "").member("index", i);
                    writer.member_null("logprobs");
                    if (t < length)
                        writer.member_null("finish_reason");
                    else
                        writer.member("finish_reason", finish);
                    writer.end_object().end_array();
                    if (wants) writer.member_null("usage");
                });
        }
        if (wants && has_usage)
            event([&](Writer& writer) {
                writer.key("choices").begin_array().end_array();
                write_usage(writer, answer.usage);
            });
        out.emplace_back("data: [DONE]\n\n");
        return out;
    };
    return {};
}

void read_moderations(const Body& body, Ask& ask) {
    const Value& input = body.document->root()["input"];
    const bool is_list = !input.items().empty() && input.items().front().is_string();
    ask.usage = canon::Usage{};
    ask.reply = [model = ask.model, n = is_list ? input.items().size() : std::size_t{1}](
                    const Answer&, bool) {
        std::string results;
        for (std::size_t i = 0; i < n; ++i)
            results += fmt::format(
                R"({}{{"flagged":false,"categories":{{"hate":false,"violence":false}},)"
                R"("category_scores":{{"hate":0.000012,"violence":0.0004}},)"
                R"("category_applied_input_types":{{"hate":["text"],"violence":["text"]}}}})",
                i == 0 ? "" : ",");
        return fmt::format(
            R"({{"id":"modr-sim","model":{},"results":[{}]}})", json::quoted(model), results);
    };
}

void write_image_usage(Writer& writer, const canon::Usage& used) {
    const std::int64_t in = used[Meter::kInput] + used[Meter::kImageIn];
    writer.key("usage").begin_object();
    writer.member("input_tokens", in).key("input_tokens_details").begin_object();
    writer.member("text_tokens", used[Meter::kInput]);
    writer.member("image_tokens", used[Meter::kImageIn]).end_object();
    writer.member("output_tokens", used[Meter::kImageOut]);
    writer.member("total_tokens", in + used[Meter::kImageOut]).end_object();
}

std::expected<void, SmallFault> read_images(const Body& body, bool is_edit, Ask& ask) {
    const std::string prompt = body.text("prompt");
    if (prompt.empty()) return wrong("Missing required parameter: 'prompt'.", "prompt");
    const bool is_dalle = ask.model.starts_with("dall-e");
    const std::int64_t n = body.whole("n", 1);
    if (n < 1 || n > 10) return wrong("Invalid 'n': integer out of range.", "n");
    static const std::set<std::string, std::less<>> kQualities{"", "low", "medium", "high", "auto"};
    if (!is_dalle && !kQualities.contains(body.text("quality")))
        return wrong(fmt::format("Invalid value: '{}'. Supported values are: 'low', 'medium', "
                                 "'high', and 'auto'.",
                         body.text("quality")),
            "quality");
    if (!is_dalle && !body.text("response_format").empty())
        return wrong("Unknown parameter: 'response_format'.", "response_format");
    const std::size_t images = body.sizes("image") + body.sizes("image[]");
    if (is_edit && images == 0) return wrong("Missing required parameter: 'image'.", "image");
    ask.is_stream = !is_dalle && body.flag("stream");
    const std::int64_t partial = ask.is_stream ? body.whole("partial_images", 0) : 0;
    canon::Usage usage;
    usage[Meter::kImages] = n;
    if (!is_dalle) {
        usage[Meter::kInput] = tokens_of(prompt.size());
        usage[Meter::kImageIn] = static_cast<std::int64_t>(images) * kImageInTokens;
        usage[Meter::kImageOut] = n * (kImageTokens + partial * kPartialTokens);
    }
    ask.usage = usage;
    ask.reply = [n, is_dalle](const Answer& answer, bool has_usage) {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("created", 1'700'000'000).key("data").begin_array();
        for (std::int64_t i = 0; i < n; ++i) {
            writer.begin_object();
            if (is_dalle)
                writer.member("url", "https://images.invalid/1.png");
            else
                writer.member("b64_json", kPixel);
            writer.end_object();
        }
        writer.end_array();
        if (has_usage && !is_dalle) write_image_usage(writer, answer.usage);
        writer.end_object();
        return out;
    };
    ask.reply_events = [partial, kind = std::string(is_edit ? "image_edit" : "image_generation")](
                           const Answer& answer, bool has_usage) {
        std::vector<std::string> out;
        for (std::int64_t i = 0; i <= partial; ++i) {
            const std::string type = kind + (i < partial ? ".partial_image" : ".completed");
            std::string json;
            Writer writer(json);
            writer.begin_object().member("type", type).member("b64_json", kPixel);
            writer.member("created_at", 1'700'000'000).member("size", "1024x1024");
            writer.member("quality", "low").member("background", "opaque");
            writer.member("output_format", "png");
            if (i < partial)
                writer.member("partial_image_index", i);
            else if (has_usage)
                write_image_usage(writer, answer.usage);
            writer.end_object();
            out.push_back(fmt::format("event: {}\ndata: {}\n\n", type, json));
        }
        return out;
    };
    return {};
}

std::expected<void, SmallFault> read_speech(const Body& body, Ask& ask) {
    const std::string input = body.text("input");
    if (input.empty()) return wrong("Missing required parameter: 'input'.", "input");
    if (input.size() > 4096) return wrong("Invalid 'input': string too long.", "input");
    if (body.text("voice").empty()) return wrong("Missing required parameter: 'voice'.", "voice");
    canon::Usage usage;
    usage[Meter::kCharacters] = std::ranges::count_if(
        input, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
    ask.is_stream = body.text("stream_format") == "sse";
    if (ask.is_stream && ask.model.starts_with("tts-"))
        return wrong("'sse' is not supported for this model.", "stream_format");
    if (ask.is_stream) {
        usage[Meter::kInput] = tokens_of(input.size());
        usage[Meter::kAudioOut] = usage[Meter::kCharacters] * 3 / 2;
    }
    ask.usage = usage;
    const std::string sound = "ID3" + std::string(input.size() * 400, '\x7f');
    ask.reply_type = "audio/mpeg";
    ask.reply = [sound](const Answer&, bool) { return sound; };
    ask.reply_events = [sound](const Answer& answer, bool has_usage) {
        std::vector<std::string> out;
        const std::size_t half = sound.size() / 2;
        for (const std::string& piece : {sound.substr(0, half), sound.substr(half)})
            out.push_back(
                fmt::format("data: {{\"type\":\"speech.audio.delta\",\"audio\":\"{}\"}}\n\n",
                    base64_encode(piece)));
        const std::int64_t in = answer.usage[Meter::kInput];
        const std::int64_t made = answer.usage[Meter::kAudioOut];
        out.push_back(has_usage
                ? fmt::format("data: {{\"type\":\"speech.audio.done\",\"usage\":{{\"input_tokens\":"
                              "{},\"output_tokens\":{},\"total_tokens\":{}}}}}\n\n",
                      in, made, in + made)
                : std::string("data: {\"type\":\"speech.audio.done\"}\n\n"));
        return out;
    };
    return {};
}

std::expected<void, SmallFault> read_transcription(const Body& body, Ask& ask) {
    const auto file = body.files.find("file");
    if (file == body.files.end()) return wrong("Missing required parameter: 'file'.", "file");
    const auto bytes = static_cast<std::int64_t>(file->second.front());
    const std::int64_t lasted = std::max<std::int64_t>((bytes + kSoundBytes - 1) / kSoundBytes, 1);
    const bool is_whisper = ask.model.find("whisper") != std::string::npos;
    const std::string format = body.text("response_format");
    static const std::set<std::string, std::less<>> kFormats{
        "", "json", "text", "srt", "vtt", "verbose_json"};
    if (!kFormats.contains(format))
        return wrong(
            "Input should be 'json', 'text', 'vtt', 'srt' or 'verbose_json'", "response_format");
    ask.is_stream = !is_whisper && body.flag("stream");
    canon::Usage usage;
    if (is_whisper) {
        usage[Meter::kAudioSeconds] = lasted;
    } else {
        usage[Meter::kInput] = tokens_of(body.text("prompt").size());
        usage[Meter::kAudioIn] = lasted * kSoundTokens;
        usage[Meter::kOutput] = tokens_of(kSpoken.size());
    }
    ask.usage = usage;
    const auto usage_json = [is_whisper](const canon::Usage& used) {
        if (is_whisper)
            return fmt::format(R"({{"type":"duration","seconds":{}}})", used[Meter::kAudioSeconds]);
        const std::int64_t in = used[Meter::kInput] + used[Meter::kAudioIn];
        return fmt::format(R"({{"type":"tokens","input_tokens":{},"input_token_details":)"
                           R"({{"text_tokens":{},"audio_tokens":{}}},"output_tokens":{},)"
                           R"("total_tokens":{}}})",
            in, used[Meter::kInput], used[Meter::kAudioIn], used[Meter::kOutput],
            in + used[Meter::kOutput]);
    };
    const bool is_json = format.empty() || format == "json" || format == "verbose_json";
    if (!is_json) ask.reply_type = "text/plain; charset=utf-8";
    ask.reply = [=](const Answer& answer, bool has_usage) {
        if (format == "text") return std::string(kSpoken) + "\n";
        if (!is_json)
            return fmt::format("1\n00:00:00,000 --> 00:00:{:02},000\n{}\n", lasted % 60, kSpoken);
        std::string out;
        Writer writer(out);
        writer.begin_object();
        if (format == "verbose_json")
            writer.member("task", "transcribe")
                .member("language", "english")
                .member_raw("duration", fmt::format("{}.0", lasted))
                .key("segments")
                .begin_array()
                .end_array();
        writer.member("text", kSpoken);
        if (has_usage) writer.member_raw("usage", usage_json(answer.usage));
        writer.end_object();
        return out;
    };
    ask.reply_events = [=](const Answer& answer, bool has_usage) {
        std::vector<std::string> out;
        for (const std::string_view piece : {kSpoken.substr(0, 8), kSpoken.substr(8)})
            out.push_back(fmt::format(
                "data: {{\"type\":\"transcript.text.delta\",\"delta\":\"{}\"}}\n\n", piece));
        out.push_back(
            fmt::format("data: {{\"type\":\"transcript.text.done\",\"text\":\"{}\"{}}}\n\n",
                kSpoken, has_usage ? ",\"usage\":" + usage_json(answer.usage) : ""));
        return out;
    };
    return {};
}

std::expected<void, SmallFault> read_rerank(const Body& body, bool is_cohere, Ask& ask) {
    if (!body.document) return wrong("invalid json syntax", "");
    const Value& root = body.document->root();
    if (!root["query"].is_string()) return wrong("query is a required parameter", "query");
    if (root["documents"].items().empty())
        return wrong("invalid request: list of documents must not be empty", "documents");
    struct Place {
        std::size_t index;
        std::size_t matches;
    };
    std::vector<Place> places;
    std::int64_t tokens = 0;
    const std::string query(root["query"].string());
    for (const Value& document : root["documents"].items()) {
        const std::string_view text =
            document.is_string() ? document.string() : document["text"].string();
        std::size_t matches = 0;
        for (const std::string_view word : split(query, ' '))
            matches += text.find(word) != std::string_view::npos ? 1U : 0U;
        places.push_back({places.size(), matches});
        tokens += tokens_of(text.size() + query.size());
    }
    std::ranges::stable_sort(places, std::greater<>(), &Place::matches);
    const auto top = static_cast<std::size_t>(
        root["top_n"].as_int().value_or(static_cast<std::int64_t>(places.size())));
    canon::Usage usage;
    const auto count = static_cast<std::int64_t>(places.size());
    if (is_cohere)
        usage[Meter::kSearches] = (count + 99) / 100;
    else
        usage[Meter::kInput] = tokens;
    if (places.size() > top) places.resize(top);
    ask.usage = usage;
    ask.reply = [places, is_cohere, model = ask.model](const Answer& answer, bool has_usage) {
        std::string out;
        Writer writer(out);
        writer.begin_object().member("id", "rerank-sim");
        if (!is_cohere) writer.member("model", model);
        writer.key("results").begin_array();
        for (const Place& place : places)
            writer.begin_object()
                .member("index", static_cast<std::int64_t>(place.index))
                .member_raw("relevance_score", fmt::format("0.{:02}", 10 + place.matches))
                .end_object();
        writer.end_array();
        if (has_usage && is_cohere)
            writer.member_raw("meta",
                fmt::format(
                    R"({{"api_version":{{"version":"2"}},"billed_units":{{"search_units":{}}}}})",
                    answer.usage[Meter::kSearches]));
        else if (has_usage)
            writer.member_raw(
                "usage", fmt::format(R"({{"total_tokens":{}}})", answer.usage[Meter::kInput]));
        writer.end_object();
        return out;
    };
    return {};
}

}  // namespace

bool does_small(std::string_view model, std::string_view call) {
    const auto found = std::ranges::find(kCalls, call, &Call::path);
    return found != kCalls.end() && std::ranges::any_of(found->models, [&](std::string_view part) {
        return model.find(part) != std::string_view::npos;
    });
}

std::string_view small_call(std::string_view path) {
    constexpr std::string_view kDeployments = "/openai/deployments/";
    if (path.starts_with(kDeployments)) {
        path.remove_prefix(kDeployments.size());
        const std::size_t slash = path.find('/');
        if (slash == std::string_view::npos) return {};
        path.remove_prefix(slash + 1);
    } else {
        bool is_known = false;
        for (const std::string_view prefix : {"/v1/", "/v2/", "/openai/v1/"}) {
            if (is_known || !path.starts_with(prefix)) continue;
            path.remove_prefix(prefix.size());
            is_known = true;
        }
        if (!is_known) return {};
    }
    const auto found = std::ranges::find(kCalls, path, &Call::path);
    return found == kCalls.end() ? std::string_view() : found->path;
}

std::string small_model(const Incoming& in) { return Body(in).text("model"); }

std::expected<void, SmallFault> read_small(
    std::string_view call, const Incoming& in, bool is_cohere, Ask& ask) {
    const Body body(in);
    if (!body.fault.empty()) return wrong(body.fault, "");
    const bool is_form_call = call == "images/edits" || call.starts_with("audio/trans");
    if (!is_form_call && (!body.document || !body.document->root().is_object()))
        return wrong("We could not parse the JSON body of your request.", "");
    if (call == "completions") return read_completions(body, ask);
    if (call == "images/generations") return read_images(body, false, ask);
    if (call == "images/edits") return read_images(body, true, ask);
    if (call == "audio/speech") return read_speech(body, ask);
    if (call.starts_with("audio/trans")) return read_transcription(body, ask);
    if (call == "rerank") return read_rerank(body, is_cohere, ask);
    read_moderations(body, ask);
    return {};
}

}  // namespace entrepot::cloudsim
