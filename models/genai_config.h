/* SPDX-License-Identifier: MIT */
/* genai_config.json: the reader. Inner header of models/. */
#pragma once
#include "models/models.h"

/* Sets every field of *m that genai_config.json can say to what it means when the file says
 * nothing. */
void genai_config_defaults(struct model_folder *m);

/* Reads the text of a genai_config.json into *m (fields, strings in m->arena). *filename gets the
 * decoder's file name, NULL where it is not said. `file` names the text in errors and warnings.
 * Unknown keys give a warning each; a wrong type or an unsafe path is an error that names file and
 * key. */
status genai_config_parse(struct model_folder *m, const char *file, const char *text, size_t n,
                          const char **filename, struct err *err);

/* Appends the ids of `key` (an integer, or an array of integers) to eos_ids; absent: nothing. */
status genai_config_read_ids(const cJSON *obj, const char *key, int64_t *ids, int max, int *n,
                             struct err *err);

/* The id of `key`: an integer, or the first of an array. Absent or empty: *id stays. */
status genai_config_read_id(const cJSON *obj, const char *key, int64_t *id, struct err *err);
