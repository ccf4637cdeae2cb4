#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "ledger/exchange_hash.h"
#include "ledger/flat_index.h"

namespace entrepot::store {

/// Where the records of the last exchanges stand in the journal: a ring, found by id.
class RecentExchanges {
public:
    struct Entry {
        ExchangeId exchange;
        std::uint64_t begin = 0;  ///< position before its first record
        std::uint64_t end = 0;    ///< position after its last record; 0 while it is open
    };

    explicit RecentExchanges(std::size_t size) : entries_(size < 1 ? 1 : size) {}

    [[nodiscard]] const Entry* find(const ExchangeId& exchange) const {
        const std::uint32_t at = index_.find(exchange);
        return at == index_.kAbsent ? nullptr : &entries_[at];
    }
    /// A record of the exchange stands at [begin, end); `closes` says that it is the last.
    void note(const ExchangeId& exchange, std::uint64_t begin, std::uint64_t end, bool closes) {
        std::uint32_t at = index_.find(exchange);
        if (at == index_.kAbsent) {
            at = next_;
            next_ = next_ + 1 == entries_.size() ? 0 : next_ + 1;
            if (entries_[at].exchange != ExchangeId{}) index_.erase(entries_[at].exchange);
            entries_[at] = {exchange, begin, 0};
            index_.put(exchange, at);
        }
        if (closes) entries_[at].end = end;
    }

private:
    std::vector<Entry> entries_;
    ledger::FlatIndex<ExchangeId, ledger::ExchangeHash> index_;
    std::uint32_t next_ = 0;
};

}  // namespace entrepot::store
