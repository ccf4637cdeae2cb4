#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "dialect/cohere/encode_messages.h"
#include "dialect/cohere/parts.h"
#include "dialect/losses.h"

namespace entrepot::dialect::cohere {
namespace {

using canon::ToolChoice;

constexpr std::size_t kStopsMax = 5;  // the supplier's own

// Sampling numbers are compared, never computed with; their spelling is what goes out.
double number(const canon::NumberText& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// Models that think; the others refuse to be told how.
bool thinks(std::string_view model_id) {
    return model_id.find("reasoning") != std::string_view::npos ||
        model_id.find("command-a-plus") != std::string_view::npos;
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request),
          target_(target),
          losses_(target.on_lossy, "Cohere"),
          is_own_(request.origin == kName) {}

    Result<EncodedRequest> run() {
        EncodedRequest encoded;
        json::Writer writer(encoded.body);
        writer.begin_object();
        writer.member("model", target_.model_id.empty() ? request_.model : target_.model_id);
        writer.member_bool("stream", request_.is_stream);
        ENTREPOT_TRY_DO(write_messages(writer, request_, losses_));
        ENTREPOT_TRY_DO(write_tools(writer));
        ENTREPOT_TRY_DO(write_sampling(writer));
        ENTREPOT_TRY_DO(write_format(writer));
        ENTREPOT_TRY_DO(write_thinking(writer));
        ENTREPOT_TRY_DO(lose_the_rest());
        for (const canon::Extra& extra : request_.extras) {
            if (is_own_ && extra.origin.empty()) {
                writer.member_raw(extra.path, extra.json);
                continue;
            }
            if (is_needless_elsewhere(extra)) continue;
            constexpr std::string_view kWhy = "there is no such field there";
            ENTREPOT_TRY_DO(asks_for_another_answer(extra) ? losses_.of_answer(extra.path, kWhy)
                                                           : losses_.of_hint(extra.path, kWhy));
        }
        writer.end_object();
        encoded.dropped = losses_.take();
        return encoded;
    }

private:
    /// The tools that may be called: where the client names some, the others are not offered, since
    /// there is no other way to leave them out.
    [[nodiscard]] bool is_offered(const canon::Tool& tool) const {
        if (!request_.tool_choice) return true;
        const ToolChoice& choice = *request_.tool_choice;
        if (choice.mode == ToolChoice::Mode::kNamed) return tool.name == choice.name;
        return choice.names.empty() ||
            std::ranges::find(choice.names, tool.name) != choice.names.end();
    }

    Status write_tools(json::Writer& writer) {
        std::vector<std::string> tools;
        bool is_strict = false;
        bool is_loose = false;
        for (std::size_t i = 0; i < request_.tools.size(); ++i) {
            const canon::Tool& tool = request_.tools[i];
            const std::string path = fmt::format("tools[{}]", i);
            if (!is_offered(tool)) continue;
            if (tool.server) {
                ENTREPOT_TRY_DO(losses_.of_answer(path, "only another supplier runs this tool"));
                continue;
            }
            if (tool.is_custom) {
                ENTREPOT_TRY_DO(losses_.of_answer(path, "a tool's input is a JSON object there"));
                continue;
            }
            if (tool.cache)
                ENTREPOT_TRY_DO(losses_.of_hint(
                    path + ".cache_control", "there are no caches of the client's choosing there"));
            for (const canon::Extra& extra : tool.extras)
                if (!is_own_)
                    ENTREPOT_TRY_DO(losses_.of_hint(extra.path, "there is no such field there"));
            (tool.is_strict.value_or(false) ? is_strict : is_loose) = true;
            tools.push_back(tool_of(tool));
        }
        if (tools.empty()) return is_own_ ? write_choice(writer) : Status();
        writer.key("tools").begin_array();
        for (const std::string& tool : tools) writer.raw(tool);
        writer.end_array();
        if (is_strict) {
            writer.member_bool("strict_tools", true);
            if (is_loose)
                ENTREPOT_TRY_DO(losses_.of_hint("tools.strict", "all tools are strict, or none"));
        }
        return write_choice(writer);
    }

    static std::string tool_of(const canon::Tool& tool) {
        std::string out;
        json::Writer writer(out);
        writer.begin_object().member("type", "function").key("function").begin_object();
        writer.member("name", tool.name);
        if (!tool.description.empty()) writer.member("description", tool.description);
        writer.member_raw("parameters",
            tool.parameters.empty() ? std::string_view(R"({"type":"object","properties":{}})")
                                    : std::string_view(tool.parameters));
        writer.end_object().end_object();
        return out;
    }

    Status write_choice(json::Writer& writer) {
        if (request_.parallel_tool_calls == false)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "parallel_tool_calls", "the model cannot be kept to one call at a time"));
        if (!request_.tool_choice) return {};
        switch (request_.tool_choice->mode) {
            case ToolChoice::Mode::kAuto: break;  // what is not said
            case ToolChoice::Mode::kNone: writer.member("tool_choice", "NONE"); break;
            case ToolChoice::Mode::kRequired:
            case ToolChoice::Mode::kNamed: writer.member("tool_choice", "REQUIRED"); break;
        }
        return {};
    }

    Status write_sampling(json::Writer& writer) {
        std::optional<std::int64_t> cap = request_.output_tokens_max;
        if (!cap && target_.states_output_cap) cap = target_.output_tokens_default;
        if (cap) writer.member("max_tokens", *cap);
        if (request_.temperature) writer.member_raw("temperature", *request_.temperature);
        if (request_.top_p) ENTREPOT_TRY_DO(write_top_p(writer));
        if (request_.top_k) writer.member("k", *request_.top_k);
        if (request_.seed) writer.member("seed", *request_.seed);
        ENTREPOT_TRY_DO(write_penalty(writer, "frequency_penalty", request_.frequency_penalty));
        ENTREPOT_TRY_DO(write_penalty(writer, "presence_penalty", request_.presence_penalty));
        if (request_.logprobs) writer.member_bool("logprobs", *request_.logprobs);
        if (request_.top_logprobs.value_or(0) > 0)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "top_logprobs", "it tells the probabilities of what was written alone"));
        if (request_.stop.empty()) return {};
        if (request_.stop.size() > kStopsMax && !is_own_)
            ENTREPOT_TRY_DO(losses_.of_answer(
                "stop", fmt::format("it takes {} stop sequences at most", kStopsMax)));
        writer.key("stop_sequences").begin_array();
        for (std::size_t i = 0; i < request_.stop.size() && (is_own_ || i < kStopsMax); ++i)
            writer.string(request_.stop[i]);
        writer.end_array();
        return {};
    }

    /// It goes from 0.01 to 0.99 there, and 1 is how others say that nothing is cut off.
    Status write_top_p(json::Writer& writer) {
        const double value = number(*request_.top_p);
        if (is_own_ || (value >= 0.01 && value <= 0.99)) {
            writer.member_raw("p", *request_.top_p);
            return {};
        }
        ENTREPOT_TRY_DO(losses_.of_hint(
            "top_p", fmt::format("it goes from 0.01 to 0.99 there, and is {}", *request_.top_p)));
        writer.member_raw("p", value < 0.01 ? "0.01" : "0.99");
        return {};
    }

    Status write_penalty(json::Writer& writer, std::string_view field,
        const std::optional<canon::NumberText>& penalty) {
        if (!penalty) return {};
        const double value = number(*penalty);
        if (!is_own_ && (value < 0 || value > 1))
            return losses_.of_answer(
                field, fmt::format("it goes from 0 to 1 there, and is {}", *penalty));
        writer.member_raw(field, *penalty);
        return {};
    }

    Status write_format(json::Writer& writer) {
        using Kind = canon::ResponseFormat::Kind;
        if (!request_.format || (request_.format->kind == Kind::kText && !is_own_)) return {};
        const canon::ResponseFormat& format = *request_.format;
        if (!format.description.empty())
            ENTREPOT_TRY_DO(losses_.of_hint(
                "response_format.json_schema.description", "a format has no description there"));
        writer.key("response_format").begin_object();
        writer.member("type", format.kind == Kind::kText ? "text" : "json_object");
        if (format.kind == Kind::kJsonSchema && !format.schema.empty())
            writer.member_raw("json_schema", format.schema);
        writer.end_object();
        return {};
    }

    Status write_thinking(json::Writer& writer) {
        if (!request_.reasoning) return {};
        const canon::Reasoning& asked = *request_.reasoning;
        const bool is_off =
            asked.effort == "none" || asked.is_enabled == false || asked.budget_tokens == 0;
        const bool is_on = !is_off &&
            (!asked.effort.empty() || asked.budget_tokens || asked.is_enabled.value_or(false));
        if (!asked.summary.empty())
            ENTREPOT_TRY_DO(
                losses_.of_hint("reasoning.summary", "thoughts are shown in one way there"));
        if (!is_on && !is_off) return {};
        if (!is_own_ && !thinks(target_.model_id)) {
            if (is_off) return {};
            return losses_.of_hint("reasoning_effort",
                fmt::format("'{}' does not think before it answers", excerpt(target_.model_id)));
        }
        if (is_on && !asked.effort.empty() && !asked.budget_tokens)
            ENTREPOT_TRY_DO(losses_.of_hint(
                "reasoning_effort", "thinking is on or off there, or has a budget of tokens"));
        writer.key("thinking").begin_object();
        writer.member("type", is_off ? "disabled" : "enabled");
        if (is_on && asked.budget_tokens) writer.member("token_budget", *asked.budget_tokens);
        writer.end_object();
        return {};
    }

    Status lose_the_rest() {
        constexpr std::string_view kWhy = "there is no such field there";
        const auto lose = [&](bool is_set, std::string_view field) -> Status {
            return is_set ? losses_.of_hint(field, kWhy) : Status();
        };
        if (request_.choices.value_or(1) > 1)
            ENTREPOT_TRY_DO(losses_.of_answer("n", "there is one answer to a request there"));
        if (!request_.logit_bias.empty() && request_.logit_bias != "{}")
            ENTREPOT_TRY_DO(losses_.of_answer("logit_bias", kWhy));
        ENTREPOT_TRY_DO(
            lose(!request_.verbosity.empty() && request_.verbosity != "medium", "verbosity"));
        ENTREPOT_TRY_DO(lose(!request_.user.empty(), "user"));
        ENTREPOT_TRY_DO(lose(!request_.prompt_cache_key.empty(), "prompt_cache_key"));
        ENTREPOT_TRY_DO(lose(!request_.metadata.empty() && request_.metadata != "{}", "metadata"));
        ENTREPOT_TRY_DO(lose(request_.store == true, "store"));
        const std::string& tier = request_.service_tier;
        return lose(!tier.empty() && tier != "auto" && tier != "default", "service_tier");
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Losses losses_;
    bool is_own_;
};

}  // namespace

Result<EncodedRequest> encode_request(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).run();
}

}  // namespace entrepot::dialect::cohere
