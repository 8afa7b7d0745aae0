# SPDX-License-Identifier: MIT
# ISA flags come from the file suffix only: the baseline is x86-64-v2 (or plain armv8-a), and a file
# named *_avx2.c may use AVX2. No other place adds an ISA flag.

set(isa_avx2 -mavx2 -mfma -mf16c)
set(isa_avx512 ${isa_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)

# suffix -> flags, for the processor that the suffix belongs to
set(CUPOLA_ISA_X86 avx2 avx512 avx512vnni avx512bf16 avxvnni amx)
set(CUPOLA_ISA_FLAGS_avx2 ${isa_avx2})
set(CUPOLA_ISA_FLAGS_avx512 ${isa_avx512})
set(CUPOLA_ISA_FLAGS_avx512vnni ${isa_avx512} -mavx512vnni)
set(CUPOLA_ISA_FLAGS_avx512bf16 ${isa_avx512} -mavx512bf16)
set(CUPOLA_ISA_FLAGS_avxvnni ${isa_avx2} -mavxvnni)
set(CUPOLA_ISA_FLAGS_amx ${isa_avx512} -mavx512vnni -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)
set(CUPOLA_ISA_ARM64 neon neondot)
set(CUPOLA_ISA_FLAGS_neon "")
set(CUPOLA_ISA_FLAGS_neondot -march=armv8.2-a+dotprod)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(CUPOLA_ISA_HERE ${CUPOLA_ISA_X86})
    set(CUPOLA_ISA_ELSEWHERE ${CUPOLA_ISA_ARM64})
    add_compile_options(-march=x86-64-v2)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(CUPOLA_ISA_HERE ${CUPOLA_ISA_ARM64})
    set(CUPOLA_ISA_ELSEWHERE ${CUPOLA_ISA_X86})
else()
    set(CUPOLA_ISA_HERE "")
    set(CUPOLA_ISA_ELSEWHERE ${CUPOLA_ISA_X86} ${CUPOLA_ISA_ARM64})
endif()

# Drops from the list `files_var` what belongs to another processor, and gives each remaining file its
# flags. Contraction (a*b+c in one rounding) is allowed in ISA files only, so that baseline results are
function(cupola_isa_apply files_var)
    set(kept "")
    foreach(file IN LISTS ${files_var})
        get_filename_component(stem ${file} NAME_WE)
        set(suffix "")
        if(stem MATCHES "_([a-z0-9]+)$")
            set(suffix ${CMAKE_MATCH_1})
        endif()
        if(suffix AND suffix IN_LIST CUPOLA_ISA_ELSEWHERE)
            continue()
        elseif(suffix AND suffix IN_LIST CUPOLA_ISA_HERE)
            set(flags ${CUPOLA_ISA_FLAGS_${suffix}} -ffp-contract=fast)
        else()
            set(flags -ffp-contract=off)
        endif()
        set_property(SOURCE ${file} PROPERTY COMPILE_OPTIONS ${flags})
        list(APPEND kept ${file})
    endforeach()
    set(${files_var} ${kept} PARENT_SCOPE)
endfunction()
