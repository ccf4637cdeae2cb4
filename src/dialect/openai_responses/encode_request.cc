#include "dialect/openai_responses/encode_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "dialect/losses.h"
#include "dialect/openai_responses/encode_items.h"
#include "dialect/openai_responses/names.h"
#include "dialect/tools.h"

namespace entrepot::dialect::openai_responses {
namespace {

using canon::ToolChoice;
using json::Writer;

constexpr std::int64_t kOutputTokensMin = 16;  // the supplier's own
constexpr std::size_t kUserBytesMax = 64;      // likewise

bool is_zero(const canon::NumberText& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value == 0;
}

/// What follows the path of the object that an extra stood in.
std::string_view key_under(std::string_view object, std::string_view path) {
    return path.substr(std::min(path.size(), object.size()));
}

/// `tools[2].defer_loading` is `defer_loading`.
std::string_view key_of_tool(std::string_view path) {
    const std::size_t end = path.find("].");
    return end == std::string_view::npos ? path : path.substr(end + 2);
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request),
          target_(target),
          losses_(target.on_lossy, "OpenAI Responses"),
          writer_(encoded_.body),
          is_own_(request.origin == kName) {}

    Result<EncodedRequest> run() {
        writer_.begin_object();
        const std::string_view model =
            target_.model_id.empty() ? std::string_view(request_.model) : target_.model_id;
        if (!model.empty()) writer_.member("model", model);
        ENTREPOT_TRY_DO(write_conversation(writer_, request_, losses_));
        ENTREPOT_TRY_DO(write_tools());
        write_tool_choice();
        ENTREPOT_TRY_DO(write_cap());
        ENTREPOT_TRY_DO(write_sampling());
        write_text();
        ENTREPOT_TRY_DO(write_reasoning());
        write_include();
        ENTREPOT_TRY_DO(write_names());
        write_stream();
        ENTREPOT_TRY_DO(write_extras());
        writer_.end_object();
        encoded_.dropped = losses_.take();
        return std::move(encoded_);
    }

private:
    Status write_tools() {
        std::string tools;
        Writer list(tools);
        list.begin_array();
        for (std::size_t i = 0; i < request_.tools.size(); ++i)
            ENTREPOT_TRY_DO(write_tool(list, request_.tools[i], fmt::format("tools[{}]", i)));
        list.end_array();
        has_tools_ = tools != "[]";
        if (has_tools_ || (is_own_ && !request_.tools.empty())) writer_.member_raw("tools", tools);
        return {};
    }

    Status write_tool(Writer& list, const canon::Tool& tool, const std::string& path) {
        if (tool.server) {
            if (tool.server->origin != kName)
                return is_dispensable(request_, tool)
                    ? losses_.of_hint(path, "only another supplier runs this tool")
                    : losses_.of_answer(path, "only another supplier runs this tool");
            list.raw(tool.server->json);
            return {};
        }
        if (tool.cache)
            ENTREPOT_TRY_DO(losses_.of_hint("cache_control", "prefixes are cached unasked there"));
        if (!is_own_) {
            for (const canon::Extra& extra : tool.extras)
                ENTREPOT_TRY_DO(tool.is_custom
                        ? losses_.of_answer(extra.path, "there is no such field there")
                        : losses_.of_hint(extra.path, "there is no such field there"));
        }
        write_function(list, tool, is_own_);
        return {};
    }

    void write_tool_choice() {
        if (request_.parallel_tool_calls && (is_own_ || has_tools_))
            writer_.member_bool("parallel_tool_calls", *request_.parallel_tool_calls);
        // Without tools there is nothing to choose, and saying so is refused.
        if (!request_.tool_choice || (!has_tools_ && !is_own_)) return;
        writer_.key("tool_choice");
        write_choice(writer_, request_);
    }

    Status write_cap() {
        std::optional<std::int64_t> cap = request_.output_tokens_max;
        if (!cap && target_.states_output_cap) cap = target_.output_tokens_default;
        if (!cap) return {};
        if (!is_own_ && *cap < kOutputTokensMin) {
            ENTREPOT_TRY_DO(losses_.of_answer("max_tokens",
                fmt::format(
                    "no cap below {} is taken there, and it is {}", kOutputTokensMin, *cap)));
            cap = kOutputTokensMin;
        }
        writer_.member("max_output_tokens", *cap);
        return {};
    }

    Status write_sampling() {
        constexpr std::string_view kWhy = "there is no such field there";
        if (request_.temperature) writer_.member_raw("temperature", *request_.temperature);
        if (request_.top_p) writer_.member_raw("top_p", *request_.top_p);
        for (const auto& [key, value] :
            {std::pair("frequency_penalty", &request_.frequency_penalty),
                std::pair("presence_penalty", &request_.presence_penalty)}) {
            if (!*value) continue;
            if (is_own_)
                writer_.member_raw(key, **value);
            else if (!is_zero(**value))
                ENTREPOT_TRY_DO(losses_.of_answer(key, kWhy));
        }
        if (request_.top_logprobs && (is_own_ || *request_.top_logprobs > 0))
            writer_.member("top_logprobs", *request_.top_logprobs);
        if (is_own_) return {};
        if (request_.top_k) ENTREPOT_TRY_DO(losses_.of_answer("top_k", kWhy));
        if (request_.seed) ENTREPOT_TRY_DO(losses_.of_hint("seed", kWhy));
        if (!request_.logit_bias.empty() && request_.logit_bias != "{}")
            ENTREPOT_TRY_DO(losses_.of_answer("logit_bias", kWhy));
        if (request_.choices.value_or(1) > 1)
            ENTREPOT_TRY_DO(losses_.of_answer("n", "one answer is all there is"));
        if (!request_.stop.empty()) ENTREPOT_TRY_DO(losses_.of_answer("stop", kWhy));
        return {};
    }

    void write_text() {
        std::string text;
        Writer inner(text);
        inner.begin_object();
        if (request_.format) {
            inner.key("format");
            write_format(inner, *request_.format,
                is_own_ ? std::span(request_.extras) : std::span<const canon::Extra>());
        }
        if (!request_.verbosity.empty()) inner.member("verbosity", request_.verbosity);
        if (is_own_) {
            for (const canon::Extra& extra : request_.extras)
                if (extra.path == "text.format" ||
                    (extra.path.starts_with("text.") && !extra.path.starts_with("text.format.")))
                    inner.member_raw(key_under("text.", extra.path), extra.json);
        }
        inner.end_object();
        if (text != "{}") writer_.member_raw("text", text);
    }

    Status write_reasoning() {
        canon::Reasoning asked = request_.reasoning.value_or(canon::Reasoning{});
        if (!is_own_ && asked.effort.empty()) {
            if (asked.is_enabled == false || asked.budget_tokens == 0) {
                // Not every model can be told not to think; who thinks least is told so.
                ENTREPOT_TRY_DO(losses_.of_hint("thinking", "not every model can do without"));
            } else if (asked.budget_tokens) {
                const std::int64_t budget = *asked.budget_tokens;
                asked.effort = budget < 4096 ? "low" : budget < 16384 ? "medium" : "high";
                ENTREPOT_TRY_DO(losses_.of_hint(
                    "thinking.budget_tokens", "effort is a word there, not a number of tokens"));
            } else if (asked.is_enabled) {
                ENTREPOT_TRY_DO(losses_.of_hint("thinking", "a model thinks there as it likes"));
            }
        }
        std::string members;
        Writer inner(members);
        inner.begin_object();
        if (!asked.effort.empty()) inner.member("effort", asked.effort);
        if (!asked.summary.empty()) inner.member("summary", asked.summary);
        if (is_own_) {
            for (const canon::Extra& extra : request_.extras)
                if (extra.path.starts_with("reasoning."))
                    inner.member_raw(key_under("reasoning.", extra.path), extra.json);
        }
        inner.end_object();
        if (members != "{}") writer_.member_raw("reasoning", members);
        return {};
    }

    void write_include() {
        std::string entries;
        Writer list(entries);
        list.begin_array();
        if (request_.wants_signatures) list.string("reasoning.encrypted_content");
        if (request_.logprobs == true) list.string("message.output_text.logprobs");
        if (is_own_) {
            for (const canon::Extra& extra : request_.extras)
                if (extra.path.starts_with("include.")) list.raw(extra.json);
        }
        list.end_array();
        if (entries != "[]") writer_.member_raw("include", entries);
    }

    Status write_names() {
        const auto text = [&](std::string_view key, const std::string& value) {
            if (!value.empty()) writer_.member(key, value);
        };
        if (!is_own_ && request_.user.size() > kUserBytesMax)
            ENTREPOT_TRY_DO(losses_.of_hint(
                "user", fmt::format("it has {} bytes at most there", kUserBytesMax)));
        else
            text("safety_identifier", request_.user);
        text("prompt_cache_key", request_.prompt_cache_key);
        if (!request_.service_tier.empty()) ENTREPOT_TRY_DO(write_tier());
        if (!request_.metadata.empty()) writer_.member_raw("metadata", request_.metadata);
        // Here the default is to store; elsewhere it is not.
        if (request_.store || !is_own_)
            writer_.member_bool("store", request_.store.value_or(false));
        return {};
    }

    Status write_tier() {
        const std::string& tier = request_.service_tier;
        const bool is_known = tier == "auto" || tier == "default" || tier == "flex" ||
            tier == "priority" || tier == "scale" || tier == "fast" || tier == "ultrafast";
        if (is_own_ || is_known)
            writer_.member("service_tier", tier);
        else if (tier == "standard_only")
            writer_.member("service_tier", "default");
        else
            return losses_.of_hint("service_tier", "there is no such tier there");
        return {};
    }

    void write_stream() {
        if (!request_.is_stream) return;
        writer_.member_bool("stream", true);
        if (!is_own_) return;
        std::string members;
        Writer inner(members);
        inner.begin_object();
        for (const canon::Extra& extra : request_.extras)
            if (extra.path.starts_with("stream_options."))
                inner.member_raw(key_under("stream_options.", extra.path), extra.json);
        inner.end_object();
        if (members != "{}") writer_.member_raw("stream_options", members);
    }

    Status write_extras() {
        for (const canon::Extra& extra : request_.extras) {
            const bool is_foreign = !is_own_ || (!extra.origin.empty() && extra.origin != kName);
            if (is_foreign && is_needless_elsewhere(extra)) continue;
            if (is_foreign) {
                constexpr std::string_view kWhy = "there is no such field there";
                ENTREPOT_TRY_DO(asks_for_another_answer(extra) ? losses_.of_answer(extra.path, kWhy)
                                                               : losses_.of_hint(extra.path, kWhy));
            } else if (extra.path.find('.') == std::string::npos) {
                writer_.member_raw(extra.path, extra.json);
            }
        }
        return {};
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses losses_;
    EncodedRequest encoded_;
    Writer writer_;
    bool is_own_;
    bool has_tools_ = false;
};

}  // namespace

void write_function(Writer& writer, const canon::Tool& tool, bool is_own) {
    writer.begin_object().member("type", tool.is_custom ? "custom" : "function");
    writer.member("name", tool.name);
    if (!tool.description.empty()) writer.member("description", tool.description);
    if (!tool.is_custom) {
        if (!tool.parameters.empty())
            writer.member_raw("parameters", tool.parameters);
        else if (!is_own)
            writer.member_raw("parameters", R"({"type":"object","properties":{}})");
    }
    // Here a schema is strict unless it says otherwise; elsewhere it is not.
    if (tool.is_strict)
        writer.member_bool("strict", *tool.is_strict);
    else if (!is_own && !tool.is_custom)
        writer.member_bool("strict", false);
    if (is_own)
        for (const canon::Extra& extra : tool.extras)
            writer.member_raw(key_of_tool(extra.path), extra.json);
    writer.end_object();
}

void write_choice(Writer& writer, const canon::Request& request) {
    using Mode = ToolChoice::Mode;
    const ToolChoice choice = request.tool_choice.value_or(ToolChoice{});
    const auto write_named = [&](const std::string& name) {
        const auto named = std::ranges::find(request.tools, name, &canon::Tool::name);
        const bool is_custom = named != request.tools.end() && named->is_custom;
        writer.begin_object().member("type", is_custom ? "custom" : "function");
        writer.member("name", name).end_object();
    };
    if (choice.mode == Mode::kNamed) return write_named(choice.name);
    const std::string_view mode = choice.mode == Mode::kAuto ? "auto"
        : choice.mode == Mode::kNone                         ? "none"
                                                             : "required";
    if (choice.names.empty() || choice.mode == Mode::kNone) {
        writer.string(mode);
        return;
    }
    writer.begin_object().member("type", "allowed_tools").member("mode", mode);
    writer.key("tools").begin_array();
    for (const std::string& name : choice.names) write_named(name);
    writer.end_array().end_object();
}

void write_format(
    Writer& writer, const canon::ResponseFormat& format, std::span<const canon::Extra> extras) {
    using Kind = canon::ResponseFormat::Kind;
    writer.begin_object();
    if (format.kind == Kind::kText) {
        writer.member("type", "text");
    } else if (format.kind == Kind::kJsonObject) {
        writer.member("type", "json_object");
    } else {
        writer.member("type", "json_schema");
        writer.member("name", format.name.empty() ? "answer" : format.name);
        if (!format.description.empty()) writer.member("description", format.description);
        writer.member_raw("schema", format.schema.empty() ? "{}" : format.schema);
        if (format.is_strict) writer.member_bool("strict", *format.is_strict);
    }
    for (const canon::Extra& extra : extras)
        if (extra.path.starts_with("text.format."))
            writer.member_raw(key_under("text.format.", extra.path), extra.json);
    writer.end_object();
}

Result<EncodedRequest> encode_request(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).run();
}

}  // namespace entrepot::dialect::openai_responses
