#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "canon/reply.h"
#include "json/value.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {

/// The counts of one reply as its usage objects state them, one laid over the other: a stream's
/// `message_delta` repeats some of what `message_start` said, in total and not as an increment.
class UsageCounts {
public:
    /// Replaces what `usage` (an object; anything else is ignored) states.
    void overlay(const json::Value& usage);
    /// In normal form, every pass of the request included.
    [[nodiscard]] canon::Usage total() const;
    [[nodiscard]] bool is_empty() const { return !has_any_; }

private:
    struct Tokens {
        std::int64_t input = 0;
        std::int64_t cache_read = 0;
        std::int64_t cache_write = 0;  ///< both lifetimes
        std::int64_t cache_write_long = 0;
        std::int64_t output = 0;
        std::int64_t thinking = 0;
    };
    static bool read(const json::Value& usage, Tokens& tokens);
    static canon::Usage normal(const Tokens& tokens);

    Tokens top_;
    canon::Usage passes_beside_;  // passes that the top-level counts leave out
    std::int64_t searches_ = 0;
    std::int64_t fetches_ = 0;
    bool has_any_ = false;
};

/// Writes a usage object: as it was `stated`, where it was this dialect's, else from the normal
/// form.
void write_usage(
    json::Writer& writer, const canon::Usage& usage, const std::optional<canon::Opaque>& stated);

}  // namespace entrepot::dialect::anthropic_messages
