#include "store/lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace entrepot::store {

Result<std::unique_ptr<DataLock>> DataLock::take(const std::filesystem::path& data) {
    std::error_code error;
    if (std::filesystem::create_directories(data, error)) {
        std::filesystem::permissions(data, std::filesystem::perms::owner_all, error);
    }
    if (error)
        return fail(
            ErrorCode::kIo, fmt::format("cannot make {}: {}", data.string(), error.message()));
    const std::filesystem::path path = data / "lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(
            ErrorCode::kIo, fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
    std::unique_ptr<DataLock> lock(new DataLock(fd));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return fail(ErrorCode::kIo,
                fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
        }
        char holder[64];
        const ssize_t size = ::pread(fd, holder, sizeof holder, 0);
        const std::string_view text(holder, size > 0 ? static_cast<std::size_t>(size) : 0);
        return fail(ErrorCode::kStoreLocked,
            fmt::format("{} is in use by {}: stop it, or ask it through its admin port",
                data.string(), text.empty() ? "another process" : excerpt(trim(text))));
    }
    const std::string self = fmt::format("process {}\n", ::getpid());
    // Only for the message above: a failure to write it is no reason to stop.
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, self.data(), self.size(), 0) < 0) errno = 0;
    return lock;
}

DataLock::~DataLock() { ::close(fd_); }

}  // namespace entrepot::store
