#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "contracts/own_rates.h"
#include "json/writer.h"
#include "store/settings.h"

namespace entrepot::control {

/// So many rates may live in the store, taken back or not, and so many be stated at once.
inline constexpr std::size_t kOwnRatesMax = 10'000;
inline constexpr std::size_t kRatesAtOnceMax = 500;

/// The rates of the store, by number: kind `rate`. Errors: kIo.
[[nodiscard]] Result<std::vector<contracts::OwnRate>> load_own_rates(
    const store::SettingsStore& store);

/// One rate as the API tells it and the store keeps it.
void write_rate(json::Writer& writer, const contracts::OwnRate& rate);
[[nodiscard]] std::string rate_to_json(const contracts::OwnRate& rate);
/// Of a rate that the store keeps. Errors: kIo.
[[nodiscard]] Result<contracts::OwnRate> rate_of_store(std::string_view json);

/// Rates as people state them: an object, or `{"rates": [...]}`. They are known from `now` on and
/// have no number yet; without `from` they apply from the next UTC midnight on.
/// Errors: kInvalidField naming the place (`rates[2].prices.input`), the value and the remedy;
/// kBadRequest for what is no JSON.
[[nodiscard]] Result<std::vector<contracts::OwnRate>> read_rates(
    std::string_view json, Instant now);

/// The store's name of a rate: its number, padded so that names sort.
[[nodiscard]] std::string rate_name(std::int64_t number);
/// What a rate states, for the audit log.
[[nodiscard]] store::StatedValues stated_of(const contracts::OwnRate& rate);

}  // namespace entrepot::control
