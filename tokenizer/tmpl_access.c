/* SPDX-License-Identifier: MIT */
/* a.b, a[b], a[b:c]: Python's attributes first for a dot, items first for brackets, undefined where
 * there is neither. What the sandbox forbids is undefined too, and a security error as soon as it
 * is used. */
#include "tokenizer/tmpl.h"
#include <math.h>
#include <string.h>

static bool name_is(struct tstr s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool method_value(struct run *r, const struct tv *self, const struct tfunction *f,
                         struct tv *out)
{
    struct tmethod *m = RUN_NEW(r, struct tmethod);

    if (!m) return run_no_memory(r);
    m->self = *self;
    m->function = f;
    *out = (struct tv){ .type = TV_METHOD, .u.method = m };
    return true;
}

/* ---- attributes that are values ---- */

static bool loop_neighbour(struct run *r, const struct tloop *l, int step, struct tv *out)
{
    const size_t at = l->index + (size_t)step;

    if (at < l->n) {
        *out = l->items[at];
        return true;
    }
    const char *text = step < 0 ? "there is no previous item" : "there is no next item";
    return tv_undefined(r, UNDEF_TEXT, "", (struct tstr){ text, strlen(text) }, out);
}

/* *found false if the loop has no such attribute. */
static bool loop_attribute(struct run *r, const struct tloop *l, struct tstr name, struct tv *out,
                           bool *found)
{
    const int64_t index = (int64_t)l->index, n = (int64_t)l->n;

    *found = true;
    if (name_is(name, "index"))
        *out = tv_int(index + 1);
    else if (name_is(name, "index0"))
        *out = tv_int(index);
    else if (name_is(name, "revindex"))
        *out = tv_int(n - index);
    else if (name_is(name, "revindex0"))
        *out = tv_int(n - index - 1);
    else if (name_is(name, "first"))
        *out = tv_bool(index == 0);
    else if (name_is(name, "last"))
        *out = tv_bool(index + 1 == n);
    else if (name_is(name, "length"))
        *out = tv_int(n);
    else if (name_is(name, "depth"))
        *out = tv_int(l->depth + 1);
    else if (name_is(name, "depth0"))
        *out = tv_int(l->depth);
    else if (name_is(name, "previtem"))
        return loop_neighbour(r, l, -1, out);
    else if (name_is(name, "nextitem"))
        return loop_neighbour(r, l, 1, out);
    else
        *found = false;
    return true;
}

static bool macro_attribute(struct run *r, const struct tmacro *m, struct tstr name, struct tv *out,
                            bool *found)
{
    const struct node *n = m->node;

    *found = true;
    if (name_is(name, "name")) return tv_string(r, m->name, strlen(m->name), out);
    if (name_is(name, "catch_kwargs"))
        *out = tv_bool(n->uses_kwargs);
    else if (name_is(name, "catch_varargs"))
        *out = tv_bool(n->uses_varargs);
    else if (name_is(name, "caller"))
        *out = tv_bool(n->uses_caller);
    else if (name_is(name, "arguments")) {
        if (!tv_list(r, TV_TUPLE, n->args.n, out)) return false;
        for (size_t i = 0; i < n->args.n; i++) {
            struct tv arg;
            const struct tstr text = n->args.items[i]->text;
            if (!tv_string(r, text.p, text.n, &arg) || !tv_append(r, out->u.list, arg))
                return false;
        }
    } else
        *found = false;
    return true;
}

static bool number_attribute(const struct tv *v, struct tstr name, struct tv *out)
{
    if (!tv_is_number(v)) return false;
    if (name_is(name, "real"))
        *out = v->type == TV_BOOL ? tv_int(tv_as_int(v)) : *v;
    else if (name_is(name, "imag"))
        *out = v->type == TV_DOUBLE ? tv_double(0) : tv_int(0);
    else if (name_is(name, "numerator") && v->type != TV_DOUBLE)
        *out = tv_int(tv_as_int(v));
    else if (name_is(name, "denominator") && v->type != TV_DOUBLE)
        *out = tv_int(1);
    else
        return false;
    return true;
}

static bool range_attribute(const struct tv *v, struct tstr name, struct tv *out)
{
    if (v->type != TV_RANGE) return false;
    if (name_is(name, "start"))
        *out = tv_int(v->u.range->start);
    else if (name_is(name, "stop"))
        *out = tv_int(v->u.range->stop);
    else if (name_is(name, "step"))
        *out = tv_int(v->u.range->step);
    else
        return false;
    return true;
}

/* groupby's pairs are tuples with two names. */
static bool group_attribute(const struct tv *v, struct tstr name, struct tv *out)
{
    if (v->type != TV_TUPLE || !v->markup) return false;
    if (name_is(name, "grouper"))
        *out = v->u.list->items[0];
    else if (name_is(name, "list"))
        *out = v->u.list->items[1];
    else
        return false;
    return true;
}

/* What Python's getattr finds. */
static bool python_attribute(struct run *r, const struct tv *v, struct tstr name, struct tv *out,
                             bool *found)
{
    bool unsafe = false;

    *found = true;
    if (name.n && name.p[0] == '_' && v->type != TV_NAMESPACE) {
        *found = name.n > 4 && name.p[1] == '_';
        return !*found || tv_undefined(r, UNDEF_UNSAFE, tv_type_name(v), name, out);
    }
    switch ((enum tv_type)v->type) {
    case TV_NAMESPACE: *found = tv_dict_get_text(v->u.dict, name.p, name.n, out); return true;
    case TV_LOOP:
        if (!loop_attribute(r, v->u.loop, name, out, found)) return false;
        if (*found) return true;
        break;
    case TV_MACRO: return macro_attribute(r, v->u.macro, name, out, found);
    case TV_OBJECT:
        if (name_is(name, "current") && v->u.object->items.n) {
            *out = v->u.object->items.items[v->u.object->pos];
            return true;
        }
        break;
    default:
        if (number_attribute(v, name, out) || range_attribute(v, name, out) ||
            group_attribute(v, name, out))
            return true;
        break;
    }
    const struct tfunction *f = method_find(v, name, &unsafe);
    if (unsafe) return tv_undefined(r, UNDEF_UNSAFE, tv_type_name(v), name, out);
    *found = f != NULL;
    return !f || method_value(r, v, f, out);
}

static bool no_attribute(struct run *r, const struct tv *v, struct tstr name, struct tv *out)
{
    char buf[64];
    const char *object = run_strdup(r, tv_object_name(v, buf));

    return object ? tv_undefined(r, UNDEF_ATTRIBUTE, object, name, out) : run_no_memory(r);
}

bool get_attribute(struct run *r, const struct tv *v, struct tstr name, struct tv *out)
{
    bool found;

    if (v->type == TV_UNDEFINED) return undefined_error(r, v);
    if (!python_attribute(r, v, name, out, &found)) return false;
    if (found) return true;
    if (v->type == TV_DICT && tv_dict_get_text(v->u.dict, name.p, name.n, out))
        return run_pay(r, v->u.dict->n / 16);
    return no_attribute(r, v, name, out);
}

/* ---- items ---- */

static bool index_in(size_t n, int64_t i, size_t *at)
{
    if (i < 0) i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n) return false;
    *at = (size_t)i;
    return true;
}

/* *found false where there is no such item. */
static bool item_by_index(struct run *r, const struct tv *v, int64_t i, struct tv *out, bool *found)
{
    size_t at = 0;

    *found = false;
    switch ((enum tv_type)v->type) {
    case TV_LIST:
    case TV_TUPLE:
        if ((*found = index_in(v->u.list->n, i, &at))) *out = v->u.list->items[at];
        return true;
    case TV_RANGE:
        if ((*found = index_in(v->u.range->n, i, &at)))
            *out = tv_int(v->u.range->start + (int64_t)at * v->u.range->step);
        return true;
    case TV_STRING: {
        const struct tstr *s = v->u.s;
        if (!(*found = index_in(text_chars(s->p, s->n), i, &at))) return true;
        const size_t from = text_offset(s->p, s->n, at);
        const size_t to = from + text_offset(s->p + from, s->n - from, 1);
        if (!run_pay(r, s->n / 64) || !tv_string_borrow(r, s->p + from, to - from, out))
            return false;
        out->markup = v->markup;
        return true;
    }
    default: return true;
    }
}

static bool no_item(struct run *r, const struct tv *v, const struct tv *key, struct tv *out)
{
    struct str text = { 0 };
    struct tv name;
    char buf[64];

    if (key->type == TV_STRING) return no_attribute(r, v, *key->u.s, out);
    if (!tv_put_repr(r, &text, key, 0)) {
        str_fini(&text);
        return false;
    }
    if (!tv_string_take(r, &text, &name)) return false;
    const char *object = run_strdup(r, tv_object_name(v, buf));
    return object ? tv_undefined(r, UNDEF_ELEMENT, object, *name.u.s, out) : run_no_memory(r);
}

bool get_item(struct run *r, const struct tv *v, const struct tv *key, struct tv *out)
{
    bool found = false;

    if (v->type == TV_UNDEFINED) return undefined_error(r, v);
    if (v->type == TV_DICT) {
        if (key->type != TV_LIST && key->type != TV_DICT && tv_dict_get(v->u.dict, key, out))
            return run_pay(r, v->u.dict->n / 16);
    } else if (tv_is_integral(key)) {
        if (!item_by_index(r, v, tv_as_int(key), out, &found)) return false;
        if (found) return true;
    }
    if (key->type == TV_STRING) {
        if (!python_attribute(r, v, *key->u.s, out, &found)) return false;
        if (found) return true;
    }
    return no_item(r, v, key, out);
}

/* ---- slices ---- */

struct bounds {
    int64_t start, stop, step;
};

/* Python's slice.indices. */
static bool slice_bounds(struct run *r, const struct tv part[3], size_t length, struct bounds *b)
{
    const int64_t n = (int64_t)length;

    for (int i = 0; i < 3; i++) {
        if (part[i].type != TV_NONE && !tv_need_defined(r, &part[i])) return false;
        if (part[i].type != TV_NONE && !tv_is_integral(&part[i]))
            return run_fail(r, "type",
                            "slice indices must be integers or None or have an __index__ method");
    }
    b->step = part[2].type == TV_NONE ? 1 : tv_as_int(&part[2]);
    if (b->step == 0) return run_fail(r, "ValueError", "slice step cannot be zero");
    if (b->step < -INT64_MAX) b->step = -INT64_MAX;
    const int64_t low = b->step < 0 ? -1 : 0, high = b->step < 0 ? n - 1 : n;
    int64_t *const ends[] = { &b->start, &b->stop };
    for (int i = 0; i < 2; i++) {
        int64_t at = part[i].type == TV_NONE ? 0 : tv_as_int(&part[i]);

        if (part[i].type == TV_NONE)
            at = (i == 0) == (b->step < 0) ? high : low;
        else if (at < 0)
            at = at < -n ? low : at + n;
        else if (at > high)
            at = high;
        if (at < low) at = low;
        *ends[i] = at;
    }
    return true;
}

static size_t slice_count(const struct bounds *b)
{
    if (b->step > 0)
        return b->stop > b->start ? (size_t)((b->stop - b->start - 1) / b->step) + 1 : 0;
    return b->start > b->stop ? (size_t)((b->start - b->stop - 1) / -b->step) + 1 : 0;
}

static bool slice_text(struct run *r, const struct tv *v, const struct tv part[3], struct tv *out)
{
    const struct tstr *s = v->u.s;
    struct bounds b;
    struct tv *items;
    size_t n, count;
    struct str text = { 0 };

    if (!run_pay(r, s->n / 16) || !slice_bounds(r, part, text_chars(s->p, s->n), &b)) return false;
    count = slice_count(&b);
    if (b.step == 1) {
        const size_t from = text_offset(s->p, s->n, (size_t)b.start);
        const size_t to = from + text_offset(s->p + from, s->n - from, count);
        if (!tv_string_borrow(r, s->p + from, to - from, out)) return false;
    } else {
        if (!tv_items(r, v, &items, &n)) return false;
        for (size_t i = 0; i < count; i++) {
            const struct tstr *c = items[b.start + (int64_t)i * b.step].u.s;
            str_put_n(&text, c->p, c->n);
        }
        if (!tv_string_take(r, &text, out)) return false;
    }
    out->markup = v->markup;
    return true;
}

/* A part of a range is a range. */
static bool slice_range(struct run *r, const struct trange *of, const struct bounds *b,
                        size_t count, struct tv *out)
{
    struct trange *range = RUN_NEW(r, struct trange);
    int64_t first, last;

    if (!range) return run_no_memory(r);
    if (!checked_mul_i64(of->step, b->step, &range->step) ||
        !checked_mul_i64(b->start, of->step, &first) ||
        !checked_mul_i64(b->stop, of->step, &last) ||
        !checked_add_i64(of->start, first, &range->start) ||
        !checked_add_i64(of->start, last, &range->stop))
        return run_fail(r, "limit", "a range beyond 64 bits");
    range->n = count;
    *out = (struct tv){ .type = TV_RANGE, .u.range = range };
    return true;
}

/* What has no parts is an error; but jinja2 works constants out in advance, and there it is
 * undefined. */
bool get_slice(struct run *r, const struct tv *v, const struct tv part[3], bool constant,
               struct tv *out)
{
    struct bounds b;
    struct tv *items;
    size_t n, count;

    if (v->type == TV_UNDEFINED) return undefined_error(r, v);
    if (v->type == TV_STRING) return slice_text(r, v, part, out);
    if (v->type != TV_LIST && v->type != TV_TUPLE && v->type != TV_RANGE)
        return constant ? no_attribute(r, v, (struct tstr){ "slice", 5 }, out)
                        : run_fail(r, "type", "'%s' object is not subscriptable", tv_type_name(v));
    if (v->type == TV_RANGE)
        return slice_bounds(r, part, v->u.range->n, &b) &&
               slice_range(r, v->u.range, &b, slice_count(&b), out);
    if (!tv_items(r, v, &items, &n) || !slice_bounds(r, part, n, &b)) return false;
    count = slice_count(&b);
    if (!run_pay(r, count / 8) || !tv_list(r, v->type == TV_TUPLE ? TV_TUPLE : TV_LIST, count, out))
        return false;
    for (size_t i = 0; i < count; i++) out->u.list->items[i] = items[b.start + (int64_t)i * b.step];
    out->u.list->n = count;
    return true;
}
