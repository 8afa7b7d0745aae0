/* SPDX-License-Identifier: MIT */
/* Vocabulary: pieces (byte strings) to ids and back. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VOCAB_IDS_MAX = 1 << 23, VOCAB_PIECE_MAX = 1 << 20 };

struct vocab_piece {
    const char *text; /* NUL-terminated; NULL: a hole */
    uint32_t n;
    uint32_t hash;
};

/* The hash stands beside the id, so that a probe seldom touches a piece. */
struct vocab_slot {
    uint32_t hash;
    uint32_t id_plus_1; /* 0: empty */
};

/* Zero-initialised (with arena set) is empty. Pieces live in the arena. */
struct vocab {
    struct arena *arena;
    struct vocab_piece *pieces; /* [size], by id */
    size_t size;                /* largest id + 1 */
    size_t cap;
    size_t count;             /* pieces with an id */
    struct vocab_slot *slots; /* open addressing */
    size_t n_slots;           /* a power of two */
    uint64_t seed;
};

/* Room for n pieces. */
status vocab_reserve(struct vocab *v, size_t n, struct err *err);
/* Adds or moves a piece; the bytes are copied. ST_LIMIT beyond the limits above, ST_INVALID for a
 * negative id. */
status vocab_add(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err);
/* As vocab_add, for bytes that outlive the vocabulary. */
status vocab_add_borrowed(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err);
/* -1 if absent. */
int32_t vocab_find(const struct vocab *v, const char *text, size_t n);
/* Does id stand for this piece? */
bool vocab_is(const struct vocab *v, int64_t id, const char *text, size_t n);
static inline const struct vocab_piece *vocab_piece_of(const struct vocab *v, int64_t id)
{
    return id >= 0 && (uint64_t)id < v->size && v->pieces[id].text ? &v->pieces[id] : NULL;
}
