/* SPDX-License-Identifier: MIT */
#include "tokenizer/spm_wire.h"
#include "base/base.h"
#include "tokenizer/vocab.h"
#include <string.h>

/* A protobuf message under the reader. */
struct wire {
    const uint8_t *p;
    size_t n, at;
    bool bad;
};

struct field {
    uint32_t number;
    uint64_t value;    /* varint, or the bits of a fixed field */
    const char *bytes; /* length-delimited */
    size_t n;
};

static uint64_t varint(struct wire *w)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && w->at < w->n; shift += 7) {
        const uint8_t b = w->p[w->at++];

        v |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80)) return v;
    }
    w->bad = true;
    return 0;
}

static uint64_t fixed(struct wire *w, size_t n)
{
    uint64_t v = 0;

    if (w->n - w->at < n) {
        w->bad = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++) v |= (uint64_t)w->p[w->at++] << (8 * i);
    return v;
}

/* The next field; false at the end or when the message is malformed. */
static bool next(struct wire *w, struct field *f)
{
    if (w->bad || w->at >= w->n) return false;
    const uint64_t tag = varint(w);
    *f = (struct field){ .number = (uint32_t)(tag >> 3) };
    switch (tag & 7) {
    case 0: f->value = varint(w); break;
    case 1: f->value = fixed(w, 8); break;
    case 5: f->value = fixed(w, 4); break;
    case 2:
        f->value = varint(w);
        if (w->bad || f->value > w->n - w->at) {
            w->bad = true;
            break;
        }
        f->n = (size_t)f->value;
        f->bytes = (const char *)w->p + w->at;
        w->at += f->n;
        break;
    default: w->bad = true; break;
    }
    return !w->bad;
}

static struct wire inside(const struct field *f)
{
    return (struct wire){ .p = (const uint8_t *)f->bytes, .n = f->bytes ? f->n : 0 };
}

static status read_piece(struct arena *a, const struct field *of, struct spm_model *m,
                         struct err *err)
{
    struct wire w = inside(of);
    struct field f;
    struct spm_piece piece = { .text = "", .type = SPM_NORMAL };

    while (next(&w, &f)) {
        if (f.number == 1 && f.bytes) {
            piece.text = f.bytes;
            piece.n = f.n;
        } else if (f.number == 2) {
            const uint32_t bits = (uint32_t)f.value;
            memcpy(&piece.score, &bits, sizeof piece.score);
        } else if (f.number == 3) {
            piece.type = (int)(f.value & 0xFF);
        }
    }
    if (w.bad) return FAIL(err, ST_FORMAT, "pieces[%zu]: malformed", m->n_pieces);
    if (!utf8_valid(piece.text, piece.n))
        return FAIL(err, ST_FORMAT, "pieces[%zu]: not UTF-8", m->n_pieces);
    if (piece.score != piece.score)
        return FAIL(err, ST_FORMAT, "pieces[%zu]: the score is not a number", m->n_pieces);
    if (piece.n > VOCAB_PIECE_MAX || m->n_pieces >= VOCAB_IDS_MAX)
        return FAIL(err, ST_LIMIT, "pieces[%zu]: too many or too long", m->n_pieces);
    if (m->n_pieces == m->cap) {
        void *pieces = arena_grow(a, m->pieces, &m->cap, m->n_pieces + 1, sizeof *m->pieces);
        if (!pieces) return FAIL(err, ST_NOMEM, "pieces: no memory");
        m->pieces = pieces;
    }
    m->pieces[m->n_pieces++] = piece;
    return ST_OK;
}

static status read_trainer(const struct field *of, struct spm_model *m, struct err *err)
{
    struct wire w = inside(of);
    struct field f;

    while (next(&w, &f)) {
        switch (f.number) {
        case 3: m->kind = (int)(f.value & 0xFF); break;
        case 24: m->whitespace_as_suffix = f.value != 0; break;
        case 35: m->byte_fallback = f.value != 0; break;
        case 40: m->unk_id = (int32_t)f.value; break;
        case 41: m->bos_id = (int32_t)f.value; break;
        case 42: m->eos_id = (int32_t)f.value; break;
        case 44:
            if (!f.bytes || !utf8_valid(f.bytes, f.n))
                return FAIL(err, ST_FORMAT, "trainer_spec.unk_surface: not UTF-8");
            m->unk_surface = f.bytes;
            m->unk_surface_n = f.n;
            break;
        default: break;
        }
    }
    return w.bad ? FAIL(err, ST_FORMAT, "trainer_spec: malformed") : ST_OK;
}

static status read_normalizer(const struct field *of, struct spm_model *m, struct err *err)
{
    struct wire w = inside(of);
    struct field f;

    while (next(&w, &f)) {
        if (f.number == 2 && f.bytes) {
            m->charsmap = f.bytes;
            m->charsmap_n = f.n;
        } else if (f.number == 3) {
            m->add_dummy_prefix = f.value != 0;
        } else if (f.number == 4) {
            m->remove_extra_whitespaces = f.value != 0;
        } else if (f.number == 5) {
            m->escape_whitespaces = f.value != 0;
        }
    }
    return w.bad ? FAIL(err, ST_FORMAT, "normalizer_spec: malformed") : ST_OK;
}

/* An id that is not in the vocabulary is none. */
static int32_t checked_id(int32_t id, size_t n) { return id >= 0 && (size_t)id < n ? id : -1; }

/* The library goes by the type of a piece, not by trainer_spec. */
static int32_t unknown_piece(const struct spm_model *m)
{
    for (size_t i = 0; i < m->n_pieces; i++)
        if (m->pieces[i].type == SPM_UNKNOWN) return (int32_t)i;
    return checked_id(m->unk_id, m->n_pieces);
}

status spm_read(struct arena *a, const char *text, size_t n, struct spm_model *out, struct err *err)
{
    struct wire w = { .p = (const uint8_t *)text, .n = n };
    struct field f;

    *out = (struct spm_model){ .kind = SPM_UNIGRAM,
                               .add_dummy_prefix = true,
                               .remove_extra_whitespaces = true,
                               .escape_whitespaces = true,
                               .unk_id = 0,
                               .bos_id = 1,
                               .eos_id = 2,
                               .unk_surface = " \xE2\x81\x87 ",
                               .unk_surface_n = 5 };
    while (next(&w, &f)) {
        if (f.number == 1)
            TRY(read_piece(a, &f, out, err));
        else if (f.number == 2)
            TRY(read_trainer(&f, out, err));
        else if (f.number == 3)
            TRY(read_normalizer(&f, out, err));
    }
    if (w.bad) return FAIL(err, ST_FORMAT, "byte %zu: malformed", w.at);
    if (out->n_pieces == 0) return FAIL(err, ST_FORMAT, "no pieces");
    out->unk_id = unknown_piece(out);
    out->bos_id = checked_id(out->bos_id, out->n_pieces);
    out->eos_id = checked_id(out->eos_id, out->n_pieces);
    return ST_OK;
}
