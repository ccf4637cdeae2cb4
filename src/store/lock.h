#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"

namespace entrepot::store {

/// One owner of a data folder at a time, held by the kernel: it ends with the process, however that
/// ends.
class DataLock {
public:
    /// Makes the folder (mode 0700) when absent. Errors: kStoreLocked (names the holder's process),
    /// kIo.
    [[nodiscard]] static Result<std::unique_ptr<DataLock>> take(const std::filesystem::path& data);
    ~DataLock();
    DataLock(const DataLock&) = delete;
    DataLock& operator=(const DataLock&) = delete;

private:
    explicit DataLock(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace entrepot::store
