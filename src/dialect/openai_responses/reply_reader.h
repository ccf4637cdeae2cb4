#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "json/value.h"

namespace entrepot::dialect::openai_responses {

/// Response objects and the items in them to events. A stream tells an item piece by piece and then
/// whole; a whole reply tells it whole. What was not told before is told when the item is whole, so
/// servers may leave pieces out.
class ReplyReader {
public:
    using Events = std::vector<canon::Event>;
    /// Appends to `*events`, which the caller may point elsewhere between calls.
    explicit ReplyReader(Events*& events) : events_(events) {}

    /// A response object that has begun; later ones of the same reply are passed over.
    void start(const json::Value& response);
    /// One stream event but for those that end the reply.
    void take(std::string_view type, const json::Value& event);
    /// A response object that is over, or as far as it will be told: what it adds to the items, its
    /// usage, why it ended. `told` is the failure that an event before it stated.
    void end(const json::Value& response, const std::optional<canon::Failure>& told = {});

private:
    struct Part {
        std::uint32_t number = 0;
        std::string said;
        std::size_t citations = 0;
        bool has_logprobs = false;
        bool has_ended = false;
    };
    struct Item {
        std::uint32_t number = 0;
        std::string type;
        std::vector<canon::Extra> marks;  // until its first part has started
        std::map<std::int64_t, Part> contents;
        std::map<std::int64_t, Part> summaries;
        std::optional<Part> call;
        Part* open_thought = nullptr;  // its end waits for the signature; of one of the maps
        bool is_done = false;
    };
    enum class Place : std::uint8_t { kContent, kSummary };

    template <typename E>
    void emit(E event) {
        events_->emplace_back(std::move(event));
    }

    Item& item_at(const json::Value& event, bool is_new = false);
    Item& item_number(std::int64_t index);
    void learn(Item& item, const json::Value& value);
    [[nodiscard]] Part begin(Item& item, canon::PartStarted started);
    Part& part_of(Item& item, Place place, std::int64_t index, canon::PartKind kind);
    void say(Part& part, std::string_view text);
    void say_rest(Part& part, std::string_view whole);
    void end_part(Part& part);
    void end_thought(Item& item, const json::Value& cipher);
    void aside(std::string_view key, std::string_view json,
        std::optional<std::uint32_t> part = std::nullopt);
    void cite(Part& part, const json::Value& annotation);
    void take_call(Item& item, const json::Value& value);
    void take_delta(std::string_view type, const json::Value& event);
    void complete(Item& item, const json::Value& value);
    void complete_message(Item& item, const json::Value& value);
    void complete_reasoning(Item& item, const json::Value& value);
    void complete_opaque(Item& item, const json::Value& value);
    void end_envelope(const json::Value& response);
    [[nodiscard]] canon::StopReason stop_reason(const json::Value& response) const;

    Events*& events_;
    std::map<std::int64_t, Item> items_;  // by output_index
    std::set<std::string> done_ids_;
    std::map<std::string, std::string> echo_;
    std::int64_t last_index_ = 0;
    std::uint32_t next_part_ = 0;
    std::uint32_t next_item_ = 0;
    bool is_started_ = false;
    bool has_call_ = false;
    bool wants_answer_ = false;  // a request for approval, or a tool of the supplier's that we run
};

}  // namespace entrepot::dialect::openai_responses
