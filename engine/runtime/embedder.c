/* SPDX-License-Identifier: MIT */
/* Embedders: opening, batches, pooling. A batch has no padding: a lowered encoder takes texts one
 * behind the other; in the dense form texts are sorted by length and those of one length run
 * together. So a text's vector is the same whatever is beside it. */
#include "backends/backend.h"
#include "engine/runtime/embed.h"
#include <stdlib.h>
#include <string.h>

enum { DENSE_TEXTS = 64, TEXTS_MAX = 1 << 20 };

const struct embedder_info *embedder_info(const struct embedder *e) { return &e->info; }

/* ---- opening ---- */

void embedder_close(struct embedder *e)
{
    if (!e) return;
    encoder_close(e->encoder);
    if (e->owns_engine) engine_close(e->engine);
    pthread_mutex_destroy(&e->lock);
    arena_fini(&e->arena);
    mem_free(e);
}

static status create(struct embedder **out, const struct model_folder *folder, struct err *err)
{
    struct embedder *e = mem_calloc(1, sizeof *e);

    *out = NULL;
    if (!e) return FAIL(err, ST_NOMEM, "embedder: out of memory");
    pthread_mutex_init(&e->lock, NULL);
    const status st = model_embedding_read(folder, &e->arena, &e->settings, err);
    if (st != ST_OK) {
        embedder_close(e);
        return st;
    }
    e->info.settings = &e->settings;
    e->info.normalize = e->settings.normalize;
    e->info.pooling = e->settings.pooling;
    e->info.length_max = e->settings.length_max;
    e->info.vocab = folder->vocab_size;
    *out = e;
    return ST_OK;
}

/* Modules beyond pooling and length change the vector: only a graph that holds them can be right.
 */
static status check_modules(const struct embedder *e, struct err *err)
{
    if (!e->settings.extra_module || (e->encoder && encoder_info(e->encoder)->whole)) return ST_OK;
    return FAIL(err, ST_UNSUPPORTED,
                "modules.json: %s is not supported beside the graph; export the graph with it "
                "(output sentence_embedding)",
                e->settings.extra_module);
}

static status finish_encoder(struct embedder *e, const struct engine_config *cfg, struct err *err)
{
    const struct encoder_info *x = encoder_info(e->encoder);

    TRY(check_modules(e, err));
    if (x->whole) {
        e->info.pooling = 0;
        e->info.normalize = e->settings.given ? e->info.normalize : false;
    } else if (e->info.pooling == 0) {
        e->info.pooling =
            e->settings.encodes || e->settings.given ? MODEL_POOL_MEAN : MODEL_POOL_LAST;
    }
    e->info.hidden = x->whole ? 0 : x->width;
    e->info.width = x->width * (int64_t)(x->whole ? 1 : embed_pool_count(e->info.pooling));
    if (x->length > 0 && (e->info.length_max == 0 || e->info.length_max > x->length))
        e->info.length_max = x->length;
    if (x->length_max > 0 && (e->info.length_max == 0 || e->info.length_max > x->length_max))
        e->info.length_max = x->length_max;
    e->info.why_dense = x->why_dense;
    e->info.device = "cpu";
    e->info.n_threads = cfg->n_threads > 0 ? cfg->n_threads : (int)os_cpu_count();
    struct str isa = { 0 };
    if (backend_isa_print(cfg->isa, &isa, NULL) == ST_OK)
        e->info.isa = arena_strdup(&e->arena, str_cstr(&isa));
    str_fini(&isa);
    return ST_OK;
}

static status finish_decoder(struct embedder *e, struct err *err)
{
    const struct engine_info *info = engine_info(e->engine);

    TRY(check_modules(e, err));
    if (!info->hidden_only)
        return FAIL(err, ST_UNSUPPORTED, "the graph gives logits, no hidden states");
    if (info->takes_embeds)
        return FAIL(err, ST_UNSUPPORTED, "the graph takes embeddings, no token ids");
    if (e->info.pooling == 0) e->info.pooling = MODEL_POOL_LAST;
    e->info.causal = true;
    e->info.hidden = info->hidden;
    e->info.width = info->hidden * (int64_t)embed_pool_count(e->info.pooling);
    if (e->info.length_max == 0 || e->info.length_max > info->context_length)
        e->info.length_max = info->context_length;
    e->info.device = info->device;
    e->info.isa = info->isa;
    e->info.n_threads = info->n_threads;
    return ST_OK;
}

/* A decoder's engine, its states as the output even where it has logits too. */
static status open_decoder(struct embedder *e, const struct model_folder *folder,
                           const struct engine_config *cfg, const char *hidden, struct err *err)
{
    struct model_folder own = *folder;

    if (!hidden) return FAIL(err, ST_UNSUPPORTED, "the graph gives logits, no hidden states");
    own.io.logits = "";
    own.io.hidden_states = hidden;
    e->owns_engine = true;
    TRY(engine_open(&e->engine, &own, cfg, err));
    return finish_decoder(e, err);
}

status embedder_open(struct embedder **out, const struct model_folder *folder,
                     const struct engine_config *cfg, struct err *err)
{
    struct embedder *e;
    struct found_decoder decoder = { 0 };

    *out = NULL;
    TRY(create(&e, folder, err));
    status st = encoder_open(&e->encoder, folder, cfg, &decoder, &e->arena, err);
    if (st == ST_OK && !decoder.is)
        st = encoder_prepare(e->encoder, cfg, e->settings.length_max, err);
    if (st == ST_OK)
        st = decoder.is ? open_decoder(e, folder, cfg, decoder.hidden, err)
                        : finish_encoder(e, cfg, err);
    if (st != ST_OK) {
        if (err && !str_starts(err->text, folder->onnx_path))
            err_prefix(err, "%s", folder->onnx_path);
        embedder_close(e);
        return st;
    }
    if (cfg->progress) cfg->progress(cfg->progress_user, "ready", 1);
    *out = e;
    return ST_OK;
}

status embedder_of_engine(struct embedder **out, struct engine *engine,
                          const struct model_folder *folder, struct err *err)
{
    struct embedder *e;

    *out = NULL;
    TRY(create(&e, folder, err));
    e->engine = engine;
    const status st = finish_decoder(e, err);
    if (st != ST_OK) {
        embedder_close(e);
        return st;
    }
    *out = e;
    return ST_OK;
}

status embedder_set_pooling(struct embedder *e, unsigned pooling, bool normalize, struct err *err)
{
    if (e->info.hidden == 0)
        return FAIL(err, ST_UNSUPPORTED, "pooling: the graph gives whole texts, no token states");
    if (pooling == 0 || pooling >= MODEL_POOL_LAST << 1)
        return FAIL(err, ST_INVALID, "pooling: no such mode");
    e->info.pooling = pooling;
    e->info.normalize = normalize;
    e->info.width = e->info.hidden * (int64_t)embed_pool_count(pooling);
    return ST_OK;
}

/* ---- runs ---- */

static status check_text(const struct embedder *e, const struct embed_text *t, size_t i,
                         struct err *err)
{
    if (t->n == 0) return FAIL(err, ST_INVALID, "text %zu has no tokens", i);
    if (e->info.length_max > 0 && t->n > (size_t)e->info.length_max)
        return FAIL(err, ST_LIMIT, "text %zu has %zu tokens, the model takes %lld", i, t->n,
                    (long long)e->info.length_max);
    for (size_t k = 0; k < t->n; k++)
        if (t->ids[k] < 0 || (e->info.vocab > 0 && t->ids[k] >= e->info.vocab))
            return FAIL(err, ST_INVALID, "text %zu: token %d is not in the vocabulary", i,
                        t->ids[k]);
    return ST_OK;
}

static void put_vector(const struct embedder *e, const struct embed_text *t, const float *states,
                       float *out)
{
    const size_t width = (size_t)e->info.width, first = e->settings.pools_prompt ? 0 : t->n_prompt;

    if (e->info.pooling == 0)
        memcpy(out, states, width * sizeof *out);
    else
        embed_pool(e->info.pooling, states, t->n, (size_t)e->info.hidden, first, out);
    if (e->info.normalize) embed_normalize(out, width);
}

static status run_decoder(struct embedder *e, const struct embed_text *t, float *out,
                          struct err *err)
{
    const size_t hidden = (size_t)e->info.hidden;
    const bool last = e->info.pooling == MODEL_POOL_LAST;
    const size_t n_rows = last ? 1 : t->n;
    int32_t *rows = mem_calloc(n_rows, sizeof *rows);
    float *states = mem_calloc(n_rows * hidden, sizeof *states);
    status st = rows && states ? ST_OK : FAIL(err, ST_NOMEM, "embedder: out of memory");

    for (size_t i = 0; st == ST_OK && i < n_rows; i++) rows[i] = (int32_t)(last ? t->n - 1 : i);
    if (st == ST_OK) st = embed_decoder_run(e->engine, t, rows, n_rows, states, err);
    if (st == ST_OK && last) {
        memcpy(out, states, hidden * sizeof *out);
        if (e->info.normalize) embed_normalize(out, hidden);
    } else if (st == ST_OK) {
        put_vector(e, t, states, out);
    }
    mem_free(rows);
    mem_free(states);
    return st;
}

struct sorted_text {
    const struct embed_text *text;
    size_t index;
};

static int by_length(const void *a, const void *b)
{
    const struct sorted_text *x = a, *y = b;

    if (x->text->n != y->text->n) return x->text->n < y->text->n ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* How many texts from `at` on run together: of one length in the dense form. */
static size_t dense_batch(const struct encoder_info *x, const struct sorted_text *s, size_t at,
                          size_t n)
{
    const size_t length = s[at].text->n;
    size_t most = length < EMBED_TOKENS ? EMBED_TOKENS / length : 1, count = 1;

    if (x->apart) most = 1;
    if (x->batch > 0) most = x->apart ? 1 : (size_t)x->batch;
    if (most > DENSE_TEXTS) most = DENSE_TEXTS;
    while (count < most && at + count < n && s[at + count].text->n == length) count++;
    return count;
}

static size_t batch_at(const struct embedder *e, const struct sorted_text *s, size_t at, size_t n)
{
    const struct encoder_info *x = encoder_info(e->encoder);
    size_t count = 1, tokens = s[at].text->n;

    if (!x->flat) return dense_batch(x, s, at, n);
    while (count < EMBED_TEXTS_MAX && at + count < n &&
           (tokens += s[at + count].text->n) <= EMBED_TOKENS)
        count++;
    return count;
}

static status run_batch(struct embedder *e, const struct sorted_text *s, size_t count, float *out,
                        struct err *err)
{
    const struct embed_text *texts[EMBED_TEXTS_MAX];
    const float *states[EMBED_TEXTS_MAX];

    for (size_t i = 0; i < count; i++) texts[i] = s[i].text;
    pthread_mutex_lock(&e->lock);
    const status st = encoder_run(e->encoder, texts, count, states, err);
    for (size_t i = 0; st == ST_OK && i < count; i++)
        put_vector(e, texts[i], states[i], out + s[i].index * (size_t)e->info.width);
    pthread_mutex_unlock(&e->lock);
    return st;
}

static status run_sorted(struct embedder *e, const struct embed_request *req, struct sorted_text *s,
                         struct err *err)
{
    const size_t width = (size_t)e->info.width;

    for (size_t i = 0; i < req->n; i++) s[i] = (struct sorted_text){ &req->texts[i], i };
    qsort(s, req->n, sizeof *s, by_length);
    for (size_t at = 0; at < req->n;) {
        const size_t count = e->encoder ? batch_at(e, s, at, req->n) : 1;

        if (req->cancelled && req->cancelled(req->user))
            return FAIL(err, ST_CANCELLED, "the request was cancelled");
        if (e->encoder)
            TRY(run_batch(e, s + at, count, req->out, err));
        else
            TRY(run_decoder(e, s[at].text, req->out + s[at].index * width, err));
        at += count;
    }
    return ST_OK;
}

status embedder_run(struct embedder *e, const struct embed_request *req, struct err *err)
{
    if (req->n > TEXTS_MAX) return FAIL(err, ST_LIMIT, "more than %d texts", TEXTS_MAX);
    for (size_t i = 0; i < req->n; i++) TRY(check_text(e, &req->texts[i], i, err));
    struct sorted_text *s = mem_calloc(req->n + 1, sizeof *s);
    if (!s) return FAIL(err, ST_NOMEM, "embedder: out of memory");
    const status st = run_sorted(e, req, s, err);
    mem_free(s);
    return st;
}

status embedder_states(struct embedder *e, const struct embed_text *text, float *out,
                       struct err *err)
{
    const float *states;

    if (e->info.hidden == 0)
        return FAIL(err, ST_UNSUPPORTED, "the graph gives whole texts, no token states");
    TRY(check_text(e, text, 0, err));
    if (!e->encoder) {
        int32_t *rows = mem_calloc(text->n, sizeof *rows);
        if (!rows) return FAIL(err, ST_NOMEM, "embedder: out of memory");
        for (size_t i = 0; i < text->n; i++) rows[i] = (int32_t)i;
        const status st = embed_decoder_run(e->engine, text, rows, text->n, out, err);
        mem_free(rows);
        return st;
    }
    pthread_mutex_lock(&e->lock);
    const status st = encoder_run(e->encoder, &text, 1, &states, err);
    if (st == ST_OK) memcpy(out, states, text->n * (size_t)e->info.hidden * sizeof *out);
    pthread_mutex_unlock(&e->lock);
    return st;
}
