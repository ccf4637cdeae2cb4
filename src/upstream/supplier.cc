#include "upstream/supplier.h"

#include <fmt/format.h>

#include "net/tls.h"
#include "upstream/anthropic/anthropic.h"
#include "upstream/azure/azure.h"
#include "upstream/bedrock/bedrock.h"
#include "upstream/cohere/cohere.h"
#include "upstream/gemini/gemini.h"
#include "upstream/oci/oci.h"
#include "upstream/openai/openai.h"
#include "upstream/vertex/vertex.h"

namespace entrepot::upstream {
namespace {

/// An OAuth token, as it stands.
class BearerSigner final : public Signer {
public:
    explicit BearerSigner(std::shared_ptr<const CredentialCell> cell) : reader_(std::move(cell)) {}

    Status ready(Instant now) override {
        ENTREPOT_TRY_DO(reader_.live(now));
        return {};
    }
    Status sign(const Request&, Instant now, net::HeaderLines& lines) override {
        ENTREPOT_TRY(const Credential* credential, reader_.live(now));
        lines.add("authorization", fmt::format("Bearer {}", credential->bearer.reveal()));
        return {};
    }

private:
    CredentialReader reader_;
};

}  // namespace

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
    endpoint.origin.client_cert_file = cloud.client_cert_file;
    endpoint.origin.client_key_file = cloud.client_key_file;
    endpoint.origin.proxy = cloud.proxy;
    endpoint.origin.connections_max = static_cast<std::size_t>(cloud.connections_max);
    switch (cloud.http) {
        case config::CloudHttp::k1: endpoint.origin.http = net::HttpVersion::k1; break;
        case config::CloudHttp::k2: endpoint.origin.http = net::HttpVersion::k2; break;
        case config::CloudHttp::kAuto: endpoint.origin.http = net::HttpVersion::kAuto; break;
    }
    // Files that cannot be used are a matter of the configuration, not of the first request.
    if (endpoint.origin.secure && !(cloud.ca_file.empty() && cloud.client_cert_file.empty())) {
        const auto usable = net::TlsClientContext::make(
            {cloud.ca_file, cloud.client_cert_file, cloud.client_key_file});
        if (!usable)
            return fail(ErrorCode::kBadConfiguration,
                fmt::format("clouds.{}: {}", cloud.id.view(), usable.error().message));
    }
    return endpoint;
}

std::string Supplier::header_lines_of(const net::HeaderLines& access) {
    net::HeaderLines lines;
    lines.add("content-type", "application/json");
    // Who asks for nothing may be sent anything; what is compressed cannot be metered.
    lines.add("accept-encoding", "identity");
    return std::string(lines.text()).append(access.text());
}

std::unique_ptr<Signer> Supplier::make_signer(
    const std::shared_ptr<const CredentialCell>& credentials) const {
    if (credentials == nullptr) return nullptr;
    return std::make_unique<BearerSigner>(credentials);
}

Result<std::unique_ptr<const Supplier>> make_supplier(const config::CloudSettings& cloud) {
    using enum config::CloudKind;
    switch (cloud.kind) {
        case kOpenai:
        case kOpenaiCompatible: return make_openai(cloud);
        case kAzure: return make_azure(cloud);
        case kAnthropic: return make_anthropic(cloud);
        case kBedrock: return make_bedrock(cloud);
        case kVertex: return make_vertex(cloud);
        case kGemini: return make_gemini(cloud);
        case kOci: return make_oci(cloud);
        case kCohere: return make_cohere(cloud);
    }
    return fail(ErrorCode::kBadConfiguration,
        fmt::format("clouds.{}: there is no such kind", cloud.id.view()));
}

}  // namespace entrepot::upstream
