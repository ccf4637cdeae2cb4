// What the books tell of single exchanges, and the proof that they add up.
#include <fmt/format.h>

#include <algorithm>

#include "store/books_impl.h"
#include "store/rebuild.h"

namespace entrepot::store {

namespace {

constexpr seconds kForgetAfter{
    48 * 3600};  ///< how long an ended period stays in memory: clocks may go back
constexpr seconds kForgetEvery{3600};

std::unexpected<Error> stop_reading() { return fail(ErrorCode::kCancelled, {}); }

AttemptFacts* attempt_of(ExchangeReport& report, std::uint16_t attempt) {
    const auto found = std::ranges::find(report.attempts, attempt, &AttemptFacts::attempt);
    return found == report.attempts.end() ? nullptr : &*found;
}

}  // namespace

void Books::Impl::start_checkpoint(bool clean_stop) {
    Instant evict_before{INT64_MIN};
    if (now < eviction_time || now - eviction_time >= kForgetEvery) {
        eviction_time = now;
        evict_before = now - kForgetAfter;
    }
    Checkpoint checkpoint;
    checkpoint.changes = ledger.take_changes(evict_before);
    checkpoint.position = journal->end();
    checkpoint.clean_stop = clean_stop;
    checkpoint_position = checkpoint.position;
    checkpoint_time = now;
    checkpointer->push(std::move(checkpoint));
}

Result<const BooksDb*> Books::Impl::books_to_read() {
    if (!reader) {
        ENTREPOT_TRY(BooksDb db, BooksDb::open_to_read(options.data));
        reader.emplace(std::move(db));
    }
    return &*reader;
}

// Once for each budget period that comes back, and never a wait: what is not written yet is handed
// back by the checkpointer, the rest is read beside whoever writes. In this order: a checkpoint
// that is written meanwhile is then found in the file.
Result<std::optional<ledger::Account>> Books::Impl::recall(
    std::uint32_t budget, ledger::NameId end_user, Instant begin) {
    if (checkpointer)
        if (auto waiting = checkpointer->waiting({budget, end_user, begin})) return waiting;
    ENTREPOT_TRY(const BooksDb* const db, books_to_read());
    return db->account(budget, end_user, begin);
}

Result<std::optional<ledger::Account>> Books::Impl::recall(ledger::AccountId account) {
    if (checkpointer)
        if (auto waiting = checkpointer->waiting(account)) return waiting;
    ENTREPOT_TRY(const BooksDb* const db, books_to_read());
    return db->account(account);
}

void Books::Impl::note_replayed(std::string_view payload, std::uint64_t begin, std::uint64_t end) {
    constexpr std::size_t kAttemptAt = 2 + sizeof(ExchangeId);  // after type, version and exchange
    const std::optional<ExchangeId> id = ledger::exchange_of(payload);
    if (!id) return;
    const auto type = static_cast<ledger::RecordType>(payload[0]);
    const bool closes = type == ledger::RecordType::kClose;
    const bool first_hold = type == ledger::RecordType::kHold && payload.size() > kAttemptAt &&
        payload[kAttemptAt] == 1;
    if (first_hold || recent.find(*id) != nullptr || (closes && !ledger.is_open(*id)))
        recent.note(*id, begin, end, closes);
}

void Books::Impl::count_refusal(ErrorCode code, const ledger::Refusal& refusal) {
    if (code == ErrorCode::kJournalFull) ++stats.refused_by_journal;
    if (code == ErrorCode::kInsufficientBalance)
        ++(refusal.only_holds ? stats.refused_by_holds : stats.refused_by_spend);
}

UnverifiedAttempt Books::Impl::describe(const ledger::HoldRecord& hold, Money amount) const {
    UnverifiedAttempt to;
    to.exchange = hold.exchange;
    to.attempt = hold.attempt;
    to.key = ledger.name_of(hold.spender.key);
    to.team = ledger.name_of(hold.spender.team);
    to.project = ledger.name_of(hold.spender.project);
    to.org = ledger.name_of(hold.spender.org);
    to.end_user = ledger.name_of(hold.spender.end_user);
    to.model = ledger.name_of(hold.route.model);
    to.offer = ledger.name_of(hold.route.offer);
    to.cloud = ledger.name_of(hold.route.cloud);
    to.amount = amount;
    to.priced = hold.bounded;
    to.dispatch = hold.dispatch;
    return to;
}

bool Books::Impl::add_to_report(const ledger::Record& record, ExchangeReport& report) const {
    const auto name_of = [this](ledger::NameId id) { return std::string(ledger.name_of(id)); };
    const auto add_spender = [&](const ledger::Spender& spender) {
        for (const auto& [id, to] :
            {std::pair(spender.key, &report.key), std::pair(spender.team, &report.team),
                std::pair(spender.org, &report.org), std::pair(spender.project, &report.project),
                std::pair(spender.end_user, &report.end_user),
                std::pair(spender.tags, &report.tags)})
            if (id != ledger::NameId::kNone) *to = name_of(id);
    };
    if (const auto* hold = std::get_if<ledger::HoldRecord>(&record)) {
        add_spender(hold->spender);
        report.model = name_of(hold->route.model);
        AttemptFacts facts;
        facts.attempt = hold->attempt;
        facts.model = name_of(hold->route.model);
        facts.offer = name_of(hold->route.offer);
        facts.cloud = name_of(hold->route.cloud);
        facts.bounded = hold->bounded;
        facts.held = hold->amount;
        facts.dispatch = hold->dispatch;
        report.attempts.push_back(std::move(facts));
    } else if (const auto* resize = std::get_if<ledger::ResizeRecord>(&record)) {
        if (AttemptFacts* const facts = attempt_of(report, resize->attempt))
            facts->held = resize->amount;
    } else if (const auto* settle = std::get_if<ledger::SettleRecord>(&record)) {
        if (AttemptFacts* const facts = attempt_of(report, settle->attempt)) {
            const ledger::SettleRequest& request = settle->request;
            facts->state = AttemptFacts::State::kSettled;
            facts->ended = request.at;
            facts->usage = request.usage;
            facts->cost = request.cost;
            facts->list_cost = request.list_cost;
            facts->overdraft =
                facts->bounded && request.cost > facts->held ? request.cost - facts->held : Money();
            facts->rate_version = name_of(request.rate_version);
            facts->contract = name_of(request.contract);
            facts->tier = request.tier;
            facts->lines = settle->lines;
            facts->flags = request.flags;
            facts->upstream_status = request.upstream_status;
            report.cost += request.cost;
        }
    } else if (const auto* release = std::get_if<ledger::ReleaseRecord>(&record)) {
        if (AttemptFacts* const facts = attempt_of(report, release->attempt)) {
            facts->state = AttemptFacts::State::kReleased;
            facts->ended = release->at;
            facts->upstream_status = release->upstream_status;
            facts->error = release->error;
        }
    } else if (const auto* close = std::get_if<ledger::CloseRecord>(&record)) {
        report.closed = true;
        report.close = close->facts;
        report.dialect = name_of(close->facts.dialect);
        add_spender(close->facts.spender);
        if (close->facts.route.model != ledger::NameId::kNone)
            report.model = name_of(close->facts.route.model);
        return true;
    }
    return false;
}

std::optional<AttemptFacts> Books::Impl::ended_attempt(
    const Books& books, const ExchangeId& exchange, std::uint16_t attempt) const {
    const RecentExchanges::Entry* const known = recent.find(exchange);
    if (known == nullptr || known->end == 0) return std::nullopt;
    Result<ExchangeReport> report = books.exchange(exchange);
    if (!report) return std::nullopt;
    const AttemptFacts* const facts = attempt_of(*report, attempt);
    return facts != nullptr ? std::optional<AttemptFacts>(*facts) : std::nullopt;
}

Result<ExchangeReport> Books::exchange(const ExchangeId& id) const {
    const Impl& impl = *impl_;
    std::vector<Journal::Range> ranges;
    if (const RecentExchanges::Entry* const known = impl.recent.find(id)) {
        ranges.push_back({std::max(known->begin, impl.journal->begin()), impl.journal->end()});
    } else {
        ranges = impl.journal->files_of(id.time());
    }
    ExchangeReport report;
    report.exchange = id;
    bool found = false;
    bool whole = false;
    const auto read = [&](std::uint64_t, std::string_view payload) -> Status {
        if (ledger::exchange_of(payload) != id) return {};
        found = true;
        ENTREPOT_TRY(const ledger::Record record, ledger::decode(payload));
        whole = impl.add_to_report(record, report);
        return whole ? stop_reading() : Status();
    };
    for (const Journal::Range& range : ranges) {
        const Status scanned = impl.journal->scan(range.from, range.to, read);
        if (whole) break;
        if (!scanned) return std::unexpected(scanned.error());
    }
    if (!found)
        return fail(
            ErrorCode::kNotFound, fmt::format("the books have no exchange {}", id.to_string()));
    return report;
}

Result<ChargeReader> Books::charges(Instant since, Instant until, ChargeKinds kinds) {
    ENTREPOT_TRY_DO(checkpoint());
    return ChargeReader::open(impl_->options.data, since, until, kinds);
}

Result<std::vector<UnverifiedAttempt>> Books::unverified() {
    ENTREPOT_TRY_DO(checkpoint());
    ENTREPOT_TRY(const BooksDb* const db, impl_->books_to_read());
    ENTREPOT_TRY(const auto rows, db->unverified());
    std::vector<UnverifiedAttempt> all;
    for (const BooksDb::UnverifiedRow& row : rows)
        all.push_back(impl_->describe(row.hold, row.amount));
    return all;
}

VerifyReport Books::check() {
    VerifyReport report;
    report.differences = impl_->ledger.verify();
    report.accounts = impl_->ledger.account_count();
    report.open_attempts = impl_->ledger.open_attempts();
    report.debits = impl_->ledger.debits();
    report.credits = impl_->ledger.credits();
    std::vector<std::string>& wrong = report.differences;
    if (const Status written = checkpoint(); !written) wrong.push_back(written.error().message);
    if (const Result<UsageTable> usage = query_usage(impl_->options.data, {}); !usage) {
        wrong.push_back(usage.error().message);
    } else if (usage->total.cost != report.debits) {
        wrong.push_back(fmt::format("the usage rows cost {}, the accounts were debited {}",
            usage->total.cost.to_decimal(), report.debits.to_decimal()));
    }
    return report;
}

VerifyReport Books::verify() {
    VerifyReport report = check();
    prove(report);
    return report;
}

void Books::prove(VerifyReport& report) const {
    const std::unique_lock still = impl_->compactor->hold_still();
    prove_books(impl_->options.data, *impl_->journal, report);
}

Result<BackupFacts> Books::backup(const std::filesystem::path& folder, Instant now) const {
    const std::unique_lock still = impl_->compactor->hold_still();
    return make_backup({impl_->options.data, *impl_->journal, folder}, now);
}

}  // namespace entrepot::store
