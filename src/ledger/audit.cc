#include "ledger/audit.h"

#include <fmt/format.h>

#include <algorithm>

namespace entrepot::ledger {

Status Audit::read(std::string_view payload) {
    ENTREPOT_TRY(const Record record, decode(payload));
    ++records_;
    std::visit([this](const auto& one) { read_one(one); }, record);
    return {};
}

std::size_t Audit::open_attempts() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(attempts_, [](const auto& entry) { return !entry.second.over; }));
}

Audit::Entry* Audit::open_entry(
    const ExchangeId& exchange, std::uint16_t attempt, const char* what) {
    const auto found = attempts_.find({exchange, attempt});
    if (found != attempts_.end() && !found->second.over) return &found->second;
    differences_.push_back(fmt::format(
        "exchange {} attempt {} is {} and is not held", exchange.to_string(), attempt, what));
    return nullptr;
}

void Audit::read_one(const AccountRecord& record) {
    if (!accounts_.try_emplace(record.id).second) {
        differences_.push_back(
            fmt::format("account {} is opened twice", static_cast<std::uint32_t>(record.id)));
    }
}

void Audit::read_one(const HoldRecord& record) {
    Entry entry;
    entry.amount = record.amount;
    entry.accounts.assign(record.accounts.begin(), record.accounts.begin() + record.account_count);
    entry.spender = record.spender;
    entry.spender.end_user = entry.spender.tags = NameId::kNone;
    entry.cloud = record.route.cloud;
    entry.bounded = record.bounded;
    if (!attempts_.try_emplace({record.exchange, record.attempt}, entry).second) {
        differences_.push_back(fmt::format(
            "exchange {} attempt {} is held twice", record.exchange.to_string(), record.attempt));
        return;
    }
    for (const AccountId id : entry.accounts) {
        accounts_[id].held += entry.amount;
        ++accounts_[id].open;
    }
}

void Audit::read_one(const ResizeRecord& record) {
    Entry* const entry = open_entry(record.exchange, record.attempt, "resized");
    if (entry == nullptr) return;
    for (const AccountId id : entry->accounts) accounts_[id].held += record.amount - entry->amount;
    entry->amount = record.amount;
}

void Audit::read_one(const SettleRecord& record) {
    Entry* const entry = open_entry(record.exchange, record.attempt, "settled");
    if (entry == nullptr) return;
    const Money cost = record.request.cost;
    for (const AccountId id : entry->accounts) {
        Sums& sums = accounts_[id];
        sums.held -= entry->amount;
        --sums.open;
        sums.settled += cost;
        if (entry->bounded && cost > entry->amount) sums.overdraft += cost - entry->amount;
    }
    expenses_[entry->spender] += cost;
    payables_[{entry->cloud, record.request.contract}] += cost;
    entry->over = true;
}

void Audit::read_one(const ReleaseRecord& record) {
    Entry* const entry = open_entry(record.exchange, record.attempt, "released");
    if (entry == nullptr) return;
    for (const AccountId id : entry->accounts) {
        accounts_[id].held -= entry->amount;
        --accounts_[id].open;
    }
    entry->over = true;
}

void Audit::read_one(const AdjustRecord& record) {
    const AdjustRequest& request = record.request;
    for (std::size_t i = 0; i < record.account_count; ++i)
        accounts_[record.accounts[i]].settled += request.cost;
    Spender spender = request.spender;
    spender.end_user = spender.tags = NameId::kNone;
    expenses_[spender] += request.cost;
    payables_[{request.route.cloud, request.contract}] += request.cost;
}

void Audit::read_one(const CloseRecord& record) {
    auto at = attempts_.lower_bound({record.facts.exchange, 0});
    while (at != attempts_.end() && at->first.first == record.facts.exchange) {
        if (!at->second.over) {
            differences_.push_back(fmt::format("exchange {} is closed over its open attempt {}",
                record.facts.exchange.to_string(), at->first.second));
        }
        at = attempts_.erase(at);
    }
}

}  // namespace entrepot::ledger
