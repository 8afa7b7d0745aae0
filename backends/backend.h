/* SPDX-License-Identifier: MIT */
/* backends/: devices behind one const vtable: prepare (pack weights), compile (a segment into a
 * program), execute (no allocation). cpu is total: it takes every operator. Public header. */
#pragma once
#include "ir/ir.h"

struct backend;
struct program; /* a compiled segment; owned by whoever called compile */

/* One node's packed weights and chosen variant; owned by whoever called prepare. Concrete types
 * begin with this. */
struct prepared {
    void (*release)(struct prepared *p); /* for the backend itself */
    size_t bytes;                        /* of memory that it holds */
};

/* ---- memory ---- */

struct buffer {
    void *handle; /* device's own */
    void *host;   /* host address where the device shares memory with the host, else NULL */
    size_t size;
};

struct view {
    struct buffer *buf;
    size_t offset;
};

/* ---- what is compiled ---- */

enum seg_role { SEG_TEMP, SEG_INPUT, SEG_OUTPUT, SEG_CONST };

struct seg_value {
    const char *name;
    struct tensor_type type; /* known, but for a leading DIM_TOKENS or DIM_ROWS */
    const void *data;        /* SEG_CONST: the elements (alive as long as the program); else NULL */
    enum seg_role role;
};

struct seg_node {
    struct op_call call; /* in[].data set for constants; call.in/out are parallel to in/out below */
    const int *in, *out; /* [call.n_in], [call.n_out]: index into values, -1 = absent */
    struct prepared *prepared; /* from prepare for this node; may be NULL */
};

/* A list of nodes in execution order. Borrowed by compile; the program keeps no pointer to it but
 * to constants' data. */
struct segment {
    const struct seg_value *values;
    int n_values;
    const struct seg_node *nodes;
    int n_nodes;
    int tokens_max; /* bound of DIM_TOKENS */
    int rows_max;   /* bound of DIM_ROWS */
    int seqs_max;   /* bound of step.n_seqs */
};

/* ---- KV cache: laid out by the runtime, read and written by SeqAttention ---- */

/* Layers that look back equally far share pages and page tables. */
struct kv_group {
    size_t offset; /* bytes from the start of the buffer to page 0; pages follow one another */
    size_t page_bytes;
    int n_pages;
};

/* Where one layer's keys and values lie inside each page of its group: K [n_heads, page_tokens]
 * rows of kv_row_bytes at k_offset, V likewise at v_offset. */
struct kv_layer {
    int n_heads, head_dim;
    size_t k_offset, v_offset; /* bytes from the start of a page */
    int group;
    enum dtype dtype; /* DT_F32, DT_F16, DT_BF16; quantised, with scales that the graph has: DT_I8,
                         or DT_U8: two numbers of 4 bits a byte, low first, stored as q + 8 */
};

/* Bytes of a row of head_dim elements in a cache of such a type. */
static inline size_t kv_row_bytes(enum dtype dtype, size_t head_dim)
{
    return dtype == DT_U8 ? (head_dim + 1) / 2 : head_dim * (dtype_bits(dtype) / 8);
}

struct kv_store {
    struct buffer *buf;
    int page_tokens; /* tokens a page holds */
    int n_layers, n_groups;
    const struct kv_layer *layers; /* [n_layers]; seqattn.layer indexes it */
    const struct kv_group *groups; /* [n_groups] */
};

/* ---- one step ---- */

/* One sequence's part of a step. Tokens [first, first + n_tokens) of the step are its positions
 * n_past … n_past + n_tokens - 1. */
struct step_seq {
    int32_t first, n_tokens, n_past;
    int32_t rope_len; /* total length that decides between short and long rotary tables */
    /* Page tables: in group g, positions [i*page_tokens, …) lie in page pages[g*pages_stride + i],
     * for n_past + n_tokens positions; -1 where no token of the step looks. */
    const int32_t *pages;
    size_t pages_stride;
    const struct buffer *state; /* f32: what convolutions and recurrences carry from step to step,
                                   each layer's from its state_offset on; zeros before position 0;
                                   read and written. NULL where no layer has any */
};

/* A tensor bound to a SEG_INPUT or SEG_OUTPUT value for this execution. */
struct binding {
    int value; /* index into segment.values */
    struct tensor
        tensor; /* known type (equal to the value's but for the leading symbol); host data */
};

struct step {
    int32_t n_tokens, n_seqs, n_rows;
    const struct step_seq *seqs; /* [n_seqs], first ascending, together all tokens */
    const int32_t *rows; /* [n_rows] indices of tokens whose logits are asked for, ascending */
    const struct kv_store *kv;      /* NULL for segments without SeqAttention */
    const struct binding *bindings; /* [n_bindings]: every SEG_INPUT and SEG_OUTPUT */
    int n_bindings;
};

/* ---- the vtable ---- */

struct backend_config {
    int n_threads;         /* 0 = one per CPU of this process */
    const char *isa;       /* cap of the CPU kernels ("scalar", "avx2", …); NULL = native */
    const char *precision; /* "strict": block-quantised layers in fp32 from dequantised weights;
                              NULL = as the file's accuracy_level */
};

struct backend_ops {
    const char *name;
    status (*open)(struct backend **out, const struct backend_config *cfg, struct err *err);
    void (*close)(struct backend *be);
    status (*alloc)(struct backend *be, size_t size, struct buffer *out,
                    struct err *err); /* zeroed, 64-byte aligned */
    void (*free)(struct backend *be, struct buffer *buf);
    status (*write)(struct backend *be, struct view dst, const void *src, size_t n,
                    struct err *err);
    status (*read)(struct backend *be, void *dst, struct view src, size_t n, struct err *err);
    /* Whether this call (types, attributes, constants) can run here. */
    bool (*supports)(const struct backend *be, const struct op_call *call);
    /* Picks the variant and packs constant inputs; *out may be NULL when nothing is to be kept.
     * What is packed is told to call->packed as soon as it is, so that a large constant's source
     * need not be in memory whole. */
    status (*prepare)(struct backend *be, const struct op_call *call, struct prepared **out,
                      struct err *err);
    void (*release)(struct backend *be, struct prepared *p); /* accepts NULL */
    status (*compile)(struct backend *be, const struct segment *seg, struct program **out,
                      struct err *err);
    /* Runs the program. Allocates nothing. Run-time shapes are checked before a kernel runs. */
    status (*execute)(struct backend *be, struct program *prog, const struct step *step,
                      struct err *err);
    status (*sync)(struct backend *be, struct err *err);
    void (*discard)(struct backend *be, struct program *prog); /* accepts NULL */
};

/* Every device's handle begins with this. */
struct backend {
    const struct backend_ops *ops;
};

/* The vtable of "cpu", "cuda", "opencl"; NULL when not built in. */
const struct backend_ops *backend_find(const char *name);
/* Names of what is built in, best first, NULL-terminated. */
const char *const *backend_names(void);

/* ---- looking inside the cpu backend ---- */

/* Appends every kernel slot and variant, what it needs, and which one would be picked under the cap
 * `isa` (NULL = native): a table, or one JSON object a line. */
status backend_kernels_print(const char *isa, bool json, struct str *out, struct err *err);
/* Appends the names of the CPU features kernels may use here, under the cap. */
status backend_isa_print(const char *isa, struct str *out, struct err *err);

/* What the machine can do with nothing in the way, all threads together. */
struct backend_roofline {
    double read_bytes_per_s, f32_flops, int8_ops;
};
/* Probes with n_threads (0 = one per CPU) kernels under the cap; takes about `seconds`. */
status backend_roofline(const char *isa, int n_threads, double seconds,
                        struct backend_roofline *out, struct err *err);

/* ---- decorators: a backend around a backend, through the vtable alone ---- */

/* Both run a segment as programs of one node each, without what the backend would fuse. Closing one
 * closes what is within it; on failure that stays with the caller. */

/* Takes the time of every node. */
status backend_trace_wrap(struct backend **out, struct backend *inner, struct err *err);
/* Appends what was counted since the last call: runs, time, bytes and operations by operator and by
 * node, and the share of the roofline that they reach; a table or JSON lines. ST_INVALID when `be`
 * is no trace. */
status backend_trace_print(struct backend *be, const struct backend_roofline *roof, bool json,
                           struct str *out, struct err *err);
/* Runs every node on the reference too, on the same inputs, and compares the outputs: execute fails
 * with the first node that differs. What lies in buffers (the KV cache) must have a host address.
 * Takes over both. */
status backend_mirror_wrap(struct backend **out, struct backend *inner, struct backend *reference,
                           struct err *err);
/* Appends the nodes run and the largest difference by operator, and begins anew. ST_INVALID when
 * `be` is no mirror. */
status backend_mirror_print(struct backend *be, bool json, struct str *out, struct err *err);
