#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace entrepot::net {

/// One header: views into the message that holds it.
struct Header {
    std::string_view name;
    std::string_view value;
};

/// The headers of a received message, in order, as they came. Valid as long as the message.
class Headers {
public:
    /// Where a header stands in the text of the message.
    struct Entry {
        std::uint32_t name_at, value_at, value_bytes;
        std::uint16_t name_bytes;
    };

    Headers() = default;
    Headers(const char* text, const std::vector<Entry>* entries) : text_(text), entries_(entries) {}
    [[nodiscard]] std::size_t size() const { return entries_ ? entries_->size() : 0; }
    [[nodiscard]] Header operator[](std::size_t i) const {
        const Entry& e = (*entries_)[i];
        return {{text_ + e.name_at, e.name_bytes}, {text_ + e.value_at, e.value_bytes}};
    }
    /// The first header of that name, ignoring case.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
    [[nodiscard]] std::size_t count(std::string_view name) const;
    /// Whether a comma-separated list header of that name holds `token`, ignoring case.
    [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const;

private:
    const char* text_ = nullptr;
    const std::vector<Entry>* entries_ = nullptr;
};

/// Header lines ready for the wire, `name: value\r\n` each. Message framing (content-length,
/// transfer-encoding, connection, host, date) is not put here: the connection writes it.
class HeaderLines {
public:
    /// CR, LF and NUL in `value` become spaces, so that no value can end its line.
    HeaderLines& add(std::string_view name, std::string_view value);
    HeaderLines& add(std::string_view name, std::uint64_t value);
    void clear() { text_.clear(); }
    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] bool empty() const { return text_.empty(); }

private:
    std::string text_;
};

/// `OK` for 200, `Too Many Requests` for 429; empty when unknown.
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace entrepot::net
