/* SPDX-License-Identifier: MIT */
#include "tokenizer/chat_template.h"
#include "tokenizer/tmpl.h"
#include <stdio.h>
#include <string.h>

enum { SOURCE_MAX = 4 << 20, COMPILED_MAX = 512 << 20 };

status tmpl_arena_failure(const struct arena *a)
{
    return a->used_bytes >= a->limit_bytes / 2 ? ST_LIMIT : ST_NOMEM;
}

status chat_template_compile(struct chat_template **out, const char *source, size_t n,
                             struct err *err)
{
    struct chat_template *t;
    struct token_list tokens = { 0 };

    if (n > SOURCE_MAX)
        return FAIL(err, ST_LIMIT, "template: the source is longer than %d bytes", SOURCE_MAX);
    if (!(t = mem_calloc(1, sizeof *t))) return FAIL(err, ST_NOMEM, "template: no memory");
    arena_init(&t->arena, COMPILED_MAX);
    status st = tmpl_lex(&t->arena, source, n, &tokens, err);
    if (st == ST_OK) st = tmpl_parse(t, &tokens, err);
    if (st != ST_OK) {
        chat_template_destroy(t);
        return st;
    }
    *out = t;
    return ST_OK;
}

void chat_template_destroy(struct chat_template *tmpl)
{
    if (!tmpl) return;
    map_fini(&tmpl->name_ids);
    arena_fini(&tmpl->arena);
    mem_free(tmpl);
}

static void set_limits(struct run *r, const struct template_limits *limits)
{
    static const struct template_limits none;
    const struct template_limits *l = limits ? limits : &none;

    r->limits.fuel_max = l->fuel_max ? l->fuel_max : 20 * 1000 * 1000;
    r->limits.depth_max = l->depth_max ? l->depth_max : 100;
    r->limits.output_max = l->output_max ? l->output_max : 64 << 20;
    r->limits.memory_max = l->memory_max ? l->memory_max : 256 << 20;
    r->fuel = r->limits.fuel_max;
    arena_init(&r->arena, 0); /* run_alloc keeps the budget, and tells it from memory */
}

/* The context's variables that the template names. */
static bool load_context(struct run *r, const struct jvalue *context)
{
    struct tv v;

    if (!(r->root = r->scope = scope_new(r, NULL))) return false;
    for (size_t i = 0; context && i < r->t->n_names; i++) {
        const struct jvalue *given = jvalue_get_n(context, r->t->names[i].p, r->t->names[i].n);

        if (!given) continue;
        if (!tv_from_jvalue(r, given, 0, &v) || !scope_set(r, r->root, (uint32_t)i, v))
            return false;
    }
    return true;
}

status chat_template_render_at(const struct chat_template *tmpl, const struct jvalue *context,
                               struct template_options *options, struct str *out, struct err *err)
{
    struct run r = { .t = tmpl, .err = err, .now = options->now };
    struct str text = { 0 };

    if (context && context->type != JVALUE_DICT)
        return FAIL(err, ST_INVALID, "template: the context is not a dict");
    set_limits(&r, &options->limits);
    str_init(&text, r.limits.output_max);
    r.out = &text;
    if (load_context(&r, context)) exec_body(&r, &tmpl->body->list);
    if (r.st == ST_OK) str_put_n(out, str_cstr(&text), text.len);
    snprintf(options->error_kind, sizeof options->error_kind, "%s", r.kind);
    str_fini(&text);
    arena_fini(&r.arena);
    if (r.st == ST_OK && out->failed)
        return FAIL(err, ST_NOMEM, "template: no memory for the result");
    return r.st;
}

status chat_template_render(const struct chat_template *tmpl, const struct jvalue *context,
                            const struct template_limits *limits, struct str *out, struct err *err)
{
    struct template_options options = { 0 };

    if (limits) options.limits = *limits;
    return chat_template_render_at(tmpl, context, &options, out, err);
}
