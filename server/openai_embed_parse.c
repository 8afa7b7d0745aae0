/* SPDX-License-Identifier: MIT */
#include "server/openai_embed_parse.h"
#include "server/http_body.h"
#include <string.h>

struct embed_parse {
    struct embed_body *out;
    struct arena *arena;
    struct api_error *error;
};

static bool fail_memory(struct embed_parse *p)
{
    return api_fail(p->error, FAULT_MEMORY, NULL, "The request needs more memory than it may use.");
}

static bool fail_type(struct embed_parse *p, const char *param, const char *expected,
                      const cJSON *got)
{
    return api_fail(p->error, FAULT_TYPE, param, "Invalid type for '%s': expected %s, got %s.",
                    param, expected, json_type_name(got));
}

/* ---- input ---- */

static bool take_text(struct embed_parse *p, const cJSON *v, size_t i, struct embed_input *in)
{
    in->n_text = strlen(v->valuestring);
    if (in->n_text == 0)
        return api_fail(p->error, FAULT_VALUE, "input",
                        "Invalid value for 'input': text %zu is empty.", i);
    in->text = arena_strndup(p->arena, v->valuestring, in->n_text);
    return in->text || fail_memory(p);
}

static bool take_ids(struct embed_parse *p, const cJSON *list, size_t i, struct embed_input *in)
{
    const cJSON *v;
    const int n = cJSON_GetArraySize(list);
    int64_t id;

    if (n == 0)
        return api_fail(p->error, FAULT_VALUE, "input",
                        "Invalid value for 'input': text %zu has no tokens.", i);
    int32_t *ids = ARENA_ARRAY(p->arena, (size_t)n, int32_t);
    if (!ids) return fail_memory(p);
    cJSON_ArrayForEach(v, list)
    {
        if (!json_to_i64(v, &id) || id < 0 || id > INT32_MAX)
            return api_fail(p->error, FAULT_TYPE, "input",
                            "Invalid type for 'input': token %zu of text %zu is no token id.",
                            in->n_ids, i);
        ids[in->n_ids++] = (int32_t)id;
    }
    in->ids = ids;
    return true;
}

/* An array of texts, or of arrays of ids. */
static bool take_list(struct embed_parse *p, const cJSON *list)
{
    const cJSON *v;
    size_t i = 0;

    cJSON_ArrayForEach(v, list)
    {
        struct embed_input *in = &p->out->inputs[i];

        if (!cJSON_IsString(v) && !cJSON_IsArray(v))
            return fail_type(p, "input", "an array of strings or of arrays of token ids", v);
        if (cJSON_IsString(v) ? !take_text(p, v, i, in) : !take_ids(p, v, i, in)) return false;
        i++;
    }
    return true;
}

static bool take_input(struct embed_parse *p, const cJSON *root)
{
    const cJSON *v = json_get(root, "input");
    const bool list = cJSON_IsArray(v), ids = list && cJSON_IsNumber(v->child);
    const int n = list && !ids ? cJSON_GetArraySize(v) : 1;

    if (!v || cJSON_IsNull(v))
        return api_fail(p->error, FAULT_MISSING, "input", "Missing required parameter: 'input'.");
    if (!list && !cJSON_IsString(v))
        return fail_type(p, "input", "a string, an array of strings, or of token ids", v);
    if (n == 0)
        return api_fail(p->error, FAULT_VALUE, "input",
                        "Invalid value for 'input': the array is empty.");
    if (n > EMBED_INPUTS_MAX)
        return api_fail(p->error, FAULT_VALUE, "input",
                        "Invalid value for 'input': %d texts, at most %d are taken.", n,
                        EMBED_INPUTS_MAX);
    p->out->n_inputs = (size_t)n;
    p->out->inputs = ARENA_ARRAY(p->arena, (size_t)n, struct embed_input);
    if (!p->out->inputs) return fail_memory(p);
    if (ids) return take_ids(p, v, 0, p->out->inputs);
    return list ? take_list(p, v) : take_text(p, v, 0, p->out->inputs);
}

/* ---- the rest ---- */

/* A string of at most EMBED_NAME_BYTES_MAX bytes; *out stays where the key is absent. */
static bool take_name(struct embed_parse *p, const cJSON *root, const char *key, const char **out)
{
    const cJSON *v = json_get(root, key);

    if (!v || cJSON_IsNull(v)) return true;
    if (!cJSON_IsString(v)) return fail_type(p, key, "a string", v);
    const size_t n = strlen(v->valuestring);
    if (n == 0 || n > EMBED_NAME_BYTES_MAX)
        return api_fail(p->error, FAULT_VALUE, key,
                        "Invalid value for '%s': must have 1 to %d bytes.", key,
                        EMBED_NAME_BYTES_MAX);
    *out = arena_strndup(p->arena, v->valuestring, n);
    return *out || fail_memory(p);
}

static bool take_integer(struct embed_parse *p, const cJSON *root, const char *key, int64_t min,
                         int64_t *out)
{
    const cJSON *v = json_get(root, key);

    if (!v || cJSON_IsNull(v)) return true;
    if (!json_to_i64(v, out)) return fail_type(p, key, "an integer", v);
    if (*out >= min && *out <= INT32_MAX) return true;
    return api_fail(p->error, FAULT_VALUE, key, "Invalid value for '%s': %lld is below %lld.", key,
                    (long long)*out, (long long)min);
}

static bool take_bool(struct embed_parse *p, const cJSON *root, const char *key, bool *out)
{
    const cJSON *v = json_get(root, key);

    if (!v || cJSON_IsNull(v)) return true;
    if (!cJSON_IsBool(v)) return fail_type(p, key, "a boolean", v);
    *out = cJSON_IsTrue(v);
    return true;
}

/* Whom the request is for means nothing here. */
static bool check_user(struct embed_parse *p, const cJSON *root)
{
    const cJSON *v = json_get(root, "user");

    return !v || cJSON_IsNull(v) || cJSON_IsString(v) || fail_type(p, "user", "a string", v);
}

static bool take_format(struct embed_parse *p, const cJSON *root)
{
    const char *format = "float";

    if (!take_name(p, root, "encoding_format", &format)) return false;
    p->out->base64 = str_equal(format, "base64");
    if (p->out->base64 || str_equal(format, "float")) return true;
    return api_fail(p->error, FAULT_VALUE, "encoding_format",
                    "Invalid value for 'encoding_format': expected 'float' or 'base64'.");
}

static bool take_all(struct embed_parse *p, const cJSON *root)
{
    struct embed_body *out = p->out;

    if (!cJSON_IsObject(root))
        return api_fail(p->error, FAULT_TYPE, NULL, "Invalid request: expected an object, got %s.",
                        json_type_name(root));
    if (!take_name(p, root, "model", &out->model)) return false;
    if (!out->model)
        return api_fail(p->error, FAULT_MISSING, "model", "Missing required parameter: 'model'.");
    return take_input(p, root) && take_format(p, root) &&
           take_integer(p, root, "dimensions", 1, &out->dimensions) &&
           take_integer(p, root, "ttl", 0, &out->ttl) &&
           take_name(p, root, "prompt_name", &out->prompt_name) &&
           take_bool(p, root, "truncate", &out->truncate) && check_user(p, root);
}

bool embed_body_parse(struct embed_body *out, const char *body, size_t n, struct arena *a,
                      struct api_error *e)
{
    static const struct json_limits limits = { .nodes_max = EMBED_NODES_MAX, .depth_max = 16 };
    struct embed_parse p = { out, a, e };
    struct err err = { 0 };
    cJSON *root = NULL;

    memset(out, 0, sizeof *out);
    if (n == 0) return api_fail(e, FAULT_JSON, NULL, "Empty request body.");
    const status st = body_json(body, n, &limits, &root, &err);
    if (st == ST_NOMEM) return fail_memory(&p);
    if (st != ST_OK) return api_fail(e, FAULT_JSON, NULL, "Invalid JSON: %s", err.text);
    const bool ok = take_all(&p, root);
    json_free(root);
    return ok;
}
