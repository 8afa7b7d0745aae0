/* SPDX-License-Identifier: MIT */
/* Inside the cpu backend: what an operator function sees, and the table of operators. */
#pragma once
#include "backends/backend.h"
#include "backends/cpu/cpu_team.h"
#include "kernels/kernels.h"

enum { CPU_ALIGN = 64 };

struct cpu_shared;

struct cpu_backend {
    struct backend head;
    pthread_mutex_t lock; /* held while the team works, or scratch may move */
    struct cpu_team *team;
    uint32_t kern_mask; /* of the kernels that prepare, compile and execute use */
    bool strict;        /* block-quantised layers in fp32 */
    /* Scratch of the operators, grown by compile: [n_workers] private slices, then a shared one. */
    char *scratch;
    size_t worker_bytes, shared_bytes;
    /* Panels that more than one node may hold (cpu_shared.h). */
    pthread_mutex_t shared_lock;
    struct cpu_shared *shared_panels;
};

/* ---- a task: one worker's view of one step ---- */

struct cpu_run; /* one execution, shared by its workers */

struct cpu_task {
    const struct op_call *call; /* operator, attributes, node name; types as at compile time */
    const struct tensor *const
        *in; /* [call->n_in], NULL = absent; types and data of this execution */
    const struct tensor *const *out; /* [call->n_out], likewise; written through data */
    const struct prepared *prepared;
    const struct step *step;
    int worker, n_workers;
    int index;     /* of the step in its program */
    void *scratch; /* this worker's own, CPU_ALIGN-aligned */
    void *shared;  /* one for all workers */
    struct cpu_run *run;
};

/* Runs on every worker. What it checks must be checked alike by all before the first cpu_sync, and
 * a worker that fails returns: nobody waits for it after that. */
typedef void cpu_op_fn(const struct cpu_task *t);

/* Scratch an operator wants, from a call whose leading symbols are at their bounds. */
struct cpu_scratch {
    size_t worker, shared; /* bytes */
};
struct cpu_bounds {
    int n_workers, tokens_max, rows_max, seqs_max;
};
typedef status cpu_scratch_fn(const struct op_call *call, const struct prepared *p,
                              const struct cpu_bounds *b, struct cpu_scratch *out, struct err *err);
typedef status cpu_prepare_fn(struct cpu_backend *be, const struct op_call *call,
                              struct prepared **out, struct err *err);

/* What compile checks of a call, so that operator functions need not. */
enum cpu_rule {
    CPU_DTYPE = 1, /* output 0 has the element type of input 0 */
    CPU_SIZE = 2,  /* … and as many elements */
    CPU_SAME = CPU_DTYPE | CPU_SIZE,
    CPU_ALIKE = 4,    /* all inputs have the element type of input 0 */
    CPU_BOOL = 8,     /* output 0 is bool */
    CPU_ANY_OUT = 16, /* output 0 may be absent: nobody uses it */
};

struct cpu_op {
    cpu_op_fn *run; /* NULL: not here */
    unsigned n_in;  /* the first n_in inputs are there; output 0 is, too */
    unsigned rules; /* of enum cpu_rule */
    cpu_prepare_fn *prepare;
    cpu_scratch_fn *scratch;
    unsigned inplace; /* bit i: output 0 may lie on input i when they have as many bytes */
};
extern const struct cpu_op cpu_ops[OP_COUNT];

/* ---- help for operator functions (cpu_task.c) ---- */

/* Records the first error of the execution; all workers stop at the next barrier. */
void cpu_fail(const struct cpu_task *t, status st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Barrier within an operator. */
void cpu_sync(const struct cpu_task *t);

/* This worker's part of n items, cut at multiples of grain. */
struct cpu_share {
    size_t begin, end;
};
struct cpu_share cpu_share(const struct cpu_task *t, size_t n, size_t grain);

/* Work by the piece, where shares would be uneven or a worker may be held up: each item of this
 * step is given once, in ascending order. */
size_t cpu_take(const struct cpu_task *t);

static inline const struct tensor *cpu_in(const struct cpu_task *t, int i)
{
    return i < t->call->n_in ? t->in[i] : NULL;
}
static inline const struct tensor *cpu_out(const struct cpu_task *t, int i)
{
    return i < t->call->n_out ? t->out[i] : NULL;
}
/* The same of a call at compile time: NULL when absent. */
const struct tensor *cpu_call_in(const struct op_call *call, int i);

/* Elements and bytes of a tensor of this execution (its type is known). */
size_t cpu_elements(const struct tensor *x);
size_t cpu_bytes(const struct tensor *x);
size_t cpu_span(const struct tensor *x, int from, int to);
/* Axis in [0, ndim) from one that may count from the end; -1 when out of range. */
int cpu_axis(int64_t axis, int ndim);
/* Reads element i of an i32 or i64 tensor. */
int64_t cpu_int_at(const struct tensor *x, size_t i);

/* Conversion of runs between a tensor's elements and fp32; f32, f16, bf16 (else false / no-op). */
bool cpu_is_float(enum dtype dt);
/* Bytes of one element of a type of whole bytes. */
size_t cpu_size(enum dtype dt);
void cpu_to_f32(float *out, const void *base, enum dtype dt, size_t offset, size_t n);
void cpu_from_f32(void *base, enum dtype dt, size_t offset, const float *in, size_t n);

/* Row of floats: the tensor's own memory when it is f32, else converted into buf [n]. */
const float *cpu_row_f32(const struct tensor *x, size_t offset, size_t n, float *buf);

/* ---- walks over broadcast tensors ---- */

enum { CPU_WALK_MAX = 4 };

/* An index space with up to CPU_WALK_MAX operands, strides in elements (0 = broadcast). Adjacent
 * dimensions that all operands can walk as one are joined. */
struct cpu_walk {
    int n_operands, ndim;
    size_t dim[IR_DIMS_MAX];
    int64_t stride[CPU_WALK_MAX][IR_DIMS_MAX];
    size_t n; /* elements */
    size_t at, end;
};
/* A piece of the innermost dimension: operand i from offset off[i], by step[i]. `at` is its index
 * in the space (row-major). */
struct cpu_piece {
    size_t at, n;
    int64_t off[CPU_WALK_MAX], step[CPU_WALK_MAX];
};

/* Space of `shape`, no operands yet. */
void cpu_walk_init(struct cpu_walk *w, const struct tensor *shape);
/* Adds x by ONNX broadcasting; false when it does not broadcast to the space. */
bool cpu_walk_broadcast(struct cpu_walk *w, const struct tensor *x);
/* Adds an operand by strides over the space's dimensions, before joining. */
void cpu_walk_strides(struct cpu_walk *w, const int64_t *stride);
/* Joins dimensions and sets the range [begin, end) of elements to walk. */
void cpu_walk_begin(struct cpu_walk *w, size_t begin, size_t end);
/* Next piece of at most n_max elements; false at the end. */
bool cpu_walk_next(struct cpu_walk *w, size_t n_max, struct cpu_piece *p);
