/* SPDX-License-Identifier: MIT */
/* A lowered model: one compiled program, K/V in pages. */
#include "engine/plan/plan.h"
#include "engine/runtime/lm_internal.h"

struct lm_paged {
    struct lm_base base; /* first */
    struct plan plan;
    struct step_seq *seqs; /* [seqs_max]: the step's, with their states */
};

/* What a model without convolutions and recurrences never asks. */
static const struct step_seq *with_states(struct lm_paged *p, const struct lm_step *s)
{
    if (p->base.lm.info.state_bytes == 0 || s->n_seqs > p->base.lm.info.seqs_max) return s->seqs;
    for (int32_t i = 0; i < s->n_seqs; i++) {
        p->seqs[i] = s->seqs[i];
        p->seqs[i].state = s->states[i];
    }
    return p->seqs;
}

static status paged_step(struct lm *lm, const struct lm_step *s, struct err *err)
{
    struct lm_paged *p = (struct lm_paged *)lm;
    const bool embeds = lm->info.takes_embeds;
    struct binding b[2];
    struct step step = { .n_tokens = s->n_tokens,
                         .n_seqs = s->n_seqs,
                         .n_rows = s->n_rows,
                         .seqs = with_states(p, s),
                         .rows = s->rows,
                         .kv = s->kv };

    if (embeds != (s->embeds != NULL) || embeds == (s->ids != NULL))
        return FAIL(err, ST_INVALID, "this model takes %s", embeds ? "embeddings" : "token ids");
    b[0].value = p->plan.input;
    b[0].tensor.type = type_make(embeds ? DT_F32 : DT_I32, embeds ? 2 : 1,
                                 (int64_t[]){ s->n_tokens, lm->info.hidden });
    b[0].tensor.data = embeds ? (void *)(uintptr_t)s->embeds : (void *)(uintptr_t)s->ids;
    b[1].value = p->plan.output;
    b[1].tensor.type = type_make(DT_F32, 2, (int64_t[]){ s->n_rows, lm->info.width });
    b[1].tensor.data = s->out;
    step.bindings = b;
    step.n_bindings = 2;
    return lm->backend->ops->execute(lm->backend, p->plan.program, &step, err);
}

/* ---- states: one buffer a sequence, zeroed ---- */

static status paged_state_create(struct lm *lm, void **state, struct err *err)
{
    struct buffer *b;

    *state = NULL;
    if (lm->info.state_bytes == 0) return ST_OK;
    if (!(b = mem_calloc(1, sizeof *b))) return FAIL(err, ST_NOMEM, "a sequence's state");
    const status st = lm->backend->ops->alloc(lm->backend, lm->info.state_bytes, b, err);
    if (st != ST_OK) {
        mem_free(b);
        return st;
    }
    *state = b;
    return ST_OK;
}

static void paged_state_destroy(struct lm *lm, void *state)
{
    if (!state) return;
    lm->backend->ops->free(lm->backend, state);
    mem_free(state);
}

static status paged_state_copy(struct lm *lm, void *to, const void *from, struct err *err)
{
    const struct backend_ops *ops = lm->backend->ops;
    const struct buffer *src = from;
    const struct view dst = { to, 0 };
    const size_t n = lm->info.state_bytes;

    if (n == 0) return ST_OK;
    if (src->host) return ops->write(lm->backend, dst, src->host, n, err);
    void *bounce = mem_alloc(n);
    if (!bounce) return FAIL(err, ST_NOMEM, "a sequence's state");
    status st = ops->read(lm->backend, bounce, (struct view){ (struct buffer *)(uintptr_t)from, 0 },
                          n, err);
    if (st == ST_OK) st = ops->write(lm->backend, dst, bounce, n, err);
    mem_free(bounce);
    return st;
}

static status paged_state_rewind(struct lm *lm, void *state, int64_t length, struct err *err)
{
    (void)state;
    (void)length;
    if (lm->info.state_bytes == 0) return ST_OK; /* pages hold everything */
    return FAIL(err, ST_UNSUPPORTED, "a state of fixed size cannot go back");
}

static void paged_close(struct lm *lm)
{
    struct lm_paged *p = (struct lm_paged *)lm;

    plan_fini(&p->plan);
    mem_free(p->seqs);
    lm_base_free(&p->base);
}

static const struct lm_ops paged_ops = { paged_step,       paged_state_create, paged_state_destroy,
                                         paged_state_copy, paged_state_rewind, paged_close };

static status fill_info(struct lm_paged *p, const struct lower_info *in, const struct lm_bounds *b,
                        int piece_tokens, struct err *err)
{
    struct lm_info *info = &p->base.lm.info;
    struct lm_kv_shape *kv =
        ARENA_ARRAY(&p->base.arena, (size_t)in->n_layers + 1, struct lm_kv_shape);

    p->seqs = mem_calloc((size_t)b->seqs_max, sizeof *p->seqs);
    if (!kv || !p->seqs) return FAIL(err, ST_NOMEM, "out of memory");
    for (int i = 0; i < in->n_layers; i++)
        kv[i] = (struct lm_kv_shape){ in->kv[i].n_heads, in->kv[i].head_dim, in->kv[i].window,
                                      in->kv[i].bits };
    *info = (struct lm_info){ .vocab = in->vocab,
                              .hidden = in->hidden,
                              .width = in->hidden_only ? in->hidden : in->vocab,
                              .paged = true,
                              .piece_tokens = piece_tokens,
                              .takes_embeds = in->takes_embeds,
                              .hidden_only = in->hidden_only,
                              .long_threshold = in->long_threshold,
                              .context_length = in->positions,
                              .n_kv_layers = in->n_layers,
                              .kv_shapes = kv,
                              .kv_dtype = in->n_layers > 0 ? in->kv_dtype : DT_F32,
                              .state_bytes = (size_t)in->state_floats * sizeof(float),
                              .fixed_state = in->n_states > 0,
                              .tokens_max = b->tokens_max,
                              .rows_max = b->tokens_max,
                              .seqs_max = b->seqs_max };
    return ST_OK;
}

status lm_paged_create(struct lm **out, struct backend *be, struct graph *graph,
                       const struct lower_info *info, const struct engine_config *cfg,
                       struct err *err)
{
    int piece_tokens = 0;
    const struct lm_bounds b =
        info->whole_pieces ? lm_bounds_pieces(cfg, &piece_tokens) : lm_bounds_of(cfg);
    const struct plan_config pc = { b.tokens_max, b.tokens_max, b.seqs_max, cfg->progress,
                                    cfg->progress_user };
    struct lm_paged *p = mem_calloc(1, sizeof *p);
    status st;

    *out = NULL;
    if (!p) return FAIL(err, ST_NOMEM, "out of memory");
    p->base.lm.ops = &paged_ops;
    st = fill_info(p, info, &b, piece_tokens, err);
    if (st == ST_OK) st = plan_open(&p->plan, graph, be, &pc, err);
    if (st != ST_OK) {
        mem_free(p->seqs);
        arena_fini(&p->base.arena);
        mem_free(p);
        return st;
    }
    p->base.lm.backend = be;
    p->base.graph = graph;
    p->base.lm.info.weight_bytes = p->plan.packed_bytes;
    p->base.lm.info.bytes_per_token = p->plan.bytes_per_token;
    p->base.lm.info.ops_per_token = p->plan.ops_per_token;
    p->base.lm.info.ops_per_row = p->plan.ops_per_row;
    *out = &p->base.lm;
    return ST_OK;
}
