/* SPDX-License-Identifier: MIT */
/* Incremental decode: a decoding that is settled after each id. */
#include "tokenizer/tok_internal.h"

struct token_stream {
    const struct tokenizer *tok;
    struct decoding *decoding;
    bool skip_special;
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
    mem_free(stream);
}

static status give(struct token_stream *s, struct str *out, struct err *err)
{
    struct str *text = decoding_text(s->decoding);

    str_put_n(out, str_cstr(text), text->len);
    str_clear(text);
    return out->failed ? FAIL(err, ST_NOMEM, "token stream: no memory") : ST_OK;
}

status token_stream_push(struct token_stream *stream, int32_t id, struct str *out_append,
                         struct err *err)
{
    struct vocab_piece tmp;
    const struct vocab_piece *p;

    if (stream->skip_special && tokenizer_is_special(stream->tok, id)) return ST_OK;
    if (!(p = tok_piece(stream->tok, id, &tmp))) return ST_OK;
    TRY(decoding_push(stream->decoding, p->text, p->n, err));
    return decoding_settle(stream->decoding) ? ST_OK : give(stream, out_append, err);
}

status token_stream_finish(struct token_stream *stream, struct str *out_append, struct err *err)
{
    TRY(decoding_finish(stream->decoding, err));
    TRY(give(stream, out_append, err));
    decoding_reset(stream->decoding);
    return ST_OK;
}
