#pragma once

// Canon's items to `systemInstruction` and `contents`.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "canon/request.h"
#include "dialect/dialect.h"
#include "dialect/gemini/loss.h"
#include "dialect/gemini/model.h"
#include "dialect/gemini/parts.h"

namespace entrepot::dialect::gemini {

struct Conversation {
    std::string system;    ///< a content object; empty when there is none
    std::string contents;  ///< a JSON array
};

class ContentsWriter {
public:
    ContentsWriter(
        const canon::Request& request, const EncodeTarget& target, Service service, Loss& loss)
        : request_(request),
          is_own_(is_own(request.origin)),
          service_(service),
          model_(Model::of(target.model_id)),
          loss_(loss) {}
    /// Errors: kUnsupported (as the policy says), kInvalidField when nothing is left to send.
    [[nodiscard]] Result<Conversation> write();

private:
    struct Response {
        std::size_t order = 0;  ///< of its call in the turn before
        std::string part;
    };
    struct Turn {
        bool is_model = false;
        std::uint32_t turn = 0;
        std::vector<Response> responses;  ///< of foreign requests, first in their content
        std::vector<std::string> parts;
        bool has_call = false;
    };

    [[nodiscard]] Status add(const canon::Item& item);
    [[nodiscard]] Status check_riders(const canon::Item& item);
    /// The part, or an empty text when there is none to write.
    [[nodiscard]] Result<std::string> part_of(const canon::Item& item, Turn& turn);
    [[nodiscard]] std::string text_part(const canon::Item& item, std::string_view text);
    [[nodiscard]] Result<std::string> media_part(
        const canon::Item& item, const canon::Media& media);
    [[nodiscard]] Result<std::string> call_part(
        const canon::Item& item, const canon::ToolCall& call, Turn& turn);
    [[nodiscard]] Result<std::string> response_part(
        const canon::Item& item, const canon::ToolResult& result, Turn& turn);
    [[nodiscard]] Result<std::string> thought_part(
        const canon::Item& item, const canon::Thought& thought);
    [[nodiscard]] Result<std::string> lost(
        const canon::Item& item, Meaning meaning, std::string_view why);
    void write_extras(json::Writer& writer, const canon::Item& item, std::string_view inside);
    void write_signature(json::Writer& writer, const canon::Item& item);
    [[nodiscard]] std::string path_of(const canon::Item& item) const;
    Turn& turn_for(const canon::Item& item);
    void merge_turns();

    const canon::Request& request_;
    bool is_own_;
    Service service_;
    Model model_;
    Loss& loss_;
    std::vector<Turn> turns_;
    struct Called {
        std::string name;
        std::size_t order;
    };
    std::map<std::string, Called, std::less<>> calls_;
};

}  // namespace entrepot::dialect::gemini
