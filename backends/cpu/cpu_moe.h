/* SPDX-License-Identifier: MIT */
/* Mixtures of experts: what prepare keeps. */
#pragma once
#include "backends/cpu/cpu_linear.h"

enum { CPU_FC1, CPU_FC2, CPU_FC3, CPU_FCS };

/* One projection of all experts: their matrices [n][k] packed one after another, each in panels of
 * its own, so that an expert is a linear layer. */
struct cpu_experts {
    struct cpu_linear layer; /* of expert 0; bias [n_experts][n] */
    size_t n_experts;
};

struct cpu_moe {
    struct prepared head;
    struct cpu_experts fc[CPU_FCS]; /* FC3 without panels where there is none */
};

/* The layer of one expert. */
static inline struct cpu_linear cpu_expert(const struct cpu_experts *e, size_t expert)
{
    struct cpu_linear l = e->layer;

    l.panels += expert * l.n_panels * l.panel_bytes;
    if (l.bias) l.bias += expert * l.n;
    return l;
}
