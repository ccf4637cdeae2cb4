// The simulated clouds as a program.
// usage: cloudsim [--listen HOST:PORT] [--json] [--replay FILE] [--invoice DIR]
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "cloudsim/cloudsim.h"
#include "runtime/cores.h"

namespace {

using namespace entrepot;  // tidy: a program of one page

Core* g_core = nullptr;

constexpr std::string_view kUsage =
    "usage: cloudsim [--listen HOST:PORT] [--json] [--replay FILE] [--invoice DIR]\n"
    "Simulated clouds on loopback ports; apps/cloudsim/README.md has the controls.\n";

}  // namespace

int main(int argc, char** argv) {
    cloudsim::Options options;
    bool is_json = false;
    std::string invoice_folder;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        const bool has_value = i + 1 < argc;
        if (flag == "--json") {
            is_json = true;
        } else if (flag == "--listen" && has_value) {
            options.listen = argv[++i];
        } else if (flag == "--replay" && has_value) {
            options.replay_file = argv[++i];
        } else if (flag == "--invoice" && has_value) {
            invoice_folder = argv[++i];
        } else {
            const bool is_help = flag == "--help" || flag == "-h";
            std::fputs(kUsage.data(), is_help ? stdout : stderr);
            return is_help ? 0 : 2;
        }
    }
    raise_descriptor_limit();
    Core core;
    g_core = &core;
    std::signal(SIGPIPE, SIG_IGN);
    for (const int number : {SIGTERM, SIGINT}) std::signal(number, [](int) { g_core->stop(); });
    const auto started = cloudsim::Cloudsim::start(core, options);
    if (!started) {
        fmt::print(stderr, "cloudsim: {}\n", started.error().message);
        return started.error().code == ErrorCode::kBadConfiguration ? 3 : 1;
    }
    if (is_json) {
        fmt::print("{}\n", (*started)->to_json());
    } else {
        fmt::print("controls   {}\n", (*started)->control_url());
        for (const cloudsim::CloudAddress& cloud : (*started)->clouds())
            fmt::print("{:<18} {}  key {}\n", cloud.name, cloud.endpoint, cloud.api_key);
    }
    std::fflush(stdout);
    core.run();
    if (!invoice_folder.empty()) {
        if (const Status written = (*started)->write_invoices(invoice_folder); !written) {
            fmt::print(stderr, "cloudsim: {}\n", written.error().message);
            std::_Exit(1);
        }
    }
    std::_Exit(0);  // connections may be open; the kernel closes them
}
