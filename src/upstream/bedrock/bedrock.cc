#include "upstream/bedrock/bedrock.h"

#include <fmt/format.h>

#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/sigv4.h"
#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

namespace sigv4 = crypto::sigv4;

class BedrockSigner final : public Signer {
public:
    BedrockSigner(sigv4::Credentials credentials, std::string region, std::string host)
        : signer_(std::move(credentials), std::move(region), "bedrock"), host_(std::move(host)) {}

    void sign(std::string_view target, std::string_view body, Instant now,
        net::HeaderLines& lines) override {
        const std::array headers{sigv4::HeaderView{"host", host_},
            sigv4::HeaderView{"content-type", "application/json"}};
        const std::string digest = crypto::hex(crypto::sha256(body));
        const sigv4::Request request{.method = "POST",
            .path = target,
            .query = {},
            .headers = headers,
            .body_sha256_hex = digest};
        for (const sigv4::Header& header : signer_.sign(request, now))
            lines.add(header.name, header.value);
    }

private:
    sigv4::Signer signer_;
    std::string host_;
};

/// Converse and ConverseStream, with a Bedrock API key or with SigV4.
class Bedrock final : public Supplier {
public:
    Bedrock(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint.origin), std::move(endpoint.base_path)),
          dialect_(*dialect::find_dialect("bedrock-converse")),
          region_(cloud.region) {
        net::HeaderLines lines;
        lines.add("content-type", "application/json");
        if (!cloud.api_key.empty()) {
            lines.add("authorization", fmt::format("Bearer {}", cloud.api_key.reveal()));
        } else {
            credentials_ = sigv4::Credentials{std::string(cloud.access_key_id.reveal()),
                cloud.secret_access_key, cloud.session_token};
        }
        header_lines_ = lines.text();
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        // Ids hold `:`, and ARNs `/` as well: one path segment.
        const std::string model =
            fmt::format("{}/model/{}", base_path_, percent_encode(model_at_cloud));
        return {{&dialect_, model + "/converse", model + "/converse-stream", header_lines_}};
    }
    std::unique_ptr<Signer> make_signer() const override {
        if (!credentials_) return nullptr;
        return std::make_unique<BedrockSigner>(*credentials_, region_, origin_.authority());
    }
    std::string_view request_id_header() const override { return "x-amzn-requestid"; }

private:
    const dialect::Dialect& dialect_;
    std::string region_;
    std::string header_lines_;
    std::optional<sigv4::Credentials> credentials_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_bedrock(const config::CloudSettings& cloud) {
    if (cloud.region.empty())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: region is missing; signatures and the endpoint need it",
                cloud.id.view()));
    if (cloud.api_key.empty() && (cloud.access_key_id.empty() || cloud.secret_access_key.empty())) {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: credentials are missing: give api_key, or access_key_id and "
                        "secret_access_key",
                cloud.id.view()));
    }
    ENTREPOT_TRY(Endpoint endpoint,
        endpoint_of(cloud, fmt::format("https://bedrock-runtime.{}.amazonaws.com", cloud.region)));
    return std::make_unique<Bedrock>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
