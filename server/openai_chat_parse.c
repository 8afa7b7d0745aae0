/* SPDX-License-Identifier: MIT */
/* The top level of a chat request: numbers by table, then what has a shape of its own. */
#include "server/openai_chat_parse.h"
#include "server/chat_parse_internal.h"
#include "server/http_body.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum number_type { NUMBER_REAL, NUMBER_INT, NUMBER_BOOL };

static const struct number_rule {
    const char *key;
    enum number_type type;
    double min, max;
} rules[CHAT_NUMBER_COUNT] = {
#define X(name, key, type, min, max) [name] = { key, type, min, max },
    CHAT_NUMBER_LIST(X)
#undef X
};

const char *chat_number_key(enum chat_number_name name) { return rules[name].key; }

/* ---- helpers shared with the other parse files ---- */

const char *jvalue_kind(const struct jvalue *v)
{
    static const char *const kinds[] = {
        [JVALUE_NONE] = "null",        [JVALUE_BOOL] = "a boolean",
        [JVALUE_INT] = "an integer",   [JVALUE_BIG] = "a large integer",
        [JVALUE_DOUBLE] = "a decimal", [JVALUE_STRING] = "a string",
        [JVALUE_LIST] = "an array",    [JVALUE_DICT] = "an object",
    };
    return v ? kinds[v->type] : "nothing";
}

const struct jvalue *chat_member(const struct jvalue *dict, const char *key)
{
    const struct jvalue *v = jvalue_get(dict, key);

    return v && v->type != JVALUE_NONE ? v : NULL;
}

bool chat_fail_type(struct chat_parse *p, const char *param, const char *expected,
                    const struct jvalue *got)
{
    return api_fail(p->error, FAULT_TYPE, param, "Invalid type for '%s': expected %s, got %s.",
                    param, expected, jvalue_kind(got));
}

bool chat_fail_memory(struct chat_parse *p)
{
    return api_fail(p->error, FAULT_MEMORY, NULL, "The request needs more memory than it may use.");
}

const char *chat_text(struct chat_parse *p, const char *param, const struct jvalue *v)
{
    if (!v || v->type != JVALUE_STRING) {
        chat_fail_type(p, param, "a string", v);
        return NULL;
    }
    if (memchr(v->u.string.text, '\0', v->u.string.n)) {
        api_fail(p->error, FAULT_VALUE, param, "Invalid value for '%s': holds a NUL character.",
                 param);
        return NULL;
    }
    return v->u.string.text;
}

/* ---- numbers ---- */

/* SDKs send top_k and random_seed as strings below metadata. */
static bool number_from_text(const struct jvalue *v, struct chat_number *out)
{
    if (v->type != JVALUE_STRING || !str_to_i64(v->u.string.text, &out->integer)) return false;
    out->real = (double)out->integer;
    return true;
}

static bool number_read(const struct jvalue *v, enum number_type type, struct chat_number *out)
{
    if (type == NUMBER_BOOL) {
        out->integer = v->type == JVALUE_BOOL && v->u.boolean;
        return v->type == JVALUE_BOOL;
    }
    if (v->type == JVALUE_INT) {
        out->integer = v->u.integer;
        out->real = (double)v->u.integer;
        return true;
    }
    if (v->type != JVALUE_DOUBLE || !isfinite(v->u.number)) return false;
    out->real = v->u.number;
    if (type == NUMBER_REAL) return true;
    if (out->real != floor(out->real)) return false;
    if (fabs(out->real) >= 9.2e18) return false;
    out->integer = (int64_t)out->real; /* 1e3 is an integer too */
    return true;
}

static bool parse_number(struct chat_parse *p, const char *param, const struct jvalue *v,
                         enum chat_number_name name, bool text_allowed)
{
    static const char *const expected[] = { "a number", "an integer", "a boolean" };
    const struct number_rule *rule = &rules[name];
    struct chat_number num = { .given = true };

    if (!(text_allowed && number_from_text(v, &num)) && !number_read(v, rule->type, &num))
        return chat_fail_type(p, param, expected[rule->type], v);
    if (rule->type != NUMBER_BOOL && !(num.real >= rule->min && num.real <= rule->max))
        return api_fail(p->error, FAULT_VALUE, param,
                        "Invalid value for '%s': %.17g is outside [%.10g, %.10g].", param, num.real,
                        rule->min, rule->max);
    p->out->num[name] = num;
    return true;
}

static bool parse_numbers(struct chat_parse *p, const struct jvalue *body)
{
    for (int i = 0; i < CHAT_NUMBER_COUNT; i++) {
        const struct jvalue *v = chat_member(body, rules[i].key);
        if (v && !parse_number(p, rules[i].key, v, (enum chat_number_name)i, false)) return false;
    }
    return true;
}

static bool parse_metadata(struct chat_parse *p, const struct jvalue *body)
{
    static const enum chat_number_name names[] = { CHAT_TOP_K, CHAT_RANDOM_SEED };
    const struct jvalue *meta = chat_member(body, "metadata");

    if (!meta) return true;
    if (meta->type != JVALUE_DICT) return chat_fail_type(p, "metadata", "an object", meta);
    for (size_t i = 0; i < COUNT(names); i++) {
        char param[64];
        const struct jvalue *v = chat_member(meta, rules[names[i]].key);
        if (!v || p->out->num[names[i]].given) continue;
        snprintf(param, sizeof param, "metadata.%s", rules[names[i]].key);
        if (!parse_number(p, param, v, names[i], true)) return false;
    }
    return true;
}

/* ---- stop, logit_bias, stream_options ---- */

static bool add_stop(struct chat_parse *p, const char *param, const struct jvalue *v)
{
    const char *text = chat_text(p, param, v);

    if (!text) return false;
    if (v->u.string.n == 0)
        return api_fail(p->error, FAULT_VALUE, param, "Invalid value for '%s': an empty string.",
                        param);
    if (v->u.string.n > STOP_STRING_BYTES_MAX)
        return api_fail(p->error, FAULT_VALUE, param,
                        "Invalid value for '%s': %zu bytes, at most %d.", param, v->u.string.n,
                        STOP_STRING_BYTES_MAX);
    p->out->stops[p->out->n_stops++] = text;
    return true;
}

static bool parse_stop(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "stop");

    if (!v) return true;
    if (v->type == JVALUE_STRING) return add_stop(p, "stop", v);
    if (v->type != JVALUE_LIST) return chat_fail_type(p, "stop", "a string or an array", v);
    if (v->u.list.n > STOP_STRINGS_MAX)
        return api_fail(p->error, FAULT_VALUE, "stop",
                        "Invalid value for 'stop': %zu strings, at most %d.", v->u.list.n,
                        STOP_STRINGS_MAX);
    for (size_t i = 0; i < v->u.list.n; i++) {
        char param[32];
        snprintf(param, sizeof param, "stop[%zu]", i);
        if (!add_stop(p, param, v->u.list.items[i])) return false;
    }
    return true;
}

static bool parse_bias_entry(struct chat_parse *p, const struct jvalue_pair *pair)
{
    int64_t id = 0;
    char param[64];
    struct chat_number num = { 0 };

    snprintf(param, sizeof param, "logit_bias.%.32s", pair->key);
    if (strlen(pair->key) != pair->key_n || !str_to_i64(pair->key, &id) || id < 0 || id > INT32_MAX)
        return api_fail(p->error, FAULT_VALUE, param,
                        "Invalid key in 'logit_bias': \"%.32s\" is not a token id.", pair->key);
    if (!number_read(pair->value, NUMBER_REAL, &num))
        return chat_fail_type(p, param, "a number", pair->value);
    if (!(num.real >= -100 && num.real <= 100))
        return api_fail(p->error, FAULT_VALUE, param,
                        "Invalid value for '%s': %g is outside [-100, 100].", param, num.real);
    p->out->bias[p->out->n_bias++] = (struct logit_bias){ (int32_t)id, (float)num.real };
    return true;
}

static bool parse_bias(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "logit_bias");

    if (!v) return true;
    if (v->type != JVALUE_DICT) return chat_fail_type(p, "logit_bias", "an object", v);
    if (v->u.dict.n > CHAT_BIAS_MAX)
        return api_fail(p->error, FAULT_VALUE, "logit_bias",
                        "Invalid value for 'logit_bias': %zu entries, at most %d.", v->u.dict.n,
                        CHAT_BIAS_MAX);
    if (v->u.dict.n == 0) return true;
    p->out->bias = ARENA_ARRAY(p->arena, v->u.dict.n, struct logit_bias);
    if (!p->out->bias) return chat_fail_memory(p);
    for (size_t i = 0; i < v->u.dict.n; i++)
        if (!parse_bias_entry(p, &v->u.dict.pairs[i])) return false;
    return true;
}

static bool parse_stream_options(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "stream_options");

    if (!v) return true;
    if (v->type != JVALUE_DICT) return chat_fail_type(p, "stream_options", "an object", v);
    if (!p->out->num[CHAT_STREAM].integer)
        return api_fail(p->error, FAULT_VALUE, "stream_options",
                        "'stream_options' is only allowed when 'stream' is true.");
    const struct jvalue *usage = chat_member(v, "include_usage");
    if (usage && usage->type != JVALUE_BOOL)
        return chat_fail_type(p, "stream_options.include_usage", "a boolean", usage);
    p->out->include_usage = usage && usage->u.boolean;
    return true;
}

/* ---- what is known and cannot be done, or is known and changes nothing ---- */

static bool parse_response_format(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "response_format");

    if (!v) return true;
    if (v->type != JVALUE_DICT) return chat_fail_type(p, "response_format", "an object", v);
    const char *type = chat_text(p, "response_format.type", chat_member(v, "type"));
    if (!type) return false;
    if (str_equal(type, "text")) return true;
    return api_fail(p->error, FAULT_UNSUPPORTED, "response_format",
                    "Unsupported value for 'response_format': type '%.64s' (only 'text' is "
                    "supported).",
                    type);
}

static bool parse_modalities(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "modalities");

    if (chat_member(body, "audio"))
        return api_fail(p->error, FAULT_UNSUPPORTED, "audio", "Audio output is not supported.");
    if (!v) return true;
    if (v->type != JVALUE_LIST) return chat_fail_type(p, "modalities", "an array", v);
    for (size_t i = 0; i < v->u.list.n; i++) {
        const char *text = chat_text(p, "modalities", v->u.list.items[i]);
        if (!text) return false;
        if (!str_equal(text, "text"))
            return api_fail(p->error, FAULT_UNSUPPORTED, "modalities",
                            "Unsupported value for 'modalities': '%.64s' (only 'text' is "
                            "supported).",
                            text);
    }
    return true;
}

static bool parse_provider(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "ep");

    if (!v) return true;
    const char *ep = chat_text(p, "ep", v);
    if (!ep) return false;
    if (ep[0] == '\0' || str_equal(ep, "cpu")) return true;
    return api_fail(p->error, FAULT_UNSUPPORTED, "ep", "The specified EP %.64s is not registered.",
                    ep);
}

static bool parse_ignored(struct chat_parse *p, const struct jvalue *body)
{
    static const char *const strings[] = { "user", "service_tier", "reasoning_effort",
                                           "safety_identifier", "prompt_cache_key" };

    for (size_t i = 0; i < COUNT(strings); i++) {
        const struct jvalue *v = chat_member(body, strings[i]);
        if (v && v->type != JVALUE_STRING) return chat_fail_type(p, strings[i], "a string", v);
    }
    return true;
}

static bool parse_kwargs(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "chat_template_kwargs");

    if (!v) return true;
    if (v->type != JVALUE_DICT) return chat_fail_type(p, "chat_template_kwargs", "an object", v);
    p->out->kwargs = jvalue_get(body, "chat_template_kwargs");
    return true;
}

static bool parse_logprobs(struct chat_parse *p)
{
    const struct chat_number *top = &p->out->num[CHAT_TOP_LOGPROBS];

    if (!top->given || top->integer == 0) return true;
    if (!p->out->num[CHAT_LOGPROBS].integer)
        return api_fail(p->error, FAULT_VALUE, "top_logprobs",
                        "'top_logprobs' is only allowed when 'logprobs' is true.");
    return api_fail(p->error, FAULT_UNSUPPORTED, "top_logprobs",
                    "Unsupported value for 'top_logprobs': only 0 is supported.");
}

/* ---- the whole ---- */

static bool parse_model(struct chat_parse *p, const struct jvalue *body)
{
    const struct jvalue *v = chat_member(body, "model");

    if (!v)
        return api_fail(p->error, FAULT_MISSING, "model", "Missing required parameter: 'model'.");
    p->out->model = chat_text(p, "model", v);
    if (!p->out->model) return false;
    if (v->u.string.n == 0 || v->u.string.n > CHAT_NAME_BYTES_MAX)
        return api_fail(p->error, FAULT_VALUE, "model",
                        "Invalid value for 'model': must have 1 to %d bytes.", CHAT_NAME_BYTES_MAX);
    return true;
}

/* The gate is strict about what JSON is; the values are then read with integers and decimals apart.
 */
static bool read_body(struct chat_parse *p, const char *body, size_t n, struct jvalue **out)
{
    static const struct json_limits limits = { .nodes_max = CHAT_NODES_MAX,
                                               .depth_max = CHAT_DEPTH_MAX };
    struct err err = { 0 };
    cJSON *json = NULL;

    if (n == 0) return api_fail(p->error, FAULT_JSON, NULL, "Empty request body.");
    status st = body_json(body, n, &limits, &json, &err);
    json_free(json);
    if (st == ST_OK) st = jvalue_parse(p->arena, body, n, out, &err);
    if (st == ST_NOMEM) return chat_fail_memory(p);
    if (st != ST_OK) return api_fail(p->error, FAULT_JSON, NULL, "Invalid JSON: %s", err.text);
    if ((*out)->type != JVALUE_DICT)
        return api_fail(p->error, FAULT_TYPE, NULL, "Invalid request: expected an object, got %s.",
                        jvalue_kind(*out));
    return true;
}

bool chat_request_parse(struct chat_request *out, const char *body, size_t n, struct arena *a,
                        struct api_error *e)
{
    struct chat_parse p = { out, a, e };
    struct jvalue *root = NULL;

    memset(out, 0, sizeof *out);
    return read_body(&p, body, n, &root) && parse_model(&p, root) &&
           chat_parse_messages(&p, root) && parse_numbers(&p, root) && parse_metadata(&p, root) &&
           parse_logprobs(&p) && parse_stop(&p, root) && parse_bias(&p, root) &&
           parse_stream_options(&p, root) && chat_parse_tools(&p, root) &&
           parse_response_format(&p, root) && parse_modalities(&p, root) &&
           parse_provider(&p, root) && parse_kwargs(&p, root) && parse_ignored(&p, root);
}
