#include "reconcile/json_rows.h"

#include <fmt/format.h>

#include "json/value.h"

namespace entrepot::reconcile {
namespace {

constexpr unsigned kDepthMax = 64;
constexpr std::size_t kKeyBytesMax = 16;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::unexpected<Error> JsonRows::wrong(std::string_view why) const {
    return fail(ErrorCode::kInvalidField, fmt::format("line {}: {}", line_, why));
}

Status JsonRows::open(char c) {
    if (++depth_ >= kDepthMax) return wrong("JSON nested too deeply; this is no export of a bill");
    const std::uint64_t bit = std::uint64_t{1} << depth_;
    are_arrays_ = c == '[' ? are_arrays_ | bit : are_arrays_ & ~bit;
    // An answer of an API: what matters are the objects in `data`.
    if (c == '[' && depth_ == 2 && is_outer_ && key_ == "data") {
        row_.clear();
        state_ = State::kData;
        has_more_ = false;
    }
    return {};
}

Status JsonRows::close(char c) {
    if ((are_arrays_ >> depth_ & 1) != (c == ']' ? 1U : 0U))
        return wrong(fmt::format("'{}' closes what it did not open; this is no JSON", c));
    if (--depth_ > 0) return {};
    const State was = state_;
    state_ = outside_;
    if (was == State::kTail) {
        // `row_` is `{"data":0` and what stood behind the array.
        const auto tail = json::Document::parse(std::move(row_));
        row_.clear();
        if (!tail) return wrong("the answer does not end as JSON does: " + tail.error().message);
        has_more_ = tail->root()["has_more"].as_bool().value_or(false);
        return {};
    }
    const Status taken = on_row_(row_, row_line_);
    row_.clear();
    return taken;
}

void JsonRows::take_string(char c) {
    const bool is_key_level = depth_ == 1 && is_outer_;
    if (is_escaped_) {
        is_escaped_ = false;
    } else if (c == '\\') {
        is_escaped_ = true;
    } else if (c == '"') {
        in_string_ = false;
        return;
    }
    if (is_key_level && key_.size() < kKeyBytesMax) key_ += c;
}

Status JsonRows::take_inside(char c) {
    if (row_.size() >= row_bytes_max_)
        return wrong(
            fmt::format("an object of more than {} bytes, which began on line {}; export "
                        "shorter periods",
                row_bytes_max_, row_line_));
    row_ += c;
    if (in_string_) {
        take_string(c);
        return {};
    }
    switch (c) {
        case '"':
            in_string_ = true;
            key_.clear();
            return {};
        case '{':
        case '[': return open(c);
        case '}':
        case ']': return close(c);
        default: return {};
    }
}

Status JsonRows::take_between(char c) {
    if (is_space(c)) return {};
    if (c == '{') {
        row_line_ = line_;
        outside_ = state_;
        is_outer_ = state_ == State::kTop;
        state_ = State::kRow;
        depth_ = 1;
        are_arrays_ = 0;
        key_.clear();
        row_ = "{";
        return {};
    }
    if (state_ == State::kTop && c == '[' && !in_array_) {
        state_ = State::kArray;
        in_array_ = true;
        return {};
    }
    if (state_ == State::kArray && c == ']') {
        state_ = State::kTop;
        return {};
    }
    if (state_ == State::kData && c == ']') {
        row_ = "{\"data\":0";
        depth_ = 1;
        are_arrays_ = 0;
        state_ = State::kTail;
        outside_ = State::kTop;
        return {};
    }
    if (c == ',' && state_ != State::kTop) return {};
    return wrong(
        fmt::format("'{}' where an object should begin; export the report as it is given", c));
}

Status JsonRows::take(char c) {
    if (state_ != State::kRow && state_ != State::kTail) return take_between(c);
    return take_inside(c);
}

Status JsonRows::feed(std::string_view bytes) {
    for (const char c : bytes) {
        if (!failure_) return failure_;
        failure_ = take(c);
        if (c == '\n') ++line_;
    }
    return failure_;
}

Status JsonRows::finish() {
    if (!failure_) return failure_;
    if (state_ != State::kTop)
        failure_ =
            wrong(fmt::format("the file ends inside JSON that began on line {}; the download "
                              "may be cut short",
                row_line_));
    return failure_;
}

}  // namespace entrepot::reconcile
