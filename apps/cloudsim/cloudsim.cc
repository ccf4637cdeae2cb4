#include "cloudsim/cloudsim.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "cloudsim/front.h"
#include "json/writer.h"
#include "net/http_server.h"

namespace entrepot::cloudsim {
namespace {

/// `127.0.0.1:0` to its parts.
Result<std::pair<std::string, std::uint16_t>> parse_listen(std::string_view listen) {
    const std::size_t colon = listen.rfind(':');
    std::uint16_t port = 0;
    const std::string_view digits =
        colon == std::string_view::npos ? std::string_view() : listen.substr(colon + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || read.ec != std::errc() || read.ptr != digits.data() + digits.size())
        return fail(ErrorCode::kBadConfiguration,
            fmt::format("'{}' is no address; write HOST:PORT, with port 0 for free ones", listen));
    return std::pair(std::string(listen.substr(0, colon)), port);
}

}  // namespace

struct Cloudsim::State {
    explicit State(Core& core) : world(core), control(world), identity(world) {}

    World world;
    ControlFront control;
    IdentityFront identity;
    std::vector<std::unique_ptr<Front>> fronts;
    std::vector<CloudAddress> addresses;
    std::vector<std::unique_ptr<net::HttpServer>> servers;  // the first is the control plane's
    std::string control_url;
};

Cloudsim::Cloudsim(std::unique_ptr<State> state) : state_(std::move(state)) {}
Cloudsim::~Cloudsim() = default;

Result<std::unique_ptr<Cloudsim>> Cloudsim::start(Core& core, const Options& options) {
    ENTREPOT_TRY(const auto address, parse_listen(options.listen));
    auto state = std::make_unique<State>(core);
    if (!options.replay_file.empty()) {
        ENTREPOT_TRY(Replay replay, Replay::load(options.replay_file));
        state->world.replay.emplace(std::move(replay));
    }
    state->fronts.push_back(
        std::make_unique<Front>(state->world, make_openai(OpenAiKind::kOpenAi)));
    state->fronts.push_back(
        std::make_unique<Front>(state->world, make_openai(OpenAiKind::kCompatible)));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_openai(OpenAiKind::kAzure)));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_anthropic()));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_bedrock()));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_gemini()));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_vertex()));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_cohere()));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_oci()));
    state->fronts.push_back(std::make_unique<Front>(state->world, make_mantle()));

    int next = address.second;
    const auto serve = [&](net::Handler& handler) -> Result<std::string> {
        ENTREPOT_TRY(
            net::Listener listener, net::Listener::bind(fmt::format("{}:{}", address.first, next)));
        if (next != 0) ++next;
        auto server = std::make_unique<net::HttpServer>(core, std::move(listener), handler);
        ENTREPOT_TRY_DO(server->start());
        std::string url = fmt::format("http://{}:{}", address.first, server->port());
        state->servers.push_back(std::move(server));
        return url;
    };
    ENTREPOT_TRY(state->control_url, serve(state->control));
    for (const auto& front : state->fronts) {
        CloudAddress cloud = front->cloud().address();
        ENTREPOT_TRY(cloud.endpoint, serve(*front));
        if (cloud.kind.starts_with("openai")) cloud.endpoint += "/v1";
        state->addresses.push_back(std::move(cloud));
    }
    ENTREPOT_TRY(std::string identity, serve(state->identity));
    state->world.identity.set_endpoint(std::move(identity));
    return std::unique_ptr<Cloudsim>(new Cloudsim(std::move(state)));  // tidy: private constructor
}

const std::vector<CloudAddress>& Cloudsim::clouds() const { return state_->addresses; }
const std::string& Cloudsim::control_url() const { return state_->control_url; }

std::string Cloudsim::to_json() const {
    std::string out;
    json::Writer writer(out);
    writer.begin_object().member("control_url", state_->control_url);
    writer.member("identity_url", state_->world.identity.endpoint());
    writer.key("clouds").begin_object();
    for (const CloudAddress& cloud : state_->addresses) {
        writer.key(cloud.name).begin_object();
        writer.member("kind", cloud.kind).member("endpoint", cloud.endpoint);
        writer.member("api_key", cloud.api_key);
        if (!cloud.region.empty()) writer.member("region", cloud.region);
        if (!cloud.service.empty()) writer.member("service", cloud.service);
        if (!cloud.compartment.empty()) writer.member("compartment", cloud.compartment);
        if (!cloud.project.empty()) writer.member("project", cloud.project);
        if (!cloud.access_key_id.empty())
            writer.member("access_key_id", cloud.access_key_id)
                .member("secret_access_key", cloud.secret_access_key);
        writer.key("models").begin_array();
        for (const std::string& model : cloud.models) writer.string(model);
        writer.end_array().end_object();
    }
    writer.end_object().end_object();
    return out;
}

Status Cloudsim::write_invoices(const std::filesystem::path& folder) const {
    const Invoices& invoices = state_->world.invoices;
    for (const std::string& seller : invoices.sellers()) {
        ENTREPOT_TRY(const std::string bill, invoices.bill(seller));
        const std::filesystem::path path = folder / Invoices::file_of(seller);
        std::ofstream file(path, std::ios::binary);
        file << bill;
        file.close();
        if (!file)
            return fail(ErrorCode::kIo,
                fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
    }
    return {};
}

Co<void> Cloudsim::drain(Deadline deadline) {
    for (const auto& server : state_->servers) co_await server->drain(deadline);
}

}  // namespace entrepot::cloudsim
