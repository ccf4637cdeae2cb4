#pragma once

#include <string>
#include <string_view>

namespace entrepot::catalog {

/// What an id of Google's Vertex AI names: a model of a publisher, or what was tuned there.
struct PublisherModel {
    std::string publisher;  ///< as its paths spell it (`google`, `meta`); empty: an endpoint
    std::string model;      ///< under that publisher; or `endpoints/1234567890`
    friend bool operator==(const PublisherModel&, const PublisherModel&) = default;
};

/// Reads `publishers/meta/models/M`, `meta/M`, `endpoints/N`, and a bare `M`, whose publisher is
/// known by the beginning of its name; a bare name of nobody's is Google's.
[[nodiscard]] PublisherModel publisher_model(std::string_view id);

}  // namespace entrepot::catalog
