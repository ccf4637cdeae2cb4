#include "store/checked_vfs.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/xxhash.h"

namespace entrepot::store {

namespace {

constexpr std::size_t kPageBytesMax = 65'536;
// Of SQLite's file format: where the first page says how pages are made.
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kPageSizeAt = 16;
constexpr std::size_t kReserveAt = 20;
constexpr std::size_t kFormatBytes = 100;

thread_local std::string damage;

struct CheckedFile {
    sqlite3_file base;
    sqlite3_file* inner;
    std::string* path;
    int page_bytes;  ///< 0: pages of this file have no checksum, or are not known yet
    bool is_main;
    bool is_known;  ///< a first page went by
};

CheckedFile* own(sqlite3_file* file) { return reinterpret_cast<CheckedFile*>(file); }
sqlite3_file* inner(sqlite3_file* file) { return own(file)->inner; }

std::uint64_t check_of(const void* page, int size, sqlite3_int64 at) {
    return XXH3_64bits_withSeed(page, static_cast<std::size_t>(size - kPageCheckBytes),
        static_cast<std::uint64_t>(at) ^ 0x7061'6765'6368'6563ULL);
}

/// Whenever the beginning of the first page goes by.
void look_at_format(CheckedFile& file, const void* bytes, int size, sqlite3_int64 at) {
    if (!file.is_main || at != 0 || size < static_cast<int>(kFormatBytes)) return;
    std::array<unsigned char, kFormatBytes> head{};
    std::memcpy(head.data(), bytes, head.size());
    if (std::memcmp(head.data(), kMagic.data(), kMagic.size()) != 0) return;
    int page_bytes = head[kPageSizeAt] << 8 | head[kPageSizeAt + 1];
    if (page_bytes == 1) page_bytes = static_cast<int>(kPageBytesMax);
    file.page_bytes = head[kReserveAt] == kPageCheckBytes ? page_bytes : 0;
    file.is_known = true;
}

bool is_page(const CheckedFile& file, int size, sqlite3_int64 at) {
    return file.page_bytes != 0 && size == file.page_bytes && at % size == 0;
}

bool is_zero(const char* bytes, std::size_t size) {
    return bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0;
}

int close_file(sqlite3_file* file) {
    const int code = inner(file)->pMethods->xClose(inner(file));
    sqlite3_free(own(file)->inner);
    delete own(file)->path;
    return code;
}

int read_at(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    const int code = inner(file)->pMethods->xRead(inner(file), to, size, at);
    if (code != SQLITE_OK) return code;
    CheckedFile& mine = *own(file);
    look_at_format(mine, to, size, at);
    if (!is_page(mine, size, at)) return code;
    const char* const page = static_cast<const char*>(to);
    std::uint64_t stored = 0;
    std::memcpy(&stored, page + size - kPageCheckBytes, sizeof stored);
    if (stored == check_of(to, size, at)) return code;
    // A page that was given a place and nothing yet.
    if (is_zero(page, static_cast<std::size_t>(size))) return code;
    damage = fmt::format(
        "{}: the page at offset {} does not check: its bytes are not those that "
        "were written",
        *mine.path, at);
    return SQLITE_IOERR_DATA;
}

/// VACUUM INTO writes what its cache has no place for before the first page, which says how pages
/// are made: these get their checksums once that one comes.
int check_earlier_pages(CheckedFile& file) {
    const auto size = static_cast<sqlite3_int64>(file.page_bytes);
    sqlite3_file* const to = file.inner;
    sqlite3_int64 end = 0;
    int code = to->pMethods->xFileSize(to, &end);
    alignas(8) std::array<char, kPageBytesMax> page;
    for (sqlite3_int64 at = size; code == SQLITE_OK && at + size <= end; at += size) {
        code = to->pMethods->xRead(to, page.data(), file.page_bytes, at);
        if (code != SQLITE_OK || is_zero(page.data(), static_cast<std::size_t>(size))) continue;
        const std::uint64_t check = check_of(page.data(), file.page_bytes, at);
        std::memcpy(page.data() + size - kPageCheckBytes, &check, sizeof check);
        code = to->pMethods->xWrite(to, page.data(), file.page_bytes, at);
    }
    return code;
}

int write_at(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    CheckedFile& mine = *own(file);
    const bool was_known = mine.is_known;
    look_at_format(mine, from, size, at);
    if (!was_known && mine.page_bytes != 0) [[unlikely]] {
        if (const int code = check_earlier_pages(mine); code != SQLITE_OK) return code;
    }
    if (!is_page(mine, size, at)) return inner(file)->pMethods->xWrite(inner(file), from, size, at);
    alignas(8) std::array<char, kPageBytesMax> page;
    const auto checked = static_cast<std::size_t>(size - kPageCheckBytes);
    std::memcpy(page.data(), from, checked);
    const std::uint64_t check = check_of(from, size, at);
    std::memcpy(page.data() + checked, &check, sizeof check);
    return inner(file)->pMethods->xWrite(inner(file), page.data(), size, at);
}

int truncate_to(sqlite3_file* file, sqlite3_int64 size) {
    return inner(file)->pMethods->xTruncate(inner(file), size);
}
int sync_file(sqlite3_file* file, int flags) {
    return inner(file)->pMethods->xSync(inner(file), flags);
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

// Version 2: without pages of the file in memory, which nobody would check.
const sqlite3_io_methods kMethods{2, close_file, read_at, write_at, truncate_to, sync_file, size_of,
    lock_file, unlock_file, is_reserved, control, sector_size, characteristics, shm_map, shm_lock,
    shm_barrier, shm_unmap, nullptr, nullptr};

/// Looked up each time: a test may have put itself in front of the system.
sqlite3_vfs* under() { return sqlite3_vfs_find(nullptr); }

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    file->pMethods = nullptr;
    sqlite3_vfs* const system = under();
    CheckedFile& mine = *own(file);
    mine.inner = static_cast<sqlite3_file*>(sqlite3_malloc(system->szOsFile));
    if (mine.inner == nullptr) return SQLITE_NOMEM;
    std::memset(mine.inner, 0, static_cast<std::size_t>(system->szOsFile));
    const int code = system->xOpen(system, name, mine.inner, flags, out_flags);
    if (mine.inner->pMethods == nullptr) {
        sqlite3_free(mine.inner);
        return code;
    }
    mine.path = new std::string(name != nullptr ? name : "");
    mine.page_bytes = 0;
    mine.is_known = false;
    mine.is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    file->pMethods = &kMethods;
    return code;
}

int delete_file(sqlite3_vfs*, const char* name, int syncs) {
    return under()->xDelete(under(), name, syncs);
}

}  // namespace

void register_checked_vfs() {
    static sqlite3_vfs vfs;
    static std::once_flag once;
    std::call_once(once, [] {
        vfs = *under();
        vfs.zName = kCheckedVfs;
        vfs.szOsFile = sizeof(CheckedFile);
        vfs.xOpen = open_file;
        vfs.xDelete = delete_file;
        ENTREPOT_CHECK(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
    });
}

std::string take_damage() { return std::exchange(damage, {}); }

}  // namespace entrepot::store
