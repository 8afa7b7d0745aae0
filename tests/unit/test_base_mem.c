/* SPDX-License-Identifier: MIT */
/* Memory door and arenas: alignment, counting, injected faults, limits. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void counts_every_allocation(void **state)
{
    (void)state;
    const uint64_t before = mem_alloc_count();
    void *a = mem_alloc(0), *b = mem_calloc(3, 5);
    char *c = mem_strdup("abc"), *d = mem_strndup("abcdef", 2);
    void *e = mem_alloc_aligned(64, 100);
    a = mem_realloc(a, 10);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(mem_alloc_count() - before, 6);
    assert_string_equal(c, "abc");
    assert_string_equal(d, "ab");
    assert_int_equal((uintptr_t)e % 64, 0);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(d);
    mem_free_aligned(e);
}

static void sizes_that_overflow_fail(void **state)
{
    (void)state;
    assert_null(mem_calloc(SIZE_MAX / 2, 3));
    assert_null(mem_realloc_array(NULL, SIZE_MAX / 2, 3));
}

static void chosen_allocation_fails_once_or_for_ever(void **state)
{
    void *p[3];

    (void)state;
    mem_fail_after(2, 0);
    for (int i = 0; i < 3; i++) p[i] = mem_alloc(1);
    mem_fail_after(0, 0);
    assert_non_null(p[0]);
    assert_null(p[1]);
    assert_non_null(p[2]);
    mem_free(p[0]);
    mem_free(p[2]);

    mem_fail_after(1, 1);
    for (int i = 0; i < 3; i++) p[i] = mem_alloc(1);
    mem_fail_after(0, 0);
    for (int i = 0; i < 3; i++) assert_null(p[i]);
    p[0] = mem_alloc(1);
    assert_non_null(p[0]);
    mem_free(p[0]);
}

static void large_blocks_start_on_huge_pages(void **state)
{
    (void)state;
    unsigned char *p = mem_alloc_aligned(64, (4u << 20) + 100);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % (2u << 20), 0);
    p[(4u << 20) + 99] = 1;
    mem_free_aligned(p);
}

static void arena_gives_aligned_zeroed_memory(void **state)
{
    struct arena a = { 0 };

    (void)state;
    for (size_t size = 0; size < 300; size += 7) {
        unsigned char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) assert_int_equal(p[i], 0);
        memset(p, 0xAA, size);
    }
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    const unsigned char *again = arena_alloc(&a, 200);
    for (size_t i = 0; i < 200; i++) assert_int_equal(again[i], 0);
    for (int round = 0; round < 3; round++) { /* so large that it comes in zeroed pages */
        unsigned char *p = arena_alloc(&a, 3 << 20);
        assert_non_null(p);
        for (size_t i = 0; i < 3 << 20; i++) assert_int_equal(p[i], 0);
        memset(p, 0xAA, (size_t)(1 + round) << 20);
        arena_reset(&a);
    }
    arena_reserve(&a, 5 << 20); /* one block for both */
    const unsigned char *one = arena_alloc(&a, 2 << 20), *two = arena_alloc(&a, 2 << 20);
    assert_ptr_equal(one + (2 << 20), two);
    arena_fini(&a);
    assert_null(a.head);
}

static void arena_reset_reuses_its_largest_block(void **state)
{
    struct arena a = { 0 };

    (void)state;
    assert_non_null(arena_alloc(&a, 10));
    assert_non_null(arena_alloc(&a, 100000));
    assert_non_null(arena_alloc(&a, 3 << 20));
    arena_reset(&a);
    const uint64_t before = mem_alloc_count();
    assert_non_null(arena_alloc(&a, 2 << 20));
    assert_non_null(arena_alloc(&a, 1 << 20));
    assert_int_equal(mem_alloc_count(), before);
    arena_fini(&a);
}

static void arena_limit_is_exact(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 160);
    for (int i = 0; i < 10; i++) assert_non_null(arena_alloc(&a, 16));
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 160));
    assert_null(arena_alloc(&a, 1));
    arena_fini(&a);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 4));
    assert_null(arena_alloc_array(&a, SIZE_MAX / 2, 4));
    assert_non_null(arena_alloc(&a, 160));
    arena_fini(&a);
}

static void arena_copies_and_prints(void **state)
{
    struct arena a = { 0 };

    (void)state;
    assert_string_equal(arena_strdup(&a, "hello"), "hello");
    assert_string_equal(arena_strndup(&a, "hello", 4), "hell");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 42), "x-42");
    assert_memory_equal(arena_memdup(&a, "a\0b", 3), "a\0b", 3);
    arena_fini(&a);
}

static void arena_grow_keeps_items(void **state)
{
    struct arena a = { 0 };
    uint32_t *items = NULL;
    size_t cap = 0;

    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        items = arena_grow(&a, items, &cap, i + 1, sizeof *items);
        assert_non_null(items);
        assert_true(cap > i);
        items[i] = i;
        if (i % 1000 == 999) assert_non_null(arena_alloc(&a, 8)); /* now it cannot grow in place */
    }
    for (uint32_t i = 0; i < 5000; i++) assert_int_equal(items[i], i);
    assert_null(arena_grow(&a, items, &cap, SIZE_MAX / 2, sizeof *items));
    arena_fini(&a);
}

static void arena_grow_in_place_zeroes_the_new_part(void **state)
{
    struct arena a = { 0 };
    size_t cap = 0;

    (void)state;
    unsigned char *p = arena_alloc(&a, 1024);
    memset(p, 0xFF, 1024);
    arena_reset(&a);
    unsigned char *items = arena_grow(&a, NULL, &cap, 8, 1);
    unsigned char *grown = arena_grow(&a, items, &cap, 500, 1);
    assert_ptr_equal(items, grown);
    for (size_t i = 0; i < cap; i++) assert_int_equal(grown[i], 0);
    arena_fini(&a);
}

static void arena_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 20; n++) {
        struct arena a = { 0 };
        size_t cap = 0, filled = 0;
        int *items = NULL;

        mem_fail_after(n, 0);
        for (size_t i = 0; i < 4000; i++) {
            int *grown = arena_grow(&a, items, &cap, i + 1, sizeof *grown);
            if (!grown) continue;
            items = grown;
            if (filled < cap) items[filled] = (int)filled, filled++;
        }
        mem_fail_after(0, 0);
        for (size_t i = 0; i < filled; i++) assert_int_equal(items[i], i);
        arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_allocation),
        cmocka_unit_test(sizes_that_overflow_fail),
        cmocka_unit_test(chosen_allocation_fails_once_or_for_ever),
        cmocka_unit_test(large_blocks_start_on_huge_pages),
        cmocka_unit_test(arena_gives_aligned_zeroed_memory),
        cmocka_unit_test(arena_reset_reuses_its_largest_block),
        cmocka_unit_test(arena_limit_is_exact),
        cmocka_unit_test(arena_copies_and_prints),
        cmocka_unit_test(arena_grow_keeps_items),
        cmocka_unit_test(arena_grow_in_place_zeroes_the_new_part),
        cmocka_unit_test(arena_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
