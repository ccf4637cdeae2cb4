// The request in a voice of the offer: as it came, edited, or translated.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "base/text.h"
#include "dialect/dropped.h"
#include "dialect/tools.h"
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

/// Whether all that the supplier would run as often as it likes are tools that the model is free
/// not to call, beside others of the client's own.
bool can_do_without(const Workbench& bench) {
    return bench.canonical && bench.facts.open_ended_field == "tools" &&
        std::ranges::all_of(bench.canonical->tools, [&](const canon::Tool& tool) {
            return !canon::is_open_ended(tool) || dialect::is_dispensable(*bench.canonical, tool);
        });
}

/// Names the open-ended tools, which are left.
void note_left(const canon::Request& request, std::vector<std::string>& out) {
    dialect::Dropped names;
    for (const canon::Tool& tool : request.tools)
        if (canon::is_open_ended(tool)) names.add(fmt::format("tools ({})", tool.server->kind));
    std::ranges::move(names.take(), std::back_inserter(out));
}

/// The body's `tools` without those of the request that are open-ended, each as it was.
std::string bounded_tools(const json::Value& tools, const canon::Request& request) {
    std::unordered_set<std::string_view> open_ended;
    for (const canon::Tool& known : request.tools)
        if (canon::is_open_ended(known)) open_ended.insert(known.server->json);
    std::string out = "[";
    for (const json::Value& tool : tools.items()) {
        if (open_ended.contains(tool.raw())) continue;
        if (out.size() > 1) out += ',';
        out += tool.raw();
    }
    return out + "]";
}

/// A shorter request may as well be kept.
constexpr std::size_t kLeftBytesMin = 16 * 1024;

/// Calls of one attempt, one after the other, and the vectors of all of them.
constexpr std::size_t kPartsMax = 256;
constexpr std::size_t kVectorsMax = 2048;

/// The request, or where it asks for more vectors than one call makes, its first part; the others'
/// bodies go to `more`.
Result<dialect::EncodedRequest> encode_parts(const Exchange& x, const canon::Request& request,
    const dialect::EncodeTarget& target, std::vector<std::string>& more) {
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
            (x.bench->canonical && x.bench->canonical->holds_sealed) ||
            (x.client->asks_stream_usage && x.is_stream && !x.wants_usage &&
                x.voice->quirks.can_ask_stream_usage)))
        x.lane = Lane::kTranslated;
    // It would look for that one itself, among everybody's.
    if (x.kept != nullptr && !x.kept->lost.empty() && speak_alike(*x.client, *x.voice->dialect))
        return std::unexpected(not_kept(x.kept->lost));
    // In another dialect, what the supplier would run by itself stays behind. At home it does so
    // where nothing bounds it and the model can do without.
    x.leaves_open_ended = x.key->has_budget && !x.bench->facts.open_ended_field.empty() &&
        speak_alike(*x.client, *x.voice->dialect);
    if (x.leaves_open_ended &&
        (x.principal->policy.on_lossy == auth::OnLossy::kRefuse || !can_do_without(*x.bench))) {
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

// The only edits are the model's name and what a budget cannot bound: everything else goes as it
// came.
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
    if (x.client->rename_model != nullptr || !bench.document) return rename_in_raw(x);
    // What stands there gives way; nothing but a place: before it.
    struct Edit {
        std::string_view field;
        std::string_view was;
        std::string now;
    };
    std::vector<Edit> edits;
    const json::Value& root = bench.document->root();
    const std::string_view model = x.voice->dialect->model_field;
    if (!model.empty() && root[model].is_null()) {  // the path named it
        edits.push_back({model, root.raw().substr(1, 0),
            fmt::format("{}:{}{}", json::quoted(model), json::quoted(x.voice->model_id),
                root.members().empty() ? "" : ",")});
    } else if (root[model].is_string() && root[model].string() != x.voice->model_id) {
        edits.push_back({model, root[model].raw(), json::quoted(x.voice->model_id)});
    }
    if (x.leaves_open_ended) {
        edits.push_back(
            {"tools", root["tools"].raw(), bounded_tools(root["tools"], *bench.canonical)});
        note_left(*bench.canonical, x.dropped);
    }
    if (edits.empty()) return {};
    std::ranges::sort(edits, {}, [](const Edit& edit) { return edit.was.data(); });
    bench.upstream_body.clear();
    std::size_t done = 0;
    for (const Edit& edit : edits) {
        const auto count = std::ranges::count(
            root.members(), edit.field, [](const json::Member& member) { return member.key; });
        if (count > 1)
            return fail_field(ErrorCode::kBadRequest, std::string(edit.field),
                fmt::format("'{}' is given twice; give it once", edit.field));
        const auto at = static_cast<std::size_t>(edit.was.data() - bench.document->text().data());
        bench.upstream_body.append(bench.body, done, at - done);
        bench.upstream_body += edit.now;
        done = at + edit.was.size();
    }
    bench.upstream_body.append(bench.body, done);
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
    std::optional<canon::Request> bounded;
    if (x.leaves_open_ended) {
        bounded = *bench.canonical;
        std::erase_if(bounded->tools, canon::is_open_ended);
    }
    ENTREPOT_TRY(dialect::EncodedRequest encoded,
        encode_parts(x, bounded ? *bounded : *bench.canonical, target, bench.more_bodies));
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
    if (bounded) note_left(*bench.canonical, x.dropped);
    return {};
}

// While a supplier thinks, hundreds of other requests come and go: what is long and of no use any
// more would only be pushed out of the cache by them, and their memory come cold.
bool Worker::leave_request(Exchange& x) {
    Workbench& bench = *x.bench;
    const bool is_only_read = x.lane == Lane::kTranslated && x.task == canon::Task::kConverse;
    if (!is_only_read || bench.body.size() < kLeftBytesMin) return false;
    bench.canonical.reset();
    bench.document.reset();
    std::string().swap(bench.body);
    return true;
}

}  // namespace entrepot::gateway
