/* SPDX-License-Identifier: MIT */
/* What is inside an embedder: settings, and one of two sources of token states - an encoder's graph
 * in the generic executor, or an engine's sessions. */
#pragma once
#include "engine/engine.h"
#include "engine/passes/passes.h"
#include <pthread.h>

struct encoder;
struct flat;

/* Tokens that run together, unless one text has more; texts at once. */
enum { EMBED_TOKENS = 2048, EMBED_TEXTS_MAX = 256 };

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
    bool flat;             /* lowered: texts of any lengths run together */
    bool apart;            /* a row's result depends on the others': one text a run */
    int64_t batch, length; /* fixed by the graph; 0 = free */
    int64_t length_max;    /* tokens of the longest text it can run; 0 = not known */
    int64_t width;         /* floats of a state, or of a vector */
    const char *why_dense; /* why it is not lowered, else NULL */
};

/* What a graph turns out to be by the names of its inputs. */
struct found_decoder {
    bool is;            /* a decoder with a cache: no encoder is made */
    const char *hidden; /* name of its states' output, NULL: none */
};
/* Reads the graph and its interface; encoder_prepare makes it ready to run. found->hidden is in the
 * arena. */
status encoder_open(struct encoder **out, const struct model_folder *folder,
                    const struct engine_config *cfg, struct found_decoder *found, struct arena *a,
                    struct err *err);
/* The lowered form where the graph allows it (embed_flat.c), else the dense one: weights packed.
 * length_max: tokens of the longest text, 0 = not known. */
status encoder_prepare(struct encoder *e, const struct engine_config *cfg, int64_t length_max,
                       struct err *err);
void encoder_close(struct encoder *e);
const struct encoder_info *encoder_info(const struct encoder *e);
/* Runs texts, of one length each unless the form is flat. states[i]: f32, of text i; valid until
 * the next run. */
status encoder_run(struct encoder *e, const struct embed_text *const *texts, size_t n_texts,
                   const float **states, struct err *err);

/* ---- embed_flat.c ---- */

/* ST_UNSUPPORTED: the graph cannot be lowered, the reason in err. g may go afterwards. */
status flat_open(struct flat **out, const struct graph *g, const struct lower_encoder_spec *spec,
                 const struct engine_config *cfg, struct err *err);
void flat_close(struct flat *f); /* accepts NULL */
int64_t flat_width(const struct flat *f);
int64_t flat_tokens_max(const struct flat *f); /* of a run, all texts together */
status flat_run(struct flat *f, const struct embed_text *const *texts, size_t n_texts,
                const float **states, struct err *err);

/* ---- embed_decoder.c ---- */

/* States of the rows asked for (token indices, ascending) of one text; out [n_rows, hidden]. */
status embed_decoder_run(struct engine *e, const struct embed_text *text, const int32_t *rows,
                         size_t n_rows, float *out, struct err *err);
