/* SPDX-License-Identifier: MIT */
/* The table of operators: ops.def expanded into rows, lookup by name, and how many inputs and
 * outputs each kind has. */
#include "engine/ops/infer_all.h"
#include "engine/ops/op_arity.h"
#include <string.h>

static const struct op_row op_rows[OP_COUNT] = {
#define OP(kind, domain, name, since, infer, attrs)                                                \
    [OP_##kind] = { domain, name, since, OP_##kind, infer_##infer },
#define ALIAS(kind, domain, name, since)
#include "ir/ops.def"
#undef OP
#undef ALIAS
};

static const struct op_row op_aliases[] = {
#define OP(kind, domain, name, since, infer, attrs)
#define ALIAS(kind, domain, name, since) { domain, name, since, OP_##kind, NULL },
#include "ir/ops.def"
#undef OP
#undef ALIAS
};

const struct op_row *op_row(enum op_kind kind)
{
    return kind > OP_NONE && kind < OP_COUNT ? &op_rows[kind] : NULL;
}

static bool row_is(const struct op_row *row, const char *domain, const char *name, int version)
{
    return row->since <= version && !strcmp(row->name, name) && !strcmp(row->domain, domain);
}

enum op_kind op_find(const char *domain, const char *name, int version)
{
    const char *want = strcmp(domain, "ai.onnx") != 0 ? domain : "";

    for (int i = OP_NONE + 1; i < OP_COUNT; i++) {
        if (row_is(&op_rows[i], want, name, version)) return op_rows[i].kind;
    }
    for (size_t i = 0; i < COUNT(op_aliases); i++) {
        if (row_is(&op_aliases[i], want, name, version)) return op_aliases[i].kind;
    }
    return OP_NONE;
}

enum { MANY = 1 << 20 };

/* { required inputs, inputs at most, required outputs, outputs at most } */
// clang-format off
static const struct op_arity op_arities[OP_COUNT] = {
    [OP_IDENTITY] = { 1, 1, 1, 1 },   [OP_NEG] = { 1, 1, 1, 1 },        [OP_ABS] = { 1, 1, 1, 1 },
    [OP_SQRT] = { 1, 1, 1, 1 },       [OP_RECIPROCAL] = { 1, 1, 1, 1 }, [OP_EXP] = { 1, 1, 1, 1 },
    [OP_LOG] = { 1, 1, 1, 1 },        [OP_ERF] = { 1, 1, 1, 1 },        [OP_SIGMOID] = { 1, 1, 1, 1 },
    [OP_TANH] = { 1, 1, 1, 1 },       [OP_RELU] = { 1, 1, 1, 1 },       [OP_SOFTPLUS] = { 1, 1, 1, 1 },
    [OP_COS] = { 1, 1, 1, 1 },        [OP_SIN] = { 1, 1, 1, 1 },        [OP_FLOOR] = { 1, 1, 1, 1 },
    [OP_CEIL] = { 1, 1, 1, 1 },       [OP_ROUND] = { 1, 1, 1, 1 },      [OP_NOT] = { 1, 1, 1, 1 },
    [OP_GELU] = { 1, 1, 1, 1 },       [OP_CLIP] = { 1, 3, 1, 1 },       [OP_TRILU] = { 1, 2, 1, 1 },
    [OP_CUMSUM] = { 2, 2, 1, 1 },     [OP_SOFTMAX] = { 1, 1, 1, 1 },    [OP_ISNAN] = { 1, 1, 1, 1 },
    [OP_ISINF] = { 1, 1, 1, 1 },      [OP_FASTGELU] = { 1, 2, 1, 1 },   [OP_BIASGELU] = { 2, 2, 1, 1 },
    [OP_QUICKGELU] = { 1, 1, 1, 1 },
    [OP_ADD] = { 2, 2, 1, 1 },        [OP_SUB] = { 2, 2, 1, 1 },        [OP_MUL] = { 2, 2, 1, 1 },
    [OP_DIV] = { 2, 2, 1, 1 },        [OP_POW] = { 2, 2, 1, 1 },        [OP_MOD] = { 2, 2, 1, 1 },
    [OP_MIN] = { 1, MANY, 1, 1 },     [OP_MAX] = { 1, MANY, 1, 1 },     [OP_EQUAL] = { 2, 2, 1, 1 },
    [OP_LESS] = { 2, 2, 1, 1 },       [OP_LESSOREQUAL] = { 2, 2, 1, 1 }, [OP_GREATER] = { 2, 2, 1, 1 },
    [OP_GREATEROREQUAL] = { 2, 2, 1, 1 }, [OP_AND] = { 2, 2, 1, 1 },    [OP_OR] = { 2, 2, 1, 1 },
    [OP_WHERE] = { 3, 3, 1, 1 },
    [OP_CAST] = { 1, 1, 1, 1 },       [OP_CASTLIKE] = { 2, 2, 1, 1 },   [OP_CONSTANT] = { 0, 0, 1, 1 },
    [OP_CONSTANTOFSHAPE] = { 1, 1, 1, 1 }, [OP_SHAPE] = { 1, 1, 1, 1 }, [OP_SIZE] = { 1, 1, 1, 1 },
    [OP_RESHAPE] = { 1, 2, 1, 1 },    [OP_FLATTEN] = { 1, 1, 1, 1 },    [OP_TRANSPOSE] = { 1, 1, 1, 1 },
    [OP_SQUEEZE] = { 1, 2, 1, 1 },    [OP_UNSQUEEZE] = { 1, 2, 1, 1 },  [OP_CONCAT] = { 1, MANY, 1, 1 },
    [OP_SPLIT] = { 1, 2, 1, MANY },   [OP_SLICE] = { 1, 5, 1, 1 },      [OP_EXPAND] = { 2, 2, 1, 1 },
    [OP_TILE] = { 2, 2, 1, 1 },       [OP_RANGE] = { 3, 3, 1, 1 },      [OP_GATHER] = { 2, 2, 1, 1 },
    [OP_GATHERQ] = { 3, 4, 1, 1 },
    [OP_REDUCESUM] = { 1, 2, 1, 1 },  [OP_REDUCEMEAN] = { 1, 2, 1, 1 }, [OP_REDUCEMAX] = { 1, 2, 1, 1 },
    [OP_REDUCEMIN] = { 1, 2, 1, 1 },  [OP_ARGMAX] = { 1, 1, 1, 1 },
    [OP_SIGN] = { 1, 1, 1, 1 }, [OP_TAN] = { 1, 1, 1, 1 }, [OP_ASIN] = { 1, 1, 1, 1 },
    [OP_ACOS] = { 1, 1, 1, 1 }, [OP_ATAN] = { 1, 1, 1, 1 }, [OP_SINH] = { 1, 1, 1, 1 },
    [OP_COSH] = { 1, 1, 1, 1 }, [OP_ASINH] = { 1, 1, 1, 1 }, [OP_ACOSH] = { 1, 1, 1, 1 },
    [OP_ATANH] = { 1, 1, 1, 1 }, [OP_ELU] = { 1, 1, 1, 1 }, [OP_CELU] = { 1, 1, 1, 1 },
    [OP_SELU] = { 1, 1, 1, 1 }, [OP_LEAKYRELU] = { 1, 1, 1, 1 }, [OP_THRESHOLDEDRELU] = { 1, 1, 1, 1 },
    [OP_HARDSIGMOID] = { 1, 1, 1, 1 }, [OP_HARDSWISH] = { 1, 1, 1, 1 }, [OP_SOFTSIGN] = { 1, 1, 1, 1 },
    [OP_MISH] = { 1, 1, 1, 1 }, [OP_SWISH] = { 1, 1, 1, 1 }, [OP_SHRINK] = { 1, 1, 1, 1 },
    [OP_BITWISENOT] = { 1, 1, 1, 1 }, [OP_LOGSOFTMAX] = { 1, 1, 1, 1 }, [OP_HARDMAX] = { 1, 1, 1, 1 },
    [OP_CUMPROD] = { 2, 2, 1, 1 }, [OP_XOR] = { 2, 2, 1, 1 }, [OP_BITWISEAND] = { 2, 2, 1, 1 },
    [OP_BITWISEOR] = { 2, 2, 1, 1 }, [OP_BITWISEXOR] = { 2, 2, 1, 1 }, [OP_BITSHIFT] = { 2, 2, 1, 1 },
    [OP_SUM] = { 1, MANY, 1, 1 }, [OP_MEAN] = { 1, MANY, 1, 1 }, [OP_PRELU] = { 2, 2, 1, 1 },
    [OP_SWIGLU] = { 2, 2, 1, 1 }, [OP_BITCAST] = { 1, 1, 1, 1 }, [OP_DROPOUT] = { 1, 3, 1, 2 },
    [OP_GATHERND] = { 2, 2, 1, 1 }, [OP_SCATTERND] = { 3, 3, 1, 1 }, [OP_ONEHOT] = { 3, 3, 1, 1 },
    [OP_COMPRESS] = { 2, 2, 1, 1 }, [OP_NONZERO] = { 1, 1, 1, 1 }, [OP_EYELIKE] = { 1, 1, 1, 1 },
    [OP_REVERSESEQUENCE] = { 2, 2, 1, 1 }, [OP_CONV] = { 2, 3, 1, 1 }, [OP_CONVINTEGER] = { 2, 4, 1, 1 },
    [OP_QLINEARCONV] = { 8, 9, 1, 1 }, [OP_CONVTRANSPOSE] = { 2, 3, 1, 1 }, [OP_DEFORMCONV] = { 3, 5, 1, 1 },
    [OP_COL2IM] = { 3, 3, 1, 1 }, [OP_MAXPOOL] = { 1, 1, 1, 2 }, [OP_AVERAGEPOOL] = { 1, 1, 1, 1 },
    [OP_LPPOOL] = { 1, 1, 1, 1 }, [OP_GLOBALMAXPOOL] = { 1, 1, 1, 1 }, [OP_GLOBALAVERAGEPOOL] = { 1, 1, 1, 1 },
    [OP_GLOBALLPPOOL] = { 1, 1, 1, 1 }, [OP_MAXUNPOOL] = { 2, 3, 1, 1 }, [OP_RESIZE] = { 1, 4, 1, 1 },
    [OP_UPSAMPLE] = { 1, 2, 1, 1 }, [OP_PAD] = { 1, 4, 1, 1 }, [OP_CENTERCROPPAD] = { 2, 2, 1, 1 },
    [OP_SPACETODEPTH] = { 1, 1, 1, 1 }, [OP_DEPTHTOSPACE] = { 1, 1, 1, 1 }, [OP_GRIDSAMPLE] = { 2, 2, 1, 1 },
    [OP_AFFINEGRID] = { 2, 2, 1, 1 }, [OP_ROIALIGN] = { 3, 3, 1, 1 }, [OP_REDUCEPROD] = { 1, 2, 1, 1 },
    [OP_REDUCEL1] = { 1, 2, 1, 1 }, [OP_REDUCEL2] = { 1, 2, 1, 1 }, [OP_REDUCELOGSUM] = { 1, 2, 1, 1 },
    [OP_REDUCELOGSUMEXP] = { 1, 2, 1, 1 }, [OP_REDUCESUMSQUARE] = { 1, 2, 1, 1 }, [OP_ARGMIN] = { 1, 1, 1, 1 },
    [OP_NLLLOSS] = { 2, 3, 1, 1 }, [OP_SOFTMAXLOSS] = { 2, 3, 1, 2 }, [OP_QUANTIZELINEAR] = { 2, 3, 1, 1 },
    [OP_QLINEARMATMUL] = { 8, 8, 1, 1 }, [OP_BATCHNORM] = { 5, 5, 1, 5 }, [OP_INSTANCENORM] = { 3, 3, 1, 1 },
    [OP_GROUPNORM] = { 3, 3, 1, 1 }, [OP_LRN] = { 1, 1, 1, 1 },
    [OP_UNIQUE] = { 1, 1, 1, 4 }, [OP_NMS] = { 2, 5, 1, 1 }, [OP_TFIDF] = { 1, 1, 1, 1 },
    [OP_EINSUM] = { 1, MANY, 1, 1 }, [OP_DET] = { 1, 1, 1, 1 }, [OP_MVN] = { 1, 1, 1, 1 },
    [OP_RNN] = { 3, 6, 1, 2 }, [OP_GRU] = { 3, 6, 1, 2 }, [OP_LSTM] = { 3, 8, 1, 3 }, [OP_DFT] = { 1, 3, 1, 1 },
    [OP_STFT] = { 2, 4, 1, 1 }, [OP_HANNWINDOW] = { 1, 1, 1, 1 }, [OP_HAMMINGWINDOW] = { 1, 1, 1, 1 },
    [OP_BLACKMANWINDOW] = { 1, 1, 1, 1 }, [OP_MELWEIGHTS] = { 5, 5, 1, 1 },
    [OP_MATMUL] = { 2, 2, 1, 1 },     [OP_GEMM] = { 2, 3, 1, 1 },       [OP_DEQUANTIZELINEAR] = { 2, 3, 1, 1 },
    [OP_FUSEDMATMUL] = { 2, 2, 1, 1 },
    [OP_DYNQUANT] = { 1, 1, 3, 3 },   [OP_MATMULINTEGER] = { 2, 4, 1, 1 },
    [OP_MATMULINTTOFLOAT] = { 4, 7, 1, 1 }, [OP_DYNQUANTMATMUL] = { 3, 5, 1, 1 },
    [OP_MATMULNBITS] = { 3, 6, 1, 1 },
    [OP_RMSNORM] = { 2, 2, 1, 2 },    [OP_LAYERNORM] = { 2, 3, 1, 3 },  [OP_SKIPRMSNORM] = { 3, 4, 1, 4 },
    [OP_SKIPLAYERNORM] = { 3, 5, 1, 4 }, [OP_ROTARY] = { 4, 4, 1, 1 },  [OP_ROTARY23] = { 3, 4, 1, 1 },
    [OP_EMBEDLAYERNORM] = { 1, 9, 1, 3 }, [OP_PACKEDATTN] = { 2, 7, 1, 2 }, [OP_MHA] = { 1, 10, 1, 3 },
    [OP_GQA] = { 1, 16, 1, 4 },
    [OP_MOE] = { 3, 8, 1, 1 },        [OP_QMOE] = { 3, 21, 1, 1 },
    [OP_GATHERELEMENTS] = { 2, 2, 1, 1 }, [OP_SCATTERELEMENTS] = { 3, 3, 1, 1 }, [OP_TENSORSCATTER] = { 2, 3, 1, 1 },
    [OP_TOPK] = { 1, 2, 1, 2 },       [OP_MROTARY] = { 4, 4, 1, 1 },    [OP_LPNORM] = { 1, 1, 1, 1 },
    [OP_GATEDRMSNORM] = { 3, 3, 1, 1 }, [OP_GATEDADD] = { 3, 4, 1, 1 }, [OP_CAUSALCONV] = { 2, 4, 1, 3 },
    [OP_LINATTN] = { 3, 6, 1, 2 },    [OP_LINATTNGATE] = { 3, 4, 1, 2 },
    [OP_ATTENTION23] = { 3, 7, 1, 4 },
    [OP_IF] = { 1, 1, 1, MANY },      [OP_LOOP] = { 0, MANY, 1, MANY },   [OP_SCAN] = { 1, MANY, 1, MANY },
    [OP_LINEAR] = { 2, 5, 1, 1 },     [OP_GATEDACT] = { 1, 2, 1, 1 },   [OP_HEADNORM] = { 2, 2, 1, 1 },
    [OP_SEQCONV] = { 2, 3, 1, 1 },    [OP_SEQLINATTN] = { 3, 6, 1, 1 },
    [OP_SEQROTARY] = { 3, 5, 1, 1 },  [OP_FILLLIKE] = { 2, 2, 1, 1 },
    [OP_SELFATTN] = { 1, 3, 1, 1 },   [OP_POSROWS] = { 2, 2, 1, 1 },    [OP_SEQQUANT] = { 1, 1, 3, 3 },
    [OP_SEQCUMSUM] = { 1, 1, 1, 1 },  [OP_PASTCHOICE] = { 2, 2, 1, 1 },
    [OP_GATHERCOLS] = { 2, 2, 1, 1 },
    [OP_SEQATTN] = { 1, 12, 1, 1 },   [OP_SELECTROWS] = { 1, 1, 1, 1 },
};
// clang-format on

const struct op_arity *op_arity(enum op_kind kind)
{
    static const struct op_arity none;
    return (unsigned)kind < OP_COUNT ? &op_arities[kind] : &none;
}
