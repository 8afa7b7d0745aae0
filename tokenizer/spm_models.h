/* SPDX-License-Identifier: MIT */
/* The models of a tokenizer.model as SentencePiece itself runs them: words (model_spm_word.c) and
 * BPE by text (model_spm_bpe.c). Both have their pieces in tok->bpe, and a table of types here. */
#pragma once
#include "tokenizer/spm_wire.h"
#include "tokenizer/tok_internal.h"

struct spm_extra {
    const uint8_t *types; /* [n_types] enum spm_type by id */
    size_t n_types;
    /* Characters of pieces that are no pieces themselves: the i-th, in rising order, has the id
     * n_types + i while merges are sought; any other unknown character n_types + n_chars. */
    const int32_t *chars; /* [n_chars] */
    size_t n_chars;
};

/* Is a text that is this piece cut to it? Control symbols, byte tokens and unused pieces are none.
 */
static inline bool spm_is_found(const struct spm_extra *x, int32_t id)
{
    return id >= 0 && (size_t)id < x->n_types &&
           (x->types[id] == SPM_NORMAL || x->types[id] == SPM_USER_DEFINED);
}

/* Types and characters of the pieces into tok->spm. */
status spm_extra_create(struct tokenizer *tok, const struct spm_model *m, struct err *err);
/* What stands for a character in a merge: its piece's id, or one beyond all pieces. */
int32_t spm_extra_char(const struct tokenizer *tok, const char *p, size_t n, int32_t cp);
/* An unknown text: its byte tokens, or the unknown piece unless *after_unknown says that this is
 * what came before. */
status spm_put_unknown(const struct tokenizer *tok, struct enc *e, struct piece in,
                       bool *after_unknown, struct err *err);

extern const struct model_kind model_spm_word, model_spm_bpe;
