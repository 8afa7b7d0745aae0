/* SPDX-License-Identifier: MIT */
/* Foundry Local's state-changing calls, and its status. The listing is in foundry_list.c. */
#include "server/foundry.h"
#include "server/foundry_names.h"
#include "server/openai_chat.h"
#include "server/server_internal.h"
#include <string.h>
#include <strings.h>

enum { TTL_DEFAULT_S = 600 };

/* ---- status and names ---- */

static void put_text(struct str *out, const char *text) { str_put_json(out, text, strlen(text)); }

/* Where models lie: the first model folder, else the folder that holds the first model. */
static const char *models_dir(struct exchange *ex)
{
    const struct server *s = ex->server;

    if (s->cfg.n_models_dirs > 0) return s->cfg.models_dirs[0];
    if (model_count(s->models) == 0) return "";
    char *path = arena_strdup(&ex->arena, model_path(model_at(s->models, 0)));
    char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash) return "";
    *slash = '\0';
    return path;
}

void foundry_status(struct exchange *ex)
{
    const char *url = ex->server->url, *dir = models_dir(ex);
    struct str out = { 0 };

    str_put(&out, "{\"endpoints\":[");
    put_text(&out, url);
    str_put(&out, "],\"modelDirPath\":");
    put_text(&out, dir);
    str_put(&out, ",\"pipeName\":null,\"Endpoints\":[");
    put_text(&out, url);
    str_put(&out, "],\"ModelDirPath\":");
    put_text(&out, dir);
    str_put(&out, ",\"PipeName\":null,\"isAutoRegistrationResolved\":true,"
                  "\"autoRegistrationStatus\":\"Valid EPs: CPUExecutionProvider\"}");
    reply_json(ex, &out);
}

static void answer_names(struct exchange *ex, bool loaded_only)
{
    const struct model_manager *m = ex->server->models;
    struct str out = { 0 };
    bool first = true;

    str_put_char(&out, '[');
    for (size_t i = 0; i < model_count(m); i++) {
        const struct model *model = model_at(m, i);
        if (loaded_only && model_state(model) != MODEL_READY) continue;
        if (!first) str_put_char(&out, ',');
        first = false;
        put_text(&out, foundry_name(model, &ex->arena));
    }
    str_put_char(&out, ']');
    reply_json(ex, &out);
}

void foundry_models(struct exchange *ex) { answer_names(ex, false); }

void foundry_loaded_models(struct exchange *ex) { answer_names(ex, true); }

/* ---- query parameters ---- */

static bool query_bool(struct exchange *ex, const char *key, bool *out)
{
    const char *text = url_param(&ex->url, key);

    if (!text || text[0] == '\0') return true;
    const bool yes = strcasecmp(text, "true") == 0 || str_equal(text, "1");
    const bool no = strcasecmp(text, "false") == 0 || str_equal(text, "0");
    if (!yes && !no) {
        reply_fault(ex, FAULT_VALUE, key, "Invalid value for '%s': expected true or false.", key);
        return false;
    }
    *out = yes;
    return true;
}

static bool query_seconds(struct exchange *ex, const char *key, int64_t *out)
{
    const char *text = url_param(&ex->url, key);
    int64_t v = 0;

    if (!text || text[0] == '\0') return true;
    if (!str_to_i64(text, &v) || v < 0 || v > INT32_MAX) {
        reply_fault(ex, FAULT_VALUE, key, "Invalid value for '%s': expected 0 to %d seconds.", key,
                    INT32_MAX);
        return false;
    }
    *out = v;
    return true;
}

static bool query_provider(struct exchange *ex)
{
    const char *ep = url_param(&ex->url, "ep");

    if (!ep || ep[0] == '\0' || strcasecmp(ep, "cpu") == 0) return true;
    reply_fault(ex, FAULT_UNSUPPORTED, "ep", "The specified EP %.64s is not registered.", ep);
    return false;
}

/* ---- a call that waits for the model manager ---- */

struct foundry_call {
    struct exchange *ex; /* a reference, until the waiters are told */
    struct model_waiter waiter;
    struct model *pinned;   /* load: released when told */
    int64_t ttl_s;          /* load: -1 = leave as it is */
    struct api_error error; /* written before done */
    atomic_bool done;
};

static bool call_poll(struct exchange *ex)
{
    struct foundry_call *call = ex->user;

    if (!atomic_load(&call->done)) return false;
    if (call->error.set)
        reply_error(ex, &call->error);
    else
        reply_empty(ex, 200);
    return true;
}

static void call_end(struct foundry_call *call)
{
    struct exchange *ex = call->ex;

    atomic_store(&call->done, true);
    exchange_wake(ex);
    exchange_unref(ex); /* the call lies in its arena */
}

static struct foundry_call *call_begin(struct exchange *ex)
{
    struct foundry_call *call = ARENA_NEW(&ex->arena, struct foundry_call);

    if (!call) {
        reply_fault(ex, FAULT_MEMORY, NULL, "No memory for the request.");
        return NULL;
    }
    call->ex = exchange_ref(ex);
    call->waiter.user = call;
    ex->user = call;
    ex->poll = call_poll;
    server_enlist(ex, NULL);
    return call;
}

static struct model *find_model(struct exchange *ex)
{
    struct model *model = model_find(ex->server->models, ex->name);

    if (!model)
        reply_fault(ex, FAULT_MODEL, "name", "No OpenAIService provider found for modelName %.200s",
                    ex->name);
    return model;
}

/* ---- load ---- */

static void load_done(void *user, const struct err *err)
{
    struct foundry_call *call = user;

    if (err)
        api_fail_status(&call->error, err->code, err->code != ST_CANCELLED, NULL, err);
    else if (call->ttl_s >= 0)
        model_set_ttl(call->pinned, call->ttl_s);
    model_unpin(call->pinned);
    call_end(call);
}

void foundry_load(struct exchange *ex)
{
    int64_t ttl_s = -1;
    bool unload = false;

    if (!query_seconds(ex, "timeout", &ttl_s) || !query_seconds(ex, "ttl", &ttl_s) ||
        !query_bool(ex, "unload", &unload) || !query_provider(ex))
        return;
    if (ttl_s < 0 && url_param(&ex->url, "unload")) ttl_s = unload ? TTL_DEFAULT_S : 0;
    struct model *model = find_model(ex);
    if (!model) return;
    if (!model_pin(model)) {
        reply_fault(ex, FAULT_UNLOADED, NULL, "The model is being unloaded.");
        return;
    }
    struct foundry_call *call = call_begin(ex);
    if (!call) {
        model_unpin(model);
        return;
    }
    call->pinned = model;
    call->ttl_s = ttl_s;
    call->waiter.fn = load_done;
    model_when_ready(model, &call->waiter);
}

/* ---- unload ---- */

static void unload_done(void *user, const struct err *err)
{
    struct foundry_call *call = user;

    if (err) api_fail_status(&call->error, err->code, false, NULL, err);
    call_end(call);
}

static void unload_one(struct exchange *ex, struct model *model, bool force)
{
    struct foundry_call *call = call_begin(ex);

    if (!call) return;
    call->waiter.fn = unload_done;
    if (force) openai_chat_abort_model(ex->server, model);
    model_unload(model, &call->waiter);
}

void foundry_unload(struct exchange *ex)
{
    bool force = false;

    if (!query_bool(ex, "force", &force)) return;
    struct model *model = model_find(ex->server->models, ex->name);
    /* Nothing to free is no error to the clients that ask. */
    if (!model || model_state(model) == MODEL_ABSENT || (!force && model_ttl_runs(model)))
        reply_empty(ex, 200);
    else
        unload_one(ex, model, force);
}

/* One waiter per model; the last one told ends the call. */
struct unload_all {
    struct foundry_call *call;
    atomic_size_t left;
};

static void unload_step_done(void *user, const struct err *err)
{
    struct unload_all *all = user;

    (void)err;
    if (atomic_fetch_sub(&all->left, 1) == 1) call_end(all->call);
}

void foundry_unload_all(struct exchange *ex)
{
    const struct model_manager *m = ex->server->models;
    const size_t n = model_count(m);
    struct unload_all *all = ARENA_NEW(&ex->arena, struct unload_all);
    struct model_waiter *waiters = ARENA_ARRAY(&ex->arena, n, struct model_waiter);
    struct foundry_call *call = all && waiters ? call_begin(ex) : NULL;

    if (!call) {
        if (ex->reply.code == 0) reply_fault(ex, FAULT_MEMORY, NULL, "No memory.");
        return;
    }
    all->call = call;
    atomic_init(&all->left, n + 1);
    for (size_t i = 0; i < n; i++) {
        waiters[i] = (struct model_waiter){ .fn = unload_step_done, .user = all };
        model_unload(model_at(m, i), &waiters[i]);
    }
    unload_step_done(all, NULL);
}
