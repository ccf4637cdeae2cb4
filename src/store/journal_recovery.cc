// Reading the journal back: on start, for an old exchange, and for the audit.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "ledger/record.h"
#include "store/journal.h"

namespace entrepot::store {

namespace {

constexpr std::string_view kRemedy =
    "Nothing was changed. Restore the file from a copy, or move the journal and the books aside "
    "together";

std::unexpected<Error> corrupt(
    const std::filesystem::path& path, std::uint64_t offset, std::string_view what) {
    return fail(ErrorCode::kJournalCorrupt,
        fmt::format("{} at offset {}: {}. {}", path.string(), offset, what, kRemedy));
}

/// Since the file was last written: memory of this boot cannot have been lost.
bool may_have_lost_power(const SegmentMark& mark) {
    return mark.boot == 0 || mark.boot != boot_hash();
}

}  // namespace

// The kill came between creating a file and its first use, or a power cut took the header of a file
// that was never forced to the disk. What follows such a file was not forced either: it goes too.
Status Journal::remove_unused(std::vector<std::filesystem::path>& paths) {
    std::size_t kept = paths.size();
    for (std::size_t i = paths.size(); i-- > 0;) {
        std::error_code error;
        const std::uint64_t size = std::filesystem::file_size(paths[i], error);
        if (error || size < kSegmentHeaderBytes) {
            kept = i;
            continue;
        }
        ENTREPOT_TRY(const auto segment, Segment::open(paths[i], false));
        const SegmentMark mark = segment->mark();
        // The header's checksum comes first of all.
        if (segment->header().check == 0)
            kept = i;
        else if (mark.synced != 0 || !may_have_lost_power(mark))
            break;
    }
    while (paths.size() > kept) {
        ::unlink(paths.back().c_str());
        paths.pop_back();
    }
    return {};
}

Result<std::vector<Journal::Sealed>> Journal::list_files() const {
    std::vector<Sealed> files;
    std::error_code error;
    std::vector<std::filesystem::path> paths;
    for (auto at = std::filesystem::directory_iterator(options_.folder, error);
        !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
        if (at->path().extension() == ".journal") paths.push_back(at->path());
    }
    if (error) {
        return fail(ErrorCode::kIo,
            fmt::format("cannot list {}: {}", options_.folder.string(), error.message()));
    }
    std::ranges::sort(paths);
    ENTREPOT_TRY_DO(remove_unused(paths));
    for (const std::filesystem::path& path : paths) {
        const std::uint64_t size = std::filesystem::file_size(path, error);
        if (error || size < kSegmentHeaderBytes)
            return corrupt(path, error ? 0 : size, "the file is shorter than its header");
        ENTREPOT_TRY(const auto segment, Segment::open(path, false));
        const SegmentHeader header = segment->header();
        if (header.magic != kSegmentMagic || header.check != header_check(header)) {
            return corrupt(path, 0, "this is no journal file, or its header is damaged");
        }
        if (header.version != kSegmentVersion || header.header_bytes != kSegmentHeaderBytes) {
            return corrupt(path, 8,
                fmt::format(
                    "format version {}, this program reads {}", header.version, kSegmentVersion));
        }
        if (!files.empty()) {
            Sealed& previous = files.back();
            if (header.sequence != previous.header.sequence + 1) {
                return corrupt(path, 16,
                    fmt::format("file {} follows file {}: one is missing", header.sequence,
                        previous.header.sequence));
            }
            previous.end = header.base;
        }
        files.push_back({header, path, header.base, segment->mark()});
    }
    return files;
}

Status Journal::recover(std::uint64_t from, Instant now, const Visitor& visit) {
    std::error_code error;
    std::filesystem::create_directories(options_.folder, error);
    if (error)
        return fail(ErrorCode::kIo,
            fmt::format("cannot make {}: {}", options_.folder.string(), error.message()));
    now_ns_ = now.ns;
    ENTREPOT_TRY(std::vector<Sealed> files, list_files());
    if (files.empty()) {
        if (from != 0) {
            return fail(ErrorCode::kJournalCorrupt,
                fmt::format("{} is empty, but the books have read {} bytes of it. {}",
                    options_.folder.string(), from, kRemedy));
        }
        ENTREPOT_TRY(
            auto first, Segment::create(path_of(1), options_.segment_bytes, options_.files));
        ENTREPOT_TRY_DO(sync_folder());
        first->begin(1, 0, now);
        current_ = std::move(first);
        current_header_ = current_->header();
        writing_ = current_.get();
        offset_ = kSegmentHeaderBytes;
        return {};
    }
    if (files.front().header.base > from) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format("the journal begins at {} in {}, but the books have only read up to {}. {}",
                files.front().header.base, files.front().path.string(), from, kRemedy));
    }
    std::uint64_t synced = 0;
    for (const Sealed& file : files) synced = std::max(synced, file.mark.synced);
    for (std::size_t i = 0; i + 1 < files.size(); ++i) {
        Sealed& file = files[i];
        if (file.end <= from) continue;
        std::uint64_t read = from;
        Status whole = replay_sealed(file, read, visit);
        if (whole) continue;
        // What is damaged was never forced to the disk, and a power cut may have lost it: the
        // journal ends there. What stands behind it was not promised either.
        if (read < synced || !may_have_lost_power(files.back().mark)) return whole;
        ENTREPOT_TRY_DO(remove_after(files, i));
        from = read;
    }
    const Sealed last = files.back();
    files.pop_back();
    ENTREPOT_TRY_DO(adopt_last(last, from, visit));
    // A kill may have come between the end of a file and its sync: who forces the next one forces
    // that too.
    for (const Sealed& file : files) {
        if (file.end <= synced) continue;
        ENTREPOT_TRY(std::shared_ptr<Segment> segment, Segment::open(file.path, true));
        unsynced_.push_back(std::move(segment));
    }
    sealed_ = std::move(files);
    if (end_.load() < from) {
        return corrupt(last.path, offset_,
            fmt::format(
                "the journal ends at {}, but the books have read up to {}", end_.load(), from));
    }
    durable_ = std::min(synced, end_.load());
    return {};
}

Status Journal::replay_sealed(Sealed& file, std::uint64_t& from, const Visitor& visit) {
    std::uint64_t oldest_ms = UINT64_MAX;
    std::uint64_t newest_ms = 0;
    std::uint64_t read = std::max(from, file.header.base);
    Status whole = read_sealed(file, from, [&](std::uint64_t end, std::string_view payload) {
        Status visited = visit(end, payload);
        if (visited) read = end;
        if (const std::optional<std::uint64_t> ms = exchange_ms(payload)) {
            oldest_ms = std::min(oldest_ms, *ms);
            newest_ms = std::max(newest_ms, *ms);
        }
        return visited;
    });
    from = read;
    if (newest_ms == 0 || file.mark.oldest_ms == 0 ||
        (oldest_ms >= file.mark.oldest_ms && newest_ms <= file.mark.newest_ms))
        return whole;
    ENTREPOT_TRY(const auto segment, Segment::open(file.path, true));
    segment->note_time(oldest_ms);
    segment->note_time(newest_ms);
    file.mark = segment->mark();
    return whole;
}

Status Journal::remove_after(std::vector<Sealed>& files, std::size_t last) const {
    while (files.size() > last + 1) {
        if (::unlink(files.back().path.c_str()) != 0) {
            return fail(ErrorCode::kIo,
                fmt::format(
                    "cannot remove {}: {}", files.back().path.string(), std::strerror(errno)));
        }
        files.pop_back();
    }
    return sync_folder();
}

Status Journal::read_sealed(const Sealed& file, std::uint64_t from, const Visitor& visit) const {
    ENTREPOT_TRY(const auto segment, Segment::open(file.path, false));
    const std::uint64_t base = file.header.base;
    std::uint64_t offset = kSegmentHeaderBytes + (from > base ? from - base : 0);
    const std::uint64_t stop = kSegmentHeaderBytes + file.end - base;
    while (offset < stop) {
        const RecordView record = record_at(*segment, offset, base);
        if (record.kind != RecordView::Kind::kRecord || record.next > stop) {
            return corrupt(file.path, offset, "a record is damaged, and records follow it");
        }
        offset = record.next;
        if (Status read = visit(base + offset - kSegmentHeaderBytes, record.payload); !read) {
            if (read.error().code != ErrorCode::kJournalCorrupt) return read;
            return corrupt(file.path, offset, read.error().message);
        }
    }
    return {};
}

bool Journal::record_follows(
    const Segment& segment, std::uint64_t offset, std::uint64_t base, std::uint64_t& last_byte) {
    bool found = false;
    last_byte = offset;
    for (std::uint64_t at = offset; at + kRecordHeaderBytes <= segment.bytes(); at += 8) {
        if (segment.word(at) == 0) continue;
        last_byte = at + 8;
        if (!found && at > offset)
            found = record_at(segment, at, base).kind == RecordView::Kind::kRecord;
    }
    return found;
}

Status Journal::adopt_last(const Sealed& last, std::uint64_t from, const Visitor& visit) {
    ENTREPOT_TRY(std::shared_ptr<Segment> segment, Segment::open(last.path, true));
    if (segment->bytes() < last.header.segment_bytes) {
        // Its missing end reads as zeros; whether anything that was promised is lost shows below.
        if (const int error = ::posix_fallocate(
                segment->fd(), 0, static_cast<off_t>(last.header.segment_bytes))) {
            return fail(ErrorCode::kIo,
                fmt::format("cannot allocate {}: {}", last.path.string(), std::strerror(error)));
        }
        ENTREPOT_TRY(segment, Segment::open(last.path, true));
    }
    const std::uint64_t base = last.header.base;
    const SegmentMark mark = segment->mark();
    std::uint64_t offset = kSegmentHeaderBytes + (from > base ? from - base : 0);
    RecordView record;
    for (;;) {
        if (offset > segment->bytes())
            return corrupt(last.path, offset, "the books have read beyond the file");
        record = record_at(*segment, offset, base);
        if (record.kind != RecordView::Kind::kRecord) break;
        const std::uint64_t end = base + record.next - kSegmentHeaderBytes;
        if (const std::optional<std::uint64_t> ms = exchange_ms(record.payload);
            ms && mark.oldest_ms != 0)
            segment->note_time(*ms);
        if (Status read = visit(end, record.payload); !read) {
            if (read.error().code != ErrorCode::kJournalCorrupt) return read;
            return corrupt(last.path, offset, read.error().message);
        }
        offset = record.next;
    }
    // The end, or damage? A kill leaves at most a payload without its header. A power cut may lose
    // any page that was not forced out, so whole records may stand behind a hole; they were never
    // promised. Anything else is damage.
    const std::uint64_t end = base + offset - kSegmentHeaderBytes;
    if (end < mark.synced) {
        return corrupt(last.path, offset,
            fmt::format("a record is damaged that was forced to the disk (up to {})", mark.synced));
    }
    std::uint64_t last_byte = offset;
    const bool follows = record_follows(*segment, offset, base, last_byte);
    if (follows && !may_have_lost_power(mark))
        return corrupt(last.path, offset, "a record is damaged, and records follow it");
    bytes_cut_ = last_byte - offset;
    // What stands there already was not looked at: it may be of any time.
    if (mark.oldest_ms == 0 && end != base) {
        constexpr std::uint64_t kBeginning = 1;
        segment->note_time(kBeginning);
        segment->note_time(UINT64_MAX);
    }
    // Zeros to the end, or an old payload could be taken for the header after the next record.
    if (bytes_cut_ != 0) std::memset(segment->data() + offset, 0, bytes_cut_);
    segment->set_boot(boot_hash());
    current_ = std::move(segment);
    current_header_ = last.header;
    writing_ = current_.get();
    writing_base_ = base;
    offset_ = offset;
    end_ = end;
    return {};
}

Status Journal::scan(std::uint64_t from, std::uint64_t to, const Visitor& visit) const {
    std::vector<Sealed> files;
    {
        const std::lock_guard lock(mutex_);
        files = sealed_;
        files.push_back(
            {current_header_, current_->path(), end_.load(std::memory_order_acquire), {}});
    }
    for (Sealed& file : files) {
        file.end = std::min(file.end, to);
        if (file.end <= from || file.end <= file.header.base) continue;
        const Status read = read_sealed(file, from, visit);
        // Let go of meanwhile: what was there is not asked for any more.
        if (!read && read.error().code == ErrorCode::kIo && begin() >= file.end) continue;
        ENTREPOT_TRY_DO(read);
    }
    return {};
}

Status Journal::copy_to(
    const std::filesystem::path& folder, std::uint64_t from, std::uint64_t to) const {
    std::vector<Sealed> files;
    std::shared_ptr<Segment> last;
    {
        const std::lock_guard lock(mutex_);
        files = sealed_;
        files.push_back({current_header_, current_->path(), to, {}});
        last = current_;
    }
    for (const Sealed& file : files) {
        const std::uint64_t base = file.header.base;
        const std::uint64_t end = std::min(file.end, to);
        if (end <= from && file.end != to) continue;
        if (base > to) break;
        std::unique_ptr<Segment> opened;
        if (file.path != last->path()) {
            ENTREPOT_TRY(opened, Segment::open(file.path, false));
        }
        const Segment& segment = opened ? *opened : *last;
        SegmentMark mark = segment.mark();
        mark.synced = end;
        mark.boot = 0;  // whoever opens the copy did not write it
        std::string bytes(segment.data(), kSegmentHeaderBytes + end - base);
        std::memcpy(bytes.data() + sizeof(SegmentHeader), &mark, sizeof mark);
        const std::filesystem::path path = folder / file.path.filename();
        ENTREPOT_TRY_DO(write_file(path, bytes));
    }
    if (const int error = sync_path(folder)) {
        return fail(ErrorCode::kIo,
            fmt::format("cannot sync {}: {}", folder.string(), std::strerror(error)));
    }
    return {};
}

Status Journal::read_files(const std::filesystem::path& folder, std::uint64_t from,
    std::uint64_t to, const Visitor& visit) {
    JournalOptions options;
    options.folder = folder;
    const Journal reader(options);
    ENTREPOT_TRY(std::vector<Sealed> files, reader.list_files());
    if (files.empty() || files.front().header.base > from) {
        return fail(ErrorCode::kJournalCorrupt,
            fmt::format("{} has no records from {} on", folder.string(), from));
    }
    files.back().end = to;
    for (const Sealed& file : files)
        if (file.end > from) ENTREPOT_TRY_DO(reader.read_sealed(file, from, visit));
    return {};
}

}  // namespace entrepot::store
