/* SPDX-License-Identifier: MIT */
/* What is inside an embedder: settings, and one of two sources of token states - an encoder's graph
 * in the generic executor, or an engine's sessions. */
#pragma once
#include "engine/engine.h"
#include <pthread.h>

struct encoder;

struct embedder {
    struct arena arena; /* settings */
    struct model_embedding settings;
    struct embedder_info info;
    pthread_mutex_t lock;    /* held for a batch: guards what follows */
    struct encoder *encoder; /* or */
    struct engine *engine;
    bool owns_engine;
};

/* ---- embed_pool.c ---- */

/* Pools states [n, hidden] over the tokens from `first` on (cls and last: of all) to out
 * [hidden * number of poolings]. */
void embed_pool(unsigned pooling, const float *states, size_t n, size_t hidden, size_t first,
                float *out);
/* How many vectors `pooling` joins. */
size_t embed_pool_count(unsigned pooling);
/* To length 1; a vector of zeros stays. */
void embed_normalize(float *v, size_t n);

/* ---- embed_encoder.c ---- */

struct encoder_info {
    bool whole;            /* the output is one vector a text, not states */
    bool apart;            /* a row's result depends on the others': one text a run */
    int64_t batch, length; /* fixed by the graph; 0 = free */
    int64_t width;         /* floats of a state, or of a vector */
};

/* Names of graph inputs that make it a decoder with a cache: then *decoder is true and no encoder
 * is made. `hidden` gets the name of its states' output (NULL: none). */
status encoder_open(struct encoder **out, const struct model_folder *folder,
                    const struct engine_config *cfg, bool *decoder, const char **hidden,
                    struct arena *a, struct err *err);
void encoder_close(struct encoder *e);
const struct encoder_info *encoder_info(const struct encoder *e);
/* Runs texts of one length n (padded to the graph's fixed length). *states: f32, text i's begin at
 * i * *stride; valid until the next run. */
status encoder_run(struct encoder *e, const struct embed_text *const *texts, size_t n_texts,
                   size_t n, const float **states, size_t *stride, struct err *err);

/* ---- embed_decoder.c ---- */

/* States of the rows asked for (token indices, ascending) of one text; out [n_rows, hidden]. */
status embed_decoder_run(struct engine *e, const struct embed_text *text, const int32_t *rows,
                         size_t n_rows, float *out, struct err *err);
