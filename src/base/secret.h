#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace entrepot {

/// A value that must not reach a log, an error or a report: it formats as `[redacted]` and is wiped
/// when it goes. `reveal()` marks every place where the plain text is needed.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
    Secret& operator=(const Secret& other) {
        if (this != &other) {
            wipe();
            value_ = other.value_;
        }
        return *this;
    }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            wipe();
            value_ = std::move(other.value_);
            other.wipe();
        }
        return *this;
    }
    ~Secret() { wipe(); }

    [[nodiscard]] std::string_view reveal() const { return value_; }
    [[nodiscard]] bool empty() const { return value_.empty(); }

private:
    void wipe() noexcept {
        volatile char* at = value_.data();
        for (std::size_t i = 0; i < value_.size(); ++i) at[i] = 0;
        value_.clear();
    }
    std::string value_;
};

}  // namespace entrepot
