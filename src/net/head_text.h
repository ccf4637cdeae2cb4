#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "net/message.h"

namespace entrepot::net {

/// Whether every character may stand in a Host header.
[[nodiscard]] inline bool is_host(std::string_view text) {
    static constexpr std::array<bool, 256> kAllowed = [] {
        std::array<bool, 256> allowed{};
        for (const char letter :
            std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "0123456789-._~!$&'()*+;=:[]%"))
            allowed[static_cast<unsigned char>(letter)] = true;
        return allowed;
    }();
    return std::all_of(
        text.begin(), text.end(), [](char c) { return kAllowed[static_cast<unsigned char>(c)]; });
}

/// The headers that say where a message ends and whom it is for, found in one walk.
struct FramingHeaders {
    std::size_t hosts = 0;
    std::size_t encodings = 0;
    std::size_t lengths = 0;
    std::string_view host;                   ///< the first
    std::string_view encoding;               ///< the first Transfer-Encoding
    std::string_view coding;                 ///< Content-Encoding
    std::optional<std::string_view> expect;  ///< the first

    explicit FramingHeaders(const Headers& all) {
        for (std::size_t i = 0; i < all.size(); ++i) {
            const Header header = all[i];
            switch (header.name.size()) {
                case 4:
                    if (equals_ignoring_case(header.name, "host") && hosts++ == 0)
                        host = header.value;
                    break;
                case 6:
                    if (!expect && equals_ignoring_case(header.name, "expect"))
                        expect = header.value;
                    break;
                case 14:
                    if (equals_ignoring_case(header.name, "content-length")) ++lengths;
                    break;
                case 16:
                    if (equals_ignoring_case(header.name, "content-encoding"))
                        coding = header.value;
                    break;
                case 17:
                    if (equals_ignoring_case(header.name, "transfer-encoding") && encodings++ == 0)
                        encoding = header.value;
                    break;
                default: break;
            }
        }
    }
};

/// The head of a message as llhttp's callbacks deliver it, gathered into one string: target, then
/// names and values.
class HeadText {
public:
    void clear() {
        text_.clear();
        entries_.clear();
        target_bytes_ = 0;
        in_name_ = false;
        sound_ = true;
    }
    void add_target(std::string_view piece) {
        text_.append(piece);
        target_bytes_ = static_cast<std::uint32_t>(text_.size());
    }
    void add_name(std::string_view piece) {
        if (!in_name_) {
            in_name_ = true;
            entries_.push_back({static_cast<std::uint32_t>(text_.size()), 0, 0, 0});
        }
        text_.append(piece);
    }
    void end_name() {
        if (!in_name_) add_name({});  // llhttp lets an empty name pass
        Headers::Entry& entry = entries_.back();
        entry.name_bytes = static_cast<std::uint16_t>(text_.size() - entry.name_at);
        entry.value_at = static_cast<std::uint32_t>(text_.size());
        in_name_ = false;
        if (entry.name_bytes == 0) sound_ = false;
    }
    void add_value(std::string_view piece) { text_.append(piece); }
    void end_value() {
        Headers::Entry& entry = entries_.back();
        std::size_t end = text_.size();
        while (end > entry.value_at && (text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
        entry.value_bytes = static_cast<std::uint32_t>(end - entry.value_at);
    }

    [[nodiscard]] std::string_view target() const { return {text_.data(), target_bytes_}; }
    [[nodiscard]] Headers headers() const { return {text_.data(), &entries_}; }
    [[nodiscard]] std::size_t headers_count() const { return entries_.size(); }
    /// False when a header had no name.
    [[nodiscard]] bool sound() const { return sound_; }
    [[nodiscard]] std::size_t capacity() const { return text_.capacity(); }
    /// Gives large buffers back.
    void shrink(std::size_t bytes_max) {
        if (text_.capacity() > bytes_max) std::string().swap(text_);
        if (entries_.capacity() > 64) std::vector<Headers::Entry>().swap(entries_);
    }
    /// Gives everything back.
    void forget() { *this = HeadText(); }

private:
    std::string text_;
    std::vector<Headers::Entry> entries_;
    std::uint32_t target_bytes_ = 0;
    bool in_name_ = false;
    bool sound_ = true;
};

/// Finds what llhttp 8 lets pass in a head and we do not: a line that ends without CR, and folded
/// lines. Fed with the head's bytes in any pieces.
class LineGuard {
public:
    void reset() { *this = LineGuard(); }
    /// False at the first offence.
    [[nodiscard]] bool accepts(std::string_view bytes) {
        if (bytes.empty()) return true;
        if (after_lf_ && (bytes[0] == ' ' || bytes[0] == '\t')) return false;
        for (std::size_t at = bytes.find('\n'); at != std::string_view::npos;
            at = bytes.find('\n', at + 1)) {
            if ((at == 0 ? last_ : bytes[at - 1]) != '\r') return false;
            if (at + 1 < bytes.size() && (bytes[at + 1] == ' ' || bytes[at + 1] == '\t'))
                return false;
        }
        last_ = bytes.back();
        after_lf_ = last_ == '\n';
        return true;
    }

private:
    char last_ = 0;
    bool after_lf_ = false;
};

}  // namespace entrepot::net
