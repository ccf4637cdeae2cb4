#include "reports/sellers.h"

#include <algorithm>
#include <array>
#include <utility>

namespace entrepot::reports {

Seller seller_of(std::optional<catalog::CloudKind> kind) {
    using catalog::CloudKind;
    if (!kind) return {};
    switch (*kind) {
        case CloudKind::kOpenai: return {"OpenAI", "OpenAI API", "openai"};
        case CloudKind::kAzure: return {"Microsoft", "Azure OpenAI", "azure"};
        case CloudKind::kAnthropic: return {"Anthropic", "Claude API", "anthropic"};
        case CloudKind::kBedrock: return {"Amazon Web Services", "Amazon Bedrock", "aws"};
        case CloudKind::kVertex: return {"Google Cloud", "Vertex AI", "gcp"};
        case CloudKind::kGemini: return {"Google", "Gemini API", "google"};
        case CloudKind::kOci: return {"Oracle", "OCI Generative AI", "oci"};
        case CloudKind::kCohere: return {"Cohere", "Cohere API", "cohere"};
        case CloudKind::kOpenaiCompatible: return {};
    }
    return {};
}

std::string_view author_name(std::string_view author) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 14> kNames{{
        {"ai21", "AI21 Labs"},
        {"alibaba", "Alibaba"},
        {"amazon", "Amazon"},
        {"anthropic", "Anthropic"},
        {"cohere", "Cohere"},
        {"deepseek", "DeepSeek"},
        {"google", "Google"},
        {"meta", "Meta"},
        {"microsoft", "Microsoft"},
        {"mistral", "Mistral AI"},
        {"moonshot", "Moonshot AI"},
        {"nvidia", "NVIDIA"},
        {"openai", "OpenAI"},
        {"xai", "xAI"},
    }};
    const auto found = std::ranges::find(kNames, author, &decltype(kNames)::value_type::first);
    return found == kNames.end() ? author : found->second;
}

}  // namespace entrepot::reports
