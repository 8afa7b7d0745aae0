/* SPDX-License-Identifier: MIT */
/* Recorded operator cases (tests/fixtures/ops/, written by make_op_cases.py): reading them, running
 * one as a one-node segment on a backend, comparing. */
#pragma once
#include "backends/backend.h"

struct case_tensor {
    struct tensor tensor; /* dtype DT_NONE: absent */
    bool is_const;
};

struct op_case {
    const char *name;
    struct op_call call; /* types and data of inputs; types of outputs as recorded */
    const struct case_tensor *in, *out;
    float abs_tol, rel_tol;
};

struct case_file {
    struct arena arena;
    struct op_case *cases;
    size_t n;
};

/* tests/fixtures/ops/<theme>.bin; a broken file ends the test. */
void cases_open(struct case_file *f, const char *theme);
void cases_close(struct case_file *f);

/* Runs the case; outputs are compared with the recorded ones. Returns false, having printed why. */
bool case_run(struct backend *be, const struct op_case *c);

/* Runs it and gives the outputs' bytes: out[i] [size of output i], allocated in `a`. */
status case_outputs(struct backend *be, const struct op_case *c, struct arena *a, void **out,
                    struct err *err);
