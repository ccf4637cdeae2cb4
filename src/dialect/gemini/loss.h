#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialect/dialect.h"
#include "dialect/dropped.h"

namespace entrepot::dialect::gemini {

/// Whether the answer may differ without what is lost.
enum class Meaning : std::uint8_t { kKept, kChanged };

/// What could not be carried: refused or named, as the policy says.
class Loss {
public:
    explicit Loss(OnLossy policy) : policy_(policy) {}
    /// Errors: kUnsupported, naming the field.
    [[nodiscard]] Status lose(std::string_view field, Meaning meaning, std::string_view why) {
        if (policy_ == OnLossy::kRefuse ||
            (policy_ == OnLossy::kMeaning && meaning == Meaning::kChanged))
            return refuse(field, why);
        dropped_.add(field);
        return {};
    }
    /// What no policy can save, since the request would not stand without it.
    [[nodiscard]] static std::unexpected<Error> refuse(
        std::string_view field, std::string_view why) {
        return fail_field(ErrorCode::kUnsupported, std::string(field),
            fmt::format("{} cannot be carried to this offer: {}", field, why));
    }
    [[nodiscard]] std::vector<std::string> take() { return dropped_.take(); }

private:
    OnLossy policy_;
    Dropped dropped_;
};

}  // namespace entrepot::dialect::gemini
