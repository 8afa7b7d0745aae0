/* SPDX-License-Identifier: MIT */
/* Models with convolutions and recurrences, in the lowered form: what a sequence's state makes of
 * chunks, of sequences beside it, of going back, and of choices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "helper_folder.h"

static const char *const folders[] = { "lfm2-fp32", "qwen3_5-fp32" };
enum { PROMPT = 100, VOCAB = 331, SEQS = 3, MORE = 9 };

/* Different sums by other kernels' tiles; a lost or doubled state is off by more than 1e-2. */
static const float near = 2e-4F;

static void chunks_and_forms_agree(void **state)
{
    static const int chunks[] = { PROMPT, 64, 17, 3, 1 };

    (void)state;
    for (size_t f = 0; f < 2; f++) {
        int32_t ids[PROMPT];
        float want[VOCAB], got[VOCAB];
        struct engine *e = folder_engine(folders[f], true);
        struct session *s = NULL;

        folder_prompt(ids, PROMPT, 1);
        assert_int_equal(session_create(&s, e, NULL), ST_OK);
        session_rows(s, ids, PROMPT, PROMPT, want);
        session_destroy(s);
        engine_close(e);
        e = folder_engine(folders[f], false);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            assert_int_equal(session_create(&s, e, NULL), ST_OK);
            session_rows(s, ids, PROMPT, chunks[c], got);
            rows_near(got, want, VOCAB, near);
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
        struct engine *e = folder_engine(folders[f], false);

        for (int q = 0; q < SEQS; q++) {
            folder_prompt(ids[q], PROMPT, q);
            assert_int_equal(session_create(&s[q], e, NULL), ST_OK);
            session_rows(s[q], ids[q], 20 + q, 20 + q, rows);
            for (int i = 0; i < MORE; i++)
                session_rows(s[q], ids[q] + 20 + q + i, 1, 1, alone[q][i]);
            assert_int_equal(session_rewind(s[q], 0, NULL), ST_OK);
        }
        for (int q = 0; q < SEQS; q++) session_rows(s[q], ids[q], 20 + q, 7, rows);
        for (int i = 0; i < MORE; i++) {
            for (int q = 0; q < SEQS; q++) next[q] = ids[q][20 + q + i];
            assert_int_equal(session_feed_batch(s, next, SEQS, rows, NULL), ST_OK);
            for (int q = 0; q < SEQS; q++) rows_near(rows + q * VOCAB, alone[q][i], VOCAB, near);
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
            struct engine *e = folder_engine(folders[f], dense);

            folder_prompt(ids, PROMPT, 4);
            assert_int_equal(session_create(&s, e, NULL), ST_OK);
            session_rows(s, ids, 40, 40, want);
            session_rows(s, ids + 40, 30, 30, got);
            assert_int_equal(session_rewind(s, 39, NULL), ST_OK);
            assert_int_equal(session_length(s), 39);
            session_rows(s, ids + 39, 1, 1, got);
            rows_near(got, want, VOCAB, near);
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
