/* SPDX-License-Identifier: MIT */
/* Looking inside: graphs after each pass, the kernels at hand, the machine's roofline. */
#include "engine/engine.h"
#include "engine/onnx/onnx_import.h"
#include "engine/passes/passes.h"

static const char lower_name[] = "lower_decoder";

const char *const *engine_pass_names(void)
{
    static const char *names[32];

    for (size_t i = 0; i < passes_count && i + 2 < COUNT(names); i++)
        names[i] = passes_list[i].name;
    names[passes_count] = lower_name;
    return names;
}

static status print_graph(const struct graph *g, enum graph_format format, struct str *out,
                          struct err *err)
{
    const struct graph_print_options opt = { .constant_elements_max = 16 };

    if (format == GRAPH_DOT) return graph_print_dot(g, out, err);
    if (format == GRAPH_JSON) return graph_print_json(g, out, err);
    return graph_print(g, &opt, out, err);
}

/* The imported graph taken as far as asked; *out is a new graph. */
static status transform(const struct graph *imported, const struct model_io_names *io,
                        const char *after, struct graph **out, struct err *err)
{
    const struct backend_config bc = { .n_threads = 1 };
    const bool lower = str_equal(after, "all") || str_equal(after, lower_name);
    struct pass_context ctx = { 0 };
    struct graph *passed = NULL;
    struct lower_info info;
    status st;

    TRY(backend_find("cpu")->open(&ctx.backend, &bc, err));
    st = passes_run(imported, lower ? NULL : after, &ctx, lower ? &passed : out, err);
    if (st == ST_OK && lower) st = lower_decoder(passed, io, &ctx, out, &info, err);
    if (st == ST_UNSUPPORTED && str_equal(after, "all")) {
        *out = passed;
        passed = NULL;
        err_clear(err);
        st = ST_OK;
    }
    graph_destroy(passed);
    ctx.backend->ops->close(ctx.backend);
    return st;
}

status engine_graph_print(const char *onnx_path, const struct model_io_names *io,
                          const char *after_pass, enum graph_format format, struct str *out,
                          struct err *err)
{
    struct graph *imported = NULL, *changed = NULL;
    status st;

    TRY(onnx_import_file(onnx_path, NULL, &imported, err));
    st = after_pass ? transform(imported, io, after_pass, &changed, err) : ST_OK;
    if (st == ST_OK) st = print_graph(changed ? changed : imported, format, out, err);
    graph_destroy(changed);
    graph_destroy(imported);
    return st;
}

const char *const *engine_device_names(void) { return backend_names(); }

status engine_isa_print(const char *isa, struct str *out, struct err *err)
{
    return backend_isa_print(isa, out, err);
}

status engine_kernels_print(const char *isa, bool json, struct str *out, struct err *err)
{
    return backend_kernels_print(isa, json, out, err);
}

status engine_roofline(const char *isa, int n_threads, double seconds, struct roofline *out,
                       struct err *err)
{
    struct backend_roofline r;

    TRY(backend_roofline(isa, n_threads, seconds, &r, err));
    *out = (struct roofline){ r.read_bytes_per_s, r.f32_flops, r.int8_ops,
                              n_threads > 0 ? n_threads : (int)os_cpu_count() };
    return ST_OK;
}
