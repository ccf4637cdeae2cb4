#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/usage.h"

namespace entrepot::cloudsim {

enum class Fault : std::uint8_t {
    kNone,
    kDead,
    kHang,
    kSlow,
    kThrottle,
    kOverload,
    kError500,
    kStatus,
    kTruncateStream,
    kStreamError,
    kBadCrc,
    kWrongContentType,
    kEmpty,
    kNoUsage,
    kRefusal,
};
[[nodiscard]] std::string_view fault_name(Fault fault);

struct SimCall {
    std::string id;
    std::string name;
    std::string arguments;  ///< JSON object text
};

/// What to answer instead of something invented.
struct FixedAnswer {
    std::string text;
    std::vector<SimCall> calls;
};

/// How one cloud, or one model of it, behaves. README.md has the list.
struct Control {
    struct Drawn {
        Fault fault = Fault::kNone;
        std::int64_t per_mille = 0;
    };
    std::int64_t first_byte_ms = 0;
    std::int64_t chunk_ms = 0;
    std::int64_t chunks = 0;  ///< 0: by the text's length
    std::int64_t output_tokens = 24;
    std::int64_t background_ms = 300;  ///< what an answer in the background takes
    std::optional<FixedAnswer> answer;
    Fault fault = Fault::kNone;
    std::int64_t every = 1;
    std::vector<Drawn> mix;
    std::int64_t seed = 0;
    std::int64_t status = 500;
    std::string message;
    std::string refusal;  ///< with kRefusal: its name
    std::int64_t retry_after_s = 1;
    std::int64_t after_chunks = 2;
    std::int64_t requests_per_minute = 0;  ///< 0: no quota
    std::optional<canon::Usage> usage_override;

    /// The fault that strikes request number `n` (from 1).
    [[nodiscard]] Fault fault_of(std::uint64_t n) const;
};

/// All controls, as set by PUT /_sim/config.
class Controls {
public:
    /// Errors: kInvalidField, naming the key; nothing is changed then.
    [[nodiscard]] Status replace(std::string body);
    /// The control for a model at a cloud.
    [[nodiscard]] const Control& at(std::string_view cloud, std::string_view model) const;
    /// The text that was set, `{}` at first.
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    std::string text_ = "{}";
    Control all_;
    std::map<std::string, Control, std::less<>> clouds_;
    std::map<std::string, Control, std::less<>> models_;
};

}  // namespace entrepot::cloudsim
