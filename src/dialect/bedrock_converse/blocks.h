#pragma once

// Canon's items to Converse's system and messages, and the book of what was lost on the way.

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "dialect/dropped.h"
#include "json/writer.h"

namespace entrepot::dialect::bedrock_converse {

/// Whether the answer may differ without what is lost.
enum class Meaning : std::uint8_t { kKept, kChanged };

/// What could not be carried: refused or named, as the policy says.
class Loss {
public:
    explicit Loss(OnLossy policy) : policy_(policy) {}
    /// Errors: kUnsupported, naming the field.
    [[nodiscard]] Status lose(std::string_view field, Meaning meaning, std::string_view why);
    [[nodiscard]] std::vector<std::string> take() { return dropped_.take(); }

private:
    OnLossy policy_;
    Dropped dropped_;
};

/// Errors: kUnsupported when Bedrock would refuse the name; no policy can drop a name.
[[nodiscard]] Status check_tool_name(std::string_view field, std::string_view name);
void write_cache_point(json::Writer& writer, const canon::CacheMark& mark);
/// `strict` of `toolConfig.tools[0].toolSpec.strict`.
[[nodiscard]] std::string_view last_key(std::string_view path);

struct Conversation {
    std::string system;    ///< JSON array
    std::string messages;  ///< JSON array; roles alternate, save where its own client's did not
    std::vector<std::string> tool_names;  ///< called in the history, in order, once each
};

class BlockWriter {
public:
    /// `must_be_signed`: the model takes no thoughts back without its maker's signature.
    BlockWriter(const canon::Request& request, Loss& loss, bool must_be_signed)
        : request_(request), loss_(loss), must_be_signed_(must_be_signed) {}
    /// Errors: kUnsupported (as the policy says), kInvalidField when nothing is left to send.
    [[nodiscard]] Result<Conversation> write();

private:
    struct Turn {
        bool is_user = true;
        std::uint32_t number = 0;          // of the first item
        std::vector<std::string> results;  // toolResult blocks: first in their message
        std::vector<std::string> blocks;
    };

    /// Appends the item's block, and its cache point, to `out`; nothing when there is none to
    /// write.
    [[nodiscard]] Status append_item(const canon::Item& item, std::vector<std::string>& out);
    /// An empty text means that nothing is to be written.
    [[nodiscard]] Result<std::string> block(const canon::Item& item, bool in_result);
    [[nodiscard]] Result<std::string> text_block(const canon::Item& item, std::string_view text);
    [[nodiscard]] Result<std::string> media_block(
        const canon::Item& item, const canon::Media& media);
    [[nodiscard]] Result<std::string> call_block(
        const canon::Item& item, const canon::ToolCall& call);
    [[nodiscard]] Result<std::string> result_block(
        const canon::Item& item, const canon::ToolResult& result);
    [[nodiscard]] Result<std::string> thought_block(
        const canon::Item& item, const canon::Thought& thought);
    [[nodiscard]] Result<std::string> lost(
        const canon::Item& item, Meaning meaning, std::string_view why);
    [[nodiscard]] Status check_riders(const canon::Item& item);
    void write_own_extras(const canon::Item& item, json::Writer& writer) const;
    [[nodiscard]] std::string path_of(const canon::Item& item) const;
    [[nodiscard]] std::string legal_document_name(std::string_view name);

    const canon::Request& request_;
    Loss& loss_;
    bool must_be_signed_;
    std::vector<std::string> tool_names_;
    std::set<std::string> document_names_;
};

}  // namespace entrepot::dialect::bedrock_converse
