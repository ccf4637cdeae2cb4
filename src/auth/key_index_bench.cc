#include <benchmark/benchmark.h>

#include <string>

#include "auth/key_index.h"

namespace entrepot::auth {
namespace {

// The hot path with a million keys: hash, probe, compare. The table does not fit the cache, which
// is the point.
void authenticate(benchmark::State& state) {
    std::vector<KeyEntry> entries(static_cast<std::size_t>(state.range(0)));
    for (std::size_t i = 0; i < entries.size(); ++i) {
        entries[i].principal.key = KeyId(std::to_string(i));
        entries[i].digests.push_back(
            digest_of("ek-0123456789012345678901234567890123456789012" + std::to_string(i)));
    }
    const auto index = *KeyIndex::build(std::move(entries));
    // Asked for in an order that the caches cannot foresee.
    std::vector<std::string> secrets;
    const auto keys = static_cast<std::uint64_t>(state.range(0));
    for (std::uint64_t i = 0; i < 65'536; ++i)
        secrets.push_back("ek-0123456789012345678901234567890123456789012" +
            std::to_string(i * 2'654'435'761 % keys));
    std::size_t at = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(index->authenticate(secrets[at], Instant{0}));
        at = (at + 1) & 65'535;
    }
}
BENCHMARK(authenticate)->Arg(1000)->Arg(1'000'000);

}  // namespace
}  // namespace entrepot::auth
