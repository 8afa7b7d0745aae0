# SPDX-License-Identifier: MIT
# Libraries, all by pkg-config. tools/setup.sh installs their packages. Adding one needs an ADR.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Python3 COMPONENTS Interpreter)
find_package(Git QUIET)

# dep_<name>: an imported target, or a clear error that names the package.
function(cupola_dep name module package)
    pkg_check_modules(dep_${name} QUIET IMPORTED_TARGET GLOBAL ${module})
    if(NOT dep_${name}_FOUND)
        message(FATAL_ERROR "${module} not found (package ${package}): run tools/setup.sh")
    endif()
    add_library(dep_${name} INTERFACE)
    target_link_libraries(dep_${name} INTERFACE PkgConfig::dep_${name})
    set(CUPOLA_MODULE_dep_${name} ${module} PARENT_SCOPE) # its name in cupola.pc
endfunction()

cupola_dep(cjson libcjson libcjson-dev)
cupola_dep(crypto libcrypto libssl-dev)
cupola_dep(protobuf_c libprotobuf-c libprotobuf-c-dev)
cupola_dep(microhttpd libmicrohttpd libmicrohttpd-dev)
cupola_dep(openblas openblas libopenblas-dev)
cupola_dep(curl libcurl libcurl4-openssl-dev)
cupola_dep(pcre2 libpcre2-8 libpcre2-dev)
cupola_dep(utf8proc libutf8proc libutf8proc-dev)
if(CUPOLA_TESTS)
    cupola_dep(cmocka cmocka libcmocka-dev)
endif()

# Device toolkits are optional: AUTO takes what is there, ON insists, OFF does not look.
function(cupola_toolkit option label found_var)
    set(found ${${found_var}})
    if(${option} STREQUAL ON AND NOT found)
        message(FATAL_ERROR "${option}=ON, but no ${label} toolkit was found")
    elseif(${option} STREQUAL OFF)
        message(STATUS "${label}: off")
    elseif(found)
        message(STATUS "${label}: toolkit found")
    else()
        message(STATUS "${label}: off (no toolkit)")
    endif()
endfunction()

find_program(CUPOLA_NVCC nvcc HINTS /usr/local/cuda/bin)
mark_as_advanced(CUPOLA_NVCC)
pkg_check_modules(CUPOLA_OCL QUIET OpenCL)
cupola_toolkit(CUPOLA_CUDA CUDA CUPOLA_NVCC)
cupola_toolkit(CUPOLA_OPENCL OpenCL CUPOLA_OCL_FOUND)
