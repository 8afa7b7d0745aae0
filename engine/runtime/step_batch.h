/* SPDX-License-Identifier: MIT */
/* The tables of one step: which tokens of which sequences run, and whose rows are wanted. Allocated
 * once at the model's bounds; filled anew for every step. Belongs to whoever holds the engine's
 * turn. */
#pragma once
#include "engine/runtime/sequence.h"

struct step_batch {
    struct lm *lm;
    const struct kv_store *kv; /* NULL when not paged */
    int tokens_max, seqs_max, rows_max;
    int32_t *ids;                /* [tokens_max] */
    struct step_seq *seqs;       /* [seqs_max] */
    struct sequence **sequences; /* [seqs_max] */
    void **states;               /* [seqs_max] */
    int32_t *rows;               /* [rows_max] */
    const int32_t
        *long_ids; /* one sequence's whole prompt in place of ids, where the model asks for it */
    const float *embeds; /* [n_tokens, hidden] in place of ids */
    int32_t n_tokens, n_seqs, n_rows;
};

/* A part of a sequence to be added. */
struct step_part {
    struct sequence *seq; /* has room reserved for length + n */
    const int32_t *ids;   /* [n], or NULL with embeds */
    const float *embeds;  /* [n, hidden] or NULL; then it is the step's only part */
    int32_t n;
    int64_t total;       /* length the sequence's rotary class is decided by */
    const int32_t *rows; /* [n_rows] ascending; rows[i] - row_base is the index within the part
                            whose row is wanted */
    int32_t n_rows, row_base;
};

/* rows_max and tokens_max are the model's, cut to what is asked for. */
status step_batch_init(struct step_batch *b, struct lm *lm, struct kv_pages *kv, struct err *err);
void step_batch_fini(struct step_batch *b);

void step_batch_begin(struct step_batch *b);
/* Adds a part. It fits: n tokens, one sequence, n_rows rows (asserted), except that a lone part may
 * have more tokens than tokens_max where the model takes whole prompts only. */
void step_batch_add(struct step_batch *b, const struct step_part *part);
/* Of `left` tokens that follow position `at` of a sequence: how many the model lets go into one
 * step together (all of them where any split is allowed). Where they end depends on the sequence
 * alone. */
int64_t step_piece(const struct lm_info *info, int64_t at, int64_t left);
/* Runs it: out [n_rows, width] in the order of adding. Afterwards each sequence is longer by its
 * tokens. On failure sequences are as they were, but those whose state is of fixed size are empty.
 */
status step_batch_run(struct step_batch *b, float *out, struct err *err);
