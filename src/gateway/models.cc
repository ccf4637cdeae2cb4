// The models that a key may use, as its client's dialect lists them.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "catalog/model_date.h"
#include "gateway/failure.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// What is known of a model at the offers that the key may reach: the most that any of them takes,
/// and the day of the oldest snapshot.
std::optional<canon::ListedModel> listed(const Exchange& x, const std::string& name) {
    std::optional<canon::ListedModel> out;
    if (!x.principal->scope.allows_model(name)) return out;
    for (const std::uint32_t index : x.state->table.of_model(name)) {
        const routing::Offer& offer = x.state->table.offer(index);
        if (!x.key->reach.allows_cloud(offer.cloud.view()) ||
            !x.key->reach.allows_region(offer.residency))
            continue;
        if (!out) out.emplace().name = name;
        if (out->owner.empty()) out->owner = offer.author;
        out->context_tokens = std::max(out->context_tokens, offer.limits.context_tokens);
        out->output_tokens_max = std::max(out->output_tokens_max, offer.limits.output_tokens_max);
        auto day = catalog::date_in_id(name);
        if (!day) day = catalog::date_in_id(offer.provider_model_id);
        if (day && (out->created_s == 0 || *day < out->created_s)) out->created_s = *day;
    }
    return out;
}

}  // namespace

Result<std::string> Worker::list_models(
    const Exchange& x, const Door& door, const net::ServerRequest& request) {
    if (request.method != "GET" && request.method != "HEAD")
        return std::unexpected(not_allowed(request.method, request.path, x.allow));
    if (door.model) {
        if (const auto model = listed(x, *door.model)) return x.client->write_model(*model);
        std::vector<std::string> names;
        for (const std::string& name : x.state->table.models())
            if (listed(x, name)) names.push_back(name);
        const std::string_view near = nearest(*door.model, names);
        return fail_field(ErrorCode::kNotFound, "model",
            fmt::format("the model '{}' does not exist or this key may not use it{}",
                excerpt(*door.model),
                near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
    }
    std::vector<canon::ListedModel> models;
    for (const std::string& name : x.state->table.models())
        if (auto model = listed(x, name)) models.push_back(std::move(*model));
    return x.client->write_models(models, request.query);
}

Co<void> Worker::serve_models(
    Door door, net::ServerRequest& request, net::ResponseWriter& response) {
    Exchange x = begin_exchange(*door.dialect, request);
    x.bench = take_bench();
    x.allow = methods_of(door.operation);
    const Status admitted = admit(x, request, request.body);
    Result<std::string> body =
        admitted ? list_models(x, door, request) : std::unexpected(admitted.error());
    if (!body) {
        Error error = std::move(body).error();
        co_await refuse(x, response, std::move(error));
    } else {
        std::string lines = "content-type: application/json\r\n";
        append_headers(x, false, lines);
        (void)co_await response.send(200, lines, *body);
    }
    give_bench(std::move(x.bench));
}

}  // namespace entrepot::gateway
