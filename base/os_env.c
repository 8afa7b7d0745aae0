/* SPDX-License-Identifier: MIT */
/* The only reader of the environment, and the whole list of what is read. */
#include "base/os.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const os_env_names[] = {
    "HOME",     /* where the user's model store is */
    "NO_COLOR", /* set and not empty: no colours on a terminal */
};

const char *os_env(const char *name)
{
    bool listed = false;

    for (size_t i = 0; i < COUNT(os_env_names); i++)
        listed = listed || strcmp(os_env_names[i], name) == 0;
    assert(listed);
    const char *value = listed ? getenv(name) : NULL;
    return value && *value ? value : NULL;
}
