#include "store/charge_hours.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <unordered_map>

#include "ledger/record.h"
#include "ledger/state.h"
#include "store/sqlite.h"

namespace entrepot::store {
namespace {

constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;
constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;
/// Columns that tell rows apart, in the order of `kHourSql`.
constexpr int kKeyCount = 8;
constexpr std::string_view kHourSql =
    "SELECT d.model,d.offer,d.cloud,d.contract,d.rate_version,d.tier,d.ctx_over,c.meter,c.quantity,"
    "c.cost_units,c.cost_pico,c.list_units,c.list_pico FROM charges c JOIN dimensions d ON "
    "d.id=c.dimensions WHERE c.hour=?";

std::int64_t floor_hour(Instant at) { return at.ns / kHourNs - (at.ns % kHourNs < 0 ? 1 : 0); }

Money joined(std::int64_t units, std::int64_t pico) {
    return Money::from_pico(static_cast<Int128>(units) * kPicoPerUnit + pico);
}

Result<Database> open_books(const std::filesystem::path& data) {
    std::error_code error;
    if (!std::filesystem::exists(database_path(data), error))
        return fail(ErrorCode::kNotFound, fmt::format("there are no books in {}", data.string()));
    return Database::open(database_path(data), Database::Mode::kReadOnly);
}

/// Texts of names, each looked up once.
class NameTexts {
public:
    static Result<NameTexts> open(const Database& database) {
        ENTREPOT_TRY(Statement query, database.prepare("SELECT name FROM names WHERE id=?"));
        return NameTexts(std::move(query));
    }
    Result<std::string> of(std::int64_t id) {
        if (const auto known = texts_.find(id); known != texts_.end()) return known->second;
        query_.bind(id);
        ENTREPOT_TRY(const bool found, query_.step());
        std::string text(found ? query_.text(0) : std::string_view());
        query_.reset();
        texts_.emplace(id, text);
        return text;
    }
    Result<std::string> of(ledger::NameId id) { return of(static_cast<std::int64_t>(id)); }

private:
    explicit NameTexts(Statement query) : query_(std::move(query)) {}
    Statement query_;
    std::unordered_map<std::int64_t, std::string> texts_;
};

struct Sums {
    std::int64_t quantity = 0;
    Money cost, list_cost;
};
using HourKey = std::array<std::int64_t, kKeyCount>;

Result<std::map<HourKey, Sums>> sums_of_hour(Statement& query, std::int64_t hour) {
    std::map<HourKey, Sums> sums;
    query.bind(hour);
    for (;;) {
        ENTREPOT_TRY(const bool more, query.step());
        if (!more) break;
        HourKey key{};
        for (int i = 0; i < kKeyCount; ++i) key[static_cast<std::size_t>(i)] = query.number(i);
        Sums& sum = sums[key];
        sum.quantity += query.number(kKeyCount);
        sum.cost += joined(query.number(kKeyCount + 1), query.number(kKeyCount + 2));
        sum.list_cost += joined(query.number(kKeyCount + 3), query.number(kKeyCount + 4));
    }
    query.reset();
    return sums;
}

}  // namespace

Result<ChargeHoursPage> charge_hours(
    const std::filesystem::path& data, const ChargeHoursQuery& query) {
    ENTREPOT_TRY(const Database database, open_books(data));
    ENTREPOT_TRY(NameTexts names, NameTexts::open(database));
    ENTREPOT_TRY(Statement following,
        database.prepare("SELECT hour FROM charges WHERE hour>=? ORDER BY hour LIMIT 1"));
    ENTREPOT_TRY(Statement in_hour, database.prepare(kHourSql));
    const std::int64_t end =
        query.until ? floor_hour(Instant{query.until->ns - 1}) + 1 : INT64_MAX / kHourNs;
    std::int64_t from = query.since ? floor_hour(*query.since) : INT64_MIN / kHourNs;
    ChargeHoursPage page;
    for (;;) {
        following.bind(from);
        ENTREPOT_TRY(const bool found, following.step());
        const std::int64_t hour = found ? following.number(0) : end;
        following.reset();
        if (hour >= end) return page;
        if (page.rows.size() >= query.rows_max) {
            page.next = Instant{hour * kHourNs};
            return page;
        }
        ENTREPOT_TRY(const auto sums, sums_of_hour(in_hour, hour));
        for (const auto& [key, sum] : sums) {
            ChargeHour row;
            ENTREPOT_TRY(row.cloud, names.of(key[2]));
            if (!query.clouds.empty() &&
                std::ranges::find(query.clouds, row.cloud) == query.clouds.end())
                continue;
            row.hour = Instant{hour * kHourNs};
            ENTREPOT_TRY(row.model, names.of(key[0]));
            ENTREPOT_TRY(row.offer, names.of(key[1]));
            ENTREPOT_TRY(row.contract, names.of(key[3]));
            ENTREPOT_TRY(row.rate_version, names.of(key[4]));
            row.tier = static_cast<catalog::Tier>(key[5]);
            row.ctx_over = key[6];
            row.meter = static_cast<std::uint8_t>(key[7] & ~std::int64_t{ledger::kMovedBit});
            row.is_moved = (key[7] & ledger::kMovedBit) != 0;
            row.quantity = sum.quantity;
            row.cost = sum.cost;
            row.list_cost = sum.list_cost;
            page.rows.push_back(std::move(row));
        }
        from = hour + 1;
    }
}

Result<PostedAdjustmentsPage> posted_adjustments(const std::filesystem::path& data,
    const std::optional<ExchangeId>& after, std::uint32_t rows_max) {
    ENTREPOT_TRY(const Database database, open_books(data));
    ENTREPOT_TRY(NameTexts names, NameTexts::open(database));
    ENTREPOT_TRY(Statement query,
        database.prepare("SELECT record FROM adjustments WHERE id>? ORDER BY id LIMIT ?"));
    const std::string_view begin = after
        ? std::string_view(reinterpret_cast<const char*>(after->bytes.data()), after->bytes.size())
        : std::string_view();
    query.bind_blob(begin).bind(rows_max);
    PostedAdjustmentsPage page;
    for (;;) {
        ENTREPOT_TRY(const bool more, query.step());
        if (!more) break;
        ENTREPOT_TRY(const ledger::Record record, ledger::decode(query.blob(0)));
        const auto* adjust = std::get_if<ledger::AdjustRecord>(&record);
        if (adjust == nullptr)
            return fail(ErrorCode::kIo, "books.db: a correction does not read as one");
        const ledger::AdjustRequest& request = adjust->request;
        PostedAdjustment row;
        row.id = request.id;
        row.at = request.at;
        ENTREPOT_TRY(row.model, names.of(request.route.model));
        ENTREPOT_TRY(row.offer, names.of(request.route.offer));
        ENTREPOT_TRY(row.cloud, names.of(request.route.cloud));
        ENTREPOT_TRY(row.contract, names.of(request.contract));
        ENTREPOT_TRY(row.reason, names.of(request.reason));
        row.cost = request.cost;
        row.list_cost = request.list_cost;
        row.exchange = request.exchange;
        row.attempt = request.attempt;
        page.rows.push_back(std::move(row));
    }
    if (page.rows.size() >= rows_max && rows_max > 0) page.next = page.rows.back().id;
    return page;
}

}  // namespace entrepot::store
