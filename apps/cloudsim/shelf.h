#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "cloudsim/cloud.h"
#include "cloudsim/responses.h"

namespace entrepot::cloudsim {

/// What the Responses API keeps between requests: answers, their items, conversations. Everything
/// of one account, whoever asks: who may see what is the gateway's business.
class Shelf final : public ResponseMemory {
public:
    std::expected<void, ResponsesFault> recall(const json::Value& root, Ask& ask) const override;
    std::expected<void, ResponsesFault> recall_item(const json::Value& item, Ask& ask,
        std::set<std::string, std::less<>>& called) const override;

    /// Keeps an answer that was just made. One made in the background is ready a while later.
    void keep(const Ask& ask, const Answer& answer, const Control& control, std::string_view model,
        bool has_usage, Instant now);
    /// Everything but generation: status and body. Nothing: the path is none of ours.
    struct Reply {
        int status = 200;
        std::string body;
        std::string content_type = "application/json";
    };
    [[nodiscard]] std::optional<Reply> serve(std::string_view method, std::string_view path,
        std::string_view query, std::string_view body, Instant now);
    /// What a request that is answered in the background gets at once.
    [[nodiscard]] std::string queued(std::string_view id) const;

private:
    struct Response {
        std::string pending, done, cancelled;
        std::vector<std::string> events;
        Instant ready;
        bool is_cancelled = false;
        std::string input;   // items, as sent
        std::string prompt;  // with all before it and the answer
        std::set<std::string, std::less<>> calls;
        std::vector<std::string> items;  // ids, in `items_`
    };
    struct Item {
        std::string text;
        std::string call_id;
    };
    struct Conversation {
        std::string metadata;
        std::vector<std::string> items;
        std::string prompt;
    };
    [[nodiscard]] Reply serve_response(std::string_view method, const std::string& id,
        std::string_view rest, std::string_view query, Instant now);
    [[nodiscard]] Reply serve_conversation(std::string_view method, const std::string& id,
        std::string_view rest, std::string_view body, Instant now);

    void forget(std::string_view id);

    std::map<std::string, Response, std::less<>> responses_;
    std::deque<std::string> in_order_;  // ids of responses, the oldest first
    std::map<std::string, Item, std::less<>> items_;
    std::map<std::string, Conversation, std::less<>> conversations_;
    std::int64_t serial_ = 0;
};

}  // namespace entrepot::cloudsim
