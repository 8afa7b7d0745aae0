/* SPDX-License-Identifier: MIT */
/* What the files of api/ share: the handles that more than one of them opens, and the way from the
 * engine's errors to the caller's.
 *
 * Every public function has this form: `struct err err = { 0 };`, checks and work, and at the end
 * `return api_done(st, &err, error);`. */
#pragma once
#include "api/cupola.h"
#include "engine/engine.h"
#include "models/models.h"
#include "tokenizer/tokenizer.h"
#include <stdatomic.h>

/* ---- errors and structs of the caller's ---- */

/* Writes the outcome to the caller's record (may be NULL) and returns it. */
int32_t api_done(status st, const struct err *err, struct cupola_error *error);
/* ST_INVALID naming what is NULL. */
status api_null(const char *what, struct err *err);

/* NULL is answered by name: `API_NEED(out, &err)` leaves a status. */
#define API_NEED(p, err) ((p) ? ST_OK : api_null(#p, (err)))

/* A struct that begins with its size: into dst [known_bytes], zeros behind a shorter one.
 * ST_INVALID when it is smaller than its first version, ST_UNSUPPORTED when it is longer than ours
 * and not zero there. src not NULL. */
status api_take_struct(void *dst, size_t known_bytes, size_t first_bytes, const void *src,
                       const char *what, struct err *err);
/* The other way: fills what the caller's struct has room for, and leaves its size alone. */
status api_give_struct(void *dst, size_t first_bytes, const void *src, size_t known_bytes,
                       const char *what, struct err *err);

/* ---- opening ---- */

/* Options as the engine wants them; options may be NULL. The texts are the caller's. */
struct api_options {
    struct cupola_options given;
    struct engine_config engine;
};
status api_options_take(struct api_options *out, const struct cupola_options *options,
                        struct err *err);

/* A log function that is being served. */
struct log_tap;

/* Adds it; *out NULL where `given` has none. */
status log_tap_open(struct log_tap **out, const struct cupola_options *given, struct err *err);
/* Afterwards the function is not called any more. Accepts NULL. */
void log_tap_close(struct log_tap *tap);

/* ---- handles that others keep alive ---- */

struct cupola_tokenizer {
    struct tokenizer *tok;
    atomic_int refs;
};

status api_tokenizer_open(struct cupola_tokenizer **out, const char *folder, struct err *err);
struct cupola_tokenizer *api_tokenizer_ref(struct cupola_tokenizer *t);
/* Accepts NULL. */
void api_tokenizer_unref(struct cupola_tokenizer *t);

struct cupola_model {
    struct model_folder folder;
    struct engine *engine;
    struct cupola_tokenizer *tokenizer; /* NULL where the folder has none */
    struct log_tap *tap;
    atomic_int refs;
};

struct cupola_model *api_model_ref(struct cupola_model *m);
void api_model_unref(struct cupola_model *m);

/* The sampler's vocabulary must be the row's. */
int64_t api_sampler_vocab(const struct cupola_sampler *s);

/* ---- tensors ---- */

/* A copy that owns everything: names, shapes, elements. For results. */
status api_tensor_copy(struct cupola_tensor *out, const char *name, const struct tensor *t,
                       struct arena *a, struct err *err);
/* The declared type of an input against what is given, and the tensor for the engine: elements
 * borrowed, or copied to `a` where they are not aligned or are strings. */
status api_tensor_take(struct tensor *out, const struct cupola_tensor *given,
                       const struct tensor_type *want, struct arena *a, struct err *err);
