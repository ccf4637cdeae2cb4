#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace entrepot::reconcile {

/// One record of a CSV file. The views live until the callback returns.
struct CsvRecord {
    std::uint64_t line = 0;  ///< where it begins, from 1
    std::span<const std::string_view> fields;
};

/// Reads CSV (RFC 4180) as its bytes come: quoted fields with breaks of line inside, CRLF or LF, a
/// byte order mark. Holds one record at a time and that is bounded; empty lines are passed over.
class CsvReader {
public:
    struct Limits {
        std::size_t record_bytes_max = std::size_t{1} << 20;
        std::size_t fields_max = 2048;
    };
    /// An error it returns ends the reading.
    using OnRecord = std::function<Status(const CsvRecord&)>;

    CsvReader(char separator, Limits limits, OnRecord on_record)
        : separator_(separator), limits_(limits), on_record_(std::move(on_record)) {}

    /// Errors: kInvalidField naming the line, and what `on_record` returns; after one the reader
    /// gives the same again.
    [[nodiscard]] Status feed(std::string_view bytes);
    /// The end of the file: gives out a last record without a break of line.
    [[nodiscard]] Status finish();

    [[nodiscard]] std::uint64_t line() const { return line_; }
    /// Bytes held, for the test of the bound.
    [[nodiscard]] std::size_t bytes_held() const { return text_.capacity(); }

private:
    enum class State : std::uint8_t { kFieldStart, kPlain, kQuoted, kQuoteInQuoted, kAfterCr };

    [[nodiscard]] Status take(char c);
    [[nodiscard]] Status take_plain(char c);
    /// How many bytes at the front stand for themselves.
    [[nodiscard]] std::size_t run_of(std::string_view bytes, bool is_quoted) const;
    [[nodiscard]] Status end_field();
    [[nodiscard]] Status end_record();
    [[nodiscard]] std::unexpected<Error> wrong(std::uint64_t line, std::string_view why) const;
    [[nodiscard]] bool has_room() const { return text_.size() < limits_.record_bytes_max; }

    char separator_;
    Limits limits_;
    OnRecord on_record_;
    std::string text_;               // of the record so far, quotes taken off
    std::vector<std::size_t> ends_;  // of its fields in `text_`
    std::vector<std::string_view> fields_;
    State state_ = State::kFieldStart;
    std::uint64_t line_ = 1;
    std::uint64_t record_line_ = 1;
    std::uint64_t quote_line_ = 1;
    std::size_t mark_bytes_ = 0;  // of a byte order mark seen so far
    bool is_begun_ = false;
    Status failure_;
};

/// The separator of a file that begins with `head`: comma, semicolon or tab, whichever its first
/// line has most of outside quotes.
[[nodiscard]] char csv_separator(std::string_view head);

/// Appends one field, quoted where it must be.
void append_csv(std::string& out, std::string_view field);

}  // namespace entrepot::reconcile
