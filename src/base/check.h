#pragma once

namespace entrepot {

/// Prints what was broken and stops the process: a wrong ledger is worse than a restart.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace entrepot

/// Holds an invariant of our own code, in every build. The world's mistakes are `Result`s instead.
#define ENTREPOT_CHECK(condition)                                     \
    do {                                                              \
        if (!(condition)) [[unlikely]]                                \
            ::entrepot::check_failed(#condition, __FILE__, __LINE__); \
    } while (false)
