#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dialect/dropped.h"
#include "dialect/losses.h"
#include "dialect/openai_chat/request.h"
#include "dialect/tools.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_chat {
namespace {

using canon::Item;
using canon::Media;
using canon::Role;

/// What is left behind, and whether it may be.
class Losses {
public:
    explicit Losses(OnLossy policy) : policy_(policy) {}

    enum class Weight : std::uint8_t { kHint, kMeaning };
    /// `what` (a field of the origin) has no place here. Errors: kUnsupported, as the policy says.
    Status lose(std::string_view what, Weight weight) {
        if (policy_ == OnLossy::kRefuse ||
            (policy_ == OnLossy::kMeaning && weight == Weight::kMeaning))
            return fail_field(ErrorCode::kUnsupported, std::string(what),
                fmt::format("'{}' cannot be carried to a supplier that speaks chat completions; "
                            "leave it out, or let the key's policy 'on_lossy' be 'name'",
                    what));
        dropped_.add(what);
        return {};
    }
    std::vector<std::string> take() { return dropped_.take(); }

private:
    OnLossy policy_;
    Dropped dropped_;
};

using Weight = Losses::Weight;

/// The last member name of an extra's path: `messages[2].content[0].foo` is `foo`.
std::string_view leaf(std::string_view path) {
    const std::size_t bracket = path.rfind("].");
    return bracket == std::string_view::npos ? path : path.substr(bracket + 2);
}

bool is_part_extra(std::string_view path) { return path.find("].content[") != path.npos; }

bool is_call_extra(std::string_view path) { return path.find("].tool_calls[") != path.npos; }

/// What another dialect's field weighs. Beside a part or a tool few ask for another answer: those
/// that want citations, and grammars.
Weight weight_of(const canon::Extra& extra) {
    const std::string_view path = extra.path;
    const bool is_inner = path.starts_with("messages[") || path.starts_with("tools[");
    const bool is_asked = is_inner ? path.ends_with(".citations") || path.ends_with(".format")
                                   : asks_for_another_answer(extra);
    return is_asked ? Weight::kMeaning : Weight::kHint;
}

class RequestEncoder {
public:
    RequestEncoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request), target_(target), losses_(target.on_lossy), writer_(body_) {
        body_.reserve(512);
    }

    Result<EncodedRequest> encode();

private:
    bool is_native() const { return is_ours(request_.origin); }

    Status write_messages();
    Status write_message(std::span<const Item> turn);
    Status write_tool_message(const Item& item);
    Status write_content(std::span<const Item* const> parts);
    Status write_part(const Item& item);
    Status write_media(const Item& item, const Media& media);
    Status write_tool_call(const Item& item, const canon::ToolCall& call);
    Status write_cache_mark(const std::optional<canon::CacheMark>& cache, json::Writer& writer);
    Status write_extras(std::span<const canon::Extra> extras, bool (*belongs)(std::string_view));
    Status lose_riders(const Item& item);
    Status write_held_media();
    Status write_tools();
    Status write_tool(const canon::Tool& tool, json::Writer& writer);
    void write_tool_choice();
    void write_format();
    void write_sampling();
    [[nodiscard]] std::string service_tier() const;
    Status write_reasoning();
    void write_stream();
    Status write_request_extras();

    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses losses_;
    std::string body_;
    json::Writer writer_;
    bool has_tools_ = false;               // that were written
    std::vector<const Item*> held_media_;  // of tool results, for a user message behind them
};

bool is_plain_part(const Item& item) {
    return !item.cache && std::ranges::none_of(item.extras, [](const canon::Extra& e) {
        return is_part_extra(e.path);
    });
}

Status RequestEncoder::write_cache_mark(
    const std::optional<canon::CacheMark>& cache, json::Writer& writer) {
    if (!cache) return {};
    // OpenAI caches by itself; gateways in front of Claude take the mark in this form.
    if (!is_native()) return losses_.lose("cache_control", Weight::kHint);
    writer.key("cache_control").begin_object().member("type", "ephemeral");
    if (!cache->ttl.empty()) writer.member("ttl", cache->ttl);
    writer.end_object();
    return {};
}

Status RequestEncoder::write_extras(
    std::span<const canon::Extra> extras, bool (*belongs)(std::string_view)) {
    for (const canon::Extra& extra : extras) {
        if (!belongs(extra.path)) continue;
        if (is_native())
            writer_.member_raw(leaf(extra.path), extra.json);
        else
            ENTREPOT_TRY_DO(losses_.lose(extra.path, weight_of(extra)));
    }
    return {};
}

/// Names what stands beside another dialect's call, result or thought: those have no parts here
/// that could take it.
Status RequestEncoder::lose_riders(const Item& item) {
    for (const canon::Extra& extra : item.extras)
        ENTREPOT_TRY_DO(losses_.lose(extra.path, weight_of(extra)));
    if (item.cache) return losses_.lose("cache_control", Weight::kHint);
    return {};
}

Status RequestEncoder::write_media(const Item& item, const Media& media) {
    const auto url = [&] {
        if (media.source != Media::Source::kBase64) return media.data;
        return fmt::format("data:{};base64,{}", media.media_type, media.data);
    };
    const bool is_base64 = media.source == Media::Source::kBase64;
    const bool is_url = media.source == Media::Source::kUrl;
    writer_.begin_object();
    if (media.kind == Media::Kind::kImage && (is_base64 || is_url)) {
        writer_.member("type", "image_url").key("image_url").begin_object().member("url", url());
        if (!media.detail.empty()) writer_.member("detail", media.detail);
        writer_.end_object();
    } else if (media.kind == Media::Kind::kAudio && is_native() && media.media_type.empty()) {
        writer_.member("type", "input_audio").member("input_audio", media.data);  // Mistral's form
    } else if (media.kind == Media::Kind::kAudio && is_base64) {
        const std::size_t slash = media.media_type.find('/');
        std::string_view format = std::string_view(media.media_type).substr(slash + 1);
        if (slash == std::string::npos) format = "wav";
        if (format == "mpeg") format = "mp3";
        if (format == "x-wav" || format == "wave") format = "wav";
        writer_.member("type", "input_audio").key("input_audio").begin_object();
        writer_.member("data", media.data).member("format", format).end_object();
    } else if (media.source == Media::Source::kText) {
        writer_.member("type", "text").member("text", media.data);
    } else if (media.kind == Media::Kind::kDocument &&
        (is_base64 || (is_native() && media.source != Media::Source::kStorage))) {
        writer_.member("type", "file").key("file").begin_object();
        if (media.source == Media::Source::kFileId)
            writer_.member("file_id", media.data);
        else
            writer_.member("file_data", media.media_type.empty() ? media.data : url());
        if (!media.name.empty())
            writer_.member("filename", media.name);
        else if (is_base64 && !is_native())  // OpenAI demands a name with the data
            writer_.member("filename", "document.pdf");
        writer_.end_object();
    } else {
        // An empty text keeps the message well-formed when the policy lets the part go.
        writer_.member("type", "text").member("text", "");
        ENTREPOT_TRY_DO(losses_.lose(
            media.kind == Media::Kind::kVideo ? "video" : "document", Weight::kMeaning));
    }
    ENTREPOT_TRY_DO(write_cache_mark(item.cache, writer_));
    ENTREPOT_TRY_DO(write_extras(item.extras, is_part_extra));
    writer_.end_object();
    return {};
}

Status RequestEncoder::write_part(const Item& item) {
    if (const auto* media = std::get_if<Media>(&item.body)) return write_media(item, *media);
    if (const auto* opaque = std::get_if<canon::Opaque>(&item.body)) {
        writer_.raw(opaque->json);
        return {};
    }
    writer_.begin_object();
    if (const auto* text = std::get_if<canon::Text>(&item.body))
        writer_.member("type", "text").member("text", text->text);
    else if (const auto* refusal = std::get_if<canon::Refusal>(&item.body))
        writer_.member("type", "refusal").member("refusal", refusal->text);
    ENTREPOT_TRY_DO(write_cache_mark(item.cache, writer_));
    ENTREPOT_TRY_DO(write_extras(item.extras, is_part_extra));
    writer_.end_object();
    return {};
}

Status RequestEncoder::write_content(std::span<const Item* const> parts) {
    writer_.key("content");
    const canon::Text* only =
        parts.size() == 1 ? std::get_if<canon::Text>(&parts[0]->body) : nullptr;
    // A plain string is what the oldest servers take.
    if (only != nullptr && (is_plain_part(*parts[0]) || !is_native())) {
        writer_.string(only->text);
        if (parts[0]->cache) return losses_.lose("cache_control", Weight::kHint);
        return {};
    }
    writer_.begin_array();
    for (const Item* part : parts) ENTREPOT_TRY_DO(write_part(*part));
    writer_.end_array();
    return {};
}

Status RequestEncoder::write_tool_call(const Item& item, const canon::ToolCall& call) {
    writer_.begin_object().member("id", call.id);
    if (call.is_custom) {
        writer_.member("type", "custom").key("custom").begin_object();
        writer_.member("name", call.name).member("input", call.arguments).end_object();
    } else {
        writer_.member("type", "function").key("function").begin_object();
        writer_.member("name", call.name);
        writer_.member("arguments", call.arguments.empty() ? "{}" : call.arguments).end_object();
    }
    if (item.signature) {
        // Another maker's server refuses the field, and the proof is not for it.
        const bool is_its_makers = item.signature->origin == "gemini" &&
            target_.model_id.find("gemini") != std::string_view::npos;
        if (is_native() || is_its_makers) {
            writer_.key("extra_content").begin_object().key("google").begin_object();
            writer_.member("thought_signature", item.signature->data).end_object().end_object();
        } else {
            ENTREPOT_TRY_DO(losses_.lose("signature", Weight::kHint));
        }
    }
    ENTREPOT_TRY_DO(write_extras(item.extras, is_call_extra));
    writer_.end_object();
    return {};
}

Status RequestEncoder::write_tool_message(const Item& item) {
    const auto& result = std::get<canon::ToolResult>(item.body);
    std::vector<const Item*> parts;
    for (const Item& part : result.content) {
        // Tool messages take text alone; what was seen is shown right behind them.
        if (std::holds_alternative<Media>(part.body) &&
            std::get<Media>(part.body).source != Media::Source::kText && !is_native())
            held_media_.push_back(&part);
        else if (const auto* opaque = std::get_if<canon::Opaque>(&part.body);
            opaque != nullptr && !is_ours(opaque->origin))
            ENTREPOT_TRY_DO(losses_.lose(opaque->kind, Weight::kMeaning));
        else
            parts.push_back(&part);
    }
    writer_.begin_object().member("role", "tool").member("tool_call_id", result.call_id);
    if (!result.name.empty() && is_native()) writer_.member("name", result.name);
    if (result.is_error) ENTREPOT_TRY_DO(losses_.lose("is_error", Weight::kHint));
    if (parts.empty())
        writer_.member("content", "");
    else
        ENTREPOT_TRY_DO(write_content(parts));
    if (is_native())
        ENTREPOT_TRY_DO(write_extras(item.extras,
            [](std::string_view path) { return !is_part_extra(path) && !is_call_extra(path); }));
    else
        ENTREPOT_TRY_DO(lose_riders(item));
    writer_.end_object();
    return {};
}

Status RequestEncoder::write_held_media() {
    if (held_media_.empty()) return {};
    writer_.begin_object().member("role", "user");
    ENTREPOT_TRY_DO(write_content(held_media_));
    writer_.end_object();
    held_media_.clear();
    return {};
}

/// One message of the items of one turn and role, tool results excepted.
Status RequestEncoder::write_message(std::span<const Item> turn) {
    std::vector<const Item*> parts;
    std::vector<const Item*> calls;
    std::optional<std::string> thought;
    const canon::Refusal* refusal = nullptr;
    const canon::Opaque* reasoning_details = nullptr;
    for (const Item& item : turn) {
        if (const auto* opaque = std::get_if<canon::Opaque>(&item.body)) {
            if (!is_ours(opaque->origin))
                ENTREPOT_TRY_DO(losses_.lose(opaque->kind, Weight::kMeaning));
            else if (opaque->kind == "reasoning_details")
                reasoning_details = opaque;
            else
                parts.push_back(&item);
        } else if (std::holds_alternative<canon::ToolCall>(item.body)) {
            calls.push_back(&item);
        } else if (const auto* seen = std::get_if<canon::Thought>(&item.body)) {
            // What one maker's model thought proves nothing to another's.
            if (is_native())
                thought = thought.value_or("") + seen->text;
            else if (!seen->text.empty() || seen->is_redacted || item.signature)
                ENTREPOT_TRY_DO(losses_.lose("thinking", Weight::kHint));
        } else if (const auto* words = std::get_if<canon::Refusal>(&item.body);
            words != nullptr && item.role == Role::kAssistant && is_plain_part(item)) {
            refusal = words;
        } else {
            parts.push_back(&item);
        }
    }
    const Item& first = turn.front();
    if (parts.empty() && calls.empty() && refusal == nullptr && !thought &&
        reasoning_details == nullptr)
        return {};
    writer_.begin_object().member("role", canon::role_name(first.role));
    if (!first.author.empty()) writer_.member("name", first.author);
    if (thought) writer_.member("reasoning_content", *thought);
    if (reasoning_details != nullptr)
        writer_.member_raw("reasoning_details", reasoning_details->json);
    // A lone empty text beside calls is no content; some servers refuse it.
    if (!calls.empty() && parts.size() == 1 && is_plain_part(*parts[0]) && !is_native()) {
        const auto* text = std::get_if<canon::Text>(&parts[0]->body);
        if (text != nullptr && text->text.empty()) parts.clear();
    }
    if (parts.empty())
        writer_.member_null("content");
    else
        ENTREPOT_TRY_DO(write_content(parts));
    if (refusal != nullptr) writer_.member("refusal", refusal->text);
    if (!calls.empty()) {
        writer_.key("tool_calls").begin_array();
        for (const Item* call : calls)
            ENTREPOT_TRY_DO(write_tool_call(*call, std::get<canon::ToolCall>(call->body)));
        writer_.end_array();
    }
    for (const Item& item : turn) {
        const bool has_no_part = std::holds_alternative<canon::ToolCall>(item.body) ||
            std::holds_alternative<canon::Thought>(item.body);
        if (has_no_part && !is_native())
            ENTREPOT_TRY_DO(lose_riders(item));
        else
            ENTREPOT_TRY_DO(write_extras(item.extras, [](std::string_view path) {
                return !is_part_extra(path) && !is_call_extra(path);
            }));
    }
    writer_.end_object();
    return {};
}

Status RequestEncoder::write_messages() {
    writer_.key("messages").begin_array();
    const std::span<const Item> items = request_.items;
    for (std::size_t begin = 0; begin < items.size();) {
        if (std::holds_alternative<canon::ToolResult>(items[begin].body)) {
            ENTREPOT_TRY_DO(write_tool_message(items[begin]));
            ++begin;
            continue;
        }
        ENTREPOT_TRY_DO(write_held_media());
        std::size_t end = begin + 1;
        // Elsewhere thoughts, words and calls of one answer may be turns of their own.
        const bool is_merged = !is_native() && items[begin].role == Role::kAssistant;
        while (end < items.size() && (items[end].turn == items[begin].turn || is_merged) &&
            items[end].role == items[begin].role &&
            !std::holds_alternative<canon::ToolResult>(items[end].body))
            ++end;
        ENTREPOT_TRY_DO(write_message(items.subspan(begin, end - begin)));
        begin = end;
    }
    ENTREPOT_TRY_DO(write_held_media());
    writer_.end_array();
    return {};
}

Status RequestEncoder::write_tool(const canon::Tool& tool, json::Writer& writer) {
    if (tool.server) {
        if (!is_ours(tool.server->origin))
            return losses_.lose(fmt::format("tools ({})", tool.server->kind),
                is_dispensable(request_, tool) ? Weight::kHint : Weight::kMeaning);
        writer.raw(tool.server->json);
        return {};
    }
    const std::string_view kind = tool.is_custom ? "custom" : "function";
    writer.begin_object().member("type", kind).key(kind).begin_object();
    writer.member("name", tool.name);
    if (!tool.description.empty()) writer.member("description", tool.description);
    if (!tool.parameters.empty()) writer.member_raw("parameters", tool.parameters);
    if (tool.is_strict) writer.member_bool("strict", *tool.is_strict);
    const auto is_inner = [](std::string_view path) {
        return path.find("].function.") != path.npos || path.find("].custom.") != path.npos ||
            path.starts_with("functions[");
    };
    for (const canon::Extra& extra : tool.extras) {
        if (!is_native() || !extra.origin.empty())
            ENTREPOT_TRY_DO(losses_.lose(extra.path, weight_of(extra)));
        else if (is_inner(extra.path))
            writer.member_raw(extra.path.substr(extra.path.rfind('.') + 1), extra.json);
    }
    writer.end_object();
    ENTREPOT_TRY_DO(write_cache_mark(tool.cache, writer));
    if (is_native())
        for (const canon::Extra& extra : tool.extras)
            if (!is_inner(extra.path)) writer.member_raw(leaf(extra.path), extra.json);
    writer.end_object();
    return {};
}

Status RequestEncoder::write_tools() {
    if (request_.tools.empty()) return {};
    std::string tools;
    json::Writer writer(tools);
    writer.begin_array();
    for (const canon::Tool& tool : request_.tools) ENTREPOT_TRY_DO(write_tool(tool, writer));
    writer.end_array();
    has_tools_ = tools != "[]";
    if (has_tools_ || is_native()) writer_.member_raw("tools", tools);
    return {};
}

void RequestEncoder::write_tool_choice() {
    using Mode = canon::ToolChoice::Mode;
    if (request_.parallel_tool_calls && (is_native() || has_tools_))
        writer_.member_bool("parallel_tool_calls", *request_.parallel_tool_calls);
    // Without tools there is nothing to choose, and saying so is refused.
    if (!request_.tool_choice || (!is_native() && !has_tools_)) return;
    const canon::ToolChoice& choice = *request_.tool_choice;
    const auto write_named = [&](const std::string& name) {
        const auto named = std::ranges::find(request_.tools, name, &canon::Tool::name);
        const bool is_custom = named != request_.tools.end() && named->is_custom;
        const std::string_view kind = is_custom ? "custom" : "function";
        writer_.begin_object().member("type", kind).key(kind).begin_object();
        writer_.member("name", name).end_object().end_object();
    };
    if (choice.mode == Mode::kNamed) {
        writer_.key("tool_choice");
        write_named(choice.name);
        return;
    }
    const std::string_view mode = choice.mode == Mode::kAuto ? "auto"
        : choice.mode == Mode::kNone                         ? "none"
                                                             : "required";
    if (choice.names.empty() || choice.mode == Mode::kNone) {
        writer_.member("tool_choice", mode);
        return;
    }
    writer_.key("tool_choice").begin_object().member("type", "allowed_tools");
    writer_.key("allowed_tools").begin_object().member("mode", mode).key("tools").begin_array();
    for (const std::string& name : choice.names) write_named(name);
    writer_.end_array().end_object().end_object();
}

void RequestEncoder::write_format() {
    using Kind = canon::ResponseFormat::Kind;
    if (!request_.format) return;
    const canon::ResponseFormat& format = *request_.format;
    writer_.key("response_format").begin_object();
    if (format.kind == Kind::kJsonSchema) {
        writer_.member("type", "json_schema").key("json_schema").begin_object();
        // OpenAI demands a name; Perplexity's clients have none.
        if (!format.name.empty() || !is_native())
            writer_.member("name", format.name.empty() ? "response" : format.name);
        if (!format.description.empty()) writer_.member("description", format.description);
        if (!format.schema.empty()) writer_.member_raw("schema", format.schema);
        if (format.is_strict) writer_.member_bool("strict", *format.is_strict);
        writer_.end_object();
    } else {
        writer_.member("type", format.kind == Kind::kJsonObject ? "json_object" : "text");
    }
    writer_.end_object();
}

void RequestEncoder::write_sampling() {
    const auto number = [&](std::string_view name, const std::optional<canon::NumberText>& text) {
        if (text) writer_.member_raw(name, *text);
    };
    const auto whole = [&](std::string_view name, const std::optional<std::int64_t>& value) {
        if (value) writer_.member(name, *value);
    };
    const auto text = [&](std::string_view name, const std::string& value) {
        if (!value.empty()) writer_.member(name, value);
    };
    whole(target_.takes_max_completion_tokens ? "max_completion_tokens" : "max_tokens",
        request_.output_tokens_max);
    number("temperature", request_.temperature);
    number("top_p", request_.top_p);
    number("frequency_penalty", request_.frequency_penalty);
    number("presence_penalty", request_.presence_penalty);
    whole("seed", request_.seed);
    whole("n", request_.choices);
    if (request_.logprobs) writer_.member_bool("logprobs", *request_.logprobs);
    whole("top_logprobs", request_.top_logprobs);
    if (!request_.logit_bias.empty()) writer_.member_raw("logit_bias", request_.logit_bias);
    if (!request_.stop.empty()) {
        writer_.key("stop").begin_array();
        for (const std::string& word : request_.stop) writer_.string(word);
        writer_.end_array();
    }
    text("verbosity", request_.verbosity);
    text("user", request_.user);
    text("prompt_cache_key", request_.prompt_cache_key);
    if (request_.store) writer_.member_bool("store", *request_.store);
    text("service_tier", service_tier());
    // Metadata is for each supplier's own books.
    if (is_native() && !request_.metadata.empty())
        writer_.member_raw("metadata", request_.metadata);
}

/// The tier in OpenAI's words; empty: none, or one that has no word here.
std::string RequestEncoder::service_tier() const {
    constexpr std::array<std::string_view, 5> kWords{
        "auto", "default", "flex", "priority", "scale"};
    const std::string& tier = request_.service_tier;
    if (is_native() || std::ranges::find(kWords, tier) != kWords.end()) return tier;
    return tier == "standard_only" ? "default" : "";
}

Status RequestEncoder::write_reasoning() {
    if (!request_.reasoning) return {};
    const canon::Reasoning& reasoning = *request_.reasoning;
    std::string_view effort = reasoning.effort;
    const bool has_measure = reasoning.budget_tokens.has_value();
    if (is_native() && reasoning.is_enabled) {
        writer_.key("thinking").begin_object();
        writer_.member("type", *reasoning.is_enabled ? "enabled" : "disabled");
        if (has_measure) writer_.member("budget_tokens", *reasoning.budget_tokens);
        writer_.end_object();
    } else if (effort.empty() && has_measure) {
        // Claude's budget as the nearest of OpenAI's words; the measure itself is lost.
        const std::int64_t budget = *reasoning.budget_tokens;
        effort = budget < 4096 ? "low" : budget < 16384 ? "medium" : "high";
        ENTREPOT_TRY_DO(losses_.lose("thinking.budget_tokens", Weight::kHint));
    } else if (effort.empty() && reasoning.is_enabled) {
        // A switch without a measure: here a model thinks as much as it is told, or as it likes.
        ENTREPOT_TRY_DO(losses_.lose("thinking", Weight::kHint));
    }
    if (!effort.empty()) writer_.member("reasoning_effort", effort);
    if (!reasoning.summary.empty()) return losses_.lose("reasoning.summary", Weight::kHint);
    return {};
}

void RequestEncoder::write_stream() {
    if (!request_.is_stream) return;
    writer_.member_bool("stream", true);
    // The meter needs usage whether or not the client asked; its relay takes it out again.
    std::string options;
    json::Writer inner(options);
    inner.begin_object();
    if (target_.can_ask_stream_usage) inner.member_bool("include_usage", true);
    constexpr std::string_view kPrefix = "stream_options.";
    if (is_native())
        for (const canon::Extra& extra : request_.extras)
            if (extra.path.starts_with(kPrefix))
                inner.member_raw(std::string_view(extra.path).substr(kPrefix.size()), extra.json);
    inner.end_object();
    if (options != "{}") writer_.member_raw("stream_options", options);
}

Status RequestEncoder::write_request_extras() {
    for (const canon::Extra& extra : request_.extras) {
        const bool is_own = is_native() && extra.origin.empty();
        if (!is_own && is_needless_elsewhere(extra)) continue;
        if (!is_own)
            ENTREPOT_TRY_DO(losses_.lose(extra.path, weight_of(extra)));
        else if (!extra.path.starts_with("stream_options."))
            writer_.member_raw(extra.path, extra.json);
    }
    if (is_native()) return {};
    if (request_.top_k) ENTREPOT_TRY_DO(losses_.lose("top_k", Weight::kMeaning));
    if (!request_.service_tier.empty() && service_tier().empty())
        ENTREPOT_TRY_DO(losses_.lose("service_tier", Weight::kHint));
    if (!request_.metadata.empty()) ENTREPOT_TRY_DO(losses_.lose("metadata", Weight::kHint));
    return {};
}

Result<EncodedRequest> RequestEncoder::encode() {
    writer_.begin_object();
    writer_.member("model", target_.model_id.empty() ? request_.model : target_.model_id);
    ENTREPOT_TRY_DO(write_messages());
    ENTREPOT_TRY_DO(write_tools());
    write_tool_choice();
    write_format();
    write_sampling();
    ENTREPOT_TRY_DO(write_reasoning());
    write_stream();
    ENTREPOT_TRY_DO(write_request_extras());
    writer_.end_object();
    EncodedRequest encoded;
    encoded.body = std::move(body_);
    encoded.dropped = losses_.take();
    return encoded;
}

}  // namespace

Result<EncodedRequest> encode_request(const canon::Request& request, const EncodeTarget& target) {
    return RequestEncoder(request, target).encode();
}

}  // namespace entrepot::dialect::openai_chat
