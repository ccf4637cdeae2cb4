#pragma once

#include <cstdint>
#include <cstring>

#include "base/ids.h"
#include "base/money.h"

namespace entrepot::ledger {

/// Mixes all 16 bytes into every bit of the result, for FlatIndex: ids need not be random.
struct ExchangeHash {
    std::size_t operator()(const ExchangeId& id) const {
        std::uint64_t halves[2];
        std::memcpy(halves, id.bytes.data(), sizeof halves);
        const Uint128 product = static_cast<Uint128>(halves[0] ^ 0x9e37'79b9'7f4a'7c15ULL) *
            (halves[1] ^ 0xd1b5'4a32'd192'ed03ULL);
        std::uint64_t hash =
            static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
        hash *= 0x9e37'79b9'7f4a'7c15ULL;
        return hash ^ hash >> 32;
    }
};

}  // namespace entrepot::ledger
