/* SPDX-License-Identifier: MIT */
/* JSON: a strict parser that builds cJSON trees, and typed getters. It refuses what cJSON's own
 * parser lets through: NUL bytes and \u0000, invalid UTF-8, lone surrogates (\ud800), depth beyond
 * the limit, duplicate keys, numbers beyond double (1e400), trailing text, comments. A leading byte
 * order mark is skipped. Walk large containers by ->child and ->next (json_get and
 * cJSON_GetArrayItem are linear). */
#pragma once
#include "base/status.h"
#include <cjson/cJSON.h>
#include <stdint.h>

struct json_limits {
    size_t bytes_max;          /* 0 = 64 MiB */
    size_t nodes_max;          /* 0 = 10 million */
    unsigned depth_max;        /* 0 = 64; at most 1000 */
    bool allow_duplicate_keys; /* last one wins */
};

/* Parses text[0..n), which need not end in NUL. *out is the caller's: json_free. Errors say byte
 * offset and what was expected: ST_FORMAT, ST_LIMIT, ST_NOMEM. limits may be NULL. An integer of
 * 2^53 or more keeps its digits in the number's valuestring. */
status json_parse(const char *text, size_t n, const struct json_limits *limits, cJSON **out,
                  struct err *err);
/* Reads and parses a file; errors name the file. */
status json_parse_file(const char *path, const struct json_limits *limits, cJSON **out,
                       struct err *err);
void json_free(cJSON *json);

/* Member of an object by exact (case-sensitive) key, NULL if absent or if `obj` is not an object.
 * An explicit null counts as absent for the getters below. */
const cJSON *json_get(const cJSON *obj, const char *key);
/* Typed getters: absent (or null) leaves *out alone and returns ST_OK; another type, or a value
 * outside [min,max], is ST_INVALID naming the key. */
status json_get_bool(const cJSON *obj, const char *key, bool *out, struct err *err);
status json_get_i64(const cJSON *obj, const char *key, int64_t min, int64_t max, int64_t *out,
                    struct err *err);
status json_get_double(const cJSON *obj, const char *key, double min, double max, double *out,
                       struct err *err);
/* *out points into the JSON tree. */
status json_get_str(const cJSON *obj, const char *key, const char **out, struct err *err);
/* An integer-valued number that fits, exactly (2^63-1 too; 1e3 and 2.0 count as integers); false
 * for anything else. */
bool json_to_i64(const cJSON *json, int64_t *out);
/* "a string", "an object", … for error messages. */
const char *json_type_name(const cJSON *json);
