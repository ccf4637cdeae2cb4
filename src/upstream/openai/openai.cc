#include "upstream/openai/openai.h"

#include <fmt/format.h>

#include <array>

#include "dialect/registry.h"
#include "upstream/small_voices.h"

namespace entrepot::upstream {
namespace {

struct KnownServer {
    std::string_view host;
    Quirks quirks;
};

// Servers that copy the Chat Completions API and where they differ (shared facts, recorded 2026). A
// host that is not here is taken to follow the specification.
constexpr std::array kKnownServers{
    KnownServer{
        "api.mistral.ai", {.can_ask_stream_usage = false, .takes_max_completion_tokens = false}},
    KnownServer{
        "api.perplexity.ai", {.can_ask_stream_usage = false, .takes_max_completion_tokens = false}},
    KnownServer{"api.deepseek.com", {.takes_max_completion_tokens = false}},
    KnownServer{"api.together.xyz", {.takes_max_completion_tokens = false}},
};

class OpenAi final : public Supplier {
public:
    OpenAi(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          dialect_(*dialect::find_dialect("openai-chat")),
          responses_(*dialect::find_dialect("openai-responses")),
          embeddings_(*dialect::find_dialect("openai-embeddings")),
          count_(*dialect::find_dialect("openai-input-tokens")),
          has_responses_(cloud.kind == config::CloudKind::kOpenai) {
        if (cloud.kind == config::CloudKind::kOpenaiCompatible) {
            // An unknown server may be old: `max_tokens` is what every one of them takes.
            quirks_.takes_max_completion_tokens = false;
            for (const KnownServer& server : kKnownServers)
                if (origin_.host == server.host) quirks_ = server.quirks;
        }
    }

    std::vector<Voice> voices(std::string_view) const override {
        const std::string target = base_path_ + "/chat/completions";
        std::vector<Voice> voices{{&dialect_, target, target, header_lines_, {}, {}, quirks_}};
        // Servers that copy the API copy chat completions; few have the rest.
        if (has_responses_) {
            const std::string responses = base_path_ + "/responses";
            voices.push_back({&responses_, responses, responses, header_lines_});
            voices.push_back({&count_, responses + "/input_tokens", {}, header_lines_});
        }
        const std::string embeddings = base_path_ + "/embeddings";
        voices.push_back({&embeddings_, embeddings, {}, header_lines_});
        add_small_voices(voices, header_lines_, quirks_,
            [&](std::string_view call) { return fmt::format("{}/{}", base_path_, call); });
        if (!has_responses_)  // OpenAI itself ranks nothing
            voices.push_back(
                {dialect::find_dialect("rerank"), base_path_ + "/rerank", {}, header_lines_});
        return voices;
    }
    Keeping keeping() const override {
        if (!has_responses_) return {};
        return {KeepingStyle::kOpenai, base_path_, {}};
    }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        if (!cloud.api_key.empty())
            lines.add("authorization", fmt::format("Bearer {}", cloud.api_key.reveal()));
        if (!cloud.organization.empty()) lines.add("openai-organization", cloud.organization);
        if (!cloud.project.empty()) lines.add("openai-project", cloud.project);
        return lines;
    }

    const dialect::Dialect& dialect_;
    const dialect::Dialect& responses_;
    const dialect::Dialect& embeddings_;
    const dialect::Dialect& count_;
    bool has_responses_;
    Quirks quirks_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_openai(const config::CloudSettings& cloud) {
    const bool is_openai = cloud.kind == config::CloudKind::kOpenai;
    ENTREPOT_TRY(
        Endpoint endpoint, endpoint_of(cloud, is_openai ? "https://api.openai.com/v1" : ""));
    if (is_openai && cloud.api_key.empty())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: api_key is missing", cloud.id.view()));
    // OpenAI's own endpoint is stated with and without its version by the official clients; both
    // are meant.
    if (is_openai && endpoint.base_path.empty()) endpoint.base_path = "/v1";
    return std::make_unique<OpenAi>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
