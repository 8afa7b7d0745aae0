/* SPDX-License-Identifier: MIT */
/* Which operators take constants wherever they lie. */
#include "ir/ir.h"

static bool within(int input, int first, int last) { return input >= first && input <= last; }

bool op_runs_misaligned(enum op_kind op, int input) { return op == OP_GATHER && input == 0; }

bool op_takes_misaligned(enum op_kind op, int input)
{
    switch (op) {
    case OP_GATHER: return op_runs_misaligned(op, input);
    case OP_MATMUL:
    case OP_FUSEDMATMUL: return input == 1;
    case OP_GEMM:
    case OP_PACKEDATTN: return within(input, 1, 2);
    case OP_LINEAR: return within(input, 1, 4);
    case OP_MATMULNBITS: return within(input, 1, 5);
    case OP_MOE:
    case OP_QMOE: return input >= 2 && input != 14;
    case OP_DEQUANTIZELINEAR:
    case OP_TRANSPOSE:
    case OP_RESHAPE:
    case OP_SQUEEZE:
    case OP_UNSQUEEZE:
    case OP_FLATTEN:
    case OP_IDENTITY: return input == 0;
    default: return false;
    }
}
