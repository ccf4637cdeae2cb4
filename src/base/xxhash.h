#pragma once

// The one door to xxHash: inlined where it is used, and with the casts of C that its macros make.
#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#include <xxhash.h>
#pragma GCC diagnostic pop
