#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "dialect/gemini/encode_contents.h"
#include "dialect/gemini/gemini.h"
#include "dialect/gemini/loss.h"
#include "dialect/gemini/model.h"
#include "dialect/gemini/parts.h"
#include "dialect/losses.h"
#include "dialect/tools.h"

namespace entrepot::dialect::gemini {
namespace {

using json::Writer;

constexpr std::int64_t kChoicesMax = 8;
constexpr std::size_t kStopsMax = 5;

bool is_word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

Status check_tool_name(std::string_view field, std::string_view name) {
    const bool is_legal = !name.empty() && name.size() <= 64 &&
        (is_word_char(name.front()) && !(name.front() >= '0' && name.front() <= '9')) &&
        std::ranges::all_of(
            name, [](char c) { return is_word_char(c) || c == '-' || c == '.' || c == ':'; });
    if (is_legal) return {};
    return Loss::refuse(field,
        fmt::format("Gemini takes tool names of 1 to 64 letters, digits, '_', '-', '.' and ':', "
                    "beginning with a letter or '_', not '{}'",
            excerpt(name)));
}

/// Keys and values as Google Cloud's labels are: short, lower case.
bool is_legal_labels(std::string_view text) {
    const auto parsed = json::Document::parse(std::string(text));
    if (!parsed || !parsed->root().is_object()) return false;
    const auto is_plain = [](std::string_view part) {
        return part.size() <= 63 && std::ranges::all_of(part, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        });
    };
    return std::ranges::all_of(parsed->root().members(), [&](const json::Member& member) {
        return member.value.is_string() && !member.key.empty() && member.key.front() >= 'a' &&
            is_plain(member.key) && is_plain(member.value.string());
    });
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target, Service service)
        : request_(request),
          target_(target),
          service_(service),
          is_own_(is_own(request.origin)),
          model_(Model::of(target.model_id)),
          loss_(target.on_lossy) {}

    Result<EncodedRequest> encode() {
        ENTREPOT_TRY_DO(check_parameters());
        ENTREPOT_TRY_DO(plan_thinking());
        ContentsWriter contents(request_, target_, service_, loss_);
        ENTREPOT_TRY(const Conversation conversation, contents.write());
        EncodedRequest out;
        Writer writer(out.body);
        writer.begin_object();
        writer.member_raw("contents", conversation.contents);
        if (!conversation.system.empty())
            writer.member_raw("systemInstruction", conversation.system);
        ENTREPOT_TRY_DO(write_tools(writer));
        write_tool_config(writer);
        ENTREPOT_TRY_DO(write_generation(writer));
        ENTREPOT_TRY_DO(write_rest(writer));
        writer.end_object();
        out.dropped = loss_.take();
        return out;
    }

private:
    /// Parameters for which Gemini has no place at all.
    Status check_parameters() {
        const auto lose = [&](bool is_set, std::string_view field, Meaning meaning) -> Status {
            return is_set ? loss_.lose(field, meaning, "Gemini has no such parameter") : Status();
        };
        ENTREPOT_TRY_DO(lose(!request_.logit_bias.empty() && request_.logit_bias != "{}",
            "logit_bias", Meaning::kChanged));
        ENTREPOT_TRY_DO(lose(!request_.tools.empty() && request_.parallel_tool_calls == false,
            "parallel_tool_calls", Meaning::kChanged));
        ENTREPOT_TRY_DO(lose(!request_.verbosity.empty() && request_.verbosity != "medium",
            "verbosity", Meaning::kKept));
        ENTREPOT_TRY_DO(lose(!request_.user.empty(), "user", Meaning::kKept));
        ENTREPOT_TRY_DO(
            lose(!request_.prompt_cache_key.empty(), "prompt_cache_key", Meaning::kKept));
        return lose(!is_own_ && request_.store.value_or(false), "store", Meaning::kKept);
    }

    // ---- thinking

    Status plan_thinking() {
        if (!request_.reasoning) return {};
        const canon::Reasoning& wish = *request_.reasoning;
        if (is_own_) {
            budget_ = wish.budget_tokens;
            if (wish.is_enabled) budget_ = *wish.is_enabled ? -1 : 0;
            level_ = wish.effort;
            shows_thoughts_ = !wish.summary.empty();
            return {};
        }
        const bool is_off = wish.is_enabled == false || wish.effort == "none";
        shows_thoughts_ = !is_off &&
            (!wish.summary.empty() || wish.budget_tokens || wish.is_enabled.value_or(false));
        switch (model_.thinking()) {
            case Model::Thinking::kNone: return lose_thinking(wish, is_off);
            case Model::Thinking::kBudget: return plan_budget(wish, is_off);
            case Model::Thinking::kLevel: return plan_level(wish, is_off);
        }
        return {};
    }

    Status lose_thinking(const canon::Reasoning& wish, bool is_off) {
        shows_thoughts_ = false;
        const bool asks = wish.budget_tokens || wish.is_enabled.value_or(false) ||
            !wish.effort.empty() || !wish.summary.empty();
        if (is_off || !asks) return {};
        return lose_measure(fmt::format("'{}' does not think", target_.model_id));
    }

    Status lose_measure(std::string_view why) {
        return loss_.lose("reasoning_effort", Meaning::kKept, why);
    }

    Status set_budget(std::int64_t tokens) {
        const std::int64_t nearest = std::clamp(tokens, model_.budget_min(), model_.budget_max());
        budget_ = nearest;
        if (nearest == tokens) return {};
        return lose_measure(fmt::format("'{}' thinks with {} to {} tokens", target_.model_id,
            model_.budget_min(), model_.budget_max()));
    }

    Status plan_budget(const canon::Reasoning& wish, bool is_off) {
        if (is_off && !model_.is_pro) {
            budget_ = 0;
            return {};
        }
        if (is_off) return set_budget(0);
        if (wish.budget_tokens) return set_budget(*wish.budget_tokens);
        // The budgets that Google itself gives for OpenAI's words.
        if (wish.effort == "minimal" || wish.effort == "low") {
            budget_ = 1024;
        } else if (wish.effort == "medium") {
            budget_ = 8192;
        } else if (wish.effort == "high") {
            budget_ = 24576;
        } else if (!wish.effort.empty()) {
            budget_ = model_.budget_max();
        } else if (wish.is_enabled.value_or(false)) {
            budget_ = -1;
        }
        return {};
    }

    Status plan_level(const canon::Reasoning& wish, bool is_off) {
        if (!is_off && wish.budget_tokens) return set_budget(*wish.budget_tokens);
        const std::string_view asked = is_off ? "none" : std::string_view(wish.effort);
        if (asked.empty()) return {};  // a model of this kind thinks unless it is told otherwise
        level_ = asked;
        if (asked == "none" || asked == "minimal") level_ = model_.is_pro ? "low" : "minimal";
        if (asked == "xhigh" || asked == "max") level_ = "high";
        if (asked == "medium" && model_.is_pro && model_.generation == 30) level_ = "high";
        if (level_ == asked) return {};
        return lose_measure(fmt::format("'{}' is told '{}', the nearest it knows to '{}'",
            target_.model_id, level_, excerpt(asked)));
    }

    // ---- tools

    Status write_tools(Writer& writer) {
        std::vector<std::string> own_tools;
        std::string functions;
        Writer list(functions);
        list.begin_array();
        for (std::size_t i = 0; i < request_.tools.size(); ++i) {
            const canon::Tool& tool = request_.tools[i];
            const std::string path = fmt::format("tools[{}]", i);
            if (narrows_tools() && !may_be_called(request_, tool)) continue;
            if (tool.server && tool.server->origin == kOrigin) {
                own_tools.push_back(tool.server->json);
            } else if (tool.server) {
                ENTREPOT_TRY_DO(loss_.lose(path,
                    is_dispensable(request_, tool) ? Meaning::kKept : Meaning::kChanged,
                    fmt::format("'{}' is a tool that only its own supplier runs",
                        excerpt(tool.server->kind))));
            } else if (tool.is_custom) {
                ENTREPOT_TRY_DO(loss_.lose(
                    path, Meaning::kChanged, "Gemini has no tools with free-form input"));
            } else {
                ENTREPOT_TRY_DO(write_function(list, tool, path));
                has_functions_ = true;
            }
        }
        list.end_array();
        if (!has_functions_ && own_tools.empty()) return {};
        writer.key("tools").begin_array();
        if (has_functions_)
            writer.begin_object().member_raw("functionDeclarations", functions).end_object();
        for (const std::string& tool : own_tools) writer.raw(tool);
        writer.end_array();
        return {};
    }

    /// Where the model may also answer, Gemini knows no set of allowed tools: others are not
    /// offered.
    [[nodiscard]] bool narrows_tools() const {
        return !is_own_ && request_.tool_choice &&
            request_.tool_choice->mode == canon::ToolChoice::Mode::kAuto;
    }

    Status write_function(Writer& list, const canon::Tool& tool, const std::string& path) {
        if (!is_own_) ENTREPOT_TRY_DO(check_tool_name(path + ".function.name", tool.name));
        if (tool.cache)
            ENTREPOT_TRY_DO(loss_.lose(
                path + ".cache_control", Meaning::kKept, "Gemini caches prefixes by itself"));
        if (tool.is_strict.value_or(false))
            ENTREPOT_TRY_DO(loss_.lose(path + ".function.strict", Meaning::kKept,
                "Gemini promises no call that keeps to its schema"));
        list.begin_object().member("name", tool.name);
        if (!tool.description.empty()) list.member("description", tool.description);
        // `parameters` is a subset of OpenAPI that refuses words of JSON Schema which it does not
        // know; the other field takes JSON Schema.
        if (tool.own_parameters && tool.own_parameters->origin == kOrigin)
            list.member_raw("parameters", tool.own_parameters->json);
        else if (!tool.parameters.empty())
            list.member_raw("parametersJsonSchema", tool.parameters);
        for (const canon::Extra& extra : tool.extras) {
            if (is_own_)
                list.member_raw(last_key(extra.path), extra.json);
            else
                ENTREPOT_TRY_DO(loss_.lose(extra.path, Meaning::kKept, "Gemini has no such field"));
        }
        list.end_object();
        return {};
    }

    void write_tool_config(Writer& writer) {
        const auto calling_extras = extras_under("toolConfig.functionCallingConfig");
        const auto extras = extras_under("toolConfig");
        const bool has_choice = request_.tool_choice && (is_own_ || has_functions_);
        if (!has_choice && extras.empty() && calling_extras.empty()) return;
        writer.key("toolConfig").begin_object();
        if (has_choice || !calling_extras.empty()) {
            writer.key("functionCallingConfig").begin_object();
            const bool says_mode = std::ranges::any_of(calling_extras,
                [](const canon::Extra* extra) { return last_key(extra->path) == "mode"; });
            if (has_choice) write_choice(writer, *request_.tool_choice, says_mode);
            write_extras(writer, calling_extras);
            writer.end_object();
        }
        write_extras(writer, extras);
        writer.end_object();
    }

    void write_choice(Writer& writer, const canon::ToolChoice& choice, bool says_mode) const {
        using Mode = canon::ToolChoice::Mode;
        const bool is_forced = choice.mode == Mode::kRequired || choice.mode == Mode::kNamed;
        if (!says_mode)
            writer.member("mode", is_forced ? "ANY" : choice.mode == Mode::kNone ? "NONE" : "AUTO");
        const bool has_names = choice.mode == Mode::kNamed || !choice.names.empty();
        if (!has_names || (!is_own_ && !is_forced)) return;
        writer.key("allowedFunctionNames").begin_array();
        if (choice.mode == Mode::kNamed) writer.string(choice.name);
        for (const std::string& name : choice.names) writer.string(name);
        writer.end_array();
    }

    // ---- generationConfig

    Status write_generation(Writer& outer) {
        std::string config;
        Writer writer(config);
        writer.begin_object();
        const auto number = [&](std::string_view name, const auto& text) {
            if (text) writer.member_raw(name, *text);
        };
        number("temperature", request_.temperature);
        number("topP", request_.top_p);
        if (request_.top_k) writer.member("topK", *request_.top_k);
        std::optional<std::int64_t> cap = request_.output_tokens_max;
        if (!cap && target_.states_output_cap) cap = target_.output_tokens_default;
        if (cap) writer.member("maxOutputTokens", *cap);
        ENTREPOT_TRY_DO(write_stops(writer));
        ENTREPOT_TRY_DO(write_choices(writer));
        ENTREPOT_TRY_DO(write_seed(writer));
        number("frequencyPenalty", request_.frequency_penalty);
        number("presencePenalty", request_.presence_penalty);
        if (request_.logprobs && (is_own_ || *request_.logprobs))
            writer.member_bool("responseLogprobs", *request_.logprobs);
        if (request_.top_logprobs && (is_own_ || *request_.top_logprobs > 0))
            writer.member("logprobs", *request_.top_logprobs);
        ENTREPOT_TRY_DO(write_format(writer));
        write_thinking(writer);
        write_extras(writer, extras_under("generationConfig"));
        writer.end_object();
        if (config != "{}") outer.member_raw("generationConfig", config);
        return {};
    }

    Status write_stops(Writer& writer) {
        if (request_.stop.empty()) return {};
        std::size_t count = request_.stop.size();
        if (count > kStopsMax && !is_own_) {
            ENTREPOT_TRY_DO(loss_.lose("stop", Meaning::kChanged,
                fmt::format("Gemini takes {} stop sequences, not {}", kStopsMax, count)));
            count = kStopsMax;
        }
        writer.key("stopSequences").begin_array();
        for (std::size_t i = 0; i < count; ++i) writer.string(request_.stop[i]);
        writer.end_array();
        return {};
    }

    Status write_choices(Writer& writer) {
        if (!request_.choices) return {};
        std::int64_t choices = *request_.choices;
        if (choices > kChoicesMax && !is_own_) {
            ENTREPOT_TRY_DO(loss_.lose("n", Meaning::kChanged,
                fmt::format("Gemini gives {} candidates at most, not {}", kChoicesMax, choices)));
            choices = kChoicesMax;
        }
        if (is_own_ || choices > 1) writer.member("candidateCount", choices);
        return {};
    }

    Status write_seed(Writer& writer) {
        if (!request_.seed) return {};
        using Limits = std::numeric_limits<std::int32_t>;
        if (!is_own_ && (*request_.seed < Limits::min() || *request_.seed > Limits::max()))
            return loss_.lose("seed", Meaning::kKept, "Gemini's seeds are numbers of 32 bits");
        writer.member("seed", *request_.seed);
        return {};
    }

    Status write_format(Writer& writer) {
        using Kind = canon::ResponseFormat::Kind;
        if (!request_.format || request_.format->kind == Kind::kText) return {};
        const canon::ResponseFormat& format = *request_.format;
        writer.member("responseMimeType", "application/json");
        if (format.kind == Kind::kJsonObject) return {};
        if (format.own_schema && format.own_schema->origin == kOrigin)
            writer.member_raw("responseSchema", format.own_schema->json);
        else if (!format.schema.empty())
            writer.member_raw("responseJsonSchema", format.schema);
        if (format.description.empty()) return {};
        return loss_.lose("response_format.json_schema.description", Meaning::kKept,
            "Gemini has no description beside the schema");
    }

    void write_thinking(Writer& writer) {
        const auto extras = extras_under("generationConfig.thinkingConfig");
        if (!budget_ && level_.empty() && !shows_thoughts_ && extras.empty()) return;
        writer.key("thinkingConfig").begin_object();
        if (budget_) writer.member("thinkingBudget", *budget_);
        if (!level_.empty()) {
            std::string word = level_;
            for (char& c : word)
                if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
            writer.member("thinkingLevel", word);
        }
        if (shows_thoughts_) writer.member_bool("includeThoughts", true);
        write_extras(writer, extras);
        writer.end_object();
    }

    // ---- the rest

    Status write_rest(Writer& writer) {
        ENTREPOT_TRY_DO(write_tier(writer));
        if (!request_.metadata.empty() && request_.metadata != "{}") {
            if (is_own_ || (service_ == Service::kVertex && is_legal_labels(request_.metadata)))
                writer.member_raw("labels", request_.metadata);
            else
                ENTREPOT_TRY_DO(loss_.lose("metadata", Meaning::kKept,
                    service_ == Service::kVertex ? "Vertex takes labels of short, lower-case text"
                                                 : "Gemini has no such parameter"));
        }
        if (is_own_ && request_.store) writer.member_bool("store", *request_.store);
        for (const canon::Extra& extra : request_.extras) {
            if (is_ours(extra)) {
                if (extra.path.find('.') == std::string::npos)
                    writer.member_raw(extra.path, extra.json);
                continue;
            }
            if (is_needless_elsewhere(extra)) continue;
            ENTREPOT_TRY_DO(loss_.lose(extra.path,
                asks_for_another_answer(extra) ? Meaning::kChanged : Meaning::kKept,
                "Gemini has no such parameter"));
        }
        return {};
    }

    Status write_tier(Writer& writer) {
        const std::string& tier = request_.service_tier;
        if (is_own_ && !tier.empty()) {
            writer.member("serviceTier", tier);
            return {};
        }
        if (tier.empty() || tier == "auto" || tier == "default" || tier == "standard") return {};
        if (service_ == Service::kGemini && (tier == "flex" || tier == "priority")) {
            writer.member("serviceTier", tier);
            return {};
        }
        return loss_.lose("service_tier", Meaning::kKept,
            fmt::format("Google takes no tier '{}' in the body", excerpt(tier)));
    }

    [[nodiscard]] bool is_ours(const canon::Extra& extra) const {
        return extra.origin.empty() ? is_own_ : is_own(extra.origin);
    }
    /// Own extras of exactly that object.
    [[nodiscard]] std::vector<const canon::Extra*> extras_under(std::string_view parent) const {
        std::vector<const canon::Extra*> found;
        for (const canon::Extra& extra : request_.extras) {
            if (!is_ours(extra)) continue;
            const std::size_t dot = extra.path.rfind('.');
            if (dot != std::string::npos && std::string_view(extra.path).substr(0, dot) == parent)
                found.push_back(&extra);
        }
        return found;
    }
    static void write_extras(Writer& writer, const std::vector<const canon::Extra*>& extras) {
        for (const canon::Extra* extra : extras)
            writer.member_raw(last_key(extra->path), extra->json);
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Service service_;
    bool is_own_;
    Model model_;
    Loss loss_;
    bool has_functions_ = false;
    std::optional<std::int64_t> budget_;
    std::string level_;
    bool shows_thoughts_ = false;
};

}  // namespace

Result<EncodedRequest> encode_request(
    const canon::Request& request, const EncodeTarget& target, Service service) {
    return Encoder(request, target, service).encode();
}

}  // namespace entrepot::dialect::gemini
