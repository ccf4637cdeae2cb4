#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace entrepot::routing {

/// A list of small values that allocates only beyond `N`: most models have few offers. The room
/// inside is not initialised before it is used, which is most of what such a list costs on the
/// request path.
template <typename T, std::size_t N>
class InlineList {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    InlineList() = default;
    InlineList(const InlineList& other) : size_(other.size_), overflow_(other.overflow_) {
        copy_room(other);
    }
    InlineList(InlineList&& other) noexcept
        : size_(std::exchange(other.size_, 0)), overflow_(std::move(other.overflow_)) {
        copy_room(other);
    }
    InlineList& operator=(InlineList other) noexcept {
        size_ = other.size_;
        overflow_ = std::move(other.overflow_);
        copy_room(other);
        return *this;
    }
    ~InlineList() = default;

    void push_back(const T& value) {
        if (size_ < N) {
            ::new (static_cast<void*>(room_ + size_ * sizeof(T))) T(value);
        } else {
            if (size_ == N) overflow_.assign(room(), room() + N);
            overflow_.push_back(value);
        }
        ++size_;
    }
    /// A new value at the end, made in place.
    T& emplace_back() {
        if (size_ >= N) {
            push_back(T{});
            return overflow_.back();
        }
        return *::new (static_cast<void*>(room_ + size_++ * sizeof(T))) T{};
    }
    void pop_back() {
        if (size_ > N) overflow_.pop_back();
        --size_;
        if (size_ == N && !overflow_.empty()) {
            std::memcpy(room_, overflow_.data(), N * sizeof(T));
            overflow_.clear();
        }
    }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] T* data() { return size_ <= N ? room() : overflow_.data(); }
    [[nodiscard]] const T* data() const { return size_ <= N ? room() : overflow_.data(); }
    [[nodiscard]] T& operator[](std::size_t at) { return data()[at]; }
    [[nodiscard]] const T& operator[](std::size_t at) const { return data()[at]; }
    [[nodiscard]] T* begin() { return data(); }
    [[nodiscard]] T* end() { return data() + size_; }
    [[nodiscard]] const T* begin() const { return data(); }
    [[nodiscard]] const T* end() const { return data() + size_; }

private:
    [[nodiscard]] T* room() { return std::launder(reinterpret_cast<T*>(room_)); }
    [[nodiscard]] const T* room() const { return std::launder(reinterpret_cast<const T*>(room_)); }
    /// Call with `size_` set.
    void copy_room(const InlineList& other) {
        if (size_ != 0 && size_ <= N) std::memcpy(room_, other.room_, size_ * sizeof(T));
    }

    std::size_t size_ = 0;
    alignas(T) std::byte room_[N * sizeof(T)];
    std::vector<T> overflow_;
};

}  // namespace entrepot::routing
