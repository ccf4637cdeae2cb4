#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "dialect/bedrock_invoke/family.h"
#include "dialect/dropped.h"
#include "json/value.h"
#include "json/writer.h"

// Replies of the families that are in this folder alone: texts, a word for the end, counts.
namespace entrepot::dialect::bedrock_invoke {

/// A whole reply, or the events of a stream one after the other, to canon's. Some models answer a
/// stream with one event that holds a whole reply: both are read alike.
class TextReader {
public:
    explicit TextReader(Family family) : family_(family) {}

    void read(const json::Value& reply, std::vector<canon::Event>& events);
    /// Ends the open parts; then `Finished` for every choice.
    void end(std::vector<canon::Event>& events);
    /// A word for the end was said.
    [[nodiscard]] bool is_complete() const { return is_complete_; }
    /// What the body itself states, in tokens.
    [[nodiscard]] std::optional<std::int64_t> input() const { return input_; }
    [[nodiscard]] std::optional<std::int64_t> output() const { return output_; }

private:
    struct Choice {
        std::optional<std::uint32_t> part;
        std::uint32_t parts = 0;
        bool has_text = false;
        canon::Finished finished;
    };
    using Events = std::vector<canon::Event>;

    void start(std::string_view id, Events& events);
    void text(std::uint32_t choice, const json::Value& words, Events& events);
    void finish(std::uint32_t choice, const json::Value& word, std::string_view sequence = {});
    static void aside(const json::Value& parent, std::string_view key, Events& events,
        std::optional<std::uint32_t> choice = std::nullopt);
    void read_titan(const json::Value& reply, Events& events);
    void read_cohere_text(const json::Value& reply, Events& events);
    void read_jurassic(const json::Value& reply, Events& events);
    void read_cohere_chat(const json::Value& reply, Events& events);
    void read_cohere_end(const json::Value& response, Events& events);
    void read_calls(const json::Value& calls, Events& events);
    void cite(const json::Value& citations, Events& events);

    Family family_;
    std::map<std::uint32_t, Choice> choices_;
    std::optional<std::int64_t> input_;
    std::optional<std::int64_t> output_;
    bool has_started_ = false;
    bool is_complete_ = false;
    bool has_calls_ = false;
    bool is_cited_ = false;
};

/// Canon's events to replies of such a family.
class TextWriter {
public:
    TextWriter(Family family, std::string_view id) : family_(family), id_(id) {}

    /// An event of a stream: appends the JSON documents that the client may see now.
    void add_to_stream(const canon::Event& event, std::vector<std::string>& documents);
    /// An event of a whole reply, which is written at its end.
    void add_to_whole(const canon::Event& event, std::vector<std::string>& documents);
    [[nodiscard]] const std::vector<std::string>& dropped() const { return dropped_.names(); }
    /// The words for the end are to be the supplier's own: a guardrail stands beside them.
    void keep_words() { keeps_words_ = true; }

private:
    struct Words {
        std::string reason;
        std::string sequence;
    };

    void keep(const canon::Event& event);
    void drop(std::string_view name);
    [[nodiscard]] bool has_choices() const;
    [[nodiscard]] std::string text_event(std::uint32_t choice, std::string_view text) const;
    [[nodiscard]] std::string last_event(std::uint32_t choice) const;
    [[nodiscard]] std::string whole() const;
    [[nodiscard]] std::string cohere_response() const;
    [[nodiscard]] std::string text_of(std::size_t choice) const;
    [[nodiscard]] Words words_of(std::size_t choice) const;
    [[nodiscard]] std::string_view aside(
        std::string_view key, std::optional<std::size_t> choice = std::nullopt) const;
    void write_choice(json::Writer& writer, std::size_t choice) const;
    [[nodiscard]] std::string reply_id() const;

    Family family_;
    std::string id_;
    canon::Reply reply_;
    Dropped dropped_;
    bool keeps_words_ = false;
};

}  // namespace entrepot::dialect::bedrock_invoke
