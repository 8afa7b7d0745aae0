/* SPDX-License-Identifier: MIT */
/* The C library when memory runs out: at whichever allocation it happens, a call fails with
 * CUPOLA_NO_MEMORY, leaves nothing behind, and can be made again. Linked with the folders
 * themselves, whose allocator can be made to fail. */
#include "api/cupola.h"
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define POCKET CUPOLA_SOURCE_DIR "/models/pocket"
#define SUM    CUPOLA_SOURCE_DIR "/tests/fixtures/api/sum.onnx"

enum { TRIES_MAX = 200000 };

/* A scenario returns its status and closes what it opened. */
typedef int32_t scenario_fn(struct cupola_error *error);

/* Fails the n-th allocation and all after it, for every n (in strides: neighbours are alike) until
 * the scenario needs fewer. `also`: another status that may come of it. */
static void survives(scenario_fn *scenario, uint64_t stride, int32_t also)
{
    uint64_t n = 1, failed = 0;
    struct cupola_error error;
    int32_t rc;

    for (;; n += stride) {
        assert_true(n < TRIES_MAX);
        mem_fail_after(n, 1);
        rc = scenario(&error);
        mem_fail_after(0, 0);
        if (rc == CUPOLA_OK) break;
        if (rc != CUPOLA_NO_MEMORY && rc != also)
            fail_msg("allocation %llu: %s", (unsigned long long)n, error.text);
        failed++;
    }
    assert_true(failed > 0);
    assert_int_equal(scenario(&error), CUPOLA_OK);
}

static int32_t open_and_run(struct cupola_error *error)
{
    static const int64_t x_shape[] = { 2, 3 }, y_shape[] = { 3 };
    static const float x[6] = { 1 }, y[3] = { 2 };
    const struct cupola_tensor in[] = { { "x", CUPOLA_FLOAT, 2, x_shape, x, sizeof x },
                                        { "y", CUPOLA_FLOAT, 1, y_shape, y, sizeof y } };
    const struct cupola_options o = { .size = sizeof o, .threads = 1 };
    struct cupola_graph *g;
    struct cupola_result *r = NULL;
    int32_t rc = cupola_graph_open(&g, SUM, &o, error);

    if (rc == CUPOLA_OK) rc = cupola_graph_run(g, in, 2, &r, error);
    if (rc == CUPOLA_OK) assert_true(((const float *)cupola_result_tensor(r, 0)->data)[0] == 3);
    cupola_graph_close(g);
    cupola_result_destroy(r);
    return rc;
}

static void graphs(void **state)
{
    (void)state;
    survives(open_and_run, 1, CUPOLA_NO_MEMORY);
}

static struct cupola_tokenizer *tokenizer;

static int32_t render_and_stream(struct cupola_error *error)
{
    const struct cupola_chat chat = { .size = sizeof chat,
                                      .messages = "[{\"role\":\"user\",\"content\":\"Hello\"}]" };
    struct cupola_stream *stream = NULL;
    char *text;
    const char *part;
    int32_t *ids = NULL;
    size_t n_bytes, n = 0;
    int32_t rc = cupola_chat_render(tokenizer, &chat, &text, &n_bytes, error);

    if (rc == CUPOLA_OK)
        rc = cupola_tokenizer_encode(tokenizer, text, n_bytes, CUPOLA_PARSE_SPECIAL, &ids, &n,
                                     error);
    if (rc == CUPOLA_OK) rc = cupola_stream_create(&stream, tokenizer, 0, error);
    for (size_t i = 0; rc == CUPOLA_OK && i < n; i++)
        rc = cupola_stream_push(stream, ids[i], &part, NULL, error);
    if (rc == CUPOLA_OK) rc = cupola_stream_finish(stream, &part, NULL, error);
    cupola_stream_destroy(stream);
    cupola_free(ids);
    cupola_free(text);
    return rc;
}

static void texts(void **state)
{
    (void)state;
    assert_int_equal(cupola_tokenizer_open(&tokenizer, POCKET, NULL), CUPOLA_OK);
    assert_int_equal(render_and_stream(NULL), CUPOLA_OK); /* the template is compiled once */
    survives(render_and_stream, 1, CUPOLA_NO_MEMORY);
    cupola_tokenizer_close(tokenizer);
}

static struct cupola_model *model;

static int32_t feed_and_sample(struct cupola_error *error)
{
    static const struct cupola_logit_bias bias = { .id = 3, .bias = 1 };
    const struct cupola_sampling sampling = { .size = sizeof sampling,
                                              .temperature = 1,
                                              .repetition_penalty = 1.1F,
                                              .bias = &bias,
                                              .n_bias = 1 };
    struct cupola_session *s;
    struct cupola_sampler *sampler = NULL;
    int32_t id, rc = cupola_session_create(&s, model, error);
    struct cupola_model_info info = { .size = sizeof info };

    (void)cupola_model_info(model, &info, NULL);
    if (rc == CUPOLA_OK) rc = cupola_sampler_create(&sampler, info.vocab_size, &sampling, error);
    if (rc == CUPOLA_OK) rc = cupola_session_feed(s, (const int32_t[]){ 1, 2 }, 2, error);
    if (rc == CUPOLA_OK) rc = cupola_session_sample(s, sampler, &id, NULL, error);
    cupola_sampler_destroy(sampler);
    cupola_session_destroy(s);
    return rc;
}

static void sessions(void **state)
{
    const struct cupola_options o = { .size = sizeof o, .threads = 1, .context_max = 256 };

    (void)state;
    assert_int_equal(cupola_model_open(&model, POCKET, &o, NULL), CUPOLA_OK);
    survives(feed_and_sample, 1, CUPOLA_NO_MEMORY);
    cupola_model_close(model);
}

static int32_t open_model(struct cupola_error *error)
{
    const struct cupola_options o = { .size = sizeof o, .threads = 1, .context_max = 256 };
    struct cupola_model *m;
    const int32_t rc = cupola_model_open(&m, POCKET, &o, error);

    cupola_model_close(m);
    return rc;
}

static void models(void **state)
{
    (void)state;
    survives(open_model, 997, CUPOLA_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs),
        cmocka_unit_test(texts),
        cmocka_unit_test(sessions),
        cmocka_unit_test(models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
