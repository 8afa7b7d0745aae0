/* SPDX-License-Identifier: MIT */
/* Inside the cpu backend: a compiled program and one execution of it. */
#pragma once
#include <stdalign.h>
#include <stdatomic.h>

#include "backends/cpu/cpu.h"

enum cpu_lead { CPU_LEAD_FIXED, CPU_LEAD_TOKENS, CPU_LEAD_ROWS };

struct cpu_value {
    struct tensor tensor; /* leading dimension and bound data are set by each execution */
    enum seg_role role;
    enum cpu_lead lead;
    const char *name;
    int bound; /* execution number of the last binding */
};

/* Next item of a step's work, in a cache line of its own. */
struct cpu_counter {
    alignas(CPU_ALIGN) atomic_size_t next;
};

struct cpu_step {
    cpu_op_fn *run;
    struct op_call call; /* own copy; in/out types as at compile time */
    const struct tensor **in, **out;
    const struct prepared *prepared;
    struct prepared *owned; /* prepared by compile itself, or NULL */
};

struct program {
    struct cpu_backend *be;
    struct arena arena;
    struct cpu_value *values;
    int n_values;
    struct cpu_step *steps;
    int n_steps;
    struct cpu_counter *counters; /* [n_steps], zero when an execution begins */
    int tokens_max, rows_max, seqs_max;
    bool solo;      /* too little work to wake the others for */
    bool uses_step; /* some value or operator depends on the step's tables */
    bool uses_kv;
    bool uses_state;  /* some operator keeps something in the sequences' states */
    int n_bound_want; /* values with role input or output */
    int n_runs;
    char *temps; /* all SEG_TEMP values */
    size_t temp_bytes;
};

struct cpu_run {
    struct cpu_backend *be;
    struct program *prog;
    const struct step *step;
    struct err *err;
    status st; /* written once, by whoever wins `claimed` */
    atomic_flag claimed;
    alignas(64) atomic_int failed_at; /* first step that failed, INT_MAX if none */
};

/* Offsets of the temporaries in one block; *bytes is its size. offset: [n_values], -1 where the
 * value is no temporary. */
status cpu_plan_temps(const struct segment *seg, int64_t *offset, size_t *bytes, struct err *err);

/* Deep copy of what an attribute struct points to. False when out of memory. */
bool cpu_attrs_copy(struct arena *a, enum op_kind op, union op_attrs *attr);

status cpu_compile(struct backend *be, const struct segment *seg, struct program **out,
                   struct err *err);
status cpu_execute(struct backend *be, struct program *prog, const struct step *step,
                   struct err *err);
void cpu_discard(struct backend *be, struct program *prog);
