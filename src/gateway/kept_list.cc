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

/// Of one page: each is a call of a supplier. What was noted when it was made needs none.
constexpr std::size_t kAskedMax = 20;
constexpr std::size_t kNotedMax = 10'000;
constexpr std::size_t kObjectBytesMax = 4096;  ///< of what is noted when it was first asked for

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

/// One page of a list.
struct Page {
    std::vector<std::string> objects;
    std::string first, last;  ///< ids that it lies between, which the next page is asked by
    bool has_more = false;
};

std::string page_of(const KeptDoor& door, const Page& page) {
    std::string data = fmt::format("[{}]", fmt::join(page.objects, ","));
    const auto quoted = [](const std::string& id) {
        return id.empty() ? std::string("null") : fmt::format("\"{}\"", id);
    };
    const std::string first = quoted(page.first), last = quoted(page.last);
    const bool has_more = page.has_more;
    switch (door.style) {
        case KeepingStyle::kGoogle:
            return has_more && !page.last.empty()
                ? fmt::format(R"({{"{}":{},"nextPageToken":{}}})", door.collection, data, last)
                : fmt::format(R"({{"{}":{}}})", door.collection, data);
        case KeepingStyle::kAnthropic:
            return fmt::format(R"({{"data":{},"has_more":{},"first_id":{},"last_id":{}}})", data,
                has_more, first, last);
        default:
            return fmt::format(
                R"({{"object":"list","data":{},"first_id":{},"last_id":{},"has_more":{}}})", data,
                first, last, has_more);
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
    const auto purpose = query_value(request.query, "purpose");
    const auto is_other = [&](const std::string& object) {
        const auto document = json::Document::parse(object);
        return !document || document->root()["purpose"].string() != *purpose;
    };
    if (purpose && is_noted)
        std::erase_if(things, [&](const Kept& thing) {
            const auto object = noted_object(thing);
            return object && is_other(*object);
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
    Page page;
    std::size_t at = begin;
    std::size_t asked = 0;
    for (; at < things.size() && page.objects.size() < limit; ++at) {
        Kept& thing = things[at];
        std::optional<std::string> object = noted_object(thing);
        if (!object || !is_noted) {
            if (asked++ == kAskedMax) break;
            ENTREPOT_CO_TRY(object, co_await ask_object(x, thing, door, request.cancel));
            if (thing.id.empty()) continue;
        }
        if (page.first.empty()) page.first = thing.id;
        page.last = thing.id;
        if (!object || (purpose && is_noted && is_other(*object))) continue;
        page.objects.push_back(std::move(*object));
    }
    page.has_more = at < things.size();
    // Of a page on which all has gone, the next begins where this one did.
    if (page.has_more && page.last.empty())
        page.last = query_value(request.query, words.after).value_or("");
    const std::string body = page_of(door, page);
    std::string lines = "content-type: application/json\r\n";
    append_headers(x, false, lines);
    mark_first_byte(x);
    x.status = 200;
    const Status sent = co_await response.send(200, lines, body);
    x.ended_by = ended_by(sent);
    co_return Status{};
}

Task<std::optional<std::string>> Worker::ask_object(
    Exchange& x, Kept& thing, const KeptDoor& door, Cancel* cancel) {
    const std::optional<std::string> nothing;
    const std::optional<std::uint32_t> cloud = cloud_index(*x.state, thing.cloud);
    if (!cloud) co_return nothing;
    const std::string path = door.style == KeepingStyle::kGoogle
        ? "/" + thing.id
        : fmt::format("/{}/{}", door.collection, thing.id);
    const CloudCall call = plain_call(x, *cloud, *door.dialect, path);
    Result<net::ClientExchange> answered = co_await call_cloud(x, call, cancel);
    // What is still to be paid is ended where its end is looked for.
    if (answered && answered->status() == 404 && thing.exchange.empty()) {
        const auto forget = [&thing](store::KeptStore& store) {
            return store.remove(thing.id, thing.cloud);
        };
        ENTREPOT_CO_TRY_DO(co_await kept_.call(core_, forget));
        thing.id.clear();
    }
    if (!answered || answered->status() != 200) co_return nothing;
    Result<std::string> body = co_await answered->read_whole_body(kKeptBytesMax);
    if (!body) co_return nothing;
    const bool is_new = door.kind == KeptKind::kFile && thing.detail.empty();
    if (is_new && body->size() <= kObjectBytesMax && json::Document::parse(*body)) {
        thing.detail = fmt::format(R"({{"object":{}}})", *body);
        (void)kept_.note({thing});  // forgotten: it is asked for again
    }
    co_return std::optional<std::string>(with_own_results(*body));
}

}  // namespace entrepot::gateway
