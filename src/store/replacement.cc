#include "store/replacement.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "store/segment.h"

namespace entrepot::store {

namespace {

namespace fs = std::filesystem;

std::unexpected<Error> failed(std::string_view what, const fs::path& path, int error) {
    return fail(
        ErrorCode::kIo, fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)));
}

fs::path arrived_path(const fs::path& data) { return data / "arrived"; }

Status sync(const fs::path& path, FileOps* files) {
    int error = before(files, Step::kDirectorySync);
    if (error == 0) error = sync_path(path);
    if (error != 0) return failed("sync", path, error);
    return {};
}

Status move(const fs::path& from, const fs::path& to, FileOps* files) {
    if (const int error = before(files, Step::kReplace)) return failed("move", from, error);
    std::error_code error;
    if (fs::is_directory(to, error)) fs::remove_all(to, error);
    fs::rename(from, to, error);
    if (error) return failed("move", from, error.value());
    return {};
}

}  // namespace

fs::path replaced_path(const fs::path& data) { return data / "replaced"; }

Result<Replacement> Replacement::begin(const fs::path& data, FileOps* files) {
    ENTREPOT_TRY_DO(finish(data, files));
    Replacement made(data, files);
    std::error_code error;
    fs::remove_all(made.folder_, error);
    if (!error) fs::create_directory(made.folder_, error);
    if (!error) fs::permissions(made.folder_, fs::perms::owner_all, error);
    if (error) return failed("make", made.folder_, error.value());
    return made;
}

Status Replacement::commit() const {
    std::error_code error;
    std::vector<fs::path> all;
    for (fs::recursive_directory_iterator at(folder_, error), end; !error && at != end;
        at.increment(error))
        all.push_back(at->path());
    if (error) return failed("read", folder_, error.value());
    all.push_back(folder_);
    for (const fs::path& path : all) ENTREPOT_TRY_DO(sync(path, files_));
    ENTREPOT_TRY_DO(move(folder_, arrived_path(data_), files_));
    ENTREPOT_TRY_DO(sync(data_, files_));
    return finish(data_, files_);
}

Status Replacement::finish(const fs::path& data, FileOps* files) {
    const fs::path arrived = arrived_path(data);
    std::error_code error;
    if (!fs::exists(arrived, error)) return {};
    std::vector<std::string> names;
    for (fs::directory_iterator at(arrived, error), end; !error && at != end; at.increment(error))
        names.push_back(at->path().filename());
    if (error) return failed("read", arrived, error.value());
    const fs::path replaced = replaced_path(data);
    fs::create_directory(replaced, error);
    if (error) return failed("make", replaced, error.value());
    for (const std::string& name : names) {
        // What still lies here has not taken its place: what stands there is the old one. A
        // database goes last of its files: before that the new one cannot be taken for its other
        // half.
        for (const char* const part : {"-wal", "-shm", ""}) {
            const fs::path old = data / (name + part);
            if (fs::exists(old, error)) ENTREPOT_TRY_DO(move(old, replaced / (name + part), files));
        }
        ENTREPOT_TRY_DO(move(arrived / name, data / name, files));
    }
    for (const fs::path& path : {replaced, data}) ENTREPOT_TRY_DO(sync(path, files));
    fs::remove(arrived, error);
    if (error) return failed("remove", arrived, error.value());
    return {};
}

}  // namespace entrepot::store
