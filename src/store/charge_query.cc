#include "store/charge_query.h"

#include <fmt/format.h>

#include "store/sqlite.h"

namespace entrepot::store {
namespace {

constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;
constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;
/// SQLite's sums end at 2^63: an amount is summed in three parts.
constexpr std::int64_t kPicoPart = 1'000'000;

std::int64_t floor_hour(Instant at) { return at.ns / kHourNs - (at.ns % kHourNs < 0 ? 1 : 0); }

std::string one_of(std::string_view column, const std::vector<ledger::NameId>& ids) {
    if (ids.empty()) return {};
    std::string marks;
    for (std::size_t i = 0; i < ids.size(); ++i) marks += i == 0 ? "?" : ",?";
    return fmt::format(" AND d.{} IN ({})", column, marks);
}

ledger::Dimensions dimensions_of(const Statement& row, int at) {
    const auto name = [&] { return static_cast<ledger::NameId>(row.number(at++)); };
    ledger::Dimensions out;
    out.spender.org = name();
    out.spender.team = name();
    out.spender.project = name();
    out.spender.key = name();
    out.spender.end_user = name();
    out.spender.tags = name();
    out.route.model = name();
    out.route.offer = name();
    out.route.cloud = name();
    out.contract = name();
    out.rate_version = name();
    out.tier = static_cast<std::uint8_t>(row.number(at++));
    out.ctx_over = row.number(at);
    return out;
}

Money amount_of(const Statement& row, int at) {
    return Money::from_pico(static_cast<Int128>(row.number(at)) * kPicoPerUnit +
        static_cast<Int128>(row.number(at + 1)) * kPicoPart + row.number(at + 2));
}

}  // namespace

Status read_charges(const std::filesystem::path& data, const ChargeQuery& query,
    const std::function<Status(const DayCharge&)>& visit) {
    std::error_code error;
    if (!std::filesystem::exists(database_path(data), error))
        return fail(ErrorCode::kNotFound, fmt::format("there are no books in {}", data.string()));
    ENTREPOT_TRY(
        const Database database, Database::open(database_path(data), Database::Mode::kReadOnly));
    const auto sums = [](std::string_view amount) {
        return fmt::format(
            ",SUM(c.{0}_units),SUM(c.{0}_pico/{1}),SUM(c.{0}_pico%{1})", amount, kPicoPart);
    };
    ENTREPOT_TRY(Statement statement,
        database.prepare(fmt::format(
            "SELECT c.hour/24 AS day,c.meter,SUM(c.quantity){}{},d.org,d.team,d.project,d.key,"
            "d.end_user,d.tags,d.model,d.offer,d.cloud,d.contract,d.rate_version,d.tier,d.ctx_over "
            "FROM charges c JOIN dimensions d ON d.id=c.dimensions WHERE c.hour>=? AND c.hour<?"
            "{}{} GROUP BY day,c.dimensions,c.meter ORDER BY day,c.dimensions,c.meter",
            sums("cost"), sums("list"), one_of("offer", query.offers),
            one_of("contract", query.contracts))));
    statement.bind(floor_hour(query.since)).bind(floor_hour(query.until));
    for (const auto* ids : {&query.offers, &query.contracts})
        for (const ledger::NameId id : *ids) statement.bind(static_cast<std::uint32_t>(id));
    constexpr int kCost = 3;
    constexpr int kList = 6;
    constexpr int kDimensions = 9;
    for (;;) {
        ENTREPOT_TRY(const bool more, statement.step());
        if (!more) return {};
        DayCharge row;
        row.day = static_cast<std::int32_t>(statement.number(0));
        const auto meter = static_cast<std::uint8_t>(statement.number(1));
        row.is_moved = (meter & ledger::kMovedBit) != 0;
        row.meter = static_cast<std::uint8_t>(meter & ~ledger::kMovedBit);
        row.quantity = statement.number(2);
        row.cost = amount_of(statement, kCost);
        row.list_cost = amount_of(statement, kList);
        row.dimensions = dimensions_of(statement, kDimensions);
        ENTREPOT_TRY_DO(visit(row));
    }
}

}  // namespace entrepot::store
