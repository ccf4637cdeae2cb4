#include "store/charge_reader.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ledger/record.h"
#include "ledger/state.h"
#include "store/books_db.h"

namespace entrepot::store {

namespace {

constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;
constexpr std::int64_t kPicoPerUnit = 1'000'000'000'000;
/// Names that are kept between rows; then they are looked up anew.
constexpr std::size_t kNamesMax = 65'536;

std::int64_t hour_of(Instant at) { return at.ns / kHourNs - (at.ns % kHourNs < 0 ? 1 : 0); }

/// The columns of `dimensions` that are names, in the order in which they are selected.
constexpr std::size_t kNameCount = 11;
constexpr const char* kCharges =
    "SELECT c.hour,c.dimensions,c.meter,c.quantity,c.cost_units,c.cost_pico,c.list_units,"
    "c.list_pico,d.tier,d.ctx_over,d.org,d.team,d.project,d.key,d.end_user,d.tags,d.model,d.offer,"
    "d.cloud,d.contract,d.rate_version FROM charges c CROSS JOIN dimensions d ON "
    "d.id=c.dimensions WHERE c.hour>=? AND c.hour<? AND (c.meter&127)>=? ORDER BY "
    "c.hour,c.dimensions,c.meter";

/// The hour and what a correction names: org to contract.
using Cell = std::array<std::int64_t, kNameCount>;

Cell cell_of(const ledger::AdjustRequest& request) {
    const ledger::Spender& spender = request.spender;
    const auto number = [](ledger::NameId id) { return static_cast<std::int64_t>(id); };
    return {hour_of(request.at), number(spender.org), number(spender.team), number(spender.project),
        number(spender.key), number(spender.end_user), number(spender.tags),
        number(request.route.model), number(request.route.offer), number(request.route.cloud),
        number(request.contract)};
}

}  // namespace

struct ChargeReader::Impl {
    explicit Impl(Database opened) : database(std::move(opened)) {}

    Database database;
    std::optional<Statement> charges;
    std::optional<Statement> look_up;
    std::unordered_map<std::int64_t, std::string> names;
    std::map<Cell, std::vector<ledger::AdjustRequest>> corrections;
    std::array<std::string_view, kNameCount> here;  ///< names of the dimensions read last
    std::int64_t dimensions = -1;
    ChargeRow row;
    const std::vector<ledger::AdjustRequest>* pending = nullptr;  ///< of the cell in `row`
    std::size_t pending_at = 0;

    Status load_corrections(std::int64_t first_hour, std::int64_t end_hour) {
        ENTREPOT_TRY(
            Statement query, database.prepare("SELECT record FROM adjustments ORDER BY id"));
        for (;;) {
            ENTREPOT_TRY(const bool more, query.step());
            if (!more) return {};
            ENTREPOT_TRY(const ledger::Record record, ledger::decode(query.blob(0)));
            const auto* adjust = std::get_if<ledger::AdjustRecord>(&record);
            if (adjust == nullptr)
                return fail(ErrorCode::kIo, "books.db: a correction does not read as one");
            const Cell cell = cell_of(adjust->request);
            if (cell[0] >= first_hour && cell[0] < end_hour)
                corrections[cell].push_back(adjust->request);
        }
    }

    Result<std::string_view> name_of(std::int64_t id) {
        if (id == 0) return std::string_view();
        if (const auto found = names.find(id); found != names.end())
            return std::string_view(found->second);
        look_up->bind(id);
        ENTREPOT_TRY(const bool found, look_up->step());
        std::string& name = names[id];
        if (found) name = look_up->text(0);
        look_up->reset();
        return std::string_view(name);
    }

    Status read_names(std::int64_t id) {
        if (id == dimensions) return {};
        if (names.size() > kNamesMax) names.clear();
        for (std::size_t i = 0; i < kNameCount; ++i) {
            ENTREPOT_TRY(here[i], name_of(charges->number(10 + static_cast<int>(i))));
        }
        dimensions = id;
        return {};
    }

    /// The single corrections that make up the cell, when they do so to the last unit.
    void find_corrections() {
        Cell cell{charges->number(0)};
        for (std::size_t i = 1; i < cell.size(); ++i)
            cell[i] = charges->number(9 + static_cast<int>(i));
        const auto found = corrections.find(cell);
        if (found == corrections.end()) return;
        Money cost;
        Money list_cost;
        for (const ledger::AdjustRequest& one : found->second) {
            cost += one.cost;
            list_cost += one.list_cost;
        }
        if (cost != row.cost || list_cost != row.list_cost) return;
        pending = &found->second;
        pending_at = 0;
    }

    Result<bool> next_correction(ChargeRow& to) {
        const ledger::AdjustRequest& one = (*pending)[pending_at++];
        to = row;
        to.cost = one.cost;
        to.list_cost = one.list_cost;
        to.correction = &one;
        ENTREPOT_TRY(to.reason, name_of(static_cast<std::int64_t>(one.reason)));
        if (pending_at == pending->size()) pending = nullptr;
        return true;
    }
};

ChargeReader::ChargeReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ChargeReader::ChargeReader(ChargeReader&&) noexcept = default;
ChargeReader::~ChargeReader() = default;

Result<ChargeReader> ChargeReader::open(
    const std::filesystem::path& data, Instant since, Instant until, ChargeKinds kinds) {
    std::error_code error;
    if (!std::filesystem::exists(database_path(data), error))
        return fail(ErrorCode::kNotFound, fmt::format("there are no books in {}", data.string()));
    ENTREPOT_TRY(Database database, Database::open(database_path(data), Database::Mode::kReadOnly));
    auto impl = std::make_unique<Impl>(std::move(database));
    // All rows, names and corrections of one moment.
    ENTREPOT_TRY_DO(impl->database.execute("BEGIN"));
    const std::int64_t first = hour_of(since);
    const std::int64_t end = until.ns == INT64_MIN ? first : hour_of(Instant{until.ns - 1}) + 1;
    ENTREPOT_TRY_DO(impl->load_corrections(first, end));
    ENTREPOT_TRY(Statement look_up, impl->database.prepare("SELECT name FROM names WHERE id=?"));
    impl->look_up.emplace(std::move(look_up));
    ENTREPOT_TRY(Statement charges, impl->database.prepare(kCharges));
    impl->charges.emplace(std::move(charges));
    impl->charges->bind(first).bind(end).bind(
        kinds == ChargeKinds::kAll ? 0U : std::uint32_t{ledger::kAdjustMeter});
    return ChargeReader(std::move(impl));
}

Result<bool> ChargeReader::next(ChargeRow& to) {
    Impl& impl = *impl_;
    if (impl.pending != nullptr) return impl.next_correction(to);
    Statement& query = *impl.charges;
    ENTREPOT_TRY(const bool more, query.step());
    if (!more) return false;
    ENTREPOT_TRY_DO(impl.read_names(query.number(1)));
    const auto amount = [&](int at) {
        return Money::from_pico(
            static_cast<Int128>(query.number(at)) * kPicoPerUnit + query.number(at + 1));
    };
    ChargeRow& row = impl.row;
    row = {};
    row.hour = {query.number(0) * kHourNs};
    row.meter = static_cast<std::uint8_t>(query.number(2) & ~std::int64_t{ledger::kMovedBit});
    row.quantity = query.number(3);
    row.cost = amount(4);
    row.list_cost = amount(6);
    row.tier = static_cast<catalog::Tier>(query.number(8));
    row.ctx_over = query.number(9);
    std::size_t at = 0;
    for (std::string_view* const name : {&row.org, &row.team, &row.project, &row.key, &row.end_user,
             &row.tags, &row.model, &row.offer, &row.cloud, &row.contract, &row.rate_version})
        *name = impl.here[at++];
    if (row.meter == ledger::kAdjustMeter) {
        impl.find_corrections();
        if (impl.pending != nullptr) return impl.next_correction(to);
    }
    to = row;
    return true;
}

}  // namespace entrepot::store
