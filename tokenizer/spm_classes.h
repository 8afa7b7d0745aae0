/* SPDX-License-Identifier: MIT */
/* What transformers makes of a tokenizer.model depends on tokenizer_config.json's tokenizer_class:
 * where the pieces go, what stands round them, and the pipeline. One row per class. */
#pragma once
#include <stdbool.h>

enum spm_layout {
    SPM_AS_IS,
    SPM_FAIRSEQ,   /* <s> <pad> </s> <unk>, then the file's pieces from the fourth on */
    SPM_CAMEMBERT, /* five pieces, then the file's from the second on */
    SPM_PEGASUS, /* <pad> </s> <mask_1> <mask_2> <unk_2> … <unk_102>, the file's from the third */
};

/* What follows the file's pieces. */
enum spm_tail { SPM_NO_TAIL, SPM_EXTRA_IDS, SPM_MBART, SPM_MBART50, SPM_CONFIG_NAMES, SPM_MADE_UP };

/* A pipeline, with the names that tokenizer.json has. In a list of normalizers, {"type":"Charsmap"}
 * is the file's own map; "when" and "unless" name a switch of tokenizer_config.json, "default" its
 * value where absent. */
struct spm_class {
    const char *names; /* separated by blanks, without "Fast" */
    enum spm_layout layout;
    enum spm_tail tail;
    bool mask;           /* <mask> is the last piece */
    bool byte_fallback;  /* even where the file does not ask for it */
    bool number_penalty; /* pieces that end in a digit and a comma cost 100 */
    const char *normalizers, *pre_tokenizer, *decoder; /* JSON */
    /* What goes round a text: "bos_token", … with what it is called where the settings do not say,
     * "lang" the language; NULL: bos and eos as add_bos_token (default true) and add_eos_token say.
     */
    const char *post;     /* "before|after", names separated by blanks */
    const char *specials; /* names of bos eos unk sep pad cls mask, "-": none */
    const char *lang;
};

/* NULL: no such class, which means SentencePiece's own pipeline. `legacy` and add_prefix_space are
 * settings of Llama's class. */
const struct spm_class *spm_class_find(const char *name, bool legacy);
/* Language codes of the tail, NULL at the end. */
const char *const *spm_class_languages(enum spm_tail tail);
