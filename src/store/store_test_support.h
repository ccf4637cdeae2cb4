#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "base/check.h"
#include "store/books.h"

namespace entrepot::store::test {

/// A folder of its own that goes when the test does.
class Folder {
public:
    explicit Folder(std::string_view name)
        : path_(parent() / fmt::format("entrepot-{}-{}", name, ::getpid())) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    /// Memory where there is some: hundreds of openings would otherwise wait for the disk, which no
    /// kill touches.
    static std::filesystem::path parent() {
        const std::filesystem::path memory = "/dev/shm";
        return std::filesystem::is_directory(memory) ? memory
                                                     : std::filesystem::temp_directory_path();
    }
    std::filesystem::path path_;
};

inline constexpr Instant kNow{1'763'900'000'000'000'000};

inline Money usd(const char* text) { return Money::parse(text).value(); }

inline BooksOptions small_books(const std::filesystem::path& data) {
    BooksOptions options;
    options.data = data;
    options.segment_bytes = 64 * 1024;
    options.journal_bytes_max = 4ULL << 20;
    return options;
}

/// Under a daily and a monthly budget of 100 000.
inline std::vector<ledger::BudgetSpec> wide_budgets() {
    return {{ledger::OwnerKind::kKey, "key", usd("100000.00"), PeriodKind::kDay, TimeZone::utc()},
        {ledger::OwnerKind::kOrg, "org", usd("100000.00"), PeriodKind::kMonth, TimeZone::utc()}};
}

inline ExchangeId exchange_id(std::uint64_t n) {
    return ExchangeId::make(
        kNow + nanoseconds(static_cast<std::int64_t>(n) * 1'000'000), {n * 0x9e37, n});
}

/// Exchange `n` in the path key, team, org at the amount.
inline Result<ledger::HoldTicket> hold(
    Books& books, std::uint64_t n, Money amount, std::uint16_t attempt = 1) {
    ledger::HoldRequest request;
    request.exchange = exchange_id(n);
    request.attempt = attempt;
    ENTREPOT_TRY(request.path, books.path("key", "team", "org"));
    ENTREPOT_TRY(request.route, books.route("model", "model/cloud", "cloud"));
    request.amount = amount;
    request.dispatch = kNow;
    return books.hold(request);
}

inline Result<ledger::Posting> settle(
    Books& books, std::uint64_t n, Money cost, std::uint16_t attempt = 1) {
    ledger::SettleRequest request;
    request.cost = request.list_cost = cost;
    request.usage[canon::Meter::kInput] = static_cast<std::int64_t>(n);
    request.usage[canon::Meter::kOutput] = 7;
    request.upstream_status = 200;
    request.at = kNow;
    return books.settle(exchange_id(n), attempt, request);
}

inline Status close(Books& books, std::uint64_t n) {
    ledger::ExchangeClose facts;
    facts.exchange = exchange_id(n);
    facts.at = kNow;
    facts.status = 200;
    facts.attempts = 1;
    facts.ended_by = ledger::EndedBy::kSupplier;
    return books.close(facts);
}

}  // namespace entrepot::store::test
