// The request in a voice of the offer: as it came, edited, or translated.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dialect/sealed_signature.h"
#include "gateway/kept.h"
#include "gateway/worker.h"
#include "json/writer.h"

namespace entrepot::gateway {
namespace {

dialect::OnLossy on_lossy_of(auth::OnLossy policy) {
    switch (policy) {
        case auth::OnLossy::kRefuse: return dialect::OnLossy::kRefuse;
        case auth::OnLossy::kMeaning: return dialect::OnLossy::kMeaning;
        case auth::OnLossy::kName: return dialect::OnLossy::kName;
    }
    return dialect::OnLossy::kMeaning;
}

/// Whether the bytes of one are the bytes of the other: a format may go by several names.
bool speak_alike(const dialect::Dialect& client, const dialect::Dialect& supplier) {
    return client.decode_request == supplier.decode_request &&
        client.encode_request == supplier.encode_request &&
        client.reply_decoder == supplier.reply_decoder;
}

/// Null: no voice of the offer does the task.
const upstream::Voice* first_for(canon::Task task, const OfferState& offer) {
    const auto found = std::ranges::find_if(
        offer.voices, [&](const upstream::Voice& voice) { return voice.can(task); });
    return found == offer.voices.end() ? nullptr : &*found;
}

/// The offer's voice in the client's dialect, where it has one that does the task.
const upstream::Voice* voice_for(const Exchange& x, const OfferState& offer) {
    const auto own = std::ranges::find_if(offer.voices, [&](const upstream::Voice& voice) {
        return voice.can(x.task) && speak_alike(*x.client, *voice.dialect);
    });
    return own == offer.voices.end() ? first_for(x.task, offer) : &*own;
}

Lane lane_between(const dialect::Dialect& client, const dialect::Dialect& supplier) {
    if (!speak_alike(client, supplier)) return Lane::kTranslated;
    return dialect::openai_chat::speaks_chat(client) ? Lane::kChat : Lane::kPassing;
}

/// Calls of one attempt, one after the other, and the vectors of all of them.
constexpr std::size_t kPartsMax = 256;
constexpr std::size_t kVectorsMax = 2048;

/// The request, or where it asks for more vectors than one call makes, its first part; the others'
/// bodies go to `more`.
Result<dialect::EncodedRequest> encode_parts(
    const Exchange& x, const dialect::EncodeTarget& target, std::vector<std::string>& more) {
    const canon::Request& request = *x.bench->canonical;
    const dialect::Dialect& to = *x.voice->dialect;
    const auto* embed = std::get_if<canon::Embed>(&request.work);
    const std::size_t inputs_max = x.voice->inputs_max;
    if (embed == nullptr || inputs_max == 0 || embed->inputs.size() <= inputs_max)
        return to.encode_request(request, target);
    const std::vector<canon::EmbedInput>& all = embed->inputs;
    const std::size_t all_max = std::min(kPartsMax * inputs_max, kVectorsMax);
    if (all.size() > all_max)
        return fail_field(ErrorCode::kUnsupported, "input",
            fmt::format("{} texts cannot be carried to this offer, which takes {} a call; send {} "
                        "at a time",
                all.size(), inputs_max, all_max));
    canon::Request part = request;
    std::vector<canon::EmbedInput>& inputs = std::get<canon::Embed>(part.work).inputs;
    std::optional<dialect::EncodedRequest> first;
    for (std::size_t at = 0; at < all.size(); at += inputs_max) {
        const auto begin = all.begin() + static_cast<std::ptrdiff_t>(at);
        const std::size_t count = std::min(inputs_max, all.size() - at);
        inputs.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
        ENTREPOT_TRY(dialect::EncodedRequest encoded, to.encode_request(part, target));
        if (first)
            more.push_back(std::move(encoded.body));
        else
            first = std::move(encoded);
    }
    return std::move(*first);
}

}  // namespace

Status Worker::encode(Exchange& x, const routing::Attempt& step) {
    const OfferState& offer = x.state->offers[step.offer];
    const Cloud& cloud = x.state->clouds[offer.cloud];
    x.bench->dialect_headers.clear();
    x.bench->content_type.clear();
    x.bench->more_bodies.clear();
    x.dropped.clear();
    const routing::Limits& limits = x.state->table.offer(step.offer).limits;
    // The hold rests on this cap. The maker's own API enforces its model's by itself; a lower one
    // of the configuration, and a server of unknown make, have to be told.
    const bool must_state = step.is_clamped ||
        (step.is_bounded &&
            (limits.must_state_output_cap ||
                cloud.settings.kind == config::CloudKind::kOpenaiCompatible));
    x.voice = voice_for(x, offer);
    if (x.voice == nullptr)
        return fail_field(ErrorCode::kUnsupported, "model",
            fmt::format("the offer '{}' cannot {}", offer.name, canon::task_words(x.task)));
    // One dialect, but the model takes another body than the client's: to be translated, and best
    // through the voice that speaks to every model alike.
    const bool is_other_family = speak_alike(*x.client, *x.voice->dialect) &&
        x.client->takes_family != nullptr &&
        !x.client->takes_family(offer.model_at_cloud, x.family);
    if (is_other_family) x.voice = first_for(x.task, offer);
    x.lane = is_other_family ? Lane::kTranslated : lane_between(*x.client, *x.voice->dialect);
    // A cap of ours is a change that only a dialect's own encoder knows how to make; suppliers are
    // asked for events, never for an array; and what another maker signed is not for this one.
    if (x.lane == Lane::kPassing &&
        (x.wants_json_array || (must_state && step.inject_output_cap > 0) ||
            (x.bench->document && dialect::may_hold_sealed(x.bench->body)) ||
            (x.client->asks_stream_usage && x.is_stream && !x.wants_usage &&
                x.voice->quirks.can_ask_stream_usage)))
        x.lane = Lane::kTranslated;
    // It would look for that one itself, among everybody's.
    if (x.kept != nullptr && !x.kept->lost.empty() && speak_alike(*x.client, *x.voice->dialect))
        return fail_field(ErrorCode::kNotFound, "input",
            fmt::format("'input' names the reasoning '{}', which is not kept, or not for this key; "
                        "send it with its encrypted_content, or leave it out",
                excerpt(x.kept->lost)));
    // In another dialect, what the supplier would run by itself stays behind.
    if (x.key->has_budget && !x.bench->facts.open_ended_field.empty() &&
        speak_alike(*x.client, *x.voice->dialect)) {
        const std::string field(x.bench->facts.open_ended_field);
        return fail_field(ErrorCode::kUnbounded, field,
            fmt::format("'{}' lets the supplier do what is billed apart (searches, code), and "
                        "nothing bounds how often, so the budget of this key cannot be held; leave "
                        "it out, or use a key without a budget",
                field));
    }
    switch (x.lane) {
        case Lane::kChat: return encode_chat(x, step, must_state);
        case Lane::kPassing: return encode_passing(x);
        case Lane::kTranslated: return encode_translated(x, step, must_state);
    }
    return {};
}

Status Worker::encode_chat(Exchange& x, const routing::Attempt& step, bool must_state) {
    const upstream::Quirks& quirks = x.voice->quirks;
    Workbench& bench = *x.bench;
    dialect::openai_chat::Edits edits;
    if (bench.facts.model != x.voice->model_id || x.client->has_model_in_path)
        edits.model_id = x.voice->model_id;
    if (must_state && step.inject_output_cap > 0) edits.output_tokens_max = step.inject_output_cap;
    edits.injects_max_completion_tokens = quirks.takes_max_completion_tokens;
    edits.asks_stream_usage = quirks.can_ask_stream_usage && x.is_stream && !x.wants_usage;
    dialect::openai_chat::splice(bench.body, bench.facts, edits, bench.splice);
    if (bench.splice.is_unchanged()) {
        bench.upstream_view = bench.body;
        return {};
    }
    bench.upstream_body.clear();
    bench.splice.append_to(bench.upstream_body);
    bench.upstream_view = bench.upstream_body;
    return {};
}

// The only edit is the model's name: everything else goes as it came.
Status Worker::encode_passing(Exchange& x) {
    Workbench& bench = *x.bench;
    for (const dialect::OwnHeader& own : x.client->own_headers) {
        const auto sent = std::ranges::find(bench.own_headers, own.name, &dialect::Header::name);
        if (sent != bench.own_headers.end())
            bench.dialect_headers.push_back(*sent);
        else if (!own.fallback.empty())
            bench.dialect_headers.push_back({std::string(own.name), std::string(own.fallback)});
    }
    bench.upstream_view = bench.body;
    const std::string_view field = x.voice->dialect->model_field;
    if (x.client->rename_model != nullptr || !bench.document) return rename_in_raw(x);
    if (field.empty()) return {};
    const json::Value& name = bench.document->root()[field];
    if (name.is_null()) {  // the path named it
        const auto open = static_cast<std::size_t>(
            bench.document->root().raw().data() - bench.document->text().data());
        const bool is_empty = bench.document->root().members().empty();
        bench.upstream_body.assign(bench.body, 0, open + 1);
        bench.upstream_body += fmt::format(
            "{}:{}{}", json::quoted(field), json::quoted(x.voice->model_id), is_empty ? "" : ",");
        bench.upstream_body.append(bench.body, open + 1);
        bench.upstream_view = bench.upstream_body;
        return {};
    }
    if (!name.is_string() || name.string() == x.voice->model_id) return {};
    const auto count = std::ranges::count(bench.document->root().members(), field,
        [](const json::Member& member) { return member.key; });
    if (count > 1)
        return fail_field(ErrorCode::kBadRequest, std::string(field),
            fmt::format("'{}' is given twice; give it once", field));
    const auto at = static_cast<std::size_t>(name.raw().data() - bench.document->text().data());
    bench.upstream_body.assign(bench.body, 0, at);
    bench.upstream_body += json::quoted(x.voice->model_id);
    bench.upstream_body.append(bench.body, at + name.raw().size());
    bench.upstream_view = bench.upstream_body;
    return {};
}

Status Worker::rename_in_raw(Exchange& x) {
    Workbench& bench = *x.bench;
    bench.content_type = bench.client_type;
    if (x.client->rename_model == nullptr || bench.facts.model == x.voice->model_id) return {};
    ENTREPOT_TRY(bench.upstream_body,
        x.client->rename_model(bench.body, bench.client_type, x.voice->model_id));
    bench.upstream_view = bench.upstream_body;
    return {};
}

Status Worker::encode_translated(Exchange& x, const routing::Attempt& step, bool must_state) {
    const upstream::Quirks& quirks = x.voice->quirks;
    const routing::Offer& offer = x.state->table.offer(step.offer);
    const routing::Limits& limits = offer.limits;
    Workbench& bench = *x.bench;
    if (!bench.canonical) {
        ENTREPOT_TRY(const json::Document document, json::Document::parse_in_place(bench.body));
        dialect::RequestContext context;
        if (x.client->has_model_in_path) context.model = x.model;
        ENTREPOT_TRY(bench.canonical, x.client->decode_request(document, context));
        x.uses_functions = bench.canonical->uses_functions;  // the bench is gone when it answers
    }
    // The bench is gone when it answers.
    if (x.client->echo_of != nullptr && x.echo.empty())
        x.echo = x.client->echo_of(*bench.canonical);
    dialect::EncodeTarget target;
    target.model_id = x.voice->model_id;
    target.account = x.voice->account;
    target.on_lossy = on_lossy_of(x.principal->policy.on_lossy);
    if (limits.output_tokens_max > 0) target.output_tokens_default = limits.output_tokens_max;
    if (step.inject_output_cap > 0) target.output_tokens_default = step.inject_output_cap;
    target.states_output_cap = must_state && step.inject_output_cap > 0;
    target.can_ask_stream_usage = quirks.can_ask_stream_usage;
    target.takes_max_completion_tokens = quirks.takes_max_completion_tokens;
    target.embed_purpose = offer.embed_purpose;
    const dialect::Dialect& to = *x.voice->dialect;
    ENTREPOT_TRY(dialect::EncodedRequest encoded, encode_parts(x, target, bench.more_bodies));
    bench.upstream_body = std::move(encoded.body);
    bench.upstream_view = bench.upstream_body;
    bench.content_type = std::move(encoded.content_type);
    bench.dialect_headers = std::move(encoded.headers);
    for (const dialect::OwnHeader& own : to.own_headers) {
        const bool is_there = std::ranges::find(bench.dialect_headers, own.name,
                                  &dialect::Header::name) != bench.dialect_headers.end();
        if (!is_there && !own.fallback.empty())
            bench.dialect_headers.push_back({std::string(own.name), std::string(own.fallback)});
    }
    x.dropped = std::move(encoded.dropped);
    return {};
}

}  // namespace entrepot::gateway
