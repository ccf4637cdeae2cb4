#include "dialect/bedrock_invoke/prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "canon/field_names.h"
#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/losses.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::Item;
using canon::Media;
using json::Value;

constexpr std::string_view kImages = "images";  // Llama 3.2 and later: base64, without their type

std::unexpected<Error> wrong(std::string field, const Value& seen, std::string_view accepted) {
    return fail_field(ErrorCode::kInvalidField, std::move(field),
        fmt::format("expected {}, got {} ({})", accepted, excerpt(seen.raw(), 60),
            json::kind_name(seen.kind())));
}

double number(const canon::NumberText& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// What the first bytes of an image say it is, in base64.
std::string_view image_type_of(std::string_view base64) {
    if (base64.starts_with("/9j/")) return "image/jpeg";
    if (base64.starts_with("iVBOR")) return "image/png";
    if (base64.starts_with("R0lGOD")) return "image/gif";
    if (base64.starts_with("UklGR")) return "image/webp";
    return {};
}

class Decoder {
public:
    Decoder(const PromptFormat& format, const Value& body)
        : format_(format),
          body_(body),
          settings_(format.settings.empty() ? body : body[format.settings]) {}

    Result<canon::Request> run() {
        request_.origin = kName;
        request_.family = family_name(format_.family);
        request_.wants_usage = true;
        ENTREPOT_TRY_DO(read_prompt());
        if (!settings_.is_null() && !settings_.is_object())
            return wrong(std::string(format_.settings), settings_, "an object");
        ENTREPOT_TRY_DO(read_whole_number(format_.cap, request_.output_tokens_max));
        ENTREPOT_TRY_DO(read_whole_number(format_.top_k, request_.top_k));
        ENTREPOT_TRY_DO(read_whole_number(format_.choices, request_.choices));
        ENTREPOT_TRY_DO(read_number(format_.temperature, request_.temperature));
        ENTREPOT_TRY_DO(read_number(format_.top_p, request_.top_p));
        ENTREPOT_TRY_DO(read_stops());
        keep_rest();
        ENTREPOT_TRY_DO(canon::refuse_odd_names(request_));
        return std::move(request_);
    }

private:
    [[nodiscard]] std::string path_of(std::string_view key) const {
        return format_.settings.empty() ? std::string(key)
                                        : fmt::format("{}.{}", format_.settings, key);
    }

    Status read_prompt() {
        const Value& prompt = body_[format_.prompt];
        if (!prompt.is_string())
            return wrong(std::string(format_.prompt), prompt, "the text of the prompt");
        const Value& images = format_.family == Family::kLlama ? body_[kImages] : Value();
        for (const Value& image : images.items()) {
            if (!image.is_string()) return wrong("images", image, "images in base64");
            Media media;
            media.media_type = image_type_of(image.string());
            media.data = image.string();
            request_.items.push_back({.turn = 1, .body = std::move(media)});
        }
        request_.items.push_back({.turn = 1, .body = canon::Text{std::string(prompt.string())}});
        return {};
    }

    Status read_whole_number(std::string_view key, std::optional<std::int64_t>& to) {
        const Value& value = settings_[key];
        if (key.empty() || value.is_null()) return {};
        to = value.as_int();
        if (!to || *to < 0) return wrong(path_of(key), value, "a whole number");
        return {};
    }

    Status read_number(std::string_view key, std::optional<canon::NumberText>& to) {
        const Value& value = settings_[key];
        if (value.is_null()) return {};
        if (!value.is_number()) return wrong(path_of(key), value, "a number");
        to = value.raw();
        return {};
    }

    Status read_stops() {
        const Value& stops = settings_[format_.stop];
        if (format_.stop.empty() || stops.is_null()) return {};
        if (!stops.is_array()) return wrong(path_of(format_.stop), stops, "a list of strings");
        for (const Value& stop : stops.items()) {
            if (!stop.is_string()) return wrong(path_of(format_.stop), stop, "strings");
            request_.stop.emplace_back(stop.string());
        }
        return {};
    }

    void keep_rest() {
        for (const json::Member& member : body_.members()) {
            const std::string_view key = member.key;
            const bool is_read = key == format_.prompt ||
                (format_.settings.empty() ? is_setting(key) : key == format_.settings) ||
                (key == kImages && format_.family == Family::kLlama) ||
                (key == "stream" && format_.family == Family::kCohereText);
            if (!is_read) keep(canon::path_step(key), member.value);
        }
        if (format_.settings.empty()) return;
        for (const json::Member& member : settings_.members())
            if (!is_setting(member.key)) keep(path_of(canon::path_step(member.key)), member.value);
    }

    void keep(std::string path, const Value& value) {
        // J2's way to say that a penalty is off.
        const bool is_off = value["scale"].is_number() && value["scale"].as_int() == 0;
        if (value.is_null() || is_off) return;
        request_.extras.push_back({std::move(path), std::string(value.raw())});
    }

    [[nodiscard]] bool is_setting(std::string_view key) const {
        return key == format_.cap || key == format_.temperature || key == format_.top_p ||
            (!format_.top_k.empty() && key == format_.top_k) ||
            (!format_.stop.empty() && key == format_.stop) ||
            (!format_.choices.empty() && key == format_.choices);
    }

    const PromptFormat& format_;
    const Value& body_;
    const Value& settings_;
    canon::Request request_;
};

class Encoder {
public:
    Encoder(const PromptFormat& format, const canon::Request& request, const EncodeTarget& target,
        Losses& losses)
        : format_(format),
          request_(request),
          target_(target),
          losses_(losses),
          is_own_(request.origin == kName && request.family == family_name(format.family)) {}

    Result<std::string> run() {
        ENTREPOT_TRY(
            const std::string text, prompt_of(format_.family, request_, target_.model_id, losses_));
        std::string settings;
        json::Writer inner(settings);
        inner.begin_object();
        ENTREPOT_TRY_DO(write_settings(inner));
        if (is_own_) write_extras(inner, true);
        inner.end_object();

        std::string body;
        json::Writer writer(body);
        writer.begin_object().member(format_.prompt, text);
        write_images(writer);
        if (!format_.settings.empty()) {
            if (settings != "{}") writer.member_raw(format_.settings, settings);
        } else if (const auto members = json::Document::parse(settings)) {
            for (const json::Member& member : members->root().members())
                writer.member_raw(member.key, member.value.raw());
        }
        // Command streams its tokens only when the body asks for it as well.
        if (format_.family == Family::kCohereText && request_.is_stream)
            writer.member_bool("stream", true);
        if (is_own_) write_extras(writer, false);
        writer.end_object();
        ENTREPOT_TRY_DO(lose_rest());
        return body;
    }

private:
    Status write_settings(json::Writer& writer) {
        std::optional<std::int64_t> cap = request_.output_tokens_max;
        if (!cap && (format_.needs_cap || target_.states_output_cap))
            cap = target_.output_tokens_default;
        if (cap) writer.member(format_.cap, *cap);
        if (request_.temperature) {
            const auto max = static_cast<double>(format_.temperature_max);
            if (!is_own_ && number(*request_.temperature) > max) {
                ENTREPOT_TRY_DO(losses_.of_answer("temperature",
                    fmt::format("it goes from 0 to {} there, and is {}", format_.temperature_max,
                        *request_.temperature)));
                writer.member(format_.temperature, format_.temperature_max);
            } else {
                writer.member_raw(format_.temperature, *request_.temperature);
            }
        }
        if (request_.top_p) writer.member_raw(format_.top_p, *request_.top_p);
        if (request_.top_k) {
            if (format_.top_k.empty())
                ENTREPOT_TRY_DO(losses_.of_hint("top_k", "the model has no such parameter"));
            else
                writer.member(format_.top_k, *request_.top_k);
        }
        if (!request_.stop.empty() && format_.stop.empty())
            ENTREPOT_TRY_DO(losses_.of_answer("stop", "the model takes no stop sequences"));
        if (!request_.stop.empty() && !format_.stop.empty()) {
            writer.key(format_.stop).begin_array();
            for (const std::string& stop : request_.stop) writer.string(stop);
            writer.end_array();
        }
        if (request_.choices && !format_.choices.empty()) {
            writer.member(format_.choices, *request_.choices);
        } else if (request_.choices.value_or(1) > 1) {
            ENTREPOT_TRY_DO(losses_.of_answer("n", "the model gives one answer to a request"));
        }
        return {};
    }

    void write_images(json::Writer& writer) {
        bool has_any = false;
        for (const Item& item : request_.items) {
            const auto* media = std::get_if<Media>(&item.body);
            if (media == nullptr || format_.family != Family::kLlama || !is_own_) continue;
            if (!has_any) writer.key(kImages).begin_array();
            has_any = true;
            writer.string(media->data);
        }
        if (has_any) writer.end_array();
    }

    void write_extras(json::Writer& writer, bool of_settings) const {
        const std::string prefix =
            format_.settings.empty() ? std::string() : fmt::format("{}.", format_.settings);
        for (const canon::Extra& extra : request_.extras) {
            if (!extra.origin.empty()) continue;
            const bool is_inside = !prefix.empty() && extra.path.starts_with(prefix);
            if (is_inside != of_settings) continue;
            writer.member_raw(
                std::string_view(extra.path).substr(is_inside ? prefix.size() : 0), extra.json);
        }
    }

    Status lose_rest() {
        ENTREPOT_TRY_DO(lose_common(request_, losses_));
        const auto is_nonzero = [](const std::optional<canon::NumberText>& value) {
            return value && number(*value) != 0;
        };
        constexpr std::string_view kWhy = "the model has no such parameter";
        if (is_nonzero(request_.frequency_penalty))
            ENTREPOT_TRY_DO(losses_.of_answer("frequency_penalty", kWhy));
        if (is_nonzero(request_.presence_penalty))
            ENTREPOT_TRY_DO(losses_.of_answer("presence_penalty", kWhy));
        if (request_.seed) ENTREPOT_TRY_DO(losses_.of_hint("seed", kWhy));
        for (const canon::Extra& extra : request_.extras) {
            if ((is_own_ && extra.origin.empty()) || is_needless_elsewhere(extra)) continue;
            ENTREPOT_TRY_DO(asks_for_another_answer(extra) ? losses_.of_answer(extra.path, kWhy)
                                                           : losses_.of_hint(extra.path, kWhy));
        }
        return {};
    }

    const PromptFormat& format_;
    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses& losses_;
    bool is_own_;
};

}  // namespace

Result<canon::Request> decode_prompt(const PromptFormat& format, const Value& body) {
    return Decoder(format, body).run();
}

Result<std::string> encode_prompt(const PromptFormat& format, const canon::Request& request,
    const EncodeTarget& target, Losses& losses) {
    return Encoder(format, request, target, losses).run();
}

Status lose_common(const canon::Request& request, Losses& losses) {
    constexpr std::string_view kWhy = "the model has no such parameter";
    const auto lose = [&](bool is_set, std::string_view field) -> Status {
        return is_set ? losses.of_hint(field, kWhy) : Status();
    };
    if (request.logprobs == true || request.top_logprobs.value_or(0) > 0)
        ENTREPOT_TRY_DO(losses.of_answer("logprobs", kWhy));
    if (!request.logit_bias.empty() && request.logit_bias != "{}")
        ENTREPOT_TRY_DO(losses.of_answer("logit_bias", kWhy));
    if (request.format && request.format->kind != canon::ResponseFormat::Kind::kText)
        ENTREPOT_TRY_DO(losses.of_answer("response_format", "the model writes plain text"));
    ENTREPOT_TRY_DO(lose(request.reasoning.has_value(), "reasoning_effort"));
    ENTREPOT_TRY_DO(lose(!request.verbosity.empty(), "verbosity"));
    ENTREPOT_TRY_DO(lose(!request.user.empty(), "user"));
    ENTREPOT_TRY_DO(lose(!request.prompt_cache_key.empty(), "prompt_cache_key"));
    ENTREPOT_TRY_DO(lose(!request.metadata.empty() && request.metadata != "{}", "metadata"));
    return lose(request.store == true, "store");
}

}  // namespace entrepot::dialect::bedrock_invoke
