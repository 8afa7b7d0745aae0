/* SPDX-License-Identifier: MIT */
/* Plain weights packed once for all nodes of a backend that read them: a linear layer and the
 * embedding that is its transpose. They are known by where they lie and how, which holds for as
 * long as anybody has them: constants stay where they are while they are read. */
#pragma once
#include "backends/cpu/cpu.h"

struct cpu_shared {
    struct kern_plain_source src;
    char *panels;
    size_t holders;
    struct cpu_backend *be;
    struct cpu_shared *next;
};

/* The panels of such weights with the caller as one holder more, NULL when nobody has any. */
struct cpu_shared *cpu_shared_find(struct cpu_backend *be, const struct kern_plain_source *src);
/* Takes over `panels`, the caller being their only holder; NULL without memory (the panels are the
 * caller's still). The caller has found none, and holds be->lock since. */
struct cpu_shared *cpu_shared_add(struct cpu_backend *be, const struct kern_plain_source *src,
                                  char *panels);
/* One holder less; the last one frees them. Accepts NULL. */
void cpu_shared_leave(struct cpu_shared *s);
