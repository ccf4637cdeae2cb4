#pragma once

#include <cstdint>
#include <filesystem>

#include "base/money.h"
#include "base/result.h"
#include "base/time.h"

namespace entrepot::store {

class FileOps;
class Journal;

/// A backup is a folder: `books.db` (books, settings, audit log, notices) as of one position,
/// `kept.db`, the files of the journal from that position on, and, written last, `manifest.json`
/// with the length and SHA-256 of each and what the books come to. Without a manifest it is none.
struct BackupFacts {
    std::uint64_t books_position = 0;  ///< of books.db in it
    std::uint64_t position = 0;        ///< up to which the journal in it goes
    Instant made;
    std::uint64_t open_attempts = 0;
    Money debits;
    Money credits;
    std::uint64_t bytes = 0;
    friend bool operator==(const BackupFacts&, const BackupFacts&) = default;
};

struct BackupSource {
    const std::filesystem::path& data;
    const Journal& journal;
    const std::filesystem::path& folder;
};
/// Copies, proves the copy (prove_backup), then writes the manifest. No file of the journal may go
/// meanwhile. Any thread. Errors: kInvalidField (the folder is there and not empty), kIo.
[[nodiscard]] Result<BackupFacts> make_backup(const BackupSource& from, Instant now);

/// Every file against the manifest, every page, and the books in it: they add up, usage comes to
/// what was debited, and they come to what the manifest says. Errors: kNotFound (no backup there),
/// kJournalCorrupt, kIo; each names the file.
[[nodiscard]] Result<BackupFacts> prove_backup(const std::filesystem::path& folder);

struct RestoreOptions {
    std::filesystem::path folder;
    std::filesystem::path data;  ///< made when absent
    bool replace = false;        ///< also where there are books already; they go to `replaced/`
    FileOps* files = nullptr;
};
/// Copies a backup beside what is there, proves the copy, then puts all of it in place. What was
/// open when it was made is ended as after a crash by the next start. Takes the lock. Errors: as of
/// prove_backup; kStoreLocked; kInvalidField (there are books already). Nothing is changed then.
[[nodiscard]] Result<BackupFacts> restore_backup(const RestoreOptions& options);

}  // namespace entrepot::store
