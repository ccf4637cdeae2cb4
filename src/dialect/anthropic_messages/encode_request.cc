#include "dialect/anthropic_messages/encode_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <string>

#include "base/text.h"
#include "dialect/anthropic_messages/encode_messages.h"
#include "dialect/anthropic_messages/names.h"
#include "dialect/claude.h"
#include "dialect/closed_schema.h"
#include "dialect/losses.h"
#include "dialect/tools.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

using canon::ToolChoice;

using claude::kThinkingBudgetMin;

constexpr std::size_t kUserBytesMax = 256;      // the supplier's own
constexpr std::size_t kToolNameBytesMax = 128;  // likewise

// Sampling numbers are compared, never computed with; their spelling is what goes out.
double number(const canon::NumberText& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target, Seller seller)
        : request_(request),
          target_(target),
          seller_(seller),
          losses_(target.on_lossy, "Anthropic Messages"),
          is_own_(request.origin == kName) {}

    Result<EncodedRequest> run() {
        EncodedRequest encoded;
        json::Writer writer(encoded.body);
        writer.begin_object();
        if (seller_ == Seller::kVertex) {
            writer.member(kVersionField, kVertexVersion);
        } else {
            writer.member("model", target_.model_id.empty() ? request_.model : target_.model_id);
        }
        cap_ = request_.output_tokens_max.value_or(target_.output_tokens_default);
        writer.member("max_tokens", cap_);
        if (request_.is_stream) writer.member_bool("stream", true);
        ENTREPOT_TRY(
            const std::set<const canon::CacheMark*> marks, choose_marks(request_, losses_));
        ENTREPOT_TRY_DO(write_conversation(writer, request_, marks, losses_));
        ENTREPOT_TRY_DO(write_tools(writer, marks));
        ENTREPOT_TRY_DO(write_tool_choice(writer));
        ENTREPOT_TRY_DO(choose_thinking());
        write_thinking(writer);
        ENTREPOT_TRY_DO(write_sampling(writer));
        ENTREPOT_TRY_DO(write_output(writer));
        ENTREPOT_TRY_DO(write_user(writer));
        ENTREPOT_TRY_DO(write_tier(writer));
        ENTREPOT_TRY_DO(lose_the_rest());
        if (is_own_) {
            write_extras(writer, request_.extras, "");
            state_betas(encoded.headers);
        }
        writer.end_object();
        encoded.dropped = losses_.take();
        return encoded;
    }

private:
    Status write_tools(json::Writer& writer, const std::set<const canon::CacheMark*>& marks) {
        std::vector<std::string> tools;
        for (std::size_t i = 0; i < request_.tools.size(); ++i) {
            if (!may_be_called(request_, request_.tools[i])) continue;
            std::string out;
            ENTREPOT_TRY_DO(write_tool(request_.tools[i], fmt::format("tools[{}]", i), marks, out));
            if (!out.empty()) tools.push_back(std::move(out));
        }
        has_tools_ = !tools.empty();
        if (!has_tools_) return {};
        writer.key("tools").begin_array();
        for (const std::string& tool : tools) writer.raw(tool);
        writer.end_array();
        return {};
    }

    // Leaves `out` empty where the tool was lost.
    Status write_tool(const canon::Tool& tool, const std::string& path,
        const std::set<const canon::CacheMark*>& marks, std::string& out) {
        json::Writer writer(out);
        if (tool.server) {
            if (tool.server->origin != kName) {
                return is_dispensable(request_, tool)
                    ? losses_.of_hint(path, "only another supplier runs this tool")
                    : losses_.of_answer(path, "only another supplier runs this tool");
            }
            writer.raw(tool.server->json);
            return {};
        }
        if (tool.is_custom) {
            return losses_.of_answer(path, "a tool's input is a JSON object there, not free text");
        }
        if (!is_own_) ENTREPOT_TRY_DO(check_tool_name(tool.name, path));
        writer.begin_object().member("name", tool.name);
        if (!tool.description.empty()) writer.member("description", tool.description);
        ENTREPOT_TRY(std::string schema, input_schema(tool, path));
        if (!is_own_ && tool.is_strict.value_or(false)) {
            ENTREPOT_TRY(schema, closed(schema, path + ".function.parameters"));
        }
        writer.member_raw("input_schema", schema);
        if (tool.is_strict && (is_own_ || *tool.is_strict)) {
            writer.member_bool("strict", *tool.is_strict);
        }
        if (tool.cache && marks.contains(&*tool.cache)) write_cache(writer, *tool.cache);
        for (const canon::Extra& extra : tool.extras) {
            if (is_own_) {
                writer.member_raw(key_of(extra), extra.json);
            } else {
                ENTREPOT_TRY_DO(losses_.of_hint(extra.path, "there is no such field there"));
            }
        }
        writer.end_object();
        return {};
    }

    Status check_tool_name(const std::string& name, const std::string& path) const {
        const bool is_good = std::ranges::all_of(name, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_' || c == '-';
        });
        if (is_good && !name.empty() && name.size() <= kToolNameBytesMax) return {};
        // A name of our own would have to be translated back in every answer and every later turn.
        return losses_.refuse(path + ".name",
            fmt::format("'{}' is not of 1 to {} letters, digits, '_' and '-'", excerpt(name, 60),
                kToolNameBytesMax));
    }

    /// What binds the model is a closed schema here. Errors: kUnsupported, as `on_lossy` says.
    Result<std::string> closed(const std::string& schema, const std::string& path) {
        ENTREPOT_TRY(const json::Document document, json::Document::parse(schema));
        ClosedSchema out = closed_schema(document.root());
        if (out.is_narrower) {
            ENTREPOT_TRY_DO(losses_.of_answer(
                path, "an object has the members that its schema names, and no others"));
        }
        if (out.tells_bounds) {
            ENTREPOT_TRY_DO(losses_.of_hint(
                path, "bounds of numbers, lengths and counts are told in descriptions alone"));
        }
        return std::move(out.json);
    }

    Result<std::string> input_schema(const canon::Tool& tool, const std::string& path) {
        if (tool.parameters.empty()) return std::string(R"({"type":"object"})");
        if (is_own_) return tool.parameters;
        const auto document = json::Document::parse(tool.parameters);
        if (!document || !document->root().is_object()) {
            return losses_.refuse(path + ".parameters", "a tool's schema is a JSON object");
        }
        const json::Value& schema = document->root();
        const json::Value& type = schema["type"];
        if (type.string() == "object") return tool.parameters;
        if (!type.is_null()) {
            return losses_.refuse(path + ".parameters.type",
                fmt::format("a tool's input is an object, not {}", excerpt(type.raw(), 40)));
        }
        // Others take it as said that the input is an object; this supplier wants it written.
        std::string out;
        json::Writer writer(out);
        writer.begin_object().member("type", "object");
        for (const json::Member& m : schema.members()) {
            if (m.key != "type") writer.member_raw(m.key, m.value.raw());
        }
        writer.end_object();
        return out;
    }

    Status write_tool_choice(json::Writer& writer) {
        const bool is_single = request_.parallel_tool_calls == false;
        if (!request_.tool_choice && !(has_tools_ && request_.parallel_tool_calls && is_single)) {
            return {};
        }
        const ToolChoice choice = request_.tool_choice.value_or(ToolChoice{});
        const bool is_forced =
            choice.mode == ToolChoice::Mode::kRequired || choice.mode == ToolChoice::Mode::kNamed;
        // Without tools there is nothing to choose; a choice that demands one says so upstream.
        if (!has_tools_ && !is_own_ && !is_forced) return {};
        is_forced_ = is_forced;
        writer.key("tool_choice").begin_object();
        switch (choice.mode) {
            case ToolChoice::Mode::kAuto: writer.member("type", "auto"); break;
            case ToolChoice::Mode::kNone: writer.member("type", "none"); break;
            case ToolChoice::Mode::kRequired: writer.member("type", "any"); break;
            case ToolChoice::Mode::kNamed:
                writer.member("type", "tool").member("name", choice.name);
                break;
        }
        if (request_.parallel_tool_calls && choice.mode != ToolChoice::Mode::kNone &&
            (is_own_ || is_single)) {
            writer.member_bool("disable_parallel_tool_use", is_single);
        }
        writer.end_object();
        return {};
    }

    // Another dialect's effort becomes a switch to thinking, a budget or an effort of here.
    Status choose_thinking() {
        if (!request_.reasoning) return {};
        const canon::Reasoning& asked = *request_.reasoning;
        thinking_ = asked;
        if (is_own_) return check_own_thinking();
        thinking_.summary.clear();
        if (!asked.summary.empty()) {
            ENTREPOT_TRY_DO(
                losses_.of_hint("reasoning.summary", "thoughts are shown in one way there"));
        }
        const bool is_off =
            asked.effort == "none" || asked.is_enabled == false || asked.budget_tokens == 0;
        const bool is_asked = !asked.effort.empty() || asked.budget_tokens || asked.is_enabled;
        if (is_off || !is_asked) {
            thinking_ = {};  // what is not asked for is off
            return {};
        }
        if (is_forced_) return lose_thinking("no thinking goes with a forced tool there");
        thinking_.is_enabled = true;
        if (!claude::thinks_by_budget(target_.model_id)) return choose_effort();
        thinking_.effort.clear();
        if (claude::is_in_thoughtless_tool_loop(request_, kName)) {
            return lose_thinking("a tool loop that began without thoughts goes on without them");
        }
        thinking_.budget_tokens = std::max(kThinkingBudgetMin,
            asked.budget_tokens.value_or(cap_ / 100 * claude::budget_percent(asked.effort)));
        // Thoughts count against the cap, so the client's own cap stays the bound of the cost.
        if (*thinking_.budget_tokens >= cap_) {
            return lose_thinking(fmt::format(
                "thinking needs at least {} tokens below the cap of {}", kThinkingBudgetMin, cap_));
        }
        return {};
    }

    // A conversation that another maker's thoughts were taken out of: in the middle of a tool loop
    // this supplier wants to see its own before it goes on thinking by a budget.
    Status check_own_thinking() {
        if (!thinking_.budget_tokens || !claude::has_lost_thoughts(request_, kName) ||
            !claude::is_in_thoughtless_tool_loop(request_, kName))
            return {};
        thinking_.is_enabled.reset();
        thinking_.budget_tokens.reset();
        return losses_.of_hint(
            "thinking", "a tool loop that began without the supplier's own goes on without them");
    }

    Status choose_effort() {
        thinking_.budget_tokens.reset();
        if (thinking_.effort == "minimal" || thinking_.effort == "xhigh") {
            const bool is_least = thinking_.effort == "minimal";
            ENTREPOT_TRY_DO(losses_.of_hint("reasoning_effort",
                is_least ? "the least effort is low there" : "not every model knows xhigh there"));
            thinking_.effort = claude::effort_of(thinking_.effort);
        }
        return {};
    }

    Status lose_thinking(std::string_view why) {
        thinking_ = {};
        return losses_.of_hint("reasoning_effort", why);
    }

    void write_thinking(json::Writer& writer) {
        if (!thinking_.is_enabled) return;
        writer.key("thinking").begin_object();
        if (!*thinking_.is_enabled) {
            writer.member("type", "disabled");
        } else if (thinking_.budget_tokens) {
            writer.member("type", "enabled").member("budget_tokens", *thinking_.budget_tokens);
        } else {
            writer.member("type", "adaptive");
        }
        if (is_own_) write_extras(writer, request_.extras, "thinking");
        writer.end_object();
    }

    Status write_sampling(json::Writer& writer) {
        const bool is_thinking = !is_own_ && thinking_.is_enabled == true;
        if (request_.temperature) {
            const double value = number(*request_.temperature);
            if (!is_own_ && (value < 0 || value > 1)) {
                ENTREPOT_TRY_DO(losses_.of_answer("temperature",
                    fmt::format("it goes from 0 to 1 there, and is {}", *request_.temperature)));
            } else if (is_thinking && value != 1) {
                ENTREPOT_TRY_DO(losses_.of_answer(
                    "temperature", "no temperature but 1 goes with thinking there"));
            } else {
                writer.member_raw("temperature", *request_.temperature);
            }
        }
        if (request_.top_p) {
            constexpr double kThinkingTopPMin = 0.95;
            if (is_thinking && number(*request_.top_p) < kThinkingTopPMin) {
                ENTREPOT_TRY_DO(
                    losses_.of_answer("top_p", "nothing below 0.95 goes with thinking there"));
            } else {
                writer.member_raw("top_p", *request_.top_p);
            }
        }
        if (request_.top_k) {
            if (is_thinking) {
                ENTREPOT_TRY_DO(losses_.of_answer("top_k", "it does not go with thinking there"));
            } else {
                writer.member("top_k", *request_.top_k);
            }
        }
        return write_stops(writer);
    }

    Status write_stops(json::Writer& writer) {
        std::vector<std::string_view> stops;
        for (const std::string& stop : request_.stop) {
            if (!is_own_ && trim(stop).empty()) {
                ENTREPOT_TRY_DO(losses_.of_answer(
                    "stop", "a stop sequence of white space alone is refused there"));
            } else {
                stops.push_back(stop);
            }
        }
        if (stops.empty()) return {};
        writer.key("stop_sequences").begin_array();
        for (const std::string_view stop : stops) writer.string(stop);
        writer.end_array();
        return {};
    }

    Status write_output(json::Writer& writer) {
        using Kind = canon::ResponseFormat::Kind;
        const bool has_format = request_.format && request_.format->kind == Kind::kJsonSchema;
        if (request_.format && request_.format->kind == Kind::kJsonObject) {
            ENTREPOT_TRY_DO(losses_.of_answer("response_format",
                "JSON of any shape cannot be demanded there; give a json_schema"));
        }
        if (has_format && request_.format->schema.empty()) {
            return losses_.refuse("response_format.json_schema.schema", "it is needed there");
        }
        if (has_format && !request_.format->description.empty()) {
            ENTREPOT_TRY_DO(losses_.of_hint(
                "response_format.json_schema.description", "a format has no description there"));
        }
        std::string members;
        json::Writer inner(members);
        inner.begin_object();
        if (!thinking_.effort.empty()) inner.member("effort", thinking_.effort);
        if (has_format) {
            std::string schema = request_.format->schema;
            if (!is_own_) {
                ENTREPOT_TRY(schema, closed(schema, "response_format.json_schema.schema"));
            }
            inner.key("format").begin_object().member("type", "json_schema");
            inner.member_raw("schema", schema);
            if (is_own_) {
                write_extras(inner, request_.extras, "output_config.format");
                write_extras(inner, request_.extras, "output_format");
            }
            inner.end_object();
        }
        if (is_own_) write_extras(inner, request_.extras, "output_config");
        inner.end_object();
        if (members != "{}") writer.member_raw("output_config", members);
        return {};
    }

    Status write_user(json::Writer& writer) {
        std::string members;
        json::Writer inner(members);
        inner.begin_object();
        if (!request_.user.empty()) {
            if (!is_own_ && request_.user.size() > kUserBytesMax) {
                ENTREPOT_TRY_DO(losses_.of_hint(
                    "user", fmt::format("it has {} bytes at most there", kUserBytesMax)));
            } else {
                inner.member("user_id", request_.user);
            }
        }
        if (is_own_) write_extras(inner, request_.extras, "metadata");
        inner.end_object();
        if (members != "{}") writer.member_raw("metadata", members);
        return {};
    }

    Status write_tier(json::Writer& writer) {
        const std::string& tier = request_.service_tier;
        if (tier.empty()) return {};
        if (is_own_) {
            writer.member("service_tier", tier);
        } else if (tier == "default") {
            writer.member("service_tier", "standard_only");
        } else if (tier != "auto") {
            return losses_.of_hint("service_tier", "there is no such tier there");
        }
        return {};
    }

    Status lose_the_rest() {
        const auto is_nonzero = [](const std::optional<canon::NumberText>& value) {
            return value && number(*value) != 0;
        };
        if (is_nonzero(request_.frequency_penalty)) {
            ENTREPOT_TRY_DO(losses_.of_answer("frequency_penalty", "there is no such field there"));
        }
        if (is_nonzero(request_.presence_penalty)) {
            ENTREPOT_TRY_DO(losses_.of_answer("presence_penalty", "there is no such field there"));
        }
        if (!request_.logit_bias.empty() && !is_empty_object(request_.logit_bias)) {
            ENTREPOT_TRY_DO(losses_.of_answer("logit_bias", "there is no such field there"));
        }
        if (request_.logprobs == true || request_.top_logprobs.value_or(0) > 0) {
            ENTREPOT_TRY_DO(losses_.of_answer("logprobs", "no probabilities are told there"));
        }
        if (request_.choices.value_or(1) > 1) {
            ENTREPOT_TRY_DO(losses_.of_answer("n", "there is one answer to a request there"));
        }
        if (request_.seed) {
            ENTREPOT_TRY_DO(losses_.of_hint("seed", "there is no such field there"));
        }
        if (!request_.verbosity.empty() && request_.verbosity != "medium") {
            ENTREPOT_TRY_DO(losses_.of_hint("verbosity", "there is no such field there"));
        }
        if (!request_.prompt_cache_key.empty()) {
            ENTREPOT_TRY_DO(losses_.of_hint("prompt_cache_key", "caches have no keys there"));
        }
        if (!request_.metadata.empty() && !is_empty_object(request_.metadata)) {
            ENTREPOT_TRY_DO(losses_.of_hint("metadata", "it holds a user's id alone there"));
        }
        if (request_.store == true) {
            ENTREPOT_TRY_DO(losses_.of_hint("store", "answers are not stored there"));
        }
        return lose_extras();
    }

    static bool is_empty_object(const std::string& text) {
        const auto document = json::Document::parse(text);
        return document && document->root().is_object() && document->root().members().empty();
    }

    void state_betas(std::vector<Header>& headers) const {
        std::string betas;
        for (const canon::Extra& extra : request_.extras) {
            if (extra.path != kBetaField) continue;
            const auto document = json::Document::parse(extra.json);
            if (!document) continue;
            for (const json::Value& beta : document->root().items()) {
                // Caching needs no beta any more, and Google refuses the word.
                if (seller_ == Seller::kVertex && beta.string().starts_with("prompt-caching-"))
                    continue;
                betas += (betas.empty() ? "" : ",") + std::string(beta.string());
            }
        }
        if (!betas.empty()) headers.push_back({std::string(kBetaHeader), std::move(betas)});
    }

    Status lose_extras() {
        for (const canon::Extra& extra : request_.extras) {
            if ((is_own_ && extra.origin.empty()) || is_needless_elsewhere(extra)) continue;
            constexpr std::string_view kWhy = "there is no such field there";
            ENTREPOT_TRY_DO(asks_for_another_answer(extra) ? losses_.of_answer(extra.path, kWhy)
                                                           : losses_.of_hint(extra.path, kWhy));
        }
        return {};
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    Seller seller_;
    Losses losses_;
    bool is_own_;
    std::int64_t cap_ = 0;
    bool has_tools_ = false;
    bool is_forced_ = false;
    canon::Reasoning thinking_;
};

}  // namespace

Result<EncodedRequest> encode_request(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target, Seller::kMaker).run();
}

Result<EncodedRequest> encode_vertex_request(
    const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target, Seller::kVertex).run();
}

}  // namespace entrepot::dialect::anthropic_messages
