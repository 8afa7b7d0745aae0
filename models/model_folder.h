/* SPDX-License-Identifier: MIT */
/* What folder and store share. Inner header of models/. */
#pragma once
#include "models/models.h"

/* Name of the folder's .onnx file: model.onnx, or the only one. ST_NOT_FOUND without any,
 * ST_INVALID with several. *name is the caller's (mem_free). */
status model_find_onnx(const char *dir, char **name, struct err *err);

/* Id of the model in `dir`: the folder's own name; of a variant folder "v4" the name above; of a
 * hub snapshot the repository's name. False where there is none that fits. */
bool model_folder_name(const char *dir, char *name, size_t size);
