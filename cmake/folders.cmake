# SPDX-License-Identifier: MIT
# One static library cupola_<folder> per folder, from every .c below it; the link edges are the include
# table of ARCHITECTURE.md. A folder without sources is an INTERFACE library with the same name.

set(CUPOLA_FOLDERS base ir kernels backends tokenizer models engine server api cli)

set(CUPOLA_USES_base Threads::Threads m dep_cjson dep_crypto ${CMAKE_DL_LIBS})
set(CUPOLA_USES_ir cupola_base)
set(CUPOLA_USES_kernels cupola_base m)
set(CUPOLA_USES_backends cupola_base cupola_ir cupola_kernels dep_openblas)
set(CUPOLA_USES_tokenizer cupola_base dep_pcre2 dep_utf8proc)
set(CUPOLA_USES_models cupola_base)
set(CUPOLA_USES_engine cupola_base cupola_ir cupola_backends cupola_models dep_protobuf_c)
set(CUPOLA_USES_server cupola_base cupola_models cupola_tokenizer cupola_engine dep_microhttpd dep_curl)
set(CUPOLA_USES_api cupola_base cupola_models cupola_tokenizer cupola_engine)
set(CUPOLA_USES_cli cupola_base cupola_models cupola_tokenizer cupola_engine cupola_server cupola_api)

# ---- generated headers ----

# cupola_version.h: rewritten only when the version or the commit changes.
set(CUPOLA_VERSION_HEADER ${PROJECT_BINARY_DIR}/generated/cupola_version.h)
add_custom_target(cupola_version ALL
    COMMAND ${CMAKE_COMMAND} -DVERSION=${PROJECT_VERSION} -DSOURCE=${PROJECT_SOURCE_DIR}
            -DGIT=${GIT_EXECUTABLE} -DOUT=${CUPOLA_VERSION_HEADER}
            -P ${PROJECT_SOURCE_DIR}/cmake/version.cmake
    BYPRODUCTS ${CUPOLA_VERSION_HEADER}
    COMMENT "Version header" VERBATIM)

# engine/onnx/onnx.proto -> generated/engine/onnx/onnx.pb-c.{c,h}, without our warnings.
function(cupola_onnx_proto)
    set(proto engine/onnx/onnx.proto)
    set(stem ${PROJECT_BINARY_DIR}/generated/engine/onnx/onnx.pb-c)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${proto})
        return()
    endif()
    find_program(CUPOLA_PROTOC_C protoc-c)
    if(NOT CUPOLA_PROTOC_C)
        message(FATAL_ERROR "protoc-c not found (package protobuf-c-compiler): run tools/setup.sh")
    endif()
    add_custom_command(OUTPUT ${stem}.c ${stem}.h
        COMMAND ${CUPOLA_PROTOC_C} --proto_path=${PROJECT_SOURCE_DIR}
                --c_out=${PROJECT_BINARY_DIR}/generated ${proto}
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
        DEPENDS ${PROJECT_SOURCE_DIR}/${proto}
        COMMENT "protoc-c ${proto}" VERBATIM)
    add_library(cupola_onnx_proto STATIC ${stem}.c ${stem}.h)
    target_link_libraries(cupola_onnx_proto PUBLIC dep_protobuf_c)
    target_compile_options(cupola_onnx_proto PRIVATE -w)
endfunction()

# ---- folders ----

function(cupola_folder folder)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
    list(FILTER sources EXCLUDE REGEX "/models/[^/]+/recipe/|/cli/main\\.c$|/api/examples/")
    cupola_isa_apply(sources)
    set(target cupola_${folder})
    if(NOT sources)
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE ${CUPOLA_USES_${folder}})
        return()
    endif()
    add_library(${target} STATIC ${sources})
    target_link_libraries(${target} PUBLIC ${CUPOLA_USES_${folder}})
    target_compile_options(${target} PRIVATE ${CUPOLA_WARNINGS})
    add_dependencies(${target} cupola_version)
    if(folder STREQUAL kernels)
        target_compile_options(${target} PRIVATE
            $<IF:$<CONFIG:Release>,-O3,-O2> $<$<CONFIG:Release>:-DNDEBUG>)
    endif()
endfunction()

cupola_onnx_proto()
if(TARGET cupola_onnx_proto)
    list(APPEND CUPOLA_USES_engine cupola_onnx_proto)
endif()
foreach(folder IN LISTS CUPOLA_FOLDERS)
    cupola_folder(${folder})
    list(APPEND CUPOLA_LIBRARIES cupola_${folder})
endforeach()

# ---- embedded files ----

# FILE of FOLDER becomes generated/FILE.c: `const char NAME[]`, declared by HEADER.
function(cupola_embed folder file name header)
    set(out ${PROJECT_BINARY_DIR}/generated/${file}.c)
    add_custom_command(OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -DFILE=${PROJECT_SOURCE_DIR}/${file} -DOUT=${out} -DNAME=${name}
                -DHEADER=${header} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
        DEPENDS ${PROJECT_SOURCE_DIR}/${file} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
        COMMENT "embed ${file}" VERBATIM)
    target_sources(cupola_${folder} PRIVATE ${out})
endfunction()

if(server IN_LIST CUPOLA_FOLDERS AND EXISTS ${PROJECT_SOURCE_DIR}/server/page.c)
    cupola_embed(server server/page/chat.html page_chat_html server/page.h)
endif()

# ---- the program ----

file(GLOB main_source CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/main.c)
if(main_source)
    add_executable(cupola ${main_source})
    target_link_libraries(cupola PRIVATE cupola_cli)
    target_compile_options(cupola PRIVATE ${CUPOLA_WARNINGS} -ffp-contract=off)
    add_dependencies(cupola cupola_version)
    set_target_properties(cupola PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    add_custom_command(TARGET cupola POST_BUILD
        COMMAND ${CMAKE_COMMAND} -E create_symlink cupola ${PROJECT_BINARY_DIR}/foundry VERBATIM)
endif()
