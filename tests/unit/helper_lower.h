/* SPDX-License-Identifier: MIT */
/* Graphs in text form through the passes and lower_decoder. */
#pragma once
#include "engine/passes/passes.h"

/* For cmocka_run_group_tests: the backend that lowering computes with. */
int lower_setup(void **state);
int lower_teardown(void **state);
struct backend *lower_backend(void);

/* A lowered graph printed, or without one the reason; frees the graph. The caller frees the text.
 */
char *lowered_text(struct graph *low, const struct err *why);
/* The lowered form printed, or the reason of refusal; for a context of 64 positions. info->kv
 * is that of up to four layers, until the next call. */
char *lowered(const char *text, struct lower_info *info, status *st);
/* The printed form has every text of `found` (up to NULL), and not `missing` (may be NULL). */
void expect_lowered(const char *text, const char *const *found, const char *missing);
void expect_refusal(const char *text, const char *reason);
