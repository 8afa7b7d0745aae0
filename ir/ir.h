/* SPDX-License-Identifier: MIT */
/* ir/: the vocabulary that graph, passes and backends share: dtypes, tensor types, operators,
 * attributes. Public header. */
#pragma once
#include "base/base.h"

/* ---- dtypes: the numbers of onnx.TensorProto.DataType ---- */

enum dtype {
    DT_NONE = 0,
    DT_F32 = 1,
    DT_U8 = 2,
    DT_I8 = 3,
    DT_U16 = 4,
    DT_I16 = 5,
    DT_I32 = 6,
    DT_I64 = 7,
    DT_STRING = 8,
    DT_BOOL = 9,
    DT_F16 = 10,
    DT_F64 = 11,
    DT_U32 = 12,
    DT_U64 = 13,
    DT_C64 = 14,
    DT_C128 = 15,
    DT_BF16 = 16,
    DT_F8E4M3FN = 17,
    DT_F8E4M3FNUZ = 18,
    DT_F8E5M2 = 19,
    DT_F8E5M2FNUZ = 20,
    DT_U4 = 21,
    DT_I4 = 22,
    DT_F4E2M1 = 23,
    DT_F8E8M0 = 24,
    DT_U2 = 25,
    DT_I2 = 26,
    DT_COUNT
};

/* "f32", "u8", …; "none" for DT_NONE; "?" beyond the list. */
const char *dtype_name(enum dtype dt);
/* Inverse of dtype_name; DT_NONE if unknown. */
enum dtype dtype_parse(const char *name);
/* Bits of one element: 32, 8, 4, …; 0 for DT_NONE and DT_STRING. */
unsigned dtype_bits(enum dtype dt);
/* Alignment that elements are read with; at most that of 8-byte numbers. */
size_t dtype_align(enum dtype dt);
bool dtype_is_float(enum dtype dt); /* f16 bf16 f32 f64 and the f8/f4 kinds */
bool dtype_is_int(enum dtype dt);   /* signed or unsigned integers, not bool */

/* An element of a DT_STRING tensor; s is NUL-terminated, n its length (it may hold NULs of its
 * own). */
struct ir_string {
    const char *s;
    size_t n;
};

/* ---- tensor types ---- */

enum { IR_DIMS_MAX = 8 };

/* A dimension >= 0 is known. Below zero: unknown, or a symbol. DIM_TOKENS and DIM_ROWS belong to
 * the lowered form (leading dimension only); symbols of an imported graph are DIM_SYMBOL(0),
 * DIM_SYMBOL(1), … and their names are in the graph. */
#define DIM_UNKNOWN   ((int64_t)-1)
#define DIM_TOKENS    ((int64_t)-2) /* flattened tokens of a step */
#define DIM_ROWS      ((int64_t)-3) /* rows whose logits are asked for */
#define DIM_SYMBOL(i) ((int64_t)-16 - (int64_t)(i))

struct tensor_type {
    enum dtype dtype; /* DT_NONE: absent (an omitted optional input) or not yet inferred */
    int ndim;         /* -1: rank unknown */
    int64_t dim[IR_DIMS_MAX];
};

/* A type, and the elements where they are known (constants; run-time tensors of the dense form).
 * Row-major, contiguous; 4-bit types are packed two a byte, low nibble first. */
struct tensor {
    struct tensor_type type;
    void *data; /* NULL: not known. Constants must not be written through it. */
};

/* Number of elements; false if a dimension is not known, or on overflow. A scalar has 1. */
bool type_elements(const struct tensor_type *t, size_t *n);
/* Bytes of the elements, types below 8 bits rounded up to a byte, strings as struct ir_string; same
 * failures, and DT_NONE. */
bool type_bytes(const struct tensor_type *t, size_t *bytes);
bool type_known(const struct tensor_type *t);
bool type_equal(const struct tensor_type *a, const struct tensor_type *b);
/* Product of dims [from, to); false as type_elements. */
bool type_span(const struct tensor_type *t, int from, int to, size_t *n);
/* "f32[2,tokens,64]"; writes at most n bytes with NUL; returns buf. */
char *type_print(const struct tensor_type *t, char *buf, size_t n);
/* Convenience constructor of a known type. */
struct tensor_type type_make(enum dtype dtype, int ndim, const int64_t *dim);

/* ---- attributes ---- */

struct ir_ints {
    int n;
    const int64_t *v;
};
struct ir_floats {
    int n;
    const float *v;
};
struct ir_strings {
    int n;
    const char *const *v;
};

enum attr_type {
    ATTR_INT,
    ATTR_FLOAT,
    ATTR_STRING,
    ATTR_TENSOR,
    ATTR_GRAPH,
    ATTR_INTS,
    ATTR_FLOATS,
    ATTR_STRINGS
};

struct graph; /* engine/graph; here only carried */

/* A node's attribute as the file has it. */
struct attr {
    const char *name;
    enum attr_type type;
    int64_t i;
    float f;
    const char *s;
    size_t s_len;
    struct tensor tensor;
    struct graph *graph;
    struct ir_ints ints;
    struct ir_floats floats;
    struct ir_strings strings;
};

/* attrs.def expanded: one struct per stem, `struct attrs_<stem>`. INT becomes int64_t, FLOAT float,
 * STR const char *, INTS/FLOATS/STRS the spans above, TENSOR const struct tensor *. */
#define ATTRS(stem)                 struct attrs_##stem {
#define AT_INT(field, onnx, dflt)   int64_t field;
#define AT_FLOAT(field, onnx, dflt) float field;
#define AT_STR(field, onnx, dflt)   const char *field;
#define AT_INTS(field, onnx)        struct ir_ints field;
#define AT_FLOATS(field, onnx)      struct ir_floats field;
#define AT_STRS(field, onnx)        struct ir_strings field;
#define AT_TENSOR(field, onnx)      const struct tensor *field;
#define AT_OPTIONAL_INT(field, onnx, dflt)                                                         \
    int64_t field;                                                                                 \
    bool has_##field;
#define ATTRS_END(stem)                                                                            \
    char end_; /* no empty structs */                                                              \
    }                                                                                              \
    ;
#include "ir/attrs.def"

union op_attrs {
#define ATTRS(stem) struct attrs_##stem stem;
#include "ir/attrs.def"
};

/* ---- windows: what inference and backends must agree on ---- */

enum { IR_SPACE_MAX = IR_DIMS_MAX - 2 };

/* A window that slides over the n spatial dimensions of an input: tap k of the window of output
 * position o stands on o * stride + k * dilation - pad. A dimension < 0 is not known. */
struct ir_window {
    int n;
    int64_t in[IR_SPACE_MAX], out[IR_SPACE_MAX], kernel[IR_SPACE_MAX];
    int64_t stride[IR_SPACE_MAX], dilation[IR_SPACE_MAX];
    int64_t pad[IR_SPACE_MAX], pad_end[IR_SPACE_MAX]; /* before, after */
};
/* n, in and kernel (0: from the attributes) are given; fills in the rest. False when lists have
 * wrong lengths, values are out of range, or a window is larger than the padded input. */
bool ir_window_fill(struct ir_window *w, const struct attrs_window *a);
/* The same for a transposed convolution: tap k of input position i stands on output
 * i * stride + k * dilation - pad. */
bool ir_window_transposed(struct ir_window *w, const struct attrs_window *a);

/* ---- Resize: which sizes and scales its inputs ask for ---- */

struct ir_resize {
    int n;
    int64_t in[IR_DIMS_MAX], out[IR_DIMS_MAX];
    double scale[IR_DIMS_MAX];
    int roi[IR_DIMS_MAX]; /* place of the axis in the lists of roi; -1: not resized */
    int n_axes;
};
/* Of x, resized by `scales` (floats) or to `sizes` (i64): one of them is given, with values. False
 * when they do not fit x and the attributes. */
bool ir_resize_plan(struct ir_resize *r, const struct tensor_type *x, const struct tensor *scales,
                    const struct tensor *sizes, const struct attrs_resize *a);

/* ---- results whose size depends on values: inference and kernels find them alike ---- */

/* Slices of x along an axis (-1: its elements), in order of their values (numbers before NaN). */
struct ir_unique {
    size_t n, n_unique;
    size_t *order; /* [n] slices in order, equal ones by index; the caller's */
    size_t *work;  /* [n]; the caller's */
};
/* How many slices: what order and work must have room for. */
size_t ir_unique_slices(const struct tensor_type *x, int axis);
/* Sorts and counts. False for types without an order (complex). */
bool ir_unique_sort(const struct tensor *x, int axis, struct ir_unique *u);
/* Whether slices a and b are equal. */
bool ir_unique_same(const struct tensor *x, int axis, size_t a, size_t b);

/* NonMaxSuppression: boxes [B, N, 4], scores [B, C, N], all f32. */
struct ir_nms {
    const struct tensor *boxes, *scores;
    int64_t boxes_max; /* per class; 0: none */
    float iou_threshold, score_threshold;
    bool has_score_threshold, centers;
};
/* Writes triples (batch, class, box) to out (NULL: only counts); work: [N]. Returns their number.
 */
size_t ir_nms_run(const struct ir_nms *p, size_t *work, int64_t *out);

/* ---- Einsum ---- */

enum { IR_LABELS_MAX = 32, IR_EINSUM_INPUTS_MAX = 16 };
struct ir_einsum {
    int n_labels, n_out;
    int64_t dim[IR_LABELS_MAX]; /* of a label; the first n_out are the output's, in order */
    int n_in;
    int rank[IR_EINSUM_INPUTS_MAX]; /* of each input */
    int label[IR_EINSUM_INPUTS_MAX][IR_DIMS_MAX];
};
/* Parses the equation for inputs of these known types; NULL, or what is wrong. */
const char *ir_einsum_parse(struct ir_einsum *e, const char *equation, const struct tensor *in,
                            int n_in);

/* ---- operators ---- */

enum op_kind {
    OP_NONE = 0,
#define OP(kind, domain, name, since, infer, attrs) OP_##kind,
#define ALIAS(kind, domain, name, since)
#include "ir/ops.def"
#undef OP
#undef ALIAS
    OP_COUNT
};

/* Inputs of GroupQueryAttention, in order: inference, passes and backends all speak of them. */
enum gqa_in {
    GQA_Q,
    GQA_K,
    GQA_V,
    GQA_PAST_K,
    GQA_PAST_V,
    GQA_SEQLENS,
    GQA_TOTAL,
    GQA_COS,
    GQA_SIN,
    GQA_POSITIONS,
    GQA_BIAS,
    GQA_SINK,
    GQA_K_SCALE,
    GQA_V_SCALE,
    GQA_Q_NORM,
    GQA_K_NORM,
    GQA_INPUTS
};

/* One application of an operator, as inference, `supports` and `prepare` see it. */
/* Whom a backend tells that it has packed `n` bytes of a constant and will not read them again.
 * Called from any of its threads. */
struct op_packed {
    void (*tell)(const void *user, const void *data, size_t n);
    const void *user;
};

struct op_call {
    enum op_kind op;
    int version;         /* of the operator's domain, from the model's opset imports */
    const char *node;    /* node name for messages, never NULL */
    union op_attrs attr; /* the member named in the row of ops.def */
    int n_in, n_out;
    struct tensor *in;  /* [n_in]; dtype DT_NONE = absent; data set where the value is known */
    struct tensor *out; /* [n_out]; inference fills the types */
    const struct op_packed *packed; /* prepare: NULL when nobody asks */
};

/* MoE and QMoE: what one of their experts weighs. */
struct ir_experts {
    int64_t n, k;   /* experts, and how many of them each token goes through */
    double bytes;   /* of an expert's constants, as the file stores them */
    double weights; /* numbers in its matrices: a multiply-add each per token */
};
/* False for other operators, and where shapes are missing. */
bool ir_experts_measure(const struct op_call *call, struct ir_experts *out);

/* Fills out[].type from in[] and attr. Shapes that depend on values not known here get DIM_UNKNOWN
 * (or ndim -1); ranks, dtypes, and every dimension that is known are checked: ST_SHAPE /
 * ST_UNSUPPORTED / ST_FORMAT with a text that names the field. */
typedef status op_infer_fn(struct op_call *call, struct err *err);

struct op_row {
    const char *domain; /* "" = ai.onnx */
    const char *name;
    int since;
    enum op_kind kind;
    op_infer_fn *infer;
};

/* "Add", "com.microsoft.MatMulNBits": a kind's primary name with its domain, for messages and
 * listings; "?" beyond the list. */
const char *op_name(enum op_kind kind);
/* Whether a constant may lie misaligned for its type as this input: in inference, in the passes and
 * in a backend's prepare it is read as bytes. Large tensors lie so in files that align nothing. */
bool op_takes_misaligned(enum op_kind op, int input);
/* The same when the operator runs, with nothing packed. */
bool op_runs_misaligned(enum op_kind op, int input);
/* Row of a kind (its primary name), or NULL for OP_NONE. The infer functions live in engine/ops; ir
 * only names them, so the table is defined there (engine/ops/op_table.c). */
const struct op_row *op_row(enum op_kind kind);
/* Kind for domain ("" and "ai.onnx" are the same) and name at this opset version; OP_NONE if not
 * known. */
enum op_kind op_find(const char *domain, const char *name, int version);
/* Reads a node's attributes into the typed member of `kind`: defaults first, then each attribute;
 * wrong type: ST_FORMAT naming it. Attributes the row does not list are an error unless they start
 * with '_' or carry documentation only. Pointers refer to attrs. */
status op_attrs_read(enum op_kind kind, const struct attr *attrs, int n_attrs, union op_attrs *out,
                     struct err *err);
