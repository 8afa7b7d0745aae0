/* SPDX-License-Identifier: MIT */
/* External data: one opener for every tensor, beneath the model's folder, checked against the
 * file's size. */
#include "engine/onnx/import_internal.h"
#include <inttypes.h>
#include <string.h>

enum { LOCATION_BYTES_MAX = 1024 };

struct external_ref {
    const char *location;
    uint64_t offset, length;
    bool has_offset, has_length;
};

void external_fini(struct external *ext) { map_fini(&ext->files); }

static status ref_number(const char *key, const char *text, bool *has, uint64_t *out,
                         struct err *err)
{
    int64_t v;

    if (*has) return FAIL(err, ST_FORMAT, "external_data: '%s' is given twice", key);
    if (!str_to_i64(text, &v) || v < 0 || text[0] < '0' || text[0] > '9')
        return FAIL(err, ST_FORMAT, "external_data: %s is '%s', expected a number of bytes", key,
                    text);
    *out = (uint64_t)v;
    *has = true;
    return ST_OK;
}

static status ref_read(const Onnx__TensorProto *t, struct external_ref *ref, struct err *err)
{
    *ref = (struct external_ref){ 0 };
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = t->external_data[i]->key ? t->external_data[i]->key : "";
        const char *value = t->external_data[i]->value ? t->external_data[i]->value : "";

        if (!strcmp(key, "location")) {
            if (ref->location)
                return FAIL(err, ST_FORMAT, "external_data: 'location' is given twice");
            ref->location = value;
        } else if (!strcmp(key, "offset")) {
            TRY(ref_number(key, value, &ref->has_offset, &ref->offset, err));
        } else if (!strcmp(key, "length")) {
            TRY(ref_number(key, value, &ref->has_length, &ref->length, err));
        } else if (strcmp(key, "checksum") != 0) {
            return FAIL(err, ST_FORMAT,
                        "external_data: key '%s', expected location, offset, length or checksum",
                        key);
        }
    }
    if (!ref->location || !ref->location[0])
        return FAIL(err, ST_FORMAT, "external_data: no location");
    if (strlen(ref->location) > LOCATION_BYTES_MAX)
        return FAIL(err, ST_FORMAT, "external_data: a location of %zu bytes",
                    strlen(ref->location));
    return ST_OK;
}

/* The file's mapping, made at its first use. */
static status external_map(struct external *ext, const char *location, struct os_mapping *out,
                           struct err *err)
{
    struct arena *a = graph_arena(ext->graph);
    struct os_mapping map = { 0 };
    uint64_t index;

    if (map_get(&ext->files, location, strlen(location), &index)) {
        *out = ext->maps[index];
        return ST_OK;
    }
    if (!ext->dir)
        return FAIL(err, ST_UNSUPPORTED, "external data in '%s', but the model has no folder",
                    location);
    struct os_mapping *grown =
        arena_grow(a, ext->maps, &ext->cap_maps, ext->n_maps + 1, sizeof *grown);
    if (!grown) return FAIL(err, ST_NOMEM, "out of memory");
    ext->maps = grown;
    TRY(os_map_file_beneath(ext->dir, location, &map, err));
    *out = ext->maps[ext->n_maps] = map;
    const status st = graph_keep_mapping(ext->graph, &map, err);
    if (st != ST_OK) {
        os_unmap(&map);
        return st;
    }
    if (!checked_add(ext->copied_max, out->size, &ext->copied_max)) ext->copied_max = SIZE_MAX;
    if (!map_set(&ext->files, location, strlen(location), ext->n_maps))
        return FAIL(err, ST_NOMEM, "out of memory");
    ext->n_maps++;
    return ST_OK;
}

/* Elements that lie misaligned in the file are copied; in all no more bytes than the files have. */
static status external_align(struct external *ext, const void **data, size_t bytes, size_t align,
                             struct err *err)
{
    struct arena *a = graph_arena(ext->graph);

    if ((uintptr_t)*data % align == 0) return ST_OK;
    if (bytes > ext->copied_max - ext->copied)
        return FAIL(err, ST_LIMIT,
                    "external_data: tensors overlap in the file, and lie misaligned");
    ext->copied += bytes;
    if (a->limit_bytes && !checked_add(a->limit_bytes, bytes + 16, &a->limit_bytes))
        return FAIL(err, ST_LIMIT, "external_data: too large");
    *data = arena_memdup(a, *data, bytes);
    return *data ? ST_OK
                 : FAIL(err, ST_NOMEM, "out of memory for %zu bytes of external data", bytes);
}

status external_find(struct external *ext, const Onnx__TensorProto *t, size_t bytes, size_t align,
                     const void **data, struct err *err)
{
    struct external_ref ref;
    struct os_mapping map = { 0 };

    TRY(ref_read(t, &ref, err));
    TRY(external_map(ext, ref.location, &map, err));
    if (ref.has_length && ref.length != bytes)
        return FAIL(err, ST_FORMAT,
                    "external_data: length is %" PRIu64 ", the type takes %zu bytes", ref.length,
                    bytes);
    if (!checked_range(ref.offset, bytes, map.size))
        return FAIL(err, ST_FORMAT,
                    "external_data: %zu bytes at %" PRIu64 " go beyond the %zu bytes of '%s'",
                    bytes, ref.offset, map.size, ref.location);
    if (bytes == 0) {
        *data = "";
        return ST_OK;
    }
    *data = map.data + ref.offset;
    return external_align(ext, data, bytes, align, err);
}
