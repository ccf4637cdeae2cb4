#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <nghttp2/nghttp2.h>

namespace entrepot::net {

/// What one nghttp2 session may allocate. A bound on everything that it queues: a session that asks
/// for more fails, and its connection ends.
class Http2Memory {
public:
    explicit Http2Memory(std::size_t bytes_max) : bytes_max_(bytes_max) {}
    Http2Memory(const Http2Memory&) = delete;
    Http2Memory& operator=(const Http2Memory&) = delete;

    /// Valid as long as this.
    [[nodiscard]] nghttp2_mem functions() {
        return {this, [](std::size_t size, void* self) { return of(self).allocate(size); },
            [](void* block, void* self) { of(self).release(block); },
            [](std::size_t count, std::size_t size, void* self) {
                void* block = of(self).allocate(count * size);  // nghttp2's own small numbers
                if (block != nullptr) std::memset(block, 0, count * size);
                return block;
            },
            [](void* block, std::size_t size, void* self) {
                return of(self).reallocate(block, size);
            }};
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    // The size of a block stands before it.
    static constexpr std::size_t kPrefix = alignof(std::max_align_t);

    static Http2Memory& of(void* self) { return *static_cast<Http2Memory*>(self); }
    static std::size_t& size_of(void* block) {
        return *reinterpret_cast<std::size_t*>(static_cast<char*>(block) - kPrefix);
    }
    void* allocate(std::size_t size) {
        if (bytes_ + size > bytes_max_) return nullptr;
        void* raw = std::malloc(size + kPrefix);
        if (raw == nullptr) return nullptr;
        bytes_ += size;
        void* block = static_cast<char*>(raw) + kPrefix;
        size_of(block) = size;
        return block;
    }
    void release(void* block) {
        if (block == nullptr) return;
        bytes_ -= size_of(block);
        std::free(static_cast<char*>(block) - kPrefix);
    }
    void* reallocate(void* block, std::size_t size) {
        if (block == nullptr) return allocate(size);
        const std::size_t before = size_of(block);
        if (bytes_ - before + size > bytes_max_) return nullptr;
        void* raw = std::realloc(static_cast<char*>(block) - kPrefix, size + kPrefix);
        if (raw == nullptr) return nullptr;
        bytes_ += size - before;
        void* moved = static_cast<char*>(raw) + kPrefix;
        size_of(moved) = size;
        return moved;
    }

    std::size_t bytes_max_;
    std::size_t bytes_ = 0;
};

}  // namespace entrepot::net
