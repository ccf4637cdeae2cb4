# Debian 12's packages, each behind one target name; tools/setup installs them.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(fmt REQUIRED)
find_package(simdjson REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(date REQUIRED) # Howard Hinnant's time zones: libstdc++ 12 has none
if(ENTREPOT_TESTS)
    find_package(GTest REQUIRED)
endif()
if(ENTREPOT_BENCHMARKS)
    find_package(benchmark REQUIRED)
endif()

# llhttp comes as generated C in node-llhttp; it is compiled here, once.
set(LLHTTP_ROOT /usr/share/llhttp)
add_library(llhttp STATIC ${LLHTTP_ROOT}/llhttp.c ${LLHTTP_ROOT}/http.c ${LLHTTP_ROOT}/api.c)
target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
target_compile_options(llhttp PRIVATE -O2 -w)
target_compile_definitions(llhttp PUBLIC LLHTTP_STRICT_MODE=1)

# Debian's libnghttp2-dev has no CMake files. The options that bound floods came with its security
# updates (1.52.0-1+deb12u2).
find_path(NGHTTP2_INCLUDE_DIR nghttp2/nghttp2.h REQUIRED)
find_library(NGHTTP2_LIBRARY nghttp2 REQUIRED)
file(STRINGS ${NGHTTP2_INCLUDE_DIR}/nghttp2/nghttp2.h nghttp2_bounds
    REGEX "nghttp2_option_set_max_continuations")
if(NOT nghttp2_bounds)
    message(FATAL_ERROR "libnghttp2-dev is older than 1.52.0-1+deb12u2; run apt-get update and "
        "apt-get install libnghttp2-dev")
endif()
add_library(nghttp2 INTERFACE)
target_include_directories(nghttp2 SYSTEM INTERFACE ${NGHTTP2_INCLUDE_DIR})
target_link_libraries(nghttp2 INTERFACE ${NGHTTP2_LIBRARY})

add_library(entrepot_asio INTERFACE)
target_compile_definitions(entrepot_asio INTERFACE
    BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_SEPARATE_COMPILATION
    BOOST_ASIO_NO_TS_EXECUTORS
    BOOST_ASIO_DISABLE_AWAITABLE_FRAME_RECYCLING) # its aligned_alloc misses malloc's thread cache
target_link_libraries(entrepot_asio INTERFACE Threads::Threads OpenSSL::SSL OpenSSL::Crypto)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 takes Asio's pair of operator new and delete of a coroutine frame for two different
    # ones. TSan does not model Asio's fences, which nothing here needs: an io_context stays on its
    # thread, and threads meet under a lock.
    target_compile_options(entrepot_asio INTERFACE -Wno-mismatched-new-delete -Wno-tsan)
endif()

# The allocator of the program that ships: a request makes some twenty small allocations, and the C
# library's costs several times as much for blocks above 1 KiB, which coroutine frames are.
# Sanitizers bring their own.
find_package(mimalloc REQUIRED)
add_library(entrepot_allocator INTERFACE)
if(NOT ENTREPOT_SANITIZE)
    target_link_libraries(entrepot_allocator INTERFACE mimalloc)
endif()
