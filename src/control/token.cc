#include "control/token.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "auth/credential.h"
#include "base/text.h"

namespace entrepot::control {
namespace {

std::unexpected<Error> io_error(std::string_view what, const std::filesystem::path& path) {
    return fail(ErrorCode::kIo,
        fmt::format("cannot {} '{}': {}", what, path.string(), std::strerror(errno)));
}

Result<Secret> read_token(int descriptor, const std::filesystem::path& path) {
    struct stat facts{};
    if (::fstat(descriptor, &facts) != 0) return io_error("look at", path);
    if ((facts.st_mode & 077) != 0)
        return fail(ErrorCode::kIo,
            fmt::format(
                "'{}' may be read by others than its owner; run: chmod 600 '{}', or remove it "
                "to have a new token made",
                path.string(), path.string()));
    char text[256];
    const auto got = ::read(descriptor, text, sizeof text);
    if (got < 0) return io_error("read", path);
    const std::string_view token = trim({text, static_cast<std::size_t>(got)});
    if (token.size() < 16)
        return fail(ErrorCode::kIo,
            fmt::format("'{}' holds no token of 16 characters or more; remove it to have one made",
                path.string()));
    return Secret(std::string(token));
}

}  // namespace

Result<Secret> load_or_make_admin_token(const std::filesystem::path& data) {
    const std::filesystem::path path = data / "admin.token";
    const std::filesystem::path fresh =
        data / fmt::format(".admin.token.{}", static_cast<long>(::getpid()));
    for (int round = 0; round < 2; ++round) {
        if (const int existing = ::open(path.c_str(), O_RDONLY | O_CLOEXEC); existing >= 0) {
            auto token = read_token(existing, path);
            ::close(existing);
            return token;
        }
        if (errno != ENOENT) return io_error("open", path);
        // Written aside and linked into place: the name never stands for half a token, and of two
        // first starts one wins.
        const Secret token = auth::new_secret();
        ::unlink(fresh.c_str());
        const int made = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (made < 0) return io_error("make", fresh);
        const std::string line = std::string(token.reveal()) + "\n";
        const bool written =
            ::write(made, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
            ::fsync(made) == 0;
        ::close(made);
        const bool linked = written && ::link(fresh.c_str(), path.c_str()) == 0;
        const int why = errno;
        ::unlink(fresh.c_str());
        if (linked) return token;
        errno = why;
        if (!written || why != EEXIST) return io_error("make", path);
    }
    return io_error("open", path);
}

}  // namespace entrepot::control
