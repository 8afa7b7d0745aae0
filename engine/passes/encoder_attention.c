/* SPDX-License-Identifier: MIT */
/* Attention of encoders: scores, masks and softmax in pieces, or the fused operators, become
 * cupola.SelfAttention. Scores are followed from their product on as what they are, so that any
 * order of scaling, masking and casting is one rule. */
#include "engine/passes/encoder_mask.h"
#include <string.h>

static status set_tokens(struct enc *e, int v, int value, const struct enc_row *like,
                         struct err *err)
{
    if (value < 0) return FAIL(err, ST_NOMEM, "out of memory");
    enc_set(e, v, value, like);
    return ST_OK;
}

static bool has_axes(const struct enc_row *r, const int axis[4])
{
    return r->kind == ROW_TOKENS && r->rank == 4 && r->n_feat == 2 &&
           memcmp(r->axis, axis, 4 * sizeof *axis) == 0;
}

static const int heads_first[4] = { AX_BATCH, 0, AX_SEQ, 1 },
                 heads_first_turned[4] = { AX_BATCH, 0, 1, AX_SEQ };

/* ---- the operator ---- */

struct attention {
    int in[3], n_in; /* of the lowered graph; one: q|k|v packed */
    int64_t heads, kv_heads, dim, left, right;
    double scale; /* 0: 1 / sqrt(dim) */
};

static int attend(struct enc *e, const struct graph_node *n, const struct attention *a)
{
    const struct attr attrs[] = {
        attr_int("num_heads", a->heads), attr_int("kv_num_heads", a->kv_heads),
        attr_int("head_dim", a->dim),    attr_float("scale", (float)a->scale),
        attr_int("left", a->left),       attr_int("right", a->right)
    };

    return enc_emit(e,
                    &(struct enc_node){ .op = OP_SELFATTN,
                                        .version = 1,
                                        .name = n->name,
                                        .in = a->in,
                                        .n_in = a->n_in,
                                        .attrs = attrs,
                                        .n_attrs = (int)COUNT(attrs),
                                        .dtype = enc_probed(e, n->out[0], 0)->type.dtype },
                    NULL, 1);
}

/* ---- scores ---- */

static bool on_scores(const struct enc *e, int v)
{
    return v >= 0 && (e->row[v].kind == ROW_SCORES || e->row[v].kind == ROW_PROBS ||
                      e->row[v].kind == ROW_NAN);
}

bool enc_on_scores(const struct enc *e, const struct graph_node *n)
{
    if (n->op == OP_MATMUL || n->op == OP_FUSEDMATMUL) return false;
    for (int i = 0; i < n->n_in; i++)
        if (on_scores(e, n->in[i])) return true;
    return false;
}

/* Queries times keys. */
static status make_scores(struct enc *e, const struct graph_node *n, double scale, struct err *err)
{
    const struct enc_row *q = &e->row[n->in[0]], *k = &e->row[n->in[1]];
    struct enc_row out = *q;
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    const bool turned = n->op == OP_MATMUL || !at.fusedmatmul.trans_b;
    if (!has_axes(q, heads_first) || !has_axes(k, turned ? heads_first_turned : heads_first) ||
        q->feat[0] != k->feat[0] || q->feat[1] != k->feat[1])
        return enc_refuse(n, "its operands are not queries and keys", err);
    out.kind = ROW_SCORES;
    out.keys = k->value;
    out.scale = scale;
    e->row[n->out[0]] = out;
    return ST_OK;
}

/* Softmax times values. */
static status close_scores(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row p = e->row[n->in[0]], v = e->row[n->in[1]];
    struct attention a = { .in = { p.value, p.keys, v.value },
                           .n_in = 3,
                           .heads = p.feat[0],
                           .kv_heads = p.feat[0],
                           .dim = p.feat[1],
                           .scale = p.scale };

    if (!has_axes(&v, heads_first) || v.feat[0] != p.feat[0] || v.feat[1] != p.feat[1])
        return enc_refuse(n, "its operand is not values", err);
    TRY(enc_mask_span(e, n, &p, &a.left, &a.right, err));
    return set_tokens(e, n->out[0], attend(e, n, &a), &v, err);
}

status enc_rule_matmul(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row x = e->row[n->in[0]];
    union op_attrs at;
    double scale = 1;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    if (n->op == OP_FUSEDMATMUL) {
        scale = (double)at.fusedmatmul.alpha;
        if (at.fusedmatmul.trans_a || at.fusedmatmul.trans_batch_a || at.fusedmatmul.trans_batch_b)
            return enc_refuse(n, "it transposes its first operand or the batch", err);
    }
    if (x.kind == ROW_PROBS) {
        if (scale != 1 || (n->op == OP_FUSEDMATMUL && at.fusedmatmul.trans_b))
            return enc_refuse(n, "its operand is not values", err);
        return close_scores(e, n, err);
    }
    if (x.kind == ROW_TOKENS && e->row[n->in[1]].kind == ROW_TOKENS)
        return make_scores(e, n, scale, err);
    const int in[2] = { x.value, enc_constant(e, n->in[1]) };
    if (n->op != OP_MATMUL || !enc_is_natural(&x) || x.n_feat != 1 || in[1] < 0 ||
        e->g->values[in[1]].type.ndim != 2)
        return enc_refuse(n, "its operands are not rows of tokens and a matrix", err);
    const struct enc_node node = { .op = n->op,
                                   .version = n->version,
                                   .name = n->name,
                                   .in = in,
                                   .n_in = 2,
                                   .dtype = enc_probed(e, n->out[0], 0)->type.dtype };
    return set_tokens(e, n->out[0], enc_emit(e, &node, NULL, 1), &x, err);
}

static status scale_scores(struct enc *e, const struct graph_node *n, int side, struct err *err)
{
    struct enc_row s = e->row[n->in[side]];
    double by = 0;

    if (s.kind != ROW_SCORES || s.n_masks > 0 || !enc_scalar(e, n->in[1 - side], &by) || by == 0 ||
        (n->op == OP_DIV && side != 0))
        return enc_refuse(n, "scores are not scaled by one number", err);
    s.scale = n->op == OP_DIV ? s.scale / by : s.scale * by;
    e->row[n->out[0]] = s;
    return ST_OK;
}

static status mask_scores(struct enc *e, const struct graph_node *n, int scores, int mask,
                          bool hides, struct err *err)
{
    struct enc_row s = e->row[scores];

    if (s.kind != ROW_SCORES || s.n_masks == ENC_MASKS_MAX || !enc_is_length(e, mask))
        return enc_refuse(n, "scores are not masked by lengths alone", err);
    s.hides[s.n_masks] = hides;
    s.masks[s.n_masks++] = mask;
    e->row[n->out[0]] = s;
    return ST_OK;
}

/* Where(mask, scores, low) or Where(mask, low, scores); Where(IsNaN(probs), 0, probs). */
static status choose_scores(struct enc *e, const struct graph_node *n, struct err *err)
{
    const int side = on_scores(e, n->in[1]) ? 1 : 2;
    double low = 0;

    if (!on_scores(e, n->in[side]) || !enc_scalar(e, n->in[3 - side], &low))
        return enc_refuse(n, "it mixes scores", err);
    if (e->row[n->in[0]].kind == ROW_NAN && side == 2 && e->row[n->in[2]].kind == ROW_PROBS) {
        e->row[n->out[0]] = e->row[n->in[2]];
        return ST_OK;
    }
    if (low > -1e4) return enc_refuse(n, "what it puts in place of scores hides no key", err);
    return mask_scores(e, n, n->in[side], n->in[0], side == 2, err);
}

status enc_rule_scores(struct enc *e, const struct graph_node *n, struct err *err)
{
    const int side = on_scores(e, n->in[0]) ? 0 : 1;
    const struct enc_row s = e->row[n->in[0]];
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    switch (n->op) {
    case OP_MUL:
    case OP_DIV: return scale_scores(e, n, side, err);
    case OP_ADD: return mask_scores(e, n, n->in[side], n->in[1 - side], false, err);
    case OP_WHERE: return choose_scores(e, n, err);
    case OP_IDENTITY:
    case OP_CAST:
        if (n->op == OP_CAST && !dtype_is_float((enum dtype)at.cast.to)) break;
        e->row[n->out[0]] = s;
        return ST_OK;
    case OP_ISNAN:
        if (s.kind != ROW_PROBS) break;
        e->row[n->out[0]].kind = ROW_NAN;
        return ST_OK;
    case OP_SOFTMAX:
        if (s.kind != ROW_SCORES || (at.softmax.axis != -1 && at.softmax.axis != s.rank - 1) ||
            (n->version < 13 && !at.softmax.has_axis))
            break;
        e->row[n->out[0]] = s;
        e->row[n->out[0]].kind = ROW_PROBS;
        return ST_OK;
    default: break;
    }
    return enc_refuse(n, "no rule for the scores of attention", err);
}

/* ---- fused operators ---- */

/* A part of a constant vector, which shares its bytes. */
static int part_of(struct enc *e, int c, int64_t from, int64_t n)
{
    const struct graph_value *v = &e->g->values[c];
    const struct tensor_type t = type_make(v->type.dtype, 1, &n);
    const size_t size = dtype_bits(t.dtype) / 8;

    return graph_add_constant(e->g, NULL, &t, (const char *)v->data + (size_t)from * size, false);
}

static int add_to(struct enc *e, const struct graph_node *n, int a, int b)
{
    const int in[2] = { a, b };

    return enc_emit(e,
                    &(struct enc_node){ .op = OP_ADD,
                                        .version = 14,
                                        .name = n->name,
                                        .in = in,
                                        .n_in = 2,
                                        .dtype = e->g->values[a].type.dtype },
                    NULL, 1);
}

/* Whether v counts 0, 1, 2, … or (step 0) is 0 for every token of a text; absent: yes. */
static bool counts(const struct enc *e, int v, int64_t step)
{
    int64_t x = 0;

    if (v < 0) return true;
    if (!enc_is_length(e, v)) return false;
    for (int64_t k = 0; k < e->small[0].length; k++)
        if (!graph_constant_i64(e->small[0].g, v, (size_t)k, &x) || x != step * k) return false;
    return true;
}

/* Tables of EmbedLayerNormalization, as constants. */
enum { EMB_WORDS, EMB_PLACES, EMB_TYPES, EMB_GAMMA, EMB_BETA, EMB_CONSTANTS };

/* Rows of the tables, added; -1 when memory runs out. */
static int add_embeddings(struct enc *e, const struct graph_node *n, const int *c)
{
    const int words[2] = { c[EMB_WORDS], e->row[n->in[0]].value },
              places[2] = { e->ids, c[EMB_PLACES] };
    struct enc_node node = { .op = OP_GATHER,
                             .version = 13,
                             .name = n->name,
                             .in = words,
                             .n_in = 2,
                             .dtype = e->g->values[c[EMB_WORDS]].type.dtype };
    const int word = enc_emit(e, &node, NULL, 1);

    node.op = OP_POSROWS;
    node.version = 1;
    node.in = places;
    const int place = enc_emit(e, &node, NULL, 1);
    int sum = word < 0 || place < 0 ? -1 : add_to(e, n, word, place);
    if (sum < 0 || c[EMB_TYPES] < 0) return sum;
    const int row = part_of(e, c[EMB_TYPES], 0, e->g->values[c[EMB_TYPES]].type.dim[1]);
    return row < 0 ? -1 : add_to(e, n, sum, row);
}

/* EmbedLayerNormalization: ids, types?, words, positions, types' table?, gamma, beta, mask?,
 * position_ids?. Types are all 0, positions count from 0. */
static status rule_embed(struct enc *e, const struct graph_node *n, struct err *err)
{
    static const struct enc_row like = {
        .kind = ROW_TOKENS, .rank = 3, .axis = { AX_BATCH, AX_SEQ, 0 }, .n_feat = 1
    };
    const struct enc_row ids = e->row[n->in[0]];
    int c[EMB_CONSTANTS];
    union op_attrs a;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &a, err));
    for (int i = 0; i < EMB_CONSTANTS; i++) {
        c[i] = enc_constant(e, match_in(n, 2 + i));
        if ((c[i] < 0 && i != EMB_TYPES) ||
            (c[i] >= 0 && e->g->values[c[i]].type.ndim != (i < EMB_GAMMA ? 2 : 1)))
            return enc_refuse(n, "a table is no constant, or of other rank", err);
    }
    if (ids.kind != ROW_TOKENS || ids.rank != 2 || ids.n_feat != 0 ||
        !enc_mask_open(e, match_in(n, 7)) || (match_in(n, 4) >= 0) != (c[EMB_TYPES] >= 0) ||
        !counts(e, match_in(n, 1), 0) || !counts(e, match_in(n, 8), 1))
        return enc_refuse(n, "its inputs are not ids, masks and types of one kind", err);
    const int sum = add_embeddings(e, n, c);
    if (sum < 0) return FAIL(err, ST_NOMEM, "out of memory");
    const int norm[3] = { sum, c[EMB_GAMMA], c[EMB_BETA] };
    const struct attr attrs[] = { attr_int("axis", -1),
                                  attr_float("epsilon", a.embedlayernorm.epsilon) };
    const struct enc_node node = { .op = OP_LAYERNORM,
                                   .version = 17,
                                   .name = n->name,
                                   .in = norm,
                                   .n_in = 3,
                                   .attrs = attrs,
                                   .n_attrs = 2,
                                   .dtype = enc_probed(e, n->out[0], 0)->type.dtype };
    if (match_out(n, 1) >= 0) e->row[n->out[1]].kind = ROW_MASK;
    if (match_out(n, 2) >= 0) enc_set(e, n->out[2], sum, &like);
    return set_tokens(e, n->out[0], enc_emit(e, &node, NULL, 1), &like, err);
}

static bool is_flat_rows(const struct enc_row *r) { return enc_is_natural(r) && r->n_feat == 1; }

/* com.microsoft Attention: input, weights, bias?, mask?, past?, scores' bias?. */
static status rule_packed(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row x = e->row[n->in[0]];
    const int w = enc_constant(e, n->in[1]), bias = enc_constant(e, match_in(n, 2));
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    const struct attrs_packedattn *a = &at.packedattn;
    if (!is_flat_rows(&x) || w < 0 || e->g->values[w].type.ndim != 2 ||
        (bias < 0 && match_in(n, 2) >= 0) || !enc_mask_open(e, match_in(n, 3)) ||
        match_in(n, 4) >= 0 || match_in(n, 5) >= 0 || a->unidirectional || a->do_rotary ||
        a->num_heads < 1)
        return enc_refuse(n, "not the attention of an encoder over rows of tokens", err);
    const int64_t k = e->g->values[w].type.dim[0], width = e->g->values[w].type.dim[1] / 3;
    if (e->g->values[w].type.dim[1] != 3 * width || width % a->num_heads ||
        (a->qkv_hidden_sizes.n > 2 &&
         (a->qkv_hidden_sizes.v[0] != width || a->qkv_hidden_sizes.v[1] != width ||
          a->qkv_hidden_sizes.v[2] != width)))
        return enc_refuse(n, "queries, keys and values of unlike width", err);
    const int in[5] = { x.value, w, -1, -1, bias };
    const struct attr attrs[] = { attr_int("K", k), attr_int("N", 3 * width) };
    struct attention attn = { .n_in = 1,
                              .heads = a->num_heads,
                              .kv_heads = a->num_heads,
                              .dim = width / a->num_heads,
                              .scale = (double)a->scale,
                              .left = -1,
                              .right = -1 };
    attn.in[0] = enc_emit(e,
                          &(struct enc_node){ .op = OP_LINEAR,
                                              .version = 1,
                                              .name = n->name,
                                              .in = in,
                                              .n_in = 5,
                                              .attrs = attrs,
                                              .n_attrs = 2,
                                              .dtype = enc_probed(e, n->out[0], 0)->type.dtype },
                          NULL, 1);
    if (attn.in[0] < 0) return FAIL(err, ST_NOMEM, "out of memory");
    return set_tokens(e, n->out[0], attend(e, n, &attn), &x, err);
}

/* Queries, keys and values in rows, and the heads they make. */
static status take_rows(struct enc *e, const struct graph_node *n, struct attention *a,
                        struct err *err)
{
    const struct enc_row *q = &e->row[n->in[0]];

    a->n_in = 3;
    for (int i = 0; i < 3; i++) {
        const struct enc_row *r = match_in(n, i) < 0 ? NULL : &e->row[n->in[i]];
        const int64_t heads = i == 0 ? a->heads : a->kv_heads;

        if (r && has_axes(r, heads_first) && q->rank == 4) {
            if (i == 0) a->heads = r->feat[0], a->dim = r->feat[1];
            if (i == 1) a->kv_heads = r->feat[0];
            if (r->feat[1] != a->dim || r->feat[0] != (i == 0 ? a->heads : a->kv_heads))
                return enc_refuse(n, "heads of unlike width", err);
        } else if (r && is_flat_rows(r) && q->rank == 3 && heads > 0) {
            if (i == 0) a->dim = r->feat[0] / heads;
            if (r->feat[0] != a->dim * heads) return enc_refuse(n, "heads of unlike width", err);
        } else {
            return enc_refuse(n, "query, key and value are not rows of tokens", err);
        }
        a->in[i] = r->value;
    }
    return a->kv_heads > 0 && a->heads % a->kv_heads == 0
               ? ST_OK
               : enc_refuse(n, "its heads do not divide", err);
}

static status rule_mha(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row q = e->row[n->in[0]];
    const int bias = enc_constant(e, match_in(n, 3));
    struct enc_row scores = { .kind = ROW_SCORES };
    struct attention a = { 0 };
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    a.heads = a.kv_heads = at.mha.num_heads;
    a.scale = (double)at.mha.scale;
    if (at.mha.unidirectional || !enc_mask_open(e, match_in(n, 4)) ||
        (bias < 0 && match_in(n, 3) >= 0) || q.rank != 3)
        return enc_refuse(n, "not the attention of an encoder over rows of tokens", err);
    for (int i = 6; i < n->n_in; i++)
        if (n->in[i] >= 0) return enc_refuse(n, "it has a cache", err);
    if (match_in(n, 5) >= 0) scores.masks[scores.n_masks++] = n->in[5];
    TRY(take_rows(e, n, &a, err));
    TRY(enc_mask_span(e, n, &scores, &a.left, &a.right, err));
    for (int i = 0; bias >= 0 && i < 3; i++) {
        const int64_t width = a.heads * a.dim;
        const int part = part_of(e, bias, i * width, width);
        if (part < 0 || (a.in[i] = add_to(e, n, a.in[i], part)) < 0)
            return FAIL(err, ST_NOMEM, "out of memory");
    }
    return set_tokens(e, n->out[0], attend(e, n, &a), &q, err);
}

static status rule_attention23(struct enc *e, const struct graph_node *n, struct err *err)
{
    const struct enc_row q = e->row[n->in[0]];
    struct enc_row scores = { .kind = ROW_SCORES };
    struct attention a = { 0 };
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    const struct attrs_attention23 *x = &at.attention23;
    if (x->is_causal || x->softcap != 0)
        return enc_refuse(n, "it is causal, or caps its scores", err);
    for (int i = 4; i < n->n_in; i++)
        if (n->in[i] >= 0) return enc_refuse(n, "it has a cache", err);
    for (int i = 1; i < n->n_out; i++)
        if (n->out[i] >= 0 && graph_uses(e->src, n->out[i]) > 0)
            return enc_refuse(n, "its cache or scores are used", err);
    a.heads = x->q_num_heads;
    a.kv_heads = x->kv_num_heads;
    a.scale = (double)x->scale;
    if (match_in(n, 3) >= 0) scores.masks[scores.n_masks++] = n->in[3];
    TRY(take_rows(e, n, &a, err));
    TRY(enc_mask_span(e, n, &scores, &a.left, &a.right, err));
    if (x->left_window >= 0 && (a.left < 0 || x->left_window < a.left)) a.left = x->left_window;
    if (x->right_window >= 0 && (a.right < 0 || x->right_window < a.right))
        a.right = x->right_window;
    return set_tokens(e, n->out[0], attend(e, n, &a), &q, err);
}

status enc_rule_attention(struct enc *e, const struct graph_node *n, struct err *err)
{
    switch (n->op) {
    case OP_EMBEDLAYERNORM: return rule_embed(e, n, err);
    case OP_PACKEDATTN: return rule_packed(e, n, err);
    case OP_MHA: return rule_mha(e, n, err);
    default: return rule_attention23(e, n, err);
    }
}

/* ---- rotary embeddings ---- */

/* com.microsoft and ai.onnx RotaryEmbedding with constant tables, by positions that count from 0;
 * x: [B, S, heads * dim] or [B, heads, S, dim]. */
status enc_rule_rotary(struct enc *e, const struct graph_node *n, struct err *err)
{
    const bool onnx = n->op == OP_ROTARY23;
    const struct enc_row x = e->row[n->in[0]];
    const int pos = match_in(n, onnx ? 3 : 1);
    const int cos = enc_constant(e, match_in(n, onnx ? 1 : 2)),
              sin = enc_constant(e, match_in(n, onnx ? 2 : 3));
    union op_attrs at;

    TRY(op_attrs_read(n->op, n->attrs, n->n_attrs, &at, err));
    const bool four = has_axes(&x, heads_first);
    if ((!four && !is_flat_rows(&x)) || cos < 0 || sin < 0 || pos < 0 || !counts(e, pos, 1) ||
        e->g->values[cos].type.ndim != 2 || (!onnx && at.rotary.scale != 1.0f))
        return enc_refuse(n, "not rows of tokens turned by their positions", err);
    const int64_t rotated = 2 * e->g->values[cos].type.dim[1];
    const int64_t width = four ? x.feat[0] * x.feat[1] : x.feat[0];
    const int64_t dim = four                      ? x.feat[1]
                        : at.rotary.num_heads > 0 ? width / at.rotary.num_heads
                                                  : rotated;
    if (dim < rotated || rotated < 2 || width % dim ||
        (at.rotary.rotary_embedding_dim > 0 && at.rotary.rotary_embedding_dim != rotated))
        return enc_refuse(n, "heads of unknown width", err);
    struct enc_row flat = x;
    const int in[3] = { enc_reshape(e, n->name, &x, &width, 1), cos, sin };
    if (in[0] < 0) return FAIL(err, ST_NOMEM, "out of memory");
    const struct attr attrs[] = { attr_int("head_dim", dim),
                                  attr_int("interleaved", at.rotary.interleaved) };
    flat.n_feat = 1;
    flat.feat[0] = width;
    flat.value = enc_emit(e,
                          &(struct enc_node){ .op = OP_SEQROTARY,
                                              .version = 1,
                                              .name = n->name,
                                              .in = in,
                                              .n_in = 3,
                                              .attrs = attrs,
                                              .n_attrs = 2,
                                              .dtype = enc_probed(e, n->out[0], 0)->type.dtype },
                          NULL, 1);
    if (flat.value < 0) return FAIL(err, ST_NOMEM, "out of memory");
    return set_tokens(e, n->out[0], enc_reshape(e, n->name, &flat, x.feat, x.n_feat), &x, err);
}
