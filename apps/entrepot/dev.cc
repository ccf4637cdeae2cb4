// dev: a gateway without configuration, on loopback, over simulated clouds or those of the
// environment.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "auth/credential.h"
#include "base/text.h"
#include "cloudsim/cloudsim.h"
#include "command.h"
#include "config/load.h"
#include "dev_config.h"
#include "host.h"
#include "json/writer.h"
#include "runtime/core.h"

namespace entrepot::cli {
namespace {

/// Simulated clouds on a core and a thread of their own.
class SimulatedClouds {
public:
    static Result<std::unique_ptr<SimulatedClouds>> start() {
        auto clouds = std::unique_ptr<SimulatedClouds>(new SimulatedClouds);
        clouds->thread_ = std::thread([core = &clouds->core_] { core->run(); });
        Result<std::unique_ptr<cloudsim::Cloudsim>> started;
        clouds->on_core([&] { started = cloudsim::Cloudsim::start(clouds->core_, {}); });
        if (!started) return std::unexpected(std::move(started).error());
        clouds->sim_ = std::move(*started);
        return clouds;
    }

    ~SimulatedClouds() {
        if (sim_) {
            std::promise<void> drained;
            core_.post([&] {
                core_.spawn(
                    sim_->drain(core_.after(seconds(1))),
                    [](void* done) { static_cast<std::promise<void>*>(done)->set_value(); },
                    &drained);
            });
            drained.get_future().wait();
            on_core([&] { sim_.reset(); });
        }
        core_.stop();
        thread_.join();
    }
    SimulatedClouds(const SimulatedClouds&) = delete;
    SimulatedClouds& operator=(const SimulatedClouds&) = delete;

    [[nodiscard]] const std::string& control_url() const { return sim_->control_url(); }

    [[nodiscard]] std::vector<DevCloud> clouds() const {
        std::vector<DevCloud> all;
        for (const cloudsim::CloudAddress& cloud : sim_->clouds())
            all.push_back({.name = cloud.name,
                .kind = cloud.kind,
                .endpoint = cloud.endpoint,
                .region = cloud.region,
                .project = cloud.project,
                .api_key = cloud.api_key,
                .access_key_id = cloud.access_key_id,
                .secret_access_key = cloud.secret_access_key,
                .session_token = {},
                .compartment = cloud.compartment,
                .service = cloud.service,
                .models = cloud.models});
        return all;
    }

private:
    SimulatedClouds() = default;
    void on_core(const std::function<void()>& work) {
        std::promise<void> done;
        core_.post([&] {
            work();
            done.set_value();
        });
        done.get_future().wait();
    }

    Core core_{2000};
    std::unique_ptr<cloudsim::Cloudsim> sim_;
    std::thread thread_;
};

// The same key at every start, so that what was set up with it goes on working.
Result<std::string> client_key(const std::filesystem::path& data) {
    const std::filesystem::path path = data / "client.key";
    std::ifstream existing(path);
    std::string key;
    if (std::getline(existing, key) && key.size() >= 16) return key;
    key = auth::new_secret().reveal();
    const int made = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const std::string line = key + "\n";
    const bool written =
        made >= 0 && ::write(made, line.data(), line.size()) == static_cast<ssize_t>(line.size());
    if (made >= 0) ::close(made);
    if (!written) return fail(ErrorCode::kIo, fmt::format("cannot write '{}'", path.string()));
    return key;
}

Status write_private(const std::filesystem::path& path, std::string_view text) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool written =
        file >= 0 && ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (file >= 0) ::close(file);
    if (!written) return fail(ErrorCode::kIo, fmt::format("cannot write '{}'", path.string()));
    return {};
}

void tell(const Host& host, const std::string& key, const config::Settings& settings,
    const std::string& control_url) {
    const std::string& model = settings.models.front().id.str();
    fmt::print(
        "Entrepot is ready.\n\n  clients   {}/v1\n  key       {}\n  admin     {}\n  token     {}\n",
        host.data_url(), key, host.admin_url(), host.admin_token().reveal());
    if (!control_url.empty())
        fmt::print("  clouds    simulated; their controls: {}\n", control_url);
    fmt::print("\n  models    ");
    for (std::size_t i = 0; i < settings.models.size(); ++i)
        fmt::print("{}{} ({})", i == 0 ? "" : ", ", settings.models[i].id.view(),
            settings.models[i].offers.size());
    fmt::print(
        "\n            (how many clouds sell it)\n\nTry:\n\ncurl -i {}/v1/chat/completions -H "
        "'authorization: "
        "Bearer {}' -H 'content-type: application/json' -d '{{\"model\":\"{}\",\"max_tokens\":64,"
        "\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n\nCtrl-C stops it.\n",
        host.data_url(), key, model);
    std::fflush(stdout);
}

void tell_json(const Host& host, const std::string& key) {
    std::string line;
    json::Writer(line)
        .begin_object()
        .member("data_url", host.data_url())
        .member("admin_url", host.admin_url())
        .member("client_key", key)
        .member("admin_token", host.admin_token().reveal())
        .end_object();
    write_output(line + "\n");
}

Result<int> run_gateway(const Arguments& arguments, control::ChangeWatch& watch) {
    DevOptions options;
    options.port = 4100;
    if (const std::string_view port = arguments.get("--port"); !port.empty()) {
        const auto [end, error] =
            std::from_chars(port.data(), port.data() + port.size(), options.port);
        if (error != std::errc() || end != port.data() + port.size() || options.port == 65'535)
            return fail(ErrorCode::kInvalidField,
                fmt::format("--port takes a number from 0 to 65534, '{}' is none", excerpt(port)));
    }

    std::filesystem::path data =
        arguments.has("--data") ? std::filesystem::path(arguments.get("--data")) : "var/dev";
    data = std::filesystem::absolute(data).lexically_normal();
    std::error_code failed;
    if (std::filesystem::create_directories(data, failed)) ::chmod(data.c_str(), 0700);
    if (failed)
        return fail(
            ErrorCode::kIo, fmt::format("cannot make '{}': {}", data.string(), failed.message()));

    const bool is_real = arguments.has("--real");
    std::unique_ptr<SimulatedClouds> simulated;
    if (is_real) {
        options.clouds = clouds_of_environment();
        if (options.clouds.empty())
            return fail(ErrorCode::kBadConfiguration,
                "--real found no supplier in the environment. Set OPENAI_API_KEY, "
                "ANTHROPIC_API_KEY, "
                "AWS_REGION with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or "
                "AWS_BEARER_TOKEN_BEDROCK), or AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and "
                "AZURE_OPENAI_DEPLOYMENT; without --real the clouds are simulated.");
    } else {
        ENTREPOT_TRY(simulated, SimulatedClouds::start());
        options.clouds = simulated->clouds();
    }
    options.budget_per_day = arguments.has("--budget") ? std::string(arguments.get("--budget"))
        : is_real                                      ? "1.00"
                                                       : "1000.00";
    ENTREPOT_TRY(options.client_key, client_key(data));
    ENTREPOT_TRY(const std::string text, dev_config(options));
    const std::filesystem::path file = data / "entrepot.yaml";
    ENTREPOT_TRY_DO(write_private(file, text));
    config::Loaded loaded = config::load_file(file.string());
    if (!loaded.ok())
        return fail(ErrorCode::kBadConfiguration, config::format_problems(loaded.problems));
    loaded.settings->log_level = "warning";
    ENTREPOT_TRY(const auto host, Host::start(*loaded.settings));
    if (arguments.has("--json")) {
        tell_json(*host, options.client_key);
    } else {
        tell(*host, options.client_key, *loaded.settings,
            simulated ? simulated->control_url() : std::string());
    }
    host->run(watch, {});
    return kOk;
}

int run_dev(const Arguments& arguments) {
    const auto watch = control::ChangeWatch::open({});
    if (!watch) return report(watch.error());
    const auto code = run_gateway(arguments, **watch);
    return code ? *code : report(code.error());
}

}  // namespace

std::vector<Command> dev_commands() {
    return {{"dev",
        "A gateway without configuration: loopback, embedded store, simulated clouds; prints a "
        "curl "
        "line that works.",
        {{"--data", "DIR", "Where its books live (var/dev)."},
            {"--port", "P", "For clients; the admin plane has the next one (4100). 0: free ones."},
            {"--real", "",
                "The suppliers whose keys are in the environment, instead of simulated ones."},
            {"--budget", "AMOUNT", "The key's, per day (1.00 with --real, else 1000.00)."},
            {"--json", "",
                "One line of JSON when ready: data_url, admin_url, client_key, admin_token."}},
        run_dev}};
}

}  // namespace entrepot::cli
