#pragma once

#include <cstdint>
#include <string>

namespace entrepot::canon {

/// What a list of models tells of one. 0 or empty: not known, and not made up.
struct ListedModel {
    std::string name;            ///< that clients use
    std::string owner;           ///< who made it, as the catalogue names them: `anthropic`
    std::int64_t created_s = 0;  ///< Unix seconds of the snapshot's day
    std::int64_t context_tokens = 0;
    std::int64_t output_tokens_max = 0;
};

}  // namespace entrepot::canon
