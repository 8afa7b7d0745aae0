/* SPDX-License-Identifier: MIT */
/* protobuf-c into an arena: its budget bounds what a hostile file can take, and one arena_fini
 * frees everything. */
#include "engine/onnx/import_internal.h"
#include "engine/onnx/wire_cut.h"
#include "engine/onnx/wire_scan.h"

struct unpack_budget {
    struct arena *arena;
    size_t left; /* 0 after `exhausted` */
    bool bounded, exhausted;
};

static void *budget_alloc(void *user, size_t size)
{
    struct unpack_budget *b = user;

    if (b->bounded && size > b->left) b->exhausted = true;
    void *p = b->exhausted ? NULL : arena_alloc(b->arena, size);
    if (!p)
        b->exhausted = true;
    else if (b->bounded)
        b->left -= size;
    return p;
}

static void budget_free(void *user, void *p)
{
    (void)user;
    (void)p;
}

/* Field number of TensorProto.raw_data. */
enum { FIELD_RAW_DATA = 9 };

status onnx_unpack(const ProtobufCMessageDescriptor *desc, const struct onnx_source *src,
                   struct arena *a, ProtobufCMessage **out, struct err *err)
{
    struct unpack_budget budget = { .arena = a,
                                    .left = src->bytes_max,
                                    .bounded = src->bytes_max != 0 };
    struct wire_cuts cuts = { .field = protobuf_c_message_descriptor_get_field(
                                  &onnx__tensor_proto__descriptor, FIELD_RAW_DATA) };
    uint8_t *skeleton = NULL;
    size_t n = src->n;
    status st =
        wire_scan(desc, src->data, n, &(struct wire_bounds){ src->depth_max, src->bytes_max },
                  src->raw_stays ? &cuts : NULL, err);

    *out = NULL;
    if (st == ST_OK && cuts.n > 0) st = wire_skeleton(&cuts, src->data, src->n, &skeleton, &n, err);
    wire_cuts_fini(&cuts);
    if (st == ST_OK)
        *out = protobuf_c_message_unpack(
            desc, &(ProtobufCAllocator){ budget_alloc, budget_free, &budget }, n,
            skeleton ? skeleton : src->data);
    mem_free(skeleton);
    if (st != ST_OK || *out) return st;
    if (budget.exhausted && budget.bounded)
        return FAIL(err, ST_LIMIT, "%s: unpacking takes more than %zu bytes, or memory ran out",
                    desc->short_name, src->bytes_max);
    if (budget.exhausted) return FAIL(err, ST_NOMEM, "out of memory");
    return FAIL(err, ST_FORMAT, "%s: not a protobuf message of this type", desc->short_name);
}
