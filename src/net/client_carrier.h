#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "net/message.h"
#include "runtime/waiter.h"

namespace entrepot::net {

/// What carries an exchange whose head has come: a connection of its own (HTTP/1), or a stream of a
/// shared one (HTTP/2). See ClientExchange for each.
class ClientCarrier {
public:
    [[nodiscard]] virtual int status() const = 0;
    [[nodiscard]] virtual Headers headers() const = 0;
    virtual void forget_head() = 0;
    [[nodiscard]] virtual Result<std::optional<std::string_view>> try_read_body(Wake wake) = 0;
    [[nodiscard]] virtual Waiter::Operation wait_body() = 0;
    [[nodiscard]] virtual bool body_ended() const = 0;
    virtual void set_idle_timeout(milliseconds timeout) = 0;
    virtual void set_cancel(Cancel* cancel) = 0;
    /// The exchange is over: this may be gone afterwards.
    virtual void release() = 0;

protected:
    ~ClientCarrier() = default;
};

/// How the wait for an upstream ended that was to do `what`.
[[nodiscard]] Error upstream_failed(const Wake& wake, std::string_view what);

}  // namespace entrepot::net
