#include "reconcile/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace entrepot::reconcile {
namespace {

constexpr std::string_view kMark = "\xEF\xBB\xBF";

}  // namespace

std::unexpected<Error> CsvReader::wrong(std::uint64_t line, std::string_view why) const {
    return fail(ErrorCode::kInvalidField, fmt::format("line {}: {}", line, why));
}

Status CsvReader::end_field() {
    if (ends_.size() >= limits_.fields_max)
        return wrong(record_line_,
            fmt::format(
                "more than {} columns; export only those that are needed", limits_.fields_max));
    ends_.push_back(text_.size());
    state_ = State::kFieldStart;
    return {};
}

Status CsvReader::end_record() {
    const bool is_empty = ends_.size() == 1 && text_.empty();
    Status taken;
    if (!is_empty) {
        fields_.clear();
        std::size_t begin = 0;
        for (const std::size_t end : ends_) {
            fields_.push_back(std::string_view(text_).substr(begin, end - begin));
            begin = end;
        }
        taken = on_record_(CsvRecord{record_line_, fields_});
    }
    text_.clear();
    ends_.clear();
    return taken;
}

Status CsvReader::take_plain(char c) {
    if (c == separator_) return end_field();
    if (c == '\r' || c == '\n') {
        ENTREPOT_TRY_DO(end_field());
        if (c == '\r') state_ = State::kAfterCr;
        return c == '\r' ? Status{} : end_record();
    }
    if (c == '\0')
        return wrong(line_, "a zero byte; this is no CSV in UTF-8 (save it as CSV UTF-8)");
    if (!has_room())
        return wrong(record_line_,
            fmt::format(
                "a record of more than {} bytes; is a quote missing?", limits_.record_bytes_max));
    text_ += c;
    state_ = State::kPlain;
    return {};
}

Status CsvReader::take(char c) {
    switch (state_) {
        case State::kAfterCr: {
            // A lone CR ended the record; LF belongs to it.
            state_ = State::kFieldStart;
            ENTREPOT_TRY_DO(end_record());
            if (c == '\n') return {};
            record_line_ = line_;
            return take(c);
        }
        case State::kFieldStart:
            if (text_.empty() && ends_.empty()) record_line_ = line_;
            if (c == '"') {
                state_ = State::kQuoted;
                quote_line_ = line_;
                return {};
            }
            return take_plain(c);
        case State::kPlain: return take_plain(c);  // a quote inside stands for itself
        case State::kQuoted:
            if (c == '"') {
                state_ = State::kQuoteInQuoted;
                return {};
            }
            if (!has_room())
                return wrong(quote_line_,
                    fmt::format("a quoted field that begins here makes a record of more than {} "
                                "bytes; is its closing quote missing?",
                        limits_.record_bytes_max));
            text_ += c;
            return {};
        case State::kQuoteInQuoted:
            if (c == '"') {
                text_ += c;
                state_ = State::kQuoted;
                return {};
            }
            if (c == separator_ || c == '\r' || c == '\n') return take_plain(c);
            return wrong(line_, "text behind a closing quote; double the quotes inside the field");
    }
    return {};
}

std::size_t CsvReader::run_of(std::string_view bytes, bool is_quoted) const {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    if (is_quoted)
        while (at < end && *at != '"' && *at != '\n') ++at;
    else
        while (at < end && *at != separator_ && *at != '\n' && *at != '\r' && *at != '"' &&
            *at != '\0')
            ++at;
    return static_cast<std::size_t>(at - bytes.data());
}

Status CsvReader::feed(std::string_view bytes) {
    if (!failure_) return failure_;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char c = bytes[i];
        if (!is_begun_) {
            if (c == kMark[mark_bytes_]) {
                if (++mark_bytes_ == kMark.size()) is_begun_ = true;
                continue;
            }
            is_begun_ = true;
            // Those bytes were no mark after all: they belong to the first field.
            for (std::size_t m = 0; m < mark_bytes_; ++m)
                if (failure_ = take(kMark[m]); !failure_) return failure_;
        }
        // Runs of plain bytes are most of a file.
        if (state_ == State::kPlain || state_ == State::kQuoted) {
            const std::size_t end = i + run_of(bytes.substr(i), state_ == State::kQuoted);
            if (end > i && text_.size() + (end - i) <= limits_.record_bytes_max) {
                text_.append(bytes, i, end - i);
                i = end - 1;
                continue;
            }
        }
        if (failure_ = take(c); !failure_) return failure_;
        if (c == '\n') ++line_;
    }
    return {};
}

Status CsvReader::finish() {
    if (!failure_) return failure_;
    if (!is_begun_)
        for (std::size_t m = 0; m < mark_bytes_; ++m)
            if (failure_ = take(kMark[m]); !failure_) return failure_;
    is_begun_ = true;
    if (state_ == State::kQuoted)
        return failure_ = wrong(quote_line_,
                   "the file ends inside the quoted field that begins here; the "
                   "download may be cut short");
    if (state_ == State::kAfterCr) {
        state_ = State::kFieldStart;
        return failure_ = end_record();
    }
    if (text_.empty() && ends_.empty() && state_ == State::kFieldStart) return {};
    if (failure_ = end_field(); !failure_) return failure_;
    return failure_ = end_record();
}

char csv_separator(std::string_view head) {
    static constexpr std::array<char, 3> kSeparators{',', ';', '\t'};
    std::array<std::size_t, 3> counts{};
    bool is_quoted = false;
    for (const char c : head) {
        if (c == '"') is_quoted = !is_quoted;
        if (is_quoted) continue;
        if (c == '\n' || c == '\r') break;
        for (std::size_t s = 0; s < kSeparators.size(); ++s) counts[s] += c == kSeparators[s];
    }
    return kSeparators[static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin())];
}

void append_csv(std::string& out, std::string_view field) {
    const bool is_plain = field.find_first_of("\",\r\n") == std::string_view::npos &&
        (field.empty() || (field.front() != ' ' && field.back() != ' '));
    if (is_plain) {
        out += field;
        return;
    }
    out += '"';
    for (const char c : field) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}

}  // namespace entrepot::reconcile
