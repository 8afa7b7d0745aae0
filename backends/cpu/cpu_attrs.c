/* SPDX-License-Identifier: MIT */
/* Deep copies of attribute structs, generated from ir/attrs.def: a program outlives the graph it
 * was compiled from. */
#include "backends/cpu/cpu_run.h"

static bool copy_str(struct arena *a, const char **s)
{
    if (!*s) return true;
    *s = arena_strdup(a, *s);
    return *s != NULL;
}

static bool copy_ints(struct arena *a, struct ir_ints *x)
{
    if (x->n <= 0) return true;
    x->v = arena_memdup(a, x->v, (size_t)x->n * sizeof *x->v);
    return x->v != NULL;
}

static bool copy_floats(struct arena *a, struct ir_floats *x)
{
    if (x->n <= 0) return true;
    x->v = arena_memdup(a, x->v, (size_t)x->n * sizeof *x->v);
    return x->v != NULL;
}

static bool copy_strs(struct arena *a, struct ir_strings *x)
{
    if (x->n <= 0) return true;
    const char **v = ARENA_ARRAY(a, (size_t)x->n, const char *);
    if (!v) return false;
    for (int i = 0; i < x->n; i++)
        if (!(v[i] = arena_strdup(a, x->v[i]))) return false;
    x->v = v;
    return true;
}

static bool copy_tensor(struct arena *a, const struct tensor **x)
{
    size_t n;

    if (!*x) return true;
    struct tensor *t = arena_memdup(a, *x, sizeof **x);
    *x = t;
    if (!t) return false;
    if (!t->data) return true;
    if (!type_bytes(&t->type, &n)) return false;
    t->data = arena_memdup(a, t->data, n ? n : 1);
    return t->data != NULL;
}

/* clang-format off */
#define ATTRS(stem) static bool copy_##stem(struct arena *a, union op_attrs *u) \
    { struct attrs_##stem *x = &u->stem; bool ok = true; (void)a; (void)x;
#define AT_STR(field, onnx, dflt) ok = ok && copy_str(a, &x->field);
#define AT_INTS(field, onnx)      ok = ok && copy_ints(a, &x->field);
#define AT_FLOATS(field, onnx)    ok = ok && copy_floats(a, &x->field);
#define AT_STRS(field, onnx)      ok = ok && copy_strs(a, &x->field);
#define AT_TENSOR(field, onnx)    ok = ok && copy_tensor(a, &x->field);
#define ATTRS_END(stem) return ok; }
#include "ir/attrs.def"

typedef bool copy_fn(struct arena *a, union op_attrs *u);

enum stem {
#define ATTRS(stem) STEM_##stem,
#include "ir/attrs.def"
};

static copy_fn *const copy_by_stem[] = {
#define ATTRS(stem) [STEM_##stem] = copy_##stem,
#include "ir/attrs.def"
};

static const unsigned char stem_of[OP_COUNT] = {
#define OP(kind, domain, name, since, infer, attrs) [OP_##kind] = STEM_##attrs,
#define ALIAS(kind, domain, name, since)
#include "ir/ops.def"
#undef OP
#undef ALIAS
};
/* clang-format on */

bool cpu_attrs_copy(struct arena *a, enum op_kind op, union op_attrs *attr)
{
    return copy_by_stem[stem_of[op]](a, attr);
}
