#include "store/segment.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/xxhash.h"
#include "ledger/record.h"

namespace entrepot::store {

namespace {

constexpr std::uint64_t kPageBytes = 4096;

std::unexpected<Error> io_error(const char* what, const std::filesystem::path& path, int error) {
    return fail(
        ErrorCode::kIo, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)));
}

}  // namespace

std::uint32_t record_check(const char* payload, std::size_t size, std::uint64_t position) {
    return static_cast<std::uint32_t>(
        XXH3_64bits_withSeed(payload, size, position ^ 0x656e'7472'6570'6f74ULL));
}

std::uint64_t header_check(const SegmentHeader& header) {
    const std::uint64_t hash = XXH3_64bits(&header, offsetof(SegmentHeader, check));
    return hash == 0 ? 1 : hash;
}

Status write_file(const std::filesystem::path& path, std::string_view bytes) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return io_error("create", path, errno);
    int error = 0;
    while (!bytes.empty() && error == 0) {
        const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
        if (wrote < 0)
            error = errno;
        else
            bytes.remove_prefix(static_cast<std::size_t>(wrote));
    }
    if (error == 0 && ::fsync(fd) != 0) error = errno;
    ::close(fd);
    return error == 0 ? Status() : io_error("write", path, error);
}

int sync_path(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return errno;
    const int error = ::fsync(fd) != 0 ? errno : 0;
    ::close(fd);
    return error;
}

std::optional<std::uint64_t> exchange_ms(std::string_view payload) {
    constexpr std::int64_t kNsPerMs = 1'000'000;
    const std::optional<ExchangeId> exchange = ledger::exchange_of(payload);
    if (!exchange) return std::nullopt;
    return static_cast<std::uint64_t>(exchange->time().ns / kNsPerMs);
}

std::uint64_t boot_hash() {
    char text[64];
    const int fd = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;  // then a restart is taken for one after a power cut, which checks less
    const ssize_t size = ::read(fd, text, sizeof text);
    ::close(fd);
    return size > 0 ? XXH3_64bits(text, static_cast<std::size_t>(size)) : 0;
}

Result<std::unique_ptr<Segment>> Segment::create(
    const std::filesystem::path& path, std::uint64_t bytes, FileOps* files) {
    if (const int error = before(files, Step::kSegmentCreate))
        return io_error("create", path, error);
    std::unique_ptr<Segment> segment(new Segment());
    segment->path_ = path;
    segment->bytes_ = bytes;
    segment->fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (segment->fd_ < 0) return io_error("create", path, errno);
    int error = before(files, Step::kSegmentAllocate);
    // All blocks now: a write into the mapping must never find the disk full.
    if (error == 0) error = ::posix_fallocate(segment->fd_, 0, static_cast<off_t>(bytes));
    if (error == 0) error = before(files, Step::kSegmentMap);
    if (error == 0) {
        void* const at =
            ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd_, 0);
        if (at == MAP_FAILED)
            error = errno;
        else
            segment->data_ = static_cast<char*>(at);
    }
    if (error != 0) {
        ::unlink(path.c_str());
        return io_error("allocate", path, error);
    }
    // Page faults are taken here, on the preparing thread, not in an append.
    for (std::uint64_t at = 0; at < bytes; at += kPageBytes) {
        *static_cast<volatile char*>(segment->data_ + at) = 0;
    }
    return segment;
}

Result<std::unique_ptr<Segment>> Segment::open(const std::filesystem::path& path, bool writable) {
    std::unique_ptr<Segment> segment(new Segment());
    segment->path_ = path;
    segment->fd_ = ::open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (segment->fd_ < 0) return io_error("open", path, errno);
    struct stat status{};
    if (::fstat(segment->fd_, &status) != 0) return io_error("look at", path, errno);
    segment->bytes_ = static_cast<std::uint64_t>(status.st_size) & ~std::uint64_t{7};
    if (segment->bytes_ < kSegmentHeaderBytes) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format("{} has {} bytes, less than a header", path.string(), segment->bytes_));
    }
    void* const at = ::mmap(nullptr, segment->bytes_, writable ? PROT_READ | PROT_WRITE : PROT_READ,
        MAP_SHARED, segment->fd_, 0);
    if (at == MAP_FAILED) return io_error("map", path, errno);
    segment->data_ = static_cast<char*>(at);
    return segment;
}

Segment::~Segment() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
    if (fd_ >= 0) ::close(fd_);
}

SegmentHeader Segment::header() const {
    SegmentHeader header;
    std::memcpy(&header, data_, sizeof header);
    return header;
}

SegmentMark Segment::mark() const {
    SegmentMark mark;
    std::memcpy(&mark, data_ + sizeof(SegmentHeader), sizeof mark);
    return mark;
}

std::uint64_t Segment::word(std::uint64_t offset) const {
    // atomic_ref wants a mutable object; the mapping may be read-only, and a load writes nothing.
    auto* const at = reinterpret_cast<std::uint64_t*>(const_cast<char*>(data_ + offset));
    return std::atomic_ref<std::uint64_t>(*at).load(std::memory_order_acquire);
}

void Segment::publish(std::uint64_t offset, std::uint64_t word) {
    auto* const at = reinterpret_cast<std::uint64_t*>(data_ + offset);
    std::atomic_ref<std::uint64_t>(*at).store(word, std::memory_order_release);
}

void Segment::begin(std::uint64_t sequence, std::uint64_t base, Instant now) {
    SegmentHeader header;
    header.magic = kSegmentMagic;
    header.version = kSegmentVersion;
    header.header_bytes = kSegmentHeaderBytes;
    header.sequence = sequence;
    header.created_ns = now.ns;
    header.segment_bytes = bytes_;
    header.base = base;
    header.check = 0;
    set_boot(boot_hash());
    std::memcpy(data_, &header, sizeof header);
    publish(offsetof(SegmentHeader, check), header_check(header));
}

void Segment::set_synced(std::uint64_t position) {
    publish(sizeof(SegmentHeader) + offsetof(SegmentMark, synced), position);
}

void Segment::widen(std::uint64_t ms) {
    const SegmentMark there = mark();
    if (there.oldest_ms != 0) {
        oldest_ms_ = std::min(oldest_ms_, there.oldest_ms);
        newest_ms_ = std::max(newest_ms_, there.newest_ms);
    }
    oldest_ms_ = std::min(oldest_ms_, ms);
    newest_ms_ = std::max(newest_ms_, ms);
    publish(sizeof(SegmentHeader) + offsetof(SegmentMark, oldest_ms), oldest_ms_);
    publish(sizeof(SegmentHeader) + offsetof(SegmentMark, newest_ms), newest_ms_);
}

int Segment::write_again(std::uint64_t used) {
    // By a call, not through the mapping: readers of these words hold no lock.
    for (std::uint64_t at = 0; at < used; at += kPageBytes) {
        const std::uint64_t same = word(at);
        const ssize_t wrote = ::pwrite(fd_, &same, sizeof same, static_cast<off_t>(at));
        if (wrote != static_cast<ssize_t>(sizeof same)) return wrote < 0 ? errno : EIO;
    }
    return 0;
}

void Segment::set_boot(std::uint64_t boot) {
    publish(sizeof(SegmentHeader) + offsetof(SegmentMark, boot), boot);
}

RecordView record_at(const Segment& segment, std::uint64_t offset, std::uint64_t base) {
    RecordView view;
    if (offset + kRecordHeaderBytes > segment.bytes()) return view;
    const std::uint64_t word = segment.word(offset);
    if (word == 0) return view;
    const std::uint64_t size = word & 0xffff'ffff;
    const auto check = static_cast<std::uint32_t>(word >> 32);
    view.kind = RecordView::Kind::kBad;
    if (size == 0 || size > ledger::kRecordBytesMax ||
        offset + record_bytes(size) > segment.bytes())
        return view;
    const char* const payload = segment.data() + offset + kRecordHeaderBytes;
    if (record_check(payload, size, base + offset - kSegmentHeaderBytes) != check) return view;
    view.kind = RecordView::Kind::kRecord;
    view.payload = {payload, size};
    view.next = offset + record_bytes(size);
    return view;
}

}  // namespace entrepot::store
