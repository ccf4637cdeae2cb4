#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace entrepot::routing {

/// A list of small values that allocates only beyond `N`: most models have few offers.
template <typename T, std::size_t N>
class InlineList {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    void push_back(const T& value) {
        if (size_ < N) {
            inline_[size_] = value;
        } else {
            if (size_ == N) overflow_.assign(inline_.begin(), inline_.end());
            overflow_.push_back(value);
        }
        ++size_;
    }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] T* data() { return size_ <= N ? inline_.data() : overflow_.data(); }
    [[nodiscard]] const T* data() const { return size_ <= N ? inline_.data() : overflow_.data(); }
    [[nodiscard]] T& operator[](std::size_t at) { return data()[at]; }
    [[nodiscard]] const T& operator[](std::size_t at) const { return data()[at]; }
    [[nodiscard]] T* begin() { return data(); }
    [[nodiscard]] T* end() { return data() + size_; }
    [[nodiscard]] const T* begin() const { return data(); }
    [[nodiscard]] const T* end() const { return data() + size_; }

private:
    std::size_t size_ = 0;
    std::array<T, N> inline_;
    std::vector<T> overflow_;
};

}  // namespace entrepot::routing
