#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/dialect.h"
#include "dialect/losses.h"
#include "json/value.h"

// Between a delegate's own bodies and what InvokeModel makes of them: members that stand elsewhere
// or not at all. Texts in, texts out; a text that is not JSON comes back as it is.
namespace entrepot::dialect::bedrock_invoke {

/// Nova's request as Converse writes it: inference parameters that Converse does not know become
/// `additionalModelRequestFields`, a cache point inside of a block one behind it. Empty when
/// nothing is to be changed.
[[nodiscard]] std::string converse_request_of_nova(const json::Value& body);
/// And back. Errors: kUnsupported, as the policy says.
[[nodiscard]] Result<std::string> nova_request_of_converse(const std::string& body, Losses& losses);

/// A Messages request in Bedrock's spelling: no model, no `stream`, `anthropic_version`, betas in
/// the body. `is_foreign`: the betas were not written for Bedrock, which refuses those that it
/// does not know. Errors: kUnsupported, as the policy says.
[[nodiscard]] Result<std::string> bedrock_messages(
    const EncodedRequest& encoded, bool is_foreign, Losses& losses);

/// A chat request without what the path says, in the words of `family` (Mistral's forced choice
/// is `any`). `is_foreign`: it was written for OpenAI, whose account has fields that a model alone
/// refuses. Errors: kUnsupported, as the policy says.
[[nodiscard]] Result<std::string> bedrock_chat(
    const std::string& body, Family family, bool is_foreign, Losses& losses);
/// Mistral's request in chat completions' words.
[[nodiscard]] std::string chat_request_of_mistral(const json::Value& body);

/// Mistral's replies and events in chat completions' spelling, and back: `stop_reason` for
/// `finish_reason`, in streams `message` for `delta`.
[[nodiscard]] std::string chat_of_mistral(const json::Value& reply, ReplyForm form);
[[nodiscard]] std::string mistral_of_chat(const std::string& reply, ReplyForm form);

/// Converse's whole reply, or the payload of its `metadata`, as Nova writes it.
[[nodiscard]] std::string nova_of_converse(const std::string& reply);

}  // namespace entrepot::dialect::bedrock_invoke
