#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/text.h"
#include "dialect/bedrock_converse/bedrock_converse.h"
#include "dialect/bedrock_converse/blocks.h"
#include "dialect/bedrock_converse/parts.h"
#include "dialect/claude.h"
#include "dialect/closed_schema.h"
#include "dialect/losses.h"
#include "dialect/tools.h"

namespace entrepot::dialect::bedrock_converse {
namespace {

using canon::Item;
using canon::Role;
using json::Writer;

/// Whose model stands behind the id: `additionalModelRequestFields` go to it as they are, so their
/// names are its own.
enum class Family : std::uint8_t { kAnthropic, kNova, kCohere, kMistral, kOpenAi, kOther };

Family family_of(std::string_view model_id) {
    const auto has = [&](std::string_view word) {
        return model_id.find(word) != std::string_view::npos;
    };
    if (has("anthropic.")) return Family::kAnthropic;
    if (has("amazon.nova")) return Family::kNova;
    if (has("cohere.")) return Family::kCohere;
    if (has("mistral.")) return Family::kMistral;
    if (has("openai.")) return Family::kOpenAi;
    return Family::kOther;
}

double number(const canon::NumberText& text) {
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// Tokens to think with for an effort in OpenAI's words; 0 for none.
std::int64_t budget_of_effort(std::string_view effort) {
    if (effort == "minimal" || effort == "low") return 1024;
    if (effort == "medium") return 4096;
    if (effort == "high") return 16384;
    if (effort == "xhigh" || effort == "max") return 32768;
    return 0;
}

class Encoder {
public:
    Encoder(const canon::Request& request, const EncodeTarget& target)
        : request_(request),
          target_(target),
          is_own_(request.origin == kName),
          family_(family_of(target.model_id)),
          loss_(target.on_lossy),
          is_single_call_(!request.tools.empty() && request.parallel_tool_calls == false),
          output_tokens_max_(request.output_tokens_max) {
        if (!output_tokens_max_ && target.states_output_cap)
            output_tokens_max_ = target.output_tokens_default;
    }

    Result<EncodedRequest> encode() {
        ENTREPOT_TRY_DO(check_parameters());
        ENTREPOT_TRY_DO(plan_reasoning());
        BlockWriter blocks(request_, loss_, family_ == Family::kAnthropic);
        ENTREPOT_TRY(const Conversation conversation, blocks.write());
        EncodedRequest out;
        Writer writer(out.body);
        writer.begin_object();
        writer.member_raw("messages", conversation.messages);
        if (conversation.system != "[]") writer.member_raw("system", conversation.system);
        write_inference(writer);
        ENTREPOT_TRY_DO(write_tools(writer, conversation));
        ENTREPOT_TRY_DO(write_additional(writer));
        ENTREPOT_TRY_DO(write_output(writer));
        ENTREPOT_TRY_DO(write_rest(writer));
        writer.end_object();
        out.dropped = loss_.take();
        return out;
    }

private:
    /// Parameters for which Converse has no place at all.
    Status check_parameters() {
        const auto lose = [&](bool is_set, std::string_view field, Meaning meaning) -> Status {
            return is_set ? loss_.lose(field, meaning, "Bedrock Converse has no such parameter")
                          : Status();
        };
        const auto nonzero = [](const std::optional<canon::NumberText>& text) {
            return text && number(*text) != 0;
        };
        ENTREPOT_TRY_DO(lose(request_.choices.value_or(1) > 1, "n", Meaning::kChanged));
        ENTREPOT_TRY_DO(lose(request_.logprobs.value_or(false), "logprobs", Meaning::kChanged));
        ENTREPOT_TRY_DO(lose(!request_.logit_bias.empty() && request_.logit_bias != "{}",
            "logit_bias", Meaning::kChanged));
        ENTREPOT_TRY_DO(
            lose(nonzero(request_.frequency_penalty), "frequency_penalty", Meaning::kChanged));
        ENTREPOT_TRY_DO(
            lose(nonzero(request_.presence_penalty), "presence_penalty", Meaning::kChanged));
        ENTREPOT_TRY_DO(lose(is_single_call_ && family_ != Family::kAnthropic,
            "parallel_tool_calls", Meaning::kChanged));
        ENTREPOT_TRY_DO(lose(request_.seed.has_value(), "seed", Meaning::kKept));
        ENTREPOT_TRY_DO(lose(!request_.verbosity.empty(), "verbosity", Meaning::kKept));
        ENTREPOT_TRY_DO(lose(!request_.user.empty(), "user", Meaning::kKept));
        ENTREPOT_TRY_DO(
            lose(!request_.prompt_cache_key.empty(), "prompt_cache_key", Meaning::kKept));
        ENTREPOT_TRY_DO(lose(request_.store.value_or(false), "store", Meaning::kKept));
        temperature_ = request_.temperature;
        if (const double stated = number(temperature_.value_or("0"));
            !is_own_ && (stated < 0 || stated > 1)) {
            ENTREPOT_TRY_DO(loss_.lose("temperature", Meaning::kChanged,
                "Bedrock Converse takes temperatures from 0 to 1"));
            temperature_ = stated < 0 ? "0" : "1";
        }
        return {};
    }

    /// Decides what the model is told about thinking, which also bounds what else it may be told.
    Status plan_reasoning() {
        if (!request_.reasoning) return {};
        const canon::Reasoning& wish = *request_.reasoning;
        if (!wish.summary.empty())
            ENTREPOT_TRY_DO(loss_.lose("reasoning.summary", Meaning::kKept,
                "Bedrock Converse returns the model's reasoning as it is"));
        if (is_own_) {
            const bool lacks_own = wish.budget_tokens && family_ == Family::kAnthropic &&
                claude::has_lost_thoughts(request_, kName) &&
                claude::is_in_thoughtless_tool_loop(request_, kName);
            if (lacks_own) return lose_thinking_in_loop();
            plan_own_reasoning(wish);
            return {};
        }
        const bool wants_thought = wish.budget_tokens || wish.is_enabled.value_or(false) ||
            (!wish.effort.empty() && wish.effort != "none");
        if (family_ == Family::kOpenAi && !wish.effort.empty() && wish.effort != "none") {
            // gpt-oss knows three steps.
            std::string_view effort = wish.effort;
            if (effort == "minimal") effort = "low";
            if (effort == "xhigh" || effort == "max") effort = "high";
            additional_.emplace_back("reasoning_effort", json::quoted(effort));
            return {};
        }
        if (!wants_thought) return {};
        if (family_ == Family::kAnthropic) return plan_claude_thinking(wish);
        return loss_.lose("reasoning_effort", Meaning::kKept,
            fmt::format("'{}' takes no measure of reasoning through Converse", target_.model_id));
    }

    void plan_own_reasoning(const canon::Reasoning& wish) {
        if (wish.budget_tokens) {
            additional_.emplace_back("thinking",
                fmt::format(R"({{"type":"enabled","budget_tokens":{}}})", *wish.budget_tokens));
        } else if (wish.is_enabled) {
            additional_.emplace_back(
                "thinking", *wish.is_enabled ? R"({"type":"adaptive"})" : R"({"type":"disabled"})");
        } else if (!wish.effort.empty()) {
            additional_.emplace_back("reasoning_effort", json::quoted(wish.effort));
        }
    }

    Status lose_thinking_in_loop() {
        return loss_.lose("reasoning_effort", Meaning::kKept,
            "a tool loop that began without Claude's own thoughts goes on without them");
    }

    /// Claude refuses thinking beside forced tools or a temperature, and a budget that its cap does
    /// not exceed.
    Status plan_claude_thinking(const canon::Reasoning& wish) {
        const bool is_forced = request_.tool_choice &&
            (request_.tool_choice->mode == canon::ToolChoice::Mode::kRequired ||
                request_.tool_choice->mode == canon::ToolChoice::Mode::kNamed);
        const bool is_sampled = (request_.temperature && number(*request_.temperature) != 1) ||
            request_.top_k.has_value();
        const bool has_budget = claude::thinks_by_budget(target_.model_id);
        const std::int64_t cap = output_tokens_max_.value_or(target_.output_tokens_default);
        // Thoughts count against the cap; what an effort spends of it leaves room for the answer.
        const std::int64_t budget = std::max(claude::kThinkingBudgetMin,
            std::min(wish.budget_tokens.value_or(budget_of_effort(wish.effort)),
                wish.budget_tokens ? cap - 1 : cap / 100 * claude::budget_percent(wish.effort)));
        if (is_forced || is_sampled || (has_budget && budget >= cap))
            return loss_.lose("reasoning_effort", Meaning::kKept,
                "Claude thinks only without forced tools, temperature and top_k, and with an "
                "output cap above 1024");
        if (has_budget && claude::is_in_thoughtless_tool_loop(request_, kName))
            return lose_thinking_in_loop();
        if (!has_budget) {
            if (claude::effort_of(wish.effort) != wish.effort)
                ENTREPOT_TRY_DO(loss_.lose("reasoning_effort", Meaning::kKept,
                    fmt::format("not every Claude knows '{}'", wish.effort)));
            additional_.emplace_back("thinking", R"({"type":"adaptive"})");
            if (!wish.effort.empty())
                additional_.emplace_back("output_config",
                    fmt::format(
                        R"({{"effort":{}}})", json::quoted(claude::effort_of(wish.effort))));
            return {};
        }
        output_tokens_max_ = cap;
        additional_.emplace_back(
            "thinking", fmt::format(R"({{"type":"enabled","budget_tokens":{}}})", budget));
        return {};
    }

    void write_inference(Writer& writer) {
        const std::vector<const canon::Extra*> extras = extras_under("inferenceConfig");
        if (!output_tokens_max_ && !request_.temperature && !request_.top_p &&
            request_.stop.empty() && extras.empty())
            return;
        writer.key("inferenceConfig").begin_object();
        if (output_tokens_max_) writer.member("maxTokens", *output_tokens_max_);
        if (temperature_) writer.member_raw("temperature", *temperature_);
        if (request_.top_p) writer.member_raw("topP", *request_.top_p);
        if (!request_.stop.empty()) {
            writer.key("stopSequences").begin_array();
            for (const std::string& stop : request_.stop) writer.string(stop);
            writer.end_array();
        }
        write_extras(writer, extras);
        writer.end_object();
    }

    Status write_tools(Writer& writer, const Conversation& conversation) {
        const bool is_none =
            request_.tool_choice && request_.tool_choice->mode == canon::ToolChoice::Mode::kNone;
        if (is_none && !request_.tools.empty()) {
            // Without definitions the model cannot call; but a history with calls cannot go without
            // them.
            if (conversation.tool_names.empty())
                return loss_.lose("tools", Meaning::kKept,
                    "Converse has no tool_choice 'none', so the tools are not offered");
            ENTREPOT_TRY_DO(loss_.lose("tool_choice", Meaning::kChanged,
                "Converse has no tool_choice 'none', and a history with tool calls needs the "
                "tools"));
        }
        std::string tools;
        Writer list(tools);
        list.begin_array();
        std::set<std::string_view> names;
        std::size_t written = 0;
        for (std::size_t i = 0; i < request_.tools.size(); ++i) {
            const canon::Tool& tool = request_.tools[i];
            if (!may_be_called(request_, tool)) continue;
            ENTREPOT_TRY(const bool is_written, write_tool(list, tool, i));
            if (!is_written) continue;
            names.insert(tool.name);
            ++written;
            if (tool.cache) write_cache_point(list, *tool.cache);
        }
        // Tool blocks in the history are refused without toolConfig, also when no tool is offered
        // now.
        if (written == 0)
            for (const std::string& name : conversation.tool_names)
                if (names.insert(name).second) {
                    canon::Tool earlier;
                    earlier.name = name;
                    earlier.description = "Was used earlier in this conversation.";
                    ENTREPOT_TRY(const bool is_written, write_tool(list, earlier, written));
                    if (is_written) ++written;
                }
        list.end_array();
        if (written == 0) return {};
        writer.key("toolConfig").begin_object();
        writer.member_raw("tools", tools);
        if (is_single_call_ && !is_none && family_ == Family::kAnthropic)
            forbid_parallel_calls();
        else if (request_.tool_choice && !is_none)
            write_tool_choice(writer, *request_.tool_choice);
        write_extras(writer, extras_under("toolConfig"));
        writer.end_object();
        return {};
    }

    Result<bool> write_tool(Writer& list, const canon::Tool& tool, std::size_t index) {
        const std::string path = fmt::format("tools[{}]", index);
        if (tool.server) {
            if (tool.server->origin == kName) {
                list.raw(tool.server->json);
                return true;
            }
            ENTREPOT_TRY_DO(loss_.lose(path,
                is_dispensable(request_, tool) ? Meaning::kKept : Meaning::kChanged,
                fmt::format("'{}' is a tool that only its own supplier runs", tool.server->kind)));
            return false;
        }
        if (tool.is_custom) {
            ENTREPOT_TRY_DO(
                loss_.lose(path, Meaning::kChanged, "Converse has no tools with free-form input"));
            return false;
        }
        ENTREPOT_TRY_DO(check_tool_name(path + ".function.name", tool.name));
        list.begin_object().key("toolSpec").begin_object();
        list.member("name", tool.name);
        if (!trim(tool.description).empty()) list.member("description", tool.description);
        list.key("inputSchema").begin_object();
        ENTREPOT_TRY(std::string schema, input_schema(tool, path));
        if (!is_own_ && tool.is_strict.value_or(false)) {
            ENTREPOT_TRY(schema, closed(schema, path + ".function.parameters"));
        }
        list.member_raw("json", schema);
        list.end_object();
        if (tool.is_strict) list.member_bool("strict", *tool.is_strict);
        for (const canon::Extra& extra : tool.extras) {
            if (is_own_) {
                list.member_raw(last_key(extra.path), extra.json);
            } else {
                ENTREPOT_TRY_DO(
                    loss_.lose(extra.path, Meaning::kKept, "Converse has no such field"));
            }
        }
        list.end_object().end_object();
        return true;
    }

    /// What binds the model is a closed schema here. Errors: kUnsupported, as `on_lossy` says.
    Result<std::string> closed(const std::string& schema, const std::string& path) {
        ENTREPOT_TRY(const json::Document document, json::Document::parse(schema));
        ClosedSchema out = closed_schema(document.root());
        if (out.is_narrower)
            ENTREPOT_TRY_DO(loss_.lose(path, Meaning::kChanged,
                "an object has the members that its schema names, and no others"));
        if (out.tells_bounds)
            ENTREPOT_TRY_DO(loss_.lose(path, Meaning::kKept,
                "bounds of numbers, lengths and counts are told in descriptions alone"));
        return std::move(out.json);
    }

    /// Bedrock wants it written that the input is an object, where others take it as said.
    Result<std::string> input_schema(const canon::Tool& tool, const std::string& path) const {
        if (!is_object(tool.parameters)) return std::string(R"({"type":"object","properties":{}})");
        if (is_own_) return tool.parameters;
        ENTREPOT_TRY(const json::Document document, json::Document::parse(tool.parameters));
        const json::Value& type = document.root()["type"];
        if (type.string() == "object") return tool.parameters;
        if (!type.is_null())
            return fail_field(ErrorCode::kUnsupported, path + ".function.parameters.type",
                fmt::format("Bedrock takes a tool's input as an object, not as {}",
                    excerpt(type.raw(), 40)));
        std::string out;
        Writer writer(out);
        writer.begin_object().member("type", "object");
        for (const json::Member& member : document.root().members())
            if (member.key != "type") writer.member_raw(member.key, member.value.raw());
        writer.end_object();
        return out;
    }

    /// Converse has no word for it, the model's own `tool_choice` has; the two may not stand side
    /// by side, so that one bears the whole choice.
    void forbid_parallel_calls() {
        std::string choice;
        Writer writer(choice);
        writer.begin_object();
        const auto mode =
            request_.tool_choice ? request_.tool_choice->mode : canon::ToolChoice::Mode::kAuto;
        if (mode == canon::ToolChoice::Mode::kNamed)
            writer.member("type", "tool").member("name", request_.tool_choice->name);
        else
            writer.member("type", mode == canon::ToolChoice::Mode::kRequired ? "any" : "auto");
        writer.member_bool("disable_parallel_tool_use", true).end_object();
        additional_.emplace_back("tool_choice", std::move(choice));
    }

    static void write_tool_choice(Writer& writer, const canon::ToolChoice& choice) {
        writer.key("toolChoice").begin_object();
        switch (choice.mode) {
            case canon::ToolChoice::Mode::kNone:
            case canon::ToolChoice::Mode::kAuto: writer.member_raw("auto", "{}"); break;
            case canon::ToolChoice::Mode::kRequired: writer.member_raw("any", "{}"); break;
            case canon::ToolChoice::Mode::kNamed:
                writer.key("tool").begin_object().member("name", choice.name).end_object();
                break;
        }
        writer.end_object();
    }

    Status write_additional(Writer& writer) {
        if (request_.top_k) {
            const std::string k = std::to_string(*request_.top_k);
            if (family_ == Family::kNova) {
                additional_.emplace_back("inferenceConfig", fmt::format(R"({{"topK":{}}})", k));
            } else if (is_own_ || family_ == Family::kAnthropic || family_ == Family::kMistral) {
                additional_.emplace_back("top_k", k);
            } else if (family_ == Family::kCohere) {
                additional_.emplace_back("k", k);
            } else {
                ENTREPOT_TRY_DO(loss_.lose("top_k", Meaning::kKept,
                    fmt::format(
                        "how '{}' takes it through Converse is not known", target_.model_id)));
            }
        }
        for (const canon::Extra* extra : extras_under("additionalModelRequestFields"))
            additional_.emplace_back(last_key(extra->path), extra->json);
        if (additional_.empty()) return {};
        writer.key("additionalModelRequestFields").begin_object();
        for (const auto& [key, value] : additional_) writer.member_raw(key, value);
        writer.end_object();
        return {};
    }

    Status write_output(Writer& writer) {
        const std::vector<const canon::Extra*> extras = extras_under("outputConfig");
        const canon::ResponseFormat* format = request_.format ? &*request_.format : nullptr;
        if (format != nullptr && format->kind == canon::ResponseFormat::Kind::kJsonObject) {
            ENTREPOT_TRY_DO(loss_.lose("response_format", Meaning::kChanged,
                "Converse has no JSON mode without a schema; give a json_schema"));
            format = nullptr;
        }
        if (format != nullptr && format->kind == canon::ResponseFormat::Kind::kText)
            format = nullptr;
        if (format == nullptr && extras.empty()) return {};
        std::string schema = format != nullptr ? format->schema : "";
        if (!is_own_ && !schema.empty()) {
            ENTREPOT_TRY(schema, closed(schema, "response_format.json_schema.schema"));
        }
        writer.key("outputConfig").begin_object();
        if (format != nullptr) {
            writer.key("textFormat").begin_object().member("type", "json_schema");
            writer.key("structure").begin_object().key("jsonSchema").begin_object();
            writer.member("schema", schema);
            if (!format->name.empty()) writer.member("name", format->name);
            if (!format->description.empty()) writer.member("description", format->description);
            writer.end_object().end_object().end_object();
        }
        write_extras(writer, extras);
        writer.end_object();
        return {};
    }

    Status write_rest(Writer& writer) {
        if (const std::string& tier = request_.service_tier; !tier.empty() && tier != "auto") {
            if (is_own_ || tier == "default" || tier == "flex" || tier == "priority") {
                writer.key("serviceTier").begin_object().member("type", tier).end_object();
            } else {
                ENTREPOT_TRY_DO(loss_.lose("service_tier", Meaning::kKept,
                    fmt::format("Bedrock sells no tier '{}'", tier)));
            }
        }
        if (!request_.metadata.empty() && request_.metadata != "{}") {
            if (is_own_ || is_legal_metadata(request_.metadata)) {
                writer.member_raw("requestMetadata", request_.metadata);
            } else {
                ENTREPOT_TRY_DO(loss_.lose(
                    "metadata", Meaning::kKept, "Bedrock takes 16 pairs of short, plain text"));
            }
        }
        for (const canon::Extra& extra : request_.extras) {
            if (extra.origin.empty() ? is_own_ : extra.origin == kName) {
                if (extra.path.find('.') == std::string::npos)
                    writer.member_raw(extra.path, extra.json);
                continue;
            }
            if (is_needless_elsewhere(extra)) continue;
            ENTREPOT_TRY_DO(loss_.lose(extra.path,
                asks_for_another_answer(extra) ? Meaning::kChanged : Meaning::kKept,
                "Bedrock Converse has no such parameter"));
        }
        return {};
    }

    [[nodiscard]] std::vector<const canon::Extra*> extras_under(std::string_view parent) const {
        std::vector<const canon::Extra*> found;
        if (!is_own_) return found;
        for (const canon::Extra& extra : request_.extras)
            if (extra.path.size() > parent.size() && extra.path.starts_with(parent) &&
                extra.path[parent.size()] == '.')
                found.push_back(&extra);
        return found;
    }
    static void write_extras(Writer& writer, const std::vector<const canon::Extra*>& extras) {
        for (const canon::Extra* extra : extras)
            writer.member_raw(last_key(extra->path), extra->json);
    }

    static bool is_legal_metadata(std::string_view text) {
        const auto parsed = json::Document::parse(std::string(text));
        if (!parsed || !parsed->root().is_object() || parsed->root().members().size() > 16)
            return false;
        const auto is_plain = [](std::string_view part) {
            return part.size() <= 256 && std::ranges::all_of(part, [](char c) {
                return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    std::string_view(" :_@$#=/+,-.").find(c) != std::string_view::npos;
            });
        };
        return std::ranges::all_of(parsed->root().members(), [&](const json::Member& member) {
            return member.value.is_string() && !member.key.empty() && is_plain(member.key) &&
                is_plain(member.value.string());
        });
    }

    const canon::Request& request_;
    const EncodeTarget& target_;
    bool is_own_;
    Family family_;
    Loss loss_;
    bool is_single_call_;
    std::optional<std::int64_t> output_tokens_max_;
    std::optional<canon::NumberText> temperature_;  ///< as it is written
    std::vector<std::pair<std::string, std::string>> additional_;
};

}  // namespace

Result<EncodedRequest> encode_request(const canon::Request& request, const EncodeTarget& target) {
    return Encoder(request, target).encode();
}

}  // namespace entrepot::dialect::bedrock_converse
