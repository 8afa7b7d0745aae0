/* SPDX-License-Identifier: MIT */
/* ONNX file -> graph: wire pre-scan, protobuf-c under a budget, external data beneath the model's
 * folder, functions inlined. */
#pragma once
#include "engine/graph/graph.h"

struct onnx_limits {
    size_t file_bytes_max;   /* of the .onnx file itself; 0 = 4 GiB (beyond 2 GiB protobuf itself
                                refuses) */
    size_t unpack_bytes_max; /* memory protobuf-c may take; 0 = 16 x file size + 64 MiB */
    unsigned depth_max;      /* nested messages; 0 = 64 */
    size_t nodes_max;        /* 0 = 2 million, functions inlined counted */
};

/* Reads `path` and makes a checked, inferred graph. External data is mapped read-only from beneath
 * the folder of `path`. The caller owns *out. Errors name the file, then node or field. limits may
 * be NULL. */
status onnx_import_file(const char *path, const struct onnx_limits *limits, struct graph **out,
                        struct err *err);
/* The same from memory; dir (may be NULL: external data refused) is where external data lies.
 * `name` is for messages. */
status onnx_import_memory(const void *data, size_t n, const char *name, const char *dir,
                          const struct onnx_limits *limits, struct graph **out, struct err *err);
/* A serialized TensorProto (as the ONNX node tests store inputs) to a tensor; data from `a`. */
status onnx_read_tensor(const void *data, size_t n, struct arena *a, struct tensor *out,
                        const char **name, struct err *err);
/* The reverse, appended to out. */
status onnx_write_tensor(const struct tensor *t, const char *name, struct str *out,
                         struct err *err);
