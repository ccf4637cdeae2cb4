// The rest of a supplier's API: held and settled at the ceiling that its rule states.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "dialect/registry.h"
#include "gateway/failure.h"
#include "gateway/idempotency.h"
#include "gateway/kept.h"
#include "gateway/kept_door.h"
#include "gateway/lane.h"
#include "gateway/passthrough.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// What is read whole, because it is JSON: usage is looked for in it, and account names are taken
/// out.
constexpr std::size_t kReadBytesMax = 16 * 1024 * 1024;

/// What goes on of a client's headers. Everything else is the gateway's own business, or would tell
/// one account from another.
constexpr std::array<std::string_view, 8> kPassedHeaders{"accept", "anthropic-version",
    "anthropic-beta", "openai-beta", "if-match", "if-none-match", "range", "x-goog-fieldmask"};

const dialect::Dialect& dialect_of_cloud(const Cloud& cloud) {
    const std::vector<upstream::Voice> voices = cloud.supplier->voices("");
    return voices.empty() ? *dialect::find_dialect("openai-chat") : *voices.front().dialect;
}

/// That tool costs what any call does: the client runs it.
bool is_clients(const json::Value& tool) {
    const std::string_view type = tool["type"].string();
    if (type == "function") return true;
    if (!type.empty()) {
        canon::Tool known;
        known.server = canon::Opaque{{}, std::string(type), {}};
        return !canon::is_open_ended(known);
    }
    return tool["name"].is_string() || std::ranges::all_of(tool.members(), [](const auto& member) {
        return member.key == "functionDeclarations" || member.key == "function_declarations";
    });
}

/// The supplier may do what is billed apart, and that its usage need not count.
bool is_open_ended(const json::Value& asked) {
    return !asked["web_search_options"].is_null() || !asked["mcp_servers"].items().empty() ||
        !std::ranges::all_of(asked["tools"].items(), is_clients);
}

Error closed(const net::ServerRequest& request) {
    return Error{ErrorCode::kNotFound,
        fmt::format("no rule of this key lets {} {} pass; its `passthrough` lists what does",
            excerpt(request.method), excerpt(request.path)),
        {}, {}};
}

}  // namespace

Co<void> Worker::serve_passthrough(net::ServerRequest& request, net::ResponseWriter& response) {
    const Result<PassPath> path = read_pass_path(request.path);
    const std::shared_ptr<const State> state = states_.get();
    const std::optional<std::uint32_t> cloud =
        path ? cloud_index(*state, path->cloud) : std::nullopt;
    Exchange x = begin_exchange(
        cloud ? dialect_of_cloud(state->clouds[*cloud]) : *dialect::find_dialect("openai-chat"),
        request);
    x.bench = take_bench();
    x.bench->facts.clear();
    Status served = admit(x, request, request.body);
    if (served && !path) served = std::unexpected(path.error());
    if (served && x.key->has_limits) served = co_await limit(x);
    if (served) served = co_await pass_through(x, *path, request, response);
    if (!served) {
        Error error = std::move(served).error();
        co_await refuse(x, response, std::move(error));
    }
    if (x.bench != nullptr) give_bench(std::move(x.bench));
    if (!record_here(x, request.peer)) co_await record(x, request.peer);
}

Task<void> Worker::pass_through(
    Exchange& x, const PassPath& path, net::ServerRequest& request, net::ResponseWriter& response) {
    x.phase = ledger::Phase::kAuthorise;
    const config::KeySettings* key = x.state->settings.find_key(x.principal->key.view());
    const config::PassRule* rule =
        key == nullptr ? nullptr : find_pass_rule(*key, path, request.method);
    const std::optional<std::uint32_t> index = cloud_index(*x.state, path.cloud);
    if (rule == nullptr || !index || !x.key->reach.allows_cloud(path.cloud))
        co_return std::unexpected(closed(request));
    const Cloud& cloud = x.state->clouds[*index];
    const upstream::Keeping keeping = cloud.supplier->keeping();
    const std::string_view own = kept_collection_of(keeping.style, path.path);
    if (!own.empty())
        co_return fail(ErrorCode::kNotFound,
            fmt::format("what lies under '{}' belongs to who made it and does not pass; the "
                        "gateway serves it under its own path",
                own));
    ENTREPOT_CO_TRY_DO(check_end_user(x));
    // What it names is its maker's here too.
    ENTREPOT_CO_TRY_DO(co_await locate_named(x, request.body));
    if (!x.kept->cloud.empty() && x.kept->cloud != path.cloud)
        co_return fail_field(ErrorCode::kInvalidField, x.kept->field,
            fmt::format("'{}' names what another supplier keeps", x.kept->field));

    CloudCall call;
    call.cloud = *index;
    call.method = request.method;
    call.target = fmt::format(
        "{}{}{}", cloud.supplier->base_path(), path.path, pass_query(request.query, keeping.query));
    call.body = request.body;
    // AWS takes nothing else.
    if (cloud.settings.kind != config::CloudKind::kBedrock)
        call.content_type = request.headers.find("content-type").value_or("application/json");
    for (const std::string_view name : kPassedHeaders)
        if (const auto sent = request.headers.find(name))
            call.headers.push_back({std::string(name), std::string(*sent)});
    // The supplier's to honour; there the keys of all clients are one account's.
    ENTREPOT_CO_TRY(const std::optional<std::string_view> name, idempotency_key_of(request));
    if (name)
        call.headers.push_back({std::string(kIdempotencyHeader),
            fmt::format(
                "{:02x}", fmt::join(idempotency_scope(x.principal->key.view(), *name), ""))});

    PassHold held{cloud.passed, rule->ceiling};
    const PassCost ceiling{rule->ceiling, rule->ceiling};
    ENTREPOT_CO_TRY_DO(co_await hold_pass(x, held));
    x.phase = ledger::Phase::kFirstByte;
    Result<net::ClientExchange> upstream = co_await call_cloud(x, call, request.cancel);
    if (!upstream) {
        // Silence after sending may have been billed.
        std::optional<PassCost> cost;
        if (x.attempt.report.sent) cost = ceiling;
        co_await end_pass(x, held, cost, 0);
        co_return std::unexpected(upstream.error());
    }
    const int status = upstream->status();
    if (status >= 300) {
        co_await end_pass(x, held, std::nullopt, status);
        co_return co_await refuse_kept(x, *index, *upstream, response);
    }
    x.phase = ledger::Phase::kRelay;
    const std::string type = to_lower(upstream->headers().find("content-type").value_or(""));
    if (!type.starts_with("application/json")) {
        co_await end_pass(x, held, ceiling, status);
        co_return co_await relay_raw(x, *upstream, response, "");
    }
    const Result<std::string> body = co_await upstream->read_whole_body(kReadBytesMax);
    const std::optional<PassCost> stated =
        body ? stated_cost(x, *index, request.body, *body) : std::nullopt;
    held.is_stated = stated.has_value();
    const PassCost cost = stated.value_or(ceiling);
    co_await end_pass(x, held, cost, status);
    if (!body) co_return std::unexpected(body.error());
    const std::string scrubbed = scrub_account(*body);
    co_return co_await relay_raw(x, *upstream, response, scrubbed);
}

std::optional<Worker::PassCost> Worker::stated_cost(
    Exchange& x, std::uint32_t cloud, std::string_view asked, std::string_view body) {
    const auto document = json::Document::parse(std::string(body));
    if (!document || !document->root()["usage"].is_object()) return std::nullopt;
    pricing::PriceOptions asked_for;
    if (const auto request = json::Document::parse(std::string(asked))) {
        if (is_open_ended(request->root())) return std::nullopt;
        // What the reply says of its tier decides; asking for a cheaper one is no proof of it.
        if (request->root()["service_tier"].string() == "priority")
            asked_for.tier = catalog::Tier::kPriority;
    }
    const std::string_view model = document->root()["model"].string();
    for (std::uint32_t i = 0; i < x.state->table.size(); ++i) {
        const routing::Offer& offer = x.state->table.offer(i);
        if (x.state->offers[i].cloud != cloud || offer.card == nullptr ||
            offer.provider_model_id != model)
            continue;
        for (const upstream::Voice& voice : x.state->offers[i].voices) {
            const WholeReply reply = carry_passing(*voice.dialect, {}, body);
            if (!reply.status || !reply.consumed.is_reported) continue;
            pricing::PriceOptions options = asked_for;
            if (const auto said = catalog::parse_tier(reply.consumed.service_tier))
                options.tier = *said;
            const Instant now = wall_now();
            const Result<pricing::Charge> charge =
                pricing::price(reply.consumed.usage, *offer.card, options, now);
            if (!charge || !charge->is_known) continue;
            x.consumed = reply.consumed;
            PassCost cost{
                charge->total, charge->is_list_known ? charge->list_total : charge->total};
            cost.names = rate_names_of(x, i, now);
            cost.tier = charge->tier;
            cost.ctx_over = charge->ctx_over;
            add_lines(cost.lines, *charge);
            return cost;
        }
    }
    return std::nullopt;
}

Task<void> Worker::hold_pass(Exchange& x, PassHold& held) {
    x.phase = ledger::Phase::kHold;
    ledger::HoldRequest request;
    request.exchange = x.id;
    request.attempt = 1;
    request.path = x.key->path;
    request.route = held.route;
    request.amount = held.ceiling;
    request.dispatch = core_.wall();
    ledger::Refusal refusal;
    request.tags = x.key->spender.tags;
    const auto work = [&](store::Books& books) { return hold_in(books, x, request, refusal); };
    Result<ledger::HoldTicket> ticket = co_await books_.call(core_, work);
    if (!ticket && ticket.error().code == ErrorCode::kInsufficientBalance)
        co_return fail(ErrorCode::kInsufficientBalance,
            fmt::format("{}; the ceiling of this call is {} {}", refusal_words(x, refusal),
                held.ceiling.to_decimal(), x.state->settings.currency.code()));
    if (!ticket) co_return std::unexpected(std::move(ticket).error());
    held.is_open = true;
    x.own_route = held.route;
    if (x.state->settings.durability != config::Durability::kPower) co_return Status{};
    Status durable = co_await books_.durable(core_, ticket->position);
    if (!durable) co_await end_pass(x, held, std::nullopt, 0);
    co_return durable;
}

Co<void> Worker::end_pass(Exchange& x, PassHold& held, std::optional<PassCost> cost, int status) {
    if (!std::exchange(held.is_open, false)) co_return;
    const auto upstream_status = static_cast<std::uint16_t>(status);
    ledger::SettleRequest request;
    request.at = wall_now();
    request.upstream_status = upstream_status;
    request.usage = x.consumed.usage;
    if (cost) {
        request.cost = x.cost = cost->cost;
        request.list_cost = cost->list;
        request.rate_version = cost->names.version;
        request.contract = cost->names.contract;
        request.tier = static_cast<std::uint8_t>(cost->tier);
        request.ctx_over = cost->ctx_over;
        x.is_estimated = !held.is_stated && !cost->cost.is_zero();
        if (x.is_estimated) request.flags |= ledger::settle_flag::kEstimated;
    }
    const auto work = [&](store::Books& books) -> Status {
        if (!cost) return books.release(x.id, 1, wall_now(), upstream_status, std::nullopt);
        const Result<ledger::Posting> posting = books.settle(x.id, 1, request, cost->lines);
        if (!posting) return std::unexpected(posting.error());
        return {};
    };
    const Status ended = co_await books_.call(core_, work);
    if (!ended)
        metrics_.alarm("passthrough", "a hold could not be ended: " + ended.error().message);
}

}  // namespace entrepot::gateway
