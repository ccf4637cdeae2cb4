#include "catalog/embedded.h"

// NOLINTBEGIN: the assembler copies the file; the two labels bound it.
__asm__(
    ".pushsection .rodata\n"
    ".global entrepot_catalog_begin\n"
    ".global entrepot_catalog_end\n"
    ".balign 16\n"
    "entrepot_catalog_begin:\n"
    ".incbin \"" ENTREPOT_CATALOG_DATA
    "\"\n"
    "entrepot_catalog_end:\n"
    ".byte 0\n"
    ".popsection\n");
// NOLINTEND

extern "C" {
extern const char entrepot_catalog_begin[];
extern const char entrepot_catalog_end[];
}

namespace entrepot::catalog {

std::string_view embedded_data() {
    return {entrepot_catalog_begin,
        static_cast<std::size_t>(entrepot_catalog_end - entrepot_catalog_begin)};
}

}  // namespace entrepot::catalog
