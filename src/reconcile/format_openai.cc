#include <fmt/format.h>

#include <array>
#include <string>

#include "base/text.h"
#include "reconcile/format_reader.h"
#include "reconcile/names.h"

// OpenAI's organisation reports, as the API's pages give them and as the dashboard saves them:
// usage (tokens without money), and costs (money by line item, with a quantity or without).

namespace entrepot::reconcile {
namespace {

enum Slot : std::size_t {
    kStart,
    kEnd,
    kModel,
    kBatch,
    kTier,
    kInput,
    kOutput,
    kCached,
    kCacheWrite,
    kAudio,
    kCachedAudio,
    kAudioOut,
    kImageOut,
    kCost,
    kCurrency,
    kItem,
    kQuantity,
    kAccount,
    kCharacters,
    kSeconds,
};

constexpr std::array<Column, 20> kColumns{{
    {"starttime|starttimeiso|date", true},
    {"endtime|endtimeiso"},
    {"model"},
    {"batch"},
    {"servicetier"},
    {"inputtokens"},
    {"outputtokens"},
    {"inputcachedtokens"},
    {"inputcachewritetokens"},
    {"inputaudiotokens"},
    {"inputcachedaudiotokens"},
    {"outputaudiotokens"},
    {"outputimagetokens"},
    {"amountvalue|amount|cost|costusd|costinmajor"},
    {"amountcurrency|currency"},
    {"lineitem|name"},
    {"quantity"},
    {"projectid"},
    {"characters"},
    {"seconds"},
}};

/// A count of a report, which writes some of them as `3.0`.
Result<Int128> count_of(const Cells& row, std::size_t slot, Lines& lines) {
    const std::string_view name = kColumns[slot].names;
    ENTREPOT_TRY(const std::optional<Decimal> value, lines.number(row.line, name, row[slot]));
    if (!value) return Int128{0};
    if (value->pico < 0)
        return Lines::wrong(row.line, fmt::format("{}: '{}' is negative", name, row[slot]));
    return value->pico;
}

class OpenaiReader final : public FormatReader {
public:
    [[nodiscard]] std::span<const Column> columns() const override { return kColumns; }
    [[nodiscard]] Status read(const Cells& row, Lines& lines) override;
    [[nodiscard]] Status read_json(
        const json::Value& row, std::uint64_t line, Lines& lines) override;

private:
    [[nodiscard]] static Status read_cost(const Cells& row, BillLine line, Lines& lines);
    [[nodiscard]] static Status read_usage(const Cells& row, BillLine line, Lines& lines);
    [[nodiscard]] static Status give_meter(
        const Cells& row, const BillLine& usage, Meter meter, Int128 quantity_pico, Lines& lines);
};

Status OpenaiReader::read_cost(const Cells& row, BillLine line, Lines& lines) {
    ENTREPOT_TRY(line.cost, lines.cost(row.line, "amount", row[kCost]));
    ENTREPOT_TRY(
        line.currency, Lines::currency(row.line, row[kCurrency].empty() ? "USD" : row[kCurrency]));
    line.sku_name = row[kItem];
    ENTREPOT_TRY(line.sku, lines.sku(row[kItem], [&] { return openai_sku(row[kItem]); }));
    ENTREPOT_TRY(
        const std::optional<Decimal> quantity, lines.number(row.line, "quantity", row[kQuantity]));
    if (line.sku->meter) line.quantity_pico = units(quantity, *line.sku);
    if (line.cost->is_negative() && !line.quantity_pico) line.category = Category::kCredit;
    return lines.give(line);
}

Status OpenaiReader::give_meter(
    const Cells& row, const BillLine& usage, Meter meter, Int128 quantity_pico, Lines& lines) {
    if (quantity_pico == 0) return {};
    if (quantity_pico < 0)
        return Lines::wrong(row.line,
            fmt::format("its parts exceed the whole: {} of {} comes out negative; is a column "
                        "missing?",
                canon::meter_name(meter), excerpt(row[kModel])));
    const bool is_batch = equals_ignoring_case(row[kBatch], "true") || row[kBatch] == "1";
    const std::string key =
        fmt::format("{}\n{}\n{}\n{}", row[kModel], is_batch, row[kTier], canon::meter_name(meter));
    BillLine line = usage;
    ENTREPOT_TRY(line.sku, lines.sku(key, [&] {
        Sku sku;
        if (!row[kModel].empty()) sku.model = ModelNames::embedded().canonical(row[kModel]);
        sku.meter = meter;
        sku.tier = catalog::parse_tier(row[kTier]);
        if (is_batch) sku.tier = Tier::kBatch;
        return sku;
    }));
    line.identity = mix(usage.identity, canon::meter_name(meter));
    line.quantity_pico = quantity_pico;
    return lines.give(line);
}

Status OpenaiReader::read_usage(const Cells& row, BillLine line, Lines& lines) {
    line.sku_name = row[kModel];
    ENTREPOT_TRY(const Int128 input, count_of(row, kInput, lines));
    ENTREPOT_TRY(const Int128 output, count_of(row, kOutput, lines));
    ENTREPOT_TRY(const Int128 cached, count_of(row, kCached, lines));
    ENTREPOT_TRY(const Int128 written, count_of(row, kCacheWrite, lines));
    ENTREPOT_TRY(const Int128 audio, count_of(row, kAudio, lines));
    ENTREPOT_TRY(const Int128 cached_audio, count_of(row, kCachedAudio, lines));
    ENTREPOT_TRY(const Int128 audio_out, count_of(row, kAudioOut, lines));
    ENTREPOT_TRY(const Int128 image_out, count_of(row, kImageOut, lines));
    ENTREPOT_TRY(const Int128 characters, count_of(row, kCharacters, lines));
    ENTREPOT_TRY(const Int128 seconds, count_of(row, kSeconds, lines));
    // `input_tokens` is the whole prompt, `input_cached_tokens` all that came from the cache.
    const std::array<std::pair<Meter, Int128>, 9> meters{
        {{Meter::kInput, input - cached - written - (audio - cached_audio)},
            {Meter::kCacheRead, cached - cached_audio}, {Meter::kCacheWrite, written},
            {Meter::kAudioIn, audio - cached_audio}, {Meter::kAudioCacheRead, cached_audio},
            {Meter::kOutput, output - audio_out - image_out}, {Meter::kAudioOut, audio_out},
            {Meter::kCharacters, characters}, {Meter::kAudioSeconds, seconds}}};
    for (const auto& [meter, quantity] : meters)
        ENTREPOT_TRY_DO(give_meter(row, line, meter, quantity, lines));
    return give_meter(row, line, Meter::kImageOut, image_out, lines);
}

Status OpenaiReader::read(const Cells& row, Lines& lines) {
    BillLine line;
    line.line = row.line;
    line.seller = "openai";
    line.identity = row.identity;
    line.account = row[kAccount];
    ENTREPOT_TRY(line.at, Lines::period(row.line, row[kStart], row[kEnd]));
    return row[kCost].empty() ? read_usage(row, line, lines) : read_cost(row, line, lines);
}

Status OpenaiReader::read_json(const json::Value& row, std::uint64_t line, Lines& lines) {
    static const Slots kSlots(kColumns);
    const json::Value& results = row["results"];
    if (!results.is_array())
        return Lines::wrong(line,
            "no bucket of OpenAI's reports (`start_time`, `end_time`, `results`); save the answers "
            "of /v1/organization/costs or /v1/organization/usage/completions as they are");
    for (const json::Value& result : results.items()) {
        Cells cells = kSlots.cells(result, line);
        cells.slots[kStart] = cell_of(row["start_time"]);
        cells.slots[kEnd] = cell_of(row["end_time"]);
        cells.identity = mix(cells.identity, cells[kStart]);
        ENTREPOT_TRY_DO(read(cells, lines));
    }
    return {};
}

}  // namespace

std::unique_ptr<FormatReader> make_openai_reader() { return std::make_unique<OpenaiReader>(); }

}  // namespace entrepot::reconcile
