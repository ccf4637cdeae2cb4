#pragma once

#include <filesystem>

#include "base/result.h"
#include "store/file_ops.h"

namespace entrepot::store {

/// Files of a data folder that take the place of others together: all or none, whatever comes
/// between. They are made in `arriving/`, which becomes `arrived/` in one step; from then on each
/// start goes on putting them in place, and what stood there is in `replaced/`. Under the data
/// folder's lock.
class Replacement {
public:
    /// Begins with an empty folder. Errors: kIo.
    [[nodiscard]] static Result<Replacement> begin(
        const std::filesystem::path& data, FileOps* files);
    /// Where to make the files; a folder among them replaces a folder.
    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
    /// Forces them to the disk and puts them in place. Errors: kIo; after one the next start goes
    /// on, or nothing was changed.
    [[nodiscard]] Status commit() const;

    /// Goes on with what a crash interrupted; nothing where there is nothing to do. Errors: kIo.
    [[nodiscard]] static Status finish(const std::filesystem::path& data, FileOps* files);

private:
    Replacement(std::filesystem::path data, FileOps* files)
        : data_(std::move(data)), folder_(data_ / "arriving"), files_(files) {}
    std::filesystem::path data_;
    std::filesystem::path folder_;
    FileOps* files_;
};

/// Where what was replaced last is kept.
[[nodiscard]] std::filesystem::path replaced_path(const std::filesystem::path& data);

}  // namespace entrepot::store
