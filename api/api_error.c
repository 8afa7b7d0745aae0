/* SPDX-License-Identifier: MIT */
/* Version, errors, and structs that grow. */
#include "api/api_internal.h"
#include "cupola_version.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One numbering: a status of ours is the caller's. */
static_assert((int)CUPOLA_OK == (int)ST_OK, "status");
static_assert((int)CUPOLA_NO_MEMORY == (int)ST_NOMEM, "status");
static_assert((int)CUPOLA_IO == (int)ST_IO, "status");
static_assert((int)CUPOLA_NOT_FOUND == (int)ST_NOT_FOUND, "status");
static_assert((int)CUPOLA_INVALID == (int)ST_INVALID, "status");
static_assert((int)CUPOLA_FORMAT == (int)ST_FORMAT, "status");
static_assert((int)CUPOLA_SHAPE == (int)ST_SHAPE, "status");
static_assert((int)CUPOLA_UNSUPPORTED == (int)ST_UNSUPPORTED, "status");
static_assert((int)CUPOLA_LIMIT == (int)ST_LIMIT, "status");
static_assert((int)CUPOLA_BUSY == (int)ST_BUSY, "status");
static_assert((int)CUPOLA_CANCELLED == (int)ST_CANCELLED, "status");
static_assert((int)CUPOLA_TIMEOUT == (int)ST_TIMEOUT, "status");
static_assert((int)CUPOLA_INTERNAL == (int)ST_INTERNAL, "status");
static_assert((int)CUPOLA_INTERNAL + 1 == (int)ST_COUNT, "a status without a public number");
static_assert((int)CUPOLA_ERROR_TEXT_BYTES >= (int)ERR_TEXT_MAX, "error text");

const char *cupola_version(void) { return CUPOLA_VERSION; }

const char *cupola_commit(void) { return CUPOLA_COMMIT; }

int cupola_abi_version(void) { return CUPOLA_ABI_VERSION; }

const char *cupola_status_text(int32_t st)
{
    return st >= 0 && st < ST_COUNT ? status_text((status)st) : "unknown status";
}

void cupola_free(void *p) { mem_free(p); }

int32_t api_done(status st, const struct err *err, struct cupola_error *error)
{
    if (!error) return (int32_t)st;
    error->status = (int32_t)st;
    error->text[0] = '\0';
    if (st != ST_OK)
        snprintf(error->text, sizeof error->text, "%s", err->text[0] ? err->text : status_text(st));
    return (int32_t)st;
}

status api_null(const char *what, struct err *err)
{
    return FAIL(err, ST_INVALID, "%s: is NULL", what);
}

/* ---- structs that grow ---- */

static status size_check(size_t size, size_t first_bytes, const char *what, struct err *err)
{
    if (size >= first_bytes && size <= 4096) return ST_OK;
    return FAIL(err, ST_INVALID, "%s: size is %zu: expected sizeof(struct %s)", what, size, what);
}

status api_take_struct(void *dst, size_t known_bytes, size_t first_bytes, const void *src,
                       const char *what, struct err *err)
{
    size_t size;

    memcpy(&size, src, sizeof size);
    TRY(size_check(size, first_bytes, what, err));
    for (size_t i = known_bytes; i < size; i++)
        if (((const uint8_t *)src)[i])
            return FAIL(err, ST_UNSUPPORTED,
                        "%s: a field is set that this version of the library does not know", what);
    memset(dst, 0, known_bytes);
    memcpy(dst, src, size < known_bytes ? size : known_bytes);
    return ST_OK;
}

status api_give_struct(void *dst, size_t first_bytes, const void *src, size_t known_bytes,
                       const char *what, struct err *err)
{
    size_t size;

    memcpy(&size, dst, sizeof size);
    TRY(size_check(size, first_bytes, what, err));
    memset((uint8_t *)dst + sizeof size, 0, size - sizeof size);
    memcpy((uint8_t *)dst + sizeof size, (const uint8_t *)src + sizeof size,
           (size < known_bytes ? size : known_bytes) - sizeof size);
    return ST_OK;
}
