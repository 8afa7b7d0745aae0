/* SPDX-License-Identifier: MIT */
/* cupola verify: a model folder against its golden.json - logits of prefill rows in several
 * chunkings, and the argmax of every decode step. */
#include "cli/timeline.h"
#include "cli/verify.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- golden.json ---- */

static void golden_fini(struct golden *g)
{
    json_free(g->json);
    mem_free(g->f32);
}

/* What golden.json says, and the name of the file beside it. */
static status golden_settings(struct golden *g, const char **name, struct err *err)
{
    *name = "golden.f32";
    g->tolerance = g->tolerance_rms = g->token_gap = -1;
    TRY(json_get_str(g->json, "f32", name, err));
    TRY(json_get_double(g->json, "tolerance", 0, 1e9, &g->tolerance, err));
    TRY(json_get_double(g->json, "tolerance_rms", 0, 1e9, &g->tolerance_rms, err));
    TRY(json_get_double(g->json, "token_gap", 0, 1e9, &g->token_gap, err));
    if (g->tolerance < 0) return FAIL(err, ST_FORMAT, "tolerance: missing");
    return strchr(*name, '/') ? FAIL(err, ST_FORMAT, "f32: '%s' is not a file name", *name) : ST_OK;
}

static status golden_open(struct golden *g, const char *dir, struct err *err)
{
    char *json_path = os_path_join(dir, "golden.json"), *f32_path = NULL;
    const char *name;
    status st = json_path ? json_parse_file(json_path, NULL, &g->json, err)
                          : FAIL(err, ST_NOMEM, "out of memory");

    if (st == ST_OK && (st = golden_settings(g, &name, err)) != ST_OK)
        err_prefix(err, "%s", json_path);
    if (st == ST_OK && !(f32_path = os_path_join(dir, name)))
        st = FAIL(err, ST_NOMEM, "out of memory");
    if (st == ST_OK) st = os_read_file(f32_path, 0, &g->f32, &g->f32_bytes, err);
    mem_free(json_path);
    mem_free(f32_path);
    return st;
}

status golden_array(const struct golden *g, const cJSON *ref, const float **data, size_t *rows,
                    size_t *cols, struct err *err)
{
    int64_t offset = -1;
    const cJSON *shape = json_get(ref, "shape");
    size_t bytes = 0;

    TRY(json_get_i64(ref, "offset", 0, INT64_MAX / 2, &offset, err));
    const cJSON one = { .type = cJSON_Number, .valuedouble = 1 };
    const bool vector = cJSON_GetArraySize(shape) == 1;
    const cJSON *r = vector ? &one : cJSON_GetArrayItem(shape, 0);
    const cJSON *c = cJSON_GetArrayItem(shape, vector ? 0 : 1);
    if (offset < 0 || offset % 4 || !cJSON_IsNumber(r) || !cJSON_IsNumber(c) ||
        r->valuedouble < 0 || c->valuedouble < 1 || r->valuedouble > 1e9 || c->valuedouble > 1e9)
        return FAIL(err, ST_FORMAT,
                    "golden.json: an array has no offset and shape [rows, columns]");
    *rows = (size_t)r->valuedouble;
    *cols = (size_t)c->valuedouble;
    if (!checked_mul(*rows * sizeof(float), *cols, &bytes) ||
        !checked_range((uint64_t)offset, bytes, g->f32_bytes))
        return FAIL(err, ST_FORMAT, "golden.json: an array lies outside golden.f32");
    *data = (const float *)(const void *)(g->f32 + offset);
    return ST_OK;
}

status golden_ints(const cJSON *obj, const char *key, int32_t **out, size_t *n, struct err *err)
{
    const cJSON *list = json_get(obj, key), *item;

    *n = 0;
    if (!cJSON_IsArray(list)) return FAIL(err, ST_FORMAT, "golden.json: %s is missing", key);
    *out = mem_calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof **out);
    if (!*out) return FAIL(err, ST_NOMEM, "out of memory");
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || fabs(item->valuedouble) > INT32_MAX)
            return FAIL(err, ST_FORMAT, "golden.json: %s: not a list of integers", key);
        (*out)[(*n)++] = (int32_t)item->valuedouble;
    }
    return ST_OK;
}

/* ---- comparing ---- */

void verdict_row(const struct golden *g, const float *got, const float *want, size_t n,
                 struct verdict *v)
{
    double sum = 0, worst = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = fabs((double)got[i] - want[i]);
        if (!(d <= worst)) worst = d; /* NaN counts as worst */
        sum += d * d;
    }
    const double rms = sqrt(sum / (double)n);
    if (!(worst <= v->max_diff)) v->max_diff = worst;
    if (!(rms <= v->max_rms)) v->max_rms = rms;
    if (!(worst <= g->tolerance) || (g->tolerance_rms >= 0 && !(rms <= g->tolerance_rms)))
        v->failed = true;
}

/* ---- one prompt ---- */

struct prompt {
    const cJSON *json;
    int32_t *ids, *rows, *tokens, *decode_steps;
    size_t n_ids, n_rows, n_tokens, n_decode;
    const float *logits, *decode_logits;
    float *out; /* [n_rows, width] */
};

static void prompt_fini(struct prompt *p)
{
    mem_free(p->ids);
    mem_free(p->rows);
    mem_free(p->tokens);
    mem_free(p->decode_steps);
    mem_free(p->out);
}

static status prompt_read(const struct golden *g, const cJSON *json, size_t width, struct prompt *p,
                          struct err *err)
{
    size_t rows = 0, cols = 0;

    p->json = json;
    TRY(golden_ints(json, "ids", &p->ids, &p->n_ids, err));
    TRY(golden_ints(json, "rows", &p->rows, &p->n_rows, err));
    TRY(golden_ints(json, "tokens", &p->tokens, &p->n_tokens, err));
    TRY(golden_ints(json, "decode_steps", &p->decode_steps, &p->n_decode, err));
    TRY(golden_array(g, json_get(json, "logits"), &p->logits, &rows, &cols, err));
    if (rows != p->n_rows || cols != width)
        return FAIL(err, ST_FORMAT,
                    "golden.json: logits are [%zu, %zu], the model gives rows of %zu", rows, cols,
                    width);
    if (p->n_decode)
        TRY(golden_array(g, json_get(json, "decode_logits"), &p->decode_logits, &rows, &cols, err));
    if (p->n_decode && (rows != p->n_decode || cols != width))
        return FAIL(err, ST_FORMAT, "golden.json: decode_logits do not fit decode_steps");
    for (size_t i = 0; i < p->n_rows; i++)
        if (p->rows[i] < 0 || (size_t)p->rows[i] >= p->n_ids || (i && p->rows[i] <= p->rows[i - 1]))
            return FAIL(err, ST_FORMAT, "golden.json: rows must ascend within the prompt");
    p->out = mem_alloc((p->n_rows + 1) * width * sizeof *p->out);
    return p->out && p->n_ids ? ST_OK : FAIL(err, ST_FORMAT, "golden.json: an empty prompt");
}

/* Prefills in chunks (the last row is always taken, into out[n_rows]) and compares the golden rows.
 */
static status prefill(struct timeline *t, const struct golden *g, struct prompt *p, size_t chunk,
                      struct verdict *v, struct err *err)
{
    size_t row = 0;
    int32_t want[64];

    TRY(timeline_reset(t, err));
    for (size_t at = 0; at < p->n_ids; at += chunk) {
        const size_t n = p->n_ids - at < chunk ? p->n_ids - at : chunk;
        const size_t first = row;
        size_t n_want = 0;

        while (row < p->n_rows && (size_t)p->rows[row] < at + n && n_want < COUNT(want))
            want[n_want++] = p->rows[row++] - (int32_t)at;
        if (row < p->n_rows && (size_t)p->rows[row] < at + n)
            return FAIL(err, ST_FORMAT, "golden.json: more than %zu rows in a chunk", COUNT(want));
        const struct token_feed feed = { .ids = p->ids + at,
                                         .n = n,
                                         .total = (int64_t)p->n_ids,
                                         .rows = want,
                                         .n_rows = n_want,
                                         .out = p->out + first * t->width };
        TRY(timeline_feed(t, &feed, err));
    }
    for (size_t r = 0; r < p->n_rows; r++)
        verdict_row(g, p->out + r * t->width, p->logits + r * t->width, t->width, v);
    return ST_OK;
}

static double gap_of(const struct prompt *p, size_t i)
{
    const cJSON *gap = cJSON_GetArrayItem(json_get(p->json, "gaps"), (int)i);
    return cJSON_IsNumber(gap) ? gap->valuedouble : 0;
}

static void compare_token(const struct golden *g, const struct prompt *p, size_t i, int32_t got,
                          struct verdict *v)
{
    if (gap_of(p, i) <= g->token_gap) return;
    v->tokens_compared++;
    if (got == p->tokens[i])
        v->tokens_equal++;
    else
        v->failed = true;
}

/* Feeds the golden tokens one by one. */
static status decode(struct timeline *t, const struct golden *g, const struct prompt *p,
                     struct verdict *v, struct err *err)
{
    float *row = p->out + (p->n_rows - 1) * t->width;
    size_t d = 0;

    if ((size_t)p->rows[p->n_rows - 1] != p->n_ids - 1)
        return FAIL(err, ST_FORMAT, "golden.json: the last prompt row is missing");
    for (size_t i = 0; i < p->n_tokens; i++) {
        if (i) TRY(timeline_decode(t, p->tokens[i - 1], row, err));
        compare_token(g, p, i, timeline_argmax(row, t->width, NULL), v);
        if (d < p->n_decode && p->decode_steps[d] == (int32_t)i)
            verdict_row(g, row, p->decode_logits + d++ * t->width, t->width, v);
    }
    return ST_OK;
}

static status verify_prompt(struct timeline *t, const struct golden *g, const cJSON *json,
                            struct verdict *v, struct err *err)
{
    struct prompt p = { 0 };
    status st = prompt_read(g, json, t->width, &p, err);
    const bool whole = json_get(json, "prefill") || json_get(g->json, "prefill");
    const size_t chunks[] = { 1, 13, 64,
                              p.n_ids ? p.n_ids : 1 }; /* whole last: decoding goes on from it */

    for (size_t i = whole ? COUNT(chunks) - 1 : 0; st == ST_OK && i < COUNT(chunks); i++)
        st = prefill(t, g, &p, chunks[i], v, err);
    if (st == ST_OK && p.n_rows) st = decode(t, g, &p, v, err);
    prompt_fini(&p);
    return st;
}

/* ---- one folder ---- */

static status use_embed_table(struct timeline *t, const struct golden *g, struct err *err)
{
    size_t cols = 0;
    const cJSON *ref = json_get(g->json, "embed_table");

    if (!t->info->takes_embeds) return ST_OK;
    if (!ref)
        return FAIL(err, ST_FORMAT,
                    "golden.json: embed_table is missing for a model that takes embeddings");
    TRY(golden_array(g, ref, &t->embed_table, &t->embed_rows, &cols, err));
    return cols == (size_t)t->info->hidden
               ? ST_OK
               : FAIL(err, ST_FORMAT, "golden.json: embed_table is not [ids, %lld]",
                      (long long)t->info->hidden);
}

static status verify_engine(struct engine *e, const struct golden *g, struct verdict *v,
                            struct err *err)
{
    struct timeline t = { 0 };
    const cJSON *prompts = json_get(g->json, "prompts"), *p;
    status st = timeline_open(&t, e, err);

    if (st == ST_OK) st = use_embed_table(&t, g, err);
    if (st == ST_OK && cJSON_GetArraySize(prompts) == 0)
        st = FAIL(err, ST_FORMAT, "golden.json: no prompts");
    if (st == ST_OK) cJSON_ArrayForEach(p, prompts)
        {
            st = verify_prompt(&t, g, p, v, err);
            if (st != ST_OK) break;
        }
    timeline_close(&t);
    return st;
}

/* Which form ran, and what kept the other from running. */
struct form {
    bool lowered;
    char why[200];
};

static void form_of(const struct engine *e, struct form *form)
{
    const struct engine_info *info = engine_info(e);

    form->lowered = info->lowered;
    (void)snprintf(form->why, sizeof form->why, ", dense form: %s",
                   info->why_dense ? info->why_dense : "");
}

static status verify_folder(const char *dir, const struct cli_common *common, struct verdict *v,
                            struct golden *g, struct form *form, struct err *err)
{
    struct engine_config cfg = cli_engine_config(common);
    struct model_folder folder;
    struct engine *e = NULL;

    cfg.progress = common->progress ? cfg.progress : NULL;
    TRY(golden_open(g, dir, err));
    if (golden_is_encoder(g)) {
        form->lowered = true; /* there is no lowered form to ask for */
        return verify_encoder(dir, g, &cfg, v, err);
    }
    TRY(cli_open_engine(dir, &cfg, &folder, &e, err));
    form_of(e, form);
    const status st = verify_engine(e, g, v, err);
    engine_close(e);
    model_folder_fini(&folder);
    return st;
}

static const char *base_name(const char *dir)
{
    const char *slash = strrchr(dir, '/');
    return slash && slash[1] ? slash + 1 : dir;
}

static bool report(const char *dir, const struct cli_common *common, bool want_lowered)
{
    struct golden g = { 0 };
    struct verdict v = { 0 };
    struct err err = { 0 };
    struct form form = { 0 };
    const status st = verify_folder(dir, common, &v, &g, &form, &err);
    const bool pass = st == ST_OK && !v.failed && (form.lowered || !want_lowered);

    if (st != ST_OK)
        printf("FAIL %s: %s\n", base_name(dir), err.text);
    else
        printf("%s %s max %.3g of %.3g, rms %.3g of %.3g, tokens %zu/%zu%s\n",
               pass ? "PASS" : "FAIL", base_name(dir), v.max_diff, g.tolerance, v.max_rms,
               g.tolerance_rms, v.tokens_equal, v.tokens_compared, form.lowered ? "" : form.why);
    fflush(stdout);
    golden_fini(&g);
    return pass;
}

int cmd_verify(int argc, char **argv)
{
    bool want_lowered = false;
    const struct cli_option options[] = {
        { "--lowered", CLI_FLAG, &want_lowered, NULL,
          "a model that runs in its dense form counts as failed" },
    };
    const struct cli_syntax syntax = {
        "verify DIR...",
        "Runs each folder's golden.json: prefill in chunks of 1, 13, 64 and whole, then every "
        "golden token.",
        "  cupola verify tests/fixtures/models/*\n"
        "  cupola verify --isa avx2 --threads 1 DIR\n"
        "  cupola verify --dense DIR          through the generic executor\n",
        options,
        COUNT(options),
        1,
        -1
    };
    struct cli_args args;
    int passed = 0;
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    for (int i = 0; i < args.n; i++)
        passed += report(args.positional[i], &args.common, want_lowered);
    printf("%d passed, %d failed\n", passed, args.n - passed);
    return passed == args.n ? CLI_DONE : CLI_FAILED;
}
