/* SPDX-License-Identifier: MIT */
/* The sampler chain for a caller's own rows: settings, generator, counts and scratch in one. */
#include "engine/runtime/sampler.h"
#include <string.h>

struct token_sampler {
    struct sampling sampling;
    struct logit_bias *bias; /* [sampling.n_bias] */
    struct sampler_scratch scratch;
    struct token_counts counts;
    struct rng rng;
};

static status token_sampler_fill(struct token_sampler *t, int64_t vocab, const struct sampling *s,
                                 struct err *err)
{
    t->sampling = *s;
    TRY(sampling_check(s, vocab, err));
    if (s->n_bias > 0) {
        t->bias = mem_calloc(s->n_bias, sizeof *t->bias);
        if (!t->bias) return FAIL(err, ST_NOMEM, "sampler: out of memory");
        memcpy(t->bias, s->bias, s->n_bias * sizeof *t->bias);
        t->sampling.bias = t->bias;
    }
    if (sampler_needs_counts(s)) {
        t->counts.generated = mem_calloc((size_t)vocab, sizeof *t->counts.generated);
        if (!t->counts.generated) return FAIL(err, ST_NOMEM, "sampler: out of memory");
    }
    if (!s->has_seed) os_random(&t->sampling.seed, sizeof t->sampling.seed);
    rng_seed(&t->rng, t->sampling.seed, 0); /* as a request's first choice */
    return sampler_scratch_init(&t->scratch, vocab, err);
}

status token_sampler_create(struct token_sampler **out, int64_t vocab, const struct sampling *s,
                            struct err *err)
{
    struct token_sampler *t = mem_calloc(1, sizeof *t);

    *out = NULL;
    if (!t) return FAIL(err, ST_NOMEM, "sampler: out of memory");
    const status st = token_sampler_fill(t, vocab, s, err);
    if (st == ST_OK)
        *out = t;
    else
        token_sampler_destroy(t);
    return st;
}

void token_sampler_destroy(struct token_sampler *t)
{
    if (!t) return;
    sampler_scratch_fini(&t->scratch);
    mem_free(t->counts.generated);
    mem_free(t->bias);
    mem_free(t);
}

status token_sampler_see(struct token_sampler *t, const int32_t *ids, size_t n, struct err *err)
{
    const int64_t vocab = t->scratch.vocab;

    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= vocab)
            return FAIL(err, ST_INVALID,
                        "sampler: token %d at %zu is not in the vocabulary of %lld", (int)ids[i], i,
                        (long long)vocab);
    for (size_t i = 0; t->counts.generated && i < n; i++)
        t->counts.generated[ids[i]] |= TOKEN_IN_PROMPT;
    return ST_OK;
}

status token_sampler_pick(struct token_sampler *t, const float *logits, int32_t *id, float *logprob,
                          struct err *err)
{
    const struct sample_input in = { .logits = logits,
                                     .params = &t->sampling,
                                     .counts = &t->counts };

    TRY(sampler_pick(&t->scratch, &in, &t->rng, id, logprob, err));
    if (t->counts.generated) t->counts.generated[*id]++;
    return ST_OK;
}
