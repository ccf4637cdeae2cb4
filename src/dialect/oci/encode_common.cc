// What all three formats share: the envelope, tools, sampling, and what has no place in any.
#include <charconv>

#include "base/text.h"
#include "dialect/losses.h"
#include "dialect/oci/parts.h"
#include "dialect/tools.h"

namespace entrepot::dialect::oci {

Result<EncodedRequest> in_envelope(const canon::Request& request, const EncodeTarget& target,
    std::string_view api_format, Losses& losses,
    const std::function<Status(json::Writer&)>& write) {
    const std::string_view model =
        target.model_id.empty() ? std::string_view(request.model) : target.model_id;
    const bool is_dedicated = model.starts_with("ocid1.generativeaiendpoint.");
    EncodedRequest encoded;
    json::Writer writer(encoded.body);
    writer.begin_object().member("compartmentId", target.account);
    writer.key("servingMode").begin_object();
    writer.member("servingType", is_dedicated ? "DEDICATED" : "ON_DEMAND");
    writer.member(is_dedicated ? "endpointId" : "modelId", model).end_object();
    writer.key("chatRequest").begin_object().member("apiFormat", api_format);
    ENTREPOT_TRY_DO(write(writer));
    if (request.is_stream) {
        writer.member_bool("isStream", true);
        writer.key("streamOptions").begin_object().member_bool("isIncludeUsage", true).end_object();
    }
    writer.end_object().end_object();
    ENTREPOT_TRY_DO(lose_common(request, losses));
    ENTREPOT_TRY_DO(lose_extras(request, losses));
    encoded.dropped = losses.take();
    return encoded;
}

std::string path_of(const canon::Item& item) { return fmt::format("messages[{}]", item.turn); }

Status lose_riders(const canon::Item& item, Losses& losses) {
    if (item.cache)
        ENTREPOT_TRY_DO(losses.of_hint(path_of(item) + ".cache_control",
            "there are no caches of the client's choosing there"));
    for (const canon::Extra& extra : item.extras)
        ENTREPOT_TRY_DO(extra.path.ends_with(".citations")
                ? losses.of_answer(extra.path, "there is no such field there")
                : losses.of_hint(extra.path, "there is no such field there"));
    return {};
}

Status lose_riders(const canon::Tool& tool, std::string_view path, Losses& losses) {
    if (tool.cache)
        ENTREPOT_TRY_DO(losses.of_hint(fmt::format("{}.cache_control", path),
            "there are no caches of the client's choosing there"));
    for (const canon::Extra& extra : tool.extras)
        ENTREPOT_TRY_DO(losses.of_hint(extra.path, "there is no such field there"));
    return {};
}

Result<std::vector<const canon::Tool*>> offered_tools(
    const canon::Request& request, bool can_name_one, Losses& losses) {
    using Mode = canon::ToolChoice::Mode;
    const bool is_one =
        !can_name_one && request.tool_choice && request.tool_choice->mode == Mode::kNamed;
    std::vector<const canon::Tool*> offered;
    for (std::size_t i = 0; i < request.tools.size(); ++i) {
        const canon::Tool& tool = request.tools[i];
        const std::string path = fmt::format("tools[{}]", i);
        if (!may_be_called(request, tool)) continue;
        if (is_one && tool.name != request.tool_choice->name) continue;
        if (tool.server) {
            constexpr std::string_view kWhy = "only another supplier runs this tool";
            ENTREPOT_TRY_DO(is_dispensable(request, tool) ? losses.of_hint(path, kWhy)
                                                          : losses.of_answer(path, kWhy));
            continue;
        }
        if (tool.is_custom) {
            ENTREPOT_TRY_DO(losses.of_answer(path, "a tool's input is a JSON object there"));
            continue;
        }
        ENTREPOT_TRY_DO(lose_riders(tool, path, losses));
        offered.push_back(&tool);
    }
    return offered;
}

std::optional<std::int64_t> cap_of(const canon::Request& request, const EncodeTarget& target) {
    if (request.output_tokens_max) return request.output_tokens_max;
    if (target.states_output_cap) return target.output_tokens_default;
    return std::nullopt;
}

Status check_penalties(const canon::Request& request, const Losses& losses) {
    for (const auto& [field, penalty] : {std::pair("frequency_penalty", &request.frequency_penalty),
             std::pair("presence_penalty", &request.presence_penalty)}) {
        if (!*penalty) continue;
        // Numbers are compared, never computed with; their spelling is what goes out.
        double value = 0;
        std::from_chars((*penalty)->data(), (*penalty)->data() + (*penalty)->size(), value);
        if (value < 0 || value > 1)
            return losses.refuse(
                field, fmt::format("it goes from 0 to 1 there, and is {}", **penalty));
    }
    return {};
}

std::string text_part(std::string_view text) {
    return "{\"type\":\"TEXT\",\"text\":" + json::quoted(text) + "}";
}

void write_sampling(json::Writer& writer, const canon::Request& request) {
    const auto put = [&](std::string_view key, const std::optional<canon::NumberText>& number) {
        if (number) writer.member_raw(key, *number);
    };
    put("temperature", request.temperature);
    put("topP", request.top_p);
    if (request.top_k) writer.member("topK", *request.top_k);
    put("frequencyPenalty", request.frequency_penalty);
    put("presencePenalty", request.presence_penalty);
    if (request.seed) writer.member("seed", *request.seed);
}

std::string url_of(const canon::Media& media, std::string_view fallback_type) {
    if (media.source == canon::Media::Source::kUrl) return media.data;
    return fmt::format("data:{};base64,{}",
        media.media_type.empty() ? fallback_type : std::string_view(media.media_type), media.data);
}

std::string_view detail_of(const canon::Media& media) {
    if (media.detail == "auto") return "AUTO";
    if (media.detail == "low") return "LOW";
    if (media.detail == "high") return "HIGH";
    return {};
}

Status lose_common(const canon::Request& request, Losses& losses) {
    constexpr std::string_view kWhy = "there is no such field there";
    const auto lose = [&](bool is_set, std::string_view field) -> Status {
        return is_set ? losses.of_hint(field, kWhy) : Status();
    };
    ENTREPOT_TRY_DO(lose(!request.user.empty(), "user"));
    ENTREPOT_TRY_DO(lose(!request.prompt_cache_key.empty(), "prompt_cache_key"));
    return lose(request.store == true, "store");
}

Status lose_extras(const canon::Request& request, Losses& losses) {
    constexpr std::string_view kWhy = "there is no such field there";
    for (const canon::Extra& extra : request.extras) {
        if (is_needless_elsewhere(extra)) continue;
        ENTREPOT_TRY_DO(asks_for_another_answer(extra) ? losses.of_answer(extra.path, kWhy)
                                                       : losses.of_hint(extra.path, kWhy));
    }
    return {};
}

}  // namespace entrepot::dialect::oci
