#include "catalog/publisher.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"

namespace entrepot::catalog {
namespace {

// Who sells what at Vertex, by the beginning of a model's name, as Google's model garden lists
// them.
constexpr auto kMakers = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"claude", "anthropic"},
    {"llama", "meta"},
    {"mistral", "mistralai"},
    {"codestral", "mistralai"},
    {"ministral", "mistralai"},
    {"jamba", "ai21"},
    {"deepseek", "deepseek-ai"},
    {"qwen", "qwen"},
    {"gpt-oss", "openai"},
    {"kimi", "moonshotai"},
    {"minimax", "minimaxai"},
    {"glm", "zai-org"},
    {"grok", "xai"},
});

}  // namespace

PublisherModel publisher_model(std::string_view id) {
    if (id.starts_with("endpoints/")) return {"", std::string(id)};
    constexpr std::string_view kPublishers = "publishers/";
    if (id.starts_with(kPublishers)) id.remove_prefix(kPublishers.size());
    if (const auto slash = id.find('/'); slash != std::string_view::npos) {
        std::string_view model = id.substr(slash + 1);
        if (model.starts_with("models/")) model.remove_prefix(7);
        return {std::string(id.substr(0, slash)), std::string(model)};
    }
    const std::string lower = to_lower(id);
    const auto* known = std::ranges::find_if(
        kMakers, [&](const auto& maker) { return lower.starts_with(maker.first); });
    return {std::string(known == kMakers.end() ? "google" : known->second), std::string(id)};
}

}  // namespace entrepot::catalog
