#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "canon/reply.h"
#include "dialect/dialect.h"
#include "json/value.h"

namespace entrepot::exchange {

/// One recorded exchange of the corpus, as far as the tests read it.
struct Exchange {
    std::string id;
    std::string provider;
    std::string fidelity;
    std::string operation;
    std::string model;  ///< asked for, where the exchange says so
    std::string path;   ///< as it was sent
    bool is_stream = false;
    int status = 0;
    std::vector<dialect::Header> headers;  ///< of the request, names in lower case
    std::string request;                   ///< JSON, empty when the source kept none
    std::vector<dialect::Header> reply_headers;
    std::string response;  ///< bytes as on the wire; `sdk` event lists are framed again
};

/// The folder of the corpus: under ENTREPOT_SHARED, else `../shared` beside the project; empty when
/// there is none.
[[nodiscard]] std::string corpus_folder();

/// The exchanges of `<name>.jsonl` with this operation, one for each reply.
[[nodiscard]] std::vector<Exchange> read_corpus(
    std::string_view name, const std::function<bool(std::string_view operation)>& wanted);

/// An event with all its fields as text, for comparing and for messages.
[[nodiscard]] std::string describe(const canon::Event& event);

/// What an answer means to its reader: texts, calls, finish reasons and usage of every choice.
[[nodiscard]] std::string meaning(const std::vector<canon::Event>& events);

/// The body of a file, or an empty string when it is not there.
[[nodiscard]] std::string read_file(const std::string& path);

}  // namespace entrepot::exchange
