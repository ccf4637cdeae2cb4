#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/bedrock_invoke/bedrock_invoke.h"
#include "dialect/bedrock_invoke/prompts.h"

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::Item;
using canon::Role;

/// How the makers write a conversation as one text. A turn is what stands before, the text, what
/// stands behind; `answer` opens the model's own turn.
struct Template {
    Family family;
    std::string_view model;  ///< in the model's id; empty: all of the family
    std::string_view begin;
    std::string_view system_before;
    std::string_view system_after;
    std::string_view user_before;
    std::string_view user_after;
    std::string_view assistant_before;
    std::string_view assistant_after;
    std::string_view answer;
    bool has_turns;                         ///< false: one text of the user and nothing else
    std::array<std::string_view, 4> marks;  ///< what no text may hold
};

constexpr std::string_view kLlamaHead = "<|start_header_id|>";

constexpr std::array kTemplates{
    Template{Family::kClaudeText, "", "", "", "", "\n\nHuman: ", "", "\n\nAssistant: ", "",
        "\n\nAssistant:", true, {"\n\nHuman:", "\n\nAssistant:"}},
    Template{Family::kTitan, "", "", "", "\n", "User: ", "\n", "Bot: ", "\n", "Bot:", true,
        {"User:", "Bot:"}},
    Template{Family::kLlama, "meta.llama4", "<|begin_of_text|>",
        "<|header_start|>system<|header_end|>\n\n", "<|eot|>",
        "<|header_start|>user<|header_end|>\n\n", "<|eot|>",
        "<|header_start|>assistant<|header_end|>\n\n", "<|eot|>",
        "<|header_start|>assistant<|header_end|>\n\n", true, {"<|"}},
    Template{Family::kLlama, "meta.llama3", "<|begin_of_text|>",
        "<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\n", true, {"<|"}},
    Template{Family::kMistralText, "", "<s>", "", "", "[INST] ", " [/INST]", " ", "</s>", "", true,
        {"[INST]", "[/INST]", "<s>", "</s>"}},
    Template{Family::kDeepseekText, "", "<｜begin▁of▁sentence｜>", "", "", "<｜User｜>", "", "", "",
        "<｜Assistant｜><think>\n", false, {"<｜"}},
    Template{Family::kCohereText, "", "", "", "", "", "", "", "", "", false, {}},
    Template{Family::kJurassic, "", "", "", "", "", "", "", "", "", false, {}},
};

const Template* template_of(Family family, std::string_view model_id) {
    const auto* found = std::ranges::find_if(kTemplates, [&](const Template& row) {
        return row.family == family && model_id.find(row.model) != std::string_view::npos;
    });
    return found == kTemplates.end() ? nullptr : found;
}

std::string_view mark_in(const Template& row, std::string_view text) {
    for (const std::string_view mark : row.marks)
        if (!mark.empty() && text.find(mark) != std::string_view::npos) return mark;
    return {};
}

/// Whether a prompt is written in the template of some family.
bool is_templated(std::string_view prompt) {
    return std::ranges::any_of(kTemplates,
               [&](const Template& row) {
                   return row.family != Family::kTitan && !mark_in(row, prompt).empty();
               }) ||
        prompt.find(kLlamaHead) != std::string_view::npos;
}

struct Turn {
    Role role = Role::kUser;
    std::uint32_t number = 0;
    std::string text;
};

class Renderer {
public:
    Renderer(
        Family family, const canon::Request& request, std::string_view model_id, Losses& losses)
        : family_(family), request_(request), model_id_(model_id), losses_(losses) {}

    Result<std::string> run() {
        const bool is_prompt =
            request_.origin == kName && prompt_format(family_named(request_.family)) != nullptr;
        if (is_prompt && request_.family == family_name(family_)) return raw();
        ENTREPOT_TRY_DO(collect());
        if (is_prompt && is_templated(system_ + text_of_turns()))
            return losses_.refuse("prompt",
                fmt::format("it is written in the template of another family of models ({})",
                    request_.family));
        const Template* row = template_of(family_, model_id_);
        // A prompt is a prompt, but for a model that refuses one without its own turns.
        if (is_prompt && family_ != Family::kClaudeText) return text_of_turns();
        if (row == nullptr)
            return losses_.refuse("messages",
                fmt::format("how a conversation becomes a prompt of '{}' is not documented; "
                            "reach the model by Converse",
                    excerpt(model_id_)));
        return render(*row);
    }

private:
    [[nodiscard]] std::string raw() const {
        for (const Item& item : request_.items)
            if (const auto* text = std::get_if<canon::Text>(&item.body)) return text->text;
        return {};
    }

    [[nodiscard]] std::string text_of_turns() const {
        std::string out;
        for (const Turn& turn : turns_) out += turn.text;
        return out;
    }

    Status collect() {
        for (const Item& item : request_.items) {
            const std::string field = fmt::format("messages[{}].content", item.turn);
            std::string text;
            if (const auto* words = std::get_if<canon::Text>(&item.body)) {
                text = words->text;
            } else if (const auto* refusal = std::get_if<canon::Refusal>(&item.body)) {
                text = refusal->text;
            } else if (std::holds_alternative<canon::Thought>(item.body)) {
                ENTREPOT_TRY_DO(
                    losses_.of_hint(field, "the model's prompt has no place for thoughts"));
                continue;
            } else {
                ENTREPOT_TRY_DO(losses_.of_answer(field, "the model's prompt is one text"));
                continue;
            }
            if (item.cache)
                ENTREPOT_TRY_DO(losses_.of_hint(
                    field + ".cache_control", "there are no caches of the client's choosing"));
            const bool is_system = item.role == Role::kSystem || item.role == Role::kDeveloper;
            if (is_system && turns_.empty()) {
                system_ += (system_.empty() ? "" : "\n\n") + text;
                continue;
            }
            if (is_system)
                ENTREPOT_TRY_DO(losses_.of_answer(
                    fmt::format("messages[{}].role", item.turn), "a system prompt comes first"));
            add(item.role == Role::kAssistant ? Role::kAssistant : Role::kUser, item.turn, text);
        }
        if (!request_.tools.empty())
            ENTREPOT_TRY_DO(losses_.of_answer("tools", "the model's prompt is one text"));
        if (turns_.empty())
            return losses_.refuse("messages", "they hold no text that could be a prompt");
        return {};
    }

    void add(Role role, std::uint32_t number, std::string_view text) {
        if (turns_.empty() || turns_.back().role != role) {
            turns_.push_back({role, number, std::string(text)});
            return;
        }
        // Parts of one message are one text; neighbouring messages of one role are apart.
        if (turns_.back().number != number) turns_.back().text += "\n\n";
        turns_.back().number = number;
        turns_.back().text += text;
    }

    Result<std::string> render(const Template& row) {
        ENTREPOT_TRY_DO(check(row, "system", system_));
        for (const Turn& turn : turns_)
            ENTREPOT_TRY_DO(
                check(row, fmt::format("messages[{}].content", turn.number), turn.text));
        if (!row.has_turns) {
            if (turns_.size() > 1 || turns_[0].role != Role::kUser || !system_.empty())
                return losses_.refuse("messages",
                    fmt::format("'{}' takes one text of the user by InvokeModel; reach it by "
                                "Converse",
                        excerpt(model_id_)));
        } else if (turns_[0].role != Role::kUser) {
            return losses_.refuse("messages[0].role", "the user begins there");
        }
        std::string out(row.begin);
        std::string system = system_;
        if (!system.empty() && has_system(row)) {
            out += row.system_before;
            out += system;
            out += row.system_after;
            system.clear();
        }
        for (const Turn& turn : turns_) {
            const bool is_user = turn.role == Role::kUser;
            out += is_user ? row.user_before : row.assistant_before;
            // Where a template has no place for it, the system prompt stands before the first turn.
            if (is_user && !system.empty()) {
                out += system + "\n\n";
                system.clear();
            }
            out += turn.text;
            // A last turn of the assistant is for the model to go on with.
            if (!is_user && &turn == &turns_.back()) return out;
            out += is_user ? row.user_after : row.assistant_after;
        }
        out += row.answer;
        return out;
    }

    static bool has_system(const Template& row) {
        return row.family == Family::kClaudeText || !row.system_before.empty() ||
            !row.system_after.empty();
    }

    Status check(const Template& row, std::string_view field, std::string_view text) const {
        const std::string_view mark = mark_in(row, text);
        if (mark.empty()) return {};
        return losses_.refuse(field,
            fmt::format("it holds '{}', which begins or ends a turn of this model's prompt",
                excerpt(mark)));
    }

    Family family_;
    const canon::Request& request_;
    std::string_view model_id_;
    Losses& losses_;
    std::string system_;
    std::vector<Turn> turns_;
};

}  // namespace

Result<std::string> prompt_of(
    Family family, const canon::Request& request, std::string_view model_id, Losses& losses) {
    return Renderer(family, request, model_id, losses).run();
}

}  // namespace entrepot::dialect::bedrock_invoke
