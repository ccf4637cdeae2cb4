#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialect/registry.h"
#include "upstream/supplier.h"

namespace entrepot::upstream {

/// OpenAI's endpoints beside conversations and embeddings; `at` says where a call of that path is.
template <typename At>
void add_small_voices(
    std::vector<Voice>& voices, std::string_view header_lines, const Quirks& quirks, const At& at) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kCalls{{
        {"openai-completions", "completions"},
        {"openai-moderations", "moderations"},
        {"openai-images", "images/generations"},
        {"openai-image-edits", "images/edits"},
        {"openai-speech", "audio/speech"},
        {"openai-transcriptions", "audio/transcriptions"},
        {"openai-translations", "audio/translations"},
    }};
    for (const auto& [dialect, path] : kCalls) {
        const std::string target = at(path);
        Voice voice{dialect::find_dialect(dialect), target, target, header_lines};
        voice.quirks = quirks;
        voices.push_back(std::move(voice));
    }
}

}  // namespace entrepot::upstream
