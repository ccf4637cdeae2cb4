#include "disk.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include "base/check.h"
#include "store/segment.h"

namespace entrepot::rig {

namespace {

constexpr std::size_t kSector = 512;
constexpr std::uint64_t kOtherBoot = 0x0b00'7000;

bool is_segment(const std::string& name) { return name.ends_with(".journal"); }

std::optional<std::string> read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return std::nullopt;
    std::string bytes(static_cast<std::size_t>(file.tellg()), '\0');
    file.seekg(0);
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<std::size_t>(file.gcount()));
    return bytes;
}

/// Where the whole records of a segment end.
std::size_t end_of_records(const std::string& bytes) {
    std::size_t at = store::kSegmentHeaderBytes;
    while (at + store::kRecordHeaderBytes <= bytes.size()) {
        std::uint32_t size = 0;
        std::memcpy(&size, bytes.data() + at, sizeof size);
        if (size == 0) break;
        at += store::record_bytes(size);
    }
    return std::min(at, bytes.size());
}

/// A payload without its header: any part of it may have been copied.
void tear_tail(std::string& bytes, Random& random) {
    const std::size_t begin = end_of_records(bytes);
    const std::size_t last = bytes.find_last_not_of('\0');
    if (last == std::string::npos || last < begin) return;
    const std::size_t from = begin + random.below(last + 1 - begin);
    const std::size_t to = random.one_in(2) ? last + 1 : from + random.below(last + 2 - from);
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from),
        bytes.begin() + static_cast<std::ptrdiff_t>(to), '\0');
}

std::string mixed(const std::string& forced, const std::string& seen, Random& random) {
    // How much reached the platter: nothing, all, or any share of it.
    const std::uint64_t share = random.below(5);
    std::string bytes = forced;
    const bool takes_size = forced.size() <= seen.size() ? share != 0 : share == 4;
    if (takes_size) bytes.resize(seen.size(), '\0');
    for (std::size_t at = 0; at < std::min(bytes.size(), seen.size()); at += kSector) {
        const std::size_t size = std::min({kSector, bytes.size() - at, seen.size() - at});
        if (std::memcmp(bytes.data() + at, seen.data() + at, size) == 0) continue;
        if (random.below(4) >= share) continue;
        // A word is stored whole.
        const std::size_t taken = random.one_in(4) ? random.below(size / 8 + 1) * 8 : size;
        std::memcpy(bytes.data() + at, seen.data() + at, taken);
    }
    return bytes;
}

}  // namespace

std::map<std::string, std::string> read_folder(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files;
    std::error_code none;
    std::vector<std::filesystem::path> segments;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "journal", none))
        if (entry.path().extension() == ".journal") segments.push_back(entry.path());
    std::ranges::sort(segments);
    for (const auto& path : segments)
        if (auto bytes = read_file(path)) files["journal/" + path.filename().string()] = *bytes;
    // The base after the journal: it may be ahead of it, never behind.
    for (const char* const name : {"books.db", "books.db-journal", "books.db-wal", "base.db",
             "base.db-journal", "base.db-wal"})
        if (auto bytes = read_file(folder / name)) files[name] = *bytes;
    return files;
}

std::map<std::string, std::string> read_folder_at_rest(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files = read_folder(folder);
    for (;;) {
        std::map<std::string, std::string> again = read_folder(folder);
        if (again == files) return files;
        files = std::move(again);
    }
}

void write_folder(
    const std::filesystem::path& folder, const std::map<std::string, std::string>& files) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder / "journal");
    for (const auto& [name, bytes] : files) {
        std::ofstream file(folder / name, std::ios::binary);
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        ENTREPOT_CHECK(file.good());
    }
}

std::map<std::string, std::string> after_kill(const Files& files, Random& random) {
    std::map<std::string, std::string> left;
    for (const auto& [name, state] : files)
        if (state.seen) left[name] = *state.seen;
    const auto last = std::find_if(
        left.rbegin(), left.rend(), [](const auto& file) { return is_segment(file.first); });
    if (last != left.rend() && last->second.size() > store::kSegmentHeaderBytes) {
        // The prepared one is empty; the one in use comes before it.
        const bool unused = last->second.find_last_not_of('\0') == std::string::npos;
        const auto used = unused ? std::next(last) : last;
        if (used != left.rend() && is_segment(used->first)) tear_tail(used->second, random);
    }
    return left;
}

std::map<std::string, std::string> after_power_cut(const Files& files, Random& random) {
    std::map<std::string, std::string> left;
    for (const auto& [name, state] : files) {
        if (!state.seen) {
            // Removed, and the folder may not know it yet. (Journal files are removed in their
            // order, which file systems keep.)
            if (state.forced && !is_segment(name) && random.one_in(2)) left[name] = *state.forced;
            continue;
        }
        if (is_segment(name)) {
            // Allocated and entered in its folder before it is used; zeros until forced.
            const std::string zeros(state.seen->size(), '\0');
            std::string bytes = mixed(state.forced.value_or(zeros), *state.seen, random);
            if (bytes.size() >= store::kSegmentHeaderBytes) {
                const std::size_t boot =
                    sizeof(store::SegmentHeader) + offsetof(store::SegmentMark, boot);
                std::uint64_t word = 0;
                std::memcpy(&word, bytes.data() + boot, sizeof word);
                word = word == 0 ? 0 : kOtherBoot;
                std::memcpy(bytes.data() + boot, &word, sizeof word);
            }
            left[name] = std::move(bytes);
        } else {
            left[name] = mixed(state.forced.value_or(std::string()), *state.seen, random);
        }
    }
    return left;
}

void ForcedFiles::forget_segments_but(const std::map<std::string, std::string>& files) {
    const std::lock_guard lock(mutex_);
    std::erase_if(forced_,
        [&](const auto& file) { return is_segment(file.first) && !files.contains(file.first); });
}

void ForcedFiles::forcing(const std::string& name, std::string contents) {
    const std::lock_guard lock(mutex_);
    forcing_[name] = std::move(contents);
}

void ForcedFiles::forced(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (const auto found = forcing_.find(name); found != forcing_.end())
        forced_[name] = found->second;
}

Files ForcedFiles::beside(std::map<std::string, std::string> seen) const {
    const std::lock_guard lock(mutex_);
    Files files;
    for (const auto& [name, bytes] : forced_) files[name].forced = bytes;
    for (auto& [name, bytes] : seen) files[name].seen = std::move(bytes);
    return files;
}

void ForcedFiles::start_from(const Files& files) {
    const std::lock_guard lock(mutex_);
    forced_.clear();
    forcing_.clear();
    for (const auto& [name, state] : files)
        if (state.forced) forced_[name] = *state.forced;
}

}  // namespace entrepot::rig
