/* SPDX-License-Identifier: MIT */
/* The body of POST /v1/embeddings: any bytes give native values within their limits, or an error
 * object in valid UTF-8. */
#include "server/openai_embed_parse.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <string.h>

static void check(const struct embed_body *b)
{
    assert(b->model && b->n_inputs > 0 && b->n_inputs <= EMBED_INPUTS_MAX && b->dimensions >= 0);
    for (size_t i = 0; i < b->n_inputs; i++) {
        const struct embed_input *in = &b->inputs[i];

        assert(in->text ? utf8_valid(in->text, in->n_text) : in->n_ids > 0);
        for (size_t k = 0; k < in->n_ids; k++) assert(in->ids[k] >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct embed_body body;
    struct api_error e = { 0 };
    struct str json = { 0 };

    arena_init(&a, 16 << 20);
    const bool ok = embed_body_parse(&body, (const char *)data, size, &a, &e);
    assert(ok != e.set);
    if (ok) check(&body);
    if (!ok) api_error_json(&e, &json);
    assert(utf8_valid(str_cstr(&json), json.len));
    str_fini(&json);
    arena_fini(&a);
    return 0;
}
