#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <nghttp2/nghttp2.h>

namespace entrepot::net {

/// The body bytes of one stream on their way out: whoever writes appends, nghttp2 takes as the
/// peer's windows allow. Both directions of HTTP/2 send with it.
class Http2Outbox {
public:
    /// Above the first a writer waits until there are no more than the second.
    static constexpr std::size_t kHighBytes = 64 * 1024;
    static constexpr std::size_t kLowBytes = 16 * 1024;

    [[nodiscard]] std::size_t bytes() const { return text_.size() - at_; }
    [[nodiscard]] std::size_t room() const {
        return bytes() >= kHighBytes ? 0 : kHighBytes - bytes();
    }
    void append(std::string_view piece) {
        if (at_ > kLowBytes) {
            text_.erase(0, at_);
            at_ = 0;
        }
        text_.append(piece);
    }
    /// Nothing follows.
    void end() { ends_ = true; }
    /// The end too has been taken.
    [[nodiscard]] bool is_through() const { return is_through_; }
    /// There is no body at all.
    void skip() { ends_ = is_through_ = true; }
    void clear() {
        std::string().swap(text_);
        at_ = 0;
    }

    /// Whether nghttp2 has asked in vain, and must be told that there is more; then it counts as
    /// told.
    [[nodiscard]] bool take_deferred() { return std::exchange(is_deferred_, false); }

    /// nghttp2's read callback: bytes taken, or NGHTTP2_ERR_DEFERRED.
    [[nodiscard]] ssize_t take(std::uint8_t* into, std::size_t bytes_max, std::uint32_t* flags) {
        const std::size_t taken = std::min(bytes_max, bytes());
        if (taken > 0) std::memcpy(into, text_.data() + at_, taken);
        at_ += taken;
        if (at_ == text_.size()) {
            at_ = 0;
            text_.clear();
            if (text_.capacity() > kKeptBytes) std::string().swap(text_);
            if (ends_) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
                is_through_ = true;
            } else if (taken == 0) {
                is_deferred_ = true;
                return NGHTTP2_ERR_DEFERRED;
            }
        }
        return static_cast<ssize_t>(taken);
    }

private:
    static constexpr std::size_t kKeptBytes = 1024;  // what an open stream keeps between events

    std::string text_;
    std::size_t at_ = 0;
    bool ends_ = false;
    bool is_through_ = false;
    bool is_deferred_ = false;
};

}  // namespace entrepot::net
