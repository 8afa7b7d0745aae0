/* SPDX-License-Identifier: MIT */
/* Typed getters over a parsed tree. */
#include "base/json.h"
#include "base/str.h"
#include <inttypes.h>
#include <string.h>

const cJSON *json_get(const cJSON *obj, const char *key)
{
    if (!cJSON_IsObject(obj)) return NULL;
    for (const cJSON *node = obj->child; node; node = node->next) {
        if (node->string && strcmp(node->string, key) == 0) return node;
    }
    return NULL;
}

const char *json_type_name(const cJSON *json)
{
    if (!json) return "nothing";
    switch (json->type & 0xFF) {
    case cJSON_False:
    case cJSON_True: return "a boolean";
    case cJSON_NULL: return "null";
    case cJSON_Number: return "a number";
    case cJSON_String: return "a string";
    case cJSON_Array: return "an array";
    case cJSON_Object: return "an object";
    default: return "an unknown value";
    }
}

/* The member, unless absent or null. */
static const cJSON *json_present(const cJSON *obj, const char *key)
{
    const cJSON *node = json_get(obj, key);
    return cJSON_IsNull(node) ? NULL : node;
}

static status json_wrong_type(const char *key, const cJSON *node, const char *expected,
                              struct err *err)
{
    return FAIL(err, ST_INVALID, "%s: expected %s, got %s", key, expected, json_type_name(node));
}

status json_get_bool(const cJSON *obj, const char *key, bool *out, struct err *err)
{
    const cJSON *node = json_present(obj, key);

    if (!node) return ST_OK;
    if (!cJSON_IsBool(node)) return json_wrong_type(key, node, "a boolean", err);
    *out = cJSON_IsTrue(node);
    return ST_OK;
}

bool json_to_i64(const cJSON *node, int64_t *out)
{
    if (!cJSON_IsNumber(node)) return false;
    if (node->valuestring) return str_to_i64(node->valuestring, out);
    const double v = node->valuedouble;
    if (!(v >= -9223372036854775808.0 && v < 9223372036854775808.0)) return false;
    if ((double)(int64_t)v != v) return false;
    *out = (int64_t)v;
    return true;
}

status json_get_i64(const cJSON *obj, const char *key, int64_t min, int64_t max, int64_t *out,
                    struct err *err)
{
    const cJSON *node = json_present(obj, key);
    int64_t v;

    if (!node) return ST_OK;
    if (!cJSON_IsNumber(node)) return json_wrong_type(key, node, "an integer", err);
    if (!json_to_i64(node, &v)) {
        if (node->valuestring)
            return FAIL(err, ST_INVALID,
                        "%s: expected an integer from %" PRId64 " to %" PRId64 ", got %.40s", key,
                        min, max, node->valuestring);
        return FAIL(err, ST_INVALID, "%s: expected an integer, got %.17g", key, node->valuedouble);
    }
    if (v < min || v > max)
        return FAIL(err, ST_INVALID,
                    "%s: expected an integer from %" PRId64 " to %" PRId64 ", got %" PRId64, key,
                    min, max, v);
    *out = v;
    return ST_OK;
}

status json_get_double(const cJSON *obj, const char *key, double min, double max, double *out,
                       struct err *err)
{
    const cJSON *node = json_present(obj, key);

    if (!node) return ST_OK;
    if (!cJSON_IsNumber(node)) return json_wrong_type(key, node, "a number", err);
    if (!(node->valuedouble >= min && node->valuedouble <= max))
        return FAIL(err, ST_INVALID, "%s: expected a number from %g to %g, got %g", key, min, max,
                    node->valuedouble);
    *out = node->valuedouble;
    return ST_OK;
}

status json_get_str(const cJSON *obj, const char *key, const char **out, struct err *err)
{
    const cJSON *node = json_present(obj, key);

    if (!node) return ST_OK;
    if (!cJSON_IsString(node)) return json_wrong_type(key, node, "a string", err);
    *out = node->valuestring;
    return ST_OK;
}
