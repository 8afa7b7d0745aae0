/* SPDX-License-Identifier: MIT */
#include "engine/passes/passes.h"
#include <string.h>

const struct pass passes_list[] = {
    { "fold_constants", pass_fold_constants }, /* first: the others look for constants */
    { "remove_casts", pass_remove_casts },
    { "cse", pass_cse },
    { "fuse_rmsnorm", pass_fuse_rmsnorm },
    { "fuse_dequant", pass_fuse_dequant },
    { "fuse_linear", pass_fuse_linear },
    { "fuse_bias", pass_fuse_bias }, /* after fuse_linear: it completes Linear nodes */
    { "fuse_gated", pass_fuse_gated },
    { "fuse_qk_norm", pass_fuse_qk_norm },
    { "dead_code", pass_dead_code },
};
const size_t passes_count = COUNT(passes_list);

static status run_one(struct graph *g, const struct pass *pass, const struct pass_context *ctx,
                      struct err *err)
{
    TRY(pass->run(g, ctx, err));
    TRY(graph_compact(g, err));
    return graph_infer(g, err);
}

static bool pass_known(const char *name)
{
    for (size_t i = 0; i < passes_count; i++)
        if (str_equal(passes_list[i].name, name)) return true;
    return false;
}

status passes_run(const struct graph *in, const char *last, const struct pass_context *ctx,
                  struct graph **out, struct err *err)
{
    struct graph *g = NULL;

    *out = NULL;
    if (last && !pass_known(last)) return FAIL(err, ST_NOT_FOUND, "pass '%s': no such pass", last);
    TRY(graph_clone(in, &g, err));
    for (size_t i = 0; i < passes_count; i++) {
        const status st = run_one(g, &passes_list[i], ctx, err);
        if (st != ST_OK) {
            err_prefix(err, "pass %s", passes_list[i].name);
            graph_destroy(g);
            return st;
        }
        if (last && str_equal(passes_list[i].name, last)) break;
    }
    *out = g;
    return ST_OK;
}
