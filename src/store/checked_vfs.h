#pragma once

#include <string>

namespace entrepot::store {

/// SQLite's name of the file layer under which the last eight bytes of each page of a database are
/// a checksum of the page and of its place. A page that does not check is not read: SQLite answers
/// SQLITE_IOERR_DATA. Only of files that were made so: others are read as they are.
inline constexpr const char* kCheckedVfs = "entrepot-checked";
inline constexpr int kPageCheckBytes = 8;

/// Makes it known to SQLite, over whatever is its default. Any thread, any number of times.
void register_checked_vfs();

/// Which file and page did not check when this thread read one, since it last asked; empty when all
/// did.
[[nodiscard]] std::string take_damage();

}  // namespace entrepot::store
