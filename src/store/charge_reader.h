#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "base/ids.h"
#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "catalog/tier.h"
#include "ledger/types.h"

namespace entrepot::store {

/// What the books have of one hour, one meter and one set of what they are kept by; or one
/// correction. Text is borrowed until the next row is read.
struct ChargeRow {
    Instant hour;  ///< its first moment
    std::string_view org, team, project, key, end_user, tags;
    std::string_view model, offer, cloud, contract, rate_version;
    catalog::Tier tier = catalog::Tier::kStandard;
    std::int64_t ctx_over = 0;
    std::uint8_t meter = 0;  ///< canon::Meter, ledger::kRestMeter or ledger::kAdjustMeter
    std::int64_t quantity = 0;
    Money cost;  ///< signed for corrections
    Money list_cost;
    /// The correction, of kAdjustMeter: null where single ones could not be told apart.
    const ledger::AdjustRequest* correction = nullptr;
    std::string_view reason;  ///< of the correction
};

enum class ChargeKinds : std::uint8_t { kAll, kCorrections };

/// Reads charges row by row, as of one checkpoint, in bounded memory (corrections of the time are
/// kept, as the ledger keeps them). While one is open the file cannot shrink its write-ahead log.
/// Thread rule: one thread at a time.
class ChargeReader {
public:
    /// Of the hours that `since` and `until` are in, the latter's only when it is past its begin.
    /// By hour; corrections stand where they were booked. Errors: kIo, kNotFound.
    [[nodiscard]] static Result<ChargeReader> open(const std::filesystem::path& data, Instant since,
        Instant until, ChargeKinds kinds = ChargeKinds::kAll);
    ChargeReader(ChargeReader&&) noexcept;
    ~ChargeReader();

    /// False at the end. Errors: kIo.
    [[nodiscard]] Result<bool> next(ChargeRow& row);

private:
    struct Impl;
    explicit ChargeReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::store
