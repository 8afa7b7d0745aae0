/* SPDX-License-Identifier: MIT */
/* Prototypes of every infer_<stem>, from ops.def. (Stems repeat; repeated prototypes are the same.)
 */
#pragma once
#include "ir/ir.h"

#define OP(kind, domain, name, since, infer, attrs) op_infer_fn infer_##infer;
#define ALIAS(kind, domain, name, since)
#include "ir/ops.def"
#undef OP
#undef ALIAS
