#include "upstream/vertex/vertex.h"

#include <fmt/format.h>

#include "base/text.h"
#include "catalog/publisher.h"
#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

/// Regions have a host each; `global` has the service's own, and the zones `us` and `eu` one that
/// keeps a request within them.
std::string documented_endpoint(std::string_view region) {
    if (region.empty() || region == "global") return "https://aiplatform.googleapis.com";
    if (region == "us" || region == "eu")
        return fmt::format("https://aiplatform.{}.rep.googleapis.com", region);
    return fmt::format("https://{}-aiplatform.googleapis.com", region);
}

/// One path segment. `@` stands before a version, and may stand in a path as it is.
std::string segment(std::string_view id) {
    std::string out;
    for (std::string_view rest = id;;) {
        const auto at = rest.find('@');
        out += percent_encode(rest.substr(0, at));
        if (at == std::string_view::npos) return out;
        out += '@';
        rest.remove_prefix(at + 1);
    }
}

/// Vertex AI: each publisher's models in the publisher's own format, all below one project and
/// location. With a key and no project it is the express mode, which sells Google's own models.
class Vertex final : public Supplier {
public:
    Vertex(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          gemini_(*dialect::find_dialect("vertex")),
          claude_(*dialect::find_dialect("vertex-anthropic")),
          chat_(*dialect::find_dialect("openai-chat")) {
        // Only the beta has all fields of Google's own models; an endpoint may name one version for
        // all.
        const bool is_versioned = base_path_.ends_with("/v1") || base_path_.ends_with("/v1beta1");
        const std::string place = cloud.project.empty()
            ? ""
            : fmt::format("/projects/{}/locations/{}", percent_encode(cloud.project),
                  percent_encode(cloud.region));
        path_ = base_path_ + (is_versioned ? "" : "/v1") + place;
        beta_path_ = base_path_ + (is_versioned ? "" : "/v1beta1") + place;
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        const catalog::PublisherModel named = catalog::publisher_model(model_at_cloud);
        if (named.publisher.empty()) return generating(beta_path_ + "/" + named.model, named);
        // What Google serves for others, and its own open models, it serves at one endpoint that
        // speaks chat completions; the name says so.
        const bool is_open = named.model.ends_with("-maas");
        const std::string model = fmt::format(
            "/publishers/{}/models/{}", percent_encode(named.publisher), segment(named.model));
        if (named.publisher == "google" && !is_open)
            return makes_vectors(named.model) ? std::vector<Voice>{embedding(model, named.model)}
                                              : generating(beta_path_ + model, named);
        if (named.publisher == "anthropic")
            return {predicting(claude_, model, named.model), counting(named.model)};
        if (!is_open && (named.publisher == "mistralai" || named.publisher == "ai21")) {
            Voice voice = predicting(chat_, model, named.model);
            voice.quirks = {.can_ask_stream_usage = false, .takes_max_completion_tokens = false};
            return {std::move(voice)};
        }
        const std::string target = path_ + "/endpoints/openapi/chat/completions";
        Voice voice{&chat_, target, target, header_lines_};
        voice.model_id = fmt::format("{}/{}", named.publisher, named.model);
        voice.quirks = {.takes_max_completion_tokens = false};
        return {std::move(voice)};
    }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        if (!cloud.api_key.empty()) lines.add("x-goog-api-key", cloud.api_key.reveal());
        return lines;
    }
    [[nodiscard]] std::vector<Voice> generating(
        const std::string& model, const catalog::PublisherModel& named) const {
        std::vector<Voice> voices{{&gemini_, model + ":generateContent",
                                      model + ":streamGenerateContent?alt=sse", header_lines_},
            {dialect::find_dialect("vertex-count-tokens"), model + ":countTokens", {},
                header_lines_}};
        for (Voice& voice : voices) voice.model_id = named.model;
        return voices;
    }
    /// `multimodalembedding` has instances of its own, which nobody else has.
    static bool makes_vectors(std::string_view model) {
        return model.starts_with("text-") || model.starts_with("gemini-embedding");
    }
    [[nodiscard]] Voice embedding(const std::string& model, std::string_view id) const {
        // One call of the newer ones makes one vector, and from the second on a call of their own.
        const bool is_newer = id.starts_with("gemini-embedding");
        const bool is_predicted = !is_newer || id.starts_with("gemini-embedding-001");
        Voice voice{dialect::find_dialect(is_predicted ? "vertex-predict" : "gemini-embed"),
            is_predicted ? path_ + model + ":predict" : beta_path_ + model + ":embedContent", {},
            header_lines_};
        voice.inputs_max = is_newer ? 1 : 250;
        voice.model_id = id;
        return voice;
    }
    [[nodiscard]] Voice counting(std::string_view id) const {
        Voice voice{dialect::find_dialect("vertex-anthropic-count-tokens"),
            path_ + "/publishers/anthropic/models/count-tokens:rawPredict", {}, header_lines_};
        voice.model_id = id;
        return voice;
    }
    [[nodiscard]] Voice predicting(
        const dialect::Dialect& dialect, const std::string& model, std::string_view id) const {
        Voice voice{&dialect, path_ + model + ":rawPredict", path_ + model + ":streamRawPredict",
            header_lines_};
        voice.model_id = id;
        return voice;
    }

    const dialect::Dialect& gemini_;
    const dialect::Dialect& claude_;
    const dialect::Dialect& chat_;
    std::string path_, beta_path_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_vertex(const config::CloudSettings& cloud) {
    const bool is_express = !cloud.api_key.empty() && cloud.project.empty();
    if (!is_express && (cloud.project.empty() || cloud.region.empty()))
        return fail(ErrorCode::kBadConfiguration,
            fmt::format(
                "clouds.{}: project or region is missing; every path names both", cloud.id.view()));
    if (cloud.api_key.empty() && !cloud.fetches_credentials())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format(
                "clouds.{}: service_account, credentials or api_key is missing", cloud.id.view()));
    ENTREPOT_TRY(Endpoint endpoint, endpoint_of(cloud, documented_endpoint(cloud.region)));
    return std::make_unique<Vertex>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
