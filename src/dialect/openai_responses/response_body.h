#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "json/writer.h"

namespace entrepot::dialect::openai_responses {

/// A part of an item of the reply: a text, a refusal, a summary, a thought, a call's input.
struct ReplyPart {
    canon::PartKind kind = canon::PartKind::kText;
    bool is_summary = false;
    std::string text;
    std::vector<std::string> annotations;
    std::string logprobs;  ///< the items of the list, with commas between
    std::string json;      ///< kOpaque: the part as its origin wrote it
    bool has_ended = false;
};

struct ReplyItem {
    enum class Kind : std::uint8_t { kMessage, kReasoning, kCall, kCustomCall, kImage, kOpaque };
    Kind kind = Kind::kMessage;
    std::string id;
    std::vector<canon::Extra> marks;  ///< of the origin, `id` apart
    std::string call_id;
    std::string name;
    std::string cipher;  ///< `encrypted_content`; empty: none
    std::string json;    ///< kOpaque, kImage: the item as its origin wrote it; empty: it is made
    std::string media_type;
    std::deque<ReplyPart> parts;
    std::size_t open_parts = 0;  ///< that have not ended
    bool is_cut = false;         ///< the answer ended inside of it
    bool is_done = false;        ///< told as whole
};

/// How far an item is told: the stream begins it empty.
enum class Told : std::uint8_t { kBegun, kWhole };

void write_part(json::Writer& writer, const ReplyPart& part, Told told);
void write_item(json::Writer& writer, const ReplyItem& item, Told told);

/// What a reply repeats of its request, as a JSON object; see Dialect::echo_of. Of the settings
/// that only a supplier of this dialect knows it states the defaults.
[[nodiscard]] std::string echo_of(const canon::Request& request);

/// Everything of a response object but its output: who answers, and what is repeated of the
/// request.
class Envelope {
public:
    explicit Envelope(const ReplyContext& context);

    void learn(const canon::Started& started);
    /// A member of the origin's own envelope. False: it is none of this dialect's.
    bool learn(const canon::Aside& aside);
    void learn(const canon::UsageReported& report);
    void learn(const canon::Finished& finished);

    [[nodiscard]] const std::string& id() const { return id_; }
    [[nodiscard]] bool is_own() const { return is_own_; }
    [[nodiscard]] bool is_incomplete() const { return status_ == "incomplete"; }
    /// A tier that the supplier named and that is none of OpenAI's words; empty: none.
    [[nodiscard]] std::string foreign_tier() const;

    /// The object. `status` overrides what is known of it (`in_progress`, `failed`).
    void write(json::Writer& writer, const std::deque<ReplyItem>& output, std::string_view status,
        const canon::Failure* failure) const;
    /// The status at the end.
    [[nodiscard]] std::string_view status() const { return status_; }

private:
    void write_repeated(json::Writer& writer) const;

    std::string id_;
    std::string model_;
    std::int64_t created_s_ = 0;
    bool is_own_ = false;
    std::vector<std::pair<std::string, std::string>> repeated_;  // member, JSON
    std::vector<canon::Aside> usage_beside_;
    canon::Usage usage_;
    bool has_usage_ = false;
    std::string tier_;
    std::string status_ = "completed";
    std::string incomplete_reason_;
};

}  // namespace entrepot::dialect::openai_responses
