#include "upstream/credentials/keeper.h"

#include <algorithm>

#include <fmt/format.h>

namespace entrepot::upstream {
namespace {

// A wait is cut into pieces, so that a clock that was set and a cell that nobody holds any more are
// noticed.
constexpr seconds kWaitMax{30};

}  // namespace

struct CredentialKeeper::Entry {
    std::string name;
    std::shared_ptr<const CredentialSource> source;
    std::weak_ptr<CredentialCell> cell;
    bool is_settled = false;  // under the keeper's mutex

    // The owner's core alone.
    std::optional<Credential> held;
    int failures = 0;
    bool is_doubted = false;
    MonotonicTime fetched_at;
    MonotonicTime due;                      // steady: when the wait is over in any case
    Instant due_wall = Credential::kNever;  // civil: earlier when the clock was set
    Waiter waiter;
};

CredentialKeeper::CredentialKeeper(Core& owner, Report report, KeeperOptions options)
    : owner_(owner), report_(std::move(report)), options_(options), scope_(owner) {}

CredentialKeeper::~CredentialKeeper() = default;

std::shared_ptr<const CredentialCell> CredentialKeeper::keep(
    std::string_view name, std::shared_ptr<const CredentialSource> source) {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& entry) { return entry->cell.expired(); });
    for (const auto& entry : entries_)
        if (entry->source->identity() == source->identity())
            if (auto cell = entry->cell.lock()) return cell;
    auto cell = std::make_shared<CredentialCell>(std::make_shared<const CredentialState>());
    auto entry = std::make_shared<Entry>();
    entry->name = std::string(name);
    entry->source = std::move(source);
    entry->cell = cell;
    entries_.push_back(entry);
    ++unsettled_;
    owner_.post([this, entry] { begin(entry); });
    return cell;
}

void CredentialKeeper::begin(const std::shared_ptr<Entry>& entry) {
    if (client_ == nullptr) client_ = std::make_unique<net::HttpClient>(owner_);
    scope_.spawn(run(entry));
}

void CredentialKeeper::doubt(std::shared_ptr<const CredentialCell> cell) {
    owner_.post([this, cell = std::move(cell)] {
        const std::lock_guard lock(mutex_);
        for (const auto& entry : entries_) {
            if (entry->cell.lock() != cell || entry->is_doubted) continue;
            entry->is_doubted = true;
            entry->waiter.wake();
        }
    });
}

bool CredentialKeeper::wait_first(milliseconds patience) {
    std::unique_lock lock(mutex_);
    return first_.wait_for(lock, patience, [this] { return unsettled_ == 0; });
}

void CredentialKeeper::settled(Entry& entry) {
    const std::lock_guard lock(mutex_);
    if (entry.is_settled) return;
    entry.is_settled = true;
    if (--unsettled_ == 0) first_.notify_all();
}

Co<void> CredentialKeeper::stop() {
    scope_.cancel(ErrorCode::kDraining);
    co_await scope_.join();
    client_.reset();
}

nanoseconds CredentialKeeper::backoff(int failures) {
    const int doublings = std::clamp(failures - 1, 0, 20);
    const nanoseconds whole =
        std::min<nanoseconds>(options_.backoff_first * (1LL << doublings), options_.backoff_max);
    // Half of it for certain, the other half by chance.
    const auto half = static_cast<std::uint64_t>(whole.count() / 2);
    return nanoseconds(static_cast<std::int64_t>(half + owner_.random().below(half + 1)));
}

Co<void> CredentialKeeper::run(std::shared_ptr<Entry> entry) {
    for (;;) {
        const Status refreshed = co_await refresh(*entry);
        settled(*entry);
        if (!refreshed) break;
        const Status waited = co_await wait_until_due(*entry);
        if (!waited) break;
    }
}

// Fetches once, publishes what came of it, and says when the next fetch is due. Errors: only when
// it was called off.
Task<void> CredentialKeeper::refresh(Entry& entry) {
    entry.is_doubted = false;
    Fetch with(owner_, *client_, side_, &scope_.token());
    Result<Credential> fetched = co_await entry.source->fetch(with);
    if (scope_.token().cancelled()) co_return fail(scope_.token().reason(), "stopped");
    const std::shared_ptr<CredentialCell> cell = entry.cell.lock();
    if (cell == nullptr) co_return fail(ErrorCode::kCancelled, "nobody holds it any more");

    const Instant now = owner_.wall();
    entry.fetched_at = owner_.now();
    entry.due_wall = Credential::kNever;
    CredentialEvent event;
    event.name = entry.name;
    auto state = std::make_shared<CredentialState>();
    if (fetched) {
        event.is_fetched = true;
        event.failures = std::exchange(entry.failures, 0);
        entry.held = std::move(*fetched);
        nanoseconds wait = entry.source->look_again().value_or(nanoseconds::max());
        if (entry.held->expires != Credential::kNever) {
            const nanoseconds left = entry.held->expires - now;
            // A quarter is left, and up to a tenth of the whole more by chance.
            const auto tenth = static_cast<std::uint64_t>(left.count() / 10);
            const nanoseconds ahead =
                left / 4 + nanoseconds(static_cast<std::int64_t>(owner_.random().below(tenth + 1)));
            wait = std::min(wait, left - ahead);
            entry.due_wall = now + (left - ahead);
        }
        wait = std::max<nanoseconds>(wait, options_.interval_min);
        constexpr nanoseconds kLongest = std::chrono::hours(24 * 365);
        entry.due = owner_.now() + std::min(wait, kLongest);
    } else {
        event.failures = ++entry.failures;
        state->trouble = std::move(fetched.error().message);
        event.trouble = state->trouble;
        entry.due = owner_.now() + backoff(entry.failures);
    }
    state->held = entry.held;
    event.is_live = state->is_live(now);
    if (event.is_live) event.expires = state->held->expires;
    cell->publish(state);
    if (report_) report_(event);
    co_return Status{};
}

Task<void> CredentialKeeper::wait_until_due(Entry& entry) {
    for (;;) {
        if (entry.cell.expired()) co_return fail(ErrorCode::kCancelled, "nobody holds it any more");
        MonotonicTime due = entry.due;
        if (entry.failures == 0) {  // else the back-off alone says when
            if (owner_.wall() >= entry.due_wall) due = owner_.now();
            if (entry.is_doubted) due = std::min(due, entry.fetched_at + options_.doubt_interval);
            due = std::max(due, entry.fetched_at + options_.interval_min);
        }
        if (owner_.now() >= due) co_return Status{};
        const MonotonicTime slice = std::min(due, owner_.now() + kWaitMax);
        const Until until{Deadline::at(slice), &scope_.token()};
        const Wake woken = co_await entry.waiter.wait(until);
        (void)woken;
        if (scope_.token().cancelled()) co_return fail(scope_.token().reason(), "stopped");
    }
}

}  // namespace entrepot::upstream
