#include "gateway/exchange.h"

#include "base/text.h"
#include "gateway/failure.h"
#include "gateway/kept.h"
#include "gateway/lane.h"

namespace entrepot::gateway {
namespace {

// Clients give up after some minutes without an event, proxies between us and them after one.
constexpr milliseconds kPingAfter{10'000};
// Usage follows the finish within the same write where it follows at all.
constexpr milliseconds kTailTimeout{1'000};

}  // namespace

OpenStream::OpenStream(net::ClientExchange&& from, std::unique_ptr<StreamLane> through)
    : upstream(std::move(from)), lane(std::move(through)) {}
OpenStream::~OpenStream() = default;

void OpenStream::begin_pings(milliseconds idle) {
    if (idle <= kPingAfter || lane->may_end_here()) return;
    idle_max = idle;
    upstream.set_idle_timeout(kPingAfter);
}

bool OpenStream::take(Wake wake) {
    const bool is_silent = idle_max.count() > 0 && !wake.ready &&
        wake.reason == ErrorCode::kRequestTimeout && silent_for + kPingAfter < idle_max &&
        !lane->may_end_here();
    Result<std::optional<std::string_view>> chunk =
        upstream.try_read_body(is_silent ? Wake{} : wake);
    if (chunk && !*chunk) {
        if (is_silent) {
            silent_for += kPingAfter;
            out = lane->keep_alive();
        }
        return is_silent && !out.empty();
    }
    silent_for = milliseconds(0);
    out = {};
    if (chunk) {
        is_over = (*chunk)->empty() || upstream.body_ended();
        broken = lane->feed(**chunk, is_over, out);
        if (broken && !is_over && lane->may_end_here()) upstream.set_idle_timeout(kTailTimeout);
    } else if (chunk.error().code == ErrorCode::kUpstreamTimeout && lane->may_end_here()) {
        is_over = true;
        broken = lane->feed({}, true, out);
    } else {
        broken = std::unexpected(std::move(chunk).error());
    }
    return true;
}

bool OpenStream::is_last() const { return broken.has_value() && (is_over || lane->is_complete()); }

void ReplyNames::add(const canon::Event& event) {
    const auto note = [this](std::string id) {
        if (!id.empty() && (items.empty() || items.back() != id)) items.push_back(std::move(id));
    };
    const auto read = [](std::string_view json) {
        const auto value = json::Document::parse(std::string(json));
        return value ? std::string(value->root().string()) : std::string();
    };
    if (const auto* started = std::get_if<canon::Started>(&event)) {
        reply = started->id;
    } else if (const auto* part = std::get_if<canon::PartStarted>(&event)) {
        for (const canon::Extra& mark : part->marks)
            if (mark.path == "id") note(read(mark.json));
        if (!part->opaque || !part->item) return;
        const auto own = json::Document::parse(part->opaque->json);
        if (!own) return;
        note(std::string(own->root()["id"].string()));
        std::vector<KeptReference> named;
        read_kept_names(own->root(), named);
        for (KeptReference& one : named)
            if (one.kind == store::KeptKind::kContainer) containers.push_back(std::move(one.id));
    } else if (const auto* aside = std::get_if<canon::Aside>(&event)) {
        if (aside->key == "status" && !aside->choice) {
            const std::string status = read(aside->json);
            is_pending = status == "queued" || status == "in_progress";
        }
    }
}

Failed failed_with(Error error) {
    auto failure = std::make_unique<AttemptFailure>();
    failure->error = std::move(error);
    return failure;
}

Failed failed_in_answer(const canon::Failure& stated, Consumption consumed) {
    Failed failure = failed_with(error_of(stated));
    failure->consumed = std::move(consumed);
    failure->failure = stated;
    failure->has_failure = true;
    failure->is_content_filter = stated.kind == canon::FailureKind::kContentFilter;
    failure->status = static_cast<std::uint16_t>(stated.status >= 400 ? stated.status : 502);
    if (stated.retry_after) failure->retry_after = *stated.retry_after;
    return failure;
}

std::vector<dialect::Header> headers_of(const net::ClientExchange& upstream) {
    std::vector<dialect::Header> headers;
    for (std::size_t i = 0; i < upstream.headers().size(); ++i) {
        const net::Header header = upstream.headers()[i];
        headers.push_back({to_lower(header.name), std::string(header.value)});
    }
    return headers;
}

dialect::ReplyContext reply_context_of(const Exchange& x) {
    dialect::ReplyContext context;
    context.model = x.model;
    context.id = std::string(x.client->reply_id_prefix) + x.id.to_string();
    context.created_s = x.began_wall.ns / 1'000'000'000;
    context.wants_usage = x.wants_usage;
    context.wants_function_call = x.uses_functions;
    context.echo = x.echo;
    context.wants_json_array = x.wants_json_array;
    context.family = x.family;
    context.prompt_tokens_estimate = x.attempt.prompt_tokens_estimate;
    return context;
}

void note_dropped(Exchange& x, std::span<const std::string> dropped) {
    x.dropped.insert(x.dropped.end(), dropped.begin(), dropped.end());
}

}  // namespace entrepot::gateway
