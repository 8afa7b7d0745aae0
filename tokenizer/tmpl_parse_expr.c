/* SPDX-License-Identifier: MIT */
/* Expressions, in Jinja's order of precedence: if, or, and, not, compare, + -, ~, * / // %, **,
 * unary, postfix, filters. */
#include "tokenizer/tmpl.h"
#include <string.h>

enum { NESTING_MAX = 120 };

static struct node *parse_or(struct parser *p);
static struct node *parse_unary(struct parser *p, bool with_filter);
static struct node *parse_primary(struct parser *p);
static struct node *parse_postfix(struct parser *p, struct node *node);

static struct node *binary(struct parser *p, enum node_type type, enum op op, struct node *a,
                           struct node *b)
{
    struct node *n = a && b ? parse_new(p, type) : NULL;

    if (!n) return NULL;
    n->op = op;
    n->a = a;
    n->b = b;
    return parse_done(p, n);
}

static struct node *unary(struct parser *p, enum node_type type, struct node *a)
{
    struct node *n = a ? parse_new(p, type) : NULL;

    if (!n) return NULL;
    n->a = a;
    return parse_done(p, n);
}

/* ---- binary operators ---- */

struct op_row {
    const char *text;
    enum op op;
};

/* One level of left-associative operators. */
static struct node *parse_left(struct parser *p, const struct op_row *rows, size_t n_rows,
                               struct node *(*next)(struct parser *p))
{
    struct node *left = next(p);

    while (left) {
        size_t i = 0;

        while (i < n_rows && !parse_is_op(p, rows[i].text)) i++;
        if (i == n_rows) break;
        parse_advance(p);
        left = binary(p, N_BINARY, rows[i].op, left, next(p));
    }
    return left;
}

static struct node *parse_unary_filtered(struct parser *p) { return parse_unary(p, true); }

static struct node *parse_pow(struct parser *p)
{
    static const struct op_row rows[] = { { "**", OP_POW } };

    return parse_left(p, rows, COUNT(rows), parse_unary_filtered);
}

static struct node *parse_math2(struct parser *p)
{
    static const struct op_row rows[] = {
        { "*", OP_MUL }, { "/", OP_DIV }, { "//", OP_FLOORDIV }, { "%", OP_MOD }
    };

    return parse_left(p, rows, COUNT(rows), parse_pow);
}

static struct node *parse_concat(struct parser *p)
{
    struct node *first = parse_math2(p), *n;

    if (!first || !parse_is_op(p, "~")) return first;
    if (!(n = parse_new(p, N_CONCAT)) || !parse_append(p, &n->list, first)) return NULL;
    while (parse_skip_op(p, "~"))
        if (!parse_append(p, &n->list, parse_math2(p))) return NULL;
    return parse_done(p, n);
}

static struct node *parse_math1(struct parser *p)
{
    static const struct op_row rows[] = { { "+", OP_ADD }, { "-", OP_SUB } };

    return parse_left(p, rows, COUNT(rows), parse_concat);
}

static bool compare_operator(struct parser *p, enum op *op)
{
    static const struct op_row rows[] = { { "==", OP_EQ }, { "!=", OP_NE }, { "<", OP_LT },
                                          { "<=", OP_LE }, { ">", OP_GT },  { ">=", OP_GE } };
    const struct token *next = parse_look(p);

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (!parse_skip_op(p, rows[i].text)) continue;
        *op = rows[i].op;
        return true;
    }
    if (parse_skip_name(p, "in")) {
        *op = OP_IN;
        return true;
    }
    if (parse_is_name(p, "not") && next->type == T_NAME && next->text.n == 2 &&
        memcmp(next->text.p, "in", 2) == 0) {
        parse_advance(p);
        parse_advance(p);
        *op = OP_NOT_IN;
        return true;
    }
    return false;
}

/* a < b < c: the first operand in a, then one node per further operand, its operator in op. */
static struct node *parse_compare(struct parser *p)
{
    struct node *first = parse_math1(p), *n = NULL, *operand;
    enum op op;

    while (first && compare_operator(p, &op)) {
        if (!n && !(n = parse_new(p, N_COMPARE))) return NULL;
        n->a = first;
        operand = unary(p, N_POS, parse_math1(p));
        if (!operand) return NULL;
        operand->op = op;
        if (!parse_append(p, &n->list, operand)) return NULL;
    }
    return n ? parse_done(p, n) : first;
}

static struct node *parse_not(struct parser *p)
{
    struct node *n;

    if (!parse_is_name(p, "not")) return parse_compare(p);
    if (++p->depth > NESTING_MAX) return parse_fail(p, "nested too deeply");
    parse_advance(p);
    n = unary(p, N_NOT, parse_not(p));
    p->depth--;
    return n;
}

static struct node *parse_and(struct parser *p)
{
    struct node *left = parse_not(p);

    while (left && parse_skip_name(p, "and")) left = binary(p, N_AND, OP_ADD, left, parse_not(p));
    return left;
}

static struct node *parse_or(struct parser *p)
{
    struct node *left = parse_and(p);

    while (left && parse_skip_name(p, "or")) left = binary(p, N_OR, OP_ADD, left, parse_and(p));
    return left;
}

static struct node *parse_cond(struct parser *p)
{
    const bool soft = p->soft;
    struct node *value = parse_or(p);

    while (value && parse_skip_name(p, "if")) {
        struct node *n = parse_new(p, N_COND);

        p->soft = true;
        if (!n || !(n->a = parse_or(p))) return NULL;
        n->b = value;
        if (parse_skip_name(p, "else") && !(n->c = parse_cond(p))) return NULL;
        value = parse_done(p, n);
    }
    p->soft = soft;
    return value;
}

struct node *parse_expression(struct parser *p, bool with_cond)
{
    struct node *n;

    if (++p->depth > NESTING_MAX) return parse_fail(p, "nested too deeply");
    n = with_cond ? parse_cond(p) : parse_or(p);
    p->depth--;
    return n;
}

/* ---- tuples, lists, dicts ---- */

static bool is_tuple_end(const struct parser *p, const char *tuple_end)
{
    const enum token_type type = parse_current(p)->type;

    return type == T_VARIABLE_END || type == T_BLOCK_END || parse_is_op(p, ")") ||
           (tuple_end && parse_is_name(p, tuple_end));
}

struct node *parse_tuple(struct parser *p, bool simplified, bool with_cond, const char *tuple_end,
                         bool parentheses)
{
    struct node_list items = { 0 };
    bool is_tuple = false;

    for (;;) {
        if (items.n && !parse_expect_op(p, ",")) return NULL;
        if (is_tuple_end(p, tuple_end)) break;
        if (!parse_append(p, &items,
                          simplified ? parse_primary(p) : parse_expression(p, with_cond)))
            return NULL;
        if (!parse_is_op(p, ",")) break;
        is_tuple = true;
    }
    if (!is_tuple && items.n) return items.items[0];
    if (!is_tuple && !parentheses) return parse_fail(p, "Expected an expression");
    struct node *n = parse_new(p, N_TUPLE);
    if (!n) return NULL;
    n->list = items;
    return parse_done(p, n);
}

static struct node *parse_list(struct parser *p)
{
    struct node *n = parse_new(p, N_LIST);

    parse_advance(p);
    while (n && !parse_is_op(p, "]")) {
        if (n->list.n && !parse_expect_op(p, ",")) return NULL;
        if (parse_is_op(p, "]")) break;
        if (!parse_append(p, &n->list, parse_expression(p, true))) return NULL;
    }
    return n && parse_expect_op(p, "]") ? parse_done(p, n) : NULL;
}

/* Keys and values take turns in the list. */
static struct node *parse_dict(struct parser *p)
{
    struct node *n = parse_new(p, N_DICT);

    parse_advance(p);
    while (n && !parse_is_op(p, "}")) {
        if (n->list.n && !parse_expect_op(p, ",")) return NULL;
        if (parse_is_op(p, "}")) break;
        if (!parse_append(p, &n->list, parse_expression(p, true))) return NULL;
        if (!parse_expect_op(p, ":")) return NULL;
        if (!parse_append(p, &n->list, parse_expression(p, true))) return NULL;
    }
    return n && parse_expect_op(p, "}") ? parse_done(p, n) : NULL;
}

/* ---- primaries ---- */

static struct node *constant(struct parser *p, struct tv value)
{
    struct node *n = parse_new(p, N_CONST);

    if (n) n->value = value;
    return n ? parse_done(p, n) : NULL;
}

static struct node *string_constant(struct parser *p)
{
    struct tstr *s = ARENA_NEW(&p->t->arena, struct tstr);
    struct str joined = { 0 };

    while (parse_current(p)->type == T_STRING) {
        str_put_n(&joined, parse_current(p)->text.p, parse_current(p)->text.n);
        parse_advance(p);
    }
    if (s) {
        s->p = arena_strndup(&p->t->arena, str_cstr(&joined), joined.len);
        s->n = joined.len;
    }
    str_fini(&joined);
    if (!s || !s->p) return parse_no_room(p);
    return constant(p, (struct tv){ .type = TV_STRING, .u.s = s });
}

static bool text_is(struct tstr s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static struct node *name(struct parser *p)
{
    const struct tstr text = parse_current(p)->text;
    struct node *n;

    parse_advance(p);
    if (text_is(text, "true") || text_is(text, "True")) return constant(p, tv_bool(true));
    if (text_is(text, "false") || text_is(text, "False")) return constant(p, tv_bool(false));
    if (text_is(text, "none") || text_is(text, "None")) return constant(p, tv_none());
    if (!(n = parse_new(p, N_NAME))) return NULL;
    n->text = text;
    if (!tmpl_name_id(p->t, text, &n->name_id)) return parse_no_room(p);
    if (text_is(text, "caller")) p->uses_caller = true;
    if (text_is(text, "varargs")) p->uses_varargs = true;
    if (text_is(text, "kwargs")) p->uses_kwargs = true;
    return parse_done(p, n);
}

static struct node *parenthesis(struct parser *p)
{
    struct node *n;

    parse_advance(p);
    if (++p->depth > NESTING_MAX) return parse_fail(p, "nested too deeply");
    n = parse_tuple(p, false, true, NULL, true);
    p->depth--;
    return n && parse_expect_op(p, ")") ? n : NULL;
}

static struct node *parse_primary(struct parser *p)
{
    const struct token *t = parse_current(p);

    switch (t->type) {
    case T_NAME: return name(p);
    case T_STRING: return string_constant(p);
    case T_INTEGER:
    case T_FLOAT: parse_advance(p); return constant(p, t->value);
    default: break;
    }
    if (parse_is_op(p, "(")) return parenthesis(p);
    if (parse_is_op(p, "[")) return parse_list(p);
    if (parse_is_op(p, "{")) return parse_dict(p);
    return parse_fail(p, "unexpected %s", t->type == T_OPERATOR ? t->op : "end of the tag");
}

/* ---- postfix: .name [item] (call) ---- */

/* One bound of a slice; NULL with no error: left out. */
static bool slice_bound(struct parser *p, struct node **out)
{
    *out = NULL;
    if (parse_is_op(p, ":") || parse_is_op(p, "]") || parse_is_op(p, ",")) return true;
    *out = parse_expression(p, true);
    return *out != NULL;
}

static struct node *subscribed(struct parser *p)
{
    struct node *first = NULL, *n;

    if (!parse_is_op(p, ":")) {
        first = parse_expression(p, true);
        if (!first || !parse_is_op(p, ":")) return first;
    }
    parse_advance(p);
    if (!(n = parse_new(p, N_SLICE))) return NULL;
    n->a = first;
    if (!slice_bound(p, &n->b)) return NULL;
    if (parse_skip_op(p, ":") && !slice_bound(p, &n->c)) return NULL;
    return parse_done(p, n);
}

static struct node *item(struct parser *p, struct node *of)
{
    struct node_list keys = { 0 };
    struct node *key;

    parse_advance(p);
    while (!parse_is_op(p, "]")) {
        if (keys.n && !parse_expect_op(p, ",")) return NULL;
        if (!parse_append(p, &keys, subscribed(p))) return NULL;
    }
    parse_advance(p);
    if (keys.n == 1) {
        key = keys.items[0];
    } else {
        if (!(key = parse_new(p, N_TUPLE))) return NULL;
        key->list = keys;
        if (!parse_done(p, key)) return NULL;
    }
    return binary(p, N_GETITEM, OP_ADD, of, key);
}

static struct node *attribute(struct parser *p, struct node *of)
{
    const struct token *t;
    struct node *n;

    parse_advance(p);
    t = parse_current(p);
    if (t->type == T_INTEGER) {
        parse_advance(p);
        return binary(p, N_GETITEM, OP_ADD, of, constant(p, t->value));
    }
    if (t->type != T_NAME) return parse_fail(p, "expected name or number");
    parse_advance(p);
    if (!(n = parse_new(p, N_GETATTR))) return NULL;
    n->a = of;
    n->text = t->text;
    return parse_done(p, n);
}

/* One argument: value, name=value, *values or **dict. */
static struct node *argument(struct parser *p)
{
    const struct token *t = parse_current(p), *next = parse_look(p);
    struct node *n;

    if (parse_skip_op(p, "*")) return unary(p, N_STAR, parse_expression(p, true));
    if (parse_skip_op(p, "**")) return unary(p, N_STAR_STAR, parse_expression(p, true));
    if (t->type != T_NAME || next->type != T_OPERATOR || strcmp(next->op, "=") != 0)
        return parse_expression(p, true);
    parse_advance(p);
    parse_advance(p);
    n = unary(p, N_KWARG, parse_expression(p, true));
    if (n) n->text = t->text;
    return n;
}

static int argument_rank(const struct node *n)
{
    switch (n->type) {
    case N_STAR: return 2;
    case N_KWARG: return 1;
    case N_STAR_STAR: return 3;
    default: return 0;
    }
}

static bool call_args(struct parser *p, struct node_list *out)
{
    int highest = 0;

    parse_advance(p);
    while (!parse_is_op(p, ")")) {
        struct node *n;

        if (out->n && !parse_expect_op(p, ",")) return false;
        if (out->n && parse_is_op(p, ")")) break;
        if (!(n = argument(p)) || !parse_append(p, out, n)) return false;
        const int rank = argument_rank(n);
        if ((rank == 0 && highest > 0) || (rank == 1 && highest == 3) ||
            (rank >= 2 && highest >= rank)) {
            parse_fail(p, "invalid syntax for function call expression");
            return false;
        }
        if (rank > highest) highest = rank;
    }
    return parse_expect_op(p, ")");
}

static struct node *call(struct parser *p, struct node *callee)
{
    struct node *n = parse_new(p, N_CALL);

    if (!n) return NULL;
    n->a = callee;
    return call_args(p, &n->args) ? parse_done(p, n) : NULL;
}

static struct node *parse_postfix(struct parser *p, struct node *node)
{
    while (node) {
        if (parse_is_op(p, "."))
            node = attribute(p, node);
        else if (parse_is_op(p, "["))
            node = item(p, node);
        else if (parse_is_op(p, "("))
            node = call(p, node);
        else
            break;
    }
    return node;
}

/* ---- filters and tests ---- */

/* A name with dots. */
static bool dotted_name(struct parser *p, struct tstr *out)
{
    struct str name_text = { 0 };

    for (;;) {
        const struct token *t = parse_current(p);

        if (t->type != T_NAME) {
            str_fini(&name_text);
            parse_fail(p, "expected token 'name'");
            return false;
        }
        str_put_n(&name_text, t->text.p, t->text.n);
        parse_advance(p);
        if (!parse_skip_op(p, ".")) break;
        str_put_char(&name_text, '.');
    }
    out->p = arena_strndup(&p->t->arena, str_cstr(&name_text), name_text.len);
    out->n = name_text.len;
    str_fini(&name_text);
    if (!out->p) parse_no_room(p);
    return out->p != NULL;
}

struct node *parse_filter(struct parser *p, struct node *node, bool start_inline)
{
    while (start_inline || parse_is_op(p, "|")) {
        struct node *n = parse_new(p, N_FILTER);

        if (!n) return NULL;
        if (!start_inline) parse_advance(p);
        start_inline = false;
        if (!dotted_name(p, &n->text)) return NULL;
        n->entry = filter_find(n->text);
        if (!n->entry && !p->soft)
            return parse_fail(p, "No filter named '%.*s'", (int)n->text.n, n->text.p);
        if (parse_is_op(p, "(") && !call_args(p, &n->args)) return NULL;
        n->a = node;
        if (!(node = parse_done(p, n))) return NULL;
    }
    return node;
}

static bool begins_test_argument(const struct parser *p)
{
    const struct token *t = parse_current(p);

    if (t->type == T_NAME)
        return !parse_is_name(p, "else") && !parse_is_name(p, "or") && !parse_is_name(p, "and");
    return t->type == T_STRING || t->type == T_INTEGER || t->type == T_FLOAT ||
           parse_is_op(p, "[") || parse_is_op(p, "{");
}

static struct node *parse_test(struct parser *p, struct node *node)
{
    struct node *n = parse_new(p, N_TEST);

    parse_advance(p);
    const bool negated = parse_skip_name(p, "not");
    if (!n || !dotted_name(p, &n->text)) return NULL;
    n->a = node;
    n->entry = test_find(n->text);
    if (!n->entry && !p->soft)
        return parse_fail(p, "No test named '%.*s'", (int)n->text.n, n->text.p);
    if (parse_is_op(p, "(")) {
        if (!call_args(p, &n->args)) return NULL;
    } else if (begins_test_argument(p)) {
        if (parse_is_name(p, "is")) return parse_fail(p, "You cannot chain multiple tests with is");
        if (!parse_append(p, &n->args, parse_postfix(p, parse_primary(p)))) return NULL;
    }
    n = parse_done(p, n);
    return negated ? unary(p, N_NOT, n) : n;
}

static struct node *filters_and_tests(struct parser *p, struct node *node)
{
    while (node) {
        if (parse_is_op(p, "|"))
            node = parse_filter(p, node, false);
        else if (parse_is_name(p, "is"))
            node = parse_test(p, node);
        else if (parse_is_op(p, "("))
            node = call(p, node);
        else
            break;
    }
    return node;
}

static struct node *parse_unary(struct parser *p, bool with_filter)
{
    struct node *node;

    if (++p->depth > NESTING_MAX) return parse_fail(p, "nested too deeply");
    if (parse_skip_op(p, "-"))
        node = unary(p, N_NEG, parse_unary(p, false));
    else if (parse_skip_op(p, "+"))
        node = unary(p, N_POS, parse_unary(p, false));
    else
        node = parse_primary(p);
    node = parse_postfix(p, node);
    if (with_filter) node = filters_and_tests(p, node);
    p->depth--;
    return node;
}
