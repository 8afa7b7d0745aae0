/* SPDX-License-Identifier: MIT */
/* genai_config.json: any bytes give a configuration whose promises hold, or an error. */
#include "tests/fuzz/fuzz.h"
#include "models/genai_config.h"
#include <assert.h>
#include <string.h>

static void no_log(void *user, enum log_level level, const char *line)
{
    (void)user;
    (void)level;
    (void)line;
}

static void check_template(const char *text)
{
    const char *at = strchr(text, '%');
    assert(at && at[1] == 'd' && !strchr(at + 1, '%'));
}

static void check(const struct model_folder *m, const char *filename)
{
    assert(m->n_eos >= 0 && m->n_eos <= MODEL_EOS_MAX);
    for (int i = 0; i < m->n_eos; i++) assert(m->eos_ids[i] >= 0 && m->eos_ids[i] <= INT32_MAX);
    assert(m->vocab_size >= 0 && m->context_length >= 0 && m->bos_id >= -1 && m->pad_id >= -1);
    assert(m->search.top_p > 0 && m->search.top_p <= 1);
    check_template(m->io.past_key);
    check_template(m->io.past_value);
    check_template(m->io.present_key);
    check_template(m->io.present_value);
    assert(*m->io.input_ids && *m->io.logits);
    if (filename) assert(*filename && *filename != '/' && strcmp(filename, "..") != 0);
    if (filename) assert(strncmp(filename, "../", 3) != 0 && !strstr(filename, "/../"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_folder m = { 0 };
    struct err err = { 0 };
    const char *filename;

    log_configure(LOG_WARN, no_log, NULL);
    genai_config_defaults(&m);
    if (genai_config_parse(&m, "genai_config.json", (const char *)data, size, &filename, &err) ==
        ST_OK)
        check(&m, filename);
    else
        assert(strstr(err.text, "genai_config.json"));
    model_folder_fini(&m);
    return 0;
}
