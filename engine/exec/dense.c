/* SPDX-License-Identifier: MIT */
/* The public face of the generic executor: open any ONNX model, run it on tensors. */
#include "engine/engine.h"
#include "engine/exec/dense_exec.h"
#include "engine/onnx/onnx_import.h"
#include "engine/passes/passes.h"
#include <string.h>

struct dense {
    struct backend *be;
    struct graph *graph;
    struct dense_exec *exec;
};

static status open_graph(struct dense *d, const char *path, bool passes, struct err *err)
{
    const struct pass_context ctx = { .backend = d->be };
    struct graph *imported = NULL;

    TRY(onnx_import_file(path, NULL, &imported, err));
    if (!passes) {
        d->graph = imported;
        return ST_OK;
    }
    const status st = passes_run(imported, NULL, &ctx, &d->graph, err);
    graph_destroy(imported);
    return st;
}

status dense_open(struct dense **out, const char *onnx_path, const struct engine_config *cfg,
                  bool passes, struct err *err)
{
    const struct backend_config bc = { .n_threads = cfg->n_threads,
                                       .isa = cfg->isa,
                                       .precision = cfg->precision };
    const struct backend_ops *ops =
        backend_find(!cfg->device || str_equal(cfg->device, "auto") ? "cpu" : cfg->device);
    struct dense *d = mem_calloc(1, sizeof *d);
    status st;

    *out = NULL;
    if (!d) return FAIL(err, ST_NOMEM, "out of memory");
    st = ops ? ops->open(&d->be, &bc, err)
             : FAIL(err, ST_NOT_FOUND, "device '%s': not built into this binary", cfg->device);
    if (st == ST_OK) st = open_graph(d, onnx_path, passes, err);
    if (st == ST_OK) st = dense_exec_create(&d->exec, d->graph, d->be, err);
    if (st != ST_OK) {
        dense_close(d);
        return st;
    }
    *out = d;
    return ST_OK;
}

void dense_close(struct dense *d)
{
    if (!d) return;
    dense_exec_destroy(d->exec);
    graph_destroy(d->graph);
    if (d->be) d->be->ops->close(d->be);
    mem_free(d);
}

const struct graph *dense_graph(const struct dense *d) { return d->graph; }

size_t dense_input_count(const struct dense *d) { return d->graph->n_inputs; }

size_t dense_output_count(const struct dense *d) { return d->graph->n_outputs; }

const char *dense_input(const struct dense *d, size_t i, struct tensor_type *type)
{
    const struct graph_value *v = &d->graph->values[d->graph->inputs[i]];

    if (type) *type = v->type;
    return v->name;
}

const char *dense_output(const struct dense *d, size_t i, struct tensor_type *type)
{
    const struct graph_value *v = &d->graph->values[d->graph->outputs[i]];

    if (type) *type = v->type;
    return v->name;
}

status dense_run(struct dense *d, const struct tensor *in, struct tensor *out, struct err *err)
{
    return dense_exec_run(d->exec, in, out, err);
}

status dense_read_tensor(const void *data, size_t n, struct arena *a, struct tensor *out,
                         const char **name, struct err *err)
{
    return onnx_read_tensor(data, n, a, out, name, err);
}

status dense_write_tensor(const struct tensor *t, const char *name, struct str *out,
                          struct err *err)
{
    return onnx_write_tensor(t, name, out, err);
}
