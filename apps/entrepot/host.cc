#include "host.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <fstream>

#include "config/load.h"
#include "control/admin_server.h"
#include "control/late_rates.h"
#include "control/notifier.h"
#include "control/offer_facts.h"
#include "control/stored_budgets.h"
#include "control/stored_entries.h"
#include "control/stored_keys.h"
#include "control/stored_rates.h"
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

/// The file's settings and all that the store adds to them.
struct Whole {
    config::Settings settings;  ///< with the store's orgs, teams, models, contracts and rates
    config::Settings bound;     ///< the same with the store's budgets, and what is raised
    gateway::GatewayOptions options;
    Instant raised_until = kNever;  ///< when the first of the raises ends
    routing::OfferTable offers;
};

Result<Whole> whole_of(const store::SettingsStore& store, const config::Settings& of_file) {
    Whole whole;
    ENTREPOT_TRY(whole.settings, control::with_stored_entries(store, of_file));
    ENTREPOT_TRY(const auto rates, control::load_own_rates(store));
    whole.settings.own_rates = contracts::known_at(rates, wall_now());
    whole.bound = whole.settings;
    ENTREPOT_TRY(whole.options.stored_keys, control::load_stored_keys(store, whole.settings));
    ENTREPOT_TRY(const auto until,
        control::add_stored_budgets(store, whole.bound, whole.options.stored_keys, wall_now()));
    whole.raised_until = until.value_or(kNever);
    ENTREPOT_TRY(whole.offers, gateway::compile_offers(whole.bound));
    return whole;
}

/// The admin API's view of a running gateway. Used by the admin plane's thread alone, once it runs.
class GatewayBackend final : public control::Backend {
public:
    GatewayBackend(config::Settings of_file, store::SettingsStore& store)
        : of_file_(std::move(of_file)), store_(store) {}

    /// The gateway runs on `whole`.
    void attach(gateway::Gateway& gateway, control::Notifier& notifier, Whole whole) {
        gateway_ = &gateway;
        notifier_ = &notifier;
        whole_ = std::move(whole);
    }

    const config::Settings& settings() override { return whole_.settings; }
    const config::Settings& file_settings() override { return of_file_; }
    const routing::OfferTable& offers() override { return whole_.offers; }
    Result<routing::OfferTable> offers_with(
        std::span<const contracts::OwnRate> rates, Instant known) override {
        config::Settings settings = whole_.settings;
        settings.own_rates.assign(rates.begin(), rates.end());
        return gateway::compile_offers(settings, known);
    }
    void with_books(const std::function<void(store::Books&)>& work) override {
        gateway_->with_books(work);
    }
    store::SettingsStore& store() override { return store_; }
    Status apply_stored() override { return apply(of_file_); }
    std::string metrics() override { return gateway_->metrics() + notifier_->metrics(); }
    bool draining() override { return gateway_->draining(); }
    Instant now() override { return wall_now(); }

    /// Lowers what was raised for a while that is over.
    void end_raises() {
        if (wall_now() < whole_.raised_until) return;
        if (const Status applied = apply(of_file_); !applied)
            telemetry::log(LogLevel::kError,
                fmt::format("the end of a raise was not taken over: {}", applied.error().message));
    }

    /// Goes on with what late rates are still to correct.
    void correct_late_rates() {
        const Instant now = wall_now();
        if (now.ns - looked_for_rates_.ns < kLookForRates.count() && now >= looked_for_rates_)
            return;
        looked_for_rates_ = now;
        if (const Status posted = control::post_late_rates(*this); !posted)
            telemetry::log(LogLevel::kError,
                fmt::format("what late rates correct was not all posted; it is tried again: {}",
                    posted.error().message));
    }

    /// All or nothing: the gateway takes it over, the audit log has it, then the API tells it.
    Status take_over(config::Settings changed, store::AuditBy by) {
        ENTREPOT_TRY_DO(apply(changed));
        if (Status noted = note_in_audit(store_, changed, std::move(by)); !noted) {
            // What cannot be noted does not stay.
            ENTREPOT_TRY_DO(apply(of_file_));
            return noted;
        }
        of_file_ = std::move(changed);
        return {};
    }

private:
    Status apply(const config::Settings& of_file) {
        ENTREPOT_TRY(Whole whole, whole_of(store_, of_file));
        ENTREPOT_TRY_DO(gateway_->reload(whole.bound, whole.options));
        notifier_->watch(whole.bound, whole.options.stored_keys);
        whole_ = std::move(whole);
        if (const Status noted = control::note_offers(store_, whole_.offers, wall_now()); !noted)
            telemetry::log(LogLevel::kError,
                fmt::format("what the offers are now was not noted, for exports: {}",
                    noted.error().message));
        return {};
    }

    static constexpr nanoseconds kLookForRates = std::chrono::minutes(1);

    config::Settings of_file_;
    Whole whole_;                  ///< what the gateway runs on
    Instant looked_for_rates_{0};  ///< when late rates were seen to last
    store::SettingsStore& store_;
    gateway::Gateway* gateway_ = nullptr;
    control::Notifier* notifier_ = nullptr;
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
    ENTREPOT_TRY(Whole whole, whole_of(*impl->store, settings));
    impl->backend = std::make_unique<GatewayBackend>(settings, *impl->store);
    ENTREPOT_TRY(impl->notifier, control::Notifier::start({.data = data}));
    impl->notifier->watch(whole.bound, whole.options.stored_keys);
    ENTREPOT_TRY(
        impl->gateway, gateway::Gateway::start(whole.bound, std::move(books), whole.options));
    impl->backend->attach(*impl->gateway, *impl->notifier, std::move(whole));
    ENTREPOT_TRY_DO(
        note_in_audit(*impl->store, settings, {wall_now(), file_name(settings), "start"}));
    ENTREPOT_TRY_DO(control::note_offers(*impl->store, impl->backend->offers(), wall_now()));
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
        impl_->admin->run_between([&] {
            impl_->backend->end_raises();
            impl_->backend->correct_late_rates();
        });
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
