#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace entrepot::ledger {

/// Whether a record begins something (and may be refused when room is short) or ends it (room was
/// kept for it).
enum class LogClass : std::uint8_t { kBegin, kEnd };

/// Where the ledger writes each record before it acts on it. The store has the durable one.
class Log {
public:
    virtual ~Log() = default;
    /// Appends one payload, durable against the end of the process when it returns; the new end
    /// position. `open_attempts` may each still write kEndingBytesMax: a kBegin record leaves that
    /// much room or is refused. Errors: kJournalFull.
    [[nodiscard]] virtual Result<std::uint64_t> append(
        std::string_view payload, LogClass log_class, std::size_t open_attempts) = 0;
};

}  // namespace entrepot::ledger
