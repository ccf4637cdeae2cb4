#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace entrepot::crypto {

using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha256 sha256(std::string_view bytes);
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view bytes);
/// 64 lower-case hex digits.
[[nodiscard]] std::string hex(const Sha256& digest);
/// The digest's bytes, for the functions that take text.
[[nodiscard]] std::string_view view(const Sha256& digest);

/// SHA-256 of a text that comes in pieces.
class Sha256Stream {
public:
    Sha256Stream();
    ~Sha256Stream();
    Sha256Stream(const Sha256Stream&) = delete;
    Sha256Stream& operator=(const Sha256Stream&) = delete;
    void add(std::string_view bytes);
    /// The digest of everything added; starts anew.
    [[nodiscard]] Sha256 finish();

private:
    void* context_;  // EVP_MD_CTX
};

/// Whether the two are equal, in a time that depends on their lengths alone.
[[nodiscard]] bool constant_time_equal(std::string_view a, std::string_view b);

/// Fills `out` from the system's generator of secrets; stops the process when it has none.
void random_bytes(std::span<std::uint8_t> out);

/// CRC-32 as zlib and AWS event streams compute it. Go on with the previous value as `seed`.
[[nodiscard]] std::uint32_t crc32(std::string_view bytes, std::uint32_t seed = 0);

}  // namespace entrepot::crypto
