#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "config/load.h"

// Any bytes are either settings or at least one error with a place; nothing throws, nothing grows
// without bound.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace config = entrepot::config;
    static const config::Environment environment = [] {
        config::Environment fixed;
        fixed.variable = [](const std::string& name) -> std::optional<std::string> {
            if (name.size() > 3) return std::nullopt;
            return "value";
        };
        fixed.file = [](const std::string&) -> entrepot::Result<std::string> { return "content"; };
        return fixed;
    }();
    const config::Loaded loaded =
        config::load_text({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", environment);
    ENTREPOT_CHECK(loaded.ok() || !loaded.problems.empty());
    for (const config::Problem& problem : loaded.problems) ENTREPOT_CHECK(!problem.cause.empty());
    (void)config::format_problems(loaded.problems);
    (void)config::problems_json(loaded.problems);
    return 0;
}
