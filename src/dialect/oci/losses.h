#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"

namespace entrepot::dialect::oci {

/// Lossless or loud: what cannot be carried is refused or named, as `on_lossy` says.
class Losses {
public:
    explicit Losses(OnLossy on_lossy) : on_lossy_(on_lossy) {}

    /// Without it the answer would be another one. Errors: kUnsupported, unless all may be named.
    [[nodiscard]] Status of_answer(std::string_view field, std::string_view why) {
        return lose(field, why, on_lossy_ != OnLossy::kName);
    }
    /// A hint, or something beside the answer. Errors: kUnsupported where nothing may be lost.
    [[nodiscard]] Status of_hint(std::string_view field, std::string_view why) {
        return lose(field, why, on_lossy_ == OnLossy::kRefuse);
    }
    /// What no policy can save, since the request would not stand without it.
    [[nodiscard]] static std::unexpected<Error> refuse(
        std::string_view field, std::string_view why) {
        return fail_field(ErrorCode::kUnsupported, std::string(field),
            fmt::format("'{}' cannot be carried to Oracle's native chat: {}", field, why));
    }
    [[nodiscard]] std::vector<std::string> take() { return std::move(dropped_); }

private:
    Status lose(std::string_view field, std::string_view why, bool is_refused) {
        if (is_refused) return refuse(field, why);
        if (std::ranges::find(dropped_, field) == dropped_.end()) dropped_.emplace_back(field);
        return {};
    }

    OnLossy on_lossy_;
    std::vector<std::string> dropped_;
};

}  // namespace entrepot::dialect::oci
