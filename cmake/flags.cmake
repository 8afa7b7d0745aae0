# SPDX-License-Identifier: MIT
# Compiler flags that hold for every target: language, warnings, build types, sanitizers.

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug or Release" FORCE)
endif()

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Asserts stay on in Release (kernels/ switches them off for itself, see folders.cmake).
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")

set(CUPOLA_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wundef)
if(CUPOLA_WERROR)
    list(APPEND CUPOLA_WARNINGS -Werror)
endif()

add_compile_definitions(_GNU_SOURCE)
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)

if(CUPOLA_SANITIZE)
    add_compile_options(-fsanitize=${CUPOLA_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${CUPOLA_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL Release)
    add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    add_link_options(-Wl,-z,relro,-z,now)
endif()
if(CUPOLA_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
        message(FATAL_ERROR "CUPOLA_FUZZ needs clang (libFuzzer): use the preset `fuzz`")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(CUPOLA_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
