#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/money.h"
#include "base/result.h"
#include "base/time.h"
#include "ledger/types.h"

namespace entrepot::store {

/// A budget as people know it, and when somebody wants to be told of it.
struct WatchedBudget {
    ledger::OwnerKind owner_kind = ledger::OwnerKind::kKey;
    std::string owner;
    PeriodKind period = PeriodKind::kMonth;
    std::string zone;
    std::vector<std::int64_t> shares;  ///< percent, ascending; empty: never
    std::string webhook;

    /// `team/search/month/Europe/Stockholm`
    [[nodiscard]] std::string name() const;
};

/// One period of it, as of the last checkpoint of the books.
struct BudgetPeriod {
    Period period;
    Money limit, settled, held;
};

/// A share that has been reached and that nobody has been told of.
struct Crossing {
    WatchedBudget budget;
    BudgetPeriod at;
    std::int64_t share = 0;
    std::string id;  ///< the same for this budget, period and share, whenever it is asked
};

/// A notice on its way: `body` to be posted to `webhook`.
struct Notice {
    std::string budget;
    Instant period_begin, period_end;
    std::int64_t share = 0;
    std::string id, webhook, body;
    Instant noted;
    std::int64_t tries = 0;
};

/// What became of it.
enum class NoticeState : std::uint8_t { kPending, kTaken, kGivenUp };

/// Which shares of which budgets somebody has been told of, in the same SQLite file as the books,
/// on a connection of its own. It reads what checkpoints left, so that watching a budget costs the
/// core of the books nothing. Thread rule: one thread at a time.
class NoticeStore {
public:
    /// More than these do not wait: the receivers are gone for days, and a thousand budgets more
    /// would not be read either.
    static constexpr std::int64_t kPendingMax = 10'000;

    /// Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<NoticeStore>> open(
        const std::filesystem::path& data);
    ~NoticeStore();
    NoticeStore(const NoticeStore&) = delete;
    NoticeStore& operator=(const NoticeStore&) = delete;

    /// From now on these. Errors: kIo.
    [[nodiscard]] Status watch(std::vector<WatchedBudget> budgets);
    /// Whether anybody wrote to the file since the last call: else there is nothing new to find.
    [[nodiscard]] Result<bool> has_changed();
    /// Shares reached in the present period, or in one that ended within the last day, and not
    /// noted yet. Errors: kIo.
    [[nodiscard]] Result<std::vector<Crossing>> crossings(Instant now);
    /// Puts them on their way, once: one that is there stays. The number that found no room, which
    /// count as given up. Errors: kIo.
    [[nodiscard]] Result<std::size_t> note(std::span<const Notice> notices);
    /// Pending ones whose time has come, oldest first. Errors: kIo.
    [[nodiscard]] Result<std::vector<Notice>> due(
        std::string_view webhook, Instant now, std::size_t rows_max) const;
    /// After a try: what it came to, and when to try again if pending. Errors: kIo.
    [[nodiscard]] Status tried(
        const Notice& notice, NoticeState state, Instant next, std::string_view trouble);
    [[nodiscard]] Result<std::int64_t> pending() const;
    /// Gives up what is pending for webhooks that are not among `known`. The number of them.
    [[nodiscard]] Result<std::int64_t> give_up_others(std::span<const std::string> known);
    /// Forgets what was noted of periods that ended before. Errors: kIo.
    [[nodiscard]] Status forget_before(Instant end);

    /// What teams' and orgs' budgets stand at, at most `rows_max` of them. Errors: kIo.
    struct Standing {
        WatchedBudget budget;
        BudgetPeriod at;
    };
    [[nodiscard]] Result<std::vector<Standing>> shared_budgets(
        Instant now, std::size_t rows_max) const;

private:
    struct Impl;
    explicit NoticeStore(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace entrepot::store
