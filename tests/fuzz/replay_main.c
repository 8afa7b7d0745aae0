/* SPDX-License-Identifier: MIT */
/* Replays a fuzz target's corpus: runs every file of the folders and every file named on the
 * command line. A folder that does not exist counts as empty, so that a target may come before its
 * first finding. */
#include "base/base.h"
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <string.h>

/* The input in a block of exactly its size, so that ASan sees every byte read too far. */
static status replay_file(const char *path, struct err *err)
{
    struct os_mapping map;

    TRY(os_map_file(path, &map, err));
    uint8_t *copy = mem_alloc(map.size);
    if (copy && map.size) memcpy(copy, map.data, map.size);
    const size_t n = map.size;
    os_unmap(&map);
    if (!copy) return FAIL(err, ST_NOMEM, "%s: out of memory", path);
    (void)LLVMFuzzerTestOneInput(copy, n);
    mem_free(copy);
    return ST_OK;
}

static status replay_dir(const char *dir, size_t *n_files, struct err *err)
{
    char **names;
    size_t n;

    TRY(os_list_dir(dir, &names, &n, err));
    status st = ST_OK;
    for (size_t i = 0; i < n && st == ST_OK; i++) {
        char *path = os_path_join(dir, names[i]);
        st = path ? replay_file(path, err) : FAIL(err, ST_NOMEM, "%s: out of memory", dir);
        if (path && st == ST_OK) (*n_files)++;
        mem_free(path);
    }
    os_free_list(names, n);
    return st;
}

int main(int argc, char **argv)
{
    struct err err = { 0 };
    size_t n_files = 0;

    /* The empty input is everybody's first corpus entry. */
    uint8_t *empty = mem_alloc(0);
    if (!empty) return 1;
    (void)LLVMFuzzerTestOneInput(empty, 0);
    mem_free(empty);
    for (int i = 1; i < argc; i++) {
        status st = ST_OK;
        if (os_is_dir(argv[i]))
            st = replay_dir(argv[i], &n_files, &err);
        else if (os_is_file(argv[i]))
            st = replay_file(argv[i], &err);
        else
            (void)fprintf(stderr, "%s: no corpus yet\n", argv[i]);
        if (st != ST_OK) {
            (void)fprintf(stderr, "replay: %s\n", err.text);
            return 1;
        }
    }
    (void)printf("replayed %zu corpus files\n", n_files);
    return 0;
}
