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
        : signer_(std::move(credentials), region, "bedrock"),
          region_(std::move(region)),
          host_(std::move(host)) {}
    /// Signs with what is fetched, from the moment it is published.
    BedrockSigner(
        std::shared_ptr<const CredentialCell> credentials, std::string region, std::string host)
        : BedrockSigner(sigv4::Credentials{}, std::move(region), std::move(host)) {
        fetched_.emplace(std::move(credentials));
    }

    Status ready(Instant now) override {
        if (fetched_) ENTREPOT_TRY_DO(fetched_->live(now));
        return {};
    }

    Status sign(std::string_view target, std::string_view body, Instant now,
        net::HeaderLines& lines) override {
        if (fetched_) {
            ENTREPOT_TRY(const Credential* credential, fetched_->live(now));
            adopt(*credential);
        }
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
        return {};
    }

private:
    // A derived key holds for one secret and one day; it is kept for as long as the secret is.
    void adopt(const Credential& credential) {
        const std::string_view id = credential.access_key_id.reveal();
        if (id == adopted_.access_key_id &&
            credential.secret_access_key.reveal() == adopted_.secret.reveal() &&
            credential.session_token.reveal() == adopted_.session_token.reveal())
            return;
        adopted_ = {std::string(id), credential.secret_access_key, credential.session_token};
        signer_ = sigv4::Signer(adopted_, region_, "bedrock");
    }

    sigv4::Signer signer_;
    std::string region_;
    std::string host_;
    std::optional<CredentialReader> fetched_;
    sigv4::Credentials adopted_;
};

/// Converse and ConverseStream, with a Bedrock API key or with SigV4.
class Bedrock final : public Supplier {
public:
    Bedrock(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint.origin), std::move(endpoint.base_path)),
          dialect_(*dialect::find_dialect("bedrock-converse")),
          invoke_(*dialect::find_dialect("bedrock-invoke")),
          region_(cloud.region) {
        net::HeaderLines lines;
        lines.add("content-type", "application/json");
        if (!cloud.api_key.empty()) {
            lines.add("authorization", fmt::format("Bearer {}", cloud.api_key.reveal()));
        } else if (!cloud.access_key_id.empty()) {
            credentials_ = sigv4::Credentials{std::string(cloud.access_key_id.reveal()),
                cloud.secret_access_key, cloud.session_token};
        }
        header_lines_ = lines.text();
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        // Ids hold `:`, and ARNs `/` as well: one path segment.
        const std::string model =
            fmt::format("{}/model/{}", base_path_, percent_encode(model_at_cloud));
        return {{&dialect_, model + "/converse", model + "/converse-stream", header_lines_},
            {&invoke_, model + "/invoke", model + "/invoke-with-response-stream", header_lines_}};
    }
    std::unique_ptr<Signer> make_signer(
        const std::shared_ptr<const CredentialCell>& credentials) const override {
        if (credentials != nullptr)
            return std::make_unique<BedrockSigner>(credentials, region_, origin_.authority());
        if (!credentials_) return nullptr;
        return std::make_unique<BedrockSigner>(*credentials_, region_, origin_.authority());
    }
    std::string_view request_id_header() const override { return "x-amzn-requestid"; }

private:
    const dialect::Dialect& dialect_;
    const dialect::Dialect& invoke_;
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
    const bool has_pair = !cloud.access_key_id.empty() && !cloud.secret_access_key.empty();
    if (cloud.api_key.empty() && !has_pair && !cloud.fetches_credentials()) {
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: credentials are missing: give api_key, or access_key_id and "
                        "secret_access_key, or credentials: {{from: ...}}",
                cloud.id.view()));
    }
    ENTREPOT_TRY(Endpoint endpoint,
        endpoint_of(cloud, fmt::format("https://bedrock-runtime.{}.amazonaws.com", cloud.region)));
    return std::make_unique<Bedrock>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
