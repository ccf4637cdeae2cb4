#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "reconcile/bill_line.h"

namespace entrepot::reconcile {

enum class Format : std::uint8_t { kFocus, kAwsCur, kAzure, kGcp, kOpenai, kAnthropic };
inline constexpr std::size_t kFormatCount = 6;
/// The name that `--format` takes: `focus`, `aws-cur`, `azure`, `gcp`, `openai`, `anthropic`.
[[nodiscard]] std::string_view format_name(Format format);
/// Errors: kInvalidField, naming all of them.
[[nodiscard]] Result<Format> parse_format(std::string_view name);

struct Progress {
    std::uint64_t bytes = 0;  ///< of the file as it came, packed or not
    std::uint64_t lines = 0;  ///< charges given out
};

struct ReaderOptions {
    std::optional<Format> format;  ///< overrules what the header says
    std::uint64_t lines_max = 100'000'000;
    std::size_t row_bytes_max = std::size_t{16} << 20;
    std::uint32_t skus_max = 200'000;
    std::function<void(const Progress&)> on_progress;  ///< every 10,000 charges or so
};

/// What a bill turned out to be.
struct BillFacts {
    std::optional<Format> format;
    std::uint64_t lines = 0;                   ///< charges given out
    std::vector<std::string> unknown_columns;  ///< of the header, kept out of the comparison
    std::uint8_t cost_decimals_max = 0;        ///< printed behind the point of any cost
    std::uint64_t rounded_amounts = 0;         ///< had more than 12 decimals
    bool has_costs = false;
    bool has_quantities = false;
    bool is_cut_short = false;  ///< an API's answer named a further page that is not in the file
};

/// Reads a supplier's bill as its bytes come, and gives out its charges one by one. Holds one
/// record, and one description per SKU.
class BillReader {
public:
    BillReader(ReaderOptions options, OnLine on_line);
    BillReader(const BillReader&) = delete;
    BillReader& operator=(const BillReader&) = delete;
    ~BillReader();

    /// Errors: kInvalidField naming line and remedy, kUnsupported for files that are no text
    /// (Parquet, a spreadsheet), and what the sink returns. After one, the same again.
    [[nodiscard]] Status feed(std::string_view bytes);
    [[nodiscard]] Status finish();
    [[nodiscard]] const BillFacts& facts() const;
    /// Bytes held for records, for the test of the bound.
    [[nodiscard]] std::size_t bytes_held() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace entrepot::reconcile
