#pragma once

// What the tests here share: an endpoint that answers by script, through the project's own server.
#include <fmt/format.h>

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "net/testing.h"
#include "upstream/credentials/keeper.h"

namespace entrepot::upstream::testing {

struct Asked {
    std::string method, target, body;
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case

    [[nodiscard]] std::string header(std::string_view name) const {
        for (const auto& [known, value] : headers)
            if (known == name) return value;
        return "";
    }
};

struct Script {
    int status = 200;
    std::string body;
    std::string headers;
    bool hangs = false;  ///< until the client gives up
};

/// Answers each request with what `answer` makes of it; remembers all of them.
class Endpoint {
public:
    using Answer = std::function<Script(const Asked&)>;
    explicit Endpoint(Answer answer)
        : answer_(std::move(answer)),
          server_([this](net::ServerRequest& request, net::ResponseWriter& response) {
              return serve(request, response);
          }) {}

    [[nodiscard]] std::string url(std::string_view path = "") const {
        return fmt::format("http://127.0.0.1:{}{}", server_.port(), path);
    }
    [[nodiscard]] std::vector<Asked> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    [[nodiscard]] std::size_t count() const { return asked().size(); }
    void answer_with(Answer answer) {
        const std::lock_guard lock(mutex_);
        answer_ = std::move(answer);
    }

private:
    Co<void> serve(net::ServerRequest& request, net::ResponseWriter& response) {
        Asked asked{std::string(request.method), std::string(request.target), request.body, {}};
        for (std::size_t i = 0; i < request.headers.size(); ++i)
            asked.headers.emplace_back(
                to_lower(request.headers[i].name), std::string(request.headers[i].value));
        Script script;
        {
            const std::lock_guard lock(mutex_);
            script = answer_(asked);
            asked_.push_back(std::move(asked));
        }
        if (script.hangs) {
            const Until until{Deadline::never(), request.cancel};
            (void)co_await server_.core().sleep(until);
            response.abort();
            co_return;
        }
        (void)co_await response.send(script.status, script.headers, script.body);
    }

    mutable std::mutex mutex_;
    Answer answer_;
    std::vector<Asked> asked_;
    net::testing::TestServer server_;
};

/// Fetches once from the source of those settings.
inline Result<Credential> fetch_once(const config::CloudSettings& cloud) {
    auto source = make_credential_source(cloud);
    if (!source) return std::unexpected(source.error());
    Core core;
    net::HttpClient client(core);
    SideThread side;
    Result<Credential> fetched = fail(ErrorCode::kInternal, "never ran");
    const auto run = [&]() -> Co<void> {
        Fetch with(core, client, side, nullptr);
        fetched = co_await (*source)->fetch(with);
    };
    core.run_until_done(run());
    return fetched;
}

}  // namespace entrepot::upstream::testing
