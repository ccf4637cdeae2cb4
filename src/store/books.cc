#include "store/books.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "store/books_impl.h"
#include "store/kept.h"
#include "store/replacement.h"

namespace entrepot::store {

using ledger::HoldTicket;
using ledger::PathId;
using ledger::Posting;

Books::Books(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<Books>> Books::open(const BooksOptions& options, Instant now) {
    auto impl = std::make_unique<Impl>(options);
    ENTREPOT_TRY(impl->lock, DataLock::take(options.data));
    ENTREPOT_TRY_DO(Replacement::finish(options.data, options.files));
    ENTREPOT_TRY(BooksDb db, BooksDb::open(options.data, options.files));
    ENTREPOT_TRY(const Checkpoint checkpoint, db.load());
    ENTREPOT_TRY_DO(impl->ledger.load(checkpoint.changes));

    JournalOptions journal;
    journal.folder = options.data / "journal";
    journal.segment_bytes = options.segment_bytes;
    journal.bytes_max = options.journal_bytes_max;
    journal.recycle_oldest = options.recycle_oldest;
    journal.archive = options.journal_archive;
    journal.keep = options.journal_keep;
    journal.sync_each = options.durability == Durability::kPower;
    journal.files = options.files;
    std::uint64_t before_record = checkpoint.position;
    RecoverySummary& summary = impl->recovery;
    const auto replay = [&](std::uint64_t end, std::string_view payload) -> Status {
        ++summary.records_replayed;
        impl->note_replayed(payload, before_record, end);
        before_record = end;
        return impl->ledger.apply(payload);
    };
    ENTREPOT_TRY(impl->journal, Journal::open(journal, checkpoint.position, now, replay));
    summary.bytes_cut = impl->journal->bytes_cut();
    summary.clean_stop =
        summary.records_replayed == 0 && (checkpoint.clean_stop || checkpoint.position == 0);
    impl->now = now;

    // Over a full journal the files that the books hold make room at once.
    impl->compactor.emplace(options.data, *impl->journal, options.files);
    impl->journal->release_before(checkpoint.position);
    impl->compactor->wake();
    // A crash may have come with the current file full and the next one not yet in use.
    constexpr milliseconds kReadyMax(10'000);
    impl->journal->wait_ready(kReadyMax);
    std::vector<ledger::Unverified> ended;
    // What a supplier works on for hours is no victim of the crash: its end is looked for.
    ENTREPOT_TRY(const std::vector<ExchangeId> kept, held_exchanges(options.data));
    ENTREPOT_TRY(summary.exchanges_closed, impl->ledger.end_open_attempts(now, ended, kept));
    for (const ledger::Unverified& attempt : ended) {
        summary.unverified.push_back(impl->describe(attempt.hold, attempt.amount));
    }
    impl->checkpointer.emplace(
        std::move(db), *impl->journal, [raw = impl.get()] { raw->compactor->wake(); });
    impl->start_checkpoint(false);
    // Or the configuration that comes next would find no room, and the gateway would not start.
    impl->make_room(kReadyMax);
    return std::unique_ptr<Books>(new Books(std::move(impl)));
}

Books::~Books() {
    if (impl_->checkpointer && !impl_->checkpointer->has_room()) (void)impl_->checkpointer->wait();
    if (impl_->checkpointer && impl_->checkpointer->has_room()) {
        const Result<std::vector<ExchangeId>> kept = held_exchanges(impl_->options.data);
        std::size_t left = impl_->ledger.open_attempts();
        for (const ledger::Attempt& attempt : impl_->ledger.attempts())
            if (kept && attempt.state == ledger::Attempt::State::kHeld &&
                std::ranges::find(*kept, attempt.hold.exchange) != kept->end())
                --left;
        impl_->start_checkpoint(left == 0);
    }
    impl_->checkpointer.reset();
}

const RecoverySummary& Books::recovery() const { return impl_->recovery; }

void Books::Impl::make_room(milliseconds most) {
    // The oldest files may wait for a checkpoint that holds them.
    if (!journal->is_ready() && checkpointer->has_room() && journal->end() != checkpoint_position)
        start_checkpoint(false);
    constexpr milliseconds kStep(1);
    for (milliseconds waited(0); !journal->is_ready() && waited < most; waited += kStep) {
        // In the order in which one wakes the next.
        if (checkpointer->is_idle() && compactor->is_idle() && journal->is_stuck()) return;
        std::this_thread::sleep_for(kStep);
    }
}

template <typename Write>
auto Books::Impl::write_with_room(const Write& write) {
    constexpr milliseconds kRoomMax(1'000);
    auto written = write();
    if (written || written.error().code != ErrorCode::kJournalFull) return written;
    make_room(kRoomMax);
    return write();
}

Status Books::set_budgets(std::span<const ledger::BudgetSpec> budgets) {
    return impl_->write_with_room([&] { return impl_->ledger.set_budgets(budgets); });
}
Result<ledger::NameId> Books::name(std::string_view text) {
    return impl_->write_with_room([&] { return impl_->ledger.name(text); });
}
std::string_view Books::name_of(ledger::NameId id) const { return impl_->ledger.name_of(id); }
bool Books::has_budget(PathId path, ledger::NameId end_user) const {
    return impl_->ledger.has_budget(path, end_user);
}

Result<ledger::NameId> Books::scoped_name(ledger::NameId key, std::string_view text) {
    return impl_->ledger.scoped_name(key, text);
}

Result<PathId> Books::path(const ledger::PathNames& names) {
    return impl_->write_with_room([&] { return impl_->ledger.path(names); });
}

Result<ledger::Route> Books::route(
    std::string_view model, std::string_view offer, std::string_view cloud) {
    ledger::Route route;
    const auto intern = [this](std::string_view text, ledger::NameId& to) -> Status {
        if (text.empty()) return {};
        ENTREPOT_TRY(to, impl_->ledger.name(text));
        return {};
    };
    ENTREPOT_TRY_DO(intern(model, route.model));
    ENTREPOT_TRY_DO(intern(offer, route.offer));
    ENTREPOT_TRY_DO(intern(cloud, route.cloud));
    return route;
}

Result<HoldTicket> Books::hold(const ledger::HoldRequest& request, ledger::Refusal* refusal) {
    Impl& impl = *impl_;
    const RecentExchanges::Entry* const known = impl.recent.find(request.exchange);
    if (known != nullptr && known->end != 0) [[unlikely]] {
        return fail(ErrorCode::kHoldConflict,
            fmt::format("exchange {} is closed", request.exchange.to_string()));
    }
    const std::uint64_t begin = impl.journal->end();
    ledger::Refusal own;
    Result<HoldTicket> ticket = impl.ledger.hold(request, refusal != nullptr ? refusal : &own);
    if (ticket) [[likely]] {
        if (ticket->repeated) {
            ticket->position = begin;
            return ticket;
        }
        ++impl.stats.holds;
        // A later attempt of an exchange that has left the ring stays out: its beginning is no
        // longer known.
        if (request.attempt == 1)
            impl.recent.note(request.exchange, begin, ticket->position, false);
        return ticket;
    }
    impl.count_refusal(ticket.error().code, refusal != nullptr ? *refusal : own);
    return ticket;
}

Result<HoldTicket> Books::extend(
    const ExchangeId& exchange, std::uint16_t attempt, Money amount, ledger::Refusal* refusal) {
    ledger::Refusal own;
    ledger::Refusal& why = refusal != nullptr ? *refusal : own;
    Result<HoldTicket> ticket = impl_->ledger.extend(exchange, attempt, amount, &why);
    if (!ticket)
        impl_->count_refusal(ticket.error().code, why);
    else if (ticket->repeated)
        ticket->position = impl_->journal->end();
    return ticket;
}

Status Books::shrink(const ExchangeId& exchange, std::uint16_t attempt, Money amount) {
    ENTREPOT_TRY_DO(impl_->ledger.shrink(exchange, attempt, amount));
    if (impl_->on_room) impl_->on_room();
    return {};
}

void Books::on_room(std::function<void()> callback) { impl_->on_room = std::move(callback); }

Result<Posting> Books::settle(const ExchangeId& exchange, std::uint16_t attempt,
    const ledger::SettleRequest& request, const ledger::MeterCosts& lines) {
    Impl& impl = *impl_;
    Result<Posting> posting = impl.ledger.settle(exchange, attempt, request, lines);
    if (posting) [[likely]] {
        if (posting->repeated) return posting;
        ++impl.stats.settled;
        if (!posting->overdraft.is_zero()) ++impl.stats.overdrafts;
        if (impl.on_room) impl.on_room();
        return posting;
    }
    if (posting.error().code != ErrorCode::kUnknownHold) return posting;
    // The exchange may be closed already: then the journal knows what was posted.
    const std::optional<AttemptFacts> facts = impl.ended_attempt(*this, exchange, attempt);
    if (!facts) return posting;
    if (facts->state != AttemptFacts::State::kSettled || facts->cost != request.cost ||
        !(facts->usage == request.usage)) {
        return fail(ErrorCode::kSettleConflict,
            fmt::format("exchange {} attempt {} {}", exchange.to_string(), attempt,
                facts->state == AttemptFacts::State::kReleased
                    ? "was released"
                    : fmt::format("was settled at {}, not at {}", facts->cost.to_decimal(),
                          request.cost.to_decimal())));
    }
    const Money returned =
        facts->bounded && facts->held > facts->cost ? facts->held - facts->cost : Money();
    return Posting{facts->cost, facts->overdraft, returned, true};
}

Status Books::release(const ExchangeId& exchange, std::uint16_t attempt, Instant at,
    std::uint16_t upstream_status, std::optional<ErrorCode> error) {
    Impl& impl = *impl_;
    ledger::ReleaseRecord record;
    record.exchange = exchange;
    record.attempt = attempt;
    record.upstream_status = upstream_status;
    record.error = error ? static_cast<std::uint8_t>(1 + static_cast<std::uint8_t>(*error)) : 0;
    record.at = at;
    const std::size_t open = impl.ledger.open_attempts();
    Status released = impl.ledger.release(record);
    if (released) {
        if (impl.ledger.open_attempts() == open) return released;
        ++impl.stats.released;
        if (impl.on_room) impl.on_room();
        return released;
    }
    if (released.error().code != ErrorCode::kUnknownHold) return released;
    const std::optional<AttemptFacts> facts = impl.ended_attempt(*this, exchange, attempt);
    if (!facts) return released;
    if (facts->state == AttemptFacts::State::kReleased) return {};
    return fail(ErrorCode::kSettleConflict,
        fmt::format("exchange {} attempt {} was settled at {}", exchange.to_string(), attempt,
            facts->cost.to_decimal()));
}

Status Books::close(const ledger::ExchangeClose& facts) {
    Impl& impl = *impl_;
    const RecentExchanges::Entry* const known = impl.recent.find(facts.exchange);
    if (known != nullptr && known->end != 0) return {};
    const std::uint64_t begin = impl.journal->end();
    const bool whole = known != nullptr || !impl.ledger.is_open(facts.exchange);
    ENTREPOT_TRY(const std::uint64_t end, impl.ledger.close(facts));
    if (whole) impl.recent.note(facts.exchange, begin, end, true);
    ++impl.stats.closed;
    return {};
}

Result<bool> Books::adjust(const ledger::AdjustRequest& request) {
    return impl_->ledger.adjust(request);
}

std::optional<ledger::AdjustRequest> Books::adjustment(const ExchangeId& id) const {
    const ledger::AdjustRequest* const found = impl_->ledger.adjustment(id);
    return found == nullptr ? std::nullopt : std::optional(*found);
}

const std::filesystem::path& Books::folder() const { return impl_->options.data; }

Result<Money> Books::resolve(const ExchangeId& exchange, std::uint16_t attempt, Money cost,
    const ExchangeId& id, Instant at) {
    ENTREPOT_TRY_DO(checkpoint());
    ENTREPOT_TRY(const BooksDb* const db, impl_->books_to_read());
    ENTREPOT_TRY(const std::vector<BooksDb::UnverifiedRow> rows, db->unverified());
    const auto found = std::ranges::find_if(rows, [&](const BooksDb::UnverifiedRow& row) {
        return row.hold.exchange == exchange && row.hold.attempt == attempt;
    });
    if (found == rows.end()) {
        return fail(ErrorCode::kNotFound,
            fmt::format("exchange {} attempt {} is not settled unverified, or is resolved already",
                exchange.to_string(), attempt));
    }
    ledger::AdjustRequest request;
    request.id = id;
    request.at = at;
    request.spender = found->hold.spender;
    request.route = found->hold.route;
    request.cost = request.list_cost =
        found->hold.bounded ? cost - found->amount : cost;  // one under no budget was booked at 0
    request.exchange = exchange;
    request.attempt = attempt;
    ENTREPOT_TRY(request.reason, impl_->ledger.name("unverified"));
    ENTREPOT_TRY_DO(impl_->ledger.adjust(request));
    return request.cost;
}

Status Books::seal(Instant until, Instant at, std::string_view by) {
    ENTREPOT_TRY(const ledger::NameId name, impl_->ledger.name(by));
    return impl_->ledger.seal({until, at, name});
}

Instant Books::sealed_until() const { return impl_->ledger.sealed_until(); }

void Books::tick(Instant now) {
    Impl& impl = *impl_;
    impl.now = now;
    impl.journal->set_time(now);
    // Also when the clock went back, and when much was written: what a restart replays stays short.
    // And when there is no further file: the oldest ones may wait for a checkpoint.
    const bool due = now < impl.checkpoint_time ||
        now - impl.checkpoint_time >= impl.options.checkpoint_interval ||
        impl.journal->end() - impl.checkpoint_position >= impl.options.segment_bytes / 2 ||
        !impl.journal->is_ready();
    const bool changed = impl.journal->end() != impl.checkpoint_position;
    if (due && changed && impl.checkpointer->has_room()) impl.start_checkpoint(false);
}

Status Books::checkpoint() {
    if (!impl_->checkpointer->has_room()) ENTREPOT_TRY_DO(impl_->checkpointer->wait());
    impl_->start_checkpoint(false);
    return impl_->checkpointer->wait();
}

std::uint64_t Books::durable_up_to() const { return impl_->journal->durable_up_to(); }
std::uint64_t Books::sync_failed_up_to() const { return impl_->journal->sync_failed_up_to(); }
std::string Books::journal_failure() const { return impl_->journal->last_failure(); }
void Books::on_synced(std::function<void()> callback) {
    impl_->journal->on_synced(std::move(callback));
}

namespace {

BudgetStanding describe_standing(
    const ledger::Ledger& ledger, const ledger::Ledger::Standing& from, Instant at) {
    BudgetStanding to;
    to.end_user = ledger.name_of(from.end_user);
    to.owner_kind = from.budget->owner_kind;
    to.owner = ledger.name_of(from.budget->owner);
    to.period_kind = from.budget->period;
    to.zone = ledger.name_of(from.budget->zone);
    to.period = from.period;
    to.limit = from.budget->limit_at(at);
    to.settled = from.settled;
    to.held = from.held;
    to.overdraft = from.overdraft;
    to.available = to.limit - to.settled - to.held;
    to.open_holds = from.open;
    return to;
}

}  // namespace

std::vector<BudgetStanding> Books::standing(
    PathId path, Instant at, ledger::NameId end_user) const {
    std::vector<BudgetStanding> all;
    for (const auto& one : impl_->ledger.standing(path, at, end_user))
        all.push_back(describe_standing(impl_->ledger, one, at));
    return all;
}

std::vector<BudgetStanding> Books::budgets(Instant at) const {
    std::vector<BudgetStanding> all;
    for (const auto& one : impl_->ledger.budgets(at))
        all.push_back(describe_standing(impl_->ledger, one, at));
    return all;
}

std::optional<Money> Books::available(PathId path, Instant at, ledger::NameId end_user) const {
    std::optional<Money> least;
    for (const auto& one : impl_->ledger.standing(path, at, end_user)) {
        const Money room = one.budget->limit_at(at) - one.settled - one.held;
        least = least ? std::min(*least, room) : room;
    }
    return least;
}

Result<UsageTable> Books::usage(const UsageQuery& query) {
    ENTREPOT_TRY_DO(checkpoint());
    return query_usage(impl_->options.data, query);
}

BooksStats Books::stats() const {
    BooksStats stats = impl_->stats;
    stats.open_attempts = impl_->ledger.open_attempts();
    stats.journal_bytes = impl_->journal->bytes();
    const Checkpointer::State state = impl_->checkpointer->state();
    stats.checkpoints = state.written;
    stats.checkpoint_failures = state.failures;
    stats.last_failure = state.failure;
    if (stats.last_failure.empty()) stats.last_failure = impl_->compactor->failure();
    if (stats.last_failure.empty()) stats.last_failure = impl_->journal->last_failure();
    return stats;
}

}  // namespace entrepot::store
