/* SPDX-License-Identifier: MIT */
/* JSON text to value trees, from a reader that may stand in the middle of a text. */
#pragma once
#include "tokenizer/json_reader.h"
#include "tokenizer/jvalue.h"

/* Reads one value into the arena; NULL on error (r->st says which). An integer beyond int64 becomes
 * a double here. */
struct jvalue *jvalue_read(struct arena *a, struct json_reader *r);

/* Typed members for loaders; a null counts as absent. False and an error naming `where` and `key`
 * when the type is another. */
status jvalue_want_str(const struct jvalue *dict, const char *where, const char *key,
                       const struct jvalue **out, struct err *err);
status jvalue_want_bool(const struct jvalue *dict, const char *where, const char *key, bool *out,
                        struct err *err);
struct int_range {
    int64_t min, max;
};
status jvalue_want_int(const struct jvalue *dict, const char *where, const char *key,
                       struct int_range range, int64_t *out, struct err *err);
/* True when v is that text. */
bool jvalue_is_text(const struct jvalue *v, const char *text);
