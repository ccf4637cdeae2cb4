#include "upstream/anthropic/anthropic.h"

#include <fmt/format.h>

#include "dialect/registry.h"

namespace entrepot::upstream {
namespace {

class Anthropic final : public Supplier {
public:
    Anthropic(Endpoint endpoint, const config::CloudSettings& cloud)
        : Supplier(std::move(endpoint.origin), std::move(endpoint.base_path)),
          dialect_(*dialect::find_dialect("anthropic-messages")),
          count_(*dialect::find_dialect("anthropic-count-tokens")) {
        net::HeaderLines lines;
        lines.add("x-api-key", cloud.api_key.reveal());
        access_lines_ = lines.text();
        header_lines_ = "content-type: application/json\r\n" + access_lines_;
    }

    std::vector<Voice> voices(std::string_view) const override {
        const std::string target = base_path_ + "/v1/messages";
        const std::string count = target + "/count_tokens";
        return {{&dialect_, target, target, header_lines_}, {&count_, count, {}, header_lines_}};
    }
    std::string_view request_id_header() const override { return "request-id"; }
    Keeping keeping() const override { return {KeepingStyle::kAnthropic, base_path_ + "/v1", {}}; }
    std::string access_lines() const override { return access_lines_; }

private:
    const dialect::Dialect& dialect_;
    const dialect::Dialect& count_;
    std::string access_lines_;
    std::string header_lines_;
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
