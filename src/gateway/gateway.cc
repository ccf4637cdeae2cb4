#include "gateway/gateway.h"

#include <fmt/format.h>

#include <atomic>
#include <future>
#include <mutex>

#include "gateway/metrics.h"
#include "gateway/worker.h"
#include "net/http_server.h"
#include "net/tls.h"
#include "runtime/scope.h"
#include "telemetry/access_log.h"

namespace entrepot::gateway {
namespace {

/// How long new settings wait for credentials that have not been fetched once. A cloud whose own
/// are not there by then begins without.
constexpr milliseconds kFirstCredentialsMax{5'000};

net::ServerOptions server_options(const config::Settings& settings) {
    net::ServerOptions options;
    options.header_bytes_max = static_cast<std::size_t>(settings.header_bytes_max);
    options.body_bytes_max = static_cast<std::size_t>(settings.body_bytes_max);
    options.connections_max = static_cast<std::size_t>(settings.connections_max);
    options.header_timeout = milliseconds(settings.timeouts.header_ms);
    options.body_timeout = milliseconds(settings.timeouts.body_ms);
    options.idle_timeout = milliseconds(settings.timeouts.keep_alive_ms);
    options.http2.enabled = settings.http2.is_enabled;
    options.http2.streams_max = static_cast<std::uint32_t>(settings.http2.streams_max);
    options.http2.requests_max = static_cast<std::size_t>(settings.http2.requests_max);
    options.http2.age_max = milliseconds(settings.http2.age_ms);
    options.write_timeout = milliseconds(settings.timeouts.write_ms);
    return options;
}

/// What one core owns; made and destroyed on it.
struct PerCore {
    std::unique_ptr<Metrics> metrics = std::make_unique<Metrics>();
    std::unique_ptr<Worker> worker;
    std::unique_ptr<net::HttpServer> server;
    std::unique_ptr<Scope> scope;  // housekeeping and the drain
};

/// Runs `work` on a core and waits for it.
void run_on(Core& core, const std::function<void()>& work) {
    std::promise<void> done;
    core.post([&] {
        work();
        done.set_value();
    });
    done.get_future().wait();
}

std::string address_of(const config::ListenSettings& listen) {
    const bool is_v6 = listen.address.find(':') != std::string::npos;
    return is_v6 ? fmt::format("[{}]:{}", listen.address, listen.port)
                 : fmt::format("{}:{}", listen.address, listen.port);
}

Co<void> keep_books(Core& core, store::Books& books, Cancel& stop) {
    for (;;) {
        const Until until{core.after(seconds(1)), &stop};
        const Status slept = co_await core.sleep(until);
        if (!slept) co_return;
        books.tick(core.wall());
    }
}

Co<void> drain_server(net::HttpServer& server, Deadline deadline, std::promise<void>& done) {
    co_await server.drain(deadline);
    done.set_value();
}

Co<void> stop_credentials(upstream::CredentialKeeper& credentials, std::promise<void>& done) {
    co_await credentials.stop();
    done.set_value();
}

Co<void> join_scope(Scope& scope, std::promise<void>& done) {
    co_await scope.join();
    done.set_value();
}

}  // namespace

struct Gateway::Impl {
    explicit Impl(const config::Settings& settings)
        : cores(static_cast<unsigned>(settings.threads)) {}

    Cores cores;
    std::unique_ptr<store::Books> books;
    std::unique_ptr<BooksPort> port;
    std::unique_ptr<upstream::CredentialKeeper> credentials;
    std::unique_ptr<KeptPort> kept;
    std::unique_ptr<Snapshot<State>> states;
    Limiters limiters;
    std::unique_ptr<telemetry::AccessLog> access_log;
    std::optional<net::TlsServerContext> tls;
    std::vector<PerCore> per_core;
    std::uint16_t bound_port = 0;
    std::atomic<bool> is_draining{false};
    bool is_drained = false;
    std::mutex reload_mutex;
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Gateway>> Gateway::start(
    const config::Settings& settings, std::unique_ptr<store::Books> books, GatewayOptions options) {
    auto impl = std::make_unique<Impl>(settings);
    impl->books = std::move(books);
    impl->credentials = std::make_unique<upstream::CredentialKeeper>(
        impl->cores[0], [raw = impl.get()](const upstream::CredentialEvent& event) {
            raw->per_core[0].metrics->credential_fetched(event);
        });
    ENTREPOT_TRY(std::shared_ptr<const State> state,
        compile_state(settings, options.stored_keys, *impl->books, *impl->credentials));
    impl->port = std::make_unique<BooksPort>(impl->cores[0], *impl->books, impl->cores.size());
    ENTREPOT_TRY_DO(impl->port->volumes().load(*state, *impl->books, wall_now()));
    impl->states = std::make_unique<Snapshot<State>>(std::move(state));
    ENTREPOT_TRY(auto kept, store::KeptStore::open({.data = settings.data}));
    impl->kept = std::make_unique<KeptPort>(std::move(kept));
    if (settings.durability == config::Durability::kPower) {
        impl->books->on_synced([raw = impl.get()] {
            for (std::size_t i = 0; i < raw->cores.size(); ++i) {
                Core& core = raw->cores[i];
                core.post([raw, &core] { raw->port->wake_durable(core); });
            }
        });
    }
    if (!settings.access_log.empty()) {
        ENTREPOT_TRY(
            impl->access_log, telemetry::AccessLog::open(settings.access_log, impl->cores.size()));
    }
    if (settings.listen.tls) {
        const net::TlsServerContext::Options tls{settings.listen.tls->cert_file,
            settings.listen.tls->key_file, settings.listen.tls->client_ca_file,
            settings.http2.is_enabled};
        ENTREPOT_TRY(impl->tls, net::TlsServerContext::make(tls));
    }
    ENTREPOT_TRY(net::Listener listener, net::Listener::bind(address_of(settings.listen)));
    impl->bound_port = listener.port();
    std::vector<net::Listener> listeners;
    listeners.push_back(std::move(listener));
    while (listeners.size() < impl->cores.size()) {
        ENTREPOT_TRY(net::Listener another, listeners.front().again());
        listeners.push_back(std::move(another));
    }
    impl->per_core.resize(impl->cores.size());

    auto gateway = std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
    Impl& self = *gateway->impl_;
    std::optional<Error> failed;
    std::atomic<std::size_t> running{0};
    std::promise<void> all_running;
    const Worker::TakeOut take_out = [&self](const std::shared_ptr<const State>& of,
                                         std::uint32_t offer) {
        for (std::size_t i = 0; i < self.cores.size(); ++i) {
            self.cores[i].post([&here = self.per_core[i], of, offer] {
                if (here.worker != nullptr) here.worker->take_out(*of, offer);
            });
        }
    };
    const Worker::Watch watch = [&self](const store::Kept& thing) {
        self.cores[0].post([&self, thing] {
            if (self.per_core[0].worker != nullptr) self.per_core[0].worker->watch(thing);
        });
    };
    self.cores.start([&](Core& core) {
        PerCore& here = self.per_core[core.index()];
        here.scope = std::make_unique<Scope>(core);
        here.worker = std::make_unique<Worker>(core, *self.states, *self.port, self.limiters,
            *here.metrics, self.access_log.get(), self.is_draining, *self.credentials, *self.kept,
            *here.scope, take_out, watch);
        here.server = std::make_unique<net::HttpServer>(core, std::move(listeners[core.index()]),
            *here.worker, server_options(settings), self.tls ? &*self.tls : nullptr);
        if (core.index() == 0) {
            here.scope->spawn(keep_books(core, *self.books, here.scope->token()));
            here.scope->spawn(here.worker->keep_watch(here.scope->token()));
        }
        if (++running == self.cores.size()) all_running.set_value();
    });
    all_running.get_future().wait();
    // Whoever connects meanwhile waits in the listener's queue.
    (void)self.credentials->wait_first(kFirstCredentialsMax);
    for (std::size_t i = 0; i < self.cores.size() && !failed; ++i) {
        run_on(self.cores[i], [&] {
            if (Status started = self.per_core[i].server->start(); !started)
                failed = started.error();
        });
    }
    if (failed) return std::unexpected(std::move(*failed));
    return gateway;
}

Gateway::~Gateway() {
    Impl& self = *impl_;
    drain(milliseconds(0));
    if (self.per_core[0].scope != nullptr) {
        std::promise<void> stopped;
        Core& core = self.cores[0];
        run_on(core, [&] {
            core.spawn(stop_credentials(*self.credentials, stopped), [](void*) {}, nullptr);
        });
        stopped.get_future().wait();
    }
    for (std::size_t i = 0; i < self.cores.size(); ++i) {
        PerCore& here = self.per_core[i];
        if (here.scope == nullptr) continue;
        std::promise<void> joined;
        Core& core = self.cores[i];
        run_on(core, [&] {
            here.scope->cancel(ErrorCode::kDraining);
            core.spawn(join_scope(*here.scope, joined), [](void*) {}, nullptr);
        });
        joined.get_future().wait();
        run_on(core, [&] {
            here.server.reset();
            here.worker.reset();
            here.scope.reset();
        });
    }
    self.cores.stop();
}

std::uint16_t Gateway::port() const { return impl_->bound_port; }
bool Gateway::draining() const { return impl_->is_draining.load(std::memory_order_relaxed); }

Status Gateway::reload(const config::Settings& settings, GatewayOptions options) {
    Impl& self = *impl_;
    const std::lock_guard lock(self.reload_mutex);
    Result<std::shared_ptr<const State>> compiled;
    run_on(self.cores[0], [&] {
        compiled = compile_state(settings, options.stored_keys, *self.books, *self.credentials);
        if (!compiled) return;
        if (Status counted = self.port->volumes().load(**compiled, *self.books, wall_now());
            !counted)
            compiled = std::unexpected(std::move(counted).error());
    });
    if (!compiled) return std::unexpected(std::move(compiled).error());
    (void)self.credentials->wait_first(kFirstCredentialsMax);
    self.states->publish(std::move(*compiled));
    return {};
}

Status Gateway::reopen_logs() {
    if (impl_->access_log == nullptr) return {};
    return impl_->access_log->reopen();
}

void Gateway::drain(milliseconds patience) {
    Impl& self = *impl_;
    if (self.is_drained) return;
    self.is_draining.store(true, std::memory_order_relaxed);
    std::vector<std::promise<void>> drained(self.cores.size());
    for (std::size_t i = 0; i < self.cores.size(); ++i) {
        Core& core = self.cores[i];
        PerCore& here = self.per_core[i];
        if (here.server == nullptr) {
            drained[i].set_value();
            continue;
        }
        core.post([&core, &here, &drained, i, patience] {
            core.spawn(
                drain_server(*here.server, core.after(patience), drained[i]), [](void*) {},
                nullptr);
        });
    }
    for (auto& one : drained) one.get_future().wait();
    self.is_drained = true;
}

void Gateway::with_books(const std::function<void(store::Books&)>& work) {
    run_on(impl_->cores[0], [&] { work(*impl_->books); });
}

store::Books& Gateway::books() { return *impl_->books; }
Cores& Gateway::cores() { return impl_->cores; }
void Gateway::run_on_core0(const std::function<void(Core&)>& work) {
    run_on(impl_->cores[0], [&] { work(impl_->cores[0]); });
}

std::string Gateway::metrics() const {
    std::vector<const telemetry::CoreMetrics*> cores;
    for (const PerCore& here : impl_->per_core) cores.push_back(&here.metrics->series());
    return telemetry::render(cores);
}

}  // namespace entrepot::gateway
