#pragma once

#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace entrepot::dialect::gemini {

/// Arguments of a call that come in pieces, each with its place as a JSON path (`partialArgs`),
/// written as the JSON text they make, as they come.
class ArgumentsWriter {
public:
    /// Appends to `delta` what `partial` adds. Errors: kUpstreamProtocol for a path that is none,
    /// and for one that goes back to what is closed: what was said cannot be said otherwise.
    [[nodiscard]] Status add(const json::Value& partial, std::string& delta);
    /// Appends what closes the text; an object without members where nothing came.
    void finish(std::string& delta);

private:
    using Step = std::variant<std::string, std::int64_t>;  // a member, or an item
    struct Level {
        Step step;  ///< by which it is reached; of the root, nothing
        bool is_array = false;
        std::int64_t items = 0;
        std::set<std::string, std::less<>> keys;
    };
    static Result<std::vector<Step>> parse(std::string_view path);
    Status enter(const Step& step, std::string& delta);
    void close_string(std::string& delta);
    void close_level(std::string& delta);

    std::vector<Level> levels_;
    std::vector<Step> string_path_;  // of the text that goes on
    bool has_string_ = false;
};

}  // namespace entrepot::dialect::gemini
