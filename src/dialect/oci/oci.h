#pragma once

#include "dialect/dialect.h"

// Native chat of Oracle's Generative AI: one envelope and three formats, spoken to the supplier
// only. Their `decode_request` and `reply_encoder` are null.
namespace entrepot::dialect::oci {

/// `oci`: GENERIC, for all makers but Cohere.
[[nodiscard]] const Dialect& generic();
/// `oci-cohere`: COHERE, after the first version of Cohere's Chat.
[[nodiscard]] const Dialect& cohere();
/// `oci-cohere-v2`: COHEREV2, after the second.
[[nodiscard]] const Dialect& cohere_v2();

}  // namespace entrepot::dialect::oci
