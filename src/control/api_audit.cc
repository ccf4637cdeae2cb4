#include <fmt/format.h>

#include <charconv>

#include "base/text.h"
#include "control/routes.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

constexpr std::int64_t kRowsDefault = 1000;
constexpr std::int64_t kRowsMax = 10'000;

Result<std::int64_t> count_argument(
    const ApiCall& call, const std::string& name, std::int64_t absent, std::int64_t most) {
    const std::string_view text = call.argument(name);
    if (text.empty()) return absent;
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr != end || value < 0 || value > most)
        return fail_field(ErrorCode::kInvalidField, name,
            fmt::format(
                "'{}' is no {}: write a whole number from 0 to {}", excerpt(text), name, most));
    return value;
}

Status take_time(const ApiCall& call, const char* name, std::optional<Instant>& to) {
    const std::string_view text = call.argument(name);
    if (text.empty()) return {};
    ENTREPOT_TRY(to, parse_instant(text));
    return {};
}

void write_row(json::Writer& writer, const store::AuditRow& row) {
    const auto value = [&](std::string_view name, const std::optional<std::string>& text) {
        if (text)
            writer.member(name, *text);
        else
            writer.member_null(name);
    };
    writer.begin_object()
        .member("number", static_cast<std::int64_t>(row.number))
        .member("at", to_rfc3339(row.entry.by.at))
        .member("at_ns", row.entry.by.at.ns)
        .member("actor", row.entry.by.actor)
        .member("cause", row.entry.by.cause)
        .member("path", row.entry.path);
    value("from", row.entry.from);
    value("to", row.entry.to);
    writer.member("hash", row.hash).end_object();
}

}  // namespace

Result<ApiAnswer> get_audit(const ApiCall& call) {
    store::AuditQuery query;
    ENTREPOT_TRY_DO(take_time(call, "since", query.since));
    ENTREPOT_TRY_DO(take_time(call, "until", query.until));
    ENTREPOT_TRY(const std::int64_t after, count_argument(call, "after", 0, INT64_MAX));
    ENTREPOT_TRY(const std::int64_t most, count_argument(call, "limit", kRowsDefault, kRowsMax));
    query.after = static_cast<std::uint64_t>(after);
    query.rows_max = static_cast<std::size_t>(most) + 1;
    ENTREPOT_TRY(std::vector<store::AuditRow> rows, call.backend.store().audit(query));
    const bool has_more = rows.size() == query.rows_max;
    if (has_more) rows.pop_back();
    std::string out;
    json::Writer writer(out);
    writer.begin_object().key("rows").begin_array();
    for (const store::AuditRow& row : rows) write_row(writer, row);
    writer.end_array().member_bool("has_more", has_more).end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> verify_audit(const ApiCall& call) {
    ENTREPOT_TRY(const store::AuditReport report,
        call.backend.store().verify_audit(to_lower(call.argument("head"))));
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member_bool("ok", report.ok());
    writer.member("rows", static_cast<std::int64_t>(report.rows)).member("head", report.head);
    writer.key("differences").begin_array();
    for (const std::string& difference : report.differences) writer.string(difference);
    writer.end_array().end_object();
    return ApiAnswer{200, std::move(out)};
}

}  // namespace entrepot::control
