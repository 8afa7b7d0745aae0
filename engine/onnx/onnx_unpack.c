/* SPDX-License-Identifier: MIT */
/* protobuf-c into an arena: its budget bounds what a hostile file can take, and one arena_fini
 * frees everything. */
#include "engine/onnx/import_internal.h"
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

status onnx_unpack(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t n,
                   unsigned depth_max, size_t bytes_max, struct arena *a, ProtobufCMessage **out,
                   struct err *err)
{
    struct unpack_budget budget = { .arena = a, .left = bytes_max, .bounded = bytes_max != 0 };
    ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };

    TRY(wire_scan(desc, data, n, depth_max, bytes_max, err));
    *out = protobuf_c_message_unpack(desc, &allocator, n, data);
    if (*out) return ST_OK;
    if (budget.exhausted && budget.bounded)
        return FAIL(err, ST_LIMIT, "%s: unpacking takes more than %zu bytes, or memory ran out",
                    desc->short_name, bytes_max);
    if (budget.exhausted) return FAIL(err, ST_NOMEM, "out of memory");
    return FAIL(err, ST_FORMAT, "%s: not a protobuf message of this type", desc->short_name);
}
