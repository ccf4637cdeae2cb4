#include "host.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

#include "config/load.h"
#include "control/admin_server.h"
#include "control/notifier.h"
#include "control/stored_budgets.h"
#include "control/stored_keys.h"
#include "control/token.h"
#include "control/user.h"
#include "gateway/gateway.h"
#include "gateway/state.h"
#include "runtime/cores.h"
#include "store/books.h"
#include "store/settings.h"
#include "target.h"
#include "telemetry/log.h"

namespace entrepot::cli {
namespace {

using telemetry::LogLevel;

/// What becomes of a change of the file stands in the audit log.
Status note_in_audit(
    store::SettingsStore& store, const config::Settings& settings, store::AuditBy by) {
    if (settings.stated == nullptr) return {};
    ENTREPOT_TRY(const std::size_t changes, store.note_file(*settings.stated, by));
    if (changes > 0)
        telemetry::log(LogLevel::kInfo,
            fmt::format("{} settings changed by {} ({})", changes, by.actor, by.cause));
    return {};
}

std::string file_name(const config::Settings& settings) {
    return settings.file.empty() ? "built-in settings"
                                 : std::filesystem::absolute(settings.file).string();
}

constexpr Instant kNever{INT64_MAX};

/// What the store adds to the settings: its keys, its budgets, raises; and when the first of these
/// ends.
Result<std::optional<Instant>> add_stored(const store::SettingsStore& store,
    config::Settings& settings, gateway::GatewayOptions& options) {
    ENTREPOT_TRY(options.stored_keys, control::load_stored_keys(store, settings));
    return control::add_stored_budgets(store, settings, options.stored_keys, wall_now());
}

/// The admin API's view of a running gateway. Used by the admin plane's thread alone, once it runs.
class GatewayBackend final : public control::Backend {
public:
    GatewayBackend(
        config::Settings settings, routing::OfferTable offers, store::SettingsStore& store)
        : settings_(std::move(settings)), offers_(std::move(offers)), store_(store) {}

    void attach(gateway::Gateway& gateway, control::Notifier& notifier) {
        gateway_ = &gateway;
        notifier_ = &notifier;
    }

    const config::Settings& settings() override { return settings_; }
    const routing::OfferTable& offers() override { return offers_; }
    void with_books(const std::function<void(store::Books&)>& work) override {
        gateway_->with_books(work);
    }
    store::SettingsStore& store() override { return store_; }
    Status apply_stored() override { return apply(settings_); }
    std::string metrics() override { return gateway_->metrics() + notifier_->metrics(); }
    bool draining() override { return gateway_->draining(); }
    Instant now() override { return wall_now(); }

    /// Lowers what was raised for a while that is over.
    void end_raises() {
        if (wall_now().ns < raised_until_) return;
        if (const Status applied = apply(settings_); !applied)
            telemetry::log(LogLevel::kError,
                fmt::format("the end of a raise was not taken over: {}", applied.error().message));
    }
    void raised_until(std::optional<Instant> end) { raised_until_ = end.value_or(kNever).ns; }

    /// All or nothing: the gateway takes it over, the audit log has it, then the API tells it.
    Status take_over(config::Settings changed, store::AuditBy by) {
        ENTREPOT_TRY(routing::OfferTable offers, gateway::compile_offers(changed));
        ENTREPOT_TRY_DO(apply(changed));
        if (Status noted = note_in_audit(store_, changed, std::move(by)); !noted) {
            // What cannot be noted does not stay.
            ENTREPOT_TRY_DO(apply(settings_));
            return noted;
        }
        settings_ = std::move(changed);
        offers_ = std::move(offers);
        return {};
    }

private:
    Status apply(config::Settings settings) {
        gateway::GatewayOptions options;
        ENTREPOT_TRY(const auto raised_until, add_stored(store_, settings, options));
        ENTREPOT_TRY_DO(gateway_->reload(settings, options));
        notifier_->watch(settings, options.stored_keys);
        raised_until_ = raised_until.value_or(kNever).ns;
        return {};
    }

    config::Settings settings_;
    routing::OfferTable offers_;
    store::SettingsStore& store_;
    gateway::Gateway* gateway_ = nullptr;
    control::Notifier* notifier_ = nullptr;
    std::int64_t raised_until_ = kNever.ns;
};

std::string url_of(const config::ListenSettings& listen, std::uint16_t port) {
    const bool is_v6 = listen.address.find(':') != std::string::npos;
    // Who listens everywhere is reached here.
    std::string host = listen.address == "0.0.0.0" ? "127.0.0.1" : listen.address;
    if (is_v6) host = fmt::format("[{}]", host == "::" ? "::1" : host);
    return fmt::format("{}://{}:{}", listen.tls ? "https" : "http", host, port);
}

void tell_recovery(const store::RecoverySummary& summary) {
    if (summary.clean_stop && summary.unverified.empty()) return;
    telemetry::log(LogLevel::kWarning,
        fmt::format(
            "the last stop was not clean: {} records read again, {} bytes of a torn record cut, "
            "{} exchanges closed, {} attempts settled at their hold until resolved",
            summary.records_replayed, summary.bytes_cut, summary.exchanges_closed,
            summary.unverified.size()));
}

}  // namespace

struct Host::Impl {
    config::Settings settings;  ///< of the start: addresses and folder never change
    Secret token;
    std::unique_ptr<store::SettingsStore> store;
    std::unique_ptr<GatewayBackend> backend;
    std::unique_ptr<gateway::Gateway> gateway;
    std::unique_ptr<control::Notifier> notifier;
    std::unique_ptr<control::AdminServer> admin;  // goes first: it calls the gateway
};

Host::Host(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Host::~Host() = default;

Result<std::unique_ptr<Host>> Host::start(const config::Settings& settings) {
    telemetry::set_log_level(settings.log_level);
    raise_descriptor_limit();
    auto impl = std::make_unique<Impl>();
    impl->settings = settings;
    const std::filesystem::path data = settings.data;
    std::error_code made;
    if (std::filesystem::create_directories(data, made)) ::chmod(data.c_str(), 0700);
    if (made)
        return fail(ErrorCode::kIo,
            fmt::format("cannot make the data folder '{}': {}", data.string(), made.message()));
    store::BooksOptions books_options;
    books_options.data = data;
    books_options.durability = settings.durability == config::Durability::kPower
        ? store::Durability::kPower
        : store::Durability::kProcess;
    ENTREPOT_TRY(auto books, store::Books::open(books_options, wall_now()));
    tell_recovery(books->recovery());
    ENTREPOT_TRY(impl->token, control::load_or_make_admin_token(data));
    ENTREPOT_TRY(impl->store, store::SettingsStore::open(data));
    gateway::GatewayOptions options;
    config::Settings whole = settings;
    ENTREPOT_TRY(const auto raised_until, add_stored(*impl->store, whole, options));
    ENTREPOT_TRY(routing::OfferTable offers, gateway::compile_offers(settings));
    impl->backend = std::make_unique<GatewayBackend>(settings, std::move(offers), *impl->store);
    ENTREPOT_TRY(impl->notifier, control::Notifier::start({.data = data}));
    impl->notifier->watch(whole, options.stored_keys);
    ENTREPOT_TRY(
        impl->gateway, gateway::Gateway::start(whole, std::move(books), std::move(options)));
    impl->backend->raised_until(raised_until);
    impl->backend->attach(*impl->gateway, *impl->notifier);
    ENTREPOT_TRY_DO(
        note_in_audit(*impl->store, settings, {wall_now(), file_name(settings), "start"}));
    ENTREPOT_TRY(impl->admin,
        control::AdminServer::start(settings.admin, data, impl->token, *impl->backend));
    if (!settings.file.empty()) {
        std::ofstream note(config_note(data), std::ios::trunc);
        note << std::filesystem::absolute(settings.file).string() << '\n';
    }
    return std::unique_ptr<Host>(new Host(std::move(impl)));
}

std::string Host::data_url() const {
    return url_of(impl_->settings.listen, impl_->gateway->port());
}
std::string Host::admin_url() const { return url_of(impl_->settings.admin, impl_->admin->port()); }
const Secret& Host::admin_token() const { return impl_->token; }

namespace {

void reload(GatewayBackend& backend, const std::filesystem::path& config_file, store::AuditBy by) {
    config::Loaded loaded = config::load_file(config_file.string());
    if (!loaded.ok()) {
        telemetry::log(LogLevel::kError,
            fmt::format("the configuration was not taken over; the running one stays:\n{}",
                config::format_problems(loaded.problems)));
        return;
    }
    const auto names = config::needs_restart(backend.settings(), *loaded.settings);
    if (!names.empty()) {
        telemetry::log(LogLevel::kError,
            fmt::format("the configuration was not taken over: a change of {} needs a restart; the "
                        "running one stays",
                fmt::join(names, ", ")));
        return;
    }
    const std::string level = loaded.settings->log_level;
    if (const Status taken = backend.take_over(std::move(*loaded.settings), std::move(by));
        !taken) {
        telemetry::log(LogLevel::kError,
            fmt::format("the configuration was not taken over; the running one stays: {}",
                taken.error().message));
        return;
    }
    telemetry::set_log_level(level);
    telemetry::log(LogLevel::kInfo, "the configuration was taken over");
}

}  // namespace

namespace {

constexpr milliseconds kLookForRaises{5'000};

}  // namespace

void Host::run(control::ChangeWatch& watch, const std::filesystem::path& config_file) {
    for (;;) {
        const auto event = watch.wait(kLookForRaises);
        impl_->admin->run_between([&] { impl_->backend->end_raises(); });
        if (!event) continue;
        if (*event == control::ChangeEvent::kStop) break;
        if (*event == control::ChangeEvent::kHangUp)
            if (const Status opened = impl_->gateway->reopen_logs(); !opened)
                telemetry::log(LogLevel::kError, opened.error().message);
        if (config_file.empty()) continue;
        store::AuditBy by{wall_now(), std::filesystem::absolute(config_file).string(), "file"};
        if (*event == control::ChangeEvent::kHangUp) {
            by.actor = fmt::format("{} with {}", control::user_name(watch.sender()), by.actor);
            by.cause = "SIGHUP";
        }
        impl_->admin->run_between([&] { reload(*impl_->backend, config_file, std::move(by)); });
    }
    telemetry::log(LogLevel::kInfo, "draining");
    impl_->gateway->drain(milliseconds(impl_->settings.timeouts.drain_ms));
    impl_->admin.reset();
    impl_->gateway.reset();
    telemetry::log(LogLevel::kInfo, "stopped");
}

}  // namespace entrepot::cli
