/* SPDX-License-Identifier: MIT */
/* A toy language model behind lm_ops, for tests of scheduling without a model file.
 *
 * Its step writes every token into the KV pages and computes logits from what it reads back through
 * the page table, over all positions: a wrong page, a lost token, a wrong position or rotary class
 * changes the answer. fake_expect gives the same answer from the token ids alone. */
#pragma once
#include "engine/runtime/engine_state.h"

enum { FAKE_VOCAB = 61 };

struct fake_options {
    bool dense; /* states instead of pages */
    bool state; /* pages, and beside them a state of fixed size */
    bool whole_prompt;
    int piece_tokens;   /* prompts are cut at multiples of this only */
    bool device_memory; /* buffers without a host address */
    bool hidden_only;
    int64_t long_threshold;
    int tokens_max, seqs_max, rows_max; /* 0: 40, 16, 16 */
    int window;        /* of the second layer: it holds half of what the first is checked against */
    bool all_windowed; /* of the first layer too: then older tokens do not count at all */
};

/* What the model saw; read it while no step runs. */
struct fake_stats {
    int steps;
    int64_t tokens;  /* fed, all steps */
    int seqs_most;   /* sequences in one step */
    int mixed_steps; /* steps with a decode token and a part of a prompt */
    int states;      /* states alive */
};

struct fake_lm;

/* Called at the start of each step, on the stepping thread; may block, may ask for a failure. */
typedef status fake_hook_fn(void *user, const struct lm_step *step, struct err *err);

struct lm *fake_lm_create(const struct fake_options *options);
struct fake_stats *fake_lm_stats(struct lm *lm);
void fake_lm_hook(struct lm *lm, fake_hook_fn *hook, void *user);
/* Rows for sequences of this many tokens are all NaN. 0: none. */
void fake_lm_poison(struct lm *lm, int64_t length);

/* Logits [FAKE_VOCAB] after ids[0..n), all of which count. */
void fake_logits(const int32_t *ids, int64_t n, bool rope_long, float *logits);
/* The tokens a request must give: choice `index` of a request. Writes at most max tokens, returns
 * their number. */
int fake_expect(const struct fake_options *options, const struct gen_request *req, int index,
                int32_t *out, int max);

/* ---- a sink that collects ---- */

enum { COLLECT_CHOICES = 8, COLLECT_TOKENS = 512 };

struct collect {
    int32_t ids[COLLECT_CHOICES][COLLECT_TOKENS];
    float logprobs[COLLECT_CHOICES][COLLECT_TOKENS];
    int n[COLLECT_CHOICES];
    enum finish_reason finish[COLLECT_CHOICES];
    int n_after_finish; /* events that came too late */
    int32_t n_prompt, n_cached;
    char error[ERR_TEXT_MAX];
    int refuse_every; /* > 0: each k-th offer is refused */
    int offers, refused;
    struct generation *resume; /* resumed by the sink itself after a refusal */
};

gen_sink_fn collect_sink;
