/* SPDX-License-Identifier: MIT */
/* Request targets: a strict decoder of path and query, in place of libmicrohttpd's (which lets %00
 * cut a path). */
#pragma once
#include "base/base.h"

enum { URL_BYTES_MAX = 8192, URL_SEGMENTS_MAX = 16, URL_PARAMS_MAX = 32 };

struct url_param {
    const char *key, *value; /* decoded; value "" where there is no '=' */
};

struct url {
    const char
        *segments[URL_SEGMENTS_MAX]; /* decoded; "/v1/models" = {"v1", "models"}, "/" = none */
    size_t n_segments;
    struct url_param params[URL_PARAMS_MAX];
    size_t n_params;
};

/* Decodes an origin-form target ("/path?query"). Everything lives in the arena. ST_INVALID: not
 * origin-form, a bad escape, a NUL or control byte, bytes that are not UTF-8, an empty inner
 * segment, "." or "..", too many parts; ST_LIMIT: longer than URL_BYTES_MAX. %2F stays inside its
 * segment. */
status url_parse(struct url *out, const char *target, struct arena *a, struct err *err);
/* Value of a query parameter, NULL if absent (the first one wins). */
const char *url_param(const struct url *u, const char *key);
