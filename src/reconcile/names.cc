#include "reconcile/names.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace entrepot::reconcile {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// What sellers put around a model's name and what is no part of it.
constexpr std::array<std::string_view, 14> kNoise{"amazon", "anthropic", "bedrock", "edition", "ga",
    "instruct", "meta", "openai", "google", "preview", "usage", "vertex", "latest", "xai"};

/// `normal_model_id` takes an id; a name in words has no prefixes and no suffixes to take off.
std::string normal(std::string_view name) {
    if (name.find(' ') == std::string_view::npos) return catalog::normal_model_id(name);
    return std::string(name);
}

/// Letters sorted, numbers in their order: `claude sonnet 4 5`.
std::string key_of(std::vector<std::string> pieces) {
    std::vector<std::string> letters, numbers;
    for (std::string& piece : pieces) {
        if (is_digit(piece.front())) {
            // 2.0 is 2; a date at the end is a snapshot.
            const bool is_zero = piece == "0" && !numbers.empty();
            if (!is_zero && piece.size() < 8) numbers.push_back(std::move(piece));
        } else if (std::ranges::find(kNoise, piece) == kNoise.end()) {
            letters.push_back(std::move(piece));
        }
    }
    std::ranges::sort(letters);
    std::string key;
    for (const auto* list : {&letters, &numbers})
        for (const std::string& piece : *list) key += (key.empty() ? "" : " ") + piece;
    return key;
}

/// Runs of letters and runs of digits, each on its own; at humps too where `at_humps`.
std::vector<std::string> runs_of(std::string_view text, bool at_humps) {
    std::vector<std::string> runs;
    char before = ' ';
    for (const char c : text) {
        const bool is_letter = is_lower(c) || is_upper(c);
        const bool is_new = (is_digit(c) && !is_digit(before)) ||
            (is_letter && !is_lower(before) && !is_upper(before)) ||
            (at_humps && is_upper(c) && is_lower(before));
        if (is_new) runs.emplace_back();
        if (is_letter || is_digit(c)) runs.back() += is_upper(c) ? static_cast<char>(c + 32) : c;
        before = c;
    }
    return runs;
}

}  // namespace

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    char before = ' ';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool is_letter = is_lower(c) || is_upper(c);
        if (!is_letter && !is_digit(c)) {
            before = ' ';
            continue;
        }
        const bool is_hump = is_upper(c) &&
            (is_lower(before) ||
                (is_digit(before) && i + 1 < text.size() && is_lower(text[i + 1])));
        if (before == ' ' || is_hump || (is_digit(c) && !is_digit(before))) words.emplace_back();
        words.back() += is_upper(c) ? static_cast<char>(c + 32) : c;
        before = c;
    }
    return words;
}

std::string_view seller_of(catalog::CloudKind kind) {
    switch (kind) {
        case catalog::CloudKind::kOpenai: return "openai";
        case catalog::CloudKind::kAzure: return "azure";
        case catalog::CloudKind::kAnthropic: return "anthropic";
        case catalog::CloudKind::kBedrock: return "aws";
        case catalog::CloudKind::kVertex:
        case catalog::CloudKind::kGemini: return "gcp";
        case catalog::CloudKind::kOci: return "oci";
        case catalog::CloudKind::kCohere: return "cohere";
        case catalog::CloudKind::kOpenaiCompatible: break;
    }
    return {};
}

std::string model_key(std::string_view name) { return key_of(runs_of(normal(name), false)); }

ModelNames::ModelNames(const catalog::Catalog& catalog) {
    // A model's own name wins over what some seller calls another one.
    for (const catalog::ModelFacts& model : catalog.models()) {
        exact_.emplace(to_lower(model.name), model.name);
        const auto slash = model.name.find('/');
        exact_.emplace(to_lower(model.name.substr(slash + 1)), model.name);
    }
    for (const catalog::ModelFacts& model : catalog.models())
        add(model.name.substr(model.name.find('/') + 1), model.name);
    for (const catalog::Offer& offer : catalog.offers()) {
        exact_.emplace(to_lower(offer.provider_model_id), offer.model);
        add(offer.provider_model_id, offer.model);
    }
}

void ModelNames::add(std::string_view name, std::string_view model) {
    std::string key = model_key(name);
    if (!key.empty()) keys_.emplace(std::move(key), model);
}

const ModelNames& ModelNames::embedded() {
    static const ModelNames kNames(catalog::Catalog::embedded());
    return kNames;
}

std::string_view ModelNames::find(std::string_view name) const {
    if (const auto at = exact_.find(to_lower(name)); at != exact_.end()) return at->second;
    if (const auto at = keys_.find(model_key(name)); at != keys_.end()) return at->second;
    // `NovaLite`: two words to the list, one to the catalogue or the other way round.
    if (const auto at = keys_.find(key_of(runs_of(name, true))); at != keys_.end())
        return at->second;
    return {};
}

std::string ModelNames::canonical(std::string_view name) const {
    const std::string_view known = find(name);
    return known.empty() ? to_lower(trim(name)) : std::string(known);
}

}  // namespace entrepot::reconcile
