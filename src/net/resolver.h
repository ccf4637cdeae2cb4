#pragma once

#include <sys/socket.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/core.h"

namespace entrepot::net {

/// A socket address.
struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

/// Names to addresses for one core: literals at once, names through a thread that may block, with a
/// small cache. The operating system's getaddrinfo is used, so /etc/hosts and nsswitch hold.
class Resolver {
public:
    struct Options {
        milliseconds positive_ttl{30'000};
        milliseconds negative_ttl{2'000};
        std::size_t names_max = 1024;
    };
    Resolver(Core& core, Options options);
    ~Resolver();

    /// Addresses in the order to try, never empty; the port is set. Errors: kUpstreamUnreachable,
    /// kUpstreamTimeout, the reason of the cancel.
    [[nodiscard]] Task<std::vector<Address>> resolve(
        std::string host, std::uint16_t port, Until until);

private:
    struct Entry;
    struct Link;  // lets a lookup that ends after the core is gone know it
    Core& core_;
    std::shared_ptr<Link> link_;
    Options options_;
    std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace entrepot::net
