/* SPDX-License-Identifier: MIT */
/* From a row of logits to a token: bias -> penalties -> mask -> temperature -> top-k -> top-p ->
 * min-p -> draw.
 *
 * Every cut keeps the most probable tokens (equal ones in order of id), so the result is a function
 * of the row, the parameters, the token counts and the generator - never of what else runs.
 * O(vocabulary); nothing is sorted and nothing is allocated. */
#pragma once
#include "engine/engine.h"

/* xoshiro256**, seeded by splitmix64 of seed and stream: one stream for each choice of a request.
 */
struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *r);
/* In [0, 1), 53 bits. */
double rng_uniform(struct rng *r);

struct sampler_candidate;

/* Scratch for one row at a time, shared by all samplers of a worker. */
struct sampler_scratch {
    int64_t vocab;
    float *logits;                  /* [vocab] */
    struct sampler_candidate *cand; /* [vocab] */
    double *mass;                   /* [SAMPLER_BINS] */
    uint32_t *count;                /* [SAMPLER_BINS] */
    uint32_t *mask;                 /* [TOKEN_SET_WORDS(vocab)] */
};

status sampler_scratch_init(struct sampler_scratch *s, int64_t vocab, struct err *err);
void sampler_scratch_fini(struct sampler_scratch *s);
/* The scratch's set with the whole vocabulary in it: room for a row's mask. */
uint32_t *sampler_full_mask(struct sampler_scratch *s);

/* How often each token of the vocabulary has been seen. */
struct token_counts {
    uint32_t *generated; /* [vocab] times generated, with TOKEN_IN_PROMPT for those of the prompt;
                            NULL: not needed */
};
#define TOKEN_IN_PROMPT UINT32_C(0x80000000)

/* Whether such parameters need counts. */
bool sampler_needs_counts(const struct sampling *p);

struct sample_input {
    const float *logits; /* [vocab] as the model made them */
    const struct sampling *params;
    const struct token_counts *counts; /* generated NULL unless sampler_needs_counts */
    const uint32_t *mask;              /* set of the tokens that may come; NULL: all */
};

/* Picks a token. *logprob = natural log of its probability in softmax(logits), as the model made
 * them. NaN never wins; ST_INTERNAL when nothing can be chosen (every logit that the mask leaves is
 * NaN or -infinity). */
status sampler_pick(struct sampler_scratch *s, const struct sample_input *in, struct rng *rng,
                    int32_t *id, float *logprob, struct err *err);

/* ST_INVALID naming the parameter that is out of range; ids are checked against vocab. */
status sampling_check(const struct sampling *p, int64_t vocab, struct err *err);
