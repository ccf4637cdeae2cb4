#include "upstream/azure/azure.h"

#include <fmt/format.h>

#include "base/text.h"
#include "dialect/registry.h"
#include "upstream/small_voices.h"

namespace entrepot::upstream {
namespace {

/// Without `api_version` the v1 API, whose body names the deployment; with one, the dated API,
/// whose path does.
class Azure final : public Supplier {
public:
    Azure(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          dialect_(*dialect::find_dialect("azure-openai")),
          responses_(*dialect::find_dialect("openai-responses")),
          embeddings_(*dialect::find_dialect("openai-embeddings")),
          api_version_(cloud.api_version) {
        // stream_options came with 2024-09-01-preview; max_completion_tokens with it.
        if (!api_version_.empty() && api_version_.substr(0, 10) < "2024-09-01") {
            quirks_.can_ask_stream_usage = false;
            quirks_.takes_max_completion_tokens = false;
        }
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        const auto at = [&](std::string_view call) {
            return api_version_.empty()
                ? fmt::format("{}/openai/v1/{}", base_path_, call)
                : fmt::format("{}/openai/deployments/{}/{}?api-version={}", base_path_,
                      percent_encode(model_at_cloud), call, percent_encode(api_version_));
        };
        const std::string target = at("chat/completions");
        std::vector<Voice> voices{{&dialect_, target, target, header_lines_, {}, {}, quirks_}};
        // Responses came with 2025-03-01-preview; there the body names the deployment.
        if (api_version_.empty() || api_version_.substr(0, 10) >= "2025-03-01") {
            const std::string responses = api_version_.empty()
                ? base_path_ + "/openai/v1/responses"
                : fmt::format("{}/openai/responses?api-version={}", base_path_,
                      percent_encode(api_version_));
            voices.push_back({&responses_, responses, responses, header_lines_});
        }
        voices.push_back({&embeddings_, at("embeddings"), {}, header_lines_});
        add_small_voices(voices, header_lines_, quirks_, at);
        std::erase_if(voices, [](const Voice& voice) {  // Azure has a service apart for these
            return voice.dialect->name == "openai-moderations";
        });
        return voices;
    }
    std::string_view request_id_header() const override { return "apim-request-id"; }
    Keeping keeping() const override {
        if (api_version_.empty()) return {KeepingStyle::kOpenai, base_path_ + "/openai/v1", {}};
        return {KeepingStyle::kOpenai, base_path_ + "/openai",
            "api-version=" + percent_encode(api_version_)};
    }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        if (!cloud.api_key.empty()) lines.add("api-key", cloud.api_key.reveal());
        return lines;
    }

    const dialect::Dialect& dialect_;
    const dialect::Dialect& responses_;
    const dialect::Dialect& embeddings_;
    std::string api_version_;
    Quirks quirks_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_azure(const config::CloudSettings& cloud) {
    ENTREPOT_TRY(Endpoint endpoint, endpoint_of(cloud, ""));
    if (cloud.api_key.empty() && !cloud.fetches_credentials())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: api_key or credentials is missing", cloud.id.view()));
    // People paste the endpoint with the path of one API or the other; the path is ours to add.
    for (const std::string_view suffix : {"/openai/v1", "/openai"}) {
        if (endpoint.base_path.ends_with(suffix))
            endpoint.base_path.resize(endpoint.base_path.size() - suffix.size());
    }
    return std::make_unique<Azure>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
