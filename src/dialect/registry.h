#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/usage.h"
#include "dialect/dialect.h"

namespace entrepot::dialect {

/// The dialect of that name, or nullptr: unknown, or not built in yet.
[[nodiscard]] const Dialect* find_dialect(std::string_view name);

/// Every name that means something, built in or not, in the order of DESIGN's list.
[[nodiscard]] std::span<const std::string_view> dialect_names();

/// The place of a dialect of the registry in `dialect_names`.
[[nodiscard]] std::size_t index_of(const Dialect& dialect);

/// Like `find_dialect`, with words. Errors: kInvalidField (unknown, nearest name offered),
/// kUnsupported (a known name whose code is not built in yet).
[[nodiscard]] Result<const Dialect*> require_dialect(std::string_view name);

enum class BodyKind : std::uint8_t { kRequest, kResponse, kStream };
/// `request`, `response`, `stream`. Errors: kInvalidField.
[[nodiscard]] Result<BodyKind> parse_body_kind(std::string_view text);

struct TranslateOptions {
    std::string_view model_id;  ///< written into a request; empty keeps the model that it names
    OnLossy on_lossy = OnLossy::kName;
};

struct Translated {
    std::string bytes;
    std::vector<std::string> dropped;  ///< what the target has no place for, by the origin's names
};

/// Carries one whole body from a dialect to another through canon. A response that is a supplier's
/// error (an `error` body) is carried as an error body.
/// Errors: those of the dialects.
[[nodiscard]] Result<Translated> translate(const Dialect& from, const Dialect& to, BodyKind kind,
    std::string_view bytes, const TranslateOptions& options = {});

/// The usage that a reply states, in normal form; the last report stands; zero when it states none.
/// A stream that is cut or ends in an error is metered as far as it came.
/// Errors: kInvalidField for a request, kUpstreamProtocol when nothing of the body can be read.
[[nodiscard]] Result<canon::Usage> meter(
    const Dialect& dialect, BodyKind kind, std::string_view bytes);

}  // namespace entrepot::dialect
