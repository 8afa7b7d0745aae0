/* SPDX-License-Identifier: MIT */
#include "tokenizer/vocab.h"
#include "base/base.h"
#include <string.h>

static uint32_t hash_piece(const struct vocab *v, const char *text, size_t n)
{
    const uint64_t h = hash_bytes(text, n, v->seed);

    return (uint32_t)(h ^ (h >> 32));
}

static status grow_slots(struct vocab *v, size_t n_pieces, struct err *err)
{
    size_t n = 64;

    while (n < n_pieces * 2) n *= 2;
    if (n <= v->n_slots) return ST_OK;
    if (!v->seed) v->seed = hash_process_seed() | 1;
    struct vocab_slot *slots = ARENA_ARRAY(v->arena, n, struct vocab_slot);
    if (!slots) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    for (size_t i = 0; i < v->n_slots; i++) {
        if (!v->slots[i].id_plus_1) continue;
        size_t at = v->slots[i].hash & (n - 1);
        while (slots[at].id_plus_1) at = (at + 1) & (n - 1);
        slots[at] = v->slots[i];
    }
    v->slots = slots;
    v->n_slots = n;
    return ST_OK;
}

static status grow_pieces(struct vocab *v, size_t n, struct err *err)
{
    if (n <= v->cap) return ST_OK;
    void *pieces = arena_grow(v->arena, v->pieces, &v->cap, n, sizeof *v->pieces);
    if (!pieces) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    v->pieces = pieces;
    return ST_OK;
}

status vocab_reserve(struct vocab *v, size_t n, struct err *err)
{
    if (n > VOCAB_IDS_MAX)
        return FAIL(err, ST_LIMIT, "vocabulary: more than %d pieces", VOCAB_IDS_MAX);
    TRY(grow_pieces(v, n, err));
    return grow_slots(v, n, err);
}

bool vocab_is(const struct vocab *v, int64_t id, const char *text, size_t n)
{
    const struct vocab_piece *p = vocab_piece_of(v, id);

    return p && p->n == n && memcmp(p->text, text, n) == 0;
}

/* Where a piece is, or the empty slot where it belongs. */
static size_t find_slot(const struct vocab *v, const char *text, size_t n, uint32_t hash)
{
    size_t at = hash & (v->n_slots - 1);

    while (v->slots[at].id_plus_1) {
        if (v->slots[at].hash == hash && vocab_is(v, (int64_t)v->slots[at].id_plus_1 - 1, text, n))
            break;
        at = (at + 1) & (v->n_slots - 1);
    }
    return at;
}

status vocab_add_borrowed(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err)
{
    if (id < 0) return FAIL(err, ST_INVALID, "vocabulary: negative id %lld", (long long)id);
    if (id >= VOCAB_IDS_MAX)
        return FAIL(err, ST_LIMIT, "vocabulary: id %lld is too large", (long long)id);
    if (n > VOCAB_PIECE_MAX)
        return FAIL(err, ST_LIMIT, "vocabulary: piece of id %lld is too long", (long long)id);
    TRY(grow_pieces(v, (size_t)id + 1, err));
    if ((v->count + 1) * 2 > v->n_slots) TRY(grow_slots(v, (v->count + 1) * 2, err));
    const uint32_t hash = hash_piece(v, text, n);
    const size_t at = find_slot(v, text, n, hash);
    if (!v->slots[at].id_plus_1) v->count++;
    v->slots[at] = (struct vocab_slot){ hash, (uint32_t)id + 1 };
    if ((size_t)id >= v->size) {
        memset(&v->pieces[v->size], 0, ((size_t)id + 1 - v->size) * sizeof *v->pieces);
        v->size = (size_t)id + 1;
    }
    v->pieces[id] = (struct vocab_piece){ text, (uint32_t)n, hash };
    return ST_OK;
}

status vocab_add(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err)
{
    const char *copy = arena_strndup(v->arena, text, n);

    if (!copy) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    return vocab_add_borrowed(v, copy, n, id, err);
}

int32_t vocab_find(const struct vocab *v, const char *text, size_t n)
{
    if (!v->n_slots) return -1;
    const size_t at = find_slot(v, text, n, hash_piece(v, text, n));
    return (int32_t)v->slots[at].id_plus_1 - 1;
}
