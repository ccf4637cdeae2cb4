#include "upstream/oci/oci.h"

#include <fmt/format.h>

#include "crypto/http_signature.h"
#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

namespace http_signature = crypto::http_signature;
using config::ApiFormat;

constexpr std::string_view kOpenaiPath = "/openai/v1";
constexpr std::string_view kOldOpenaiPath = "/20231130/actions/v1";

/// An RSA signature over every request, the body included.
class OciSigner final : public Signer {
public:
    OciSigner(std::shared_ptr<const CredentialCell> cell, std::string host)
        : reader_(std::move(cell)), host_(std::move(host)) {}

    Status ready(Instant now) override {
        ENTREPOT_TRY_DO(reader_.live(now));
        return {};
    }

    Status sign(const Request& sent, Instant now, net::HeaderLines& lines) override {
        ENTREPOT_TRY(const Credential* credential, reader_.live(now));
        if (!credential->signing_key)
            return fail(ErrorCode::kUpstreamAuth,
                "the gateway has no valid credentials for this cloud at present",
                "what was fetched is no signing key");
        const std::string date = to_http_date(now);
        lines.add("date", date);
        // Oracle wants these three of a body, even of one that is empty, and of no other request.
        std::string digest;
        if (sent.method == "POST" || sent.method == "PUT" || sent.method == "PATCH") {
            digest = http_signature::content_sha256(sent.body);
            lines.add("x-content-sha256", digest);
        }
        const http_signature::Request request{.method = sent.method,
            .target = sent.target,
            .host = host_,
            .date = date,
            .content_type = sent.content_type,
            .content_bytes = sent.body.size(),
            .content_sha256 = digest};
        rest_ = [key = *credential->signing_key, key_id = credential->key_id,
                    text = http_signature::signing_string(request),
                    covered = http_signature::covered(request)]() -> Result<std::string> {
            net::HeaderLines line;
            line.add("authorization",
                http_signature::authorization(key_id, key.sign_sha256(text), covered));
            return std::string(line.text());
        };
        return {};
    }
    Rest take_rest() override { return std::exchange(rest_, {}); }

private:
    CredentialReader reader_;
    std::string host_;
    Rest rest_;
};

/// Generative AI: endpoints that copy OpenAI's, and native chat.
class Oci final : public Supplier {
public:
    Oci(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)), compartment_(cloud.compartment) {
        // Who names one of the two addresses of OpenAI's format means the cloud behind it.
        for (const std::string_view path : {kOpenaiPath, kOldOpenaiPath})
            if (base_path_.ends_with(path)) {
                openai_path_ = path;
                base_path_.resize(base_path_.size() - path.size());
            }
        net::HeaderLines key;
        add_key(cloud, key);
        native_lines_ = header_lines_of(key);  // the body names the compartment
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        return voices_in(model_at_cloud, ApiFormat::kByModel);
    }
    std::vector<Voice> voices_in(std::string_view model, ApiFormat stated) const override {
        const ApiFormat format = config::oci_format(stated, model);
        if (format == ApiFormat::kOpenai) return openai_voices(model);
        const std::string target = base_path_ + "/20231130/actions/chat";
        const std::string_view name = format == ApiFormat::kCohere ? "oci-cohere"
            : format == ApiFormat::kCohereV2                       ? "oci-cohere-v2"
                                                                   : "oci";
        return {{dialect::find_dialect(name), target, target, native_lines_, compartment_}};
    }
    std::unique_ptr<Signer> make_signer(
        const std::shared_ptr<const CredentialCell>& credentials) const override {
        if (credentials == nullptr) return nullptr;
        return std::make_unique<OciSigner>(credentials, origin_.authority());
    }
    std::string_view request_id_header() const override { return "opc-request-id"; }

private:
    static void add_key(const config::CloudSettings& cloud, net::HeaderLines& lines) {
        if (!cloud.api_key.empty())
            lines.add("authorization", fmt::format("Bearer {}", cloud.api_key.reveal()));
    }
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        add_key(cloud, lines);
        if (!cloud.compartment.empty()) {
            lines.add("opc-compartment-id", cloud.compartment);
            lines.add("compartmentid", cloud.compartment);
        }
        if (!cloud.project.empty()) lines.add("openai-project", cloud.project);
        return lines;
    }
    std::vector<Voice> openai_voices(std::string_view model) const {
        const std::string base = base_path_ + std::string(openai_path_);
        const std::string chat = base + "/chat/completions";
        std::vector<Voice> voices{
            {dialect::find_dialect("openai-chat"), chat, chat, header_lines_, {}}};
        // Documented for these makers; Llama is not served so.
        if (model.starts_with("openai.") || model.starts_with("xai.")) {
            const std::string responses = base + "/responses";
            voices.push_back({dialect::find_dialect("openai-responses"), responses, responses,
                header_lines_, {}});
        }
        return voices;
    }

    std::string compartment_;
    std::string_view openai_path_ = kOpenaiPath;
    std::string native_lines_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_oci(const config::CloudSettings& cloud) {
    if (cloud.region.empty())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format(
                "clouds.{}: region is missing; keys and endpoints belong to one", cloud.id.view()));
    if (cloud.api_key.empty() && !cloud.fetches_credentials())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: credentials are missing: give api_key, config_file or "
                        "credentials: {{from: ...}}",
                cloud.id.view()));
    ENTREPOT_TRY(Endpoint endpoint,
        endpoint_of(cloud,
            fmt::format("https://inference.generativeai.{}.oci.oraclecloud.com", cloud.region)));
    return std::make_unique<Oci>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
