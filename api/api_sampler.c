/* SPDX-License-Identifier: MIT */
/* Samplers. */
#include "api/api_internal.h"

struct cupola_sampler {
    struct token_sampler *sampler;
    int64_t vocab;
};

int64_t api_sampler_vocab(const struct cupola_sampler *s) { return s->vocab; }

static status sampling_take(const struct cupola_sampling *given, struct sampling *out,
                            struct logit_bias **bias, struct err *err)
{
    static const size_t first = offsetof(struct cupola_sampling, n_bias) + sizeof(size_t);
    struct cupola_sampling s;

    TRY(api_take_struct(&s, sizeof s, first, given, "cupola_sampling", err));
    if (s.n_bias > 0) TRY(s.bias ? ST_OK : api_null("bias", err));
    *out = (struct sampling){ .temperature = s.temperature,
                              .top_p = s.top_p == 0 ? 1 : s.top_p,
                              .min_p = s.min_p,
                              .top_k = s.top_k,
                              .presence_penalty = s.presence_penalty,
                              .frequency_penalty = s.frequency_penalty,
                              .repetition_penalty =
                                  s.repetition_penalty == 0 ? 1 : s.repetition_penalty,
                              .seed = s.seed,
                              .has_seed = s.has_seed != 0,
                              .n_bias = s.n_bias };
    if (s.n_bias == 0) return ST_OK;
    size_t bytes;
    *bias = checked_mul(s.n_bias, sizeof **bias, &bytes) ? mem_alloc(bytes) : NULL;
    if (!*bias) return FAIL(err, ST_NOMEM, "bias: out of memory");
    for (size_t i = 0; i < s.n_bias; i++)
        (*bias)[i] = (struct logit_bias){ .id = s.bias[i].id, .bias = s.bias[i].bias };
    out->bias = *bias;
    return ST_OK;
}

static status sampler_fill(struct cupola_sampler *s, const struct cupola_sampling *given,
                           struct err *err)
{
    struct logit_bias *bias = NULL;
    struct sampling sampling;

    status st = sampling_take(given, &sampling, &bias, err);
    if (st == ST_OK) st = token_sampler_create(&s->sampler, s->vocab, &sampling, err);
    mem_free(bias);
    return st;
}

int32_t cupola_sampler_create(struct cupola_sampler **out, int64_t vocab_size,
                              const struct cupola_sampling *sampling, struct cupola_error *error)
{
    struct err err = { 0 };
    struct cupola_sampler *s = NULL;
    status st = API_NEED(out, &err);

    if (st == ST_OK) {
        *out = NULL;
        st = API_NEED(sampling, &err);
    }
    if (st == ST_OK && (vocab_size < 1 || vocab_size > INT32_MAX))
        st = FAIL(&err, ST_INVALID, "vocab_size: expected 1 to %d, got %lld", INT32_MAX,
                  (long long)vocab_size);
    if (st == ST_OK && !(s = mem_calloc(1, sizeof *s))) st = FAIL(&err, ST_NOMEM, "out of memory");
    if (st == ST_OK) {
        s->vocab = vocab_size;
        st = sampler_fill(s, sampling, &err);
    }
    if (st == ST_OK)
        *out = s;
    else
        cupola_sampler_destroy(s);
    return api_done(st, &err, error);
}

void cupola_sampler_destroy(struct cupola_sampler *sampler)
{
    if (!sampler) return;
    token_sampler_destroy(sampler->sampler);
    mem_free(sampler);
}

int32_t cupola_sampler_see(struct cupola_sampler *sampler, const int32_t *ids, size_t n,
                           struct cupola_error *error)
{
    struct err err = { 0 };
    status st = API_NEED(sampler, &err);

    if (st == ST_OK && n > 0) st = API_NEED(ids, &err);
    if (st == ST_OK) st = token_sampler_see(sampler->sampler, ids, n, &err);
    return api_done(st, &err, error);
}

int32_t cupola_sampler_pick(struct cupola_sampler *sampler, const float *logits, int32_t *id,
                            float *logprob, struct cupola_error *error)
{
    struct err err = { 0 };
    status st = API_NEED(sampler, &err);
    float log_of = 0;

    if (st == ST_OK) st = API_NEED(logits, &err);
    if (st == ST_OK) st = API_NEED(id, &err);
    if (st == ST_OK) {
        *id = -1;
        st = token_sampler_pick(sampler->sampler, logits, id, &log_of, &err);
    }
    if (logprob) *logprob = st == ST_OK ? log_of : 0;
    return api_done(st, &err, error);
}
