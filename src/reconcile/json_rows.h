#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace entrepot::reconcile {

/// Takes a JSON file apart as its bytes come: objects one behind the other (newline JSON), an array
/// of objects, or answers of an API whose member `data` is an array of objects. Holds one object at
/// a time and that is bounded. What it gives out is balanced, not yet parsed.
class JsonRows {
public:
    /// The object's text, which lives until the callback returns, and the line it begins on.
    using OnRow = std::function<Status(std::string_view, std::uint64_t)>;

    JsonRows(std::size_t row_bytes_max, OnRow on_row)
        : row_bytes_max_(row_bytes_max), on_row_(std::move(on_row)) {}

    /// Errors: kInvalidField naming the line, and what `on_row` returns.
    [[nodiscard]] Status feed(std::string_view bytes);
    [[nodiscard]] Status finish();
    /// An answer said there are more pages, and none came behind it.
    [[nodiscard]] bool is_cut_short() const { return has_more_; }
    [[nodiscard]] std::size_t bytes_held() const { return row_.capacity(); }

private:
    /// Where the next object is expected, or what is being read.
    enum class State : std::uint8_t { kTop, kArray, kRow, kData, kTail };

    [[nodiscard]] Status take(char c);
    [[nodiscard]] Status take_between(char c);
    [[nodiscard]] Status take_inside(char c);
    [[nodiscard]] Status open(char c);
    [[nodiscard]] Status close(char c);
    void take_string(char c);
    [[nodiscard]] std::unexpected<Error> wrong(std::string_view why) const;

    std::size_t row_bytes_max_;
    OnRow on_row_;
    std::string row_;
    std::string key_;  // the last string at the first level of a row
    State state_ = State::kTop;
    State outside_ = State::kTop;  // where a row lies
    bool is_outer_ = false;        // the row is an object at the top, which may have `data`
    bool in_array_ = false;        // the top is an array
    bool in_string_ = false;
    bool is_escaped_ = false;
    bool has_more_ = false;
    unsigned depth_ = 0;            // within the row
    std::uint64_t are_arrays_ = 0;  // bit d: what was opened at depth d is an array
    std::uint64_t line_ = 1;
    std::uint64_t row_line_ = 1;
    Status failure_;
};

}  // namespace entrepot::reconcile
