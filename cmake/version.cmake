# SPDX-License-Identifier: MIT
# Script (cmake -P): writes cupola_version.h when its text would change.

set(commit unknown)
if(GIT)
    execute_process(COMMAND ${GIT} -C ${SOURCE} rev-parse --short=12 HEAD
        OUTPUT_VARIABLE out ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE rc)
    if(rc EQUAL 0)
        set(commit ${out})
    endif()
endif()
set(text "/* SPDX-License-Identifier: MIT */
/* Generated: version and commit of this build. */
#pragma once

#define CUPOLA_VERSION \"${VERSION}\"
#define CUPOLA_COMMIT \"${commit}\"
")
set(old "")
if(EXISTS ${OUT})
    file(READ ${OUT} old)
endif()
if(NOT old STREQUAL text)
    file(WRITE ${OUT} "${text}")
endif()
