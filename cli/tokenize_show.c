/* SPDX-License-Identifier: MIT */
#include "cli/tokenize_show.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- pieces ---- */

/* Characters as they are, what is no text as <0xNN>, what would move the cursor as an escape. */
static void put_visible(struct str *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        int32_t cp;
        const size_t used = utf8_decode(p + i, n - i, &cp);

        if (cp < 0) {
            for (size_t k = 0; k < used; k++) str_printf(out, "<0x%02X>", (unsigned char)p[i + k]);
        } else if (cp == '\n' || cp == '\t' || cp == '\r') {
            str_put(out, cp == '\n' ? "\\n" : cp == '\t' ? "\\t" : "\\r");
        } else if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) {
            str_printf(out, "\\x%02X", (unsigned)cp);
        } else {
            str_put_n(out, p + i, used);
        }
        i += used;
    }
}

static void put_piece(struct str *out, const struct placed_tokens *p, size_t i)
{
    put_visible(out, str_cstr(&p->pieces) + p->items[i].piece, p->items[i].piece_n);
}

/* ---- show ---- */

static bool wants_colour(void)
{
    const char *no = os_env("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(no && *no);
}

static void put_coloured(struct str *out, const struct placed_tokens *p)
{
    static const int backgrounds[] = { 24, 53, 22, 94, 60, 52 }; /* dark ones of the 256 colours */

    for (size_t i = 0; i < p->n; i++) {
        const size_t end = p->items[i].piece + p->items[i].piece_n;

        str_printf(out, "\x1b[48;5;%dm\x1b[97m", backgrounds[i % COUNT(backgrounds)]);
        put_piece(out, p, i);
        str_printf(out, "\x1b[0m\x1b[2m%d\x1b[0m", p->items[i].id);
        if (p->items[i].piece_n && p->pieces.data[end - 1] == '\n') str_put(out, "\n");
    }
    str_printf(out, "\n%zu tokens\n", p->n);
}

static void put_lines(struct str *out, const struct placed_tokens *p)
{
    for (size_t i = 0; i < p->n; i++) {
        str_printf(out, "%zu-%zu\t%d\t\"", p->items[i].start, p->items[i].end, p->items[i].id);
        put_piece(out, p, i);
        str_put(out, "\"\n");
    }
}

static status print(struct str *out, struct err *err)
{
    const bool failed = out->failed;

    if (!failed) fwrite(str_cstr(out), 1, out->len, stdout);
    str_fini(out);
    return failed ? FAIL(err, ST_NOMEM, "out of memory") : ST_OK;
}

status tokenize_show(const struct tokenizer *tok, const struct str *text, struct err *err)
{
    struct placed_tokens p;
    struct str out = { 0 };
    status st = place_tokens(tok, text, &p, err);

    if (st == ST_OK) {
        if (wants_colour())
            put_coloured(&out, &p);
        else
            put_lines(&out, &p);
        st = print(&out, err);
    }
    placed_tokens_fini(&p);
    return st;
}

/* ---- diff ---- */

struct diff {
    struct placed_tokens p[2];
    size_t from[2], to[2]; /* tokens of the span at hand */
    size_t start, end;     /* the span in the text */
    size_t n_spans, n_ids; /* that are cut differently; that are cut alike, with other ids */
};

/* From the end of the last span to the next place where both are known to cut. */
static bool next_span(struct diff *d)
{
    size_t end[2];

    d->start = d->end;
    for (int s = 0; s < 2; s++) d->from[s] = d->to[s];
    if (d->from[0] == d->p[0].n && d->from[1] == d->p[1].n) return false;
    for (int s = 0; s < 2; s++) end[s] = d->start;
    do {
        /* whoever is behind takes one more token, and then those up to its next cut */
        const int s = d->to[0] == d->p[0].n                       ? 1
                      : d->to[1] == d->p[1].n                     ? 0
                      : end[0] < end[1] || d->to[0] == d->from[0] ? 0
                                                                  : 1;
        do end[s] = d->p[s].items[d->to[s]].end;
        while (!d->p[s].items[d->to[s]++].is_cut && d->to[s] < d->p[s].n);
    } while (end[0] != end[1] && (d->to[0] < d->p[0].n || d->to[1] < d->p[1].n));
    for (int s = 0; s < 2; s++) /* what stands for no text belongs to what is before it */
        while (d->to[s] < d->p[s].n && d->p[s].items[d->to[s]].end == end[s]) d->to[s]++;
    d->end = end[0] > end[1] ? end[0] : end[1];
    return true;
}

static bool cut_alike(const struct diff *d)
{
    if (d->to[0] - d->from[0] != d->to[1] - d->from[1]) return false;
    for (size_t i = 0; i < d->to[0] - d->from[0]; i++)
        if (d->p[0].items[d->from[0] + i].end != d->p[1].items[d->from[1] + i].end) return false;
    return true;
}

static bool same_ids(const struct diff *d)
{
    for (size_t i = 0; i < d->to[0] - d->from[0]; i++)
        if (d->p[0].items[d->from[0] + i].id != d->p[1].items[d->from[1] + i].id) return false;
    return true;
}

static void put_span(struct str *out, const struct diff *d, const struct str *text)
{
    str_printf(out, "@@ %zu-%zu \"", d->start, d->end);
    put_visible(out, str_cstr(text) + d->start, d->end - d->start);
    str_put(out, "\"\n");
    for (int s = 0; s < 2; s++) {
        str_put(out, s ? "+" : "-");
        for (size_t i = d->from[s]; i < d->to[s]; i++) {
            str_put(out, " \"");
            put_piece(out, &d->p[s], i);
            str_printf(out, "\" %d", d->p[s].items[i].id);
        }
        str_put(out, "\n");
    }
}

static void put_diff(struct str *out, struct diff *d, const struct tokenize_side sides[2],
                     const struct str *text)
{
    for (int s = 0; s < 2; s++)
        str_printf(out, "%s %s: %zu tokens\n", s ? "+++" : "---", sides[s].name, d->p[s].n);
    while (next_span(d)) {
        if (!cut_alike(d)) {
            put_span(out, d, text);
            d->n_spans++;
        } else if (!same_ids(d)) {
            d->n_ids++;
        }
    }
    if (d->n_spans) str_printf(out, "%zu spans are cut differently\n", d->n_spans);
    if (d->n_ids) str_printf(out, "%zu spans are cut alike and have other ids\n", d->n_ids);
}

status tokenize_diff(const struct tokenize_side sides[2], const struct str *text, bool *equal,
                     struct err *err)
{
    struct diff d = { 0 };
    struct str out = { 0 };
    status st = place_tokens(sides[0].tok, text, &d.p[0], err);

    if (st == ST_OK) st = place_tokens(sides[1].tok, text, &d.p[1], err);
    if (st == ST_OK) {
        put_diff(&out, &d, sides, text);
        st = print(&out, err);
    }
    *equal = d.n_spans == 0 && d.n_ids == 0;
    placed_tokens_fini(&d.p[0]);
    placed_tokens_fini(&d.p[1]);
    return st;
}
