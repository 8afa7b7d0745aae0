/* SPDX-License-Identifier: MIT */
/* cupola bench: prefill and decode of a model, with the machine's roofline probed before and after
 * in the same process. With --tokenizer: tokenizers (bench_tokenizer.c). */
#include "cli/bench_tokenizer.h"
#include "cli/cli.h"
#include "cupola_version.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPEAT_MAX = 100, BATCH_LIST_MAX = 16, PREFILL_CHUNK = 512 };

struct bench {
    const struct model_folder *folder;
    struct engine *engine;
    const struct engine_info *info;
    int64_t prompt, gen, context, repeat;
    int64_t batches[BATCH_LIST_MAX];
    size_t n_batches;
    bool json, trace, mirror;
    const char *isa;
    double load_s;
    float *row;   /* [batch, width] */
    int32_t *ids; /* random, [prompt + context + gen] */
};

/* One test: median of its repetitions. */
struct result {
    char test[48];
    int64_t n, batch;
    double seconds, ttft_s;
    double bytes; /* weights and cache read per token, mean */
    double ops;   /* operations in matrix products per token, mean */
    const char *mode;
    struct roofline roof; /* mean of the probes around */
};

/* ---- the roofline around a sample ---- */

/* The host can put both virtual CPUs on one core: two threads then have little more than one
 * thread's rate. */
static bool both_cores(const struct roofline *one, const struct roofline *all)
{
    return all->n_threads < 2 || all->int8_ops > 1.5 * one->int8_ops;
}

static status probe(const struct bench *b, struct roofline *one, struct roofline *all,
                    struct err *err)
{
    TRY(engine_roofline(b->isa, 1, 0.1, one, err));
    return engine_roofline(b->isa, b->info->n_threads, 0.2, all, err);
}

static const char *mode_of(bool before, bool after)
{
    if (before != after) return "changed";
    return before ? "good" : "bad";
}

/* ---- runs ---- */

static double seconds_since(uint64_t start) { return (double)(os_now_ns() - start) / 1e9; }

static status prefill(struct session *s, const int32_t *ids, int64_t n, float *row, struct err *err)
{
    for (int64_t at = 0; at < n; at += PREFILL_CHUNK) {
        const int64_t m = n - at < PREFILL_CHUNK ? n - at : PREFILL_CHUNK;
        const int32_t last = (int32_t)m - 1;
        TRY(session_feed(s,
                         &(struct token_feed){ .ids = ids + at,
                                               .n = (size_t)m,
                                               .total = n,
                                               .rows = &last,
                                               .n_rows = at + m == n ? 1 : 0,
                                               .out = row },
                         err));
    }
    return ST_OK;
}

/* Seconds for `batch` prompts of b->prompt tokens. */
static status run_prompt(struct bench *b, struct session **s, int64_t batch, double *seconds,
                         struct err *err)
{
    const uint64_t start = os_now_ns();

    for (int64_t i = 0; i < batch; i++) TRY(prefill(s[i], b->ids, b->prompt, b->row, err));
    *seconds = seconds_since(start);
    for (int64_t i = 0; i < batch; i++) TRY(session_rewind(s[i], 0, err));
    return ST_OK;
}

/* Seconds for b->gen steps of `batch` sequences with b->context tokens behind them. */
static status run_decode(struct bench *b, struct session **s, int64_t batch, double *seconds,
                         struct err *err)
{
    int32_t ids[ENGINE_N_MAX];

    for (int64_t i = 0; i < batch; i++) TRY(prefill(s[i], b->ids, b->context, b->row, err));
    const uint64_t start = os_now_ns();
    for (int64_t t = 0; t < b->gen; t++) {
        for (int64_t i = 0; i < batch; i++) ids[i] = b->ids[b->context + t];
        TRY(session_feed_batch(s, ids, (size_t)batch, b->row, err));
    }
    *seconds = seconds_since(start);
    for (int64_t i = 0; i < batch; i++) TRY(session_rewind(s[i], 0, err));
    return ST_OK;
}

typedef status run_fn(struct bench *b, struct session **s, int64_t batch, double *seconds,
                      struct err *err);

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Warm-up, then repetitions between two probes; the median. */
static status measure(struct bench *b, run_fn *run, struct session **s, struct result *r,
                      struct err *err)
{
    double times[REPEAT_MAX];
    struct roofline one0, all0, one1, all1;

    TRY(run(b, s, r->batch, &times[0], err));
    TRY(probe(b, &one0, &all0, err));
    for (int64_t i = 0; i < b->repeat; i++) TRY(run(b, s, r->batch, &times[i], err));
    TRY(probe(b, &one1, &all1, err));
    qsort(times, (size_t)b->repeat, sizeof *times, by_value);
    r->seconds = times[b->repeat / 2];
    r->mode = mode_of(both_cores(&one0, &all0), both_cores(&one1, &all1));
    r->roof = all0;
    r->roof.read_bytes_per_s = (all0.read_bytes_per_s + all1.read_bytes_per_s) / 2;
    r->roof.int8_ops = (all0.int8_ops + all1.int8_ops) / 2;
    r->roof.f32_flops = (all0.f32_flops + all1.f32_flops) / 2;
    return ST_OK;
}

/* ---- output ---- */

static void put_field(struct str *s, const char *key, double v)
{
    str_printf(s, ",\"%s\":", key);
    str_put_json_double(s, v);
}

static void print_json(const struct bench *b, const struct result *r, double rate, double frac_read,
                       double frac_int8)
{
    struct str s = { 0 };
    const char *slash = strrchr(b->folder->dir, '/'), *model = slash ? slash + 1 : b->folder->dir;
    size_t parent = slash ? (size_t)(slash - b->folder->dir) : 0, start = parent;

    while (start > 0 && b->folder->dir[start - 1] != '/') start--;
    str_printf(&s, "{\"engine\":\"cupola\",\"version\":\"%s+%s\",\"model\":", CUPOLA_VERSION,
               CUPOLA_COMMIT);
    str_put_json(&s, b->folder->dir + start,
                 parent - start); /* make_perf_models.py writes MODEL/VARIANT */
    str_put(&s, ",\"variant\":");
    str_put_json(&s, model, strlen(model));
    str_printf(&s, ",\"threads\":%d,\"test\":\"%s\",\"n\":%lld", b->info->n_threads, r->test,
               (long long)r->n);
    put_field(&s, "seconds", r->seconds);
    put_field(&s, "tokens_per_s", rate);
    put_field(&s, "ttft_s", r->ttft_s);
    put_field(&s, "load_s", b->load_s);
    put_field(&s, "bytes_per_token", r->bytes);
    put_field(&s, "ops_per_token", r->ops);
    put_field(&s, "frac_read", frac_read);
    put_field(&s, "frac_int8", frac_int8);
    put_field(&s, "read_bytes_per_s", r->roof.read_bytes_per_s);
    put_field(&s, "int8_ops_per_s", r->roof.int8_ops);
    str_printf(&s, ",\"mode\":\"%s\",\"batch\":%lld,\"peak_rss_bytes\":%llu,\"isa\":\"%s\"}",
               r->mode, (long long)r->batch, (unsigned long long)os_peak_rss(),
               b->info->isa ? b->info->isa : "");
    (void)cli_put_line(&s, NULL); /* seen at the end of the command */
    str_fini(&s);
}

/* Weights are read once a step, the cache once a sequence; operations are counted per token. */
static void print_result(const struct bench *b, const struct result *r)
{
    const double rate = (double)r->n / r->seconds;
    const double frac_read = r->bytes * rate / r->roof.read_bytes_per_s,
                 frac_int8 = r->ops * rate / r->roof.int8_ops;

    if (b->json) {
        print_json(b, r, rate, frac_read, frac_int8);
        return;
    }
    printf("%-14s batch %-3lld %9.1f tokens/s  %5.1f %% of read bandwidth (%.1f GB/s)  %5.1f %% of "
           "int8 peak (%.0f Gop/s)  %s\n",
           r->test, (long long)r->batch, rate, 100 * frac_read, r->roof.read_bytes_per_s / 1e9,
           100 * frac_int8, r->roof.int8_ops / 1e9, r->mode);
    fflush(stdout);
}

/* ---- tests ---- */

static status bench_prompt(struct bench *b, struct session **s, int64_t batch, struct err *err)
{
    struct result r = { .n = b->prompt * batch, .batch = batch };

    snprintf(r.test, sizeof r.test, "pp%lld", (long long)b->prompt);
    TRY(measure(b, run_prompt, s, &r, err));
    r.ttft_s = r.seconds / (double)batch;
    /* weights are read once a chunk */
    r.bytes = (double)b->info->bytes_per_token *
              (double)((b->prompt + PREFILL_CHUNK - 1) / PREFILL_CHUNK) / (double)b->prompt;
    r.ops = (double)b->info->ops_per_token + (double)b->info->ops_per_row / (double)b->prompt;
    print_result(b, &r);
    return ST_OK;
}

/* Cache bytes that a token of the decode reads, mean. */
static double mean_kv_bytes(const struct bench *b)
{
    double sum = 0;

    for (int64_t t = 1; t <= b->gen; t++)
        sum += (double)engine_kv_bytes_read(b->engine, b->context + t);
    return sum / (double)b->gen;
}

static status bench_decode(struct bench *b, struct session **s, int64_t batch, struct err *err)
{
    struct result r = { .n = b->gen * batch, .batch = batch };

    snprintf(r.test, sizeof r.test, "tg%lld@%lld", (long long)b->gen, (long long)b->context);
    TRY(measure(b, run_decode, s, &r, err));
    /* weights once a step for the whole batch, the cache once a sequence */
    r.bytes = (double)b->info->bytes_per_token / (double)batch + mean_kv_bytes(b);
    r.ops = (double)(b->info->ops_per_token + b->info->ops_per_row);
    print_result(b, &r);
    return ST_OK;
}

/* ---- operator by operator ---- */

/* Prints what was counted since the last call, under a title. */
static status print_look(const struct bench *b, const char *title, int64_t batch, struct err *err)
{
    struct roofline roof;
    struct str s = { 0 };

    TRY(engine_roofline(b->isa, b->info->n_threads, 0.2, &roof, err));
    if (!b->json) {
        str_printf(&s, "%s batch %lld, each operator a program of its own", title,
                   (long long)batch);
        str_put(&s, b->trace ? ": together slower than the whole; roofline of " : "");
        if (b->trace)
            str_printf(&s, "%.1f GB/s, %.0f Gflop/s, %.0f int8 Gop/s", roof.read_bytes_per_s / 1e9,
                       roof.f32_flops / 1e9, roof.int8_ops / 1e9);
        str_put_char(&s, '\n');
    }
    const status st = engine_look_print(b->engine, &roof, b->json, &s, err);
    if (st == ST_OK) {
        fwrite(str_cstr(&s), 1, s.len, stdout);
        fflush(stdout);
    }
    str_fini(&s);
    return st;
}

/* A run to warm up, then the counted ones. */
static status look_at(struct bench *b, run_fn *run, struct session **s, int64_t batch,
                      const char *title, struct err *err)
{
    const struct roofline none = { 0 };
    struct str unused = { 0 };
    double seconds;
    status st;

    TRY(run(b, s, batch, &seconds, err));
    st = engine_look_print(b->engine, &none, true, &unused, err);
    str_fini(&unused);
    for (int64_t i = 0; st == ST_OK && i < b->repeat; i++) st = run(b, s, batch, &seconds, err);
    return st == ST_OK ? print_look(b, title, batch, err) : st;
}

static status look_batch(struct bench *b, struct session **s, int64_t batch, struct err *err)
{
    char title[48];

    snprintf(title, sizeof title, "pp%lld", (long long)b->prompt);
    if (b->prompt > 0) TRY(look_at(b, run_prompt, s, batch, title, err));
    snprintf(title, sizeof title, "tg%lld@%lld", (long long)b->gen, (long long)b->context);
    return b->gen > 0 ? look_at(b, run_decode, s, batch, title, err) : ST_OK;
}

static status bench_batch(struct bench *b, int64_t batch, struct err *err)
{
    struct session *s[ENGINE_N_MAX] = { 0 };
    const bool look = b->trace || b->mirror;
    status st = ST_OK;

    for (int64_t i = 0; st == ST_OK && i < batch; i++) st = session_create(&s[i], b->engine, err);
    if (st == ST_OK && look) st = look_batch(b, s, batch, err);
    if (st == ST_OK && !look && b->prompt > 0) st = bench_prompt(b, s, batch, err);
    if (st == ST_OK && !look && b->gen > 0) st = bench_decode(b, s, batch, err);
    for (int64_t i = 0; i < batch; i++) session_destroy(s[i]);
    return st;
}

/* Any ids do: the work does not depend on them. A fixed generator keeps runs alike. */
static status make_ids(struct bench *b, struct err *err)
{
    const size_t n = (size_t)(b->prompt + b->context + b->gen) + 1;
    uint32_t x = 12345;

    b->ids = mem_calloc(n, sizeof *b->ids);
    b->row = mem_calloc(ENGINE_N_MAX * (size_t)b->info->vocab, sizeof *b->row);
    if (!b->ids || !b->row) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        b->ids[i] = (int32_t)((x >> 8) % (uint32_t)b->info->vocab);
    }
    return ST_OK;
}

static status run_bench(struct bench *b, const char *model, const struct cli_common *common,
                        struct err *err)
{
    struct engine_config cfg = cli_engine_config(common);
    struct model_folder folder;
    int64_t batch_max = 1;
    const uint64_t start = os_now_ns();

    for (size_t i = 0; i < b->n_batches; i++)
        batch_max = b->batches[i] > batch_max ? b->batches[i] : batch_max;
    b->isa = common->isa;
    cfg.batch_max = (int)batch_max;
    cfg.chunk_tokens = PREFILL_CHUNK;
    cfg.prefix_cache = false;
    cfg.look = b->trace ? LOOK_TRACE : b->mirror ? LOOK_MIRROR : LOOK_NONE;
    const int64_t longest = b->prompt > b->context + b->gen ? b->prompt : b->context + b->gen;
    cfg.kv_tokens_max = batch_max * (longest + 128);
    cfg.context_max = longest + 128;
    TRY(cli_open_engine(model, &cfg, &folder, &b->engine, err));
    b->load_s = seconds_since(start);
    b->folder = &folder;
    b->info = engine_info(b->engine);
    status st = b->info->vocab > 0 && !b->info->takes_embeds
                    ? make_ids(b, err)
                    : FAIL(err, ST_UNSUPPORTED, "%s: not a model of token ids", model);
    for (size_t i = 0; st == ST_OK && i < b->n_batches; i++)
        st = bench_batch(b, b->batches[i], err);
    engine_close(b->engine);
    model_folder_fini(&folder);
    mem_free(b->ids);
    mem_free(b->row);
    return st;
}

static bool read_batches(struct bench *b, const char *list)
{
    char buf[32];

    for (const char *p = list; *p;) {
        const size_t n = strcspn(p, ",");
        snprintf(buf, sizeof buf, "%.*s", (int)(n < 31 ? n : 31), p);
        if (b->n_batches == BATCH_LIST_MAX || !str_to_i64(buf, &b->batches[b->n_batches]) ||
            b->batches[b->n_batches] < 1 || b->batches[b->n_batches] > ENGINE_N_MAX)
            return false;
        b->n_batches++;
        p += n + (p[n] == ',');
    }
    return b->n_batches > 0;
}

/* Prefill and decode: what is wrong with the options is a usage error. */
static int bench_model(struct bench *b, const char *batch, const struct cli_args *args)
{
    struct err err = { 0 };

    if (args->n != 1) return cli_usage("bench: expected one MODEL (several go with --tokenizer)");
    if (b->prompt < 0 && b->gen < 0) b->prompt = 512, b->gen = 64;
    if (!read_batches(b, batch))
        return cli_usage("--batch: expected numbers from 1 to %d", ENGINE_N_MAX);
    b->prompt = b->prompt < 0 ? 0 : b->prompt;
    b->gen = b->gen < 0 ? 0 : b->gen;
    if (!b->prompt && !b->gen) return cli_usage("--prompt and --gen: nothing is to be measured");
    return run_bench(b, args->positional[0], &args->common, &err) == ST_OK ? CLI_DONE
                                                                           : cli_fail(&err);
}

int cmd_bench(int argc, char **argv)
{
    struct bench b = { .prompt = -1, .gen = -1, .repeat = 5 };
    struct bench_tok_options t = { .python = "python3" };
    const char *batch = "1";
    bool tokenizer = false;
    const struct cli_option options[] = {
        { "--prompt", CLI_INT(0, 1 << 24), &b.prompt, "P", "prefill of P tokens (test ppP)" },
        { "--gen", CLI_INT(0, 1 << 24), &b.gen, "G", "decode of G tokens (test tgG@C)" },
        { "--context", CLI_INT(0, 1 << 24), &b.context, "C",
          "tokens before the decode (default: 0)" },
        { "--batch", CLI_STRING, &batch, "B,B...", "sequences run together (default: 1)" },
        { "--repeat", CLI_INT(1, REPEAT_MAX), &b.repeat, "N",
          "repetitions; the median counts (default: 5)" },
        { "--trace", CLI_FLAG, &b.trace, NULL,
          "operator by operator: time, bytes, share of the roofline" },
        { "--mirror", CLI_FLAG, &b.mirror, NULL,
          "every operator with the scalar kernels too; fails at the first that differs" },
        { "--json", CLI_FLAG, &b.json, NULL, "one JSON object a line and test" },
        { "--tokenizer", CLI_FLAG, &tokenizer, NULL,
          "measure the tokenizers of one or more folders instead" },
        { "--text", CLI_STRING, &t.text, "FILE",
          "with --tokenizer: what is encoded (default: 1 MB, built in)" },
        { "--reference", CLI_STRING, &t.reference, "SCRIPT",
          "with --tokenizer: measures the reference libraries (default: the shipped one); none" },
        { "--python", CLI_STRING, &t.python, "PROGRAM", "what runs the script (default: python3)" },
    };
    const struct cli_syntax syntax = {
        "bench MODEL",
        "Measures prefill and decode, the machine's roofline beside each figure; or tokenizers "
        "beside Python's libraries.",
        "  cupola bench pocket\n"
        "  cupola bench DIR --prompt 512 --gen 64 --context 512 --threads 1 --json\n"
        "  cupola bench DIR --gen 128 --batch 1,4,16\n"
        "  cupola bench DIR --prompt 64 --gen 16 --trace\n"
        "  cupola bench --tokenizer pocket DIR --repeat 9\n",
        options,
        COUNT(options),
        1,
        -1
    };
    struct cli_args args;
    struct err err = { 0 };
    const int rc = cli_parse(&syntax, argc, argv, &args);

    if (rc != CLI_DONE) return rc < 0 ? CLI_DONE : rc;
    if (b.trace && b.mirror) return cli_usage("--trace and --mirror: one at a time");
    if (!tokenizer) return bench_model(&b, batch, &args);
    t.repeat = b.repeat;
    t.json = b.json;
    return bench_tokenizers(&t, args.positional, args.n, &err) == ST_OK ? CLI_DONE : cli_fail(&err);
}
