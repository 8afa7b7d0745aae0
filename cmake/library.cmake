# SPDX-License-Identifier: MIT
# The C library as its users get it: libcupola.so and libcupola.a of everything below api/, with the
# symbols of api/cupola.h alone, cupola.pc, and `cmake --install` (component `library`).
include(GNUInstallDirs)

set(public_header ${PROJECT_SOURCE_DIR}/api/cupola.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${public_header})

# The header has the numbers; the project's version must be the same.
function(cupola_header_number name out)
    file(STRINGS ${public_header} line REGEX "^#define CUPOLA_${name} +[0-9]+$")
    string(REGEX REPLACE ".* ([0-9]+)$" "\\1" number "${line}")
    set(${out} ${number} PARENT_SCOPE)
endfunction()
cupola_header_number(ABI_VERSION abi)
cupola_header_number(VERSION_MAJOR major)
cupola_header_number(VERSION_MINOR minor)
cupola_header_number(VERSION_PATCH patch)
if(NOT PROJECT_VERSION STREQUAL "${major}.${minor}.${patch}")
    message(FATAL_ERROR
        "api/cupola.h says ${major}.${minor}.${patch}, CMakeLists.txt ${PROJECT_VERSION}")
endif()

# ---- shared ----

# Everything is compiled with hidden visibility; what api/cupola.h marks is seen. libcupola.so.<abi>
# is the soname.
add_library(cupola_shared SHARED $<TARGET_OBJECTS:cupola_api>)
target_link_libraries(cupola_shared PRIVATE ${CUPOLA_USES_api})
target_link_options(cupola_shared PRIVATE -Wl,--exclude-libs,ALL)
if(NOT CUPOLA_SANITIZE AND NOT CUPOLA_FUZZ)
    target_link_options(cupola_shared PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(cupola_shared PROPERTIES OUTPUT_NAME cupola SOVERSION ${abi}
    VERSION ${abi}.${PROJECT_VERSION} LINKER_LANGUAGE C)

# ---- static ----

# One object: all folders linked together, and then whatever is hidden made local, so that no name of
# ours (str_put, log_write, ...) meets one of the program's.
set(static_folders api engine models tokenizer backends kernels ir base)
foreach(folder IN LISTS static_folders)
    list(APPEND static_targets cupola_${folder})
    list(APPEND static_files $<TARGET_FILE:cupola_${folder}>)
endforeach()
list(APPEND static_targets cupola_onnx_proto)
list(APPEND static_files $<TARGET_FILE:cupola_onnx_proto>)
set(static_object ${PROJECT_BINARY_DIR}/static/cupola.o)
set(static_library ${PROJECT_BINARY_DIR}/static/libcupola.a)
set(cupola_target_flag "")
if(CMAKE_C_COMPILER_TARGET)
    set(cupola_target_flag --target=${CMAKE_C_COMPILER_TARGET})
endif()
add_custom_command(OUTPUT ${static_library}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/static
    COMMAND ${CMAKE_C_COMPILER} ${cupola_target_flag} -nostdlib -r -o ${static_object}
            -Wl,--whole-archive ${static_files} -Wl,--no-whole-archive
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${static_object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${static_library}
    COMMAND ${CMAKE_AR} crs ${static_library} ${static_object}
    DEPENDS ${static_targets}
    COMMENT "libcupola.a" VERBATIM)
add_custom_target(cupola_static ALL DEPENDS ${static_library})

# ---- pkg-config ----

# Requires.private: the modules of deps.cmake that the folders of the library link, found along
# CUPOLA_USES_*; a static link needs them, a shared one has them in the library.
set(pc_requires "")
foreach(folder IN LISTS static_folders)
    foreach(used IN LISTS CUPOLA_USES_${folder})
        if(used MATCHES "^dep_" AND CUPOLA_MODULE_${used})
            list(APPEND pc_requires ${CUPOLA_MODULE_${used}})
        endif()
    endforeach()
endforeach()
list(REMOVE_DUPLICATES pc_requires)
list(SORT pc_requires)
string(REPLACE ";" ", " pc_requires "${pc_requires}")
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
    # Up from <prefix>/<libdir>/pkgconfig: the tree may be moved.
    file(RELATIVE_PATH pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
    string(REGEX REPLACE "/$" "" pc_up ${pc_up})
    set(pc_prefix "\${pcfiledir}/${pc_up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
    set(pc_includedir ${CMAKE_INSTALL_INCLUDEDIR})
else()
    set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/cupola.pc.in ${PROJECT_BINARY_DIR}/cupola.pc @ONLY)

# ---- install ----

install(TARGETS cupola_shared
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT library)
install(FILES ${static_library} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES ${public_header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/cupola.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
