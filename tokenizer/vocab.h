/* SPDX-License-Identifier: MIT */
/* Vocabulary: pieces (byte strings) to ids and back. */
#pragma once
#include "base/base.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VOCAB_IDS_MAX = 1 << 23, VOCAB_PIECE_MAX = 1 << 20, VOCAB_MAPPED_MAX = 256 };

struct vocab_piece {
    const char *text; /* NUL-terminated; NULL: a hole */
    uint32_t n;
};

/* A piece of at most 8 bytes is its own key, so that finding it touches nothing but the slot; of a
 * longer one the slot holds the hash, and its bytes are compared. */
struct vocab_slot {
    uint64_t key;
    uint32_t n;
    uint32_t id_plus_1; /* 0: empty */
};

/* Zero-initialised (with arena set) is empty. Pieces live in the arena. */
struct vocab {
    struct arena *arena;
    struct vocab_piece *pieces; /* [size], by id */
    size_t size;                /* largest id + 1 */
    size_t cap;
    size_t count;             /* pieces that have slots */
    size_t twice;             /* of those, the ones that have slots in `bytes`, too */
    struct vocab_slot *slots; /* open addressing, at most half full */
    size_t n_slots;
    uint64_t seed;
    char *room; /* for the bytes of the next pieces, side by side */
    size_t room_n;
    /* Not NULL: pieces written in the byte-level alphabet are found there, by the bytes that they
     * stand for; only the others have slots here. */
    const struct vocab *bytes;
};

/* Room for n pieces. */
status vocab_reserve(struct vocab *v, size_t n, struct err *err);
/* Room for n pieces that are only shown. */
status vocab_reserve_shown(struct vocab *v, size_t n, struct err *err);
/* Adds a piece, or gives it another id; the bytes are copied. Of two pieces with one id the last is
 * shown for it. ST_LIMIT beyond the limits above, ST_INVALID for a negative id. */
status vocab_add(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err);
/* As vocab_add, for bytes that outlive the vocabulary. */
status vocab_add_borrowed(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err);

struct vocab_item {
    const char *text;
    size_t n;
    uint64_t key;
    size_t home; /* where the key's search begins */
    int64_t id;
};

/* Many pieces, one after another: as vocab_add, but a piece is there only once the batch is
 * finished. Zero-initialised with vocab set. */
struct vocab_batch {
    struct vocab *vocab;
    struct vocab_item items[16];
    size_t n;
};

status vocab_batch_add(struct vocab_batch *b, const char *text, size_t n, int64_t id,
                       struct err *err);
/* As vocab_batch_add, for bytes that outlive the vocabulary. */
status vocab_batch_add_borrowed(struct vocab_batch *b, const char *text, size_t n, int64_t id,
                                struct err *err);
status vocab_batch_finish(struct vocab_batch *b, struct err *err);

/* What id is shown as, without a way from the piece to the id; the bytes are copied. */
status vocab_show(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err);
/* What a piece is looked for by, as long as nothing is added; the processor is told to fetch its
 * slot. */
uint64_t vocab_key(const struct vocab *v, const char *text, size_t n);
int32_t vocab_find_key(const struct vocab *v, const char *text, size_t n, uint64_t key);
/* -1 if absent. */
int32_t vocab_find(const struct vocab *v, const char *text, size_t n);
/* How many different pieces are found. */
size_t vocab_count(const struct vocab *v);
/* Does id stand for this piece? */
bool vocab_is(const struct vocab *v, int64_t id, const char *text, size_t n);
static inline const struct vocab_piece *vocab_piece_of(const struct vocab *v, int64_t id)
{
    return id >= 0 && (uint64_t)id < v->size && v->pieces[id].text ? &v->pieces[id] : NULL;
}
