#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "rig.h"

namespace entrepot::rig {

/// A file as programs see it and as the platter has it. Absent: it is not there.
struct FileState {
    std::optional<std::string> seen;
    std::optional<std::string> forced;
};
/// The files of a data folder at one instant, by their path within it.
using Files = std::map<std::string, FileState>;

/// Reads what is in `folder`: the journal, books.db and base.db with their logs. The rest (the
/// lock, SQLite's shared memory) says nothing after a crash.
[[nodiscard]] std::map<std::string, std::string> read_folder(const std::filesystem::path& folder);
/// The same at one instant, beside the store's own threads: until two readings are alike.
[[nodiscard]] std::map<std::string, std::string> read_folder_at_rest(
    const std::filesystem::path& folder);
/// Makes `folder` hold exactly these files.
void write_folder(
    const std::filesystem::path& folder, const std::map<std::string, std::string>& files);

/// What kill -9 leaves: all that was stored, in memory or not, except that the payload that was
/// being copied may have come to any part.
[[nodiscard]] std::map<std::string, std::string> after_kill(const Files& files, Random& random);
/// What a power cut leaves: of each sector what was forced, or what was written since, or the
/// beginning of that; under the boot id of another boot.
[[nodiscard]] std::map<std::string, std::string> after_power_cut(
    const Files& files, Random& random);

/// Knows what has been forced to the disk under one folder. Any thread.
class ForcedFiles {
public:
    /// Of journal files that are not among these nothing is left: the next of the name is another.
    void forget_segments_but(const std::map<std::string, std::string>& files);
    /// A file is about to be forced with these contents.
    void forcing(const std::string& name, std::string contents);
    /// It was.
    void forced(const std::string& name);
    /// The files as they are, beside what of them was forced.
    [[nodiscard]] Files beside(std::map<std::string, std::string> seen) const;
    void start_from(const Files& files);

private:
    mutable std::mutex mutex_;
    std::map<std::string, std::string> forced_;
    std::map<std::string, std::string> forcing_;
};

}  // namespace entrepot::rig
