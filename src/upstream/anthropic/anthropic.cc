#include "upstream/anthropic/anthropic.h"

#include <fmt/format.h>

#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

class Anthropic final : public Supplier {
public:
    Anthropic(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint), access_of(cloud)),
          dialect_(*dialect::find_dialect("anthropic-messages")),
          count_(*dialect::find_dialect("anthropic-count-tokens")) {}

    std::vector<Voice> voices(std::string_view) const override {
        const std::string target = base_path_ + "/v1/messages";
        const std::string count = target + "/count_tokens";
        return {{&dialect_, target, target, header_lines_}, {&count_, count, {}, header_lines_}};
    }
    std::string_view request_id_header() const override { return "request-id"; }
    Keeping keeping() const override { return {KeepingStyle::kAnthropic, base_path_ + "/v1", {}}; }

private:
    static net::HeaderLines access_of(const config::CloudSettings& cloud) {
        net::HeaderLines lines;
        lines.add("x-api-key", cloud.api_key.reveal());
        return lines;
    }

    const dialect::Dialect& dialect_;
    const dialect::Dialect& count_;
};

}  // namespace

Result<std::unique_ptr<const Supplier>> make_anthropic(const config::CloudSettings& cloud) {
    ENTREPOT_TRY(Endpoint endpoint, endpoint_of(cloud, "https://api.anthropic.com"));
    if (cloud.api_key.empty())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("clouds.{}: api_key is missing", cloud.id.view()));
    if (endpoint.base_path.ends_with("/v1"))
        endpoint.base_path.resize(endpoint.base_path.size() - 3);
    return std::make_unique<Anthropic>(std::move(endpoint), cloud);
}

}  // namespace entrepot::upstream
