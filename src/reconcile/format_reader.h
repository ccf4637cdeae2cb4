#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "json/value.h"
#include "reconcile/amounts.h"
#include "reconcile/bill_line.h"
#include "reconcile/columns.h"
#include "reconcile/reader.h"

namespace entrepot::reconcile {

/// What readers of all formats share: SKUs already seen, values with the place they stand at, and
/// the way out.
class Lines {
public:
    Lines(const ReaderOptions& options, BillFacts& facts, OnLine on_line)
        : options_(options), facts_(facts), on_line_(std::move(on_line)) {}

    /// Gives a charge out. Errors: kInvalidField naming the line.
    [[nodiscard]] Status give(BillLine line);
    /// The SKU of that name, described by `describe` when it is seen first.
    template <typename Describe>
    [[nodiscard]] Result<const Sku*> sku(std::string_view name, Describe describe) {
        if (const auto at = skus_.find(std::string(name)); at != skus_.end())
            return at->second.get();
        if (skus_.size() >= options_.skus_max) return too_many_skus();
        return skus_.emplace(std::string(name), std::make_unique<Sku>(describe()))
            .first->second.get();
    }

    [[nodiscard]] static std::unexpected<Error> wrong(std::uint64_t line, std::string_view why);
    /// Nothing for an empty text.
    [[nodiscard]] Result<std::optional<Decimal>> number(
        std::uint64_t line, std::string_view column, std::string_view text);
    [[nodiscard]] Result<std::optional<Money>> cost(
        std::uint64_t line, std::string_view column, std::string_view text);
    [[nodiscard]] static Result<Instant> time(
        std::uint64_t line, std::string_view column, std::string_view text);
    /// From `begin` to `end`, or a day from `begin` where no end is given.
    [[nodiscard]] static Result<Period> period(
        std::uint64_t line, std::string_view begin, std::string_view end);
    [[nodiscard]] static Result<Currency> currency(std::uint64_t line, std::string_view text);

private:
    [[nodiscard]] std::unexpected<Error> too_many_skus() const;

    const ReaderOptions& options_;
    BillFacts& facts_;
    OnLine on_line_;
    std::unordered_map<std::string, std::unique_ptr<Sku>> skus_;
};

/// One format. A file's header comes first, then its records; or its JSON objects.
class FormatReader {
public:
    FormatReader() = default;
    FormatReader(const FormatReader&) = delete;
    FormatReader& operator=(const FormatReader&) = delete;
    virtual ~FormatReader() = default;

    [[nodiscard]] virtual std::span<const Column> columns() const = 0;
    [[nodiscard]] virtual Status read(const Cells& cells, Lines& lines) = 0;
    [[nodiscard]] virtual Status read_json(
        const json::Value& row, std::uint64_t line, Lines& lines);
};

[[nodiscard]] std::unique_ptr<FormatReader> make_focus_reader();
[[nodiscard]] std::unique_ptr<FormatReader> make_aws_reader();
[[nodiscard]] std::unique_ptr<FormatReader> make_azure_reader();
[[nodiscard]] std::unique_ptr<FormatReader> make_google_reader();
[[nodiscard]] std::unique_ptr<FormatReader> make_openai_reader();
[[nodiscard]] std::unique_ptr<FormatReader> make_anthropic_reader();

/// quantity times a SKU's unit; nothing where the unit is not known.
[[nodiscard]] std::optional<Int128> units(const std::optional<Decimal>& quantity, const Sku& sku);
/// The rate for a million of a meter's units, from one for `unit` of them.
[[nodiscard]] std::optional<Int128> per_million(
    const std::optional<Decimal>& price, std::int64_t unit);

}  // namespace entrepot::reconcile
