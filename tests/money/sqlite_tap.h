#pragma once

#include <cstdint>
#include <string>

namespace entrepot::rig {

/// What SQLite is about to do to a file.
enum class SqliteStep : std::uint8_t { kOpen, kWrite, kSync, kTruncate, kDelete };

/// How a step goes.
enum class Outcome : std::uint8_t { kWell, kFails, kFailsHalfway, kFull };

/// Stands between SQLite and the system. Any thread.
class SqliteTap {
public:
    virtual ~SqliteTap() = default;
    /// Before a step, which `after` follows.
    [[nodiscard]] virtual Outcome before(SqliteStep step, const std::string& path) = 0;
    virtual void after(SqliteStep step, const std::string& path) = 0;
};

/// From now on every SQLite connection of the process that opens a file under `folder` goes through
/// `tap`; null: none does. Connections that are open must be closed first.
void tap_sqlite(SqliteTap* tap, std::string folder);

}  // namespace entrepot::rig
