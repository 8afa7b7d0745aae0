/* SPDX-License-Identifier: MIT */
/* Settings of an embedding model: any bytes in modules.json, the pooling's config.json and the
 * files beside them give settings whose promises hold, or an error that names the file. The input
 * is the files' texts one after another, a line "---" between them. */
#include "tests/fuzz/fuzz.h"
#include "models/models.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const files[] = { "modules.json",
                                     "1_Pooling/config.json",
                                     "config_sentence_transformers.json",
                                     "sentence_bert_config.json",
                                     "config.json",
                                     "tokenizer_config.json" };

static void no_log(void *user, enum log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static const char *path_of(const char *dir, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* What comes before the next separator; *left is what comes after it. */
static size_t next_part(const char *text, size_t *left)
{
    static const char line[] = "\n---\n";
    const size_t n = *left;

    for (size_t i = 0; i + sizeof line - 1 <= n; i++) {
        if (memcmp(text + i, line, sizeof line - 1) != 0) continue;
        *left = n - i - (sizeof line - 1);
        return i;
    }
    *left = 0;
    return n;
}

static void write_files(const char *dir, const char *text, size_t n)
{
    struct err err = { 0 };

    (void)mkdir(path_of(dir, "1_Pooling"), 0755);
    for (size_t i = 0; i < COUNT(files) && n > 0; i++) {
        const size_t before = n, part = next_part(text, &n);

        (void)os_write_file(path_of(dir, files[i]), text, part, &err);
        text += before - n;
    }
}

static void remove_files(const char *dir)
{
    for (size_t i = 0; i < COUNT(files); i++) (void)unlink(path_of(dir, files[i]));
    (void)rmdir(path_of(dir, "1_Pooling"));
    (void)rmdir(dir);
}

static void check(const struct model_embedding *e)
{
    assert(e->pooling < 2u * MODEL_POOL_LAST);
    assert(e->length_max >= 0 && e->length_max <= 1 << 24);
    for (size_t i = 0; i < e->n_prompts; i++) {
        assert(e->prompts[i].name && e->prompts[i].text);
        assert(model_embedding_prompt(e, e->prompts[i].name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[] = "/tmp/cupola_fuzz_XXXXXX";
    struct model_folder m = { 0 };
    struct model_embedding e;
    struct arena a = { 0 };
    struct err err = { 0 };

    log_configure(LOG_ERROR, no_log, NULL);
    if (!mkdtemp(dir)) return 0;
    write_files(dir, (const char *)data, size);
    m.dir = dir;
    arena_init(&a, 16 << 20);
    if (model_embedding_read(&m, &a, &e, &err) == ST_OK)
        check(&e);
    else
        assert(strstr(err.text, ".json"));
    arena_fini(&a);
    remove_files(dir);
    return 0;
}
