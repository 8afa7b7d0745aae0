/* SPDX-License-Identifier: MIT */
/* Statements: output, if, for, set, macros, blocks. Every for-pass, with, macro and block has its
 * own scope; reading goes outwards, writing stays. */
#include "tokenizer/tmpl.h"
#include <string.h>

static bool exec(struct run *r, const struct node *n);

struct scope *scope_new(struct run *r, struct scope *parent)
{
    struct scope *s = RUN_NEW(r, struct scope);

    if (!s)
        run_no_memory(r);
    else
        s->parent = parent;
    return s;
}

bool scope_set(struct run *r, struct scope *s, uint32_t name_id, struct tv value)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->vars[i].name_id != name_id) continue;
        s->vars[i].value = value;
        return true;
    }
    if (s->n == s->cap) {
        void *vars = run_grow(r, s->vars, &s->cap, s->n + 1, sizeof *s->vars);
        if (!vars) return run_no_memory(r);
        s->vars = vars;
    }
    s->vars[s->n++] = (struct var){ name_id, value };
    return true;
}

/* ---- assignment ---- */

static bool assign_attribute(struct run *r, const struct node *target, struct tv value)
{
    struct tv space, key;

    if (!eval(r, target->a, &space)) return false;
    r->line = target->line;
    if (space.type != TV_NAMESPACE)
        return run_fail(r, "runtime", "cannot assign attribute on non-namespace object");
    if (target->text.n && target->text.p[0] == '_')
        return run_fail(
            r, "security",
            "Chat templates cannot store underscore-prefixed attributes on a namespace");
    return tv_string_borrow(r, target->text.p, target->text.n, &key) &&
           tv_dict_set(r, space.u.dict, key, value);
}

bool assign(struct run *r, const struct node *target, struct tv value)
{
    struct tv *items;
    size_t n;

    if (target->type == N_NAME) return scope_set(r, r->scope, target->name_id, value);
    if (target->type == N_NSREF) return assign_attribute(r, target, value);
    r->line = target->line;
    if (value.type == TV_UNDEFINED) return undefined_error(r, &value);
    if (tv_is_number(&value) || value.type == TV_NONE)
        return run_fail(r, "type", "cannot unpack non-iterable %s object", tv_type_name(&value));
    if (!tv_items(r, &value, &items, &n)) return false;
    if (n != target->list.n)
        return run_fail(r, "ValueError",
                        n > target->list.n ? "too many values to unpack (expected %zu)"
                                           : "not enough values to unpack (expected %zu)",
                        target->list.n);
    for (size_t i = 0; i < n; i++)
        if (!assign(r, target->list.items[i], items[i])) return false;
    return true;
}

/* ---- capturing ---- */

bool capture(struct run *r, const struct node_list *body, struct tv *out)
{
    struct str text = { .limit = r->limits.memory_max }, *before = r->out;

    r->out = &text;
    const bool ok = exec_body(r, body);
    r->out = before;
    if (!ok) str_fini(&text);
    if (!ok || !tv_string_take(r, &text, out)) return false;
    out->markup = r->autoescape;
    return true;
}

/* A body in a scope of its own. */
static bool capture_scoped(struct run *r, const struct node_list *body, struct tv *out)
{
    struct scope *before = r->scope;

    if (!(r->scope = scope_new(r, before))) return false;
    const bool ok = capture(r, body, out);
    r->scope = before;
    return ok;
}

/* Runs filters whose innermost subject is missing on a value. */
static bool filter_chain(struct run *r, const struct node *n, const struct tv *v, struct tv *out)
{
    const struct filter_row *row = n->entry;
    struct tv inner = *v;
    struct targs args;

    if (n->a && !filter_chain(r, n->a, v, &inner)) return false;
    if (!eval_args(r, &n->args, &args)) return false;
    r->line = n->line;
    if (!row)
        return run_fail(r, "runtime", "No filter named '%.*s' found.", (int)n->text.n, n->text.p);
    return row->fn(r, &inner, &args, out);
}

/* ---- loops ---- */

/* Items that pass the loop's own test. */
static bool filter_items(struct run *r, const struct node *n, struct tv **items, size_t *count)
{
    struct scope *before = r->scope;
    struct tv kept, test;

    if (!tv_list(r, TV_LIST, *count, &kept)) return false;
    for (size_t i = 0; i < *count; i++) {
        if (!(r->scope = scope_new(r, before))) break;
        if (!assign(r, n->a, (*items)[i]) || !eval(r, n->c, &test)) break;
        if (tv_truth(&test)) kept.u.list->items[kept.u.list->n++] = (*items)[i];
    }
    r->scope = before;
    *items = kept.u.list->items;
    *count = kept.u.list->n;
    return r->st == ST_OK;
}

static bool loop_pass(struct run *r, const struct node *n, struct tloop *loop, uint32_t loop_id)
{
    if (!run_pay(r, 1) || !(r->scope = scope_new(r, loop->scope))) return false;
    if (!scope_set(r, r->scope, loop_id, (struct tv){ .type = TV_LOOP, .u.loop = loop }))
        return false;
    return assign(r, n->a, loop->items[loop->index]) && exec_body(r, &n->list);
}

static bool loop_passes(struct run *r, const struct node *n, struct tloop *loop)
{
    const struct tstr name = { "loop", 4 };
    uint64_t loop_id;

    if (!map_get(&r->t->name_ids, name.p, name.n, &loop_id))
        loop_id = UINT32_MAX; /* nobody asks for it */
    for (loop->index = 0; loop->index < loop->n; loop->index++) {
        if (!loop_pass(r, n, loop, (uint32_t)loop_id)) return false;
        const enum flow flow = r->flow;
        r->flow = FLOW_ON;
        if (flow == FLOW_BREAK) break;
    }
    return true;
}

bool run_loop(struct run *r, const struct node *n, struct scope *scope, const struct tv *iterable,
              int64_t depth)
{
    struct scope *before = r->scope;
    struct tloop *loop = RUN_NEW(r, struct tloop);
    bool ok;

    if (!loop) return run_no_memory(r);
    if (++r->calls > r->limits.depth_max)
        return run_fail(r, "RecursionError", "loops and macros are nested too deeply");
    *loop = (struct tloop){ .node = n, .scope = scope, .depth = depth };
    r->scope = scope;
    r->line = n->line;
    ok = tv_items(r, iterable, &loop->items, &loop->n) &&
         (!n->c || filter_items(r, n, &loop->items, &loop->n));
    if (ok) {
        ok = loop->n ? loop_passes(r, n, loop) : true;
        r->scope = before;
        if (ok && loop->n == 0 && n->other.n) {
            r->scope = scope_new(r, scope);
            ok = r->scope && exec_body(r, &n->other);
        }
    }
    r->scope = before;
    r->calls--;
    return ok;
}

/* ---- macros ---- */

static bool bind_kwargs(struct run *r, const struct tmacro *m, const struct targs *args, bool *used,
                        struct tv *kwargs)
{
    if (!tv_dict(r, kwargs)) return false;
    for (size_t i = 0; i < args->n_kw; i++) {
        struct tv key;
        const struct tstr name = args->kw[i].name;

        if (used[i]) continue;
        if (!m->node->uses_kwargs)
            return run_fail(r, "type", "macro '%s' takes no keyword argument '%.*s'", m->name,
                            (int)name.n, name.p);
        if (!tv_string_borrow(r, name.p, name.n, &key) ||
            !tv_dict_set(r, kwargs->u.dict, key, args->kw[i].value))
            return false;
    }
    return true;
}

static bool take_keyword(const struct targs *args, struct tstr name, bool *used, struct tv *out)
{
    for (size_t i = 0; i < args->n_kw; i++) {
        if (args->kw[i].name.n != name.n || memcmp(args->kw[i].name.p, name.p, name.n) != 0)
            continue;
        used[i] = true;
        *out = args->kw[i].value;
        return true;
    }
    return false;
}

static bool set_named(struct run *r, const char *name, struct tv value)
{
    uint64_t id;

    return !map_get(&r->t->name_ids, name, strlen(name), &id) ||
           scope_set(r, r->scope, (uint32_t)id, value);
}

static bool missing_argument(struct run *r, struct tstr name, struct tv *out)
{
    struct str text = { 0 };
    struct tv kept;

    str_printf(&text, "parameter '%.*s' was not provided", (int)name.n, name.p);
    return tv_string_take(r, &text, &kept) && tv_undefined(r, UNDEF_TEXT, "", *kept.u.s, out);
}

/* Named arguments, in order; a default may speak of those before it. */
static bool bind_named(struct run *r, const struct node *n, const struct targs *args, bool *used)
{
    const size_t first_default = n->args.n - n->other.n;

    for (size_t i = 0; i < n->args.n; i++) {
        const struct node *param = n->args.items[i];
        struct tv v;

        if (i < args->n)
            v = args->pos[i];
        else if (!take_keyword(args, param->text, used, &v)) {
            if (i >= first_default ? !eval(r, n->other.items[i - first_default], &v)
                                   : !missing_argument(r, param->text, &v))
                return false;
        }
        if (!scope_set(r, r->scope, param->name_id, v)) return false;
    }
    return true;
}

static bool bind_rest(struct run *r, const struct tmacro *m, const struct targs *args, bool *used)
{
    const struct node *n = m->node;
    struct tv v;

    if (n->uses_caller) {
        static const char text[] = "No caller defined";
        if (!take_keyword(args, (struct tstr){ "caller", 6 }, used, &v) &&
            !tv_undefined(r, UNDEF_TEXT, "", (struct tstr){ text, sizeof text - 1 }, &v))
            return false;
        if (!set_named(r, "caller", v)) return false;
    }
    if (!bind_kwargs(r, m, args, used, &v)) return false;
    if (n->uses_kwargs && !set_named(r, "kwargs", v)) return false;
    if (!n->uses_varargs) {
        if (args->n <= n->args.n) return true;
        return run_fail(r, "type", "macro '%s' takes not more than %zu argument(s)", m->name,
                        n->args.n);
    }
    if (!tv_list(r, TV_TUPLE, args->n, &v)) return false;
    for (size_t i = n->args.n; i < args->n; i++)
        if (!tv_append(r, v.u.list, args->pos[i])) return false;
    return set_named(r, "varargs", v);
}

bool call_macro(struct run *r, const struct tmacro *m, const struct targs *args, struct tv *out)
{
    struct scope *before = r->scope;
    bool *used = RUN_ARRAY(r, args->n_kw + 1, bool);
    const bool was = r->autoescape;
    bool ok;

    if (!used) return run_no_memory(r);
    if (++r->calls > r->limits.depth_max)
        return run_fail(r, "RecursionError", "loops and macros are nested too deeply");
    if (!(r->scope = scope_new(r, m->scope))) return false;
    r->autoescape = m->autoescape;
    ok = bind_named(r, m->node, args, used) && bind_rest(r, m, args, used) &&
         capture(r, &m->node->list, out);
    r->autoescape = was; /* the result is Markup as the caller's place has it */
    if (ok) out->markup = was;
    r->scope = before;
    r->calls--;
    return ok;
}

static bool macro_value(struct run *r, const struct node *n, struct tv *out)
{
    struct tmacro *m = RUN_NEW(r, struct tmacro);

    if (!m) return run_no_memory(r);
    m->node = n;
    m->scope = r->scope;
    m->autoescape = r->autoescape;
    m->name = run_strndup(r, n->text.p, n->text.n);
    if (!m->name) return run_no_memory(r);
    *out = (struct tv){ .type = TV_MACRO, .u.macro = m };
    return true;
}

static bool exec_call_block(struct run *r, const struct node *n)
{
    struct targs args;
    struct tv callee, caller, result;
    size_t cap;

    if (!macro_value(r, n, &caller) || !eval(r, n->a->a, &callee) ||
        !eval_args(r, &n->a->args, &args))
        return false;
    cap = args.n_kw;
    void *kw = run_grow(r, args.kw, &cap, args.n_kw + 1, sizeof *args.kw);
    if (!kw) return run_no_memory(r);
    args.kw = kw;
    args.kw[args.n_kw++] = (struct tkwarg){ { "caller", 6 }, caller };
    r->line = n->line;
    return call_value(r, &callee, &args, &result) && tv_put_str(r, r->out, &result);
}

/* ---- the others ---- */

/* What is not Markup is escaped. */
bool put_safe(struct run *r, struct str *out, const struct tv *v)
{
    struct str text = { .limit = r->limits.memory_max };

    if (v->type == TV_STRING && v->markup) return tv_put_str(r, out, v);
    const bool ok = tv_put_str(r, &text, v);
    if (ok) put_escaped(out, str_cstr(&text), text.len);
    str_fini(&text);
    return ok;
}

static bool exec_output(struct run *r, const struct node *n)
{
    struct tv v;

    r->line = n->line;
    if (!eval(r, n->a, &v)) return false;
    if (!(r->autoescape ? put_safe(r, r->out, &v) : tv_put_str(r, r->out, &v))) return false;
    return !r->out->failed || run_str_failed(r, r->out);
}

static bool exec_if(struct run *r, const struct node *n)
{
    for (size_t i = 0; i < n->list.n; i++) {
        struct tv test;

        if (!eval(r, n->list.items[i]->a, &test)) return false;
        if (tv_truth(&test)) return exec_body(r, &n->list.items[i]->list);
    }
    return exec_body(r, &n->other);
}

static bool exec_for(struct run *r, const struct node *n)
{
    struct tv iterable;

    return eval(r, n->b, &iterable) && run_loop(r, n, r->scope, &iterable, 0);
}

static bool exec_set(struct run *r, const struct node *n)
{
    struct tv v;

    return eval(r, n->b, &v) && assign(r, n->a, v);
}

static bool exec_set_block(struct run *r, const struct node *n)
{
    struct tv v;

    if (!capture_scoped(r, &n->list, &v)) return false;
    if (n->b && !filter_chain(r, n->b, &v, &v)) return false;
    return assign(r, n->a, v);
}

static bool exec_filter_block(struct run *r, const struct node *n)
{
    struct tv v;

    return capture_scoped(r, &n->list, &v) && filter_chain(r, n->a, &v, &v) &&
           tv_put_str(r, r->out, &v);
}

static bool exec_autoescape(struct run *r, const struct node *n)
{
    struct scope *before = r->scope;
    const bool was = r->autoescape;
    struct tv on;

    if (!eval(r, n->a, &on) || !(r->scope = scope_new(r, before))) {
        r->scope = before;
        return false;
    }
    r->autoescape = tv_truth(&on);
    const bool ok = exec_body(r, &n->list);
    r->autoescape = was;
    r->scope = before;
    return ok;
}

static bool exec_with(struct run *r, const struct node *n)
{
    struct scope *before = r->scope, *inner = scope_new(r, before);
    bool ok = inner != NULL;

    for (size_t i = 0; ok && i + 1 < n->args.n; i += 2) {
        struct tv v;
        ok = eval(r, n->args.items[i + 1], &v) && scope_set(r, inner, n->args.items[i]->name_id, v);
    }
    r->scope = inner;
    ok = ok && exec_body(r, &n->list);
    r->scope = before;
    return ok;
}

static bool exec_macro(struct run *r, const struct node *n)
{
    struct tv v;

    return macro_value(r, n, &v) && scope_set(r, r->scope, n->name_id, v);
}

static bool exec(struct run *r, const struct node *n)
{
    r->line = n->line;
    switch (n->type) {
    case N_DATA:
        str_put_n(r->out, n->text.p, n->text.n);
        if (r->out->failed) return run_str_failed(r, r->out);
        return run_pay(r, 1 + n->text.n / 256);
    case N_OUTPUT: return exec_output(r, n);
    case N_IF: return exec_if(r, n);
    case N_FOR: return exec_for(r, n);
    case N_SET: return exec_set(r, n);
    case N_SET_BLOCK: return exec_set_block(r, n);
    case N_MACRO: return exec_macro(r, n);
    case N_CALL_BLOCK: return exec_call_block(r, n);
    case N_FILTER_BLOCK: return exec_filter_block(r, n);
    case N_WITH: return exec_with(r, n);
    case N_AUTOESCAPE: return exec_autoescape(r, n);
    case N_BODY: return exec_body(r, &n->list);
    case N_BREAK: r->flow = FLOW_BREAK; return true;
    case N_CONTINUE: r->flow = FLOW_CONTINUE; return true;
    case N_NO_LOADER: return run_fail(r, "type", "no loader for this environment specified");
    default: return run_fail(r, "runtime", "not a statement");
    }
}

bool exec_body(struct run *r, const struct node_list *body)
{
    bool ok = true;

    if (++r->evals > EVALS_MAX) return run_fail(r, "limit", "statements are nested too deeply");
    for (size_t i = 0; ok && i < body->n && r->flow == FLOW_ON; i++)
        ok = run_pay(r, 1) && exec(r, body->items[i]);
    r->evals--;
    return ok;
}
