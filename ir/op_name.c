/* SPDX-License-Identifier: MIT */
/* Names of operators with their domains. */
#include "ir/ir.h"

#define OP(kind, domain, name, since, infer, attrs)                                                \
    [OP_##kind] = sizeof(domain) > 1 ? domain "." name : name,
#define ALIAS(kind, domain, name, since)
static const char *const op_names[OP_COUNT] = {
    [OP_NONE] = "None",
#include "ir/ops.def"
};

const char *op_name(enum op_kind kind) { return (unsigned)kind < OP_COUNT ? op_names[kind] : "?"; }
