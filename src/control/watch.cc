#include "control/watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace entrepot::control {

Result<std::unique_ptr<ChangeWatch>> ChangeWatch::open(const std::filesystem::path& file) {
    auto watch = std::unique_ptr<ChangeWatch>(new ChangeWatch);
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&wanted, number);
    ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    watch->signals_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (watch->signals_ < 0)
        return fail(
            ErrorCode::kIo, fmt::format("cannot wait for signals: {}", std::strerror(errno)));
    if (file.empty()) return watch;
    watch->file_ = std::filesystem::absolute(file);
    watch->seen_ = watch->stamp();
    watch->inotify_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    // The folder, not the file: editors and orchestrators put a new inode (or a link) in its place.
    const std::string folder = watch->file_.parent_path().string();
    if (watch->inotify_ < 0 ||
        ::inotify_add_watch(watch->inotify_, folder.c_str(),
            IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB) < 0)
        return fail(
            ErrorCode::kIo, fmt::format("cannot watch '{}': {}", folder, std::strerror(errno)));
    return watch;
}

ChangeWatch::~ChangeWatch() {
    if (signals_ >= 0) ::close(signals_);
    if (inotify_ >= 0) ::close(inotify_);
}

ChangeWatch::Stamp ChangeWatch::stamp() const {
    struct stat facts{};
    if (::stat(file_.c_str(), &facts) != 0) return {};
    return {facts.st_ino, facts.st_size,
        std::int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec};
}

bool ChangeWatch::drain_changes() {
    alignas(inotify_event) char events[4096];
    bool any = false;
    while (::read(inotify_, events, sizeof events) > 0) any = true;
    return any;
}

std::optional<ChangeEvent> ChangeWatch::wait(milliseconds patience) {
    const MonotonicTime until = monotonic_now() + patience;
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(until - monotonic_now()).count();
        if (left < 0) return std::nullopt;
        pollfd waited[2] = {{signals_, POLLIN, 0}, {inotify_, POLLIN, 0}};
        const nfds_t count = inotify_ >= 0 ? 2 : 1;
        if (::poll(waited, count, static_cast<int>(left)) < 0 && errno != EINTR)
            return std::nullopt;
        signalfd_siginfo signal{};
        if (::read(signals_, &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) {
            sender_ = signal.ssi_uid;
            return signal.ssi_signo == SIGHUP ? ChangeEvent::kHangUp : ChangeEvent::kStop;
        }
        if (count == 2 && drain_changes()) {
            // A copy or an editor touches a file several times: take its last word.
            do {
                pollfd more{inotify_, POLLIN, 0};
                if (::poll(&more, 1, 100) <= 0) break;
            } while (drain_changes());
            // Other files of the folder change too, the books among them.
            if (const Stamp now = stamp(); now.size >= 0 && !(now == seen_)) {
                seen_ = now;
                return ChangeEvent::kChanged;
            }
        }
        if (left == 0) return std::nullopt;
    }
}

}  // namespace entrepot::control
