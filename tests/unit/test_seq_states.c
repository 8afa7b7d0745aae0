/* SPDX-License-Identifier: MIT */
/* Models with convolutions and recurrences, in the lowered form: what a sequence's state makes of
 * chunks, of sequences beside it, of going back, and of choices. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "models/models.h"

static const char *const folders[] = { "lfm2-fp32", "qwen3_5-fp32" };
enum { PROMPT = 100, VOCAB = 331, SEQS = 3, MORE = 9 };

/* Different sums by other kernels' tiles; a lost or doubled state is off by more than 1e-2. */
static const float near = 2e-4F;

static struct engine *open_folder(const char *name, bool dense)
{
    struct engine_config cfg = engine_config_default();
    struct model_folder folder;
    struct engine *e = NULL;
    struct err err = { 0 };
    char path[512];

    cfg.n_threads = 2;
    cfg.dense = dense;
    (void)snprintf(path, sizeof path, "%s/tests/fixtures/models/%s", CUPOLA_SOURCE_DIR, name);
    assert_int_equal(model_folder_open(&folder, path, &err), ST_OK);
    if (engine_open(&e, &folder, &cfg, &err) != ST_OK) fail_msg("%s", err.text);
    model_folder_fini(&folder);
    assert_int_equal(engine_info(e)->lowered, !dense);
    assert_int_equal(engine_info(e)->vocab, VOCAB);
    return e;
}

static void prompt_of(int32_t *ids, int salt)
{
    for (int i = 0; i < PROMPT; i++) ids[i] = (i * 37 + salt * 101 + i * i % 11) % 320;
}

static void rows_near(const float *got, const float *want)
{
    for (int v = 0; v < VOCAB; v++)
        if (!(fabsf(got[v] - want[v]) <= near))
            fail_msg("logit %d: %g, expected %g", v, (double)got[v], (double)want[v]);
}

/* The row after `n` tokens, fed `chunk` at a time. */
static void feed(struct session *s, const int32_t *ids, int n, int chunk, float *row)
{
    for (int at = 0; at < n; at += chunk) {
        const int part = n - at < chunk ? n - at : chunk;
        const int32_t last = part - 1;
        struct err err = { 0 };

        if (session_feed(
                s,
                &(struct token_feed){
                    .ids = ids + at, .n = (size_t)part, .rows = &last, .n_rows = 1, .out = row },
                &err) != ST_OK)
            fail_msg("%s", err.text);
    }
}

static void chunks_and_forms_agree(void **state)
{
    static const int chunks[] = { PROMPT, 64, 17, 3, 1 };

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        int32_t ids[PROMPT];
        float want[VOCAB], got[VOCAB];
        struct engine *e = open_folder(folders[f], true);
        struct session *s = NULL;

        prompt_of(ids, 1);
        assert_int_equal(session_create(&s, e, NULL), ST_OK);
        feed(s, ids, PROMPT, PROMPT, want);
        session_destroy(s);
        engine_close(e);
        e = open_folder(folders[f], false);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            assert_int_equal(session_create(&s, e, NULL), ST_OK);
            feed(s, ids, PROMPT, chunks[c], got);
            rows_near(got, want);
            session_destroy(s);
        }
        engine_close(e);
    }
}

static void sequences_beside_each_other_agree_with_one_alone(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++) {
        static float alone[SEQS][MORE][VOCAB], rows[SEQS * VOCAB];
        int32_t ids[SEQS][PROMPT], next[SEQS];
        struct session *s[SEQS] = { NULL };
        struct engine *e = open_folder(folders[f], false);

        for (int q = 0; q < SEQS; q++) {
            prompt_of(ids[q], q);
            assert_int_equal(session_create(&s[q], e, NULL), ST_OK);
            feed(s[q], ids[q], 20 + q, 20 + q, rows);
            for (int i = 0; i < MORE; i++) feed(s[q], ids[q] + 20 + q + i, 1, 1, alone[q][i]);
            assert_int_equal(session_rewind(s[q], 0, NULL), ST_OK);
        }
        for (int q = 0; q < SEQS; q++) feed(s[q], ids[q], 20 + q, 7, rows);
        for (int i = 0; i < MORE; i++) {
            for (int q = 0; q < SEQS; q++) next[q] = ids[q][20 + q + i];
            assert_int_equal(session_feed_batch(s, next, SEQS, rows, NULL), ST_OK);
            for (int q = 0; q < SEQS; q++) rows_near(rows + q * VOCAB, alone[q][i]);
        }
        for (int q = 0; q < SEQS; q++) session_destroy(s[q]);
        engine_close(e);
    }
}

static void going_back_computes_anew(void **state)
{
    (void)state;
    for (size_t f = 0; f < 2; f++)
        for (int dense = 0; dense < 2; dense++) {
            float want[VOCAB], got[VOCAB];
            int32_t ids[PROMPT];
            struct session *s = NULL;
            struct engine *e = open_folder(folders[f], dense);

            prompt_of(ids, 4);
            assert_int_equal(session_create(&s, e, NULL), ST_OK);
            feed(s, ids, 40, 40, want);
            feed(s, ids + 40, 30, 30, got);
            assert_int_equal(session_rewind(s, 39, NULL), ST_OK);
            assert_int_equal(session_length(s), 39);
            feed(s, ids + 39, 1, 1, got);
            rows_near(got, want);
            session_destroy(s);
            engine_close(e);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_and_forms_agree),
        cmocka_unit_test(sequences_beside_each_other_agree_with_one_alone),
        cmocka_unit_test(going_back_computes_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
