/* SPDX-License-Identifier: MIT */
/* Model files in protobuf's own bytes, message by message. */
#pragma once
#include "base/base.h"

void onnx_put_varint(struct str *s, uint64_t v);
void onnx_put_number(struct str *s, unsigned field, uint64_t v);
void onnx_put_bytes(struct str *s, unsigned field, const void *data, size_t n);
void onnx_put_text(struct str *s, unsigned field, const char *text);
/* The inner message, which is given up. */
void onnx_put_message(struct str *s, unsigned field, struct str *inner);

/* Parts of a GraphProto. */
struct onnx_node {
    const char *op, *domain;
    const char *in[4]; /* to the first NULL */
    const char *out;
    struct {
        const char *name;
        int64_t value;
    } ints[5]; /* attributes, to the first without a name */
};
void onnx_put_node(struct str *graph, const struct onnx_node *node);
/* field: 11 an input, 12 an output; dims end with a negative one. */
void onnx_put_value(struct str *graph, unsigned field, const char *name, int elem_type,
                    const int64_t *dims);
/* dims and data_type of a TensorProto, and its name. */
void onnx_put_tensor_head(struct str *tensor, const char *name, int data_type, const int64_t *dims);
/* Where a TensorProto's elements lie: `length` bytes of the file at offset. */
void onnx_put_external(struct str *tensor, const char *location, uint64_t offset, uint64_t length);
/* A ModelProto of this graph, which is given up; opset of ai.onnx, and com.microsoft. */
void onnx_put_model(struct str *model, struct str *graph, unsigned opset);
