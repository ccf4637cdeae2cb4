// serve: the gateway.

#include <fmt/format.h>

#include "command.h"
#include "config/load.h"
#include "host.h"
#include "telemetry/log.h"

namespace entrepot::cli {
namespace {

int run_serve(const Arguments& arguments) {
    const std::string file(arguments.get("--config"));
    // Before any thread: it blocks the signals for all of them.
    const auto watch = control::ChangeWatch::open(file);
    config::Loaded loaded = config::load_file(file);
    fmt::print(stderr, "{}", config::format_problems(loaded.problems));
    if (!loaded.ok()) {
        fmt::print(stderr, "entrepot: '{}' is not valid, so nothing was started\n", file);
        return kBadConfiguration;
    }
    if (!watch) return report(watch.error());
    const auto host = Host::start(*loaded.settings);
    if (!host) return report(host.error());
    telemetry::log(telemetry::LogLevel::kInfo,
        fmt::format("clients: {}  admin: {}  data: {}", (*host)->data_url(), (*host)->admin_url(),
            loaded.settings->data));
    (*host)->run(**watch, file);
    return kOk;
}

}  // namespace

std::vector<Command> server_commands() {
    return {{"serve",
        "Run the gateway; SIGTERM drains it, SIGHUP or a change of the file reloads it, SIGHUP "
        "also opens "
        "the access log anew.",
        {{"--config", "FILE", "The configuration.", true}}, run_serve}};
}

}  // namespace entrepot::cli
