#pragma once

#include <cstdint>
#include <filesystem>

namespace entrepot::store {

/// Each step at which the store touches what outlives the process.
enum class Step : std::uint8_t {
    kRecordBegin,    ///< before a record's payload is copied
    kRecordHalf,     ///< half of the payload is in the file
    kRecordPayload,  ///< the payload is in the file, its header is not
    kRecordHeader,   ///< the record is whole
    kSegmentCreate,
    kSegmentAllocate,
    kSegmentMap,
    kSegmentHeader,  ///< a prepared segment is about to become the current one
    kSegmentSync,
    kSegmentRewrite,  ///< pages are written again after a sync that failed
    kSegmentUnlink,
    kDirectorySync,
    kBooksOpen,
    kBooksBegin,
    kBooksWrite,
    kBooksCommit,
    kReplace,  ///< a file is moved to or from its place
};

/// Where tests make the Nth step the last, or make it fail. `before` returns 0 to go on or the
/// errno with which the step fails; at the kRecord steps its answer is not asked for: a copy into
/// memory cannot fail. Called from the owner's and from the store's own threads.
class FileOps {
public:
    virtual ~FileOps() = default;
    [[nodiscard]] virtual int before(Step step) = 0;
    /// A journal file was forced to the disk: with what was in it at the last kSegmentSync.
    virtual void forced(const std::filesystem::path& file) { (void)file; }
};

[[nodiscard]] inline int before(FileOps* files, Step step) {
    return files == nullptr ? 0 : files->before(step);
}

}  // namespace entrepot::store
