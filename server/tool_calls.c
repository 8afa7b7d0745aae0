/* SPDX-License-Identifier: MIT */
/* The parser behind tool_calls.h: one state machine, byte by byte, that never looks back. */
#include "server/tool_calls.h"
#include <string.h>

void tool_parser_init(struct tool_parser *p, const struct text_sink *sink, const char *const *names)
{
    memset(p, 0, sizeof *p);
    p->sink = sink;
    p->names = names;
}

void tool_parser_fini(struct tool_parser *p)
{
    str_fini(&p->held);
    str_fini(&p->raw);
    str_fini(&p->key);
    str_fini(&p->name);
    str_fini(&p->arguments);
}

bool tool_parser_failed(const struct tool_parser *p)
{
    return p->held.failed || p->raw.failed || p->key.failed || p->name.failed ||
           p->arguments.failed;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static void put_content(struct tool_parser *p, const char *text, size_t n)
{
    if (n > 0) p->sink->content(p->sink->user, text, n);
}

/* ---- giving out a call ---- */

static void announce(struct tool_parser *p)
{
    if (p->announced) return;
    p->announced = true;
    str_clear(&p->raw);
    p->sink->call(p->sink->user, p->n_calls, str_cstr(&p->name), p->name.len);
}

/* A call is one from its first byte of arguments on (once its name is known), however the text
 * was cut. */
static void announce_early(struct tool_parser *p)
{
    if (p->has_name && !p->quoted_arguments && p->arguments.len > 0) announce(p);
}

/* Sends the arguments that arrived since the last time. */
static void send_arguments(struct tool_parser *p)
{
    if (!p->announced || p->arguments.len == p->n_sent) return;
    p->sink->arguments(p->sink->user, p->n_calls, p->arguments.data + p->n_sent,
                       p->arguments.len - p->n_sent);
    p->n_sent = p->arguments.len;
}

/* Replaces a JSON string literal by its text. */
static bool unquote(struct str *s)
{
    cJSON *json = NULL;

    if (json_parse(str_cstr(s), s->len, NULL, &json, NULL) != ST_OK) return false;
    const bool ok = cJSON_IsString(json);
    str_clear(s);
    if (ok) str_put(s, json->valuestring);
    json_free(json);
    return ok;
}

/* The object is complete. False: it is no call. */
static bool finish_object(struct tool_parser *p)
{
    if (!p->has_name) return false;
    if (p->quoted_arguments) {
        if (!unquote(&p->arguments)) return false;
        p->quoted_arguments = false;
    }
    if (p->arguments.len == 0) str_put(&p->arguments, "{}");
    announce(p);
    send_arguments(p);
    return true;
}

/* ---- states ---- */

static void begin_call(struct tool_parser *p)
{
    p->state = TOOL_START;
    str_clear(&p->name);
    str_clear(&p->arguments);
    p->has_name = p->has_arguments = p->quoted_arguments = p->announced = false;
    p->n_sent = p->n_close = 0;
}

static void leave_call(struct tool_parser *p)
{
    if (p->announced) p->n_calls++;
    p->announced = false;
    p->state = TOOL_TEXT;
    p->n_forced = 0;
    str_clear(&p->raw);
}

/* What was read since the opening tag is no call after all. */
static void reject_call(struct tool_parser *p)
{
    send_arguments(p);
    if (p->raw.len > p->n_forced)
        put_content(p, p->raw.data + p->n_forced, p->raw.len - p->n_forced);
    leave_call(p);
}

static bool is_tool(const struct tool_parser *p)
{
    if (!p->names) return true;
    for (const char *const *name = p->names; *name; name++)
        if (str_equal(*name, str_cstr(&p->name))) return true;
    return false;
}

static bool end_name(struct tool_parser *p)
{
    if (p->has_name || !unquote(&p->name)) return false;
    if (p->name.len == 0 || p->name.len > TOOL_NAME_BYTES_MAX || !is_tool(p)) return false;
    p->has_name = true;
    announce_early(p);
    return true;
}

static bool end_value(struct tool_parser *p)
{
    p->state = TOOL_COMMA;
    if (p->field == TOOL_FIELD_NAME) return end_name(p);
    if (p->field == TOOL_FIELD_ARGUMENTS) p->has_arguments = true;
    return true;
}

static void put_value_byte(struct tool_parser *p, char c)
{
    if (p->field == TOOL_FIELD_NAME) str_put_char(&p->name, c);
    if (p->field != TOOL_FIELD_ARGUMENTS) return;
    str_put_char(&p->arguments, c);
    announce_early(p);
}

static bool in_comma(struct tool_parser *p, char c)
{
    if (is_space(c)) return true;
    if (c == ',') {
        p->state = TOOL_KEY;
        return true;
    }
    p->state = TOOL_END;
    if (c == '<' && p->has_arguments) (void)finish_object(p); /* its } was left out */
    return c == '}' && finish_object(p);
}

static bool in_string_byte(struct tool_parser *p, char c)
{
    put_value_byte(p, c);
    if (p->escaped)
        p->escaped = false;
    else if (c == '\\')
        p->escaped = true;
    else if (c == '"')
        p->in_string = false;
    return p->in_string || p->depth > 0 || end_value(p);
}

static bool in_value(struct tool_parser *p, char c)
{
    if (p->in_string) return in_string_byte(p, c);
    if (p->depth == 0 && (c == ',' || c == '}' || c == '<' || is_space(c)))
        return end_value(p) && in_comma(p, c);
    if (c == '<' || (p->depth == 0 && c == ']')) return false;
    put_value_byte(p, c);
    if (c == '"') p->in_string = true;
    if (c == '{' || c == '[') return ++p->depth <= TOOL_DEPTH_MAX;
    if (c == '}' || c == ']') return --p->depth > 0 || end_value(p);
    return true;
}

static bool begin_value(struct tool_parser *p, char c)
{
    if (is_space(c)) return true;
    if (c == ',' || c == '}' || c == ']' || c == '<') return false;
    if (p->field == TOOL_FIELD_NAME && c != '"') return false;
    if (p->field == TOOL_FIELD_ARGUMENTS) p->quoted_arguments = c == '"';
    p->state = TOOL_IN_VALUE;
    p->depth = 0;
    p->in_string = p->escaped = false;
    return in_value(p, c);
}

static bool end_key(struct tool_parser *p)
{
    const char *key = str_cstr(&p->key);

    p->state = TOOL_COLON;
    p->field = TOOL_FIELD_OTHER;
    if (str_equal(key, "name")) p->field = TOOL_FIELD_NAME;
    if (str_equal(key, "arguments") || str_equal(key, "parameters"))
        p->field = TOOL_FIELD_ARGUMENTS;
    return p->field != TOOL_FIELD_ARGUMENTS || !p->has_arguments;
}

static bool in_key(struct tool_parser *p, char c)
{
    if (c == '"' && !p->escaped) return end_key(p);
    p->escaped = c == '\\' && !p->escaped;
    str_put_char(&p->key, c);
    return p->key.len <= TOOL_NAME_BYTES_MAX;
}

static bool before_key(struct tool_parser *p, char c)
{
    if (is_space(c)) return true;
    if (c == '"') {
        str_clear(&p->key);
        p->escaped = false;
        p->state = TOOL_IN_KEY;
        return true;
    }
    p->state = TOOL_END;
    return c == '}' && finish_object(p);
}

static bool expect(struct tool_parser *p, char c, char want, enum tool_state next)
{
    if (is_space(c)) return true;
    p->state = next;
    return c == want;
}

/* One byte inside a call. False: this is no call. */
static bool call_byte(struct tool_parser *p, char c)
{
    switch (p->state) {
    case TOOL_START: return expect(p, c, '{', TOOL_KEY);
    case TOOL_KEY: return before_key(p, c);
    case TOOL_IN_KEY: return in_key(p, c);
    case TOOL_COLON: return expect(p, c, ':', TOOL_VALUE);
    case TOOL_VALUE: return begin_value(p, c);
    case TOOL_IN_VALUE: return in_value(p, c);
    case TOOL_COMMA: return in_comma(p, c);
    case TOOL_TEXT:
    case TOOL_END: break;
    }
    return true;
}

/* One byte after the object. False: the byte (and what of a closing tag came before it) is text
 * again. */
static bool after_object(struct tool_parser *p, char c)
{
    if (p->n_close == 0 && is_space(c)) return true;
    if (c != TOOL_CALL_CLOSE[p->n_close]) return false;
    if (++p->n_close == strlen(TOOL_CALL_CLOSE)) leave_call(p);
    return true;
}

/* One byte inside a call. False: a call that the sink knows of is over before this byte, which may
 * begin its closing tag. */
static bool take_byte(struct tool_parser *p, char c)
{
    const size_t n_arguments = p->arguments.len;

    if (!p->announced) str_put_char(&p->raw, c);
    if (call_byte(p, c)) return true;
    if (!p->announced) {
        reject_call(p);
        return true;
    }
    send_arguments(p);
    p->state = TOOL_END;
    return p->arguments.len > n_arguments;
}

/* Bytes of a call; returns how many were used before the state became TOOL_TEXT. */
static size_t push_call(struct tool_parser *p, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p->state == TOOL_TEXT) return i;
        if (p->state != TOOL_END && take_byte(p, text[i])) continue;
        if (after_object(p, text[i])) continue;
        const size_t seen = p->n_close;
        leave_call(p);
        str_put_n(&p->held, TOOL_CALL_CLOSE, seen);
        return i;
    }
    send_arguments(p);
    return n;
}

/* ---- text outside of calls ---- */

/* Bytes at the end of s[0..n) that may yet belong to an opening tag: white space, then a beginning
 * of the tag. */
static size_t undecided_tail(const char *s, size_t n)
{
    const size_t tag_n = strlen(TOOL_CALL_OPEN);
    size_t len = tag_n - 1 < n ? tag_n - 1 : n;

    while (len > 0 && memcmp(s + n - len, TOOL_CALL_OPEN, len) != 0) len--;
    while (len < n && is_space(s[n - len - 1])) len++;
    return len;
}

static void drop_front(struct str *s, size_t n)
{
    if (n == 0) return;
    memmove(s->data, s->data + n, s->len - n + 1);
    s->len -= n;
}

static size_t trimmed(const char *s, size_t n)
{
    while (n > 0 && is_space(s[n - 1])) n--;
    return n;
}

static size_t push_text(struct tool_parser *p, const char *text, size_t n)
{
    const size_t old = p->held.len;

    str_put_n(&p->held, text, n);
    if (p->held.failed) return n;
    const char *held = str_cstr(&p->held);
    const char *tag = memmem(held, p->held.len, TOOL_CALL_OPEN, strlen(TOOL_CALL_OPEN));
    if (!tag) {
        const size_t sure = p->held.len - undecided_tail(held, p->held.len);
        put_content(p, held, sure);
        drop_front(&p->held, sure);
        return n;
    }
    const size_t before = trimmed(held, (size_t)(tag - held));
    const size_t after = (size_t)(tag - held) + strlen(TOOL_CALL_OPEN);
    put_content(p, held, before);
    str_put_n(&p->raw, held + before, after - before);
    str_clear(&p->held);
    begin_call(p);
    return after - old;
}

void tool_parser_push(struct tool_parser *p, const char *text, size_t n)
{
    while (n > 0 && !tool_parser_failed(p)) {
        const size_t used = p->state == TOOL_TEXT ? push_text(p, text, n) : push_call(p, text, n);
        text += used;
        n -= used;
    }
}

void tool_parser_force(struct tool_parser *p, const char *text)
{
    tool_parser_push(p, text, strlen(text));
    p->n_forced = p->raw.len;
}

/* The call ends in whatever state it is. False: with its arguments cut off. */
static bool end_call(struct tool_parser *p)
{
    const bool complete =
        p->state == TOOL_END || (p->state == TOOL_COMMA && p->has_arguments && finish_object(p));
    const bool cut = p->announced && !p->has_arguments && !complete;

    if (complete)
        leave_call(p);
    else
        reject_call(p); /* of a call that is known already only the arguments so far */
    return !cut;
}

void tool_parser_close(struct tool_parser *p)
{
    if (p->state == TOOL_TEXT) {
        tool_parser_push(p, TOOL_CALL_CLOSE, strlen(TOOL_CALL_CLOSE));
        return;
    }
    if (!p->announced) str_put(&p->raw, TOOL_CALL_CLOSE);
    (void)end_call(p);
}

void tool_parser_finish(struct tool_parser *p)
{
    if (p->state == TOOL_TEXT) {
        const size_t n = p->n_calls > 0 ? trimmed(str_cstr(&p->held), p->held.len) : p->held.len;
        put_content(p, str_cstr(&p->held), n);
        str_clear(&p->held);
    } else {
        p->cut = !end_call(p);
    }
}
