/* SPDX-License-Identifier: MIT */
#include "tokenizer/vocab.h"
#include "tokenizer/byte_level.h"
#include <string.h>

enum { SHORT_MAX = 8, ROOM_BYTES = 1 << 16 };

/* ---- slots ---- */

/* Four bytes, the first one lowest. */
static uint64_t word_at(const unsigned char *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t key_of(const struct vocab *v, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    uint64_t key = 0;

    if (n > SHORT_MAX) return hash_bytes(text, n, v->seed);
    if (n >= 4) return word_at(p) | word_at(p + n - 4) << (8 * (n - 4)); /* they may overlap */
    for (size_t i = 0; i < n; i++) key |= (uint64_t)p[i] << (8 * i);
    return key;
}

/* Where a key's search begins: the high half of a keyed product, scaled to the table. */
static size_t home_of(const struct vocab *v, uint64_t key, size_t n)
{
    uint64_t h = (key ^ v->seed) * 0x9E3779B97F4A7C15u + n;

    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return (size_t)(((h >> 32) * v->n_slots) >> 32);
}

static size_t next_slot(const struct vocab *v, size_t at)
{
    return at + 1 < v->n_slots ? at + 1 : 0;
}

bool vocab_is(const struct vocab *v, int64_t id, const char *text, size_t n)
{
    const struct vocab_piece *p = vocab_piece_of(v, id);

    return p && p->n == n && memcmp(p->text, text, n) == 0;
}

/* Where a piece is, or the empty slot where it belongs; the search begins at its home. */
static size_t find_from(const struct vocab *v, size_t at, const char *text, size_t n, uint64_t key)
{
    for (; v->slots[at].id_plus_1; at = next_slot(v, at)) {
        if (v->slots[at].key != key || v->slots[at].n != n) continue;
        if (n <= SHORT_MAX || vocab_is(v, (int64_t)v->slots[at].id_plus_1 - 1, text, n)) break;
    }
    return at;
}

static size_t find_slot(const struct vocab *v, const char *text, size_t n, uint64_t key)
{
    return find_from(v, home_of(v, key, n), text, n, key);
}

static status grow_slots(struct vocab *v, size_t n_pieces, struct err *err)
{
    struct vocab_slot *old = v->slots;
    const size_t n_old = v->n_slots, n = n_pieces < 32 ? 64 : n_pieces * 2 + 2;

    if (n <= n_old) return ST_OK;
    if (!v->seed) v->seed = hash_process_seed() | 1;
    struct vocab_slot *slots = ARENA_ARRAY(v->arena, n, struct vocab_slot);
    if (!slots) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    v->slots = slots;
    v->n_slots = n;
    for (size_t i = 0; i < n_old; i++) {
        if (!old[i].id_plus_1) continue;
        size_t at = home_of(v, old[i].key, old[i].n);
        while (slots[at].id_plus_1) at = next_slot(v, at);
        slots[at] = old[i];
    }
    return ST_OK;
}

/* ---- adding ---- */

static status grow_pieces(struct vocab *v, size_t n, struct err *err)
{
    if (n <= v->cap) return ST_OK;
    void *pieces = arena_grow(v->arena, v->pieces, &v->cap, n, sizeof *v->pieces);
    if (!pieces) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    v->pieces = pieces;
    return ST_OK;
}

status vocab_reserve_shown(struct vocab *v, size_t n, struct err *err)
{
    if (n > VOCAB_IDS_MAX)
        return FAIL(err, ST_LIMIT, "vocabulary: more than %d pieces", VOCAB_IDS_MAX);
    return grow_pieces(v, n, err);
}

status vocab_reserve(struct vocab *v, size_t n, struct err *err)
{
    TRY(vocab_reserve_shown(v, n, err));
    return grow_slots(v, n, err);
}

static status check(size_t n, int64_t id, struct err *err)
{
    if (id < 0) return FAIL(err, ST_INVALID, "vocabulary: negative id %lld", (long long)id);
    if (id >= VOCAB_IDS_MAX)
        return FAIL(err, ST_LIMIT, "vocabulary: id %lld is too large", (long long)id);
    if (n > VOCAB_PIECE_MAX)
        return FAIL(err, ST_LIMIT, "vocabulary: piece of id %lld is too long", (long long)id);
    return ST_OK;
}

static status set_piece(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err)
{
    if ((size_t)id >= v->size) { /* what is beyond the size is zero */
        TRY(grow_pieces(v, (size_t)id + 1, err));
        v->size = (size_t)id + 1;
    }
    v->pieces[id] = (struct vocab_piece){ text, (uint32_t)n };
    return ST_OK;
}

static status put_at(struct vocab *v, size_t at, const struct vocab_item *item, struct err *err)
{
    TRY(set_piece(v, item->text, item->n, item->id, err));
    if (!v->slots[at].id_plus_1) v->count++;
    v->slots[at] = (struct vocab_slot){ item->key, (uint32_t)item->n, (uint32_t)item->id + 1 };
    return ST_OK;
}

static status make_room(struct vocab *v, size_t more, struct err *err)
{
    const size_t n = v->count + more;

    return n * 2 > v->n_slots ? grow_slots(v, v->n_slots ? 2 * n : n, err) : ST_OK;
}

status vocab_add_borrowed(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err)
{
    TRY(check(n, id, err));
    TRY(make_room(v, 1, err));
    const struct vocab_item item = { text, n, key_of(v, text, n), 0, id };
    return put_at(v, find_slot(v, text, n, item.key), &item, err);
}

/* Side by side, since an allocation each would cost more than the pieces. */
static const char *copy(struct vocab *v, const char *text, size_t n)
{
    char *p = v->room;

    if (n >= v->room_n) {
        if (n >= ROOM_BYTES / 16) return arena_strndup(v->arena, text, n);
        p = arena_alloc(v->arena, ROOM_BYTES);
        if (!p) return NULL;
        v->room_n = ROOM_BYTES;
    }
    memcpy(p, text, n);
    p[n] = 0;
    v->room = p + n + 1;
    v->room_n -= n + 1;
    return p;
}

status vocab_add(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err)
{
    TRY(check(n, id, err));
    const char *kept = copy(v, text, n);

    if (!kept) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    return vocab_add_borrowed(v, kept, n, id, err);
}

status vocab_show(struct vocab *v, const char *text, size_t n, int64_t id, struct err *err)
{
    TRY(check(n, id, err));
    const char *kept = copy(v, text, n);

    if (!kept) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    return set_piece(v, kept, n, id, err);
}

/* A table of this size is mostly out of the cache: the slots of a few pieces are fetched at once.
 */
static status flush(struct vocab_batch *b, struct err *err)
{
    const size_t n = b->n;

    b->n = 0;
    for (size_t i = 0; i < n; i++) {
        const struct vocab_item *item = &b->items[i];
        TRY(put_at(b->vocab, find_from(b->vocab, item->home, item->text, item->n, item->key), item,
                   err));
    }
    return ST_OK;
}

status vocab_batch_add_borrowed(struct vocab_batch *b, const char *text, size_t n, int64_t id,
                                struct err *err)
{
    struct vocab *v = b->vocab;

    TRY(check(n, id, err));
    if (b->n == 0) TRY(make_room(v, COUNT(b->items), err)); /* keys and homes hang on the table */
    const uint64_t key = key_of(v, text, n);
    const size_t home = home_of(v, key, n);
    __builtin_prefetch(&v->slots[home], 1);
    b->items[b->n++] = (struct vocab_item){ text, n, key, home, id };
    return b->n == COUNT(b->items) ? flush(b, err) : ST_OK;
}

status vocab_batch_add(struct vocab_batch *b, const char *text, size_t n, int64_t id,
                       struct err *err)
{
    TRY(check(n, id, err));
    const char *kept = copy(b->vocab, text, n);
    if (!kept) return FAIL(err, ST_NOMEM, "vocabulary: no memory");
    return vocab_batch_add_borrowed(b, kept, n, id, err);
}

status vocab_batch_finish(struct vocab_batch *b, struct err *err) { return flush(b, err); }

/* ---- finding ---- */

uint64_t vocab_key(const struct vocab *v, const char *text, size_t n)
{
    const uint64_t key = key_of(v, text, n);

    if (v->n_slots) __builtin_prefetch(&v->slots[home_of(v, key, n)]);
    return key;
}

static int32_t find_keyed(const struct vocab *v, const char *text, size_t n, uint64_t key)
{
    return v->n_slots ? (int32_t)v->slots[find_slot(v, text, n, key)].id_plus_1 - 1 : -1;
}

int32_t vocab_find_key(const struct vocab *v, const char *text, size_t n, uint64_t key)
{
    char bytes[VOCAB_MAPPED_MAX];
    size_t bytes_n;
    const int32_t id = find_keyed(v, text, n, key);

    if (id >= 0 || !v->bytes || n > VOCAB_MAPPED_MAX) return id;
    if (!byte_level_unmap_to(bytes, text, n, &bytes_n)) return -1;
    return find_keyed(v->bytes, bytes, bytes_n, key_of(v->bytes, bytes, bytes_n));
}

int32_t vocab_find(const struct vocab *v, const char *text, size_t n)
{
    return vocab_find_key(v, text, n, key_of(v, text, n));
}

size_t vocab_count(const struct vocab *v)
{
    return v->count + (v->bytes ? v->bytes->count - v->twice : 0);
}
