#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "ledger/state.h"

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
    /// An account that is no longer in memory, from the last checkpoint; by budget, end user and
    /// period begin, or by id. Only asked for periods that ended long ago, which a clock that went
    /// back has brought up again. Errors: kIo.
    [[nodiscard]] virtual Result<std::optional<Account>> recall(
        std::uint32_t budget, NameId end_user, Instant begin) = 0;
    [[nodiscard]] virtual Result<std::optional<Account>> recall(AccountId account) = 0;
};

}  // namespace entrepot::ledger
