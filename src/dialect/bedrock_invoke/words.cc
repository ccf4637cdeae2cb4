#include "dialect/bedrock_invoke/words.h"

#include <algorithm>
#include <array>

namespace entrepot::dialect::bedrock_invoke {
namespace {

using canon::StopReason;

struct Word {
    std::string_view word;
    StopReason reason;
};
constexpr std::array kWords{
    Word{"stop", StopReason::kStop},
    Word{"FINISH", StopReason::kStop},
    Word{"COMPLETE", StopReason::kStop},
    Word{"endoftext", StopReason::kStop},
    Word{"end_turn", StopReason::kStop},
    Word{"stop_sequence", StopReason::kStopSequence},
    Word{"STOP_SEQUENCE", StopReason::kStopSequence},
    Word{"STOP_CRITERIA_MET", StopReason::kStopSequence},
    Word{"length", StopReason::kLength},
    Word{"LENGTH", StopReason::kLength},
    Word{"max_tokens", StopReason::kLength},
    Word{"MAX_TOKENS", StopReason::kLength},
    Word{"ERROR_LIMIT", StopReason::kContextExceeded},
    Word{"CONTENT_FILTERED", StopReason::kContentFilter},
    Word{"ERROR_TOXIC", StopReason::kContentFilter},
    Word{"INTERVENED", StopReason::kContentFilter},
    Word{"tool_calls", StopReason::kToolCalls},
    Word{"TOOL_CALL", StopReason::kToolCalls},
};

struct FamilyWords {
    Family family;
    std::string_view stop;
    std::string_view sequence;
    std::string_view length;
    std::string_view filter;
};
constexpr std::array kFamilyWords{
    FamilyWords{
        Family::kClaudeText, "stop_sequence", "stop_sequence", "max_tokens", "stop_sequence"},
    FamilyWords{Family::kTitan, "FINISH", "STOP_CRITERIA_MET", "LENGTH", "CONTENT_FILTERED"},
    FamilyWords{Family::kLlama, "stop", "stop", "length", "stop"},
    FamilyWords{Family::kMistralText, "stop", "stop", "length", "stop"},
    FamilyWords{Family::kDeepseekText, "stop", "stop", "length", "stop"},
    FamilyWords{Family::kCohereText, "COMPLETE", "COMPLETE", "MAX_TOKENS", "ERROR_TOXIC"},
    FamilyWords{Family::kCohereChat, "COMPLETE", "COMPLETE", "MAX_TOKENS", "ERROR_TOXIC"},
    FamilyWords{Family::kJurassic, "endoftext", "stop", "length", "stop"},
};

}  // namespace

StopReason stop_reason_of(std::string_view word, std::string_view sequence) {
    const auto* found = std::ranges::find(kWords, word, &Word::word);
    if (found == kWords.end()) return StopReason::kOther;
    // Claude's text completions end where the next turn of the human would begin.
    if (found->reason == StopReason::kStopSequence && sequence == kHumanTurn)
        return StopReason::kStop;
    if (found->reason == StopReason::kStop && !sequence.empty()) return StopReason::kStopSequence;
    return found->reason;
}

std::string_view stop_word_of(Family family, StopReason reason) {
    const auto* found = std::ranges::find(kFamilyWords, family, &FamilyWords::family);
    if (found == kFamilyWords.end()) return "stop";
    switch (reason) {
        case StopReason::kStopSequence: return found->sequence;
        case StopReason::kLength:
        case StopReason::kContextExceeded: return found->length;
        case StopReason::kContentFilter:
        case StopReason::kRefusal: return found->filter;
        default: return found->stop;
    }
}

}  // namespace entrepot::dialect::bedrock_invoke
