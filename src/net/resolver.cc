#include "net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"

namespace entrepot::net {

namespace {

/// The threads that block in getaddrinfo: two, so that one name that does not answer holds up
/// little. One queue of at most kWaitingMax names for the whole process.
class LookupThreads {
public:
    static LookupThreads& instance() {
        static LookupThreads threads;
        return threads;
    }
    bool submit(std::function<void()> work) {
        const std::lock_guard lock(mutex_);
        if (queue_.size() >= kWaitingMax) return false;
        if (threads_.size() < kThreads) threads_.emplace_back([this] { run(); });
        queue_.push_back(std::move(work));
        arrived_.notify_one();
        return true;
    }
    ~LookupThreads() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        arrived_.notify_all();
        for (std::thread& thread : threads_) thread.join();
    }

private:
    static constexpr std::size_t kThreads = 2;
    static constexpr std::size_t kWaitingMax = 256;
    void run() {
        for (;;) {
            std::function<void()> work;
            {
                std::unique_lock lock(mutex_);
                arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
                if (stopping_) return;
                work = std::move(queue_.front());
                queue_.pop_front();
            }
            work();
        }
    }
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<std::function<void()>> queue_;
    std::vector<std::thread> threads_;
    bool stopping_ = false;
};

/// The addresses that need no look-up: of a literal, and of this machine, whose name is no table's
/// to give away (RFC 6761) and stands in none on a bare one.
std::vector<Address> known(const std::string& host) {
    const auto read = [](const char* text, std::vector<Address>& addresses) {
        Address address;
        auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
        auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
        if (::inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
            v4->sin_family = AF_INET;
            address.size = sizeof *v4;
        } else if (::inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
            v6->sin6_family = AF_INET6;
            address.size = sizeof *v6;
        } else {
            return;
        }
        addresses.push_back(address);
    };
    std::vector<Address> addresses;
    const std::string name = to_lower(host);
    if (name == "localhost" || name.ends_with(".localhost")) {
        read("127.0.0.1", addresses);
        read("::1", addresses);
    } else {
        read(host.c_str(), addresses);
    }
    return addresses;
}

struct Found {
    std::vector<Address> addresses;
    std::string error;
};

Found look_up(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    Found found;
    const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
    if (code == EAI_ADDRFAMILY ||
        code == EAI_NONAME) {  // a machine with loopback alone has no configured family
        hints.ai_flags = 0;
        const int again = ::getaddrinfo(host.c_str(), nullptr, &hints, &list);
        if (again != 0) found.error = ::gai_strerror(again);
    } else if (code != 0) {
        found.error = ::gai_strerror(code);
    }
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
        Address address;
        std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
        address.size = at->ai_addrlen;
        found.addresses.push_back(address);
    }
    if (list != nullptr) ::freeaddrinfo(list);
    if (found.addresses.empty() && found.error.empty()) found.error = "it has no address";
    return found;
}

void set_port(std::vector<Address>& addresses, std::uint16_t port) {
    for (Address& address : addresses) {
        if (address.storage.ss_family == AF_INET) {
            reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
        } else {
            reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
        }
    }
}

}  // namespace

struct Resolver::Entry {
    Found found;
    MonotonicTime until;
    bool pending = false;
    List waiting;
    struct Turn : ListNode {
        Waiter waiter;
    };
    void wake_all() {
        while (!waiting.empty()) {
            auto& turn = static_cast<Turn&>(*waiting.front());
            turn.unlink();
            turn.waiter.wake();
        }
    }
};

struct Resolver::Link {
    std::mutex mutex;
    Core* core;
};

Resolver::Resolver(Core& core, Options options)
    : core_(core), link_(std::make_shared<Link>()), options_(options) {
    link_->core = &core;
}

Resolver::~Resolver() {
    const std::lock_guard lock(link_->mutex);
    link_->core = nullptr;
}

Task<std::vector<Address>> Resolver::resolve(std::string host, std::uint16_t port, Until until) {
    std::vector<Address> addresses = known(host);
    if (!addresses.empty()) {
        set_port(addresses, port);
        co_return addresses;
    }
    if (entries_.size() >= options_.names_max && !entries_.contains(host)) {
        std::erase_if(entries_, [](const auto& item) { return !item.second->pending; });
    }
    std::shared_ptr<Entry>& slot = entries_[host];
    if (!slot) slot = std::make_shared<Entry>();
    const std::shared_ptr<Entry> entry = slot;
    if (!entry->pending && core_.now() >= entry->until) {
        entry->pending = true;
        // The entry travels to the thread and back; only its own core looks inside.
        auto work = [link = link_, entry, host, positive = options_.positive_ttl,
                        negative = options_.negative_ttl] {
            auto found = std::make_shared<Found>(look_up(host));
            const std::lock_guard lock(link->mutex);
            Core* const core = link->core;
            if (core == nullptr) return;
            core->post([core, entry, found, positive, negative] {
                const bool good = !found->addresses.empty();
                entry->found = std::move(*found);
                entry->until = core->now() + (good ? positive : negative);
                entry->pending = false;
                entry->wake_all();
            });
        };
        if (!LookupThreads::instance().submit(std::move(work))) {
            entry->pending = false;
            co_return fail(ErrorCode::kUpstreamUnreachable, "too many names are being looked up");
        }
    }
    while (entry->pending) {
        Entry::Turn turn;
        entry->waiting.push_back(turn);
        const Wake wake = co_await turn.waiter.wait(until);
        turn.unlink();
        if (!wake.ready) {
            const bool late = wake.reason == ErrorCode::kRequestTimeout;
            co_return fail(late ? ErrorCode::kUpstreamTimeout : wake.reason,
                fmt::format("looking up '{}' took too long", host));
        }
    }
    if (entry->found.addresses.empty())
        co_return fail(ErrorCode::kUpstreamUnreachable,
            fmt::format("cannot find the host '{}'", host), entry->found.error);
    addresses = entry->found.addresses;
    set_port(addresses, port);
    co_return addresses;
}

}  // namespace entrepot::net
