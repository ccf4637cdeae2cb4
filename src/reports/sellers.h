#pragma once

#include <optional>
#include <string_view>

#include "catalog/region.h"

namespace entrepot::reports {

/// Who sells through a kind of cloud, as their own bills have it. Empty where only the operator
/// knows.
struct Seller {
    std::string_view name;     ///< `Amazon Web Services`
    std::string_view service;  ///< `Amazon Bedrock`
    std::string_view code;     ///< `aws`: begins the ids of SKUs
};
[[nodiscard]] Seller seller_of(std::optional<catalog::CloudKind> kind);

/// The maker of a model as people write it: `Anthropic` of `anthropic`. What is not known stays.
[[nodiscard]] std::string_view author_name(std::string_view author);

}  // namespace entrepot::reports
