/* SPDX-License-Identifier: MIT */
#include "helper_api.h"
#include <string.h>

void ok(int32_t status, const struct cupola_error *error)
{
    if (status != CUPOLA_OK) fail_msg("%s", error->text);
    assert_int_equal(error->status, CUPOLA_OK);
    assert_string_equal(error->text, "");
}

void refused(int32_t status, const struct cupola_error *error, int32_t want, const char *part)
{
    if (status != want || error->status != want || !strstr(error->text, part))
        fail_msg("expected %s with \"%s\", got %s: \"%s\"", cupola_status_text(want), part,
                 cupola_status_text(status), error->text);
}

struct cupola_model *model_of(const char *path, const struct cupola_options *options)
{
    struct cupola_error error;
    struct cupola_model *m;

    ok(cupola_model_open(&m, path, options, &error), &error);
    return m;
}

struct cupola_session *session_of(struct cupola_model *m)
{
    struct cupola_error error;
    struct cupola_session *s;

    ok(cupola_session_create(&s, m, &error), &error);
    return s;
}

size_t width_of(const struct cupola_model *m)
{
    struct cupola_model_info info = { .size = sizeof info };
    struct cupola_error error;

    ok(cupola_model_info(m, &info, &error), &error);
    return (size_t)info.row_width;
}

void ids_fill(int32_t *ids, size_t n, const struct cupola_model *m, uint32_t seed)
{
    const size_t vocab = width_of(m);

    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525U + 1013904223U;
        ids[i] = (int32_t)((seed >> 8) % vocab);
    }
}

void generate(struct cupola_model *m, struct cupola_session *s,
              const struct cupola_sampling *sampling, struct prompt prompt, int32_t *out, size_t n)
{
    struct cupola_error error;
    struct cupola_sampler *sampler;

    ok(cupola_session_feed(s, prompt.ids, prompt.n, &error), &error);
    ok(cupola_sampler_create(&sampler, (int64_t)width_of(m), sampling, &error), &error);
    ok(cupola_sampler_see(sampler, prompt.ids, prompt.n, &error), &error);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) ok(cupola_session_feed(s, &out[i - 1], 1, &error), &error);
        ok(cupola_session_sample(s, sampler, &out[i], NULL, &error), &error);
    }
    cupola_sampler_destroy(sampler);
}
