/* SPDX-License-Identifier: MIT */
/* The walk keeps its own stack of messages; the descriptors that protoc-c generated say what each
 * field is. */
#include "engine/onnx/wire_scan.h"
#include "engine/onnx/wire_cut.h"
#include <string.h>

enum {
    SCAN_DEPTH_MAX = 128,
    PATH_MAX_BYTES = 256,
    COST_POINTER = 8,
    COST_FIELD = 40,
    COST_UNKNOWN = 72
};
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct scan_frame {
    const ProtobufCMessageDescriptor *desc;
    const ProtobufCFieldDescriptor
        *field; /* of the parent, that this message is in; NULL at the root */
    const uint8_t *end;
    size_t edit;        /* of its length among the cuts, */
    uint64_t removed;   /* and how many bytes were cut from it */
    uint32_t field_id;  /* the last field seen in this message, */
    size_t field_index; /* and how many of it in a row */
};

struct scanner {
    struct scan_frame frames[SCAN_DEPTH_MAX];
    unsigned depth, depth_max; /* frames[depth - 1] is the innermost */
    const uint8_t *data, *p;
    size_t cost, cost_max;
    struct wire_cuts *cuts; /* NULL: nothing is to be cut */
    struct err *err;
};

/* "ModelProto.graph.node[3]": the field being read, from the frames. */
static const char *scan_path(const struct scanner *s, const ProtobufCFieldDescriptor *field,
                             char path[PATH_MAX_BYTES])
{
    struct str text;

    str_init(&text, 0);
    str_put(&text, s->frames[0].desc->short_name);
    for (unsigned i = 0; i < s->depth; i++) {
        const struct scan_frame *f = &s->frames[i];
        const ProtobufCFieldDescriptor *at = i + 1 < s->depth ? s->frames[i + 1].field : field;
        if (!at) break;
        str_printf(&text, ".%s", at->name);
        if (at->label == PROTOBUF_C_LABEL_REPEATED) str_printf(&text, "[%zu]", f->field_index);
    }
    const char *full = str_cstr(&text);
    const size_t n = strlen(full), skip = n < PATH_MAX_BYTES ? 0 : n - PATH_MAX_BYTES + 1;
    memcpy(path, full + skip, n - skip + 1);
    str_fini(&text);
    return path;
}

static status scan_fail(const struct scanner *s, const ProtobufCFieldDescriptor *field,
                        const char *what)
{
    char path[PATH_MAX_BYTES];
    return FAIL(s->err, ST_FORMAT, "%s: %s", scan_path(s, field, path), what);
}

static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (*p >= end) return false;
        const uint8_t byte = *(*p)++;
        if (shift == 63 && byte > 1) return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return false;
}

static unsigned wire_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return WIRE_32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return WIRE_64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return WIRE_LEN;
    default: return WIRE_VARINT;
    }
}

static status scan_cost(struct scanner *s, size_t bytes)
{
    if (!checked_add(s->cost, bytes, &s->cost) || (s->cost_max && s->cost > s->cost_max))
        return FAIL(s->err, ST_LIMIT, "%s: unpacking takes more than the budget of %zu bytes",
                    s->frames[0].desc->short_name, s->cost_max);
    return ST_OK;
}

/* Notes the length of n that was just read, from `at` on. */
static status scan_edit(struct scanner *s, const uint8_t *at, size_t n, uint64_t cut)
{
    const struct wire_edit edit = {
        .at = (size_t)(at - s->data), .size = n, .cut = cut, .width = (uint8_t)(s->p - at)
    };

    if (!wire_cuts_add(s->cuts, &edit)) return FAIL(s->err, ST_NOMEM, "out of memory");
    return ST_OK;
}

static status scan_push(struct scanner *s, const ProtobufCFieldDescriptor *field, const uint8_t *at,
                        size_t len)
{
    const ProtobufCMessageDescriptor *desc = field->descriptor;
    char path[PATH_MAX_BYTES];

    if (s->depth >= s->depth_max)
        return FAIL(s->err, ST_LIMIT, "%s: messages nest deeper than %u", scan_path(s, field, path),
                    s->depth_max);
    s->frames[s->depth] = (struct scan_frame){ .desc = desc, .field = field, .end = s->p + len };
    if (s->cuts) {
        s->frames[s->depth].edit = s->cuts->n;
        TRY(scan_edit(s, at, len, 0));
    }
    s->depth++;
    return scan_cost(s, desc->sizeof_message + COST_POINTER);
}

/* A message ends: its length is less by what was cut from it, or is no edit. */
static void scan_pop(struct scanner *s)
{
    const struct scan_frame *f = &s->frames[--s->depth];

    if (!s->cuts) return;
    if (s->depth == 0) {
        s->cuts->removed = f->removed;
    } else if (s->cuts->n == f->edit + 1) { /* nothing in it is cut */
        s->cuts->n = f->edit;
    } else {
        s->cuts->list[f->edit].size -= f->removed;
        s->frames[s->depth - 1].removed += f->removed;
    }
}

/* A value of n bytes that becomes its place. */
static status scan_cut(struct scanner *s, const uint8_t *at, size_t n)
{
    TRY(scan_edit(s, at, sizeof(struct wire_place), n));
    s->frames[s->depth - 1].removed += n - sizeof(struct wire_place);
    s->p += n;
    return scan_cost(s, sizeof(struct wire_place) + sizeof(struct wire_edit) * 2);
}

/* Scalars packed into one field: whole elements only. */
static status scan_packed(struct scanner *s, const ProtobufCFieldDescriptor *field, size_t len)
{
    const unsigned wire = wire_of(field->type);
    const uint8_t *end = s->p + len;
    uint64_t v;
    size_t count = 0;

    if (wire == WIRE_32 || wire == WIRE_64) {
        if (len % (wire == WIRE_32 ? 4 : 8) != 0)
            return scan_fail(s, field, "a packed list ends within an element");
        s->p = end;
        return scan_cost(s, len);
    }
    for (; s->p < end; count++) {
        if (!read_varint(&s->p, end, &v))
            return scan_fail(s, field, "a malformed number in a packed list");
    }
    return scan_cost(s, count * 8);
}

static status scan_length_delimited(struct scanner *s, const ProtobufCFieldDescriptor *field)
{
    const uint8_t *end = s->frames[s->depth - 1].end, *at = s->p;
    uint64_t len;

    if (!read_varint(&s->p, end, &len)) return scan_fail(s, field, "a malformed length");
    if (len > (size_t)(end - s->p))
        return scan_fail(s, field, "the length goes beyond the end of the message");
    const size_t n = (size_t)len;
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) return scan_push(s, field, at, n);
    if (field && s->cuts && field == s->cuts->field && n >= sizeof(struct wire_place))
        return scan_cut(s, at, n);
    if (field && field->label == PROTOBUF_C_LABEL_REPEATED && wire_of(field->type) != WIRE_LEN)
        return scan_packed(s, field, n);
    if (field && field->type == PROTOBUF_C_TYPE_STRING) {
        if (memchr(s->p, 0, n)) return scan_fail(s, field, "a NUL within text");
        if (!utf8_valid((const char *)s->p, n))
            return scan_fail(s, field, "text that is not UTF-8");
    }
    s->p += n;
    return scan_cost(s, n + COST_POINTER * 2);
}

static status scan_value(struct scanner *s, const ProtobufCFieldDescriptor *field, unsigned wire)
{
    const uint8_t *end = s->frames[s->depth - 1].end;
    uint64_t v;

    switch (wire) {
    case WIRE_VARINT:
        if (!read_varint(&s->p, end, &v)) return scan_fail(s, field, "a malformed number");
        return scan_cost(s, COST_POINTER);
    case WIRE_32:
    case WIRE_64: {
        const size_t n = wire == WIRE_32 ? 4 : 8;
        if ((size_t)(end - s->p) < n)
            return scan_fail(s, field, "the message ends within a number");
        s->p += n;
        return scan_cost(s, COST_POINTER);
    }
    case WIRE_LEN: return scan_length_delimited(s, field);
    default: return scan_fail(s, field, "a wire type that is not used (groups are refused)");
    }
}

static status scan_field(struct scanner *s)
{
    struct scan_frame *f = &s->frames[s->depth - 1];
    uint64_t tag;

    if (!read_varint(&s->p, f->end, &tag)) return scan_fail(s, NULL, "a malformed tag");
    const unsigned wire = (unsigned)(tag & 7);
    if (tag > UINT32_MAX || tag >> 3 == 0) return scan_fail(s, NULL, "a field number out of range");
    const uint32_t id = (uint32_t)(tag >> 3);
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(f->desc, id);
    f->field_index = id == f->field_id ? f->field_index + 1 : 0;
    f->field_id = id;
    if (field && wire != wire_of(field->type)) {
        const bool packable =
            field->label == PROTOBUF_C_LABEL_REPEATED && wire_of(field->type) != WIRE_LEN;
        if (wire != WIRE_LEN || !packable)
            return scan_fail(s, field, "a wire type other than the field's");
    }
    TRY(scan_cost(s, field ? COST_FIELD : COST_UNKNOWN));
    return scan_value(s, field, wire);
}

status wire_scan(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t n,
                 const struct wire_bounds *bounds, struct wire_cuts *cuts, struct err *err)
{
    struct scanner s = { .depth = 1,
                         .data = data,
                         .p = data,
                         .cost = desc->sizeof_message,
                         .cost_max = bounds->bytes_max,
                         .cuts = cuts,
                         .err = err };

    s.depth_max = bounds->depth_max < SCAN_DEPTH_MAX ? bounds->depth_max : SCAN_DEPTH_MAX;
    s.frames[0] = (struct scan_frame){ .desc = desc, .end = data + n };
    while (s.depth > 0) {
        if (s.p == s.frames[s.depth - 1].end)
            scan_pop(&s);
        else
            TRY(scan_field(&s));
    }
    return ST_OK;
}
