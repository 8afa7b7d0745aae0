/* SPDX-License-Identifier: MIT */
#include "helper_graph.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

struct graph *graph_of(const char *text)
{
    struct err err = { 0 };
    struct graph *g = NULL;

    if (graph_parse(text, strlen(text), &g, &err) != ST_OK) fail_msg("%s in:\n%s", err.text, text);
    return g;
}

char *listing_of(const struct graph *g)
{
    const struct graph_print_options all = { .constant_elements_max = SIZE_MAX };
    struct str out = { 0 };
    struct err err = { 0 };

    if (graph_print(g, &all, &out, &err) != ST_OK) fail_msg("%s", err.text);
    return str_take(&out);
}

void assert_listing(const struct graph *g, const char *text)
{
    struct graph *want = graph_of(text);
    char *a = listing_of(g), *b = listing_of(want);

    assert_string_equal(a, b);
    mem_free(a);
    mem_free(b);
    graph_destroy(want);
}

const char *type_of(const struct graph *g, const char *value)
{
    static char buf[256];
    struct str out = { 0 };
    const int v = graph_find_value(g, value);

    if (v < 0) fail_msg("no value '%s'", value);
    const struct tensor_type *t = &g->values[v].type;
    str_printf(&out, "%s[%s", dtype_name(t->dtype), t->ndim < 0 ? "*" : "");
    for (int i = 0; i < t->ndim; i++) {
        const char *symbol = graph_symbol_name(g, t->dim[i]);
        if (i > 0) str_put_char(&out, ',');
        if (t->dim[i] >= 0)
            str_printf(&out, "%lld", (long long)t->dim[i]);
        else if (t->dim[i] == DIM_TOKENS)
            str_put(&out, "tokens");
        else if (t->dim[i] == DIM_ROWS)
            str_put(&out, "rows");
        else
            str_put(&out, symbol ? symbol : "?");
    }
    str_put_char(&out, ']');
    (void)snprintf(buf, sizeof buf, "%s", str_cstr(&out));
    str_fini(&out);
    return buf;
}

const char *fixture(const char *name)
{
    static char buf[4096];

    (void)snprintf(buf, sizeof buf, "%s/tests/fixtures/%s", CUPOLA_SOURCE_DIR, name);
    return buf;
}

const char *models_dir(void)
{
    static char buf[4096];
    const char *given = getenv("CUPOLA_FIXTURES");

    if (!given || !given[0]) return fixture("models");
    (void)snprintf(buf, sizeof buf, "%s/zoo", given);
    return os_is_dir(buf) ? buf : fixture("models");
}
