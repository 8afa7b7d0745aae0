/* SPDX-License-Identifier: MIT */
/* Inside lower_decoder: what each value of the decoder stands for, and the
 * rules by which nodes are kept, rewritten or dropped. */
#pragma once
#include "engine/passes/match.h"
#include "engine/passes/passes.h"

enum low_kind {
    LOW_NONE,          /* not seen yet */
    LOW_CONST,         /* a constant */
    LOW_IDS,           /* input_ids */
    LOW_ROWS,          /* [batch, sequence, …] -> [tokens, …] */
    LOW_LAST,          /* [batch, …]: the last position of each sequence (pruned head,
                          before its Unsqueeze) */
    LOW_MASK,          /* attention_mask */
    LOW_MASK_SHAPE,    /* Shape(attention_mask) */
    LOW_MASK_LEN,      /* valid positions of each sequence */
    LOW_SEQLENS,       /* the same minus one: GroupQueryAttention's seqlens_k */
    LOW_TOTAL,         /* total sequence length */
    LOW_LONG,          /* total > threshold */
    LOW_ROPE,          /* a rotary table that depends on LOW_LONG */
    LOW_POSITIONS,     /* position_ids, plus `offset` where the sequence is long */
    LOW_LAST_POSITION, /* the largest of them */
    LOW_OFFSET,        /* `offset` where the sequence is long, else 0 */
    LOW_TABLE,         /* rows of table_short by LOW_POSITIONS with `offset` */
    LOW_SHAPE,         /* the shape of the rows `like` */
    LOW_DERIVED,       /* computed from mask, positions and shapes in some other way */
    LOW_PAST,          /* past_key_values.N.key or .value */
    LOW_PRESENT
};

struct low_value {
    enum low_kind kind;
    int rank;     /* LOW_ROWS: rank in the imported graph */
    int64_t fold; /* LOW_ROWS: heads that the imported graph folds into its
                     sequence dimension; 1 = none */
    bool flat;    /* LOW_ROWS: [batch * sequence, …]; rank counts as if they were
                     two dimensions */
    int64_t offset;
    int like;
    int table_short, table_long; /* LOW_ROPE: constants in the new graph */
    int layer;                   /* LOW_PAST: number in the name */
    bool is_value;               /* LOW_PAST: V, not K */
};

struct lower {
    struct graph *g; /* the clone under change; value indices are those of the
                        imported graph */
    const struct graph *imported;
    const struct model_io_names *io;
    struct backend *backend; /* evaluates masks */
    struct low_value *low;   /* [n_low]: values of the imported graph */
    size_t n_low;
    struct lower_info *info;
    size_t cap_kv;
    int64_t long_threshold; /* of every If on the total length; 0 = there is none, or they differ */
};

/* Decides what node `node` becomes. ST_UNSUPPORTED naming the node when no rule
 * fits. */
status lower_node(struct lower *lo, int node, struct err *err);
/* The attention rule (lower_attention.c). */
status lower_gqa(struct lower *lo, int node, struct err *err);
/* ai.onnx Attention (lower_sdpa.c). */
status lower_attention23(struct lower *lo, int node, struct err *err);
/* An attention operator's window as a layer keeps it: 0 where it bounds nothing. */
int lower_window(int64_t window);
/* One more KV layer. ST_NOMEM. */
status lower_add_layer(struct lower *lo, const struct lower_kv *kv, enum dtype dtype,
                       struct err *err);
/* Rotary embeddings and positions (lower_rotary.c): what arithmetic on positions gives (LOW_NONE:
 * nothing known), whether a kind is of that sort; a gather of table rows by positions; the rotary
 * operators. */
enum low_kind lower_position_result(const struct lower *lo, const struct graph_node *n,
                                    struct low_value *out);
bool lower_is_position(enum low_kind kind);
bool lower_table_gather(struct lower *lo, int node);
status lower_rotary(struct lower *lo, int node, struct err *err);
/* Half floats become fp32 (lower_widen.c); the lowered graph, before its types are inferred. */
status lower_widen(struct graph *g, struct err *err);
/* Kind of an input of a node; LOW_NONE when absent. */
enum low_kind lower_kind_of(const struct lower *lo, int value);
