/* SPDX-License-Identifier: MIT */
/* Causal attention forwards and backwards for one training thread: heads of 32,
 * bf16 in, sums in fp32, AVX-512 BF16. Scores never leave the cache: 32 queries
 * at a time, transposed, so that a vector is 16 queries of one key and softmax
 * needs no sums across a vector.
 *
 * All tensors are [batch, length, heads, 32], without gaps; lse is [batch,
 * heads, length]. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { DIM = 32, PAIRS = DIM / 2, BLOCK = 32, KEYS = 8 };

typedef __m512i words; /* 16 pairs of bf16 */

/* The last four are of the way back alone. */
struct tensors {
  const uint16_t *q, *k, *v;
  uint16_t *out;
  float *lse;
  const uint16_t *g; /* the gradient of out */
  uint16_t *dq, *dk, *dv;
};

struct shape {
  size_t length, stride; /* of a row, in values */
  size_t padded;         /* the length in whole blocks */
};

struct tile {
  __m512 v[KEYS][2];
};

static __m512 dot(__m512 sum, uint32_t a, words b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32((int)a),
                          (__m512bh)b);
}

static float widened(uint16_t x) {
  const uint32_t bits = (uint32_t)x << 16;
  float f;

  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint16_t narrowed(float f) {
  uint32_t bits;

  memcpy(&bits, &f, sizeof bits);
  return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static uint32_t pair_of(const uint16_t *row, size_t k) {
  uint32_t pair;

  memcpy(&pair, row + 2 * k, sizeof pair);
  return pair;
}

/* out[pair][row]: what a vector of rows is multiplied from. */
static void pack_by_row(uint32_t *out, const uint16_t *x,
                        const struct shape *s) {
  for (size_t p = 0; p < PAIRS; p++)
    for (size_t r = 0; r < s->padded; r++)
      out[p * s->padded + r] =
          r < s->length ? pair_of(x + r * s->stride, p) : 0;
}

/* out[row / 2][dim]: two rows side by side. */
static void pack_pairs(uint32_t *out, const uint16_t *x,
                       const struct shape *s) {
  for (size_t r = 0; r < s->padded; r += 2) {
    for (size_t d = 0; d < DIM; d++) {
      const uint32_t low = r < s->length ? x[r * s->stride + d] : 0;
      const uint32_t high = r + 1 < s->length ? x[(r + 1) * s->stride + d] : 0;
      out[r / 2 * DIM + d] = high << 16 | low;
    }
  }
}

/* Eight rows times 32 packed ones, whose first is `at`. */
static inline void rows_times(struct tile *t, const uint16_t *rows,
                              const uint32_t *packed, size_t at,
                              const struct shape *s) {
  for (int m = 0; m < KEYS; m++)
    t->v[m][0] = t->v[m][1] = _mm512_setzero_ps();
  for (size_t p = 0; p < PAIRS; p++) {
    const words b0 = _mm512_loadu_si512(packed + p * s->padded + at);
    const words b1 = _mm512_loadu_si512(packed + p * s->padded + at + 16);
#pragma GCC unroll 8
    for (int m = 0; m < KEYS; m++) {
      const uint32_t a = pair_of(rows + (size_t)m * s->stride, p);
      t->v[m][0] = dot(t->v[m][0], a, b0);
      t->v[m][1] = dot(t->v[m][1], a, b1);
    }
  }
}

static inline __m512 exp512(__m512 x) {
  const __m512 y = _mm512_mul_ps(_mm512_max_ps(x, _mm512_set1_ps(-100)),
                                 _mm512_set1_ps(1.44269504f));
  const __m512 n =
      _mm512_roundscale_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 f = _mm512_sub_ps(y, n);
  __m512 p = _mm512_set1_ps(1.339887440e-3f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.618437357e-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550332548e-2f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402264791e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931472028e-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1));
  return _mm512_scalef_ps(p, n);
}

/* Two keys side by side for each of 16 queries. */
static inline words interleaved(__m512 even, __m512 odd) {
  const words low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
  const words high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));

  return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* Which of 16 queries, of which the first is `query`, see a key. */
static inline __mmask16 seeing(size_t query, size_t key) {
  return key <= query        ? 0xFFFF
         : key - query >= 16 ? 0
                             : (__mmask16)(0xFFFF << (key - query));
}

/* out[dim][32 queries] = sums over keys of packed[key / 2][dim] times
 * weights[key / 2][query]. */
static void sum_keys(float *out, const uint32_t *packed,
                     const uint32_t *weights, size_t n_keys) {
  for (size_t d = 0; d < DIM; d += KEYS) {
    __m512 sum[KEYS][2];

    for (int m = 0; m < KEYS; m++)
      sum[m][0] = sum[m][1] = _mm512_setzero_ps();
    for (size_t k = 0; k < n_keys / 2; k++) {
      const words w0 = _mm512_loadu_si512(weights + k * BLOCK);
      const words w1 = _mm512_loadu_si512(weights + k * BLOCK + 16);
#pragma GCC unroll 8
      for (int m = 0; m < KEYS; m++) {
        sum[m][0] = dot(sum[m][0], packed[k * DIM + d + (size_t)m], w0);
        sum[m][1] = dot(sum[m][1], packed[k * DIM + d + (size_t)m], w1);
      }
    }
    for (int m = 0; m < KEYS; m++) {
      _mm512_storeu_ps(out + (d + (size_t)m) * BLOCK, sum[m][0]);
      _mm512_storeu_ps(out + (d + (size_t)m) * BLOCK + 16, sum[m][1]);
    }
  }
}

/* out[key][dim] += sums over the block's queries of weights[key][query] times
 * packed[query / 2][dim]. */
static void sum_queries(float *out, const uint16_t *weights,
                        const uint32_t *packed, size_t n_keys) {
  for (size_t j = 0; j < n_keys; j += KEYS) {
    __m512 sum[KEYS][2];

    for (int m = 0; m < KEYS; m++) {
      sum[m][0] = _mm512_loadu_ps(out + (j + (size_t)m) * DIM);
      sum[m][1] = _mm512_loadu_ps(out + (j + (size_t)m) * DIM + 16);
    }
    for (size_t q = 0; q < BLOCK / 2; q++) {
      const words x0 = _mm512_loadu_si512(packed + q * DIM);
      const words x1 = _mm512_loadu_si512(packed + q * DIM + 16);
#pragma GCC unroll 8
      for (int m = 0; m < KEYS; m++) {
        const uint32_t w = pair_of(weights + (j + (size_t)m) * BLOCK, q);
        sum[m][0] = dot(sum[m][0], w, x0);
        sum[m][1] = dot(sum[m][1], w, x1);
      }
    }
    for (int m = 0; m < KEYS; m++) {
      _mm512_storeu_ps(out + (j + (size_t)m) * DIM, sum[m][0]);
      _mm512_storeu_ps(out + (j + (size_t)m) * DIM + 16, sum[m][1]);
    }
  }
}

/* Writes out[query][dim] from sums[dim][32 queries], each query's times its
 * factor. */
static void put_block(uint16_t *out, const float *sums, const float *factors,
                      size_t at, const struct shape *s) {
  for (size_t q = 0; q < BLOCK && at + q < s->length; q++)
    for (size_t d = 0; d < DIM; d++)
      out[(at + q) * s->stride + d] =
          narrowed(sums[d * BLOCK + q] * factors[q]);
}

static void put_rows(uint16_t *out, const float *rows, const struct shape *s) {
  for (size_t r = 0; r < s->length; r++)
    for (size_t d = 0; d < DIM; d++)
      out[r * s->stride + d] = narrowed(rows[r * DIM + d]);
}

/* Rows behind the end are zero, so that whole tiles may be read. */
static void copy_rows(uint16_t *out, const uint16_t *x, const struct shape *s) {
  memset(out, 0, s->padded * DIM * sizeof *out);
  for (size_t r = 0; r < s->length; r++)
    memcpy(out + r * DIM, x + r * s->stride, DIM * sizeof *out);
}

static void *room(size_t n) {
  void *p = NULL;

  if (posix_memalign(&p, 64, n ? n : 64) != 0)
    abort();
  return p;
}

/* ---- forwards ---- */

struct forward {
  struct shape s, rows; /* as given, and as copied */
  float scale;
  uint16_t *k;
  uint32_t *q_by_row, *v_pairs, *weights;
  float *scores;
};

/* Scores of a block's queries with the keys they may see: [key][32]; the
 * largest of each. */
static void find_scores(const struct forward *f, size_t at, __m512 top[2]) {
  top[0] = top[1] = _mm512_set1_ps(-INFINITY);
  for (size_t j = 0; j < at + BLOCK; j += KEYS) {
    struct tile t;

    rows_times(&t, f->k + j * DIM, f->q_by_row, at, &f->rows);
    for (size_t m = 0; m < KEYS; m++) {
      for (size_t h = 0; h < 2; h++) {
        const __m512 x = _mm512_mask_mov_ps(
            _mm512_set1_ps(-INFINITY), seeing(at + 16 * h, j + m), t.v[m][h]);
        top[h] = _mm512_max_ps(top[h], x);
        _mm512_storeu_ps(f->scores + (j + m) * BLOCK + 16 * h, x);
      }
    }
  }
}

static void forward_block(const struct forward *f, size_t at, uint16_t *out,
                          float *lse) {
  const __m512 scale = _mm512_set1_ps(f->scale);
  __m512 top[2], sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  float sums[DIM * BLOCK], factors[BLOCK], tops[BLOCK], totals[BLOCK];

  find_scores(f, at, top);
  for (size_t j = 0; j < at + BLOCK; j += 2) {
    for (size_t h = 0; h < 2; h++) {
      const float *x = f->scores + j * BLOCK + 16 * h;
      const __m512 a = exp512(
          _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x), top[h]), scale));
      const __m512 b = exp512(_mm512_mul_ps(
          _mm512_sub_ps(_mm512_loadu_ps(x + BLOCK), top[h]), scale));

      sum[h] = _mm512_add_ps(sum[h], _mm512_add_ps(a, b));
      _mm512_storeu_si512(f->weights + j / 2 * BLOCK + 16 * h,
                          interleaved(a, b));
    }
  }
  sum_keys(sums, f->v_pairs, f->weights, at + BLOCK);
  for (size_t h = 0; h < 2; h++) {
    _mm512_storeu_ps(tops + 16 * h, top[h]);
    _mm512_storeu_ps(totals + 16 * h, sum[h]);
  }
  for (size_t q = 0; q < BLOCK; q++) {
    factors[q] = 1 / totals[q];
    if (at + q < f->s.length)
      lse[at + q] = tops[q] * f->scale + logf(totals[q]);
  }
  put_block(out, sums, factors, at, &f->s);
}

static struct shape shape_of(size_t length, size_t stride) {
  return (struct shape){length, stride, (length + BLOCK - 1) / BLOCK * BLOCK};
}

void pocket_attention(const struct tensors *t, int64_t batch, int64_t length,
                      int64_t heads) {
  struct forward f = {.s = shape_of((size_t)length, (size_t)heads * DIM),
                      .scale = 1 / sqrtf(DIM)};
  const size_t n = f.s.padded;

  f.rows = f.s;
  f.rows.stride = DIM;
  f.k = room(n * DIM * sizeof *f.k);
  f.q_by_row = room(n * PAIRS * sizeof *f.q_by_row);
  f.v_pairs = room(n / 2 * DIM * sizeof *f.v_pairs);
  f.weights = room(n / 2 * BLOCK * sizeof *f.weights);
  f.scores = room(n * BLOCK * sizeof *f.scores);
  for (size_t i = 0; i < (size_t)(batch * heads); i++) {
    const size_t b = i / (size_t)heads, h = i % (size_t)heads;
    const size_t at = b * f.s.length * f.s.stride + h * DIM;

    copy_rows(f.k, t->k + at, &f.s);
    pack_by_row(f.q_by_row, t->q + at, &f.s);
    pack_pairs(f.v_pairs, t->v + at, &f.s);
    for (size_t block = 0; block < n; block += BLOCK)
      forward_block(&f, block, t->out + at, t->lse + i * f.s.length);
  }
  free(f.k);
  free(f.q_by_row);
  free(f.v_pairs);
  free(f.weights);
  free(f.scores);
}

/* ---- backwards ---- */

struct backward {
  struct shape s, rows;
  float scale;
  uint16_t *k, *v, *weights, *slopes; /* rows; [key][32 queries] */
  uint32_t *q_by_row, *g_by_row, *q_pairs, *g_pairs, *k_pairs, *slope_pairs;
  float *lse, *inner, *dk, *dv; /* [padded]; [padded][DIM] */
};

/* Softmax's weights of a block and the slopes of its scores. */
static void find_slopes(const struct backward *w, size_t at) {
  const __m512 scale = _mm512_set1_ps(w->scale);

  for (size_t j = 0; j < at + BLOCK; j += KEYS) {
    struct tile score, slope;

    rows_times(&score, w->k + j * DIM, w->q_by_row, at, &w->rows);
    rows_times(&slope, w->v + j * DIM, w->g_by_row, at, &w->rows);
    for (size_t m = 0; m < KEYS; m++) {
      for (size_t h = 0; h < 2; h++) {
        const __m512 lse = _mm512_loadu_ps(w->lse + at + 16 * h);
        const __m512 inner = _mm512_loadu_ps(w->inner + at + 16 * h);
        const __m512 p = _mm512_maskz_mov_ps(
            seeing(at + 16 * h, j + m),
            exp512(_mm512_fmsub_ps(score.v[m][h], scale, lse)));
        const __m512 ds = _mm512_mul_ps(p, _mm512_sub_ps(slope.v[m][h], inner));
        const size_t cell = (j + m) * BLOCK + 16 * h;

        slope.v[m][h] = ds;
        _mm256_storeu_si256((__m256i *)(w->weights + cell),
                            (__m256i)_mm512_cvtneps_pbh(p));
        _mm256_storeu_si256((__m256i *)(w->slopes + cell),
                            (__m256i)_mm512_cvtneps_pbh(ds));
      }
    }
    for (size_t m = 0; m < KEYS; m += 2)
      for (size_t h = 0; h < 2; h++)
        _mm512_storeu_si512(w->slope_pairs + (j + m) / 2 * BLOCK + 16 * h,
                            interleaved(slope.v[m][h], slope.v[m + 1][h]));
  }
}

static void backward_block(const struct backward *w, size_t at, uint16_t *dq) {
  float sums[DIM * BLOCK], factors[BLOCK];

  find_slopes(w, at);
  sum_queries(w->dv, w->weights, w->g_pairs + at / 2 * DIM, at + BLOCK);
  sum_queries(w->dk, w->slopes, w->q_pairs + at / 2 * DIM, at + BLOCK);
  sum_keys(sums, w->k_pairs, w->slope_pairs, at + BLOCK);
  for (size_t q = 0; q < BLOCK; q++)
    factors[q] = w->scale;
  put_block(dq, sums, factors, at, &w->s);
}

/* Each query's output times its gradient; rows behind the end see nothing. */
static void find_inner(const struct backward *w, const uint16_t *out,
                       const uint16_t *g, const float *lse) {
  for (size_t r = 0; r < w->s.padded; r++) {
    float sum = 0;

    for (size_t d = 0; r < w->s.length && d < DIM; d++)
      sum +=
          widened(out[r * w->s.stride + d]) * widened(g[r * w->s.stride + d]);
    w->inner[r] = sum;
    w->lse[r] = r < w->s.length ? lse[r] : 0;
  }
}

static void backward_head(struct backward *w, const struct tensors *t,
                          size_t at, const float *lse) {
  const struct shape *s = &w->s;

  copy_rows(w->k, t->k + at, s);
  copy_rows(w->v, t->v + at, s);
  pack_by_row(w->q_by_row, t->q + at, s);
  pack_by_row(w->g_by_row, t->g + at, s);
  pack_pairs(w->q_pairs, t->q + at, s);
  pack_pairs(w->g_pairs, t->g + at, s);
  pack_pairs(w->k_pairs, t->k + at, s);
  find_inner(w, t->out + at, t->g + at, lse);
  memset(w->dk, 0, s->padded * DIM * sizeof *w->dk);
  memset(w->dv, 0, s->padded * DIM * sizeof *w->dv);
  for (size_t block = 0; block < s->padded; block += BLOCK)
    backward_block(w, block, t->dq + at);
  for (size_t i = 0; i < s->padded * DIM; i++)
    w->dk[i] *= w->scale;
  put_rows(t->dk + at, w->dk, s);
  put_rows(t->dv + at, w->dv, s);
}

void pocket_attention_backward(const struct tensors *t, int64_t batch,
                               int64_t length, int64_t heads) {
  struct backward w = {.s = shape_of((size_t)length, (size_t)heads * DIM),
                       .scale = 1 / sqrtf(DIM)};
  const size_t n = w.s.padded;

  w.rows = w.s;
  w.rows.stride = DIM;
  w.k = room(n * DIM * 2);
  w.v = room(n * DIM * 2);
  w.weights = room(n * BLOCK * 2);
  w.slopes = room(n * BLOCK * 2);
  uint32_t **const packed[] = {&w.q_by_row, &w.g_by_row, &w.q_pairs,
                               &w.g_pairs,  &w.k_pairs,  &w.slope_pairs};
  for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
    *packed[i] = room(n * PAIRS * 4);
  w.lse = room(n * 4);
  w.inner = room(n * 4);
  w.dk = room(n * DIM * 4);
  w.dv = room(n * DIM * 4);
  for (size_t i = 0; i < (size_t)(batch * heads); i++) {
    const size_t b = i / (size_t)heads, h = i % (size_t)heads;
    backward_head(&w, t, b * w.s.length * w.s.stride + h * DIM,
                  t->lse + i * w.s.length);
  }
  void *const all[] = {w.k,   w.v,     w.weights, w.slopes,
                       w.lse, w.inner, w.dk,      w.dv};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
  for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
    free(*packed[i]);
}
