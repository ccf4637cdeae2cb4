#include "net/http_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/check.h"
#include "net/client_connection.h"
#include "net/http2_client_connection.h"

namespace entrepot::net {

namespace {
constexpr std::size_t kPaddingBytes = 64;  // behind a whole body, for simdjson
constexpr nanoseconds kSweepEvery{1'000'000'000};
}  // namespace

// ---- ClientExchange

ClientExchange::ClientExchange(ClientExchange&& other) noexcept
    : carrier_(std::exchange(other.carrier_, nullptr)) {}

ClientExchange& ClientExchange::operator=(ClientExchange&& other) noexcept {
    if (this != &other) {
        close();
        carrier_ = std::exchange(other.carrier_, nullptr);
    }
    return *this;
}

ClientExchange::~ClientExchange() { close(); }

void ClientExchange::close() {
    if (ClientCarrier* carrier = std::exchange(carrier_, nullptr)) carrier->release();
}

int ClientExchange::status() const { return carrier_->status(); }
Headers ClientExchange::headers() const { return carrier_->headers(); }
void ClientExchange::forget_head() { carrier_->forget_head(); }
Waiter::Operation ClientExchange::wait_body() { return carrier_->wait_body(); }
Result<std::optional<std::string_view>> ClientExchange::try_read_body(Wake wake) {
    return carrier_->try_read_body(wake);
}

Task<std::string_view> ClientExchange::read_body() {
    Wake wake;
    for (;;) {
        Result<std::optional<std::string_view>> bytes = carrier_->try_read_body(wake);
        if (!bytes) co_return std::unexpected(std::move(bytes).error());
        if (*bytes) co_return **bytes;
        wake = co_await carrier_->wait_body();
    }
}

bool ClientExchange::body_ended() const { return carrier_->body_ended(); }
void ClientExchange::set_idle_timeout(milliseconds timeout) { carrier_->set_idle_timeout(timeout); }
void ClientExchange::set_cancel(Cancel* cancel) { carrier_->set_cancel(cancel); }

Task<std::string> ClientExchange::read_whole_body(std::size_t bytes_max) {
    std::string whole;
    for (;;) {
        Result<std::string_view> piece = co_await read_body();
        if (!piece) co_return std::unexpected(std::move(piece).error());
        if (piece->empty()) break;
        if (whole.size() + piece->size() > bytes_max)
            co_return fail(ErrorCode::kUpstreamProtocol,
                fmt::format("the upstream's answer is longer than {} bytes", bytes_max));
        if (whole.capacity() < whole.size() + piece->size() + kPaddingBytes)
            whole.reserve(whole.empty()
                    ? piece->size() + kPaddingBytes
                    : std::max(whole.size() + piece->size() + kPaddingBytes, whole.size() * 2));
        whole.append(*piece);
    }
    whole.reserve(whole.size() + kPaddingBytes);
    co_return whole;
}

// ---- HttpClient

struct HttpClient::State {
    State(Core& core, const ClientOptions& options)
        : shared{core, options, ResponseLimits{options.header_bytes_max, options.headers_max},
              Resolver(core, {options.dns_positive_ttl, options.dns_negative_ttl, 1024})} {
        sweep.owner = this;
        sweep.fire = [](TimerNode& node) { static_cast<Sweep&>(node).owner->sweep_idle(); };
    }

    /// Runs only while connections are idle, once a second.
    void arm_sweep() {
        if (!sweep.linked()) shared.core.timers().arm(sweep, shared.core.now() + kSweepEvery);
    }
    void sweep_idle() {
        const MonotonicTime since{
            shared.core.now().ns - nanoseconds(shared.options.idle_timeout).count()};
        for (auto& pool : pools) pool->close_older_than(since);
        if (shared.open > 0) arm_sweep();
    }

    ClientShared shared;
    std::vector<std::unique_ptr<OriginPool>> pools;  // as many as the configuration has endpoints
    struct Sweep : TimerNode {
        State* owner = nullptr;
    } sweep;
};

HttpClient::HttpClient(Core& core, ClientOptions options)
    : state_(std::make_unique<State>(core, options)) {}

HttpClient::~HttpClient() {
    state_->pools.clear();
    ENTREPOT_CHECK(state_->shared.open == 0);
}

Result<OriginPool*> HttpClient::origin(const Origin& origin) {
    for (auto& pool : state_->pools)
        if (pool->origin() == origin) return pool.get();
    auto made = std::make_unique<OriginPool>(state_->shared, origin);
    ENTREPOT_TRY_DO(made->prepare());
    state_->pools.push_back(std::move(made));
    return state_->pools.back().get();
}

Task<ClientExchange> HttpClient::exchange(OriginPool& origin, const ClientRequest& request,
    const ExchangeLimits& limits, ExchangeReport* report) {
    ExchangeReport unread;
    if (report == nullptr) report = &unread;
    *report = ExchangeReport{};
    Core& core = state_->shared.core;
    ClientConnection* connection = origin.take_idle();
    report->reused = connection != nullptr;
    int repeats = 0;
    for (;;) {
        if (connection == nullptr && !origin.has_room()) {
            const Until until{
                Deadline::after(core.now(), limits.connect_timeout).sooner(limits.deadline),
                limits.cancel};
            Result<ClientConnection*> made = co_await origin.connect(until);
            if (!made) co_return std::unexpected(std::move(made).error());
            connection = *made;
            state_->arm_sweep();
        }
        Wake wake;
        if (connection == nullptr) {  // HTTP/2
            Http2ClientExchange* stream = origin.begin(request, limits, *report);
            if (stream == nullptr) continue;  // its connection has gone; each costs a wait
            while (!stream->advance(wake)) wake = co_await stream->wait();
            report->sent = report->sent || stream->is_sent();
            report->head_at = core.now();
            Result<void> result = stream->result();
            if (result) co_return ClientExchange(stream);
            const bool again = repeats++ < stream->repeats_max() && !origin.is_in_vain(*stream);
            stream->release();
            if (!again) co_return std::unexpected(std::move(result).error());
            report->retried_stale = true;
            continue;
        }
        ClientConnection::Attempt attempt;
        connection->begin(attempt, request, limits, *report);
        while (!connection->advance(attempt, *report, wake))
            wake = co_await connection->wait(attempt);
        report->sent = report->sent || attempt.sent;
        if (attempt.result) co_return ClientExchange(connection);
        const bool again = attempt.stale && report->reused && !report->retried_stale;
        origin.destroy(*connection);
        connection = nullptr;
        if (!again) co_return std::unexpected(std::move(attempt.result).error());
        report->retried_stale = true;
        report->reused = false;
    }
}

std::size_t HttpClient::idle_connections() const { return state_->shared.idle; }
std::size_t HttpClient::open_connections() const { return state_->shared.open; }

}  // namespace entrepot::net
