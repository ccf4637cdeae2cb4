#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "store/file_ops.h"

namespace entrepot::store {

/// The first 64 bytes of a journal file, written when it becomes the current one; `check` last. All
/// zero before.
struct SegmentHeader {
    std::uint64_t magic = 0;
    std::uint32_t version = 0;
    std::uint32_t header_bytes = 0;
    std::uint64_t sequence = 0;
    std::int64_t created_ns = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t base = 0;  ///< the journal position of the first record
    std::uint64_t reserved = 0;
    std::uint64_t check = 0;
};
static_assert(sizeof(SegmentHeader) == 64);

/// The next 64 bytes, which change while the file is in use.
struct SegmentMark {
    std::uint64_t synced = 0;  ///< everything before this position has been forced to the disk
    std::uint64_t boot = 0;    ///< hash of the boot id under which the file was last written
    /// The times in the ids of the exchanges whose records stand in the file, in milliseconds; 0
    /// where there is none. Widened before the record is whole.
    std::uint64_t oldest_ms = 0;
    std::uint64_t newest_ms = 0;
    std::uint64_t unused[4]{};
};
static_assert(sizeof(SegmentMark) == 64);

inline constexpr std::uint64_t kSegmentMagic = 0x0a4a'5450'4552'544eULL;
inline constexpr std::uint32_t kSegmentVersion = 1;
inline constexpr std::uint64_t kSegmentHeaderBytes = sizeof(SegmentHeader) + sizeof(SegmentMark);
/// Before each payload: its length (4 bytes) and checksum (4 bytes). Payloads are padded to 8
/// bytes.
inline constexpr std::uint64_t kRecordHeaderBytes = 8;

[[nodiscard]] constexpr std::uint64_t record_bytes(std::uint64_t payload) {
    return kRecordHeaderBytes + ((payload + 7) & ~std::uint64_t{7});
}
/// Bound to its place: a record found at another position does not check.
[[nodiscard]] std::uint32_t record_check(
    const char* payload, std::size_t size, std::uint64_t position);
[[nodiscard]] std::uint64_t header_check(const SegmentHeader& header);
/// The time in the id of a record's exchange, in milliseconds; nothing for records of no exchange.
[[nodiscard]] std::optional<std::uint64_t> exchange_ms(std::string_view payload);
/// A hash of this boot's id: memory written under it cannot have been lost by a power cut since.
[[nodiscard]] std::uint64_t boot_hash();

/// Writes a new file and forces it to the disk. Errors: kIo, also when it is there.
[[nodiscard]] Status write_file(const std::filesystem::path& path, std::string_view bytes);
/// Forces a file, or the names in a folder, to the disk: 0 or the errno.
[[nodiscard]] int sync_path(const std::filesystem::path& path);

/// One journal file in memory, shared with the kernel.
class Segment {
public:
    /// Creates and allocates a file of zeros, every page present. Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<Segment>> create(
        const std::filesystem::path& path, std::uint64_t bytes, FileOps* files);
    /// Errors: kIo.
    [[nodiscard]] static Result<std::unique_ptr<Segment>> open(
        const std::filesystem::path& path, bool writable);
    ~Segment();
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;

    [[nodiscard]] char* data() { return data_; }
    [[nodiscard]] const char* data() const { return data_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] SegmentHeader header() const;
    [[nodiscard]] SegmentMark mark() const;
    /// Makes the prepared file the journal's current one.
    void begin(std::uint64_t sequence, std::uint64_t base, Instant now);
    void set_synced(std::uint64_t position);
    /// Widens the times of the mark.
    void note_time(std::uint64_t ms) {
        if (ms < oldest_ms_ || ms > newest_ms_) [[unlikely]]
            widen(ms);
    }
    /// Writes the first word of every page before `used` once more: after a failed sync the kernel
    /// takes the pages for clean, and the next one would pass without them. 0 or the errno.
    [[nodiscard]] int write_again(std::uint64_t used);
    void set_boot(std::uint64_t boot);
    /// The 8 bytes at `offset` (a multiple of 8) as one word.
    [[nodiscard]] std::uint64_t word(std::uint64_t offset) const;
    /// One aligned store, after everything written before it.
    void publish(std::uint64_t offset, std::uint64_t word);

private:
    Segment() = default;
    void widen(std::uint64_t ms);
    std::filesystem::path path_;
    std::uint64_t oldest_ms_ = UINT64_MAX;  ///< of the mark, once looked at
    std::uint64_t newest_ms_ = 0;
    int fd_ = -1;
    char* data_ = nullptr;
    std::uint64_t bytes_ = 0;
};

/// What stands at `offset` of a segment.
struct RecordView {
    enum class Kind : std::uint8_t { kRecord, kEnd, kBad };
    Kind kind = Kind::kEnd;
    std::string_view payload;
    std::uint64_t next = 0;  ///< offset after the record
};
[[nodiscard]] RecordView record_at(
    const Segment& segment, std::uint64_t offset, std::uint64_t base);

}  // namespace entrepot::store
