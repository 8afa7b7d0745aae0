/* SPDX-License-Identifier: MIT */
/* How many inputs and outputs each operator has. */
#pragma once
#include "ir/ir.h"

/* Arity of a kind: inputs [0, in_min) must be present; more than in_max (out_max) is refused. */
struct op_arity {
    int in_min, in_max, out_min, out_max;
};
const struct op_arity *op_arity(enum op_kind kind);
