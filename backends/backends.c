/* SPDX-License-Identifier: MIT */
/* The backends of this build, best first. */
#include "backends/backend.h"

#include <string.h>

#include "backends/cpu/cpu_backend.h"

static const struct backend_ops *const backends[] = { &cpu_backend_ops };
static const char *const names[] = { "cpu", NULL };

_Static_assert(COUNT(names) == COUNT(backends) + 1, "one name per backend");

const struct backend_ops *backend_find(const char *name)
{
    for (size_t i = 0; i < COUNT(backends); i++)
        if (strcmp(name, names[i]) == 0) return backends[i];
    return NULL;
}

const char *const *backend_names(void) { return names; }
