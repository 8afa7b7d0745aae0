/* SPDX-License-Identifier: MIT */
/* Inference of operators whose result depends on values, of signals and of recurrent cells: Unique,
 * NonMaxSuppression, Einsum, Det, TfIdfVectorizer, DFT, STFT, windows, RNN, GRU, LSTM. */
#include "engine/ops/infer.h"
#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* ---- Unique, NonMaxSuppression: counted once the values are there ---- */

static status count_unique(const struct op_call *call, int axis, int64_t *count, struct err *err)
{
    const struct tensor *x = &call->in[0];
    const size_t n = ir_unique_slices(&x->type, axis);
    size_t *words = mem_calloc(n ? n : 1, 2 * sizeof *words);
    struct ir_unique u = { .order = words, .work = words ? words + n : NULL };

    if (!words) return infer_fail(call, err, ST_NOMEM, "no memory to sort %zu values", n);
    const bool sorted = ir_unique_sort(x, axis, &u);
    mem_free(words);
    if (!sorted)
        return infer_fail(call, err, ST_UNSUPPORTED, "values of %s", dtype_name(x->type.dtype));
    *count = (int64_t)u.n_unique;
    return ST_OK;
}

status infer_unique(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_unique *a = &call->attr.unique;
    const struct tensor *x = &call->in[0];
    struct tensor_type out = { .dtype = x->type.dtype, .ndim = 1 };
    int64_t count = DIM_UNKNOWN, n = DIM_UNKNOWN;
    int axis = -1;

    if (a->has_axis && x->type.ndim >= 0) {
        out = x->type;
        TRY(infer_axis(call, "axis", a->axis, out.ndim, &axis, err));
    }
    if (x->data && type_known(&x->type)) {
        TRY(count_unique(call, axis, &count, err));
        n = (int64_t)ir_unique_slices(&x->type, axis);
    }
    if (a->has_axis && axis < 0)
        out.ndim = -1;
    else
        out.dim[axis < 0 ? 0 : axis] = count;
    call->out[0].type = out;
    for (int i = 1; i < call->n_out; i++)
        call->out[i].type = type_make(DT_I64, 1, i == 2 ? &n : &count);
    return ST_OK;
}

static bool one_number(const struct op_call *call, int i)
{
    size_t n;

    return !infer_has_in(call, i) || !type_elements(&call->in[i].type, &n) || n == 1;
}

/* boxes [B, N, 4], scores [B, C, N], max_output_boxes_per_class?, iou_threshold?, score_threshold?
 */
status infer_nms(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor *boxes = &call->in[0], *scores = &call->in[1];
    int64_t count[] = { DIM_UNKNOWN, 3 };
    bool known = boxes->data && scores->data;

    for (int i = 0; i <= 1; i++) {
        TRY(infer_dtype_is(call, i, DT_F32, err));
        TRY(infer_rank(call, i, 3, 3, err));
    }
    TRY(infer_dim_is(call, 0, 2, 4, err));
    if (boxes->type.ndim >= 0) {
        TRY(infer_dim_is(call, 1, 0, boxes->type.dim[0], err));
        TRY(infer_dim_is(call, 1, 2, boxes->type.dim[1], err));
    }
    for (int i = 2; i <= 4; i++) {
        if (!infer_has_in(call, i)) continue;
        TRY(infer_dtype_is(call, i, i == 2 ? DT_I64 : DT_F32, err));
        if (!one_number(call, i))
            return infer_fail(call, err, ST_SHAPE, "input %d is no scalar", i);
        known = known && call->in[i].data;
    }
    if (known) {
        struct ir_nms p = { .boxes = boxes,
                            .scores = scores,
                            .centers = call->attr.nms.center_point_box != 0,
                            .has_score_threshold = infer_has_in(call, 4) };
        size_t *work = mem_calloc((size_t)boxes->type.dim[1] + 1, sizeof *work);

        if (!work) return infer_fail(call, err, ST_NOMEM, "no memory to choose boxes");
        if (infer_has_in(call, 2)) (void)infer_int_at(call, 2, 0, &p.boxes_max);
        if (infer_has_in(call, 3)) p.iou_threshold = *(const float *)call->in[3].data;
        if (infer_has_in(call, 4)) p.score_threshold = *(const float *)call->in[4].data;
        count[0] = (int64_t)ir_nms_run(&p, work, NULL);
        mem_free(work);
    }
    call->out[0].type = type_make(DT_I64, 2, count);
    return ST_OK;
}

/* ---- Einsum, Det ---- */

status infer_einsum(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct ir_einsum e;
    bool known = true;

    TRY(infer_dtype_in(call, 0, SET_NUMBER, err));
    for (int i = 0; i < call->n_in; i++) {
        TRY(infer_same_dtype(call, 0, i, err));
        known = known && type_known(&call->in[i].type);
    }
    call->out[0].type = infer_unranked(call->in[0].type.dtype);
    if (!known) return ST_OK;
    const char *wrong = ir_einsum_parse(&e, call->attr.einsum.equation, call->in, call->n_in);
    if (wrong)
        return infer_fail(call, err, ST_SHAPE, "equation '%s': %s", call->attr.einsum.equation,
                          wrong);
    call->out[0].type = type_make(call->in[0].type.dtype, e.n_out, e.dim);
    return infer_size_check(call, 0, err);
}

status infer_det(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    struct tensor_type t = call->in[0].type;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (t.ndim >= 0) {
        TRY(infer_dim_is(call, 0, -1, t.dim[t.ndim - 2], err));
        t.ndim -= 2;
    }
    call->out[0].type = t;
    return ST_OK;
}

status infer_mvn(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct ir_ints *axes = &call->attr.axes.axes;
    const int ndim = call->in[0].type.ndim;
    int at;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    for (int i = 0; ndim >= 0 && i < axes->n; i++)
        TRY(infer_axis(call, "an axis", axes->v[i], ndim, &at, err));
    call->out[0].type = call->in[0].type;
    return ST_OK;
}

/* ---- TfIdfVectorizer ---- */

/* The lists fit: counts ascend within the pool, each gram has an index. *width: of the result. */
static status tfidf_lists(const struct op_call *call, int64_t *width, struct err *err)
{
    const struct attrs_tfidf *a = &call->attr.tfidf;
    int64_t grams = 0;

    if (a->min_gram_length < 1 || a->max_gram_length < a->min_gram_length || a->max_skip_count < 0)
        return infer_fail(call, err, ST_FORMAT, "gram lengths or max_skip_count out of range");
    for (int s = 0; s < a->ngram_counts.n; s++) {
        const int64_t begin = a->ngram_counts.v[s];
        const int64_t end = s + 1 < a->ngram_counts.n ? a->ngram_counts.v[s + 1] : a->pool.n;

        if (begin < 0 || begin > end || end > a->pool.n || (end - begin) % (s + 1) != 0)
            return infer_fail(call, err, ST_FORMAT, "ngram_counts[%d] is %" PRId64, s, begin);
        grams += (end - begin) / (s + 1);
    }
    if (grams != a->ngram_indexes.n || (a->weights.n != 0 && a->weights.n != a->ngram_indexes.n))
        return infer_fail(call, err, ST_FORMAT, "%" PRId64 " n-grams, %d indexes, %d weights",
                          grams, a->ngram_indexes.n, a->weights.n);
    *width = 0;
    for (int i = 0; i < a->ngram_indexes.n; i++) {
        const int64_t at = a->ngram_indexes.v[i];
        if (at < 0 || at > INT32_MAX)
            return infer_fail(call, err, ST_FORMAT, "ngram_indexes[%d] is %" PRId64, i, at);
        if (at >= *width) *width = at + 1;
    }
    return ST_OK;
}

status infer_tfidf(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const char *mode = call->attr.tfidf.mode;
    struct tensor_type out = infer_typed(DT_F32, &call->in[0].type);
    int64_t width = 0;

    TRY(infer_dtype_in(call, 0, SET_INDEX, err)); /* strings are not done */
    TRY(infer_rank(call, 0, 1, 2, err));
    if (strcmp(mode, "TF") != 0 && strcmp(mode, "IDF") != 0 && strcmp(mode, "TFIDF") != 0)
        return infer_fail(call, err, ST_FORMAT, "mode is '%s'", mode);
    TRY(tfidf_lists(call, &width, err));
    if (out.ndim > 0) out.dim[out.ndim - 1] = width;
    call->out[0].type = out;
    return infer_size_check(call, 0, err);
}

/* ---- signals ---- */

/* x [.., n, .., 1 or 2], dft_length?, axis (attribute before opset 20). */
status infer_dft(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_dft *a = &call->attr.dft;
    struct tensor_type t = call->in[0].type;
    int64_t axis_given = call->version >= 20 ? -2 : a->axis, n = DIM_UNKNOWN;
    const bool known = !infer_has_in(call, 2) || infer_int_at(call, 2, 0, &axis_given);
    int axis;

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    for (int i = 1; i <= 2; i++)
        if (infer_has_in(call, i)) TRY(infer_dtype_in(call, i, SET_INDEX, err));
    TRY(infer_rank(call, 0, 2, IR_DIMS_MAX, err));
    if (!one_number(call, 1) || !one_number(call, 2))
        return infer_fail(call, err, ST_SHAPE, "dft_length or axis is no scalar");
    if (t.ndim >= 0 && t.dim[t.ndim - 1] >= 0 && t.dim[t.ndim - 1] != 1 && t.dim[t.ndim - 1] != 2)
        return infer_fail(call, err, ST_SHAPE, "the last dimension is %" PRId64 ", expected 1 or 2",
                          t.dim[t.ndim - 1]);
    call->out[0].type = infer_unranked(t.dtype);
    if (t.ndim < 0 || !known) return ST_OK;
    TRY(infer_axis(call, "axis", axis_given, t.ndim, &axis, err));
    if (axis == t.ndim - 1) return infer_fail(call, err, ST_SHAPE, "axis is the last one");
    if (infer_has_in(call, 1))
        (void)infer_int_at(call, 1, 0, &n);
    else if (t.dim[axis] >= 0)
        n = a->inverse && a->onesided ? 2 * (t.dim[axis] - 1) : t.dim[axis];
    if (n != DIM_UNKNOWN && (n < 1 || n > INT32_MAX))
        return infer_fail(call, err, ST_SHAPE, "a transform of length %" PRId64, n);
    t.dim[axis] = n > 0 && a->onesided && !a->inverse ? n / 2 + 1 : n;
    t.dim[t.ndim - 1] = a->inverse && a->onesided ? 1 : 2;
    call->out[0].type = t;
    return infer_size_check(call, 0, err);
}

/* signal [B, L] or [B, L, 1 or 2], frame_step, window?, frame_length?. */
status infer_stft(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct tensor_type *x = &call->in[0].type;
    int64_t hop = 0, n = DIM_UNKNOWN, dims[] = { DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, 2 };

    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    TRY(infer_rank(call, 0, 2, 3, err));
    TRY(infer_dtype_in(call, 1, SET_INDEX, err));
    if (infer_has_in(call, 3)) TRY(infer_dtype_in(call, 3, SET_INDEX, err));
    if (!one_number(call, 1) || !one_number(call, 3))
        return infer_fail(call, err, ST_SHAPE, "frame_step or frame_length is no scalar");
    if (x->ndim == 3 && x->dim[2] >= 0 && x->dim[2] != 1 && x->dim[2] != 2)
        return infer_fail(call, err, ST_SHAPE, "the last dimension is %" PRId64, x->dim[2]);
    if (infer_has_in(call, 3)) (void)infer_int_at(call, 3, 0, &n);
    if (infer_has_in(call, 2)) {
        TRY(infer_same_dtype(call, 0, 2, err));
        TRY(infer_rank(call, 2, 1, 1, err));
        if (call->in[2].type.ndim == 1) n = call->in[2].type.dim[0];
        if (n < 0) n = DIM_UNKNOWN; /* a symbol */
    } else if (!infer_has_in(call, 3) && x->ndim >= 2) {
        n = x->dim[1];
    }
    if (x->ndim >= 2) dims[0] = x->dim[0];
    if (x->ndim >= 2 && x->dim[1] >= 0 && n != DIM_UNKNOWN && infer_int_at(call, 1, 0, &hop)) {
        if (n < 1 || hop < 1 || n > x->dim[1])
            return infer_fail(call, err, ST_SHAPE, "frames of %" PRId64 " by %" PRId64, n, hop);
        dims[1] = (x->dim[1] - n) / hop + 1;
        dims[2] = call->attr.stft.onesided ? n / 2 + 1 : n;
    }
    call->out[0].type = type_make(x->dtype, 4, dims);
    return infer_size_check(call, 0, err);
}

static status signal_dtype(const struct op_call *call, enum dtype *dt, struct err *err)
{
    const int64_t given = call->attr.signal.output_datatype;

    if (given < 1 || given >= DT_COUNT || dtype_bits((enum dtype)given) < 8 ||
        (!dtype_is_float((enum dtype)given) && !dtype_is_int((enum dtype)given)))
        return infer_fail(call, err, ST_UNSUPPORTED, "output_datatype is %" PRId64, given);
    *dt = (enum dtype)given;
    return ST_OK;
}

status infer_window_function(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    int64_t n = DIM_UNKNOWN;
    enum dtype dt;

    TRY(signal_dtype(call, &dt, err));
    TRY(infer_dtype_in(call, 0, SET_INDEX, err));
    if (!one_number(call, 0)) return infer_fail(call, err, ST_SHAPE, "size is no scalar");
    if (infer_int_at(call, 0, 0, &n) && n < 0)
        return infer_fail(call, err, ST_SHAPE, "a window of %" PRId64, n);
    call->out[0].type = type_make(dt, 1, &n);
    return infer_size_check(call, 0, err);
}

status infer_melweights(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    int64_t mel = DIM_UNKNOWN, n = DIM_UNKNOWN;
    enum dtype dt;

    TRY(signal_dtype(call, &dt, err));
    for (int i = 0; i < 5; i++) {
        if (i < 3) TRY(infer_dtype_in(call, i, SET_INDEX, err));
        if (i >= 3) TRY(infer_dtype_in(call, i, SET_FLOAT, err));
        if (!one_number(call, i))
            return infer_fail(call, err, ST_SHAPE, "input %d is no scalar", i);
    }
    if ((infer_int_at(call, 0, 0, &mel) && mel < 0) || (infer_int_at(call, 1, 0, &n) && n < 0))
        return infer_fail(call, err, ST_SHAPE, "num_mel_bins or dft_length is negative");
    const int64_t dims[] = { n >= 0 ? n / 2 + 1 : DIM_UNKNOWN, mel };
    call->out[0].type = type_make(dt, 2, dims);
    return infer_size_check(call, 0, err);
}

/* ---- RNN, GRU, LSTM ---- */

static status rnn_state(const struct op_call *call, int i, const int64_t want[3], struct err *err)
{
    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_same_dtype(call, 0, i, err));
    TRY(infer_rank(call, i, 3, 3, err));
    for (int d = 0; d < 3; d++) TRY(infer_dim_is(call, i, d, want[d], err));
    return ST_OK;
}

static status rnn_matrix(const struct op_call *call, int i, int64_t dirs, int64_t rows,
                         int64_t cols, struct err *err)
{
    if (!infer_has_in(call, i)) return ST_OK;
    TRY(infer_same_dtype(call, 0, i, err));
    TRY(infer_rank(call, i, cols == 0 ? 2 : 3, cols == 0 ? 2 : 3, err));
    TRY(infer_dim_is(call, i, 0, dirs, err));
    TRY(infer_dim_is(call, i, 1, rows, err));
    return cols == 0 ? ST_OK : infer_dim_is(call, i, 2, cols, err);
}

/* Names that the recurrences know, upper and lower case alike, and as many as they have. */
static status rnn_activations(const struct op_call *call, int64_t dirs, struct err *err)
{
    static const char *const names[] = {
        "relu",       "tanh",        "sigmoid",   "softsign",        "softplus", "affine",
        "scaledtanh", "hardsigmoid", "leakyrelu", "thresholdedrelu", "elu"
    };
    const struct ir_strings *acts = &call->attr.rnn.activations;
    const int64_t each = call->op == OP_LSTM ? 3 : call->op == OP_GRU ? 2 : 1;

    if (acts->n != 0 && acts->n != each * dirs)
        return infer_fail(call, err, ST_FORMAT, "%d activations, expected %" PRId64, acts->n,
                          each * dirs);
    for (int i = 0; i < acts->n; i++) {
        size_t k = 0;

        while (k < COUNT(names) && strcasecmp(names[k], acts->v[i]) != 0) k++;
        if (k == COUNT(names))
            return infer_fail(call, err, ST_UNSUPPORTED, "activations: '%s'", acts->v[i]);
    }
    return ST_OK;
}

/* X, W, R, B?, sequence_lens?, initial_h?, initial_c?, P? */
status infer_rnn(struct op_call *call, struct err *err)
{
    TRY(infer_begin(call, err));
    const struct attrs_rnn *a = &call->attr.rnn;
    const struct tensor_type *x = &call->in[0].type, *r = &call->in[2].type;
    const bool both = !strcmp(a->direction, "bidirectional"), layout = a->layout != 0;
    const int64_t dirs = both ? 2 : 1, gates = call->op == OP_LSTM ? 4 : call->op == OP_GRU ? 3 : 1;
    int64_t rows, hidden = DIM_UNKNOWN, steps = DIM_UNKNOWN, batch = DIM_UNKNOWN, in = DIM_UNKNOWN;

    if (!both && strcmp(a->direction, "forward") != 0 && strcmp(a->direction, "reverse") != 0)
        return infer_fail(call, err, ST_FORMAT, "direction is '%s'", a->direction);
    if (a->layout != 0 && a->layout != 1)
        return infer_fail(call, err, ST_FORMAT, "layout is %" PRId64, a->layout);
    TRY(rnn_activations(call, dirs, err));
    TRY(infer_dtype_in(call, 0, SET_FLOAT, err));
    for (int i = 0; i <= 2; i++) TRY(infer_rank(call, i, 3, 3, err));
    if (x->ndim == 3) {
        steps = x->dim[layout ? 1 : 0];
        batch = x->dim[layout ? 0 : 1];
        in = x->dim[2];
    }
    if (r->ndim == 3) hidden = r->dim[2];
    if (a->hidden_size != 0 && infer_dim_compare(a->hidden_size, hidden) < 0)
        return infer_fail(call, err, ST_SHAPE, "hidden_size is %" PRId64, a->hidden_size);
    TRY(infer_dim_mul(call, hidden, gates, &rows, err));
    TRY(rnn_matrix(call, 1, dirs, rows, in == 0 ? DIM_UNKNOWN : in, err));
    TRY(rnn_matrix(call, 2, dirs, rows, hidden == 0 ? DIM_UNKNOWN : hidden, err));
    TRY(rnn_matrix(call, 3, dirs, rows < 0 ? rows : 2 * rows, 0, err));
    TRY(rnn_matrix(call, 7, dirs, hidden < 0 ? hidden : 3 * hidden, 0, err));
    if (infer_has_in(call, 4)) {
        TRY(infer_dtype_is(call, 4, DT_I32, err));
        TRY(infer_rank(call, 4, 1, 1, err));
        TRY(infer_dim_is(call, 4, 0, batch, err));
    }
    const int64_t state[3] = { layout ? batch : dirs, layout ? dirs : batch, hidden };
    const int64_t all[] = { layout ? batch : steps, layout ? steps : dirs, layout ? dirs : batch,
                            hidden };
    TRY(rnn_state(call, 5, state, err));
    TRY(rnn_state(call, 6, state, err));
    call->out[0].type = type_make(x->dtype, 4, all);
    for (int i = 1; i < call->n_out; i++) call->out[i].type = type_make(x->dtype, 3, state);
    return infer_size_check(call, 0, err);
}
