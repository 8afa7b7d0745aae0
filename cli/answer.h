/* SPDX-License-Identifier: MIT */
/* One answer on the terminal: a generation whose tokens arrive on the engine's thread and are
 * printed here. */
#pragma once
#include "engine/engine.h"
#include "tokenizer/tokenizer.h"

struct answer {
    struct str text; /* everything generated */
    enum finish_reason finish;
    char error[ERR_TEXT_MAX]; /* FINISH_ERROR */
    int32_t n_prompt, n_generated;
    double ttft_ms, prefill_tokens_per_s, decode_tokens_per_s;
};

struct answer_options {
    struct sampling sampling;
    int64_t max_tokens; /* 0 = to the context's end */
    const int32_t *stop_ids;
    size_t n_stop;
    bool print;    /* stream to stdout as it comes */
    bool progress; /* a bar while a long prompt is read */
};

/* Generates from `prompt` ids; Ctrl-C (SIGINT) stops the answer. Zero-initialise; answer_fini. */
status answer_generate(struct engine *e, const struct tokenizer *tok,
                       const struct token_ids *prompt, const struct answer_options *opt,
                       struct answer *out, struct err *err);
void answer_fini(struct answer *a);
/* "stop", "length", "cancelled", "error". */
const char *answer_finish_name(enum finish_reason reason);
