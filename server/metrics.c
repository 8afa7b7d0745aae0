/* SPDX-License-Identifier: MIT */
/* Counting, and the text format 0.0.4 of Prometheus. */
#include "server/metrics.h"
#include "cupola_version.h"
#include "server/routes.h"
#include "server/server_internal.h"
#include <string.h>

/* The codes this service sends; the last one stands for any other. */
static const int codes[METRIC_CODES] = { 200, 204, 400, 401, 403, 404, 405, 413, 414,
                                         415, 422, 429, 431, 499, 500, 501, 503, 0 };
static const double bucket_s[METRIC_BUCKETS] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                 0.25,  0.5,    1,     2.5,  5,     30,   1e9 };

static size_t code_index(int code)
{
    size_t i = 0;

    while (codes[i] != 0 && codes[i] != code) i++;
    return i;
}

void metrics_count(struct metrics *m, int route, int code)
{
    const int last = METRIC_ROUTES_MAX - 1;
    const int row = route >= 0 && route < last ? route : last;

    atomic_fetch_add(&m->requests[row][code_index(code)], 1);
}

void metrics_observe(struct duration_histogram *h, uint64_t ns)
{
    size_t i = 0;

    while (i < METRIC_BUCKETS - 1 && (double)ns > bucket_s[i] * 1e9) i++;
    atomic_fetch_add(&h->buckets[i], 1);
    atomic_fetch_add(&h->sum_us, ns / 1000);
}

/* ---- text ---- */

static void put_head(struct str *out, const char *name, const char *type, const char *help)
{
    str_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_histogram(struct str *out, const char *name, const char *help,
                          struct duration_histogram *h)
{
    uint64_t total = 0;

    put_head(out, name, "histogram", help);
    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        total += atomic_load(&h->buckets[i]);
        if (i < METRIC_BUCKETS - 1)
            str_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name, bucket_s[i],
                       (unsigned long long)total);
    }
    str_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)total);
    str_printf(out, "%s_sum %g\n%s_count %llu\n", name, (double)atomic_load(&h->sum_us) / 1e6, name,
               (unsigned long long)total);
}

static void put_requests(struct str *out, struct metrics *m)
{
    static const char name[] = "cupola_http_requests_total";

    put_head(out, name, "counter", "HTTP requests answered, by route and code.");
    for (size_t row = 0; row < METRIC_ROUTES_MAX; row++) {
        const struct route *route = row < route_count() ? route_at(row) : NULL;
        for (size_t i = 0; i < METRIC_CODES; i++) {
            const uint64_t n = atomic_load(&m->requests[row][i]);
            if (n == 0) continue;
            str_printf(out, "%s{method=\"%s\",route=\"%s\",code=\"%d\"} %llu\n", name,
                       route ? route->method : "", route ? route->path : "", codes[i],
                       (unsigned long long)n);
        }
    }
}

static void put_server(struct str *out, struct server *s)
{
    struct metrics *m = &s->metrics;

    put_head(out, "cupola_build_info", "gauge", "Version of the service; always 1.");
    str_printf(out, "cupola_build_info{version=\"%s\",commit=\"%s\"} 1\n", CUPOLA_VERSION,
               CUPOLA_COMMIT);
    put_head(out, "cupola_start_time_seconds", "gauge", "When the service started (Unix time).");
    str_printf(out, "cupola_start_time_seconds %lld\n", (long long)s->started);
    put_head(out, "cupola_connections", "gauge", "Open connections.");
    str_printf(out, "cupola_connections %d\n", atomic_load(&s->n_connections));
    put_head(out, "cupola_http_requests_in_flight", "gauge", "HTTP requests being answered.");
    str_printf(out, "cupola_http_requests_in_flight %d\n", atomic_load(&m->in_flight));
    put_head(out, "cupola_chat_requests_in_flight", "gauge", "Chat requests at work.");
    str_printf(out, "cupola_chat_requests_in_flight %d\n", atomic_load(&m->chats));
    put_head(out, "cupola_client_disconnects_total", "counter",
             "Clients that left before their answer was complete.");
    str_printf(out, "cupola_client_disconnects_total %llu\n",
               (unsigned long long)atomic_load(&m->disconnects));
    put_head(out, "cupola_requests_refused_total", "counter",
             "Requests refused because a queue was full.");
    str_printf(out, "cupola_requests_refused_total %llu\n",
               (unsigned long long)atomic_load(&m->refused_busy));
    put_head(out, "cupola_request_body_bytes", "gauge", "Memory held by request bodies.");
    str_printf(out, "cupola_request_body_bytes %zu\n", atomic_load(&s->bodies_bytes));
    put_requests(out, m);
    put_histogram(out, "cupola_http_request_duration_seconds", "Request to last byte sent.",
                  &m->request_time);
    put_histogram(out, "cupola_time_to_first_token_seconds", "Chat request to its first token.",
                  &m->first_token_time);
}

/* ---- engines: one row a model and figure ---- */

struct model_stats {
    const char *id;
    struct engine_stats stats;
};

enum stat_kind { STAT_U64, STAT_INT };

static const struct stat_row {
    const char *name, *type, *help;
    enum stat_kind kind;
    size_t offset;
} stat_rows[] = {
#define U64(field) STAT_U64, offsetof(struct engine_stats, field)
#define INT(field) STAT_INT, offsetof(struct engine_stats, field)
    { "cupola_prompt_tokens_total", "counter", "Prompt tokens.", U64(prompt_tokens) },
    { "cupola_generated_tokens_total", "counter", "Tokens generated.", U64(generated_tokens) },
    { "cupola_prefix_cache_hit_tokens_total", "counter", "Prompt tokens found in the prefix cache.",
      U64(cached_tokens) },
    { "cupola_generations_total", "counter", "Generations begun.", U64(requests) },
    { "cupola_generations_cancelled_total", "counter", "Generations cancelled.", U64(cancelled) },
    { "cupola_generations_running", "gauge", "Generations in the batch.", INT(running) },
    { "cupola_generations_waiting", "gauge", "Generations in the queue.", INT(waiting) },
    { "cupola_kv_pages", "gauge", "KV pages of the cache.", INT(kv_pages) },
    { "cupola_kv_pages_used", "gauge", "KV pages held by running generations.",
      INT(kv_pages_used) },
    { "cupola_kv_pages_cached", "gauge", "KV pages kept for their prefix.", INT(kv_pages_cached) },
#undef U64
#undef INT
};

static void put_stat(struct str *out, const struct stat_row *row, const struct model_stats *m)
{
    const char *at = (const char *)&m->stats + row->offset;

    str_printf(out, "%s{model=", row->name);
    str_put_json(out, m->id, strlen(m->id));
    if (row->kind == STAT_U64)
        str_printf(out, "} %llu\n", (unsigned long long)*(const uint64_t *)(const void *)at);
    else
        str_printf(out, "} %d\n", *(const int *)(const void *)at);
}

static void put_steps(struct str *out, const struct model_stats *m)
{
    uint64_t total = 0;
    struct str label = { 0 };

    str_put_json(&label, m->id, strlen(m->id));
    for (size_t i = 0; i < COUNT(m->stats.step_ns_buckets); i++) {
        total += m->stats.step_ns_buckets[i];
        if (i + 1 < COUNT(m->stats.step_ns_buckets))
            str_printf(out, "cupola_step_duration_seconds_bucket{model=%s,le=\"%g\"} %llu\n",
                       str_cstr(&label), 0.001 * (double)(1u << i), (unsigned long long)total);
    }
    str_printf(out, "cupola_step_duration_seconds_bucket{model=%s,le=\"+Inf\"} %llu\n",
               str_cstr(&label), (unsigned long long)total);
    str_printf(out, "cupola_step_duration_seconds_sum{model=%s} %.9g\n", str_cstr(&label),
               (double)m->stats.step_ns_total / 1e9);
    str_printf(out, "cupola_step_duration_seconds_count{model=%s} %llu\n", str_cstr(&label),
               (unsigned long long)total);
    str_fini(&label);
}

static size_t read_stats(struct server *s, struct model_stats *all)
{
    size_t n = 0;

    for (size_t i = 0; i < model_count(s->models); i++) {
        struct model *model = model_at(s->models, i);
        if (!model_pin_if_ready(model)) continue;
        all[n].id = model_id(model);
        if (model_engine(model)) engine_stats(model_engine(model), &all[n].stats);
        all[n].stats.prompt_tokens += model_embedded_tokens(model);
        model_unpin_quietly(model);
        n++;
    }
    return n;
}

static void put_models(struct str *out, struct server *s, const struct model_stats *all, size_t n)
{
    put_head(out, "cupola_models_loaded", "gauge", "Models in memory.");
    str_printf(out, "cupola_models_loaded %zu\n", n);
    put_head(out, "cupola_models_known", "gauge", "Models that can be loaded.");
    str_printf(out, "cupola_models_known %zu\n", model_count(s->models));
    for (size_t r = 0; r < COUNT(stat_rows); r++) {
        put_head(out, stat_rows[r].name, stat_rows[r].type, stat_rows[r].help);
        for (size_t i = 0; i < n; i++) put_stat(out, &stat_rows[r], &all[i]);
    }
    put_head(out, "cupola_step_duration_seconds", "histogram", "Engine steps.");
    for (size_t i = 0; i < n; i++) put_steps(out, &all[i]);
}

void metrics_show(struct exchange *ex)
{
    struct server *s = ex->server;
    struct str out = { 0 };
    struct model_stats *all = ARENA_ARRAY(&ex->arena, model_count(s->models), struct model_stats);

    put_server(&out, s);
    if (all) put_models(&out, s, all, read_stats(s, all));
    if (!all) out.failed = true;
    ex->reply.type = "text/plain; version=0.0.4; charset=utf-8";
    reply_json(ex, &out);
}
