#include "telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace entrepot::telemetry {
namespace {

spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made = std::make_shared<spdlog::logger>(
            "entrepot", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
        made->flush_on(spdlog::level::trace);
        return made;
    }();
    return *instance;
}

spdlog::level::level_enum level_of(LogLevel level) {
    switch (level) {
        case LogLevel::kDebug: return spdlog::level::debug;
        case LogLevel::kInfo: return spdlog::level::info;
        case LogLevel::kWarning: return spdlog::level::warn;
        case LogLevel::kError: return spdlog::level::err;
        case LogLevel::kOff: return spdlog::level::off;
    }
    return spdlog::level::info;
}

}  // namespace

void log(LogLevel level, std::string_view message) {
    logger().log(level_of(level), spdlog::string_view_t(message.data(), message.size()));
}

void set_log_level(std::string_view name) {
    LogLevel level = LogLevel::kInfo;
    if (name == "debug") level = LogLevel::kDebug;
    if (name == "warning") level = LogLevel::kWarning;
    if (name == "error") level = LogLevel::kError;
    if (name == "off") level = LogLevel::kOff;
    logger().set_level(level_of(level));
}

}  // namespace entrepot::telemetry
