/* SPDX-License-Identifier: MIT */
/* Status codes and the error record: how every fallible function reports the world's faults. */
#pragma once
#include <stdbool.h>

/*  X(name, text): one list, so that name and text cannot drift. */
#define STATUS_LIST(X)                                                                             \
    X(ST_OK, "ok")                                                                                 \
    X(ST_NOMEM, "out of memory")                                                                   \
    X(ST_IO, "input/output error")                                                                 \
    X(ST_NOT_FOUND, "not found")                                                                   \
    X(ST_INVALID, "invalid argument")                                                              \
    X(ST_FORMAT, "malformed data")                                                                 \
    X(ST_SHAPE, "shape or type mismatch")                                                          \
    X(ST_UNSUPPORTED, "not supported")                                                             \
    X(ST_LIMIT, "limit exceeded")                                                                  \
    X(ST_BUSY, "busy")                                                                             \
    X(ST_CANCELLED, "cancelled")                                                                   \
    X(ST_TIMEOUT, "timed out")                                                                     \
    X(ST_INTERNAL, "internal error")

typedef enum status {
#define X(name, text) name,
    STATUS_LIST(X)
#undef X
        ST_COUNT
} status;

enum { ERR_TEXT_MAX = 512 };

/* Caller-owned error record. `err` parameters may be NULL. The first error wins: a filled record
 * is not overwritten. Zero-initialise before use. */
struct err {
    status code;
    char text[ERR_TEXT_MAX]; /* one line: WHERE: WHAT, always NUL-terminated */
};

/* Fixed text of a status, never NULL. */
const char *status_text(status st);

/* Fills `err` (if not NULL and still empty) and returns `st`. printf-like. Control characters in
 * the result are escaped. */
status err_fail(struct err *err, status st, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text of a filled record (for callers who know the file name). */
void err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Empties the record, so that it can be used again. */
void err_clear(struct err *err);

#define FAIL(err, st, ...) err_fail((err), (st), __VA_ARGS__)

/* Returns from a function that owns nothing when `call` fails. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        const status try_st_ = (call);                                                             \
        if (try_st_ != ST_OK) return try_st_;                                                      \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
