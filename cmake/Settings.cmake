# Compiler flags, sanitizers and the precompiled header, the same for every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON) # __int128
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)

option(ENTREPOT_TESTS "Build the tests" ON)
option(ENTREPOT_BENCHMARKS "Build the micro benchmarks" OFF)
option(ENTREPOT_FUZZERS "Build the libFuzzer targets (clang only)" OFF)
option(ENTREPOT_WERROR "Treat warnings as errors" ON)
set(ENTREPOT_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize takes them")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
    # Precompiled headers are only cached when ccache is told to be lenient about their macros.
    set(launcher ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
endif()

add_library(entrepot_settings INTERFACE)
target_include_directories(entrepot_settings INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(entrepot_settings INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast
    -Wcast-align -Woverloaded-virtual -Wno-missing-field-initializers>)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    # simdjson's on-demand parser is chosen at compile time; below AVX2 and carry-less
    # multiplication it is many times slower. Every x86-64 server CPU since 2013 has both.
    target_compile_options(entrepot_settings INTERFACE -march=x86-64-v3 -mpclmul)
endif()
if(ENTREPOT_WERROR)
    target_compile_options(entrepot_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # -fpch-preprocess lets ccache hash what a precompiled header stands for. The three warnings
    # misfire in libstdc++ 12 and in coroutine frames.
    target_compile_options(entrepot_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess
        -Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow>)
    # Misfires in std::string once everything is inlined.
    target_compile_options(entrepot_settings INTERFACE
        $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:CXX>>:-Wno-array-bounds>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # std::stable_sort of libstdc++ 12 calls what libstdc++ 12 deprecates.
    target_compile_options(entrepot_settings INTERFACE
        $<$<COMPILE_LANGUAGE:CXX>:-Wno-deprecated-declarations>)
endif()
if(ENTREPOT_SANITIZE)
    target_compile_options(entrepot_settings INTERFACE
        -fsanitize=${ENTREPOT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(entrepot_settings INTERFACE -fsanitize=${ENTREPOT_SANITIZE})
    target_compile_definitions(entrepot_settings INTERFACE ENTREPOT_SANITIZED=1)
endif()
if(ENTREPOT_FUZZERS)
    target_compile_options(entrepot_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(LLD_PROGRAM NAMES ld.lld ld.lld-19)
if(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_link_options(entrepot_settings INTERFACE -fuse-ld=lld)
endif()
