#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "config/settings.h"
#include "dialect/dialect.h"
#include "net/http_client.h"
#include "net/message.h"
#include "upstream/credential.h"

namespace entrepot::upstream {

/// Adds what must be computed for each request: a signature. One per core and cloud, because it
/// keeps derived keys.
class Signer {
public:
    virtual ~Signer() = default;
    /// Whether there is something to sign with. Errors: kUpstreamAuth, with the reason as its
    /// cause: the cloud is out until its credentials return.
    [[nodiscard]] virtual Status ready(Instant now) = 0;
    /// A request as it will be sent.
    struct Request {
        std::string_view method = "POST";
        std::string_view target;
        std::string_view content_type = "application/json";  ///< empty: none is sent
        std::string_view body;
    };
    /// Adds the signature to `lines`, with what else has to be sent for it. Errors: as `ready`.
    [[nodiscard]] virtual Status sign(
        const Request& request, Instant now, net::HeaderLines& lines) = 0;
    /// What is left of the last `sign` where it takes too long for an event loop (RSA): a header
    /// line that any thread may compute, while this signer goes on with others. Empty: nothing is.
    using Rest = std::function<Result<std::string>()>;
    [[nodiscard]] virtual Rest take_rest() { return {}; }
};

/// How a server differs from its dialect's specification. Data, so that a new server is a row.
struct Quirks {
    bool can_ask_stream_usage = true;
    bool takes_max_completion_tokens = true;
};

/// What a request to one offer looks like in one of its dialects, made once per configuration.
struct Voice {
    const dialect::Dialect* dialect = nullptr;
    std::string target_whole;   ///< path and query as sent, for an answer in one body
    std::string target_stream;  ///< likewise, for a stream
    /// Content type, accepted encoding and static credentials: the supplier's, which outlives it.
    std::string_view header_lines;
    std::string account = {};   ///< dialect::EncodeTarget::account
    std::string model_id = {};  ///< as bodies name the model; empty: by the offer's own id
    Quirks quirks = {};
    canon::Tasks tasks = canon::kAllTasks;  ///< of those of the dialect
    /// Texts that one call makes vectors of; 0: as many as a client may ask for. What is translated
    /// and has more is asked in parts.
    std::size_t inputs_max = 0;

    [[nodiscard]] bool can(canon::Task task) const {
        return (dialect->tasks & tasks & canon::task_bit(task)) != 0;
    }
};

/// Whose paths and bodies a supplier has for what it keeps: answers, files, batches, caches.
enum class KeepingStyle : std::uint8_t { kNone, kOpenai, kAnthropic, kGoogle };

/// Where a cloud keeps things.
struct Keeping {
    KeepingStyle style = KeepingStyle::kNone;
    std::string base;   ///< before the name of the collection, no trailing slash: `/v1`
    std::string query;  ///< of every request: `api-version=...`; mostly empty
};

/// Where a cloud is.
struct Endpoint {
    net::Origin origin;
    std::string base_path;
};

/// The code that speaks to one kind of supplier, for one configured cloud. Immutable, shared by all
/// cores.
class Supplier {
public:
    virtual ~Supplier() = default;
    /// The ways to ask for that model, at least one. A client that speaks the dialect of one of
    /// them is served through it; everybody else is translated to the first that does the task.
    [[nodiscard]] virtual std::vector<Voice> voices(std::string_view model_at_cloud) const = 0;
    /// The same where an offer states how its model is to be asked.
    [[nodiscard]] virtual std::vector<Voice> voices_in(
        std::string_view model_at_cloud, config::ApiFormat) const {
        return voices(model_at_cloud);
    }
    /// Null when the static headers suffice. `credentials` is where the cloud's are published, null
    /// when they are constants.
    [[nodiscard]] virtual std::unique_ptr<Signer> make_signer(
        const std::shared_ptr<const CredentialCell>& credentials) const;
    /// What is kept for us between requests, and where; nothing by default.
    [[nodiscard]] virtual Keeping keeping() const { return {}; }
    /// Static credentials and versions, for what is no voice's business.
    [[nodiscard]] const std::string& access_lines() const { return access_lines_; }
    /// The path that the endpoint of the settings stands for, without a trailing slash.
    [[nodiscard]] const std::string& base_path() const { return base_path_; }
    /// The header that names the request in the supplier's own logs.
    [[nodiscard]] virtual std::string_view request_id_header() const { return "x-request-id"; }

    [[nodiscard]] const net::Origin& origin() const { return origin_; }

protected:
    /// `access`: what every request carries, beside what a signer adds.
    Supplier(Endpoint endpoint, const net::HeaderLines& access)
        : origin_(std::move(endpoint.origin)),
          base_path_(std::move(endpoint.base_path)),
          access_lines_(access.text()),
          header_lines_(header_lines_of(access)) {}

    /// With what a voice sends beside `access`.
    static std::string header_lines_of(const net::HeaderLines& access);

    net::Origin origin_;
    std::string base_path_;  ///< without a trailing slash
    std::string access_lines_;
    std::string header_lines_;  ///< of a voice
};

/// The supplier of a configured cloud. Errors: kBadConfiguration naming what is missing or
/// malformed.
[[nodiscard]] Result<std::unique_ptr<const Supplier>> make_supplier(
    const config::CloudSettings& cloud);

/// The endpoint of the settings, or `fallback`, with the cloud's CA and proxy.
[[nodiscard]] Result<Endpoint> endpoint_of(
    const config::CloudSettings& cloud, std::string_view fallback);

}  // namespace entrepot::upstream
