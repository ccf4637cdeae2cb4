#include "control/notifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "crypto/hash.h"
#include "json/writer.h"
#include "net/http_client.h"
#include "runtime/core.h"
#include "runtime/scope.h"
#include "store/notices.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace entrepot::control {
namespace {

using store::Notice;
using store::NoticeState;
using telemetry::LogLevel;

constexpr std::size_t kBatchMax = 16;  ///< notices of one webhook read at a time
constexpr std::size_t kAnswerBytesMax = 64 << 10;
constexpr std::size_t kBudgetSeriesMax = 500;
constexpr seconds kLookAnyway{60};  ///< a period may end without a write
constexpr seconds kForgetAfter{90 * 24 * 3600};
constexpr int kStatusGone = 410;

/// Where a webhook's notices go; what it was configured with.
struct Target {
    config::WebhookSettings settings;
    net::OriginPool* pool = nullptr;  ///< null: `trouble` says why
    std::string path;                 ///< and query
    Secret signing_key;
    std::string trouble;
};

/// What has to outlive a change of the settings: of one webhook one notice is sent at a time.
struct Lane {
    bool is_busy = false;
    int failures = 0;  ///< in a row
    MonotonicTime not_before;
};

/// What settings ask for.
struct Plan {
    std::vector<store::WatchedBudget> budgets;
    std::vector<config::WebhookSettings> webhooks;
    std::string currency;
};

void add_budgets(Plan& plan, ledger::OwnerKind kind, std::string_view owner,
    const std::vector<config::BudgetSettings>& budgets) {
    for (const config::BudgetSettings& budget : budgets)
        if (budget.notify)
            plan.budgets.push_back({kind, std::string(owner), budget.period, budget.zone.name(),
                budget.notify->at, budget.notify->webhook});
}

std::string body_of(const store::Crossing& crossing, std::string_view currency, Instant now) {
    const store::BudgetPeriod& at = crossing.at;
    const store::WatchedBudget& budget = crossing.budget;
    std::string out;
    json::Writer writer(out);
    writer.begin_object()
        .member("type", "budget.threshold")
        .member("id", crossing.id)
        .member("timestamp", to_rfc3339(now));
    writer.key("data")
        .begin_object()
        .member("owner_kind", ledger::owner_kind_name(budget.owner_kind))
        .member("owner", budget.owner)
        .member("period", period_kind_name(budget.period))
        .member("timezone", budget.zone);
    if (budget.period != PeriodKind::kTotal)
        writer.member("begins", to_rfc3339(at.period.begin))
            .member("renews", to_rfc3339(at.period.end));
    writer.member("percent", crossing.share)
        .member("limit", at.limit.to_decimal())
        .member("settled", at.settled.to_decimal())
        .member("left", (at.limit - at.settled).to_decimal())
        .member("currency", currency)
        .end_object()
        .end_object();
    return out;
}

std::string escaped_label(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        out += c;
    }
    return out;
}

}  // namespace

std::string notice_signature(std::string_view signing_key, std::string_view id,
    std::int64_t seconds_since_epoch, std::string_view body) {
    const std::string text = fmt::format("{}.{}.{}", id, seconds_since_epoch, body);
    return base64_encode(crypto::view(crypto::hmac_sha256(signing_key, text)));
}

struct Notifier::Impl {
    explicit Impl(const NotifierOptions& from) : options(from), scope(core) {}

    void apply(Plan next);
    void look();
    void note_crossings(Instant now);
    void read_budgets(Instant now);
    void send_due(Instant now);
    [[nodiscard]] Co<void> run();
    [[nodiscard]] Co<void> deliver(std::string webhook, std::vector<Notice> notices);
    [[nodiscard]] Task<int> post(const Target& target, const Notice& notice);
    /// False: this webhook takes nothing at present.
    [[nodiscard]] bool ended(Lane& lane, const Notice& notice, const Result<int>& posted);
    [[nodiscard]] milliseconds backoff(int failures) const;
    void count(std::string_view webhook, std::string_view outcome, std::uint64_t amount = 1);
    void tell_store(const Error& error);

    const NotifierOptions options;
    Core core{1001};  // the number is for logs: those of the data plane count from 0
    std::unique_ptr<store::NoticeStore> store;
    std::unique_ptr<net::HttpClient> client;  // made and destroyed on the core
    std::map<std::string, std::shared_ptr<const Target>> targets;
    std::map<std::string, Lane> lanes;  // by every name that was ever configured
    std::string currency;
    bool must_look = true;
    MonotonicTime looked_at, told_at;
    Instant forgot_at;
    telemetry::CoreMetrics series;
    telemetry::Gauge* pending = nullptr;
    mutable std::mutex mutex;
    std::string budgets_text;  // under the mutex
    std::thread thread;
    Scope scope;
};

void Notifier::Impl::count(
    std::string_view webhook, std::string_view outcome, std::uint64_t amount) {
    const std::array values{webhook, outcome};
    series
        .counter(telemetry::Family{"entrepot_notices_total",
                     "Notices of budgets, by webhook and what became of them; failed counts tries.",
                     telemetry::MetricKind::kCounter, {"webhook", "outcome"}},
            values)
        .add(amount);
}

void Notifier::Impl::tell_store(const Error& error) {
    if (told_at.ns != 0 && core.now() - told_at < kLookAnyway) return;
    told_at = core.now();
    telemetry::log(LogLevel::kError, "notices of budgets: " + error.message);
}

void Notifier::Impl::apply(Plan next) {
    currency = std::move(next.currency);
    targets.clear();
    std::vector<std::string> names;
    for (config::WebhookSettings& webhook : next.webhooks) {
        auto target = std::make_shared<Target>();
        const std::string_view url = webhook.url.reveal();
        const auto question = std::min(url.find('?'), url.size());
        auto origin = net::Origin::parse(url.substr(0, question), &target->path);
        if (origin) {
            origin->ca_file = webhook.ca_file;
            origin->proxy = webhook.proxy;
            auto pool = client->origin(*origin);
            if (pool)
                target->pool = *pool;
            else
                target->trouble = pool.error().message;
        } else {
            target->trouble = "its url is not an address";
        }
        if (target->path.empty()) target->path = "/";
        target->path += url.substr(question);
        target->signing_key = webhook.signing_key();
        names.push_back(webhook.name);
        lanes[webhook.name].not_before = {};  // new settings may be what it takes
        target->settings = std::move(webhook);
        targets[names.back()] = std::move(target);
    }
    if (const Status watched = store->watch(std::move(next.budgets)); !watched)
        tell_store(watched.error());
    const auto given_up = store->give_up_others(names);
    if (given_up && *given_up > 0) count("", "given_up", static_cast<std::uint64_t>(*given_up));
    must_look = true;
}

Co<void> Notifier::Impl::run() {
    for (;;) {
        const Until until{core.after(options.look_every), &scope.token()};
        const Status slept = co_await core.sleep(until);
        if (!slept) co_return;
        look();
    }
}

void Notifier::Impl::look() {
    const auto changed = store->has_changed();
    if (!changed) return tell_store(changed.error());
    const Instant now = core.wall();
    if (*changed || must_look || core.now() - looked_at > kLookAnyway) {
        must_look = false;
        looked_at = core.now();
        note_crossings(now);
        read_budgets(now);
    }
    send_due(now);
    if (now - forgot_at < kLookAnyway) return;
    forgot_at = now;
    if (const Status forgot = store->forget_before(now - kForgetAfter); !forgot)
        tell_store(forgot.error());
}

void Notifier::Impl::note_crossings(Instant now) {
    const auto crossings = store->crossings(now);
    if (!crossings) return tell_store(crossings.error());
    std::vector<Notice> notices;
    for (const store::Crossing& crossing : *crossings)
        notices.push_back({crossing.budget.name(), crossing.at.period.begin, crossing.at.period.end,
            crossing.share, crossing.id, crossing.budget.webhook, body_of(crossing, currency, now),
            now});
    const auto left_out = store->note(notices);
    if (!left_out) {
        must_look = true;  // nothing was noted: once more
        return tell_store(left_out.error());
    }
    for (const Notice& notice : notices) count(notice.webhook, "noted");
    if (*left_out == 0) return;
    count("", "given_up", *left_out);
    telemetry::log(LogLevel::kError,
        fmt::format("{} notices of budgets were given up: {} wait already; look at the webhooks",
            *left_out, store::NoticeStore::kPendingMax));
}

// Amounts as decimals, exactly: they never pass through floating point here.
void Notifier::Impl::read_budgets(Instant now) {
    const auto rows = store->shared_budgets(now, kBudgetSeriesMax);
    if (!rows) return tell_store(rows.error());
    std::string text;
    const auto family = [&](std::string_view name, std::string_view help,
                            Money store::BudgetPeriod::* part) {
        if (rows->empty()) return;
        text += fmt::format(
            "# HELP entrepot_budget_{} {}\n# TYPE entrepot_budget_{} gauge\n", name, help, name);
        for (const auto& row : *rows)
            text += fmt::format(
                "entrepot_budget_{}{{owner_kind=\"{}\",owner=\"{}\",period=\"{}\",timezone=\"{}\"}}"
                " "
                "{}\n",
                name, ledger::owner_kind_name(row.budget.owner_kind),
                escaped_label(row.budget.owner), period_kind_name(row.budget.period),
                escaped_label(row.budget.zone), (row.at.*part).to_decimal());
    };
    family("held", "Held by open requests, at the last checkpoint.", &store::BudgetPeriod::held);
    family("limit", "The most that may be held and spent in the present period.",
        &store::BudgetPeriod::limit);
    family("settled", "Spent in the present period, at the last checkpoint.",
        &store::BudgetPeriod::settled);
    const std::lock_guard lock(mutex);
    budgets_text = std::move(text);
}

void Notifier::Impl::send_due(Instant now) {
    if (const auto waiting = store->pending()) pending->set(*waiting);
    for (const auto& [name, target] : targets) {
        Lane& lane = lanes[name];
        if (lane.is_busy || core.now() < lane.not_before) continue;
        auto due = store->due(name, now, kBatchMax);
        if (!due) return tell_store(due.error());
        if (due->empty()) continue;
        lane.is_busy = true;
        scope.spawn(deliver(name, std::move(*due)));
    }
}

Co<void> Notifier::Impl::deliver(std::string webhook, std::vector<Notice> notices) {
    Lane& lane = lanes[webhook];
    for (const Notice& notice : notices) {
        const auto found = targets.find(webhook);
        if (found == targets.end()) break;
        const std::shared_ptr<const Target> target = found->second;
        const Result<int> posted = co_await post(*target, notice);
        if (scope.token().cancelled()) break;
        if (!ended(lane, notice, posted)) break;
    }
    lane.is_busy = false;
}

Task<int> Notifier::Impl::post(const Target& target, const Notice& notice) {
    if (target.pool == nullptr) co_return fail(ErrorCode::kBadConfiguration, target.trouble);
    const std::int64_t at = core.wall().ns / 1'000'000'000;
    net::HeaderLines headers;
    headers.add("content-type", "application/json").add("user-agent", "entrepot");
    headers.add("webhook-id", notice.id).add("webhook-timestamp", std::to_string(at));
    headers.add("webhook-signature",
        "v1," + notice_signature(target.signing_key.reveal(), notice.id, at, notice.body));
    const net::ClientRequest request{.method = "POST",
        .target = target.path,
        .header_lines = headers.text(),
        .body = notice.body,
        .host = {}};
    net::ExchangeLimits limits;
    limits.deadline = core.after(options.timeout);
    limits.cancel = &scope.token();
    limits.connect_timeout = options.timeout;
    limits.first_byte_timeout = options.timeout;
    limits.idle_timeout = options.timeout;
    Result<net::ClientExchange> exchange = co_await client->exchange(*target.pool, request, limits);
    if (!exchange) co_return std::unexpected(std::move(exchange).error());
    const int status = exchange->status();
    // What it says does not matter, but the connection can be used again when it was read.
    (void)co_await exchange->read_whole_body(kAnswerBytesMax);
    co_return status;
}

milliseconds Notifier::Impl::backoff(int failures) const {
    constexpr int kDoublingsMax = 20;
    const int doublings = std::clamp(failures - 1, 0, kDoublingsMax);
    return std::min<milliseconds>(options.retry_first * (1LL << doublings), options.retry_max);
}

bool Notifier::Impl::ended(Lane& lane, const Notice& notice, const Result<int>& posted) {
    constexpr int kClass = 100;
    const Instant now = core.wall();
    if (posted && *posted / kClass == 2) {
        lane.failures = 0;
        count(notice.webhook, "taken");
        const Status noted = store->tried(notice, NoticeState::kTaken, now, "");
        if (!noted) tell_store(noted.error());
        return noted.has_value();
    }
    const std::string trouble =
        posted ? fmt::format("status {}", *posted) : excerpt(posted.error().message, 200);
    const bool is_over =
        (posted && *posted == kStatusGone) || now - notice.noted > options.retry_for;
    ++lane.failures;
    const milliseconds pause = backoff(lane.failures);
    lane.not_before = core.now() + pause;
    count(notice.webhook, is_over ? "given_up" : "failed");
    telemetry::log(is_over ? LogLevel::kError : LogLevel::kWarning,
        fmt::format("webhook {}: the notice {} of {} was not taken ({}); {}", notice.webhook,
            notice.id, notice.budget, trouble,
            is_over ? "it is given up" : fmt::format("once more in {} ms", pause.count())));
    const Status noted = store->tried(
        notice, is_over ? NoticeState::kGivenUp : NoticeState::kPending, now + pause, trouble);
    if (!noted) tell_store(noted.error());
    return false;
}

Notifier::Notifier(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Notifier>> Notifier::start(const NotifierOptions& options) {
    auto impl = std::make_unique<Impl>(options);
    ENTREPOT_TRY(impl->store, store::NoticeStore::open(options.data));
    impl->pending = &impl->series.gauge(telemetry::Family{"entrepot_notices_pending",
        "Notices of budgets that wait to be taken.", telemetry::MetricKind::kGauge, {}});
    Impl& self = *impl;
    self.thread = std::thread([&self] { self.core.run(); });
    self.core.post([&self] {
        self.client = std::make_unique<net::HttpClient>(self.core);
        self.scope.spawn(self.run());
    });
    return std::unique_ptr<Notifier>(new Notifier(std::move(impl)));
}

Notifier::~Notifier() {
    Impl& self = *impl_;
    std::promise<void> joined;
    self.core.post([&] {
        self.scope.cancel(ErrorCode::kDraining);
        self.core.spawn(
            self.scope.join(),
            [](void* argument) { static_cast<std::promise<void>*>(argument)->set_value(); },
            &joined);
    });
    joined.get_future().wait();
    std::promise<void> closed;
    self.core.post([&] {
        self.client.reset();
        closed.set_value();
    });
    closed.get_future().wait();
    self.core.stop();
    self.thread.join();
}

void Notifier::watch(
    const config::Settings& settings, std::span<const config::KeySettings> stored_keys) {
    Plan plan;
    plan.currency = settings.currency.code();
    plan.webhooks = settings.webhooks;
    for (const config::OrgSettings& org : settings.orgs)
        add_budgets(plan, ledger::OwnerKind::kOrg, org.id.view(), org.budgets);
    for (const config::TeamSettings& team : settings.teams)
        add_budgets(plan, ledger::OwnerKind::kTeam, team.id.view(), team.budgets);
    for (const config::ProjectSettings& project : settings.projects)
        add_budgets(plan, ledger::OwnerKind::kProject, project.id.view(), project.budgets);
    for (const config::KeySettings& key : settings.keys)
        add_budgets(plan, ledger::OwnerKind::kKey, key.id.view(), key.budgets);
    for (const config::KeySettings& key : stored_keys)
        add_budgets(plan, ledger::OwnerKind::kKey, key.id.view(), key.budgets);
    impl_->core.post([self = impl_.get(), plan = std::move(plan)] { self->apply(plan); });
}

std::string Notifier::metrics() const {
    const telemetry::CoreMetrics* const series = &impl_->series;
    std::string text = telemetry::render(std::span(&series, 1));
    const std::lock_guard lock(impl_->mutex);
    return impl_->budgets_text + text;
}

}  // namespace entrepot::control
