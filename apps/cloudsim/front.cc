#include "cloudsim/front.h"

#include <fmt/format.h>

#include <algorithm>

#include "cloudsim/refusals.h"
#include "json/writer.h"

namespace entrepot::cloudsim {
namespace {

constexpr std::int64_t kSlowHeadMs = 3000;
constexpr std::int64_t kSlowChunkMs = 200;
constexpr std::string_view kInvoice = "/_sim/invoices/";
constexpr std::string_view kHtml = "<html><body>Bad Gateway, with a status of 200.</body></html>";

std::string text_of(const net::ServerRequest& request, std::string_view header) {
    return std::string(request.headers.find(header).value_or(""));
}

}  // namespace

Quota World::admit(const std::string& key, std::int64_t requests_per_minute, Instant now) {
    if (requests_per_minute == 0) return {};
    const std::int64_t second = now.ns / 1'000'000'000;
    Window& window = windows[key];
    if (window.minute != second / 60) window = {second / 60, 0};
    ++window.count;
    return {requests_per_minute, requests_per_minute - window.count, 60 - second % 60};
}

/// One request on its way through: what was asked, what is answered, and how.
struct Front::Job {
    Ask ask;
    Control control;  // a copy: the controls may change while we wait
    Fault fault = Fault::kNone;
    Quota quota;
    Answer answer;
    bool has_usage = true;
    net::HeaderLines headers;
    std::shared_ptr<Served> served;
};

Served Front::entry(const net::ServerRequest& request) const {
    Served out;
    out.cloud = cloud_->address().name;
    out.exchange = text_of(request, "x-entrepot-exchange");
    out.idempotency_key = text_of(request, "idempotency-key");
    return out;
}

Task<void> Front::pause(std::int64_t ms, net::ServerRequest& request) {
    if (ms <= 0) co_return Result<void>();
    const Until until{world_.core.after(milliseconds(ms)), request.cancel};
    co_return co_await world_.core.sleep(until);
}

Co<void> Front::refuse(
    Refusal refusal, net::ServerRequest& request, net::ResponseWriter& response, Fault fault) {
    refusal.headers.add("content-type", refusal.content_type);
    std::shared_ptr<Served> served;
    if (refusal.status != 200) {
        Served fresh = entry(request);
        fresh.model = refusal.model;
        fresh.status = refusal.status;
        fresh.fault = fault_name(fault);
        served = world_.served.add(std::move(fresh));
    }
    const Result<void> sent =
        co_await response.send(refusal.status, refusal.headers.text(), refusal.body);
    if (served) {
        served->completed = sent.has_value();
        served->client_gone = !sent;
    }
    if (!sent) response.abort();
}

Co<void> Front::handle(net::ServerRequest& request, net::ResponseWriter& response) {
    if (world_.replay) {
        co_await replay(request, response);
        co_return;
    }
    const Instant now = world_.core.wall();
    const Incoming incoming{request.method, request.path, request.query, request.headers,
        request.body, now, &world_.identity};
    Answered<Ask> ask = cloud_->read(incoming);
    if (!ask) {
        co_await refuse(std::move(ask.error()), request, response, Fault::kNone);
        co_return;
    }
    Job job;
    job.ask = std::move(*ask);
    const std::string key = fmt::format("{}/{}", cloud_->address().name, job.ask.model);
    job.control = world_.controls.at(cloud_->address().name, job.ask.model);
    job.fault = job.control.fault_of(++world_.asked[key]);
    job.quota = world_.admit(key, job.control.requests_per_minute, now);
    if (job.fault == Fault::kSlow) {
        if (job.control.first_byte_ms == 0) job.control.first_byte_ms = kSlowHeadMs;
        if (job.control.chunk_ms == 0) job.control.chunk_ms = kSlowChunkMs;
    }

    std::optional<Refusal> refusal;
    if (job.quota.limit > 0 && job.quota.remaining < 0) {
        job.quota.remaining = 0;
        refusal = cloud_->trouble(Trouble::kThrottled, job.control, job.quota);
    } else if (job.fault == Fault::kThrottle) {
        refusal = cloud_->trouble(Trouble::kThrottled, job.control, job.quota);
    } else if (job.fault == Fault::kOverload) {
        refusal = cloud_->trouble(Trouble::kOverloaded, job.control, job.quota);
    } else if (job.fault == Fault::kError500) {
        refusal = cloud_->trouble(Trouble::kBroken, job.control, job.quota);
    } else if (job.fault == Fault::kStatus) {
        refusal = job.control.status == 429
            ? cloud_->trouble(Trouble::kThrottled, job.control, job.quota)
            : cloud_->refuse(static_cast<int>(job.control.status),
                  job.control.message.empty() ? "as the simulation was told" : job.control.message);
    }
    if (job.fault == Fault::kRefusal && !refusal) {
        // Bedrock's second service speaks OpenAI's words.
        const CloudAddress& address = cloud_->address();
        refusal = refusal_of(address.service.empty() ? address.kind : "openai", job.control.refusal,
            job.control.retry_after_s);
    }
    if (refusal) {
        refusal->model = job.ask.model;
        const Result<void> waited = co_await pause(job.control.first_byte_ms, request);
        if (!waited) co_return response.abort();
        co_await refuse(std::move(*refusal), request, response, job.fault);
        co_return;
    }
    if (job.fault == Fault::kDead || job.fault == Fault::kHang) {
        Served fresh = entry(request);
        fresh.model = job.ask.model;
        fresh.status = 0;  // there was no answer
        fresh.fault = fault_name(job.fault);
        const std::shared_ptr<Served> served = world_.served.add(std::move(fresh));
        if (job.fault == Fault::kHang) {
            const Until until{Deadline::never(), request.cancel};
            const Result<void> waited = co_await world_.core.sleep(until);
            served->client_gone = !waited;
        }
        response.abort();
        co_return;
    }

    job.answer = world_.brain.think(job.ask, job.control);
    const bool is_streamed_usage = !job.ask.is_stream || job.ask.wants_usage;
    job.has_usage = job.fault != Fault::kNoUsage;
    cloud_->keep(job.ask, job.answer, job.control, job.has_usage, now);
    job.headers.add("content-type",
        job.fault == Fault::kWrongContentType                   ? "text/html; charset=utf-8"
            : !job.ask.reply_type.empty() && !job.ask.is_stream ? job.ask.reply_type
                                                                : cloud_->content_type(job.ask));
    cloud_->add_headers(job.headers, job.answer, job.quota);
    cloud_->add_reply_headers(job.headers, job.ask, job.answer, job.has_usage);
    Served fresh = entry(request);
    fresh.model = job.ask.model;
    fresh.id = cloud_->reply_id(job.answer);
    fresh.is_stream = job.ask.is_stream;
    fresh.fault = fault_name(job.fault);
    fresh.usage = cloud_->reported(job.answer.usage);
    fresh.thoughts = job.ask.thoughts;
    world_.invoices.add(fresh.cloud, fresh.model, fresh.usage, now);
    job.served = world_.served.add(std::move(fresh));
    const Result<void> waited = co_await pause(job.control.first_byte_ms, request);
    if (!waited) {
        job.served->client_gone = true;
        co_return response.abort();
    }
    if (job.fault == Fault::kWrongContentType || job.fault == Fault::kEmpty) {
        const std::string_view body = job.fault == Fault::kEmpty ? std::string_view() : kHtml;
        const Result<void> sent = co_await response.send(200, job.headers.text(), body);
        job.served->client_gone = !sent;
        if (!sent) response.abort();
        co_return;
    }
    if (job.ask.is_stream) {
        co_await send_stream(job, request, response);
    } else {
        co_await send_whole(job, request, response);
    }
    job.served->reported = job.served->completed && job.has_usage && is_streamed_usage;
}

Co<void> Front::send_whole(Job& job, net::ServerRequest&, net::ResponseWriter& response) {
    std::string body = job.ask.reply
        ? job.ask.reply(job.answer, job.has_usage)
        : cloud_->whole(job.ask, job.answer, job.has_usage, world_.core.wall());
    if (job.fault == Fault::kTruncateStream) {
        response.start(200, job.headers.text());
        const Result<void> sent =
            co_await response.write(std::string_view(body).substr(0, body.size() / 2));
        job.served->client_gone = !sent;
        co_return response.abort();
    }
    if (job.fault == Fault::kStreamError || job.fault == Fault::kBadCrc)
        body.resize(body.size() / 2);  // ends well, and is no JSON
    const Result<void> sent = co_await response.send(200, job.headers.text(), body);
    job.served->completed =
        sent.has_value() && job.fault != Fault::kStreamError && job.fault != Fault::kBadCrc;
    job.served->client_gone = !sent;
    if (!sent) response.abort();
}

Co<void> Front::send_stream(Job& job, net::ServerRequest& request, net::ResponseWriter& response) {
    const std::vector<std::string> events = job.ask.reply_events
        ? job.ask.reply_events(job.answer, job.has_usage)
        : cloud_->stream(job.ask, job.answer, job.control, job.has_usage, world_.core.wall());
    const bool breaks = job.fault == Fault::kTruncateStream || job.fault == Fault::kStreamError ||
        job.fault == Fault::kBadCrc;
    const auto broken_at = static_cast<std::size_t>(job.control.after_chunks);
    response.start(200, job.headers.text());
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (i > 0) {
            const Result<void> waited = co_await pause(job.control.chunk_ms, request);
            if (!waited) {
                job.served->client_gone = true;
                co_return response.abort();
            }
        }
        if (breaks && (i == broken_at || i + 1 == events.size())) {
            std::string last;
            if (job.fault == Fault::kStreamError) last = cloud_->stream_error(job.ask);
            if (job.fault == Fault::kBadCrc) last = cloud_->damaged(events[i]);
            if (last.empty()) {
                // What was written must leave before the connection is reset, or the client sees
                // none of it.
                const Result<void> flushed = co_await response.flush();
                job.served->client_gone = !flushed;
                co_return response.abort();
            }
            const Result<void> sent = co_await response.finish(last);
            job.served->client_gone = !sent;
            co_return;
        }
        const bool is_last = i + 1 == events.size();
        Result<void> sent;
        if (is_last) {
            sent = co_await response.finish(events[i]);
        } else {
            sent = co_await response.write(events[i]);
        }
        if (!sent) {
            job.served->client_gone = true;
            co_return response.abort();
        }
        ++job.served->chunks;
    }
    job.served->completed = true;
}

Co<void> Front::replay(net::ServerRequest& request, net::ResponseWriter& response) {
    const Replay::Recorded* recorded =
        world_.replay->find(request.method, request.path, request.body);
    if (recorded == nullptr) {
        Refusal refusal = cloud_->refuse(404, "no exchange was recorded for this request");
        co_await refuse(std::move(refusal), request, response, Fault::kNone);
        co_return;
    }
    net::HeaderLines headers;
    for (const auto& [name, value] : recorded->headers) headers.add(name, value);
    Served fresh = entry(request);
    fresh.id = recorded->id;
    fresh.status = recorded->status;
    fresh.is_stream = recorded->is_stream;
    const std::shared_ptr<Served> served = world_.served.add(std::move(fresh));
    Result<void> sent;
    if (recorded->is_stream) {
        response.start(recorded->status, headers.text());
        sent = co_await response.finish(recorded->body);
    } else {
        sent = co_await response.send(recorded->status, headers.text(), recorded->body);
    }
    served->completed = sent.has_value();
    served->client_gone = !sent;
    if (!sent) response.abort();
}

Co<void> IdentityFront::handle(net::ServerRequest& request, net::ResponseWriter& response) {
    const Incoming incoming{request.method, request.path, request.query, request.headers,
        request.body, world_.core.wall(), nullptr};
    Refusal answer = world_.identity.answer(incoming);
    answer.headers.add("content-type", "application/json");
    const Result<void> sent =
        co_await response.send(answer.status, answer.headers.text(), answer.body);
    if (!sent) response.abort();
}

Co<void> ControlFront::handle(net::ServerRequest& request, net::ResponseWriter& response) {
    net::HeaderLines headers;
    int status = 200;
    std::string body = "{}";
    std::string_view type = "application/json";
    const bool is_put = request.method == "PUT" || request.method == "POST";
    if (!request.peer.starts_with("127.") && !request.peer.starts_with("[::1]")) {
        status = 403;
        body = R"({"error":"the controls answer to this machine alone"})";
    } else if (request.path == "/_sim/config" && is_put) {
        const Status set = world_.controls.replace(request.body);
        if (set) {
            world_.asked.clear();  // `every` and `mix` count from here
            world_.windows.clear();
        } else {
            status = 400;
            body = fmt::format(R"({{"error":{},"field":{}}})", json::quoted(set.error().message),
                json::quoted(set.error().field));
        }
    } else if (request.path == "/_sim/config" && request.method == "GET") {
        body = world_.controls.text();
    } else if (request.path == "/_sim/identity" && is_put) {
        const Status set = world_.identity.control(request.body);
        if (!set) {
            status = 400;
            body = fmt::format(R"({{"error":{}}})", json::quoted(set.error().message));
        }
    } else if (request.path == "/_sim/identity" && request.method == "GET") {
        body = world_.identity.to_json();
    } else if (request.path == "/_sim/served" && request.method == "GET") {
        body = world_.served.to_ndjson();
        type = "application/x-ndjson";
    } else if (request.path == "/_sim/served" && request.method == "DELETE") {
        world_.served.clear();
    } else if (request.path.starts_with(kInvoice) && request.method == "GET") {
        const auto bill = world_.invoices.bill(request.path.substr(kInvoice.size()));
        status = bill ? 200 : 404;
        body = bill ? *bill : fmt::format(R"({{"error":{}}})", json::quoted(bill.error().message));
        type = "text/plain; charset=utf-8";
    } else if (request.path == "/_sim/invoices" && request.method == "DELETE") {
        world_.invoices.clear();
    } else if (request.path == "/_sim/unmatched" && request.method == "GET") {
        body = world_.replay ? world_.replay->unmatched() : "";
        type = "text/plain";
    } else if (request.path != "/_sim/ready") {
        status = 404;
        body = R"({"error":"there are /_sim/config, /_sim/identity, /_sim/served, )"
               R"(/_sim/unmatched, /_sim/invoices, /_sim/ready"})";
    }
    headers.add("content-type", type);
    const Result<void> sent = co_await response.send(status, headers.text(), body);
    if (!sent) response.abort();
}

}  // namespace entrepot::cloudsim
