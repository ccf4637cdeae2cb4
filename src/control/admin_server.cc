#include "control/admin_server.h"

#include <fmt/format.h>

#include <future>
#include <thread>

#include "control/admin_api.h"
#include "net/http_server.h"
#include "net/server.h"
#include "net/tls.h"
#include "runtime/core.h"
#include "telemetry/log.h"

namespace entrepot::control {
namespace {

class AdminHandler final : public net::Handler {
public:
    AdminHandler(Backend& backend, const Secret& token, bool is_trusted)
        : backend_(backend), token_(token), is_trusted_(is_trusted) {}

    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override {
        AdminRequest asked;
        asked.method = request.method;
        asked.path = request.path;
        asked.query = request.query;
        asked.body = request.body;
        asked.authorization = request.headers.find("authorization").value_or("");
        asked.is_trusted = is_trusted_;
        asked.peer = request.peer;
        const AdminResponse answer = control::handle(backend_, token_, asked);
        net::HeaderLines headers;
        headers.add("content-type", answer.content_type).add("cache-control", "no-store");
        if (answer.status == 401) headers.add("www-authenticate", "Bearer");
        if (!answer.file_name.empty())
            headers.add("content-disposition",
                fmt::format("attachment; filename=\"{}\"", answer.file_name));
        if (answer.more && request.method != "HEAD") {
            response.start(answer.status, headers.text());
            co_await relay(answer, response);
            co_return;
        }
        (void)co_await response.send(answer.status, headers.text(), answer.body);
    }

private:
    /// Other requests are answered between two parts.
    static Co<void> relay(const AdminResponse& answer, net::ResponseWriter& response) {
        std::string part;
        for (;;) {
            part.clear();
            const Result<bool> more = answer.more(part);
            if (!more) {
                telemetry::log(telemetry::LogLevel::kError,
                    fmt::format(
                        "an answer of the admin plane broke off: {}", more.error().message));
                response.abort();
                co_return;
            }
            const Result<void> sent = co_await response.write(part);
            if (!sent) co_return;
            if (!*more) break;
        }
        (void)co_await response.finish();
    }

    Backend& backend_;
    const Secret& token_;
    bool is_trusted_;
};

net::ServerOptions server_options() {
    net::ServerOptions options;
    options.body_bytes_max = 1u << 20;
    options.connections_max = 256;
    return options;
}

}  // namespace

struct AdminServer::Impl {
    Impl(Backend& backend, Secret admin_token)
        : token(std::move(admin_token)),
          open_handler(backend, token, false),
          trusted_handler(backend, token, true) {}

    // Runs on the core's thread and waits for it.
    void on_core(const std::function<void()>& work) {
        std::promise<void> done;
        core.post([&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }

    Co<void> stop_serving() {
        const Deadline deadline = core.after(milliseconds(2000));
        co_await tcp->drain(deadline);
        co_await local->drain(deadline);
    }

    Secret token;
    AdminHandler open_handler, trusted_handler;
    std::optional<net::TlsServerContext> tls;
    std::filesystem::path socket_path;
    Core core{1000};  // the number is for logs: those of the data plane count from 0
    std::unique_ptr<net::HttpServer> tcp, local;
    std::uint16_t port = 0;
    std::thread thread;
};

Result<std::unique_ptr<AdminServer>> AdminServer::start(const config::ListenSettings& listen,
    const std::filesystem::path& data, Secret admin_token, Backend& backend) {
    auto impl = std::make_unique<Impl>(backend, std::move(admin_token));
    if (listen.tls) {
        ENTREPOT_TRY(impl->tls,
            net::TlsServerContext::make({.cert_file = listen.tls->cert_file,
                .key_file = listen.tls->key_file,
                .client_ca_file = listen.tls->client_ca_file}));
    }
    const bool is_v6 = listen.address.find(':') != std::string::npos;
    const std::string address = is_v6 ? fmt::format("[{}]:{}", listen.address, listen.port)
                                      : fmt::format("{}:{}", listen.address, listen.port);
    ENTREPOT_TRY(net::Listener tcp, net::Listener::bind(address));
    impl->socket_path = data / "control.sock";
    ENTREPOT_TRY(net::Listener local, net::Listener::bind_unix(impl->socket_path.string()));
    impl->port = tcp.port();
    impl->tcp = std::make_unique<net::HttpServer>(impl->core, std::move(tcp), impl->open_handler,
        server_options(), impl->tls ? &*impl->tls : nullptr);
    impl->local = std::make_unique<net::HttpServer>(
        impl->core, std::move(local), impl->trusted_handler, server_options());
    impl->thread = std::thread([core = &impl->core] { core->run(); });
    Status started;
    impl->on_core([&] {
        started = impl->tcp->start();
        if (started) started = impl->local->start();
    });
    auto server = std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
    if (!started) return std::unexpected(started.error());
    return server;
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

AdminServer::~AdminServer() {
    std::promise<void> done;
    impl_->core.post([&] {
        impl_->core.spawn(
            impl_->stop_serving(),
            [](void* argument) { static_cast<std::promise<void>*>(argument)->set_value(); }, &done);
    });
    done.get_future().wait();
    impl_->on_core([&] {
        impl_->tcp.reset();
        impl_->local.reset();
    });
    impl_->core.stop();
    impl_->thread.join();
    std::error_code ignored;
    std::filesystem::remove(impl_->socket_path, ignored);
}

std::uint16_t AdminServer::port() const { return impl_->port; }

void AdminServer::run_between(const std::function<void()>& work) { impl_->on_core(work); }

}  // namespace entrepot::control
