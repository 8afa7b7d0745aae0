/* SPDX-License-Identifier: MIT */
/* Element types: one table of names, widths and classes. */
#include "ir/ir.h"
#include <string.h>

enum dtype_class { CLASS_OTHER, CLASS_FLOAT, CLASS_INT };

static const struct dtype_row {
    const char *name;
    unsigned bits;
    enum dtype_class kind;
} dtype_rows[DT_COUNT] = {
    [DT_NONE] = { "none", 0, CLASS_OTHER },
    [DT_F32] = { "f32", 32, CLASS_FLOAT },
    [DT_U8] = { "u8", 8, CLASS_INT },
    [DT_I8] = { "i8", 8, CLASS_INT },
    [DT_U16] = { "u16", 16, CLASS_INT },
    [DT_I16] = { "i16", 16, CLASS_INT },
    [DT_I32] = { "i32", 32, CLASS_INT },
    [DT_I64] = { "i64", 64, CLASS_INT },
    [DT_STRING] = { "string", 0, CLASS_OTHER },
    [DT_BOOL] = { "bool", 8, CLASS_OTHER },
    [DT_F16] = { "f16", 16, CLASS_FLOAT },
    [DT_F64] = { "f64", 64, CLASS_FLOAT },
    [DT_U32] = { "u32", 32, CLASS_INT },
    [DT_U64] = { "u64", 64, CLASS_INT },
    [DT_C64] = { "c64", 64, CLASS_OTHER },
    [DT_C128] = { "c128", 128, CLASS_OTHER },
    [DT_BF16] = { "bf16", 16, CLASS_FLOAT },
    [DT_F8E4M3FN] = { "f8e4m3fn", 8, CLASS_FLOAT },
    [DT_F8E4M3FNUZ] = { "f8e4m3fnuz", 8, CLASS_FLOAT },
    [DT_F8E5M2] = { "f8e5m2", 8, CLASS_FLOAT },
    [DT_F8E5M2FNUZ] = { "f8e5m2fnuz", 8, CLASS_FLOAT },
    [DT_U4] = { "u4", 4, CLASS_INT },
    [DT_I4] = { "i4", 4, CLASS_INT },
    [DT_F4E2M1] = { "f4e2m1", 4, CLASS_FLOAT },
    [DT_F8E8M0] = { "f8e8m0", 8, CLASS_FLOAT },
    [DT_U2] = { "u2", 2, CLASS_INT },
    [DT_I2] = { "i2", 2, CLASS_INT },
};

static bool dtype_known(enum dtype dt) { return (unsigned)dt < DT_COUNT; }

const char *dtype_name(enum dtype dt) { return dtype_known(dt) ? dtype_rows[dt].name : "?"; }

enum dtype dtype_parse(const char *name)
{
    for (int i = DT_NONE + 1; i < DT_COUNT; i++) {
        if (!strcmp(dtype_rows[i].name, name)) return (enum dtype)i;
    }
    return DT_NONE;
}

unsigned dtype_bits(enum dtype dt) { return dtype_known(dt) ? dtype_rows[dt].bits : 0; }

size_t dtype_align(enum dtype dt)
{
    const unsigned bits = dtype_bits(dt);
    return bits < 8 ? 1 : bits > 64 ? 8 : bits / 8;
}

bool dtype_is_float(enum dtype dt) { return dtype_known(dt) && dtype_rows[dt].kind == CLASS_FLOAT; }

bool dtype_is_int(enum dtype dt) { return dtype_known(dt) && dtype_rows[dt].kind == CLASS_INT; }
