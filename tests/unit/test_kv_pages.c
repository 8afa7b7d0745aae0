/* SPDX-License-Identifier: MIT */
/* Pages of the KV cache: layout, references, the prefix cache and its eviction. */
#include "helper_fake_lm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct lm_kv_shape shapes[] = { { 2, 5, 0, 0 }, { 1, 16, 0, 0 } };

static struct kv_pages *make(struct lm *lm, int n_pages, bool prefix_cache)
{
    const struct kv_pages_config cfg = { .shapes = shapes,
                                         .n_layers = 2,
                                         .dtype = DT_F16,
                                         .n_pages = &n_pages,
                                         .prefix_cache = prefix_cache };
    struct kv_pages *kv = NULL;

    assert_int_equal(kv_pages_create(&kv, lm->backend, &cfg, NULL), ST_OK);
    return kv;
}

static void fill(int32_t *ids, int n, int32_t start)
{
    for (int i = 0; i < n; i++) ids[i] = start + i;
}

static void layers_lie_apart_within_a_page(void **state)
{
    struct lm *lm = *state;
    struct kv_pages *kv = make(lm, 3, false);
    const struct kv_store *s = kv_pages_store(kv);
    struct kv_group_plan plan[3];

    assert_int_equal(kv_plan_groups(shapes, 2, DT_F16, plan), 1);
    const size_t bytes = plan[0].page_bytes;
    assert_int_equal(s->groups[0].page_bytes, bytes);
    assert_int_equal(bytes % 64, 0);
    assert_int_equal(s->page_tokens, KV_PAGE_TOKENS);
    assert_true(s->buf->size >= 3 * bytes);
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        const struct kv_layer *l = &s->layers[i];
        const size_t need = (size_t)l->n_heads * KV_PAGE_TOKENS * (size_t)l->head_dim * 2;
        assert_true(l->k_offset >= at && l->k_offset % 64 == 0);
        assert_true(l->v_offset >= l->k_offset + need && l->v_offset % 64 == 0);
        at = l->v_offset + need;
    }
    assert_true(at <= bytes);
    kv_pages_destroy(kv);
}

static void refuses_layers_that_overflow(void **state)
{
    (void)state;
    const struct lm_kv_shape huge[] = { { INT32_MAX, INT32_MAX, 0, 0 },
                                        { INT32_MAX, INT32_MAX, 0, 8 } };
    const struct lm_kv_shape none = { 0, 8, 0, 8 };
    struct kv_group_plan plan[3];

    assert_int_equal(kv_plan_groups(huge, 2, DT_F32, plan), -1);
    assert_int_equal(kv_plan_groups(&none, 1, DT_F32, plan), -1);
    assert_int_equal(kv_plan_groups(shapes, 1, DT_I8, plan), -1);
}

/* A layer takes the room of its own type, whatever the store's floats are; in a group of mixed
 * windows, too. */
static void quantised_layers_take_less_room(void **state)
{
    static const struct lm_kv_shape mixed_types[] = {
        { 2, 64, 0, 8 }, { 2, 64, 0, 4 }, { 2, 64, 0, 0 }, { 1, 7, 100, 4 }, { 3, 64, 100, 8 },
    };
    static const size_t rows[] = { 64, 32, 128, 4, 64 };
    static const enum dtype types[] = { DT_I8, DT_U8, DT_F16, DT_U8, DT_I8 };
    const struct kv_pages_config cfg = {
        .shapes = mixed_types, .n_layers = 5, .dtype = DT_F16, .n_pages = (int[]){ 2, 3 }
    };
    struct kv_pages *kv = NULL;
    struct lm *lm = *state;

    assert_int_equal(kv_pages_create(&kv, lm->backend, &cfg, NULL), ST_OK);
    const struct kv_store *s = kv_pages_store(kv);
    size_t at[2] = { 0 };
    for (int i = 0; i < 5; i++) {
        const struct kv_layer *l = &s->layers[i];
        const size_t bytes = (size_t)l->n_heads * KV_PAGE_TOKENS * rows[i];

        assert_int_equal(l->dtype, types[i]);
        assert_int_equal(l->k_offset, at[l->group]);
        assert_int_equal(l->v_offset, at[l->group] + bytes);
        at[l->group] += 2 * bytes;
    }
    assert_int_equal(s->groups[0].page_bytes, at[0]);
    assert_int_equal(s->groups[1].page_bytes, at[1]);
    assert_int_equal(s->buf->size, 2 * at[0] + 3 * at[1]);
    kv_pages_destroy(kv);
}

static void hands_out_each_page_once(void **state)
{
    struct kv_pages *kv = make(*state, 5, true);
    bool seen[5] = { false };

    for (int i = 0; i < 5; i++) {
        const int32_t p = kv_pages_take(kv, 0);
        assert_in_range(p, 0, 4);
        assert_false(seen[p]);
        seen[p] = true;
    }
    assert_int_equal(kv_pages_take(kv, 0), -1);
    assert_int_equal(kv_pages_used(kv), 5);
    kv_pages_unref(kv, 0, 3);
    assert_int_equal(kv_pages_available(kv, 0), 1);
    assert_int_equal(kv_pages_take(kv, 0), 3);
    kv_pages_destroy(kv);
}

static void a_shared_page_stays_until_its_last_reference(void **state)
{
    struct kv_pages *kv = make(*state, 2, false);
    const int32_t p = kv_pages_take(kv, 0);

    kv_pages_ref(kv, 0, p);
    kv_pages_unref(kv, 0, p);
    assert_int_equal(kv_pages_used(kv), 1);
    kv_pages_unref(kv, 0, p);
    assert_int_equal(kv_pages_used(kv), 0);
    assert_int_equal(kv_pages_available(kv, 0), 2);
    kv_pages_destroy(kv);
}

/* Takes n pages of each group, publishes them as the chain of ids, and gives them up. pages
 * [groups][n]. */
static void publish_chain(struct kv_pages *kv, int32_t root, const int32_t *ids, int n,
                          int32_t *pages)
{
    const struct kv_table table = { pages, (size_t)n };
    int32_t chain = root;

    for (int i = 0; i < n; i++) {
        for (int g = 0; g < kv_pages_groups(kv); g++) {
            pages[g * n + i] = kv_pages_take(kv, g);
            assert_true(pages[g * n + i] >= 0);
        }
        kv_pages_publish(kv, table, i, ids + (size_t)i * KV_PAGE_TOKENS, &chain);
    }
    kv_chain_unref(kv, chain);
    for (int g = 0; g < kv_pages_groups(kv); g++)
        for (int i = n; i-- > 0;) kv_pages_unref(kv, g, pages[g * n + i]);
}

/* pages [groups][n] */
static int match(struct kv_pages *kv, int32_t root, const int32_t *ids, int n, int32_t *pages)
{
    int32_t chain = root;
    const int found = kv_pages_match(kv, ids, n, (struct kv_table){ pages, (size_t)n }, &chain);

    kv_chain_unref(kv, chain);
    for (int g = 0; g < kv_pages_groups(kv); g++)
        for (int i = found; i-- > 0;)
            if (pages[g * n + i] >= 0) kv_pages_unref(kv, g, pages[g * n + i]);
    return found;
}

/* One group: publishes page as the next of a chain. */
static void publish(struct kv_pages *kv, int32_t page, const int32_t *ids, int32_t *chain)
{
    kv_pages_publish(kv, (struct kv_table){ &page, 1 }, 0, ids, chain);
}

static void finds_a_prefix_by_its_tokens(void **state)
{
    struct kv_pages *kv = make(*state, 8, true);
    int32_t ids[3 * KV_PAGE_TOKENS], other[3 * KV_PAGE_TOKENS], pages[3], found[3];

    fill(ids, 3 * KV_PAGE_TOKENS, 100);
    memcpy(other, ids, sizeof ids);
    other[2 * KV_PAGE_TOKENS - 1]++; /* the last token of the second page */
    publish_chain(kv, KV_CHAIN_ROOT, ids, 3, pages);
    assert_int_equal(kv_pages_cached(kv), 3);
    assert_int_equal(kv_pages_available(kv, 0), 8);

    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 3, found), 3);
    assert_memory_equal(found, pages, sizeof pages);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, other, 3, found), 1);
    assert_int_equal(match(kv, KV_CHAIN_ROOT_LONG, ids, 3, found), 0);
    /* the second page alone is no prefix */
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids + KV_PAGE_TOKENS, 2, found), 0);
    kv_pages_destroy(kv);
}

/* A hash of one bit: every page collides with half of all others, and only the right one is found.
 */
static void colliding_hashes_are_told_apart(void **state)
{
    struct lm *lm = *state;
    const struct kv_pages_config cfg = { .shapes = shapes,
                                         .n_layers = 2,
                                         .dtype = DT_F16,
                                         .n_pages = &(int){ 40 },
                                         .prefix_cache = true,
                                         .hash_bits = 1 };
    int32_t ids[10][2 * KV_PAGE_TOKENS], pages[10][2], found[2];
    struct kv_pages *kv = NULL;

    assert_int_equal(kv_pages_create(&kv, lm->backend, &cfg, NULL), ST_OK);
    for (int i = 0; i < 10; i++) {
        fill(ids[i], KV_PAGE_TOKENS, 1000 * i);
        fill(ids[i] + KV_PAGE_TOKENS, KV_PAGE_TOKENS, 77); /* the same tokens after each head */
        publish_chain(kv, KV_CHAIN_ROOT, ids[i], 2, pages[i]);
    }
    assert_int_equal(kv_pages_cached(kv), 20);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[i], 2, found), 2);
        assert_memory_equal(found, pages[i], sizeof found);
        ids[i][5]++;
        assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[i], 2, found), 0);
    }
    for (int i = 0; i < 40; i++)
        assert_true(kv_pages_take(kv, 0) >= 0); /* evicts from shared buckets */
    kv_pages_destroy(kv);
}

static void a_matched_page_is_in_use(void **state)
{
    struct kv_pages *kv = make(*state, 2, true);
    int32_t ids[KV_PAGE_TOKENS], pages[1], found[1];
    int32_t chain = KV_CHAIN_ROOT;

    fill(ids, KV_PAGE_TOKENS, 1);
    publish_chain(kv, KV_CHAIN_ROOT, ids, 1, pages);
    assert_int_equal(kv_pages_match(kv, ids, 1, (struct kv_table){ found, 1 }, &chain), 1);
    assert_int_equal(kv_pages_used(kv), 1);
    assert_true(kv_pages_take(kv, 0) >= 0);
    assert_int_equal(kv_pages_take(kv, 0), -1); /* the matched one is not for taking */
    kv_pages_destroy(kv);
}

static void evicts_the_least_recently_used_first(void **state)
{
    struct kv_pages *kv = make(*state, 3, true);
    int32_t ids[3][KV_PAGE_TOKENS], page[3], found[1];

    for (int i = 0; i < 3; i++) {
        fill(ids[i], KV_PAGE_TOKENS, 1000 * i);
        publish_chain(kv, KV_CHAIN_ROOT, ids[i], 1, &page[i]);
    }
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[0], 1, found),
                     1); /* touched: 1 is the oldest now */
    assert_int_equal(kv_pages_take(kv, 0), page[1]);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[1], 1, found), 0);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[2], 1, found), 1);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[0], 1, found), 1);
    assert_int_equal(kv_pages_take(kv, 0), page[2]);
    kv_pages_destroy(kv);
}

static void of_a_chain_the_tail_goes_first(void **state)
{
    struct kv_pages *kv = make(*state, 3, true);
    int32_t ids[3 * KV_PAGE_TOKENS], pages[3], found[3];

    fill(ids, 3 * KV_PAGE_TOKENS, 5);
    publish_chain(kv, KV_CHAIN_ROOT, ids, 3, pages);
    assert_int_equal(kv_pages_take(kv, 0), pages[2]);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 3, found), 2);
    kv_pages_destroy(kv);
}

/* The head of a chain is evicted while its tail lives, and its page is used for other tokens: the
 * tail must not become the continuation of those. */
static void an_orphaned_tail_is_never_found(void **state)
{
    struct kv_pages *kv = make(*state, 3, true);
    int32_t ids[2 * KV_PAGE_TOKENS], other[KV_PAGE_TOKENS], found[2];
    int32_t chain = KV_CHAIN_ROOT;

    fill(ids, 2 * KV_PAGE_TOKENS, 5);
    fill(other, KV_PAGE_TOKENS, 900);
    const int32_t head = kv_pages_take(kv, 0), tail = kv_pages_take(kv, 0);
    publish(kv, head, ids, &chain);
    publish(kv, tail, ids + KV_PAGE_TOKENS, &chain);
    kv_pages_unref(kv, 0, head); /* the tail stays in use */
    (void)kv_pages_take(kv, 0);
    assert_int_equal(kv_pages_take(kv, 0), head);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 2, found), 0);

    chain = KV_CHAIN_ROOT;
    publish(kv, head, other, &chain);
    memcpy(ids, other, sizeof other); /* other's page, then the tokens of the orphan */
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 2, found), 1);
    kv_pages_destroy(kv);
}

/* Two timelines with the same tokens: the second one's pages stay private, and its chain goes on
 * under the first one's name. */
static void publishing_twice_keeps_the_first(void **state)
{
    struct kv_pages *kv = make(*state, 4, true);
    int32_t ids[2 * KV_PAGE_TOKENS], found[2];
    int32_t a = KV_CHAIN_ROOT, b = KV_CHAIN_ROOT;

    fill(ids, 2 * KV_PAGE_TOKENS, 5);
    const int32_t a0 = kv_pages_take(kv, 0), b0 = kv_pages_take(kv, 0), b1 = kv_pages_take(kv, 0);
    publish(kv, a0, ids, &a);
    publish(kv, b0, ids, &b);
    assert_true(a == b);
    publish(kv, b1, ids + KV_PAGE_TOKENS, &b);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 2, found), 2);
    assert_int_equal(found[0], a0);
    assert_int_equal(found[1], b1);
    kv_pages_unref(kv, 0, b0);
    assert_int_equal(kv_pages_cached(kv), 0);
    assert_int_equal(kv_pages_available(kv, 0), 2);
    kv_pages_destroy(kv);
}

static void without_prefix_cache_nothing_is_kept(void **state)
{
    struct kv_pages *kv = make(*state, 2, false);
    int32_t ids[KV_PAGE_TOKENS], pages[1], found[1];

    fill(ids, KV_PAGE_TOKENS, 5);
    publish_chain(kv, KV_CHAIN_ROOT, ids, 1, pages);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 1, found), 0);
    assert_int_equal(kv_pages_cached(kv), 0);
    kv_pages_destroy(kv);
}

/* ---- windows ---- */

enum { WINDOW = 100 };
static const struct lm_kv_shape mixed[] = { { 2, 5, 0, 0 }, { 1, 16, WINDOW, 0 }, { 1, 7, 0, 0 } };

static struct kv_pages *make_mixed(struct lm *lm, int n_full, int n_windowed)
{
    const struct kv_pages_config cfg = { .shapes = mixed,
                                         .n_layers = 3,
                                         .dtype = DT_F16,
                                         .n_pages = (int[]){ n_full, n_windowed },
                                         .prefix_cache = true };
    struct kv_pages *kv = NULL;

    assert_int_equal(kv_pages_create(&kv, lm->backend, &cfg, NULL), ST_OK);
    return kv;
}

static void layers_of_one_window_share_pages(void **state)
{
    struct kv_pages *kv = make_mixed(*state, 3, 2);
    const struct kv_store *s = kv_pages_store(kv);

    assert_int_equal(s->n_groups, 2);
    assert_int_equal(s->layers[0].group, 0);
    assert_int_equal(s->layers[1].group, 1);
    assert_int_equal(s->layers[2].group, 0);
    assert_true(s->layers[2].k_offset > s->layers[0].v_offset);
    assert_int_equal(s->layers[1].k_offset, 0);
    assert_int_equal(kv_pages_window(kv, 0), 0);
    assert_int_equal(kv_pages_window(kv, 1), WINDOW);
    assert_int_equal(s->groups[0].n_pages, 3);
    assert_int_equal(s->groups[1].n_pages, 2);
    assert_true(s->groups[1].offset >= 3 * s->groups[0].page_bytes);
    assert_true(s->buf->size >= s->groups[1].offset + 2 * s->groups[1].page_bytes);
    assert_int_equal(kv_pages_total(kv), 5);
    kv_pages_destroy(kv);
}

static void a_window_begins_in_the_page_of_its_oldest_position(void **state)
{
    (void)state;
    for (int window = 1; window < 300; window += 7)
        for (int64_t pos = 0; pos < 500; pos++) {
            const int64_t oldest = pos - window + 1 > 0 ? pos - window + 1 : 0;
            assert_int_equal(kv_first_page(window, pos), oldest / KV_PAGE_TOKENS);
        }
    assert_int_equal(kv_first_page(0, 1 << 20), 0);
    assert_int_equal(kv_pages_spanned(1), 1);
    assert_int_equal(kv_pages_spanned(2), 2); /* the last of a page, and the next */
    assert_int_equal(kv_pages_spanned(KV_PAGE_TOKENS + 1), 2);
    assert_int_equal(kv_pages_spanned(KV_PAGE_TOKENS + 2), 3);
}

/* Five pages; the token after n of them looks through the window of 100 at page n - 2 and n - 1. */
static void a_prefix_is_found_where_its_window_is_whole(void **state)
{
    enum { N = 5 };
    struct kv_pages *kv = make_mixed(*state, 8, 8);
    int32_t ids[N * KV_PAGE_TOKENS], pages[2 * N], found[2 * N];

    fill(ids, N * KV_PAGE_TOKENS, 5);
    publish_chain(kv, KV_CHAIN_ROOT, ids, N, pages);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, N, found), N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(found[i], pages[i]);
        assert_int_equal(found[N + i], i < N - 2 ? -1 : pages[N + i]);
    }
    /* The match touched the last two; the others go first, the newest of those given up first. */
    for (int i = 0; i < 3; i++) (void)kv_pages_take(kv, 1); /* the free ones */
    assert_int_equal(kv_pages_take(kv, 1), pages[N + 2]);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, N, found), N);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, 4, found), 2); /* 3 and 4 look at page 2 */
    assert_int_equal(kv_pages_take(kv, 1), pages[N + 4]);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, N, found), 2);
    kv_pages_destroy(kv);
}

/* Only windowed pages are missing in the middle: who computes them again makes them known. */
static void a_missing_window_is_filled_in_again(void **state)
{
    enum { N = 4 };
    struct kv_pages *kv = make_mixed(*state, 8, 4);
    int32_t ids[N * KV_PAGE_TOKENS], pages[2 * N], found[2 * N], taken[4];

    fill(ids, N * KV_PAGE_TOKENS, 5);
    publish_chain(kv, KV_CHAIN_ROOT, ids, N, pages);
    for (int i = 0; i < 4; i++) taken[i] = kv_pages_take(kv, 1);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, N, found), 0);
    for (int i = 0; i < 4; i++) kv_pages_unref(kv, 1, taken[i]);
    publish_chain(kv, KV_CHAIN_ROOT, ids, N, pages);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids, N, found), N);
    assert_int_equal(kv_pages_cached(kv), 2 * N); /* of the others the first ones stay */
    kv_pages_destroy(kv);
}

/* Nobody leaves a chain: more chains than the tree has places for, each of which a timeline still
 * follows. The next ones are not followed, and nothing breaks. */
static void a_full_tree_stops_following(void **state)
{
    enum { N = 40 };
    struct kv_pages *kv = make_mixed(*state, 4, 4);
    int32_t ids[N][KV_PAGE_TOKENS], chain[N], found[2];
    int followed = 0;

    for (int i = 0; i < N; i++) {
        int32_t none[2] = { -1, -1 };
        fill(ids[i], KV_PAGE_TOKENS, i * 1000);
        chain[i] = KV_CHAIN_ROOT;
        kv_pages_publish(kv, (struct kv_table){ none, 1 }, 0, ids[i], &chain[i]);
        followed += chain[i] != KV_CHAIN_NONE;
    }
    assert_true(followed >= 8 && followed < N);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[0], 1, found), 0);
    for (int i = 0; i < N; i++) kv_chain_unref(kv, chain[i]);
    int32_t pages[2];
    publish_chain(kv, KV_CHAIN_ROOT, ids[N - 1], 1, pages);
    assert_int_equal(match(kv, KV_CHAIN_ROOT, ids[N - 1], 1, found), 1);
    kv_pages_destroy(kv);
}

static void copies_a_page_wherever_its_memory_is(void **state)
{
    (void)state;
    for (int device = 0; device < 2; device++) {
        const struct fake_options options = { .device_memory = device != 0 };
        struct lm *lm = fake_lm_create(&options);
        struct kv_pages *kv = make(lm, 3, false);
        const struct kv_store *s = kv_pages_store(kv);
        char *base = s->buf->handle;

        const size_t n = s->groups[0].page_bytes;

        for (size_t i = 0; i < 3 * n; i++) base[i] = (char)(i * 7 + i / n);
        assert_int_equal(kv_pages_copy(kv, 0, 2, 0, NULL), ST_OK);
        assert_memory_equal(base + 2 * n, base, n);
        assert_int_equal(base[n], (char)(n * 7 + 1));
        kv_pages_destroy(kv);
        lm->ops->close(lm);
    }
}

static void taking_and_giving_never_allocates(void **state)
{
    struct kv_pages *kv = make(*state, 4, true);
    int32_t ids[KV_PAGE_TOKENS], pages[1];
    const uint64_t before = mem_alloc_count();

    for (int i = 0; i < 50; i++) {
        fill(ids, KV_PAGE_TOKENS, i * 64);
        publish_chain(kv, KV_CHAIN_ROOT, ids, 1, pages);
    }
    assert_int_equal(mem_alloc_count(), before);
    assert_int_equal(kv_pages_cached(kv), 4);
    kv_pages_destroy(kv);
}

static void every_failed_allocation_is_reported(void **state)
{
    struct lm *lm = *state;
    const int n_pages = 4;
    const struct kv_pages_config cfg = {
        .shapes = shapes, .n_layers = 2, .dtype = DT_F32, .n_pages = &n_pages, .prefix_cache = true
    };
    int failures = 0;

    for (uint64_t n = 1;; n++) {
        struct kv_pages *kv = NULL;
        mem_fail_after(n, 0);
        const status st = kv_pages_create(&kv, lm->backend, &cfg, NULL);
        mem_fail_after(0, 0);
        if (st == ST_OK) {
            kv_pages_destroy(kv);
            break;
        }
        assert_int_equal(st, ST_NOMEM);
        assert_null(kv);
        failures++;
    }
    assert_true(failures >= 5);
}

static int setup(void **state)
{
    *state = fake_lm_create(NULL);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct lm *lm = *state;
    lm->ops->close(lm);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_lie_apart_within_a_page),
        cmocka_unit_test(refuses_layers_that_overflow),
        cmocka_unit_test(quantised_layers_take_less_room),
        cmocka_unit_test(hands_out_each_page_once),
        cmocka_unit_test(a_shared_page_stays_until_its_last_reference),
        cmocka_unit_test(finds_a_prefix_by_its_tokens),
        cmocka_unit_test(colliding_hashes_are_told_apart),
        cmocka_unit_test(a_matched_page_is_in_use),
        cmocka_unit_test(evicts_the_least_recently_used_first),
        cmocka_unit_test(of_a_chain_the_tail_goes_first),
        cmocka_unit_test(an_orphaned_tail_is_never_found),
        cmocka_unit_test(publishing_twice_keeps_the_first),
        cmocka_unit_test(without_prefix_cache_nothing_is_kept),
        cmocka_unit_test(layers_of_one_window_share_pages),
        cmocka_unit_test(a_window_begins_in_the_page_of_its_oldest_position),
        cmocka_unit_test(a_prefix_is_found_where_its_window_is_whole),
        cmocka_unit_test(a_missing_window_is_filled_in_again),
        cmocka_unit_test(a_full_tree_stops_following),
        cmocka_unit_test(copies_a_page_wherever_its_memory_is),
        cmocka_unit_test(taking_and_giving_never_allocates),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
