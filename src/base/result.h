#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace entrepot {

/// What went wrong, as one closed list. Each code has a section in docs/reference/errors.md that
/// gives the HTTP status, whose fault it is, whether a retry helps and what is billed; a test holds
/// the two together.
enum class ErrorCode : std::uint8_t {
    // The client's request.
    kBadRequest,    ///< malformed HTTP, JSON, or a value no rule below names
    kInvalidField,  ///< a field has the wrong type or value; `Error::field` names it
    kUnsupported,   ///< cannot be carried to the chosen offer without loss
    kBodyTooLarge,
    kHeadersTooLarge,
    kUnauthenticated,  ///< no key, or one we do not know
    kForbidden,        ///< the key is known and may not do this
    kNotFound,         ///< unknown path, model or object
    kMethodNotAllowed,
    kConflict,  ///< what is there stands in the way: a key of that name, or one of the file
    kRateLimited,
    kInsufficientBalance,  ///< a budget has no room for the hold
    kUnbounded,            ///< the cost of the request has no upper bound
    kClientGone,           ///< the client hung up
    kRequestTimeout,       ///< the client sent too slowly
    // Suppliers.
    kUpstreamRefused,      ///< a 4xx that belongs to the client
    kUpstreamAuth,         ///< 401, 402, 403 of a supplier: our credentials
    kUpstreamRateLimited,  ///< 429
    kUpstreamOverloaded,   ///< 503, 529
    kUpstreamError,        ///< other 5xx
    kUpstreamUnreachable,  ///< name, connect or TLS failure
    kUpstreamTimeout,
    kUpstreamProtocol,  ///< truncated stream, bad CRC, wrong content type, invalid JSON
    kNoOffer,           ///< every offer is excluded or has failed
    // The ledger and the store.
    kUnknownAccount,
    kUnknownHold,
    kHoldConflict,
    kSettleConflict,
    kJournalFull,
    kJournalCorrupt,
    kStoreLocked,
    kIo,
    // Configuration and the process.
    kBadConfiguration,
    kDraining,
    kCancelled,
    kOverflow,
    kInternal,
    // Numbers are in the journal: add at the end.
    kNotDurable,           ///< `durability: power`, and the disk refuses to secure the hold
    kIdempotencyConflict,  ///< its `Idempotency-Key` names a request that is under way or done
    kIdempotencyMismatch,  ///< its `Idempotency-Key` names a request that asked something else
};

/// The code's name as it stands in logs and in docs/reference/errors.md, e.g.
/// `insufficient_balance`.
[[nodiscard]] std::string_view error_code_name(ErrorCode code);

/// A failure. `message` may be shown to the caller: what failed, the value seen, the limit, the
/// next step. `cause` is for our log alone. `field` is the request field at fault, as a path such
/// as `messages[2].content`.
struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string cause;
    std::string field;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(
    ErrorCode code, std::string message, std::string cause = {}) {
    return std::unexpected<Error>(Error{code, std::move(message), std::move(cause), {}});
}

/// A failure that names the request field at fault.
[[nodiscard]] inline std::unexpected<Error> fail_field(
    ErrorCode code, std::string field, std::string message) {
    return std::unexpected<Error>(Error{code, std::move(message), {}, std::move(field)});
}

}  // namespace entrepot

#define ENTREPOT_CONCAT_(a, b) a##b
#define ENTREPOT_CONCAT(a, b) ENTREPOT_CONCAT_(a, b)

/// ENTREPOT_TRY(Type name, expression): name = *expression, or return its error.
#define ENTREPOT_TRY(declaration, ...) \
    ENTREPOT_TRY_(return, ENTREPOT_CONCAT(try_, __COUNTER__), declaration, __VA_ARGS__)
#define ENTREPOT_CO_TRY(declaration, ...) \
    ENTREPOT_TRY_(co_return, ENTREPOT_CONCAT(try_, __COUNTER__), declaration, __VA_ARGS__)
#define ENTREPOT_TRY_(leave, temporary, declaration, ...)                       \
    auto temporary = __VA_ARGS__;                                               \
    if (!temporary) [[unlikely]]                                                \
        leave std::unexpected<::entrepot::Error>(std::move(temporary).error()); \
    declaration = *std::move(temporary)

/// ENTREPOT_TRY_DO(expression): go on, or return its error. For `Status` and values that are not
/// needed.
#define ENTREPOT_TRY_DO(...) \
    ENTREPOT_TRY_DO_(return, ENTREPOT_CONCAT(try_, __COUNTER__), __VA_ARGS__)
#define ENTREPOT_CO_TRY_DO(...) \
    ENTREPOT_TRY_DO_(co_return, ENTREPOT_CONCAT(try_, __COUNTER__), __VA_ARGS__)
#define ENTREPOT_TRY_DO_(leave, temporary, ...)                                     \
    do {                                                                            \
        auto temporary = __VA_ARGS__;                                               \
        if (!temporary) [[unlikely]]                                                \
            leave std::unexpected<::entrepot::Error>(std::move(temporary).error()); \
    } while (false)
