# entrepot_library(NAME ledger DEPS base ... LIBS fmt::fmt ...): src/<NAME> as a library, its
# *_test.cc as one test program, each *_bench.cc as a benchmark, each *_fuzz.cc as a fuzzer. DEPS
# name our own libraries.
# NAME may hold a slash (dialect/openai_chat); the target is entrepot_<NAME with underscores>.

set(PCH_HEADERS <algorithm> <array> <charconv> <chrono> <cstdint> <cstring> <expected> <functional>
    <map> <memory> <optional> <span> <string> <string_view> <unordered_map> <utility> <variant>
    <vector> <fmt/format.h>)
file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "")
add_library(entrepot_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cc)
target_link_libraries(entrepot_pch PUBLIC entrepot_settings fmt::fmt)
target_precompile_headers(entrepot_pch PRIVATE ${PCH_HEADERS})

function(entrepot_target_name out name)
    string(REPLACE "/" "_" flat ${name})
    set(${out} entrepot_${flat} PARENT_SCOPE)
endfunction()

# Each *_<kind>.cc of the folder as a program of its own, linked with what follows; the global
# property ENTREPOT_<kind> names them all.
function(entrepot_programs kind)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_${kind}.cc)
    foreach(source IN LISTS sources)
        get_filename_component(stem ${source} NAME_WE)
        add_executable(${stem} ${source})
        target_link_libraries(${stem} PRIVATE ${ARGN})
        set_property(GLOBAL APPEND PROPERTY ENTREPOT_${kind} ${stem})
    endforeach()
endfunction()

function(entrepot_library)
    cmake_parse_arguments(arg "ASIO;NO_PCH" "NAME" "DEPS;LIBS;TEST_DEPS" ${ARGN})
    entrepot_target_name(target ${arg_NAME})
    set(dir ${CMAKE_CURRENT_SOURCE_DIR})
    file(GLOB all CONFIGURE_DEPENDS ${dir}/*.cc)
    set(sources ${all})
    list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz)\\.cc$")
    set(deps)
    foreach(dep IN LISTS arg_DEPS)
        entrepot_target_name(dep_target ${dep})
        list(APPEND deps ${dep_target})
    endforeach()
    set(test_deps)
    foreach(dep IN LISTS arg_TEST_DEPS)
        entrepot_target_name(dep_target ${dep})
        list(APPEND test_deps ${dep_target})
    endforeach()
    if(arg_ASIO)
        list(APPEND arg_LIBS entrepot_asio)
    endif()

    if(sources)
        add_library(${target} STATIC ${sources})
        target_link_libraries(${target} PUBLIC entrepot_settings ${deps} ${arg_LIBS} fmt::fmt)
        if(NOT arg_NO_PCH AND NOT arg_ASIO)
            target_precompile_headers(${target} REUSE_FROM entrepot_pch)
        endif()
    else()
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE entrepot_settings ${deps} ${arg_LIBS} fmt::fmt)
    endif()

    set(tests ${all})
    list(FILTER tests INCLUDE REGEX "_test\\.cc$")
    if(tests AND ENTREPOT_TESTS)
        add_executable(${target}_test ${tests})
        target_link_libraries(${target}_test PRIVATE
            ${target} ${test_deps} GTest::gtest_main GTest::gmock)
        target_compile_definitions(${target}_test PRIVATE ENTREPOT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
        string(REPLACE "/" "." label ${arg_NAME})
        add_test(NAME ${label} COMMAND ${target}_test)
        set_tests_properties(${label} PROPERTIES LABELS fast TIMEOUT 300)
    endif()

    if(ENTREPOT_BENCHMARKS)
        entrepot_programs(bench ${target} benchmark::benchmark_main)
    endif()
    if(ENTREPOT_FUZZERS)
        entrepot_programs(fuzz ${target} -fsanitize=fuzzer)
    endif()
endfunction()
