#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "store/file_ops.h"
#include "store/journal.h"
#include "store/projections.h"
#include "store/usage_query.h"

namespace entrepot::store {

struct RebuildOptions {
    std::filesystem::path data;
    /// Also where settings, audit log and notices cannot be read or are not there any more.
    bool without_settings = false;
    FileOps* files = nullptr;
};

struct RebuildReport {
    std::uint64_t from = 0;       ///< the position of the base
    std::uint64_t position = 0;   ///< where the books stand now
    std::uint64_t records = 0;    ///< read again
    std::uint64_t bytes_cut = 0;  ///< of a torn last record
    /// Where the old books.db was not what the journal says, at its own position.
    std::vector<std::string> differences;
    std::string old_unread;  ///< why the old books.db could not be compared; empty when it was
    std::vector<TableDigest> tables;
};

/// Makes books.db anew from the base and the journal, beside the old one, which goes to `replaced/`
/// once the new one is whole. What is in books.db and no projection is taken over. Takes the lock:
/// never beside a running gateway. Errors: kStoreLocked, kJournalCorrupt (what is missing or
/// damaged), kIo; nothing is changed then.
[[nodiscard]] Result<RebuildReport> rebuild_books(const RebuildOptions& options, Instant now);

/// Reads base and journal again up to where books.db stands and adds every table that differs to
/// `report`. Any thread; the journal keeps its files meanwhile (Compactor::hold_still).
void prove_books(const std::filesystem::path& data, const Journal& journal, VerifyReport& report);

}  // namespace entrepot::store
