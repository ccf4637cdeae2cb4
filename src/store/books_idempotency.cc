// Idempotency keys in the books' tables.
#include <cstring>

#include "store/books_db.h"

namespace entrepot::store {
namespace {

template <typename Bytes>
std::string_view view_of(const Bytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename Bytes>
Status read(std::string_view from, Bytes& to) {
    if (from.size() != to.size())
        return fail(ErrorCode::kIo, "books.db: an idempotency key does not read as one");
    std::memcpy(to.data(), from.data(), to.size());
    return {};
}

}  // namespace

Status BooksDb::write_idempotency(const ledger::Changes& rows) {
    ENTREPOT_TRY(Statement gone, database_.prepare("DELETE FROM idempotency WHERE key=?"));
    for (const ledger::Fingerprint& key : rows.idempotency_gone)
        ENTREPOT_TRY_DO(gone.bind_blob(view_of(key)).run());
    ENTREPOT_TRY(Statement put,
        database_.prepare("INSERT OR REPLACE INTO idempotency VALUES(?,?,?,?,?,?,?)"));
    for (const ledger::IdempotencyEntry& row : rows.idempotency) {
        put.bind_blob(view_of(row.idempotency.key)).bind_blob(view_of(row.idempotency.request));
        put.bind_blob(view_of(row.exchange.bytes)).bind(static_cast<std::uint32_t>(row.client_key));
        put.bind(row.claimed.ns).bind(row.is_open ? 1 : 0);
        ENTREPOT_TRY_DO(put.bind(static_cast<std::uint32_t>(row.status)).run());
    }
    return {};
}

Result<std::vector<ledger::IdempotencyEntry>> BooksDb::idempotency() const {
    std::vector<ledger::IdempotencyEntry> rows;
    ENTREPOT_TRY(Statement query,
        database_.prepare("SELECT key,request,exchange,client_key,claimed_ns,open,status FROM "
                          "idempotency ORDER BY key"));
    for (;;) {
        ENTREPOT_TRY(const bool row, query.step());
        if (!row) return rows;
        ledger::IdempotencyEntry entry;
        ENTREPOT_TRY_DO(read(query.blob(0), entry.idempotency.key));
        ENTREPOT_TRY_DO(read(query.blob(1), entry.idempotency.request));
        ENTREPOT_TRY_DO(read(query.blob(2), entry.exchange.bytes));
        entry.client_key = static_cast<ledger::NameId>(query.number(3));
        entry.claimed = {query.number(4)};
        entry.is_open = query.number(5) != 0;
        entry.status = static_cast<std::uint16_t>(query.number(6));
        rows.push_back(entry);
    }
}

}  // namespace entrepot::store
