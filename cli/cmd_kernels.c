/* SPDX-License-Identifier: MIT */
/* cupola kernels: every slot and variant, what it needs, which one this machine picks. */
#include "cli/cli.h"
#include <stdio.h>

int cmd_kernels(int argc, char **argv)
{
    bool json = false;
    const struct cli_option options[] = { { "--json", CLI_FLAG, &json, NULL,
                                            "one JSON object a line" } };
    const struct cli_syntax syntax = {
        "kernels",
        "Lists every kernel slot and variant; * marks what this machine picks.",
        "  cupola kernels\n  cupola kernels --isa avx2\n",
        options,
        COUNT(options),
        0,
        0
    };
    struct cli_args args;
    struct err err = { 0 };
    struct str out = { 0 };
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    const status st = engine_kernels_print(args.common.isa, json, &out, &err);
    if (st == ST_OK) fwrite(str_cstr(&out), 1, out.len, stdout);
    str_fini(&out);
    return st == ST_OK ? CLI_DONE : cli_fail(&err);
}
