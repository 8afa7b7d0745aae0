/* SPDX-License-Identifier: MIT */
/* The text form: any bytes give an error with a line number, or a graph that prints, parses back
 * equal, and can be inferred, cloned and compacted. */
#include "engine/graph/graph.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static char *listing(const struct graph *g)
{
    const struct graph_print_options all = { .constant_elements_max = SIZE_MAX };
    struct str out = { .limit = 4 << 20 };

    if (graph_print(g, &all, &out, NULL) != ST_OK) {
        str_fini(&out);
        return NULL;
    }
    return str_take(&out);
}

/* Whatever inference says, it must not break the graph. */
static void work_on(struct graph *g)
{
    struct graph *clone = NULL;

    (void)graph_infer(g, NULL);
    if (graph_check(g, NULL) != ST_OK) abort();
    if (graph_clone(g, &clone, NULL) != ST_OK) abort();
    if (graph_compact(clone, NULL) != ST_OK || graph_check(clone, NULL) != ST_OK) abort();
    graph_destroy(clone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct graph *g = NULL, *again = NULL;
    struct err err = { 0 };

    if (graph_parse((const char *)data, size, &g, &err) != ST_OK) {
        if (g || err.code == ST_OK || !err.text[0] || err.code == ST_INTERNAL) abort();
        return 0;
    }
    char *a = listing(g);
    if (a) {
        if (graph_parse(a, strlen(a), &again, &err) != ST_OK) abort();
        char *b = listing(again);
        if (!b || strcmp(a, b) != 0) abort();
        mem_free(b);
        graph_destroy(again);
    }
    mem_free(a);
    work_on(g);
    graph_destroy(g);
    return 0;
}
