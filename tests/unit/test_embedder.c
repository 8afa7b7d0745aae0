/* SPDX-License-Identifier: MIT */
/* Embedders: pooling by its formulas, what is refused, and batches on recorded encoders. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/runtime/embed.h"

static const float states[] = { 1, -5, 4, 2, -2, 9 }; /* 3 tokens of 2 */

static void expect_pool(unsigned pooling, size_t first, const float *want, size_t n)
{
    float out[12];

    assert_int_equal(embed_pool_count(pooling) * 2, n);
    embed_pool(pooling, states, 3, 2, first, out);
    for (size_t i = 0; i < n; i++) assert_float_equal(out[i], want[i], 1e-6);
}

static void pools_as_sentence_transformers(void **state)
{
    const float root = sqrtf(3.0f), root2 = sqrtf(2.0f);

    (void)state;
    expect_pool(MODEL_POOL_CLS, 0, (float[]){ 1, -5 }, 2);
    expect_pool(MODEL_POOL_LAST, 0, (float[]){ -2, 9 }, 2);
    expect_pool(MODEL_POOL_MAX, 0, (float[]){ 4, 9 }, 2);
    expect_pool(MODEL_POOL_MEAN, 0, (float[]){ 1, 2 }, 2);
    expect_pool(MODEL_POOL_MEAN_SQRT_LEN, 0, (float[]){ 3 / root, 6 / root }, 2);
    expect_pool(MODEL_POOL_WEIGHTED_MEAN, 0, (float[]){ 3.0f / 6, 26.0f / 6 }, 2);
    expect_pool(MODEL_POOL_CLS | MODEL_POOL_MEAN, 0, (float[]){ 1, -5, 1, 2 }, 4);
    /* a prompt of one token left out: not of cls and last */
    expect_pool(MODEL_POOL_MEAN | MODEL_POOL_CLS, 1, (float[]){ 1, -5, 1, 5.5f }, 4);
    expect_pool(MODEL_POOL_MAX, 2, (float[]){ -2, 9 }, 2);
    expect_pool(MODEL_POOL_MEAN_SQRT_LEN, 1, (float[]){ 2 / root2, 11 / root2 }, 2);
    expect_pool(MODEL_POOL_WEIGHTED_MEAN, 1, (float[]){ 2.0f / 5, 31.0f / 5 }, 2);
}

static void normalizes(void **state)
{
    float v[] = { 3, 4 }, zero[] = { 0, 0 };

    (void)state;
    embed_normalize(v, 2);
    assert_float_equal(v[0], 0.6, 1e-7);
    embed_normalize(zero, 2);
    assert_true(zero[0] == 0 && zero[1] == 0);
}

static struct embedder *open_encoder(const char *name)
{
    struct engine_config cfg = engine_config_default();
    struct model_folder folder;
    struct embedder *e = NULL;
    struct err err = { 0 };
    char path[512];

    cfg.n_threads = 2;
    (void)snprintf(path, sizeof path, "%s/tests/fixtures/encoders/%s", CUPOLA_SOURCE_DIR, name);
    assert_int_equal(model_folder_open(&folder, path, &err), ST_OK);
    if (embedder_open(&e, &folder, &cfg, &err) != ST_OK) fail_msg("%s", err.text);
    model_folder_fini(&folder);
    return e;
}

static void same_alone_and_beside_others(void **state)
{
    static const char *const names[] = { "bert", "roberta", "modernbert", "bert-int8",
                                         "bert-fused" };
    enum { TEXTS = 9, LONGEST = 12, WIDTH = 32 };
    int32_t ids[TEXTS][LONGEST];
    struct embed_text texts[TEXTS];
    float together[TEXTS * WIDTH], alone[WIDTH];

    (void)state;
    for (int i = 0; i < TEXTS; i++) {
        for (int k = 0; k < LONGEST; k++) ids[i][k] = 5 + (i * 31 + k * 7) % 100;
        texts[i] = (struct embed_text){ .ids = ids[i], .n = (size_t)(i % 3 ? 4 + i : LONGEST) };
    }
    for (size_t m = 0; m < COUNT(names); m++) {
        struct embedder *e = open_encoder(names[m]);
        struct embed_request req = { .texts = texts, .n = TEXTS, .out = together };

        assert_int_equal(embedder_info(e)->width, WIDTH);
        assert_int_equal(embedder_run(e, &req, NULL), ST_OK);
        for (int i = 0; i < TEXTS; i++) {
            req = (struct embed_request){ .texts = &texts[i], .n = 1, .out = alone };
            assert_int_equal(embedder_run(e, &req, NULL), ST_OK);
            assert_memory_equal(alone, together + i * WIDTH, sizeof alone);
        }
        embedder_close(e);
    }
}

static bool stop_at_once(void *user)
{
    ++*(int *)user;
    return true;
}

static void refuses_what_it_cannot_take(void **state)
{
    struct embedder *e = open_encoder("bert");
    int32_t ids[128] = { 7, 8 }, far[] = { 5, 120 }, below[] = { -1 };
    float out[2 * 32];
    struct err err = { 0 };
    struct embed_text text = { .ids = ids };
    struct embed_request req = { .texts = &text, .n = 1, .out = out };
    int asked = 0;

    (void)state;
    assert_int_equal(embedder_run(e, &req, &err), ST_INVALID); /* no tokens */
    text = (struct embed_text){ .ids = far, .n = 2 };
    assert_int_equal(embedder_run(e, &req, NULL), ST_INVALID);
    text = (struct embed_text){ .ids = below, .n = 1 };
    assert_int_equal(embedder_run(e, &req, NULL), ST_INVALID);
    text = (struct embed_text){ .ids = ids, .n = 81 }; /* 80 positions */
    assert_int_equal(embedder_info(e)->length_max, 80);
    assert_int_equal(embedder_run(e, &req, NULL), ST_LIMIT);
    text.n = 2;
    req.cancelled = stop_at_once;
    req.user = &asked;
    assert_int_equal(embedder_run(e, &req, NULL), ST_CANCELLED);
    assert_int_equal(asked, 1);
    req.cancelled = NULL;
    assert_int_equal(embedder_run(e, &req, NULL), ST_OK); /* still works */
    assert_int_equal(embedder_set_pooling(e, 64, true, NULL), ST_INVALID);
    assert_int_equal(embedder_set_pooling(e, MODEL_POOL_CLS | MODEL_POOL_MAX, false, NULL), ST_OK);
    assert_int_equal(embedder_info(e)->width, 64);
    embedder_close(e);
}

static void open_folder(struct model_folder *folder, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/tests/fixtures/models/%s", CUPOLA_SOURCE_DIR, name);
    assert_int_equal(model_folder_open(folder, path, NULL), ST_OK);
}

/* Without settings a decoder's vector is its last token's state, brought to length 1: what a
 * session gives for that row, alone and in an engine of one's own. */
static void decoders_pool_their_last_token(void **state)
{
    enum { N = 40, WIDTH_MAX = 512 };
    const struct engine_config cfg = engine_config_default();
    struct model_folder folder;
    struct embedder *e = NULL, *of_engine = NULL;
    struct engine *engine = NULL;
    struct session *s = NULL;
    int32_t ids[N];
    const int32_t last = N - 1;
    float got[2][WIDTH_MAX], want[WIDTH_MAX];

    (void)state;
    for (int i = 0; i < N; i++) ids[i] = 5 + i * 7 % 250;
    open_folder(&folder, "llama-int4-nohead");
    assert_int_equal(embedder_open(&e, &folder, &cfg, NULL), ST_OK);
    assert_int_equal(engine_open(&engine, &folder, &cfg, NULL), ST_OK);
    assert_int_equal(embedder_of_engine(&of_engine, engine, &folder, NULL), ST_OK);
    assert_true(embedder_info(e)->causal);
    const size_t width = (size_t)embedder_info(e)->width;
    assert_true(width > 0 && width <= WIDTH_MAX);
    const struct embed_text text = { .ids = ids, .n = N };
    struct embed_request req = { .texts = &text, .n = 1, .out = got[0] };
    assert_int_equal(embedder_run(e, &req, NULL), ST_OK);
    req.out = got[1];
    assert_int_equal(embedder_run(of_engine, &req, NULL), ST_OK);
    assert_int_equal(session_create(&s, engine, NULL), ST_OK);
    assert_int_equal(
        session_feed(s,
                     &(struct token_feed){
                         .ids = ids, .n = N, .total = N, .rows = &last, .n_rows = 1, .out = want },
                     NULL),
        ST_OK);
    session_destroy(s);
    embed_normalize(want, width);
    assert_memory_equal(got[0], want, width * sizeof *want);
    assert_memory_equal(got[1], want, width * sizeof *want);
    embedder_close(of_engine);
    embedder_close(e);
    engine_close(engine);
    model_folder_fini(&folder);
}

static void decoders_without_states_are_refused(void **state)
{
    const struct engine_config cfg = engine_config_default();
    struct model_folder folder;
    struct embedder *e = NULL;
    struct err err = { 0 };

    (void)state;
    open_folder(&folder, "llama-int4");
    assert_int_equal(embedder_open(&e, &folder, &cfg, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.text, "hidden states"));
    assert_null(e);
    model_folder_fini(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_as_sentence_transformers),
        cmocka_unit_test(normalizes),
        cmocka_unit_test(same_alone_and_beside_others),
        cmocka_unit_test(refuses_what_it_cannot_take),
        cmocka_unit_test(decoders_pool_their_last_token),
        cmocka_unit_test(decoders_without_states_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
