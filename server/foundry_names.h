/* SPDX-License-Identifier: MIT */
/* How Foundry's clients call a model: NAME:VERSION, the version a decimal number. */
#pragma once
#include "base/base.h"

struct model;

enum { FOUNDRY_NAME_MAX = 256 };

struct foundry_id {
    char name[FOUNDRY_NAME_MAX]; /* without the version */
    char version[24];
};

/* Splits an id: "phi-4-mini-instruct-generic-cpu-5" is version 5 of the name before it when that
 * name ends in a device
 * (-cpu, -gpu, -npu), as the catalog's do; every other id is version 1 of itself ("phi-4"). */
void foundry_id_split(const char *id, struct foundry_id *out);
/* "name:version", in the arena; "" when memory is short. */
const char *foundry_name(const struct model *model, struct arena *a);
