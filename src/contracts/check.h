#pragma once

#include <span>

#include "catalog/region.h"
#include "contracts/contract.h"

namespace entrepot::contracts {

/// What is wrong with contracts, by the path of the value at fault:
/// `contracts.acme.discounts[0].off`.
struct Finding {
    std::string path;
    std::string cause;
    std::string remedy;
};

/// A cloud that there is.
struct CloudFact {
    std::string_view name;
    catalog::CloudKind kind = catalog::CloudKind::kOpenai;
};

/// Every contradiction within contracts and between them.
[[nodiscard]] std::vector<Finding> check(
    std::span<const Contract> contracts, std::span<const CloudFact> clouds);

}  // namespace entrepot::contracts
