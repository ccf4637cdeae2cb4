#include "dialect/anthropic_messages/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/query.h"
#include "base/text.h"
#include "base/time.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {
namespace {

constexpr std::size_t kPage = 20;
constexpr std::size_t kPageMax = 1000;

void write(json::Writer& writer, const canon::ListedModel& model) {
    const auto number = [&](std::string_view name, std::int64_t count) {
        if (count > 0)
            writer.member(name, count);
        else
            writer.member_null(name);
    };
    writer.begin_object()
        .member("type", "model")
        .member("id", model.name)
        .member("display_name", model.name);
    // The epoch says that the day is not known.
    std::string created = to_rfc3339({model.created_s * 1'000'000'000});
    if (const auto fraction = created.find('.'); fraction != std::string::npos)
        created.replace(fraction, std::string::npos, "Z");
    writer.member("created_at", created);
    number("max_input_tokens", model.context_tokens);
    number("max_tokens", model.output_tokens_max);
    writer.member_null("capabilities").end_object();
}

Result<std::size_t> page_size(std::string_view query) {
    const auto limit = query_value(query, "limit");
    if (!limit) return kPage;
    std::size_t count = 0;
    const auto parsed = std::from_chars(limit->data(), limit->data() + limit->size(), count);
    if (parsed.ec != std::errc() || parsed.ptr != limit->data() + limit->size() || count < 1 ||
        count > kPageMax)
        return fail_field(ErrorCode::kInvalidField, "limit",
            fmt::format("limit: '{}' is no number from 1 to {}", excerpt(*limit), kPageMax));
    return count;
}

}  // namespace

Result<std::string> write_models(
    std::span<const canon::ListedModel> models, std::string_view query) {
    ENTREPOT_TRY(const std::size_t limit, page_size(query));
    const auto after = query_value(query, "after_id");
    const auto before = query_value(query, "before_id");
    if (after && before)
        return fail_field(ErrorCode::kInvalidField, "before_id",
            "before_id: only one of after_id and before_id may be given");
    // By order and not by place: a page goes on where a model stood that is there no more.
    if (after) {
        const auto begin = std::ranges::upper_bound(models, *after, {}, &canon::ListedModel::name);
        models = models.subspan(static_cast<std::size_t>(begin - models.begin()));
    }
    if (before) {
        const auto end = std::ranges::lower_bound(models, *before, {}, &canon::ListedModel::name);
        models = models.first(static_cast<std::size_t>(end - models.begin()));
    }
    const bool has_more = models.size() > limit;
    if (has_more) models = before ? models.last(limit) : models.first(limit);
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("data").begin_array();
    for (const canon::ListedModel& model : models) write(writer, model);
    writer.end_array().member_bool("has_more", has_more);
    if (models.empty()) {
        writer.member_null("first_id").member_null("last_id");
    } else {
        writer.member("first_id", models.front().name).member("last_id", models.back().name);
    }
    writer.end_object();
    return out;
}

std::string write_model(const canon::ListedModel& model) {
    std::string out;
    json::Writer writer(out);
    write(writer, model);
    return out;
}

}  // namespace entrepot::dialect::anthropic_messages
