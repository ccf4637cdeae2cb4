#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/core.h"

namespace entrepot::cloudsim {

struct Options {
    /// Where to listen. Port 0 takes free ports; another port is the control plane's, and the
    /// clouds have the next ones in the order of `Cloudsim::clouds()`.
    std::string listen = "127.0.0.1:0";
    /// A file of recorded exchanges to answer from, in place of invented answers; empty for none.
    std::string replay_file;
};

/// How to reach one simulated cloud: what a `clouds:` entry of the configuration needs.
struct CloudAddress {
    std::string name;  ///< openai, openai_compatible, azure, anthropic, bedrock, gemini, vertex,
                       ///< cohere, oci, bedrock_mantle
    std::string kind;  ///< the same; the kind of the configuration
    std::string endpoint;  ///< http://127.0.0.1:PORT, with /v1 for the OpenAI kinds
    std::string api_key;   ///< also Bedrock's bearer token
    std::string region;
    std::string project;        ///< Vertex
    std::string compartment;    ///< OCI
    std::string service;        ///< Bedrock, where it is not the usual one
    std::string access_key_id;  ///< Bedrock
    std::string secret_access_key;
    std::vector<std::string> models;  ///< ids that exist there; others are the cloud's 404
};

/// Simulated clouds on loopback ports, served by one core.
class Cloudsim {
public:
    /// Binds and begins to accept on `core`. Errors: kBadConfiguration, kIo.
    [[nodiscard]] static Result<std::unique_ptr<Cloudsim>> start(
        Core& core, const Options& options);
    ~Cloudsim();

    [[nodiscard]] const std::vector<CloudAddress>& clouds() const;
    [[nodiscard]] const std::string& control_url() const;
    /// One line:
    /// {"control_url","identity_url","clouds":{NAME:{"kind","endpoint","api_key",...,"models"}}}.
    [[nodiscard]] std::string to_json() const;
    /// Writes the bill of every seller that has something to bill into a folder that is there.
    /// Errors: kIo, kUnsupported (usage without a price).
    [[nodiscard]] Status write_invoices(const std::filesystem::path& folder) const;
    /// Stops accepting and waits until every answer has ended, at most until `deadline`. Must have
    /// returned before the object goes.
    [[nodiscard]] Co<void> drain(Deadline deadline);

private:
    struct State;
    explicit Cloudsim(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace entrepot::cloudsim
