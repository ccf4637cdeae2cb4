#include "canon/task.h"

#include <algorithm>
#include <array>
#include <utility>

#include "canon/embed.h"

namespace entrepot::canon {
namespace {

constexpr std::array<std::pair<EmbedPurpose, std::string_view>, 9> kPurposes{{
    {EmbedPurpose::kUnsaid, ""},
    {EmbedPurpose::kQuery, "query"},
    {EmbedPurpose::kDocument, "document"},
    {EmbedPurpose::kSimilarity, "similarity"},
    {EmbedPurpose::kClassification, "classification"},
    {EmbedPurpose::kClustering, "clustering"},
    {EmbedPurpose::kQuestionAnswering, "question_answering"},
    {EmbedPurpose::kFactVerification, "fact_verification"},
    {EmbedPurpose::kCodeQuery, "code_query"},
}};

}  // namespace

std::string_view embed_purpose_name(EmbedPurpose purpose) {
    return kPurposes[static_cast<std::size_t>(purpose)].second;
}

std::optional<EmbedPurpose> parse_embed_purpose(std::string_view name) {
    const auto* found =
        std::ranges::find(kPurposes, name, &std::pair<EmbedPurpose, std::string_view>::second);
    if (found == kPurposes.end() || name.empty()) return std::nullopt;
    return found->first;
}

std::string_view task_name(Task task) {
    switch (task) {
        case Task::kConverse: return "converse";
        case Task::kEmbed: return "embed";
        case Task::kCountTokens: return "count_tokens";
        case Task::kRerank: return "rerank";
        case Task::kComplete: return "complete";
        case Task::kModerate: return "moderate";
        case Task::kMakeImage: return "make_image";
        case Task::kSpeak: return "speak";
        case Task::kTranscribe: return "transcribe";
    }
    return "converse";
}

std::string_view task_words(Task task) {
    switch (task) {
        case Task::kConverse: return "hold a conversation";
        case Task::kEmbed: return "make embeddings";
        case Task::kCountTokens: return "count tokens";
        case Task::kRerank: return "rerank documents";
        case Task::kComplete: return "complete a text";
        case Task::kModerate: return "moderate";
        case Task::kMakeImage: return "make images";
        case Task::kSpeak: return "speak";
        case Task::kTranscribe: return "transcribe";
    }
    return "do that";
}

}  // namespace entrepot::canon
