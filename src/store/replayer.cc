#include "store/replayer.h"

namespace entrepot::store {

namespace {

/// Between two writes: what they hold in memory stays small beside the ledger itself.
constexpr std::uint64_t kRecordsMax = 200'000;
/// How long an ended period stays in memory.
constexpr seconds kForgetAfter{48 * 3600};

}  // namespace

Result<std::unique_ptr<Replayer>> Replayer::open(
    const std::filesystem::path& file, FileOps* files) {
    ENTREPOT_TRY(BooksDb db, BooksDb::open_file(file, files));
    ENTREPOT_TRY(const Checkpoint there, db.load());
    std::unique_ptr<Replayer> made(new Replayer(std::move(db)));
    ENTREPOT_TRY_DO(made->ledger_.load(there.changes));
    made->position_ = made->written_ = there.position;
    return made;
}

Status Replayer::apply(std::uint64_t end, std::string_view payload) {
    ENTREPOT_TRY_DO(ledger_.apply(payload));
    position_ = end;
    ++records_;
    if (const std::optional<ExchangeId> id = ledger::exchange_of(payload))
        latest_ = std::max(latest_, id->time());
    if (records_ - records_written_ < kRecordsMax) return {};
    return write(latest_ - kForgetAfter);
}

Status Replayer::flush() {
    if (written_ == position_ && position_ != 0) return {};
    return write({INT64_MIN});
}

Status Replayer::write(Instant evict_before) {
    Checkpoint checkpoint;
    checkpoint.changes = ledger_.take_changes(evict_before);
    checkpoint.position = position_;
    ENTREPOT_TRY_DO(db_.write(checkpoint));
    written_ = position_;
    records_written_ = records_;
    return {};
}

Result<std::uint64_t> Replayer::append(std::string_view, ledger::LogClass, std::size_t) {
    return fail(ErrorCode::kInternal, "records are only read here");
}

// In the midst of a record, before it changed anything: what is written stands before it.
Result<std::optional<ledger::Account>> Replayer::recall(
    std::uint32_t budget, ledger::NameId end_user, Instant begin) {
    ENTREPOT_TRY_DO(flush());
    return db_.account(budget, end_user, begin);
}

Result<std::optional<ledger::Account>> Replayer::recall(ledger::AccountId account) {
    ENTREPOT_TRY_DO(flush());
    return db_.account(account);
}

}  // namespace entrepot::store
