/* SPDX-License-Identifier: MIT */
/* cupola logits: token ids through the decoder, rows of logits to a file, greedy continuation. */
#include "cli/cli.h"
#include "cli/timeline.h"
#include <stdio.h>
#include <string.h>

struct logits_job {
    int32_t *ids;
    size_t n;
    int64_t decode, chunk, generate;
    const char *rows_text, *out_path;
    int32_t *rows; /* [n_rows] token indices, as asked */
    size_t n_rows;
    float *logits; /* [n_rows, width] */
    int32_t *generated;
    float *gaps;
    size_t n_generated;
};

/* ---- reading ids and rows ---- */

static status ids_from_json(const cJSON *array, struct logits_job *job, struct err *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(array))
        return FAIL(err, ST_INVALID, "--ids: expected an array of token ids");
    job->ids = mem_calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof *job->ids);
    if (!job->ids) return FAIL(err, ST_NOMEM, "out of memory");
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > INT32_MAX ||
            item->valuedouble != (double)(int32_t)item->valuedouble)
            return FAIL(err, ST_INVALID, "--ids: element %zu is not a token id", job->n);
        job->ids[job->n++] = (int32_t)item->valuedouble;
    }
    return job->n ? ST_OK : FAIL(err, ST_INVALID, "--ids: no ids");
}

static status read_ids(const char *text, struct logits_job *job, struct err *err)
{
    struct str list = { 0 };
    cJSON *json = NULL;
    status st;

    if (text[0] == '@') {
        st = json_parse_file(text + 1, NULL, &json, err);
    } else {
        str_printf(&list, "[%s]", text);
        st = json_parse(str_cstr(&list), list.len, NULL, &json, err);
        if (st != ST_OK) err_prefix(err, "--ids");
    }
    if (st == ST_OK) st = ids_from_json(json, job, err);
    json_free(json);
    str_fini(&list);
    return st;
}

static status row_list(struct logits_job *job, struct err *err)
{
    char buf[32];
    const char *p = job->rows_text;

    while (*p) {
        const size_t n = strcspn(p, ",");
        int64_t row = 0;

        snprintf(buf, sizeof buf, "%.*s", (int)(n < sizeof buf ? n : sizeof buf - 1), p);
        if (n >= sizeof buf || !str_to_i64(buf, &row) || row < -(int64_t)job->n ||
            row >= (int64_t)job->n)
            return FAIL(err, ST_INVALID, "--rows: '%s' is not a token index below %zu", buf,
                        job->n);
        job->rows[job->n_rows++] = (int32_t)(row < 0 ? row + (int64_t)job->n : row);
        p += n + (p[n] == ',');
    }
    return job->n_rows ? ST_OK : FAIL(err, ST_INVALID, "--rows: empty");
}

static status read_rows(struct logits_job *job, struct err *err)
{
    /* all of them, or at most one of the list for each two of its letters; one more is added later
     */
    const size_t most = strlen(job->rows_text);
    job->rows = mem_calloc((job->n > most ? job->n : most) + 2, sizeof *job->rows);
    if (!job->rows) return FAIL(err, ST_NOMEM, "out of memory");
    if (str_equal(job->rows_text, "all")) {
        for (size_t i = 0; i < job->n; i++) job->rows[job->n_rows++] = (int32_t)i;
        return ST_OK;
    }
    if (!str_equal(job->rows_text, "last")) return row_list(job, err);
    job->rows[job->n_rows++] = (int32_t)job->n - 1;
    return ST_OK;
}

/* ---- running ---- */

/* Tokens [from, from + n) of the job: a chunk of the prompt (`total` tokens), or (0) one that is
 * decoded. */
struct part {
    size_t from, n;
    int64_t total;
};

/* The rows asked for that lie in the part: fed ascending, then put where they belong. */
static status feed_part(struct timeline *t, struct logits_job *job, struct part part,
                        struct err *err)
{
    const size_t from = part.from, n = part.n;
    int32_t *want = mem_calloc(n + 1, sizeof *want);
    float *out = NULL;
    size_t n_want = 0;
    status st = want ? ST_OK : FAIL(err, ST_NOMEM, "out of memory");

    for (size_t i = 0; st == ST_OK && i < n; i++)
        for (size_t r = 0; r < job->n_rows; r++)
            if ((size_t)job->rows[r] == from + i) {
                want[n_want++] = (int32_t)i;
                break;
            }
    if (st == ST_OK && !(out = mem_alloc((n_want + 1) * t->width * sizeof *out)))
        st = FAIL(err, ST_NOMEM, "out of memory");
    if (st == ST_OK)
        st = part.total ? timeline_feed(t,
                                        &(struct token_feed){ .ids = job->ids + from,
                                                              .n = n,
                                                              .total = part.total,
                                                              .rows = want,
                                                              .n_rows = n_want,
                                                              .out = out },
                                        err)
                        : timeline_decode(t, job->ids[from], out, err);
    for (size_t w = 0; st == ST_OK && w < n_want; w++)
        for (size_t r = 0; r < job->n_rows; r++)
            if ((size_t)job->rows[r] == from + (size_t)want[w])
                memcpy(job->logits + r * t->width, out + w * t->width, t->width * sizeof *out);
    mem_free(out);
    mem_free(want);
    return st;
}

static status run_prompt(struct timeline *t, struct logits_job *job, struct err *err)
{
    const size_t prefill = job->n - (size_t)job->decode,
                 chunk = job->chunk ? (size_t)job->chunk : prefill;

    for (size_t at = 0; at < prefill; at += chunk) {
        const size_t n = prefill - at < chunk ? prefill - at : chunk;
        TRY(feed_part(t, job, (struct part){ at, n, (int64_t)prefill }, err));
    }
    for (size_t at = prefill; at < job->n; at++)
        TRY(feed_part(t, job, (struct part){ .from = at, .n = 1 }, err));
    return ST_OK;
}

static status generate(struct timeline *t, struct logits_job *job, const float *last,
                       struct err *err)
{
    const size_t n = (size_t)job->generate;
    float *row = mem_alloc(t->width * sizeof *row);
    status st = ST_OK;

    job->generated = mem_calloc(n + 1, sizeof *job->generated);
    job->gaps = mem_calloc(n + 1, sizeof *job->gaps);
    if (!row || !job->generated || !job->gaps) st = FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; st == ST_OK && i < n; i++) {
        job->generated[i] = timeline_argmax(last, t->width, &job->gaps[i]);
        job->n_generated++;
        if (i + 1 == n) break;
        st = timeline_decode(t, job->generated[i], row, err);
        last = row;
    }
    mem_free(row);
    return st;
}

/* ---- output ---- */

static void put_ints(struct str *s, const char *key, const int32_t *v, size_t n)
{
    str_printf(s, "\"%s\":[", key);
    for (size_t i = 0; i < n; i++) str_printf(s, "%s%d", i ? "," : "", v[i]);
    str_put(s, "]");
}

static status print_result(const struct timeline *t, const struct logits_job *job, struct err *err)
{
    struct str s = { 0 };

    str_put(&s, "{");
    put_ints(&s, "rows", job->rows, job->n_rows);
    str_printf(&s, ",\"vocab\":%zu,\"argmax\":[", t->width);
    for (size_t r = 0; r < job->n_rows; r++)
        str_printf(&s, "%s%d", r ? "," : "",
                   timeline_argmax(job->logits + r * t->width, t->width, NULL));
    str_put(&s, "],");
    put_ints(&s, "generated", job->generated, job->n_generated);
    str_put(&s, ",\"gaps\":[");
    for (size_t i = 0; i < job->n_generated; i++) {
        if (i) str_put(&s, ",");
        str_put_json_double(&s, job->gaps[i]);
    }
    str_put(&s, "]}");
    const status st = cli_put_line(&s, err);
    str_fini(&s);
    return st;
}

static status run_job(struct timeline *t, struct logits_job *job, struct err *err)
{
    const int64_t fed = (int64_t)job->n + (job->generate > 0 ? job->generate - 1 : 0);
    size_t bytes = 0;

    if (t->info->context_length > 0 && fed > t->info->context_length)
        return FAIL(err, ST_LIMIT, "--ids and --generate: %lld tokens, the context takes %lld",
                    (long long)fed, (long long)t->info->context_length);
    TRY(read_rows(job, err));
    /* one row more: the last token's, which generation starts from */
    const bool extra = job->generate > 0 && job->rows[job->n_rows - 1] != (int32_t)job->n - 1;
    const size_t asked = job->n_rows;
    if (extra) job->rows[job->n_rows++] = (int32_t)job->n - 1;
    if (!checked_mul(job->n_rows * sizeof(float), t->width, &bytes) ||
        !(job->logits = mem_alloc(bytes)))
        return FAIL(err, ST_NOMEM, "no memory for %zu rows", job->n_rows);
    TRY(run_prompt(t, job, err));
    if (job->generate > 0) TRY(generate(t, job, job->logits + (job->n_rows - 1) * t->width, err));
    job->n_rows = asked;
    TRY(print_result(t, job, err));
    return job->out_path ? os_write_file(job->out_path, job->logits,
                                         job->n_rows * t->width * sizeof(float), err)
                         : ST_OK;
}

static void job_fini(struct logits_job *job)
{
    mem_free(job->ids);
    mem_free(job->rows);
    mem_free(job->logits);
    mem_free(job->generated);
    mem_free(job->gaps);
}

static status run_logits(const char *model, const struct cli_common *common, struct logits_job *job,
                         struct err *err)
{
    const struct engine_config cfg = cli_engine_config(common);
    struct model_folder folder;
    struct engine *engine = NULL;
    struct timeline t = { 0 };
    status st;

    TRY(cli_open_engine(model, &cfg, &folder, &engine, err));
    st = timeline_open(&t, engine, err);
    if (st == ST_OK) st = run_job(&t, job, err);
    timeline_close(&t);
    engine_close(engine);
    model_folder_fini(&folder);
    return st;
}

int cmd_logits(int argc, char **argv)
{
    struct logits_job job = { .rows_text = "last" };
    const char *ids = NULL;
    const struct cli_option options[] = {
        { "--ids", CLI_STRING, &ids, "1,2,3|@FILE", "token ids; @FILE reads a JSON array" },
        { "--decode", CLI_INT(0, INT32_MAX), &job.decode, "K",
          "feed the last K ids one at a time; the rest is prefill" },
        { "--chunk", CLI_INT(0, INT32_MAX), &job.chunk, "N", "prefill in chunks of N" },
        { "--rows", CLI_STRING, &job.rows_text, "last|all|LIST",
          "rows by token index, e.g. 0,5,-1 (default: last)" },
        { "--generate", CLI_INT(0, 1 << 24), &job.generate, "N",
          "then continue greedily for N tokens" },
        { "--out", CLI_STRING, &job.out_path, "FILE",
          "write the rows as little-endian float32 [rows, vocab]" },
    };
    const struct cli_syntax syntax = {
        "logits MODEL --ids IDS",
        "Runs token ids through the decoder and prints argmax and greedy continuation as JSON.",
        "  cupola logits pocket --ids 1,2,3 --generate 8\n"
        "  cupola logits DIR --ids @ids.json --rows all --chunk 64 --out logits.f32\n",
        options,
        COUNT(options),
        1,
        1
    };
    struct cli_args args;
    struct err err = { 0 };
    int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    if (!ids) return cli_usage("logits: --ids is required");
    status st = read_ids(ids, &job, &err);
    if (st == ST_OK && (size_t)job.decode >= job.n)
        st = FAIL(&err, ST_INVALID, "--decode: expected less than the number of ids, %zu", job.n);
    if (st != ST_OK) {
        job_fini(&job);
        cli_fail(&err);
        return CLI_USAGE;
    }
    st = run_logits(args.positional[0], &args.common, &job, &err);
    job_fini(&job);
    return st == ST_OK ? CLI_DONE : cli_fail(&err);
}
