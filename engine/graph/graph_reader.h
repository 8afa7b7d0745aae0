/* SPDX-License-Identifier: MIT */
/* Words of the text form: names, numbers, strings, types, elements. For engine/graph only. */
#pragma once
#include "engine/graph/graph.h"

struct graph_reader {
    const char *p, *end;
    int line;
    struct graph *root; /* symbols and the arena */
    struct err *err;
};

/* ST_FORMAT "line N: …". */
status reader_fail(const struct graph_reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
status reader_no_memory(const struct graph_reader *r);
/* Next character after blanks and comments, not consumed; 0 at the end. */
char reader_peek(struct graph_reader *r);
/* Consumes c if it is next. */
bool reader_accept(struct graph_reader *r, char c);
status reader_expect(struct graph_reader *r, char c);
/* A name, bare or in quotes, into the arena. *quoted may be NULL. */
status reader_name(struct graph_reader *r, const char **name, bool *quoted);
/* Consumes the bare word if it is next. */
bool reader_word(struct graph_reader *r, const char *word);
status reader_string(struct graph_reader *r, const char **s, size_t *n);
status reader_i64(struct graph_reader *r, int64_t *v);
/* A number's text, for the caller to convert. */
status reader_number(struct graph_reader *r, char *buf, size_t size);
status reader_float_text(const struct graph_reader *r, const char *text, float *f);
/* "f32[2,batch]". */
status reader_type(struct graph_reader *r, struct tensor_type *t);
/* Elements of a known type: {…}, fill(…) or hex("…"), into the arena. */
status reader_data(struct graph_reader *r, const struct tensor_type *t, void **data);
