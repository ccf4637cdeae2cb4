#include "upstream/cohere/cohere.h"

#include <fmt/format.h>

#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

/// Chat, version 2, and rerank in both versions. Its endpoint may be given with the version, as its
/// SDKs have it, or without.
class Cohere final : public Supplier {
public:
    Cohere(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          dialect_(*dialect::find_dialect("cohere")) {}

    std::vector<Voice> voices(std::string_view) const override {
        const std::string target = base_path_ + "/v2/chat";
        Voice embed{
            dialect::find_dialect("cohere-embed"), base_path_ + "/v2/embed", {}, header_lines_};
        embed.inputs_max = 96;
        return {{&dialect_, target, target, header_lines_}, std::move(embed),
            {dialect::find_dialect("rerank-v2"), base_path_ + "/v2/rerank", {}, header_lines_},
            {dialect::find_dialect("rerank"), base_path_ + "/v1/rerank", {}, header_lines_}};
    }
    std::string_view request_id_header() const override { return "x-debug-trace-id"; }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        lines.add("authorization", fmt::format("Bearer {}", cloud.api_key.reveal()));
        return lines;
    }

    const dialect::Dialect& dialect_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_cohere(const config::CloudSettings& cloud) {
    ENTREPOT_TRY(Endpoint endpoint, endpoint_of(cloud, "https://api.cohere.com"));
    if (cloud.api_key.empty())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: api_key is missing", cloud.id.view()));
    for (const std::string_view version : {"/v1", "/v2"})
        if (endpoint.base_path.ends_with(version))
            endpoint.base_path.resize(endpoint.base_path.size() - version.size());
    return std::make_unique<Cohere>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
