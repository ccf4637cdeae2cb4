#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "dialect/dropped.h"
#include "json/writer.h"

namespace entrepot::dialect::anthropic_messages {

/// What both forms of a reply are written with: the message around the parts, the words of this
/// dialect for what a part holds, and the list of what has no place in it.
class ReplyWriting : public ReplyEncoder {
public:
    explicit ReplyWriting(const ReplyContext& context) : context_(context) {}
    const std::vector<std::string>& dropped() const override { return dropped_.names(); }

protected:
    void drop(std::string_view name) { dropped_.add(name); }
    /// There is one answer here; what belongs to further ones is named.
    [[nodiscard]] bool is_of_other_choice(const canon::Event& event);

    void write_envelope_head(json::Writer& writer, const canon::Started& started) const;
    static void write_stop(json::Writer& writer, const std::optional<canon::Finished>& finished);
    /// Why the answer ended, also where its supplier did not say.
    [[nodiscard]] static canon::Finished ending(
        const std::optional<canon::Finished>& finished, bool has_calls);
    /// The members of a `tool_use` block up to its input. `part` numbers a call without an id.
    void write_call_head(json::Writer& writer, const canon::PartStarted& part) const;
    /// An id that a client of this dialect may send back.
    [[nodiscard]] std::string call_id_of(const canon::PartStarted& part) const;
    /// What else this dialect says of the call (`caller`); other dialects' riders are named.
    void write_riders(json::Writer& writer, const canon::PartStarted& part);
    /// What stands as the signature of a thought, or as its ciphertext: this dialect's as it is,
    /// another maker's sealed, so that it returns to that maker alone, and a thought that nobody
    /// signed as such. Empty for a ciphertext that is not there.
    [[nodiscard]] static std::string proof_of(
        const std::optional<canon::Signature>& signature, bool is_redacted);
    /// Another maker's signature of a call or a text, for a block of its own behind the part's
    /// (`redacted_thinking`, which clients hand back unread); empty where there is none to write.
    [[nodiscard]] std::string proof_behind(const canon::PartStarted& part, bool has_block,
        const std::optional<canon::Signature>& signature);
    /// A whole block of this dialect's own; nothing, by name, where it is another's.
    [[nodiscard]] const std::string* own_block(const canon::PartStarted& part);
    /// Keeps an aside of the message; false: it belongs to a block, or nowhere.
    [[nodiscard]] bool keep_in_envelope(const canon::Aside& aside);

    ReplyContext context_;
    std::string id_;  ///< of the message, once it is known
    std::vector<std::pair<std::string, std::string>> envelope_;  ///< asides of the message
    Dropped dropped_;
};

/// The text of a refusal is a text here, and so is that of a part without a kind of its own.
[[nodiscard]] bool is_text(canon::PartKind kind);

/// An id that a client of this dialect may send back: `id` itself where it is of letters, digits,
/// `_` and `-`, else one that is always the same for it. `fallback` names a call without an id.
[[nodiscard]] std::string legal_call_id(std::string_view id, std::string_view fallback);

[[nodiscard]] std::unique_ptr<ReplyEncoder> make_stream_encoder(const ReplyContext& context);

}  // namespace entrepot::dialect::anthropic_messages
