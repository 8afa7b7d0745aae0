/* SPDX-License-Identifier: MIT */
/* Whole decodes of many ids: where each piece but the first ones has one text wherever it stands,
 * the texts of all ids are made once, by the chain of decoders itself, and a decode joins them.
 * Made on the first long decode. */
#pragma once
#include "tokenizer/tok_internal.h"

struct decode_table;

/* Looks at the decoders; *out NULL where they do not allow it. */
status decode_table_create(struct decode_table **out, const struct tokenizer *tok, struct err *err);
/* Accepts NULL. */
void decode_table_destroy(struct decode_table *table);
/* Is a decode of n ids worth the table? */
bool decode_table_wants(const struct decode_table *table, size_t n);
/* As tokenizer_decode. Thread-safe. */
status decode_table_run(struct decode_table *table, const int32_t *ids, size_t n, bool skip_special,
                        struct str *out, struct err *err);
/* Appends the text of an id as it stands behind others. Thread-safe. */
status decode_table_put(struct decode_table *table, int32_t id, struct str *out, struct err *err);
