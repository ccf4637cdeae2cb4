#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace entrepot::cloudsim {

/// Answers from recorded exchanges, in the corpus format, with the bytes as recorded.
class Replay {
public:
    struct Recorded {
        std::string id;
        int status = 200;
        bool is_stream = false;
        std::vector<std::pair<std::string, std::string>>
            headers;  ///< without those of the transport
        std::string body;
    };

    /// Errors: kIo, kBadRequest with the line.
    [[nodiscard]] static Result<Replay> load(const std::string& file);

    /// The recording for a request: same method and path, then the same body byte for byte, else
    /// the same JSON, else the next one of that path (and model) that was not used yet. Nullptr
    /// when there is none.
    [[nodiscard]] const Recorded* find(
        std::string_view method, std::string_view path, std::string_view body);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    /// `METHOD path`, one a line, of requests without a recording.
    [[nodiscard]] const std::string& unmatched() const { return unmatched_; }

private:
    struct Entry {
        Recorded recorded;
        std::string raw_body;
        std::string body;  // canonical
        std::string model;
        bool is_used = false;
    };
    void add(const json::Value& exchange);

    std::vector<Entry> entries_;
    std::multimap<std::string, std::size_t, std::less<>> by_path_;  // "POST /v1/messages"
    std::string unmatched_;
};

/// JSON with sorted keys and without white space; the text itself when it is no JSON.
[[nodiscard]] std::string canonical_json(std::string_view text);

}  // namespace entrepot::cloudsim
