#pragma once

#include "base/result.h"
#include "canon/reply.h"
#include "ledger/types.h"

namespace entrepot::gateway {

/// Our own error as the client may see it: the message and the field, never the cause. Statuses
/// stand in docs/reference/errors.md.
[[nodiscard]] canon::Failure failure_of(const Error& error);

/// A supplier's own failure under a 200, as an error of ours.
[[nodiscard]] Error error_of(const canon::Failure& stated);

/// Takes a supplier's identifiers of our account out of a text meant for the client: organisation,
/// project and subscription ids, ARNs with account numbers, key fragments.
[[nodiscard]] std::string scrub_account(std::string_view text);

/// Who ended an exchange whose last write went so: a drain of ours also ends a write that a slow
/// client does not take.
[[nodiscard]] ledger::EndedBy ended_by(const Status& wrote);

}  // namespace entrepot::gateway
