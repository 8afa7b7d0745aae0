/* SPDX-License-Identifier: MIT */
/* The toy model: its logits are a hash of everything that lies in the cache before a token. */
#include "helper_fake_lm.h"
#include <assert.h>
#include <math.h>
#include <string.h>

struct fake_lm {
    struct lm lm;
    struct backend backend;
    struct fake_options options;
    struct lm_kv_shape shapes[2];
    struct fake_stats stats;
    fake_hook_fn *hook;
    void *hook_user;
    int64_t poison;
};

struct fake_state {
    int32_t *ids;
    bool *rope_long;
    int64_t n, cap;
};

static const struct lm_kv_shape fake_shapes[] = { { 1, 3, 0, 0 }, { 2, 1, 0, 0 } };

/* ---- the function itself ---- */

static uint64_t fake_mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t fake_fold(uint64_t h, int64_t id, int64_t position, bool rope_long)
{
    return fake_mix(h, (uint64_t)id * 4 + (uint64_t)rope_long * 2 + (uint64_t)position * 1000003);
}

static void fake_row(uint64_t h, float *logits)
{
    for (uint64_t v = 0; v < FAKE_VOCAB; v++)
        logits[v] = (float)(fake_mix(fake_mix(h, v + 1), 77) >> 40) * 0x1p-22F - 2; /* [-2, 2) */
}

static void fake_logits_from(const int32_t *ids, int64_t first, int64_t n, bool rope_long,
                             float *logits)
{
    uint64_t h = 1;

    for (int64_t i = first; i < n; i++) h = fake_fold(h, ids[i], i, rope_long);
    fake_row(h, logits);
}

void fake_logits(const int32_t *ids, int64_t n, bool rope_long, float *logits)
{
    fake_logits_from(ids, 0, n, rope_long, logits);
}

/* First of n positions that the last of them sees through a window. */
static int64_t fake_first(int window, int64_t n)
{
    return window > 0 && n > window ? n - window : 0;
}

/* ---- pages ---- */

static float *fake_slot(const struct lm_step *step, const struct step_seq *seq, int layer, bool v,
                        int head, int64_t position)
{
    const struct kv_store *kv = step->kv;
    const struct kv_layer *l = &kv->layers[layer];
    const struct kv_group *group = &kv->groups[l->group];
    const int32_t page =
        seq->pages[(size_t)l->group * seq->pages_stride + (size_t)(position / kv->page_tokens)];
    char *base = kv->buf->handle;

    assert(page >= 0 && page < group->n_pages);
    base += group->offset + (size_t)page * group->page_bytes + (v ? l->v_offset : l->k_offset);
    return (float *)(void *)base +
           ((int64_t)head * kv->page_tokens + position % kv->page_tokens) * l->head_dim;
}

static void fake_store(const struct lm_step *step, const struct step_seq *seq, int64_t position,
                       int32_t id, bool rope_long)
{
    float *k = fake_slot(step, seq, 0, false, 0, position);

    k[0] = (float)id;
    k[1] = (float)position;
    k[2] = (float)rope_long;
    fake_slot(step, seq, 0, true, 0, position)[2] = (float)id;
    fake_slot(step, seq, 1, false, 1, position)[0] = (float)(id + 1);
    fake_slot(step, seq, 1, true, 1, position)[0] = (float)(position + 1);
}

/* The second layer's slot agrees with the first's. */
static bool fake_agrees(const struct lm_step *step, const struct step_seq *seq, int64_t i,
                        const float *k)
{
    return fake_slot(step, seq, 1, false, 1, i)[0] == k[0] + 1 &&
           fake_slot(step, seq, 1, true, 1, i)[0] == k[1] + 1;
}

/* The hash through the page tables, as far back as each layer sees; a slot whose parts do not agree
 * spoils it. */
static uint64_t fake_read_hash(const struct fake_lm *f, const struct lm_step *step,
                               const struct step_seq *seq, int64_t n)
{
    uint64_t h = 1;

    for (int64_t i = fake_first(f->shapes[0].window, n); i < n; i++) {
        const float *k = fake_slot(step, seq, 0, false, 0, i);
        const bool whole = fake_slot(step, seq, 0, true, 0, i)[2] == k[0] &&
                           (i < fake_first(f->shapes[1].window, n) || fake_agrees(step, seq, i, k));
        h = fake_fold(h, (int64_t)k[0], whole ? (int64_t)k[1] : -7, k[2] != 0);
    }
    return h;
}

/* ---- dense states ---- */

static void fake_append(struct fake_state *s, int32_t id, bool rope_long)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->ids = mem_realloc_array(s->ids, (size_t)s->cap, sizeof *s->ids);
        s->rope_long = mem_realloc_array(s->rope_long, (size_t)s->cap, sizeof *s->rope_long);
        assert(s->ids && s->rope_long);
    }
    s->ids[s->n] = id;
    s->rope_long[s->n++] = rope_long;
}

static status fake_state_create(struct lm *lm, void **state, struct err *err)
{
    struct fake_lm *f = (struct fake_lm *)lm;

    *state = NULL;
    if (!f->options.dense && !f->options.state) return ST_OK;
    *state = mem_calloc(1, sizeof(struct fake_state));
    if (!*state) return FAIL(err, ST_NOMEM, "fake: out of memory");
    f->stats.states++;
    return ST_OK;
}

static void fake_state_destroy(struct lm *lm, void *state)
{
    struct fake_state *s = state;

    if (!s) return;
    ((struct fake_lm *)lm)->stats.states--;
    mem_free(s->ids);
    mem_free(s->rope_long);
    mem_free(s);
}

static status fake_state_copy(struct lm *lm, void *to, const void *from, struct err *err)
{
    const struct fake_state *s = from;

    if (((struct fake_lm *)lm)->options.dense) return FAIL(err, ST_UNSUPPORTED, "fake: dense");
    assert(((struct fake_state *)to)->n == 0);
    for (int64_t i = 0; i < s->n; i++) fake_append(to, s->ids[i], s->rope_long[i]);
    return ST_OK;
}

static status fake_state_rewind(struct lm *lm, void *state, int64_t length, struct err *err)
{
    if (((struct fake_lm *)lm)->options.state) return FAIL(err, ST_UNSUPPORTED, "fake: a state");
    ((struct fake_state *)state)->n = length;
    return ST_OK;
}

/* ---- the step ---- */

static void fake_check_bounds(const struct fake_lm *f, const struct lm_step *step)
{
    const struct lm_info *info = &f->lm.info;
    int32_t at = 0;

    assert(step->n_tokens > 0 && step->n_seqs > 0 && step->n_seqs <= info->seqs_max);
    assert(info->whole_prompt || step->n_tokens <= info->tokens_max);
    assert(step->n_rows <= info->rows_max);
    for (int32_t i = 0; i < step->n_seqs; i++) {
        assert(step->seqs[i].first == at && step->seqs[i].n_tokens > 0);
        at += step->seqs[i].n_tokens;
    }
    assert(at == step->n_tokens);
    for (int32_t r = 0; r < step->n_rows; r++)
        assert(step->rows[r] < at && (r == 0 || step->rows[r] > step->rows[r - 1]));
}

static void fake_feed(struct fake_lm *f, const struct lm_step *step, int32_t i)
{
    const struct step_seq *seq = &step->seqs[i];
    const bool rope_long =
        f->lm.info.long_threshold > 0 && seq->rope_len > f->lm.info.long_threshold;

    for (int32_t t = 0; t < seq->n_tokens; t++) {
        const int32_t id = step->ids[seq->first + t];
        if (f->options.dense)
            fake_append(step->states[i], id, rope_long);
        else
            fake_store(step, seq, seq->n_past + t, id, rope_long);
        if (f->options.state) fake_append(step->states[i], id, rope_long);
    }
}

/* The state has seen what the pages hold, each token once. */
static bool fake_state_agrees(const struct fake_state *s, const struct step_seq *seq, int64_t n,
                              uint64_t want)
{
    uint64_t h = 1;

    if (s->n != (int64_t)seq->n_past + seq->n_tokens) return false;
    for (int64_t p = 0; p < n; p++) h = fake_fold(h, s->ids[p], p, s->rope_long[p]);
    return h == want;
}

static void fake_out(const struct fake_lm *f, const struct lm_step *step, int32_t i, int32_t row)
{
    const struct step_seq *seq = &step->seqs[i];
    const int64_t n = seq->n_past + step->rows[row] - seq->first + 1;
    float *out = step->out + (size_t)row * FAKE_VOCAB;
    uint64_t h = 1;

    if (f->options.dense) {
        const struct fake_state *s = step->states[i];
        for (int64_t p = 0; p < n; p++) h = fake_fold(h, s->ids[p], p, s->rope_long[p]);
    } else {
        h = fake_read_hash(f, step, seq, n);
    }
    if (f->options.state && !fake_state_agrees(step->states[i], seq, n, h)) h = ~h;
    fake_row(h, out);
    for (int v = 0; f->poison && n == f->poison && v < FAKE_VOCAB; v++) out[v] = NAN;
}

static void fake_count(struct fake_lm *f, const struct lm_step *step)
{
    bool decode = false, prefill = false;

    f->stats.steps++;
    f->stats.tokens += step->n_tokens;
    if (step->n_seqs > f->stats.seqs_most) f->stats.seqs_most = step->n_seqs;
    for (int32_t i = 0; i < step->n_seqs; i++) {
        decode |= step->seqs[i].n_tokens == 1;
        prefill |= step->seqs[i].n_tokens > 1;
    }
    f->stats.mixed_steps += decode && prefill;
}

static status fake_step(struct lm *lm, const struct lm_step *step, struct err *err)
{
    struct fake_lm *f = (struct fake_lm *)lm;
    int32_t row = 0;

    fake_check_bounds(f, step);
    fake_count(f, step);
    if (f->hook) TRY(f->hook(f->hook_user, step, err));
    for (int32_t i = 0; i < step->n_seqs; i++) fake_feed(f, step, i);
    for (int32_t i = 0; i < step->n_seqs; i++)
        for (; row < step->n_rows && step->rows[row] < step->seqs[i].first + step->seqs[i].n_tokens;
             row++)
            fake_out(f, step, i, row);
    return ST_OK;
}

/* ---- the backend behind it: memory only ---- */

static status fake_alloc(struct backend *be, size_t size, struct buffer *out, struct err *err)
{
    const struct fake_lm *f =
        (const struct fake_lm *)(const void *)((char *)be - offsetof(struct fake_lm, backend));
    void *p = mem_alloc_aligned(64, size);

    if (!p) return FAIL(err, ST_NOMEM, "fake: out of memory");
    memset(p, 0xff, size); /* NaN: what was never written is seen */
    *out =
        (struct buffer){ .handle = p, .host = f->options.device_memory ? NULL : p, .size = size };
    return ST_OK;
}

static void fake_free(struct backend *be, struct buffer *buf)
{
    (void)be;
    mem_free_aligned(buf->handle);
    *buf = (struct buffer){ 0 };
}

static status fake_write(struct backend *be, struct view dst, const void *src, size_t n,
                         struct err *err)
{
    (void)be;
    (void)err;
    memcpy((char *)dst.buf->handle + dst.offset, src, n);
    return ST_OK;
}

static status fake_read(struct backend *be, void *dst, struct view src, size_t n, struct err *err)
{
    (void)be;
    (void)err;
    memcpy(dst, (const char *)src.buf->handle + src.offset, n);
    return ST_OK;
}

static const struct backend_ops fake_backend_ops = {
    .name = "fake",
    .alloc = fake_alloc,
    .free = fake_free,
    .write = fake_write,
    .read = fake_read,
};

/* ---- life ---- */

static void fake_close(struct lm *lm)
{
    assert(((struct fake_lm *)lm)->stats.states == 0);
    mem_free(lm);
}

static const struct lm_ops fake_ops = {
    .step = fake_step,
    .state_create = fake_state_create,
    .state_destroy = fake_state_destroy,
    .state_copy = fake_state_copy,
    .state_rewind = fake_state_rewind,
    .close = fake_close,
};

struct lm *fake_lm_create(const struct fake_options *options)
{
    struct fake_lm *f = mem_calloc(1, sizeof *f);

    if (!f) return NULL;
    if (options) f->options = *options;
    f->backend.ops = &fake_backend_ops;
    f->lm = (struct lm){ .ops = &fake_ops, .backend = &f->backend };
    memcpy(f->shapes, fake_shapes, sizeof f->shapes);
    f->shapes[1].window = f->options.window;
    if (f->options.all_windowed) f->shapes[0].window = f->options.window;
    f->lm.info = (struct lm_info){
        .vocab = FAKE_VOCAB,
        .width = FAKE_VOCAB,
        .hidden_only = f->options.hidden_only,
        .paged = !f->options.dense,
        .whole_prompt = f->options.whole_prompt,
        .piece_tokens = f->options.piece_tokens,
        .long_threshold = f->options.long_threshold,
        .state_bytes = f->options.state ? 1 : 0,
        .fixed_state = f->options.state,
        .n_kv_layers = (int)COUNT(fake_shapes),
        .kv_shapes = f->shapes,
        .kv_dtype = DT_F32,
        .tokens_max = f->options.tokens_max ? f->options.tokens_max : 40,
        .seqs_max = f->options.seqs_max ? f->options.seqs_max : 16,
        .rows_max = f->options.rows_max ? f->options.rows_max : 16,
        .device = "fake",
        .isa = "none",
        .n_threads = 1,
    };
    return &f->lm;
}

struct fake_stats *fake_lm_stats(struct lm *lm) { return &((struct fake_lm *)lm)->stats; }

void fake_lm_hook(struct lm *lm, fake_hook_fn *hook, void *user)
{
    ((struct fake_lm *)lm)->hook = hook;
    ((struct fake_lm *)lm)->hook_user = user;
}

void fake_lm_poison(struct lm *lm, int64_t length) { ((struct fake_lm *)lm)->poison = length; }

/* ---- what a request must give ---- */

static bool fake_is_stop(const struct gen_request *req, int32_t id)
{
    for (size_t i = 0; i < req->n_stop; i++)
        if (req->stop_ids[i] == id) return true;
    return false;
}

int fake_expect(const struct fake_options *options, const struct gen_request *req, int index,
                int32_t *out, int max)
{
    const int64_t threshold = options ? options->long_threshold : 0;
    const int window = options && options->all_windowed ? options->window : 0;
    struct sampler_scratch scratch;
    struct token_counts counts = { mem_calloc(FAKE_VOCAB, sizeof(uint32_t)) };
    int32_t *ids = mem_calloc(req->n_ids + (size_t)max + 1, sizeof *ids);
    struct rng rng;
    float logits[FAKE_VOCAB], logprob;
    uint32_t allowed[TOKEN_SET_WORDS(FAKE_VOCAB)];
    int n = 0;

    assert(counts.generated && ids && sampler_scratch_init(&scratch, FAKE_VOCAB, NULL) == ST_OK);
    rng_seed(&rng, req->sampling.seed, (uint64_t)index);
    memcpy(ids, req->ids, req->n_ids * sizeof *ids);
    for (size_t i = 0; i < req->n_ids; i++) counts.generated[ids[i]] |= TOKEN_IN_PROMPT;
    while (n < max && n < req->max_tokens) {
        const int64_t length = (int64_t)req->n_ids + n;
        const struct sample_input in = { logits, &req->sampling, &counts, allowed };
        memset(allowed, 0xff, sizeof allowed);
        if (req->mask) req->mask(req->user, index, ids + req->n_ids, (size_t)n, allowed);
        for (size_t i = 0; n < req->min_tokens && i < req->n_stop; i++)
            token_set_remove(allowed, req->stop_ids[i]);
        fake_logits_from(ids, fake_first(window, length), length,
                         threshold > 0 && length > threshold, logits);
        const status st = sampler_pick(&scratch, &in, &rng, &ids[length], &logprob, NULL);
        assert(st == ST_OK);
        (void)st;
        if (fake_is_stop(req, ids[length])) break;
        counts.generated[ids[length]]++;
        out[n++] = ids[length];
    }
    sampler_scratch_fini(&scratch);
    mem_free(counts.generated);
    mem_free(ids);
    return n;
}

/* ---- collecting ---- */

bool collect_sink(void *user, const struct gen_event *ev)
{
    struct collect *c = user;
    const int i = ev->choice;

    assert(i >= 0 && i < COLLECT_CHOICES);
    if (c->finish[i] != FINISH_NONE) c->n_after_finish++;
    c->n_prompt = ev->n_prompt;
    c->n_cached = ev->n_cached;
    if (ev->finish != FINISH_NONE) {
        assert(ev->id == -1);
        c->finish[i] = ev->finish;
        if (ev->error) memcpy(c->error, ev->error, strlen(ev->error) + 1);
        return true;
    }
    if (c->refuse_every && ++c->offers % c->refuse_every == 0) {
        c->refused++;
        if (c->resume) generation_resume(c->resume);
        return false;
    }
    assert(c->n[i] < COLLECT_TOKENS);
    c->logprobs[i][c->n[i]] = ev->logprob;
    c->ids[i][c->n[i]++] = ev->id;
    return true;
}
