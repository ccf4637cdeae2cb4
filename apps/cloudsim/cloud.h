#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cloudsim/brain.h"
#include "cloudsim/cloudsim.h"
#include "net/message.h"

namespace entrepot::cloudsim {

class Identity;

/// A request as it came.
struct Incoming {
    std::string_view method;
    std::string_view path;   ///< as sent
    std::string_view query;  ///< as sent
    net::Headers headers;
    std::string_view body;
    Instant now;
    const Identity* identity = nullptr;  ///< who issues tokens and keys; null: nobody does
};

/// An error answer in a cloud's own words.
struct Refusal {
    int status = 400;
    std::string body;
    net::HeaderLines headers;
    std::string model;  ///< when it was understood that far
    std::string content_type = "application/json";
};

template <typename T>
using Answered = std::expected<T, Refusal>;

/// What is left of a quota; `limit` 0 means that there is none.
struct Quota {
    std::int64_t limit = 0;
    std::int64_t remaining = 0;
    std::int64_t reset_s = 0;
};

enum class Trouble : std::uint8_t { kThrottled, kOverloaded, kBroken };

/// One supplier's wire format, written from the facts and from nothing else of ours.
class Cloud {
public:
    virtual ~Cloud() = default;
    [[nodiscard]] virtual const CloudAddress& address() const = 0;

    /// Checks credentials, path and body. A path that is no generation gives an answer of its own
    /// (models) or the cloud's 404, both as a Refusal.
    [[nodiscard]] virtual Answered<Ask> read(const Incoming& incoming) = 0;

    /// What was answered, before it is sent: for clouds that keep answers.
    virtual void keep(const Ask&, const Answer&, const Control&, bool /*has_usage*/, Instant) {}

    [[nodiscard]] virtual std::string content_type(const Ask& ask) const = 0;
    /// Headers that every answer has.
    virtual void add_headers(
        net::HeaderLines& lines, const Answer& answer, const Quota& quota) const = 0;
    /// Headers that depend on what was asked.
    virtual void add_reply_headers(
        net::HeaderLines&, const Ask&, const Answer&, bool /*has_usage*/) const {}
    [[nodiscard]] virtual std::string reply_id(const Answer& answer) const = 0;
    [[nodiscard]] virtual std::string whole(
        const Ask& ask, const Answer& answer, bool has_usage, Instant now) const = 0;
    /// The stream, event by event.
    [[nodiscard]] virtual std::vector<std::string> stream(const Ask& ask, const Answer& answer,
        const Control& control, bool has_usage, Instant now) const = 0;
    /// What the reply tells of the usage: a cloud may have no words for some meter.
    [[nodiscard]] virtual canon::Usage reported(canon::Usage usage) const { return usage; }
    /// The cloud's own event of error after a 200.
    [[nodiscard]] virtual std::string stream_error(const Ask& ask) const = 0;
    /// An event that no client may accept.
    [[nodiscard]] virtual std::string damaged(std::string event) const = 0;

    [[nodiscard]] virtual Refusal refuse(int status, std::string_view message) const = 0;
    [[nodiscard]] virtual Refusal trouble(
        Trouble what, const Control& control, const Quota& quota) const = 0;
};

enum class OpenAiKind : std::uint8_t { kOpenAi, kCompatible, kAzure };
[[nodiscard]] std::unique_ptr<Cloud> make_openai(OpenAiKind kind);
[[nodiscard]] std::unique_ptr<Cloud> make_anthropic();
[[nodiscard]] std::unique_ptr<Cloud> make_bedrock();
[[nodiscard]] std::unique_ptr<Cloud> make_gemini();
[[nodiscard]] std::unique_ptr<Cloud> make_vertex();
[[nodiscard]] std::unique_ptr<Cloud> make_cohere();
[[nodiscard]] std::unique_ptr<Cloud> make_oci();
[[nodiscard]] std::unique_ptr<Cloud> make_mantle();
/// A copy of OpenAI's API behind another cloud's gate, which asks no key: its models, under `/v1`.
[[nodiscard]] std::unique_ptr<Cloud> make_openai_behind(CloudAddress address);

/// Whether the request presents `key` under that header, or as a bearer token.
[[nodiscard]] bool has_key(const Incoming& incoming, std::string_view header, std::string_view key);
[[nodiscard]] bool has_model(const CloudAddress& address, std::string_view model);
/// `a%3Ab` to `a:b`.
[[nodiscard]] std::string percent_decoded(std::string_view text);

}  // namespace entrepot::cloudsim
