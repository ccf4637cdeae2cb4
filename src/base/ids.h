#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace entrepot {

/// A name with a meaning of its own; two kinds never mix. Explicit to make, `view()` to read.
template <typename Tag>
class Name {
public:
    Name() = default;
    explicit Name(std::string value) : value_(std::move(value)) {}
    explicit Name(std::string_view value) : value_(value) {}
    explicit Name(const char* value) : value_(value) {}
    [[nodiscard]] const std::string& str() const { return value_; }
    [[nodiscard]] std::string_view view() const { return value_; }
    [[nodiscard]] bool empty() const { return value_.empty(); }
    friend auto operator<=>(const Name&, const Name&) = default;

private:
    std::string value_;
};

using ModelId = Name<struct ModelTag>;  ///< what clients ask for: `claude-sonnet-4-5`
using CloudId = Name<struct CloudTag>;  ///< one configured endpoint: `aws`
using OfferId = Name<struct OfferTag>;  ///< a model at a cloud: `claude-sonnet-4-5/aws`
using KeyId = Name<struct KeyTag>;
using TeamId = Name<struct TeamTag>;
using ProjectId = Name<struct ProjectTag>;
using OrgId = Name<struct OrgTag>;

/// A UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then 74 random bits. Names one exchange.
struct ExchangeId {
    std::array<std::uint8_t, 16> bytes{};

    /// `random` supplies 80 bits, of which 74 are used.
    [[nodiscard]] static ExchangeId make(Instant now, std::array<std::uint64_t, 2> random);
    /// Parses the 36-character form. Errors: kInvalidField.
    [[nodiscard]] static Result<ExchangeId> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;
    /// Writes the 36 characters at `out`.
    void write(char* out) const;
    [[nodiscard]] Instant time() const;
    friend constexpr auto operator<=>(const ExchangeId&, const ExchangeId&) = default;
};

}  // namespace entrepot

template <typename Tag>
struct std::hash<entrepot::Name<Tag>> {
    std::size_t operator()(const entrepot::Name<Tag>& name) const noexcept {
        return std::hash<std::string>()(name.str());
    }
};

template <>
struct std::hash<entrepot::ExchangeId> {
    std::size_t operator()(const entrepot::ExchangeId& id) const noexcept {
        std::uint64_t low = 0;  // the random half
        for (std::size_t i = 8; i < 16; ++i) low = low << 8 | id.bytes[i];
        return low;
    }
};
