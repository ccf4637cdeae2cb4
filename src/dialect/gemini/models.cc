#include "dialect/gemini/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/query.h"
#include "base/text.h"
#include "json/writer.h"

namespace entrepot::dialect::gemini {
namespace {

constexpr std::size_t kPage = 50;
constexpr std::size_t kPageMax = 1000;  // more is taken for that

void write(json::Writer& writer, const canon::ListedModel& model, Service service) {
    writer.begin_object();
    if (service == Service::kVertex) {
        writer.member("name", fmt::format("publishers/google/models/{}", model.name))
            .member("versionId", "default")
            .end_object();
        return;
    }
    writer.member("name", fmt::format("models/{}", model.name)).member("displayName", model.name);
    if (model.context_tokens > 0) writer.member("inputTokenLimit", model.context_tokens);
    if (model.output_tokens_max > 0) writer.member("outputTokenLimit", model.output_tokens_max);
    writer.key("supportedGenerationMethods")
        .begin_array()
        .string("generateContent")
        .end_array()
        .end_object();
}

Result<std::size_t> page_size(std::string_view query) {
    const auto asked = query_value(query, "pageSize");
    if (!asked) return kPage;
    std::size_t count = 0;
    const auto parsed = std::from_chars(asked->data(), asked->data() + asked->size(), count);
    if (parsed.ec != std::errc() || parsed.ptr != asked->data() + asked->size())
        return fail_field(ErrorCode::kInvalidField, "pageSize",
            fmt::format("pageSize: '{}' is no number from 0 to {}", excerpt(*asked), kPageMax));
    return count == 0 ? kPage : std::min(count, kPageMax);
}

}  // namespace

Result<std::string> write_models(
    std::span<const canon::ListedModel> models, std::string_view query, Service service) {
    ENTREPOT_TRY(const std::size_t limit, page_size(query));
    // A token is the name of the last model before it.
    if (const auto token = query_value(query, "pageToken"); token && !token->empty()) {
        const auto begin = std::ranges::upper_bound(models, *token, {}, &canon::ListedModel::name);
        models = models.subspan(static_cast<std::size_t>(begin - models.begin()));
    }
    const bool has_more = models.size() > limit;
    if (has_more) models = models.first(limit);
    std::string out;
    json::Writer writer(out);
    writer.begin_object()
        .key(service == Service::kVertex ? "publisherModels" : "models")
        .begin_array();
    for (const canon::ListedModel& model : models) write(writer, model, service);
    writer.end_array();
    if (has_more) writer.member("nextPageToken", models.back().name);
    writer.end_object();
    return out;
}

std::string write_model(const canon::ListedModel& model, Service service) {
    std::string out;
    json::Writer writer(out);
    write(writer, model, service);
    return out;
}

}  // namespace entrepot::dialect::gemini
