/* SPDX-License-Identifier: MIT */
/* Which model a name means. */
#include "server/model_list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct model_entry entries[] = {
    { .id = "phi-4-mini-generic-cpu-5", .alias = "phi-4-mini" },
    { .id = "phi-4-mini-generic-cpu-3", .alias = "phi-4-mini" },
    { .id = "pocket", .alias = "pocket" },
};

static const struct {
    const char *name, *id; /* id NULL: none */
} cases[] = {
    { "pocket", "pocket" },
    { "POCKET:1", "pocket" },
    { "pocket:7", NULL },
    { "phi-4-mini", "phi-4-mini-generic-cpu-5" },
    { "phi-4-mini:3", "phi-4-mini-generic-cpu-3" },
    { "phi-4-mini:4", NULL },
    { "phi-4-mini-generic-cpu", "phi-4-mini-generic-cpu-5" },
    { "phi-4-mini-generic-cpu:5", "phi-4-mini-generic-cpu-5" },
    { "phi-4-mini-generic-cpu:3", "phi-4-mini-generic-cpu-3" },
    { "phi-4-mini-generic-cpu:4", NULL },
    { "phi-4-mini-generic-cpu-3", "phi-4-mini-generic-cpu-3" },
    { "phi-4-mini-generic-cpu-3:3", "phi-4-mini-generic-cpu-3" },
    { "phi-4-mini-generic-cpu-3:5", NULL },
    { "phi", NULL },
    { "pocket:", NULL },
};

static void finds_the_version_that_is_asked_for(void **state)
{
    const struct model_list list = { .entries = entries, .n = COUNT(entries) };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const size_t at = model_list_find(&list, cases[i].name);
        const char *got = at < list.n ? entries[at].id : "none";
        if (strcmp(got, cases[i].id ? cases[i].id : "none") != 0)
            fail_msg("%s: %s", cases[i].name, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_the_version_that_is_asked_for) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
