/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper_dense.h"

status dense_start(struct dense_fixture *f, const char *text, const struct tensor *in)
{
    const struct backend_config cfg = { .n_threads = 1 };

    *f = (struct dense_fixture){ 0 };
    assert_int_equal(backend_find("cpu")->open(&f->be, &cfg, &f->err), ST_OK);
    status st = graph_parse(text, strlen(text), &f->g, &f->err);
    if (st == ST_OK) st = graph_infer(f->g, &f->err);
    if (st == ST_OK) st = dense_exec_create(&f->x, f->g, f->be, &f->err);
    if (st == ST_OK) st = dense_exec_run(f->x, in, f->out, &f->err);
    return st;
}

void dense_finish(struct dense_fixture *f)
{
    dense_exec_destroy(f->x);
    graph_destroy(f->g);
    f->be->ops->close(f->be);
}

void dense_expect(const struct dense_fixture *f, int i, int ndim, const int64_t *dim,
                  const float *want)
{
    size_t n = 0;

    if (f->err.code != ST_OK) print_error("%s\n", f->err.text);
    assert_int_equal(f->out[i].type.ndim, ndim);
    for (int d = 0; d < ndim; d++) assert_int_equal(f->out[i].type.dim[d], dim[d]);
    assert_true(type_elements(&f->out[i].type, &n));
    assert_memory_equal(f->out[i].data, want, n * sizeof *want);
}

static bool is_near(float x, float want)
{
    if (isnan(want) || isinf(want)) return isnan(want) ? isnan(x) : x == want;
    return fabsf(x - want) <= 1e-5f + 1e-5f * fabsf(want);
}

void dense_gives(const char *text, size_t n, const float *want)
{
    struct dense_fixture f;
    size_t got = 0;

    if (dense_start(&f, text, NULL) != ST_OK) print_error("%s\n", f.err.text);
    assert_int_equal(f.err.code, ST_OK);
    assert_int_equal(f.out[0].type.dtype, DT_F32);
    assert_true(type_elements(&f.out[0].type, &got));
    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++) {
        const float x = ((const float *)f.out[0].data)[i];

        if (is_near(x, want[i])) continue;
        print_error("%s\nelement %zu is %g, expected %g\n", text, i, (double)x, (double)want[i]);
        fail();
    }
    dense_finish(&f);
}
