/* SPDX-License-Identifier: MIT */
#include "backends/cpu/cpu_pack.h"

#include <string.h>

size_t cpu_pack_slice(size_t n, size_t each)
{
    const size_t fit = CPU_PACK_SLICE_BYTES / (each ? each : 1);

    return fit < 1 ? 1 : fit < n ? fit : n;
}

void cpu_pack_tell(const struct op_call *call, const void *data, size_t n)
{
    if (call->packed) call->packed->tell(call->packed->user, data, n);
}

void cpu_pack_floats(float *out, const void *base, enum dtype dt, size_t offset, size_t n)
{
    enum { PIECE = 256 };
    const size_t size = cpu_size(dt);
    const char *from = (const char *)base + offset * size;
    uint16_t halves[PIECE];

    if (dt == DT_F32) memcpy(out, from, n * size);
    for (size_t i = 0; dt != DT_F32 && i < n; i += PIECE) {
        const size_t some = n - i < PIECE ? n - i : PIECE;

        memcpy(halves, from + i * size, some * size);
        cpu_to_f32(out + i, halves, dt, 0, some);
    }
}

/* [begin, end) of n things for one of n_workers. */
static void share_of(size_t n, int worker, int n_workers, size_t *begin, size_t *end)
{
    *begin = n * (size_t)worker / (size_t)n_workers;
    *end = n * (size_t)(worker + 1) / (size_t)n_workers;
}

/* ---- plain ---- */

struct plain_job {
    const struct op_call *call;
    const struct cpu_panels *to;
    const struct kern_plain_source *src;
    int n_workers;
};

/* W[n][k]: panels lie one behind the other in the source. */
static void pack_columns(const struct plain_job *job, size_t begin, size_t end)
{
    const struct kern_plain_source *s = job->src;
    const size_t row = s->stride_n * s->elem_size;
    const size_t step = cpu_pack_slice(end - begin, KERN_NR * row);

    for (size_t p = begin; p < end; p += step) {
        const size_t count = end - p < step ? end - p : step, left = s->n - p * KERN_NR;
        const size_t rows = left < count * KERN_NR ? left : count * KERN_NR;

        kern_pack_plain(job->to->out + p * job->to->bytes, s, p, count);
        cpu_pack_tell(job->call, (const char *)s->w + p * KERN_NR * row, rows * row);
    }
}

/* W[k][n]: every panel has a part of each row of the source. */
static void pack_rows(const struct plain_job *job, size_t begin, size_t end)
{
    const struct kern_plain_source *s = job->src;
    const size_t row = s->stride_k * s->elem_size, step = cpu_pack_slice(end - begin, row);

    for (size_t k = begin; k < end; k += step) {
        const size_t count = end - k < step ? end - k : step;

        for (size_t p = 0; p < job->to->count; p++)
            kern_pack_plain_rows(job->to->out + p * job->to->bytes, s, p, k, count);
        cpu_pack_tell(job->call, (const char *)s->w + k * row, count * row);
    }
}

static void plain_share(void *arg, int worker)
{
    const struct plain_job *job = arg;
    const bool by_rows = job->src->stride_n < job->src->stride_k;
    size_t begin, end;

    share_of(by_rows ? job->src->k : job->to->count, worker, job->n_workers, &begin, &end);
    if (begin == end) return;
    if (by_rows)
        pack_rows(job, begin, end);
    else
        pack_columns(job, begin, end);
}

void cpu_pack_plain(struct cpu_backend *be, const struct op_call *call, const struct cpu_panels *to,
                    const struct kern_plain_source *src)
{
    struct plain_job job = { call, to, src, cpu_team_size(be->team) };

    cpu_team_run(be->team, plain_share, &job);
}

/* ---- block-quantised ---- */

/* What a slice's rows become before kern_pack_q takes them; only what is not taken as it lies. */
struct qstage {
    float *scales, *zp_f32;
    uint8_t *b, *zp;
};

struct qjob {
    const struct op_call *call;
    const struct cpu_panels *to;
    const struct kern_qshape *shape;
    const struct cpu_qsource *src;
    size_t blocks, row, zp_row; /* of a source row: blocks, bytes of codes, of u8 zero points */
    size_t step;                /* panels of a slice */
    int n_workers;
    struct qstage *stages; /* [n_workers] */
};

static bool stage_alloc(const struct qjob *job, struct qstage *g)
{
    const size_t rows = job->step * KERN_NR, n = rows * job->blocks;
    const bool wide = job->src->bits == 2, floats = job->shape->zp == KERN_ZP_F32;

    g->scales = mem_alloc(n * sizeof *g->scales);
    if (floats) g->zp_f32 = mem_alloc(n * sizeof *g->zp_f32);
    if (wide) g->b = mem_alloc(rows * job->row * 2);
    if (wide && !floats) g->zp = mem_alloc(rows * ((job->blocks + 1) / 2));
    return g->scales && (!floats || g->zp_f32) && (!wide || g->b) && (!wide || floats || g->zp);
}

static void stages_free(struct qjob *job)
{
    for (int i = 0; job->stages && i < job->n_workers; i++) {
        mem_free(job->stages[i].scales);
        mem_free(job->stages[i].zp_f32);
        mem_free(job->stages[i].b);
        mem_free(job->stages[i].zp);
    }
    mem_free(job->stages);
}

/* Two-bit numbers to nibbles; rows of `in_bytes` hold `n` numbers each. */
static void widen_2bit(uint8_t *out, const uint8_t *in, size_t rows, size_t in_bytes, size_t n)
{
    const size_t out_bytes = (n + 1) / 2;

    memset(out, 0, rows * out_bytes);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++) {
            const unsigned v = ((unsigned)in[r * in_bytes + i / 4] >> (i % 4 * 2)) & 3u;
            uint8_t *o = &out[r * out_bytes + i / 2];

            *o = (uint8_t)(*o | v << (i % 2 * 4));
        }
}

/* The zero points of u8 form, widened with their codes: 2 is the middle of 2 bits. */
static const uint8_t *stage_zp(const struct qjob *job, const struct qstage *g, size_t row,
                               size_t rows)
{
    const uint8_t *zp = job->src->zp;

    if (job->src->bits != 2) return zp + row * job->zp_row;
    if (zp)
        widen_2bit(g->zp, zp + row * job->zp_row, rows, job->zp_row, job->blocks);
    else
        memset(g->zp, 0x22, rows * ((job->blocks + 1) / 2));
    return g->zp;
}

/* Rows [row, row + rows) of the source as a matrix of their own. */
static struct kern_qsource stage_rows(const struct qjob *job, const struct qstage *g, size_t row,
                                      size_t rows)
{
    const struct cpu_qsource *s = job->src;
    const size_t at = row * job->blocks, n = rows * job->blocks;
    struct kern_qsource out = { .b = s->b + row * job->row, .scales = g->scales };

    if (g->b) {
        widen_2bit(g->b, out.b, rows, job->row, job->blocks * job->shape->block);
        out.b = g->b;
    }
    cpu_pack_floats(g->scales, s->scales, s->scale_type, at, n);
    if (job->shape->zp == KERN_ZP_F32) {
        cpu_pack_floats(g->zp_f32, s->zp, s->zp_type, at, n);
        out.zp_f32 = g->zp_f32;
    }
    if (job->shape->zp == KERN_ZP_U8) out.zp_u8 = stage_zp(job, g, row, rows);
    return out;
}

static void q_share(void *arg, int worker)
{
    const struct qjob *job = arg;
    const size_t scale = cpu_size(job->src->scale_type);
    struct kern_qshape shape = *job->shape;
    size_t begin, end;

    share_of(job->to->count, worker, job->n_workers, &begin, &end);
    for (size_t p = begin; p < end; p += job->step) {
        const size_t count = end - p < job->step ? end - p : job->step;
        const size_t row = p * KERN_NR, left = job->shape->n - row;

        shape.n = left < count * KERN_NR ? left : count * KERN_NR;
        const struct kern_qsource src = stage_rows(job, &job->stages[worker], row, shape.n);
        kern_pack_q(job->to->out + p * job->to->bytes, &shape, &src, 0, count);
        cpu_pack_tell(job->call, job->src->b + row * job->row, shape.n * job->row);
        cpu_pack_tell(job->call, (const char *)job->src->scales + row * job->blocks * scale,
                      shape.n * job->blocks * scale);
    }
}

status cpu_pack_quantised(struct cpu_backend *be, const struct op_call *call,
                          const struct cpu_panels *to, const struct kern_qshape *shape,
                          const struct cpu_qsource *src, struct err *err)
{
    struct qjob job = { .call = call,
                        .to = to,
                        .shape = shape,
                        .src = src,
                        .blocks = kern_q_blocks(shape->k, shape->block),
                        .n_workers = cpu_team_size(be->team) };
    bool ok;

    job.row = job.blocks * shape->block * src->bits / 8;
    job.zp_row = (job.blocks * src->bits + 7) / 8;
    job.step = cpu_pack_slice(to->count, KERN_NR * job.row);
    job.stages = mem_calloc((size_t)job.n_workers, sizeof *job.stages);
    ok = job.stages != NULL;
    for (int i = 0; ok && i < job.n_workers; i++) ok = stage_alloc(&job, &job.stages[i]);
    if (ok) cpu_team_run(be->team, q_share, &job);
    stages_free(&job);
    return ok ? ST_OK
              : FAIL(err, ST_NOMEM, "%s: no memory to pack weights [%zu, %zu]", call->node,
                     shape->n, shape->k);
}
