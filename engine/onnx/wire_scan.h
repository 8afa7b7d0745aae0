/* SPDX-License-Identifier: MIT */
/* A walk over protobuf bytes before they are unpacked: protobuf-c has no depth limit and takes up
 * to 60 times the input in memory. */
#pragma once
#include "base/base.h"
#include <protobuf-c/protobuf-c.h>

struct wire_cuts; /* wire_cut.h */

struct wire_bounds {
    unsigned depth_max; /* nested messages */
    size_t bytes_max;   /* an estimate of what unpacking takes; 0 = no bound */
};

/* Checks `data` as a message of type `desc`, without recursion: lengths within their parents, wire
 * types as declared, no groups, varints of at most 10 bytes, strings without NUL and in UTF-8, and
 * the bounds (ST_LIMIT). Errors name the field as a path ("ModelProto.graph.node[3].name").
 * cuts (may be NULL): finds the values of cuts->field that are to be cut; the caller frees them,
 * on failure too. */
status wire_scan(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t n,
                 const struct wire_bounds *bounds, struct wire_cuts *cuts, struct err *err);
