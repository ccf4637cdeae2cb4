#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "canon/usage.h"

namespace entrepot::cloudsim {

/// One request that was answered, as the books of a supplier would have it.
struct Served {
    std::uint64_t n = 0;
    std::string cloud;
    std::string model;
    std::string id;
    std::string exchange;
    std::string idempotency_key;
    int status = 200;
    bool is_stream = false;
    std::string fault = "none";
    canon::Usage usage;
    std::int64_t thoughts = 0;  ///< of earlier answers that the request brought back
    bool reported = false;      ///< the usage left this process
    bool completed = false;     ///< the answer left whole
    bool client_gone = false;
    std::int64_t chunks = 0;  ///< events sent of a stream
};

/// What was served, in order; the oldest half goes when there are too many.
class ServedList {
public:
    [[nodiscard]] std::shared_ptr<Served> add(Served served);
    void clear() { list_.clear(); }
    /// One JSON object a line.
    [[nodiscard]] std::string to_ndjson() const;

private:
    std::vector<std::shared_ptr<Served>> list_;
    std::uint64_t n_ = 0;
};

}  // namespace entrepot::cloudsim
