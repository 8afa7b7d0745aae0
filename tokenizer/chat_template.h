/* SPDX-License-Identifier: MIT */
/* Chat templates: a Jinja engine with the semantics that transformers gives to templates (immutable
 * sandbox, trim_blocks, lstrip_blocks, loop controls, generation tag, autoescape off). */
#pragma once
#include "base/base.h"
#include "tokenizer/jvalue.h"
#include <stddef.h>
#include <stdint.h>

/* A compiled template. Immutable: many threads may render it at once. */
struct chat_template;

/* Budgets of one rendering; a field that is 0 has the default. */
struct template_limits {
    uint64_t fuel_max;  /* evaluation steps; default 20 million */
    uint32_t depth_max; /* nested calls (macros, recursive loops); default 100 */
    size_t output_max;  /* bytes; default 64 MiB */
    size_t memory_max;  /* bytes of values made while rendering; default 256 MiB */
};

/* Compiles source[0..n) (at most 4 MiB). ST_INVALID: syntax error, the text says the line and what
 * was expected. *out is the caller's: chat_template_destroy. The source is copied. */
status chat_template_compile(struct chat_template **out, const char *source, size_t n,
                             struct err *err);
/* Accepts NULL. */
void chat_template_destroy(struct chat_template *tmpl);

/* Renders with the variables of `context` (a dict) and the globals raise_exception, strftime_now
 * (needs chat_template_render_at, or uses the system's local time), range, dict, namespace, joiner,
 * cycler, lipsum. Appends to *out. ST_INVALID: the template raised or met an error; the text has
 * the line, or for raise_exception exactly its message. ST_LIMIT: a budget is spent. limits may be
 * NULL. */
status chat_template_render(const struct chat_template *tmpl, const struct jvalue *context,
                            const struct template_limits *limits, struct str *out, struct err *err);

enum { TEMPLATE_ERROR_KIND_MAX = 32 };

/* How a rendering goes beside its variables. Zero-initialised: the defaults. */
struct template_options {
    struct template_limits limits;
    int64_t now; /* seconds since 1970 of the wall clock to show, 0 = the system's local time */
    /* Filled by a failed rendering: raised, undefined, type, syntax, runtime, security, limit,
     * memory, or the name of the Python exception (ValueError, …). */
    char error_kind[TEMPLATE_ERROR_KIND_MAX];
};

/* As chat_template_render, with options (in and out). */
status chat_template_render_at(const struct chat_template *tmpl, const struct jvalue *context,
                               struct template_options *options, struct str *out, struct err *err);
