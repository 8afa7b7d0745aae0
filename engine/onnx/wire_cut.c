/* SPDX-License-Identifier: MIT */
#include "engine/onnx/wire_cut.h"
#include <string.h>

bool wire_cuts_add(struct wire_cuts *cuts, const struct wire_edit *edit)
{
    if (cuts->n == cuts->cap) {
        const size_t cap = cuts->cap ? cuts->cap * 2 : 64;
        struct wire_edit *grown = mem_realloc_array(cuts->list, cap, sizeof *grown);

        if (!grown) return false;
        cuts->list = grown;
        cuts->cap = cap;
    }
    cuts->list[cuts->n++] = *edit;
    return true;
}

void wire_cuts_fini(struct wire_cuts *cuts)
{
    mem_free(cuts->list);
    cuts->list = NULL;
    cuts->n = cuts->cap = 0;
}

/* A varint in exactly `width` bytes: a longer form than need be is as good, and so the lengths
 * around it do not change by more than what was cut. */
static uint8_t *put_length(uint8_t *out, uint64_t v, unsigned width)
{
    for (unsigned i = 0; i < width; i++, v >>= 7)
        *out++ = (uint8_t)((v & 0x7f) | (i + 1 < width ? 0x80 : 0));
    return out;
}

status wire_skeleton(const struct wire_cuts *cuts, const uint8_t *data, size_t n, uint8_t **out,
                     size_t *n_out, struct err *err)
{
    uint8_t *to;
    size_t at = 0;

    *n_out = n - (size_t)cuts->removed;
    *out = to = mem_alloc(*n_out);
    if (!to) return FAIL(err, ST_NOMEM, "out of memory");
    for (size_t i = 0; i < cuts->n; i++) {
        const struct wire_edit *e = &cuts->list[i];

        memcpy(to, data + at, e->at - at);
        to = put_length(to + (e->at - at), e->size, e->width);
        at = e->at + e->width;
        if (e->cut == 0) continue;
        const struct wire_place place = { at, e->cut };
        memcpy(to, &place, sizeof place);
        to += sizeof place;
        at += (size_t)e->cut;
    }
    memcpy(to, data + at, n - at);
    return ST_OK;
}
