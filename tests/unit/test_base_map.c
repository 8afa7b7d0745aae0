/* SPDX-License-Identifier: MIT */
/* Maps and hashes: against a plain array, under collisions and removal; SHA-256 against FIPS 180
 * examples. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { KEYS = 4000 };

static char keys[KEYS][16];

static void sets_replaces_and_removes(void **state)
{
    struct map m = { 0 };
    uint64_t v = 0;

    (void)state;
    assert_false(map_get(&m, "a", 1, &v));
    assert_false(map_remove(&m, "a", 1));
    assert_true(map_set(&m, "a", 1, 1));
    assert_true(map_set(&m, "a", 1, 2));
    assert_true(map_set(&m, "a\0b", 3, 3));
    assert_true(map_set(&m, "", 0, 4));
    assert_int_equal(m.count, 3);
    assert_true(map_get(&m, "a", 1, &v));
    assert_int_equal(v, 2);
    assert_true(map_get(&m, "a\0b", 3, &v));
    assert_int_equal(v, 3);
    assert_true(map_get(&m, "", 0, &v));
    assert_int_equal(v, 4);
    assert_false(map_get(&m, "b", 1, &v));
    assert_true(map_get(&m, "a", 1, NULL));
    assert_true(map_remove(&m, "a", 1));
    assert_false(map_get(&m, "a", 1, &v));
    assert_int_equal(m.count, 2);
    map_fini(&m);
}

/* Three quarters full and linear probing: most keys share a run with others. */
static void agrees_with_an_array_under_many_removals(void **state)
{
    struct map m = { 0 };
    bool present[KEYS] = { false };
    uint32_t x = 12345;
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < KEYS; i++) (void)snprintf(keys[i], sizeof keys[i], "key%zu", i);
    for (int step = 0; step < 60000; step++) {
        x = x * 1664525u + 1013904223u;
        const size_t i = (x >> 8) % KEYS;
        if (x >> 31) {
            assert_true(map_set(&m, keys[i], strlen(keys[i]), i));
            count += !present[i];
            present[i] = true;
        } else {
            assert_int_equal(map_remove(&m, keys[i], strlen(keys[i])), present[i]);
            count -= present[i];
            present[i] = false;
        }
        assert_int_equal(m.count, count);
    }
    for (size_t i = 0; i < KEYS; i++) {
        uint64_t v = 0;
        assert_int_equal(map_get(&m, keys[i], strlen(keys[i]), &v), present[i]);
        if (present[i]) assert_int_equal(v, i);
    }
    map_fini(&m);
}

static void iteration_visits_each_key_once(void **state)
{
    struct map m = { 0 };
    uint64_t sum = 0, v;
    size_t pos = 0, n, seen = 0;
    const void *key;

    (void)state;
    for (size_t i = 0; i < KEYS; i++) assert_true(map_set(&m, &keys[i], sizeof keys[i], i));
    for (; map_next(&m, &pos, &key, &n, &v); seen++) {
        assert_int_equal(n, sizeof keys[0]);
        sum += v;
    }
    assert_int_equal(seen, m.count);
    assert_true(sum == (uint64_t)KEYS * (KEYS - 1) / 2);
    map_fini(&m);
}

static void reserve_means_no_allocation_later(void **state)
{
    struct map m = { 0 };

    (void)state;
    assert_true(map_reserve(&m, KEYS));
    const uint64_t before = mem_alloc_count();
    for (size_t i = 0; i < KEYS; i++) assert_true(map_set(&m, &keys[i], sizeof keys[i], i));
    assert_int_equal(mem_alloc_count(), before);
    assert_false(map_reserve(&m, SIZE_MAX / 2));
    map_fini(&m);
}

static void lack_of_memory_leaves_the_map_whole(void **state)
{
    struct map m = { 0 };
    size_t set = 0;

    (void)state;
    assert_true(map_reserve(&m, 12));
    mem_fail_after(1, 1);
    while (set < KEYS && map_set(&m, &keys[set], sizeof keys[set], set)) set++;
    mem_fail_after(0, 0);
    assert_in_range(set, 12, 31);
    for (size_t i = 0; i < set; i++) assert_true(map_get(&m, &keys[i], sizeof keys[i], NULL));
    map_fini(&m);
}

/* Each input bit must flip about half of the output bits, at every length. */
static void hash_avalanches(void **state)
{
    unsigned char data[40];

    (void)state;
    for (size_t n = 1; n <= sizeof data; n++) {
        memset(data, 0x5A, sizeof data);
        const uint64_t h = hash_bytes(data, n, 1);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            data[bit / 8] ^= (unsigned char)(1u << bit % 8);
            const int flipped = __builtin_popcountll(h ^ hash_bytes(data, n, 1));
            assert_in_range(flipped, 8, 56);
            data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_true(h != hash_bytes(data, n, 2));
        assert_true(h != hash_bytes(data, n - 1, 1));
    }
    assert_true(hash_bytes("\0", 1, 1) != hash_bytes("\0\0", 2, 1));
    assert_true(hash_process_seed() == hash_process_seed());
}

static void sha256_matches_fips_180(void **state)
{
    char hex[65], path[] = "/tmp/cupola-hash-XXXXXX";
    struct err err = { 0 };

    (void)state;
    assert_int_equal(hash_sha256("", 0, hex, &err), ST_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(close(fd), 0);
    assert_int_equal(hash_sha256_file(path, hex, &err), ST_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(hash_sha256_file(path, hex, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_replaces_and_removes),
        cmocka_unit_test(agrees_with_an_array_under_many_removals),
        cmocka_unit_test(iteration_visits_each_key_once),
        cmocka_unit_test(reserve_means_no_allocation_later),
        cmocka_unit_test(lack_of_memory_leaves_the_map_whole),
        cmocka_unit_test(hash_avalanches),
        cmocka_unit_test(sha256_matches_fips_180),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
