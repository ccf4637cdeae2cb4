// What a request names of what suppliers keep, and what of its answer they will keep.
#include "gateway/kept.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "dialect/google_file.h"
#include "dialect/registry.h"
#include "gateway/worker.h"
#include "json/writer.h"

namespace entrepot::gateway {
namespace {

using store::Kept;
using store::KeptKind;

/// Ids that we made: no supplier looks them up.
constexpr std::string_view kMadeByUs = "_epot_";

struct StatefulField {
    std::string_view name;
    KeptKind kind;
};
constexpr std::array kStatefulFields{
    StatefulField{"previous_response_id", KeptKind::kResponse},
    StatefulField{"conversation", KeptKind::kConversation},
    StatefulField{"container", KeptKind::kContainer},
    StatefulField{"cachedContent", KeptKind::kCache},
};

/// Members that name things wherever they stand. Vector stores are made through the pass-through at
/// most, where nobody notes whose they are: they are nobody's.
constexpr std::array kNames{
    StatefulField{"file_id", KeptKind::kFile},
    StatefulField{"file_ids", KeptKind::kFile},
    StatefulField{"input_file_id", KeptKind::kFile},
    StatefulField{"training_file", KeptKind::kFile},
    StatefulField{"validation_file", KeptKind::kFile},
    StatefulField{"vector_store_ids", KeptKind::kFile},
    StatefulField{"container", KeptKind::kContainer},
    StatefulField{"container_id", KeptKind::kContainer},
    StatefulField{"previous_response_id", KeptKind::kResponse},
    StatefulField{"conversation", KeptKind::kConversation},
    StatefulField{"cachedContent", KeptKind::kCache},
};

std::optional<json::Document> parsed(std::string_view json) {
    auto document = json::Document::parse(std::string(json));
    if (!document) return std::nullopt;
    return std::move(*document);
}

/// An id, or an object that has one.
std::string id_in(std::string_view json) {
    const auto document = parsed(json);
    if (!document) return {};
    const json::Value& value = document->root();
    return std::string(value.is_object() ? value["id"].string() : value.string());
}

bool is_empty(const json::Value& value) {
    return value.is_null() || (value.is_string() && value.string().empty()) ||
        (value.is_array() && value.items().empty()) ||
        (value.is_object() && value.members().empty());
}

/// Whether an item of the Responses API holds what it is about. Two of them do so in one member,
/// whatever they say beside it.
bool holds_anything(const json::Value& item) {
    constexpr std::array<std::string_view, 8> kAround{
        "type", "id", "status", "role", "phase", "call_id", "container_id", "created_by"};
    const std::string_view type = item["type"].string();
    if (type == "reasoning") return !is_empty(item["encrypted_content"]);
    if (type == "image_generation_call") return !is_empty(item["result"]);
    return std::ranges::any_of(item.members(), [&](const json::Member& member) {
        return std::ranges::find(kAround, member.key) == kAround.end() && !is_empty(member.value);
    });
}

/// An item that has an id and holds nothing is looked up by it, whatever its type; without a type,
/// whatever it holds. Those of type `item_reference`: read_kept_names.
void read_own_id(const json::Value& item, std::vector<KeptReference>& out) {
    std::string id(item["id"].string());
    const std::string_view type = item["type"].string();
    if (id.empty() || type == "item_reference") return;
    const bool is_reference = type.empty() && item["role"].is_null();
    if (!is_reference && (holds_anything(item) || id.find(kMadeByUs) != std::string::npos)) return;
    out.push_back({KeptKind::kItem, std::move(id), "input", !is_reference});
}

void read_media(const canon::Media& media, std::vector<KeptReference>& out) {
    std::string google =
        media.source == canon::Media::Source::kUrl || media.source == canon::Media::Source::kFileId
        ? dialect::google_file_name(media.data)
        : std::string();
    if (!google.empty())
        out.push_back({KeptKind::kFile, std::move(google), "fileUri"});
    else if (media.source == canon::Media::Source::kFileId)
        out.push_back({KeptKind::kFile, media.data, "file_id"});
}

void read_item(const canon::Item& item, std::vector<KeptReference>& out) {
    // An earlier answer's sound, in chat completions. Nobody notes whose it was: it is nobody's.
    for (const canon::Extra& extra : item.extras)
        if (extra.path.ends_with(".audio"))
            if (std::string id = id_in(extra.json); !id.empty())
                out.push_back({KeptKind::kItem, std::move(id), extra.path});
    if (const auto* media = std::get_if<canon::Media>(&item.body)) {
        read_media(*media, out);
    } else if (const auto* result = std::get_if<canon::ToolResult>(&item.body)) {
        for (const canon::Item& part : result->content) read_item(part, out);
    } else if (const auto* opaque = std::get_if<canon::Opaque>(&item.body)) {
        const auto document = parsed(opaque->json);
        if (!document) return;
        read_kept_names(document->root(), out);
        if (opaque->origin == "openai-responses") read_own_id(document->root(), out);
    }
}

/// Texts to be embedded are no items of a conversation, but what stands beside them may be kept.
void read_embed(const canon::Embed& embed, std::vector<KeptReference>& out) {
    for (const canon::EmbedInput& input : embed.inputs)
        for (const auto& part : input.parts)
            if (const auto* media = std::get_if<canon::Media>(&part)) read_media(*media, out);
}

/// The fields of what is billed by the piece, read as the one object they came in. A document to be
/// ranked is the client's own, whatever its members are called.
void read_pieces(const canon::Request& request, std::vector<KeptReference>& out) {
    if (request.task == canon::Task::kRerank) return;
    for (const canon::Extra& extra : request.extras) {
        const bool may_name = extra.json.starts_with('{') || extra.json.starts_with('[') ||
            std::ranges::find(kNames, extra.path, &StatefulField::name) != kNames.end();
        if (!may_name) continue;
        const auto field = parsed(fmt::format("{{{}:{}}}", json::quoted(extra.path), extra.json));
        if (field) read_kept_names(field->root(), out);
    }
}

/// Reasoning that is named and not sent: its supplier looks it up by its id. What we made has no
/// supplier that knows it.
void read_thoughts(const canon::Request& request, std::vector<KeptReference>& out) {
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        const canon::Item& first = request.items[i];
        if (!std::holds_alternative<canon::Thought>(first.body)) continue;
        const auto mark = std::ranges::find(first.marks, "id", &canon::Extra::path);
        if (mark == first.marks.end()) continue;
        bool is_sent = false;
        for (std::size_t j = i; j < request.items.size() && request.items[j].turn == first.turn;
            ++j)
            is_sent = is_sent || request.items[j].signature.has_value();
        std::string id = id_in(mark->json);
        if (is_sent || id.find(kMadeByUs) != std::string::npos) continue;
        out.push_back({KeptKind::kItem, std::move(id), "input", true});
    }
}

void read_tool(const canon::Tool& tool, std::vector<KeptReference>& out) {
    if (!tool.server) return;
    if (const auto document = parsed(tool.server->json)) read_kept_names(document->root(), out);
}

bool is_stored(const KeptUse& use) { return use.is_stored || use.is_background; }

Error not_there(const KeptReference& named) {
    return Error{ErrorCode::kNotFound,
        fmt::format("'{}': there is no {} '{}', or this key did not make it; it may have expired, "
                    "or have been made with `store: false`. Send the content itself",
            named.field, store::kept_kind_name(named.kind), excerpt(named.id)),
        {}, named.field};
}

}  // namespace

void read_item_names(std::span<const json::Value> items, std::vector<KeptReference>& out) {
    for (const json::Value& item : items) read_own_id(item, out);
}

void read_kept_names(const json::Value& value, std::vector<KeptReference>& out) {
    const auto note = [&out](KeptKind kind, const json::Value& id, std::string_view field) {
        const json::Value& name = id.is_object() ? id["id"] : id;
        if (name.is_string()) out.push_back({kind, std::string(name.string()), std::string(field)});
    };
    for (const json::Value& inner : value.items()) read_kept_names(inner, out);
    for (const json::Member& member : value.members()) {
        if (member.key == "fileUri" || member.key == "file_uri") {
            std::string google = dialect::google_file_name(member.value.string());
            if (!google.empty()) out.push_back({KeptKind::kFile, std::move(google), "fileUri"});
            continue;
        }
        const auto name = std::ranges::find(kNames, member.key, &StatefulField::name);
        if (name == kNames.end() || member.value.is_null()) {
            read_kept_names(member.value, out);
        } else if (member.value.items().empty()) {
            note(name->kind, member.value, name->name);
            if (member.value.is_object()) read_kept_names(member.value, out);
        } else {
            for (const json::Value& id : member.value.items()) note(name->kind, id, name->name);
        }
    }
    if (value["type"].string() == "item_reference") note(KeptKind::kItem, value["id"], "input");
}

Result<std::vector<KeptReference>> kept_references(const canon::Request& request) {
    std::vector<KeptReference> out;
    for (const canon::Item& item : request.items) read_item(item, out);
    for (const canon::Tool& tool : request.tools) read_tool(tool, out);
    read_thoughts(request, out);
    if (const auto* embed = std::get_if<canon::Embed>(&request.work)) read_embed(*embed, out);
    if (std::holds_alternative<canon::Piecework>(request.work)) read_pieces(request, out);
    for (const canon::Extra& extra : request.extras) {
        if (extra.path == "prompt" && request.origin == "openai-responses")
            return fail_field(ErrorCode::kUnsupported, "prompt",
                "'prompt' names a template of the supplier's account, which no key of this gateway "
                "owns; send the instructions and the input themselves");
        if (extra.path == "mcp_servers" && request.origin == "anthropic-messages")
            return fail_field(ErrorCode::kUnsupported, "mcp_servers",
                "'mcp_servers' lets the supplier call servers on the client's behalf, whose calls "
                "are neither bounded nor metered; call them from the client and offer them as "
                "tools");
        const auto field = std::ranges::find(kStatefulFields, extra.path, &StatefulField::name);
        if (field == kStatefulFields.end() || extra.json == "null") continue;
        std::string id = id_in(extra.json);
        if (!id.empty())
            out.push_back({field->kind, std::move(id), std::string(field->name)});
        else if (field->kind != KeptKind::kContainer)  // a new one may be described there
            return fail_field(ErrorCode::kInvalidField, extra.path,
                fmt::format(
                    "'{}' must be the id of a {}", extra.path, store::kept_kind_name(field->kind)));
    }
    return out;
}

bool may_see(const auth::Principal& principal, const Kept& thing) {
    if (principal.org.view() != thing.org) return false;
    switch (principal.policy.kept) {
        case auth::KeptScope::kOrg: return true;
        case auth::KeptScope::kTeam: return principal.team.view() == thing.team;
        case auth::KeptScope::kKey: break;
    }
    return principal.team.view() == thing.team && principal.key.view() == thing.key;
}

Kept made_by(const auth::Principal& principal, Instant now) {
    Kept thing;
    thing.key = principal.key.str();
    thing.team = principal.team.str();
    thing.org = principal.org.str();
    thing.made = now;
    return thing;
}

bool is_kept_there(const Exchange& x) {
    return x.kept != nullptr && (is_stored(*x.kept) || x.kept->has_tools) &&
        x.client->name == x.voice->dialect->name;
}

bool is_background(const Exchange& x) { return x.kept != nullptr && x.kept->is_background; }

bool is_pending(const Exchange& x) {
    return x.consumed.names != nullptr && x.consumed.names->is_pending && is_stored(*x.kept);
}

std::string to_json(const Deferred& deferred) {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("attempt", std::int64_t{deferred.attempt});
    writer.member("offer", deferred.offer);
    writer.member("tier", catalog::tier_name(deferred.tier));
    writer.member("hold", deferred.hold.to_decimal());
    writer.member_bool("bounded", deferred.is_bounded);
    writer.member("dispatch_ns", deferred.dispatch.ns);
    writer.member("prompt_tokens", deferred.prompt_tokens_estimate);
    writer.member("status", std::int64_t{deferred.status});
    writer.member("dialect", deferred.dialect).end_object();
    return out;
}

Result<Deferred> read_deferred(std::string_view json) {
    ENTREPOT_TRY(const json::Document document, json::Document::parse(std::string(json)));
    const json::Value& root = document.root();
    Deferred deferred;
    const auto attempt = root["attempt"].as_int();
    const auto dispatch = root["dispatch_ns"].as_int();
    if (!attempt || !dispatch)
        return fail(ErrorCode::kIo, "kept.db: what ends a hold does not read as that");
    deferred.attempt = static_cast<std::uint16_t>(*attempt);
    deferred.dispatch = Instant{*dispatch};
    deferred.offer = root["offer"].string();
    deferred.tier = catalog::parse_tier(root["tier"].string()).value_or(catalog::Tier::kStandard);
    ENTREPOT_TRY(deferred.hold, Money::parse(root["hold"].string()));
    deferred.is_bounded = root["bounded"].as_bool().value_or(false);
    deferred.prompt_tokens_estimate = root["prompt_tokens"].as_int().value_or(0);
    deferred.status = static_cast<std::uint16_t>(root["status"].as_int().value_or(0));
    if (const auto dialect = root["dialect"].as_string()) deferred.dialect = *dialect;
    return deferred;
}

Status Worker::read_kept(Exchange& x) {
    Workbench& bench = *x.bench;
    const bool is_responses = x.client->name == "openai-responses";
    if (!bench.canonical) {  // chat completions are not read whole otherwise
        ENTREPOT_TRY(const json::Document document, json::Document::parse(bench.body));
        dialect::RequestContext context;
        if (x.client->has_model_in_path) context.model = bench.facts.model;
        ENTREPOT_TRY(bench.canonical, x.client->decode_request(document, context));
    }
    const canon::Request& request = *bench.canonical;
    ENTREPOT_TRY(std::vector<KeptReference> named, kept_references(request));
    const auto background = std::ranges::find(request.extras, "background", &canon::Extra::path);
    const bool is_background =
        is_responses && background != request.extras.end() && background->json == "true";
    const bool is_stored = is_responses && (request.store.value_or(true) || is_background);
    const bool has_tools = is_responses && std::ranges::any_of(request.tools, [](const auto& tool) {
        return tool.server.has_value();
    });
    if (named.empty() && !is_stored && !has_tools) return {};
    x.kept = std::make_shared<KeptUse>();
    x.kept->named = std::move(named);
    x.kept->is_stored = is_stored;
    x.kept->is_background = is_background;
    x.kept->has_tools = has_tools;
    return {};
}

Task<std::optional<Kept>> Worker::find_own(Exchange& x, KeptKind kind, const std::string& id) {
    const auto look = [&id](store::KeptStore& store) { return store.find(id); };
    ENTREPOT_CO_TRY(const std::vector<Kept> found, co_await kept_.call(core_, look));
    const Kept* newest = nullptr;
    for (const Kept& thing : found) {
        // An answer is made of items, and is continued by its own name only.
        const bool is_wanted = thing.kind == kind && may_see(*x.principal, thing) &&
            (thing.expires.ns == 0 || thing.expires > core_.wall()) &&
            x.key->reach.allows_cloud(thing.cloud) && cloud_index(*x.state, thing.cloud);
        if (is_wanted && (newest == nullptr || newest->made < thing.made)) newest = &thing;
    }
    if (newest == nullptr) co_return std::optional<Kept>();
    co_return std::optional<Kept>(*newest);
}

Error not_kept(std::string_view id) {
    return Error{ErrorCode::kNotFound,
        fmt::format("'input' names '{}' and does not say what it is, and it is not kept, or not "
                    "for this key; send its content (of reasoning: its encrypted_content), or "
                    "leave it out",
            excerpt(id)),
        {}, "input"};
}

Task<void> Worker::locate_kept(Exchange& x) {
    x.phase = ledger::Phase::kAuthorise;
    KeptUse& use = *x.kept;
    for (const KeptReference& named : use.named) {
        ENTREPOT_CO_TRY(
            const std::optional<Kept> thing, co_await find_own(x, named.kind, named.id));
        if (!thing && named.is_native_only) {
            use.lost = named.id;
            continue;
        }
        if (!thing) co_return std::unexpected(not_there(named));
        if (use.cloud.empty()) {
            use.cloud = thing->cloud;
            use.field = named.field;
        } else if (use.cloud != thing->cloud) {
            co_return fail_field(ErrorCode::kInvalidField, named.field,
                fmt::format("'{}' and '{}' name things that different suppliers keep; no supplier "
                            "has both. Send the content itself",
                    use.field, named.field));
        }
    }
    co_return Status{};
}

Task<void> Worker::find_kept(Exchange& x) {
    ENTREPOT_CO_TRY_DO(co_await locate_kept(x));
    KeptUse& use = *x.kept;
    if (use.cloud.empty()) co_return Status{};
    use.reach = x.key->reach;
    use.reach.restrict_clouds({use.cloud});
    const auto offers = x.state->table.of_model(x.model);
    const bool is_offered = std::ranges::any_of(offers,
        [&](std::uint32_t index) { return x.state->table.offer(index).cloud.view() == use.cloud; });
    if (!is_offered)
        co_return fail_field(ErrorCode::kUnsupported, use.field,
            fmt::format("'{}' names what one supplier keeps, and '{}' is not offered there; use a "
                        "model of that supplier, or send the content itself",
                use.field, excerpt(x.model)));
    co_return Status{};
}

void Worker::note_kept(Exchange& x) {
    if (!is_kept_there(x) || x.consumed.names == nullptr) return;
    const ReplyNames& names = *x.consumed.names;
    const OfferState& offer = x.state->offers[x.attempt.offer];
    Kept thing = made_by(*x.principal, core_.wall());
    thing.cloud = x.state->clouds[offer.cloud].settings.id.str();
    thing.model = x.model;
    thing.expires = thing.made + kResponseLife;
    std::vector<Kept> things;
    const auto note = [&](KeptKind kind, const std::string& id) {
        thing.kind = kind;
        thing.id = id;
        things.push_back(thing);
    };
    const bool has_name = is_stored(*x.kept);
    // With a hold that is open it is put, not noted.
    if (has_name && !names.reply.empty() && !names.is_pending)
        note(KeptKind::kResponse, names.reply);
    if (has_name)
        for (const std::string& id : names.items) note(KeptKind::kItem, id);
    for (const std::string& id : names.containers) note(KeptKind::kContainer, id);
    if (!things.empty() && !kept_.note(std::move(things)))
        metrics_.alarm("kept.db", "too much waits to be written; a stored answer was forgotten");
}

Co<bool> Worker::defer(Exchange& x) {
    const ReplyNames* names = x.consumed.names.get();
    if (names == nullptr || names->reply.empty() || !x.attempt.is_open) co_return false;
    Kept thing = made_by(*x.principal, core_.wall());
    thing.id = names->reply;
    thing.expires = thing.made + kResponseLife;
    co_return co_await defer_as(x, thing, x.client->name);
}

Co<void> Worker::leave_open(Exchange& x) {
    const bool is_deferred = co_await defer(x);
    if (!is_deferred) co_await settle_lost(x);
}

Co<bool> Worker::defer_as(Exchange& x, Kept& thing, std::string_view dialect) {
    const OfferState& offer = x.state->offers[x.attempt.offer];
    Deferred deferred;
    deferred.attempt = x.attempt.number;
    deferred.offer = offer.name;
    deferred.tier = x.attempt.tier;
    deferred.hold = x.attempt.hold;
    deferred.is_bounded = x.attempt.is_bounded;
    deferred.dispatch = x.attempt.dispatch;
    deferred.prompt_tokens_estimate = x.attempt.prompt_tokens_estimate;
    deferred.status = x.attempt.upstream_status;
    deferred.dialect = dialect;
    thing.cloud = x.state->clouds[offer.cloud].settings.id.str();
    thing.model = x.model;
    thing.exchange = x.id.to_string();
    thing.detail = to_json(deferred);
    const auto put = [&thing](store::KeptStore& store) { return store.put(thing); };
    const Status written = co_await kept_.call(core_, put);
    if (!written) {
        metrics_.alarm("kept.db", written.error().message);
        co_return false;
    }
    x.attempt.is_open = false;
    x.is_deferred = true;
    x.is_cost_known = false;
    watch_everywhere_(thing);
    co_return true;
}

}  // namespace entrepot::gateway
