#include "reports/csv.h"

#include "reconcile/csv.h"

namespace entrepot::reports {

void append_safe_cell(std::string& out, std::string_view text) {
    constexpr std::string_view kFormula = "=+-@\t\r";
    if (text.empty() || kFormula.find(text.front()) == std::string_view::npos) {
        reconcile::append_csv(out, text);
        return;
    }
    reconcile::append_csv(out, "'" + std::string(text));
}

}  // namespace entrepot::reports
