#pragma once

#include <expected>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cloudsim/brain.h"
#include "json/value.h"

// OpenAI's Responses API, as OpenAI and Azure serve it beside chat completions.
namespace entrepot::cloudsim {

/// What is wrong with a request, in the words and at the place of the API.
struct ResponsesFault {
    std::string message;
    std::string param;
    std::string code = "invalid_value";
};

/// What was kept of requests before this one.
class ResponseMemory {
public:
    virtual ~ResponseMemory() = default;
    [[nodiscard]] virtual std::expected<void, ResponsesFault> recall(
        const json::Value& root, Ask& ask) const = 0;
    [[nodiscard]] virtual std::expected<void, ResponsesFault> recall_item(
        const json::Value& item, Ask& ask, std::set<std::string, std::less<>>& called) const = 0;
};

/// Reads all but the model.
[[nodiscard]] std::expected<void, ResponsesFault> read_responses(
    const json::Value& root, const ResponseMemory& memory, Ask& ask);

/// A whole response; `status` is decided by the answer.
[[nodiscard]] std::string whole_response(
    const Ask& ask, const Answer& answer, std::string_view model, bool has_usage, Instant now);

/// One that is not there yet, or will never be (`queued`, `cancelled`).
[[nodiscard]] std::string pending_response(const Ask& ask, const Answer& answer,
    std::string_view model, std::string_view status, Instant now);

/// Its events.
[[nodiscard]] std::vector<std::string> stream_response(const Ask& ask, const Answer& answer,
    const Control& control, std::string_view model, bool has_usage, Instant now);

}  // namespace entrepot::cloudsim
