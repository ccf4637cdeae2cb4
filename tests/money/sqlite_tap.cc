#include "sqlite_tap.h"

#include <sqlite3.h>

#include <cstring>
#include <new>

#include "base/check.h"

namespace entrepot::rig {

namespace {

struct Installed {
    sqlite3_vfs* system = nullptr;
    sqlite3_vfs vfs{};
    SqliteTap* tap = nullptr;
    std::string folder;
};

Installed& installed() {
    static Installed one;
    return one;
}

/// Ours in front, the system's file behind it in the same block of memory.
struct TappedFile {
    sqlite3_file base;
    std::string* path;
    SqliteTap* tap;  ///< null for files of other folders
};

constexpr std::size_t kHeaderBytes = (sizeof(TappedFile) + 15) / 16 * 16;

TappedFile* tapped(sqlite3_file* file) { return reinterpret_cast<TappedFile*>(file); }
sqlite3_file* inner(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + kHeaderBytes);
}

template <typename Do>
int guarded(sqlite3_file* file, SqliteStep step, int failure, Do&& action) {
    TappedFile* const own = tapped(file);
    if (own->tap == nullptr) return action(Outcome::kWell);
    const Outcome outcome = own->tap->before(step, *own->path);
    int code = failure;
    if (outcome == Outcome::kWell || outcome == Outcome::kFailsHalfway) code = action(outcome);
    if (outcome == Outcome::kFull) code = SQLITE_FULL;
    if (outcome == Outcome::kFailsHalfway) code = failure;
    own->tap->after(step, *own->path);
    return code;
}

int close_file(sqlite3_file* file) {
    const int code = inner(file)->pMethods->xClose(inner(file));
    delete tapped(file)->path;
    return code;
}
int read_at(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    return inner(file)->pMethods->xRead(inner(file), to, size, at);
}
int write_at(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    return guarded(file, SqliteStep::kWrite, SQLITE_IOERR_WRITE, [&](Outcome outcome) {
        const int taken = outcome == Outcome::kFailsHalfway ? size / 2 : size;
        return inner(file)->pMethods->xWrite(inner(file), from, taken, at);
    });
}
int truncate_to(sqlite3_file* file, sqlite3_int64 size) {
    return guarded(file, SqliteStep::kTruncate, SQLITE_IOERR_TRUNCATE, [&](Outcome outcome) {
        return outcome == Outcome::kWell ? inner(file)->pMethods->xTruncate(inner(file), size)
                                         : SQLITE_OK;
    });
}
int sync_file(sqlite3_file* file, int flags) {
    return guarded(file, SqliteStep::kSync, SQLITE_IOERR_FSYNC, [&](Outcome outcome) {
        return outcome == Outcome::kWell ? inner(file)->pMethods->xSync(inner(file), flags)
                                         : SQLITE_OK;
    });
}
int size_of(sqlite3_file* file, sqlite3_int64* size) {
    return inner(file)->pMethods->xFileSize(inner(file), size);
}
int lock_file(sqlite3_file* file, int kind) {
    return inner(file)->pMethods->xLock(inner(file), kind);
}
int unlock_file(sqlite3_file* file, int kind) {
    return inner(file)->pMethods->xUnlock(inner(file), kind);
}
int is_reserved(sqlite3_file* file, int* out) {
    return inner(file)->pMethods->xCheckReservedLock(inner(file), out);
}
int control(sqlite3_file* file, int operation, void* argument) {
    return inner(file)->pMethods->xFileControl(inner(file), operation, argument);
}
int sector_size(sqlite3_file* file) { return inner(file)->pMethods->xSectorSize(inner(file)); }
int characteristics(sqlite3_file* file) {
    return inner(file)->pMethods->xDeviceCharacteristics(inner(file));
}
int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
    return inner(file)->pMethods->xShmMap(inner(file), page, size, extend, out);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
    return inner(file)->pMethods->xShmLock(inner(file), offset, count, flags);
}
void shm_barrier(sqlite3_file* file) { inner(file)->pMethods->xShmBarrier(inner(file)); }
int shm_unmap(sqlite3_file* file, int removes) {
    return inner(file)->pMethods->xShmUnmap(inner(file), removes);
}

const sqlite3_io_methods kMethods{2, close_file, read_at, write_at, truncate_to, sync_file, size_of,
    lock_file, unlock_file, is_reserved, control, sector_size, characteristics, shm_map, shm_lock,
    shm_barrier, shm_unmap, nullptr, nullptr};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    Installed& own = installed();
    file->pMethods = nullptr;
    SqliteTap* const tap =
        name != nullptr && std::string_view(name).starts_with(own.folder) ? own.tap : nullptr;
    std::string path = name != nullptr ? name : "";
    if (tap != nullptr) {
        const Outcome outcome = tap->before(SqliteStep::kOpen, path);
        tap->after(SqliteStep::kOpen, path);
        if (outcome != Outcome::kWell) return SQLITE_CANTOPEN;
    }
    const int code = own.system->xOpen(own.system, name, inner(file), flags, out_flags);
    if (inner(file)->pMethods == nullptr) return code;
    tapped(file)->path = new std::string(std::move(path));
    tapped(file)->tap = tap;
    file->pMethods = &kMethods;
    return code;
}

int delete_file(sqlite3_vfs*, const char* name, int syncs) {
    Installed& own = installed();
    SqliteTap* const tap = std::string_view(name).starts_with(own.folder) ? own.tap : nullptr;
    if (tap != nullptr) {
        const Outcome outcome = tap->before(SqliteStep::kDelete, name);
        if (outcome != Outcome::kWell) {
            tap->after(SqliteStep::kDelete, name);
            return SQLITE_IOERR_DELETE;
        }
    }
    const int code = own.system->xDelete(own.system, name, syncs);
    if (tap != nullptr) tap->after(SqliteStep::kDelete, name);
    return code;
}

}  // namespace

void tap_sqlite(SqliteTap* tap, std::string folder) {
    Installed& own = installed();
    if (own.system == nullptr) {
        own.system = sqlite3_vfs_find(nullptr);
        own.vfs = *own.system;
        own.vfs.zName = "tapped";
        own.vfs.szOsFile = static_cast<int>(kHeaderBytes) + own.system->szOsFile;
        own.vfs.xOpen = open_file;
        own.vfs.xDelete = delete_file;
        ENTREPOT_CHECK(sqlite3_vfs_register(&own.vfs, 1) == SQLITE_OK);
    }
    own.tap = tap;
    own.folder = std::move(folder);
}

}  // namespace entrepot::rig
