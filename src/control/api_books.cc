#include <fmt/format.h>

#include "base/text.h"
#include "control/routes.h"
#include "json/writer.h"

namespace entrepot::control {
namespace {

void write_usage_row(
    json::Writer& writer, const store::UsageTable& table, const store::UsageRow& row) {
    writer.begin_object();
    for (std::size_t i = 0; i < row.group.size(); ++i)
        writer.member(table.columns[i].name(), row.group[i]);
    const auto count = [&](std::string_view name, std::uint64_t value) {
        writer.member(name, static_cast<std::int64_t>(value));
    };
    count("exchanges", row.exchanges);
    count("attempts", row.attempts);
    count("released", row.released);
    writer.member_raw("usage", canon::to_json(row.usage));
    writer.member("cost", row.cost.to_decimal()).member("list_cost", row.list_cost.to_decimal());
    count("estimated", row.estimated);
    writer.member("estimated_cost", row.estimated_cost.to_decimal());
    count("unverified", row.unverified);
    writer.member("unverified_cost", row.unverified_cost.to_decimal());
    count("unpriced", row.unpriced);
    writer.member("overdraft", row.overdraft.to_decimal());
    writer.member("adjusted", row.adjusted.to_decimal()).end_object();
}

std::string_view state_name(store::AttemptFacts::State state) {
    switch (state) {
        case store::AttemptFacts::State::kHeld: return "held";
        case store::AttemptFacts::State::kSettled: return "settled";
        case store::AttemptFacts::State::kReleased: return "released";
    }
    return "held";
}

void write_error(json::Writer& writer, std::uint8_t error) {
    if (error > 0) writer.member("error", error_code_name(static_cast<ErrorCode>(error - 1)));
}

void write_attempt(json::Writer& writer, const store::AttemptFacts& attempt) {
    writer.begin_object().member("attempt", std::int64_t{attempt.attempt});
    writer.member("model", attempt.model).member("offer", attempt.offer);
    writer.member("cloud", attempt.cloud).member("state", state_name(attempt.state));
    if (attempt.bounded) writer.member("held", attempt.held.to_decimal());
    writer.member("dispatched_at", to_rfc3339(attempt.dispatch));
    if (attempt.state != store::AttemptFacts::State::kHeld)
        writer.member("ended_at", to_rfc3339(attempt.ended));
    if (attempt.upstream_status > 0)
        writer.member("supplier_status", std::int64_t{attempt.upstream_status});
    if (attempt.state == store::AttemptFacts::State::kSettled) {
        const bool unpriced = (attempt.flags & ledger::settle_flag::kUnpriced) != 0;
        writer.member_raw("usage", canon::to_json(attempt.usage));
        if (unpriced) {
            writer.member_null("cost");  // not known, which is not zero
        } else {
            writer.member("cost", attempt.cost.to_decimal());
            writer.member("list_cost", attempt.list_cost.to_decimal());
        }
        if (!attempt.rate_version.empty()) writer.member("rate_version", attempt.rate_version);
        if (!attempt.overdraft.is_zero())
            writer.member("overdraft", attempt.overdraft.to_decimal());
        const auto flag = [&](std::string_view name, std::uint8_t bit) {
            if ((attempt.flags & bit) != 0) writer.member_bool(name, true);
        };
        flag("estimated", ledger::settle_flag::kEstimated);
        flag("unverified", ledger::settle_flag::kUnverified);
        flag("client_gone", ledger::settle_flag::kClientGone);
    }
    write_error(writer, attempt.error);
    writer.end_object();
}

/// `stage=prod`, several joined by `;`, all of which must hold; `stage=` or `stage`: what bears no
/// such tag.
Status add_tag_filters(std::string_view text, store::UsageQuery& query) {
    for (const std::string_view one : split(text, ';')) {
        const auto equals = one.find('=');
        ENTREPOT_TRY(store::UsageKey key,
            store::parse_usage_key(fmt::format("tag:{}", one.substr(0, equals))));
        query.filters.push_back({std::move(key),
            equals == std::string_view::npos ? std::string()
                                             : std::string(one.substr(equals + 1))});
    }
    return {};
}

}  // namespace

Result<ApiAnswer> get_usage(const ApiCall& call) {
    store::UsageQuery query;
    for (const std::string_view name : split(call.argument("by"), ',')) {
        if (name.empty()) continue;
        ENTREPOT_TRY(store::UsageKey key, store::parse_usage_key(name));
        query.group_by.push_back(std::move(key));
    }
    if (const auto since = call.argument("since"); !since.empty()) {
        ENTREPOT_TRY(query.since, parse_instant(since));
    }
    if (const auto until = call.argument("until"); !until.empty()) {
        ENTREPOT_TRY(query.until, parse_instant(until));
    }
    for (std::size_t i = 0; i < store::kUsageColumnCount; ++i) {
        const auto column = static_cast<store::UsageColumn>(i);
        const std::string name(store::usage_column_name(column));
        if (column == store::UsageColumn::kTag || !call.arguments.contains(name)) continue;
        query.filters.push_back({column, std::string(call.argument(name))});
    }
    if (call.arguments.contains("tag")) {
        ENTREPOT_TRY_DO(add_tag_filters(call.argument("tag"), query));
    }
    ENTREPOT_TRY(const std::filesystem::path folder, checkpointed(call.backend));
    ENTREPOT_TRY(const store::UsageTable table, store::query_usage(folder, query));
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("currency", call.backend.settings().currency.code());
    writer.key("by").begin_array();
    for (const store::UsageKey& key : table.columns) writer.string(key.name());
    writer.end_array().key("rows").begin_array();
    for (const auto& row : table.rows) write_usage_row(writer, table, row);
    writer.end_array().key("total");
    write_usage_row(writer, table, table.total);
    writer.end_object();
    return ApiAnswer{200, std::move(out)};
}

Result<ApiAnswer> get_exchange(const ApiCall& call) {
    ENTREPOT_TRY(const ExchangeId id, ExchangeId::parse(call.name));
    std::string out;
    Status status;
    call.backend.with_books([&](store::Books& books) {
        const auto report = books.exchange(id);
        if (!report) {
            status = std::unexpected(report.error());
            return;
        }
        json::Writer writer(out);
        writer.begin_object().member("exchange", id.to_string());
        writer.member("at", to_rfc3339(id.time()));
        writer.member("key", report->key).member("team", report->team).member("org", report->org);
        writer.member("model", report->model).member("dialect", report->dialect);
        writer.member("state", report->closed ? "closed" : "open");
        if (report->closed) {
            const ledger::ExchangeClose& close = report->close;
            writer.member("offer", books.name_of(close.route.offer));
            writer.member("status", std::int64_t{close.status});
            writer.member("ended_by", ledger::ended_by_name(close.ended_by));
            writer.member("phase", ledger::phase_name(close.phase));
            writer.member_bool("streamed", close.streamed);
            if (close.ttft_us > 0)
                writer.member("ttft_us", static_cast<std::int64_t>(close.ttft_us));
            writer.member("duration_us", static_cast<std::int64_t>(close.duration_us));
            write_error(writer, close.error);
        }
        writer.member("cost", report->cost.to_decimal());
        writer.member("currency", call.backend.settings().currency.code());
        writer.key("attempts").begin_array();
        for (const auto& attempt : report->attempts) write_attempt(writer, attempt);
        writer.end_array().end_object();
    });
    if (!status) return std::unexpected(status.error());
    return ApiAnswer{200, std::move(out)};
}

}  // namespace entrepot::control
