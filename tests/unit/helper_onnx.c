/* SPDX-License-Identifier: MIT */
#include "helper_onnx.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void onnx_put_varint(struct str *s, uint64_t v)
{
    for (; v > 127; v >>= 7) str_put_char(s, (char)(v | 128));
    str_put_char(s, (char)v);
}

void onnx_put_number(struct str *s, unsigned field, uint64_t v)
{
    onnx_put_varint(s, field << 3);
    onnx_put_varint(s, v);
}

void onnx_put_bytes(struct str *s, unsigned field, const void *data, size_t n)
{
    onnx_put_varint(s, field << 3 | 2);
    onnx_put_varint(s, n);
    str_put_n(s, data, n);
}

void onnx_put_text(struct str *s, unsigned field, const char *text)
{
    onnx_put_bytes(s, field, text, strlen(text));
}

void onnx_put_message(struct str *s, unsigned field, struct str *inner)
{
    onnx_put_bytes(s, field, str_cstr(inner), inner->len);
    str_fini(inner);
}

void onnx_put_node(struct str *graph, const struct onnx_node *node)
{
    struct str n = { 0 };

    for (size_t i = 0; i < COUNT(node->in) && node->in[i]; i++) onnx_put_text(&n, 1, node->in[i]);
    onnx_put_text(&n, 2, node->out);
    onnx_put_text(&n, 4, node->op);
    for (size_t i = 0; i < COUNT(node->ints) && node->ints[i].name; i++) {
        struct str a = { 0 };

        onnx_put_text(&a, 1, node->ints[i].name);
        onnx_put_number(&a, 3, (uint64_t)node->ints[i].value);
        onnx_put_number(&a, 20, 2); /* INT */
        onnx_put_message(&n, 5, &a);
    }
    if (node->domain) onnx_put_text(&n, 7, node->domain);
    onnx_put_message(graph, 1, &n);
}

void onnx_put_value(struct str *graph, unsigned field, const char *name, int elem_type,
                    const int64_t *dims)
{
    struct str info = { 0 }, type = { 0 }, tensor = { 0 }, shape = { 0 };

    for (; *dims >= 0; dims++) {
        struct str dim = { 0 };
        onnx_put_number(&dim, 1, (uint64_t)*dims);
        onnx_put_message(&shape, 1, &dim);
    }
    onnx_put_number(&tensor, 1, (uint64_t)elem_type);
    onnx_put_message(&tensor, 2, &shape);
    onnx_put_message(&type, 1, &tensor);
    onnx_put_text(&info, 1, name);
    onnx_put_message(&info, 2, &type);
    onnx_put_message(graph, field, &info);
}

void onnx_put_tensor_head(struct str *tensor, const char *name, int data_type, const int64_t *dims)
{
    for (; *dims >= 0; dims++) onnx_put_number(tensor, 1, (uint64_t)*dims);
    onnx_put_number(tensor, 2, (uint64_t)data_type);
    onnx_put_text(tensor, 8, name);
}

static void put_entry(struct str *tensor, const char *key, const char *value)
{
    struct str e = { 0 };

    onnx_put_text(&e, 1, key);
    onnx_put_text(&e, 2, value);
    onnx_put_message(tensor, 13, &e);
}

void onnx_put_external(struct str *tensor, const char *location, uint64_t offset, uint64_t length)
{
    char number[24];

    put_entry(tensor, "location", location);
    snprintf(number, sizeof number, "%" PRIu64, offset);
    put_entry(tensor, "offset", number);
    snprintf(number, sizeof number, "%" PRIu64, length);
    put_entry(tensor, "length", number);
    onnx_put_number(tensor, 14, 1); /* EXTERNAL */
}

void onnx_put_model(struct str *model, struct str *graph, unsigned opset)
{
    struct str set = { 0 };

    onnx_put_text(graph, 2, "g");
    onnx_put_number(model, 1, 10);
    onnx_put_message(model, 7, graph);
    onnx_put_number(&set, 2, opset);
    onnx_put_message(model, 8, &set);
    set = (struct str){ 0 };
    onnx_put_text(&set, 1, "com.microsoft");
    onnx_put_number(&set, 2, 1);
    onnx_put_message(model, 8, &set);
}
