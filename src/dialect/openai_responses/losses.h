#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"

namespace entrepot::dialect::openai_responses {

/// Lossless or loud: what cannot be carried is refused or named, as `on_lossy` says.
class Losses {
public:
    explicit Losses(OnLossy on_lossy) : on_lossy_(on_lossy) {}

    /// Without it the answer would be another one. Errors: kUnsupported, unless all may be named.
    [[nodiscard]] Status of_answer(std::string field, std::string_view why) {
        return lose(std::move(field), why, on_lossy_ != OnLossy::kName);
    }
    /// A hint, or something beside the answer. Errors: kUnsupported where nothing may be lost.
    [[nodiscard]] Status of_hint(std::string field, std::string_view why) {
        return lose(std::move(field), why, on_lossy_ == OnLossy::kRefuse);
    }
    [[nodiscard]] std::vector<std::string> take() { return std::move(dropped_); }

private:
    Status lose(std::string field, std::string_view why, bool is_refused) {
        if (is_refused) {
            std::string message =
                fmt::format("'{}' cannot be carried to OpenAI Responses: {}", field, why);
            return fail_field(ErrorCode::kUnsupported, std::move(field), std::move(message));
        }
        if (std::ranges::find(dropped_, field) == dropped_.end())
            dropped_.push_back(std::move(field));
        return {};
    }

    OnLossy on_lossy_;
    std::vector<std::string> dropped_;
};

}  // namespace entrepot::dialect::openai_responses
