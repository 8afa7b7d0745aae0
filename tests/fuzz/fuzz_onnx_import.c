/* SPDX-License-Identifier: MIT */
/* A model file: any bytes give one clear error, or a graph that is checked, prints and parses back
 * to the same text. */
#include "engine/onnx/onnx_import.h"
#include "tests/fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static char *listing(const struct graph *g)
{
    const struct graph_print_options all = { .constant_elements_max = SIZE_MAX };
    struct str out = { .limit = 1 << 20 };

    if (graph_print(g, &all, &out, NULL) != ST_OK) {
        str_fini(&out);
        return NULL;
    }
    return str_take(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct onnx_limits limits = { .unpack_bytes_max = 8 << 20, .nodes_max = 5000 };
    struct graph *g = NULL, *again = NULL;
    struct err err = { 0 };

    const status st = onnx_import_memory(data, size, "fuzz", NULL, &limits, &g, &err);
    if (st != ST_OK) {
        if (g || err.code == ST_OK || !err.text[0] || st == ST_INTERNAL) abort();
        return 0;
    }
    if (graph_check(g, NULL) != ST_OK) abort();
    char *a = listing(g);
    if (a && graph_parse(a, strlen(a), &again, NULL) == ST_OK) {
        char *b = listing(again);
        if (b && strcmp(a, b) != 0) abort();
        mem_free(b);
    }
    mem_free(a);
    graph_destroy(again);
    graph_destroy(g);
    return 0;
}
