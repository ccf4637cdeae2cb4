#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <nghttp2/nghttp2.h>
#include <sys/mman.h>

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

    /// The session has been made: no block from here on is its frame buffer.
    void session_made() { is_made_ = true; }
    /// Gives the pages of the frame buffer, in which nghttp2 writes each frame before it hands it
    /// out, back to the system. They return when they are written to: sound whenever the session
    /// has nothing left to send, and worth its system call when it will not for a while.
    void give_back_frame_buffer() {
        if (frame_buffer_ != nullptr)
            ::madvise(frame_buffer_, frame_bytes_ / kPageBytes * kPageBytes, MADV_DONTNEED);
    }

private:
    // nghttp2 makes it with the session, for one frame and its head.
    static constexpr std::size_t kFrameBytesMin = 16 * 1024;
    static constexpr std::size_t kPageBytes = 4096;

    // The size of a block stands before it.
    static constexpr std::size_t kPrefix = alignof(std::max_align_t);

    static Http2Memory& of(void* self) { return *static_cast<Http2Memory*>(self); }
    static std::size_t& size_of(void* block) {
        return *reinterpret_cast<std::size_t*>(static_cast<char*>(block) - kPrefix);
    }
    void* allocate(std::size_t size) {
        if (bytes_ + size > bytes_max_) return nullptr;
        if (!is_made_ && size >= kFrameBytesMin && frame_buffer_ == nullptr)
            return allocate_frame_buffer(size);
        void* raw = std::malloc(size + kPrefix);
        if (raw == nullptr) return nullptr;
        bytes_ += size;
        void* block = static_cast<char*>(raw) + kPrefix;
        size_of(block) = size;
        return block;
    }
    /// On pages of its own, without the prefix.
    void* allocate_frame_buffer(std::size_t size) {
        if (::posix_memalign(&frame_buffer_, kPageBytes, size) != 0) frame_buffer_ = nullptr;
        if (frame_buffer_ != nullptr) bytes_ += frame_bytes_ = size;
        return frame_buffer_;
    }
    void release(void* block) {
        if (block == nullptr) return;
        if (block == frame_buffer_) {
            bytes_ -= frame_bytes_;
            frame_buffer_ = nullptr;
            return std::free(block);
        }
        bytes_ -= size_of(block);
        std::free(static_cast<char*>(block) - kPrefix);
    }
    void* reallocate(void* block, std::size_t size) {
        if (block == nullptr) return allocate(size);
        if (block == frame_buffer_) {
            void* moved = allocate(size);
            if (moved == nullptr) return nullptr;
            std::memcpy(moved, block, std::min(size, frame_bytes_));
            release(block);
            return moved;
        }
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
    void* frame_buffer_ = nullptr;
    std::size_t frame_bytes_ = 0;
    bool is_made_ = false;
};

}  // namespace entrepot::net
