/* SPDX-License-Identifier: MIT */
/* Models with quantised KV caches in the lowered form: beside the dense form, in chunks, beside
 * each other, going back, and with prefixes and forks shared. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "helper_folder.h"

/* near: the tolerance that golden.json has for these models. A key that the two forms sum up
 * differently may round the other way, and what that is worth depends on the step; half floats the
 * dense form rounds after every node, too. */
static const struct {
    const char *name;
    uint64_t token_bytes; /* 2 layers, 2 heads of 16, keys and values */
    float near;
} folders[] = {
    { "llama-int4-kv8", 2 * 2 * 2 * 16, 0.02F },
    { "llama-int4-kv4", 2 * 2 * 2 * 8, 0.5F },
    { "llama-int4-kv4-channel", 2 * 2 * 2 * 8, 0.5F },
    { "llama-fp16-kv8", 2 * 2 * 2 * 16, 0.16F },
};
enum { FOLDERS = 4, PROMPT = 150, VOCAB = 331, SEQS = 3, MORE = 9 };

static void same_row(const float *got, const float *want)
{
    assert_memory_equal(got, want, VOCAB * sizeof *got);
}

static void forms_agree_and_chunks_give_the_same_bits(void **state)
{
    static const int chunks[] = { PROMPT, 64, 17, 3, 1 };

    (void)state;
    for (size_t f = 0; f < FOLDERS; f++) {
        int32_t ids[PROMPT];
        float dense[VOCAB], whole[VOCAB], got[VOCAB];
        struct engine *e = folder_engine(folders[f].name, true);
        struct session *s = NULL;

        folder_prompt(ids, PROMPT, 1);
        assert_int_equal(session_create(&s, e, NULL), ST_OK);
        session_rows(s, ids, PROMPT, PROMPT, dense);
        session_destroy(s);
        engine_close(e);
        e = folder_engine(folders[f].name, false);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            assert_int_equal(session_create(&s, e, NULL), ST_OK);
            session_rows(s, ids, PROMPT, chunks[c], c == 0 ? whole : got);
            if (c > 0) same_row(got, whole);
            session_destroy(s);
        }
        engine_close(e);
        rows_near(whole, dense, VOCAB, folders[f].near);
    }
}

static void a_token_costs_what_its_bits_take(void **state)
{
    (void)state;
    for (size_t f = 0; f < FOLDERS; f++) {
        struct engine *e = folder_engine(folders[f].name, false);

        assert_int_equal(engine_info(e)->kv_bytes_per_token, folders[f].token_bytes);
        assert_int_equal(engine_kv_bytes_read(e, 10), 10 * folders[f].token_bytes);
        engine_close(e);
    }
}

static void sequences_beside_each_other_agree_with_one_alone(void **state)
{
    (void)state;
    for (size_t f = 0; f < FOLDERS; f++) {
        static float alone[SEQS][MORE][VOCAB], rows[SEQS * VOCAB];
        int32_t ids[SEQS][PROMPT], next[SEQS];
        struct session *s[SEQS] = { NULL };
        struct engine *e = folder_engine(folders[f].name, false);

        for (int q = 0; q < SEQS; q++) {
            const int n = 60 + q * 30; /* across the borders of pages */

            folder_prompt(ids[q], PROMPT, q);
            assert_int_equal(session_create(&s[q], e, NULL), ST_OK);
            session_rows(s[q], ids[q], n, n, rows);
            for (int i = 0; i < MORE; i++) session_rows(s[q], ids[q] + n + i, 1, 1, alone[q][i]);
            assert_int_equal(session_rewind(s[q], n, NULL), ST_OK);
        }
        for (int i = 0; i < MORE; i++) {
            for (int q = 0; q < SEQS; q++) next[q] = ids[q][60 + q * 30 + i];
            assert_int_equal(session_feed_batch(s, next, SEQS, rows, NULL), ST_OK);
            for (int q = 0; q < SEQS; q++) same_row(rows + q * VOCAB, alone[q][i]);
        }
        for (int q = 0; q < SEQS; q++) session_destroy(s[q]);
        engine_close(e);
    }
}

/* ---- requests: prefixes found again, forks, too few pages ---- */

enum { CHOICES = 3, TOKENS = 30, JOBS = 4 };

struct job {
    int32_t prompt[PROMPT], ids[CHOICES][TOKENS + 1];
    int n[CHOICES], n_cached;
    struct generation *gen;
};

/* On the worker; read after generation_wait. */
static bool collect(void *user, const struct gen_event *event)
{
    struct job *j = user;

    j->n_cached = event->n_cached;
    if (event->id >= 0) j->ids[event->choice][j->n[event->choice]++] = event->id;
    return true;
}

static void submit(struct engine *e, struct job *j, int salt)
{
    struct gen_request req = { .ids = j->prompt,
                               .n_ids = PROMPT,
                               .max_tokens = TOKENS,
                               .n = CHOICES,
                               .sampling = { .temperature = 1,
                                             .top_p = 1,
                                             .repetition_penalty = 1,
                                             .seed = 5,
                                             .has_seed = true },
                               .sink = collect,
                               .user = j };
    struct err err = { 0 };

    memset(j, 0, sizeof *j);
    folder_prompt(j->prompt, PROMPT, salt);
    if (engine_submit(e, &req, &j->gen, &err) != ST_OK) fail_msg("%s", err.text);
}

static void finish(struct job *j)
{
    generation_wait(j->gen);
    generation_unref(j->gen);
    for (int c = 0; c < CHOICES; c++) assert_int_equal(j->n[c], TOKENS);
}

static void same_tokens(const struct job *a, const struct job *b)
{
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
}

static void prefixes_forks_and_few_pages_change_no_token(void **state)
{
    static struct job alone[JOBS], again, crowd[JOBS];
    struct engine_config small = engine_config_default();

    (void)state;
    small.kv_tokens_max = 9 * 64;
    for (size_t f = 0; f < FOLDERS; f++) {
        struct engine *e = folder_engine(folders[f].name, false);

        for (int q = 0; q < JOBS; q++) {
            submit(e, &alone[q], q);
            finish(&alone[q]);
            assert_int_equal(alone[q].n_cached, 0);
            submit(e, &again, q);
            finish(&again);
            assert_int_equal(again.n_cached, 128); /* whole pages */
            same_tokens(&again, &alone[q]);
        }
        assert_memory_not_equal(alone[0].ids[0], alone[0].ids[1], sizeof alone[0].ids[0]);
        engine_close(e);
        e = folder_engine_with(folders[f].name, &small);
        for (int q = 0; q < JOBS; q++) submit(e, &crowd[q], q);
        for (int q = 0; q < JOBS; q++) finish(&crowd[q]);
        for (int q = 0; q < JOBS; q++) same_tokens(&crowd[q], &alone[q]);
        engine_close(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_agree_and_chunks_give_the_same_bits),
        cmocka_unit_test(a_token_costs_what_its_bits_take),
        cmocka_unit_test(sequences_beside_each_other_agree_with_one_alone),
        cmocka_unit_test(prefixes_forks_and_few_pages_change_no_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
