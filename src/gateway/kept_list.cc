// Lists of what a key has at suppliers: from the index, because the suppliers' own lists show what
// everybody has.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/query.h"
#include "gateway/batch.h"
#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/kept_door.h"
#include "gateway/worker.h"

namespace entrepot::gateway {
namespace {

using store::Kept;
using store::KeptKind;
using upstream::KeepingStyle;

/// What a page shows is asked for one by one, unless it was noted when it was made.
constexpr std::size_t kAskedMax = 20;
constexpr std::size_t kNotedMax = 10'000;

std::optional<std::string> noted_object(const Kept& thing) {
    const auto document = json::Document::parse(thing.detail.empty() ? "{}" : thing.detail);
    if (!document || !document->root()["object"].is_object()) return std::nullopt;
    return std::string(document->root()["object"].raw());
}

/// The words of each style for the same questions.
struct Words {
    std::string_view limit, after, before;
};
Words words_of(KeepingStyle style) {
    switch (style) {
        case KeepingStyle::kAnthropic: return {"limit", "after_id", "before_id"};
        case KeepingStyle::kGoogle: return {"pageSize", "pageToken", ""};
        default: return {"limit", "after", "before"};
    }
}

std::string page_of(const KeptDoor& door, const std::vector<const Kept*>& shown,
    const std::vector<std::string>& objects, bool has_more) {
    std::string data = fmt::format("[{}]", fmt::join(objects, ","));
    const auto quoted = [&](const Kept* thing) {
        return thing == nullptr ? std::string("null") : fmt::format("\"{}\"", thing->id);
    };
    const Kept* first = shown.empty() ? nullptr : shown.front();
    const Kept* last = shown.empty() ? nullptr : shown.back();
    switch (door.style) {
        case KeepingStyle::kGoogle:
            return has_more ? fmt::format(R"({{"{}":{},"nextPageToken":{}}})", door.collection,
                                  data, quoted(last))
                            : fmt::format(R"({{"{}":{}}})", door.collection, data);
        case KeepingStyle::kAnthropic:
            return fmt::format(R"({{"data":{},"has_more":{},"first_id":{},"last_id":{}}})", data,
                has_more, quoted(first), quoted(last));
        default:
            return fmt::format(
                R"({{"object":"list","data":{},"first_id":{},"last_id":{},"has_more":{}}})", data,
                quoted(first), quoted(last), has_more);
    }
}

}  // namespace

Task<std::vector<Kept>> Worker::own_things(Exchange& x, const KeptDoor& door) {
    store::KeptStore::Query query;
    query.kind = door.kind;
    query.org = x.principal->org.str();
    const auth::KeptScope scope = x.principal->policy.kept;
    if (scope != auth::KeptScope::kOrg) query.team = x.principal->team.str();
    if (scope == auth::KeptScope::kKey) query.key = x.principal->key.str();
    const auto list = [&query](store::KeptStore& store) { return store.list(query); };
    ENTREPOT_CO_TRY(std::vector<Kept> things, co_await kept_.call(core_, list));
    const Instant now = core_.wall();
    std::erase_if(things, [&](const Kept& thing) {
        const auto cloud = cloud_index(*x.state, thing.cloud);
        return !may_see(*x.principal, thing) || !cloud ||
            x.state->clouds[*cloud].supplier->keeping().style != door.style ||
            !x.key->reach.allows_cloud(thing.cloud) ||
            (thing.expires.ns != 0 && thing.expires < now);
    });
    co_return things;
}

Task<void> Worker::list_kept(
    Exchange& x, const KeptDoor& door, net::ServerRequest& request, net::ResponseWriter& response) {
    ENTREPOT_CO_TRY(std::vector<Kept> things, co_await own_things(x, door));
    const Words words = words_of(door.style);
    const bool is_noted = door.kind == KeptKind::kFile;
    if (const auto purpose = query_value(request.query, "purpose"); purpose && is_noted)
        std::erase_if(things, [&](const Kept& thing) {
            const auto object = json::Document::parse(noted_object(thing).value_or("{}"));
            return !object || object->root()["purpose"].string() != *purpose;
        });
    if (query_value(request.query, "order") == "asc") std::ranges::reverse(things);
    const std::size_t page_max = is_noted ? kNotedMax : kAskedMax;
    std::size_t limit = page_max;
    if (const auto text = query_value(request.query, words.limit)) {
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
        if (error != std::errc() || end != text->data() + text->size() || limit == 0)
            co_return fail_field(ErrorCode::kInvalidField, std::string(words.limit),
                fmt::format("'{}' must be a number from 1", words.limit));
        limit = std::min(limit, page_max);
    }
    std::size_t begin = 0;
    if (const auto after = query_value(request.query, words.after); after && !after->empty()) {
        const auto found = std::ranges::find(things, *after, &Kept::id);
        begin = found == things.end() ? things.size()
                                      : static_cast<std::size_t>(found - things.begin()) + 1;
    } else if (const auto before = query_value(request.query, words.before);
        before && !before->empty()) {
        const auto found = std::ranges::find(things, *before, &Kept::id);
        const auto end = static_cast<std::size_t>(found - things.begin());
        begin = end > limit ? end - limit : 0;
        limit = std::min(limit, end);
    }
    std::vector<const Kept*> shown;
    std::vector<std::string> objects;
    std::size_t at = begin;
    for (; at < things.size() && shown.size() < limit; ++at) {
        std::optional<std::string> object = noted_object(things[at]);
        if (!object || !is_noted) object = co_await ask_object(x, things[at], door, request.cancel);
        if (!object) continue;  // gone at its supplier, or not to be had now
        shown.push_back(&things[at]);
        objects.push_back(std::move(*object));
    }
    const std::string body = page_of(door, shown, objects, at < things.size());
    std::string lines = "content-type: application/json\r\n";
    append_headers(x, false, lines);
    mark_first_byte(x);
    x.status = 200;
    const Status sent = co_await response.send(200, lines, body);
    x.ended_by = ended_by(sent);
    co_return Status{};
}

Co<std::optional<std::string>> Worker::ask_object(
    Exchange& x, const Kept& thing, const KeptDoor& door, Cancel* cancel) {
    const std::optional<std::uint32_t> cloud = cloud_index(*x.state, thing.cloud);
    if (!cloud) co_return std::nullopt;
    const std::string path = door.style == KeepingStyle::kGoogle
        ? "/" + thing.id
        : fmt::format("/{}/{}", door.collection, thing.id);
    const CloudCall call = plain_call(x, *cloud, *door.dialect, path);
    Result<net::ClientExchange> answered = co_await call_cloud(x, call, cancel);
    if (!answered || answered->status() != 200) co_return std::nullopt;
    Result<std::string> body = co_await answered->read_whole_body(kKeptBytesMax);
    if (!body) co_return std::nullopt;
    co_return with_own_results(*body);
}

}  // namespace entrepot::gateway
