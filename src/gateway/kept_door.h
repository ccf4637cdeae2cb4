#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dialect/dialect.h"
#include "store/kept.h"
#include "upstream/supplier.h"

namespace entrepot::gateway {

enum class KeptAction : std::uint8_t {
    kCreate,
    kList,
    kRead,
    kChange,  ///< what is done to one: cancel, update, add to
    kRemove,
    kContent,  ///< what is in it, as its bytes
};

/// What a path that names something kept leads to.
struct KeptDoor {
    store::KeptKind kind = store::KeptKind::kResponse;
    KeptAction action = KeptAction::kRead;
    upstream::KeepingStyle style = upstream::KeepingStyle::kOpenai;
    const dialect::Dialect* dialect = nullptr;
    std::string_view collection;  ///< `responses`: the path at the supplier, from its base
    std::string id;    ///< decoded, as the supplier names it; empty for the collection itself
    std::string rest;  ///< behind the id, as to be sent: `/cancel`
};

/// The door of that path; `method` empty: of any. Nothing: the path names nothing kept, or not
/// with that method.
[[nodiscard]] std::optional<KeptDoor> find_kept_door(
    std::string_view path, std::string_view method);

/// The methods that a path takes, for words: `GET or DELETE`. Empty: it names nothing kept.
[[nodiscard]] std::string kept_methods(std::string_view path);

/// The collection of that style which a path below its base lies in (`/files/x`: `files`), or
/// empty: what the gateway keeps book of.
[[nodiscard]] std::string_view kept_collection_of(
    upstream::KeepingStyle style, std::string_view path);

}  // namespace entrepot::gateway
