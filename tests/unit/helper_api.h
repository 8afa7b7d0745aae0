/* SPDX-License-Identifier: MIT */
/* What the tests of the C library share: fixtures, and checks of outcomes. They are linked with
 * libcupola.so alone. */
#pragma once
#include "api/cupola.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define POCKET     CUPOLA_SOURCE_DIR "/models/pocket"
#define MINILM     CUPOLA_SOURCE_DIR "/models/minilm"
#define FIXTURE(p) CUPOLA_SOURCE_DIR "/tests/fixtures/" p

/* The call succeeded and says nothing. */
void ok(int32_t status, const struct cupola_error *error);
/* It failed so, and `part` is in the text. */
void refused(int32_t status, const struct cupola_error *error, int32_t want, const char *part);

struct cupola_model *model_of(const char *path, const struct cupola_options *options);
struct cupola_session *session_of(struct cupola_model *m);
/* Row width. */
size_t width_of(const struct cupola_model *m);
/* n ids of the vocabulary, the same for the same seed. */
void ids_fill(int32_t *ids, size_t n, const struct cupola_model *m, uint32_t seed);
struct prompt {
    const int32_t *ids; /* [n] */
    size_t n;
};
/* Feeds the prompt and then n sampled tokens. */
void generate(struct cupola_model *m, struct cupola_session *s,
              const struct cupola_sampling *sampling, struct prompt prompt, int32_t *out, size_t n);
