#include "script.h"

#include <algorithm>

#include "base/check.h"

namespace entrepot::rig {

namespace {

using ledger::OwnerKind;

Money cents(std::int64_t n) { return Money::from_pico(static_cast<Int128>(n) * 10'000'000'000); }

/// Amounts with all their twelve decimals.
Money random_amount(Random& random) {
    return Money::from_pico(static_cast<Int128>(random.between(0, 2'000'000'000'000)));
}

std::string attempt_text(
    std::size_t number, char state, Money held, Money cost, Money over, bool unverified) {
    return fmt::format(" {}{} held {} cost {} over {}{}", number, state, held.to_decimal(),
        cost.to_decimal(), over.to_decimal(), unverified ? " unverified" : "");
}

std::string sum_text(std::string_view kind, std::string_view owner, std::string_view period,
    Instant begin, Money settled, Money overdraft) {
    return fmt::format("{} {} {} from {}: settled {} overdraft {}\n", kind, owner, period, begin.ns,
        settled.to_decimal(), overdraft.to_decimal());
}

}  // namespace

ExchangeId exchange_id(std::uint64_t n) {
    return ExchangeId::make(
        kStart + nanoseconds(static_cast<std::int64_t>(n) * 1'000'000), {n * 0x9e37, n});
}

Model new_model() {
    const std::vector<PathNames> paths{{"key-a", "team-1", "org"}, {"key-b", "team-1", "org"},
        {"key-c", "team-2", "org"}, {"key-free", "", ""}};
    const TimeZone utc = TimeZone::utc();
    return Model(paths,
        {{OwnerKind::kKey, "key-a", cents(1'500), PeriodKind::kDay, utc},
            {OwnerKind::kKey, "key-b", cents(2'000), PeriodKind::kTotal, utc},
            {OwnerKind::kTeam, "team-1", cents(2'500), PeriodKind::kDay, utc},
            {OwnerKind::kTeam, "team-1", cents(9'000), PeriodKind::kMonth, utc},
            {OwnerKind::kOrg, "org", cents(9'500), PeriodKind::kMonth, utc}});
}

bool Model::stands_over(const ledger::BudgetSpec& budget, std::size_t path) const {
    const PathNames& names = paths_[path];
    switch (budget.owner_kind) {
        case OwnerKind::kKey: return budget.owner == names.key;
        case OwnerKind::kTeam: return budget.owner == names.team;
        case OwnerKind::kOrg: return budget.owner == names.org;
        default: return false;
    }
}

bool Model::is_bounded(std::size_t path) const {
    return std::ranges::any_of(
        budgets_, [&](const ledger::BudgetSpec& budget) { return stands_over(budget, path); });
}

void Model::apply(const Op& op) {
    if (op.kind == Op::Kind::kName) return;
    if (op.kind == Op::Kind::kEndOpen) {
        for (auto& [n, exchange] : exchanges_) {
            for (Attempt& attempt : exchange.attempts) {
                if (attempt.state != Attempt::State::kHeld) continue;
                attempt.state = Attempt::State::kSettled;
                attempt.cost = attempt.held;
                attempt.unverified = true;
            }
            exchange.closed = true;
        }
        return;
    }
    Exchange& exchange = exchanges_[op.exchange];
    if (op.kind == Op::Kind::kHold) {
        exchange.attempts.push_back(
            {Attempt::State::kHeld, op.amount, Money(), false, op.path, op.dispatch});
        return;
    }
    if (op.kind == Op::Kind::kClose) {
        exchange.closed = true;
        return;
    }
    Attempt& attempt = exchange.attempts.at(op.attempt - 1u);
    if (op.kind == Op::Kind::kResize) attempt.held = op.amount;
    if (op.kind == Op::Kind::kRelease) attempt.state = Attempt::State::kReleased;
    if (op.kind == Op::Kind::kSettle) {
        attempt.state = Attempt::State::kSettled;
        attempt.cost = op.amount;
    }
}

Model::Sums Model::sums_of(const ledger::BudgetSpec& budget, const Period& period) const {
    Sums sums;
    for (const auto& [n, exchange] : exchanges_) {
        for (const Attempt& attempt : exchange.attempts) {
            if (!stands_over(budget, attempt.path)) continue;
            if (attempt.dispatch < period.begin || attempt.dispatch >= period.end) continue;
            if (attempt.state == Attempt::State::kHeld) sums.held += attempt.held;
            if (attempt.state != Attempt::State::kSettled) continue;
            sums.settled += attempt.cost;
            if (attempt.cost > attempt.held) sums.overdraft += attempt.cost - attempt.held;
        }
    }
    return sums;
}

bool Model::fits(std::size_t path, Instant at, Money more) const {
    return std::ranges::all_of(budgets_, [&](const ledger::BudgetSpec& budget) {
        if (!stands_over(budget, path)) return true;
        const Sums sums = sums_of(budget, budget.zone.period_of(budget.period, at));
        return budget.limit - sums.settled - sums.held >= more;
    });
}

std::string Model::exchanges_text() const {
    std::string text;
    for (const auto& [n, exchange] : exchanges_) {
        text += fmt::format("{}{}", n, exchange.closed ? " closed" : "");
        for (std::size_t i = 0; i < exchange.attempts.size(); ++i) {
            const Attempt& attempt = exchange.attempts[i];
            const bool bounded = is_bounded(attempt.path);
            const bool over = bounded && attempt.cost > attempt.held;
            text += attempt_text(i + 1, "HSR"[static_cast<std::size_t>(attempt.state)],
                bounded ? attempt.held : Money(), attempt.cost,
                over ? attempt.cost - attempt.held : Money(), attempt.unverified);
        }
        text += '\n';
    }
    return text;
}

std::string Model::sums_text() const {
    std::vector<std::string> lines;
    for (const ledger::BudgetSpec& budget : budgets_) {
        for (const Instant at : {kStart, kNextDay}) {
            const Period period = budget.zone.period_of(budget.period, at);
            const Sums sums = sums_of(budget, period);
            lines.push_back(sum_text(ledger::owner_kind_name(budget.owner_kind), budget.owner,
                period_kind_name(budget.period), period.begin, sums.settled, sums.overdraft));
        }
    }
    std::ranges::sort(lines);
    lines.erase(std::ranges::unique(lines).begin(), lines.end());
    Money all;
    for (const auto& [n, exchange] : exchanges_)
        for (const Attempt& attempt : exchange.attempts) all += attempt.cost;
    return fmt::format("{}all {}\n", fmt::join(lines, ""), all.to_decimal());
}

Op random_op(const Model& model, std::uint64_t next_exchange, Random& random) {
    Op op;
    std::vector<std::pair<std::uint64_t, const Model::Exchange*>> open;
    for (const auto& [n, exchange] : model.exchanges())
        if (!exchange.closed) open.emplace_back(n, &exchange);
    const bool begins = open.empty() || (open.size() < 6 && random.one_in(3));
    op.dispatch = random.one_in(4) ? kNextDay : kStart;
    if (!begins) {
        const auto& [n, exchange] = open[random.below(open.size())];
        const Model::Attempt& last = exchange->attempts.back();
        op.exchange = n;
        op.attempt = static_cast<std::uint16_t>(exchange->attempts.size());
        op.path = last.path;
        const bool bounded = model.is_bounded(last.path);
        if (last.state == Model::Attempt::State::kHeld) {
            const std::uint64_t choice = random.below(8);
            if (choice == 0 && bounded) {
                const Money more = random_amount(random);
                op.kind = Op::Kind::kResize;
                op.amount = last.held + more;
                if (model.fits(last.path, last.dispatch, more) && !more.is_zero()) return op;
            }
            if (choice == 1 && bounded && !last.held.is_zero()) {
                op.kind = Op::Kind::kResize;
                op.amount = Money::from_pico(last.held.pico() / 3);
                return op;
            }
            if (choice <= 2) {
                op.kind = Op::Kind::kRelease;
                return op;
            }
            op.kind = Op::Kind::kSettle;
            op.amount = random.one_in(6) ? last.held + random_amount(random)
                                         : Money::from_pico(last.held.pico() * 7 / 9);
            return op;
        }
        if (exchange->attempts.size() >= 3 || !random.one_in(3)) {
            op.kind = Op::Kind::kClose;
            return op;
        }
        ++op.attempt;
        op.kind = Op::Kind::kHold;
        op.amount = bounded ? random_amount(random) : Money();
        if (model.fits(op.path, op.dispatch, op.amount)) return op;
        op.attempt = 1;  // no room for another attempt
        op.kind = Op::Kind::kClose;
        return op;
    }
    op.kind = Op::Kind::kHold;
    op.exchange = next_exchange;
    for (int tries = 0; tries < 20; ++tries) {
        op.path = random.below(model.paths().size());
        op.amount = model.is_bounded(op.path) ? random_amount(random) : Money();
        if (model.fits(op.path, op.dispatch, op.amount)) return op;
    }
    op = Op{};
    return op;  // a name: the budgets are used up
}

Made make(store::Books& books, const Model& model, const Op& op, std::size_t serial) {
    const auto made = [](const auto& result) {
        if (result) return Made{true, {}, {}, 0};
        return Made{false, result.error().code, result.error().message, 0};
    };
    switch (op.kind) {
        case Op::Kind::kHold: {
            const PathNames& names = model.paths()[op.path];
            ledger::HoldRequest request;
            request.exchange = exchange_id(op.exchange);
            request.attempt = op.attempt;
            const auto path = books.path(names.key, names.team, names.org);
            if (!path) return made(path);
            const auto route = books.route("model", "model/cloud", "cloud");
            if (!route) return made(route);
            request.path = *path;
            request.route = *route;
            if (model.is_bounded(op.path)) request.amount = op.amount;
            request.dispatch = op.dispatch;
            const auto ticket = books.hold(request);
            Made result = made(ticket);
            if (ticket) result.position = ticket->position;
            return result;
        }
        case Op::Kind::kResize: {
            const Money held = model.exchanges().at(op.exchange).attempts.at(op.attempt - 1u).held;
            if (op.amount > held)
                return made(books.extend(exchange_id(op.exchange), op.attempt, op.amount));
            return made(books.shrink(exchange_id(op.exchange), op.attempt, op.amount));
        }
        case Op::Kind::kSettle: {
            ledger::SettleRequest request;
            request.cost = request.list_cost = op.amount;
            request.usage[canon::Meter::kInput] = static_cast<std::int64_t>(op.exchange) + 1;
            request.at = kNextDay;
            return made(books.settle(exchange_id(op.exchange), op.attempt, request));
        }
        case Op::Kind::kRelease:
            return made(books.release(exchange_id(op.exchange), op.attempt, kNextDay));
        case Op::Kind::kClose: {
            ledger::ExchangeClose facts;
            facts.exchange = exchange_id(op.exchange);
            facts.at = kNextDay;
            facts.status = 200;
            return made(books.close(facts));
        }
        case Op::Kind::kName:
            return made(books.name(fmt::format("{}-{}", serial, std::string(490, 'n'))));
        case Op::Kind::kEndOpen: break;
    }
    return {};
}

std::string exchanges_text(const store::Books& books, std::uint64_t exchanges) {
    std::string text;
    for (std::uint64_t n = 0; n < exchanges; ++n) {
        const Result<store::ExchangeReport> report = books.exchange(exchange_id(n));
        if (!report) {
            if (report.error().code != ErrorCode::kNotFound) text += report.error().message + '\n';
            continue;
        }
        text += fmt::format("{}{}", n, report->closed ? " closed" : "");
        for (const store::AttemptFacts& attempt : report->attempts) {
            text += attempt_text(attempt.attempt, "HSR"[static_cast<std::size_t>(attempt.state)],
                attempt.held, attempt.cost, attempt.overdraft,
                (attempt.flags & ledger::settle_flag::kUnverified) != 0);
        }
        text += '\n';
    }
    return text;
}

std::string sums_text(const store::Books& books) {
    std::vector<std::string> lines;
    for (const Instant at : {kStart, kNextDay}) {
        for (const store::BudgetStanding& budget : books.budgets(at)) {
            lines.push_back(sum_text(ledger::owner_kind_name(budget.owner_kind), budget.owner,
                period_kind_name(budget.period_kind), budget.period.begin, budget.settled,
                budget.overdraft));
            if (!budget.held.is_zero() || budget.open_holds != 0)
                lines.push_back("a hold is left open\n");
        }
    }
    std::ranges::sort(lines);
    lines.erase(std::ranges::unique(lines).begin(), lines.end());
    return fmt::format("{}", fmt::join(lines, ""));
}

}  // namespace entrepot::rig
