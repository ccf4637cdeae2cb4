#include "canon/field_names.h"

#include <fmt/format.h>

namespace entrepot::canon {
namespace {

constexpr std::string_view kOdd = ".[]%";

Status refuse_odd(const std::vector<Extra>& extras) {
    for (const Extra& extra : extras)
        if (extra.path.find('%') != std::string::npos)
            return fail_field(ErrorCode::kInvalidField, extra.path,
                fmt::format("'{}' is no field: no field's name has a dot, a bracket or a percent "
                            "sign; leave it out",
                    extra.path));
    return {};
}

Status refuse_odd(const std::vector<Item>& items) {
    for (const Item& item : items) {
        ENTREPOT_TRY_DO(refuse_odd(item.extras));
        if (const auto* result = std::get_if<ToolResult>(&item.body))
            ENTREPOT_TRY_DO(refuse_odd(result->content));
    }
    return {};
}

}  // namespace

std::string path_step(std::string_view name) {
    std::string step(name);
    for (std::size_t at = step.find_first_of(kOdd); at != std::string::npos;
        at = step.find_first_of(kOdd, at + 3))
        step.replace(at, 1, fmt::format("%{:02X}", static_cast<unsigned char>(step[at])));
    return step;
}

Status refuse_odd_names(const Request& request) {
    ENTREPOT_TRY_DO(refuse_odd(request.extras));
    for (const Tool& tool : request.tools) ENTREPOT_TRY_DO(refuse_odd(tool.extras));
    return refuse_odd(request.items);
}

}  // namespace entrepot::canon
