/* SPDX-License-Identifier: MIT */
/* cupola bench --tokenizer: load, encode, decode and template of tokenizers, beside the reference
 * libraries of Python where they are installed. */
#pragma once
#include "base/base.h"
#include "tokenizer/tokenizer.h"

struct bench_tok_options {
    const char *text;      /* file to encode; NULL: the built-in one */
    const char *python;    /* interpreter that runs the script */
    const char *reference; /* script; NULL: bench_tokenizers.py where it is shipped; "none" */
    int64_t repeat;        /* 1 to 100 */
    bool json;
};

/* Prints the table for folders dirs[0..n). */
status bench_tokenizers(const struct bench_tok_options *o, const char *const *dirs, int n,
                        struct err *err);

/* ---- the text: bench_text.c ---- */

/* A fixed mixture of languages, code, numbers and signs: n bytes, valid UTF-8. */
void bench_text(struct str *out, size_t n);

/* ---- the reference: bench_reference.c ---- */

/* A child that runs the script and answers one request at a time. */
struct reference;

/* What one repetition took, as the child says it. */
struct reference_answer {
    double seconds; /* < 0: the reference does not do this; why is in `note` */
    double count;   /* ids or bytes it made, 0 where there is nothing to count */
    char note[160];
};

/* NULL when python or the script cannot be started. Destroy with reference_stop. */
struct reference *reference_start(const char *python, const char *script);
void reference_stop(struct reference *r);
/* Path of the shipped script, mem_free it; NULL if there is none. */
char *reference_script(void);
/* What the child says of itself: the libraries it has, or what is missing. */
const char *reference_about(const struct reference *r);
/* One request: a verb, the folder and the path of the text. False when the child is gone. */
bool reference_ask(struct reference *r, const char *verb, const char *dir, const char *text,
                   struct reference_answer *out);
