// What is asked about things that suppliers keep: whose they are is looked up, and their supplier
// answers.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "catalog/region.h"
#include "dialect/registry.h"
#include "gateway/batch.h"
#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/kept_door.h"
#include "gateway/lane.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

using store::Kept;
using store::KeptKind;

constexpr std::size_t kFailureBytesMax = 256 * 1024;

Error not_there(const KeptDoor& door) {
    return Error{ErrorCode::kNotFound,
        fmt::format("there is no {} '{}', or this key did not make it",
            store::kept_kind_name(door.kind), excerpt(door.id)),
        {}, "id"};
}

/// When a cache ends, as its supplier says; {0} where that is not said.
Instant end_of_cache(std::string_view body) {
    const auto document = json::Document::parse_in_place(body);
    if (!document) return {};
    return parse_instant(document->root()["expireTime"].string()).value_or(Instant{});
}

bool is_json(const net::ClientExchange& upstream) {
    return to_lower(upstream.headers().find("content-type").value_or(""))
        .starts_with("application/json");
}

}  // namespace

std::optional<std::uint32_t> cloud_index(const State& state, std::string_view name) {
    for (std::uint32_t i = 0; i < state.clouds.size(); ++i)
        if (state.clouds[i].settings.id.view() == name) return i;
    return std::nullopt;
}

Result<std::uint32_t> Worker::cloud_for(
    const Exchange& x, upstream::KeepingStyle style, std::string_view wanted) {
    const State& state = *x.state;
    std::string able;
    for (std::uint32_t i = 0; i < state.clouds.size(); ++i) {
        const Cloud& cloud = state.clouds[i];
        const std::string_view name = cloud.settings.id.view();
        if (cloud.supplier->keeping().style != style || !x.key->reach.allows_cloud(name)) continue;
        bool has_model = false;
        for (std::uint32_t o = 0; o < state.table.size() && !has_model; ++o) {
            const routing::Offer& offer = state.table.offer(o);
            has_model = state.offers[o].cloud == i &&
                x.principal->scope.allows_model(offer.model.view()) &&
                x.key->reach.allows_region(offer.residency);
        }
        if (!has_model) continue;
        if (wanted.empty() || wanted == name) return i;
        able += fmt::format("{}'{}'", able.empty() ? "" : ", ", name);
    }
    if (!wanted.empty())
        return fail_field(ErrorCode::kNotFound, "x-entrepot-cloud",
            fmt::format("this key reaches no cloud '{}' that keeps such things; it may name {}",
                excerpt(wanted), able.empty() ? "none" : able));
    return fail(ErrorCode::kUnsupported,
        "no cloud that this key may reach keeps such things for its clients");
}

Task<net::ClientExchange> Worker::call_cloud(Exchange& x, const CloudCall& call, Cancel* cancel) {
    const Cloud& cloud = x.state->clouds[call.cloud];
    std::string lines = cloud.supplier->access_lines();
    net::HeaderLines own;
    const bool has_type = !call.body.empty() ||
        (call.method != "GET" && call.method != "HEAD" && call.method != "DELETE");
    if (has_type) own.add("content-type", call.content_type);
    for (const dialect::Header& header : call.headers) own.add(header.name, header.value);
    own.add("accept-encoding", "identity");
    own.add("x-entrepot-exchange", x.id.to_string());
    lines += own.text();
    if (upstream::Signer* signer = x.core->signers[call.cloud].get(); signer != nullptr) {
        net::HeaderLines signature;
        const upstream::Signer::Request sent{.method = call.method,
            .target = call.target,
            .content_type = has_type ? std::string_view(call.content_type) : std::string_view(),
            .body = call.body};
        ENTREPOT_CO_TRY_DO(signer->sign(sent, core_.wall(), signature));
        lines += signature.text();
        if (upstream::Signer::Rest rest = signer->take_rest()) {
            ENTREPOT_CO_TRY(const std::string line, co_await side_.run(core_, std::move(rest)));
            lines += line;
        }
    }
    const net::ClientRequest request{.method = call.method,
        .target = call.target,
        .header_lines = lines,
        .body = call.body,
        .host = {}};
    const config::UpstreamTimeouts& timeouts = cloud.settings.timeouts;
    net::ExchangeLimits limits;
    limits.deadline = core_.after(milliseconds(timeouts.total_ms));
    if (call.total_max.count() > 0)
        limits.deadline = limits.deadline.sooner(core_.after(call.total_max));
    limits.cancel = cancel;
    limits.connect_timeout = milliseconds(timeouts.connect_ms);
    limits.first_byte_timeout = milliseconds(timeouts.first_byte_ms);
    limits.idle_timeout = milliseconds(timeouts.idle_ms);
    net::OriginPool* pool = x.core->pools[call.cloud];
    if (pool == nullptr)
        co_return fail(
            ErrorCode::kUpstreamUnreachable, "the gateway has no way to this supplier at present");
    co_return co_await client_.exchange(*pool, request, limits, &x.attempt.report);
}

CloudCall Worker::kept_call(const Exchange& x, const KeptDoor& door, std::uint32_t cloud,
    const net::ServerRequest& request) {
    const upstream::Keeping keeping = x.state->clouds[cloud].supplier->keeping();
    CloudCall call;
    call.cloud = cloud;
    call.method = request.method;
    call.body = request.body;
    const std::string name = door.id.empty() ? std::string(door.collection)
        : door.style == upstream::KeepingStyle::kGoogle
        ? door.id
        : fmt::format("{}/{}", door.collection, door.id);
    call.target = fmt::format("{}/{}{}{}", keeping.base, name, door.rest,
        pass_query(request.query, keeping.query, Versions::kOurs));
    call.content_type = request.headers.find("content-type").value_or("application/json");
    for (const dialect::OwnHeader& own : door.dialect->own_headers) {
        const auto sent = request.headers.find(own.name);
        if (sent || !own.fallback.empty())
            call.headers.push_back(
                {std::string(own.name), std::string(sent ? *sent : own.fallback)});
    }
    return call;
}

CloudCall Worker::plain_call(const Exchange& x, std::uint32_t cloud,
    const dialect::Dialect& dialect, std::string_view path) {
    const upstream::Keeping keeping = x.state->clouds[cloud].supplier->keeping();
    CloudCall call;
    call.cloud = cloud;
    call.method = "GET";
    call.target = fmt::format(
        "{}{}{}{}", keeping.base, path, keeping.query.empty() ? "" : "?", keeping.query);
    for (const dialect::OwnHeader& own : dialect.own_headers)
        if (!own.fallback.empty())
            call.headers.push_back({std::string(own.name), std::string(own.fallback)});
    return call;
}

Co<void> Worker::serve_kept(net::ServerRequest& request, net::ResponseWriter& response) {
    std::optional<KeptDoor> found = find_kept_door(request.path, request.method);
    std::optional<KeptDoor> any = found ? found : find_kept_door(request.path, "");
    // Two suppliers have files under one path.
    if (any->kind == KeptKind::kFile && request.headers.find("anthropic-version")) {
        any->dialect = dialect::find_dialect("anthropic-messages");
        any->style = upstream::KeepingStyle::kAnthropic;
        if (found) found = any;
    }
    Exchange x = begin_exchange(*any->dialect, request);
    x.bench = take_bench();
    x.bench->facts.clear();
    Status served = admit(x, request, request.body);
    if (served && !found)
        served = fail(ErrorCode::kMethodNotAllowed,
            fmt::format("{} is not allowed at {}; use {}", excerpt(request.method),
                excerpt(request.path), kept_methods(request.path)));
    if (served && x.key->has_limits) served = co_await limit(x);
    if (served) served = co_await answer_kept(x, *found, request, response);
    if (!served) {
        Error error = std::move(served).error();
        co_await refuse(x, response, std::move(error));
    }
    if (x.bench != nullptr) give_bench(std::move(x.bench));
    if (!record_here(x, request.peer)) co_await record(x, request.peer);
}

Task<void> Worker::answer_kept(
    Exchange& x, const KeptDoor& door, net::ServerRequest& request, net::ResponseWriter& response) {
    if (door.action == KeptAction::kList) co_return co_await list_kept(x, door, request, response);
    if (door.action == KeptAction::kCreate) {
        if (door.kind == KeptKind::kFile)
            co_return co_await create_file(x, door, request, response);
        if (door.kind == KeptKind::kBatch)
            co_return co_await create_batch(x, door, request, response);
        co_return co_await create_kept(x, door, request, response);
    }
    ENTREPOT_CO_TRY(const std::optional<Kept> thing, co_await find_own(x, door.kind, door.id));
    if (!thing) co_return std::unexpected(not_there(door));
    ENTREPOT_CO_TRY_DO(co_await locate_named(x, request.body));
    if (!x.kept->cloud.empty() && x.kept->cloud != thing->cloud)
        co_return fail_field(ErrorCode::kInvalidField, x.kept->field,
            fmt::format(
                "'{}' names what another supplier keeps; send the content itself", x.kept->field));
    const std::optional<std::uint32_t> cloud = cloud_index(*x.state, thing->cloud);
    x.model = thing->model;
    x.phase = ledger::Phase::kFirstByte;
    bool is_held = !thing->exchange.empty();
    // What is still worked on has to be paid: how far it came is asked before it is gone.
    if (is_held && door.action == KeptAction::kRemove)
        is_held = !co_await look_after(*thing, nullptr);
    const CloudCall call = kept_call(x, door, *cloud, request);
    ENTREPOT_CO_TRY(net::ClientExchange upstream, co_await call_cloud(x, call, request.cancel));
    if (upstream.status() == 404 && door.rest.empty() && !is_held) {  // gone by itself
        const auto forget = [&thing](store::KeptStore& store) {
            return store.remove(thing->id, thing->cloud);
        };
        ENTREPOT_CO_TRY_DO(co_await kept_.call(core_, forget));
    }
    if (upstream.status() >= 300) co_return co_await refuse_kept(x, *cloud, upstream, response);
    x.phase = ledger::Phase::kRelay;
    const bool has_state = door.kind == KeptKind::kResponse && is_json(upstream) &&
        (door.action == KeptAction::kRead || door.action == KeptAction::kChange);
    const bool has_parts = door.kind == KeptKind::kConversation &&
        door.action == KeptAction::kChange && is_json(upstream);
    const bool has_expiry =
        door.kind == KeptKind::kCache && door.action == KeptAction::kChange && is_json(upstream);
    const bool has_results = door.kind == KeptKind::kBatch && is_json(upstream);
    if (!(is_held && has_state) && !has_parts && !has_results && !has_expiry &&
        door.action != KeptAction::kRemove)
        co_return co_await relay_raw(x, upstream, response, "");
    ENTREPOT_CO_TRY(std::string body, co_await upstream.read_whole_body(kKeptBytesMax));
    if (is_held && has_state) co_await take_look(*thing, body);
    if (has_parts) note_parts(x, *thing, body);
    if (has_expiry) {
        Kept renewed = *thing;
        renewed.expires = end_of_cache(body);
        const auto put = [&renewed](store::KeptStore& store) { return store.put(renewed); };
        ENTREPOT_CO_TRY_DO(co_await kept_.call(core_, put));
    }
    if (has_results) {
        ENTREPOT_CO_TRY_DO(co_await note_results(*thing, body));
        body = with_own_results(std::move(body));
    }
    if (door.action == KeptAction::kRemove) {
        // Nobody will ever say what it took: the hold stands in for it.
        if (is_held) is_held = !co_await end_deferred(*thing, nullptr);
        const auto remove = [&thing](store::KeptStore& store) {
            return store.remove(thing->id, thing->cloud);
        };
        // With its row a hold that could not be ended yet would be forgotten.
        if (!is_held) ENTREPOT_CO_TRY_DO(co_await kept_.call(core_, remove));
    }
    co_return co_await relay_raw(x, upstream, response, body);
}

Task<void> Worker::locate_named(Exchange& x, std::string_view body) {
    x.kept = std::make_shared<KeptUse>();
    const auto document = json::Document::parse(std::string(body));
    if (document) {
        read_kept_names(document->root(), x.kept->named);
        read_item_names(document->root()["items"].items(), x.kept->named);
    }
    ENTREPOT_CO_TRY_DO(co_await locate_kept(x));
    if (!x.kept->lost.empty()) co_return std::unexpected(not_kept(x.kept->lost));
    co_return Status{};
}

Task<void> Worker::check_room(Exchange& x, KeptKind kind) {
    const store::KeptStore::Query query{.kind = kind,
        .cloud = {},
        .key = x.principal->key.str(),
        .team = x.principal->team.str(),
        .org = x.principal->org.str(),
        .count_max = kOwnMax};
    const auto count = [&query](store::KeptStore& store) { return store.count(query); };
    ENTREPOT_CO_TRY(const std::size_t own, co_await kept_.call(core_, count));
    if (own < kOwnMax) co_return Status{};
    co_return fail(ErrorCode::kForbidden,
        fmt::format("this key has {} {}s, and may have {}; delete what is not needed", own,
            store::kept_kind_name(kind), kOwnMax));
}

Task<void> Worker::create_kept(
    Exchange& x, const KeptDoor& door, net::ServerRequest& request, net::ResponseWriter& response) {
    ENTREPOT_CO_TRY_DO(co_await check_room(x, door.kind));
    ENTREPOT_CO_TRY_DO(co_await locate_named(x, request.body));
    std::string_view wanted = request.headers.find("x-entrepot-cloud").value_or("");
    if (wanted.empty()) wanted = x.kept->cloud;
    ENTREPOT_CO_TRY(const std::uint32_t cloud, cloud_for(x, door.style, wanted));
    if (!x.kept->cloud.empty() && x.kept->cloud != wanted)
        co_return fail_field(ErrorCode::kInvalidField, x.kept->field,
            fmt::format("'{}' names what another supplier keeps than the one that "
                        "x-entrepot-cloud asks for",
                x.kept->field));
    CloudCall call = kept_call(x, door, cloud, request);
    std::string cached;
    if (door.kind == KeptKind::kCache) {
        ENTREPOT_CO_TRY(cached, for_cache(x, cloud, request.body));
        call.body = cached;
    }
    co_return co_await make_kept(x, door, call, {}, request.cancel, response);
}

Result<std::string> Worker::for_cache(Exchange& x, std::uint32_t cloud, const std::string& body) {
    if (x.key->has_budget)
        return fail_field(ErrorCode::kUnbounded, "ttl",
            "what a cache costs while it is kept has no price here, and the key is under a budget; "
            "leave it out: long prompts are cached unasked, and metered as that");
    ENTREPOT_TRY(const json::Document document, json::Document::parse_in_place(body));
    const json::Value& token = document.root()["model"];
    std::string_view model = token.string();
    if (model.starts_with("models/")) model.remove_prefix(7);
    for (const std::uint32_t index : x.state->table.of_model(model)) {
        const OfferState& offer = x.state->offers[index];
        if (offer.cloud != cloud || !x.principal->scope.allows_model(model)) continue;
        x.model = model;
        return with_strings(body, {token.raw()}, fmt::format("models/{}", offer.model_at_cloud));
    }
    return fail_field(ErrorCode::kNotFound, "model",
        fmt::format(
            "the model '{}' does not exist at a supplier that keeps caches, or this key may "
            "not use it",
            excerpt(token.string())));
}

Task<void> Worker::make_kept(Exchange& x, const KeptDoor& door, const CloudCall& call,
    std::string_view noted, Cancel* cancel, net::ResponseWriter& response) {
    const std::uint32_t cloud = call.cloud;
    x.phase = ledger::Phase::kFirstByte;
    ENTREPOT_CO_TRY(net::ClientExchange upstream, co_await call_cloud(x, call, cancel));
    if (upstream.status() >= 300) co_return co_await refuse_kept(x, cloud, upstream, response);
    ENTREPOT_CO_TRY(const std::string body, co_await upstream.read_whole_body(kKeptBytesMax));
    const auto document = json::Document::parse(body);
    const std::string_view name = door.style == upstream::KeepingStyle::kGoogle ? "name" : "id";
    const std::string id(document ? document->root()[name].string() : "");
    if (id.empty())
        co_return fail(ErrorCode::kUpstreamProtocol,
            fmt::format(
                "the supplier made a {} and did not say its id", store::kept_kind_name(door.kind)),
            excerpt(body, 300));
    Kept thing = made_by(*x.principal, core_.wall());
    thing.id = id;
    thing.kind = door.kind;
    thing.cloud = x.state->clouds[cloud].settings.id.str();
    thing.model = x.model;
    if (door.kind == KeptKind::kFile) {
        thing.detail = fmt::format(R"({{"object":{}{}{}}})", document->root().raw(),
            noted.empty() ? "" : R"(,"batch":)", noted);
        if (const auto expires = document->root()["expires_at"].as_int())
            thing.expires = Instant{*expires * 1'000'000'000};
    }
    if (door.kind == KeptKind::kCache) thing.expires = end_of_cache(body);
    const auto put = [&thing](store::KeptStore& store) { return store.put(thing); };
    ENTREPOT_CO_TRY_DO(co_await kept_.call(core_, put));
    note_parts(x, thing, body);
    co_return co_await relay_raw(x, upstream, response, body);
}

void Worker::note_parts(Exchange& x, const Kept& whole, std::string_view body) {
    const auto document = json::Document::parse(std::string(body));
    if (!document || whole.kind != KeptKind::kConversation) return;
    std::vector<Kept> parts;
    for (const json::Value& item : document->root()["data"].items()) {
        Kept part = made_by(*x.principal, core_.wall());
        part.id = item["id"].string();
        part.kind = KeptKind::kItem;
        part.cloud = whole.cloud;
        part.expires = part.made + kResponseLife;  // afterwards its conversation still shows it
        if (!part.id.empty()) parts.push_back(std::move(part));
    }
    if (!parts.empty() && !kept_.note(std::move(parts)))
        metrics_.alarm("kept.db", "too much waits to be written; a conversation's items are lost");
}

Task<void> Worker::refuse_kept(Exchange& x, std::uint32_t cloud, net::ClientExchange& upstream,
    net::ResponseWriter& response) {
    const int status = upstream.status();
    const std::vector<dialect::Header> headers = headers_of(upstream);
    const Result<std::string> body = co_await upstream.read_whole_body(kFailureBytesMax);
    const std::string text = body ? *body : std::string();
    const std::string_view name = x.state->clouds[cloud].settings.id.view();
    const std::string cause = fmt::format("{}: {} {}", name, status, excerpt(text, 500));
    if (status == 401 || status == 402 || status == 403 || status < 400) {
        metrics_.alarm(name, cause);
        co_return fail(status < 400 ? ErrorCode::kUpstreamProtocol : ErrorCode::kUpstreamAuth,
            "the supplier that keeps it did not serve the gateway; its operator has been alarmed",
            cause);
    }
    canon::Failure failure = x.client->decode_failure(status, headers, text);
    failure.message = scrub_account(failure.message);
    x.error = status == 429 ? ErrorCode::kUpstreamRateLimited
        : status >= 500     ? ErrorCode::kUpstreamError
                            : ErrorCode::kUpstreamRefused;
    x.error_cause = cause;
    x.ended_by = ledger::EndedBy::kSupplier;
    std::string native;
    if (text.starts_with('{')) native = scrub_account(text);
    co_await send_failure(x, response, failure, std::move(native));
    co_return Status{};
}

Task<void> Worker::relay_raw(Exchange& x, net::ClientExchange& upstream,
    net::ResponseWriter& response, std::string_view body) {
    const int status = upstream.status();
    std::string lines;
    for (const std::string_view name : {"content-type", "content-disposition"}) {
        net::HeaderLines line;
        if (const auto value = upstream.headers().find(name)) line.add(name, *value);
        lines += line.text();
    }
    append_headers(x, false, lines);
    mark_first_byte(x);
    x.status = static_cast<std::uint16_t>(status);
    if (!body.empty() || upstream.body_ended()) {
        const Status sent = co_await response.send(status, lines, body);
        x.ended_by = ended_by(sent);
        co_return Status{};
    }
    response.start(status, lines);
    Status wrote;
    while (wrote && !upstream.body_ended()) {
        const Result<std::string_view> more = co_await upstream.read_body();
        if (!more) {
            x.error = more.error().code;
            x.ended_by = more.error().code == ErrorCode::kClientGone ? ledger::EndedBy::kClient
                                                                     : ledger::EndedBy::kSupplier;
            response.abort();  // cut short must not look whole
            co_return Status{};
        }
        wrote = co_await response.write(*more);
    }
    if (wrote) wrote = co_await response.finish();
    x.ended_by = ended_by(wrote);
    if (!wrote) response.abort();
    co_return Status{};
}

}  // namespace entrepot::gateway
