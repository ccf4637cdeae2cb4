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
    BedrockSigner(
        sigv4::Credentials credentials, std::string region, std::string service, std::string host)
        : signer_(std::move(credentials), region, service),
          region_(std::move(region)),
          service_(std::move(service)),
          host_(std::move(host)) {}
    /// Signs with what is fetched, from the moment it is published.
    BedrockSigner(std::shared_ptr<const CredentialCell> credentials, std::string region,
        std::string service, std::string host)
        : BedrockSigner(
              sigv4::Credentials{}, std::move(region), std::move(service), std::move(host)) {
        fetched_.emplace(std::move(credentials));
    }

    Status ready(Instant now) override {
        if (fetched_) ENTREPOT_TRY_DO(fetched_->live(now));
        return {};
    }

    Status sign(const Request& sent, Instant now, net::HeaderLines& lines) override {
        if (fetched_) {
            ENTREPOT_TRY(const Credential* credential, fetched_->live(now));
            adopt(*credential);
        }
        const std::array headers{
            sigv4::HeaderView{"host", host_}, sigv4::HeaderView{"content-type", sent.content_type}};
        const std::string digest = crypto::hex(crypto::sha256(sent.body));
        const std::size_t path_end = std::min(sent.target.find('?'), sent.target.size());
        const std::string_view query = sent.target.substr(path_end);
        const sigv4::Request request{.method = sent.method,
            .path = sent.target.substr(0, path_end),
            .query = query.empty() ? query : query.substr(1),
            .headers = std::span(headers).first(sent.content_type.empty() ? 1 : 2),
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
        signer_ = sigv4::Signer(adopted_, region_, service_);
    }

    sigv4::Signer signer_;
    std::string region_;
    std::string service_;
    std::string host_;
    std::optional<CredentialReader> fetched_;
    sigv4::Credentials adopted_;
};

/// The newer service, of OpenAI's and Anthropic's own formats alone.
constexpr std::string_view kMantle = "bedrock-mantle";

/// Whether a model id, of a profile (`us.`) or not, is one of that maker's family.
bool is_of(std::string_view model, std::string_view family) {
    return model.starts_with(family) || model.find(fmt::format(".{}", family)) != model.npos;
}

/// With a Bedrock API key or with SigV4.
class Bedrock final : public Supplier {
public:
    Bedrock(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          dialect_(*dialect::find_dialect("bedrock-converse")),
          invoke_(*dialect::find_dialect("bedrock-invoke")),
          chat_(*dialect::find_dialect("openai-chat")),
          region_(cloud.region),
          service_(service_of(cloud)) {
        if (cloud.api_key.empty() && !cloud.access_key_id.empty())
            credentials_ = sigv4::Credentials{std::string(cloud.access_key_id.reveal()),
                cloud.secret_access_key, cloud.session_token};
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        return voices_in(model_at_cloud, config::ApiFormat::kByModel);
    }
    std::vector<Voice> voices_in(
        std::string_view model_at_cloud, config::ApiFormat format) const override {
        if (service_ == kMantle) return mantle_voices(model_at_cloud);
        const std::string chat = base_path_ + "/openai/v1/chat/completions";
        const Voice openai{&chat_, chat, chat, header_lines_, {}};
        if (format == config::ApiFormat::kOpenai) return {openai};
        // Ids hold `:`, and ARNs `/` as well: one path segment.
        const std::string model =
            fmt::format("{}/model/{}", base_path_, percent_encode(model_at_cloud));
        Voice invoke{
            &invoke_, model + "/invoke", model + "/invoke-with-response-stream", header_lines_, {}};
        // What is no model of conversations is reached by its own bodies alone.
        const bool makes_vectors = model_at_cloud.find("embed") != std::string_view::npos;
        invoke.tasks =
            canon::task_bit(makes_vectors ? canon::Task::kEmbed : canon::Task::kConverse);
        if (makes_vectors) {
            // Titan takes one text a call, Cohere 96.
            invoke.inputs_max = model_at_cloud.find("titan") != std::string_view::npos ? 1 : 96;
            return {std::move(invoke)};
        }
        std::vector<Voice> voices{
            {&dialect_, model + "/converse", model + "/converse-stream", header_lines_, {}},
            std::move(invoke),
            {dialect::find_dialect("bedrock-count-tokens"), model + "/count-tokens", {},
                header_lines_, {}}};
        // Documented for OpenAI's open weights; a profile or an ARN is no name there.
        if (model_at_cloud.starts_with("openai.gpt-oss")) voices.push_back(openai);
        return voices;
    }
    std::unique_ptr<Signer> make_signer(
        const std::shared_ptr<const CredentialCell>& credentials) const override {
        if (credentials != nullptr)
            return std::make_unique<BedrockSigner>(
                credentials, region_, service_, origin_.authority());
        if (!credentials_) return nullptr;
        return std::make_unique<BedrockSigner>(
            *credentials_, region_, service_, origin_.authority());
    }
    std::string_view request_id_header() const override { return "x-amzn-requestid"; }

    static std::string service_of(const config::CloudSettings& cloud) {
        if (!cloud.service.empty()) return cloud.service;
        const bool is_mantle = cloud.endpoint.find("://bedrock-mantle.") != std::string::npos;
        return is_mantle ? std::string(kMantle) : "bedrock";
    }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        if (!cloud.api_key.empty())
            lines.add("authorization", fmt::format("Bearer {}", cloud.api_key.reveal()));
        return lines;
    }
    std::vector<Voice> mantle_voices(std::string_view model) const {
        if (is_of(model, "anthropic.")) {
            const std::string messages = base_path_ + "/anthropic/v1/messages";
            return {{dialect::find_dialect("anthropic-messages"), messages, messages, header_lines_,
                {}}};
        }
        // As recorded: OpenAI's closed models under /openai/v1, everybody else's under /v1. Of the
        // closed ones Responses alone was seen.
        const bool is_closed = is_of(model, "openai.") && !is_of(model, "openai.gpt-oss");
        const std::string base = base_path_ + (is_closed ? "/openai/v1" : "/v1");
        const Voice chat{
            &chat_, base + "/chat/completions", base + "/chat/completions", header_lines_, {}};
        const Voice responses{dialect::find_dialect("openai-responses"), base + "/responses",
            base + "/responses", header_lines_, {}};
        if (is_closed) return {responses};
        return {chat, responses};
    }

    const dialect::Dialect& dialect_;
    const dialect::Dialect& invoke_;
    const dialect::Dialect& chat_;
    std::string region_;
    std::string service_;
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
        endpoint_of(cloud,
            Bedrock::service_of(cloud) == kMantle
                ? fmt::format("https://bedrock-mantle.{}.api.aws", cloud.region)
                : fmt::format("https://bedrock-runtime.{}.amazonaws.com", cloud.region)));
    return std::make_unique<Bedrock>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
