/* SPDX-License-Identifier: MIT */
/* The one place where what went wrong becomes an HTTP code and an OpenAI error object. */
#pragma once
#include "base/base.h"

/*  X(name, HTTP code, error.type, error.code or NULL, Retry-After seconds or 0) */
#define FAULT_LIST(X)                                                                              \
    X(FAULT_REQUEST, 400, "invalid_request_error", NULL, 0)                                        \
    X(FAULT_JSON, 400, "invalid_request_error", "invalid_json", 0)                                 \
    X(FAULT_TYPE, 400, "invalid_request_error", "invalid_type", 0)                                 \
    X(FAULT_VALUE, 400, "invalid_request_error", "invalid_value", 0)                               \
    X(FAULT_MISSING, 400, "invalid_request_error", "missing_required_parameter", 0)                \
    X(FAULT_UNSUPPORTED, 400, "invalid_request_error", "unsupported_value", 0)                     \
    X(FAULT_TEMPLATE, 400, "invalid_request_error", "chat_template_refused", 0)                    \
    X(FAULT_CONTEXT, 400, "invalid_request_error", "context_length_exceeded", 0)                   \
    X(FAULT_KEY, 401, "authentication_error", "invalid_api_key", 0)                                \
    X(FAULT_FORBIDDEN, 403, "permission_error", "forbidden", 0)                                    \
    X(FAULT_ROUTE, 404, "invalid_request_error", "unknown_url", 0)                                 \
    X(FAULT_MODEL, 404, "invalid_request_error", "model_not_found", 0)                             \
    X(FAULT_METHOD, 405, "invalid_request_error", "method_not_allowed", 0)                         \
    X(FAULT_BODY_SIZE, 413, "invalid_request_error", "request_too_large", 0)                       \
    X(FAULT_URI_SIZE, 414, "invalid_request_error", "uri_too_long", 0)                             \
    X(FAULT_MEDIA, 415, "invalid_request_error", "unsupported_media_type", 0)                      \
    X(FAULT_HEADER_SIZE, 431, "invalid_request_error", "headers_too_large", 0)                     \
    X(FAULT_GONE, 499, "invalid_request_error", "client_closed_request", 0)                        \
    X(FAULT_INTERNAL, 500, "server_error", "internal_error", 0)                                    \
    X(FAULT_MODEL_BROKEN, 500, "server_error", "model_load_failed", 0)                             \
    X(FAULT_CODING, 501, "invalid_request_error", "unsupported_transfer_encoding", 0)              \
    X(FAULT_BUSY, 503, "unavailable_error", "server_busy", 1)                                      \
    X(FAULT_LOADING, 503, "unavailable_error", "model_loading", 2)                                 \
    X(FAULT_UNLOADED, 503, "unavailable_error", "model_unloaded", 1)                               \
    X(FAULT_STOPPING, 503, "unavailable_error", "server_stopping", 5)                              \
    X(FAULT_MEMORY, 503, "unavailable_error", "insufficient_memory", 2)

enum http_fault {
#define X(name, http, type, code, retry) name,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT
};

enum { API_PARAM_MAX = 160 };

/* What a client is told. Zero-initialise; the first error wins. */
struct api_error {
    bool set;
    enum http_fault fault;
    char param[API_PARAM_MAX]; /* "" = null */
    char text[ERR_TEXT_MAX];   /* one line */
};

/* Fills e (unless it is already) and returns false, so that parsers can `return api_fail(...)`.
 * param may be NULL. */
bool api_fail(struct api_error *e, enum http_fault fault, const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The same from a status. model_side: the fault lies in the model's files, not in the request. */
bool api_fail_status(struct api_error *e, status st, bool model_side, const char *param,
                     const struct err *err);

int fault_http_code(enum http_fault fault);
/* Seconds for Retry-After, 0 = none. */
int fault_retry_after(enum http_fault fault);
/* A client that retries this gets the same answer again (x-should-retry: false). */
bool fault_is_final(enum http_fault fault);

/* Appends {"error":{"message":…,"type":…,"param":…,"code":…}}. */
void api_error_json(const struct api_error *e, struct str *out);
