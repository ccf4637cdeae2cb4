#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "catalog/catalog.h"

namespace entrepot::reconcile {

/// The words of a name, lower case: split at anything that is no letter or digit, at the humps of
/// `InputTokenCount`, and before digits (`Write1h` is `write` and `1h`).
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

/// A key in which sellers' names of one model agree: `anthropic.claude-sonnet-4-5-20250929-v1:0`,
/// `Claude Sonnet 4.5 (Amazon Bedrock Edition)` and `Claude4.5Sonnet` have the same one.
[[nodiscard]] std::string model_key(std::string_view name);

/// Who sends the bill for a cloud of that kind, as the catalogue calls them; empty where only its
/// endpoint tells.
[[nodiscard]] std::string_view seller_of(catalog::CloudKind kind);

/// Canonical names (`author/model`) of what sellers call models, from the catalogue.
class ModelNames {
public:
    explicit ModelNames(const catalog::Catalog& catalog);
    /// Of the catalogue built into this binary.
    [[nodiscard]] static const ModelNames& embedded();
    /// The canonical name, or `name` itself in lower case when the catalogue has none.
    [[nodiscard]] std::string canonical(std::string_view name) const;
    /// Only what is known; empty otherwise.
    [[nodiscard]] std::string_view find(std::string_view name) const;

private:
    void add(std::string_view name, std::string_view model);
    std::unordered_map<std::string, std::string_view> exact_;  // lower case, as the seller has it
    std::unordered_map<std::string, std::string_view> keys_;
};

}  // namespace entrepot::reconcile
