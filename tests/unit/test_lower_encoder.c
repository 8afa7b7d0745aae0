/* SPDX-License-Identifier: MIT */
/* Encoders without padding: the lowered form gives what the generic executor gives for each text
 * alone, whatever lies beside it; what cannot be lowered says why. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"

enum { WIDTH = 32, LONGEST = 70, TEXTS = 7 };

static struct embedder *open_form(const char *name, bool dense)
{
    struct engine_config cfg = engine_config_default();
    struct model_folder folder;
    struct embedder *e = NULL;
    struct err err = { 0 };
    char path[512];

    cfg.n_threads = 2;
    cfg.dense = dense;
    (void)snprintf(path, sizeof path, "%s/tests/fixtures/encoders/%s", CUPOLA_SOURCE_DIR, name);
    assert_int_equal(model_folder_open(&folder, path, &err), ST_OK);
    if (embedder_open(&e, &folder, &cfg, &err) != ST_OK) fail_msg("%s: %s", name, err.text);
    model_folder_fini(&folder);
    assert_int_equal(embedder_info(e)->width, WIDTH);
    return e;
}

/* Texts of mixed lengths, the longest far beyond any window; one holds ids that are padding (0, 1)
 * in some vocabularies. */
static void make_texts(struct embed_text *texts, int32_t ids[TEXTS][LONGEST])
{
    static const size_t lengths[TEXTS] = { 7, 1, 64, LONGEST, 2, 33, 12 };

    for (int i = 0; i < TEXTS; i++) {
        for (int k = 0; k < LONGEST; k++) ids[i][k] = 5 + (i * 31 + k * 17) % 110;
        texts[i] = (struct embed_text){ .ids = ids[i], .n = lengths[i] };
    }
    ids[5][3] = ids[5][4] = ids[5][20] = 1;
    ids[5][9] = 0;
}

static double cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;

    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* States of one text in both forms. fp32: sums of at most 80 terms of size 3 in another order, two
 * to four layers deep, so 1e-5 in numbers of size 1. Others: bytes and halves round apart, then
 * only the direction can be held. */
static void compare_states(struct embedder *flat, struct embedder *dense,
                           const struct embed_text *text, double least, const char *name)
{
    float a[LONGEST * WIDTH], b[LONGEST * WIDTH];
    double worst = 0;

    assert_int_equal(embedder_states(flat, text, a, NULL), ST_OK);
    assert_int_equal(embedder_states(dense, text, b, NULL), ST_OK);
    for (size_t i = 0; i < text->n * WIDTH; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    if (least == 0 && worst > 1e-5)
        fail_msg("%s, %zu tokens: states differ by %g", name, text->n, worst);
    const double c = cosine(a, b, text->n * WIDTH);
    if (c < least) fail_msg("%s, %zu tokens: cosine %.9f", name, text->n, c);
}

static void both_forms_agree(void **state)
{
    static const struct {
        const char *name;
        double cosine; /* 0: fp32 */
    } models[] = { { "bert", 0 },
                   { "distilbert", 0 },
                   { "roberta", 0 },
                   { "xlm-roberta", 0 },
                   { "modernbert", 0 },
                   { "bert-fused", 0 },
                   { "bert-fp16", 0.99999 },
                   { "bert-int8", 0.9995 },
                   { "bert-int8-channel", 0.9995 },
                   { "bert-int8-fused", 0.9995 } };
    int32_t ids[TEXTS][LONGEST];
    struct embed_text texts[TEXTS];

    (void)state;
    make_texts(texts, ids);
    for (size_t m = 0; m < COUNT(models); m++) {
        struct embedder *flat = open_form(models[m].name, false),
                        *dense = open_form(models[m].name, true);

        if (embedder_info(flat)->why_dense)
            fail_msg("%s: %s", models[m].name, embedder_info(flat)->why_dense);
        assert_non_null(embedder_info(dense)->why_dense);
        for (int i = 0; i < TEXTS; i++)
            compare_states(flat, dense, &texts[i], models[m].cosine, models[m].name);
        embedder_close(flat);
        embedder_close(dense);
    }
}

/* The bits of each vector, in one run with the others and alone. */
static void texts_do_not_touch_each_other(void **state)
{
    static const char *const names[] = { "bert", "modernbert", "roberta", "bert-int8",
                                         "bert-int8-fused" };
    float together[TEXTS * WIDTH], alone[WIDTH];
    int32_t ids[TEXTS][LONGEST];
    struct embed_text texts[TEXTS];

    (void)state;
    make_texts(texts, ids);
    for (size_t m = 0; m < COUNT(names); m++) {
        struct embedder *e = open_form(names[m], false);
        struct embed_request req = { .texts = texts, .n = TEXTS, .out = together };

        assert_null(embedder_info(e)->why_dense);
        assert_int_equal(embedder_run(e, &req, NULL), ST_OK);
        for (int i = 0; i < TEXTS; i++) {
            req = (struct embed_request){ .texts = &texts[i], .n = 1, .out = alone };
            assert_int_equal(embedder_run(e, &req, NULL), ST_OK);
            assert_memory_equal(alone, together + i * WIDTH, sizeof alone);
        }
        embedder_close(e);
    }
}

/* A bias by the distance of two tokens is no mask: the graph runs as it is, and says so. */
static void says_why_it_stays_dense(void **state)
{
    struct embedder *e = open_form("mpnet", false);

    (void)state;
    assert_non_null(embedder_info(e)->why_dense);
    assert_non_null(strstr(embedder_info(e)->why_dense, "mask"));
    embedder_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(both_forms_agree),
                                        cmocka_unit_test(texts_do_not_touch_each_other),
                                        cmocka_unit_test(says_why_it_stays_dense) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
