#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cloudsim/brain.h"
#include "cloudsim/cloud.h"
#include "cloudsim/control.h"
#include "cloudsim/identity.h"
#include "cloudsim/invoice.h"
#include "cloudsim/replay.h"
#include "cloudsim/served.h"
#include "net/server.h"
#include "runtime/core.h"

namespace entrepot::cloudsim {

/// What all clouds share. Owned by one core.
struct World {
    explicit World(Core& owner) : core(owner) {}

    struct Window {
        std::int64_t minute = -1;
        std::int64_t count = 0;
    };
    /// Counts a request against a quota; `remaining` below zero means refused.
    [[nodiscard]] Quota admit(
        const std::string& key, std::int64_t requests_per_minute, Instant now);

    Core& core;
    Controls controls;
    Brain brain;
    Identity identity;
    ServedList served;
    Invoices invoices;
    std::optional<Replay> replay;
    std::map<std::string, std::uint64_t> asked;  // requests per cloud/model
    std::map<std::string, Window> windows;
};

/// The listener of one cloud: reads, decides on faults, sends at the wanted pace, and writes down
/// what was served.
class Front final : public net::Handler {
public:
    Front(World& world, std::unique_ptr<Cloud> cloud) : world_(world), cloud_(std::move(cloud)) {}
    [[nodiscard]] const Cloud& cloud() const { return *cloud_; }
    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override;

private:
    struct Job;
    Co<void> replay(net::ServerRequest& request, net::ResponseWriter& response);
    Co<void> refuse(
        Refusal refusal, net::ServerRequest& request, net::ResponseWriter& response, Fault fault);
    Co<void> send_whole(Job& job, net::ServerRequest& request, net::ResponseWriter& response);
    Co<void> send_stream(Job& job, net::ServerRequest& request, net::ResponseWriter& response);
    [[nodiscard]] Task<void> pause(std::int64_t ms, net::ServerRequest& request);
    [[nodiscard]] Served entry(const net::ServerRequest& request) const;

    World& world_;
    std::unique_ptr<Cloud> cloud_;
};

/// The listener of those who issue credentials.
class IdentityFront final : public net::Handler {
public:
    explicit IdentityFront(World& world) : world_(world) {}
    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override;

private:
    World& world_;
};

/// The control plane.
class ControlFront final : public net::Handler {
public:
    explicit ControlFront(World& world) : world_(world) {}
    Co<void> handle(net::ServerRequest& request, net::ResponseWriter& response) override;

private:
    World& world_;
};

}  // namespace entrepot::cloudsim
