#include "upstream/gemini/gemini.h"

#include <fmt/format.h>

#include "base/text.h"
#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

/// The Gemini API, with its key. Model and form stand in the path; streams are asked for as events.
class Gemini final : public Supplier {
public:
    Gemini(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          dialect_(*dialect::find_dialect("gemini")) {
        // Only the beta has all fields; an endpoint may name another version.
        if (!base_path_.ends_with("/v1") && !base_path_.ends_with("/v1beta") &&
            !base_path_.ends_with("/v1alpha"))
            base_path_ += "/v1beta";
    }

    std::vector<Voice> voices(std::string_view model_at_cloud) const override {
        // Ids may be full names of what Google has many kinds of: `tunedModels/mine`.
        std::string_view collection = "models";
        for (const std::string_view named : {"models", "tunedModels"}) {
            if (!model_at_cloud.starts_with(fmt::format("{}/", named))) continue;
            collection = named;
            model_at_cloud.remove_prefix(named.size() + 1);
            break;
        }
        const std::string model =
            fmt::format("{}/{}/{}", base_path_, collection, percent_encode(model_at_cloud));
        // Translated embeddings go to the first that makes them, which takes many.
        Voice many{dialect::find_dialect("gemini-embed-batch"), model + ":batchEmbedContents", {},
            header_lines_};
        many.inputs_max = 100;
        Voice one{
            dialect::find_dialect("gemini-embed"), model + ":embedContent", {}, header_lines_};
        one.inputs_max = 1;
        return {{&dialect_, model + ":generateContent", model + ":streamGenerateContent?alt=sse",
                    header_lines_},
            std::move(many), std::move(one),
            {dialect::find_dialect("gemini-count-tokens"), model + ":countTokens", {},
                header_lines_}};
    }
    Keeping keeping() const override { return {KeepingStyle::kGoogle, base_path_, {}}; }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        lines.add("x-goog-api-key", cloud.api_key.reveal());
        return lines;
    }

    const dialect::Dialect& dialect_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_gemini(const config::CloudSettings& cloud) {
    ENTREPOT_TRY(
        Endpoint endpoint, endpoint_of(cloud, "https://generativelanguage.googleapis.com"));
    if (cloud.api_key.empty())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: api_key is missing", cloud.id.view()));
    return std::make_unique<Gemini>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
