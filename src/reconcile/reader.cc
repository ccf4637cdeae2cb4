#include "reconcile/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "json/value.h"
#include "reconcile/columns.h"
#include "reconcile/csv.h"
#include "reconcile/format_reader.h"
#include "reconcile/gunzip.h"
#include "reconcile/json_rows.h"

namespace entrepot::reconcile {
namespace {

constexpr std::array<std::string_view, kFormatCount> kNames{
    "focus", "aws-cur", "azure", "gcp", "openai", "anthropic"};
constexpr std::uint64_t kProgressLines = 10'000;
constexpr std::size_t kHeadBytesMax = std::size_t{1} << 20;

std::unique_ptr<FormatReader> make_reader(Format format) {
    switch (format) {
        case Format::kFocus: return make_focus_reader();
        case Format::kAwsCur: return make_aws_reader();
        case Format::kAzure: return make_azure_reader();
        case Format::kGcp: return make_google_reader();
        case Format::kOpenai: return make_openai_reader();
        case Format::kAnthropic: return make_anthropic_reader();
    }
    return nullptr;
}

std::string all_names() {
    std::string out;
    for (const std::string_view name : kNames)
        out += fmt::format("{}{}", out.empty() ? "" : ", ", name);
    return out;
}

/// By columns that no other format has.
std::optional<Format> format_of(std::span<const std::string_view> header) {
    std::set<std::string> names;
    for (const std::string_view name : header) names.insert(short_name(name));
    const auto has = [&](std::string_view name) { return names.contains(std::string(name)); };
    if (has("billedcost") && has("chargeperiodstart")) return Format::kFocus;
    if (has("lineitemusagetype")) return Format::kAwsCur;
    if (has("usagedateutc")) return Format::kAnthropic;
    if ((has("usagestarttime")) && (has("skudescription") || has("sku"))) return Format::kGcp;
    if ((has("metername") || has("meter")) && (has("quantity") || has("usagequantity")))
        return Format::kAzure;
    if ((has("starttime") || has("starttimeiso")) &&
        (has("inputtokens") || has("amountvalue") || has("lineitem") || has("nummodelrequests")))
        return Format::kOpenai;
    return std::nullopt;
}

std::optional<Format> format_of(const json::Value& row) {
    if (row.find("results") != nullptr && row.find("starting_at") != nullptr)
        return Format::kAnthropic;
    if (row.find("results") != nullptr && row.find("start_time") != nullptr) return Format::kOpenai;
    if (row.find("sku") != nullptr && row.find("usage_start_time") != nullptr) return Format::kGcp;
    return std::nullopt;
}

/// Files that are no text, by their first bytes; each with what to do instead.
Status refuse_binary(std::string_view head) {
    const auto is = [&](std::string_view magic) { return head.starts_with(magic); };
    std::string_view why;
    if (is("PAR1"))
        why = "this is a Parquet file, which is not read; export the report as CSV (gzip is fine)";
    if (is("PK\x03\x04")) why = "this is a zip file or a spreadsheet; unpack it, or save it as CSV";
    if (is("\xFF\xFE") || is("\xFE\xFF")) why = "this is UTF-16; save it as CSV in UTF-8";
    if (is("%PDF")) why = "this is a PDF; download the bill's lines as CSV";
    if (is("ORC")) why = "this is an ORC file; export the report as CSV";
    if (is("Obj\x01")) why = "this is an Avro file; export the rows as newline JSON or CSV";
    if (is("<")) why = "this is a page of HTML or XML; download the bill's lines as CSV";
    if (why.empty()) return {};
    return fail(ErrorCode::kUnsupported, std::string(why));
}

}  // namespace

std::string_view format_name(Format format) { return kNames[static_cast<std::size_t>(format)]; }

Result<Format> parse_format(std::string_view name) {
    const auto at = std::ranges::find(kNames, name);
    if (at != kNames.end()) return static_cast<Format>(at - kNames.begin());
    return fail(ErrorCode::kInvalidField,
        fmt::format("'{}' is not a format of bills; there are: {}", excerpt(name), all_names()));
}

struct BillReader::State {
    enum class Kind : std::uint8_t { kHead, kCsv, kJson };

    State(ReaderOptions with, OnLine on_line)
        : options(std::move(with)),
          lines(options, facts, [this, give = std::move(on_line)](const BillLine& line) {
              if (++unreported >= kProgressLines) report();
              return give(line);
          }) {}

    void report() {
        unreported = 0;
        if (options.on_progress) options.on_progress({bytes, facts.lines});
    }

    ReaderOptions options;
    BillFacts facts;
    Lines lines;
    std::uint64_t bytes = 0;
    std::uint64_t unreported = 0;
    bool is_begun = false;
    std::unique_ptr<Gunzip> gunzip;
    Kind kind = Kind::kHead;
    std::string head;  // bytes before the first end of line, or the first of a JSON text
    std::unique_ptr<CsvReader> csv;
    std::unique_ptr<JsonRows> json;
    std::unique_ptr<FormatReader> reader;
    std::optional<Columns> columns;
    Status failure;

    [[nodiscard]] Status take(std::string_view text);
    [[nodiscard]] Status begin();
    [[nodiscard]] Status to_kind(std::string_view text);
    [[nodiscard]] Status take_record(const CsvRecord& record);
    [[nodiscard]] Status take_header(const CsvRecord& record);
    [[nodiscard]] Status take_object(std::string_view text, std::uint64_t line);
    [[nodiscard]] Status take_value(const json::Value& row, std::uint64_t line);
    [[nodiscard]] Status end();
};

Status BillReader::State::take_header(const CsvRecord& record) {
    const auto format = options.format ? options.format : format_of(record.fields);
    if (!format)
        return fail(ErrorCode::kInvalidField,
            fmt::format("line {}: no bill has these columns ({}, ...); name the format with "
                        "--format ({})",
                record.line, excerpt(record.fields.front()), all_names()));
    facts.format = format;
    reader = make_reader(*format);
    ENTREPOT_TRY(columns, Columns::bind(reader->columns(), record.fields));
    facts.unknown_columns = columns->unknown();
    return {};
}

Status BillReader::State::take_record(const CsvRecord& record) {
    if (!reader) return take_header(record);
    ENTREPOT_TRY(const Cells cells, columns->cells(record));
    return reader->read(cells, lines);
}

Status BillReader::State::take_value(const json::Value& row, std::uint64_t line) {
    // Answers joined to an array keep their envelopes.
    if (row["data"].is_array()) {
        for (const json::Value& inner : row["data"].items())
            ENTREPOT_TRY_DO(take_value(inner, line));
        return {};
    }
    if (!reader) {
        const auto format = options.format ? options.format : format_of(row);
        if (!format)
            return fail(ErrorCode::kInvalidField,
                fmt::format("line {}: no bill has such objects; name the format with --format ({})",
                    line, all_names()));
        facts.format = format;
        reader = make_reader(*format);
    }
    return reader->read_json(row, line, lines);
}

Status BillReader::State::take_object(std::string_view text, std::uint64_t line) {
    const auto document = json::Document::parse_in_place(text);
    if (!document)
        return fail(ErrorCode::kInvalidField,
            fmt::format("the object that begins on line {}: {}", line, document.error().message));
    return take_value(document->root(), line);
}

Status BillReader::State::begin() {
    ENTREPOT_TRY_DO(refuse_binary(head));
    std::string_view text = head;
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    const auto first = text.find_first_not_of(" \t\r\n");
    const bool is_json =
        first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
    if (is_json) {
        kind = Kind::kJson;
        json = std::make_unique<JsonRows>(options.row_bytes_max,
            [this](std::string_view row, std::uint64_t line) { return take_object(row, line); });
        return json->feed(text);
    }
    kind = Kind::kCsv;
    CsvReader::Limits limits;
    limits.record_bytes_max = std::min(limits.record_bytes_max, options.row_bytes_max);
    csv = std::make_unique<CsvReader>(csv_separator(head), limits,
        [this](const CsvRecord& record) { return take_record(record); });
    return csv->feed(head);
}

Status BillReader::State::to_kind(std::string_view text) {
    if (kind == Kind::kCsv) return csv->feed(text);
    if (kind == Kind::kJson) return json->feed(text);
    head += text;
    // The first line tells the separator; a JSON text may have no line at all.
    const bool is_told = head.size() >= 16 &&
        (head.find('\n', 1) != std::string::npos || head.size() >= kHeadBytesMax ||
            head.find_first_of("{[") < 8);
    if (!is_told) return {};
    const Status begun = begin();
    head.clear();
    head.shrink_to_fit();
    return begun;
}

Status BillReader::State::take(std::string_view text) {
    if (!is_begun && !text.empty()) {
        is_begun = true;
        // Two bytes tell gzip; a first piece of one byte is no file's.
        if (text.starts_with("\x1F\x8B") || (text.size() == 1 && text.front() == '\x1F'))
            gunzip = std::make_unique<Gunzip>(
                [this](std::string_view unpacked) { return to_kind(unpacked); });
    }
    bytes += text.size();
    return gunzip ? gunzip->feed(text) : to_kind(text);
}

Status BillReader::State::end() {
    if (gunzip) ENTREPOT_TRY_DO(gunzip->finish());
    if (kind == Kind::kHead && !head.empty()) ENTREPOT_TRY_DO(begin());
    if (csv) ENTREPOT_TRY_DO(csv->finish());
    if (json) {
        ENTREPOT_TRY_DO(json->finish());
        facts.is_cut_short = json->is_cut_short();
    }
    if (facts.lines == 0)
        return fail(ErrorCode::kInvalidField,
            "the file holds no charges; is the export empty, or of another period?");
    report();
    return {};
}

BillReader::BillReader(ReaderOptions options, OnLine on_line)
    : state_(std::make_unique<State>(std::move(options), std::move(on_line))) {}
BillReader::~BillReader() = default;

Status BillReader::feed(std::string_view bytes) {
    if (state_->failure) state_->failure = state_->take(bytes);
    return state_->failure;
}

Status BillReader::finish() {
    if (state_->failure) state_->failure = state_->end();
    return state_->failure;
}

const BillFacts& BillReader::facts() const { return state_->facts; }

std::size_t BillReader::bytes_held() const {
    return state_->head.capacity() + (state_->csv ? state_->csv->bytes_held() : 0) +
        (state_->json ? state_->json->bytes_held() : 0);
}

}  // namespace entrepot::reconcile
