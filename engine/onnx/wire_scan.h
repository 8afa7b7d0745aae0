/* SPDX-License-Identifier: MIT */
/* A walk over protobuf bytes before they are unpacked: protobuf-c has no depth limit and takes up
 * to 60 times the input in memory. */
#pragma once
#include "base/base.h"
#include <protobuf-c/protobuf-c.h>

/* Checks `data` as a message of type `desc`, without recursion: lengths within their parents, wire
 * types as declared, no groups, varints of at most 10 bytes, strings without NUL and in UTF-8, at
 * most depth_max nested messages (ST_LIMIT), and an estimate of what unpacking takes against
 * bytes_max (0 = no bound; ST_LIMIT). Errors name the field as a path
 * ("ModelProto.graph.node[3].name"). */
status wire_scan(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t n,
                 unsigned depth_max, size_t bytes_max, struct err *err);
