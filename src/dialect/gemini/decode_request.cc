#include <algorithm>
#include <array>
#include <charconv>

#include "canon/field_names.h"
#include "dialect/gemini/decode.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/parts.h"
#include "dialect/gemini/schema.h"

namespace entrepot::dialect::gemini {
namespace {

using json::Value;

constexpr std::array<std::string_view, 5> kModes{
    "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"};
constexpr std::array<std::string_view, 5> kLevels{
    "THINKING_LEVEL_UNSPECIFIED", "LOW", "MEDIUM", "HIGH", "MINIMAL"};
constexpr std::array<std::string_view, 4> kModalities{
    "MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO"};

canon::Opaque own_words(std::string_view kind, const Value& value) {
    return {std::string(kOrigin), std::string(kind), std::string(value.raw())};
}

/// A whole number, also as a string, as Google's JSON has it. Absent stays absent.
Status set_whole(const Value& value, std::string_view path, std::optional<std::int64_t>& out) {
    if (value.is_null()) return {};
    out = value.as_int();
    if (value.is_string()) {
        const std::string_view text = value.string();
        std::int64_t number = 0;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
        if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) out = number;
    }
    if (!out) return wrong(path, value, "a whole number");
    return {};
}

Status set_number(
    const Value& value, std::string_view path, std::optional<canon::NumberText>& out) {
    if (value.is_null()) return {};
    const std::string text(value.is_string() ? value.string() : value.raw());
    const auto parsed = json::Document::parse(text);
    if (!parsed || !parsed->root().is_number()) return wrong(path, value, "a number");
    out = parsed->root().raw();
    return {};
}

Status set_flag(const Value& value, std::string_view path, std::optional<bool>& out) {
    if (value.is_null()) return {};
    out = value.as_bool();
    if (!out) return wrong(path, value, "true or false");
    return {};
}

Status decode_function(const Value& declaration, const std::string& path, canon::Tool& tool) {
    if (!declaration.is_object()) return wrong(path, declaration, "an object");
    const Value& name = get(declaration, "name");
    if (!name.is_string()) return wrong(path + ".name", name, "a string");
    tool.name = name.string();
    tool.description = get(declaration, "description").string();
    if (const Value* schema = find(declaration, "parametersJsonSchema")) {
        tool.parameters = schema->raw();
    } else if (const Value* own = find(declaration, "parameters")) {
        ENTREPOT_TRY(tool.parameters, json_schema_of(*own, path + ".parameters"));
        tool.own_parameters = own_words("parameters", *own);
    }
    keep_rest(declaration, path, {"name", "description", "parameters", "parametersJsonSchema"},
        tool.extras);
    return {};
}

Status decode_tools(const Value& tools, canon::Request& request) {
    const std::span<const Value> list = items_of(tools);
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string path = fmt::format("tools[{}]", i);
        if (!list[i].is_object()) return wrong(path, list[i], "an object");
        for (const json::Member& member : list[i].members()) {
            if (member.value.is_null()) continue;
            if (!spells(member.key, "functionDeclarations")) {
                // A tool that Google runs itself: `googleSearch`, `codeExecution`.
                canon::Tool tool;
                tool.name = camel_of(member.key);
                std::string json;
                json::Writer(json)
                    .begin_object()
                    .member_raw(tool.name, member.value.raw())
                    .end_object();
                tool.server = canon::Opaque{std::string(kOrigin), tool.name, std::move(json)};
                request.tools.push_back(std::move(tool));
                continue;
            }
            const std::span<const Value> functions = items_of(member.value);
            for (std::size_t j = 0; j < functions.size(); ++j) {
                canon::Tool tool;
                ENTREPOT_TRY_DO(decode_function(
                    functions[j], fmt::format("{}.functionDeclarations[{}]", path, j), tool));
                request.tools.push_back(std::move(tool));
            }
        }
    }
    return {};
}

Status decode_tool_config(const Value& config, canon::Request& request) {
    if (!config.is_object()) return wrong("toolConfig", config, "an object");
    keep_rest(config, "toolConfig", {"functionCallingConfig"}, request.extras);
    const Value* calling = find(config, "functionCallingConfig");
    if (calling == nullptr) return {};
    const std::string path = "toolConfig.functionCallingConfig";
    if (!calling->is_object()) return wrong(path, *calling, "an object");
    keep_rest(*calling, path, {"mode", "allowedFunctionNames"}, request.extras);
    const Value& mode = get(*calling, "mode");
    const std::string word = enum_word(mode, kModes);
    if (word.empty() && !mode.is_null())
        return wrong(path + ".mode", mode, "one of AUTO, ANY, NONE, VALIDATED");
    const Value& names = get(*calling, "allowedFunctionNames");
    const std::span<const Value> allowed = items_of(names);
    for (const Value& name : allowed)
        if (!name.is_string())
            return wrong(path + ".allowedFunctionNames", name, "an array of strings");
    using Mode = canon::ToolChoice::Mode;
    canon::ToolChoice choice;
    if (word == "ANY" && allowed.size() == 1) {
        choice.mode = Mode::kNamed;
        choice.name = allowed.front().string();
        request.tool_choice = std::move(choice);
        return {};
    }
    for (const Value& name : allowed) choice.names.emplace_back(name.string());
    // Canon has no calls that are held to their schema.
    if (word == "VALIDATED") request.extras.push_back({path + ".mode", json::quoted(word)});
    if ((word.empty() || word == "MODE_UNSPECIFIED") && allowed.empty()) return {};
    choice.mode = word == "ANY" ? Mode::kRequired : word == "NONE" ? Mode::kNone : Mode::kAuto;
    request.tool_choice = std::move(choice);
    return {};
}

/// Text alone is what comes anyway, but for models that were made to answer otherwise.
bool is_default_modality(const Value& modalities, std::string_view model) {
    const std::span<const Value> list = items_of(modalities);
    return list.empty() ||
        (list.size() == 1 && enum_word(list.front(), kModalities) == "TEXT" &&
            model.find("image") == std::string_view::npos);
}

Status decode_format(const Value& config, canon::Request& request) {
    const std::string path = "generationConfig";
    const Value& mime = get(config, "responseMimeType");
    if (!mime.is_null() && !mime.is_string())
        return wrong(path + ".responseMimeType", mime, "a string");
    const std::string type = to_lower(mime.string());
    const Value* schema = find(config, "responseJsonSchema");
    if (schema == nullptr) schema = config.find("_responseJsonSchema");
    const Value* own = find(config, "responseSchema");
    if (!type.empty() && type != "application/json" && type != "text/plain") {
        // `text/x.enum` and what else Google may think of.
        keep_rest(config, path,
            {"temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "candidateCount",
                "seed", "frequencyPenalty", "presencePenalty", "responseLogprobs", "logprobs",
                "thinkingConfig", "responseModalities"},
            request.extras);
        return {};
    }
    keep_rest(config, path,
        {"temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "candidateCount",
            "seed", "frequencyPenalty", "presencePenalty", "responseLogprobs", "logprobs",
            "thinkingConfig", "responseModalities", "responseMimeType", "responseSchema",
            "responseJsonSchema", "_responseJsonSchema"},
        request.extras);
    canon::ResponseFormat format;
    if (schema != nullptr && !schema->is_null()) {
        format.schema = schema->raw();
    } else if (own != nullptr) {
        ENTREPOT_TRY(format.schema, json_schema_of(*own, path + ".responseSchema"));
        format.own_schema = own_words("responseSchema", *own);
    } else if (type != "application/json") {
        return {};
    }
    format.kind = format.schema.empty() ? canon::ResponseFormat::Kind::kJsonObject
                                        : canon::ResponseFormat::Kind::kJsonSchema;
    request.format = std::move(format);
    return {};
}

Status decode_thinking(const Value& config, canon::Request& request) {
    const std::string path = "generationConfig.thinkingConfig";
    if (!config.is_object()) return wrong(path, config, "an object");
    canon::Reasoning reasoning;
    std::optional<std::int64_t> budget;
    ENTREPOT_TRY_DO(set_whole(get(config, "thinkingBudget"), path + ".thinkingBudget", budget));
    // -1: the model decides how much; 0: not at all.
    if (budget && *budget > 0)
        reasoning.budget_tokens = budget;
    else if (budget)
        reasoning.is_enabled = *budget != 0;
    const Value& level = get(config, "thinkingLevel");
    const std::string word = enum_word(level, kLevels);
    if (word.empty() && !level.is_null())
        return wrong(path + ".thinkingLevel", level, "one of MINIMAL, LOW, MEDIUM, HIGH");
    if (word != kLevels.front()) reasoning.effort = to_lower(word);
    std::optional<bool> shows;
    ENTREPOT_TRY_DO(set_flag(get(config, "includeThoughts"), path + ".includeThoughts", shows));
    if (shows.value_or(false)) reasoning.summary = "auto";
    keep_rest(config, path, {"thinkingBudget", "thinkingLevel", "includeThoughts"}, request.extras);
    if (budget || !reasoning.effort.empty() || !reasoning.summary.empty())
        request.reasoning = std::move(reasoning);
    return {};
}

Status decode_generation(const Value& config, canon::Request& request) {
    const std::string path = "generationConfig";
    if (!config.is_object()) return wrong(path, config, "an object");
    const auto whole = [&](std::string_view name, std::optional<std::int64_t>& out) {
        return set_whole(get(config, name), fmt::format("{}.{}", path, name), out);
    };
    const auto number = [&](std::string_view name, std::optional<canon::NumberText>& out) {
        return set_number(get(config, name), fmt::format("{}.{}", path, name), out);
    };
    ENTREPOT_TRY_DO(number("temperature", request.temperature));
    ENTREPOT_TRY_DO(number("topP", request.top_p));
    ENTREPOT_TRY_DO(number("frequencyPenalty", request.frequency_penalty));
    ENTREPOT_TRY_DO(number("presencePenalty", request.presence_penalty));
    ENTREPOT_TRY_DO(whole("topK", request.top_k));
    ENTREPOT_TRY_DO(whole("maxOutputTokens", request.output_tokens_max));
    if (request.output_tokens_max && *request.output_tokens_max < 1)
        return wrong(path + ".maxOutputTokens", get(config, "maxOutputTokens"),
            "a whole number of at least 1");
    ENTREPOT_TRY_DO(whole("candidateCount", request.choices));
    if (request.choices && *request.choices < 1)
        return wrong(path + ".candidateCount", get(config, "candidateCount"),
            "a whole number of at least 1");
    ENTREPOT_TRY_DO(whole("seed", request.seed));
    ENTREPOT_TRY_DO(
        set_flag(get(config, "responseLogprobs"), path + ".responseLogprobs", request.logprobs));
    ENTREPOT_TRY_DO(whole("logprobs", request.top_logprobs));
    const Value& stops = get(config, "stopSequences");
    for (const Value& stop : items_of(stops)) {
        if (!stop.is_string()) return wrong(path + ".stopSequences", stop, "an array of strings");
        request.stop.emplace_back(stop.string());
    }
    if (const Value* thinking = find(config, "thinkingConfig"))
        ENTREPOT_TRY_DO(decode_thinking(*thinking, request));
    const Value& modalities = get(config, "responseModalities");
    if (!is_default_modality(modalities, request.model))
        request.extras.push_back({path + ".responseModalities", std::string(modalities.raw())});
    return decode_format(config, request);
}

}  // namespace

Result<canon::Request> decode_request(
    const json::Document& body, const RequestContext& context, Service service) {
    const Value& root = body.root();
    if (!root.is_object())
        return fail(ErrorCode::kBadRequest,
            fmt::format("the body must be a JSON object, not {}", json::kind_name(root.kind())));
    canon::Request request;
    request.origin = service == Service::kVertex ? kVertexName : kName;
    request.is_stream = context.is_stream.value_or(false);
    request.wants_usage = true;  // each chunk has it
    request.wants_signatures = true;
    std::string_view model = context.model.value_or("");
    if (model.empty()) model = get(root, "model").string();
    if (!context.model && model.empty()) return wrong("model", get(root, "model"), "a string");
    if (model.starts_with("models/")) model.remove_prefix(std::string_view("models/").size());
    request.model = model;
    if (const Value* instruction = find(root, "systemInstruction"))
        ENTREPOT_TRY_DO(decode_system(*instruction, request));
    ENTREPOT_TRY_DO(decode_contents(get(root, "contents"), request));
    ENTREPOT_TRY_DO(decode_tools(get(root, "tools"), request));
    if (const Value* config = find(root, "toolConfig"))
        ENTREPOT_TRY_DO(decode_tool_config(*config, request));
    if (const Value* config = find(root, "generationConfig"))
        ENTREPOT_TRY_DO(decode_generation(*config, request));
    if (const Value* labels = find(root, "labels")) {
        if (!labels->is_object()) return wrong("labels", *labels, "an object");
        request.metadata = labels->raw();
    }
    if (const Value* tier = find(root, "serviceTier")) {
        if (!tier->is_string()) return wrong("serviceTier", *tier, "a string");
        request.service_tier = tier->string();
    }
    ENTREPOT_TRY_DO(set_flag(get(root, "store"), "store", request.store));
    keep_rest(root, "",
        {"model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig",
            "labels", "serviceTier", "store"},
        request.extras);
    ENTREPOT_TRY_DO(canon::refuse_odd_names(request));
    return request;
}

}  // namespace entrepot::dialect::gemini
