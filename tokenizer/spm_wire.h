/* SPDX-License-Identifier: MIT */
/* SentencePiece's ModelProto, as far as a tokenizer needs it. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spm_type { SPM_NORMAL = 1, SPM_UNKNOWN, SPM_CONTROL, SPM_USER_DEFINED, SPM_UNUSED, SPM_BYTE };
enum spm_kind { SPM_UNIGRAM = 1, SPM_BPE, SPM_WORD, SPM_CHAR };

struct spm_piece {
    const char *text; /* in the file's text */
    size_t n;
    float score;
    int type; /* enum spm_type */
};

struct spm_model {
    struct spm_piece *pieces; /* [n_pieces] */
    size_t n_pieces, cap;
    int kind; /* enum spm_kind */
    bool byte_fallback, add_dummy_prefix, remove_extra_whitespaces;
    bool escape_whitespaces, whitespace_as_suffix;
    int32_t unk_id, bos_id, eos_id; /* -1: none */
    const char *charsmap;
    size_t charsmap_n;
    const char *unk_surface; /* what an unknown piece decodes to */
    size_t unk_surface_n;
};

/* Reads text[0..n); pieces and charsmap point into it. ST_FORMAT on anything that is not such a
 * file. */
status spm_read(struct arena *a, const char *text, size_t n, struct spm_model *out,
                struct err *err);
