/* SPDX-License-Identifier: MIT */
/* Bytes of a message without its large fields, so that protobuf-c does not copy what can stay where
 * it lies. In the skeleton every value of one bytes field that takes a wire_place or more holds
 * such a place instead; shorter ones stay, so the two cannot be confused, and whatever protobuf
 * says of fields given twice, or of messages given in parts, says it of the places. */
#pragma once
#include "base/base.h"
#include <protobuf-c/protobuf-c.h>

struct wire_place {
    uint64_t offset, size; /* in the whole message */
};

/* A length that is another one in the skeleton. */
struct wire_edit {
    size_t at;     /* of the length, */
    uint64_t size; /* which is now this, */
    uint64_t cut;  /* and this of the value behind it; 0: a message, whose fields follow */
    uint8_t width; /* bytes the length takes, before and after */
};

struct wire_cuts {
    const ProtobufCFieldDescriptor *field; /* what is cut */
    struct wire_edit *list;                /* in the order of the file */
    size_t n, cap;
    uint64_t removed; /* bytes by which the skeleton is shorter */
};

/* Appends; false when memory runs out. */
bool wire_cuts_add(struct wire_cuts *cuts, const struct wire_edit *edit);
void wire_cuts_fini(struct wire_cuts *cuts);

/* The skeleton of `data` [n bytes] by the cuts that wire_scan found there: *out is freed with
 * mem_free. ST_NOMEM. */
status wire_skeleton(const struct wire_cuts *cuts, const uint8_t *data, size_t n, uint8_t **out,
                     size_t *n_out, struct err *err);
