// What was committed to, as FOCUS 1.3 has it: a row per window and per capacity.
#include <fmt/format.h>

#include <array>

#include "contracts/capacity.h"
#include "reconcile/csv.h"
#include "reports/focus.h"

namespace entrepot::reports {

namespace {

using contracts::Contract;

constexpr std::int64_t kHourNs = 3'600LL * 1'000'000'000;

std::string time_text(Instant at) {
    if (at == catalog::kBeginning || at == catalog::kForever) return {};
    std::string text = to_rfc3339(at);
    if (const auto dot = text.find('.'); dot != std::string::npos) text.replace(dot, 4, "");
    return text;
}

/// The dataset's columns, in the order of their names.
struct Commitment {
    std::string category, cost, description, id;
    Instant end, begin;
    std::string quantity, type, unit;
};

void write(const Contract& contract, const Commitment& row, std::string& out) {
    const std::array<std::string, 13> cells{std::string(contract.currency.code()), row.category,
        row.cost, row.description, row.id, time_text(row.end), time_text(row.begin), row.quantity,
        row.type, row.unit, contract.name, time_text(contract.to), time_text(contract.from)};
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (i > 0) out += ',';
        reconcile::append_csv(out, cells[i]);
    }
    out += '\n';
}

}  // namespace

Status write_commitments(
    std::span<const Contract> all, Instant since, Instant until, std::string& out) {
    out +=
        "BillingCurrency,ContractCommitmentCategory,ContractCommitmentCost,"
        "ContractCommitmentDescription,ContractCommitmentId,ContractCommitmentPeriodEnd,"
        "ContractCommitmentPeriodStart,ContractCommitmentQuantity,ContractCommitmentType,"
        "ContractCommitmentUnit,ContractId,ContractPeriodEnd,ContractPeriodStart\n";
    for (const Contract& contract : all) {
        if (contract.commitment) {
            for (const contracts::Window& window :
                contracts::windows_of(*contract.commitment, contract.from, contract.to)) {
                if (window.begin >= until || window.end <= since) continue;
                const std::string per(contracts::per_name(contract.commitment->per));
                write(contract,
                    {"Spend", window.amount.to_decimal(),
                        window.is_milestone
                            ? fmt::format("Milestone of {}: eligible spend since the term began",
                                  contract.name)
                            : fmt::format("Commitment of {} per {}", contract.name, per),
                        commitment_id(contract.name, window), window.end, window.begin, {},
                        window.is_milestone ? "Milestone" : "Spend Commitment", {}},
                    out);
            }
        }
        for (const contracts::Provisioned& capacity : contract.provisioned) {
            const Instant begin = std::max(contract.from, capacity.from);
            const Instant end = std::min(contract.to, capacity.to);
            if (begin >= until || end <= since || begin >= end) continue;
            ENTREPOT_TRY(const Money fee, contracts::fee_of(contract, capacity, begin, end));
            write(contract,
                {"Usage", fee.to_decimal(),
                    fmt::format("{} units of {} at {} an hour each", capacity.units, capacity.name,
                        capacity.hourly.to_decimal()),
                    fmt::format("{}/{}", contract.name, capacity.name), end, begin,
                    to_string(Int128{capacity.units} * ((end.ns - begin.ns) / kHourNs)),
                    "Provisioned Capacity", "Unit-Hours"},
                out);
        }
    }
    return {};
}

}  // namespace entrepot::reports
