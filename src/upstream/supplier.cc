#include "upstream/supplier.h"

#include <fmt/format.h>

#include "upstream/anthropic/anthropic.h"
#include "upstream/azure/azure.h"
#include "upstream/bedrock/bedrock.h"
#include "upstream/openai/openai.h"

namespace entrepot::upstream {

Result<Endpoint> endpoint_of(const config::CloudSettings& cloud, std::string_view fallback) {
    const std::string_view url =
        cloud.endpoint.empty() ? fallback : std::string_view(cloud.endpoint);
    if (url.empty()) {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: a cloud of kind {} needs an endpoint", cloud.id.view(),
                config::cloud_kind_name(cloud.kind)));
    }
    Endpoint endpoint;
    ENTREPOT_TRY(endpoint.origin, net::Origin::parse(url, &endpoint.base_path));
    endpoint.origin.ca_file = cloud.ca_file;
    endpoint.origin.proxy = cloud.proxy;
    return endpoint;
}

Result<std::unique_ptr<const Supplier>> make_supplier(const config::CloudSettings& cloud) {
    switch (cloud.kind) {
        case config::CloudKind::kOpenai:
        case config::CloudKind::kOpenaiCompatible: return make_openai(cloud);
        case config::CloudKind::kAzure: return make_azure(cloud);
        case config::CloudKind::kAnthropic: return make_anthropic(cloud);
        case config::CloudKind::kBedrock: return make_bedrock(cloud);
        default: break;
    }
    return fail(ErrorCode::kUnsupported,
        fmt::format("clouds.{}: kind {} is not supported yet by this build; use openai, "
                    "openai_compatible, azure, "
                    "anthropic or bedrock",
            cloud.id.view(), config::cloud_kind_name(cloud.kind)));
}

}  // namespace entrepot::upstream
