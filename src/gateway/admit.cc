// Who asks, whether they may, and what they ask for.
#include <fmt/format.h>

#include <algorithm>

#include "auth/credential.h"
#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/idempotency.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

/// What says nothing is taken to be JSON, as everywhere.
bool is_json(std::string_view content_type) {
    const std::string type = to_lower(trim(content_type.substr(0, content_type.find(';'))));
    return type.empty() || type.ends_with("json");
}

/// Null for a task that is not billed by the piece.
std::unique_ptr<const canon::Usage> counted_in(const canon::RequestFacts& facts) {
    if (!canon::is_piecework(facts.task)) return nullptr;
    canon::Usage usage;
    usage[canon::Meter::kCharacters] = facts.pieces.characters;
    usage[canon::Meter::kImages] = facts.pieces.images;
    usage[canon::Meter::kSearches] = facts.pieces.searches;
    usage[canon::Meter::kAudioSeconds] = facts.pieces.audio_seconds_max;
    return std::make_unique<const canon::Usage>(usage);
}

}  // namespace

Status Worker::admit(
    Exchange& x, const net::ServerRequest& request, std::optional<std::string_view> body) {
    x.phase = ledger::Phase::kAuthenticate;
    auth::PresentedCredentials presented;
    // One walk over the headers instead of a search for each name.
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
        const net::Header header = request.headers[i];
        switch (header.name.size()) {
            case 13:
                if (equals_ignoring_case(header.name, "authorization"))
                    presented.authorization = header.value;
                break;
            case 9:
                if (equals_ignoring_case(header.name, "x-api-key"))
                    presented.x_api_key = header.value;
                break;
            case 7:
                if (equals_ignoring_case(header.name, "api-key")) presented.api_key = header.value;
                break;
            case 15:
                x.has_name = x.has_name || equals_ignoring_case(header.name, kIdempotencyHeader);
                break;
            case 14:
                if (equals_ignoring_case(header.name, "x-goog-api-key"))
                    presented.x_goog_api_key = header.value;
                break;
            default: break;
        }
    }
    presented.query = request.query;
    if (auth::is_signed(presented.authorization)) [[unlikely]] {
        ENTREPOT_TRY(x.principal, admit_signed(x, presented.authorization, request, body));
    } else {
        ENTREPOT_TRY(
            const std::string_view secret, auth::presented_secret(presented, x.bench->scratch));
        ENTREPOT_TRY(x.principal, x.state->keys->authenticate(secret, x.began_wall));
    }
    x.key = &x.state->key_states[x.principal->index];
    if (x.principal->end_user_header.empty() && x.principal->tag_headers.empty() &&
        !x.principal->end_user_in_body) [[likely]]
        return {};
    return attribute(x, request);
}

namespace {

/// A text of the client's as the books may have it; nothing where it is empty. `what`: `header`.
Result<std::optional<std::string>> bookable(
    std::string_view value, std::string_view what, const std::string& name) {
    constexpr std::size_t kBytesMax = 256;
    std::string text(trim(value));
    if (text.empty()) return std::nullopt;
    const bool is_plain = std::ranges::all_of(text,
        [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != ';'; });
    if (!is_plain || text.size() > kBytesMax)
        return fail_field(ErrorCode::kInvalidField, name,
            fmt::format("the {} '{}' holds {} bytes; it must be at most {} printable characters "
                        "without ';'",
                what, name, text.size(), kBytesMax));
    return text;
}

Result<std::optional<std::string>> attributed(
    const net::ServerRequest& request, const std::string& header) {
    return bookable(request.headers.find(header).value_or(""), "header", header);
}

/// In chat completions, which are not read whole elsewhere.
std::string end_user_of_chat(std::string_view body) {
    const auto document = json::Document::parse(std::string(body));
    if (!document) return {};
    const std::string_view identifier = document->root()["safety_identifier"].string();
    return std::string(identifier.empty() ? document->root()["user"].string() : identifier);
}

}  // namespace

Status Worker::attribute(Exchange& x, const net::ServerRequest& request) {
    const auth::Principal& principal = *x.principal;
    auto attribution = std::make_unique<Attribution>();
    if (!principal.end_user_header.empty()) {
        ENTREPOT_TRY(const std::optional<std::string> end_user,
            attributed(request, principal.end_user_header));
        attribution->end_user = end_user.value_or("");
    }
    std::map<std::string, std::string> tags = principal.tags;
    for (const auto& [tag, header] : principal.tag_headers) {
        ENTREPOT_TRY(std::optional<std::string> value, attributed(request, header));
        if (value) tags[tag] = *std::move(value);
    }
    attribution->tags = tags_text(tags);
    if (attribution->tags.size() > ledger::kNameBytesMax)
        return fail(ErrorCode::kInvalidField,
            fmt::format("the tags of this request have {} bytes together; at most {} can be booked",
                attribution->tags.size(), ledger::kNameBytesMax));
    x.attribution = std::move(attribution);
    // What the body says is not known yet.
    return principal.end_user_in_body ? Status{} : check_end_user(x);
}

Status Worker::attribute_body(Exchange& x) {
    std::string& end_user = x.attribution->end_user;
    if (end_user.empty()) {
        const Workbench& bench = *x.bench;
        const bool is_chat = dialect::openai_chat::speaks_chat(*x.client);
        const std::string said = is_chat ? end_user_of_chat(bench.body)
            : bench.canonical            ? bench.canonical->user
                                         : std::string();
        ENTREPOT_TRY(std::optional<std::string> taken, bookable(said, "field", "user"));
        end_user = std::move(taken).value_or("");
    }
    return check_end_user(x);
}

Status Worker::check_end_user(const Exchange& x) {
    const auth::Principal& principal = *x.principal;
    if (!principal.needs_end_user || (x.attribution != nullptr && !x.attribution->end_user.empty()))
        return {};
    if (principal.end_user_header.empty())
        return fail_field(ErrorCode::kInvalidField, "user",
            "'user' (or 'safety_identifier', 'metadata.user_id') is missing; this key needs to "
            "know "
            "who stands behind a request");
    return fail_field(ErrorCode::kInvalidField, principal.end_user_header,
        fmt::format(
            "the header '{}' is missing; this key needs to know who stands behind a request",
            principal.end_user_header));
}

Result<const auth::Principal*> Worker::admit_signed(const Exchange& x,
    std::string_view authorization, const net::ServerRequest& request,
    std::optional<std::string_view> body) {
    std::vector<crypto::sigv4::HeaderView> headers;
    for (std::size_t i = 0; i < request.headers.size(); ++i)
        headers.push_back({request.headers[i].name, request.headers[i].value});
    const crypto::sigv4::Request signed_request{.method = request.method,
        .path = request.path,
        .query = request.query,
        .headers = headers,
        .body_sha256_hex = {}};
    return auth::authenticate_signed(
        *x.state->keys, authorization, signed_request, body, x.began_wall, signing_keys_);
}

Status Worker::read_request(Exchange& x, const Door& door, const net::ServerRequest& request) {
    x.phase = ledger::Phase::kDecode;
    Workbench& bench = *x.bench;
    const std::string_view model = door.model ? std::string_view(*door.model) : "";
    if (dialect::openai_chat::speaks_chat(*x.client)) {
        ENTREPOT_TRY_DO(dialect::openai_chat::inspect(bench.body, bench.facts, model));
        return bench.facts.file_ids == 0 ? Status{} : read_kept(x);
    }
    bench.own_headers.clear();
    for (const dialect::OwnHeader& own : x.client->own_headers)
        if (const auto value = request.headers.find(own.name))
            bench.own_headers.push_back({std::string(own.name), std::string(*value)});
    dialect::RequestContext context;
    if (door.model) context.model = model;
    context.is_stream = door.is_stream;
    context.headers = bench.own_headers;
    context.query = request.query;
    if (x.client->reads_raw_body) {
        bench.client_type = request.headers.find("content-type").value_or("");
        context.raw_body = bench.body;
        context.content_type = bench.client_type;
    }
    if (x.client->reads_raw_body && !is_json(bench.client_type)) {
        static const json::Document kNone = *json::Document::parse("null");
        bench.document.reset();
        ENTREPOT_TRY(bench.canonical, x.client->decode_request(kNone, context));
    } else {
        ENTREPOT_TRY(bench.document, json::Document::parse_in_place(bench.body));
        ENTREPOT_TRY(bench.canonical, x.client->decode_request(*bench.document, context));
    }
    x.family = bench.canonical->family;
    canon::read_facts(*bench.canonical, bench.body.size(), x.client->stateful_fields, bench.facts);
    // Where one offer is all there is, nobody asks where the prompt's prefix is warm.
    if (bench.facts.task == canon::Task::kConverse &&
        x.state->table.of_model(bench.facts.model).size() > 1)
        canon::hash_prompt(*bench.canonical, bench.facts);
    if (bench.facts.model.empty())
        return fail_field(ErrorCode::kInvalidField, "model",
            "'model' is missing; it must be the name of a model");
    return read_kept(x);
}

Status Worker::admit_generate(Exchange& x, const Door& door, net::ServerRequest& request) {
    if (request.method != "POST") {
        x.allow = methods_of(door.operation);
        return std::unexpected(not_allowed(request.method, request.path, x.allow));
    }
    ENTREPOT_TRY_DO(admit(x, request, request.body));
    if (x.has_name) ENTREPOT_TRY_DO(name_request(x, request));
    Workbench& bench = *x.bench;
    bench.body = std::move(request.body);
    ENTREPOT_TRY_DO(read_request(x, door, request));
    if (x.principal->end_user_in_body) ENTREPOT_TRY_DO(attribute_body(x));
    // The move has given it the bench's last buffer, which an open stream would keep.
    if (bench.facts.is_stream) std::string().swap(request.body);
    x.task = bench.facts.task;
    if (canon::is_free(x.task)) x.named.reset();  // nothing to be billed twice
    x.counted = counted_in(bench.facts);
    x.is_stream = bench.facts.is_stream;
    x.wants_usage = bench.facts.wants_stream_usage;
    x.wants_json_array = x.is_stream && x.client->wants_json_array != nullptr &&
        x.client->wants_json_array(request.query);
    x.model = bench.facts.model;

    x.phase = ledger::Phase::kAuthorise;
    if (x.state->table.of_model(x.model).empty() || !x.principal->scope.allows_model(x.model)) {
        // A model this key may not use is answered like one that does not exist, and only its own
        // are offered.
        std::vector<std::string> allowed;
        for (const std::string& name : x.state->table.models())
            if (x.principal->scope.allows_model(name)) allowed.push_back(name);
        const std::string_view near = nearest(x.model, allowed);
        return fail_field(ErrorCode::kNotFound, "model",
            near.empty() ? fmt::format("the model '{}' does not exist or this key may not use it; "
                                       "GET /v1/models lists what it may",
                               excerpt(x.model))
                         : fmt::format("the model '{}' does not exist or this key may not use it; "
                                       "did you mean '{}'?",
                               excerpt(x.model), near));
    }
    return {};
}

Task<void> Worker::limit(Exchange& x) {
    x.phase = ledger::Phase::kLimit;
    const canon::RequestFacts& facts = x.bench->facts;
    if (!canon::is_free(facts.task))
        x.tokens_admitted = facts.prompt_bytes / 4 + facts.output_cap.value_or(0);
    const auto work = [&](store::Books&) {
        return limiters_.admit(*x.principal, x.tokens_admitted, monotonic_now());
    };
    std::optional<auth::LimitRefusal> refusal = co_await books_.call(core_, work);
    if (refusal) {
        if (refusal->retry_after > milliseconds(0))
            x.retry_after = refusal->retry_after;
        else
            x.is_hopeless = true;
        co_return fail(ErrorCode::kRateLimited, std::move(refusal->message));
    }
    x.is_admitted = true;
    co_return Status{};
}

void Limiters::add(Path& path, auth::LimitOwner owner, const auth::Limits& limits) {
    ByName& known = by_level_[static_cast<std::size_t>(owner.level)];
    auto found = known.find(owner.name);
    if (found == known.end()) found = known.emplace(std::string(owner.name), auth::Limiter()).first;
    path.steps[path.count++] = {owner, &limits, &found->second};
}

Limiters::Path Limiters::path_of(const auth::Principal& principal) {
    Path path;
    if (principal.limits != auth::Limits{})
        add(path, {auth::LimitLevel::kKey, principal.key.view()}, principal.limits);
    if (principal.limits_above != nullptr)
        for (const auth::LevelLimits& above : *principal.limits_above)
            add(path, {above.level, above.owner}, above.limits);
    return path;
}

std::optional<auth::LimitRefusal> Limiters::admit(
    const auth::Principal& principal, std::int64_t tokens, MonotonicTime now) {
    const Path path = path_of(principal);
    return auth::admit_all(path.used(), tokens, now);
}

void Limiters::finish(const auth::Principal& principal, std::int64_t tokens_expected,
    std::int64_t tokens_used, MonotonicTime now) {
    const Path path = path_of(principal);
    for (const auth::LimitStep& step : path.used())
        step.limiter->finish(*step.limits, tokens_expected, tokens_used, now);
}

}  // namespace entrepot::gateway
