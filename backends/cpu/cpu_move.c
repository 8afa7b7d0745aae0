/* SPDX-License-Identifier: MIT */
/* Operators that move elements: transpose, concat, split, slice, expand, tile, triangle. Elements
 * are moved by their size, whatever they mean. */
#include <string.h>

#include "backends/cpu/cpu_numeric.h"
#include "backends/cpu/cpu_ops.h"

enum { GRAIN = 512 };

/* out[at …] = elements in[off], in[off + step], … */
static void move_piece(char *out, const char *in, const struct cpu_piece *p, size_t size)
{
    const char *x = in + p->off[0] * (int64_t)size;
    const int64_t step = p->step[0] * (int64_t)size;
    char *o = out + p->at * size;

    if (p->step[0] == 1) {
        memcpy(o, x, p->n * size);
        return;
    }
    switch (size) {
    case 4:
        for (size_t i = 0; i < p->n; i++) memcpy(o + 4 * i, x + (int64_t)i * step, 4);
        return;
    case 8:
        for (size_t i = 0; i < p->n; i++) memcpy(o + 8 * i, x + (int64_t)i * step, 8);
        return;
    default:
        for (size_t i = 0; i < p->n; i++) memcpy(o + size * i, x + (int64_t)i * step, size);
    }
}

/* As move_piece of elements of less than a byte: by value, which keeps every bit. */
static void move_codes(const struct tensor *out, const struct tensor *in, int64_t first,
                       struct cpu_walk *w)
{
    struct cpu_piece p;
    union cpu_chunk x;

    while (cpu_walk_next(w, CPU_CHUNK, &p)) {
        cpu_load(&x, in->data, in->type.dtype, first + p.off[0], p.step[0], p.n);
        cpu_store(out->data, out->type.dtype, p.at, &x, p.n);
    }
}

/* Fills the output from `in` shifted by `first` elements, with these strides over its dimensions.
 */
static void move_all(const struct cpu_task *t, const struct tensor *in, int64_t first,
                     const int64_t *stride)
{
    const struct tensor *out = cpu_out(t, 0);
    const size_t size = cpu_size(out->type.dtype);
    /* shares end at whole bytes: GRAIN is a multiple of the codes of one */
    const struct cpu_share s = cpu_share(t, cpu_elements(out), GRAIN);
    struct cpu_walk w;
    struct cpu_piece p;

    cpu_walk_init(&w, out);
    cpu_walk_strides(&w, stride);
    cpu_walk_begin(&w, s.begin, s.end);
    if (size == 0) {
        move_codes(out, in, first, &w);
        return;
    }
    while (cpu_walk_next(&w, SIZE_MAX, &p))
        move_piece(out->data, (const char *)in->data + first * (int64_t)size, &p, size);
}

static void natural_strides(const struct tensor *x, int64_t *stride)
{
    int64_t step = 1;

    for (int d = x->type.ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= x->type.dim[d];
    }
}

void cpu_transpose(const struct cpu_task *t)
{
    const struct ir_ints *perm = &t->call->attr.transpose.perm;
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int ndim = in->type.ndim;
    int64_t from[IR_DIMS_MAX], stride[IR_DIMS_MAX] = { 0 };

    natural_strides(in, from);
    for (int d = 0; d < ndim; d++) {
        const int64_t axis = perm->n > 0 && d < perm->n ? perm->v[d] : ndim - 1 - d;

        if ((perm->n > 0 && perm->n != ndim) || axis < 0 || axis >= ndim ||
            out->type.ndim != ndim || out->type.dim[d] != in->type.dim[axis]) {
            cpu_fail(t, ST_SHAPE, "perm does not lead to the output's shape");
            return;
        }
        stride[d] = from[axis];
    }
    move_all(t, in, 0, stride);
}

/* ---- concat, split: blocks of [axis, …) within rows of [0, axis) ---- */

void cpu_concat(const struct cpu_task *t)
{
    const struct tensor *out = cpu_out(t, 0);
    const int axis = cpu_axis(t->call->attr.axis.axis, out->type.ndim);
    const size_t size = cpu_size(out->type.dtype);
    size_t at = 0;

    if (axis < 0) {
        cpu_fail(t, ST_SHAPE, "axis out of range");
        return;
    }
    const size_t rows = cpu_span(out, 0, axis), width = cpu_span(out, axis, out->type.ndim) * size;
    const struct cpu_share s = cpu_share(t, rows, 1);
    for (int i = 0; i < t->call->n_in; i++) {
        if (!t->in[i]) continue;
        const size_t part = cpu_span(t->in[i], axis, t->in[i]->type.ndim) * size;

        if (t->in[i]->type.ndim != out->type.ndim || cpu_span(t->in[i], 0, axis) != rows ||
            at + part > width) {
            cpu_fail(t, ST_SHAPE, "input %d does not fit the output", i);
            return;
        }
        for (size_t r = s.begin; part && r < s.end; r++)
            memcpy((char *)out->data + r * width + at, (const char *)t->in[i]->data + r * part,
                   part);
        at += part;
    }
    if (at != width) cpu_fail(t, ST_SHAPE, "inputs do not fill the output");
}

void cpu_split(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0);
    const int axis = cpu_axis(t->call->attr.split.axis, in->type.ndim);
    const size_t size = cpu_size(in->type.dtype);
    size_t at = 0;

    if (axis < 0) {
        cpu_fail(t, ST_SHAPE, "axis out of range");
        return;
    }
    const size_t rows = cpu_span(in, 0, axis), width = cpu_span(in, axis, in->type.ndim) * size;
    const struct cpu_share s = cpu_share(t, rows, 1);
    for (int i = 0; i < t->call->n_out; i++) {
        if (!t->out[i]) {
            cpu_fail(t, ST_UNSUPPORTED, "output %d is left out", i);
            return;
        }
        const size_t part = cpu_span(t->out[i], axis, t->out[i]->type.ndim) * size;

        if (t->out[i]->type.ndim != in->type.ndim || t->out[i]->type.dtype != in->type.dtype ||
            cpu_span(t->out[i], 0, axis) != rows || at + part > width) {
            cpu_fail(t, ST_SHAPE, "output %d does not fit the input", i);
            return;
        }
        for (size_t r = s.begin; part && r < s.end; r++)
            memcpy((char *)t->out[i]->data + r * part, (const char *)in->data + r * width + at,
                   part);
        at += part;
    }
    if (at != width) cpu_fail(t, ST_SHAPE, "outputs do not take the whole input");
}

/* ---- slice ---- */

/* List i of a slice (starts, ends, axes, steps): an input since opset 10, attributes before. */
static int64_t slice_item(const struct cpu_task *t, int i, int j, int64_t dflt)
{
    const struct attrs_slice *a = &t->call->attr.slice;
    const struct ir_ints *lists[] = { &a->starts, &a->ends, &a->axes };
    const struct tensor *x = cpu_in(t, i + 1);

    if (x) return cpu_int_at(x, (size_t)j);
    return i < 3 && j < lists[i]->n ? lists[i]->v[j] : dflt;
}

static int slice_count(const struct cpu_task *t)
{
    const struct tensor *starts = cpu_in(t, 1);
    const size_t n = starts ? cpu_elements(starts) : (size_t)t->call->attr.slice.starts.n;

    for (int i = 1; starts && i <= 4; i++)
        if (cpu_in(t, i) && cpu_elements(t->in[i]) != n) return -1;
    return n <= IR_DIMS_MAX ? (int)n : -1;
}

/* Start and count along a dimension of `dim` elements, by ONNX's clamping rules. */
static void slice_dim(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first,
                      int64_t *count)
{
    if (start < 0) start = start < -dim ? 0 : start + dim;
    if (end < 0) end = end < -dim ? -1 : end + dim;
    if (step > 0) {
        start = start > dim ? dim : start;
        end = end < 0 ? 0 : end > dim ? dim : end;
        *count = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = start > dim - 1 ? dim - 1 : start;
        end = end > dim - 1 ? dim - 1 : end;
        *count = start > end && start >= 0
                     ? (int64_t)((uint64_t)(start - end - 1) / (0 - (uint64_t)step)) + 1
                     : 0;
    }
    *first = start;
}

void cpu_slice(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int ndim = in->type.ndim, n = slice_count(t);
    int64_t stride[IR_DIMS_MAX], offset = 0, want[IR_DIMS_MAX];

    natural_strides(in, stride);
    for (int d = 0; d < ndim; d++) want[d] = in->type.dim[d];
    for (int j = 0; j < n; j++) {
        const int axis = cpu_axis(slice_item(t, 2, j, j), ndim);
        const int64_t step = slice_item(t, 3, j, 1);
        int64_t first;

        if (axis < 0 || step == 0) {
            cpu_fail(t, ST_INVALID, "axis or step %d out of range", j);
            return;
        }
        slice_dim(in->type.dim[axis], slice_item(t, 0, j, 0), slice_item(t, 1, j, 0), step, &first,
                  &want[axis]);
        if (want[axis] == 0) continue;
        offset += first * stride[axis];
        stride[axis] = want[axis] == 1 ? 0 : stride[axis] * step;
    }
    bool fits = n >= 0 && out->type.ndim == ndim;
    for (int d = 0; fits && d < ndim; d++) fits = out->type.dim[d] == want[d];
    if (!fits) {
        cpu_fail(t, ST_SHAPE, "starts and ends do not lead to the output's shape");
        return;
    }
    move_all(t, in, offset, stride);
}

/* ---- expand, tile, triangle ---- */

void cpu_expand(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    struct cpu_walk w;

    cpu_walk_init(&w, out);
    if (!cpu_walk_broadcast(&w, in)) {
        cpu_fail(t, ST_SHAPE, "input does not broadcast to the output");
        return;
    }
    move_all(t, in, 0, w.stride[0]);
}

/* Row-wise along the last dimension: out[i] = in[i mod in.dim] in each dimension. */
void cpu_tile(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *out = cpu_out(t, 0);
    const int ndim = in->type.ndim;
    const size_t size = cpu_size(out->type.dtype), total = cpu_elements(out);

    for (int d = 0; d < ndim; d++) {
        if (out->type.ndim == ndim &&
            (out->type.dim[d] == 0 ||
             (in->type.dim[d] > 0 && out->type.dim[d] % in->type.dim[d] == 0)))
            continue;
        cpu_fail(t, ST_SHAPE, "output is no multiple of the input");
        return;
    }
    if (total == 0) return;
    const size_t in_width = ndim ? (size_t)in->type.dim[ndim - 1] : 1;
    const size_t out_width = ndim ? (size_t)out->type.dim[ndim - 1] : 1;
    const struct cpu_share s = cpu_share(t, total / out_width, 1);
    for (size_t r = s.begin; r < s.end; r++) {
        size_t rest = r, from = 0, step = in_width;

        for (int d = ndim - 2; d >= 0; d--) {
            from += rest % (size_t)out->type.dim[d] % (size_t)in->type.dim[d] * step;
            step *= (size_t)in->type.dim[d];
            rest /= (size_t)out->type.dim[d];
        }
        for (size_t c = 0; c < out_width; c += in_width)
            memcpy((char *)out->data + (r * out_width + c) * size,
                   (const char *)in->data + from * size, in_width * size);
    }
}

/* Keeps one triangle of each matrix, zeroes the other; k moves the diagonal. */
void cpu_trilu(const struct cpu_task *t)
{
    const struct tensor *in = cpu_in(t, 0), *k_in = cpu_in(t, 1), *out = cpu_out(t, 0);
    const int ndim = in->type.ndim;
    const bool upper = t->call->attr.trilu.upper != 0;
    const size_t size = cpu_size(out->type.dtype);

    if (ndim < 2 || (k_in && cpu_elements(k_in) != 1)) {
        cpu_fail(t, ST_SHAPE, "input is no matrix, or k no scalar");
        return;
    }
    const int64_t rows = in->type.dim[ndim - 2], cols = in->type.dim[ndim - 1];
    int64_t k = k_in ? cpu_int_at(k_in, 0) : 0;
    k = k > cols ? cols : k < -rows ? -rows : k;
    const struct cpu_share s = cpu_share(t, cpu_span(in, 0, ndim - 1), 1);
    for (size_t r = s.begin; r < s.end; r++) {
        int64_t cut =
            (int64_t)(r % (size_t)rows) + k + (upper ? 0 : 1); /* first of the right part */

        cut = cut < 0 ? 0 : cut > cols ? cols : cut;
        const char *x = (const char *)in->data + r * (size_t)cols * size;
        char *o = (char *)out->data + r * (size_t)cols * size;
        const size_t left = (size_t)cut * size, right = (size_t)(cols - cut) * size;
        memmove(o, x, (size_t)cols * size);
        memset(upper ? o : o + left, 0, upper ? left : right);
    }
}
