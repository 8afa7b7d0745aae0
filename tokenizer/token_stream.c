/* SPDX-License-Identifier: MIT */
/* Incremental decode: a decoding that is settled after each id, and the cleaning up that some
 * folders ask for behind it. */
#include "tokenizer/clean_up.h"
#include "tokenizer/tok_internal.h"

struct token_stream {
    const struct tokenizer *tok;
    struct decoding *decoding;
    bool skip_special, cleans_up;
    struct clean_up clean_up;
};

status token_stream_create(struct token_stream **out, const struct tokenizer *tok,
                           bool skip_special, struct err *err)
{
    struct token_stream *s = mem_calloc(1, sizeof *s);

    if (!s) return FAIL(err, ST_NOMEM, "token stream: no memory");
    s->tok = tok;
    s->skip_special = skip_special;
    const status st = decoding_create(&s->decoding, &tok->decoders, err);
    if (st != ST_OK) {
        mem_free(s);
        return st;
    }
    *out = s;
    return ST_OK;
}

void token_stream_destroy(struct token_stream *stream)
{
    if (!stream) return;
    decoding_destroy(stream->decoding);
    clean_up_fini(&stream->clean_up);
    mem_free(stream);
}

void token_stream_clean_up(struct token_stream *stream)
{
    stream->cleans_up = stream->tok->cleans_up;
}

static status give(struct token_stream *s, bool last, struct str *out, struct err *err)
{
    struct str *text = decoding_text(s->decoding);
    bool ok = true;

    if (s->cleans_up)
        ok = clean_up_push(&s->clean_up, str_cstr(text), text->len, last, out);
    else
        str_put_n(out, str_cstr(text), text->len);
    str_clear(text);
    return !ok || out->failed ? FAIL(err, ST_NOMEM, "token stream: no memory") : ST_OK;
}

status token_stream_push(struct token_stream *stream, int32_t id, struct str *out_append,
                         struct err *err)
{
    struct vocab_piece tmp;
    const struct vocab_piece *p;

    if (stream->skip_special && tok_skips(stream->tok, id)) return ST_OK;
    if (!(p = tok_piece(stream->tok, id, &tmp))) return ST_OK;
    TRY(decoding_push(stream->decoding, p->text, p->n, err));
    return decoding_settle(stream->decoding) ? ST_OK : give(stream, false, out_append, err);
}

status token_stream_finish(struct token_stream *stream, struct str *out_append, struct err *err)
{
    TRY(decoding_finish(stream->decoding, err));
    TRY(give(stream, true, out_append, err));
    decoding_reset(stream->decoding);
    return ST_OK;
}

status tokenizer_clean_up(const struct tokenizer *tok, const char *text, size_t n, struct str *out,
                          struct err *err)
{
    struct clean_up c = { 0 };
    bool ok = true;

    if (tok->cleans_up)
        ok = clean_up_push(&c, text, n, true, out);
    else
        str_put_n(out, text, n);
    clean_up_fini(&c);
    return !ok || out->failed ? FAIL(err, ST_NOMEM, "decode: no memory") : ST_OK;
}
