#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dialect/dialect.h"
#include "net/message.h"

namespace entrepot::gateway {

enum class Operation : std::uint8_t {
    kGenerate,  ///< a request in, an answer out: whatever task its dialect is for
    kModels,    ///< what the key may use; below it, one by name
    kKept,      ///< something that a supplier keeps: kept_door.h has the rest
    kPass,      ///< the rest of a supplier's API: passthrough.h
};

/// As `allow` lists them.
[[nodiscard]] constexpr std::string_view methods_of(Operation operation) {
    switch (operation) {
        case Operation::kGenerate: return "POST";
        case Operation::kModels: return "GET, HEAD";
        case Operation::kKept: return "GET, POST, DELETE";
        case Operation::kPass: break;
    }
    return "GET, POST, PUT, PATCH, DELETE";
}

/// What a path leads to, and what it says.
struct Door {
    Operation operation = Operation::kGenerate;
    const dialect::Dialect* dialect = nullptr;
    std::optional<std::string> model;  ///< in the path, decoded once
    std::optional<bool> is_stream;     ///< by the path; absent: the body says it
};

/// The door of that path (as sent, without its query). Slashes too many, also at the end, are
/// forgiven: base URLs are joined that way. Nothing: no such path, or its dialect is not built in.
[[nodiscard]] std::optional<Door> find_door(std::string_view path);

/// In whose form a list of models is to be: several clients ask for it at one path, and their
/// headers tell them apart.
[[nodiscard]] const dialect::Dialect& dialect_of_list(
    const Door& door, const net::Headers& headers, std::string_view query);

/// Whether the path is that of chat completions: the door most used, found without a search.
[[nodiscard]] bool is_chat_path(std::string_view path);

/// The dialect that a client of this path is likely to understand, for errors where no door is.
[[nodiscard]] const dialect::Dialect& dialect_of_prefix(std::string_view path);

/// A few doors, `POST /v1/messages`, those that begin as the path does first: for who found none.
[[nodiscard]] std::string doors_near(std::string_view path);

}  // namespace entrepot::gateway
