#pragma once

#include <string_view>

#include "base/result.h"

namespace entrepot::telemetry {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

/// The process's own log, on stderr: a line with time, level and message. Never prompts or secrets.
/// Any thread. Not for requests: those have their access record.
void log(LogLevel level, std::string_view message);

/// `debug`, `info`, `warning`, `error`, `off`; anything else is `info`.
void set_log_level(std::string_view name);

}  // namespace entrepot::telemetry
