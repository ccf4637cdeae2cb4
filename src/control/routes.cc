#include "control/routes.h"

#include <fmt/format.h>

namespace entrepot::control {

Result<std::filesystem::path> checkpointed(Backend& backend) {
    return ask<Result<std::filesystem::path>>(
        backend, [](store::Books& books) -> Result<std::filesystem::path> {
            ENTREPOT_TRY_DO(books.checkpoint());
            return books.folder();
        });
}

Result<json::Document> object_of(const ApiCall& call, std::string_view example) {
    ENTREPOT_TRY(json::Document document, json::Document::parse(std::string(call.body)));
    if (document.root().is_object()) return document;
    return fail(ErrorCode::kBadRequest, fmt::format("The body must be an object: {}", example));
}

}  // namespace entrepot::control
