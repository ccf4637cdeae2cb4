#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/reply.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "dialect/dropped.h"
#include "json/value.h"

namespace entrepot::dialect {

/// Lossless or loud: what cannot be carried is refused or named, as `on_lossy` says.
class Losses {
public:
    /// `to`: whom it cannot be carried to, for words: `Titan`.
    Losses(OnLossy on_lossy, std::string_view to) : on_lossy_(on_lossy), to_(to) {}

    /// Without it the answer would be another one. Errors: kUnsupported, unless all may be named.
    [[nodiscard]] Status of_answer(std::string_view field, std::string_view why) {
        return lose(field, why, on_lossy_ != OnLossy::kName);
    }
    /// A hint, or something beside the answer. Errors: kUnsupported where nothing may be lost.
    [[nodiscard]] Status of_hint(std::string_view field, std::string_view why) {
        return lose(field, why, on_lossy_ == OnLossy::kRefuse);
    }
    /// What no policy can save, since the request would not stand without it.
    [[nodiscard]] std::unexpected<Error> refuse(
        std::string_view field, std::string_view why) const {
        return fail_field(ErrorCode::kUnsupported, std::string(field),
            fmt::format("'{}' cannot be carried to {}: {}", field, to_, why));
    }
    [[nodiscard]] std::vector<std::string> take() { return dropped_.take(); }

private:
    Status lose(std::string_view field, std::string_view why, bool is_refused) {
        if (is_refused) return refuse(field, why);
        dropped_.add(field);
        return {};
    }

    OnLossy on_lossy_;
    std::string_view to_;
    Dropped dropped_;
};

/// Of the fields that only their own dialect knows, these ask for another answer, or continue a
/// conversation that only its keeper has; the rest are hints.
[[nodiscard]] inline bool asks_for_another_answer(const canon::Extra& extra) {
    constexpr std::array<std::string_view, 24> kOfAnswer{"encoding_format", "modalities", "audio",
        "web_search_options", "functions", "function_call", "tool_choice", "response_format",
        "stop", "guardrailConfig", "countPenalty", "frequencyPenalty", "presencePenalty", "tools",
        "tool_results", "documents", "previous_response_id", "conversation", "prompt", "background",
        "text", "cachedContent", "mcp_servers", "container"};
    // Of these the beginning says too little.
    constexpr std::array<std::string_view, 5> kWhole{"generationConfig.responseModalities",
        "generationConfig.responseMimeType", "generationConfig.responseFormat",
        "generationConfig.speechConfig", "generationConfig.imageConfig"};
    const std::string_view path = extra.path;
    // What stands beside a function that is carried describes it.
    if (path.find(".functionDeclarations[") != std::string_view::npos) return false;
    if (std::ranges::find(kWhole, path) != kWhole.end()) return true;
    return std::ranges::find(kOfAnswer, path.substr(0, path.find_first_of(".["))) !=
        kOfAnswer.end();
}

/// Whether that beta of Anthropic's asks for nothing by itself: it says who asks, or permits a
/// field, a tool or a form that is judged where it stands in the request. `effort-2025-11-24`,
/// `claude-code-20250219`.
[[nodiscard]] inline bool is_beta_of_form(std::string_view beta) {
    constexpr std::array<std::string_view, 25> kOfForm{"advanced-tool-use", "advisor-tool",
        "claude-code", "code-execution", "computer-use", "context-1m", "context-management",
        "effort", "extended-cache-ttl", "files-api", "fine-grained-tool-streaming",
        "interleaved-thinking", "max-tokens-3-5-sonnet", "mcp-client", "mcp-servers", "output-128k",
        "pdfs", "prompt-caching", "prompt-caching-scope", "structured-outputs",
        "thinking-token-count", "token-efficient-tools", "tool-search-tool", "web-fetch",
        "web-search"};
    return std::ranges::any_of(kOfForm, [&](std::string_view name) {
        const std::string_view date = beta.starts_with(name) ? beta.substr(name.size()) : "";
        return date.starts_with("-20") && date.find_first_not_of("0123456789-") == date.npos;
    });
}

/// Whether nothing is lost with that field where its dialect is not spoken.
[[nodiscard]] inline bool is_needless_elsewhere(const canon::Extra& extra) {
    if (extra.path == "modalities")  // text, which is what comes
        return extra.json.find("audio") == std::string::npos;
    if (extra.path != "anthropic_beta") return false;
    const auto betas = json::Document::parse(extra.json);
    return betas && std::ranges::all_of(betas->root().items(), [](const json::Value& beta) {
        return is_beta_of_form(beta.string());
    });
}

/// Gives `drop` the name of each member that rides beside a part for its own dialect alone
/// (canon::PartStarted::opaque of a part that is neither kOpaque nor kMedia).
template <typename Drop>
void name_riders(const canon::PartStarted& start, Drop drop) {
    const bool is_whole =
        start.kind == canon::PartKind::kOpaque || start.kind == canon::PartKind::kMedia;
    if (is_whole || !start.opaque) return;
    if (const auto riders = json::Document::parse(start.opaque->json))
        for (const json::Member& member : riders->root().members()) drop(member.key);
}

}  // namespace entrepot::dialect
