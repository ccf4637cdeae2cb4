#pragma once

#include "base/result.h"
#include "canon/reply.h"
#include "dialect/dialect.h"
#include "ledger/types.h"

namespace entrepot::gateway {

/// What a client hears when no supplier takes our credentials, or our account has run dry.
inline constexpr std::string_view kNoAccount =
    "no supplier accepted the gateway's own credentials for this model; its operator has been "
    "alarmed";

/// Our own error as the client may see it: the message and the field, never the cause. Statuses
/// stand in docs/reference/errors.md.
[[nodiscard]] canon::Failure failure_of(const Error& error);

/// Whose turn a supplier's failure makes it: ours where it refuses our credentials, rights or
/// account, whatever status it chose for that; `status` 0: none was stated.
[[nodiscard]] ErrorCode code_of(const canon::Failure& stated, int status);

/// A supplier's failure for the clients of another dialect: the supplier's own codes and fields say
/// nothing there, and what it thinks of our account is nobody's business.
[[nodiscard]] canon::Failure carried_to(const dialect::Dialect& client, canon::Failure stated);

/// The path is right and the method is not; `allow` lists those that are.
[[nodiscard]] Error not_allowed(
    std::string_view method, std::string_view path, std::string_view allow);

/// A supplier's own failure under a 200, as an error of ours.
[[nodiscard]] Error error_of(const canon::Failure& stated);

/// Takes a supplier's identifiers of our account out of a text meant for the client: organisation,
/// project and subscription ids, ARNs with account numbers, key fragments.
[[nodiscard]] std::string scrub_account(std::string_view text);

/// Who ended an exchange whose last write went so: a drain of ours also ends a write that a slow
/// client does not take.
[[nodiscard]] ledger::EndedBy ended_by(const Status& wrote);

}  // namespace entrepot::gateway
