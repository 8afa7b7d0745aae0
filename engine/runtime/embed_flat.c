/* SPDX-License-Identifier: MIT */
/* A lowered encoder: one compiled program; texts of any lengths lie one behind the other in a step,
 * without padding. */
#include "engine/passes/passes.h"
#include "engine/plan/plan.h"
#include "engine/runtime/embed.h"

enum { LENGTH_DEFAULT = 8192, LENGTH_MAX = 65536 };

struct flat {
    struct backend *be;
    struct graph *graph;
    struct plan plan;
    int64_t width, tokens_max;
    int32_t *ids;          /* [tokens_max] */
    struct step_seq *seqs; /* [EMBED_TEXTS_MAX] */
    float *out;            /* [tokens_max, width] */
};

void flat_close(struct flat *f)
{
    if (!f) return;
    plan_fini(&f->plan);
    graph_destroy(f->graph);
    if (f->be) f->be->ops->close(f->be);
    mem_free(f->ids);
    mem_free(f->seqs);
    mem_free(f->out);
    mem_free(f);
}

static status open_plan(struct flat *f, const struct graph *g,
                        const struct lower_encoder_spec *spec, const struct engine_config *cfg,
                        struct err *err)
{
    const struct backend_config bc = { .n_threads = cfg->n_threads,
                                       .isa = cfg->isa,
                                       .precision = cfg->precision };
    const bool automatic = !cfg->device || str_equal(cfg->device, "auto");
    const struct backend_ops *ops = backend_find(automatic ? "cpu" : cfg->device);

    if (!ops)
        return FAIL(err, ST_NOT_FOUND, "device '%s': not built into this binary", cfg->device);
    TRY(ops->open(&f->be, &bc, err));
    const struct pass_context ctx = { .backend = f->be };
    TRY(lower_encoder(g, spec, &ctx, &f->graph, err));
    const struct plan_config pc = { (int)f->tokens_max, (int)f->tokens_max, EMBED_TEXTS_MAX,
                                    cfg->progress, cfg->progress_user };
    TRY(plan_open(&f->plan, f->graph, f->be, &pc, err));
    f->width = f->graph->values[f->graph->outputs[0]].type.dim[1];
    f->ids = mem_calloc((size_t)f->tokens_max, sizeof *f->ids);
    f->seqs = mem_calloc(EMBED_TEXTS_MAX, sizeof *f->seqs);
    f->out = mem_alloc((size_t)f->tokens_max * (size_t)f->width * sizeof *f->out);
    return f->ids && f->seqs && f->out ? ST_OK : FAIL(err, ST_NOMEM, "out of memory");
}

status flat_open(struct flat **out, const struct graph *g, const struct lower_encoder_spec *spec,
                 const struct engine_config *cfg, struct err *err)
{
    struct flat *f = mem_calloc(1, sizeof *f);

    *out = NULL;
    if (!f) return FAIL(err, ST_NOMEM, "out of memory");
    f->tokens_max = spec->length_max > 0 ? spec->length_max : LENGTH_DEFAULT;
    if (f->tokens_max > LENGTH_MAX) f->tokens_max = LENGTH_MAX;
    if (f->tokens_max < EMBED_TOKENS) f->tokens_max = EMBED_TOKENS;
    const status st = open_plan(f, g, spec, cfg, err);
    if (st != ST_OK) {
        flat_close(f);
        return st;
    }
    *out = f;
    return ST_OK;
}

int64_t flat_width(const struct flat *f) { return f->width; }

int64_t flat_tokens_max(const struct flat *f) { return f->tokens_max; }

status flat_run(struct flat *f, const struct embed_text *const *texts, size_t n_texts,
                const float **states, struct err *err)
{
    size_t n = 0;

    if (n_texts == 0 || n_texts > EMBED_TEXTS_MAX)
        return FAIL(err, ST_LIMIT, "%zu texts at once", n_texts);
    for (size_t i = 0; i < n_texts; i++) {
        const size_t length = texts[i]->n;

        if (length == 0 || length > (size_t)f->tokens_max - n)
            return FAIL(err, ST_LIMIT, "%zu tokens, the program takes %lld", length,
                        (long long)f->tokens_max);
        f->seqs[i] = (struct step_seq){ .first = (int32_t)n, .n_tokens = (int32_t)length };
        states[i] = f->out + n * (size_t)f->width;
        for (size_t k = 0; k < length; k++) f->ids[n++] = texts[i]->ids[k];
    }
    const int64_t tokens = (int64_t)n;
    const struct binding b[2] = {
        { f->plan.input, { type_make(DT_I32, 1, &tokens), f->ids } },
        { f->plan.output, { type_make(DT_F32, 2, (int64_t[]){ tokens, f->width }), f->out } },
    };
    const struct step step = { .n_tokens = (int32_t)n,
                               .n_seqs = (int32_t)n_texts,
                               .seqs = f->seqs,
                               .bindings = b,
                               .n_bindings = 2 };
    return f->be->ops->execute(f->be, f->plan.program, &step, err);
}
