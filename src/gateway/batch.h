#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/request.h"
#include "canon/usage.h"
#include "dialect/dialect.h"

// What is inside batches: their requests as they are sent in, their answers as they come out.
namespace entrepot::gateway {

/// One request of a batch.
struct BatchAsk {
    std::string where;  ///< for words: `line 3`, `requests[2].params`
    const dialect::Dialect* dialect = nullptr;
    canon::Request request;
    std::int64_t bytes = 0;        ///< of its JSON
    std::string_view model_token;  ///< the model's JSON string, inside the text that was read
};
using TakeAsk = std::function<Status(BatchAsk&)>;

/// Reads the lines of a file that OpenAI's batches are made of. Errors: `take`'s; kInvalidField
/// naming the line, for what does not read as a request of a path that is served;
/// kUnsupported for other paths.
[[nodiscard]] Status read_batch_lines(std::string_view jsonl, const TakeAsk& take);
/// Reads the body that makes a batch at Anthropic. Errors: likewise.
[[nodiscard]] Status read_batch_body(std::string_view json, const TakeAsk& take);

/// One answer of a batch, as a line of its results.
struct BatchAnswer {
    canon::Usage usage;
    bool has_answer = false;   ///< false: it failed, was cancelled or expired: nothing is billed
    bool is_reported = false;  ///< the answer says what it used
};
/// Errors: kUpstreamProtocol, for a line that is no such thing.
[[nodiscard]] Result<BatchAnswer> read_batch_answer(
    std::string_view line, const dialect::Dialect& dialect);

/// Cuts what comes in pieces into lines; the last needs no line feed.
class Lines {
public:
    explicit Lines(std::size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}
    /// Calls `take` for each line that is now whole and not blank. Errors: `take`'s;
    /// kUpstreamProtocol for a line too long.
    [[nodiscard]] Status feed(
        std::string_view bytes, const std::function<Status(std::string_view)>& take);
    [[nodiscard]] Status finish(const std::function<Status(std::string_view)>& take);

private:
    std::size_t line_bytes_max_;
    std::string rest_;
};

/// The whole text with each of these JSON strings replaced by `value`. `tokens` lie in `text`, in
/// order.
[[nodiscard]] std::string with_strings(
    std::string_view text, const std::vector<std::string_view>& tokens, std::string_view value);

/// A batch of Anthropic's that says where its results lie, with our own path there: its SDKs ask
/// what they are told, with the key they have. Anything else as it was.
[[nodiscard]] std::string with_own_results(std::string body);

}  // namespace entrepot::gateway
