/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper_graph.h"
#include "helper_lower.h"

static struct backend *be;

static const struct model_io_names names = {
    .input_ids = "input_ids",
    .inputs_embeds = "inputs_embeds",
    .attention_mask = "attention_mask",
    .position_ids = "position_ids",
    .past_key = "past_key_values.%d.key",
    .past_value = "past_key_values.%d.value",
    .present_key = "present.%d.key",
    .present_value = "present.%d.value",
    .logits = "logits",
    .hidden_states = "hidden_states",
};

int lower_setup(void **state)
{
    const struct backend_config cfg = { .n_threads = 1 };

    (void)state;
    return backend_find("cpu")->open(&be, &cfg, NULL) == ST_OK ? 0 : -1;
}

int lower_teardown(void **state)
{
    (void)state;
    be->ops->close(be);
    return 0;
}

struct backend *lower_backend(void) { return be; }

char *lowered_text(struct graph *low, const struct err *why)
{
    const struct graph_print_options opt = { .constant_elements_max = 8 };
    struct str out = { 0 };

    if (low)
        assert_int_equal(graph_print(low, &opt, &out, NULL), ST_OK);
    else
        str_put(&out, why->text);
    graph_destroy(low);
    return str_take(&out);
}

char *lowered(const char *text, struct lower_info *info, status *st)
{
    const struct pass_context ctx = { .backend = be, .positions_max = 64 };
    struct graph *g = graph_of(text), *passed = NULL, *low = NULL;
    struct err err = { 0 };

    assert_int_equal(passes_run(g, NULL, &ctx, &passed, &err), ST_OK);
    *st = lower_decoder(passed, &names, &ctx, &low, info, &err);
    /* the layers lie in the graph's arena */
    static struct lower_kv kv[4];
    for (int i = 0; *st == ST_OK && i < info->n_layers && i < (int)COUNT(kv); i++)
        kv[i] = info->kv[i];
    info->kv = kv;
    graph_destroy(g);
    graph_destroy(passed);
    return lowered_text(low, &err);
}

void expect_lowered(const char *text, const char *const *found, const char *missing)
{
    struct lower_info info;
    status st;
    char *got = lowered(text, &info, &st);

    if (st != ST_OK) fail_msg("%s", got);
    for (; *found; found++)
        if (!strstr(got, *found)) fail_msg("no \"%s\" in\n%s\n", *found, got);
    if (missing && strstr(got, missing)) fail_msg("\"%s\" in\n%s\n", missing, got);
    mem_free(got);
}

void expect_refusal(const char *text, const char *reason)
{
    struct lower_info info;
    status st;
    char *got = lowered(text, &info, &st);

    if (st != ST_UNSUPPORTED || !strstr(got, reason)) fail_msg("not \"%s\": %s", reason, got);
    mem_free(got);
}
