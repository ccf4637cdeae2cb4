#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/money.h"

namespace entrepot::ledger {

/// Writes LEB128 numbers and bytes into a buffer the caller sized: kRecordBytesMax holds any
/// record.
class Encoder {
public:
    Encoder(char* out, std::size_t size) : begin_(out), at_(out), end_(out + size) {}

    void byte(std::uint8_t value) {
        ENTREPOT_CHECK(at_ < end_);
        *at_++ = static_cast<char>(value);
    }
    void number(std::uint64_t value) {
        while (value >= 0x80) {
            byte(static_cast<std::uint8_t>(value | 0x80));
            value >>= 7;
        }
        byte(static_cast<std::uint8_t>(value));
    }
    void signed_number(std::int64_t value) {
        number(static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63));
    }
    void money(Money value) {
        const Int128 pico = value.pico();
        Uint128 bits = static_cast<Uint128>(pico) << 1 ^ static_cast<Uint128>(pico >> 127);
        while (bits >= 0x80) {
            byte(static_cast<std::uint8_t>(bits | 0x80));
            bits >>= 7;
        }
        byte(static_cast<std::uint8_t>(bits));
    }
    void raw(const void* bytes, std::size_t size) {
        ENTREPOT_CHECK(size <= static_cast<std::size_t>(end_ - at_));
        std::memcpy(at_, bytes, size);
        at_ += size;
    }
    void text(std::string_view value) {
        number(value.size());
        raw(value.data(), value.size());
    }
    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(at_ - begin_); }

private:
    char* begin_;
    char* at_;
    char* end_;
};

/// Reads what an Encoder wrote. After any short, overlong or out-of-range field `ok()` is false and
/// every further read gives zero.
class Decoder {
public:
    explicit Decoder(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] bool at_end() const { return at_ == end_; }
    std::uint8_t byte() {
        if (at_ == end_) return fail();
        return static_cast<std::uint8_t>(*at_++);
    }
    std::uint64_t number() {
        const Uint128 wide = wide_number(64);
        return static_cast<std::uint64_t>(wide);
    }
    /// A number of at most `max`.
    std::uint64_t number_up_to(std::uint64_t max) {
        const std::uint64_t value = number();
        return value <= max ? value : fail();
    }
    template <typename T>
    T id() {
        return static_cast<T>(number_up_to(0xffff'ffff));
    }
    std::int64_t signed_number() {
        const std::uint64_t bits = number();
        return static_cast<std::int64_t>(bits >> 1 ^ (~(bits & 1) + 1));
    }
    Money money() {
        const Uint128 bits = wide_number(128);
        return Money::from_pico(static_cast<Int128>(bits >> 1 ^ (~(bits & 1) + 1)));
    }
    void raw(void* out, std::size_t size) {
        if (size > static_cast<std::size_t>(end_ - at_)) {
            fail();
            std::memset(out, 0, size);
            return;
        }
        std::memcpy(out, at_, size);
        at_ += size;
    }
    std::string_view text(std::size_t size_max) {
        const std::uint64_t size = number_up_to(size_max);
        if (!ok_ || size > static_cast<std::size_t>(end_ - at_)) {
            fail();
            return {};
        }
        const std::string_view value(at_, size);
        at_ += size;
        return value;
    }
    std::uint8_t fail() {
        ok_ = false;
        at_ = end_;
        return 0;
    }

private:
    Uint128 wide_number(unsigned bits_max) {
        Uint128 value = 0;
        for (unsigned shift = 0; shift < bits_max; shift += 7) {
            const std::uint8_t next = byte();
            if (!ok_) return 0;
            const Uint128 part = next & 0x7f;
            if (shift + 7 > bits_max && part >> (bits_max - shift) != 0) return fail();
            value |= part << shift;
            if (next < 0x80) {
                // One number, one spelling: replay then writes what it read.
                if (next == 0 && shift != 0) return fail();
                return value;
            }
        }
        return fail();
    }

    const char* at_;
    const char* end_;
    bool ok_ = true;
};

}  // namespace entrepot::ledger
